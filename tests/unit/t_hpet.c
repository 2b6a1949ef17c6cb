/* unit: devices/hpet.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* HPET. Expected values: IA-PC HPET Specification 1.0a, with the section named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/hpet.h"
#include "lib/time.h"

#define TSC_HZ 143181800ull /* ten TSC ticks are one of the counter's */
#define TICK   10ull

#define T0     0x100u
#define T1     0x120u
#define T2     0x140u
#define CMP    8u

static struct hpet chip;
static struct hpet *const h = &chip;
static uint64_t now;

static int fresh(void **state)
{
    (void)state;
    now = 1000000;
    hpet_reset(h, TSC_HZ);
    assert_true(hpet_ok(h));
    return 0;
}

static uint64_t in(unsigned offset, unsigned size)
{
    uint64_t value = hpet_read(h, offset, size, now);

    assert_true(hpet_ok(h));
    return value;
}

static void out(unsigned offset, unsigned size, uint64_t value)
{
    hpet_write(h, offset, size, value, now);
    assert_true(hpet_ok(h));
}

/* Let the counter's ticks pass; the timers that interrupted in edge mode. */
static uint32_t wait(uint64_t ticks)
{
    now += ticks * TICK;
    hpet_advance(h, now);
    assert_true(hpet_ok(h));
    assert_true(hpet_deadline(h) > now);
    return hpet_take_edges(h);
}

static void start(void)
{
    out(0x010, 8, 1);
}

/* 2.3.4 "General Capabilities and ID Register" */
static void test_capabilities(void **state)
{
    uint64_t id = in(0x000, 8);

    (void)state;
    assert_int_equal(id & 0xff, 0x01);   /* REV_ID is not 0 */
    assert_int_equal(id >> 8 & 0x1f, 2); /* number of the last timer */
    assert_int_equal(id >> 13 & 1, 1);   /* 64 bits */
    assert_int_equal(id >> 15 & 1, 1);   /* legacy replacement */
    assert_int_equal(id >> 16 & 0xffff, 0x8086);
    assert_in_range(id >> 32, 1, 0x05f5e100); /* at most 100 ns */
    assert_int_equal(in(0x004, 4), 69841279); /* 14.31818 MHz */
    out(0x000, 8, 0);
    assert_true(in(0x000, 8) == id);
}

static void test_after_reset(void **state)
{
    (void)state;
    assert_int_equal(in(0x010, 8), 0);
    assert_int_equal(in(0x020, 8), 0);
    assert_int_equal(in(0x0f0, 8), 0);
    assert_int_equal(wait(1000), 0);
    assert_int_equal(in(0x0f0, 8), 0); /* halted */
    for (unsigned n = 0; n < 3; n++) {
        uint64_t config = in(T0 + 0x20 * n, 8);

        assert_int_equal(config >> 32, 0x00f00000); /* INT_ROUTE_CAP */
        assert_int_equal(config & 0x1ff, 0x30);     /* SIZE_CAP, PER_INT_CAP */
        assert_true(in(T0 + 0x20 * n + CMP, 8) == UINT64_MAX);
        assert_int_equal(in(T0 + 0x20 * n + 0x10, 8), 0); /* no FSB route */
    }
    assert_int_equal(in(0x160, 8), 0); /* no fourth timer */
    assert_int_equal(in(0x0f8, 8), 0);
}

/* 2.3.7 "Main Counter Register" */
static void test_counter(void **state)
{
    (void)state;
    out(0x0f0, 8, 0x123456789aull);
    start();
    assert_int_equal(wait(100), 0);
    assert_true(in(0x0f0, 8) == 0x123456789aull + 100);
    assert_int_equal(in(0x0f4, 4), 0x12);
    out(0x0f0, 8, 0); /* ignored while it runs */
    assert_true(in(0x0f0, 8) == 0x123456789aull + 100);
    out(0x010, 4, 0);
    wait(50);
    assert_true(in(0x0f0, 8) == 0x123456789aull + 100);
    out(0x0f4, 4, 0x99);
    assert_true(in(0x0f0, 8) == 0x99345678feull);
    out(0x0f0, 4, 0xffffffff);
    start();
    wait(1);
    assert_true(in(0x0f0, 8) == 0x9a00000000ull);
    now -= 100 * TICK; /* another core's clock may be a little behind the start */
    assert_true(in(0x0f0, 8) == 0x99ffffffffull);
}

static void test_small_accesses(void **state)
{
    (void)state;
    out(0x010, 1, 1);
    out(0x012, 4, 1);
    out(0x010, 2, 1);
    assert_int_equal(in(0x010, 4), 0);
    out(0x014, 4, 1); /* the upper half is reserved */
    assert_int_equal(in(0x010, 4), 0);
    assert_int_equal(in(0x002, 2), 0x8086);
    assert_int_equal(in(0x001, 1), 0xa2);
    assert_int_equal(in(0x004, 8), 69841279);
}

/* 2.3.9.2.1 "Non-Periodic Mode", edge */
static void test_one_shot(void **state)
{
    (void)state;
    out(T1, 4, 0x4);
    out(T1 + CMP, 8, 1000);
    assert_true(hpet_deadline(h) == TIME_NEVER);
    start();
    assert_true(hpet_deadline(h) == now + 1000 * TICK);
    assert_int_equal(wait(999), 0);
    assert_int_equal(wait(1), 2);
    assert_int_equal(in(0x020, 8), 0); /* edge mode: no status */
    assert_true(hpet_deadline(h) == TIME_NEVER);
    assert_int_equal(wait(100000), 0);
    out(T1 + CMP, 8, 100); /* behind the counter: not before it wraps */
    assert_int_equal(wait(100000), 0);
    out(T1 + CMP, 8, in(0x0f0, 8) + 5);
    assert_int_equal(wait(5), 2);
}

static void test_disabled_timer_does_not_interrupt(void **state)
{
    (void)state;
    out(T0 + CMP, 8, 10);
    start();
    assert_true(hpet_deadline(h) == TIME_NEVER);
    assert_int_equal(wait(20), 0);
    out(T2, 4, 0x2); /* level: the status bit is set all the same */
    out(T2 + CMP, 8, 30);
    wait(20);
    assert_int_equal(in(0x020, 4), 4);
    assert_false(hpet_line(h, 2));
    out(T2, 4, 0x6);
    assert_true(hpet_line(h, 2));
}

/* 2.3.6 "General Interrupt Status Register" */
static void test_level(void **state)
{
    (void)state;
    out(T0, 4, 0x6);
    out(T0 + CMP, 8, 10);
    start();
    assert_false(hpet_line(h, 0));
    assert_int_equal(wait(10), 0);
    assert_true(hpet_line(h, 0));
    assert_int_equal(in(0x020, 4), 1);
    out(0x020, 4, 0);
    assert_true(hpet_line(h, 0));
    out(0x020, 4, 6);
    assert_true(hpet_line(h, 0));
    out(0x020, 4, 1);
    assert_false(hpet_line(h, 0));
    out(T0 + CMP, 8, 40);
    wait(40);
    assert_true(hpet_line(h, 0));
    out(T0, 4, 0x4); /* edge now */
    assert_false(hpet_line(h, 0));
    assert_int_equal(in(0x020, 4), 0);
}

/* 2.3.9.2.2 "Periodic Mode" */
static void test_periodic(void **state)
{
    (void)state;
    out(T0, 4, 0x4c); /* enable, periodic, set */
    assert_int_equal(in(T0, 4) & 0x40, 0x40);
    out(T0 + CMP, 8, 1000);
    assert_int_equal(in(T0, 4) & 0x40, 0);
    start();
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(in(T0 + CMP, 8), i * 1000); /* it is advanced at each match */
        assert_int_equal(wait(999), 0);
        assert_int_equal(wait(1), 1);
    }
    assert_int_equal(wait(5500), 1); /* late: once for all */
    assert_int_equal(in(T0 + CMP, 8), 9000);
    assert_true(hpet_deadline(h) == now + 500 * TICK);
}

/* What Linux does: first match set with TN_SET, then the period. */
static void test_periodic_with_another_first_period(void **state)
{
    (void)state;
    start();
    wait(77);
    out(T0, 4, 0x14c); /* 32 bits */
    out(T0 + CMP, 4, 177);
    out(T0 + CMP, 4, 500);
    assert_int_equal(in(T0 + CMP, 8), 177);
    assert_int_equal(wait(100), 1);
    assert_int_equal(in(T0 + CMP, 8), 677);
    assert_int_equal(wait(500), 1);
}

static void test_period_of_nothing(void **state)
{
    (void)state;
    start();
    out(T0, 4, 0x4c);
    out(T0 + CMP, 8, 0); /* the counter's value: matches now, and never again */
    assert_int_equal(wait(1), 1);
    assert_int_equal(wait(100000), 0);
    out(T0, 4, 0x4c);
    out(T0 + CMP, 8, in(0x0f0, 8) + 3);
    out(T0 + CMP, 8, 0);
    assert_int_equal(wait(3), 1);
    assert_int_equal(wait(100000), 0);
}

/* Interrupts in a second whose deadlines are all met. */
static unsigned interrupts_in_a_second(void)
{
    uint64_t end = now + TSC_HZ;
    unsigned interrupts = 0;

    while (hpet_deadline(h) < end && interrupts < 1000000) {
        assert_true(hpet_deadline(h) > now);
        now = hpet_deadline(h);
        hpet_advance(h, now);
        interrupts += hpet_take_edges(h);
    }
    return interrupts;
}

static void test_fast_periods_are_reported_together(void **state)
{
    (void)state;
    out(T0, 4, 0x4c);
    out(T0 + CMP, 8, 1);
    start();
    assert_in_range(interrupts_in_a_second(), 49000, 51000);
}

/* The high half of the period does not count in 32-bit mode, nor does it make the rest slow. */
static void test_fast_periods_of_32_bits_are_reported_together(void **state)
{
    (void)state;
    out(T0, 4, 0x4c);
    out(T0 + CMP, 8, 0x100000001ull);
    out(T0, 4, 0x10c);
    start();
    assert_in_range(interrupts_in_a_second(), 0, 51000);
}

/* 2.3.8 "32MODE_CNF": the comparator's low half is compared with the counter's. */
static void test_32_bit_mode_wraps(void **state)
{
    (void)state;
    out(0x0f0, 8, 0xfffffff0ull);
    out(T2, 4, 0x104);
    out(T2 + CMP, 8, 0x0000000500000010ull);
    assert_int_equal(in(T2 + CMP, 8), 0x10);
    start();
    assert_int_equal(wait(0x1f), 0);
    assert_int_equal(wait(1), 4);
    assert_int_equal(wait(0xffffffff), 0); /* and once in each round */
    assert_int_equal(wait(1), 4);
    assert_int_equal(wait(0x2ffffffffull), 4);
    assert_int_equal(wait(1), 4);
}

static void test_far_deadlines(void **state)
{
    (void)state;
    out(0x0f0, 8, 100);
    out(T0, 4, 0x4);
    out(T0 + CMP, 8, 98); /* 2^64 - 2 ticks away */
    start();
    assert_true(hpet_deadline(h) != TIME_NEVER);
    assert_true(hpet_deadline(h) > now + (1ull << 40));
    assert_int_equal(wait(1ull << 41), 0);
    out(T0, 4, 0x4c);
    out(T0 + CMP, 8, UINT64_MAX);
    assert_int_equal(wait(1), 0);
}

static void test_halting_keeps_the_rest(void **state)
{
    (void)state;
    out(T0, 4, 0x4);
    out(T0 + CMP, 8, 100);
    start();
    wait(60);
    out(0x010, 4, 0);
    assert_int_equal(wait(1000), 0);
    assert_true(hpet_deadline(h) == TIME_NEVER);
    start();
    assert_int_equal(wait(39), 0);
    assert_int_equal(wait(1), 1);
}

/* 2.3.8 "INT_ROUTE_CNF", 2.3.5 "LEG_RT_CNF" */
static void test_routes(void **state)
{
    (void)state;
    assert_int_equal(hpet_irq(h, 0), 20);
    out(T0, 4, 22u << 9);
    assert_int_equal(hpet_irq(h, 0), 22);
    assert_int_equal(in(T0, 4) >> 9 & 0x1f, 22);
    out(T0, 4, 2u << 9); /* not offered: the field does not take it */
    assert_int_equal(hpet_irq(h, 0), 22);
    assert_false(hpet_legacy(h));
    out(0x010, 4, 0xfffffffeu);
    assert_true(hpet_legacy(h));
    assert_int_equal(in(0x010, 8), 2);
    assert_int_equal(hpet_irq(h, 0), 0); /* 2.3.5, table 3: timer 0 for IRQ 0, timer 1 for IRQ 8 */
    assert_int_equal(hpet_irq(h, 1), 8);
    assert_int_equal(hpet_irq(h, 2), 20);
    assert_false(hpet_is_level(h, 0));
    out(T0, 4, 2);
    assert_true(hpet_is_level(h, 0));
}

static void test_config_bits(void **state)
{
    (void)state;
    out(T1, 8, UINT64_MAX);
    assert_int_equal(in(T1, 4), 0x17e | 20u << 9); /* route 31 is not offered; no FSB */
    out(T1 + 4, 4, 0);
    assert_int_equal(in(T1 + 4, 4), 0x00f00000);
    out(T1 + 0x10, 8, UINT64_MAX);
    assert_int_equal(in(T1 + 0x10, 8), 0);
}

static void test_invariant(void **state)
{
    (void)state;
    h->timers[0].config |= 1;
    assert_false(hpet_ok(h));
    fresh(state);
    h->timers[0].config = 0;
    assert_false(hpet_ok(h));
    fresh(state);
    h->status = 1;
    assert_false(hpet_ok(h));
    fresh(state);
    h->config = 4;
    assert_false(hpet_ok(h));
    fresh(state);
    h->edges = 8;
    assert_false(hpet_ok(h));
    fresh(state);
    h->deadline = 5;
    assert_false(hpet_ok(h));
    h->timers[0].config |= 4;
    h->timers[0].due = 5;
    assert_false(hpet_ok(h)); /* halted */
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    static const unsigned sizes[4] = {1, 2, 4, 8};
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t value;
        unsigned offset;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        value = seed >> 24;
        offset = (unsigned)(seed >> 50) % 0x168 & ~3u;
        if ((seed >> 33 & 3) != 0)
            value &= 0x1fff;
        if ((seed >> 35 & 1) != 0)
            out(offset, sizes[seed >> 36 & 3], value);
        else
            (void)in(offset, sizes[seed >> 36 & 3]);
        now += (seed >> 40 & 0xff) * ((seed >> 48 & 7) == 0 ? 100000000 : 3);
        hpet_advance(h, now);
        assert_true(hpet_ok(h));
        assert_true(hpet_deadline(h) > now);
        assert_int_equal(hpet_take_edges(h) & ~7u, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_capabilities, fresh),
        cmocka_unit_test_setup(test_after_reset, fresh),
        cmocka_unit_test_setup(test_counter, fresh),
        cmocka_unit_test_setup(test_small_accesses, fresh),
        cmocka_unit_test_setup(test_one_shot, fresh),
        cmocka_unit_test_setup(test_disabled_timer_does_not_interrupt, fresh),
        cmocka_unit_test_setup(test_level, fresh),
        cmocka_unit_test_setup(test_periodic, fresh),
        cmocka_unit_test_setup(test_periodic_with_another_first_period, fresh),
        cmocka_unit_test_setup(test_period_of_nothing, fresh),
        cmocka_unit_test_setup(test_fast_periods_are_reported_together, fresh),
        cmocka_unit_test_setup(test_fast_periods_of_32_bits_are_reported_together, fresh),
        cmocka_unit_test_setup(test_32_bit_mode_wraps, fresh),
        cmocka_unit_test_setup(test_far_deadlines, fresh),
        cmocka_unit_test_setup(test_halting_keeps_the_rest, fresh),
        cmocka_unit_test_setup(test_routes, fresh),
        cmocka_unit_test_setup(test_config_bits, fresh),
        cmocka_unit_test_setup(test_invariant, fresh),
        cmocka_unit_test_setup(test_any_sequence_keeps_the_invariant, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
