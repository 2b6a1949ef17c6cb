# SPDX-License-Identifier: BSD-2-Clause
"""An X server without a monitor, for Bochs's window: what is on it, and a mouse."""

import os
import struct
import subprocess
import tempfile
import time
from pathlib import Path


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

    def window(self, name):
        """(x, y, width, height) of the window with a name that matches."""
        found = self._tool("search", "--sync", "--name", name).split()[-1]
        shape = dict(line.split("=") for line in
                     self._tool("getwindowgeometry", "--shell", found).splitlines())
        return tuple(int(shape[key]) for key in ("X", "Y", "WIDTH", "HEIGHT"))

    def click(self, x, y):
        """Press the left mouse button there."""
        self._tool("mousemove", str(x), str(y))
        time.sleep(0.2)  # Bochs's window looks at the pointer's way and at buttons apart
        self._tool("click", "1")

    def _tool(self, *args):
        return subprocess.run(["xdotool", *args], check=True, text=True, stdout=subprocess.PIPE,
                              env={**os.environ, "DISPLAY": self.display}, timeout=60).stdout
