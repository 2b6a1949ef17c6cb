/* unit: devices/pci_host.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI mechanism #1, 440FX. Expected values: PCI 3.0; 82441FX data sheet; Linux 6.1 arch/x86/pci. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/pci_host.h"

static struct pci_host fresh(void)
{
    struct pci_host p;

    pci_host_reset(&p, false);
    assert_true(pci_host_ok(&p));
    return p;
}

/* As firmware for QEMU is given it. */
static struct pci_host fresh_qemu(void)
{
    struct pci_host p;

    pci_host_reset(&p, true);
    assert_true(pci_host_ok(&p));
    return p;
}

static void out(struct pci_host *p, uint16_t port, unsigned size, uint32_t value)
{
    pci_host_write(p, port, size, value);
    assert_true(pci_host_ok(p));
}

static uint32_t config_read(struct pci_host *p, uint32_t address, unsigned size)
{
    out(p, 0xcf8, 4, 0x80000000u | (address & ~3u));
    return pci_host_read(p, (uint16_t)(0xcfc + (address & 3)), size);
}

static void config_write(struct pci_host *p, uint32_t address, unsigned size, uint32_t value)
{
    out(p, 0xcf8, 4, 0x80000000u | (address & ~3u));
    out(p, (uint16_t)(0xcfc + (address & 3)), size, value);
}

/* pci_check_type1() and pci_check_type2() of Linux 6.1 arch/x86/pci/direct.c */
static void test_linux_finds_mechanism_1_and_not_2(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    out(&p, 0xcfb, 1, 0x01);
    assert_int_equal(pci_host_read(&p, 0xcf8, 4), 0);
    out(&p, 0xcf8, 4, 0x80000000u);
    assert_true(pci_host_read(&p, 0xcf8, 4) == 0x80000000u);
    out(&p, 0xcfb, 1, 0x00);
    out(&p, 0xcf8, 1, 0x00);
    out(&p, 0xcfa, 1, 0x00);
    assert_int_equal(pci_host_read(&p, 0xcf8, 1), 0xff);
    assert_int_equal(pci_host_read(&p, 0xcfa, 1), 0xff);
    assert_true(pci_host_read(&p, 0xcf8, 4) == 0x80000000u);
}

static void test_address_stores_what_mechanism_1_defines(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    out(&p, 0xcf8, 4, 0xffffffffu);
    assert_true(pci_host_read(&p, 0xcf8, 4) == 0x80fffffcu);
    out(&p, 0xcf8, 2, 0);
    out(&p, 0xcfa, 2, 0);
    out(&p, 0xcf9, 1, 0x06);
    assert_true(pci_host_read(&p, 0xcf8, 4) == 0x80fffffcu);
    assert_int_equal(pci_host_read(&p, 0xcf8, 2), 0xffff);
}

static void test_host_bridge_header(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    assert_true(config_read(&p, 0x00, 4) == 0x12378086u);
    assert_true(config_read(&p, 0x04, 4) == 0x02800006u);
    assert_true(config_read(&p, 0x08, 4) == 0x06000002u);
    assert_true(config_read(&p, 0x0c, 4) == 0x00000000u);
    for (uint32_t reg = 0x10; reg < 0x100; reg += 4)
        assert_true(config_read(&p, reg, 4) == (reg == 0x70 ? 0x00020000u : 0)); /* SMRAM: 02H */
}

static void test_data_port_sizes_and_lanes(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    assert_int_equal(config_read(&p, 0x00, 2), 0x8086);
    assert_int_equal(config_read(&p, 0x02, 2), 0x1237);
    assert_int_equal(config_read(&p, 0x0b, 1), 0x06);
    assert_int_equal(config_read(&p, 0x08, 1), 0x02);
    assert_int_equal(config_read(&p, 0x0e, 1), 0x00);
    assert_int_equal(config_read(&p, 0x03, 2), 0xff12); /* beyond CFFH */
    assert_int_equal(config_read(&p, 0x01, 2), 0x3780);
}

static void test_other_functions_are_absent(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    for (uint32_t function = 1; function < 0x10000; function++) {
        assert_true(config_read(&p, function << 8, 4) == 0xffffffffu);
        config_write(&p, function << 8 | 4, 4, 0xffffffffu);
    }
    assert_int_equal(config_read(&p, 0x100 | 0x0e, 1), 0xff);
    assert_int_equal(config_read(&p, 0x04, 2), 0x0006);
}

static void test_disabled_address_hides_the_data_port(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    assert_true(pci_host_read(&p, 0xcfc, 4) == 0xffffffffu);
    out(&p, 0xcf8, 4, 0x00000004u);
    out(&p, 0xcfc, 2, 0x0140);
    assert_int_equal(pci_host_read(&p, 0xcfc, 2), 0xffff);
    assert_int_equal(config_read(&p, 0x04, 2), 0x0006);
}

/* 82441FX "PAM - Programmable Attribute Map Registers": [5:4] and [1:0] of 59H..5FH, 59H [5:4] */
static void test_pam_is_stored(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    for (uint32_t reg = 0x59; reg <= 0x5f; reg++) {
        config_write(&p, reg, 1, 0xff);
        assert_int_equal(config_read(&p, reg, 1), reg == 0x59 ? 0x30 : 0x33);
    }
    config_write(&p, 0x5a, 1, 0x10);
    assert_true(config_read(&p, 0x58, 4) == 0x33103000u);
    assert_int_equal(config_read(&p, 0x58, 1), 0);
}

static void test_qemu_functions(void **state)
{
    struct pci_host p = fresh_qemu();

    (void)state;
    assert_true(config_read(&p, 0x00, 4) == 0x12378086u);
    assert_true(config_read(&p, 0x2c, 4) == 0x11001af4u);
    assert_true(config_read(&p, 0x800, 4) == 0x70008086u); /* 82371SB, function 0 */
    assert_int_equal(config_read(&p, 0x80a, 2), 0x0601);
    assert_int_equal(config_read(&p, 0x80e, 1), 0x80);
    assert_true(config_read(&p, 0xb00, 4) == 0x71138086u); /* 82371AB, function 3 */
    assert_int_equal(config_read(&p, 0xb0a, 2), 0x0680);
    assert_int_equal(config_read(&p, 0xb3d, 1), 1);
    assert_true(config_read(&p, 0xb40, 4) == 0x601);
    assert_int_equal(config_read(&p, 0xb80, 1), 1);
    assert_int_equal(config_read(&p, 0xb5b, 1), 2);
    assert_true(config_read(&p, 0xb10, 4) == 0); /* no BAR */
    for (uint32_t function = 1; function < 0x10000; function++) {
        if (function != 0x08 && function != 0x0b)
            assert_true(config_read(&p, function << 8, 4) == 0xffffffffu);
    }
}

static void test_qemu_functions_registers(void **state)
{
    struct pci_host p = fresh_qemu();

    (void)state;
    config_write(&p, 0x860, 4, 0x0b0b0a0au); /* PIRQRC */
    assert_true(config_read(&p, 0x860, 4) == 0x0b0b0a0au);
    config_write(&p, 0xb40, 4, 0x0000b001u);
    assert_true(config_read(&p, 0xb40, 4) == 0x601); /* the ACPI registers do not move */
    config_write(&p, 0xb04, 2, 0x0000);
    assert_int_equal(config_read(&p, 0xb04, 2), 0x0001);
    config_write(&p, 0xb3c, 1, 0x0a);
    assert_int_equal(config_read(&p, 0xb3c, 2), 0x010a);
    config_write(&p, 0x1060, 4, 0); /* an absent function */
    assert_true(config_read(&p, 0x860, 4) == 0x0b0b0a0au);
}

static void test_only_command_and_latency_can_be_written(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    for (uint32_t reg = 0; reg < 0x100; reg += 4)
        config_write(&p, reg, 4, 0xffffffffu);
    assert_true(config_read(&p, 0x00, 4) == 0x12378086u);
    assert_true(config_read(&p, 0x04, 4) == 0x02800146u);
    assert_true(config_read(&p, 0x08, 4) == 0x06000002u);
    assert_true(config_read(&p, 0x0c, 4) == 0x0000f800u);
    assert_true(config_read(&p, 0x10, 4) == 0); /* no BAR */
    config_write(&p, 0x05, 1, 0x00);
    assert_int_equal(config_read(&p, 0x04, 2), 0x0046);
    config_write(&p, 0x04, 1, 0x00);
    assert_int_equal(config_read(&p, 0x04, 2), 0x0006);
}

static void test_byte_at_cf9_is_the_reset_register(void **state)
{
    (void)state;
    assert_true(pci_host_is_reset_port(0xcf9, 1));
    assert_false(pci_host_is_reset_port(0xcf9, 2));
    assert_false(pci_host_is_reset_port(0xcf8, 1));
}

static void test_invariant(void **state)
{
    struct pci_host p = fresh();

    (void)state;
    p.registers[0] ^= 1;
    assert_false(pci_host_ok(&p));
    p = fresh();
    p.address = 1;
    assert_false(pci_host_ok(&p));
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    static const unsigned sizes[4] = {1, 2, 4, 4};
    struct pci_host p = fresh_qemu();
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t value;
        uint16_t port;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        value = (uint32_t)(seed >> 32);
        port = (uint16_t)(0xcf8 + (seed >> 20) % 8);
        if ((seed >> 28 & 1) != 0)
            value &= 0x80000bffu;
        pci_host_write(&p, port, sizes[seed >> 24 & 3], value);
        assert_true(pci_host_ok(&p));
        (void)pci_host_read(&p, port, sizes[seed >> 26 & 3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux_finds_mechanism_1_and_not_2),
        cmocka_unit_test(test_address_stores_what_mechanism_1_defines),
        cmocka_unit_test(test_host_bridge_header),
        cmocka_unit_test(test_data_port_sizes_and_lanes),
        cmocka_unit_test(test_other_functions_are_absent),
        cmocka_unit_test(test_disabled_address_hides_the_data_port),
        cmocka_unit_test(test_only_command_and_latency_can_be_written),
        cmocka_unit_test(test_byte_at_cf9_is_the_reset_register),
        cmocka_unit_test(test_pam_is_stored),
        cmocka_unit_test(test_qemu_functions),
        cmocka_unit_test(test_qemu_functions_registers),
        cmocka_unit_test(test_invariant),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
