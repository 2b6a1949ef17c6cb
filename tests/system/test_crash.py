# SPDX-License-Identifier: BSD-2-Clause
"""A guest that triple-faults stops alone; the other one does not notice, and keeps time."""

import re

from support import BIOS, LONG, SystemTest, beats, emulator_ticks_now

BEATS = 200


class TripleFault(SystemTest):
    cost = 45

    @classmethod
    def setUpClass(cls):
        cls.start("triplefault", BIOS, cpus=2)

    def test_record_is_printed(self):
        self.machine.expect(r"^\[crasher\] about to triple-fault$", LONG)
        self.machine.expect(r"^\[bulkhead\] guest crasher: crashed, core 0,", LONG)
        self.machine.expect(r"^\[bulkhead\] guest crasher: exits:.* triple-fault 1\n", LONG)
        console = self.machine.console
        self.assertIn("[bulkhead] guest crasher: stopped: triple fault (exit reason 2)\n", console)
        for register in ("rax", "rsi", "r8 ", "r12", "rip", "cr0", "gdt"):
            self.assertIn(f"[bulkhead]   {register} ", console)
        self.assertNotIn("still running", console)

    def test_the_other_guest_goes_on(self):
        self.machine.expect(rf"^\[heartbeat\] beat {BEATS}: .*\n", LONG)
        numbers = beats(self.machine.console)
        self.assertEqual(numbers, list(range(1, numbers[-1] + 1)))

    def test_heartbeat_agrees_with_the_emulators_clock(self):
        # The emulator notes its own time when the second core starts, and whenever we ask.
        begin = re.findall(r"(?m)^(\d+)i\[APIC1.*MMIO disabled", self.machine.bochs_log)[-1]
        before = beats(self.machine.console)[-1]
        end = emulator_ticks_now(self.machine)
        self.machine.expect(r"^\[heartbeat\] beat (\d+): .*\n", LONG)  # may have been in the queue
        position = len(self.machine.console)
        while len(self.machine.console) == position:
            self.machine.pump(1)
        self.machine.expect(r"^\[heartbeat\] beat (\d+): .*\n", LONG)
        after = beats(self.machine.console)[-1]
        seconds = (end - int(begin)) / self.machine.ips
        self.note(f"{before} to {after} beats in {seconds:.2f} s of the emulator's clock")
        self.assertLessEqual(before, seconds * 1.01)
        self.assertGreaterEqual(after, seconds * 0.99 - 1)  # the guest begins a little later

    def test_console_knows_who_crashed(self):
        self.machine.send("\x1d?")
        self.machine.expect(r"^\[bulkhead\] 1 crasher \(keyboard\)\n", LONG)
        self.machine.expect(r"^\[bulkhead\] guest crasher: crashed,", LONG)
        self.machine.expect(r"^\[bulkhead\] guest heartbeat: running,", LONG)
        self.machine.send("\x1d2")
        self.machine.expect(r"^\[bulkhead\] keyboard: heartbeat\n", LONG)
