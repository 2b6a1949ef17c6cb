/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parsers of what a loader leaves. Multiboot2 Specification 2.0, "Boot information format";
 * boot/handover.h.
 */
#include "boot/bootinfo.h"

#include "boot/handover.h"
#include "lib/bits.h"
#include "lib/span.h"
#include "lib/string.h"

#define INFO_HEADER_LEN    8u /* total_size, reserved */
#define TAG_HEADER_LEN     8u /* type, size */

/* Tag types ("Boot information format", one section each). */
#define TAG_END            0u
#define TAG_CMDLINE        1u
#define TAG_LOADER         2u
#define TAG_MODULE         3u
#define TAG_MEMORY         6u
#define TAG_FRAMEBUFFER    8u
#define TAG_EFI32          11u
#define TAG_EFI64          12u
#define TAG_ACPI_OLD       14u
#define TAG_ACPI_NEW       15u
#define TAG_EFI_MEMORY     17u
#define TAG_EFI_BS         18u
#define TAG_EFI32_IMAGE    19u
#define TAG_EFI64_IMAGE    20u
#define TAG_LOAD_BASE      21u

#define FRAMEBUFFER_RGB    1u

#define RSDP_OLD_LEN       20u

/* Smallest memory map entries: base, length, type; and EFI_MEMORY_DESCRIPTOR. */
#define MEMORY_ENTRY_MIN   20u
#define EFI_DESCRIPTOR_MIN 40u
#define EFI_PAGE_SIZE      4096u

/* One pass over the tags. */
struct parse {
    struct boot_info *out;
    struct span memory; /* tag 6, len 0 until seen */
    struct span efi_memory;
};

static enum err refuse(struct boot_info *out, enum err e, const char *problem)
{
    out->problem = problem;
    return e;
}

/* Copy the string that starts at byte 8 of a tag; true if it did not fit. */
static bool copy_text(struct span tag, char *to, size_t room)
{
    size_t n = 0;

    for (size_t at = TAG_HEADER_LEN; at < tag.len && tag.bytes[at] != 0; at++) {
        if (n == room - 1)
            return true;
        to[n++] = tag.bytes[at] >= ' ' && tag.bytes[at] <= '~' ? (char)tag.bytes[at] : '?';
    }
    return false;
}

static void take_cmdline(struct boot_info *out, struct span tag)
{
    if (out->cmdline[0] == 0)
        out->cmdline_cut = copy_text(tag, out->cmdline, sizeof(out->cmdline));
}

static void take_loader(struct boot_info *out, struct span tag)
{
    if (out->loader[0] == 0)
        (void)copy_text(tag, out->loader, sizeof(out->loader));
}

static enum err take_module(struct boot_info *out, struct span tag)
{
    uint32_t start = span_u32(tag, 8);
    uint32_t end = span_u32(tag, 12);

    if (tag.len < 16 || end < start)
        return refuse(out, ERR_FORMAT, "multiboot2: malformed module tag (3)");
    if (out->module_count == BOOT_MODULES_MAX)
        return refuse(out, ERR_NOMEM, "multiboot2: more than 8 modules");
    out->modules[out->module_count++] = (struct mem_range){.base = start, .len = end - start};
    return OK;
}

static enum err take_framebuffer(struct boot_info *out, struct span tag)
{
    if (tag.len < 32)
        return refuse(out, ERR_FORMAT, "multiboot2: framebuffer tag (8) too short");
    if (out->framebuffer.present || span_u8(tag, 29) != FRAMEBUFFER_RGB)
        return OK;
    if (tag.len < 38)
        return refuse(out, ERR_FORMAT, "multiboot2: framebuffer tag (8) without its colours");
    out->framebuffer = (struct boot_framebuffer){
        .present = true,
        .hpa = span_u64(tag, 8),
        .pitch = span_u32(tag, 16),
        .width = span_u32(tag, 20),
        .height = span_u32(tag, 24),
        .bpp = span_u8(tag, 28),
        .red_shift = span_u8(tag, 32),
        .red_bits = span_u8(tag, 33),
        .green_shift = span_u8(tag, 34),
        .green_bits = span_u8(tag, 35),
        .blue_shift = span_u8(tag, 36),
        .blue_bits = span_u8(tag, 37),
    };
    return OK;
}

/* The longer form replaces the shorter one; of two alike the first counts. */
static enum err take_rsdp(struct boot_info *out, struct span tag, unsigned len)
{
    if (tag.len < TAG_HEADER_LEN + len)
        return refuse(out, ERR_FORMAT, "multiboot2: ACPI tag (14 or 15) too short");
    if (len > out->rsdp_len) {
        memcpy(out->rsdp, tag.bytes + TAG_HEADER_LEN, len);
        out->rsdp_len = len;
    }
    return OK;
}

static enum err take_system_table(struct boot_info *out, struct span tag, size_t pointer_len)
{
    if (tag.len < TAG_HEADER_LEN + pointer_len)
        return refuse(out, ERR_FORMAT, "multiboot2: EFI system table tag (11 or 12) too short");
    if (out->efi_system_table == 0)
        out->efi_system_table = span_number(tag, TAG_HEADER_LEN, pointer_len);
    out->firmware = BOOT_FIRMWARE_UEFI;
    return OK;
}

static enum err take_load_base(struct boot_info *out, struct span tag)
{
    if (tag.len < TAG_HEADER_LEN + 4)
        return refuse(out, ERR_FORMAT, "multiboot2: load base tag (21) too short");
    if (!out->load_base_known)
        out->load_base = span_u32(tag, TAG_HEADER_LEN);
    out->load_base_known = true;
    return OK;
}

/* A memory map is only remembered here: which one counts is known when all tags were seen. */
static enum err take_map(struct boot_info *out, struct span tag, struct span *to)
{
    if (tag.len < 16)
        return refuse(out, ERR_FORMAT, "multiboot2: memory map tag (6 or 17) too short");
    if (to->len == 0)
        *to = tag;
    return OK;
}

static enum err take_efi_map(struct parse *p, struct span tag)
{
    p->out->firmware = BOOT_FIRMWARE_UEFI;
    return take_map(p->out, tag, &p->efi_memory);
}

static enum err take_tag(struct parse *p, uint32_t type, struct span tag)
{
    switch (type) {
    case TAG_CMDLINE: take_cmdline(p->out, tag); return OK;
    case TAG_LOADER: take_loader(p->out, tag); return OK;
    case TAG_MODULE: return take_module(p->out, tag);
    case TAG_MEMORY: return take_map(p->out, tag, &p->memory);
    case TAG_FRAMEBUFFER: return take_framebuffer(p->out, tag);
    case TAG_EFI32: return take_system_table(p->out, tag, 4);
    case TAG_EFI64: return take_system_table(p->out, tag, 8);
    case TAG_ACPI_OLD: return take_rsdp(p->out, tag, RSDP_OLD_LEN);
    case TAG_ACPI_NEW: return take_rsdp(p->out, tag, BOOT_RSDP_LEN);
    case TAG_EFI_MEMORY: return take_efi_map(p, tag);
    case TAG_EFI_BS:
        return refuse(p->out, ERR_UNSUPPORTED,
                      "multiboot2: EFI boot services are still running (tag 18)");
    case TAG_EFI32_IMAGE:
    case TAG_EFI64_IMAGE: p->out->firmware = BOOT_FIRMWARE_UEFI; return OK;
    case TAG_LOAD_BASE: return take_load_base(p->out, tag);
    }
    return OK;
}

/* info: the whole structure, header included. */
static enum err take_all_tags(struct parse *p, struct span info)
{
    size_t at = INFO_HEADER_LEN;

    while (span_has(info, at, TAG_HEADER_LEN)) {
        uint32_t type = span_u32(info, at);
        struct span tag = {.bytes = info.bytes + at, .len = span_u32(info, at + 4)};
        enum err e;

        if (tag.len < TAG_HEADER_LEN || !span_has(info, at, tag.len))
            return refuse(p->out, ERR_FORMAT, "multiboot2: a tag's size is wrong");
        if (type == TAG_END)
            return OK;
        e = take_tag(p, type, tag);
        if (e != OK)
            return e;
        at += (size_t)align_up(tag.len, 8);
    }
    return refuse(p->out, ERR_FORMAT, "multiboot2: no end tag");
}

static enum err add_memory(struct boot_info *out, struct boot_memory m)
{
    struct boot_memory *last = &out->memory[out->memory_count - (out->memory_count > 0)];

    if (m.len == 0)
        return OK;
    if (out->memory_count > 0 && last->type == m.type && m.base > last->base &&
        m.base - last->base == last->len && m.len <= UINT64_MAX - m.base) {
        last->len += m.len;
        return OK;
    }
    if (out->memory_count == BOOT_MEMORY_MAX)
        return refuse(out, ERR_NOMEM, "memory map: more than 256 entries");
    out->memory[out->memory_count++] = m;
    return OK;
}

/* "Memory map": 1 available, 3 ACPI, 4 must be preserved on hibernation, 5 defective. */
static enum boot_memory_type bios_type(uint32_t type)
{
    switch (type) {
    case 1: return BOOT_MEMORY_USABLE;
    case 3: return BOOT_MEMORY_ACPI_RECLAIM;
    case 4: return BOOT_MEMORY_ACPI_NVS;
    case 5: return BOOT_MEMORY_BAD;
    }
    return BOOT_MEMORY_RESERVED;
}

/* UEFI "Memory Type Usage after ExitBootServices()". */
static enum boot_memory_type efi_type(uint32_t type)
{
    switch (type) {
    case 1: /* EfiLoaderCode */
    case 2: /* EfiLoaderData */
    case 3: /* EfiBootServicesCode */
    case 4: /* EfiBootServicesData */
    case 7: /* EfiConventionalMemory */ return BOOT_MEMORY_USABLE;
    case 8: /* EfiUnusableMemory */ return BOOT_MEMORY_BAD;
    case 9: /* EfiACPIReclaimMemory */ return BOOT_MEMORY_ACPI_RECLAIM;
    case 10: /* EfiACPIMemoryNVS */ return BOOT_MEMORY_ACPI_NVS;
    }
    return BOOT_MEMORY_RESERVED;
}

static enum err read_bios_map(struct boot_info *out, struct span tag)
{
    uint32_t entry_len = span_u32(tag, 8);
    enum err e = OK;

    if (entry_len < MEMORY_ENTRY_MIN)
        return refuse(out, ERR_FORMAT, "multiboot2: memory map (tag 6) with a wrong entry size");
    for (size_t at = 16; e == OK && span_has(tag, at, entry_len); at += entry_len) {
        e = add_memory(out, (struct boot_memory){
                                .base = span_u64(tag, at),
                                .len = span_u64(tag, at + 8),
                                .type = bios_type(span_u32(tag, at + 16)),
                            });
    }
    return e;
}

/* EFI_MEMORY_DESCRIPTOR: Type at 0, PhysicalStart at 8, NumberOfPages at 24. */
static enum err read_efi_map(struct boot_info *out, struct span map, uint32_t entry_len)
{
    enum err e = OK;

    if (entry_len < EFI_DESCRIPTOR_MIN)
        return refuse(out, ERR_FORMAT, "EFI memory map with a wrong descriptor size");
    for (size_t at = 0; e == OK && span_has(map, at, entry_len); at += entry_len) {
        uint64_t n = span_u64(map, at + 24);

        e = add_memory(out,
                       (struct boot_memory){
                           .base = span_u64(map, at + 8),
                           .len = n > UINT64_MAX / EFI_PAGE_SIZE ? UINT64_MAX : n * EFI_PAGE_SIZE,
                           .type = efi_type(span_u32(map, at)),
                       });
    }
    if (e == OK && out->memory_count == 0)
        return refuse(out, ERR_NOTFOUND, "the EFI memory map is empty");
    return e;
}

/* Tag 17: descriptor size at 8, the map at 16; take_map has seen that these are there. */
static enum err read_efi_tag(struct boot_info *out, struct span tag)
{
    struct span map = {.bytes = tag.bytes + 16, .len = tag.len - 16};

    return read_efi_map(out, map, span_u32(tag, 8));
}

static enum err read_map(struct parse *p)
{
    enum err e;

    if (p->efi_memory.len != 0)
        e = read_efi_tag(p->out, p->efi_memory);
    else if (p->memory.len != 0)
        e = read_bios_map(p->out, p->memory);
    else
        return refuse(p->out, ERR_NOTFOUND, "multiboot2: no memory map (tags 6 and 17)");
    if (e == OK && p->out->memory_count == 0)
        return refuse(p->out, ERR_NOTFOUND, "multiboot2: the memory map is empty");
    return e;
}

enum err bootinfo_from_multiboot2(const void *tags, size_t max_len, struct boot_info *out)
{
    struct span info = {.bytes = tags, .len = max_len};
    struct parse p = {.out = out};
    uint32_t total = span_u32(info, 0);
    enum err e;

    memset(out, 0, sizeof(*out));
    if (total < INFO_HEADER_LEN + TAG_HEADER_LEN || total > max_len)
        return refuse(out, ERR_FORMAT, "multiboot2: total size is wrong");
    info.len = total;
    e = take_all_tags(&p, info);
    return e == OK ? read_map(&p) : e;
}

/* A colour's mask as shift and width; false if it is not one run of ones. */
static bool split_mask(uint32_t mask, uint8_t *shift, uint8_t *bits)
{
    if (mask == 0)
        return false;
    *shift = (uint8_t)bit_lowest(mask);
    *bits = (uint8_t)(bit_highest(mask) - *shift + 1);
    return mask >> *shift == (uint32_t)(BIT(*bits) - 1);
}

/* "EFI_GRAPHICS_OUTPUT_PROTOCOL": the two byte orders are masks, too. */
static void take_efi_framebuffer(struct boot_info *out, struct efi_handover h)
{
    struct boot_framebuffer f = {.hpa = h.framebuffer, .width = h.width, .height = h.height};

    if (h.pixel_format == EFI_PIXEL_RGBX || h.pixel_format == EFI_PIXEL_BGRX) {
        h.red_mask = h.pixel_format == EFI_PIXEL_RGBX ? 0xff : 0xff0000;
        h.green_mask = 0xff00;
        h.blue_mask = h.pixel_format == EFI_PIXEL_RGBX ? 0xff0000 : 0xff;
        h.reserved_mask = 0xff000000;
    } else if (h.pixel_format != EFI_PIXEL_MASKS) {
        return;
    }
    f.present = h.framebuffer != 0 && h.width <= h.pixels_per_line &&
                split_mask(h.red_mask, &f.red_shift, &f.red_bits) &&
                split_mask(h.green_mask, &f.green_shift, &f.green_bits) &&
                split_mask(h.blue_mask, &f.blue_shift, &f.blue_bits);
    if (!f.present)
        return;
    f.bpp = (uint8_t)align_up(
        bit_highest(h.red_mask | h.green_mask | h.blue_mask | h.reserved_mask) + 1, 8);
    if (h.pixels_per_line > UINT32_MAX / (f.bpp / 8u))
        return;
    f.pitch = h.pixels_per_line * (f.bpp / 8u);
    out->framebuffer = f;
}

enum err bootinfo_from_efi(const void *handover, size_t max_len, struct boot_info *out)
{
    static const char name[] = "Bulkhead's UEFI loader";
    struct efi_handover h = {0};
    struct span map = {.bytes = (const uint8_t *)handover + sizeof(h)};

    memset(out, 0, sizeof(*out));
    if (max_len >= sizeof(h))
        memcpy(&h, handover, sizeof(h));
    if (h.magic != EFI_HANDOVER_MAGIC || h.total_len < sizeof(h) || h.total_len > max_len)
        return refuse(out, ERR_FORMAT, "UEFI hand-over: wrong mark or size");
    if (h.rsdp_len != 0 && h.rsdp_len != RSDP_OLD_LEN && h.rsdp_len != BOOT_RSDP_LEN)
        return refuse(out, ERR_FORMAT, "UEFI hand-over: wrong size of the RSDP");
    if (h.seed_len > BOOT_SEED_LEN)
        return refuse(out, ERR_FORMAT, "UEFI hand-over: wrong size of the random seed");
    out->firmware = BOOT_FIRMWARE_UEFI;
    memcpy(out->loader, name, sizeof(name));
    out->efi_system_table = h.system_table;
    out->rsdp_len = h.rsdp_len;
    memcpy(out->rsdp, h.rsdp, h.rsdp_len);
    out->seed_len = h.seed_len;
    memcpy(out->seed, h.seed, h.seed_len);
    take_efi_framebuffer(out, h);
    map.len = h.total_len - sizeof(h);
    return read_efi_map(out, map, h.descriptor_len);
}

static enum err add_usable(const struct boot_info *info, struct pages *p)
{
    enum err e = OK;

    for (unsigned i = 0; e == OK && i < info->memory_count; i++) {
        if (info->memory[i].type == BOOT_MEMORY_USABLE)
            e = pages_add(p, info->memory[i].base, info->memory[i].len);
    }
    return e;
}

enum err bootinfo_to_pages(const struct boot_info *info, struct pages *p)
{
    enum err e = add_usable(info, p);

    for (unsigned i = 0; e == OK && i < info->memory_count; i++) {
        if (info->memory[i].type != BOOT_MEMORY_USABLE)
            e = pages_reserve(p, info->memory[i].base, info->memory[i].len);
    }
    for (unsigned i = 0; e == OK && i < info->module_count; i++)
        e = pages_reserve(p, info->modules[i].base, info->modules[i].len);
    return e;
}
