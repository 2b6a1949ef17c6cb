/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device test: one program, the same bytes on bare Bochs, on bare QEMU and as a guest of
 * Bulkhead. It does not know where it runs. It prints, for scripts/devtest to compare,
 *
 *     check CHIP.NAME: VALUE (EXPECTED)      hexadecimal; expected by the chip's data sheet
 *       differs MACHINE VALUE: REASON        this machine is known to read so; `any`: it varies
 *     absent CHIP                            the machine has no such thing
 *       lacks MACHINE: REASON                which is known
 *
 * What is written is what the data sheet says; where a machine deviates the check says so beside
 * it, with the rule that is broken. A value that varies with time is classed first
 * (within()), so that all lines repeat to the byte. Every wait is bounded by the TSC.
 */
#ifndef TESTS_GUESTS_DEVTEST_H
#define TESTS_GUESTS_DEVTEST_H

#include "tests/guest/lib.h"

#define BOCHS "bochs"
#define QEMU  "qemu"
#define GUEST "bulkhead"

/* A deviating value that is not the same each time. */
#define ANY   ((uint64_t)-1)

/* Begin the checks of a chip; prints those of the one before. The UART has to be usable then. */
void group(const char *chip);

/* One check. Kept in memory until the group ends, so that a UART under test is left alone. */
void check(const char *name, uint64_t value, uint64_t expected);

/* The same for one of many like registers: NAME-INDEX. */
void check_at(const char *name, unsigned index, uint64_t value, uint64_t expected);

/* The check before reads `value` on `machine`, against the rule of the data sheet told in `why`. */
void differs(const char *machine, uint64_t value, const char *why);

/*
 * The group's chip or feature is there; if not, its checks have to be left out.
 *   machine, why  where it may be absent
 */
bool present(bool there, const char *machine, const char *why);

/* Print what is kept. Returns the number of checks so far. */
unsigned report(void);

/* TSC ticks of so many microseconds, up to 10 s. */
uint64_t us(uint64_t count);

/* low <= value <= high */
static inline bool within(uint64_t value, uint64_t low, uint64_t high)
{
    return value >= low && value <= high;
}

/* All interrupt sources off, PICs masked, virtual wire, no interrupt pending or in service. */
void quiet(void);

/*
 * The interrupt the CPU takes within 300 us: its vector, or 0. Nothing is acknowledged beyond that;
 * after it, and at the end, IF = 0.
 */
unsigned take(void);

/* Three lines that software can move. Each waits (bounded) until the line is as it should be. */
void irq0_raise(void); /* 8254 counter 0 in mode 0: stays high */
void irq0_lower(void);
void irq4_raise(void); /* 16550: THRE interrupt; falls with irq4_lower only */
void irq4_lower(void);
void irq8_raise(void); /* MC146818: periodic interrupt; stays high until irq8_lower */
void irq8_lower(void);

/* What the ACPI tables say. Ports are 0 if there are no tables. */
struct acpi_facts {
    uint32_t pm1_evt, pm1_cnt, pm_timer, pm1_evt_len;
    uint32_t smi_cmd, acpi_enable, sci;
    uint32_t lapic, ioapic, ioapic_id;
    bool timer_32; /* TMR_VAL_EXT */
    unsigned cpus;
    uint8_t apic_id[8];
};
extern struct acpi_facts acpi;

void test_acpi(void);
void test_i8259(void);
void test_i8254(void);
void test_ioapic(void);
void test_lapic(void);
void test_x2apic(void);
void test_rtc(void);
void test_uart(void);
void test_pm(void);
void test_sci(void);
void test_ports(void);
void test_pci(void);
void test_smp(void);

#endif
