/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulated instructions' view of memory: by segment and offset, with the checks the processor
 * makes, faults going to the guest; RAM and devices alike.
 */
#ifndef GUEST_LINEAR_H
#define GUEST_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/insn.h"
#include "arch/x86/vcpu.h"
#include "guest/gva.h"
#include "lib/compiler.h"

struct vcpu;

/* What one exit needs to know of its vCPU; the guest does not run meanwhile. */
struct linear {
    struct vcpu *v;
    struct vcpu_state s;
    struct gva_context ctx;
    unsigned code; /* CODE_* */
    struct {
        uint64_t gva, gpa;
    } page[2]; /* by access, GVA_READ and GVA_WRITE: the page translated last; gva 1: none */
};

/* Take the guest's registers; RSP is in v->arch.gpr, too, afterwards. */
void linear_begin(struct linear *l, struct vcpu *v);

/* Where the guest's RIP is. */
uint64_t linear_code_address(const struct linear *l);

/* insn_decode() in the mode of the guest's code segment. */
bool linear_decode(const struct linear *l, const uint8_t *bytes, size_t len, struct insn *out);

/* The bytes of the instruction at the guest's RIP, and why there are not more of them. */
struct linear_code {
    uint8_t bytes[INSN_MAX_LEN];
    size_t len;             /* bytes that could be read, 0..15 */
    enum gva_result result; /* GVA_OK with all 15; else what the next byte's fetch meets */
    struct gva_fault fault;
};

void linear_fetch(struct linear *l, struct linear_code *out);

/* Give the guest the fault that ended the fetch: the instruction needs the bytes that are missing.
 */
void linear_fetch_fault(struct linear *l, const struct linear_code *code);

/* Where an operand's bytes are; the second part is behind a page border, len 0 without one. */
struct linear_place {
    uint64_t gpa[2];
    uint8_t len[2];
    bool is_device; /* it is known not to be RAM or ROM */
};

/*
 * The linear address of an operand, unchecked.
 *   code  CODE_*
 */
uint64_t linear_address(struct vcpu *v, unsigned code, enum insn_segment segment, uint64_t offset);

/*
 * Find an operand and check everything that can fail, before anything is read or written.
 *   offset  in the segment, already wrapped at the address size
 *   size    bytes, 1, 2, 4, 8 or 16
 *   access  GVA_READ or GVA_WRITE
 *   return  false: the guest has been given #GP, #SS, #PF or #AC
 * Source: SDM 3A "Limit Checking", "Type Checking", "Paging"; SDM 3A chapter "Interrupt and
 * Exception Handling", "Alignment Check Exception (#AC)".
 */
MUST_CHECK bool linear_find(struct linear *l, enum insn_segment segment, uint64_t offset,
                            unsigned size, enum gva_access access, struct linear_place *out);

/* Operands of one size side by side, in one page of memory. */
struct linear_run {
    uint8_t *at;    /* the first, as long as phys_window() says */
    int64_t step;   /* bytes from one to the next: size, or -size with RFLAGS.DF */
    unsigned count; /* 0: `at` says nothing */
};

/*
 * The operands of a repetition that need not be looked for, since all that linear_find() would
 * find or check is as it was for the operand before: they are in the page found last, it is memory,
 * and the whole run is inside the segment. What is not such a case is left to linear_find().
 *   segment, size, access  as given to linear_find(), which returned true
 *   offset                 of the next operand
 *   max_offset             the last one, where offsets wrap
 *   max                    operands that are wanted, 1 or more
 */
struct linear_run linear_find_run(struct linear *l, enum insn_segment segment, uint64_t offset,
                                  uint64_t max_offset, unsigned size, enum gva_access access,
                                  uint64_t max);

/* Copy an operand. What is not RAM is asked of the devices; a write to ROM goes nowhere. */
void linear_read(struct vcpu *v, const struct linear_place *place, void *buf);
void linear_write(struct vcpu *v, const struct linear_place *place, const void *buf);

#endif
