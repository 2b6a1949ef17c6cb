/* unit: devices/acpi_pm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI fixed hardware. Expected values: ACPI 6.4 "Fixed Hardware Registers". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/acpi_pm.h"
#include "lib/time.h"

#define GHZ 1000000000ull

static struct acpi_pm fresh(uint64_t now)
{
    struct acpi_pm p;

    acpi_pm_reset(&p, GHZ, now);
    assert_true(acpi_pm_ok(&p));
    return p;
}

static uint32_t in(struct acpi_pm *p, unsigned offset, unsigned size, uint64_t now)
{
    uint32_t value = acpi_pm_read(p, offset, size, now);

    assert_true(acpi_pm_ok(p));
    return value;
}

static enum acpi_pm_action out(struct acpi_pm *p, unsigned offset, unsigned size, uint32_t value,
                               uint64_t now)
{
    enum acpi_pm_action action = acpi_pm_write(p, offset, size, value, now);

    assert_true(acpi_pm_ok(p));
    return action;
}

static void test_timer_rate_at_several_tsc_frequencies(void **state)
{
    static const uint64_t hz[] = {50000000, 200000000, 1000000000, 2893437000, 5000000000};

    (void)state;
    for (unsigned i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
        struct acpi_pm p;

        acpi_pm_reset(&p, hz[i], 77);
        assert_int_equal(in(&p, 8, 4, 77), 0);
        assert_in_range(in(&p, 8, 4, 77 + hz[i]), 3579544, 3579545);
        assert_in_range(in(&p, 8, 4, 77 + 1000 * hz[i]), 3579544999, 3579545000);
    }
}

static void test_timer_wraps_at_32_bits(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    /* 2^32 ticks are 1199.864 s: after 1200 s, 3579545 * 1200 - 2^32 = 486704 */
    assert_in_range(in(&p, 8, 4, 1200 * GHZ), 486703, 486704);
}

static void test_timer_bytes_are_those_of_the_whole(void **state)
{
    struct acpi_pm p = fresh(0);
    uint64_t now = 123456789012ull;
    uint32_t all = in(&p, 8, 4, now);

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(in(&p, 8 + i, 1, now), all >> (8 * i) & 0xff);
    assert_int_equal(in(&p, 8, 2, now), all & 0xffff);
    assert_int_equal(in(&p, 10, 2, now), all >> 16);
    out(&p, 8, 4, 0, now);
    assert_int_equal(in(&p, 8, 4, now), all);
}

static void test_timer_status_on_both_changes_of_the_top_bit(void **state)
{
    uint64_t half = 599932015940ull; /* 2^31 / 3579545 Hz = 599.932 s, in ns */
    struct acpi_pm p = fresh(0);

    (void)state;
    assert_int_equal(in(&p, 0, 2, half - 1000), 0);
    assert_int_equal(in(&p, 0, 2, half + 1000), 1);
    out(&p, 0, 2, 1, half + 2000);
    assert_int_equal(in(&p, 0, 2, 2 * half - 1000), 0);
    assert_int_equal(in(&p, 0, 2, 2 * half + 2000), 1);
    out(&p, 0, 2, 1, 2 * half + 2000);
    assert_int_equal(in(&p, 0, 2, 2 * half - 2000), 0); /* another core's clock, behind */
    assert_int_equal(in(&p, 0, 2, 2 * half + 2000), 0);
}

static void test_timer_interrupt_comes_at_the_deadline(void **state)
{
    struct acpi_pm p = fresh(0);
    uint64_t due;

    (void)state;
    assert_true(acpi_pm_deadline(&p) == TIME_NEVER);
    out(&p, 2, 2, 0x0001, 5 * GHZ);
    due = acpi_pm_deadline(&p);
    assert_true(due > 599932 * (GHZ / 1000) && due < 599933 * (GHZ / 1000));
    acpi_pm_advance(&p, due - 1000);
    assert_false(acpi_pm_sci(&p));
    acpi_pm_advance(&p, due);
    assert_true(acpi_pm_ok(&p));
    assert_true(acpi_pm_sci(&p));
    assert_int_equal(in(&p, 8, 4, due) >> 31, 1);
    assert_true(acpi_pm_deadline(&p) == TIME_NEVER);
    out(&p, 0, 2, 0x0001, due);
    assert_false(acpi_pm_sci(&p));
    assert_true(acpi_pm_deadline(&p) > due + 599 * GHZ);
}

static void test_timer_interrupt_is_not_early_at_any_frequency(void **state)
{
    static const uint64_t hz[] = {50000000, 1000000000, 2893437000};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct acpi_pm p;
        uint64_t now = 12345;

        acpi_pm_reset(&p, hz[i], 0);
        for (unsigned n = 0; n < 100; n++) {
            out(&p, 0, 4, 0x00010001, now);
            now = acpi_pm_deadline(&p);
            acpi_pm_advance(&p, now);
            assert_true(acpi_pm_sci(&p));
            assert_in_range(in(&p, 8, 4, now) & 0x7fffffff, 0, 1);
        }
    }
}

static void test_power_button_raises_sci_until_cleared(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    acpi_pm_power_button(&p);
    assert_true(acpi_pm_ok(&p));
    assert_int_equal(in(&p, 0, 2, 0), 0x0100);
    assert_false(acpi_pm_sci(&p));
    out(&p, 2, 2, 0x0100, 0);
    assert_true(acpi_pm_sci(&p));
    out(&p, 0, 2, 0x0001, 0); /* another bit */
    assert_true(acpi_pm_sci(&p));
    out(&p, 1, 1, 0x01, 0);
    assert_false(acpi_pm_sci(&p));
    assert_int_equal(in(&p, 0, 4, 0), 0x01000000);
}

/* ACPICA writes an enable bit and reads it back, also those of events that never come. */
static void test_enable_bits_of_the_specification_stick(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    out(&p, 2, 2, 0xffff, 0);
    assert_int_equal(in(&p, 2, 2, 0), 0x0721);
    out(&p, 3, 1, 0x00, 0);
    assert_int_equal(in(&p, 2, 2, 0), 0x0021);
}

static void test_control_is_in_acpi_mode_always(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    assert_int_equal(in(&p, 4, 2, 0), 0x0001);
    out(&p, 4, 2, 0x0000, 0);
    assert_int_equal(in(&p, 4, 2, 0), 0x0001);
    out(&p, 4, 2, 0xdfff, 0); /* all but SLP_EN; GBL_RLS reads 0 */
    assert_int_equal(in(&p, 4, 2, 0), 0x1c03);
}

/* acpi_hw_legacy_sleep(): SLP_TYP first, then SLP_TYP with SLP_EN. */
static void test_s5_powers_off(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    assert_int_equal(out(&p, 4, 2, 5u << 10 | 1, 0), ACPI_PM_NONE);
    assert_int_equal(out(&p, 4, 2, 5u << 10 | 0x2001, 0), ACPI_PM_POWER_OFF);
    assert_int_equal(in(&p, 4, 2, 0), 0x1401);
    assert_int_equal(out(&p, 5, 1, 0x34, 0), ACPI_PM_POWER_OFF);
    assert_int_equal(out(&p, 2, 4, 0x34000000, 0), ACPI_PM_POWER_OFF);
    assert_int_equal(ACPI_PM_SLP_TYP_S5, 5);
}

static void test_other_sleep_types_do_nothing(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    for (uint32_t type = 0; type < 8; type++) {
        enum acpi_pm_action want = type == 5 ? ACPI_PM_POWER_OFF : ACPI_PM_NONE;

        assert_int_equal(out(&p, 4, 2, type << 10 | 0x2000, 0), want);
    }
    out(&p, 4, 2, 5u << 10, 0);
    assert_int_equal(out(&p, 4, 1, 0x20, 0), ACPI_PM_NONE); /* bit 5, not 13 */
}

static void test_reads_outside_the_registers(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    assert_int_equal(in(&p, 6, 2, 0), 0x0000);
    assert_int_equal(in(&p, 11, 2, 0), 0xff00);
    assert_true(in(&p, 12, 4, 0) == 0xffffffffu);
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    static const unsigned sizes[4] = {1, 2, 4, 4};
    struct acpi_pm p = fresh(1000);
    uint64_t seed = 3, now = 0;

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        now += (seed >> 60) == 0 ? seed >> 24 : seed >> 44;
        if ((seed >> 59 & 1) != 0)
            now -= now > 500 ? 500 : 0; /* another core's clock */
        if ((seed >> 57 & 3) == 0)
            acpi_pm_power_button(&p);
        out(&p, (unsigned)(seed >> 40) % 16, sizes[seed >> 38 & 3], (uint32_t)seed, now);
        in(&p, (unsigned)(seed >> 50) % 16, sizes[seed >> 36 & 3], now);
        acpi_pm_advance(&p, now);
        assert_true(acpi_pm_ok(&p));
        assert_true(acpi_pm_deadline(&p) > now);
    }
}

/* Each rule of acpi_pm_ok() by itself. */
static void test_invariant(void **state)
{
    struct acpi_pm p = fresh(0);

    (void)state;
    p.status = 0x0010; /* BM_STS: there is no bus master */
    assert_false(acpi_pm_ok(&p));
    p = fresh(0);
    p.enable = 0x0002;
    assert_false(acpi_pm_ok(&p));
    p = fresh(0);
    p.control = 0; /* SCI_EN is always set */
    assert_false(acpi_pm_ok(&p));
    p.control = 0x2001; /* SLP_EN reads 0 */
    assert_false(acpi_pm_ok(&p));
    p = fresh(0);
    p.deadline = 1;
    assert_false(acpi_pm_ok(&p));
    p.enable = 1;
    assert_true(acpi_pm_ok(&p));
    p.status = 1;
    assert_false(acpi_pm_ok(&p));
    p.deadline = TIME_NEVER;
    assert_true(acpi_pm_ok(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer_rate_at_several_tsc_frequencies),
        cmocka_unit_test(test_timer_wraps_at_32_bits),
        cmocka_unit_test(test_timer_bytes_are_those_of_the_whole),
        cmocka_unit_test(test_timer_status_on_both_changes_of_the_top_bit),
        cmocka_unit_test(test_timer_interrupt_comes_at_the_deadline),
        cmocka_unit_test(test_timer_interrupt_is_not_early_at_any_frequency),
        cmocka_unit_test(test_power_button_raises_sci_until_cleared),
        cmocka_unit_test(test_enable_bits_of_the_specification_stick),
        cmocka_unit_test(test_control_is_in_acpi_mode_always),
        cmocka_unit_test(test_s5_powers_off),
        cmocka_unit_test(test_other_sleep_types_do_nothing),
        cmocka_unit_test(test_reads_outside_the_registers),
        cmocka_unit_test(test_invariant),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
