/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz: guest/load_multiboot.c guest/multiboot_info.c guest/load_linux.c; ; 512 */
/*
 * The Multiboot loader with any kernel: it reads nothing outside of the image, and what it accepts
 * is loaded into RAM, each byte once, around what is taken. Input: a byte of choices, one that says
 * where a header is, then the image. What chance would not find is put right in it: the header's
 * magic and checksum, the beginning of an ELF file, and, if so chosen, that its segments lie in or
 * near the memory.
 */
#include "guest/gmem.h"
#include "guest/load_multiboot.h"
#include "tests/fuzz/fuzz.h"

#define CHOICES    2u /* bytes before the image */
#define V2         0x01u
#define MEMORY     0x06u
#define MODULES    0x18u
#define ELF        0x20u
#define ELF64      0x40u
#define TAME       0x80u
#define PHDRS      0x40u
#define LOW_END    0x9f000u
#define RSDP_GPA   0xe0000u
#define WRITES_MAX 200u

/* A guest whose memory is only a list of what was written. */
struct vm {
    uint64_t low_len;
    unsigned count;
    struct {
        uint64_t gpa, end;
    } writes[WRITES_MAX];
};

bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    volatile uint8_t sum = 0;

    CHECK(len != 0 && gpa < vm->low_len && len <= vm->low_len - gpa);
    CHECK(gpa + len <= LOW_END || gpa >= MIB);
    for (size_t i = 0; i < len; i++)
        sum ^= ((const uint8_t *)buf)[i];
    CHECK(vm->count < WRITES_MAX);
    for (unsigned i = 0; i < vm->count; i++)
        CHECK(gpa >= vm->writes[i].end || gpa + len <= vm->writes[i].gpa);
    vm->writes[vm->count].gpa = gpa;
    vm->writes[vm->count++].end = gpa + len;
    return true;
}

bool gmem_fill(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    return gmem_write(vm, gpa, buf, len);
}

bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
    CHECK(gpa == RSDP_GPA && len == 36 && vm->low_len > MIB);
    memset(buf, 0x5a, len);
    return true;
}

static uint32_t number(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* The first word becomes the magic number, the last one of count what makes their sum 0. */
static void put_header(uint8_t *header, uint32_t magic, unsigned count)
{
    uint32_t sum = magic;

    memcpy(header, &magic, sizeof(magic));
    for (unsigned i = 1; i < count - 1; i++)
        sum += number(header + 4 * i);
    sum = -sum;
    memcpy(header + 4 * (count - 1), &sum, sizeof(sum));
}

/* Up to four program headers, of which the last may be cut off. */
static void put_elf(uint8_t *image, bool elf64)
{
    const uint8_t ident[] = {0x7f, 'E', 'L', 'F', elf64 ? 2 : 1, 1, 1};

    memcpy(image, ident, sizeof(ident));
    image[18] = 3;
    image[19] = 0;
    memset(image + (elf64 ? 32 : 28), 0, elf64 ? 8 : 4);
    image[elf64 ? 32 : 28] = PHDRS;
    image[elf64 ? 54 : 42] = elf64 ? 56 : 32;
    image[elf64 ? 55 : 43] = 0;
    image[elf64 ? 56 : 44] &= 3;
    image[elf64 ? 57 : 45] = 0;
}

static void tame_word(uint8_t *at, size_t word, uint32_t mask)
{
    uint32_t value = number(at) & mask;

    memset(at, 0, word);
    memcpy(at, &value, sizeof(value));
}

/* Small numbers: the entry, and of each segment its type and the five words that follow. */
static void tame_segments(uint8_t *image, size_t len, bool elf64)
{
    static const uint32_t masks[] = {1, 0xff, 0xff, 0x1ffffff, 0xff, 0x1fffff};
    size_t word = elf64 ? 8 : 4;

    tame_word(image + 24, word, 0xff);
    for (size_t at = PHDRS; at + 6 * word <= len; at += elf64 ? 56 : 32) {
        for (unsigned i = 0; i < 6; i++)
            tame_word(image + at + i * word, word, masks[i]);
    }
}

static void put_headers(uint8_t *image, size_t len, uint8_t choices, size_t at)
{
    if ((choices & ELF) != 0 && len >= PHDRS)
        put_elf(image, (choices & ELF64) != 0);
    if ((choices & TAME) != 0 && len >= PHDRS)
        tame_segments(image, len, (choices & ELF64) != 0);
    if (len < 16 || at > len - 16)
        return;
    if ((choices & V2) != 0)
        put_header(image + at, 0xe85250d6, 4);
    else
        put_header(image + at, 0x1badb002, 3);
}

static void check_layout(const struct guest_config *c, const struct multiboot_layout *l)
{
    CHECK(l->segment_count > 0 && l->segment_count <= MULTIBOOT_SEGMENTS_MAX);
    CHECK(l->info_len <= MULTIBOOT_INFO_MAX && l->info_gpa % PAGE_SIZE == 0);
    CHECK(l->info_gpa < LOW_END && l->info_len <= LOW_END - l->info_gpa);
    CHECK(l->modules_gpa >= MIB && l->modules_gpa % PAGE_SIZE == 0);
    CHECK(l->entry_gpa < gmem_low_len(c->memory));
    for (unsigned i = 0; i < l->segment_count; i++) {
        const struct multiboot_segment *s = &l->segments[i];

        CHECK(s->offset <= c->kernel.len && s->len <= c->kernel.len - s->offset);
        CHECK(s->len <= s->mem_len && s->mem_len <= gmem_low_len(c->memory));
        CHECK(s->gpa + s->mem_len <= l->info_gpa ||
              (s->gpa >= MIB && s->gpa + s->mem_len <= l->modules_gpa));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t file[5000];
    static const struct guest_module modules[] = {
        {"one", {file, 5000}},
        {"",    {file, 0}   },
        {"3",   {file, 4096}}
    };
    static const uint64_t memory[] = {16 * MIB, 64 * MIB, 3 * GIB, 5 * GIB};
    struct guest_config c = {.cmdline = "a b", .modules = modules};
    struct multiboot_layout layout;
    const char *problem;
    size_t len = size < CHOICES ? 0 : size - CHOICES;
    uint8_t *image = malloc(len); /* just as long: the sanitizer sees what is read behind it */
    uint8_t choices = size == 0 ? 0 : data[0];
    enum err e;

    if (len != 0) {
        memcpy(image, data + CHOICES, len);
        put_headers(image, len, choices, data[1] * 4u);
    }
    c.kernel = (struct guest_image){image, len};
    c.memory = memory[(choices & MEMORY) / 2];
    c.module_count = (choices & MODULES) / 8;
    e = multiboot_check(&c, &layout, &problem);
    CHECK((e == OK) == (problem == NULL));
    if (e == OK) {
        struct vm vm = {.low_len = gmem_low_len(c.memory)};

        check_layout(&c, &layout);
        CHECK(multiboot_load(&vm, &c, &layout, RSDP_GPA) == OK);
    }
    free(image);
    return 0;
}
