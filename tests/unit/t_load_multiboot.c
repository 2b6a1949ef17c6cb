/* unit: guest/load_multiboot.c guest/multiboot_info.c guest/load_linux.c boot/bootinfo.c
 * mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Multiboot loader against the Multiboot Specification 0.6.96, the Multiboot2 Specification 2.0
 * and the System V ABI, "ELF Header", "Program Header"; kernels are made by hand here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/bootinfo.h"
#include "guest/gmem.h"
#include "guest/load_multiboot.h"

#define MEMORY    (16 * MIB)
#define IMAGE_LEN 0x9000u
#define HEADER    0x200u /* where the Multiboot header is */
#define PHDRS     0x40u
#define CODE      0x1000u /* first segment in the image: to 1 MiB */
#define CODE_LEN  0x1234u
#define DATA      0x3000u /* second segment: to DATA_GPA, with a bss */
#define DATA_LEN  0x800u
#define DATA_MEM  0x5001u
#define DATA_GPA  0x110000u
#define HIGH      0xffffffff80000000ull /* virtual minus physical address in ELF64 */
#define HIGH32    0xc0000000u
#define RSDP_GPA  0xe0000u
#define WRITES    64

/* The fake guest: flat memory, and what was written where. */
struct vm {
    uint8_t *ram;
    uint64_t size;
    unsigned writes_left; /* the write after these fails */
    struct {
        uint64_t gpa, len;
    } writes[WRITES];
    unsigned count;
};

bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    if (vm->writes_left == 0 || gpa > vm->size || len > vm->size - gpa)
        return false;
    vm->writes_left--;
    assert_true(vm->count < WRITES);
    for (unsigned i = 0; i < vm->count; i++)
        assert_true(gpa >= vm->writes[i].gpa + vm->writes[i].len || vm->writes[i].gpa >= gpa + len);
    vm->writes[vm->count].gpa = gpa;
    vm->writes[vm->count++].len = len;
    memcpy(vm->ram + gpa, buf, len);
    return true;
}

bool gmem_fill(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    return gmem_write(vm, gpa, buf, len);
}

bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
    if (gpa > vm->size || len > vm->size - gpa)
        return false;
    memcpy(buf, vm->ram + gpa, len);
    return true;
}

static uint8_t image[IMAGE_LEN];
static size_t image_len;
static struct guest_config cfg;
static struct multiboot_layout layout;
static const char *problem;

static void put(size_t offset, uint64_t value, size_t bytes)
{
    memcpy(image + offset, &value, bytes);
}

static uint64_t get(const void *bytes, size_t offset, size_t len)
{
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)bytes + offset, len);
    return value;
}

/* --- kernels ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(image); i++)
        image[i] = (uint8_t)(i * 7 + i / 256);
    memset(image, 0, CODE);
    image_len = sizeof(image);
    cfg = (struct guest_config){
        .name = "g", .type = GUEST_MULTIBOOT, .memory = MEMORY, .cmdline = ""};
    return 0;
}

/* A program header; the file header's count is set to number + 1. */
static void put_segment(bool elf64, unsigned number, const uint64_t offset_va_pa_file_mem[5])
{
    size_t word = elf64 ? 8 : 4;
    size_t at = PHDRS + number * (elf64 ? 56u : 32u);

    put(at, 1, 4); /* PT_LOAD */
    if (elf64)
        put(at + 4, 7, 4); /* p_flags, in ELF64 only */
    for (unsigned i = 0; i < 5; i++)
        put(at + (i + 1) * word, offset_va_pa_file_mem[i], word);
    put(elf64 ? 56 : 44, number + 1, 2);
}

static void put_elf(bool elf64, uint64_t va_offset)
{
    put(0, 0x464c457f, 4);
    put(4, elf64 ? 2 : 1, 1);
    put(5, 1, 1);
    put(6, 1, 1);
    put(16, 2, 2);
    put(18, elf64 ? 62 : 3, 2);
    put(20, 1, 4);
    put(24, va_offset + MIB + 0x10, elf64 ? 8 : 4); /* e_entry */
    put(elf64 ? 32 : 28, PHDRS, elf64 ? 8 : 4);
    put(elf64 ? 54 : 42, elf64 ? 56 : 32, 2);
    put_segment(elf64, 0, (uint64_t[]){CODE, va_offset + MIB, MIB, CODE_LEN, CODE_LEN});
    put_segment(elf64, 1, (uint64_t[]){DATA, va_offset + DATA_GPA, DATA_GPA, DATA_LEN, DATA_MEM});
}

static void put_header1(size_t at, uint32_t flags)
{
    put(at, 0x1badb002, 4);
    put(at + 4, flags, 4);
    put(at + 8, -(uint64_t)(0x1badb002 + flags), 4);
}

/* A header with these tags, each a multiple of 8 bytes; len 0: none, not even the end. */
static void put_header2(size_t at, const void *tags, size_t len)
{
    uint32_t total = 16 + (uint32_t)len;

    put(at, 0xe85250d6, 4);
    put(at + 4, 0, 4);
    put(at + 8, total, 4);
    put(at + 12, -(uint64_t)(0xe85250d6 + total), 4);
    memcpy(image + at + 16, tags, len);
}

#define TAG(type, flags) ((type) | (uint32_t)(flags) << 16)
static const uint32_t tag_end[] = {TAG(0, 0), 8};

static void make_elf32_1(void)
{
    put_elf(false, HIGH32);
    put_header1(HEADER, 3);
}

static void make_elf64_2(void)
{
    put_elf(true, HIGH);
    put_header2(HEADER, tag_end, sizeof(tag_end));
}

static enum err check(void)
{
    uint8_t *exact = malloc(image_len); /* its own block, so that ASan sees a read beyond */
    enum err e;

    memcpy(exact, image, image_len);
    cfg.kernel = (struct guest_image){exact, image_len};
    e = multiboot_check(&cfg, &layout, &problem);
    assert_true((e == OK) == (problem == NULL));
    free(exact);
    cfg.kernel.bytes = image;
    return e;
}

static void expect_segment(unsigned i, uint64_t gpa, size_t offset, size_t len, uint64_t mem_len)
{
    assert_true(i < layout.segment_count);
    assert_int_equal(layout.segments[i].gpa, gpa);
    assert_int_equal(layout.segments[i].offset, offset);
    assert_int_equal(layout.segments[i].len, len);
    assert_int_equal(layout.segments[i].mem_len, mem_len);
}

static void expect_elf(uint32_t eax)
{
    assert_int_equal(check(), OK);
    assert_int_equal(layout.eax, eax);
    assert_int_equal(layout.segment_count, 2);
    expect_segment(0, MIB, CODE, CODE_LEN, CODE_LEN);
    expect_segment(1, DATA_GPA, DATA, DATA_LEN, DATA_MEM);
    assert_int_equal(layout.entry_gpa, MIB + 0x10);
    assert_int_equal(layout.modules_gpa, 0x116000);
    assert_int_equal(layout.info_gpa, 0x9e000);
}

/* --- what is accepted ------------------------------------------------------------------------- */

static void test_both_classes_by_both_versions(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < 4; variant++) {
        setup(state);
        put_elf(variant & 1, variant & 1 ? HIGH : HIGH32);
        if (variant & 2)
            put_header2(HEADER, tag_end, sizeof(tag_end));
        else
            put_header1(HEADER, 0);
        expect_elf(variant & 2 ? 0x36d76289 : 0x2badb002);
    }
}

static void test_multiboot2_wins(void **state)
{
    (void)state;
    make_elf64_2();
    put_header1(0x180, 4); /* which would be refused */
    expect_elf(MULTIBOOT2_EAX);
    put(HEADER, 0, 4);
    assert_int_equal(check(), ERR_UNSUPPORTED);
}

static void test_header_is_searched_in_its_part_of_the_file(void **state)
{
    (void)state;
    put_elf(false, 0);
    put_header1(8192 - 12, 0);
    expect_elf(MULTIBOOT1_EAX);
    memset(image + 8192 - 12, 0, 12);
    put_header1(8192 - 8, 0);
    assert_int_equal(check(), ERR_FORMAT);
    put_header2(32768 - 24, tag_end, sizeof(tag_end));
    expect_elf(MULTIBOOT2_EAX);
    memset(image + 32768 - 24, 0, 24);
    put_header2(32768 - 16, tag_end, sizeof(tag_end)); /* its end tag is beyond */
    assert_int_equal(check(), ERR_FORMAT);
    memset(image + 32768 - 16, 0, 24);
    put_header2(32768 - 8, tag_end, sizeof(tag_end));
    assert_int_equal(check(), ERR_FORMAT);
}

static void test_header_is_aligned_and_adds_up(void **state)
{
    (void)state;
    put_elf(false, 0);
    put_header1(HEADER + 2, 0);
    assert_int_equal(check(), ERR_FORMAT);
    setup(state);
    put_elf(false, 0);
    put_header2(HEADER + 4, tag_end, sizeof(tag_end));
    assert_int_equal(check(), ERR_FORMAT);
    setup(state);
    put_elf(false, 0);
    put_header1(HEADER, 0);
    put(HEADER + 8, 1, 4);
    assert_int_equal(check(), ERR_FORMAT);
    assert_non_null(strstr(problem, "no Multiboot header in its first 8 KiB"));
    put_header1(HEADER + 16, 0); /* the next one counts */
    expect_elf(MULTIBOOT1_EAX);
}

static void test_flags_that_are_met(void **state)
{
    (void)state;
    make_elf32_1();
    put_header1(HEADER, 0xfffe0003); /* [31:17] are not requirements */
    expect_elf(MULTIBOOT1_EAX);
}

/* header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr */
static void put_addresses1(const uint32_t addresses[5])
{
    put_header1(HEADER, 0x10000);
    memcpy(image + HEADER + 12, addresses, 5 * sizeof(addresses[0]));
}

static void test_addresses_1(void **state)
{
    (void)state;
    put_elf(false, 0); /* does not count */
    put_addresses1((uint32_t[]){0x200100, 0x200000, 0x201000, 0x208000, 0x200080});
    assert_int_equal(check(), OK);
    assert_int_equal(layout.segment_count, 1);
    expect_segment(0, 0x200000, 0x100, 0x1000, 0x8000);
    assert_int_equal(layout.entry_gpa, 0x200080);
    assert_int_equal(layout.modules_gpa, 0x208000);

    put_addresses1((uint32_t[]){0x200100, 0x200000, 0, 0, 0x200080}); /* all the file, no bss */
    assert_int_equal(check(), OK);
    expect_segment(0, 0x200000, 0x100, IMAGE_LEN - 0x100, IMAGE_LEN - 0x100);

    put_addresses1(
        (uint32_t[]){0x200100, 0x200000, 0, 0x201000, 0x200080}); /* inside of the file */
    assert_int_equal(check(), OK);
    expect_segment(0, 0x200000, 0x100, IMAGE_LEN - 0x100, IMAGE_LEN - 0x100);

    put_addresses1((uint32_t[]){0x8000, 0x8000, 0x8400, 0, 0x8000}); /* below 1 MiB */
    assert_int_equal(check(), OK);
    expect_segment(0, 0x8000, HEADER, 0x400, 0x400);
    assert_int_equal(layout.modules_gpa, MIB);
}

/* The address tag, and an entry tag. */
static void put_addresses2(const uint32_t addresses[5])
{
    const uint32_t *a = addresses;
    const uint32_t tags[] = {TAG(2, 0), 24, a[0], a[1],        a[2],      a[3],
                             TAG(3, 0), 12, a[4], 0 /* pad */, TAG(0, 0), 8};

    put_header2(HEADER, tags, sizeof(tags));
}

static void test_addresses_2(void **state)
{
    (void)state;
    put_elf(true, HIGH);
    put_addresses2((uint32_t[]){0x200100, 0x200000, 0x201000, 0x208000, 0x200080});
    assert_int_equal(check(), OK);
    assert_int_equal(layout.segment_count, 1);
    expect_segment(0, 0x200000, 0x100, 0x1000, 0x8000);
    assert_int_equal(layout.entry_gpa, 0x200080);
    /* Special value -1: from the beginning of the file. */
    put_addresses2((uint32_t[]){0x200200, 0xffffffff, 0x201000, 0, 0x200080});
    assert_int_equal(check(), OK);
    expect_segment(0, 0x200000, 0, 0x1000, 0x1000);
    put_addresses2((uint32_t[]){0x100, 0xffffffff, 0x201000, 0, 0x200080});
    assert_int_equal(check(), ERR_FORMAT);
}

static void test_entry_tag_of_an_elf_kernel_is_physical(void **state)
{
    static const uint32_t tags[] = {TAG(3, 0), 12, DATA_GPA, 0, TAG(0, 0), 8};

    (void)state;
    make_elf64_2();
    put_header2(HEADER, tags, sizeof(tags));
    assert_int_equal(check(), OK);
    assert_int_equal(layout.entry_gpa, DATA_GPA);
}

static void test_entry_may_be_a_segment_s_first_and_last_byte(void **state)
{
    (void)state;
    make_elf64_2();
    put(24, HIGH + DATA_GPA, 8);
    assert_int_equal(check(), OK);
    assert_int_equal(layout.entry_gpa, DATA_GPA);
    put(24, HIGH + DATA_GPA + DATA_MEM - 1, 8);
    assert_int_equal(check(), OK);
    assert_int_equal(layout.entry_gpa, DATA_GPA + DATA_MEM - 1);
}

static void test_tags_that_are_met_or_optional(void **state)
{
    static const uint32_t tags[] = {
        TAG(1, 0),  36, 1,  2,  3,         6,  8, 21, 14, 0, /* known, there or not */
        TAG(1, 1),  16, 99, 9,                               /* unknown, but optional */
        TAG(4, 0),  12, 2,  0,                               /* EGA text could be used */
        TAG(4, 1),  12, 1,  0,                               /* a screen, optional */
        TAG(5, 0),  20, 80, 25, 0,         0,                /* the preferred mode */
        TAG(6, 0),  8,                                       /* modules at pages */
        TAG(7, 0),  8,                                       /* could do with EFI boot services, */
        TAG(8, 0),  12, 1,  0,  TAG(9, 0), 12, 1, 0,         /* and how */
        TAG(99, 1), 8,                                       /* whatever it is */
        TAG(0, 0),  8,
    };

    (void)state;
    make_elf64_2();
    put_header2(HEADER, tags, sizeof(tags));
    expect_elf(MULTIBOOT2_EAX);
    assert_false(layout.relocatable);
}

static void test_relocatable_kernel_at_its_own_addresses(void **state)
{
    /* lowest, highest, alignment, preference */
    uint32_t tags[] = {TAG(10, 0), 24, MIB, DATA_GPA + DATA_MEM - 1, 4096, 0, TAG(0, 0), 8};

    (void)state;
    make_elf64_2();
    put_header2(HEADER, tags, sizeof(tags));
    expect_elf(MULTIBOOT2_EAX);
    assert_true(layout.relocatable);
    for (unsigned i = 2; i <= 4; i++) {
        uint32_t good = tags[i];

        tags[i] = i == 2 ? good + 1 : i == 3 ? good - 1 : 2 * MIB;
        put_header2(HEADER, tags, sizeof(tags));
        assert_int_equal(check(), ERR_UNSUPPORTED);
        tags[i] = good;
    }
    tags[4] = 0;
    put_header2(HEADER, tags, sizeof(tags));
    assert_int_equal(check(), OK);
}

static void test_segments_without_memory_and_other_headers_are_passed_over(void **state)
{
    (void)state;
    make_elf64_2();
    put_segment(true, 2, (uint64_t[]){UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, 0});
    put_segment(true, 3, (uint64_t[]){UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, 1});
    put(PHDRS + 3 * 56, 2, 4); /* PT_DYNAMIC */
    expect_elf(MULTIBOOT2_EAX);
}

/* --- what is refused -------------------------------------------------------------------------- */

struct refusal {
    const char *why;
    size_t offset;
    uint64_t value;
    size_t bytes;
    enum err expected;
};

static void expect_refusals(void (*make)(void), const struct refusal *refusals, size_t count)
{
    void *state = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct refusal *r = &refusals[i];
        enum err e;

        setup(&state);
        make();
        assert_int_equal(check(), OK);
        put(r->offset, r->value, r->bytes);
        e = check();
        if (e != r->expected)
            fail_msg("%s: %d (%s), expected %d", r->why, e, problem, r->expected);
    }
}

#define EXPECT_REFUSALS(make, refusals)                                                            \
    expect_refusals(make, refusals, sizeof(refusals) / sizeof((refusals)[0]))

static void test_damaged_elf32_is_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"no ELF, no addresses",    0,          0x464c457e,        4, ERR_FORMAT     },
        {"big endian",              5,          2,                 1, ERR_UNSUPPORTED},
        {"ARM",                     18,         40,                2, ERR_UNSUPPORTED},
        {"entry in no segment",     24,         MIB + 0x10,        4, ERR_FORMAT     },
        {"entry behind a segment",  24,         0xc0101234,        4, ERR_FORMAT     },
        {"headers beyond the file", 28,         IMAGE_LEN - 8,     4, ERR_FORMAT     },
        {"headers far beyond",      28,         0xffffffff,        4, ERR_FORMAT     },
        {"headers too short",       42,         23,                2, ERR_FORMAT     },
        {"no headers",              44,         0,                 2, ERR_FORMAT     },
        {"too many headers",        44,         0xffff,            2, ERR_FORMAT     },
        {"bytes beyond the file",   PHDRS + 4,  IMAGE_LEN,         4, ERR_FORMAT     },
        {"offset beyond the file",  PHDRS + 4,  0xffffffff,        4, ERR_FORMAT     },
        {"longer than its memory",  PHDRS + 16, CODE_LEN + 1,      4, ERR_FORMAT     },
        {"huge memory",             PHDRS + 20, 0xffffffff,        4, ERR_NOMEM      },
        {"beyond memory",           PHDRS + 12, 0xffffffff,        4, ERR_NOMEM      },
        {"ends beyond memory",      PHDRS + 12, MEMORY - 4096,     4, ERR_NOMEM      },
        {"into the BIOS area",      PHDRS + 12, 0xe0000,           4, ERR_OVERLAP    },
        {"over 640 KiB",            PHDRS + 12, 0x9e800,           4, ERR_OVERLAP    },
        {"onto boot information",   PHDRS + 12, 0x9e000 - 0x1233,  4, ERR_OVERLAP    },
        {"into 1 MiB from below",   PHDRS + 12, 0xfffff,           4, ERR_OVERLAP    },
        {"onto the other segment",  PHDRS + 12, DATA_GPA - 0x1233, 4, ERR_OVERLAP    },
        {"inside of the other",     PHDRS + 12, DATA_GPA + 1,      4, ERR_OVERLAP    },
    };

    (void)state;
    EXPECT_REFUSALS(make_elf32_1, refusals);
}

static void test_damaged_elf64_is_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"headers beyond the file", 32,         UINT64_MAX - 8,  8, ERR_FORMAT },
        {"headers too short",       54,         47,              2, ERR_FORMAT },
        {"offset wraps",            PHDRS + 8,  UINT64_MAX,      8, ERR_FORMAT },
        {"length wraps",            PHDRS + 32, UINT64_MAX - 16, 8, ERR_FORMAT },
        {"memory wraps",            PHDRS + 40, UINT64_MAX,      8, ERR_NOMEM  },
        {"address wraps",           PHDRS + 24, UINT64_MAX,      8, ERR_NOMEM  },
        {"above 4 GiB",             PHDRS + 24, 4 * GIB,         8, ERR_NOMEM  },
        {"into the BIOS area",      PHDRS + 24, 0xe0000,         8, ERR_OVERLAP},
    };

    (void)state;
    EXPECT_REFUSALS(make_elf64_2, refusals);
}

static void test_places_beside_what_is_taken(void **state)
{
    (void)state;
    make_elf32_1();
    put(PHDRS + 12, 0x9e000 - CODE_LEN, 4);
    assert_int_equal(check(), OK);
    put(PHDRS + 12, 0, 4);
    assert_int_equal(check(), OK);
    put(PHDRS + 12, DATA_GPA - CODE_LEN, 4);
    assert_int_equal(check(), OK);
    put(PHDRS + 12, DATA_GPA + DATA_MEM, 4);
    assert_int_equal(check(), OK);
    put(PHDRS + 12, MEMORY - CODE_LEN, 4);
    assert_int_equal(check(), OK);
    assert_int_equal(layout.modules_gpa, MEMORY);
    cfg.memory = 5 * GIB;
    put(PHDRS + 12, 3 * GIB - CODE_LEN, 4);
    assert_int_equal(check(), OK);
    put(PHDRS + 12, 3 * GIB - CODE_LEN + 1, 4); /* into the hole below 4 GiB */
    assert_int_equal(check(), ERR_NOMEM);
}

static void test_requirements_1(void **state)
{
    (void)state;
    make_elf32_1();
    for (unsigned bit = 2; bit < 16; bit++) {
        put_header1(HEADER, 1u << bit);
        assert_int_equal(check(), ERR_UNSUPPORTED);
        assert_non_null(strstr(problem, bit == 2 ? "video" : "unknown"));
    }
}

static void make_addresses_1(void)
{
    put_addresses1((uint32_t[]){0x200100, 0x200000, 0x201000, 0x208000, 0x200080});
}

static void test_contradictory_addresses_are_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"loads behind its header", HEADER + 16, 0x200101,                    4, ERR_FORMAT},
        {"begins before the file",  HEADER + 16, 0x1ffeff,                    4, ERR_FORMAT},
        {"far before the file",     HEADER + 16, 0,                           4, ERR_FORMAT},
        {"-1 is nothing special",   HEADER + 16, 0xffffffff,                  4, ERR_FORMAT},
        {"ends before it begins",   HEADER + 20, 0x1fffff,                    4, ERR_FORMAT},
        {"longer than the file",    HEADER + 20, 0x200000 + IMAGE_LEN - 0xff, 4, ERR_FORMAT},
        {"much longer",             HEADER + 20, 0xffffffff,                  4, ERR_FORMAT},
        {"bss beyond memory",       HEADER + 24, MEMORY + 1,                  4, ERR_NOMEM },
        {"bss far beyond memory",   HEADER + 24, 0xffffffff,                  4, ERR_NOMEM },
        {"entry before it",         HEADER + 28, 0x1fffff,                    4, ERR_FORMAT},
        {"entry behind it",         HEADER + 28, 0x208000,                    4, ERR_FORMAT},
    };

    (void)state;
    EXPECT_REFUSALS(make_addresses_1, refusals);
    put_addresses1((uint32_t[]){0, 0, 0, 0, 0});
    image_len = HEADER + 31;
    assert_int_equal(check(), ERR_FORMAT);
    assert_non_null(strstr(problem, "cut off"));
    image_len = HEADER + 32;
    assert_int_equal(check(), OK);
    expect_segment(0, 0, HEADER, 32, 32);
}

static void test_requirements_2(void **state)
{
    static const struct {
        uint32_t tag[4];
        enum err expected;
    } cases[] = {
        {{TAG(1, 0), 12, 9},             ERR_UNSUPPORTED}, /* ELF sections */
        {{TAG(1, 0), 12, 22},            ERR_UNSUPPORTED},
        {{TAG(1, 0), 16, 1, UINT32_MAX}, ERR_UNSUPPORTED},
        {{TAG(4, 0), 12, 1},             ERR_UNSUPPORTED}, /* a screen */
        {{TAG(4, 0), 12, 3},             ERR_UNSUPPORTED},
        {{TAG(11, 0), 16},               ERR_UNSUPPORTED},
        {{TAG(0xffff, 0), 16},           ERR_UNSUPPORTED},
        {{TAG(5, 0), 7},                 ERR_FORMAT     }, /* sizes: below a tag's, one's own, beyond the header */
        {{TAG(5, 0), 0},                 ERR_FORMAT     },
        {{TAG(99, 1), 0},                ERR_FORMAT     },
        {{TAG(2, 0), 16},                ERR_FORMAT     },
        {{TAG(3, 0), 11},                ERR_FORMAT     },
        {{TAG(4, 0), 11},                ERR_FORMAT     },
        {{TAG(10, 0), 16},               ERR_FORMAT     },
        {{TAG(5, 0), 25},                ERR_FORMAT     },
        {{TAG(5, 0), UINT32_MAX},        ERR_FORMAT     },
        {{TAG(5, 0), 24},                ERR_FORMAT     }, /* no end tag */
        {{TAG(5, 0), 16},                OK             },
    };

    (void)state;
    make_elf64_2();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t tags[6] = {0};
        enum err e;

        memcpy(tags, cases[i].tag, sizeof(cases[i].tag));
        memcpy(tags + 4, tag_end, sizeof(tag_end));
        put_header2(HEADER, tags, sizeof(tags));
        e = check();
        if (e != cases[i].expected)
            fail_msg("tag case %zu: %d (%s)", i, e, problem);
    }
}

static void test_headers_2_that_lie_are_refused(void **state)
{
    static const uint32_t lengths[] = {0,          1,         15, 16, 23, 32768 - HEADER + 1,
                                       0x7fffffff, UINT32_MAX};

    (void)state;
    make_elf64_2();
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(HEADER + 8, lengths[i], 4);
        put(HEADER + 12, -(uint64_t)(0xe85250d6u + lengths[i]), 4);
        assert_int_equal(check(), ERR_FORMAT);
    }
    put(HEADER + 4, 4, 4); /* MIPS */
    put(HEADER + 8, 24, 4);
    put(HEADER + 12, -(uint64_t)(0xe85250d6u + 4 + 24), 4);
    assert_int_equal(check(), ERR_UNSUPPORTED);
}

static void test_truncated_kernels_are_refused(void **state)
{
    void (*const makers[])(void) = {make_elf32_1, make_elf64_2, make_addresses_1};

    for (unsigned i = 0; i < 3; i++) {
        size_t need = i == 2 ? 0x100 + 0x1000 : DATA + DATA_LEN;

        setup(state);
        makers[i]();
        for (image_len = 0; image_len < need; image_len++)
            assert_int_equal(check(), ERR_FORMAT);
        assert_int_equal(check(), OK);
    }
}

static void test_sixteen_segments_are_possible(void **state)
{
    (void)state;
    make_elf32_1();
    memset(image + HEADER, 0, 64);
    put_header1(0x800, 0);
    for (unsigned i = 2; i < 16; i++)
        put_segment(false, i, (uint64_t[]){CODE, 0, 0x200000 + i * 0x1000, 16, 16});
    assert_int_equal(check(), OK);
    assert_int_equal(layout.segment_count, 16);
    put_segment(false, 16, (uint64_t[]){CODE, 0, 0x300000, 16, 16});
    assert_int_equal(check(), ERR_UNSUPPORTED);
}

/* --- modules and texts ------------------------------------------------------------------------ */

static const uint8_t bytes[5000] = {1, 2, 3};
static const struct guest_module three_modules[] = {
    {"first one=1", {bytes, 5000}},
    {"",            {NULL, 0}    },
    {"third",       {bytes, 4096}},
};

static void test_modules_have_to_fit(void **state)
{
    struct guest_module m[2] = {
        {"", {bytes, 4096}},
        {"", {bytes, 0}   },
    };

    (void)state;
    make_elf32_1();
    cfg.modules = m;
    cfg.module_count = 2;
    m[1].data.len = MEMORY - 0x117000;
    assert_int_equal(check(), OK);
    m[1].data.len++;
    assert_int_equal(check(), ERR_NOMEM);
    m[1].data.len = SIZE_MAX;
    assert_int_equal(check(), ERR_NOMEM);
    m[0].data.len = SIZE_MAX;
    assert_int_equal(check(), ERR_NOMEM);
    cfg.memory = 5 * GIB;
    m[0].data.len = 4096;
    m[1].data.len = 3 * GIB - 0x117000;
    assert_int_equal(check(), OK);
    m[1].data.len++;
    assert_int_equal(check(), ERR_NOMEM);
}

static void test_texts_have_to_fit(void **state)
{
    char *text = calloc(1, 0x10001);
    struct guest_module m[2] = {
        {text, {NULL, 0}},
        {"",   {NULL, 0}},
    };

    (void)state;
    for (unsigned version = 1; version <= 2; version++) {
        size_t room;

        setup(state);
        version == 1 ? make_elf32_1() : make_elf64_2();
        memset(text, 0, 0x10001);
        cfg.cmdline = text;
        assert_int_equal(check(), OK);
        room = 0x10000 - layout.info_len;
        memset(text, 'x', room);
        assert_int_equal(check(), OK);
        assert_int_equal(layout.info_len, 0x10000);
        assert_int_equal(layout.info_gpa, 0x8f000);
        memset(text, 'x', room + 8);
        assert_int_equal(check(), ERR_RANGE);
        cfg.cmdline = "";
        cfg.modules = m;
        cfg.module_count = 2;
        assert_int_equal(check(), ERR_RANGE);
        memset(text + room - 100, 0, 200);
        assert_int_equal(check(), OK);
    }
    free(text);
}

/* --- load ------------------------------------------------------------------------------------- */

static struct vm make_vm(unsigned writes)
{
    struct vm vm = {.ram = calloc(1, MEMORY), .size = MEMORY, .writes_left = writes};

    for (unsigned i = 0; i < 36; i++)
        vm.ram[RSDP_GPA + i] = (uint8_t)(0x80 + i);
    return vm;
}

static struct vm load(void)
{
    struct vm vm = make_vm(WRITES);

    cfg.cmdline = "a=1 b";
    cfg.modules = three_modules;
    cfg.module_count = 3;
    assert_int_equal(check(), OK);
    assert_int_equal(multiboot_load(&vm, &cfg, &layout, RSDP_GPA), OK);
    return vm;
}

static void expect_loaded(const struct vm *vm)
{
    static const uint8_t zeros[DATA_MEM];

    assert_memory_equal(vm->ram + MIB, image + CODE, CODE_LEN);
    assert_memory_equal(vm->ram + DATA_GPA, image + DATA, DATA_LEN);
    assert_memory_equal(vm->ram + DATA_GPA + DATA_LEN, zeros, DATA_MEM - DATA_LEN);
    assert_memory_equal(vm->ram + 0x116000, bytes, 5000);
    assert_memory_equal(vm->ram + 0x118000, bytes, 4096);
}

static void test_load_1(void **state)
{
    (void)state;
    make_elf32_1();
    struct vm vm = load();
    const uint8_t *info = vm.ram + layout.info_gpa;
    const uint8_t *mods = vm.ram + get(info, 24, 4);
    const uint8_t *map = vm.ram + get(info, 48, 4);

    expect_loaded(&vm);
    assert_int_equal(get(info, 0, 4), 0x24d); /* memory, command line, modules, map, name */
    assert_int_equal(get(info, 4, 4), 636);
    assert_int_equal(get(info, 8, 4), 15 * 1024);
    assert_string_equal((char *)vm.ram + get(info, 16, 4), "a=1 b");
    assert_string_equal((char *)vm.ram + get(info, 64, 4), "Bulkhead");
    assert_int_equal(get(info, 20, 4), 3);
    assert_int_equal(get(mods, 0, 4), 0x116000);
    assert_int_equal(get(mods, 4, 4), 0x116000 + 5000);
    assert_string_equal((char *)vm.ram + get(mods, 8, 4), "first one=1");
    assert_int_equal(get(mods, 12, 4), 0);
    assert_int_equal(get(mods, 16, 4), 0x118000);
    assert_int_equal(get(mods, 20, 4), 0x118000);
    assert_string_equal((char *)vm.ram + get(mods, 24, 4), "");
    assert_int_equal(get(mods, 32, 4), 0x118000);
    assert_int_equal(get(mods, 36, 4), 0x119000);
    assert_string_equal((char *)vm.ram + get(mods, 40, 4), "third");
    assert_int_equal(get(info, 44, 4), 3 * 24);
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t base[] = {0, 0x9f000, MIB, MEMORY};

        assert_int_equal(get(map, 24 * i, 4), 20);
        assert_int_equal(get(map, 24 * i + 4, 8), base[i]);
        assert_int_equal(get(map, 24 * i + 12, 8), base[i + 1] - base[i]);
        assert_int_equal(get(map, 24 * i + 20, 4), i == 1 ? 2 : 1);
    }
    free(vm.ram);
}

/* The tag of a type, number `skip` of them; ends the test if there is none. */
static const uint8_t *find_tag(const uint8_t *info, uint32_t type, unsigned skip)
{
    for (size_t at = 8; at < get(info, 0, 4); at = (at + get(info, at + 4, 4) + 7) & ~(size_t)7) {
        if (get(info, at, 4) == type && skip-- == 0)
            return info + at;
    }
    fail_msg("no tag %u", type);
    return NULL;
}

static void expect_module2(const uint8_t *info, unsigned number, uint64_t start, uint64_t len,
                           const char *string)
{
    const uint8_t *tag = find_tag(info, 3, number);

    assert_int_equal(get(tag, 8, 4), start);
    assert_int_equal(get(tag, 12, 4), start + len);
    assert_string_equal((const char *)tag + 16, string);
    assert_int_equal(get(tag, 4, 4), 17 + strlen(string));
}

static void test_load_2(void **state)
{
    static const uint32_t tags[] = {TAG(10, 0), 24, 0, 0xffffffff, 4096, 0, TAG(0, 0), 8};

    (void)state;
    make_elf64_2();
    put_header2(HEADER, tags, sizeof(tags));
    struct vm vm = load();
    const uint8_t *info = vm.ram + layout.info_gpa;
    const uint8_t *map = find_tag(info, 6, 0);

    expect_loaded(&vm);
    assert_int_equal(get(info, 0, 4), layout.info_len);
    assert_int_equal(get(info, 4, 4), 0);
    assert_string_equal((const char *)find_tag(info, 1, 0) + 8, "a=1 b");
    assert_int_equal(get(find_tag(info, 1, 0), 4, 4), 8 + 6);
    assert_string_equal((const char *)find_tag(info, 2, 0) + 8, "Bulkhead");
    expect_module2(info, 0, 0x116000, 5000, "first one=1");
    expect_module2(info, 1, 0x118000, 0, "");
    expect_module2(info, 2, 0x118000, 4096, "third");
    assert_int_equal(get(find_tag(info, 4, 0), 4, 4), 16);
    assert_int_equal(get(find_tag(info, 4, 0), 8, 4), 636);
    assert_int_equal(get(find_tag(info, 4, 0), 12, 4), 15 * 1024);
    assert_int_equal(get(map, 4, 4), 16 + 3 * 24);
    assert_int_equal(get(map, 8, 4), 24);
    assert_int_equal(get(map, 12, 4), 0);
    assert_int_equal(get(map, 16 + 2 * 24, 8), MIB);
    assert_int_equal(get(map, 16 + 2 * 24 + 8, 8), 15 * MIB);
    assert_int_equal(get(map, 16 + 2 * 24 + 16, 8), 1);
    assert_int_equal(get(find_tag(info, 15, 0), 4, 4), 8 + 36);
    assert_memory_equal(find_tag(info, 15, 0) + 8, vm.ram + RSDP_GPA, 36);
    assert_int_equal(get(find_tag(info, 21, 0), 8, 4), MIB);
    /* An end tag, and nothing behind it. */
    assert_int_equal(get(info, layout.info_len - 8, 8), 8ull << 32);
    free(vm.ram);
}

/* Our own reader of the same structure, as a kernel that is not ours would do it. */
static void test_load_2_is_understood_by_the_hypervisor(void **state)
{
    static struct boot_info info;

    (void)state;
    make_elf64_2();
    cfg.memory = MEMORY;
    struct vm vm = load();

    assert_int_equal(bootinfo_from_multiboot2(vm.ram + layout.info_gpa, layout.info_len, &info),
                     OK);
    assert_string_equal(info.cmdline, "a=1 b");
    assert_string_equal(info.loader, "Bulkhead");
    assert_int_equal(info.firmware, BOOT_FIRMWARE_BIOS);
    assert_int_equal(info.module_count, 3);
    assert_int_equal(info.memory_count, 3);
    assert_int_equal(info.rsdp_len, 36);
    assert_false(info.load_base_known);
    free(vm.ram);
}

static void test_memory_above_4_gib_is_told(void **state)
{
    struct vm vm = make_vm(WRITES);
    const uint8_t *map;

    (void)state;
    make_elf64_2();
    cfg.memory = 5 * GIB;
    assert_int_equal(check(), OK);
    assert_int_equal(multiboot_load(&vm, &cfg, &layout, RSDP_GPA), OK);
    map = find_tag(vm.ram + layout.info_gpa, 6, 0);
    assert_int_equal(get(map, 4, 4), 16 + 4 * 24);
    assert_int_equal(get(map, 16 + 3 * 24, 8), 4 * GIB);
    assert_int_equal(get(map, 16 + 3 * 24 + 8, 8), 2 * GIB);
    assert_int_equal(get(find_tag(vm.ram + layout.info_gpa, 4, 0), 12, 4), 3 * 1024 * 1024 - 1024);
    free(vm.ram);
}

static void test_a_segment_may_be_all_zeros(void **state)
{
    (void)state;
    make_elf32_1();
    put_segment(false, 2, (uint64_t[]){DATA, 0, 0x200000, 0, 0x180001});
    struct vm vm = load();

    expect_segment(2, 0x200000, DATA, 0, 0x180001);
    assert_int_equal(layout.modules_gpa, 0x381000);
    assert_int_equal(vm.ram[0x200000], 0);
    free(vm.ram);
}

/* What is written lies where the layout says: the fake's gmem_write sees to it that nothing meets.
 */
static void test_nothing_else_is_written(void **state)
{
    for (unsigned version = 1; version <= 2; version++) {
        setup(state);
        version == 1 ? make_elf32_1() : make_elf64_2();
        struct vm vm = load();

        for (unsigned i = 0; i < vm.count; i++) {
            uint64_t gpa = vm.writes[i].gpa;
            uint64_t end = gpa + vm.writes[i].len;
            bool info = gpa >= layout.info_gpa && end <= layout.info_gpa + layout.info_len;

            assert_true(info || (gpa >= MIB && end <= 0x119000));
        }
        assert_true(layout.info_gpa + layout.info_len <= 0x9f000);
        free(vm.ram);
    }
}

static void test_memory_that_is_not_there_is_an_error(void **state)
{
    for (unsigned version = 1; version <= 2; version++) {
        setup(state);
        version == 1 ? make_elf32_1() : make_elf64_2();
        struct vm vm = load();
        unsigned needed = vm.count;

        free(vm.ram);
        for (unsigned writes = 0; writes <= needed; writes++) {
            vm = make_vm(writes);
            assert_int_equal(multiboot_load(&vm, &cfg, &layout, RSDP_GPA),
                             writes == needed ? OK : ERR_RANGE);
            free(vm.ram);
        }
        vm = make_vm(WRITES);
        assert_int_equal(multiboot_load(&vm, &cfg, &layout, MEMORY), ERR_RANGE);
        free(vm.ram);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_both_classes_by_both_versions, setup),
        cmocka_unit_test_setup(test_multiboot2_wins, setup),
        cmocka_unit_test_setup(test_header_is_searched_in_its_part_of_the_file, setup),
        cmocka_unit_test_setup(test_header_is_aligned_and_adds_up, setup),
        cmocka_unit_test_setup(test_flags_that_are_met, setup),
        cmocka_unit_test_setup(test_addresses_1, setup),
        cmocka_unit_test_setup(test_addresses_2, setup),
        cmocka_unit_test_setup(test_entry_tag_of_an_elf_kernel_is_physical, setup),
        cmocka_unit_test_setup(test_entry_may_be_a_segment_s_first_and_last_byte, setup),
        cmocka_unit_test_setup(test_tags_that_are_met_or_optional, setup),
        cmocka_unit_test_setup(test_relocatable_kernel_at_its_own_addresses, setup),
        cmocka_unit_test_setup(test_segments_without_memory_and_other_headers_are_passed_over,
                               setup),
        cmocka_unit_test_setup(test_damaged_elf32_is_refused, setup),
        cmocka_unit_test_setup(test_damaged_elf64_is_refused, setup),
        cmocka_unit_test_setup(test_places_beside_what_is_taken, setup),
        cmocka_unit_test_setup(test_requirements_1, setup),
        cmocka_unit_test_setup(test_contradictory_addresses_are_refused, setup),
        cmocka_unit_test_setup(test_requirements_2, setup),
        cmocka_unit_test_setup(test_headers_2_that_lie_are_refused, setup),
        cmocka_unit_test_setup(test_truncated_kernels_are_refused, setup),
        cmocka_unit_test_setup(test_sixteen_segments_are_possible, setup),
        cmocka_unit_test_setup(test_modules_have_to_fit, setup),
        cmocka_unit_test_setup(test_texts_have_to_fit, setup),
        cmocka_unit_test_setup(test_load_1, setup),
        cmocka_unit_test_setup(test_load_2, setup),
        cmocka_unit_test_setup(test_load_2_is_understood_by_the_hypervisor, setup),
        cmocka_unit_test_setup(test_memory_above_4_gib_is_told, setup),
        cmocka_unit_test_setup(test_a_segment_may_be_all_zeros, setup),
        cmocka_unit_test_setup(test_nothing_else_is_written, setup),
        cmocka_unit_test_setup(test_memory_that_is_not_there_is_an_error, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
