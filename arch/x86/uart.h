/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's COM1 (16550A, 115200 8N1): the machine's console. PC16550D data sheet. */
#ifndef ARCH_X86_UART_H
#define ARCH_X86_UART_H

#include <stdbool.h>
#include <stdint.h>

#define UART_FIFO 16 /* bytes that fit when uart_tx_ready() */

/* Write text and wait until each byte is accepted; gives up where there is no UART. */
void uart_write(const char *text);

/* Wait until the last byte has left the shift register: before the power goes. */
void uart_drain(void);

/* Whether UART_FIFO bytes can be written now without waiting. */
bool uart_tx_ready(void);

/* Wait until it is so; gives up where there is no UART. */
void uart_wait_ready(void);

/* Write one byte; only as often as uart_tx_ready() allows. */
void uart_tx(uint8_t byte);

/* Take a received byte; false: none. */
bool uart_rx(uint8_t *byte);

/* Whether the UART asks for attention; looking clears a "transmit FIFO empty". */
bool uart_interrupt_pending(void);

/*
 * Which interrupts the UART raises.
 *   tx  when the transmit FIFO becomes empty (also at once, if it is empty now)
 *   rx  when bytes have come
 */
void uart_interrupts(bool rx, bool tx);

#endif
