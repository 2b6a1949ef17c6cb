# SPDX-License-Identifier: BSD-2-Clause
"""The same for QEMU without KVM, which has no VMX: for what comes before it. Chipsets, firmware and
processors that Bochs has not got, and how Bulkhead refuses to run on them.

    with Qemu(iso="build/demo/bulkhead.iso", chipset="q35", firmware="uefi", cpus=4) as machine:
        assert machine.wait_end(60) == "refused"

It is used like the Machine of machine.py, whose methods it has.
"""

import sys

from machine import Machine, MachineError, find_ovmf

QEMU = "qemu-system-x86_64"


class Qemu(Machine):
    """One run of one machine of QEMU's."""

    def __init__(self, iso=None, firmware="bios", cpus=4, model="qemu64", memory=512, chipset="pc",
                 kernel=None, options=(), on_text=None):
        """Boots `iso`, or `kernel` as QEMU loads one; `chipset` is pc (i440fx) or q35, with options of
        -machine; `options` is appended to QEMU's command."""
        super().__init__(iso or kernel, firmware, cpus=1, model=model, memory=memory, on_text=on_text)
        self.cpus, self.chipset, self.options = cpus, chipset, tuple(options)
        self._boot = ["-cdrom", str(self.iso)] if iso else ["-kernel", str(self.iso)]

    def _prepare(self, port):
        command = [QEMU, "-machine", f"{self.chipset},accel=tcg", "-cpu", self.model, "-m",
                   str(self.memory), "-smp", str(self.cpus), "-nodefaults", "-no-user-config",
                   "-no-reboot", "-display", "none", "-serial", f"tcp:127.0.0.1:{port}",
                   *self._boot, *self.options]
        if self.firmware == "uefi":
            command += ["-bios", str(find_ovmf())]
        return command, {}

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
