# SPDX-License-Identifier: BSD-2-Clause
"""scripts/config/map_svg.py: what is in the picture, that nothing overlaps, that nothing escapes."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts", "config"))
import map_svg  # noqa: E402  pylint: disable=wrong-import-position

NS = "{http://www.w3.org/2000/svg}"
MIB, GIB = 1 << 20, 1 << 30
PORTS = (("8259", 0x20, 2), ("8259", 0xA0, 2), ("8254", 0x40, 4), ("MC146818", 0x70, 2), ("16550A", 0x3F8, 8),
         ("ACPI PM", 0x600, 12), ("PCI host bridge", 0xCF8, 8), ("reset ports", 0x60, 1))
IRQS = (("8254", 0), ("16550A", 4), ("MC146818", 8), ("ACPI PM", 9))
NOTHING = {"base": 0, "len": 0}


def ram(memory):
    """The RAM pieces of a guest with that much."""
    low = [{"base": 0, "len": min(memory, 3 * GIB), "access": "rwx", "what": "RAM"}]
    return low + [{"base": 4 * GIB, "len": memory - 3 * GIB, "access": "rwx", "what": "RAM"}] * (memory > 3 * GIB)


def guest(index, name=None, cpus=None, memory=256 * MIB, **more):
    """A guest as the compiler describes one."""
    name = name or f"guest-{index}"
    return {"name": name, "type": "linux", "cpus": cpus or [index], "memory": memory,
            "files": [{"use": "kernel", "path": f"build/{name}", "bytes": 14186432, "sha256": "0123456789abcdef" * 4}],
            "cmdline": "console=ttyS0", "map": ram(memory),
            "ports": [{"base": base, "len": length, "device": device} for device, base, length in PORTS],
            "irqs": [{"irq": irq, "device": device} for device, irq in IRQS],
            "devices": ["8259", "8254", "I/O APIC", "local APIC", "16550A", "HPET"], "without": [], "debug": None,
            "watchdog": None, "on_crash": {"action": "halt"}, "on_reset": {"action": "restart"},
            "on_poweroff": {"action": "halt"}, "host_ports": [], "host_msrs": {"read": [16], "write": []}, **more}


def machine(count, **more):
    """A manifest with so many plain guests."""
    return {"format": 1, "name": "test", "source": "config/test.yaml", "release": False, "console": "guest-0",
            "machine": None, "guests": [guest(i) for i in range(count)], "shared": [], **more}


def share(manifest, name, writer, readers, at=0xD0000000, length=64 << 10):
    """Add a shared region."""
    for data in manifest["guests"]:
        if data["name"] in [writer] + readers:
            access = "rw" if data["name"] == writer else "r"
            data["map"].append({"base": at, "len": length, "access": access, "what": f"shared:{name}"})
    manifest["shared"].append({"name": name, "len": length, "writer": writer, "readers": readers,
                               "doorbells": {writer: 10}})


def worst():
    """Nine guests with the longest of everything, all sharing with all."""
    names = [f"mmmmmmmmmmmmmm{i}" for i in range(9)]
    path = "/a/very/long/way/" * 10 + "WWWWWWWWWWWWWWWW.bin"
    policy = {"action": "restart", "limit": 4000000000, "within": 4000000000}
    guests = [guest(i, name, list(range(100 * i, 100 * i + 8)), 64 * GIB >> i, cmdline="quiet splash=x " * 130,
                    files=[{"use": f"module {n}", "path": path, "bytes": 1 << 40, "sha256": "f" * 64} for n in range(3)],
                    without=["tpr-shadow", "apic-access", "apic-registers", "virtual-interrupts", "x2apic"],
                    debug={"exit_port": 0xF4}, watchdog={"timeout": 100000, "port": 0x600}, on_crash=policy,
                    on_reset=policy) for i, name in enumerate(names)]
    ranges = [{"base": GIB << i, "len": GIB << i} for i in range(12)]
    result = machine(0, guests=guests, console=names[0], name="n" * 300, source="s/" * 400,
                     machine={"cores": 1024, "memory": 1 << 40, "threads": [[i, i + 512] for i in range(512)],
                              "share_threads": True, "ranges": ranges})
    for i, name in enumerate(names):
        share(result, "W" * 14 + str(i), name, names[:i] + names[i + 1:], 0xD0000000 + i * (1 << 20))
    return result


def texts(root):
    """(left, top, right, bottom, text) of every text element, as wide as it can be."""
    for element in root.iter(NS + "text"):
        style = element.get("class")
        size = map_svg.STYLES[style][0]
        width = map_svg.text_width(element.text or "", style)
        x, y = int(element.get("x")), int(element.get("y"))
        left = x - {"start": 0, "middle": (width + 1) // 2, "end": width}[element.get("text-anchor", "start")]
        yield left, y - size * 8 // 10, left + width, y + size * 2 // 10, element.text


class Picture(unittest.TestCase):
    """Each test draws what it needs."""

    def draw(self, manifest):
        """The picture's root element; the manifest went through JSON as it does in the build."""
        return ET.fromstring(map_svg.svg(json.loads(json.dumps(manifest))))

    def titles(self, root, cls):
        """What is said of the items of that class."""
        return [group.find(NS + "title").text for group in root.iter(NS + "g") if group.get("class") == cls]

    def check_layout(self, manifest):
        """No two texts touch each other, and none leaves the page."""
        root = self.draw(manifest)
        width, height = int(root.get("width")), int(root.get("height"))
        boxes = sorted(texts(root), key=lambda box: box[1])
        self.assertGreater(len(boxes), 20)
        for i, (left, top, right, bottom, text) in enumerate(boxes):
            self.assertTrue(0 <= left and right <= width and 0 <= top and bottom <= height, f"{text!r} leaves the page")
            for other in boxes[i + 1:]:
                if other[1] >= bottom:
                    break
                self.assertTrue(other[0] >= right or other[2] <= left, f"{text!r} overlaps {other[4]!r}")

    # What is in it

    def test_every_guest_has_a_card_and_its_cores(self):
        for count in range(1, 10):
            root = self.draw(machine(count))
            self.assertEqual(self.titles(root, "card"), [f"guest {i + 1}: guest-{i}" for i in range(count)])
            self.assertEqual(self.titles(root, "core-tile"), [f"core {i}: vCPU 0 of guest-{i}" for i in range(count)])

    def test_idle_cores_and_threads(self):
        root = self.draw(machine(2, machine={"cores": 4, "memory": GIB, "threads": [[0, 2], [1, 3]]}))
        self.assertEqual(self.titles(root, "core-tile"), ["core 0: vCPU 0 of guest-0", "core 2: idle",
                                                          "core 1: vCPU 0 of guest-1", "core 3: idle"])
        self.assertEqual(self.titles(root, "threads"), ["hardware threads of one core: 0, 2",
                                                        "hardware threads of one core: 1, 3"])
        self.assertNotIn("threads, shared", [box[4] for box in texts(root)])

    def test_threads_of_two_guests_are_marked(self):
        root = self.draw(machine(2, machine={"cores": 2, "memory": GIB, "threads": [[0, 1]]}))
        self.assertIn("threads, shared", [box[4] for box in texts(root)])

    def test_large_machines_have_all_their_cores(self):
        root = self.draw(machine(1, machine={"cores": 1000, "memory": GIB}))
        run = self.titles(root, "core-tile")[1]
        self.assertTrue(run.startswith("999 idle cores: 1, 2, ") and run.endswith(", 999"), run[:40])

    def test_every_region_is_in_the_card_and_below(self):
        manifest = machine(3)
        share(manifest, "ring", "guest-1", ["guest-0", "guest-2"])
        root = self.draw(manifest)
        regions = self.titles(root, "region")
        self.assertEqual(sum(text.startswith("RAM: 00000000H – 0FFFFFFFH, 256 MiB") for text in regions), 3)
        self.assertEqual(regions.count("shared:ring: D0000000H – D000FFFFH, 64 KiB, access r"), 2)
        self.assertEqual(regions.count("shared:ring: D0000000H – D000FFFFH, 64 KiB, access rw"), 1)
        self.assertEqual(sum(text.startswith("local APIC: FEE00000H") for text in regions), 3)
        self.assertEqual(self.titles(root, "channel"), ["ring, 64 KiB: guest-1 writes, guest-0, guest-2 reads"])
        self.assertEqual(self.titles(root, "station"), [
            "guest-1 writes ring at D0000000H; doorbell IRQ 10, declared",
            "guest-0 reads ring at D0000000H; no doorbell", "guest-2 reads ring at D0000000H; no doorbell"])

    def test_every_device_file_and_policy(self):
        manifest = machine(1)
        manifest["guests"][0].update(on_crash={"action": "restart", "limit": 3, "within": 60}, debug={"exit_port": 0xF4},
                                     watchdog={"timeout": 30, "port": 0x600}, apic="direct")
        root = self.draw(manifest)
        devices = self.titles(root, "device")
        self.assertEqual(len(devices), 10)
        for text in ("8259: ports 20H–21H, A0H–A1H", "16550A: ports 3F8H–3FFH; IRQ 4", "HPET"):
            self.assertIn(text, devices)
        self.assertEqual(self.titles(root, "file"), [
            f"kernel: build/guest-0, 14186432 bytes, SHA-256 {'0123456789abcdef' * 4}"])
        shown = [box[4] for box in texts(root)]
        for text in ("13.5 MiB · 0123456789abcdef", "restart, at most 3 times in 60 s", "30 s, ports from 600H",
                     "direct: the core's own", "debug: exit_port F4H", "console=ttyS0", "keyboard first"):
            self.assertIn(text, shown)

    def test_memory_is_to_scale(self):
        root = self.draw(machine(1, machine={"cores": 1, "memory": GIB}))
        widths = {group.find(NS + "title").text: int(group.find(NS + "rect").get("width"))
                  for group in root.iter(NS + "g") if group.get("class") == "share"}
        self.assertEqual(widths["left over, also for the hypervisor: 768 MiB"], 3 * widths["guest-0: 256 MiB"])

    def test_release_is_shown(self):
        for release, word in ((True, "release"), (False, "development")):
            self.assertIn(word, [box[4] for box in texts(self.draw(machine(1, release=release)))])

    def test_optional_keys_may_be_absent(self):
        bare = {"name": "a", "type": "flat", "cpus": [0], "memory": 16 * MIB}
        self.draw({"name": "bare", "guests": [bare]})
        self.draw(machine(1, machine={"cores": None, "memory": None, "threads": None, "ranges": [NOTHING]}))

    # How it is drawn

    def test_nothing_overlaps(self):
        for count in range(1, 10):
            manifest = machine(count, machine={"cores": 3 * count, "memory": 16 * GIB, "threads": [[0, 1]]})
            if count > 1:
                share(manifest, "ring", "guest-1", ["guest-0"])
            self.check_layout(manifest)

    def test_nothing_overlaps_at_the_limits(self):
        self.check_layout(worst())

    def test_same_bytes_for_the_same_manifest(self):
        self.assertEqual(map_svg.svg(worst()), map_svg.svg(worst()))
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "manifest.json")
            with open(source, "w", encoding="utf-8") as stream:
                json.dump(worst(), stream)
            found = []
            for seed in "1", "2":
                target = os.path.join(folder, seed)
                subprocess.run([sys.executable, "scripts/config/map_svg.py", source, target], cwd=ROOT, check=True,
                               env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "UTC" + seed})
                with open(target, "rb") as stream:
                    found.append(stream.read())
            self.assertEqual(found[0], found[1])
            self.assertEqual(found[0].decode(), map_svg.svg(worst()))

    def test_stands_alone(self):
        text = map_svg.svg(worst())
        root = ET.fromstring(text)
        self.assertEqual(text.count("http"), 1)  # the namespace
        tags = {element.tag.removeprefix(NS) for element in root.iter()}
        self.assertLessEqual(tags, {"svg", "title", "desc", "style", "defs", "pattern", "g", "rect", "path", "text"})
        self.assertEqual([root[0].tag, root[1].tag], [NS + "title", NS + "desc"])
        self.assertIn("guest-0: linux, cores 0, 256 MiB", self.draw(machine(1))[1].text)

    def test_hostile_text_is_only_text(self):
        evil = "</text><script>alert('x')</script>&amp;\"<!--]]>\x00\x1b[2J\u202e\ud800"
        manifest = machine(1, name=evil, source=evil, console=evil)
        data = manifest["guests"][0]
        data.update(name=evil, type=evil, cmdline=evil, without=[evil], devices=[evil], debug={evil: evil},
                    files=[{"use": evil, "path": evil, "bytes": 1, "sha256": evil}])
        data["map"].append({"base": 3 * GIB, "len": 4096, "access": "rw", "what": "shared:" + evil})
        manifest["shared"].append({"name": evil, "len": 4096, "writer": evil, "readers": [evil], "doorbells": {evil: 5}})
        root = self.draw(manifest)
        self.assertNotIn(NS + "script", {element.tag for element in root.iter()})
        self.assertIn("</text><script>alert('x')", root[0].text)
        self.assertNotRegex(map_svg.svg(manifest), "[\x00-\x09\x0b-\x1f\u202e\ud800]")
        self.check_layout(manifest)


if __name__ == "__main__":
    unittest.main()
