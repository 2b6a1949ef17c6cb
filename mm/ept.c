/* SPDX-License-Identifier: BSD-2-Clause */
/* Extended page tables. SDM 3C "The Extended Page Table Mechanism (EPT)". */
#include "mm/ept.h"

#include "mm/pt.h"

#define EPT_MEMORY 0x0000000000000038ull /* [5:3] memory type of a leaf */

/* SDM 3C "Format of Extended-Page-Table Pointer" */
#define EPTP_WB    0x0000000000000006ull /* [2:0] memory type of the tables: 6 = write-back */
#define EPTP_WALK4 0x0000000000000018ull /* [5:3] page-walk length minus 1 */

static struct pt_tree tree_of(const struct ept *e)
{
    return (struct pt_tree){
        .pool = e->pool, .root_hpa = e->root_hpa, .present = EPT_RWX, .link = EPT_RWX};
}

static bool memory_ok(uint64_t memory)
{
    return memory == EPT_UC || memory == EPT_WB;
}

static bool perms_ok(unsigned perms)
{
    return (perms & EPT_R) != 0 && perms <= EPT_RWX;
}

static bool is_inside(uint64_t base, uint64_t len, uint64_t limit)
{
    return base < limit && len <= limit - base;
}

enum err ept_init(struct ept *e, struct pages *pool, bool page_2m, bool page_1g)
{
    e->pool = pool;
    e->root_hpa = 0;
    e->max_level = 1;
    if (page_2m)
        e->max_level = page_1g ? 3 : 2;
    return pages_alloc(pool, &e->root_hpa);
}

enum err ept_map(struct ept *e, uint64_t gpa, uint64_t hpa, uint64_t len, unsigned perms,
                 enum ept_memory memory)
{
    struct pt_tree tree = tree_of(e);
    uint64_t limit = BIT(e->pool->phys_bits);
    uint64_t attrs = perms | (uint64_t)memory << 3;

    if (!is_aligned(gpa | hpa | len, PAGE_SIZE))
        return ERR_ALIGN;
    if (len == 0 || !is_inside(gpa, len, BIT(48)) || !is_inside(gpa, len, limit))
        return ERR_RANGE;
    if (!is_inside(hpa, len, limit) || !perms_ok(perms) || !memory_ok(memory))
        return ERR_RANGE;
    return pt_map(&tree, gpa, (struct mem_range){.base = hpa, .len = len}, attrs, e->max_level);
}

enum err ept_walk(const struct ept *e, uint64_t gpa, struct ept_view *out)
{
    struct pt_tree tree = tree_of(e);
    struct pt_leaf leaf;

    if (gpa >= BIT(48) || !pt_lookup(&tree, gpa, &leaf))
        return ERR_NOTFOUND;
    out->hpa = leaf.hpa + (gpa & (leaf.size - 1));
    out->size = leaf.size;
    out->perms = (unsigned)(leaf.attrs & EPT_RWX);
    out->memory = field_get(leaf.attrs, EPT_MEMORY) == EPT_WB ? EPT_WB : EPT_UC;
    return OK;
}

static bool is_wanted(const struct pt_leaf *leaf, const struct ept_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ept_range *r = &ranges[i];

        if (leaf->addr >= r->gpa && leaf->size <= r->len &&
            leaf->addr - r->gpa <= r->len - leaf->size)
            return leaf->hpa - r->hpa == leaf->addr - r->gpa && (leaf->attrs & EPT_RWX) == r->perms;
    }
    return false;
}

static bool leaf_ok(const struct ept *e, const struct pt_leaf *leaf)
{
    return (leaf->attrs & ~(EPT_RWX | EPT_MEMORY)) == 0 && leaf->size <= pt_size(e->max_level) &&
           perms_ok((unsigned)(leaf->attrs & EPT_RWX)) &&
           memory_ok(field_get(leaf->attrs, EPT_MEMORY));
}

bool ept_ok(const struct ept *e, const struct ept_range *ranges, size_t n)
{
    struct pt_tree tree = tree_of(e);
    struct pt_cursor cursor = {.started = false};
    struct pt_leaf leaf;
    uint64_t left = 0; /* of the ranges, not seen yet: leaves do not overlap */
    enum pt_found found = pt_next(&tree, &cursor, &leaf);

    for (size_t i = 0; i < n; i++)
        left += ranges[i].len;
    while (found == PT_FOUND_LEAF) {
        if (!leaf_ok(e, &leaf) || !is_wanted(&leaf, ranges, n))
            return false;
        left -= leaf.size;
        found = pt_next(&tree, &cursor, &leaf);
    }
    return found == PT_FOUND_END && left == 0;
}

uint64_t ept_pointer(const struct ept *e)
{
    return e->root_hpa | EPTP_WALK4 | EPTP_WB;
}
