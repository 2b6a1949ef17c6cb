# SPDX-License-Identifier: BSD-2-Clause
"""Guests' images: whether each is what its guest's type wants, and fits where it will be loaded.

The hypervisor checks the same again when it boots (guest/load*.c); here the message has a line.
Sources: Linux Documentation/x86/boot.rst; Multiboot Specification 0.6.96; Multiboot2 Specification
2.0; ELF-32 and ELF-64 Object File Format.
"""
import re
import struct

import pc
from pc import MIB, PAGE, Range, align_up, size

NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
MULTIBOOT1, MULTIBOOT2 = 0x1BADB002, 0xE85250D6
PT_LOAD = 1


def is_name(text):
    """Whether a machine, guest or region may be called so."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None


def check(machine, guest, problems):
    """BH060 to BH078 of one guest."""
    for image in guest.images():
        if image.content is None:
            problems.add("BH060", machine.source.line(image.place), path=image.path,
                         what=f"{guest.label}: {image.use}", why=image.why)
    check_text(machine, guest, problems)
    if guest.fw_cfg:
        check_fw_cfg(machine, guest, problems)
    checks = {"linux": check_linux, "multiboot": check_multiboot, "flat": check_flat,
              "firmware": check_firmware}
    if guest.kernel and guest.kernel.content is not None and guest.type in checks:
        checks[guest.type](_Say(machine, guest, problems), guest)


class _Say:
    """Reports of one guest, with what all of them have in common."""

    def __init__(self, machine, guest, problems):
        self._machine, self._guest, self._problems = machine, guest, problems

    def __call__(self, code, key, also=None, **values):
        line = self._machine.source.line
        also = line(self._guest.at(also)) if also else None
        self._problems.add(code, line(self._guest.at(key)), also, what=self._guest.label, **values)


def check_fw_cfg(machine, guest, problems):
    """BH078, BH079: the items of fw_cfg."""
    place = guest.at("devices", "fw_cfg", "files")
    line = machine.source.line(place)
    first = {name: "the machine's own" for name in pc.FW_CFG_OWN_FILES}
    if len(guest.fw_cfg.files) > pc.MAX_FW_CFG_FILES:
        problems.add("BH078", line, what=f"{guest.label}: fw_cfg: files", limit=pc.MAX_FW_CFG_FILES)
    for number, item in enumerate(guest.fw_cfg.files):
        line = machine.source.line(place + (number, "name"))
        if item.name in first:
            problems.add("BH079", line, first[item.name], what=f"{guest.label}: fw_cfg",
                         name=item.name)
        first.setdefault(item.name, line)


def check_text(machine, guest, problems):
    """BH068, BH069: command lines."""
    texts = [("cmdline", guest.cmdline, guest.at("cmdline"))]
    texts += [(f"module {number + 1}: string", module.string, guest.at("modules", number, "string"))
              for number, module in enumerate(guest.modules)]
    if guest.fw_cfg:
        texts.append(("fw_cfg: cmdline", guest.fw_cfg.cmdline,
                      guest.at("devices", "fw_cfg", "cmdline")))
    for key, text, place in texts:
        what, line = f"{guest.label}: {key}", machine.source.line(place)
        if len(text) > pc.MAX_CMDLINE:
            problems.add("BH068", line, what=what, len=len(text), limit=pc.MAX_CMDLINE)
        odd = re.search(r"[^ -~]", text)
        if odd:
            problems.add("BH069", line, what=what, char=ascii(odd[0]))


# ---- linux ----------------------------------------------------------------------------------


def check_linux(say, guest):
    """BH061 to BH068: a bzImage with its initrd and command line. As linux_check()."""
    image, path = guest.kernel.content, guest.kernel.path
    if len(image) < 0x26C or image[0x202:0x206] != b"HdrS" or image[0x1FE:0x200] != b"\x55\xaa":
        say("BH061", "kernel", path=path)
        return
    version = _u(image, 0x206, 2)
    if version < 0x020C:
        say("BH062", "kernel", path=path, version=f"{version >> 8}.{version & 255:02}")
        return
    if not _u(image, 0x236, 2) & 1:
        say("BH063", "kernel", path=path)
        return
    why = _linux_damage(image)
    if why:
        say("BH064", "kernel", path=path, why=why)
        return
    if guest.memory:
        check_linux_layout(say, guest, image)
    limit = _u(image, 0x238, 4)
    if limit < len(guest.cmdline) <= pc.MAX_CMDLINE:
        say("BH068", "cmdline", "kernel", len=len(guest.cmdline), limit=limit)


def _linux_damage(image):
    """What is impossible in a bzImage's header, or None."""
    setup = ((image[0x1F1] or 4) + 1) * 512
    code = _u(image, 0x1F4, 4) * 16
    if setup >= len(image) or code >= len(image) - setup + 16:
        return "it is shorter than its header says"
    if code <= 0x200:
        return "it has no code"
    if not 0x268 <= 0x202 + image[0x201] <= 0x290 or image[0x200] != 0xEB:
        return "its header has an impossible length"
    if not image[0x211] & 1:
        return "it is a zImage, for below 1M"
    align = _u(image, 0x230, 4) if image[0x234] else PAGE
    if align < PAGE or align & (align - 1):
        return "its alignment is no power of two of at least a page"
    if _u(image, 0x258, 8) < MIB or _u(image, 0x258, 8) % align:
        return "its preferred address is below 1M or not aligned"
    return None


def check_linux_layout(say, guest, image):
    """BH065, BH067: where kernel and initrd come to lie."""
    setup = ((image[0x1F1] or 4) + 1) * 512
    code = min(_u(image, 0x1F4, 4) * 16, len(image) - setup)
    end = align_up(_u(image, 0x258, 8) + max(_u(image, 0x260, 4), code), PAGE)
    low = min(guest.memory, pc.HOLE)
    if end > low:
        say("BH065", "memory", "kernel", path=guest.kernel.path, end=f"{end:#x}",
            limit=f"{low:#x}", need=size(align_up(end, pc.MEMORY_STEP)))
        return
    if guest.initrd is None or guest.initrd.content is None:
        return
    length, highest = len(guest.initrd.content), _u(image, 0x22C, 4) + 1
    top = min(highest, low)
    if length and (top - length) // PAGE * PAGE < end:
        need = align_up(end + align_up(length, PAGE), pc.MEMORY_STEP)
        by_kernel = highest <= low
        say("BH067", "initrd" if by_kernel else "memory", "kernel" if by_kernel else "initrd",
            len=size(length), end=f"{end:#x}", limit=f"{top:#x}",
            whose="the highest address that the kernel allows" if by_kernel
            else "the end of memory below 3G",
            hint="use a smaller initrd" if by_kernel else f"raise memory to {size(need)} or more")


# ---- multiboot ------------------------------------------------------------------------------


def check_multiboot(say, guest):
    """BH070 to BH072. As multiboot_check()."""
    image, path = guest.kernel.content, guest.kernel.path
    header = _find_header(image)
    if header is None:
        say("BH070", "kernel", path=path)
        return
    try:
        segments = _addressed(image, *header) or _elf_segments(image)
    except (struct.error, IndexError):
        say("BH064", "kernel", path=path, why="it is shorter than its headers say")
        return
    low = min(guest.memory or pc.MAX_MEMORY, pc.HOLE)
    why = _misplaced(segments, low)
    if why:
        say("BH071", "kernel", path=path, why=why)
        return
    end = max(segment.end for segment in segments)
    for module in guest.modules:
        end = align_up(end, PAGE) + len(module.image.content or b"")
    if end > low:
        say("BH072", "memory", "kernel", end=f"{end:#x}", limit=f"{low:#x}",
            need=size(align_up(end, pc.MEMORY_STEP)))


def _find_header(image):
    """(version, offset) of the Multiboot2 header, else of the Multiboot header, else None."""
    for version, magic, step, limit, words in ((2, MULTIBOOT2, 8, 32768, 4),
                                               (1, MULTIBOOT1, 4, 8192, 3)):
        for offset in range(0, min(limit, len(image)) - 4 * words + 1, step):
            found = struct.unpack_from(f"<{words}I", image, offset)
            if found[0] == magic and sum(found) & 0xFFFFFFFF == 0:
                return version, offset
    return None


def _addressed(image, version, offset):
    """The one segment that the header's own addresses describe, or None: it is an ELF file."""
    if version == 1:
        if not _u(image, offset + 4, 4) & 0x10000:
            return None
        fields = struct.unpack_from("<4I", image, offset + 12)
    else:
        fields = _address_tag(image, offset)
        if fields is None:
            return None
    header, load, load_end, bss_end = fields
    start = offset - (header - load)
    length = (load_end or load + len(image) - start) - load
    if header < load or start < 0 or length < 0 or start + length > len(image):
        raise IndexError
    return [Range(load, max(length, (bss_end or load) - load), "the image")]


def _address_tag(image, offset):
    """The contents of a Multiboot2 header's address tag, or None."""
    end = offset + _u(image, offset + 8, 4)
    at = offset + 16
    while at + 8 <= end:
        kind, _, length = struct.unpack_from("<HHI", image, at)
        if kind == 0:
            break
        if kind == 2:
            return struct.unpack_from("<4I", image, at + 8)
        if length < 8:
            raise IndexError
        at = align_up(at + length, 8)
    return None


def _elf_segments(image):
    """What an ELF file's program headers say is loaded."""
    if image[:4] != b"\x7fELF" or image[4] not in (1, 2) or image[5] != 1:
        return []
    wide = image[4] == 2
    table = _u(image, 32, 8) if wide else _u(image, 28, 4)
    entry_size, count = struct.unpack_from("<HH", image, 54 if wide else 42)
    found = []
    for number in range(count):
        at = table + number * entry_size
        if _u(image, at, 4) != PT_LOAD:
            continue
        if wide:
            offset, _, base, filled, length = struct.unpack_from("<5Q", image, at + 8)
        else:
            offset, _, base, filled, length = struct.unpack_from("<5I", image, at + 4)
        if filled > length or offset + filled > len(image):
            raise IndexError
        if length:
            found.append(Range(base, length, f"segment {number}"))
    return found


def _misplaced(segments, low):
    """What is wrong with the places of segments, or None."""
    if not segments:
        return "it is no ELF file with segments to load, and its header gives no addresses"
    for index, segment in enumerate(segments):
        if segment.base < pc.HIGH_RAM and segment.end > pc.LOW_RAM_END:
            return f"{segment.what} at {segment.show()} meets 0x9f000-0xfffff, which is not RAM"
        if segment.end > low:
            return f"{segment.what} at {segment.show()} is beyond its memory below 3G"
        for other in segments[:index]:
            if segment.meets(other):
                return f"{segment.what} at {segment.show()} overlaps {other.what} at {other.show()}"
    return None


# ---- flat, firmware -------------------------------------------------------------------------


def check_flat(say, guest):
    """BH075 to BH077: a raw image."""
    length = len(guest.kernel.content)
    if length == 0:
        say("BH075", "kernel", path=guest.kernel.path)
        return
    image = Range(guest.load, length, "the image")
    low = min(guest.memory or pc.MAX_MEMORY, pc.HOLE)
    if image.base < pc.HIGH_RAM and image.end > pc.LOW_RAM_END:
        say("BH076", "load", range=image.show(), why="0x9f000-0xfffff is not RAM",
            hint="load it at 0x100000")
    if image.end > low:
        say("BH076", "load", "memory", range=image.show(), why=f"that ends at {low:#x} below 3G",
            hint="raise memory or lower load")
    if not image.base <= guest.entry < image.end:
        say("BH077", "entry", "load", value=f"{guest.entry:#x}", range=image.show())


def check_firmware(say, guest):
    """BH073, BH074: a ROM."""
    content, path = guest.kernel.content, guest.kernel.path
    if not content or len(content) > pc.MAX_ROM or len(content) % PAGE:
        say("BH073", "kernel", path=path, len=len(content))
    elif len(set(content[-16:])) == 1:
        say("BH074", "kernel", path=path)


def _u(data, offset, length):
    """An unsigned little-endian number."""
    if offset + length > len(data):
        raise IndexError
    return int.from_bytes(data[offset:offset + length], "little")
