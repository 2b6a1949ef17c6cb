/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spin lock. Root mode runs with interrupts off, so no interrupt handler can meet a lock its
 * own core holds.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/compiler.h"

struct spinlock {
    atomic_uint held; /* [0]; set by a bit-test-and-set, whose answer needs no register */
};

/* Take the lock if it is free; false: somebody else has it. */
static inline bool spin_trylock(struct spinlock *l)
{
    return (atomic_fetch_or_explicit(&l->held, 1, memory_order_acquire) & 1) == 0;
}

/* Take the lock, waiting for it. */
static inline void spin_lock(struct spinlock *l)
{
    if (LIKELY(spin_trylock(l))) /* this one goes straight on */
        return;
    do {
        while (atomic_load_explicit(&l->held, memory_order_relaxed))
            __builtin_ia32_pause();
    } while (!spin_trylock(l));
}

/* Give the lock back; the caller holds it. */
static inline void spin_unlock(struct spinlock *l)
{
    atomic_store_explicit(&l->held, 0, memory_order_release);
}

#endif
