/* SPDX-License-Identifier: BSD-2-Clause */
/* Four-level tables: access, map, look up, pass over all. SDM 3A "4-Level Paging". */
#include "mm/pt.h"

#include "mm/phys.h"

/* volatile: the CPU reads these while it translates, so each access is one whole load or store. */
static volatile uint64_t *entry_at(uint64_t table_hpa, unsigned index)
{
    volatile uint64_t *table = phys_table(table_hpa);

    return &table[index];
}

uint64_t pt_get(uint64_t table_hpa, unsigned index)
{
    return *entry_at(table_hpa, index);
}

void pt_set(uint64_t table_hpa, unsigned index, uint64_t entry)
{
    *entry_at(table_hpa, index) = entry;
}

static bool is_present(const struct pt_tree *t, uint64_t entry)
{
    return (entry & t->present) != 0;
}

/* Does a present entry of this level map a page? (Bit 7 is reserved in level 4, PAT in level 1.) */
static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (level < PT_LEVELS && (entry & PT_LARGE) != 0);
}

static enum err descend_one(const struct pt_tree *t, unsigned index, unsigned level,
                            uint64_t *table_hpa)
{
    uint64_t entry = pt_get(*table_hpa, index);
    uint64_t made = 0;
    enum err e;

    if (!is_present(t, entry)) {
        e = pages_alloc(t->pool, &made);
        if (e != OK)
            return e;
        pt_set(*table_hpa, index, made | t->link);
        *table_hpa = made;
        return OK;
    }
    if (is_leaf(entry, level))
        return ERR_OVERLAP;
    *table_hpa = entry & PT_ADDRESS;
    return OK;
}

enum err pt_descend(const struct pt_tree *t, uint64_t addr, unsigned level, uint64_t *table_hpa)
{
    uint64_t table = t->root_hpa;

    for (unsigned l = PT_LEVELS; l > level; l--) {
        enum err e = descend_one(t, pt_index(addr, l), l, &table);

        if (e != OK)
            return e;
    }
    *table_hpa = table;
    return OK;
}

static unsigned largest_level(uint64_t addr, struct mem_range host, unsigned max_level)
{
    unsigned level = max_level;

    while (level > 1 &&
           (!is_aligned(addr | host.base, pt_size(level)) || host.len < pt_size(level)))
        level--;
    return level;
}

enum err pt_map_step(const struct pt_tree *t, uint64_t addr, struct mem_range host, uint64_t attrs,
                     unsigned max_level, uint64_t *done)
{
    unsigned level = largest_level(addr, host, max_level);
    uint64_t table = 0;
    enum err e = pt_descend(t, addr, level, &table);

    if (e != OK)
        return e;
    if (is_present(t, pt_get(table, pt_index(addr, level))))
        return ERR_OVERLAP;
    pt_set(table, pt_index(addr, level), host.base | attrs | (level > 1 ? PT_LARGE : 0));
    *done = pt_size(level);
    return OK;
}

enum err pt_map(const struct pt_tree *t, uint64_t addr, struct mem_range host, uint64_t attrs,
                unsigned max_level)
{
    while (host.len != 0) {
        uint64_t done = 0;
        enum err e = pt_map_step(t, addr, host, attrs, max_level, &done);

        if (e != OK)
            return e;
        addr += done;
        host.base += done;
        host.len -= done;
    }
    return OK;
}

static void leaf_decode(uint64_t entry, uint64_t addr, unsigned level, struct pt_leaf *leaf)
{
    uint64_t size = pt_size(level);

    leaf->size = size;
    leaf->addr = align_down(addr & (BIT(48) - 1), size);
    leaf->hpa = entry & PT_ADDRESS & ~(size - 1);
    leaf->attrs = entry & ~(leaf->hpa | (level > 1 ? PT_LARGE : 0));
}

bool pt_lookup(const struct pt_tree *t, uint64_t addr, struct pt_leaf *leaf)
{
    uint64_t table = t->root_hpa;

    for (unsigned level = PT_LEVELS; level > 0; level--) {
        uint64_t entry = pt_get(table, pt_index(addr, level));

        if (!is_present(t, entry))
            return false;
        if (is_leaf(entry, level)) {
            leaf_decode(entry, addr, level, leaf);
            return true;
        }
        table = entry & PT_ADDRESS;
    }
    return false;
}

/* Address that the entry before c->index[] of the present level covers first. */
static uint64_t cursor_addr(const struct pt_cursor *c)
{
    uint64_t addr = 0;

    for (unsigned l = c->level; l <= PT_LEVELS; l++)
        addr += (c->index[l] - 1) * pt_size(l);
    return addr;
}

static bool cursor_enter(const struct pt_tree *t, struct pt_cursor *c, uint64_t table_hpa)
{
    c->tables++;
    c->level--;
    c->table[c->level] = table_hpa;
    c->index[c->level] = 0;
    return pages_is_table(t->pool, table_hpa) && c->tables <= (t->pool->pool_used / PAGE_SIZE);
}

static bool leaf_ok(const struct pt_tree *t, const struct pt_leaf *leaf)
{
    uint64_t limit = BIT(t->pool->phys_bits);

    return (leaf->attrs & PT_ADDRESS) == 0 && leaf->hpa < limit && leaf->size <= limit - leaf->hpa;
}

/* One present entry, just taken. A leaf ends the search; a link moves the cursor down. */
static enum pt_found cursor_take(const struct pt_tree *t, struct pt_cursor *c, uint64_t entry,
                                 struct pt_leaf *leaf)
{
    if (is_leaf(entry, c->level)) {
        leaf_decode(entry, cursor_addr(c), c->level, leaf);
        return leaf_ok(t, leaf) ? PT_FOUND_LEAF : PT_FOUND_BAD;
    }
    if ((entry & ~PT_ADDRESS) != t->link || !cursor_enter(t, c, entry & PT_ADDRESS))
        return PT_FOUND_BAD;
    return PT_FOUND_END;
}

enum pt_found pt_next(const struct pt_tree *t, struct pt_cursor *c, struct pt_leaf *leaf)
{
    if (!c->started) {
        c->started = true;
        c->level = PT_LEVELS + 1;
        if (!cursor_enter(t, c, t->root_hpa))
            return PT_FOUND_BAD;
    }
    while (c->level <= PT_LEVELS) {
        uint64_t entry;
        enum pt_found found;

        if (c->index[c->level] == PT_ENTRIES) {
            c->level++;
            continue;
        }
        entry = pt_get(c->table[c->level], c->index[c->level]++);
        if (!is_present(t, entry) && entry != 0)
            return PT_FOUND_BAD;
        if (entry == 0)
            continue;
        found = cursor_take(t, c, entry, leaf);
        if (found != PT_FOUND_END)
            return found;
    }
    return PT_FOUND_END;
}
