/* SPDX-License-Identifier: BSD-2-Clause */
/* Host memory at boot: free ranges, guest blocks, table pages. See the header. */
#include "mm/pages.h"

#include "lib/string.h"
#include "mm/phys.h"

static uint64_t range_end(const struct mem_range *r)
{
    return r->base + r->len;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void list_remove(struct pages *p, unsigned at, unsigned n)
{
    memmove(&p->free[at], &p->free[at + n], (p->count - at - n) * sizeof(p->free[0]));
    p->count -= n;
}

static unsigned list_smallest(const struct pages *p)
{
    unsigned best = 0;

    for (unsigned i = 1; i < p->count; i++) {
        if (p->free[i].len < p->free[best].len)
            best = i;
    }
    return best;
}

/* Insert before index at; a full list loses its smallest member, which may be the new one. */
static void list_insert(struct pages *p, unsigned at, struct mem_range r)
{
    if (p->count == PAGES_RANGES_MAX) {
        unsigned small = list_smallest(p);

        p->dropped += min64(r.len, p->free[small].len);
        if (r.len <= p->free[small].len)
            return;
        list_remove(p, small, 1);
        if (small < at)
            at--;
    }
    memmove(&p->free[at + 1], &p->free[at], (p->count - at) * sizeof(p->free[0]));
    p->free[at] = r;
    p->count++;
}

/* Add base..end, growing over every range that it meets or touches. */
static void list_merge(struct pages *p, uint64_t base, uint64_t end)
{
    unsigned first = 0;
    unsigned next;

    while (first < p->count && range_end(&p->free[first]) < base)
        first++;
    for (next = first; next < p->count && p->free[next].base <= end; next++) {
        base = min64(base, p->free[next].base);
        end = max64(end, range_end(&p->free[next]));
    }
    list_remove(p, first, next - first);
    list_insert(p, first, (struct mem_range){.base = base, .len = end - base});
}

/* Take base..end out of range i. Returns the index to look at next. */
static unsigned list_cut_one(struct pages *p, unsigned i, uint64_t base, uint64_t end)
{
    struct mem_range r = p->free[i];
    struct mem_range right = {.base = end, .len = range_end(&r) - end};
    bool has_left = r.base < base;
    bool has_right = end < range_end(&r);

    if (has_left) {
        p->free[i].len = base - r.base;
        if (has_right)
            list_insert(p, i + 1, right);
        return i + 1;
    }
    if (has_right) {
        p->free[i] = right;
        return i + 1;
    }
    list_remove(p, i, 1);
    return i;
}

static void list_cut(struct pages *p, uint64_t base, uint64_t end)
{
    unsigned i = 0;

    while (i < p->count) {
        if (p->free[i].base < end && base < range_end(&p->free[i]))
            i = list_cut_one(p, i, base, end);
        else
            i++;
    }
}

enum err pages_init(struct pages *p, unsigned phys_bits)
{
    memset(p, 0, sizeof(*p));
    if (phys_bits < 32 || phys_bits > 52)
        return ERR_RANGE;
    p->phys_bits = phys_bits;
    return OK;
}

enum err pages_add(struct pages *p, uint64_t base, uint64_t len)
{
    uint64_t limit = BIT(p->phys_bits);
    uint64_t end;

    if (p->stage != PAGES_ADDING)
        return ERR_UNSUPPORTED;
    if (len > UINT64_MAX - base || base >= limit)
        return OK;
    end = align_down(min64(base + len, limit), PAGE_SIZE);
    base = max64(align_up(base, PAGE_SIZE), PAGE_SIZE);
    if (base < end)
        list_merge(p, base, end);
    return OK;
}

enum err pages_reserve(struct pages *p, uint64_t base, uint64_t len)
{
    uint64_t limit = BIT(p->phys_bits);
    uint64_t end = len > UINT64_MAX - base ? limit : min64(base + len, limit);

    if (p->stage > PAGES_RESERVING)
        return ERR_UNSUPPORTED;
    p->stage = PAGES_RESERVING;
    if (len != 0 && base < limit)
        list_cut(p, align_down(base, PAGE_SIZE), align_up(end, PAGE_SIZE));
    return OK;
}

/* The highest aligned place for size bytes of r between floor and ceiling, or 0. */
static uint64_t range_place(const struct mem_range *r, struct mem_range within, uint64_t size,
                            uint64_t align)
{
    uint64_t low = max64(r->base, within.base);
    uint64_t high = min64(range_end(r), range_end(&within));
    uint64_t base;

    if (high <= low || high - low < size)
        return 0;
    base = align_down(high - size, align);
    return base >= low ? base : 0;
}

/* Best fit: the place in the smallest range that has one, or 0. */
static uint64_t list_place(const struct pages *p, struct mem_range within, uint64_t size,
                           uint64_t align)
{
    uint64_t best = 0;
    uint64_t best_len = UINT64_MAX;

    for (unsigned i = 0; i < p->count; i++) {
        uint64_t base = range_place(&p->free[i], within, size, align);

        if (base != 0 && p->free[i].len < best_len) {
            best = base;
            best_len = p->free[i].len;
        }
    }
    return best;
}

enum err pages_pool(struct pages *p, uint64_t len)
{
    struct mem_range within = {.base = PAGES_BLOCK_MIN, .len = PAGES_POOL_END - PAGES_BLOCK_MIN};
    uint64_t base;

    if (p->stage > PAGES_RESERVING)
        return ERR_UNSUPPORTED;
    if (len == 0 || !is_aligned(len, PAGE_2M))
        return ERR_ALIGN;
    base = list_place(p, within, len, PAGE_2M);
    if (base == 0)
        return ERR_NOMEM;
    list_cut(p, base, base + len);
    p->pool_base = base;
    p->pool_len = len;
    p->stage = PAGES_READY;
    return OK;
}

static enum err stage_check(const struct pages *p)
{
    if (p->stage == PAGES_FROZEN)
        return ERR_NOMEM;
    return p->stage == PAGES_READY ? OK : ERR_UNSUPPORTED;
}

enum err pages_take_block(struct pages *p, uint64_t size, uint64_t align, uint64_t *hpa)
{
    uint64_t limit = BIT(p->phys_bits);
    struct mem_range high = {.base = PAGES_POOL_END, .len = limit - PAGES_POOL_END};
    struct mem_range any = {.base = PAGES_BLOCK_MIN, .len = limit - PAGES_BLOCK_MIN};
    enum err e = stage_check(p);
    uint64_t base;

    if (e != OK)
        return e;
    if (size == 0 || !is_aligned(size, PAGE_SIZE) || align < PAGE_SIZE || !is_aligned(align, align))
        return ERR_ALIGN;
    base = list_place(p, high, size, align);
    if (base == 0)
        base = list_place(p, any, size, align);
    p->missing = base == 0 ? size : 0;
    if (base == 0)
        return ERR_NOMEM;
    list_cut(p, base, base + size);
    *hpa = base;
    return OK;
}

enum err pages_take_low(struct pages *p, uint64_t *hpa)
{
    struct mem_range within = {.base = PAGE_SIZE, .len = PAGES_LOW_END - PAGE_SIZE};
    enum err e = stage_check(p);
    uint64_t base = 0;

    if (e != OK)
        return e;
    for (unsigned i = 0; i < p->count; i++)
        base = max64(base, range_place(&p->free[i], within, PAGE_SIZE, PAGE_SIZE));
    if (base == 0)
        return ERR_NOMEM;
    list_cut(p, base, base + PAGE_SIZE);
    *hpa = base;
    return OK;
}

/* The whole pages of r that are in the range, which may be anything; len 0: none. */
static struct mem_range range_common(const struct mem_range *r, const struct mem_range *range)
{
    uint64_t base = max64(r->base, range->base);
    uint64_t end = range_end(r);

    if (range->len <= UINT64_MAX - range->base)
        end = min64(end, range_end(range));
    if (base >= end)
        return (struct mem_range){0};
    base = align_up(base, PAGE_SIZE);
    end = align_down(end, PAGE_SIZE);
    return (struct mem_range){.base = base, .len = base < end ? end - base : 0};
}

enum err pages_restrict(struct pages *p, const struct mem_range *ranges, unsigned n)
{
    struct pages kept = {.dropped = p->dropped};
    enum err e = stage_check(p);

    if (e != OK)
        return e;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < p->count; j++) {
            struct mem_range r = range_common(&p->free[j], &ranges[i]);

            if (r.len != 0)
                list_merge(&kept, r.base, range_end(&r));
        }
    }
    memcpy(p->free, kept.free, sizeof(p->free));
    p->count = kept.count;
    p->dropped = kept.dropped;
    return OK;
}

enum err pages_alloc(struct pages *p, uint64_t *hpa)
{
    enum err e = stage_check(p);

    if (e != OK)
        return e;
    if (p->pool_used == p->pool_len)
        return ERR_NOMEM;
    *hpa = p->pool_base + p->pool_used;
    p->pool_used += PAGE_SIZE;
    memset(phys_table(*hpa), 0, PAGE_SIZE);
    return OK;
}

void pages_freeze(struct pages *p)
{
    p->stage = PAGES_FROZEN;
}

bool pages_is_table(const struct pages *p, uint64_t hpa)
{
    return is_aligned(hpa, PAGE_SIZE) && hpa >= p->pool_base && hpa - p->pool_base < p->pool_used;
}

uint64_t pages_free_bytes(const struct pages *p)
{
    return pages_free_in(p, (struct mem_range){.len = UINT64_MAX});
}

uint64_t pages_free_in(const struct pages *p, struct mem_range range)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < p->count; i++)
        sum += range_common(&p->free[i], &range).len;
    return sum;
}

uint64_t pages_largest_block(const struct pages *p, uint64_t align)
{
    uint64_t largest = 0;

    for (unsigned i = 0; i < p->count; i++) {
        uint64_t base = align_up(max64(p->free[i].base, PAGES_BLOCK_MIN), align);
        uint64_t end = range_end(&p->free[i]);

        largest = max64(largest, base < end ? end - base : 0);
    }
    return largest;
}

static bool range_ok(const struct pages *p, const struct mem_range *r)
{
    uint64_t limit = BIT(p->phys_bits);

    if (!is_aligned(r->base | r->len, PAGE_SIZE) || r->base < PAGE_SIZE || r->len == 0)
        return false;
    if (r->base >= limit || r->len > limit - r->base)
        return false;
    return range_end(r) <= p->pool_base || r->base >= p->pool_base + p->pool_len;
}

static bool pool_ok(const struct pages *p)
{
    if (p->stage < PAGES_READY)
        return p->pool_base == 0 && p->pool_len == 0 && p->pool_used == 0;
    return is_aligned(p->pool_base | p->pool_len, PAGE_2M) && is_aligned(p->pool_used, PAGE_SIZE) &&
           p->pool_used <= p->pool_len && p->pool_len <= PAGES_POOL_END &&
           p->pool_base <= PAGES_POOL_END - p->pool_len;
}

bool pages_ok(const struct pages *p)
{
    if (p->count > PAGES_RANGES_MAX || p->phys_bits < 32 || p->phys_bits > 52 || !pool_ok(p))
        return false;
    for (unsigned i = 0; i < p->count; i++) {
        if (!range_ok(p, &p->free[i]))
            return false;
        if (i > 0 && range_end(&p->free[i - 1]) >= p->free[i].base)
            return false;
    }
    return true;
}
