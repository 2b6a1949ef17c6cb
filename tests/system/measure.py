# SPDX-License-Identifier: BSD-2-Clause
"""The figures of docs/NUMBERS.md, measured. Under BIOS, on a machine with one core where nothing else is
said: there a TSC tick is an instruction, and runs repeat to the tick."""

import re

from support import BIOS, LONG, TREE, Shell, boot, emulator_ticks_now, iso, run, tokens
import bench_table  # pylint: disable=import-error,wrong-import-order
import boot_svg  # pylint: disable=import-error,wrong-import-order
from machine import DEFAULT_IPS, Machine  # pylint: disable=import-error

# CPUID of this model does not claim a TSC frequency, so that the bare Linux measures the true one.
LINUX_MODEL = "corei7_haswell_4770"
LINUX_MEMORY = 256  # MiB, as in tests/config/timed.yaml


def sizes(config="demo"):
    """Bytes of the hypervisor in memory, without the guests' images."""
    elf = TREE / "build" / config / "bulkhead.elf"
    at = {}
    for line in run("nm", elf).stdout.splitlines():
        value, _, name = line.split()
        at[name] = int(value, 16)
    sections = {m[1]: int(m[2], 16) for m in re.finditer(
        r"(?m)^ *\d+ (\.\w+) +([0-9a-f]+) ", run("objdump", "-h", "-w", elf).stdout)}
    images = min(value for name, value in at.items() if re.fullmatch(r"image_\d+", name))
    return {
        "text": sections[".text"],
        "rodata": images - at["rodata_start"],
        "data": sections.get(".data", 0),
        "bss": sections.get(".bss", 0),
        "images": at["data_start"] - images,
        "image": at["image_end"] - at["image_start"],
    }


def report(console):
    """What the boot report says of memory and time."""
    pool = re.search(r"(\d+) of (\d+) KiB of the page pool used", console)
    return {
        "pool_used": int(pool[1]) * 1024,
        "pool": int(pool[2]) * 1024,
        "handover": int(re.search(r"hand-over to first guest: (\d+) TSC ticks", console)[1]),
    }


def bench_console(config, cpus):
    """What the benchmarks' guest printed, with everything else on the console."""
    with boot(config, BIOS, cpus=cpus) as machine:
        match = machine.expect(r"^\[bench\] bench done$", 2 * LONG)
        return machine.console[:match.end()]


def bench_columns(modes=None, cpus=1):
    """The benchmarks' rows under Bulkhead by mode (scripts/bench_table.py)."""
    modes = modes or bench_table.MODES
    return {mode: bench_table.parse(bench_console(config, cpus)) for mode, config in modes.items()}


def bench_smp_columns():
    """The same for the rows that need two CPUs."""
    return bench_columns(bench_table.SMP_MODES, 2)


def bench_bare(cpus=1):
    """The rows on the bare machine."""
    with Machine(TREE / "build" / "bench" / "bare.iso", firmware=BIOS, cpus=cpus) as machine:
        machine.expect(r"^bench done$", LONG)
        return bench_table.parse(machine.console)


def pool_used(cpus):
    """Bytes of the page pool in use with one guest on a machine with so many cores."""
    with boot("bench", BIOS, cpus=cpus) as machine:
        machine.expect(r"^\[bulkhead\] hand-over to first guest: .*\n", LONG)
        return report(machine.console)["pool_used"]


def linux_console(config, cpus, memory):
    """Boot Linux until it powers off; the console."""
    with Machine(iso(config), firmware=BIOS, cpus=cpus, model=LINUX_MODEL, memory=memory) as machine:
        machine.expect(r"ticks: entry \d+ now \d+\n", 3 * LONG)
        end = machine.wait_end(LONG)
        assert end == "poweroff", f"{end}: {machine.tail()}"
        return machine.console


def boot_ticks(console):
    """TSC at the kernel's entry, and at the start of the shell."""
    return tuple(map(int, re.search(r"ticks: entry (\d+) now (\d+)\n", console).groups()))


def sum_tokens(texts):
    """Of several lists such as "pio 3 hlt 1" the sums by name."""
    total = {}
    for text in texts:
        for name, count in tokens(text).items():
            total[name] = total.get(name, 0) + count
    return total


def bare_linux(cpus=1):
    """Ticks from the kernel's entry to the shell, without Bulkhead."""
    entry, now = boot_ticks(linux_console("bare", cpus, LINUX_MEMORY))
    return now - entry


def guest_linux(config="timed", cpus=1):
    """The same under Bulkhead; with what else that boot tells. The exits are all vCPUs'."""
    console = linux_console(config, cpus, 1024)
    entry, now = boot_ticks(console)
    exits = sum_tokens(re.findall(r"(?m)^\[bulkhead\] guest linux:(?: vCPU \d+:)? exits:(.*)$", console))
    # The guest's TSC starts at 0 when it is switched on; the hypervisor then clears and fills its RAM.
    return {"boot": now - entry, "load": entry, "exits": exits, "console": console, **report(console)}


def loop_ticks(console):
    """Ticks of each piece of work in tests/guest/linux_loops, by name."""
    marks = [(name, int(tsc)) for name, tsc in re.findall(r"ticks: ([a-z]+) (\d+)\n", console)]
    return {name: tsc - before for (_, before), (name, tsc) in zip(marks, marks[1:])}


def linux_loops(config, memory):
    """The same of a boot: `loops` under Bulkhead, `bare-loops` without."""
    return loop_ticks(linux_console(config, 1, memory))


def reset_ticks():
    """Instructions from a guest's write to CF9H to the first one of its next life (tests/guest/reset_timed.c)."""
    with boot("reset-timed", BIOS, cpus=1) as machine:
        machine.wait_end(LONG)
        lives = re.findall(r"life begins at (\d+), reset at (\d+)", machine.console)
        return int(lives[-1][0]) - int(lives[-2][1])


def start_console(config, cpus):
    """The console of a boot until the last guest has started."""
    with boot(config, BIOS, cpus=cpus) as machine:
        machine.expect(r"^\[bulkhead\] guest linux: start at TSC .*\n", LONG)
        return machine.console


def start_ticks(console):
    """TSC ticks from the hand-over until guests may start, and each guest's until its first
    instruction, the SHA-256 of its files apart."""
    _, phases, starts = boot_svg.parse(console)
    boot_ticks = sum(ticks for _, ticks in phases)
    return boot_ticks, {name: boot_svg.without_verify(steps) for name, (_, steps) in starts.items()}


BUSY = "for i in 1 2; do dd if=/dev/zero bs=64k 2>/dev/null | md5sum >/dev/null & done"
IDLE_SECONDS, BUSY_SECONDS = 20, 2  # of the emulated machine's time


def exit_counts(machine):
    """Exits by reason of each vCPU of the Linux guest until now, and the machine's time in ticks."""
    machine.send("\x1d?")
    found = [machine.expect(rf"^\[bulkhead\] guest linux: vCPU {i}: exits:(.*)\n", LONG)[1]
             for i in range(2)]
    return list(map(tokens, found)), emulator_ticks_now(machine)


def wait_ticks(machine, end):
    """Let the machine run until its clock shows `end`."""
    while emulator_ticks_now(machine) < end:
        machine.pump(0.1)


def exits_in_window(machine, length):
    """Exits by reason of each vCPU in `length` seconds, per second."""
    begin, start = exit_counts(machine)
    wait_ticks(machine, start + length * DEFAULT_IPS)
    end, stop = exit_counts(machine)
    seconds = (stop - start) / DEFAULT_IPS
    return [{name: (count - before.get(name, 0)) / seconds for name, count in after.items()
             if count != before.get(name, 0)} for before, after in zip(begin, end)]


def linux_exits():
    """Exits per second by reason of each vCPU: of a Linux that waits at its prompt, and of a busy one.
    The console's own interrupts are on another core."""
    with boot("exits", BIOS, cpus=3) as machine:
        shell = Shell(machine)
        shell.wait()
        # The boot's last work is not what an idle Linux does.
        wait_ticks(machine, emulator_ticks_now(machine) + IDLE_SECONDS * DEFAULT_IPS)
        idle = exits_in_window(machine, IDLE_SECONDS)
        _, status = shell.command(BUSY)
        assert status == 0
        return idle, exits_in_window(machine, BUSY_SECONDS)
