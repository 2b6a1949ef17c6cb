/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uart.h"

#include "arch/x86/asm.h"

#define COM1 0x3f8

enum {
    REG_DATA = 0,
    REG_IER = 1,
    REG_IIR = 2,
    REG_FCR = 2,
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_SCR = 7
};

#define IER_RX     0x01
#define IER_THRE   0x02
#define IIR_NONE   0x01
#define FCR_CLEAR  0x07 /* FIFOs on, and empty */
#define LCR_8N1    0x03
#define LCR_DLAB   0x80
#define LSR_DR     0x01
#define LSR_THRE   0x20
#define LSR_TEMT   0x40
#define MCR_READY  0x03 /* DTR, RTS */
#define MCR_ON     0x0b /* OUT2 too: interrupts reach the bus */

/* More polls than a FIFO takes at 9600 baud on any machine; then there is no UART. */
#define POLL_LIMIT 0x100000

static uint16_t base = COM1; /* 0: none */

static void wait_for(uint8_t lsr_bit)
{
    if (base == 0)
        return;
    for (unsigned i = 0; i < POLL_LIMIT; i++) {
        if (inb(base + REG_LSR) & lsr_bit)
            return;
    }
    base = 0;
}

/* Whether the scratch register keeps a value. */
static bool keeps(uint16_t port, uint8_t value)
{
    outb(port + REG_SCR, value);
    return inb(port + REG_SCR) == value;
}

bool uart_answers(uint16_t port)
{
    outb(port + REG_IER, 0);
    return keeps(port, 0x2e) && keeps(port, 0xd1) && inb(port + REG_LSR) != 0xff;
}

void uart_use(uint16_t port, uint16_t divisor)
{
    base = port;
    if (port == 0)
        return;
    outb(port + REG_IER, 0);
    if (divisor != 0) {
        outb(port + REG_LCR, LCR_DLAB);
        outb(port + REG_DATA, (uint8_t)(divisor & 0xff));
        outb(port + REG_IER, (uint8_t)(divisor >> 8));
        outb(port + REG_LCR, LCR_8N1);
    }
    outb(port + REG_FCR, FCR_CLEAR);
    outb(port + REG_MCR, MCR_READY);
}

bool uart_present(void)
{
    return base != 0;
}

void uart_write(const char *text)
{
    for (; *text != '\0'; text++) {
        wait_for(LSR_THRE);
        uart_tx((uint8_t)*text);
    }
}

void uart_drain(void)
{
    wait_for(LSR_TEMT);
}

bool uart_tx_ready(void)
{
    return base == 0 || (inb(base + REG_LSR) & LSR_THRE) != 0;
}

void uart_wait_ready(void)
{
    wait_for(LSR_THRE);
}

void uart_tx(uint8_t byte)
{
    if (base != 0)
        outb(base + REG_DATA, byte);
}

bool uart_rx(uint8_t *byte)
{
    if (base == 0 || (inb(base + REG_LSR) & LSR_DR) == 0)
        return false;
    *byte = inb(base + REG_DATA);
    return true;
}

bool uart_interrupt_pending(void)
{
    return base != 0 && (inb(base + REG_IIR) & IIR_NONE) == 0;
}

void uart_interrupts(bool rx, bool tx)
{
    if (base == 0)
        return;
    outb(base + REG_MCR, MCR_ON);
    outb(base + REG_IER, (uint8_t)((rx ? IER_RX : 0) | (tx ? IER_THRE : 0)));
}
