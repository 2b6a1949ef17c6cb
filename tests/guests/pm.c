/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's fixed hardware, the ports beside it, and PCI configuration. Sources: ACPI specification
 * 6.4, "Power Management Timer", "PM1 Event Grouping"; PCI Local Bus Specification 3.0,
 * "Configuration Space Decoding"; Intel 82371AB (PIIX4) data sheet.
 */
#include "tests/guests/devtest.h"

#define TMR_STS 0x0001u

void test_pm(void)
{
    uint32_t first, second;
    unsigned backwards = 0;

    quiet();
    if (acpi.pm1_cnt != 0 && (inw(acpi.pm1_cnt) & 1) == 0 && acpi.smi_cmd != 0) {
        outb(acpi.smi_cmd, (uint8_t)acpi.acpi_enable);
        tsc_delay(us(1000));
    }
    check("sci-enabled", inw(acpi.pm1_cnt) & 1, 1);
    first = inl(acpi.pm_timer);
    tsc_delay(us(10000));
    second = inl(acpi.pm_timer);
    check("timer-rate", within((second - first) & 0xffffff, 35400, 36800), true);
    check("timer-24-or-32-bits", first >> 24 == 0 || second >> 24 != 0, true);
    outl(acpi.pm_timer, 0);
    check("timer-read-only", within((inl(acpi.pm_timer) - second) & 0xffffff, 0, 10000), true);
    for (unsigned i = 0; i < 1000; i++) {
        first = inl(acpi.pm_timer);
        second = inl(acpi.pm_timer);
        backwards += ((second - first) & 0x800000) != 0;
    }
    check("timer-never-goes-back", backwards, 0);
    outw(acpi.pm1_evt + 2, 0);
    check("enables-off", inw(acpi.pm1_evt + 2), 0);
    outw(acpi.pm1_evt + 2, 0x0120);
    check("enables-read-back", inw(acpi.pm1_evt + 2), 0x0120);
    outw(acpi.pm1_evt + 2, 0);
    outw(acpi.pm1_evt, 0xffff);
    check("status-cleared-by-1", inw(acpi.pm1_evt) & 0x0521, 0);
    check("control-sleep-enable-reads-0", inw(acpi.pm1_cnt) & 0x2000, 0);
    quiet();
}

/* TMR_STS is the only event that comes by itself: of a 24-bit timer, each 2.34 s. */
static void check_sci(void)
{
    uint64_t start = rdtsc();

    outw(acpi.pm1_evt + 2, TMR_STS); /* bit 23 toggles each 2.34 s */
    while ((inw(acpi.pm1_evt) & TMR_STS) == 0 && rdtsc() - start < us(2600000)) {
        for (unsigned i = 0; i < 3000; i++)
            __asm__ volatile("" : : : "memory");
    }
    check("timer-status", inw(acpi.pm1_evt) & TMR_STS, TMR_STS);
    outb(0x4d1, 0x02); /* IRQ9 is a level */
    outb(PORT_PIC1_DATA, 0xfb);
    outb(PORT_PIC2_DATA, 0xfd);
    check("sci-is-irq-9", take(), VECTOR_PIC2 + 1);
    differs(BOCHS, 0, "FADT SCI_INT is 9; in Bochs nothing comes there");
    outb(PORT_PIC2_CMD, 0x20);
    outb(PORT_PIC1_CMD, 0x20);
    check("sci-is-a-level", take(), VECTOR_PIC2 + 1);
    differs(BOCHS, 0, "FADT SCI_INT is 9; in Bochs nothing comes there");
    outw(acpi.pm1_evt, TMR_STS);
    outb(PORT_PIC2_CMD, 0x20);
    outb(PORT_PIC1_CMD, 0x20);
    check("sci-falls-with-the-status", take(), 0);
    check("timer-status-cleared", inw(acpi.pm1_evt) & TMR_STS, 0);
    outw(acpi.pm1_evt + 2, 0);
    quiet();
}

void test_sci(void)
{
    if (present(!acpi.timer_32, GUEST,
                "FADT TMR_VAL_EXT: bit 31 of its timer toggles each 20 minutes"))
        check_sci();
}

void test_ports(void)
{
    outb(0x92, 0x02);
    check("92h-a20", inb(0x92) & 0x03, 0x02);
    outb(0xcf9, 0x02);
    check("cf9-reads-back", inb(0xcf9) & 0x06, 0x02);
    outb(0xcf9, 0x00);
    check("cf9-clears", inb(0xcf9) & 0x06, 0);
    outb(PORT_POST, 0x5a); /* nobody answers: no effect, no fault */
    check("80h-write", true, true);
    check("unclaimed-8", inb(PORT_UNCLAIMED), 0xff);
    check("unclaimed-16", inw(PORT_UNCLAIMED), 0xffff);
    check("unclaimed-32", inl(PORT_UNCLAIMED), 0xffffffff);
}

static uint32_t config(uint32_t address)
{
    outl(PORT_PCI_ADDR, BIT32(31) | address);
    return inl(PORT_PCI_DATA);
}

void test_pci(void)
{
    uint32_t others = 0xffffffff;

    check("host-bridge", config(0), 0x12378086);
    check("address-reads-back", inl(PORT_PCI_ADDR), BIT32(31));
    for (unsigned i = 0; i < 4; i++)
        check_at("byte", i, inb(PORT_PCI_DATA + i), 0x12378086 >> (8 * i) & 0xff);
    check("word-0", inw(PORT_PCI_DATA), 0x8086);
    check("word-2", inw(PORT_PCI_DATA + 2), 0x1237);
    check("class", config(0x08) >> 16, 0x0600);
    check("header-type", config(0x0c) >> 16 & 0x7f, 0);
    config(0);
    outl(PORT_PCI_DATA, 0);
    check("id-read-only", inl(PORT_PCI_DATA), 0x12378086);
    config(0x10);
    outl(PORT_PCI_DATA, 0xffffffff);
    check("no-base-address", inl(PORT_PCI_DATA), 0);
    for (uint32_t device = 8; device < 32; device++)
        others &= config(device << 11);
    check("no-devices-from-8-on", others, 0xffffffff);
    others = config(7u << 16) & config(0xffu << 16);
    check("no-other-buses", others, 0xffffffff);
    outl(PORT_PCI_ADDR, 0);
    check("disabled", inl(PORT_PCI_DATA), 0xffffffff);
    outl(PORT_PCI_ADDR, 0x7fffffff);
    check("address-reserved-bits", inl(PORT_PCI_ADDR), 0x00fffffc);
    differs(QEMU, 0x7fffffff, "as Bochs");
    differs(BOCHS, 0x7fffffff, "CONFIG_ADDRESS: [30:24] and [1:0] read 0; Bochs stores them");
    outl(PORT_PCI_ADDR, 0x80000000);
    outb(PORT_PCI_ADDR, 0x40);
    check("address-ignores-bytes", inl(PORT_PCI_ADDR), 0x80000000);
    outl(PORT_PCI_ADDR, 0);
}
