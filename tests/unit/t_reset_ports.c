/* unit: devices/reset_ports.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Reset ports of a PC. Expected values: PIIX3 data sheet; IBM PS/2 technical reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/reset_ports.h"

static struct reset_ports fresh(void)
{
    struct reset_ports r;

    reset_ports_reset(&r);
    assert_true(reset_ports_ok(&r));
    return r;
}

/* BOOT_CF9_FORCE of Linux 6.1 arch/x86/kernel/reboot.c, and the FADT's reset value */
static void test_cf9_resets_with_06_and_0e(void **state)
{
    struct reset_ports r = fresh();

    (void)state;
    assert_int_equal(reset_ports_read(&r, 0xcf9), 0x00);
    assert_int_equal(reset_ports_write(&r, 0xcf9, 0x02), RESET_NONE);
    assert_int_equal(reset_ports_read(&r, 0xcf9), 0x02);
    assert_int_equal(reset_ports_write(&r, 0xcf9, 0x06), RESET_VM);
    assert_int_equal(reset_ports_write(&r, 0xcf9, 0x0e), RESET_VM);
    assert_int_equal(reset_ports_write(&r, 0xcf9, 0x04), RESET_VM);
    assert_int_equal(reset_ports_write(&r, 0xcf9, 0x0a), RESET_NONE);
    assert_int_equal(reset_ports_write(&r, 0xcf9, 0x01), RESET_NONE);
}

static void test_8042_is_absent_but_for_its_reset_line(void **state)
{
    struct reset_ports r = fresh();

    (void)state;
    assert_int_equal(reset_ports_read(&r, 0x60), 0xff);
    assert_int_equal(reset_ports_read(&r, 0x64), 0xff);
    for (unsigned value = 0; value < 0x100; value++) {
        bool pulses_bit_0 = value >= 0xf0 && value % 2 == 0;

        assert_int_equal(reset_ports_write(&r, 0x64, (uint8_t)value), pulses_bit_0);
        assert_int_equal(reset_ports_write(&r, 0x60, (uint8_t)value), RESET_NONE);
    }
}

static void test_port_92_resets_on_rising_bit_0_and_keeps_a20(void **state)
{
    struct reset_ports r = fresh();

    (void)state;
    assert_int_equal(reset_ports_read(&r, 0x92), 0x02);
    assert_int_equal(reset_ports_write(&r, 0x92, 0x00), RESET_NONE);
    assert_int_equal(reset_ports_read(&r, 0x92), 0x00);
    assert_int_equal(reset_ports_write(&r, 0x92, 0x03), RESET_VM);
    assert_int_equal(reset_ports_write(&r, 0x92, 0x03), RESET_NONE);
    assert_int_equal(reset_ports_write(&r, 0x92, 0xfe), RESET_NONE);
    assert_int_equal(reset_ports_read(&r, 0x92), 0x02);
    assert_int_equal(reset_ports_write(&r, 0x92, 0x01), RESET_VM);
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    static const uint16_t ports[4] = {0x60, 0x64, 0x92, 0xcf9};
    struct reset_ports r = fresh();

    (void)state;
    for (unsigned i = 0; i < 4 * 256 * 256; i++) {
        (void)reset_ports_write(&r, ports[i & 3], (uint8_t)(i * 167 >> 2));
        assert_true(reset_ports_ok(&r));
    }
}

static void test_other_ports_and_the_invariant(void **state)
{
    struct reset_ports r = fresh();

    (void)state;
    assert_int_equal(reset_ports_read(&r, 0x61), 0xff);
    assert_int_equal(reset_ports_write(&r, 0x61, 0xff), RESET_NONE);
    r.control_a = 0x04;
    assert_false(reset_ports_ok(&r));
    r = fresh();
    r.rc = 0x04; /* RST_CPU is over at once */
    assert_false(reset_ports_ok(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cf9_resets_with_06_and_0e),
        cmocka_unit_test(test_8042_is_absent_but_for_its_reset_line),
        cmocka_unit_test(test_port_92_resets_on_rising_bit_0_and_keeps_a20),
        cmocka_unit_test(test_other_ports_and_the_invariant),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
