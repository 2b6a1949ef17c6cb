# SPDX-License-Identifier: BSD-2-Clause
"""What every guest's PC has and where: the compiler's copy of what the hypervisor's headers say.

C_FACTS goes into each generated config.c as static assertions, so the copies cannot drift apart.
"""
from typing import NamedTuple

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4 * KIB

MAX_VCPUS = 8
MAX_SHARES, MAX_REGIONS = 8, 16  # regions of one guest, of all
MAX_REGION = GIB
MAX_RANGES = 16
MAX_CORES = 48
MIN_MEMORY, MAX_MEMORY, MEMORY_STEP = 16 * MIB, 64 * GIB, 2 * MIB
HOLE, HIGH = 3 * GIB, 4 * GIB  # RAM is below the hole, the rest of it above HIGH
LOW_RAM_END, HIGH_RAM = 0x9F000, MIB  # between them is what a BIOS has there
BLOCK_MIN = MIB  # host memory below is no guest's
VGA, VGA_END = 0xA0000, 0xC0000  # no memory for firmware guests
MAX_ROM = 16 * MIB
MAX_CMDLINE = 2047
MAX_FW_CFG_FILES = 24  # of FW_CFG_ITEMS_MAX, with room for those of guest/firmware.c
FW_CFG_OWN_FILES = ("etc/boot-cpus", "etc/e820", "etc/acpi/rsdp", "etc/acpi/tables",
                    "etc/table-loader")
HYPERVISOR = 4 * MIB  # besides the images: its code, data, tables

FEATURES = ("tpr-shadow", "apic-access", "apic-registers", "virtual-interrupts",
            "posted-interrupts", "x2apic")  # bit n of guest_config.without is the n-th

C_FACTS = {
    "VM_VCPU_MAX": MAX_VCPUS,
    "GMEM_MAX": MAX_MEMORY,
    "GMEM_HOLE_GPA": HOLE,
    "GMEM_HIGH_GPA": HIGH,
    "LINUX_LOW_RAM_END": LOW_RAM_END,
    "LINUX_HIGH_RAM_GPA": HIGH_RAM,
    "LINUX_CMDLINE_MAX": MAX_CMDLINE,
    "APICV_TPR_SHADOW": 1 << FEATURES.index("tpr-shadow"),
    "APICV_ACCESS": 1 << FEATURES.index("apic-access"),
    "APICV_REGISTERS": 1 << FEATURES.index("apic-registers"),
    "APICV_VIRTUAL_INTERRUPTS": 1 << FEATURES.index("virtual-interrupts"),
    "APICV_POSTED": 1 << FEATURES.index("posted-interrupts"),
    "APICV_X2APIC": 1 << FEATURES.index("x2apic"),
    "PAGES_BLOCK_MIN": BLOCK_MIN,
    "ACPI_PM1A_EVT_PORT": 0x600,
    "IOAPIC_GPA": 0xFEC00000,
    "CPU_MAX": MAX_CORES,
    "CONFIG_SHARES_MAX": MAX_SHARES,
    "CONFIG_REGIONS_MAX": MAX_REGIONS,
    "CONFIG_REGION_LEN_MAX": MAX_REGION,
    "CONFIG_RANGES_MAX": MAX_RANGES,
}
C_HEADERS = ("arch/x86/cpu.h", "guest/acpi_tables.h", "guest/gmem.h", "guest/load_linux.h",
             "guest/vm.h", "mm/pages.h")


class Range(NamedTuple):
    """Addresses or ports that one thing has. `line` is where the config says so, 0: nowhere."""

    base: int
    len: int
    what: str
    line: int = 0

    @property
    def end(self):
        """The first one behind it."""
        return self.base + self.len

    def meets(self, other):
        """Whether they have an address in common."""
        return self.base < other.end and other.base < self.end

    def show(self):
        """First and last, as people write them."""
        return f"{self.base:#x}-{self.end - 1:#x}" if self.len > 1 else f"{self.base:#x}"


# Ports of the devices that each guest has (devices/, guest/port.c).
PORTS = (
    Range(0x20, 2, "8259 pair"), Range(0xA0, 2, "8259 pair"), Range(0x4D0, 2, "8259 pair"),
    Range(0x40, 4, "8254"), Range(0x61, 1, "8254"), Range(0x70, 2, "MC146818"),
    Range(0x60, 1, "reset ports"), Range(0x64, 1, "reset ports"), Range(0x92, 1, "reset ports"),
    Range(0x80, 1, "POST port"), Range(0x3F8, 8, "16550A"), Range(0x600, 12, "ACPI PM"),
    Range(0xCF8, 8, "PCI host bridge"),
)
FW_CFG_PORTS = (Range(0x510, 2, "fw_cfg"), Range(0x514, 8, "fw_cfg"))
WATCHDOG_PORT, WATCHDOG_PORTS, EXIT_PORTS = 0x620, 8, 1

IRQS = {0: "8254", 2: "8259 pair", 4: "16550A", 8: "MC146818", 9: "ACPI PM"}

DEVICES = ("8259 pair", "8254", "I/O APIC", "local APIC", "MC146818", "16550A", "ACPI PM",
           "PCI host bridge", "reset ports", "POST port")
CHIP_SET = Range(0xFEC00000, 4 * GIB - 0xFEC00000, "the chip set")  # I/O APIC, HPET, local APIC, ROM

# MSRs that a guest reads and writes without an exit: arch/x86/vmx/vcpu.c, in the SDM's numbers.
MSR_TSC, MSR_TSC_AUX = 0x10, 0xC0000103
GUEST_MSRS = (
    0x174, 0x175, 0x176,  # IA32_SYSENTER_CS, ESP, EIP
    0x277,  # IA32_PAT
    0xC0000080, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084,  # EFER, STAR, LSTAR, CSTAR, FMASK
    0xC0000100, 0xC0000101, 0xC0000102,  # FS_BASE, GS_BASE, KERNEL_GS_BASE
    MSR_TSC_AUX,
)
# And a guest with its core's own local APIC, besides: SDM 3A "x2APIC Register Address Space".
DIRECT_READ = (0x6E0, 0x808, 0x80A, 0x80F, *range(0x810, 0x829), 0x832, 0x838, 0x839, 0x83E)
DIRECT_WRITE = (0x6E0, 0x808, 0x80B, 0x80F, 0x828, 0x832, 0x838, 0x83E, 0x83F)


def align_up(value, step):
    """The next multiple, or the value itself."""
    return (value + step - 1) // step * step


def size(value):
    """Bytes as people write them."""
    for unit, letter in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if value and value % unit == 0:
            return f"{value // unit}{letter}"
    return str(value) if value < KIB else f"{value / (MIB if value >= MIB else KIB):.1f}" + (
        "M" if value >= MIB else "K")
