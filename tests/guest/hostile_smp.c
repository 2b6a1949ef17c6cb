/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of two vCPUs, the second on the core that serves the console: storms of INIT, SIPI, NMI
 * and vectors, and resets in the middle of them from either CPU. It prints one line in each life.
 */
#include "tests/guest/lib.h"

#define STARTUP_PAGE   8
#define STORM          200u
#define PORT_RESET     0xcf9u
#define PORT_KEYBOARD  0x64u
#define RESET_NOW      0x06u
#define KEYBOARD_PULSE 0xfeu
#define NO_CPU_VECTOR  5u /* below 16: illegal */
#define OTHER_VECTOR   0x41u

static void storm(void)
{
    for (unsigned i = 0; i < STORM; i++) {
        ipi_send(ICR_ASSERT | DELIVERY_INIT, 1);
        if (i % 3 != 0)
            ipi_send(ICR_ASSERT | DELIVERY_STARTUP | STARTUP_PAGE, 1);
        ipi_send(ICR_ASSERT | (i % 2 != 0 ? OTHER_VECTOR : NO_CPU_VECTOR), 1);
    }
}

static void reset_by_port(uint64_t unused)
{
    (void)unused;
    outb(PORT_RESET, RESET_NOW);
}

static void init_the_first(uint64_t unused)
{
    (void)unused;
    ipi_send(ICR_ASSERT | DELIVERY_INIT, 0);
}

void guest_main(void)
{
    unsigned way = (unsigned)(rdtsc() >> 12) % 5;

    con_setup();
    smp_prepare(STARTUP_PAGE);
    cpu_setup(0);
    storm();
    bool started = smp_start(1, STARTUP_PAGE);

    for (unsigned i = 0; started && i < STORM; i++)
        ipi_send(ICR_ASSERT | DELIVERY_NMI, 1);
    con_printf("life: second CPU %s, ends in way %u\n", started ? "runs" : "does not run", way);
    con_flush();
    switch (way) {
    case 0: init_the_first(0); break;
    case 1: reset_by_port(0); break;
    case 2: /* both at once */
        smp_call(1, reset_by_port, 0);
        outb(PORT_KEYBOARD, KEYBOARD_PULSE);
        break;
    case 3: smp_call(1, init_the_first, 0); break;
    default: /* in the middle of a start */
        ipi_send(ICR_ASSERT | DELIVERY_INIT, 1);
        ipi_send(ICR_ASSERT | DELIVERY_STARTUP | STARTUP_PAGE, 1);
        reset_by_port(0);
        break;
    }
    for (;;)
        __asm__ volatile("pause");
}
