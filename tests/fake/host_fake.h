/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's machine beside virtualization, for unit tests: clock, UART, screen, 8254, local APIC,
 * cores. Stands in for guest/time.h, arch/x86/uart.c, screen.c, journal.c, pit.c, apic.c, cpu.c,
 * power.c and the host_* functions of boot/main.c.
 */
#ifndef TESTS_FAKE_HOST_FAKE_H
#define TESTS_FAKE_HOST_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_FAKE_TEXT 0x20000u

struct host_fake {
    uint64_t arch_capabilities; /* IA32_ARCH_CAPABILITIES */
    uint64_t tsc; /* what RDTSC would give */

    /* UART. What was sent is `text`, always NUL-terminated; beyond its size it is dropped. */
    char text[HOST_FAKE_TEXT];
    size_t text_len;
    bool uart_slow;     /* bytes stay in the FIFO: until host_fake_uart_sent, or many polls */
    unsigned fifo;      /* bytes in the transmit FIFO */
    unsigned polls;     /* of a full FIFO */
    bool thre;          /* "transmit FIFO empty" interrupt is pending */
    bool interrupts_rx; /* as uart_interrupts() set them */
    bool interrupts_tx;
    uint8_t rx[256]; /* typed, not yet read */
    unsigned rx_len;
    unsigned drains; /* calls of uart_drain() */

    bool no_uart; /* bytes go to the screen only */

    /* Screen: what was put, and how much of it is not drawn. Journal: its last line. 8254. */
    char shown[HOST_FAKE_TEXT];
    unsigned char colours[HOST_FAKE_TEXT]; /* of each byte */
    size_t shown_len;
    unsigned undrawn;    /* bytes */
    unsigned draw_bytes; /* how many one bounded draw does; 0: there is no screen */
    char kept[256];
    unsigned pit_us; /* after which it interrupts; 0: not */

    /* Local APIC and what came in. */
    unsigned ipis;
    uint32_t ipi_id;
    uint8_t ipi_vector;
    unsigned sent_nmis;
    unsigned irqs;
    uint8_t irq_vector;
    unsigned nmis;
    void (*interrupts)(void); /* what happens while a core takes interrupts in root mode */
};

extern struct host_fake host_fake;

/* Forget everything; the clock starts at a number that is not 0. Core n has APIC ID 10 + n. */
void host_fake_reset(void);

/* The transmit FIFO has run empty: the UART's interrupt is pending if it is on. */
void host_fake_uart_sent(void);

/* Somebody types. */
void host_fake_type(const char *keys);

/* Forget what was sent. */
void host_fake_clear_text(void);

#endif
