/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks on the guest-state area but segment registers; one line of code is one sentence of
 * the manual. SDM 3C "Checks on the Guest State Area".
 */
#include "arch/x86/regs.h"
#include "arch/x86/vmx/check_rules.h"
#include "lib/bits.h"

/* IA32_DEBUGCTL. SDM 4 "Model-Specific Registers". */
#define DEBUGCTL_BTF      0x0002ull /* [1]  single-step on branches */
#define DEBUGCTL_BUS_LOCK 0x0004ull /* [2]  bus-lock detection */
#define DEBUGCTL_DEFINED  0xffc3ull /* [1:0], [15:6] */

/* "Guest Non-Register State": pending debug exceptions. */
#define PENDING_B         0x0000000full /* [3:0] breakpoint conditions */
#define PENDING_BUS_LOCK  0x00000800ull /* [11] */
#define PENDING_ENABLED   0x00001000ull /* [12] enabled breakpoint */
#define PENDING_BS        0x00004000ull /* [14] single step */
#define PENDING_RTM       0x00010000ull /* [16] in a transaction */

#define VECTOR_DB         1u
#define VECTOR_MC         18u

static void check_control_registers(struct vmx_checker *k)
{
    const struct vmx_capabilities *cap = k->cap;
    uint64_t unchecked = CR0_CD | CR0_NW; /* VM entries leave them alone */
    uint64_t ones = cap->cr0_fixed0 & ~unchecked;

    k->section = "Checks on Guest Control Registers, Debug Registers, and MSRs";
    if (k->unrestricted)
        ones &= ~(CR0_PE | CR0_PG);
    expect_fixed(k, VF_CR0, ones, ~cap->cr0_fixed1 & ~unchecked);
    expect(k, VF_CR0, !has(k, VF_CR0, CR0_PG) || has(k, VF_CR0, CR0_PE), "PG needs PE");
    expect_fixed(k, VF_CR4, cap->cr4_fixed0, ~cap->cr4_fixed1);
    expect(k, VF_CR4, !has(k, VF_CR4, BIT(23)) || has(k, VF_CR0, CR0_WP), "CR4.CET needs CR0.WP");
    if (k->ia32e) {
        expect(k, VF_CR0, has(k, VF_CR0, CR0_PG), "PG must be 1 with \"IA-32e mode guest\"");
        expect(k, VF_CR4, has(k, VF_CR4, CR4_PAE), "PAE must be 1 with \"IA-32e mode guest\"");
    } else {
        expect_clear(k, VF_CR4, CR4_PCIDE, "PCIDE must be 0 without \"IA-32e mode guest\"");
    }
    expect_cr3(k, VF_CR3);
}

static void check_debug_registers(struct vmx_checker *k)
{
    uint64_t defined = DEBUGCTL_DEFINED | (k->cap->bus_lock ? DEBUGCTL_BUS_LOCK : 0);

    if (!has(k, VF_ENTRY, ENTRY_CTL_LOAD_DEBUG))
        return;
    expect_clear(k, VF_DEBUGCTL, ~defined, "reserved bits must be 0");
    expect_clear(k, VF_DR7, bits_from(32), "bits 63:32 must be 0");
}

static void check_msrs(struct vmx_checker *k)
{
    bool lma = has(k, VF_EFER, EFER_LMA);

    expect_canonical(k, VF_SYSENTER_ESP);
    expect_canonical(k, VF_SYSENTER_EIP);
    if (has(k, VF_ENTRY, ENTRY_CTL_LOAD_PAT))
        expect_pat(k, VF_PAT);
    if (!has(k, VF_ENTRY, ENTRY_CTL_LOAD_EFER))
        return;
    expect_efer_defined(k, VF_EFER);
    expect(k, VF_EFER, lma == k->ia32e, "LMA must equal \"IA-32e mode guest\"");
    expect(k, VF_EFER, !has(k, VF_CR0, CR0_PG) || lma == has(k, VF_EFER, EFER_LME),
           "LMA must equal LME while CR0.PG is 1");
}

static void check_descriptor_tables(struct vmx_checker *k)
{
    k->section = "Checks on Guest Descriptor-Table Registers";
    expect_canonical(k, VF_GDTR_BASE);
    expect_canonical(k, VF_IDTR_BASE);
    expect_clear(k, VF_GDTR_LIMIT, bits_from(16), "bits 31:16 must be 0");
    expect_clear(k, VF_IDTR_LIMIT, bits_from(16), "bits 31:16 must be 0");
}

static void check_rip(struct vmx_checker *k)
{
    uint64_t above = bits_from(k->cap->linear_bits);
    uint64_t top = get(k, VF_RIP) & above;

    /* Weaker than canonical: the bit below may differ. */
    if (k->ia32e && has(k, VF_CS_ACCESS, BIT(13)))
        expect(k, VF_RIP, top == 0 || top == above,
               "bits beyond the linear-address width must be equal");
    else
        expect_clear(k, VF_RIP, bits_from(32), "bits 63:32 must be 0 outside 64-bit mode");
}

static void check_rip_rflags(struct vmx_checker *k)
{
    k->section = "Checks on Guest RIP, RFLAGS, and SSP";
    check_rip(k);
    expect_clear(k, VF_RFLAGS, bits_from(22) | BIT(15) | BIT(5) | BIT(3),
                 "reserved bits 63:22, 15, 5 and 3 must be 0");
    expect_set(k, VF_RFLAGS, RFLAGS_FIXED, "bit 1 must be 1");
    expect(k, VF_RFLAGS, !k->v8086 || !k->ia32e, "VM must be 0 with \"IA-32e mode guest\"");
    expect(k, VF_RFLAGS, !k->v8086 || has(k, VF_CR0, CR0_PE), "VM must be 0 while CR0.PE is 0");
    expect(k, VF_RFLAGS, !injects_type(k, INTR_TYPE_EXTERNAL) || has(k, VF_RFLAGS, RFLAGS_IF),
           "IF must be 1 to inject an external interrupt");
}

/* --- non-register state ----------------------------------------------------------------------- */

/* Which events may be injected into a guest that does not execute. */
static bool activity_allows_event(const struct vmx_checker *k)
{
    uint32_t type = injected_type(k);
    uint32_t vector = injected_vector(k);
    bool hardware = type == INTR_TYPE_HARDWARE;

    switch (get(k, VF_ACTIVITY)) {
    case ACTIVITY_HLT:
        return type == INTR_TYPE_EXTERNAL || type == INTR_TYPE_NMI ||
               (hardware && (vector == VECTOR_DB || vector == VECTOR_MC)) ||
               type == INTR_TYPE_OTHER;
    case ACTIVITY_SHUTDOWN: return type == INTR_TYPE_NMI || (hardware && vector == VECTOR_MC);
    case ACTIVITY_WAIT_SIPI: return false;
    default: return true;
    }
}

static void check_activity(struct vmx_checker *k)
{
    uint64_t state = get(k, VF_ACTIVITY);
    uint64_t supported = field_get(k->cap->misc, VMX_MISC_ACTIVITY) << 1 | 1;

    expect(k, VF_ACTIVITY, state <= ACTIVITY_WAIT_SIPI && (supported >> state & 1) != 0,
           "must be 0..3 and supported by IA32_VMX_MISC[8:6]");
    expect(k, VF_ACTIVITY, state != ACTIVITY_HLT || (get(k, VF_SS_ACCESS) >> 5 & 3) == 0,
           "HLT needs SS.DPL 0");
    expect(k, VF_ACTIVITY,
           state == ACTIVITY_ACTIVE || !has(k, VF_INTERRUPTIBILITY, BLOCKING_STI | BLOCKING_MOV_SS),
           "must be active while STI or MOV SS blocks");
    expect(k, VF_ACTIVITY, !injects(k) || activity_allows_event(k),
           "the event to inject is not allowed in this state");
}

static void check_interruptibility(struct vmx_checker *k)
{
    const enum vmx_check_field f = VF_INTERRUPTIBILITY;
    uint64_t reserved = bits_from(5) | (k->cap->sgx ? 0 : BLOCKING_ENCLAVE);
    bool nmi = injects_type(k, INTR_TYPE_NMI);

    expect_clear(k, f, reserved, "reserved bits must be 0");
    expect(k, f, !has(k, f, BLOCKING_STI) || !has(k, f, BLOCKING_MOV_SS),
           "not both blocking by STI and by MOV SS");
    expect(k, f, !has(k, f, BLOCKING_STI) || has(k, VF_RFLAGS, RFLAGS_IF),
           "blocking by STI needs RFLAGS.IF");
    if (injects_type(k, INTR_TYPE_EXTERNAL))
        expect_clear(k, f, BLOCKING_STI | BLOCKING_MOV_SS,
                     "no blocking by STI or MOV SS while an external interrupt is injected");
    if (nmi) {
        expect_clear(k, f, BLOCKING_MOV_SS, "no blocking by MOV SS while an NMI is injected");
        expect_clear(k, f, BLOCKING_STI,
                     "no blocking by STI while an NMI is injected (a rule of some CPUs only)");
    }
    expect_clear(k, f, BLOCKING_SMI, "blocking by SMI only in SMM");
    if (nmi && has(k, VF_PIN, PIN_VIRTUAL_NMI))
        expect_clear(k, f, BLOCKING_NMI, "no blocking by NMI while a virtual NMI is injected");
    expect(k, f, !has(k, f, BLOCKING_ENCLAVE) || !has(k, f, BLOCKING_MOV_SS),
           "not both enclave interruption and blocking by MOV SS");
}

static void check_pending_rtm(struct vmx_checker *k)
{
    const enum vmx_check_field f = VF_PENDING_DEBUG;

    if (!has(k, f, PENDING_RTM))
        return;
    expect(k, f, k->cap->rtm, "bit 16, RTM, must be 0: this CPU has no RTM");
    expect(k, f,
           (get(k, f) & (PENDING_B | PENDING_BUS_LOCK | PENDING_BS)) == 0 &&
               has(k, f, PENDING_ENABLED),
           "with bit 16, RTM, only bit 12 must be 1");
    expect(k, f, !has(k, VF_INTERRUPTIBILITY, BLOCKING_MOV_SS),
           "bit 16, RTM, must be 0 while MOV SS blocks");
}

static void check_pending_debug(struct vmx_checker *k)
{
    const enum vmx_check_field f = VF_PENDING_DEBUG;
    uint64_t defined = PENDING_B | PENDING_ENABLED | PENDING_BS | PENDING_RTM |
                       (k->cap->bus_lock ? PENDING_BUS_LOCK : 0);
    bool delayed = has(k, VF_INTERRUPTIBILITY, BLOCKING_STI | BLOCKING_MOV_SS) ||
                   get(k, VF_ACTIVITY) == ACTIVITY_HLT;
    bool steps = has(k, VF_RFLAGS, RFLAGS_TF) && !has(k, VF_DEBUGCTL, DEBUGCTL_BTF);

    expect_clear(k, f, ~defined, "reserved bits must be 0");
    expect(k, f, !delayed || has(k, f, PENDING_BS) == steps,
           "while STI or MOV SS blocks or in HLT, bit 14, BS, must be RFLAGS.TF without "
           "DEBUGCTL.BTF");
    check_pending_rtm(k);
}

static void check_non_register(struct vmx_checker *k)
{
    k->section = "Checks on Guest Non-Register State";
    check_activity(k);
    check_interruptibility(k);
    check_pending_debug(k);
    /* Another value can be right for the CPU, but never for this hypervisor. */
    expect(k, VF_LINK_POINTER, get(k, VF_LINK_POINTER) == UINT64_MAX,
           "must be FFFFFFFFFFFFFFFFH: there is no shadow VMCS");
}

static void check_pdptes(struct vmx_checker *k)
{
    uint64_t reserved = bits_from(k->cap->physical_bits) | 0x1e0 | 0x6;

    k->section = "Checks on Guest Page-Directory-Pointer-Table Entries";
    if (k->ia32e || !has(k, VF_CR0, CR0_PG) || !has(k, VF_CR4, CR4_PAE) ||
        (k->proc2 & PROC2_EPT) == 0)
        return;
    for (unsigned i = VF_PDPTE0; i <= VF_PDPTE3; i++) {
        enum vmx_check_field f = (enum vmx_check_field)i;

        if (has(k, f, 1))
            expect_clear(k, f, reserved, "reserved bits of a present entry must be 0");
    }
}

void vmx_check_guest(struct vmx_checker *k)
{
    check_control_registers(k);
    check_debug_registers(k);
    check_msrs(k);
    vmx_check_segments(k);
    check_descriptor_tables(k);
    check_rip_rflags(k);
    check_non_register(k);
    check_pdptes(k);
}
