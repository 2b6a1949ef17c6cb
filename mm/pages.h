/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host memory at boot: a map of free ranges, blocks for guests, and a pool of 4 KiB table pages.
 *
 * Order of calls: pages_init, pages_add..., pages_reserve..., pages_pool, then pages_take_block,
 * pages_take_low, pages_restrict and pages_alloc in any order, then pages_freeze before the first
 * guest runs.
 * Nothing is ever given back. All of it runs on the boot CPU only.
 */
#ifndef MM_PAGES_H
#define MM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/err.h"

#define PAGES_RANGES_MAX 128u        /* free ranges kept after merging */
#define PAGES_LOW_END    (640 * KIB) /* end of conventional memory */
#define PAGES_BLOCK_MIN  MIB         /* blocks and the pool are never below this */
#define PAGES_POOL_END   (4 * GIB)   /* the pool is below: start-up code loads CR3 in 32 bits */

/* Bytes base .. base + len - 1. */
struct mem_range {
    uint64_t base;
    uint64_t len;
};

enum pages_stage { PAGES_ADDING, PAGES_RESERVING, PAGES_READY, PAGES_FROZEN };

/* Owned by the caller, who does not touch the fields. */
struct pages {
    struct mem_range free[PAGES_RANGES_MAX]; /* ascending, page-aligned, never touching */
    unsigned count;                          /* of free */
    unsigned phys_bits;                      /* physical address width */
    enum pages_stage stage;
    uint64_t dropped;   /* bytes of usable memory lost because the map had too many pieces */
    uint64_t pool_base; /* 2 MiB-aligned */
    uint64_t pool_len;  /* bytes */
    uint64_t pool_used; /* bytes; pages are handed out in ascending order */
    uint64_t missing;   /* bytes of the block that was asked for last; 0: it was found */
};

/*
 * Start with no memory at all.
 *   phys_bits  the CPU's physical address width, 32..52 (SDM 2A "CPUID", leaf 80000008H EAX[7:0])
 *   return     ERR_RANGE for another width
 */
MUST_CHECK enum err pages_init(struct pages *p, unsigned phys_bits);

/*
 * Add usable memory. Ranges may overlap and come in any order. Only whole pages count; page 0 and
 * what lies above the physical address width are left out, a range that wraps around 2^64 is not
 * believed and left out. When more than PAGES_RANGES_MAX pieces would be kept, the smallest is
 * dropped and counted in p->dropped (memory is lost, nothing wrong is gained).
 *   return  ERR_UNSUPPORTED after the first pages_reserve
 */
MUST_CHECK enum err pages_add(struct pages *p, uint64_t base, uint64_t len);

/*
 * Take a range out for ever: it wins over every pages_add. Each page it touches is taken out. A
 * range that wraps is cut at 2^64. May drop the smallest piece as pages_add does.
 *   return  ERR_UNSUPPORTED after pages_pool
 */
MUST_CHECK enum err pages_reserve(struct pages *p, uint64_t base, uint64_t len);

/*
 * Set the pool of table pages aside, below 4 GiB. Memory contents are not touched.
 *   len     bytes, a positive multiple of 2 MiB
 *   return  ERR_NOMEM no such room, ERR_ALIGN wrong len, ERR_UNSUPPORTED a second call
 */
MUST_CHECK enum err pages_pool(struct pages *p, uint64_t len);

/*
 * Take a contiguous block: from above 4 GiB if there is room, else anywhere above 1 MiB; from
 * the smallest range that holds it, at that range's highest suitable place. Contents are unknown.
 *   size    bytes, a positive multiple of 4 KiB
 *   align   a power of two, >= 4 KiB
 *   hpa     out: its address; unchanged on error
 *   return  ERR_NOMEM no such room, or frozen; ERR_ALIGN wrong arguments; ERR_UNSUPPORTED before
 *           pages_pool
 */
MUST_CHECK enum err pages_take_block(struct pages *p, uint64_t size, uint64_t align, uint64_t *hpa);

/*
 * Take the highest free page below 640 KiB, for code that starts in real mode (never page 0).
 *   hpa     out: its address; unchanged on error
 *   return  as pages_take_block
 */
MUST_CHECK enum err pages_take_low(struct pages *p, uint64_t *hpa);

/*
 * Leave free only what lies in one of these ranges: blocks and low pages come from nowhere else
 * afterwards. The pool stays as it is. May drop the smallest piece as pages_add does.
 *   ranges  n of them, in any order; they may overlap and be anything; only whole pages count
 *   return  ERR_UNSUPPORTED before pages_pool, ERR_NOMEM frozen
 */
MUST_CHECK enum err pages_restrict(struct pages *p, const struct mem_range *ranges, unsigned n);

/*
 * Take the next page of the pool and fill it with zeros (through phys_table).
 *   hpa     out: its address; unchanged on error
 *   return  ERR_NOMEM pool empty, or frozen; ERR_UNSUPPORTED before pages_pool
 */
MUST_CHECK enum err pages_alloc(struct pages *p, uint64_t *hpa);

/* From now on every allocation fails with ERR_NOMEM. */
void pages_freeze(struct pages *p);

/* Is hpa the address of a page that pages_alloc has given out? */
bool pages_is_table(const struct pages *p, uint64_t hpa);

/* Bytes still free for blocks and low pages (the pool is not counted). */
uint64_t pages_free_bytes(const struct pages *p);

/* The same inside of a range; any values. */
uint64_t pages_free_in(const struct pages *p, struct mem_range range);

/* Bytes of the largest block that pages_take_block could give now. */
uint64_t pages_largest_block(const struct pages *p, uint64_t align);

/* The invariant: ranges ascending, aligned, apart, inside the width; the pool outside of them. */
bool pages_ok(const struct pages *p);

#endif
