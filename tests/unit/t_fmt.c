/* unit: lib/fmt.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/fmt.c against the C library's snprintf, for the part of the format language it has. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fmt.h"

/* The formats are put together here: the compiler cannot check them. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-overflow"

#define EXPECT(...)                                                                                \
    do {                                                                                           \
        char expected_[256], got_[256];                                                            \
        int len_ = snprintf(expected_, sizeof(expected_), __VA_ARGS__);                            \
        assert_int_equal(fmt_print(got_, sizeof(got_), __VA_ARGS__), len_);                        \
        assert_string_equal(got_, expected_);                                                      \
    } while (0)

static const char *const flags[] = {"", "-", "0", "-0", "0-"};
static const char *const widths[] = {"", "1", "2", "7", "16", "20"};

#define FORMATS (sizeof(flags) / sizeof(flags[0]) * (sizeof(widths) / sizeof(widths[0])))

/* Format number i of all flags and widths: "%-7lx" from "lx". */
static void make(char *format, size_t i, const char *conversion)
{
    size_t n = sizeof(widths) / sizeof(widths[0]);

    snprintf(format, 32, "[%%%s%s%s]", flags[i / n], widths[i % n], conversion);
}

static void test_int_conversions(void **state)
{
    static const int values[] = {0, 1, -1, 9, 10, -10, 123456, INT_MAX, INT_MIN};
    static const char *const conversions[] = {"d", "i", "u", "x", "X"};
    char format[32];

    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        for (size_t c = 0; c < 5; c++) {
            make(format, f, conversions[c]);
            for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
                EXPECT(format, values[v]);
        }
    }
}

static void test_long_conversions(void **state)
{
    static const long values[] = {0, 1, -1, 4294967296, 0x123456789abcdef0, LONG_MAX, LONG_MIN};
    static const char *const conversions[] = {"ld",  "li",  "lu", "lx", "lX",
                                              "lld", "llx", "zu", "zx"};
    char format[32];

    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        for (size_t c = 0; c < sizeof(conversions) / sizeof(conversions[0]); c++) {
            make(format, f, conversions[c]);
            for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
                EXPECT(format, values[v]);
        }
    }
}

static void test_strings_with_width_and_precision(void **state)
{
    static const char *const formats[] = {"%s",     "%8s|",    "%-8s|", "%2s|",  "%.3s|",
                                          "%8.2s|", "%-8.2s|", "%.0s|", "%.20s|"};

    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        EXPECT(formats[i], "");
        EXPECT(formats[i], "hello");
    }
    EXPECT("%*s|%-*s|%.*s|", 7, "a", 7, "b", 2, "cde");
    EXPECT("%*d|%0*x|", 5, 42, 5, 42);
}

/* With a precision the text needs no NUL. */
static void test_precision_bounds_the_reading(void **state)
{
    char *text = malloc(3);
    char got[16];

    (void)state;
    memcpy(text, "abc", 3);
    assert_int_equal(fmt_print(got, sizeof(got), "%.3s", text), 3);
    assert_string_equal(got, "abc");
    free(text);
}

static void test_characters_and_percent(void **state)
{
    (void)state;
    EXPECT("%c%c%c", 'a', 'b', 'c');
    EXPECT("%5c|%-5c|", 'a', 'b');
    EXPECT("100%% of %d", 7);
    EXPECT("no conversion");
    EXPECT("%s", "%d %s %n");
}

static void test_null_string_and_pointer(void **state)
{
    char got[32];
    char *null = NULL;

    (void)state;
    fmt_print(got, sizeof(got), "%s", null);
    assert_string_equal(got, "(null)");
    fmt_print(got, sizeof(got), "%p", (void *)0xfee00000);
    assert_string_equal(got, "fee00000");
}

static void test_cut_off_at_any_size(void **state)
{
    (void)state;
    for (size_t size = 1; size < 24; size++) {
        char *got = malloc(size); /* the address sanitizer sees its end */
        char expected[24];

        snprintf(expected, size, "%s %08x %5d!", "name", 0xabcdu, -42);
        assert_int_equal(fmt_print(got, size, "%s %08x %5d!", "name", 0xabcdu, -42),
                         strlen(expected));
        assert_string_equal(got, expected);
        free(got);
    }
}

static void test_incomplete_conversion_ends_the_text(void **state)
{
    char got[32];
    const char *format = "ab%-08l";

    (void)state;
    assert_int_equal(fmt_print(got, sizeof(got), format), 2);
    assert_string_equal(got, "ab");
}

static void test_wide_zero_padding_stays_in_bounds(void **state)
{
    char got[256];

    (void)state;
    assert_int_equal(fmt_print(got, sizeof(got), "%0100lx", ~0ul), 100);
    assert_int_equal(fmt_print(got, sizeof(got), "%0100ld", LONG_MIN), 100);
}

static size_t by_list(char *buf, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    size_t len = fmt_vprint(buf, size, format, args);

    assert_int_equal(va_arg(args, int), 5); /* the list is where it was */
    va_end(args);
    return len;
}

static void test_argument_list_is_not_used_up(void **state)
{
    char got[32];

    (void)state;
    assert_int_equal(by_list(got, sizeof(got), "%d %d", 5, 6), 3);
    assert_string_equal(got, "5 6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int_conversions),
        cmocka_unit_test(test_long_conversions),
        cmocka_unit_test(test_strings_with_width_and_precision),
        cmocka_unit_test(test_precision_bounds_the_reading),
        cmocka_unit_test(test_characters_and_percent),
        cmocka_unit_test(test_null_string_and_pointer),
        cmocka_unit_test(test_cut_off_at_any_size),
        cmocka_unit_test(test_incomplete_conversion_ends_the_text),
        cmocka_unit_test(test_wide_zero_padding_stays_in_bounds),
        cmocka_unit_test(test_argument_list_is_not_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
