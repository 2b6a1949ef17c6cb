# SPDX-License-Identifier: BSD-2-Clause
"""scripts/run: its exit statuses, its output, and nothing left running."""

import os
import tempfile
from pathlib import Path

from support import BIOS, LONG, SystemTest, run


def processes_in(folder):
    """Processes whose current directory is in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if Path(os.readlink(entry)).is_relative_to(folder):
                found.append(entry.parent.name)
        except OSError:
            pass
    return found


class RunScript(SystemTest):
    cost = 50

    def go(self, *options, config="exitcode"):
        """Run it headless in a folder for temporary files of its own; nothing may stay there."""
        with tempfile.TemporaryDirectory() as folder:
            done = run("scripts/run", "--config", config, "--headless", "--firmware", BIOS, *options,
                       check=False, env={**os.environ, "TMPDIR": folder})
            self.assertEqual(processes_in(folder), [])
            self.assertEqual(os.listdir(folder), [])
        return done

    def test_0_when_the_machine_powers_off_and_guests_statuses(self):
        with tempfile.NamedTemporaryFile() as log:
            done = self.go("--timeout", LONG, "--log", log.name)
            copy = Path(log.name).read_text()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("\nguest allowed: exit status 42\n", done.stdout)
        self.assertIn("\n[allowed] leaving with exit status 42\n", done.stdout)
        self.assertTrue(done.stdout.startswith(copy) and "[bulkhead] all guests have ended" in copy)

    def test_0_when_all_expected_came_in_order(self):
        done = self.go("--timeout", LONG, "--expect", "loaded by multiboot2",
                       "--expect", r"^\[forbidden\] FAIL", config="tests/config/exitcode.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_1_when_the_order_is_wrong(self):
        done = self.go("--timeout", LONG, "--expect", r"all guests have ended",
                       "--expect", r"loaded by multiboot2")
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_1_on_timeout(self):
        done = self.go("--timeout", "15", "--expect", "this never comes", config="triplefault")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("this never comes", done.stderr)

    def test_2_when_refused(self):
        done = self.go("--timeout", LONG, "--cpus", "1", config="triplefault")
        self.assertEqual(done.returncode, 2, done.stderr)

    def test_3_when_the_emulator_fails(self):
        done = self.go("--timeout", LONG, "--model", "no_such_model")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, "emulator (failed|did not start)")

    def test_says_what_to_do_when_nothing_was_built(self):
        done = self.go(config="not-there")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("make CONFIG=not-there", done.stderr)
