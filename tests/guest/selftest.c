/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine as a guest sees it. Each check prints `ok NAME`, `FAIL NAME: what was seen`
 * or `skip NAME: what the CPU lacks`; the last line is `selftest N passed, N failed`, then the
 * machine is powered off.
 *
 * Sources: SDM 3A "Advanced Programmable Interrupt Controller (APIC)", SDM 1 "Managing State Using
 * the XSAVE Feature Set"; data sheets of the chips; PCI Local Bus Specification 3.0 "Configuration
 * Space Decoding".
 */
#include "tests/guest/selftest.h"

#define VECTOR_TIMER        0x40u
#define VECTOR_IOAPIC       0x41u
#define VECTOR_IPI          0x50u

#define CPUID1_ECX_VMX      BIT32(5)
#define CPUID1_ECX_X2APIC   BIT32(21)
#define CPUID1_ECX_DEADLINE BIT32(24)
#define CPUID1_ECX_XSAVE    BIT32(26)
#define CPUID1_ECX_OSXSAVE  BIT32(27)
#define CPUID1_ECX_AVX      BIT32(28)
#define CPUID1_ECX_VM       BIT32(31)

#define CR4_OSFXSR          BIT(9)
#define CR4_OSXSAVE         BIT(18)

#define XCR0_X87            0x1ull
#define XCR0_SSE            0x2ull
#define XCR0_AVX            0x4ull

#define PIT_1MS             1193u
#define MSR_ABSENT          0x12345678u
#define YMM_BYTES           (16 * 32)

/* An address above the first 4 GiB: start.S maps nothing there. */
#define ABSENT_ADDR         0x100000123ull

void expect(struct test *t, const char *name, uint64_t got, uint64_t want)
{
    if (got == want) {
        con_printf("ok %s\n", name);
        t->passed++;
    } else {
        con_printf("FAIL %s: got %lx, want %lx\n", name, got, want);
        t->failed++;
    }
}

static void expect_percent(struct test *t, const char *name, uint64_t got, uint64_t want)
{
    if (within_percent(got, want)) {
        con_printf("ok %s\n", name);
        t->passed++;
    } else {
        con_printf("FAIL %s: got %lu, want %lu within 1 percent\n", name, got, want);
        t->failed++;
    }
}

static void expect_range(struct test *t, const char *name, uint64_t got, uint64_t min, uint64_t max)
{
    if (got >= min && got <= max) {
        con_printf("ok %s\n", name);
        t->passed++;
    } else {
        con_printf("FAIL %s: got %lu, want %lu to %lu\n", name, got, min, max);
        t->failed++;
    }
}

bool has(const struct test *t, uint32_t feature, const char *name)
{
    if ((t->features & feature) == feature)
        return true;
    con_printf("skip %s: not in CPUID\n", name);
    return false;
}

static uint64_t ms(const struct test *t, uint64_t count)
{
    return t->tsc_hz / 1000 * count;
}

/* --- processor --- */

static void test_cpuid(struct test *t)
{
    expect(t, "cpuid-hypervisor-bit", t->features & CPUID1_ECX_VM, CPUID1_ECX_VM);
    expect(t, "cpuid-no-vmx", t->features & CPUID1_ECX_VMX, 0);
    expect_percent(t, "cpuid-15h-is-tsc-rate", tsc_hz_cpuid(), t->tsc_hz);
}

static void test_msrs(struct test *t)
{
    uint64_t value = 0;

    (void)rdmsr_try(MSR_ABSENT, &value);
    expect(t, "rdmsr-unknown-gp", trap_last().vector, VECTOR_GP);
    expect(t, "rdmsr-unknown-error-code", trap_last().error, 0);
    (void)wrmsr_try(MSR_ABSENT, 0);
    expect(t, "wrmsr-unknown-gp", trap_last().vector, VECTOR_GP);
    (void)rdmsr_try(MSR_FEATURE_CONTROL, &value);
    expect(t, "feature-control-locked", value, 1);
    (void)wrmsr_try(MSR_FEATURE_CONTROL, 5);
    expect(t, "feature-control-write-gp", trap_last().vector, VECTOR_GP);
}

static void test_page_fault(struct test *t)
{
    trap_clear();
    __asm__ volatile(FAULTS("movb (%0), %%al") : : "r"(ABSENT_ADDR) : "rax", "memory");
    expect(t, "page-fault-read", trap_last().vector, VECTOR_PF);
    expect(t, "page-fault-read-error-code", trap_last().error, 0);
    expect(t, "page-fault-read-cr2", trap_last().cr2, ABSENT_ADDR);
    trap_clear();
    __asm__ volatile(FAULTS("movb %%al, (%0)") : : "r"(ABSENT_ADDR + 1) : "memory");
    expect(t, "page-fault-write-error-code", trap_last().error, 2);
    expect(t, "page-fault-write-cr2", trap_last().cr2, ABSENT_ADDR + 1);
}

/* #DB leaves the guest and is given back: DR6 and DR7 must be as the CPU itself leaves them. */
static void test_debug_exception(struct test *t)
{
    uint64_t value = 0;

    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ull));
    trap_clear();
    __asm__ volatile("mov %1, %%dr7\n" FAULTS("mov %%dr0, %0")
                     : "+r"(value)
                     : "r"(0x2400ull) /* general detect: the next access to a debug register */
                     : "memory");
    expect(t, "general-detect-db", trap_last().vector, 1);
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    expect(t, "general-detect-dr6", value & 0xf00f, 0x2000);
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    expect(t, "general-detect-dr7-cleared", value, 0x400);

    trap_clear();
    __asm__ volatile("leaq 771f(%%rip), %%rax\n\tmov %%rax, %%dr0\n\tmov %0, %%dr7\n" FAULTS("nop")
                     :
                     : "r"(0x402ull) /* G0: instruction breakpoint at DR0 */
                     : "rax", "memory");
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ull));
    expect(t, "breakpoint-db", trap_last().vector, 1);
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    expect(t, "breakpoint-dr6", value & 0xf, 1);
}

static unsigned xsetbv_try(uint32_t index, uint64_t value)
{
    trap_clear();
    __asm__ volatile(FAULTS("xsetbv")
                     :
                     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return trap_last().vector;
}

static uint64_t xgetbv(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0) : "memory");
    return (uint64_t)high << 32 | low;
}

static void test_xsetbv(struct test *t)
{
    uint64_t good = XCR0_X87 | XCR0_SSE;

    cr4_write(cr4_read() | CR4_OSFXSR);
    if (!has(t, CPUID1_ECX_XSAVE, "xsetbv"))
        return;
    cr4_write(cr4_read() | CR4_OSXSAVE);
    expect(t, "cpuid-osxsave-follows-cr4", cpuid(1, 0).ecx & CPUID1_ECX_OSXSAVE,
           CPUID1_ECX_OSXSAVE);
    expect(t, "xsetbv-without-x87-gp", xsetbv_try(0, XCR0_SSE), VECTOR_GP);
    expect(t, "xsetbv-avx-without-sse-gp", xsetbv_try(0, XCR0_X87 | XCR0_AVX), VECTOR_GP);
    expect(t, "xsetbv-reserved-bit-gp", xsetbv_try(0, good | BIT(62)), VECTOR_GP);
    expect(t, "xsetbv-index-1-gp", xsetbv_try(1, good), VECTOR_GP);
    if ((t->features & CPUID1_ECX_AVX) != 0)
        good |= XCR0_AVX;
    expect(t, "xsetbv-good", xsetbv_try(0, good), TRAP_NONE);
    expect(t, "xgetbv-reads-it-back", xgetbv(), good);
}

#define YMM_EACH(op)                                                                               \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
        op(15)
#define YMM_LOAD(n)  "vmovdqu 32*" #n "(%0), %%ymm" #n "\n\t"
#define YMM_STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%0)\n\t"

static void ymm_load(const uint8_t *bytes)
{
    __asm__ volatile(YMM_EACH(YMM_LOAD) : : "r"(bytes) : "memory");
}

static void ymm_store(uint8_t *bytes)
{
    __asm__ volatile(YMM_EACH(YMM_STORE) : : "r"(bytes) : "memory");
}

static void test_ymm(struct test *t)
{
    uint8_t before[YMM_BYTES], after[YMM_BYTES];
    unsigned different = 0;

    if (!has(t, CPUID1_ECX_XSAVE | CPUID1_ECX_AVX, "ymm-survive-exits"))
        return;
    for (unsigned i = 0; i < YMM_BYTES; i++) {
        before[i] = (uint8_t)(i * 7 + i / 32 + 1);
        after[i] = 0;
    }
    ymm_load(before);
    for (unsigned round = 0; round < 1000; round++) {
        (void)inb(PORT_UNCLAIMED);
        (void)cpuid(0, 0);
        (void)lapic_read(LAPIC_VERSION);
    }
    ymm_store(after);
    for (unsigned i = 0; i < YMM_BYTES; i++)
        different += before[i] != after[i];
    expect(t, "ymm-survive-exits", different, 0);
}

/* --- ports --- */

static void test_unclaimed_ports(struct test *t)
{
    outl(PORT_UNCLAIMED, 0);
    expect(t, "port-unclaimed-8", inb(PORT_UNCLAIMED), 0xff);
    expect(t, "port-unclaimed-16", inw(PORT_UNCLAIMED), 0xffff);
    expect(t, "port-unclaimed-32", inl(PORT_UNCLAIMED), 0xffffffff);
}

/* As Linux looks for the PIC (probe_8259A). */
static void test_pic_probe(struct test *t)
{
    outb(PORT_PIC2_DATA, 0xff);
    outb(PORT_PIC1_DATA, 0xfb);
    expect(t, "pic-mask-reads-back", inb(PORT_PIC1_DATA), 0xfb);
    outb(PORT_PIC1_DATA, 0xff);
}

static void test_pm_timer(struct test *t)
{
    uint32_t start = inl(PORT_PM_TIMER);
    uint64_t tsc = rdtsc();
    uint32_t ticks;

    tsc_delay(ms(t, 20));
    ticks = (inl(PORT_PM_TIMER) - start) & 0xffffff;
    expect_percent(t, "pm-timer-rate", ticks * t->tsc_hz / (rdtsc() - tsc), PM_HZ);
}

static uint32_t pci_read(uint32_t address)
{
    outl(PORT_PCI_ADDR, address);
    return inl(PORT_PCI_DATA);
}

static void test_pci(struct test *t)
{
    uint32_t others = 0xffffffff;

    expect(t, "pci-host-bridge-id", pci_read(BIT32(31)), 0x12378086);
    expect(t, "pci-address-reads-back", inl(PORT_PCI_ADDR), BIT32(31));
    expect(t, "pci-host-bridge-id-16", inw(PORT_PCI_DATA + 2), 0x1237);
    expect(t, "pci-host-bridge-id-8", inb(PORT_PCI_DATA + 1), 0x80);
    for (uint32_t function = 1; function < 32 * 8; function++)
        others &= pci_read(BIT32(31) | function << 8);
    others &= pci_read(BIT32(31) | 1u << 16);
    expect(t, "pci-nothing-else", others, 0xffffffff);
    expect(t, "pci-address-disabled", pci_read(0), 0xffffffff);
}

static void test_uart(struct test *t)
{
    uint8_t looped, msr;
    bool ready;

    con_flush();
    outb(PORT_UART + UART_SCR, 0xa5);
    outb(PORT_UART + UART_MCR, MCR_LOOP | 0x0a); /* RTS, OUT2 */
    msr = inb(PORT_UART + UART_MSR) & 0xf0;
    while ((inb(PORT_UART + UART_LSR) & LSR_DR) != 0)
        (void)inb(PORT_UART + UART_DATA);
    outb(PORT_UART + UART_DATA, 0x5a);
    tsc_delay(ms(t, 1));
    ready = (inb(PORT_UART + UART_LSR) & LSR_DR) != 0;
    looped = inb(PORT_UART + UART_DATA);
    con_flush();
    outb(PORT_UART + UART_MCR, MCR_NORMAL);
    expect(t, "uart-scratch", inb(PORT_UART + UART_SCR), 0xa5);
    expect(t, "uart-loopback-modem-lines", msr, 0x90); /* CTS, DCD */
    expect(t, "uart-loopback-data-ready", ready, true);
    expect(t, "uart-loopback-data", looped, 0x5a);
}

/* Sleep in 1 ms steps until the RTC's seconds change. Returns the TSC, 0 after 2 s without. */
static uint64_t rtc_wait_second(const struct test *t)
{
    uint8_t second = rtc_read(0);
    uint64_t start = rdtsc();

    while (rdtsc() - start < ms(t, 2000)) {
        irq_halt();
        if ((rtc_read(0x0a) & 0x80) == 0 && rtc_read(0) != second)
            return rdtsc();
    }
    return 0;
}

/* Needs the PIT's interrupt through the PIC. */
static void test_rtc(struct test *t)
{
    uint64_t first, second;

    outb(PORT_PIC1_DATA, 0xfe);
    pit_start(PIT_1MS);
    first = rtc_wait_second(t);
    second = rtc_wait_second(t);
    pit_stop();
    outb(PORT_PIC1_DATA, 0xff);
    expect_percent(t, "rtc-second", second - first, t->tsc_hz);
    expect(t, "rtc-status-d-valid", rtc_read(0x0d), 0x80);
}

/* --- interrupts --- */

/* Take what is still pending, then count from 0. */
static void count_afresh(void)
{
    irq_enable();
    irq_disable();
    irq_count_clear();
}

static void test_irq0_pic(struct test *t)
{
    pic_setup(0xfe, 0xff);
    lapic_enable_virtual_wire();
    count_afresh();
    pit_start(PIT_1MS);
    expect(t, "irq0-through-pic", irq_wait(VECTOR_PIC1, 3, ms(t, 100)), true);
    outb(PORT_PIC1_DATA, 0xff);
    count_afresh();
    (void)irq_wait(VECTOR_PIC1, 1, ms(t, 5));
    expect(t, "irq0-masked-in-pic", irq_count(VECTOR_PIC1), 0);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT | LVT_MASKED);
    outb(PORT_PIC1_DATA, 0xfe);
    count_afresh();
    (void)irq_wait(VECTOR_PIC1, 1, ms(t, 5));
    expect(t, "irq0-masked-in-lint0", irq_count(VECTOR_PIC1), 0);
    pit_stop();
    outb(PORT_PIC1_DATA, 0xff);
}

static void test_irq0_ioapic(struct test *t)
{
    uint8_t low = IOAPIC_REDTBL + 2 * 2;

    count_afresh();
    ioapic_write(low + 1, lapic_read(LAPIC_ID));
    ioapic_write(low, VECTOR_IOAPIC);
    expect(t, "ioapic-entry-reads-back", ioapic_read(low), VECTOR_IOAPIC);
    pit_start(PIT_1MS);
    expect(t, "irq0-through-ioapic", irq_wait(VECTOR_IOAPIC, 3, ms(t, 100)), true);
    ioapic_write(low, VECTOR_IOAPIC | BIT32(16));
    count_afresh();
    (void)irq_wait(VECTOR_IOAPIC, 1, ms(t, 5));
    expect(t, "irq0-masked-in-ioapic", irq_count(VECTOR_IOAPIC), 0);
    pit_stop();
}

/* The local APIC timer's rate, by the TSC, undivided. */
static uint64_t lapic_timer_hz(const struct test *t)
{
    uint64_t start;
    uint32_t count;

    lapic_write(LAPIC_TDCR, TDCR_DIVIDE_1);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_TMICT, 0xffffffff);
    start = rdtsc();
    tsc_delay(ms(t, 10));
    count = 0xffffffff - lapic_read(LAPIC_TMCCT);
    start = rdtsc() - start;
    lapic_write(LAPIC_TMICT, 0);
    return count * t->tsc_hz / start;
}

/* Start the local APIC timer for so many milliseconds; mode is LVT_PERIODIC or 0. */
static uint64_t lapic_timer_start(const struct test *t, uint32_t mode, uint32_t time_ms)
{
    count_afresh();
    lapic_write(LAPIC_LVT_TIMER, mode | VECTOR_TIMER);
    lapic_write(LAPIC_TMICT, (uint32_t)(t->lapic_hz / 1000 * time_ms));
    return rdtsc();
}

static void test_lapic_timer(struct test *t)
{
    uint64_t start = lapic_timer_start(t, 0, 2);

    expect(t, "lapic-oneshot-counts", lapic_read(LAPIC_TMCCT) != 0, true);
    expect(t, "lapic-oneshot-fires", irq_wait(VECTOR_TIMER, 1, ms(t, 100)), true);
    expect_range(t, "lapic-oneshot-not-early", irq_tsc(VECTOR_TIMER) - start, ms(t, 2) * 99 / 100,
                 ms(t, 100));
    expect(t, "lapic-oneshot-only-once", irq_wait(VECTOR_TIMER, 2, ms(t, 5)), false);
    expect(t, "lapic-oneshot-ends-at-0", lapic_read(LAPIC_TMCCT), 0);

    start = lapic_timer_start(t, LVT_PERIODIC, 1);
    expect(t, "lapic-periodic-fires", irq_wait(VECTOR_TIMER, 10, ms(t, 200)), true);
    expect_range(t, "lapic-periodic-not-early", irq_tsc(VECTOR_TIMER) - start, ms(t, 10) * 99 / 100,
                 ms(t, 200));
    lapic_write(LAPIC_TMICT, 0);
    count_afresh();
    expect(t, "lapic-periodic-stops", irq_wait(VECTOR_TIMER, 1, ms(t, 5)), false);
}

static void test_tsc_deadline(struct test *t)
{
    uint64_t deadline;

    if (!has(t, CPUID1_ECX_DEADLINE, "tsc-deadline"))
        return;
    count_afresh();
    lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
    __asm__ volatile("mfence" : : : "memory");
    deadline = rdtsc() + ms(t, 2);
    wrmsr(MSR_TSC_DEADLINE, deadline);
    expect(t, "tsc-deadline-reads-back", rdmsr(MSR_TSC_DEADLINE), deadline);
    expect(t, "tsc-deadline-fires", irq_wait(VECTOR_TIMER, 1, ms(t, 100)), true);
    expect_range(t, "tsc-deadline-not-early", irq_tsc(VECTOR_TIMER), deadline,
                 deadline + ms(t, 100));
    expect(t, "tsc-deadline-cleared", rdmsr(MSR_TSC_DEADLINE), 0);
    wrmsr(MSR_TSC_DEADLINE, 1);
    expect(t, "tsc-deadline-in-the-past-fires", irq_wait(VECTOR_TIMER, 2, ms(t, 5)), true);
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + ms(t, 2));
    wrmsr(MSR_TSC_DEADLINE, 0);
    expect(t, "tsc-deadline-disarmed", irq_wait(VECTOR_TIMER, 3, ms(t, 5)), false);
}

/*
 * Halt until an interrupt came. Bochs 3.0 forgets the HLT activity state when the host's own
 * interrupt leaves the guest, so HLT may end without one, as it may by an SMI on a real PC.
 */
static void halt_until(unsigned vector)
{
    for (unsigned i = 0; i < 100 && irq_count(vector) == 0; i++)
        irq_halt();
}

/* HLT must end by the local APIC timer, not by the PIT, which would end it after 54 ms. */
static void test_hlt(struct test *t)
{
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT);
    outb(PORT_PIC1_DATA, 0xfe);
    pit_start(0); /* its output rises at once, which is an interrupt of its own */
    (void)lapic_timer_start(t, 0, 2);
    halt_until(VECTOR_TIMER);
    expect(t, "hlt-woken-by-lapic-timer", irq_count(VECTOR_TIMER), 1);
    count_afresh();
    halt_until(VECTOR_PIC1);
    expect(t, "hlt-woken-by-pit", irq_count(VECTOR_PIC1), 1);
    pit_stop();
    outb(PORT_PIC1_DATA, 0xff);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT | LVT_MASKED);
}

static void test_ipi(struct test *t)
{
    count_afresh();
    lapic_write(LAPIC_ICR_LOW, ICR_SELF | ICR_ASSERT | VECTOR_IPI);
    expect(t, "ipi-waits-for-if", irq_count(VECTOR_IPI), 0);
    expect(t, "ipi-self-shorthand", irq_wait(VECTOR_IPI, 1, ms(t, 5)), true);
    lapic_write(LAPIC_ICR_HIGH, lapic_read(LAPIC_ID));
    lapic_write(LAPIC_ICR_LOW, ICR_ASSERT | VECTOR_IPI);
    expect(t, "ipi-physical", irq_wait(VECTOR_IPI, 2, ms(t, 5)), true);
}

static void test_tpr(struct test *t)
{
    count_afresh();
    lapic_write(LAPIC_TPR, VECTOR_IPI & 0xf0);
    expect(t, "cr8-reads-tpr", cr8_read(), VECTOR_IPI >> 4);
    lapic_write(LAPIC_ICR_LOW, ICR_SELF | ICR_ASSERT | VECTOR_IPI);
    expect(t, "tpr-holds-back", irq_wait(VECTOR_IPI, 1, ms(t, 1)), false);
    expect(t, "irr-shows-it", lapic_read(LAPIC_IRR + VECTOR_IPI / 32 * 16) & BIT32(VECTOR_IPI % 32),
           BIT32(VECTOR_IPI % 32));
    cr8_write(0);
    expect(t, "cr8-lets-go", irq_wait(VECTOR_IPI, 1, ms(t, 1)), true);
    expect(t, "tpr-reads-cr8", lapic_read(LAPIC_TPR), 0);
}

/* NMIs come with IF = 0. Each rise of the PIC's output is one; nobody acknowledges the PIC. */
static void test_nmi(struct test *t)
{
    count_afresh();
    lapic_write(LAPIC_ICR_HIGH, lapic_read(LAPIC_ID));
    lapic_write(LAPIC_ICR_LOW, DELIVERY_NMI | ICR_ASSERT);
    tsc_delay(ms(t, 1));
    expect(t, "nmi-by-icr", irq_count(VECTOR_NMI), 1);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_NMI);
    outb(PORT_PIC1_DATA, 0xfe);
    pit_start(PIT_1MS);
    tsc_delay(ms(t, 10));
    expect_range(t, "nmi-by-lint0", irq_count(VECTOR_NMI), 2, 13);
    pit_stop();
    outb(PORT_PIC1_DATA, 0xff);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT | LVT_MASKED);
}

/* --- memory-mapped registers --- */

/* RAX and RDI after an instruction; TRAP_NONE or the exception it met. */
struct mmio {
    uint64_t rax, rdi;
    unsigned vector;
};

/* A function that runs one instruction with RDI = address, RAX = rax, RCX = 1. */
#define MMIO_FORM(function, instruction)                                                           \
    static struct mmio function(uint64_t address, uint64_t rax)                                    \
    {                                                                                              \
        struct mmio m = {rax, address, TRAP_NONE};                                                 \
        uint64_t rcx = 1;                                                                          \
                                                                                                   \
        trap_clear();                                                                              \
        __asm__ volatile("mov %%rax, %%r9\n\t" FAULTS(instruction)                                 \
                         : "+a"(m.rax), "+D"(m.rdi), "+c"(rcx)                                     \
                         :                                                                         \
                         : "r9", "cc", "memory");                                                  \
        m.vector = trap_last().vector;                                                             \
        return m;                                                                                  \
    }

MMIO_FORM(load_32, "movl (%%rdi), %%eax")
MMIO_FORM(load_16, "movw (%%rdi), %%ax")
MMIO_FORM(load_8, "movb (%%rdi), %%al")
MMIO_FORM(load_8_high, "movb (%%rdi), %%ah")
MMIO_FORM(load_zx_16, "movzwl (%%rdi), %%eax")
MMIO_FORM(load_zx_8, "movzbl (%%rdi), %%eax")
MMIO_FORM(load_zx_8_64, "movzbq (%%rdi), %%rax")
MMIO_FORM(load_sx_8, "movsbl (%%rdi), %%eax")
MMIO_FORM(load_sib, "movl -4(%%rdi,%%rcx,4), %%eax")
MMIO_FORM(load_disp32, "movl -0x12345(%%rdi), %%eax")
MMIO_FORM(store_32, "movl %%eax, (%%rdi)")
MMIO_FORM(store_rex, "movl %%r9d, (%%rdi)")
MMIO_FORM(store_16, "movw %%ax, (%%rdi)")
MMIO_FORM(store_8, "movb %%al, (%%rdi)")
MMIO_FORM(store_imm_32, "movl $0x12, (%%rdi)")
MMIO_FORM(store_imm_16, "movw $0x13, (%%rdi)")
MMIO_FORM(store_imm_8, "movb $0x14, (%%rdi)")
MMIO_FORM(exchange_32, "xchgl %%eax, (%%rdi)")
MMIO_FORM(string_32, "stosl")
MMIO_FORM(string_32_rep, "rep stosl")
MMIO_FORM(string_8, "stosb")
MMIO_FORM(ioapic_load_offset, "movabsl 0xfec00000, %%eax")
MMIO_FORM(ioapic_store_offset, "movabsl %%eax, 0xfec00000")
MMIO_FORM(load_sse, "movups (%%rdi), %%xmm0")
MMIO_FORM(load_x87, "flds (%%rdi)")

/* A load: it met no exception, and RAX is as the form leaves it. */
static void expect_load(struct test *t, const char *name, struct mmio m, uint64_t rax)
{
    if (m.vector == TRAP_NONE)
        expect(t, name, m.rax, rax);
    else
        expect(t, name, m.vector, TRAP_NONE);
}

/* A store: it met no exception, and the register at `address` reads `value`. */
static void expect_store(struct test *t, const char *name, struct mmio m, uint64_t address,
                         uint32_t value)
{
    if (m.vector == TRAP_NONE)
        expect(t, name, mmio_read(address), value);
    else
        expect(t, name, m.vector, TRAP_NONE);
}

#define GARBAGE 0xa1a2a3a4a5a6a7a8ull

static void test_mmio_loads(struct test *t)
{
    uint64_t at = LAPIC_BASE + LAPIC_VERSION;
    uint32_t v = mmio_read(at);

    expect_load(t, "mmio-load-32", load_32(at, GARBAGE), v);
    expect_load(t, "mmio-load-sib", load_sib(at, GARBAGE), v);
    expect_load(t, "mmio-load-disp32", load_disp32(at + 0x12345, GARBAGE), v);
    expect_load(t, "mmio-load-16", load_16(at, GARBAGE), (GARBAGE & ~0xffffull) | (v & 0xffff));
    expect_load(t, "mmio-load-8", load_8(at, GARBAGE), (GARBAGE & ~0xffull) | (v & 0xff));
    expect_load(t, "mmio-load-8-high", load_8_high(at, GARBAGE),
                (GARBAGE & ~0xff00ull) | (v & 0xff) << 8);
    expect_load(t, "mmio-load-8-at-2", load_zx_8(at + 2, GARBAGE), v >> 16 & 0xff);
    expect_load(t, "mmio-movzx-16", load_zx_16(at, GARBAGE), v & 0xffff);
    expect_load(t, "mmio-movzx-8", load_zx_8(at, GARBAGE), v & 0xff);
    expect_load(t, "mmio-movzx-8-to-64", load_zx_8_64(at, GARBAGE), v & 0xff);
    mmio_write(IOAPIC_BASE, 0x81);
    expect_load(t, "mmio-movsx-8", load_sx_8(IOAPIC_BASE, GARBAGE), 0xffffff81);
    expect_load(t, "mmio-load-offset", ioapic_load_offset(0, GARBAGE), 0x81);
}

static void test_mmio_stores(struct test *t)
{
    uint64_t at = IOAPIC_BASE;

    expect_store(t, "mmio-store-32", store_32(at, 0x10), at, 0x10);
    expect_store(t, "mmio-store-rex", store_rex(at, 0x11), at, 0x11);
    expect_store(t, "mmio-store-imm-32", store_imm_32(at, 0), at, 0x12);
    expect_store(t, "mmio-store-imm-16", store_imm_16(at, 0), at, 0x13);
    expect_store(t, "mmio-store-imm-8", store_imm_8(at, 0), at, 0x14);
    expect_store(t, "mmio-store-16", store_16(at, 0x15), at, 0x15);
    expect_store(t, "mmio-store-8", store_8(at, 0x16), at, 0x16);
    expect_store(t, "mmio-store-offset", ioapic_store_offset(0, 0x17), at, 0x17);
    expect_store(t, "mmio-stos-32", string_32(at, 0x18), at, 0x18);
    expect(t, "mmio-stos-32-steps", string_32(at, 0x18).rdi, at + 4);
    expect_store(t, "mmio-stos-32-rep", string_32_rep(at, 0x19), at, 0x19);
    expect_store(t, "mmio-stos-8", string_8(at, 0x1a), at, 0x1a);
    expect_load(t, "mmio-xchg-load", exchange_32(at, GARBAGE << 32 | 0x1b), 0x1a);
    expect_store(t, "mmio-xchg-store", exchange_32(at, 0x1c), at, 0x1c);
    at = LAPIC_BASE + LAPIC_TPR;
    expect_store(t, "mmio-lapic-store-32", store_32(at, 0x20), at, 0x20);
    expect_store(t, "mmio-lapic-store-imm", store_imm_32(at, 0), at, 0x12);
    expect_store(t, "mmio-lapic-stos-32", string_32(at, 0x30), at, 0x30);
    expect_load(t, "mmio-lapic-xchg", exchange_32(at, 0), 0x30);
    expect(t, "mmio-lapic-xchg-store", mmio_read(at), 0);
}

/* A read-modify-write of the I/O APIC's index register, which holds 8 bits: what becomes of it. */
static void expect_index(struct test *t, const char *name, struct mmio m, uint32_t value)
{
    expect_store(t, name, m, IOAPIC_BASE, value);
    mmio_write(IOAPIC_BASE, 0x24);
}

MMIO_FORM(or_32, "orl %%eax, (%%rdi)")
MMIO_FORM(and_8_imm, "andb $0x0f, (%%rdi)")
MMIO_FORM(add_16, "addw %%ax, (%%rdi)")
MMIO_FORM(sub_to_register, "subl (%%rdi), %%eax")
MMIO_FORM(inc_32, "incl (%%rdi)")
MMIO_FORM(dec_8, "decb (%%rdi)")
MMIO_FORM(not_8, "notb (%%rdi)")
MMIO_FORM(neg_32, "negl (%%rdi)")
MMIO_FORM(shl_32, "shll $1, (%%rdi)")
MMIO_FORM(ror_8_cl, "rorb %%cl, (%%rdi)")
MMIO_FORM(xadd_locked, "lock xaddl %%eax, (%%rdi)")
MMIO_FORM(cmpxchg_32, "cmpxchgl %%ecx, (%%rdi)")
MMIO_FORM(bts_imm, "btsl $3, (%%rdi)")
MMIO_FORM(btr_far, "btrl %%eax, (%%rdi)")
MMIO_FORM(setc_8, "stc\n\tsetc (%%rdi)")
MMIO_FORM(cmov_32, "stc\n\tcmovcl (%%rdi), %%eax")
MMIO_FORM(cmov_not_32, "stc\n\tcmovncl (%%rdi), %%eax")
MMIO_FORM(store_nti, "movnti %%eax, (%%rdi)")
MMIO_FORM(lock_mov, ".byte 0xf0\n\tmovl %%eax, (%%rdi)")

static void test_mmio_arithmetic(struct test *t)
{
    uint64_t at = IOAPIC_BASE;

    mmio_write(at, 0x24);
    expect_index(t, "mmio-or", or_32(at, 0x41), 0x65);
    expect_index(t, "mmio-and-8", and_8_imm(at, 0), 0x04);
    expect_index(t, "mmio-add-16", add_16(at, 0x12), 0x36);
    expect_load(t, "mmio-sub-from-memory", sub_to_register(at, 0x30), 0x0c);
    expect_index(t, "mmio-inc", inc_32(at, 0), 0x25);
    expect_index(t, "mmio-dec-8", dec_8(at, 0), 0x23);
    expect_index(t, "mmio-not-8", not_8(at, 0), 0xdb);
    expect_index(t, "mmio-neg", neg_32(at, 0), 0xdc);
    expect_index(t, "mmio-shl", shl_32(at, 0), 0x48);
    expect_index(t, "mmio-ror-8-cl", ror_8_cl(at, 0), 0x12);
    expect_load(t, "mmio-lock-xadd-load", xadd_locked(at, 0x10), 0x24);
    expect_index(t, "mmio-lock-xadd-store", xadd_locked(at, 0), 0x34);
    expect_index(t, "mmio-cmpxchg-equal", cmpxchg_32(at, 0x24), 0x01);
    expect_load(t, "mmio-cmpxchg-different", cmpxchg_32(at, 0x25), 0x24);
    expect_index(t, "mmio-bts", bts_imm(at, 0), 0x2c);
    expect_index(t, "mmio-btr-far", btr_far(at + 0x100, (uint64_t)-0x800 + 2), 0x20);
    expect_index(t, "mmio-setc", setc_8(at, 0), 0x01);
    expect_load(t, "mmio-cmovc", cmov_32(at, GARBAGE), 0x24);
    expect_load(t, "mmio-cmovnc", cmov_not_32(at, GARBAGE), (uint32_t)GARBAGE);
    expect_index(t, "mmio-movnti", store_nti(at, 0x1d), 0x1d);
    expect(t, "mmio-lock-mov-ud", lock_mov(at, 0).vector, VECTOR_UD);
}

/* String instructions: the registers after one. */
struct string {
    uint64_t rsi, rdi, rcx;
    unsigned vector;
};

#define STRING_FORM(function, instruction)                                                         \
    static struct string function(uint64_t rsi, uint64_t rdi, uint64_t rcx)                        \
    {                                                                                              \
        struct string s = {rsi, rdi, rcx, TRAP_NONE};                                              \
                                                                                                   \
        trap_clear();                                                                              \
        __asm__ volatile(FAULTS(instruction) "\n\tcld"                                             \
                         : "+S"(s.rsi), "+D"(s.rdi), "+c"(s.rcx)                                   \
                         : "d"(PORT_UNCLAIMED)                                                     \
                         : "rax", "cc", "memory");                                                 \
        s.vector = trap_last().vector;                                                             \
        return s;                                                                                  \
    }

STRING_FORM(rep_movsd, "rep movsl")
STRING_FORM(rep_movsd_down, "std\n\trep movsl")
STRING_FORM(repe_cmpsd, "repe cmpsl")
STRING_FORM(rep_insb, "rep insb")
STRING_FORM(rep_insd, "rep insl")
STRING_FORM(rep_outsd, "rep outsl")

#define LAST_WORD 0xfffffffcull /* of what is mapped; nothing answers there */

static void test_mmio_strings(struct test *t)
{
    uint32_t memory[4] = {0x31, 0x32, 0x33, 0x34};
    uint64_t at = (uint64_t)memory;
    struct string s = rep_movsd(at, IOAPIC_BASE, 1);

    expect(t, "movs-to-device", mmio_read(IOAPIC_BASE), 0x31);
    s = rep_movsd(IOAPIC_BASE, at + 4, 3); /* the index, then two reserved registers */
    expect(t, "movs-from-device", memory[1], 0x31);
    expect(t, "movs-from-device-steps", s.rdi, at + 16);
    expect(t, "movs-from-device-source", s.rsi, IOAPIC_BASE + 12);
    expect(t, "movs-from-device-count", s.rcx, 0);
    s = rep_movsd_down(IOAPIC_BASE, at, 1);
    expect(t, "movs-down", s.rsi, IOAPIC_BASE - 4);
    s = rep_movsd(IOAPIC_BASE, LAST_WORD - 4, 5);
    expect(t, "movs-page-fault", s.vector, VECTOR_PF);
    expect(t, "movs-page-fault-cr2", trap_last().cr2, LAST_WORD + 4);
    expect(t, "movs-page-fault-error-code", trap_last().error, 2);
    expect(t, "movs-page-fault-count", s.rcx, 3);
    expect(t, "movs-page-fault-source", s.rsi, IOAPIC_BASE + 8);
    memory[0] = mmio_read(IOAPIC_BASE);
    memory[1] = ~memory[0];
    s = repe_cmpsd(IOAPIC_BASE, at, 1);
    expect(t, "cmps-equal-count", s.rcx, 0);
    s = repe_cmpsd(IOAPIC_BASE, at + 4, 3);
    expect(t, "cmps-different-count", s.rcx, 2);
}

static void test_port_strings(struct test *t)
{
    uint8_t memory[600];
    unsigned ones = 0;
    struct string s;

    for (unsigned i = 0; i < sizeof(memory); i++)
        memory[i] = 0;
    s = rep_insb(0, (uint64_t)memory, sizeof(memory) - 1);
    for (unsigned i = 0; i < sizeof(memory); i++)
        ones += memory[i] == 0xff;
    expect(t, "insb-fills", ones, sizeof(memory) - 1);
    expect(t, "insb-steps", s.rdi, (uint64_t)memory + sizeof(memory) - 1);
    expect(t, "insb-count", s.rcx, 0);
    s = rep_insd(0, LAST_WORD - 4, 5);
    expect(t, "insd-page-fault", s.vector, VECTOR_PF);
    expect(t, "insd-page-fault-cr2", trap_last().cr2, LAST_WORD + 4);
    expect(t, "insd-page-fault-error-code", trap_last().error, 2);
    expect(t, "insd-page-fault-count", s.rcx, 3);
    s = rep_outsd(LAST_WORD, 0, 5);
    expect(t, "outsd-page-fault-error-code", trap_last().error, 0);
    expect(t, "outsd-page-fault-count", s.rcx, 4);
    s = rep_insb(0, BIT(47) - 1, 2);
    expect(t, "insb-absent-pf", s.vector, VECTOR_PF);
    s = rep_insb(0, BIT(47), 2);
    expect(t, "insb-non-canonical-gp", s.vector, VECTOR_GP);
}

/* Instructions in 32-bit and in 16-bit code segments: EDI is the address, EAX goes and comes. */
__asm__(".text\n"
        ".code32\n"
        "code32:\n\t"
        "movl %eax, (%edi)\n\t"
        "addb $1, (%edi)\n\t"
        "incl %ss:(%edi)\n\t"
        "movw (%edi), %ax\n\t"
        "lretl\n"
        ".code16\n"
        "code16:\n\t"
        "movl %eax, (%edi)\n\t"
        "orw $0x40, (%edi)\n\t"
        "incb (%edi)\n\t"
        "movw (%edi), %ax\n\t"
        "lretl\n"
        ".code64\n");
void code32(void);
void code16(void);

static uint32_t far_call(void (*code)(void), uint16_t selector, uint32_t edi, uint32_t eax)
{
    struct PACKED {
        uint32_t offset;
        uint16_t selector;
    } target = {(uint32_t)(uint64_t)code, selector};

    __asm__ volatile("lcall *%2" : "+a"(eax), "+D"(edi) : "m"(target) : "cc", "memory");
    return eax;
}

/*
 * Code that reaches a device changes, with all that leads to it. Two pages of code and two sets of
 * tables for the same address: the first page's MOV loads the I/O APIC's version, the other one's
 * the register number that was selected.
 */
#define CHANGED_GVA BIT(39)
#define LOADS_RDI   0xc3078bu /* mov (%rdi), %eax; ret */
#define LOADS_RSI   0xc3068bu /* mov (%rsi), %eax; ret */

enum { PML4, PDPT, PD, PT, LEVELS };

static ALIGNED(PAGE_SIZE) uint64_t changed_table[2][LEVELS][512];
static ALIGNED(PAGE_SIZE) volatile uint32_t changed_code[2][1024];

static uint32_t run_changed(void)
{
    uint32_t value;

    __asm__ volatile("call *%1"
                     : "=a"(value)
                     : "r"(CHANGED_GVA), "D"(IOAPIC_BASE + IOAPIC_IOWIN), "S"(IOAPIC_BASE)
                     : "cc", "memory");
    return value;
}

static void expect_changed(struct test *t, const char *name, uint32_t value)
{
    expect(t, name, run_changed(), value);
    expect(t, name, run_changed(), value); /* and again, by what may have been kept */
}

static void load_cr3(const uint64_t *pml4)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
}

static void make_changed_tables(const uint64_t *pml4)
{
    for (unsigned set = 0; set < 2; set++) {
        uint64_t(*table)[512] = changed_table[set];

        for (unsigned i = 0; i < 512; i++)
            table[PML4][i] = pml4[i];
        table[PML4][1] = (uint64_t)table[PDPT] | 3;
        table[PDPT][0] = (uint64_t)table[PD] | 3;
        table[PD][0] = (uint64_t)table[PT] | 3;
        table[PT][0] = (uint64_t)changed_code[set] | 3;
    }
    changed_code[0][0] = LOADS_RDI;
    changed_code[1][0] = LOADS_RSI;
}

static void test_mmio_changed_code(struct test *t)
{
    static const char *const names[] = {"mmio-changed-cr3", "mmio-changed-pdpte",
                                        "mmio-changed-pde", "mmio-changed-pte"};
    uint32_t version;
    uint64_t *pml4;

    mmio_write(IOAPIC_BASE, IOAPIC_VERSION);
    version = mmio_read(IOAPIC_BASE + IOAPIC_IOWIN);
    __asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
    make_changed_tables(pml4);
    load_cr3(changed_table[0][PML4]);
    expect_changed(t, "mmio-unchanged", version);
    changed_code[0][0] = LOADS_RSI;
    expect_changed(t, "mmio-changed-code", IOAPIC_VERSION);
    changed_code[0][0] = LOADS_RDI;
    expect_changed(t, "mmio-changed-code-back", version);
    load_cr3(changed_table[1][PML4]);
    expect_changed(t, names[0], IOAPIC_VERSION);
    for (unsigned level = PDPT; level < LEVELS; level++) {
        uint64_t *entry = changed_table[0][level];
        uint64_t old = *entry;

        load_cr3(changed_table[0][PML4]);
        expect_changed(t, "mmio-unchanged", version);
        *entry = *changed_table[1][level];
        load_cr3(changed_table[0][PML4]);
        expect_changed(t, names[level], IOAPIC_VERSION);
        *entry = old;
    }
    load_cr3(pml4);
}

static void test_mmio_other_modes(struct test *t)
{
    expect(t, "mmio-32-bit-code", far_call(code32, SEL_CODE32, IOAPIC_BASE, 0xabcd0041),
           0xabcd0043);
    expect(t, "mmio-16-bit-code", far_call(code16, SEL_CODE16, IOAPIC_BASE, 0xabcd0021),
           0xabcd0062);
}

static void test_mmio_undecodable(struct test *t)
{
    uint64_t at = IOAPIC_BASE;

    expect(t, "mmio-sse-load-ud", load_sse(at, 0).vector, VECTOR_UD);
    expect(t, "mmio-x87-load-ud", load_x87(at, 0).vector, VECTOR_UD);
    __asm__ volatile("fninit" : : : "memory");
}

/* Last: there is no way back to xAPIC mode without a pass through `disabled`. */
static void test_x2apic(struct test *t)
{
    uint32_t id = lapic_read(LAPIC_ID) >> 24;
    uint32_t version = lapic_read(LAPIC_VERSION);
    uint32_t svr = lapic_read(LAPIC_SVR);
    uint64_t value;

    if (!has(t, CPUID1_ECX_X2APIC, "x2apic"))
        return;
    expect(t, "x2apic-msr-gp-in-xapic-mode", rdmsr_try(MSR_X2APIC + 3, &value), false);
    expect(t, "x2apic-switch", lapic_enable_x2apic(), true);
    if (trap_last().vector != TRAP_NONE)
        return;
    expect(t, "x2apic-mode-reads-back", rdmsr(MSR_APIC_BASE) & 0xc00, 0xc00);
    expect(t, "x2apic-id", lapic_read(LAPIC_ID), id);
    expect(t, "x2apic-version", lapic_read(LAPIC_VERSION), version);
    expect(t, "x2apic-keeps-svr", lapic_read(LAPIC_SVR), svr);
    count_afresh();
    lapic_write(LAPIC_SELF_IPI, VECTOR_IPI);
    expect(t, "x2apic-self-ipi", irq_wait(VECTOR_IPI, 1, ms(t, 5)), true);
    wrmsr(MSR_X2APIC + 0x30, (uint64_t)id << 32 | ICR_ASSERT | VECTOR_IPI);
    expect(t, "x2apic-icr-physical", irq_wait(VECTOR_IPI, 2, ms(t, 5)), true);
    expect(t, "x2apic-icr-high-gp", rdmsr_try(MSR_X2APIC + 0x31, &value), false);
    expect(t, "x2apic-eoi-non-zero-gp", wrmsr_try(MSR_X2APIC + 0x0b, 1), false);
    expect(t, "x2apic-version-read-only-gp", wrmsr_try(MSR_X2APIC + 3, 0), false);
    value = rdmsr(MSR_APIC_BASE) & ~APIC_BASE_EXTD;
    expect(t, "x2apic-to-xapic-gp", wrmsr_try(MSR_APIC_BASE, value), false);
    (void)lapic_timer_start(t, 0, 2);
    expect(t, "x2apic-timer-fires", irq_wait(VECTOR_TIMER, 1, ms(t, 100)), true);
}

static void test_clocks(struct test *t)
{
    t->tsc_hz = tsc_hz_pit();
    expect(t, "pit-channel-2-ends", t->tsc_hz != 0, true);
    if (t->tsc_hz == 0)
        t->tsc_hz = BIT(26); /* a guess, for the time-outs */
    con_printf("tsc %lu Hz (CPUID), %lu Hz (PIT)\n", tsc_hz_cpuid(), t->tsc_hz);
}

void guest_main(void)
{
    struct test t = {.features = cpuid(1, 0).ecx};

    con_setup();
    test_clocks(&t);
    test_cpuid(&t);
    test_msrs(&t);
    test_page_fault(&t);
    test_debug_exception(&t);
    test_xsetbv(&t);
    test_cpu(&t);
    test_unclaimed_ports(&t);
    test_pic_probe(&t);
    test_pm_timer(&t);
    test_pci(&t);
    test_uart(&t);
    test_irq0_pic(&t);
    test_irq0_ioapic(&t);
    t.lapic_hz = lapic_timer_hz(&t);
    test_lapic_timer(&t);
    test_tsc_deadline(&t);
    test_hlt(&t);
    test_ipi(&t);
    test_tpr(&t);
    test_nmi(&t);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT);
    test_rtc(&t);
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT | LVT_MASKED);
    test_mmio_loads(&t);
    test_mmio_stores(&t);
    test_mmio_arithmetic(&t);
    test_mmio_strings(&t);
    test_port_strings(&t);
    test_mmio_changed_code(&t);
    test_mmio_other_modes(&t);
    test_mmio_undecodable(&t);
    test_ymm(&t);
    test_x2apic(&t);
    con_printf("selftest %u passed, %u failed\n", t.passed, t.failed);
    power_off();
}
