/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a Multiboot or Multiboot2 kernel and its modules into a guest's memory, as a boot loader on
 * a PC with BIOS and without disk or screen does.
 * Source: Multiboot Specification 0.6.96; Multiboot2 Specification 2.0; System V ABI, "Program
 * Header".
 */
#ifndef GUEST_LOAD_MULTIBOOT_H
#define GUEST_LOAD_MULTIBOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/config.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/err.h"

struct vm;

/* What a kernel finds in EAX: which version its boot information is of. */
#define MULTIBOOT1_EAX         0x2badb002u
#define MULTIBOOT2_EAX         0x36d76289u

#define MULTIBOOT_LOADER_NAME  "Bulkhead"
#define MULTIBOOT_SEGMENTS_MAX 16
#define MULTIBOOT_INFO_MAX     (64 * KIB)

/* A piece of the kernel. Its memory beyond the image's bytes is zero. */
struct multiboot_segment {
    uint64_t gpa;
    uint64_t mem_len; /* bytes */
    size_t offset;    /* of its bytes in the image */
    size_t len;       /* of them, at most mem_len */
};

/*
 * Where everything of one kernel goes: its segments to the addresses it names, the modules behind
 * them from modules_gpa on, each at the next page; the boot information at the top of the RAM below
 * 1 MiB, where loaders on a PC put it too, and kernels that map little memory at first reach it.
 */
struct multiboot_layout {
    uint32_t eax; /* MULTIBOOT1_EAX or MULTIBOOT2_EAX */
    unsigned segment_count;
    struct multiboot_segment segments[MULTIBOOT_SEGMENTS_MAX];
    uint64_t kernel_gpa; /* of its lowest segment */
    uint64_t entry_gpa;
    bool relocatable;  /* the kernel wants to be told kernel_gpa */
    uint64_t info_gpa; /* page-aligned, for EBX */
    uint64_t info_len;
    uint64_t modules_gpa;
};

/* Where the module after the one of len bytes at gpa begins. */
static inline uint64_t multiboot_next_module(uint64_t gpa, size_t len)
{
    return align_up(gpa + len, PAGE_SIZE);
}

/*
 * Checks a kernel and decides where it, its modules and the boot information go. The image may be
 * any bytes, the modules and the texts any number of them; none of the modules' bytes are read. Of
 * a kernel with both headers the Multiboot2 one counts: it can say more, and is told more.
 *   cfg      kernel, cmdline, modules, and memory (as config.h says)
 *   out      valid only if OK is returned
 *   problem  set to NULL, or to one sentence about what is wrong
 *   return  OK; ERR_FORMAT no such kernel or a damaged one; ERR_UNSUPPORTED it requires what there
 *           is not; ERR_OVERLAP its segments meet each other or memory that is taken; ERR_RANGE too
 *           many characters of command line and modules' strings; ERR_NOMEM it does not fit
 * Source: "OS image format" of both specifications.
 */
MUST_CHECK enum err multiboot_check(const struct guest_config *cfg, struct multiboot_layout *out,
                                    const char **problem);

/*
 * Writes kernel, modules and boot information into the memory of `vm`, which is zero there.
 *   cfg       the guest that `layout` was made from
 *   layout    from multiboot_check()
 *   rsdp_gpa  where the guest's ACPI RSDP is
 *   return  OK; ERR_RANGE if the guest has no memory where the layout needs it
 * Context: boot or guest reset; no vCPU of `vm` runs. The first one then starts at entry_gpa in
 * 32-bit protected mode, flat, without paging, EAX = eax, EBX = info_gpa ("Machine state").
 */
MUST_CHECK enum err multiboot_load(struct vm *vm, const struct guest_config *cfg,
                                   const struct multiboot_layout *layout, uint64_t rsdp_gpa);

#endif
