/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that beats once a second: the PIT interrupts through the PIC 100 times a second, the CPU
 * sleeps in between, and each second it prints one line with what it saw of time: its uptime and
 * the ticks' jitter by the TSC, and the time of day by the RTC.
 *
 * Jitter is how far the time between two ticks was from the PIT's period. Ticks that came while a
 * line was printed are measured together; a tick that was lost shows as a jitter of one period.
 */
#include "tests/guest/lib.h"

#define TICKS_PER_BEAT 100u
#define RELOAD         11932u /* 99.9985 Hz */

struct jitter {
    uint64_t min, max, sum; /* TSC ticks */
    uint64_t count;
};

struct clock {
    uint64_t tsc_hz;
    uint64_t period;   /* of the PIT, in TSC ticks */
    uint64_t start;    /* TSC at tick 0 */
    uint64_t last;     /* TSC at tick `ticks` */
    uint32_t ticks;    /* seen since tick 0 */
    uint32_t irq_base; /* irq_count at tick 0 */
};

static uint64_t scale(uint64_t ticks, uint64_t tsc_hz, uint64_t unit)
{
    return ticks / tsc_hz * unit + (ticks % tsc_hz * unit + tsc_hz / 2) / tsc_hz;
}

static void jitter_add(struct jitter *j, uint64_t deviation)
{
    if (j->count == 0 || deviation < j->min)
        j->min = deviation;
    if (deviation > j->max)
        j->max = deviation;
    j->sum += deviation;
    j->count++;
}

/* The CPU's word on its frequency, unless the PIT contradicts it. */
static uint64_t tsc_hz_choose(void)
{
    uint64_t by_cpuid = tsc_hz_cpuid();
    uint64_t by_pit = tsc_hz_pit();

    con_printf("tsc %lu Hz (CPUID), %lu Hz (PIT)\n", by_cpuid, by_pit);
    if (by_pit == 0 || (by_cpuid != 0 && within_percent(by_cpuid, by_pit)))
        return by_cpuid != 0 ? by_cpuid : 1;
    con_printf("tsc: the PIT is believed\n");
    return by_pit;
}

static void rtc_print(const char *before)
{
    struct rtc_time t = rtc_read_time();

    con_printf("%srtc %02u:%02u:%02u\n", before, t.hours, t.minutes, t.seconds);
}

/* Sleep until the PIT has ticked again, take in what came. Returns the number of new ticks. */
static uint32_t clock_sleep(struct clock *c, struct jitter *j)
{
    uint64_t now, elapsed, expected;
    uint32_t fresh;

    irq_disable();
    while (irq_count(VECTOR_PIC1) - c->irq_base == c->ticks)
        irq_halt();
    fresh = irq_count(VECTOR_PIC1) - c->irq_base - c->ticks;
    now = irq_tsc(VECTOR_PIC1);
    irq_enable();

    elapsed = now - c->last;
    expected = fresh * c->period;
    jitter_add(j, elapsed < expected ? expected - elapsed : elapsed - expected);
    c->last = now;
    c->ticks += fresh;
    return fresh;
}

static struct clock clock_start(void)
{
    struct clock c = {.tsc_hz = tsc_hz_choose()};

    c.period = c.tsc_hz * RELOAD / PIT_HZ;
    pic_setup(0xfe, 0xff);
    lapic_enable_virtual_wire();
    pit_start(RELOAD);
    while (irq_count(VECTOR_PIC1) < 2) /* the first may be from the mode's setting, not a tick */
        irq_halt();
    c.irq_base = irq_count(VECTOR_PIC1);
    c.start = c.last = irq_tsc(VECTOR_PIC1);
    return c;
}

static void beat_print(const struct clock *c, const struct jitter *j)
{
    uint64_t uptime_ms = scale(c->last - c->start, c->tsc_hz, 1000);
    uint64_t average = j->sum / j->count;

    con_printf("beat %u: uptime %lu.%03lu s, jitter min/avg/max = %lu/%lu/%lu us, ",
               c->ticks / TICKS_PER_BEAT, uptime_ms / 1000, uptime_ms % 1000,
               scale(j->min, c->tsc_hz, 1000000), scale(average, c->tsc_hz, 1000000),
               scale(j->max, c->tsc_hz, 1000000));
    rtc_print("");
}

void guest_main(void)
{
    struct clock c;
    struct jitter j = {0};

    con_setup();
    con_printf("heartbeat: PIT %u Hz through the PIC\n", TICKS_PER_BEAT);
    c = clock_start();
    rtc_print("start: ");
    for (;;) {
        uint32_t fresh = clock_sleep(&c, &j);

        if (c.ticks % TICKS_PER_BEAT < fresh) {
            beat_print(&c, &j);
            j = (struct jitter){0};
        }
    }
}
