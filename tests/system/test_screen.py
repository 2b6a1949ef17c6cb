# SPDX-License-Identifier: BSD-2-Clause
"""The screen, the journal over warm resets, and serial ports other than COM1: on QEMU, up to the
refusal, and on Bochs with guests. What is on the screen is read off its pixels, each character
compared with the font."""

import importlib.machinery
import importlib.util
import re
import struct
import tempfile
import time
from pathlib import Path

from support import BIOS, LONG, TREE, SystemTest, boot, run
from qmp_machine import QmpMachine
from xscreen import XScreen

OVMF = "/usr/share/ovmf/OVMF.fd"
WIDTH, HEIGHT = 8, 16  # of a character, before it is scaled
PLAIN = bytes((0xC0, 0xC0, 0xC0))
CYAN, YELLOW = bytes((0x00, 0xD7, 0xD7)), bytes((0xD7, 0xD7, 0x00))  # first guest, second guest
BLACK = bytes(3)
BOOT = 60  # seconds that a boot may take


def load_font():
    """{a character's lines, as one string of bytes: the character}."""
    loader = importlib.machinery.SourceFileLoader("mkfont", str(TREE / "scripts" / "mkfont"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkfont", loader))
    loader.exec_module(module)
    glyphs = module.glyphs(TREE / ".deps" / "terminus16.psf.gz")
    return {bytes(glyphs[chr(code)]): chr(code) for code in range(0x20, 0x7F)}


def read_line(rows, scale, font):
    """The characters of HEIGHT * scale rows of pixels, each with its colour; spaces have none."""
    columns = len(rows[0]) // 3 // (WIDTH * scale)
    lines = []
    for y in range(HEIGHT):
        row = rows[y * scale]
        assert all(rows[y * scale + i] == row for i in range(scale)), "lines that should be alike"
        pixels = [row[x * scale * 3:(x + 1) * scale * 3] for x in range(columns * WIDTH)]
        assert all(pixel == pixel[:3] * scale for pixel in pixels), "pixels that should be alike"
        lines.append([pixel[:3] for pixel in pixels])
    result = []
    for at in range(0, columns * WIDTH, WIDTH):
        cell = [line[at:at + WIDTH] for line in lines]
        colours = {pixel for line in cell for pixel in line} - {BLACK}
        assert len(colours) <= 1, "one colour for a character"
        shape = bytes(sum((line[x] != BLACK) << (7 - x) for x in range(WIDTH)) for line in cell)
        result.append((font[shape], *colours))
    return result


def read_screen(screen, scale, colour=PLAIN):
    """The screen's lines of text; one that was wrapped is two. A guest's name in its colour is
    marked: {linux}, where the text has brackets; all else has to have the plain colour."""
    _, height, rows = screen
    font, cell = load_font(), HEIGHT * scale
    lines = []
    for top in range(0, height // cell * cell, cell):
        text = ""
        for char, *ink in read_line(rows[top:top + cell], scale, font):
            if ink and ink[0] != colour:
                assert ink[0] in (CYAN, YELLOW), f"colour {ink[0].hex()}"
                char = {"[": "{", "]": "}"}.get(char, char)
                char = char.upper() if ink[0] == YELLOW else char
            text += char
        lines.append(text.rstrip())
    return "\n".join(lines).rstrip("\n").split("\n")


def hypervisor_lines(text):
    """Its own lines, from when it knows of the screen."""
    lines = [line for line in text.split("\n") if line.startswith("[bulkhead] ")]
    return lines[next(i for i, line in enumerate(lines) if "] screen: " in line):]


def wrapped(lines, columns):
    """The lines as a screen of so many columns shows them."""
    return [line[at:at + columns].rstrip() for line in lines
            for at in range(0, len(line) or 1, columns)]


def image(folder, width, height, depth):
    """A boot image that asks the loader for this mode."""
    elf = (TREE / "build" / "bench" / "bulkhead.stripped.elf").read_bytes()
    tag = struct.pack("<HHIIII", 5, 1, 20, 1024, 768, 32)
    assert elf.count(tag) == 1
    changed = Path(folder) / "bulkhead.elf"
    changed.write_bytes(elf.replace(tag, struct.pack("<HHIIII", 5, 1, 20, width, height, depth)))
    run("scripts/mkiso", changed, TREE / "build" / "bench" / "BOOTX64.EFI", Path(folder) / "image.iso")
    return Path(folder) / "image.iso"


class Screen(SystemTest):
    """What is on the screen is what the serial port says."""

    cost = 30

    def shows(self, scale, columns, *mode, args=(), colour=PLAIN):
        """Boot in this mode; the screen has the whole report, the refusal last."""
        with tempfile.TemporaryDirectory() as folder:
            with QmpMachine(image(folder, *mode), *args) as machine:
                said = hypervisor_lines(machine.wait_refused(BOOT))
                screen = machine.screen()
        self.assertEqual(screen[:2], mode[:2])
        self.assertEqual(read_screen(screen, scale, colour), wrapped(said, columns))
        self.assertRegex(said[-1], r"^\[bulkhead\] REFUSED: ")
        self.note(f"{len(said)} lines read off {mode[0]}x{mode[1]}")

    def test_bios_32_bits(self):
        self.shows(1, 128, 1024, 768, 32, args=("-vga", "std"))

    def test_bios_24_bits(self):
        self.shows(1, 100, 800, 600, 24, args=("-vga", "std"))

    def test_bios_16_bits(self):  # C0H in 5 and in 6 bits, as QEMU makes 8 of them again
        self.shows(1, 128, 1024, 768, 16, args=("-vga", "std"), colour=bytes((0xBD, 0xBE, 0xBD)))

    def test_uefi(self):
        self.shows(1, 160, 1280, 800, 32, args=("-bios", OVMF, "-vga", "std"))

    def test_4k(self):
        self.shows(3, 160, 3840, 2160, 32,
                   args=("-device", "VGA,edid=on,xres=3840,yres=2160,vgamem_mb=64"))


class Journal(SystemTest):
    """After a reset the boot before is told, its last line last; then it is forgotten."""

    cost = 40

    def tells(self, *args):
        """Boot, reset, boot, reset, boot."""
        with QmpMachine(TREE / "build" / "bench" / "bulkhead.iso", "-vga", "std", *args) as machine:
            first = machine.wait_refused(BOOT)
            self.assertNotIn("the boot before", first)
            machine.command("system_reset")
            second = machine.wait_refused(BOOT, 2)[len(first):]
            machine.command("system_reset")
            third = machine.wait_refused(BOOT, 3)[len(first) + len(second):]
        for before, text in ((first, second), (second, third)):
            last = [line.removeprefix("[bulkhead] ") for line in hypervisor_lines(before)]
            told = re.search(r"\[bulkhead\] the boot before this one, its last \d+ lines .*:\n"
                             r"((?:\[bulkhead\] before: .*\n)+)"
                             r"\[bulkhead\] end of the boot before this one\n", text)
            lines = re.sub(r"(?m)^\[bulkhead\] before: ", "", told[1]).splitlines()
            self.assertEqual(lines, last[-len(lines):])
            self.assertRegex(lines[-1], "^REFUSED: ")

    def test_bios(self):
        self.tells()

    def test_uefi(self):
        self.tells("-bios", OVMF)


class Ports(SystemTest):
    """The console's serial port where it is not COM1, or is not there at all."""

    cost = 20
    iso = TREE / "build" / "bench" / "bulkhead.iso"

    def table(self, folder, signature, body):
        """An -acpitable argument."""
        path = Path(folder) / signature
        path.write_bytes(body)
        return ("-acpitable", f"sig={signature},rev=2,data={path}")

    def second_port_says(self, *args):
        """COM2 has the whole report, COM1 only what came before it was known."""
        with tempfile.NamedTemporaryFile() as first:
            with QmpMachine(self.iso, "-serial", f"file:{first.name}", "-serial", "file:@SERIAL@",
                      *args) as machine:
                said = machine.wait_refused(BOOT)
            self.assertIn("[bulkhead] CPU: ", said)
            self.assertNotIn("REFUSED", Path(first.name).read_text(errors="replace"))
            return said

    def test_spcr(self):
        body = struct.pack("<B3xBBBBQBBIBBBBBBHHBBBIBI", 0, 1, 8, 0, 1, 0x2F8, 1, 3, 3, 3, 0, 1, 0, 0,
                           0, 0xFFFF, 0xFFFF, 0, 0, 0, 0, 0, 0)
        with tempfile.TemporaryDirectory() as folder:
            said = self.second_port_says(*self.table(folder, "SPCR", body))
        self.assertIn("[bulkhead] console: UART at port 2F8H (SPCR), 9600 baud\n", said)

    def test_dbg2(self):
        device = struct.pack("<BHBHHHHHHHHH", 0, 38, 1, 2, 36, 0, 0, 0x8000, 0, 0, 22, 34)
        device += struct.pack("<BBBBQ", 1, 8, 0, 1, 0x2F8) + b"\0\0\0\0.\0"[2:]
        body = struct.pack("<II", 44, 1) + device.ljust(38, b"\0")
        with tempfile.TemporaryDirectory() as folder:
            said = self.second_port_says(*self.table(folder, "DBG2", body))
        self.assertIn("[bulkhead] console: UART at port 2F8H (DBG2), firmware's baud\n", said)

    def test_spcr_of_a_port_in_memory(self):
        body = struct.pack("<B3xBBBBQ", 0, 0, 32, 0, 3, 0xFE030000).ljust(44, b"\0")
        with tempfile.TemporaryDirectory() as folder:
            with QmpMachine(self.iso, *self.table(folder, "SPCR", body)) as machine:
                said = machine.wait_refused(BOOT)
        self.assertIn("] console: ACPI's SPCR has no 16550 behind I/O ports", said)
        self.assertIn("] console: UART at port 3F8H (COM1), 115200 baud\n", said)

    def test_pci_card(self):
        with QmpMachine(self.iso, "-serial", "none", "-chardev", "file,id=card,path=@SERIAL@",
                  "-device", "pci-serial,chardev=card") as machine:
            said = machine.wait_refused(BOOT)
        self.assertRegex(said, r"\[bulkhead\] CPU: .*\n(.*\n)*"
                         r"\[bulkhead\] console: UART at port [0-9A-F]+H \(a PCI card\), 115200 baud\n")

    def test_none_but_the_screen(self):
        with QmpMachine(self.iso, "-serial", "none", "-vga", "std") as machine:
            deadline = BOOT * 10
            while deadline:
                try:
                    lines = read_screen(machine.screen(), 1)
                except (AssertionError, KeyError):  # the firmware's screen, or a boot under way
                    lines = [""]
                if "[bulkhead] REFUSED: " in lines[-1]:
                    break
                deadline -= 1
        self.assertIn("[bulkhead] REFUSED: ", lines[-1])
        self.assertIn("[bulkhead] console: no UART", lines)


class Guests(SystemTest):
    """On Bochs: guests' lines with their names in colours; the journal tells what became of them."""

    cost = 30

    def settled(self, machine, screen):
        """The screen's text once the last line that was sent is drawn, and all others: rows are drawn
        in turn, so that the last may be there before one above it."""
        machine.expect(r"\[heartbeat\] beat 4: .*\n", LONG)
        before = None
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            machine.pump(0.1)
            try:
                lines = read_screen(screen.machine_pixels(), 1)
            except (AssertionError, KeyError):  # while it is being drawn
                continue
            if lines == before and any(re.search(r"beat ([4-9]|\d\d+): ", line) for line in lines):
                return lines
            before = lines
        self.fail(f"the screen does not come to rest:\n{machine.tail()}")

    def test_guests_on_the_screen_and_after_a_reset(self):
        with XScreen() as screen, boot("triplefault", BIOS, display=screen.display, real_time=True) as machine:
            lines = self.settled(machine, screen)
            ours = [line for line in lines if line.startswith("[bulkhead] ")]
            said = [line for line in wrapped(hypervisor_lines(machine.console), 128)
                    if line.startswith("[bulkhead] ")]
            self.assertGreater(len(ours), 10)
            self.assertEqual("\n".join(ours), "\n".join(said[-len(ours):]))
            beats = [line for line in lines if line.startswith("{HEARTBEAT} beat")]
            self.assertIn("[heartbeat] " + beats[0].partition(" ")[2] + "\n", machine.console)
            screen.reset_machine()
            told = machine.expect(r"the boot before this one(.*\n)+?.*end of the boot before", LONG)[0]
            self.assertRegex(told, r"(?m)^\[bulkhead\] before: guest crasher: .*triple fault")
            self.assertNotIn("before: before", told)
