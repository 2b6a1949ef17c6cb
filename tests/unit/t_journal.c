/* unit: arch/x86/journal.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that one boot leaves for the next, and memory that holds anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/journal.h"

static uint8_t memory[JOURNAL_LEN] __attribute__((aligned(4096)));

/* A boot that finds `memory` as it is; what it finds is dropped. */
static struct journal_past boot(void)
{
    struct journal_past past = journal_open(memory);

    journal_start();
    return past;
}

static const char *line(uint32_t number)
{
    static char text[JOURNAL_TEXT];

    journal_past_line(number, text);
    return text;
}

static void expect_past(struct journal_past past, uint32_t last, uint32_t count)
{
    assert_int_equal(past.last, last);
    assert_int_equal(past.count, count);
}

static int setup(void **state)
{
    (void)state;
    memset(memory, 0, sizeof(memory));
    return 0;
}

static void test_nothing_in_memory_that_was_never_used(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        memset(memory, byte, sizeof(memory));
        expect_past(journal_open(memory), 0, 0);
    }
    srand(1);
    for (size_t i = 0; i < sizeof(memory); i++)
        memory[i] = (uint8_t)rand();
    expect_past(journal_open(memory), 0, 0);
}

static void test_next_boot_finds_the_lines_once(void **state)
{
    (void)state;
    expect_past(boot(), 0, 0);
    journal_add("[bulkhead] first\r\n");
    journal_add("[bulkhead] PANIC: last\r\n");
    expect_past(journal_open(memory), 2, 2);
    assert_string_equal(line(1), "[bulkhead] first");
    assert_string_equal(line(2), "[bulkhead] PANIC: last");
    journal_start();
    expect_past(journal_open(memory), 0, 0);
}

static void test_lines_before_the_start_are_not_kept(void **state)
{
    (void)state;
    boot();
    journal_add("old");
    expect_past(journal_open(memory), 1, 1);
    journal_add("said while the past is being told");
    expect_past(journal_open(memory), 1, 1);
    assert_string_equal(line(1), "old");
}

static void test_oldest_lines_make_room(void **state)
{
    char text[32];

    (void)state;
    boot();
    for (unsigned i = 1; i <= 1000; i++) {
        snprintf(text, sizeof(text), "line %u\r\n", i);
        journal_add(text);
    }
    expect_past(journal_open(memory), 1000, JOURNAL_RECORDS);
    assert_string_equal(line(1000), "line 1000");
    assert_string_equal(line(1000 - JOURNAL_RECORDS + 1), "line 745");
}

static void test_long_line_is_cut(void **state)
{
    char text[400];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    boot();
    journal_add(text);
    expect_past(journal_open(memory), 1, 1);
    assert_int_equal(strlen(line(1)), JOURNAL_TEXT - 1);
}

/* Any changed bit of a record: it is no record, and the lines before it are not believed. */
static void test_damaged_record_ends_the_past(void **state)
{
    (void)state;
    boot();
    for (unsigned i = 1; i <= 5; i++)
        journal_add("line");
    for (unsigned bit = 0; bit < 256 * 8; bit++) {
        memory[3 * 256 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_past(journal_open(memory), 5, 2);
        memory[3 * 256 + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    expect_past(journal_open(memory), 5, 5);
}

/* Whoever knows the checksum may put anything there. */
static void test_text_is_made_printable(void **state)
{
    (void)state;
    boot();
    journal_add("\x80\xff ok");
    expect_past(journal_open(memory), 0 + 1, 1);
    assert_string_equal(line(1), "");
    memory[256 + 8] = 0x1b;
    memory[256 + 9] = 0x80;
    memory[256 + 10] = 'a';
    assert_string_equal(line(1), "??a");
}

static void test_moved_memory(void **state)
{
    static uint8_t other[JOURNAL_LEN];

    (void)state;
    boot();
    journal_add("one");
    journal_move(NULL);
    journal_add("not kept");
    memcpy(other, memory, sizeof(other));
    journal_move(other);
    journal_add("two");
    expect_past(journal_open(other), 2, 2);
    assert_string_equal(line(2), "two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_in_memory_that_was_never_used, setup),
        cmocka_unit_test_setup(test_next_boot_finds_the_lines_once, setup),
        cmocka_unit_test_setup(test_lines_before_the_start_are_not_kept, setup),
        cmocka_unit_test_setup(test_oldest_lines_make_room, setup),
        cmocka_unit_test_setup(test_long_line_is_cut, setup),
        cmocka_unit_test_setup(test_damaged_record_ends_the_past, setup),
        cmocka_unit_test_setup(test_text_is_made_printable, setup),
        cmocka_unit_test_setup(test_moved_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
