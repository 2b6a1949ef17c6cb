/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI fixed hardware: PM1 registers, PM timer. Source: ACPI 6.4 "Fixed Hardware Registers". */
#include "devices/acpi_pm.h"

#include "lib/time.h"

/* PM1 status; every bit is cleared by writing 1 */
#define STS_TMR           0x0001u /* [0] the timer's highest bit changed */
#define STS_PWRBTN        0x0100u /* [8] */
#define STS_ALL           (STS_TMR | STS_PWRBTN)

/* PM1 enable: [0] timer, [5] global lock, [8] power button, [9] sleep button, [10] RTC */
#define EN_TMR            0x0001u
#define EN_ALL            0x0721u

/* PM1 control */
#define CNT_SCI_EN        0x0001u /* [0] ACPI mode, always */
#define CNT_BM_RLD        0x0002u /* [1] */
#define CNT_SLP_TYP       0x1c00u /* [12:10] */
#define CNT_SLP_TYP_SHIFT 10
#define CNT_SLP_EN        0x2000u /* [13] reads 0 */
#define CNT_STORED        (CNT_BM_RLD | CNT_SLP_TYP)

#define TIMER_HALF_BITS   31 /* the highest bit of 32 changes every 2^31 ticks */

/* Byte n of the block */
#define BYTE_STATUS       0u
#define BYTE_ENABLE       2u
#define BYTE_CONTROL      4u
#define BYTE_TIMER        8u

static void latch_timer_status(struct acpi_pm *p, uint64_t now)
{
    uint64_t ticks = acpi_pm_ticks(p, now);

    if (ticks <= p->seen)
        return;
    if (ticks >> TIMER_HALF_BITS != p->seen >> TIMER_HALF_BITS)
        p->status |= STS_TMR;
    p->seen = ticks;
}

/* Relative to `now`, so that it may be late by one tick (279 ns), but never early. */
static uint64_t next_deadline(const struct acpi_pm *p, uint64_t now)
{
    uint64_t half = 1ull << TIMER_HALF_BITS;

    if ((p->enable & EN_TMR) == 0 || (p->status & STS_TMR) != 0)
        return TIME_NEVER;
    return now + ratio_when(p->clock, half - p->seen % half);
}

static uint8_t read_byte(const struct acpi_pm *p, unsigned offset, uint64_t now)
{
    unsigned shift = 8 * (offset % 2);

    switch (offset & ~1u) {
    case BYTE_STATUS: return (uint8_t)(p->status >> shift);
    case BYTE_ENABLE: return (uint8_t)(p->enable >> shift);
    case BYTE_CONTROL: return (uint8_t)(p->control >> shift);
    case BYTE_TIMER: return (uint8_t)(acpi_pm_ticks(p, now) >> shift);
    case BYTE_TIMER + 2: return (uint8_t)(acpi_pm_ticks(p, now) >> (16 + shift));
    default: return offset < ACPI_PM_BLOCK_LEN ? 0 : 0xff;
    }
}

/* SLP_TYP and SLP_EN are in the same byte: a byte at a time decides the same. */
static enum acpi_pm_action write_control(struct acpi_pm *p, unsigned keep, unsigned bits)
{
    unsigned control = (p->control & keep) | bits;

    p->control = (uint16_t)((control & CNT_STORED) | CNT_SCI_EN);
    if ((bits & CNT_SLP_EN) == 0)
        return ACPI_PM_NONE;
    return (control & CNT_SLP_TYP) >> CNT_SLP_TYP_SHIFT == ACPI_PM_SLP_TYP_S5 ? ACPI_PM_POWER_OFF
                                                                              : ACPI_PM_NONE;
}

static enum acpi_pm_action write_byte(struct acpi_pm *p, unsigned offset, uint8_t value)
{
    unsigned shift = 8 * (offset % 2);
    unsigned keep = ~(0xffu << shift);
    unsigned bits = (unsigned)value << shift;

    switch (offset & ~1u) {
    case BYTE_STATUS: p->status &= (uint16_t)~bits; return ACPI_PM_NONE;
    case BYTE_ENABLE: p->enable = (uint16_t)(((p->enable & keep) | bits) & EN_ALL); break;
    case BYTE_CONTROL: return write_control(p, keep, bits);
    default: break; /* the timer cannot be written */
    }
    return ACPI_PM_NONE;
}

void acpi_pm_reset(struct acpi_pm *p, uint64_t tsc_hz, uint64_t now)
{
    *p = (struct acpi_pm){
        .clock = ratio_make(tsc_hz, ACPI_PM_TIMER_HZ),
        .start = now,
        .deadline = TIME_NEVER,
        .control = CNT_SCI_EN,
    };
}

uint32_t acpi_pm_read(struct acpi_pm *p, unsigned offset, unsigned size, uint64_t now)
{
    uint32_t value = 0;

    if (offset == ACPI_PM_TMR && size == 4)
        return acpi_pm_timer(p, now);
    acpi_pm_advance(p, now);
    for (unsigned i = 0; i < size && i < 4; i++)
        value |= (uint32_t)read_byte(p, offset + i, now) << (8 * i);
    return value;
}

enum acpi_pm_action acpi_pm_write(struct acpi_pm *p, unsigned offset, unsigned size, uint32_t value,
                                  uint64_t now)
{
    enum acpi_pm_action action = ACPI_PM_NONE;

    latch_timer_status(p, now);
    for (unsigned i = 0; i < size && i < 4; i++) {
        if (write_byte(p, offset + i, (uint8_t)(value >> (8 * i))) == ACPI_PM_POWER_OFF)
            action = ACPI_PM_POWER_OFF;
    }
    p->deadline = next_deadline(p, now);
    return action;
}

void acpi_pm_power_button(struct acpi_pm *p)
{
    p->status |= STS_PWRBTN;
}

bool acpi_pm_sci(const struct acpi_pm *p)
{
    return (p->status & p->enable) != 0;
}

void acpi_pm_advance(struct acpi_pm *p, uint64_t now)
{
    latch_timer_status(p, now);
    p->deadline = next_deadline(p, now);
}

bool acpi_pm_ok(const struct acpi_pm *p)
{
    bool waits = (p->enable & EN_TMR) != 0 && (p->status & STS_TMR) == 0;

    return (p->status & ~STS_ALL) == 0 && (p->enable & ~EN_ALL) == 0 &&
           (p->control & ~CNT_STORED) == CNT_SCI_EN && waits == (p->deadline != TIME_NEVER);
}
