/* unit: devices/ns16550.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* PC16550D. Expected values: PC16550D data sheet; Linux 6.1 drivers/tty/serial/8250 probing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/ns16550.h"
#include "lib/time.h"

#define TSC_HZ 1000000000ull

enum reg { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR, MCR, LSR, MSR, SCR };

/* 4 characters of 10 bits at 115200 baud are 347222.2 ns. */
#define FOUR_CHARS_115200_8N1 347223u

static uint8_t in(struct ns16550 *u, unsigned reg)
{
    int brief = ns16550_peek_lsr(u);
    uint8_t value = ns16550_read(u, reg, 0);

    assert_true(ns16550_ok(u));
    assert_true(reg != LSR || brief == -1 || brief == value);
    return value;
}

static void out(struct ns16550 *u, unsigned reg, uint8_t value)
{
    ns16550_write(u, reg, value, 0);
    assert_true(ns16550_ok(u));
}

static void put(struct ns16550 *u, uint8_t byte)
{
    ns16550_rx_put(u, byte, 0);
    assert_true(ns16550_ok(u));
}

static unsigned drain(struct ns16550 *u)
{
    unsigned count = 0;
    uint8_t byte;

    while (ns16550_tx_take(u, &byte))
        count++;
    assert_true(ns16550_ok(u));
    return count;
}

static struct ns16550 fresh(void)
{
    struct ns16550 u;

    ns16550_reset(&u, TSC_HZ);
    assert_true(ns16550_ok(&u));
    return u;
}

/* 115200 8N1, FIFOs on with `trigger` (FCR [7:6]), OUT2 on. */
static struct ns16550 set_up(uint8_t trigger, uint8_t ier)
{
    struct ns16550 u = fresh();

    out(&u, LCR, 0x83);
    out(&u, DLL, 1);
    out(&u, DLM, 0);
    out(&u, LCR, 0x03);
    out(&u, FCR, (uint8_t)(trigger | 0x07));
    out(&u, MCR, 0x0b);
    out(&u, IER, ier);
    return u;
}

static void test_reset_state_is_the_data_sheets(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    assert_int_equal(in(&u, IER), 0x00);
    assert_int_equal(in(&u, IIR), 0x01);
    assert_int_equal(in(&u, LCR), 0x00);
    assert_int_equal(in(&u, MCR), 0x00);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_int_equal(in(&u, MSR), 0xb0);
    assert_int_equal(in(&u, SCR), 0x00);
    assert_int_equal(in(&u, RBR), 0x00);
    assert_false(ns16550_irq(&u));
    assert_true(ns16550_deadline(&u) == TIME_NEVER);
    out(&u, LCR, 0x80);
    assert_int_equal(in(&u, DLL), 12);
    assert_int_equal(in(&u, DLM), 0);
}

/* "Line Control Register": all 8 bits are read back. Offset bits above the eight are not decoded.
 */
static void test_line_control_keeps_all_bits(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        out(&u, LCR + 8, (uint8_t)value);
        assert_int_equal(in(&u, LCR), value);
    }
}

/* Make one of the five sources pend, with nothing enabled: "Interrupt Control Functions". */
static struct ns16550 pending(unsigned source)
{
    struct ns16550 u = set_up(source == 0 ? 0 : 0x80, 0);

    switch (source) {
    case 0: put(&u, 'a'); break;
    case 1:
        out(&u, THR, 'b');
        drain(&u);
        break;
    case 2:
        ns16550_rx_break(&u, 0);
        in(&u, RBR); /* LSR has not been read */
        break;
    case 3:
        out(&u, MCR, 0x18);
        out(&u, MCR, 0x08);
        break;
    default:
        put(&u, 'c');
        ns16550_advance(&u, 1000000);
        break;
    }
    return u;
}

/* Each enable lets its own source through and no other: "Interrupt Enable Register". */
static void test_each_enable_is_for_its_own_source(void **state)
{
    static const uint8_t id[] = {0xc4, 0xc2, 0xc6, 0xc0, 0xcc};
    static const uint8_t enable[] = {1, 2, 4, 8, 1};

    (void)state;
    for (unsigned source = 0; source < 5; source++) {
        for (uint8_t enabled = 0; enabled < 16; enabled++) {
            struct ns16550 u = pending(source);
            bool expected = (enabled & enable[source]) != 0;

            if (source != 1) { /* enabling it is an event of the transmitter's own */
                out(&u, IER, 0x02);
                in(&u, IIR);
                out(&u, IER, enabled | 2);
            }
            out(&u, IER, enabled);
            assert_int_equal(ns16550_irq(&u), expected);
            assert_int_equal(in(&u, IIR), expected ? id[source] : 0xc1);
        }
    }
}

/* One line at a time: its delta, and nothing else, interrupts until MSR is read. */
static void test_each_modem_line_has_its_delta(void **state)
{
    static const uint8_t mcr[] = {0x02, 0x01, 0x04, 0x08}; /* RTS, DTR, OUT1, OUT2 */

    (void)state;
    for (unsigned line = 0; line < 4; line++) {
        struct ns16550 u = set_up(0, 0x08);

        out(&u, MCR, 0x10);
        in(&u, MSR);
        out(&u, MCR, 0x10 | mcr[line]);
        assert_int_equal(in(&u, IIR), line == 2 ? 0xc1 : 0xc0); /* RI counts when it goes off */
        assert_int_equal(in(&u, MSR), 0x10 << line | (line == 2 ? 0 : 1 << line));
        assert_int_equal(in(&u, MSR), 0x10 << line);
        assert_int_equal(in(&u, IIR), 0xc1);
        out(&u, MCR, 0x10);
        assert_int_equal(in(&u, IIR), 0xc0);
        assert_int_equal(in(&u, MSR), 1 << line);
        assert_int_equal(in(&u, IIR), 0xc1);
    }
}

/* The error of a byte that was read before LSR was: still there, without DR. */
static void test_error_outlives_its_byte(void **state)
{
    struct ns16550 u = pending(2);

    (void)state;
    assert_int_equal(in(&u, LSR), 0xf8);
    assert_int_equal(in(&u, LSR), 0x60);
}

static void test_dlab_switches_divisor_latch(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    out(&u, IER, 0x05);
    out(&u, LCR, 0x80);
    out(&u, DLL, 0x34);
    out(&u, DLM, 0x12);
    assert_int_equal(in(&u, DLL), 0x34);
    assert_int_equal(in(&u, DLM), 0x12);
    out(&u, DLL, 0xff);
    assert_int_equal(in(&u, DLM), 0x12);
    out(&u, DLM, 0xff);
    out(&u, DLL, 0x00);
    assert_int_equal(in(&u, DLL), 0x00);
    assert_int_equal(in(&u, DLM), 0xff);
    out(&u, DLM, 0x00);
    assert_int_equal(in(&u, DLM), 0x00);
    out(&u, LCR, 0x00);
    assert_int_equal(in(&u, IER), 0x05);
    assert_int_equal(in(&u, RBR), 0x00);
    assert_int_equal(drain(&u), 0);
}

static void test_scratch_keeps_and_reserved_bits_read_0(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    out(&u, SCR, 0xa5);
    out(&u, IER, 0xff);
    out(&u, MCR, 0xff);
    assert_int_equal(in(&u, SCR), 0xa5);
    assert_int_equal(in(&u, IER), 0x0f);
    assert_int_equal(in(&u, MCR), 0x1f);
    out(&u, LSR, 0x00);
    out(&u, MSR, 0x00);
    assert_int_equal(in(&u, LSR), 0x60);
}

/* "MODEM Control Register": with the loop off, the outputs are not the inputs. */
static void test_modem_inputs_are_the_terminals(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    for (unsigned mcr = 0; mcr < 16; mcr++) {
        out(&u, MCR, (uint8_t)mcr);
        assert_int_equal(in(&u, MSR), 0xb0);
    }
}

static void test_fcr_shows_in_iir_only_when_enabled(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    out(&u, FCR, 0xc6); /* bit 0 clear: the rest is not programmed */
    assert_int_equal(in(&u, IIR), 0x01);
    out(&u, FCR, 0x01);
    assert_int_equal(in(&u, IIR), 0xc1);
    out(&u, FCR, 0x00);
    assert_int_equal(in(&u, IIR), 0x01);
}

static void test_transmit_takes_in_order_and_thre_follows_fifo_empty(void **state)
{
    struct ns16550 u = set_up(0, 0);
    uint8_t byte = 0;

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        out(&u, THR, (uint8_t)(0x40 + i));
    out(&u, THR, 0xee); /* no room: lost */
    assert_int_equal(in(&u, LSR), 0x00);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(in(&u, LSR), 0x00);
        assert_true(ns16550_tx_take(&u, &byte));
        assert_int_equal(byte, 0x40 + i);
    }
    assert_false(ns16550_tx_take(&u, &byte));
    assert_int_equal(in(&u, LSR), 0x60);
}

static void test_transmit_without_fifo_holds_one_byte_the_last(void **state)
{
    struct ns16550 u = fresh();
    uint8_t byte = 0;

    (void)state;
    out(&u, THR, 'a');
    assert_int_equal(in(&u, LSR), 0x00);
    out(&u, THR, 'b');
    assert_true(ns16550_tx_take(&u, &byte));
    assert_int_equal(byte, 'b');
    assert_false(ns16550_tx_take(&u, &byte));
}

static void test_thre_interrupt_on_enable_cleared_by_iir_read(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    assert_false(ns16550_irq(&u));
    out(&u, IER, 0x02);
    assert_true(ns16550_irq(&u));
    assert_int_equal(in(&u, IIR), 0xc2);
    assert_false(ns16550_irq(&u));
    assert_int_equal(in(&u, IIR), 0xc1);
    out(&u, IER, 0x02); /* not a new enable */
    assert_int_equal(in(&u, IIR), 0xc1);
    out(&u, IER, 0x00);
    out(&u, IER, 0x02);
    assert_int_equal(in(&u, IIR), 0xc2);
}

static void test_thre_interrupt_cleared_by_write_raised_when_empty(void **state)
{
    struct ns16550 u = set_up(0, 0x02);
    uint8_t byte;

    (void)state;
    assert_true(ns16550_irq(&u));
    out(&u, THR, 'x');
    out(&u, THR, 'y');
    assert_false(ns16550_irq(&u));
    assert_true(ns16550_tx_take(&u, &byte));
    assert_false(ns16550_irq(&u)); /* one byte left */
    assert_true(ns16550_tx_take(&u, &byte));
    assert_true(ns16550_irq(&u));
}

static void test_enable_thre_while_full_waits_for_empty(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    out(&u, THR, 'x');
    out(&u, IER, 0x02);
    assert_int_equal(in(&u, IIR), 0xc1);
    assert_int_equal(drain(&u), 1);
    assert_int_equal(in(&u, IIR), 0xc2);
}

static void test_iir_read_of_higher_source_keeps_thre(void **state)
{
    struct ns16550 u = set_up(0, 0x03);

    (void)state;
    put(&u, 'k');
    assert_int_equal(in(&u, IIR), 0xc4);
    assert_int_equal(in(&u, RBR), 'k');
    assert_int_equal(in(&u, IIR), 0xc2);
    assert_int_equal(in(&u, IIR), 0xc1);
}

static void test_receive_trigger_levels(void **state)
{
    static const unsigned levels[4] = {1, 4, 8, 14};

    (void)state;
    for (unsigned t = 0; t < 4; t++) {
        struct ns16550 u = set_up((uint8_t)(t << 6), 0x01);

        for (unsigned i = 1; i <= 16; i++) {
            put(&u, (uint8_t)i);
            assert_int_equal(ns16550_irq(&u), i >= levels[t]);
            assert_int_equal(in(&u, IIR), i >= levels[t] ? 0xc4 : 0xc1);
        }
        for (unsigned i = 1; i <= 16; i++) {
            assert_int_equal(in(&u, LSR) & 1, 1);
            assert_int_equal(in(&u, RBR), i);
            assert_int_equal(ns16550_irq(&u), 16 - i >= levels[t]);
        }
        assert_int_equal(in(&u, LSR), 0x60);
    }
}

static void test_character_timeout_after_four_characters(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    ns16550_rx_put(&u, 'a', 1000);
    assert_true(ns16550_deadline(&u) == 1000 + FOUR_CHARS_115200_8N1);
    ns16550_advance(&u, 1000 + FOUR_CHARS_115200_8N1 - 1);
    assert_false(ns16550_irq(&u));
    ns16550_advance(&u, 1000 + FOUR_CHARS_115200_8N1);
    assert_true(ns16550_ok(&u));
    assert_true(ns16550_irq(&u));
    assert_true(ns16550_deadline(&u) == TIME_NEVER);
    assert_int_equal(ns16550_read(&u, IIR, 400000), 0xcc);
    assert_int_equal(ns16550_read(&u, RBR, 400000), 'a');
    assert_false(ns16550_irq(&u));
    assert_int_equal(ns16550_read(&u, IIR, 400000), 0xc1);
}

static void test_character_timeout_restarts_with_each_byte_and_each_read(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    ns16550_rx_put(&u, 'a', 0);
    ns16550_rx_put(&u, 'b', 300000);
    assert_true(ns16550_deadline(&u) == 300000 + FOUR_CHARS_115200_8N1);
    assert_int_equal(ns16550_read(&u, RBR, 500000), 'a');
    assert_true(ns16550_deadline(&u) == 500000 + FOUR_CHARS_115200_8N1);
    assert_int_equal(ns16550_read(&u, RBR, 600000), 'b');
    assert_true(ns16550_deadline(&u) == TIME_NEVER);
}

static void test_character_timeout_follows_baud_and_format(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    out(&u, LCR, 0x80);
    out(&u, DLL, 0x80);
    out(&u, DLM, 0x01); /* 384: 300 baud */
    out(&u, LCR, 0x0f); /* 8 bits, parity, 2 stop bits: 12 bits, the data sheet's 160 ms */
    put(&u, 'a');
    assert_true(ns16550_deadline(&u) == 160000000);
    out(&u, LCR, 0x04); /* 5 bits, 1 1/2 stop bits: 7.5 bits */
    in(&u, RBR);
    put(&u, 'a');
    assert_true(ns16550_deadline(&u) == 100000000);
}

/* LCR [1:0] word length, [2] stop bits (1 1/2 with five bits), [3] parity: times 4 characters. */
static void test_character_time_of_every_format(void **state)
{
    static const unsigned half_bits[16] = {14, 16, 18, 20, 15, 18, 20, 22,
                                           16, 18, 20, 22, 17, 20, 22, 24};

    (void)state;
    for (unsigned format = 0; format < 16; format++) {
        struct ns16550 u = set_up(0x80, 0x01);

        out(&u, LCR, 0x80);
        out(&u, DLL, 48); /* 2400 baud: half a bit is 208.3 us */
        out(&u, LCR, (uint8_t)(0x70 | format));
        put(&u, 'a');
        assert_int_equal(ns16550_deadline(&u), (half_bits[format] * 4 * 625000ull + 2) / 3);
    }
}

/* A divisor of 0, which the data sheet excludes, counts as 1. */
static void test_divisor_0_still_has_a_timeout(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    out(&u, LCR, 0x83);
    out(&u, DLL, 0);
    out(&u, LCR, 0x03);
    put(&u, 'a');
    assert_true(ns16550_deadline(&u) == FOUR_CHARS_115200_8N1);
}

/* The divisor counts from its last write on, not from DLAB's fall: "Programmable Baud Generator".
 */
static void test_divisor_takes_effect_at_once(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    out(&u, LCR, 0x83);
    out(&u, DLL, 3); /* 38400 baud */
    put(&u, 'a');
    assert_true(ns16550_deadline(&u) == 1041667);
}

/* Nobody has to call in time for a register to be right. */
static void test_timeout_shows_to_a_late_reader(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    put(&u, 'a');
    assert_int_equal(ns16550_read(&u, IIR, FOUR_CHARS_115200_8N1 - 1), 0xc1);
    assert_int_equal(ns16550_read(&u, IIR, FOUR_CHARS_115200_8N1), 0xcc);
    assert_true(ns16550_irq(&u));
}

/* "FIFO Interrupt Mode Operation": a byte that comes after the timeout leaves it pending. */
static void test_character_timeout_is_cleared_by_a_read_or_a_reset_only(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);

    (void)state;
    put(&u, 'a');
    ns16550_rx_put(&u, 'b', 1000000);
    assert_int_equal(ns16550_read(&u, IIR, 1000000), 0xcc);
    assert_int_equal(ns16550_read(&u, LSR, 1000000), 0x61);
    assert_int_equal(ns16550_read(&u, IIR, 1000000), 0xcc);
    ns16550_write(&u, FCR, 0x83, 1000000);
    assert_int_equal(ns16550_read(&u, IIR, 1000000), 0xc1);
    ns16550_rx_put(&u, 'c', 1000000);
    assert_true(ns16550_deadline(&u) == 1000000 + FOUR_CHARS_115200_8N1);
    ns16550_advance(&u, 2000000);
    assert_int_equal(ns16550_read(&u, RBR, 2000000), 'c');
    assert_int_equal(ns16550_read(&u, IIR, 2000000), 0xc1);
}

/* At the trigger level the data interrupt is there, and the timeout is not announced. */
static void test_no_deadline_at_the_trigger_level(void **state)
{
    struct ns16550 u = set_up(0x40, 0x01);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        put(&u, 'a');
    assert_true(ns16550_deadline(&u) != TIME_NEVER);
    put(&u, 'a');
    assert_true(ns16550_deadline(&u) == TIME_NEVER);
    ns16550_advance(&u, 1000000);
    assert_int_equal(ns16550_read(&u, IIR, 1000000), 0xc4);
    ns16550_read(&u, RBR, 1000000);
    assert_true(ns16550_deadline(&u) == 1000000 + FOUR_CHARS_115200_8N1);
}

static void test_character_timeout_only_with_fifo_and_enable(void **state)
{
    struct ns16550 u = set_up(0x80, 0x00);

    (void)state;
    put(&u, 'a');
    assert_true(ns16550_deadline(&u) == TIME_NEVER);
    ns16550_write(&u, IER, 0x01, 1000000); /* time has long passed */
    assert_true(ns16550_irq(&u));
    assert_int_equal(ns16550_read(&u, IIR, 1000000), 0xcc);
    u = fresh();
    out(&u, IER, 0x01);
    put(&u, 'a');
    assert_int_equal(ns16550_read(&u, IIR, 1000000000), 0x04);
}

static void test_overrun_in_fifo_loses_the_new_byte(void **state)
{
    struct ns16550 u = set_up(0, 0x04);

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(ns16550_rx_space(&u), 16 - i);
        put(&u, (uint8_t)i);
    }
    assert_int_equal(ns16550_rx_space(&u), 0);
    assert_false(ns16550_irq(&u));
    put(&u, 0xee);
    assert_int_equal(in(&u, IIR), 0xc6);
    assert_int_equal(in(&u, LSR), 0x63);
    assert_false(ns16550_irq(&u));
    assert_int_equal(in(&u, LSR), 0x61);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(&u, RBR), i);
}

static void test_overrun_without_fifo_loses_the_old_byte(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    assert_int_equal(ns16550_rx_space(&u), 1);
    put(&u, 'a');
    assert_int_equal(ns16550_rx_space(&u), 0);
    put(&u, 'b');
    assert_int_equal(in(&u, LSR), 0x63);
    assert_int_equal(in(&u, RBR), 'b');
    assert_int_equal(in(&u, LSR), 0x60);
}

static void test_break_shows_when_its_byte_is_next(void **state)
{
    struct ns16550 u = set_up(0, 0x05);

    (void)state;
    put(&u, 'a');
    ns16550_rx_break(&u, 0);
    assert_true(ns16550_ok(&u));
    put(&u, 'h');
    assert_int_equal(in(&u, LSR), 0xe1); /* an error somewhere in the FIFO */
    assert_int_equal(in(&u, IIR), 0xc4);
    assert_int_equal(in(&u, RBR), 'a');
    assert_int_equal(in(&u, IIR), 0xc6);
    assert_int_equal(in(&u, LSR), 0xf9); /* BI and FE, DR */
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, RBR), 0x00);
    assert_int_equal(in(&u, RBR), 'h');
}

/* A break is a zero byte; with a full FIFO it is lost as a byte is, and OE tells. */
static void test_breaks_fill_the_fifo_and_wrap_around(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    for (unsigned i = 0; i < 11; i++)
        put(&u, 'a');
    for (unsigned i = 0; i < 11; i++)
        in(&u, RBR);
    for (unsigned i = 0; i < 16; i++) {
        ns16550_rx_break(&u, 0);
        assert_true(ns16550_ok(&u));
    }
    ns16550_rx_break(&u, 0);
    assert_int_equal(in(&u, LSR), 0xfb);
    for (unsigned i = 1; i < 16; i++) {
        assert_int_equal(in(&u, LSR), 0xe1); /* shown already; another one further back */
        assert_int_equal(in(&u, RBR), 0);
        assert_int_equal(in(&u, LSR), i == 15 ? 0x79 | 0x80 : 0xf9);
    }
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, RBR), 0);
    assert_int_equal(in(&u, LSR), 0x60);
}

/* "Line Status Register": an overrun shows at once, and stays when a break comes beside it. */
static void test_overrun_and_break_show_together(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    put(&u, 'a');
    for (unsigned i = 0; i < 16; i++)
        ns16550_rx_break(&u, 0);
    in(&u, RBR);
    assert_int_equal(in(&u, LSR), 0xfb);
    assert_int_equal(in(&u, LSR), 0xe1);
}

/* 16450 mode has no LSR bit 7. */
static void test_break_without_fifo(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    ns16550_rx_break(&u, 0);
    assert_int_equal(in(&u, LSR), 0x79);
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, RBR), 0);
    put(&u, 'a');
    assert_int_equal(in(&u, LSR), 0x61);
}

static void test_interrupt_priorities(void **state)
{
    struct ns16550 u = set_up(0, 0x0f);

    (void)state;
    out(&u, MCR, 0x1b); /* loopback changes the modem lines: DCTS.. */
    out(&u, MCR, 0x0b);
    ns16550_rx_break(&u, 0);
    assert_int_equal(in(&u, IIR), 0xc6);
    in(&u, LSR);
    assert_int_equal(in(&u, IIR), 0xc4);
    in(&u, RBR);
    assert_int_equal(in(&u, IIR), 0xc2);
    out(&u, IER, 0x0d);
    assert_int_equal(in(&u, IIR), 0xc1); /* RTS, DTR, OUT2 on: the same as the terminal's */
    out(&u, MCR, 0x18);
    out(&u, MCR, 0x08);
    assert_int_equal(in(&u, IIR), 0xc0);
    assert_true(ns16550_irq(&u));
    in(&u, MSR);
    assert_false(ns16550_irq(&u));
}

static void test_out2_gates_the_wire_and_loopback_shuts_it(void **state)
{
    struct ns16550 u = set_up(0, 0x02);

    (void)state;
    assert_true(ns16550_irq(&u));
    out(&u, MCR, 0x03);
    assert_false(ns16550_irq(&u));
    out(&u, MCR, 0x0b);
    assert_true(ns16550_irq(&u));
    out(&u, MCR, 0x1b);
    assert_false(ns16550_irq(&u));
    assert_int_equal(in(&u, IIR), 0xc2);
}

static void test_loopback_modem_lines_and_deltas(void **state)
{
    static const uint8_t lines[16] = {0x00, 0x20, 0x10, 0x30, 0x40, 0x60, 0x50, 0x70,
                                      0x80, 0xa0, 0x90, 0xb0, 0xc0, 0xe0, 0xd0, 0xf0};
    struct ns16550 u = fresh();

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        out(&u, MCR, (uint8_t)(0x10 | i));
        assert_int_equal(in(&u, MSR) & 0xf0, lines[i]);
    }
    out(&u, MCR, 0x10);
    assert_int_equal(in(&u, MSR), 0x0f); /* all went off; TERI is set by RI going off */
    out(&u, MCR, 0x1f);
    assert_int_equal(in(&u, MSR), 0xfb); /* RI going on does not count */
    assert_int_equal(in(&u, MSR), 0xf0);
    out(&u, MCR, 0x00);
    assert_int_equal(in(&u, MSR), 0xb4);
}

static void test_loopback_returns_bytes_and_disconnects_the_outside(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    out(&u, THR, 'o'); /* on its way out already */
    out(&u, MCR, 0x10);
    out(&u, THR, 'l');
    assert_int_equal(ns16550_rx_space(&u), 0);
    put(&u, 'x');
    assert_int_equal(in(&u, RBR), 'l');
    assert_int_equal(in(&u, LSR) & 1, 0);
    assert_int_equal(drain(&u), 1);
    out(&u, IER, 0x02);
    assert_int_equal(in(&u, IIR), 0xc2);
    out(&u, THR, 'm'); /* sent and received at once: empty again */
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, IIR), 0xc2);
}

/* In loopback the receiver gets what the transmitter's word length lets through. */
static void test_loopback_word_lengths(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    out(&u, MCR, 0x10);
    for (unsigned length = 0; length < 4; length++) {
        out(&u, LCR, (uint8_t)length);
        out(&u, THR, 0xff);
        out(&u, THR, 0x95);
        assert_int_equal(in(&u, RBR), (0x20 << length) - 1);
        assert_int_equal(in(&u, RBR), 0x95 & ((0x20 << length) - 1));
    }
    out(&u, MCR, 0x00);
    out(&u, LCR, 0x00); /* the terminal's words have 8 bits */
    put(&u, 0xff);
    assert_int_equal(in(&u, RBR), 0xff);
}

/* "Break Control ... acts only on SOUT and has no effect on the transmitter logic" */
static void test_break_control_is_not_looped_back(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    out(&u, MCR, 0x10);
    out(&u, LCR, 0x43);
    assert_int_equal(in(&u, LSR), 0x60);
    out(&u, THR, 'b');
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, RBR), 'b');
    assert_int_equal(in(&u, LCR), 0x43);
}

static void test_loopback_overruns(void **state)
{
    struct ns16550 u = set_up(0, 0);

    (void)state;
    out(&u, MCR, 0x10);
    for (unsigned i = 0; i < 17; i++)
        out(&u, THR, (uint8_t)i);
    assert_int_equal(in(&u, LSR), 0x63);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(&u, RBR), i);
    assert_int_equal(in(&u, LSR), 0x60);
}

static void test_fifo_resets_and_mode_change_clear_data(void **state)
{
    struct ns16550 u = set_up(0, 0x02);

    (void)state;
    in(&u, IIR);
    put(&u, 'a');
    out(&u, THR, 'b');
    out(&u, FCR, 0x03);
    assert_int_equal(in(&u, LSR), 0x00);
    assert_false(ns16550_irq(&u));
    out(&u, FCR, 0x05);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_true(ns16550_irq(&u)); /* the transmitter became empty */
    put(&u, 'a');
    out(&u, THR, 'b');
    out(&u, FCR, 0x00);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_int_equal(drain(&u), 0);
    put(&u, 'a');
    out(&u, THR, 'b');
    out(&u, FCR, 0x06); /* bit 0 clear: the reset bits are not programmed */
    assert_int_equal(in(&u, LSR), 0x01);
    out(&u, FCR, 0x01);
    assert_int_equal(in(&u, LSR), 0x60);
    put(&u, 'a');
    out(&u, THR, 'b');
    out(&u, FCR, 0xc1); /* another trigger level and DMA mode leave the data alone */
    out(&u, FCR, 0x49);
    assert_int_equal(in(&u, LSR), 0x01);
    assert_int_equal(in(&u, RBR), 'a');
    assert_int_equal(drain(&u), 1);
}

/* The transmitter's reset makes no interrupt if it was empty: nothing became empty. */
static void test_reset_of_an_empty_transmitter_is_no_event(void **state)
{
    struct ns16550 u = set_up(0, 0x02);

    (void)state;
    assert_int_equal(in(&u, IIR), 0xc2);
    out(&u, FCR, 0x05);
    assert_int_equal(in(&u, IIR), 0xc1);
    out(&u, FCR, 0x00);
    assert_int_equal(in(&u, IIR), 0x01);
}

/* size_fifo() of Linux 6.1 8250_port.c */
static unsigned linux_size_fifo(struct ns16550 *u)
{
    unsigned count = 0;

    out(u, LCR, 0);
    out(u, FCR, 0x07);
    out(u, MCR, 0x10);
    out(u, LCR, 0x80);
    out(u, DLL, 1);
    out(u, DLM, 0);
    out(u, LCR, 0x03);
    for (unsigned i = 0; i < 256; i++) {
        out(u, THR, (uint8_t)i);
        drain(u);
    }
    while ((in(u, LSR) & 1) != 0 && count < 256) {
        assert_int_equal(in(u, RBR), count);
        count++;
    }
    out(u, MCR, 0);
    out(u, LCR, 0);
    return count;
}

/* autoconfig() and autoconfig_16550a() of Linux 6.1 8250_port.c, up to PORT_16550A */
static void test_linux_autoconfig_finds_a_16550a(void **state)
{
    struct ns16550 u = fresh();
    uint8_t status1, status2;

    (void)state;
    out(&u, IER, 0);
    assert_int_equal(in(&u, IER) & 0x0f, 0x00);
    out(&u, IER, 0x0f);
    assert_int_equal(in(&u, IER) & 0x0f, 0x0f);
    out(&u, IER, 0);
    out(&u, MCR, 0x1a);
    assert_int_equal(in(&u, MSR) & 0xf0, 0x90);
    out(&u, MCR, 0);
    out(&u, LCR, 0xbf);
    out(&u, FCR, 0); /* EFR of other chips */
    out(&u, LCR, 0);
    out(&u, FCR, 0x01);
    assert_int_equal(in(&u, IIR) >> 6, 3);
    out(&u, LCR, 0x80);
    assert_int_not_equal(in(&u, IIR), 0); /* no EFR */
    out(&u, LCR, 0xbf);
    assert_int_not_equal(in(&u, IIR), 0);
    out(&u, LCR, 0); /* National's second bank would show MCR's loop bit at offset 2 */
    status1 = in(&u, MCR);
    out(&u, LCR, 0xe0);
    assert_int_equal((in(&u, 2) ^ status1) & 0x10, 0);
    out(&u, LCR, 0);
    out(&u, MCR, status1 ^ 0x10);
    out(&u, LCR, 0xe0);
    assert_int_equal((in(&u, 2) ^ status1) & 0x10, 0);
    out(&u, LCR, 0);
    out(&u, MCR, status1);
    out(&u, FCR, 0x21); /* TI16750's 64 bytes */
    status1 = in(&u, IIR) >> 5;
    out(&u, FCR, 0x01);
    out(&u, LCR, 0x80);
    out(&u, FCR, 0x21);
    status2 = in(&u, IIR) >> 5;
    out(&u, FCR, 0x01);
    out(&u, LCR, 0);
    assert_int_equal(status1, 6);
    assert_int_equal(status2, 6);
    out(&u, IER, 0x40); /* Xscale */
    assert_int_equal(in(&u, IER) & 0x40, 0);
    out(&u, IER, 0);
    assert_int_equal(linux_size_fifo(&u), 16);
}

/* serial8250_do_startup() of Linux 6.1: THRE and TXEN tests must find no bug. */
static void test_linux_startup_finds_no_thre_bug(void **state)
{
    struct ns16550 u = set_up(0, 0);
    uint8_t iir1, iir2;

    (void)state;
    out(&u, IER, 0x02);
    iir1 = in(&u, IIR);
    out(&u, IER, 0x00);
    out(&u, IER, 0x02);
    iir2 = in(&u, IIR);
    out(&u, IER, 0x00);
    assert_int_equal(iir1 & 1, 0);
    assert_int_equal(iir2 & 1, 0);
    out(&u, IER, 0x02);
    assert_int_equal(in(&u, LSR) & 0x40, 0x40);
    assert_int_equal(in(&u, IIR) & 1, 0);
}

static void test_a_line_status_that_stays_is_peeked_at(void **state)
{
    struct ns16550 u = fresh();

    (void)state;
    assert_int_equal(ns16550_peek_lsr(&u), 0x60);
    out(&u, FCR, 0x01);
    put(&u, 'a');
    assert_int_equal(ns16550_peek_lsr(&u), 0x61);
    out(&u, THR, 'b'); /* somebody has to take it */
    assert_int_equal(ns16550_peek_lsr(&u), -1);
    assert_int_equal(drain(&u), 1);
    assert_int_equal(ns16550_peek_lsr(&u), 0x61);
    ns16550_rx_break(&u, 0); /* shows in LSR [7], behind the byte */
    assert_int_equal(ns16550_peek_lsr(&u), -1);
    assert_int_equal(in(&u, LSR), 0xe1);
    (void)in(&u, RBR);
    assert_int_equal(ns16550_peek_lsr(&u), -1); /* BI: reading clears it */
    assert_int_equal(in(&u, LSR), 0xf9);
    assert_int_equal(ns16550_peek_lsr(&u), 0x61);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    struct ns16550 u = fresh();
    uint64_t seed = 1, now = 0;
    uint8_t byte;

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t r = next_random(&seed);
        unsigned reg = (unsigned)next_random(&seed);
        uint8_t value = (uint8_t)next_random(&seed);

        now += next_random(&seed) % 200000;
        switch (r % 8) {
        case 0:
        case 1: ns16550_write(&u, reg, value, now); break;
        case 2: (void)ns16550_read(&u, reg, now); break;
        case 3: ns16550_write(&u, FCR, value & 0xf9, now); break;
        case 4: ns16550_rx_put(&u, value, now); break;
        case 5: ns16550_rx_break(&u, now); break;
        case 6: ns16550_tx_take(&u, &byte); break;
        default: ns16550_advance(&u, now); break;
        }
        assert_true(ns16550_ok(&u));
    }
}

/* A platform that asks for room, and a guest that reads on interrupts: every byte arrives. */
static void test_nothing_is_lost_when_space_is_asked_for(void **state)
{
    struct ns16550 u = set_up(0x80, 0x01);
    uint64_t seed = 7, now = 0;
    unsigned sent = 0, got = 0;

    (void)state;
    while (got < 20000) {
        unsigned burst = (unsigned)next_random(&seed) % 20;

        for (unsigned i = 0; i < burst && ns16550_rx_space(&u) != 0; i++)
            ns16550_rx_put(&u, (uint8_t)sent++, now);
        now += next_random(&seed) % 400000;
        if (now >= ns16550_deadline(&u))
            ns16550_advance(&u, now);
        while (ns16550_irq(&u)) {
            assert_int_equal(ns16550_read(&u, RBR, now), (uint8_t)got);
            got++;
        }
        assert_int_equal(ns16550_read(&u, LSR, now) & 0x1e, 0);
    }
}

/* A driver's interrupt service routine: serve IIR until it says that there is nothing. */
static unsigned serve(struct ns16550 *u, uint64_t now, unsigned *to_send, unsigned *received)
{
    unsigned served = 0;

    for (uint8_t id; ((id = ns16550_read(u, IIR, now)) & 1) == 0; served++) {
        assert_true(served < 64);
        if ((id & 0x0f) == 0x02) {
            for (unsigned i = 0; i < 16 && *to_send < 20000; i++)
                ns16550_write(u, THR, (uint8_t)(*to_send)++, now);
        } else {
            assert_int_equal(id & 0x07, 0x04);
            while ((ns16550_read(u, LSR, now) & 1) != 0)
                assert_int_equal(ns16550_read(u, RBR, now), (uint8_t)(*received)++);
        }
        assert_true(ns16550_ok(u));
    }
    return served;
}

/* Both directions at once, a console that is slow at times, a driver that only acts on the wire. */
static void test_both_directions_under_load_lose_nothing(void **state)
{
    struct ns16550 u = set_up(0xc0, 0x03);
    uint64_t seed = 11, now = 0;
    unsigned to_send = 0, taken = 0, put_in = 0, received = 0;
    uint8_t byte;

    (void)state;
    for (unsigned round = 0; taken < 20000 || received < 20000; round++) {
        unsigned room = (unsigned)next_random(&seed) % 24;

        assert_true(round < 100000); /* no interrupt is missing */
        while (room-- > 0 && ns16550_tx_take(&u, &byte))
            assert_int_equal(byte, (uint8_t)taken++);
        room = (unsigned)next_random(&seed) % 24;
        while (room-- > 0 && put_in < 20000 && ns16550_rx_space(&u) != 0)
            ns16550_rx_put(&u, (uint8_t)put_in++, now);
        now += next_random(&seed) % 400000;
        if (now >= ns16550_deadline(&u))
            ns16550_advance(&u, now);
        if (ns16550_irq(&u) && next_random(&seed) % 4 != 0)
            assert_true(serve(&u, now, &to_send, &received) > 0);
    }
    assert_int_equal(to_send, 20000);
    assert_int_equal(ns16550_read(&u, LSR, now), 0x60);
}

/* ns16550_ok sees each state that no sequence of calls can reach. */
#define ASSERT_BROKEN(change)                                                                      \
    do {                                                                                           \
        struct ns16550 u = set_up(0x80, 0);                                                        \
                                                                                                   \
        change;                                                                                    \
        assert_false(ns16550_ok(&u));                                                              \
    } while (0)

static void test_invariant_sees_broken_registers(void **state)
{
    (void)state;
    ASSERT_BROKEN(u.ier = 0x10);
    ASSERT_BROKEN(u.mcr = 0x2b);
    ASSERT_BROKEN(u.errors = 0x20);
    ASSERT_BROKEN(u.errors = 0x01);
    ASSERT_BROKEN(u.fcr = 0x83);
    ASSERT_BROKEN(u.fcr = 0x91);
    ASSERT_BROKEN(u.fcr = 0x80);
    ASSERT_BROKEN(u.msr = 0xf0);
    ASSERT_BROKEN(u.timeout_ticks = 0);
    ASSERT_BROKEN((u.thre_pending = true, u.tx_count = 1));
    ASSERT_BROKEN(u.irq = true);
    ASSERT_BROKEN(u.deadline = 1);
    ASSERT_BROKEN((out(&u, IER, 1), put(&u, 'a'), u.deadline = TIME_NEVER));
}

static void test_invariant_sees_broken_fifos(void **state)
{
    (void)state;
    ASSERT_BROKEN(u.rx_head = 16);
    ASSERT_BROKEN(u.rx_count = 17);
    ASSERT_BROKEN((u.fcr = 0, u.rx_count = 2));
    ASSERT_BROKEN(u.tx_head = 16);
    ASSERT_BROKEN((u.thre_pending = false, u.tx_count = 17));
    ASSERT_BROKEN((u.fcr = 0, u.thre_pending = false, u.tx_count = 2));
    ASSERT_BROKEN(u.rx_breaks = 2); /* of an empty slot */
    ASSERT_BROKEN((u.rx_count = 8, u.rx_head = 15, u.rx_breaks = 0x0080));
    ASSERT_BROKEN((u.rx_count = 8, u.rx_head = 15, u.rx_breaks = 0x4000));
    ASSERT_BROKEN((u.rx_count = 8, u.rx_head = 15, u.rx_breaks = 0x8000)); /* not shown */
    ASSERT_BROKEN((u.rx_count = 1, u.rx_head = 3, u.rx_breaks = 0x0010));
    ASSERT_BROKEN(u.timed_out = true);                              /* nothing waits */
    ASSERT_BROKEN((u.fcr = 0, u.rx_count = 1, u.timed_out = true)); /* no FIFO */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_state_is_the_data_sheets),
        cmocka_unit_test(test_line_control_keeps_all_bits),
        cmocka_unit_test(test_each_enable_is_for_its_own_source),
        cmocka_unit_test(test_each_modem_line_has_its_delta),
        cmocka_unit_test(test_error_outlives_its_byte),
        cmocka_unit_test(test_dlab_switches_divisor_latch),
        cmocka_unit_test(test_scratch_keeps_and_reserved_bits_read_0),
        cmocka_unit_test(test_modem_inputs_are_the_terminals),
        cmocka_unit_test(test_fcr_shows_in_iir_only_when_enabled),
        cmocka_unit_test(test_transmit_takes_in_order_and_thre_follows_fifo_empty),
        cmocka_unit_test(test_transmit_without_fifo_holds_one_byte_the_last),
        cmocka_unit_test(test_thre_interrupt_on_enable_cleared_by_iir_read),
        cmocka_unit_test(test_thre_interrupt_cleared_by_write_raised_when_empty),
        cmocka_unit_test(test_enable_thre_while_full_waits_for_empty),
        cmocka_unit_test(test_iir_read_of_higher_source_keeps_thre),
        cmocka_unit_test(test_receive_trigger_levels),
        cmocka_unit_test(test_character_timeout_after_four_characters),
        cmocka_unit_test(test_character_timeout_restarts_with_each_byte_and_each_read),
        cmocka_unit_test(test_character_timeout_follows_baud_and_format),
        cmocka_unit_test(test_character_time_of_every_format),
        cmocka_unit_test(test_divisor_0_still_has_a_timeout),
        cmocka_unit_test(test_divisor_takes_effect_at_once),
        cmocka_unit_test(test_timeout_shows_to_a_late_reader),
        cmocka_unit_test(test_character_timeout_is_cleared_by_a_read_or_a_reset_only),
        cmocka_unit_test(test_no_deadline_at_the_trigger_level),
        cmocka_unit_test(test_character_timeout_only_with_fifo_and_enable),
        cmocka_unit_test(test_overrun_in_fifo_loses_the_new_byte),
        cmocka_unit_test(test_overrun_without_fifo_loses_the_old_byte),
        cmocka_unit_test(test_break_shows_when_its_byte_is_next),
        cmocka_unit_test(test_breaks_fill_the_fifo_and_wrap_around),
        cmocka_unit_test(test_overrun_and_break_show_together),
        cmocka_unit_test(test_break_without_fifo),
        cmocka_unit_test(test_interrupt_priorities),
        cmocka_unit_test(test_out2_gates_the_wire_and_loopback_shuts_it),
        cmocka_unit_test(test_loopback_modem_lines_and_deltas),
        cmocka_unit_test(test_loopback_returns_bytes_and_disconnects_the_outside),
        cmocka_unit_test(test_loopback_word_lengths),
        cmocka_unit_test(test_break_control_is_not_looped_back),
        cmocka_unit_test(test_loopback_overruns),
        cmocka_unit_test(test_fifo_resets_and_mode_change_clear_data),
        cmocka_unit_test(test_reset_of_an_empty_transmitter_is_no_event),
        cmocka_unit_test(test_linux_autoconfig_finds_a_16550a),
        cmocka_unit_test(test_linux_startup_finds_no_thre_bug),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
        cmocka_unit_test(test_nothing_is_lost_when_space_is_asked_for),
        cmocka_unit_test(test_both_directions_under_load_lose_nothing),
        cmocka_unit_test(test_invariant_sees_broken_registers),
        cmocka_unit_test(test_invariant_sees_broken_fifos),
        cmocka_unit_test(test_a_line_status_that_stays_is_peeked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
