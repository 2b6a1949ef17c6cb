/* SPDX-License-Identifier: BSD-2-Clause */
/* See the header. A use that the real machine would not survive ends the program. */
#include "tests/fake/host_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/journal.h"
#include "arch/x86/pit.h"
#include "arch/x86/screen.h"
#include "arch/x86/trap.h"
#include "arch/x86/uart.h"
#include "guest/vm.h"
#include "lib/log.h"

#define CORES      4
#define SLOW_POLLS 50 /* after so many looks a slow UART has sent its FIFO */

struct host_fake host_fake;
struct cpu *cpu_list[CPU_MAX];
unsigned cpu_count;

static struct cpu cores[CORES];

static void fail(const char *what)
{
    fprintf(stderr, "host_fake: %s\n", what);
    abort();
}

void host_fake_reset(void)
{
    memset(&host_fake, 0, sizeof(host_fake));
    host_fake.tsc = 1000000000007ull;
    for (unsigned i = 0; i < CORES; i++) {
        cores[i] = (struct cpu){.self = &cores[i], .index = i, .apic_id = 10 + i};
        cpu_list[i] = &cores[i];
    }
    cpu_count = CORES;
}

/* --- guest/time.h ----------------------------------------------------------------------------- */

uint64_t time_host(void)
{
    return host_fake.tsc;
}

/* --- arch/x86/uart.c -------------------------------------------------------------------------- */

static void send(char c)
{
    if (host_fake.text_len + 1 < HOST_FAKE_TEXT)
        host_fake.text[host_fake.text_len++] = c;
    host_fake.text[host_fake.text_len] = '\0';
}

void host_fake_clear_text(void)
{
    host_fake.text_len = 0;
    host_fake.text[0] = '\0';
}

void host_fake_uart_sent(void)
{
    if (host_fake.fifo > 0 && host_fake.interrupts_tx)
        host_fake.thre = true;
    host_fake.fifo = 0;
    host_fake.polls = 0;
}

void host_fake_type(const char *keys)
{
    for (; *keys != '\0'; keys++)
        host_fake.rx[host_fake.rx_len++] = (uint8_t)*keys;
}

void uart_write(const char *text)
{
    host_fake_uart_sent();
    for (; *text != '\0'; text++)
        send(*text);
}

void uart_drain(void)
{
    host_fake.drains++;
    host_fake_uart_sent();
}

bool uart_tx_ready(void)
{
    if (host_fake.no_uart)
        return true;
    if (!host_fake.uart_slow || host_fake.polls++ >= SLOW_POLLS)
        host_fake_uart_sent();
    return host_fake.fifo == 0;
}

void uart_wait_ready(void)
{
    while (!uart_tx_ready())
        ;
}

void uart_tx(uint8_t byte)
{
    if (host_fake.no_uart)
        return;
    if (host_fake.fifo++ == UART_FIFO)
        fail("the UART's FIFO runs over");
    send((char)byte);
}

bool uart_rx(uint8_t *byte)
{
    if (host_fake.no_uart)
        return false;
    if (host_fake.rx_len == 0)
        return false;
    *byte = host_fake.rx[0];
    memmove(host_fake.rx, host_fake.rx + 1, --host_fake.rx_len);
    return true;
}

bool uart_interrupt_pending(void)
{
    bool pending = host_fake.thre || (host_fake.interrupts_rx && host_fake.rx_len > 0);

    host_fake.thre = false;
    return pending;
}

void uart_interrupts(bool rx, bool tx)
{
    host_fake.interrupts_rx = rx;
    host_fake.interrupts_tx = tx;
    host_fake.thre = tx && host_fake.fifo == 0;
}

bool uart_present(void)
{
    return !host_fake.no_uart;
}

/* --- arch/x86/screen.c, journal.c, pit.c ------------------------------------------------------ */

void screen_put(uint8_t byte, unsigned colour)
{
    if (host_fake.draw_bytes == 0)
        return;
    host_fake.undrawn++;
    if (host_fake.shown_len + 1 < HOST_FAKE_TEXT) {
        host_fake.colours[host_fake.shown_len] = (unsigned char)colour;
        host_fake.shown[host_fake.shown_len++] = (char)byte;
    }
}

bool screen_draw(uint32_t lines)
{
    unsigned n = lines == SCREEN_FOREVER ? host_fake.undrawn
                 : lines == 0            ? 0
                                         : host_fake.draw_bytes;

    host_fake.undrawn -= n < host_fake.undrawn ? n : host_fake.undrawn;
    return host_fake.undrawn == 0;
}

void journal_add(const char *line)
{
    snprintf(host_fake.kept, sizeof(host_fake.kept), "%s", line);
}

void pit_interrupt_after(unsigned us)
{
    host_fake.pit_us = us;
}

/* --- arch/x86/apic.c, boot/main.c, arch/x86/power.c ------------------------------------------- */

void apic_send(uint32_t id, uint8_t vector)
{
    host_fake.ipis++;
    host_fake.ipi_id = id;
    host_fake.ipi_vector = vector;
}

void apic_send_nmi(uint32_t id)
{
    host_fake.sent_nmis++;
    host_fake.ipi_id = id;
}

void host_interrupt(uint8_t vector)
{
    host_fake.irqs++;
    host_fake.irq_vector = vector;
}

void host_nmi(void)
{
    host_fake.nmis++;
}

void machine_stop_others(void)
{
}

uint64_t cpu_arch_capabilities(void)
{
    return host_fake.arch_capabilities;
}

void cpu_take_interrupts(void)
{
    if (host_fake.interrupts != NULL)
        host_fake.interrupts();
}

void cpu_idle(void)
{
    if (host_fake.interrupts == NULL)
        fail("a core idles for ever");
    host_fake.interrupts();
}

void machine_halt(void)
{
    fprintf(stderr, "%s\n", host_fake.text);
    fail("the machine was halted");
    abort();
}
