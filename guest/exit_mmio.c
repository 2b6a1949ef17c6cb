/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An access to guest-physical memory that is not RAM: fetch the instruction, decode it, let the
 * device answer.
 */
#include "arch/x86/insn.h"
#include "guest/linear.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"

static enum insn_mode mode_of(const struct linear *l)
{
    switch (l->code) {
    case CODE_64: return INSN_MODE_64;
    case CODE_32: return INSN_MODE_32;
    default: return INSN_MODE_16;
    }
}

/*
 * The address is the hardware's, unless the operand crosses a page, so that half of it may be RAM
 * and the address is that of the other half; or the instruction is not, or no longer, the one that
 * left the guest. Then it is looked for, with all checks.
 */
static bool find_operand(struct linear *l, const struct insn *in, const struct vcpu_exit *x,
                         struct linear_place *out)
{
    unsigned size = in->op == INSN_CMPXCHG_PAIR ? 2u * in->size : in->size;
    uint64_t offset = insn_memory_offset(in, l->v->arch.gpr, l->s.rip);
    uint64_t gva = linear_address(l, in->mem.segment, offset);
    uint64_t gpa = x->u.mmio.gpa;
    bool writes = insn_writes(in);

    if ((gva ^ gpa) % PAGE_SIZE == 0 && gpa % PAGE_SIZE + size <= PAGE_SIZE &&
        (x->u.mmio.write || !writes)) {
        *out = (struct linear_place){.gpa = {gpa}, .len = {(uint8_t)size}};
        out->is_device = !writes || !insn_reads(in); /* ROM is read, then not written */
        return true;
    }
    return linear_find(l, in->mem.segment, offset, size, writes ? GVA_WRITE : GVA_READ, out);
}

static void execute(struct linear *l, const struct insn *in, const struct linear_place *place)
{
    struct vcpu_arch *a = &l->v->arch;
    uint64_t rflags = l->s.rflags;
    uint64_t memory[2] = {0};

    if (insn_reads(in))
        linear_read(l->v, place, memory);
    insn_execute(in, a->gpr, memory, &rflags);
    if (insn_writes(in))
        linear_write(l->v, place, memory);
    if (a->gpr[RSP] != l->s.rsp)
        vcpu_set_gpr(a, RSP, a->gpr[RSP]);
    if (rflags != l->s.rflags)
        vcpu_set_rflags(a, rflags);
    vcpu_skip_bytes(a, in->length);
}

static enum outcome undecodable(struct linear *l, const uint8_t *bytes, uint64_t gpa)
{
    vm_log(l->v->vm,
           "access to device memory %lx by an instruction that is not emulated, rip %lx: "
           "%02x %02x %02x %02x %02x %02x %02x %02x; the guest gets #UD",
           gpa, l->s.rip, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
           bytes[7]);
    return exit_undefined(l->v);
}

static enum outcome string(struct linear *l, const struct insn *in)
{
    enum outcome outcome = exit_string(l, in);

    if (outcome != RESUME_NEXT)
        return outcome;
    vcpu_skip_bytes(&l->v->arch, in->length);
    return RESUME;
}

enum outcome exit_mmio(struct vcpu *v, const struct vcpu_exit *x)
{
    struct linear l;
    struct linear_code code = {0};
    struct linear_place place;
    struct insn in;

    if (x->u.mmio.fetch) /* nothing is there: the bus reads as ones, and FFH FFH is #UD */
        return exit_undefined(v);
    linear_begin(&l, v);
    linear_fetch(&l, &code);
    if (!insn_decode(code.bytes, code.len, mode_of(&l), &in)) {
        if (!in.truncated || code.result == GVA_OK)
            return undecodable(&l, code.bytes, x->u.mmio.gpa);
        linear_fetch_fault(&l, &code); /* another core changed the page tables meanwhile */
        return RESUME;
    }
    if (insn_is_string(&in))
        return string(&l, &in);
    if (find_operand(&l, &in, x, &place))
        execute(&l, &in, &place);
    return v->vm->wish == WISH_RUN ? RESUME : STOP_VM;
}
