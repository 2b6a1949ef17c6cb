/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the config fits the machine that is there. What does not is a problem (boot/refusal.h),
 * said with the code that the config compiler uses for it, and the config's line:
 *
 *   BH021  a core that the machine does not have
 *   BH022  two guests on hardware threads of one physical core
 *   BH028  a processor that cannot give a guest its core's local APIC
 *   BH032  more memory than the machine has
 *   BH033  no block of host memory that is large enough, or none at all in a range
 *
 * Boot processor, before the guests run.
 */
#ifndef BOOT_FIT_H
#define BOOT_FIT_H

#include <stdint.h>

#include "lib/compiler.h"
#include "mm/pages.h"

/* How many cores may be started: as many as the config says the machine has. */
unsigned fit_core_max(void);

/* The config's cores are there. When all cores are started. */
void fit_cores(void);

/* Say which cores are hardware threads of one physical core; different guests have none such. */
void fit_threads(void);

/* Guests with `apic: direct` can have it: x2APIC mode and a VMX-preemption timer are there. */
void fit_direct(void);

/*
 * The config's memory is there: as much as it was written for, in its ranges, and enough for all
 * guests. Afterwards p has only what guests may get.
 *   p        when all that the hypervisor takes for itself is taken
 *   ram_len  bytes of RAM that firmware left, before anything was taken
 */
void fit_memory(struct pages *p, uint64_t ram_len);

/*
 * The last pages_take_block found no place.
 *   line, key    of the config, where the size is said
 *   what, name   "guest" or "shared", and which
 *   problem      in words
 */
NORETURN void fit_refuse_block(const struct pages *p, unsigned line, const char *key,
                               const char *what, const char *name, const char *problem);

#endif
