# SPDX-License-Identifier: BSD-2-Clause
"""An X server without a monitor, for Bochs's window: what is on it, and a mouse.

    python3 tests/system/xscreen.py CONFIG REGEX FILE.png

boots a config with graphics, by BIOS, waits for REGEX on the console, and keeps a picture of the
machine's screen: docs/screen.png is made so.
"""

import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

BORDER, HEADER_BAR, STATUS_BAR = 4, 32, 18  # of Bochs's window, in pixels
RESET_FROM_RIGHT = 73  # the middle of its button


def write_png(path, width, height, rows):
    """An RGB picture."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) +
                           chunk(b"IEND", b""))


class XScreen:
    """In a `with` block; `display` is its name."""

    WIDTH, HEIGHT = 1400, 1000

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="bulkhead-x-")
        read, write = os.pipe()
        self._server = subprocess.Popen(  # pylint: disable=consider-using-with
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{self.WIDTH}x{self.HEIGHT}x24",
             "-nolisten", "tcp", "-fbdir", self._folder.name],
            pass_fds=(write,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as answer:
            self.display = ":" + answer.readline().strip()
        return self

    def __exit__(self, *_):
        self._server.kill()
        self._server.wait()
        self._folder.cleanup()

    def pixels(self):
        """(width, height, rows of RGB bytes). The file is an X window dump of 32 bits a pixel."""
        data = (Path(self._folder.name) / "Xvfb_screen0").read_bytes()
        header = struct.unpack_from(">25I", data)
        size, width, height, line, colours = header[0], header[4], header[5], header[12], header[19]
        start = size + colours * 12
        rows = []
        for y in range(height):
            row = data[start + y * line:start + y * line + width * 4]
            rgb = bytearray(width * 3)
            rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
            rows.append(bytes(rgb))
        return width, height, rows

    def machine_pixels(self):
        """The same of the machine's own screen: Bochs's window without its bars."""
        x, y, width, height = self.window()
        _, _, rows = self.pixels()
        top, bottom = y + HEADER_BAR, y + height - STATUS_BAR
        return width, bottom - top, [row[x * 3:(x + width) * 3] for row in rows[top:bottom]]

    def reset_machine(self):
        """Press the Reset button of Bochs's window."""
        x, y, width, _ = self.window()
        self.click(x + width - RESET_FROM_RIGHT, y + HEADER_BAR // 2)

    def window(self):
        """(x, y, width, height) of Bochs's window, without its border."""
        found = self._tool("search", "--sync", "--name", "Bochs").split()[-1]
        shape = dict(line.split("=") for line in
                     self._tool("getwindowgeometry", "--shell", found).splitlines())
        x, y, width, height = (int(shape[key]) for key in ("X", "Y", "WIDTH", "HEIGHT"))
        return x + BORDER, y + BORDER, width, height

    def click(self, x, y):
        """Press the left mouse button there."""
        self._tool("mousemove", str(x), str(y))
        time.sleep(0.2)  # Bochs's window looks at the pointer's way and at buttons apart
        self._tool("click", "1")

    def _tool(self, *args):
        return subprocess.run(["xdotool", *args], check=True, text=True, stdout=subprocess.PIPE,
                              env={**os.environ, "DISPLAY": self.display}, timeout=60).stdout


def main():
    """Command line."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    from support import BIOS, LONG, boot  # pylint: disable=import-outside-toplevel
    with XScreen() as screen, boot(sys.argv[1], BIOS, display=screen.display) as machine:
        machine.expect(sys.argv[2], LONG)
        deadline = time.monotonic() + 2  # the rest is drawn meanwhile
        while time.monotonic() < deadline:
            machine.pump(0.1)
        write_png(sys.argv[3], *screen.machine_pixels())


if __name__ == "__main__":
    main()
