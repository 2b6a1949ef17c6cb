/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by check*.c only: the state of one check and the words the rules are written in. */
#ifndef ARCH_X86_VMX_CHECK_RULES_H
#define ARCH_X86_VMX_CHECK_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/vmx/check.h"
#include "arch/x86/vmx/vmx_regs.h"

struct vmx_checker {
    const struct vmcs_image *vmcs;
    const struct vmx_capabilities *cap;
    struct vmx_finding *out;
    unsigned max;
    unsigned count;
    const char *section; /* of the rules that come now */

    uint64_t proc2; /* secondary controls in force: 0 if they are not activated */
    bool unrestricted;
    bool ia32e; /* "IA-32e mode guest" */
    bool v8086; /* RFLAGS.VM */
};

/* The value of a field. */
static inline uint64_t get(const struct vmx_checker *k, enum vmx_check_field field)
{
    return k->vmcs->value[field];
}

/* Whether any of these bits of a field is 1. */
static inline bool has(const struct vmx_checker *k, enum vmx_check_field field, uint64_t bits)
{
    return (get(k, field) & bits) != 0;
}

/* "VM-Entry Controls for Event Injection": whether there is one, and of this type. */
static inline bool injects(const struct vmx_checker *k)
{
    return has(k, VF_ENTRY_INFO, INTR_INFO_VALID);
}

static inline uint32_t injected_type(const struct vmx_checker *k)
{
    return (uint32_t)(get(k, VF_ENTRY_INFO) & INTR_INFO_TYPE) >> INTR_TYPE_SHIFT;
}

static inline uint32_t injected_vector(const struct vmx_checker *k)
{
    return (uint32_t)get(k, VF_ENTRY_INFO) & INTR_INFO_VECTOR;
}

static inline bool injects_type(const struct vmx_checker *k, uint32_t type)
{
    return injects(k) && injected_type(k) == type;
}

/* bits [63:n], n < 64. */
static inline uint64_t bits_from(unsigned n)
{
    return ~0ull << n;
}

/* Rules, in check.c. Each adds a finding on `field` unless it holds. */
void expect(struct vmx_checker *k, enum vmx_check_field field, bool holds, const char *rule);
void expect_clear(struct vmx_checker *k, enum vmx_check_field field, uint64_t bits,
                  const char *rule);
void expect_set(struct vmx_checker *k, enum vmx_check_field field, uint64_t bits, const char *rule);

/* A linear address that the CPU's width can express. SDM 1 "Canonical Addressing". */
void expect_canonical(struct vmx_checker *k, enum vmx_check_field field);

/* A physical address: low_bits (with their rule) are 0, nothing above the CPU's width. */
void expect_physical(struct vmx_checker *k, enum vmx_check_field field, uint64_t low_bits,
                     const char *low_rule);
void expect_page(struct vmx_checker *k, enum vmx_check_field field);

/* Rules that the host's and the guest's registers share. */
void expect_fixed(struct vmx_checker *k, enum vmx_check_field field, uint64_t ones, uint64_t zeros);
void expect_cr3(struct vmx_checker *k, enum vmx_check_field field);
void expect_pat(struct vmx_checker *k, enum vmx_check_field field);
void expect_efer_defined(struct vmx_checker *k, enum vmx_check_field field);

/* The groups, one file each. */
void vmx_check_controls(struct vmx_checker *k);
void vmx_check_host(struct vmx_checker *k);
void vmx_check_guest(struct vmx_checker *k);
void vmx_check_segments(struct vmx_checker *k);

#endif
