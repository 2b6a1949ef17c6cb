/* unit: mm/ept.c mm/pt.c mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Extended page tables. Expected bits: SDM 3C "EPT Translation Mechanism", entry formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/ept.h"
#include "mm/pt.h"
#include "tests/fake/phys_fake.h"

#define POOL (4 * MIB)

static struct pages pool;
static struct ept ept;
static struct ept_view v;
static struct ept_range made[1100]; /* what was mapped since start() */
static unsigned made_count;
static uint64_t seed = 0x2545f4914f6cdd1dull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void start(bool page_2m, bool page_1g)
{
    made_count = 0;
    assert_int_equal(pages_init(&pool, 39), OK);
    assert_int_equal(pages_add(&pool, MIB, 15 * MIB), OK);
    assert_int_equal(pages_pool(&pool, POOL), OK);
    phys_fake_pool(pool.pool_base, POOL);
    assert_int_equal(ept_init(&ept, &pool, page_2m, page_1g), OK);
}

static int setup(void **state)
{
    (void)state;
    start(true, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fake_reset();
    return 0;
}

static void note(uint64_t gpa, uint64_t hpa, uint64_t len, unsigned perms)
{
    made[made_count++] = (struct ept_range){gpa, hpa, len, perms};
}

static bool ok(void)
{
    return ept_ok(&ept, made, made_count);
}

static void map(uint64_t gpa, uint64_t hpa, uint64_t len, unsigned perms, enum ept_memory memory)
{
    assert_int_equal(ept_map(&ept, gpa, hpa, len, perms, memory), OK);
    note(gpa, hpa, len, perms);
    assert_true(ok());
}

static void expect(uint64_t gpa, uint64_t hpa, uint64_t size, unsigned perms,
                   enum ept_memory memory)
{
    assert_int_equal(ept_walk(&ept, gpa, &v), OK);
    assert_int_equal(v.hpa, hpa);
    assert_int_equal(v.size, size);
    assert_int_equal(v.perms, perms);
    assert_int_equal(v.memory, memory);
}

static void expect_none(uint64_t gpa)
{
    assert_int_equal(ept_walk(&ept, gpa, &v), ERR_NOTFOUND);
}

/* The entry of a level on the way to gpa, by hand. */
static uint64_t raw(uint64_t gpa, unsigned level)
{
    uint64_t table = ept.root_hpa;
    uint64_t e = 0;

    for (unsigned l = 4; l >= level; l--) {
        e = pt_get(table, gpa >> (12 + 9 * (l - 1)) & 511);
        table = e & 0xffffffffff000ull;
    }
    return e;
}

static void test_entries_have_the_bits_of_the_manual(void **state)
{
    (void)state;
    map(0, 0x5000, 4096, EPT_RWX, EPT_WB);
    map(0xfee00000, 0xfee00000, 4096, EPT_R | EPT_W, EPT_UC);
    map(PAGE_2M, 0x600000, PAGE_2M, EPT_R | EPT_X, EPT_WB);
    map(8 * GIB, 4 * GIB, GIB, EPT_R, EPT_WB);
    assert_int_equal(raw(0, 1), 0x5037); /* WB = 6 in [5:3], RWX; ignore-PAT [6] = 0 */
    assert_int_equal(raw(0xfee00000, 1), 0xfee00003);
    assert_int_equal(raw(PAGE_2M, 2), 0x6000b5); /* [7] large */
    assert_int_equal(raw(8 * GIB, 3), 0x1000000b1);
    assert_int_equal(raw(0, 4) & ~0xffffffffff000ull, 7);
    assert_int_equal(raw(0, 2) & ~0xffffffffff000ull, 7);
}

static void test_pointer_says_write_back_and_four_levels(void **state)
{
    (void)state;
    assert_int_equal(ept_pointer(&ept), ept.root_hpa + 0x1e);
    assert_int_equal(ept.root_hpa % 4096, 0);
}

static void test_largest_pages_are_used(void **state)
{
    (void)state;
    /* 1 GiB - 2 MiB - 4 KiB .. 3 GiB + 2 MiB + 4 KiB, both sides alike */
    map(GIB - PAGE_2M - 4096, 5 * GIB - PAGE_2M - 4096, 2 * GIB + 2 * PAGE_2M + 8192, EPT_RWX,
        EPT_WB);
    expect(GIB - PAGE_2M - 1, 5 * GIB - PAGE_2M - 1, PAGE_SIZE, EPT_RWX, EPT_WB);
    expect(GIB - PAGE_2M, 5 * GIB - PAGE_2M, PAGE_2M, EPT_RWX, EPT_WB);
    expect(GIB, 5 * GIB, PAGE_1G, EPT_RWX, EPT_WB);
    expect(3 * GIB - 1, 7 * GIB - 1, PAGE_1G, EPT_RWX, EPT_WB);
    expect(3 * GIB, 7 * GIB, PAGE_2M, EPT_RWX, EPT_WB);
    expect(3 * GIB + PAGE_2M, 7 * GIB + PAGE_2M, PAGE_SIZE, EPT_RWX, EPT_WB);
    expect_none(3 * GIB + PAGE_2M + 4096);
    expect_none(GIB - PAGE_2M - 4097);
}

static void test_page_size_follows_alignment_of_both_sides(void **state)
{
    (void)state;
    map(0, GIB + PAGE_2M, GIB, EPT_RWX, EPT_WB); /* host not 1 GiB-aligned */
    expect(0, GIB + PAGE_2M, PAGE_2M, EPT_RWX, EPT_WB);
    map(GIB, 0x1000, PAGE_2M, EPT_RWX, EPT_WB); /* host not 2 MiB-aligned */
    expect(GIB, 0x1000, PAGE_SIZE, EPT_RWX, EPT_WB);
}

static void test_page_size_follows_the_cpu(void **state)
{
    (void)state;
    start(true, false);
    map(GIB, GIB, GIB, EPT_RWX, EPT_WB);
    expect(GIB, GIB, PAGE_2M, EPT_RWX, EPT_WB);
    start(false, true); /* 1 GiB without 2 MiB is not believed */
    map(GIB, GIB, PAGE_2M, EPT_RWX, EPT_WB);
    expect(GIB, GIB, PAGE_SIZE, EPT_RWX, EPT_WB);
}

static void test_wrong_arguments_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ept_map(&ept, 1, 0, 4096, EPT_RWX, EPT_WB), ERR_ALIGN);
    assert_int_equal(ept_map(&ept, 0, 8, 4096, EPT_RWX, EPT_WB), ERR_ALIGN);
    assert_int_equal(ept_map(&ept, 0, 0, 4097, EPT_RWX, EPT_WB), ERR_ALIGN);
    assert_int_equal(ept_map(&ept, 0, 0, 0, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, 0, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_W, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_X, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_W | EPT_X, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_R | 8, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_RWX, (enum ept_memory)2), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_RWX, (enum ept_memory)14), ERR_RANGE);
    expect_none(0);
    assert_int_equal(pool.pool_used, 4096);
}

static void test_addresses_beyond_the_width_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ept_map(&ept, BIT(39), 0, 4096, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, BIT(39), 4096, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, BIT(39) - 4096, 0, 8192, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 0, BIT(39) - 4096, 8192, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, 4096, 4096, UINT64_MAX - 4095, EPT_RWX, EPT_WB), ERR_RANGE);
    map(BIT(39) - 4096, BIT(39) - 4096, 4096, EPT_RWX, EPT_WB);
    pool.phys_bits = 52;
    assert_int_equal(ept_map(&ept, BIT(48), 0, 4096, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, BIT(48) - 4096, 0, 8192, EPT_RWX, EPT_WB), ERR_RANGE);
    assert_int_equal(ept_map(&ept, BIT(48) - 4096, BIT(52) - 4096, 4096, EPT_RWX, EPT_WB), OK);
    expect(BIT(48) - 1, BIT(52) - 1, 4096, EPT_RWX, EPT_WB);
    expect_none(BIT(48) + BIT(39) - 1); /* same low 48 bits as a mapped page */
}

static void test_overlap_is_refused_and_changes_nothing_present(void **state)
{
    (void)state;
    map(GIB, GIB, GIB, EPT_R, EPT_WB);
    map(4 * MIB, 64 * MIB, PAGE_2M, EPT_R, EPT_WB);
    map(6 * MIB, 0x9000, 4096, EPT_R, EPT_WB);
    assert_int_equal(ept_map(&ept, GIB + 4096, 0, 4096, EPT_RWX, EPT_WB), ERR_OVERLAP);
    assert_int_equal(ept_map(&ept, GIB, 0, PAGE_2M, EPT_RWX, EPT_WB), ERR_OVERLAP);
    assert_int_equal(ept_map(&ept, GIB, 0, GIB, EPT_RWX, EPT_WB), ERR_OVERLAP);
    assert_int_equal(ept_map(&ept, 0, 0, GIB, EPT_RWX, EPT_WB), ERR_OVERLAP); /* over tables */
    assert_int_equal(ept_map(&ept, 4 * MIB, 0, 4096, EPT_RWX, EPT_WB), ERR_OVERLAP);
    assert_int_equal(ept_map(&ept, 6 * MIB, 0, PAGE_2M, EPT_RWX, EPT_WB), ERR_OVERLAP);
    assert_int_equal(ept_map(&ept, 6 * MIB, 0, 4096, EPT_RWX, EPT_WB), ERR_OVERLAP);
    assert_int_equal(ept_map(&ept, 6 * MIB - 4096 - PAGE_2M, 0, 4096 + PAGE_2M, EPT_RWX, EPT_WB),
                     ERR_OVERLAP); /* the page before is mapped, then it stops */
    expect(4 * MIB - 4096, 0, 4096, EPT_RWX, EPT_WB);
    expect(4 * MIB, 64 * MIB, PAGE_2M, EPT_R, EPT_WB);
    expect(6 * MIB, 0x9000, 4096, EPT_R, EPT_WB);
    expect(GIB, GIB, GIB, EPT_R, EPT_WB);
    expect_none(0);
    note(6 * MIB - 4096 - PAGE_2M, 0, 4096, EPT_RWX);
    assert_true(ok());
}

static void test_empty_and_frozen_pool_are_errors(void **state)
{
    enum err e = OK;

    (void)state;
    for (uint64_t gpa = 0; e == OK; gpa += PAGE_2M) {
        e = ept_map(&ept, gpa, 0, 4096, EPT_RWX, EPT_WB);
        note(gpa, 0, 4096, EPT_RWX);
    }
    assert_int_equal(e, ERR_NOMEM);
    made_count--;
    assert_true(ok());
    start(true, true);
    pages_freeze(&pool);
    assert_int_equal(ept_map(&ept, 0, 0, 4096, EPT_RWX, EPT_WB), ERR_NOMEM);
}

static void test_ok_wants_the_ranges_and_nothing_else(void **state)
{
    const struct ept_range good[2] = {
        {0,       GIB,      4 * MIB, EPT_RWX      },
        {8 * GIB, 16 * GIB, GIB,     EPT_R | EPT_X}
    };
    struct ept_range r[3];

    (void)state;
    map(0, GIB, 4 * MIB, EPT_RWX, EPT_WB);
    map(8 * GIB, 16 * GIB, GIB, EPT_R | EPT_X, EPT_WB);
    assert_true(ept_ok(&ept, good, 2));
    assert_false(ept_ok(&ept, good, 1)); /* more is mapped */
    assert_false(ept_ok(&ept, good + 1, 1));
    assert_false(ept_ok(&ept, good, 0));
    for (unsigned i = 0; i < 2; i++) {
        memcpy(r, good, sizeof(good));
        r[i].perms ^= EPT_W; /* other rights, too many or too few */
        assert_false(ept_ok(&ept, r, 2));
        memcpy(r, good, sizeof(good));
        r[i].hpa += PAGE_2M;
        assert_false(ept_ok(&ept, r, 2));
        memcpy(r, good, sizeof(good));
        r[i].gpa += PAGE_2M;
        assert_false(ept_ok(&ept, r, 2));
        memcpy(r, good, sizeof(good));
        r[i].len -= PAGE_SIZE; /* the last page is larger */
        assert_false(ept_ok(&ept, r, 2));
        r[i].len += 2 * PAGE_SIZE; /* not all of it is mapped */
        assert_false(ept_ok(&ept, r, 2));
        r[i].len = UINT64_MAX - 4095;
        assert_false(ept_ok(&ept, r, 2));
    }
    memcpy(r, good, sizeof(good));
    r[2] = (struct ept_range){GIB, 2 * GIB, PAGE_SIZE, EPT_RWX};
    assert_false(ept_ok(&ept, r, 3)); /* not mapped */
    r[2] = (struct ept_range){PAGE_2M, GIB + PAGE_2M, PAGE_2M, EPT_RWX};
    r[0].len = PAGE_2M;
    assert_true(ept_ok(&ept, r, 3)); /* the same, told in two pieces */
}

static void expect_broken(uint64_t table, unsigned index, uint64_t entry)
{
    uint64_t old = pt_get(table, index);

    assert_true(ok());
    pt_set(table, index, entry);
    assert_false(ok());
    pt_set(table, index, old);
    assert_true(ok());
}

static void test_ok_sees_broken_entries(void **state)
{
    uint64_t dir;
    uint64_t table;

    (void)state;
    map(0, 0x5000, 4096, EPT_RWX, EPT_WB);
    dir = raw(0, 3) & PT_ADDRESS;
    table = raw(0, 2) & PT_ADDRESS;
    expect_broken(table, 3, 0x5077);                   /* ignore-PAT */
    expect_broken(table, 3, 0x500f);                   /* memory type 1 */
    expect_broken(table, 3, 0x5032);                   /* write without read */
    expect_broken(table, 3, 0x5034);                   /* execute only */
    expect_broken(table, 3, 0x5000);                   /* absent, not zero */
    expect_broken(table, 3, BIT(39) | 0x37);           /* beyond the width */
    expect_broken(table, 3, BIT(63) | 0x5037);         /* suppress #VE */
    expect_broken(dir, 3, 0x6010b7);                   /* 2 MiB page, not aligned */
    expect_broken(dir, 3, table | 7);                  /* a table seen twice */
    expect_broken(dir, 3, ept.root_hpa | 7);           /* a loop */
    expect_broken(dir, 3, (table + 8 * 4096) | 7);     /* a pool page never given out */
    expect_broken(dir, 0, table | 3);                  /* link without execute */
    expect_broken(dir, 0, (MIB) | 7);                  /* outside the pool */
    expect_broken(ept.root_hpa, 3, 0x40000000 | 0xb7); /* a leaf in level 4 */
    ept.root_hpa = MIB;
    assert_false(ok());
}

/* Model: a list of ranges that were mapped; later ones were refused where they met earlier ones. */
struct model {
    uint64_t gpa, hpa, len;
    unsigned perms;
    enum ept_memory memory;
};
static struct model model[64];
static unsigned model_count;

static const struct model *model_find(uint64_t gpa)
{
    for (unsigned i = 0; i < model_count; i++) {
        if (gpa >= model[i].gpa && gpa - model[i].gpa < model[i].len)
            return &model[i];
    }
    return NULL;
}

static void compare_at(uint64_t gpa)
{
    const struct model *m = model_find(gpa);

    if (m == NULL) {
        expect_none(gpa);
        return;
    }
    assert_int_equal(ept_walk(&ept, gpa, &v), OK);
    assert_int_equal(v.hpa, m->hpa + (gpa - m->gpa));
    assert_int_equal(v.perms, m->perms);
    assert_int_equal(v.memory, m->memory);
    /* the page lies inside the range, and a larger one would not have fitted */
    uint64_t off = gpa % v.size;
    assert_true(gpa - off >= m->gpa && gpa - off + v.size <= m->gpa + m->len);
    for (uint64_t s = v.size * 512; s <= pt_size(ept.max_level); s *= 512)
        assert_true((m->gpa ^ m->hpa) % s != 0 || gpa / s * s < m->gpa ||
                    gpa / s * s + s > m->gpa + m->len);
}

static bool model_meets(uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < model_count; i++) {
        if (gpa < model[i].gpa + model[i].len && model[i].gpa < gpa + len)
            return true;
    }
    return false;
}

static uint64_t rnd_aligned(uint64_t limit)
{
    static const uint64_t unit[] = {PAGE_SIZE, PAGE_2M, PAGE_1G};

    return align_down(rnd() % limit, unit[rnd() % 3]);
}

/* Small ranges at random places, or large ones with small tails. */
static uint64_t rnd_len(void)
{
    uint64_t len = (rnd() % 3 == 0 ? rnd() % 8 * PAGE_2M : 0) + rnd() % 64 * PAGE_SIZE;

    return len + (rnd() % 4 == 0 ? PAGE_1G * (1 + rnd() % 2) : 0) + PAGE_SIZE;
}

static void random_map(void)
{
    uint64_t gpa = rnd_aligned(32 * GIB);
    uint64_t hpa = rnd() % 2 == 0 ? gpa + rnd_aligned(8 * GIB) : rnd_aligned(64 * GIB);
    uint64_t len = (gpa ^ hpa) % PAGE_2M == 0 ? rnd_len() : rnd() % 200 * PAGE_SIZE + PAGE_SIZE;
    unsigned perms = EPT_R | (unsigned)(rnd() % 8);
    enum ept_memory memory = rnd() % 2 == 0 ? EPT_WB : EPT_UC;
    enum err e;

    if (model_meets(gpa, len)) /* only try what is refused at once, so the model stays simple */
        len = PAGE_SIZE;
    e = ept_map(&ept, gpa, hpa, len, perms, memory);
    assert_int_equal(e, model_meets(gpa, len) ? ERR_OVERLAP : OK);
    if (e == OK) {
        model[model_count++] = (struct model){gpa, hpa, len, perms, memory};
        note(gpa, hpa, len, perms);
    }
}

static void compare_all(void)
{
    for (unsigned i = 0; i < model_count; i++) {
        const struct model *m = &model[i];

        for (uint64_t s = PAGE_SIZE; s <= PAGE_1G; s *= 512) {
            const uint64_t edge[] = {m->gpa, align_up(m->gpa, s), align_down(m->gpa + m->len, s),
                                     m->gpa + m->len, m->gpa + rnd() % m->len};

            for (unsigned k = 0; k < 5; k++) {
                compare_at(edge[k]);
                if (edge[k] != 0)
                    compare_at(edge[k] - 1);
            }
        }
    }
}

static void test_random_maps_agree_with_a_simple_model(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        start(round % 4 != 0, round % 4 > 1);
        if (round % 4 == 0)
            ept.max_level = 2; /* pool too small for gigabytes of 4 KiB pages */
        model_count = 0;
        for (unsigned i = 0; i < 60; i++)
            random_map();
        assert_true(model_count > 20);
        compare_all();
        assert_true(ok());
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_entries_have_the_bits_of_the_manual),
        T(test_pointer_says_write_back_and_four_levels),
        T(test_largest_pages_are_used),
        T(test_page_size_follows_alignment_of_both_sides),
        T(test_page_size_follows_the_cpu),
        T(test_wrong_arguments_are_refused),
        T(test_addresses_beyond_the_width_are_refused),
        T(test_overlap_is_refused_and_changes_nothing_present),
        T(test_empty_and_frozen_pool_are_errors),
        T(test_ok_wants_the_ranges_and_nothing_else),
        T(test_ok_sees_broken_entries),
        T(test_random_maps_agree_with_a_simple_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
