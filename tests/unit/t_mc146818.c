/* unit: devices/mc146818.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* MC146818A. Expected values: MC146818A data sheet; the C library's calendar; Linux 6.1 rtc code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "devices/mc146818.h"
#include "lib/time.h"

#define HZ       1000000000ull
#define US       1000ull
#define CENTURY  0x32
#define T0       1700000000u /* 2023-11-14 22:13:20, a Tuesday */
#define MIDNIGHT 1700006400u /* 2023-11-15 00:00:00 */
#define NEW_YEAR 1703980800u /* 2023-12-31 00:00:00 */

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, MDAY, MON, YEAR, A, B, C, D };

static uint8_t in(struct mc146818 *rtc, uint8_t reg, uint64_t now)
{
    uint8_t value;

    mc146818_write(rtc, 0x70, reg, now);
    value = mc146818_read(rtc, 0x71, now);
    assert_true(mc146818_ok(rtc));
    return value;
}

static void out(struct mc146818 *rtc, uint8_t reg, uint8_t value, uint64_t now)
{
    mc146818_write(rtc, 0x70, reg, now);
    mc146818_write(rtc, 0x71, value, now);
    assert_true(mc146818_ok(rtc));
}

static struct mc146818 fresh(uint64_t unix_seconds)
{
    struct mc146818 rtc;

    mc146818_reset(&rtc, HZ, 0, unix_seconds);
    assert_true(mc146818_ok(&rtc));
    return rtc;
}

static void advance(struct mc146818 *rtc, uint64_t now)
{
    mc146818_advance(rtc, now);
    assert_true(mc146818_ok(rtc));
}

static unsigned bcd(uint8_t byte)
{
    return (byte >> 4) * 10u + (byte & 15u);
}

/* The clock in BCD and 24-hour mode against the C library. */
static void assert_shows(struct mc146818 *rtc, uint64_t now, time_t want)
{
    struct tm tm;

    assert_non_null(gmtime_r(&want, &tm));
    assert_int_equal(bcd(in(rtc, SEC, now)), tm.tm_sec);
    assert_int_equal(bcd(in(rtc, MIN, now)), tm.tm_min);
    assert_int_equal(bcd(in(rtc, HOUR, now)), tm.tm_hour);
    assert_int_equal(bcd(in(rtc, WDAY, now)), tm.tm_wday + 1);
    assert_int_equal(bcd(in(rtc, MDAY, now)), tm.tm_mday);
    assert_int_equal(bcd(in(rtc, MON, now)), tm.tm_mon + 1);
    assert_int_equal(bcd(in(rtc, YEAR, now)), (tm.tm_year + 1900) % 100);
    assert_int_equal(bcd(in(rtc, CENTURY, now)), (tm.tm_year + 1900) / 100);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

static void test_power_on_registers(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    assert_int_equal(in(&rtc, A, 0), 0x26);
    assert_int_equal(in(&rtc, B, 0), 0x02);
    assert_int_equal(in(&rtc, C, 0), 0x00);
    assert_int_equal(in(&rtc, D, 0), 0x80);
    assert_int_equal(mc146818_read(&rtc, 0x70, 0), 0xff);
    assert_false(mc146818_irq(&rtc));
    assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
    assert_shows(&rtc, 0, T0);
}

static void test_calendar_agrees_with_the_c_library(void **state)
{
    uint64_t seed = 5;

    (void)state;
    assert_int_equal(sizeof(time_t), 8);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t start = next_random(&seed) * 40 % 250000000000ull; /* to the year 9892 */
        uint64_t later = next_random(&seed) % (10ull << (next_random(&seed) % 28));
        struct mc146818 rtc = fresh(start);

        assert_shows(&rtc, 0, (time_t)start);
        assert_shows(&rtc, later * HZ + 1, (time_t)(start + later));
    }
}

static void test_calendar_across_leap_days_and_centuries(void **state)
{
    static const time_t ends[] = {
        951782399,   /* 2000-02-28 23:59:59 */
        951868799,   /* 2000-02-29 23:59:59 */
        946684799,   /* 1999-12-31 23:59:59 */
        4107542399,  /* 2100-02-28 23:59:59, no leap year */
        1709164799,  /* 2024-02-28 23:59:59 */
        13574563199, /* 2400-02-28 23:59:59 */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct mc146818 rtc = fresh((uint64_t)ends[i]);

        assert_shows(&rtc, HZ - 1, ends[i]);
        assert_shows(&rtc, HZ, ends[i] + 1);
        assert_shows(&rtc, HZ + 86400 * HZ, ends[i] + 86401);
    }
}

/* Every day of a whole cycle of the calendar. */
static void test_every_day_of_400_years(void **state)
{
    (void)state;
    for (time_t day = 0; day < 146097; day++) {
        struct mc146818 rtc;
        time_t now = day * 86400;
        struct tm tm;

        mc146818_reset(&rtc, HZ, 0, (uint64_t)now);
        assert_non_null(gmtime_r(&now, &tm));
        assert_int_equal(bcd(rtc.cmos[MDAY]), tm.tm_mday);
        assert_int_equal(bcd(rtc.cmos[MON]), tm.tm_mon + 1);
        assert_int_equal(bcd(rtc.cmos[YEAR]), tm.tm_year % 100);
    }
}

/* The midnight after a date that the guest wrote, in BCD. */
static void assert_next_day(const uint8_t before[4], const uint8_t after[4])
{
    static const uint8_t regs[4] = {CENTURY, YEAR, MON, MDAY};
    struct mc146818 rtc = fresh(MIDNIGHT + 86399);

    for (unsigned i = 0; i < 4; i++)
        out(&rtc, regs[i], before[i], 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(in(&rtc, regs[i], HZ), after[i]);
}

/* Years have four digits; months that do not exist count as January or December. */
static void test_dates_at_the_ends(void **state)
{
    static const uint8_t cases[][2][4] = {
        {{0x99, 0x99, 0x12, 0x31}, {0x00, 0x00, 0x01, 0x01}},
        {{0x98, 0x99, 0x12, 0x31}, {0x99, 0x00, 0x01, 0x01}},
        {{0x00, 0x00, 0x02, 0x28}, {0x00, 0x00, 0x02, 0x29}},
        {{0x01, 0x00, 0x02, 0x28}, {0x01, 0x00, 0x03, 0x01}},
        {{0x20, 0x23, 0x00, 0x31}, {0x20, 0x23, 0x02, 0x01}},
        {{0x20, 0x23, 0x01, 0x31}, {0x20, 0x23, 0x02, 0x01}},
        {{0x20, 0x23, 0x12, 0x30}, {0x20, 0x23, 0x12, 0x31}},
        {{0x20, 0x23, 0x13, 0x31}, {0x20, 0x24, 0x01, 0x01}},
        {{0x20, 0x23, 0x99, 0x31}, {0x20, 0x24, 0x01, 0x01}},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_next_day(cases[i][0], cases[i][1]);
}

static void test_clock_keeps_time_over_years_unread_or_read(void **state)
{
    struct mc146818 unread = fresh(T0);
    struct mc146818 read = fresh(T0);
    uint64_t three_years = 3 * 365 * 86400ull;

    (void)state;
    for (uint64_t t = 0; t < three_years; t += 3599) { /* renumbers the divider many times */
        advance(&read, t * HZ + HZ / 2);
        advance(&read, t * HZ + HZ / 2 - 300); /* another core's clock */
    }
    assert_shows(&unread, three_years * HZ + HZ / 2, (time_t)(T0 + three_years));
    assert_shows(&read, three_years * HZ + HZ / 2, (time_t)(T0 + three_years));
}

static void test_clock_of_another_core_behind_changes_nothing(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    assert_shows(&rtc, 5 * HZ, T0 + 5);
    assert_int_equal(in(&rtc, C, 5 * HZ), 0x50);
    assert_shows(&rtc, 5 * HZ - 100, T0 + 5);
    assert_int_equal(in(&rtc, C, 5 * HZ - 100), 0x00);
    assert_shows(&rtc, 6 * HZ, T0 + 6);
}

static void test_uip_rises_2228_us_before_the_second_changes(void **state)
{
    struct mc146818 rtc = fresh(T0);
    uint64_t up = HZ - 2228 * US;

    (void)state;
    assert_int_equal(in(&rtc, A, 0), 0x26);
    assert_int_equal(in(&rtc, A, up - 31 * US), 0x26); /* one crystal tick either way */
    assert_int_equal(in(&rtc, A, 997772216), 0x26);    /* 73 of its ticks: 244 and 1984 us */
    assert_int_equal(in(&rtc, A, 997772217), 0xa6);
    assert_int_equal(in(&rtc, A, up + 31 * US), 0xa6);
    assert_int_equal(in(&rtc, A, HZ - 1), 0xa6);
    assert_int_equal(in(&rtc, SEC, HZ - 1), 0x20);
    assert_int_equal(in(&rtc, SEC, HZ), 0x21);
    assert_int_equal(in(&rtc, A, HZ), 0x26);
}

static void test_set_stops_updates_and_hides_uip(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, B, 0x82, HZ / 2);
    assert_int_equal(in(&rtc, A, HZ - 1), 0x26);
    assert_shows(&rtc, 100 * HZ, T0);
    assert_int_equal(in(&rtc, C, 100 * HZ) & 0x30, 0);
    out(&rtc, B, 0x02, 100 * HZ + HZ / 2);
    assert_shows(&rtc, 101 * HZ - 1, T0);
    assert_shows(&rtc, 101 * HZ, T0 + 1); /* the divider chain kept its phase */
}

static void test_set_clears_uie(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, B, 0x72, 0);
    assert_int_equal(in(&rtc, B, 0), 0x72);
    out(&rtc, B, 0xf2, 0);
    assert_int_equal(in(&rtc, B, 0), 0xe2);
    out(&rtc, B, 0xff, 0);
    assert_int_equal(in(&rtc, B, 0), 0xef);
}

/* "Register A": all but UIP is read and written. */
static void test_register_a_keeps_seven_bits(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        out(&rtc, A, (uint8_t)value, 0);
        assert_int_equal(in(&rtc, A, 0), value & 0x7f);
    }
}

static void test_binary_and_12_hour_formats(void **state)
{
    static const uint8_t bcd12[24] = {0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                      0x08, 0x09, 0x10, 0x11, 0x92, 0x81, 0x82, 0x83,
                                      0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91};
    struct mc146818 rtc = fresh(MIDNIGHT);

    (void)state;
    out(&rtc, B, 0x80, 0);
    out(&rtc, HOUR, 0x12, 0);
    out(&rtc, B, 0x00, 0);
    for (unsigned h = 0; h < 24; h++)
        assert_int_equal(in(&rtc, HOUR, h * 3600 * HZ), bcd12[h]);
    assert_int_equal(in(&rtc, MDAY, 86399 * HZ), 0x15);
    assert_int_equal(in(&rtc, MDAY, 86400 * HZ), 0x16);
    assert_int_equal(in(&rtc, HOUR, 86400 * HZ), 0x12);
    rtc = fresh(MIDNIGHT);
    out(&rtc, B, 0x84, 0); /* binary, 12 hours: 11:59:59 PM on the 31st of December 1999 */
    out(&rtc, SEC, 59, 0);
    out(&rtc, MIN, 59, 0);
    out(&rtc, HOUR, 0x8b, 0);
    out(&rtc, WDAY, 6, 0);
    out(&rtc, MDAY, 31, 0);
    out(&rtc, MON, 12, 0);
    out(&rtc, YEAR, 99, 0);
    out(&rtc, CENTURY, 19, 0);
    out(&rtc, B, 0x04, 0);
    assert_int_equal(in(&rtc, HOUR, HZ), 12);
    assert_int_equal(in(&rtc, WDAY, HZ), 7);
    assert_int_equal(in(&rtc, MDAY, HZ), 1);
    assert_int_equal(in(&rtc, MON, HZ), 1);
    assert_int_equal(in(&rtc, YEAR, HZ), 0);
    assert_int_equal(in(&rtc, CENTURY, HZ), 20);
}

/* DM and 24/12 say how bytes are read; they do not convert what is there: "Time ... Locations". */
static void test_a_change_of_format_converts_nothing(void **state)
{
    struct mc146818 rtc = fresh(T0); /* 22:13:20, BCD */

    (void)state;
    out(&rtc, B, 0x86, 0);
    assert_int_equal(in(&rtc, HOUR, 0), 0x22);
    assert_int_equal(in(&rtc, SEC, 0), 0x20);
    out(&rtc, B, 0x06, 0); /* the same bytes are 34:19:32 now; the clock makes a time of it */
    assert_int_equal(in(&rtc, SEC, HZ), 33);
    assert_int_equal(in(&rtc, MIN, HZ), 19);
    assert_int_equal(in(&rtc, HOUR, HZ), 10);
}

/* ICH9, "Register B", DSLSWS: kept for software, "has no associated functionality". */
static void test_daylight_savings_bit_does_nothing(void **state)
{
    static const time_t sundays[] = {
        1714269599, /* 2024-04-28 01:59:59 */
        1729994399, /* 2024-10-27 01:59:59 */
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct mc146818 rtc = fresh((uint64_t)sundays[i]);

        assert_int_equal(in(&rtc, WDAY, 0), 1);
        out(&rtc, B, 0x03, 0);
        assert_shows(&rtc, HZ, sundays[i] + 1);
        assert_int_equal(in(&rtc, B, HZ), 0x03);
    }
}

/* Bit 7 of port 70H is the NMI mask and not part of the index. */
static void test_nmi_mask_is_not_part_of_the_index(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    assert_int_equal(in(&rtc, 0x80 | SEC, 0), 0x20);
    assert_int_equal(in(&rtc, 0x80 | A, 0), 0x26);
    out(&rtc, 0xff, 0x77, 0);
    assert_int_equal(in(&rtc, 0x7f, 0), 0x77);
    mc146818_write(&rtc, 0x72, 0x00, 0); /* no other port */
    assert_int_equal(mc146818_read(&rtc, 0x72, 0), 0xff);
    assert_int_equal(mc146818_read(&rtc, 0x71, 0), 0x77);
}

static void test_direct_writes_of_the_date_stay_until_midnight(void **state)
{
    struct mc146818 rtc = fresh(T0); /* November */

    (void)state;
    out(&rtc, MDAY, 0x31, 0);
    assert_int_equal(in(&rtc, MDAY, 5 * HZ), 0x31);
    out(&rtc, MON, 0x12, 5 * HZ);
    assert_int_equal(in(&rtc, MDAY, 6 * HZ), 0x31);
    assert_int_equal(in(&rtc, MON, 6 * HZ), 0x12);
}

/* mc146818_get_time() of Linux 6.1 drivers/rtc/rtc-mc146818-lib.c: it waits UIP out. */
static uint64_t linux_get_time(struct mc146818 *rtc, uint64_t now, struct tm *tm)
{
    for (unsigned i = 0; i < 100; i++) {
        uint8_t seconds = in(rtc, SEC, now);

        if ((in(rtc, A, now += US) & 0x80) != 0) {
            now += 100 * US;
            continue;
        }
        if (seconds != in(rtc, SEC, now += US))
            continue;
        tm->tm_sec = (int)bcd(seconds);
        tm->tm_min = (int)bcd(in(rtc, MIN, now += US));
        tm->tm_hour = (int)bcd(in(rtc, HOUR, now += US));
        tm->tm_mday = (int)bcd(in(rtc, MDAY, now += US));
        tm->tm_mon = (int)bcd(in(rtc, MON, now += US)) - 1;
        tm->tm_year = (int)bcd(in(rtc, YEAR, now += US));
        tm->tm_year += ((int)bcd(in(rtc, CENTURY, now += US)) - 19) * 100;
        if ((in(rtc, A, now += US) & 0x80) == 0 && seconds == in(rtc, SEC, now += US))
            return now;
    }
    fail_msg("the clock cannot be read");
    return now;
}

static void test_linux_reads_a_consistent_time_at_any_moment(void **state)
{
    struct mc146818 rtc = fresh(NEW_YEAR - 5);
    uint64_t now = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct tm tm = {0};

        now = linux_get_time(&rtc, now, &tm);
        assert_int_equal(timegm(&tm), (time_t)(NEW_YEAR - 5 + now / HZ));
        now += 337 * US;
    }
}

/* mc146818_set_time() of Linux 6.1: the first update comes half a second after the release. */
static void test_linux_sets_the_time(void **state)
{
    static const uint8_t regs[] = {YEAR, MON, MDAY, HOUR, MIN, SEC, CENTURY};
    static const uint8_t values[] = {0x30, 0x06, 0x15, 0x23, 0x59, 0x59, 0x20};
    struct mc146818 rtc = fresh(T0);
    uint64_t t = 12345678901ull;

    (void)state;
    out(&rtc, B, 0x82, t);
    out(&rtc, A, 0x76, t);
    for (unsigned i = 0; i < sizeof(regs); i++)
        out(&rtc, regs[i], values[i], t);
    out(&rtc, B, 0x02, t + 10 * HZ);
    assert_int_equal(in(&rtc, SEC, t + 20 * HZ), 0x59); /* the divider chain is held */
    t += 30 * HZ;
    out(&rtc, A, 0x26, t);
    for (unsigned i = 0; i < sizeof(regs); i++)
        assert_int_equal(in(&rtc, regs[i], t + HZ / 2 - 1), values[i]);
    assert_int_equal(in(&rtc, A, t + HZ / 2 - 1), 0xa6);
    assert_int_equal(in(&rtc, SEC, t + HZ / 2), 0x00);
    assert_int_equal(in(&rtc, HOUR, t + HZ / 2), 0x00);
    assert_int_equal(in(&rtc, MDAY, t + HZ / 2), 0x16);
    assert_int_equal(in(&rtc, SEC, t + HZ / 2 + HZ - 1), 0x00);
    assert_int_equal(in(&rtc, SEC, t + HZ / 2 + HZ), 0x01);
}

/* Data sheet table "Periodic Interrupt Rate", 32.768 kHz column, in microseconds. */
static void test_periodic_interrupt_rates(void **state)
{
    static const double period_us[16] = {0,       3906.25,  7812.5,  122.070, 244.141, 488.281,
                                         976.562, 1953.125, 3906.25, 7812.5,  15625,   31250,
                                         62500,   125000,   250000,  500000};

    (void)state;
    for (uint8_t rate = 0; rate < 16; rate++) {
        struct mc146818 rtc = fresh(T0);
        unsigned interrupts = 0;
        uint64_t now = 0;

        out(&rtc, A, 0x20 | rate, 0);
        out(&rtc, B, 0x42, 0);
        while (mc146818_deadline(&rtc) <= 2 * HZ) {
            now = mc146818_deadline(&rtc);
            advance(&rtc, now - 1);
            assert_false(mc146818_irq(&rtc));
            advance(&rtc, now);
            assert_true(mc146818_irq(&rtc));
            assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
            assert_int_equal(in(&rtc, C, now) & 0xc0, 0xc0);
            assert_false(mc146818_irq(&rtc));
            interrupts++;
        }
        assert_int_equal(interrupts, rate == 0 ? 0 : (unsigned)(2e6 / period_us[rate] + 0.5));
    }
}

static void test_periodic_flag_rises_without_enable_and_late(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    assert_int_equal(in(&rtc, C, 900 * US), 0x00);
    assert_int_equal(in(&rtc, C, 1000 * US), 0x40);
    assert_int_equal(in(&rtc, C, 1001 * US), 0x00);
    out(&rtc, A, 0x20, 1001 * US);
    assert_int_equal(in(&rtc, C, HZ - 1), 0x00);
    out(&rtc, A, 0x26, HZ - 1);
    out(&rtc, B, 0x42, HZ - 1);
    advance(&rtc, 5 * HZ); /* many periods missed: one interrupt */
    assert_true(mc146818_irq(&rtc));
    assert_int_equal(in(&rtc, C, 5 * HZ), 0xd0);
    assert_in_range(mc146818_deadline(&rtc), 5 * HZ + 976 * US, 5 * HZ + 977 * US);
}

/* SET stops the updates only; the divider's reset stops the periodic interrupt, too. */
static void test_periodic_interrupt_with_set_and_with_the_divider_held(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, B, 0xc2, 0);
    for (uint64_t n = 1; n <= 3; n++) {
        uint64_t due = (n * 1000000000ull + 1023) / 1024;

        assert_true(mc146818_deadline(&rtc) == due);
        advance(&rtc, due);
        assert_int_equal(in(&rtc, C, due), 0xc0);
    }
    for (uint8_t held = 6; held <= 7; held++) {
        uint64_t now = held * HZ;

        out(&rtc, A, (uint8_t)(held << 4 | 6), now);
        (void)in(&rtc, C, now);
        assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
        advance(&rtc, now + HZ / 2);
        assert_false(mc146818_irq(&rtc));
        out(&rtc, A, 0x26, now + HZ / 2); /* it starts anew, in phase */
        assert_true(mc146818_deadline(&rtc) == now + HZ / 2 + 976563);
    }
}

/* Each flag makes its own interrupt and no other: "Register B", "Register C". */
static void test_each_enable_is_for_its_own_flag(void **state)
{
    (void)state;
    for (uint8_t enabled = 0; enabled < 8; enabled++) {
        struct mc146818 rtc = fresh(T0);
        uint8_t seen;

        out(&rtc, SEC_ALARM, 0xff, 0);
        out(&rtc, MIN_ALARM, 0xff, 0);
        out(&rtc, HOUR_ALARM, 0xff, 0);
        out(&rtc, A, 0x2f, 0);
        out(&rtc, B, (uint8_t)(enabled << 4 | 0x02), 0);
        advance(&rtc, HZ / 2); /* periodic */
        seen = in(&rtc, C, HZ / 2);
        assert_int_equal(seen, (enabled & 4) != 0 ? 0xc0 : 0x40);
        out(&rtc, A, 0x20, HZ / 2); /* alarm and update */
        advance(&rtc, HZ);
        assert_int_equal(mc146818_irq(&rtc), (enabled & 3) != 0);
        assert_int_equal(in(&rtc, C, HZ), (enabled & 3) != 0 ? 0xb0 : 0x30);
        assert_false(mc146818_irq(&rtc));
    }
}

static void test_update_ended_interrupt_each_second(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, B, 0x12, 0);
    for (uint64_t s = 1; s <= 5; s++) {
        assert_true(mc146818_deadline(&rtc) == s * HZ);
        advance(&rtc, s * HZ - 1);
        assert_false(mc146818_irq(&rtc));
        advance(&rtc, s * HZ);
        assert_true(mc146818_irq(&rtc));
        assert_int_equal(in(&rtc, C, s * HZ) & 0xb0, 0x90);
        assert_false(mc146818_irq(&rtc));
    }
}

static void test_enable_with_flag_set_interrupts_at_once(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    advance(&rtc, HZ);
    assert_false(mc146818_irq(&rtc));
    out(&rtc, B, 0x12, HZ);
    assert_true(mc146818_irq(&rtc));
    out(&rtc, B, 0x02, HZ);
    assert_false(mc146818_irq(&rtc));
}

static void set_alarm(struct mc146818 *rtc, uint8_t hour, uint8_t minute, uint8_t second)
{
    out(rtc, HOUR_ALARM, hour, 0);
    out(rtc, MIN_ALARM, minute, 0);
    out(rtc, SEC_ALARM, second, 0);
    out(rtc, B, in(rtc, B, 0) | 0x20, 0);
}

static void test_alarm_times(void **state)
{
    static const struct {
        uint8_t hour, minute, second;
        uint32_t after; /* seconds after T0, 22:13:20 */
    } cases[] = {
        {0x22, 0x13, 0x21, 1    },
        {0x22, 0x13, 0x20, 86400},
        {0x22, 0x13, 0x19, 86399},
        {0x22, 0x14, 0x00, 40   },
        {0x23, 0x00, 0x00, 2800 },
        {0x00, 0x00, 0x00, 6400 },
        {0xff, 0xff, 0xff, 1    },
        {0xc0, 0xc0, 0x00, 40   },
        {0xff, 0xff, 0x20, 60   },
        {0xff, 0x13, 0x20, 3600 },
        {0xff, 0x13, 0xff, 1    },
        {0xff, 0x12, 0x59, 3579 },
        {0x21, 0xff, 0xff, 82000},
        {0x22, 0xff, 0x19, 59   },
        {0x22, 0x12, 0xff, 86320},
        {0x03, 0xff, 0x05, 17205},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mc146818 rtc = fresh(T0);
        uint64_t due = cases[i].after * HZ;

        set_alarm(&rtc, cases[i].hour, cases[i].minute, cases[i].second);
        assert_true(mc146818_deadline(&rtc) == due);
        advance(&rtc, due - 1);
        assert_false(mc146818_irq(&rtc));
        /* 18 hours on, the divider chain has been renumbered: rounded up to a TSC tick */
        assert_in_range(mc146818_deadline(&rtc), due, due + 1);
        due = mc146818_deadline(&rtc);
        advance(&rtc, due);
        assert_true(mc146818_irq(&rtc));
        assert_int_equal(in(&rtc, C, due) & 0xa0, 0xa0);
    }
}

/* Alarms in all four formats, at every hour. */
static void test_alarm_at_every_hour_in_every_format(void **state)
{
    (void)state;
    for (uint8_t format = 0; format < 8; format += 2) { /* DM, 24/12 */
        for (unsigned hour = 0; hour < 24; hour++) {
            struct mc146818 rtc = fresh(MIDNIGHT);
            unsigned dial = hour % 12 == 0 ? 12 : hour % 12;
            unsigned shown = (format & 2) != 0 ? hour : dial;
            uint8_t byte = (uint8_t)((format & 4) != 0 ? shown : shown / 10 << 4 | shown % 10);

            if ((format & 2) == 0 && hour >= 12)
                byte |= 0x80;
            out(&rtc, B, 0x80 | format, 0);
            out(&rtc, HOUR, (format & 2) != 0 ? 0 : (format & 4) != 0 ? 12 : 0x12, 0);
            out(&rtc, B, format, 0);
            set_alarm(&rtc, byte, 0, 0);
            assert_in_range(mc146818_deadline(&rtc), (hour == 0 ? 24 : hour) * 3600 * HZ,
                            (hour == 0 ? 24 : hour) * 3600 * HZ);
        }
    }
}

/* An alarm does not come while SET or the divider's reset stop the clock. */
static void test_no_alarm_while_the_clock_stands(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    set_alarm(&rtc, 0x22, 0x13, 0x25);
    out(&rtc, B, 0xa2, 0);
    assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
    advance(&rtc, 100 * HZ);
    assert_false(mc146818_irq(&rtc));
    out(&rtc, B, 0x22, 100 * HZ);
    assert_true(mc146818_deadline(&rtc) == 105 * HZ);
    out(&rtc, A, 0x66, 100 * HZ);
    assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
    out(&rtc, A, 0x26, 200 * HZ);
    assert_true(mc146818_deadline(&rtc) == 204 * HZ + HZ / 2);
}

/* Seconds from `now` to the next time of day that matches; -1 is don't care. Counted one by one. */
static unsigned count_to_alarm(unsigned now, const int alarm[3])
{
    for (unsigned after = 1; after <= 86400; after++) {
        unsigned t = (now + after) % 86400;
        int shown[3] = {(int)(t / 3600), (int)(t / 60 % 60), (int)(t % 60)};
        bool match = true;

        for (unsigned i = 0; i < 3; i++)
            match = match && (alarm[i] < 0 || alarm[i] == shown[i]);
        if (match)
            return after;
    }
    return 0;
}

/* Alarms and times near the ends of minutes, hours and the day against the count. */
static void test_alarms_near_the_ends_against_a_count(void **state)
{
    static const int ends[] = {0, 1, 27, 28, 29, 58, 59, -1};
    static const uint8_t regs[] = {HOUR_ALARM, MIN_ALARM, SEC_ALARM};
    uint64_t seed = 19;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct mc146818 rtc;
        unsigned hour = (unsigned)(next_random(&seed) % 4 == 0 ? 23 : next_random(&seed) % 24);
        unsigned minute = (unsigned)ends[next_random(&seed) % 7];
        unsigned second = (unsigned)ends[next_random(&seed) % 7];
        unsigned now = hour * 3600 + minute * 60 + second;
        int alarm[3];

        for (unsigned n = 0; n < 3; n++)
            alarm[n] = ends[next_random(&seed) % 8];
        if (next_random(&seed) % 2 != 0 || alarm[0] > 23)
            alarm[0] = next_random(&seed) % 2 != 0 ? (int)hour : 23;
        rtc = fresh(MIDNIGHT + now);
        out(&rtc, B, 0x86, 0);
        out(&rtc, HOUR, (uint8_t)hour, 0);
        out(&rtc, MIN, (uint8_t)minute, 0);
        out(&rtc, SEC, (uint8_t)second, 0);
        for (unsigned n = 0; n < 3; n++)
            out(&rtc, regs[n], (uint8_t)alarm[n], 0);
        out(&rtc, B, 0x26, 0);
        assert_int_equal(mc146818_deadline(&rtc), count_to_alarm(now, alarm) * HZ);
    }
}

static void test_alarm_that_no_clock_shows_never_comes(void **state)
{
    static const uint8_t bad[][3] = {
        {0x24, 0,    0   },
        {0,    0x60, 0   },
        {0,    0,    0x60},
        {0x1a, 0,    0   },
        {0xff, 0xff, 0x0a},
        {0xbf, 0,    0   }
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mc146818 rtc = fresh(T0);

        set_alarm(&rtc, bad[i][0], bad[i][1], bad[i][2]);
        assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
        advance(&rtc, 100000 * HZ);
        assert_false(mc146818_irq(&rtc));
    }
}

/* 12-hour, binary alarms of random patterns: a clock stepped each second is the judge. */
static void test_alarm_flag_is_the_same_stepped_or_jumped(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct mc146818 a = fresh(T0);
        uint64_t span = next_random(&seed) % 9000;

        out(&a, B, (uint8_t)(next_random(&seed) & 0x06), 0);
        for (uint8_t reg = SEC; reg <= YEAR; reg++) {
            uint64_t r = next_random(&seed);

            out(&a, reg, (r >> 16) % 3 == 0 ? 0xff : (uint8_t)(r % 0x26), 0);
        }
        advance(&a, HZ);
        (void)in(&a, C, HZ);
        struct mc146818 b = a;
        for (uint64_t s = 2; s <= span; s++)
            advance(&a, s * HZ);
        advance(&a, (2 + span) * HZ);
        advance(&b, (2 + span) * HZ);
        assert_memory_equal(a.cmos, b.cmos, sizeof(a.cmos));
    }
}

static void test_reset_line_keeps_time_and_memory(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, 0x40, 0x5a, 0);
    out(&rtc, B, 0x7a, 0);
    advance(&rtc, 3 * HZ);
    assert_true(mc146818_irq(&rtc));
    mc146818_reset_line(&rtc, 3 * HZ);
    assert_true(mc146818_ok(&rtc));
    assert_false(mc146818_irq(&rtc));
    assert_int_equal(in(&rtc, B, 3 * HZ), 0x02);
    assert_int_equal(in(&rtc, C, 3 * HZ), 0x00);
    assert_int_equal(in(&rtc, 0x40, 3 * HZ), 0x5a);
    assert_shows(&rtc, 3 * HZ, T0 + 3);
}

/* What the flags and the deadline were before is gone, and 24/12, DM and DSE are not the line's. */
static void test_reset_line_at_any_moment(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, B, 0x7f, 0);
    mc146818_reset_line(&rtc, 3 * HZ + 5);
    assert_true(mc146818_ok(&rtc));
    assert_true(mc146818_deadline(&rtc) == TIME_NEVER);
    assert_int_equal(in(&rtc, C, 3 * HZ + 5), 0x00);
    assert_int_equal(in(&rtc, B, 3 * HZ + 5), 0x07);
    assert_int_equal(in(&rtc, A, 3 * HZ + 5), 0x26);
}

static void test_memory_bytes_and_platform_bytes(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    for (uint8_t reg = 0x0e; reg < 0x80; reg++) {
        if (reg != CENTURY)
            out(&rtc, reg | 0x80, (uint8_t)(reg * 7), 0); /* bit 7 is the NMI mask */
    }
    for (uint8_t reg = 0x0e; reg < 0x80; reg++) {
        if (reg != CENTURY)
            assert_int_equal(in(&rtc, reg, 5 * HZ), (uint8_t)(reg * 7));
    }
    mc146818_set_cmos(&rtc, 0x34, 0xa5);
    assert_int_equal(in(&rtc, 0x34, 0), 0xa5);
    mc146818_set_cmos(&rtc, 0x0e, 0x5a);
    mc146818_set_cmos(&rtc, 0x7f, 0x7a);
    assert_int_equal(in(&rtc, 0x0e, 0), 0x5a);
    assert_int_equal(in(&rtc, 0x7f, 0), 0x7a);
    mc146818_set_cmos(&rtc, SEC, 0x11);
    mc146818_set_cmos(&rtc, D, 0x00);
    mc146818_set_cmos(&rtc, CENTURY, 0x33);
    mc146818_set_cmos(&rtc, 128, 0x00);
    assert_true(mc146818_ok(&rtc));
    assert_shows(&rtc, 5 * HZ, T0 + 5);
}

static void test_c_and_d_cannot_be_written(void **state)
{
    struct mc146818 rtc = fresh(T0);

    (void)state;
    out(&rtc, C, 0xff, 0);
    out(&rtc, D, 0x00, 0);
    out(&rtc, A, 0xa6, 0);
    assert_int_equal(in(&rtc, C, 0), 0x00);
    assert_int_equal(in(&rtc, D, 0), 0x80);
    assert_int_equal(in(&rtc, A, 0), 0x26);
}

static void test_hostile_settings_become_a_time_again(void **state)
{
    uint64_t seed = 17;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct mc146818 rtc = fresh(T0);
        uint64_t later = 200000 * HZ;

        for (uint8_t reg = SEC; reg <= YEAR; reg++)
            out(&rtc, reg, (uint8_t)next_random(&seed), 0);
        out(&rtc, CENTURY, (uint8_t)next_random(&seed), 0);
        assert_in_range(bcd(in(&rtc, SEC, later)), 0, 59);
        assert_in_range(bcd(in(&rtc, MIN, later)), 0, 59);
        assert_in_range(bcd(in(&rtc, HOUR, later)), 0, 23);
        assert_in_range(bcd(in(&rtc, WDAY, later)), 1, 7);
        assert_in_range(bcd(in(&rtc, MDAY, later)), 1, 31);
        assert_in_range(bcd(in(&rtc, MON, later)), 1, 12);
        assert_in_range(bcd(in(&rtc, YEAR, later)), 0, 99);
    }
}

/* mc146818_ok sees each state that no sequence of calls can reach. */
#define ASSERT_BROKEN(change)                                                                      \
    do {                                                                                           \
        struct mc146818 rtc = fresh(T0);                                                           \
                                                                                                   \
        out(&rtc, B, 0x12, HZ / 2);                                                                \
        change;                                                                                    \
        assert_false(mc146818_ok(&rtc));                                                           \
    } while (0)

static void test_invariant_sees_broken_states(void **state)
{
    (void)state;
    ASSERT_BROKEN(rtc.index = 128);
    ASSERT_BROKEN((rtc.phase = 32768, rtc.seen = 32768));
    ASSERT_BROKEN(rtc.phase = rtc.seen + 1);
    ASSERT_BROKEN((rtc.seen = 1ull << 31, rtc.cmos[B] = 2, rtc.deadline = TIME_NEVER));
    ASSERT_BROKEN(rtc.cmos[A] |= 0x80);
    ASSERT_BROKEN((rtc.cmos[B] = 0x92, rtc.deadline = TIME_NEVER));
    ASSERT_BROKEN(rtc.cmos[D] = 0x00);
    ASSERT_BROKEN(rtc.cmos[D] = 0x81);
    ASSERT_BROKEN(rtc.cmos[C] = 0x01);
    ASSERT_BROKEN((rtc.cmos[C] = 0x80, rtc.deadline = TIME_NEVER)); /* IRQF without a flag */
    ASSERT_BROKEN(rtc.cmos[C] = 0x10);                              /* and the other way round */
    ASSERT_BROKEN(rtc.deadline++);
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    static const uint64_t hz[3] = {50000000, 1000000000, 4999999999};
    struct mc146818 rtc;
    uint64_t seed = 23;

    (void)state;
    for (unsigned h = 0; h < 3; h++) {
        uint64_t now = 0;

        mc146818_reset(&rtc, hz[h], now, T0);
        for (unsigned i = 0; i < 100000; i++) {
            uint64_t r = next_random(&seed);
            uint8_t value = (uint8_t)next_random(&seed);

            now += next_random(&seed) << (r >> 8) % 20;
            mc146818_write(&rtc, 0x70, (r >> 16) % 2 == 0 ? value & 15 : value, now);
            if (r % 3 == 0)
                mc146818_write(&rtc, 0x71, (uint8_t)next_random(&seed), now);
            else
                (void)mc146818_read(&rtc, 0x71, now);
            assert_true(mc146818_ok(&rtc));
            assert_true(mc146818_deadline(&rtc) > now);
            advance(&rtc, now);
            if (mc146818_deadline(&rtc) != TIME_NEVER) {
                now = mc146818_deadline(&rtc);
                advance(&rtc, now);
                assert_true(mc146818_irq(&rtc));
            }
        }
        /* however long ago: one step */
        advance(&rtc, UINT64_MAX - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_on_registers),
        cmocka_unit_test(test_calendar_agrees_with_the_c_library),
        cmocka_unit_test(test_calendar_across_leap_days_and_centuries),
        cmocka_unit_test(test_every_day_of_400_years),
        cmocka_unit_test(test_dates_at_the_ends),
        cmocka_unit_test(test_clock_keeps_time_over_years_unread_or_read),
        cmocka_unit_test(test_clock_of_another_core_behind_changes_nothing),
        cmocka_unit_test(test_uip_rises_2228_us_before_the_second_changes),
        cmocka_unit_test(test_set_stops_updates_and_hides_uip),
        cmocka_unit_test(test_set_clears_uie),
        cmocka_unit_test(test_register_a_keeps_seven_bits),
        cmocka_unit_test(test_binary_and_12_hour_formats),
        cmocka_unit_test(test_a_change_of_format_converts_nothing),
        cmocka_unit_test(test_daylight_savings_bit_does_nothing),
        cmocka_unit_test(test_nmi_mask_is_not_part_of_the_index),
        cmocka_unit_test(test_direct_writes_of_the_date_stay_until_midnight),
        cmocka_unit_test(test_linux_reads_a_consistent_time_at_any_moment),
        cmocka_unit_test(test_linux_sets_the_time),
        cmocka_unit_test(test_periodic_interrupt_rates),
        cmocka_unit_test(test_periodic_flag_rises_without_enable_and_late),
        cmocka_unit_test(test_periodic_interrupt_with_set_and_with_the_divider_held),
        cmocka_unit_test(test_each_enable_is_for_its_own_flag),
        cmocka_unit_test(test_update_ended_interrupt_each_second),
        cmocka_unit_test(test_enable_with_flag_set_interrupts_at_once),
        cmocka_unit_test(test_alarm_times),
        cmocka_unit_test(test_alarm_at_every_hour_in_every_format),
        cmocka_unit_test(test_alarms_near_the_ends_against_a_count),
        cmocka_unit_test(test_no_alarm_while_the_clock_stands),
        cmocka_unit_test(test_alarm_that_no_clock_shows_never_comes),
        cmocka_unit_test(test_alarm_flag_is_the_same_stepped_or_jumped),
        cmocka_unit_test(test_reset_line_keeps_time_and_memory),
        cmocka_unit_test(test_reset_line_at_any_moment),
        cmocka_unit_test(test_memory_bytes_and_platform_bytes),
        cmocka_unit_test(test_c_and_d_cannot_be_written),
        cmocka_unit_test(test_hostile_settings_become_a_time_again),
        cmocka_unit_test(test_invariant_sees_broken_states),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
