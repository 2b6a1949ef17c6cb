#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks' table and picture: what is read from a console, what the budget refuses, ratios, and that
budget and table have the same rows."""

import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
import bench_svg  # noqa: E402  pylint: disable=wrong-import-position,import-error
import bench_table  # noqa: E402  pylint: disable=wrong-import-position,import-error
import numbers_text  # noqa: E402  pylint: disable=wrong-import-position,import-error

CONSOLE = """\
[bulkhead] bench cpuid avg 1 min 1
[bench] bench loop avg 5 min 8
[bench] bench cpuid avg 183 min 180
[bench] bench touch-2m avg 3 max 7 n 4
[bench] bench deadline-hlt n 1000 min 491 p50 495 p99 500 max 620
[bench] bench deadline-busy absent
[bench] bench done
"""
NAMESPACE = "{http://www.w3.org/2000/svg}"


def column(cpuid, hlt):
    """Two rows."""
    return {"cpuid": {"avg": cpuid, "min": cpuid}, "deadline-hlt": {"n": 200, "p50": hlt, "p99": hlt + 5, "max": 999}}


def results(kvm=None):
    """Of three columns, and of no others."""
    bounds = {name: {"apicv": 1, "no-apicv": 2} for name in bench_table.ALL_ROWS}
    return bench_table.Results({"cpuid": {"avg": 1, "min": 1}}, kvm or {},
                               {"apicv": column(50, 60), "no-apicv": column(100, 400)}, bounds)


class Reading(unittest.TestCase):
    """A console becomes a column."""

    def test_rows(self):
        rows = bench_table.parse(CONSOLE.replace("[bulkhead] bench cpuid avg 1 min 1\n", ""))
        self.assertEqual(list(rows), ["cpuid", "touch-2m", "deadline-hlt", "deadline-busy"])
        self.assertEqual(rows["cpuid"], {"avg": 183, "min": 180})
        self.assertIsNone(rows["deadline-busy"])

    def test_without_names_of_guests(self):
        rows = bench_table.parse("bench cpuid avg 968 min 960\nbench done\n")
        self.assertEqual(rows, {"cpuid": {"avg": 968, "min": 960}})

    def test_a_guest_that_did_not_reach_its_end(self):
        with self.assertRaisesRegex(ValueError, "bench done"):
            bench_table.parse(CONSOLE.replace("bench done", "bench do"))

    def test_figures(self):
        rows = bench_table.parse(CONSOLE)
        self.assertEqual(bench_table.figure(rows["deadline-hlt"]), 495)
        self.assertEqual(bench_table.held(rows["deadline-hlt"]), 500)
        self.assertEqual(bench_table.figure(rows["touch-2m"]), 3)
        self.assertEqual(bench_table.held(rows["touch-2m"]), 7)
        self.assertEqual(bench_table.figure(rows["cpuid"]), 180)
        self.assertEqual(bench_table.held(rows["cpuid"]), 183)
        self.assertEqual(bench_table.figure({"avg": 5}), 5)
        self.assertIsNone(bench_table.figure(None))


class Budget(unittest.TestCase):
    """What is refused."""

    bounds = {"cpuid": 100, "deadline-hlt": {"apicv": 65, "no-apicv": 405}}

    def test_at_the_bounds(self):
        columns = {"apicv": column(100, 60), "no-apicv": column(100, 400)}
        self.assertEqual(bench_table.judge(columns, self.bounds), [])

    def test_beyond(self):
        columns = {"apicv": column(101, 61), "no-apicv": column(100, 400)}
        self.assertEqual(bench_table.judge(columns, self.bounds),
                         ["cpuid (apicv): 101 is more than 100", "deadline-hlt (apicv): 66 is more than 65"])

    def test_far_below(self):
        columns = {"apicv": column(82, 60), "no-apicv": column(81, 400)}
        self.assertEqual(bench_table.judge(columns, self.bounds),
                         ["cpuid (no-apicv): 81 is far less than 100: lower its bound"])

    def test_a_bound_of_few_instructions_is_not_far_above(self):
        self.assertFalse(bench_table.is_loose(0, 3))

    def test_row_without_a_bound(self):
        self.assertEqual(bench_table.judge({"apicv": {**column(100, 60), "new": {"avg": 1, "min": 1}}}, self.bounds),
                         ["new: has no bound in tests/budget.yaml"])

    def test_bound_without_a_row(self):
        rows = {"cpuid": {"avg": 100, "min": 100}, "deadline-hlt": None}
        self.assertEqual(bench_table.judge({"apicv": rows}, self.bounds),
                         ["deadline-hlt (apicv): has a bound, but was not measured"])

    def test_the_budget_has_the_rows_of_the_table(self):
        budget = bench_table.load_budget()
        self.assertEqual(set(budget["exits"]), set(bench_table.ROWS))
        self.assertEqual(set(budget["between-cpus"]), set(bench_table.SMP_ROWS))
        for bounds in (budget["exits"], budget["between-cpus"]):
            for name in bounds:
                for mode in bench_table.MODES:
                    self.assertIsInstance(bench_table.bound_of(bounds, name, mode), int, name)


class Table(unittest.TestCase):
    """Ratios, and how they are shown."""

    def test_geometric_mean(self):
        self.assertAlmostEqual(bench_table.geometric_mean([2, 8]), 4)
        self.assertAlmostEqual(results(column(1000, 1600)).mean(), (10 * 4) ** 0.5)

    def test_one_event_among_many_is_not_in_the_mean(self):
        once = {"touch-2m": {"avg": 1000, "max": 1000, "n": 4}, "ins-4k": {"avg": 1000, "min": 1000}}
        self.assertEqual(bench_table.ratios(once, once), {})

    def test_columns_of_the_text_stand_below_their_heads(self):
        groups, head, *rows = bench_table.as_text(results(column(1000, 1600))).splitlines()[:-1]
        self.assertEqual(groups.index("-"), head.index("bare") + len("bare") + 2)
        self.assertEqual(len(groups), head.rindex("ratio") + len("ratio"))
        for row in rows:
            self.assertLessEqual(len(row), len(head))

    def test_lines(self):
        rows = {cells[0]: cells for cells in bench_table.lines(results(column(1000, 1600)))}
        self.assertEqual(len(rows), len(bench_table.ALL_ROWS))
        self.assertEqual(rows["CPUID"], ["CPUID", "1", "1000", "100", "10.0", "1009", "50", "20.2", "2 / 1"])
        self.assertEqual(rows["VMCALL"][1:8], ["-", "-", "-", "-", "990", "-", "-"])

    def test_every_line_of_the_tables_has_as_many_cells(self):
        for text in (bench_table.as_markdown(results()), bench_table.distributions({"a": column(1, 2), "b": {}})):
            self.assertEqual(len({line.count("|") for line in text.splitlines()}), 1, text)

    def test_distributions(self):
        self.assertIn("| TSC deadline to handler, HLT | 2 | 7 | 999 | - | - | - |",
                      bench_table.distributions({"a": column(1, 2), "b": {}}))


START = """\
[bulkhead] phases: hand-over at TSC 1000, ticks of each:
[bulkhead] phases: entry 200 boot-info 100
[bulkhead] guest linux: start at TSC 1640000, ticks of each: verify 840000000 scrub 33500000 load 2000 reset 12
"""
LINUX = {"boot": 1010, "exits": {"cpuid": 7, "pio": 4}, "console": START, "pool_used": 164 << 10, "pool": 2 << 20}
PEER = {"boot": 1500, "exits": {"exits": 99}}
LOOPS = {"pipes": 100, "copy": 50}


class Document(unittest.TestCase):
    """docs/NUMBERS.md, of figures that were not measured."""

    def setUp(self):
        found = {name: LOOPS for name in ("loops", "loops-bare", "loops-kvm")}
        for end in ("", "2"):
            found.update({"linux" + end: LINUX, "linux-bare" + end: 1000, "linux-kvm" + end: PEER})
        found.update({name: column(1, 2) for name in ("quiet", "busy", "hostile")})
        size = {"text": 1 << 17, "rodata": 1 << 15, "data": 60, "bss": 1 << 18, "images": 0, "image": 1 << 19}
        self.text = numbers_text.document({
            **found, "sizes": size, "start-demo": START, "start-smp4": START, "pools": {1: 164 << 10, 2: 200 << 10},
            "reset": 2815439, "running": ([{"wrmsr": 7.0}] * 2, [{"pio": 9.0}] * 2), "model": "some",
            "budget": bench_table.load_budget()}, results(column(1000, 1600)))

    def test_nothing_is_left_open(self):
        self.assertNotIn("{", self.text)

    def test_figures_are_where_they_belong(self):
        for row in ("| CPUID | 1 | 1000 | 100 | 10.0 |", "| exits, two vCPUs | | 11 | | 99 | |",
                    "| one vCPU: instructions | 1000 | 1010 | 1.010 (bound ", "| 1500 | 1.500 |",
                    "2815439 instructions after its write"):
            self.assertIn(row, self.text)

    def test_tables_have_as_many_cells_in_each_line(self):
        for part in self.text.split("\n\n"):
            rows = [line for line in part.splitlines() if line.startswith("|")]
            self.assertLessEqual(len({line.count("|") for line in rows}), 1, part)


class Picture(unittest.TestCase):
    """docs/bench.svg."""

    def test_is_well_formed_and_repeats(self):
        ours = results().ours
        text = bench_svg.svg(column(1000, 1600), ours)
        self.assertEqual(text, bench_svg.svg(column(1000, 1600), ours))
        titles = [element.text for element in ElementTree.fromstring(text).iter(f"{NAMESPACE}title")]
        self.assertIn("CPUID, KVM: 1000", titles)
        self.assertIn("CPUID, Bulkhead: 100", titles)
        self.assertIn("TSC deadline to handler, HLT, Bulkhead with APICv: 60", titles)

    def test_longer_bars_for_higher_costs(self):
        widths = [bench_svg.bar_width(value, 6) for value in (0, 1, 10, 100, 999_999)]
        self.assertEqual(widths, sorted(widths))
        self.assertEqual(widths[0], widths[1])
        self.assertLess(widths[2], widths[3])
        self.assertLessEqual(widths[4], bench_svg.RIGHT - bench_svg.LEFT)

    def test_the_scale_holds_the_largest(self):
        self.assertEqual([bench_svg.decades(value) for value in (1, 10, 11, 762_800)], [1, 1, 2, 6])

    def test_without_kvm(self):
        ElementTree.fromstring(bench_svg.svg({}, results().ours))


if __name__ == "__main__":
    unittest.main()
