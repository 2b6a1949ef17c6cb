# SPDX-License-Identifier: BSD-2-Clause
"""scripts/config_probe on made-up machines: /sys and /proc as files, the tables built here."""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "scripts", "config_probe")
MIB, GIB = 1 << 20, 1 << 30

FLAGS = "fpu msr apic vmx est tsc nonstop_tsc"
VMX_FLAGS = "vnmi preemption_timer invvpid ept_x_only tsc_offset vtpr ept vpid unrestricted_guest vapic_reg"
IOPORTS = "0000-0cf7 : PCI Bus 0000:00\n  0020-0021 : pic1\n  03f8-03ff : serial\n"


def table(signature, body):
    """An ACPI table with a right length and checksum."""
    data = bytearray(struct.pack("<4sIBB6s8sI4sI", signature.encode(), 36 + len(body), 1, 0, b"TEST", b"TEST", 1, b"TEST", 1))
    data += body
    data[9] = -sum(data) & 0xFF
    return bytes(data)


def madt(*entries):
    return table("APIC", struct.pack("<II", 0xFEE00000, 1) + b"".join(entries))


def lapic(apic_id, flags=1):
    return struct.pack("<BBBBI", 0, 8, apic_id, apic_id, flags)


def x2apic(apic_id, flags=1):
    return struct.pack("<BBHIII", 9, 16, 0, apic_id, flags, apic_id)


IOAPIC = struct.pack("<BBBBII", 1, 12, 1, 0, 0xFEC00000, 0)


def fadt(flags=0):
    return table("FACP", bytes(76) + struct.pack("<I", flags) + bytes(160))


def srat(*ranges):
    body = bytes(12)
    for domain, base, length in ranges:
        body += struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, base, length, 0, 1, 0)
    return table("SRAT", body)


def spcr(space, address):
    return table("SPCR", bytes(4) + struct.pack("<BBBBQ", space, 8, 0, 1, address) + bytes(28))


def cpuinfo(apic_ids, flags=FLAGS, vmx_flags=VMX_FLAGS, vendor="GenuineIntel"):
    text = ""
    for cpu, apic_id in apic_ids.items():
        text += f"processor\t: {cpu}\nvendor_id\t: {vendor}\nmodel name\t: Test CPU @ 1.00GHz\napicid\t\t: {apic_id}\n"
        text += f"flags\t\t: {flags}\n" + (f"vmx flags\t: {vmx_flags}\n" if vmx_flags is not None else "") + "\n"
    return text


class Probe(unittest.TestCase):
    """A machine of files for each test, with four processors in two cores."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="config_probe.")
        self.addCleanup(shutil.rmtree, self.root)
        self.put_tables(APIC=madt(IOAPIC, lapic(0), lapic(2), lapic(1), lapic(3), lapic(7, 0)), FACP=fadt(), DMAR=b"")
        self.put("proc/cpuinfo", cpuinfo({0: 0, 1: 2, 2: 1, 3: 3}))
        self.put("proc/ioports", IOPORTS)
        self.put_memory((0, 0x9FC00), (0x100000, 2 * GIB), (4 * GIB, 6 * GIB))
        self.put_threads("0,2", "1,3", "0,2", "1,3")

    def put(self, name, content):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())

    def remove(self, name):
        path = os.path.join(self.root, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)

    def put_tables(self, **tables):
        for name, content in tables.items():
            self.put(f"sys/firmware/acpi/tables/{name}", content)

    def put_threads(self, *siblings):
        self.put("sys/devices/system/cpu/present", f"0-{len(siblings) - 1}\n")
        for cpu, text in enumerate(siblings):
            self.put(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", text + "\n")

    def put_memory(self, *blocks, kind="System RAM"):
        for number, (base, length) in enumerate(blocks):
            for name, value in (("start", hex(base)), ("end", hex(base + length - 1)), ("type", kind)):
                self.put(f"sys/firmware/memmap/{number}/{name}", value + "\n")

    def run_probe(self, *arguments, status=0):
        """(the config, the text on stdout, the text on stderr)."""
        done = subprocess.run([sys.executable, SCRIPT, "--root", self.root, *arguments], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return yaml.safe_load(done.stdout), done.stdout, done.stderr

    def assert_says(self, text, *arguments):
        config, out, _ = self.run_probe(*arguments)
        self.assertIn(text, out)
        return config

    # A machine as it should be

    def test_config_of_a_good_machine(self):
        config, out, err = self.run_probe()
        self.assertEqual(err, "")
        self.assertNotIn("refuse", out)
        self.assertEqual(config["machine"], {"cores": 4, "memory": "8G", "threads": [[0, 2], [1, 3]],
                                             "share_threads": False})
        self.assertEqual([guest["name"] for guest in config["guests"]], ["linux", "heartbeat"])
        self.assertEqual([guest["cpus"] for guest in config["guests"]], [[0, 2], [1]])
        self.assertEqual(config["console"], "linux")

    def test_cores_are_numbered_as_bulkhead_does(self):
        """The boot processor first, wherever the MADT has it; then the MADT's order, not Linux's."""
        self.put_tables(APIC=madt(lapic(4), lapic(0), x2apic(300), lapic(2, 2), lapic(255), lapic(4), lapic(6)))
        self.put("proc/cpuinfo", cpuinfo({0: 6, 1: 4, 2: 0, 3: 300}))
        self.put_threads("0,2", "1,3", "0,2", "1,3")
        config, out, _ = self.run_probe()
        # Bulkhead: 0 = ID 6 (cpu0), 1 = ID 4 (cpu1), 2 = ID 0 (cpu2), 3 = ID 300 (cpu3)
        self.assertEqual(config["machine"]["cores"], 4)
        self.assertEqual(config["machine"]["threads"], [[0, 2], [1, 3]])
        self.assertNotIn("Linux's cpu", out)
        self.put_tables(APIC=madt(lapic(0), x2apic(300), lapic(4), lapic(6)))
        config, out, _ = self.run_probe()
        # Now: 0 = ID 6 (cpu0), 1 = ID 0 (cpu2), 2 = ID 300 (cpu3), 3 = ID 4 (cpu1)
        self.assertEqual(config["machine"]["threads"], [[0, 1], [2, 3]])
        self.assertEqual([guest["cpus"] for guest in config["guests"]], [[0, 1], [2]])
        for line in ("core 1: Linux's cpu2, APIC id 0", "core 2: Linux's cpu3, APIC id 300",
                     "core 3: Linux's cpu1, APIC id 4"):
            self.assertIn(line, out)

    def test_without_threads_there_is_no_such_key(self):
        self.put_threads("0", "1", "2", "3")
        config, _, _ = self.run_probe()
        self.assertNotIn("threads", config["machine"])
        self.assertEqual([guest["cpus"] for guest in config["guests"]], [[0, 1], [2]])

    def test_processors_that_linux_does_not_use(self):
        self.put("proc/cpuinfo", cpuinfo({0: 0}))
        self.put("sys/devices/system/cpu/present", "0\n")
        config, out, err = self.run_probe()
        self.assertEqual(config["machine"]["cores"], 4)
        self.assertIn("core 3: not in use by Linux, APIC id 3", out)
        self.assertIn("threads of one is not known for all", err)

    def test_more_processors_than_bulkhead_starts(self):
        self.put_tables(APIC=madt(*map(lapic, range(64))))
        self.put("proc/cpuinfo", cpuinfo({cpu: cpu for cpu in range(64)}))
        self.put_threads(*(f"{cpu % 32},{cpu % 32 + 32}" for cpu in range(64)))
        config = self.assert_says("64 logical processors; Bulkhead uses the first 48")
        self.assertEqual(config["machine"]["cores"], 48)
        self.assertEqual(config["machine"]["threads"], [[i, i + 32] for i in range(16)])
        self.assertEqual(len(config["guests"][0]["cpus"]), 8)
        self.assertTrue(set(config["guests"][0]["cpus"]).isdisjoint(config["guests"][1]["cpus"]))

    def test_one_core(self):
        self.put_tables(APIC=madt(lapic(0)))
        self.put("proc/cpuinfo", cpuinfo({0: 0}))
        self.put_threads("0")
        config = self.assert_says("too few cores for a second guest: there is one logical processor")
        self.assertEqual([guest["name"] for guest in config["guests"]], ["linux"])

    def test_one_core_with_two_threads_is_not_shared(self):
        self.put_tables(APIC=madt(lapic(0), lapic(1)))
        self.put("proc/cpuinfo", cpuinfo({0: 0, 1: 1}))
        self.put_threads("0-1", "0-1")
        config = self.assert_says("all logical processors are threads of one core")
        self.assertEqual([guest["cpus"] for guest in config["guests"]], [[0, 1]])

    # Memory

    def test_memory_is_the_sum_rounded_down(self):
        self.assertEqual(self.run_probe()[0]["machine"]["memory"], "8G")

    def test_linux_gets_half_of_the_largest_block_at_most(self):
        self.assertEqual(self.run_probe()[0]["guests"][0]["memory"], "3G")

    def test_iomem_where_there_is_no_memmap(self):
        self.remove("sys/firmware/memmap")
        self.put("proc/iomem", "00000000-00000fff : Reserved\n00100000-400fffff : System RAM\n  01000000-01ffffff : Kernel code\n")
        config, _, err = self.run_probe()
        self.assertEqual((config["machine"]["memory"], err), ("1G", ""))

    def test_meminfo_where_addresses_are_hidden(self):
        self.remove("sys/firmware/memmap")
        self.put("proc/iomem", "00000000-00000000 : System RAM\n")
        self.put("proc/meminfo", "MemTotal:        2000000 kB\n")
        config, _, err = self.run_probe()
        self.assertEqual(config["machine"]["memory"], "1952M")
        self.assertIn("/sys/firmware/memmap and /proc/iomem (both tell root only)", err)

    def test_no_memory_known(self):
        self.remove("sys/firmware/memmap")
        config, _, err = self.run_probe()
        self.assertNotIn("memory", config["machine"])
        self.assertIn("how much memory there is, is not known", err)

    def test_little_memory(self):
        self.remove("sys/firmware/memmap")
        self.put_memory((0, 160 * MIB))
        self.assert_says("little memory: Linux with the demo's initrd needs 128M")

    def test_reserved_memory_does_not_count(self):
        self.remove("sys/firmware/memmap")
        self.put_memory((0, GIB), kind="Reserved")
        self.assertNotIn("memory", self.run_probe()[0]["machine"])

    # What Bulkhead misses

    def test_no_vmx(self):
        self.put("proc/cpuinfo", cpuinfo({0: 0}, flags="fpu", vmx_flags=None))
        self.assert_says("CPUID.1:ECX.VMX[bit 5] is 0")

    def test_each_vmx_flag_has_its_name(self):
        for flag, name in (("ept", '(48BH) bit 33 is 0: "enable EPT" is missing'),
                           ("unrestricted_guest", '(48BH) bit 39 is 0: "unrestricted guest" is missing'),
                           ("vpid", '(48BH) bit 37 is 0: "enable VPID" is missing'),
                           ("vnmi", '(481H) bit 37 is 0: "virtual NMIs" is missing'),
                           ("preemption_timer", '(481H) bit 38 is 0: "activate VMX-preemption timer" is missing'),
                           ("tsc_offset", '(482H) bit 35 is 0: "use TSC offsetting" is missing'),
                           ("invvpid", '(48CH) bit 32 is 0: "INVVPID" is missing')):
            words = [word for word in VMX_FLAGS.split() if word != flag]
            self.put("proc/cpuinfo", cpuinfo({0: 0}, vmx_flags=" ".join(words)))
            self.assert_says(name)
            self.assert_says("Bulkhead will refuse to run here:")

    def test_old_linux_without_vmx_flags(self):
        self.put("proc/cpuinfo", cpuinfo({0: 0}, vmx_flags=None))
        _, out, err = self.run_probe()
        self.assertIn("EPT, VPID and unrestricted guest are not known", err)
        self.assertNotIn("refuse", out)

    def test_other_vendor(self):
        self.put("proc/cpuinfo", cpuinfo({0: 0}, vendor="AuthenticAMD"))
        self.assert_says("the vendor is AuthenticAMD")

    def test_hypervisor(self):
        self.put("proc/cpuinfo", cpuinfo({0: 0}, flags=FLAGS + " hypervisor"))
        self.assert_says("this is a virtual machine")

    def test_no_invariant_tsc(self):
        self.put("proc/cpuinfo", cpuinfo({0: 0}, flags="vmx"))
        self.assert_says("no invariant TSC")

    def test_no_serial_port(self):
        self.put("proc/ioports", "0000-0cf7 : PCI Bus\n  02f8-02ff : serial\n")
        self.assert_says("Linux knows no serial port at 3F8H")

    def test_ioports_without_root(self):
        self.put("proc/ioports", "0000-0000 : PCI Bus\n  0000-0000 : serial\n")
        self.assertIn("/proc/ioports (shows addresses to root only)", self.run_probe()[2])

    def test_spcr(self):
        self.put_tables(SPCR=spcr(0, 0xFE001000))
        self.assert_says("serial port at address FE001000H (SPCR)")
        self.put_tables(SPCR=spcr(1, 0x3F8))
        self.put("proc/ioports", "")
        self.assertNotIn("serial", self.run_probe()[1])

    def test_hardware_reduced(self):
        self.put_tables(FACP=fadt(1 << 20))
        self.assert_says("HW_REDUCED_ACPI is set")

    def test_iommu(self):
        self.assert_says("VT-d is there (DMAR); Bulkhead does not use it")
        self.remove("sys/firmware/acpi/tables/DMAR")
        self.assert_says("VT-d is not there (no DMAR)")

    def test_memory_domains(self):
        self.put_tables(SRAT=srat((0, 0, 4 * GIB), (1, 4 * GIB, 4 * GIB)))
        self.assert_says("#   domain 1: 0x100000000-0x1ffffffff")
        self.put_tables(SRAT=srat((0, 0, 4 * GIB), (0, 4 * GIB, 4 * GIB)))
        self.assertNotIn("domain", self.run_probe()[1])

    # CPUID by the instruction

    def test_cpuid_dump(self):
        """VMX is there and Linux does not use it: firmware's lock."""
        self.put("proc/cpuinfo", cpuinfo({0: 0}, flags="fpu nonstop_tsc", vmx_flags=None))
        dump = os.path.join(self.root, "dump")
        self.put("dump", "CPU 0:\n   0x00000001 0x00: eax=0x000506e3 ebx=0x00100800 ecx=0x80000020 edx=0xbfebfbff\n")
        self.assert_says("is IA32_FEATURE_CONTROL (3AH) locked", "--cpuid", dump)
        self.assert_says("this is a virtual machine", "--cpuid", dump)
        self.put("dump", "CPU 0:\n   0x00000001 0x00: eax=0x000506e3 ebx=0x00100800 ecx=0x00000000 edx=0xbfebfbff\n")
        self.assert_says("CPUID.1:ECX.VMX[bit 5] is 0", "--cpuid", dump)

    def test_apic_ids_by_cpuid(self):
        """Where /proc/cpuinfo is silent, leaf 1 of each processor numbers the cores."""
        self.remove("proc/cpuinfo")
        rows = "".join(f"CPU {cpu}:\n   0x00000001 0x00: eax=0x0 ebx=0x{apic_id:02x}000000 ecx=0x20 edx=0x0\n"
                       for cpu, apic_id in enumerate((0, 3, 2, 1)))
        self.put("dump", rows)
        _, out, _ = self.run_probe("--cpuid", os.path.join(self.root, "dump"))
        self.assertIn("core 1: Linux's cpu2, APIC id 2", out)

    def test_dump_that_is_not_there(self):
        self.assertIn("CPUID is taken from the machine", self.run_probe("--cpuid", "/nonexistent")[2])

    # Missing and hostile sources

    def test_each_source_may_be_missing(self):
        for name in ("sys/firmware/acpi/tables/APIC", "sys/firmware/acpi/tables/FACP", "proc/ioports",
                     "sys/firmware/acpi", "proc/cpuinfo", "sys/devices/system/cpu/cpu1"):
            with self.subTest(name):
                kept = self.root + ".kept"
                shutil.copytree(self.root, kept)
                self.remove(name)
                _, _, err = self.run_probe()
                self.assertIn("config_probe: not found out: ", err)
                shutil.rmtree(self.root)
                os.rename(kept, self.root)

    def test_nothing_at_all(self):
        shutil.rmtree(self.root)
        os.mkdir(self.root)
        _, out, err = self.run_probe(status=1)
        self.assertEqual(out, "")
        self.assertIn("no processor found", err)

    def test_without_the_madt_linux_counts(self):
        self.remove("sys/firmware/acpi/tables/APIC")
        config, _, err = self.run_probe()
        self.assertEqual(config["machine"]["threads"], [[0, 2], [1, 3]])
        self.assertIn("cores are numbered as Linux numbers them", err)

    def test_broken_madts_are_refused_as_bulkhead_does(self):
        good = madt(lapic(0), lapic(1))
        wrong_sum = good[:-1] + bytes([good[-1] ^ 1])
        for data, why in ((b"", "0 bytes, shorter"), (good[:20], "20 bytes, shorter"), (good[:-1], "its header says"),
                          (wrong_sum, "its checksum is wrong"), (fadt(), "its signature"), (table("APIC", b"abc"), "too short"),
                          (madt(b"\0\0"), "wrong length"), (madt(b"\0\x07\0\0\0\0\0"), "wrong length"),
                          (madt(b"\x63\x01"), "wrong length"), (madt(lapic(0)[:-1]), "wrong length"),
                          (madt(b"\0"), "wrong length"), (madt(lapic(0, 0)), "no enabled processor"), (madt(), "no enabled")):
            self.put_tables(APIC=data)
            self.assert_says(why)
            self.assert_says("refuse to run here")

    def test_names_cannot_leave_their_comment(self):
        self.put("proc/cpuinfo", "processor : 0\nvendor_id : Evil\rguests: []\x85\nmodel name : a\u2028b: [\x00\n\n")
        config, out, _ = self.run_probe()
        self.assertEqual(len(config["guests"]), 2)
        self.assertTrue(all(" " <= char <= "~" or char == "\n" for char in out))

    def test_absurd_numbers(self):
        self.put("sys/devices/system/cpu/present", "0-99999999999999999999,5-1,x\n")
        self.put("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-99999999999,-,7-\n")
        self.put("proc/cpuinfo", cpuinfo({0: 99999999999999, 99999: 1}))
        self.put_memory((1 << 70, 4), (0, 1 << 80))
        self.put("sys/firmware/memmap/5/start", "0xzz")
        self.assertEqual(self.run_probe()[0]["machine"]["memory"], "6G")

    def test_noise(self):
        """Whatever bytes the sources have, there is a config or a sentence."""
        noise = random.Random(1)
        names = ["proc/cpuinfo", "proc/ioports", "sys/firmware/memmap/0/start", "sys/devices/system/cpu/present",
                 "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"]
        names += [f"sys/firmware/acpi/tables/{name}" for name in ("APIC", "FACP", "SRAT", "SPCR")]
        self.put_tables(SRAT=srat((0, 0, GIB), (1, GIB, GIB)), SPCR=spcr(1, 0x2F8))
        originals = {}
        for name in names:
            with open(os.path.join(self.root, name), "rb") as stream:
                originals[name] = stream.read()
        for _ in range(60):
            for name, content in originals.items():
                data = bytearray(content)
                for _ in range(noise.randrange(4)):
                    data[noise.randrange(len(data))] = noise.randrange(256)
                data = data[:noise.randrange(len(data) + 1)] if noise.random() < 0.3 else data
                if "tables" in name and len(data) >= 36 and noise.random() < 0.7:
                    struct.pack_into("<I", data, 4, len(data))
                    data[9] = (data[9] - sum(data)) & 0xFF
                self.put(name, bytes(data))
            done = subprocess.run([sys.executable, SCRIPT, "--root", self.root], check=False, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            self.assertNotIn(b"Traceback", done.stderr)
            self.assertIn(done.returncode, (0, 1))
            yaml.safe_load(done.stdout.decode())


if __name__ == "__main__":
    unittest.main()
