/* SPDX-License-Identifier: BSD-2-Clause */
/* unit: devices/ioapic.c */
/* I/O APIC against the 82093AA data sheet (290566) and the ICH's EOI register. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/ioapic.h"

#define MASKED 0x10000u
#define LEVEL  0x8000u
#define RIRR   0x4000u
#define STATUS 0x1000u

static uint32_t reg_read(struct ioapic *io, uint32_t reg)
{
    ioapic_write(io, 0x00, reg);
    return ioapic_read(io, 0x10);
}

static void reg_write(struct ioapic *io, uint32_t reg, uint32_t value)
{
    ioapic_write(io, 0x00, reg);
    ioapic_write(io, 0x10, value);
    assert_true(ioapic_ok(io));
}

static void entry_low(struct ioapic *io, unsigned pin, uint32_t value)
{
    reg_write(io, 0x10 + 2 * pin, value);
}

static void set_pin(struct ioapic *io, unsigned pin, bool level)
{
    ioapic_set_pin(io, pin, level);
    assert_true(ioapic_ok(io));
}

static bool take(struct ioapic *io, struct apic_msg *m)
{
    bool any = ioapic_take(io, m);

    assert_true(ioapic_ok(io));
    return any;
}

static unsigned drain(struct ioapic *io)
{
    struct apic_msg m;
    unsigned n = 0;

    while (take(io, &m)) {
        n++;
        assert_true(n <= 24);
    }
    return n;
}

static struct ioapic fresh(void)
{
    struct ioapic io;

    ioapic_reset(&io, 0);
    assert_true(ioapic_ok(&io));
    return io;
}

static void test_reset_masks_every_entry(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    assert_int_equal(ioapic_read(&io, 0x00), 0);
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_int_equal(reg_read(&io, 0x10 + 2 * pin), 0x00010000);
        assert_int_equal(reg_read(&io, 0x11 + 2 * pin), 0);
    }
    assert_int_equal(reg_read(&io, 0), 0);
    assert_int_equal(reg_read(&io, 1), 0x00170020);
}

static void test_id_is_four_bits_and_arbitration_follows(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    reg_write(&io, 0, 0xffffffff);
    assert_int_equal(reg_read(&io, 0), 0x0f000000);
    assert_int_equal(reg_read(&io, 2), 0x0f000000);
    reg_write(&io, 2, 0);
    assert_int_equal(reg_read(&io, 2), 0x0f000000);
    reg_write(&io, 1, 0xffffffff);
    assert_int_equal(reg_read(&io, 1), 0x00170020);
}

static void test_ioregsel_has_eight_bits_and_reads_back(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    ioapic_write(&io, 0, 0x123);
    assert_int_equal(ioapic_read(&io, 0), 0x23);
}

static void test_registers_that_do_not_exist_read_0(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    for (uint32_t reg = 3; reg < 0x100; reg++) {
        if (reg >= 0x10 && reg < 0x40)
            continue;
        reg_write(&io, reg, 0xffffffff);
        assert_int_equal(reg_read(&io, reg), 0);
    }
    assert_int_equal(ioapic_read(&io, 0x40), 0);
    assert_int_equal(ioapic_read(&io, 0x04), 0);
    assert_int_equal(reg_read(&io, 0), 0);
}

static void test_entry_keeps_defined_bits_only(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    reg_write(&io, 0x10 + 2 * 23, 0xffffffff);
    reg_write(&io, 0x11 + 2 * 23, 0xffffffff);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 23), 0x0001afff);
    assert_int_equal(reg_read(&io, 0x11 + 2 * 23), 0xff000000);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 22), 0x00010000);
}

static void test_edge_message_carries_the_entry(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    reg_write(&io, 0x11 + 2 * 4, 0xa5000000);
    entry_low(&io, 4, 0x0900 | 0x34); /* logical, lowest priority */
    set_pin(&io, 4, true);
    assert_true(take(&io, &m));
    assert_int_equal(m.dest, 0xa5);
    assert_int_equal(m.vector, 0x34);
    assert_int_equal(m.delivery, APIC_LOWEST);
    assert_int_equal(m.shorthand, APIC_DEST_FIELD);
    assert_true(m.logical);
    assert_false(m.level);
    assert_false(m.wide);
    assert_true(m.assert_level);
    assert_false(take(&io, &m));
    assert_int_equal(reg_read(&io, 0x10 + 2 * 4) & RIRR, 0);
}

/* Each half is written by itself, and every field arrives for the smallest and the largest value.
 */
static void test_halves_of_an_entry_are_independent(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    entry_low(&io, 7, 0x0035);
    reg_write(&io, 0x11 + 2 * 7, 0x80000000);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 7), 0x0035);
    set_pin(&io, 7, true);
    assert_true(take(&io, &m));
    assert_int_equal(m.dest, 0x80);
    assert_int_equal(m.vector, 0x35);
    assert_int_equal(m.delivery, APIC_FIXED);
    assert_false(m.logical);
    entry_low(&io, 7, 0x08fe | LEVEL);
    assert_int_equal(reg_read(&io, 0x11 + 2 * 7), 0x80000000);
    assert_true(take(&io, &m));
    assert_int_equal(m.vector, 0xfe);
    assert_true(m.logical);
    assert_true(m.level);
}

/* "Delivery Status" is set from the event to the delivery, and read only. */
static void test_delivery_status_is_set_until_delivery(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    entry_low(&io, 2, 0x30 | STATUS);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 2), 0x30);
    set_pin(&io, 2, true);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 2), 0x30 | STATUS);
    assert_int_equal(reg_read(&io, 0x11 + 2 * 2), 0);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 3), MASKED);
    assert_true(take(&io, &m));
    assert_int_equal(reg_read(&io, 0x10 + 2 * 2), 0x30);
    entry_low(&io, 9, 0x52 | LEVEL);
    set_pin(&io, 9, true);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x52 | LEVEL | STATUS);
    set_pin(&io, 9, false);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x52 | LEVEL);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 1);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x52 | LEVEL | RIRR);
}

/* The entry is what it is at the time of delivery; masking takes an edge back. */
static void test_entry_rewritten_before_delivery(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    entry_low(&io, 2, 0x30);
    set_pin(&io, 2, true);
    entry_low(&io, 2, 0x31);
    assert_true(take(&io, &m));
    assert_int_equal(m.vector, 0x31);
    set_pin(&io, 2, false);
    set_pin(&io, 2, true);
    entry_low(&io, 2, 0x31 | MASKED);
    entry_low(&io, 2, 0x31);
    assert_false(take(&io, &m));
    set_pin(&io, 2, false);
    set_pin(&io, 2, true);
    entry_low(&io, 2, 0x331); /* reserved delivery mode */
    entry_low(&io, 2, 0x31);
    assert_false(take(&io, &m));
}

static void test_edge_one_message_per_rising_edge(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 2, 0x30);
    set_pin(&io, 2, true);
    assert_int_equal(drain(&io), 1);
    set_pin(&io, 2, true);
    assert_int_equal(drain(&io), 0);
    set_pin(&io, 2, false);
    assert_int_equal(drain(&io), 0);
    set_pin(&io, 2, true);
    assert_int_equal(drain(&io), 1);
}

/* "A new edge on that Interrupt input pin will not be recognized until ..." it was sent */
static void test_edges_before_delivery_coalesce(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 2, 0x30);
    for (int i = 0; i < 3; i++) {
        set_pin(&io, 2, true);
        set_pin(&io, 2, false);
    }
    assert_int_equal(drain(&io), 1);
}

/* "Edge-sensitive interrupts signaled on a masked interrupt pin are ignored" */
static void test_masked_edge_is_lost(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 2, 0x30 | MASKED);
    set_pin(&io, 2, true);
    assert_int_equal(drain(&io), 0);
    entry_low(&io, 2, 0x30);
    assert_int_equal(drain(&io), 0);
    set_pin(&io, 2, false);
    set_pin(&io, 2, true);
    assert_int_equal(drain(&io), 1);
}

static void test_level_sets_remote_irr_and_waits_for_eoi(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL);
    set_pin(&io, 9, true);
    assert_true(take(&io, &m));
    assert_true(m.level);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x51 | LEVEL | RIRR);
    assert_false(take(&io, &m));
    set_pin(&io, 9, false);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 0);
    ioapic_eoi(&io, 0x52);
    assert_int_equal(drain(&io), 0);
    ioapic_eoi(&io, 0x51); /* still asserted: again */
    assert_int_equal(drain(&io), 1);
    set_pin(&io, 9, false);
    ioapic_eoi(&io, 0x51);
    assert_int_equal(drain(&io), 0);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x51 | LEVEL);
}

static void test_lowest_priority_can_be_level_triggered(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    entry_low(&io, 9, 0x100 | 0xb1 | LEVEL);
    set_pin(&io, 9, true);
    assert_true(take(&io, &m));
    assert_int_equal(m.delivery, APIC_LOWEST);
    assert_true(m.level);
    assert_false(take(&io, &m));
    ioapic_eoi(&io, 0x31);
    assert_false(take(&io, &m));
    ioapic_write(&io, 0x40, 0x31);
    assert_false(take(&io, &m));
    ioapic_write(&io, 0x40, 0xb1);
    assert_true(take(&io, &m));
}

/* "Polarity": pins are logical here, so both settings deliver when the device asserts. */
static void test_polarity_is_kept_and_levels_are_logical(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x52 | LEVEL | 0x2000);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x52 | LEVEL | 0x2000);
    assert_int_equal(drain(&io), 0);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 1);
}

static void test_level_withdrawn_before_delivery_sends_nothing(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL);
    set_pin(&io, 9, true);
    set_pin(&io, 9, false);
    assert_int_equal(drain(&io), 0);
}

static void test_unmasking_an_asserted_level_delivers(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL | MASKED);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 0);
    entry_low(&io, 9, 0x51 | LEVEL);
    assert_int_equal(drain(&io), 1);
}

static void test_masking_keeps_remote_irr(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 1);
    entry_low(&io, 9, 0x51 | LEVEL | MASKED);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x51 | LEVEL | MASKED | RIRR);
    ioapic_eoi(&io, 0x51);
    assert_int_equal(drain(&io), 0);
    entry_low(&io, 9, 0x51 | LEVEL);
    assert_int_equal(drain(&io), 1);
}

/* What Linux does for versions below 20H: mask and edge, then back. */
static void test_switch_to_edge_and_back_clears_remote_irr(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 1);
    entry_low(&io, 9, 0x51 | MASKED);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x51 | MASKED);
    entry_low(&io, 9, 0x51 | LEVEL);
    assert_int_equal(drain(&io), 1);
}

static void test_software_cannot_write_remote_irr(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL | RIRR);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 9), 0x51 | LEVEL);
    set_pin(&io, 9, true);
    assert_int_equal(drain(&io), 1);
}

static void test_switch_to_level_drops_an_unsent_edge(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51);
    set_pin(&io, 9, true);
    set_pin(&io, 9, false);
    entry_low(&io, 9, 0x51 | LEVEL);
    assert_int_equal(drain(&io), 0);
}

static void test_switch_to_edge_while_asserted_is_no_edge(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 9, 0x51 | LEVEL | MASKED);
    set_pin(&io, 9, true);
    entry_low(&io, 9, 0x51);
    assert_int_equal(drain(&io), 0);
}

static void test_eoi_register_ends_every_entry_of_the_vector(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 5, 0x61 | LEVEL);
    entry_low(&io, 6, 0x61 | LEVEL);
    entry_low(&io, 7, 0x62 | LEVEL);
    for (unsigned pin = 5; pin < 8; pin++) {
        set_pin(&io, pin, true);
        assert_int_equal(drain(&io), 1);
        set_pin(&io, pin, false);
    }
    ioapic_write(&io, 0x40, 0xffffff61);
    assert_true(ioapic_ok(&io));
    assert_int_equal(reg_read(&io, 0x10 + 2 * 5) & RIRR, 0);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 6) & RIRR, 0);
    assert_int_equal(reg_read(&io, 0x10 + 2 * 7) & RIRR, RIRR);
}

/* "NMI ... treated as an edge triggered interrupt even if it is programmed as a level" */
static void test_nmi_with_level_trigger_is_an_edge(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    entry_low(&io, 1, 0x400 | LEVEL);
    set_pin(&io, 1, true);
    assert_true(take(&io, &m));
    assert_int_equal(m.delivery, APIC_NMI);
    assert_false(m.level);
    assert_int_equal(drain(&io), 0);
    set_pin(&io, 1, false);
    set_pin(&io, 1, true);
    assert_int_equal(drain(&io), 1);
}

/* "SMI", "INIT" and "ExtINT": as the NMI; the vector is passed on as it is. */
static void test_every_delivery_mode_is_sent(void **state)
{
    static const uint8_t edge_only[] = {APIC_SMI, APIC_NMI, APIC_INIT, APIC_EXTINT};
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    for (unsigned i = 0; i < sizeof(edge_only); i++) {
        entry_low(&io, 12, (uint32_t)edge_only[i] << 8 | 0x21 | LEVEL);
        set_pin(&io, 12, true);
        assert_true(take(&io, &m));
        assert_int_equal(m.delivery, edge_only[i]);
        assert_int_equal(m.vector, 0x21);
        assert_false(m.level);
        assert_int_equal(reg_read(&io, 0x10 + 2 * 12) & (RIRR | LEVEL), LEVEL);
        assert_false(take(&io, &m));
        set_pin(&io, 12, false);
    }
}

static void test_reserved_delivery_modes_send_nothing(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    entry_low(&io, 1, 0x330); /* 011b */
    entry_low(&io, 2, 0x630); /* 110b: a SIPI in an ICR */
    entry_low(&io, 3, 0x730 | LEVEL);
    for (unsigned pin = 1; pin < 4; pin++)
        set_pin(&io, pin, true);
    assert_int_equal(drain(&io), 1); /* the ExtINT */
}

static void test_several_pins_are_all_delivered(void **state)
{
    struct ioapic io = fresh();
    struct apic_msg m;

    (void)state;
    for (unsigned pin = 0; pin < 24; pin++) {
        entry_low(&io, pin, 0x30 + pin + (pin % 2 != 0 ? LEVEL : 0));
        set_pin(&io, pin, true);
    }
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_true(take(&io, &m));
        assert_int_equal(m.vector, 0x30 + pin);
    }
    assert_false(take(&io, &m));
}

static void test_reset_keeps_the_wires(void **state)
{
    struct ioapic io;

    (void)state;
    ioapic_reset(&io, 0xff000000u | 1u << 9 | 1u);
    assert_true(ioapic_ok(&io));
    entry_low(&io, 9, 0x51 | LEVEL);
    entry_low(&io, 10, 0x52 | LEVEL);
    entry_low(&io, 0, 0x53 | LEVEL);
    assert_int_equal(drain(&io), 2);
}

static void test_pins_beyond_the_last_are_ignored(void **state)
{
    struct ioapic io = fresh();

    (void)state;
    set_pin(&io, 24, true);
    set_pin(&io, 0xffffffff, true);
    assert_int_equal(drain(&io), 0);
}

/* ioapic_ok sees each state that no sequence of calls can reach. */
#define ASSERT_BROKEN(change)                                                                      \
    do {                                                                                           \
        struct ioapic io = fresh();                                                                \
                                                                                                   \
        entry_low(&io, 1, 0x31);                                                                   \
        entry_low(&io, 2, 0x32 | LEVEL);                                                           \
        entry_low(&io, 3, 0x333);                                                                  \
        change;                                                                                    \
        assert_false(ioapic_ok(&io));                                                              \
    } while (0)

static void test_invariant_sees_broken_states(void **state)
{
    (void)state;
    ASSERT_BROKEN(io.entry[0] |= STATUS);
    ASSERT_BROKEN(io.entry[23] |= RIRR);
    ASSERT_BROKEN(io.entry[23] |= 1ull << 55);
    ASSERT_BROKEN(io.remote_irr = 1u << 1); /* of an edge */
    ASSERT_BROKEN((io.edges = 1u << 2));    /* of a level */
    ASSERT_BROKEN((io.edges = 1u << 4));    /* of a masked pin */
    ASSERT_BROKEN((io.edges = 1u << 3));    /* of a mode that cannot send */
    ASSERT_BROKEN(io.edges = 1u << 1);      /* not ready to be sent */
    ASSERT_BROKEN(io.asserted = 1u << 2);   /* likewise */
    ASSERT_BROKEN(io.ready = 1u << 1);      /* nothing to send */
    ASSERT_BROKEN(io.ready = 1u << 2);      /* likewise */
    ASSERT_BROKEN(io.asserted = 1u << 24);
    ASSERT_BROKEN(io.edges = 1u << 24);
    ASSERT_BROKEN(io.remote_irr = 1u << 31);
    ASSERT_BROKEN(io.ready = 1u << 24);
    ASSERT_BROKEN(io.select = 0x100);
    ASSERT_BROKEN(io.id = 0x10000000);
    ASSERT_BROKEN(io.id = 0x00800000);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_step(struct ioapic *io, uint64_t r)
{
    struct apic_msg m;
    uint32_t value = (uint32_t)(r >> 32);

    switch (r % 8) {
    case 0: ioapic_write(io, 0, value & 0x3f); break;
    case 1:
    case 2: ioapic_write(io, 0x10, value & ((r & 64) != 0 ? 0xfffef8ff : ~0u)); break;
    case 3: ioapic_write(io, (unsigned)(r >> 8 & 0xff), value); break;
    case 4: ioapic_eoi(io, (uint8_t)(r >> 8)); break;
    case 5: (void)ioapic_read(io, (unsigned)(r >> 8 & 0x7f)); break;
    case 6: ioapic_set_pin(io, (unsigned)(r >> 8 & 31), (r >> 16 & 1) != 0); break;
    default:
        if (ioapic_take(io, &m)) {
            assert_int_not_equal(m.delivery, 3);
            assert_int_not_equal(m.delivery, APIC_STARTUP);
            assert_true(!m.level || m.delivery <= APIC_LOWEST);
        }
    }
}

static void test_any_sequence_keeps_the_invariant_and_drains(void **state)
{
    struct ioapic io = fresh();
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    unsigned sent = 0;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        random_step(&io, random_next(&seed));
        assert_true(ioapic_ok(&io));
        if (i % 16 == 0)
            sent += drain(&io);
    }
    assert_true(sent > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_masks_every_entry),
        cmocka_unit_test(test_id_is_four_bits_and_arbitration_follows),
        cmocka_unit_test(test_ioregsel_has_eight_bits_and_reads_back),
        cmocka_unit_test(test_registers_that_do_not_exist_read_0),
        cmocka_unit_test(test_entry_keeps_defined_bits_only),
        cmocka_unit_test(test_edge_message_carries_the_entry),
        cmocka_unit_test(test_halves_of_an_entry_are_independent),
        cmocka_unit_test(test_delivery_status_is_set_until_delivery),
        cmocka_unit_test(test_entry_rewritten_before_delivery),
        cmocka_unit_test(test_edge_one_message_per_rising_edge),
        cmocka_unit_test(test_edges_before_delivery_coalesce),
        cmocka_unit_test(test_masked_edge_is_lost),
        cmocka_unit_test(test_level_sets_remote_irr_and_waits_for_eoi),
        cmocka_unit_test(test_lowest_priority_can_be_level_triggered),
        cmocka_unit_test(test_polarity_is_kept_and_levels_are_logical),
        cmocka_unit_test(test_level_withdrawn_before_delivery_sends_nothing),
        cmocka_unit_test(test_unmasking_an_asserted_level_delivers),
        cmocka_unit_test(test_masking_keeps_remote_irr),
        cmocka_unit_test(test_switch_to_edge_and_back_clears_remote_irr),
        cmocka_unit_test(test_software_cannot_write_remote_irr),
        cmocka_unit_test(test_switch_to_level_drops_an_unsent_edge),
        cmocka_unit_test(test_switch_to_edge_while_asserted_is_no_edge),
        cmocka_unit_test(test_eoi_register_ends_every_entry_of_the_vector),
        cmocka_unit_test(test_nmi_with_level_trigger_is_an_edge),
        cmocka_unit_test(test_every_delivery_mode_is_sent),
        cmocka_unit_test(test_reserved_delivery_modes_send_nothing),
        cmocka_unit_test(test_several_pins_are_all_delivered),
        cmocka_unit_test(test_reset_keeps_the_wires),
        cmocka_unit_test(test_pins_beyond_the_last_are_ignored),
        cmocka_unit_test(test_invariant_sees_broken_states),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant_and_drains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
