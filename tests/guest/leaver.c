/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that switches itself off at once. */
#include "tests/guest/lib.h"

void guest_main(void)
{
    con_setup();
    con_printf("switching off\n");
    con_flush();
    power_off();
}
