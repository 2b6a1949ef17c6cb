/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM 3C "Checks on VMX Controls". One line of code is one sentence of the manual. */
#include "arch/x86/regs.h"
#include "arch/x86/vmx/check_rules.h"
#include "lib/bits.h"

/* A control's allowed settings. SDM 3D "VMX Capability Reporting Facility" (A). */
static void expect_allowed(struct vmx_checker *k, enum vmx_check_field field, uint64_t capability)
{
    expect_set(k, field, capability & UINT32_MAX, "bits that this CPU wants 1 are 0");
    expect_clear(k, field, ~(capability >> 32), "bits that this CPU wants 0 are 1");
}

static void check_bitmaps(struct vmx_checker *k)
{
    if (has(k, VF_PROC, PROC_IO_BITMAPS)) {
        expect_page(k, VF_IO_BITMAP_A);
        expect_page(k, VF_IO_BITMAP_B);
    }
    if (has(k, VF_PROC, PROC_MSR_BITMAPS))
        expect_page(k, VF_MSR_BITMAP);
}

static void check_apic_virtualization(struct vmx_checker *k)
{
    uint64_t needs_shadow = PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID;

    if (has(k, VF_PROC, PROC_TPR_SHADOW)) {
        expect_page(k, VF_VIRTUAL_APIC);
        if ((k->proc2 & PROC2_VID) == 0)
            expect_clear(k, VF_TPR_THRESHOLD, bits_from(4), "bits 31:4 must be 0");
    } else {
        expect(k, VF_PROC2, (k->proc2 & needs_shadow) == 0,
               "x2APIC mode, APIC registers and virtual interrupts need \"use TPR shadow\"");
    }
    if (k->proc2 & PROC2_APIC_ACCESS) {
        expect_page(k, VF_APIC_ACCESS);
        expect(k, VF_PROC2, (k->proc2 & PROC2_X2APIC) == 0,
               "not both \"virtualize x2APIC mode\" and \"virtualize APIC accesses\"");
    }
    if (k->proc2 & PROC2_VID)
        expect(k, VF_PIN, has(k, VF_PIN, PIN_EXTERNAL_INTERRUPT),
               "\"virtual-interrupt delivery\" needs \"external-interrupt exiting\"");
}

static void check_posted_interrupts(struct vmx_checker *k)
{
    if (!has(k, VF_PIN, PIN_POSTED_INTERRUPTS))
        return;
    expect(k, VF_PIN, (k->proc2 & PROC2_VID) != 0,
           "\"process posted interrupts\" needs \"virtual-interrupt delivery\"");
    expect(k, VF_EXIT, has(k, VF_EXIT, EXIT_CTL_ACK),
           "\"process posted interrupts\" needs \"acknowledge interrupt on exit\"");
    expect_clear(k, VF_POSTED_VECTOR, bits_from(8), "bits 15:8 must be 0");
    expect_physical(k, VF_POSTED_DESCRIPTOR, 0x3f, "bits 5:0 must be 0");
}

static void check_nmi(struct vmx_checker *k)
{
    bool virtual_nmi = has(k, VF_PIN, PIN_VIRTUAL_NMI);

    expect(k, VF_PIN, !virtual_nmi || has(k, VF_PIN, PIN_NMI),
           "\"virtual NMIs\" needs \"NMI exiting\"");
    expect(k, VF_PROC, virtual_nmi || !has(k, VF_PROC, PROC_NMI_WINDOW),
           "\"NMI-window exiting\" needs \"virtual NMIs\"");
}

/* "Extended-Page-Table Pointer (EPTP)" */
static void check_eptp(struct vmx_checker *k)
{
    uint64_t cap = k->cap->ept_vpid;
    uint64_t type = get(k, VF_EPTP) & 7;
    uint64_t walk = (get(k, VF_EPTP) >> 3 & 7) + 1;

    expect(k, VF_EPTP, (type == 0 && (cap & EPT_CAP_UC)) || (type == 6 && (cap & EPT_CAP_WB)),
           "bits 2:0, the memory type, must be one that IA32_VMX_EPT_VPID_CAP names");
    expect(k, VF_EPTP, (walk == 4 && (cap & EPT_CAP_WALK4)) || (walk == 5 && (cap & EPT_CAP_WALK5)),
           "bits 5:3, the walk length - 1, must be one that IA32_VMX_EPT_VPID_CAP names");
    if ((cap & EPT_CAP_AD) == 0)
        expect_clear(k, VF_EPTP, BIT(6), "bit 6: this CPU has no EPT accessed and dirty flags");
    if ((cap & EPT_CAP_SHADOW_STACK) == 0)
        expect_clear(k, VF_EPTP, BIT(7), "bit 7: this CPU has no EPT shadow-stack control");
    expect_physical(k, VF_EPTP, 0xf00, "bits 11:8 must be 0");
}

static void check_execution(struct vmx_checker *k)
{
    k->section = "Checks on VMX Controls: VM-Execution Control Fields";
    expect_allowed(k, VF_PIN, k->cap->pin);
    expect_allowed(k, VF_PROC, k->cap->proc);
    if (has(k, VF_PROC, PROC_SECONDARY))
        expect_allowed(k, VF_PROC2, k->cap->proc2);
    expect(k, VF_CR3_TARGET_COUNT,
           get(k, VF_CR3_TARGET_COUNT) <= field_get(k->cap->misc, VMX_MISC_CR3_TARGETS),
           "must not exceed the number in IA32_VMX_MISC[24:16]");
    check_bitmaps(k);
    check_apic_virtualization(k);
    check_nmi(k);
    check_posted_interrupts(k);
    if (k->proc2 & PROC2_VPID)
        expect(k, VF_VPID, get(k, VF_VPID) != 0, "must not be 0 with \"enable VPID\"");
    if (k->proc2 & PROC2_EPT)
        check_eptp(k);
    expect(k, VF_PROC2, !k->unrestricted || (k->proc2 & PROC2_EPT) != 0,
           "\"unrestricted guest\" needs \"enable EPT\"");
}

/* --- exit and entry controls ------------------------------------------------------------------ */

static void check_msr_area(struct vmx_checker *k, enum vmx_check_field count,
                           enum vmx_check_field area)
{
    uint64_t beyond = bits_from(k->cap->physical_bits);
    uint64_t last = get(k, area) + get(k, count) * 16 - 1;

    if (get(k, count) == 0)
        return;
    expect_physical(k, area, 0xf, "bits 3:0 must be 0");
    expect(k, area, has(k, area, beyond) || (last & beyond) == 0,
           "the area's last byte must be within the physical-address width");
}

static void check_exit_controls(struct vmx_checker *k)
{
    k->section = "Checks on VMX Controls: VM-Exit Control Fields";
    expect_allowed(k, VF_EXIT, k->cap->exit);
    expect(k, VF_EXIT,
           has(k, VF_PIN, PIN_PREEMPTION_TIMER) || !has(k, VF_EXIT, EXIT_CTL_SAVE_TIMER),
           "\"save VMX-preemption timer value\" needs \"activate VMX-preemption timer\"");
    check_msr_area(k, VF_EXIT_STORE_COUNT, VF_EXIT_STORE);
    check_msr_area(k, VF_EXIT_LOAD_COUNT, VF_EXIT_LOAD);
}

static void check_event_type(struct vmx_checker *k)
{
    uint32_t type = injected_type(k);
    uint32_t vector = injected_vector(k);
    bool has_mtf = (k->cap->proc >> 32 & PROC_MONITOR_TRAP) != 0;

    expect(k, VF_ENTRY_INFO, type != 1 && (type != INTR_TYPE_OTHER || has_mtf),
           "bits 10:8, the type, must not be reserved");
    expect(k, VF_ENTRY_INFO, type != INTR_TYPE_NMI || vector == 2, "an NMI has vector 2");
    expect(k, VF_ENTRY_INFO, type != INTR_TYPE_HARDWARE || vector <= 31,
           "a hardware exception has a vector of at most 31");
    expect(k, VF_ENTRY_INFO, type != INTR_TYPE_OTHER || vector == 0,
           "type 7, other event, has vector 0");
    expect_clear(k, VF_ENTRY_INFO, 0x7ffff000, "reserved bits 30:12 must be 0");
}

/* #DF #TS #NP #SS #GP #PF #AC push an error code, other hardware exceptions do not. */
static void check_event_error_code(struct vmx_checker *k)
{
    const uint32_t pushing =
        1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;
    bool hardware = injected_type(k) == INTR_TYPE_HARDWARE;
    bool protected_mode = has(k, VF_CR0, CR0_PE);
    bool any = (k->cap->basic & VMX_BASIC_ANY_ERROR) != 0;
    bool pushes = injected_vector(k) <= 31 && (pushing >> injected_vector(k) & 1) != 0;
    bool delivers = has(k, VF_ENTRY_INFO, INTR_INFO_ERROR);

    expect(k, VF_ENTRY_INFO, !delivers || hardware,
           "bit 11, deliver error code, must be 0: not a hardware exception");
    expect(k, VF_ENTRY_INFO, !delivers || protected_mode,
           "bit 11, deliver error code, must be 0: guest CR0.PE is 0");
    if (hardware && protected_mode && !any)
        expect(k, VF_ENTRY_INFO, delivers == pushes,
               "bit 11, deliver error code, must be as the exception's vector has it");
    if (delivers)
        expect_clear(k, VF_ENTRY_ERROR, bits_from(16), "bits 31:16 must be 0");
}

static void check_event_length(struct vmx_checker *k)
{
    uint32_t type = injected_type(k);
    bool zero_allowed = (k->cap->misc & VMX_MISC_LENGTH0) != 0;
    uint64_t length = get(k, VF_ENTRY_LENGTH);

    if (type < INTR_TYPE_SOFTWARE || type > INTR_TYPE_SOFTWARE_EXCEPTION)
        return;
    expect(k, VF_ENTRY_LENGTH, length <= 15, "must be at most 15 for a software event");
    expect(k, VF_ENTRY_LENGTH, length != 0 || zero_allowed,
           "must not be 0 for a software event: IA32_VMX_MISC[30] is 0");
}

static void check_entry_controls(struct vmx_checker *k)
{
    k->section = "Checks on VMX Controls: VM-Entry Control Fields";
    expect_allowed(k, VF_ENTRY, k->cap->entry);
    if (injects(k)) {
        check_event_type(k);
        check_event_error_code(k);
        check_event_length(k);
    }
    check_msr_area(k, VF_ENTRY_LOAD_COUNT, VF_ENTRY_LOAD);
    expect_clear(k, VF_ENTRY, ENTRY_CTL_SMM | ENTRY_CTL_DUAL_END,
                 "\"entry to SMM\" and \"deactivate dual-monitor treatment\" only in SMM");
}

void vmx_check_controls(struct vmx_checker *k)
{
    check_execution(k);
    check_exit_controls(k);
    check_entry_controls(k);
}
