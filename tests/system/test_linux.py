# SPDX-License-Identifier: BSD-2-Clause
"""A session on the console of the demo's Linux, with the heartbeat guest beside it."""

import re

from support import BIOS, LONG, UEFI, Shell, SystemTest, guest_lines, tokens

# Linux says one of these when a chip it probes is not as it should be.
COMPLAINTS = ("MP-BIOS bug", "NULL legacy PIC", "unable to calibrate",
              "Unable to calibrate against PIT", "unchecked MSR", "clocksource.*unstable",
              "Firmware Bug", "spurious", "Call Trace")
BEAT = re.compile(r"^beat (\d+): uptime [\d.]+ s, .* rtc (\d+):(\d+):(\d+)$")


def beats(machine):
    """(number of the beat, second of the day) of each beat that was printed."""
    found = filter(None, map(BEAT.match, guest_lines(machine.console, "heartbeat")))
    return [(int(m[1]), int(m[2]) * 3600 + int(m[3]) * 60 + int(m[4])) for m in found]


class Session:
    """From power-on over a reboot to power-off."""

    cost = 240
    firmware = None

    @classmethod
    def setUpClass(cls):
        cls.start("demo", cls.firmware, cpus=2)
        cls.shell = Shell(cls.machine)
        cls.shell.wait()

    def test_boot_report(self):
        console = self.machine.console
        self.assertIn(f"firmware: {self.firmware.upper()}", console)
        for core in range(2):
            self.assertRegex(console, rf"(?m)^\[bulkhead\] core {core}: .*in VMX root operation")

    def test_kernel_is_debians_with_the_plain_command_line(self):
        self.assertEqual(self.shell.ask("cat /proc/cmdline"), ["console=ttyS0"])
        self.assertRegex(self.shell.ask("uname -r")[0], r"-cloud-amd64$")

    def test_dmesg_has_no_complaint(self):
        lines = self.shell.ask("dmesg")
        self.assertGreater(len(lines), 100)
        complaint = re.compile("|".join(COMPLAINTS), re.IGNORECASE)
        self.assertEqual([line for line in lines if complaint.search(line)], [])

    def test_interrupts(self):
        lines = self.shell.ask("cat /proc/interrupts")
        counts = {m[2]: int(m[1]) for m in (re.match(r" *\w+: +(\d+) .* (\S+)$", s) for s in lines) if m}
        self.assertGreater(counts.get("ttyS0", 0), 0, "\n".join(lines))
        self.assertTrue(any(re.match(r" *LOC: +[1-9]", line) for line in lines))
        self.assertIn("acpi", counts)
        self.assertRegex("\n".join(lines), r"(?m)^ *ERR: +0$")

    def test_date(self):
        seconds = int(self.shell.ask("date +%s")[0])
        # The machine's clock starts at 1700000000.
        self.assertGreater(seconds, 1700000000)
        self.assertLess(seconds, 1700000000 + 3600)

    def test_sleep_takes_its_time(self):
        took = "cut -d' ' -f1 /proc/uptime"
        begin, end = map(float, self.shell.ask(f"{took}; sleep 2; {took}"))
        self.assertGreaterEqual(end - begin, 2)
        self.assertLess(end - begin, 4)

    def test_date_advances_with_uptime(self):
        both = "date +%s; cut -d. -f1 /proc/uptime"
        date1, up1, date2, up2 = map(int, self.shell.ask(f"{both}; sleep 5; {both}"))
        self.assertAlmostEqual(date2 - date1, up2 - up1, delta=1)

    def test_escape_moves_the_keyboard(self):
        self.machine.send("\x1d2")
        self.machine.expect(r"^\[bulkhead\] keyboard: heartbeat$", LONG)
        self.machine.send("echo los''t\n")
        self.machine.send("\x1d1")
        self.machine.expect(r"^\[bulkhead\] keyboard: linux$", LONG)
        self.assertEqual(self.shell.ask("echo the''re"), ["there"])
        self.assertNotIn("[linux] lost", self.machine.console)

    def test_escape_twice_sends_the_key_itself(self):
        self.machine.send('stty -icanon -echo; echo re""ady; head -c 1 | od -An -tx1; stty sane\n')
        self.machine.expect(r"^\[linux\] ready$", LONG)
        self.machine.send("\x1d\x1d")
        self.machine.expect(r"^\[linux\]  1d$", LONG)
        self.assertEqual(self.shell.ask("echo goes on"), ["goes on"])

    def test_escape_question_mark_shows_guests_and_exits(self):
        self.machine.send("\x1d?")
        self.machine.expect(r"^\[bulkhead\] Ctrl-\] 1..2: ", LONG)
        self.machine.expect(r"^\[bulkhead\] 1 linux \(keyboard\)$", LONG)
        self.machine.expect(r"^\[bulkhead\] guest linux: running, core 0, resets 0,", LONG)
        exits = tokens(self.machine.expect(r"^\[bulkhead\] guest linux: exits:(.*)$", LONG)[1])
        for kind in ("cpuid", "pio", "rdmsr", "wrmsr"):
            self.assertGreater(exits.get(kind, 0), 0, exits)
        self.machine.expect(r"^\[bulkhead\] 2 heartbeat$", LONG)
        self.machine.expect(r"^\[bulkhead\] guest heartbeat: running, core 1,", LONG)

    def test_reboot_comes_back_to_the_shell(self):
        self.machine.send("reboot\n")
        self.machine.expect(r"^\[bulkhead\] guest linux: reset$", LONG)
        self.shell.wait()
        self.assertEqual(self.shell.ask("echo once mo''re"), ["once more"])

    def test_poweroff_ends_linux_alone(self):
        self.machine.send("poweroff\n")
        self.machine.expect(r"^\[bulkhead\] guest linux: powered off, core 0, resets 1,", LONG)
        for _ in range(3):
            self.machine.expect(r"^\[heartbeat\] beat \d+: .*$", LONG)

    def test_heartbeat_kept_time(self):
        found = beats(self.machine)
        (first, begin), (last, end) = found[0], found[-1]
        self.assertGreater(last - first, 20)
        self.assertAlmostEqual(last - first, (end - begin) % 86400,
                               delta=max(1, (last - first) / 100))
        numbers = [number for number, _ in found]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_every_line_has_its_owners_name(self):
        lines = self.machine.console.split("[bulkhead] hand-over", 1)[1].split("\n")[1:-1]
        marks = ("[bulkhead] ", "[linux] ", "[heartbeat] ")
        self.assertEqual([line for line in lines if not line.startswith(marks)], [])


class SessionUefi(Session, SystemTest):
    firmware = UEFI


class SessionBios(Session, SystemTest):
    firmware = BIOS
