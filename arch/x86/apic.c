/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM 3A "Advanced Programmable Interrupt Controller (APIC)"; 82093AA data sheet. */
#include "arch/x86/apic.h"

#include <stddef.h>

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "arch/x86/tsc.h"

/* Register offsets in the xAPIC page; the x2APIC MSR is 800H + offset / 16. */
enum {
    REG_ID = 0x020,
    REG_VERSION = 0x030,
    REG_TPR = 0x080,
    REG_EOI = 0x0b0,
    REG_SVR = 0x0f0,
    REG_ISR = 0x100, /* 8 registers, and 8 */
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR_LOW = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_PERF = 0x340,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
    REG_SELF_IPI = 0x3f0, /* x2APIC mode only */
};

#define LVT_MASKED       0x10000u
#define LVT_TSC_DEADLINE 0x40000u
#define DIVIDE_BY_1      0xbu
#define DIVIDE_RESET     0x0u
#define MEASURE_US       2000u
#define SVR_ENABLE       0x100u
#define SVR_RESET_VECTOR 0xffu
#define SPURIOUS_NONE    0x0fu
#define VECTORS          256u
#define ICR_PENDING      0x1000u
#define ICR_ASSERT       0x4000u
#define ICR_NMI          0x400u
#define ICR_INIT         0x500u
#define ICR_STARTUP      0x600u
#define ICR_OTHERS       0xc0000u

/* Set once at boot. NULL means x2APIC mode. */
static volatile uint32_t *xapic;

static uint32_t reg_read(unsigned reg)
{
    return xapic != NULL ? xapic[reg / 4] : (uint32_t)rdmsr(MSR_X2APIC_FIRST + reg / 16);
}

static void reg_write(unsigned reg, uint32_t value)
{
    if (xapic != NULL)
        xapic[reg / 4] = value;
    else
        wrmsr(MSR_X2APIC_FIRST + reg / 16, value);
}

void apic_setup(volatile uint32_t *mmio)
{
    bool x2apic = (cpuid(1, 0).ecx & 1u << 21) != 0;

    xapic = x2apic ? NULL : mmio;
}

bool apic_is_x2apic(void)
{
    return xapic == NULL;
}

bool apic_reaches(uint32_t id)
{
    return xapic == NULL || id <= APIC_ID_MAX;
}

bool apic_has_tsc_deadline(void)
{
    return (cpuid(1, 0).ecx & 1u << 24) != 0;
}

void apic_init(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

    wrmsr(MSR_APIC_BASE, base);
    if (xapic == NULL)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
    reg_write(REG_TPR, 0);
    reg_write(REG_LVT_LINT0, LVT_MASKED);
    reg_write(REG_LVT_LINT1, LVT_MASKED | ICR_NMI);
    reg_write(REG_LVT_PERF, LVT_MASKED);
    reg_write(REG_LVT_ERROR, LVT_MASKED);
    reg_write(REG_SVR, SVR_ENABLE | HOST_VECTOR_SPURIOUS);
    reg_write(REG_LVT_TIMER,
              apic_has_tsc_deadline() ? LVT_TSC_DEADLINE | HOST_VECTOR_TIMER : LVT_MASKED);
}

uint32_t apic_id(void)
{
    uint32_t id = reg_read(REG_ID);

    return xapic != NULL ? id >> 24 : id;
}

void apic_eoi(void)
{
    reg_write(REG_EOI, 0);
}

static void icr_write(uint32_t id, uint32_t low)
{
    if (xapic == NULL) {
        wrmsr(MSR_X2APIC_FIRST + REG_ICR_LOW / 16, (uint64_t)id << 32 | low);
        return;
    }
    while (xapic[REG_ICR_LOW / 4] & ICR_PENDING)
        __builtin_ia32_pause();
    xapic[REG_ICR_HIGH / 4] = id << 24;
    xapic[REG_ICR_LOW / 4] = low;
}

/* What the target is to find must be visible before the interrupt: WRMSR does not order. */
static void order_writes(void)
{
    __asm__ volatile("mfence; lfence" : : : "memory");
}

void apic_send(uint32_t id, uint8_t vector)
{
    order_writes();
    icr_write(id, ICR_ASSERT | vector);
}

void apic_send_self(uint8_t vector)
{
    reg_write(REG_SELF_IPI, vector);
}

void apic_send_nmi(uint32_t id)
{
    order_writes();
    icr_write(id, ICR_ASSERT | ICR_NMI);
}

void apic_send_init(uint32_t id)
{
    icr_write(id, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(uint32_t id, uint8_t page)
{
    icr_write(id, ICR_ASSERT | ICR_STARTUP | page);
}

void apic_send_nmi_others(void)
{
    icr_write(0, ICR_ASSERT | ICR_NMI | ICR_OTHERS);
}

uint32_t apic_version(void)
{
    return reg_read(REG_VERSION);
}

uint32_t apic_timer_hz(uint64_t tsc_hz)
{
    uint32_t lvt = reg_read(REG_LVT_TIMER);

    reg_write(REG_LVT_TIMER, LVT_MASKED); /* one-shot mode */
    reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    reg_write(REG_TIMER_INITIAL, UINT32_MAX);

    uint64_t begin = rdtsc();
    uint32_t first = reg_read(REG_TIMER_CURRENT);

    tsc_delay_us(tsc_hz, MEASURE_US);

    uint64_t ticks = rdtsc() - begin;
    uint64_t counted = first - reg_read(REG_TIMER_CURRENT);

    reg_write(REG_TIMER_INITIAL, 0);
    reg_write(REG_LVT_TIMER, lvt);
    return (uint32_t)(counted * tsc_hz / ticks);
}

/* --- lent to a guest -------------------------------------------------------------------------- */

/* A bit in one of the eight registers from `first` on. */
static bool any_vector(unsigned first)
{
    uint32_t bits = 0;

    for (unsigned reg = first; reg < first + 0x80; reg += 0x10)
        bits |= reg_read(reg);
    return bits != 0;
}

void apic_lend(void)
{
    while (any_vector(REG_IRR))
        cpu_take_interrupts();
    this_cpu()->apic_lent = true;
    reg_write(REG_LVT_TIMER, LVT_MASKED);
    reg_write(REG_TIMER_INITIAL, 0);
    reg_write(REG_TIMER_DIVIDE, DIVIDE_RESET);
    reg_write(REG_ESR, 0);
    reg_write(REG_SVR, SVR_ENABLE | SVR_RESET_VECTOR);
}

static void end_all(void)
{
    for (unsigned i = 0; i < VECTORS && any_vector(REG_ISR); i++)
        apic_eoi();
}

/*
 * No register drops what is in IRR: each has to be accepted, whatever its vector, and ended. Nothing
 * new comes meanwhile, since only the guest sends interrupts here. While the local APIC is disabled by
 * software it accepts nothing; the spurious vector is none that can be pending (an emulator takes its
 * EOI for that of a spurious interrupt).
 */
void apic_take_back(void)
{
    reg_write(REG_SVR, SVR_ENABLE | SPURIOUS_NONE);
    reg_write(REG_LVT_TIMER, LVT_MASKED);
    reg_write(REG_TIMER_INITIAL, 0);
    if (apic_has_tsc_deadline())
        wrmsr(MSR_TSC_DEADLINE, 0);
    reg_write(REG_TPR, 0);
    end_all();
    for (unsigned i = 0; i < VECTORS && any_vector(REG_IRR); i++) {
        trap_drop_interrupt();
        end_all();
    }
    apic_init();
    this_cpu()->apic_lent = false;
}

void pic_mask_all(void)
{
    static const struct {
        uint8_t port, value;
    } sequence[] = {
        {0x20, 0x11},
        {0xa0, 0x11}, /* ICW1: edge, cascade, ICW4 follows */
        {0x21, 0xe0},
        {0xa1, 0xe8}, /* ICW2: spurious interrupts go to E7H, EFH */
        {0x21, 0x04},
        {0xa1, 0x02}, /* ICW3 */
        {0x21, 0x01},
        {0xa1, 0x01}, /* ICW4: 8086 mode */
        {0x21, 0xff},
        {0xa1, 0xff}, /* OCW1: all masked */
    };

    for (size_t i = 0; i < sizeof(sequence) / sizeof(sequence[0]); i++)
        outb(sequence[i].port, sequence[i].value);
}

/* I/O APIC: an index register and a data window. 82093AA "Memory Mapped Registers". */
#define IOREGSEL 0
#define IOWIN    4 /* in 32-bit words */

static void ioapic_write(volatile uint32_t *mmio, uint32_t index, uint32_t value)
{
    mmio[IOREGSEL] = index;
    mmio[IOWIN] = value;
}

uint32_t ioapic_mask_all(volatile uint32_t *mmio)
{
    mmio[IOREGSEL] = 1;
    uint32_t pins = (mmio[IOWIN] >> 16 & 0xff) + 1;

    for (uint32_t pin = 0; pin < pins; pin++)
        ioapic_write(mmio, 0x10 + 2 * pin, LVT_MASKED);
    return pins;
}

void ioapic_route(volatile uint32_t *mmio, unsigned pin, uint8_t vector, uint32_t id)
{
    ioapic_write(mmio, 0x11 + 2 * pin, id << 24);
    ioapic_write(mmio, 0x10 + 2 * pin, vector);
}
