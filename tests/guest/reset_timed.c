/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a reset takes: says when it will reset itself, does it at that tick of the TSC, and says
 * when its next life began. A guest's TSC goes on across a reset.
 */
#include "tests/guest/lib.h"

#define PORT_RESET  0xcf9u
#define RESET_NOW   0x06u
#define AHEAD_TICKS 5000000u /* more than the printing takes */

void guest_main(void)
{
    uint64_t begin = rdtsc(), end = begin + AHEAD_TICKS;

    con_setup();
    con_printf("life begins at %lu, reset at %lu\n", begin, end);
    con_flush();
    while (rdtsc() < end)
        __asm__ volatile("pause");
    outb(PORT_RESET, RESET_NOW);
}
