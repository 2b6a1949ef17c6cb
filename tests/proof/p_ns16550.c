/* proof: devices/ns16550.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever a guest and the console do, the 16550A keeps its invariant. */
#include "devices/ns16550.h"
#include "tests/proof/proof.h"

struct ns16550 nondet_ns16550(void);

static struct ns16550 any(void)
{
    struct ns16550 u = nondet_ns16550();

    ASSUME(ns16550_ok(&u));
    return u;
}

void reset(void)
{
    struct ns16550 u = nondet_ns16550();

    ns16550_reset(&u, nondet_u64());
    PROVE(ns16550_ok(&u), "reset establishes the invariant");
    PROVE(!ns16550_irq(&u), "reset requests nothing");
}

void guest_read(void)
{
    struct ns16550 u = any();

    (void)ns16550_read(&u, nondet_unsigned(), nondet_u64());
    PROVE(ns16550_ok(&u), "a read keeps the invariant");
}

/* What is peeked at is what a read gives, and the read would have changed nothing for the guest. */
void guest_peek(void)
{
    struct ns16550 u = any();
    int lsr = ns16550_peek_lsr(&u);
    bool irq = ns16550_irq(&u);
    uint64_t now = nondet_u64();

    ASSUME(lsr >= 0 && now < ns16550_deadline(&u));
    PROVE(ns16550_read(&u, NS16550_LSR, now) == lsr, "the line status that is peeked at is read");
    PROVE(ns16550_irq(&u) == irq, "and no interrupt goes by that");
    PROVE(ns16550_peek_lsr(&u) == lsr, "nor does it change");
}

void guest_write(void)
{
    struct ns16550 u = any();

    ns16550_write(&u, nondet_unsigned(), nondet_u8(), nondet_u64());
    PROVE(ns16550_ok(&u), "a write keeps the invariant");
}

void advance(void)
{
    struct ns16550 u = any();
    uint64_t now = nondet_u64();

    ns16550_advance(&u, now);
    PROVE(ns16550_ok(&u), "time keeps the invariant");
    PROVE(ns16550_deadline(&u) > now || ns16550_deadline(&u) == UINT64_MAX,
          "a deadline that has come does not come again");
}

void transmit(void)
{
    struct ns16550 u = any();
    uint8_t count = u.tx_count;
    uint8_t byte;

    PROVE(ns16550_tx_take(&u, &byte) == (count != 0), "a byte is taken if there is one");
    PROVE(ns16550_ok(&u) && u.tx_count == (count == 0 ? 0 : count - 1), "and only one");
}

void receive_byte(void)
{
    struct ns16550 u = any();
    unsigned space = ns16550_rx_space(&u);
    uint8_t errors = u.errors;

    ns16550_rx_put(&u, nondet_u8(), nondet_u64());
    PROVE(ns16550_ok(&u), "a byte keeps the invariant");
    PROVE(space == 0 || (u.errors == errors && ns16550_rx_space(&u) == space - 1),
          "with space, nothing is lost");
}

void receive_break(void)
{
    struct ns16550 u = any();

    ns16550_rx_break(&u, nondet_u64());
    PROVE(ns16550_ok(&u), "a break keeps the invariant");
}
