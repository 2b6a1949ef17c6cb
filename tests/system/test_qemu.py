# SPDX-License-Identifier: BSD-2-Clause
"""The image on QEMU's machines, which have no VMX: it boots on each, starts every core, and says why
it goes no further. Also the processors and ACPI tables that Bochs has not got."""

import os
import struct
import tempfile
from pathlib import Path

from qemu import Qemu  # pylint: disable=import-error

from support import BIOS, LONG, TREE, UEFI, SystemTest, iso, run

NO_VMX = r"CPUID\.1:ECX\.VMX\[bit 5\] is 0: this CPU has no VMX \(Intel VT-x\)"
TO_DO = r"^\[bulkhead\] to do: "
FIRMWARE_MENU = '"Intel Virtualization Technology", "VT-x"'


class QemuTest(SystemTest):
    """Runs that have to be refused."""

    cost = 20

    def refused(self, image=iso("bench"), **settings):
        """The console of such a run."""
        with Qemu(image, **settings) as machine:
            self.assertEqual(machine.wait_end(LONG), "refused", machine.tail())
            return machine.console


class Machines(QemuTest):
    """By BIOS and UEFI, on i440fx and q35, four cores."""

    def boots(self, chipset, firmware):
        console = self.refused(iso("demo"), chipset=chipset, firmware=firmware, cpus=4)
        self.assertIn(f"firmware: {firmware.upper()}", console)
        for core in range(4):
            self.assertRegex(console, rf"\n\[bulkhead\] core {core}: {NO_VMX}")
            self.assertIn(f"\n[bulkhead] core {core}: APIC id {core}, is up, but cannot run guests\n", console)
        self.assertTrue(console.endswith("\n[bulkhead] REFUSED: 4 of 4 cores cannot run guests, see above\n"))

    def test_i440fx_bios(self):
        self.boots("pc", BIOS)

    def test_i440fx_uefi(self):
        self.boots("pc", UEFI)

    def test_q35_bios(self):
        self.boots("q35", BIOS)

    def test_q35_uefi(self):
        self.boots("q35", UEFI)


class Processors(QemuTest):
    """Who made the CPU, and who runs it."""

    def other_make(self, model, signature, name, technology):
        console = self.refused(model=f"{model},hypervisor=off", cpus=1)
        self.assertIn(f'\n[bulkhead] core 0: CPUID.0 names the vendor "{signature}", not "GenuineIntel": the CPU'
                      f" is {name}, its virtualization is {technology}; Bulkhead needs Intel VT-x\n", console)
        self.assertRegex(console, TO_DO.replace("^", r"(?m)^") + "use a machine with an Intel CPU that has VT-x;")
        self.assertNotIn(FIRMWARE_MENU, console)  # nothing to be found there
        self.assertNotIn("hypervisor", console)

    def test_amd(self):
        for model in ("EPYC", "Opteron_G1", "phenom"):
            self.other_make(model, "AuthenticAMD", "AMD", "AMD-V (SVM)")

    def test_hygon(self):
        self.other_make("Dhyana", "HygonGenuine", "Hygon", "AMD-V (SVM)")

    def test_via(self):
        self.other_make("qemu64,vendor=CentaurHauls", "CentaurHauls", "VIA or Centaur", "VIA VT, untried here")

    def test_zhaoxin(self):
        self.other_make("qemu64,vendor=  Shanghai  ", "  Shanghai  ", "Zhaoxin", "its own, untried here")

    def test_any_other(self):
        self.other_make("qemu64,vendor=GenuineTMx86", "GenuineTMx86", "of another make", "not known here")

    def test_intel_without_vmx(self):
        console = self.refused(model="Haswell,hypervisor=off", cpus=1)
        self.assertNotIn("GenuineIntel", console)
        self.assertRegex(console, rf"(?m){TO_DO}enable VT-x; .*{FIRMWARE_MENU}")

    def test_under_a_hypervisor(self):
        console = self.refused(model="Haswell", cpus=1)
        self.assertIn('\n[bulkhead] CPUID.1:ECX[bit 31] is 1: already under a hypervisor, by CPUID.40000000H'
                      ' "TCGTCGTCGTCG": QEMU without KVM (TCG)\n[bulkhead] to do, if its machine has an Intel CPU:'
                      " TCG never has VMX: give QEMU -accel kvm -cpu host\n", console)
        self.assertNotIn(FIRMWARE_MENU, console)

    def test_32_bit_processor(self):
        self.assertIn("REFUSED: CPUID.80000001H:EDX.LM[bit 29] is 0: this CPU has no 64-bit mode; use",
                      self.refused(model="coreduo", cpus=1))

    def test_no_execute_disable(self):
        self.assertIn('REFUSED: CPUID.80000001H:EDX.NX[bit 20] is 0: no execute-disable; if the firmware menu has'
                      ' "Execute Disable", enable it', self.refused(model="Haswell,-nx", cpus=1))


class AllProblems(QemuTest):
    """Not only the first one."""

    def test_no_vmx_too_few_cores_and_too_little_memory(self):
        console = self.refused(iso("demo"), model="Haswell,hypervisor=off", cpus=1, memory=128)
        order = ["core 0: CPUID.1:ECX.VMX[bit 5] is 0", "1 of 1 cores cannot run guests, see above",
                 "BH021: config/demo.yaml:19: guest heartbeat wants core 1", "to do: enable VT-x",
                 "to do: change the config, or enable more cores; in the firmware menu: \"Hyper-Threading\"",
                 "to do: change the config, add memory", "REFUSED: BH032: config/demo.yaml:12: the guests need 272 MiB"]
        places = [console.find(f"\n[bulkhead] {text}") for text in order]
        self.assertEqual(places, sorted(places), console)
        self.assertNotIn(-1, places, console)


def madt(*apic_ids):
    """A table of that many processors, as x2APIC entries."""
    body = struct.pack("<II", 0xFEE00000, 1) + struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0)
    body += b"".join(struct.pack("<BBHIII", 9, 16, 0, apic_id, 1, apic_id) for apic_id in apic_ids)
    data = bytearray(struct.pack("<4sIBB6s8sI4sI", b"APIC", 36 + len(body), 1, 0, b"TEST", b"TEST", 1, b"TEST", 1) + body)
    data[9] = -sum(data) & 0xFF
    return bytes(data)


class AcpiTables(QemuTest):
    """What firmware may get wrong. GRUB's `acpi` replaces tables; t_acpi.c breaks them in every way."""

    def with_tables(self, *, commands, table=b""):
        """The console of a machine whose tables GRUB has changed; `table` is (hd0)/apic.aml."""
        with tempfile.TemporaryDirectory() as folder:
            image, disk = Path(folder, "image.iso"), Path(folder, "disk")
            run("scripts/mkiso", TREE / "build" / "bench" / "bulkhead.stripped.elf", image,
                env={**os.environ, "GRUB_FIRST": commands, "GRUB_MODULES": "acpi fat"})
            disk.write_bytes(bytes(1440 << 10))
            Path(folder, "apic.aml").write_bytes(table)
            run("mformat", "-i", disk, "-f", "1440", "::")
            run("mcopy", "-i", disk, Path(folder, "apic.aml"), "::apic.aml")
            return self.refused(image, cpus=1, options=("-boot", "d", "-drive", f"file={disk},format=raw"))

    def broken(self, console, text):
        self.assertRegex(console, rf"(?m){TO_DO}load the firmware's defaults, else update the firmware; .*"
                         r'in the firmware menu: "ACPI"')
        self.assertIn(f"\n[bulkhead] REFUSED: ACPI tables: {text}; they tell which cores there are\n", console)

    def test_none(self):
        self.broken(self.refused(chipset="pc,acpi=off", cpus=1), "no RSDP (not found)")

    def test_no_madt(self):
        self.broken(self.with_tables(commands="acpi --exclude=APIC"), "ACPI: MADT is missing or not sound (not found)")

    def test_wrong_checksum(self):
        table = bytearray(madt(0))
        table[-1] ^= 1
        self.broken(self.with_tables(commands="acpi --exclude=APIC (hd0)/apic.aml", table=bytes(table)),
                    "ACPI: MADT is missing or not sound (wrong checksum)")

    def test_core_out_of_reach(self):
        console = self.with_tables(commands="acpi --exclude=APIC (hd0)/apic.aml", table=madt(0, 300))
        self.assertIn("\n[bulkhead] core with APIC id 300: out of reach, as CPUID.1:ECX.x2APIC[bit 21] is 0\n", console)
        self.assertRegex(console, rf'(?m){TO_DO}enable x2APIC, or fewer cores; in the firmware menu: "X2APIC"')
