# SPDX-License-Identifier: BSD-2-Clause
"""The same for QEMU. Without KVM, as here, it has no VMX: for what comes before it. Chipsets, firmware
and processors that Bochs has not got, and how Bulkhead refuses to run on them. scripts/run_kvm has the
command for KVM from here.

    with Qemu(iso="build/demo/bulkhead.iso", chipset="q35", firmware="uefi", cpus=4) as machine:
        assert machine.wait_end(60) == "refused"

It is used like the Machine of machine.py, whose methods it has.
"""

import sys

from machine import Machine, MachineError, find_ovmf

QEMU = "qemu-system-x86_64"


def command(boot, serial, *, accel="tcg", firmware="bios", cpus=4, model="qemu64", memory=512, chipset="pc",
            options=()):
    """QEMU's command. `boot` is what it boots, as it is told to: ["-cdrom", FILE]; `serial` is where COM1
    goes; `chipset` is pc (i440fx) or q35, with options of -machine; `memory` is in MiB."""
    firmware = ["-bios", str(find_ovmf())] if firmware == "uefi" else []
    return [QEMU, "-machine", f"{chipset},accel={accel}", "-cpu", model, "-m", str(memory), "-smp", str(cpus),
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", serial,
            *firmware, *boot, *options]


class Qemu(Machine):
    """One run of one machine of QEMU's."""

    def __init__(self, iso=None, firmware="bios", cpus=4, *, kernel=None, on_text=None, **settings):
        """Boots `iso`, or `kernel` as QEMU loads one; `settings` are command()'s."""
        super().__init__(iso or kernel, firmware, cpus=1, on_text=on_text)
        self.cpus = cpus
        self._settings = {"firmware": firmware, "cpus": cpus, **settings}
        self._boot = ["-cdrom" if iso else "-kernel", str(self.iso)]

    def _prepare(self, port):
        return command(self._boot, f"tcp:127.0.0.1:{port}", **self._settings), {}

    def _launch(self, command, environment):
        try:
            super()._launch(command, environment)
        except FileNotFoundError as error:
            raise MachineError("emulator", f"no {QEMU}: install qemu-system-x86") from error

    def _look_for_end(self, connected):
        """It ends when the machine is switched off or, with -no-reboot, reset."""
        super()._look_for_end(connected)
        if self.end == "emulator" and self._process.poll() == 0:
            self.end = "poweroff"


if __name__ == "__main__":
    sys.exit("qemu.py is a module: use scripts/run_kvm, or a test")
