/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to vCPUs: from the I/O APIC, from each other, from the console.
 *
 * A vCPU's local APIC belongs to its core alone. Another core leaves what it wants in one of two
 * places and interrupts that core: edge-triggered vectors in the posted-interrupt descriptor (where
 * the hardware can take them without an exit), everything else as bits of vcpu.requests.
 */
#ifndef GUEST_IPI_H
#define GUEST_IPI_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/apic_msg.h"
#include "devices/lapic.h"

struct vcpu;

/*
 * Deliver a message to all whom it concerns; lowest priority to one of them.
 *   self    the vCPU of this core
 *   source  x2APIC ID of the sender, UINT32_MAX for an I/O APIC
 */
void ipi_deliver(struct vcpu *self, const struct apic_msg *m, uint32_t source);

/* What the local APIC of this core's vCPU made of a message or of an edge on a pin. */
void ipi_notice(struct vcpu *self, enum lapic_event event, uint8_t vector);

/* Take what other cores left for this core's vCPU. Returns its requests, for those of devices. */
uint32_t ipi_take(struct vcpu *self);

/*
 * This core let in its interrupts while it was in root mode: a notification of posted interrupts,
 * which only the hardware can use, was perhaps among them.
 */
void ipi_notify_again(struct vcpu *self);

/* Empty the posted-interrupt descriptor of a vCPU that does not run. */
void ipi_forget_posted(struct vcpu *v);

/*
 * This core's vCPU is not active: wait in root mode for its SIPI, and start it.
 *   return  false: the VM stops
 */
bool ipi_wait(struct vcpu *self);

#endif
