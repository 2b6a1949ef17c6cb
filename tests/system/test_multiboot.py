# SPDX-License-Identifier: BSD-2-Clause
"""Multiboot kernels: tests/guest/multiboot.c by both versions, which prints what it was given, spoils
it, resets itself and prints it again; and Bulkhead in Bulkhead."""

import re

from support import BIOS, LONG, TREE, SystemTest, guest_lines

REFUSED = ("[bulkhead] REFUSED: BH021: tests/config/exitcode.yaml:16: guest forbidden wants core 1, but this"
           ' machine has 1 (0..0); change "cpus"')


def fnv1a(data):
    """The 32-bit hash that the guest prints of a module."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def module(number, path, string):
    """The guest's line about a module."""
    data = (TREE / path).read_bytes()
    return f"module {number}: {len(data)} bytes, page offset 0, hash {fnv1a(data):08x}, string '{string}'"


class Multiboot(SystemTest):
    """One machine for all three kernels."""

    cost = 20

    @classmethod
    def setUpClass(cls):
        cls.start("multiboot", BIOS, cpus=3)
        for name, text, count in (("one", "multiboot ends", 2), ("two", "multiboot ends", 2),
                                  ("nested", REFUSED, 1)):
            while guest_lines(cls.machine.console, name).count(text) < count:
                cls.machine.expect(rf"^\[{name}\] {re.escape(text)}$", LONG)

    def check_lives(self, name, eax, lines):
        state = f"eax {eax}, PE 1, PG 0, IF 0"
        self.assertEqual(guest_lines(self.machine.console, name),
                         [f"life 1: {state}"] + lines + [f"life 2: {state}"] + lines)

    def test_version_1_elf32(self):
        self.check_lives("one", "2badb002", [
            "flags 24d",
            "command line 'one two=2 \"three\"'",
            "loader 'Bulkhead'",
            module(0, "LICENSE", "the licence"),
            module(1, "build/guests/exitcode.bin", ""),
            module(2, "tests/guest/guest.ld", "last=1"),
            "memory: 636 KiB, 15360 KiB",
            "map: 0 + 9f000, type 1",
            "map: 9f000 + 61000, type 2",
            "map: 100000 + f00000, type 1",
            "multiboot ends",
        ])

    def test_version_2_flat(self):
        self.check_lives("two", "36d76289", [
            "command line ''",
            "loader 'Bulkhead'",
            module(0, "tests/guest/guest.ld", "first and only"),
            "memory: 636 KiB, 31744 KiB",
            "map: 0 + 9f000, type 1",
            "map: 9f000 + 61000, type 2",
            "map: 100000 + 1f00000, type 1",
            "RSDP: 36 bytes, as in memory",
            "ends after its size",
            "multiboot ends",
        ])

    def test_bulkhead_in_bulkhead_has_no_vmx(self):
        lines = guest_lines(self.machine.console, "nested")
        self.assertIn("[bulkhead] loader: Bulkhead, firmware: BIOS, image at 200000, "
                      "memory map of 3 entries", lines)
        self.assertIn("[bulkhead] core 0: CPUID.1:ECX.VMX[bit 5] is 0: this CPU has no VMX "
                      "(Intel VT-x), or its virtual machine does not offer it", lines)
        self.assertIn("[bulkhead] 1 of 1 cores cannot run guests, see above", lines)
        self.assertIn("[bulkhead] to do, if its machine has an Intel CPU: Bulkhead gives no guest VMX: use the bare"
                      " machine", lines)
        self.assertEqual(lines[-1], REFUSED)
