/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/pit.h"

#include "arch/x86/asm.h"

#define PIT_HZ       1193182u
#define PORT_COUNT   0x40
#define PORT_COMMAND 0x43
#define MODE_0       0x30 /* channel 0, low then high byte; the output is low until the end */

void pit_interrupt_after(unsigned us)
{
    unsigned count = (us * (PIT_HZ / 1000) + 999) / 1000;

    outb(PORT_COMMAND, MODE_0);
    if (us == 0)
        return; /* without a count it does not run */
    outb(PORT_COUNT, (uint8_t)(count & 0xff));
    outb(PORT_COUNT, (uint8_t)(count >> 8));
}
