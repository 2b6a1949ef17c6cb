/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which logical processors are hardware threads of one physical core.
 * Source: SDM 3A "Hierarchical Mapping of CPUID Extended Topology Leaf", and where there is none
 * "Algorithm for Three-Domain Mappings of APIC_ID"; leaves: SDM 2A "CPUID".
 */
#ifndef ARCH_X86_TOPOLOGY_H
#define ARCH_X86_TOPOLOGY_H

#include <stdint.h>

#include "arch/x86/asm.h"

/* What CPUID says on one logical processor; zeros where it has not got that leaf. */
struct topology_leaves {
    struct cpuid_regs leaf1;
    struct cpuid_regs leaf4;    /* subleaf 0 */
    struct cpuid_regs extended; /* leaf 1FH, else 0BH; subleaf 0 */
};

/*
 * The physical core: the APIC ID with the bits that number the core's threads cleared.
 *   return  the same for two logical processors if, and only if, they are threads of one core
 */
uint32_t topology_core_of(const struct topology_leaves *l);

/* The same of the logical processor we run on. */
uint32_t topology_this_core(void);

#endif
