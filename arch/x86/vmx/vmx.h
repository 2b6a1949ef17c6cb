/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared inside arch/x86/vmx/ only: the VMX instructions and what this machine's VMX can do. */
#ifndef ARCH_X86_VMX_VMX_H
#define ARCH_X86_VMX_VMX_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/vcpu.h"
#include "arch/x86/vmx/vmx_regs.h"

/* SDM 3C "VMREAD": a field of the current VMCS. The field exists: set-up wrote or checked it. */
static inline uint64_t vmread(uint64_t field)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
    return value;
}

static inline void vmwrite(uint64_t field, uint64_t value)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc");
}

/* vmwrite for set-up: a field that does not exist is a bug of ours and panics. */
void vmwrite_checked(uint64_t field, uint64_t value);

/* The value of a control: wanted bits, plus those that must be 1, without those that must be 0. */
uint32_t vmx_control(uint32_t msr, uint32_t want);

/* IA32_VMX_PINBASED_CTLS or its TRUE_ variant, whichever this CPU has. */
enum vmx_control_set { VMX_PIN, VMX_PROC, VMX_PROC2, VMX_EXIT_CTL, VMX_ENTRY_CTL };
uint32_t vmx_control_msr(enum vmx_control_set set);

/* Whether a control bit may be 1. */
bool vmx_control_allowed(enum vmx_control_set set, uint32_t bit);

/* Write the whole current VMCS: vmcs.c. */
void vmcs_setup(struct vcpu_arch *a, const struct vcpu_start *start);

/* The control register bits a guest may set itself: what its CPUID offers. */
uint64_t vmcs_cr4_allowed(void);

/* enter.S: run the guest until vmx_exited() or vmx_before_entry() say NULL. */
void vmx_loop(struct vcpu_arch *a);

/* vcpu.c, for enter.S. */
struct vcpu_arch *vmx_before_entry(struct vcpu_arch *a);
struct vcpu_arch *vmx_exited(struct vcpu_arch *a);
NORETURN void vmx_entry_refused(const struct vcpu_arch *a, bool invalid);

/*
 * direct.c. Before each entry of a guest with APICV_DIRECT, behind all that writes the preemption
 * timer; and what it means that this timer has exited.
 */
void vmx_direct_entry(const struct vcpu_arch *a);
enum exit_kind vmx_direct_timer(void);

/* enter.S: where the CPU arrives on a VM exit. */
void vmx_exit_point(void);

/*
 * A VM entry failed: say which of the manual's checks the VMCS breaks, one line each, and how many
 * were found. SDM 3C "VM Entries": "Checks on VMX Controls and Host-State Area", "Checking and
 * Loading Guest State".
 */
unsigned vmx_explain_entry_failure(void);

#endif
