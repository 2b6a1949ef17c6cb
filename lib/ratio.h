/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversion between two clocks that run at fixed frequencies, without division after set-up.
 *
 * Guest time is the guest's TSC. A chip with its own oscillator (8254: 1193182 Hz) asks how many
 * of its ticks have passed in so many TSC ticks, and at which TSC tick its next event is due.
 *
 * Both answers are exact, not only near: the factor has 96 fractional bits and is rounded up, so
 * the product exceeds t * to / from by less than t / 2^96, which is less than the distance of that
 * fraction to the next whole number (at least 1 / from) for every t below 2^96 / from.
 */
#ifndef LIB_RATIO_H
#define LIB_RATIO_H

#include <stdint.h>

__extension__ typedef unsigned __int128 uint128_t;

struct ratio {
    uint64_t mul;    /* 2^96 * to_hz / from_hz, rounded up: [95:32] */
    uint64_t mul_lo; /* [31:0] of it in [63:32]: what a product has to be shifted by is 64 */
    uint64_t inv;    /* 2^64 * from_hz / to_hz, rounded down: [95:32] */
    uint64_t inv_lo; /* [31:0] of it in [63:32] */
};

/* The upper half of a product. */
static inline uint64_t ratio_mul_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((uint128_t)a * b >> 64);
}

/* The next `count` binary digits of rest / den; rest < den <= 2^63, and again afterwards. */
static inline uint64_t ratio_digits(uint64_t *rest, uint64_t den, unsigned count)
{
    uint64_t digits = 0;

    for (unsigned i = 0; i < count; i++) {
        *rest <<= 1;
        digits <<= 1;
        if (*rest >= den) {
            *rest -= den;
            digits |= 1;
        }
    }
    return digits;
}

/*
 * Make a ratio.
 *   from_hz, to_hz  1 Hz .. 2^40 Hz, to_hz < from_hz, from_hz / to_hz < 2^32
 */
static inline struct ratio ratio_make(uint64_t from_hz, uint64_t to_hz)
{
    struct ratio r;
    uint64_t rest = to_hz;

    r.mul = ratio_digits(&rest, from_hz, 64);
    r.mul_lo = ratio_digits(&rest, from_hz, 32) << 32;
    if (rest != 0) {
        r.mul_lo += 1ull << 32;
        r.mul += r.mul_lo == 0;
    }
    rest = from_hz % to_hz;
    r.inv = from_hz / to_hz << 32 | ratio_digits(&rest, to_hz, 32);
    r.inv_lo = ratio_digits(&rest, to_hz, 32) << 32;
    return r;
}

/*
 * Ticks of the slow clock that have passed in `t` ticks of the fast one, rounded down.
 *   t  below 2^96 / from_hz for an exact answer: any t for clocks up to 2^32 Hz; beyond that the
 *      answer may be one tick of the fast clock early
 */
static inline uint64_t ratio_ticks(struct ratio r, uint64_t t)
{
    uint64_t below = ratio_mul_high(t, r.mul_lo);
    uint128_t product = (uint128_t)t * r.mul;
    uint64_t low = (uint64_t)product + below;

    return (uint64_t)(product >> 64) + (low < below);
}

/*
 * The first moment of the fast clock at which `n` slow ticks have passed:
 * ratio_ticks(r, result) >= n and, for n > 0, ratio_ticks(r, result - 1) < n.
 *   n  such that the result is below 2^64
 */
static inline uint64_t ratio_when(struct ratio r, uint64_t n)
{
    /* n * from / to less n / 2^64 at most, so that two steps up are the most that is needed. */
    uint64_t t = (uint64_t)(((uint128_t)n * r.inv + ratio_mul_high(n, r.inv_lo)) >> 32);

    while (ratio_ticks(r, t) < n)
        t++;
    return t;
}

#endif
