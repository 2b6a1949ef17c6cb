# SPDX-License-Identifier: BSD-2-Clause
"""scripts/gen_config.py: what it accepts, what it says about the rest, what it writes."""
import contextlib
import importlib.util
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join("scripts", "gen_config.py")

GOOD = """\
guests:
  - name: linux
    type: linux
    cpus: [0]
    memory: 64M
    kernel: deps:vmlinuz
    initrd: build:initrd
    cmdline: console=ttyS0
  - name: beat
    type: flat
    cpus: 1
    memory: 16M
    kernel: build:beat.bin
    load: 0x200000
    debug_exit: true
"""


def bzimage(version=0x020F, xloadflags=1, magic=b"HdrS", syssize=64):
    """The header of a kernel that wants 16 MiB at 16 MiB, and 1 KiB of code."""
    image = bytearray(5 * 512 + 1024)
    image[0x1F1] = 4
    image[0x1F4:0x1F8] = syssize.to_bytes(4, "little")
    image[0x202:0x206] = magic
    image[0x206:0x208] = version.to_bytes(2, "little")
    image[0x236:0x238] = xloadflags.to_bytes(2, "little")
    image[0x238:0x23C] = (2047).to_bytes(4, "little")
    image[0x258:0x260] = (16 << 20).to_bytes(8, "little")
    image[0x260:0x264] = (16 << 20).to_bytes(4, "little")
    return bytes(image)


class Tree(unittest.TestCase):
    """A tree of its own for each test: the script, a config and images."""

    def setUp(self):
        self.dir = self.make_tree()

    def make_tree(self):
        folder = tempfile.mkdtemp(prefix="gen_config.")
        self.addCleanup(shutil.rmtree, folder)
        for name in ("scripts", "config", "build", ".deps"):
            os.mkdir(os.path.join(folder, name))
        shutil.copy(os.path.join(ROOT, SCRIPT), os.path.join(folder, SCRIPT))
        self.write(".deps/vmlinuz", bzimage(), folder)
        self.write("build/initrd", b"i" * 5000, folder)
        self.write("build/beat.bin", b"b" * 100, folder)
        self.write("build/rom.bin", b"r" * 8192, folder)
        return folder

    def write(self, name, content, folder=None):
        with open(os.path.join(folder or self.dir, name), "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())

    def read(self, name, folder=None):
        with open(os.path.join(folder or self.dir, name), "rb") as stream:
            return stream.read()

    def run_script(self, *args, folder=None):
        """As from a shell in the tree, but in this process: it is run some hundred times."""
        folder = folder or self.dir
        out, err = io.StringIO(), io.StringIO()
        back = os.getcwd()
        os.chdir(folder)
        try:
            path = os.path.join(folder, SCRIPT)
            spec = importlib.util.spec_from_file_location("gen_config", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = module.main(args)
        except SystemExit as stop:
            code = stop.code
        finally:
            os.chdir(back)
        return types.SimpleNamespace(
            returncode=code, stdout=out.getvalue(), stderr=err.getvalue()
        )

    def generate(self, text, folder=None):
        self.write("config/m.yaml", text, folder)
        return self.run_script("config/m.yaml", "build/m", folder=folder)

    def accept(self, text):
        result = self.generate(text)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return self.read("build/m/config.c").decode()

    def refuse(self, text):
        """The lines it prints about a bad config."""
        result = self.generate(text)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "build/m/config.c")))
        return result.stderr.splitlines()

    def refuse_change(self, old, new):
        """The only line it prints about GOOD with old replaced by new."""
        self.assertIn(old, GOOD)
        lines = self.refuse(GOOD.replace(old, new, 1))
        self.assertEqual(len(lines), 1, lines)
        return lines[0]


FIRMWARE = """\
guests:
  - name: bios
    type: firmware
    cpus: 2
    memory: 16M
    kernel: build:rom.bin
    hpet: true
    without: [x2apic, tpr-shadow]
    fw_cfg:
      kernel: deps:vmlinuz
      initrd: build:initrd
      cmdline: console=ttyS0
      files:
        - {name: etc/sercon-port, string: "\\xf8\\x03"}
        - {name: opt/beat, file: build:beat.bin}
        - {name: opt/none, string: ""}
"""


class Accepted(Tree):
    def test_guests_become_tables(self):
        text = self.accept(GOOD)
        for part in (
            '.name = "linux"',
            ".type = GUEST_LINUX",
            ".memory = 0x4000000",
            '.cmdline = "console=ttyS0"',
            "static const uint16_t cores_0[] = {0};",
            "static const uint16_t cores_1[] = {1};",
            ".type = GUEST_FLAT",
            ".load_gpa = 0x200000",
            ".entry_gpa = 0x200000",
            ".debug_exit = true",
            ".guest_count = 2",
            ".console_guest = 0",
            "struct vm vms[2];",
        ):
            self.assertIn(part, text)

    def test_console_names_a_guest(self):
        self.assertIn(".console_guest = 1", self.accept("console: beat\n" + GOOD))

    def test_name_is_the_file_stem_unless_given(self):
        self.assertIn('    .name = "m",\n    .guests', self.accept(GOOD))
        self.assertIn('    .name = "other",\n    .guests', self.accept("name: other\n" + GOOD))

    def test_counts_take_the_free_cores(self):
        text = GOOD.replace("cpus: 1", "cpus: [1]").replace("cpus: [0]", "cpus: 1")
        self.assertIn("cores_0[] = {0}", self.accept(text))
        text = GOOD.replace("cpus: 1", "cpus: [0]").replace("cpus: [0]", "cpus: 1", 1)
        self.assertIn("cores_0[] = {1}", self.accept(text))

    def test_memory_units(self):
        for written, size in (("1G", 1 << 30), ("3G", 3 << 30), ("64MiB", 64 << 20),
                              ("65536K", 64 << 20), ("67108864", 64 << 20)):
            text = self.accept(GOOD.replace("64M", written))
            self.assertIn(f".memory = {size:#x}", text)

    def test_cmdline_is_quoted_for_c(self):
        text = self.accept(GOOD.replace("console=ttyS0", r"""'a="b" \x ??/'"""))
        self.assertIn(r'.cmdline = "a=\"b\" \\x \?\?/"', text)

    def test_vcpus_up_to_eight(self):
        text = self.accept(GOOD.replace("cpus: 1", "cpus: 8"))
        self.assertIn("cores_1[] = {1, 2, 3, 4, 5, 6, 7, 8};", text)
        self.assertIn(".vcpu_count = 8", text)
        text = self.accept(GOOD.replace("cpus: 1", "cpus: [7, 3]"))
        self.assertIn("cores_1[] = {7, 3};", text)

    def test_firmware(self):
        text = self.accept(FIRMWARE)
        for part in (
            ".type = GUEST_FIRMWARE",
            ".kernel = {image_0, 8192}",
            ".fw_cfg = true",
            ".fw_cfg_files = files_0",
            ".fw_cfg_file_count = 3",
            ".fw_cfg_kernel = {image_1, 3584}",
            ".fw_cfg_initrd = {image_2, 5000}",
            '.fw_cfg_cmdline = "console=ttyS0"',
            "text_0_0[] = {0xf8, 0x3};",
            '{"etc/sercon-port", {text_0_0, 2}},',
            '{"opt/beat", {image_3, 100}},',
            '{"opt/none", {NULL, 0}},',
            ".hpet = true",
            ".without = 0x21",
        ):
            self.assertIn(part, text)

    def test_options_are_off_unless_asked_for(self):
        text = self.accept(GOOD)
        self.assertNotIn("fw_cfg", text)
        self.assertEqual(text.count(".hpet = false"), 2)
        self.assertEqual(text.count(".without = 0x0"), 2)

    def test_fw_cfg_of_any_type_may_be_empty(self):
        text = self.accept(GOOD + "    fw_cfg: {}\n")
        self.assertIn(".fw_cfg_files = NULL", text)
        self.assertIn('.fw_cfg_cmdline = ""', text)

    def test_images_of_fw_cfg_are_listed(self):
        self.write("config/m.yaml", FIRMWARE)
        result = self.run_script("--list-images", "config/m.yaml")
        self.assertEqual(
            result.stdout.split(),
            ["build/rom.bin", ".deps/vmlinuz", "build/initrd", "build/beat.bin"],
        )

    def test_same_image_twice_is_embedded_once(self):
        text = GOOD + "  - {name: two, type: flat, memory: 16M, kernel: 'build:beat.bin'}\n"
        self.accept(text)
        self.assertEqual(self.read("build/m/images.S").count(b".incbin"), 3)

    def test_list_images_needs_no_image(self):
        self.write("config/m.yaml", GOOD)
        os.remove(os.path.join(self.dir, "build/beat.bin"))
        result = self.run_script("--list-images", "config/m.yaml")
        self.assertEqual(result.stdout.split(), [".deps/vmlinuz", "build/initrd", "build/beat.bin"])
        result = self.run_script(
            "--list-images", "--build-dir", "out/x", "--deps-dir", "d", "config/m.yaml"
        )
        self.assertEqual(result.stdout.split(), ["d/vmlinuz", "out/x/initrd", "out/x/beat.bin"])

    def test_dependencies_name_config_script_and_images(self):
        self.accept(GOOD)
        rule = self.read("build/m/config.d").decode().split("\n\n")[0].replace("\\\n", "").split()
        self.assertEqual(rule[:2], ["build/m/config.c", "build/m/images.S:"])
        self.assertEqual(
            set(rule[2:]),
            {"config/m.yaml", SCRIPT, ".deps/vmlinuz", "build/initrd", "build/beat.bin"},
        )

    def test_unchanged_output_is_not_touched(self):
        self.accept(GOOD)
        path = os.path.join(self.dir, "build/m/config.c")
        os.utime(path, (1000, 1000))
        self.accept(GOOD)
        self.assertEqual(os.stat(path).st_mtime, 1000)

    def test_two_folders_give_the_same_bytes_without_their_path(self):
        other = self.make_tree()
        self.accept(GOOD)
        self.assertEqual(self.generate(GOOD, other).returncode, 0)
        for name in ("config.c", "images.S", "config.d"):
            content = self.read(f"build/m/{name}")
            self.assertEqual(content, self.read(f"build/m/{name}", other))
            self.assertNotIn(self.dir.encode(), content)

    def test_images_assemble_to_the_files_bytes(self):
        self.accept(GOOD)
        subprocess.run(
            ["gcc", "-c", "build/m/images.S", "-o", "build/m/images.o"], cwd=self.dir, check=True
        )
        subprocess.run(
            ["objcopy", "-O", "binary", "-j", ".guest_images", "build/m/images.o", "build/m/raw"],
            cwd=self.dir,
            check=True,
        )
        raw = self.read("build/m/raw")
        self.assertEqual(len(raw) % 4096, 0)
        self.assertEqual(raw[: len(bzimage())], bzimage())
        self.assertEqual(raw[4096 : 4096 + 5000], b"i" * 5000)
        self.assertEqual(raw[12288 : 12288 + 101], b"b" * 100 + b"\0")

    def test_tables_compile_without_a_warning(self):
        self.accept(GOOD + FIRMWARE.removeprefix("guests:\n") + "    debug_exit: true\n")
        os.mkdir(os.path.join(self.dir, "guest"))
        self.write("guest/vm.h", "struct vm {int x;}; extern struct vm vms[];\n")
        shutil.copy(os.path.join(ROOT, "guest/config.h"), os.path.join(self.dir, "guest"))
        subprocess.run(
            "gcc -std=c11 -ffreestanding -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion"
            " -Wshadow -Wundef -Wmissing-prototypes -Wcast-qual -Werror -I.".split()
            + ["-c", "build/m/config.c", "-o", "build/m/config.o"],
            cwd=self.dir,
            check=True,
        )

    def test_demo_config_is_right(self):
        shutil.copy(os.path.join(ROOT, "config/demo.yaml"), os.path.join(self.dir, "config"))
        result = self.run_script("--list-images", "config/demo.yaml")
        self.assertEqual(result.stderr, "")
        self.assertEqual(
            result.stdout.split(),
            [".deps/vmlinuz", "build/initramfs.cpio.gz", "build/guests/heartbeat.bin"],
        )


class Refused(Tree):
    def check(self, old, new, line, *parts):
        message = self.refuse_change(old, new)
        self.assertTrue(message.startswith(f"config/m.yaml:{line}: "), message)
        for part in parts:
            self.assertIn(part, message)

    def test_unknown_keys_get_the_nearest_known_one(self):
        self.check("debug_exit:", "debugexit:", 15, "guest 'beat'", "did you mean 'debug_exit'?")
        self.check("guests:\n", "consol: x\nguests:\n", 1, "did you mean 'console'?")
        self.check("debug_exit:", "zzz:", 15, "unknown key 'zzz'", "known keys: name, type")

    def test_repeated_key(self):
        self.check("    cpus: 1\n", "    cpus: 1\n    cpus: 1\n", 12, "'cpus' again", "line 11")

    def test_keys_of_the_other_type(self):
        self.check("    load: 0x200000\n", "    cmdline: x\n", 14, "'cmdline'", "type flat")
        self.check("    cpus: [0]\n", "    load: 1\n", 4, "'load'", "type linux")

    def test_missing_keys(self):
        self.check("    memory: 16M\n", "", 9, "guest 'beat'", "no 'memory'")
        self.check("    type: flat\n", "", 9, "no 'type'", "linux, multiboot, flat or firmware")
        self.check("    kernel: build:beat.bin\n", "", 9, "no 'kernel'")
        self.check("name: beat\n    type", "type", 9, "guest number 2", "no 'name'")

    def test_type(self):
        self.check("type: flat", "type: bios", 10, "unknown type 'bios'", "firmware")

    def test_names(self):
        for bad in ("Beat", "1beat", "a" * 16, "a b", "é", "''", "[x]"):
            self.check("name: beat", f"name: {bad}", 9, "bad name")
        self.check("name: beat", "name: linux", 9, "used already on line 2")
        self.check("name: beat", "name: bulkhead", 9, "hypervisor's own name")
        self.check("guests:\n", "name: A\nguests:\n", 1, "bad name 'A'")

    def test_memory(self):
        self.check("16M", "8M", 12, "'8M' is out of range", "16M to 64G")
        self.check("16M", "65538M", 12, "out of range")
        self.check("16M", "17M", 12, "not a multiple of 2M", "16M or 18M")
        self.check("16M", "lots", 12, "not a size")
        self.check("16M", "1.5G", 12, "not a size")
        self.check("16M", "true", 12, "not a size")
        self.check("16M", "-16M", 12, "not a size")
        self.check("16M", "[1]", 12, "not a size")

    def test_cores(self):
        self.check("cpus: 1", "cpus: [0]", 11, "core 0 belongs to guest 'linux' (line 4)")
        self.check("cpus: 1", "cpus: 9", 11, "9 cores; a guest has at most 8")
        self.check("cpus: 1", "cpus: [1, 2, 3, 4, 5, 6, 7, 8, 9]", 11, "at most 8")
        self.check("cpus: 1", "cpus: [1, 1]", 11, "core 1 belongs to guest 'beat'")
        self.check("cpus: 1", "cpus: 1000000000", 11, "at most 8")
        self.check("cpus: 1", "cpus: 0", 11, "no core")
        self.check("cpus: 1", "cpus: -1", 11, "no core")
        self.check("cpus: 1", "cpus: []", 11, "no core")
        self.check("cpus: 1", "cpus: [-1]", 11, "out of range")
        self.check("cpus: 1", "cpus: [x]", 11, "'x' is not a number")
        self.check("cpus: 1", "cpus: many", 11, "'many' is not understood")
        self.check("cpus: 1", "cpus: {a: 1}", 11, "not understood")

    def test_console(self):
        self.check("guests:\n", "console: bea\nguests:\n", 1, "no guest 'bea'", "linux, beat")

    def test_cmdline(self):
        self.assertIn("2048 characters", self.refuse_change("console=ttyS0", "x" * 2048))
        self.accept(GOOD.replace("console=ttyS0", "x" * 2047))
        shutil.rmtree(os.path.join(self.dir, "build/m"))
        self.check("console=ttyS0", "ü", 8, "not plain ASCII")
        self.check("console=ttyS0", '"a\\nb"', 8, "not plain ASCII")
        self.check("console=ttyS0", "5", 8, "must be text")

    def test_image_paths(self):
        self.check("build:beat.bin", "out:beat.bin", 13, "unknown prefix 'out:'", "deps:FILE")
        self.check("build:beat.bin", "'build:a b'", 13, "cannot use the path 'a b'")
        self.check("build:beat.bin", "build:none", 13, "cannot read build/none")
        self.check("build:beat.bin", "[x]", 13, "must be text")

    def test_flat_addresses(self):
        self.check("load: 0x200000", "load: 0x1000000", 14, "beyond its memory")
        self.check("load: 0x200000", "load: 0x9f000", 14, "not RAM")
        self.check("load: 0x200000", "load: -1", 14, "out of range")
        self.check("load: 0x200000", "load: x", 14, "not a number")
        self.check("    debug_exit", "    entry: 0x200064\n    debug_exit", 15, "outside its image")
        self.check("    debug_exit", "    entry: 0x1fffff\n    debug_exit", 15, "outside its image")
        self.accept(GOOD.replace("    debug_exit", "    entry: 0x200063\n    debug_exit"))

    def test_debug_exit(self):
        self.check("debug_exit: true", "debug_exit: 1", 15, "true or false")

    def test_hpet(self):
        self.check("debug_exit: true", "hpet: 1", 15, "hpet: use true or false")

    def test_without(self):
        self.check("debug_exit: true", "without: x2apic", 15, "write a list")
        self.check("debug_exit: true", "without: [x3apic]", 15, "did you mean 'x2apic'?")
        self.check("debug_exit: true", "without: [1]", 15, "unknown feature '1'", "tpr-shadow, ")
        self.check("debug_exit: true", "without: [[x2apic]]", 15, "unknown feature")

    def check_fw_cfg(self, text, *parts):
        self.check("debug_exit: true", f"fw_cfg: {text}", 15, "guest 'beat': fw_cfg", *parts)

    def test_fw_cfg(self):
        self.check_fw_cfg("true", "must be a mapping")
        self.check_fw_cfg("{file: []}", "unknown key 'file'", "did you mean 'files'?")
        self.check_fw_cfg("{kernel: 'x:y'}", "kernel: unknown prefix 'x:'")
        self.check_fw_cfg("{initrd: 'build:none'}", "initrd: cannot read build/none")
        self.check_fw_cfg("{cmdline: ü}", "cmdline has a character")
        self.check_fw_cfg(f"{{cmdline: {'x' * 2048}}}", "2048 characters")
        self.check_fw_cfg("{files: x}", "files: must be a list")
        self.check_fw_cfg("{files: [x]}", "a file is written {name:")
        self.check_fw_cfg("{files: [{name: a}]}", "either file: or string:")
        self.check_fw_cfg("{files: [{string: a}]}", "needs name:")
        self.check_fw_cfg("{files: [{name: a, string: b, file: c}]}", "either file: or string:")
        self.check_fw_cfg("{files: [{name: a, strin: b, string: c}]}", "unknown key 'strin'")
        self.check_fw_cfg("{files: [{name: 'a b', string: c}]}", "bad name 'a b'")
        self.check_fw_cfg("{files: [{name: " + "a" * 56 + ", string: c}]}", "bad name")
        self.check_fw_cfg("{files: [{name: a, string: 5}]}", "a must be text")
        self.check_fw_cfg('{files: [{name: a, string: "\\u0100"}]}', "above FFH")
        self.check_fw_cfg("{files: [{name: a, file: 'build:none'}]}", "a: cannot read build/none")
        self.check_fw_cfg("{files: [{name: a, string: b}, {name: a, string: c}]}", "'a' again")

    def test_firmware(self):
        for length in (0, 4095, 4097, (16 << 20) + 4096):
            self.write("build/rom.bin", b"r" * length)
            lines = self.refuse(FIRMWARE)
            self.assertEqual(len(lines), 1)
            self.assertIn("config/m.yaml:6: guest 'bios': build/rom.bin has", lines[0])
            self.assertIn(f"{length} bytes; a ROM image is a multiple of 4 KiB", lines[0])
        self.write("build/rom.bin", b"r" * (16 << 20))
        self.accept(FIRMWARE)
        os.remove(os.path.join(self.dir, "build/m/config.c"))
        lines = self.refuse(FIRMWARE + "    cmdline: x\n    load: 1\n")
        self.assertIn("'cmdline' has no meaning for type firmware", lines[0])
        self.assertIn("move it to fw_cfg:", lines[0])
        self.assertIn("'load' has no meaning for type firmware; remove it", lines[1])

    def test_kernels(self):
        for image, part in (
            (b"", "no bzImage"),
            (bzimage()[:0x267], "no bzImage"),
            (bzimage(magic=b"hdrS"), "no bzImage"),
            (bzimage(version=0x020B), "boot protocol 2.11"),
            (bzimage(xloadflags=0), "not a 64-bit kernel"),
            (bzimage(syssize=65), "truncated"),
        ):
            self.write(".deps/vmlinuz", image)
            lines = self.refuse(GOOD)
            self.assertEqual(len(lines), 1)
            self.assertTrue(lines[0].startswith("config/m.yaml:6: guest 'linux'"), lines)
            self.assertIn(part, lines[0])
        self.write(".deps/vmlinuz", bzimage()[:-15])  # the last 16 bytes need not be whole
        self.accept(GOOD)

    def test_memory_for_kernel_and_initrd(self):
        self.check("64M", "32M", 5, "need 34M or more")
        self.accept(GOOD.replace("64M", "34M"))

    def test_all_problems_are_reported_in_order(self):
        text = GOOD
        for old, new in (("64M", "1M"), ("type: flat", "type: x"), ("cpus: 1", "cpu: 1")):
            text = text.replace(old, new)
        lines = self.refuse("console: nobody\n" + text)
        self.assertEqual([line.split(":")[1] for line in lines], ["1", "6", "11", "12"])

    def test_not_a_config(self):
        for text, part in (
            ("", "a config is a mapping"),
            ("- x\n", "a config is a mapping"),
            ("name: x\n", "no 'guests'"),
            ("guests: []\n", "at least one guest"),
            ("guests: x\n", "at least one guest"),
            ("guests: [x]\n", "guest number 1 is not a mapping"),
            ("guests: [\n", "not valid YAML"),
            ("guests: !!python/object:x {}\n", "must be a list"),
            ("a: b: c\n", "not valid YAML"),
            ("\x01", "not valid YAML"),
        ):
            lines = self.refuse(text)
            self.assertTrue(any(part in line for line in lines), (text, lines))
            self.assertRegex(lines[0], r"^config/m\.yaml:[0-9]+: ")

    def test_too_many_guests(self):
        guests = "".join(
            f"  - {{name: g{i}, type: flat, memory: 16M, kernel: 'build:beat.bin'}}\n"
            for i in range(10)
        )
        self.assertIn("at most 9", self.refuse("guests:\n" + guests)[0])

    def test_missing_config_and_bad_arguments(self):
        result = self.run_script("config/none.yaml", "build/m")
        self.assertEqual(result.returncode, 1)
        self.assertIn("config/none.yaml:1: cannot read", result.stderr)
        self.assertEqual(self.run_script("config/m.yaml").returncode, 2)

    def test_exit_status_from_a_shell(self):
        for text, status in ((GOOD, 0), ("guests: []\n", 1)):
            self.write("config/m.yaml", text)
            command = [sys.executable, SCRIPT, "config/m.yaml", "build/m"]
            result = subprocess.run(command, cwd=self.dir, capture_output=True, check=False)
            self.assertEqual(result.returncode, status)

    def test_mutated_configs_never_crash(self):
        rand = random.Random(1)
        for number in range(300):
            good = (GOOD, FIRMWARE)[number % 2]
            at = rand.randrange(len(good))
            char = rand.choice("{}[]:-!&*#?|>%@'\"\t\n x0")
            text = good[:at] + char + good[at + rand.randrange(5) :]
            self.assertIn(self.generate(text).returncode, (0, 1), text)


if __name__ == "__main__":
    unittest.main()
