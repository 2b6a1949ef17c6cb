/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/gmem.h"

#include "arch/x86/cpu.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/phys.h"

/* Find the host address of what lies in one of the first n ranges and has the rights perms. */
static bool find_among(const struct vm *vm, uint32_t n, uint64_t gpa, size_t len, unsigned perms,
                       uint64_t *hpa)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct ept_range *r = &vm->memory[i];
        uint64_t offset = gpa - r->gpa;

        if (gpa >= r->gpa && offset <= r->len && len <= r->len - offset) {
            *hpa = r->hpa + offset;
            return (r->perms & perms) == perms;
        }
    }
    return false;
}

static bool find(const struct vm *vm, uint64_t gpa, size_t len, unsigned perms, uint64_t *hpa)
{
    return find_among(vm, vm->memory_count, gpa, len, perms, hpa);
}

/* Bytes from hpa to the end of its 2 MiB block: what one window shows. */
static size_t window_len(uint64_t hpa, size_t len)
{
    uint64_t left = PAGE_2M - (hpa & (PAGE_2M - 1));

    return len < left ? len : (size_t)left;
}

static void copy_out(uint64_t hpa, void *buf, size_t len)
{
    uint8_t *to = buf;

    if (len == 8 && is_aligned(hpa, 8)) { /* a page-table entry; buf may be aligned to nothing */
        uint64_t entry = *(const volatile uint64_t *)phys_window(hpa);

        __builtin_memcpy(buf, &entry, sizeof(entry));
        return;
    }
    if (len == 4 && is_aligned(hpa, 4)) {
        uint32_t entry = *(const volatile uint32_t *)phys_window(hpa);

        __builtin_memcpy(buf, &entry, sizeof(entry));
        return;
    }
    while (len > 0) {
        size_t n = window_len(hpa, len);

        memcpy(to, phys_window(hpa), n);
        to += n;
        hpa += n;
        len -= n;
    }
}

bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
    uint64_t hpa;

    if (!find(vm, gpa, len, EPT_R, &hpa))
        return false;
    copy_out(hpa, buf, len);
    return true;
}

bool gmem_read_operand(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
    uint64_t hpa;

    if (!find_among(vm, vm_mapped_count(vm), gpa, len, EPT_R, &hpa))
        return false;
    copy_out(hpa, buf, len);
    return true;
}

const void *gmem_view(const struct vm *vm, uint64_t gpa, size_t len)
{
    uint64_t hpa;

    if (!find(vm, gpa, len, EPT_R, &hpa) || window_len(hpa, len) != len)
        return NULL;
    return phys_window(hpa);
}

void *gmem_page(const struct vm *vm, uint64_t gpa, bool write)
{
    uint32_t n = write ? vm->memory_count : vm_mapped_count(vm);
    uint64_t hpa;

    return find_among(vm, n, gpa, PAGE_SIZE, write ? EPT_W : EPT_R, &hpa) ? phys_window(hpa) : NULL;
}

bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    const uint8_t *from = buf;
    uint64_t hpa;

    if (!find(vm, gpa, len, EPT_W, &hpa))
        return false;
    while (len > 0) {
        size_t n = window_len(hpa, len);

        memcpy(phys_window(hpa), from, n);
        from += n;
        hpa += n;
        len -= n;
    }
    return true;
}

bool gmem_fill(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    const uint8_t *from = buf;
    uint64_t hpa;

    if (!find(vm, gpa, len, EPT_R, &hpa))
        return false;
    for (size_t n; len > 0; from += n, hpa += n, len -= n) {
        n = window_len(hpa, len);
        memcpy(phys_window(hpa), from, n);
        cpu_take_interrupts(); /* the console does not wait for the whole */
    }
    return true;
}

bool gmem_exchange(struct vm *vm, uint64_t gpa, unsigned size, uint64_t old, uint64_t value)
{
    uint32_t old32 = (uint32_t)old;
    uint64_t hpa;

    if (!find(vm, gpa, size, EPT_W, &hpa))
        return false;
    if (size == 4)
        return __atomic_compare_exchange_n((uint32_t *)phys_window(hpa), &old32, (uint32_t)value,
                                           false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return __atomic_compare_exchange_n((uint64_t *)phys_window(hpa), &old, value, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void scrub_range(uint64_t hpa, uint64_t len)
{
    while (len > 0) {
        size_t n = window_len(hpa, len);

        memset(phys_window(hpa), 0, n);
        hpa += n;
        len -= n;
        cpu_take_interrupts(); /* of gigabytes: the console does not wait for the whole */
    }
}

/* Pieces of a range. */
static uint32_t piece_count(const struct ept_range *r)
{
    return (r->perms & EPT_W) != 0 ? (uint32_t)(align_up(r->len, PAGE_2M) / PAGE_2M) : 0;
}

static void scrub_piece(const struct vm *vm, uint32_t piece)
{
    const struct ept_range *r = vm->memory;

    for (; piece >= piece_count(r); r++)
        piece -= piece_count(r);

    uint64_t offset = piece * PAGE_2M;

    scrub_range(r->hpa + offset, r->len - offset < PAGE_2M ? r->len - offset : PAGE_2M);
}

void gmem_scrub_begin(struct vm *vm)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < vm->memory_count; i++)
        count += piece_count(&vm->memory[i]);
    atomic_store(&vm->scrub_unfinished, count);
    atomic_store(&vm->scrub_left, count);
}

/* From the last piece to the first. */
void gmem_scrub(struct vm *vm)
{
    uint32_t left = atomic_load(&vm->scrub_left);

    while (left != 0) {
        if (!atomic_compare_exchange_weak(&vm->scrub_left, &left, left - 1))
            continue;
        scrub_piece(vm, left - 1);
        atomic_fetch_sub(&vm->scrub_unfinished, 1);
        left = atomic_load(&vm->scrub_left);
    }
}

bool gmem_scrubbed(const struct vm *vm)
{
    return atomic_load(&vm->scrub_unfinished) == 0;
}
