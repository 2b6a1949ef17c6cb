/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * High precision event timers: a 64-bit main counter of 14.31818 MHz and three timers of 64 bits,
 * all of which can be periodic. No FSB (message) delivery.
 * Source: Intel, IA-PC HPET Specification 1.0a (October 2004).
 */
#ifndef DEVICES_HPET_H
#define DEVICES_HPET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ratio.h"

#define HPET_GPA         0xfed00000u /* as usual, and as the ACPI table says */
#define HPET_HZ          14318180u
#define HPET_PERIOD_FS   69841279u /* femtoseconds of one tick */
#define HPET_TIMERS      3
#define HPET_LEN         0x400u
#define HPET_ROUTES      0x00f00000u /* I/O APIC pins a timer can be wired to */
#define HPET_BLOCK_ID    0x8086a201u /* GCAP_ID [31:0]; what the ACPI table repeats */

/* Periodic interrupts come at most every so many ticks (20 us); faster ones are reported once. */
#define HPET_MIN_PERIOD  286u

#define HPET_CONF_LEGACY 0x2u /* general configuration [1]: legacy replacement routes */

struct hpet_timer {
    uint32_t config;
    uint64_t comparator;
    uint64_t period; /* periodic mode: last value written to the comparator */
    uint64_t due;    /* ticks since `base` of the next match; UINT64_MAX: never */
};

struct hpet {
    struct ratio clock; /* TSC ticks to ticks of the counter */
    uint64_t base;      /* TSC when the counter was enabled, */
    uint64_t counter;   /* and its value then; its value now if it is halted */
    uint64_t deadline;
    uint32_t config;
    uint32_t status; /* GINTR_STA [2:0] */
    uint32_t edges;  /* [2:0] timers that matched in edge mode and were not taken yet */
    struct hpet_timer timers[HPET_TIMERS];
};

/*
 * Power-on state: counter halted at 0, no timer enabled.
 *   tsc_hz  frequency of the clock that all `now` are counted in, above HPET_HZ, up to 2^32
 */
void hpet_reset(struct hpet *h, uint64_t tsc_hz);

/*
 * The guest reads or writes a register.
 *   offset  from the start of the block, 0..HPET_LEN - size
 *   size    1, 2, 4 or 8 bytes, within one 64-bit register; reads across registers are cut.
 *           Writes of less than 32 bits are dropped.
 */
uint64_t hpet_read(struct hpet *h, unsigned offset, unsigned size, uint64_t now);
void hpet_write(struct hpet *h, unsigned offset, unsigned size, uint64_t value, uint64_t now);

/* When hpet_advance must be called at the latest; TIME_NEVER if no interrupt is to come. */
static inline uint64_t hpet_deadline(const struct hpet *h)
{
    return h->deadline;
}

/* Time has come to `now`. */
void hpet_advance(struct hpet *h, uint64_t now);

/* The timers [2:0] that have interrupted in edge mode since the last call: one pulse for each. */
uint32_t hpet_take_edges(struct hpet *h);

/* The level of a timer's interrupt in level mode; false in edge mode. timer: 0..2 */
bool hpet_line(const struct hpet *h, unsigned timer);

bool hpet_is_level(const struct hpet *h, unsigned timer);

/* Where a timer's interrupt goes: ISA interrupt 0 or 8, or one of the pins HPET_ROUTES. */
unsigned hpet_irq(const struct hpet *h, unsigned timer);

/* Legacy replacement: timers 0 and 1 take the place of the 8254 and of the RTC's interrupt. */
static inline bool hpet_legacy(const struct hpet *h)
{
    return (h->config & HPET_CONF_LEGACY) != 0;
}

/* The chip's invariant; true after every call above. */
bool hpet_ok(const struct hpet *h);

#endif
