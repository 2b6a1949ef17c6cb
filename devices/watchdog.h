/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A watchdog: once started it counts down, in seconds, and expires unless it is kicked before.
 * Eight I/O ports, whose place the config says. It is made to be described by an ACPI WDAT table
 * (guest/acpi_tables.c), so that operating systems need no driver of their own for it.
 * Source: Microsoft, "Hardware Watchdog Timers Design Specification" (2006), for what the table's
 * actions have to find; the registers are our own:
 *
 *   0  control    [0] runs. 1 starts it with the whole count, 0 stops it
 *   1  kick       a write of anything: the whole count again. Reads 0
 *   2  status     [0] the guest runs again because it expired. A 1 written clears it
 *   3  action     reads 1: expiry ends the guest's life. Writes do nothing
 *   4  count      16 bits: seconds, from the next start or kick on; 1 and the limit are the bounds
 *   6  left       16 bits, read-only: seconds until it expires, rounded up; `count` while stopped
 */
#ifndef DEVICES_WATCHDOG_H
#define DEVICES_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#define WATCHDOG_CONTROL   0u
#define WATCHDOG_KICK      1u
#define WATCHDOG_STATUS    2u
#define WATCHDOG_ACTION    3u
#define WATCHDOG_COUNT     4u
#define WATCHDOG_LEFT      6u
#define WATCHDOG_PORTS     8u

#define WATCHDOG_LIMIT_MAX 0xffffu /* seconds */

struct watchdog {
    uint64_t tsc_hz;
    uint64_t deadline; /* TIME_NEVER: it is stopped */
    uint16_t limit;    /* seconds */
    uint16_t count;
    bool fired;   /* status [0] */
    bool expired; /* nothing changes any more until the reset */
};

/*
 * Power-on, or reset: stopped, with the longest count. Whether it had expired is in `status` then.
 *   tsc_hz   frequency of the clock that all `now` are counted in, up to 2^40
 *   limit_s  longest count, seconds; above WATCHDOG_LIMIT_MAX it is that
 */
void watchdog_reset(struct watchdog *w, uint64_t tsc_hz, uint32_t limit_s);

/*
 * The guest reads or writes registers.
 *   offset  0..WATCHDOG_PORTS - 1
 *   size    1, 2 or 4 bytes; what is beyond the last port reads 0
 */
uint32_t watchdog_read(const struct watchdog *w, unsigned offset, unsigned size, uint64_t now);
void watchdog_write(struct watchdog *w, unsigned offset, unsigned size, uint32_t value,
                    uint64_t now);

/* When watchdog_advance must be called at the latest: it expires then. TIME_NEVER: it is stopped.
 */
static inline uint64_t watchdog_deadline(const struct watchdog *w)
{
    return w->deadline;
}

/* Time has come to `now`. */
void watchdog_advance(struct watchdog *w, uint64_t now);

/* Whether it has expired; the guest's life is to end. */
static inline bool watchdog_expired(const struct watchdog *w)
{
    return w->expired;
}

/* The chip's invariant; true after every call above. */
bool watchdog_ok(const struct watchdog *w);

#endif
