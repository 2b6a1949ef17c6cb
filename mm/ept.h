/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's extended page tables: which host memory each guest-physical address reaches.
 * Source: SDM 3C "The Extended Page Table Mechanism (EPT)"; EPT pointer: SDM 3C "Extended-Page-
 * Table Pointer (EPTP)".
 * Context: boot CPU, before the guest runs. Entries are only ever added: no INVEPT is needed.
 */
#ifndef MM_EPT_H
#define MM_EPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/pages.h"

#define EPT_R   1u /* [0] read */
#define EPT_W   2u /* [1] write */
#define EPT_X   4u /* [2] execute, supervisor and user mode */
#define EPT_RWX 7u

/* EPT memory type, bits [5:3] of a leaf. Ignore-PAT (bit 6) stays 0: the guest's PAT counts. */
enum ept_memory { EPT_UC = 0, EPT_WB = 6 };

struct ept {
    struct pages *pool;
    uint64_t root_hpa;
    unsigned max_level; /* of a leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
};

/* Guest-physical addresses and the host memory they reach. */
struct ept_range {
    uint64_t gpa, hpa, len; /* 4 KiB-aligned */
    unsigned perms;         /* EPT_R | ... */
};

/* What ept_walk found. */
struct ept_view {
    uint64_t hpa;   /* of the byte asked for */
    uint64_t size;  /* of its page, bytes */
    unsigned perms; /* EPT_R | ... */
    enum ept_memory memory;
};

/*
 * Make empty tables.
 *   pool     after pages_pool; stays in use
 *   page_2m  the CPU maps 2 MiB pages (IA32_VMX_EPT_VPID_CAP[16]); page_1g: 1 GiB ([17]), counted
 *            only with page_2m
 *   return   ERR_NOMEM
 */
MUST_CHECK enum err ept_init(struct ept *e, struct pages *pool, bool page_2m, bool page_1g);

/*
 * Map gpa .. gpa + len - 1 to hpa .. with the largest pages that fit.
 *   gpa, hpa, len  4 KiB-aligned; len > 0; both ranges below the physical address width, gpa's
 *                  below 2^48
 *   perms          EPT_R, alone or with EPT_W and EPT_X (without R an entry is a
 *                  misconfiguration, or needs execute-only support)
 *   memory         a value of the enum
 *   return         ERR_ALIGN, ERR_RANGE, ERR_OVERLAP (a page there is mapped already: it stays as
 *                  it is; pages before it stay mapped too), ERR_NOMEM
 */
MUST_CHECK enum err ept_map(struct ept *e, uint64_t gpa, uint64_t hpa, uint64_t len, unsigned perms,
                            enum ept_memory memory);

/* How gpa is mapped; ERR_NOTFOUND if not, or beyond 2^48. */
MUST_CHECK enum err ept_walk(const struct ept *e, uint64_t gpa, struct ept_view *out);

/*
 * The invariant, checked on the tables as they are: a tree of table pages from the pool, each seen
 * once; the leaves have only bits that ept_map sets, and map the given ranges, all of them, with
 * their rights, and nothing else.
 *   ranges  n of them, whose gpa do not overlap; a page that spans two of them counts as outside
 */
bool ept_ok(const struct ept *e, const struct ept_range *ranges, size_t n);

/* The EPT pointer for the VMCS: write-back tables, page-walk length 4, no accessed/dirty flags. */
uint64_t ept_pointer(const struct ept *e);

#endif
