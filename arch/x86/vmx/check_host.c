/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks on the host-state area; one line of code is one sentence of the manual. SDM 3C
 * "Checks on Host Control Registers, MSRs, and SSP" and the two sections after it.
 */
#include "arch/x86/regs.h"
#include "arch/x86/vmx/check_rules.h"
#include "lib/bits.h"

static void check_registers(struct vmx_checker *k)
{
    const struct vmx_capabilities *cap = k->cap;
    uint64_t unchecked = CR0_CD | CR0_NW; /* VM exits leave them alone */

    k->section = "Checks on Host Control Registers, MSRs, and SSP";
    expect_fixed(k, VF_HOST_CR0, cap->cr0_fixed0 & ~unchecked, ~cap->cr0_fixed1 & ~unchecked);
    expect_fixed(k, VF_HOST_CR4, cap->cr4_fixed0, ~cap->cr4_fixed1);
    expect(k, VF_HOST_CR4, !has(k, VF_HOST_CR4, BIT(23)) || has(k, VF_HOST_CR0, CR0_WP),
           "CR4.CET needs CR0.WP");
    expect_cr3(k, VF_HOST_CR3);
    expect_canonical(k, VF_HOST_SYSENTER_ESP);
    expect_canonical(k, VF_HOST_SYSENTER_EIP);
    if (has(k, VF_EXIT, EXIT_CTL_LOAD_PAT))
        expect_pat(k, VF_HOST_PAT);
}

static void check_efer(struct vmx_checker *k)
{
    bool host64 = has(k, VF_EXIT, EXIT_CTL_HOST64);

    if (!has(k, VF_EXIT, EXIT_CTL_LOAD_EFER))
        return;
    expect_efer_defined(k, VF_HOST_EFER);
    expect(k, VF_HOST_EFER, has(k, VF_HOST_EFER, EFER_LMA) == host64,
           "LMA must equal \"host address-space size\"");
    expect(k, VF_HOST_EFER, has(k, VF_HOST_EFER, EFER_LME) == host64,
           "LME must equal \"host address-space size\"");
}

static void check_segments(struct vmx_checker *k)
{
    k->section = "Checks on Host Segment and Descriptor-Table Registers";
    for (unsigned f = VF_HOST_ES; f <= VF_HOST_TR; f++)
        expect_clear(k, (enum vmx_check_field)f, 7, "RPL and TI, bits 2:0, must be 0");
    expect(k, VF_HOST_CS, get(k, VF_HOST_CS) != 0, "must not be 0");
    expect(k, VF_HOST_TR, get(k, VF_HOST_TR) != 0, "must not be 0");
    for (unsigned f = VF_HOST_FS_BASE; f <= VF_HOST_IDTR_BASE; f++)
        expect_canonical(k, (enum vmx_check_field)f);
}

/* The hypervisor runs in 64-bit mode, so the rules for the control's 0-setting have no place. */
static void check_address_space(struct vmx_checker *k)
{
    k->section = "Checks Related to Address-Space Size";
    expect(k, VF_EXIT, has(k, VF_EXIT, EXIT_CTL_HOST64),
           "\"host address-space size\" must be 1: this CPU is in IA-32e mode");
    if (!has(k, VF_EXIT, EXIT_CTL_HOST64))
        return;
    expect(k, VF_HOST_CR4, has(k, VF_HOST_CR4, CR4_PAE),
           "PAE must be 1 with \"host address-space size\"");
    expect_canonical(k, VF_HOST_RIP);
}

void vmx_check_host(struct vmx_checker *k)
{
    check_registers(k);
    check_efer(k);
    check_segments(k);
    check_address_space(k);
}
