/* SPDX-License-Identifier: BSD-2-Clause */
/* Bit, field and alignment arithmetic. */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define BIT(n)    (1ul << (n))
#define BIT32(n)  (1u << (n))

#define KIB       1024ul
#define MIB       (1024 * KIB)
#define GIB       (1024 * MIB)

#define PAGE_SIZE 4096ul
#define PAGE_2M   (2 * MIB)
#define PAGE_1G   GIB

/* Bits of reg under mask, moved down to bit 0. mask: one run of ones, not 0. */
static inline uint64_t field_get(uint64_t reg, uint64_t mask)
{
    return (reg & mask) / (mask & (~mask + 1));
}

/* x rounded down / up to a multiple of the power of two align. align_up wraps at 2^64. */
static inline uint64_t align_down(uint64_t x, uint64_t align)
{
    return x & ~(align - 1);
}

static inline uint64_t align_up(uint64_t x, uint64_t align)
{
    return align_down(x + align - 1, align);
}

static inline bool is_aligned(uint64_t x, uint64_t align)
{
    return (x & (align - 1)) == 0;
}

/* A mask of the low `bytes` bytes; bytes 1, 2, 4 or 8. */
static inline uint64_t size_mask(unsigned bytes)
{
    return ~0ull >> (64 - 8 * bytes);
}

/* Index of the highest set bit; x is not 0. */
static inline unsigned bit_highest(uint64_t x)
{
    return 63u ^ (unsigned)__builtin_clzll(x); /* one BSR; not so with a minus */
}

/* Index of the lowest set bit; x is not 0. */
static inline unsigned bit_lowest(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

#endif
