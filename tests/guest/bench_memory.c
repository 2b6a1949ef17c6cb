/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: what the first touch of a page costs, and reads where there is a device or nothing.
 *
 * Nothing else touches 6..16 MiB: pages of 4 KiB are taken from [6 MiB, 8 MiB), of 2 MiB from
 * [8 MiB, 16 MiB). Whoever gives memory at the first touch gives it there in pages of that size
 * (tests/kvm/vmm.c).
 */
#include "tests/guest/bench.h"

#define SMALL_BEGIN 0x600000ul
#define SMALL_PAGE  0x1000ul
#define SMALL_PAGES 64u
#define LARGE_BEGIN 0x800000ul
#define LARGE_PAGE  0x200000ul
#define LARGE_PAGES 4u
#define NOTHING     0xd0000000ul /* above RAM, below the devices */

MEASURE(cost_load, "movl (%%rsi), %%eax")
MEASURE(cost_store, "movl %%eax, (%%rsi)")

/* A page that was touched: makes the code known before the first one is measured. */
static uint32_t warm;

static void print_touches(const char *name, uint64_t begin, uint64_t page_len, unsigned pages)
{
    (void)cost_store_once((struct operands){.rsi = (uint64_t)&warm});
    bench_sample_clear();
    for (unsigned i = 0; i < pages; i++) {
        uint64_t at = begin + i * page_len;

        bench_sample(less(cost_store_once((struct operands){.rsi = at}), bench_loop_min()));
    }
    bench_print_events(name);
}

void bench_memory(void)
{
    print_touches("touch-4k", SMALL_BEGIN, SMALL_PAGE, SMALL_PAGES);
    print_touches("touch-2m", LARGE_BEGIN, LARGE_PAGE, LARGE_PAGES);
    mmio_write(IOAPIC_BASE, IOAPIC_VERSION);
    bench_print_cost("ioapic-read",
                     cost_load((struct operands){.rsi = IOAPIC_BASE + IOAPIC_IOWIN}));
    bench_print_cost("mmio-nothing", cost_load((struct operands){.rsi = NOTHING}));
    lapic_enable();
    bench_print_cost("lapic-version",
                     cost_load((struct operands){.rsi = LAPIC_BASE + LAPIC_VERSION}));
    bench_print_cost("lapic-count", cost_load((struct operands){.rsi = LAPIC_BASE + LAPIC_TMCCT}));
    bench_print_cost("lapic-tpr", cost_store((struct operands){.rsi = LAPIC_BASE + LAPIC_TPR}));
    bench_print_cost("lapic-eoi", cost_store((struct operands){.rsi = LAPIC_BASE + LAPIC_EOI}));
}
