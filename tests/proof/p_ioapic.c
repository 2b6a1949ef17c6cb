/* proof: devices/ioapic.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever a guest and the devices do, the I/O APIC keeps its invariant and sends what it may. */
#include "devices/ioapic.h"
#include "tests/proof/proof.h"

struct ioapic nondet_ioapic(void);

static struct ioapic any(void)
{
    struct ioapic io = nondet_ioapic();

    ASSUME(ioapic_ok(&io));
    return io;
}

void reset(void)
{
    struct ioapic io = nondet_ioapic();

    ioapic_reset(&io, nondet_u32());
    PROVE(ioapic_ok(&io), "reset establishes the invariant");
}

void guest_read(void)
{
    struct ioapic io = any();

    (void)ioapic_read(&io, nondet_unsigned());
    PROVE(ioapic_ok(&io), "a read keeps the invariant");
}

void guest_write(void)
{
    struct ioapic io = any();
    unsigned offset = nondet_unsigned();

    ASSUME(offset != 0x40); /* that is end_of_interrupt */
    ioapic_write(&io, offset, nondet_u32());
    PROVE(ioapic_ok(&io), "a write keeps the invariant");
}

void wire(void)
{
    struct ioapic io = any();

    ioapic_set_pin(&io, nondet_unsigned(), nondet_bool());
    PROVE(ioapic_ok(&io), "a change of a pin keeps the invariant");
}

void end_of_interrupt(void)
{
    struct ioapic io = any();
    struct ioapic before = io;

    ioapic_eoi(&io, nondet_u8());
    PROVE(ioapic_ok(&io), "an EOI keeps the invariant");
    PROVE((io.remote_irr & ~before.remote_irr) == 0, "an EOI sets no remote IRR");
}

void take(void)
{
    struct ioapic io = any();
    struct ioapic before = io;
    struct apic_msg m;

    if (!ioapic_take(&io, &m)) {
        PROVE(before.ready == 0, "what is ready is sent");
        return;
    }
    PROVE(ioapic_ok(&io), "a delivery keeps the invariant");
    PROVE(io.ready == (before.ready & (before.ready - 1)), "each delivery leaves one less");
    PROVE(m.delivery != APIC_STARTUP && m.delivery != APIC_DELIVERY_RESERVED && m.delivery <= 7,
          "no reserved delivery mode is sent");
    PROVE(!m.level || m.delivery <= APIC_LOWEST, "only fixed and lowest priority are levels");
    PROVE(m.dest <= 0xff && !m.wide && m.shorthand == APIC_DEST_FIELD && m.assert_level,
          "the message is one that an I/O APIC can send");
}
