/* SPDX-License-Identifier: BSD-2-Clause */
/* The partition map in the boot report: who has which core, and which host memory. */
#ifndef BOOT_REPORT_H
#define BOOT_REPORT_H

#include "mm/pages.h"

/*
 * Log the map, memory sorted by host address. When all guests are created.
 *   image, pool  what the hypervisor has for itself
 */
void report_partitions(struct mem_range image, struct mem_range pool);

#endif
