/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uart.h"

#include "arch/x86/asm.h"

#define COM1 0x3f8

enum { REG_DATA = 0, REG_IER = 1, REG_IIR = 2, REG_MCR = 4, REG_LSR = 5 };

#define IER_RX     0x01
#define IER_THRE   0x02
#define IIR_NONE   0x01
#define LSR_DR     0x01
#define LSR_THRE   0x20
#define LSR_TEMT   0x40
#define MCR_ON     0x0b /* DTR, RTS, OUT2: interrupts reach the bus */

/* More polls than a byte takes at 9600 baud on any machine; then there is no UART. */
#define POLL_LIMIT 0x100000

static void wait_for(uint8_t lsr_bit)
{
    for (unsigned i = 0; i < POLL_LIMIT; i++) {
        if (inb(COM1 + REG_LSR) & lsr_bit)
            return;
    }
}

void uart_write(const char *text)
{
    for (; *text != '\0'; text++) {
        wait_for(LSR_THRE);
        outb(COM1 + REG_DATA, (uint8_t)*text);
    }
}

void uart_drain(void)
{
    wait_for(LSR_TEMT);
}

bool uart_tx_ready(void)
{
    return (inb(COM1 + REG_LSR) & LSR_THRE) != 0;
}

void uart_wait_ready(void)
{
    wait_for(LSR_THRE);
}

void uart_tx(uint8_t byte)
{
    outb(COM1 + REG_DATA, byte);
}

bool uart_rx(uint8_t *byte)
{
    if ((inb(COM1 + REG_LSR) & LSR_DR) == 0)
        return false;
    *byte = inb(COM1 + REG_DATA);
    return true;
}

bool uart_interrupt_pending(void)
{
    return (inb(COM1 + REG_IIR) & IIR_NONE) == 0;
}

void uart_interrupts(bool rx, bool tx)
{
    outb(COM1 + REG_MCR, MCR_ON);
    outb(COM1 + REG_IER, (uint8_t)((rx ? IER_RX : 0) | (tx ? IER_THRE : 0)));
}
