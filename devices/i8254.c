/* SPDX-License-Identifier: BSD-2-Clause */
/* 82C54 interval timer and port 61H. Source: Intel 82C54 data sheet (231244). */
#include "devices/i8254.h"

#include "lib/time.h"

/* Control word; the status byte has the same [5:0]. */
#define CONTROL_SELECT     0xc0u /* [7:6] counter, 3: read-back command */
#define CONTROL_RW         0x30u /* [5:4] 0: latch command, else the bytes to read and write */
#define CONTROL_MODE       0x0eu /* [3:1] mode; 6 is 2, 7 is 3 */
#define CONTROL_BCD        0x01u /* [0] four decades */
#define CONTROL_STORED     0x3fu

#define RW_LOW             0x10u /* [5:4] = 1 */
#define RW_HIGH            0x20u /* [5:4] = 2 */

/* Read-back command */
#define READBACK_NO_COUNT  0x20u /* [5] */
#define READBACK_NO_STATUS 0x10u /* [4] */
#define READBACK_COUNTER_0 0x02u /* [3:1] one bit for each counter */

/* Status byte */
#define STATUS_OUT         0x80u /* [7] level of OUT */
#define STATUS_NULL        0x40u /* [6] null count */

/* NMI status and control, port 61H */
#define NMI_GATE_2         0x01u /* [0] */
#define NMI_SPEAKER        0x02u /* [1] */
#define NMI_SERR_OFF       0x04u /* [2] */
#define NMI_IOCHK_OFF      0x08u /* [3] */
#define NMI_STORED         (NMI_GATE_2 | NMI_SPEAKER | NMI_SERR_OFF | NMI_IOCHK_OFF)
#define NMI_REFRESH        0x10u /* [4] toggles with each refresh request */
#define NMI_OUT_2          0x20u /* [5] */

#define REFRESH_PULSES     18u /* 15.1 us */

#define COUNT_MAX          65536u /* what a count of 0 stands for */

static uint8_t mode_of(uint8_t control)
{
    unsigned m = (control & CONTROL_MODE) >> 1;

    return (uint8_t)(m > 5 ? m - 4 : m);
}

static bool is_periodic(const struct i8254_channel *c)
{
    return (c->mode & 6) == 2;
}

/* Modes 1 and 5: the gate starts the counter, and its level does not matter. */
static bool is_triggered(const struct i8254_channel *c)
{
    return (c->mode & 3) == 1;
}

static uint32_t modulus(const struct i8254_channel *c)
{
    return (c->control & CONTROL_BCD) != 0 ? 10000u : COUNT_MAX;
}

static uint16_t bcd_encode(uint32_t n)
{
    return (uint16_t)(n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

static uint32_t bcd_decode(uint32_t bcd)
{
    return (bcd >> 12) * 1000 + (bcd >> 8 & 15) * 100 + (bcd >> 4 & 15) * 10 + (bcd & 15);
}

/* Mode 3 with an odd count has halves of different length. */
static bool is_plain(const struct i8254_channel *c)
{
    return c->counting && c->load_at == TIME_NEVER && !c->latched && !c->status_latched &&
           (c->control & (CONTROL_RW | CONTROL_BCD)) == CONTROL_RW &&
           (c->mode != 3 || c->count % 2 == 0);
}

static uint32_t plain_period(const struct i8254_channel *c)
{
    if (!is_plain(c))
        return 0;
    if (!is_periodic(c))
        return COUNT_MAX;
    return c->mode == 3 ? c->count / 2 : c->count;
}

/*
 * Whether the next read will be, as long as there is no write and no load: both set c->plain to 0.
 */
static void set_plain(struct i8254_channel *c)
{
    c->plain = plain_period(c);
    c->step = c->mode == 3;
}

/* Pulses counted from `count` up to `pulse`. */
static uint64_t elapsed(const struct i8254_channel *c, uint64_t pulse)
{
    return c->counting ? pulse - c->start : c->elapsed;
}

/* Mode 3: pulses for which OUT is high, the longer half of an odd count. */
static uint32_t high_half(uint32_t count)
{
    return (count + 1) / 2;
}

/* The counting element as a number, 0..65535. "Mode Definitions". */
static uint32_t counting_element(const struct i8254_channel *c, uint64_t pulse)
{
    uint64_t e = elapsed(c, pulse);
    uint32_t m = modulus(c);
    uint32_t in_period = (uint32_t)(e % c->count);

    if (!c->loaded)
        return c->count % m;
    if (c->mode == 2)
        return (c->count - in_period) % m;
    if (c->mode == 3 && in_period < high_half(c->count))
        return ((c->count & ~1u) - 2 * in_period) % m;
    if (c->mode == 3)
        return ((c->count & ~1u) - 2 * (in_period - high_half(c->count))) % m;
    return (uint32_t)((c->count + m - e % m) % m);
}

static uint16_t read_element(const struct i8254_channel *c, uint64_t pulse)
{
    uint32_t n = counting_element(c, pulse);

    return (c->control & CONTROL_BCD) != 0 ? bcd_encode(n) : (uint16_t)n;
}

static bool initial_out(const struct i8254_channel *c)
{
    return c->mode != 0;
}

static bool out(const struct i8254_channel *c, uint64_t pulse)
{
    uint64_t e = elapsed(c, pulse);

    if (!c->loaded)
        return initial_out(c);
    switch (c->mode) {
    case 2: return e % c->count != c->count - 1;
    case 3: return e % c->count < high_half(c->count);
    case 4:
    case 5: return e != c->count;
    }
    return e >= c->count;
}

/* Rising edges of OUT in the first `e` pulses after a load. */
static inline uint64_t rises_within(const struct i8254_channel *c, uint64_t e)
{
    if (is_periodic(c))
        return e / c->count;
    return c->mode >= 4 ? e > c->count : e >= c->count;
}

/* Rising edges up to `pulse` that were not reported before. */
static inline uint64_t take_rises(struct i8254_channel *c, uint64_t pulse)
{
    uint64_t before = c->rises;

    if (!c->loaded)
        return 0;
    c->rises = rises_within(c, elapsed(c, pulse));
    return c->rises - before;
}

/* A load: `count` counts from pulse `start` on. */
static inline void load_from(struct i8254_channel *c, uint32_t count, uint64_t start)
{
    c->count = count;
    c->start = start;
    c->load_at = TIME_NEVER;
    c->elapsed = 0;
    c->rises = 0;
    c->null_count = false;
    c->loaded = true;
    c->counting = c->gate || is_triggered(c);
    c->plain = 0;
}

/* CR to CE at load_at. Mode 3 also loads a new count where OUT falls: that is within a period. */
static void load(struct i8254_channel *c)
{
    bool falls = c->mode == 3 && c->counting && !out(c, c->load_at);
    uint32_t count = is_periodic(c) && c->reload < 2 ? 2 : c->reload;

    load_from(c, count, falls ? c->load_at - high_half(count) : c->load_at);
}

/* A load has come. */
static NOINLINE uint64_t settle_load(struct i8254_channel *c, uint64_t pulse)
{
    uint64_t rises = c->loaded ? take_rises(c, c->load_at) : 0;

    load(c);
    return rises + take_rises(c, pulse);
}

/* Bring the counter up to `pulse`; rising edges since the last time. */
static uint64_t settle(struct i8254_channel *c, uint64_t pulse)
{
    return c->load_at <= pulse ? settle_load(c, pulse) : take_rises(c, pulse);
}

/* Stop at the present value, with OUT in its initial state; settled. */
static void stop(struct i8254_channel *c, uint64_t pulse)
{
    uint32_t value = counting_element(c, pulse);

    c->count = value == 0 ? modulus(c) : value;
    c->elapsed = 0;
    c->rises = 0;
    c->loaded = false;
    c->counting = false;
}

/* Pulse of the next rising edge of OUT that is to be reported, without regard to load_at. */
static uint64_t next_rise(const struct i8254_channel *c)
{
    uint64_t periods = 1;

    if (!c->counting)
        return TIME_NEVER;
    if (is_periodic(c)) {
        if (c->count < I8254_MIN_PERIOD)
            periods = (I8254_MIN_PERIOD + c->count - 1) / c->count;
        return c->start + (c->rises + periods) * c->count;
    }
    if (c->rises != 0)
        return TIME_NEVER;
    return c->start + c->count + (c->mode >= 4);
}

/* The same with a load that comes before it. */
static NOINLINE uint64_t next_rise_loaded(const struct i8254_channel *c)
{
    struct i8254_channel loaded = *c;

    (void)settle(&loaded, c->load_at);
    return next_rise(&loaded);
}

/* What the conversions need of the stack is theirs alone. */
static NOINLINE uint64_t when(const struct i8254 *p, uint64_t pulse)
{
    return p->epoch + ratio_when(p->clock, pulse);
}

static NOINLINE uint64_t pulses_until(const struct i8254 *p, uint64_t now)
{
    return ratio_ticks(p->clock, now - p->epoch);
}

static uint64_t pulse_at(const struct i8254 *p, uint64_t now)
{
    return pulses_until(p, now > p->now ? now : p->now);
}

static inline uint64_t find_deadline(const struct i8254 *p)
{
    const struct i8254_channel *c = &p->channel[0];
    uint64_t pulse = next_rise(c);

    if (UNLIKELY(c->load_at < pulse))
        pulse = next_rise_loaded(c);
    return pulse == TIME_NEVER ? TIME_NEVER : when(p, pulse);
}

/* After a change of counter 0. Edges that are due already are due now. */
static void set_deadline(struct i8254 *p, uint64_t now)
{
    if (p->edges == 0)
        p->deadline = find_deadline(p);
    else if (p->deadline > now)
        p->deadline = now;
}

/* Time has come to `now`: p->now and p->pulse. */
static inline void set_now(struct i8254 *p, uint64_t now)
{
    if (LIKELY(now > p->now))
        p->now = now;
    else
        now = p->now;
    p->pulse = pulses_until(p, now);
}

/* The counter settled at `now`; p->pulse is then that moment. */
static struct i8254_channel *settled(struct i8254 *p, unsigned channel, uint64_t now)
{
    struct i8254_channel *c = &p->channel[channel];
    uint64_t rises;

    set_now(p, now);
    rises = settle(c, p->pulse);
    if (channel == 0)
        p->edges += rises;
    return c;
}

/* The rest of i8254_advance(): p->pulse is that moment. */
static NOINLINE uint64_t advance(struct i8254 *p)
{
    uint64_t edges = p->edges + settle(&p->channel[0], p->pulse);

    p->edges = 0;
    p->deadline = find_deadline(p);
    return edges;
}

/*
 * A count that is loaded and over at once, not a periodic one: it makes one edge and no other. So
 * ends nearly each one-shot timer, since nobody looks at it in between. That it is over follows
 * from the deadline having come.
 */
static inline bool is_once(const struct i8254 *p)
{
    return p->edges == 0 && !p->channel[0].loaded && !is_periodic(&p->channel[0]);
}

uint64_t i8254_advance(struct i8254 *p, uint64_t now)
{
    struct i8254_channel *c = &p->channel[0];

    if (now < p->deadline)
        return 0;
    if (LIKELY(now > p->now))
        p->now = now;
    p->pulse = ratio_ticks(p->clock, p->now - p->epoch);
    if (!is_once(p))
        return advance(p);
    load_from(c, c->reload, c->load_at);
    c->rises = 1;
    p->deadline = TIME_NEVER;
    return 1;
}

/* "Counter Latch Command": a second one before the count is read has no effect. */
static void latch_count(struct i8254_channel *c, uint64_t pulse)
{
    if (c->latched)
        return;
    c->latch = read_element(c, pulse);
    c->latched = true;
}

static void latch_status(struct i8254_channel *c, uint64_t pulse)
{
    if (c->status_latched)
        return;
    c->status = (uint8_t)(c->control | (out(c, pulse) ? STATUS_OUT : 0u) |
                          (c->null_count ? STATUS_NULL : 0u));
    c->status_latched = true;
}

/* "Read-Back Command" */
static void read_back(struct i8254 *p, uint8_t command, uint64_t now)
{
    for (unsigned i = 0; i < I8254_CHANNELS; i++) {
        struct i8254_channel *c;

        if ((command & READBACK_COUNTER_0 << i) == 0)
            continue;
        c = settled(p, i, now);
        if ((command & READBACK_NO_COUNT) == 0)
            latch_count(c, p->pulse);
        if ((command & READBACK_NO_STATUS) == 0)
            latch_status(c, p->pulse);
    }
}

static void write_control(struct i8254 *p, unsigned channel, uint8_t value, uint64_t now)
{
    struct i8254_channel *c = settled(p, channel, now);
    bool was_high = out(c, p->pulse);

    stop(c, p->pulse);
    c->control = value & CONTROL_STORED;
    c->mode = mode_of(value);
    c->reload = modulus(c);
    c->load_at = TIME_NEVER;
    c->write_high = false;
    c->read_at = 0;
    c->latched = false;
    c->status_latched = false;
    c->armed = false;
    c->null_count = true;
    if (channel != 0)
        return;
    p->edges += !was_high && initial_out(c);
    set_deadline(p, now);
}

static void write_command(struct i8254 *p, uint8_t value, uint64_t now)
{
    unsigned channel = (value & CONTROL_SELECT) >> 6;
    struct i8254_channel *c;

    if (channel == I8254_CHANNELS) {
        read_back(p, value, now);
    } else if ((value & CONTROL_RW) != 0) {
        write_control(p, channel, value, now);
    } else {
        c = settled(p, channel, now);
        latch_count(c, p->pulse);
    }
}

/* When a count just written will be loaded, if no trigger comes first. */
static uint64_t load_time(const struct i8254_channel *c, uint64_t pulse)
{
    uint64_t in_period;

    if (is_triggered(c))
        return c->load_at;
    if (!is_periodic(c) || !c->counting)
        return pulse + 1;
    in_period = elapsed(c, pulse) % c->count;
    if (c->mode == 3 && in_period < high_half(c->count))
        return pulse + high_half(c->count) - in_period;
    return pulse + c->count - in_period;
}

/* The whole count has been written to CR. */
static void set_count(struct i8254_channel *c, uint32_t raw, uint64_t pulse)
{
    uint32_t m = modulus(c);
    uint32_t count = (c->control & CONTROL_BCD) != 0 ? bcd_decode(raw) % m : raw;

    c->reload = count == 0 ? m : count;
    c->armed = true;
    c->null_count = true;
    c->load_at = load_time(c, pulse);
}

static void write_count(struct i8254 *p, unsigned channel, uint8_t value, uint64_t now)
{
    struct i8254_channel *c = settled(p, channel, now);

    if (c->mode == 0) {
        stop(c, p->pulse);
        c->load_at = TIME_NEVER;
    }
    if ((c->control & CONTROL_RW) == RW_LOW) {
        set_count(c, value, p->pulse);
    } else if ((c->control & CONTROL_RW) == RW_HIGH) {
        set_count(c, (uint32_t)value << 8, p->pulse);
    } else if (c->write_high) {
        c->write_high = false;
        set_count(c, (uint32_t)value << 8 | c->low, p->pulse);
    } else {
        c->write_high = true;
        c->low = value;
    }
    if (channel == 0)
        set_deadline(p, now);
}

static uint8_t read_count(struct i8254 *p, unsigned channel, uint64_t now)
{
    struct i8254_channel *c = settled(p, channel, now);
    uint16_t value = c->latched ? c->latch : read_element(c, p->pulse);
    unsigned at = (c->control & CONTROL_RW) == RW_HIGH ? 8 : c->read_at;
    bool two_bytes = (c->control & CONTROL_RW) == CONTROL_RW;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (two_bytes)
        c->read_at ^= 8;
    if (c->read_at == 0)
        c->latched = false;
    return (uint8_t)(value >> at);
}

/* "Gate": stops modes 0 and 4, stops and restarts 2 and 3, starts 1 and 5; settled. */
static void gate_fall(struct i8254_channel *c, uint64_t pulse)
{
    if (is_triggered(c))
        return;
    if (is_periodic(c)) {
        if (c->counting)
            c->load_at = TIME_NEVER; /* was for the end of a period that will not come */
        stop(c, pulse);
    } else if (c->counting) {
        c->elapsed = elapsed(c, pulse);
        c->counting = false;
    }
}

static void gate_rise(struct i8254_channel *c, uint64_t pulse)
{
    if (is_triggered(c) || is_periodic(c)) {
        if (c->armed)
            c->load_at = pulse + 1;
    } else if (c->loaded) {
        c->start = pulse - c->elapsed;
        c->counting = true;
    }
}

static void write_nmi_control(struct i8254 *p, uint8_t value, uint64_t now)
{
    struct i8254_channel *c = settled(p, 2, now);
    bool gate = (value & NMI_GATE_2) != 0;

    p->nmi_control = value & NMI_STORED;
    if (gate == c->gate)
        return;
    c->gate = gate;
    if (gate)
        gate_rise(c, p->pulse);
    else
        gate_fall(c, p->pulse);
}

static uint8_t read_nmi_status(struct i8254 *p, uint64_t now)
{
    const struct i8254_channel *c = settled(p, 2, now);
    bool refresh = p->pulse / REFRESH_PULSES % 2 != 0;

    return (uint8_t)(p->nmi_control | (refresh ? NMI_REFRESH : 0u) |
                     (out(c, p->pulse) ? NMI_OUT_2 : 0u));
}

static uint8_t read_register(struct i8254 *p, uint16_t port, uint64_t now)
{
    switch (port) {
    case I8254_COUNTER_0:
    case I8254_COUNTER_1:
    case I8254_COUNTER_2: return read_count(p, port - I8254_COUNTER_0, now);
    case I8254_NMI_STATUS: return read_nmi_status(p, now);
    }
    return 0xff;
}

/* The next read of the same counter may be a plain one. */
uint8_t i8254_read(struct i8254 *p, uint16_t port, uint64_t now)
{
    uint8_t value = read_register(p, port, now);

    if (port <= I8254_COUNTER_2)
        set_plain(&p->channel[port - I8254_COUNTER_0]);
    return value;
}

static void write_register(struct i8254 *p, uint16_t port, uint8_t value, uint64_t now)
{
    switch (port) {
    case I8254_COUNTER_0:
    case I8254_COUNTER_1:
    case I8254_COUNTER_2: write_count(p, port - I8254_COUNTER_0, value, now); break;
    case I8254_CONTROL: write_command(p, value, now); break;
    case I8254_NMI_STATUS: write_nmi_control(p, value, now); break;
    }
}

void i8254_write(struct i8254 *p, uint16_t port, uint8_t value, uint64_t now)
{
    for (unsigned i = 0; i < I8254_CHANNELS; i++)
        p->channel[i].plain = 0; /* may not be any longer */
    write_register(p, port, value, now);
}

bool i8254_out(const struct i8254 *p, unsigned channel, uint64_t now)
{
    struct i8254_channel c;

    if (channel >= I8254_CHANNELS)
        return false;
    c = p->channel[channel];
    (void)settle(&c, pulse_at(p, now));
    return out(&c, pulse_at(p, now));
}

static void reset_channel(struct i8254_channel *c, uint8_t control, uint32_t count, bool running)
{
    *c = (struct i8254_channel){
        .load_at = TIME_NEVER,
        .count = count,
        .reload = count,
        .control = control,
        .mode = mode_of(control),
        .armed = running,
        .null_count = !running,
        .loaded = running,
        .counting = running,
        .gate = running,
    };
}

void i8254_reset(struct i8254 *p, uint64_t tsc_hz, uint64_t now)
{
    *p = (struct i8254){
        .clock = ratio_make(tsc_hz, I8254_HZ),
        .epoch = now,
        .now = now,
    };
    reset_channel(&p->channel[0], CONTROL_RW | 3u << 1, COUNT_MAX, true);
    reset_channel(&p->channel[1], RW_LOW | 2u << 1, REFRESH_PULSES, true);
    reset_channel(&p->channel[2], CONTROL_RW | 3u << 1, COUNT_MAX, false);
    p->deadline = find_deadline(p);
}

static bool counts_ok(const struct i8254_channel *c)
{
    uint32_t least = c->loaded && is_periodic(c) ? 2 : 1;

    return c->mode == mode_of(c->control) && c->count >= least && c->count <= COUNT_MAX &&
           c->reload >= 1 && c->reload <= modulus(c) && c->control <= CONTROL_STORED &&
           (c->control & CONTROL_RW) != 0;
}

/* Which states of loading and counting go together. */
static bool progress_ok(const struct i8254_channel *c)
{
    if (c->counting && !(c->loaded && (c->gate || is_triggered(c))))
        return false;
    if (!c->counting && c->loaded && c->gate && c->load_at == TIME_NEVER)
        return false;
    if (!c->loaded && (c->elapsed != 0 || c->rises != 0))
        return false;
    return (c->armed || (c->null_count && !c->loaded && c->load_at == TIME_NEVER)) &&
           (c->read_at & ~8u) == 0 &&
           (c->write_high || c->read_at != 0 ? (c->control & CONTROL_RW) == CONTROL_RW : true);
}

/* Counting began in the past, and no more edges were reported than there were. */
static bool times_ok(const struct i8254_channel *c, uint64_t pulse)
{
    return elapsed(c, pulse) < 1ull << 63 && (c->load_at == TIME_NEVER || c->armed) &&
           (!c->loaded || c->rises <= rises_within(c, elapsed(c, pulse)));
}

static bool plain_ok(const struct i8254_channel *c)
{
    return c->plain == 0 || (c->plain == plain_period(c) && c->step == (c->mode == 3));
}

bool i8254_ok(const struct i8254 *p)
{
    for (unsigned i = 0; i < I8254_CHANNELS; i++) {
        const struct i8254_channel *c = &p->channel[i];
        bool gate = i < 2 || (p->nmi_control & NMI_GATE_2) != 0;

        if (!counts_ok(c) || !progress_ok(c) || !times_ok(c, p->pulse) || c->gate != gate ||
            !plain_ok(c))
            return false;
    }
    return (p->nmi_control & ~NMI_STORED) == 0 && p->pulse <= pulse_at(p, p->now) &&
           (p->edges != 0 || p->deadline == find_deadline(p));
}
