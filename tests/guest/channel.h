/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One value from one guest to others through a shared region: a sequence lock. The writer makes the
 * sequence odd, writes, and makes it even again; a reader whose two looks at the sequence differ,
 * or see an odd one, tries again. x86 keeps the order of stores and of loads (SDM 3A "Memory
 * Ordering"), so only the compiler has to be held.
 *
 * A reader never believes the writer: it tries a bounded number of times and checks what it got.
 */
#ifndef TESTS_GUEST_CHANNEL_H
#define TESTS_GUEST_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

/* Where a config puts the regions; outside all RAM of a small guest. */
#define CHANNEL_FIRST_GPA  0xd0000000ul
#define CHANNEL_SECOND_GPA 0xd1000000ul

#define CHANNEL_MAGIC      0x6c6e6863u /* "chnl" */
#define CHANNEL_TRIES      1000u

/* The beginning of a region. */
struct channel {
    volatile uint32_t magic; /* CHANNEL_MAGIC once there is a value */
    volatile uint32_t sequence;
    volatile uint64_t value;
    volatile uint64_t count; /* values so far */
};
_Static_assert(sizeof(struct channel) == 24, "the same in all programs");

/* The region at a guest-physical address. Where none is, reads give ones and writes are dropped. */
static inline struct channel *channel_at(uint64_t gpa)
{
    return (struct channel *)gpa; /* memory is mapped to itself */
}

/* Publish a value. Called by the region's one writer only. */
static inline void channel_write(struct channel *c, uint64_t value, uint64_t count)
{
    c->sequence = c->sequence + 1;
    c->value = value;
    c->count = count;
    c->sequence = c->sequence + 1;
    c->magic = CHANNEL_MAGIC;
}

/*
 * The present value and its number.
 *   return  false: no region, nothing written yet, or the writer is in the middle for ever
 */
MUST_CHECK static inline bool channel_read(const struct channel *c, uint64_t *value,
                                           uint64_t *count)
{
    for (unsigned tries = 0; tries < CHANNEL_TRIES && c->magic == CHANNEL_MAGIC; tries++) {
        uint32_t before = c->sequence;

        *value = c->value;
        *count = c->count;
        if (before % 2 == 0 && c->sequence == before)
            return true;
        __asm__ volatile("pause");
    }
    return false;
}

#endif
