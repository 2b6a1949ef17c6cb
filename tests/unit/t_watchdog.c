/* unit: devices/watchdog.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The watchdog, as its header describes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/watchdog.h"
#include "lib/time.h"

#define SECOND 1000ull /* ticks of the clock */

static struct watchdog chip;
static struct watchdog *const w = &chip;
static uint64_t now;

static void reset(uint32_t limit_s)
{
    watchdog_reset(w, SECOND, limit_s);
    assert_true(watchdog_ok(w));
}

static int fresh(void **state)
{
    (void)state;
    chip = (struct watchdog){0};
    now = 77;
    reset(30);
    return 0;
}

static uint32_t in(unsigned offset, unsigned size)
{
    return watchdog_read(w, offset, size, now);
}

static void out(unsigned offset, unsigned size, uint32_t value)
{
    watchdog_write(w, offset, size, value, now);
    assert_true(watchdog_ok(w));
}

/* Time goes on; whether it has expired. */
static bool wait(uint64_t ticks)
{
    now += ticks;
    watchdog_advance(w, now);
    assert_true(watchdog_ok(w));
    return watchdog_expired(w);
}

static void test_it_is_off_after_reset(void **state)
{
    (void)state;
    assert_int_equal(in(0, 4), 0x01000000);
    assert_int_equal(in(4, 4), 30u << 16 | 30u);
    assert_true(watchdog_deadline(w) == TIME_NEVER);
    assert_false(wait(1000000 * SECOND));
    out(1, 1, 1); /* nothing to kick */
    assert_true(watchdog_deadline(w) == TIME_NEVER);
}

static void test_it_expires_when_nobody_kicks(void **state)
{
    (void)state;
    out(0, 1, 1);
    assert_int_equal(in(0, 1), 1);
    assert_true(watchdog_deadline(w) == now + 30 * SECOND);
    assert_false(wait(30 * SECOND - 1));
    assert_int_equal(in(6, 2), 1);
    assert_true(wait(1));
    assert_int_equal(in(6, 2), 0);
    assert_true(watchdog_deadline(w) <= now);
}

static void test_a_kick_gives_it_the_whole_count(void **state)
{
    (void)state;
    out(0, 1, 1);
    for (unsigned i = 0; i < 10; i++) {
        assert_false(wait(29 * SECOND));
        assert_int_equal(in(6, 2), 1);
        out(1, 1, i);
        assert_int_equal(in(6, 2), 30);
        assert_int_equal(in(1, 1), 0);
    }
    assert_true(wait(30 * SECOND));
}

static void test_starting_it_again_is_no_kick(void **state)
{
    (void)state;
    out(0, 1, 1);
    wait(20 * SECOND);
    out(0, 1, 1);
    assert_int_equal(in(6, 2), 10);
    out(0, 1, 0xfe); /* bit 0 decides */
    assert_int_equal(in(0, 1), 0);
    assert_int_equal(in(6, 2), 30);
    assert_false(wait(100 * SECOND));
    out(0, 1, 0xff);
    assert_int_equal(in(6, 2), 30);
}

static void test_count_is_kept_within_its_bounds(void **state)
{
    static const struct {
        uint16_t written, read;
    } counts[] = {
        {0,      1 },
        {1,      1 },
        {29,     29},
        {30,     30},
        {31,     30},
        {0xffff, 30},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        out(4, 2, counts[i].written);
        assert_int_equal(in(4, 2), counts[i].read);
    }
    out(5, 1, 1);
    assert_int_equal(in(4, 2), 30);
    out(4, 1, 5);
    assert_int_equal(in(4, 1), 5);
    assert_int_equal(in(5, 1), 0);
}

static void test_count_takes_effect_with_the_next_kick(void **state)
{
    (void)state;
    out(4, 2, 20);
    assert_int_equal(in(6, 2), 20);
    out(0, 1, 1);
    out(4, 2, 5);
    assert_int_equal(in(6, 2), 20);
    out(1, 1, 0);
    assert_int_equal(in(6, 2), 5);
    assert_true(wait(5 * SECOND));
}

static void test_wide_writes_reach_each_register(void **state)
{
    (void)state;
    out(6, 2, 0xffff); /* read-only */
    out(2, 2, 0x0000); /* status, action */
    assert_int_equal(in(0, 4), 0x01000000);
    out(4, 4, 0xffff0007);
    assert_int_equal(in(4, 4), 0x00070007);
    out(3, 2, 0x0400); /* action and the low half of the count */
    assert_int_equal(in(4, 2), 4);
    out(0, 2, 0x0001); /* start and kick */
    assert_int_equal(in(6, 2), 4);
    assert_int_equal(in(7, 4), 0); /* beyond the last port there is nothing */
    out(7, 4, 0xffffffff);
    assert_int_equal(in(0, 4), 0x01000001);
}

/* What it has done stays done: a kick that comes too late does not help. */
static void test_expired_is_final(void **state)
{
    (void)state;
    out(0, 1, 1);
    now += 31 * SECOND; /* the kick is quicker than whoever watches the deadline */
    out(1, 1, 1);
    assert_true(watchdog_expired(w));
    out(0, 1, 0);
    out(4, 2, 7);
    assert_int_equal(in(4, 2), 30);
    assert_int_equal(in(0, 1), 1);
    assert_true(watchdog_deadline(w) <= now);
}

static void test_status_tells_the_next_life(void **state)
{
    (void)state;
    out(0, 1, 1);
    assert_true(wait(30 * SECOND));
    assert_int_equal(in(2, 1), 0);
    reset(30);
    assert_false(watchdog_expired(w));
    assert_true(watchdog_deadline(w) == TIME_NEVER);
    assert_int_equal(in(2, 1), 1);
    out(2, 1, 0xfe);
    assert_int_equal(in(2, 1), 1);
    out(2, 1, 1);
    assert_int_equal(in(2, 1), 0);
}

static void test_status_is_of_the_last_life_only(void **state)
{
    (void)state;
    out(0, 1, 1);
    assert_true(wait(30 * SECOND));
    reset(30);
    assert_int_equal(in(2, 1), 1);
    reset(30);
    assert_int_equal(in(2, 1), 0);
}

/* Clocks of two cores may differ a little. */
static void test_left_is_never_above_the_limit(void **state)
{
    (void)state;
    reset(WATCHDOG_LIMIT_MAX);
    out(0, 1, 1);
    now -= 5;
    assert_int_equal(in(6, 2), WATCHDOG_LIMIT_MAX);
}

static void test_limit_of_16_bits(void **state)
{
    (void)state;
    reset(0x10005);
    assert_int_equal(in(4, 2), 0xffff);
    reset(0); /* it is not there then */
    out(4, 2, 9);
    assert_int_equal(in(4, 2), 0);
}

static void test_invariant(void **state)
{
    (void)state;
    w->count = 31;
    assert_false(watchdog_ok(w));
    w->count = 0;
    assert_false(watchdog_ok(w));
    reset(30);
    w->expired = true; /* and yet stopped */
    assert_false(watchdog_ok(w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_it_is_off_after_reset, fresh),
        cmocka_unit_test_setup(test_it_expires_when_nobody_kicks, fresh),
        cmocka_unit_test_setup(test_a_kick_gives_it_the_whole_count, fresh),
        cmocka_unit_test_setup(test_starting_it_again_is_no_kick, fresh),
        cmocka_unit_test_setup(test_count_is_kept_within_its_bounds, fresh),
        cmocka_unit_test_setup(test_count_takes_effect_with_the_next_kick, fresh),
        cmocka_unit_test_setup(test_wide_writes_reach_each_register, fresh),
        cmocka_unit_test_setup(test_expired_is_final, fresh),
        cmocka_unit_test_setup(test_status_tells_the_next_life, fresh),
        cmocka_unit_test_setup(test_status_is_of_the_last_life_only, fresh),
        cmocka_unit_test_setup(test_left_is_never_above_the_limit, fresh),
        cmocka_unit_test_setup(test_limit_of_16_bits, fresh),
        cmocka_unit_test_setup(test_invariant, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
