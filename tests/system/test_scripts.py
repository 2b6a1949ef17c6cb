# SPDX-License-Identifier: BSD-2-Clause
"""The scripts' own tests."""

from support import SystemTest, run


class Scripts(SystemTest):
    cost = 20

    def test_config_compiler(self):
        run("python3", "tests/scripts/test_config.py")

    def test_acpi_tables(self):
        run("python3", "tests/scripts/test_acpi_tables.py")

    def test_second_opinion(self):
        run("python3", "tests/scripts/test_second_opinion.py")

    def test_partition_map(self):
        run("python3", "tests/scripts/test_map_svg.py")

    def test_config_probe(self):
        run("python3", "tests/scripts/test_config_probe.py")

    def test_usb(self):
        run("python3", "tests/scripts/test_usb.py")

    def test_run_kvm(self):
        run("python3", "tests/scripts/test_run_kvm.py")

    def test_boot_picture(self):
        run("python3", "tests/scripts/test_boot_svg.py")

    def test_bench(self):
        run("python3", "tests/scripts/test_bench.py")

    def test_scale(self):
        run("python3", "tests/scripts/test_scale.py")
