/* SPDX-License-Identifier: BSD-2-Clause */
/* From the loader's entry code to the guests. */
#ifndef BOOT_MAIN_H
#define BOOT_MAIN_H

#include <stdint.h>

#include "lib/compiler.h"

/*
 * The hypervisor's C entry: 64-bit mode, early tables, early stack, interrupts off.
 *   magic     what the loader left in EAX: multiboot2's, or EFI_HANDOVER_MAGIC
 *   tags      host-physical address of the multiboot2 boot information, or of the struct
 *             efi_handover, below 4 GiB
 *   load_hpa  where the image is
 */
NORETURN void hv_main(uint32_t magic, uint64_t tags, uint64_t load_hpa);

/* A core's life from here on: wait for the start, run the guest it has, then idle. */
NORETURN void run_core(void);

#endif
