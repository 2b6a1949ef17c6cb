/* unit: */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The byte queue of lib/ring.h, also between two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "lib/ring.h"

#define BYTES 1000000u

static struct ring ring;

static int empty_ring(void **state)
{
    (void)state;
    memset(&ring, 0, sizeof(ring));
    return 0;
}

static void test_bytes_come_out_in_order(void **state)
{
    uint8_t byte = 0;

    (void)state;
    assert_false(ring_take(&ring, &byte));
    for (unsigned i = 0; i < 10; i++)
        assert_true(ring_put(&ring, (uint8_t)(i + 1)));
    assert_int_equal(ring_used(&ring), 10);
    assert_int_equal(ring_peek(&ring, 0), 1);
    assert_int_equal(ring_peek(&ring, 9), 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(ring_take(&ring, &byte));
        assert_int_equal(byte, i + 1);
    }
    assert_int_equal(ring_used(&ring), 0);
    assert_false(ring_take(&ring, &byte));
    assert_int_equal(byte, 10);
}

static void test_full_ring_refuses_and_keeps_what_it_has(void **state)
{
    uint8_t byte;

    (void)state;
    for (unsigned i = 0; i < RING_SIZE; i++)
        assert_true(ring_put(&ring, (uint8_t)i));
    assert_false(ring_put(&ring, 0xee));
    assert_int_equal(ring_used(&ring), RING_SIZE);
    assert_true(ring_take(&ring, &byte));
    assert_int_equal(byte, 0);
    assert_true(ring_put(&ring, 0xee));
    assert_false(ring_put(&ring, 0xee));
    assert_int_equal(ring_peek(&ring, RING_SIZE - 1), 0xee);
}

static void test_indices_wrap_at_32_bits(void **state)
{
    uint8_t byte;

    (void)state;
    ring.head = ring.tail = UINT32_MAX - 2;
    for (unsigned i = 0; i < RING_SIZE; i++)
        assert_true(ring_put(&ring, (uint8_t)(i * 7)));
    assert_false(ring_put(&ring, 0));
    assert_int_equal(ring_used(&ring), RING_SIZE);
    for (unsigned i = 0; i < RING_SIZE; i++) {
        assert_true(ring_take(&ring, &byte));
        assert_int_equal(byte, (uint8_t)(i * 7));
    }
    assert_false(ring_take(&ring, &byte));
}

static void *produce(void *arg)
{
    for (uint32_t i = 0; i < BYTES; i++) {
        while (!ring_put(&ring, (uint8_t)(i * 31 + (i >> 8))))
            sched_yield();
    }
    return arg;
}

static void test_two_threads(void **state)
{
    pthread_t producer;
    uint8_t byte;
    unsigned wrong = 0;

    (void)state;
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    for (uint32_t i = 0; i < BYTES; i++) {
        while (!ring_take(&ring, &byte))
            sched_yield();
        wrong += byte != (uint8_t)(i * 31 + (i >> 8));
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bytes_come_out_in_order, empty_ring),
        cmocka_unit_test_setup(test_full_ring_refuses_and_keeps_what_it_has, empty_ring),
        cmocka_unit_test_setup(test_indices_wrap_at_32_bits, empty_ring),
        cmocka_unit_test_setup(test_two_threads, empty_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
