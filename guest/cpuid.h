/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID tells a guest: a table made once at start from the host's CPUID and a whitelist. An
 * exit only looks it up. SDM 2A "CPUID".
 */
#ifndef GUEST_CPUID_H
#define GUEST_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#define CPUID_BASIC_MAX     0x1fu       /* highest basic leaf, where the CPU has it too */
#define CPUID_BASIC_MAX_OLD 0x16u       /* else */
#define CPUID_EXTENDED_MAX  0x80000008u /* highest extended leaf */
#define CPUID_HYPERVISOR    0x40000000u /* signature leaf, the only one of its range */
#define CPUID_ENTRIES       80

/* Leaves to ask cpuid_complete() for: bit n for leaf n. */
#define CPUID_DYNAMIC       (1u << 0x1 | 1u << 0xb | 1u << 0xd | 1u << 0x1f)

struct cpuid_leaf {
    uint32_t eax, ebx, ecx, edx;
};

/* The leaf has subleaves, or its answer is not always the same. */
#define CPUID_NOT_PLAIN 0xffu

/* entry[first[leaf] + min(subleaf, ...)]; leaves without subleaves have count 1. */
struct cpuid_table {
    uint8_t first[CPUID_BASIC_MAX + 1];
    uint8_t count[CPUID_BASIC_MAX + 1];
    uint8_t plain[CPUID_BASIC_MAX + 1]; /* index of a leaf's one entry; CPUID_NOT_PLAIN */
    uint8_t used;
    struct cpuid_leaf entry[CPUID_ENTRIES];
    struct cpuid_leaf extended[9];
    struct cpuid_leaf hypervisor;
    struct cpuid_leaf completed; /* the last answer of cpuid_complete() */
    uint64_t xcr0_allowed;       /* bits XSETBV accepts */
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
 * The answer where it follows the guest's registers or its input.
 *   leaf       of CPUID_DYNAMIC
 *   cr4, xcr0  the vCPU's
 *   return     valid until the next call
 */
const struct cpuid_leaf *cpuid_complete(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
                                        uint64_t cr4, uint64_t xcr0);

#endif
