#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compile config/NAME.yaml to constant C tables (guest/config.h) with the guests' images embedded.

  gen_config.py [options] CONFIG.yaml OUTDIR     writes OUTDIR/config.c, images.S and config.d
  gen_config.py [options] --list-images CONFIG.yaml
                                                 prints the images' paths, one a line

Paths in a config:  build:FILE is BUILD_DIR/FILE, deps:FILE is DEPS_DIR/FILE, any other path is
relative to the root of the tree. What is written depends only on the config and on the images, and
names files relative to the current directory, so the compiler has to run in the same one.

Every problem found is printed as FILE:LINE: what is wrong; what to do. Exit status 0, or 1 if
there was any problem (nothing is written then), or 2 for wrong arguments.
"""
import argparse
import difflib
import hashlib
import os
import re
import sys

import yaml

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

MAX_GUESTS = 9  # the console picks a guest by one digit, 1..9
MAX_VCPUS = 8  # VM_VCPU_MAX in guest/vm.h
MAX_CORE = 1023
MIN_MEMORY, MAX_MEMORY, MEMORY_STEP = 16 * MIB, 64 * GIB, 2 * MIB  # GMEM_MAX in guest/gmem.h
HOLE = 3 * GIB  # GMEM_HOLE_GPA there: what images are loaded to lies below
MAX_CMDLINE = 2047
MAX_ROM, ROM_STEP = 16 * MIB, 4 * KIB
LOW_RAM_END, HIGH_RAM = 0x9F000, 0x100000  # as in guest/load_linux.h
RESERVED_NAMES = ("bulkhead",)  # the hypervisor's own lines on the console

TOP_KEYS = ("name", "console", "guests")
COMMON_KEYS = (
    "name", "type", "cpus", "memory", "kernel", "fw_cfg", "hpet", "without", "debug_exit",
    "devices", "on_crash", "on_reset", "on_poweroff",
)
TYPE_KEYS = {
    "linux": COMMON_KEYS + ("initrd", "cmdline"),
    "flat": COMMON_KEYS + ("load", "entry"),
    "firmware": COMMON_KEYS,
}
ALL_GUEST_KEYS = tuple(dict.fromkeys(sum(TYPE_KEYS.values(), ())))
POLICIES = {"on_crash": "halt", "on_reset": "restart", "on_poweroff": "halt"}
FW_CFG_KEYS = ("files", "kernel", "initrd", "cmdline")
FW_CFG_FILE_KEYS = ("name", "file", "string")

# Bit n of guest_config.without is the n-th: enum apicv_feature in arch/x86/vcpu.h.
FEATURES = (
    "tpr-shadow", "apic-access", "apic-registers", "virtual-interrupts", "posted-interrupts",
    "x2apic",
)

NAME_RE = re.compile(r"[a-z][a-z0-9-]{0,14}")
NAME_RULE = "use 1 to 15 of a-z, 0-9 and '-', beginning with a letter"
SIZE_RE = re.compile(r"([0-9]+)([KMG])(iB)?")
FW_CFG_NAME_RE = re.compile(r"[!-~]{1,55}")
IMAGE_RE = re.compile(r"[A-Za-z0-9._/+~@-]+")


class Problems:
    """What is wrong with the config, collected so that one run shows all of it."""

    def __init__(self, path):
        self.path = path
        self.lines = {}

    def add(self, line, text):
        """line: 0-based, as in YAML's marks."""
        self.lines[(line, text)] = f"{self.path}:{line + 1}: {text}"

    def at(self, node, text):
        self.add(node.start_mark.line, text)

    def sorted(self):
        return [self.lines[key] for key in sorted(self.lines)]


class Guest:
    """One guest as described; a field is None where the config does not give a usable value."""

    def __init__(self, node, index):
        self.node = node
        self.index = index
        self.fields = {}  # key -> value node
        self.name = None
        self.type = None
        self.memory = None
        self.cores = None  # list of core numbers
        self.auto_cores = 0  # how many to take from the free ones
        self.kernel = None  # path
        self.initrd = None
        self.cmdline = ""
        self.load = HIGH_RAM
        self.entry = HIGH_RAM
        self.fw_cfg = None
        self.hpet = False
        self.without = 0
        self.debug_exit = False
        self.watchdog = (0, 0)  # seconds, port
        self.policies = {}  # key -> (action, limit, seconds)

    def label(self):
        return f"guest '{self.name}'" if self.name else f"guest number {self.index + 1}"

    def where(self, key):
        return self.fields.get(key, self.node)

    def images(self):
        """(what it is, path, the node that names it) of every image, readable or not."""
        found = [(key, getattr(self, key), self.where(key)) for key in ("kernel", "initrd")]
        if self.fw_cfg:
            found += self.fw_cfg.images()
        return [image for image in found if image[1]]


class FwCfg:
    """What the guest finds in its fw_cfg device besides what the machine puts there."""

    def __init__(self, fields):
        self.fields = fields
        self.kernel = None
        self.initrd = None
        self.cmdline = ""
        self.files = []  # (name, path or None, bytes or None, node)

    def images(self):
        found = [(f"fw_cfg: {key}", getattr(self, key), self.fields.get(key))
                 for key in ("kernel", "initrd")]
        return found + [(f"fw_cfg: {name}", path, node) for name, path, _, node in self.files]


class Machine:
    def __init__(self, name):
        self.name = name
        self.console = 0
        self.guests = []


# ---- reading values -------------------------------------------------------------------------


def plain(node):
    """The scalar's Python value, or the node itself where it is a list or a mapping."""
    if not isinstance(node, yaml.ScalarNode):
        return node
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        return node.value
    finally:
        loader.dispose()


def nearest(word, known, kind="keys"):
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known {kind}: " + ", ".join(known)


def read_mapping(node, known, what, problems):
    """The mapping's key -> value node, having reported unknown and repeated keys."""
    fields = {}
    for key_node, value in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        if key not in known:
            problems.at(key_node, f"{what}: unknown key '{key}'; {nearest(key, known)}")
        elif key in fields:
            first = fields[key].start_mark.line + 1
            problems.at(key_node, f"{what}: '{key}' again (first on line {first}); remove one")
        else:
            fields[key] = value
    return fields


def read_text(node, what, problems):
    value = plain(node)
    if isinstance(value, str):
        return value
    problems.at(node, f"{what} must be text; write it in quotes")
    return None


def read_name(node, what, problems):
    value = plain(node)
    if not isinstance(value, str) or not NAME_RE.fullmatch(value):
        problems.at(node, f"{what}: bad name {show(node)}; {NAME_RULE}")
        return None
    return value


def show(node):
    return f"'{node.value}'" if isinstance(node, yaml.ScalarNode) else "(not a single value)"


def read_int(node, what, low, high, problems):
    value = plain(node)
    if isinstance(value, bool) or not isinstance(value, int):
        problems.at(node, f"{what}: {show(node)} is not a number")
        return None
    if not low <= value <= high:
        problems.at(node, f"{what}: {show(node)} is out of range; use {low:#x} to {high:#x}")
        return None
    return value


def parse_size(value):
    """Bytes of 256M, 1G, 16MiB, or a plain number; None if it is none of these."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = SIZE_RE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    return int(match[1]) * {"K": KIB, "M": MIB, "G": GIB}[match[2]]


def read_memory(guest, problems):
    node = guest.fields["memory"]
    what = f"{guest.label()}: memory {show(node)}"
    size = parse_size(plain(node))
    if size is None:
        problems.at(node, f"{what} is not a size; write for example 256M or 1G")
    elif not MIN_MEMORY <= size <= MAX_MEMORY:
        problems.at(node, f"{what} is out of range; use 16M to 64G")
    elif size % MEMORY_STEP:
        below = size // MEMORY_STEP * 2
        problems.at(node, f"{what} is not a multiple of 2M; use {below}M or {below + 2}M")
    else:
        guest.memory = size


def read_core_list(guest, node, problems):
    cores = []
    for item in node.value:
        core = read_int(item, f"{guest.label()}: core", 0, MAX_CORE, problems)
        if core is not None:
            cores.append(core)
    return cores


def read_cpus(guest, problems):
    node = guest.where("cpus")
    if "cpus" not in guest.fields:
        count = guest.auto_cores = 1
    elif isinstance(node, yaml.SequenceNode):
        guest.cores = read_core_list(guest, node, problems)
        count = len(node.value)
    else:
        value = plain(node)
        if isinstance(value, bool) or not isinstance(value, int):
            text = "write how many (cpus: 1) or which cores (cpus: [2])"
            problems.at(node, f"{guest.label()}: cpus {show(node)} is not understood; {text}")
            return
        count = guest.auto_cores = value
    if count < 1:
        problems.at(node, f"{guest.label()}: no core; give it one, for example cpus: 1")
    if count > MAX_VCPUS:
        text = f"a guest has at most {MAX_VCPUS}; give it fewer"
        problems.at(node, f"{guest.label()}: {count} cores; {text}")
        guest.auto_cores = min(guest.auto_cores, 1)


def read_image(node, what, options, problems):
    value = read_text(node, what, problems)
    if value is None:
        return None
    place, colon, rest = value.partition(":")
    if not colon:
        place, rest = "", value
    folders = {"": options.root, "build": options.build_dir, "deps": options.deps_dir}
    if place not in folders:
        text = "use build:FILE, deps:FILE, or a path from the root of the tree"
        problems.at(node, f"{what}: unknown prefix '{place}:'; {text}")
        return None
    if not IMAGE_RE.fullmatch(rest):
        text = "use only letters, digits and . _ / + ~ @ -"
        problems.at(node, f"{what}: cannot use the path '{rest}'; {text}")
        return None
    return os.path.relpath(os.path.join(folders[place], rest))


def read_cmdline(node, what, problems):
    value = read_text(node, what, problems)
    if value is None:
        return ""
    if len(value) > MAX_CMDLINE:
        text = f"{len(value)} characters; at most {MAX_CMDLINE} are possible"
        problems.at(node, f"{what} has {text}")
    elif not all(" " <= char <= "~" for char in value):
        problems.at(node, f"{what} has a character that is not plain ASCII text")
    else:
        return value
    return ""


def read_switch(guest, key, problems):
    value = plain(guest.fields[key]) if key in guest.fields else False
    if not isinstance(value, bool):
        problems.at(guest.fields[key], f"{guest.label()}: {key}: use true or false")
    return value


def read_without(guest, problems):
    node = guest.fields["without"]
    what = f"{guest.label()}: without"
    if not isinstance(node, yaml.SequenceNode):
        problems.at(node, f"{what}: write a list, for example [{FEATURES[-1]}]")
        return
    for item in node.value:
        value = plain(item)
        if value in FEATURES:
            guest.without |= 1 << FEATURES.index(value)
        else:
            text = f"unknown feature {show(item)}; {nearest(str(item.value), FEATURES, 'names')}"
            problems.at(item, f"{what}: {text}")


def read_seconds(node, what, problems):
    value = plain(node)
    if isinstance(value, str) and re.fullmatch(r"[0-9]+s", value):
        return int(value[:-1])
    problems.at(node, f"{what}: write seconds as 30s")
    return 0


def read_policy(guest, key, problems):
    node = guest.fields.get(key)
    what = f"{guest.label()}: {key}"
    if node is None or plain(node) in ("halt", "restart"):
        action = plain(node) if node else POLICIES[key]
        return f"GUEST_{action.upper()}", 0, 0
    if not isinstance(node, yaml.MappingNode):
        problems.at(node, f"{what}: use halt, restart, or {{restart: 3, within: 60s}}")
        return "GUEST_HALT", 0, 0
    fields = read_mapping(node, ("restart", "within"), what, problems)
    limit = read_int(fields.get("restart", node), f"{what}: restart", 1, 1000000, problems)
    window = read_seconds(fields["within"], what, problems) if "within" in fields else 0
    return "GUEST_RESTART", limit, window


def read_devices(guest, problems):
    what = f"{guest.label()}: devices"
    fields = read_mapping(guest.fields["devices"], ("watchdog",), what, problems)
    if "watchdog" in fields:
        what += ": watchdog"
        keys = read_mapping(fields["watchdog"], ("timeout", "port"), what, problems)
        timeout = read_seconds(keys.get("timeout", fields["watchdog"]), what, problems)
        port = read_int(keys.get("port", fields["watchdog"]), what, 0x100, 0xfff8, problems)
        guest.watchdog = timeout, port


def read_bytes(node, what, problems):
    """The bytes of a string, one for each character: binary is written with \\x escapes."""
    value = read_text(node, what, problems)
    try:
        return value.encode("latin-1") if value is not None else None
    except UnicodeEncodeError:
        problems.at(node, f"{what} has a character above FFH; write bytes as \\x00 to \\xff")
        return None


def read_fw_cfg_file(node, what, options, problems):
    """(name, path, bytes, node) of one item of `files`, or None."""
    if not isinstance(node, yaml.MappingNode):
        problems.at(node, f"{what}: a file is written {{name: etc/..., string: text}}")
        return None
    fields = read_mapping(node, FW_CFG_FILE_KEYS, what, problems)
    if "name" not in fields or ("file" in fields) == ("string" in fields):
        problems.at(node, f"{what}: a file needs name:, and either file: or string:")
        return None
    name = plain(fields["name"])
    if not isinstance(name, str) or not FW_CFG_NAME_RE.fullmatch(name):
        text = "use 1 to 55 characters of ASCII without blanks, for example etc/sercon-port"
        problems.at(fields["name"], f"{what}: bad name {show(fields['name'])}; {text}")
        return None
    what += f": {name}"
    if "file" in fields:
        return name, read_image(fields["file"], what, options, problems), None, fields["file"]
    return name, None, read_bytes(fields["string"], what, problems), fields["string"]


def read_fw_cfg_files(node, what, options, problems):
    if not isinstance(node, yaml.SequenceNode):
        problems.at(node, f"{what}: files: must be a list; write - name: etc/...")
        return []
    found = [read_fw_cfg_file(item, what, options, problems) for item in node.value]
    names = set()
    for file in filter(None, found):
        if file[0] in names:
            problems.at(file[3], f"{what}: the name '{file[0]}' again; remove one")
        names.add(file[0])
    return list(filter(None, found))


def read_fw_cfg(guest, options, problems):
    node = guest.fields["fw_cfg"]
    what = f"{guest.label()}: fw_cfg"
    if not isinstance(node, yaml.MappingNode):
        problems.at(node, f"{what}: must be a mapping of {', '.join(FW_CFG_KEYS)}; {{}} if empty")
        return
    fields = read_mapping(node, FW_CFG_KEYS, what, problems)
    guest.fw_cfg = FwCfg(fields)
    for key in ("kernel", "initrd"):
        if key in fields:
            path = read_image(fields[key], f"{what}: {key}", options, problems)
            setattr(guest.fw_cfg, key, path)
    if "cmdline" in fields:
        guest.fw_cfg.cmdline = read_cmdline(fields["cmdline"], f"{what}: cmdline", problems)
    if "files" in fields:
        guest.fw_cfg.files = read_fw_cfg_files(fields["files"], what, options, problems)


# ---- reading the parts ----------------------------------------------------------------------


def one_of(words):
    return ", ".join(words[:-1]) + " or " + words[-1]


def guest_keys(guest, problems):
    """The keys this guest may have; sets its type."""
    types = list(TYPE_KEYS)
    nodes = [value for key, value in guest.node.value if key.value == "type"]
    if not nodes:
        problems.at(guest.node, f"{guest.label()}: no 'type'; add type: {one_of(types)}")
        return ALL_GUEST_KEYS
    value = plain(nodes[0])
    if not isinstance(value, str) or value not in types:
        text = f"unknown type {show(nodes[0])}; use {one_of(types)}"
        problems.at(nodes[0], f"{guest.label()}: {text}")
        return ALL_GUEST_KEYS
    guest.type = value
    return TYPE_KEYS[value]


def report_foreign_keys(guest, problems):
    """Keys that exist, but for another type of guest: say so instead of 'unknown'."""
    allowed = TYPE_KEYS.get(guest.type, ALL_GUEST_KEYS)
    for key in list(guest.fields):
        if key in allowed:
            continue
        text = f"'{key}' has no meaning for type {guest.type}; remove it"
        if guest.type == "firmware" and key in FW_CFG_KEYS:
            text += " or move it to fw_cfg:"
        problems.at(guest.fields.pop(key), f"{guest.label()}: {text}")


def find_name(node):
    """The name to use in messages, before anything is known to be right."""
    for key, value in node.value:
        if key.value == "name" and isinstance(value, yaml.ScalarNode):
            return value.value
    return None


def read_images(guest, options, problems):
    if "kernel" in guest.fields:
        node = guest.fields["kernel"]
        guest.kernel = read_image(node, f"{guest.label()}: kernel", options, problems)
    else:
        text = "no 'kernel'; add kernel: with the path of its image"
        problems.at(guest.node, f"{guest.label()}: {text}")
    if "initrd" in guest.fields:
        node = guest.fields["initrd"]
        guest.initrd = read_image(node, f"{guest.label()}: initrd", options, problems)


def read_addresses(guest, problems):
    limit = 0xFFFFFFFF
    if "load" in guest.fields:
        value = read_int(guest.fields["load"], f"{guest.label()}: load", 0, limit, problems)
        guest.load = HIGH_RAM if value is None else value
    guest.entry = guest.load
    if "entry" in guest.fields:
        value = read_int(guest.fields["entry"], f"{guest.label()}: entry", 0, limit, problems)
        guest.entry = guest.load if value is None else value


def read_guest(node, index, options, problems):
    guest = Guest(node, index)
    if not isinstance(node, yaml.MappingNode):
        problems.at(node, f"{guest.label()} is not a mapping; write name:, type:, memory:, ...")
        return guest
    guest.name = find_name(node)
    guest_keys(guest, problems)
    guest.fields = read_mapping(node, ALL_GUEST_KEYS, guest.label(), problems)
    report_foreign_keys(guest, problems)
    if "name" in guest.fields:
        read_name(guest.fields["name"], "guest", problems)
        if guest.name in RESERVED_NAMES:
            text = "is the hypervisor's own name on the console; choose another"
            problems.at(guest.fields["name"], f"{guest.label()}: '{guest.name}' {text}")
    else:
        problems.at(node, f"{guest.label()}: no 'name'; add name:")
    if "memory" in guest.fields:
        read_memory(guest, problems)
    else:
        problems.at(node, f"{guest.label()}: no 'memory'; add for example memory: 256M")
    read_cpus(guest, problems)
    read_images(guest, options, problems)
    read_addresses(guest, problems)
    if "cmdline" in guest.fields:
        guest.cmdline = read_cmdline(guest.fields["cmdline"], f"{guest.label()}: cmdline", problems)
    if "fw_cfg" in guest.fields:
        read_fw_cfg(guest, options, problems)
    if "without" in guest.fields:
        read_without(guest, problems)
    guest.hpet = read_switch(guest, "hpet", problems)
    guest.debug_exit = read_switch(guest, "debug_exit", problems)
    guest.policies = {key: read_policy(guest, key, problems) for key in POLICIES}
    if "devices" in guest.fields:
        read_devices(guest, problems)
    return guest


def read_guests(node, options, problems):
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        problems.at(node, "guests: must be a list with at least one guest; write - name: ...")
        return []
    if len(node.value) > MAX_GUESTS:
        problems.at(node, f"guests: {len(node.value)} guests; at most {MAX_GUESTS} are possible")
    return [read_guest(item, index, options, problems) for index, item in enumerate(node.value)]


def check_names(machine, problems):
    first = {}
    for guest in machine.guests:
        if guest.name in first:
            line = first[guest.name].where("name").start_mark.line + 1
            text = f"name used already on line {line}; choose another"
            problems.at(guest.where("name"), f"{guest.label()}: {text}")
        elif guest.name is not None:
            first[guest.name] = guest


def assign_cores(machine, problems):
    """Explicit cores first, each to one guest; then the lowest free ones for `cpus: N`."""
    owner = {}
    for guest in machine.guests:
        for core in guest.cores or []:
            if core in owner:
                line = owner[core].where("cpus").start_mark.line + 1
                text = f"core {core} belongs to {owner[core].label()} (line {line}) already"
                problems.at(guest.where("cpus"), f"{guest.label()}: {text}; choose another")
            owner.setdefault(core, guest)
    free = (core for core in range(MAX_CORE + 1 + MAX_GUESTS * MAX_VCPUS) if core not in owner)
    for guest in machine.guests:
        if guest.cores is None:
            guest.cores = [next(free) for _ in range(guest.auto_cores)]


def read_console(node, machine, problems):
    value = plain(node)
    names = [guest.name for guest in machine.guests]
    if value in names:
        machine.console = names.index(value)
        return
    text = "name one of: " + ", ".join(name for name in names if name)
    problems.at(node, f"console: there is no guest {show(node)}; {text}")


def read_machine(root, options, problems):
    """The machine described by the YAML document whose root node is given."""
    machine = Machine(os.path.splitext(os.path.basename(options.config))[0])
    if not isinstance(root, yaml.MappingNode):
        problems.add(0, "a config is a mapping; begin it with guests:")
        return machine
    fields = read_mapping(root, TOP_KEYS, "config", problems)
    if "name" in fields:
        machine.name = read_name(fields["name"], "config", problems)
    elif not NAME_RE.fullmatch(machine.name):
        problems.at(root, f"config: the file's name is no machine name; add name: ({NAME_RULE})")
    if "guests" not in fields:
        problems.at(root, "config: no 'guests'; add guests: and a list of them")
        return machine
    machine.guests = read_guests(fields["guests"], options, problems)
    check_names(machine, problems)
    assign_cores(machine, problems)
    if "console" in fields and machine.guests:
        read_console(fields["console"], machine, problems)
    return machine


def load_config(options, problems):
    try:
        with open(options.config, encoding="utf-8") as stream:
            root = yaml.compose(stream, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        text = getattr(error, "problem", None) or str(error)
        problems.add(mark.line if mark else 0, f"not valid YAML: {text}")
        return None
    except OSError as error:
        problems.add(0, f"cannot read the config: {error.strerror}")
        return None
    return read_machine(root, options, problems)


# ---- checking the images --------------------------------------------------------------------


def read_file(path):
    with open(path, "rb") as stream:
        return stream.read()


def align_up(value, step):
    return (value + step - 1) // step * step


def bzimage_problem(image):
    """What makes this no kernel for us, or None. As linux_check() in guest/load_linux.c."""
    if len(image) < 0x268 or image[0x202:0x206] != b"HdrS":
        return "is no bzImage (no 'HdrS' at 202H); use a distribution's vmlinuz"
    version = int.from_bytes(image[0x206:0x208], "little")
    if version < 0x020C:
        return f"speaks boot protocol {version >> 8}.{version & 255:02}; 2.12 or later is needed"
    if not int.from_bytes(image[0x236:0x238], "little") & 1:
        return "is not a 64-bit kernel (XLF_KERNEL_64 is clear); use an amd64 kernel"
    setup = ((image[0x1F1] or 4) + 1) * 512
    if setup + int.from_bytes(image[0x1F4:0x1F8], "little") * 16 >= len(image) + 16:
        return "is truncated (shorter than its header says); get it again"
    return None


def check_linux(guest, image, initrd_len, problems):
    what = f"{guest.label()}: {guest.kernel}"
    problem = bzimage_problem(image)
    if problem:
        problems.at(guest.where("kernel"), f"{what} {problem}")
        return
    pref_address = int.from_bytes(image[0x258:0x260], "little")
    init_size = int.from_bytes(image[0x260:0x264], "little")
    cmdline_max = int.from_bytes(image[0x238:0x23C], "little")
    need = align_up(align_up(pref_address + init_size, 4 * KIB) + initrd_len, MEMORY_STEP)
    if guest.memory is not None and need > min(guest.memory, HOLE):
        text = f"{what} and its initrd need {need // MIB}M or more; raise memory"
        problems.at(guest.where("memory"), text)
    if len(guest.cmdline) > cmdline_max:
        text = f"{what} takes {cmdline_max} characters of command line; shorten cmdline"
        problems.at(guest.where("cmdline"), text)


def check_flat(guest, length, problems):
    end = guest.load + length
    if length == 0:
        problems.at(guest.where("kernel"), f"{guest.label()}: {guest.kernel} is empty")
    if guest.load < HIGH_RAM and end > LOW_RAM_END:
        text = f"load {guest.load:#x}..{end:#x} meets 0x9f000..0x100000, which is not RAM"
        problems.at(guest.where("load"), f"{guest.label()}: {text}; load it at 0x100000")
    if guest.memory is not None and end > min(guest.memory, HOLE):
        text = f"its image ends at {end:#x}, beyond its memory below 3G; raise memory or lower load"
        problems.at(guest.where("load"), f"{guest.label()}: {text}")
    if not guest.load <= guest.entry < max(end, guest.load + 1):
        text = f"entry {guest.entry:#x} is outside its image {guest.load:#x}..{end:#x}"
        problems.at(guest.where("entry"), f"{guest.label()}: {text}; correct entry or load")


def check_firmware(guest, length, problems):
    if length == 0 or length > MAX_ROM or length % ROM_STEP:
        text = f"has {length} bytes; a ROM image is a multiple of 4 KiB, up to 16 MiB"
        problems.at(guest.where("kernel"), f"{guest.label()}: {guest.kernel} {text}")


def check_images(machine, problems):
    """Read and check every image. Returns path -> length, in the order of first use."""
    images = {}
    for guest in machine.guests:
        contents = {}
        for what, path, node in guest.images():
            try:
                contents[what] = read_file(path)
                images.setdefault(path, len(contents[what]))
            except OSError as error:
                text = f"{what}: cannot read {path}: {error.strerror}; make it or correct the path"
                problems.at(node, f"{guest.label()}: {text}")
        if "kernel" not in contents:
            continue
        if guest.type == "linux":
            check_linux(guest, contents["kernel"], len(contents.get("initrd", b"")), problems)
        elif guest.type == "flat":
            check_flat(guest, len(contents["kernel"]), problems)
        elif guest.type == "firmware":
            check_firmware(guest, len(contents["kernel"]), problems)
    return images


# ---- writing --------------------------------------------------------------------------------


def c_string(text):
    """A C string literal of plain ASCII text; '?' escaped because of trigraphs."""
    return '"' + re.sub(r'(["\\?])', r"\\\1", text) + '"'


def c_image(path, images):
    if path is None:
        return "{NULL, 0}"
    return f"{{image_{list(images).index(path)}, {images[path]}}}"


def c_bool(value):
    return str(value).lower()


def c_fw_cfg_tables(guest, images):
    """The files of one guest's fw_cfg: their bytes, where given as text, and the list of them."""
    if not guest.fw_cfg or not guest.fw_cfg.files:
        return ""
    text, rows = "", ""
    for number, (name, path, content, _) in enumerate(guest.fw_cfg.files):
        data = c_image(path, images)
        if content:
            array = f"text_{guest.index}_{number}"
            text += f"static const uint8_t {array}[] = {{{', '.join(map(hex, content))}}};\n"
            data = f"{{{array}, {len(content)}}}"
        rows += f"    {{{c_string(name)}, {data}}},\n"
    return f"{text}static const struct fw_cfg_file files_{guest.index}[] = {{\n{rows}}};\n"


def c_fw_cfg(guest, images):
    c = guest.fw_cfg
    if not c:
        return ""
    files = f"files_{guest.index}" if c.files else "NULL"
    return f"""        .fw_cfg = true,
        .fw_cfg_files = {files},
        .fw_cfg_file_count = {len(c.files)},
        .fw_cfg_kernel = {c_image(c.kernel, images)},
        .fw_cfg_initrd = {c_image(c.initrd, images)},
        .fw_cfg_cmdline = {c_string(c.cmdline)},
"""


def c_guest(guest, images):
    flat = guest.type == "flat"
    return f"""    {{
        .name = {c_string(guest.name)},
        .type = GUEST_{guest.type.upper()},
        .cores = cores_{guest.index},
        .vcpu_count = {len(guest.cores)},
        .memory = {guest.memory:#x},
        .kernel = {c_image(guest.kernel, images)},
        .initrd = {c_image(guest.initrd, images)},
        .cmdline = {c_string(guest.cmdline)},
        .load_gpa = {guest.load if flat else 0:#x},
        .entry_gpa = {guest.entry if flat else 0:#x},
{c_fw_cfg(guest, images)}        .hpet = {c_bool(guest.hpet)},
        .without = {guest.without:#x},
        .exit_port = {0xf4 if guest.debug_exit else 0:#x},
{c_policies(guest)}        .watchdog_s = {guest.watchdog[0]},
        .watchdog_port = {guest.watchdog[1]:#x},
        .files = uses_{guest.index},
        .file_count = {len(used_files(guest, images))},
        .cpus_line = {guest.where("cpus").start_mark.line + 1},
        .memory_line = {guest.where("memory").start_mark.line + 1},
    }},
"""


def c_policies(guest):
    return "".join(
        f"        .{key} = {{{action}, {limit}, {window}}},\n"
        for key, (action, limit, window) in guest.policies.items()
    )


def used_files(guest, images):
    paths = dict.fromkeys(path for _, path, _ in guest.images())
    return [list(images).index(path) for path in paths]


def c_files(machine, images):
    rows = ""
    for number, (path, length) in enumerate(images.items()):
        digest = hashlib.sha256(read_file(path)).digest()
        rows += f"    {{{{image_{number}, {length}}}, {c_string(path)}, {{{', '.join(map(hex, digest))}}}}},\n"
    uses = "".join(
        f"static const uint16_t uses_{g.index}[] = {{{', '.join(map(str, used_files(g, images)))}}};\n"
        for g in machine.guests
    )
    return f"static const struct guest_file files[] = {{\n{rows}}};\n{uses}"


def config_c(machine, images):
    externs = "".join(f"extern const uint8_t image_{i}[];\n" for i in range(len(images)))
    cores = "".join(
        f"static const uint16_t cores_{g.index}[] = {{{', '.join(map(str, g.cores))}}};\n"
        for g in machine.guests
    )
    tables = c_files(machine, images)
    tables += "".join(c_fw_cfg_tables(guest, images) for guest in machine.guests)
    guests = "".join(c_guest(guest, images) for guest in machine.guests)
    return f"""/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine '{machine.name}'. Written by scripts/gen_config.py; do not edit. */
#include "guest/config.h"

#include "guest/vm.h"

{externs}
{cores}{tables}
static const struct guest_config guests[] = {{
{guests}}};

const struct machine_config machine_config = {{
    .name = {c_string(machine.name)},
    .guests = guests,
    .guest_count = {len(machine.guests)},
    .console_guest = {machine.console},
    .source = "config",
    .files = files,
    .file_count = {len(images)},
}};

struct vm vms[{len(machine.guests)}];
"""


def images_s(machine, images):
    parts = [
        "/* SPDX-License-Identifier: BSD-2-Clause */\n"
        f"/* The guests' images of '{machine.name}'."
        " Written by scripts/gen_config.py; do not edit. */\n"
        '    .section .guest_images, "a", @progbits\n'
    ]
    for index, (path, length) in enumerate(images.items()):
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


def make_word(path):
    return path.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ")


def config_d(options, images):
    needs = [options.config, os.path.relpath(__file__)] + list(images)
    outputs = [os.path.join(options.outdir, name) for name in ("config.c", "images.S")]
    rule = " ".join(map(make_word, outputs)) + ":"
    rule += "".join(f" \\\n  {make_word(need)}" for need in needs)
    return rule + "\n" + "".join(f"\n{make_word(need)}:\n" for need in needs)


def write_if_changed(path, text):
    """Leaves an equal file's time alone, so that make rebuilds only what differs."""
    if os.path.exists(path) and read_file(path) == text.encode():
        return
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def write_outputs(machine, images, options):
    os.makedirs(options.outdir, exist_ok=True)
    write_if_changed(os.path.join(options.outdir, "config.c"), config_c(machine, images))
    write_if_changed(os.path.join(options.outdir, "images.S"), images_s(machine, images))
    write_if_changed(os.path.join(options.outdir, "config.d"), config_d(options, images))


def image_paths(machine):
    paths = [path for guest in machine.guests for _, path, _ in guest.images()]
    return list(dict.fromkeys(paths))


def parse_arguments(argv):
    root = os.path.relpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--list-images", action="store_true", help="print the images' paths only")
    parser.add_argument("--root", default=root, help="root of the tree [where this script is]")
    parser.add_argument("--build-dir", default="build", help="what build: stands for [build]")
    parser.add_argument("--deps-dir", default=".deps", help="what deps: stands for [.deps]")
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument("outdir", metavar="OUTDIR", nargs="?")
    options = parser.parse_args(argv)
    if options.list_images == (options.outdir is not None):
        parser.error("give either OUTDIR or --list-images")
    return options


def main(argv):
    options = parse_arguments(argv)
    problems = Problems(options.config)
    machine = load_config(options, problems)
    images = {}
    if machine and not options.list_images:
        images = check_images(machine, problems)
    if problems.lines:
        print("\n".join(problems.sorted()), file=sys.stderr)
        return 1
    if options.list_images:
        print("\n".join(image_paths(machine)))
    else:
        write_outputs(machine, images, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
