# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Linux with the HPET as its clock and its only timer."""

from support import BIOS, Shell, SystemTest


class Hpet(SystemTest):
    cost = 120

    @classmethod
    def setUpClass(cls):
        cls.start("hpet", BIOS, cpus=1)
        cls.shell = Shell(cls.machine)
        cls.shell.wait()

    def number(self, command):
        lines, status = self.shell.command(command)
        self.assertEqual(status, 0, "\n".join(lines))
        return int(lines[0])

    def test_it_is_the_clock(self):
        lines, _ = self.shell.command("cat /sys/devices/system/clocksource/*/current_clocksource")
        self.assertEqual(lines, ["hpet"])

    def test_timer_0_replaces_irq_0_and_does_it_all(self):
        ticks = "awk '/ 0:/ {print $2}' /proc/interrupts"
        before = self.number(ticks)
        self.number("sleep 1; echo 0")
        self.assertGreater(self.number(ticks), before)
        self.assertEqual(self.number("awk '/LOC:/ {print $2}' /proc/interrupts"), 0)

    def test_no_complaint(self):
        lines, _ = self.shell.command("dmesg | grep -iE 'lost|unstable|hpet.*fail'")
        self.assertEqual(lines, [])
