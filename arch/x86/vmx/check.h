/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks a CPU makes on a VMCS at VM entry, made again in software to name those that fail.
 * Pure: works on a copy of the fields and of the capabilities. explain.c makes the copies.
 * SDM 3C "VM Entries": "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest
 * State".
 *
 * Not checked: what needs memory (the virtual-APIC page's VTPR, PDPTEs without EPT, the entries of
 * the MSR areas), SMM, and rules of controls Bulkhead never sets: tertiary controls, VM functions,
 * VMCS shadowing, page-modification logging, #VE, mode-based execute control, sub-page writes,
 * user wait, TSC multiplier, PT, CET state, PKRS, FRED, LBR, BNDCFGS, UINV, PERF_GLOBAL_CTRL.
 */
#ifndef ARCH_X86_VMX_CHECK_H
#define ARCH_X86_VMX_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* The fields that take part. Those of segment registers: ES CS SS DS FS GS LDTR TR, always. */
enum vmx_check_field {
    VF_PIN,
    VF_PROC,
    VF_PROC2,
    VF_CR3_TARGET_COUNT,
    VF_IO_BITMAP_A,
    VF_IO_BITMAP_B,
    VF_MSR_BITMAP,
    VF_VIRTUAL_APIC,
    VF_APIC_ACCESS,
    VF_TPR_THRESHOLD,
    VF_POSTED_VECTOR,
    VF_POSTED_DESCRIPTOR,
    VF_VPID,
    VF_EPTP,
    VF_EXIT,
    VF_EXIT_STORE_COUNT,
    VF_EXIT_STORE,
    VF_EXIT_LOAD_COUNT,
    VF_EXIT_LOAD,
    VF_ENTRY,
    VF_ENTRY_LOAD_COUNT,
    VF_ENTRY_LOAD,
    VF_ENTRY_INFO,
    VF_ENTRY_ERROR,
    VF_ENTRY_LENGTH,

    VF_HOST_CR0,
    VF_HOST_CR3,
    VF_HOST_CR4,
    VF_HOST_SYSENTER_ESP,
    VF_HOST_SYSENTER_EIP,
    VF_HOST_PAT,
    VF_HOST_EFER,
    VF_HOST_ES,
    VF_HOST_CS,
    VF_HOST_SS,
    VF_HOST_DS,
    VF_HOST_FS,
    VF_HOST_GS,
    VF_HOST_TR,
    VF_HOST_FS_BASE,
    VF_HOST_GS_BASE,
    VF_HOST_TR_BASE,
    VF_HOST_GDTR_BASE,
    VF_HOST_IDTR_BASE,
    VF_HOST_RIP,

    VF_CR0,
    VF_CR3,
    VF_CR4,
    VF_DR7,
    VF_DEBUGCTL,
    VF_SYSENTER_ESP,
    VF_SYSENTER_EIP,
    VF_PAT,
    VF_EFER,
    VF_ES_SELECTOR,
    VF_CS_SELECTOR,
    VF_SS_SELECTOR,
    VF_DS_SELECTOR,
    VF_FS_SELECTOR,
    VF_GS_SELECTOR,
    VF_LDTR_SELECTOR,
    VF_TR_SELECTOR,
    VF_ES_BASE,
    VF_CS_BASE,
    VF_SS_BASE,
    VF_DS_BASE,
    VF_FS_BASE,
    VF_GS_BASE,
    VF_LDTR_BASE,
    VF_TR_BASE,
    VF_ES_LIMIT,
    VF_CS_LIMIT,
    VF_SS_LIMIT,
    VF_DS_LIMIT,
    VF_FS_LIMIT,
    VF_GS_LIMIT,
    VF_LDTR_LIMIT,
    VF_TR_LIMIT,
    VF_ES_ACCESS,
    VF_CS_ACCESS,
    VF_SS_ACCESS,
    VF_DS_ACCESS,
    VF_FS_ACCESS,
    VF_GS_ACCESS,
    VF_LDTR_ACCESS,
    VF_TR_ACCESS,
    VF_GDTR_BASE,
    VF_IDTR_BASE,
    VF_GDTR_LIMIT,
    VF_IDTR_LIMIT,
    VF_RIP,
    VF_RFLAGS,
    VF_ACTIVITY,
    VF_INTERRUPTIBILITY,
    VF_PENDING_DEBUG,
    VF_LINK_POINTER,
    VF_PDPTE0,
    VF_PDPTE1,
    VF_PDPTE2,
    VF_PDPTE3,
    VF_COUNT,
};

/* A VMCS as VMREAD shows it. A field this CPU does not have is 0. */
struct vmcs_image {
    uint64_t value[VF_COUNT];
};

/* What the CPU supports. SDM 3D "VMX Capability Reporting Facility" (A), SDM 2A "CPUID". */
struct vmx_capabilities {
    uint64_t basic; /* MSRs, raw; of the controls the TRUE_ variant where there is one */
    uint64_t pin;
    uint64_t proc;
    uint64_t proc2;
    uint64_t exit;
    uint64_t entry;
    uint64_t misc;
    uint64_t cr0_fixed0;
    uint64_t cr0_fixed1;
    uint64_t cr4_fixed0;
    uint64_t cr4_fixed1;
    uint64_t ept_vpid;
    uint8_t physical_bits; /* 32..52: width of physical addresses */
    uint8_t linear_bits;   /* 48 or 57: width of linear addresses */
    bool rtm;              /* CPUID.7:EBX[11] */
    bool sgx;              /* CPUID.7:EBX[2] */
    bool bus_lock;         /* CPUID.7:ECX[24]: bus-lock debug exceptions */
    bool lam;              /* CPUID.(7,1):EAX[26]: linear-address masking */
};

/* One check that fails. */
struct vmx_finding {
    enum vmx_check_field field; /* where to look; some rules relate it to other fields */
    const char *rule;           /* what it breaks, as "bit 1 must be 1" */
    const char *section;        /* title of the SDM section that has the rule */
    uint64_t value;             /* of the field */
    uint64_t bits;              /* those of value that are wrong; 0 if the rule is not about bits */
};

/*
 * Make all checks, as for a VM entry in 64-bit mode outside SMM.
 *   out, max  where to store findings, in the manual's order
 *   return    number of checks that fail; can be larger than max, then the rest is not stored
 * A broken field can break a check on another one, too; a CPU stops at the first group that fails.
 * SDM 3C "VM Entries".
 */
unsigned vmx_check(const struct vmcs_image *vmcs, const struct vmx_capabilities *cap,
                   struct vmx_finding *out, unsigned max);

/* The VMCS encoding of a field, < VF_COUNT. SDM 3D "Field Encoding in VMCS" (B). */
uint32_t vmx_check_encoding(enum vmx_check_field field);

/* Its name in the manual's words ("guest RFLAGS"); field < VF_COUNT. */
const char *vmx_check_name(enum vmx_check_field field);

#endif
