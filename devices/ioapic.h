/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O APIC: the 82093AA with 24 pins, with the EOI register that the ICH family added (version
 * 20H). Source: Intel 82093AA I/O Advanced Programmable Interrupt Controller data sheet (290566);
 * ICH data sheets, "Advanced Programmable Interrupt Controller (APIC)", for the EOI register.
 *
 * Context of every function: the caller holds the VM's device lock. After ioapic_write,
 * ioapic_set_pin and ioapic_eoi the platform calls ioapic_take until it gives false.
 */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/apic_msg.h"
#include "lib/bits.h"

#define IOAPIC_GPA  0xfec00000ull
#define IOAPIC_SIZE 0x1000u
#define IOAPIC_PINS 24u

#define IOAPIC_ENTRY_MASK 0x10000ull /* redirection table entry [16]: interrupt mask */

/* All fields are the chip's own. In the masks, bit n is pin n. */
struct ioapic {
    uint64_t entry[IOAPIC_PINS]; /* redirection table; its read-only bits are in the masks below */
    uint32_t select;             /* IOREGSEL */
    uint32_t id;                 /* IOAPICID, as the register reads */
    uint32_t asserted;           /* level of the pins */
    uint32_t edges;              /* edge-triggered: an edge came that is not yet sent */
    uint32_t remote_irr;         /* level-triggered: sent and not yet ended */
    uint32_t ready;              /* a message is to be sent; derived from all of the above */
};

/*
 * Power-up state: ID 0, every entry masked and otherwise 0. The levels of the pins are wires, not
 * state: they are kept if `pins` says so.
 *   pins  level of each pin at that moment, bit n = pin n
 */
void ioapic_reset(struct ioapic *io, uint32_t pins);

/*
 * 32-bit access to the register page. The platform passes only aligned 32-bit accesses (the data
 * sheet defines no others; bytes of IOREGSEL may be widened with zeros).
 *   offset  from IOAPIC_GPA: 0 IOREGSEL, 10H IOWIN, 40H EOI (write-only); others read 0 and ignore
 *           writes, as do register numbers that do not exist
 */
uint32_t ioapic_read(const struct ioapic *io, unsigned offset);
void ioapic_write(struct ioapic *io, unsigned offset, uint32_t value);

/* ioapic_set_pin() of a pin that is not masked, and so may send. */
void ioapic_set_open_pin(struct ioapic *io, unsigned pin, bool level);

/*
 * Level of a pin.
 *   pin    0..IOAPIC_PINS - 1; others are ignored
 *   level  logical: true = asserted. The polarity bit of the entry is stored and nothing else
 *
 * A rising edge on an edge-triggered pin is one message; if the entry is masked at that time the
 * edge is lost, as the data sheet says ("Interrupt Mask"). A level-triggered pin is looked at
 * whenever entry, level or remote IRR change: so unmasking an asserted pin delivers.
 */
static inline void ioapic_set_pin(struct ioapic *io, unsigned pin, bool level)
{
    if (pin < IOAPIC_PINS && (io->entry[pin] & IOAPIC_ENTRY_MASK) != 0)
        io->asserted = level ? io->asserted | BIT32(pin) : io->asserted & ~BIT32(pin);
    else
        ioapic_set_open_pin(io, pin, level);
}

/* Whether ioapic_take() has one. */
static inline bool ioapic_has_message(const struct ioapic *io)
{
    return io->ready != 0;
}

/*
 * The next message to deliver, lowest pin first. Taking it counts as delivery: an edge is used up,
 * a level sets remote IRR (also if no local APIC is addressed: else it would repeat for ever).
 * NMI, SMI, INIT and ExtINT entries are always edge-triggered; the reserved delivery modes send
 * nothing. At most IOAPIC_PINS messages come before false.
 *   return  false if there is none, *out is then untouched; costs one load
 */
bool ioapic_take(struct ioapic *io, struct apic_msg *out);

/*
 * A local APIC ended a level-triggered interrupt, or the guest wrote the EOI register: clears
 * remote IRR of the level-triggered entries with this vector. Those still asserted are ready again.
 */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

/* The chip's invariant: true after every operation above, whatever a guest does. */
bool ioapic_ok(const struct ioapic *io);

#endif
