# SPDX-License-Identifier: BSD-2-Clause
"""One CPU model for each kind of result; `make cpus` boots all of them."""

from support import SystemTest, run


class Models(SystemTest):
    cost = 40

    def boots(self, *models):
        """As tests/cpus/models.yaml expects it."""
        done = run("scripts/cpus", *(f" {model}$" for model in models), check=False)
        self.assertEqual(done.stdout.splitlines()[-1:], [f"{len(models)} passed, 0 failed"], done.stdout + done.stderr)

    def test_oldest_that_runs_guests(self):
        self.boots("corei5_arrandale_m520")

    def test_newest_that_runs_guests(self):
        self.boots("arrow_lake")

    def test_refused(self):
        self.boots("atom_n270", "core2_penryn_t9600", "corei5_lynnfield_750", "EPYC")
