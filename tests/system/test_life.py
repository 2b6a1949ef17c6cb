# SPDX-License-Identifier: BSD-2-Clause
"""What comes after a guest's life: restarts and their limits, resets that are the end, a watchdog,
and a file that is not what was built in."""

import hashlib
import tempfile
from pathlib import Path

from machine import UNREPEATABLE, Machine
from support import BIOS, LONG, TREE, SystemTest, beats, boot, guest_lines, iso


class Policies(SystemTest):
    """One guest of two vCPUs crashes at once, another one leaves at once, a third does not notice."""

    @classmethod
    def setUpClass(cls):
        cls.start("life", BIOS, cpus=4)
        cls.machine.expect(r"^\[heartbeat\] beat 8: .*\n", LONG)  # seconds after the others' ends

    def test_three_restarts_and_no_more(self):
        # Each life finds memory, CMOS and TSC as after power-on.
        console = self.machine.console
        self.assertEqual(console.count("[crasher] life: memory 0, CMOS 0, TSC young\n"), 4)
        self.assertEqual(console.count("[crasher] "), 4)
        for text in ("restart 3, after a crash",
                     "crashed 4 times within 60 s: stays off (on_crash: restart 3 within 60 s)",
                     "crashed, core 0, resets 0, restarts 3,"):
            self.assertEqual(console.count(f"[bulkhead] guest crasher: {text}"), 1, text)

    def test_first_crash_is_on_record(self):
        console = self.machine.console
        self.assertEqual(console.count("guest crasher: stopped: triple fault"), 4)
        self.assertRegex(console, r"stopped: triple fault \(exit reason 2\)\n(.*\n)*?\[bulkhead\]   rax ")

    def test_power_off_can_be_a_restart(self):
        console = self.machine.console
        self.assertEqual(console.count("[leaver] switching off\n"), 3)
        self.assertIn("guest leaver: switched itself off 3 times: stays off (on_poweroff: restart 2)\n",
                      console)
        self.assertIn("guest leaver: powered off, core 3, resets 0, restarts 2,", console)

    def test_the_neighbour_goes_on(self):
        numbers = beats(self.machine.console)
        self.assertEqual(numbers, list(range(1, numbers[-1] + 1)))

    def test_hashes_were_shown_once(self):
        for name, file in (("crasher", "crash_smp"), ("heartbeat", "heartbeat"), ("leaver", "leaver")):
            image = (TREE / "build" / "guests" / f"{file}.bin").read_bytes()
            line = (f"[bulkhead] guest {name}: SHA-256 {hashlib.sha256(image).hexdigest()} verified: "
                    f"build/guests/{file}.bin, {-(-len(image) // 1024)} KiB\n")
            self.assertEqual(self.machine.console.count(line), 1, line)


class Watchdog(SystemTest):
    """Without a TSC-deadline timer on the host: there the emulator lets a guest that halts with
    IF = 0 be interrupted (docs/TESTING.md, trap 2)."""

    def test_watchdog_and_halting_reset(self):
        with boot("watchdog", BIOS, cpus=2, exclude=("tsc_deadline", *UNREPEATABLE)) as machine:
            self.assertEqual(machine.wait_end(LONG), "poweroff", machine.tail())
            console = machine.console
        kicks = [f"kick {n} with 1 s left" for n in range(1, 5)] + ["no more kicks"]
        self.assertEqual(guest_lines(console, "dog"),
                         ["watchdog: stopped, fired 0, limit 30", *kicks,
                          "watchdog: stopped, fired 1, limit 30", *kicks])
        self.assertEqual(console.count("guest dog: stopped: its watchdog expired (exit reason 52)\n"), 2)
        self.assertIn("guest dog: restart 1, after a crash\n", console)
        self.assertIn("guest dog: crashed 2 times: stays off (on_crash: restart 1)\n", console)
        self.assertEqual(guest_lines(console, "resetter"), ["about to reset"])
        self.assertIn("guest resetter: halted after a reset, core 1, resets 0, restarts 0,", console)


class SpoiledFile(SystemTest):
    """A byte of one guest's file is another one in the ISO than it was when the ISO was built."""

    def test_only_its_guest_is_refused(self):
        path = TREE / "build" / "guests" / "crash_smp.bin"
        good = path.read_bytes()
        image = iso("life").read_bytes()
        self.assertEqual(image.count(good), 2)  # for BIOS and for UEFI
        at = len(good) // 2
        bad = good[:at] + bytes((good[at] ^ 0x10,)) + good[at + 1:]
        with tempfile.TemporaryDirectory() as folder:
            spoiled = Path(folder) / "spoiled.iso"
            spoiled.write_bytes(image.replace(good, bad))
            with Machine(spoiled, firmware=BIOS, cpus=4) as machine:
                machine.expect(r"^\[bulkhead\] guest leaver: powered off,.*\n", LONG)
                machine.expect(r"^\[heartbeat\] beat 3: .*\n", LONG)
                console = machine.console
        for content, what in (good, "embedded"), (bad, "found"):
            self.assertIn(f"[bulkhead] guest crasher: SHA-256 {hashlib.sha256(content).hexdigest()} {what}: "
                          f"{path.relative_to(TREE)}\n", console)
        self.assertIn("[bulkhead] guest crasher: BH066: build/guests/crash_smp.bin is not what was "
                      "built in, so the guest stays off; ", console)
        self.assertIn("[bulkhead] guest crasher: refused, core 0, resets 0, restarts 0,", console)
        self.assertEqual(guest_lines(console, "crasher"), [])
        self.assertEqual(console.count(" verified: "), 2)
