/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818A real-time clock with the PC's CMOS memory: 128 bytes behind ports 70H and 71H, a 32768
 * Hz crystal, the century in byte 32H.
 *
 * The ten time, calendar and alarm bytes are kept as the guest sees them, in whatever format it
 * chose, and brought up to date when looked at, in constant time however long that was ago. What
 * no clock can show (month 99) is kept until the next second, or day, makes it a number in range.
 *
 * As in Intel's chip sets, DSE (daylight savings) is stored and has no function, and only the 32768
 * Hz time base exists: the settings of the divider for other crystals run the same.
 *
 * Sources: Motorola MC146818A data sheet (MC146818A/D); Intel I/O Controller Hub 9 data sheet
 * (316972), "Real Time Clock Registers".
 */
#ifndef DEVICES_MC146818_H
#define DEVICES_MC146818_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ratio.h"

#define MC146818_PORT_INDEX 0x70u
#define MC146818_PORT_DATA  0x71u
#define MC146818_CMOS_LEN   128u
#define MC146818_CENTURY    0x32u /* FADT CENTURY */

struct mc146818 {
    struct ratio clock; /* guest TSC ticks to ticks of the crystal */
    uint64_t start;     /* guest TSC at which the divider chain stood at `phase` */
    uint64_t phase;     /* crystal ticks, below one second */
    uint64_t seen;      /* divider chain count up to which registers and flags are right */
    uint64_t deadline;  /* mc146818_deadline() */
    uint8_t index;      /* the byte that port 71H shows */
    uint8_t cmos[MC146818_CMOS_LEN];
};

/*
 * Power-on state as firmware would leave it: running, 24 hours, BCD, no interrupt enabled, rate
 * 1024 Hz, memory bytes 0.
 *   tsc_hz             frequency of the clock that all `now` are counted in, above 40 kHz
 *   now                guest TSC
 *   unix_time_seconds  seconds since 1970-01-01 00:00:00 at `now`, which starts a second
 */
void mc146818_reset(struct mc146818 *rtc, uint64_t tsc_hz, uint64_t now,
                    uint64_t unix_time_seconds);

/*
 * The RESET line, as when the machine restarts but its battery holds: interrupts are disabled and
 * their flags cleared; time, calendar and memory go on.
 * Source: MC146818A data sheet, "RESET".
 */
void mc146818_reset_line(struct mc146818 *rtc, uint64_t now);

/*
 * The guest reads a port.
 *   port  70H (reads FFH) or 71H
 *   now   guest TSC
 */
uint8_t mc146818_read(struct mc146818 *rtc, uint16_t port, uint64_t now);

/*
 * The guest writes a port; arguments as above. Bit 7 of 70H, the PC's NMI mask, is dropped: the
 * port cannot be read, and no device makes an NMI that it could mask.
 */
void mc146818_write(struct mc146818 *rtc, uint16_t port, uint8_t value, uint64_t now);

/*
 * The platform fills a byte of CMOS memory, say a memory size.
 *   index  0EH..7FH; others, and the century, are left alone
 */
void mc146818_set_cmos(struct mc146818 *rtc, unsigned index, uint8_t value);

/* Level of the IRQ output, active meaning true; stays until register C is read. */
bool mc146818_irq(const struct mc146818 *rtc);

/* When mc146818_advance must be called at the latest; TIME_NEVER if no interrupt can come. */
static inline uint64_t mc146818_deadline(const struct mc146818 *rtc)
{
    return rtc->deadline;
}

/* Time has come to `now`. */
void mc146818_advance(struct mc146818 *rtc, uint64_t now);

/* The chip's invariant; true after every call above. */
bool mc146818_ok(const struct mc146818 *rtc);

#endif
