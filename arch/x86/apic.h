/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own interrupt controllers: local APIC (x2APIC or xAPIC), I/O APIC, 8259 (masked). */
#ifndef ARCH_X86_APIC_H
#define ARCH_X86_APIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Choose x2APIC mode if the CPU has it. Once, on the bootstrap processor, before apic_init().
 *   mmio  the local APIC's page, mapped uncached; used in xAPIC mode only
 */
void apic_setup(volatile uint32_t *mmio);

/* Enable this core's local APIC with every local interrupt masked; each core. */
void apic_init(void);

#define APIC_ID_MAX 254u /* of xAPIC mode, and of an I/O APIC's destination; 255 is everybody */

/* Whether x2APIC mode is in use, for the boot report. */
bool apic_is_x2apic(void);

/* Whether an interrupt can be sent to a local APIC of that ID. */
bool apic_reaches(uint32_t id);

/* This core's APIC ID. */
uint32_t apic_id(void);

/* End of interrupt. */
void apic_eoi(void);

/* Interrupt another core with a fixed vector. */
void apic_send(uint32_t id, uint8_t vector);

/* Put a fixed vector into this core's own IRR. x2APIC mode only. */
void apic_send_self(uint8_t vector);

/* The version register. */
uint32_t apic_version(void);

/*
 * How fast the timer counts with a divisor of 1, in Hz, measured against the TSC; 0: not at all.
 * Boot only, x2APIC mode, nothing is armed.
 */
uint32_t apic_timer_hz(uint64_t tsc_hz);

/*
 * This core's local APIC becomes a guest's, in the state in which firmware leaves it: all local
 * interrupts masked, enabled by software, spurious vector FFH. What is waiting for the hypervisor is
 * taken first. x2APIC mode only. From here on only NMIs reach the hypervisor on this core.
 */
void apic_lend(void);

/* It is the hypervisor's again; whatever the guest has left in it is dropped. */
void apic_take_back(void);

/* NMI to another core. What was written before is visible to it. */
void apic_send_nmi(uint32_t id);

/* INIT and start-up IPIs: start another core at real-mode page `page` (page << 12). */
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, uint8_t page);

/* NMI to every other core: the machine is being halted. */
void apic_send_nmi_others(void);

/* Whether the local APIC's timer can be given an absolute TSC value. */
bool apic_has_tsc_deadline(void);

/* Mask all inputs of the 8259 pair (its vectors moved out of the way). */
void pic_mask_all(void);

/*
 * Route one input of the host's I/O APIC, edge triggered, active high.
 *   mmio     the I/O APIC's page, mapped uncached
 *   pin      0..23
 *   id       destination local APIC
 */
void ioapic_route(volatile uint32_t *mmio, unsigned pin, uint8_t vector, uint32_t id);

/* Mask all inputs of a host I/O APIC; how many it has. */
uint32_t ioapic_mask_all(volatile uint32_t *mmio);

#endif
