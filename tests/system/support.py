# SPDX-License-Identifier: BSD-2-Clause
"""What the system tests share: building, booting, and talking to the guests.

A test class is one job: its tests run in the order in which they are written, in one process, and
may share a machine that setUpClass boots. Waiting is for text or for the machine's end, never for
time: LONG is only how long a slow computer may take.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / "scripts"))
from machine import Machine  # noqa: E402  pylint: disable=wrong-import-position

LONG = 300  # seconds; a boot to the shell takes 10 to 20 on the developers' machines
UEFI, BIOS = "uefi", "bios"

CONFIGS = tuple(str(path.relative_to(TREE)) for folder in ("config", "tests/config")
                for path in sorted((TREE / folder).glob("*.yaml")))


def iso(config):
    """The boot image of a config, by its name; `scripts/test` has built them all."""
    return TREE / "build" / config / "bulkhead.iso"


def boot(config, firmware=BIOS, cpus=2, **settings):
    """The machine for a config, to be used in a `with` block."""
    return Machine(iso(config), firmware=firmware, cpus=cpus, **settings)


def run(*command, cwd=TREE, check=True, **settings):
    """Run a command of the tree, with its output caught."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n"
                             f"{done.stdout}{done.stderr}")
    return done


def guest_lines(console, name):
    """A guest's lines, without its name. The beginning of a line that was interrupted by somebody
    else's, and printed again whole afterwards, is left out."""
    mark = f"[{name}] "
    lines = console.split("\n")
    ours = [(i, line[len(mark):]) for i, line in enumerate(lines) if line.startswith(mark)]
    result = []
    for (i, line), (following, text) in zip(ours, ours[1:] + [(None, None)]):
        interrupted = following is not None and following != i + 1
        if not (interrupted and text.startswith(line)):
            result.append(line)
    return result


def take_dump(machine):
    """Ask for a dump of all tables; the console with it, as bytes."""
    start = machine.console.rfind("\n") + 1
    machine.send("\x1dt")
    machine.expect(r"^\[bulkhead\] dump \d+ end \d+\n", LONG)
    return machine.console[start:].encode()


def beats(console):
    """The numbers of the heartbeat guest's beats that were printed whole."""
    found = map(re.compile(r"beat (\d+): .* rtc [\d:]{8}$").match, guest_lines(console, "heartbeat"))
    return [int(match[1]) for match in found if match]


def emulator_ticks_now(machine):
    """The emulator's own clock: at SIGTERM Bochs only notes the time in its log."""
    mark = "sig 15 caught"
    seen = machine.bochs_log.count(mark)
    machine._process.send_signal(signal.SIGTERM)  # pylint: disable=protected-access
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        log = machine.bochs_log
        if log.count(mark) > seen:
            line = log[:log.rfind(mark)].rpartition("\n")[2]
            return int(re.match(r"\d+", line)[0])
        machine.pump(0.05)
    raise AssertionError("Bochs did not note a signal")


def exits_now(machine, name):
    """The exits of a guest with one vCPU by kind, as the console tells them."""
    machine.send("\x1d?")
    return tokens(machine.expect(rf"^\[bulkhead\] guest {name}: exits: (.*)\n", LONG)[1])


class SystemTest(unittest.TestCase):
    """A test that may use a machine. `cost`, in seconds, lets long jobs start first."""

    cost = 10
    machine = None

    @classmethod
    def start(cls, config, firmware=BIOS, cpus=2, **settings):
        """Boot the class's machine; it ends with the class."""
        cls.machine = boot(config, firmware, cpus, **settings)
        cls.machine.start()
        cls.addClassCleanup(cls.machine.close)
        return cls.machine

    def expect_line(self, machine, regex, timeout=LONG):
        """Wait for a whole line of the console that matches."""
        return machine.expect(rf"^{regex}$", timeout)

    def agrees(self, config, console):
        """The second opinion on a dump of that config's machine; what it says."""
        with tempfile.NamedTemporaryFile() as log:
            log.write(console)
            log.flush()
            done = run("scripts/second_opinion", TREE / "build" / config / "manifest.json", log.name,
                       check=False)
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1:]),
                         (0, ["second opinion: agrees"]), done.stdout + done.stderr)
        return done.stdout

    def note(self, text):
        """Show a line with the test's result."""
        print(f"{self._testMethodName}: {text}", flush=True)


class Shell:
    """A Linux guest's shell on the console; the guest has the keyboard."""

    def __init__(self, machine, patience=LONG, name="linux"):
        self.machine = machine
        self._name = name
        self._patience = patience
        self._commands = 0

    def wait(self):
        """Wait until it asks for a command."""
        self.machine.expect(rf"^\[{self._name}\] linux guest: shell ready", self._patience)
        self.attach()

    def attach(self):
        """The same for one that is known to be ready, or has been since it got the keyboard."""
        self.machine.expect(rf"^\[{self._name}\] ~ # ", self._patience)
        self.machine.send("stty columns 200; echo wi''de\n")  # the shell wraps what is typed
        self.machine.expect(rf"^\[{self._name}\] wide\n", self._patience)
        self.machine.expect(rf"^\[{self._name}\] ~ # ", self._patience)

    def command(self, text):
        """Run a command; returns (its output's lines, its exit status)."""
        self._commands += 1
        mark = 1000 + self._commands
        before = self.machine.console.rfind("\n") + 1  # the prompt's line
        self.machine.send(f'{text}; echo "M$(({mark}+0))M$?"\n')
        match = self.machine.expect(rf"^\[{self._name}\] .*M{mark}M(\d+)$", self._patience)
        lines = guest_lines(self.machine.console[before:match.end()], self._name)
        echo = max(i for i, line in enumerate(lines) if f"M$(({mark}+0))M" in line)
        return lines[echo + 1:-1], int(match[1])

    def ask(self, text):
        """Run a command that has to succeed; its output's lines."""
        lines, status = self.command(text)
        assert status == 0, f"{text}: exit status {status}\n" + "\n".join(lines)
        return lines


def tokens(text):
    """Name-and-number pairs of an exit report: "cpuid 12 pio 7" -> {"cpuid": 12, "pio": 7}."""
    words = re.findall(r"([a-z-]+) (\d+)", text)
    return {name: int(count) for name, count in words}
