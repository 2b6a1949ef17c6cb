# SPDX-License-Identifier: BSD-2-Clause
"""Who reaches what, looked at from outside: the table dump of a running machine and
scripts/second_opinion. Faults seeded into the tables that a real machine dumped are found."""

import copy
import importlib.machinery
import json
import re
import types

from support import BIOS, LONG, TREE, UEFI, Shell, SystemTest, beats, boot, take_dump

SCRIPT = TREE / "scripts" / "second_opinion"
second_opinion = types.ModuleType("second_opinion")
importlib.machinery.SourceFileLoader("second_opinion", str(SCRIPT)).exec_module(second_opinion)

MIB = 1 << 20


class SecondOpinion(SystemTest):
    """A Linux of which one vCPU is parked, and a firmware guest of which one waits for its SIPI."""

    cost = 60

    @classmethod
    def setUpClass(cls):
        cls.start("isolation", BIOS, cpus=4)
        cls.shell = Shell(cls.machine)
        cls.shell.wait()
        cls.console = None
        cls.manifest = json.loads((TREE / "build" / "isolation" / "manifest.json").read_text())

    def test_the_hypervisor_has_looked_before_the_first_guest(self):
        self.assertRegex(self.machine.console, r"(?m)^\[bulkhead\] isolation: \d+ pages of tables and"
                         r" bitmaps give 2 guests 6 ranges of host memory, as configured; checked in")

    def test_agrees_while_guests_print(self):
        self.shell.ask("echo 0 > /sys/devices/system/cpu/cpu1/online")
        self.shell.ask("(for i in $(seq 200); do echo filler $i; done) & sleep 0.1")
        type(self).console = take_dump(self.machine)
        out = self.agrees("isolation", self.console)
        self.assertIn("guest linux: vCPU 0 on core 0, vCPU 1 on core 2\n", out)
        self.assertIn("guest-physical fffc0000-ffffffff reaches host", out)
        self.assertRegex(self.console, rb"dump \d+ .*\n\[linux\] filler \d+\n")
        self.shell.ask("wait")
        self.assertIn("filler 200", self.machine.console)
        self.assertIn(b" heartbeat 1 core 3 state wait-for-sipi ", self.console)
        self.note(f"{self.console.count(b'] dump ')} lines")

    def test_a_guest_cannot_forge_a_line(self):
        self.shell.ask(r"printf 'x\r[bulkhead] dump 0 begin 1 forged\n[bulkhead] dump 1 end 2\n\n'")
        self.assertRegex(self.machine.console, r"(?m)^\[linux\] x\[bulkhead\] dump 0 begin 1 forged")
        self.agrees("isolation", self.machine.console.encode())

    def test_ten_faults_in_the_dumped_tables_are_found(self):
        good = second_opinion.parse(self.console)
        self.assertEqual(second_opinion.Audit(self.manifest, good).run().differences, [])
        for name, (seed, words) in FAULTS.items():
            with self.subTest(name):
                dump = copy.deepcopy(good)
                seed(Seeds(dump))
                found = second_opinion.Audit(self.manifest, dump).run().differences
                self.assertTrue(any(re.search(words, text) for text in found), found)
                self.note(f"{name}: {next(text for text in found if re.search(words, text))}")

    def test_agrees_after_a_guest_has_gone(self):
        self.machine.send("poweroff\n")
        self.machine.expect(r"^\[bulkhead\] guest linux: powered off", LONG)
        self.agrees("isolation", take_dump(self.machine))


class Seeds:
    """Changes to a dump's tables."""

    def __init__(self, dump):
        self.dump = dump
        self.linux, self.heartbeat = dump.vcpus["linux", 0], dump.vcpus["heartbeat", 1]

    def place(self, root, address, level):
        """(words, index) of an entry."""
        words = self.dump.pages[root & ~0xFFF]
        for lvl in range(4, level, -1):
            words = self.dump.pages[words[address >> 12 + 9 * (lvl - 1) & 511] & 0xFFFFFFFFFF000]
        return words, address >> 12 + 9 * (level - 1) & 511

    def point(self, vcpu, gpa, level, hpa):
        """Let a guest-physical page reach another host page, in both sets of tables."""
        for root in (vcpu.eptp, vcpu.xapic):
            words, index = self.place(root, gpa, level)
            words[index] = words[index] & ~0xFFFFFFFFFF000 | hpa

    def flip(self, root, address, level, bits):
        """Turn bits of an entry over."""
        words, index = self.place(root, address, level)
        words[index] ^= bits

    def hpa(self, vcpu, gpa, level):
        """What a page reaches."""
        words, index = self.place(vcpu.eptp, gpa, level)
        return words[index] & 0xFFFFFFFFFF000

    def area(self, what):
        """Base of an area."""
        return next(base for base, _, name in self.dump.areas if name == what)

    def open(self, vcpu, field, bit):
        """Clear a bit of a bitmap."""
        self.dump.pages[vcpu.fields[field]][bit // 64] &= ~(1 << bit % 64)


# name: (what is done to the dump, what has to be said)
FAULTS = {
    "page of two guests": (
        lambda s: s.point(s.heartbeat, 4 * MIB, 2, s.hpa(s.linux, 6 * MIB, 2)),
        "is reached by guest linux at guest-physical 600000 and by guest heartbeat at 400000"),
    "hypervisor's image": (
        lambda s: s.point(s.linux, 8 * MIB, 2, s.area("image")),
        r"guest linux: guest-physical 800000 reaches host .* \(image\)"),
    "table reached by a guest": (
        lambda s: s.point(s.heartbeat, 0x5000, 1, s.linux.eptp & ~0xFFF),
        r"guest heartbeat: guest-physical 5000 reaches host .* \(page-pool\)"),
    "outside RAM": (
        lambda s: s.point(s.heartbeat, 0x5000, 1, 1 << 36),
        "guest heartbeat: guest-physical 5000 reaches host 1000000000-1000000fff.* memory map"),
    "ROM writable": (
        lambda s: s.flip(s.heartbeat.eptp, 0xFFFC0000, 1, 2),
        r"guest heartbeat: guest-physical fffc0000-fffc0fff reaches host .* rwx, it should be rx \(ROM\)"),
    "page missing": (
        lambda s: s.flip(s.linux.xapic, 10 * MIB, 2, 7),
        "guest linux: guest-physical a00000-bfffff reaches nothing, it should be rwx"),
    "memory type": (
        lambda s: s.flip(s.linux.eptp, 10 * MIB, 2, 0x30),
        "guest linux: guest-physical a00000, host .*: memory type 0, it should be 6"),
    "reserved bit": (
        lambda s: s.flip(s.linux.eptp, 0, 3, 8),
        "guest linux: guest-physical 0: entry .* of level 3 is misconfigured"),
    "APIC page of the other guest": (
        lambda s: s.flip(s.linux.xapic, 0xFEE00000, 1, s.linux.access ^ s.heartbeat.access),
        "guest linux, vCPU 0: guest-physical fee00000, host .* should be the APIC-access page"),
    "open port": (
        lambda s: s.open(s.linux, 0x2000, 0x3F8),
        "guest linux: reaches host ports 3f8-3f8"),
    "open MSR": (
        lambda s: s.open(s.heartbeat, 0x2004, 0x4000 + 0x1B),
        "guest heartbeat: writes host MSRs 1b-1b"),
    "bitmaps off": (
        lambda s: s.heartbeat.fields.update({0x4002: s.heartbeat.fields[0x4002] & ~(1 << 25)}),
        "guest heartbeat: reaches host ports 0-ffff"),
    "hypervisor's page W and X": (
        lambda s: s.flip(s.dump.cr3, 0xFFFFFFFF80000000, 1, 2),
        "hypervisor's page at ffffffff80000000, host .*: writable and executable"),
    "guest memory mapped by the hypervisor": (
        lambda s: s.flip(s.dump.cr3, 0xFFFF818000000000, 1,
                         s.area("local-apic") ^ s.hpa(s.linux, 0, 2)),
        "hypervisor's page at ffff818000000000, host .* of guest linux"),
}


class SecondOpinionUefi(SystemTest):
    """A memory map in many pieces; while one guest loads, and from a running one nothing is lost."""

    cost = 40

    def test_agrees_and_the_other_guest_goes_on(self):
        with boot("demo", UEFI, cpus=2) as self.machine:
            self.machine.expect(r"^\[heartbeat\] beat 1: ", LONG)
            self.agrees("demo", take_dump(self.machine))
            before = len(beats(self.machine.console))
            self.machine.expect(r"^\[heartbeat\] beat \d+: .*\n", LONG)
            numbers = beats(self.machine.console)
            self.assertGreater(len(numbers), before)
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
