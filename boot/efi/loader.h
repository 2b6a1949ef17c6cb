/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UEFI loader: a UEFI application that holds the hypervisor's ELF file and starts it. All runs
 * on the boot processor, with boot services; nothing here is part of the hypervisor.
 */
#ifndef BOOT_EFI_LOADER_H
#define BOOT_EFI_LOADER_H

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

#include "boot/handover.h"
#include "lib/compiler.h"

/* The firmware, from efi_main on. */
extern EFI_SYSTEM_TABLE *firmware;

/*
 * Print one line, with "[bulkhead] " in front, on COM1 and on the firmware's console.
 *   fmt  as fmt_print; at most 200 characters, without a line's end
 */
void say(const char *fmt, ...) PRINTF(1, 2);

/* The same on COM1 only: when boot services have ended. */
void say_late(const char *fmt, ...) PRINTF(1, 2);

/* Set COM1 up: 115200 baud, 8N1. Before any of the others. */
void com1_init(void);

/* Wait until COM1 has sent all; not for ever. */
void com1_drain(void);

/*
 * Put the embedded ELF file into memory: 2 MiB-aligned and below 4 GiB, as boot/multiboot2.S and
 * boot/efi64.S want it. On an error it was said why.
 *   entry   host-physical address of its entry point
 *   return  false: no memory, or the file is damaged
 */
MUST_CHECK bool load_hypervisor(uint64_t *entry);

/*
 * A hand-over below 4 GiB with all that the firmware has to tell but the memory map: RSDP,
 * framebuffer, random seed.
 *   return  NULL: no memory, and it was said
 */
MUST_CHECK struct efi_handover *make_handover(void);

/*
 * End boot services, with the memory map of that moment in the hand-over. After an error most of
 * the firmware, its console too, may be gone.
 *   image   what efi_main was given
 *   return  EFI_SUCCESS; else the firmware's reason
 */
MUST_CHECK EFI_STATUS leave_firmware(EFI_HANDLE image, struct efi_handover *h);

/* Whether two GUIDs are the same. */
static inline bool same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
    const uint64_t *x = (const uint64_t *)(const void *)a, *y = (const uint64_t *)(const void *)b;

    return x[0] == y[0] && x[1] == y[1];
}

#endif
