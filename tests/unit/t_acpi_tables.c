/* unit: guest/acpi_tables.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables against the ACPI 6.4 specification, found as an operating system finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/acpi_tables.h"

#define DSDT_LEN 100

struct machine {
    uint8_t dsdt[DSDT_LEN];
    uint8_t area[ACPI_AREA_SIZE];
};

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;

    for (size_t i = 0; i < len; i++) {
        total = (uint8_t)(total + bytes[i]);
    }
    return total;
}

static uint64_t get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static void make_dsdt(uint8_t dsdt[DSDT_LEN])
{
    memset(dsdt, 0x5a, DSDT_LEN);
    memcpy(dsdt, "DSDT\x64\0\0\0\x02", 9);
    dsdt[9] = 0;
    dsdt[9] = (uint8_t)-sum(dsdt, DSDT_LEN);
}

/* With all that a guest can have. */
static struct guest_config guest(unsigned vcpus)
{
    return (struct guest_config){
        .vcpu_count = (uint16_t)vcpus, .hpet = true, .watchdog_s = 90, .watchdog_port = 0x6a0};
}

static enum err build_for(struct machine *m, size_t size, uint64_t gpa,
                          const struct guest_config *g)
{
    make_dsdt(m->dsdt);
    memset(m->area, 0xcc, sizeof(m->area));
    return acpi_tables_build(m->area, size, gpa, g, m->dsdt, sizeof(m->dsdt));
}

static enum err build_at(struct machine *m, size_t size, uint64_t gpa, unsigned vcpus)
{
    struct guest_config g = guest(vcpus);

    return build_for(m, size, gpa, &g);
}

static void build(struct machine *m, unsigned vcpus)
{
    assert_int_equal(build_at(m, sizeof(m->area), ACPI_AREA_GPA, vcpus), OK);
}

/* The table at a guest-physical address, having checked signature, length and checksum. */
static const uint8_t *table(const struct machine *m, uint64_t gpa, const char *signature)
{
    const uint8_t *at = m->area + (gpa - ACPI_AREA_GPA);

    assert_in_range(gpa, ACPI_AREA_GPA, ACPI_AREA_GPA + ACPI_AREA_SIZE - 36);
    assert_memory_equal(at, signature, 4);
    assert_true(get(at + 4, 4) <= ACPI_AREA_GPA + ACPI_AREA_SIZE - gpa);
    if (strcmp(signature, "FACS") != 0) {
        assert_int_equal(sum(at, get(at + 4, 4)), 0);
    }
    return at;
}

/* As in 5.2.5.1 "Finding the RSDP on IA-PC Systems": on 16-byte boundaries of E0000H..FFFFFH. */
static const uint8_t *find_rsdp(const struct machine *m)
{
    for (size_t i = 0; i < sizeof(m->area); i += 16) {
        if (memcmp(m->area + i, "RSD PTR ", 8) == 0) {
            return m->area + i;
        }
    }
    fail_msg("no RSDP");
    return NULL;
}

static const uint8_t *find_table(const struct machine *m, const char *signature)
{
    const uint8_t *xsdt = table(m, get(find_rsdp(m) + 24, 8), "XSDT");

    for (size_t i = 36; i + 8 <= get(xsdt + 4, 4); i += 8) {
        if (memcmp(m->area + (get(xsdt + i, 8) - ACPI_AREA_GPA), signature, 4) == 0) {
            return table(m, get(xsdt + i, 8), signature);
        }
    }
    fail_msg("no %s in the XSDT", signature);
    return NULL;
}

static void test_rsdp_checksums_and_revision(void **state)
{
    struct machine m;
    const uint8_t *rsdp;

    (void)state;
    build(&m, 1);
    rsdp = find_rsdp(&m);
    assert_ptr_equal(rsdp, m.area);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    assert_int_equal(rsdp[15], 2);
    assert_int_equal(get(rsdp + 20, 4), 36);
}

static void test_fadt_registers(void **state)
{
    struct machine m;
    const uint8_t *f;

    (void)state;
    build(&m, 1);
    f = find_table(&m, "FACP");
    assert_int_equal(get(f + 4, 4), 276);
    assert_int_equal(f[8], 6);
    assert_int_equal(get(f + 46, 2), 9);       /* SCI_INT */
    assert_int_equal(get(f + 48, 4), 0);       /* SMI_CMD */
    assert_int_equal(get(f + 56, 4), 0x600);   /* PM1a_EVT_BLK */
    assert_int_equal(get(f + 64, 4), 0x604);   /* PM1a_CNT_BLK */
    assert_int_equal(get(f + 76, 4), 0x608);   /* PM_TMR_BLK */
    assert_int_equal(f[88], 4);                /* PM1_EVT_LEN */
    assert_int_equal(f[89], 2);                /* PM1_CNT_LEN */
    assert_int_equal(f[91], 4);                /* PM_TMR_LEN */
    assert_true(get(f + 96, 2) > 100);         /* P_LVL2_LAT: no C2 */
    assert_true(get(f + 98, 2) > 1000);        /* P_LVL3_LAT: no C3 */
    assert_int_equal(f[108], 0x32);            /* CENTURY */
    assert_int_equal(get(f + 109, 2), 0x0005); /* IAPC_BOOT_ARCH */
    assert_int_equal(get(f + 112, 4), 0x0565); /* Flags */
    assert_memory_equal(f + 116, "\x01\x08\x00\x01\xf9\x0c\0\0\0\0\0\0\x06", 13);
}

static void test_fadt_64_bit_registers_agree_with_32_bit_ones(void **state)
{
    struct machine m;
    const uint8_t *f;

    (void)state;
    build(&m, 1);
    f = find_table(&m, "FACP");
    assert_memory_equal(f + 148, "\x01\x20\x00\x02\x00\x06\0\0\0\0\0\0", 12); /* X_PM1a_EVT */
    assert_memory_equal(f + 172, "\x01\x10\x00\x02\x04\x06\0\0\0\0\0\0", 12); /* X_PM1a_CNT */
    assert_memory_equal(f + 208, "\x01\x20\x00\x03\x08\x06\0\0\0\0\0\0", 12); /* X_PM_TMR */
    assert_int_equal(get(f + 40, 4), get(f + 140, 8));                        /* DSDT */
    assert_int_equal(get(f + 132, 8), 0); /* X_FIRMWARE_CTRL, as FIRMWARE_CTRL is not 0 */
    for (size_t i = 160; i < 172; i++) {  /* X_PM1b_EVT */
        assert_int_equal(f[i], 0);
    }
    for (size_t i = 220; i < 268; i++) { /* GPE blocks and sleep registers */
        assert_int_equal(f[i], 0);
    }
}

static void test_fadt_leads_to_facs_and_dsdt(void **state)
{
    struct machine m;
    const uint8_t *f;
    const uint8_t *facs;

    (void)state;
    build(&m, 1);
    f = find_table(&m, "FACP");
    facs = table(&m, get(f + 36, 4), "FACS");
    assert_int_equal(get(f + 36, 4) % 64, 0);
    assert_int_equal(get(facs + 4, 4), 64);
    assert_int_equal(facs[32], 2);
    assert_memory_equal(table(&m, get(f + 40, 4), "DSDT"), m.dsdt, DSDT_LEN);
}

/* The n-th MADT entry of a type, or NULL. */
static const uint8_t *madt_entry(const uint8_t *madt, uint8_t type, unsigned n)
{
    size_t len = get(madt + 4, 4);
    size_t i = 44;

    while (i < len) {
        assert_in_range(madt[i + 1], 2, len - i);
        if (madt[i] == type && n-- == 0) {
            return madt + i;
        }
        i += madt[i + 1];
    }
    assert_int_equal(i, len);
    return NULL;
}

static void test_madt_describes_the_wiring(void **state)
{
    struct machine m;
    const uint8_t *madt;

    (void)state;
    build(&m, 1);
    madt = find_table(&m, "APIC");
    assert_int_equal(get(madt + 36, 4), 0xfee00000);
    assert_int_equal(get(madt + 40, 4), 1); /* PCAT_COMPAT */
    assert_memory_equal(madt_entry(madt, 1, 0), "\x01\x0c\x00\x00\x00\x00\xc0\xfe\0\0\0\0", 12);
    assert_null(madt_entry(madt, 1, 1));
    assert_memory_equal(madt_entry(madt, 2, 0), "\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00", 10);
    assert_memory_equal(madt_entry(madt, 2, 1), "\x02\x0a\x00\x09\x09\x00\x00\x00\x0d\x00", 10);
    assert_null(madt_entry(madt, 2, 2));
    assert_memory_equal(madt_entry(madt, 4, 0), "\x04\x06\xff\x00\x00\x01", 6);
    assert_null(madt_entry(madt, 4, 1));
}

static void test_madt_has_one_enabled_lapic_per_vcpu(void **state)
{
    (void)state;
    for (unsigned vcpus = 1; vcpus <= ACPI_VCPUS_MAX; vcpus++) {
        struct machine m;
        const uint8_t *madt;

        build(&m, vcpus);
        madt = find_table(&m, "APIC");
        for (unsigned i = 0; i < vcpus; i++) {
            const uint8_t *lapic = madt_entry(madt, 0, i);

            assert_non_null(lapic);
            assert_int_equal(lapic[1], 8);
            assert_int_equal(lapic[2], i);
            assert_int_equal(lapic[3], i);
            assert_int_equal(get(lapic + 4, 4), 1);
        }
        assert_null(madt_entry(madt, 0, vcpus));
        /* Neighbours are intact. */
        find_table(&m, "FACP");
        assert_memory_equal(table(&m, get(find_table(&m, "FACP") + 40, 4), "DSDT"), m.dsdt,
                            DSDT_LEN);
    }
}

static void test_unused_bytes_are_zero(void **state)
{
    struct machine m;

    (void)state;
    build(&m, 1);
    for (size_t i = 36; i < 64; i++) {
        assert_int_equal(m.area[i], 0);
    }
    assert_int_equal(m.area[ACPI_AREA_SIZE - 1], 0);
}

static void test_bad_arguments_are_refused(void **state)
{
    struct machine m;

    (void)state;
    assert_int_equal(build_at(&m, ACPI_AREA_SIZE, ACPI_AREA_GPA, 0), ERR_RANGE);
    assert_int_equal(build_at(&m, ACPI_AREA_SIZE, ACPI_AREA_GPA, ACPI_VCPUS_MAX + 1), ERR_RANGE);
    assert_int_equal(build_at(&m, ACPI_AREA_SIZE, ACPI_AREA_GPA + 16, 1), ERR_ALIGN);
    assert_int_equal(build_at(&m, ACPI_AREA_SIZE, 0xfffff000, 1), ERR_RANGE);
    assert_int_equal(build_at(&m, ACPI_AREA_SIZE, 0xffffffffffffffc0, 1), ERR_RANGE);
}

/* A block of exactly the size given, so that ASan sees a write beyond it. */
/* HPET 1.0a, 3.2.4 */
static void test_hpet(void **state)
{
    struct machine m;
    const uint8_t *hpet;

    (void)state;
    build(&m, 1);
    hpet = find_table(&m, "HPET");
    assert_int_equal(get(hpet + 4, 4), 56);
    assert_int_equal(get(hpet + 36, 4), 0x8086a201); /* as the chip's GCAP_ID */
    assert_int_equal(hpet[40], 0);                   /* memory */
    assert_int_equal(get(hpet + 44, 8), 0xfed00000);
    assert_int_equal(hpet[52], 0); /* the only one */
}

static void test_only_devices_that_the_guest_has_are_in_the_xsdt(void **state)
{
    struct machine m;

    (void)state;
    for (unsigned has = 0; has < 4; has++) {
        struct guest_config g = guest(1);

        g.hpet = (has & 1) != 0;
        if ((has & 2) == 0)
            g.watchdog_s = 0;
        assert_int_equal(build_for(&m, ACPI_AREA_SIZE, ACPI_AREA_GPA, &g), OK);
        (void)find_table(&m, "FACP");
        (void)find_table(&m, "APIC");
        if ((has & 1) != 0)
            (void)find_table(&m, "HPET");
        if ((has & 2) != 0)
            (void)find_table(&m, "WDAT");
        assert_int_equal(get(table(&m, get(find_rsdp(&m) + 24, 8), "XSDT") + 4, 4),
                         36 + 8 * (2 + has / 2 + has % 2));
    }
}

/* "Watchdog Action Table": action, instruction; register's offset, bytes; value, mask. */
static void test_wdat(void **state)
{
    static const struct {
        uint8_t action, instruction, offset, bytes;
        uint32_t value, mask;
    } entries[] = {
        {1,  2, 1, 1, 1, 0xff  }, /* kick */
        {4,  1, 6, 2, 0, 0xffff}, /* seconds left */
        {5,  1, 4, 2, 0, 0xffff}, /* count, */
        {6,  3, 4, 2, 0, 0xffff}, /* which can be set */
        {8,  0, 0, 1, 1, 0xff  }, /* running? */
        {9,  2, 0, 1, 1, 0xff  },
        {10, 0, 0, 1, 0, 0xff  }, /* stopped? */
        {11, 2, 0, 1, 0, 0xff  },
        {16, 0, 3, 1, 1, 0xff  }, /* will it end the guest's life? */
        {17, 2, 3, 1, 1, 0xff  },
        {32, 0, 2, 1, 1, 0xff  }, /* has it? */
        {33, 2, 2, 1, 1, 0xff  },
    };
    struct machine m;
    const uint8_t *wdat;

    (void)state;
    build(&m, 1);
    wdat = find_table(&m, "WDAT");
    assert_int_equal(get(wdat + 4, 4), 68 + 24 * 12);
    assert_int_equal(get(wdat + 36, 4), 32);   /* header's length */
    assert_int_equal(get(wdat + 40, 2), 0xff); /* no PCI device */
    assert_int_equal(get(wdat + 42, 3), 0xffffff);
    assert_int_equal(get(wdat + 48, 4), 1000); /* ms */
    assert_int_equal(get(wdat + 52, 4), 90);
    assert_int_equal(get(wdat + 56, 4), 1);
    assert_int_equal(wdat[60], 1); /* enabled */
    assert_int_equal(get(wdat + 64, 4), 12);
    for (unsigned i = 0; i < 12; i++) {
        const uint8_t *e = wdat + 68 + 24 * i;

        assert_int_equal(e[0], entries[i].action);
        assert_int_equal(e[1], entries[i].instruction);
        assert_int_equal(e[4], 1); /* I/O ports */
        assert_int_equal(e[5], 8 * entries[i].bytes);
        assert_int_equal(e[7], entries[i].bytes); /* 1: a byte, 2: a word */
        assert_int_equal(get(e + 8, 8), 0x6a0 + entries[i].offset);
        assert_int_equal(get(e + 16, 4), entries[i].value);
        assert_int_equal(get(e + 20, 4), entries[i].mask);
    }
}

/* The chip's count has 16 bits. */
static void test_wdat_of_a_long_watchdog(void **state)
{
    struct guest_config g = guest(1);
    struct machine m;

    (void)state;
    g.watchdog_s = 0x10000;
    assert_int_equal(build_for(&m, ACPI_AREA_SIZE, ACPI_AREA_GPA, &g), OK);
    assert_int_equal(get(find_table(&m, "WDAT") + 52, 4), 0xffff);
}

static void test_too_small_areas_are_refused_untouched(void **state)
{
    struct guest_config g = guest(1);
    struct machine m;
    bool fitted = false;

    (void)state;
    make_dsdt(m.dsdt);
    for (size_t size = 0; size <= 2048; size += 64) {
        uint8_t *area = calloc(1, size + 1);
        uint8_t *exact = realloc(area, size ? size : 1);
        enum err e = acpi_tables_build(exact, size, ACPI_AREA_GPA, &g, m.dsdt, DSDT_LEN);

        assert_true(e == OK || (e == ERR_NOMEM && !fitted && (size == 0 || exact[0] == 0)));
        fitted = e == OK;
        free(exact);
    }
    assert_true(fitted);
}

static void test_bad_dsdts_are_refused(void **state)
{
    struct guest_config g = guest(1);
    struct machine m;

    (void)state;
    make_dsdt(m.dsdt);
    assert_int_equal(
        acpi_tables_build(m.area, ACPI_AREA_SIZE, ACPI_AREA_GPA, &g, m.dsdt, DSDT_LEN - 1),
        ERR_FORMAT);
    assert_int_equal(acpi_tables_build(m.area, ACPI_AREA_SIZE, ACPI_AREA_GPA, &g, m.dsdt, 35),
                     ERR_FORMAT);
    m.dsdt[50]++;
    assert_int_equal(acpi_tables_build(m.area, ACPI_AREA_SIZE, ACPI_AREA_GPA, &g, m.dsdt, DSDT_LEN),
                     ERR_CHECKSUM);
    m.dsdt[0] = 'S';
    assert_int_equal(acpi_tables_build(m.area, ACPI_AREA_SIZE, ACPI_AREA_GPA, &g, m.dsdt, DSDT_LEN),
                     ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rsdp_checksums_and_revision),
        cmocka_unit_test(test_fadt_registers),
        cmocka_unit_test(test_fadt_64_bit_registers_agree_with_32_bit_ones),
        cmocka_unit_test(test_fadt_leads_to_facs_and_dsdt),
        cmocka_unit_test(test_madt_describes_the_wiring),
        cmocka_unit_test(test_madt_has_one_enabled_lapic_per_vcpu),
        cmocka_unit_test(test_unused_bytes_are_zero),
        cmocka_unit_test(test_bad_arguments_are_refused),
        cmocka_unit_test(test_hpet),
        cmocka_unit_test(test_only_devices_that_the_guest_has_are_in_the_xsdt),
        cmocka_unit_test(test_wdat),
        cmocka_unit_test(test_wdat_of_a_long_watchdog),
        cmocka_unit_test(test_too_small_areas_are_refused_untouched),
        cmocka_unit_test(test_bad_dsdts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
