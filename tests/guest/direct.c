/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loop of 1000 timer interrupts a second, by the local APIC's periodic timer in x2APIC mode: what
 * `apic: direct` is for. Rounds of 3000 ticks; nothing in a round leaves the guest, unless its
 * local APIC does. In odd rounds the CPU halts between two ticks, in even ones it spins. After a
 * round: how far each tick was from where it would have been if all were equally far apart, in TSC
 * ticks.
 *
 * The keys that were typed meanwhile act then: r resets, c crashes, q switches off; p waits for the
 * UART's interrupts, with as many exits as it can, until another key than p comes.
 */
#include "tests/guest/lib.h"

#define TICK_HZ     1000u
#define TICKS       3000u
#define VECTOR_TICK VECTOR_APIC
#define PORT_RESET  0xcf9u
#define UART_PIN    4u
#define VECTOR_UART 0x41u
#define RESET_NOW   0x06u

static struct {
    uint32_t ticks;
    uint64_t at[TICKS]; /* TSC */
    uint32_t off[TICKS];
} loop;

bool irq_hook(unsigned vector)
{
    if (vector == VECTOR_TICK && loop.ticks < TICKS)
        loop.at[loop.ticks++] = irq_tsc(vector);
    return false;
}

static void find_off(void)
{
    uint64_t whole = loop.at[TICKS - 1] - loop.at[0];

    for (unsigned i = 0; i < TICKS; i++) {
        uint64_t due = loop.at[0] + whole * i / (TICKS - 1);

        loop.off[i] = (uint32_t)(loop.at[i] < due ? due - loop.at[i] : loop.at[i] - due);
    }
}

static void sort(uint32_t *values, unsigned count)
{
    for (unsigned gap = count / 2; gap > 0; gap /= 2) {
        for (unsigned i = gap; i < count; i++) {
            uint32_t value = values[i];
            unsigned at = i;

            for (; at >= gap && values[at - gap] > value; at -= gap)
                values[at] = values[at - gap];
            values[at] = value;
        }
    }
}

/* The timer counts at the rate of the crystal of CPUID 15H. */
static void timer_start(uint32_t count)
{
    lapic_write(LAPIC_TDCR, TDCR_DIVIDE_1);
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TICK);
    lapic_write(LAPIC_TMICT, count);
}

static void round(unsigned number, uint64_t period, uint32_t count)
{
    uint64_t begin, end;

    con_printf("round %u: %u ticks begin\n", number, TICKS);
    con_flush();
    irq_disable();
    loop.ticks = 0;
    begin = rdtsc();
    timer_start(count);
    while (loop.ticks < TICKS) {
        if (number % 2 != 0)
            irq_halt();
        else
            irq_enable();
    }
    end = rdtsc();
    irq_disable();
    lapic_write(LAPIC_TMICT, 0);
    find_off();
    sort(loop.off, TICKS);
    con_printf("round %u: %u ticks in %lu periods, off by p50 %u p99 %u max %u TSC ticks\n", number,
               loop.ticks, (end - begin + period / 2) / period, loop.off[TICKS / 2],
               loop.off[TICKS * 99 / 100], loop.off[TICKS - 1]);
}

static char wait_key(void)
{
    unsigned keys = 0;
    char key;

    ioapic_write(IOAPIC_REDTBL + 2 * UART_PIN + 1, 0);
    ioapic_write(IOAPIC_REDTBL + 2 * UART_PIN, VECTOR_UART);
    outb(PORT_UART + UART_IER, 0x01); /* received data */
    do {
        uint32_t before = irq_count(VECTOR_UART);

        con_printf("waits for key %u\n", ++keys);
        irq_enable();
        while (irq_count(VECTOR_UART) == before)
            (void)inb(PORT_UNCLAIMED); /* the UART itself would look for keys */
        irq_disable();
        key = (char)inb(PORT_UART + UART_DATA);
    } while (key == 'p');
    outb(PORT_UART + UART_IER, 0);
    return key;
}

static void act(char key)
{
    if (key == 'p')
        key = wait_key();
    con_printf("key %c\n", key);
    con_flush();
    if (key == 'q')
        power_off();
    if (key == 'r')
        outb(PORT_RESET, RESET_NOW);
    if (key == 'c') {
        const struct PACKED {
            uint16_t limit;
            uint64_t base;
        } none = {0, 0};

        __asm__ volatile("lidt %0\n\tint3" : : "m"(none));
    }
}

void guest_main(void)
{
    uint64_t hz;
    uint32_t timer_hz = cpuid(0x15, 0).ecx;

    con_setup();
    hz = tsc_hz_cpuid();
    pic_setup(0xff, 0xff);
    pit_stop(); /* which ticks as firmware left it, and that exits */
    con_printf("%s mode, timer %u Hz, TSC %lu Hz\n",
               (rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD) != 0 ? "x2APIC" : "xAPIC", timer_hz, hz);
    if (!lapic_enable_x2apic()) {
        con_printf("no x2APIC mode\n");
        power_off();
    }
    lapic_enable();
    for (unsigned number = 1;; number++) {
        round(number, hz / TICK_HZ, timer_hz / TICK_HZ);
        while ((inb(PORT_UART + UART_LSR) & LSR_DR) != 0)
            act((char)inb(PORT_UART + UART_DATA));
    }
}
