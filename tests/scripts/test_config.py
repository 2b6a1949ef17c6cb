# SPDX-License-Identifier: BSD-2-Clause
"""scripts/config: what it accepts, the whole message of every rule, what it writes."""
import contextlib
import importlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts", "config"))
from config_cases import CASES, GOOD, PLACED, bzimage, elf, multiboot1, multiboot2  # noqa: E402  pylint: disable=wrong-import-position
import document  # noqa: E402  pylint: disable=wrong-import-position
import rules  # noqa: E402  pylint: disable=wrong-import-position
import structure  # noqa: E402  pylint: disable=wrong-import-position


def compiler():
    """scripts/config/__main__.py as a module."""
    path = os.path.join(ROOT, "scripts", "config", "__main__.py")
    spec = importlib.util.spec_from_file_location("config_compiler", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMPILER = compiler()

class Tree(unittest.TestCase):
    """A tree of its own for each test: a config and images."""

    def setUp(self):
        self.dir = self.make_tree()

    def make_tree(self):
        """Its folder."""
        folder = tempfile.mkdtemp(prefix="config.")
        self.addCleanup(shutil.rmtree, folder)
        for name in ("config", "build", ".deps"):
            os.mkdir(os.path.join(folder, name))
        self.write(".deps/vmlinuz", bzimage(), folder)
        self.write("build/initrd", b"i" * 5000, folder)
        self.write("build/beat.bin", b"b" * 100, folder)
        self.write("build/rom.bin", b"r" * 8191 + b"!", folder)
        self.write("build/kernel.elf", elf((0x100000, 256), (0x200000, 0x1000)), folder)
        return folder

    def write(self, name, content, folder=None):
        """A file of the tree."""
        with open(os.path.join(folder or self.dir, name), "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())

    def read(self, name, folder=None):
        """A file's bytes."""
        with open(os.path.join(folder or self.dir, name), "rb") as stream:
            return stream.read()

    def run_script(self, *args, folder=None):
        """As from a shell in the tree, but in this process: it is run some hundred times."""
        out, err = io.StringIO(), io.StringIO()
        back = os.getcwd()
        os.chdir(folder or self.dir)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = COMPILER.main(("--root", ".") + args)
        except SystemExit as stop:
            code = stop.code
        finally:
            os.chdir(back)
        return types.SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())

    def compile(self, text, folder=None):
        """Run it on a config."""
        self.write("config/m.yaml", text, folder)
        return self.run_script("config/m.yaml", "build/m", folder=folder)

    def accept(self, text):
        """The C tables of a good config."""
        result = self.compile(text)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return self.read("build/m/config.c").decode()

    def manifest(self, text):
        """The manifest of a good config."""
        self.accept(text)
        return json.loads(self.read("build/m/manifest.json"))

    def refuse(self, text):
        """The lines it prints about a bad config."""
        shutil.rmtree(os.path.join(self.dir, "build/m"), ignore_errors=True)
        result = self.compile(text)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "build/m")))
        return result.stderr.splitlines()


class Rules(Tree):
    """Each rule is broken, and the whole message compared."""

    def broken(self, change, files):
        """All that is said about a case of CASES."""
        for name, content in files.items():
            self.write(name, content)
        if isinstance(change, str):
            return self.refuse(change)
        text = GOOD
        for old, new in change:
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        return self.refuse(text)

    def test_every_message(self):
        for code, change, files, expected in CASES:
            with self.subTest(code=code, change=change, files=list(files)):
                self.dir = self.make_tree()
                self.assertEqual(self.broken(change, files), expected)

    def test_a_config_that_cannot_be_read(self):
        result = self.run_script("config/none.yaml", "build/m")
        self.assertEqual((result.returncode, result.stderr), (1, (
            "config/none.yaml:1: BH001: the config cannot be read: No such file or directory; check"
            " the path and its permissions\n")))

    def test_every_rule_is_broken_by_a_case(self):
        tested = {line.split(": ")[1] for *_, lines in CASES for line in lines}
        at_boot, elsewhere = {"BH028", "BH066"}, {"BH001"}  # tests/system; above
        self.assertEqual(tested | at_boot | elsewhere, set(rules.RULES))

    def test_every_case_says_what_it_is_for(self):
        for code, *_, lines in CASES:
            self.assertTrue(any(f": {code}: " in line for line in lines), code)

    def test_all_problems_are_reported_in_order(self):
        text = GOOD
        for old, new in (("64M", "1M"), ("type: flat", "type: x"), ("cpus: 1", "cpu: 1")):
            text = text.replace(old, new)
        lines = self.refuse("console: nobody\n" + text)
        self.assertEqual([line.split(":")[1] for line in lines], ["1", "7", "12", "13"])

    def test_the_files_name_has_to_be_a_machines(self):
        self.write("config/My Machine.yaml", GOOD)
        result = self.run_script("config/My Machine.yaml", "build/m")
        self.assertEqual(result.stderr, (
            "config/My Machine.yaml:1: BH007: config: the file's name as name of the machine:"
            " 'My Machine' is not understood; write name: with 1 to 15 of a-z, 0-9 and '-',"
            " beginning with a letter\n"))
        self.write("config/My Machine.yaml", "name: mine\n" + GOOD)
        self.assertEqual(self.run_script("config/My Machine.yaml", "build/m").returncode, 0)


class Accepted(Tree):
    """What a good config becomes."""

    def test_guests_become_tables(self):
        text = self.accept(GOOD)
        for part in (
            '.name = "linux"', ".type = GUEST_LINUX", ".memory = 0x4000000",
            '.cmdline = "console=ttyS0"', "cores_0[] = {0};", "cores_1[] = {1};",
            "cores_3[] = {3, 4};", ".vcpu_count = 2", ".type = GUEST_FLAT", ".load_gpa = 0x200000",
            ".entry_gpa = 0x200000", ".exit_port = 0xf4", ".type = GUEST_MULTIBOOT",
            '{"one", {image_1, 5000}},', ".on_crash = {GUEST_RESTART, 3, 300}", ".watchdog_s = 30",
            ".watchdog_port = 0x620", ".type = GUEST_FIRMWARE", ".kernel = {image_4, 8192}",
            ".fw_cfg = true", ".fw_cfg_file_count = 3", ".fw_cfg_kernel = {image_0, 3584}",
            "text_3_0[] = {0xf8, 0x03};", '{"etc/sercon-port", {text_3_0, 2}},',
            '{"opt/none", {NULL, 0}},', ".hpet = true", ".without = 0x21",
            ".on_reset = {GUEST_HALT, 0, 0}", "{0, true, 10, 0xd0000000},",
            "{0, false, 11, 0xd0000000},", "{0, false, 0, 0xe0000000},", '{"ring", 0x10000, 45},',
            ".guest_count = 4", ".console_guest = 0", ".cores = 8", ".memory = 0x200000000",
            "struct vm vms[4];",
        ):
            self.assertIn(part, text)

    def test_direct(self):
        text = self.accept(GOOD.replace("    load: 0x200000\n", "    apic: direct\n"))
        self.assertEqual(text.count(".direct = true"), 1)
        self.assertIn(".apic_line = 15", text)
        manifest = json.loads(self.read("build/m/manifest.json"))
        beat, other = manifest["guests"][1], manifest["guests"][2]
        self.assertEqual((beat["apic"], other["apic"]), ("direct", "virtual"))
        for msr, access in ((0x80B, "write"), (0x832, "read"), (0x832, "write"), (0x6E0, "write"),
                            (0x827, "read"), (0x83F, "write")):
            self.assertIn(msr, beat["host_msrs"][access])
            self.assertNotIn(msr, other["host_msrs"][access])
        for msr in (0x802, 0x80D, 0x82F, 0x830, 0x833, 0x835, 0x836, 0x837):
            self.assertNotIn(msr, beat["host_msrs"]["write"])

    def test_a_direct_guest_gets_no_core_0(self):
        text = self.accept("guests: [{name: a, type: flat, memory: 16M, kernel: 'build:beat.bin',"
                           " apic: direct}]")
        self.assertIn("cores_0[] = {1};", text)

    def test_defaults(self):
        text = self.accept("guests: [{name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}]")
        for part in (".vcpu_count = 1", ".load_gpa = 0x100000", ".entry_gpa = 0x100000",
                     ".exit_port = 0x0", ".on_crash = {GUEST_HALT, 0, 0}", ".hpet = false",
                     ".on_reset = {GUEST_RESTART, 0, 0}", ".on_poweroff = {GUEST_HALT, 0, 0}",
                     ".watchdog_s = 0", ".shares = NULL", ".cores = 0", ".memory = 0x0",
                     ".without = 0x0", ".direct = false", ".ranges = NULL", ".share_threads = false"):
            self.assertIn(part, text)
        self.assertNotIn("fw_cfg", text)

    def test_console_and_name(self):
        text = self.accept("console: beat\nname: other\n" + GOOD)
        self.assertIn(".console_guest = 1", text)
        self.assertIn('    .name = "other",\n    .source = "config/m.yaml"', text)
        self.assertIn('    .name = "m",\n    .source', self.accept(GOOD))

    def test_machine_ranges_and_threads(self):
        text = self.accept(GOOD.replace("memory: 8G,", "memory: 8G, share_threads: true, ranges: "
                                        "[0x100000000-0x1ffffffff, 4096-8191],"))
        self.assertIn("{0x100000000, 0x100000000},\n    {0x1000, 0x1000},\n", text)
        self.assertIn(".share_threads = true", text)

    def test_ranges_that_touch_are_one(self):
        self.accept("machine: {ranges: [0x100800000-0x100ffffff, 0x100000000-0x1007fffff]}\n"
                    "guests: [{name: a, type: flat, memory: 16M, kernel: 'build:beat.bin'}]")

    def test_counts_take_free_cores_and_no_foreign_threads(self):
        text = self.accept(GOOD.replace("cpus: [0]", "cpus: [4]"))
        self.assertIn("cores_1[] = {0};", text)
        self.assertIn("cores_2[] = {1};", text)
        self.assertIn("cores_3[] = {2, 3};", text)
        text = self.accept(GOOD.replace("cpus: [0]", "cpus: [4]").replace("cpus: 2", "cpus: 4"))
        self.assertIn("cores_3[] = {2, 3, 6, 7};", text)
        text = self.accept(GOOD.replace("cpus: [0]", "cpus: [4]").replace("cpus: 2", "cpus: 5")
                           .replace("cores: 8", "share_threads: true, cores: 8"))
        self.assertIn("cores_3[] = {2, 3, 5, 6, 7};", text)

    def test_units(self):
        for written, size in (("1G", 1 << 30), ("3G", 3 << 30), ("64MiB", 64 << 20),
                              ("65536K", 64 << 20), ("67108864", 64 << 20), ("0x4000000", 1 << 26)):
            self.assertIn(f".memory = {size:#x},", self.accept(GOOD.replace("64M", written)))
        for written, seconds in (("30s", 30), ("1min", 60), ("20", 20)):
            text = self.accept(GOOD.replace("timeout: 30s", f"timeout: {written}"))
            self.assertIn(f".watchdog_s = {seconds},", text)

    def test_text_is_quoted_for_c(self):
        text = self.accept(GOOD.replace("console=ttyS0", r"""'a="b" \x ??/'""", 1))
        self.assertIn(r'.cmdline = "a=\"b\" \\x \?\?/"', text)

    def test_numbers_that_are_none(self):
        for written in ("0620", "1:30", "1_0"):
            lines = self.refuse(GOOD.replace("exit_port: 0xf4", f"exit_port: {written}"))
            self.assertEqual(lines, [
                f"config/m.yaml:16: BH007: guest 'beat': debug: exit_port: '{written}' is not understood;"
                " write a port from 1 to 0xfff8, such as 0x3f8"])

    def test_a_date_is_text(self):
        self.assertIn('.cmdline = "2024-01-01"',
                      self.accept(GOOD.replace("verbose", "2024-01-01")))

    def test_an_image_used_twice_is_embedded_once(self):
        self.accept(GOOD)
        self.assertEqual(self.read("build/m/images.S").count(b".incbin"), 5)

    def test_list_images_needs_no_image(self):
        self.write("config/m.yaml", GOOD)
        for name in ("build/beat.bin", "build/rom.bin", ".deps/vmlinuz"):
            os.remove(os.path.join(self.dir, name))
        result = self.run_script("--list-images", "config/m.yaml")
        self.assertEqual(result.stdout.split(), [
            ".deps/vmlinuz", "build/initrd", "build/beat.bin", "build/kernel.elf", "build/rom.bin"])
        result = self.run_script("--list-images", "--build-dir", "out/x", "--deps-dir", "d",
                                 "config/m.yaml")
        self.assertEqual(result.stdout.split()[:2], ["d/vmlinuz", "out/x/initrd"])

    def test_check_writes_nothing(self):
        self.write("config/m.yaml", GOOD)
        self.assertEqual(self.run_script("--check", "config/m.yaml").returncode, 0)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "build/m")))

    def test_arguments(self):
        for args in (("config/m.yaml",), ("--check", "config/m.yaml", "out"), ("--check",), (),
                     ("--document", "config/m.yaml")):
            self.assertEqual(self.run_script(*args).returncode, 2, args)

    def test_unchanged_output_is_not_touched(self):
        self.accept(GOOD)
        path = os.path.join(self.dir, "build/m/config.c")
        os.utime(path, (1000, 1000))
        self.accept(GOOD)
        self.assertEqual(os.stat(path).st_mtime, 1000)

    def test_two_folders_give_the_same_bytes_without_their_path(self):
        other = self.make_tree()
        self.accept(GOOD)
        self.assertEqual(self.compile(GOOD, other).returncode, 0)
        for name in ("config.c", "images.S", "manifest.json", "map.svg"):
            content = self.read(f"build/m/{name}")
            self.assertEqual(content, self.read(f"build/m/{name}", other))
            self.assertNotIn(self.dir.encode(), content)

    def test_images_assemble_to_the_files_bytes(self):
        self.accept(GOOD)
        for command in ("gcc -c build/m/images.S -o build/m/images.o",
                        "objcopy -O binary -j .guest_images build/m/images.o build/m/raw"):
            subprocess.run(command.split(), cwd=self.dir, check=True)
        raw = self.read("build/m/raw")
        self.assertEqual(len(raw) % 4096, 0)
        self.assertEqual(raw[: len(bzimage())], bzimage())
        self.assertEqual(raw[4096 : 4096 + 5000], b"i" * 5000)
        self.assertEqual(raw[12288 : 12288 + 101], b"b" * 100 + b"\0")

    def test_tables_compile_without_a_warning(self):
        self.accept(GOOD.replace("memory: 8G,", "memory: 8G, ranges: [0x100000000-0x1ffffffff],"))
        subprocess.run(
            "gcc -std=c11 -ffreestanding -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion"
            " -Wshadow -Wundef -Wmissing-prototypes -Wcast-qual -Werror -I".split()
            + [ROOT, "-c", "build/m/config.c", "-o", "build/m/config.o"], cwd=self.dir, check=True)

    def test_multiboot_kernels(self):
        kernels = [
            elf((0x100000, 256), wide=True),
            multiboot1(0x10003, 0x100000, 0x100000, 0, 0x102000, 0x100020),
            multiboot2(*PLACED),
            multiboot2((2, 0, 0x100000, 0xFFFFFFFF, 0, 0), (3, 0, 0x100040)),  # the whole file
            multiboot2(*PLACED, (1, 0, 4, 21), (1, 1, 9), (4, 1, 1), (5, 0, 0, 0, 0), (99, 1)),
            multiboot2(*PLACED, (10, 0, 0x100000, 0xffffffff, 0x1000, 0)),
        ]
        for kernel in kernels:
            self.write("build/kernel.elf", kernel)
            self.accept(GOOD)

    def test_a_kernels_last_unit_need_not_be_whole(self):
        self.write(".deps/vmlinuz", bzimage()[:-15])
        self.accept(GOOD)

    def test_cmdline_as_long_as_can_be(self):
        self.accept(GOOD.replace("verbose", "x" * 2047))

    def test_manifest(self):
        found = self.manifest(GOOD)
        self.assertEqual([guest["name"] for guest in found["guests"]],
                         ["linux", "beat", "kernel", "bios"])
        bios = found["guests"][3]
        self.assertEqual([(p["base"], p["len"], p["access"], p["what"]) for p in bios["map"]], [
            (0, 0xA0000, "rwx", "RAM"), (0xC0000, (16 << 20) - 0xC0000, "rwx", "RAM"),
            (0xFFFFE000, 0x2000, "rx", "ROM")])
        self.assertEqual(bios["on_reset"], {"action": "halt"})
        self.assertEqual(found["guests"][2]["on_crash"],
                         {"action": "restart", "limit": 3, "within": 300})
        self.assertEqual(found["shared"], [
            {"name": "ring", "len": 65536, "writer": "linux", "readers": ["beat", "kernel"],
             "doorbells": {"linux": 10, "beat": 11}}])
        self.assertEqual(found["machine"]["threads"], [[4, 5], [6, 7]])
        text = "guests: [{name: a, type: flat, memory: 5G, kernel: 'build:beat.bin'}]"
        found = self.manifest(text)
        self.assertIsNone(found["machine"])
        self.assertEqual([(p["base"], p["len"]) for p in found["guests"][0]["map"]],
                         [(0, 3 << 30), (4 << 30, 2 << 30)])


class Robust(Tree):
    """Whatever the file holds, there are only messages."""

    def test_exit_status_from_a_shell(self):
        for text, status in ((GOOD, 0), ("guests: []\n", 1)):
            self.write("config/m.yaml", text)
            command = [sys.executable, os.path.join(ROOT, "scripts", "config"), "--root", ".",
                       "config/m.yaml", "build/m"]
            result = subprocess.run(command, cwd=self.dir, capture_output=True, check=False)
            self.assertEqual(result.returncode, status, result.stderr)

    def test_odd_files(self):
        lines = [
            "? [a]: b\n", "guests: !!python/object:x {}\n", "guests: 2024-99-99\n", "- [\n",
            "a: &x [1, 2]\nb: [*x, *x]\n", "[" * 5000, "9" * 5000, "a: " + "9" * 5000, "\xff\xfe",
            "a: !!binary x\n", "a: !!timestamp x\n", "--- 1\n--- 2\n", "a: .inf\n", "null\n", "<<: 1\n",
            "a: !!int x\n", "a: !!float x\n", "a: !!bool x\n", "a: !!int ''\n", "shared: [1]\n",
            "machine: [1]\n", "guests: {a: b}\n", "machine: {threads: [1, [2], [3, 'x']]}\n",
            "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9 if i else ['1'] * 9)}]\n"
                    for i in range(9)),
        ]
        for text in lines:
            self.write("config/m.yaml", text.encode("latin-1"))
            result = self.run_script("config/m.yaml", "build/m")
            self.assertEqual(result.returncode, 1, text[:60])
            self.assertRegex(result.stderr, r"\A(config/m\.yaml:\d+: BH\d{3}: .*\n)+\Z", text[:60])

    def test_mutated_configs_never_crash(self):
        rand = random.Random(1)
        for _ in range(300):
            at = rand.randrange(len(GOOD))
            char = rand.choice("{}[]:-!&*#?|>%@'\"\t\n x0")
            text = GOOD[:at] + char + GOOD[at + rand.randrange(5):]
            self.assertIn(self.compile(text).returncode, (0, 1), text)

    def test_damaged_images_never_crash(self):
        rand = random.Random(2)
        images = {"build/kernel.elf": elf((0x100000, 256), (0x200000, 0x1000)),
                  ".deps/vmlinuz": bzimage()}
        for number in range(300):
            name = list(images)[number % 2]
            data = bytearray(images[name])
            for _ in range(rand.randrange(1, 4)):
                data[rand.randrange(0x280)] = rand.choice((0, 1, 0x7F, 0x80, 0xFF))
            self.write(name, bytes(data[:rand.randrange(len(data))] if number % 5 == 0 else data))
            self.assertIn(self.compile(GOOD).returncode, (0, 1))
            self.write(name, images[name])

    def test_the_largest_config_takes_under_two_seconds(self):
        guests = "".join(
            f"  - {{name: g{i}, type: linux, cpus: 5, memory: 64M, kernel: 'build:big',"
            f" initrd: 'build:initrd'}}\n" for i in range(9))
        self.write("build/big", bzimage() + bytes(14 << 20))
        start = time.monotonic()
        self.accept("guests:\n" + guests)
        self.assertLess(time.monotonic() - start, 2)


class Document(Tree):
    """docs/CONFIG.md, and what it is made from."""

    def test_the_example_is_what_is_said(self):
        with open(document.DEMO, encoding="utf-8") as stream:
            self.write("config/demo.yaml", stream.read().replace("cpus: [1]", "cpus: [0]"))
        said = self.run_script("--list-images", "config/demo.yaml").stderr
        for name in ("docs/CONFIG.md", "README.md"):
            with open(os.path.join(ROOT, name), encoding="utf-8") as stream:
                self.assertIn(f"    {said}", stream.read())

    def test_it_is_up_to_date(self):
        with open(os.path.join(ROOT, "docs", "CONFIG.md"), encoding="utf-8") as stream:
            self.assertEqual(stream.read(), document.document(), "run: make docs/CONFIG.md")

    def test_keys_of_a_type_are_those_that_the_schema_allows_it(self):
        guest = structure.schema()["definitions"]["guest"]
        for part in guest["allOf"]:
            kind = part["if"]["properties"]["type"]["const"]
            refused = {key for key, value in part["then"]["properties"].items() if value is False}
            self.assertEqual(refused, {
                key for key, value in guest["properties"].items()
                if kind not in value.get("x-types", [kind])})

    def test_rules_use_what_they_are_given(self):
        for code, rule in rules.RULES.items():
            self.assertRegex(code, r"\ABH\d{3}\Z")
            self.assertTrue(rule.says and rule.fix)
            self.assertFalse(rule.says.endswith("."))


if __name__ == "__main__":
    unittest.main()
