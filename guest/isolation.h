/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second opinion on isolation, before the first guest runs: which host bytes, ports and MSRs
 * each guest reaches by the tables and bitmaps that were made for its vCPUs, and whether that is
 * what the config says. That their VMCSs name these is for scripts/second_opinion to see. Shares no
 * code with what built the tables (mm/pt.c, mm/ept.c, mm/hostpt.c, guest/load.c): own constants,
 * own walk, own list of MSRs. Source: SDM 3C "EPT Translation Mechanism", "EPT Misconfigurations",
 * "I/O-Bitmap Addresses", "MSR-Bitmap Address"; SDM 3A "4-Level Paging".
 */
#ifndef GUEST_ISOLATION_H
#define GUEST_ISOLATION_H

#include <stdbool.h>
#include <stdint.h>

#define ISOLATION_RANGES     128 /* of all guests together: at most 5 each, and one for each share */
#define ISOLATION_POOL_PAGES 512

/* A piece of host-physical memory, of any alignment; pieces may overlap. */
struct host_area {
    uint64_t base, len;
    const char *what; /* NULL: RAM; else its name in one word, and no guest may reach it */
};

/* The host as boot found it. */
struct host_map {
    const struct host_area *areas;
    uint32_t area_count;
    uint32_t phys_bits;  /* physical address width */
    uint64_t pool_base;  /* where tables and bitmaps have to be; at most ISOLATION_POOL_PAGES */
    uint64_t pool_used;  /* bytes */
    const uint64_t *own; /* pages of the pool that the cores have to themselves */
    uint32_t own_count;
    uint64_t root_hpa; /* the hypervisor's own page tables */
};

/* A run of guest-physical addresses and the host memory they reach. */
struct reach {
    uint64_t gpa, hpa, len;
    uint32_t access; /* as in an EPT entry: 1 read, 2 write, 4 execute */
    uint16_t guest;
    int16_t region; /* index of the shared region it belongs to; else negative */
};

/* What was found. */
struct isolation {
    const struct host_map *host;
    uint32_t count;
    uint32_t tables; /* pages of tables and bitmaps looked at */
    struct reach reach[ISOLATION_RANGES];
    uint8_t owner[ISOLATION_POOL_PAGES]; /* of a pool page: ISOLATION_*, 0: not seen */
    char problem[240];                   /* the first thing that is wrong, as a sentence */
};

#define ISOLATION_OWNER      0x7f /* 1: the hypervisor; n + 2: guest n */
#define ISOLATION_TABLE      0x80 /* a page table, an EPT or a bitmap */
#define ISOLATION_HYPERVISOR 1

/*
 * Look at the tables of all vms[] and at the hypervisor's.
 *   host    stays in use by `out`
 *   out     filled; `problem` only if the answer is no
 *   return  whether each guest reaches what its config gives it, and nothing else
 * Context: boot processor, all guests created, none started. A no is a bug of the hypervisor.
 */
bool isolation_check(const struct host_map *host, struct isolation *out);

#endif
