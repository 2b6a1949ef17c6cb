# SPDX-License-Identifier: BSD-2-Clause
"""docs/NUMBERS.md: its text, and how measurements become its tables. scripts/bench measures."""
import subprocess
from pathlib import Path

import bench_table
import boot_svg

TREE = Path(__file__).resolve().parent.parent

DOCUMENT = """\
# Numbers

Written by `make bench`, which measures them anew. On a machine with one core under BIOS a TSC tick is an
instruction, HLT skips time, each iteration of a REP counts as one, and runs repeat to the tick; the figures
depend on the compiler and on Debian's kernel and GRUB. With several processors ticks are not instructions: only
ratios count. `make test` prints most of them and holds the bounds, which are in `tests/budget.yaml`. Compiler here:
{compiler}.

## What an exit costs
`make bench`; without the document and without KVM, in seconds: `scripts/bench --quick`; by hand:
`make CONFIG=tests/config/bench.yaml && scripts/run --config bench --headless --firmware bios --cpus 1`

![Bars of what each operation costs under KVM and under Bulkhead](bench.svg)

Instructions in all for one round trip, the loop around it taken off: the guest's instruction itself, and everything
until the guest goes on. One program (`tests/guest/bench.c`) on the bare machine; under KVM (Debian's kernel
{kernel}, a small VMM on /dev/kvm, `tests/kvm/vmm.c`, which answers what KVM does not); and under Bulkhead. Without APICv is
what KVM's `enable_apicv=0` leaves: TPR shadow, virtualized APIC accesses and x2APIC mode, but no APIC registers, virtual
interrupts or posted interrupts (`tests/config/bench-no-apicv.yaml`). The emulator cannot run KVM with APICv: that
column is a reference, measured once on another version of it and another CPU model, with 2 to 4 instructions of its
loop. Of a distribution the figure is the median, of first touches the mean, else the shortest round: KVM's means have its
own timer's interrupts in them. VMCALL is #UD under Bulkhead, as on the bare machine,
and the guest's handler is in the figure. Between CPUs: ticks on a machine with two.

{exits_table}

Geometric mean of KVM/Bulkhead without APICv, over all rows but the first touches and the runs where nobody answers, which KVM
hands to its user space: **{mean:.1f}**.

A WRMSR of x2APIC's ICR exits on every CPU without IPI virtualization, APICv or not: the reference's {self_ipi_reference}
to the own handler are SELF_IPI's ({self_ipi} here). First touches cost nothing because Bulkhead pays for them at a guest's start, when it clears its
memory. What is measured on one CPU repeats to the digit; what is between CPUs or beside a neighbour need not, and the exits of an
idle Linux differ from run to run, because its timers and the window polled by wall clock do.

## Timers and interrupts as distributions
Ticks from the moment that was asked for to the first instruction of the handler: 200 times 1 ms of the 8254, 1000 TSC
deadlines, 200 or 400 interrupts. On one core, where ticks are instructions:

{quiet_table}

The same guest, with APICv, on a machine with two cores, where they are not: alone, beside a guest that works without a pause
(`tests/guest/worker.c`), and beside one that causes exits of all kinds and prints without end (`tests/guest/hostile.c`). The
emulator's clock is the mean of what its processors did, one that halts or idles counts like one that works: what one does alone
reads too high. The console's interrupts, the neighbour's output too, are this guest's core's.

{neighbour_table}

## Size
`make && scripts/test Size`; by hand: `size -A build/demo/bulkhead.elf`, `nm` for `image_0`

| | bytes | bound |
|---|---|---|
| text | {text} | {bounds[size][text]} |
| read-only data, without the guests' images | {rodata} | |
| data | {data} | |
| bss | {bss} | |

## Memory
`scripts/test LinuxBoot`, or the boot report's lines `memory:` and `page pool`

| | KiB |
|---|---|
| image without the guests' images, in whole pages | {own} |
| of that: text | {text_kib} |
| read-only data | {rodata_kib} |
| data and bss | {data_kib} |
| page pool: used by page tables, VMCSs, core areas and stacks, with one core and one guest | {pool_used} |
| of that: for each core (area, stacks, VMXON region), and its page tables | {pool_core} |
| page pool: reserved | {pool} |
| **taken in all**, besides guests' memory and images | {taken} |

By number of cores and guests, as formulas: docs/SCALE.md.

## Start
By hand: `scripts/run --headless --firmware bios --cpus N --config NAME --log LOG`, then
`scripts/boot_svg.py OUT.svg TITLE LOG`. The phases are the steps of docs/TOUR.md 1.2.

![Timeline of three boots](boot.svg)

One core, one guest (`tests/config/timed.yaml`): ticks are instructions. Four cores: `config/demo.yaml`, whose guests have a core
each, and `tests/config/smp4.yaml`, a Linux with all four. With several processors the emulator's ticks are its time: the
mean of what the processors executed, where one that halts counts like one that works. That is each core's own count when
all of them work alike, as in clearing the memory of the Linux with four vCPUs; what one core does while the others wait
reads too low in a REP and too high elsewhere.

| phase | one core: instructions | four cores, demo: ticks | four cores, smp4: ticks |
|---|---|---|---|
{phases}
| **from hand-over until guests may start** | {boot_one} | {boot_demo} | {boot_smp} |
| linux: SHA-256 of its files | {verify_one} | {verify_demo} | {verify_smp} |
| linux: clear 256 MiB | {scrub_one} | {scrub_demo} | {scrub_smp} |
| linux: put kernel and initramfs there | {load_one} | {load_demo} | {load_smp} |
| linux: devices, vCPU, first entry | {reset_one} | {reset_demo} | {reset_smp} |
| **from hand-over to Linux's first instruction**, SHA-256 apart | {first_one} | {first_demo} | {first_smp} |

The serial port is not waited for while the boot report fits into its queue; the phase `clock` is the 30 ms in which the TSC is
measured against the PIT. A store of 8 bytes is one count, so 256 MiB are 33554432 of them, shared by the guest's cores:
wider ones would need vector registers, which are the guests'. Bounds, held by `scripts/test Start`: {bounds[start][linux-first-instruction]} ticks on four cores
to the first instruction of a Linux that has them, of which {bounds[start][guests-may-start]} until guests may start.

A guest that resets itself (16 MiB of memory, `tests/config/reset-timed.yaml`) executes the first instruction of its next life
{reset} instructions after its write to port CF9H; clearing its memory is most of that.

## Linux's boot
`scripts/test LinuxBoot`: model {model}, command line `console=ttyS0 quiet clearcpuid=rep_good,erms`, 256 MiB, from
the first instruction of the kernel's image to the start of the shell. A copy of the kernel (`scripts/time_kernel`) notes the TSC when it is
entered, and a program in the initramfs (`tests/guest/linux_tsc.c`) prints that note and the TSC. All runs have
the same kernel, initramfs, memory and command line. They differ in what hardware the kernel finds: the bare
machine has disks' controllers, VGA and a keyboard to probe and a UART that really takes 87 us a character;
`quiet` keeps the latter small. The model is one whose CPUID claims no TSC frequency, because on the default model
the bare Linux believes a wrong one and waits 70 times too long. `clearcpuid`: the bare emulator reports fast strings as off in
IA32_MISC_ENABLE, and Linux then copies by loops of 8 bytes; where they are on it copies by REP MOVSB, of which each byte
counts. So none has them.

| | bare | Bulkhead | ratio | KVM | ratio |
|---|---|---|---|---|---|
| one vCPU: instructions | {bare} | {guest} | {ratio:.3f} (bound {bounds[linux][boot-ratio]}) | {kvm} | {kvm_ratio:.3f} |
| two vCPUs: ticks | {bare2} | {guest2} | {ratio2:.3f} | {kvm2} | {kvm_ratio2:.3f} |
| exits, one vCPU | | {exit_count} | | {kvm_exits} | |
| exits, two vCPUs | | {exit_count2} | | {kvm_exits2} | |
| 20 processes that talk through pipes | {bare_loops[pipes]} | {loops[pipes]} | {pipes_ratio:.3f} | {kvm_loops[pipes]} | {kvm_pipes_ratio:.3f} |
| `dd`, to and from a file and none | {bare_loops[copy]} | {loops[copy]} | {copy_ratio:.3f} | {kvm_loops[copy]} | {kvm_copy_ratio:.3f} |

The last two rows are instructions of some work after such a boot (`tests/guest/linux_loops`). KVM counts what its user space
is asked for, and HLT, as exits too. Exits of one vCPU under Bulkhead by reason, from the kernel's entry to its power-off:

| reason | exits |
|---|---|
{exits}

## Exits of a running Linux
`scripts/test LinuxExits`: exits per second of each vCPU of a Linux with two (`tests/config/exits.yaml`), whose serial
console's interrupts another core takes. Idle: the shell waits at its prompt; about eight timers a second go off, each
with a deadline and two writes of IA32_TSC_DEADLINE, and which vCPU has most of them differs from run to run. Bound: {bounds[linux][idle-exits]} per vCPU in the mean. Busy: two pipes from `dd` to `md5sum`.

| reason | idle, vCPU 0 | vCPU 1 | busy, vCPU 0 | vCPU 1 |
|---|---|---|---|---|
{running}
"""

TITLES = ("One core, one Linux: ticks are instructions", "Four cores, the demo: ticks, of which one core alone in a REP counts a quarter",
          "Four cores, one Linux with all of them")


def table(values):
    """Rows of two columns."""
    return "\n".join(f"| {name} | {count} |" for name, count in values.items())


def table_of_rates(idle, busy):
    """A row for each reason, and their sums."""
    columns = idle + busy
    rows = [(name, [column.get(name, 0) for column in columns])
            for name in sorted(set().union(*columns))]
    rows.append(("**all**", [sum(column.values()) for column in columns]))
    return "\n".join(f"| {name} | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |"
                     for name, rates in rows)


def start_figures(consoles):
    """The table of phases, and Linux's start, of each column's console."""
    columns = {name: boot_svg.parse(console) for name, console in consoles.items()}
    ticks = {name: dict(phases) for name, (_, phases, _) in columns.items()}
    names = [name for name, _ in columns["one"][1]]
    figures = {"phases": "\n".join(
        f"| {name} | " + " | ".join(str(column[name]) for column in ticks.values()) + " |" for name in names)}
    for name, (_, _, starts) in columns.items():
        linux = starts["linux"][1]
        boot = sum(ticks[name].values())
        figures[f"boot_{name}"] = boot
        figures[f"first_{name}"] = boot + boot_svg.without_verify(linux)
        figures.update({f"{step}_{name}": count for step, count in linux})
    return figures


def linux_figures(found):
    """Linux's boots and loops, on the bare machine, under Bulkhead and under KVM."""
    figures = {"exits": table(found["linux"]["exits"])}
    for end in ("", "2"):
        ours, bare, kvm = found["linux" + end], found["linux-bare" + end], found["linux-kvm" + end]
        figures.update({
            "guest" + end: ours["boot"], "bare" + end: bare, "kvm" + end: kvm["boot"],
            "ratio" + end: ours["boot"] / bare, "kvm_ratio" + end: kvm["boot"] / bare,
            "exit_count" + end: sum(ours["exits"].values()), "kvm_exits" + end: kvm["exits"]["exits"]})
    loops, bare, kvm = found["loops"], found["loops-bare"], found["loops-kvm"]
    figures.update({"loops": loops, "bare_loops": bare, "kvm_loops": kvm})
    for name in ("pipes", "copy"):
        figures[f"{name}_ratio"] = loops[name] / bare[name]
        figures[f"kvm_{name}_ratio"] = kvm[name] / bare[name]
    return figures


def memory_figures(size, report, pools):
    """KiB. `pools`: the pool's use by number of cores."""
    own = size["image"] - size["images"]
    return {"own": own // 1024, "text_kib": size["text"] // 1024, "rodata_kib": size["rodata"] // 1024,
            "data_kib": (size["data"] + size["bss"]) // 1024, "pool_used": report["pool_used"] // 1024,
            "pool_core": (pools[2] - pools[1]) // 1024, "pool": report["pool"] // 1024,
            "taken": (own + report["pool"]) // 1024}


def document(found, results):
    """The document, of everything that scripts/bench found."""
    size = found["sizes"]
    compiler = subprocess.run(["gcc", "--version"], check=True, text=True, stdout=subprocess.PIPE)
    kernel = (TREE / ".deps" / "kernel.version").read_text().strip()
    consoles = {"one": found["linux"]["console"], "demo": found["start-demo"], "smp": found["start-smp4"]}
    quiet = {"bare": results.bare, "KVM, no APICv": results.kvm,
             "Bulkhead, no APICv": results.ours["no-apicv"], "Bulkhead, APICv": results.ours["apicv"]}
    quiet = {title: {name: figures for name, figures in column.items() if name in bench_table.ROWS}
             for title, column in quiet.items()}
    neighbours = {"alone": found["quiet"], "working neighbour": found["busy"], "hostile neighbour": found["hostile"]}
    return DOCUMENT.format(
        **{name: size[name] for name in ("text", "rodata", "data", "bss")},
        **memory_figures(size, found["linux"], found["pools"]), **linux_figures(found),
        **start_figures(consoles), bounds=found["budget"], compiler=compiler.stdout.splitlines()[0], kernel=kernel,
        model=found["model"], mean=results.mean(), self_ipi=bench_table.number(bench_table.figure(results.ours["apicv"].get("x2apic-self-ipi"))),
        self_ipi_reference=bench_table.ROWS["x2apic-self-ipi"].reference, reset=found["reset"],
        exits_table=bench_table.as_markdown(results), quiet_table=bench_table.distributions(quiet),
        neighbour_table=bench_table.distributions(neighbours), running=table_of_rates(*found["running"]))


def boot_picture(found):
    """docs/boot.svg."""
    return boot_svg.svg(list(zip(TITLES, (found["linux"]["console"], found["start-demo"], found["start-smp4"]))))
