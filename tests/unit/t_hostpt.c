/* unit: mm/hostpt.c mm/pt.c mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own page tables. Expected bits: SDM 3A "4-Level Paging", entry formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/hostpt.h"
#include "mm/pt.h"
#include "tests/fake/phys_fake.h"

#define VA   0xffffffff80000000ull
#define POOL (2 * MIB)

static struct pages pool;
static struct hostpt pt;
static struct hostpt_view v;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(pages_init(&pool, 39), OK);
    assert_int_equal(pages_add(&pool, MIB, 15 * MIB), OK);
    assert_int_equal(pages_pool(&pool, POOL), OK);
    phys_fake_pool(pool.pool_base, POOL);
    assert_int_equal(hostpt_init(&pt, &pool), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_true(pages_ok(&pool));
    phys_fake_reset();
    return 0;
}

static void map(uint64_t va, uint64_t hpa, uint64_t len, unsigned flags)
{
    assert_int_equal(hostpt_map(&pt, va, hpa, len, flags), OK);
    assert_true(hostpt_ok(&pt));
}

static void expect(uint64_t va, uint64_t hpa, uint64_t size, unsigned flags)
{
    assert_int_equal(hostpt_walk(&pt, va, &v), OK);
    assert_int_equal(v.hpa, hpa);
    assert_int_equal(v.size, size);
    assert_int_equal(v.flags, flags);
}

static void expect_none(uint64_t va)
{
    assert_int_equal(hostpt_walk(&pt, va, &v), ERR_NOTFOUND);
}

/* The entry of a 4 KiB page, found by hand: SDM 3A figure "Linear-Address Translation to a 4-KByte
 * Page using 4-Level Paging". */
static uint64_t raw_pte(uint64_t va)
{
    uint64_t e = pt_get(pt.root_hpa, va >> 39 & 511);

    e = pt_get(e & 0xffffffffff000ull, va >> 30 & 511);
    e = pt_get(e & 0xffffffffff000ull, va >> 21 & 511);
    return pt_get(e & 0xffffffffff000ull, va >> 12 & 511);
}

static void test_page_entries_have_the_bits_of_the_manual(void **state)
{
    (void)state;
    map(VA, 0x100000, 4096, 0);
    map(VA + 0x1000, 0x101000, 4096, HOSTPT_W);
    map(VA + 0x2000, 0x102000, 4096, HOSTPT_X);
    map(VA + 0x3000, 0xfee00000, 4096, HOSTPT_W | HOSTPT_UC);
    assert_int_equal(raw_pte(VA), 0x8000000000100061ull); /* P, A, D, NX */
    assert_int_equal(raw_pte(VA + 0x1000), 0x8000000000101063ull);
    assert_int_equal(raw_pte(VA + 0x2000), 0x0000000000102061ull);
    assert_int_equal(raw_pte(VA + 0x3000), 0x80000000fee0007bull); /* PCD, PWT */
    expect(VA + 0x123, 0x100123, 4096, 0);
    expect(VA + 0x1fff, 0x101fff, 4096, HOSTPT_W);
    expect(VA + 0x2000, 0x102000, 4096, HOSTPT_X);
    expect(VA + 0x3020, 0xfee00020, 4096, HOSTPT_W | HOSTPT_UC);
    expect_none(VA + 0x4000);
    expect_none(VA - 1);
}

static void test_2m_pages_where_both_are_aligned(void **state)
{
    (void)state;
    map(VA + 0x1ff000, 0x3ff000, 0x402000, HOSTPT_W); /* 4K, 2 x 2M, 4K */
    expect(VA + 0x1ff000, 0x3ff000, PAGE_SIZE, HOSTPT_W);
    expect(VA + 0x200000, 0x400000, PAGE_2M, HOSTPT_W);
    expect(VA + 0x5fffff, 0x7fffff, PAGE_2M, HOSTPT_W);
    expect(VA + 0x600000, 0x800000, PAGE_SIZE, HOSTPT_W);
    expect_none(VA + 0x601000);
    expect_none(VA + 0x1fefff);
    map(VA + 16 * MIB, 0x401000, PAGE_2M, 0); /* va aligned, hpa not */
    expect(VA + 16 * MIB, 0x401000, PAGE_SIZE, 0);
    map(VA + GIB, GIB, GIB, 0); /* never 1 GiB pages */
    expect(VA + GIB, GIB, PAGE_2M, 0);
}

static void test_writable_and_executable_is_refused(void **state)
{
    (void)state;
    assert_int_equal(hostpt_map(&pt, VA, 0, 4096, HOSTPT_W | HOSTPT_X), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, VA, 0, 4096, HOSTPT_W | HOSTPT_X | HOSTPT_UC), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, VA, 0, 4096, 16), ERR_RANGE);
    expect_none(VA);
}

/* Write-combining is PAT entry 1, PWT alone; uncacheable entry 3. Both at once is nothing. */
static void test_write_combining(void **state)
{
    (void)state;
    map(VA, 0x200000, PAGE_2M, HOSTPT_W | HOSTPT_WC);
    expect(VA, 0x200000, PAGE_2M, HOSTPT_W | HOSTPT_WC);
    assert_int_equal(hostpt_entry_2m(0, HOSTPT_WC) & 0x18, 0x08);
    assert_int_equal(hostpt_entry_2m(0, HOSTPT_UC) & 0x18, 0x18);
    assert_int_equal(hostpt_map(&pt, VA + PAGE_2M, 0, 4096, HOSTPT_UC | HOSTPT_WC), ERR_RANGE);
    expect_none(VA + PAGE_2M);
}

static void test_misaligned_is_refused(void **state)
{
    (void)state;
    assert_int_equal(hostpt_map(&pt, VA + 1, 0, 4096, 0), ERR_ALIGN);
    assert_int_equal(hostpt_map(&pt, VA, 0x800, 4096, 0), ERR_ALIGN);
    assert_int_equal(hostpt_map(&pt, VA, 0, 4095, 0), ERR_ALIGN);
    assert_int_equal(hostpt_map(&pt, VA, 0, 0, 0), ERR_RANGE);
}

static void test_address_limits(void **state)
{
    (void)state;
    assert_int_equal(hostpt_map(&pt, 0x7ffffffff000, 0, 8192, 0), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, 0x800000000000, 0, 4096, 0), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, 0xffff7ffffffff000, 0, 8192, 0), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, 0xfffffffffffff000, 0, 8192, 0), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, VA, BIT(39), 4096, 0), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, VA, BIT(39) - 4096, 8192, 0), ERR_RANGE);
    assert_int_equal(hostpt_map(&pt, 0, 0, UINT64_MAX - 4095, 0), ERR_RANGE);
    map(0x7ffffffff000, BIT(39) - 4096, 4096, 0);
    map(0xffff800000000000, 0, 4096, 0);
    map(0xfffffffffffff000, 0x5000, 4096, 0); /* the last page of all */
    expect(0xffffffffffffffff, 0x5fff, 4096, 0);
    expect(0x7fffffffffff, BIT(39) - 1, 4096, 0);
    expect_none(0x800000000000);     /* not canonical, though its low 48 bits are */
    expect_none(0x0000ffffffffffff); /* the tables' index of the last page */
}

static void test_overlap_is_refused_and_changes_nothing_present(void **state)
{
    (void)state;
    map(VA, 0x400000, PAGE_2M, 0);
    map(VA + PAGE_2M, 0x100000, 4096, HOSTPT_X);
    assert_int_equal(hostpt_map(&pt, VA, 0x400000, 4096, 0), ERR_OVERLAP); /* in a large page */
    assert_int_equal(hostpt_map(&pt, VA, 0, PAGE_2M, 0), ERR_OVERLAP);
    assert_int_equal(hostpt_map(&pt, VA + PAGE_2M, 0, PAGE_2M, 0), ERR_OVERLAP); /* over a table */
    assert_int_equal(hostpt_map(&pt, VA + PAGE_2M, 0, 4096, HOSTPT_W), ERR_OVERLAP);
    expect(VA, 0x400000, PAGE_2M, 0);
    expect(VA + PAGE_2M, 0x100000, 4096, HOSTPT_X);
    assert_true(hostpt_ok(&pt));
}

static void test_empty_pool_is_an_error(void **state)
{
    uint64_t va = VA;
    enum err e = OK;

    (void)state;
    while (e == OK) { /* one table each */
        e = hostpt_map(&pt, va, 0, 4096, 0);
        va += PAGE_2M;
    }
    assert_int_equal(e, ERR_NOMEM);
    assert_int_equal(pool.pool_used, POOL);
    assert_true(hostpt_ok(&pt));
}

static void test_slot_is_an_empty_page_directory_entry(void **state)
{
    uint64_t table = 0;
    unsigned index = 0;

    (void)state;
    assert_int_equal(hostpt_slot_2m(&pt, VA + 4096, &table, &index), ERR_ALIGN);
    assert_int_equal(hostpt_slot_2m(&pt, BIT(47), &table, &index), ERR_RANGE);
    assert_int_equal(hostpt_slot_2m(&pt, VA + 6 * MIB, &table, &index), OK);
    assert_int_equal(index, 3);
    expect_none(VA + 6 * MIB);
    pt_set(table, index, hostpt_entry_2m(0x40000000, HOSTPT_W | HOSTPT_X));
    assert_int_equal(pt_get(table, index), 0x80000000400000e3ull); /* P RW A D PS NX */
    expect(VA + 6 * MIB + 5, 0x40000005, PAGE_2M, HOSTPT_W);
    assert_true(hostpt_ok(&pt));
    assert_int_equal(hostpt_slot_2m(&pt, VA + 6 * MIB, &table, &index), ERR_OVERLAP);
    map(VA + 8 * MIB, 0x1000, 4096, 0);
    assert_int_equal(hostpt_slot_2m(&pt, VA + 8 * MIB, &table, &index), ERR_OVERLAP);
}

static void test_ok_sees_broken_entries(void **state)
{
    uint64_t table = 0;
    unsigned index = 0;

    (void)state;
    assert_int_equal(hostpt_slot_2m(&pt, VA, &table, &index), OK);
    assert_true(hostpt_ok(&pt));
    pt_set(table, index, 0x00000000400000e3ull); /* writable and executable */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, 0x80000000400000e7ull); /* user-accessible */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, 0x80000000400010e1ull); /* not 2 MiB-aligned (bit 12 is PAT here) */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, 0x80000080000000e1ull); /* beyond the width */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, 0x0000000000000002ull); /* absent, not zero */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, pt.root_hpa | 0x23); /* a loop */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, 0x100000 | 0x23); /* table outside the pool */
    assert_false(hostpt_ok(&pt));
    pt_set(table, index, 0);
    assert_true(hostpt_ok(&pt));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_page_entries_have_the_bits_of_the_manual),
        T(test_2m_pages_where_both_are_aligned),
        T(test_writable_and_executable_is_refused),
        T(test_write_combining),
        T(test_misaligned_is_refused),
        T(test_address_limits),
        T(test_overlap_is_refused_and_changes_nothing_present),
        T(test_empty_pool_is_an_error),
        T(test_slot_is_an_empty_page_directory_entry),
        T(test_ok_sees_broken_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
