/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every field of a VMCS, in the manual's groups. SDM 3C "Virtual Machine Control Structures".
 * The VMCS is written whole at each start of a guest, so nothing survives a reset.
 */
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "arch/x86/vmx/vmx.h"
#include "lib/bits.h"
#include "lib/log.h"

/* Segment access rights: SDM 3C "Guest Register State". */
#define AR_CODE16       0x0009b
#define AR_DATA16       0x00093
#define AR_CODE32       0x0c09b
#define AR_CODE64       0x0a09b
#define AR_DATA32       0x0c093
#define AR_LDT          0x00082
#define AR_TSS_BUSY     0x0008b

/*
 * Exceptions that exit: #AC and #DB, because their delivery can raise them again without end (the
 * core would then take no interrupt, not even an NMI); #MC, because it is the machine's.
 */
#define EXCEPTIONS_SEEN (BIT32(VECTOR_DB) | BIT32(VECTOR_AC) | BIT32(VECTOR_MC))

/* Bits of CR0 the guest does not own: NE is fixed to 1, caching stays on. */
#define CR0_HOST_OWNED  (CR0_NE | CR0_CD | CR0_NW)

void vmwrite_checked(uint64_t field, uint64_t value)
{
    bool failed;

    __asm__ volatile("vmwrite %2, %1" : "=@ccbe"(failed) : "r"(field), "r"(value));
    if (failed)
        panic("VMWRITE to VMCS field %lx failed", field);
}

uint64_t vmcs_cr4_allowed(void)
{
    struct cpuid_regs leaf1 = cpuid(1, 0);
    struct cpuid_regs leaf7 = {0};
    uint64_t allowed = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE |
                       CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    if (cpuid(0, 0).eax >= 7)
        leaf7 = cpuid(7, 0);
    allowed |= leaf1.ecx & BIT32(17) ? CR4_PCIDE : 0;
    allowed |= leaf1.ecx & BIT32(26) ? CR4_OSXSAVE : 0;
    allowed |= leaf7.ebx & BIT32(0) ? CR4_FSGSBASE : 0;
    allowed |= leaf7.ebx & BIT32(7) ? CR4_SMEP : 0;
    allowed |= leaf7.ebx & BIT32(20) ? CR4_SMAP : 0;
    allowed |= leaf7.ecx & BIT32(2) ? CR4_UMIP : 0;
    return allowed;
}

/* "APIC Virtualization"; the accesses themselves are switched by vcpu_set_apic_mode(). */
static void setup_apicv(struct vcpu_arch *a)
{
    a->tpr_threshold = 0;
    if ((a->apicv & APICV_TPR_SHADOW) != 0) {
        vmwrite_checked(VMCS_VIRTUAL_APIC, a->apic_hpa);
        vmwrite_checked(VMCS_TPR_THRESHOLD, 0);
    }
    if ((a->apicv & APICV_ACCESS) != 0)
        vmwrite_checked(VMCS_APIC_ACCESS, a->memory.access_hpa);
    if ((a->apicv & APICV_VIRTUAL_INTERRUPTS) != 0) {
        vmwrite_checked(VMCS_GUEST_IRQ_STATUS, 0);
        for (unsigned i = 0; i < 4; i++)
            vmwrite_checked(VMCS_EOI_EXIT_BITMAP0 + 2 * i, 0);
    }
    if ((a->apicv & APICV_POSTED) != 0) {
        vmwrite_checked(VMCS_POSTED_VECTOR, HOST_VECTOR_POSTED);
        vmwrite_checked(VMCS_POSTED_DESCRIPTOR, a->posted_hpa);
    }
}

/* "VM-Execution Control Fields" */
static void setup_pin_controls(struct vcpu_arch *a)
{
    uint32_t pin = PIN_NMI | PIN_VIRTUAL_NMI;

    if (!vcpu_is_direct(a))
        pin |= PIN_EXTERNAL_INTERRUPT;
    if ((a->apicv & APICV_POSTED) != 0)
        pin |= PIN_POSTED_INTERRUPTS;
    a->has_timer = !apic_has_tsc_deadline() || vcpu_is_direct(a);
    a->timer_shift = (uint8_t)(rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER_SHIFT);
    a->pinbased = vmx_control(vmx_control_msr(VMX_PIN), pin);
    vmwrite_checked(VMCS_PIN_CONTROLS, a->pinbased | (a->has_timer ? PIN_PREEMPTION_TIMER : 0));
}

static void setup_execution_controls(struct vcpu_arch *a)
{
    uint32_t proc2 =
        PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED | PROC2_RDTSCP | PROC2_INVPCID | PROC2_WBINVD;
    uint32_t cr8 = PROC_CR8_LOAD | PROC_CR8_STORE;

    if ((a->apicv & APICV_TPR_SHADOW) != 0)
        cr8 = PROC_TPR_SHADOW;
    if (vcpu_is_direct(a)) /* CR8 is the TPR of the core's local APIC */
        cr8 = 0;
    if ((a->apicv & APICV_VIRTUAL_INTERRUPTS) != 0)
        proc2 |= PROC2_VID;
    setup_pin_controls(a);
    a->procbased = vmx_control(vmx_control_msr(VMX_PROC),
                               PROC_TSC_OFFSET | PROC_RDPMC | cr8 | PROC_IO_BITMAPS |
                                   PROC_MSR_BITMAPS | PROC_MONITOR | PROC_MWAIT | PROC_SECONDARY) &
                   ~(PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG);

    vmwrite_checked(VMCS_PROC_CONTROLS, a->procbased);
    a->procbased2 = vmx_control(MSR_VMX_PROCBASED2, proc2);
    vmwrite_checked(VMCS_PROC_CONTROLS2, a->procbased2);
    setup_apicv(a);
    vmwrite_checked(VMCS_EXCEPTION_BITMAP, EXCEPTIONS_SEEN);
    vmwrite_checked(VMCS_PF_ERROR_MASK, 0);
    vmwrite_checked(VMCS_PF_ERROR_MATCH, 0);
    vmwrite_checked(VMCS_CR3_TARGET_COUNT, 0);
    vmwrite_checked(VMCS_IO_BITMAP_A, a->io_bitmap_hpa);
    vmwrite_checked(VMCS_IO_BITMAP_B, a->io_bitmap_hpa);
    vmwrite_checked(VMCS_MSR_BITMAP, a->msr_bitmap_hpa);
    vmwrite_checked(VMCS_TSC_OFFSET, a->tsc_offset);
    vmwrite_checked(VMCS_EPT_POINTER, a->memory.eptp);
    vmwrite_checked(VMCS_VPID, a->vpid);
    vmwrite_checked(VMCS_CR0_MASK, CR0_HOST_OWNED);
    vmwrite_checked(VMCS_CR4_MASK, ~vmcs_cr4_allowed() | CR4_MCE);
}

/* "VM-Exit Control Fields", "VM-Entry Control Fields" */
static void setup_transition_controls(const struct vcpu_arch *a, const struct vcpu_start *start)
{
    uint32_t exit = EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST64 | EXIT_CTL_SAVE_PAT | EXIT_CTL_LOAD_PAT |
                    EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER |
                    (vcpu_is_direct(a) ? 0 : EXIT_CTL_ACK);
    uint32_t entry = ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER |
                     (start->mode == START_LONG ? ENTRY_CTL_IA32E : 0);

    vmwrite_checked(VMCS_EXIT_CONTROLS, vmx_control(vmx_control_msr(VMX_EXIT_CTL), exit));
    vmwrite_checked(VMCS_ENTRY_CONTROLS, vmx_control(vmx_control_msr(VMX_ENTRY_CTL), entry));
    vmwrite_checked(VMCS_EXIT_MSR_STORE_COUNT, 0);
    vmwrite_checked(VMCS_EXIT_MSR_LOAD_COUNT, 0);
    vmwrite_checked(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
    vmwrite_checked(VMCS_ENTRY_INTR_INFO, 0);
    vmwrite_checked(VMCS_ENTRY_ERROR_CODE, 0);
    vmwrite_checked(VMCS_ENTRY_INSN_LENGTH, 0);
}

/* "Host-State Area". HOST_RSP is written by enter.S. */
static void setup_host_state(void)
{
    struct cpu *c = this_cpu();
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } idtr;

    __asm__ volatile("sidt %0" : "=m"(idtr));
    vmwrite_checked(VMCS_HOST_CR0, read_cr0());
    vmwrite_checked(VMCS_HOST_CR3, read_cr3());
    vmwrite_checked(VMCS_HOST_CR4, read_cr4());
    vmwrite_checked(VMCS_HOST_CS_SELECTOR, GDT_CODE * 8);
    vmwrite_checked(VMCS_HOST_SS_SELECTOR, GDT_DATA * 8);
    vmwrite_checked(VMCS_HOST_DS_SELECTOR, GDT_DATA * 8);
    vmwrite_checked(VMCS_HOST_ES_SELECTOR, GDT_DATA * 8);
    vmwrite_checked(VMCS_HOST_FS_SELECTOR, 0);
    vmwrite_checked(VMCS_HOST_GS_SELECTOR, 0);
    vmwrite_checked(VMCS_HOST_TR_SELECTOR, GDT_TSS * 8);
    vmwrite_checked(VMCS_HOST_FS_BASE, 0);
    vmwrite_checked(VMCS_HOST_GS_BASE, (uint64_t)c);
    vmwrite_checked(VMCS_HOST_TR_BASE, (uint64_t)&c->tss);
    vmwrite_checked(VMCS_HOST_GDTR_BASE, (uint64_t)c->gdt);
    vmwrite_checked(VMCS_HOST_IDTR_BASE, idtr.base);
    vmwrite_checked(VMCS_HOST_SYSENTER_CS, 0);
    vmwrite_checked(VMCS_HOST_SYSENTER_ESP, 0);
    vmwrite_checked(VMCS_HOST_SYSENTER_EIP, 0);
    vmwrite_checked(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmwrite_checked(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmwrite_checked(VMCS_HOST_RIP, (uint64_t)vmx_exit_point);
}

static void setup_segment(struct vcpu_arch *a, unsigned number, uint16_t selector, uint64_t base,
                          uint32_t limit, uint32_t access)
{
    const struct vcpu_segment segment = {
        .selector = selector, .base = base, .limit = limit, .access = access};

    vcpu_set_segment(a, number, &segment);
}

static bool is_real(const struct vcpu_start *start)
{
    return start->mode == START_REAL || start->mode == START_SIPI;
}

static void setup_segments(struct vcpu_arch *a, const struct vcpu_start *start)
{
    bool flat = !is_real(start);
    uint32_t limit = flat ? 0xffffffff : 0xffff;
    uint32_t data = flat ? AR_DATA32 : AR_DATA16;
    uint16_t selector = flat ? 0x18 : 0;

    switch (start->mode) {
    case START_REAL: setup_segment(a, SEGMENT_CS, 0xf000, 0xffff0000, 0xffff, AR_CODE16); break;
    case START_SIPI:
        setup_segment(a, SEGMENT_CS, (uint16_t)(start->sipi_page << 8),
                      (uint64_t)start->sipi_page << 12, 0xffff, AR_CODE16);
        break;
    case START_PROTECTED32: setup_segment(a, SEGMENT_CS, 0x10, 0, 0xffffffff, AR_CODE32); break;
    case START_LONG: setup_segment(a, SEGMENT_CS, 0x10, 0, 0xffffffff, AR_CODE64); break;
    }
    setup_segment(a, SEGMENT_ES, selector, 0, limit, data);
    setup_segment(a, SEGMENT_SS, selector, 0, limit, data);
    setup_segment(a, SEGMENT_DS, selector, 0, limit, data);
    setup_segment(a, SEGMENT_FS, selector, 0, limit, data);
    setup_segment(a, SEGMENT_GS, selector, 0, limit, data);
    setup_segment(a, SEGMENT_LDTR, 0, 0, 0xffff, AR_LDT);
    setup_segment(a, SEGMENT_TR, 0, 0, 0xffff, AR_TSS_BUSY);
}

static void setup_guest_control_registers(const struct vcpu_start *start)
{
    uint64_t cr0 = CR0_ET;
    uint64_t cr4 = 0;
    uint64_t efer = 0;
    uint64_t shadow;

    if (start->mode == START_PROTECTED32)
        cr0 |= CR0_PE;
    if (start->mode == START_LONG) {
        cr0 |= CR0_PE | CR0_PG;
        cr4 |= CR4_PAE;
        efer |= EFER_LME | EFER_LMA;
    }
    shadow = is_real(start) ? cr0 | CR0_CD | CR0_NW : cr0; /* "caching off" is seen, not done */
    vmwrite_checked(VMCS_CR0_SHADOW, shadow);
    vmwrite_checked(VMCS_CR4_SHADOW, cr4);
    vmwrite_checked(VMCS_GUEST_CR0, cr0 | CR0_NE);
    vmwrite_checked(VMCS_GUEST_CR3, start->cr3);
    vmwrite_checked(VMCS_GUEST_CR4, cr4 | CR4_VMXE | CR4_MCE);
    vmwrite_checked(VMCS_GUEST_EFER, efer);
}

/* "Guest Register State", "Guest Non-Register State" */
static void setup_guest_state(struct vcpu_arch *a, const struct vcpu_start *start)
{
    setup_guest_control_registers(start);
    setup_segments(a, start);
    vmwrite_checked(VMCS_GUEST_GDTR_BASE, start->gdt_base);
    vmwrite_checked(VMCS_GUEST_GDTR_LIMIT, start->gdt_base != 0 ? start->gdt_limit : 0xffff);
    vmwrite_checked(VMCS_GUEST_IDTR_BASE, 0);
    vmwrite_checked(VMCS_GUEST_IDTR_LIMIT, is_real(start) ? 0xffff : 0);
    vmwrite_checked(VMCS_GUEST_RIP, start->rip);
    vmwrite_checked(VMCS_GUEST_RSP, start->rsp);
    vmwrite_checked(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
    vmwrite_checked(VMCS_GUEST_DR7, 0x400);
    vmwrite_checked(VMCS_GUEST_DEBUGCTL, 0);
    vmwrite_checked(VMCS_GUEST_SYSENTER_CS, 0);
    vmwrite_checked(VMCS_GUEST_SYSENTER_ESP, 0);
    vmwrite_checked(VMCS_GUEST_SYSENTER_EIP, 0);
    vmwrite_checked(VMCS_GUEST_PAT, PAT_RESET);
    vmwrite_checked(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
    vmwrite_checked(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmwrite_checked(VMCS_GUEST_PENDING_DEBUG, 0);
    vmwrite_checked(VMCS_LINK_POINTER, UINT64_MAX);
}

void vmcs_setup(struct vcpu_arch *a, const struct vcpu_start *start)
{
    setup_execution_controls(a);
    setup_transition_controls(a, start);
    setup_host_state();
    setup_guest_state(a, start);
}
