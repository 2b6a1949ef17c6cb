/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose second CPU ends in a triple fault, by an exception without an IDT, while the first
 * one waits. In each life it says what it finds of the one before.
 */
#include "tests/guest/lib.h"

#define STARTUP_PAGE 8
#define CMOS_MARK    0x60
#define RAM_MARK     0x800000ul /* nothing of ours is there */

static void crash(uint64_t unused)
{
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    (void)unused;
    __asm__ volatile("lidt %0\n\tud2" : : "m"(none) : "memory");
}

void guest_main(void)
{
    volatile uint32_t *ram = (volatile uint32_t *)RAM_MARK;

    con_setup();
    smp_prepare(STARTUP_PAGE);
    cpu_setup(0);
    con_printf("life: memory %x, CMOS %x, TSC %s\n", *ram, rtc_read(CMOS_MARK),
               rdtsc() < BIT(28) ? "young" : "old");
    *ram = 0xdead;
    outb(PORT_RTC_INDEX, CMOS_MARK);
    outb(PORT_RTC_DATA, 0xa7);
    if (!smp_start(1, STARTUP_PAGE))
        con_printf("FAIL crash_smp: the second CPU does not start\n");
    con_flush();
    smp_call(1, crash, 0);
    for (;;)
        __asm__ volatile("pause");
}
