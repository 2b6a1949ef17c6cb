# SPDX-License-Identifier: BSD-2-Clause
"""Our UEFI loader: from any medium, with what the firmware hands over, and when it cannot load.
QEMU's machines have no VMX, so there a boot ends with the hypervisor's refusal."""

import tempfile
from pathlib import Path

from support import LONG, TREE, UEFI, SystemTest, boot, iso
from uefi_machine import UefiMachine, esp

NO_VMX = r"^\[bulkhead\] REFUSED: 1 of 1 cores cannot run guests"


class Loader(SystemTest):
    """One file, wherever it lies."""

    cost = 60

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="bulkhead-esp-")
        cls.addClassCleanup(folder.cleanup)
        cls.work = Path(folder.name)

    def reaches_the_refusal(self, disk, **settings):
        """Boot it in QEMU; the console."""
        with UefiMachine([disk], **settings) as machine:
            machine.expect(r"^\[bulkhead\] UEFI loader, on UEFI 2\.\d+, Secure Boot off$", LONG)
            machine.expect(r"^\[bulkhead\] loaded by UEFI, 64-bit entry$", LONG)
            machine.expect(NO_VMX, LONG)
            return machine.console

    def test_copied_to_a_system_partition_and_what_firmware_hands_over(self):
        image = esp(TREE / "build" / "bench" / "BOOTX64.EFI", self.work / "esp.img")
        console = self.reaches_the_refusal(image, extra=("-device", "virtio-rng-pci"))
        self.assertRegex(console, r"\n\[bulkhead\] loader: Bulkhead's UEFI loader, firmware: UEFI,"
                         r" image at [0-9a-f]+, memory map of \d\d+ entries\n")
        self.assertIn("\n[bulkhead] handed over: RSDP of 36 bytes, random seed of 32 bytes\n", console)
        self.assertRegex(console, r"\n\[bulkhead\] screen: framebuffer 1280x800, 32 bits at [89a-f]\w{7}\n")

    def test_without_framebuffer_and_seed(self):
        console = self.reaches_the_refusal(iso("bench"), extra=("-vga", "none"))
        self.assertIn("\n[bulkhead] handed over: RSDP of 36 bytes, random seed of 0 bytes\n", console)
        self.assertNotIn("screen: framebuffer", console)
        self.assertIn("\n[bulkhead] screen: the loader gives no framebuffer; ", console)

    def test_large_image_from_usb_stick(self):
        stick = self.work / "stick.usb"
        stick.symlink_to(iso("large"))
        self.reaches_the_refusal(stick)

    def test_without_room_it_is_refused_and_the_firmware_goes_on(self):
        with UefiMachine([iso("large"), iso("bench")], memory=232) as machine:
            machine.expect(r"^\[bulkhead\] REFUSED: the hypervisor needs 6\d{4} KiB of memory in one"
                           r" piece below 4 GiB, 2 MiB-aligned; the largest is \d+ KiB; ", LONG)
            machine.expect(r"^BdsDxe: failed to start Boot0001 ", LONG)
            machine.expect(r"^BdsDxe: starting Boot0002 ", LONG)
            machine.expect(NO_VMX, LONG)

    def test_without_execute_disable_it_is_refused(self):
        with UefiMachine([iso("bench")], extra=("-cpu", "qemu64,-nx")) as machine:
            machine.expect(r"^\[bulkhead\] REFUSED: CPUID\.80000001H:EDX\.NX\[bit 20\] is 0: ", LONG)
            machine.expect(r"^BdsDxe: failed to start Boot0001 ", LONG)
            self.assertNotIn("64-bit entry", machine.console)


class LargeImage(SystemTest):
    """More than 32 MiB, by the emulated machine's CD drive, up to the guests."""

    cost = 30

    def test_it_boots_from_cd(self):
        self.assertGreater((TREE / "build" / "large" / "BOOTX64.EFI").stat().st_size, 40 << 20)
        with boot("large", UEFI, cpus=1) as machine:
            machine.expect(r"^\[bulkhead\] hand-over to first guest: ", LONG)
