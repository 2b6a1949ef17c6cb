/* SPDX-License-Identifier: BSD-2-Clause */
/* Single instructions: what a hypervisor must or may intercept, ports, MSRs. See bench.h. */
#include "tests/guest/bench.h"

#define STRING_BYTES 4096

/* Arming the timer as an operating system does, each time anew: so many ticks from now. Far enough
 * not to go off, near enough for a timer of 32 bits. */
#define FROM_NOW     "rdtsc\n\tadd $0x4000000, %%eax\n\tadc $0, %%edx\n\t"

/* `string` with RDI = RSI = the operand, STRING_BYTES times. */
#define STRING(string)                                                                             \
    "push %%rsi\n\tpush %%rdi\n\tmov %%rsi, %%rdi\n\tmov $4096, %%ecx\n\t" string                  \
    "\n\tpop %%rdi\n\tpop %%rsi"
_Static_assert(STRING_BYTES == 4096, "as STRING says");

MEASURE(cost_cpuid, "cpuid")
MEASURE(cost_vmcall, "vmcall")
MEASURE(cost_wbinvd, "wbinvd")
MEASURE(cost_inb, "inb %%dx, %%al")
MEASURE(cost_inl, "inl %%dx, %%eax")
MEASURE(cost_outb, "outb %%al, %%dx")
MEASURE_ROUNDS(cost_ins, STRING("rep insb"), FEW_ROUNDS)
MEASURE_ROUNDS(cost_outs, STRING("rep outsb"), FEW_ROUNDS)
MEASURE(cost_rdmsr, "rdmsr")
MEASURE(cost_from_now, FROM_NOW)
MEASURE(cost_arm, FROM_NOW "wrmsr")

static uint8_t buffer[STRING_BYTES];

/* Under Bulkhead, as on a bare machine, VMCALL is #UD; the handler's part is in the figure. */
static void print_vmcall(void)
{
    trap_set_entry(VECTOR_UD, bench_skip_3);
    bench_print_cost("vmcall", cost_vmcall((struct operands){0}));
}

static void print_ports(void)
{
    bench_print_cost("in-40", cost_inb((struct operands){.rdx = PORT_PIT_CH0}));
    bench_print_cost("in-21", cost_inb((struct operands){.rdx = PORT_PIC1_DATA}));
    bench_print_cost("in-3fd", cost_inb((struct operands){.rdx = PORT_UART + UART_LSR}));
    bench_print_cost("out-80", cost_outb((struct operands){.rdx = PORT_POST}));
    bench_print_cost("in-unclaimed", cost_inb((struct operands){.rdx = PORT_UNCLAIMED}));
    bench_print_cost("pm-timer", cost_inl((struct operands){.rdx = PORT_PM_TIMER}));
    bench_print_cost("ins-4k",
                     cost_ins((struct operands){.rdx = PORT_UNCLAIMED, .rsi = (uint64_t)buffer}));
    bench_print_cost("ins-21-4k",
                     cost_ins((struct operands){.rdx = PORT_PIC1_DATA, .rsi = (uint64_t)buffer}));
    bench_print_cost("outs-4k",
                     cost_outs((struct operands){.rdx = PORT_POST, .rsi = (uint64_t)buffer}));
}

/* The cost of WRMSR alone: arming, less what only looks at the clock. */
static void print_arm(void)
{
    struct operands o = {.rcx = MSR_TSC_DEADLINE};
    struct cost base, c;

    if ((cpuid(1, 0).ecx & CPUID_TSC_DEADLINE) == 0) {
        bench_print_absent("wrmsr-tsc-deadline");
        return;
    }
    lapic_enable();
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | LVT_TSC_DEADLINE | VECTOR_APIC);
    base = cost_from_now(o);
    c = cost_arm(o);
    wrmsr(MSR_TSC_DEADLINE, 0);
    bench_print_less("wrmsr-tsc-deadline", c, base);
}

void bench_instructions(void)
{
    bench_print_cost("cpuid", cost_cpuid((struct operands){0}));
    print_vmcall();
    bench_print_cost("wbinvd", cost_wbinvd((struct operands){0}));
    bench_print_cost("rdmsr-apic-base", cost_rdmsr((struct operands){.rcx = MSR_APIC_BASE}));
    print_ports();
    print_arm();
}
