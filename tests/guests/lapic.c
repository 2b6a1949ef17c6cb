/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC, xAPIC and x2APIC. Source: SDM volume 3A, "Advanced Programmable Interrupt
 * Controller (APIC)".
 */
#include "tests/guests/devtest.h"

#define TASK_PRIORITY   0x080u
#define PPR             0x0a0u
#define LDR             0x0d0u
#define DFR             0x0e0u
#define ISR             0x100u
#define TMR             0x180u
#define ESR             0x280u
#define LVT_THERMAL     0x330u
#define LVT_PERF        0x340u
#define LVT_LINT1       0x360u
#define LVT_ERROR       0x370u

#define VECTOR_A        0x51u
#define VECTOR_B        0x62u
#define VECTOR_TIMER    0x73u
#define VECTOR_ERROR    0x84u

#define ICR_LOGICAL     BIT32(11)
#define LOWEST          0x100u

#define CPUID1_X2APIC   BIT32(21)
#define CPUID1_DEADLINE BIT32(24)

#define BOCHS_RO        "\"Local Vector Table\": [12] and [14] are read only; Bochs stores them"
#define QEMU_RO         "reserved and read-only bits read 0; QEMU stores them"
#define QEMU_ESR                                                                                   \
    "\"Error Handling\": vectors 0 to 15 are illegal, not sent, and told; QEMU sends them"
#define QEMU_LINT                                                                                  \
    "\"Local Vector Table\": LINT0 as programmed; QEMU tells the CPU of the 8259 besides"
#define QEMU_OFF "\"Software Disabled\": all LVT masks are set; QEMU leaves them"
#define BOCHS_LINT                                                                                 \
    "\"Local Vector Table\": LINT0 has the 8259's INTR; Bochs wires it to the CPU itself"
#define BOCHS_ESR                                                                                  \
    "\"Error Handling\": send illegal vector; Bochs does not tell it for this shorthand"
#define BOCHS_TSC                                                                                  \
    "\"TSC-Deadline Mode\": 0 when it is disarmed, has fired, or is off; Bochs keeps it"
#define BOCHS_GP "\"x2APIC Register Address Space\": reserved bits are #GP; Bochs ignores them"
#define SELF_IPI                                                                                   \
    "\"Self-IPI Virtualization\": the processor sets VIRR, and looks at no other register"

static bool bit_of(unsigned base, unsigned vector)
{
    return (lapic_read(base + vector / 32 * 16) >> (vector & 31) & 1) != 0;
}

static void eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

static void fresh(void)
{
    quiet();
    lapic_enable_virtual_wire();
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    lapic_write(LAPIC_TMICT, 0);
    do {
        for (unsigned i = 0; i < 16; i++)
            eoi();
    } while (take() != 0);
    lapic_write(ESR, 0);
}

static void send_self(unsigned vector)
{
    lapic_write(LAPIC_ICR_LOW, ICR_SELF | ICR_ASSERT | vector);
}

/* --- registers --- */

static const struct mask {
    const char *name;
    uint32_t offset, ones, reads, zeros;
} masks[] = {
    {"tpr",         TASK_PRIORITY,   0xffffffff, 0x000000ff, 0         },
    {"ldr",         LDR,             0xffffffff, 0xff000000, 0         },
    {"dfr",         DFR,             0x0fffffff, 0x0fffffff, 0x0fffffff},
    {"dfr-flat",    DFR,             0xf0000000, 0xffffffff, 0x0fffffff},
    {"lvt-thermal", LVT_THERMAL,     0xffffffff, 0x000107ff, 0         },
    {"lvt-perf",    LVT_PERF,        0xffffffff, 0x000107ff, 0         },
    {"lvt-lint0",   LAPIC_LVT_LINT0, 0xffffffff, 0x0001a7ff, 0         },
    {"lvt-lint1",   LVT_LINT1,       0xffffffff, 0x0001a7ff, 0         },
    {"lvt-error",   LVT_ERROR,       0xffffffff, 0x000100ff, 0         },
    {"lvt-timer",   LAPIC_LVT_TIMER, 0xfff9ffff, 0x000100ff, 0         },
    {"icr-high",    0x310,           0xffffffff, 0xff000000, 0         },
    {"tdcr",        LAPIC_TDCR,      0xffffffff, 0x0000000b, 0         },
    {"tmict",       LAPIC_TMICT,     0x12345678, 0x12345678, 0         },
};

static void check_masks(void)
{
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        const struct mask *m = &masks[i];
        uint32_t saved = lapic_read(m->offset);

        lapic_write(m->offset, m->ones);
        check(m->name, lapic_read(m->offset), m->reads);
        if (m->offset >= 0x310 && m->offset <= LVT_ERROR)
            differs(QEMU, m->ones, QEMU_RO);
        if (m->offset >= LAPIC_LVT_TIMER && m->offset <= LVT_ERROR)
            differs(BOCHS, m->reads | (m->reads & 0x8000) >> 1 | 0x1000, BOCHS_RO);
        lapic_write(m->offset, saved);
    }
    lapic_write(LAPIC_TMICT, 0);
    fresh();
}

static void check_constants(void)
{
    uint32_t version = lapic_read(LAPIC_VERSION);

    check("base-enabled", rdmsr(MSR_APIC_BASE) & 0xfffffd00, 0xfee00900);
    check("version", version & 0xff, 0x14);
    check("lvts-at-least-6", (version >> 16 & 0xff) >= 5, true);
    check("id-is-cpuid-s", lapic_read(LAPIC_ID) >> 24, cpuid(1, 0).ebx >> 24);
    check("svr-reads-back", lapic_read(LAPIC_SVR) & 0x1ff, 0x1ff);
    check("ppr-idle", lapic_read(PPR), 0);
    for (unsigned i = 0; i < 8; i++) {
        check_at("isr-idle", i, lapic_read(ISR + 16 * i), 0);
        check_at("irr-idle", i, lapic_read(LAPIC_IRR + 16 * i), 0);
    }
    lapic_write(LAPIC_VERSION, 0);
    check("version-read-only", lapic_read(LAPIC_VERSION) == version, true);
}

/* --- interrupts --- */

static void check_ipis(void)
{
    uint32_t id = lapic_read(LAPIC_ID);

    fresh();
    send_self(VECTOR_A);
    check("icr-reads-back", lapic_read(LAPIC_ICR_LOW), ICR_SELF | ICR_ASSERT | VECTOR_A);
    check("self-irr", bit_of(LAPIC_IRR, VECTOR_A), true);
    check("self-tmr", bit_of(TMR, VECTOR_A), false);
    differs(GUEST, true, SELF_IPI);
    send_self(VECTOR_A); /* the same bit again */
    check("self-taken", take(), VECTOR_A);
    check("self-isr", bit_of(ISR, VECTOR_A), true);
    check("self-irr-ends", bit_of(LAPIC_IRR, VECTOR_A), false);
    check("ppr-in-service", lapic_read(PPR), VECTOR_A & 0xf0);
    send_self(VECTOR_A);
    check("same-vector-waits", take(), 0);
    send_self(VECTOR_A & 0xf0); /* same class */
    check("same-class-waits", take(), 0);
    send_self(VECTOR_B);
    check("higher-class-nests", take(), VECTOR_B);
    check("ppr-of-the-highest", lapic_read(PPR), VECTOR_B & 0xf0);
    eoi();
    check("eoi-ends-the-highest", bit_of(ISR, VECTOR_B), false);
    check("eoi-leaves-the-lower", bit_of(ISR, VECTOR_A), true);
    eoi();
    check("waiting-comes", take(), VECTOR_A);
    eoi();
    check("lower-of-the-class-comes", take(), VECTOR_A & 0xf0);
    eoi();
    check("ppr-idle-again", lapic_read(PPR), 0);
    send_self(VECTOR_A);
    send_self(VECTOR_B);
    check("highest-first", take(), VECTOR_B);
    check("lower-after", take(), 0);
    eoi();
    check("lower-then", take(), VECTOR_A);
    eoi();

    lapic_write(LAPIC_ICR_HIGH, id);
    lapic_write(LAPIC_ICR_LOW, ICR_ASSERT | VECTOR_A);
    check("physical-own", take(), VECTOR_A);
    eoi();
    lapic_write(LAPIC_ICR_HIGH, 0xff000000);
    lapic_write(LAPIC_ICR_LOW, ICR_ASSERT | VECTOR_A);
    check("physical-broadcast", take(), VECTOR_A);
    eoi();
    lapic_write(LAPIC_ICR_HIGH, 0x0e000000);
    lapic_write(LAPIC_ICR_LOW, ICR_ASSERT | VECTOR_A);
    check("physical-nobody", take(), 0);
    lapic_write(LAPIC_ICR_LOW, ICR_ALL | ICR_ASSERT | VECTOR_A);
    check("all-including-self", take(), VECTOR_A);
    eoi();
    lapic_write(LAPIC_ICR_LOW, ICR_OTHERS | ICR_ASSERT | VECTOR_A);
    check("all-but-self", take(), 0);
}

/* Sent to a logical destination: taken or not. */
static unsigned logical(uint32_t dest, uint32_t low)
{
    unsigned vector;

    lapic_write(LAPIC_ICR_HIGH, dest << 24);
    lapic_write(LAPIC_ICR_LOW, ICR_LOGICAL | ICR_ASSERT | low);
    vector = take();
    eoi();
    return vector;
}

static void check_logical(void)
{
    fresh();
    lapic_write(DFR, 0xffffffff);
    lapic_write(LDR, 0x02000000);
    check("flat-own", logical(0x02, VECTOR_A), VECTOR_A);
    check("flat-several", logical(0x03, VECTOR_A), VECTOR_A);
    check("flat-other", logical(0x01, VECTOR_A), 0);
    check("flat-broadcast", logical(0xff, VECTOR_A), VECTOR_A);
    check("flat-lowest", logical(0x02, LOWEST | VECTOR_A), VECTOR_A);
    lapic_write(DFR, 0x0fffffff);
    lapic_write(LDR, 0x34000000);
    check("cluster-own", logical(0x34, VECTOR_A), VECTOR_A);
    check("cluster-several", logical(0x3c, VECTOR_A), VECTOR_A);
    check("cluster-other-member", logical(0x38, VECTOR_A), 0);
    check("cluster-other-cluster", logical(0x24, VECTOR_A), 0);
    check("cluster-broadcast", logical(0xff, VECTOR_A), VECTOR_A);
    differs(QEMU, 0, "\"Logical Destination Mode\": all ones is broadcast; QEMU compares clusters");
    lapic_write(DFR, 0xffffffff);
}

static void check_tpr(void)
{
    fresh();
    lapic_write(LAPIC_TPR, VECTOR_A & 0xf0);
    check("ppr-is-tpr", lapic_read(PPR), VECTOR_A & 0xf0);
    check("cr8-is-tpr", cr8_read(), VECTOR_A >> 4);
    send_self(VECTOR_A);
    check("tpr-holds-its-class", take(), 0);
    lapic_write(LAPIC_TPR, (VECTOR_A & 0xf0) - 1);
    check("ppr-has-sub-class", lapic_read(PPR), (VECTOR_A & 0xf0) - 1);
    check("lower-tpr-lets-pass", take(), VECTOR_A);
    check("ppr-is-isr-s", lapic_read(PPR), VECTOR_A & 0xf0);
    lapic_write(LAPIC_TPR, 0xff);
    check("ppr-is-the-higher", lapic_read(PPR), 0xff);
    eoi();
    send_self(0xf0);
    check("tpr-f-holds-all", take(), 0);
    cr8_write(0);
    check("tpr-is-cr8", lapic_read(LAPIC_TPR), 0);
    check("cr8-lets-pass", take(), 0xf0);
    eoi();
    trap_clear();
    __asm__ volatile(FAULTS("mov %0, %%cr8") : : "r"(0x10ull) : "memory");
    check("cr8-reserved-gp", trap_last().vector, VECTOR_GP);
    differs(QEMU, TRAP_NONE, "MOV CR8: 1 in a reserved bit is #GP; QEMU ignores it");
}

/* Some machines deliver illegal vectors: not later, please. */
static void drain(void)
{
    while (take() != 0)
        eoi();
}

static uint32_t errors(void)
{
    lapic_write(ESR, 0);
    return lapic_read(ESR);
}

static void check_errors(void)
{
    fresh();
    check("esr-idle", errors(), 0);
    send_self(0x05);
    check("esr-send-illegal-vector", errors() & 0x20, 0x20);
    differs(QEMU, 0, QEMU_ESR);
    differs(BOCHS, 0, BOCHS_ESR);
    check("esr-cleared-by-write", errors(), 0);
    check("illegal-vector-not-sent", bit_of(LAPIC_IRR, 5), false);
    differs(QEMU, true, QEMU_ESR);
    drain();
    lapic_write(LVT_ERROR, VECTOR_ERROR);
    send_self(0x06);
    check("error-interrupt", take(), VECTOR_ERROR);
    differs(QEMU, 6, QEMU_ESR);
    differs(BOCHS, 0, BOCHS_ESR);
    eoi();
    drain();
    lapic_write(LVT_ERROR, LVT_MASKED);
    send_self(0x07);
    check("error-interrupt-masked", take(), 0);
    differs(QEMU, 7, QEMU_ESR);
    eoi();
    drain();
    (void)errors();
    lapic_write(0x3f0, 0); /* a register that does not exist in xAPIC mode */
    check("esr-illegal-register", errors() & 0x80, 0x80);
    (void)lapic_read(0x040);
    check("esr-illegal-register-read", errors() & 0x80, 0x80);
}

static void check_lints(void)
{
    uint32_t nmis;

    fresh();
    irq0_raise();
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED | DELIVERY_EXTINT);
    outb(PORT_PIC1_DATA, 0xfe);
    check("lint0-masked", take(), 0);
    differs(BOCHS, VECTOR_PIC1, BOCHS_LINT);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT);
    check("lint0-extint", take(), VECTOR_PIC1);
    differs(BOCHS, 0, BOCHS_LINT);
    outb(PORT_PIC1_CMD, 0x20);
    lapic_write(LAPIC_TPR, 0xff);
    irq0_lower();
    irq0_raise();
    check("extint-ignores-tpr", take(), VECTOR_PIC1);
    outb(PORT_PIC1_CMD, 0x20);
    lapic_write(LAPIC_TPR, 0);
    outb(PORT_PIC1_DATA, 0xff);

    irq0_lower();
    lapic_write(LAPIC_LVT_LINT0, VECTOR_A); /* fixed, edge */
    outb(PORT_PIC1_DATA, 0xfe);
    irq0_raise();
    check("lint0-fixed", take(), VECTOR_A);
    differs(QEMU, VECTOR_PIC1, QEMU_LINT);
    differs(BOCHS, VECTOR_PIC1, BOCHS_LINT);
    eoi();
    check("lint0-edge-once", take(), 0);
    differs(QEMU, VECTOR_A, QEMU_LINT);
    outb(PORT_PIC1_DATA, 0xff);
    irq0_lower();
    irq_count_clear();
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_NMI);
    outb(PORT_PIC1_DATA, 0xfe);
    irq0_raise();
    tsc_delay(us(100));
    nmis = irq_count(VECTOR_NMI);
    check("lint0-nmi", nmis, 1);
    differs(QEMU, 0, QEMU_LINT);
    differs(BOCHS, 0, BOCHS_LINT);
    fresh();
    irq_count_clear();
    lapic_write(LAPIC_ICR_HIGH, lapic_read(LAPIC_ID));
    lapic_write(LAPIC_ICR_LOW, DELIVERY_NMI | ICR_ASSERT);
    tsc_delay(us(100));
    check("icr-nmi", irq_count(VECTOR_NMI), 1);
}

static void check_timer(void)
{
    static const uint8_t dividers[] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa};
    uint32_t base = 0;
    uint32_t first;

    fresh();
    for (unsigned i = 0; i < sizeof(dividers); i++) { /* 1, 2, 4 .. 128 */
        uint32_t count;

        lapic_write(LAPIC_TDCR, dividers[i]);
        lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
        lapic_write(LAPIC_TMICT, 0xffffffff);
        tsc_delay(us(2000));
        count = (0xffffffff - lapic_read(LAPIC_TMCCT)) << i;
        if (i == 0)
            base = count;
        check_at("timer-divides", i, within(count, base / 100 * 90, base / 100 * 110), true);
    }
    lapic_write(LAPIC_TDCR, TDCR_DIVIDE_1);
    base /= 2; /* counts of 1 ms */
    lapic_write(LAPIC_TMICT, base * 5);
    lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
    first = lapic_read(LAPIC_TMCCT);
    tsc_delay(us(500));
    check("timer-counts-down", lapic_read(LAPIC_TMCCT) < first, true);
    check("timer-initial-count-stays", lapic_read(LAPIC_TMICT) == base * 5, true);
    check("one-shot-not-early", take(), 0);
    check("one-shot", irq_wait(VECTOR_TIMER, 1, us(20000)), true);
    check("one-shot-once", irq_wait(VECTOR_TIMER, 2, us(8000)), false);
    check("one-shot-ends-at-0", lapic_read(LAPIC_TMCCT), 0);
    lapic_write(LAPIC_TMCCT, 5);
    check("tmcct-read-only", lapic_read(LAPIC_TMCCT), 0);
    irq_count_clear();
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    lapic_write(LAPIC_TMICT, base);
    check("periodic", irq_wait(VECTOR_TIMER, 10, us(50000)), true);
    lapic_write(LAPIC_TMICT, 0);
    (void)take();
    eoi();
    check("periodic-stopped-by-0", take(), 0);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_TMICT, base / 10);
    tsc_delay(us(500));
    lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
    check("masked-timer-is-lost", take(), 0);
    fresh();
}

static void check_deadline(void)
{
    uint64_t deadline;

    fresh();
    lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + us(1000));
    check("ignored-in-one-shot-mode", rdmsr(MSR_TSC_DEADLINE), 0);
    lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
    __asm__ volatile("mfence" : : : "memory");
    check("disarmed", rdmsr(MSR_TSC_DEADLINE), 0);
    differs(BOCHS, ANY, BOCHS_TSC);
    deadline = rdtsc() + us(2000);
    wrmsr(MSR_TSC_DEADLINE, deadline);
    check("reads-back", rdmsr(MSR_TSC_DEADLINE) == deadline, true);
    check("not-early", take(), 0);
    check("fires", irq_wait(VECTOR_TIMER, 1, us(20000)), true);
    check("late-enough", irq_tsc(VECTOR_TIMER) >= deadline, true);
    check("disarmed-after", rdmsr(MSR_TSC_DEADLINE), 0);
    differs(BOCHS, ANY, BOCHS_TSC);
    wrmsr(MSR_TSC_DEADLINE, 1);
    check("past-fires", take(), VECTOR_TIMER);
    eoi();
    lapic_write(LAPIC_TMICT, 1000);
    check("tmict-ignored", take(), 0);
    check("tmcct-is-0", lapic_read(LAPIC_TMCCT), 0);
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + us(1000));
    wrmsr(MSR_TSC_DEADLINE, 0);
    check("disarmed-by-0", irq_wait(VECTOR_TIMER, 2, us(3000)), false);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
}

static void check_disable(void)
{
    fresh();
    lapic_write(LVT_ERROR, VECTOR_ERROR);
    lapic_write(LAPIC_SVR, VECTOR_SPURIOUS);
    check("disabled-masks-lvts", lapic_read(LVT_ERROR), LVT_MASKED | VECTOR_ERROR);
    differs(QEMU, VECTOR_ERROR, QEMU_OFF);
    lapic_write(LVT_ERROR, VECTOR_ERROR);
    check("disabled-keeps-masks", lapic_read(LVT_ERROR), LVT_MASKED | VECTOR_ERROR);
    differs(QEMU, VECTOR_ERROR, QEMU_OFF);
    send_self(VECTOR_A);
    check("disabled-takes-nothing", take(), 0);
    differs(BOCHS, VECTOR_A,
            "\"Local APIC State After It Has Been Software Disabled\": responds to INIT, "
            "NMI, SMI and SIPI only; Bochs to all");
    differs(GUEST, VECTOR_A, SELF_IPI);
    eoi();
    check("disabled-irr", bit_of(LAPIC_IRR, VECTOR_A), false);
    differs(QEMU, true, "responds to INIT, NMI, SMI and SIPI only; QEMU keeps the request");
    lapic_enable();
    check("enabled-lvts-stay-masked", lapic_read(LVT_ERROR), LVT_MASKED | VECTOR_ERROR);
    differs(QEMU, VECTOR_ERROR, QEMU_OFF);
    send_self(VECTOR_A);
    check("enabled-takes", take(), VECTOR_A);
    eoi();
    fresh();
}

void test_lapic(void)
{
    fresh();
    check_constants();
    check_masks();
    check_ipis();
    check_logical();
    check_tpr();
    check_errors();
    check_lints();
    check_timer();
    check_disable();
    group("tsc-deadline");
    if (present((cpuid(1, 0).ecx & CPUID1_DEADLINE) != 0, QEMU,
                "CPUID.1:ECX[24] is 0: TCG before 9.0 has none"))
        check_deadline();
}

/* --- x2APIC: there is no way back --- */

static const struct {
    const char *name;
    uint16_t index;
    bool readable;
    bool writable; /* with 0 */
} x2_registers[] = {
    {"reserved-800", 0x00, false, false},
    {"reserved-801", 0x01, false, false},
    {"id",           0x02, true,  false},
    {"version",      0x03, true,  false},
    {"tpr",          0x08, true,  true },
    {"arbitration",  0x09, false, false},
    {"ppr",          0x0a, true,  false},
    {"eoi",          0x0b, false, true },
    {"remote-read",  0x0c, false, false},
    {"ldr",          0x0d, true,  false},
    {"dfr",          0x0e, false, false},
    {"isr",          0x10, true,  false},
    {"tmr",          0x18, true,  false},
    {"irr",          0x20, true,  false},
    {"esr",          0x28, true,  true },
    {"icr-high",     0x31, false, false},
    {"tmict",        0x38, true,  true },
    {"tmcct",        0x39, true,  false},
    {"self-ipi",     0x3f, false, false}, /* vector 0 is not tried */
    {"beyond",       0x40, false, false},
};

static void check_x2_access(void)
{
    for (unsigned i = 0; i < sizeof(x2_registers) / sizeof(x2_registers[0]); i++) {
        uint32_t msr = MSR_X2APIC + x2_registers[i].index;
        uint64_t value;

        check_at("readable", x2_registers[i].index, rdmsr_try(msr, &value),
                 x2_registers[i].readable);
        if (x2_registers[i].index != 0x3f)
            check_at("writable", x2_registers[i].index, wrmsr_try(msr, 0),
                     x2_registers[i].writable);
    }
}

static void check_x2apic(void)
{
    uint32_t id = lapic_read(LAPIC_ID) >> 24;
    uint32_t svr = lapic_read(LAPIC_SVR);
    uint64_t base = rdmsr(MSR_APIC_BASE);
    uint64_t value;

    check("msrs-gp-in-xapic-mode", rdmsr_try(MSR_X2APIC + 3, &value), false);
    check("reserved-base-bit-gp", wrmsr_try(MSR_APIC_BASE, base | 1), false);
    check("extd-without-en-gp", wrmsr_try(MSR_APIC_BASE, (base & ~0x800ull) | 0x400), false);
    check("switch", lapic_enable_x2apic(), true);
    check("base", rdmsr(MSR_APIC_BASE) & 0xc00, 0xc00);
    check("back-to-xapic-gp", wrmsr_try(MSR_APIC_BASE, base), false);
    check("id-32", lapic_read(LAPIC_ID), id);
    check("svr-stays", lapic_read(LAPIC_SVR), svr);
    check("ldr-from-id", lapic_read(LDR), (id >> 4) << 16 | 1u << (id & 15));
    check_x2_access();
    check("eoi-non-zero-gp", wrmsr_try(MSR_X2APIC + 0x0b, 1), false);
    check("esr-non-zero-gp", wrmsr_try(MSR_X2APIC + 0x28, 1), false);
    check("tpr-reserved-gp", wrmsr_try(MSR_X2APIC + 0x08, 0x100), false);
    check("tpr-high-half-gp", wrmsr_try(MSR_X2APIC + 0x08, BIT(32)), false);
    check("lvt-reserved-gp", wrmsr_try(MSR_X2APIC + 0x37, BIT(20)), false);
    differs(BOCHS, true, BOCHS_GP);
    check("svr-reserved-gp", wrmsr_try(MSR_X2APIC + 0x0f, BIT(16)), false);
    check("tdcr-reserved-gp", wrmsr_try(MSR_X2APIC + 0x3e, 0x10), false);
    differs(BOCHS, true, BOCHS_GP);
    check("icr-reserved-gp", wrmsr_try(MSR_X2APIC + 0x30, BIT(20)), false);
    differs(BOCHS, true, BOCHS_GP);
    check("self-ipi-reserved-gp", wrmsr_try(MSR_X2APIC + 0x3f, 0x100), false);
    differs(BOCHS, true, BOCHS_GP);
    wrmsr(MSR_X2APIC + 0x3f, VECTOR_A);
    check("self-ipi", take(), VECTOR_A);
    eoi();
    wrmsr(MSR_X2APIC + 0x30, (uint64_t)id << 32 | ICR_ASSERT | VECTOR_A);
    check("icr-physical", take(), VECTOR_A);
    check("isr", bit_of(ISR, VECTOR_A), true);
    eoi();
    wrmsr(MSR_X2APIC + 0x30, (uint64_t)lapic_read(LDR) << 32 | ICR_LOGICAL | ICR_ASSERT | VECTOR_B);
    check("icr-logical", take(), VECTOR_B);
    eoi();
    wrmsr(MSR_X2APIC + 0x30, 0xffffffffull << 32 | ICR_ASSERT | VECTOR_B);
    check("icr-broadcast", take(), VECTOR_B);
    eoi();
    check("icr-reads-64", rdmsr(MSR_X2APIC + 0x30) >> 32, 0xffffffff);
    differs(BOCHS, ANY, "\"ICR Operation in x2APIC Mode\": 64 bits; Bochs reads the low half");
    wrmsr(MSR_X2APIC + 0x30, ICR_SELF | ICR_ASSERT | VECTOR_A);
    check("icr-self-shorthand", take(), VECTOR_A);
    eoi();
    cr8_write(5);
    check("tpr-is-cr8", lapic_read(LAPIC_TPR), 0x50);
    cr8_write(0);
}

void test_x2apic(void)
{
    if (present((cpuid(1, 0).ecx & CPUID1_X2APIC) != 0, QEMU,
                "CPUID.1:ECX[21] is 0: TCG before 9.0 has none")) {
        fresh();
        check_x2apic();
    }
}
