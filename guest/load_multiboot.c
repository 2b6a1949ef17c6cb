/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot loader. See the header for the specifications; "..." names a section of them. */
#include "guest/load_multiboot.h"

#include "guest/gmem.h"
#include "guest/load_linux.h"
#include "guest/multiboot_info.h"
#include "lib/span.h"
#include "lib/string.h"

/* "Header layout": where the header may be, and its words that add up to 0. */
#define MB1_MAGIC         0x1badb002u
#define MB1_SEARCH        8192u
#define MB1_ALIGN         4u
#define MB1_WORDS         3u /* magic, flags, checksum */
#define MB2_MAGIC         0xe85250d6u
#define MB2_SEARCH        32768u
#define MB2_ALIGN         8u
#define MB2_WORDS         4u /* magic, architecture, header_length, checksum */
#define MB2_ARCH_I386     0u

/* Flags of the first version. Bits [15:0] are requirements: who does not know one must refuse. */
#define MB1_PAGE_ALIGN    0x00000001u /* [0]  modules begin at pages: ours always do */
#define MB1_MEMORY_INFO   0x00000002u /* [1]  mem_lower and mem_upper: always there */
#define MB1_VIDEO         0x00000004u /* [2]  a video mode */
#define MB1_ADDRESSES     0x00010000u /* [16] the header's five address fields count */
#define MB1_REQUIREMENTS  0x0000ffffu
#define MB1_HEADER_LEN    32u /* with the address fields */

/* Tags of a Multiboot2 header; each: type (16 bits), flags (16), size (32), then its fields. */
#define TAG_LEN           8u
#define TAG_OPTIONAL      1u /* flags [0] */
#define TAG_END           0u
#define TAG_REQUEST       1u
#define TAG_ADDRESS       2u
#define TAG_ENTRY         3u
#define TAG_CONSOLE       4u
#define TAG_FRAMEBUFFER   5u
#define TAG_MODULE_ALIGN  6u
#define TAG_EFI_BS        7u
#define TAG_EFI32_ENTRY   8u
#define TAG_EFI64_ENTRY   9u
#define TAG_RELOCATABLE   10u
#define CONSOLE_REQUIRED  1u /* console_flags [0] */
#define LOAD_WHOLE_FILE   UINT32_MAX

/* Boot information that may be asked for: tag types of it up to the last one, load base. */
#define INFO_ELF_SECTIONS 9u
#define INFO_LAST         21u

/*
 * ELF. The fields we need of the file header and of a program header lie the same in both classes,
 * if they are counted in words: 4 bytes in ELF32, 8 in ELF64.
 */
#define ELF_MAGIC         0x464c457fu
#define ELF_CLASS         4u /* 1: ELF32, 2: ELF64 */
#define ELF_DATA          5u
#define ELF_DATA_LITTLE   1u
#define ELF_MACHINE       18u
#define ELF_MACHINE_386   3u
#define ELF_MACHINE_AMD64 62u
#define ELF_ENTRY         24u
#define PT_LOAD           1u

/* What a kernel's header says, of either version. */
struct header {
    size_t at;      /* in the image */
    bool addresses; /* the next four count */
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr;
    bool entry; /* the next one counts */
    uint32_t entry_addr;
    bool relocatable; /* the next three count */
    uint32_t min_addr, max_addr, align;
};

static enum err refuse(const char **problem, enum err e, const char *text)
{
    *problem = text;
    return e;
}

/* --- the header ------------------------------------------------------------------------------- */

static struct span beginning(const struct guest_image *kernel, size_t len)
{
    return (struct span){kernel->bytes, kernel->len < len ? kernel->len : len};
}

static bool find_header(struct span image, uint32_t magic, unsigned words, size_t align, size_t *at)
{
    for (*at = 0; span_has(image, *at, words * sizeof(uint32_t)); *at += align) {
        uint32_t sum = 0;

        for (unsigned i = 0; i < words; i++)
            sum += span_u32(image, *at + i * sizeof(uint32_t));
        if (span_u32(image, *at) == magic && sum == 0)
            return true;
    }
    return false;
}

/* fields: header_addr and the next three, in the order both versions have them. */
static void take_addresses(struct header *h, struct span image, size_t fields)
{
    h->addresses = true;
    h->header_addr = span_u32(image, fields);
    h->load_addr = span_u32(image, fields + 4);
    h->load_end_addr = span_u32(image, fields + 8);
    h->bss_end_addr = span_u32(image, fields + 12);
}

static enum err read_header1(struct span image, struct header *h, const char **problem)
{
    uint32_t flags = span_u32(image, h->at + 4);

    if ((flags & MB1_VIDEO) != 0)
        return refuse(problem, ERR_UNSUPPORTED,
                      "the kernel requires a video mode (Multiboot flag 2); there is no screen");
    if ((flags & MB1_REQUIREMENTS & ~(MB1_PAGE_ALIGN | MB1_MEMORY_INFO)) != 0)
        return refuse(problem, ERR_UNSUPPORTED,
                      "the kernel requires something unknown (Multiboot flags 3 to 15)");
    if ((flags & MB1_ADDRESSES) == 0)
        return OK;
    if (!span_has(image, h->at, MB1_HEADER_LEN))
        return refuse(problem, ERR_FORMAT, "the kernel's Multiboot header is cut off");
    take_addresses(h, image, h->at + 12);
    h->entry = true;
    h->entry_addr = span_u32(image, h->at + 28);
    return OK;
}

/*
 * "Multiboot2 information request": what is known need not be there if the machine has no such
 * thing. ELF sections it would have, but they are not loaded.
 */
static enum err check_request(struct span tag, const char **problem)
{
    for (size_t at = TAG_LEN; span_has(tag, at, 4); at += 4) {
        uint32_t type = span_u32(tag, at);

        if (type == INFO_ELF_SECTIONS || type > INFO_LAST)
            return refuse(problem, ERR_UNSUPPORTED,
                          "the kernel requires boot information that is not provided");
    }
    return OK;
}

static enum err take_tag(struct header *h, struct span tag, const char **problem)
{
    bool optional = (span_u16(tag, 2) & TAG_OPTIONAL) != 0;

    switch (span_u16(tag, 0)) {
    case TAG_REQUEST: return optional ? OK : check_request(tag, problem);
    case TAG_ADDRESS: take_addresses(h, tag, TAG_LEN); return OK;
    case TAG_ENTRY:
        h->entry = true;
        h->entry_addr = span_u32(tag, TAG_LEN);
        return OK;
    case TAG_CONSOLE:
        if (optional || (span_u32(tag, TAG_LEN) & CONSOLE_REQUIRED) == 0)
            return OK;
        return refuse(problem, ERR_UNSUPPORTED,
                      "the kernel requires a screen (Multiboot2 tag 4); there is none");
    case TAG_RELOCATABLE:
        h->relocatable = true;
        h->min_addr = span_u32(tag, TAG_LEN);
        h->max_addr = span_u32(tag, TAG_LEN + 4);
        h->align = span_u32(tag, TAG_LEN + 8);
        return OK;
    case TAG_FRAMEBUFFER:  /* a preference */
    case TAG_MODULE_ALIGN: /* always done */
    case TAG_EFI_BS:       /* this one and the next two say what it can do under EFI firmware */
    case TAG_EFI32_ENTRY:
    case TAG_EFI64_ENTRY: return OK;
    }
    return optional ? OK
                    : refuse(problem, ERR_UNSUPPORTED,
                             "the kernel requires something unknown (a Multiboot2 tag above 10)");
}

/* header: the header with its tags and nothing else. */
static enum err take_tags(struct header *h, struct span header, const char **problem)
{
    static const uint8_t len_min[] = {
        [TAG_ADDRESS] = 24, [TAG_ENTRY] = 12, [TAG_CONSOLE] = 12, [TAG_RELOCATABLE] = 24};
    size_t at = MB2_WORDS * sizeof(uint32_t);
    enum err e = OK;

    while (e == OK && span_has(header, at, TAG_LEN)) {
        struct span tag = {header.bytes + at, span_u32(header, at + 4)};
        uint16_t type = span_u16(header, at);

        if (tag.len < TAG_LEN || !span_has(header, at, tag.len) ||
            (type < ARRAY_LEN(len_min) && tag.len < len_min[type]))
            return refuse(problem, ERR_FORMAT,
                          "a tag of the kernel's Multiboot2 header is cut off");
        if (type == TAG_END)
            return OK;
        e = take_tag(h, tag, problem);
        at += (size_t)align_up(tag.len, 8);
    }
    return e != OK ? e
                   : refuse(problem, ERR_FORMAT, "the kernel's Multiboot2 header has no end tag");
}

static enum err read_header2(struct span image, struct header *h, const char **problem)
{
    struct span header = {image.bytes + h->at, span_u32(image, h->at + 8)};

    if (span_u32(image, h->at + 4) != MB2_ARCH_I386)
        return refuse(problem, ERR_UNSUPPORTED,
                      "the kernel's Multiboot2 header is for another architecture");
    if (!span_has(image, h->at, header.len))
        return refuse(problem, ERR_FORMAT,
                      "the kernel's Multiboot2 header does not end in its first 32 KiB");
    return take_tags(h, header, problem);
}

static enum err read_header(const struct guest_image *kernel, struct header *h, uint32_t *eax,
                            const char **problem)
{
    struct span image = beginning(kernel, MB2_SEARCH);

    if (find_header(image, MB2_MAGIC, MB2_WORDS, MB2_ALIGN, &h->at)) {
        *eax = MULTIBOOT2_EAX;
        return read_header2(image, h, problem);
    }
    image = beginning(kernel, MB1_SEARCH);
    if (find_header(image, MB1_MAGIC, MB1_WORDS, MB1_ALIGN, &h->at)) {
        *eax = MULTIBOOT1_EAX;
        return read_header1(image, h, problem);
    }
    return refuse(problem, ERR_FORMAT,
                  "the kernel has no Multiboot header in its first 8 KiB, and no Multiboot2 header "
                  "in its first 32 KiB");
}

/* --- the kernel's segments -------------------------------------------------------------------- */

/* One piece; any numbers. What has no memory is left out. */
static enum err add_segment(struct multiboot_layout *l, size_t image_len,
                            struct multiboot_segment s, const char **problem)
{
    if (s.mem_len == 0)
        return OK;
    if (s.offset > image_len || s.len > image_len - s.offset)
        return refuse(problem, ERR_FORMAT,
                      "the kernel image is truncated (shorter than its header says)");
    if (s.len > s.mem_len)
        return refuse(problem, ERR_FORMAT, "a segment of the kernel is longer than its memory");
    if (l->segment_count == MULTIBOOT_SEGMENTS_MAX)
        return refuse(problem, ERR_UNSUPPORTED, "the kernel has more than 16 segments");
    l->segments[l->segment_count++] = s;
    return OK;
}

/* "Address fields" and "Address tag": the image is one piece, whatever its format. */
static enum err place_by_addresses(const struct header *h, size_t image_len,
                                   struct multiboot_layout *l, const char **problem)
{
    bool whole = l->eax == MULTIBOOT2_EAX && h->load_addr == LOAD_WHOLE_FILE;
    uint64_t load = whole ? (uint64_t)h->header_addr - h->at : h->load_addr;
    uint64_t before = h->header_addr - load; /* bytes before the header; huge if it is behind */
    struct multiboot_segment s = {.gpa = load, .offset = h->at - (size_t)before};
    uint64_t bss_end = h->bss_end_addr;

    if (before > h->at)
        return refuse(problem, ERR_FORMAT,
                      "the addresses in the kernel's Multiboot header contradict each other");
    s.len = h->load_end_addr != 0 ? (size_t)(h->load_end_addr - load) : image_len - s.offset;
    s.mem_len = bss_end > load + s.len ? bss_end - load : s.len;
    return add_segment(l, image_len, s, problem);
}

/* The entry point is a virtual address, the segment that holds it says which physical one. */
static enum err place_program_header(struct span image, size_t at, size_t word,
                                     struct multiboot_layout *l, const char **problem)
{
    uint64_t entry = span_number(image, ELF_ENTRY, word);
    uint64_t vaddr = span_number(image, at + 2 * word, word);
    struct multiboot_segment s = {
        .offset = span_number(image, at + 1 * word, word),
        .gpa = span_number(image, at + 3 * word, word),
        .len = span_number(image, at + 4 * word, word),
        .mem_len = span_number(image, at + 5 * word, word),
    };

    if (span_u32(image, at) != PT_LOAD)
        return OK;
    if (entry >= vaddr && entry - vaddr < s.mem_len)
        l->entry_gpa = s.gpa + (entry - vaddr);
    return add_segment(l, image.len, s, problem);
}

static enum err place_elf(struct span image, struct multiboot_layout *l, const char **problem)
{
    size_t word = span_u8(image, ELF_CLASS) == 2 ? 8 : 4;
    uint16_t machine = span_u16(image, ELF_MACHINE);
    uint64_t table = span_number(image, ELF_ENTRY + word, word); /* e_phoff */
    uint16_t stride = span_u16(image, 30 + 3 * word);            /* e_phentsize */
    uint16_t count = span_u16(image, 32 + 3 * word);             /* e_phnum */
    enum err e = OK;

    if (span_u32(image, 0) != ELF_MAGIC)
        return refuse(problem, ERR_FORMAT,
                      "the kernel is no ELF file, and its Multiboot header has no addresses");
    if (span_u8(image, ELF_DATA) != ELF_DATA_LITTLE ||
        (machine != ELF_MACHINE_386 && machine != ELF_MACHINE_AMD64))
        return refuse(problem, ERR_UNSUPPORTED, "the kernel is an ELF file for another processor");
    for (unsigned i = 0; e == OK && i < count; i++) {
        size_t at = (size_t)table + (size_t)i * stride;

        if (table > image.len || stride < 6 * word || !span_has(image, at, 6 * word))
            return refuse(problem, ERR_FORMAT, "the kernel's ELF program headers are cut off");
        e = place_program_header(image, at, word, l, problem);
    }
    return e;
}

static bool is_inside(const struct multiboot_segment *s, uint64_t begin, uint64_t end)
{
    return s->gpa >= begin && s->gpa <= end && s->mem_len <= end - s->gpa;
}

/* Both are inside of RAM, so nothing wraps. */
static bool overlap(const struct multiboot_segment *a, const struct multiboot_segment *b)
{
    return a->gpa < b->gpa + b->mem_len && b->gpa < a->gpa + a->mem_len;
}

static enum err check_segment(const struct multiboot_layout *l, unsigned number, uint64_t low_end,
                              const char **problem)
{
    const struct multiboot_segment *s = &l->segments[number];

    if (!is_inside(s, 0, low_end))
        return refuse(problem, ERR_NOMEM,
                      "the guest's memory below 3 GiB does not reach to the kernel's end");
    if (!is_inside(s, 0, l->info_gpa) && !is_inside(s, LINUX_HIGH_RAM_GPA, low_end))
        return refuse(problem, ERR_OVERLAP,
                      "the kernel wants memory from 9F000H to FFFFFH, which is not RAM, or the "
                      "pages below for its boot information");
    for (unsigned i = 0; i < number; i++) {
        if (overlap(s, &l->segments[i]))
            return refuse(problem, ERR_OVERLAP, "two segments of the kernel overlap");
    }
    return OK;
}

static enum err check_entry(const struct multiboot_layout *l, const char **problem)
{
    for (unsigned i = 0; i < l->segment_count; i++) {
        const struct multiboot_segment *s = &l->segments[i];

        if (l->entry_gpa >= s->gpa && l->entry_gpa - s->gpa < s->mem_len)
            return OK;
    }
    return refuse(problem, ERR_FORMAT, "the kernel's entry point is in none of its segments");
}

static uint64_t kernel_begin(const struct multiboot_layout *l)
{
    uint64_t begin = UINT64_MAX;

    for (unsigned i = 0; i < l->segment_count; i++)
        begin = l->segments[i].gpa < begin ? l->segments[i].gpa : begin;
    return begin;
}

static uint64_t kernel_end(const struct multiboot_layout *l)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < l->segment_count; i++) {
        const struct multiboot_segment *s = &l->segments[i];

        end = s->gpa + s->mem_len > end ? s->gpa + s->mem_len : end;
    }
    return end;
}

/* "Relocatable header tag": it need not be moved where it may lie at its own addresses. */
static enum err check_relocatable(const struct header *h, const struct multiboot_layout *l,
                                  const char **problem)
{
    uint64_t begin = l->kernel_gpa;

    if (!h->relocatable || (begin >= h->min_addr && kernel_end(l) - 1 <= h->max_addr &&
                            (h->align == 0 || begin % h->align == 0)))
        return OK;
    return refuse(problem, ERR_UNSUPPORTED,
                  "the kernel's relocatable tag forbids its own addresses; kernels are not moved");
}

static enum err place_kernel(const struct guest_image *kernel, const struct header *h,
                             struct multiboot_layout *l, const char **problem)
{
    struct span image = {kernel->bytes, kernel->len};

    l->entry_gpa = UINT64_MAX; /* nowhere */
    if (h->addresses)
        return place_by_addresses(h, image.len, l, problem);
    return place_elf(image, l, problem);
}

static enum err check_kernel(const struct header *h, uint64_t low_end, struct multiboot_layout *l,
                             const char **problem)
{
    enum err e = OK;

    for (unsigned i = 0; e == OK && i < l->segment_count; i++)
        e = check_segment(l, i, low_end, problem);
    if (h->entry)
        l->entry_gpa = h->entry_addr;
    if (e == OK)
        e = check_entry(l, problem);
    l->kernel_gpa = kernel_begin(l);
    return e == OK ? check_relocatable(h, l, problem) : e;
}

/* --- modules ---------------------------------------------------------------------------------- */

static enum err place_modules(const struct guest_config *cfg, struct multiboot_layout *l,
                              const char **problem)
{
    uint64_t end = kernel_end(l);
    uint64_t gpa;

    l->modules_gpa = align_up(end > LINUX_HIGH_RAM_GPA ? end : LINUX_HIGH_RAM_GPA, PAGE_SIZE);
    gpa = l->modules_gpa;
    for (unsigned i = 0; i < cfg->module_count; i++) {
        size_t len = cfg->modules[i].data.len;

        if (len > gmem_low_len(cfg->memory) - gpa)
            return refuse(problem, ERR_NOMEM,
                          "the guest's memory below 3 GiB is too small for kernel and modules");
        gpa = multiboot_next_module(gpa, len);
    }
    return OK;
}

static bool write_modules(struct vm *vm, const struct guest_config *cfg,
                          const struct multiboot_layout *l)
{
    uint64_t gpa = l->modules_gpa;
    bool ok = true;

    for (unsigned i = 0; ok && i < cfg->module_count; i++) {
        const struct guest_image *m = &cfg->modules[i].data;

        ok = m->len == 0 || gmem_fill(vm, gpa, m->bytes, m->len);
        gpa = multiboot_next_module(gpa, m->len);
    }
    return ok;
}

/* --- boot information ------------------------------------------------------------------------- */

static enum err place_info(const struct guest_config *cfg, struct multiboot_layout *l,
                           const char **problem)
{
    l->info_len = multiboot_info_len(cfg, l);
    if (l->info_len > MULTIBOOT_INFO_MAX)
        return refuse(problem, ERR_RANGE,
                      "the command line and the modules' strings do not fit into 64 KiB");
    l->info_gpa = align_down(LINUX_LOW_RAM_END - l->info_len, PAGE_SIZE);
    return OK;
}

/* --- all -------------------------------------------------------------------------------------- */

enum err multiboot_check(const struct guest_config *cfg, struct multiboot_layout *out,
                         const char **problem)
{
    struct header h = {0};
    enum err e;

    *problem = NULL;
    memset(out, 0, sizeof(*out));
    e = read_header(&cfg->kernel, &h, &out->eax, problem);
    out->relocatable = h.relocatable;
    if (e == OK)
        e = place_kernel(&cfg->kernel, &h, out, problem);
    if (e == OK)
        e = place_info(cfg, out, problem);
    if (e == OK)
        e = check_kernel(&h, gmem_low_len(cfg->memory), out, problem);
    return e == OK ? place_modules(cfg, out, problem) : e;
}

enum err multiboot_load(struct vm *vm, const struct guest_config *cfg,
                        const struct multiboot_layout *layout, uint64_t rsdp_gpa)
{
    for (unsigned i = 0; i < layout->segment_count; i++) {
        const struct multiboot_segment *s = &layout->segments[i];

        if (s->len != 0 && !gmem_fill(vm, s->gpa, cfg->kernel.bytes + s->offset, s->len))
            return ERR_RANGE;
    }
    return write_modules(vm, cfg, layout) && multiboot_info_write(vm, cfg, layout, rsdp_gpa)
               ? OK
               : ERR_RANGE;
}
