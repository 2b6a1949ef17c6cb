/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSRs a guest has, beside those that need no exit (arch/x86/vmx/vcpu.c lists them). Whatever
 * is not named here is #GP. SDM 4 "Model-Specific Registers".
 */
#ifndef GUEST_MSR_H
#define GUEST_MSR_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/regs.h"

struct vcpu;

#define MSR_MTRR_VARIABLE 8 /* base/mask pairs */

#define MSR_REFUSED_MAX   16

struct msr_store {
    /* These only keep what the guest wrote: all its RAM is write-back by EPT and PAT. */
    uint64_t mtrr_def_type;
    uint64_t mtrr_variable[2 * MSR_MTRR_VARIABLE];
    uint64_t mtrr_fixed[11];

    uint32_t refused[MSR_REFUSED_MAX]; /* numbers that were logged */
    uint32_t refused_count;
};

/*
 * Values at the start of a life.
 *   power_on  MTRRs as the CPU has them after reset, off: there is a firmware to set them up. Else
 *             enabled, default write-back, as firmware leaves them
 */
void msr_reset(struct msr_store *s, bool power_on);

/* One of the local APIC's registers in x2APIC mode. */
static inline bool msr_is_x2apic(uint32_t msr)
{
    return msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST;
}

/*
 * Carry out RDMSR or WRMSR. The local APIC's are written by platform_write_tsc_deadline() and
 * platform_write_x2apic().
 *   return  false: the guest gets #GP(0)
 * Context: the vCPU's core.
 */
bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value);

/* Count a refusal; log the first one of each of up to MSR_REFUSED_MAX MSRs. */
void msr_refused(struct vcpu *v, uint32_t msr, bool write);

#endif
