# SPDX-License-Identifier: BSD-2-Clause
"""Media other than a CD: what `make usb` has written, as a disk on ATA and on USB, and `make pxe`'s
folder, by TFTP and HTTP; each by BIOS and by UEFI. Bochs has VMX, and guests run; QEMU has USB and
networks, and no VMX: there the hypervisor's refusal is the end."""

import contextlib
import http.server
import importlib.util
import os
import re
import subprocess
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

from machine import Machine, find_ovmf

from support import BIOS, LONG, TREE, UEFI, SystemTest, iso, run

CONFIG = "exitcode"
STICK_SIZE = 32 << 20
RUBBISH = b"\xa5"  # what was on the stick before
REFUSAL = r"^\[bulkhead\] (?:REFUSED: )?\d+ of \d+ cores cannot run guests"
SCREEN_CONTROL = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]|\r")


def write_stick(folder):
    """What scripts/usb makes of a stick; the tree is that of the script's own tests."""
    path = TREE / "tests" / "scripts" / "test_usb.py"
    spec = importlib.util.spec_from_file_location("test_usb", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tree = module.Tree(folder)
    stick = tree.root / "dev" / "sdb"
    stick.write_bytes(RUBBISH * STICK_SIZE)
    run("scripts/usb", "--root", tree.root, "--image", iso(CONFIG), "--yes", "sdb", "/dev/sdb")
    return stick


def qemu_console(firmware, *options, until=REFUSAL, timeout=LONG):
    """What a q35 of QEMU's prints on its serial port, until a line matches. Some firmware writes to
    it as well; BIOS does with -nographic."""
    bios = ["-bios", str(find_ovmf())] if firmware == UEFI else []
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "512", "-nodefaults",
             "-no-user-config", "-no-reboot", "-nographic", "-vga", "std", *bios,
             "-serial", f"file:{log.name}", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline:
                text = SCREEN_CONTROL.sub("", Path(log.name).read_text(errors="replace"))
                if re.search(until, text, re.MULTILINE):
                    return text
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                    break
        finally:
            process.kill()
            output = process.communicate()[0].decode(errors="replace")
    raise AssertionError(f"{until!r} did not appear; the last lines:\n{text[-2000:]}{output}")


class Stick(SystemTest):
    """Larger than the image, and not empty behind it."""

    cost = 30

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.stick = write_stick(folder.name)

    def test_holds_the_image_and_nothing_else_was_touched(self):
        image, found = iso(CONFIG).read_bytes(), self.stick.read_bytes()
        self.assertEqual(found[:len(image)], image)
        self.assertEqual(found[len(image):], RUBBISH * (STICK_SIZE - len(image)))

    def guests_run(self, firmware):
        before = self.stick.read_bytes()
        with Machine(self.stick, firmware, medium="disk") as machine:
            machine.expect(rf"firmware: {firmware.upper()}", LONG)
            machine.expect(r"^\[bulkhead\] guest allowed: exit status 42$", LONG)
            self.assertEqual(machine.wait_end(LONG), "poweroff")
            self.assertRegex(machine.bochs_log, r"HD on ata[01]-0: 'boot\.iso'")
        self.assertEqual(self.stick.read_bytes(), before)

    def test_ata_disk_by_bios(self):
        self.guests_run(BIOS)

    def test_ata_disk_by_uefi(self):
        self.guests_run(UEFI)

    def starts(self, firmware):
        """As the only drive, behind an xHCI controller."""
        console = qemu_console(
            firmware, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick",
            "-drive", f"if=none,id=stick,format=raw,readonly=on,file={self.stick}")
        self.assertIn(f"firmware: {firmware.upper()}", console)

    def test_usb_by_bios(self):
        self.starts(BIOS)

    def test_usb_by_uefi(self):
        self.starts(UEFI)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and parts of files, which Python's own does not."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        try:
            data = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            self.send_error(404)
            return
        size = len(data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.send_response(206 if asked else 200)
        if asked:
            data = data[int(asked[1]):int(asked[2]) + 1]
            self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


class Pxe(SystemTest):
    """QEMU's own DHCP and TFTP server, with the folder below its root, as it may be."""

    cost = 45

    @classmethod
    def setUpClass(cls):
        run("make", "--no-print-directory", f"CONFIG=tests/config/{CONFIG}.yaml", "pxe")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = Path(folder.name)
        cls.pxe = TREE / "build" / CONFIG / "pxe"
        (cls.root / "bulkhead").symlink_to(cls.pxe)

    def console(self, firmware, bootfile, network_card, **settings):
        """Booted from the network, there is nothing else; what the console says."""
        return qemu_console(firmware, "-device", f"{network_card},netdev=net",
                            "-netdev", f"user,id=net,tftp={self.root},bootfile={bootfile}", **settings)

    def test_folder_is_complete(self):
        readme = (self.pxe / "README").read_text()
        names = re.findall(r"^    (\S+)   ", readme, re.MULTILINE)
        self.assertEqual(sorted([*names, "README"]), sorted(os.listdir(self.pxe)))
        for name in ("dnsmasq.conf", "dnsmasq-proxy.conf"):
            self.assertIn(f"\ntftp-root={self.pxe}\n", (self.pxe / name).read_text())
        self.assertEqual((self.pxe / "bulkhead.iso").read_bytes(), iso(CONFIG).read_bytes())
        self.assertEqual((self.pxe / "BOOTX64.EFI").read_bytes(),
                         (TREE / "build" / CONFIG / "BOOTX64.EFI").read_bytes())

    def test_bios_boots_grub(self):
        console = self.console(BIOS, "bulkhead/bulkhead.0", "e1000")
        self.assertIn("firmware: BIOS", console)

    def test_uefi_firmware_s_own_pxe_boots_the_program(self):
        console = self.console(UEFI, "bulkhead/BOOTX64.EFI", "virtio-net-pci,romfile=")
        self.assertIn("NBP file downloaded successfully.", console)
        self.assertIn("firmware: UEFI", console)

    def test_ipxe_script_by_bios(self):
        console = self.console(BIOS, "bulkhead/boot.ipxe", "e1000")
        self.assertRegex(console, r"(?s)Could not open SAN device.*bulkhead\.0\.\.\. ok.*firmware: BIOS")

    def by_http(self, firmware):
        """A script of one line sends iPXE to an HTTP server."""
        with http.server.ThreadingHTTPServer(
                ("127.0.0.1", 0), partial(Handler, directory=str(self.pxe))) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            (self.root / "http.ipxe").write_text(
                f"#!ipxe\nchain http://10.0.2.2:{server.server_port}/boot.ipxe\n")
            console = self.console(firmware, "http.ipxe", "e1000")
            server.shutdown()
        self.assertIn(f"http://10.0.2.2:{server.server_port}/boot.ipxe... ok", console)
        self.assertIn(f"firmware: {firmware.upper()}", console)
        return console

    def test_http_by_bios_is_a_disk(self):
        self.assertIn("\nBooting from SAN device 0x80\n", self.by_http(BIOS))

    def test_http_by_uefi(self):
        self.assertIn("\nBulkhead by UEFI\nBOOTX64.EFI... ok\n", self.by_http(UEFI))

    def test_missing_files_are_named(self):
        (self.root / "empty").mkdir()
        (self.root / "empty" / "boot.ipxe").write_bytes((self.pxe / "boot.ipxe").read_bytes())
        console = self.console(BIOS, "empty/boot.ipxe", "e1000", until=r"docs/BOOT\.md")
        self.assertRegex(console, r"(?m)^Bulkhead was not loaded: 0x[0-9a-f]+$")
