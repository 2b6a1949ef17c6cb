/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: how much later than asked for the handler's first instruction is executed, in ticks,
 * while the CPU spins and while it is halted. See bench.h.
 */
#include "tests/guest/bench.h"

#define PIT_ROUNDS      200u
#define PIT_COUNT       1193u /* 1 ms */
#define DEADLINE_ROUNDS 1000u
#define DEADLINE_MIN    50000u /* ticks ahead, and up to so many more: no two rounds are alike */
#define DEADLINE_SPREAD 4095u

static void wait_isr(bool halted)
{
    if (halted)
        bench_wait_hlt();
    else
        bench_wait_busy();
}

/*
 * Channel 0 in mode 0, by the PIC. Time begins just before the OUT that starts the count: the ticks
 * in which it reaches the chip are part of the lateness.
 */
static uint64_t pit_once(uint64_t ticks, bool halted)
{
    uint64_t begin;

    bench_isr_tsc = 0;
    outb(PORT_PIT_MODE, 0x30); /* channel 0, low then high byte, mode 0, binary */
    outb(PORT_PIT_CH0, PIT_COUNT & 0xff);
    begin = rdtsc();
    outb(PORT_PIT_CH0, PIT_COUNT >> 8);
    wait_isr(halted);
    outb(PORT_PIC1_CMD, 0x20); /* EOI */
    return less(bench_isr_tsc, begin + ticks);
}

static void print_pit(const char *name, uint64_t ticks, bool halted)
{
    (void)pit_once(ticks, halted);
    bench_sample_clear();
    for (unsigned round = 0; round < PIT_ROUNDS; round++)
        bench_sample(pit_once(ticks, halted));
    bench_print_distribution(name);
}

static uint64_t deadline_once(bool halted)
{
    uint64_t deadline;

    bench_isr_tsc = 0;
    deadline = rdtsc() + DEADLINE_MIN + (random_next() & DEADLINE_SPREAD);
    wrmsr(MSR_TSC_DEADLINE, deadline);
    wait_isr(halted);
    lapic_write(LAPIC_EOI, 0);
    return less(bench_isr_tsc, deadline);
}

static void print_deadline(const char *name, bool halted)
{
    (void)deadline_once(halted);
    bench_sample_clear();
    for (unsigned round = 0; round < DEADLINE_ROUNDS; round++)
        bench_sample(deadline_once(halted));
    bench_print_distribution(name);
}

void bench_timers(uint64_t tsc_hz)
{
    uint64_t pit_ticks = PIT_COUNT * tsc_hz / PIT_HZ;

    lapic_enable_virtual_wire();
    trap_set_entry(VECTOR_PIC1, bench_isr);
    trap_set_entry(VECTOR_APIC, bench_isr);
    outb(PORT_PIC1_DATA, 0xfe); /* IRQ 0 only */
    print_pit("pit-busy", pit_ticks, false);
    bench_settle(tsc_hz);
    print_pit("pit-hlt", pit_ticks, true);
    outb(PORT_PIC1_DATA, 0xff);
    bench_settle(tsc_hz);
    if ((cpuid(1, 0).ecx & CPUID_TSC_DEADLINE) == 0) {
        bench_print_absent("deadline-busy");
        bench_print_absent("deadline-hlt");
        return;
    }
    lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_APIC);
    print_deadline("deadline-busy", false);
    bench_settle(tsc_hz);
    print_deadline("deadline-hlt", true);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
}
