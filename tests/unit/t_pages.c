/* unit: mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Free ranges, guest blocks, table pages. Expected values are worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/pages.h"
#include "mm/phys.h"
#include "tests/fake/phys_fake.h"

static struct pages p;
static uint64_t seed;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int setup(void **state)
{
    (void)state;
    seed = 0x9e3779b97f4a7c15ull;
    assert_int_equal(pages_init(&p, 39), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fake_reset();
    return 0;
}

static void add(uint64_t base, uint64_t len)
{
    assert_int_equal(pages_add(&p, base, len), OK);
    assert_true(pages_ok(&p));
}

static void reserve(uint64_t base, uint64_t len)
{
    assert_int_equal(pages_reserve(&p, base, len), OK);
    assert_true(pages_ok(&p));
}

static void expect_range(unsigned i, uint64_t base, uint64_t len)
{
    assert_true(i < p.count);
    assert_int_equal(p.free[i].base, base);
    assert_int_equal(p.free[i].len, len);
}

/* A PC with 8 GiB: 640 KiB, 1 MiB .. 3 GiB, 4 GiB .. 9 GiB. */
static void add_pc(void)
{
    add(0, 640 * KIB);
    add(MIB, 3 * GIB - MIB);
    add(4 * GIB, 5 * GIB);
}

static void test_width_outside_32_to_52_is_refused(void **state)
{
    (void)state;
    assert_int_equal(pages_init(&p, 31), ERR_RANGE);
    assert_int_equal(pages_init(&p, 53), ERR_RANGE);
    assert_int_equal(pages_init(&p, 52), OK);
    assert_int_equal(pages_init(&p, 32), OK);
}

static void test_ranges_out_of_order_and_overlapping_merge(void **state)
{
    (void)state;
    add(0x500000, 0x1000);
    add(0x100000, 0x1000);
    add(0x102000, 0x1000);
    assert_int_equal(p.count, 3);
    add(0x101000, 0x1000); /* closes the hole between two */
    assert_int_equal(p.count, 2);
    expect_range(0, 0x100000, 0x3000);
    add(0x80000, 0x1000000); /* swallows everything */
    assert_int_equal(p.count, 1);
    expect_range(0, 0x80000, 0x1000000);
    add(0x90000, 0x1000); /* already inside */
    expect_range(0, 0x80000, 0x1000000);
}

static void test_usable_is_rounded_inwards_and_reserved_outwards(void **state)
{
    (void)state;
    add(0x100001, 0x4ffe); /* .. 104fff: whole pages 101000..103fff */
    assert_int_equal(p.count, 1);
    expect_range(0, 0x101000, 0x3000);
    reserve(0x102fff, 1);
    expect_range(0, 0x101000, 0x1000);
    expect_range(1, 0x103000, 0x1000);
}

static void test_page_zero_is_never_free(void **state)
{
    (void)state;
    add(0, 0x3000);
    expect_range(0, 0x1000, 0x2000);
}

static void test_hostile_lengths_add_nothing(void **state)
{
    (void)state;
    add(0x100000, 0);
    add(0x100000, UINT64_MAX); /* wraps */
    add(UINT64_MAX, 1);
    add(UINT64_MAX - 0xfff, 0xfff);
    add(BIT(39), 0x100000); /* beyond the width */
    add(0x100800, 0x7ff);   /* no whole page */
    assert_int_equal(p.count, 0);
    add(BIT(39) - 0x2000, 0x10000); /* cut at the width */
    expect_range(0, BIT(39) - 0x2000, 0x2000);
}

static void test_reserved_wins(void **state)
{
    (void)state;
    add_pc();
    reserve(0x9f000, 0x61000);
    expect_range(0, 0x1000, 0x9e000);
    reserve(2 * GIB, MIB); /* splits */
    expect_range(1, MIB, 2 * GIB - MIB);
    expect_range(2, 2 * GIB + MIB, GIB - MIB);
    reserve(2 * GIB - MIB, 2 * GIB); /* end of one, all of the next */
    expect_range(1, MIB, 2 * GIB - 2 * MIB);
    assert_int_equal(p.count, 3);
    reserve(5 * GIB, UINT64_MAX); /* wraps: cut at the top */
    expect_range(2, 4 * GIB, GIB);
    reserve(6 * GIB, 0);
    reserve(BIT(39) + 5, 100);
    assert_int_equal(p.count, 3);
}

static void test_no_memory_can_be_added_after_a_reservation(void **state)
{
    (void)state;
    add_pc();
    reserve(2 * GIB, MIB);
    assert_int_equal(pages_add(&p, 2 * GIB, MIB), ERR_UNSUPPORTED);
}

static void test_too_many_pieces_lose_the_smallest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PAGES_RANGES_MAX; i++)
        add(MIB * (i + 1), i == 5 ? 0x2000 : 0x3000);
    assert_int_equal(p.count, PAGES_RANGES_MAX);
    assert_int_equal(p.dropped, 0);
    add(MIB * 300, 0x1000); /* the newcomer is the smallest */
    assert_int_equal(p.dropped, 0x1000);
    add(MIB * 300, 0x8000); /* number 5 goes */
    assert_int_equal(p.dropped, 0x3000);
    assert_int_equal(p.count, PAGES_RANGES_MAX);
    expect_range(5, 7 * MIB, 0x3000);
    expect_range(PAGES_RANGES_MAX - 1, MIB * 300, 0x8000);
    reserve(MIB * 300 + 0x2000, 0x2000); /* splits in a full list: 0x2000 and 0x4000 */
    assert_int_equal(p.count, PAGES_RANGES_MAX);
    assert_int_equal(p.dropped, 0x5000);
    expect_range(PAGES_RANGES_MAX - 1, MIB * 300 + 0x4000, 0x4000);
}

static void test_pool_is_below_4g_above_1m_and_leaves_the_map(void **state)
{
    (void)state;
    add_pc();
    assert_int_equal(pages_pool(&p, 0), ERR_ALIGN);
    assert_int_equal(pages_pool(&p, MIB), ERR_ALIGN);
    assert_int_equal(pages_pool(&p, 4 * GIB), ERR_NOMEM);
    assert_int_equal(pages_pool(&p, 4 * MIB), OK);
    assert_int_equal(p.pool_base, 3 * GIB - 4 * MIB);
    assert_true(pages_ok(&p));
    expect_range(1, MIB, 3 * GIB - 5 * MIB);
    assert_int_equal(pages_pool(&p, 4 * MIB), ERR_UNSUPPORTED);
    assert_int_equal(pages_reserve(&p, 0, 1), ERR_UNSUPPORTED);
    assert_int_equal(pages_free_bytes(&p), 639 * KIB - 3 * KIB + 3 * GIB - 5 * MIB + 5 * GIB);
}

static void test_table_pages_are_zeroed_and_counted(void **state)
{
    uint64_t first = 0;
    uint64_t hpa = 0;

    (void)state;
    add_pc();
    assert_int_equal(pages_alloc(&p, &hpa), ERR_UNSUPPORTED);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    phys_fake_pool(p.pool_base, p.pool_len);
    assert_false(pages_is_table(&p, p.pool_base));
    assert_int_equal(pages_alloc(&p, &first), OK);
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(((uint8_t *)phys_table(first))[i], 0);
    assert_int_equal(((uint8_t *)phys_table(first + 4095))[1], 0xaa);
    assert_true(pages_is_table(&p, first));
    assert_false(pages_is_table(&p, first + 8));
    assert_false(pages_is_table(&p, first + 4096));
    assert_false(pages_is_table(&p, first - 4096));
    for (unsigned i = 1; i < 512; i++) {
        assert_int_equal(pages_alloc(&p, &hpa), OK);
        assert_int_equal(hpa, first + i * 4096);
    }
    hpa = 7;
    assert_int_equal(pages_alloc(&p, &hpa), ERR_NOMEM);
    assert_int_equal(hpa, 7);
    assert_true(pages_ok(&p));
}

static void test_blocks_come_from_high_memory_first(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    add_pc();
    assert_int_equal(pages_take_block(&p, MIB, 4096, &hpa), ERR_UNSUPPORTED);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(pages_take_block(&p, GIB, GIB, &hpa), OK);
    assert_int_equal(hpa, 8 * GIB);
    assert_int_equal(pages_take_block(&p, 512 * MIB, PAGE_2M, &hpa), OK);
    assert_int_equal(hpa, 7 * GIB + 512 * MIB);
    assert_int_equal(pages_take_block(&p, 3 * GIB, GIB, &hpa), OK);
    assert_int_equal(hpa, 4 * GIB);
    assert_int_equal(pages_take_block(&p, GIB, GIB, &hpa), OK); /* no room above 4 GiB any more */
    assert_int_equal(hpa, GIB);
    assert_true(pages_ok(&p));
    hpa = 7;
    assert_int_equal(pages_take_block(&p, 2 * GIB, PAGE_2M, &hpa), ERR_NOMEM);
    assert_int_equal(hpa, 7);
}

static void test_block_takes_the_smallest_range_that_fits(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    add_pc();
    add(16 * GIB, 64 * MIB);
    add(20 * GIB, 16 * MIB);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(pages_take_block(&p, 32 * MIB, PAGE_2M, &hpa), OK);
    assert_int_equal(hpa, 16 * GIB + 32 * MIB);
    assert_int_equal(pages_take_block(&p, 16 * MIB, PAGE_2M, &hpa), OK);
    assert_int_equal(hpa, 20 * GIB);
    assert_int_equal(pages_take_block(&p, 40 * MIB, PAGE_2M, &hpa), OK);
    assert_int_equal(hpa, 9 * GIB - 40 * MIB);
    assert_int_equal(pages_init(&p, 39), OK); /* the larger range comes later in the map */
    add(MIB, 15 * MIB);
    add(16 * GIB, 64 * MIB);
    add(20 * GIB, 128 * MIB);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(pages_take_block(&p, 32 * MIB, PAGE_2M, &hpa), OK);
    assert_int_equal(hpa, 16 * GIB + 32 * MIB);
}

static void test_block_arguments_are_checked(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    add_pc();
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(pages_take_block(&p, 0, 4096, &hpa), ERR_ALIGN);
    assert_int_equal(pages_take_block(&p, 4097, 4096, &hpa), ERR_ALIGN);
    assert_int_equal(pages_take_block(&p, 4096, 0, &hpa), ERR_ALIGN);
    assert_int_equal(pages_take_block(&p, 4096, 0x3000, &hpa), ERR_ALIGN);
    assert_int_equal(pages_take_block(&p, 4096, 2048, &hpa), ERR_ALIGN);
    assert_int_equal(pages_take_block(&p, UINT64_MAX - 4095, 4096, &hpa), ERR_NOMEM);
    assert_int_equal(pages_take_block(&p, 4096, BIT(63), &hpa), ERR_NOMEM);
}

static void test_no_block_below_1m(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    add(0x1000, 3 * MIB - 0x1000);
    add(16 * MIB, 2 * MIB);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(p.pool_base, 16 * MIB);
    assert_int_equal(pages_take_block(&p, 2 * MIB, 4096, &hpa), OK);
    assert_int_equal(hpa, MIB);
    assert_int_equal(pages_take_block(&p, 4096, 4096, &hpa), ERR_NOMEM);
    assert_int_equal(pages_take_low(&p, &hpa), OK);
}

static void test_low_page_is_below_640k(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    add(0, 0x3000);
    add(0x80000, 0x1800);
    add(0xa0000, 4 * MIB);
    assert_int_equal(pages_take_low(&p, &hpa), ERR_UNSUPPORTED);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(pages_take_low(&p, &hpa), OK);
    assert_int_equal(hpa, 0x80000);
    assert_int_equal(pages_take_low(&p, &hpa), OK);
    assert_int_equal(hpa, 0x2000);
    assert_int_equal(pages_take_low(&p, &hpa), OK);
    assert_int_equal(hpa, 0x1000);
    assert_int_equal(pages_take_low(&p, &hpa), ERR_NOMEM);
    assert_true(pages_ok(&p));
}

static void restrict_to(const struct mem_range *ranges, unsigned n)
{
    assert_int_equal(pages_restrict(&p, ranges, n), OK);
    assert_true(pages_ok(&p));
}

static void test_restrict_leaves_the_common_part(void **state)
{
    /* Out of order; one over a hole, two that overlap, one where nothing is. */
    static const struct mem_range ranges[] = {
        {5 * GIB,            MIB            },
        {3 * GIB - 64 * MIB, GIB + 128 * MIB},
        {5 * GIB + MIB / 2,  MIB            },
        {100 * GIB,          GIB            },
    };
    uint64_t hpa = 0;

    (void)state;
    add_pc();
    assert_int_equal(pages_restrict(&p, ranges, 4), ERR_UNSUPPORTED);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK); /* at 3 GiB - 2 MiB */
    restrict_to(ranges, 4);
    assert_int_equal(p.count, 3);
    expect_range(0, 3 * GIB - 64 * MIB, 62 * MIB);
    expect_range(1, 4 * GIB, 64 * MIB);
    expect_range(2, 5 * GIB, 3 * MIB / 2);
    assert_int_equal(p.pool_base, 3 * GIB - 2 * MIB);
    assert_int_equal(pages_take_low(&p, &hpa), ERR_NOMEM);
    assert_int_equal(pages_take_block(&p, 64 * MIB, 4096, &hpa), OK);
    assert_int_equal(hpa, 4 * GIB);
    assert_int_equal(pages_take_block(&p, 63 * MIB, 4096, &hpa), ERR_NOMEM);
    restrict_to(NULL, 0);
    assert_int_equal(p.count, 0);
}

static void test_restrict_counts_whole_pages_and_believes_nothing(void **state)
{
    static const struct mem_range odd[] = {
        {MIB + 1,           0x2fff    }, /* 101000..103fff */
        {4 * GIB - 1,       0x1001    }, /* 100000000..100000fff */
        {8 * GIB + 0x800,   UINT64_MAX}, /* wraps: up to the end of memory */
        {UINT64_MAX - 0xff, 0x1000    },
        {6 * GIB + 0x800,   0xfff     }, /* no whole page */
        {7 * GIB,           0         },
    };

    (void)state;
    add_pc();
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    for (unsigned i = 3; i < 6; i++)
        assert_int_equal(pages_free_in(&p, odd[i]), 0);
    assert_int_equal(pages_free_in(&p, odd[0]), 0x2000);
    assert_int_equal(pages_free_in(&p, odd[2]), GIB - 0x1000);
    restrict_to(odd, 6);
    assert_int_equal(p.count, 3);
    expect_range(0, MIB + 0x1000, 0x2000);
    expect_range(1, 4 * GIB, 0x1000);
    expect_range(2, 8 * GIB + 0x1000, GIB - 0x1000);
    assert_int_equal(pages_free_bytes(&p), 0x2000 + 0x1000 + GIB - 0x1000);
}

static void test_restrict_into_too_many_pieces_loses_the_smallest(void **state)
{
    struct mem_range ranges[PAGES_RANGES_MAX + 1];

    (void)state;
    add(MIB, GIB);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    for (unsigned i = 0; i < PAGES_RANGES_MAX + 1; i++)
        ranges[i] = (struct mem_range){(i + 1) * MIB, i == 7 ? 0x1000 : 0x2000};
    restrict_to(ranges, PAGES_RANGES_MAX + 1);
    assert_int_equal(p.count, PAGES_RANGES_MAX);
    assert_int_equal(p.dropped, 0x1000);
    expect_range(7, 9 * MIB, 0x2000);
}

static void test_largest_block_is_what_can_be_taken(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    assert_int_equal(pages_largest_block(&p, 4096), 0);
    add(0x1000, 3 * MIB - 0x1000); /* 2 MiB of it are above 1 MiB, not aligned to 2 MiB */
    add(16 * MIB, 2 * MIB);
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    assert_int_equal(pages_largest_block(&p, 4096), 2 * MIB);
    assert_int_equal(pages_largest_block(&p, PAGE_2M), MIB);
    assert_int_equal(pages_take_block(&p, MIB + 0x1000, PAGE_2M, &hpa), ERR_NOMEM);
    assert_int_equal(p.missing, MIB + 0x1000);
    assert_int_equal(pages_take_block(&p, MIB, PAGE_2M, &hpa), OK);
    assert_int_equal(p.missing, 0);
    assert_int_equal(hpa, 2 * MIB);
}

static void test_nothing_is_given_after_freeze(void **state)
{
    uint64_t hpa = 7;

    (void)state;
    add_pc();
    assert_int_equal(pages_pool(&p, 2 * MIB), OK);
    pages_freeze(&p);
    assert_int_equal(pages_alloc(&p, &hpa), ERR_NOMEM);
    assert_int_equal(pages_take_block(&p, 4096, 4096, &hpa), ERR_NOMEM);
    assert_int_equal(pages_take_low(&p, &hpa), ERR_NOMEM);
    assert_int_equal(pages_add(&p, 0, MIB), ERR_UNSUPPORTED);
    assert_int_equal(pages_reserve(&p, 0, MIB), ERR_UNSUPPORTED);
    assert_int_equal(pages_restrict(&p, NULL, 0), ERR_NOMEM);
    assert_int_equal(hpa, 7);
}

static void test_ok_sees_a_broken_map(void **state)
{
    (void)state;
    add_pc();
    p.free[1].base = 0x2000; /* overlaps the first */
    assert_false(pages_ok(&p));
    assert_int_equal(pages_init(&p, 39), OK);
    add_pc();
    p.free[0].len = 0x1001;
    assert_false(pages_ok(&p));
    p.free[0].len = 0;
    assert_false(pages_ok(&p));
    assert_int_equal(pages_init(&p, 39), OK);
    add_pc();
    p.count = PAGES_RANGES_MAX + 1;
    assert_false(pages_ok(&p));
}

/* Model: one byte per page of 4 MiB: 0 nothing, 1 free. */
#define MODEL_PAGES 1024
static uint8_t model[MODEL_PAGES];

static void model_set(uint64_t base, uint64_t len, uint8_t value)
{
    for (uint64_t i = 1; i < MODEL_PAGES; i++) {
        uint64_t lo = i * 4096;

        if (value == 1 && lo >= base && lo + 4096 <= base + len)
            model[i] = 1;
        if (value == 0 && len != 0 && lo < base + len && base < lo + 4096)
            model[i] = 0;
    }
}

static void model_compare(void)
{
    for (uint64_t i = 0; i < MODEL_PAGES; i++) {
        bool is_free = false;

        for (unsigned r = 0; r < p.count; r++)
            is_free |= i * 4096 >= p.free[r].base && i * 4096 - p.free[r].base < p.free[r].len;
        assert_int_equal(is_free, model[i]);
    }
}

static void test_random_maps_agree_with_a_page_by_page_model(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        assert_int_equal(pages_init(&p, 39), OK);
        memset(model, 0, sizeof(model));
        for (unsigned i = 0; i < 20; i++) {
            uint64_t base = rnd() % (MODEL_PAGES * 4096);
            uint64_t len = rnd() % 0x40000;

            if (base + len > MODEL_PAGES * 4096)
                len = MODEL_PAGES * 4096 - base;
            if (i < 10)
                add(base, len);
            else
                reserve(base, len);
            model_set(base, len, i < 10);
        }
        model_compare();
    }
}

/* Values that matter more often than chance would have it. */
static uint64_t rnd_odd(void)
{
    uint64_t v = rnd();

    switch (rnd() % 5) {
    case 0: return v;
    case 1: return v % BIT(39);
    case 2: return UINT64_MAX - v % 8192;
    case 3: return (v % 4096) * 0x800;
    default: return v % (16 * GIB) & ~0xfffull;
    }
}

static void random_call(void)
{
    uint64_t hpa = 0;
    enum err e = OK;

    switch (rnd() % 40) {
    case 0: e = pages_pool(&p, (rnd() % 4) * PAGE_2M); break;
    case 1: e = pages_reserve(&p, rnd_odd(), rnd() % 0x10000); break;
    case 2: e = pages_reserve(&p, rnd_odd(), rnd_odd() % GIB); break;
    case 3:
    case 4: e = pages_take_low(&p, &hpa); break;
    case 5:
    case 6:
    case 7: e = pages_take_block(&p, rnd_odd(), BIT(rnd() % 64), &hpa); break;
    case 8:
    case 9: e = pages_take_block(&p, (rnd() % 64) * 4096, PAGE_2M, &hpa); break;
    case 10: {
        struct mem_range ranges[2] = {
            {rnd_odd(), rnd_odd()},
            {rnd_odd(), rnd_odd()}
        };

        e = pages_restrict(&p, ranges, 2);
        break;
    }
    default: e = pages_add(&p, rnd_odd(), rnd_odd()); break;
    }
    (void)e;
}

static void test_invariant_holds_over_random_calls(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 250; round++) {
        assert_int_equal(pages_init(&p, 39), OK);
        for (unsigned i = 0; i < 200 * (round % 2); i++) /* every second round: a full list */
            add(rnd() % (16 * GIB), rnd() % 0x40000);
        for (unsigned i = 0; i < 400; i++) {
            random_call();
            assert_true(pages_ok(&p));
        }
    }
}

static void test_blocks_never_overlap_each_other_or_reservations(void **state)
{
    struct mem_range taken[200];

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        unsigned n = 0;

        assert_int_equal(pages_init(&p, 39), OK);
        add_pc();
        for (n = 0; n < 20; n++) {
            taken[n] = (struct mem_range){rnd() % (9 * GIB), rnd() % (200 * MIB) + 1};
            reserve(taken[n].base, taken[n].len);
        }
        assert_int_equal(pages_pool(&p, 2 * MIB), OK);
        taken[n++] = (struct mem_range){p.pool_base, p.pool_len};
        while (n < 200) {
            uint64_t size = (rnd() % 20000 + 1) * 4096;
            uint64_t align = BIT(12 + rnd() % 19);
            uint64_t hpa = 0;

            if (pages_take_block(&p, size, align, &hpa) != OK)
                break;
            assert_int_equal(hpa % align, 0);
            assert_true(hpa >= MIB && hpa + size <= 9 * GIB);
            assert_true(hpa >= 4 * GIB || hpa + size <= 3 * GIB);
            for (unsigned i = 0; i < n; i++)
                assert_true(hpa + size <= taken[i].base || hpa >= taken[i].base + taken[i].len);
            taken[n++] = (struct mem_range){hpa, size};
        }
        assert_true(n > 25);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_width_outside_32_to_52_is_refused),
        T(test_ranges_out_of_order_and_overlapping_merge),
        T(test_usable_is_rounded_inwards_and_reserved_outwards),
        T(test_page_zero_is_never_free),
        T(test_hostile_lengths_add_nothing),
        T(test_reserved_wins),
        T(test_no_memory_can_be_added_after_a_reservation),
        T(test_too_many_pieces_lose_the_smallest),
        T(test_pool_is_below_4g_above_1m_and_leaves_the_map),
        T(test_table_pages_are_zeroed_and_counted),
        T(test_blocks_come_from_high_memory_first),
        T(test_block_takes_the_smallest_range_that_fits),
        T(test_block_arguments_are_checked),
        T(test_no_block_below_1m),
        T(test_low_page_is_below_640k),
        T(test_restrict_leaves_the_common_part),
        T(test_restrict_counts_whole_pages_and_believes_nothing),
        T(test_restrict_into_too_many_pieces_loses_the_smallest),
        T(test_largest_block_is_what_can_be_taken),
        T(test_nothing_is_given_after_freeze),
        T(test_ok_sees_a_broken_map),
        T(test_random_maps_agree_with_a_page_by_page_model),
        T(test_invariant_holds_over_random_calls),
        T(test_blocks_never_overlap_each_other_or_reservations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
