/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The border to physical memory. Two implementations chosen at link time: arch/x86 (page-table
 * windows) and tests/fake/phys_fake.c (host memory).
 */
#ifndef MM_PHYS_H
#define MM_PHYS_H

#include <stdint.h>

/* Most recent distinct blocks of phys_window that stay valid on one CPU. */
#define PHYS_WINDOWS 4

/*
 * Make a byte of host-physical memory reachable.
 *   hpa     host-physical address, below 2^(physical address width)
 *   return  pointer to that byte; valid up to the end of the 2 MiB-aligned block that holds hpa,
 *           and until PHYS_WINDOWS other blocks have been asked for on the same CPU. Where there is
 *           no memory, reads give what the bus gives (all ones).
 * Context: the calling CPU only; the pointer is not passed to another CPU.
 */
void *phys_window(uint64_t hpa);

/*
 * Where to read how often phys_window() on the calling CPU had to give up a block so far: what it
 * returned since this number changed last is still valid.
 *   return  always the same on one CPU
 */
const uint64_t *phys_window_moves(void);

/*
 * A page of the table pool: the pool is one contiguous region, mapped for ever.
 *   hpa     address of a page given by pages_alloc, or of a byte inside one
 *   return  pointer to that byte, valid to the end of its page, on every CPU, for ever
 */
void *phys_table(uint64_t hpa);

#endif
