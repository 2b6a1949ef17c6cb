/* unit: */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Conversion between clocks: exactness against long division, and the inverse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "lib/ratio.h"

#define PIT_HZ 1193182ull

static const uint64_t fast_hz[] = {
    PIT_HZ + 1,       PIT_HZ * 2,    PIT_HZ * 1000,    PIT_HZ * 2514, 4000000,
    50000000,         2000000000ull, 2999999999ull,    3000000000ull, 4294967296ull,
    5999999999999ull, 1ull << 40,    (1ull << 40) - 1,
};
static const uint64_t slow_hz[] = {1193182, 3579545, 1843200, 32768, 1000, 257};

/* floor(t * to / from), the definition. */
static uint64_t exact_ticks(uint64_t t, uint64_t from, uint64_t to)
{
    return (uint64_t)((uint128_t)t * to / from);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool is_valid(uint64_t from, uint64_t to)
{
    return to < from && from / to < (1ull << 32);
}

static void check_ticks(uint64_t from, uint64_t to)
{
    struct ratio r = ratio_make(from, to);
    uint64_t limit = from <= (1ull << 32) ? UINT64_MAX : (1ull << 56) - 1;
    uint64_t seed = from ^ to;

    for (unsigned i = 0; i < 2000; i++) {
        uint64_t t = (next_random(&seed) >> (i % 64)) & limit;

        assert_int_equal(ratio_ticks(r, t), exact_ticks(t, from, to));
    }
    assert_int_equal(ratio_ticks(r, 0), 0);
    assert_int_equal(ratio_ticks(r, limit), exact_ticks(limit, from, to));
}

static void test_ticks_equal_long_division(void **state)
{
    (void)state;
    for (unsigned f = 0; f < sizeof(fast_hz) / sizeof(fast_hz[0]); f++)
        for (unsigned s = 0; s < sizeof(slow_hz) / sizeof(slow_hz[0]); s++)
            if (is_valid(fast_hz[f], slow_hz[s]))
                check_ticks(fast_hz[f], slow_hz[s]);
}

static void test_whole_multiple_ticks_on_the_boundary(void **state)
{
    static const uint64_t factors[] = {2, 3, 7, 1000, 2513, 2514};

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct ratio r = ratio_make(PIT_HZ * factors[i], PIT_HZ);

        for (uint64_t n = 1; n < (1ull << 40); n = n * 3 + 1) {
            assert_int_equal(ratio_ticks(r, n * factors[i]), n);
            assert_int_equal(ratio_ticks(r, n * factors[i] - 1), n - 1);
            assert_int_equal(ratio_when(r, n), n * factors[i]);
        }
    }
}

/* ceil(n * from / to), the definition. */
static void check_when(uint64_t from, uint64_t to)
{
    struct ratio r = ratio_make(from, to);
    uint64_t seed = from + to;

    for (unsigned i = 0; i < 2000; i++) {
        uint64_t n = next_random(&seed) >> (24 + i % 40);
        uint128_t want = ((uint128_t)n * from + to - 1) / to;

        if (want >= (1ull << 56))
            continue;
        assert_int_equal(ratio_when(r, n), (uint64_t)want);
    }
}

static void test_when_is_the_first_moment(void **state)
{
    (void)state;
    for (unsigned f = 0; f < sizeof(fast_hz) / sizeof(fast_hz[0]); f++)
        for (unsigned s = 0; s < sizeof(slow_hz) / sizeof(slow_hz[0]); s++)
            if (is_valid(fast_hz[f], slow_hz[s]))
                check_when(fast_hz[f], slow_hz[s]);
}

static void test_one_second_is_the_slow_frequency(void **state)
{
    struct ratio r = ratio_make(2999999999ull, PIT_HZ);

    (void)state;
    assert_int_equal(ratio_ticks(r, 2999999999ull), PIT_HZ);
    assert_int_equal(ratio_ticks(r, 2999999998ull), PIT_HZ - 1);
    assert_int_equal(ratio_when(r, PIT_HZ), 2999999999ull);
    assert_int_equal(ratio_ticks(r, 86400 * 365 * 2999999999ull), 86400 * 365 * PIT_HZ);
    assert_int_equal(ratio_when(r, 86400 * 365 * PIT_HZ), 86400 * 365 * 2999999999ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks_equal_long_division),
        cmocka_unit_test(test_whole_multiple_ticks_on_the_boundary),
        cmocka_unit_test(test_when_is_the_first_moment),
        cmocka_unit_test(test_one_second_is_the_slow_frequency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
