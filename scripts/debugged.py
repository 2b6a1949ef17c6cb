# SPDX-License-Identifier: BSD-2-Clause
"""A machine under the emulator's debugger, and what that prints of the instructions that were executed."""
import re
import subprocess
import time

from machine import Machine

LINE = re.compile(r"^\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]{16}) \([^)]*\): (.*?)\s*;", re.MULTILINE)


class Debugged(Machine):
    """A machine under Bochs's debugger, which does `commands` from the start."""

    def __init__(self, *args, commands, **kwargs):
        super().__init__(*args, **kwargs)
        self._commands = commands

    def _prepare(self, port):
        command, environment = super()._prepare(port)
        (self._folder / "commands").write_text("\n".join(self._commands) + "\n")
        return command + ["-dbg", "-rc", "commands", "-dbglog", "dbg.log"], environment

    def instructions(self, seconds):
        """Let the debugger do its commands to the last, for so long at most: [(address, instruction)] that the first
        processor executed while `trace on`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            self.pump(0.1)
        text = (self._folder / "stdout").read_text(errors="replace")
        return [(int(at, 16), what) for at, what in LINE.findall(text)]


def symbols(elf):
    """Functions and labels by address, ascending."""
    found = []
    for line in subprocess.run(["nm", "-n", elf], check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines():
        value, kind, name = line.split()
        if kind in "tT":
            found.append((int(value, 16), name))
    return found


def name_at(functions, address):
    """The function that an address is in."""
    names = [name for start, name in functions if start <= address]
    return names[-1] if names else "?"
