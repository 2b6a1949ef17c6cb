/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own page tables. SDM 3A "4-Level Paging". */
#include "mm/hostpt.h"

#include "mm/pt.h"

/* SDM 3A "Format of a Page-Table Entry that Maps a 4-KByte Page" */
#define PTE_P           0x0000000000000001ull /* [0]  present */
#define PTE_RW          0x0000000000000002ull /* [1]  writable */
#define PTE_WT          0x0000000000000008ull /* [3]  PWT */
#define PTE_CD          0x0000000000000010ull /* [4]  PCD */
#define PTE_A           0x0000000000000020ull /* [5]  accessed */
#define PTE_D           0x0000000000000040ull /* [6]  dirty */
#define PTE_NX          0x8000000000000000ull /* [63] execute-disable */

#define LOW_HALF_END    0x0000800000000000ull /* first address that is not canonical */
#define HIGH_HALF_START 0xffff800000000000ull

#define CACHING         (HOSTPT_UC | HOSTPT_WC)
#define FLAGS_ALL       (HOSTPT_W | HOSTPT_X | HOSTPT_UC | HOSTPT_WC)

/* Accessed and dirty are set from the start, so the CPU itself never writes to the tables. */
static struct pt_tree tree_of(const struct hostpt *pt)
{
    return (struct pt_tree){
        .pool = pt->pool,
        .root_hpa = pt->root_hpa,
        .present = PTE_P,
        .link = PTE_P | PTE_RW | PTE_A,
    };
}

static uint64_t attrs_of(unsigned flags)
{
    uint64_t attrs = PTE_P | PTE_A | PTE_D;

    if ((flags & HOSTPT_W) != 0)
        attrs |= PTE_RW;
    if ((flags & HOSTPT_X) == 0)
        attrs |= PTE_NX;
    if ((flags & HOSTPT_UC) != 0)
        attrs |= PTE_CD | PTE_WT;
    if ((flags & HOSTPT_WC) != 0)
        attrs |= PTE_WT;
    return attrs;
}

static unsigned flags_of(uint64_t attrs)
{
    return ((attrs & PTE_RW) != 0 ? HOSTPT_W : 0) | ((attrs & PTE_NX) == 0 ? HOSTPT_X : 0) |
           ((attrs & PTE_CD) != 0   ? HOSTPT_UC
            : (attrs & PTE_WT) != 0 ? HOSTPT_WC
                                    : 0);
}

static bool is_canonical_range(uint64_t va, uint64_t len)
{
    if (va < LOW_HALF_END)
        return len <= LOW_HALF_END - va;
    return va >= HIGH_HALF_START && len - 1 <= UINT64_MAX - va;
}

static bool is_wx(unsigned flags)
{
    return (flags & (HOSTPT_W | HOSTPT_X)) == (HOSTPT_W | HOSTPT_X);
}

enum err hostpt_init(struct hostpt *pt, struct pages *pool)
{
    pt->pool = pool;
    pt->root_hpa = 0;
    return pages_alloc(pool, &pt->root_hpa);
}

enum err hostpt_map(struct hostpt *pt, uint64_t va, uint64_t hpa, uint64_t len, unsigned flags)
{
    struct pt_tree tree = tree_of(pt);
    uint64_t limit = BIT(pt->pool->phys_bits);

    if (!is_aligned(va | hpa | len, PAGE_SIZE))
        return ERR_ALIGN;
    if (len == 0 || !is_canonical_range(va, len) || hpa >= limit || len > limit - hpa)
        return ERR_RANGE;
    if ((flags & ~FLAGS_ALL) != 0 || is_wx(flags) || (flags & CACHING) == CACHING)
        return ERR_RANGE;
    return pt_map(&tree, va, (struct mem_range){.base = hpa, .len = len}, attrs_of(flags), 2);
}

enum err hostpt_slot_2m(struct hostpt *pt, uint64_t va, uint64_t *table_hpa, unsigned *index)
{
    struct pt_tree tree = tree_of(pt);
    enum err e;

    if (!is_aligned(va, PAGE_2M))
        return ERR_ALIGN;
    if (!is_canonical_range(va, PAGE_2M))
        return ERR_RANGE;
    e = pt_descend(&tree, va, 2, table_hpa);
    if (e != OK)
        return e;
    *index = pt_index(va, 2);
    return pt_get(*table_hpa, *index) == 0 ? OK : ERR_OVERLAP;
}

uint64_t hostpt_entry_2m(uint64_t hpa, unsigned flags)
{
    return (hpa & PT_ADDRESS) | PT_LARGE | attrs_of(flags & ~HOSTPT_X);
}

enum err hostpt_walk(const struct hostpt *pt, uint64_t va, struct hostpt_view *out)
{
    struct pt_tree tree = tree_of(pt);
    struct pt_leaf leaf;

    if (!is_canonical_range(va, 1) || !pt_lookup(&tree, va, &leaf))
        return ERR_NOTFOUND;
    out->hpa = leaf.hpa + (va & (leaf.size - 1));
    out->size = leaf.size;
    out->flags = flags_of(leaf.attrs);
    return OK;
}

bool hostpt_ok(const struct hostpt *pt)
{
    struct pt_tree tree = tree_of(pt);
    struct pt_cursor cursor = {.started = false};
    struct pt_leaf leaf;
    enum pt_found found = pt_next(&tree, &cursor, &leaf);

    while (found == PT_FOUND_LEAF) {
        unsigned flags = flags_of(leaf.attrs);

        if (leaf.attrs != attrs_of(flags) || is_wx(flags) || leaf.size > PAGE_2M)
            return false;
        found = pt_next(&tree, &cursor, &leaf);
    }
    return found == PT_FOUND_END;
}
