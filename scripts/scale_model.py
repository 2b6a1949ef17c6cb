# SPDX-License-Identifier: BSD-2-Clause
"""What Bulkhead takes for each core and each guest, as formulas; scripts/scale holds them against measurements.

The formulas say in Python what the code does in C: each names its function. Constants are read from the
headers and from the compiler, so that a formula goes with them.
"""
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).resolve().parent.parent
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE, PAGE_2M, PAGE_1G = 4 * KIB, 2 * MIB, GIB


# --- constants of the code -------------------------------------------------------------------------


def define(header, name):
    """The number that a header defines."""
    text = (TREE / header).read_text(encoding="utf-8")
    found = re.search(rf"(?m)^#define {name} +(0x[0-9a-fA-F]+|\d+)u?l*\b", text)
    return int(found[1], 0)


CPU_MAX = define("arch/x86/cpu.h", "CPU_MAX")
VCPU_MAX = define("guest/vm.h", "VM_VCPU_MAX")
SOURCES_MAX = define("guest/console.c", "SOURCES_MAX")
REPORT_LEN = define("guest/console.c", "REPORT_LEN")
RANGES_MAX = define("guest/isolation.h", "ISOLATION_RANGES")
POOL_PAGES = define("guest/isolation.h", "ISOLATION_POOL_PAGES")
IST_PAGES = define("boot/main.c", "IST_PAGES")
STACK_SIZE = define("arch/x86/layout.h", "STACK_SIZE")
STACK_STRIDE = define("arch/x86/layout.h", "STACK_STRIDE")
WINDOW_SLOTS = define("arch/x86/layout.h", "WINDOW_SLOTS")
SETTLE_US = define("arch/x86/smp.c", "INIT_SETTLE_US")
UART_FIFO = 16
BYTE_US = 10 / 115200 * 1e6  # a byte on the serial line
PLACES = {name: define("arch/x86/layout.h", f"{name}_VA")
          for name in ("IMAGE", "POOL", "WINDOW", "STACK", "DEVICE", "JOURNAL")}
LAPIC_GPA, HIGH_GPA, LOW_MAX = 0xFEE00000, 4 * GIB, 3 * GIB
VGA, VGA_END = 0xA0000, 0xC0000

SIZES = {"vm": "sizeof(struct vm)", "vcpu": "sizeof(struct vcpu)", "cpu": "sizeof(struct cpu)",
         "reach": "sizeof(struct reach)", "acpi_cpu": "sizeof(struct acpi_cpu)", "lock": "offsetof(struct vm, lock)"}


def sizes():
    """What the compiler makes of the structures, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        source, object_file = Path(folder) / "sizes.c", Path(folder) / "sizes.o"
        headers = ("stddef.h", "arch/x86/acpi.h", "arch/x86/cpu.h", "guest/isolation.h", "guest/vm.h")
        source.write_text("".join(f'#include "{name}"\n' for name in headers)
                          + "".join(f"char {name}_size[{value}];\n" for name, value in SIZES.items()))
        subprocess.run(["gcc", "-std=c11", "-ffreestanding", "-mgeneral-regs-only", f"-I{TREE}", "-c", source, "-o",
                        object_file], check=True)
        text = subprocess.run(["nm", "-S", object_file], check=True, text=True, stdout=subprocess.PIPE).stdout
    return {name: int(size, 16) for size, name in re.findall(r" (\w+) \w (\w+)_size", text)}


# --- pages of the pool -----------------------------------------------------------------------------


class Guest(NamedTuple):
    """What of a guest counts here."""

    memory: int
    vcpus: int = 1
    rom: int = 0  # bytes of a firmware's
    direct: bool = False


def leaves(addr, host, length, largest):
    """(address, level) of each page of a mapping, the largest that fit: pt_map() and largest_level(), mm/pt.c."""
    while length:
        level = largest
        while level > 1 and ((addr | host) % (PAGE << 9 * (level - 1)) or length < PAGE << 9 * (level - 1)):
            level -= 1
        yield addr, level
        step = PAGE << 9 * (level - 1)
        addr, host, length = addr + step, host + step, length - step


def tables(pages):
    """Pages of tables that lead to them, the root too: descend_one(), mm/pt.c."""
    found = {(4, 0)}
    for addr, level in pages:
        found |= {(table, (addr & (1 << 48) - 1) >> 12 + 9 * table) for table in range(level, 4)}
    return len(found)


def core_pages(cores):
    """Area and VMXON region, stacks: make_cpu(), map_stacks(), boot/main.c."""
    return cores * (2 + IST_PAGES + STACK_SIZE // PAGE)


def stack_pages(core):
    """Where they are mapped."""
    base = PLACES["STACK"] + core * STACK_STRIDE
    return [base + (2 * i + 1) * PAGE for i in range(IST_PAGES)] + [
        base + STACK_STRIDE - STACK_SIZE + at for at in range(0, STACK_SIZE, PAGE)]


def host_pages(cores, image, devices=2):
    """(address, level) of all that is mapped in root mode: hv_main(), map_image(), make_cpu(), boot/main.c.
    `image`: lengths of text, constants and data; `devices`: the local APIC and each I/O APIC."""
    found = [(PLACES["POOL"], 2), (PLACES["JOURNAL"], 1)]
    at = 0
    for length in image:
        found += leaves(PLACES["IMAGE"] + at, PAGE_2M + at, length, 2)
        at += length
    found += [(PLACES["DEVICE"] + i * PAGE, 1) for i in range(devices)]
    for core in range(cores):
        found += [(PLACES["WINDOW"] + (core * WINDOW_SLOTS + slot) * PAGE_2M, 2) for slot in range(WINDOW_SLOTS)]
        found += [(va, 1) for va in stack_pages(core)]
    return found


def guest_ranges(guest):
    """(guest-physical, host-physical modulo 1 GiB, length): load_create(), guest/load.c. A block of 1 GiB or
    more lies at a multiple of that."""
    low = min(guest.memory, LOW_MAX)
    found = [(0, 0, VGA), (VGA_END, VGA_END, low - VGA_END)] if guest.rom else [(0, 0, low)]
    if guest.memory > low:
        found.append((HIGH_GPA, 0, guest.memory - low))
    if guest.rom:
        found.append((HIGH_GPA - guest.rom, 0, guest.rom))
    return found


def ept_pages(guest):
    """Both sets of tables; the second has the page at FEE00000H, too: load_make_ept(), create_apic_page()."""
    ram = [page for gpa, hpa, length in guest_ranges(guest) for page in leaves(gpa, hpa, length, 3)]
    return tables(ram), 0 if guest.direct else tables(ram + [(LAPIC_GPA, 1)])


def guest_pages(guest):
    """Tables, APIC-access page, and of each vCPU the VMCS, two bitmaps, virtual-APIC page and posted-interrupt
    descriptor: vm_create(), guest/vm.c, and vcpu_create(), arch/x86/vmx/vcpu.c."""
    return sum(ept_pages(guest)) + (0 if guest.direct else 1) + 5 * guest.vcpus


def pool(cores, guests, image):
    """Pages of the pool by purpose."""
    return Counter({"cores": core_pages(cores), "host tables": tables(host_pages(cores, image)),
                    "EPTs": sum(sum(ept_pages(g)) for g in guests),
                    "guests' other pages": sum(guest_pages(g) - sum(ept_pages(g)) for g in guests)})


def range_count(guests):
    """struct reach: a run of guest-physical memory with one kind of access; the APIC page is one."""
    return sum(len(guest_ranges(g)) + (0 if g.direct else 1) for g in guests)


def looked_at(cores, guests, image):
    """Pages that isolation_check() reads entry by entry: (tables of guests and our own, bitmaps)."""
    return (tables(host_pages(cores, image)) + sum(sum(ept_pages(g)) for g in guests), 2 * sum(g.vcpus for g in guests))


def own_pages(cores, image):
    """Entries of our own tables that it looks at, the empty windows apart: check_host_page()."""
    return len(host_pages(cores, image)) - cores * WINDOW_SLOTS


def compared(cores, guests, image):
    """How often it compares two pieces of host memory: each range with those before it, each page of our own with
    each range: check_reaches(), check_host_page()."""
    ranges = range_count(guests)
    return ranges * (ranges - 1) // 2 + ranges * own_pages(cores, image)


def most_guests(cores, guest, image):
    """So many such guests have room in the pool, and in the cores."""
    count = 0
    while (count + 1) * guest.vcpus <= cores and \
            sum(pool(cores, [guest] * (count + 1), image).values()) <= POOL_PAGES:
        count += 1
    return count
