/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that has its core's own local APIC (config: `apic: direct`). The virtual chip
 * (devices/lapic.h) stays behind it for what exits: ID, version, LDR, ICR, the local interrupts but
 * the timer's; it is in x2APIC mode for ever, and what it accepts is handed on to the real one.
 *
 * Context of all functions: the vCPU's core, root mode.
 */
#ifndef GUEST_DIRECT_H
#define GUEST_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* Behind platform_reset(): x2APIC mode. */
void direct_reset(struct vcpu *v);

/* Give the core's local APIC every vector that the virtual one has accepted. */
void direct_hand_on(struct vcpu *v);

/* RDMSR that the virtual chip would answer wrongly; false: it answers. */
bool direct_read_msr(uint32_t msr, uint64_t *value);

/*
 * WRMSR that such a guest has not got: leaving x2APIC mode, changing the TSC.
 *   ok      out: false: #GP
 *   return  whether that was all; false: as in any guest
 */
bool direct_write_msr(const struct vcpu *v, uint32_t msr, uint64_t value, bool *ok);

#endif
