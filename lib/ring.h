/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A byte queue between one producer and one consumer on any two cores, without a lock.
 * The indices run freely and wrap at 2^32; their difference is the fill level.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE 4096u /* a power of two */

struct ring {
    _Atomic uint32_t head; /* written by the consumer only */
    _Atomic uint32_t tail; /* written by the producer only */
    uint8_t bytes[RING_SIZE];
};

/* Bytes waiting; exact for the consumer, a lower bound for nobody else. */
static inline uint32_t ring_used(struct ring *r)
{
    return atomic_load_explicit(&r->tail, memory_order_acquire) -
           atomic_load_explicit(&r->head, memory_order_acquire);
}

/* Producer: append a byte; false and nothing done when the ring is full. */
static inline bool ring_put(struct ring *r, uint8_t byte)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) >= RING_SIZE)
        return false;
    r->bytes[tail % RING_SIZE] = byte;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

/* Consumer: take the oldest byte; false when there is none. */
static inline bool ring_take(struct ring *r, uint8_t *byte)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (atomic_load_explicit(&r->tail, memory_order_acquire) == head)
        return false;
    *byte = r->bytes[head % RING_SIZE];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

/* Consumer: look at the byte `at` places behind the oldest; at < ring_used(). */
static inline uint8_t ring_peek(const struct ring *r, uint32_t at)
{
    return r->bytes[(atomic_load_explicit(&r->head, memory_order_relaxed) + at) % RING_SIZE];
}

#endif
