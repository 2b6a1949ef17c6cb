# SPDX-License-Identifier: BSD-2-Clause
"""The emulated Intel machine that Bulkhead runs on where there is no VT-x: Bochs, headless, with
its first serial port in our hands.

    with Machine("build/demo/bulkhead.iso", firmware="bios", cpus=2) as machine:
        machine.expect(r"shell ready", timeout=60)
        machine.send("poweroff\\n")
        assert machine.wait_end(30) == "poweroff"

Time-outs are seconds of wall time; everything inside the machine depends only on what it boots and
on what is sent to it. Leaving the `with` block kills the emulator and removes its files.
"""

import codecs
import ctypes
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bochs import acpi

TREE = Path(__file__).resolve().parent.parent
DEPS = TREE / ".deps"
TEMPLATES = TREE / "scripts" / "bochs"

DEFAULT_MODEL = "corei7_skylake_x"
DEFAULT_IPS = 50_000_000
# Bochs has 64 timers, and some CPUs and devices have several: with more CPUs there is no HPET, and
# the second CD of the UEFI machine takes one more.
MAX_CPUS = {"bios": 16, "uefi": 15}
HPET_CPUS = 8
MAX_HOST_MIB = 2048  # what the machine uses beyond this, Bochs puts into a file
UNREPEATABLE = ("rdrand", "rdseed")  # Bochs seeds them from the wall clock

OVMF_PLACES = ("/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd")

# The hypervisor's own last words: it will not, or cannot, go on.
REFUSAL = re.compile(r"^\[bulkhead\] (REFUSED|PANIC|STOPPED):", re.MULTILINE)
QUIET_SECONDS = 1.0  # a refusal is complete when nothing was printed for so long

# What Bochs writes to its log at the end of a machine, most telling first.
LOG_ENDS = (
    ("poweroff", re.compile(r"ACPI control: soft power off|Shutdown port: shutdown requested")),
    ("refused", re.compile(r"3rd \(\d+\) exception with no resolution")),
    ("emulator", re.compile(r">>PANIC<<")),
)

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class MachineError(Exception):
    """What was asked of the machine did not happen; `reason` is one of wait_end's."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


def _die_with_parent():
    """In the child: be killed when the script that started it ends, however it ends."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _find_bochs():
    """The emulator and the folder of its ROMs, as scripts/setup recorded them."""
    bochs, share = DEPS / "bin" / "bochs", DEPS / "bxshare"
    if not (bochs.exists() and share.exists()):
        raise MachineError("emulator", "no emulator recorded in .deps/: run `make setup` first")
    return bochs, share


def find_ovmf():
    """The UEFI firmware image: $OVMF or where distributions put it."""
    places = [os.environ["OVMF"]] if "OVMF" in os.environ else OVMF_PLACES
    for place in places:
        if Path(place).is_file():
            return Path(place)
    raise MachineError("emulator", f"no UEFI firmware at {' or '.join(map(str, places))}: install"
                       " the package `ovmf`, or set OVMF=/path/to/OVMF.fd (code and variables)")


def _run_tool(args, cwd, env):
    """Run a tool quietly; its output is shown only when it fails."""
    done = subprocess.run(args, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise MachineError("emulator", f"{' '.join(map(str, args))} failed:\n{done.stdout}")


def make_acpi_iso(folder, cpus, disabled, grub_first):
    """Make folder/acpi.iso: the ACPI tables that OVMF does not make in Bochs. The machine boots this
    CD first: GRUB installs them, and starts the other CD's UEFI program."""
    tables = folder / "acpi"
    tables.mkdir()
    for name, content in acpi.tables(cpus, disabled).items():
        (tables / name).write_bytes(content)
    _run_tool([TREE / "scripts" / "mkiso", "--tables", "acpi", "acpi.iso"], folder,
              env={**os.environ, "GRUB_FIRST": grub_first, "GRUB_MODULES": "wrmsr"})


class Machine:
    """One run of one emulated machine. See the module's text for its use."""

    def __init__(self, iso, firmware="uefi", cpus=2, model=DEFAULT_MODEL, memory=1024,
                 ips=DEFAULT_IPS, exclude=UNREPEATABLE, cpu_options="", real_time=False,
                 on_text=None, bochs=None, bxshare=None, absent_cpus=0, disabled_cpus=(),
                 grub_first="", medium="cdrom", display=None):
        """`exclude` names CPU features, as Bochs calls them, that the model shall not have;
        `cpu_options` is appended to Bochs's cpu line; `real_time` keeps the machine's clock no
        faster than ours; `on_text` is called with each new piece of console text, as sent;
        `absent_cpus` more CPUs are listed in the ACPI tables than there are, those with the APIC ids
        `disabled_cpus` as disabled, and `grub_first` is a command for the GRUB that installs the
        tables (all UEFI only); `medium` is what the image is put on: a "cdrom", or a "disk" as if it
        had been written to a stick. The machine has graphics, in a window, where an X `display` such
        as ":1" is given."""
        if firmware not in ("uefi", "bios"):
            raise ValueError(f"firmware is {firmware!r}: expected 'uefi' or 'bios'")
        if not 1 <= cpus <= MAX_CPUS[firmware]:
            raise ValueError(f"cpus is {cpus}: expected 1 to {MAX_CPUS[firmware]}")
        self.iso = Path(iso).resolve()
        self.firmware, self.cpus, self.model = firmware, cpus, model
        self.memory, self.ips = memory, ips
        self.absent_cpus, self.disabled_cpus = absent_cpus, disabled_cpus
        self.grub_first, self.medium, self.display = grub_first, medium, display
        self.exclude, self.cpu_options = tuple(exclude), cpu_options
        self.real_time, self.on_text = real_time, on_text
        self.console = ""
        self.end = None  # why the machine ended, once it has
        self._bochs = Path(bochs).resolve() if bochs else None
        self._bxshare = Path(bxshare).resolve() if bxshare else None
        self._position = 0  # expect() searches from here
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._folder = self._process = self._serial = None
        self._log = ""
        self._log_seen = 0  # bytes that were searched for the machine's end
        self._last_text = time.monotonic()
        self._refused = False

    # Start and end

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Power the machine on; it runs from here on by itself."""
        if not self.iso.is_file():
            raise MachineError("emulator", f"no boot image at {self.iso}")
        self._folder = Path(tempfile.mkdtemp(prefix="bulkhead-"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command, environment = self._prepare(listener.getsockname()[1])
            self._launch(command, environment)
            self._accept(listener)
        return self

    def close(self):
        """End the emulator at once and remove its files. The console and log stay readable."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._serial:
            self._serial.close()
            self._serial = None
        if self._folder:
            self._log = self._read_log()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _prepare(self, port):
        """Make the files of the machine's folder; returns the emulator's command and environment."""
        if not self._bochs:
            self._bochs, self._bxshare = _find_bochs()
        self._link_images()
        (self._folder / "bochsrc").write_text(self._bochsrc(port))
        return [str(self._bochs), "-q", "-f", "bochsrc"], {
            "TERM": "dumb", "BXSHARE": str(self._bxshare), "DISPLAY": self.display or ""}

    def _link_images(self):
        """Give every image a short fixed name in the machine's folder: bochsrc quotes nothing."""
        share = Path(self._bxshare)
        rom = find_ovmf() if self.firmware == "uefi" else share / "BIOS-bochs-latest"
        images = {"boot.iso": self.iso, "firmware.rom": rom,
                  "vga.rom": share / "VGABIOS-lgpl-latest"}
        for name, target in images.items():
            if not target.exists():
                raise MachineError("emulator", f"{target} is missing (it is the {name})")
            (self._folder / name).symlink_to(target.resolve())
        if self.firmware == "uefi":
            make_acpi_iso(self._folder, self.cpus + self.absent_cpus, self.disabled_cpus,
                          self.grub_first)

    def _rom_base(self):
        """Where the firmware must lie to end at 4 GiB: distributions' OVMF has 2 or 4 MiB."""
        return (1 << 32) - (self._folder / "firmware.rom").stat().st_size

    def _bochsrc(self, port):
        """Bochs's configuration for this machine."""
        uefi = self.firmware == "uefi"
        values = {
            "ROM_OPTIONS": f"address={self._rom_base():#x}" if uefi else "options=fastboot",
            "MEMORY": f"guest={self.memory}, host={min(self.memory, MAX_HOST_MIB)}, block_size=2048",
            "CPU": f"model={self.model}, count={self.cpus}, ips={self.ips}",
            "CPU_OPTIONS": self._cpu_options(),
            "DISKS": self._disks(),
            "BOOT": f"boot: {'disk' if self.medium == 'disk' and not uefi else 'cdrom'}",
            # Without a window graphics modes end Bochs: then there are none.
            "DISPLAY": "x" if self.display else "term",
            "VGA": "vbe" if self.display else "none",
            "PCI": (", slot1=pcivga" if self.display else "")
                   + (', advopts="nohpet"' if self.cpus > HPET_CPUS else ""),
            "SYNC": "slowdown" if self.real_time else "none",
            "PORT": port,
            # They note every virtual interrupt: megabytes a second.
            "QUIET": "".join(f", CPU{i:x}=ignore" for i in range(self.cpus)),
        }
        text = (TEMPLATES / "bochsrc").read_text()
        return re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), text)

    def _disks(self):
        """The image, and before it under UEFI the CD with the tables, which OVMF boots first. A disk
        takes no writes: they end in a file of the machine's own."""
        drives = ["type=cdrom, path=acpi.iso, status=inserted"] if self.firmware == "uefi" else []
        drives.append("type=disk, path=boot.iso, mode=volatile" if self.medium == "disk"
                      else "type=cdrom, path=boot.iso, status=inserted")
        return "\n".join(f"ata{i}-master: {drive}" for i, drive in enumerate(drives))

    def _cpu_options(self):
        options = [f'exclude_features="{" ".join(self.exclude)}"'] if self.exclude else []
        options += [self.cpu_options] if self.cpu_options else []
        return "".join(f", {option}" for option in options)

    def _launch(self, command, environment):
        with open(self._folder / "stdout", "wb") as out:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_die_with_parent)

    def _accept(self, listener):
        """Wait until the emulator has connected its serial port to us."""
        listener.settimeout(0.2)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._serial, _ = listener.accept()
            except TimeoutError:
                continue
            self._serial.setblocking(False)
            self._serial.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        self.end = "emulator"
        raise MachineError("emulator", f"the emulator did not start:\n{self.failure()}")

    # The console

    def fileno(self):
        """For select(): readable when there is console text to pump."""
        return self._serial.fileno()

    def send(self, text):
        """Type `text` on the machine's serial console."""
        data = text if isinstance(text, bytes) else text.encode()
        while data and not self.end:
            _, writable, _ = select.select([], [self._serial], [], 0.1)
            try:
                data = data[self._serial.send(data):] if writable else data
            except ConnectionError:
                self.pump(0)

    def pump(self, timeout):
        """Take in what the machine prints for up to `timeout` seconds, or until the next text."""
        readable, _, _ = select.select([self._serial], [], [], max(timeout, 0))
        data = b""
        if readable:
            try:
                data = self._serial.recv(65536)
            except ConnectionError:
                pass
        if data:
            self._take(data)
        else:
            self._look_for_end(connected=not readable)

    def _take(self, data):
        text = self._decoder.decode(data)
        self._last_text = time.monotonic()
        line_start = self.console.rfind("\n") + 1
        self.console += text.replace("\r", "")
        if self.on_text:
            self.on_text(text)
        if not self._refused and REFUSAL.search(self.console, line_start):
            self._refused = True

    def _look_for_end(self, connected):
        """Nothing was printed: has the machine ended, and why?"""
        if self._refused:
            if not connected or time.monotonic() - self._last_text > QUIET_SECONDS:
                self.end = "refused"
            return
        if not connected:  # Bochs is ending: let it write its log to the last line
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        log = self._new_log()
        for reason, pattern in LOG_ENDS:
            if pattern.search(log):
                self.end = reason
                return
        if not connected or self._process.poll() is not None:
            self.end = "emulator"

    def expect(self, regex, timeout):
        """Wait until the console matches `regex` after the last match; returns the match."""
        pattern = re.compile(regex, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            match = pattern.search(self.console, self._position)
            if match:
                self._position = match.end()
                return match
            if self.end:
                raise MachineError(self.end, f"the machine ended ({self.end}) before {regex!r}"
                                   f" appeared; its last lines:\n{self.tail()}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise MachineError("timeout", f"{regex!r} did not appear within {timeout} s;"
                                   f" the last lines:\n{self.tail()}")
            self.pump(min(left, 0.2))

    def wait_end(self, timeout):
        """Wait for the machine's end and say why: 'poweroff'; 'refused' (the hypervisor refused,
        panicked, stopped or triple-faulted); 'emulator' (Bochs failed); or 'timeout'."""
        deadline = time.monotonic() + timeout
        while not self.end:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            self.pump(min(left, 0.2))
        return self.end

    # For messages

    def _read_log(self):
        if not self._folder:
            return self._log
        try:
            return (self._folder / "bochs.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _new_log(self):
        """What was logged since the last call; a line that is not finished comes again."""
        try:
            with open(self._folder / "bochs.log", "rb") as log:
                log.seek(self._log_seen)
                text = log.read()
        except FileNotFoundError:
            return ""
        self._log_seen += text.rfind(b"\n") + 1
        return text.decode(errors="replace")

    @property
    def bochs_log(self):
        """Everything Bochs has logged."""
        return self._read_log()

    @property
    def bochs_output(self):
        """What Bochs has written to its stdout and stderr; empty after the machine's end."""
        return (self._folder / "stdout").read_text(errors="replace") if self._folder else ""

    def tail(self, lines=20):
        """The console's last lines."""
        return "\n".join(self.console.splitlines()[-lines:])

    def last_words(self):
        """The lines of Bochs's log that tell why the machine ended, if any do."""
        telling = re.compile(">>PANIC<<|exception with no resolution")
        return "\n".join(filter(telling.search, self._read_log().splitlines()))

    def failure(self):
        """What Bochs said about its own failure: in its log, or else in its output."""
        words = self.last_words()
        if words or not self._folder:
            return words
        return "\n".join((self._read_log() + self.bochs_output).splitlines()[-10:])


if __name__ == "__main__":
    sys.exit("machine.py is a module: use scripts/run")
