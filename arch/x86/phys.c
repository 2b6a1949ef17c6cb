/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory and firmware tables are not mapped in the hypervisor. Each core has a few 2 MiB
 * windows, remapped on demand; an access to a block that is already in a window costs no TLB flush.
 */
#include "arch/x86/phys.h"

#include "arch/x86/asm.h"
#include "lib/bits.h"
#include "mm/phys.h"
#include "mm/pt.h"

_Static_assert(WINDOW_SLOTS >= PHYS_WINDOWS, "as many windows as mm/phys.h promises");

/* Written twice at boot by the bootstrap processor, before other cores run. */
static uint64_t pool_hpa;
static uint64_t pool_va;
static bool windows_ready;

void phys_use_identity(uint64_t pool_base)
{
    pool_hpa = pool_base;
    pool_va = pool_base;
}

void phys_use_final(void)
{
    pool_va = POOL_VA;
    windows_ready = true;
}

void *phys_table(uint64_t hpa)
{
    return (void *)(pool_va + (hpa - pool_hpa));
}

static uint64_t window_va(const struct cpu *c, unsigned slot)
{
    return WINDOW_VA + (c->index * (uint64_t)WINDOW_SLOTS + slot) * PAGE_2M;
}

enum err phys_make_windows(struct hostpt *pt, struct cpu *c)
{
    for (unsigned slot = 0; slot < WINDOW_SLOTS; slot++) {
        uint64_t table;
        unsigned index;
        enum err e = hostpt_slot_2m(pt, window_va(c, slot), &table, &index);

        if (e != OK)
            return e;
        if (slot == 0)
            c->window_pd = (uint64_t *)(POOL_VA + (table - pool_hpa)) + index;
        c->window_block[slot] = UINT64_MAX;
    }
    return OK;
}

void *phys_window(uint64_t hpa)
{
    if (!windows_ready)
        return (void *)hpa;

    struct cpu *c = this_cpu();
    uint64_t block = align_down(hpa, PAGE_2M);

    for (unsigned slot = 0; slot < WINDOW_SLOTS; slot++) {
        if (c->window_block[slot] == block)
            return (void *)(window_va(c, slot) + (hpa - block));
    }
    unsigned slot = (unsigned)(c->window_moves++ % WINDOW_SLOTS);
    uint64_t va = window_va(c, slot);

    c->window_block[slot] = block;
    c->window_pd[slot] = hostpt_entry_2m(block, HOSTPT_W);
    invlpg((void *)va);
    return (void *)(va + (hpa - block));
}

const uint64_t *phys_window_moves(void)
{
    return &this_cpu()->window_moves;
}
