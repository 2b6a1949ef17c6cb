/* SPDX-License-Identifier: BSD-2-Clause */
/* unit: devices/lapic.c */
/*
 * The local APIC where the processor does a part of its work: TPR threshold, posted interrupts,
 * APIC-write exits; vectors and destinations one by one; the states that its invariant must see.
 * Sources: SDM 3C "APIC Virtualization and Virtual Interrupts"; SDM 3A, as t_lapic.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/lapic.h"
#include "lib/time.h"

#define TSC_HZ    1000000000ull
#define ISR       0x100u
#define TMR       0x180u
#define IRR       0x200u
#define EOI       0x0b0u
#define LDR       0x0d0u
#define DFR       0x0e0u
#define ESR       0x280u
#define ICR       0x300u
#define SVR       0x0f0u
#define LVT       0x320u
#define LINT0     0x350u
#define LVT_ERROR 0x370u
#define INITIAL   0x380u
#define DIVIDE    0x3e0u

static struct lapic enabled(uint32_t *page)
{
    struct lapic_effect effect;
    struct lapic l;

    lapic_reset(&l, page, 1, true, TSC_HZ);
    lapic_write(&l, SVR, 0x1ff, 0, &effect);
    assert_true(lapic_ok(&l));
    return l;
}

static enum lapic_event fixed(struct lapic *l, unsigned vector, bool level)
{
    struct apic_msg m = {
        .dest = 1, .vector = (uint8_t)vector, .level = level, .assert_level = true};
    enum lapic_event event = lapic_accept(l, &m);

    assert_true(lapic_ok(l));
    return event;
}

static uint64_t map_word(struct lapic *l, unsigned map, unsigned word)
{
    return lapic_read(l, map + word * 32, 0) | (uint64_t)lapic_read(l, map + word * 32 + 16, 0)
                                                   << 32;
}

/*
 * For every class requesting, in service and of TPR: below the threshold, and only there, the
 * request is dispensed; without a threshold no TPR makes a difference.
 */
static void test_tpr_threshold_is_where_the_request_gets_through(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];

    (void)state;
    for (unsigned i = 0; i < 15 * 16 * 16; i++) {
        struct lapic l = enabled(page);
        unsigned request = i % 15 + 1, served = i / 15 % 16, tpr = i / 240;
        uint8_t threshold;
        bool waits;

        if (served != 0) {
            fixed(&l, served * 16 + 15, false);
            lapic_ack(&l, (int)(served * 16 + 15));
        }
        fixed(&l, request * 16, false);
        lapic_set_cr8(&l, tpr);
        waits = lapic_pending(&l) < 0;
        threshold = lapic_tpr_threshold(&l);
        assert_int_equal(threshold != 0, waits && request > served);
        if (threshold == 0)
            continue;
        assert_true(threshold <= tpr);
        lapic_set_cr8(&l, threshold);
        assert_int_equal(lapic_pending(&l), -1);
        lapic_set_cr8(&l, threshold - 1u);
        assert_int_equal(lapic_pending(&l), request * 16);
    }
}

static void test_no_request_has_no_threshold(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);

    (void)state;
    lapic_set_cr8(&l, 15);
    assert_int_equal(lapic_tpr_threshold(&l), 0);
}

/*
 * SDM 3C "TPR Virtualization" has the processor clear [31:8]; a threshold that is above TPR [7:4]
 * at an entry would be refused, so nothing depends on that.
 */
static void test_only_a_byte_of_tpr_counts(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);

    (void)state;
    fixed(&l, 0x51, false);
    page[0x080 / 4] = 0xabcdef30;
    assert_int_equal(lapic_get_cr8(&l), 3);
    assert_int_equal(lapic_tpr_threshold(&l), 0);
    assert_int_equal(lapic_pending(&l), 0x51);
    assert_int_equal(lapic_read(&l, 0x080, 0), 0x30);
}

/* SDM 3C "Self-IPI Virtualization": what it leaves to us is a vector below 16. */
static void test_illegal_self_ipi_in_x2apic_mode(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);
    struct lapic_effect effect;
    uint64_t esr;

    (void)state;
    assert_true(lapic_write_base(&l, LAPIC_GPA | LAPIC_BASE_EN | LAPIC_BASE_EXTD));
    page[0x3f0 / 4] = 15;
    lapic_after_write(&l, 0x3f0, 0, &effect);
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    assert_int_equal(lapic_accept(&l, &effect.msg), LAPIC_EVENT_NONE);
    assert_int_equal(page[0x3f0 / 4], 0);
    assert_true(lapic_wrmsr(&l, 0x828, 0, 0, &effect));
    assert_true(lapic_rdmsr(&l, 0x828, &esr, 0));
    assert_int_equal(esr, 0x60); /* send and receive illegal vector */
    assert_true(lapic_ok(&l));
}

/* Told once for each change, with the whole map. */
static void test_levels_changed_tells_each_new_level_once(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);
    uint64_t levels[4];

    (void)state;
    fixed(&l, 0x31, false);
    assert_false(lapic_levels_changed(&l));
    for (unsigned vector = 16; vector < 256; vector++) {
        fixed(&l, vector, true);
        assert_true(lapic_levels_changed(&l));
        lapic_get_levels(&l, levels);
        for (unsigned i = 0; i < 4; i++) {
            assert_true(levels[i] == map_word(&l, TMR, i));
            assert_int_equal(levels[i] >> (vector % 64) & 1, i == vector / 64);
        }
        assert_false(lapic_levels_changed(&l));
        fixed(&l, vector, true); /* no news */
        assert_false(lapic_levels_changed(&l));
        fixed(&l, vector, false);
        assert_false(lapic_levels_changed(&l));
        fixed(&l, vector, true);
        assert_true(lapic_levels_changed(&l));
        lapic_get_levels(&l, levels);
        fixed(&l, vector, false);
    }
    fixed(&l, 0x31, true);
    lapic_init(&l);
    assert_false(lapic_levels_changed(&l));
}

/* As if each had come alone: "Posted-Interrupt Processing", PIR is added to VIRR. */
static void test_posted_interrupts_are_edges_that_came_together(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);
    uint64_t vectors[4] = {1ull << 16 | 1ull << 33, 1, 1ull << 63, 1ull << 31 | 1ull << 63};

    (void)state;
    fixed(&l, 33, true); /* was a level, comes as an edge now */
    fixed(&l, 34, true);
    fixed(&l, 200, false);
    lapic_accept_posted(&l, vectors);
    assert_true(lapic_ok(&l));
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = i == 0 ? 3ull << 33 : i == 3 ? 1ull << 8 : 0;

        assert_true(map_word(&l, IRR, i) == (vectors[i] | before));
        assert_true(map_word(&l, TMR, i) == (i == 0 ? 1ull << 34 : 0));
    }
    assert_int_equal(lapic_highest_irr(&l), 255);
    assert_int_equal(lapic_pending(&l), 255);
}

/* A write that the hardware stored first does the same as one that came as an exit. */
static void test_after_write_is_a_write(void **state)
{
    static const unsigned offsets[] = {0x080, 0x0b0, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300, 0x310,
                                       0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0};
    uint32_t page_a[LAPIC_SIZE / 4];
    uint32_t page_b[LAPIC_SIZE / 4];
    struct lapic a = enabled(page_a);
    struct lapic b = enabled(page_b);
    uint64_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        unsigned offset;
        uint32_t value;
        struct lapic_effect ea, eb;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        offset = offsets[seed >> 60];
        value = (uint32_t)(seed >> 20);
        lapic_write(&a, offset, value, i, &ea);
        page_b[offset / 4] = value;
        lapic_after_write(&b, offset, i, &eb);
        assert_true(lapic_ok(&b));
        assert_int_equal(ea.kind, eb.kind);
        if (ea.kind == LAPIC_EFFECT_IPI)
            assert_memory_equal(&ea.msg, &eb.msg, sizeof(ea.msg));
        for (unsigned reg = 0; reg < 0x400; reg += 16)
            assert_int_equal(lapic_read(&a, reg, i), lapic_read(&b, reg, i));
        assert_true(lapic_deadline(&a) == lapic_deadline(&b));
    }
    assert_int_equal(a.svr, b.svr);
}

/* Everything that the hardware may answer from the page by itself: not PPR, EOI, current count. */
static void assert_page_is_right(struct lapic *l, const uint32_t *page)
{
    unsigned errors = l->errors;

    for (unsigned offset = 0; offset < LAPIC_SIZE; offset++) {
        if (!lapic_is_in_page(offset))
            continue;
        assert_true(offset >= 0x020 && offset < 0x400 && offset % 16 == 0);
        assert_int_equal(lapic_read_page(l, offset), lapic_read(l, offset, 0));
    }
    for (uint64_t now = 0; now < 1000; now += 333)
        assert_int_equal(lapic_count(l, now), lapic_read(l, LAPIC_COUNT_OFFSET, now));
    assert_int_equal(l->errors, errors); /* there is each of these registers */
    for (unsigned reg = 0x020; reg < 0x400; reg += 16) {
        if (reg != 0x0a0 && reg != EOI && reg != 0x390)
            assert_int_equal(page[reg / 4], lapic_read(l, reg, 0));
    }
}

/* SDM 3C "Virtualizing Memory-Mapped APIC Accesses": the hardware reads what the chip would say. */
static void test_the_page_shows_what_a_read_gives(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);
    struct lapic_effect effect;
    uint64_t seed = 5;

    (void)state;
    lapic_write(&l, LINT0, 0x8038, 0, &effect); /* fixed, level */
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_INTERRUPT);
    assert_int_equal(page[LINT0 / 4], 0xc038); /* remote IRR */
    lapic_ack(&l, 0x38);
    lapic_set_lint(&l, 0, false);
    lapic_write(&l, EOI, 0, 0, &effect);
    assert_int_equal(page[LINT0 / 4], 0x8038);
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t value;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        value = (uint32_t)(seed >> 20);
        switch (seed >> 61) {
        case 0:
        case 1:
        case 2: lapic_write(&l, (unsigned)(seed >> 52 & 63) * 16, value, i, &effect); break;
        case 3: lapic_write(&l, SVR, 0x1ff, i, &effect); break;
        case 4: lapic_set_lint(&l, value & 1, (value & 2) != 0); break;
        case 5: fixed(&l, value & 0xff, (value & 256) != 0); break;
        case 6:
            if (lapic_pending(&l) >= 0)
                lapic_ack(&l, lapic_pending(&l));
            break;
        default: lapic_advance(&l, i); break;
        }
        assert_true(lapic_ok(&l));
        assert_page_is_right(&l, page);
    }
}

/* "Local Vector Table": timer and error interrupts are edges, whatever came with the vector before.
 */
static void test_timer_and_error_interrupts_are_edges(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);
    struct lapic_effect effect;

    (void)state;
    fixed(&l, 0x41, true);
    fixed(&l, 0x42, true);
    lapic_write(&l, LVT, 0x41, 0, &effect);
    lapic_write(&l, DIVIDE, 0x0b, 0, &effect);
    lapic_write(&l, INITIAL, 100, 0, &effect);
    lapic_advance(&l, 100);
    assert_int_equal(page[TMR / 4 + 8], 0x4);
    lapic_write(&l, LVT_ERROR, 0x42, 100, &effect);
    lapic_read(&l, 0x040, 100); /* no such register */
    assert_int_equal(page[TMR / 4 + 8], 0x0);
    assert_int_equal(page[IRR / 4 + 8], 0x6);
}

/* "ESR": send illegal vector, 0..15, for fixed and lowest priority; other modes have no vector. */
static void test_which_vectors_are_illegal_to_send(void **state)
{
    (void)state;
    for (unsigned delivery = 0; delivery < 8; delivery++) {
        for (unsigned vector = 0; vector < 32; vector++) {
            uint32_t page[LAPIC_SIZE / 4];
            struct lapic l = enabled(page);
            struct lapic_effect effect;

            lapic_write(&l, ICR, 0x4000 | delivery << 8 | vector, 0, &effect);
            assert_int_equal(effect.kind == LAPIC_EFFECT_IPI, delivery != 3 && delivery != 7);
            lapic_write(&l, ESR, 0, 0, &effect);
            assert_int_equal(lapic_read(&l, ESR, 0), delivery < 2 && vector < 16 ? 0x20 : 0);
        }
    }
}

/* "Logical Destination Mode": every bit of a flat and of a cluster destination names one APIC. */
static void test_each_bit_of_a_logical_destination(void **state)
{
    uint32_t page[LAPIC_SIZE / 4];
    struct lapic l = enabled(page);
    struct lapic_effect effect;

    (void)state;
    for (unsigned i = 0; i < 256 * 254; i++) {
        struct apic_msg m = {.dest = i / 256, .vector = 0x40, .logical = true};
        unsigned ldr = i % 256;

        lapic_write(&l, LDR, ldr << 24, 0, &effect);
        lapic_write(&l, DFR, 0xffffffff, 0, &effect);
        assert_int_equal(lapic_match(&l, &m, 5), (m.dest & ldr) != 0);
        lapic_write(&l, DFR, 0x0fffffff, 0, &effect);
        assert_int_equal(lapic_match(&l, &m, 5),
                         m.dest >> 4 == ldr >> 4 && (m.dest & ldr & 15) != 0);
    }
}

/* lapic_ok sees each state that no sequence of calls can reach. */
#define ASSERT_BROKEN(change)                                                                      \
    do {                                                                                           \
        uint32_t page[LAPIC_SIZE / 4];                                                             \
        struct lapic l = enabled(page);                                                            \
        struct lapic_effect effect;                                                                \
                                                                                                   \
        (void)effect;                                                                              \
        change;                                                                                    \
        assert_false(lapic_ok(&l));                                                                \
    } while (0)

#define WRITE(offset, value) lapic_write(&l, offset, value, 0, &effect)

static void test_invariant_sees_broken_vectors(void **state)
{
    (void)state;
    ASSERT_BROKEN(page[IRR / 4] = 1u << 15);
    ASSERT_BROKEN(page[ISR / 4] = 1);
    ASSERT_BROKEN(page[TMR / 4] = 1u << 8);
    ASSERT_BROKEN(page[0x80 / 4] = 0x100);
    ASSERT_BROKEN(page[ISR / 4 + 4] = 3);           /* two of one class in service */
    ASSERT_BROKEN(page[ISR / 4 + 28] = 0x80010000); /* in the last one, too */
}

static void disable(struct lapic *l)
{
    l->base = 0xfee00000;
    l->svr = 0xff;
}

static void test_invariant_sees_broken_registers(void **state)
{
    (void)state;
    ASSERT_BROKEN(l.svr |= 0x400);
    ASSERT_BROKEN(l.dfr &= ~1u);
    ASSERT_BROKEN(l.ldr = 1);
    ASSERT_BROKEN(l.icr_low = 0x1000);
    ASSERT_BROKEN(l.icr_low = 0x100000);
    ASSERT_BROKEN(page[0x310 / 4] = 1);
    ASSERT_BROKEN(l.esr = 1);
    ASSERT_BROKEN(l.errors = 0x10);
    ASSERT_BROKEN(l.lvt[LAPIC_LVT_LINT1] |= 0x1000);
    ASSERT_BROKEN(l.lvt[LAPIC_LVT_LINT1] |= 0x80000);
    ASSERT_BROKEN(l.lvt[LAPIC_LVT_LINT1] |= 0xc000);           /* remote IRR is LINT0's */
    ASSERT_BROKEN(l.lvt[LAPIC_LVT_LINT0] |= 0x4000);           /* of a level */
    ASSERT_BROKEN((l.lvt[LAPIC_LVT_ERROR] = 0, l.svr = 0xff)); /* unmasked, disabled */
    ASSERT_BROKEN(l.base = 0xfee01800);
    ASSERT_BROKEN(l.base = 0xfee00400);
    ASSERT_BROKEN(l.base = 0xfee00000); /* disabled, software-enabled */
    ASSERT_BROKEN((disable(&l), page[IRR / 4 + 4] = 1));
    ASSERT_BROKEN((disable(&l), page[ISR / 4 + 4] = 1));
}

static void test_invariant_sees_a_broken_timer(void **state)
{
    (void)state;
    ASSERT_BROKEN(l.divide = 4);
    ASSERT_BROKEN(l.spacing = 0);
    ASSERT_BROKEN(l.left = 1);
    ASSERT_BROKEN(l.deadline = 5); /* masked */
    ASSERT_BROKEN((WRITE(LVT, 0x30), WRITE(INITIAL, 100), l.deadline = TIME_NEVER));
    ASSERT_BROKEN((WRITE(LVT, 0x30), WRITE(INITIAL, 100), l.expiry = l.deadline = 1));
    ASSERT_BROKEN(l.tsc_deadline = 1);
    ASSERT_BROKEN((WRITE(LVT, 0x50030), l.initial = 1));
    ASSERT_BROKEN((WRITE(LVT, 0x50030), l.initial = l.left = 1));
    ASSERT_BROKEN((WRITE(LVT, 0x50030), l.tsc_deadline = 1));
    ASSERT_BROKEN((WRITE(LVT, 0x50030), l.expiry = 1));
    ASSERT_BROKEN((WRITE(LVT, 0x70030), l.tsc_deadline = 1)); /* the reserved mode */
    ASSERT_BROKEN((WRITE(LVT, 0x70030), l.expiry = 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tpr_threshold_is_where_the_request_gets_through),
        cmocka_unit_test(test_no_request_has_no_threshold),
        cmocka_unit_test(test_only_a_byte_of_tpr_counts),
        cmocka_unit_test(test_illegal_self_ipi_in_x2apic_mode),
        cmocka_unit_test(test_levels_changed_tells_each_new_level_once),
        cmocka_unit_test(test_posted_interrupts_are_edges_that_came_together),
        cmocka_unit_test(test_after_write_is_a_write),
        cmocka_unit_test(test_the_page_shows_what_a_read_gives),
        cmocka_unit_test(test_timer_and_error_interrupts_are_edges),
        cmocka_unit_test(test_which_vectors_are_illegal_to_send),
        cmocka_unit_test(test_each_bit_of_a_logical_destination),
        cmocka_unit_test(test_invariant_sees_broken_vectors),
        cmocka_unit_test(test_invariant_sees_broken_registers),
        cmocka_unit_test(test_invariant_sees_a_broken_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
