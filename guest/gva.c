/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walk of a guest's page tables: one loop for all paging modes, which differ in the numbers of
 * struct paging and in their reserved bits.
 *
 * Source: SDM 3A "Paging".
 */
#include "guest/gva.h"

#include <stdbool.h>

#include "arch/x86/regs.h"
#include "lib/bits.h"

/* Paging-structure entries, in all modes. SDM 3A "Paging", its tables of formats. */
#define ENTRY_P            BIT(0)                /* [0]     present */
#define ENTRY_RW           BIT(1)                /* [1]     writable */
#define ENTRY_US           BIT(2)                /* [2]     user-mode accesses allowed */
#define ENTRY_A            BIT(5)                /* [5]     accessed */
#define ENTRY_D            BIT(6)                /* [6]     dirty, where a page is mapped */
#define ENTRY_PS           BIT(7)                /* [7]     maps a page (above the last level) */
#define ENTRY_ADDR         0x000ffffffffff000ull /* [51:12] address of a table or page */
#define ENTRY_XD           BIT(63)               /* [63]    no instruction fetch */

/* 32-bit paging, PDE that maps a page: [31:22] are address bits 31:22, [20:13] bits 39:32. */
#define PDE32_ADDR_LOW     0xffc00000ull
#define PDE32_ADDR_HIGH    0x001fe000ull
#define PDE32_RESERVED     0x003fe000ull /* [21:13], those beyond MAXPHYADDR */

#define PDPTE_PAE_RESERVED 0x1e6ull /* [8:5] and [2:1] */

enum paging_mode { PAGING_32BIT, PAGING_PAE, PAGING_LONG };

struct paging {
    enum paging_mode mode;
    unsigned levels;     /* of tables: 2..5 */
    unsigned index_bits; /* of the address, per level */
    unsigned entry_size; /* bytes */
    uint64_t root;       /* address of the first table */
    uint64_t reserved;   /* bits that are 0 in every entry; 32-bit paging: that maps a large page */
};

/* The rights of an address: US and RW have to be 1 in all its entries, XD in none. */
struct rights {
    uint64_t all; /* bits that are 1 in all entries */
    uint64_t any; /* bits that are 1 in any */
};

/* Walks for one address, if each meets entries that change under it; the last one counts as it is.
 */
#define WALKS_MAX 4u

static struct paging paging_of(const struct gva_context *ctx)
{
    bool is_long = (ctx->efer & EFER_LMA) != 0;
    uint64_t top = is_long ? ENTRY_ADDR : ~ENTRY_XD;                /* long mode ignores [62:52] */
    unsigned phys_bits = ctx->phys_bits < 40 ? ctx->phys_bits : 40; /* PSE-36 has no more */
    struct paging p = {PAGING_32BIT,
                       2,
                       10,
                       4,
                       ctx->cr3 & 0xfffff000ull,
                       PDE32_RESERVED & ~(BIT(phys_bits - 32 + 13) - 1)};

    if (!is_long && (ctx->cr4 & CR4_PAE) == 0)
        return p;
    p = (struct paging){
        PAGING_PAE, 3, 9, 8, ctx->cr3 & 0xffffffe0ull, top & ~(BIT(ctx->phys_bits) - 1)};
    if ((ctx->efer & EFER_NXE) == 0)
        p.reserved |= ENTRY_XD;
    if (is_long) {
        p.mode = PAGING_LONG;
        p.levels = (ctx->cr4 & CR4_LA57) != 0 ? 5 : 4;
        p.root = ctx->cr3 & ENTRY_ADDR;
    }
    return p;
}

static unsigned level_shift(const struct paging *paging, unsigned level)
{
    return 12 + (level - 1) * paging->index_bits;
}

/* Does this entry of a table at `level` (1 the last) map a page? */
static bool is_leaf(const struct paging *paging, const struct gva_context *ctx, unsigned level,
                    uint64_t entry)
{
    if (level == 1)
        return true;
    if ((entry & ENTRY_PS) == 0)
        return false;
    switch (paging->mode) {
    case PAGING_32BIT: return (ctx->cr4 & CR4_PSE) != 0;
    case PAGING_PAE: return level == 2;
    case PAGING_LONG: break;
    }
    return level <= 3;
}

/* Bits that must be 0 in a present entry. */
static uint64_t reserved_bits(const struct paging *paging, unsigned level, bool leaf)
{
    bool is_large = leaf && level > 1;

    if (paging->mode == PAGING_32BIT)
        return is_large ? paging->reserved : 0;
    if (paging->mode == PAGING_PAE && level == 3)
        return paging->reserved | PDPTE_PAE_RESERVED | ENTRY_XD;
    if (level >= 4)
        return paging->reserved | ENTRY_PS;
    if (is_large) /* the page's own offset, but [12] is PAT */
        return paging->reserved | ((BIT(level_shift(paging, level)) - 1) & ~(BIT(13) - 1));
    return paging->reserved;
}

static uint64_t leaf_gpa(const struct paging *paging, unsigned level, uint64_t entry, uint64_t gva)
{
    uint64_t offset = gva & (BIT(level_shift(paging, level)) - 1);

    if (paging->mode == PAGING_32BIT && level == 2)
        return (entry & PDE32_ADDR_LOW) | (entry & PDE32_ADDR_HIGH) << 19 | offset;
    return (entry & ENTRY_ADDR & ~(BIT(level_shift(paging, level)) - 1)) | offset;
}

/* SDM 3A "Determination of Access Rights". XD is only ever 1 where it is enabled: else reserved. */
static bool is_allowed(const struct gva_context *ctx, enum gva_access access, struct rights rights)
{
    bool user = ctx->cpl == 3;
    bool user_page = (rights.all & ENTRY_US) != 0;
    bool smap = (ctx->cr4 & CR4_SMAP) != 0 && (ctx->rflags & RFLAGS_AC) == 0;

    if (user && !user_page)
        return false;
    if (access == GVA_FETCH) {
        bool smep = !user && user_page && (ctx->cr4 & CR4_SMEP) != 0;

        return (rights.any & ENTRY_XD) == 0 && !smep;
    }
    if (!user && user_page && smap)
        return false;
    if (access == GVA_READ || (rights.all & ENTRY_RW) != 0)
        return true;
    return !user && (ctx->cr0 & CR0_WP) == 0;
}

/*
 * A present entry's table or page is used only if no reserved bit is set.
 *   leaf    out: the entry maps a page
 *   why     out: the error code's P and RSVD, if false
 */
static bool take_entry(const struct paging *paging, const struct gva_context *ctx, unsigned level,
                       uint64_t entry, bool *leaf, uint32_t *why)
{
    *why = 0;
    if ((entry & ENTRY_P) == 0)
        return false;
    *leaf = is_leaf(paging, ctx, level, entry);
    *why = PF_PRESENT | PF_RESERVED;
    return (entry & reserved_bits(paging, level, *leaf)) == 0;
}

static uint64_t entry_gpa(const struct paging *paging, uint64_t table, unsigned level, uint64_t gva)
{
    uint64_t index = (gva >> level_shift(paging, level)) & (BIT(paging->index_bits) - 1);

    return table + index * paging->entry_size;
}

/* As gva_trace(), with paging on and a canonical address; why: see take_entry(). */
static enum gva_result walk(struct vm *vm, const struct paging *paging,
                            const struct gva_context *ctx, uint64_t gva, enum gva_access access,
                            uint64_t *gpa, uint32_t *why, struct gva_trail *trail)
{
    struct rights rights = {.all = ~0ull};
    uint64_t table = paging->root;

    *trail = (struct gva_trail){.root = table, .entry_size = (uint8_t)paging->entry_size};
    for (unsigned level = paging->levels; level > 0; level--) {
        uint64_t at = entry_gpa(paging, table, level, gva);
        uint64_t entry = 0;
        bool leaf;

        if (!gmem_read(vm, at, &entry, paging->entry_size))
            return GVA_NO_MEMORY;
        if (!take_entry(paging, ctx, level, entry, &leaf, why))
            return GVA_PAGE_FAULT;
        trail->gpa[trail->count] = at;
        trail->entry[trail->count] = entry;
        trail->count++;
        if (paging->mode != PAGING_PAE || level != 3) { /* those have no rights */
            rights.all &= entry;
            rights.any |= entry;
        }
        if (leaf) {
            *why = PF_PRESENT;
            *gpa = leaf_gpa(paging, level, entry, gva);
            return is_allowed(ctx, access, rights) ? GVA_OK : GVA_PAGE_FAULT;
        }
        table = entry & ENTRY_ADDR;
    }
    return GVA_NO_MEMORY; /* not reached: every entry of level 1 is a leaf */
}

/*
 * SDM 3A "Accessed and Dirty Flags"; PDPTEs of PAE have none. False: an entry is another one by
 * now.
 */
static bool set_flags(struct vm *vm, const struct paging *paging, enum gva_access access,
                      struct gva_trail *trail)
{
    for (unsigned i = 0; i < trail->count; i++) {
        uint64_t entry = trail->entry[i];
        uint64_t flags = ENTRY_A;

        if (paging->mode == PAGING_PAE && i == 0)
            continue;
        if (access == GVA_WRITE && i == trail->count - 1u)
            flags |= ENTRY_D;
        if ((entry & flags) != flags &&
            !gmem_exchange(vm, trail->gpa[i], paging->entry_size, entry, entry | flags))
            return false;
        trail->entry[i] = entry | flags;
    }
    return true;
}

/* SDM 3A "Page-Fault Exceptions". */
static uint32_t error_code(const struct gva_context *ctx, enum gva_access access, uint32_t why)
{
    bool has_nx = (ctx->cr4 & CR4_PAE) != 0 && (ctx->efer & EFER_NXE) != 0;
    bool has_smep = (ctx->cr4 & CR4_SMEP) != 0;

    if (access == GVA_WRITE)
        why |= PF_WRITE;
    if (access == GVA_FETCH && (has_nx || has_smep))
        why |= PF_FETCH;
    return ctx->cpl == 3 ? why | PF_USER : why;
}

/* Bits [63:n-1] are all alike, n being as many as the tables translate. */
static bool is_canonical(const struct paging *paging, uint64_t gva)
{
    unsigned sign = level_shift(paging, paging->levels + 1) - 1;

    return gva >> sign == 0 || gva >> sign == UINT64_MAX >> sign;
}

/* Outside long mode linear addresses have 32 bits and wrap. */
static uint64_t linear(const struct gva_context *ctx, uint64_t gva)
{
    return (ctx->efer & EFER_LMA) != 0 ? gva : gva & UINT32_MAX;
}

enum gva_result gva_trace(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                          enum gva_access access, uint64_t *gpa, uint32_t *pf_error,
                          struct gva_trail *trail)
{
    struct paging paging = paging_of(ctx);
    enum gva_result result;
    uint32_t why = 0;

    *pf_error = 0;
    if ((ctx->cr0 & CR0_PG) == 0) {
        *trail = (struct gva_trail){.settled = true};
        *gpa = linear(ctx, gva);
        return GVA_OK;
    }
    if ((ctx->efer & EFER_LMA) != 0 && !is_canonical(&paging, gva))
        return GVA_NON_CANONICAL;
    for (unsigned tries = 0; tries < WALKS_MAX; tries++) {
        result = walk(vm, &paging, ctx, linear(ctx, gva), access, gpa, &why, trail);
        if (result != GVA_OK)
            break;
        trail->settled = set_flags(vm, &paging, access, trail);
        if (trail->settled)
            break;
    }
    if (result == GVA_PAGE_FAULT)
        *pf_error = error_code(ctx, access, why);
    return result;
}

enum gva_result gva_translate(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                              enum gva_access access, uint64_t *gpa, uint32_t *pf_error)
{
    struct gva_trail trail;

    return gva_trace(vm, ctx, gva, access, gpa, pf_error, &trail);
}

void gva_move_trail(const struct gva_context *ctx, struct gva_trail *trail)
{
    uint64_t root = paging_of(ctx).root;

    trail->gpa[0] += root - trail->root;
    trail->root = root;
}

enum gva_result gva_read(struct vm *vm, const struct gva_context *ctx, uint64_t gva, void *buf,
                         size_t len, enum gva_access access, struct gva_fault *fault)
{
    uint8_t *to = buf;
    uint64_t gpa;

    *fault = (struct gva_fault){.gva = linear(ctx, gva)};
    while (fault->copied < len) {
        uint64_t part = PAGE_SIZE - fault->gva % PAGE_SIZE;
        enum gva_result result = gva_translate(vm, ctx, fault->gva, access, &gpa, &fault->pf_error);

        if (result != GVA_OK)
            return result;
        if (part > len - fault->copied)
            part = len - fault->copied;
        if (!gmem_read(vm, gpa, to + fault->copied, part))
            return GVA_NO_MEMORY;
        fault->copied += part;
        fault->gva = linear(ctx, fault->gva + part);
    }
    return GVA_OK;
}
