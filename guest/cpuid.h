/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID tells a guest: a table made once at start from the host's CPUID and a whitelist. An
 * exit only looks it up. SDM 2A "CPUID".
 */
#ifndef GUEST_CPUID_H
#define GUEST_CPUID_H

#include <stdint.h>

#define CPUID_BASIC_MAX    0x16u       /* highest basic leaf */
#define CPUID_EXTENDED_MAX 0x80000008u /* highest extended leaf */
#define CPUID_HYPERVISOR   0x40000000u /* signature leaf, the only one of its range */
#define CPUID_ENTRIES      72

struct cpuid_leaf {
    uint32_t eax, ebx, ecx, edx;
};

/* entry[first[leaf] + min(subleaf, ...)]; leaves without subleaves have count 1. */
struct cpuid_table {
    uint8_t first[CPUID_BASIC_MAX + 1];
    uint8_t count[CPUID_BASIC_MAX + 1];
    uint8_t used;
    struct cpuid_leaf entry[CPUID_ENTRIES];
    struct cpuid_leaf extended[9];
    struct cpuid_leaf hypervisor;
    uint64_t xcr0_allowed; /* bits XSETBV accepts */
};

/* What of a guest the answers depend on. */
struct cpuid_identity {
    uint32_t apic_id;
    uint32_t vcpu_count;
    uint64_t tsc_hz;
};

/* Fill the table on the core the vCPU will run on. */
void cpuid_build(struct cpuid_table *t, const struct cpuid_identity *id);

/*
 * The answer to one CPUID.
 *   leaf, subleaf  EAX and ECX
 *   return         never NULL; an unknown basic leaf gives the highest one's data, as on Intel
 * CPUs, an unknown subleaf zeros
 */
const struct cpuid_leaf *cpuid_lookup(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf);

/* The guest's physical-address width (MAXPHYADDR), 32..52 bits. */
static inline unsigned cpuid_phys_bits(const struct cpuid_table *t)
{
    return t->extended[8].eax & 0xff;
}

/*
 * Bytes of the XSAVE area for the features in xcr0 (CPUID.0DH.0:EBX).
 *   xcr0  a subset of xcr0_allowed
 */
uint32_t cpuid_xsave_size(const struct cpuid_table *t, uint64_t xcr0);

#endif
