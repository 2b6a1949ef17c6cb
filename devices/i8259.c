/* SPDX-License-Identifier: BSD-2-Clause */
/* Two cascaded 8259A interrupt controllers. Source: Intel 8259A data sheet (231468). */
#include "devices/i8259.h"

#define MASTER           0u
#define SLAVE            1u
#define NONE             8u /* no input */

/* ICW1 */
#define ICW1_IC4         0x01u /* [0] ICW4 follows */
#define ICW1_SNGL        0x02u /* [1] no other 8259A: no ICW3 */
#define ICW1_SELECT      0x10u /* [4] this is ICW1, not an OCW */

#define ICW2_BASE        0xf8u /* [7:3] vector base */
#define ICW3_ID          0x07u /* [2:0] slave identity */

/* ICW4 */
#define ICW4_AEOI        0x02u /* [1] automatic end of interrupt */
#define ICW4_SFNM        0x10u /* [4] special fully nested mode */

/* OCW2 */
#define OCW2_LEVEL       0x07u /* [2:0] input acted upon */
#define OCW2_COMMAND     0xe0u /* [7:5] R, SL, EOI */

/* OCW3 */
#define OCW3_RIS         0x01u /* [0] read ISR */
#define OCW3_RR          0x02u /* [1] read register command */
#define OCW3_POLL        0x04u /* [2] poll command */
#define OCW3_SELECT      0x08u /* [3] this is OCW3, not OCW2 */
#define OCW3_SMM         0x20u /* [5] special mask mode */
#define OCW3_ESMM        0x40u /* [6] [5] is valid */

#define POLL_REQUEST     0x80u /* [7] of a poll's answer: there was a request */

/* Inputs that ELCR can make level triggered: not 0, 1, 2, 8 and 13. */
#define MASTER_ELCR_MASK 0xf8u
#define SLAVE_ELCR_MASK  0xdeu

/* Priority of input `level`: 0 is the highest, 7 the lowest. */
static unsigned rank(const struct i8259_chip *c, unsigned level)
{
    return (level - c->lowest - 1) & 7;
}

/* The input of highest priority in `mask`; NONE if that is empty. */
static inline unsigned highest(const struct i8259_chip *c, unsigned mask)
{
    unsigned first = (c->lowest + 1u) & 7;

    if (mask == 0)
        return NONE;
    if (LIKELY(first == 0))
        return bit_lowest(mask);
    return (first + bit_lowest((mask | mask << 8) >> first)) & 7;
}

/* In special mask mode a masked input in service holds nothing back. */
static unsigned in_service(const struct i8259_chip *c)
{
    return c->special_mask ? c->isr & (c->imr ^ 0xffu) : c->isr;
}

/* Whether input `level` may interrupt what is in service, which is something. */
static NOINLINE bool goes_before(const struct i8259_chip *c, unsigned level, unsigned slaves)
{
    unsigned served = highest(c, in_service(c));

    return rank(c, level) < rank(c, served) ||
           (level == served && c->fully_nested && (slaves & BIT32(level)) != 0);
}

/* Inputs of this chip that have a slave. */
static unsigned slaves_of(const struct i8259 *p, unsigned which)
{
    return which == MASTER ? p->chip[MASTER].icw3 : 0;
}

/* The input the chip would interrupt for; NONE if there is none. */
static inline unsigned request_of(const struct i8259 *p, unsigned which)
{
    const struct i8259_chip *c = &p->chip[which];
    unsigned level = highest(c, i8259_waiting(c));

    if (level == NONE || in_service(c) == 0 || goes_before(c, level, slaves_of(p, which)))
        return level;
    return NONE;
}

void i8259_update_nested(struct i8259 *p)
{
    p->intr = request_of(p, MASTER) != NONE;
}

/* Carry the slave's INT to the master, and the master's to the CPU. */
static NOINLINE void update_both(struct i8259 *p)
{
    i8259_set_line(&p->chip[MASTER], I8259_CASCADE, request_of(p, SLAVE) != NONE);
    i8259_update_master(p);
}

/* After a change of chip `which`. */
static inline void update(struct i8259 *p, unsigned which)
{
    if (which == SLAVE)
        update_both(p);
    else
        i8259_update_master(p);
}

/* Acknowledge on one chip: the input now in service, or NONE if nothing requests. */
static unsigned acknowledge(struct i8259 *p, unsigned which)
{
    struct i8259_chip *c = &p->chip[which];
    unsigned level = request_of(p, which);

    if (level == NONE)
        return NONE;
    c->edge &= (uint8_t)(BIT32(level) ^ 0xffu);
    if (!c->auto_eoi)
        c->isr |= (uint8_t)BIT32(level);
    else if (c->rotate_auto)
        c->lowest = (uint8_t)level;
    /* INT falls at the acknowledge, so that a further request makes a new edge at the master. */
    if (which == SLAVE)
        i8259_set_line(&p->chip[MASTER], I8259_CASCADE, false);
    return level;
}

/* The slave's part of an acknowledge cycle in which the master put `id` on the cascade lines. */
static uint8_t acknowledge_slave(struct i8259 *p, unsigned id)
{
    const struct i8259_chip *slave = &p->chip[SLAVE];
    unsigned level;

    if (slave->icw3 != id)
        return 0xff;
    level = acknowledge(p, SLAVE);
    return (uint8_t)(slave->vector | (level == NONE ? 7u : level));
}

static NOINLINE uint8_t acknowledge_any(struct i8259 *p)
{
    const struct i8259_chip *master = &p->chip[MASTER];
    unsigned level = acknowledge(p, MASTER);
    uint8_t vector = (uint8_t)(master->vector | (level == NONE ? 7u : level));

    if (level != NONE && (master->icw3 & BIT32(level)) != 0) {
        vector = acknowledge_slave(p, level);
        update(p, SLAVE);
    } else {
        update(p, MASTER);
    }
    return vector;
}

/*
 * Mostly the master is in fully nested order, nothing is in service, and the request is not a
 * slave's. What else waits is of lower priority than the input that is in service now.
 */
uint8_t i8259_ack(struct i8259 *p)
{
    struct i8259_chip *c = &p->chip[MASTER];
    unsigned requests = i8259_waiting(c);
    unsigned first = requests & (0u - requests);

    if (UNLIKELY(first == 0 || c->isr != 0 || c->lowest != 7 || c->auto_eoi ||
                 (first & c->icw3) != 0))
        return acknowledge_any(p);
    c->edge &= (uint8_t)~first;
    c->isr = (uint8_t)first;
    p->intr = false;
    return (uint8_t)(c->vector | bit_lowest(requests));
}

/* ICW1 also resets what "Initialization Command Words" lists under (a) to (f). */
static void write_icw1(struct i8259_chip *c, unsigned which, uint8_t value)
{
    *c = (struct i8259_chip){
        .line = c->line,
        .elcr = c->elcr,
        .vector = c->vector,
        .icw3 = which == SLAVE ? 7 : 0,
        .lowest = 7,
        .step = I8259_ICW2,
        .icw3_due = (value & ICW1_SNGL) == 0,
        .icw4_due = (value & ICW1_IC4) != 0,
    };
}

/* "Automatic Rotation", "Specific Rotation", "End of Interrupt" */
static void write_ocw2(struct i8259_chip *c, uint8_t value)
{
    unsigned level = value & OCW2_LEVEL;
    unsigned served = highest(c, in_service(c));

    switch (value & OCW2_COMMAND) {
    case 0x00: c->rotate_auto = false; break;
    case 0x80: c->rotate_auto = true; break;
    case 0x20: /* non-specific EOI */
    case 0xa0: /* rotate on non-specific EOI */
        if (served == NONE)
            break;
        c->isr &= (uint8_t)(BIT32(served) ^ 0xffu);
        if ((value & OCW2_COMMAND) == 0xa0)
            c->lowest = (uint8_t)served;
        break;
    case 0x60: /* specific EOI */ c->isr &= (uint8_t)(BIT32(level) ^ 0xffu); break;
    case 0xe0: /* rotate on specific EOI */
        c->isr &= (uint8_t)(BIT32(level) ^ 0xffu);
        c->lowest = (uint8_t)level;
        break;
    case 0xc0: c->lowest = (uint8_t)level; break; /* set priority */
    case 0x40: break;                             /* no operation */
    }
}

static void write_ocw3(struct i8259_chip *c, uint8_t value)
{
    if ((value & OCW3_ESMM) != 0)
        c->special_mask = (value & OCW3_SMM) != 0;
    if ((value & OCW3_RR) != 0)
        c->read_isr = (value & OCW3_RIS) != 0;
    c->poll = (value & OCW3_POLL) != 0;
}

static void write_command(struct i8259 *p, unsigned which, uint8_t value)
{
    struct i8259_chip *c = &p->chip[which];

    if ((value & ICW1_SELECT) != 0)
        write_icw1(c, which, value);
    else if ((value & OCW3_SELECT) != 0)
        write_ocw3(c, value);
    else
        write_ocw2(c, value);
    update(p, which);
}

static void write_data(struct i8259 *p, unsigned which, uint8_t value)
{
    struct i8259_chip *c = &p->chip[which];

    switch ((enum i8259_step)c->step) {
    case I8259_READY: c->imr = value; break;
    case I8259_ICW2:
        c->vector = value & ICW2_BASE;
        c->step = c->icw3_due ? I8259_ICW3 : c->icw4_due ? I8259_ICW4 : I8259_READY;
        break;
    case I8259_ICW3:
        c->icw3 = which == SLAVE ? value & ICW3_ID : value;
        c->step = c->icw4_due ? I8259_ICW4 : I8259_READY;
        break;
    case I8259_ICW4:
        c->auto_eoi = (value & ICW4_AEOI) != 0;
        c->fully_nested = (value & ICW4_SFNM) != 0;
        c->step = I8259_READY;
        break;
    }
    update(p, which);
}

static uint8_t read_poll(struct i8259 *p, unsigned which)
{
    unsigned level = acknowledge(p, which);

    p->chip[which].poll = false;
    update(p, which);
    return level == NONE ? 0 : (uint8_t)(POLL_REQUEST | level);
}

static uint8_t read_command(struct i8259 *p, unsigned which)
{
    const struct i8259_chip *c = &p->chip[which];

    if (c->poll)
        return read_poll(p, which);
    return c->read_isr ? c->isr : i8259_irr(c);
}

/* "Poll Command": the next read is the poll's, whichever port it uses. */
static uint8_t read_data(struct i8259 *p, unsigned which)
{
    return p->chip[which].poll ? read_poll(p, which) : p->chip[which].imr;
}

static void write_elcr(struct i8259 *p, unsigned which, uint8_t value)
{
    p->chip[which].elcr = value & (which == MASTER ? MASTER_ELCR_MASK : SLAVE_ELCR_MASK);
    update(p, which);
}

uint8_t i8259_read(struct i8259 *p, uint16_t port)
{
    switch (port) {
    case I8259_MASTER_COMMAND: return read_command(p, MASTER);
    case I8259_MASTER_DATA: return read_data(p, MASTER);
    case I8259_SLAVE_COMMAND: return read_command(p, SLAVE);
    case I8259_SLAVE_DATA: return read_data(p, SLAVE);
    case I8259_MASTER_ELCR: return p->chip[MASTER].elcr;
    case I8259_SLAVE_ELCR: return p->chip[SLAVE].elcr;
    }
    return 0xff;
}

void i8259_write(struct i8259 *p, uint16_t port, uint8_t value)
{
    switch (port) {
    case I8259_MASTER_COMMAND: write_command(p, MASTER, value); break;
    case I8259_MASTER_DATA: write_data(p, MASTER, value); break;
    case I8259_SLAVE_COMMAND: write_command(p, SLAVE, value); break;
    case I8259_SLAVE_DATA: write_data(p, SLAVE, value); break;
    case I8259_MASTER_ELCR: write_elcr(p, MASTER, value); break;
    case I8259_SLAVE_ELCR: write_elcr(p, SLAVE, value); break;
    }
}

void i8259_set_slave_irq(struct i8259 *p, unsigned irq, bool level)
{
    if (irq < 8 || irq > 15)
        return;
    i8259_set_line(&p->chip[SLAVE], irq - 8, level);
    update_both(p);
}

void i8259_reset(struct i8259 *p)
{
    *p = (struct i8259){
        .chip[MASTER] = {.imr = 0xff, .icw3 = BIT32(I8259_CASCADE), .vector = 0x08, .lowest = 7},
        .chip[SLAVE] = {.imr = 0xff, .icw3 = I8259_CASCADE,        .vector = 0x70, .lowest = 7},
    };
}

static bool chip_ok(const struct i8259_chip *c, unsigned elcr_mask)
{
    return (c->edge & (c->line ^ 0xffu)) == 0 && (c->elcr & (elcr_mask ^ 0xffu)) == 0 &&
           (c->vector & (ICW2_BASE ^ 0xffu)) == 0 && c->lowest < 8 && c->step <= I8259_ICW4 &&
           ((!c->auto_eoi && c->step == I8259_READY) || c->isr == 0);
}

bool i8259_ok(const struct i8259 *p)
{
    const struct i8259_chip *master = &p->chip[MASTER];
    const struct i8259_chip *slave = &p->chip[SLAVE];
    bool cascade = (master->line & BIT32(I8259_CASCADE)) != 0;

    return chip_ok(master, MASTER_ELCR_MASK) && chip_ok(slave, SLAVE_ELCR_MASK) &&
           slave->icw3 <= ICW3_ID && cascade == (request_of(p, SLAVE) != NONE) &&
           p->intr == (request_of(p, MASTER) != NONE);
}
