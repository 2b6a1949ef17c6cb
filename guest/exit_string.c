/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INS, OUTS, and the string instructions on device memory, which differ from these only in where
 * items come from and go to.
 */
#include "arch/x86/regs.h"
#include "guest/linear.h"
#include "guest/port.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/phys.h"

/* Items of a repeated string instruction for one exit: interrupts wait so long. */
#define STRING_BATCH 128u

/* A run of a page where no device answers takes no longer than so many by string_item(). */
#define IDLE_RUN     10u

/* rCX, rSI or rDI: only the low address_size bytes count, and 32-bit writes clear the rest. */
static uint64_t get_counter(const struct vcpu *v, unsigned gpr, unsigned address_size)
{
    return v->arch.gpr[gpr] & size_mask(address_size);
}

static NOINLINE void add_counter(struct vcpu *v, unsigned gpr, unsigned address_size,
                                 uint64_t delta)
{
    uint64_t *reg = &v->arch.gpr[gpr];
    uint64_t value = (*reg + delta) & size_mask(address_size);

    *reg = address_size == 2 ? (*reg & ~size_mask(2)) | value : value;
}

/*
 * One item. Both operands are found before anything is done, so that nothing is lost by a fault.
 * False: the guest got a fault, or has to do the item again.
 */
static bool string_item(struct linear *l, const struct insn *in)
{
    struct vcpu *v = l->v;
    bool compares = in->op == INSN_SCAS || in->op == INSN_CMPS;
    bool has_from =
        in->op == INSN_LODS || in->op == INSN_MOVS || in->op == INSN_CMPS || in->op == INSN_OUTS;
    bool has_to = in->op != INSN_LODS && in->op != INSN_OUTS;
    uint16_t port = (uint16_t)v->arch.gpr[RDX];
    uint64_t *rax = &v->arch.gpr[RAX];
    uint64_t item = *rax;
    uint64_t other = 0;
    struct linear_place from, to;

    if (has_from && !linear_find(l, in->mem.segment, get_counter(v, RSI, in->mem.address_size),
                                 in->size, GVA_READ, &from))
        return false;
    if (has_to && !linear_find(l, INSN_ES, get_counter(v, RDI, in->mem.address_size), in->size,
                               compares ? GVA_READ : GVA_WRITE, &to))
        return false;
    if (has_from)
        linear_read(v, &from, &item);
    if (in->op == INSN_INS)
        item = port_read(v, port, in->size);
    if (in->op == INSN_OUTS && !port_write(v, port, in->size, (uint32_t)item))
        return false;
    if (in->op == INSN_LODS)
        *rax = insn_merge_register(*rax, item, in->size);
    if (has_to && !compares)
        linear_write(v, &to, &item);
    if (compares) {
        linear_read(v, &to, &other);
        (void)insn_alu(INSN_CMP, in->size, item, other, &l->s.rflags);
        vcpu_set_rflags(&v->arch, l->s.rflags);
    }
    return true;
}

/* Step the pointers and, if it is repeated, the counter. True: it is done. */
static bool string_step(struct linear *l, const struct insn *in)
{
    struct vcpu *v = l->v;
    unsigned address_size = in->mem.address_size;
    uint64_t delta = (l->s.rflags & RFLAGS_DF) != 0 ? 0 - (uint64_t)in->size : in->size;
    bool equal = (l->s.rflags & RFLAGS_ZF) != 0;

    if (in->op != INSN_STOS && in->op != INSN_SCAS && in->op != INSN_INS)
        add_counter(v, RSI, address_size, delta);
    if (in->op != INSN_LODS && in->op != INSN_OUTS)
        add_counter(v, RDI, address_size, delta);
    if (in->rep == INSN_NO_REP)
        return true;
    add_counter(v, RCX, address_size, 0 - 1ull);
    if ((in->op == INSN_SCAS || in->op == INSN_CMPS) && equal != (in->rep == INSN_REPE))
        return true;
    return get_counter(v, RCX, address_size) == 0;
}

/* --- INS and OUTS in runs: what is the same for all items of a page is asked once --- */

static inline uint32_t load(const uint8_t *at, unsigned size)
{
    uint32_t item = 0;

    if (size == 1)
        item = *at;
    else if (size == 2)
        __builtin_memcpy(&item, at, 2);
    else
        __builtin_memcpy(&item, at, 4);
    return item;
}

static inline void store(uint8_t *at, unsigned size, uint32_t item)
{
    if (size == 1)
        *at = (uint8_t)item;
    else if (size == 2)
        __builtin_memcpy(at, &item, 2);
    else
        __builtin_memcpy(at, &item, 4);
}

/*
 * Items are done one by one, until something other than the next one may have to happen. No port's
 * read moves a window under run.at: none touches guest memory.
 *   return  how many are done
 */
static NOINLINE unsigned device_run(struct vcpu *v, const struct insn *in, struct linear_run run)
{
    uint16_t port = (uint16_t)v->arch.gpr[RDX];
    const uint64_t *moves_now = phys_window_moves();
    uint64_t moves = *moves_now;
    bool is_in = in->op == INSN_INS;
    unsigned size = in->size;
    unsigned i = 0;

    while (i < run.count) {
        if (is_in)
            store(run.at, size, port_read(v, port, size));
        else if (!port_write(v, port, size, load(run.at, size)))
            break;
        i++;
        run.at += run.step;
        if (v->arch.attention || v->vm->wish != WISH_RUN || *moves_now != moves)
            break;
    }
    return i;
}

/* There is nothing that an item could do but be written. */
static void idle_run(const struct insn *in, struct linear_run run)
{
    size_t len = (size_t)run.count * in->size;

    if (in->op == INSN_INS)
        memset(run.step > 0 ? run.at : run.at + in->size - len, 0xff, len);
}

/*
 * Go on from the item that is just done.
 *   left    items that this exit may still do; less afterwards
 *   return  the repetition is done
 */
static NOINLINE bool string_run(struct linear *l, const struct insn *in, unsigned *left)
{
    struct vcpu *v = l->v;
    bool is_in = in->op == INSN_INS;
    unsigned gpr = is_in ? RDI : RSI;
    unsigned address_size = in->mem.address_size;
    uint64_t mask = size_mask(address_size);
    uint64_t count = v->arch.gpr[RCX] & mask;
    struct linear_run run =
        linear_find_run(l, is_in ? INSN_ES : in->mem.segment, v->arch.gpr[gpr] & mask, mask,
                        in->size, is_in ? GVA_WRITE : GVA_READ, count);

    if (run.count == 0)
        return false;
    if (port_idle_run(v->vm, (uint16_t)v->arch.gpr[RDX], in->size, !is_in, run.count)) {
        idle_run(in, run);
        *left -= *left < IDLE_RUN ? *left : IDLE_RUN;
    } else {
        if (run.count > *left)
            run.count = *left;
        run.count = device_run(v, in, run);
        *left -= run.count;
    }
    add_counter(v, gpr, address_size, run.count * (uint64_t)run.step);
    add_counter(v, RCX, address_size, 0 - (uint64_t)run.count);
    return run.count == count;
}

/* Whether the next item can follow without the guest in between. */
static inline bool goes_on(const struct linear *l)
{
    return !l->v->arch.attention && (l->s.rflags & RFLAGS_TF) == 0 && l->v->vm->wish == WISH_RUN;
}

/* A repetition ends early, to exit again, where the processor could take an interrupt or a trap. */
enum outcome exit_string(struct linear *l, const struct insn *in)
{
    struct vcpu *v = l->v;
    unsigned left = STRING_BATCH;

    if (in->rep != INSN_NO_REP && get_counter(v, RCX, in->mem.address_size) == 0)
        return RESUME_NEXT;
    do {
        if (!string_item(l, in))
            return RESUME;
        left--;

        bool done = string_step(l, in);

        if (!done && (in->op == INSN_INS || in->op == INSN_OUTS) && left > 0 && goes_on(l))
            done = string_run(l, in, &left);
        if (v->vm->wish != WISH_RUN)
            return STOP_VM;
        if (done)
            return RESUME_NEXT;
    } while (left > 0 && goes_on(l));
    vcpu_skip_bytes(&v->arch, 0); /* an item is done: what a trap flag or STI has to say of it */
    return RESUME;
}

enum outcome exit_pio_string(struct vcpu *v, const struct vcpu_exit *x)
{
    struct insn in = {
        .op = x->u.pio.in ? INSN_INS : INSN_OUTS,
        .rep = x->u.pio.rep ? INSN_REPE : INSN_NO_REP,
        .size = x->u.pio.size,
        .mem = {.segment = (enum insn_segment)x->u.pio.segment,
                .address_size = x->u.pio.address_size},
    };
    struct linear l;

    linear_begin(&l, v);
    return exit_string(&l, &in);
}
