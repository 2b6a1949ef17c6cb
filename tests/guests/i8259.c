/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8259A pair. Source: Intel 8259A data sheet (231468); ELCR: Intel 82371AB (PIIX4) data sheet
 * (290562), "ELCR1", "ELCR2".
 */
#include "tests/guests/devtest.h"

#define ELCR1 0x4d0u
#define ELCR2 0x4d1u

static uint8_t irr(unsigned cmd)
{
    outb(cmd, 0x0a);
    return inb(cmd);
}

static uint8_t isr(unsigned cmd)
{
    outb(cmd, 0x0b);
    return inb(cmd);
}

static uint8_t poll(unsigned cmd)
{
    uint8_t answer;

    outb(cmd, 0x0c);
    answer = inb(cmd);
    return (answer & 0x80) != 0 ? answer : 0; /* without a request the rest is undefined */
}

/* Both chips anew; `icw4` for the master. */
static void init(uint8_t icw4, uint8_t vector)
{
    quiet();
    outb(PORT_PIC1_CMD, 0x11);
    outb(PORT_PIC1_DATA, vector);
    outb(PORT_PIC1_DATA, 0x04);
    outb(PORT_PIC1_DATA, icw4);
    outb(PORT_PIC1_DATA, 0xff);
}

static void check_masks(void)
{
    static const uint8_t values[] = {0x55, 0xaa, 0xff, 0x00};

    quiet();
    for (unsigned i = 0; i < sizeof(values); i++) {
        outb(PORT_PIC1_DATA, values[i]);
        outb(PORT_PIC2_DATA, (uint8_t)~values[i]);
        check_at("master-imr", i, inb(PORT_PIC1_DATA), values[i]);
        check_at("slave-imr", i, inb(PORT_PIC2_DATA), (uint8_t)~values[i]);
    }
    outb(PORT_PIC1_DATA, 0xff);
    outb(PORT_PIC1_CMD, 0x11);
    outb(PORT_PIC1_DATA, 0x20);
    outb(PORT_PIC1_DATA, 0x04);
    outb(PORT_PIC1_DATA, 0x01);
    check("icw1-clears-imr", inb(PORT_PIC1_DATA), 0);
    outb(PORT_PIC1_DATA, 0xff);
}

/* "Initialization Command Words": how many follow ICW1 is in ICW1. (Bochs stops at SNGL.) */
static void check_icw_count(void)
{
    outb(PORT_PIC1_CMD, 0x10); /* no ICW4 */
    outb(PORT_PIC1_DATA, 0x20);
    outb(PORT_PIC1_DATA, 0x04);
    outb(PORT_PIC1_DATA, 0x5a);
    check("ic4-clear-has-no-icw4", inb(PORT_PIC1_DATA), 0x5a);
}

static void check_requests(void)
{
    quiet();
    check("quiet-irr", irr(PORT_PIC1_CMD), 0);
    check("quiet-isr", isr(PORT_PIC1_CMD), 0);
    check("quiet-slave-irr", irr(PORT_PIC2_CMD), 0);
    check("quiet-slave-isr", isr(PORT_PIC2_CMD), 0);
    irq0_raise();
    check("irr-shows-a-masked-request", irr(PORT_PIC1_CMD), 0x01);
    check("poll-ignores-a-masked-request", poll(PORT_PIC1_CMD), 0);
    irq0_lower();
    check("edge-irr-falls-with-the-line", irr(PORT_PIC1_CMD), 0);
    differs(QEMU, 1,
            "\"Interrupt Sequence\": a request has to stay high until it is acknowledged; "
            "QEMU latches the edge for good");
    irq0_raise();
    outb(PORT_PIC1_DATA, 0xfe);
    check("takes-irq0", take(), 0x20);
    check("isr", isr(PORT_PIC1_CMD), 0x01);
    check("isr-stays-selected", inb(PORT_PIC1_CMD), 0x01);
    check("acknowledge-clears-irr", irr(PORT_PIC1_CMD), 0x00);
    outb(PORT_PIC1_CMD, 0x40);
    check("ocw2-no-operation", isr(PORT_PIC1_CMD), 0x01);
    outb(PORT_PIC1_CMD, 0x61);
    check("specific-eoi-of-another", isr(PORT_PIC1_CMD), 0x01);
    outb(PORT_PIC1_CMD, 0x60);
    check("specific-eoi", isr(PORT_PIC1_CMD), 0);
    check("edge-does-not-request-again", take(), 0);
    outb(PORT_PIC1_DATA, 0xff);
}

#define BOCHS_POLL "\"Poll Command\": a read after it acknowledges; Bochs answers 0"

static void check_poll(void)
{
    quiet();
    outb(PORT_PIC1_DATA, 0xee);
    check("poll-without-request", poll(PORT_PIC1_CMD), 0);
    irq0_raise();
    irq4_raise();
    check("poll-irq0", poll(PORT_PIC1_CMD), 0x80);
    differs(BOCHS, 0, BOCHS_POLL);
    check("poll-sets-isr", isr(PORT_PIC1_CMD), 0x01);
    differs(BOCHS, 0, BOCHS_POLL);
    check("poll-clears-irr", irr(PORT_PIC1_CMD), 0x10);
    differs(BOCHS, 0x11, BOCHS_POLL);
    check("poll-holds-back-irq4", poll(PORT_PIC1_CMD), 0);
    outb(PORT_PIC1_CMD, 0x20);
    outb(PORT_PIC1_CMD, 0x0c);
    check("poll-by-the-data-port", inb(PORT_PIC1_DATA), 0x84);
    differs(BOCHS, 0, BOCHS_POLL);
    check("poll-is-for-one-read", inb(PORT_PIC1_DATA), 0xee);
}

static void check_priority(void)
{
    quiet();
    irq4_raise();
    irq0_raise();
    outb(PORT_PIC1_DATA, 0xee);
    check("two-requests", irr(PORT_PIC1_CMD), 0x11);
    check("irq0-first", take(), 0x20);
    check("irq4-is-held-back", take(), 0);
    outb(PORT_PIC1_CMD, 0x20);
    check("non-specific-eoi", isr(PORT_PIC1_CMD), 0);
    check("irq4-comes", take(), 0x24);
    irq0_lower();
    irq0_raise();
    check("irq0-nests", take(), 0x20);
    check("both-in-service", isr(PORT_PIC1_CMD), 0x11);
    outb(PORT_PIC1_CMD, 0x20);
    check("eoi-ends-the-highest", isr(PORT_PIC1_CMD), 0x10);
    outb(PORT_PIC1_CMD, 0x20);
    check("eoi-ends-the-last", isr(PORT_PIC1_CMD), 0);
}

static void check_late_request(void)
{
    quiet();
    outb(PORT_PIC1_DATA, 0xee);
    irq4_raise();
    irq0_raise();
    check("higher-one-overtakes-a-pending", take(), 0x20);
    differs(BOCHS, 0x24,
            "\"Interrupt Sequence\": priority is resolved at the first INTA; Bochs "
            "does it when INT rises");
}

static void check_rotation(void)
{
    quiet();
    outb(PORT_PIC1_CMD, 0xc3); /* IR3 lowest: IR4 highest */
    irq0_raise();
    irq4_raise();
    outb(PORT_PIC1_DATA, 0xee);
    check("set-priority", take(), 0x24);
    check("irq0-is-lower-now", take(), 0);
    outb(PORT_PIC1_CMD, 0xa0); /* rotate on non-specific EOI: IR4 lowest */
    check("rotate-eoi-ends", isr(PORT_PIC1_CMD), 0);
    check("irq0-after-it", take(), 0x20);
    irq4_lower();
    irq4_raise();
    check("irq4-is-lower-now", take(), 0);
    outb(PORT_PIC1_CMD, 0xe0); /* rotate on specific EOI of 0: IR0 lowest */
    check("rotate-specific-eoi-ends", isr(PORT_PIC1_CMD), 0);
    irq0_lower();
    irq0_raise();
    check("irq4-is-higher-again", take(), 0x24);
    outb(PORT_PIC1_CMD, 0x64);
    check("irq0-is-last", take(), 0x20);
    outb(PORT_PIC1_CMD, 0x20);
}

static void check_special_mask(void)
{
    quiet();
    outb(PORT_PIC1_DATA, 0xee);
    irq0_raise();
    check("smm-irq0", take(), 0x20);
    irq4_raise();
    outb(PORT_PIC1_DATA, 0xef);
    check("masked-in-service-holds-back", take(), 0);
    outb(PORT_PIC1_CMD, 0x68); /* ESMM, SMM */
    check("special-mask-lets-pass", take(), 0x24);
    differs(QEMU, 0,
            "\"Special Mask Mode\": it enables lower levels; QEMU updates INT at the next "
            "write to another register only");
    outb(PORT_PIC1_DATA, 0xef);
    if (isr(PORT_PIC1_CMD) == 0x01)
        (void)take();
    check("special-mask-isr", isr(PORT_PIC1_CMD), 0x11);
    outb(PORT_PIC1_CMD, 0x20);
    check("eoi-skips-masked-isr", isr(PORT_PIC1_CMD), 0x01);
    differs(QEMU, 0x10,
            "\"Special Mask Mode\": a non-specific EOI does not clear an ISR bit that "
            "is masked; QEMU clears it");
    differs(BOCHS, 0x10, "as QEMU");
    outb(PORT_PIC1_CMD, 0x48); /* ESMM, not SMM */
    outb(PORT_PIC1_CMD, 0x20);
    check("eoi-after-special-mask", isr(PORT_PIC1_CMD), 0);
}

static void check_elcr(void)
{
    quiet();
    outb(ELCR1, 0xff);
    outb(ELCR2, 0xff);
    check("elcr1-writable", inb(ELCR1), 0xf8);
    check("elcr2-writable", inb(ELCR2), 0xde);
    outb(ELCR1, 0x10);
    outb(ELCR2, 0);
    check("elcr1-irq4", inb(ELCR1), 0x10);
    outb(PORT_PIC1_DATA, 0xef);
    irq4_raise();
    check("level-irq4", take(), 0x24);
    check("level-stays-in-irr", irr(PORT_PIC1_CMD), 0x10);
    outb(PORT_PIC1_CMD, 0x64);
    check("level-requests-again", take(), 0x24);
    irq4_lower();
    outb(PORT_PIC1_CMD, 0x64);
    check("level-ends-with-the-line", take(), 0);
    check("level-irr-ends", irr(PORT_PIC1_CMD), 0);
    outb(ELCR1, 0);
    check("elcr-keeps-through-icw1", inb(ELCR1), 0);
}

static void check_cascade(void)
{
    quiet();
    outb(PORT_PIC1_DATA, 0xfb);
    outb(PORT_PIC2_DATA, 0xfe);
    irq8_raise();
    check("slave-irr", irr(PORT_PIC2_CMD), 0x01);
    check("master-irr-of-slave", irr(PORT_PIC1_CMD), 0x04);
    check("slave-vector", take(), 0x28);
    check("slave-isr", isr(PORT_PIC2_CMD), 0x01);
    check("master-isr-of-slave", isr(PORT_PIC1_CMD), 0x04);
    check("slave-irr-after", irr(PORT_PIC2_CMD), 0);
    outb(PORT_PIC2_CMD, 0x20);
    check("slave-eoi", isr(PORT_PIC2_CMD), 0);
    check("slave-eoi-leaves-master", isr(PORT_PIC1_CMD), 0x04);
    outb(PORT_PIC1_CMD, 0x62);
    check("master-eoi", isr(PORT_PIC1_CMD), 0);
    irq8_lower();
}

static void check_vectors(void)
{
    init(0x01, 0x45);
    outb(PORT_PIC1_DATA, 0xfe);
    irq0_raise();
    check("vector-base", take(), 0x40);
    check("taken-isr", isr(PORT_PIC1_CMD), 0x01);
    check("not-taken-twice", take(), 0);
    irq0_lower();
    irq0_raise();
    check("not-taken-without-eoi", take(), 0);
    outb(PORT_PIC1_CMD, 0x20);
    check("taken-after-eoi", take(), 0x40);

    init(0x03, 0x20); /* AEOI */
    outb(PORT_PIC1_DATA, 0xfe);
    irq0_raise();
    check("aeoi-taken", take(), 0x20);
    check("aeoi-isr", isr(PORT_PIC1_CMD), 0);
    check("aeoi-not-twice", take(), 0);
    irq0_lower();
    irq0_raise();
    check("aeoi-taken-again", take(), 0x20);

    init(0x03, 0x20); /* AEOI, rotating */
    outb(PORT_PIC1_CMD, 0x80);
    irq0_raise();
    outb(PORT_PIC1_DATA, 0xee);
    check("aeoi-rotate-irq0", take(), 0x20);
    outb(PORT_PIC1_DATA, 0xff);
    irq0_lower();
    irq0_raise();
    irq4_raise();
    outb(PORT_PIC1_DATA, 0xee);
    check("aeoi-rotate-irq4-first", take(), 0x24);
    check("aeoi-rotate-irq0-then", take(), 0x20);
    outb(PORT_PIC1_CMD, 0x00);
    init(0x01, 0x20);
}

void test_i8259(void)
{
    check_masks();
    check_icw_count();
    check_requests();
    check_poll();
    check_priority();
    check_late_request();
    check_rotation();
    check_special_mask();
    check_elcr();
    check_cascade();
    check_vectors();
    quiet();
}
