# SPDX-License-Identifier: BSD-2-Clause
"""The quick part of the gallery; `make gallery` runs all of it."""

import sys

from support import TREE, SystemTest

sys.path.insert(0, str(TREE / "tests" / "gallery"))
from gallery import GUESTS  # noqa: E402  pylint: disable=wrong-import-position,import-error


def runs(name):
    """A test: this guest does what it has to do."""

    def test(self):
        guest = next(guest for guest in GUESTS if guest.name == name)
        with guest.boot(guest.build()) as self.machine:
            self.note(guest.session(self.machine))

    return test


class Gallery(SystemTest):
    cost = 60

    test_linux_6_1_cloud_with_2_vcpus = runs("linux-6.1-cloud-2")
    test_memtest = runs("memtest86+")
    test_seabios = runs("seabios")
    test_uboot = runs("u-boot")
    test_grub_under_seabios = runs("grub-seabios")
