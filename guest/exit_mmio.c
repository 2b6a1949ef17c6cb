/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An access to guest-physical memory that is not RAM: fetch the instruction, decode it, let the
 * device answer. The address is the hardware's (the EPT violation), never recomputed.
 */
#include "arch/x86/insn.h"
#include "arch/x86/regs.h"
#include "guest/linear.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"

static enum insn_mode mode_of(const struct vcpu_state *s)
{
    switch (vcpu_code_size(s)) {
    case CODE_64: return INSN_MODE_64;
    case CODE_32: return INSN_MODE_32;
    default: return INSN_MODE_16;
    }
}

static uint64_t get_operand(struct vcpu *v, const struct insn *in)
{
    return insn_register_operand(vcpu_get_gpr(&v->arch, in->reg), in->width, in->high_byte);
}

static void set_operand(struct vcpu *v, const struct insn *in, uint64_t value)
{
    uint64_t old = vcpu_get_gpr(&v->arch, in->reg);

    vcpu_set_gpr(&v->arch, in->reg,
                 in->high_byte ? insn_merge_high_byte(old, value)
                               : insn_merge_register(old, value, in->width));
}

static void do_alu(struct vcpu *v, const struct insn *in, uint64_t gpa)
{
    uint64_t memory = platform_mmio_read(v, gpa, in->size);
    uint64_t other = in->op == INSN_ALU_MEM_IMM ? in->immediate : get_operand(v, in);
    uint64_t rflags = vcpu_get_rflags(&v->arch);
    bool to_register = in->op == INSN_ALU_REG_MEM;
    uint64_t result = to_register ? insn_alu(in->alu, in->size, other, memory, &rflags)
                                  : insn_alu(in->alu, in->size, memory, other, &rflags);

    if (insn_alu_writes(in->alu)) {
        if (to_register)
            set_operand(v, in, result);
        else
            platform_mmio_write(v, gpa, in->size, result);
    }
    vcpu_set_rflags(&v->arch, rflags);
}

/* One item of STOS; false: a repetition is left, which will exit again. */
static bool do_stos(struct vcpu *v, const struct insn *in, uint64_t gpa)
{
    uint64_t mask = size_mask(in->mem.address_size);
    uint64_t *rdi = &v->arch.gpr[RDI];
    uint64_t *rcx = &v->arch.gpr[RCX];
    bool down = (vcpu_get_rflags(&v->arch) & RFLAGS_DF) != 0;
    uint64_t next = *rdi + (down ? 0 - (uint64_t)in->size : in->size);

    platform_mmio_write(v, gpa, in->size, v->arch.gpr[RAX] & size_mask(in->size));
    *rdi = insn_merge_register(*rdi, next, in->mem.address_size);
    if (!in->rep)
        return true;
    *rcx = insn_merge_register(*rcx, *rcx - 1, in->mem.address_size);
    return (*rcx & mask) == 0;
}

static bool execute(struct vcpu *v, const struct insn *in, uint64_t gpa)
{
    switch (in->op) {
    case INSN_STORE_REG: platform_mmio_write(v, gpa, in->size, get_operand(v, in)); break;
    case INSN_STORE_IMM:
        platform_mmio_write(v, gpa, in->size, in->immediate & size_mask(in->size));
        break;
    case INSN_LOAD:
    case INSN_LOAD_ZERO: set_operand(v, in, platform_mmio_read(v, gpa, in->size)); break;
    case INSN_LOAD_SIGN:
        set_operand(v, in, insn_sign_extend(platform_mmio_read(v, gpa, in->size), in->size));
        break;
    case INSN_XCHG: {
        uint64_t memory = platform_mmio_read(v, gpa, in->size);

        platform_mmio_write(v, gpa, in->size, get_operand(v, in));
        set_operand(v, in, memory);
        break;
    }
    case INSN_STOS: return do_stos(v, in, gpa);
    case INSN_ALU_MEM_REG:
    case INSN_ALU_MEM_IMM:
    case INSN_ALU_REG_MEM: do_alu(v, in, gpa); break;
    }
    return true;
}

static enum outcome undecodable(struct vcpu *v, const struct vcpu_state *s, const uint8_t *bytes,
                                uint64_t gpa)
{
    vm_log(v->vm,
           "access to device memory %lx by an instruction that is not emulated, rip %lx: "
           "%02x %02x %02x %02x %02x %02x %02x %02x; the guest gets #UD",
           gpa, s->rip, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
           bytes[7]);
    return exit_undefined(v);
}

enum outcome exit_mmio(struct vcpu *v, const struct vcpu_exit *x)
{
    struct vcpu_state s;
    struct linear_code code;
    struct insn in;

    if (x->u.mmio.fetch) /* nothing is there: the bus reads as ones, and FFH FFH is #UD */
        return exit_undefined(v);
    vcpu_get_state(&v->arch, &s);
    linear_fetch(v, &s, &code);
    if (!insn_decode(code.bytes, code.len, mode_of(&s), &in)) {
        if (!in.truncated || code.result == GVA_OK)
            return undecodable(v, &s, code.bytes, x->u.mmio.gpa);
        linear_fetch_fault(v, &code); /* another core changed the page tables meanwhile */
        return RESUME;
    }
    if (execute(v, &in, x->u.mmio.gpa))
        vcpu_skip_bytes(&v->arch, in.length);
    return v->vm->wish == WISH_RUN ? RESUME : STOP_VM;
}
