/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two parts of the boot report: the partition map (who has which core, and which host memory), and
 * how long each step of boot/main.c took.
 */
#ifndef BOOT_REPORT_H
#define BOOT_REPORT_H

#include "mm/pages.h"

/* The steps of boot/main.c, in order, as docs/TOUR.md 1.2 lists them. */
enum boot_phase {
    PHASE_ENTRY, /* the loader's hand-over to hv_main */
    PHASE_BOOT_INFO,
    PHASE_MEMORY,
    PHASE_TABLES,
    PHASE_ACPI,
    PHASE_CORE, /* the first one, to VMX root operation */
    PHASE_APIC,
    PHASE_CLOCK,
    PHASE_CORES, /* the others */
    PHASE_FIT,
    PHASE_REGIONS,
    PHASE_GUESTS,
    PHASE_MAP,
    PHASE_CONSOLE,
    PHASE_ISOLATION,
    PHASE_COUNT
};

/*
 * Log the map, memory sorted by host address. When all guests are created.
 *   image, pool  what the hypervisor has for itself
 */
void report_partitions(struct mem_range image, struct mem_range pool);

/*
 * Log how many TSC ticks each phase took; scripts/boot_svg reads it.
 *   hand_over_tsc  the TSC when the loader handed over
 *   ends           the TSC at the end of each phase
 */
void report_phases(uint64_t hand_over_tsc, const uint64_t ends[PHASE_COUNT]);

#endif
