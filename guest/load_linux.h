/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads an unmodified Linux bzImage, its initrd and command line into a guest's memory, for the
 * kernel's 64-bit entry point.
 * Source: Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header", "64-bit Boot Protocol";
 * Documentation/x86/zero-page.rst.
 */
#ifndef GUEST_LOAD_LINUX_H
#define GUEST_LOAD_LINUX_H

#include <stddef.h>
#include <stdint.h>

#include "guest/config.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/err.h"

struct vm;

/*
 * Guest-physical addresses of what the loader adds, all in the first 64 KiB: Linux never gives
 * that memory to anyone, and its decompressor's own scratch memory is at the top of low RAM.
 */
#define LINUX_GDT_GPA         0x1000ull
#define LINUX_PML4_GPA        0x2000ull
#define LINUX_PDPT_GPA        0x3000ull
#define LINUX_PD_GPA          0x4000ull /* four pages, one for each GiB */
#define LINUX_PD_COUNT        4
#define LINUX_BOOT_PARAMS_GPA 0x8000ull
#define LINUX_CMDLINE_GPA     0x9000ull
#define LINUX_CMDLINE_MAX     2047 /* characters, without the NUL */

/* Below 1 MiB of the map: RAM, then the BIOS area (our ACPI tables). Above: guest/gmem.h. */
#define LINUX_LOW_RAM_END     0x9f000ull
#define LINUX_HIGH_RAM_GPA    (1 * MIB)

/* Segment selectors the boot protocol fixes. */
#define LINUX_BOOT_CS         0x10
#define LINUX_BOOT_DS         0x18

/* struct boot_e820_entry of boot_params. */
struct linux_e820_entry {
    uint64_t addr;
    uint64_t size;
    uint32_t type;
} PACKED;
_Static_assert(sizeof(struct linux_e820_entry) == 20, "zero-page.rst: 20 bytes per entry");

#define LINUX_E820_RAM      1u
#define LINUX_E820_RESERVED 2u
#define LINUX_E820_MAX      4

/* setup_header as of protocol 2.15, at 1F1H of the image and of boot_params. */
struct linux_setup_header {
    uint8_t setup_sects; /* real-mode sectors after the first; 0 means 4 */
    uint16_t root_flags;
    uint32_t syssize; /* protected-mode code, in 16-byte units */
    uint16_t ram_size;
    uint16_t vid_mode;
    uint16_t root_dev;
    uint16_t boot_flag;  /* AA55H */
    uint8_t jump;        /* EBH */
    uint8_t jump_offset; /* the header ends at 202H + this */
    uint32_t header;     /* "HdrS" */
    uint16_t version;    /* major << 8 | minor */
    uint32_t realmode_swtch;
    uint16_t start_sys_seg;
    uint16_t kernel_version;
    uint8_t type_of_loader;
    uint8_t loadflags;
    uint16_t setup_move_size;
    uint32_t code32_start;
    uint32_t ramdisk_image;
    uint32_t ramdisk_size;
    uint32_t bootsect_kludge;
    uint16_t heap_end_ptr;
    uint8_t ext_loader_ver;
    uint8_t ext_loader_type;
    uint32_t cmd_line_ptr;
    uint32_t initrd_addr_max;  /* highest byte an initrd may occupy */
    uint32_t kernel_alignment; /* bytes, a power of two */
    uint8_t relocatable_kernel;
    uint8_t min_alignment;
    uint16_t xloadflags;
    uint32_t cmdline_size; /* characters, without the NUL */
    uint32_t hardware_subarch;
    uint64_t hardware_subarch_data;
    uint32_t payload_offset;
    uint32_t payload_length;
    uint64_t setup_data;
    uint64_t pref_address;
    uint32_t init_size; /* bytes from the load address the kernel needs at first */
    uint32_t handover_offset;
    uint32_t kernel_info_offset;
} PACKED;
#define LINUX_HEADER_OFFSET 0x1f1 /* of setup_header in the image and in boot_params */
_Static_assert(LINUX_HEADER_OFFSET + sizeof(struct linux_setup_header) == 0x26c, "boot.rst");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, header) == 0x202, "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, version) == 0x206, "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, type_of_loader) == 0x210,
               "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, code32_start) == 0x214,
               "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, cmd_line_ptr) == 0x228,
               "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, kernel_alignment) == 0x230,
               "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, xloadflags) == 0x236, "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, setup_data) == 0x250, "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, pref_address) == 0x258,
               "");
_Static_assert(LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, init_size) == 0x260, "");

/* Where everything of one Linux guest goes. All addresses guest-physical, all lengths bytes. */
struct linux_layout {
    struct linux_setup_header header; /* as in the image */
    uint64_t memory;                  /* the guest's, bytes */
    size_t code_offset;               /* protected-mode code in the image */
    size_t code_len;
    uint64_t kernel_gpa;
    uint64_t kernel_end_gpa; /* end of what the kernel needs before it knows its memory map */
    uint64_t initrd_gpa;     /* 0 if there is no initrd */
    size_t initrd_len;
    size_t cmdline_len; /* characters, without the NUL */
    uint64_t entry_gpa; /* the 64-bit entry point */
};

/*
 * State of the first vCPU at the entry point. CS is LINUX_BOOT_CS, DS ES SS are LINUX_BOOT_DS,
 * flat; general registers besides RSI are 0, RFLAGS is 2 (interrupts disabled).
 */
struct linux_entry {
    uint64_t rip;
    uint64_t rsi; /* boot_params */
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t gdt_base;
    uint16_t gdt_limit;
};

/*
 * Checks a bzImage and decides where it, the initrd and the rest go. Reads nothing but `kernel`
 * and `cmdline`; the image may be any bytes.
 *   kernel      the whole bzImage file
 *   initrd_len  bytes, 0 for none
 *   memory      bytes of guest memory, placed as guest/gmem.h says; at most GMEM_MAX
 *   cmdline     NUL-terminated
 *   out         valid only if OK is returned
 *   problem     set to NULL, or to one sentence about what is wrong
 *   return  OK; ERR_FORMAT not a bzImage or damaged; ERR_UNSUPPORTED one that cannot be started
 *           this way; ERR_RANGE the command line or memory size; ERR_NOMEM it does not fit
 * Source: boot.rst, "Details of Header Fields".
 */
MUST_CHECK enum err linux_check(const struct guest_image *kernel, size_t initrd_len,
                                uint64_t memory, const char *cmdline, struct linux_layout *out,
                                const char **problem);

/*
 * The guest's memory map as the BIOS would report it.
 *   memory  bytes, more than 1 MiB, at most GMEM_MAX
 *   out     filled, sorted by address, no overlap
 *   return  how many entries were filled
 */
uint8_t linux_e820(uint64_t memory, struct linux_e820_entry out[LINUX_E820_MAX]);

/*
 * Writes kernel, initrd, command line, boot_params, GDT and an identity map of the first 4 GiB
 * into the memory of `vm`, whatever was there before.
 *   cfg       the guest, its images being those `layout` was made from
 *   layout    from linux_check()
 *   rsdp_gpa  where the ACPI RSDP is, 0 for none
 *   out       the first vCPU's registers
 *   return  OK; ERR_RANGE if the guest has no memory where the layout needs it
 * Context: boot or guest reset; no vCPU of `vm` runs.
 */
MUST_CHECK enum err linux_load(struct vm *vm, const struct guest_config *cfg,
                               const struct linux_layout *layout, uint64_t rsdp_gpa,
                               struct linux_entry *out);

#endif
