# SPDX-License-Identifier: BSD-2-Clause
"""A config as objects. What could not be used is None, and the rules pass over it."""
import functools
import hashlib
import os
from dataclasses import dataclass, field

from pc import GIB, HIGH_RAM, KIB, MIB, WATCHDOG_PORT

UNITS = {"K": KIB, "M": MIB, "G": GIB}


@dataclass
class Policy:
    """What becomes of a guest that ended."""

    restart: bool
    limit: int = 0  # 0: none
    within: int = 0  # seconds; 0: since power-on


@dataclass
class File:
    """A file to be embedded, once however often it is used."""

    path: str
    why: str = None  # it cannot be read

    @functools.cached_property
    def content(self):
        """Its bytes, read when they are first asked for; None where that is not possible."""
        try:
            with open(self.path, "rb") as stream:
                return stream.read()
        except OSError as error:
            self.why = error.strerror
            return None

    @functools.cached_property
    def sha256(self):
        """Of its bytes."""
        return hashlib.sha256(self.content)


@dataclass
class Image:
    """One use of a file."""

    use: str  # "kernel", "fw_cfg: etc/x"
    file: File
    place: tuple

    @property
    def path(self):
        """As the build names it."""
        return self.file.path

    @property
    def content(self):
        """Its bytes, or None."""
        return self.file.content

    @property
    def why(self):
        """Why it cannot be read."""
        return self.file.why


@dataclass
class Module:
    """A file beside a multiboot kernel."""

    image: Image
    string: str


@dataclass
class FwCfgFile:
    """One item of fw_cfg: an image, or bytes."""

    name: str
    image: Image
    content: bytes


@dataclass
class FwCfg:
    """What a guest finds in fw_cfg besides what the machine puts there."""

    files: list
    kernel: Image
    initrd: Image
    cmdline: str


@dataclass
class Share:
    """One guest's part in a shared region."""

    region: int
    guest: object  # Guest, or None where there is none of that name
    write: bool
    at: int
    irq: int  # None: no doorbell
    place: tuple


@dataclass
class Region:
    """Memory that guests share."""

    name: str
    len: int
    shares: list
    place: tuple
    writers: int = 0
    readers: int = 0


@dataclass
class Guest:  # pylint: disable=too-many-instance-attributes
    """One guest."""

    index: int
    place: tuple
    label: str
    name: str = None
    type: str = None
    memory: int = None
    cores: list = None  # as given, or as chosen by the rules
    count: int = None  # cores to be chosen
    kernel: Image = None
    initrd: Image = None
    cmdline: str = ""
    modules: list = field(default_factory=list)
    load: int = HIGH_RAM
    entry: int = HIGH_RAM
    hpet: bool = False
    fw_cfg: FwCfg = None
    watchdog: int = 0  # seconds; 0: none
    watchdog_port: int = 0
    direct: bool = False  # it has its core's own local APIC
    without: list = field(default_factory=list)
    exit_port: int = 0
    policies: dict = field(default_factory=dict)  # on_crash and so on -> Policy
    shares: list = field(default_factory=list)

    def at(self, *steps):
        """The place of one of its values."""
        return self.place + steps

    def images(self):
        """All its files."""
        found = [self.kernel, self.initrd] + [module.image for module in self.modules]
        if self.fw_cfg:
            found += [self.fw_cfg.kernel, self.fw_cfg.initrd]
            found += [item.image for item in self.fw_cfg.files]
        return [image for image in found if image]


@dataclass
class Machine:  # pylint: disable=too-many-instance-attributes
    """The whole config."""

    source: object  # source.Source
    name: str = None
    console: str = None
    release: bool = False
    cores: int = None
    memory: int = None
    threads: list = field(default_factory=list)
    share_threads: bool = False
    ranges: list = field(default_factory=list)  # ((first, last), place)
    guests: list = field(default_factory=list)
    regions: list = field(default_factory=list)

    def images(self):
        """path -> File of every file, in the order of first use."""
        found = {}
        for guest in self.guests:
            for image in guest.images():
                found.setdefault(image.path, image.file)
        return found

    def guest(self, name):
        """The guest of that name, or None."""
        return next((guest for guest in self.guests if guest.name == name), None)


class Folders:
    """What the prefixes of an image's path stand for."""

    def __init__(self, root, build, deps):
        self._places = {"": root, "build": build, "deps": deps}

    def resolve(self, path):
        """Relative to the current folder, but for a path from the file system's root."""
        place, colon, rest = path.partition(":")
        if not colon:
            place, rest = "", path
        path = os.path.join(self._places[place], rest)
        return path if os.path.isabs(rest) else os.path.relpath(path)


class Reader:
    """Makes a Machine of what a Source holds, without what `bad` names."""

    def __init__(self, source, bad, folders, label):
        self._source, self._bad, self._folders, self._label = source, bad, folders, label
        self._files = {}  # path -> File

    def get(self, place, default=None, kind=None):
        """The value at a place; default where there is none, or none that can be used."""
        value = self._source.value
        for depth, step in enumerate(place):
            if place[:depth + 1] in self._bad:
                return default
            if isinstance(step, int):
                if not isinstance(value, list) or step >= len(value):
                    return default
            elif not isinstance(value, dict) or step not in value:
                return default
            value = value[step]
        return value if kind is None or isinstance(value, kind) else default

    def items(self, place):
        """The places of a list's items."""
        places = (place + (i,) for i in range(len(self.get(place, [], list))))
        return [item for item in places if item not in self._bad]

    def image(self, use, place):
        """The file that is named at a place."""
        path = self.get(place, None, str)
        if path is None:
            return None
        path = self._folders.resolve(path)
        self._files.setdefault(path, File(path))
        return Image(use, self._files[path], place)

    def machine(self):
        """The whole."""
        name = os.path.splitext(os.path.basename(self._source.path))[0]
        machine = Machine(
            self._source,
            name=self.get(("name",), name, str),
            console=self.get(("console",), None, str),
            release=self.get(("release",), False, bool),
            cores=self.get(("machine", "cores"), None, int),
            memory=size(self.get(("machine", "memory"))),
            share_threads=self.get(("machine", "share_threads"), False, bool),
        )
        machine.threads = [
            [self.get(core) for core in self.items(place)]
            for place in self.items(("machine", "threads"))
        ]
        for place in self.items(("machine", "ranges")):
            first, last = (int(word, 0) if word.startswith("0x") else int(word)
                           for word in self.get(place).split("-"))
            machine.ranges.append(((first, last), place))
        for index, place in enumerate(self.items(("guests",))):
            machine.guests.append(self.guest(index, place))
        for place in self.items(("shared",)):
            machine.regions.append(self.region(len(machine.regions), place, machine))
        return machine

    def guest(self, index, place):
        """One guest."""
        guest = Guest(index, place, self._label(self._source, place))
        guest.name = self.get(guest.at("name"), None, str)
        guest.type = self.get(guest.at("type"), None, str)
        guest.memory = size(self.get(guest.at("memory")))
        cpus = self.get(guest.at("cpus"), 1)
        if isinstance(cpus, list):
            items = self.items(guest.at("cpus"))
            if len(items) == len(cpus):
                guest.cores = [self.get(item) for item in items]
        elif guest.at("cpus") not in self._bad:
            guest.count = cpus
        guest.kernel = self.image("kernel", guest.at("kernel"))
        guest.initrd = self.image("initrd", guest.at("initrd"))
        guest.cmdline = self.get(guest.at("cmdline"), "", str)
        guest.modules = self.modules(guest.at("modules"))
        guest.load = self.get(guest.at("load"), HIGH_RAM, int)
        guest.entry = self.get(guest.at("entry"), guest.load, int)
        guest.direct = self.get(guest.at("apic"), "virtual", str) == "direct"
        guest.without = [self.get(item) for item in self.items(guest.at("without"))]
        guest.exit_port = self.get(guest.at("debug", "exit_port"), 0, int)
        self.devices(guest, guest.at("devices"))
        for key, default in (("on_crash", False), ("on_reset", True), ("on_poweroff", False)):
            guest.policies[key] = self.policy(guest.at(key), default)
        return guest

    def devices(self, guest, place):
        """Those that it has besides a PC's."""
        guest.hpet = self.get(place + ("hpet",), False, bool)
        watchdog = place + ("watchdog",)
        guest.watchdog = seconds(self.get(watchdog + ("timeout",)))
        if guest.watchdog:
            guest.watchdog_port = self.get(watchdog + ("port",), WATCHDOG_PORT, int)
        fw_cfg = place + ("fw_cfg",)
        if self.get(fw_cfg, None, dict) is not None:
            guest.fw_cfg = FwCfg(
                self.fw_cfg_files(fw_cfg + ("files",)),
                self.image("fw_cfg: kernel", fw_cfg + ("kernel",)),
                self.image("fw_cfg: initrd", fw_cfg + ("initrd",)),
                self.get(fw_cfg + ("cmdline",), "", str),
            )

    def fw_cfg_files(self, place):
        """The items of fw_cfg."""
        found = []
        for item in self.items(place):
            name = self.get(item + ("name",), None, str)
            if name is None:
                continue
            text = self.get(item + ("string",), None, str)
            found.append(FwCfgFile(name, self.image(f"fw_cfg: {name}", item + ("file",)),
                                   text.encode("latin-1") if text is not None else None))
        return found

    def modules(self, place):
        """The modules of a multiboot kernel."""
        found = []
        for number, item in enumerate(self.items(place)):
            image = self.image(f"module {number + 1}", item + ("file",))
            if image:
                found.append(Module(image, self.get(item + ("string",), "", str)))
        return found

    def policy(self, place, restart):
        """What is to happen after one kind of end."""
        value = self.get(place)
        if isinstance(value, dict):
            return Policy(True, self.get(place + ("restart",), 1, int),
                          seconds(self.get(place + ("within",))))
        return Policy(value == "restart" if isinstance(value, str) else restart)

    def region(self, index, place, machine):
        """One shared region; its shares go to their guests too."""
        region = Region(self.get(place + ("name",), None, str),
                        size(self.get(place + ("size",))), [], place)
        writer = place + ("writer",)
        writers = self.items(writer) if isinstance(self.get(writer), list) else [writer]
        for write, places in ((True, writers), (False, self.items(place + ("readers",)))):
            for part in places:
                if not isinstance(self.get(part), dict):
                    continue
                region.writers += write
                region.readers += not write
                share = Share(index, machine.guest(self.get(part + ("guest",))), write,
                              self.get(part + ("at",), None, int),
                              self.get(part + ("doorbell",), None, int), part)
                region.shares.append(share)
                if share.guest:
                    share.guest.shares.append(share)
        return region


def size(value):
    """Bytes of 256M, 1G, 16MiB, or a plain number; None as it is."""
    if not isinstance(value, str):
        return value
    digits = value.rstrip("KMGiB")
    return int(digits) * UNITS[value[len(digits)]]


def seconds(value):
    """Seconds of 30s, 5min, or a plain number; 0 of None."""
    if not isinstance(value, str):
        return value or 0
    return int(value[:-3]) * 60 if value.endswith("min") else int(value[:-1])
