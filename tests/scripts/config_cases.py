# SPDX-License-Identifier: BSD-2-Clause
"""A good config, and for every rule what breaks it and the whole of what is said then."""
import struct

GOOD = """\
machine: {cores: 8, memory: 8G, threads: [[4, 5], [6, 7]]}
guests:
  - name: linux
    type: linux
    cpus: [0]
    memory: 64M
    kernel: deps:vmlinuz
    initrd: build:initrd
    cmdline: console=ttyS0
  - name: beat
    type: flat
    cpus: 1
    memory: 16M
    kernel: build:beat.bin
    load: 0x200000
    debug: {exit_port: 0xf4}
  - name: kernel
    type: multiboot
    memory: 32M
    kernel: build:kernel.elf
    cmdline: verbose
    modules: [{file: "build:initrd", string: one}]
    on_crash: {restart: 3, within: 5min}
    devices:
      watchdog: {timeout: 30s}
  - name: bios
    type: firmware
    cpus: 2
    memory: 16M
    kernel: build:rom.bin
    without: [x2apic, tpr-shadow]
    on_reset: halt
    devices:
      hpet: true
      fw_cfg:
        kernel: deps:vmlinuz
        initrd: build:initrd
        cmdline: console=ttyS0
        files:
          - {name: etc/sercon-port, string: "\\xf8\\x03"}
          - {name: opt/beat, file: "build:beat.bin"}
          - {name: opt/none, string: ""}
shared:
  - name: ring
    size: 64K
    writer: {guest: linux, at: 0xd0000000, doorbell: 10}
    readers:
      - {guest: beat, at: 0xd0000000, doorbell: 11}
      - {guest: kernel, at: 0xe0000000}
"""


def bzimage(version=0x020F, xloadflags=1, magic=b"HdrS", syssize=64, initrd_max=0x7FFFFFFF,
            loadflags=1, align=2 << 20, jump=0x6A, cmdline=2047):
    """The header of a kernel that wants 16 MiB at 16 MiB, and 1 KiB of code."""
    image = bytearray(5 * 512 + 1024)
    image[0x1F1] = 4
    image[0x1F4:0x1F8] = syssize.to_bytes(4, "little")
    image[0x1FE:0x202] = b"\x55\xaa\xeb" + bytes((jump,))
    image[0x202:0x206] = magic
    image[0x206:0x208] = version.to_bytes(2, "little")
    image[0x211] = loadflags
    image[0x22C:0x230] = initrd_max.to_bytes(4, "little")
    image[0x230:0x234] = align.to_bytes(4, "little")
    image[0x234] = 1
    image[0x236:0x238] = xloadflags.to_bytes(2, "little")
    image[0x238:0x23C] = cmdline.to_bytes(4, "little")
    image[0x258:0x260] = (16 << 20).to_bytes(8, "little")
    image[0x260:0x264] = (16 << 20).to_bytes(4, "little")
    return bytes(image)


def multiboot1(flags, *fields):
    """A Multiboot header, and some bytes of a kernel."""
    head = struct.pack("<III", 0x1BADB002, flags, 0xFFFFFFFF & -(0x1BADB002 + flags))
    return head + struct.pack(f"<{len(fields)}I", *fields) + bytes(100)


def multiboot2(*tags, arch=0, end=True):
    """A Multiboot2 header with tags (type, flags, numbers ...), and some bytes of a kernel."""
    body = b"".join((struct.pack("<HHI", kind, flags, 8 + 4 * len(numbers))
                     + struct.pack(f"<{len(numbers)}I", *numbers)).ljust((8 + 4 * len(numbers) + 7) // 8 * 8, b"\0")
                    for kind, flags, *numbers in tags + ((0, 0),) * end)
    head = struct.pack("<III", 0xE85250D6, arch, 16 + len(body))
    return head + struct.pack("<I", 0xFFFFFFFF & -sum(struct.unpack("<III", head))) + body + bytes(100)


PLACED = ((2, 0, 0x100000, 0x100000, 0, 0), (3, 0, 0x100040))  # address tag, entry tag


def elf(*segments, wide=False, header=True, entry=0x100000, machine=None):
    """A Multiboot kernel: an ELF file with (address, bytes in memory) segments of 256 bytes."""
    start = 0x200
    if wide:
        head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine or 62, 1, entry, 64, 0, 0,
                           64, 56, len(segments), 0, 0, 0)
        for base, length in segments:
            head += struct.pack("<IIQQQQQQ", 1, 7, start, base, base, 256, length, 4096)
    else:
        head = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, machine or 3, 1, entry, 52, 0, 0,
                           52, 32, len(segments), 0, 0, 0)
        for base, length in segments:
            head += struct.pack("<IIIIIIII", 1, start, base, base, 256, length, 7, 4096)
    magic = struct.pack("<III", 0x1BADB002, 0, 0xFFFFFFFF & -0x1BADB002) if header else bytes(12)
    return head.ljust(start, b"\0") + magic.ljust(256, b"\x90")



# (code, what is changed in GOOD or the whole config, files that are changed, everything that is said)
CASES = [
    ("BH002", "guests: [\n", {}, [
        "config/m.yaml:2: BH002: not valid YAML: expected the node content, but found '<stream end>'; correct the syntax there, or just before",
    ]),
    ("BH002", "", {}, [
        "config/m.yaml:1: BH002: not valid YAML: it is empty; correct the syntax there, or just before",
    ]),
    ("BH002", "a: b: c\n", {}, [
        "config/m.yaml:1: BH002: not valid YAML: mapping values are not allowed here; correct the syntax there, or just before",
    ]),
    ("BH002", "\u0001", {}, [
        "config/m.yaml:1: BH002: not valid YAML: unacceptable character #x0001: special characters are not allowed; correct the syntax there, or just before",
    ]),
    ("BH002", "a: &x [*x]\n", {}, [
        "config/m.yaml:1: BH002: not valid YAML: it is too large or too deep; correct the syntax there, or just before",
    ]),
    ("BH003", [("load:", "lod:")], {}, [
        "config/m.yaml:15: BH003: guest 'beat': unknown key 'lod'; did you mean 'load'?",
    ]),
    ("BH003", [("guests:\n", "consol: x\nguests:\n")], {}, [
        "config/m.yaml:2: BH003: config: unknown key 'consol'; did you mean 'console'?",
    ]),
    ("BH003", [("debug: {exit_port", "debug: {zzz")], {}, [
        "config/m.yaml:16: BH003: guest 'beat': debug: unknown key 'zzz'; known keys: exit_port",
    ]),
    ("BH003", [("    debug: {exit_port: 0xf4}\n", "    hpet: true\n")], {}, [
        "config/m.yaml:16: BH003: guest 'beat': unknown key 'hpet'; write it under devices:",
    ]),
    ("BH003", [("within: 5min", "withn: 5min")], {}, [
        "config/m.yaml:23: BH003: guest 'kernel': on_crash: unknown key 'withn'; did you mean 'within'?",
    ]),
    ("BH003", [("at: 0xe0000000", "att: 0xe0000000")], {}, [
        "config/m.yaml:49: BH003: shared region 'ring': readers: kernel: unknown key 'att'; did you mean 'at'?",
        "config/m.yaml:49: BH006: shared region 'ring': readers: kernel: 'at' is missing; add for example at: 0xd0000000",
    ]),
    ("BH004", [("    cpus: 1\n", "    cpus: 1\n    cpus: 1\n")], {}, [
        "config/m.yaml:13: BH004: guest 'beat': 'cpus' is given twice (also config/m.yaml:12); remove one of the two",
    ]),
    ("BH005", [("    load: 0x200000\n", "    cmdline: x\n")], {}, [
        "config/m.yaml:15: BH005: guest 'beat': 'cmdline' has no meaning for type flat; remove it",
    ]),
    ("BH005", [("    without: [x2apic, tpr-shadow]\n", "    cmdline: x\n")], {}, [
        "config/m.yaml:31: BH005: guest 'bios': 'cmdline' has no meaning for type firmware; remove it or move it to devices: fw_cfg:",
    ]),
    ("BH006", [("    memory: 16M\n    kernel: build:beat.bin\n", "    kernel: build:beat.bin\n")], {}, [
        "config/m.yaml:10: BH006: guest 'beat': 'memory' is missing; add for example memory: 256M",
    ]),
    ("BH006", [("  - name: beat\n    type", "  - type")], {}, [
        "config/m.yaml:10: BH006: guest number 2: 'name' is missing; add name: with 1 to 15 of a-z, 0-9 and '-'",
    ]),
    ("BH006", [("{name: opt/none, string: \"\"}", "{name: opt/none}")], {}, [
        "config/m.yaml:42: BH006: guest 'bios': devices: fw_cfg: files: opt/none: 'file' or 'string' is missing; add one of them",
    ]),
    ("BH006", [("timeout: 30s", "port: 0x700")], {}, [
        "config/m.yaml:25: BH006: guest 'kernel': devices: watchdog: 'timeout' is missing; add for example timeout: 30s",
    ]),
    ("BH006", "name: x\n", {}, [
        "config/m.yaml:1: BH006: config: 'guests' is missing; add guests: and a list of them",
    ]),
    ("BH007", "- x\n", {}, [
        "config/m.yaml:1: BH007: config: a list of 1 is not understood; write a mapping; begin it with guests:",
    ]),
    ("BH007", "guests: x\n", {}, [
        "config/m.yaml:1: BH007: guests: 'x' is not understood; write a list of 1 to 9 guests; write - name: ... for each",
    ]),
    ("BH007", "guests: []\n", {}, [
        "config/m.yaml:1: BH007: guests: an empty list is not understood; write a list of 1 to 9 guests; write - name: ... for each",
    ]),
    ("BH007", "guests: [x]\n", {}, [
        "config/m.yaml:1: BH007: guest number 1: 'x' is not understood; write a mapping; write name:, type:, memory:, kernel:",
    ]),
    ("BH007", [("type: flat", "type: bios")], {}, [
        "config/m.yaml:11: BH007: guest 'beat': type: 'bios' is not understood; write a type: linux, multiboot, flat or firmware",
    ]),
    ("BH007", [("name: beat\n", "name: Beat\n")], {}, [
        "config/m.yaml:10: BH007: guest 'Beat': name: 'Beat' is not understood; write a name: 1 to 15 of a-z, 0-9 and '-', beginning with a letter",
    ]),
    ("BH007", [("memory: 64M", "memory: lots")], {}, [
        "config/m.yaml:6: BH007: guest 'linux': memory: 'lots' is not understood; write a size, such as 256M or 1G",
    ]),
    ("BH007", [("memory: 64M", "memory: 1.5G")], {}, [
        "config/m.yaml:6: BH007: guest 'linux': memory: '1.5G' is not understood; write a size, such as 256M or 1G",
    ]),
    ("BH007", [("memory: 64M", "memory: 67108864.0")], {}, [
        "config/m.yaml:6: BH007: guest 'linux': memory: '67108864.0' is not understood; write a size, such as 256M or 1G",
    ]),
    ("BH007", [("load: 0x200000", "load: 2097152.0")], {}, [
        "config/m.yaml:15: BH007: guest 'beat': load: '2097152.0' is not understood; write an address from 0 to 0xffffffff, such as 0x100000",
    ]),
    ("BH007", [("cores: 8", "cores: 8.0")], {}, [
        "config/m.yaml:1: BH007: machine: cores: '8.0' is not understood; write a number from 1 to 48",
    ]),
    ("BH007", [("memory: 64M", "memory: \"64M\\n\"")], {}, [
        "config/m.yaml:6: BH007: guest 'linux': memory: '64M\\n' is not understood; write a size, such as 256M or 1G",
    ]),
    ("BH007", [("name: kernel\n", "name: \"kernel\\n\"\n")], {}, [
        "config/m.yaml:17: BH007: guest 'kernel\\n': name: 'kernel\\n' is not understood; write a name: 1 to 15 of a-z, 0-9 and '-', beginning with a letter",
    ]),
    ("BH007", [("cpus: 1\n", "cpus: many\n")], {}, [
        "config/m.yaml:12: BH007: guest 'beat': cpus: 'many' is not understood; write how many cores (2) or which ([2, 3])",
    ]),
    ("BH007", [("cpus: 1\n", "cpus: [x]\n")], {}, [
        "config/m.yaml:12: BH007: guest 'beat': cpus: 'x' is not understood; write a core number, 0 to 47",
    ]),
    ("BH007", [("cpus: [0]", "cpus: [-1]")], {}, [
        "config/m.yaml:5: BH007: guest 'linux': cpus: '-1' is not understood; write a core number, 0 to 47",
    ]),
    ("BH007", [("cmdline: verbose", "cmdline: 5")], {}, [
        "config/m.yaml:21: BH007: guest 'kernel': cmdline: '5' is not understood; write text in quotes",
    ]),
    ("BH007", [("kernel: build:beat.bin", "kernel: out:beat.bin")], {}, [
        "config/m.yaml:14: BH007: guest 'beat': kernel: 'out:beat.bin' is not understood; write the path of an image: build:FILE, deps:FILE, or a path from the root of the tree, of letters, digits and . _ / + ~ @ -",
    ]),
    ("BH007", [("kernel: build:beat.bin", "kernel: 'build:a b'")], {}, [
        "config/m.yaml:14: BH007: guest 'beat': kernel: 'build:a b' is not understood; write the path of an image: build:FILE, deps:FILE, or a path from the root of the tree, of letters, digits and . _ / + ~ @ -",
    ]),
    ("BH007", [("exit_port: 0xf4", "exit_port: 0x10000")], {}, [
        "config/m.yaml:16: BH007: guest 'beat': debug: exit_port: '0x10000' is not understood; write a port from 1 to 0xfff8, such as 0x3f8",
    ]),
    ("BH007", [("exit_port: 0xf4", "exit_port: 3f8")], {}, [
        "config/m.yaml:16: BH007: guest 'beat': debug: exit_port: '3f8' is not understood; write a port from 1 to 0xfff8, such as 0x3f8",
    ]),
    ("BH007", [("[x2apic, tpr", "[x3apic, tpr")], {}, [
        "config/m.yaml:31: BH007: guest 'bios': without: 'x3apic' is not understood; write a feature: tpr-shadow, apic-access, apic-registers, virtual-interrupts, posted-interrupts or x2apic",
    ]),
    ("BH007", [("hpet: true", "hpet: 1")], {}, [
        "config/m.yaml:34: BH007: guest 'bios': devices: hpet: '1' is not understood; write true or false",
    ]),
    ("BH007", [("on_reset: halt", "on_reset: never")], {}, [
        "config/m.yaml:32: BH007: guest 'bios': on_reset: 'never' is not understood; write one of halt, restart, or {restart: 3, within: 60s}",
    ]),
    ("BH007", [("{restart: 3,", "{restart: 0,")], {}, [
        "config/m.yaml:23: BH007: guest 'kernel': on_crash: restart: '0' is not understood; write a number of restarts, at least 1",
    ]),
    ("BH007", [("timeout: 30s", "timeout: 2d")], {}, [
        "config/m.yaml:25: BH007: guest 'kernel': devices: watchdog: timeout: '2d' is not understood; write a time, such as 30s or 5min, up to 65535s",
    ]),
    ("BH007", [("cores: 8", "cores: 0")], {}, [
        "config/m.yaml:1: BH007: machine: cores: '0' is not understood; write a number from 1 to 48",
    ]),
    ("BH007", [("memory: 8G,", "memory: 8G, ranges: [1-2-3],")], {}, [
        "config/m.yaml:1: BH007: machine: ranges: '1-2-3' is not understood; write a range, such as 0x100000000-0x1ffffffff",
    ]),
    ("BH007", [("\"\\xf8\\x03\"", "\"\\u0100\"")], {}, [
        "config/m.yaml:40: BH007: guest 'bios': devices: fw_cfg: files: etc/sercon-port: string: '\u0100' is not understood; write text without characters above FFH; write bytes as \"\\x00\" to \"\\xff\"",
    ]),
    ("BH007", [("doorbell: 10", "doorbell: 16")], {}, [
        "config/m.yaml:46: BH007: shared region 'ring': writer: doorbell: '16' is not understood; write an ISA interrupt, 0 to 15",
    ]),
    ("BH010", [("name: beat\n", "name: linux\n"), ("guest: beat,", "guest: bios,")], {}, [
        "config/m.yaml:10: BH010: guest 'linux': the name is used twice (also config/m.yaml:3); choose another",
    ]),
    ("BH010", [("    size: 64K\n", "    size: 64K\n    writer: {guest: bios, at: 0xd1000000}\n    readers: [{guest: linux, at: 0xd1000000}]\n  - name: ring\n    size: 4K\n")], {}, [
        "config/m.yaml:48: BH010: shared region 'ring': the name is used twice (also config/m.yaml:44); choose another",
    ]),
    ("BH011", [("name: beat\n", "name: bulkhead\n"), ("guest: beat,", "guest: bulkhead,")], {}, [
        "config/m.yaml:10: BH011: guest 'bulkhead': the name is the hypervisor's own on the console; choose another",
    ]),
    ("BH012", [("guests:\n", "console: bea\nguests:\n")], {}, [
        "config/m.yaml:2: BH012: console: there is no guest 'bea'; name one of linux, beat, kernel, bios",
    ]),
    ("BH012", [("guest: beat,", "guest: bat,")], {}, [
        "config/m.yaml:48: BH012: shared region 'ring': there is no guest 'bat'; name one of linux, beat, kernel, bios",
    ]),
    ("BH020", [("cpus: 1\n", "cpus: [0]\n")], {}, [
        "config/m.yaml:12: BH020: guest 'beat': core 0 is used twice (also config/m.yaml:5); choose another core, or fewer",
    ]),
    ("BH020", [("cpus: 1\n", "cpus: [1, 1]\n")], {}, [
        "config/m.yaml:12: BH020: guest 'beat': core 1 is used twice (also config/m.yaml:12); choose another core, or fewer",
    ]),
    ("BH021", [("cpus: [0]", "cpus: [0, 8]")], {}, [
        "config/m.yaml:5: BH021: guest 'linux' wants core 8, but the machine has 8 (0..7) (also config/m.yaml:1); change cpus, or machine: cores",
    ]),
    ("BH021", [("[6, 7]", "[6, 8]")], {}, [
        "config/m.yaml:1: BH021: machine: threads wants core 8, but the machine has 8 (0..7) (also config/m.yaml:1); change cpus, or machine: cores",
    ]),
    ("BH022", [("cpus: [0]", "cpus: [4]"), ("cpus: 1\n", "cpus: [5]\n")], {}, [
        "config/m.yaml:12: BH022: guest 'beat': core 5 and core 4 of guest 'linux' are hardware threads of one core (also config/m.yaml:5); give both to one guest, or set machine: share_threads",
    ]),
    ("BH023", [("cpus: 1\n", "cpus: 9\n")], {}, [
        "config/m.yaml:12: BH023: guest 'beat': 9 cores; a guest has 1 to 8",
    ]),
    ("BH023", [("cpus: 1\n", "cpus: []\n")], {}, [
        "config/m.yaml:12: BH023: guest 'beat': 0 cores; a guest has 1 to 8",
    ]),
    ("BH023", [("cpus: 1\n", "cpus: -1\n")], {}, [
        "config/m.yaml:12: BH023: guest 'beat': -1 cores; a guest has 1 to 8",
    ]),
    ("BH024", [("cpus: 2\n", "cpus: 6\n")], {}, [
        "config/m.yaml:28: BH024: guest 'bios': 6 free cores are wanted, 5 are left (also config/m.yaml:1); use fewer, or correct machine: cores",
    ]),
    ("BH024", [("cores: 8, ", ""), ("cpus: [0]", "cpus: [4, 6]"), ("cpus: 1\n", "cpus: [8, 9, 10, 11, 12, 13, 14, 15]\n"), ("    memory: 32M\n", "    cpus: [16, 17, 18, 19, 20, 21, 22, 23]\n    memory: 32M\n"), ("shared:\n", "  - {name: x, type: flat, cpus: [24,25,26,27,28,29,30,31], memory: 16M, kernel: 'build:beat.bin'}\n  - {name: y, type: flat, cpus: [32,33,34,35,36,37,38,39], memory: 16M, kernel: 'build:beat.bin'}\n  - {name: z, type: flat, cpus: [40,41,42,43,44,45,46,47], memory: 16M, kernel: 'build:beat.bin'}\n  - {name: w, type: flat, cpus: 3, memory: 16M, kernel: 'build:beat.bin'}\nshared:\n")], {}, [
        "config/m.yaml:47: BH024: guest 'w': 3 free cores are wanted, 2 are left; use fewer",
    ]),
    ("BH008", [("{name: opt/none, string: \"\"}", "{name: opt/none, string: \"\", file: \"build:initrd\"}")], {}, [
        "config/m.yaml:42: BH008: guest 'bios': devices: fw_cfg: files: opt/none: 'file' or 'string', but not both; remove one of them",
    ]),
    ("BH007", "guests:\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n  - {name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n", {}, [
        "config/m.yaml:1: BH007: guests: a list of 10 is not understood; write a list of 1 to 9 guests; write - name: ... for each",
    ]),
    ("BH068", [], {".deps/vmlinuz": bzimage(cmdline=12)}, [
        "config/m.yaml:9: BH068: guest 'linux': 13 characters, at most 12 are possible (also config/m.yaml:7); shorten it",
    ]),
    ("BH025", [("[6, 7]", "[5, 7]")], {}, [
        "config/m.yaml:1: BH025: machine: core 5 is in two lists of threads (also config/m.yaml:1); a core is in one of them",
    ]),
    ("BH026", [("    load: 0x200000\n", "    apic: direct\n"), ("cpus: 1\n", "cpus: 2\n")], {}, [
        "config/m.yaml:15: BH026: guest 'beat': apic: direct with 2 cores (also config/m.yaml:12); use one core, or apic: virtual",
    ]),
    ("BH027", [("    load: 0x200000\n", "    apic: direct\n"), ("cpus: 1\n", "cpus: [0]\n"), ("cpus: [0]\n    memory: 64M", "cpus: [3]\n    memory: 64M")], {}, [
        "config/m.yaml:15: BH027: guest 'beat': apic: direct on core 0 (also config/m.yaml:12); choose another core, or apic: virtual",
    ]),
    ("BH008", [("    load: 0x200000\n", "    apic: direct\n    without: [x2apic]\n")], {}, [
        "config/m.yaml:16: BH008: guest 'beat': 'without' and 'apic: direct', but not both (also config/m.yaml:15); remove one of them",
    ]),
    ("BH005", [("    without: [x2apic, tpr-shadow]\n", "    apic: direct\n")], {}, [
        "config/m.yaml:31: BH005: guest 'bios': 'apic' has no meaning for type firmware; remove it",
    ]),
    ("BH007", [("    load: 0x200000\n", "    apic: real\n")], {}, [
        "config/m.yaml:15: BH007: guest 'beat': apic: 'real' is not understood; write virtual or direct",
    ]),
    ("BH030", [("memory: 64M", "memory: 8M")], {}, [
        "config/m.yaml:6: BH030: guest 'linux': memory: '8M' is out of range; use 16M to 64G",
    ]),
    ("BH030", [("memory: 64M", "memory: 65G")], {}, [
        "config/m.yaml:6: BH030: guest 'linux': memory: '65G' is out of range; use 16M to 64G",
    ]),
    ("BH030", [("size: 64K", "size: 2G")], {}, [
        "config/m.yaml:45: BH030: shared region 'ring': size: '2G' is out of range; use 4K to 1G",
    ]),
    ("BH031", [("memory: 64M", "memory: 65M")], {}, [
        "config/m.yaml:6: BH031: guest 'linux': memory: '65M' is not a multiple of 2M; use 64M or 66M",
    ]),
    ("BH031", [("size: 64K", "size: 5000")], {}, [
        "config/m.yaml:45: BH031: shared region 'ring': size: '5000' is not a multiple of 4K; use 4K or 8K",
    ]),
    ("BH032", [("memory: 8G", "memory: 100M")], {}, [
        "config/m.yaml:1: BH032: the guests need 133M with images and the hypervisor, the machine has 100M; give the guests less, or correct machine: memory",
    ]),
    ("BH033", [("memory: 8G,", "memory: 8G, ranges: [0x100000-0x3ffffff, 0x8000000-0x9ffffff],")], {}, [
        "config/m.yaml:6: BH033: guest 'linux': its 64M of memory have no place in machine: ranges (also config/m.yaml:1); widen them, or lower memory",
    ]),
    ("BH033", "machine: {ranges: [0x100000000-0x100ffffff, 0x110000000-0x110ffffff, 0x120001000-0x121200fff]}\nguests: [{name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}, {name: b, type: flat, memory: 16M, kernel: 'build:beat.bin'}]\nshared: [{name: r, size: 18M, writer: {guest: a, at: 0xd0000000}, readers: [{guest: b, at: 0xd0000000}]}]\n", {}, [
        "config/m.yaml:3: BH033: shared region 'r': its 18M of memory have no place in machine: ranges (also config/m.yaml:1); widen them, or lower memory",
    ]),
    ("BH033", "machine: {ranges: [0x0-0x10fffff]}\nguests: [{name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}]\n", {}, [
        "config/m.yaml:2: BH033: guest 'a': its 16M of memory have no place in machine: ranges (also config/m.yaml:1); widen them, or lower memory",
    ]),
    ("BH033", [("memory: 8G,", "memory: 8G, ranges: [0x100000000-0x105ffffff],")], {}, [
        "config/m.yaml:19: BH033: guest 'kernel': its 32M of memory have no place in machine: ranges (also config/m.yaml:1); widen them, or lower memory",
        "config/m.yaml:30: BH033: guest 'bios': its 8K of memory have no place in machine: ranges (also config/m.yaml:1); widen them, or lower memory",
        "config/m.yaml:45: BH033: shared region 'ring': its 64K of memory have no place in machine: ranges (also config/m.yaml:1); widen them, or lower memory",
    ]),
    ("BH034", [("memory: 8G,", "memory: 8G, ranges: [0x100000000-0x200000000],")], {}, [
        "config/m.yaml:1: BH034: machine: the range '0x100000000-0x200000000' is not whole pages of 4K, from a low to a high address; write it as 0x100000000-0x200000fff",
    ]),
    ("BH034", [("memory: 8G,", "memory: 8G, ranges: [0x200000000-0x1ffffffff],")], {}, [
        "config/m.yaml:1: BH034: machine: the range '0x200000000-0x1ffffffff' is not whole pages of 4K, from a low to a high address; write it as 0x1fffff000-0x200000fff",
    ]),
    ("BH035", [("memory: 8G,", "memory: 8G, ranges: [0x100000000-0x1ffffffff, 0x180000000-0x2ffffffff],")], {}, [
        "config/m.yaml:1: BH035: machine: the ranges 0x180000000-0x2ffffffff and 0x100000000-0x1ffffffff overlap (also config/m.yaml:1); make them one, or part them",
    ]),
    ("BH040", [("guest: beat, at: 0xd0000000", "guest: beat, at: 0xff0000")], {}, [
        "config/m.yaml:48: BH040: guest 'beat': shared region 'ring' at 0xff0000-0xffffff overlaps its RAM at 0x0-0xffffff (also config/m.yaml:13); move one of them",
    ]),
    ("BH040", [("guest: linux, at: 0xd0000000", "guest: linux, at: 0xfebf8000")], {}, [
        "config/m.yaml:46: BH040: guest 'linux': shared region 'ring' at 0xfebf8000-0xfec07fff overlaps the chip set at 0xfec00000-0xffffffff (which each guest has); move one of them",
    ]),
    ("BH040", [("guest: kernel, at: 0xe0000000", "guest: bios, at: 0xfed00000")], {}, [
        "config/m.yaml:49: BH040: guest 'bios': shared region 'ring' at 0xfed00000-0xfed0ffff overlaps the chip set at 0xfec00000-0xffffffff (which each guest has); move one of them",
    ]),
    ("BH040", [("guest: kernel, at: 0xe0000000", "guest: bios, at: 0xffff0000")], {}, [
        "config/m.yaml:49: BH040: guest 'bios': shared region 'ring' at 0xffff0000-0xffffffff overlaps its ROM at 0xffffe000-0xffffffff (also config/m.yaml:29); move one of them",
        "config/m.yaml:49: BH040: guest 'bios': shared region 'ring' at 0xffff0000-0xffffffff overlaps the chip set at 0xfec00000-0xffffffff (which each guest has); move one of them",
    ]),
    ("BH041", [("guest: beat, at: 0xd0000000", "guest: beat, at: 0xd0000800")], {}, [
        "config/m.yaml:48: BH041: shared region 'ring': the address 0xd0000800 is not a multiple of 4K; use 0xd0000000 or 0xd0001000",
    ]),
    ("BH041", [("size: 64K", "size: 4M"), ("guest: beat, at: 0xd0000000", "guest: beat, at: 0xd0100000")], {}, [
        "config/m.yaml:48: BH041: shared region 'ring': the address 0xd0100000 is not a multiple of 2M; use 0xd0000000 or 0xd0200000",
    ]),
    ("BH050", [("exit_port: 0xf4", "exit_port: 0x3f8")], {}, [
        "config/m.yaml:16: BH050: guest 'beat': the debug exit at port 0x3f8 overlaps the 16550A at 0x3f8-0x3ff (which each guest has); move it",
    ]),
    ("BH050", [("timeout: 30s", "timeout: 30s, port: 0x605")], {}, [
        "config/m.yaml:25: BH050: guest 'kernel': the watchdog at port 0x605-0x60c overlaps the ACPI PM at 0x600-0x60b (which each guest has); move it",
    ]),
    ("BH050", [("    devices:\n      watchdog: {timeout: 30s}", "    debug: {exit_port: 0x625}\n    devices:\n      watchdog: {timeout: 30s}")], {}, [
        "config/m.yaml:24: BH050: guest 'kernel': the debug exit at port 0x625 overlaps the watchdog at 0x620-0x627 (also config/m.yaml:26); move it",
    ]),
    ("BH051", [("doorbell: 10", "doorbell: 4")], {}, [
        "config/m.yaml:46: BH051: guest 'linux': interrupt 4 of the doorbell of 'ring' is that of the 16550A (which each guest has); use one of 1, 3, 5, 6, 7, 10, 11, 12, 13, 14, 15",
    ]),
    ("BH051", [("    readers:\n", "    readers:\n"), ("    size: 64K\n", "    size: 64K\n    writer: {guest: beat, at: 0xd1000000}\n    readers: [{guest: linux, at: 0xd1000000, doorbell: 10}]\n  - name: back\n    size: 4K\n")], {}, [
        "config/m.yaml:50: BH051: guest 'linux': interrupt 10 of the doorbell of 'back' is that of the doorbell of 'ring' (also config/m.yaml:47); use one of 1, 3, 5, 6, 7, 11, 12, 13, 14, 15",
    ]),
    ("BH052", [("        kernel: deps:vmlinuz\n        initrd", "        initrd")], {}, [
        "config/m.yaml:36: BH052: guest 'bios': fw_cfg: initrd without a kernel; add kernel:, or remove it",
        "config/m.yaml:37: BH052: guest 'bios': fw_cfg: cmdline without a kernel; add kernel:, or remove it",
    ]),
    ("BH060", [("kernel: build:beat.bin", "kernel: build:none")], {}, [
        "config/m.yaml:14: BH060: guest 'beat': kernel: cannot read build/none: No such file or directory; make it, or correct the path",
    ]),
    ("BH061", [], {".deps/vmlinuz": b''}, [
        "config/m.yaml:7: BH061: guest 'linux': .deps/vmlinuz is no bzImage (no 'HdrS' at 202H); use a distribution's vmlinuz",
    ]),
    ("BH061", [], {".deps/vmlinuz": bzimage(magic=b'hdrS')}, [
        "config/m.yaml:7: BH061: guest 'linux': .deps/vmlinuz is no bzImage (no 'HdrS' at 202H); use a distribution's vmlinuz",
    ]),
    ("BH062", [], {".deps/vmlinuz": bzimage(version=0x020B)}, [
        "config/m.yaml:7: BH062: guest 'linux': .deps/vmlinuz speaks boot protocol 2.11, 2.12 or later is needed; use a kernel of 2013 or later",
    ]),
    ("BH063", [], {".deps/vmlinuz": bzimage(xloadflags=0)}, [
        "config/m.yaml:7: BH063: guest 'linux': .deps/vmlinuz is not a 64-bit kernel (XLF_KERNEL_64 is clear); use an amd64 kernel",
    ]),
    ("BH064", [], {".deps/vmlinuz": bzimage(syssize=65)}, [
        "config/m.yaml:7: BH064: guest 'linux': .deps/vmlinuz is damaged: it is shorter than its header says; get it again",
    ]),
    ("BH064", [], {".deps/vmlinuz": bzimage(syssize=32)}, [
        "config/m.yaml:7: BH064: guest 'linux': .deps/vmlinuz is damaged: it has no code; get it again",
    ]),
    ("BH064", [], {".deps/vmlinuz": bzimage(jump=0x60)}, [
        "config/m.yaml:7: BH064: guest 'linux': .deps/vmlinuz is damaged: its header has an impossible length; get it again",
    ]),
    ("BH064", [], {".deps/vmlinuz": bzimage(loadflags=0)}, [
        "config/m.yaml:7: BH064: guest 'linux': .deps/vmlinuz is damaged: it is a zImage, for below 1M; get it again",
    ]),
    ("BH064", [], {".deps/vmlinuz": bzimage(align=3 << 12)}, [
        "config/m.yaml:7: BH064: guest 'linux': .deps/vmlinuz is damaged: its alignment is no power of two of at least a page; get it again",
    ]),
    ("BH064", [], {".deps/vmlinuz": bzimage(align=32 << 20)}, [
        "config/m.yaml:7: BH064: guest 'linux': .deps/vmlinuz is damaged: its preferred address is below 1M or not aligned; get it again",
    ]),
    ("BH065", [("memory: 64M", "memory: 30M")], {}, [
        "config/m.yaml:6: BH065: guest 'linux': .deps/vmlinuz and what it unpacks end at 0x2000000, its memory below 3G at 0x1e00000 (also config/m.yaml:7); raise memory to 32M or more",
    ]),
    ("BH067", [("memory: 64M", "memory: 32M")], {}, [
        "config/m.yaml:6: BH067: guest 'linux': the initrd of 4.9K does not fit between the kernel's end at 0x2000000 and 0x2000000, the end of memory below 3G (also config/m.yaml:8); raise memory to 34M or more",
    ]),
    ("BH067", [], {".deps/vmlinuz": bzimage(initrd_max=0x2000fff)}, [
        "config/m.yaml:8: BH067: guest 'linux': the initrd of 4.9K does not fit between the kernel's end at 0x2000000 and 0x2001000, the highest address that the kernel allows (also config/m.yaml:7); use a smaller initrd",
    ]),
    ("BH068", [("cmdline: verbose", "cmdline: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")], {}, [
        "config/m.yaml:21: BH068: guest 'kernel': cmdline: 2048 characters, at most 2047 are possible; shorten it",
    ]),
    ("BH068", [("cmdline: console=ttyS0\n  - ", "cmdline: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n  - ")], {}, [
        "config/m.yaml:9: BH068: guest 'linux': cmdline: 2048 characters, at most 2047 are possible; shorten it",
    ]),
    ("BH069", [("cmdline: verbose", "cmdline: Gr\u00fc\u00dfe")], {}, [
        "config/m.yaml:21: BH069: guest 'kernel': cmdline: the character '\\xfc' is not plain ASCII text; write it without that character",
    ]),
    ("BH069", [("string: one", "string: \"a\\nb\"")], {}, [
        "config/m.yaml:22: BH069: guest 'kernel': module 1: string: the character '\\n' is not plain ASCII text; write it without that character",
    ]),
    ("BH070", [], {"build/kernel.elf": elf((0x100000, 256), header=False)}, [
        "config/m.yaml:20: BH070: guest 'kernel': build/kernel.elf has no Multiboot header in its first 32 KiB, nor an older one in 8 KiB; use a kernel made for Multiboot, or type: flat",
    ]),
    ("BH064", [], {"build/kernel.elf": elf((0x100000, 256))[:600]}, [
        "config/m.yaml:20: BH064: guest 'kernel': build/kernel.elf is damaged: it is shorter than its headers say; get it again",
    ]),
    ("BH071", [], {"build/kernel.elf": elf((0x9e000, 0x2000))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: segment 0 at 0x9e000-0x9ffff meets 0x9f000-0xfffff, which is not RAM; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": elf((0x100000, 0x2000), (0x101000, 256), wide=True)}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: segment 1 at 0x101000-0x1010ff overlaps segment 0 at 0x100000-0x101fff; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": elf((0x100000, 0x2000000))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: segment 0 at 0x100000-0x20fffff is beyond its memory below 3G; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": elf()}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it is no ELF file for x86 with segments to load, and its header gives no addresses; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": elf((0x100000, 256), entry=0x100100)}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: its entry point is in none of its segments; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": elf((0x100000, 256), machine=183)}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it is no ELF file for x86 with segments to load, and its header gives no addresses; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": elf(*((0x100000 + 0x1000 * i, 256) for i in range(17)))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it has more than 16 segments; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot1(0x10004, 0x100000, 0x100000, 0, 0, 0x100020)}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it requires a video mode; use one that does not need it",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot1(0x10008, 0x100000, 0x100000, 0, 0, 0x100020)}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it requires something unknown (flags 3 to 15); use one that does not need it",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot2(*PLACED, arch=4)}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: its header is for another architecture; use one that does not need it",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot2(*PLACED, (1, 0, 4, 9))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it requires boot information that is not provided; use one that does not need it",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot2(*PLACED, (4, 0, 1))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it requires a screen; use one that does not need it",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot2(*PLACED, (11, 0))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: it requires something unknown (tag 11); use one that does not need it",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot2(*PLACED, (10, 0, 0x200000, 0xffffffff, 0, 0))}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: its relocatable tag forbids its own addresses, and kernels are not moved; link it for other addresses",
    ]),
    ("BH071", [], {"build/kernel.elf": multiboot2(PLACED[0])}, [
        "config/m.yaml:20: BH071: guest 'kernel': build/kernel.elf cannot be loaded: its entry point is in none of its segments; link it for other addresses",
    ]),
    ("BH064", [], {"build/kernel.elf": multiboot2(*PLACED, end=False)}, [
        "config/m.yaml:20: BH064: guest 'kernel': build/kernel.elf is damaged: it is shorter than its headers say; get it again",
    ]),
    ("BH072", [], {"build/kernel.elf": elf((0x8000, 256), entry=0x8000), "build/initrd": bytes(0x1f00001)}, [
        "config/m.yaml:19: BH072: guest 'kernel': kernel and modules end at 0x2000001, its memory below 3G at 0x2000000 (also config/m.yaml:20); raise memory to 34M or more",
    ]),
    ("BH072", [], {"build/kernel.elf": elf((0x100000, 0x1eff000))}, [
        "config/m.yaml:19: BH072: guest 'kernel': kernel and modules end at 0x2000388, its memory below 3G at 0x2000000 (also config/m.yaml:20); raise memory to 34M or more",
    ]),
    ("BH073", [], {"build/rom.bin": b'r' * 4097}, [
        "config/m.yaml:30: BH073: guest 'bios': build/rom.bin has 4097 bytes; a ROM image is a multiple of 4K, up to 16M; use the image that ends at the reset vector",
    ]),
    ("BH073", [], {"build/rom.bin": b''}, [
        "config/m.yaml:30: BH073: guest 'bios': build/rom.bin has 0 bytes; a ROM image is a multiple of 4K, up to 16M; use the image that ends at the reset vector",
    ]),
    ("BH074", [], {"build/rom.bin": b'r' * 4080 + bytes(16)}, [
        "config/m.yaml:30: BH074: guest 'bios': build/rom.bin has nothing at the reset vector, 16 bytes before its end; use the image that ends there (OVMF.fd, bios-256k.bin)",
    ]),
    ("BH075", [], {"build/beat.bin": b''}, [
        "config/m.yaml:14: BH075: guest 'beat': build/beat.bin is empty; make it again",
    ]),
    ("BH076", [("load: 0x200000", "load: 0x1000000")], {}, [
        "config/m.yaml:15: BH076: guest 'beat': its image at 0x1000000-0x1000063 is not in its RAM: that ends at 0x1000000 below 3G (also config/m.yaml:13); raise memory or lower load",
    ]),
    ("BH076", [("load: 0x200000", "load: 0x9efff")], {}, [
        "config/m.yaml:15: BH076: guest 'beat': its image at 0x9efff-0x9f062 is not in its RAM: 0x9f000-0xfffff is not RAM; load it at 0x100000",
    ]),
    ("BH077", [("    load: 0x200000", "    load: 0x200000\n    entry: 0x200064")], {}, [
        "config/m.yaml:16: BH077: guest 'beat': entry 0x200064 is outside its image 0x200000-0x200063 (also config/m.yaml:15); correct entry or load",
    ]),
    ("BH078", [("          - {name: opt/none, string: \"\"}\n", "          - {name: opt/0, string: \"\"}\n          - {name: opt/1, string: \"\"}\n          - {name: opt/2, string: \"\"}\n          - {name: opt/3, string: \"\"}\n          - {name: opt/4, string: \"\"}\n          - {name: opt/5, string: \"\"}\n          - {name: opt/6, string: \"\"}\n          - {name: opt/7, string: \"\"}\n          - {name: opt/8, string: \"\"}\n          - {name: opt/9, string: \"\"}\n          - {name: opt/10, string: \"\"}\n          - {name: opt/11, string: \"\"}\n          - {name: opt/12, string: \"\"}\n          - {name: opt/13, string: \"\"}\n          - {name: opt/14, string: \"\"}\n          - {name: opt/15, string: \"\"}\n          - {name: opt/16, string: \"\"}\n          - {name: opt/17, string: \"\"}\n          - {name: opt/18, string: \"\"}\n          - {name: opt/19, string: \"\"}\n          - {name: opt/20, string: \"\"}\n          - {name: opt/21, string: \"\"}\n          - {name: opt/22, string: \"\"}\n")], {}, [
        "config/m.yaml:39: BH078: guest 'bios': fw_cfg: files: more than 24 items; remove some",
    ]),
    ("BH079", [("opt/none", "opt/beat")], {}, [
        "config/m.yaml:42: BH079: guest 'bios': fw_cfg: there is an item 'opt/beat' already (also config/m.yaml:41); choose another name",
    ]),
    ("BH079", [("opt/none", "etc/e820")], {}, [
        "config/m.yaml:42: BH079: guest 'bios': fw_cfg: there is an item 'etc/e820' already (the machine's own); choose another name",
    ]),
    ("BH080", [("    load: 0x200000\n", "    load: 0x200000\n    on_poweroff: restart\n")], {}, [
        "config/m.yaml:16: BH080: guest 'beat': on_poweroff restarts a guest that debug: exit_port lets end (also config/m.yaml:17); remove one of them",
    ]),
    ("BH081", [("within: 5min", "within: 90s")], {}, [
        "config/m.yaml:23: BH081: guest 'kernel': on_crash counts 3 restarts within 90 s, but a watchdog of 30 s expires less often (also config/m.yaml:25); lengthen within to 120s or more, or shorten the watchdog",
    ]),
    ("BH090", [("    readers:\n      - {guest: beat, at: 0xd0000000, doorbell: 11}\n      - {guest: kernel, at: 0xe0000000}\n", "")], {}, [
        "config/m.yaml:44: BH090: shared region 'ring': nobody reads it; add readers:",
    ]),
    ("BH091", [("    writer: {guest: linux, at: 0xd0000000, doorbell: 10}\n", "")], {}, [
        "config/m.yaml:44: BH091: shared region 'ring': nobody writes it; add writer:",
    ]),
    ("BH092", [("writer: {guest: linux, at: 0xd0000000, doorbell: 10}", "writer: [{guest: linux, at: 0xd0000000}, {guest: bios, at: 0xd0000000}]")], {}, [
        "config/m.yaml:46: BH092: shared region 'ring': 2 guests write it; make a region for each direction",
    ]),
    ("BH093", [("{guest: kernel, at: 0xe0000000}", "{guest: linux, at: 0xe0000000}")], {}, [
        "config/m.yaml:49: BH093: shared region 'ring': guest 'linux' has two parts in it (also config/m.yaml:46); each guest reads or writes",
    ]),
    ("BH094", [("shared:\n", "shared:\n  - {name: r0, size: 4K, writer: {guest: linux, at: 0xd1000000}, readers: [{guest: bios, at: 0xd1000000}]}\n  - {name: r1, size: 4K, writer: {guest: linux, at: 0xd1001000}, readers: [{guest: bios, at: 0xd1001000}]}\n  - {name: r2, size: 4K, writer: {guest: linux, at: 0xd1002000}, readers: [{guest: bios, at: 0xd1002000}]}\n  - {name: r3, size: 4K, writer: {guest: linux, at: 0xd1003000}, readers: [{guest: bios, at: 0xd1003000}]}\n  - {name: r4, size: 4K, writer: {guest: linux, at: 0xd1004000}, readers: [{guest: bios, at: 0xd1004000}]}\n  - {name: r5, size: 4K, writer: {guest: linux, at: 0xd1005000}, readers: [{guest: bios, at: 0xd1005000}]}\n  - {name: r6, size: 4K, writer: {guest: linux, at: 0xd1006000}, readers: [{guest: bios, at: 0xd1006000}]}\n  - {name: r7, size: 4K, writer: {guest: linux, at: 0xd1007000}, readers: [{guest: bios, at: 0xd1007000}]}\n")], {}, [
        "config/m.yaml:3: BH094: guest 'linux': 9 regions in one guest; a guest has at most 8",
    ]),
    ("BH100", [("guests:\n", "release: true\nguests:\n")], {}, [
        "config/m.yaml:17: BH100: guest 'beat': debug: exit_port is a debug allowance, and the config says release (also config/m.yaml:2); remove one of the two",
    ]),
]
