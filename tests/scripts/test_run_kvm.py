# SPDX-License-Identifier: BSD-2-Clause
"""scripts/run_kvm on made-up machines: /proc, /sys and /dev as files."""

import importlib.machinery
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "run_kvm"
PARAMETERS = "sys/module/kvm_intel/parameters"

sys.path.insert(0, str(ROOT / "scripts"))
LOADER = importlib.machinery.SourceFileLoader("run_kvm", str(SCRIPT))
run_kvm = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_kvm", LOADER))
LOADER.exec_module(run_kvm)


class RunKvm(unittest.TestCase):
    """A machine for each test, on which it would run."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="run_kvm."))
        self.addCleanup(shutil.rmtree, self.root)
        self.put_cpu()
        for name in ("nested", "ept", "unrestricted_guest", "vpid"):
            self.put(f"{PARAMETERS}/{name}", "Y\n")
        self.put("dev/kvm", "")

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def put_cpu(self, vendor="GenuineIntel", flags="fpu vmx sse"):
        self.put("proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\nvmx flags\t: vnmi\n\n"
                 f"processor\t: 1\nvendor_id\t: Other\n")

    def run_it(self, *options):
        return subprocess.run([sys.executable, str(SCRIPT), "--root", str(self.root), *options], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def refused(self, *texts):
        """Each text is a problem's beginning, and what is to be done about it has the next one."""
        done = self.run_it("--check")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), len(texts), done.stderr)
        for line, text in zip(lines, texts):
            self.assertIn(text, line)
        for problem, action in zip(lines[::2], lines[1::2]):
            self.assertTrue(problem.startswith("scripts/run_kvm: ") and action.startswith("    to do: "), done.stderr)

    def test_all_is_well(self):
        done = self.run_it("--check")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "this machine can run Bulkhead in QEMU with KVM\n", ""))
        self.put(f"{PARAMETERS}/nested", "1\n")  # older kernels
        self.assertEqual(self.run_it("--check").returncode, 0)

    def test_amd(self):
        self.put_cpu("AuthenticAMD", "fpu svm")
        self.refused("vendor is AuthenticAMD: KVM cannot give a guest VMX there", "use a machine with an Intel CPU")

    def test_no_linux(self):
        self.put("proc/cpuinfo", "")
        self.refused("names no vendor_id", "use a Linux machine")

    def test_firmware_turned_it_off(self):
        self.put_cpu(flags="fpu sse")
        self.refused("IA32_FEATURE_CONTROL (3AH)", '"Intel Virtualization Technology"')

    def test_in_a_virtual_machine(self):
        self.put_cpu(flags="fpu hypervisor")
        self.refused("whose hypervisor offers no VMX", "enable nested VT-x for it there")

    def test_module_not_loaded(self):
        shutil.rmtree(self.root / "sys")
        self.refused("kvm_intel is not loaded", "sudo modprobe kvm_intel nested=1")

    def test_nested_off_and_no_device(self):
        self.put(f"{PARAMETERS}/nested", "N\n")
        (self.root / "dev/kvm").unlink()
        self.refused("nested is not Y", "options kvm_intel nested=1 | sudo tee /etc/modprobe.d/kvm-nested.conf",
                     "there is no /dev/kvm", "load the module")

    def test_module_without_a_capability(self):
        self.put(f"{PARAMETERS}/ept", "N\n")
        self.put(f"{PARAMETERS}/unrestricted_guest", "N\n")
        self.refused('"enable EPT"', "ept=1", '"unrestricted guest"', "unrestricted_guest=1")

    def test_no_permission(self):
        with mock.patch("os.access", lambda path, mode: False):
            found = run_kvm.problems(run_kvm.Host(self.root))
        self.assertIn(("no permission to read and write /dev/kvm", "`sudo usermod -aG kvm $USER`, then log in again"),
                      found)

    def test_no_qemu(self):
        with mock.patch("shutil.which", lambda name: None):
            self.assertEqual([action for _, action in run_kvm.problems(run_kvm.Host(self.root))],
                             ["`sudo apt-get install qemu-system-x86`"])

    def test_machine_of_the_config(self):
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder, "build", "box")
            build.mkdir(parents=True)
            (build / "bulkhead.iso").write_bytes(b"")
            guests = [{"cpus": [0, 3], "memory": 1 << 30}, {"cpus": [1], "memory": 512 << 20}]

            def of(machine):
                (build / "manifest.json").write_text(json.dumps({"guests": guests, "machine": machine}))
                with mock.patch.object(run_kvm, "TREE", Path(folder)):
                    return run_kvm.machine_of("config/box.yaml")[1:]

            self.assertEqual(of(None), (4, 1792))
            self.assertEqual(of({"cores": 6, "memory": 8 << 30}), (6, 8192))
            self.assertEqual(of({"cores": None, "memory": None}), (4, 1792))

    def test_not_built(self):
        done = self.run_it("--config", "nothing-of-that-name")
        self.assertEqual(done.returncode, 1)
        self.assertIn("run `make CONFIG=nothing-of-that-name` first", done.stderr)

    @unittest.skipUnless(os.path.exists(ROOT / "build/demo/bulkhead.iso"), "the demo was not built")
    def test_command(self):
        done = self.run_it("--print")
        self.assertEqual(done.returncode, 0, done.stderr)
        words = shlex.split(done.stdout)
        for option, value in (("-machine", "q35,accel=kvm"), ("-cpu", "host,+vmx"), ("-smp", "2"), ("-m", "1024"),
                              ("-serial", "mon:stdio"), ("-display", "none")):
            self.assertEqual(words[words.index(option) + 1], value)
        self.assertIn("OVMF", words[words.index("-bios") + 1])
        self.assertEqual(words[words.index("-cdrom") + 1], str(ROOT / "build/demo/bulkhead.iso"))


if __name__ == "__main__":
    unittest.main()
