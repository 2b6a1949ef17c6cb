/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC. Sources: Intel 82093AA data sheet (290566), "Register Description"; EOI register:
 * Intel I/O Controller Hub 9 data sheet (316972), "EOIR".
 */
#include "tests/guests/devtest.h"

#define PINS       24u
#define REG_ID     0x00u
#define REG_ARB    0x02u
#define EOI_OFFSET 0x40u

#define MASKED     BIT32(16)
#define LEVEL      BIT32(15)
#define REMOTE_IRR BIT32(14)
#define ACTIVE_LOW BIT32(13)
#define LOGICAL    BIT32(11)
#define LOWEST     0x100u
#define NMI        0x400u
#define EXTINT     0x700u

#define VECTOR     0x51u
#define DEFINED    0x1ffffu /* what reserved bits read is not said */
#define WRITABLE   0x1afffu /* [16:15], [13], [11:0] */

#define BOCHS_RIRR                                                                                 \
    "\"Remote IRR\": set when the local APIC accepts, cleared by its EOI; Bochs has none"
#define POLARITY "\"Interrupt Input Pin Polarity\": 1 is active low; here pins are logical levels"

static void put_low(unsigned pin, uint32_t value)
{
    ioapic_write((uint8_t)(IOAPIC_REDTBL + 2 * pin), value);
}

static uint32_t get_low(unsigned pin)
{
    return ioapic_read((uint8_t)(IOAPIC_REDTBL + 2 * pin));
}

static void put_high(unsigned pin, uint32_t value)
{
    ioapic_write((uint8_t)(IOAPIC_REDTBL + 2 * pin + 1), value);
}

static uint32_t get_high(unsigned pin)
{
    return ioapic_read((uint8_t)(IOAPIC_REDTBL + 2 * pin + 1));
}

static uint32_t own_id(void)
{
    return lapic_read(LAPIC_ID) & 0xff000000;
}

static bool in_bitmap(unsigned base, unsigned vector)
{
    return (lapic_read(base + vector / 32 * 16) >> (vector & 31) & 1) != 0;
}

/* Lines low, pins masked, nothing pending or in service. */
static void fresh(void)
{
    quiet();
    for (unsigned pin = 0; pin < PINS; pin++) {
        put_low(pin, MASKED);
        put_high(pin, own_id());
    }
    do {
        for (unsigned i = 0; i < 8; i++)
            lapic_write(LAPIC_EOI, 0);
    } while (take() != 0);
}

static void check_registers(void)
{
    uint32_t version = ioapic_read(IOAPIC_VERSION);

    check("version", (version & 0xff) == 0x11 || (version & 0xff) == 0x20, true);
    check("maximum-entry", version >> 16 & 0xff, PINS - 1);
    check("version-reserved", version & 0xff007f00, 0);
    ioapic_write(REG_ID, 0xffffffff);
    check("id-writable", ioapic_read(REG_ID), 0x0f000000);
    differs(BOCHS, 0xff000000, "\"IOAPICID\": [27:24]; Bochs stores 8 bits");
    ioapic_write(REG_ID, 0x05000000);
    check("id-reads-back", ioapic_read(REG_ID), 0x05000000);
    check("arbitration-id-is-id", ioapic_read(REG_ARB), 0x05000000);
    differs(BOCHS, 0, "\"IOAPICARB\": loaded when the ID is written; Bochs has none");
    ioapic_write(REG_ARB, 0x0a000000);
    check("arbitration-id-read-only", ioapic_read(REG_ARB), 0x05000000);
    differs(BOCHS, 0, "as before");
    ioapic_write(IOAPIC_VERSION, 0);
    check("version-read-only", ioapic_read(IOAPIC_VERSION) == version, true);
    ioapic_write(REG_ID, acpi.ioapic_id << 24);
    mmio_write(IOAPIC_BASE, 0x12);
    check("select-reads-back", mmio_read(IOAPIC_BASE), 0x12);
    mmio_write(IOAPIC_BASE, 0xffffff10);
    check("select-has-8-bits", mmio_read(IOAPIC_BASE), 0x10);
    differs(BOCHS, 0xffffff10, "\"IOREGSEL\": [31:8] are reserved; Bochs stores them");
}

static void check_entries(void)
{
    for (unsigned pin = 0; pin < PINS; pin++) {
        put_low(pin, 0xffffffff);
        check_at("entry-low-writable", pin, get_low(pin) & DEFINED, WRITABLE);
        put_low(pin, MASKED);
        check_at("entry-low-clears", pin, get_low(pin) & DEFINED, MASKED);
        put_high(pin, 0xffffffff);
        check_at("entry-high-writable", pin, get_high(pin) & 0xff000000, 0xff000000);
        put_high(pin, 0);
    }
}

static void check_edge(void)
{
    fresh();
    irq4_raise();
    put_low(4, VECTOR);
    check("edge-while-masked-is-lost", take(), 0);
    irq4_lower();
    irq4_raise();
    check("edge-status-idle", get_low(4), VECTOR);
    check("edge-irr", in_bitmap(LAPIC_IRR, VECTOR), true);
    check("edge-taken", take(), VECTOR);
    check("edge-isr", in_bitmap(0x100, VECTOR), true);
    check("edge-tmr", in_bitmap(0x180, VECTOR), false);
    check("edge-no-remote-irr", get_low(4) & REMOTE_IRR, 0);
    lapic_write(LAPIC_EOI, 0);
    check("edge-only-once", take(), 0);
    check("edge-isr-ends", in_bitmap(0x100, VECTOR), false);
    irq4_lower();
    irq4_raise();
    check("edge-again", take(), VECTOR);
    lapic_write(LAPIC_EOI, 0);
    irq4_lower();
}

static void check_level(void)
{
    fresh();
    put_low(4, MASKED | LEVEL | VECTOR);
    irq4_raise();
    put_low(4, LEVEL | VECTOR);
    check("level-taken", take(), VECTOR);
    check("level-tmr", in_bitmap(0x180, VECTOR), true);
    check("level-remote-irr", get_low(4), LEVEL | REMOTE_IRR | VECTOR);
    differs(BOCHS, LEVEL | VECTOR, BOCHS_RIRR);
    check("level-waits-for-eoi", take(), 0);
    lapic_write(LAPIC_EOI, 0);
    check("level-again-after-eoi", take(), VECTOR);
    differs(BOCHS, 0, BOCHS_RIRR);
    irq4_lower();
    check("level-remote-irr-stays", get_low(4) & REMOTE_IRR, REMOTE_IRR);
    differs(BOCHS, 0, BOCHS_RIRR);
    lapic_write(LAPIC_EOI, 0);
    check("level-eoi-clears-remote-irr", get_low(4) & REMOTE_IRR, 0);
    check("level-ends-with-the-line", take(), 0);

    put_low(4, MASKED | LEVEL | VECTOR);
    irq4_raise();
    check("level-masked", take(), 0);
    put_low(4, LEVEL | VECTOR);
    check("level-unmasked-comes", take(), VECTOR);
    irq4_lower();
    put_low(4, MASKED | LEVEL | VECTOR);
    check("mask-keeps-remote-irr", get_low(4) & REMOTE_IRR, REMOTE_IRR);
    differs(BOCHS, 0, BOCHS_RIRR);
    put_low(4, MASKED | VECTOR);
    put_low(4, MASKED | LEVEL | VECTOR);
    check("edge-and-back-clears-remote-irr", get_low(4) & REMOTE_IRR, 0);
    lapic_write(LAPIC_EOI, 0);

    put_low(4, MASKED);
    irq4_raise();
    put_low(4, LEVEL | VECTOR);
    check("level-set-when-the-line-is-high", take(), VECTOR);
    differs(BOCHS, 0, "as QEMU");
    differs(QEMU, 0,
            "\"Trigger Mode\": level is looked at whenever it is selected; QEMU keeps no "
            "level of a pin that was edge-triggered when it rose");
    irq4_lower();
    lapic_write(LAPIC_EOI, 0);
}

/* Version 20H */
static void check_eoi_register(void)
{
    fresh();
    put_low(4, MASKED | LEVEL | VECTOR);
    irq4_raise();
    put_low(4, LEVEL | VECTOR);
    check("taken", take(), VECTOR);
    irq4_lower();
    mmio_write(IOAPIC_BASE + EOI_OFFSET, VECTOR + 1);
    check("other-vector", get_low(4) & REMOTE_IRR, REMOTE_IRR);
    mmio_write(IOAPIC_BASE + EOI_OFFSET, VECTOR);
    check("clears-remote-irr", get_low(4) & REMOTE_IRR, 0);
    lapic_write(LAPIC_EOI, 0);
}

static void check_polarity(void)
{
    fresh();
    put_low(4, LEVEL | ACTIVE_LOW | VECTOR);
    check("active-low-idle-line", take(), VECTOR);
    differs(BOCHS, 0, POLARITY);
    differs(QEMU, 0, POLARITY);
    differs(GUEST, 0, POLARITY);
    irq4_raise();
    lapic_write(LAPIC_EOI, 0);
    check("active-low-high-line", take(), 0);
    differs(BOCHS, VECTOR, POLARITY);
    differs(QEMU, VECTOR, POLARITY);
    differs(GUEST, VECTOR, POLARITY);
    fresh();
}

/* What comes when pin 4 rises with this entry. Fixed vectors are ended. */
static unsigned send(uint32_t high, uint32_t low)
{
    unsigned vector;

    put_high(4, high);
    put_low(4, low);
    irq4_raise();
    vector = take();
    if (vector >= VECTOR_APIC)
        lapic_write(LAPIC_EOI, 0);
    put_low(4, MASKED);
    irq4_lower();
    return vector;
}

static void check_destinations(void)
{
    fresh();
    check("physical-own", send(own_id(), VECTOR), VECTOR);
    check("physical-other", send(0x0e000000, VECTOR), 0);
    check("physical-broadcast", send(0xff000000, VECTOR), VECTOR);
    check("lowest-priority", send(own_id(), LOWEST | VECTOR), VECTOR);
    differs(BOCHS, 0, "\"Delivery Mode\": with either destination mode; Bochs wants logical");
    lapic_write(0xe0, 0xffffffff); /* DFR: flat */
    lapic_write(0xd0, 0x04000000); /* LDR */
    check("flat-own", send(0x04000000, LOGICAL | VECTOR), VECTOR);
    check("flat-several", send(0x0c000000, LOGICAL | VECTOR), VECTOR);
    check("flat-other", send(0x08000000, LOGICAL | VECTOR), 0);
    check("flat-broadcast", send(0xff000000, LOGICAL | VECTOR), VECTOR);
    check("flat-lowest-priority", send(0x04000000, LOGICAL | LOWEST | VECTOR), VECTOR);
    lapic_write(0xe0, 0x0fffffff); /* cluster */
    lapic_write(0xd0, 0x21000000); /* cluster 2, member 1 */
    check("cluster-own", send(0x23000000, LOGICAL | VECTOR), VECTOR);
    check("cluster-other-member", send(0x22000000, LOGICAL | VECTOR), 0);
    check("cluster-other-cluster", send(0x31000000, LOGICAL | VECTOR), 0);
    check("cluster-broadcast", send(0xff000000, LOGICAL | VECTOR), VECTOR);
    differs(QEMU, 0,
            "SDM 3A \"Logical Destination Mode\": all ones is broadcast; QEMU compares clusters");
    lapic_write(0xe0, 0xffffffff);
}

static void check_delivery(void)
{
    uint32_t nmis;

    fresh();
    irq_count_clear();
    put_low(4, NMI | VECTOR);
    irq4_raise();
    nmis = irq_count(VECTOR_NMI);
    check("nmi", nmis, 1);
    put_low(4, MASKED);
    irq4_lower();
    /* The CPU acknowledges at the 8259, which has no request: "spurious" IR7. */
    check("extint-spurious-irq7", send(own_id(), EXTINT), VECTOR_PIC1 + 7);
    outb(PORT_PIC1_CMD, 0x0b);
    check("spurious-irq7-has-no-isr", inb(PORT_PIC1_CMD), 0);
    irq8_raise();
    put_low(8, VECTOR + 1);
    irq8_lower();
    irq_count_clear();
    irq8_raise(); /* with windows in which it is taken */
    check("rtc-is-pin-8", irq_count(VECTOR + 1), 1);
    differs(QEMU, ANY,
            "the line stays high until register C is read: one edge; QEMU sends each time it is "
            "raised");
    irq8_lower();
    put_low(2, VECTOR + 2);
    irq0_raise();
    check("timer-0-is-pin-2", take(), VECTOR + 2);
    lapic_write(LAPIC_EOI, 0);
    fresh();
}

void test_ioapic(void)
{
    check_registers();
    check_entries();
    check_edge();
    check_level();
    check_polarity();
    check_destinations();
    check_delivery();
    group("ioapic-eoi");
    if (present((ioapic_read(IOAPIC_VERSION) & 0xff) >= 0x20, BOCHS, "82093AA: version 11H"))
        check_eoi_register();
    fresh();
}
