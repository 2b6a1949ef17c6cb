/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What boot/efi leaves in memory for the hypervisor: one block below 4 GiB, a header and behind it
 * the EFI memory map as the firmware gave it. boot/bootinfo.c reads it, and does not trust it.
 * Source: UEFI Specification 2.10, "EFI_BOOT_SERVICES.GetMemoryMap()", "Graphics Output Protocol".
 */
#ifndef BOOT_HANDOVER_H
#define BOOT_HANDOVER_H

#define EFI_HANDOVER_MAGIC 0x49464542 /* "BEFI"; also in EAX when hv_main's caller joins in */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

/* EFI_GRAPHICS_PIXEL_FORMAT: bytes in memory, or masks. */
#define EFI_PIXEL_RGBX  0u
#define EFI_PIXEL_BGRX  1u
#define EFI_PIXEL_MASKS 2u

struct efi_handover {
    uint32_t magic;
    uint32_t total_len;      /* bytes: this header and the memory map */
    uint32_t descriptor_len; /* bytes from one EFI_MEMORY_DESCRIPTOR to the next */
    uint32_t rsdp_len;       /* 0 (none), 20 or 36 */
    uint64_t system_table;   /* host-physical */
    uint64_t framebuffer;    /* host-physical, 0 if none; the rest is of its current mode */
    uint32_t width;          /* pixels */
    uint32_t height;
    uint32_t pixels_per_line; /* in memory: width or more */
    uint32_t pixel_format;
    uint32_t red_mask; /* these for EFI_PIXEL_MASKS only */
    uint32_t green_mask;
    uint32_t blue_mask;
    uint32_t reserved_mask;
    uint32_t seed_len; /* bytes of seed, 0 if the firmware has no EFI_RNG_PROTOCOL */
    uint8_t rsdp[36];  /* copy of ACPI's root pointer */
    uint8_t seed[32];
};
_Static_assert(offsetof(struct efi_handover, rsdp) == 68, "without holes");
_Static_assert(sizeof(struct efi_handover) == 136, "the memory map follows, 8-byte aligned");
#endif

#endif
