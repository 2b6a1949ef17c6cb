/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the bare-metal guest programs share: privileged instructions, console, traps, set-up of
 * the PC's interrupt and timer chips, and further CPUs. Identity-mapped, 64-bit mode.
 *
 * Vectors 20H..2FH belong to the PIC pair, 30H..FEH to the local APIC, FFH is its spurious vector;
 * the handlers in lib.c count each and acknowledge it at its chip.
 */
#ifndef TESTS_GUEST_LIB_H
#define TESTS_GUEST_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"
#include "lib/compiler.h"

/* Ports. ACPI's are Bulkhead's own choice, the rest is the PC's. */
#define PORT_PIC1_CMD       0x20u
#define PORT_PIC1_DATA      0x21u
#define PORT_PIC2_CMD       0xa0u
#define PORT_PIC2_DATA      0xa1u
#define PORT_PIT_CH0        0x40u
#define PORT_PIT_CH2        0x42u
#define PORT_PIT_MODE       0x43u
#define PORT_SYSTEM_B       0x61u
#define PORT_RTC_INDEX      0x70u
#define PORT_RTC_DATA       0x71u
#define PORT_POST           0x80u
#define PORT_DEBUG_EXIT     0xf4u
#define PORT_UART           0x3f8u
#define PORT_PM1_CNT        0x604u
#define PORT_PM_TIMER       0x608u
#define PORT_PCI_ADDR       0xcf8u
#define PORT_PCI_DATA       0xcfcu
#define PORT_UNCLAIMED      0x1234u

#define PM1_CNT_S5          0x3400u /* SLP_TYP [12:10] = 5, SLP_EN [13] */

/* 16550A, offsets from PORT_UART. */
#define UART_DATA           0u
#define UART_IER            1u
#define UART_FCR            2u
#define UART_LCR            3u
#define UART_MCR            4u
#define UART_LSR            5u
#define UART_MSR            6u
#define UART_SCR            7u
#define LSR_DR              0x01u /* [0] data ready */
#define LSR_THRE            0x20u /* [5] transmitter holding register empty */
#define LSR_TEMT            0x40u /* [6] transmitter empty */
#define MCR_NORMAL          0x0bu /* DTR, RTS, OUT2 */
#define MCR_LOOP            0x10u /* [4] loopback */

#define PIT_HZ              1193182u
#define PM_HZ               3579545u

/* CPUID 1, ECX. */
#define CPUID_X2APIC        BIT32(21)
#define CPUID_TSC_DEADLINE  BIT32(24)

/* MSRs. */
#define MSR_FEATURE_CONTROL 0x03au
#define MSR_APIC_BASE       0x01bu
#define MSR_TSC_DEADLINE    0x6e0u
#define MSR_GS_BASE         0xc0000101u
#define MSR_X2APIC          0x800u /* + xAPIC offset / 16 */
#define APIC_BASE_EXTD      BIT(10)
#define APIC_BASE_EN        BIT(11)

/* Local APIC register offsets and fields: SDM 3A "Local APIC Register Address Map". */
#define LAPIC_BASE          0xfee00000ul
#define LAPIC_ID            0x020u
#define LAPIC_VERSION       0x030u
#define LAPIC_TPR           0x080u
#define LAPIC_PPR           0x0a0u
#define LAPIC_EOI           0x0b0u
#define LAPIC_LDR           0x0d0u
#define LAPIC_DFR           0x0e0u
#define LAPIC_SVR           0x0f0u
#define LAPIC_ISR           0x100u
#define LAPIC_TMR           0x180u
#define LAPIC_IRR           0x200u
#define LAPIC_ESR           0x280u
#define LAPIC_ICR_LOW       0x300u
#define LAPIC_ICR_HIGH      0x310u
#define LAPIC_LVT_TIMER     0x320u
#define LAPIC_LVT_LINT0     0x350u
#define LAPIC_TMICT         0x380u
#define LAPIC_TMCCT         0x390u
#define LAPIC_TDCR          0x3e0u
#define LAPIC_SELF_IPI      0x3f0u /* x2APIC only */
#define SVR_ENABLE          0x100u
#define LVT_MASKED          BIT32(16)
#define LVT_PERIODIC        BIT32(17)
#define LVT_TSC_DEADLINE    BIT32(18)
#define DELIVERY_LOWEST     0x100u /* [10:8] = 1 */
#define DELIVERY_NMI        0x400u /* [10:8] = 4 */
#define DELIVERY_INIT       0x500u /* [10:8] = 5 */
#define DELIVERY_STARTUP    0x600u /* [10:8] = 6 */
#define DELIVERY_EXTINT     0x700u /* [10:8] = 7 */
#define ICR_LOGICAL         BIT32(11)
#define ICR_ASSERT          BIT32(14)
#define ICR_LEVEL           BIT32(15)
#define ICR_SELF            BIT32(18) /* [19:18] = 1 */
#define ICR_ALL             BIT32(19) /* [19:18] = 2 */
#define ICR_OTHERS          0xc0000u  /* [19:18] = 3 */
#define TDCR_DIVIDE_1       0x0bu

/* I/O APIC: 82093AA data sheet, "Register Description". */
#define IOAPIC_BASE         0xfec00000ul
#define IOAPIC_IOWIN        0x10u
#define IOAPIC_EOI          0x40u
#define IOAPIC_VERSION      0x01u
#define IOAPIC_REDTBL       0x10u /* + 2 * pin: low, high */

#define VECTOR_NMI          0x02u
#define VECTOR_UD           0x06u
#define VECTOR_GP           0x0du
#define VECTOR_PF           0x0eu
#define VECTOR_PIC1         0x20u
#define VECTOR_PIC2         0x28u
#define VECTOR_APIC         0x30u
#define VECTOR_SPURIOUS     0xffu

/* Port I/O, 8, 16 and 32 bits wide. */
static inline void outb(unsigned port, uint8_t value)
{
    __asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"((uint16_t)port) : "memory");
}

static inline void outw(unsigned port, uint16_t value)
{
    __asm__ volatile("outw %0, %w1" : : "a"(value), "Nd"((uint16_t)port) : "memory");
}

static inline void outl(unsigned port, uint32_t value)
{
    __asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"((uint16_t)port) : "memory");
}

static inline uint8_t inb(unsigned port)
{
    uint8_t value;

    __asm__ volatile("inb %w1, %0" : "=a"(value) : "Nd"((uint16_t)port) : "memory");
    return value;
}

static inline uint16_t inw(unsigned port)
{
    uint16_t value;

    __asm__ volatile("inw %w1, %0" : "=a"(value) : "Nd"((uint16_t)port) : "memory");
    return value;
}

static inline uint32_t inl(unsigned port)
{
    uint32_t value;

    __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"((uint16_t)port) : "memory");
    return value;
}

/* The time-stamp counter; not serialised. */
static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* MSR access where a fault is a bug of the program (or of the machine it runs on). */
static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf)
                     : "memory");
    return r;
}

/* Control registers. CR8 is the TPR, [7:4] of it. */
static inline uint64_t cr4_read(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void cr4_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline uint64_t cr8_read(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr8, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void cr8_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

/* The interrupt flag. What is pending is taken inside irq_enable. */
static inline void irq_enable(void)
{
    __asm__ volatile("sti\n\tnop" : : : "memory");
}

static inline void irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* Sleep until one interrupt has been handled; entered and left with IF = 0. No wake-up is lost. */
static inline void irq_halt(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

/* --- console: 16550A at 3F8H, polled --- */

/* Set the UART to 115200 8N1, FIFOs on, interrupts off. Called first by every program. */
void con_setup(void);

/* Print: %s %c %d %u %x, with l for 64 bits, and a width with or without leading 0. \n adds \r. */
void con_printf(const char *fmt, ...) PRINTF(1, 2);

/* Wait until the last character has left the transmitter (a bounded wait). */
void con_flush(void);

/* ACPI S5: sleep type 5 to PM1_CNT. Stops the CPU if the machine goes on. */
NORETURN void power_off(void);

/* Selectors of start.S: code segments that 64-bit code can call. */
#define SEL_CODE32 0x18
#define SEL_CODE16 0x20

/* --- traps --- */

#define TRAP_NONE 256u

/* The exception that a FAULTS instruction met. */
struct trap {
    unsigned vector; /* 0..31, or TRAP_NONE */
    uint64_t error;  /* error code, 0 where the vector has none */
    uint64_t cr2;    /* CR2 at that moment, whatever the vector */
    uint64_t rip;    /* where it would have gone on */
};

/*
 * One instruction that may fault, for inline assembly: after an exception the program goes on
 * behind it, with RFLAGS.TF = 0, and trap_last() tells which. Use with trap_clear() and a "memory" clobber.
 */
#define FAULTS(instruction)                                                                        \
    "771: " instruction "\n772:\n"                                                                 \
    ".pushsection .fixup, \"a\"\n.quad 771b, 772b\n.popsection\n"

/* Load the IDT. Called by start.S before guest_main. */
void trap_setup(void);

/* From now on a vector enters the program's own code, with IF = 0, and nothing is counted. */
void trap_set_entry(unsigned vector, const void *entry);

/* Forget the last exception. */
void trap_clear(void);

/* The last exception met by a FAULTS instruction since trap_clear. */
struct trap trap_last(void);

/* RDMSR / WRMSR that may fault: true if it did not. *value is written only then. */
bool rdmsr_try(uint32_t msr, uint64_t *value);
bool wrmsr_try(uint32_t msr, uint64_t value);

/*
 * From now on handlers only count, and return with IF = 0: whoever tests the chip acknowledges. Or
 * as before.
 */
void irq_hold_eoi(bool hold);

/* Zero all interrupt counts. Counts, like exceptions met, are each CPU's own. */
void irq_count_clear(void);

/* How often a vector (2 for NMI, 20H..FFH) came since irq_count_clear. */
uint32_t irq_count(unsigned vector);

/* The TSC at the vector's last handler entry. */
uint64_t irq_tsc(unsigned vector);

/*
 * For a program to define: called for each interrupt after it was counted, with IF = 0.
 *   return  true: that was all, nothing is acknowledged; false (the default): acknowledge it
 */
bool irq_hook(unsigned vector);

/*
 * Let interrupts in, spinning, until a vector's count has reached `count` or `ticks` of the TSC
 * have passed; IF = 0 before and after.
 *   return  true if the count was reached
 */
bool irq_wait(unsigned vector, uint32_t count, uint64_t ticks);

/* --- chips --- */

/* Both PICs: edge, vectors 20H and 28H, fully nested, normal EOI, with these masks. */
void pic_setup(uint8_t mask1, uint8_t mask2);

/* Channel 0 in mode 2: a pulse on IRQ0 every `reload` (2..65535; 0 = 65536) of 1/1193182 s. */
void pit_start(uint16_t reload);

/* Channel 0 in mode 0 without a count: IRQ0 stays low. */
void pit_stop(void);

/* TSC frequency measured with channel 2 over 50 ms, in Hz; 0 if the channel never ends. */
uint64_t tsc_hz_pit(void);

/* TSC frequency by CPUID 15H (ECX * EBX / EAX), in Hz; 0 if the leaf does not say. */
uint64_t tsc_hz_cpuid(void);

/* Spin for that many TSC ticks, with the interrupt flag as it is. */
void tsc_delay(uint64_t ticks);

/* The next of a sequence of 32-bit numbers, the same in each run; for one CPU. */
uint32_t random_next(void);

/* a within 1 % of b. */
bool within_percent(uint64_t a, uint64_t b);

/* An RTC register (0..127), NMI enabled. */
uint8_t rtc_read(uint8_t index);

struct rtc_time {
    unsigned hours, minutes, seconds;
};

/* The time of day, read outside an update, from BCD or binary, 24-hour. */
struct rtc_time rtc_read_time(void);

/* Local APIC registers through MMIO, or through MSRs after lapic_enable_x2apic. */
uint32_t lapic_read(unsigned offset);
void lapic_write(unsigned offset, uint32_t value);

/* Software-enable the local APIC, spurious vector FFH, TPR 0. */
void lapic_enable(void);

/* As firmware leaves a PC: lapic_enable and LINT0 in ExtINT mode, so that the PIC is heard. */
void lapic_enable_virtual_wire(void);

/* From xAPIC to x2APIC mode: true if the MSR took it. */
bool lapic_enable_x2apic(void);

/* To no mode at all, which resets the registers; and from there back to xAPIC mode. */
void lapic_disable(void);
void lapic_enable_xapic(void);

/* I/O APIC registers through REGSEL and IOWIN. */
uint32_t ioapic_read(uint8_t index);
void ioapic_write(uint8_t index, uint32_t value);

/* One 32-bit access to a memory-mapped register. */
static inline uint32_t mmio_read(uint64_t addr)
{
    uint32_t value;

    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(addr) : "memory");
    return value;
}

static inline void mmio_write(uint64_t addr, uint32_t value)
{
    __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(addr) : "memory");
}

/* --- further CPUs: smp.c --- */

#define CPUS_MAX 8u

/* This CPU: 0 is the one that started the program, the others are their initial APIC ID. */
unsigned cpu_index(void);

/* How often a vector came on some CPU since that CPU's, or everybody's, counts were cleared. */
uint32_t irq_count_of(unsigned cpu, unsigned vector);
void irq_count_clear_all(void);

/*
 * Send an interrupt: the low half of the ICR, and a destination: 8 bits in xAPIC mode, 32 in x2APIC
 * mode. Returns at once.
 */
void ipi_send(uint32_t low, uint32_t dest);

/* Put the start-up code at physical page << 12; page 1..9EH. */
void smp_prepare(uint8_t page);

/* Starts of a CPU so far, and the page of the last one. */
unsigned smp_starts(unsigned cpu);
unsigned smp_page(unsigned cpu);

/*
 * INIT, then a SIPI for a prepared page, twice as the MultiProcessor Specification says.
 *   return  true: the CPU has arrived, and waits for smp_call
 */
bool smp_start(unsigned cpu, uint8_t page);

/*
 * Let a started CPU call a function; between calls it spins with IF = 1. Calls are not queued: the
 * one before has ended, or its CPU was started again.
 */
void smp_call(unsigned cpu, void (*function)(uint64_t), uint64_t argument);

/* Wait for the end of the call. Returns false after so many TSC ticks without. */
bool smp_wait(unsigned cpu, uint64_t ticks);

/* Lib-internal: where start-up code arrives, and what it does there. */
NORETURN void smp_main(unsigned cpu, unsigned page);
void cpu_setup(unsigned cpu);

/* The guest program. start.S calls it with IF = 0; when it returns the CPU is stopped. */
void guest_main(void);

#endif
