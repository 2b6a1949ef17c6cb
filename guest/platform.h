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

#include "guest/vm.h"

/*
 * State of all devices after a reset: the RTC keeps its time and memory, which a power-on, before
 * it, sets. The vCPUs' timers are set by the first platform_advance().
 *   unix_time  seconds since 1970
 */
void platform_power_on(struct vm *vm, uint64_t unix_time);
void platform_reset(struct vm *vm);

/*
 * Accesses to guest-physical addresses outside RAM; size 1, 2, 4 or 8. IN and OUT: guest/port.h.
 */
uint64_t platform_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size);
void platform_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value);

/* MSR writes with effects beyond the local APIC; false: #GP. */
void platform_write_tsc_deadline(struct vcpu *v, uint64_t guest_tsc);
void platform_end_interrupt(struct vcpu *v); /* EOI, where the local APIC has such a register */
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
 * The vCPU is to acknowledge at the 8259 pair: LINT0 says so, or an I/O APIC pin said so, whatever
 * the pair has by then: without a request it answers with its spurious vector.
 */
static inline bool platform_i8259_waiting(const struct vcpu *v)
{
    return v->extint_pending || (atomic_load_explicit(&v->vm->intr, memory_order_relaxed) &&
                                 v->index == 0 && lapic_extint_enabled(&v->lapic));
}

/*
 * Interrupts that come past the local APIC's priorities: from the 8259 pair, or one whose delivery
 * failed. The second gives the vector of what waits, acknowledged: ask the first before.
 */
static inline bool platform_extint_waiting(const struct vcpu *v)
{
    return v->lost_irq != 0 || platform_i8259_waiting(v);
}

uint8_t platform_extint_ack(struct vcpu *v);

/*
 * What follows is for the device accesses of guest/port.c; vm->lock is held.
 *
 * Set the level of interrupt `irq`: of an ISA interrupt at the 8259 pair and the I/O APIC, from 16
 * on at the latter only.
 */
void platform_set_irq(struct vcpu *self, unsigned irq, bool level);

/* The same for the 8254's and the RTC's, unless the HPET took their place. */
void platform_i8254_irq(struct vcpu *self, bool level);
void platform_rtc_irq(struct vcpu *self);

/* What the 8254 has to report at `now` goes out. */
void platform_i8254_edges(struct vcpu *self, uint64_t now);

/* The 8259 pair was accessed: its output may have changed. */
void platform_i8259_changed(struct vcpu *self);

/* A device's deadline may have moved. */
void platform_arm_devices(struct vcpu *self);

/* Move bytes between the UART and the console's queues as far as there is room. */
void platform_uart_exchange(struct vcpu *self, uint64_t now);

#endif
