/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One PC16550D UART with the PC's wiring: 1.8432 MHz crystal, interrupt gated by OUT2, and at the
 * other end of the cable a terminal that is always there and always ready (CTS, DSR, DCD on).
 *
 * The line has no speed of its own: a byte written goes to the outside as soon as the outside takes
 * it, and a byte from outside is there at once. Only the receiver's timeout knows the baud rate.
 * The terminal's words have 8 bits, whatever LCR says (in loopback LCR counts); parity, stop bits
 * and sent breaks are stored but not carried, so that no parity or framing error ever comes in. The
 * data sheet's RXRDY and TXRDY pins (FCR bit 3) are not connected in a PC.
 *
 * Source: PC16550D data sheet (Texas Instruments SNLS378), "Registers".
 */
#ifndef DEVICES_NS16550_H
#define DEVICES_NS16550_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ratio.h"

#define NS16550_FIFO_LEN 16u
#define NS16550_LSR      5u    /* the register that is polled */
#define NS16550_LSR_IDLE 0x60u /* [6] TEMT, [5] THRE */
#define NS16550_LSR_DR   0x01u /* [0] data ready */

struct ns16550 {
    struct ratio clock;     /* guest TSC ticks to ticks of the crystal */
    uint64_t timeout_ticks; /* four character times, in guest TSC ticks */
    uint64_t timeout_at; /* when the receiver's timeout falls due; means nothing if rx is empty */
    uint64_t deadline;   /* ns16550_deadline() */
    uint8_t rx[NS16550_FIFO_LEN];
    uint8_t tx[NS16550_FIFO_LEN];
    uint8_t rx_head; /* slot of the oldest byte */
    uint8_t rx_count;
    uint8_t tx_head;
    uint8_t tx_count;
    uint16_t rx_breaks; /* slots that hold a break not yet shown in LSR */
    uint16_t divisor;
    uint8_t ier;
    uint8_t fcr; /* 0 in 16450 mode */
    uint8_t lcr;
    uint8_t mcr;
    uint8_t errors; /* LSR [4:1] */
    uint8_t msr;
    uint8_t scr;
    bool thre_pending; /* the THRE interrupt has not been acknowledged */
    bool timed_out;    /* the character timeout interrupt is pending */
    bool irq;          /* ns16550_irq() */
    uint8_t lsr;       /* what LSR reads now */
};

/*
 * Master reset. The divisor, which a master reset leaves undefined, becomes 12 (9600 baud).
 *   tsc_hz  frequency of the clock that all `now` are counted in, above 2 MHz
 * Source: PC16550D data sheet, "UART Reset Configuration".
 */
void ns16550_reset(struct ns16550 *u, uint64_t tsc_hz);

/*
 * The guest reads a register.
 *   reg  0..7, the offset from the base port; higher bits are ignored
 *   now  guest TSC
 * Source: PC16550D data sheet, "Summary of Registers".
 */
uint8_t ns16550_read(struct ns16550 *u, unsigned reg, uint64_t now);

/*
 * The same for NS16550_LSR where that changes nothing, and nothing waits for ns16550_tx_take.
 *   return  the register; -1 in all other states
 */
static inline int ns16550_peek_lsr(const struct ns16550 *u)
{
    return (u->lsr & ~NS16550_LSR_DR) == NS16550_LSR_IDLE ? u->lsr : -1;
}

/*
 * The guest writes a register; arguments as for ns16550_read. A byte written while the transmitter
 * is full is lost, as on the chip.
 */
void ns16550_write(struct ns16550 *u, unsigned reg, uint8_t value, uint64_t now);

/*
 * Level of the wire to the interrupt controller: INTRPT, let through by OUT2 (MCR bit 3). Loopback
 * forces the OUT2 pin off. Changes with read, write, tx_take, rx_put, rx_break and advance.
 * Source: PC16550D data sheet, "Modem Control Register"; IBM PC/AT asynchronous adapter.
 */
static inline bool ns16550_irq(const struct ns16550 *u)
{
    return u->irq;
}

/* When ns16550_advance must be called at the latest; guest TSC, or TIME_NEVER. */
static inline uint64_t ns16550_deadline(const struct ns16550 *u)
{
    return u->deadline;
}

/* Time has come to `now`: raises the character timeout interrupt if it is due. */
void ns16550_advance(struct ns16550 *u, uint64_t now);

/*
 * The outside takes the oldest byte that the guest sent. The last one makes the transmitter empty
 * (LSR THRE and TEMT, and the interrupt): ask for the level of the wire afterwards.
 *   byte    where to put it; untouched if there is none
 *   return  there was one
 */
bool ns16550_tx_take(struct ns16550 *u, uint8_t *byte);

/* How many bytes ns16550_rx_put takes now without loss: 0..16; 0 in loopback. */
unsigned ns16550_rx_space(const struct ns16550 *u);

/*
 * A byte comes in from the outside. Without room for it, LSR OE is set and a byte is lost (the new
 * one in FIFO mode, the old one in 16450 mode). Not connected in loopback: dropped.
 */
void ns16550_rx_put(struct ns16550 *u, uint8_t byte, uint64_t now);

/* A break comes in: a zero byte with LSR BI and FE. Needs room as a byte does. */
void ns16550_rx_break(struct ns16550 *u, uint64_t now);

/* The chip's invariant; true after every call above. */
bool ns16550_ok(const struct ns16550 *u);

#endif
