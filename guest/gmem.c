/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/gmem.h"

#include "arch/x86/cpu.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/phys.h"

static bool in_ram(const struct vm *vm, uint64_t gpa, size_t len)
{
    uint64_t size = vm->config->memory;

    return gpa <= size && len <= size - gpa;
}

/* Bytes from hpa to the end of its 2 MiB block: what one window shows. */
static size_t window_len(uint64_t hpa, size_t len)
{
    uint64_t left = PAGE_2M - (hpa & (PAGE_2M - 1));

    return len < left ? len : (size_t)left;
}

bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
    uint8_t *to = buf;

    if (!in_ram(vm, gpa, len))
        return false;
    if (len == 8 && is_aligned(gpa, 8)) { /* a page-table entry */
        *(uint64_t *)buf = *(const volatile uint64_t *)phys_window(vm->ram_hpa + gpa);
        return true;
    }
    if (len == 4 && is_aligned(gpa, 4)) {
        *(uint32_t *)buf = *(const volatile uint32_t *)phys_window(vm->ram_hpa + gpa);
        return true;
    }
    for (uint64_t hpa = vm->ram_hpa + gpa; len > 0;) {
        size_t n = window_len(hpa, len);

        memcpy(to, phys_window(hpa), n);
        to += n;
        hpa += n;
        len -= n;
    }
    return true;
}

bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    const uint8_t *from = buf;

    if (!in_ram(vm, gpa, len))
        return false;
    for (uint64_t hpa = vm->ram_hpa + gpa; len > 0;) {
        size_t n = window_len(hpa, len);

        memcpy(phys_window(hpa), from, n);
        from += n;
        hpa += n;
        len -= n;
    }
    return true;
}

void gmem_scrub(struct vm *vm)
{
    for (uint64_t gpa = 0; gpa < vm->config->memory; gpa += PAGE_2M) {
        memset(phys_window(vm->ram_hpa + gpa), 0, PAGE_2M);
        cpu_take_interrupts(); /* of gigabytes: the console does not wait for the whole */
    }
}
