/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spin lock. Root mode runs with interrupts off, so no interrupt handler can meet a lock its
 * own core holds.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct spinlock {
    atomic_bool held;
};

/* Take the lock if it is free; false: somebody else has it. */
static inline bool spin_trylock(struct spinlock *l)
{
    return !atomic_exchange_explicit(&l->held, true, memory_order_acquire);
}

/* Take the lock, waiting for it. */
static inline void spin_lock(struct spinlock *l)
{
    while (!spin_trylock(l)) {
        while (atomic_load_explicit(&l->held, memory_order_relaxed))
            __builtin_ia32_pause();
    }
}

/* Give the lock back; the caller holds it. */
static inline void spin_unlock(struct spinlock *l)
{
    atomic_store_explicit(&l->held, false, memory_order_release);
}

#endif
