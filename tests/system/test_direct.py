# SPDX-License-Identifier: BSD-2-Clause
"""A guest with its core's own local APIC (apic: direct): its timer loop has no exits, the hypervisor
still has the core, and each life begins with a fresh local APIC."""

from machine import UNREPEATABLE
from support import BIOS, LONG, SystemTest, beats, boot, exits_now, guest_lines, take_dump

TICKS = 3000  # of a round of tests/guest/direct.c, at 1000 a second
KEYS = 40
CONSOLE_KEY = "\x1d"
DIED = r"^\[bulkhead\] guest {}: crashed 2 times: stays off"


class TimerLoop(SystemTest):
    """What the classes below ask of a running round."""

    def round(self, number):
        """(exits at its begin, exits a second or more later, the line of its end)."""
        machine = self.machine
        machine.expect(rf"^\[direct\] round {number}: {TICKS} ticks begin\n", LONG)
        before = exits_now(machine, "direct")
        first = beats(machine.console)[-1] if beats(machine.console) else 0
        machine.expect(rf"^\[heartbeat\] beat {first + 2}: .*\n", LONG)
        after = exits_now(machine, "direct")
        self.assertNotIn(f"round {number}: {TICKS} ticks in", machine.console.rpartition("ticks begin")[2])
        end = machine.expect(rf"^\[direct\] round {number}: {TICKS} ticks in (\d+) periods, off by "
                             r"p50 (\d+) p99 (\d+) max (\d+) TSC ticks\n", LONG)
        self.assertEqual(int(end[1]), TICKS)
        self.note(f"round {number}: {sum(after.values()) - sum(before.values())} exits in a second or more;"
                  f" off by p50 {end[2]} p99 {end[3]} max {end[4]} TSC ticks")
        return before, after


class Direct(TimerLoop):
    cost = 40

    @classmethod
    def setUpClass(cls):
        cls.start("direct", BIOS, cpus=2)

    def check_no_exits(self, number):
        before, after = self.round(number)
        self.assertGreater(sum(before.values()), 0)
        self.assertEqual(after, before)

    def press(self, key):
        """A key in the middle of a round, which is acted on at its end."""
        self.machine.expect(rf"^\[direct\] round \d+: {TICKS} ticks begin\n", LONG)
        before = exits_now(self.machine, "direct")
        self.machine.send(key)
        self.machine.expect(rf"^\[direct\] key {key}\n", LONG)
        return before

    def test_1_no_exit_in_a_timer_loop_that_halts_or_spins(self):
        self.check_no_exits(1)
        self.assertIn("[bulkhead]   core 1      direct vCPU 0, with the local APIC\n", self.machine.console)
        self.assertIn("guest direct: local APIC: direct, that of core 1; its timer counts at ",
                      self.machine.console)
        self.check_no_exits(2)

    def test_2_keys_come_by_nmi(self):
        self.machine.send(f"{CONSOLE_KEY}2")
        self.machine.expect(r"^\[bulkhead\] keyboard: direct\n", LONG)
        before = self.press("x")
        self.assertGreater(exits_now(self.machine, "direct")["nmi"], before.get("nmi", 0))

    def test_2_no_key_is_lost_while_the_hypervisor_runs(self):
        self.machine.send("p")
        for number in range(1, KEYS + 1):
            self.machine.expect(rf"^\[direct\] waits for key {number}\n", LONG)
            self.machine.send("p" if number < KEYS else "y")
        self.machine.expect(r"^\[direct\] key y\n", LONG)
        after = exits_now(self.machine, "direct")
        self.note(f"{KEYS} keys: {after}")
        self.assertGreater(after["roused"], 0)

    def test_3_the_second_opinion_agrees(self):
        self.agrees("direct", take_dump(self.machine))

    def test_4_a_reset_and_a_crash_begin_anew(self):
        for key, said in ("r", "reset"), ("c", "restart 1, after a crash"):
            self.press(key)
            self.machine.expect(rf"^\[direct\] x2APIC mode, .*\n", LONG)
            self.check_no_exits(1)
            self.assertIn(f"[bulkhead] guest direct: {said}\n", self.machine.console)

    def test_5_its_core_answers_when_it_has_ended(self):
        self.machine.send("q")
        self.machine.expect(r"^\[bulkhead\] guest direct: powered off, core 1, resets 1, restarts 1,", LONG)
        self.machine.expect(r"^\[bulkhead\] guest direct: exits: .*\n", LONG)
        self.agrees("direct", take_dump(self.machine))
        self.assertNotIn("NMIs from the hardware", self.machine.console)


class Virtual(TimerLoop):
    """The same program with the hypervisor's local APIC: what is counted above can be counted."""

    def test_each_tick_exits(self):
        self.start("direct-virtual", BIOS, cpus=2)
        before, after = self.round(1)
        self.assertGreater(sum(after.values()), sum(before.values()) + 1000)


class WithoutDeadline(TimerLoop):
    """A processor without TSC-deadline timer: the guest has none either, and needs none."""

    def test_no_exits(self):
        self.start("direct", BIOS, cpus=2, exclude=("tsc_deadline", *UNREPEATABLE))
        before, after = self.round(1)
        self.assertEqual(after, before)


class Hostile(SystemTest):
    """Every bad state of a local APIC, two ways to hold a core for ever, and a neighbour."""

    cost = 60

    @classmethod
    def setUpClass(cls):
        cls.start("direct-hostile", BIOS, cpus=3)

    def test_1_a_core_that_takes_no_interrupt_answers(self):
        self.machine.expect(r"^\[spinner\] spins, interrupts off\n", LONG)
        before = exits_now(self.machine, "spinner")
        self.agrees("direct-hostile", take_dump(self.machine))
        self.assertGreater(exits_now(self.machine, "spinner")["nmi"], before.get("nmi", 0))

    def test_2_the_watchdog_ends_both_in_both_lives(self):
        left = ["spinner", "storm"]
        while left:
            found = self.machine.expect("|".join(DIED.format(f"{name}") for name in left), LONG)[0]
            left = [name for name in left if name not in found]
        for name in "spinner", "storm":
            lines = guest_lines(self.machine.console, name)
            self.assertEqual([line for line in lines if line.startswith("FAIL")], [])
            self.assertEqual([line for line in lines if line.startswith("life")],
                             [f"life that ends in way {way}" for way in (0, 1, 2, 3)] * 2)
            self.assertEqual(self.machine.console.count(
                f"guest {name}: stopped: its watchdog expired"), 2)

    def test_3_the_neighbour_goes_on(self):
        last = beats(self.machine.console)[-1]
        self.machine.expect(rf"^\[heartbeat\] beat {last + 2}: .*\n", LONG)
        self.assertEqual(beats(self.machine.console)[:last], list(range(1, last + 1)))


class Refusal(SystemTest):
    def test_without_x2apic_the_config_line_is_named(self):
        with boot("direct", BIOS, cpus=2, exclude=("x2apic", *UNREPEATABLE)) as machine:
            self.assertEqual(machine.wait_end(LONG), "refused")
            self.assertIn("to do: enable x2APIC, or give the guest a virtual local APIC;", machine.console)
            self.assertIn("REFUSED: BH028: tests/config/direct.yaml:16: guest direct wants its core's local"
                          " APIC, but this CPU has no x2APIC mode; remove \"apic: direct\"",
                          machine.console)
