/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the hypervisor's lines and the guests' go: a UART, the screen, the journal for the next
 * boot. What is there, and where. All of it runs on the bootstrap processor, at boot.
 */
#ifndef BOOT_OUTPUTS_H
#define BOOT_OUTPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/acpi.h"
#include "arch/x86/screen.h"
#include "boot/bootinfo.h"
#include "mm/hostpt.h"
#include "mm/pages.h"

struct outputs {
    struct mem_range framebuffer; /* len 0: none */
    struct mem_range journal;     /* len 0: none */
    const char *uart_from;        /* who said so, for the report */
    uint16_t uart_port;           /* 0: none */
    uint8_t uart_isa_irq;         /* or SERIAL_IRQ_NONE */
    uint32_t uart_baud;           /* 0: as firmware has set it */
};

/*
 * Check what the loader says of the framebuffer.
 *   phys_bits  the CPU's physical address width
 *   mode       out: filled if it can be used
 *   return     NULL, or what is wrong with it; a constant string
 */
const char *outputs_check_framebuffer(const struct boot_info *info, unsigned phys_bits,
                                      struct screen_mode *mode);

/* Lines are drawn from now on, if there is a framebuffer that can be used, below 4 GiB. */
void outputs_find_screen(struct outputs *o, const struct boot_info *info, unsigned phys_bits);

/*
 * Find a place for the journal, tell what the boot before left there, and begin anew.
 *   p  after the image was reserved, before pages_pool; below 4 GiB all is at its own address
 */
void outputs_find_journal(struct outputs *o, struct pages *p);

/* Put both into the final page tables; until outputs_use_final() nothing is drawn or kept. */
MUST_CHECK enum err outputs_map(const struct outputs *o, struct hostpt *pt);

/* The final page tables are loaded, and cpu_init_control() was called. */
void outputs_use_final(const struct outputs *o);

/*
 * Choose the UART: the command line, SPCR, DBG2, COM1, a PCI card, in this order. One that is not
 * COM1 is told what was said before.
 *   info  its rsdp is one whose tables acpi_find() found sound
 */
void outputs_find_uart(struct outputs *o, const struct boot_info *info, unsigned phys_bits);

/* One line for each output. */
void outputs_report(const struct outputs *o);

#endif
