/* proof: devices/i8259.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever a guest and the devices do, the 8259 pair keeps its invariant. */
#include "devices/i8259.h"
#include "tests/proof/proof.h"

struct i8259 nondet_i8259(void);

static struct i8259 any(void)
{
    struct i8259 p = nondet_i8259();

    ASSUME(i8259_ok(&p));
    return p;
}

void reset(void)
{
    struct i8259 p = nondet_i8259();

    i8259_reset(&p);
    PROVE(i8259_ok(&p), "reset establishes the invariant");
    PROVE(!i8259_intr(&p), "reset requests nothing");
}

void guest_read(void)
{
    struct i8259 p = any();

    (void)i8259_read(&p, nondet_u16());
    PROVE(i8259_ok(&p), "a read keeps the invariant");
}

/* What is peeked at is what a read gives, and the read would have changed nothing. */
void guest_peek(void)
{
    struct i8259 p = any();
    struct i8259 before = p;
    uint16_t port = nondet_bool() ? I8259_MASTER_DATA : I8259_SLAVE_DATA;
    unsigned chip = port == I8259_MASTER_DATA ? 0 : 1;
    int mask = i8259_peek_mask(&p, port);

    ASSUME(mask >= 0);
    PROVE(i8259_read(&p, port) == mask, "the mask that is peeked at is read");
    PROVE(p.chip[chip].isr == before.chip[chip].isr &&
              p.chip[chip].edge == before.chip[chip].edge && i8259_intr(&p) == i8259_intr(&before),
          "and nothing is acknowledged by that");
}

void guest_write(void)
{
    struct i8259 p = any();

    i8259_write(&p, nondet_u16(), nondet_u8());
    PROVE(i8259_ok(&p), "a write keeps the invariant");
}

void wire(void)
{
    struct i8259 p = any();

    i8259_set_irq(&p, nondet_unsigned(), nondet_bool());
    PROVE(i8259_ok(&p), "a change of an input keeps the invariant");
}

/* INTR is high: the acknowledge is never spurious at the master. */
void acknowledge_requested(void)
{
    struct i8259 p = any();
    struct i8259_chip before = p.chip[0];
    uint8_t vector;

    ASSUME(i8259_intr(&p));
    vector = i8259_ack(&p);
    PROVE(i8259_ok(&p), "an acknowledge keeps the invariant");
    PROVE(before.auto_eoi || (p.chip[0].isr & ~before.isr) != 0 || before.fully_nested,
          "an input came into service");
    PROVE(vector == 0xff || (vector & 0xf8) == p.chip[0].vector ||
              (vector & 0xf8) == p.chip[1].vector,
          "the vector is one that the guest programmed");
}

void acknowledge_spurious(void)
{
    struct i8259 p = any();
    struct i8259 before = p;

    ASSUME(!i8259_intr(&p));
    PROVE(i8259_ack(&p) == (before.chip[0].vector | 7), "a spurious vector is IR7's");
    PROVE(p.chip[0].isr == before.chip[0].isr && p.chip[1].isr == before.chip[1].isr,
          "nothing comes into service");
}
