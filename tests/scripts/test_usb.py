# SPDX-License-Identifier: BSD-2-Clause
"""scripts/usb on made-up machines: /sys, /proc and udev's notes as files, plain files as disks; and
the writing itself on devices that fail in each way."""
import contextlib
import errno
import hashlib
import importlib.machinery
import importlib.util
import io
import os
import pty
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "usb"
IMAGE = bytes(i * 7 % 251 for i in range(3 * (1 << 20) + 2048))  # not a whole number of chunks
DIGEST = hashlib.sha256(IMAGE).hexdigest()
USB = "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block"
SATA = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block"
MMC = "pci0000:00/0000:00:1a.0/mmc_host/mmc0/mmc0:0001/block"
UNUSABLE = ("/dev/sdb is unusable now: it holds neither the image nor what was on it. Run this again,"
            " or take another stick.\n")
NOT_A_STICK = ("  - it is not removable, nor on USB, nor an SD card: perhaps this computer's own disk; if it"
               " is to be erased all the same: scripts/usb --fixed --image {image} /dev/{name}\n")


def load():
    """scripts/usb as a module."""
    loader = importlib.machinery.SourceFileLoader("usb", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("usb", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


usb = load()


class Tree:
    """A root with a running system on sda and, unless a test changes it, a stick at sdb."""

    def __init__(self, folder):
        self.root = Path(folder)
        for name in ("dev/disk/by-id", "sys/block", "sys/class/block", "proc/self", "run/udev/data"):
            (self.root / name).mkdir(parents=True)
        self.mounts, self.swaps = [], []
        self._minor = 0
        self.disk("sda", SATA, 1 << 30, removable=0, vendor="ATA", model="INTERNAL SSD")
        self.partition("sda", 1, 1 << 29, "ext4", "root")
        self.mount("sda1", "/")
        self.mount("sda1", "/var/lib/a b")
        self.disk("sdb", USB, 1 << 25, removable=1, vendor="SanDisk", model="Ultra", type=0)
        self.put("sys/devices", USB, "../../../../../serial", text="4C5300")
        self.partition("sdb", 1, 1 << 24, "vfat", "MUSIC")
        self.partition("sdb", 10, 1 << 20)
        self.partition("sdb", 2, 1 << 20, "ext4")
        (self.root / "dev/disk/by-id/usb-Ultra").symlink_to("../../sdb")

    def put(self, *parts, text):
        """A small file, with the folders that it needs."""
        path = Path(os.path.normpath(self.root.joinpath(*parts)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def _device(self, name, folder, size, **files):
        self._minor += 1
        self.put(folder, "dev", text=f"8:{self._minor}")
        self.put(folder, "size", text=size // 512)
        for key, value in files.items():
            self.put(folder, key, text=value)
        (self.root / "sys/class/block" / name).symlink_to(self.root / folder)
        (self.root / "dev" / name).write_bytes(bytes(min(size, 1 << 22)))
        (self.root / folder / "holders").mkdir()

    def disk(self, name, where, size, /, removable=0, ro=0, **attributes):
        """A whole disk; attributes are files of its device."""
        folder = f"sys/devices/{where}/{name}"
        self._device(name, folder, size, removable=removable, ro=ro)
        device = Path(folder).parent.parent
        for key, value in attributes.items():
            self.put(device, key, text=value)
        if where.startswith("pci"):
            (self.root / folder / "device").symlink_to("../..")
        (self.root / "sys/block" / name).symlink_to(self.root / folder)
        return self.root / folder

    def partition(self, disk, number, size, kind=None, label=None):
        """A partition, and what udev knows of it."""
        folder = (self.root / "sys/block" / disk).resolve() / f"{disk}{number}"
        self._device(folder.name, folder.relative_to(self.root), size, partition=number)
        if kind:
            lines = [f"E:ID_FS_TYPE={kind}", *([f"E:ID_FS_LABEL={label}"] if label else [])]
            self.put("run/udev/data", f"b8:{self._minor}", text="\n".join(lines))

    def virtual(self, name, below, kind, label=""):
        """A device of LVM, RAID, ... on another one."""
        folder = self.disk(name, "virtual/block", 1 << 24)
        if kind:
            self.put(folder.relative_to(self.root), kind, "name", text=label)
        (self.root / "sys/class/block" / below / "holders" / name).symlink_to(folder)

    def mount(self, name, place, number=None):
        """A line of mountinfo."""
        if number is None:
            number = (self.root / "sys/class/block" / name / "dev").read_text().strip()
        place = place.replace(" ", "\\040")
        self.mounts.append(f"22 1 {number} / {place} rw,noatime shared:1 - ext4 /dev/{name} rw")
        self.put("proc/self/mountinfo", text="\n".join(self.mounts))

    def swap(self, name):
        """A line of /proc/swaps."""
        self.swaps.append(f"/dev/{name} partition 1024 0 -2")
        self.put("proc/swaps", text="Filename Type Size Used Priority\n" + "\n".join(self.swaps))

    def now(self, name):
        """What a disk holds."""
        return (self.root / "dev" / name).read_bytes()


class TreeTest(unittest.TestCase):
    """A tree and an image for each test."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.image = Path(folder.name) / "boot.iso"
        self.image.write_bytes(IMAGE)
        self.tree = Tree(Path(folder.name) / "tree")

    def command(self, *words):
        return [str(SCRIPT), "--root", str(self.tree.root), "--image", str(self.image), *words]

    def run_script(self, *words):
        """Without a terminal."""
        return subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)

    def refused(self, wanted, *words, disk="sdb"):
        """The whole message, and nothing else: not a byte was written."""
        before = self.tree.now(disk)
        done = self.run_script(*words)
        self.assertEqual((done.stderr, done.stdout, done.returncode),
                         (f"scripts/usb: {wanted}", "", 1))
        self.assertEqual(self.tree.now(disk), before)


class Refusals(TreeTest):
    """Every reason, with its whole message."""

    here = "plugged in now: /dev/sdb (SanDisk Ultra, 33.6 MB)\n"
    stick = "/dev/sdb (SanDisk Ultra, 33.6 MB) is not written:\n"

    def test_no_device_given(self):
        self.refused(f"which device? make usb DEV=/dev/sdX; {self.here}")

    def test_no_such_device(self):
        self.refused(f"/dev/sdx: No such file or directory; {self.here}", "/dev/sdx")

    def test_no_stick_plugged_in(self):
        (self.tree.root / "sys/block/sdb").unlink()
        self.refused("/dev/sdx: No such file or directory; no stick is plugged in\n", "/dev/sdx")

    def test_not_a_block_device(self):
        self.refused(f"/dev/disk is a folder, not a disk; {self.here}", "/dev/disk")
        self.tree.put("dev/sdz", text="a typing error's copy")
        self.refused(f"/dev/sdz is a plain file, not a disk; {self.here}", "/dev/sdz")

    def test_real_root_knows_what_a_block_device_is(self):
        done = subprocess.run([SCRIPT, "--image", self.image, "--yes", "null", "/dev/null"],
                              capture_output=True, text=True, check=False)
        self.assertIn("scripts/usb: /dev/null is a character device, not a disk; ", done.stderr)
        done = subprocess.run([SCRIPT, "--image", self.image, "--yes", "boot.iso", self.image],
                              capture_output=True, text=True, check=False)
        self.assertIn(f"scripts/usb: {self.image} is a plain file, not a disk; ", done.stderr)

    def test_partition(self):
        self.refused("/dev/sdb1 is a partition; the image needs the whole disk: /dev/sdb\n",
                     "--yes", "sdb1", "/dev/sdb1")

    def test_mounted(self):
        self.tree.mount("sdb1", "/media/my stick")
        self.tree.mount("sdb2", "/mnt")
        self.refused(f"{self.stick}  - /dev/sdb1 is mounted at /media/my stick; sudo umount"
                     " '/media/my stick'\n  - /dev/sdb2 is mounted at /mnt; sudo umount /mnt\n",
                     "--yes", "sdb", "/dev/sdb")

    def test_mounted_as_a_whole(self):
        self.tree.mount("sdb", "/mnt")
        self.refused(f"{self.stick}  - /dev/sdb is mounted at /mnt; sudo umount /mnt\n", "/dev/sdb")

    def test_mounted_with_a_number_of_the_file_system_s_own(self):
        self.tree.mount("sdb1", "/mnt", number="0:31")
        self.refused(f"{self.stick}  - /dev/sdb1 is mounted at /mnt; sudo umount /mnt\n", "/dev/sdb")

    def test_by_a_link(self):
        self.tree.mount("sdb1", "/mnt")
        self.refused(f"{self.stick}  - /dev/sdb1 is mounted at /mnt; sudo umount /mnt\n",
                     "/dev/disk/by-id/usb-Ultra")

    def test_running_system_even_with_fixed(self):
        reasons = ("  - /dev/sda1 holds the running system (/); take another device\n"
                   "  - /dev/sda1 is mounted at /var/lib/a b; sudo umount '/var/lib/a b'\n")
        title = "/dev/sda (ATA INTERNAL SSD, 1.1 GB) is not written:\n"
        first = NOT_A_STICK.format(image=self.image, name="sda")
        self.refused(title + first + reasons, "--yes", "sda", "/dev/sda", disk="sda")
        self.refused(title + reasons, "--fixed", "/dev/sda", disk="sda")

    def test_swap(self):
        self.tree.swap("sdb2")
        self.refused(f"{self.stick}  - /dev/sdb2 is in use as swap; sudo swapoff /dev/sdb2\n",
                     "/dev/sdb")

    def test_lvm_and_what_is_mounted_from_it(self):
        self.tree.virtual("dm-0", "sdb2", "dm", "luks-1")
        self.tree.virtual("dm-1", "dm-0", "dm", "vg-root")
        self.tree.mount("dm-1", "/srv")
        self.refused(
            f"{self.stick}  - /dev/dm-1 is mounted at /srv; sudo umount /srv\n"
            "  - /dev/sdb2 is in use by luks-1 (LVM or encryption); sudo dmsetup remove luks-1\n"
            "  - /dev/dm-0 is in use by vg-root (LVM or encryption); sudo dmsetup remove vg-root\n",
            "/dev/sdb")

    def test_raid(self):
        self.tree.virtual("md0", "sdb", "md")
        self.refused(f"{self.stick}  - /dev/sdb is part of the RAID md0; sudo mdadm --stop /dev/md0\n",
                     "/dev/sdb")

    def test_other_holders(self):
        self.tree.virtual("bcache0", "sdb2", None)
        self.tree.virtual("bcache1", "sdb", None)
        self.refused(f"{self.stick}  - /dev/sdb is in use by bcache1; end that first\n"
                     "  - /dev/sdb2 is in use by bcache0; end that first\n", "/dev/sdb")

    def test_not_removable(self):
        self.tree.disk("sdc", SATA.replace("ata1", "ata2"), 1 << 25, model="SPARE")
        self.refused("/dev/sdc (SPARE, 33.6 MB) is not written:\n"
                     + NOT_A_STICK.format(image=self.image, name="sdc"),
                     "--yes", "sdc", "/dev/sdc", disk="sdc")

    def test_soldered_emmc(self):
        self.tree.disk("mmcblk0", MMC, 1 << 25, type="MMC", name="BJTD4R")
        self.refused("/dev/mmcblk0 (BJTD4R, 33.6 MB) is not written:\n"
                     + NOT_A_STICK.format(image=self.image, name="mmcblk0"),
                     "/dev/mmcblk0", disk="mmcblk0")

    def test_cd_drive(self):
        self.tree.disk("sr0", USB.replace("1-2", "1-3"), 1 << 29, removable=1, type=5, model="DVD")
        self.refused("/dev/sr0 (DVD, 536.9 MB) is not written:\n  - it is a CD drive; burn the image"
                     f" with: xorriso -as cdrecord -v dev=/dev/sr0 {self.image}\n", "/dev/sr0", disk="sr0")

    def test_empty_card_reader(self):
        self.tree.disk("sdd", USB.replace("1-2", "1-3"), 0, removable=1, model="Reader")
        self.refused("/dev/sdd (Reader, 0.0 MB) is not written:\n  - there is no medium in it; put the"
                     " card in\n", "/dev/sdd", disk="sdd")

    def test_read_only_and_too_small(self):
        self.tree.disk("sdd", USB.replace("1-2", "1-3"), 1 << 21, removable=1, ro=1, model="Old")
        self.refused("/dev/sdd (Old, 2.1 MB) is not written:\n"
                     "  - it is read-only; move the switch on its side, or take another\n"
                     f"  - it is too small: 2097152 bytes, and the image has {len(IMAGE)}; take a"
                     " larger one\n", "--yes", "sdd", "/dev/sdd", disk="sdd")

    def test_one_byte_too_small(self):
        self.tree.put("sys/block/sdb/size", text=len(IMAGE) // 512 - 1)
        done = self.run_script("--yes", "sdb", "/dev/sdb")
        self.assertIn(f"too small: {len(IMAGE) - 512} bytes, and the image has {len(IMAGE)};", done.stderr)
        self.tree.put("sys/block/sdb/size", text=len(IMAGE) // 512)
        self.assertEqual(self.run_script("--yes", "sdb", "/dev/sdb").returncode, 0)

    def test_no_image(self):
        self.image.write_bytes(b"")
        self.refused(f"{self.image} is empty; `make` builds the image\n", "/dev/sdb")
        self.image.unlink()
        self.refused(f"{self.image}: No such file or directory; `make` builds the image\n", "/dev/sdb")

    def test_yes_for_another_device(self):
        for name in ("sdc", "y", "", "/dev/sdb"):
            done = self.run_script("--yes", name, "/dev/sdb")
            self.assertEqual(done.stderr, f"scripts/usb: --yes says {name!r}, but the device is 'sdb'\n")
        self.assertEqual(self.tree.now("sdb"), bytes(1 << 22))

    def test_no_terminal(self):
        done = self.run_script("/dev/sdb")
        self.assertEqual(done.stderr, "scripts/usb: /dev/sdb: no terminal to ask on; if all on it is to be"
                         " lost: --yes sdb\n")
        self.assertEqual(self.tree.now("sdb"), bytes(1 << 22))

    def test_fixed_always_asks(self):
        self.tree.disk("sdc", SATA.replace("ata1", "ata2"), 1 << 25, model="SPARE")
        done = self.run_script("--fixed", "/dev/sdc")
        self.assertEqual(done.stderr,
                         "scripts/usb: /dev/sdc: no terminal to ask on; run it on one\n")
        done = self.run_script("--fixed", "--yes", "sdc", "/dev/sdc")
        self.assertIn("error: argument --yes: not allowed with argument --fixed\n", done.stderr)

    def test_cannot_be_opened(self):
        disk = usb.Disk(usb.System(self.tree.root), "sdb")
        for number, hint in ((errno.EBUSY, "something uses it"), (errno.ENXIO, "is it still there?")):
            with mock.patch.object(usb.os, "open", side_effect=OSError(number, os.strerror(number))):
                with self.assertRaises(usb.Refused) as caught:
                    usb.Stick(disk)
            self.assertEqual(str(caught.exception),
                             f"/dev/sdb cannot be opened: {os.strerror(number)}; {hint}")

    def test_another_device_by_the_time_it_is_opened(self):
        disk = usb.Disk(usb.System(self.tree.root), "sdb")
        with mock.patch.object(usb.System, "is_node", return_value=False):
            with self.assertRaises(usb.Refused) as caught:
                usb.Stick(disk)
        self.assertEqual(str(caught.exception), "/dev/sdb has become another device; run this again")


class Accepted(TreeTest):
    """What counts as a stick though the kernel does not call it removable."""

    def test_usb_disk_and_sd_card(self):
        self.tree.disk("sdc", USB.replace("1-2", "1-3"), 1 << 25, removable=0, model="Portable SSD")
        self.tree.disk("mmcblk1", MMC, 1 << 25, type="SD", name="SL32G")
        for name in ("sdc", "mmcblk1"):
            self.assertEqual(self.run_script("--yes", name, f"/dev/{name}").returncode, 0)
            self.assertEqual(self.tree.now(name)[:len(IMAGE)], IMAGE)


class Writing(TreeTest):
    """The dialogue, the progress, and the end."""

    def talk(self, answer, *words, number=None):
        """The script on a terminal; what it shows, and its exit status. With a number, that signal
        is its answer."""
        master, slave = pty.openpty()
        process = subprocess.Popen(self.command(*words), stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        text = b""
        with contextlib.suppress(OSError):  # EIO is the other side's end
            while data := os.read(master, 65536):
                text += data
                if b"to go on: " in data and number:
                    process.send_signal(number)
                elif b"to go on: " in data:
                    os.write(master, answer)
        os.close(master)
        return text.decode().replace("\r\n", "\n"), process.wait()

    def test_shows_what_will_be_lost_and_asks_for_the_name(self):
        text, status = self.talk(b"sdb\n", "/dev/sdb")
        self.assertEqual(status, 0, text)
        self.assertIn(f"image:   {self.image}, {len(IMAGE)} bytes\n"
                      "device:  /dev/sdb, SanDisk Ultra, 33.6 MB (33554432 bytes), usb, serial 4C5300\n"
                      'on it:   sdb1 16.8 MB vfat "MUSIC"\n'
                      "on it:   sdb2 1.0 MB ext4\n"
                      "on it:   sdb10 1.0 MB\n"
                      "All that is on /dev/sdb will be lost. Type sdb to go on: ", text)
        self.assertIn("sdb boots Bulkhead now (SHA-256 " + DIGEST, text)
        self.assertEqual(self.tree.now("sdb"), IMAGE + bytes((1 << 22) - len(IMAGE)))

    def test_progress_on_a_terminal_stays_in_one_line(self):
        text, _ = self.talk(b"sdb\n", "/dev/sdb")
        for what in ("writing", "reading back"):
            line = next(line for line in text.split("\n") if f"\r{what}: " in line)
            self.assertRegex(line, rf"\r{what}: 1048576 of {len(IMAGE)} bytes, 33 %, \d+\.\d MB/s *\r")
            self.assertRegex(line, rf"\r{what}: {len(IMAGE)} of {len(IMAGE)} bytes, 100 %, [\d.]+ MB/s *$")

    def test_any_other_answer_writes_nothing(self):
        for answer in (b"y\n", b"yes\n", b"\n", b"SDB\n", b"/dev/sdb\n", b"sdbb\n", b"\x04"):
            text, status = self.talk(answer, "/dev/sdb")
            self.assertIn("scripts/usb: nothing was written: the answer was not sdb\n", text)
            self.assertEqual((status, self.tree.now("sdb")), (1, bytes(1 << 22)), answer)

    def test_fixed_asks_and_writes(self):
        self.tree.disk("sdc", SATA.replace("ata1", "ata2"), 1 << 25, model="SPARE")
        text, status = self.talk(b"sdc\n", "--fixed", "/dev/sdc")
        self.assertIn("SPARE, 33.6 MB (33554432 bytes), not USB, serial none\n"
                      "on it:   nothing known: no partitions\n", text)
        self.assertEqual((status, self.tree.now("sdc")[:len(IMAGE)]), (0, IMAGE))

    def test_without_a_terminal(self):
        done = self.run_script("--yes", "sdb", "/dev/disk/by-id/usb-Ultra")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.tree.now("sdb")[:len(IMAGE)], IMAGE)
        self.assertNotIn("\r", done.stdout)
        self.assertEqual([line.split(",")[1] for line in done.stdout.splitlines() if "MB/s" in line],
                         [" 33 %", " 66 %", " 99 %", " 100 %"] * 2)

    def test_says_what_to_do_next(self):
        text = self.run_script("--yes", "sdb", "/dev/sdb").stdout
        self.assertTrue(text.endswith(usb.NEXT.format(dev="/dev/sdb", digest=DIGEST) + "\n"))
        for word in ("boot menu", "F12", "Secure Boot", "115200", "sudo wipefs --all /dev/sdb"):
            self.assertIn(word, text)

    def test_killed_on_the_way(self):
        path = self.tree.root / "dev/sdb"
        path.unlink()
        os.mkfifo(path)
        with subprocess.Popen(self.command("--yes", "sdb", "/dev/sdb"), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with open(path, "rb") as pipe:  # it takes one chunk and a half, then no more
                pipe.read(1 << 20)
                self.assertIn("writing: ", [process.stdout.readline() for _ in range(6)][-1])
                process.send_signal(signal.SIGTERM)
                _, text = process.communicate()
        self.assertRegex(text, r"^\nscripts/usb: interrupted while writing, after \d+ of \d+ bytes\n"
                         + UNUSABLE.replace(".", r"\."))
        self.assertEqual(process.returncode, 130)

    def test_interrupted_at_the_question(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            text, status = self.talk(b"", "/dev/sdb", number=number)
            self.assertIn("\nscripts/usb: interrupted; nothing was written\n", text)
            self.assertEqual((status, self.tree.now("sdb")), (130, bytes(1 << 22)))

    def test_mounted_while_the_question_stood(self):
        self.assertEqual(self.tree.now("sdb"), bytes(1 << 22))
        options = mock.Mock(image=str(self.image), dev="/dev/sdb", fixed=False, yes=None)
        with mock.patch.object(usb, "confirm", lambda *_: self.tree.mount("sdb1", "/media/x")), \
                contextlib.redirect_stdout(io.StringIO()), self.assertRaises(usb.Refused) as caught:
            usb.write(options, usb.System(self.tree.root))
        self.assertIn("/dev/sdb1 is mounted at /media/x", str(caught.exception))
        self.assertEqual(self.tree.now("sdb"), bytes(1 << 22))


class Root(TreeTest):
    """sudo: only if it is needed, and after the checks."""

    def become_root(self, sudo, uid=1000, writable=False):
        disk = usb.Disk(usb.System(self.tree.root), "sdb")
        with mock.patch.object(usb.os, "geteuid", return_value=uid), \
                mock.patch.object(usb.os, "access", return_value=writable), \
                mock.patch.object(usb.shutil, "which", return_value=sudo), \
                mock.patch.object(usb.sys, "argv", ["usb", "--image", "a b", "/dev/sdb"]), \
                contextlib.redirect_stdout(io.StringIO()), \
                mock.patch.object(usb.os, "execvp") as execvp:
            usb.become_root(disk)
        return execvp.call_args

    def test_by_sudo_with_the_same_words(self):
        self.assertEqual(self.become_root("/usr/bin/sudo").args,
                         ("sudo", ["sudo", str(SCRIPT), "--image", "a b", "/dev/sdb"]))

    def test_not_when_it_is_not_needed(self):
        self.assertIsNone(self.become_root("/usr/bin/sudo", uid=0))
        self.assertIsNone(self.become_root("/usr/bin/sudo", writable=True))

    def test_no_sudo(self):
        with self.assertRaises(usb.Refused) as caught:
            self.become_root(None)
        self.assertEqual(str(caught.exception), "writing to /dev/sdb needs root, and there is no sudo here. As"
                         f" root, run\n    {SCRIPT} --image 'a b' /dev/sdb")


class Memory:
    """A device in memory, with a fault that a test chooses."""

    def __init__(self, limit=None, step=1 << 30, spoil=None, error_at=None, error=None):
        self.data, self.position = bytearray(), 0
        self.limit, self.step, self.spoil = limit, step, spoil
        self.error_at, self.error = error_at, error
        self.reading = False

    def write(self, data):
        """Takes at most `step` bytes at a time, and `limit` in all."""
        if not self.reading and self.error_at is not None and len(self.data) >= self.error_at:
            raise self.error
        count = min(len(data), self.step)
        if self.limit is not None:
            if len(self.data) >= self.limit:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            count = min(count, self.limit - len(self.data))
        self.data += data[:count]
        return count

    def rewind(self):
        self.reading = True
        if self.spoil is not None:
            self.data[self.spoil] ^= 0x40

    def read(self, count):
        count = min(count, self.step)
        self.position += count
        return bytes(self.data[self.position - count:self.position])


class Faults(unittest.TestCase):
    """Devices that fail; each end is told with its place."""

    def attempt(self, stick):
        with contextlib.redirect_stdout(io.StringIO()):
            return usb.write_and_verify(stick, memoryview(IMAGE))

    def fails(self, stick, status=1):
        with self.assertRaises(usb.Failed) as caught:
            self.attempt(stick)
        self.assertEqual(caught.exception.status, status)
        return str(caught.exception)

    def test_none(self):
        stick = Memory()
        self.assertEqual(self.attempt(stick), DIGEST)
        self.assertEqual(stick.data, IMAGE)

    def test_short_writes_and_reads(self):
        stick = Memory(step=100_003)
        self.assertEqual(self.attempt(stick), DIGEST)
        self.assertEqual(stick.data, IMAGE)

    def test_no_space(self):
        self.assertEqual(self.fails(Memory(limit=1_500_000)),
                         f"failed while writing, after 1500000 of {len(IMAGE)} bytes: No space left on device")

    def test_takes_nothing(self):
        self.assertEqual(self.fails(Memory(step=0)), f"failed while writing, after 0 of {len(IMAGE)} bytes:"
                         " the device takes no more bytes")

    def test_unplugged(self):
        stick = Memory(error_at=1 << 21, error=OSError(errno.EIO, os.strerror(errno.EIO)))
        self.assertEqual(self.fails(stick),
                         f"failed while writing, after 2097152 of {len(IMAGE)} bytes: Input/output error")

    def test_interrupted_while_writing(self):
        stick = Memory(error_at=1 << 20, error=KeyboardInterrupt())
        self.assertEqual(self.fails(stick, 130),
                         f"interrupted while writing, after 1048576 of {len(IMAGE)} bytes")

    def test_interrupted_while_reading(self):
        stick = Memory()
        stick.read = mock.Mock(side_effect=KeyboardInterrupt)
        self.assertEqual(self.fails(stick, 130),
                         f"interrupted while reading back, after 0 of {len(IMAGE)} bytes")

    def test_one_bit_differs(self):
        spoiled = bytearray(IMAGE)
        spoiled[2_345_678] ^= 0x40
        self.assertEqual(self.fails(Memory(spoil=2_345_678)),
                         "what was read back is not what was written, from byte 2345678 on: the stick is worn"
                         f" out, or smaller than it says\n  written:   SHA-256 {DIGEST}\n"
                         f"  read back: SHA-256 {hashlib.sha256(spoiled).hexdigest()}")

    def test_ends_early_when_read(self):
        stick = Memory()
        stick.rewind = lambda: stick.data.__delitem__(slice(1 << 20, None))
        self.assertEqual(self.fails(stick), f"failed while reading back, after 1048576 of {len(IMAGE)} bytes:"
                         " the device ends here")

    def test_flush_fails(self):
        stick = Memory()
        stick.rewind = mock.Mock(side_effect=OSError(errno.EIO, os.strerror(errno.EIO)))
        self.assertEqual(self.fails(stick),
                         f"failed while reading back, after 0 of {len(IMAGE)} bytes: Input/output error")


if __name__ == "__main__":
    unittest.main()
