/* unit: */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/string.c under other names, beside the C library's functions, which are what is expected
 * (C11 7.24). The buffers end where the address sanitizer sees a run over the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define memcpy  bulkhead_memcpy
#define memmove bulkhead_memmove
#define memset  bulkhead_memset
#define memcmp  bulkhead_memcmp
#define strlen  bulkhead_strlen
#define strcmp  bulkhead_strcmp
#define strncmp bulkhead_strncmp
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strcmp
#undef strncmp

#define LEN 40 /* around several multiples of 8 */

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void fill(uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(i * 37 + 11);
}

static void test_memcpy_any_length_and_alignment(void **state)
{
    uint8_t from[LEN + 8], to[LEN + 16], expected[LEN + 16];

    (void)state;
    fill(from, sizeof(from));
    for (size_t len = 0; len <= LEN; len++) {
        for (size_t offset = 0; offset < 8; offset++) {
            memset(to, 0xee, sizeof(to));
            memset(expected, 0xee, sizeof(expected));
            memcpy(expected + offset, from + 8 - offset, len);
            assert_ptr_equal(bulkhead_memcpy(to + offset, from + 8 - offset, len), to + offset);
            assert_memory_equal(to, expected, sizeof(to));
        }
    }
}

static void test_memmove_overlaps_both_ways(void **state)
{
    uint8_t buf[2 * LEN], expected[2 * LEN];

    (void)state;
    for (size_t len = 0; len <= LEN; len++) {
        for (size_t to = 0; to < LEN; to++) {
            fill(buf, sizeof(buf));
            fill(expected, sizeof(expected));
            memmove(expected + to, expected + LEN / 2, len);
            assert_ptr_equal(bulkhead_memmove(buf + to, buf + LEN / 2, len), buf + to);
            assert_memory_equal(buf, expected, sizeof(buf));
        }
    }
}

static void test_memset_any_length_and_byte(void **state)
{
    uint8_t buf[LEN + 8], expected[LEN + 8];

    (void)state;
    for (size_t len = 0; len <= LEN; len++) {
        memset(buf, 0x11, sizeof(buf));
        memset(expected, 0x11, sizeof(expected));
        memset(expected + 3, 0xa5, len);
        assert_ptr_equal(bulkhead_memset(buf + 3, 0x7a5, len), buf + 3); /* as unsigned char */
        assert_memory_equal(buf, expected, sizeof(buf));
    }
    bulkhead_memset(buf, -1, 9);
    assert_int_equal(buf[8], 0xff);
}

static void test_memcmp_is_unsigned_and_stops_at_the_end(void **state)
{
    (void)state;
    assert_true(bulkhead_memcmp("\x7f", "\x80", 1) < 0);
    assert_true(bulkhead_memcmp("\xff", "\x01", 1) > 0);
    assert_int_equal(bulkhead_memcmp("abcx", "abcy", 3), 0);
    assert_true(bulkhead_memcmp("ab\0x", "ab\0y", 4) < 0);
    assert_int_equal(bulkhead_memcmp("a", "b", 0), 0);
}

static char *heap_string(const char *text)
{
    return strdup(text); /* nothing behind the NUL */
}

static void test_strlen(void **state)
{
    static const char *const texts[] = {"", "a", "1234567", "12345678", "a longer one, with \xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *s = heap_string(texts[i]);

        assert_int_equal(bulkhead_strlen(s), strlen(s));
        free(s);
    }
}

static void test_strcmp_and_strncmp_agree_with_c(void **state)
{
    static const char *const texts[] = {"", "a", "ab", "abc", "abd", "b", "\x80", "\xff", "ab\x80"};
    size_t n = sizeof(texts) / sizeof(texts[0]);

    (void)state;
    for (size_t i = 0; i < n * n; i++) {
        char *a = heap_string(texts[i / n]);
        char *b = heap_string(texts[i % n]);

        assert_int_equal(sign(bulkhead_strcmp(a, b)), sign(strcmp(a, b)));
        for (size_t len = 0; len < 5; len++)
            assert_int_equal(sign(bulkhead_strncmp(a, b, len)), sign(strncmp(a, b, len)));
        free(a);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy_any_length_and_alignment),
        cmocka_unit_test(test_memmove_overlaps_both_ways),
        cmocka_unit_test(test_memset_any_length_and_byte),
        cmocka_unit_test(test_memcmp_is_unsigned_and_stops_at_the_end),
        cmocka_unit_test(test_strlen),
        cmocka_unit_test(test_strcmp_and_strncmp_agree_with_c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
