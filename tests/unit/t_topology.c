/* unit: arch/x86/topology.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware threads by CPUID's values. Expected: worked out by hand from SDM 3A "Hierarchical
 * Mapping of CPUID Extended Topology Leaf" and "Algorithm for Three-Domain Mappings of APIC_ID".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/x86/topology.h"

#define HTT (1u << 28)

/* Leaf 0BH or 1FH, subleaf 0. */
static uint32_t extended(uint32_t shift, uint32_t count, uint32_t type, uint32_t id)
{
    struct topology_leaves l = {
        .leaf1 = {.ebx = 0x55ff0000, .edx = HTT},
        .extended = { .eax = shift, .ebx = count,  .ecx = type << 8, .edx = id},
    };

    return topology_core_of(&l);
}

/* Leaf 1: IDs set aside for the package, and this one's; leaf 4: cores of the package. */
static uint32_t old(uint32_t ids, uint32_t cores, uint32_t id, uint32_t htt)
{
    struct topology_leaves l = {
        .leaf1 = {.ebx = id << 24 | ids << 16, .edx = htt},
        .leaf4 = {.eax = (cores - 1) << 26                          },
    };

    return topology_core_of(&l);
}

static void test_threads_have_the_low_bits_of_the_x2apic_id(void **state)
{
    (void)state;
    assert_int_equal(extended(1, 2, 1, 0x12), 0x12);
    assert_int_equal(extended(1, 2, 1, 0x13), 0x12);
    assert_int_equal(extended(1, 2, 1, 0x14), 0x14);
    assert_int_equal(extended(2, 4, 1, 0x13), 0x10);
    assert_int_equal(extended(1, 2, 1, 0xffffffff), 0xfffffffe);
    assert_int_equal(extended(31, 2, 1, 0x7fffffff), 0);
}

static void test_a_core_of_one_thread_is_its_id(void **state)
{
    (void)state;
    assert_int_equal(extended(0, 1, 1, 0x13), 0x13);
    assert_int_equal(extended(1, 1, 1, 0x14), 0x14); /* the second one is switched off */
    assert_int_equal(extended(1, 1, 1, 0x13), 0x13); /* Bochs: 13H is the next core */
    assert_int_equal(extended(4, 8, 2, 0x13), 0x13); /* the lowest level is not one of threads */
}

static void test_other_bits_do_not_count(void **state)
{
    (void)state;
    assert_int_equal(extended(0xffffffe1, 0xffff0002, 1, 0x13), 0x12);
}

static void test_without_the_extended_leaf(void **state)
{
    (void)state;
    assert_int_equal(old(16, 8, 7, HTT), 6); /* 2 threads */
    assert_int_equal(old(16, 8, 6, HTT), 6);
    assert_int_equal(old(16, 6, 7, HTT), 6); /* 6 cores take IDs of 8 */
    assert_int_equal(old(2, 1, 1, HTT), 0);
    assert_int_equal(old(2, 2, 1, HTT), 1);
    assert_int_equal(old(4, 4, 3, HTT), 3);
    assert_int_equal(old(255, 64, 0xff, HTT), 0xfc);
}

static void test_without_threads_or_without_sense(void **state)
{
    (void)state;
    assert_int_equal(old(2, 1, 1, 0), 1); /* no HTT: the number of IDs means nothing */
    assert_int_equal(old(0, 1, 9, HTT), 9);
    assert_int_equal(old(4, 64, 9, HTT), 9); /* more cores than IDs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_have_the_low_bits_of_the_x2apic_id),
        cmocka_unit_test(test_a_core_of_one_thread_is_its_id),
        cmocka_unit_test(test_other_bits_do_not_count),
        cmocka_unit_test(test_without_the_extended_leaf),
        cmocka_unit_test(test_without_threads_or_without_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
