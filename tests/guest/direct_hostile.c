/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that leaves its core's own local APIC in every bad state, and looks in its next life
 * whether it finds a fresh one. It ends by reset, in the last way by its watchdog, while it spins
 * with IF = 0 and its local APIC disabled. The way is kept in CMOS, which a restart clears.
 */
#include "devices/watchdog.h"

#include "tests/guest/lib.h"

#define PORT_RESET    0xcf9u
#define RESET_NOW     0x06u
#define WATCHDOG_BASE 0x620u
#define SECONDS       3u /* of the watchdog */
#define CMOS_WAY      0x40u
#define CMOS_HIGH_64KIB 0x34u /* memory above 16 MiB */

#define LVT_THERMAL   0x330u
#define LVT_PERF      0x340u
#define LVT_LINT1     0x360u
#define LVT_ERROR     0x370u
#define LVT_CMCI      0x2f0u
#define DELIVERY_SMI  0x200u
#define VECTOR_IPI    0x51u

static void check(const char *name, bool good)
{
    if (!good)
        con_printf("FAIL %s\n", name);
}

static uint32_t any_of(unsigned first)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < 8; i++)
        bits |= lapic_read(first + 0x10 * i);
    return bits;
}

static void check_fresh(void)
{
    check("fresh ISR", any_of(LAPIC_ISR) == 0);
    check("fresh IRR", any_of(LAPIC_IRR) == 0);
    check("fresh TPR", lapic_read(LAPIC_TPR) == 0 && cr8_read() == 0);
    check("fresh PPR", lapic_read(LAPIC_PPR) == 0);
    check("fresh SVR", lapic_read(LAPIC_SVR) == (SVR_ENABLE | 0xff));
    check("fresh timer", lapic_read(LAPIC_LVT_TIMER) == LVT_MASKED &&
                             lapic_read(LAPIC_TMICT) == 0 && lapic_read(LAPIC_TMCCT) == 0 &&
                             lapic_read(LAPIC_TDCR) == 0 && rdmsr(MSR_TSC_DEADLINE) == 0);
    check("fresh LINT0", lapic_read(LAPIC_LVT_LINT0) == DELIVERY_EXTINT);
    lapic_write(LAPIC_ESR, 0);
    check("fresh ESR", lapic_read(LAPIC_ESR) == 0);
    check("ID", lapic_read(LAPIC_ID) == 0 && lapic_read(LAPIC_LDR) == 1);
}

/* What is not the guest's stays the hypervisor's. */
static void check_kept(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    static const unsigned lvt[] = {LVT_THERMAL, LVT_PERF, LAPIC_LVT_LINT0, LVT_LINT1};

    check("leaves x2APIC", !wrmsr_try(MSR_APIC_BASE, base & ~(APIC_BASE_EN | APIC_BASE_EXTD)));
    check("to xAPIC", !wrmsr_try(MSR_APIC_BASE, base & ~APIC_BASE_EXTD));
    check("moves its page", !wrmsr_try(MSR_APIC_BASE, base ^ 0x100000));
    check("same base", wrmsr_try(MSR_APIC_BASE, base));
    check("writes its TSC", !wrmsr_try(0x10, 0));
    check("has CMCI", !wrmsr_try(MSR_X2APIC + (LVT_CMCI >> 4), LVT_MASKED));
    (void)wrmsr_try(MSR_X2APIC + (LAPIC_LVT_TIMER >> 4), 0xffffffff); /* #GP on a processor */
    for (unsigned i = 0; i < ARRAY_LEN(lvt); i++) {
        lapic_write(lvt[i], DELIVERY_SMI);
        check("LVT takes a delivery mode", lapic_read(lvt[i]) == DELIVERY_SMI);
        lapic_write(lvt[i], DELIVERY_INIT);
        lapic_write(lvt[i], LVT_MASKED);
    }
    lapic_write(LVT_ERROR, LVT_MASKED);
}

/* To core 0's local APIC, if these IDs were the machine's: they are the guest's own. */
static void check_ipis(void)
{
    irq_count_clear();
    ipi_send(VECTOR_IPI, 0);
    check("IPI to its own ID", irq_wait(VECTOR_IPI, 1, 100000));
    ipi_send(DELIVERY_NMI, 0);
    tsc_delay(10000);
    check("NMI to its own ID", irq_count(VECTOR_NMI) == 1);
    for (uint32_t dest = 1; dest < 4; dest++) {
        ipi_send(DELIVERY_INIT | ICR_ASSERT, dest);
        ipi_send(DELIVERY_STARTUP | 0x10, dest);
        ipi_send(DELIVERY_NMI, dest);
        ipi_send(VECTOR_IPI, dest);
    }
    ipi_send(DELIVERY_INIT | ICR_ASSERT | ICR_OTHERS, 0);
    ipi_send(DELIVERY_NMI | ICR_OTHERS, 0);
    ipi_send(VECTOR_IPI | ICR_ALL, 0);
    check("IPI to all", irq_wait(VECTOR_IPI, 2, 100000));
    check("no more", !irq_wait(VECTOR_IPI, 3, 100000) && irq_count(VECTOR_NMI) == 1);
}

static void storm(unsigned vector, uint32_t period)
{
    lapic_write(LAPIC_TDCR, TDCR_DIVIDE_1);
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | vector);
    lapic_write(LAPIC_TMICT, period);
}

/* Vectors of exceptions, too: the local APIC takes those from 16 on. */
static void fill_irr(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        wrmsr(MSR_X2APIC + (LAPIC_SELF_IPI >> 4), vector);
}

static void fill_isr(void)
{
    irq_hold_eoi(true);
    for (unsigned vector = 0x30; vector < 0xff; vector += 0x10) {
        wrmsr(MSR_X2APIC + (LAPIC_SELF_IPI >> 4), vector);
        irq_enable();
        irq_disable();
    }
    check("ISR is full", any_of(LAPIC_ISR) != 0);
}

static NORETURN void reset(unsigned way)
{
    outb(PORT_RTC_INDEX, CMOS_WAY);
    outb(PORT_RTC_DATA, (uint8_t)(way + 1));
    outb(PORT_RESET, RESET_NOW);
    for (;;)
        con_printf("FAIL still here\n");
}

/* Until the watchdog: in one guest nothing can interrupt it, in the other its timer never stops to. */
static NORETURN void spin(void)
{
    bool storms = rtc_read(CMOS_HIGH_64KIB) != 0; /* a guest of more than 16 MiB */

    con_printf("spins, %s\n", storms ? "in a storm of interrupts" : "interrupts off");
    con_flush();
    outw(WATCHDOG_BASE + WATCHDOG_COUNT, SECONDS);
    outb(WATCHDOG_BASE + WATCHDOG_CONTROL, 1);
    if (storms) {
        storm(VECTOR_APIC, 1);
        irq_enable();
    } else {
        fill_irr();
        storm(18, 1);
        cr8_write(15);
        lapic_write(LAPIC_SVR, 0);
    }
    for (;;)
        __asm__ volatile("pause");
}

void guest_main(void)
{
    unsigned way = rtc_read(CMOS_WAY);

    irq_disable();
    con_setup();
    con_printf("life that ends in way %u\n", way);
    check_fresh();
    lapic_enable_x2apic();
    pic_setup(0xff, 0xff);
    lapic_enable();
    check_kept();
    check_ipis();
    con_flush();
    switch (way) {
    case 0:
        storm(VECTOR_APIC, 2000);
        check("storm", irq_wait(VECTOR_APIC, 5000, 1000000000));
        fill_irr();
        storm(16, 1);
        break;
    case 1:
        fill_isr();
        fill_irr();
        lapic_write(LAPIC_TPR, 0xff);
        lapic_write(LAPIC_SVR, 0x12);
        break;
    case 2:
        fill_irr();
        lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | 17);
        __asm__ volatile("mfence" : : : "memory");
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100000000000ull);
        break;
    default: spin();
    }
    reset(way);
}
