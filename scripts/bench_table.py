# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks' rows: read from consoles, held against tests/budget.yaml, shown beside KVM's.

A column is {row: figures}, figures being what the guest printed, such as {"avg": 183, "min": 183}
(tests/guest/bench.h); a row that the CPU does not have is None.
"""
import math
import re
from pathlib import Path
from typing import NamedTuple

import yaml

BUDGET = Path(__file__).resolve().parent.parent / "tests" / "budget.yaml"
MODES = {"apicv": "bench", "no-apicv": "bench-no-apicv"}  # and the configs that show them
SMP_MODES = {"apicv": "bench2", "no-apicv": "bench2-no-apicv"}

LINE = re.compile(r"^(?:\[\w+\] )?bench (\S+)((?: [a-z0-9]+ \d+)+| absent)$", re.M)


class Row(NamedTuple):
    """One operation."""

    title: str
    group: str
    reference: int = 0  # KVM with APICv, measured elsewhere; 0: not known
    bare: bool = True  # means something without a hypervisor


# KVM with APICv does not run on the emulated machine. Its column was measured once with the same
# method, Debian's 6.1 kernel and a Sapphire Rapids model of another emulator version.
ROWS = {
    "cpuid": Row("CPUID", "instructions", 1009),
    "vmcall": Row("VMCALL", "instructions", 990, False),
    "wbinvd": Row("WBINVD", "instructions", 1051),
    "rdmsr-apic-base": Row("RDMSR APIC_BASE", "instructions", 1270),
    "wrmsr-tsc-deadline": Row("WRMSR TSC_DEADLINE (arm)", "instructions", 830),
    "in-40": Row("IN 40H (8254)", "ports", 1323),
    "in-21": Row("IN 21H (8259)", "ports", 1290),
    "in-3fd": Row("IN 3FDH (UART LSR)", "ports", 3245),
    "out-80": Row("OUT 80H", "ports", 3198),
    "in-unclaimed": Row("IN of an unclaimed port", "ports", 3233),
    "pm-timer": Row("PM timer read", "ports", 3388, False),
    "ins-21-4k": Row("REP INSB of 4 KiB from 21H (8259)", "ports"),
    "ins-4k": Row("REP INSB of 4 KiB where nobody answers", "ports"),
    "outs-4k": Row("REP OUTSB of 4 KiB where nobody answers", "ports"),
    "ioapic-read": Row("I/O APIC read", "memory-mapped", 3691),
    "mmio-nothing": Row("read where nothing is", "memory-mapped", 6017),
    "lapic-version": Row("local APIC: read version", "memory-mapped", 4),
    "lapic-count": Row("local APIC: read timer count", "memory-mapped", 3572),
    "lapic-tpr": Row("local APIC: write TPR", "memory-mapped", 4),
    "lapic-eoi": Row("local APIC: write EOI", "memory-mapped", 3540),
    "x2apic-version": Row("x2APIC: read version", "x2APIC", 9),
    "x2apic-count": Row("x2APIC: read timer count", "x2APIC", 1382),
    "x2apic-tpr": Row("x2APIC: write TPR", "x2APIC", 4),
    "x2apic-eoi": Row("x2APIC: write EOI", "x2APIC", 3360),
    "x2apic-icr-self": Row("x2APIC: ICR to own handler", "interrupts", 1650),
    "x2apic-self-ipi": Row("x2APIC: SELF_IPI to handler", "interrupts", 13),
    "xapic-self-ipi": Row("xAPIC: ICR to own handler", "interrupts", 11),
    "pit-busy": Row("8254 1 ms to handler, busy", "timers"),
    "pit-hlt": Row("8254 1 ms to handler, HLT", "timers", 12000),
    "deadline-busy": Row("TSC deadline to handler, busy", "timers", 268),
    "deadline-hlt": Row("TSC deadline to handler, HLT", "timers", 6158),
    "touch-4k": Row("first touch of a 4 KiB page", "memory", 7100),
    "touch-2m": Row("first touch of a 2 MiB page", "memory", 762800),
}
SMP_ROWS = {
    "ipi-busy": Row("to another CPU, busy", "between CPUs"),
    "ipi-hlt": Row("to another CPU, halted", "between CPUs"),
}
ALL_ROWS = {**ROWS, **SMP_ROWS}
FIRST_TOUCHES = ("touch-4k", "touch-2m")  # nothing happens there under Bulkhead
UNANSWERED_RUNS = ("ins-4k", "outs-4k")  # one exit here; in the peer its user space's part is most of it
NOT_IN_MEAN = FIRST_TOUCHES + UNANSWERED_RUNS


def parse(console):
    """The column that a guest printed; ValueError if it did not reach its end."""
    if not re.search(r"^(?:\[\w+\] )?bench done$", console, re.M):
        raise ValueError("no line 'bench done' in the console")
    return {name: None if words == " absent" else pairs(words)
            for name, words in LINE.findall(console) if name != "loop"}


def pairs(text):
    """" avg 3 min 2" -> {"avg": 3, "min": 2}."""
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2])))


def figure(figures):
    """The one number of a row that is compared: a distribution's median, the mean of single events, else
    the minimum: a peer's means have its own timer's interrupts in them."""
    if not figures:
        return None
    if "p50" in figures:
        return figures["p50"]
    return figures["avg"] if "max" in figures else figures.get("min", figures["avg"])


def held(figures):
    """The number that the budget holds: of a distribution what 99 of 100 stay within, of single events
    the largest, else the mean."""
    return next(figures[key] for key in ("p99", "max", "avg") if key in figures)


# --- the budget ------------------------------------------------------------------------------------


def load_budget():
    """tests/budget.yaml."""
    return yaml.safe_load(BUDGET.read_text(encoding="utf-8"))


def bound_of(bounds, name, mode):
    """A row's bound in a mode: a number for both, or one for each; None if it has none."""
    bound = bounds.get(name)
    return bound[mode] if isinstance(bound, dict) else bound


def is_loose(measured, bound):
    """Is a bound so far above what is measured that it holds nothing?"""
    return measured < 0.85 * bound - 3


def judge(columns, bounds):
    """What is wrong: rows beyond their bounds or far below, or in only one of the two. `columns` is by mode."""
    problems = []
    for mode, column in columns.items():
        problems += [f"{name}: has no bound in tests/budget.yaml" for name in column if name not in bounds]
        problems += [f"{name} ({mode}): has a bound, but was not measured" for name in bounds
                     if not column.get(name)]
        for name, figures in column.items():
            if figures and name in bounds:
                bound = bound_of(bounds, name, mode)
                if held(figures) > bound:
                    problems.append(f"{name} ({mode}): {held(figures)} is more than {bound}")
                elif is_loose(held(figures), bound):
                    problems.append(f"{name} ({mode}): {held(figures)} is far less than {bound}: lower its bound")
    return problems


# --- the table -------------------------------------------------------------------------------------


def ratio(peer, ours):
    """How many times as much the peer needs; None if one of them is not known."""
    return peer / max(ours, 1) if peer is not None and ours is not None else None


def ratios(kvm, ours):
    """Of all rows of one mode that both were measured in and that count in the mean."""
    both = {name: ratio(figure(kvm.get(name)), figure(ours.get(name)))
            for name in ALL_ROWS if name not in NOT_IN_MEAN}
    return {name: value for name, value in both.items() if value is not None}


def geometric_mean(values):
    """Of numbers above 0."""
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def number(value):
    """For a cell."""
    return "-" if value is None else str(value)


def times(value):
    """A ratio for a cell."""
    return "-" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


class Results(NamedTuple):
    """The columns of one run, those for two CPUs merged in; `kvm` may be empty."""

    bare: dict
    kvm: dict
    ours: dict  # by mode
    bounds: dict

    def mean(self):
        """Of KVM to Bulkhead, without APICv."""
        return geometric_mean(ratios(self.kvm, self.ours["no-apicv"]).values())


HEAD = ("operation", "bare", "KVM, no APICv", "Bulkhead, no APICv", "ratio", "KVM, APICv (reference)",
        "Bulkhead, APICv", "ratio", "bound, no APICv / APICv")
TEXT_HEAD = ("operation", "bare", "KVM", "ours", "ratio", "KVM*", "ours", "ratio", "bounds")
REFERENCE_NOTE = ("KVM*: a reference, measured once on another version of the emulator and another CPU model, because"
                  " KVM with APICv does not run on this one")


def lines(results):
    """The rows as lists of cells, in order."""
    for name, row in ALL_ROWS.items():
        plain, full = (figure(results.ours[mode].get(name)) for mode in ("no-apicv", "apicv"))
        kvm = figure(results.kvm.get(name))
        reference = row.reference or None
        bound = " / ".join(number(bound_of(results.bounds, name, mode)) for mode in ("no-apicv", "apicv"))
        yield [row.title, number(figure(results.bare.get(name)) if row.bare else None), number(kvm),
               number(plain), times(ratio(kvm, plain)), number(reference), number(full),
               times(ratio(reference, full)), bound]


def as_text(results):
    """For a terminal."""
    table = [TEXT_HEAD, *lines(results)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(TEXT_HEAD))]
    groups = ["  ".join(" " * width for width in widths[:2]), "without APICv".center(sum(widths[2:5]) + 4, "-"),
              "with APICv".center(sum(widths[5:8]) + 4, "-")]
    out = ["  ".join(groups)]
    out += ["  ".join(cell.rjust(width) if i else cell.ljust(width)
                      for i, (cell, width) in enumerate(zip(cells, widths))).rstrip() for cells in table]
    return "\n".join(out + [REFERENCE_NOTE])


def as_markdown(results):
    """For docs/NUMBERS.md."""
    rows = [HEAD, ["---"] * len(HEAD)] + list(lines(results))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def distributions(columns):
    """Markdown: p50, p99 and max of the timer rows in each of {title: column}."""
    names = [name for name, row in ALL_ROWS.items() if row.group in ("timers", "between CPUs")]
    names = [name for name in names if any(column.get(name) for column in columns.values())]
    out = ["| operation | " + " | ".join(f"{title}: p50 | p99 | max" for title in columns) + " |",
           "|---" * (1 + 3 * len(columns)) + "|"]
    for name in names:
        cells = [number((column.get(name) or {}).get(key)) for column in columns.values()
                 for key in ("p50", "p99", "max")]
        out.append(f"| {ALL_ROWS[name].title} | " + " | ".join(cells) + " |")
    return "\n".join(out)
