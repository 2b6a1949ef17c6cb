/* unit: devices/fw_cfg.c lib/string.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* fw_cfg. Expected values: QEMU Documentation, "QEMU Firmware Configuration (fw_cfg) Device". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/fw_cfg.h"
#include "lib/string.h"

static const uint8_t blob[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
static struct fw_cfg chip;
static struct fw_cfg *const f = &chip;

static int fresh(void **state)
{
    (void)state;
    fw_cfg_init(f);
    fw_cfg_reset(f);
    assert_true(fw_cfg_ok(f));
    return 0;
}

static bool out(uint16_t port, unsigned size, uint32_t value)
{
    uint64_t gpa = 0;
    bool dma = fw_cfg_write(f, port, size, value, &gpa);

    assert_true(fw_cfg_ok(f));
    return dma;
}

static uint8_t next_byte(void)
{
    uint32_t value = fw_cfg_read(f, 0x511, 1);

    assert_true(fw_cfg_ok(f));
    assert_true(value < 0x100);
    return (uint8_t)value;
}

static void expect_bytes(uint16_t key, const void *bytes, size_t len)
{
    const uint8_t *expected = bytes;

    assert_false(out(0x510, 2, key));
    for (size_t i = 0; i < len; i++)
        assert_int_equal(next_byte(), expected[i]);
}

static struct fw_cfg_dma descriptor(uint32_t control, uint32_t length, uint64_t gpa)
{
    return (struct fw_cfg_dma){__builtin_bswap32(control), __builtin_bswap32(length),
                               __builtin_bswap64(gpa)};
}

static void expect_descriptor(const struct fw_cfg_dma *d, uint32_t control, uint32_t length)
{
    assert_int_equal(__builtin_bswap32(d->control), control);
    assert_int_equal(__builtin_bswap32(d->length), length);
}

/* "Signature (Key 0x0000)", "Revision / feature bitmap (Key 0x0001)" */
static void test_signature_and_revision(void **state)
{
    (void)state;
    expect_bytes(0x0000, "QEMU", 4);
    expect_bytes(0x0001, "\x03\0\0\0", 4);
    expect_bytes(0x0001, "\x03\0\0\0\0\0", 6); /* selecting begins anew; zeros after the end */
}

static void test_the_signature_is_selected_after_reset(void **state)
{
    (void)state;
    assert_int_equal(next_byte(), 'Q');
    out(0x510, 2, 1);
    fw_cfg_reset(f);
    assert_int_equal(next_byte(), 'Q');
}

static void test_items_by_key(void **state)
{
    (void)state;
    assert_true(fw_cfg_add(f, 0x11, blob, sizeof(blob)));
    assert_true(fw_cfg_add(f, 0x12, NULL, 0));
    expect_bytes(0x11, "\0\1\2\3\4\5\6\7\x8\x9\0\0", 12);
    expect_bytes(0x12, "\0\0", 2);
    expect_bytes(0x13, "\0\0", 2);     /* an absent item reads 0 */
    expect_bytes(0x4011, "\0\1\2", 3); /* bit 14 asks for write mode, which nothing has */
}

/* "File Directory (Key 0x0019)" */
static void test_directory(void **state)
{
    uint8_t expected[4 + 2 * 64] = {0, 0, 0, 2, /* first */ 0, 0, 0, 10, 0, 0x20, 0, 0};
    static const uint8_t second[8] = {0, 0, 1, 0, 0, 0x21, 0, 0};
    static uint8_t big[256];

    (void)state;
    memcpy(expected + 12, "etc/a", 5);
    memcpy(expected + 4 + 64, second, 8);
    memcpy(expected + 4 + 64 + 8, "opt/b", 5);
    assert_true(fw_cfg_add_file(f, "etc/a", blob, sizeof(blob)));
    assert_true(fw_cfg_add_file(f, "opt/b", big, sizeof(big)));
    expect_bytes(0x19, expected, sizeof(expected));
    expect_bytes(0x20, blob, sizeof(blob));
    expect_bytes(0x21, big, sizeof(big));
}

static void test_limits(void **state)
{
    char name[FW_CFG_NAME_MAX + 2];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[FW_CFG_NAME_MAX + 1] = 0;
    assert_false(fw_cfg_add_file(f, name, blob, 1));
    name[FW_CFG_NAME_MAX] = 0;
    for (unsigned i = 3; i < FW_CFG_ITEMS_MAX; i++)
        assert_true(fw_cfg_add_file(f, name, blob, 1));
    assert_false(fw_cfg_add_file(f, "more", blob, 1));
    assert_false(fw_cfg_add(f, 0x11, blob, 1));
    assert_true(fw_cfg_ok(f));
}

static void test_other_sizes_and_ports(void **state)
{
    (void)state;
    assert_int_equal(fw_cfg_read(f, 0x510, 1), 0); /* write only */
    assert_int_equal(fw_cfg_read(f, 0x511, 2), 0);
    out(0x510, 1, 1);
    out(0x511, 1, 1);
    assert_int_equal(next_byte(), 'Q');
}

/* "Guest-side DMA Interface": the port reads 51454d5520434647H, big-endian. */
static void test_dma_signature(void **state)
{
    (void)state;
    assert_int_equal(fw_cfg_read(f, 0x514, 4), 0x554d4551); /* "QEMU" */
    assert_int_equal(fw_cfg_read(f, 0x518, 4), 0x47464320); /* " CFG" */
    assert_int_equal(fw_cfg_read(f, 0x51b, 1), 'G');
    assert_int_equal(fw_cfg_read(f, 0x51a, 4), 0x4746); /* and nothing beyond */
    assert_int_equal(fw_cfg_read(f, 0x512, 2), 0);
}

static void test_dma_address(void **state)
{
    uint64_t gpa = 0;

    (void)state;
    assert_true(fw_cfg_write(f, 0x518, 4, 0x78563412, &gpa));
    assert_true(gpa == 0x12345678);
    assert_false(out(0x514, 4, 0x01000000));
    assert_true(fw_cfg_write(f, 0x518, 4, 0x00100000, &gpa));
    assert_true(gpa == 0x100001000ull);
    fw_cfg_dma_end(f);
    assert_true(fw_cfg_write(f, 0x518, 4, 0x00100000, &gpa));
    assert_true(gpa == 0x1000);
    assert_false(out(0x518, 2, 0));
    assert_false(out(0x514, 1, 0));
    assert_false(out(0x51c, 4, 0));
}

static void test_dma_reads_in_steps(void **state)
{
    struct fw_cfg_dma d = descriptor(0x11 << 16 | 0x08 | 0x02, 14, 0x2000);
    const uint8_t *bytes;
    uint64_t gpa;

    (void)state;
    assert_true(fw_cfg_add(f, 0x11, blob, sizeof(blob)));
    assert_int_equal(fw_cfg_dma_step(f, &d, 8, &bytes, &gpa), 8);
    assert_ptr_equal(bytes, blob);
    assert_true(gpa == 0x2000);
    expect_descriptor(&d, 0x02, 6);
    assert_int_equal(fw_cfg_dma_step(f, &d, 8, &bytes, &gpa), 2);
    assert_ptr_equal(bytes, blob + 8);
    assert_true(gpa == 0x2008);
    expect_descriptor(&d, 0x02, 4);
    assert_int_equal(fw_cfg_dma_step(f, &d, 8, &bytes, &gpa), 4); /* zeros after the end */
    assert_memory_equal(bytes, "\0\0\0", 4);
    assert_true(gpa == 0x200a);
    expect_descriptor(&d, 0, 0);
    d = descriptor(0x02, 1000, 0); /* zeros come in smaller steps */
    for (uint32_t left = 1000, n; left > 0; left -= n) {
        n = fw_cfg_dma_step(f, &d, 1000, &bytes, &gpa);
        assert_in_range(n, 1, left);
        assert_int_equal(bytes[n - 1], 0);
        expect_descriptor(&d, left > n ? 0x02 : 0, left - n);
    }
}

static void test_dma_goes_on_where_the_last_access_ended(void **state)
{
    struct fw_cfg_dma d = descriptor(0x11 << 16 | 0x08, 0, 0); /* select only */
    const uint8_t *bytes;
    uint64_t gpa;

    (void)state;
    assert_true(fw_cfg_add(f, 0x11, blob, sizeof(blob)));
    out(0x510, 2, 1);
    assert_int_equal(fw_cfg_dma_step(f, &d, 64, &bytes, &gpa), 0);
    expect_descriptor(&d, 0, 0);
    assert_int_equal(next_byte(), 0);
    d = descriptor(0x04, 3, 0); /* skip */
    assert_int_equal(fw_cfg_dma_step(f, &d, 64, &bytes, &gpa), 0);
    expect_descriptor(&d, 0, 0);
    d = descriptor(0x02, 2, 0x1000);
    assert_int_equal(fw_cfg_dma_step(f, &d, 64, &bytes, &gpa), 2);
    assert_ptr_equal(bytes, blob + 4);
    d = descriptor(0x04, 0xffffffff, 0);
    assert_int_equal(fw_cfg_dma_step(f, &d, 64, &bytes, &gpa), 0);
    assert_int_equal(next_byte(), 0);
    d = descriptor(0x02 | 0x04, 0, 0); /* read goes before skip; nothing to read */
    assert_int_equal(fw_cfg_dma_step(f, &d, 64, &bytes, &gpa), 0);
    expect_descriptor(&d, 0, 0);
}

/* "the error bit": no item can be written. */
static void test_dma_write_fails(void **state)
{
    struct fw_cfg_dma d = descriptor(0x11 << 16 | 0x08 | 0x10, 4, 0x1000);
    const uint8_t *bytes;
    uint64_t gpa;

    (void)state;
    assert_true(fw_cfg_add(f, 0x11, blob, sizeof(blob)));
    assert_int_equal(fw_cfg_dma_step(f, &d, 64, &bytes, &gpa), 0);
    expect_descriptor(&d, 0x01, 0);
    assert_true(d.control == FW_CFG_DMA_FAILED);
}

static void test_invariant(void **state)
{
    (void)state;
    f->dir.count = 1;
    assert_false(fw_cfg_ok(f));
    fresh(state);
    f->key = 0x4000;
    assert_false(fw_cfg_ok(f));
    fresh(state);
    f->file_count = 4;
    assert_false(fw_cfg_ok(f));
    fresh(state);
    f->count = FW_CFG_ITEMS_MAX + 1;
    assert_false(fw_cfg_ok(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_signature_and_revision, fresh),
        cmocka_unit_test_setup(test_the_signature_is_selected_after_reset, fresh),
        cmocka_unit_test_setup(test_items_by_key, fresh),
        cmocka_unit_test_setup(test_directory, fresh),
        cmocka_unit_test_setup(test_limits, fresh),
        cmocka_unit_test_setup(test_other_sizes_and_ports, fresh),
        cmocka_unit_test_setup(test_dma_signature, fresh),
        cmocka_unit_test_setup(test_dma_address, fresh),
        cmocka_unit_test_setup(test_dma_reads_in_steps, fresh),
        cmocka_unit_test_setup(test_dma_goes_on_where_the_last_access_ended, fresh),
        cmocka_unit_test_setup(test_dma_write_fails, fresh),
        cmocka_unit_test_setup(test_invariant, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
