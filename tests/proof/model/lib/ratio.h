/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands for lib/ratio.h in proofs: clock ratios that are any functions at all. What is proven with
 * it does not depend on how clocks are converted.
 */
#ifndef LIB_RATIO_H
#define LIB_RATIO_H

#include <stdint.h>

struct ratio {
    uint64_t id;
};

uint64_t __CPROVER_uninterpreted_ticks(uint64_t id, uint64_t t);
uint64_t __CPROVER_uninterpreted_when(uint64_t id, uint64_t n);

static inline struct ratio ratio_make(uint64_t from_hz, uint64_t to_hz)
{
    return (struct ratio){.id = from_hz ^ to_hz << 32};
}

static inline uint64_t ratio_ticks(struct ratio r, uint64_t t)
{
    return __CPROVER_uninterpreted_ticks(r.id, t);
}

/* As in lib/ratio.h: at least one tick of the fast clock for one of the slow one. */
static inline uint64_t ratio_when(struct ratio r, uint64_t n)
{
    uint64_t t = __CPROVER_uninterpreted_when(r.id, n);

    __CPROVER_assume(t >= n);
    return t;
}

#endif
