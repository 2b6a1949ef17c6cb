/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual CPU as a guest sees it: CPUID, MSRs, what is refused, single steps.
 *
 * Sources: SDM 2A "CPUID", SDM 1 "Managing State Using the XSAVE Feature Set", SDM 3A "Memory Type
 * Range Registers (MTRRs)", "Page Attribute Table (PAT)", SDM 3B "Debug Exceptions".
 */
#include "tests/guest/selftest.h"

#define VECTOR_DB       1u

#define MSR_TSC         0x010u
#define MSR_TSC_ADJUST  0x03bu
#define MSR_MTRRCAP     0x0feu
#define MSR_MCG_CAP     0x179u
#define MSR_PERFCTR0    0x0c1u
#define MSR_DEBUGCTL    0x1d9u
#define MSR_PHYSBASE0   0x200u
#define MSR_FIX64K      0x250u
#define MSR_PAT         0x277u
#define MSR_DEF_TYPE    0x2ffu
#define MSR_LSTAR       0xc0000082u

#define CPUID1_XSAVE    BIT32(26)
#define CPUID7_UMIP     BIT32(2)
#define CR4_UMIP        BIT(11)

#define DR6_CLEAR       0xffff0ff0ull
#define DR6_BS          0x4000ull
#define DR6_CAUSES      0xe00full

/* Behind POPFQ that sets TF one instruction is executed, then comes #DB. */
#define SET_TF          "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"

/*
 * Step over an instruction: %[at] is the address behind it. A trap there, at the instruction
 * itself, or one too late ends the step.
 */
#define STEP(before, instruction)                                                                  \
    "leaq 771f(%%rip), %[at]\n\t" before "770: " instruction "\n771: nop\n772: nop\n773:\n\t"      \
    ".pushsection .fixup, \"a\"\n\t"                                                               \
    ".quad 770b, 773b, 771b, 773b, 772b, 773b\n\t"                                                 \
    ".popsection\n\t"

/* --- CPUID --- */

static void test_topology(struct test *t)
{
    struct cpuid_regs leaf1 = cpuid(1, 0);
    struct cpuid_regs cores = cpuid(0xb, 1);
    uint32_t count = leaf1.ebx >> 16 & 0xff;

    expect(t, "cpuid-apic-id", leaf1.ebx >> 24, lapic_read(LAPIC_ID) >> 24);
    expect(t, "cpuid-0bh-x2apic-id", cores.edx, leaf1.ebx >> 24);
    expect(t, "cpuid-0bh-processors", cores.ebx, count);
    expect(t, "cpuid-htt", leaf1.edx >> 28 & 1, count > 1);
    expect(t, "cpuid-0bh-level-type-invalid", cpuid(0xb, 5).ecx, 5);
    expect(t, "cpuid-4-cores", (cpuid(4, 0).eax >> 26) + 1, 1u << cores.eax);
    if (cpuid(0, 0).eax >= 0x1f)
        expect(t, "cpuid-1fh-as-0bh", cpuid(0x1f, 1).ebx, cores.ebx);
    expect(t, "cpuid-no-pmu", cpuid(0xa, 0).eax, 0);
    expect(t, "cpuid-arat", cpuid(6, 0).eax, 4);
}

static uint64_t xgetbv(uint32_t index)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static void test_xsave_sizes(struct test *t)
{
    static uint8_t area[8192] __attribute__((aligned(64)));
    uint32_t size;

    if (!has(t, CPUID1_XSAVE, "xsave")) /* on, since test_xsetbv */
        return;
    size = cpuid(0xd, 0).ebx;
    expect(t, "xsave-size-of-xcr0", size,
           xgetbv(0) & 4 ? cpuid(0xd, 2).ebx + cpuid(0xd, 2).eax : 576);
    if ((cpuid(0xd, 1).eax & 2) == 0)
        return;
    expect(t, "xsavec-size-of-xcr0", cpuid(0xd, 1).ebx,
           576 + (xgetbv(0) & 4 ? cpuid(0xd, 2).eax : 0));
    trap_clear();
    __asm__ volatile(FAULTS("xsavec64 %0") : "+m"(area) : "a"(7), "d"(0) : "memory");
    expect(t, "xsavec-runs", trap_last().vector, TRAP_NONE);
    expect(t, "xsavec-compacted", area[527] >> 7, 1); /* XCOMP_BV [63] */
    if ((cpuid(0xd, 1).eax & 4) != 0)
        expect(t, "xgetbv-1-in-use-of-xcr0", xgetbv(1) & ~xgetbv(0), 0);
    trap_clear();
    __asm__ volatile(FAULTS("xsaves64 %0") : "+m"(area) : "a"(7), "d"(0) : "memory");
    expect(t, "xsaves-ud", trap_last().vector, VECTOR_UD);
}

/* --- MSRs --- */

static void test_tsc_adjust(struct test *t)
{
    uint64_t before;

    expect(t, "cpuid-tsc-adjust", cpuid(7, 0).ebx & 2, 2);
    expect(t, "tsc-adjust-at-first", rdmsr(MSR_TSC_ADJUST), 0);
    before = rdtsc();
    wrmsr(MSR_TSC_ADJUST, BIT(40));
    expect(t, "tsc-adjust-adds", (rdtsc() - before) >> 40, 1);
    expect(t, "tsc-adjust-reads-back", rdmsr(MSR_TSC_ADJUST), BIT(40));
    wrmsr(MSR_TSC, rdtsc() - BIT(41)); /* a little more is lost: the time between */
    expect(t, "tsc-write-is-adjusted", rdmsr(MSR_TSC_ADJUST) >> 39, 0x1fffffd);
    wrmsr(MSR_TSC_ADJUST, 0);
    expect(t, "tsc-adjust-back", (rdtsc() - before) >> 40, 0);
}

static void expect_refused(struct test *t, const char *name, uint32_t msr, uint64_t value)
{
    (void)wrmsr_try(msr, value);
    expect(t, name, trap_last().vector, VECTOR_GP);
}

static void test_memory_types(struct test *t)
{
    expect(t, "mtrr-cap", rdmsr(MSR_MTRRCAP), 0x508);
    expect(t, "mtrr-default", rdmsr(MSR_DEF_TYPE), 0xc06);
    wrmsr(MSR_PHYSBASE0, 0xc0000000);
    wrmsr(MSR_PHYSBASE0 + 1, 0xfc0000800);
    expect(t, "mtrr-base-reads-back", rdmsr(MSR_PHYSBASE0), 0xc0000000);
    expect(t, "mtrr-mask-reads-back", rdmsr(MSR_PHYSBASE0 + 1), 0xfc0000800);
    wrmsr(MSR_PHYSBASE0 + 1, 0);
    expect_refused(t, "mtrr-base-type-2-gp", MSR_PHYSBASE0, 2);
    expect_refused(t, "mtrr-default-type-3-gp", MSR_DEF_TYPE, 0xc03);
    expect_refused(t, "mtrr-fixed-type-7-gp", MSR_FIX64K, 7ull << 24);
    expect_refused(t, "mtrr-cap-gp", MSR_MTRRCAP, 0x508);
    expect_refused(t, "pat-type-2-gp", MSR_PAT, 0x0007040600070402);
    wrmsr(MSR_PAT, 0x0007010600070406);
    (void)cpuid(0, 0);
    expect(t, "pat-survives-exits", rdmsr(MSR_PAT), 0x0007010600070406);
    wrmsr(MSR_PAT, 0x0007040600070406);
}

static void test_other_msrs(struct test *t)
{
    uint64_t value;

    expect(t, "mcg-cap-no-banks", rdmsr(MSR_MCG_CAP), 0);
    expect(t, "perfctr-gp", rdmsr_try(MSR_PERFCTR0, &value), false);
    expect(t, "debugctl-0", rdmsr(MSR_DEBUGCTL), 0);
    expect_refused(t, "debugctl-btf-gp", MSR_DEBUGCTL, 2);
    expect_refused(t, "lstar-non-canonical-gp", MSR_LSTAR, BIT(50));
}

/* --- what is refused --- */

#define REFUSED(t, name, instruction, vector_wanted)                                               \
    do {                                                                                           \
        trap_clear();                                                                              \
        __asm__ volatile(FAULTS(instruction) : : "a"(0), "c"(0), "d"(0) : "memory", "cc");         \
        expect(t, name, trap_last().vector, vector_wanted);                                        \
    } while (0)

static void test_refused(struct test *t)
{
    REFUSED(t, "rdpmc-gp", "rdpmc", VECTOR_GP);
    REFUSED(t, "monitor-ud", ".byte 0x0f, 0x01, 0xc8", VECTOR_UD);
    REFUSED(t, "mwait-ud", ".byte 0x0f, 0x01, 0xc9", VECTOR_UD);
    REFUSED(t, "vmcall-ud", "vmcall", VECTOR_UD);
    REFUSED(t, "vmxoff-ud", "vmxoff", VECTOR_UD);
    REFUSED(t, "vmlaunch-ud", "vmlaunch", VECTOR_UD);
    REFUSED(t, "getsec-ud", ".byte 0x0f, 0x37", VECTOR_UD);
    REFUSED(t, "tpause-ud", ".byte 0x66, 0x0f, 0xae, 0xf0", VECTOR_UD);
    REFUSED(t, "encls-ud", ".byte 0x0f, 0x01, 0xcf", VECTOR_UD);
    REFUSED(t, "wbinvd-runs", "wbinvd", TRAP_NONE);
    REFUSED(t, "invd-runs", "invd", TRAP_NONE);
    if ((cpuid(0x80000001, 0).edx & BIT32(27)) != 0)
        REFUSED(t, "rdtscp-runs", "rdtscp", TRAP_NONE);
}

static unsigned cr4_try(uint64_t value)
{
    trap_clear();
    __asm__ volatile(FAULTS("mov %0, %%cr4") : : "r"(value) : "memory");
    return trap_last().vector;
}

static void test_control_registers(struct test *t)
{
    uint64_t cr4 = cr4_read();
    uint64_t cr0;

    expect(t, "cr4-pce-gp", cr4_try(cr4 | BIT(8)), VECTOR_GP);
    expect(t, "cr4-vmxe-gp", cr4_try(cr4 | BIT(13)), VECTOR_GP);
    expect(t, "cr4-without-pae-gp", cr4_try(cr4 & ~BIT(5)), VECTOR_GP);
    expect(t, "cr4-umip", cr4_try(cr4 | CR4_UMIP),
           cpuid(7, 0).ecx & CPUID7_UMIP ? TRAP_NONE : VECTOR_GP);
    expect(t, "cr4-unchanged", cr4_read() & ~CR4_UMIP, cr4);
    cr4_write(cr4);
    __asm__ volatile("mov %%cr0, %0\n\torq $8, %0\n\tmov %0, %%cr0\n\tclts\n\tmov %%cr0, %0"
                     : "=r"(cr0));
    expect(t, "cr0-clts", cr0 & 8, 0);
    __asm__ volatile("smsw %0\n\torw $8, %w0\n\tlmsw %w0\n\tmov %%cr0, %0\n\tclts" : "=r"(cr0));
    expect(t, "cr0-lmsw", cr0 & 0xf, 0xb);
}

/* --- single steps --- */

static uint64_t dr6(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    __asm__ volatile("mov %0, %%dr6" : : "r"(DR6_CLEAR));
    return value & DR6_CAUSES;
}

/* The trap came: where it should, and why. */
static void expect_step(struct test *t, const char *name, uint64_t at, uint64_t causes)
{
    struct trap trap = trap_last();

    if (trap.vector == VECTOR_DB && trap.rip != at)
        con_printf("trap at %lx, want %lx\n", trap.rip, at);
    expect(t, name, trap.vector == VECTOR_DB && trap.rip == at ? dr6() : ~0ull, causes);
    trap_clear();
}

#define STEPPED(t, name, instruction)                                                              \
    do {                                                                                           \
        uint64_t at_;                                                                              \
                                                                                                   \
        __asm__ volatile(STEP(SET_TF, instruction)                                                 \
                         : [at] "=&S"(at_)                                                         \
                         : "D"(IOAPIC_BASE)                                         \
                         : "rax", "rbx", "rcx", "rdx", "memory", "cc");                            \
        expect_step(t, name, at_, DR6_BS);                                                         \
    } while (0)

static void test_single_step(struct test *t)
{
    (void)dr6();
    trap_clear();
    STEPPED(t, "step-nop", "nop");
    STEPPED(t, "step-cpuid", "cpuid");
    STEPPED(t, "step-out", "outb %%al, $0x80");
    STEPPED(t, "step-in", "inb $0x80, %%al");
    STEPPED(t, "step-mmio", "movl (%%rdi), %%eax");
    STEPPED(t, "step-wbinvd", "wbinvd");
    STEPPED(t, "step-sti", "sti");
    irq_disable();
}

/* MOV SS holds the trap of itself back; behind the next instruction there is one, not two. */
static void test_step_behind_mov_ss(struct test *t)
{
    uint64_t at;

    __asm__ volatile("mov %%ss, %%ebp\n\t" STEP(SET_TF "mov %%ebp, %%ss\n\t", "cpuid")
                     : [at] "=&S"(at)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rbp", "memory", "cc");
    expect_step(t, "step-mov-ss-cpuid", at, DR6_BS);
}

/* Between iterations RIP stays. */
static void test_step_through_rep(struct test *t)
{
    static const uint8_t bytes[4];
    const uint8_t *from = bytes;
    uint64_t count = 3;
    uint64_t behind;

    __asm__ volatile(STEP(SET_TF, "rep outsb")
                     : [at] "=&a"(behind), "+S"(from), "+c"(count)
                     : "d"(0x80)
                     : "memory", "cc");
    expect_step(t, "step-rep-outs", behind - 2, DR6_BS);
    expect(t, "step-rep-outs-counter", count, 2);
    expect(t, "step-rep-outs-source", (uint64_t)(from - bytes), 1);
}

static void test_int1(struct test *t)
{
    uint64_t at;

    __asm__ volatile(STEP("", ".byte 0xf1") : [at] "=&S"(at) : : "memory", "cc");
    expect_step(t, "int1", at, 0);
}

/* An emulated access ends RF: a breakpoint on the next instruction is met. */
static void test_breakpoint_behind_mmio(struct test *t)
{
    uint64_t at;

    __asm__ volatile(STEP("mov %[at], %%dr0\n\tmov %[dr7], %%dr7\n\t", "movl (%%rdi), %%eax")
                     : [at] "=&S"(at)
                     : "D"(IOAPIC_BASE), [dr7] "r"(0x402ull)
                     : "rax", "memory");
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ull));
    expect_step(t, "breakpoint-behind-mmio", at, 1);
}

void test_cpu(struct test *t)
{
    test_topology(t);
    test_xsave_sizes(t);
    test_tsc_adjust(t);
    test_memory_types(t);
    test_other_msrs(t);
    test_refused(t);
    test_control_registers(t);
    test_single_step(t);
    test_step_behind_mov_ss(t);
    test_step_through_rep(t);
    test_int1(t);
    test_breakpoint_behind_mmio(t);
}
