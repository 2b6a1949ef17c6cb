# SPDX-License-Identifier: BSD-2-Clause
"""The demo boots with four cores too; with two, test_linux.py goes through a whole session."""

from support import BIOS, LONG, UEFI, Shell, SystemTest


class FourCores:
    """Boot with more cores than the guests need."""

    cost = 120
    firmware = None

    @classmethod
    def setUpClass(cls):
        cls.start("demo", cls.firmware, cpus=4)

    def test_every_core_enters_vmx_root_operation(self):
        for core in range(4):
            self.machine.expect(rf"^\[bulkhead\] core {core}: .*in VMX root operation", LONG)
        self.machine.expect(r"^\[bulkhead\] 4 cores ", LONG)
        self.assertIn(f"firmware: {self.firmware.upper()}", self.machine.console)

    def test_linux_reaches_its_shell(self):
        Shell(self.machine).wait()

    def test_heartbeat_beats(self):
        self.machine.expect(r"^\[heartbeat\] beat \d+: ", LONG)


class FourCoresUefi(FourCores, SystemTest):
    firmware = UEFI


class FourCoresBios(FourCores, SystemTest):
    firmware = BIOS
