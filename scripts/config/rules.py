# SPDX-License-Identifier: BSD-2-Clause
"""Every rule of a config: its code, what is said when it is broken, and the way out.

A code is for ever: it never changes its meaning, and a rule that goes leaves its number unused.
"""
from typing import NamedTuple


class Rule(NamedTuple):
    """`says` and `fix` are filled in with the values of the case; `why` is for the manual."""

    says: str
    fix: str
    why: str = ""


RULES = {
    # The file
    "BH001": Rule("the config cannot be read: {why}", "check the path and its permissions"),
    "BH002": Rule("not valid YAML: {why}", "correct the syntax there, or just before"),
    "BH003": Rule("{what}: unknown key '{key}'", "{hint}"),
    "BH004": Rule("{what}: '{key}' is given twice", "remove one of the two"),
    "BH005": Rule("{what}: '{key}' has no meaning for type {type}", "remove it{hint}"),
    "BH006": Rule("{what}: {key} is missing", "add {hint}"),
    "BH007": Rule("{what}: {value} is not understood", "write {says}"),
    "BH008": Rule("{what}: {key}, but not both", "remove one of them"),
    # Names
    "BH010": Rule(
        "{what}: the name is used twice", "choose another",
        "Names mark lines on the console, and say in other places which guest is meant.",
    ),
    "BH011": Rule("{what}: the name is the hypervisor's own on the console", "choose another"),
    "BH012": Rule("{what}: there is no guest {value}", "name one of {names}"),
    # Cores
    "BH020": Rule(
        "{what}: core {core} is used twice", "choose another core, or fewer",
        "A vCPU has a core of its own from power-on to the end; nothing is scheduled.",
    ),
    "BH021": Rule(
        "{what} wants core {core}, but the machine has {cores} (0..{last})",
        "change cpus, or machine: cores",
        "Checked again when the machine boots, with the cores that it really has.",
    ),
    "BH022": Rule(
        "{what}: core {core} and core {other} of guest '{guest}' are hardware threads of one core",
        "give both to one guest, or set machine: share_threads",
        "Hardware threads share execution units and caches: each can slow the other down and learn"
        " from its timing. Checked again when the machine boots, with the threads that it has.",
    ),
    "BH023": Rule("{what}: {count} cores", "a guest has 1 to 8"),
    "BH024": Rule(
        "{what}: {count} free cores are wanted, {left} are left", "{hint}",
        "With `cpus: N`, cores are taken that no other guest names, the lowest first, and none that"
        " machine: threads calls a hardware thread of another guest's core.",
    ),
    "BH025": Rule("machine: core {core} is in two lists of threads", "a core is in one of them"),
    "BH026": Rule(
        "{what}: apic: direct with {count} cores", "use one core, or apic: virtual",
        "A local APIC that is the guest's own sends no interrupts to other cores.",
    ),
    "BH027": Rule(
        "{what}: apic: direct on core 0", "choose another core, or apic: virtual",
        "Core 0 takes the console's interrupts. Where a guest has the local APIC, the hypervisor"
        " takes none.",
    ),
    "BH028": Rule(
        "{what} wants its core's local APIC, but the CPU has no {missing}", "remove apic: direct",
        "Said when the machine boots: x2APIC mode lets single registers through, and the"
        " VMX-preemption timer is the only one left for the guest's devices.",
    ),
    # Memory
    "BH030": Rule("{what}: {value} is out of range", "use {low} to {high}"),
    "BH031": Rule("{what}: {value} is not a multiple of {step}", "use {below} or {above}"),
    "BH032": Rule(
        "the guests need {need} with images and the hypervisor, the machine has {have}",
        "give the guests less, or correct machine: memory",
        "Nothing is overcommitted. Checked again when the machine boots, with the memory that it"
        " has.",
    ),
    "BH033": Rule(
        "{what}: its {len} of memory have no place in machine: ranges", "widen them, or lower memory",
        "A guest's memory below 3 GiB is one block of the host's, and so is that above 4 GiB: each"
        " page is as large as can be. Checked again when the machine boots.",
    ),
    "BH034": Rule(
        "machine: the range {value} is not whole pages of 4K, from a low to a high address",
        "write it as {hint}",
    ),
    "BH035": Rule("machine: the ranges {value} and {other} overlap", "make them one, or part them"),
    # Guest-physical addresses
    "BH040": Rule(
        "{what}: {thing} at {range} overlaps {other} at {other_range}", "move one of them",
        "Each guest-physical address is one thing.",
    ),
    "BH041": Rule(
        "{what}: the address {value} is not a multiple of {step}", "use {below} or {above}",
        "A region of whole 2M is mapped by pages of 2M.",
    ),
    # Devices
    "BH050": Rule(
        "{what}: the {device} at port {range} overlaps the {other} at {other_range}", "move it",
        "Each port is one device's. The PC's own devices are where a PC has them.",
    ),
    "BH051": Rule(
        "{what}: interrupt {irq} of the {device} is that of the {other}", "use one of {free}",
        "ISA interrupts are edges: two devices on one would lose some.",
    ),
    "BH052": Rule(
        "{what}: fw_cfg: {key} without a kernel", "add kernel:, or remove it",
        "Firmware looks for it only if there is a kernel to start.",
    ),
    # Images
    "BH060": Rule("{what}: cannot read {path}: {why}", "make it, or correct the path"),
    "BH061": Rule(
        "{what}: {path} is no bzImage (no 'HdrS' at 202H)", "use a distribution's vmlinuz"
    ),
    "BH062": Rule(
        "{what}: {path} speaks boot protocol {version}, 2.12 or later is needed",
        "use a kernel of 2013 or later",
        "The 64-bit boot protocol came with version 2.12 (Linux 3.8).",
    ),
    "BH063": Rule(
        "{what}: {path} is not a 64-bit kernel (XLF_KERNEL_64 is clear)", "use an amd64 kernel"
    ),
    "BH064": Rule("{what}: {path} is damaged: {why}", "get it again"),
    "BH065": Rule(
        "{what}: {path} and what it unpacks end at {end}, its memory below 3G at {limit}",
        "raise memory to {need} or more",
    ),
    "BH066": Rule(
        "{what}: {path} is not what was embedded: its SHA-256 is {found}, not {wanted}",
        "build the image again, and look for what changed it",
        "Said when the machine runs: hashes are checked before each start of a guest, and only that"
        " guest is refused.",
    ),
    "BH067": Rule(
        "{what}: the initrd of {len} does not fit between the kernel's end at {end} and {limit},"
        " {whose}", "{hint}",
        "A kernel names the highest address that its initrd may have.",
    ),
    "BH068": Rule("{what}: {len} characters, at most {limit} are possible", "shorten it"),
    "BH069": Rule(
        "{what}: the character {char} is not plain ASCII text", "write it without that character"
    ),
    "BH070": Rule(
        "{what}: {path} has no Multiboot header in its first 32 KiB, nor an older one in 8 KiB",
        "use a kernel made for Multiboot, or type: flat",
    ),
    "BH071": Rule("{what}: {path} cannot be loaded: {why}", "{hint}"),
    "BH072": Rule(
        "{what}: kernel and modules end at {end}, its memory below 3G at {limit}",
        "raise memory to {need} or more",
    ),
    "BH073": Rule(
        "{what}: {path} has {len} bytes; a ROM image is a multiple of 4K, up to 16M",
        "use the image that ends at the reset vector",
    ),
    "BH074": Rule(
        "{what}: {path} has nothing at the reset vector, 16 bytes before its end",
        "use the image that ends there (OVMF.fd, bios-256k.bin)",
    ),
    "BH075": Rule("{what}: {path} is empty", "make it again"),
    "BH076": Rule("{what}: its image at {range} is not in its RAM: {why}", "{hint}"),
    "BH077": Rule("{what}: entry {value} is outside its image {range}", "correct entry or load"),
    "BH078": Rule("{what}: more than {limit} items", "remove some"),
    "BH079": Rule("{what}: there is an item '{name}' already", "choose another name"),
    # Policies
    "BH080": Rule(
        "{what}: on_poweroff restarts a guest that debug: exit_port lets end", "remove one of them",
        "A write to the exit port ends the guest for good, with a status that somebody waits for.",
    ),
    "BH081": Rule(
        "{what}: on_crash counts {limit} restarts within {within} s, but a watchdog of {timeout} s"
        " expires less often", "lengthen within to {need}s or more, or shorten the watchdog",
        "A guest that hangs at each start would be restarted for ever, in spite of the limit.",
    ),
    # Shared memory
    "BH090": Rule("{what}: nobody reads it", "add readers:"),
    "BH091": Rule("{what}: nobody writes it", "add writer:"),
    "BH092": Rule(
        "{what}: {count} guests write it", "make a region for each direction",
        "With one writer there is a direction, and each reader knows who is responsible.",
    ),
    "BH093": Rule("{what}: guest '{guest}' has two parts in it", "each guest reads or writes"),
    "BH094": Rule("{what}: {count} regions in one guest", "a guest has at most {limit}"),
    # Releases
    "BH100": Rule(
        "{what}: {key} is a debug allowance, and the config says release", "remove one of the two",
    ),
}


class Problems:
    """What is wrong with one config, so that one run shows all of it."""

    def __init__(self, path):
        self.path = path
        self._lines = {}

    def add(self, code, line, also=None, **values):
        """A broken rule; `also` is the line of the other place, or what is there instead of one."""
        rule = RULES[code]
        text = rule.says.format(**values)
        if isinstance(also, int):
            text += f" (also {self.path}:{also})"
        elif also:
            text += f" ({also})"
        text = f"{self.path}:{line}: {code}: {text}; {rule.fix.format(**values)}"
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)  # one line
        self._lines[(line, code, text)] = text

    def __bool__(self):
        return bool(self._lines)

    def sorted(self):
        """By line, then by code."""
        return [self._lines[key] for key in sorted(self._lines)]
