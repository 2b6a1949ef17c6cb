/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI fixed hardware: PM1 event and control registers and the PM timer, in one block of 12 ports.
 * Always in ACPI mode (FADT: SMI_CMD 0), fixed power button, 32-bit timer (FADT: TMR_VAL_EXT).
 * Source: ACPI Specification 6.4, "ACPI Hardware Specification": "Power Management Timer", "Fixed
 * Hardware Registers".
 */
#ifndef DEVICES_ACPI_PM_H
#define DEVICES_ACPI_PM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ratio.h"

#define ACPI_PM_BLOCK_LEN  12u /* ports */
#define ACPI_PM1_EVT       0u  /* FADT PM1a_EVT_BLK: 4 bytes, status then enable */
#define ACPI_PM1_CNT       4u  /* FADT PM1a_CNT_BLK: 2 bytes */
#define ACPI_PM_TMR        8u  /* FADT PM_TMR_BLK: 4 bytes */

#define ACPI_PM_SLP_TYP_S5 5u /* what the DSDT's \_S5 must hold */
#define ACPI_PM_TIMER_HZ   3579545u

struct acpi_pm {
    struct ratio clock; /* guest TSC ticks to ticks of the PM timer */
    uint64_t start;     /* guest TSC at which the timer was 0 */
    uint64_t seen;      /* timer ticks up to which TMR_STS is right */
    uint64_t deadline;  /* acpi_pm_deadline() */
    uint16_t status;    /* PM1 status */
    uint16_t enable;    /* PM1 enable */
    uint16_t control;   /* PM1 control */
};

enum acpi_pm_action {
    ACPI_PM_NONE = 0,
    ACPI_PM_POWER_OFF, /* the guest entered S5 */
};

/*
 * Power-on state: nothing enabled, timer 0.
 *   tsc_hz  frequency of the clock that all `now` are counted in, above 4 MHz
 */
void acpi_pm_reset(struct acpi_pm *p, uint64_t tsc_hz, uint64_t now);

/*
 * The timer's count at `now`. `now` of another core may lie a little before the start: the timer
 * does not go below 0.
 */
static inline uint64_t acpi_pm_ticks(const struct acpi_pm *p, uint64_t now)
{
    return now > p->start ? ratio_ticks(p->clock, now - p->start) : 0;
}

/*
 * The guest reads the timer: ACPI_PM_TMR, 4 bytes. That changes nothing, and reads only what
 * nothing but acpi_pm_reset changes: it needs no lock.
 */
static inline uint32_t acpi_pm_timer(const struct acpi_pm *p, uint64_t now)
{
    return (uint32_t)acpi_pm_ticks(p, now);
}

/*
 * The guest reads ports.
 *   offset  from the start of the block, 0..11
 *   size    1, 2 or 4 bytes; bytes outside the registers read 0 (6, 7) or all ones (beyond 11)
 *   return  the value, in the low bytes
 */
uint32_t acpi_pm_read(struct acpi_pm *p, unsigned offset, unsigned size, uint64_t now);

/*
 * The guest writes ports; arguments as for acpi_pm_read.
 *   return  what the machine must do. Setting SLP_EN with a SLP_TYP other than S5's does nothing.
 * Source: ACPI 6.4 "PM1 Status Registers", "PM1 Enable Registers", "PM1 Control Registers".
 */
enum acpi_pm_action acpi_pm_write(struct acpi_pm *p, unsigned offset, unsigned size, uint32_t value,
                                  uint64_t now);

/* Someone pressed the power button: sets PWRBTN_STS. */
void acpi_pm_power_button(struct acpi_pm *p);

/* Level of the SCI: an enabled event has its status bit set. */
bool acpi_pm_sci(const struct acpi_pm *p);

/* When acpi_pm_advance must be called at the latest; TIME_NEVER unless TMR_EN waits for TMR_STS. */
static inline uint64_t acpi_pm_deadline(const struct acpi_pm *p)
{
    return p->deadline;
}

/* Time has come to `now`: sets TMR_STS if the timer's highest bit has changed. */
void acpi_pm_advance(struct acpi_pm *p, uint64_t now);

/* The chip's invariant; true after every call above. */
bool acpi_pm_ok(const struct acpi_pm *p);

#endif
