/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that ends in a triple fault: without an IDT, the #GP of delivering #UD, then the #DF,
 * cannot be delivered either. Source: SDM 3A "Interrupt 8: Double Fault Exception (#DF)".
 */
#include "tests/guest/lib.h"

void guest_main(void)
{
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    con_setup();
    con_printf("about to triple-fault\n");
    con_flush();
    __asm__ volatile("lidt %0\n\tud2" : : "m"(none) : "memory");
    con_printf("FAIL triplefault: still running\n");
}
