/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that resets itself at once. */
#include "tests/guest/lib.h"

#define PORT_RESET 0xcf9u
#define RESET_NOW  0x06u

void guest_main(void)
{
    con_setup();
    con_printf("about to reset\n");
    con_flush();
    outb(PORT_RESET, RESET_NOW);
    con_printf("FAIL resetter: still running\n");
}
