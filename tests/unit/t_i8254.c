/* unit: devices/i8254.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 82C54 and port 61H against the Intel data sheet (231244). Times are clock pulses of the chip
 * since reset; each test runs with a TSC that is a multiple of the chip's clock and with an odd
 * one. The last part compares with a model that moves pulse by pulse as "Mode Definitions" tells
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/i8254.h"
#include "lib/time.h"

#define EPOCH 987654321ull

static uint64_t rates[] = {1193182ull * 1000, 2999999999ull, 1193183ull, 4000000ull};

struct rig {
    struct i8254 p;
    uint64_t hz;
    uint64_t now;
    uint64_t plain; /* reads that i8254_read_plain could answer */
};

/* First moment at which n pulses have passed. */
static uint64_t at(const struct rig *r, uint64_t n)
{
    return EPOCH + (uint64_t)(((uint128_t)n * r->hz + I8254_HZ - 1) / I8254_HZ);
}

static struct rig start(void **state)
{
    struct rig r = {.hz = *(uint64_t *)*state, .now = EPOCH};

    i8254_reset(&r.p, r.hz, r.now);
    assert_true(i8254_ok(&r.p));
    return r;
}

static void go(struct rig *r, uint64_t pulse)
{
    r->now = at(r, pulse);
}

static void out(struct rig *r, uint16_t port, uint8_t value)
{
    i8254_write(&r->p, port, value, r->now);
    assert_true(i8254_ok(&r->p));
}

/* Where the short way answers, it answers the same; every second time it is the one that counts. */
static uint8_t in(struct rig *r, uint16_t port)
{
    struct i8254 brief = r->p;
    int plain = port <= 0x42 ? i8254_read_plain(&brief, port - 0x40u, r->now) : -1;
    uint8_t value = i8254_read(&r->p, port, r->now);

    assert_true(i8254_ok(&r->p) && i8254_ok(&brief));
    if (plain < 0)
        return value;
    assert_int_equal(plain, value);
    r->plain++;
    if (r->plain % 2 == 0)
        r->p = brief;
    return value;
}

static unsigned in2(struct rig *r, uint16_t port)
{
    unsigned low = in(r, port);

    return low | (unsigned)in(r, port) << 8;
}

/* Control word (both bytes) and count. */
static void program(struct rig *r, unsigned channel, unsigned mode, unsigned count)
{
    out(r, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    out(r, (uint16_t)(0x40 + channel), (uint8_t)count);
    out(r, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static void gate2(struct rig *r, bool level)
{
    out(r, 0x61, level);
}

static bool out2(struct rig *r)
{
    bool level = i8254_out(&r->p, 2, r->now);

    assert_int_equal(in(r, 0x61) >> 5 & 1, level);
    return level;
}

static uint8_t status(struct rig *r, unsigned channel)
{
    out(r, 0x43, (uint8_t)(0xe0 | 2u << channel));
    return in(r, (uint16_t)(0x40 + channel));
}

/* OUT2 is `before` until the moment before pulse n, and the opposite from then on. */
static void assert_out2_changes_at(struct rig *r, uint64_t n, bool to)
{
    r->now = at(r, n) - 1;
    assert_int_equal(out2(r), !to);
    go(r, n);
    assert_int_equal(out2(r), to);
}

static uint64_t advance(struct rig *r)
{
    uint64_t edges = i8254_advance(&r->p, r->now);

    assert_true(i8254_ok(&r->p));
    assert_true(i8254_deadline(&r->p) > r->now);
    return edges;
}

static void test_reset_runs_counter_0_as_firmware(void **state)
{
    struct rig r = start(state);

    assert_int_equal(status(&r, 0), 0x80 | 0x30 | 3 << 1);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 65536));
    go(&r, 65535);
    assert_int_equal(advance(&r), 0);
    go(&r, 65536);
    assert_int_equal(advance(&r), 1);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 131072));
    assert_int_equal(in(&r, 0x61) & 0xef, 0x20);
}

/* Counter 1 as firmware leaves it: refresh, mode 2, low byte only, 18. */
static void test_reset_runs_counter_1_for_refresh(void **state)
{
    struct rig r = start(state);

    assert_int_equal(status(&r, 1), 0x80 | 0x10 | 2 << 1);
    for (unsigned n = 0; n < 100; n++) {
        go(&r, n);
        assert_int_equal(in(&r, 0x41), 18 - n % 18);
        assert_int_equal(i8254_out(&r.p, 1, r.now), n % 18 != 17);
    }
}

static void test_reset_leaves_counter_2_without_a_count(void **state)
{
    struct rig r = start(state);

    assert_int_equal(status(&r, 2), 0x80 | 0x40 | 0x30 | 3 << 1);
    gate2(&r, true);
    go(&r, 1000);
    assert_true(out2(&r));
    assert_int_equal(status(&r, 2), 0x80 | 0x40 | 0x30 | 3 << 1);
}

static void test_one_second_has_the_chips_frequency_of_pulses(void **state)
{
    struct rig r = start(state);

    program(&r, 0, 2, 1193);
    r.now = EPOCH + r.hz * 3600;
    assert_int_equal(advance(&r), (3600ull * 1193182 - 1) / 1193);
}

static void test_mode_0_out_rises_n_plus_1_pulses_after_the_write(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    go(&r, 10);
    program(&r, 2, 0, 1000);
    assert_false(out2(&r));
    go(&r, 11);
    assert_int_equal(in2(&r, 0x42), 1000);
    go(&r, 12);
    assert_int_equal(in2(&r, 0x42), 999);
    assert_out2_changes_at(&r, 1011, true);
    assert_int_equal(in2(&r, 0x42), 0);
    go(&r, 1012);
    assert_int_equal(in2(&r, 0x42), 0xffff);
    go(&r, 1011 + 65536 * 3);
    assert_true(out2(&r));
    assert_int_equal(in2(&r, 0x42), 0);
}

static void test_mode_0_gate_suspends_counting(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 0, 100);
    go(&r, 41);
    gate2(&r, false);
    go(&r, 5000);
    assert_int_equal(in2(&r, 0x42), 60);
    assert_false(out2(&r));
    gate2(&r, true);
    assert_out2_changes_at(&r, 5060, true);
    gate2(&r, false);
    assert_true(out2(&r));
}

static void test_mode_0_count_written_with_gate_low_is_loaded(void **state)
{
    struct rig r = start(state);

    program(&r, 2, 0, 100);
    go(&r, 50);
    assert_int_equal(in2(&r, 0x42), 100);
    assert_int_equal(status(&r, 2), 0x30);
    gate2(&r, true);
    assert_out2_changes_at(&r, 150, true);
}

static void test_mode_0_first_byte_stops_second_byte_reloads(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 0, 100);
    go(&r, 200);
    assert_true(out2(&r));
    out(&r, 0x42, 50);
    assert_false(out2(&r));
    go(&r, 400);
    assert_false(out2(&r));
    assert_int_equal(in2(&r, 0x42), 65536 - 99);
    out(&r, 0x42, 0);
    assert_out2_changes_at(&r, 451, true);
}

static void test_mode_0_first_byte_cancels_a_load_not_yet_done(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 0, 100);
    out(&r, 0x42, 50);
    go(&r, 1000);
    assert_false(out2(&r));
    assert_int_equal(status(&r, 2) & 0x40, 0x40);
    out(&r, 0x42, 0);
    assert_out2_changes_at(&r, 1051, true);
}

static void test_mode_1_one_shot_is_retriggerable(void **state)
{
    struct rig r = start(state);

    program(&r, 2, 1, 100);
    go(&r, 50);
    assert_true(out2(&r));
    gate2(&r, true);
    assert_out2_changes_at(&r, 51, false);
    gate2(&r, false); /* the gate's level does not matter */
    assert_out2_changes_at(&r, 151, true);
    gate2(&r, true);
    go(&r, 200);
    assert_false(out2(&r));
    gate2(&r, false);
    gate2(&r, true);
    assert_out2_changes_at(&r, 301, true);
}

static void test_mode_1_new_count_waits_for_a_trigger(void **state)
{
    struct rig r = start(state);

    program(&r, 2, 1, 100);
    assert_int_equal(status(&r, 2) & 0x40, 0x40);
    gate2(&r, true);
    go(&r, 50);
    assert_int_equal(status(&r, 2) & 0x40, 0);
    out(&r, 0x42, 10);
    out(&r, 0x42, 0);
    assert_int_equal(status(&r, 2) & 0x40, 0x40);
    assert_out2_changes_at(&r, 101, true);
    gate2(&r, false);
    gate2(&r, true);
    assert_out2_changes_at(&r, 102, false);
    assert_int_equal(status(&r, 2) & 0x40, 0);
    assert_out2_changes_at(&r, 112, true);
}

static void test_mode_1_without_a_count_ignores_the_trigger(void **state)
{
    struct rig r = start(state);

    out(&r, 0x43, 0xb2);
    gate2(&r, true);
    go(&r, 10);
    assert_true(out2(&r));
}

static void test_mode_2_is_low_for_the_last_pulse(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 3);
    assert_true(out2(&r));
    for (unsigned n = 1; n < 100; n += 3) {
        go(&r, n);
        assert_int_equal(in2(&r, 0x42), 3);
        assert_out2_changes_at(&r, n + 2, false);
        assert_int_equal(in2(&r, 0x42), 1);
        assert_out2_changes_at(&r, n + 3, true);
    }
}

static void test_mode_2_new_count_at_the_end_of_the_period(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 100);
    go(&r, 150);
    out(&r, 0x42, 40);
    go(&r, 160);
    assert_int_equal(status(&r, 2), 0x80 | 0x30 | 4);
    out(&r, 0x42, 0);
    assert_int_equal(status(&r, 2), 0x80 | 0x40 | 0x30 | 4);
    assert_int_equal(in2(&r, 0x42), 41);
    assert_out2_changes_at(&r, 200, false);
    assert_out2_changes_at(&r, 201, true);
    assert_int_equal(status(&r, 2), 0x80 | 0x30 | 4);
    assert_int_equal(in2(&r, 0x42), 40);
    assert_out2_changes_at(&r, 240, false);
    assert_out2_changes_at(&r, 241, true);
}

static void test_mode_2_gate_stops_and_restarts(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 100);
    go(&r, 100);
    assert_false(out2(&r));
    gate2(&r, false);
    assert_true(out2(&r)); /* at once */
    go(&r, 5000);
    assert_int_equal(in2(&r, 0x42), 1);
    gate2(&r, true);
    assert_true(out2(&r));
    go(&r, 5001);
    assert_int_equal(in2(&r, 0x42), 100);
    assert_out2_changes_at(&r, 5100, false);
}

static void test_mode_2_trigger_loads_a_waiting_count(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 1000);
    go(&r, 100);
    out(&r, 0x42, 40);
    out(&r, 0x42, 0);
    gate2(&r, false);
    gate2(&r, true);
    go(&r, 101);
    assert_int_equal(in2(&r, 0x42), 40);
}

static void test_mode_3_even_count(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 3, 4);
    for (unsigned n = 1; n < 100; n += 4) {
        static const uint8_t counts[] = {4, 2, 4, 2};

        for (unsigned i = 0; i < 4; i++) {
            go(&r, n + i);
            assert_int_equal(in2(&r, 0x42), counts[i]);
            assert_int_equal(out2(&r), i < 2);
        }
        assert_out2_changes_at(&r, n + 4, true);
    }
}

static void test_mode_3_odd_count_is_high_one_pulse_longer(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 3, 5);
    for (unsigned n = 1; n < 100; n += 5) {
        static const uint8_t counts[] = {4, 2, 0, 4, 2};

        for (unsigned i = 0; i < 5; i++) {
            go(&r, n + i);
            assert_int_equal(in2(&r, 0x42), counts[i]);
            assert_int_equal(out2(&r), i < 3);
        }
        assert_out2_changes_at(&r, n + 5, true);
    }
}

static void test_mode_3_new_count_at_the_end_of_the_half_cycle(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 3, 100);
    go(&r, 20);
    out(&r, 0x42, 11);
    out(&r, 0x42, 0);
    assert_int_equal(in2(&r, 0x42), 100 - 2 * 19);
    assert_out2_changes_at(&r, 51, false);
    assert_int_equal(in2(&r, 0x42), 10);
    assert_out2_changes_at(&r, 56, true); /* (11 - 1) / 2 low */
    out(&r, 0x42, 20);
    out(&r, 0x42, 0);
    assert_out2_changes_at(&r, 62, false); /* (11 + 1) / 2 high */
    out(&r, 0x42, 8);
    out(&r, 0x42, 0);
    assert_out2_changes_at(&r, 72, true);
    assert_out2_changes_at(&r, 76, false);
}

static void test_mode_3_gate_low_sets_out_high(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 3, 100);
    go(&r, 60);
    assert_false(out2(&r));
    gate2(&r, false);
    assert_true(out2(&r));
    go(&r, 1000);
    assert_true(out2(&r));
    gate2(&r, true);
    assert_out2_changes_at(&r, 1051, false);
}

static void test_mode_4_strobes_low_for_one_pulse(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 4, 50);
    assert_true(out2(&r));
    assert_out2_changes_at(&r, 51, false);
    assert_out2_changes_at(&r, 52, true);
    assert_int_equal(in2(&r, 0x42), 0xffff);
    go(&r, 51 + 65536);
    assert_true(out2(&r));
}

static void test_mode_4_second_byte_retriggers(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 4, 50);
    go(&r, 30);
    out(&r, 0x42, 20);
    go(&r, 40); /* the first byte has no effect on counting */
    assert_int_equal(in2(&r, 0x42), 11);
    out(&r, 0x42, 0);
    assert_out2_changes_at(&r, 61, false);
    assert_out2_changes_at(&r, 62, true);
}

static void test_mode_5_strobes_after_a_trigger(void **state)
{
    struct rig r = start(state);

    program(&r, 2, 5, 50);
    go(&r, 1000);
    assert_true(out2(&r));
    gate2(&r, true);
    go(&r, 1020);
    gate2(&r, false);
    gate2(&r, true); /* retriggered */
    assert_out2_changes_at(&r, 1071, false);
    assert_out2_changes_at(&r, 1072, true);
}

static void test_modes_6_and_7_are_2_and_3(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 6, 10);
    assert_int_equal(status(&r, 2) & 0x0e, 6 << 1); /* exactly as written */
    assert_out2_changes_at(&r, 10, false);
    program(&r, 2, 7, 10);
    assert_out2_changes_at(&r, 16, false);
}

static void test_bcd_counts_four_decades(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    out(&r, 0x43, 0xb1); /* mode 0, BCD */
    out(&r, 0x42, 0x00);
    out(&r, 0x42, 0x10);
    go(&r, 1);
    assert_int_equal(in2(&r, 0x42), 0x1000);
    go(&r, 2);
    assert_int_equal(in2(&r, 0x42), 0x0999);
    assert_out2_changes_at(&r, 1001, true);
    go(&r, 1002);
    assert_int_equal(in2(&r, 0x42), 0x9999);
}

static void test_bcd_count_0_is_10000(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    out(&r, 0x43, 0xb5); /* mode 2, BCD */
    out(&r, 0x42, 0);
    out(&r, 0x42, 0);
    go(&r, 1);
    assert_int_equal(in2(&r, 0x42), 0x0000);
    go(&r, 2);
    assert_int_equal(in2(&r, 0x42), 0x9999);
    assert_out2_changes_at(&r, 10000, false);
    assert_out2_changes_at(&r, 10001, true);
}

/* Left open by the data sheet; here each digit has its value, and all together are modulo 10000. */
static void test_bcd_digits_above_9_count_as_their_value(void **state)
{
    static const unsigned want[][2] = {
        {0x000a, 10   },
        {0x00ff, 165  },
        {0x1a2b, 2031 },
        {0xffff, 6665 },
        {0x9a00, 10000}, /* is 0: the whole range */
    };
    struct rig r = start(state);
    uint64_t base = 0;

    gate2(&r, true);
    for (unsigned i = 0; i < 5; i++) {
        go(&r, base);
        out(&r, 0x43, 0xb1);
        out(&r, 0x42, (uint8_t)want[i][0]);
        out(&r, 0x42, (uint8_t)(want[i][0] >> 8));
        assert_out2_changes_at(&r, base + 1 + want[i][1], true);
        assert_int_equal(in2(&r, 0x42), 0);
        base += 20000;
    }
}

static void test_single_byte_counts(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    out(&r, 0x43, 0x90); /* LSB only, mode 0 */
    out(&r, 0x42, 200);
    go(&r, 11);
    assert_int_equal(in(&r, 0x42), 190);
    assert_int_equal(in(&r, 0x42), 190);
    assert_out2_changes_at(&r, 201, true);
    go(&r, 1000);
    out(&r, 0x43, 0xa0); /* MSB only, mode 0 */
    out(&r, 0x42, 2);
    go(&r, 1002);
    assert_int_equal(in(&r, 0x42), 1);
    assert_out2_changes_at(&r, 1513, true);
}

static void test_latch_holds_until_read(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 1000);
    go(&r, 101);
    out(&r, 0x43, 0x80);
    go(&r, 201);
    out(&r, 0x43, 0x80); /* ignored: not yet read */
    assert_int_equal(in(&r, 0x42), 900 & 0xff);
    go(&r, 301);
    assert_int_equal(in(&r, 0x42), 900 >> 8);
    assert_int_equal(in2(&r, 0x42), 700);
}

/* A latched count of one byte is free again after that byte; the other byte is never shown. */
static void test_latch_of_single_byte_counts(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    for (unsigned high = 0; high < 2; high++) {
        uint64_t base = high * 10000;

        go(&r, base);
        out(&r, 0x43, high ? 0xa4 : 0x94); /* mode 2 */
        out(&r, 0x42, high ? 0x10 : 0xff);
        go(&r, base + 100);
        out(&r, 0x43, 0x80);
        go(&r, base + 200);
        assert_int_equal(in(&r, 0x42), high ? (0x1000 - 99) >> 8 : 0xff - 99);
        go(&r, base + 400);
        assert_int_equal(in(&r, 0x42), high ? (0x1000 - 399) >> 8 : 255 - 399 % 255);
    }
}

/* The latch is a snapshot of both bytes, also of a count of which one byte was read already. */
static void test_latch_between_two_bytes(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 0x4000);
    go(&r, 1);
    assert_int_equal(in(&r, 0x42), 0x00);
    go(&r, 2);
    out(&r, 0x43, 0x80);
    go(&r, 0x1000);
    assert_int_equal(in(&r, 0x42), 0x3f);
    assert_int_equal(in2(&r, 0x42), 0x3001);
}

/* "Reads and writes of the same Counter may be interleaved": each has its own byte order. */
static void test_reads_and_writes_interleave(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 4, 0x3456);
    go(&r, 1);
    assert_int_equal(in(&r, 0x42), 0x56);
    out(&r, 0x42, 0x21);
    assert_int_equal(in(&r, 0x42), 0x34);
    out(&r, 0x42, 0x43);
    go(&r, 2);
    assert_int_equal(in2(&r, 0x42), 0x4321);
}

/* "Read-Back Command": a second status is not latched over one that was not read. */
static void test_status_latch_holds_until_read(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 0, 100);
    out(&r, 0x43, 0xe8);
    go(&r, 200);
    out(&r, 0x43, 0xe8);
    assert_int_equal(in(&r, 0x42), 0x70);
    out(&r, 0x43, 0xe8);
    assert_int_equal(in(&r, 0x42), 0xb0);
    out(&r, 0x43, 0xfe); /* neither count nor status: nothing */
    go(&r, 201);
    assert_int_equal(in2(&r, 0x42), 65536 - 100);
}

/* Each command reaches the counters that it names: the latch by [7:6], read-back by [3:1]. */
static void test_commands_reach_the_counters_they_name(void **state)
{
    for (unsigned named = 0; named < 8; named++) {
        struct rig r = start(state);

        for (unsigned i = 0; i < 3; i++)
            program(&r, i, 4, 0x1000 * (i + 1));
        gate2(&r, true);
        go(&r, 1);
        out(&r, 0x43, (uint8_t)(0xd0 | named << 1));
        go(&r, 0x101);
        for (unsigned i = 0; i < 3; i++) {
            unsigned lag = (named >> i & 1) != 0 ? 0 : 0x100;

            assert_int_equal(in2(&r, (uint16_t)(0x40 + i)), 0x1000 * (i + 1) - lag);
        }
    }
    for (unsigned named = 0; named < 3; named++) {
        struct rig r = start(state);

        for (unsigned i = 0; i < 3; i++)
            program(&r, i, 4, 0x1000 * (i + 1));
        gate2(&r, true);
        go(&r, 1);
        out(&r, 0x43, (uint8_t)(named << 6));
        go(&r, 0x101);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(in2(&r, (uint16_t)(0x40 + i)),
                             0x1000 * (i + 1) - (i == named ? 0 : 0x100));
    }
}

static void test_control_word_releases_the_latch(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 1000);
    go(&r, 101);
    out(&r, 0x43, 0x80);
    program(&r, 2, 2, 500);
    go(&r, 102);
    assert_int_equal(in2(&r, 0x42), 500);
}

static void test_control_word_releases_the_status_latch(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    out(&r, 0x43, 0xe8);
    program(&r, 2, 2, 500);
    go(&r, 1);
    assert_int_equal(in2(&r, 0x42), 500);
}

static void test_read_back_leaves_other_counters_alone(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 1000);
    go(&r, 101);
    out(&r, 0x43, 0xc2);
    go(&r, 201);
    assert_int_equal(in2(&r, 0x42), 800);
}

static void test_read_back_gives_status_then_count(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 0, 1000);
    go(&r, 101);
    out(&r, 0x43, 0xc0 | 8 | 2); /* counters 2 and 0, status and count */
    go(&r, 5000);
    out(&r, 0x43, 0xc0 | 8);
    assert_int_equal(in(&r, 0x42), 0x30);
    assert_int_equal(in2(&r, 0x42), 900);
    assert_int_equal(in(&r, 0x40), 0x80 | 0x36);
    assert_int_equal(in2(&r, 0x40), 65536 - 202);
    assert_int_equal(in2(&r, 0x42), 65536 - 3999);
    out(&r, 0x43, 0xd0 | 8); /* count only */
    go(&r, 5100);
    assert_int_equal(in2(&r, 0x42), 65536 - 3999);
}

static void test_null_count_until_loaded(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    out(&r, 0x43, 0xb0);
    assert_int_equal(status(&r, 2), 0x70);
    go(&r, 10);
    assert_int_equal(status(&r, 2), 0x70);
    out(&r, 0x42, 9);
    out(&r, 0x42, 0);
    assert_int_equal(status(&r, 2), 0x70);
    go(&r, 11);
    assert_int_equal(status(&r, 2), 0x30);
    go(&r, 20);
    assert_int_equal(status(&r, 2), 0xb0);
}

static void test_control_port_and_others_read_ones(void **state)
{
    struct rig r = start(state);

    assert_int_equal(in(&r, 0x43), 0xff);
    assert_int_equal(in(&r, 0x44), 0xff);
    out(&r, 0x44, 0x34);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 65536));
    assert_false(i8254_out(&r.p, 3, r.now));
}

/* ICH9, "NMI_SC": [3:0] are read and written, [7:6] are the NMI sources, here none. */
static void test_port_61_stores_four_bits(void **state)
{
    struct rig r = start(state);

    program(&r, 2, 0, 1000);
    out(&r, 0x61, 0xff);
    assert_int_equal(in(&r, 0x61), 0x0f);
    out(&r, 0x61, 0xfa);
    assert_int_equal(in(&r, 0x61), 0x0a);
    out(&r, 0x61, 0xf4);
    assert_int_equal(in(&r, 0x61), 0x04);
}

static void test_refresh_toggles_every_15_us(void **state)
{
    struct rig r = start(state);

    for (unsigned n = 0; n < 50; n++) {
        go(&r, n * 18);
        assert_int_equal(in(&r, 0x61) >> 4 & 1, n & 1);
        r.now = at(&r, (n + 1) * 18) - 1;
        assert_int_equal(in(&r, 0x61) >> 4 & 1, n & 1);
    }
}

/* Linux quick_pit_calibrate: the high byte steps down by one every 256 pulses. */
static void test_linux_quick_calibration(void **state)
{
    struct rig r = start(state);

    out(&r, 0x61, (in(&r, 0x61) & ~2) | 1);
    out(&r, 0x43, 0xb0);
    out(&r, 0x42, 0xff);
    out(&r, 0x42, 0xff);
    for (unsigned pulse = 1; pulse < 65536; pulse += 7) {
        go(&r, pulse);
        assert_int_equal(in2(&r, 0x42), 0xffff - (pulse - 1));
    }
}

/* Linux pit_calibrate_tsc: 50 ms in mode 0, bit 5 of port 61H. */
static void test_linux_slow_calibration(void **state)
{
    struct rig r = start(state);
    unsigned count = 1193182 / 20;

    out(&r, 0x61, (in(&r, 0x61) & ~2) | 1);
    program(&r, 2, 0, count);
    r.now = at(&r, count + 1) - 1;
    assert_int_equal(in(&r, 0x61) & 0x20, 0);
    go(&r, count + 1);
    assert_int_equal(in(&r, 0x61) & 0x20, 0x20);
}

static void test_deadline_is_the_edge_in_each_mode(void **state)
{
    static const struct {
        unsigned mode, first, period;
    } want[] = {
        {0, 1001, 0   },
        {2, 1001, 1000},
        {3, 1001, 1000},
        {4, 1002, 0   }
    };
    struct rig r = start(state);
    uint64_t base = 0;

    for (unsigned i = 0; i < 4; i++) {
        program(&r, 0, want[i].mode, 1000);
        (void)advance(&r); /* OUT may have risen with the control word */
        assert_int_equal(i8254_deadline(&r.p), at(&r, base + want[i].first));
        r.now = i8254_deadline(&r.p) - 1;
        assert_int_equal(advance(&r), 0);
        r.now++;
        assert_int_equal(advance(&r), 1);
        if (want[i].period == 0)
            assert_true(i8254_deadline(&r.p) == TIME_NEVER);
        else
            assert_int_equal(i8254_deadline(&r.p), at(&r, base + want[i].first + 1000));
        base += 5000;
        go(&r, base);
    }
}

static void test_triggered_modes_never_interrupt_on_counter_0(void **state)
{
    struct rig r = start(state);

    program(&r, 0, 1, 1000);
    assert_true(i8254_deadline(&r.p) == TIME_NEVER);
    program(&r, 0, 5, 1000);
    assert_true(i8254_deadline(&r.p) == TIME_NEVER);
    go(&r, 100000);
    assert_int_equal(advance(&r), 0);
}

static void test_control_word_without_count_stops_interrupts(void **state)
{
    struct rig r = start(state);

    out(&r, 0x43, 0x30);
    assert_true(i8254_deadline(&r.p) == TIME_NEVER);
    out(&r, 0x40, 0);
    assert_true(i8254_deadline(&r.p) == TIME_NEVER);
    out(&r, 0x40, 0);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 65537));
}

static void test_control_word_that_raises_out_is_an_edge(void **state)
{
    struct rig r = start(state);

    out(&r, 0x43, 0x30);
    assert_int_equal(advance(&r), 0);
    out(&r, 0x43, 0x34);
    assert_int_equal(i8254_deadline(&r.p), r.now);
    assert_int_equal(advance(&r), 1);
    out(&r, 0x43, 0x34);
    assert_int_equal(advance(&r), 0);
}

static void test_late_advance_counts_edges_and_keeps_phase(void **state)
{
    struct rig r = start(state);

    program(&r, 0, 2, 1000);
    go(&r, 1 + 7 * 1000 + 999);
    assert_int_equal(advance(&r), 7);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 8001));
    go(&r, 1 + 1000000000ull * 1000);
    assert_int_equal(advance(&r), 1000000000ull - 7);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 1 + 1000000001ull * 1000));
}

static void test_edges_survive_reads_and_reprogramming(void **state)
{
    struct rig r = start(state);

    program(&r, 0, 2, 1000);
    go(&r, 3001);
    (void)in2(&r, 0x40);
    (void)status(&r, 0);
    program(&r, 0, 2, 500);
    assert_true(i8254_deadline(&r.p) <= r.now);
    assert_int_equal(advance(&r), 3);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 3002 + 500));
}

static void test_new_periodic_count_moves_the_edge_after_next(void **state)
{
    struct rig r = start(state);

    program(&r, 0, 2, 1000);
    go(&r, 500);
    out(&r, 0x40, 200);
    out(&r, 0x40, 0);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 1001));
    r.now = i8254_deadline(&r.p);
    assert_int_equal(advance(&r), 1);
    assert_int_equal(i8254_deadline(&r.p), at(&r, 1201));
}

/* Deadlines at least 60 pulses (50 us) apart, though every edge is counted. */
static void test_short_periods_are_reported_together(void **state)
{
    struct rig r = start(state);

    for (unsigned mode = 2; mode <= 3; mode++) {
        for (unsigned count = 2; count <= 61; count++) {
            uint64_t base = r.p.pulse + 1;
            uint64_t edges = 0;

            program(&r, 0, mode, count);
            for (unsigned i = 0; i < 20; i++) {
                uint64_t last = r.p.pulse;

                r.now = i8254_deadline(&r.p);
                edges += advance(&r);
                assert_int_equal(edges, (r.p.pulse - base) / count);
                assert_true(r.p.pulse - last >= 60);
            }
            out(&r, 0x43, 0x34); /* while OUT is high: no edge */
        }
    }
}

static void test_short_periods_wait_no_longer_than_needed(void **state)
{
    static const unsigned want[][2] = {
        {1,  60 },
        {2,  60 },
        {7,  63 },
        {59, 118},
        {60, 60 },
        {61, 61 }
    };
    struct rig r = start(state);

    for (unsigned i = 0; i < 6; i++) {
        uint64_t base = r.p.pulse + 1;

        program(&r, 0, 2, want[i][0]);
        assert_int_equal(i8254_deadline(&r.p), at(&r, base + want[i][1]));
        r.now = i8254_deadline(&r.p);
        assert_int_equal(advance(&r), want[i][1] / (want[i][0] == 1 ? 2 : want[i][0]));
        assert_int_equal(i8254_deadline(&r.p), at(&r, base + 2 * want[i][1]));
    }
}

static void test_count_1_acts_as_2_in_periodic_modes(void **state)
{
    struct rig r = start(state);

    gate2(&r, true);
    program(&r, 2, 2, 1);
    assert_out2_changes_at(&r, 2, false);
    assert_out2_changes_at(&r, 3, true);
    program(&r, 2, 3, 1);
    assert_out2_changes_at(&r, 5, false);
    assert_out2_changes_at(&r, 6, true);
}

static void test_time_does_not_run_backwards(void **state)
{
    struct rig r = start(state);
    unsigned count;

    program(&r, 0, 2, 50000);
    go(&r, 1000);
    count = in2(&r, 0x40);
    go(&r, 900);
    assert_int_equal(in2(&r, 0x40), count);
    r.now = 0;
    assert_int_equal(in2(&r, 0x40), count);
}

/* The data sheet's counter, one clock pulse at a time. */
struct model {
    unsigned mode, ce, cr, modulus;
    bool out, gate, loaded, pending, trigger, done, odd, null;
    unsigned rises;
};

static void model_out(struct model *m, bool level)
{
    m->rises += level && !m->out;
    m->out = level;
}

static void model_load(struct model *m)
{
    unsigned cr = (m->mode == 2 || m->mode == 3) && m->cr == 1 ? 2 : m->cr;

    m->odd = cr & 1;
    m->ce = m->mode == 3 ? cr & ~1u : cr;
    m->null = false;
    m->loaded = true;
}

static void model_count_down(struct model *m)
{
    m->ce = (m->ce == 0 ? m->modulus : m->ce) - 1;
}

static void model_pulse_square(struct model *m)
{
    unsigned last = m->out && m->odd ? 0 : 2;

    if (m->ce % m->modulus != last % m->modulus || (last == 0 && m->ce == m->modulus)) {
        m->ce -= 2;
        return;
    }
    model_load(m);
    m->pending = false;
    model_out(m, !m->out);
}

static void model_pulse_rate(struct model *m)
{
    if (m->ce == 1) {
        model_load(m);
        m->pending = false;
        model_out(m, true);
    } else {
        m->ce--;
        if (m->ce == 1)
            model_out(m, false);
    }
}

/* Modes 0, 1, 4 and 5 while counting. */
static void model_pulse_single(struct model *m)
{
    model_count_down(m);
    if (m->mode >= 4)
        model_out(m, !(m->ce == 0 && !m->done));
    else if (m->ce == 0)
        model_out(m, true);
    m->done = m->done || m->ce == 0;
}

static void model_pulse(struct model *m)
{
    bool triggered = m->mode == 1 || m->mode == 5;
    bool periodic = m->mode == 2 || m->mode == 3;
    bool starts = periodic ? m->trigger || (m->pending && !(m->loaded && m->gate)) : m->pending;

    if (triggered ? m->trigger : starts) {
        model_load(m);
        m->pending = false;
        m->done = false;
        model_out(m, m->mode >= 2);
    } else if (m->loaded && (m->gate || triggered)) {
        if (m->mode == 2)
            model_pulse_rate(m);
        else if (m->mode == 3)
            model_pulse_square(m);
        else
            model_pulse_single(m);
    }
    m->trigger = false;
}

static void model_control(struct model *m, unsigned mode, bool bcd)
{
    m->mode = mode;
    m->modulus = bcd ? 10000 : 65536;
    m->loaded = false;
    m->pending = false;
    m->trigger = false;
    m->cr = 0;
    m->null = true;
    model_out(m, mode != 0);
}

static void model_write(struct model *m, unsigned count)
{
    m->cr = count == 0 ? m->modulus : count;
    m->pending = true;
    m->null = true;
    if (m->mode == 0) {
        m->loaded = false;
        model_out(m, false);
    }
}

static void model_gate(struct model *m, bool level)
{
    if (level && !m->gate)
        m->trigger = m->mode != 0 && m->mode != 4 && m->cr != 0;
    if (!level && m->gate && (m->mode == 2 || m->mode == 3)) {
        m->pending = m->pending && !m->loaded; /* a first count is loaded whatever the gate */
        m->loaded = false;
        model_out(m, true);
    }
    m->gate = level;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static unsigned to_bcd(unsigned n)
{
    return n / 1000 % 10 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10;
}

struct pair {
    struct rig r;
    struct model m;
    unsigned channel;
    bool bcd;
    uint64_t edges;
};

static void pair_control(struct pair *t, unsigned mode, bool bcd)
{
    out(&t->r, 0x43, (uint8_t)(t->channel << 6 | 0x30 | mode << 1 | bcd));
    model_control(&t->m, mode, bcd);
    t->bcd = bcd;
}

static void pair_write(struct pair *t, unsigned count)
{
    unsigned raw = t->bcd ? to_bcd(count) : count;

    out(&t->r, (uint16_t)(0x40 + t->channel), (uint8_t)raw);
    out(&t->r, (uint16_t)(0x40 + t->channel), (uint8_t)(raw >> 8));
    model_write(&t->m, count);
}

static void pair_compare(struct pair *t)
{
    uint8_t s = status(&t->r, t->channel);
    unsigned count = in2(&t->r, (uint16_t)(0x40 + t->channel));

    assert_int_equal(i8254_out(&t->r.p, t->channel, t->r.now), t->m.out);
    assert_int_equal(s >> 7, t->m.out);
    assert_int_equal(s >> 6 & 1, t->m.null);
    if (t->m.loaded)
        assert_int_equal(count, t->bcd ? to_bcd(t->m.ce) : t->m.ce & 0xffff);
}

static void pair_step(struct pair *t, uint32_t *seed, uint64_t *pulse)
{
    uint32_t x = next_random(seed);
    unsigned pulses = (x & 15) < 8 ? x & 3 : x >> 4 & 31;
    unsigned count = (x >> 9 & 3) != 0 ? x >> 11 & 15 : x >> 11 & 8191;

    for (unsigned i = 0; i < pulses; i++)
        model_pulse(&t->m);
    *pulse += pulses;
    go(&t->r, *pulse);
    t->r.now += (at(&t->r, *pulse + 1) - t->r.now) * (x >> 28) / 17;
    switch (x >> 24 & 15) {
    case 0: pair_control(t, (x >> 4) % 6, (x >> 8 & 1) != 0); break;
    case 1:
    case 2: pair_write(t, count); break;
    case 3:
    case 4:
        if (t->channel == 2) {
            gate2(&t->r, (x & 16) != 0);
            model_gate(&t->m, (x & 16) != 0);
        }
        break;
    case 5:
    case 6: t->edges += advance(&t->r); break;
    default: break;
    }
    pair_compare(t);
}

static void run_pair(void **state, unsigned channel, uint32_t seed)
{
    struct pair t = {.r = start(state), .channel = channel};
    uint64_t pulse = 0;

    t.m.out = true;
    t.m.gate = channel != 2;
    pair_control(&t, 3, false);
    for (unsigned i = 0; i < 100000; i++)
        pair_step(&t, &seed, &pulse);
    if (channel != 0)
        return;
    t.r.now = i8254_deadline(&t.r.p) == TIME_NEVER ? t.r.now : i8254_deadline(&t.r.p);
    while (at(&t.r, pulse + 1) <= t.r.now) {
        model_pulse(&t.m);
        pulse++;
    }
    t.edges += advance(&t.r);
    assert_int_equal(t.edges, t.m.rises);
    assert_true(t.edges > 1000);
    assert_true(t.r.plain > 10000);
}

static void test_counter_0_equals_the_pulse_by_pulse_model(void **state)
{
    run_pair(state, 0, 8254);
    run_pair(state, 0, 1981);
}

static void test_counter_2_equals_the_pulse_by_pulse_model(void **state)
{
    run_pair(state, 2, 8254);
    run_pair(state, 2, 1981);
}

static void test_counter_1_equals_the_pulse_by_pulse_model(void **state)
{
    run_pair(state, 1, 8254);
}

/* i8254_ok sees each state that no sequence of calls can reach. */
#define ASSERT_BROKEN(number, change)                                                              \
    do {                                                                                           \
        struct rig r = start(state);                                                               \
        struct i8254_channel *c = &r.p.channel[number];                                            \
                                                                                                   \
        program(&r, 2, 0, 100);                                                                    \
        go(&r, 50);                                                                                \
        (void)status(&r, 0);                                                                       \
        (void)status(&r, 1);                                                                       \
        (void)status(&r, 2); /* loaded, and suspended by its gate */                               \
        (void)c;                                                                                   \
        change;                                                                                    \
        assert_false(i8254_ok(&r.p));                                                              \
    } while (0)

static void test_invariant_sees_broken_counters(void **state)
{
    ASSERT_BROKEN(2, c->count = 0);
    ASSERT_BROKEN(1, c->count = 1); /* in a periodic mode */
    ASSERT_BROKEN(2, c->count = 65537);
    ASSERT_BROKEN(2, c->reload = 0);
    ASSERT_BROKEN(2, c->reload = 65537);
    ASSERT_BROKEN(2, (c->control |= 1, c->reload = 10001));
    ASSERT_BROKEN(2, c->control |= 0x40);
    ASSERT_BROKEN(2, c->control &= 0x0f);
    ASSERT_BROKEN(2, (c->loaded = false, c->counting = true));
    ASSERT_BROKEN(2, c->counting = true); /* with its gate low */
    ASSERT_BROKEN(1, c->counting = false);
    ASSERT_BROKEN(2, (c->loaded = false, c->elapsed = 1));
    ASSERT_BROKEN(2, (c->loaded = false, c->rises = 1));
    ASSERT_BROKEN(2, (c->armed = false, c->null_count = true));
    ASSERT_BROKEN(2, (c->armed = false, c->loaded = false));
    ASSERT_BROKEN(2, (c->armed = false, c->loaded = false, c->null_count = true, c->load_at = 60));
    ASSERT_BROKEN(1, c->write_high = true); /* of a count of one byte */
    ASSERT_BROKEN(1, c->read_at = 8);
    ASSERT_BROKEN(0, c->read_at = 1);
    ASSERT_BROKEN(0, c->mode = 2);
}

static void test_invariant_sees_broken_times(void **state)
{
    ASSERT_BROKEN(1, c->start = 51); /* in the future */
    ASSERT_BROKEN(2, c->elapsed = 1ull << 63);
    ASSERT_BROKEN(1, c->rises = 3);
    ASSERT_BROKEN(2, c->rises = 1);
    ASSERT_BROKEN(0, r.p.deadline++);
    ASSERT_BROKEN(0, c->start--);
    ASSERT_BROKEN(2, c->gate = true); /* port 61H says something else */
    ASSERT_BROKEN(2, r.p.nmi_control = 0x01);
    ASSERT_BROKEN(1, c->gate = false);
    ASSERT_BROKEN(0, r.p.nmi_control = 0x10);
    ASSERT_BROKEN(0, r.p.channel[0].plain = 1);
    ASSERT_BROKEN(0, (c->plain = 32768, c->step = 0));
    ASSERT_BROKEN(0, r.p.pulse = 1);
}

static bool reads_plain(const struct rig *r, unsigned channel)
{
    struct i8254 p = r->p;

    return i8254_read_plain(&p, channel, r->now) >= 0;
}

static void test_a_plain_read_is_of_a_running_binary_counter_only(void **state)
{
    struct rig r = start(state);

    for (uint16_t port = 0x40; port <= 0x42; port++) {
        assert_false(reads_plain(&r, port - 0x40u)); /* nobody looked yet */
        (void)in2(&r, port);
    }
    assert_true(reads_plain(&r, 0));
    assert_false(reads_plain(&r, 1)); /* one byte */
    assert_false(reads_plain(&r, 2)); /* stopped */
    for (unsigned mode = 0; mode <= 7; mode++) {
        if (mode == 1 || mode == 5)
            continue; /* they need a trigger, which counter 0 has not */
        program(&r, 0, mode, 1000);
        assert_false(reads_plain(&r, 0)); /* not loaded yet */
        go(&r, r.p.pulse + 2);
        (void)in2(&r, 0x40);
        assert_true(reads_plain(&r, 0));
        out(&r, 0x43, 0x00);
        assert_false(reads_plain(&r, 0)); /* a count is latched */
        (void)in2(&r, 0x40);
        assert_true(reads_plain(&r, 0));
        out(&r, 0x43, 0xe2);
        assert_false(reads_plain(&r, 0)); /* a status */
        (void)in(&r, 0x40);
        assert_true(reads_plain(&r, 0));
    }
    program(&r, 0, 3, 1001);
    go(&r, r.p.pulse + 2);
    (void)in2(&r, 0x40);
    assert_false(reads_plain(&r, 0)); /* halves of two lengths */
}

/* The counter's time does not go back, whichever way it was looked at. */
static void test_a_plain_read_knows_the_latest_time(void **state)
{
    struct rig r = start(state);
    int high;

    (void)in2(&r, 0x40);
    r.now = at(&r, 1000);
    assert_int_equal(i8254_read_plain(&r.p, 0, r.now), (65536 - 2 * 1000) & 0xff);
    high = i8254_read_plain(&r.p, 0, EPOCH);
    assert_int_equal(high, (65536 - 2 * 1000) >> 8);
    assert_int_equal(i8254_read(&r.p, 0x40, EPOCH), (65536 - 2 * 1000) & 0xff);
    assert_true(i8254_ok(&r.p));
}

/* Random bytes to all ports, at random times: the invariant, and progress at every deadline. */
static void test_any_sequence_keeps_the_invariant(void **state)
{
    static const uint16_t ports[] = {0x40, 0x41, 0x42, 0x43, 0x43, 0x61, 0x40, 0x42};
    struct rig r = start(state);
    uint32_t seed = 61;

    for (unsigned i = 0; i < 200000; i++) {
        uint32_t x = next_random(&seed);
        uint16_t port = ports[x >> 4 & 7];

        r.now += (uint64_t)(x >> 16) >> (x & 15);
        r.now += (x >> 7 & 255) == 0 ? r.hz * 100 : 0;
        if ((x >> 8 & 3) == 0)
            (void)in(&r, port);
        else
            out(&r, port, (uint8_t)(x >> 20));
        if ((x >> 10 & 7) == 0 && i8254_deadline(&r.p) != TIME_NEVER) {
            if (r.now < i8254_deadline(&r.p))
                r.now = i8254_deadline(&r.p);
            assert_true(advance(&r) >= 1);
        }
    }
}

#define ALL_RATES(test)                                                                            \
    cmocka_unit_test_prestate(test, &rates[0]), cmocka_unit_test_prestate(test, &rates[1]),        \
        cmocka_unit_test_prestate(test, &rates[2]), cmocka_unit_test_prestate(test, &rates[3])

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL_RATES(test_reset_runs_counter_0_as_firmware),
        ALL_RATES(test_reset_runs_counter_1_for_refresh),
        ALL_RATES(test_reset_leaves_counter_2_without_a_count),
        ALL_RATES(test_one_second_has_the_chips_frequency_of_pulses),
        ALL_RATES(test_mode_0_out_rises_n_plus_1_pulses_after_the_write),
        ALL_RATES(test_mode_0_gate_suspends_counting),
        ALL_RATES(test_mode_0_count_written_with_gate_low_is_loaded),
        ALL_RATES(test_mode_0_first_byte_stops_second_byte_reloads),
        ALL_RATES(test_mode_0_first_byte_cancels_a_load_not_yet_done),
        ALL_RATES(test_mode_1_one_shot_is_retriggerable),
        ALL_RATES(test_mode_1_new_count_waits_for_a_trigger),
        ALL_RATES(test_mode_1_without_a_count_ignores_the_trigger),
        ALL_RATES(test_mode_2_is_low_for_the_last_pulse),
        ALL_RATES(test_mode_2_new_count_at_the_end_of_the_period),
        ALL_RATES(test_mode_2_gate_stops_and_restarts),
        ALL_RATES(test_mode_2_trigger_loads_a_waiting_count),
        ALL_RATES(test_mode_3_even_count),
        ALL_RATES(test_mode_3_odd_count_is_high_one_pulse_longer),
        ALL_RATES(test_mode_3_new_count_at_the_end_of_the_half_cycle),
        ALL_RATES(test_mode_3_gate_low_sets_out_high),
        ALL_RATES(test_mode_4_strobes_low_for_one_pulse),
        ALL_RATES(test_mode_4_second_byte_retriggers),
        ALL_RATES(test_mode_5_strobes_after_a_trigger),
        ALL_RATES(test_modes_6_and_7_are_2_and_3),
        ALL_RATES(test_bcd_counts_four_decades),
        ALL_RATES(test_bcd_count_0_is_10000),
        ALL_RATES(test_bcd_digits_above_9_count_as_their_value),
        ALL_RATES(test_single_byte_counts),
        ALL_RATES(test_latch_holds_until_read),
        ALL_RATES(test_latch_of_single_byte_counts),
        ALL_RATES(test_latch_between_two_bytes),
        ALL_RATES(test_reads_and_writes_interleave),
        ALL_RATES(test_status_latch_holds_until_read),
        ALL_RATES(test_commands_reach_the_counters_they_name),
        ALL_RATES(test_control_word_releases_the_latch),
        ALL_RATES(test_control_word_releases_the_status_latch),
        ALL_RATES(test_read_back_gives_status_then_count),
        ALL_RATES(test_read_back_leaves_other_counters_alone),
        ALL_RATES(test_null_count_until_loaded),
        ALL_RATES(test_control_port_and_others_read_ones),
        ALL_RATES(test_port_61_stores_four_bits),
        ALL_RATES(test_refresh_toggles_every_15_us),
        ALL_RATES(test_linux_quick_calibration),
        ALL_RATES(test_linux_slow_calibration),
        ALL_RATES(test_deadline_is_the_edge_in_each_mode),
        ALL_RATES(test_triggered_modes_never_interrupt_on_counter_0),
        ALL_RATES(test_control_word_without_count_stops_interrupts),
        ALL_RATES(test_control_word_that_raises_out_is_an_edge),
        ALL_RATES(test_late_advance_counts_edges_and_keeps_phase),
        ALL_RATES(test_edges_survive_reads_and_reprogramming),
        ALL_RATES(test_new_periodic_count_moves_the_edge_after_next),
        ALL_RATES(test_short_periods_are_reported_together),
        ALL_RATES(test_short_periods_wait_no_longer_than_needed),
        ALL_RATES(test_count_1_acts_as_2_in_periodic_modes),
        ALL_RATES(test_time_does_not_run_backwards),
        ALL_RATES(test_counter_0_equals_the_pulse_by_pulse_model),
        ALL_RATES(test_counter_2_equals_the_pulse_by_pulse_model),
        ALL_RATES(test_counter_1_equals_the_pulse_by_pulse_model),
        ALL_RATES(test_invariant_sees_broken_counters),
        ALL_RATES(test_invariant_sees_broken_times),
        ALL_RATES(test_a_plain_read_is_of_a_running_binary_counter_only),
        ALL_RATES(test_a_plain_read_knows_the_latest_time),
        ALL_RATES(test_any_sequence_keeps_the_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
