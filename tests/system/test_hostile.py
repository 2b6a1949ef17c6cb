# SPDX-License-Identifier: BSD-2-Clause
"""A guest that does its worst, on the core that serves the console: the other one does not notice."""

from support import BIOS, LONG, SystemTest, beats, guest_lines

BEATS = 10
LOG_LIMIT = 20  # lines that a guest may cause in each of its seconds


class HostileNeighbour(SystemTest):
    cost = 60

    @classmethod
    def setUpClass(cls):
        cls.start("hostile", BIOS, cpus=2)

    def test_heartbeat_goes_on(self):
        self.machine.expect(rf"^\[heartbeat\] beat {BEATS}: .*\n", LONG)
        self.assertEqual(beats(self.machine.console), list(range(1, BEATS + 1)))

    def test_hostile_guest_was_busy(self):
        rounds = [line for line in guest_lines(self.machine.console, "hostile")
                  if line.startswith("round ")]
        self.note(f"{len(rounds)} rounds of the hostile guest")
        self.assertGreater(len(rounds), 50)

    def test_its_log_lines_are_limited(self):
        lines = self.machine.console.count("guest hostile: access to device memory")
        self.note(f"{lines} log lines in {BEATS} s")
        self.assertGreater(lines, 0)
        self.assertLessEqual(lines, LOG_LIMIT * (BEATS + 2))

    def test_console_answers(self):
        self.machine.send("\x1d?")
        self.machine.expect(r"^\[bulkhead\] guest hostile: running, .*\n", LONG)
        self.machine.expect(r"^\[bulkhead\] guest heartbeat: running, .*\n", LONG)
        self.machine.send("\x1d2")
        self.machine.expect(r"^\[bulkhead\] keyboard: heartbeat\n", LONG)


class HostileNeighbourOfTwo(SystemTest):
    """One vCPU of the hostile guest has the console's core; it resets itself all the time."""
    cost = 60

    @classmethod
    def setUpClass(cls):
        cls.start("hostile-smp", BIOS, cpus=3)

    def test_heartbeat_goes_on(self):
        self.machine.expect(rf"^\[heartbeat\] beat {BEATS}: .*\n", LONG)
        self.assertEqual(beats(self.machine.console), list(range(1, BEATS + 1)))

    def test_hostile_guest_ends_in_every_way(self):
        lives = [line for line in guest_lines(self.machine.console, "hostile")
                 if line.startswith("life: ")]
        self.note(f"{len(lives)} lives of the hostile guest")
        for way in range(5):
            self.assertIn(f"life: second CPU runs, ends in way {way}", lives)

    def test_console_answers(self):
        self.machine.send("\x1d?")
        self.machine.expect(r"^\[bulkhead\] guest hostile: (?:running|loading), .*\n", LONG)
