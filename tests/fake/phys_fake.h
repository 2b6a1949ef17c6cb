/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical memory made of host memory, for unit tests: the other side of mm/phys.h.
 *
 * Each 2 MiB block is an allocation of its own, so that the address sanitizer sees a run over its
 * end. Blocks beyond the PHYS_WINDOWS most recent ones are poisoned, as a real window would be
 * gone. Where nothing was added, one shared block of all ones is read; do not write there.
 */
#ifndef TESTS_FAKE_PHYS_FAKE_H
#define TESTS_FAKE_PHYS_FAKE_H

#include <stddef.h>
#include <stdint.h>

/* Forget all memory. */
void phys_fake_reset(void);

/* Add zeroed memory: every 2 MiB block that base .. base + len - 1 touches. */
void phys_fake_add(uint64_t base, uint64_t len);

/* Let phys_table serve base .. base + len - 1, filled with AAH. Replaces an earlier pool. */
void phys_fake_pool(uint64_t base, uint64_t len);

/* Copy into memory that was added; may cross blocks. Ends the program where there is none. */
void phys_fake_write(uint64_t hpa, const void *data, size_t len);

#endif
