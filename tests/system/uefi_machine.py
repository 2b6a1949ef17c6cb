# SPDX-License-Identifier: BSD-2-Clause
"""A q35 of QEMU's with Debian's split OVMF, which has a variable store and may know Secure Boot, and
with disks that the firmware tries one after the other.

    with UefiMachine(["esp.img"]) as machine:
        machine.expect(r"REFUSED", 60)
"""

import shutil
import subprocess
from pathlib import Path

from qemu import QEMU, Qemu

OVMF = Path("/usr/share/OVMF")


class UefiMachine(Qemu):
    """One run. `disks` are images that the firmware tries in this order: `.iso` is a CD, `.usb` a
    USB stick, all else a disk; `variables` is the firmware's variable store, and `secure` takes the
    firmware that knows Secure Boot; `extra` are more options of QEMU."""

    def __init__(self, disks, variables=OVMF / "OVMF_VARS_4M.fd", secure=False, memory=512, extra=()):
        super().__init__(disks[0], "uefi", cpus=1, memory=memory)
        self._disks = list(map(str, disks))
        self._variables, self._secure, self._extra = variables, secure, extra

    def _prepare(self, port):
        shutil.copy(self._variables, self._folder / "vars.fd")
        code = OVMF / ("OVMF_CODE_4M.secboot.fd" if self._secure else "OVMF_CODE_4M.fd")
        secure = "on" if self._secure else "off"
        command = [
            QEMU, "-machine", f"q35,accel=tcg,smm={secure}", "-cpu", "max",
            "-m", str(self._settings["memory"]), "-nodefaults", "-display", "none", "-vga", "std",
            "-serial", f"tcp:127.0.0.1:{port}", "-no-reboot", "-device", "qemu-xhci,id=usb",
            "-global", f"driver=cfi.pflash01,property=secure,value={secure}",
            "-drive", f"if=pflash,format=raw,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,file={self._folder}/vars.fd", *self._extra]
        for i, disk in enumerate(self._disks):
            kind = {".iso": f"ide-cd,bus=ide.{i}", ".usb": "usb-storage,bus=usb.0"}.get(
                disk[-4:], f"ide-hd,bus=ide.{i}")
            command += ["-drive", f"if=none,id=disk{i},format=raw,snapshot=on,file={disk}",
                        "-device", f"{kind},drive=disk{i},bootindex={i + 1}"]
        return command, {}

    def _look_for_end(self, connected):
        """A refusal is not the end: the loader returns to the firmware, which tries the next disk."""
        self._refused = False
        super()._look_for_end(connected)


def esp(program, image):
    """Make a FAT image as a user makes an EFI system partition: the program is copied there."""
    kib = Path(program).stat().st_size // 1024 + 40 * 1024
    for command in (["truncate", "-s", f"{kib}K", image], ["mformat", "-i", image, "-F", "::"],
                    ["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"],
                    ["mcopy", "-i", image, program, "::/EFI/BOOT/BOOTX64.EFI"]):
        subprocess.run([str(word) for word in command], check=True)
    return image
