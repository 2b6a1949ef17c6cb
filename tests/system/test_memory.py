# SPDX-License-Identifier: BSD-2-Clause
"""Guest memory: on both sides of the hole below 4 GiB, hardly enough of it, and a ROM."""

from support import BIOS, LONG, Shell, SystemTest, guest_lines

HOST_MIB = 8192  # its RAM below 4 GiB is no block for a guest that fills all below the hole


class Map(SystemTest):
    """tests/guest/memory.c: one line per check."""

    cost = 40

    @classmethod
    def setUpClass(cls):
        cls.start("rom", BIOS, cpus=2, memory=HOST_MIB)
        cls.end = cls.machine.wait_end(LONG)

    def check(self, name, *summaries):
        lines = guest_lines(self.machine.console, name)
        self.assertEqual([line for line in lines if line.startswith("FAIL")], [])
        for summary in summaries:
            self.assertIn(summary, lines, self.machine.tail())

    def test_machine_ends_by_itself(self):
        self.assertEqual(self.end, "poweroff", self.machine.tail())

    def test_both_sides_of_the_hole(self):
        self.check("flat", "RAM to c0000000, from 100000000 to 104000000",
                   "memory 3136 MiB: 9 passed, 0 failed")

    def test_firmware_twice(self):
        self.check("rom", "life 1: 17 passed, 0 failed", "RAM to 1000000, from 100000000 to 100000000",
                   "memory 16 MiB: 25 passed, 0 failed")
        self.assertIn("\n[bulkhead] guest rom: powered off, core 0, resets 1,", self.machine.console)

    def test_partition_map(self):
        console = self.machine.console
        self.assertRegex(console, r"\[bulkhead\] +100000000-1bfffffff   3072 MiB  flat RAM at 0\n")
        self.assertRegex(console, r"\[bulkhead\] +[0-9a-f-]{19}     64 MiB  flat RAM at 100000000\n")
        self.assertRegex(console, r"\[bulkhead\] +[0-9a-f-]{19}    640 KiB  rom RAM at 0\n")
        self.assertRegex(console, r"\[bulkhead\] +[0-9a-f-]{19}  15616 KiB  rom RAM at c0000\n")
        self.assertRegex(console, r"\[bulkhead\] +[0-9a-f-]{19}    256 KiB  rom ROM at fffc0000\n")


class Linux(SystemTest):
    """What Debian's kernel makes of it."""

    cost = 90

    @classmethod
    def setUpClass(cls):
        cls.start("memory", BIOS, cpus=2, memory=HOST_MIB)
        cls.shell = Shell(cls.machine)
        cls.shell.wait()

    def test_memory_map(self):
        lines = self.shell.ask("dmesg | grep BIOS-e820")
        self.assertEqual([line.split("[mem ")[1] for line in lines], [
            "0x0000000000000000-0x000000000009efff] usable",
            "0x000000000009f000-0x00000000000fffff] reserved",
            "0x0000000000100000-0x00000000bfffffff] usable",
            "0x0000000100000000-0x0000000107ffffff] usable",
        ])

    def test_all_of_it_is_used(self):
        total = int(self.shell.ask("grep MemTotal /proc/meminfo")[0].split()[1])
        self.assertGreater(total, 3000 * 1024)
        self.assertLess(total, 3200 * 1024)
        self.assertIn("100000000-107ffffff : System RAM", self.shell.ask("cat /proc/iomem"))

    def test_pci_window_is_in_the_hole(self):
        self.assertIn("c0000000-febfffff : PCI Bus 0000:00", self.shell.ask("cat /proc/iomem"))

    def test_small_linux_comes_up(self):
        if "[small] linux guest: shell ready" not in self.machine.console:
            self.machine.expect(r"^\[small\] linux guest: shell ready", LONG)
