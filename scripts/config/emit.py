# SPDX-License-Identifier: BSD-2-Clause
"""What a config becomes: constant C tables (guest/config.h), the images, and the manifest.

Everything written depends on the config and the images only, and names files relative to the
current folder, in which the compiler has to run.
"""
import json
import os
import re

import check
import map_svg
import pc

BY = "Written by scripts/config; do not edit."


def write_all(machine, outdir):
    """Every output of a config without problems."""
    os.makedirs(outdir, exist_ok=True)
    data = manifest(machine)
    for name, text in (("config.c", config_c(machine)), ("images.S", images_s(machine)),
                       ("manifest.json", json.dumps(data, indent=1) + "\n"),
                       ("map.svg", map_svg.svg(data))):
        write_if_changed(os.path.join(outdir, name), text)


def write_if_changed(path, text):
    """Leaves an equal file's time alone, so that make rebuilds only what differs."""
    if os.path.exists(path):
        with open(path, "rb") as stream:
            if stream.read() == text.encode():
                return
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


# ---- C --------------------------------------------------------------------------------------


def c_string(text):
    """A C string literal of plain ASCII text; '?' escaped because of trigraphs."""
    return '"' + re.sub(r'(["\\?])', r"\\\1", text) + '"'


def c_bool(value):
    """true or false."""
    return str(bool(value)).lower()


class Tables:
    """The text of config.c: arrays first, then what points to them."""

    def __init__(self, machine):
        self.machine = machine
        self.images = machine.images()
        self.arrays = []

    def array(self, kind, name, rows):
        """A constant array with its name; NULL if it is empty."""
        if not rows:
            return "NULL"
        body = ", ".join(rows)
        if len(body) > 80 or rows[0].startswith("{"):
            body = "\n    " + ",\n    ".join(rows) + ",\n"
        self.arrays.append(f"static const {kind} {name}[] = {{{body}}};\n")
        return name

    def image(self, image):
        """A struct guest_image."""
        if image is None:
            return "{NULL, 0}"
        return f"{{image_{self.number(image.path)}, {len(image.content)}}}"

    def number(self, path):
        """Of an embedded file."""
        return list(self.images).index(path)

    def files(self):
        """Every embedded file with its hash."""
        rows = []
        for number, (path, file) in enumerate(self.images.items()):
            digest = ", ".join(f"{byte:#04x}" for byte in file.sha256.digest())
            rows.append(f"{{{{image_{number}, {len(file.content)}}}, {c_string(path)}, {{{digest}}}}}")
        return self.array("struct guest_file", "files", rows)

    def fw_cfg(self, guest):
        """The fields of a guest's fw_cfg."""
        if not guest.fw_cfg:
            return []
        rows = []
        for number, item in enumerate(guest.fw_cfg.files):
            data = self.image(item.image)
            if item.content:
                name = self.array("uint8_t", f"text_{guest.index}_{number}",
                                  [f"{byte:#04x}" for byte in item.content])
                data = f"{{{name}, {len(item.content)}}}"
            rows.append(f"{{{c_string(item.name)}, {data}}}")
        return [
            ("fw_cfg", "true"),
            ("fw_cfg_files", self.array("struct fw_cfg_file", f"items_{guest.index}", rows)),
            ("fw_cfg_file_count", len(rows)),
            ("fw_cfg_kernel", self.image(guest.fw_cfg.kernel)),
            ("fw_cfg_initrd", self.image(guest.fw_cfg.initrd)),
            ("fw_cfg_cmdline", c_string(guest.fw_cfg.cmdline)),
        ]

    def guest(self, guest):
        """A struct guest_config."""
        n = guest.index
        line = self.machine.source.line
        used = sorted({self.number(image.path) for image in guest.images()})
        modules = [f"{{{c_string(m.string)}, {self.image(m.image)}}}" for m in guest.modules]
        shares = [f"{{{s.region}, {c_bool(s.write)}, {s.irq or 0}, {s.at:#x}}}"
                  for s in guest.shares]
        without = sum(1 << pc.FEATURES.index(name) for name in set(guest.without))
        fields = [
            ("name", c_string(guest.name)),
            ("type", f"GUEST_{guest.type.upper()}"),
            ("cores", self.array("uint16_t", f"cores_{n}", list(map(str, guest.cores)))),
            ("vcpu_count", len(guest.cores)),
            ("memory", f"{guest.memory:#x}"),
            ("kernel", self.image(guest.kernel)),
            ("initrd", self.image(guest.initrd)),
            ("cmdline", c_string(guest.cmdline)),
            ("modules", self.array("struct guest_module", f"modules_{n}", modules)),
            ("module_count", len(modules)),
            ("load_gpa", f"{guest.load if guest.type == 'flat' else 0:#x}"),
            ("entry_gpa", f"{guest.entry if guest.type == 'flat' else 0:#x}"),
            *self.fw_cfg(guest),
            ("hpet", c_bool(guest.hpet)),
            ("without", f"{without:#x}"),
            ("direct", c_bool(guest.direct)),
            ("exit_port", f"{guest.exit_port:#x}"),
            *((key, c_policy(policy)) for key, policy in guest.policies.items()),
            ("watchdog_s", guest.watchdog),
            ("watchdog_port", f"{guest.watchdog_port:#x}"),
            ("files", self.array("uint16_t", f"uses_{n}", list(map(str, used)))),
            ("file_count", len(used)),
            ("shares", self.array("struct guest_share", f"shares_{n}", shares)),
            ("share_count", len(shares)),
            ("cpus_line", line(guest.at("cpus"))),
            ("apic_line", line(guest.at("apic")) if guest.direct else 0),
            ("memory_line", line(guest.at("memory"))),
        ]
        return "{\n" + "".join(f"        .{key} = {value},\n" for key, value in fields) + "    }"

    def machine_fields(self):
        """The fields of struct machine_config."""
        m = self.machine
        guests = self.array("struct guest_config", "guests", [self.guest(g) for g in m.guests])
        ranges = [f"{{{first:#x}, {last + 1 - first:#x}}}" for (first, last), _ in m.ranges]
        regions = [f"{{{c_string(r.name)}, {r.len:#x}, {m.source.line(r.place + ('size',))}}}"
                   for r in m.regions]
        return [
            ("name", c_string(m.name)),
            ("source", c_string(m.source.path)),
            ("guests", guests),
            ("guest_count", len(m.guests)),
            ("console_guest", m.guest(m.console).index if m.console else 0),
            ("cores", m.cores or 0),
            ("cores_line", m.source.line(("machine", "cores")) if m.cores else 0),
            ("memory", f"{m.memory or 0:#x}"),
            ("memory_line", m.source.line(("machine", "memory")) if m.memory else 0),
            ("share_threads", c_bool(m.share_threads)),
            ("ranges", self.array("struct host_range", "ranges", ranges)),
            ("range_count", len(ranges)),
            ("ranges_line", m.source.line(("machine", "ranges")) if ranges else 0),
            ("files", self.files()),
            ("file_count", len(self.images)),
            ("regions", self.array("struct region_config", "regions", regions)),
            ("region_count", len(regions)),
        ]


def c_policy(policy):
    """A struct guest_policy."""
    action = "GUEST_RESTART" if policy.restart else "GUEST_HALT"
    return f"{{{action}, {policy.limit}, {policy.within}}}"


def config_c(machine):
    """The tables."""
    tables = Tables(machine)
    fields = "".join(f"    .{key} = {value},\n" for key, value in tables.machine_fields())
    includes = "".join(f'#include "{name}"\n' for name in pc.C_HEADERS)
    facts = "".join(f'_Static_assert({name} == {value:#x}, "scripts/config/pc.py");\n'
                    for name, value in pc.C_FACTS.items())
    externs = "".join(f"extern const uint8_t image_{i}[];\n" for i in range(len(tables.images)))
    return f"""/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine '{machine.name}'. {BY} */
#include "guest/config.h"

{includes}
/* What the compiler of configs took for granted. */
{facts}
{externs}
{''.join(tables.arrays)}
const struct machine_config machine_config = {{
{fields}}};

struct vm vms[{len(machine.guests)}];
"""


def images_s(machine):
    """The images, each on a page of its own."""
    parts = [
        "/* SPDX-License-Identifier: BSD-2-Clause */\n"
        f"/* The guests' images of '{machine.name}'. {BY} */\n"
        '    .section .guest_images, "a", @progbits\n'
    ]
    for index, (path, file) in enumerate(machine.images().items()):
        length = len(file.content)
        parts.append(
            f"    .balign 4096\n"
            f"    .globl image_{index}\n"
            f"    .type image_{index}, @object\n"
            f"    .size image_{index}, {length}\n"
            f"image_{index}:\n"
        )
        if length:
            parts.append(f'    .incbin "{path}", 0, {length}\n')
    parts.append('    .balign 4096\n    .section .note.GNU-stack, "", @progbits\n')
    return "".join(parts)


# ---- the manifest ---------------------------------------------------------------------------


def manifest(machine):
    """What the image is, for programs: who has what, and who can touch what."""
    said = machine.source.value.get("machine")
    return {
        "format": 1,
        "name": machine.name,
        "source": machine.source.path,
        "release": machine.release,
        "console": machine.console or machine.guests[0].name,
        "machine": said and {
            "cores": machine.cores,
            "memory": machine.memory,
            "threads": machine.threads,
            "share_threads": machine.share_threads,
            "ranges": [{"base": first, "len": last + 1 - first}
                       for (first, last), _ in machine.ranges],
        },
        "guests": [manifest_guest(machine, guest) for guest in machine.guests],
        "shared": [manifest_region(region) for region in machine.regions],
    }


def manifest_guest(machine, guest):
    """One guest's part."""
    devices = list(pc.DEVICES)
    devices += ["HPET"] * guest.hpet + ["fw_cfg"] * bool(guest.fw_cfg)
    devices += ["watchdog"] * bool(guest.watchdog) + ["debug exit"] * bool(guest.exit_port)
    places = [{"base": r.base, "len": r.len, "access": access, "what": r.what}
              for r, access in check.memory_map(guest)]
    places += [{"base": share.at, "len": machine.regions[share.region].len,
                "access": "rw" if share.write else "r",
                "what": f"shared:{machine.regions[share.region].name}"} for share in guest.shares]
    return {
        "name": guest.name,
        "type": guest.type,
        "cpus": guest.cores,
        "memory": guest.memory,
        "files": [{"use": image.use, "path": image.path, "bytes": len(image.content),
                   "sha256": image.file.sha256.hexdigest()}
                  for image in guest.images()],
        "cmdline": guest.cmdline,
        "map": sorted(places, key=lambda place: place["base"]),
        "ports": [{"base": r.base, "len": r.len, "device": r.what}
                  for r in sorted(check.ports(machine, guest))],
        "irqs": [{"irq": irq, "device": device}
                 for irq, device, _ in sorted(check.irqs(machine, guest))],
        "devices": devices,
        "apic": "direct" if guest.direct else "virtual",
        "without": guest.without,
        "debug": {"exit_port": guest.exit_port} if guest.exit_port else None,
        "watchdog": {"timeout": guest.watchdog, "port": guest.watchdog_port}
        if guest.watchdog else None,
        **{key: manifest_policy(policy) for key, policy in guest.policies.items()},
        "host_ports": [],
        "host_msrs": {
            "read": sorted(pc.GUEST_MSRS + (pc.MSR_TSC,) + pc.DIRECT_READ * guest.direct),
            "write": sorted(pc.GUEST_MSRS + pc.DIRECT_WRITE * guest.direct),
        },
    }


def manifest_policy(policy):
    """An action with its limits."""
    if not policy.restart:
        return {"action": "halt"}
    limits = {"limit": policy.limit, "within": policy.within}
    return {"action": "restart", **{key: value for key, value in limits.items() if value}}


def manifest_region(region):
    """A shared region."""
    return {
        "name": region.name,
        "len": region.len,
        "writer": next(share.guest.name for share in region.shares if share.write),
        "readers": [share.guest.name for share in region.shares if not share.write],
        "doorbells": {share.guest.name: share.irq for share in region.shares
                      if share.irq is not None},
    }
