# SPDX-License-Identifier: BSD-2-Clause
"""What the config says of the machine: its size, which memory is the guests', what they share."""

import re

from support import BIOS, LONG, SystemTest, boot, guest_lines


def partition_map(console):
    """(base, last, what) of each piece of memory in the boot report."""
    found = re.findall(r"^\[bulkhead\] .* ([0-9a-f]{9})-([0-9a-f]{9}) +\d+ [KM]iB  (.*)$", console,
                       re.MULTILINE)
    return [(int(base, 16), int(last, 16), what) for base, last, what in found]


class Shared(SystemTest):
    """One guest writes, the other reads. tests/guest/shared_reader.c: one line per check."""

    cost = 20

    @classmethod
    def setUpClass(cls):
        cls.start("shared", BIOS, cpus=4, cpu_options="count=1:2:2")
        cls.machine.expect(r"^\[reader\] life 2: ", LONG)
        cls.machine.expect(r"\n", LONG)

    def test_reader(self):
        lines = guest_lines(self.machine.console, "reader")
        self.assertEqual([line for line in lines if line.startswith("FAIL")], [])
        self.assertIn("life 1: 10 passed, 0 failed", lines)
        self.assertIn("life 2: 10 passed, 0 failed", lines)

    def test_writer_found_it_clear(self):
        self.assertIn("ok region-is-clear", guest_lines(self.machine.console, "writer"))

    def test_dropped_writes_are_counted(self):
        self.assertRegex(self.machine.console, r"\n\[bulkhead\] guest reader: powered off, core 0,"
                         r" resets 1, restarts 0, unclaimed I/O 32,")

    def test_threads_may_be_shared(self):
        self.assertIn("\n[bulkhead] hardware threads of one physical core: 0+1\n",
                      self.machine.console)

    def test_other_cores_are_left_alone(self):
        for apic_id in (2, 3):
            self.assertIn(f"\n[bulkhead] core with APIC id {apic_id}: left alone",
                          self.machine.console)
        self.assertIn("\n[bulkhead] 2 cores ", self.machine.console)

    def test_partition_map(self):
        console = self.machine.console
        self.assertIn("\n[bulkhead]   core 0      reader vCPU 0\n"
                      "[bulkhead]   core 1      writer vCPU 0\n[bulkhead]   memory ", console)
        pieces = partition_map(console)
        self.assertEqual(sorted(what for _, _, what in pieces), [
            "hypervisor: image", "hypervisor: page tables, core areas", "reader RAM at 0",
            "shared ring: writer writes, reader reads", "writer RAM at 0"])
        ends = [address for base, last, _ in pieces for address in (base, last)]
        self.assertEqual(ends, sorted(ends))


class Ranges(SystemTest):
    """Guests' memory comes from the config's ranges, the hypervisor's from anywhere."""

    cost = 20

    def test_guests_are_inside(self):
        with boot("ranges", BIOS, cpus=4) as machine:
            self.assertEqual(machine.wait_end(LONG), "poweroff", machine.tail())
            self.assertIn("\n[bulkhead]   core 2..3   idle\n", machine.console)
            for base, last, what in partition_map(machine.console):
                inside = (0x10000000 <= base and last <= 0x11ffffff
                          or 0x18000000 <= base and last <= 0x1affffff)
                self.assertEqual(inside, not what.startswith("hypervisor: "), what)


class Misfits(SystemTest):
    """Configs for another machine than this one."""

    cost = 30

    def refused(self, config, text, before="", **settings):
        """The last line of a run that has to be refused, and another problem that is told before."""
        with boot(config, BIOS, **settings) as machine:
            self.assertEqual(machine.wait_end(LONG), "refused", machine.tail())
            self.assertIn(f"\n[bulkhead] {before}", machine.console)
            self.assertIn(f"\n[bulkhead] REFUSED: {text}\n", machine.console)

    def test_fewer_cores(self):
        self.refused("shared", "BH021: tests/config/shared.yaml:5: it is for a machine with 2 cores, but"
                     ' this machine has 1 (0..0); change "cores"', cpus=1)

    def test_less_memory(self):
        self.refused("shared", "BH032: tests/config/shared.yaml:6: it is for a machine with 1024 MiB of"
                     ' memory, but this machine has 511 MiB; change "memory"', memory=512)

    def test_range_without_memory(self):
        self.refused("ranges", "BH033: tests/config/ranges.yaml:5: this machine has no free memory from"
                     ' 10000000 to 11ffffff; change "ranges"', memory=256,
                     before="BH033: tests/config/ranges.yaml:5: this machine has no free memory from"
                     ' 18000000 to 1affffff; change "ranges"')

    def test_no_block(self):
        self.refused("pieces", "BH033: tests/config/pieces.yaml:11: guest large: no contiguous block of"
                     " host memory is large enough for it: it takes 64 MiB, the largest free one has 48;"
                     ' change "memory"', cpus=1)
