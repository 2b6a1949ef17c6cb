/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts a CPU sends to itself: from the instruction that sends to the handler's first one. And
 * x2APIC's registers, which are MSRs. See bench.h.
 */
#include "tests/guest/bench.h"

#define IPI_ROUNDS 200u

/*
 * Ticks from `instruction`, which sends, up to bench_isr. BEGIN_ROUND's own part is that of a round
 * without an instruction, but for the jump behind it.
 */
#define MEASURE_IPI(function, instruction)                                                         \
    static uint64_t function##_once(struct operands o)                                             \
    {                                                                                              \
        uint64_t begin;                                                                            \
                                                                                                   \
        bench_isr_tsc = 0;                                                                         \
        __asm__ volatile("sti\n\t" BEGIN_ROUND instruction "\n"                                    \
                         "3:\tcmpq $0, bench_isr_tsc\n\t"                                          \
                         "je 3b"                                                                   \
                         : [begin] "=&r"(begin)                                                    \
                         : OPERANDS(o)                                                             \
                         : CHANGES);                                                               \
        return less(bench_isr_tsc - begin, bench_loop_min() - 1);                                  \
    }                                                                                              \
                                                                                                   \
    static void function(const char *name, struct operands o)                                      \
    {                                                                                              \
        trap_set_entry(VECTOR_APIC, bench_isr);                                                    \
        (void)function##_once(o);                                                                  \
        lapic_write(LAPIC_EOI, 0);                                                                 \
        bench_sample_clear();                                                                      \
        for (unsigned round = 0; round < IPI_ROUNDS; round++) {                                    \
            bench_sample(function##_once(o));                                                      \
            lapic_write(LAPIC_EOI, 0);                                                             \
        }                                                                                          \
        bench_print_distribution(name);                                                            \
    }

MEASURE(cost_rdmsr, "rdmsr")
MEASURE(cost_wrmsr, "wrmsr")
MEASURE_IPI(ipi_store, "movl %%eax, (%%rsi)")
MEASURE_IPI(ipi_wrmsr, "wrmsr")

static const char *const x2apic_rows[] = {"x2apic-version", "x2apic-count",    "x2apic-tpr",
                                          "x2apic-eoi",     "x2apic-icr-self", "x2apic-self-ipi"};

static uint32_t msr_of(uint32_t offset)
{
    return MSR_X2APIC + (offset >> 4);
}

void bench_interrupts_xapic(uint64_t tsc_hz)
{
    bench_settle(tsc_hz);
    lapic_enable();
    ipi_store("xapic-self-ipi", (struct operands){
                                    .rax = ICR_SELF | ICR_ASSERT | VECTOR_APIC,
                                    .rsi = LAPIC_BASE + LAPIC_ICR_LOW,
                                });
}

void bench_interrupts_x2apic(uint64_t tsc_hz)
{
    if ((cpuid(1, 0).ecx & CPUID_X2APIC) == 0 || !lapic_enable_x2apic()) {
        for (unsigned i = 0; i < sizeof(x2apic_rows) / sizeof(x2apic_rows[0]); i++)
            bench_print_absent(x2apic_rows[i]);
        return;
    }
    bench_print_cost(x2apic_rows[0], cost_rdmsr((struct operands){.rcx = msr_of(LAPIC_VERSION)}));
    bench_print_cost(x2apic_rows[1], cost_rdmsr((struct operands){.rcx = msr_of(LAPIC_TMCCT)}));
    bench_print_cost(x2apic_rows[2], cost_wrmsr((struct operands){.rcx = msr_of(LAPIC_TPR)}));
    bench_print_cost(x2apic_rows[3], cost_wrmsr((struct operands){.rcx = msr_of(LAPIC_EOI)}));
    bench_settle(tsc_hz);
    ipi_wrmsr(x2apic_rows[4], (struct operands){
                                  .rcx = msr_of(LAPIC_ICR_LOW),
                                  .rax = ICR_SELF | ICR_ASSERT | VECTOR_APIC,
                              });
    bench_settle(tsc_hz);
    ipi_wrmsr(x2apic_rows[5], (struct operands){.rcx = msr_of(LAPIC_SELF_IPI), .rax = VECTOR_APIC});
}
