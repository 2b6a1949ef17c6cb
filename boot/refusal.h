/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine lacks, all of it, before the run ends: each problem is a line of its own, the
 * last one is the refusal, and what to do about them stands before that.
 * Boot processor, before the guests run.
 */
#ifndef BOOT_REFUSAL_H
#define BOOT_REFUSAL_H

#include <stdint.h>

#include "arch/x86/reasons.h"
#include "lib/bits.h"
#include "lib/compiler.h"

/*
 * A problem that does not keep us from looking for others.
 *   mask  BIT32(REASON_...): whose line of what to do shall be shown; 0 is allowed
 *   fmt   at most 200 characters
 */
void refusal_add(uint32_t mask, const char *fmt, ...) PRINTF(2, 3);

/* Refuse if there was a problem. */
void refusal_end(void);

/* A problem with which nothing else can be looked at. */
NORETURN void refusal_now(uint32_t mask, const char *fmt, ...) PRINTF(2, 3);

#endif
