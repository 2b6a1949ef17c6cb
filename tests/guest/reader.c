/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that reads: about once a second it prints what the writers of the shared regions at
 * CHANNEL_FIRST_GPA and CHANNEL_SECOND_GPA have put there (tests/guest/worker.c), and says of
 * which of them it has nothing.
 */
#include "tests/guest/channel.h"
#include "tests/guest/lib.h"

static void channel_print(uint64_t gpa)
{
    uint64_t value, count;

    if (channel_read(channel_at(gpa), &value, &count))
        con_printf("at %lx: prime number %lu is %lu\n", gpa, count, value);
    else
        con_printf("at %lx: nothing\n", gpa);
}

void guest_main(void)
{
    uint64_t tsc_hz;

    con_setup();
    tsc_hz = tsc_hz_cpuid() != 0 ? tsc_hz_cpuid() : tsc_hz_pit();
    con_printf("reader: looking at two regions\n");
    for (;;) {
        tsc_delay(tsc_hz);
        channel_print(CHANNEL_FIRST_GPA);
        channel_print(CHANNEL_SECOND_GPA);
    }
}
