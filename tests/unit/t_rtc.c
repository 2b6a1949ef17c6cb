/* unit: arch/x86/rtc.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The host clock's bytes. Expected: MC146818A data sheet; seconds by the C library's timegm. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "arch/x86/rtc.h"

#define HOURS_24 0x02
#define BINARY   0x04
#define PM       0x80

static uint64_t decode(uint8_t b, uint8_t year, uint8_t month, uint8_t day, uint8_t hours,
                       uint8_t minutes, uint8_t seconds)
{
    struct rtc_registers r = {seconds, minutes, hours, day, month, year, b};

    return rtc_decode(&r);
}

static void test_bcd_24_hours(void **state)
{
    (void)state;
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x14, 0x22, 0x13, 0x20), 1700000000);
    assert_int_equal(decode(HOURS_24, 0, 1, 1, 0, 0, 0), 946684800); /* 2000-01-01 */
}

static void test_binary(void **state)
{
    (void)state;
    assert_int_equal(decode(HOURS_24 | BINARY, 23, 11, 14, 22, 13, 20), 1700000000);
    assert_int_equal(decode(BINARY, 23, 11, 14, PM | 10, 13, 20), 1700000000);
}

static void test_12_hours_begin_with_12(void **state)
{
    uint64_t midnight = 946684800;

    (void)state;
    assert_int_equal(decode(0, 0, 1, 1, 0x12, 0, 0), midnight);
    assert_int_equal(decode(0, 0, 1, 1, 0x01, 0, 0), midnight + 3600);
    assert_int_equal(decode(0, 0, 1, 1, 0x11, 0, 0), midnight + 11 * 3600);
    assert_int_equal(decode(0, 0, 1, 1, PM | 0x12, 0, 0), midnight + 12 * 3600);
    assert_int_equal(decode(0, 0, 1, 1, PM | 0x11, 0, 0), midnight + 23 * 3600);
}

static void test_every_day_of_the_century(void **state)
{
    uint64_t now = 946684800;

    (void)state;
    for (int year = 0; year < 100; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= 31; day++) {
                struct tm t = {.tm_year = 100 + year, .tm_mon = month - 1, .tm_mday = day};
                time_t expected = timegm(&t);

                if (t.tm_mon != month - 1)
                    continue; /* there is no such day */
                assert_int_equal(expected, now);
                assert_int_equal(
                    decode(HOURS_24 | BINARY, (uint8_t)year, (uint8_t)month, (uint8_t)day, 0, 0, 0),
                    now);
                now += 86400;
            }
        }
    }
}

static void test_nonsense_is_0(void **state)
{
    (void)state;
    assert_int_equal(decode(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 0); /* no clock at all */
    assert_int_equal(decode(HOURS_24, 0x23, 0x00, 0x14, 0, 0, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x13, 0x14, 0, 0, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x00, 0, 0, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x32, 0, 0, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x14, 0x24, 0, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x14, 0, 0x60, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x14, 0, 0, 0x60), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x14, 0, 0, 0x0a), 0); /* not BCD */
    assert_int_equal(decode(HOURS_24, 0xa0, 0x11, 0x14, 0, 0, 0), 0);
    assert_int_equal(decode(0, 0x23, 0x11, 0x14, 0x00, 0, 0), 0);
    assert_int_equal(decode(0, 0x23, 0x11, 0x14, 0x13, 0, 0), 0);
    assert_int_equal(decode(HOURS_24, 0x23, 0x11, 0x14, PM | 0x01, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bcd_24_hours),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_12_hours_begin_with_12),
        cmocka_unit_test(test_every_day_of_the_century),
        cmocka_unit_test(test_nonsense_is_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
