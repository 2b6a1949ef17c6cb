/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550A at 3F8H, which is the console too: nothing is printed while it is tested. Source:
 * National Semiconductor PC16550D data sheet, "Registers", "FIFO Operation".
 */
#include "tests/guests/devtest.h"

#define IIR         2u
#define FCR         2u
#define LCR_DLAB    0x80u
#define LCR_BREAK   0x40u
#define LCR_8N1     0x03u

#define IIR_NONE    0x01u
#define IIR_THRE    0x02u
#define IIR_DATA    0x04u
#define IIR_LINE    0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFOS   0xc0u

#define QEMU_MSR    "\"MODEM Status Register\": deltas in loopback, too; QEMU shows none"
#define QEMU_OUT2   "the PC/AT gates the interrupt with OUT2; QEMU does not"

static uint8_t get(unsigned reg)
{
    return inb(PORT_UART + reg);
}

static void put(unsigned reg, uint8_t value)
{
    outb(PORT_UART + reg, value);
}

/* One character of 10 bits at 115200 is 87 us. */
static void wait_characters(unsigned count)
{
    tsc_delay(us(100ull * count + 50));
}

/* As con_setup, with `fcr`; in loopback with `mcr`. */
static void fresh(uint8_t fcr, uint8_t mcr)
{
    con_setup();
    put(UART_MCR, (uint8_t)(MCR_LOOP | mcr));
    put(FCR, 0);
    put(FCR, fcr);
    (void)get(UART_LSR);
    (void)get(UART_DATA);
    (void)get(UART_MSR);
    (void)get(IIR);
}

static void send(uint8_t byte)
{
    put(UART_DATA, byte);
    wait_characters(2);
}

static void check_registers(void)
{
    static const struct {
        const char *name;
        uint8_t reg, ones, reads;
    } masks[] = {
        {"ier", UART_IER, 0xff, 0x0f},
        {"lcr", UART_LCR, 0x7f, 0x7f},
        {"mcr", UART_MCR, 0xff, 0x1f},
        {"scr", UART_SCR, 0xff, 0xff},
    };

    fresh(0x07, 0);
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        uint8_t saved = get(masks[i].reg);

        put(masks[i].reg, masks[i].ones);
        check(masks[i].name, get(masks[i].reg), masks[i].reads);
        put(masks[i].reg, saved);
    }
    put(UART_SCR, 0x5a);
    check("scr-reads-back", get(UART_SCR), 0x5a);
    put(UART_LCR, LCR_DLAB | LCR_8N1);
    put(0, 0x34);
    put(1, 0x12);
    check("dll", get(0), 0x34);
    check("dlm", get(1), 0x12);
    put(UART_LCR, LCR_8N1);
    check("ier-is-not-dlm", get(UART_IER), 0);
    put(UART_LCR, LCR_DLAB | LCR_8N1);
    check("divisor-stays", get(0), 0x34);
    fresh(0, 0);
    check("iir-without-fifos", get(IIR), IIR_NONE);
    put(FCR, 0x01);
    check("iir-with-fifos", get(IIR), IIR_FIFOS | IIR_NONE);
    put(FCR, 0);
    check("lsr-idle", get(UART_LSR), LSR_THRE | LSR_TEMT);
}

static void check_loopback(void)
{
    fresh(0x07, 0);
    send(0xa5);
    check("loop-data-ready", get(UART_LSR), LSR_THRE | LSR_TEMT | LSR_DR);
    check("loop-data", get(UART_DATA), 0xa5);
    check("loop-empty", get(UART_LSR), LSR_THRE | LSR_TEMT);
    for (unsigned i = 0; i < 16; i++)
        send((uint8_t)(0x30 + i));
    for (unsigned i = 0; i < 16; i++)
        check_at("loop-fifo", i, get(UART_DATA), 0x30 + i);
    check("loop-fifo-empty", get(UART_LSR) & LSR_DR, 0);
    for (unsigned i = 0; i < 17; i++)
        send((uint8_t)(0x40 + i));
    check("overrun", get(UART_LSR) & 0x03, 0x03);
    check("overrun-is-cleared-by-reading", get(UART_LSR) & 0x03, LSR_DR);
    check("overrun-keeps-the-first", get(UART_DATA), 0x40);
    put(FCR, 0x03);
    check("rx-fifo-reset", get(UART_LSR) & LSR_DR, 0);
    differs(BOCHS, LSR_DR, "\"FCR\": bit 1 clears the receiver FIFO; Bochs leaves DR set");

    fresh(0, 0); /* 16450 mode */
    send(0x11);
    send(0x22);
    check("single-overrun", get(UART_LSR) & 0x03, 0x03);
    check("single-keeps-the-last", get(UART_DATA), 0x22);
    put(UART_LCR, 0x01); /* 6 bits */
    send(0xff);
    check("loop-word-length", get(UART_DATA), 0x3f);
    differs(QEMU, 0xff, "\"LCR\": [1:0] are the bits of a character; QEMU loops all 8");
    put(UART_LCR, LCR_8N1);
}

/* "MODEM Control Register": in loopback DTR, RTS, OUT1, OUT2 are DSR, CTS, RI, DCD. */
static void check_modem(void)
{
    static const uint8_t lines[] = {0x20, 0x10, 0x40, 0x80};

    fresh(0x07, 0);
    check("msr-all-off", get(UART_MSR), 0);
    for (unsigned i = 0; i < 4; i++) {
        put(UART_MCR, (uint8_t)(MCR_LOOP | 1u << i));
        check_at("msr-on", i, get(UART_MSR),
                 lines[i] | (i == 0   ? 0x02u
                             : i == 1 ? 0x01u
                             : i == 3 ? 0x08u
                                      : 0));
        if (i != 2)
            differs(QEMU, lines[i], QEMU_MSR);
        check_at("msr-delta-cleared", i, get(UART_MSR), lines[i]);
        put(UART_MCR, MCR_LOOP);
        check_at("msr-off", i, get(UART_MSR),
                 i == 0   ? 0x02u
                 : i == 1 ? 0x01u
                 : i == 2 ? 0x04u
                          : 0x08u);
        differs(QEMU, 0, QEMU_MSR);
    }
}

static void check_interrupts(void)
{
    fresh(0x07, 0);
    put(UART_IER, 0x0f);
    check("iir-thre", get(IIR), IIR_FIFOS | IIR_THRE);
    check("iir-thre-is-cleared-by-reading", get(IIR), IIR_FIFOS | IIR_NONE);
    put(UART_IER, 0x0d);
    put(UART_IER, 0x0f);
    check("iir-thre-again-when-enabled", get(IIR), IIR_FIFOS | IIR_THRE);
    send(0x55);
    check("iir-data-before-thre", get(IIR), IIR_FIFOS | IIR_DATA);
    (void)get(UART_DATA);
    check("iir-thre-after-data", get(IIR), IIR_FIFOS | IIR_THRE);
    differs(BOCHS, IIR_FIFOS | IIR_NONE,
            "\"IIR\": THRE is pending again when the character has left; "
            "Bochs drops it");
    put(UART_MCR, MCR_LOOP | 1);
    check("iir-modem", get(IIR), IIR_FIFOS);
    differs(QEMU, IIR_FIFOS | IIR_NONE, QEMU_MSR);
    (void)get(UART_MSR);
    check("iir-modem-is-cleared-by-msr", get(IIR), IIR_FIFOS | IIR_NONE);
    put(FCR, 0xc1); /* 14 bytes */
    put(UART_IER, 0x05);
    send(1);
    check("iir-below-the-trigger", get(IIR), IIR_FIFOS | IIR_NONE);
    wait_characters(6);
    check("iir-timeout", get(IIR), IIR_FIFOS | IIR_TIMEOUT);
    (void)get(UART_DATA);
    check("iir-timeout-is-cleared-by-reading", get(IIR), IIR_FIFOS | IIR_NONE);
    for (unsigned i = 0; i < 14; i++)
        send((uint8_t)i);
    check("iir-at-the-trigger", get(IIR), IIR_FIFOS | IIR_DATA);
    for (unsigned i = 0; i < 3; i++)
        send((uint8_t)i);
    check("iir-line-status-first", get(IIR), IIR_FIFOS | IIR_LINE);
    (void)get(UART_LSR);
    check("iir-line-status-is-cleared-by-lsr", get(IIR) & 0xf7, IIR_FIFOS | IIR_DATA);
    put(FCR, 0x03);
    put(UART_IER, 0);
    check("iir-nothing-enabled", get(IIR), IIR_FIFOS | IIR_NONE);
}

/* OUT2 gates the interrupt in a PC. */
static void check_irq(void)
{
    con_setup();
    con_flush();
    outb(PORT_PIC1_DATA, 0xef);
    put(UART_MCR, 0x03);
    put(UART_IER, 0x02);
    check("no-irq-without-out2", take(), 0);
    differs(QEMU, VECTOR_PIC1 + 4, QEMU_OUT2);
    put(UART_MCR, 0x0b);
    check("irq-with-out2", take(), VECTOR_PIC1 + 4);
    differs(QEMU, 0, QEMU_OUT2);
    differs(BOCHS, 0, "the gate follows OUT2; Bochs looks at it only when an interrupt arises");
    outb(PORT_PIC1_CMD, 0x20);
    (void)get(IIR);
    put(UART_IER, 0);
    outb(PORT_PIC1_DATA, 0xff);
}

void test_uart(void)
{
    quiet();
    con_flush();
    check_registers();
    check_loopback();
    check_modem();
    check_interrupts();
    check_irq();
    con_setup();
    quiet();
}
