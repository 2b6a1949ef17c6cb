/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wiring diagram of a guest's PC: which device answers at which port or address, and which
 * output goes to which input. Devices know nothing of each other; they meet here.
 *
 * Context of all functions: the vCPU's core, root mode; each takes vm->lock itself where it touches
 * what the vCPUs share.
 */
#ifndef GUEST_PLATFORM_H
#define GUEST_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct vcpu;
struct vm;

/*
 * State of all devices after a reset: the RTC keeps its time and memory, which a power-on, before
 * it, sets. The vCPUs' timers are set by the first platform_advance().
 *   unix_time  seconds since 1970
 */
void platform_power_on(struct vm *vm, uint64_t unix_time);
void platform_reset(struct vm *vm);

/*
 * IN and OUT.
 *   size    1, 2 or 4 bytes; a device of 8-bit ports is asked for each port by itself
 *   return  read: value in the low `size` bytes; all ones where nothing is. write: true if it is
 *           done, false if the guest has to execute the instruction again (fw_cfg's DMA)
 */
uint32_t platform_port_read(struct vcpu *v, uint16_t port, unsigned size);
MUST_CHECK bool platform_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value);

/* The same for guest-physical addresses outside RAM; size 1, 2, 4 or 8. */
uint64_t platform_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size);
void platform_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value);

/* MSR writes with effects beyond the local APIC; false: #GP. */
void platform_write_tsc_deadline(struct vcpu *v, uint64_t guest_tsc);
bool platform_write_x2apic(struct vcpu *v, uint32_t msr, uint64_t value);
bool platform_write_apic_base(struct vcpu *v, uint64_t value);
void platform_write_cr8(struct vcpu *v, uint64_t value);

/* The hardware did the first half: lapic_after_write(), lapic_after_eoi(). */
void platform_after_apic_write(struct vcpu *v, unsigned offset);
void platform_after_eoi(struct vcpu *v, uint8_t vector);

/* Tell the hardware in which mode the local APIC is; after vcpu_reset and vcpu_init. */
void platform_set_apic_mode(struct vcpu *v);

/* The vCPU's deadline has come: let every device that is due act, and set the next deadline. */
void platform_advance(struct vcpu *v);

/* Another core asked for something: REQUEST_* bits. */
void platform_requests(struct vcpu *v, uint32_t requests);

/*
 * Interrupts that come past the local APIC's priorities: from the 8259 pair, or one whose delivery
 * failed. The vector of what the vCPU should take now, acknowledged; -1: none.
 */
bool platform_extint_waiting(const struct vcpu *v);
int platform_extint_ack(struct vcpu *v);

#endif
