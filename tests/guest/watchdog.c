/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with a watchdog (devices/watchdog.h), which it arms, kicks some times, and then forgets:
 * in its first life in a loop that takes interrupts, afterwards in HLT without.
 */
#include "devices/watchdog.h"

#include "tests/guest/lib.h"

#define BASE  0x610u /* as the config says */
#define COUNT 2u     /* seconds */
#define KICKS 4u

void guest_main(void)
{
    con_setup();

    uint64_t second = tsc_hz_pit();
    bool fired = (inb(BASE + WATCHDOG_STATUS) & 1) != 0;

    con_printf("watchdog: %s, fired %u, limit %u\n",
               inb(BASE + WATCHDOG_CONTROL) != 0 ? "running" : "stopped", fired,
               inw(BASE + WATCHDOG_COUNT));
    outb(BASE + WATCHDOG_STATUS, 1);
    outw(BASE + WATCHDOG_COUNT, COUNT);
    outb(BASE + WATCHDOG_CONTROL, 1);
    for (unsigned i = 1; i <= KICKS; i++) {
        tsc_delay(second + second / 2);
        con_printf("kick %u with %u s left\n", i, inw(BASE + WATCHDOG_LEFT));
        outb(BASE + WATCHDOG_KICK, 1);
    }
    con_printf("no more kicks\n");
    con_flush();
    while (!fired)
        irq_enable();
    for (;;)
        __asm__ volatile("cli\n\thlt");
}
