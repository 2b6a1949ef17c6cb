/* unit: devices/i8259.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8259A pair against the Intel data sheet (231468). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/i8259.h"

#define ICW1_EDGE 0x11 /* cascade, ICW4 follows */
#define EOI       0x20
#define READ_IRR  0x0a
#define READ_ISR  0x0b
#define POLL      0x0c
#define SMM_ON    0x68
#define SMM_OFF   0x48

static void out(struct i8259 *p, uint16_t port, uint8_t value)
{
    i8259_write(p, port, value);
    assert_true(i8259_ok(p));
}

static uint8_t in(struct i8259 *p, uint16_t port)
{
    int brief = i8259_peek_mask(p, port);
    uint8_t value = i8259_read(p, port);

    assert_true(i8259_ok(p));
    if (port == 0x21 || port == 0xa1)
        assert_true(brief == -1 || brief == value);
    return value;
}

static void set(struct i8259 *p, unsigned irq, bool level)
{
    i8259_set_irq(p, irq, level);
    assert_true(i8259_ok(p));
}

/* An edge from a device that rests high. */
static void pulse(struct i8259 *p, unsigned irq)
{
    set(p, irq, false);
    set(p, irq, true);
}

static uint8_t ack(struct i8259 *p)
{
    uint8_t vector = i8259_ack(p);

    assert_true(i8259_ok(p));
    return vector;
}

static uint8_t irr(struct i8259 *p, uint16_t port)
{
    out(p, port, READ_IRR);
    return in(p, port);
}

static uint8_t isr(struct i8259 *p, uint16_t port)
{
    out(p, port, READ_ISR);
    return in(p, port);
}

static void init(struct i8259 *p, uint8_t icw4_master, uint8_t icw4_slave)
{
    out(p, 0x20, ICW1_EDGE);
    out(p, 0x21, 0x30);
    out(p, 0x21, 0x04);
    out(p, 0x21, icw4_master);
    out(p, 0xa0, ICW1_EDGE);
    out(p, 0xa1, 0x38);
    out(p, 0xa1, 0x02);
    out(p, 0xa1, icw4_slave);
}

/* Both chips initialised as Linux does, nothing masked. */
static struct i8259 start(void)
{
    struct i8259 p;

    i8259_reset(&p);
    assert_true(i8259_ok(&p));
    init(&p, 0x01, 0x01);
    return p;
}

static void test_reset_masks_all_and_requests_nothing(void **state)
{
    struct i8259 p;

    (void)state;
    i8259_reset(&p);
    assert_true(i8259_ok(&p));
    assert_int_equal(in(&p, 0x21), 0xff);
    assert_int_equal(in(&p, 0xa1), 0xff);
    assert_int_equal(in(&p, 0x4d0), 0);
    assert_int_equal(in(&p, 0x4d1), 0);
    pulse(&p, 0);
    pulse(&p, 8);
    assert_false(i8259_intr(&p));
}

/* Vectors 08H and 70H, IR0 first on both chips, as a PC's firmware programs them. */
static void test_reset_vectors_and_order_are_firmwares(void **state)
{
    static const uint8_t order[] = {0x08, 0x09, 0x70, 0x71, 0x77, 0x0b, 0x0f};
    struct i8259 p;

    (void)state;
    i8259_reset(&p);
    out(&p, 0x21, 0x00);
    out(&p, 0xa1, 0x00);
    for (unsigned irq = 0; irq < 16; irq++)
        set(&p, irq, irq < 2 || irq == 3 || irq == 7 || irq == 8 || irq == 9 || irq == 15);
    for (unsigned i = 0; i < sizeof(order); i++) {
        assert_int_equal(ack(&p), order[i]);
        out(&p, order[i] >= 0x70 ? 0xa0 : 0x20, EOI);
        if (order[i] >= 0x70)
            out(&p, 0x20, EOI);
    }
    assert_false(i8259_intr(&p));
}

static void test_linux_probe_reads_back_the_mask(void **state)
{
    struct i8259 p;

    (void)state;
    i8259_reset(&p);
    out(&p, 0xa1, 0xff);
    out(&p, 0x21, 0xfb);
    assert_int_equal(in(&p, 0x21), 0xfb);
    assert_int_equal(in(&p, 0xa1), 0xff);
}

static void test_other_ports_read_ones_and_drop_writes(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x22, 0x55);
    out(&p, 0x4d2, 0xff);
    assert_int_equal(in(&p, 0x22), 0xff);
    assert_int_equal(in(&p, 0x4d2), 0xff);
    assert_int_equal(in(&p, 0x21), 0);
}

static void test_vector_is_icw2_base_plus_input(void **state)
{
    struct i8259 p = start();

    (void)state;
    for (unsigned irq = 0; irq < 16; irq++) {
        if (irq == 2)
            continue;
        set(&p, irq, true);
        assert_true(i8259_intr(&p));
        assert_int_equal(ack(&p), 0x30 + irq);
        assert_false(i8259_intr(&p));
        if (irq >= 8)
            out(&p, 0xa0, EOI);
        out(&p, 0x20, EOI);
        set(&p, irq, false);
    }
}

static void test_icw2_keeps_five_bits(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, ICW1_EDGE);
    out(&p, 0x21, 0x57);
    out(&p, 0x21, 0x04);
    out(&p, 0x21, 0x01);
    pulse(&p, 1);
    assert_int_equal(ack(&p), 0x51);
    pulse(&p, 0);
    assert_int_equal(ack(&p), 0x50);
    out(&p, 0x20, ICW1_EDGE);
    out(&p, 0x21, 0xff);
    out(&p, 0x21, 0x04);
    out(&p, 0x21, 0x01);
    pulse(&p, 1);
    assert_int_equal(ack(&p), 0xf9);
}

static void test_ack_moves_request_to_in_service(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 4, true);
    assert_int_equal(irr(&p, 0x20), 0x10);
    assert_int_equal(isr(&p, 0x20), 0x00);
    ack(&p);
    assert_int_equal(irr(&p, 0x20), 0x00);
    assert_int_equal(isr(&p, 0x20), 0x10);
    out(&p, 0x20, EOI);
    assert_int_equal(isr(&p, 0x20), 0x00);
}

static void test_slave_request_shows_on_both_chips(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 12, true);
    assert_int_equal(irr(&p, 0x20), 0x04);
    assert_int_equal(irr(&p, 0xa0), 0x10);
    assert_int_equal(ack(&p), 0x3c);
    assert_int_equal(isr(&p, 0x20), 0x04);
    assert_int_equal(isr(&p, 0xa0), 0x10);
}

static void test_held_edge_input_requests_once(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 3, true);
    ack(&p);
    out(&p, 0x20, EOI);
    assert_false(i8259_intr(&p));
    set(&p, 3, true);
    assert_false(i8259_intr(&p));
    pulse(&p, 3);
    assert_true(i8259_intr(&p));
}

static void test_falling_input_removes_edge_request(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 3, true);
    set(&p, 3, false);
    assert_false(i8259_intr(&p));
    assert_int_equal(irr(&p, 0x20), 0);
    set(&p, 10, true);
    set(&p, 10, false);
    assert_false(i8259_intr(&p));
    assert_int_equal(irr(&p, 0x20), 0);
}

static void test_second_edge_while_in_service_is_kept(void **state)
{
    struct i8259 p = start();

    (void)state;
    pulse(&p, 0);
    ack(&p);
    pulse(&p, 0);
    assert_false(i8259_intr(&p));
    out(&p, 0x20, EOI);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x30);
}

static void test_level_input_requests_again_after_eoi(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x4d1, 0x02);
    set(&p, 9, true);
    assert_int_equal(ack(&p), 0x39);
    assert_false(i8259_intr(&p));
    assert_int_equal(irr(&p, 0xa0), 0x02);
    out(&p, 0xa0, EOI);
    out(&p, 0x20, EOI);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x39);
    set(&p, 9, false);
    out(&p, 0xa0, EOI);
    out(&p, 0x20, EOI);
    assert_false(i8259_intr(&p));
}

static void test_elcr_keeps_system_inputs_edge_triggered(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x4d0, 0xff);
    out(&p, 0x4d1, 0xff);
    assert_int_equal(in(&p, 0x4d0), 0xf8);
    assert_int_equal(in(&p, 0x4d1), 0xde);
    out(&p, 0x20, ICW1_EDGE);
    assert_int_equal(in(&p, 0x4d0), 0xf8);
}

static void test_cascade_input_is_not_settable(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 2, true);
    set(&p, 16, true);
    set(&p, 1000, true);
    assert_false(i8259_intr(&p));
    assert_int_equal(irr(&p, 0x20), 0);
    assert_int_equal(irr(&p, 0xa0), 0);
}

static void test_mask_hides_and_keeps_the_request(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x21, 0x20);
    set(&p, 5, true);
    assert_false(i8259_intr(&p));
    assert_int_equal(irr(&p, 0x20), 0x20);
    out(&p, 0x21, 0x00);
    assert_true(i8259_intr(&p));
    out(&p, 0x21, 0x20);
    assert_false(i8259_intr(&p));
}

static void test_master_mask_bit_2_hides_the_slave(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x21, 0x04);
    set(&p, 14, true);
    assert_false(i8259_intr(&p));
    out(&p, 0x21, 0x00);
    assert_int_equal(ack(&p), 0x3e);
}

static void test_fully_nested_higher_interrupts_lower(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 5, true);
    ack(&p);
    set(&p, 6, true);
    assert_false(i8259_intr(&p));
    set(&p, 1, true);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x31);
    assert_int_equal(isr(&p, 0x20), 0x22);
    out(&p, 0x20, EOI);
    assert_int_equal(isr(&p, 0x20), 0x20);
    assert_false(i8259_intr(&p));
    out(&p, 0x20, EOI);
    assert_int_equal(ack(&p), 0x36);
}

static void test_lowest_level_in_service_yields_to_all(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 7, true);
    ack(&p);
    pulse(&p, 7);
    assert_false(i8259_intr(&p));
    set(&p, 6, true);
    assert_int_equal(ack(&p), 0x36);
    set(&p, 0, true);
    assert_int_equal(ack(&p), 0x30);
    assert_int_equal(isr(&p, 0x20), 0xc1);
    set(&p, 1, true);
    assert_false(i8259_intr(&p));
}

static void test_simultaneous_requests_in_order_of_priority(void **state)
{
    static const uint8_t order[] = {0, 1, 8, 9, 15, 3, 7};
    struct i8259 p = start();

    (void)state;
    for (unsigned i = 0; i < sizeof(order); i++)
        set(&p, order[i], true);
    for (unsigned i = 0; i < sizeof(order); i++) {
        assert_int_equal(ack(&p), 0x30 + order[i]);
        if (order[i] >= 8)
            out(&p, 0xa0, EOI);
        out(&p, 0x20, EOI);
    }
    assert_false(i8259_intr(&p));
}

static void test_specific_eoi_clears_that_level(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 5, true);
    ack(&p);
    set(&p, 1, true);
    ack(&p);
    out(&p, 0x20, 0x60 | 5);
    assert_int_equal(isr(&p, 0x20), 0x02);
    out(&p, 0x20, 0x60 | 4);
    assert_int_equal(isr(&p, 0x20), 0x02);
    out(&p, 0x20, 0x60 | 1);
    assert_int_equal(isr(&p, 0x20), 0x00);
}

/* All eight levels in service, innermost 0; each kind of EOI ends one and leaves the others. */
static void test_each_eoi_ends_one_level(void **state)
{
    struct i8259 p = start();

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned level = 8; level-- > 0;) {
            pulse(&p, level == 2 ? 8 : level);
            ack(&p);
        }
        assert_int_equal(isr(&p, 0x20), 0xff);
        for (unsigned level = 0; level < 8; level++) {
            out(&p, 0x20, (uint8_t)(round == 0 ? EOI : 0x60 | level));
            assert_int_equal(isr(&p, 0x20), 0xff & 0xff << (level + 1));
        }
        out(&p, 0xa0, EOI);
    }
}

static void test_ocw2_no_operation_changes_nothing(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 5, true);
    ack(&p);
    out(&p, 0x20, 0x40 | 5);
    assert_int_equal(isr(&p, 0x20), 0x20);
    set(&p, 6, true);
    assert_false(i8259_intr(&p));
}

/* Data sheet, "Automatic Rotation": IR4 in service and served gets the lowest priority. */
static void test_rotate_on_nonspecific_eoi(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 4, true);
    set(&p, 6, true);
    assert_int_equal(ack(&p), 0x34);
    out(&p, 0x20, 0xa0);
    assert_int_equal(isr(&p, 0x20), 0);
    set(&p, 0, true);
    pulse(&p, 4);
    set(&p, 5, true);
    /* order is now 5 6 7 0 1 2 3 4 */
    assert_int_equal(ack(&p), 0x35);
    out(&p, 0x20, EOI);
    assert_int_equal(ack(&p), 0x36);
    out(&p, 0x20, EOI);
    assert_int_equal(ack(&p), 0x30);
    out(&p, 0x20, EOI);
    assert_int_equal(ack(&p), 0x34);
}

static void test_nonspecific_eoi_follows_rotated_priority(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, 0xc0 | 4); /* 5 is highest */
    set(&p, 0, true);
    ack(&p);
    set(&p, 6, true);
    assert_int_equal(ack(&p), 0x36);
    assert_int_equal(isr(&p, 0x20), 0x41);
    out(&p, 0x20, EOI);
    assert_int_equal(isr(&p, 0x20), 0x01);
}

static void test_rotate_on_empty_isr_keeps_order(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, 0xa0);
    set(&p, 0, true);
    set(&p, 1, true);
    assert_int_equal(ack(&p), 0x30);
}

static void test_set_priority_and_rotate_on_specific_eoi(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, 0xc0 | 5);
    set(&p, 7, true);
    set(&p, 0, true);
    set(&p, 5, true);
    assert_int_equal(ack(&p), 0x37);
    out(&p, 0x20, 0xe0 | 7);
    assert_int_equal(isr(&p, 0x20), 0);
    assert_int_equal(ack(&p), 0x30);
    out(&p, 0x20, 0xe0 | 2); /* rotates to 2 and ends level 2: 0 stays in service */
    assert_int_equal(isr(&p, 0x20), 0x01);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x35);
}

static void test_auto_eoi_leaves_nothing_in_service(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x03, 0x01);
    set(&p, 0, true);
    set(&p, 1, true);
    assert_int_equal(ack(&p), 0x30);
    assert_int_equal(isr(&p, 0x20), 0);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x31);
    assert_false(i8259_intr(&p));
}

static void test_auto_eoi_on_both_chips_delivers_each_slave_request(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x03, 0x03);
    set(&p, 8, true);
    set(&p, 14, true);
    assert_int_equal(ack(&p), 0x38);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x3e);
    assert_false(i8259_intr(&p));
}

static void test_rotate_in_auto_eoi_mode(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x03, 0x01);
    out(&p, 0x20, 0x80);
    pulse(&p, 3);
    assert_int_equal(ack(&p), 0x33);
    pulse(&p, 3);
    pulse(&p, 7);
    assert_int_equal(ack(&p), 0x37);
    assert_int_equal(ack(&p), 0x33);
    out(&p, 0x20, 0x00); /* clear: 3 stays lowest, but no further rotation */
    pulse(&p, 4);
    assert_int_equal(ack(&p), 0x34);
    pulse(&p, 4);
    pulse(&p, 5);
    assert_int_equal(ack(&p), 0x34);
}

static void test_slave_in_service_locks_out_its_higher_inputs(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 12, true);
    ack(&p);
    set(&p, 8, true);
    assert_false(i8259_intr(&p));
    out(&p, 0x20, EOI);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x38);
}

static void test_special_fully_nested_lets_them_in(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x11, 0x01);
    set(&p, 12, true);
    ack(&p);
    set(&p, 13, true);
    assert_false(i8259_intr(&p));
    set(&p, 3, true); /* lower than the slave's input: stays out */
    assert_false(i8259_intr(&p));
    set(&p, 8, true);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x38);
    assert_int_equal(isr(&p, 0xa0), 0x11);
    assert_int_equal(isr(&p, 0x20), 0x04);
}

static void test_special_fully_nested_holds_own_inputs_back(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x11, 0x11);
    pulse(&p, 8); /* the slave has no slaves */
    ack(&p);
    pulse(&p, 8);
    assert_false(i8259_intr(&p));
    out(&p, 0xa0, EOI);
    assert_int_equal(ack(&p), 0x38);
    init(&p, 0x11, 0x11);
    pulse(&p, 4);
    ack(&p);
    pulse(&p, 4);
    assert_false(i8259_intr(&p));
}

static void test_special_mask_enables_lower_levels(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 1, true);
    ack(&p);
    set(&p, 5, true);
    assert_false(i8259_intr(&p));
    out(&p, 0x21, 0x02);
    assert_false(i8259_intr(&p));
    out(&p, 0x20, SMM_ON);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x35);
    out(&p, 0x20, EOI); /* a masked bit is not cleared by a non-specific EOI in this mode */
    assert_int_equal(isr(&p, 0x20), 0x02);
    out(&p, 0x20, EOI);
    assert_int_equal(isr(&p, 0x20), 0x02);
    out(&p, 0x20, 0x08); /* ESMM = 0: the mode stays */
    out(&p, 0x20, EOI);
    assert_int_equal(isr(&p, 0x20), 0x02);
    out(&p, 0x20, SMM_OFF);
    out(&p, 0x20, EOI);
    assert_int_equal(isr(&p, 0x20), 0x00);
}

/* Masked levels in service hold nobody back, whichever they are; others do. */
static void test_special_mask_looks_at_every_level(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 8; level++) {
        struct i8259 p = start();
        unsigned other = level == 6 ? 5 : 6;

        out(&p, 0x20, (uint8_t)(0xc0 | ((level - 1) & 7))); /* `level` is highest */
        pulse(&p, level == 2 ? 8 : level);
        ack(&p);
        pulse(&p, other);
        out(&p, 0x20, SMM_ON);
        assert_false(i8259_intr(&p));
        out(&p, 0x21, (uint8_t)(1 << level));
        assert_true(i8259_intr(&p));
        assert_int_equal(ack(&p), 0x30 + other);
    }
}

/* SMM counts only with ESMM, RIS only with RR. */
static void test_ocw3_fields_are_taken_each_by_its_enable(void **state)
{
    struct i8259 p = start();

    (void)state;
    pulse(&p, 1);
    ack(&p);
    out(&p, 0x21, 0x02);
    pulse(&p, 5);
    out(&p, 0x20, 0x28); /* SMM without ESMM */
    assert_false(i8259_intr(&p));
    out(&p, 0x20, SMM_ON);
    assert_true(i8259_intr(&p));
    out(&p, 0x20, SMM_OFF | 0x03); /* and read ISR */
    assert_false(i8259_intr(&p));
    assert_int_equal(in(&p, 0x20), 0x02);
    out(&p, 0x20, 0x08); /* RR = 0: ISR stays selected */
    assert_int_equal(in(&p, 0x20), 0x02);
    out(&p, 0x20, READ_IRR);
    assert_int_equal(in(&p, 0x20), 0x20);
    out(&p, 0x20, 0x09); /* RIS without RR */
    assert_int_equal(in(&p, 0x20), 0x20);
}

/* OCW1 and OCW2 between the command and its read leave the poll waiting. */
static void test_poll_waits_for_the_next_read(void **state)
{
    struct i8259 p = start();

    (void)state;
    pulse(&p, 3);
    out(&p, 0x20, POLL);
    out(&p, 0x21, 0x08);
    out(&p, 0x20, 0x40);
    assert_int_equal(in(&p, 0x20), 0x00); /* masked meanwhile: no request */
    out(&p, 0x21, 0x00);
    assert_int_equal(in(&p, 0x20), 0x08);
    out(&p, 0x20, POLL);
    out(&p, 0x20, READ_ISR); /* another OCW3 takes the poll back */
    assert_int_equal(in(&p, 0x20), 0x00);
    assert_true(i8259_intr(&p));
}

/* "Automatic End of Interrupt": a poll is an acknowledge for that, too. */
static void test_poll_with_auto_eoi_rotates(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x03, 0x01);
    out(&p, 0x20, 0x80);
    pulse(&p, 3);
    pulse(&p, 4);
    out(&p, 0x20, POLL);
    assert_int_equal(in(&p, 0x20), 0x83);
    assert_int_equal(isr(&p, 0x20), 0x00);
    pulse(&p, 3);
    assert_int_equal(ack(&p), 0x34);
}

static void test_poll_acknowledges_the_highest(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 6, true);
    set(&p, 3, true);
    out(&p, 0x20, POLL);
    assert_int_equal(in(&p, 0x20), 0x83);
    assert_int_equal(in(&p, 0x20), 0x40); /* the next read is IRR again */
    assert_int_equal(isr(&p, 0x20), 0x08);
    assert_false(i8259_intr(&p));
    out(&p, 0x20, POLL);
    assert_int_equal(in(&p, 0x21) & 0x80, 0); /* 6 is below 3 */
    assert_int_equal(in(&p, 0x21), 0x00);
}

static void test_poll_of_the_slave(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 10, true);
    out(&p, 0xa0, POLL);
    assert_int_equal(in(&p, 0xa1), 0x82);
    assert_int_equal(isr(&p, 0xa0), 0x04);
    assert_int_equal(irr(&p, 0x20), 0x00);
    assert_false(i8259_intr(&p));
}

/* INT falls at each acknowledge, so that the master sees an edge for the slave's next request. */
static void test_polling_both_chips_loses_no_slave_request(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x01, 0x03);
    set(&p, 8, true);
    set(&p, 9, true);
    out(&p, 0x20, POLL);
    assert_int_equal(in(&p, 0x20), 0x82);
    assert_int_equal(irr(&p, 0x20), 0x00); /* the one edge there was is acknowledged */
    out(&p, 0xa0, POLL);
    assert_int_equal(in(&p, 0xa0), 0x80);
    out(&p, 0x20, EOI);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x39);
}

static void test_spurious_master_is_ir7_without_isr(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 3, true);
    set(&p, 3, false);
    assert_int_equal(ack(&p), 0x37);
    assert_int_equal(isr(&p, 0x20), 0);
    set(&p, 9, true);
    set(&p, 9, false);
    assert_int_equal(ack(&p), 0x37);
    assert_int_equal(isr(&p, 0xa0), 0);
}

/* The master asks the slave, and the slave has no request any more. */
static void test_spurious_slave_is_ir15_with_master_in_service(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, ICW1_EDGE);
    out(&p, 0x21, 0x30);
    out(&p, 0x21, 0x08); /* slave on IR3 as far as the master knows */
    out(&p, 0x21, 0x01);
    out(&p, 0xa0, ICW1_EDGE);
    out(&p, 0xa1, 0x38);
    out(&p, 0xa1, 0x03);
    out(&p, 0xa1, 0x01);
    set(&p, 3, true);
    assert_int_equal(ack(&p), 0x3f);
    assert_int_equal(isr(&p, 0x20), 0x08);
    assert_int_equal(isr(&p, 0xa0), 0x00);
}

static void test_absent_slave_leaves_the_bus_floating(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0xa0, ICW1_EDGE);
    out(&p, 0xa1, 0x38);
    out(&p, 0xa1, 0x05);
    out(&p, 0xa1, 0x01);
    set(&p, 8, true);
    assert_int_equal(ack(&p), 0xff);
    assert_int_equal(isr(&p, 0xa0), 0);
}

static void test_icw3_without_slave_bit_gives_master_vector(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, 0x13); /* SNGL: ICW3 is not expected */
    out(&p, 0x21, 0x30);
    out(&p, 0x21, 0x01);
    out(&p, 0x21, 0xf0); /* OCW1 already */
    assert_int_equal(in(&p, 0x21), 0xf0);
    set(&p, 8, true);
    assert_int_equal(ack(&p), 0x32);
    assert_int_equal(irr(&p, 0xa0), 0x01);
    out(&p, 0x21, 0x00);
    for (unsigned irq = 0; irq < 8; irq++) {
        if (irq == 2)
            continue;
        out(&p, 0x20, 0x62);
        pulse(&p, irq);
        assert_int_equal(ack(&p), 0x30 + irq);
        out(&p, 0x20, (uint8_t)(0x60 | irq));
    }
}

/* "Initialization Command Words" (c): ICW1 sets the slave's identity to 7. */
static void test_icw1_makes_a_slave_number_7(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, ICW1_EDGE);
    out(&p, 0x21, 0x30);
    out(&p, 0x21, 0x80); /* the master looks for it behind IR7 */
    out(&p, 0x21, 0x01);
    out(&p, 0x21, 0x04);
    out(&p, 0xa0, 0x13); /* SNGL: no ICW3 */
    out(&p, 0xa1, 0x38);
    out(&p, 0xa1, 0x01);
    pulse(&p, 9);
    pulse(&p, 7);
    assert_int_equal(ack(&p), 0x39);
    assert_int_equal(isr(&p, 0x20), 0x80);
    assert_int_equal(isr(&p, 0xa0), 0x02);
}

/* ICW3 of the slave has three bits. */
static void test_slave_identity_has_three_bits(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0xa0, ICW1_EDGE);
    out(&p, 0xa1, 0x38);
    out(&p, 0xa1, 0xfa);
    out(&p, 0xa1, 0x01);
    pulse(&p, 12);
    assert_int_equal(ack(&p), 0x3c);
}

/*
 * ICW4 BUF and M/S concern pins that a PC straps; uPM = 0 would be the 8085's CALL instruction. The
 * ICH9 data sheet, "ICW4", knows only 0, 0 and 1: here they act so whatever is written.
 */
static void test_buffered_and_mcs80_bits_do_nothing(void **state)
{
    static const uint8_t icw4[] = {0x01, 0x09, 0x0d, 0x05, 0x00, 0x0c};

    (void)state;
    for (unsigned i = 0; i < sizeof(icw4); i++) {
        struct i8259 p = start();

        init(&p, icw4[i], icw4[i]);
        pulse(&p, 5);
        pulse(&p, 12);
        assert_int_equal(ack(&p), 0x3c);
        assert_int_equal(isr(&p, 0x20), 0x04); /* nor is it AEOI or SFNM */
        assert_int_equal(isr(&p, 0xa0), 0x10);
        pulse(&p, 8);
        assert_false(i8259_intr(&p));
    }
}

/* "Initialization Command Words": edge sense, IMR, IR7 lowest, special mask, read IRR, ICW4. */
static void test_icw1_resets_the_chip(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x13, 0x01);
    out(&p, 0x21, 0xff);
    out(&p, 0x20, 0xc0 | 2);
    out(&p, 0x20, SMM_ON);
    out(&p, 0x20, READ_ISR);
    set(&p, 4, true);
    out(&p, 0x20, 0x10);               /* no ICW4: AEOI and SFNM are gone */
    assert_int_equal(in(&p, 0x20), 0); /* IRR, and the edge is forgotten */
    out(&p, 0x21, 0x30);
    out(&p, 0x21, 0x04);
    assert_int_equal(in(&p, 0x21), 0);
    assert_false(i8259_intr(&p));
    pulse(&p, 4);
    pulse(&p, 0);
    assert_int_equal(ack(&p), 0x30);
    assert_int_equal(isr(&p, 0x20), 0x01);
    out(&p, 0x21, 0x01);
    assert_false(i8259_intr(&p)); /* no special mask mode */
}

static void test_icw1_clears_in_service(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 0, true);
    ack(&p);
    init(&p, 0x01, 0x01);
    assert_int_equal(isr(&p, 0x20), 0);
}

static void test_no_request_before_initialisation_ends(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, ICW1_EDGE);
    pulse(&p, 1);
    out(&p, 0x21, 0x30);
    assert_false(i8259_intr(&p));
    out(&p, 0x21, 0x04);
    assert_false(i8259_intr(&p));
    out(&p, 0x21, 0x01);
    assert_true(i8259_intr(&p));
    assert_int_equal(ack(&p), 0x31);
}

static void test_ltim_is_replaced_by_elcr(void **state)
{
    struct i8259 p = start();

    (void)state;
    out(&p, 0x20, 0x19);
    out(&p, 0x21, 0x30);
    out(&p, 0x21, 0x04);
    out(&p, 0x21, 0x01);
    set(&p, 1, true);
    ack(&p);
    out(&p, 0x20, EOI);
    assert_false(i8259_intr(&p));
}

/* "Edge and Level Triggered Modes": a level must be gone before the EOI, or it interrupts again. */
static void test_level_input_with_auto_eoi_requests_until_it_falls(void **state)
{
    struct i8259 p = start();

    (void)state;
    init(&p, 0x03, 0x01);
    out(&p, 0x4d0, 0x20);
    set(&p, 5, true);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(i8259_intr(&p));
        assert_int_equal(ack(&p), 0x35);
    }
    set(&p, 5, false);
    assert_false(i8259_intr(&p));
}

static void test_elcr_change_takes_effect_at_once(void **state)
{
    struct i8259 p = start();

    (void)state;
    set(&p, 5, true);
    ack(&p);
    out(&p, 0x20, EOI);
    assert_false(i8259_intr(&p));
    out(&p, 0x4d0, 0x20);
    assert_true(i8259_intr(&p));
    out(&p, 0x4d0, 0x00);
    assert_false(i8259_intr(&p));
}

/* i8259_ok sees each state that no sequence of calls can reach. */
#define ASSERT_BROKEN(change)                                                                      \
    do {                                                                                           \
        struct i8259 p = start();                                                                  \
        struct i8259_chip *master = &p.chip[0];                                                    \
        struct i8259_chip *slave = &p.chip[1];                                                     \
                                                                                                   \
        (void)master;                                                                              \
        (void)slave;                                                                               \
        change;                                                                                    \
        assert_false(i8259_ok(&p));                                                                \
    } while (0)

static void test_invariant_sees_broken_states(void **state)
{
    (void)state;
    ASSERT_BROKEN(master->edge = 0x01);
    ASSERT_BROKEN(slave->edge = 0x80);
    ASSERT_BROKEN(master->elcr = 0x01);
    ASSERT_BROKEN(master->elcr = 0x04);
    ASSERT_BROKEN(slave->elcr = 0x01);
    ASSERT_BROKEN(slave->elcr = 0x20);
    ASSERT_BROKEN(master->vector = 0x31);
    ASSERT_BROKEN(slave->vector = 0x3c);
    ASSERT_BROKEN(master->lowest = 8);
    ASSERT_BROKEN(slave->lowest = 255);
    ASSERT_BROKEN(master->step = I8259_ICW4 + 1);
    ASSERT_BROKEN(slave->step = I8259_ICW4 + 1);
    ASSERT_BROKEN((master->auto_eoi = true, master->isr = 1));
    ASSERT_BROKEN((slave->step = I8259_ICW4, slave->isr = 1));
    ASSERT_BROKEN(slave->icw3 = 8);
    ASSERT_BROKEN(master->line = 0x04);                        /* a cascade nobody drives */
    ASSERT_BROKEN((slave->line = 0x01, slave->edge = 0x01));   /* a request not passed on */
    ASSERT_BROKEN((master->line = 0x01, master->edge = 0x01)); /* to the master, to the CPU */
    ASSERT_BROKEN(p.intr = true);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void step_random(struct i8259 *p, uint32_t *seed)
{
    static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x20, 0xa0, 0x4d0, 0x4d1};
    uint32_t r = next_random(seed);
    uint16_t port = ports[r >> 4 & 7];

    switch (r & 7) {
    case 0: i8259_read(p, port); break;
    case 1:
    case 2: i8259_write(p, port, (uint8_t)(r >> 8)); break;
    case 3: i8259_write(p, port, (uint8_t)(r >> 8 & 0xef)); break; /* no ICW1 */
    case 4: i8259_ack(p); break;
    default: i8259_set_irq(p, r >> 8 & 0x1f, (r >> 16 & 1) != 0); break;
    }
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    struct i8259 p;
    uint32_t seed = 8259;
    unsigned requests = 0;

    (void)state;
    i8259_reset(&p);
    for (unsigned i = 0; i < 500000; i++) {
        step_random(&p, &seed);
        assert_true(i8259_ok(&p));
        requests += i8259_intr(&p);
    }
    assert_true(requests > 10000);
}

/* Whatever was done before, a fresh initialisation gives a working pair. */
static void test_initialisation_recovers_from_any_state(void **state)
{
    struct i8259 p;
    uint32_t seed = 4711;

    (void)state;
    i8259_reset(&p);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned irq = round % 16 == 2 ? 3 : round % 16;

        for (unsigned i = 0; i < 50; i++)
            step_random(&p, &seed);
        for (unsigned i = 0; i < 16; i++)
            set(&p, i, false);
        init(&p, 0x01, 0x01);
        assert_false(i8259_intr(&p));
        set(&p, irq, true);
        assert_true(i8259_intr(&p));
        assert_int_equal(ack(&p), 0x30 + irq);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_masks_all_and_requests_nothing),
        cmocka_unit_test(test_reset_vectors_and_order_are_firmwares),
        cmocka_unit_test(test_linux_probe_reads_back_the_mask),
        cmocka_unit_test(test_other_ports_read_ones_and_drop_writes),
        cmocka_unit_test(test_vector_is_icw2_base_plus_input),
        cmocka_unit_test(test_icw2_keeps_five_bits),
        cmocka_unit_test(test_ack_moves_request_to_in_service),
        cmocka_unit_test(test_slave_request_shows_on_both_chips),
        cmocka_unit_test(test_held_edge_input_requests_once),
        cmocka_unit_test(test_falling_input_removes_edge_request),
        cmocka_unit_test(test_second_edge_while_in_service_is_kept),
        cmocka_unit_test(test_level_input_requests_again_after_eoi),
        cmocka_unit_test(test_elcr_keeps_system_inputs_edge_triggered),
        cmocka_unit_test(test_cascade_input_is_not_settable),
        cmocka_unit_test(test_mask_hides_and_keeps_the_request),
        cmocka_unit_test(test_master_mask_bit_2_hides_the_slave),
        cmocka_unit_test(test_fully_nested_higher_interrupts_lower),
        cmocka_unit_test(test_lowest_level_in_service_yields_to_all),
        cmocka_unit_test(test_simultaneous_requests_in_order_of_priority),
        cmocka_unit_test(test_specific_eoi_clears_that_level),
        cmocka_unit_test(test_each_eoi_ends_one_level),
        cmocka_unit_test(test_ocw2_no_operation_changes_nothing),
        cmocka_unit_test(test_rotate_on_nonspecific_eoi),
        cmocka_unit_test(test_nonspecific_eoi_follows_rotated_priority),
        cmocka_unit_test(test_rotate_on_empty_isr_keeps_order),
        cmocka_unit_test(test_set_priority_and_rotate_on_specific_eoi),
        cmocka_unit_test(test_auto_eoi_leaves_nothing_in_service),
        cmocka_unit_test(test_auto_eoi_on_both_chips_delivers_each_slave_request),
        cmocka_unit_test(test_rotate_in_auto_eoi_mode),
        cmocka_unit_test(test_slave_in_service_locks_out_its_higher_inputs),
        cmocka_unit_test(test_special_fully_nested_lets_them_in),
        cmocka_unit_test(test_special_fully_nested_holds_own_inputs_back),
        cmocka_unit_test(test_special_mask_enables_lower_levels),
        cmocka_unit_test(test_special_mask_looks_at_every_level),
        cmocka_unit_test(test_ocw3_fields_are_taken_each_by_its_enable),
        cmocka_unit_test(test_poll_acknowledges_the_highest),
        cmocka_unit_test(test_poll_waits_for_the_next_read),
        cmocka_unit_test(test_poll_with_auto_eoi_rotates),
        cmocka_unit_test(test_poll_of_the_slave),
        cmocka_unit_test(test_polling_both_chips_loses_no_slave_request),
        cmocka_unit_test(test_spurious_master_is_ir7_without_isr),
        cmocka_unit_test(test_spurious_slave_is_ir15_with_master_in_service),
        cmocka_unit_test(test_absent_slave_leaves_the_bus_floating),
        cmocka_unit_test(test_icw3_without_slave_bit_gives_master_vector),
        cmocka_unit_test(test_icw1_makes_a_slave_number_7),
        cmocka_unit_test(test_slave_identity_has_three_bits),
        cmocka_unit_test(test_buffered_and_mcs80_bits_do_nothing),
        cmocka_unit_test(test_icw1_resets_the_chip),
        cmocka_unit_test(test_icw1_clears_in_service),
        cmocka_unit_test(test_no_request_before_initialisation_ends),
        cmocka_unit_test(test_ltim_is_replaced_by_elcr),
        cmocka_unit_test(test_level_input_with_auto_eoi_requests_until_it_falls),
        cmocka_unit_test(test_elcr_change_takes_effect_at_once),
        cmocka_unit_test(test_invariant_sees_broken_states),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
        cmocka_unit_test(test_initialisation_recovers_from_any_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
