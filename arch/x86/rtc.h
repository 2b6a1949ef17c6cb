/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's real-time clock, read once at boot. MC146818A data sheet. */
#ifndef ARCH_X86_RTC_H
#define ARCH_X86_RTC_H

#include <stdint.h>

/* The clock's bytes as they are, in the format that register B says. */
struct rtc_registers {
    uint8_t seconds, minutes, hours, day, month, year;
    uint8_t register_b; /* [1] 24 hours, [2] binary */
};

/*
 * Seconds since 1970-01-01 00:00:00, the clock being taken as UTC and as in the years 2000 to 2099.
 *   return  0 if they make no sense
 * Pure. Source: MC146818A data sheet, "Time, Calendar, and Alarm Locations".
 */
uint64_t rtc_decode(const struct rtc_registers *r);

/* Read the clock and decode it; waits for an update that is under way. */
uint64_t rtc_read(void);

#endif
