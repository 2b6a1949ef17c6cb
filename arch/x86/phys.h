/* SPDX-License-Identifier: BSD-2-Clause */
/* Set-up of mm/phys.h on the real machine: the table pool's mapping and each core's windows. */
#ifndef ARCH_X86_PHYS_H
#define ARCH_X86_PHYS_H

#include "arch/x86/cpu.h"
#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/hostpt.h"
#include "mm/pages.h"

/*
 * While the early tables are in use, physical memory below 4 GiB is at its own address.
 *   pool_base  host-physical address of the table pool
 */
void phys_use_identity(uint64_t pool_base);

/* From now on the final tables are loaded: the pool is at POOL_VA, the rest is seen by windows. */
void phys_use_final(void);

/*
 * Give a core its windows in the final tables.
 *   return  ERR_NOMEM
 */
MUST_CHECK enum err phys_make_windows(struct hostpt *pt, struct cpu *c);

#endif
