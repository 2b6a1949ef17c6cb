/* SPDX-License-Identifier: BSD-2-Clause */
/* A second processor. Source: SDM volume 3A, "Multiple-Processor Management", "Issuing IPIs". */
#include "tests/guests/devtest.h"

#include "lib/string.h"

#define AP_PAGE      0x8000u
#define AP_PAGE_2    0xa000u
#define STARTS       0x9800u
#define LAST_CS      0x9802u
#define NMIS         0x9804u
#define IVT_NMI      (4u * VECTOR_NMI)

#define INIT         0x500u
#define SIPI         0x600u
#define ALL_BUT_SELF (BIT32(19) | BIT32(18))

extern const uint8_t ap_start[], ap_nmi[], ap_end[];

static uint16_t word(uint32_t at)
{
    return (uint16_t)(mmio_read(at & ~3u) >> (8 * (at & 2)));
}

static void clear(void)
{
    mmio_write(STARTS, 0);
    mmio_write(NMIS, 0);
}

static void send(uint8_t id, uint32_t low)
{
    lapic_write(LAPIC_ICR_HIGH, (uint32_t)id << 24);
    lapic_write(LAPIC_ICR_LOW, ICR_ASSERT | low);
    tsc_delay(us(10000)); /* the other processor may be slow to come */
}

static void check_starts(uint8_t ap)
{
    clear();
    send(ap, INIT);
    check("init-does-not-start", word(STARTS), 0);
    send(ap, SIPI | AP_PAGE >> 12);
    check("sipi-starts", word(STARTS), 1);
    check("sipi-cs", word(LAST_CS), AP_PAGE >> 4);
    send(ap, SIPI | AP_PAGE >> 12);
    check("second-sipi-is-ignored", word(STARTS), 1);
    send(ap, SIPI | AP_PAGE_2 >> 12);
    check("sipi-without-init-is-ignored", word(STARTS), 1);
    send(ap, INIT);
    send(ap, INIT);
    check("init-stops", word(STARTS), 1);
    send(ap, SIPI | AP_PAGE_2 >> 12);
    check("starts-again", word(STARTS), 2);
    check("starts-at-another-page", word(LAST_CS), AP_PAGE_2 >> 4);
    send(0, ALL_BUT_SELF | INIT);
    send(0, ALL_BUT_SELF | SIPI | AP_PAGE >> 12);
    check("all-but-self-starts", word(STARTS), 3);
    check("all-but-self-cs", word(LAST_CS), AP_PAGE >> 4);
}

static void check_nmis(uint8_t ap)
{
    irq_count_clear();
    send(ap, DELIVERY_NMI);
    check("nmi", word(NMIS), 1);
    send(ap, DELIVERY_NMI);
    check("nmi-again", word(NMIS), 2);
    send(0, ALL_BUT_SELF | DELIVERY_NMI);
    check("nmi-all-but-self", word(NMIS), 3);
    send(0xff, DELIVERY_NMI);
    check("nmi-broadcast", word(NMIS), 4);
    check("nmi-broadcast-has-self", irq_count(VECTOR_NMI), 1);
    send(0x0e, DELIVERY_NMI);
    check("nmi-to-nobody", word(NMIS), 4);
    send(ap, INIT);
    send(ap, DELIVERY_NMI);
    check("nmi-waits-for-sipi", word(NMIS), 4);
}

void test_smp(void)
{
    check("two-processors", acpi.cpus >= 2, true);
    if (acpi.cpus < 2)
        return;
    quiet();
    memcpy((void *)(uintptr_t)AP_PAGE, ap_start, (size_t)(ap_end - ap_start));
    memcpy((void *)(uintptr_t)AP_PAGE_2, ap_start, (size_t)(ap_end - ap_start));
    mmio_write(IVT_NMI, (AP_PAGE >> 4) << 16 | (uint32_t)(ap_nmi - ap_start));
    pit_start(1193); /* masked: QEMU gives the other processor its turn at timer events only */
    check_starts(acpi.apic_id[1]);
    check_nmis(acpi.apic_id[1]);
    quiet();
}
