/* SPDX-License-Identifier: BSD-2-Clause */
/* High precision event timers. Source: IA-PC HPET Specification 1.0a, "Register Definitions". */
#include "devices/hpet.h"

#include <stddef.h>

#include "lib/bits.h"
#include "lib/time.h"

/* Offsets; all registers have 64 bits. */
#define REG_CAPABILITIES 0x000u
#define REG_CONFIG       0x010u
#define REG_STATUS       0x020u
#define REG_COUNTER      0x0f0u
#define REG_TIMERS       0x100u
#define TIMER_STRIDE     0x20u
#define TIMER_CONFIG     0x00u
#define TIMER_COMPARATOR 0x08u

/* GEN_CONF */
#define CONF_ENABLE      0x1u /* [0] the counter runs, timers interrupt */
#define CONF_ALL         (CONF_ENABLE | HPET_CONF_LEGACY)

/* Tn_CONF_CAP, low half */
#define TN_LEVEL         0x0002u /* [1] level triggered */
#define TN_ENABLE        0x0004u /* [2] interrupts */
#define TN_PERIODIC      0x0008u /* [3] */
#define TN_CAPABILITIES  0x0030u /* [5] 64 bits, [4] can be periodic */
#define TN_SET           0x0040u /* [6] the next write sets the accumulator; then clears */
#define TN_32BIT         0x0100u /* [8] */
#define TN_ROUTE         0x3e00u /* [13:9] */
#define TN_ROUTE_SHIFT   9
#define TN_WRITABLE      (TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_SET | TN_32BIT | TN_ROUTE)

#define ALL_TIMERS       (BIT32(HPET_TIMERS) - 1)
#define NEVER            UINT64_MAX
#define LOOK_AHEAD       (1ull << 40) /* ticks: a deadline is no further away, half a day */

static bool enabled(const struct hpet *h)
{
    return (h->config & CONF_ENABLE) != 0;
}

/* Ticks since the counter was enabled; `now` of another core may lie a little before that. */
static uint64_t elapsed(const struct hpet *h, uint64_t now)
{
    return enabled(h) && now > h->base ? ratio_ticks(h->clock, now - h->base) : 0;
}

static bool periodic(const struct hpet_timer *t)
{
    return (t->config & TN_PERIODIC) != 0;
}

static uint64_t width_mask(const struct hpet_timer *t)
{
    return size_mask((t->config & TN_32BIT) != 0 ? 4 : 8);
}

static uint64_t period(const struct hpet_timer *t)
{
    return t->period & width_mask(t);
}

static uint64_t add(uint64_t ticks, uint64_t distance)
{
    return ticks > NEVER - distance ? NEVER : ticks + distance;
}

/* The counter goes up until it equals the comparator: a value behind it is reached by wrapping. */
static void schedule(const struct hpet *h, struct hpet_timer *t, uint64_t ticks)
{
    uint64_t counter = h->counter + ticks;

    t->due = enabled(h) ? add(ticks, (t->comparator - counter) & width_mask(t)) : NEVER;
}

/* A match was at t->due, no later than `ticks`: the next is after `ticks`. */
static void reschedule(struct hpet_timer *t, uint64_t ticks)
{
    uint64_t mask = width_mask(t);

    if (!periodic(t)) {
        t->due = mask == UINT64_MAX ? NEVER : add(t->due, ((ticks - t->due) | mask) + 1);
        return;
    }

    if (period(t) == 0) {
        t->due = NEVER;
        return;
    }

    uint64_t way = ((ticks - t->due) / period(t) + 1) * period(t);

    t->comparator = (t->comparator + way) & mask;
    t->due = add(t->due, way);
}

static void match(struct hpet *h, unsigned n)
{
    if ((h->timers[n].config & TN_LEVEL) != 0)
        h->status |= BIT32(n);
    else if ((h->timers[n].config & TN_ENABLE) != 0)
        h->edges |= BIT32(n);
}

/* The moment at which something visible happens next, not sooner than periodic timers may. */
static uint64_t next_deadline(const struct hpet *h, uint64_t ticks)
{
    uint64_t next = NEVER;

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        const struct hpet_timer *t = &h->timers[n];
        uint64_t due = t->due;

        if ((t->config & TN_ENABLE) == 0 || (h->status & BIT32(n)) != 0 || due == NEVER)
            continue;
        if (periodic(t) && period(t) < HPET_MIN_PERIOD && due - ticks < HPET_MIN_PERIOD)
            due = add(ticks, HPET_MIN_PERIOD);
        next = due < next ? due : next;
    }
    if (next == NEVER)
        return TIME_NEVER;
    next = next - ticks < LOOK_AHEAD ? next : ticks + LOOK_AHEAD;
    return h->base + ratio_when(h->clock, next);
}

void hpet_advance(struct hpet *h, uint64_t now)
{
    uint64_t ticks = elapsed(h, now);

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        if (h->timers[n].due > ticks)
            continue;
        match(h, n);
        reschedule(&h->timers[n], ticks);
    }
    h->deadline = next_deadline(h, ticks);
}

void hpet_reset(struct hpet *h, uint64_t tsc_hz)
{
    *h = (struct hpet){.clock = ratio_make(tsc_hz, HPET_HZ), .deadline = TIME_NEVER};
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        h->timers[n].config = bit_lowest(HPET_ROUTES) << TN_ROUTE_SHIFT;
        h->timers[n].comparator = UINT64_MAX;
        h->timers[n].due = NEVER;
    }
}

/* The timer whose registers lie at offset; NULL if none does. */
static struct hpet_timer *timer_at(struct hpet *h, unsigned offset)
{
    if (offset < REG_TIMERS || offset >= REG_TIMERS + HPET_TIMERS * TIMER_STRIDE)
        return NULL;
    return &h->timers[(offset - REG_TIMERS) / TIMER_STRIDE];
}

static uint64_t read_register(struct hpet *h, unsigned offset, uint64_t now)
{
    const struct hpet_timer *t = timer_at(h, offset);

    switch (offset) {
    case REG_CAPABILITIES: return (uint64_t)HPET_PERIOD_FS << 32 | HPET_BLOCK_ID;
    case REG_CONFIG: return h->config;
    case REG_STATUS: return h->status;
    case REG_COUNTER: return h->counter + elapsed(h, now);
    default: break;
    }
    if (t == NULL)
        return 0;
    switch (offset % TIMER_STRIDE) {
    case TIMER_CONFIG: return (uint64_t)HPET_ROUTES << 32 | TN_CAPABILITIES | t->config;
    case TIMER_COMPARATOR: return t->comparator & width_mask(t);
    default: return 0;
    }
}

uint64_t hpet_read(struct hpet *h, unsigned offset, unsigned size, uint64_t now)
{
    hpet_advance(h, now);
    return read_register(h, offset & ~7u, now) >> 8 * (offset & 7) & size_mask(size);
}

/* Stopping keeps the counter's value; starting makes every timer look where it stands. */
static void write_config(struct hpet *h, uint32_t config, uint64_t ticks, uint64_t now)
{
    if (((h->config ^ config) & CONF_ENABLE) != 0) {
        h->counter += ticks;
        h->base = now;
    }
    h->config = config & CONF_ALL;
    ticks = elapsed(h, now);
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        schedule(h, &h->timers[n], ticks);
}

static void write_timer_config(struct hpet *h, struct hpet_timer *t, uint32_t config)
{
    uint32_t route = (config & TN_ROUTE) >> TN_ROUTE_SHIFT;

    if ((HPET_ROUTES & BIT32(route)) == 0) /* not a route it has: the old one stays */
        config = (config & ~TN_ROUTE) | (t->config & TN_ROUTE);
    t->config = config & TN_WRITABLE;
    if ((t->config & TN_LEVEL) == 0)
        h->status &= ~BIT32((unsigned)(t - h->timers));
}

/* In periodic mode only a write after TN_SET changes the comparator; each sets the period. */
static void write_comparator(struct hpet_timer *t, uint64_t value, uint64_t mask)
{
    if (!periodic(t) || (t->config & TN_SET) != 0)
        t->comparator = (t->comparator & ~mask) | (value & mask);
    t->period = (t->period & ~mask) | (value & mask);
    t->config &= ~TN_SET;
}

static void write_register(struct hpet *h, unsigned offset, uint64_t value, uint64_t mask,
                           uint64_t now)
{
    struct hpet_timer *t = timer_at(h, offset);
    uint64_t ticks = elapsed(h, now);

    if (offset == REG_CONFIG && (mask & 1) != 0)
        write_config(h, (uint32_t)value, ticks, now);
    if (offset == REG_STATUS)
        h->status &= (uint32_t) ~(value & mask);
    if (offset == REG_COUNTER && !enabled(h))
        h->counter = (h->counter & ~mask) | (value & mask);
    if (t == NULL)
        return;
    if (offset % TIMER_STRIDE == TIMER_CONFIG && (mask & 1) != 0)
        write_timer_config(h, t, (uint32_t)value);
    if (offset % TIMER_STRIDE == TIMER_COMPARATOR)
        write_comparator(t, value, mask);
    schedule(h, t, ticks);
}

void hpet_write(struct hpet *h, unsigned offset, unsigned size, uint64_t value, uint64_t now)
{
    unsigned shift = 8 * (offset & 7);

    hpet_advance(h, now);
    if (size < 4 || !is_aligned(offset, 4))
        return;
    write_register(h, offset & ~7u, value << shift, size_mask(size) << shift, now);
    h->deadline = next_deadline(h, elapsed(h, now));
}

uint32_t hpet_take_edges(struct hpet *h)
{
    uint32_t edges = h->edges;

    h->edges = 0;
    return edges;
}

bool hpet_line(const struct hpet *h, unsigned timer)
{
    return (h->status & BIT32(timer)) != 0 && (h->timers[timer].config & TN_ENABLE) != 0;
}

bool hpet_is_level(const struct hpet *h, unsigned timer)
{
    return (h->timers[timer].config & TN_LEVEL) != 0;
}

static unsigned route(const struct hpet_timer *t)
{
    return (t->config & TN_ROUTE) >> TN_ROUTE_SHIFT;
}

unsigned hpet_irq(const struct hpet *h, unsigned timer)
{
    return hpet_legacy(h) && timer < 2 ? 8 * timer : route(&h->timers[timer]);
}

bool hpet_ok(const struct hpet *h)
{
    bool due = false;

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        const struct hpet_timer *t = &h->timers[n];

        if ((t->config & ~TN_WRITABLE) != 0 || (HPET_ROUTES & BIT32(route(t))) == 0)
            return false;
        if ((h->status & BIT32(n)) != 0 && (t->config & TN_LEVEL) == 0)
            return false;
        due = due || (t->due != NEVER && (t->config & TN_ENABLE) != 0);
    }
    return (h->config & ~CONF_ALL) == 0 && ((h->status | h->edges) & ~ALL_TIMERS) == 0 &&
           (due || h->deadline == TIME_NEVER) && (enabled(h) || h->deadline == TIME_NEVER);
}
