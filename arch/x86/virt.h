/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turning virtualization on, core by core. Implemented by arch/x86/vmx/ (and tests/fake/).
 * SDM 3C "Discovering Support for VMX", "Enabling and Entering VMX Operation".
 */
#ifndef ARCH_X86_VIRT_H
#define ARCH_X86_VIRT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/cpu.h"
#include "lib/compiler.h"
#include "lib/err.h"
#include "mm/pages.h"

/*
 * Check that this core can run guests; each missing capability is logged with its SDM name, MSR
 * and bit. Changes nothing, and reads no MSR of VMX where there is no VMX.
 *   c       this core
 *   return  BIT32(REASON_...) of what was found (arch/x86/reasons.h); 0: it can
 */
uint32_t virt_check(const struct cpu *c);

/*
 * Take VMX root operation on this core. Locks IA32_FEATURE_CONTROL if firmware left it open.
 *   c       this core, c->vmxon_hpa a zeroed page of the pool
 *   return  ERR_UNSUPPORTED if the CPU refused
 */
MUST_CHECK enum err virt_enable(struct cpu *c);

/* Large pages that EPT can use on this machine, for ept_init. */
bool virt_ept_has_2m(void);
bool virt_ept_has_1g(void);

/* Whether a guest can be given RDTSCP and RDPID, INVPCID. */
bool virt_has_rdtscp(void);
bool virt_has_invpcid(void);

/* Whether there is a VMX-preemption timer. */
bool virt_has_preemption_timer(void);

/* What this core can do for local APICs: APICV_* of arch/x86/vcpu.h. */
uint32_t virt_apicv(void);

/* Those that still work together when some are left out: each needs others. */
uint32_t virt_apicv_complete(uint32_t features);

/* Their names, each with ", " before it; returns the length. */
size_t virt_apicv_describe(uint32_t features, char *buf, uint32_t size);

/* The optional features of this core, for the boot report: "EPT 1G, preemption timer 2^5, ...". */
void virt_describe(char *buf, uint32_t size);

#endif
