# SPDX-License-Identifier: BSD-2-Clause
"""The device test: one program on bare Bochs, on bare QEMU and as a guest, compared."""

from support import LONG, SystemTest, run


class DeviceTest(SystemTest):
    cost = 40

    def test_three_machines_agree(self):
        done = run("scripts/devtest", "--timeout", LONG, check=False)
        self.note(done.stdout.splitlines()[-1])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
