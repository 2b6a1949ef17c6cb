# SPDX-License-Identifier: BSD-2-Clause
"""scripts/second_opinion: a small machine, made here from the manual, is agreed with; each fault in
its tables, controls or manifest is found; a dump that is not whole is not used."""
import contextlib
import copy
import importlib.machinery
import io
import json
import os
import tempfile
import types
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOADER = importlib.machinery.SourceFileLoader("second_opinion",
                                              os.path.join(ROOT, "scripts", "second_opinion"))
second_opinion = types.ModuleType("second_opinion")
LOADER.exec_module(second_opinion)

PAGE, MIB = 0x1000, 0x100000
POOL, POOL_USED = 0x3FC00000, 0x40000
ONES = (1 << 64) - 1
NX = 1 << 63
RWX, RW, RX, R = 7, 3, 5, 1
OPEN_MSRS = (0x174, 0xC0000080)

FIELDS = {
    0x4000: 0xBF, 0x4002: 0xB6206D7A, 0x401E: 0x13EB, 0x400C: 0x3FEFFF, 0x4012: 0xD1FF,
    0x400E: 0, 0x4010: 0, 0x4014: 0, 0x2C02: 0xD01, 0x6C00: 0x80050033, 0x6C04: 0x342268,
}


class World:
    """Two guests, `a` with two vCPUs and a ROM, `b` with one; they share a page that `a` writes."""

    def __init__(self):
        self.next = POOL
        self.pages = {}
        self.windows = (0xFFFF808000000000, 0x30000000)
        self.areas = [(0, 0x9F000, "ram"), (0x100000, 0x3FF00000, "ram"),
                      (0x200000, 0x100000, "image"), (POOL, 0x200000, "page-pool"),
                      (0x9E000, PAGE, "start-up-page"), (0xFEE00000, PAGE, "local-apic"),
                      (0xFEC00000, PAGE, "io-apic")]
        self.vcpus = []
        self.make_host()
        rom = (0xFFFFF000, 0x1C0000, PAGE, RX)
        ring = 0x8000000
        self.make_guest("a", (0, 1), [(0, 0x10000000, 4 * MIB, RWX), rom, (0xD0000000, ring, PAGE, RW)])
        self.make_guest("b", (2,), [(0, 0x20000000, 4 * MIB, RWX), (0xD0000000, ring, PAGE, R)])
        msrs = {"read": [0x10, *OPEN_MSRS], "write": list(OPEN_MSRS)}
        ram = {"base": 0, "len": 4 * MIB, "access": "rwx", "what": "RAM"}
        share = {"base": 0xD0000000, "len": PAGE, "what": "shared:ring"}
        self.manifest = {
            "format": 1, "name": "test",
            "machine": {"ranges": [{"base": MIB, "len": 0x3FF00000}]},
            "guests": [
                {"name": "a", "cpus": [0, 1], "host_ports": [], "host_msrs": msrs,
                 "map": [ram, {"base": rom[0], "len": PAGE, "access": "rx", "what": "ROM"},
                         {**share, "access": "rw"}]},
                {"name": "b", "cpus": [2], "host_ports": [], "host_msrs": copy.deepcopy(msrs),
                 "map": [dict(ram), {**share, "access": "r"}]},
            ],
            "shared": [{"name": "ring", "len": PAGE, "writer": "a", "readers": ["b"]}],
        }

    # Tables

    def page(self, word=0):
        """The next pool page."""
        hpa, self.next = self.next, self.next + PAGE
        self.pages[hpa] = [word] * 512
        return hpa

    def entry(self, root, address, level, link=None):
        """(table, index) of the entry of a level; missing tables are made with `link` bits."""
        table = root & ~0xFFF
        for lvl in range(4, level, -1):
            index = address >> (12 + 9 * (lvl - 1)) & 511
            if not self.pages[table][index]:
                assert link, f"no table at level {lvl} for {address:x}"
                self.pages[table][index] = self.page() | link
            table = self.pages[table][index] & 0xFFFFFFFFFF000
        return table, address >> (12 + 9 * (level - 1)) & 511

    def set(self, root, address, level, value, link=None):
        """Replace an entry."""
        table, index = self.entry(root, address, level, link)
        self.pages[table][index] = value

    def change(self, root, address, level, bits):
        """Turn bits of an entry over."""
        table, index = self.entry(root, address, level)
        self.pages[table][index] ^= bits

    def make_ept(self, ranges):
        root = self.page()
        for gpa, hpa, length, access in ranges:
            size, level, large = (2 * MIB, 2, 0x80) if length >= 2 * MIB else (PAGE, 1, 0)
            for at in range(0, length, size):
                self.set(root, gpa + at, level, (hpa + at) | access | 0x30 | large, 7)
        return root | 0x1E

    def make_guest(self, name, cores, ranges):
        eptp = self.make_ept(ranges)
        access, self.next = self.next, self.next + PAGE
        xapic = self.make_ept(ranges + [(0xFEE00000, access, PAGE, RW)])
        for index, core in enumerate(cores):
            io_page, msr_page = self.page(ONES), self.page(ONES)
            fields = {**FIELDS, 0x2000: io_page, 0x2002: io_page, 0x2004: msr_page,
                      0x2012: self.next, 0x2014: access, 0x2016: self.next + PAGE, 0x201A: xapic,
                      0x6C02: self.cr3}
            self.next += 2 * PAGE
            vcpu = {"guest": name, "index": index, "core": core, "eptp": eptp, "xapic": xapic,
                    "access": access, "fields": fields}
            self.vcpus.append(vcpu)
            self.open(vcpu, 0x10, False)
            for msr in OPEN_MSRS:
                self.open(vcpu, msr, False)
                self.open(vcpu, msr, True)

    def open(self, vcpu, msr, write):
        """Clear the bit of an MSR in a vCPU's bitmap."""
        bit = (msr & 0x1FFF) + (0x2000 if msr >= 0xC0000000 else 0) + (0x4000 if write else 0)
        self.pages[vcpu["fields"][0x2004]][bit // 64] &= ~(1 << bit % 64)

    def make_host(self):
        self.cr3 = self.page()
        image, pool = 0xFFFFFFFF80000000, 0xFFFF800000000000
        for n in range(16):
            self.set(self.cr3, image + n * PAGE, 1, 0x200021 + n * PAGE, 0x23)
            self.set(self.cr3, image + (16 + n) * PAGE, 1, NX | (0x210063 + n * PAGE), 0x23)
        self.set(self.cr3, pool, 2, NX | POOL | 0xE3, 0x23)
        self.set(self.cr3, self.windows[0], 2, NX | 0x100000E3, 0x23)

    # Text

    def texts(self):
        """The dump's lines."""
        yield f"begin 1 {self.manifest['name']}"
        yield (f"host bits 39 pool {POOL:x} {POOL_USED:x} windows {self.windows[0]:x}"
               f" {self.windows[1]:x} cr3 {self.cr3:x}")
        for base, length, what in self.areas:
            yield f"area {base:x} {length:x} {what}"
        for core in range(3):
            yield f"core {core} apic {core} usable 1"
        for v in self.vcpus:
            yield (f"vcpu {v['guest']} {v['index']} core {v['core']} state active eptp {v['eptp']:x}"
                   f" xapic {v['xapic']:x} access {v['access']:x} fields {len(v['fields'])}")
            for number, value in v["fields"].items():
                yield f"field {v['guest']} {v['index']} {number:x}={value:x}"
        for hpa, words in sorted(self.pages.items()):
            for at in range(0, 512, 64):
                part = words[at:at + 64]
                items = [f"{part[0]:x}*64"] if len(set(part)) == 1 else [f"{w:x}" for w in part]
                yield f"page {hpa:x} {8 * at:x} {' '.join(items)}"

    def console(self, texts=None):
        """What the machine prints."""
        texts = list(self.texts() if texts is None else texts)
        texts.append(f"end {len(texts) + 1}")
        lines = ["[bulkhead] loader: GRUB"]
        for n, text in enumerate(texts):
            lines.append(f"[bulkhead] dump {n} {text}")
            if n % 7 == 0:
                lines.append("[a] tick\r[bulkhead] dump 3 core 9 apic 9 usable 1")
        return "\r\n".join(lines + [""]).encode()


def run(world, console=None, memory=None):
    """(exit status, output) of the script."""
    with tempfile.TemporaryDirectory() as folder:
        manifest, log = os.path.join(folder, "m.json"), os.path.join(folder, "log")
        with open(manifest, "w", encoding="utf-8") as file:
            json.dump(world.manifest, file)
        with open(log, "wb") as file:
            file.write(world.console() if console is None else console)
        arguments = [manifest, log]
        if memory is not None:
            path = os.path.join(folder, "memory")
            with open(path, "wb") as file:
                for base, data in memory:
                    file.seek(base)
                    file.write(data)
            arguments[:0] = ["--memory", path]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = second_opinion.main(arguments)
        return status, out.getvalue()


class Base(unittest.TestCase):
    """Each test changes its own world."""

    def setUp(self):
        self.world = World()
        self.a0, self.a1, self.b0 = self.world.vcpus

    def finds(self, *words):
        """The script names exactly such a difference, maybe with others that follow from it."""
        status, out = run(self.world)
        self.assertEqual(status, 1, out)
        lines = [line for line in out.splitlines() if line.startswith("DIFFERENCE: ")]
        self.assertTrue(any(all(word in line for word in words) for line in lines), f"{words}:\n{out}")
        self.assertTrue(out.endswith(f"second opinion: {len(lines)} differences\n"), out)


class Agreement(Base):
    def test_what_is_right_is_agreed_with(self):
        status, out = run(self.world)
        self.assertEqual((status, out.splitlines()[-1]), (0, "second opinion: agrees"), out)
        self.assertIn("guest a: vCPU 0 on core 0, vCPU 1 on core 1\n", out)
        self.assertIn("  guest-physical 0-3fffff reaches host 10000000-103fffff rwx\n", out)
        self.assertIn("  guest-physical d0000000-d0000fff reaches host 8000000-8000fff r shared:ring", out)
        self.assertIn("ports none; reads MSRs 10 174 c0000080; writes MSRs 174 c0000080\n", out)

    def test_tables_from_a_memory_image(self):
        memory = [(hpa, b"".join(word.to_bytes(8, "little") for word in words))
                  for hpa, words in self.world.pages.items()]
        memory.append((POOL + POOL_USED, b"\0"))
        console = self.world.console(t for t in self.world.texts() if not t.startswith("page"))
        self.assertEqual(run(self.world, console, memory)[0], 0)
        self.world.set(self.a0["eptp"], 0, 2, 0x200000B7)
        memory = [(hpa, b"".join(word.to_bytes(8, "little") for word in words))
                  for hpa, words in self.world.pages.items()]
        self.assertEqual(run(self.world, console, memory)[0], 1)

    def test_x2apic_mode(self):
        for vcpu in self.world.vcpus:
            fields = vcpu["fields"]
            fields[0x201A] = vcpu["eptp"]
            fields[0x401E] = fields[0x401E] & ~1 | 0x10
            self.world.open(vcpu, 0x802, False)
            for msr in (0x808, 0x80B, 0x83F):
                self.world.open(vcpu, msr, True)
        self.assertEqual(run(self.world)[0], 0)
        self.a0["fields"][0x401E] &= ~0x200  # no virtual-interrupt delivery: EOI is the host's
        self.finds("guest a: writes host MSRs 80b-80b, that should exit")

    def test_the_last_dump_counts(self):
        good = self.world.console()
        self.world.open(self.a0, 0x1B, True)
        self.assertEqual(run(self.world, self.world.console() + good)[0], 0)
        self.assertEqual(run(self.world, good + self.world.console())[0], 1)


class Memory(Base):
    def test_page_of_two_guests(self):
        self.world.set(self.b0["eptp"], 0, 2, 0x100000B7)
        self.finds("host 10000000-101fffff is reached by guest a at guest-physical 0",
                   "guest b at 0", "should be")

    def test_page_twice_in_one_guest(self):
        self.world.set(self.b0["eptp"], 0, 2, 0x202000B7)
        self.finds("host 20200000-203fffff is reached by guest b at", "and once")

    def test_page_of_the_image(self):
        self.world.set(self.b0["xapic"], 0, 2, 0x2000B7)
        self.finds("guest b: guest-physical 0 reaches host 200000-2fffff (image)", "RAM of its own")

    def test_page_outside_ram(self):
        self.world.set(self.b0["eptp"], 0, 2, 0x500000B7 | 1 << 32)
        self.finds("guest b: guest-physical 0 reaches host 150000000-1501fffff", "boot memory map")

    def test_page_outside_the_machines_ranges(self):
        self.world.manifest["machine"]["ranges"] = [{"base": MIB, "len": 0x1FF00000}]
        self.finds("guest b: guest-physical 0 reaches host 20000000-203fffff", "machine's ranges")

    def test_table_page_of_another(self):
        self.world.set(self.a0["eptp"], 0xFFFFF000, 1, self.b0["eptp"] & ~0xFFF | 0x35)
        self.finds("guest a: guest-physical fffff000 reaches host", "(page-pool)")

    def test_writable_rom(self):
        self.world.change(self.a0["eptp"], 0xFFFFF000, 1, 2)
        self.finds("guest a: guest-physical fffff000-ffffffff reaches host 1c0000 rwx", "rx (ROM)")

    def test_missing_page(self):
        self.world.set(self.a0["eptp"], 2 * MIB, 2, 0)
        self.finds("guest a: guest-physical 200000-3fffff reaches nothing", "rwx (RAM)")

    def test_additional_page(self):
        self.world.set(self.a0["eptp"], 4 * MIB, 2, 0x108000B7)
        self.finds("guest a: guest-physical 400000-5fffff reaches host 10800000 rwx", "be nothing")

    def test_reserved_bits_memory_type_and_misconfiguration(self):
        for level, bits, words in (
                (2, 0x1000, "reserved address bits"), (2, 1 << 40, "reserved address bits"),
                (2, 0x30, "memory type 0"), (2, 0x40, "PAT ignored"), (2, 5, "misconfiguration"),
                (3, 0x8, "misconfigured"), (4, 0x80, "misconfigured"), (3, 4, "all rights")):
            with self.subTest(bits=bits):
                self.setUp()
                self.world.change(self.a0["eptp"], 0, level, bits)
                self.finds("guest a: guest-physical 0", words)

    def test_pointer(self):
        for bits in (0x40, 0x8, 0x6):
            self.setUp()
            self.a0["fields"][0x201A] ^= bits
            self.a0["xapic"] ^= bits
            self.finds("guest a, vCPU 0: EPT pointer", "should say write-back")

    def test_pointer_that_is_nobodys(self):
        self.a0["fields"][0x201A] = self.b0["eptp"]
        self.finds("guest a, vCPU 0: runs on EPT pointer", "it should be")
        self.finds("also a table of")

    def test_table_outside_pool_and_dump(self):
        self.world.set(self.a0["eptp"], 0, 3, 0x10000007)
        self.finds("guest a: its EPT table is at host 10000000, which should be in the page pool")
        self.finds("is needed, but it is not in the dump")

    def test_tree_with_a_loop(self):
        table, _ = self.world.entry(self.a0["eptp"], 0, 3)
        self.world.set(self.a0["eptp"], 0, 3, table | 7)
        self.finds("is used twice in one tree")

    def test_apic_page_of_the_other_guest(self):
        self.world.set(self.a0["xapic"], 0xFEE00000, 1, self.b0["access"] | 0x33)
        self.finds("guest a, vCPU 0: guest-physical fee00000", "should be the APIC-access page")
        self.finds("is also guest a's")

    def test_apic_page_as_memory(self):
        self.a0["fields"][0x401E] &= ~1
        self.finds("guest a, vCPU 0: guest-physical fee00000", "reached as memory")

    def test_executable_apic_page(self):
        self.world.change(self.a0["xapic"], 0xFEE00000, 1, 4)
        self.finds("guest a, vCPU 0: guest-physical fee00000", "1000 bytes, rwx")


class Shared(Base):
    def test_reader_that_writes(self):
        self.world.change(self.b0["eptp"], 0xD0000000, 1, 2)
        self.finds("guest b: guest-physical d0000000-d0000fff reaches host 8000000 rw, it should be r")

    def test_executable_region(self):
        self.world.change(self.a0["eptp"], 0xD0000000, 1, 4)
        self.finds("guest a: guest-physical d0000000-d0000fff reaches host 8000000 rwx", "be rw")

    def test_region_in_two_places(self):
        for root in (self.b0["eptp"], self.b0["xapic"]):
            self.world.set(root, 0xD0000000, 1, 0x9000031)
        self.finds("shared:ring is at host 9000000 for guest b", "8000000 as for guest a")

    def test_manifest_that_lets_two_write(self):
        self.world.manifest["guests"][1]["map"][1]["access"] = "rw"
        self.finds("guest b: has shared:ring as rw in the manifest's map, it should be r")

    def test_region_that_the_manifest_does_not_share(self):
        self.world.manifest["guests"][1]["map"].pop()
        self.finds("host 8000000-8000fff is reached by guest a", "guest b at d0000000")


class PortsAndMsrs(Base):
    def test_open_port(self):
        self.world.pages[self.a1["fields"][0x2002]][0] &= ~(1 << 5)
        self.finds("guest a: reaches host ports 5-5, they should exit")
        self.finds("guest a: reaches host ports 8005-8005")

    def test_no_bitmaps(self):
        self.b0["fields"][0x4002] &= ~(1 << 25)
        self.finds("guest b: reaches host ports 0-ffff")
        self.b0["fields"][0x4002] |= 1 << 24
        self.assertEqual(run(self.world)[0], 0)  # every port exits

    def test_port_that_is_given(self):
        self.world.manifest["guests"][0]["host_ports"] = [{"base": 0x80, "len": 2}]
        self.finds("guest a: host ports 80-81 exit, it should reach them")

    def test_open_msr(self):
        self.world.open(self.a1, 0x1B, True)
        self.finds("guest a: writes host MSRs 1b-1b, that should exit")

    def test_open_x2apic_without_the_control(self):
        self.world.open(self.a1, 0x830, True)
        self.finds("guest a: writes host MSRs 830-830, that should exit")

    def test_closed_msr(self):
        self.world.manifest["guests"][1]["host_msrs"]["read"].append(0x277)
        self.finds("guest b: a read of host MSRs 277-277 exits, it should not")

    def test_controls(self):
        for field, bit, words in (
                (0x4000, 0, "external-interrupt exiting"), (0x4002, 11, "RDPMC exiting"),
                (0x4002, 21, "MOV CR8"), (0x401E, 1, "enable EPT"), (0x401E, 13, "VM functions"),
                (0x401E, 14, "VMCS shadowing"), (0x401E, 22, "mode-based"), (0x401E, 30, "understood"),
                (0x400C, 21, "IA32_EFER"), (0x6C00, 16, "CR0.WP"), (0x2C02, 11, "NXE"),
                (0x4010, 0, "VM-exit MSR-load list")):
            with self.subTest(words=words):
                self.setUp()
                self.b0["fields"][field] ^= 1 << bit
                self.finds("guest b, vCPU 0", words, "should")

    def test_controls_of_a_direct_guest(self):
        self.world.manifest["guests"][1]["apic"] = "direct"
        self.b0["fields"][0x4000] = self.b0["fields"][0x4000] & ~1 | 1 << 5
        self.b0["fields"][0x4002] &= ~(7 << 19)
        good = copy.deepcopy(self.b0["fields"])
        self.assertEqual(run(self.world)[0], 0)
        for field, bit, words in ((0x4000, 0, "external-interrupt exiting"), (0x4000, 3, "NMI exiting"),
                                  (0x4000, 5, "virtual NMIs"), (0x4002, 21, "use TPR shadow")):
            with self.subTest(words=words):
                self.b0["fields"] = {**good, field: good[field] ^ 1 << bit}
                self.finds("guest b, vCPU 0", words, "should")

    def test_field_that_is_not_there(self):
        del self.b0["fields"][0x2004]
        self.finds("guest b, vCPU 0: no VMCS fields 2004 in the dump")

    def test_guest_that_has_not_run_yet(self):
        """It loads, or was refused: no VMCS was ever in use."""
        self.b0["fields"] = {}
        code, out = run(self.world)
        self.assertEqual((code, out.splitlines()[-1]), (0, "second opinion: agrees"), out)
        self.assertIn("guest b: vCPU 0 on core 2, not run yet\n", out)
        self.world.change(self.b0["xapic"], 0x200000, 2, 0x10000000)
        self.finds("guest b, vCPU 0: EPT pointer", "leads to other host memory", "should be the same")

    def test_two_epts_of_a_guest_that_lead_to_different_places(self):
        self.world.change(self.b0["xapic"], 0x200000, 2, 0x10000000)
        self.finds("guest b, vCPU 0: EPT pointer", "leads to other host memory", "should be the same")

    def test_vcpus(self):
        self.b0["core"] = 1
        self.finds("guest b, vCPU 0: on core 1, it should be on core 2")
        self.world.manifest["guests"][1]["cpus"] = [2, 3]
        self.finds("guest b, vCPU 1: not in the dump")
        self.world.manifest["guests"][0]["cpus"] = [0]
        self.finds("guest a, vCPU 1 exists, but the manifest has no such vCPU")


class Hypervisor(Base):
    def test_writable_and_executable(self):
        self.world.change(self.world.cr3, 0xFFFFFFFF80012000, 1, NX)
        self.finds("the hypervisor's page at ffffffff80012000, host 212000", "executable")

    def test_user_page(self):
        self.world.change(self.world.cr3, 0xFFFFFFFF80000000, 1, 4)
        self.finds("the hypervisor's page at ffffffff80000000", "user mode")

    def test_guest_memory_outside_the_windows(self):
        self.world.set(self.world.cr3, 0xFFFF818000000000, 1, NX | 0x10003063, 0x23)
        self.finds("the hypervisor's page at ffff818000000000", "10003000-10003fff of guest a")

    def test_executable_window(self):
        self.world.change(self.world.cr3, self.world.windows[0], 2, NX)
        self.finds("the hypervisor's page at ffff808000000000", "executable")

    def test_cr3_of_a_core(self):
        self.b0["fields"][0x6C02] = self.a0["eptp"] & ~0xFFF
        self.finds("a core's host CR3 is", "it should be")

    def test_name(self):
        self.world.areas.append((0, 1, "ram"))
        console = self.world.console()
        self.world.manifest["name"] = "other"
        status, out = run(self.world, console)
        self.assertEqual(status, 1)
        self.assertIn("the dump is of a machine that runs test", out)


class Unusable(Base):
    """Exit status 2, and why."""

    def refused(self, console, words):
        status, out = run(self.world, console)
        self.assertEqual(status, 2, out)
        self.assertIn(words, out)

    def test_each_line_counts(self):
        lines = self.world.console().split(b"\r\n")
        ours = [i for i, line in enumerate(lines) if line.startswith(b"[bulkhead] dump")]
        for i in ours[:40:3] + ours[-5:]:
            self.refused(b"\r\n".join(lines[:i] + lines[i + 1:]),
                         "is missing" if i not in (ours[0], ours[-1])
                         else "no table dump" if i == ours[0] else "not whole")

    def test_cut_off(self):
        console = self.world.console()
        self.refused(console[:len(console) // 2], "not whole")
        self.refused(console[:-4], "not whole")
        self.refused(console + console[:9000], "not whole")

    def test_a_line_doubled(self):
        console = self.world.console()
        line = next(line for line in console.split(b"\n") if b"dump 30 " in line) + b"\n"
        self.refused(console.replace(line, line + line), "line 31 of the dump is missing")
        self.refused(console + line, "behind its end")

    def test_unknown_lines(self):
        good = list(self.world.texts())
        for bad in ("nonsense 1", "core x apic 0 usable 1", "field a 0 4000=", "page 3fc00000 0",
                    "page 3fc00000 0 0*9999", "field c 0 1=1", good[1], good[9],
                    good[12], good[13]):
            self.refused(self.world.console(good[:-1] + [bad] + good[-1:]), "unusable input")

    def test_page_that_is_not_whole(self):
        good = list(self.world.texts())
        self.refused(self.world.console(good[:-1]), "has 448 words")

    def test_no_area_of_the_hypervisor(self):
        del self.world.areas[2]
        self.refused(self.world.console(), "no `area` line for image")

    def test_a_guests_line_is_not_the_hypervisors(self):
        forged = self.world.console().replace(b"[bulkhead] dump", b"[a] x\r[bulkhead] dump")
        self.refused(forged, "no table dump")

    def test_manifest(self):
        console = self.world.console()
        for key, value in (("format", 2), ("guests", 3), ("guests", [{}]), ("shared", None)):
            self.setUp()
            if value is None:
                del self.world.manifest[key]
            else:
                self.world.manifest[key] = value
            self.refused(console, "manifest")


if __name__ == "__main__":
    unittest.main()
