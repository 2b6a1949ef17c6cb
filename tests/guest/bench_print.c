/* SPDX-License-Identifier: BSD-2-Clause */
/* The benchmarks' samples and lines; see bench.h. */
#include "tests/guest/bench.h"

static struct {
    struct cost loop;
    uint64_t sample[SAMPLES_MAX];
    unsigned samples;
} bench;

void bench_set_loop(struct cost loop)
{
    bench_print_less("loop", loop, (struct cost){.rounds = 1});
    bench.loop = loop;
}

uint64_t bench_loop_min(void)
{
    return bench.loop.min;
}

void bench_print_less(const char *name, struct cost c, struct cost part)
{
    uint64_t rounds = c.rounds * part.rounds;
    uint64_t ticks = less(c.total * part.rounds, part.total * c.rounds);

    con_printf("bench %s avg %lu min %lu\n", name, (ticks + rounds / 2) / rounds,
               less(c.min, part.min));
}

void bench_print_cost(const char *name, struct cost c)
{
    bench_print_less(name, c, bench.loop);
}

void bench_print_absent(const char *name)
{
    con_printf("bench %s absent\n", name);
}

void bench_sample_clear(void)
{
    bench.samples = 0;
}

/* Sorted at once. */
void bench_sample(uint64_t ticks)
{
    unsigned at = bench.samples;

    if (at == SAMPLES_MAX)
        return;
    for (; at > 0 && bench.sample[at - 1] > ticks; at--)
        bench.sample[at] = bench.sample[at - 1];
    bench.sample[at] = ticks;
    bench.samples++;
}

void bench_print_events(const char *name)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < bench.samples; i++)
        total += bench.sample[i];
    con_printf("bench %s avg %lu max %lu n %u\n", name, (total + bench.samples / 2) / bench.samples,
               bench.sample[bench.samples - 1], bench.samples);
}

void bench_print_distribution(const char *name)
{
    unsigned n = bench.samples;

    con_printf("bench %s n %u min %lu p50 %lu p99 %lu max %lu\n", name, n, bench.sample[0],
               bench.sample[n / 2], bench.sample[n * 99 / 100], bench.sample[n - 1]);
}

void bench_settle(uint64_t tsc_hz)
{
    irq_enable();
    tsc_delay(tsc_hz / 4);
    irq_disable();
}
