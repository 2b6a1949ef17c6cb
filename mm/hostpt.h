/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own page tables: 4 levels, 4 KiB and 2 MiB pages, never writable and executable
 * at once, never user-accessible.
 * Source: SDM 3A "4-Level Paging", "Access Rights", "Paging and Memory Typing".
 * Context: boot CPU before the tables are loaded, or afterwards for addresses that nobody uses yet.
 * Needs IA32_EFER.NXE = 1 and CR0.WP = 1 to mean what it says.
 */
#ifndef MM_HOSTPT_H
#define MM_HOSTPT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/pages.h"

#define HOSTPT_W  1u /* writable; without it read-only */
#define HOSTPT_X  2u /* executable; without it no-execute */
#define HOSTPT_UC 4u /* strong uncacheable (PCD = PWT = 1: PAT entry 3), else write-back */
#define HOSTPT_WC 8u /* write-combining (PWT = 1: PAT entry 1, see PAT_HOST); not with UC */

struct hostpt {
    struct pages *pool;
    uint64_t root_hpa; /* for CR3; below 4 GiB */
};

/* What hostpt_walk found. */
struct hostpt_view {
    uint64_t hpa;   /* of the byte asked for */
    uint64_t size;  /* of its page, bytes */
    unsigned flags; /* HOSTPT_* */
};

/*
 * Make empty tables.
 *   pool    after pages_pool; stays in use
 *   return  ERR_NOMEM
 */
MUST_CHECK enum err hostpt_init(struct hostpt *pt, struct pages *pool);

/*
 * Map va .. va + len - 1 to hpa .. with 2 MiB pages where both are aligned, else 4 KiB.
 *   va, hpa, len  4 KiB-aligned; len > 0; va canonical and not crossing the hole; hpa below the
 *                 physical address width
 *   flags         HOSTPT_*; W and X together are refused
 *   return        ERR_ALIGN, ERR_RANGE (address, or flags), ERR_OVERLAP (something is mapped there:
 *                 it stays; pages before it stay mapped too), ERR_NOMEM
 */
MUST_CHECK enum err hostpt_map(struct hostpt *pt, uint64_t va, uint64_t hpa, uint64_t len,
                               unsigned flags);

/*
 * Prepare a 2 MiB slot whose mapping will change (phys_window): make the tables above it.
 *   va         2 MiB-aligned, canonical
 *   table_hpa  out: the page directory; index: out: the entry in it, for pt_set
 *   return     ERR_ALIGN, ERR_RANGE, ERR_OVERLAP (slot in use), ERR_NOMEM
 */
MUST_CHECK enum err hostpt_slot_2m(struct hostpt *pt, uint64_t va, uint64_t *table_hpa,
                                   unsigned *index);

/*
 * The page-directory entry that maps a 2 MiB page, for a slot of hostpt_slot_2m.
 *   hpa    2 MiB-aligned, below the physical address width
 *   flags  all but HOSTPT_X, which is ignored
 */
uint64_t hostpt_entry_2m(uint64_t hpa, unsigned flags);

/* How va is mapped; ERR_NOTFOUND if not (also where not canonical). */
MUST_CHECK enum err hostpt_walk(const struct hostpt *pt, uint64_t va, struct hostpt_view *out);

/* The invariant: a well-formed tree in the pool, no leaf both W and X, no other attribute. */
bool hostpt_ok(const struct hostpt *pt);

#endif
