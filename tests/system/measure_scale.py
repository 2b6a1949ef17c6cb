# SPDX-License-Identifier: BSD-2-Clause
"""The figures of docs/SCALE.md, measured: boots of machines with up to 16 cores, under BIOS.

With `quantum=1` the emulator runs one instruction of each processor at a time. A TSC tick is an instruction
again, as on a machine with one; only a REP instruction, which runs whole, is counted by a share. Exits are
counted under the debugger, instruction by instruction."""

import re
from typing import NamedTuple

from support import BIOS, LONG, TREE, run
import boot_svg  # pylint: disable=import-error,wrong-import-order
import scale_model  # pylint: disable=import-error,wrong-import-order
from debugged import Debugged, name_at, symbols  # pylint: disable=import-error,wrong-import-order
from machine import Machine  # pylint: disable=import-error,wrong-import-order

MIB = 1 << 20
MEMORY = 16  # MiB of each guest
STEPS = 12000  # instructions: four rounds of tests/guest/scale.c and more
ROUNDS = 50  # before them
# The exits of a round, as tests/guest/scale.c makes them.
EXITS = ("CPUID", "IN 40H", "IN 21H", "IN 3FDH", "OUT 80H", "IN of the PM timer", "OUT 21H", "RDMSR of IA32_APIC_BASE",
         "WRMSR of IA32_TSC_DEADLINE", "read of the I/O APIC", "x2APIC ICR, to itself")


class Case(NamedTuple):
    """A machine: so many cores; so many guests with so many vCPUs each, the first of them tests/guest/scale.c and
    the others tests/guest/hostile.c."""

    cores: int
    guests: int
    vcpus: int

    @property
    def config(self):
        """Its config's name."""
        return f"scale-{self.guests}x{self.vcpus}"

    @property
    def model(self):
        """The guests, for the formulas."""
        return [scale_model.Guest(MEMORY * MIB, self.vcpus)] * self.guests


FULL = [Case(1, 1, 1), Case(2, 2, 1), Case(4, 4, 1), Case(8, 8, 1), Case(16, 8, 2)]  # every core has a vCPU
IDLE = [Case(cores, 1, 1) for cores in (2, 4, 8, 16)]  # all but one have none
WIDE = [Case(vcpus, 1, vcpus) for vcpus in (2, 4, 8)]  # one guest has them all


def config_text(case):
    """The config, in YAML."""
    return "guests:\n" + "".join(
        f"  - name: {'scale' if i == 0 else f'hostile{i}'}\n    type: flat\n    cpus: {case.vcpus}\n    memory: {MEMORY}M\n"
        f"    kernel: build:guests/{'scale' if i == 0 else 'hostile'}.bin\n" for i in range(case.guests))


def build(cases):
    """Their images."""
    folder = TREE / "build" / "scale"
    folder.mkdir(parents=True, exist_ok=True)
    for case in {case.config: case for case in cases}.values():
        path = folder / f"{case.config}.yaml"
        if not path.exists() or path.read_text() != config_text(case):
            path.write_text(config_text(case))
        run("make", "--no-print-directory", f"CONFIG={path.relative_to(TREE)}", "iso")


def iso(case):
    """The image of one."""
    return TREE / "build" / case.config / "bulkhead.iso"


def elf_figures(config):
    """Bytes of the image's mappings (text, constants, data), and of the sections."""
    elf = TREE / "build" / config / "bulkhead.elf"
    at = {}
    for line in run("nm", elf).stdout.splitlines():
        value, _, name = line.split()
        at[name] = int(value, 16)
    end = -(-at["image_end"] // scale_model.PAGE) * scale_model.PAGE
    image = (at["rodata_start"] - at["image_start"], at["data_start"] - at["rodata_start"], end - at["data_start"])
    sections = {m[1]: int(m[2], 16) for m in re.finditer(
        r"(?m)^ *\d+ (\.\w+) +([0-9a-f]+) ", run("objdump", "-h", "-w", elf).stdout)}
    return {"image": image, "sections": sections}


def boot_figures(case):
    """What the boot report says, and how often the first guest's vCPUs read the counter together."""
    with Machine(iso(case), firmware=BIOS, cpus=case.cores, cpu_options="quantum=1" if case.cores > 1 else "") as machine:
        machine.expect(r"^\[bulkhead\] phases: .*isolation \d+\n", LONG)
        report = machine.console[:machine.console.rfind("isolation ")]
        reads = 0
        if case.guests == 1:
            reads = int(machine.expect(r"vCPUs read (\d+) times in \d+ ticks", LONG)[1])
        console = machine.console
    _, phases, _ = boot_svg.parse(console)
    pool = re.search(r"(\d+) of \d+ KiB of the page pool used", console)
    found = re.search(r"isolation: (\d+) pages of tables and bitmaps give \d+ guests (\d+) ranges of host memory,"
                      r" as configured; checked in (\d+) TSC ticks", console)
    return {"pool": int(pool[1]) // 4, "phases": dict(phases), "looked at": int(found[1]), "ranges": int(found[2]),
            "isolation": int(found[3]), "report": len(report.encode()) + report.count("\n"), "reads": reads,
            "console": report}


# --- exits, instruction by instruction -------------------------------------------------------------


def split(found, place):
    """Exits, each a list of (address, instruction) from its arrival in root mode to the entry."""
    exits, current = [], None
    for address, what in found:
        if address == place["vmx_exit_point"]:
            current = []
        if current is not None:
            current.append((address, what))
            if what.startswith("vmresume"):
                exits.append(current)
                current = None
    return exits


def held(instructions, lock):
    """Instructions between taking the VM's lock and giving it back; 0 where it is not taken."""
    count, inside = 0, False
    for _, what in instructions:
        if inside:
            count += 1
            inside = not re.search(rf"^mov dword ptr .*\+{lock}\], 0x00000000$", what)
        elif what.startswith("lock bts"):
            inside = True
    return count


class Exit(NamedTuple):
    """One exit: the functions it went through, its instructions, and those with the lock held."""

    names: set
    length: int
    held: int


def exit_figures(case):
    """{exit: (instructions of the hypervisor, of which with the lock held)} on the first core, of each the cheapest:
    some depend on the moment. Interrupts of the console in between are left out."""
    functions = symbols(TREE / "build" / case.config / "bulkhead.elf")
    place = {name: address for address, name in functions}
    lock = scale_model.sizes()["lock"]
    commands = [f"lb {place['vcpu_handle_cpuid']:#x}"] + ["c"] * ROUNDS + [
        "d 1", "trace on", f"s {STEPS}", "q"]
    with Debugged(iso(case), firmware=BIOS, cpus=case.cores, commands=commands) as machine:
        found = machine.instructions(LONG)
    exits = [Exit({name_at(functions, address) for address, _ in one}, len(one), held(one, lock))
             for one in split(found, place)]
    exits = [one for one in exits if "host_interrupt" not in one.names]
    starts = [i for i, one in enumerate(exits) if "vcpu_handle_cpuid" in one.names]
    rounds = [exits[begin:end] for begin, end in zip(starts, starts[1:])]
    assert len(rounds) > 1 and all(len(one) == len(EXITS) for one in rounds), f"{list(map(len, rounds))} exits"
    return {name: min((one.length, one.held) for one in same) for name, same in zip(EXITS, zip(*rounds))}
