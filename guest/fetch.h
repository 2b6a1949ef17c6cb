/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction at the guest's RIP, fetched and decoded. A driver reaches a device from a few
 * places again and again: what was found there is kept, and used as long as it would be found
 * again.
 *
 * That is known, not assumed. What instruction the guest is at depends on registers (RIP, CS's base
 * and kind, CR0.PG, CR3, CR4, IA32_EFER, the CPL), on the entries of the guest's page tables that
 * lead to RIP, and on the instruction's own bytes; on nothing else: insn_decode() is a pure
 * function, the VM's memory map and the guest's MAXPHYADDR do not change. Before each use every one
 * of them is read anew, once, and compared. So a guest that changes its code, its page tables or
 * its mode, from whichever vCPU and with or without INVLPG, gets what a fetch would have given; and
 * since the entries are kept with their accessed flags set, one whose flag was cleared is not the
 * same.
 *
 * What is saved is only the way: the search for where the tables are, in guest-physical and host
 * memory, the checks of reserved bits and rights, and the decoding.
 */
#ifndef GUEST_FETCH_H
#define GUEST_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/insn.h"
#include "arch/x86/vcpu.h"
#include "guest/gva.h"

struct vcpu;

#define FETCH_PLACES 8 /* kept for each vCPU */
#define FETCH_LEVELS 4 /* of page tables; what five lead to is not kept */
#define FETCH_WORDS  2
#define FETCH_BYTES  (FETCH_WORDS * 8) /* no instruction is longer */

/* What kind of an instruction it is, to whoever is in a hurry. */
enum fetch_kind {
    FETCH_LOAD = 0,  /* MOV, MOVZX: a whole register of 4 or 8 bytes = memory */
    FETCH_STORE = 1, /* MOV: memory = a register's low bytes, or an immediate */
    FETCH_OTHER,
};

/* One place in the guest's code. */
struct fetch {
    struct insn insn;
    uint8_t kind; /* enum fetch_kind; in a load or store RSP, which is not in vcpu_arch.gpr, has
                     no part, nor has RIP */
    uint8_t misaligned; /* address bits that are 0 if the operand is aligned */
    bool is_flat;       /* its segment has no base */
    uint8_t code;       /* CODE_* */

    /* Everything it depends on. */
    struct vcpu_state s;
    struct gva_context ctx; /* the same, as `trail` was made with it */
    struct gva_trail trail;
    uint64_t gpa; /* of the instruction */
    uint64_t word[FETCH_WORDS];
    uint64_t mask[FETCH_WORDS]; /* the bytes of `word` that belong to it; none: nothing is kept */

    /* Where to look at it, valid while *moves_now is `moves`. */
    const uint64_t *moves_now;
    uint64_t moves;
    const void *entry[FETCH_LEVELS]; /* those that there are not: a 0 somewhere */
    const void *bytes;
};

/* Which one of struct vcpu.fetch is for a RIP. */
static inline unsigned fetch_slot(uint64_t rip)
{
    return (unsigned)(rip / 2 % FETCH_PLACES);
}

/* A paging-structure entry, in one access, is what it was. */
static inline bool fetch_same_entry(const struct fetch *f, unsigned level)
{
    return *(const volatile uint64_t *)f->entry[level] == f->trail.entry[level];
}

static inline uint64_t fetch_changed_bytes(const struct fetch *f, unsigned word)
{
    uint64_t now;

    __builtin_memcpy(&now, (const uint8_t *)f->bytes + word * sizeof(now), sizeof(now));
    return (now ^ f->word[word]) & f->mask[word];
}

/*
 * Whether the guest is still, or again, at the instruction that is kept in f.
 *   return  false: it is not, or it takes fetch_again() to say
 */
static inline bool fetch_is_same(struct vcpu_arch *a, const struct fetch *f)
{
    return *f->moves_now == f->moves && vcpu_same_code(a, &f->s) && fetch_same_entry(f, 0) &&
           fetch_same_entry(f, 1) && fetch_same_entry(f, 2) && fetch_same_entry(f, 3) &&
           (fetch_changed_bytes(f, 0) | fetch_changed_bytes(f, 1)) == 0;
}

/*
 * What the guest is at, if that is not known to be what is kept in f, the one for its RIP.
 *   return  NULL: it has to be looked at step by step, by linear_fetch() and insn_decode(): not an
 *           instruction that these know, a fault, or too close to the end of a page. Else valid
 *           until the next call for this vCPU
 * Context: the vCPU's core.
 */
const struct fetch *fetch_again(struct vcpu *v, struct fetch *f);

/* Nothing is kept of a former life of the guest. */
void fetch_forget(struct vcpu *v);

#endif
