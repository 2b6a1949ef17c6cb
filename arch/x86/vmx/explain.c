/* SPDX-License-Identifier: BSD-2-Clause */
/* A failed VM entry in words: reads the VMCS and the capabilities for check.c, prints its answer.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/vmx/check.h"
#include "arch/x86/vmx/vmx.h"
#include "lib/bits.h"
#include "lib/log.h"

#define FINDINGS_MAX 32

/* False: the CPU has no such field, or there is no current VMCS. */
static bool vmread_optional(uint64_t field, uint64_t *value)
{
    bool failed;
    uint64_t v = 0;

    __asm__ volatile("vmread %2, %0" : "+r"(v), "=@ccbe"(failed) : "r"(field));
    *value = failed ? 0 : v;
    return !failed;
}

static unsigned read_vmcs(struct vmcs_image *vmcs)
{
    unsigned found = 0;

    for (unsigned i = 0; i < VF_COUNT; i++)
        found += vmread_optional(vmx_check_encoding((enum vmx_check_field)i), &vmcs->value[i]);
    return found;
}

static void read_msrs(struct vmx_capabilities *cap)
{
    cap->basic = rdmsr(MSR_VMX_BASIC);
    cap->pin = rdmsr(vmx_control_msr(VMX_PIN));
    cap->proc = rdmsr(vmx_control_msr(VMX_PROC));
    cap->proc2 = rdmsr(vmx_control_msr(VMX_PROC2)); /* virt_check() refused CPUs without */
    cap->exit = rdmsr(vmx_control_msr(VMX_EXIT_CTL));
    cap->entry = rdmsr(vmx_control_msr(VMX_ENTRY_CTL));
    cap->misc = rdmsr(MSR_VMX_MISC);
    cap->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
    cap->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
    cap->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
    cap->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
    cap->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
}

static void read_cpuid(struct vmx_capabilities *cap)
{
    uint32_t widths = cpuid(0x80000008, 0).eax;
    bool has_leaf7 = cpuid(0, 0).eax >= 7;
    struct cpuid_regs leaf7 = has_leaf7 ? cpuid(7, 0) : (struct cpuid_regs){0, 0, 0, 0};
    uint32_t leaf7_1 = has_leaf7 && leaf7.eax >= 1 ? cpuid(7, 1).eax : 0;

    cap->physical_bits = (uint8_t)widths;
    cap->linear_bits = (uint8_t)(widths >> 8);
    cap->rtm = (leaf7.ebx & BIT32(11)) != 0;
    cap->sgx = (leaf7.ebx & BIT32(2)) != 0;
    cap->bus_lock = (leaf7.ecx & BIT32(24)) != 0;
    cap->lam = (leaf7_1 & BIT32(26)) != 0;
}

static void print_finding(const struct vmx_finding *f)
{
    if (f->bits != 0)
        log_line("  check failed: %s: %s (value %lxH, wrong bits %lxH)  [SDM 3C \"%s\"]",
                 vmx_check_name(f->field), f->rule, f->value, f->bits, f->section);
    else
        log_line("  check failed: %s: %s (value %lxH)  [SDM 3C \"%s\"]", vmx_check_name(f->field),
                 f->rule, f->value, f->section);
}

unsigned vmx_explain_entry_failure(void)
{
    struct vmcs_image vmcs;
    struct vmx_capabilities cap;
    struct vmx_finding findings[FINDINGS_MAX];

    if (read_vmcs(&vmcs) == 0) {
        log_line("  check failed: there is no current VMCS  [SDM 3C \"Basic VM-Entry Checks\"]");
        return 1;
    }
    read_msrs(&cap);
    read_cpuid(&cap);

    unsigned count = vmx_check(&vmcs, &cap, findings, FINDINGS_MAX);

    for (unsigned i = 0; i < count && i < FINDINGS_MAX; i++)
        print_finding(&findings[i]);
    if (count > FINDINGS_MAX)
        log_line("  and %u more", count - FINDINGS_MAX);
    return count;
}
