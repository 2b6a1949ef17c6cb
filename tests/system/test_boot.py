# SPDX-License-Identifier: BSD-2-Clause
"""The demo boots with four cores, on a processor without the newer timers and APIC, and where the
firmware lists cores that are not there or are disabled; with two, test_linux.py goes through a whole
session. Two small guests boot on every number of cores that the emulator can have."""

from machine import UNREPEATABLE

from support import BIOS, LONG, UEFI, Shell, SystemTest, boot


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


class DisabledCores(SystemTest):
    """One of four processors is disabled in the MADT, another one of it is not there."""

    cost = 40

    def test_they_are_left_alone(self):
        machine = self.start("exitcode", UEFI, cpus=4, absent_cpus=1, disabled_cpus=(1,))
        for core, apic_id in enumerate((0, 2, 3)):
            machine.expect(rf"^\[bulkhead\] core {core}: APIC id {apic_id}, in VMX root", LONG)
        machine.expect(r"^\[bulkhead\] core with APIC id 4: listed in the MADT but does not", LONG)
        machine.expect(r"^\[bulkhead\] 3 cores ", LONG)
        self.assertIn("[bulkhead] ACPI: 4 processors", machine.console)
        machine.expect(r"^\[bulkhead\] guest allowed: exit status 42$", LONG)


class ManyCores(SystemTest):
    """Real ones, each of which the boot finds and takes into VMX root operation."""

    cost = 40

    def boot_with(self, config, cpus):
        with boot(config, BIOS, cpus=cpus) as machine:
            for core in range(cpus):
                machine.expect(rf"^\[bulkhead\] core {core}: APIC id {core}, in VMX root", LONG)
            machine.expect(rf"^\[bulkhead\] {cpus} cores ", LONG)
            machine.expect(r"^\[bulkhead\] guest \w+: exit status|^\[bench\] bench cpuid", LONG)

    def test_one(self):
        self.boot_with("bench", 1)

    def test_two(self):
        self.boot_with("exitcode", 2)

    def test_four(self):
        self.boot_with("exitcode", 4)

    def test_eight(self):
        self.boot_with("exitcode", 8)

    def test_sixteen(self):
        self.boot_with("exitcode", 16)
