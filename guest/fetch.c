/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/fetch.h"

#include "guest/gmem.h"
#include "guest/linear.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "mm/phys.h"

#define NOT_IN_VIEW UINT64_MAX /* in place of a number of moves */

/* --- what was found there before -------------------------------------------------------------- */

/* A paging-structure entry, in one access. */
static inline uint64_t entry_at(const void *entry, unsigned size)
{
    return size == 8 ? *(const volatile uint64_t *)entry : *(const volatile uint32_t *)entry;
}

static uint64_t word_at(const void *bytes, unsigned n)
{
    uint64_t word;

    __builtin_memcpy(&word, (const uint8_t *)bytes + n * sizeof(word), sizeof(word));
    return word;
}

static inline bool same_entries(const struct fetch *f, unsigned size)
{
    for (unsigned i = 0; i < f->trail.count; i++) {
        if (entry_at(f->entry[i], size) != f->trail.entry[i])
            return false;
    }
    return true;
}

static bool same_bytes(const struct fetch *f)
{
    uint64_t differ = 0;

    for (unsigned i = 0; i < FETCH_WORDS; i++)
        differ |= (word_at(f->bytes, i) ^ f->word[i]) & f->mask[i];
    return differ == 0;
}

static inline bool is_same_memory(const struct fetch *f)
{
    return (f->trail.entry_size == 8 ? same_entries(f, 8) : same_entries(f, 4)) && same_bytes(f);
}

/*
 * Bring the memory that it depends on into view. What comes into a window may put out what was
 * found just before; a second time most of it is there.
 */
static bool find_views(const struct vm *vm, struct fetch *f)
{
    for (unsigned tries = 0; tries < 2; tries++) {
        uint64_t moves = phys_window_moves();

        for (unsigned i = 0; i < f->trail.count; i++) {
            f->entry[i] = gmem_view(vm, f->trail.gpa[i], f->trail.entry_size);
            if (f->entry[i] == NULL)
                return false;
        }
        f->bytes = gmem_view(vm, f->gpa, FETCH_BYTES);
        if (f->bytes == NULL)
            return false;
        if (phys_window_moves() == moves) {
            f->moves = moves;
            return true;
        }
    }
    return false;
}

/* With another CR3 the first entry is another one; if its value is the same, so is all below it. */
static NOINLINE bool look_for(struct vcpu *v, struct fetch *f, uint64_t cr3)
{
    if (f->mask[0] == 0)
        return false;
    f->moves = NOT_IN_VIEW;
    f->ctx.cr3 = cr3;
    gva_move_trail(&f->ctx, &f->trail);
    return find_views(v->vm, f);
}

static inline bool is_in_view(struct vcpu *v, struct fetch *f, uint64_t cr3)
{
    return (f->moves == phys_window_moves() && f->ctx.cr3 == cr3) || look_for(v, f, cr3);
}

/* --- what is found there now ------------------------------------------------------------------ */

static bool is_move(const struct insn *in)
{
    if (in->high_byte || in->reg == INSN_RSP || in->mem.base == INSN_RSP)
        return false;
    if (in->op == INSN_LOAD || in->op == INSN_LOAD_ZERO)
        return in->width >= 4;
    return in->op == INSN_STORE_REG || in->op == INSN_STORE_IMM;
}

static void keep(struct fetch *f)
{
    unsigned bits = 8u * f->insn.length;

    f->mask[0] = bits < 64 ? BIT(bits) - 1 : UINT64_MAX;
    f->mask[1] = bits < 64 ? 0 : BIT(bits - 64) - 1;
}

static NOINLINE const struct fetch *learn(struct vcpu *v, struct fetch *f)
{
    struct linear l;
    uint32_t pf_error;

    f->moves = NOT_IN_VIEW;
    f->mask[0] = 0;
    linear_begin(&l, v);
    f->s = l.s;
    f->ctx = l.ctx;
    f->code = l.code;

    uint64_t gva = linear_code_address(&l);

    if (gva % PAGE_SIZE > PAGE_SIZE - FETCH_BYTES ||
        gva_trace(v->vm, &l.ctx, gva, GVA_FETCH, &f->gpa, &pf_error, &f->trail) != GVA_OK ||
        !gmem_read(v->vm, f->gpa, f->word, FETCH_BYTES) ||
        !linear_decode(&l, (const uint8_t *)f->word, FETCH_BYTES, &f->insn))
        return NULL;
    f->is_flat = l.code == CODE_64 && f->insn.mem.segment < INSN_FS;
    f->is_move = is_move(&f->insn);
    if (f->trail.settled)
        keep(f);
    return f;
}

const struct fetch *fetch_insn(struct vcpu *v)
{
    struct vcpu_place now = vcpu_get_place(&v->arch);
    struct fetch *f = &v->fetch[(now.rip ^ now.rip >> 3) % FETCH_PLACES];

    if (f->s.rip == now.rip && vcpu_same_code(&v->arch, &f->s) && is_in_view(v, f, now.cr3) &&
        is_same_memory(f))
        return f;
    return learn(v, f);
}

void fetch_forget(struct vcpu *v)
{
    for (unsigned i = 0; i < FETCH_PLACES; i++)
        v->fetch[i] = (struct fetch){.moves = NOT_IN_VIEW};
}
