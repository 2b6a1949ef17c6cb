# SPDX-License-Identifier: BSD-2-Clause
"""scripts/fetch, with a package made here and an apt that hands it out: which file becomes which, what xz
compressed is decompressed, and what happens where a file is missing."""

import lzma
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
CONTROL = "Package: linux-image-9-test\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@b.c>\nDescription: test\n"
FILES = {"boot/vmlinuz-9": b"kernel", "usr/lib/modules/9/kvm.ko.xz": lzma.compress(b"\x7fELF kvm"),
         "usr/lib/modules/9/kvm-intel.ko": b"\x7fELF intel", "usr/lib/modules/9/broken.ko.xz": b"no xz"}
APT = {"apt-cache": 'echo "  Depends: linux-image-9-test"',
       "apt-get": 'case $* in *download*) cp "$FAKE_PACKAGE" . ;; *) exit 1 ;; esac'}


@unittest.skipUnless(shutil.which("dpkg-deb"), "no Debian")
class Fetch(unittest.TestCase):
    """One package with a kernel and modules, one of them compressed."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        root = self.folder / "root"
        for name, content in {"DEBIAN/control": CONTROL.encode(), **FILES}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        self.package = self.folder / "linux-image-9-test_1_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, self.package], check=True,
                       stdout=subprocess.DEVNULL)
        for name, text in APT.items():
            (self.folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (self.folder / name).chmod(0o755)

    def fetch(self, *words):
        """Files are in the folder `out`."""
        words = [str(self.folder / "out" / word[1:]) if word.startswith("@") else word for word in words]
        return subprocess.run(
            [TREE / "scripts" / "fetch", "linux-image-test", *words], check=False, text=True, capture_output=True,
            env={**os.environ, "FAKE_PACKAGE": str(self.package), "PATH": f"{self.folder}:{os.environ['PATH']}"})

    def out(self):
        """{name: content} of what was fetched; nothing else may be left."""
        return {path.name: path.read_bytes() for path in (self.folder / "out").iterdir()}

    def test_what_xz_compressed_is_decompressed(self):
        done = self.fetch("./boot/vmlinuz-*", "@vmlinuz", "--", "*/kvm.ko*", "@kvm.ko", "*/kvm-intel.ko*", "@intel.ko")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.out(), {"vmlinuz": b"kernel", "kvm.ko": b"\x7fELF kvm", "intel.ko": b"\x7fELF intel"})
        self.assertEqual(done.stdout.splitlines()[0], "/boot/vmlinuz-9")

    def test_what_may_be_missing(self):
        done = self.fetch("./boot/vmlinuz-*", "@vmlinuz", "--", "*/none.ko*", "@none.ko", "*/kvm.ko*", "@kvm.ko")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.out(), {"vmlinuz": b"kernel", "kvm.ko": b"\x7fELF kvm"})
        self.assertIn("fetch: linux-image-9-test has no file */none.ko*\n", done.stderr)

    def test_what_may_not_be_missing(self):
        done = self.fetch("*/none", "@none", "--", "*/kvm.ko*", "@kvm.ko")
        self.assertEqual((done.returncode, self.out()), (1, {}))
        self.assertIn("fetch: error: linux-image-9-test has no file */none\n", done.stderr)

    def test_what_cannot_be_decompressed(self):
        done = self.fetch("*/broken.ko*", "@broken.ko")
        self.assertEqual((done.returncode, self.out()), (1, {}))
        self.assertIn("broken.ko.xz cannot be decompressed", done.stderr)

    def test_a_pattern_fits_one_file(self):
        self.assertIn("more than one file */kvm*", self.fetch("*/kvm*", "@kvm").stderr)


if __name__ == "__main__":
    unittest.main()
