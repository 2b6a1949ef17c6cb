/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands for guest/time.h in unit tests: the clock is tests/fake/host_fake.c's. */
#ifndef GUEST_TIME_H
#define GUEST_TIME_H

#include <stdint.h>

uint64_t time_host(void);

#endif
