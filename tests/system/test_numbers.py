# SPDX-License-Identifier: BSD-2-Clause
"""The figures of docs/NUMBERS.md stay within their bounds; `scripts/numbers` writes the document."""

import measure
from support import SystemTest

KIB = 1024


class Size(SystemTest):
    cost = 1

    def test_text_is_under_160_kib(self):
        size = measure.sizes()
        self.note(f"text {size['text']}, read-only data {size['rodata']}, data {size['data']},"
                  f" bss {size['bss']} bytes")
        self.assertLess(size["text"], 160 * KIB)


class ExitCosts(SystemTest):
    cost = 15

    def test_exits(self):
        costs, _ = measure.exit_costs()
        self.note(", ".join(f"{name} {count}" for name, count in costs.items()))
        self.assertLess(costs["cpuid"], 200)
        self.assertIn("in-40", costs)
        self.assertIn("lapic-eoi", costs)


class LinuxExits(SystemTest):
    cost = 60

    def test_idle_linux_causes_under_20_exits_a_second_per_vcpu(self):
        for name, vcpus in zip(("idle", "busy"), measure.linux_exits()):
            for i, rates in enumerate(vcpus):
                self.note(f"{name}, vCPU {i}: {sum(rates.values()):.1f} exits a second: "
                          + ", ".join(f"{reason} {rate:.1f}" for reason, rate in rates.items()))
            if name == "idle":  # which vCPU has the timers is Linux's choice: the mean of both
                self.assertLess(sum(sum(rates.values()) for rates in vcpus), 20 * len(vcpus))


class Start(SystemTest):
    """From the hand-over to the guests, on four cores."""

    cost = 30

    def test_first_instruction_of_linux_with_four_cores_within_20_million(self):
        boot, linux = measure.start_ticks(measure.start_console("smp4", 4))
        self.note(f"{boot} ticks until guests may start, {linux['linux']} more to Linux's first instruction,"
                  " the SHA-256 of its files apart")
        self.assertLess(boot, 6_000_000)
        self.assertLess(boot + linux["linux"], 20_000_000)


class LinuxBoot(SystemTest):
    cost = 130

    def test_boot_takes_at_most_5_percent_more(self):
        guest = measure.guest_linux()
        bare = measure.bare_linux()
        self.note(f"{guest['boot']} instructions under Bulkhead, {bare} without:"
                  f" {guest['boot'] / bare:.3f}")
        self.note(f"{guest['handover'] + guest['load']} from hand-over to the first guest"
                  f" instruction, {guest['load']} of them hash its files, clear and load its memory")
        self.note("exits: " + ", ".join(f"{k} {n}" for k, n in guest["exits"].items()))
        self.assertLessEqual(guest["boot"], bare * 1.05)

    def test_memory_is_under_2_mib(self):
        size = measure.sizes("timed")
        _, figures = measure.exit_costs()
        own = size["image"] - size["images"]
        self.note(f"image {own // KIB} KiB, {figures['pool_used'] // KIB} of"
                  f" {figures['pool'] // KIB} KiB of the page pool used")
        self.assertLess(own + figures["pool_used"], 2048 * KIB)
