/* SPDX-License-Identifier: BSD-2-Clause */
/* unit: guest/gva.c */
/*
 * Walks of a guest's page tables in a small fake memory.
 * Expected: SDM 3A "Paging": the tables of entry formats, "Determination of Access Rights",
 * "Page-Fault Exceptions".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/gva.h"
#include "lib/bits.h"
#include "lib/compiler.h"

#define RAM_SIZE    0x10000u
#define RANDOM_RUNS 200000u

#define PG          0x80000000ull
#define WP          0x00010000ull
#define PSE         0x10ull
#define PAE         0x20ull
#define LA57        0x1000ull
#define SMEP        0x100000ull
#define SMAP        0x200000ull
#define LMA         0x400ull
#define NXE         0x800ull
#define AC          0x40000ull

/* Bits of entries. */
#define P           0x01ull
#define RW          0x02ull
#define US          0x04ull
#define A           0x20ull
#define D           0x40ull
#define PS          0x80ull
#define XD          0x8000000000000000ull

/* The fake guest: RAM from address 0. */
struct vm {
    uint8_t ram[RAM_SIZE];
    unsigned reads;
    unsigned exchanges;
    unsigned race; /* so many exchanges find another value */
};

bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
    vm->reads++;
    if (gpa > RAM_SIZE || len > RAM_SIZE - gpa)
        return false;
    memcpy(buf, vm->ram + gpa, len);
    return true;
}

bool gmem_exchange(struct vm *vm, uint64_t gpa, unsigned size, uint64_t old, uint64_t value)
{
    uint64_t now = 0;

    vm->exchanges++;
    if (vm->race && vm->exchanges <= vm->race) /* another core is faster */
        vm->ram[gpa] ^= 0x08;
    assert_true(gpa <= RAM_SIZE && size <= RAM_SIZE - gpa && gpa % size == 0);
    memcpy(&now, vm->ram + gpa, size);
    if (now != old)
        return false;
    memcpy(vm->ram + gpa, &value, size);
    return true;
}

static void set32(struct vm *vm, uint64_t gpa, uint32_t value)
{
    memcpy(vm->ram + gpa, &value, sizeof(value));
}

static void set64(struct vm *vm, uint64_t gpa, uint64_t value)
{
    memcpy(vm->ram + gpa, &value, sizeof(value));
}

static struct gva_context context(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    struct gva_context ctx = {.cr0 = cr0, .cr3 = 0x1000, .cr4 = cr4, .efer = efer, .phys_bits = 46};
    return ctx;
}

static struct gva_context long_mode(void)
{
    return context(PG | WP, PAE, LMA | NXE);
}

static void expect_gpa(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                       enum gva_access access, uint64_t expected)
{
    uint64_t gpa = 0;
    uint32_t error = 0xff;

    assert_int_equal(gva_translate(vm, ctx, gva, access, &gpa, &error), GVA_OK);
    assert_int_equal(gpa, expected);
    assert_int_equal(error, 0);
}

static void expect_fault(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                         enum gva_access access, uint32_t expected)
{
    uint64_t gpa;
    uint32_t error = 0xff;

    assert_int_equal(gva_translate(vm, ctx, gva, access, &gpa, &error), GVA_PAGE_FAULT);
    assert_int_equal(error, expected);
}

static void expect_result(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                          enum gva_result expected)
{
    uint64_t gpa;
    uint32_t error = 0xff;

    assert_int_equal(gva_translate(vm, ctx, gva, GVA_READ, &gpa, &error), expected);
    assert_int_equal(error, 0);
}

/* Tables 1000 (PML4), 2000, 3000, 4000 map ffff8123456789ab -> 777789ab. */
#define LONG_GVA 0xffff8123456789abull

static void map_long(struct vm *vm, uint64_t leaf_bits)
{
    memset(vm, 0, sizeof(*vm));
    set64(vm, 0x1000 + 8 * 0x102, 0x2000 | P | RW | US);   /* [47:39] of the address */
    set64(vm, 0x2000 + 8 * 0x08d, 0x3000 | P | RW | US);   /* [38:30] */
    set64(vm, 0x3000 + 8 * 0x02b, 0x4000 | P | RW | US);   /* [29:21] */
    set64(vm, 0x4000 + 8 * 0x078, 0x77778000 | leaf_bits); /* [20:12] */
}

static void test_paging_off_is_identity_of_32_bits(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(0x11, PAE, 0);

    (void)state;
    expect_gpa(&vm, &ctx, 0xfee000b0, GVA_WRITE, 0xfee000b0);
    expect_gpa(&vm, &ctx, 0x100000010, GVA_FETCH, 0x10);
    assert_int_equal(vm.reads, 0);
}

static void test_32bit_4k_page(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, 0, 0);

    (void)state;
    ctx.cr3 = 0x1fff; /* [11:0] do not address */
    set32(&vm, 0x1000 + 4 * 0x3fb, 0x2000 | P | RW);
    set32(&vm, 0x2000 + 4 * 0x200, 0xfee00000 | P | RW);
    expect_gpa(&vm, &ctx, 0xfee000b0, GVA_FETCH, 0xfee000b0);
    set32(&vm, 0x2000 + 4 * 0x200, 0xabcde000 | P);
    expect_gpa(&vm, &ctx, 0xfee00fff, GVA_READ, 0xabcdefff);
    expect_gpa(&vm, &ctx, 0xffffffff00000000 | 0xfee00fff, GVA_READ, 0xabcdefff);
    expect_fault(&vm, &ctx, 0xfee01000, GVA_READ, 0);
    expect_fault(&vm, &ctx, 0x00400000, GVA_WRITE, PF_WRITE);
    assert_int_equal(vm.reads, 9);
}

static void test_32bit_4m_page_needs_pse(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, PSE, 0);

    (void)state;
    set32(&vm, 0x1000 + 4 * 0x3fb, 0xc0000000 | PS | P | RW);
    expect_gpa(&vm, &ctx, 0xfeffffff, GVA_READ, 0xc03fffff);
    expect_gpa(&vm, &ctx, 0xfec12345, GVA_READ, 0xc0012345);
    ctx.cr4 = 0; /* PS is ignored: a table outside RAM */
    expect_result(&vm, &ctx, 0xfec12345, GVA_NO_MEMORY);
}

static void test_pse36_gives_address_bits_39_to_32(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, PSE, 0);

    (void)state;
    set32(&vm, 0x1000, 0x00400000 | BIT32(13) | PS | P);
    expect_gpa(&vm, &ctx, 0x123456, GVA_READ, 0x100523456);
    set32(&vm, 0x1000, 0x00400000 | BIT32(20) | PS | P);
    expect_gpa(&vm, &ctx, 0x123456, GVA_READ, 0x8000523456);
    set32(&vm, 0x1000, 0x00400000 | BIT32(12) | PS | P); /* PAT */
    expect_gpa(&vm, &ctx, 0x123456, GVA_READ, 0x523456);
    set32(&vm, 0x1000, 0x00400000 | BIT32(21) | PS | P);
    expect_fault(&vm, &ctx, 0x123456, GVA_READ, PF_PRESENT | PF_RESERVED);
    ctx.phys_bits = 36;
    set32(&vm, 0x1000, 0x00400000 | BIT32(16) | PS | P);
    expect_gpa(&vm, &ctx, 0x123456, GVA_READ, 0x800523456);
    set32(&vm, 0x1000, 0x00400000 | BIT32(17) | PS | P);
    expect_fault(&vm, &ctx, 0x123456, GVA_READ, PF_PRESENT | PF_RESERVED);
}

static void test_pae_4k_and_2m_pages(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, PAE, NXE);

    (void)state;
    ctx.cr3 = 0x1fe0; /* aligned to 32 bytes */
    set64(&vm, 0x1fe0 + 8 * 3, 0x3000 | P);
    set64(&vm, 0x3000 + 8 * 0x1f7, 0x4000 | P | RW | US);
    set64(&vm, 0x4000 + 8 * 0x000, 0x3fffabcde000 | P | RW | US);
    expect_gpa(&vm, &ctx, 0xfee000b0, GVA_READ, 0x3fffabcde0b0);
    set64(&vm, 0x3000 + 8 * 0x1f7, 0xfee00000 | BIT(12) | PS | P | RW | US | XD);
    expect_gpa(&vm, &ctx, 0xfeffffff, GVA_WRITE, 0xfeffffff);
    expect_fault(&vm, &ctx, 0xfeffffff, GVA_FETCH, PF_PRESENT | PF_FETCH);
    expect_fault(&vm, &ctx, 0xbfffffff, GVA_READ, 0);
}

static void test_pae_pdpte_has_no_rights_but_reserved_bits(void **state)
{
    static const uint64_t reserved[] = {BIT(1), BIT(2), BIT(5), BIT(7), BIT(8), BIT(46), BIT(63)};
    struct vm vm = {0};
    struct gva_context ctx = context(PG | WP, PAE, NXE);

    (void)state;
    set64(&vm, 0x2000, 0x200000 | PS | P | RW | US);
    set64(&vm, 0x1000, 0x2000 | P | BIT(3) | BIT(4) | BIT(9));
    ctx.cpl = 3;
    expect_gpa(&vm, &ctx, 0x10, GVA_WRITE, 0x200010);
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        set64(&vm, 0x1000, 0x2000 | P | reserved[i]);
        expect_fault(&vm, &ctx, 0x10, GVA_READ, PF_PRESENT | PF_RESERVED | PF_USER);
    }
}

static void test_4_level_4k_page(void **state)
{
    struct vm vm;
    struct gva_context ctx = long_mode();

    (void)state;
    map_long(&vm, P | RW | US);
    ctx.cr3 = 0x1fff | BIT(61); /* PCID, LAM: not of the address */
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_WRITE, 0x777789ab);
    assert_int_equal(vm.reads, 4);
    expect_fault(&vm, &ctx, LONG_GVA + 0x1000, GVA_READ, 0);
    expect_fault(&vm, &ctx, LONG_GVA + BIT(21), GVA_READ, 0);
    expect_fault(&vm, &ctx, LONG_GVA + BIT(30), GVA_READ, 0);
    expect_fault(&vm, &ctx, LONG_GVA + BIT(39), GVA_READ, 0);
}

static void test_4_level_2m_and_1g_pages(void **state)
{
    struct vm vm;
    struct gva_context ctx = long_mode();

    (void)state;
    map_long(&vm, 0);
    set64(&vm, 0x3000 + 8 * 0x02b, 0x3ffffe00000 | BIT(12) | PS | P);
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_READ, 0x3ffffe789ab); /* [20:0] of the address */
    set64(&vm, 0x2000 + 8 * 0x08d, 0x1c0000000 | BIT(12) | PS | P);
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_READ, 0x1c56789ab); /* [29:0] */
}

static void test_5_level_walk(void **state)
{
    struct vm vm;
    struct gva_context ctx = context(PG, PAE | LA57, LMA);

    (void)state;
    map_long(&vm, P);
    ctx.cr3 = 0x5000;
    set64(&vm, 0x5000 + 8 * 0x034, 0x1000 | P | RW | US);
    expect_gpa(&vm, &ctx, 0x0034812345678000, GVA_READ, 0x77778000);
    assert_int_equal(vm.reads, 5);
    expect_fault(&vm, &ctx, 0xff34812345678000, GVA_READ, 0);
    ctx.cr4 = PAE;
    expect_result(&vm, &ctx, 0x0034812345678000, GVA_NON_CANONICAL);
}

static void test_non_canonical_addresses(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = long_mode();

    (void)state;
    expect_result(&vm, &ctx, 0x0000800000000000, GVA_NON_CANONICAL);
    expect_result(&vm, &ctx, 0xffff7fffffffffff, GVA_NON_CANONICAL);
    expect_result(&vm, &ctx, 0x8000000000000000, GVA_NON_CANONICAL);
    expect_fault(&vm, &ctx, 0x00007fffffffffff, GVA_READ, 0);
    expect_fault(&vm, &ctx, 0xffff800000000000, GVA_READ, 0);
    ctx.cr4 |= LA57;
    expect_fault(&vm, &ctx, 0x0000800000000000, GVA_READ, 0);
    expect_fault(&vm, &ctx, 0x00ffffffffffffff, GVA_READ, 0);
    expect_fault(&vm, &ctx, 0xff00000000000000, GVA_READ, 0);
    expect_result(&vm, &ctx, 0x0100000000000000, GVA_NON_CANONICAL);
    expect_result(&vm, &ctx, 0xfeffffffffffffff, GVA_NON_CANONICAL);
}

/* One entry of the walk of LONG_GVA with some bits turned over: a reserved-bit fault, or none. */
static void expect_entry(uint64_t entry_gpa, uint64_t bits, const struct gva_context *ctx,
                         bool reserved)
{
    struct vm vm;
    uint64_t entry;

    map_long(&vm, P | RW | US);
    memcpy(&entry, vm.ram + entry_gpa, sizeof(entry));
    set64(&vm, entry_gpa, entry ^ bits);
    if (reserved)
        expect_fault(&vm, ctx, LONG_GVA, GVA_READ, PF_PRESENT | PF_RESERVED);
    else
        assert_int_equal(gva_translate(&vm, ctx, LONG_GVA, GVA_READ, &entry, &(uint32_t){0}),
                         GVA_OK);
}

static void test_4_level_reserved_bits(void **state)
{
    static const uint64_t entries[4] = {0x4000 + 8 * 0x078, 0x3000 + 8 * 0x02b, 0x2000 + 8 * 0x08d,
                                        0x1000 + 8 * 0x102};
    struct gva_context ctx = long_mode();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        ctx.efer = LMA | NXE;
        expect_entry(entries[i], XD, &ctx, false);
        for (unsigned bit = 46; bit < 52; bit++)
            expect_entry(entries[i], BIT(bit), &ctx, true);
        expect_entry(entries[i], 0x7ffull << 52, &ctx, false);
        expect_entry(entries[i], 0xf78, &ctx, false); /* PWT PCD A D G, ignored */
        ctx.efer = LMA;
        expect_entry(entries[i], XD, &ctx, true);
    }
    expect_entry(entries[0], PS, &ctx, false); /* PAT */
    expect_entry(entries[3], PS, &ctx, true);
    for (unsigned bit = 13; bit < 30; bit++) {
        if (bit < 21)
            expect_entry(entries[1], 0x4000 ^ (PS | BIT(bit)), &ctx, true);
        expect_entry(entries[2], 0x3000 ^ (PS | BIT(bit)), &ctx, true);
    }
    expect_entry(entries[1], 0x4000 ^ (PS | BIT(12) | BIT(21)), &ctx, false);
    expect_entry(entries[2], 0x3000 ^ (PS | BIT(12) | BIT(30)), &ctx, false);
}

static void test_5_level_top_entry_may_not_be_a_page(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, PAE | LA57, LMA);

    (void)state;
    set64(&vm, 0x1000, 0x2000 | PS | P);
    expect_fault(&vm, &ctx, 0, GVA_READ, PF_PRESENT | PF_RESERVED);
}

static void test_pae_reserved_bits(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, PAE, 0);

    (void)state;
    set64(&vm, 0x1000, 0x2000 | P);
    for (unsigned bit = 46; bit <= 63; bit++) { /* [62:52] are reserved too, unlike long mode */
        set64(&vm, 0x2000, 0x3000 | P | BIT(bit));
        set64(&vm, 0x3000, P);
        expect_fault(&vm, &ctx, 0, GVA_READ, PF_PRESENT | PF_RESERVED);
        set64(&vm, 0x2000, 0x3000 | P);
        set64(&vm, 0x3000, P | BIT(bit));
        expect_fault(&vm, &ctx, 0, GVA_READ, PF_PRESENT | PF_RESERVED);
    }
    for (unsigned bit = 13; bit < 21; bit++) {
        set64(&vm, 0x2000, P | PS | BIT(bit));
        expect_fault(&vm, &ctx, 0, GVA_READ, PF_PRESENT | PF_RESERVED);
    }
}

static void test_not_present_comes_before_reserved(void **state)
{
    struct vm vm;
    struct gva_context ctx = long_mode();

    (void)state;
    map_long(&vm, ~0ull << 1);
    ctx.cpl = 3;
    expect_fault(&vm, &ctx, LONG_GVA, GVA_FETCH, PF_USER | PF_FETCH);
    expect_fault(&vm, &ctx, LONG_GVA, GVA_WRITE, PF_USER | PF_WRITE);
}

static void test_a_right_is_needed_in_every_entry(void **state)
{
    static const uint64_t entries[4] = {0x4000 + 8 * 0x078, 0x3000 + 8 * 0x02b, 0x2000 + 8 * 0x08d,
                                        0x1000 + 8 * 0x102};
    struct gva_context ctx = long_mode();

    (void)state;
    ctx.cpl = 3;
    for (unsigned i = 0; i < 4; i++) {
        struct vm vm;
        uint64_t entry;

        map_long(&vm, P | RW | US);
        memcpy(&entry, vm.ram + entries[i], sizeof(entry));
        set64(&vm, entries[i], entry & ~RW);
        expect_fault(&vm, &ctx, LONG_GVA, GVA_WRITE, PF_PRESENT | PF_USER | PF_WRITE);
        expect_gpa(&vm, &ctx, LONG_GVA, GVA_FETCH, 0x777789ab);
        set64(&vm, entries[i], entry & ~US);
        expect_fault(&vm, &ctx, LONG_GVA, GVA_READ, PF_PRESENT | PF_USER);
        set64(&vm, entries[i], entry | XD);
        expect_fault(&vm, &ctx, LONG_GVA, GVA_FETCH, PF_PRESENT | PF_USER | PF_FETCH);
        expect_gpa(&vm, &ctx, LONG_GVA, GVA_WRITE, 0x777789ab);
    }
}

/* One combination of what decides a right. */
struct trial {
    bool user_mode, us, rw, xd, wp, smep, smap, ac, nxe;
    enum gva_access access;
};

/* SDM 3A "Determination of Access Rights", item by item. */
static bool sdm_allows(const struct trial *t)
{
    if (t->user_mode) {
        if (!t->us)
            return false; /* no access to supervisor-mode addresses */
        if (t->access == GVA_READ)
            return true;
        return t->access == GVA_WRITE ? t->rw : !(t->nxe && t->xd);
    }
    if (t->access == GVA_FETCH) {
        if (t->us && t->smep)
            return false;
        return !(t->nxe && t->xd);
    }
    if (t->us && t->smap && !t->ac)
        return false;
    return t->access == GVA_READ || !t->wp || t->rw;
}

static void try_rights(const struct trial *t)
{
    struct vm vm;
    struct gva_context ctx =
        context(PG | (t->wp ? WP : 0), PAE | (t->smep ? SMEP : 0) | (t->smap ? SMAP : 0),
                LMA | (t->nxe ? NXE : 0));
    uint32_t error = PF_PRESENT | (t->access == GVA_WRITE ? PF_WRITE : 0) |
                     (t->user_mode ? PF_USER : 0) |
                     (t->access == GVA_FETCH && (t->smep || t->nxe) ? PF_FETCH : 0);

    ctx.rflags = t->ac ? AC : 0;
    ctx.cpl = t->user_mode ? 3 : 0;
    map_long(&vm, P | (t->us ? US : 0) | (t->rw ? RW : 0) | (t->xd ? XD : 0));
    if (t->xd && !t->nxe)
        expect_fault(&vm, &ctx, LONG_GVA, t->access, error | PF_RESERVED);
    else if (sdm_allows(t))
        expect_gpa(&vm, &ctx, LONG_GVA, t->access, 0x777789ab);
    else
        expect_fault(&vm, &ctx, LONG_GVA, t->access, error);
}

static void test_all_combinations_of_rights(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 512 * 3; i++) {
        unsigned b = i / 3;
        struct trial t = {
            .user_mode = b & 1,
            .us = b & 2,
            .rw = b & 4,
            .xd = b & 8,
            .wp = b & 16,
            .smep = b & 32,
            .smap = b & 64,
            .ac = b & 128,
            .nxe = b & 256,
            .access = (enum gva_access)(i % 3),
        };

        try_rights(&t);
    }
}

static void test_cpl_1_and_2_are_supervisor(void **state)
{
    struct vm vm;
    struct gva_context ctx = long_mode();

    (void)state;
    map_long(&vm, P | RW);
    for (ctx.cpl = 0; ctx.cpl < 3; ctx.cpl++)
        expect_gpa(&vm, &ctx, LONG_GVA, GVA_WRITE, 0x777789ab);
    expect_fault(&vm, &ctx, LONG_GVA, GVA_READ, PF_PRESENT | PF_USER);
}

static void test_32bit_fetch_sets_the_fetch_bit_only_with_smep(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = context(PG, 0, NXE); /* NX needs PAE */

    (void)state;
    expect_fault(&vm, &ctx, 0, GVA_FETCH, 0);
    ctx.cr4 = SMEP;
    expect_fault(&vm, &ctx, 0, GVA_FETCH, PF_FETCH);
    ctx.cr4 = PAE;
    expect_fault(&vm, &ctx, 0, GVA_FETCH, PF_FETCH);
    ctx.efer = 0;
    expect_fault(&vm, &ctx, 0, GVA_FETCH, 0);
}

static void test_tables_outside_ram_are_no_memory(void **state)
{
    static const uint64_t entries[3] = {0x1000 + 8 * 0x102, 0x2000 + 8 * 0x08d, 0x3000 + 8 * 0x02b};
    struct gva_context ctx = long_mode();
    struct vm vm;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        map_long(&vm, P | RW | US);
        set64(&vm, entries[i], 0x3ffffffff000 | P | RW | US);
        expect_result(&vm, &ctx, LONG_GVA, GVA_NO_MEMORY);
    }
    map_long(&vm, P | RW | US);
    ctx.cr3 = RAM_SIZE;
    expect_result(&vm, &ctx, LONG_GVA, GVA_NO_MEMORY);
    ctx.cr3 = ~0ull;
    expect_result(&vm, &ctx, LONG_GVA, GVA_NO_MEMORY);
}

static void test_tables_that_point_to_themselves_end(void **state)
{
    struct vm vm = {0};
    struct gva_context ctx = long_mode();

    (void)state;
    set64(&vm, 0x1000, 0x1000 | P | RW);
    expect_gpa(&vm, &ctx, 0x123, GVA_WRITE, 0x1123);
    assert_int_equal(vm.reads, 8); /* its accessed flag changes the one entry under the walk */
}

/* Flags of the entries of LONG_GVA, from the PML4E to the PTE. */
static void expect_flags(const struct vm *vm, uint64_t upper, uint64_t leaf)
{
    static const uint64_t entries[4] = {0x1000 + 8 * 0x102, 0x2000 + 8 * 0x08d, 0x3000 + 8 * 0x02b,
                                        0x4000 + 8 * 0x078};

    for (unsigned i = 0; i < 4; i++) {
        uint64_t entry;

        memcpy(&entry, vm->ram + entries[i], sizeof(entry));
        assert_int_equal(entry & (A | D), i < 3 ? upper : leaf);
    }
}

static void test_accessed_and_dirty_flags_are_set(void **state)
{
    struct vm vm, before;
    struct gva_context ctx = long_mode();

    (void)state;
    map_long(&vm, P | RW | US);
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_FETCH, 0x777789ab);
    expect_flags(&vm, A, A);
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_WRITE, 0x777789ab);
    expect_flags(&vm, A, A | D);
    assert_int_equal(vm.exchanges, 5);
    before = vm;
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_WRITE, 0x777789ab);
    assert_memory_equal(vm.ram, before.ram, RAM_SIZE);
    assert_int_equal(vm.exchanges, 5);
    map_long(&vm, P);
    expect_fault(&vm, &ctx, LONG_GVA, GVA_WRITE, PF_PRESENT | PF_WRITE);
    expect_flags(&vm, 0, 0);
}

static void test_flags_of_32bit_and_pae_entries(void **state)
{
    static const uint32_t bits = A | D;
    struct vm vm = {0};
    struct gva_context ctx = context(PG, PSE, 0);
    uint32_t entry;

    (void)state;
    set32(&vm, 0x1000, 0x2000 | P | RW);
    set32(&vm, 0x2004, 0x9000 | P | RW);
    set32(&vm, 0x1004, PS | P | RW);
    expect_gpa(&vm, &ctx, 0x1000, GVA_WRITE, 0x9000);
    expect_gpa(&vm, &ctx, 0x400000, GVA_WRITE, 0);
    memcpy(&entry, vm.ram + 0x1000, 4);
    assert_int_equal(entry & bits, A);
    memcpy(&entry, vm.ram + 0x2004, 4);
    assert_int_equal(entry & bits, A | D);
    memcpy(&entry, vm.ram + 0x1004, 4);
    assert_int_equal(entry & bits, A | D);
    memset(&vm, 0, sizeof(vm));
    ctx.cr4 = PAE;
    set64(&vm, 0x1000, 0x2000 | P);
    set64(&vm, 0x2000, PS | P | RW);
    expect_gpa(&vm, &ctx, 0x123, GVA_WRITE, 0x123);
    memcpy(&entry, vm.ram + 0x1000, 4);
    assert_int_equal(entry & bits, 0); /* a PDPTE has none */
    memcpy(&entry, vm.ram + 0x2000, 4);
    assert_int_equal(entry & bits, A | D);
}

static void test_entries_that_change_are_walked_again(void **state)
{
    struct vm vm;
    struct gva_context ctx = long_mode();

    (void)state;
    map_long(&vm, P | RW | US);
    vm.race = 1;
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_READ, 0x777789ab);
    expect_flags(&vm, A, A);
    map_long(&vm, P | RW | US);
    vm.race = ~0u; /* for ever: no end is waited for */
    expect_gpa(&vm, &ctx, LONG_GVA, GVA_READ, 0x777789ab);
    assert_true(vm.reads <= 20);
}

/* Linear pages 0 and 1 are physical pages 9 and 6; the last, 5. 32-bit paging. */
static void map_read(struct vm *vm)
{
    memset(vm, 0, sizeof(*vm));
    set32(vm, 0x1000, 0x2000 | P | RW);
    set32(vm, 0x1000 + 4 * 0x3ff, 0x2000 | P | RW);
    set32(vm, 0x2000, 0x9000 | P | RW);
    set32(vm, 0x2004, 0x6000 | P | RW);
    set32(vm, 0x2000 + 4 * 0x3ff, 0x5000 | P | RW);
    for (unsigned i = 0; i < 16; i++) {
        vm->ram[0x5ff0 + i] = (uint8_t)(0x50 + i);
        vm->ram[0x9000 + i] = (uint8_t)(0x90 + i);
        vm->ram[0x9ff0 + i] = (uint8_t)(0xa0 + i);
        vm->ram[0x6000 + i] = (uint8_t)(0x60 + i);
    }
}

static void test_read_crosses_a_page_border(void **state)
{
    const uint8_t expected[15] = {0xab, 0xac, 0xad, 0xae, 0xaf, 0x60, 0x61, 0x62,
                                  0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69};
    uint8_t buf[16] = {[15] = 0xee};
    struct vm vm;
    struct gva_context ctx = context(PG, 0, 0);
    struct gva_fault fault;

    (void)state;
    map_read(&vm);
    assert_int_equal(gva_read(&vm, &ctx, 0xffb, buf, 15, GVA_FETCH, &fault), GVA_OK);
    assert_memory_equal(buf, expected, 15);
    assert_int_equal(buf[15], 0xee);
    assert_int_equal(fault.copied, 15);
    vm.reads = 0;
    assert_int_equal(gva_read(&vm, &ctx, 0xff1, buf, 15, GVA_FETCH, &fault), GVA_OK);
    assert_int_equal(vm.reads, 3); /* ends with the page: the next one is not looked at */
    assert_int_equal(buf[14], 0xaf);
}

static void test_read_wraps_at_4_gib_outside_long_mode(void **state)
{
    uint8_t buf[4];
    const uint8_t expected[4] = {0x5e, 0x5f, 0x90, 0x91};
    struct vm vm;
    struct gva_context ctx = context(PG, 0, 0);
    struct gva_fault fault;

    (void)state;
    map_read(&vm);
    assert_int_equal(gva_read(&vm, &ctx, 0xfffffffe, buf, 4, GVA_READ, &fault), GVA_OK);
    assert_memory_equal(buf, expected, 4);
}

static void test_read_of_several_pages(void **state)
{
    static uint8_t buf[0x1100];
    struct vm vm;
    struct gva_context ctx = context(PG, 0, 0);
    struct gva_fault fault;

    (void)state;
    map_read(&vm);
    set32(&vm, 0x2008, 0x5000 | P);
    assert_int_equal(gva_read(&vm, &ctx, 0xf80, buf, sizeof(buf), GVA_READ, &fault), GVA_OK);
    assert_memory_equal(buf, vm.ram + 0x9f80, 0x80);
    assert_memory_equal(buf + 0x80, vm.ram + 0x6000, 0x1000);
    assert_memory_equal(buf + 0x1080, vm.ram + 0x5000, 0x80);
}

static void test_read_fault_after_the_wrap_is_at_0(void **state)
{
    uint8_t buf[4];
    struct vm vm;
    struct gva_context ctx = context(PG, 0, 0);
    struct gva_fault fault;

    (void)state;
    map_read(&vm);
    set32(&vm, 0x2000, 0);
    assert_int_equal(gva_read(&vm, &ctx, 0xfffffffe, buf, 4, GVA_READ, &fault), GVA_PAGE_FAULT);
    assert_int_equal(fault.copied, 2);
    assert_int_equal(fault.gva, 0);
}

static void test_read_stops_at_a_missing_page(void **state)
{
    uint8_t buf[15];
    struct vm vm;
    struct gva_context ctx = context(PG, SMEP, 0);
    struct gva_fault fault;

    (void)state;
    map_read(&vm);
    ctx.cpl = 0;
    assert_int_equal(gva_read(&vm, &ctx, 0x1ff8, buf, 15, GVA_FETCH, &fault), GVA_PAGE_FAULT);
    assert_int_equal(fault.copied, 8);
    assert_int_equal(fault.gva, 0x2000);
    assert_int_equal(fault.pf_error, PF_FETCH);
    assert_int_equal(gva_read(&vm, &ctx, 0xf00003000, buf, 1, GVA_READ, &fault), GVA_PAGE_FAULT);
    assert_int_equal(fault.copied, 0);
    assert_int_equal(fault.gva, 0x3000);
}

static void test_read_of_what_is_not_ram_is_no_memory(void **state)
{
    uint8_t buf[15];
    struct vm vm;
    struct gva_context ctx = context(PG, 0, 0);
    struct gva_fault fault;

    (void)state;
    map_read(&vm);
    set32(&vm, 0x2004, 0xfee00000 | P | RW);
    assert_int_equal(gva_read(&vm, &ctx, 0xff8, buf, 15, GVA_READ, &fault), GVA_NO_MEMORY);
    assert_int_equal(fault.copied, 8);
    assert_int_equal(fault.gva, 0x1000);
    assert_int_equal(fault.pf_error, 0);
    assert_int_equal(gva_read(&vm, &ctx, 0xff8, buf, 0, GVA_READ, &fault), GVA_OK);
    assert_int_equal(fault.copied, 0);
}

static void test_read_does_not_cross_into_non_canonical(void **state)
{
    uint8_t buf[8];
    struct vm vm = {0};
    struct gva_context ctx = long_mode();
    struct gva_fault fault;

    (void)state;
    set64(&vm, 0x1000 + 8 * 0xff, 0x2000 | P);
    set64(&vm, 0x2000 + 8 * 0x1ff, 0x3000 | P);
    set64(&vm, 0x3000 + 8 * 0x1ff, 0x4000 | P);
    set64(&vm, 0x4000 + 8 * 0x1ff, 0x5000 | P);
    assert_int_equal(gva_read(&vm, &ctx, 0x00007ffffffffffe, buf, 8, GVA_READ, &fault),
                     GVA_NON_CANONICAL);
    assert_int_equal(fault.copied, 2);
    assert_int_equal(fault.gva, 0x0000800000000000);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d;
}

static void check_random(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                         enum gva_access access)
{
    uint64_t gpa = ~0ull;
    uint32_t error = ~0u;
    enum gva_result result;

    vm->reads = 0;
    result = gva_translate(vm, ctx, gva, access, &gpa, &error);
    assert_true(vm->reads <= 20);
    assert_true(result == GVA_PAGE_FAULT || error == 0);
    assert_int_equal(error & ~0x1fu, 0);
    if (result != GVA_OK)
        return;
    if ((ctx->cr0 & PG) != 0)
        assert_true(gpa >> ctx->phys_bits == 0);
    assert_int_equal(gpa & 0xfff, gva & 0xfff);
}

static void test_random_tables_and_registers(void **state)
{
    uint64_t seed = 4711;
    unsigned walks = 0;
    static struct vm vm;

    (void)state;
    for (unsigned i = 0; i < RAM_SIZE / 8; i++) { /* mostly present, mostly inside RAM */
        uint64_t r = next_random(&seed);

        set64(&vm, 8 * i,
              (r >> 20 & 7) == 0 ? r : (r & ((r >> 32 & 7) == 0 ? 0xfffe : 0xff7e)) | P);
    }
    for (unsigned run = 0; run < RANDOM_RUNS; run++) {
        uint64_t bits = next_random(&seed);
        struct gva_context ctx = {
            .cr0 = bits & (PG | WP),
            .cr3 = (bits & 3) != 0 ? next_random(&seed) & 0xffff : next_random(&seed),
            .cr4 = next_random(&seed) & (PSE | PAE | LA57 | SMEP | SMAP),
            .efer = next_random(&seed) & (LMA | NXE),
            .rflags = next_random(&seed) & AC,
            .cpl = (uint8_t)(bits >> 8 & 3),
            .phys_bits = (uint8_t)(40 + (bits >> 10) % 13),
        };
        uint64_t gva = next_random(&seed);

        if ((bits & 4) != 0)
            gva = (uint64_t)((int64_t)(gva << 16) >> 16); /* canonical */
        check_random(&vm, &ctx, gva, (enum gva_access)(run % 3));
        walks += vm.reads > 2;
    }
    assert_true(walks > RANDOM_RUNS / 20);
}

/* The entries as they are in memory afterwards, the first table's first. */
static void expect_trail(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                         enum gva_access access, const uint64_t *at, unsigned count, unsigned size)
{
    struct gva_trail trail;
    uint64_t gpa;
    uint32_t error;

    memset(&trail, 0xaa, sizeof(trail));
    assert_int_equal(gva_trace(vm, ctx, gva, access, &gpa, &error, &trail), GVA_OK);
    assert_true(trail.settled);
    assert_int_equal(trail.count, count);
    for (unsigned i = 0; i < count; i++) {
        uint64_t now = 0;

        assert_int_equal(trail.entry_size, size);
        assert_int_equal(trail.gpa[i], at[i]);
        assert_true(gmem_read(vm, at[i], &now, size));
        assert_int_equal(trail.entry[i], now);
    }
    for (unsigned i = count; i < GVA_LEVELS_MAX; i++)
        assert_int_equal(trail.entry[i], 0);
}

static void test_trail_of_each_mode(void **state)
{
    static const uint64_t at_long[] = {0x1810, 0x2468, 0x3158, 0x43c0};
    static const uint64_t at_pae[] = {0x1fe0 + 24, 0x3fb8};
    static const uint64_t at_32[] = {0x1fec, 0x2800};
    struct gva_context ctx = long_mode();
    struct vm vm;

    (void)state;
    map_long(&vm, P | RW | US);
    expect_trail(&vm, &ctx, LONG_GVA, GVA_WRITE, at_long, 4, 8);
    expect_trail(&vm, &ctx, LONG_GVA, GVA_FETCH, at_long, 4, 8);
    ctx = context(PG, PAE, NXE);
    ctx.cr3 = 0x1fe0;
    set64(&vm, 0x1fe0 + 24, 0x3000 | P);
    set64(&vm, 0x3fb8, 0xfee00000 | PS | P);
    expect_trail(&vm, &ctx, 0xfee12345, GVA_FETCH, at_pae, 2, 8);
    ctx = context(PG, 0, 0);
    set32(&vm, 0x1fec, 0x2000 | P);
    set32(&vm, 0x2800, 0xabcde000 | P);
    expect_trail(&vm, &ctx, 0xfee00fff, GVA_READ, at_32, 2, 4);
    ctx.cr0 = 0;
    expect_trail(&vm, &ctx, 0xfee00fff, GVA_READ, NULL, 0, 0);
}

/* Somebody changes an entry at each of the walks: the last one counts, but its flags are not set.
 */
static void test_trail_that_is_not_settled(void **state)
{
    struct gva_context ctx = long_mode();
    struct gva_trail trail;
    uint64_t gpa;
    uint32_t error;
    struct vm vm;

    (void)state;
    map_long(&vm, P | RW | US);
    vm.race = 4;
    assert_int_equal(gva_trace(&vm, &ctx, LONG_GVA, GVA_READ, &gpa, &error, &trail), GVA_OK);
    assert_false(trail.settled);
    vm.race = 0;
    assert_int_equal(gva_trace(&vm, &ctx, LONG_GVA, GVA_READ, &gpa, &error, &trail), GVA_OK);
    assert_true(trail.settled);
}

static void test_trail_moves_with_cr3(void **state)
{
    struct gva_context ctx = long_mode();
    struct gva_trail trail;
    uint64_t gpa;
    uint32_t error;
    struct vm vm;

    (void)state;
    map_long(&vm, P | RW | US);
    assert_int_equal(gva_trace(&vm, &ctx, LONG_GVA, GVA_READ, &gpa, &error, &trail), GVA_OK);
    ctx.cr3 = 0x7018; /* PWT and PCD, or a PCID, do not address */
    gva_move_trail(&ctx, &trail);
    assert_int_equal(trail.gpa[0], 0x7810);
    assert_int_equal(trail.gpa[1], 0x2468);
    ctx.cr3 = 0x1000;
    gva_move_trail(&ctx, &trail);
    assert_int_equal(trail.gpa[0], 0x1810);
    ctx = context(PG, PAE, NXE);
    ctx.cr3 = 0x1fe0;
    set64(&vm, 0x1fe0 + 24, 0x3000 | P);
    set64(&vm, 0x3fb8, 0xfee00000 | PS | P);
    assert_int_equal(gva_trace(&vm, &ctx, 0xfee12345, GVA_READ, &gpa, &error, &trail), GVA_OK);
    ctx.cr3 = 0x5020;
    gva_move_trail(&ctx, &trail);
    assert_int_equal(trail.gpa[0], 0x5020 + 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paging_off_is_identity_of_32_bits),
        cmocka_unit_test(test_32bit_4k_page),
        cmocka_unit_test(test_32bit_4m_page_needs_pse),
        cmocka_unit_test(test_pse36_gives_address_bits_39_to_32),
        cmocka_unit_test(test_pae_4k_and_2m_pages),
        cmocka_unit_test(test_pae_pdpte_has_no_rights_but_reserved_bits),
        cmocka_unit_test(test_4_level_4k_page),
        cmocka_unit_test(test_4_level_2m_and_1g_pages),
        cmocka_unit_test(test_5_level_walk),
        cmocka_unit_test(test_non_canonical_addresses),
        cmocka_unit_test(test_4_level_reserved_bits),
        cmocka_unit_test(test_5_level_top_entry_may_not_be_a_page),
        cmocka_unit_test(test_pae_reserved_bits),
        cmocka_unit_test(test_not_present_comes_before_reserved),
        cmocka_unit_test(test_a_right_is_needed_in_every_entry),
        cmocka_unit_test(test_all_combinations_of_rights),
        cmocka_unit_test(test_cpl_1_and_2_are_supervisor),
        cmocka_unit_test(test_32bit_fetch_sets_the_fetch_bit_only_with_smep),
        cmocka_unit_test(test_tables_outside_ram_are_no_memory),
        cmocka_unit_test(test_tables_that_point_to_themselves_end),
        cmocka_unit_test(test_accessed_and_dirty_flags_are_set),
        cmocka_unit_test(test_flags_of_32bit_and_pae_entries),
        cmocka_unit_test(test_entries_that_change_are_walked_again),
        cmocka_unit_test(test_trail_of_each_mode),
        cmocka_unit_test(test_trail_that_is_not_settled),
        cmocka_unit_test(test_trail_moves_with_cr3),
        cmocka_unit_test(test_read_crosses_a_page_border),
        cmocka_unit_test(test_read_wraps_at_4_gib_outside_long_mode),
        cmocka_unit_test(test_read_of_several_pages),
        cmocka_unit_test(test_read_fault_after_the_wrap_is_at_0),
        cmocka_unit_test(test_read_stops_at_a_missing_page),
        cmocka_unit_test(test_read_of_what_is_not_ram_is_no_memory),
        cmocka_unit_test(test_read_does_not_cross_into_non_canonical),
        cmocka_unit_test(test_random_tables_and_registers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
