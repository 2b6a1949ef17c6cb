# SPDX-License-Identifier: BSD-2-Clause
"""The figures of docs/NUMBERS.md stay within the bounds of tests/budget.yaml; `make bench` writes the document."""

import subprocess

import measure
from support import TREE, SystemTest, run
import bench_table  # pylint: disable=import-error,wrong-import-order

KIB = 1024
BUDGET = bench_table.load_budget()


class Size(SystemTest):
    cost = 1

    def test_text(self):
        size = measure.sizes()
        self.note(f"text {size['text']}, read-only data {size['rodata']}, data {size['data']},"
                  f" bss {size['bss']} bytes")
        self.assertLessEqual(size["text"], BUDGET["size"]["text"])


class Budget(SystemTest):
    """The benchmarks' rows, each at its bound or little below."""

    cost = 70

    def within(self, columns, bounds):
        """Show all, and what is not within."""
        for mode, column in columns.items():
            self.note(f"{mode}: " + ", ".join(f"{name} {bench_table.held(figures) if figures else 'absent'}"
                                              for name, figures in column.items()))
        problems = bench_table.judge(columns, bounds)
        self.assertFalse(problems, "not as in tests/budget.yaml:\n" + "\n".join(problems))

    def test_exits(self):
        self.within(measure.bench_columns(), BUDGET["exits"])

    def test_between_cpus(self):
        self.within(measure.bench_smp_columns(), BUDGET["between-cpus"])

    def test_one_cpu_reproduces_to_the_digit(self):
        first, second = (bench_table.parse(measure.bench_console("bench", 1)) for _ in range(2))
        self.assertGreater(len(first), 0)
        self.assertEqual(first, second)


class ExitPath(SystemTest):
    cost = 10

    def test_the_tour_shows_what_is_executed(self):
        compiler = run("gcc", "--version").stdout.splitlines()[0]
        if compiler not in (TREE / "docs" / "NUMBERS.md").read_text():
            self.skipTest(f"docs/NUMBERS.md and docs/TOUR.md are of another compiler than {compiler}")
        done = subprocess.run([TREE / "scripts" / "exit_trace", "--check", TREE / "docs" / "TOUR.md"], check=False,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, f"scripts/exit_trace --update docs/TOUR.md mends it:\n{done.stdout}")


class LinuxExits(SystemTest):
    cost = 60

    def test_idle_linux_causes_few_exits(self):
        for name, vcpus in zip(("idle", "busy"), measure.linux_exits()):
            for i, rates in enumerate(vcpus):
                self.note(f"{name}, vCPU {i}: {sum(rates.values()):.1f} exits a second: "
                          + ", ".join(f"{reason} {rate:.1f}" for reason, rate in rates.items()))
            if name == "idle":  # which vCPU has the timers is Linux's choice: the mean of both
                self.assertLessEqual(sum(sum(rates.values()) for rates in vcpus),
                                     BUDGET["linux"]["idle-exits"] * len(vcpus))


class Start(SystemTest):
    """From the hand-over to the guests, on four cores."""

    cost = 30

    def test_first_instruction_of_linux_with_four_cores(self):
        boot, linux = measure.start_ticks(measure.start_console("smp4", 4))
        self.note(f"{boot} ticks until guests may start, {linux['linux']} more to Linux's first instruction,"
                  " the SHA-256 of its files apart")
        bounds = BUDGET["start"]
        self.assertLessEqual(boot, bounds["guests-may-start"])
        self.assertLessEqual(boot + linux["linux"], bounds["linux-first-instruction"])


class LinuxBoot(SystemTest):
    cost = 130

    def test_boot_takes_little_more_than_on_the_bare_machine(self):
        guest = measure.guest_linux()
        bare = measure.bare_linux()
        self.note(f"{guest['boot']} instructions under Bulkhead, {bare} without:"
                  f" {guest['boot'] / bare:.3f}")
        self.note(f"{guest['handover'] + guest['load']} from hand-over to the first guest"
                  f" instruction, {guest['load']} of them hash its files, clear and load its memory")
        self.note("exits: " + ", ".join(f"{k} {n}" for k, n in guest["exits"].items()))
        self.assertLessEqual(guest["boot"], bare * BUDGET["linux"]["boot-ratio"])

    def test_memory(self):
        size = measure.sizes("timed")
        figures = measure.report(measure.bench_console("bench", 1))
        own = size["image"] - size["images"]
        self.note(f"image {own // KIB} KiB, {figures['pool_used'] // KIB} of"
                  f" {figures['pool'] // KIB} KiB of the page pool used")
        self.assertLessEqual(own + figures["pool_used"], BUDGET["size"]["image-and-used-pool"])
