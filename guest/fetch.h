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
#define FETCH_WORDS  2
#define FETCH_BYTES  (FETCH_WORDS * 8) /* no instruction is longer */

/* One place in the guest's code. */
struct fetch {
    struct insn insn;
    unsigned code; /* CODE_* */
    bool is_flat;  /* the operand's segment has no base */
    bool is_move;  /* MOV, MOVZX: memory from a register or immediate, or a whole register of 4 or
                      8 bytes from memory; RSP, which is not in vcpu_arch.gpr, has no part in it */

    /* Everything it depends on. */
    struct vcpu_state s;
    struct gva_context ctx; /* the same for a walk, and the CR3 that `trail` starts from */
    struct gva_trail trail;
    uint64_t gpa; /* of the instruction */
    uint64_t word[FETCH_WORDS];
    uint64_t mask[FETCH_WORDS]; /* the bytes of `word` that belong to it; none: nothing is kept */

    /* Where to look at it, valid while phys_window_moves() is `moves`. */
    uint64_t moves;
    const void *entry[GVA_LEVELS_MAX];
    const void *bytes;
};

/*
 * What the guest is at.
 *   return  NULL: it has to be looked at step by step, by linear_fetch() and insn_decode(): not an
 *           instruction that these know, a fault, or too close to the end of a page. Else valid
 *           until the next call for this vCPU; s.rip is RIP
 * Context: the vCPU's core.
 */
const struct fetch *fetch_insn(struct vcpu *v);

/* Nothing is kept of a former life of the guest. */
void fetch_forget(struct vcpu *v);

#endif
