# SPDX-License-Identifier: BSD-2-Clause
"""The virtual machine as guests see it, and the end of a run."""

from support import BIOS, LONG, UEFI, SystemTest, boot, guest_lines


class SelfTest:
    """tests/guest/selftest.c: one line per check."""

    firmware = None
    cpus = None

    def test_selftest(self):
        with boot("selftest", self.firmware, self.cpus) as machine:
            end = machine.wait_end(LONG)
            lines = guest_lines(machine.console, "selftest")
        self.assertEqual([line for line in lines if line.startswith("FAIL")], [])
        self.assertRegex("\n".join(lines), r"(?m)^selftest \d{3} passed, 0 failed$")
        self.assertEqual(end, "poweroff", machine.tail())


class SelfTestBiosOneCpu(SelfTest, SystemTest):
    firmware, cpus = BIOS, 1


class SelfTestUefiTwoCpus(SelfTest, SystemTest):
    firmware, cpus, cost = UEFI, 2, 30


class Tasks(SystemTest):
    """tests/guest/tasks.c: hardware task switches."""

    def test_tasks(self):
        with boot("tasks", BIOS, 1) as machine:
            end = machine.wait_end(LONG)
            lines = guest_lines(machine.console, "tasks")
        self.assertIn("tasks 14 passed, 0 failed", lines)
        self.assertEqual(end, "poweroff", machine.tail())


class EndOfRun(SystemTest):
    """Two guests leave; one of them may use the debug exit port."""

    @classmethod
    def setUpClass(cls):
        cls.start("exitcode", BIOS, cpus=2)

    def test_machine_switches_itself_off(self):
        self.assertEqual(self.machine.wait_end(LONG), "poweroff", self.machine.tail())
        self.assertRegex(self.machine.console, r"(?m)^\[bulkhead\] all guests have ended")

    def test_exit_status_is_reported(self):
        self.assertIn("\n[bulkhead] guest allowed: exit status 42\n", self.machine.console)
        self.assertNotIn("[allowed] FAIL", self.machine.console)

    def test_only_where_the_config_allows_it(self):
        self.assertNotIn("guest forbidden: exit status", self.machine.console)
        self.assertIn("[forbidden] FAIL exitcode: still running\n", self.machine.console)
        self.assertIn("\n[bulkhead] guest forbidden: powered off, core ", self.machine.console)
