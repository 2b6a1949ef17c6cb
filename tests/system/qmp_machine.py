# SPDX-License-Identifier: BSD-2-Clause
"""QEMU without VMX, for what it has and Bochs has not: a screen of any size that can be dumped, a
reset from outside, serial ports of all kinds. Bulkhead boots there up to its refusal.

    with QmpMachine(iso, "-vga", "std") as machine:
        machine.wait_refused(60)
        width, height, pixels = machine.screen()
"""

import json
import socket
import subprocess
import tempfile
import time
from pathlib import Path

REFUSED = "[bulkhead] REFUSED: "


class QmpMachine:
    """One run of one machine; `args` are QEMU's own. `serial` is what its first port said."""

    def __init__(self, image, *args, memory=512):
        self._folder = tempfile.TemporaryDirectory(prefix="bulkhead-qemu-")
        folder = Path(self._folder.name)
        self._serial, self._dump = folder / "serial", folder / "screen.ppm"
        self._serial.touch()
        ports = [] if "-serial" in args else ["-serial", f"file:{self._serial}"]
        args = [str(arg).replace("@SERIAL@", str(self._serial)) for arg in args]
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", str(memory),
             "-cdrom", str(image), *ports, *args, "-qmp", f"unix:{folder}/qmp,server,nowait"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._qmp = self._connect(folder / "qmp")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._qmp.close()
        self._folder.cleanup()

    def _connect(self, path):
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(str(path))
                break
            except OSError:
                connection.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self._process.kill()
                    raise
                time.sleep(0.05)
        connection.settimeout(30)
        self._lines = connection.makefile("r")
        self._lines.readline()  # the greeting
        self._qmp = connection
        self.command("qmp_capabilities")
        return connection

    def command(self, name, **arguments):
        """A QMP command; returns when it is done."""
        text = json.dumps({"execute": name, "arguments": arguments}) + "\n"
        self._qmp.sendall(text.encode())
        while True:
            answer = json.loads(self._lines.readline())
            if "error" in answer:
                raise AssertionError(f"QEMU: {name}: {answer['error']['desc']}")
            if "return" in answer:
                return

    @property
    def serial(self):
        """What came out of the port so far."""
        return self._serial.read_text(errors="replace").replace("\r", "")

    def wait_refused(self, timeout, times=1):
        """Wait until the hypervisor has refused for the n-th time; the whole text until then."""
        deadline = time.monotonic() + timeout
        while self.serial.count(REFUSED) < times or not self.serial.endswith("\n"):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"no refusal; the port said:\n{self.serial[-2000:]}")
            time.sleep(0.1)
        return self.serial

    def screen(self):
        """(width, height, rows of RGB bytes) of the screen as it is."""
        self.command("screendump", filename=str(self._dump))
        magic, size, _, pixels = self._dump.read_bytes().split(b"\n", 3)
        assert magic == b"P6"
        width, height = map(int, size.split())
        return width, height, [pixels[y * width * 3:(y + 1) * width * 3] for y in range(height)]
