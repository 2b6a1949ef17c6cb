/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CPU's own page tables and EPT have in common: 4 levels of 512 entries of 8 bytes, the
 * address in bits [51:12], bit 7 = "this entry maps a large page".
 * Source: SDM 3A "4-Level Paging and 5-Level Paging", 3C "EPT Translation Mechanism".
 *
 * Levels are counted from the leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB, 4 = the root.
 * pt_get and pt_set are the only code that touches an entry; proofs replace them by link.
 */
#ifndef MM_PT_H
#define MM_PT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/pages.h"

#define PT_LEVELS  4u
#define PT_ENTRIES 512u
#define PT_LARGE   0x0000000000000080ull /* [7]     levels 2, 3: maps a page, not a table */
#define PT_ADDRESS 0x000ffffffffff000ull /* [51:12] physical address of page or table */

/* One tree and how its entries look. */
struct pt_tree {
    struct pages *pool; /* gives table pages and the physical address width */
    uint64_t root_hpa;
    uint64_t present; /* an entry is present if any of these bits is set */
    uint64_t link;    /* the bits of an entry that points to a table */
};

/* A present leaf. */
struct pt_leaf {
    uint64_t addr;  /* first address of its page, as an index into the tree: 0..2^48-1 */
    uint64_t hpa;   /* first byte of the page it maps */
    uint64_t size;  /* bytes: 4 KiB, 2 MiB or 1 GiB */
    uint64_t attrs; /* the entry without PT_ADDRESS and, on large pages, without PT_LARGE */
};

/* Where a pass over all leaves is. Zero is the start. */
struct pt_cursor {
    bool started;
    unsigned level;
    uint64_t tables; /* visited */
    uint64_t table[PT_LEVELS + 1];
    unsigned index[PT_LEVELS + 1]; /* next entry to look at */
};

enum pt_found { PT_FOUND_LEAF, PT_FOUND_END, PT_FOUND_BAD };

/* Entry index (0..511) of the table at table_hpa, a page of the pool. One 64-bit load. */
uint64_t pt_get(uint64_t table_hpa, unsigned index);

/* Replace that entry. One 64-bit store; flushing TLBs is the caller's. */
void pt_set(uint64_t table_hpa, unsigned index, uint64_t entry);

/* Bytes that one entry of a level (1..4) covers. */
static inline uint64_t pt_size(unsigned level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

/* Index of addr in the table of a level (1..4). Bits above 47 are ignored. */
static inline unsigned pt_index(uint64_t addr, unsigned level)
{
    return (unsigned)(addr / pt_size(level)) % PT_ENTRIES;
}

/*
 * Find the table of a level on the way to addr, making the missing ones.
 *   level      1..4: of the table wanted
 *   table_hpa  out
 *   return     ERR_OVERLAP a large page is in the way, ERR_NOMEM no table page
 */
MUST_CHECK enum err pt_descend(const struct pt_tree *t, uint64_t addr, unsigned level,
                               uint64_t *table_hpa);

/*
 * Map one page, the largest that fits at the start of the range.
 *   addr, hpa, len  4 KiB-aligned, len > 0; inside the tree and the address width (not checked)
 *   attrs           bits of the leaf besides address and PT_LARGE; has a bit of t->present
 *   max_level       largest page allowed: 1..3
 *   done            out: bytes mapped, <= len
 *   return          ERR_OVERLAP something is mapped there (it stays as it is), ERR_NOMEM
 */
MUST_CHECK enum err pt_map_step(const struct pt_tree *t, uint64_t addr, struct mem_range host,
                                uint64_t attrs, unsigned max_level, uint64_t *done);

/*
 * Map addr .. addr + host.len - 1 to host, as pt_map_step does. On an error the pages before the
 * one that failed stay mapped.
 */
MUST_CHECK enum err pt_map(const struct pt_tree *t, uint64_t addr, struct mem_range host,
                           uint64_t attrs, unsigned max_level);

/* The leaf that maps addr (bits above 47 are ignored); false if none, leaf is then unchanged. */
bool pt_lookup(const struct pt_tree *t, uint64_t addr, struct pt_leaf *leaf);

/*
 * The next leaf of the whole tree, in ascending order of address.
 *   c       zeroed before the first call
 *   return  PT_FOUND_LEAF and *leaf; PT_FOUND_END; or PT_FOUND_BAD: an entry that pt_map cannot
 *           have made (link outside the pool or with other bits, more links than table pages,
 *           absent but not zero, large page not aligned, address beyond the width)
 */
enum pt_found pt_next(const struct pt_tree *t, struct pt_cursor *c, struct pt_leaf *leaf);

#endif
