/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What instructions, interrupts and timers cost in a machine with one CPU; in one with several,
 * what interrupts between two of them cost, and nothing else. bench.h says how that is measured,
 * and what the lines mean.
 *
 * It relies on a PC's chips only, so that it runs under another hypervisor and on the bare machine
 * (tests/guests/multiboot.S) too. Where there is no ACPI PM1 control at 604H it stops in the end.
 */
#include "tests/guest/bench.h"

MEASURE(cost_nothing, "")

static void bench_one_cpu(void)
{
    uint64_t tsc_hz;

    bench_set_loop(cost_nothing((struct operands){0}));
    bench_memory();
    bench_instructions();
    tsc_hz = tsc_hz_pit();
    bench_settle(4 * tsc_hz);
    bench_timers(tsc_hz);
    bench_interrupts_xapic(tsc_hz);
    bench_interrupts_x2apic(tsc_hz);
}

void guest_main(void)
{
    con_setup();
    pic_setup(0xff, 0xff);
    if (bench_start_other())
        bench_between_cpus();
    else
        bench_one_cpu();
    con_printf("bench done\n");
    power_off();
}
