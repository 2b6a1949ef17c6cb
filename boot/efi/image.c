/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's ELF file, from this program into memory. Source: System V ABI "Object Files",
 * "Program Header"; UEFI Specification 2.10 "Memory Allocation Services".
 */
#include "boot/efi/loader.h"

#include "lib/bits.h"
#include "lib/span.h"
#include "lib/string.h"

#define PT_LOAD    1u
#define EHDR_LEN   64u
#define PHDR_LEN   56u
#define LOAD_ALIGN PAGE_2M
#define LOAD_LIMIT (4 * GIB)
#define MAP_SLACK  (16 * 64) /* bytes: descriptors that allocating adds */

extern const uint8_t payload_start[], payload_end[]; /* payload.S */

struct segment {
    uint64_t offset, va, hpa, file_len, memory_len;
};

/* What the file says of itself; addresses as linked. */
struct elf {
    struct span file;
    uint64_t entry_va;
    uint64_t low, high; /* physical, of all segments */
    unsigned count;     /* program headers */
};

static bool is_elf(struct span file)
{
    return file.len >= EHDR_LEN &&
           memcmp(file.bytes,
                  "\x7f"
                  "ELF\x02\x01",
                  6) == 0 &&
           span_u16(file, 54) == PHDR_LEN && span_u64(file, 32) <= file.len &&
           span_has(file, (size_t)span_u64(file, 32), span_u16(file, 56) * (size_t)PHDR_LEN);
}

/* Program header i; false if it is none that is loaded. */
static bool elf_segment(const struct elf *elf, unsigned i, struct segment *s)
{
    size_t at = (size_t)span_u64(elf->file, 32) + i * (size_t)PHDR_LEN;

    *s = (struct segment){
        .offset = span_u64(elf->file, at + 8),
        .va = span_u64(elf->file, at + 16),
        .hpa = span_u64(elf->file, at + 24),
        .file_len = span_u64(elf->file, at + 32),
        .memory_len = span_u64(elf->file, at + 40),
    };
    return span_u32(elf->file, at) == PT_LOAD;
}

static bool holds_entry(const struct elf *elf, const struct segment *s)
{
    return elf->entry_va >= s->va && elf->entry_va - s->va < s->file_len;
}

/* Fill in low and high; false if a segment does not fit into file or memory, or none is entered. */
static bool measure(struct elf *elf)
{
    struct segment s;
    bool entered = false;

    elf->low = UINT64_MAX;
    for (unsigned i = 0; i < elf->count; i++) {
        if (!elf_segment(elf, i, &s))
            continue;
        if (!span_has(elf->file, s.offset, s.file_len) || s.file_len > s.memory_len ||
            s.hpa >= LOAD_LIMIT || s.memory_len > LOAD_LIMIT - s.hpa)
            return false;
        entered |= holds_entry(elf, &s);
        elf->low = s.hpa < elf->low ? s.hpa : elf->low;
        elf->high = s.hpa + s.memory_len > elf->high ? s.hpa + s.memory_len : elf->high;
    }
    return entered && is_aligned(elf->low, LOAD_ALIGN);
}

static bool open_elf(struct elf *elf)
{
    elf->file = (struct span){payload_start, (size_t)(payload_end - payload_start)};
    if (!is_elf(elf->file))
        return false;
    elf->entry_va = span_u64(elf->file, 24);
    elf->count = span_u16(elf->file, 56);
    return measure(elf);
}

/*
 * The lowest place that is free: the rest of memory stays in one piece for the guests.
 *   largest  bytes of the largest piece seen, from an aligned address on
 *   return   its address, or 0
 */
static uint64_t lowest_place(const uint8_t *map, size_t map_len, size_t step, uint64_t need,
                             uint64_t *largest)
{
    uint64_t best = 0;

    *largest = 0;
    for (size_t at = 0; at + step <= map_len; at += step) {
        const EFI_MEMORY_DESCRIPTOR *d = (const void *)(map + at);
        uint64_t start = align_up(d->PhysicalStart, LOAD_ALIGN);
        uint64_t end = d->PhysicalStart + d->NumberOfPages * EFI_PAGE_SIZE;

        end = end < LOAD_LIMIT ? end : LOAD_LIMIT;
        if (d->Type != EfiConventionalMemory || start < LOAD_ALIGN || start >= end)
            continue;
        *largest = end - start > *largest ? end - start : *largest;
        if (end - start >= need && (best == 0 || start < best))
            best = start;
    }
    return best;
}

/* Address of need bytes that are now ours, or 0. */
static uint64_t take_place(uint64_t need)
{
    EFI_BOOT_SERVICES *bs = firmware->BootServices;
    EFI_PHYSICAL_ADDRESS place = 0;
    UINTN len = 0, key, step = 0;
    UINT32 version;
    uint64_t largest = 0;
    void *map = NULL;
    EFI_STATUS status;

    bs->GetMemoryMap(&len, NULL, &key, &step, &version);
    len += MAP_SLACK;
    status = bs->AllocatePool(EfiLoaderData, len, &map);
    if (status == EFI_SUCCESS)
        status = bs->GetMemoryMap(&len, map, &key, &step, &version);
    if (status == EFI_SUCCESS)
        place = lowest_place(map, len, step, need, &largest);
    if (map != NULL)
        bs->FreePool(map);
    /* Code, for a firmware that lets nothing else be executed. */
    if (place != 0)
        status = bs->AllocatePages(AllocateAddress, EfiLoaderCode, need / EFI_PAGE_SIZE, &place);
    if (place != 0 && status == EFI_SUCCESS)
        return place;
    if (status != EFI_SUCCESS)
        say("the firmware's memory services fail: status %lxH", (unsigned long)status);
    say("REFUSED: the hypervisor needs %lu KiB of memory in one piece below 4 GiB, 2 MiB-aligned; "
        "the largest is %lu KiB; fit more memory, or make the guests' images smaller",
        (unsigned long)need / KIB, (unsigned long)largest / KIB);
    return 0;
}

bool load_hypervisor(uint64_t *entry)
{
    struct elf elf = {0};
    struct segment s;
    uint64_t place;

    *entry = 0;
    if (!open_elf(&elf)) {
        say("REFUSED: the hypervisor inside this file is damaged: copy BOOTX64.EFI anew");
        return false;
    }
    place = take_place(align_up(elf.high - elf.low, EFI_PAGE_SIZE));
    if (place == 0)
        return false;
    for (unsigned i = 0; i < elf.count; i++) {
        if (!elf_segment(&elf, i, &s))
            continue;
        uint8_t *to = (uint8_t *)(place + (s.hpa - elf.low));

        memcpy(to, elf.file.bytes + s.offset, s.file_len);
        memset(to + s.file_len, 0, s.memory_len - s.file_len);
        if (holds_entry(&elf, &s))
            *entry = (uint64_t)to + (elf.entry_va - s.va);
    }
    return true;
}
