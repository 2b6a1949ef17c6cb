/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that ends with an exit status through the debug exit port. */
#include "tests/guest/lib.h"

#define EXIT_STATUS 42u

void guest_main(void)
{
    con_setup();
    con_printf("leaving with exit status %u\n", EXIT_STATUS);
    con_flush();
    outl(PORT_DEBUG_EXIT, EXIT_STATUS);
    con_printf("FAIL exitcode: still running\n");
    power_off();
}
