/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's console UART (16550A): COM1 at 115200 8N1, until boot finds that it is another one, or
 * that there is none. PC16550D data sheet.
 */
#ifndef ARCH_X86_UART_H
#define ARCH_X86_UART_H

#include <stdbool.h>
#include <stdint.h>

#define UART_FIFO 16 /* bytes that fit when uart_tx_ready() */

/*
 * Use another UART from now on.
 *   port     the first of its eight I/O ports; 0: there is none, all that is written is dropped
 *   divisor  of 115200 baud; 0: baud rate and format stay as firmware has set them
 * Context: boot.
 */
void uart_use(uint16_t port, uint16_t divisor);

/* Whether something with a UART's scratch register is at this port. Its interrupts go off. */
bool uart_answers(uint16_t port);

/* Whether there is one. It is given up for ever when it does not take a byte for a long time. */
bool uart_present(void);

/* Write text and wait until each byte is accepted. */
void uart_write(const char *text);

/* Wait until the last byte has left the shift register: before the power goes. */
void uart_drain(void);

/* Whether UART_FIFO bytes can be written now without waiting; always, where there is no UART. */
bool uart_tx_ready(void);

/* Wait until it is so; gives the UART up if that takes too long. */
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
