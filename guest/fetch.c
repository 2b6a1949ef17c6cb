/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/fetch.h"

#include "guest/gmem.h"
#include "guest/linear.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "mm/phys.h"

#define NOT_IN_VIEW UINT64_MAX /* in place of a number of moves */

static const uint64_t no_entry; /* what is "seen" of levels that the walk did not have */

_Static_assert(FETCH_BYTES > INSN_MAX_LEN, "every instruction fits");

/*
 * Bring the memory that it depends on into view. What comes into a window may put out what was
 * found just before; a second time most of it is there.
 */
static bool find_views(const struct vm *vm, struct fetch *f)
{
    for (unsigned tries = 0; tries < 2; tries++) {
        uint64_t moves = *f->moves_now;

        for (unsigned i = 0; i < FETCH_LEVELS; i++) {
            f->entry[i] = &no_entry;
            if (i < f->trail.count)
                f->entry[i] = gmem_view(vm, f->trail.gpa[i], f->trail.entry_size);
            if (f->entry[i] == NULL)
                return false;
        }
        f->bytes = gmem_view(vm, f->gpa, FETCH_BYTES);
        if (f->bytes == NULL)
            return false;
        if (*f->moves_now == moves) {
            f->moves = moves;
            return true;
        }
    }
    return false;
}

/* With another CR3 the first entry is another one; if its value is the same, so is all below it. */
static bool look_for(struct vcpu *v, struct fetch *f)
{
    if (f->mask[0] == 0)
        return false;
    f->moves = NOT_IN_VIEW;
    f->s.cr3 = f->ctx.cr3 = vcpu_get_cr3(&v->arch);
    gva_move_trail(&f->ctx, &f->trail);
    return find_views(v->vm, f);
}

static enum fetch_kind kind_of(const struct insn *in)
{
    if (in->high_byte || in->reg == INSN_RSP || in->mem.base == INSN_RSP || in->mem.rip_relative)
        return FETCH_OTHER;
    if (in->op == INSN_STORE_REG || in->op == INSN_STORE_IMM)
        return FETCH_STORE;
    if ((in->op == INSN_LOAD || in->op == INSN_LOAD_ZERO) && in->width >= 4)
        return FETCH_LOAD;
    return FETCH_OTHER;
}

/*
 * Keep it, unless its accessed flags are not settled, or its page tables have entries of 32 bits,
 * which are not compared with one access of the size.
 */
static void keep(struct fetch *f)
{
    unsigned bits = 8u * f->insn.length;

    if (!f->trail.settled || f->trail.count > FETCH_LEVELS || f->trail.entry_size == 4)
        return;
    f->mask[0] = bits < 64 ? BIT(bits) - 1 : UINT64_MAX;
    f->mask[1] = bits > 64 ? BIT(bits - 64) - 1 : 0;
}

static const struct fetch *learn(struct vcpu *v, struct fetch *f)
{
    struct linear l;
    uint32_t pf_error;

    f->moves = NOT_IN_VIEW;
    f->mask[0] = 0;
    linear_begin(&l, v);
    f->s = l.s;
    f->ctx = l.ctx;
    f->code = (uint8_t)l.code;

    uint64_t gva = linear_code_address(&l);

    if (gva % PAGE_SIZE > PAGE_SIZE - FETCH_BYTES ||
        gva_trace(v->vm, &l.ctx, gva, GVA_FETCH, &f->gpa, &pf_error, &f->trail) != GVA_OK ||
        !gmem_read(v->vm, f->gpa, f->word, FETCH_BYTES) ||
        !linear_decode(&l, (const uint8_t *)f->word, FETCH_BYTES, &f->insn))
        return NULL;
    f->kind = (uint8_t)kind_of(&f->insn);
    f->misaligned = (uint8_t)(f->insn.size - 1);
    f->is_flat = l.code == CODE_64 && f->insn.mem.segment < INSN_FS;
    keep(f);
    return f;
}

const struct fetch *fetch_again(struct vcpu *v, struct fetch *f)
{
    f->moves_now = phys_window_moves();
    if (look_for(v, f) && fetch_is_same(&v->arch, f))
        return f;
    return learn(v, f);
}

void fetch_forget(struct vcpu *v)
{
    for (unsigned i = 0; i < FETCH_PLACES; i++)
        v->fetch[i] = (struct fetch){.moves_now = &no_entry, .moves = NOT_IN_VIEW};
}
