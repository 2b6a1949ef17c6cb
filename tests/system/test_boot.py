# SPDX-License-Identifier: BSD-2-Clause
"""The demo boots with four cores, on a processor without the newer timers and APIC, and where the
firmware lists cores that are not there; with two, test_linux.py goes through a whole session."""

from machine import UNREPEATABLE

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


class OlderProcessor(SystemTest):
    """The host's other paths: xAPIC instead of x2APIC, VMX-preemption timer for TSC deadlines."""

    cost = 70

    def test_linux_reaches_its_shell(self):
        machine = self.start("demo", BIOS, cpus=2,
                             exclude=("x2apic", "tsc_deadline", *UNREPEATABLE))
        machine.expect(r"^\[bulkhead\] 2 cores \(xAPIC\)", LONG)
        Shell(machine).wait()
        machine.expect(r"^\[heartbeat\] beat \d+: ", LONG)


class AbsentCores(SystemTest):
    """Two processors of the MADT do not answer: they are named, and the rest goes on."""

    cost = 40

    def test_they_are_left_out(self):
        machine = self.start("demo", UEFI, cpus=2, absent_cpus=2)
        for apic_id in (2, 3):
            machine.expect(rf"^\[bulkhead\] core with APIC id {apic_id}: listed in the MADT but"
                           " does not answer; left out$", LONG)
        machine.expect(r"^\[bulkhead\] 2 cores ", LONG)
        machine.expect(r"^\[heartbeat\] beat \d+: ", LONG)
