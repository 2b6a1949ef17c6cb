# SPDX-License-Identifier: BSD-2-Clause
"""Linux with several vCPUs: all start, interrupt each other, go and come back."""

import re

from support import BIOS, LONG, Shell, SystemTest, tokens

COMPLAINTS = re.compile(r"rcu.*stall|soft lockup|hung|Call Trace|not responding|failed to boot|"
                        r"unchecked MSR|MP-BIOS bug|spurious|TSC.*unstable|Firmware Bug", re.IGNORECASE)


class Smp:
    """From power-on to power-off."""

    cost = 150
    config = None
    cpus = None
    reboots = None

    @classmethod
    def setUpClass(cls):
        cls.start(cls.config, BIOS, cpus=cls.cpus)
        cls.shell = Shell(cls.machine)
        cls.shell.wait()

    def counts(self, name):
        """A line of /proc/interrupts: one number for each CPU."""
        line = self.shell.ask(f"grep -w {name}: /proc/interrupts")[0]
        return [int(word) for word in line.split()[1:1 + self.cpus]]

    def test_all_start(self):
        self.assertEqual(self.shell.ask("nproc"), [str(self.cpus)])
        self.assertEqual(self.shell.ask("cat /sys/devices/system/cpu/online"), [f"0-{self.cpus - 1}"])

    def test_each_has_its_timer_and_is_interrupted(self):
        # One pipe for each CPU, whose ends wake each other.
        self.shell.ask(f"for i in $(seq {2 * self.cpus}); do"
                     " dd if=/dev/zero bs=4k count=500 2>/dev/null | wc -c >/dev/null & done; wait")
        for name in ("LOC", "CAL"):
            counts = self.counts(name)
            self.note(f"{name} {counts}")
            self.assertTrue(all(counts), counts)
        self.assertGreater(sum(self.counts("RES")), 0)

    def test_cpu_1_goes_and_comes_back(self):
        for _ in range(3):
            self.shell.ask("echo 0 > /sys/devices/system/cpu/cpu1/online")
            self.assertEqual(self.shell.ask("nproc"), [str(self.cpus - 1)])
            self.shell.ask("echo 1 > /sys/devices/system/cpu/cpu1/online")
            self.assertEqual(self.shell.ask("nproc"), [str(self.cpus)])
        before = self.counts("LOC")[1]
        self.shell.ask("taskset 2 true; sleep 1")
        self.assertGreater(self.counts("LOC")[1], before)

    def test_no_complaint(self):
        lines = self.shell.ask("dmesg")
        self.assertGreater(len(lines), 100)
        self.assertEqual([line for line in lines if COMPLAINTS.search(line)], [])

    def test_reboot_with_cpu_1_offline_and_poweroff(self):
        if self.reboots:
            self.shell.ask("echo 0 > /sys/devices/system/cpu/cpu1/online")
            self.machine.send("reboot\n")
            self.machine.expect(r"^\[bulkhead\] guest linux: reset\n", LONG)
            self.shell.wait()
            self.assertEqual(self.shell.ask("nproc"), [str(self.cpus)])
        self.machine.send("poweroff\n")
        ended = rf"^\[bulkhead\] guest linux: powered off, core 0, resets {int(self.reboots)},"
        self.machine.expect(ended, LONG)
        for cpu in range(self.cpus):
            regex = rf"^\[bulkhead\] guest linux: vCPU {cpu}: exits:(.*)\n"
            self.assertGreater(tokens(self.machine.expect(regex, LONG)[1]).get("cpuid", 0), 0)
        self.assertEqual(self.machine.wait_end(LONG), "poweroff", self.machine.tail())


class SmpFour(Smp, SystemTest):
    config, cpus, reboots = "smp4", 4, True


class SmpSoftware(Smp, SystemTest):
    config, cpus, reboots, cost = "smp-software", 2, False, 70
