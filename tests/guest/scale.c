/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What scripts/scale looks at: first all vCPUs read the timer's counter, which is behind the VM's lock,
 * without a pause, and the sum is printed; then, without end, rounds of single exits that begin with CPUID.
 * Nothing is printed between two rounds.
 */
#include "tests/guest/lib.h"

#define START_PAGE   8u
#define READ_TICKS   1000000u
#define CALL_LIMIT   BIT(34)
#define FAR_DEADLINE BIT(62)
#define VECTOR_SELF  0x60u

static volatile uint64_t reads[CPUS_MAX];

static unsigned start_others(void)
{
    unsigned count = cpuid(1, 0).ebx >> 16 & 0xff;

    smp_prepare(START_PAGE);
    for (unsigned cpu = 1; cpu < count; cpu++) {
        if (!smp_start(cpu, START_PAGE))
            con_printf("scale: CPU %u does not start\n", cpu);
    }
    return count;
}

/* As many as are possible from `begin` on. */
static void read_counter(uint64_t begin)
{
    uint64_t count = 0;

    while (rdtsc() < begin)
        __asm__ volatile("pause");
    for (; rdtsc() < begin + READ_TICKS; count++)
        (void)inb(PORT_PIT_CH0);
    reads[cpu_index()] = count;
}

static void read_together(unsigned count)
{
    uint64_t begin = rdtsc() + READ_TICKS, sum = 0;

    for (unsigned cpu = 1; cpu < count; cpu++)
        smp_call(cpu, read_counter, begin);
    read_counter(begin);
    for (unsigned cpu = 0; cpu < count; cpu++) {
        (void)(cpu == 0 || smp_wait(cpu, CALL_LIMIT));
        sum += reads[cpu];
    }
    con_printf("scale: %u vCPUs read %lu times in %u ticks\n", count, sum, READ_TICKS);
}

/* scripts/scale has the exits of a round as a list, in this order. */
static void round_of_exits(void)
{
    (void)cpuid(0, 0);
    (void)inb(PORT_PIT_CH0);
    (void)inb(PORT_PIC1_DATA);
    (void)inb(PORT_UART + UART_LSR);
    outb(PORT_POST, 0);
    (void)inl(PORT_PM_TIMER);
    outb(PORT_PIC1_DATA, 0xff);
    (void)rdmsr(MSR_APIC_BASE);
    wrmsr(MSR_TSC_DEADLINE, FAR_DEADLINE);
    (void)mmio_read(IOAPIC_BASE);
    ipi_send(ICR_ASSERT | VECTOR_SELF, 0);
}

void guest_main(void)
{
    unsigned count;

    con_setup();
    pic_setup(0xff, 0xff);
    lapic_enable();
    count = start_others();
    (void)lapic_enable_x2apic();
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | LVT_TSC_DEADLINE | VECTOR_SELF);
    lapic_write(LAPIC_TPR, 0xff); /* what it sends to itself stays pending */
    irq_enable();                 /* the emulator lets the console's interrupts out only so */
    read_together(count);
    con_flush();
    for (;;)
        round_of_exits();
}
