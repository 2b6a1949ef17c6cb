/* unit: boot/bootinfo.c mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parsers of loaders' information. Tag numbers and layouts: Multiboot2 2.0 "Boot information
 * format"; boot/handover.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/bootinfo.h"
#include "boot/handover.h"
#include "tests/fake/phys_fake.h"

static uint8_t buf[32768];
static size_t len; /* bytes in buf */
static struct boot_info info;
static bool from_efi; /* what buf holds */
static uint64_t seed = 0x853c49e6748fea9bull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void put(size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf[at + i] = (uint8_t)(value >> (8 * i));
}

static void begin(void)
{
    memset(buf, 0, sizeof(buf));
    from_efi = false;
    len = 8;
}

/* A tag with room for payload bytes; returns where the payload begins. */
static size_t tag(uint32_t type, size_t payload)
{
    size_t at = len;

    put(at, type, 4);
    put(at + 4, 8 + payload, 4);
    len = (len + 8 + payload + 7) / 8 * 8;
    return at + 8;
}

static void text_tag(uint32_t type, const char *text)
{
    memcpy(buf + tag(type, strlen(text) + 1), text, strlen(text));
}

static void end(void)
{
    tag(0, 0);
    put(0, len, 4);
}

/* Parse a copy of exactly max_len bytes, at an odd address, so that ASan sees any byte too far. */
static enum err parse_at_most(size_t max_len)
{
    uint8_t *copy = malloc(max_len + 1);
    enum err e;

    memcpy(copy + 1, buf, max_len);
    e = from_efi ? bootinfo_from_efi(copy + 1, max_len, &info)
                 : bootinfo_from_multiboot2(copy + 1, max_len, &info);
    free(copy);
    return e;
}

static enum err parse(void)
{
    return parse_at_most(len);
}

static void expect_refused(enum err e)
{
    assert_int_equal(parse(), e);
    assert_non_null(info.problem);
}

static void bios_entry(size_t at, uint64_t base, uint64_t size, uint32_t type)
{
    put(at, base, 8);
    put(at + 8, size, 8);
    put(at + 16, type, 4);
}

static size_t bios_map(unsigned n)
{
    size_t at = tag(6, 8 + 24 * n);

    put(at, 24, 4);
    return at + 8;
}

static void efi_entry(size_t at, uint32_t type, uint64_t base, uint64_t pages)
{
    put(at, type, 4);
    put(at + 8, base, 8);
    put(at + 16, 0xdeadbeef, 8); /* VirtualStart */
    put(at + 24, pages, 8);
    put(at + 32, 0xf, 8);
}

static size_t efi_map(unsigned n, size_t size)
{
    size_t at = tag(17, 8 + size * n);

    put(at, size, 4);
    put(at + 4, 1, 4);
    return at + 8;
}

static void minimal_map(void)
{
    bios_entry(bios_map(1), 0x100000, 0x700000, 1);
}

static void expect_entry(unsigned i, uint64_t base, uint64_t size, enum boot_memory_type type)
{
    assert_true(i < info.memory_count);
    assert_int_equal(info.memory[i].base, base);
    assert_int_equal(info.memory[i].len, size);
    assert_int_equal(info.memory[i].type, type);
}

/* As a BIOS GRUB passes it. */
static void build_bios(void)
{
    size_t at;

    begin();
    text_tag(1, "console=com1");
    text_tag(2, "GRUB 2.06");
    at = tag(3, 8 + 4);
    put(at, 0x200000, 4);
    put(at + 4, 0x280000, 4);
    memcpy(buf + at + 8, "mod", 3);
    put(tag(4, 8), 639, 4); /* basic memory: ignored */
    at = bios_map(5);
    bios_entry(at, 0, 0x9fc00, 1);
    bios_entry(at + 24, 0xf0000, 0x10000, 2);
    bios_entry(at + 48, 0x100000, 0x3fef0000, 1);
    bios_entry(at + 72, 0x3fff0000, 0x8000, 3);
    bios_entry(at + 96, 0x3fff8000, 0x8000, 4);
    at = tag(8, 30);
    put(at, 0xe0000000, 8);
    put(at + 8, 4096, 4);
    put(at + 12, 1024, 4);
    put(at + 16, 768, 4);
    put(at + 20, 32, 1);
    put(at + 21, 1, 1);
    memcpy(buf + at + 24, "\x10\x08\x08\x08\x00\x08", 6);
    at = tag(14, 20);
    memcpy(buf + at, "RSD PTR 1", 9);
    put(tag(21, 4), 0x1000000, 4);
    end();
}

/* As a UEFI GRUB passes it. */
static void build_uefi(void)
{
    size_t at;

    begin();
    text_tag(1, "");
    put(tag(12, 8), 0x7fe01018, 8);
    bios_entry(bios_map(1), 0, UINT64_MAX, 1); /* not to be used */
    at = tag(14, 20);
    memcpy(buf + at, "RSD PTR 1", 9);
    at = tag(15, 36);
    memcpy(buf + at, "RSD PTR 2", 9);
    at = efi_map(6, 48);
    efi_entry(at, 7, 0x0, 0xa0);
    efi_entry(at + 48, 4, 0x100000, 0x10);
    efi_entry(at + 96, 2, 0x110000, 0x10);
    efi_entry(at + 144, 9, 0x120000, 1);
    efi_entry(at + 192, 6, 0x121000, 2);
    efi_entry(at + 240, 11, 0xfee00000, 1);
    put(tag(20, 8), 0x7fe02018, 8);
    end();
}

/* A field of the hand-over's header. */
#define HEADER(field, value)                                                                       \
    put(offsetof(struct efi_handover, field), value, sizeof(((struct efi_handover *)0)->field))

/* As boot/efi leaves it; the firmware's descriptors have 48 bytes. */
static void build_efi(void)
{
    size_t at = sizeof(struct efi_handover);

    begin();
    from_efi = true;
    len = at + 4 * 48;
    HEADER(magic, EFI_HANDOVER_MAGIC);
    HEADER(total_len, len);
    HEADER(descriptor_len, 48);
    HEADER(system_table, 0x7fe01018);
    HEADER(rsdp_len, 36);
    HEADER(seed_len, 32);
    HEADER(framebuffer, 0x80000000);
    HEADER(width, 1280);
    HEADER(height, 800);
    HEADER(pixels_per_line, 1344);
    HEADER(pixel_format, EFI_PIXEL_BGRX);
    memcpy(buf + offsetof(struct efi_handover, rsdp), "RSD PTR 2", 9);
    memcpy(buf + offsetof(struct efi_handover, seed), "seeds", 5);
    efi_entry(at, 7, 0x0, 0xa0);
    efi_entry(at + 48, 1, 0x100000, 0x10);
    efi_entry(at + 96, 7, 0x110000, 0x10);
    efi_entry(at + 144, 10, 0x120000, 1);
}

static void test_hand_over_is_read(void **state)
{
    (void)state;
    build_efi();
    assert_int_equal(parse(), OK);
    assert_null(info.problem);
    assert_int_equal(info.firmware, BOOT_FIRMWARE_UEFI);
    assert_string_equal(info.loader, "Bulkhead's UEFI loader");
    assert_int_equal(info.efi_system_table, 0x7fe01018);
    assert_int_equal(info.rsdp_len, 36);
    assert_memory_equal(info.rsdp, "RSD PTR 2", 9);
    assert_int_equal(info.seed_len, 32);
    assert_memory_equal(info.seed, "seeds", 6);
    assert_int_equal(info.memory_count, 3);
    expect_entry(0, 0, 0xa0000, BOOT_MEMORY_USABLE);
    expect_entry(1, 0x100000, 0x20000, BOOT_MEMORY_USABLE); /* two joined */
    expect_entry(2, 0x120000, 0x1000, BOOT_MEMORY_ACPI_NVS);
}

static void expect_colours(unsigned bpp, unsigned red, unsigned green, unsigned blue)
{
    assert_int_equal(parse(), OK);
    assert_true(info.framebuffer.present);
    assert_int_equal(info.framebuffer.bpp, bpp);
    assert_int_equal(info.framebuffer.red_shift, red);
    assert_int_equal(info.framebuffer.green_shift, green);
    assert_int_equal(info.framebuffer.blue_shift, blue);
}

static void test_hand_over_framebuffer(void **state)
{
    (void)state;
    build_efi();
    expect_colours(32, 16, 8, 0);
    assert_int_equal(info.framebuffer.hpa, 0x80000000);
    assert_int_equal(info.framebuffer.width, 1280);
    assert_int_equal(info.framebuffer.height, 800);
    assert_int_equal(info.framebuffer.pitch, 4 * 1344);
    assert_int_equal(info.framebuffer.green_bits, 8);
    HEADER(pixel_format, EFI_PIXEL_RGBX);
    expect_colours(32, 0, 8, 16);
    HEADER(pixel_format, EFI_PIXEL_MASKS); /* 5:6:5 */
    HEADER(red_mask, 0xf800);
    HEADER(green_mask, 0x7e0);
    HEADER(blue_mask, 0x1f);
    expect_colours(16, 11, 5, 0);
    assert_int_equal(info.framebuffer.green_bits, 6);
    assert_int_equal(info.framebuffer.pitch, 2 * 1344);
    HEADER(reserved_mask, 0xc0000000);
    expect_colours(32, 11, 5, 0);
}

static void expect_no_framebuffer(void)
{
    assert_int_equal(parse(), OK);
    assert_false(info.framebuffer.present);
    build_efi();
}

static void test_hand_over_framebuffer_without_sense_is_none(void **state)
{
    (void)state;
    build_efi();
    HEADER(framebuffer, 0);
    expect_no_framebuffer();
    HEADER(pixel_format, 3); /* only by the firmware's own functions */
    expect_no_framebuffer();
    HEADER(pixel_format, UINT32_MAX);
    expect_no_framebuffer();
    HEADER(pixels_per_line, 1279);
    expect_no_framebuffer();
    HEADER(pixels_per_line, BIT(30)); /* times 4 is 0 in 32 bits */
    expect_no_framebuffer();
    HEADER(pixel_format, EFI_PIXEL_MASKS); /* all 0 */
    expect_no_framebuffer();
    HEADER(pixel_format, EFI_PIXEL_MASKS);
    HEADER(red_mask, 0xf0f);
    HEADER(green_mask, 0xf0);
    HEADER(blue_mask, 0xf000);
    expect_no_framebuffer();
}

static void test_hand_over_that_is_malformed_is_refused(void **state)
{
    (void)state;
    build_efi();
    HEADER(magic, 0);
    expect_refused(ERR_FORMAT);
    build_efi();
    HEADER(total_len, len + 1);
    expect_refused(ERR_FORMAT);
    HEADER(total_len, sizeof(struct efi_handover) - 1);
    expect_refused(ERR_FORMAT);
    build_efi();
    HEADER(rsdp_len, 37);
    expect_refused(ERR_FORMAT);
    build_efi();
    HEADER(seed_len, 33);
    expect_refused(ERR_FORMAT);
    build_efi();
    HEADER(descriptor_len, 39);
    expect_refused(ERR_FORMAT);
    HEADER(descriptor_len, UINT32_MAX); /* not one fits */
    expect_refused(ERR_NOTFOUND);
    build_efi();
    HEADER(total_len, sizeof(struct efi_handover));
    expect_refused(ERR_NOTFOUND);
}

static void test_hand_over_cut_anywhere_is_refused(void **state)
{
    (void)state;
    build_efi();
    for (size_t n = 0; n < len; n++)
        assert_int_equal(parse_at_most(n), ERR_FORMAT);
}

static void test_bios_information_is_read(void **state)
{
    (void)state;
    build_bios();
    assert_int_equal(parse(), OK);
    assert_null(info.problem);
    assert_int_equal(info.firmware, BOOT_FIRMWARE_BIOS);
    assert_string_equal(info.cmdline, "console=com1");
    assert_false(info.cmdline_cut);
    assert_string_equal(info.loader, "GRUB 2.06");
    assert_int_equal(info.module_count, 1);
    assert_int_equal(info.modules[0].base, 0x200000);
    assert_int_equal(info.modules[0].len, 0x80000);
    assert_int_equal(info.memory_count, 5);
    expect_entry(0, 0, 0x9fc00, BOOT_MEMORY_USABLE);
    expect_entry(1, 0xf0000, 0x10000, BOOT_MEMORY_RESERVED);
    expect_entry(2, 0x100000, 0x3fef0000, BOOT_MEMORY_USABLE);
    expect_entry(3, 0x3fff0000, 0x8000, BOOT_MEMORY_ACPI_RECLAIM);
    expect_entry(4, 0x3fff8000, 0x8000, BOOT_MEMORY_ACPI_NVS);
    assert_int_equal(info.rsdp_len, 20);
    assert_memory_equal(info.rsdp, "RSD PTR 1", 9);
    assert_true(info.load_base_known);
    assert_int_equal(info.load_base, 0x1000000);
    assert_int_equal(info.efi_system_table, 0);
}

static void test_framebuffer_is_read(void **state)
{
    (void)state;
    build_bios();
    assert_int_equal(parse(), OK);
    assert_true(info.framebuffer.present);
    assert_int_equal(info.framebuffer.hpa, 0xe0000000);
    assert_int_equal(info.framebuffer.pitch, 4096);
    assert_int_equal(info.framebuffer.width, 1024);
    assert_int_equal(info.framebuffer.height, 768);
    assert_int_equal(info.framebuffer.bpp, 32);
    assert_int_equal(info.framebuffer.red_shift, 16);
    assert_int_equal(info.framebuffer.green_shift, 8);
    assert_int_equal(info.framebuffer.blue_shift, 0);
    assert_int_equal(info.framebuffer.blue_bits, 8);
}

static void test_text_mode_is_no_framebuffer(void **state)
{
    (void)state;
    begin();
    minimal_map();
    put(tag(8, 24) + 21, 2, 1); /* EGA text, no colour information */
    end();
    assert_int_equal(parse(), OK);
    assert_false(info.framebuffer.present);
}

static void test_uefi_information_is_read_and_its_map_wins(void **state)
{
    (void)state;
    build_uefi();
    assert_int_equal(parse(), OK);
    assert_int_equal(info.firmware, BOOT_FIRMWARE_UEFI);
    assert_int_equal(info.efi_system_table, 0x7fe01018);
    assert_int_equal(info.rsdp_len, 36);
    assert_memory_equal(info.rsdp, "RSD PTR 2", 9);
    assert_int_equal(info.memory_count, 5);
    expect_entry(0, 0, 0xa0000, BOOT_MEMORY_USABLE);
    expect_entry(1, 0x100000, 0x20000, BOOT_MEMORY_USABLE); /* two joined */
    expect_entry(2, 0x120000, 0x1000, BOOT_MEMORY_ACPI_RECLAIM);
    expect_entry(3, 0x121000, 0x2000, BOOT_MEMORY_RESERVED);
    expect_entry(4, 0xfee00000, 0x1000, BOOT_MEMORY_RESERVED);
}

static void test_efi_types_map_as_the_uefi_specification_says(void **state)
{
    static const enum boot_memory_type want[16] = {
        BOOT_MEMORY_RESERVED, BOOT_MEMORY_USABLE,       BOOT_MEMORY_USABLE,   BOOT_MEMORY_USABLE,
        BOOT_MEMORY_USABLE,   BOOT_MEMORY_RESERVED,     BOOT_MEMORY_RESERVED, BOOT_MEMORY_USABLE,
        BOOT_MEMORY_BAD,      BOOT_MEMORY_ACPI_RECLAIM, BOOT_MEMORY_ACPI_NVS, BOOT_MEMORY_RESERVED,
        BOOT_MEMORY_RESERVED, BOOT_MEMORY_RESERVED,     BOOT_MEMORY_RESERVED, BOOT_MEMORY_RESERVED};
    size_t at;

    (void)state;
    begin();
    at = efi_map(16, 40);
    for (unsigned i = 0; i < 16; i++)
        efi_entry(at + 40 * i, i, 0x100000 * (i + 1), 1);
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(info.memory_count, 16);
    for (unsigned i = 0; i < 16; i++)
        expect_entry(i, 0x100000 * (i + 1), 0x1000, want[i]);
}

static void test_bios_types_unknown_are_reserved(void **state)
{
    static const enum boot_memory_type want[7] = {
        BOOT_MEMORY_RESERVED, BOOT_MEMORY_USABLE, BOOT_MEMORY_RESERVED, BOOT_MEMORY_ACPI_RECLAIM,
        BOOT_MEMORY_ACPI_NVS, BOOT_MEMORY_BAD,    BOOT_MEMORY_RESERVED};
    size_t at;

    (void)state;
    begin();
    at = bios_map(7);
    for (unsigned i = 0; i < 7; i++)
        bios_entry(at + 24 * i, 0x100000 * (i + 1), 0x1000, i);
    end();
    assert_int_equal(parse(), OK);
    for (unsigned i = 0; i < 7; i++)
        expect_entry(i, 0x100000 * (i + 1), 0x1000, want[i]);
}

static void test_efi_page_count_that_overflows_is_the_largest_length(void **state)
{
    (void)state;
    begin();
    efi_entry(efi_map(1, 48), 7, 0x1000, BIT(52));
    end();
    assert_int_equal(parse(), OK);
    expect_entry(0, 0x1000, UINT64_MAX, BOOT_MEMORY_USABLE);
}

static void test_entries_that_wrap_are_not_joined(void **state)
{
    size_t at;

    (void)state;
    begin();
    at = bios_map(4);
    bios_entry(at, UINT64_MAX - 0xfff, 0x1000, 2);
    bios_entry(at + 24, 0, 0x1000, 2); /* "follows" only modulo 2^64 */
    bios_entry(at + 48, 0x1000, UINT64_MAX, 2);
    bios_entry(at + 72, 0x5000, 0, 2); /* empty */
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(info.memory_count, 3);
}

static void test_total_size_is_checked(void **state)
{
    (void)state;
    build_bios();
    put(0, len + 1, 4);
    expect_refused(ERR_FORMAT);
    put(0, 15, 4);
    expect_refused(ERR_FORMAT);
    put(0, 0, 4);
    expect_refused(ERR_FORMAT);
    put(0, UINT32_MAX, 4);
    expect_refused(ERR_FORMAT);
}

static void test_input_cut_anywhere_is_refused(void **state)
{
    size_t full;

    (void)state;
    build_bios();
    full = len;
    for (size_t n = 0; n < full; n++) {
        assert_int_equal(parse_at_most(n), ERR_FORMAT); /* total size beyond the input */
        if (n < 16)
            continue;
        put(0, n, 4);
        assert_int_equal(parse_at_most(n), ERR_FORMAT); /* no end tag */
        assert_non_null(info.problem);
        put(0, full, 4);
    }
}

static void test_tag_sizes_are_checked(void **state)
{
    static const uint32_t bad[] = {0, 7, 0x10000, 0x80000000, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        build_bios();
        put(8 + 4, bad[i], 4);
        expect_refused(ERR_FORMAT);
    }
}

static void test_tags_too_short_for_their_type_are_refused(void **state)
{
    static const struct {
        uint32_t type;
        size_t payload; /* one less than needed */
    } bad[] = {
        {3,  7 },
        {6,  7 },
        {8,  23},
        {11, 3 },
        {12, 7 },
        {14, 19},
        {15, 35},
        {17, 7 },
        {21, 3 }
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin();
        minimal_map();
        tag(bad[i].type, bad[i].payload);
        end();
        expect_refused(ERR_FORMAT);
    }
    begin();
    minimal_map();
    put(tag(8, 29) + 21, 1, 1); /* RGB without all of its colours */
    end();
    expect_refused(ERR_FORMAT);
}

static void test_entry_sizes_of_maps_are_checked(void **state)
{
    (void)state;
    begin();
    put(bios_map(1) - 8, 19, 4);
    end();
    expect_refused(ERR_FORMAT);
    begin();
    put(efi_map(1, 48) - 8, 39, 4);
    end();
    expect_refused(ERR_FORMAT);
    begin();
    put(bios_map(2) - 8, 0, 4);
    end();
    expect_refused(ERR_FORMAT);
    begin();
    put(bios_map(2) - 8, UINT32_MAX, 4); /* not one entry fits */
    end();
    expect_refused(ERR_NOTFOUND);
}

static void test_no_memory_map_is_refused(void **state)
{
    (void)state;
    begin();
    text_tag(1, "x");
    end();
    expect_refused(ERR_NOTFOUND);
    begin();
    bios_map(0);
    end();
    expect_refused(ERR_NOTFOUND);
}

static void test_memory_map_limit_is_256(void **state)
{
    size_t at;

    (void)state;
    for (unsigned n = 256; n <= 257; n++) {
        begin();
        at = bios_map(n);
        for (unsigned i = 0; i < n; i++)
            bios_entry(at + 24 * i, 0x2000 * i, 0x1000, 1);
        end();
        assert_int_equal(parse(), n == 256 ? OK : ERR_NOMEM);
        assert_int_equal(info.memory_count, 256);
        assert_int_equal(info.problem != NULL, n == 257);
    }
}

static void test_modules(void **state)
{
    size_t at;

    (void)state;
    begin();
    minimal_map();
    for (unsigned i = 0; i < 9; i++)
        tag(3, 8);
    end();
    expect_refused(ERR_NOMEM);
    begin();
    minimal_map();
    at = tag(3, 8);
    put(at, 0x2000, 4);
    put(at + 4, 0x1fff, 4); /* ends before it starts */
    end();
    expect_refused(ERR_FORMAT);
}

static void test_running_boot_services_are_refused(void **state)
{
    (void)state;
    begin();
    minimal_map();
    tag(18, 0);
    end();
    expect_refused(ERR_UNSUPPORTED);
}

static void test_command_line_is_cut_and_cleaned(void **state)
{
    char line[400];

    (void)state;
    memset(line, 'a', sizeof(line));
    line[255] = 0;
    begin();
    minimal_map();
    text_tag(1, line);
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(strlen(info.cmdline), 255);
    assert_false(info.cmdline_cut);
    line[255] = 'a';
    line[256] = 0;
    line[3] = 0x1b;
    line[4] = (char)0xff;
    begin();
    minimal_map();
    text_tag(1, line);
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(strlen(info.cmdline), 255);
    assert_true(info.cmdline_cut);
    assert_memory_equal(info.cmdline, "aaa??a", 6);
}

static void test_string_without_its_zero_ends_with_its_tag(void **state)
{
    (void)state;
    begin();
    minimal_map();
    memcpy(buf + tag(1, 8), "noendnow", 8);
    text_tag(2, "next");
    end();
    assert_int_equal(parse(), OK);
    assert_string_equal(info.cmdline, "noendnow");
}

static void test_first_of_two_tags_counts(void **state)
{
    (void)state;
    begin();
    minimal_map();
    bios_entry(bios_map(1), 0x900000, 0x1000, 1);
    text_tag(1, "one");
    text_tag(1, "two");
    put(tag(21, 4), 1, 4);
    put(tag(21, 4), 2, 4);
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(info.memory_count, 1);
    expect_entry(0, 0x100000, 0x700000, BOOT_MEMORY_USABLE);
    assert_string_equal(info.cmdline, "one");
    assert_int_equal(info.load_base, 1);
}

static void test_unknown_tags_are_passed_over(void **state)
{
    (void)state;
    begin();
    tag(0xffff, 5);
    tag(9, 100);
    minimal_map();
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(info.memory_count, 1);
}

static void test_page_map_has_what_is_usable_without_reserved_and_modules(void **state)
{
    static struct pages p;
    size_t at;

    (void)state;
    begin();
    at = bios_map(3);
    bios_entry(at, 0x300000, 0x1000, 2); /* reserved comes first and still wins */
    bios_entry(at + 24, 0x100000, 0x700000, 1);
    bios_entry(at + 48, 0x500000, 0x1000, 3);
    at = tag(3, 8);
    put(at, 0x200000, 4);
    put(at + 4, 0x200001, 4);
    end();
    assert_int_equal(parse(), OK);
    assert_int_equal(pages_init(&p, 39), OK);
    assert_int_equal(bootinfo_to_pages(&info, &p), OK);
    assert_true(pages_ok(&p));
    assert_int_equal(p.count, 4);
    assert_int_equal(pages_free_bytes(&p), 0x700000 - 3 * 0x1000);
    assert_int_equal(p.free[0].len, 0x100000);
    assert_int_equal(p.free[1].base, 0x201000);
    assert_int_equal(p.free[2].base, 0x301000);
    assert_int_equal(p.free[3].base, 0x501000);
}

/* What holds after any input. */
static void check_any(enum err e)
{
    assert_int_equal(e != OK, info.problem != NULL);
    assert_true(info.memory_count <= BOOT_MEMORY_MAX && info.module_count <= BOOT_MODULES_MAX);
    assert_true(e != OK || info.memory_count > 0);
    assert_non_null(memchr(info.cmdline, 0, sizeof(info.cmdline)));
    assert_non_null(memchr(info.loader, 0, sizeof(info.loader)));
    assert_true(info.seed_len <= BOOT_SEED_LEN);
    assert_true(info.rsdp_len == 0 || info.rsdp_len == 20 || info.rsdp_len == 36);
    for (unsigned i = 0; i < info.memory_count; i++)
        assert_true(info.memory[i].type <= BOOT_MEMORY_BAD && info.memory[i].len != 0);
}

static void mutate_one(void)
{
    size_t at = rnd() % len;

    switch (rnd() % 4) {
    case 0: buf[at] = (uint8_t)rnd(); break;
    case 1: buf[at] ^= (uint8_t)(1u << rnd() % 8); break;
    case 2: put(at & ~3ul, rnd() % 64, 4); break;
    default: put(at & ~3ul, rnd() % 2 == 0 ? UINT32_MAX - rnd() % 16 : rnd(), 4); break;
    }
}

static void test_mutated_input_is_parsed_or_refused(void **state)
{
    static struct pages p;
    unsigned good = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        enum err e;

        if (i % 4 < 2)
            build_efi();
        else if (i % 4 == 2)
            build_bios();
        else
            build_uefi();
        for (uint64_t n = rnd() % 6; n < 6; n++)
            mutate_one();
        e = parse_at_most(i % 16 == 0 ? rnd() % len : len);
        check_any(e);
        good += e == OK;
        if (e == OK && i % 8 % 3 == 1) {
            assert_int_equal(pages_init(&p, 39), OK);
            assert_int_equal(bootinfo_to_pages(&info, &p), OK);
            assert_true(pages_ok(&p));
        }
    }
    assert_true(good > 10000 && good < 90000); /* accepted and refused ones were seen */
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_bios_information_is_read),
        T(test_framebuffer_is_read),
        T(test_text_mode_is_no_framebuffer),
        T(test_uefi_information_is_read_and_its_map_wins),
        T(test_efi_types_map_as_the_uefi_specification_says),
        T(test_bios_types_unknown_are_reserved),
        T(test_efi_page_count_that_overflows_is_the_largest_length),
        T(test_entries_that_wrap_are_not_joined),
        T(test_total_size_is_checked),
        T(test_input_cut_anywhere_is_refused),
        T(test_tag_sizes_are_checked),
        T(test_tags_too_short_for_their_type_are_refused),
        T(test_entry_sizes_of_maps_are_checked),
        T(test_no_memory_map_is_refused),
        T(test_memory_map_limit_is_256),
        T(test_modules),
        T(test_running_boot_services_are_refused),
        T(test_command_line_is_cut_and_cleaned),
        T(test_string_without_its_zero_ends_with_its_tag),
        T(test_first_of_two_tags_counts),
        T(test_unknown_tags_are_passed_over),
        T(test_page_map_has_what_is_usable_without_reserved_and_modules),
        T(test_hand_over_is_read),
        T(test_hand_over_framebuffer),
        T(test_hand_over_framebuffer_without_sense_is_none),
        T(test_hand_over_that_is_malformed_is_refused),
        T(test_hand_over_cut_anywhere_is_refused),
        T(test_mutated_input_is_parsed_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
