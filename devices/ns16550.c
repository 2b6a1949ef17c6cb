/* SPDX-License-Identifier: BSD-2-Clause */
/* PC16550D UART. Source: PC16550D data sheet, "Registers" and "FIFO Interrupt Mode Operation". */
#include "devices/ns16550.h"

#include "lib/time.h"

#define CRYSTAL_HZ      1843200u
#define RESET_DIVISOR   12u

/* Register offsets; 0 and 1 are the divisor latch while LCR [7] is set. */
#define REG_DATA        0u /* RBR read, THR write, DLL */
#define REG_IER         1u /* IER, DLM */
#define REG_IIR_FCR     2u /* IIR read, FCR write */
#define REG_LCR         3u
#define REG_MCR         4u
#define REG_LSR         5u
#define REG_MSR         6u
#define REG_SCR         7u

/* Interrupt Enable Register */
#define IER_RX_DATA     0x01u /* [0] received data available, and timeout */
#define IER_THRE        0x02u /* [1] transmitter holding register empty */
#define IER_LINE_STATUS 0x04u /* [2] receiver line status */
#define IER_MODEM       0x08u /* [3] MODEM status */
#define IER_ALL         0x0fu

/* Interrupt Identification Register, [3:0] in order of priority; [7:6] FIFOs enabled */
#define IIR_LINE_STATUS 0x06u
#define IIR_RX_DATA     0x04u
#define IIR_TIMEOUT     0x0cu
#define IIR_THRE        0x02u
#define IIR_MODEM       0x00u
#define IIR_NONE        0x01u
#define IIR_FIFOS       0xc0u

/* FIFO Control Register */
#define FCR_ENABLE      0x01u                      /* [0] */
#define FCR_RX_RESET    0x02u                      /* [1] clears itself */
#define FCR_TX_RESET    0x04u                      /* [2] clears itself */
#define FCR_TRIGGER     0xc0u                      /* [7:6] 1, 4, 8, 14 bytes */
#define FCR_STORED      (FCR_ENABLE | FCR_TRIGGER) /* DMA mode, [3], concerns pins only */

/* Line Control Register */
#define LCR_WORD_LENGTH 0x03u /* [1:0] 5..8 bits */
#define LCR_TWO_STOP    0x04u /* [2] 1 1/2 of them with 5 bits */
#define LCR_PARITY      0x08u /* [3] */
#define LCR_DLAB        0x80u /* [7] divisor latch access */

/* Modem Control Register */
#define MCR_DTR         0x01u /* [0] */
#define MCR_RTS         0x02u /* [1] */
#define MCR_OUT1        0x04u /* [2] */
#define MCR_OUT2        0x08u /* [3] */
#define MCR_LOOP        0x10u /* [4] */
#define MCR_ALL         0x1fu

/* Line Status Register */
#define LSR_DR          0x01u /* [0] data ready */
#define LSR_OE          0x02u /* [1] overrun */
#define LSR_PE          0x04u /* [2] parity */
#define LSR_FE          0x08u /* [3] framing */
#define LSR_BI          0x10u /* [4] break */
#define LSR_THRE        0x20u /* [5] transmitter holding register, or FIFO, empty */
#define LSR_TEMT        0x40u /* [6] transmitter empty */
#define LSR_FIFO_ERROR  0x80u /* [7] PE, FE or BI somewhere in the FIFO */
#define LSR_CHAR_ERROR  (LSR_PE | LSR_FE | LSR_BI)
#define LSR_ERROR       (LSR_OE | LSR_CHAR_ERROR)

/* Modem Status Register; [3:0] changes of [7:4] since it was last read */
#define MSR_TERI        0x04u /* [2] RI went off */
#define MSR_CTS         0x10u /* [4] */
#define MSR_DSR         0x20u /* [5] */
#define MSR_RI          0x40u /* [6] */
#define MSR_DCD         0x80u /* [7] */
#define MSR_DELTAS      0x0fu
#define MSR_LINES       0xf0u

static bool fifo_mode(const struct ns16550 *u)
{
    return (u->fcr & FCR_ENABLE) != 0;
}

static unsigned capacity(const struct ns16550 *u)
{
    return fifo_mode(u) ? NS16550_FIFO_LEN : 1;
}

/* Bytes in the receiver that raise the data interrupt. */
static unsigned trigger_level(const struct ns16550 *u)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};

    return levels[u->fcr >> 6];
}

static uint8_t interrupt_id(const struct ns16550 *u)
{
    if ((u->ier & IER_LINE_STATUS) != 0 && u->errors != 0)
        return IIR_LINE_STATUS;
    if ((u->ier & IER_RX_DATA) != 0 && u->rx_count >= trigger_level(u))
        return IIR_RX_DATA;
    if ((u->ier & IER_RX_DATA) != 0 && u->timed_out)
        return IIR_TIMEOUT;
    if ((u->ier & IER_THRE) != 0 && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MODEM) != 0 && (u->msr & MSR_DELTAS) != 0)
        return IIR_MODEM;
    return IIR_NONE;
}

static bool irq_level(const struct ns16550 *u)
{
    return (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && interrupt_id(u) != IIR_NONE;
}

/* The timeout runs whenever bytes wait in the FIFO. */
static bool timeout_runs(const struct ns16550 *u)
{
    return fifo_mode(u) && u->rx_count != 0 && !u->timed_out;
}

/* Only a timeout that would raise the interrupt is worth a deadline. */
static uint64_t next_deadline(const struct ns16550 *u)
{
    bool wanted = (u->ier & IER_RX_DATA) != 0 && u->rx_count < trigger_level(u);

    return wanted && timeout_runs(u) ? u->timeout_at : TIME_NEVER;
}

static uint8_t line_status(const struct ns16550 *u)
{
    uint8_t lsr = u->errors;

    if (u->rx_count != 0)
        lsr |= LSR_DR;
    if (u->tx_count == 0)
        lsr |= LSR_THRE | LSR_TEMT;
    if (fifo_mode(u) && ((u->errors & LSR_CHAR_ERROR) != 0 || u->rx_breaks != 0))
        lsr |= LSR_FIFO_ERROR;
    return lsr;
}

/* Outputs follow the registers: last step of everything that changes a register. */
static void settle(struct ns16550 *u)
{
    u->lsr = line_status(u);
    u->irq = irq_level(u);
    u->deadline = next_deadline(u);
}

static void latch_timeout(struct ns16550 *u, uint64_t now)
{
    if (timeout_runs(u) && now >= u->timeout_at)
        u->timed_out = true;
}

/*
 * Four character times. A character is a start bit, 5..8 data bits, parity and 1, 1 1/2 or 2 stop
 * bits; a bit is 16 divided crystal ticks. Divisor 0, which the data sheet excludes, counts as 1.
 */
static void set_timeout_ticks(struct ns16550 *u)
{
    unsigned word = u->lcr & LCR_WORD_LENGTH;
    unsigned half_bits = 2 * (1 + 5 + word + 1);
    unsigned divisor = u->divisor == 0 ? 1 : u->divisor;

    if ((u->lcr & LCR_PARITY) != 0)
        half_bits += 2;
    if ((u->lcr & LCR_TWO_STOP) != 0)
        half_bits += word == 0 ? 1 : 2;
    u->timeout_ticks = ratio_when(u->clock, 4ull * half_bits * 8 * divisor);
}

static uint8_t modem_lines(const struct ns16550 *u)
{
    uint8_t lines = 0;

    if ((u->mcr & MCR_LOOP) == 0)
        return MSR_CTS | MSR_DSR | MSR_DCD;
    if ((u->mcr & MCR_RTS) != 0)
        lines |= MSR_CTS;
    if ((u->mcr & MCR_DTR) != 0)
        lines |= MSR_DSR;
    if ((u->mcr & MCR_OUT1) != 0)
        lines |= MSR_RI;
    if ((u->mcr & MCR_OUT2) != 0)
        lines |= MSR_DCD;
    return lines;
}

static void follow_modem_lines(struct ns16550 *u)
{
    unsigned lines = modem_lines(u);
    unsigned deltas = (lines ^ u->msr) >> 4;

    if ((lines & MSR_RI) != 0) /* RI counts only when it goes off */
        deltas &= ~MSR_TERI;
    u->msr = (uint8_t)(lines | (u->msr & MSR_DELTAS) | deltas);
}

/* The oldest byte's break shows in LSR once it is the next to be read. */
static void show_break(struct ns16550 *u)
{
    uint16_t slot = (uint16_t)(1u << u->rx_head);

    if (u->rx_count != 0 && (u->rx_breaks & slot) != 0) {
        u->rx_breaks &= (uint16_t)~slot;
        u->errors |= LSR_BI | LSR_FE;
    }
}

static void rx_clear(struct ns16550 *u)
{
    u->rx_head = 0;
    u->rx_count = 0;
    u->rx_breaks = 0;
    u->timed_out = false;
}

static void tx_clear(struct ns16550 *u)
{
    if (u->tx_count != 0)
        u->thre_pending = true;
    u->tx_head = 0;
    u->tx_count = 0;
}

static void rx_push(struct ns16550 *u, uint8_t byte, bool is_break, uint64_t now)
{
    unsigned slot;

    if (u->rx_count == capacity(u)) {
        u->errors |= LSR_OE;
        if (fifo_mode(u))
            return;
        rx_clear(u);
    }
    slot = (u->rx_head + u->rx_count) % NS16550_FIFO_LEN;
    u->rx[slot] = byte;
    u->rx_count++;
    if (is_break)
        u->rx_breaks |= (uint16_t)(1u << slot);
    show_break(u);
    u->timeout_at = now + u->timeout_ticks;
}

static uint8_t read_rbr(struct ns16550 *u, uint64_t now)
{
    uint8_t byte;

    if (u->rx_count == 0)
        return 0;
    byte = u->rx[u->rx_head];
    u->rx_head = (uint8_t)((u->rx_head + 1) % NS16550_FIFO_LEN);
    u->rx_count--;
    u->timed_out = false;
    u->timeout_at = now + u->timeout_ticks;
    show_break(u);
    return byte;
}

/* In loopback both ends use the word length of LCR; a break acts on SOUT only, so it is not seen.
 */
static void write_thr(struct ns16550 *u, uint8_t byte, uint64_t now)
{
    u->thre_pending = false;
    if ((u->mcr & MCR_LOOP) != 0) {
        rx_push(u, byte & 0xff >> (3 - (u->lcr & LCR_WORD_LENGTH)), false, now);
        u->thre_pending = u->tx_count == 0;
    } else if (u->tx_count < capacity(u)) {
        u->tx[(u->tx_head + u->tx_count) % NS16550_FIFO_LEN] = byte;
        u->tx_count++;
    } else if (!fifo_mode(u)) {
        u->tx[u->tx_head] = byte;
    }
}

static void write_ier(struct ns16550 *u, uint8_t value)
{
    if ((value & ~u->ier & IER_THRE) != 0 && u->tx_count == 0)
        u->thre_pending = true;
    u->ier = value & IER_ALL;
}

static uint8_t read_iir(struct ns16550 *u)
{
    uint8_t id = interrupt_id(u);

    if (id == IIR_THRE)
        u->thre_pending = false;
    return fifo_mode(u) ? (uint8_t)(id | IIR_FIFOS) : id;
}

static void write_fcr(struct ns16550 *u, uint8_t value)
{
    bool mode_changes = ((value ^ u->fcr) & FCR_ENABLE) != 0;
    bool enabled = (value & FCR_ENABLE) != 0; /* without it the other bits are not programmed */

    if (mode_changes || (enabled && (value & FCR_RX_RESET) != 0))
        rx_clear(u);
    if (mode_changes || (enabled && (value & FCR_TX_RESET) != 0))
        tx_clear(u);
    u->fcr = enabled ? value & FCR_STORED : 0;
}

static uint8_t read_lsr(struct ns16550 *u)
{
    u->errors = 0;
    return u->lsr;
}

static uint8_t read_msr(struct ns16550 *u)
{
    uint8_t msr = u->msr;

    u->msr &= MSR_LINES;
    return msr;
}

static uint8_t read_register(struct ns16550 *u, unsigned reg, uint64_t now)
{
    bool dlab = (u->lcr & LCR_DLAB) != 0;

    switch (reg) {
    case REG_DATA: return dlab ? (uint8_t)u->divisor : read_rbr(u, now);
    case REG_IER: return dlab ? (uint8_t)(u->divisor >> 8) : u->ier;
    case REG_IIR_FCR: return read_iir(u);
    case REG_LCR: return u->lcr;
    case REG_MCR: return u->mcr;
    case REG_LSR: return read_lsr(u);
    case REG_MSR: return read_msr(u);
    default: return u->scr;
    }
}

static void write_divisor(struct ns16550 *u, unsigned reg, uint8_t value)
{
    unsigned shift = reg == REG_DATA ? 0 : 8;

    u->divisor = (uint16_t)((u->divisor & ~(0xffu << shift)) | ((unsigned)value << shift));
    set_timeout_ticks(u);
}

static void write_register(struct ns16550 *u, unsigned reg, uint8_t value, uint64_t now)
{
    switch (reg) {
    case REG_DATA: write_thr(u, value, now); break;
    case REG_IER: write_ier(u, value); break;
    case REG_IIR_FCR: write_fcr(u, value); break;
    case REG_LCR:
        u->lcr = value;
        set_timeout_ticks(u);
        break;
    case REG_MCR:
        u->mcr = value & MCR_ALL;
        follow_modem_lines(u);
        break;
    case REG_LSR: /* read only: meant for factory testing */
    case REG_MSR: break;
    default: u->scr = value; break;
    }
}

void ns16550_reset(struct ns16550 *u, uint64_t tsc_hz)
{
    *u = (struct ns16550){
        .clock = ratio_make(tsc_hz, CRYSTAL_HZ),
        .divisor = RESET_DIVISOR,
        .msr = MSR_CTS | MSR_DSR | MSR_DCD,
    };
    set_timeout_ticks(u);
    settle(u);
}

uint8_t ns16550_read(struct ns16550 *u, unsigned reg, uint64_t now)
{
    uint8_t value;

    latch_timeout(u, now);
    value = read_register(u, reg & 7, now);
    settle(u);
    return value;
}

void ns16550_write(struct ns16550 *u, unsigned reg, uint8_t value, uint64_t now)
{
    bool dlab = (u->lcr & LCR_DLAB) != 0;

    latch_timeout(u, now);
    reg &= 7;
    if (dlab && reg <= REG_IER)
        write_divisor(u, reg, value);
    else
        write_register(u, reg, value, now);
    settle(u);
}

void ns16550_advance(struct ns16550 *u, uint64_t now)
{
    latch_timeout(u, now);
    settle(u);
}

bool ns16550_tx_take(struct ns16550 *u, uint8_t *byte)
{
    if (u->tx_count == 0)
        return false;
    *byte = u->tx[u->tx_head];
    u->tx_head = (uint8_t)((u->tx_head + 1) % NS16550_FIFO_LEN);
    u->tx_count--;
    if (u->tx_count == 0)
        u->thre_pending = true;
    settle(u);
    return true;
}

unsigned ns16550_rx_space(const struct ns16550 *u)
{
    return (u->mcr & MCR_LOOP) != 0 ? 0 : capacity(u) - u->rx_count;
}

static void receive(struct ns16550 *u, uint8_t byte, bool is_break, uint64_t now)
{
    if ((u->mcr & MCR_LOOP) != 0)
        return;
    latch_timeout(u, now);
    rx_push(u, byte, is_break, now);
    settle(u);
}

void ns16550_rx_put(struct ns16550 *u, uint8_t byte, uint64_t now)
{
    receive(u, byte, false, now);
}

void ns16550_rx_break(struct ns16550 *u, uint64_t now)
{
    receive(u, 0, true, now);
}

static bool registers_ok(const struct ns16550 *u)
{
    return u->ier <= IER_ALL && u->mcr <= MCR_ALL && (u->errors & ~LSR_ERROR) == 0 &&
           (u->fcr & ~FCR_STORED) == 0 && (u->fcr == 0 || fifo_mode(u)) &&
           (u->msr & MSR_LINES) == modem_lines(u);
}

static bool fifos_ok(const struct ns16550 *u)
{
    unsigned waiting;

    if (u->rx_head >= NS16550_FIFO_LEN || u->rx_count > capacity(u))
        return false;
    if (u->tx_head >= NS16550_FIFO_LEN || u->tx_count > capacity(u))
        return false;
    waiting = ((1u << u->rx_count) - 1) << u->rx_head;
    waiting |= waiting >> NS16550_FIFO_LEN;
    return (u->rx_breaks & ~waiting) == 0 && (u->rx_breaks >> u->rx_head & 1) == 0;
}

bool ns16550_ok(const struct ns16550 *u)
{
    return registers_ok(u) && fifos_ok(u) && u->timeout_ticks != 0 &&
           (!u->timed_out || (fifo_mode(u) && u->rx_count != 0)) &&
           (!u->thre_pending || u->tx_count == 0) && u->irq == irq_level(u) &&
           u->lsr == line_status(u) && u->deadline == next_deadline(u);
}
