/* unit: guest/load_linux.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The Linux loader against Documentation/x86/boot.rst; a kernel image is made by hand here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/gmem.h"
#include "guest/load_linux.h"

#define IMAGE_LEN   (64 * 1024)
#define SETUP_SECTS 4
#define CODE_OFFSET ((SETUP_SECTS + 1) * 512)
#define CODE_LEN    ((size_t)IMAGE_LEN - CODE_OFFSET)
#define MEMORY      (64 * MIB)
#define RUBBISH_LEN 0x110000 /* of guest memory that is not 0 before loading */

/* The fake guest: flat memory. Memory tests need only the first 64 MiB. */
struct vm {
    uint8_t *ram;
    uint64_t size;
    unsigned writes_left; /* the write after these fails */
};

bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    if (vm->writes_left == 0 || gpa > vm->size || len > vm->size - gpa) {
        return false;
    }
    vm->writes_left--;
    memcpy(vm->ram + gpa, buf, len);
    return true;
}

bool gmem_fill(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    return gmem_write(vm, gpa, buf, len);
}

static void put(uint8_t *image, size_t offset, uint64_t value, size_t bytes)
{
    memcpy(image + offset, &value, bytes);
}

/* An image with the header values of Debian 12's kernel, but a smaller init_size. */
static uint8_t *make_image(void)
{
    uint8_t *image = malloc(IMAGE_LEN);

    for (size_t i = 0; i < IMAGE_LEN; i++) {
        image[i] = (uint8_t)(i * 7 + i / 256);
    }
    memset(image + 0x1f1, 0, 0x26c - 0x1f1);
    put(image, 0x1f1, SETUP_SECTS, 1);
    put(image, 0x1f4, CODE_LEN / 16, 4);
    put(image, 0x1fe, 0xaa55, 2);
    put(image, 0x200, 0x6aeb, 2);
    put(image, 0x202, 0x53726448, 4);
    put(image, 0x206, 0x020f, 2);
    put(image, 0x211, 0x81, 1);   /* LOADED_HIGH, CAN_USE_HEAP */
    put(image, 0x224, 0x55aa, 2); /* heap_end_ptr; the loader has to clear it */
    put(image, 0x22c, 0x7fffffff, 4);
    put(image, 0x230, 0x200000, 4);
    put(image, 0x234, 1, 1);
    put(image, 0x235, 0x15, 1);
    put(image, 0x236, 0x7f, 2);
    put(image, 0x238, 2047, 4);
    put(image, 0x250, 0x1234, 8); /* the loader has to clear it */
    put(image, 0x258, 0x1000000, 8);
    put(image, 0x260, 0x800000, 4);
    return image;
}

static enum err check(const uint8_t *image, size_t len, size_t initrd, uint64_t memory,
                      const char *cmdline, struct linux_layout *out)
{
    struct guest_image kernel = {image, len};
    const char *problem;
    enum err e = linux_check(&kernel, initrd, memory, cmdline, out, &problem);

    assert_true((e == OK) == (problem == NULL));
    return e;
}

/* ---- layout ---- */

static void test_layout_of_good_kernel(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    assert_int_equal(check(image, IMAGE_LEN, 5000, MEMORY, "console=ttyS0", &l), OK);
    assert_int_equal(l.code_offset, CODE_OFFSET);
    assert_int_equal(l.code_len, CODE_LEN);
    assert_int_equal(l.kernel_gpa, 0x1000000);
    assert_int_equal(l.kernel_end_gpa, 0x1800000);
    assert_int_equal(l.entry_gpa, 0x1000200);
    assert_int_equal(l.initrd_gpa, 0x4000000 - 0x2000);
    assert_int_equal(l.initrd_len, 5000);
    assert_int_equal(l.cmdline_len, 13);
    free(image);
}

static void test_initrd_stays_below_initrd_addr_max(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    assert_int_equal(check(image, IMAGE_LEN, 131072, 3 * GIB, "", &l), OK);
    assert_int_equal(l.initrd_gpa, 0x7ffe0000);
    put(image, 0x22c, 0x37ffffff, 4); /* the example of boot.rst */
    assert_int_equal(check(image, IMAGE_LEN, 131072, 3 * GIB, "", &l), OK);
    assert_int_equal(l.initrd_gpa, 0x37fe0000);
    put(image, 0x22c, 0xffffffff, 4);
    assert_int_equal(check(image, IMAGE_LEN, 131072, 3 * GIB, "", &l), OK);
    assert_int_equal(l.initrd_gpa, 3 * GIB - 131072);
    assert_int_equal(check(image, IMAGE_LEN, 131072, 6 * GIB, "", &l), OK);
    assert_int_equal(l.initrd_gpa, 3 * GIB - 131072); /* below the hole */
    free(image);
}

static void test_no_initrd_has_address_0(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, "", &l), OK);
    assert_int_equal(l.initrd_gpa, 0);
    free(image);
}

static void test_setup_sects_0_means_4(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    put(image, 0x1f1, 0, 1);
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, "", &l), OK);
    assert_int_equal(l.code_offset, 5 * 512);
    free(image);
}

static void test_signature_after_code_is_not_loaded(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    put(image, 0x1f4, CODE_LEN / 16 - 100, 4);
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, "", &l), OK);
    assert_int_equal(l.code_len, CODE_LEN - 1600);
    free(image);
}

static void test_memory_fits_to_the_page(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    assert_int_equal(check(image, IMAGE_LEN, 0, 0x1800000, "", &l), OK);
    assert_int_equal(check(image, IMAGE_LEN, 0, 0x1800000 - 4096, "", &l), ERR_NOMEM);
    assert_int_equal(check(image, IMAGE_LEN, 4096, 0x1801000, "", &l), OK);
    assert_int_equal(l.initrd_gpa, l.kernel_end_gpa);
    assert_int_equal(check(image, IMAGE_LEN, 4097, 0x1801000, "", &l), ERR_NOMEM);
    assert_int_equal(check(image, IMAGE_LEN, SIZE_MAX, MEMORY, "", &l), ERR_NOMEM);
    free(image);
}

static void test_bad_memory_sizes_are_refused(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    assert_int_equal(check(image, IMAGE_LEN, 0, 0, "", &l), ERR_RANGE);
    assert_int_equal(check(image, IMAGE_LEN, 0, MIB, "", &l), ERR_RANGE);
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY + 1, "", &l), ERR_RANGE);
    assert_int_equal(check(image, IMAGE_LEN, 0, 3 * GIB, "", &l), OK);
    assert_int_equal(check(image, IMAGE_LEN, 0, 3 * GIB + 4096, "", &l), OK);
    assert_int_equal(check(image, IMAGE_LEN, 0, 64 * GIB, "", &l), OK);
    assert_int_equal(check(image, IMAGE_LEN, 0, 64 * GIB + 4096, "", &l), ERR_RANGE);
    free(image);
}

static void test_cmdline_length_limits(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;
    char text[2049];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[2047] = 0;
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, text, &l), OK);
    put(image, 0x238, 2046, 4);
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, text, &l), ERR_RANGE);
    put(image, 0x238, 4096, 4);
    text[2047] = 'x';
    text[2048] = 0;
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, text, &l), ERR_RANGE);
    free(image);
}

/* ---- refusals ---- */

struct refusal {
    const char *why;
    size_t offset;
    uint64_t value;
    size_t bytes;
    enum err expected;
};

static void test_unusable_headers_are_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"boot_flag",               0x1fe, 0xaa54,             2, ERR_FORMAT     },
        {"jump",                    0x200, 0xe9,               1, ERR_FORMAT     },
        {"magic",                   0x202, 0x53726449,         4, ERR_FORMAT     },
        {"version 2.11",            0x206, 0x020b,             2, ERR_UNSUPPORTED},
        {"zImage",                  0x211, 0x80,               1, ERR_UNSUPPORTED},
        {"no 64-bit entry",         0x236, 0x7e,               2, ERR_UNSUPPORTED},
        {"header too short",        0x201, 0x65,               1, ERR_FORMAT     },
        {"header too long",         0x201, 0x8f,               1, ERR_FORMAT     },
        {"code longer than file",   0x1f4, CODE_LEN / 16 + 1,  4, ERR_FORMAT     },
        {"code longer than 4 GiB",  0x1f4, 0xffffffff,         4, ERR_FORMAT     },
        {"no code",                 0x1f4, 0x20,               4, ERR_FORMAT     },
        {"setup beyond file",       0x1f1, 0xff,               1, ERR_FORMAT     },
        {"alignment 0",             0x230, 0,                  4, ERR_FORMAT     },
        {"alignment not 2^n",       0x230, 0x3000,             4, ERR_FORMAT     },
        {"alignment below a page",  0x230, 0x800,              4, ERR_FORMAT     },
        {"address 0",               0x258, 0,                  8, ERR_UNSUPPORTED},
        {"address not aligned",     0x258, 0x1001000,          8, ERR_UNSUPPORTED},
        {"address beyond memory",   0x258, 0x100000000,        8, ERR_NOMEM      },
        {"address wraps",           0x258, 0xffffffffffe00000, 8, ERR_NOMEM      },
        {"init_size beyond memory", 0x260, 0x3001000,          4, ERR_NOMEM      },
    };
    struct linux_layout l;

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        uint8_t *image = make_image();
        enum err e;

        put(image, r->offset, r->value, r->bytes);
        e = check(image, r->offset == 0x1f1 ? 0x10000 : IMAGE_LEN, 0, MEMORY, "", &l);
        if (e != r->expected) {
            fail_msg("%s: %d, expected %d", r->why, e, r->expected);
        }
        free(image);
    }
}

static void test_longest_header_and_version_2_12_are_accepted(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    put(image, 0x201, 0x8e, 1);
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, "", &l), OK);
    put(image, 0x201, 0x66, 1);
    put(image, 0x206, 0x020c, 2);
    assert_int_equal(check(image, IMAGE_LEN, 0, MEMORY, "", &l), OK);
    free(image);
}

static void test_truncated_images_are_refused(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    for (size_t len = 0; len < IMAGE_LEN; len += len < 0x400 ? 1 : 997) {
        uint8_t *cut = malloc(len + 1); /* its own block, so that ASan sees a read beyond */
        uint8_t *exact = realloc(cut, len ? len : 1);

        memcpy(exact, image, len);
        assert_int_equal(check(exact, len, 0, MEMORY, "", &l), ERR_FORMAT);
        free(exact);
    }
    assert_int_equal(check(image, IMAGE_LEN - 16, 0, MEMORY, "", &l), ERR_FORMAT);
    free(image);
}

/* syssize counts in units of 16 bytes. */
static void test_last_unit_need_not_be_whole(void **state)
{
    uint8_t *image = make_image();
    struct linux_layout l;

    (void)state;
    assert_int_equal(check(image, IMAGE_LEN - 15, 0, MEMORY, "", &l), OK);
    assert_int_equal(l.code_len, CODE_LEN - 15);
    free(image);
}

/* ---- memory map ---- */

static void test_e820_leaves_bios_area_out(void **state)
{
    struct linux_e820_entry e[LINUX_E820_MAX];

    (void)state;
    assert_int_equal(linux_e820(256 * MIB, e), 3);
    assert_int_equal(e[0].addr, 0);
    assert_int_equal(e[0].size, 0x9f000);
    assert_int_equal(e[0].type, 1);
    assert_int_equal(e[1].addr, 0x9f000);
    assert_int_equal(e[1].size, 0x61000);
    assert_int_equal(e[1].type, 2);
    assert_int_equal(e[2].addr, 0x100000);
    assert_int_equal(e[2].size, 0xff00000);
    assert_int_equal(e[2].type, 1);
}

static void test_e820_leaves_the_hole_below_4_gib_out(void **state)
{
    struct linux_e820_entry e[LINUX_E820_MAX];

    (void)state;
    assert_int_equal(linux_e820(3 * GIB, e), 3);
    assert_int_equal(e[2].size, 3 * GIB - MIB);
    assert_int_equal(linux_e820(3 * GIB + PAGE_SIZE, e), 4);
    assert_int_equal(e[2].addr, MIB);
    assert_int_equal(e[2].size, 3 * GIB - MIB);
    assert_int_equal(e[3].addr, 4 * GIB);
    assert_int_equal(e[3].size, PAGE_SIZE);
    assert_int_equal(e[3].type, 1);
    assert_int_equal(linux_e820(64 * GIB, e), 4);
    assert_int_equal(e[3].size, 61 * GIB);
}

/* ---- load ---- */

static uint64_t get(const struct vm *vm, uint64_t gpa, size_t bytes)
{
    uint64_t value = 0;

    memcpy(&value, vm->ram + gpa, bytes);
    return value;
}

/* Guest memory full of rubbish, as after a guest that ran before; the parts that matter. */
static struct vm make_vm(void)
{
    struct vm vm = {calloc(1, MEMORY), MEMORY, 1000};

    memset(vm.ram, 0xcc, RUBBISH_LEN);
    memset(vm.ram + 0x1000000, 0xcc, IMAGE_LEN);
    return vm;
}

struct loaded {
    uint8_t *image;
    uint8_t initrd[5000];
    struct vm vm;
    struct linux_layout layout;
    struct linux_entry entry;
    enum err result;
};

static struct loaded *load(unsigned writes, size_t initrd_len)
{
    struct loaded *x = calloc(1, sizeof(*x));
    struct guest_config cfg = {.cmdline = "console=ttyS0", .memory = MEMORY};

    x->image = make_image();
    x->vm = make_vm();
    x->vm.writes_left = writes;
    memset(x->initrd, 0x5a, sizeof(x->initrd));
    cfg.kernel = (struct guest_image){x->image, IMAGE_LEN};
    cfg.initrd = (struct guest_image){x->initrd, initrd_len};
    assert_int_equal(check(x->image, IMAGE_LEN, initrd_len, MEMORY, cfg.cmdline, &x->layout), OK);
    x->result = linux_load(&x->vm, &cfg, &x->layout, 0xe0000, &x->entry);
    return x;
}

static void unload(struct loaded *x)
{
    free(x->image);
    free(x->vm.ram);
    free(x);
}

static void test_load_puts_images_in_place(void **state)
{
    struct loaded *x = load(1000, 5000);

    (void)state;
    assert_int_equal(x->result, OK);
    assert_memory_equal(x->vm.ram + 0x1000000, x->image + CODE_OFFSET, CODE_LEN);
    assert_int_equal(x->vm.ram[0x1000000 + CODE_LEN], 0xcc);
    assert_memory_equal(x->vm.ram + 0x3ffe000, x->initrd, 5000);
    assert_string_equal((char *)x->vm.ram + get(&x->vm, x->entry.rsi + 0x228, 4), "console=ttyS0");
    unload(x);
}

static void test_load_fills_boot_params(void **state)
{
    struct loaded *x = load(1000, 5000);
    uint64_t bp = x->entry.rsi;
    uint8_t expected[0x26c];

    (void)state;
    assert_int_equal(get(&x->vm, bp + 0x070, 8), 0xe0000);   /* acpi_rsdp_addr */
    assert_int_equal(get(&x->vm, bp + 0x1e8, 1), 3);         /* e820_entries */
    assert_int_equal(get(&x->vm, bp + 0x1ef, 1), 0);         /* sentinel */
    assert_int_equal(get(&x->vm, bp + 0x210, 1), 0xff);      /* type_of_loader */
    assert_int_equal(get(&x->vm, bp + 0x211, 1), 0x01);      /* loadflags */
    assert_int_equal(get(&x->vm, bp + 0x214, 4), 0x1000000); /* code32_start */
    assert_int_equal(get(&x->vm, bp + 0x218, 4), 0x3ffe000); /* ramdisk_image */
    assert_int_equal(get(&x->vm, bp + 0x21c, 4), 5000);      /* ramdisk_size */
    assert_int_equal(get(&x->vm, bp + 0x250, 8), 0);         /* setup_data */
    assert_int_equal(get(&x->vm, bp + 0x2d0 + 20, 8), 0x9f000);
    assert_int_equal(get(&x->vm, bp + 0x2d0 + 48, 8), 0x3f00000);
    /* The header's other fields are the image's. */
    memcpy(expected, x->image, sizeof(expected));
    put(expected, 0x1fa, 0xffff, 2);
    put(expected, 0x210, 0xff, 1);
    put(expected, 0x211, 0x01, 1);
    put(expected, 0x214, 0x1000000, 4);
    put(expected, 0x218, 0x3ffe000, 4);
    put(expected, 0x21c, 5000, 4);
    put(expected, 0x224, 0, 2);
    put(expected, 0x228, LINUX_CMDLINE_GPA, 4);
    put(expected, 0x250, 0, 8);
    assert_memory_equal(x->vm.ram + bp + 0x1f1, expected + 0x1f1, 0x26c - 0x1f1);
    unload(x);
}

static void test_load_clears_the_rest_of_boot_params(void **state)
{
    struct loaded *x = load(1000, 0);
    uint64_t bp = x->entry.rsi;

    (void)state;
    for (uint64_t i = 0; i < 4096; i++) {
        bool used = (i >= 0x70 && i < 0x78) || i == 0x1e8 || (i >= 0x1f1 && i < 0x26c) ||
                    (i >= 0x2d0 && i < 0x2d0 + 60);
        if (!used) {
            assert_int_equal(x->vm.ram[bp + i], 0);
        }
    }
    assert_int_equal(get(&x->vm, bp + 0x218, 8), 0); /* no initrd */
    unload(x);
}

/* Linear to physical as the CPU does it: SDM 3A "4-Level Paging", 2 MiB pages only. */
static uint64_t translate(const struct vm *vm, uint64_t cr3, uint64_t linear)
{
    uint64_t table = cr3;

    for (unsigned shift = 39; shift >= 21; shift -= 9) {
        uint64_t entry = get(vm, table + ((linear >> shift) & 511) * 8, 8);

        if ((entry & 3) != 3) {
            return UINT64_MAX;
        }
        if (shift == 21) {
            assert_int_equal(entry & 0x1fff7c, 0); /* reserved bits, cache and user bits */
            return (entry & 0xffffffe00000) | (linear & 0x1fffff);
        }
        assert_int_equal(entry & 0xffc, 0);
        table = entry & ~0xfffull;
    }
    return UINT64_MAX;
}

static void test_first_4_gib_are_identity_mapped_and_no_more(void **state)
{
    struct loaded *x = load(1000, 0);

    (void)state;
    for (uint64_t a = 0x123; a < 4 * GIB; a += 2 * MIB) {
        assert_int_equal(translate(&x->vm, x->entry.cr3, a), a);
    }
    assert_int_equal(translate(&x->vm, x->entry.cr3, 4 * GIB), UINT64_MAX);
    assert_int_equal(translate(&x->vm, x->entry.cr3, 512 * GIB), UINT64_MAX);
    unload(x);
}

static void test_entry_state_is_64_bit_mode(void **state)
{
    struct loaded *x = load(1000, 0);
    const struct linux_entry *e = &x->entry;

    (void)state;
    assert_int_equal(e->rip, 0x1000200);
    assert_int_equal(e->cr0 & 0x80000001, 0x80000001); /* PG, PE */
    assert_int_equal(e->cr4, 0x20);                    /* PAE */
    assert_int_equal(e->efer, 0x500);                  /* LMA, LME */
    assert_true(e->gdt_limit >= 0x1f);
    assert_int_equal(get(&x->vm, e->gdt_base, 8), 0);
    /* 64-bit code, execute/read, and data, read/write; flat, present, DPL 0, accessed. */
    assert_int_equal(get(&x->vm, e->gdt_base + LINUX_BOOT_CS, 8), 0x00af9b000000ffff);
    assert_int_equal(get(&x->vm, e->gdt_base + LINUX_BOOT_DS, 8), 0x00cf93000000ffff);
    unload(x);
}

static void test_nothing_else_is_written(void **state)
{
    struct loaded *x = load(1000, 0);

    (void)state;
    for (uint64_t i = 0; i < 0x1000; i++) {
        assert_int_equal(x->vm.ram[i], 0xcc);
    }
    for (uint64_t i = 0xa000; i < RUBBISH_LEN; i++) {
        assert_int_equal(x->vm.ram[i], 0xcc);
    }
    unload(x);
}

static void test_load_reports_each_failing_write(void **state)
{
    struct loaded *x = load(1000, 5000);
    unsigned writes = 1000 - x->vm.writes_left;

    (void)state;
    unload(x);
    for (unsigned i = 0; i < writes; i++) {
        x = load(i, 5000);
        assert_int_equal(x->result, ERR_RANGE);
        unload(x);
    }
}

/* ---- hostile ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void assert_layout_is_sane(const struct linux_layout *l, size_t image_len, size_t initrd)
{
    assert_true(l->code_offset + l->code_len <= image_len);
    assert_true(l->kernel_gpa >= 0x100000);
    assert_true(l->kernel_gpa + l->code_len <= l->kernel_end_gpa);
    assert_true(l->kernel_end_gpa <= gmem_low_len(l->memory));
    assert_true(l->entry_gpa < l->kernel_gpa + l->code_len);
    if (initrd != 0) {
        assert_true(l->initrd_gpa >= l->kernel_end_gpa);
        assert_true(l->initrd_gpa + initrd <= gmem_low_len(l->memory));
        assert_true(l->initrd_gpa + initrd - 1 <= l->header.initrd_addr_max);
    }
}

static void test_mutated_headers_never_give_a_bad_layout(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    uint8_t *good = make_image();
    uint8_t *image = make_image();
    unsigned accepted = 0;

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        struct linux_layout l;
        size_t initrd = next_random(&seed) % 3 == 0 ? 0 : next_random(&seed) % (48 * MIB);
        uint64_t memory = (next_random(&seed) % (6 * GIB)) & ~(2 * MIB - 1);

        memcpy(image, good, 0x280);
        for (unsigned n = next_random(&seed) % 4; n > 0; n--) {
            image[0x1f1 + next_random(&seed) % 0x7b] = (uint8_t)next_random(&seed);
        }
        if (check(image, IMAGE_LEN, initrd, memory, "x", &l) == OK) {
            assert_layout_is_sane(&l, IMAGE_LEN, initrd);
            accepted++;
        }
    }
    assert_true(accepted > 10000 && accepted < 290000);
    free(image);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_of_good_kernel),
        cmocka_unit_test(test_initrd_stays_below_initrd_addr_max),
        cmocka_unit_test(test_no_initrd_has_address_0),
        cmocka_unit_test(test_setup_sects_0_means_4),
        cmocka_unit_test(test_signature_after_code_is_not_loaded),
        cmocka_unit_test(test_memory_fits_to_the_page),
        cmocka_unit_test(test_bad_memory_sizes_are_refused),
        cmocka_unit_test(test_cmdline_length_limits),
        cmocka_unit_test(test_unusable_headers_are_refused),
        cmocka_unit_test(test_longest_header_and_version_2_12_are_accepted),
        cmocka_unit_test(test_truncated_images_are_refused),
        cmocka_unit_test(test_last_unit_need_not_be_whole),
        cmocka_unit_test(test_e820_leaves_bios_area_out),
        cmocka_unit_test(test_e820_leaves_the_hole_below_4_gib_out),
        cmocka_unit_test(test_load_puts_images_in_place),
        cmocka_unit_test(test_load_fills_boot_params),
        cmocka_unit_test(test_load_clears_the_rest_of_boot_params),
        cmocka_unit_test(test_first_4_gib_are_identity_mapped_and_no_more),
        cmocka_unit_test(test_entry_state_is_64_bit_mode),
        cmocka_unit_test(test_nothing_else_is_written),
        cmocka_unit_test(test_load_reports_each_failing_write),
        cmocka_unit_test(test_mutated_headers_never_give_a_bad_layout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
