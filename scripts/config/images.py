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
ELF_X86 = (3, 62)  # e_machine: EM_386, EM_X86_64
MAX_SEGMENTS = 16

# Tags of a Multiboot2 header, and the least length of those of which fields are read.
TAG_END, TAG_REQUEST, TAG_ADDRESS, TAG_ENTRY, TAG_CONSOLE, TAG_RELOCATABLE = 0, 1, 2, 3, 4, 10
TAG_LENGTHS = {TAG_ADDRESS: 24, TAG_ENTRY: 12, TAG_CONSOLE: 12, TAG_RELOCATABLE: 24}


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
    """BH052, BH078, BH079: the items of fw_cfg."""
    for key in ("initrd", "cmdline"):
        if getattr(guest.fw_cfg, key) and not guest.fw_cfg.kernel:
            problems.add("BH052", machine.source.line(guest.at("devices", "fw_cfg", key)),
                         what=guest.label, key=key)
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
        demand = _demand(image, *header)
        segments, entry = _segments(image, *header)
        forbidden = _forbidden(image, *header, segments)
    except (struct.error, IndexError):
        say("BH064", "kernel", path=path, why="it is shorter than its headers say")
        return
    if demand:
        say("BH071", "kernel", path=path, why=demand, hint="use one that does not need it")
        return
    low = min(guest.memory or pc.MAX_MEMORY, pc.HOLE)
    why = _misplaced(segments, entry, low) or forbidden
    if why:
        say("BH071", "kernel", path=path, why=why, hint="link it for other addresses")
        return
    end = max(pc.HIGH_RAM, *(segment.end for segment in segments))
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


def _tags(image, offset):
    """(type, whether it is optional, where its fields are, their bytes) of a Multiboot2 header's tags."""
    end = offset + _u(image, offset + 8, 4)
    if end > min(len(image), 32768):
        raise IndexError
    at = offset + 16
    while at + 8 <= end:
        kind, flags, length = struct.unpack_from("<HHI", image, at)
        if length < TAG_LENGTHS.get(kind, 8) or length > end - at:
            raise IndexError
        if kind == TAG_END:
            return
        yield kind, flags & 1, at + 8, length - 8
        at = align_up(at + length, 8)
    raise IndexError


def _demand(image, version, offset):
    """What a kernel requires that there is not, or None."""
    if version == 1:
        flags = _u(image, offset + 4, 4)
        return ("it requires a video mode" if flags & 4 else
                "it requires something unknown (flags 3 to 15)" if flags & 0xFFF8 else None)
    if _u(image, offset + 4, 4):
        return "its header is for another architecture"
    for kind, optional, at, length in _tags(image, offset):
        if optional:
            continue
        if kind == TAG_REQUEST and any(item == 9 or item > 21 for item in struct.unpack_from(
                f"<{length // 4}I", image, at)):
            return "it requires boot information that is not provided"
        if kind == TAG_CONSOLE and _u(image, at, 4) & 1:
            return "it requires a screen"
        if kind > TAG_RELOCATABLE:
            return f"it requires something unknown (tag {kind})"
    return None


def _segments(image, version, offset):
    """What is loaded, and the address of the entry point or None."""
    fields = entry = None
    if version == 1 and _u(image, offset + 4, 4) & 0x10000:
        *fields, entry = struct.unpack_from("<5I", image, offset + 12)
    for kind, _, at, _ in _tags(image, offset) if version == 2 else ():
        if kind == TAG_ADDRESS:
            fields = struct.unpack_from("<4I", image, at)
        elif kind == TAG_ENTRY:
            entry = _u(image, at, 4)
    if fields:
        return [_addressed(image, version, offset, *fields)], entry
    segments, own = _elf_segments(image)
    return segments, own if entry is None else entry


def _addressed(image, version, offset, header, load, load_end, bss_end):
    """The one segment that the header's own addresses describe."""
    if version == 2 and load == 0xFFFFFFFF:  # from the file's beginning
        load = header - offset
    start = offset - (header - load)
    length = (load_end or load + len(image) - start) - load
    if load < 0 or header < load or start < 0 or length < 0 or start + length > len(image):
        raise IndexError
    return Range(load, max(length, (bss_end or load) - load), "the image")


def _elf_segments(image):
    """What an ELF file's program headers say is loaded, and the physical address of its entry."""
    if image[:4] != b"\x7fELF" or image[4] not in (1, 2) or image[5] != 1 or _u(image, 18, 2) not in ELF_X86:
        return [], None
    word = 8 if image[4] == 2 else 4
    entry, table = _u(image, 24, word), _u(image, 24 + word, word)
    entry_size, count = struct.unpack_from("<HH", image, 30 + 3 * word)
    found, physical = [], None
    for at in range(table, table + count * entry_size, entry_size) if entry_size else ():
        if entry_size < 6 * word or at + 6 * word > len(image):
            raise IndexError
        if _u(image, at, 4) != PT_LOAD:
            continue
        offset, virtual, base, filled, length = struct.unpack_from(f"<5{'Q' if word == 8 else 'I'}", image,
                                                                   at + word)
        if filled > length or offset + filled > len(image):
            raise IndexError
        if length:
            found.append(Range(base, length, f"segment {(at - table) // entry_size}"))
        if virtual <= entry < virtual + length:
            physical = base + entry - virtual
    return found, physical


def _forbidden(image, version, offset, segments):
    """Whether a relocatable kernel may not be where it is linked; kernels are not moved."""
    for kind, _, at, _ in _tags(image, offset) if version == 2 and segments else ():
        if kind != TAG_RELOCATABLE:
            continue
        low, high, step = struct.unpack_from("<3I", image, at)
        begin = min(segment.base for segment in segments)
        end = max(segment.end for segment in segments)
        if begin < low or end - 1 > high or step and begin % step:
            return "its relocatable tag forbids its own addresses, and kernels are not moved"
    return None


def _misplaced(segments, entry, low):
    """What is wrong with the places of segments and entry, or None."""
    if not segments:
        return "it is no ELF file for x86 with segments to load, and its header gives no addresses"
    if len(segments) > MAX_SEGMENTS:
        return f"it has more than {MAX_SEGMENTS} segments"
    for index, segment in enumerate(segments):
        if segment.base < pc.HIGH_RAM and segment.end > pc.LOW_RAM_END:
            return f"{segment.what} at {segment.show()} meets 0x9f000-0xfffff, which is not RAM"
        if segment.end > low:
            return f"{segment.what} at {segment.show()} is beyond its memory below 3G"
        for other in segments[:index]:
            if segment.meets(other):
                return f"{segment.what} at {segment.show()} overlaps {other.what} at {other.show()}"
    if not any(segment.base <= (-1 if entry is None else entry) < segment.end for segment in segments):
        return "its entry point is in none of its segments"
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
