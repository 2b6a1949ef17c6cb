/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O APIC. Source: Intel 82093AA data sheet (290566), "Register Description". */
#include "devices/ioapic.h"

/* Offsets in the register page */
#define OFFSET_IOREGSEL  0x00u
#define OFFSET_IOWIN     0x10u
#define OFFSET_EOI       0x40u

/* Register numbers for IOREGSEL */
#define REG_ID           0x00u
#define REG_VER          0x01u
#define REG_ARB          0x02u
#define REG_TABLE        0x10u /* two per pin, low half first */

#define ID_MASK          0x0f000000u /* [27:24] I/O APIC identification */

/* I/O APIC version: [7:0] version, [23:16] maximum redirection entry */
#define VERSION          (0x20u | (IOAPIC_PINS - 1) << 16)

/* Redirection table entry, "I/O Redirection Table Registers" */
#define ENTRY_VECTOR     0x00000000000000ffull /* [7:0]   interrupt vector     */
#define ENTRY_DELIVERY   0x0000000000000700ull /* [10:8]  delivery mode        */
#define ENTRY_LOGICAL    0x0000000000000800ull /* [11]    destination mode     */
#define ENTRY_PENDING    0x0000000000001000ull /* [12]    delivery status, RO  */
#define ENTRY_POLARITY   0x0000000000002000ull /* [13]    input pin polarity   */
#define ENTRY_REMOTE_IRR 0x0000000000004000ull /* [14]    remote IRR, RO       */
#define ENTRY_LEVEL      0x0000000000008000ull /* [15]    trigger mode         */
#define ENTRY_MASK       IOAPIC_ENTRY_MASK
#define ENTRY_DEST       0xff00000000000000ull /* [63:56] destination field    */
#define ENTRY_WRITABLE                                                                             \
    (ENTRY_VECTOR | ENTRY_DELIVERY | ENTRY_LOGICAL | ENTRY_POLARITY | ENTRY_LEVEL | ENTRY_MASK |   \
     ENTRY_DEST)

static unsigned entry_delivery(uint64_t entry)
{
    return (unsigned)field_get(entry, ENTRY_DELIVERY);
}

/* "Delivery Mode": the other modes are edge-triggered whatever the trigger mode bit says. */
static bool entry_is_level(uint64_t entry)
{
    return (entry & ENTRY_LEVEL) != 0 && entry_delivery(entry) <= APIC_LOWEST;
}

/* Modes 3 and 6 (STARTUP) are reserved: an I/O APIC cannot send a SIPI. */
static bool entry_can_send(uint64_t entry)
{
    return entry_delivery(entry) != APIC_DELIVERY_RESERVED && entry_delivery(entry) != APIC_STARTUP;
}

static bool pin_is_ready(const struct ioapic *io, unsigned pin)
{
    uint64_t entry = io->entry[pin];

    if ((entry & ENTRY_MASK) != 0)
        return false;
    if (entry_is_level(entry))
        return (io->asserted & ~io->remote_irr & BIT32(pin)) != 0;
    return (io->edges & BIT32(pin)) != 0;
}

static void pin_update(struct ioapic *io, unsigned pin)
{
    io->ready &= ~BIT32(pin);
    if (pin_is_ready(io, pin))
        io->ready |= BIT32(pin);
}

void ioapic_reset(struct ioapic *io, uint32_t pins)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        io->entry[pin] = ENTRY_MASK;
    io->select = 0;
    io->id = 0;
    io->asserted = pins & (BIT32(IOAPIC_PINS) - 1);
    io->edges = 0;
    io->remote_irr = 0;
    io->ready = 0;
}

static uint32_t entry_read(const struct ioapic *io, unsigned pin, bool high)
{
    uint64_t entry = io->entry[pin];

    if ((io->ready & BIT32(pin)) != 0)
        entry |= ENTRY_PENDING;
    if ((io->remote_irr & BIT32(pin)) != 0)
        entry |= ENTRY_REMOTE_IRR;
    return (uint32_t)(high ? entry >> 32 : entry);
}

static void entry_write(struct ioapic *io, unsigned pin, bool high, uint32_t value)
{
    uint64_t entry = io->entry[pin];

    if (high)
        entry = (entry & UINT32_MAX) | (uint64_t)value << 32;
    else
        entry = (entry & ~(uint64_t)UINT32_MAX) | value;
    entry &= ENTRY_WRITABLE;
    io->entry[pin] = entry;
    /* Software without an EOI register ends a level by switching to edge and back. */
    if (!entry_is_level(entry))
        io->remote_irr &= ~BIT32(pin);
    if (entry_is_level(entry) || (entry & ENTRY_MASK) != 0 || !entry_can_send(entry))
        io->edges &= ~BIT32(pin);
    pin_update(io, pin);
}

static uint32_t window_read(const struct ioapic *io)
{
    unsigned at = io->select - REG_TABLE;

    if (at < 2 * IOAPIC_PINS) /* a smaller select wraps to a large number */
        return entry_read(io, at / 2, at % 2 != 0);
    switch (io->select) {
    case REG_ID: return io->id;
    case REG_VER: return VERSION;
    case REG_ARB: return io->id; /* loaded with the ID when that is written */
    default: return 0;
    }
}

static void window_write(struct ioapic *io, uint32_t value)
{
    unsigned at = io->select - REG_TABLE;

    if (at < 2 * IOAPIC_PINS)
        entry_write(io, at / 2, at % 2 != 0, value);
    else if (io->select == REG_ID)
        io->id = value & ID_MASK;
}

uint32_t ioapic_read(const struct ioapic *io, unsigned offset)
{
    switch (offset) {
    case OFFSET_IOREGSEL: return io->select;
    case OFFSET_IOWIN: return window_read(io);
    default: return 0;
    }
}

void ioapic_write(struct ioapic *io, unsigned offset, uint32_t value)
{
    switch (offset) {
    case OFFSET_IOREGSEL: io->select = value & 0xff; break;
    case OFFSET_IOWIN: window_write(io, value); break;
    case OFFSET_EOI: ioapic_eoi(io, (uint8_t)(value & 0xff)); break;
    default: break;
    }
}

void ioapic_set_open_pin(struct ioapic *io, unsigned pin, bool level)
{
    uint32_t bit;
    uint64_t entry;

    if (pin >= IOAPIC_PINS)
        return;
    bit = BIT32(pin);
    entry = io->entry[pin];
    if (((io->asserted & bit) != 0) == level)
        return;
    io->asserted ^= bit;
    if (level && !entry_is_level(entry) && entry_can_send(entry))
        io->edges |= bit;
    pin_update(io, pin);
}

bool ioapic_take(struct ioapic *io, struct apic_msg *out)
{
    unsigned pin;
    uint64_t entry;
    bool level;

    if (io->ready == 0)
        return false;
    pin = bit_lowest(io->ready);
    entry = io->entry[pin];
    level = entry_is_level(entry);
    if (level)
        io->remote_irr |= BIT32(pin);
    else
        io->edges &= ~BIT32(pin);
    io->ready &= ~BIT32(pin);
    *out = (struct apic_msg){
        .dest = (uint32_t)field_get(entry, ENTRY_DEST),
        .vector = (uint8_t)field_get(entry, ENTRY_VECTOR),
        .delivery = (uint8_t)entry_delivery(entry),
        .shorthand = APIC_DEST_FIELD,
        .logical = (entry & ENTRY_LOGICAL) != 0,
        .level = level,
        .assert_level = true,
    };
    return true;
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        bool waits = (io->remote_irr & BIT32(pin)) != 0;

        if (waits && (io->entry[pin] & ENTRY_VECTOR) == vector) {
            io->remote_irr &= ~BIT32(pin);
            pin_update(io, pin);
        }
    }
}

static bool pin_ok(const struct ioapic *io, unsigned pin)
{
    uint64_t entry = io->entry[pin];
    bool edge = (io->edges & BIT32(pin)) != 0;
    bool remote_irr = (io->remote_irr & BIT32(pin)) != 0;

    if ((entry & ~ENTRY_WRITABLE) != 0)
        return false;
    if (remote_irr && !entry_is_level(entry))
        return false;
    if (edge && (entry_is_level(entry) || (entry & ENTRY_MASK) != 0 || !entry_can_send(entry)))
        return false;
    return ((io->ready & BIT32(pin)) != 0) == pin_is_ready(io, pin);
}

bool ioapic_ok(const struct ioapic *io)
{
    uint32_t all = io->asserted | io->edges | io->remote_irr | io->ready;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (!pin_ok(io, pin))
            return false;
    }
    return all < BIT32(IOAPIC_PINS) && io->select <= 0xff && (io->id & ~ID_MASK) == 0;
}
