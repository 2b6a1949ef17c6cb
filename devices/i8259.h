/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's interrupt controller: two 8259A, the slave's INT on the master's IR2, and the chip set's
 * edge/level control registers (ELCR).
 *
 * Differences from the bare chip, as in Intel's chip sets: the trigger mode of an input is set by
 * ELCR, and LTIM in ICW1 does nothing; ICW4 uPM, BUF and M/S do nothing: always 8086 mode, and the
 * cascade's direction is soldered.
 *
 * Sources: Intel 8259A data sheet (231468), "Programming the 8259A"; Intel I/O Controller Hub 9
 * data sheet (316972), "Interrupt Controller I/O Registers" (ELCR, ports).
 */
#ifndef DEVICES_I8259_H
#define DEVICES_I8259_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/bits.h"
#include "lib/compiler.h"

#define I8259_MASTER_COMMAND 0x20u
#define I8259_MASTER_DATA    0x21u
#define I8259_SLAVE_COMMAND  0xa0u
#define I8259_SLAVE_DATA     0xa1u
#define I8259_MASTER_ELCR    0x4d0u
#define I8259_SLAVE_ELCR     0x4d1u

#define I8259_CASCADE        2u /* the master's input that the slave's INT is soldered to */

/* What the next write to the data port means: "Initialization Sequence". */
enum i8259_step {
    I8259_READY = 0, /* OCW1; only in this state does the chip request or accept interrupts */
    I8259_ICW2,
    I8259_ICW3,
    I8259_ICW4,
};

/* One chip. Bit n of each mask is input IRn. */
struct i8259_chip {
    uint8_t line;      /* levels on the inputs */
    uint8_t edge;      /* edge sense latches: rose, and neither fell nor was acknowledged since */
    uint8_t elcr;      /* 1: level triggered */
    uint8_t imr;       /* interrupt mask register */
    uint8_t isr;       /* in-service register */
    uint8_t icw3;      /* master: inputs that have a slave; slave: its identity, 0..7 */
    uint8_t vector;    /* ICW2 [7:3]: vector of IR0 */
    uint8_t lowest;    /* the input of lowest priority, 0..7; 7 is fully nested order */
    uint8_t step;      /* enum i8259_step */
    bool icw3_due;     /* ICW1 SNGL = 0 */
    bool icw4_due;     /* ICW1 IC4 = 1 */
    bool auto_eoi;     /* ICW4 AEOI */
    bool rotate_auto;  /* rotate in automatic EOI mode */
    bool fully_nested; /* ICW4 SFNM: special fully nested mode */
    bool special_mask; /* OCW3 SMM */
    bool poll;         /* the next read is an acknowledge */
    bool read_isr;     /* the command port reads ISR, not IRR */
};

struct i8259 {
    struct i8259_chip chip[2]; /* master, slave */
    bool intr;                 /* the master's INT, the output to the CPU */
};

/*
 * State as firmware leaves it: initialised for vectors 08H and 70H, slave on IR2, every input edge
 * triggered and masked, all inputs low.
 */
void i8259_reset(struct i8259 *p);

/*
 * Guest read of one byte.
 *   port    20H, 21H, A0H, A1H, 4D0H, 4D1H
 *   return  the register; FFH for any other port
 * After a poll command this is an acknowledge: it may change i8259_intr.
 */
uint8_t i8259_read(struct i8259 *p, uint16_t port);

/*
 * The same, where it changes nothing: the mask of the chip at data port 21H or A1H.
 *   return  -1: a poll command came before it
 */
static inline int i8259_peek_mask(const struct i8259 *p, uint16_t port)
{
    const struct i8259_chip *c = &p->chip[port == I8259_MASTER_DATA ? 0 : 1];

    return c->poll ? -1 : c->imr;
}

/*
 * Guest write of one byte; may change i8259_intr.
 *   port  as for i8259_read; writes to other ports are dropped
 */
void i8259_write(struct i8259 *p, uint16_t port, uint8_t value);

/* --- parts of i8259_set_irq(), which is in line: a timer's interrupt goes through it ------------ */

/* IRR */
static inline uint8_t i8259_irr(const struct i8259_chip *c)
{
    return (uint8_t)(c->line & (c->elcr | c->edge));
}

/* Inputs that request and are not masked. */
static inline unsigned i8259_waiting(const struct i8259_chip *c)
{
    return c->step == I8259_READY ? i8259_irr(c) & (c->imr ^ 0xffu) : 0;
}

/* Level of a chip's input. */
static inline void i8259_set_line(struct i8259_chip *c, unsigned level, bool high)
{
    uint8_t bit = (uint8_t)BIT32(level);

    if (high) {
        c->edge |= (uint8_t)(bit & (c->line ^ 0xffu));
        c->line |= bit;
    } else {
        c->edge &= bit ^ 0xffu;
        c->line &= bit ^ 0xffu;
    }
}

/* i8259_update_master() while something is in service. */
void i8259_update_nested(struct i8259 *p);

/* Carry the master's INT to the CPU. Mostly nothing waits, or nothing is in service. */
static inline void i8259_update_master(struct i8259 *p)
{
    const struct i8259_chip *c = &p->chip[0];

    if (i8259_waiting(c) == 0)
        p->intr = false;
    else if (c->isr == 0)
        p->intr = true;
    else
        i8259_update_nested(p);
}

/* i8259_set_irq() for 8..15; others have no effect. */
void i8259_set_slave_irq(struct i8259 *p, unsigned irq, bool level);

/*
 * Set the level of an input; may change i8259_intr.
 *   irq  0..15; the cascade, 2, belongs to the slave: setting it has no effect, nor has irq > 15
 * The request of an edge triggered input needs the input to stay high until it is acknowledged
 * ("Edge and Level Triggered Modes"), so a device that makes pulses rests high: low, then high.
 */
static inline void i8259_set_irq(struct i8259 *p, unsigned irq, bool level)
{
    if (irq < 8 && irq != I8259_CASCADE) {
        i8259_set_line(&p->chip[0], irq, level);
        i8259_update_master(p);
    } else {
        i8259_set_slave_irq(p, irq, level);
    }
}

/* Level of the INTR output. A plain load: the run loop asks before each VM entry. */
static inline bool i8259_intr(const struct i8259 *p)
{
    return p->intr;
}

/*
 * The CPU's interrupt acknowledge cycle; may change i8259_intr.
 *   return  vector. Where no request is left: that of IR7 of the chip asked, without setting its
 *           ISR bit (spurious); FFH where ICW3 names a slave that is not there.
 * Source: 8259A data sheet, "Interrupt Sequence".
 */
uint8_t i8259_ack(struct i8259 *p);

/* The invariant: true after i8259_reset and after any sequence of the calls above. */
bool i8259_ok(const struct i8259 *p);

#endif
