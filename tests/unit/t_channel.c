/* unit: */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The samples' channel through shared memory (tests/guest/channel.h): what a reader believes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/guest/channel.h"

static void test_what_was_written_is_read(void **state)
{
    struct channel c = {0};
    uint64_t value, count;

    (void)state;
    for (uint64_t i = 1; i < 100; i++) {
        channel_write(&c, 3 * i, i);
        assert_true(channel_read(&c, &value, &count));
        assert_int_equal(value, 3 * i);
        assert_int_equal(count, i);
    }
}

static void test_nothing_yet(void **state)
{
    struct channel c = {0};
    uint64_t value, count;

    (void)state;
    assert_false(channel_read(&c, &value, &count));
}

static void test_no_region(void **state)
{
    struct channel c;
    uint64_t value, count;

    (void)state;
    memset(&c, 0xff, sizeof(c)); /* as absent memory reads */
    assert_false(channel_read(&c, &value, &count));
}

static void test_writer_that_never_ends_is_given_up(void **state)
{
    struct channel c = {0};
    uint64_t value, count;

    (void)state;
    channel_write(&c, 1, 1);
    c.sequence++;
    assert_false(channel_read(&c, &value, &count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_nothing_yet),
        cmocka_unit_test(test_no_region),
        cmocka_unit_test(test_writer_that_never_ends_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
