/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz: boot/bootinfo.c mm/pages.c; ; 512 */
/*
 * The multiboot2 tags of any loader, or a hand-over as our UEFI loader makes it, and the page map
 * made of what they say: nothing outside of the input is read, and no page is free that is not
 * usable, or that is reserved or a module's. Input: a byte of choices, one for the address width,
 * then the tags or the hand-over. What chance would not find is put right in them: the sizes, an
 * end tag and, if so chosen, a memory map's entries that lie near each other.
 */
#include "boot/bootinfo.h"
#include "boot/handover.h"
#include "lib/bits.h"
#include "mm/phys.h"
#include "tests/fuzz/fuzz.h"

#define CHOICES    2u
#define RAW        0x01u /* the bytes are the whole structure */
#define TAME       0x02u /* entries of the memory maps have small numbers */
#define CUT        0x04u /* fewer bytes may be read than the structure says it has */
#define HANDOVER   0x08u /* the UEFI loader's structure, not multiboot2's */
#define MAP        6u
#define EFI_MAP    17u
#define LAST_TYPE  22u
#define TAG_HEADER 8u

/* The page pool is not used here. */
void *phys_table(uint64_t hpa)
{
    (void)hpa;
    abort();
}

void *phys_window(uint64_t hpa)
{
    (void)hpa;
    abort();
}

static void put32(uint8_t *at, uint64_t value)
{
    uint32_t v = (uint32_t)value;

    memcpy(at, &v, sizeof(v));
}

static void tame64(uint8_t *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    v &= 0x1f000 | (v & 1) * 0xff0;
    memcpy(at, &v, sizeof(v));
}

/* Entry sizes as loaders have them, and numbers that meet. */
static void tame_map(uint8_t *tag, size_t len, uint32_t type)
{
    size_t entry = type == MAP ? 24 : 48;

    if (len < 16)
        return;
    put32(tag + 8, entry);
    for (size_t at = 16; at + entry <= len; at += entry) {
        if (type == MAP) {
            tame64(tag + at);
            tame64(tag + at + 8);
            tag[at + 16] &= 7;
            memset(tag + at + 17, 0, 3);
        } else {
            memset(tag + at + 1, 0, 3);
            tag[at] &= 15;
            tame64(tag + at + 8);
            memset(tag + at + 25, 0, 7);
        }
    }
}

/* Tags from bytes: each begins with a byte of type and one of length. Returns the bytes made. */
static size_t make_tags(uint8_t *out, const uint8_t *in, size_t len, uint8_t choices)
{
    size_t n = 8;

    for (size_t at = 0; at + 2 <= len;) {
        uint32_t type = in[at] % LAST_TYPE;
        size_t payload = in[at + 1];

        at += 2;
        if (payload > len - at)
            payload = len - at;
        if (type == 0)
            type = MAP;
        put32(out + n, type);
        put32(out + n + 4, TAG_HEADER + payload);
        memcpy(out + n + TAG_HEADER, in + at, payload);
        if ((choices & TAME) != 0 && (type == MAP || type == EFI_MAP))
            tame_map(out + n, TAG_HEADER + payload, type);
        n += (TAG_HEADER + payload + 7) / 8 * 8;
        at += payload;
    }
    put32(out + n, 0);
    put32(out + n + 4, TAG_HEADER);
    return n + TAG_HEADER;
}

static bool is_text(const char *text, size_t size)
{
    size_t n = strnlen(text, size);

    for (size_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~')
            return false;
    }
    return n < size;
}

static void check_info(enum err e, const struct boot_info *info)
{
    CHECK((e == OK) == (info->problem == NULL));
    CHECK(info->memory_count <= BOOT_MEMORY_MAX && info->module_count <= BOOT_MODULES_MAX);
    CHECK(e != OK || info->memory_count > 0);
    CHECK(is_text(info->cmdline, sizeof(info->cmdline)));
    CHECK(is_text(info->loader, sizeof(info->loader)));
    CHECK(info->rsdp_len == 0 || info->rsdp_len == 20 || info->rsdp_len == BOOT_RSDP_LEN);
    for (unsigned i = 0; i < info->memory_count; i++)
        CHECK(info->memory[i].type <= BOOT_MEMORY_BAD && info->memory[i].len != 0);
}

/* The byte after a range, at most the last one there is. */
static uint64_t end_of(uint64_t base, uint64_t len)
{
    return len > UINT64_MAX - base ? UINT64_MAX : base + len;
}

/* How far usable memory goes on from there; the same address if not at all. */
static uint64_t usable_from(const struct boot_info *info, uint64_t at)
{
    for (unsigned i = 0; i < info->memory_count; i++) {
        const struct boot_memory *m = &info->memory[i];

        if (m->type == BOOT_MEMORY_USABLE && m->len <= UINT64_MAX - m->base && m->base <= at &&
            at < m->base + m->len)
            return m->base + m->len;
    }
    return at;
}

static void check_apart(uint64_t base, uint64_t end, uint64_t other, uint64_t len)
{
    CHECK(len == 0 || end <= other || end_of(other, len) <= base);
}

static void check_pages(const struct boot_info *info, const struct pages *p)
{
    CHECK(pages_ok(p));
    for (unsigned i = 0; i < p->count; i++) {
        uint64_t base = p->free[i].base;
        uint64_t end = base + p->free[i].len;

        CHECK(base != 0 && end > base && end <= BIT(p->phys_bits));
        for (uint64_t at = base, next; at < end; at = next) {
            next = usable_from(info, at);
            CHECK(next > at);
        }
        for (unsigned j = 0; j < info->memory_count; j++) {
            if (info->memory[j].type != BOOT_MEMORY_USABLE)
                check_apart(base, end, info->memory[j].base, info->memory[j].len);
        }
        for (unsigned j = 0; j < info->module_count; j++)
            check_apart(base, end, info->modules[j].base, info->modules[j].len);
    }
}

/* The header's lengths as the loader writes them, if so chosen; the mark always. */
static enum err read_handover(uint8_t *bytes, size_t n, uint8_t choices, struct boot_info *info)
{
    struct efi_handover h;

    if (n >= sizeof(h)) {
        memcpy(&h, bytes, sizeof(h));
        h.magic = EFI_HANDOVER_MAGIC;
        if ((choices & RAW) == 0) {
            h.total_len = (uint32_t)n;
            h.rsdp_len = h.rsdp_len % 2 * BOOT_RSDP_LEN;
            h.seed_len %= BOOT_SEED_LEN + 1;
        }
        if ((choices & TAME) != 0)
            h.descriptor_len = 48;
        memcpy(bytes, &h, sizeof(h));
    }
    return bootinfo_from_efi(bytes, n, info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t made[16384];
    static struct boot_info info;
    static struct pages p;
    uint8_t choices = size == 0 ? 0 : data[0];
    size_t len = size < CHOICES ? 0 : size - CHOICES;
    size_t n = len;
    enum err e;

    if (len != 0 && (choices & (RAW | HANDOVER)) == 0)
        n = make_tags(made, data + CHOICES, len, choices);
    else if (len != 0)
        memcpy(made, data + CHOICES, len);
    if (n >= 4 && (choices & HANDOVER) == 0)
        put32(made, n);
    if ((choices & CUT) != 0)
        n = n / 2;

    uint8_t *exact = malloc(n); /* just as long: the sanitizer sees what is read behind it */

    if (n != 0)
        memcpy(exact, made, n);
    e = (choices & HANDOVER) != 0 ? read_handover(exact, n, choices, &info)
                                  : bootinfo_from_multiboot2(exact, n, &info);
    free(exact);
    check_info(e, &info);
    if (e == OK) {
        CHECK(pages_init(&p, 32 + data[1] % 21) == OK);
        CHECK(bootinfo_to_pages(&info, &p) == OK);
        check_pages(&info, &p);
    }
    return 0;
}
