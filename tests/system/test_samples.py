# SPDX-License-Identifier: BSD-2-Clause
"""The sample machines of config/, each booted to where its guests do what the sample is about."""

import re

from support import BIOS, LONG, Shell, SystemTest, exits_now, guest_lines, take_dump

SECOND = re.compile(r"second (\d+): (\d+) cycles, latest (\d+) us late, (\d+) overruns; "
                    r"speed (\d+) of (\d+) rpm$")
SECONDS = 3


def expect_each(machine, *regexes):
    """Wait until each has appeared, in whatever order."""
    left = list(regexes)
    while left:
        text = machine.expect("|".join(f"(?:{regex})" for regex in left), LONG)[0]
        left.remove(next(regex for regex in left if re.fullmatch(regex, text)))


def seconds(console, name):
    """A servo's lines as tuples of numbers."""
    return [tuple(map(int, match.groups()))
            for match in map(SECOND.match, guest_lines(console, name)) if match]


class Servo(SystemTest):
    """Checks of the control loop, for the classes below."""

    def check_seconds(self, machine, name, first):
        """From its second `first` on it missed nothing and follows its target."""
        found = [row for row in seconds(machine.console, name) if row[0] >= first]
        self.assertGreaterEqual(len(found), SECONDS)
        for second, cycles, late_us, overruns, speed, target in found:
            self.assertEqual((cycles, overruns), (1000, 0), f"{name}, second {second}")
            self.assertLess(late_us, 1000, f"{name}, second {second}")
            self.assertLessEqual(abs(speed - target), target / 50, f"{name}, second {second}")
        self.note(f"{name}: latest {max(row[2] for row in found)} us late in {len(found)} s")


class TwoLinux(SystemTest):
    cost = 90

    @classmethod
    def setUpClass(cls):
        cls.start("two-linux", BIOS, cpus=4)

    def test_both_reach_their_shells(self):
        expect_each(self.machine, *(rf"^\[{name}\] linux guest: shell ready" for name in ("red", "blue")))

    def test_each_has_its_two_cores(self):
        for key, name in ("1", "red"), ("2", "blue"):
            self.machine.send(f"\x1d{key}")
            self.machine.expect(rf"^\[bulkhead\] keyboard: {name}$", LONG)
            self.machine.send("\n")
            shell = Shell(self.machine, name=name)
            shell.attach()
            self.assertEqual(shell.ask("nproc"), ["2"])

    def test_red_comes_back_from_its_panic(self):
        self.machine.send("\x1d1")
        self.machine.expect(r"^\[bulkhead\] keyboard: red$", LONG)
        self.machine.send("echo c >/proc/sysrq-trigger\n")
        self.machine.expect(r"^\[red\] .*Kernel panic - not syncing", LONG)
        Shell(self.machine, name="red").wait()

    def test_blue_has_not_noticed(self):
        self.machine.send("\x1d2")
        self.machine.expect(r"^\[bulkhead\] keyboard: blue$", LONG)
        self.machine.send("\n")
        shell = Shell(self.machine, name="blue")
        shell.attach()
        shell.ask("true")
        self.assertEqual(self.machine.console.count("[blue] linux guest: shell ready"), 1)

    def test_second_opinion_agrees(self):
        self.agrees("two-linux", take_dump(self.machine))


class Firmware(SystemTest):
    cost = 40

    def test_shell_and_beats(self):
        machine = self.start("firmware", BIOS)
        machine.expect(r"^\[uefi\] .*UEFI Interactive Shell v", LONG)
        machine.expect(r"Shell> ", LONG)
        machine.send("\r")
        machine.expect(r"Shell> ", LONG)
        machine.expect(r"^\[heartbeat\] beat \d+: ", LONG)

    def test_second_opinion_agrees(self):
        self.agrees("firmware", take_dump(self.machine))


class RealTime(Servo):
    cost = 90

    @classmethod
    def setUpClass(cls):
        cls.start("rt", BIOS)
        cls.shell = Shell(cls.machine)

    def test_linux_is_preempt_rt(self):
        self.shell.wait()
        self.assertRegex(self.shell.ask("uname -v")[0], r"PREEMPT_RT")

    def test_servo_misses_nothing(self):
        last = int(self.machine.expect(r"^\[servo\] second (\d+): .* rpm\n", LONG)[1])
        self.machine.expect(rf"^\[servo\] second {last + SECONDS + 1}: .* rpm\n", LONG)
        # The one in between may have begun while Linux still started.
        self.check_seconds(self.machine, "servo", last + 2)

    def test_servo_exits_to_print_only(self):
        before = exits_now(self.machine, "servo")
        last = int(self.machine.expect(r"^\[servo\] second (\d+): .* rpm\n", LONG)[1])
        self.machine.expect(rf"^\[servo\] second {last + SECONDS}: .* rpm\n", LONG)
        after = exits_now(self.machine, "servo")
        more = {kind: after[kind] - before.get(kind, 0) for kind in after}
        self.note(f"exits of the servo in {SECONDS} s or more: {more}")
        self.assertEqual({kind for kind, count in more.items() if count > 0} - {"nmi"}, {"pio"})
        self.assertLess(more.get("nmi", 0), 20)

    def test_second_opinion_agrees(self):
        self.agrees("rt", take_dump(self.machine))


class Eight(Servo):
    cost = 60

    @classmethod
    def setUpClass(cls):
        cls.start("eight", BIOS, cpus=8)

    def test_each_works(self):
        names = [f"beat-{i}" for i in (1, 2)]
        lines = [rf"^\[{name}\] beat {SECONDS}: .*\n" for name in names]
        lines += [rf"^\[servo-{i}\] second {SECONDS + 1}: .*\n" for i in (1, 2)]
        lines += [rf"^\[work-{i}\] prime number \d+ is \d+\n" for i in "ab"]
        expect_each(self.machine, *lines)
        for name in "servo-1", "servo-2":
            self.check_seconds(self.machine, name, 2)  # all memory is cleared during the first

    def test_readers_see_their_regions_and_no_others(self):
        prime = r"prime number \d+ is \d+\n"
        expect_each(self.machine, rf"^\[read-a\] at d0000000: {prime}", rf"^\[read-b\] at d0000000: {prime}",
                    rf"^\[read-b\] at d1000000: {prime}", r"^\[read-a\] at d1000000: nothing\n")

    def test_what_is_read_was_written(self):
        """A prime by its number is the same, whoever says it."""
        found = re.findall(r"prime number (\d+) is (\d+)\n", self.machine.console)
        self.assertEqual(len(dict(found)), len(set(found)))

    def test_second_opinion_agrees(self):
        self.agrees("eight", take_dump(self.machine))
