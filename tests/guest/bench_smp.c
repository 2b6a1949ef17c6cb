/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an interrupt from one CPU to another costs: ticks from the instruction that sends it to the
 * first one of the handler. Lines as in bench.h. With several CPUs an emulator's ticks are not
 * instructions: only ratios count.
 */
#include "tests/guest/bench.h"

#define ROUNDS_SMP  400u
#define OTHER       1u /* its APIC ID */
#define START_PAGE  8u
#define CALL_LIMIT  BIT(34)
#define QUIET_TICKS 20000u /* between two rounds: the receiver waits by then */

static struct {
    volatile unsigned ready, done; /* the receiver waits in this round, has received in it */
    volatile uint64_t seen;        /* the handler's TSC in that round */
} smp;

/* Linux's choice too: x2APIC mode where there is one. */
static void enable_apic(void)
{
    lapic_enable();
    if ((cpuid(1, 0).ecx & CPUID_X2APIC) != 0)
        (void)lapic_enable_x2apic();
}

static void enable_apic_there(uint64_t unused)
{
    (void)unused;
    enable_apic();
}

/* On the other CPU. */
static void receive(uint64_t halted)
{
    irq_disable();
    for (unsigned round = 1; round <= ROUNDS_SMP; round++) {
        bench_isr_tsc = 0;
        smp.ready = round;
        if (halted)
            bench_wait_hlt();
        else
            bench_wait_busy();
        lapic_write(LAPIC_EOI, 0);
        smp.seen = bench_isr_tsc;
        smp.done = round;
    }
}

static void print_row(const char *name, bool halted)
{
    smp.ready = smp.done = 0;
    bench_sample_clear();
    smp_call(OTHER, receive, halted);
    for (unsigned round = 1; round <= ROUNDS_SMP; round++) {
        uint64_t begin;

        while (smp.ready != round)
            __asm__ volatile("pause");
        tsc_delay(QUIET_TICKS);
        begin = rdtsc();
        ipi_send(ICR_ASSERT | VECTOR_APIC, OTHER);
        while (smp.done != round)
            __asm__ volatile("pause");
        bench_sample(less(smp.seen, begin));
    }
    (void)smp_wait(OTHER, CALL_LIMIT);
    bench_print_distribution(name);
}

/* Under KVM the other CPU does not start while this one's local APIC is as reset left it. */
bool bench_start_other(void)
{
    lapic_enable();
    smp_prepare(START_PAGE);
    return smp_start(OTHER, START_PAGE);
}

void bench_between_cpus(void)
{
    trap_set_entry(VECTOR_APIC, bench_isr);
    smp_call(OTHER, enable_apic_there, 0);
    (void)smp_wait(OTHER, CALL_LIMIT);
    enable_apic();
    print_row("ipi-busy", false);
    print_row("ipi-hlt", true);
}
