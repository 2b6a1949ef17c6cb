/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a Multiboot kernel is told: command line, loader's name, modules, memory map, and by
 * Multiboot2 the ACPI RSDP and where it lies itself.
 * Source: "Boot information format" of the Multiboot Specification 0.6.96 and of the Multiboot2
 * Specification 2.0.
 */
#ifndef GUEST_MULTIBOOT_INFO_H
#define GUEST_MULTIBOOT_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/load_multiboot.h"

/*
 * How many bytes of it there are.
 *   l  its eax and relocatable are set; nothing else has an influence
 */
uint64_t multiboot_info_len(const struct guest_config *cfg, const struct multiboot_layout *l);

/*
 * Writes it to l->info_gpa, where guest memory is zero. Context: as multiboot_load().
 *   l         from multiboot_check() of this guest
 *   rsdp_gpa  where the guest's ACPI RSDP is
 *   return    false if the guest has no memory there
 */
MUST_CHECK bool multiboot_info_write(struct vm *vm, const struct guest_config *cfg,
                                     const struct multiboot_layout *l, uint64_t rsdp_gpa);

#endif
