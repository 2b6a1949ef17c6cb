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

    def debugger_text(self):
        """What the debugger has printed until now."""
        return (self._folder / "stdout").read_text(errors="replace")

    def instructions(self, done, timeout):
        """[(address, instruction)] that the first processor executed while `trace on`, when done(text) holds."""
        end = time.monotonic() + timeout
        while not done(self.debugger_text()):
            if time.monotonic() > end:
                raise TimeoutError(f"the debugger is not done:\n{self.debugger_text()[-2000:]}")
            self.pump(0.1)
        time.sleep(1)
        return [(int(at, 16), what) for at, what in LINE.findall(self.debugger_text())]


def symbols(elf):
    """Functions by address, ascending."""
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
