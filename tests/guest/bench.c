/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What single instructions cost, in TSC ticks; on an emulated machine with one CPU a tick is an
 * instruction. Prints `bench NAME average min MIN`, `bench done`, and powers off.
 *
 * Average: ROUNDS rounds in a loop. Min: each round alone between two RDTSC. The same code with no
 * instruction in the middle is measured first (`bench loop`, printed as it is) and taken off.
 *
 * The jumps in a single round end an emulator's block of instructions: some bring the TSC up to
 * date only there.
 */
#include "tests/guest/lib.h"

#define ROUNDS       1000u

#define FAR_DEADLINE BIT(36) /* TSC ticks ahead: more than the program runs */
#define MMIO_NOTHING 0xfed50000ul /* no device is there */

/* Registers as each round finds them. */
struct operands {
    uint64_t rax, rcx, rdx;
    uint64_t rsi; /* address of a memory operand */
};

/* TSC ticks of ROUNDS rounds together, and of the shortest one. */
struct cost {
    uint64_t total;
    uint64_t min;
};

#define LOAD_OPERANDS                                                                              \
    "mov %[rax], %%rax\n\t"                                                                        \
    "mov %[rcx], %%rcx\n\t"                                                                        \
    "mov %[rdx], %%rdx\n\t"
#define OPERANDS(o) [rax] "r"((o).rax), [rcx] "r"((o).rcx), [rdx] "r"((o).rdx), "S"((o).rsi)

/* The cost of `instruction`; it may change RAX, RBX, RCX, RDX and memory. */
#define MEASURE(function, instruction)                                                             \
    static uint64_t function##_total(struct operands o)                                            \
    {                                                                                              \
        uint64_t rounds = ROUNDS;                                                                  \
        uint64_t start = rdtsc();                                                                  \
                                                                                                   \
        __asm__ volatile("1:\n\t" LOAD_OPERANDS instruction "\n\t"                                 \
                         "dec %[rounds]\n\t"                                                       \
                         "jnz 1b"                                                                  \
                         : [rounds] "+&r"(rounds)                                                  \
                         : OPERANDS(o)                                                             \
                         : "rax", "rbx", "rcx", "rdx", "cc", "memory");                            \
        return rdtsc() - start;                                                                    \
    }                                                                                              \
                                                                                                   \
    static uint64_t function##_once(struct operands o)                                             \
    {                                                                                              \
        uint64_t ticks;                                                                            \
                                                                                                   \
        __asm__ volatile("jmp 1f\n1:\trdtsc\n\t"                                                   \
                         "shl $32, %%rdx\n\t"                                                      \
                         "lea (%%rax,%%rdx), %[ticks]\n\t" LOAD_OPERANDS                           \
                         "jmp 2f\n2:\t" instruction "\n\t"                                         \
                         "jmp 3f\n3:\trdtsc\n\t"                                                   \
                         "shl $32, %%rdx\n\t"                                                      \
                         "add %%rdx, %%rax\n\t"                                                    \
                         "sub %%rax, %[ticks]\n\t"                                                 \
                         "neg %[ticks]"                                                            \
                         : [ticks] "=&r"(ticks)                                                    \
                         : OPERANDS(o)                                                             \
                         : "rax", "rbx", "rcx", "rdx", "cc", "memory");                            \
        return ticks;                                                                              \
    }                                                                                              \
                                                                                                   \
    static struct cost function(struct operands o)                                                 \
    {                                                                                              \
        struct cost c = {.min = UINT64_MAX};                                                       \
                                                                                                   \
        (void)function##_total(o); /* caches and translations */                                   \
        c.total = function##_total(o);                                                             \
        for (unsigned round = 0; round < ROUNDS; round++) {                                        \
            uint64_t ticks = function##_once(o);                                                   \
                                                                                                   \
            if (ticks < c.min)                                                                     \
                c.min = ticks;                                                                     \
        }                                                                                          \
        return c;                                                                                  \
    }

MEASURE(cost_nothing, "")
MEASURE(cost_cpuid, "cpuid")
MEASURE(cost_inb, "inb %%dx, %%al")
MEASURE(cost_inl, "inl %%dx, %%eax")
MEASURE(cost_outb, "outb %%al, %%dx")
MEASURE(cost_load, "movl (%%rsi), %%eax")
MEASURE(cost_store, "movl %%eax, (%%rsi)")
MEASURE(cost_rdmsr, "rdmsr")
MEASURE(cost_wrmsr, "wrmsr")

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void cost_print(const char *name, struct cost c, struct cost loop)
{
    con_printf("bench %s %lu min %lu\n", name, (less(c.total, loop.total) + ROUNDS / 2) / ROUNDS,
               less(c.min, loop.min));
}

static void bench_ports(struct cost loop)
{
    cost_print("in-40", cost_inb((struct operands){.rdx = PORT_PIT_CH0}), loop);
    cost_print("in-21", cost_inb((struct operands){.rdx = PORT_PIC1_DATA}), loop);
    cost_print("out-80", cost_outb((struct operands){.rdx = PORT_POST}), loop);
    cost_print("in-unclaimed", cost_inb((struct operands){.rdx = PORT_UNCLAIMED}), loop);
    cost_print("in-3fd", cost_inb((struct operands){.rdx = PORT_UART + UART_LSR}), loop);
    cost_print("pm-timer", cost_inl((struct operands){.rdx = PORT_PM_TIMER}), loop);
}

static void bench_mmio(struct cost loop)
{
    lapic_enable();
    cost_print("lapic-version", cost_load((struct operands){.rsi = LAPIC_BASE + LAPIC_VERSION}),
               loop);
    cost_print("lapic-eoi", cost_store((struct operands){.rsi = LAPIC_BASE + LAPIC_EOI}), loop);
    mmio_write(IOAPIC_BASE, IOAPIC_VERSION);
    cost_print("ioapic-read", cost_load((struct operands){.rsi = IOAPIC_BASE + IOAPIC_IOWIN}),
               loop);
    cost_print("mmio-nothing", cost_load((struct operands){.rsi = MMIO_NOTHING}), loop);
}

static void bench_msrs(struct cost loop)
{
    uint64_t deadline = rdtsc() + FAR_DEADLINE;
    struct operands write = {
        .rcx = MSR_TSC_DEADLINE,
        .rax = (uint32_t)deadline,
        .rdx = deadline >> 32,
    };

    cost_print("rdmsr-apic-base", cost_rdmsr((struct operands){.rcx = MSR_APIC_BASE}), loop);
    if ((cpuid(1, 0).ecx & BIT32(24)) == 0)
        return;
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | LVT_TSC_DEADLINE | VECTOR_APIC);
    cost_print("wrmsr-tsc-deadline", cost_wrmsr(write), loop);
    wrmsr(MSR_TSC_DEADLINE, 0);
}

void guest_main(void)
{
    struct cost loop;

    con_setup();
    loop = cost_nothing((struct operands){0});
    cost_print("loop", loop, (struct cost){0});
    cost_print("cpuid", cost_cpuid((struct operands){0}), loop);
    bench_ports(loop);
    bench_mmio(loop);
    bench_msrs(loop);
    con_printf("bench done\n");
    power_off();
}
