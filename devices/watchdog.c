/* SPDX-License-Identifier: BSD-2-Clause */
/* A watchdog for an ACPI WDAT table. See the header. */
#include "devices/watchdog.h"

#include "lib/bits.h"
#include "lib/time.h"

#define CONTROL_RUNS 0x01u /* [0] */
#define STATUS_FIRED 0x01u /* [0] */
#define ACTION_ENDS  0x01u /* [0] */

static bool running(const struct watchdog *w)
{
    return w->deadline != TIME_NEVER;
}

static void load(struct watchdog *w, uint64_t now)
{
    w->deadline = now + w->count * w->tsc_hz;
}

/* Another core's `now` may lie a little before the moment it was loaded. */
static uint16_t left(const struct watchdog *w, uint64_t now)
{
    if (!running(w))
        return w->count;
    if (now >= w->deadline)
        return 0;

    uint64_t seconds = (w->deadline - now + w->tsc_hz - 1) / w->tsc_hz;

    return seconds < w->limit ? (uint16_t)seconds : w->limit;
}

void watchdog_reset(struct watchdog *w, uint64_t tsc_hz, uint32_t limit_s)
{
    uint16_t limit = (uint16_t)(limit_s < WATCHDOG_LIMIT_MAX ? limit_s : WATCHDOG_LIMIT_MAX);

    *w = (struct watchdog){
        .tsc_hz = tsc_hz,
        .deadline = TIME_NEVER,
        .limit = limit,
        .count = limit,
        .fired = w->expired,
    };
}

uint32_t watchdog_read(const struct watchdog *w, unsigned offset, unsigned size, uint64_t now)
{
    uint64_t all = (uint64_t)left(w, now) << 8 * WATCHDOG_LEFT |
                   (uint64_t)w->count << 8 * WATCHDOG_COUNT |
                   (uint64_t)ACTION_ENDS << 8 * WATCHDOG_ACTION |
                   (uint64_t)(w->fired ? STATUS_FIRED : 0) << 8 * WATCHDOG_STATUS |
                   (running(w) ? CONTROL_RUNS : 0);

    return (uint32_t)(all >> 8 * offset & size_mask(size));
}

static void write_control(struct watchdog *w, uint8_t value, uint64_t now)
{
    bool run = (value & CONTROL_RUNS) != 0;

    if (run && !running(w))
        load(w, now);
    else if (!run)
        w->deadline = TIME_NEVER;
}

static void write_count(struct watchdog *w, uint16_t count)
{
    if (count == 0)
        count = 1;
    w->count = count < w->limit ? count : w->limit;
}

void watchdog_write(struct watchdog *w, unsigned offset, unsigned size, uint32_t value,
                    uint64_t now)
{
    uint64_t mask = size_mask(size) << 8 * offset;
    uint64_t bits = (value & size_mask(size)) << 8 * offset;
    uint16_t count_mask = (uint16_t)(mask >> 8 * WATCHDOG_COUNT);

    watchdog_advance(w, now);
    if (w->expired)
        return;
    if (count_mask != 0)
        write_count(w, (uint16_t)((w->count & ~count_mask) | bits >> 8 * WATCHDOG_COUNT));
    if ((mask & 1) != 0)
        write_control(w, (uint8_t)bits, now);
    if ((mask >> 8 * WATCHDOG_KICK & 1) != 0 && running(w))
        load(w, now);
    if ((bits >> 8 * WATCHDOG_STATUS & STATUS_FIRED) != 0)
        w->fired = false;
}

void watchdog_advance(struct watchdog *w, uint64_t now)
{
    if (running(w) && now >= w->deadline)
        w->expired = true;
}

bool watchdog_ok(const struct watchdog *w)
{
    return w->count <= w->limit && (w->count > 0 || w->limit == 0) && (!w->expired || running(w));
}
