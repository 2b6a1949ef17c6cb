# SPDX-License-Identifier: BSD-2-Clause
"""The peer that Bulkhead is measured against runs, and costs what KVM costs."""

import subprocess

import measure_kvm
from support import TREE, SystemTest


class Peer(SystemTest):
    cost = 70

    @classmethod
    def setUpClass(cls):
        """Its image is built here: without KVM's modules only this test fails."""
        super().setUpClass()
        done = subprocess.run(["make", "--no-print-directory", "build/kvm-bench/bulkhead.iso"], cwd=TREE, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout

    def test_bench_under_kvm(self):
        peer = measure_kvm.kvm_bench()
        rows = peer["rows"]
        self.note(", ".join(f"{name} {row['min']}" for name, row in rows.items() if row and "min" in row))
        self.assertRegex(peer["console"], r"(?m)^bench done$")
        # KVM answers the first three itself, user space the others, a device that is not there included.
        for name in ("cpuid", "in-40", "in-21"):
            self.assertTrue(500 < rows[name]["min"] < 2000, f"{name}: {rows[name]}")
        for name in ("in-3fd", "out-80", "in-unclaimed"):
            self.assertTrue(2000 < rows[name]["min"] < 8000, f"{name}: {rows[name]}")
        self.assertGreater(peer["exits"]["exits"], 1000 * len(rows))
