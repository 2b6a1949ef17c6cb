/* unit: arch/x86/acpi.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's ACPI tables. Layouts: ACPI 6.5, sections named in arch/x86/acpi.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/acpi.h"
#include "tests/fake/phys_fake.h"

/* Places: DSDT and MADT cross 2 MiB boundaries, the MADT inside its header. */
#define RSDT_HPA 0x3fe00800ull
#define XSDT_HPA 0x3fe01000ull
#define FADT_HPA 0x3fe02000ull
#define DSDT_HPA 0x3fffff80ull
#define MADT_HPA 0x401ffff0ull

struct table_image {
    uint64_t hpa;
    uint32_t len;
    uint8_t bytes[4096];
};

static uint8_t rsdp[36];
static struct table_image rsdt, xsdt, fadt, dsdt, madt;
static struct acpi_info info;
static uint64_t seed = 0xda3e39cb94b95bdbull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void put_bytes(uint8_t *to, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static void put(struct table_image *t, uint32_t at, uint64_t value, unsigned n)
{
    put_bytes(t->bytes + at, value, n);
}

static void fix_sum(uint8_t *bytes, size_t len, size_t at)
{
    uint8_t total = 0;

    bytes[at] = 0;
    for (size_t i = 0; i < len; i++)
        total = (uint8_t)(total + bytes[i]);
    bytes[at] = (uint8_t)-total;
}

/* Write without touching length or checksum. */
static void store(const struct table_image *t)
{
    phys_fake_write(t->hpa, t->bytes, t->len);
}

static void seal(struct table_image *t)
{
    put(t, 4, t->len, 4);
    fix_sum(t->bytes, t->len, 9);
    store(t);
}

static void seal_rsdp(void)
{
    fix_sum(rsdp, 20, 8);
    fix_sum(rsdp, 36, 32);
}

static void start(struct table_image *t, uint64_t hpa, const char *signature, uint32_t len)
{
    memset(t, 0, sizeof(*t));
    t->hpa = hpa;
    t->len = len;
    memcpy(t->bytes, signature, 4);
}

static void build_rsdp(void)
{
    memset(rsdp, 0, sizeof(rsdp));
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put_bytes(rsdp + 16, RSDT_HPA, 4);
    put_bytes(rsdp + 20, 36, 4);
    put_bytes(rsdp + 24, XSDT_HPA, 8);
    seal_rsdp();
}

static void build_roots(void)
{
    start(&rsdt, RSDT_HPA, "RSDT", 36 + 8);
    put(&rsdt, 36, FADT_HPA, 4);
    put(&rsdt, 40, MADT_HPA, 4);
    seal(&rsdt);
    start(&xsdt, XSDT_HPA, "XSDT", 36 + 32);
    put(&xsdt, 36, 0, 8);                     /* hole */
    put(&xsdt, 44, 0xfffffffffffff000ull, 8); /* nowhere */
    put(&xsdt, 52, FADT_HPA, 8);
    put(&xsdt, 60, MADT_HPA, 8);
    seal(&xsdt);
}

static void gas(struct table_image *t, uint32_t at, uint8_t space, uint64_t addr)
{
    put(t, at, space, 1);
    put(t, at + 4, addr, 8);
}

static void build_fadt(void)
{
    start(&fadt, FADT_HPA, "FACP", 244);
    put(&fadt, 40, DSDT_HPA, 4);
    put(&fadt, 48, 0xb2, 4);   /* SMI_CMD */
    put(&fadt, 52, 0xa0, 1);   /* ACPI_ENABLE */
    put(&fadt, 64, 0x604, 4);  /* PM1a_CNT */
    put(&fadt, 68, 0, 4);      /* PM1b_CNT */
    put(&fadt, 76, 0x608, 4);  /* PM_TMR */
    put(&fadt, 91, 4, 1);      /* PM_TMR_LEN */
    put(&fadt, 112, 0x500, 4); /* TMR_VAL_EXT, RESET_REG_SUP */
    gas(&fadt, 116, 1, 0xcf9);
    put(&fadt, 128, 6, 1);
    put(&fadt, 140, DSDT_HPA, 8);
    gas(&fadt, 172, 1, 0xb004); /* differs from the old field: this one counts */
    gas(&fadt, 208, 1, 0xb008);
    seal(&fadt);
}

/* Name (\_S5, Package (4) {5, 3, 0, 0}) at an offset into the table. */
static void build_dsdt(uint32_t len, uint32_t at)
{
    static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 0x0a, 3, 0, 0};

    start(&dsdt, DSDT_HPA, "DSDT", len);
    memset(dsdt.bytes + 36, 0xa3, len - 36);
    memcpy(dsdt.bytes + at, s5, sizeof(s5));
    seal(&dsdt);
}

/* Add an entry; returns its offset. */
static uint32_t entry(uint8_t type, uint8_t len)
{
    uint32_t at = madt.len;

    put(&madt, at, type, 1);
    put(&madt, at + 1, len, 1);
    madt.len += len;
    return at;
}

static void cpu(uint8_t uid, uint8_t id, uint32_t flags)
{
    uint32_t at = entry(0, 8);

    put(&madt, at + 2, uid, 1);
    put(&madt, at + 3, id, 1);
    put(&madt, at + 4, flags, 4);
}

static void x2cpu(uint32_t uid, uint32_t id, uint32_t flags)
{
    uint32_t at = entry(9, 16);

    put(&madt, at + 4, id, 4);
    put(&madt, at + 8, flags, 4);
    put(&madt, at + 12, uid, 4);
}

static void ioapic(uint8_t id, uint32_t hpa, uint32_t gsi)
{
    uint32_t at = entry(1, 12);

    put(&madt, at + 2, id, 1);
    put(&madt, at + 4, hpa, 4);
    put(&madt, at + 8, gsi, 4);
}

static void override(uint8_t bus, uint8_t source, uint32_t gsi, uint16_t flags)
{
    uint32_t at = entry(2, 10);

    put(&madt, at + 2, bus, 1);
    put(&madt, at + 3, source, 1);
    put(&madt, at + 4, gsi, 4);
    put(&madt, at + 8, flags, 2);
}

static void start_madt(void)
{
    start(&madt, MADT_HPA, "APIC", 44);
    put(&madt, 36, 0xfee00000, 4);
    put(&madt, 40, 1, 4);
}

static void build_madt(void)
{
    start_madt();
    cpu(0, 0, 1);
    cpu(1, 2, 1);
    cpu(2, 4, 0); /* neither enabled nor capable */
    cpu(3, 6, 2); /* online-capable */
    cpu(4, 255, 1);
    entry(4, 6); /* local APIC NMI: not read */
    ioapic(8, 0xfec00000, 0);
    ioapic(9, 0xfec01000, 24);
    override(0, 0, 2, 0);
    override(0, 9, 20, 0xd);
    x2cpu(7, 0x100, 1);
    x2cpu(0, 2, 1); /* a second time */
    x2cpu(9, UINT32_MAX, 1);
    seal(&madt);
}

static int setup(void **state)
{
    (void)state;
    phys_fake_add(0, 1);
    phys_fake_add(0x3fe00000, 0x600000);
    build_rsdp();
    build_roots();
    build_fadt();
    build_dsdt(300, 120);
    build_madt();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fake_reset();
    return 0;
}

static enum err find(void)
{
    return acpi_find(rsdp, 36, 39, &info);
}

static void expect_refused(enum err e)
{
    assert_int_equal(find(), e);
    assert_non_null(info.problem);
    assert_false(info.have_madt);
}

static void expect_problem(const char *text)
{
    assert_int_equal(find(), OK);
    assert_true(info.have_madt);
    assert_non_null(info.problem);
    assert_non_null(strstr(info.problem, text));
}

static void test_processors_are_listed_once(void **state)
{
    static const struct acpi_cpu want[] = {
        {0,     0, true },
        {2,     1, true },
        {6,     3, false},
        {0x100, 7, true }
    };

    (void)state;
    assert_int_equal(find(), OK);
    assert_null(info.problem);
    assert_true(info.have_madt);
    assert_int_equal(info.cpu_count, 4);
    assert_int_equal(info.cpus_dropped, 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(info.cpus[i].apic_id, want[i].apic_id);
        assert_int_equal(info.cpus[i].uid, want[i].uid);
        assert_int_equal(info.cpus[i].enabled, want[i].enabled);
    }
}

static void test_interrupt_controllers_are_listed(void **state)
{
    (void)state;
    assert_int_equal(find(), OK);
    assert_true(info.has_pic);
    assert_int_equal(info.local_apic_hpa, 0xfee00000);
    assert_int_equal(info.ioapic_count, 2);
    assert_int_equal(info.ioapics[0].id, 8);
    assert_int_equal(info.ioapics[0].hpa, 0xfec00000);
    assert_int_equal(info.ioapics[0].gsi_base, 0);
    assert_int_equal(info.ioapics[1].hpa, 0xfec01000);
    assert_int_equal(info.ioapics[1].gsi_base, 24);
}

static void test_isa_irq_follows_overrides(void **state)
{
    struct acpi_override o;

    (void)state;
    assert_int_equal(find(), OK);
    o = acpi_isa_irq(&info, 9);
    assert_int_equal(o.gsi, 20);
    assert_int_equal(o.flags, 0xd);
    o = acpi_isa_irq(&info, 0);
    assert_int_equal(o.gsi, 2);
    o = acpi_isa_irq(&info, 4);
    assert_int_equal(o.source, 4);
    assert_int_equal(o.gsi, 4);
    assert_int_equal(o.flags, 0);
}

static void test_local_apic_address_can_be_overridden(void **state)
{
    uint32_t at;

    (void)state;
    start_madt();
    put(&madt, 40, 0, 4);
    cpu(0, 0, 1);
    at = entry(5, 12);
    put(&madt, at + 4, 0x1234567000, 8);
    seal(&madt);
    assert_int_equal(find(), OK);
    assert_int_equal(info.local_apic_hpa, 0x1234567000);
    assert_false(info.has_pic);
}

static void expect_apics_refused(uint64_t local, uint32_t io)
{
    uint32_t at;

    start_madt();
    cpu(0, 0, 1);
    at = entry(5, 12);
    put(&madt, at + 4, local, 8);
    ioapic(1, io, 0);
    seal(&madt);
    expect_refused(ERR_RANGE);
}

/* Found by f_acpi.c: one that is not a page's, or beyond the width, was mapped and written to. */
static void test_apics_where_none_can_be_are_refused(void **state)
{
    (void)state;
    expect_apics_refused(0xfee00800, 0xfec00000);
    expect_apics_refused(BIT(39), 0xfec00000);
    expect_apics_refused(UINT64_MAX - 0xfff, 0xfec00000);
    expect_apics_refused(0, 0xfec00000);
    expect_apics_refused(0xfee00000, 0);
    expect_apics_refused(0xfee00000, 0xfec00ff8); /* its data window would be on the next page */
}

static void test_fixed_registers_are_read(void **state)
{
    (void)state;
    assert_int_equal(find(), OK);
    assert_true(info.have_fadt && info.have_pm1a && info.have_timer && info.have_reset);
    assert_false(info.have_pm1b);
    assert_int_equal(info.pm1a_cnt, 0xb004);
    assert_int_equal(info.pm_timer, 0xb008);
    assert_int_equal(info.pm_timer_bits, 32);
    assert_int_equal(info.smi_cmd, 0xb2);
    assert_int_equal(info.acpi_enable, 0xa0);
    assert_int_equal(info.reset_space, ACPI_SPACE_IO);
    assert_int_equal(info.reset_addr, 0xcf9);
    assert_int_equal(info.reset_value, 6);
    assert_true(info.have_dsdt && info.have_s5);
    assert_int_equal(info.dsdt_hpa, DSDT_HPA);
    assert_int_equal(info.slp_typa, 5);
    assert_int_equal(info.slp_typb, 3);
}

static void test_fadt_of_acpi_1_uses_the_old_fields(void **state)
{
    (void)state;
    fadt.len = 116;
    put(&fadt, 112, 0x400, 4);
    put(&fadt, 68, 0x704, 4);
    seal(&fadt);
    assert_int_equal(find(), OK);
    assert_null(info.problem);
    assert_int_equal(info.pm1a_cnt, 0x604);
    assert_true(info.have_pm1b);
    assert_int_equal(info.pm1b_cnt, 0x704);
    assert_int_equal(info.pm_timer, 0x608);
    assert_int_equal(info.pm_timer_bits, 24);
    assert_false(info.have_reset);
    assert_true(info.have_s5);
}

static void test_x_fields_not_in_io_space_are_passed_over(void **state)
{
    (void)state;
    gas(&fadt, 172, 0, 0xfed00000);
    gas(&fadt, 208, 1, 0x10000);
    seal(&fadt);
    assert_int_equal(find(), OK);
    assert_int_equal(info.pm1a_cnt, 0x604);
    assert_int_equal(info.pm_timer, 0x608);
}

static void test_missing_registers_are_not_there(void **state)
{
    (void)state;
    put(&fadt, 91, 0, 1); /* no timer */
    put(&fadt, 64, 0x10000, 4);
    gas(&fadt, 172, 0, 0);
    put(&fadt, 112, 0, 4); /* no reset register */
    seal(&fadt);
    assert_int_equal(find(), OK);
    assert_false(info.have_timer || info.have_pm1a || info.have_reset);
    put(&fadt, 112, 0x100500, 4); /* hardware-reduced */
    seal(&fadt);
    assert_int_equal(find(), OK);
    assert_true(info.hw_reduced && info.have_reset);
    assert_false(info.have_timer || info.have_pm1a);
}

static void test_reset_register_spaces(void **state)
{
    (void)state;
    gas(&fadt, 116, 0, 0xfed00000);
    seal(&fadt);
    assert_int_equal(find(), OK);
    assert_true(info.have_reset);
    assert_int_equal(info.reset_space, ACPI_SPACE_MEMORY);
    gas(&fadt, 116, 0, BIT(39));
    seal(&fadt);
    expect_problem("reset");
    assert_false(info.have_reset);
    gas(&fadt, 116, 1, 0x10cf9);
    seal(&fadt);
    expect_problem("reset");
    gas(&fadt, 116, 3, 0xcf9);
    seal(&fadt);
    expect_problem("reset");
}

static void test_short_or_broken_fadt_leaves_the_madt(void **state)
{
    (void)state;
    fadt.len = 115;
    seal(&fadt);
    expect_problem("FADT is too short");
    assert_false(info.have_fadt);
    build_fadt();
    fadt.bytes[60] ^= 1;
    store(&fadt);
    expect_problem("FADT is missing or not sound");
}

static void test_dsdt_is_checked(void **state)
{
    (void)state;
    dsdt.bytes[50] ^= 1;
    store(&dsdt);
    expect_problem("DSDT is not sound");
    assert_false(info.have_dsdt || info.have_s5);
    build_dsdt(300, 120);
    put(&fadt, 140, 0, 8); /* no X_DSDT: the old field */
    seal(&fadt);
    assert_int_equal(find(), OK);
    assert_true(info.have_s5);
    put(&fadt, 140, BIT(39) - 8, 8);
    seal(&fadt);
    expect_problem("DSDT is not sound");
}

static void test_s5_is_found_at_any_offset(void **state)
{
    (void)state;
    for (uint32_t at = 36; at < 620; at++) {
        build_dsdt(at + 14, at); /* the last thing in the table */
        assert_int_equal(find(), OK);
        assert_true(info.have_s5);
        build_dsdt(640, at);
        assert_int_equal(find(), OK);
        assert_true(info.have_s5);
        assert_int_equal(info.slp_typa, 5);
        assert_int_equal(info.slp_typb, 3);
    }
}

static void expect_s5(const char *aml, uint32_t n, bool found, uint8_t typa, uint8_t typb)
{
    build_dsdt(36 + n, 36);
    memcpy(dsdt.bytes + 36, aml, n);
    seal(&dsdt);
    assert_int_equal(find(), OK);
    assert_int_equal(info.have_s5, found);
    assert_int_equal(info.problem == NULL, found);
    assert_int_equal(info.slp_typa, typa);
    assert_int_equal(info.slp_typb, typb);
}

#define S5(aml, found, a, b) expect_s5(aml, sizeof(aml) - 1, found, a, b)

static void test_longest_s5_is_found_at_any_offset(void **state)
{
    static const uint8_t s5[18] = {0x08, 0x5c, '_', 'S',  '5', '_', 0x12, 0xc7, 0,
                                   0,    0,    2,   0x0b, 5,   0,   0x0b, 4,    0};

    (void)state;
    for (uint32_t at = 36; at < 620; at++) {
        build_dsdt(640, 600);
        memset(dsdt.bytes + 36, 0xa3, 604);
        memcpy(dsdt.bytes + at, s5, sizeof(s5));
        seal(&dsdt);
        assert_int_equal(find(), OK);
        assert_true(info.have_s5);
        assert_int_equal(info.slp_typa, 5);
        assert_int_equal(info.slp_typb, 4);
    }
}

static void test_s5_encodings(void **state)
{
    (void)state;
    S5("\x08\\_S5_\x12\x06\x04\x00\x01\x00\x00", true, 0, 1);       /* ZeroOp, OneOp, root */
    S5("\x08_S5_\x12\x0a\x02\x0b\x07\x00\x0b\x06\x00", true, 7, 6); /* words */
    S5("\x08_S5_\x12\x47\x00\x02\x0a\x05\x0a\x05", true, 5, 5);     /* two-byte PkgLength */
    S5("\x08\\_S5_\x12\xc7\x00\x00\x00\x02\x0b\x05\x00\x0b\x04\x00", true, 5, 4); /* longest */
    S5("\x08_S5_\x12\x04\x01\x0a\x05", true, 5, 0);                               /* one element */
    S5("\x09_S5_\x12\x06\x02\x0a\x05\x0a\x05", false, 0, 0);                      /* not a Name */
    S5("\x08_S4_\x12\x06\x02\x0a\x05\x0a\x05", false, 0, 0);
    S5("\x08_S5_\x13\x06\x02\x0a\x05\x0a\x05", false, 0, 0); /* not a Package */
    S5("\x08_S5_\x12\x06\x02\x0a\x08\x0a\x05", false, 0, 0); /* 8: only 3 bits */
    S5("\x08_S5_\x12\x06\x02\x0b\x05\x01\x0a\x05", false, 0, 0);
    S5("\x08_S5_\x12\x06\x02\x0c\x05\x0a\x05", false, 0, 0); /* DWord: not decoded */
    S5("\x08_S5_\x12\x06\x00\x0a\x05\x0a\x05", false, 0, 0); /* no element */
    S5("\x08_S5_\x12\x06\x02\x0a\x05\x0a", false, 0, 0);     /* cut off */
    S5("\x08_S5_\x12\xc6", false, 0, 0);
    S5("\x08_S5_", false, 0, 0);
    S5("\x08", false, 0, 0);
    /* a false one first */
    S5("\x08_S5_\x12\x06\x02\x0a\x09\x08_S5_\x12\x06\x02\x0a\x05\x0a\x05", true, 5, 5);
}

static void test_rsdp_is_checked(void **state)
{
    (void)state;
    rsdp[0] = 'r';
    seal_rsdp();
    expect_refused(ERR_FORMAT);
    build_rsdp();
    rsdp[8] ^= 1;
    expect_refused(ERR_CHECKSUM);
    build_rsdp();
    rsdp[33] ^= 1;
    expect_refused(ERR_CHECKSUM);
    build_rsdp();
    put_bytes(rsdp + 20, 37, 4);
    seal_rsdp();
    expect_refused(ERR_FORMAT);
    build_rsdp();
    assert_int_equal(acpi_find(rsdp, 19, 39, &info), ERR_FORMAT);
    assert_int_equal(acpi_find(rsdp, 0, 39, &info), ERR_FORMAT);
}

static void test_rsdt_is_used_where_there_is_no_xsdt(void **state)
{
    (void)state;
    xsdt.bytes[0] = 'Y'; /* would be refused */
    seal(&xsdt);
    assert_int_equal(acpi_find(rsdp, 20, 39, &info), OK); /* only the old part is known */
    assert_true(info.have_s5);
    rsdp[15] = 0; /* ACPI 1.0 */
    seal_rsdp();
    assert_int_equal(find(), OK);
    rsdp[15] = 2;
    put_bytes(rsdp + 24, 0, 8);
    seal_rsdp();
    assert_int_equal(find(), OK);
    assert_int_equal(info.cpu_count, 4);
}

static void test_root_table_is_checked(void **state)
{
    (void)state;
    xsdt.bytes[3] = 'X';
    seal(&xsdt);
    expect_refused(ERR_FORMAT);
    build_roots();
    xsdt.bytes[60] ^= 1;
    store(&xsdt);
    expect_refused(ERR_CHECKSUM);
    build_roots();
    put(&xsdt, 4, 35, 4);
    store(&xsdt);
    expect_refused(ERR_FORMAT);
    put(&xsdt, 4, MIB + 1, 4);
    store(&xsdt);
    expect_refused(ERR_FORMAT);
    build_roots();
    put_bytes(rsdp + 24, BIT(39) - 35, 8);
    seal_rsdp();
    expect_refused(ERR_RANGE);
    put_bytes(rsdp + 24, UINT64_MAX - 3, 8);
    seal_rsdp();
    expect_refused(ERR_RANGE);
    put_bytes(rsdp + 24, 0x12345678, 8); /* no memory there: all ones */
    seal_rsdp();
    expect_refused(ERR_FORMAT);
}

static void test_table_longer_than_the_address_width_is_refused(void **state)
{
    (void)state;
    phys_fake_add(BIT(32) - 64, 64);
    start(&madt, BIT(32) - 40, "APIC", 40); /* the header fits below 2^32, the table does not */
    put(&madt, 4, 300, 4);
    store(&madt);
    put(&xsdt, 60, madt.hpa, 8);
    seal(&xsdt);
    assert_int_equal(acpi_find(rsdp, 36, 32, &info), ERR_RANGE);
}

static void test_missing_madt_is_refused(void **state)
{
    (void)state;
    put(&xsdt, 60, FADT_HPA, 8);
    seal(&xsdt);
    expect_refused(ERR_NOTFOUND);
    xsdt.len = 36;
    seal(&xsdt);
    expect_refused(ERR_NOTFOUND);
}

static void test_madt_is_checked(void **state)
{
    (void)state;
    madt.bytes[50] ^= 1;
    store(&madt);
    expect_refused(ERR_CHECKSUM);
    build_madt();
    madt.len = 43;
    seal(&madt);
    expect_refused(ERR_FORMAT);
    madt.len = 44; /* no entries */
    seal(&madt);
    expect_refused(ERR_NOTFOUND);
    start_madt();
    cpu(0, 0, 2); /* none is enabled */
    seal(&madt);
    expect_refused(ERR_NOTFOUND);
}

static void test_madt_entry_lengths_are_checked(void **state)
{
    static const struct {
        uint8_t type;
        uint8_t len; /* one less than needed */
    } bad[] = {
        {0,  7 },
        {1,  11},
        {2,  9 },
        {5,  11},
        {9,  15},
        {77, 1 },
        {77, 0 },
        {0,  0 }
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        start_madt();
        cpu(0, 0, 1);
        entry(bad[i].type, bad[i].len);
        madt.len += 32; /* room, so that only the length is wrong */
        seal(&madt);
        expect_refused(ERR_FORMAT);
    }
    start_madt();
    cpu(0, 0, 1);
    entry(0, 8);
    madt.len -= 1; /* ends inside its last entry */
    seal(&madt);
    expect_refused(ERR_FORMAT);
    start_madt();
    cpu(0, 0, 1);
    madt.len += 1; /* one byte is no entry */
    seal(&madt);
    expect_refused(ERR_FORMAT);
}

static void test_limits_of_the_lists(void **state)
{
    (void)state;
    start_madt();
    for (unsigned i = 0; i < 250; i++)
        cpu((uint8_t)i, (uint8_t)i, 1);
    for (unsigned i = 250; i < 300; i++)
        x2cpu(i, 1000 + i, 1);
    seal(&madt);
    assert_int_equal(find(), OK);
    assert_int_equal(info.cpu_count, 256);
    assert_int_equal(info.cpus_dropped, 44);
    for (unsigned n = 16; n <= 17; n++) {
        start_madt();
        cpu(0, 0, 1);
        for (unsigned i = 0; i < n; i++)
            ioapic((uint8_t)i, 0xfec00000 + 0x1000 * i, 24 * i);
        seal(&madt);
        assert_int_equal(find(), n == 16 ? OK : ERR_NOMEM);
        start_madt();
        cpu(0, 0, 1);
        for (unsigned i = 0; i < n; i++)
            override(0, (uint8_t)(i % 16), i, 0);
        seal(&madt);
        assert_int_equal(find(), n == 16 ? OK : ERR_NOMEM);
    }
}

static void test_overrides_of_other_buses_or_irqs_are_refused(void **state)
{
    (void)state;
    start_madt();
    cpu(0, 0, 1);
    override(1, 4, 4, 0);
    seal(&madt);
    expect_refused(ERR_FORMAT);
    start_madt();
    cpu(0, 0, 1);
    override(0, 16, 4, 0);
    seal(&madt);
    expect_refused(ERR_FORMAT);
}

static void test_bios_search_finds_the_rsdp(void **state)
{
    static const uint64_t place[] = {0xe0000, 0xf5a40, 0xfffe0, 0x9fc00, 0x9fff0};
    static const uint16_t ebda = 0x9fc0;
    static const uint8_t zero[36];
    uint8_t found[36];
    size_t len = 0;

    (void)state;
    phys_fake_write(0x40e, &ebda, 2);
    assert_int_equal(acpi_find_rsdp_bios(found, &len), ERR_NOTFOUND);
    for (unsigned i = 0; i < 5; i++) {
        phys_fake_write(place[i], rsdp, 36);
        assert_int_equal(acpi_find_rsdp_bios(found, &len), OK);
        assert_int_equal(len, 36);
        assert_memory_equal(found, rsdp, 36);
        phys_fake_write(place[i], zero, 36);
    }
    phys_fake_write(0xe0008, rsdp, 36); /* not on 16 bytes */
    assert_int_equal(acpi_find_rsdp_bios(found, &len), ERR_NOTFOUND);
    phys_fake_write(0x9f800, rsdp, 36); /* before the EBDA */
    assert_int_equal(acpi_find_rsdp_bios(found, &len), ERR_NOTFOUND);
}

static void test_bios_search_wants_a_checksum_and_gives_20_bytes_of_acpi_1(void **state)
{
    uint8_t found[36];
    size_t len = 0;

    (void)state;
    rsdp[15] = 0;
    seal_rsdp();
    rsdp[8] ^= 1;
    phys_fake_write(0xe0000, rsdp, 36);
    assert_int_equal(acpi_find_rsdp_bios(found, &len), ERR_NOTFOUND);
    rsdp[8] ^= 1;
    phys_fake_write(0xe0000, rsdp, 36);
    assert_int_equal(acpi_find_rsdp_bios(found, &len), OK);
    assert_int_equal(len, 20);
    assert_int_equal(acpi_find(found, len, 39, &info), OK);
}

static void check_any(enum err e)
{
    assert_true(info.cpu_count <= ACPI_CPUS_MAX && info.ioapic_count <= ACPI_IOAPICS_MAX);
    assert_true(info.override_count <= ACPI_OVERRIDES_MAX);
    assert_true(e == OK || info.problem != NULL);
    assert_int_equal(e == OK, info.have_madt);
    assert_true(info.slp_typa <= 7 && info.slp_typb <= 7);
    assert_true(info.have_s5 || info.slp_typa == 0);
    assert_true(!info.have_timer ||
                (info.pm_timer != 0 && (info.pm_timer_bits == 24 || info.pm_timer_bits == 32)));
    for (unsigned i = 0; i < info.override_count; i++)
        assert_true(info.overrides[i].source <= 15);
}

static void mutate(struct table_image *t)
{
    uint32_t at = (uint32_t)(rnd() % t->len);

    switch (rnd() % 3) {
    case 0: put(t, at, rnd(), 1); break;
    case 1: t->bytes[at] ^= (uint8_t)(1u << rnd() % 8); break;
    default: put(t, at & ~3u, rnd() % 2 == 0 ? rnd() % 64 : UINT32_MAX - rnd() % 64, 4); break;
    }
}

/* Damage one table, mostly with the checksum put right, read, and put it back. */
static void fuzz_one(struct table_image *t)
{
    static struct table_image saved;
    uint32_t len;

    saved = *t;
    for (uint64_t n = rnd() % 4; n < 4; n++)
        mutate(t);
    memcpy(&len, t->bytes + 4, 4);
    if (rnd() % 8 != 0)
        fix_sum(t->bytes, len <= t->len ? len : t->len, 9);
    store(t);
    check_any(find());
    *t = saved;
    store(t);
}

static void test_mutated_tables_are_read_or_refused(void **state)
{
    struct table_image *const all[] = {&xsdt, &fadt, &dsdt, &madt};
    unsigned good = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        fuzz_one(all[rnd() % 4]);
        good += info.have_s5 && info.problem == NULL;
    }
    assert_true(good > 5000 && good < 95000); /* both kinds were seen */
    assert_int_equal(find(), OK);
    assert_null(info.problem);
}

static void test_mutated_rsdp_is_read_or_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        build_rsdp();
        rsdp[rnd() % 36] = (uint8_t)rnd();
        if (rnd() % 8 != 0)
            seal_rsdp();
        check_any(acpi_find(rsdp, rnd() % 37, 39, &info));
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_processors_are_listed_once),
        T(test_interrupt_controllers_are_listed),
        T(test_isa_irq_follows_overrides),
        T(test_local_apic_address_can_be_overridden),
        T(test_apics_where_none_can_be_are_refused),
        T(test_fixed_registers_are_read),
        T(test_fadt_of_acpi_1_uses_the_old_fields),
        T(test_x_fields_not_in_io_space_are_passed_over),
        T(test_missing_registers_are_not_there),
        T(test_reset_register_spaces),
        T(test_short_or_broken_fadt_leaves_the_madt),
        T(test_dsdt_is_checked),
        T(test_s5_is_found_at_any_offset),
        T(test_longest_s5_is_found_at_any_offset),
        T(test_s5_encodings),
        T(test_rsdp_is_checked),
        T(test_rsdt_is_used_where_there_is_no_xsdt),
        T(test_root_table_is_checked),
        T(test_table_longer_than_the_address_width_is_refused),
        T(test_missing_madt_is_refused),
        T(test_madt_is_checked),
        T(test_madt_entry_lengths_are_checked),
        T(test_limits_of_the_lists),
        T(test_overrides_of_other_buses_or_irqs_are_refused),
        T(test_bios_search_finds_the_rsdp),
        T(test_bios_search_wants_a_checksum_and_gives_20_bytes_of_acpi_1),
        T(test_mutated_tables_are_read_or_refused),
        T(test_mutated_rsdp_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
