# SPDX-License-Identifier: BSD-2-Clause
"""docs/SCALE.md: its text, and how formulas and measurements become its tables. scripts/scale measures."""
import scale_model as model
from scale_model import GIB, KIB, MIB, Guest

CORES = (1, 2, 4, 8, 16)
HZ = 50_000_000  # of the emulated machine: scripts/machine.py
LARGE = 256  # cores of the machine on paper
SOCKETS = 4
MIXES = ((f"{LARGE // 8} guests with 8 vCPUs and 64 GiB", [Guest(64 * GIB, 8)] * (LARGE // 8)),
         (f"{LARGE} guests with 1 vCPU and 4 GiB", [Guest(4 * GIB)] * LARGE))
EPT_ROWS = (("16 MiB", Guest(16 * MIB)), ("256 MiB", Guest(256 * MIB)), ("1 GiB", Guest(GIB)),
            ("1 GiB + 2 MiB", Guest(GIB + 2 * MIB)), ("3 GiB", Guest(3 * GIB)), ("4 GiB", Guest(4 * GIB)),
            ("64 GiB", Guest(64 * GIB)), ("256 MiB, firmware with 4 MiB of ROM", Guest(256 * MIB, rom=4 * MIB)),
            ("256 MiB, `apic: direct`", Guest(256 * MIB, direct=True)))

DOCUMENT = """\
# Scale

Written by `make scale` (`scripts/scale`), which measures anew. What Bulkhead takes for each core and each guest, as formulas that
are read off the code (`scripts/scale_model.py`), beside what machines with 1 to 16 cores measured; then what a machine with {large} cores
and {sockets} sockets would need, **of which nothing was run**. `scripts/test Scale` holds the formulas at 1, 2 and 4 cores.

"Full": every core has a vCPU, on 16 cores two for each of 8 guests; the first guest is `tests/guest/scale.c`, the others `tests/guest/hostile.c`, which
cause exits of all kinds and print without end. "Idle": one guest with one vCPU, the other cores have none. Each guest has 16 MiB. Ticks are
instructions here: these machines run one instruction of each processor at a time (`quantum=1` in Bochs's `cpu:` line). Only a REP instruction runs whole and counts
by a share of 1/N, which makes phases that clear pages (`memory`, `tables`, `cores`, `guests`) read low, and a VM exit counts some instructions less.

## Memory: the page pool

![The page pool by number of cores](scale.svg)

With N cores, G guests, V vCPUs in all:

| pages of 4 KiB | for | where |
|---|---|---|
| {per_core} N | each core: its area (`struct cpu`, {cpu_size} bytes), VMXON region, {ist} + {stack} pages of stacks | `make_cpu`, `map_stacks` in `boot/main.c` |
| ceil(N / {cores_per_pt}) + ceil(N / {cores_per_pd}) | page tables of the stacks, page directories of the windows | `STACK_STRIDE`, `WINDOW_SLOTS` in `arch/x86/layout.h` |
| {fixed} | the rest of our own page tables: one address space for all cores | `hv_main`, `map_image` in `boot/main.c` |
| 5 V | each vCPU: VMCS, I/O bitmap, MSR bitmap, virtual-APIC page, posted-interrupt descriptor | `vcpu_create` in `arch/x86/vmx/vcpu.c` |
| G (1 + E) | each guest: the APIC-access page, and its EPTs (with `apic: direct`: E only) | `create_apic_page` in `guest/vm.c`, `load_make_ept` in `guest/load.c` |

E, both sets of EPTs: one page for each table that a leaf needs, counted as `pt_map` (`mm/pt.c`) makes them, with 1 GiB pages. The second
set also has the page at FEE00000H, and with it a directory and a table:

| memory | without the APIC-access page | with | E |
|---|---|---|---|
{epts}

A block of 1 GiB or more needs 1 GiB alignment for that (`take_block`, `guest/load.c`); without it each GiB takes one page more per set.

| cores | guests x vCPUs | formula: cores | host tables | EPTs | guests' others | all | measured |
|---|---|---|---|---|---|---|---|
{pool}

The pool has {pool_pages} pages (`POOL_SIZE`), so the cores' share alone ends at {cores_alone} cores, and CPU_MAX = {cpu_max} leaves room for
{guests_at_max} guests with one vCPU. A machine whose guests do not fit is refused when it boots, with
a sentence such as "no memory for its VMCS"; `scripts/config` does not see it before.

## Memory: the image

| bytes | for | where |
|---|---|---|
| {vm} G | `struct vm`: devices, queues, and room for {vcpu_max} vCPUs whether it has them or not, {vcpu} each | `vms[]` in the generated `config.c` |
| {cpu_list} | pointers to {cpu_max} cores, and their pool pages | `cpu_list` in `arch/x86/cpu.c`, `boot.own` in `boot/main.c` |
| {acpi} | the MADT's processors | `ACPI_CPUS_MAX` in `arch/x86/acpi.h` |
| {isolation} | ranges that guests reach, owners of the pool's pages | `struct isolation` |

Text does not depend on either. bss, measured:

| guests | formula: first image + {vm} (G - 1) | measured |
|---|---|---|
{bss}

## Time to boot
Instructions of the first core in each phase that grows (docs/TOUR.md 1.2); "full" machines.

| phase | {core_heads} |
|---|{core_lines}
{phases}

- `cores`: {per_start:.0f} ticks for each further core, of which {settle_ticks} are the {settle} us between INIT and SIPI at the emulator's {mhz} MHz; the cores start one after the other (`start_cores`,
  `smp_start`), and each does its part (`init_core`) while the first one waits.
- `guests`, `map`: one guest, one core, one line of the report after the other. `vm_on_core` looks at all vCPUs for each core; at {large} cores that is {lookups} comparisons.
- `isolation`: `isolation_check` (`guest/isolation.c`) reads each table and bitmap entry by entry, looks at each page of our own, and compares each range of a guest's with the others and with each
  page of our own. Ticks = {iso[1]:.0f} for each table (512 entries, and the pages of a guest of 16 MiB) + {iso[2]:.0f} for each bitmap + {iso[3]:.0f} for each page of our own + {iso[4]:.1f} for each
  comparison - {iso_less:.0f} (our own tables are not a guest's) + {iso[5]:.0f} / N (what the emulator runs whole). The coefficients are found from the machines with up to 4 cores only; 8 and 16 are foretold:

| cores | guests x vCPUs | tables | bitmaps | pages of our own | comparisons | formula | measured | difference |
|---|---|---|---|---|---|---|---|---|
{isolation_rows}

The boot report: about {report_fixed} bytes, {report_core} for each core and {report_guest} for each guest, more or less a few as numbers have digits. It has a buffer of {report_len} bytes; a longer one is waited for, {byte_us:.0f} us a byte.

| cores | guests | formula: bytes | measured |
|---|---|---|---|
{reports}

## What an exit costs does not depend on the number of cores
Instructions of the hypervisor from the arrival in root mode to VMRESUME, on core 0, counted one by one under the emulator's debugger; the guest's own instruction apart.
Of several rounds the cheapest; IN 40H is one more or less as the timer stands. On 16 full cores each guest has two vCPUs, which the ICR's row shows. "Locked": of those, with `vm->lock` held.

| exit | {exit_heads} | locked |
|---|{exit_lines}---|
{exits}

There is no state that all cores write on an exit: `struct vcpu` is its core's, `struct vm` its guest's. What does grow, and with what:

| what | grows with | where | cost |
|---|---|---|---|
| an interrupt message: each local APIC of the guest is asked | the guest's vCPUs, at most {vcpu_max} | `ipi_deliver`, `guest/ipi.c` | {ipi} |
| shared devices of one guest | its vCPUs that use them at once | `vm->lock` | below |
| reset, end, INIT: each other vCPU is roused by an NMI | the guest's vCPUs | `rouse_others`, `guest/vm.c` | two ICR writes for each |
| the console: one UART, one core, all guests take turns | all that is printed | `pump`, `guest/console.c` | {lines:.0f} lines of 80 characters a second in all; an exit of core 0's guest for 16 bytes |
| a look for a guest that waits for room on the console | guests | `wake_blocked`, `any_waiting`, `next_source` | some loads for each guest and 16 bytes |
| the last guest's end | guests | `vm_all_ended` | once for each end |
| the table dump, Ctrl-] t and Ctrl-] ? | cores, vCPUs, tables | `guest/dump.c`, `help` in `guest/console.c` | line by line, when the UART is free |

ICR to itself in a guest with several vCPUs:

| vCPUs | formula: {ipi_base} + {ipi_step} (V - 1) | measured |
|---|---|---|
{ipis}

All vCPUs of one guest read the 8254's counter without a pause, which is the longest hold of the frequent reads. Alone one takes T = {read_ticks:.0f} ticks for
each, of which {hold} with the lock held, so V vCPUs read at most min(V / T, 1 / {hold}) times a tick. In a million ticks:

| vCPUs | formula | measured | measured / formula |
|---|---|---|---|
{reads}

Beyond {saturation:.1f} vCPUs that do nothing else the lock is what limits, and what is lost to the formula is how long it takes from one core to the next. (T is from a machine with
two cores, whose ticks leave out some instructions of each exit.) For a Linux guest this does not matter: it reads none of these devices once it has booted (docs/NUMBERS.md, "Exits of a running Linux"), and its local APICs are without lock.

## On paper: {large} cores, {sockets} sockets
Nothing of this was run. Limits as the code has them, where, and what it would take.

| limit today | where | what would have to change | cost |
|---|---|---|---|
| {cpu_max} cores are started, the others are left alone | `CPU_MAX` (`arch/x86/cpu.h`), `MAX_CORES` (`scripts/config/pc.py`), `cores`, `core` (`config/schema.json`) | the numbers | {cpu_bytes} bytes of pointers for each core |
| {sources} sources on the console: {guests_max} guests, as many as a digit can name | `SOURCES_MAX` (`guest/console.c`), `guests` (`config/schema.json`) | another way to choose the keyboard's guest; turns by a queue of those who have something | some 280 bytes for each guest |
| {vcpu_max} vCPUs for each guest: at most {used_max} of the {large} cores have one | `VM_VCPU_MAX` (`guest/vm.h`) | the number; the vCPUs apart from `struct vm`, in the pool; MADT room for {madt_max} is there | {vcpu} bytes for each vCPU |
| the pool: {pool_pages} pages, one large page below 4 GiB | `POOL_SIZE` (`boot/main.c`), `ISOLATION_POOL_PAGES` (`guest/isolation.h`) | several large pages; the size from the config, which knows guests and cores | {mix_pool} |
| {ranges_max} ranges of host memory in all | `ISOLATION_RANGES` (`guest/isolation.h`) | the number: 2 for each guest and its shares | {reach} bytes for each |
| 126 guests | `ISOLATION_OWNER` (`guest/isolation.h`), 7 bits of a byte | two bytes for a page's owner | {pool_pages} bytes for each {pool_pages} pages |
| 256 processors of the MADT | `ACPI_CPUS_MAX` (`arch/x86/acpi.h`) | nothing for {large}, if the MADT lists no more that are disabled | {acpi_cpu} bytes for each |
| VPIDs: 1 + 8 x guest + vCPU, 16 bits | `create_vcpu` (`guest/vm.c`) | nothing up to 8191 guests | none |
| APIC IDs above 254 | `apic_reaches`, `icr_write` (`arch/x86/apic.c`) | nothing for kicks, posted interrupts, INIT and SIPI: x2APIC mode and 32-bit destinations are used where there are; without x2APIC such cores are refused | none |
| the console's interrupt: 8-bit destination, core 0 | `route_isa` (`boot/main.c`), `ioapic_route` | nothing while the first core's ID is below 255, else remapping by an IOMMU, which nothing here drives. Without the interrupt, and the 8254's has the same limit, output waits for the UART and there is no keyboard | none, or an IOMMU driver |
| stacks: 64 KiB of addresses for each core; windows: 16 MiB | `arch/x86/layout.h` | nothing: 512 GiB of addresses each | {large_tables} pages of tables |
| 16 I/O APICs, 256 entries of the memory map, {free_ranges} free ranges | `ACPI_IOAPICS_MAX`, `BOOT_MEMORY_MAX`, `PAGES_RANGES_MAX` | perhaps the first: a socket has several; more are dropped, and what they have is not masked | 24 bytes for each |
| cores are started one by one | `start_cores` (`boot/main.c`) | nothing, or a broadcast of INIT and SIPI with an area chosen by APIC ID in the trampoline, so that they start together | {start_ms:.0f} ms for INIT's {settle} us alone, and {start_instructions:.1f} M instructions; 1 ms each where the first SIPI is not enough; by broadcast {settle} us and the work of one core |
| pairs of cores are compared for hardware threads | `fit_threads`, `describe_threads` (`boot/fit.c`) | nothing; the line that lists them is cut at 200 characters | {thread_pairs} comparisons and more |
| `isolation_check` | `guest/isolation.c` | nothing; by one core, all tables | {mix_isolation} |
| the report's buffer: {report_len} bytes | `REPORT_LEN` (`guest/console.c`) | a larger one: what is beyond is waited for, at {byte_us:.0f} us a byte | {mix_report} |
| one UART, one core for it | `guest/console.c` | a ring in memory for each guest, or a channel to a guest that logs; {lines:.0f} lines a second are {lines_each:.1f} for each of {large} guests | a device |
| one copy of text and tables, on one node | `boot/main.c` | a copy of text and our own tables for each socket, if misses were found to matter; the exit path is read-only and stays in each core's cache | {image_kib} KiB for each socket |
| memory is taken from the top, whatever node it is of | `pages_take_block` (`mm/pages.c`); the SRAT is not read | read the SRAT; a block from the node of the guest's cores, or the config's ranges for each guest (`machine: ranges` is for all); refuse a guest across sockets unless the config says so; area, stacks and VMCS from the core's node | a parser of about 100 lines; a pool for each node |
| a guest across sockets does not know it | `guest/acpi_tables.c` | an SRAT and SLIT for the guest, or no such guest | as above |
| the TSCs are taken to be in step | `vm_now` (`guest/vm.h`): the host's TSC less one offset for each guest, on all its vCPUs | measure each core's against core 0's when it starts, refuse or correct by TSC_OFFSET of each vCPU and by IA32_TSC_ADJUST. One guest within a socket hardly needs it; one across sockets does | one exchange for each core; no exit costs more, since the offset is a field |
| MTRRs as firmware left them | not looked at; PAT and control registers are set on each core (`cpu_init_control`, `arch/x86/cpu.c`) | compare each core's MTRRs with core 0's, and refuse: across sockets firmware is one more thing that can be wrong | some 30 MSRs for each core |
| VMX capabilities | `init_core` (`boot/main.c`): each core is checked by itself, and its difference said | nothing: mixed steppings work as far as each can | none |
| clearing: by each guest's own cores | `gmem_scrub` (`guest/gmem.c`) | nothing: it grows with the cores. Stores are of 8 bytes | {scrub} |
| SHA-256 by the first vCPU's core | `verify_files` (`guest/verify.c`) | nothing for different guests, which hash side by side | 49 instructions a byte, for each guest |

On {large} cores with today's limits a machine would boot, start {cpu_max} of them, and say so for each of the others.

Pool and image on such a machine, by the formulas:

| guests | pool pages | MiB | `struct vm` in all, MiB | instructions of `isolation_check` | report, bytes | waited for |
|---|---|---|---|---|---|---|
{mixes}

Comparisons, which grow with cores times guests, are {pairs_share:.0f}% of `isolation_check` for {large} guests: sorting the ranges first would make them few. A guest of 64 GiB without 1 GiB pages
has 65536 leaves in its two sets of tables, some 250 instructions each.

## Doubts
- The emulator has no caches, no NUMA, no coherence traffic: what a lock, an NMI or a line of `struct vm` costs between sockets, it does not show. Instructions are a lower bound of time.
- Coefficients of `isolation_check` and of the report are fitted, not proven; at {large} cores they are far outside of what was measured.
- More than 16 cores, or other APIC IDs than 0 to 15, were not run: Bochs has no room for them.
- The hostile neighbours cause exits of all kinds and fill the console. What a neighbour does to shared caches and buses is not seen.
"""


def fit(rows):
    """The coefficients that come nearest to [(features, value)], by least squares."""
    size = len(rows[0][0])
    matrix = [[sum(f[i] * f[j] for f, _ in rows) for j in range(size)] + [sum(f[i] * v for f, v in rows)]
              for i in range(size)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda j: abs(matrix[j][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        for j in range(size):
            if j != i:
                factor = matrix[j][i] / matrix[i][i]
                matrix[j] = [a - factor * b for a, b in zip(matrix[j], matrix[i])]
    return [matrix[i][size] / matrix[i][i] for i in range(size)]


def row(*cells):
    """A line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def rows(lines):
    """Lines of a table."""
    return "\n".join(row(*line) for line in lines)


def mib(count):
    """Bytes as MiB."""
    return f"{count / MIB:.1f}"


def features(cores, guests, image, share):
    """What isolation_check's ticks depend on; `share`: of the iterations of a REP that are counted."""
    return (1, *model.looked_at(cores, guests, image), model.own_pages(cores, image),
            model.compared(cores, guests, image), share)


def features_of(case, found):
    """The same of a machine that was run."""
    return features(case.cores, case.model, found["elf"]["image"], 1 / case.cores)


def isolation_fit(found):
    """The coefficients, from the machines with up to 4 cores."""
    return fit([(features_of(case, one), one["boot"]["isolation"]) for case, one in found.items() if case.cores <= 4])


def dot(a, b):
    """Sum of products."""
    return sum(x * y for x, y in zip(a, b))


def report_fit(found):
    """Bytes of the boot report: [fixed, for each core, for each guest]; idle cores have one line together."""
    full = [(case, one) for case, one in found.items() if case.cores == case.guests * case.vcpus]
    return fit([((1, case.cores, case.guests), one["boot"]["report"]) for case, one in full])


def pool_figures(found, full):
    """The page pool's tables."""
    image = found[full[0]]["elf"]["image"]
    lines = []
    for case, one in sorted(found.items()):
        parts = model.pool(case.cores, case.model, one["elf"]["image"])
        lines.append((case.cores, f"{case.guests} x {case.vcpus}", *parts.values(), sum(parts.values()),
                      one["boot"]["pool"]))
    alone = 1
    while sum(model.pool(alone + 1, [], image).values()) <= model.POOL_PAGES:
        alone += 1
    return {"pool": rows(lines), "per_core": model.core_pages(1),
            "fixed": model.tables(model.host_pages(1, image)) - 2, "cores_alone": alone,
            "guests_at_max": model.most_guests(model.CPU_MAX, Guest(256 * MIB), image),
            "epts": rows((title, *model.ept_pages(guest), sum(model.ept_pages(guest))) for title, guest in EPT_ROWS),
            "image_kib": sum(image) // KIB, "large_tables": model.tables(model.host_pages(LARGE, image)),
            "mix_pool": "; ".join(f"{title}: {sum(model.pool(LARGE, guests, image).values())} pages"
                                  for title, guests in MIXES)}


def image_figures(found, full, sizes):
    """The image's tables."""
    first = found[full[0]]["elf"]["sections"][".bss"]
    seen = {case.guests: found[case]["elf"]["sections"][".bss"] for case in full}
    return {"vm": sizes["vm"], "vcpu": sizes["vcpu"], "cpu_size": sizes["cpu"], "reach": sizes["reach"],
            "acpi_cpu": sizes["acpi_cpu"], "acpi": 256 * sizes["acpi_cpu"],
            "cpu_list": 3 * 8 * model.CPU_MAX, "cpu_bytes": 3 * 8,
            "isolation": model.RANGES_MAX * sizes["reach"] + model.POOL_PAGES,
            "bss": rows((guests, first + sizes["vm"] * (guests - 1), size) for guests, size in seen.items())}


def boot_figures(found, full):
    """Phases, the report, and the check of isolation."""
    phases = {case: found[case]["boot"]["phases"] for case in full}
    names = ("cores", "fit", "guests", "map", "isolation")
    per_start = (phases[full[-1]]["cores"] - phases[full[0]]["cores"]) / (full[-1].cores - 1)
    coefficients = isolation_fit(found)
    lines = []
    for case, one in sorted(found.items()):
        parts, measured = features_of(case, one), one["boot"]["isolation"]
        formula = dot(coefficients, parts)
        lines.append((case.cores, f"{case.guests} x {case.vcpus}", *parts[1:-1], round(formula), measured,
                      f"{(formula / measured - 1) * 100:+.1f}%"))
    fixed, core, guest = report_fit(found)
    return {"phases": rows((name, *(phases[case][name] for case in full)) for name in names), "per_start": per_start,
            "core_heads": " | ".join(f"{case.cores} core{'s' * (case.cores > 1)}" for case in full), "core_lines": "---|" * len(full),
            "settle": model.SETTLE_US, "settle_ticks": model.SETTLE_US * HZ // 1_000_000, "mhz": HZ // 1_000_000,
            "lookups": LARGE * LARGE // 2, "thread_pairs": LARGE * (LARGE - 1) // 2,
            "iso": coefficients, "iso_less": -coefficients[0],
            "isolation_rows": rows(lines), "report_fixed": round(fixed), "report_core": round(core),
            "report_guest": round(guest),
            "reports": rows((case.cores, case.guests, round(fixed + core * case.cores + guest * case.guests),
                             found[case]["boot"]["report"]) for case in full)}


def exit_figures(found, full, idle):
    """Exits, and what vCPUs of one guest cost each other."""
    columns = [found[case]["exits"] for case in [*full, *idle]]
    heads = [f"{case.cores} full" for case in full] + [f"{case.cores} idle" for case in idle]
    return {"exit_heads": " | ".join(heads), "exit_lines": "---|" * len(heads),
            "exits": rows((name, *(column[name][0] for column in columns), columns[0][name][1])
                          for name in columns[0])}


def wide_figures(found, wide):
    """One guest with several vCPUs."""
    name = next(name for name in found[wide[0]]["exits"] if "ICR" in name)
    ipi = {case.vcpus: found[case]["exits"][name][0] for case in wide}
    base, step = ipi[1], ipi[2] - ipi[1]
    hold = max(found[wide[0]]["exits"]["IN 40H"][1], 1)
    one = next(case for case in found if case.cores == 2 and case.guests == case.vcpus == 1)
    ticks = 1_000_000 / found[one]["boot"]["reads"]
    lines = []
    for case in [one, *wide[1:]]:
        formula = min(case.vcpus / ticks, 1 / hold) * 1_000_000
        measured = found[case]["boot"]["reads"]
        lines.append((case.vcpus, round(formula), measured, f"{measured / formula:.2f}"))
    return {"ipi": f"{step} instructions for each further vCPU", "ipi_base": base, "ipi_step": step,
            "ipis": rows((vcpus, base + step * (vcpus - 1), count) for vcpus, count in ipi.items()),
            "reads": rows(lines), "read_ticks": ticks, "hold": hold, "saturation": ticks / hold}


def paper_figures(found, full, sizes):
    """The machine that is not there."""
    image = found[full[0]]["elf"]["image"]
    coefficients, (fixed, core, guest) = isolation_fit(found), report_fit(found)
    ap_ticks = boot_figures(found, full)["per_start"] - model.SETTLE_US * HZ / 1_000_000
    lines, isolation, reports, share = [], [], [], 0
    for title, guests in MIXES:
        pages = sum(model.pool(LARGE, guests, image).values())
        parts = features(LARGE, guests, image, 1)
        instructions = dot(coefficients, parts)
        share = 100 * coefficients[4] * parts[4] / instructions
        length = fixed + core * LARGE + guest * len(guests)
        wait = max(0, length - model.REPORT_LEN) * model.BYTE_US / 1e6
        lines.append((title, pages, mib(pages * model.PAGE), mib(sizes["vm"] * len(guests)),
                      f"{instructions / 1e6:.0f} M", round(length), f"{wait:.1f} s"))
        isolation.append(f"{instructions / 1e6:.0f} M instructions")
        reports.append(f"{wait:.1f} s")
    per_line = 84  # with a short name and the line's end
    return {"mixes": rows(lines), "mix_isolation": " or ".join(isolation), "mix_report": " or ".join(reports),
            "pairs_share": share, "start_ms": (LARGE - 1) * model.SETTLE_US / 1000,
            "start_instructions": (LARGE - 1) * ap_ticks / 1e6, "lines": 11520 / per_line,
            "lines_each": 11520 / per_line / LARGE,
            "scrub": f"64 GiB on 8 cores: {64 * GIB // 8 // 8 / 1e9:.1f} G stores on each"}


def document(found, full, idle, wide):
    """The document; `found`: {case: {"elf", "boot", "exits"}} of measure_scale's cases."""
    sizes = model.sizes()
    stack = model.STACK_SIZE // model.PAGE
    return DOCUMENT.format(
        large=LARGE, sockets=SOCKETS, ist=model.IST_PAGES, stack=stack, pool_pages=model.POOL_PAGES,
        cores_per_pt=512 * model.PAGE // model.STACK_STRIDE, cores_per_pd=512 // model.WINDOW_SLOTS,
        cpu_max=model.CPU_MAX, vcpu_max=model.VCPU_MAX, sources=model.SOURCES_MAX, guests_max=model.SOURCES_MAX - 1,
        used_max=(model.SOURCES_MAX - 1) * model.VCPU_MAX, ranges_max=model.RANGES_MAX, report_len=model.REPORT_LEN,
        byte_us=model.BYTE_US, madt_max=model.define("guest/acpi_tables.h", "ACPI_VCPUS_MAX"),
        free_ranges=model.define("mm/pages.h", "PAGES_RANGES_MAX"),
        **pool_figures(found, full), **image_figures(found, full, sizes), **boot_figures(found, full),
        **exit_figures(found, full, idle), **wide_figures(found, wide), **paper_figures(found, full, sizes))


def series(found, full, idle, wide):
    """What docs/scale.svg shows."""
    image = found[full[0]]["elf"]["image"]
    small = Guest(16 * MIB)
    powers = [1 << i for i in range(LARGE.bit_length())]

    def line(guests_of):
        return [(cores, sum(model.pool(cores, guests_of(cores), image).values())) for cores in powers]

    def dots(cases):
        return [(case.cores, found[case]["boot"]["pool"]) for case in cases]

    return [("one guest, the other cores idle", line(lambda cores: [small]), dots(idle)),
            ("a guest with one vCPU on each core", line(lambda cores: [small] * cores),
             dots([case for case in full if case.vcpus == 1])),
            ("a guest with 8 vCPUs on each 8 cores", line(lambda cores: [Guest(16 * MIB, min(cores, 8))] * max(cores // 8, 1)),
             dots(wide))]


LIMITS = ((f"POOL_SIZE: {model.POOL_PAGES} pages", model.POOL_PAGES, None),
          (f"CPU_MAX {model.CPU_MAX}", None, model.CPU_MAX))
