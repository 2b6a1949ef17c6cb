/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the benchmarks measure, and how they print. All figures are TSC ticks; on an emulated machine
 * with one CPU a tick is an instruction.
 *
 * A line is `bench NAME` and pairs of a word and a number, or `bench NAME absent` for what the CPU
 * does not have:
 *
 *     bench cpuid avg 183 min 183                           one instruction, MEASURE below
 *     bench touch-4k avg 1 max 1 n 64                       single events
 *     bench deadline-hlt n 1000 min 9 p50 9 p99 9 max 12    a distribution
 *     bench done                                            the last line
 *
 * avg: ROUNDS rounds in a loop, or FEW_ROUNDS. min: each round alone between two RDTSC. The same
 * code with no instruction in the middle is measured first (`bench loop`, printed as it is) and
 * taken off.
 *
 * The jumps in a single round end an emulator's block of instructions: some bring the TSC up to
 * date only there.
 */
#ifndef TESTS_GUEST_BENCH_H
#define TESTS_GUEST_BENCH_H

#include "tests/guest/lib.h"

#define ROUNDS      1000u
#define FEW_ROUNDS  5u /* of what takes long */
#define SAMPLES_MAX 1000u

/* Registers as each round finds them. */
struct operands {
    uint64_t rax, rcx, rdx;
    uint64_t rsi; /* address of a memory operand */
};

/* TSC ticks of so many rounds together, and of the shortest one. */
struct cost {
    uint64_t total, rounds;
    uint64_t min;
};

#define LOAD_OPERANDS                                                                              \
    "mov %[rax], %%rax\n\t"                                                                        \
    "mov %[rcx], %%rcx\n\t"                                                                        \
    "mov %[rdx], %%rdx\n\t"
#define OPERANDS(o) [rax] "r"((o).rax), [rcx] "r"((o).rcx), [rdx] "r"((o).rdx), "S"((o).rsi)
#define CHANGES     "rax", "rbx", "rcx", "rdx", "cc", "memory"

/* Read the TSC into the operand `begin`, then set the registers, and begin a new block. */
#define BEGIN_ROUND                                                                                \
    "jmp 1f\n1:\trdtsc\n\t"                                                                        \
    "shl $32, %%rdx\n\t"                                                                           \
    "lea (%%rax,%%rdx), %[begin]\n\t" LOAD_OPERANDS "jmp 2f\n2:\t"

/* The cost of `instruction`; it may change RAX, RBX, RCX, RDX and memory. */
#define MEASURE_ROUNDS(function, instruction, count)                                               \
    static uint64_t function##_total(struct operands o)                                            \
    {                                                                                              \
        uint64_t rounds = count;                                                                   \
        uint64_t begin = rdtsc();                                                                  \
                                                                                                   \
        __asm__ volatile("1:\n\t" LOAD_OPERANDS instruction "\n\t"                                 \
                         "dec %[rounds]\n\t"                                                       \
                         "jnz 1b"                                                                  \
                         : [rounds] "+&r"(rounds)                                                  \
                         : OPERANDS(o)                                                             \
                         : CHANGES);                                                               \
        return rdtsc() - begin;                                                                    \
    }                                                                                              \
                                                                                                   \
    static uint64_t function##_once(struct operands o)                                             \
    {                                                                                              \
        uint64_t begin, end;                                                                       \
                                                                                                   \
        __asm__ volatile(BEGIN_ROUND instruction "\n\t"                                            \
                                                 "jmp 3f\n3:\trdtsc\n\t"                           \
                                                 "shl $32, %%rdx\n\t"                              \
                                                 "lea (%%rax,%%rdx), %[end]"                       \
                         : [begin] "=&r"(begin), [end] "=&r"(end)                                  \
                         : OPERANDS(o)                                                             \
                         : CHANGES);                                                               \
        return end - begin;                                                                        \
    }                                                                                              \
                                                                                                   \
    static struct cost function(struct operands o)                                                 \
    {                                                                                              \
        struct cost c = {.rounds = count, .min = UINT64_MAX};                                      \
                                                                                                   \
        (void)function##_total(o); /* caches and translations */                                   \
        c.total = function##_total(o);                                                             \
        for (unsigned round = 0; round < count; round++) {                                         \
            uint64_t ticks = function##_once(o);                                                   \
                                                                                                   \
            if (ticks < c.min)                                                                     \
                c.min = ticks;                                                                     \
        }                                                                                          \
        return c;                                                                                  \
    }
#define MEASURE(function, instruction) MEASURE_ROUNDS(function, instruction, ROUNDS)

/*
 * bench_isr, an interrupt's handler whose first instruction reads the TSC, into bench_isr_tsc. It
 * does not acknowledge, clears IF for whom it interrupts, and changes RAX and RDX.
 */
extern volatile uint64_t bench_isr_tsc; /* 0: has not come */
extern const uint8_t bench_isr[];

/* For #UD: goes on three bytes (the length of VMCALL) behind the instruction. */
extern const uint8_t bench_skip_3[];

/* Wait for bench_isr with IF = 1, spinning or halted. */
static inline void bench_wait_busy(void)
{
    __asm__ volatile("sti\n"
                     "1:\tcmpq $0, bench_isr_tsc\n\t"
                     "je 1b"
                     :
                     :
                     : CHANGES);
}

static inline void bench_wait_hlt(void)
{
    __asm__ volatile("1:\tsti\n\t" /* something else may end a HLT: then once more */
                     "hlt\n\t"
                     "cli\n\t"
                     "cmpq $0, bench_isr_tsc\n\t"
                     "je 1b"
                     :
                     :
                     : CHANGES);
}

/* a - b, or 0. */
static inline uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* --- bench_print.c --- */

/* What a round without an instruction costs: taken off from now on. Prints it. */
void bench_set_loop(struct cost loop);

/* The shortest round without an instruction, from BEGIN_ROUND's RDTSC to that behind it. */
uint64_t bench_loop_min(void);

/* Print a row: an instruction's cost; what the CPU does not have; single events, their mean and
 * maximum. */
void bench_print_cost(const char *name, struct cost c);
void bench_print_less(const char *name, struct cost c,
                      struct cost part); /* without a part measured alone */
void bench_print_absent(const char *name);

/* Samples, up to SAMPLES_MAX: forget all, add one; print mean and maximum, or the distribution. */
void bench_sample_clear(void);
void bench_sample(uint64_t ticks);
void bench_print_events(const char *name);
void bench_print_distribution(const char *name);

/*
 * Let a quarter of a second pass with interrupts on: what was printed leaves the machine, and the
 * console's own interrupts are not measured.
 */
void bench_settle(uint64_t tsc_hz);

/* --- the benchmarks, one subject each --- */

void bench_instructions(void);      /* bench_insn.c: those that exit, ports, MSRs */
void bench_memory(void);            /* bench_memory.c: the first touch of pages; devices' pages */
void bench_timers(uint64_t tsc_hz); /* bench_timer.c, in xAPIC mode */
void bench_interrupts_xapic(uint64_t tsc_hz);  /* bench_irq.c: EOI, TPR, IPIs to itself */
void bench_interrupts_x2apic(uint64_t tsc_hz); /* after that: it enters x2APIC mode */

/* bench_smp.c: start a second CPU, false if there is none; interrupts between the two. */
bool bench_start_other(void);
void bench_between_cpus(void);

#endif
