# SPDX-License-Identifier: BSD-2-Clause
"""A machine of QEMU's without VMX (TCG), with Debian's OVMF: for what happens before the first guest.

    with Qemu(disks=["esp.img"]) as machine:
        machine.expect(r"REFUSED", 60)

As scripts/machine.py's Machine it has `console`, `expect` and `tail`.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

OVMF = Path("/usr/share/OVMF")
SCREEN_CONTROL = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]|\r")


class Qemu:
    """One run. `disks` are images that the firmware tries in this order: `.iso` is a CD, `.usb` a
    USB stick, all else a disk; `variables` is the firmware's variable store, and `secure` takes the firmware that knows
    Secure Boot; `extra` are more options of QEMU."""

    def __init__(self, disks, variables=OVMF / "OVMF_VARS_4M.fd", secure=False, memory=512, extra=()):
        self.console = ""
        self._position = 0
        self._folder = Path(tempfile.mkdtemp(prefix="bulkhead-"))
        shutil.copy(variables, self._folder / "vars.fd")
        code = OVMF / ("OVMF_CODE_4M.secboot.fd" if secure else "OVMF_CODE_4M.fd")
        self._command = [
            "qemu-system-x86_64", "-machine", f"q35,accel=tcg,smm={'on' if secure else 'off'}",
            "-cpu", "max", "-m", str(memory), "-nodefaults", "-display", "none", "-vga", "std",
            "-serial", "stdio", "-no-reboot", "-device", "qemu-xhci,id=usb",
            "-global", f"driver=cfi.pflash01,property=secure,value={'on' if secure else 'off'}",
            "-drive", f"if=pflash,format=raw,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,file={self._folder}/vars.fd", *extra]
        for i, disk in enumerate(map(str, disks)):
            kind = {".iso": f"ide-cd,bus=ide.{i}", ".usb": "usb-storage,bus=usb.0"}.get(
                disk[-4:], f"ide-hd,bus=ide.{i}")
            self._command += ["-drive", f"if=none,id=disk{i},format=raw,snapshot=on,file={disk}",
                              "-device", f"{kind},drive=disk{i},bootindex={i + 1}"]
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def expect(self, regex, timeout):
        """Wait until the console matches `regex` after the last match; returns the match."""
        pattern = re.compile(regex, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            match = pattern.search(self.console, self._position)
            if match:
                self._position = match.end()
                return match
            readable, _, _ = select.select([self._process.stdout], [], [], 0.2)
            data = os.read(self._process.stdout.fileno(), 65536) if readable else b""
            if (readable and not data) or time.monotonic() > deadline:
                raise AssertionError(f"{regex!r} did not appear; the last lines:\n{self.tail()}")
            self.console = SCREEN_CONTROL.sub("", self.console + data.decode(errors="replace"))

    def tail(self, lines=20):
        """The console's last lines."""
        return "\n".join(self.console.splitlines()[-lines:])


def esp(program, image):
    """Make a FAT image as a user makes an EFI system partition: the program is copied there."""
    kib = Path(program).stat().st_size // 1024 + 40 * 1024
    for command in (["truncate", "-s", f"{kib}K", image], ["mformat", "-i", image, "-F", "::"],
                    ["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"],
                    ["mcopy", "-i", image, program, "::/EFI/BOOT/BOOTX64.EFI"]):
        subprocess.run([str(word) for word in command], check=True)
    return image
