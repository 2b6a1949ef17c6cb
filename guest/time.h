/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that VM time is made of. A header of its own: unit tests have another in its place
 * (tests/fake/clock), so that here it is one instruction in the middle of its caller.
 */
#ifndef GUEST_TIME_H
#define GUEST_TIME_H

#include <stdint.h>

/* The host's TSC. */
static inline uint64_t time_host(void)
{
    return __builtin_ia32_rdtsc();
}

#endif
