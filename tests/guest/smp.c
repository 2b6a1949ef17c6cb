/* SPDX-License-Identifier: BSD-2-Clause */
/* Further CPUs; see lib.h. Source: SDM 3A "MP Initialization Protocol". */
#include "lib/string.h"
#include "tests/guest/lib.h"

#define START_LIMIT BIT(25) /* TSC ticks; half a second of the slowest machine */

struct PACKED gdt_pointer {
    uint16_t limit;
    uint64_t base;
};

/* Placed by smp.S. */
extern const uint8_t smp_code[], smp_code_end[], smp_code_cr3[], smp_code_gdt[];

static struct {
    struct {
        volatile unsigned starts, page;
        void (*volatile function)(uint64_t); /* NULL: waits for a call */
        volatile uint64_t argument;
    } cpu[CPUS_MAX];
} smp;

NORETURN void smp_main(unsigned cpu, unsigned page)
{
    cpu_setup(cpu);
    smp.cpu[cpu].function = NULL;
    smp.cpu[cpu].page = page;
    smp.cpu[cpu].starts++;
    for (;;) {
        void (*function)(uint64_t);

        irq_enable();
        while ((function = smp.cpu[cpu].function) == NULL)
            __asm__ volatile("pause");
        function(smp.cpu[cpu].argument);
        smp.cpu[cpu].function = NULL;
    }
}

void smp_prepare(uint8_t page)
{
    uint8_t *to = (uint8_t *)((uint64_t)page << 12);
    struct gdt_pointer gdt;
    uint64_t cr3;

    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    memcpy(to, smp_code, (size_t)(smp_code_end - smp_code));
    memcpy(to + (smp_code_cr3 - smp_code), &cr3, 4);
    memcpy(to + (smp_code_gdt - smp_code), &gdt, sizeof(gdt));
}

unsigned smp_starts(unsigned cpu)
{
    return smp.cpu[cpu].starts;
}

unsigned smp_page(unsigned cpu)
{
    return smp.cpu[cpu].page;
}

bool smp_start(unsigned cpu, uint8_t page)
{
    unsigned before = smp_starts(cpu);
    uint64_t begin = rdtsc();

    ipi_send(ICR_ASSERT | DELIVERY_INIT, cpu);
    tsc_delay(BIT(16));
    ipi_send(ICR_ASSERT | DELIVERY_STARTUP | page, cpu);
    tsc_delay(BIT(14));
    ipi_send(ICR_ASSERT | DELIVERY_STARTUP | page, cpu);
    while (smp_starts(cpu) == before && rdtsc() - begin < START_LIMIT)
        __asm__ volatile("pause");
    return smp_starts(cpu) != before;
}

void smp_call(unsigned cpu, void (*function)(uint64_t), uint64_t argument)
{
    smp.cpu[cpu].argument = argument;
    smp.cpu[cpu].function = function;
}

bool smp_wait(unsigned cpu, uint64_t ticks)
{
    uint64_t begin = rdtsc();

    while (smp.cpu[cpu].function != NULL && rdtsc() - begin < ticks)
        __asm__ volatile("pause");
    return smp.cpu[cpu].function == NULL;
}
