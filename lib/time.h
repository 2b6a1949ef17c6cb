/* SPDX-License-Identifier: BSD-2-Clause */
/* Moments are TSC ticks: the guest's since its power-on for devices, the host's for timers. */
#ifndef LIB_TIME_H
#define LIB_TIME_H

#include <stdint.h>

/* A deadline that never comes. */
#define TIME_NEVER UINT64_MAX

#endif
