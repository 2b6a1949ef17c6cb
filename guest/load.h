/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory as it is made at boot, and what lies in it at power-on: the config's images.
 */
#ifndef GUEST_LOAD_H
#define GUEST_LOAD_H

#include "arch/x86/vcpu.h"
#include "guest/config.h"
#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/ept.h"

struct pages;
struct vm;

/* Where each shared region of the config is; set by load_create_region. */
extern struct mem_range load_regions[CONFIG_REGIONS_MAX];

/* Bytes of host memory that load_create takes for a guest, beside its shared regions. */
uint64_t load_host_bytes(const struct guest_config *c);

/*
 * Take host memory for a shared region and clear it, for the only time. Boot processor, once for
 * each, before load_create of the guests that share it.
 *   index    into machine_config.regions
 *   problem  out: what was wrong, in words
 */
MUST_CHECK enum err load_create_region(uint32_t index, struct pages *pool, const char **problem);

/*
 * Check the guest's images, take host memory for it and map it and its shared regions: vm->memory,
 * vm->ept. Boot processor, once; vm->config is set.
 *   problem  out: what was wrong, in words
 */
MUST_CHECK enum err load_create(struct vm *vm, struct pages *pool, const char **problem);

/*
 * Tables that map these ranges, with the largest pages this machine has. Boot processor.
 *   return  as ept_init and ept_map
 */
MUST_CHECK enum err load_make_ept(struct ept *ept, struct pages *pool,
                                  const struct ept_range *ranges, size_t count);

/*
 * The images in their places, in memory that is zero (gmem_scrub). On the first vCPU's core, while
 * none of the guest's vCPUs runs.
 *   start   out: the state of the first vCPU
 *   return  an error only where load_create did not check what it had to
 */
MUST_CHECK enum err load_start(struct vm *vm, struct vcpu_start *start);

/*
 * Let CMOS memory tell how much RAM and how many processors there are, where firmware looks for it.
 * After platform_power_on; the same core and time as load_start.
 */
void load_cmos(struct vm *vm);

#endif
