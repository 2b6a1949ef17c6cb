/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest finds in fw_cfg, as a firmware looks for it. Expected values: QEMU Documentation,
 * "QEMU Firmware Configuration (fw_cfg) Device"; ACPI 6.4, chapter 5.2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guest/firmware.h"
#include "guest/gmem.h"
#include "lib/bits.h"
#include "tests/fake/small_vm.h"

#define SELECT 0x08
#define READ   0x02
#define SKIP   0x04
#define WRITE  0x10

static struct vm *const vm = &vms[0];
static uint8_t kernel[200000];
static uint8_t initrd[300];
static const struct fw_cfg_file files[] = {
    {"etc/show-boot-menu", {(const uint8_t *)"\2", 1}},
    {"opt/empty",          {NULL, 0}                 },
};

static int setup(void **state)
{
    const char *problem;

    assert_int_equal(small_vm_setup(state), 0);
    for (size_t i = 0; i < sizeof(kernel); i++)
        kernel[i] = (uint8_t)(i * 7 + i / 251);
    kernel[0x1f1] = 3;
    small_vm_config.fw_cfg = true;
    small_vm_config.fw_cfg_files = files;
    small_vm_config.fw_cfg_file_count = 2;
    small_vm_config.fw_cfg_kernel = (struct guest_image){kernel, sizeof(kernel)};
    small_vm_config.fw_cfg_initrd = (struct guest_image){initrd, sizeof(initrd)};
    small_vm_config.fw_cfg_cmdline = "console=ttyS0";
    assert_int_equal(firmware_init(vm, &problem), OK);
    return 0;
}

/* --- through the ports ------------------------------------------------------------------------ */

static void read_port(uint16_t key, void *buf, size_t len)
{
    uint8_t *to = buf;

    small_vm_out(0x510, 2, key);
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)small_vm_in(0x511, 1);
}

static uint32_t read_number(uint16_t key, size_t len)
{
    uint32_t value = 0;

    read_port(key, &value, len);
    return value;
}

/* The key and length of a file; 0 if it is absent. */
static uint16_t find(const char *name, uint32_t *len)
{
    struct fw_cfg_entry entry;
    uint32_t count = __builtin_bswap32(read_number(0x19, 4));

    assert_in_range(count, 1, 40);
    for (uint32_t i = 0; i < count; i++) {
        for (size_t n = 0; n < sizeof(entry); n++)
            ((uint8_t *)&entry)[n] = (uint8_t)small_vm_in(0x511, 1);
        if (strcmp(entry.name, name) == 0) {
            *len = __builtin_bswap32(entry.size);
            return __builtin_bswap16(entry.key);
        }
    }
    return 0;
}

static uint32_t read_file(const char *name, void *buf, size_t max)
{
    uint32_t len = 0;
    uint16_t key = find(name, &len);

    assert_int_not_equal(key, 0);
    assert_in_range(len, 0, max);
    read_port(key, buf, len);
    return len;
}

static void test_absent_without_the_config(void **state)
{
    uint64_t before = vm->unclaimed_io;

    (void)state;
    small_vm_config.fw_cfg = false;
    assert_int_equal(small_vm_in(0x511, 1), 0xff);
    small_vm_out(0x510, 2, 0);
    assert_int_equal(small_vm_in(0x514, 4), 0xffffffff);
    assert_int_equal(vm->unclaimed_io, before + 3);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(read_number(0x00, 4), 0x554d4551);
    assert_int_equal(read_number(0x01, 4), 3);
    assert_int_equal(read_number(0x03, 4), SMALL_VM_MEMORY);
    assert_int_equal(read_number(0x05, 2), 1);
    assert_int_equal(read_number(0x0f, 2), 1);
    assert_int_equal(read_number(0x8002, 1), 1);
    small_vm_out(0x511, 1, 0); /* ignored */
    small_vm_out(0x510, 4, 0);
    assert_int_equal(small_vm_in(0x511, 1), 0);
}

static void test_files_of_the_config(void **state)
{
    uint8_t byte;
    uint32_t len = 1;

    (void)state;
    assert_int_equal(read_file("etc/show-boot-menu", &byte, 1), 1);
    assert_int_equal(byte, 2);
    assert_int_not_equal(find("opt/empty", &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(find("opt/other", &len), 0);
}

static void test_memory_map(void **state)
{
    struct e820_range map[2];
    const char *problem;

    (void)state;
    assert_int_equal(read_file("etc/e820", map, sizeof(map)), 20);
    assert_true(map[0].gpa == 0 && map[0].len == SMALL_VM_MEMORY && map[0].type == 1);
    small_vm_config.memory = 5 * GIB;
    assert_int_equal(firmware_init(vm, &problem), OK);
    assert_int_equal(read_file("etc/e820", map, sizeof(map)), 40);
    assert_true(map[0].len == 3 * GIB && map[1].gpa == 4 * GIB && map[1].len == 2 * GIB);
    assert_true(map[1].type == 1);
}

static void test_kernel_is_cut_as_qemu_does(void **state)
{
    char cmdline[14];
    uint8_t byte[3];

    (void)state;
    assert_int_equal(read_number(0x17, 4), 2048); /* (3 + 1) sectors */
    assert_int_equal(read_number(0x08, 4), sizeof(kernel) - 2048);
    assert_int_equal(read_number(0x0b, 4), sizeof(initrd));
    assert_int_equal(read_number(0x14, 4), 14);
    read_port(0x15, cmdline, 14);
    assert_string_equal(cmdline, "console=ttyS0");
    read_port(0x18, byte, 3);
    assert_memory_equal(byte, kernel, 3);
    read_port(0x11, byte, 3);
    assert_memory_equal(byte, kernel + 2048, 3);
}

static void test_small_or_no_kernel(void **state)
{
    const char *problem;

    (void)state;
    kernel[0x1f1] = 0; /* means 4 */
    assert_int_equal(firmware_init(vm, &problem), OK);
    assert_int_equal(read_number(0x17, 4), 2560);
    small_vm_config.fw_cfg_kernel.len = 300;
    assert_int_equal(firmware_init(vm, &problem), OK);
    assert_int_equal(read_number(0x17, 4), 0);
    assert_int_equal(read_number(0x08, 4), 300);
    small_vm_config.fw_cfg_kernel.len = 0;
    assert_int_equal(firmware_init(vm, &problem), OK);
    assert_int_equal(read_number(0x08, 4), 0);
}

static void test_too_many_files(void **state)
{
    static struct fw_cfg_file many[FW_CFG_ITEMS_MAX];
    const char *problem = NULL;

    (void)state;
    for (size_t i = 0; i < FW_CFG_ITEMS_MAX; i++)
        many[i] = files[0];
    small_vm_config.fw_cfg_files = many;
    small_vm_config.fw_cfg_file_count = FW_CFG_ITEMS_MAX;
    assert_int_equal(firmware_init(vm, &problem), ERR_NOMEM);
    assert_string_equal(problem, "too many files in its fw_cfg");
    small_vm_config.vcpu_count = 0;
    assert_int_not_equal(firmware_init(vm, &problem), OK);
    assert_string_equal(problem, "its ACPI tables cannot be made");
}

/* --- ACPI tables, installed as a firmware does it ----------------------------------------------*/

#define TABLES_AT 0x7f000000ull
#define RSDP_AT   0xf5000ull

static uint8_t tables[ACPI_AREA_SIZE];
static uint8_t rsdp[36];

static uint8_t *blob(const char *name, uint64_t *at)
{
    bool is_rsdp = strcmp(name, "etc/acpi/rsdp") == 0;

    assert_true(is_rsdp || strcmp(name, "etc/acpi/tables") == 0);
    *at = is_rsdp ? RSDP_AT : TABLES_AT;
    return is_rsdp ? rsdp : tables;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t s = 0;

    for (size_t i = 0; i < len; i++)
        s = (uint8_t)(s + bytes[i]);
    return s;
}

static void run_command(const struct loader_command *c)
{
    uint64_t at;
    uint64_t value = 0;
    uint8_t *in;

    switch (c->command) {
    case 1:
        (void)blob(c->u.allocate.file, &at);
        assert_int_equal(at % c->u.allocate.align, 0);
        assert_int_equal(c->u.allocate.zone, at == RSDP_AT ? 2 : 1);
        break;
    case 2:
        (void)blob(c->u.pointer.to, &at);
        in = blob(c->u.pointer.file, &value) + c->u.pointer.offset;
        value = 0;
        memcpy(&value, in, c->u.pointer.size);
        value += at;
        memcpy(in, &value, c->u.pointer.size);
        break;
    case 3:
        in = blob(c->u.checksum.file, &at);
        assert_int_equal(in[c->u.checksum.offset], 0);
        in[c->u.checksum.offset] = (uint8_t)-sum(in + c->u.checksum.start, c->u.checksum.len);
        break;
    default: fail();
    }
}

static const uint8_t *table_at(const uint8_t *pointer, size_t size, const char *signature)
{
    uint64_t at = 0;

    memcpy(&at, pointer, size);
    assert_in_range(at, TABLES_AT, TABLES_AT + sizeof(tables) - 36);
    assert_memory_equal(tables + (at - TABLES_AT), signature, 4);
    return tables + (at - TABLES_AT);
}

static void expect_checksum(const uint8_t *table)
{
    uint32_t len;

    memcpy(&len, table + 4, 4);
    assert_int_equal(sum(table, len), 0);
}

static void test_acpi_tables_by_the_loader_script(void **state)
{
    struct loader_command script[LOADER_COMMANDS_MAX];
    uint32_t len = read_file("etc/table-loader", script, sizeof(script));
    const uint8_t *xsdt;
    const uint8_t *fadt;

    (void)state;
    assert_int_equal(read_file("etc/acpi/tables", tables, sizeof(tables)), sizeof(tables));
    assert_int_equal(read_file("etc/acpi/rsdp", rsdp, sizeof(rsdp)), 36);
    assert_int_equal(len % 128, 0);
    for (uint32_t i = 0; i < len / 128; i++)
        run_command(&script[i]);

    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    xsdt = table_at(rsdp + 24, 8, "XSDT");
    expect_checksum(xsdt);
    fadt = table_at(xsdt + 36, 8, "FACP");
    expect_checksum(fadt);
    expect_checksum(table_at(xsdt + 44, 8, "APIC"));
    (void)table_at(fadt + 36, 4, "FACS");
    (void)table_at(fadt + 40, 4, "DSDT");
    (void)table_at(fadt + 140, 8, "DSDT");
}

/* --- DMA -------------------------------------------------------------------------------------- */

#define DESCRIPTOR 0x5000ull

static void put_descriptor(uint64_t at, uint32_t control, uint32_t length, uint64_t gpa)
{
    struct fw_cfg_dma d = {__builtin_bswap32(control), __builtin_bswap32(length),
                           __builtin_bswap64(gpa)};

    assert_true(gmem_write(vm, at, &d, sizeof(d)));
}

static uint32_t control_of(uint64_t at)
{
    struct fw_cfg_dma d;

    assert_true(gmem_read(vm, at, &d, sizeof(d)));
    return __builtin_bswap32(d.control);
}

/* OUT 518H until it is over; the number of exits it took. */
static unsigned dma(uint64_t descriptor)
{
    unsigned exits = 0;
    uint64_t rip;

    small_vm_out(0x514, 4, __builtin_bswap32((uint32_t)(descriptor >> 32)));
    do {
        rip = vcpu_fake.state.rip;
        small_vm_out(0x518, 4, __builtin_bswap32((uint32_t)descriptor));
        exits++;
        assert_in_range(exits, 1, 100);
    } while (vcpu_fake.state.rip == rip);
    return exits;
}

static void test_dma_copies_a_kernel_in_several_exits(void **state)
{
    static uint8_t copy[sizeof(kernel)];

    (void)state;
    put_descriptor(DESCRIPTOR, 0x11u << 16 | SELECT | READ, sizeof(kernel) - 2048, 0x10001);
    assert_int_equal(dma(DESCRIPTOR), 4); /* 64 KiB each */
    assert_int_equal(control_of(DESCRIPTOR), 0);
    assert_true(gmem_read(vm, 0x10001, copy, sizeof(kernel) - 2048));
    assert_memory_equal(copy, kernel + 2048, sizeof(kernel) - 2048);
}

static void test_dma_select_skip_and_write(void **state)
{
    uint8_t byte;

    (void)state;
    put_descriptor(DESCRIPTOR, 0x15u << 16 | SELECT | SKIP, 8, 0);
    assert_int_equal(dma(DESCRIPTOR), 1);
    assert_int_equal(control_of(DESCRIPTOR), 0);
    put_descriptor(DESCRIPTOR, READ, 1, 0x6000);
    assert_int_equal(dma(DESCRIPTOR), 1);
    assert_true(gmem_read(vm, 0x6000, &byte, 1));
    assert_int_equal(byte, 't');
    put_descriptor(DESCRIPTOR, WRITE, 1, 0x6000);
    assert_int_equal(dma(DESCRIPTOR), 1);
    assert_int_equal(control_of(DESCRIPTOR), 1);
}

static void test_hostile_dma_addresses(void **state)
{
    static const uint64_t bad[] = {SMALL_VM_MEMORY - 8, 0xfee00000, 0xffffffff,
                                   0xfffffffffffffff8ull, 0x8000000000000000ull};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(dma(bad[i]), 1); /* no descriptor there */
        put_descriptor(DESCRIPTOR, 0x11u << 16 | SELECT | READ, 0xffffffff, bad[i]);
        assert_int_equal(dma(DESCRIPTOR), 1);
        assert_int_equal(control_of(DESCRIPTOR), 1);
    }
    /* The copy overwrites its own descriptor: whatever comes of it, it ends. */
    put_descriptor(DESCRIPTOR, 0x11u << 16 | SELECT | READ, 1000, DESCRIPTOR - 500);
    (void)dma(DESCRIPTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_absent_without_the_config, setup),
        cmocka_unit_test_setup(test_numbers, setup),
        cmocka_unit_test_setup(test_files_of_the_config, setup),
        cmocka_unit_test_setup(test_memory_map, setup),
        cmocka_unit_test_setup(test_kernel_is_cut_as_qemu_does, setup),
        cmocka_unit_test_setup(test_small_or_no_kernel, setup),
        cmocka_unit_test_setup(test_too_many_files, setup),
        cmocka_unit_test_setup(test_acpi_tables_by_the_loader_script, setup),
        cmocka_unit_test_setup(test_dma_copies_a_kernel_in_several_exits, setup),
        cmocka_unit_test_setup(test_dma_select_skip_and_write, setup),
        cmocka_unit_test_setup(test_hostile_dma_addresses, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
