/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two processors and their local APICs, in xAPIC and in x2APIC mode. Each check prints `ok NAME` or
 * `FAIL NAME: what was seen`, and `apic N passed, N failed` follows them: the same lines whatever
 * the hardware under the virtual machine does by itself.
 *
 * Then come blocks of COUNT equal operations. Before the first and after each, `count NAME` is
 * printed and a key waited for, so that whoever counts exits can look. The last key switches off.
 *
 * Sources: SDM 3A "Advanced Programmable Interrupt Controller (APIC)", "MP Initialization
 * Protocol"; 82093AA data sheet.
 */
#include "tests/guest/lib.h"

#define AP           1u /* its number and its APIC ID */
#define PAGE_1       0x08u
#define PAGE_2       0x9eu
#define COUNT        1000u

#define V_WAKE       0x32u /* takes the AP out of HLT */
#define V_LOW        0x41u
#define V_NEST       0x51u /* its handler sends V_LOW and V_HIGH to itself, IF = 1 */
#define V_HIGH       0x61u
#define V_PPR        0x71u /* its handler reads PPR, ISR and TMR */
#define V_IPI        0x75u
#define V_ACK        0x76u /* its handler answers through memory */
#define V_FLUSH      0x77u /* its handler executes INVLPG */
#define V_TIMER      0x80u
#define V_EDGE       0x91u
#define V_LEVEL      0x92u
#define V_ERROR      0xa1u
#define NEST_END     0xeeu /* in the log of handlers: V_NEST is through */

#define PIN_PIT      2u
#define PIN_UART     4u
#define ENTRY_LEVEL  BIT32(15)
#define ENTRY_RIRR   BIT32(14)
#define ENTRY_MASKED BIT32(16)
#define SVR_NO_BROADCAST BIT32(12)
#define IER_THRE     0x02u
#define DFR_CLUSTER  0x0fffffffu
#define DFR_FLAT     0xffffffffu
#define PIT_1MS      1193u
#define CR8_CLASS    (V_IPI >> 4)

/* Where the remapped page of the TLB test is, and what it shows in turn. */
#define REMAP_GVA    0x40000000ul
#define REMAP_GPA    0x400000ul
#define PDE_PAGE     0x83u /* present, writable, large */

/* The program's state; both CPUs and handlers use it. */
static struct {
    unsigned passed, failed;
    const char *mode; /* "xapic" or "x2apic" */
    bool x2apic;
    uint64_t tsc_hz;

    volatile bool release;  /* ends what the AP does now */
    volatile bool arrived;  /* the AP is about to do it */
    volatile uint64_t value;
    volatile uint64_t log;  /* vectors of handlers, one byte each, the last one lowest */
    volatile uint64_t ppr, isr, tmr;
    volatile unsigned levels, level_limit, rirr, rirr_after;
    volatile uint32_t acks[2]; /* of each CPU */
    volatile uint64_t seen, looks;
} s;

/* --- results --- */

static void expect(const char *name, const char *variant, uint64_t got, uint64_t want)
{
    if (got == want) {
        con_printf("ok %s %s%s\n", s.mode, name, variant);
        s.passed++;
    } else {
        con_printf("FAIL %s %s%s: got %lx, want %lx\n", s.mode, name, variant, got, want);
        s.failed++;
    }
}

static uint64_t us(uint64_t count)
{
    return s.tsc_hz / 1000 * count / 1000;
}

/* How often a vector came: on the BSP [31:16], on the AP [15:0]. */
static uint64_t both(unsigned vector)
{
    return (uint64_t)irq_count_of(0, vector) << 16 | irq_count_of(AP, vector);
}

#define BSP_AND_AP(b, a) ((uint64_t)(b) << 16 | (a))

/* Let interrupts come until both CPUs have had theirs, then give one too many its chance. */
static uint64_t settled(unsigned vector, uint64_t want)
{
    uint64_t start = rdtsc();

    irq_enable();
    while (both(vector) != want && rdtsc() - start < us(50000))
        __asm__ volatile("pause");
    tsc_delay(us(200));
    irq_disable();
    return both(vector);
}

/* --- what the AP does when called --- */

static void ap_start(void)
{
    if (!smp_start(AP, PAGE_1))
        expect("ap-starts", "", 0, 1);
}

static void ap_do(void (*function)(uint64_t), uint64_t argument)
{
    smp_call(AP, function, argument);
    if (smp_wait(AP, us(200000)))
        return;
    expect("ap-answers", "", 0, 1);
    ap_start();
}

static void ap_nothing(uint64_t argument)
{
    s.value = argument;
}

static void ap_read(uint64_t offset)
{
    s.value = lapic_read((unsigned)offset);
}

static void ap_write(uint64_t offset_value)
{
    lapic_write((unsigned)(offset_value >> 32), (uint32_t)offset_value);
}

static void ap_set(unsigned offset, uint32_t value)
{
    ap_do(ap_write, (uint64_t)offset << 32 | value);
}

static uint64_t ap_get(unsigned offset)
{
    ap_do(ap_read, offset);
    return s.value;
}

static void ap_cr8(uint64_t value)
{
    cr8_write(value);
}

static void ap_enable(uint64_t argument)
{
    (void)argument;
    if (s.x2apic)
        (void)lapic_enable_x2apic();
    lapic_enable();
}

/* Sleep with IF = 1 until released, and woken. */
static void ap_halt(uint64_t argument)
{
    (void)argument;
    irq_disable();
    s.arrived = true;
    while (!s.release)
        irq_halt();
    irq_enable();
}

/* Spin with IF = 0 until released. */
static void ap_spin_off(uint64_t argument)
{
    (void)argument;
    irq_disable();
    s.arrived = true;
    while (!s.release)
        __asm__ volatile("pause");
    irq_enable();
}

/* Nothing but NMI and INIT gets out of here. */
static void ap_halt_off(uint64_t argument)
{
    (void)argument;
    s.arrived = true;
    for (;;)
        __asm__ volatile("cli\n\thlt" : : : "memory");
}

/* Call, and wait until the AP is inside. */
static void ap_enter(void (*function)(uint64_t))
{
    uint64_t start = rdtsc();

    s.release = s.arrived = false;
    smp_call(AP, function, 0);
    while (!s.arrived && rdtsc() - start < us(200000))
        __asm__ volatile("pause");
    tsc_delay(us(100));
}

static void ap_leave(void)
{
    s.release = true;
    ipi_send(ICR_ASSERT | V_WAKE, AP);
    if (smp_wait(AP, us(200000)))
        return;
    expect("ap-comes-back", "", 0, 1);
    ap_start();
    ap_do(ap_enable, 0);
}

/* Whether the AP does what it is told within 2 ms. */
static bool ap_alive(void)
{
    s.value = 0;
    smp_call(AP, ap_nothing, 1);
    return smp_wait(AP, us(2000)) && s.value == 1;
}

/* --- handlers --- */

static void log_vector(unsigned vector)
{
    s.log = s.log << 8 | vector;
}

static void eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

static void nest(void)
{
    ipi_send(ICR_SELF | ICR_ASSERT | V_LOW, 0);
    ipi_send(ICR_SELF | ICR_ASSERT | V_HIGH, 0);
    irq_enable();
    irq_disable();
    log_vector(NEST_END);
    eoi();
}

static void look_at_priority(void)
{
    unsigned word = V_PPR / 32 * 16;

    s.ppr = lapic_read(LAPIC_PPR);
    s.isr = lapic_read(LAPIC_ISR + word);
    s.tmr = lapic_read(LAPIC_TMR + word);
}

static uint32_t rirr(void)
{
    return ioapic_read(IOAPIC_REDTBL + 2 * PIN_UART) & ENTRY_RIRR;
}

/* The line falls during the last of `level_limit` interrupts. */
static void level(void)
{
    s.rirr += rirr() != 0;
    if (++s.levels >= s.level_limit)
        outb(PORT_UART + UART_IER, 0);
    eoi();
    s.rirr_after = rirr();
}

static void flush(void)
{
    __asm__ volatile("invlpg (%0)" : : "r"(REMAP_GVA) : "memory");
    s.acks[cpu_index()]++;
}

bool irq_hook(unsigned vector)
{
    switch (vector) {
    case V_LOW:
    case V_HIGH: log_vector(vector); return false;
    case V_NEST:
        log_vector(vector);
        nest();
        return true;
    case V_PPR: look_at_priority(); return false;
    case V_ACK: s.acks[cpu_index()]++; return false;
    case V_FLUSH: flush(); return false;
    case V_LEVEL: level(); return true;
    default: return false;
    }
}

/* --- start of the AP --- */

static void expect_start(const char *name, unsigned starts, unsigned page)
{
    uint64_t begin = rdtsc();

    while (smp_starts(AP) < starts && rdtsc() - begin < us(50000))
        __asm__ volatile("pause");
    tsc_delay(us(500));
    expect(name, "", (uint64_t)smp_starts(AP) << 8 | smp_page(AP), (uint64_t)starts << 8 | page);
}

static void init(uint32_t shorthand)
{
    ipi_send(shorthand | ICR_ASSERT | DELIVERY_INIT, AP);
}

static void sipi(uint32_t shorthand, unsigned page)
{
    ipi_send(shorthand | ICR_ASSERT | DELIVERY_STARTUP | page, AP);
}

static void test_start_basics(void)
{
    unsigned n = smp_starts(AP);

    expect("start", "", smp_start(AP, PAGE_1), 1);
    expect_start("start-second-sipi-ignored", ++n, PAGE_1);
    sipi(0, PAGE_2);
    expect_start("start-sipi-while-running-ignored", n, PAGE_1);
    expect("start-sipi-while-running-goes-on", "", ap_alive(), true);
    ipi_send(DELIVERY_INIT | ICR_LEVEL, AP);
    expect("start-init-deassert-ignored", "", ap_alive(), true);
    init(0);
    tsc_delay(us(200));
    expect("start-init-stops", "", ap_alive(), false);
    ipi_send(DELIVERY_INIT | ICR_LEVEL, AP);
    expect_start("start-init-waits", n, PAGE_1);
    sipi(0, PAGE_2);
    expect_start("start-again-at-other-page", ++n, PAGE_2);
    expect("start-again-answers", "", ap_alive(), true);
    init(0);
    init(0);
    sipi(0, PAGE_1);
    expect_start("start-init-init-sipi", ++n, PAGE_1);
    init(ICR_OTHERS);
    sipi(ICR_OTHERS, PAGE_2);
    expect_start("start-by-shorthand", ++n, PAGE_2);
}

static void test_start_from(const char *name, void (*function)(uint64_t))
{
    unsigned n = smp_starts(AP);

    ap_enter(function);
    init(0);
    tsc_delay(us(100));
    sipi(0, PAGE_1);
    sipi(0, PAGE_1);
    expect_start(name, n + 1, PAGE_1);
    expect(name, "-answers", ap_alive(), true);
}

static void test_start_state(void)
{
    ap_do(ap_enable, 0);
    ap_do(ap_cr8, 9);
    ap_set(LAPIC_LVT_TIMER, V_TIMER);
    init(0);
    sipi(0, PAGE_2);
    tsc_delay(us(1000));
    expect("start-svr", "", ap_get(LAPIC_SVR), 0xff);
    expect("start-tpr", "", ap_get(LAPIC_TPR), 0);
    expect("start-lvt-masked", "", ap_get(LAPIC_LVT_TIMER), LVT_MASKED);
}

static void test_start(void)
{
    unsigned n;

    test_start_basics();
    test_start_from("start-from-halt", ap_halt);
    test_start_from("start-from-halt-with-if-0", ap_halt_off);
    test_start_from("start-from-loop-with-if-0", ap_spin_off);
    test_start_state();
    n = smp_starts(AP);
    for (unsigned i = 0; i < 50; i++)
        (void)smp_start(AP, i % 2 == 0 ? PAGE_1 : PAGE_2);
    expect_start("start-50-times", n + 50, PAGE_2);
    ap_do(ap_enable, 0);
}

/* --- messages --- */

static void one_ipi(const char *name, const char *variant, uint32_t low, uint32_t dest,
                    uint64_t want)
{
    unsigned vector = (low & 0x700) == DELIVERY_NMI ? VECTOR_NMI : V_IPI;

    irq_count_clear_all();
    ipi_send(low | ICR_ASSERT | V_IPI, dest);
    expect(name, variant, settled(vector, want), want);
}

/* To a busy receiver, and to a halted one. */
static void test_ipi(const char *name, uint32_t low, uint32_t dest, uint64_t want)
{
    one_ipi(name, "-busy", low, dest, want);
    ap_enter(ap_halt);
    one_ipi(name, "-halted", low, dest, want);
    ap_leave();
}

static void test_logical_xapic(void)
{
    lapic_write(LAPIC_LDR, 1u << 24);
    ap_set(LAPIC_LDR, 4u << 24);
    test_ipi("ipi-logical-flat", ICR_LOGICAL, 4, BSP_AND_AP(0, 1));
    test_ipi("ipi-logical-flat-both", ICR_LOGICAL, 5, BSP_AND_AP(1, 1));
    one_ipi("ipi-logical-flat-nobody", "", ICR_LOGICAL, 2, 0);
    test_ipi("ipi-lowest-logical", ICR_LOGICAL | DELIVERY_LOWEST, 4, BSP_AND_AP(0, 1));
    lapic_write(LAPIC_DFR, DFR_CLUSTER);
    ap_set(LAPIC_DFR, DFR_CLUSTER);
    lapic_write(LAPIC_LDR, 0x21u << 24);
    ap_set(LAPIC_LDR, 0x22u << 24);
    test_ipi("ipi-logical-cluster", ICR_LOGICAL, 0x22, BSP_AND_AP(0, 1));
    test_ipi("ipi-logical-cluster-both", ICR_LOGICAL, 0x23, BSP_AND_AP(1, 1));
    one_ipi("ipi-logical-cluster-other", "", ICR_LOGICAL, 0x12, 0);
    lapic_write(LAPIC_DFR, DFR_FLAT);
    ap_set(LAPIC_DFR, DFR_FLAT);
}

static void test_logical_x2apic(void)
{
    expect("ldr", "", ap_get(LAPIC_LDR), 2);
    test_ipi("ipi-logical", ICR_LOGICAL, 2, BSP_AND_AP(0, 1));
    test_ipi("ipi-logical-both", ICR_LOGICAL, 3, BSP_AND_AP(1, 1));
    one_ipi("ipi-logical-other-cluster", "", ICR_LOGICAL, 0x10002, 0);
    test_ipi("ipi-lowest-logical", ICR_LOGICAL | DELIVERY_LOWEST, 2, BSP_AND_AP(0, 1));
    one_ipi("ipi-32-bit-destination", "", 0, 0x101, 0);
}

static void test_ipis(void)
{
    uint32_t all = s.x2apic ? 0xffffffff : 0xff;

    test_ipi("ipi-fixed", 0, AP, BSP_AND_AP(0, 1));
    test_ipi("ipi-lowest", DELIVERY_LOWEST, AP, BSP_AND_AP(0, 1));
    test_ipi("ipi-nmi", DELIVERY_NMI, AP, BSP_AND_AP(0, 1));
    test_ipi("ipi-broadcast", 0, all, BSP_AND_AP(1, 1));
    test_ipi("ipi-shorthand-all", ICR_ALL, 0, BSP_AND_AP(1, 1));
    test_ipi("ipi-shorthand-others", ICR_OTHERS, 0, BSP_AND_AP(0, 1));
    test_ipi("ipi-shorthand-self", ICR_SELF, 0, BSP_AND_AP(1, 0));
    test_ipi("nmi-shorthand-others", DELIVERY_NMI | ICR_OTHERS, 0, BSP_AND_AP(0, 1));
    one_ipi("ipi-to-nobody", "", 0, 7, 0);
    if (s.x2apic)
        test_logical_x2apic();
    else
        test_logical_xapic();
}

/* The receiver has interrupts off; NMIs come all the same. */
static void test_interrupts_off(void)
{
    ap_enter(ap_spin_off);
    irq_count_clear_all();
    ipi_send(ICR_ASSERT | V_IPI, AP);
    tsc_delay(us(100));
    ipi_send(ICR_ASSERT | V_EDGE, AP);
    tsc_delay(us(500));
    expect("if-0-holds-back", "", both(V_IPI) + both(V_EDGE), 0);
    ipi_send(ICR_ASSERT | DELIVERY_NMI, AP);
    expect("if-0-nmi", "", settled(VECTOR_NMI, BSP_AND_AP(0, 1)), BSP_AND_AP(0, 1));
    ap_leave();
    expect("if-1-lets-go", "", settled(V_IPI, 1) << 8 | settled(V_EDGE, 1), 0x101);
    ap_enter(ap_halt_off);
    irq_count_clear_all();
    ipi_send(ICR_ASSERT | DELIVERY_NMI, AP);
    expect("hlt-if-0-nmi", "", settled(VECTOR_NMI, BSP_AND_AP(0, 1)), BSP_AND_AP(0, 1));
    ap_start();
    ap_do(ap_enable, 0);
}

/* TPR by CR8, then by the register. */
static void test_tpr(void)
{
    irq_count_clear_all();
    ap_do(ap_cr8, CR8_CLASS);
    expect("cr8-sets-tpr", "", ap_get(LAPIC_TPR), CR8_CLASS << 4);
    expect("cr8-sets-ppr", "", ap_get(LAPIC_PPR), CR8_CLASS << 4);
    ipi_send(ICR_ASSERT | V_IPI, AP);
    tsc_delay(us(500));
    expect("cr8-holds-back", "", both(V_IPI), 0);
    expect("cr8-irr-shows-it", "", ap_get(LAPIC_IRR + V_IPI / 32 * 16), BIT32(V_IPI % 32));
    ipi_send(ICR_ASSERT | V_EDGE, AP);
    expect("cr8-higher-class-passes", "", settled(V_EDGE, 1), 1);
    ap_do(ap_cr8, CR8_CLASS - 1);
    expect("cr8-lets-go", "", settled(V_IPI, 1), 1);
    irq_count_clear_all();
    ap_set(LAPIC_TPR, CR8_CLASS << 4 | 0xf);
    expect("tpr-reads-back", "", ap_get(LAPIC_TPR), CR8_CLASS << 4 | 0xf);
    ipi_send(ICR_ASSERT | V_IPI, AP);
    tsc_delay(us(500));
    expect("tpr-holds-back", "", both(V_IPI), 0);
    ap_set(LAPIC_TPR, 0);
    expect("tpr-lets-go", "", settled(V_IPI, 1), 1);
    cr8_write(CR8_CLASS);
    ap_do(ap_nothing, 0);
    irq_count_clear_all();
    ipi_send(ICR_SELF | ICR_ASSERT | V_IPI, 0);
    expect("cr8-holds-back-self", "", settled(V_IPI, 0), 0);
    cr8_write(0);
    expect("cr8-lets-go-self", "", settled(V_IPI, BSP_AND_AP(1, 0)), BSP_AND_AP(1, 0));
    ap_enter(ap_halt);
    ap_leave();
}

static void self_ipi(uint8_t vector)
{
    if (s.x2apic)
        lapic_write(LAPIC_SELF_IPI, vector);
    else
        lapic_write(LAPIC_ICR_LOW, ICR_SELF | ICR_ASSERT | vector);
}

static void test_priorities(void)
{
    s.log = 0;
    self_ipi(V_LOW);
    self_ipi(V_HIGH);
    self_ipi(V_NEST);
    expect("irr-holds-three", "", lapic_read(LAPIC_IRR + 0x20) | (uint64_t)lapic_read(LAPIC_IRR + 0x30) << 32,
           BIT(V_LOW - 0x40) | BIT(V_NEST - 0x40) | BIT(V_HIGH - 0x40));
    irq_enable();
    irq_disable();
    expect("priority-order", "", s.log,
           (uint64_t)V_HIGH << 32 | V_NEST << 24 | V_HIGH << 16 | NEST_END << 8 | V_LOW);
    s.log = 0;
    irq_count_clear_all();
    ipi_send(ICR_ASSERT | V_NEST, AP);
    expect("nested-on-ap", "", settled(V_LOW, 1), 1);
    expect("nested-on-ap-order", "", s.log,
           (uint64_t)V_NEST << 24 | V_HIGH << 16 | NEST_END << 8 | V_LOW);
    irq_count_clear_all();
    ipi_send(ICR_ASSERT | V_PPR, AP);
    expect("ppr-in-handler", "", settled(V_PPR, 1) << 32 | s.ppr, 1ull << 32 | (V_PPR & 0xf0));
    expect("isr-in-handler", "", s.isr, BIT32(V_PPR % 32));
    expect("tmr-of-edge", "", s.tmr, 0);
    expect("isr-after-eoi", "", ap_get(LAPIC_ISR + V_PPR / 32 * 16), 0);
    eoi();
    self_ipi(V_IPI);
    expect("eoi-of-nothing", "", settled(V_IPI, BSP_AND_AP(1, 0)), BSP_AND_AP(1, 0));
}

/* Illegal vectors, seen by both sides. */
static void test_errors(void)
{
    lapic_write(LAPIC_ESR, 0);
    ap_set(LAPIC_ESR, 0);
    ipi_send(ICR_ASSERT | 5, AP);
    tsc_delay(us(500));
    lapic_write(LAPIC_ESR, 0);
    ap_set(LAPIC_ESR, 0);
    expect("esr-send-illegal", "", lapic_read(LAPIC_ESR), 0x20);
    expect("esr-receive-illegal", "", ap_get(LAPIC_ESR), 0x40);
    lapic_write(LAPIC_ESR, 0);
    ap_set(LAPIC_ESR, 0);
    expect("esr-cleared", "", lapic_read(LAPIC_ESR), 0);
}

/* --- I/O APIC --- */

static void ioapic_route(unsigned pin, uint32_t low, unsigned cpu)
{
    ioapic_write((uint8_t)(IOAPIC_REDTBL + 2 * pin + 1), cpu << 24);
    ioapic_write((uint8_t)(IOAPIC_REDTBL + 2 * pin), low);
}

static void test_ioapic_edge(void)
{
    irq_count_clear_all();
    ioapic_route(PIN_PIT, V_EDGE, AP);
    pit_start(PIT_1MS);
    irq_enable();
    tsc_delay(us(5500));
    irq_disable();
    ioapic_route(PIN_PIT, V_EDGE | ENTRY_MASKED, AP);
    pit_stop();
    tsc_delay(us(200));
    expect("ioapic-edge-to-ap", "", irq_count_of(AP, V_EDGE) >= 3, true);
    expect("ioapic-edge-not-to-bsp", "", irq_count_of(0, V_EDGE), 0);
}

static uint64_t one_level(unsigned limit)
{
    s.levels = s.rirr = s.rirr_after = 0;
    s.level_limit = limit;
    irq_count_clear_all();
    ioapic_route(PIN_UART, V_LEVEL | ENTRY_LEVEL, AP);
    outb(PORT_UART + UART_IER, IER_THRE);
    return settled(V_LEVEL, limit);
}

/* The UART's line, which is high while its transmitter is empty. */
static void test_ioapic_level(const char *variant)
{
    uint64_t count;

    con_flush();
    count = one_level(3);
    expect("ioapic-level-comes-until-it-falls", variant, count, 3);
    expect("ioapic-level-remote-irr-in-handler", variant, s.rirr, 3);
    expect("ioapic-level-remote-irr-after-eoi", variant, s.rirr_after, 0);
    con_flush();
    ap_set(LAPIC_SVR, SVR_ENABLE | SVR_NO_BROADCAST | VECTOR_SPURIOUS);
    count = one_level(1);
    expect("eoi-broadcast-suppressed", variant, count << 32 | rirr(), 1ull << 32 | ENTRY_RIRR);
    mmio_write(IOAPIC_BASE + IOAPIC_EOI, V_LEVEL);
    expect("ioapic-eoi-register", variant, rirr(), 0);
    ap_set(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    ioapic_route(PIN_UART, V_LEVEL | ENTRY_MASKED, AP);
}

static void test_ioapic(void)
{
    test_ioapic_edge();
    test_ioapic_level("-busy");
    ap_enter(ap_halt);
    con_flush();
    expect("ioapic-level-halted", "", one_level(2), 2);
    ioapic_route(PIN_UART, V_LEVEL | ENTRY_MASKED, AP);
    ap_leave();
}

/* --- timers --- */

static void timer_start(uint64_t mode)
{
    lapic_write(LAPIC_TDCR, TDCR_DIVIDE_1);
    lapic_write(LAPIC_LVT_TIMER, (uint32_t)mode | V_TIMER);
    if (mode == LVT_TSC_DEADLINE) {
        __asm__ volatile("mfence" : : : "memory");
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + us(1000));
    } else {
        lapic_write(LAPIC_TMICT, (uint32_t)us(1000));
    }
}

static void timer_stop(uint64_t argument)
{
    (void)argument;
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
}

static void test_both_timers(const char *name, uint32_t mode, const char *variant)
{
    uint64_t start;

    irq_enable(); /* what a timer before this one left */
    irq_disable();
    irq_count_clear_all();
    ap_do(timer_start, mode);
    if (variant[1] == 'h')
        ap_enter(ap_halt);
    timer_start(mode);
    if (mode != LVT_PERIODIC) {
        expect(name, variant, settled(V_TIMER, BSP_AND_AP(1, 1)), BSP_AND_AP(1, 1));
    } else {
        start = rdtsc();
        irq_enable();
        while ((irq_count_of(0, V_TIMER) < 20 || irq_count_of(AP, V_TIMER) < 20) &&
               rdtsc() - start < us(500000))
            __asm__ volatile("pause");
        irq_disable();
        expect(name, variant, irq_count_of(0, V_TIMER) >= 20 && irq_count_of(AP, V_TIMER) >= 20,
               true);
    }
    if (variant[1] == 'h')
        ap_leave();
    timer_stop(0);
    ap_do(timer_stop, 0);
}

static void test_timers(void)
{
    test_both_timers("timers-one-shot", 0, "-busy");
    test_both_timers("timers-one-shot", 0, "-halted");
    test_both_timers("timers-periodic", LVT_PERIODIC, "-busy");
    test_both_timers("timers-periodic", LVT_PERIODIC, "-halted");
    test_both_timers("timers-deadline", LVT_TSC_DEADLINE, "-busy");
    test_both_timers("timers-deadline", LVT_TSC_DEADLINE, "-halted");
}

/* --- APIC off --- */

static void ap_disable(uint64_t argument)
{
    (void)argument;
    lapic_disable();
    s.value = mmio_read(LAPIC_BASE + LAPIC_VERSION);
}

/* As far as a disabled APIC's memory is concerned: what is written there is lost. */
static void ap_write_page(uint64_t value)
{
    mmio_write(LAPIC_BASE + LAPIC_TPR, (uint32_t)value);
    s.value = mmio_read(LAPIC_BASE + LAPIC_TPR);
}

static void ap_enable_xapic(uint64_t argument)
{
    (void)argument;
    lapic_enable_xapic();
}

static void test_software_disabled(void)
{
    ap_set(LAPIC_LVT_TIMER, V_TIMER);
    ap_set(LAPIC_SVR, VECTOR_SPURIOUS);
    expect("software-off-masks", "", ap_get(LAPIC_LVT_TIMER), LVT_MASKED | V_TIMER);
    one_ipi("software-off-ipi", "", 0, AP, 0);
    one_ipi("software-off-nmi", "", DELIVERY_NMI, AP, 1);
    ap_do(ap_enable, 0);
    one_ipi("software-on-ipi", "", 0, AP, 1);
}

static void test_disabled(void)
{
    ap_do(ap_disable, 0);
    expect("off-page-reads-ones", "", s.value, 0xffffffff);
    ap_do(ap_write_page, 0x20);
    expect("off-page-keeps-nothing", "", s.value, 0xffffffff);
    expect("off-page-of-other-cpu", "", s.x2apic || lapic_read(LAPIC_TPR) == 0, true);
    one_ipi("off-ipi", "", 0, AP, 0);
    one_ipi("off-nmi", "", DELIVERY_NMI, AP, 0);
    ap_do(ap_enable_xapic, 0);
    expect("on-again-svr", "", ap_get(LAPIC_SVR), 0xff);
    ap_do(ap_enable, 0);
    test_ipi("on-again-ipi", 0, AP, BSP_AND_AP(0, 1));
}

/* --- many --- */

static uint64_t *remap_entry(void)
{
    uint64_t cr3;
    uint64_t *table;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    table = *(uint64_t **)cr3 == NULL ? NULL : (uint64_t *)(*(uint64_t *)cr3 & ~0xffful);
    table = (uint64_t *)(table[REMAP_GVA >> 30] & ~0xffful);
    return &table[REMAP_GVA >> 21 & 511];
}

static void ap_look(uint64_t argument)
{
    (void)argument;
    s.arrived = true;
    while (!s.release) {
        s.seen = *(volatile uint64_t *)REMAP_GVA;
        s.looks++;
    }
}

/* The AP reads through a translation that this CPU changes: after its answer none is stale. */
static void test_shootdown(void)
{
    volatile uint64_t *entry = remap_entry();
    unsigned stale = 0, lost = 0;

    *(volatile uint64_t *)REMAP_GPA = 0;
    *(volatile uint64_t *)(REMAP_GPA + PAGE_2M) = 1;
    *entry = REMAP_GPA | PDE_PAGE;
    flush();
    ap_enter(ap_look);
    for (uint64_t round = 1; round <= 300; round++) {
        uint32_t acks = s.acks[AP];
        uint64_t start = rdtsc();

        *entry = (REMAP_GPA + (round % 2) * PAGE_2M) | PDE_PAGE;
        flush();
        ipi_send(ICR_ASSERT | V_FLUSH, AP);
        while (s.acks[AP] == acks && rdtsc() - start < us(50000))
            __asm__ volatile("pause");
        lost += s.acks[AP] == acks;
        for (uint64_t looks = s.looks; s.looks < looks + 2 && rdtsc() - start < us(100000);)
            __asm__ volatile("pause");
        stale += s.seen != round % 2;
    }
    ap_leave();
    expect("shootdown-answers-missing", "", lost, 0);
    expect("shootdown-stale", "", stale, 0);
}

/* Send, wait for the answer, and again; returns how many answers did not come. */
static unsigned ping(unsigned cpu, unsigned count)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < count; i++) {
        uint32_t acks = s.acks[cpu];
        uint64_t start = rdtsc();

        ipi_send(ICR_ASSERT | V_ACK, cpu);
        while (s.acks[cpu] == acks && rdtsc() - start < us(50000))
            __asm__ volatile("pause");
        lost += s.acks[cpu] == acks;
    }
    return lost;
}

/*
 * The same to a CPU that is halted each time: after its answer it still has to end the interrupt and
 * to come to its HLT, with IF = 0 on the way, where one that is sent too early has to wait.
 */
static void ping_halted(unsigned cpu, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        tsc_delay(us(50));
        (void)ping(cpu, 1);
    }
}

static void ap_ping(uint64_t count)
{
    s.value = ping(0, (unsigned)count);
}

/* Both at once, with both timers ticking. */
static void test_crossfire(void)
{
    unsigned lost;

    irq_count_clear_all();
    ap_do(timer_start, LVT_PERIODIC);
    timer_start(LVT_PERIODIC);
    irq_enable();
    smp_call(AP, ap_ping, 2 * COUNT);
    lost = ping(AP, 2 * COUNT);
    expect("crossfire-ends", "", smp_wait(AP, us(10000000)), true);
    irq_disable();
    expect("crossfire-lost", "", BSP_AND_AP(lost, s.value), 0);
    timer_stop(0);
    ap_do(timer_stop, 0);
    ap_enter(ap_halt);
    expect("halted-lost", "", ping(AP, COUNT), 0);
    ap_leave();
}

/* MOV (%rdi), %eax; RET: of the I/O APIC's version. With another ModRM byte: of what is selected. */
static ALIGNED(64) volatile uint8_t code[3] = {0x8b, 0x07, 0xc3};

static void ap_run_code(uint64_t argument)
{
    uint32_t value;

    (void)argument;
    (void)cpuid(0, 0); /* SDM 3A "Handling Self- and Cross-Modifying Code" */
    __asm__ volatile("call *%1"
                     : "=a"(value)
                     : "r"(code), "D"(IOAPIC_BASE + IOAPIC_IOWIN), "S"(IOAPIC_BASE)
                     : "cc", "memory");
    s.value = value;
}

/* This CPU changes the instruction by which the other one reaches a device. */
static void test_changed_code(void)
{
    mmio_write(IOAPIC_BASE, IOAPIC_VERSION);
    for (unsigned i = 0; i < 4; i++) {
        code[1] = i % 2 == 0 ? 0x07 : 0x06;
        ap_do(ap_run_code, 0);
        ap_do(ap_run_code, 0);
        expect("code-changed-by-another", i % 2 == 0 ? "" : "-to-other",
               s.value == IOAPIC_VERSION, i % 2);
    }
}

static void test_mode(bool x2apic)
{
    s.x2apic = x2apic;
    s.mode = x2apic ? "x2apic" : "xapic";
    ap_enable(0);
    test_start();
    test_ipis();
    test_interrupts_off();
    test_tpr();
    test_priorities();
    test_errors();
    test_ioapic();
    test_timers();
    test_software_disabled();
    test_disabled();
    test_shootdown();
    test_changed_code();
    test_crossfire();
}

/* --- counted blocks --- */

/* Say that a block is over, and wait until somebody has looked. */
static void mark(const char *name)
{
    con_printf("count %s %s\n", s.mode, name);
    irq_enable(); /* with IF = 0 Bochs would hold back the console's interrupts */
    while ((inb(PORT_UART + UART_LSR) & LSR_DR) == 0)
        tsc_delay(us(1000));
    irq_disable();
    (void)inb(PORT_UART + UART_DATA);
}

static void blocks(void)
{
    mark("begin");
    for (unsigned i = 0; i < COUNT; i++)
        cr8_write(i & 1);
    mark("cr8");
    for (unsigned i = 0; i < COUNT; i++)
        lapic_write(LAPIC_TPR, i & 0x10);
    mark("tpr");
    for (unsigned i = 0; i < COUNT; i++)
        (void)lapic_read(LAPIC_ID);
    mark("id");
    for (unsigned i = 0; i < COUNT; i++)
        eoi();
    mark("eoi");
    irq_enable();
    for (unsigned i = 0; i < COUNT; i++)
        self_ipi(V_IPI);
    irq_disable();
    mark("self-ipi");
    (void)ping(AP, COUNT);
    mark("ipi-busy");
    ap_enter(ap_halt);
    ping_halted(AP, COUNT);
    ap_leave();
    mark("ipi-halted");
}

static void ap_to_xapic(uint64_t argument)
{
    (void)argument;
    lapic_disable();
    lapic_enable_xapic();
}

void guest_main(void)
{
    con_setup();
    s.tsc_hz = tsc_hz_pit();
    if (s.tsc_hz == 0)
        s.tsc_hz = BIT(26); /* a guess, for the time-outs */
    pic_setup(0xff, 0xff);
    lapic_enable();
    smp_prepare(PAGE_1);
    smp_prepare(PAGE_2);
    test_mode(false);
    test_mode(true);
    con_printf("apic %u passed, %u failed\n", s.passed, s.failed);

    blocks();
    s.x2apic = false;
    s.mode = "xapic";
    ap_do(ap_to_xapic, 0);
    ap_to_xapic(0);
    ap_do(ap_enable, 0);
    ap_enable(0);
    blocks();
    power_off();
}
