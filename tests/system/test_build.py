# SPDX-License-Identifier: BSD-2-Clause
"""The build: reproducible, and without a warning by both compilers."""

import shutil
import tempfile
from pathlib import Path

from support import TREE, SystemTest, run

NOT_SOURCES = ("build", ".deps", ".git", "__pycache__")


def copy_tree(folder):
    """The sources in a folder of their own, with what set-up fetched."""
    folder.mkdir(parents=True)
    for entry in TREE.iterdir():
        if entry.name in NOT_SOURCES:
            continue
        if entry.is_dir():
            shutil.copytree(entry, folder / entry.name, symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(entry, folder / entry.name)
    (folder / ".deps").symlink_to(TREE / ".deps")


class Build(SystemTest):
    cost = 100

    @classmethod
    def setUpClass(cls):
        work = tempfile.TemporaryDirectory(prefix="bulkhead-build-")
        cls.addClassCleanup(work.cleanup)
        cls.folders = [Path(work.name) / "one", Path(work.name) / "another" / "deeper"]
        for folder in cls.folders:
            copy_tree(folder)

    def make(self, folder, *words):
        """make in a copy; it must not warn."""
        done = run("make", "--no-print-directory", "-j2", *words, cwd=folder)
        self.assertNotIn("warning", (done.stdout + done.stderr).lower())

    def test_same_bytes_from_two_folders(self):
        for folder in self.folders:
            self.make(folder, "CC=gcc")
        for name in ("bulkhead.elf", "BOOTX64.EFI", "bulkhead.iso", "manifest.json", "map.svg"):
            one, other = (folder / "build" / "demo" / name for folder in self.folders)
            self.assertTrue(one.read_bytes() == other.read_bytes(), f"{name} differs")

    def test_clang_builds_the_whole(self):
        folder = self.folders[0]
        shutil.rmtree(folder / "build")
        self.make(folder, "CC=clang")
        self.assertTrue((folder / "build" / "demo" / "bulkhead.iso").is_file())
