/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's real-time clock, read once at boot. MC146818A data sheet. */
#ifndef ARCH_X86_RTC_H
#define ARCH_X86_RTC_H

#include <stdint.h>

/* Seconds since 1970-01-01 00:00:00, the clock being taken as UTC; 0 if it makes no sense. */
uint64_t rtc_read(void);

#endif
