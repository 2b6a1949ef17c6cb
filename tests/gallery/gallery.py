# SPDX-License-Identifier: BSD-2-Clause
"""Guests that nobody here wrote, unmodified from Debian's packages: what each is made of, and what
it has to do. `scripts/gallery` runs them all, tests/system/test_gallery.py a few.

A guest's session gets the running machine; it returns the line that proves the guest, and raises
AssertionError or MachineError when something is not as it should be.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

TREE = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TREE / "scripts"), str(TREE / "tests" / "system")]
from machine import Machine  # noqa: E402  pylint: disable=wrong-import-position
from support import Shell, guest_lines  # noqa: E402  pylint: disable=wrong-import-position,import-error

PATIENCE = 900  # seconds for one step; the slowest boot takes a minute where nothing else runs
DEPS = TREE / ".deps"
OUT = TREE / "build" / "gallery"

# What Linux says when a chip or the processor is not as it should be.
COMPLAINTS = re.compile(
    "Firmware Bug|MP-BIOS|NULL legacy PIC|unable to calibrate|unchecked MSR|clocksource.*unstable"
    "|spurious|Call Trace|BUG:|WARNING: CPU|rcu.*stall|soft lockup|nobody cared", re.IGNORECASE)
START_OF_TIME = 1700000000  # the emulated machine's clock at power-on

# file in .deps -> (package, version, flavour)
KERNELS = {
    "vmlinuz": ("linux-image-cloud-amd64", "6.1", "-cloud-amd64"),
    "gallery/vmlinuz-6.1": ("linux-image-amd64", "6.1", "-amd64"),
    "vmlinuz-rt": ("linux-image-rt-amd64", "6.1", "-rt-amd64"),
    "gallery/vmlinuz-6.12-cloud": ("linux-image-6.12-cloud-amd64", "6.12", "-cloud-amd64"),
    "gallery/vmlinuz-6.12": ("linux-image-6.12-amd64", "6.12", "-amd64"),
    "gallery/vmlinuz-6.12-rt": ("linux-image-6.12-rt-amd64", "6.12", "-rt-amd64"),
}
# file in .deps -> (package, file in the package)
FILES = {
    "gallery/memtest86+": ("memtest86+", "./boot/memtest86+x64.bin"),
    **{file: (package, "./boot/vmlinuz-*") for file, (package, _, _) in KERNELS.items()},
}


@dataclass
class Guest:
    """One row of the gallery. `config` is a config's path, or a guest of a config to be written."""

    name: str
    session: object
    config: object
    vcpus: int = 1
    cores: int = 0  # of the machine, if not one for each vCPU
    files: tuple = ()  # of FILES
    memory: int = 1024  # MiB of the machine

    def fetch(self):
        """Get what Debian's packages have to give."""
        for file in self.files:
            if not (DEPS / file).exists():
                package, pattern = FILES[file]
                call("scripts/fetch", package, pattern, DEPS / file)

    def config_file(self):
        """The config, written if it has to be."""
        if isinstance(self.config, str):
            return TREE / self.config
        path = OUT / f"{self.name}.yaml"
        text = yaml.safe_dump({"name": "gallery", "guests": [self.config]}, sort_keys=False)
        OUT.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return path

    def build(self):
        """The boot image."""
        self.fetch()
        path = self.config_file()
        call("make", "--no-print-directory", f"CONFIG={path.relative_to(TREE)}")
        return TREE / "build" / path.stem / "bulkhead.iso"

    def boot(self, iso, **settings):
        """The machine, to be used in a `with` block."""
        return Machine(iso, firmware="bios", cpus=self.cores or self.vcpus, memory=self.memory,
                       **settings)


def call(*command):
    """Run a command of the tree that has to succeed."""
    done = subprocess.run([str(word) for word in command], cwd=TREE, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}"


# --- Linux ---------------------------------------------------------------------------------------


class Linux:
    """To a shell, what it finds there, and power-off."""

    def __init__(self, file, vcpus):
        _, self.version, self.flavour = KERNELS[file]
        self.vcpus = vcpus

    def __call__(self, machine):
        shell = Shell(machine, PATIENCE)
        shell.wait()
        release = shell.ask("uname -r")[0]
        assert release.startswith(self.version + ".") and release.endswith(self.flavour), release
        assert shell.ask("cat /proc/cmdline") == ["console=ttyS0"]
        self._processors(shell, self.vcpus)
        self._interrupts(shell.ask("cat /proc/interrupts"))
        date = int(shell.ask("date +%s")[0])
        assert START_OF_TIME < date < START_OF_TIME + 3600, f"date +%s says {date}"
        if self.vcpus > 1:
            self._unplug(shell)
        lines = shell.ask("dmesg")
        assert len(lines) > 100, "dmesg is short:\n" + "\n".join(lines)
        bad = list(filter(COMPLAINTS.search, lines))
        assert not bad, "dmesg complains:\n" + "\n".join(bad)
        machine.send("poweroff\n")
        machine.expect(r"^\[bulkhead\] guest linux: powered off, ", PATIENCE)
        return f"Linux {release}: shell ready, nproc {self.vcpus}, powered off"

    def _processors(self, shell, count):
        found = shell.ask("nproc")
        assert found == [str(count)], f"nproc says {found}, not {count}"

    def _interrupts(self, lines):
        """Every processor has its timer, the serial port interrupts, nothing went wrong."""
        text = "\n".join(lines)
        assert re.findall(r"CPU\d+", lines[0]) == [f"CPU{i}" for i in range(self.vcpus)], text
        rows = {m[1]: list(map(int, m[2].split())) for m in
                (re.match(r" *(\w+):((?: +\d+)+)", line) for line in lines) if m}
        tty = [m[1] for m in (re.match(r" *(\d+):.*ttyS0", line) for line in lines) if m]
        assert len(tty) == 1 and sum(rows[tty[0]]) > 0, text
        assert len(rows["LOC"]) == self.vcpus and all(rows["LOC"]), text
        assert rows["ERR"] == [0] and rows["SPU"] == [0] * self.vcpus, text
        assert self.vcpus == 1 or all(map(sum, zip(rows["RES"], rows["CAL"]))), text

    def _unplug(self, shell):
        """The last processor is taken away and comes back."""
        switch = f"/sys/devices/system/cpu/cpu{self.vcpus - 1}/online"
        shell.ask(f"echo 0 >{switch}")
        self._processors(shell, self.vcpus - 1)
        shell.ask(f"echo 1 >{switch}")
        self._processors(shell, self.vcpus)
        shell.ask(f"taskset {1 << (self.vcpus - 1):x} true")


def linux(name, file, vcpus):
    """A kernel with its command line exactly as it has to be, and busybox's shell."""
    config = {"name": "linux", "type": "linux", "cpus": vcpus, "memory": "512M",
              "kernel": f"deps:{file}", "initrd": "build:initramfs.cpio.gz", "cmdline": "console=ttyS0"}
    return Guest(f"{name}-{vcpus}", Linux(file, vcpus), config, vcpus, files=(file,))


# --- memtest86+ ----------------------------------------------------------------------------------

MEMTEST_MIB = 16
CONTROL_SEQUENCE = r"\x1b\[[0-9;?]*[A-Za-z]"
CONTROL = re.compile(r"\x1b\[(?:(\d+);(\d+)H|[0-9;?]*[A-Za-z])|([^\x1b])")


def screen(console, name):
    """The 25 lines that a guest has painted on its terminal by cursor positions, its output's lines
    being whatever fits into one of the shared console."""
    stream = "".join(guest_lines(console, name))
    cells = [[" "] * 80 for _ in range(25)]
    row = column = 0
    for control in CONTROL.finditer(stream):
        if control[1]:
            row, column = int(control[1]) - 1, int(control[2]) - 1
        elif control[3] and row < 25 and column < 80:
            cells[row][column] = control[3]
            column += 1
    return ["".join(line) for line in cells]


def memtest(machine):
    """The right amount of memory, and the first tests of its pass without an error."""
    deadline = time.monotonic() + PATIENCE
    done = 0
    while done < 2:  # per cent of the pass: by then three tests are done
        assert time.monotonic() < deadline and not machine.end, "its pass does not get on"
        machine.pump(1)
        text = "\n".join(screen(machine.console, "memtest"))
        done = int((re.search(r"Pass +(\d+)%", text) or "00")[1])
    for line in (r"Memtest86\+ v\d", rf"Memory  : +{MEMTEST_MIB}MB ", "Test #[2-9] ", "Errors: 0  "):
        assert re.search(line, text), f"{line!r} is not on its screen:\n{text}"
    return re.sub(" +", " ", " | ".join(re.search(part, text)[0] for part in
                                        (r"Memtest86\+ v[\d.]+", r"Memory  : +\d+MB", r"Pass +\d+%",
                                         r"Errors: \d+")))


# --- firmware, and what it starts -----------------------------------------------------------------


def dialogue(*steps):
    """A session: for each (what is waited for, what is typed then); its first line is the proof. A
    guest's line is shown in pieces, so only the name in front of it is certain."""

    def session(machine):
        seen = []
        for regex, keys in steps:
            seen.append(machine.expect(regex, PATIENCE)[0])
            machine.send(keys)
        return " | ".join(re.sub(CONTROL_SEQUENCE, "", text).strip() for text in seen)

    return session


# --- the table -----------------------------------------------------------------------------------

GUESTS = [
    *(linux(name, file, vcpus)
      for name, file in (("linux-6.1-cloud", "vmlinuz"),
                         ("linux-6.1", "gallery/vmlinuz-6.1"),
                         ("linux-6.1-rt", "vmlinuz-rt"),
                         ("linux-6.12-cloud", "gallery/vmlinuz-6.12-cloud"),
                         ("linux-6.12", "gallery/vmlinuz-6.12"),
                         ("linux-6.12-rt", "gallery/vmlinuz-6.12-rt"))
      for vcpus in (1, 2, 4)),
    Guest("memtest86+", memtest, {
        "name": "memtest", "type": "linux", "cpus": 1, "memory": f"{MEMTEST_MIB}M",
        "kernel": "deps:gallery/memtest86+", "cmdline": "console=ttyS0,115200"},
          files=("gallery/memtest86+",)),
    Guest("seabios", dialogue((r"SeaBIOS \(version .*\)", ""),
                              (r"Press ESC for boot menu", "\x1b"),
                              (r"Select boot device:", "")), {
        "name": "seabios", "type": "firmware", "cpus": 1, "memory": "32M",
        "kernel": "/usr/share/seabios/bios-256k.bin",
        "devices": {"fw_cfg": {"files": [
            {"name": "etc/sercon-port", "string": "\xf8\x03\0\0\0\0\0\0"},
            {"name": "etc/show-boot-menu", "string": "\x02"},
            # 60 s in which ESC may come: where all is idle, emulated time flies
            {"name": "etc/boot-menu-wait", "string": "\x60\xea\0\0\0\0\0\0"}]}}}),
    Guest("ovmf", dialogue((r"UEFI Interactive Shell v[\d.]+\s", ""), (r"Shell>", "")),
          "tests/config/ovmf.yaml"),
    Guest("u-boot", dialogue((r"U-Boot \d{4}\.\d\d\S*\s", ""), (r"Hit any key to stop autoboot", " "),
                             (r"^\[uboot\] => ", "version\n"),
                             (r"^\[uboot\] U-Boot .*", ""), (r"^\[uboot\] => ", "")),
          "tests/config/uboot.yaml"),
    Guest("grub-seabios", dialogue((r"GNU GRUB +version \S+\s", ""), (r"grub> ", "echo he''re\n"),
                                   (r"^\[grub\] here", "")), "tests/config/grub.yaml", cores=2),
    Guest("grub-ovmf-linux", dialogue(
        (r"GNU GRUB +version \S+\s", ""),
        (r"grub> ", "linux (memdisk)/vmlinuz console=ttyS0\n"),
        (r"grub> ", "initrd (memdisk)/initrd\n"),
        (r"grub> ", "boot\n"),
        (r"^\[grub\] .*Linux version \S+ ", ""),
        (r"^\[grub\] linux guest: shell ready", "poweroff\n"),
        (r"^\[bulkhead\] guest grub: powered off", "")), "tests/config/grub-efi.yaml"),
]
