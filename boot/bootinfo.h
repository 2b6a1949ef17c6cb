/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader told us, in one form for BIOS and UEFI, and its parsers: for multiboot2, and
 * for what our own UEFI loader hands over (its format: boot/handover.h).
 * Everything is copied: the loader's memory may be reused afterwards.
 * Source: Multiboot2 Specification 2.0, "Boot information format"; UEFI Specification 2.x,
 * "EFI_BOOT_SERVICES.GetMemoryMap()" for the EFI memory map.
 */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/pages.h"

#define BOOT_MEMORY_MAX             256u
#define BOOT_MODULES_MAX            8u
#define BOOT_RSDP_LEN               36u /* ACPI 2.0 and later; 20 in ACPI 1.0 */
#define BOOT_SEED_LEN               32u

/* What the loader leaves in EAX. */
#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289u

enum boot_memory_type {
    BOOT_MEMORY_USABLE,       /* EFI: conventional, loader and boot services memory too */
    BOOT_MEMORY_RESERVED,     /* all that is none of the others, EFI runtime services too */
    BOOT_MEMORY_ACPI_RECLAIM, /* ACPI tables */
    BOOT_MEMORY_ACPI_NVS,
    BOOT_MEMORY_BAD,
};

enum boot_firmware { BOOT_FIRMWARE_BIOS, BOOT_FIRMWARE_UEFI };

/* Firmware's numbers, not checked: any base, any length. */
struct boot_memory {
    uint64_t base;
    uint64_t len;
    enum boot_memory_type type;
};

/* A linear framebuffer of pixels (multiboot2 type 1, direct RGB). The loader's numbers, not
 * checked. */
struct boot_framebuffer {
    bool present;
    uint8_t bpp; /* bits per pixel */
    uint8_t red_shift, red_bits;
    uint8_t green_shift, green_bits;
    uint8_t blue_shift, blue_bits;
    uint32_t pitch; /* bytes per line */
    uint32_t width; /* pixels */
    uint32_t height;
    uint64_t hpa;
};

struct boot_info {
    enum boot_firmware firmware;
    struct boot_memory memory[BOOT_MEMORY_MAX]; /* in the loader's order */
    unsigned memory_count;
    struct mem_range modules[BOOT_MODULES_MAX]; /* files the loader placed in memory */
    unsigned module_count;
    uint8_t rsdp[BOOT_RSDP_LEN]; /* copy of ACPI's root pointer, not checked */
    unsigned rsdp_len;           /* bytes of it: 0 (none), 20 or 36 */
    bool load_base_known;
    uint64_t load_base;        /* host-physical, where the loader put our image */
    uint64_t efi_system_table; /* host-physical, 0 if none */
    struct boot_framebuffer framebuffer;
    uint8_t seed[BOOT_SEED_LEN]; /* the firmware's random bytes */
    unsigned seed_len;           /* bytes of it, 0 if none */
    bool cmdline_cut;            /* it was longer than 255 */
    char cmdline[256];           /* ends in 0; bytes that are not printable ASCII became '?' */
    char loader[64];             /* the loader's name, likewise */
    const char *problem;         /* what was wrong with the input, or NULL; a constant string */
};

/*
 * Parse a multiboot2 boot information structure. The input is not trusted; nothing outside of
 * tags .. tags + max_len - 1 is read. With both maps the EFI memory map is taken. Of tags that come
 * twice the first counts. Adjacent entries of one type are joined.
 *   tags     start of the structure (its total_size field); any alignment
 *   max_len  bytes that may be read
 *   out      filled; on an error it holds what was read until then, and out->problem
 *   return   ERR_FORMAT malformed; ERR_NOTFOUND no memory map; ERR_NOMEM more than
 *            BOOT_MEMORY_MAX entries or BOOT_MODULES_MAX modules; ERR_UNSUPPORTED EFI boot
 *            services are still running
 */
MUST_CHECK enum err bootinfo_from_multiboot2(const void *tags, size_t max_len,
                                             struct boot_info *out);

/*
 * Parse what our UEFI loader handed over: a struct efi_handover and the EFI memory map behind it.
 * As bootinfo_from_multiboot2 otherwise. A framebuffer whose description makes no sense is none.
 *   handover  any alignment
 *   max_len   bytes that may be read
 *   return    ERR_FORMAT malformed; ERR_NOTFOUND no memory map; ERR_NOMEM more than
 *             BOOT_MEMORY_MAX entries
 */
MUST_CHECK enum err bootinfo_from_efi(const void *handover, size_t max_len, struct boot_info *out);

/*
 * Put the memory map into a page map: add what is usable, then reserve everything else and the
 * modules. The caller reserves its own image.
 *   p       after pages_init
 *   return  as pages_add and pages_reserve
 */
MUST_CHECK enum err bootinfo_to_pages(const struct boot_info *info, struct pages *p);

#endif
