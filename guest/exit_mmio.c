/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An access to guest-physical memory that is not RAM: fetch the instruction, decode it, let the
 * device answer.
 */
#include "arch/x86/insn.h"
#include "guest/fetch.h"
#include "guest/linear.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"

/* What the hardware said of an access. */
struct access {
    uint64_t gpa;
    bool write;
};

/*
 * The address is the hardware's, unless the operand crosses a page, so that half of it may be RAM
 * and the address is that of the other half; or the instruction is not, or no longer, the one that
 * left the guest. Then it is looked for, with all checks.
 */
static bool find_operand(struct linear *l, const struct insn *in, struct access x,
                         struct linear_place *out)
{
    unsigned size = in->op == INSN_CMPXCHG_PAIR ? 2u * in->size : in->size;
    uint64_t offset = insn_memory_offset(in, l->v->arch.gpr, l->s.rip);
    uint64_t gva = linear_address(l->v, l->code, in->mem.segment, offset);
    bool writes = insn_writes(in);

    if ((gva ^ x.gpa) % PAGE_SIZE == 0 && x.gpa % PAGE_SIZE + size <= PAGE_SIZE &&
        x.write == writes) {
        *out = (struct linear_place){.gpa = {x.gpa}, .len = {(uint8_t)size}};
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

static void undecodable(struct linear *l, const uint8_t *bytes, uint64_t gpa)
{
    vm_log(l->v->vm,
           "access to device memory %lx by an instruction that is not emulated, rip %lx: "
           "%02x %02x %02x %02x %02x %02x %02x %02x; the guest gets #UD",
           gpa, l->s.rip, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
           bytes[7]);
    (void)exit_undefined(l->v);
}

static enum outcome string(struct linear *l, const struct insn *in)
{
    enum outcome outcome = exit_string(l, in);

    if (outcome != RESUME_NEXT)
        return outcome;
    vcpu_skip_bytes(&l->v->arch, in->length);
    return RESUME;
}

/* The whole way to the instruction. False: the guest has been given a fault. */
static bool fetch_slowly(struct linear *l, uint64_t gpa, struct insn *out)
{
    struct linear_code code = {0};

    linear_fetch(l, &code);
    if (linear_decode(l, code.bytes, code.len, out))
        return true;
    if (!out->truncated || code.result == GVA_OK)
        undecodable(l, code.bytes, gpa);
    else
        linear_fetch_fault(l, &code); /* another core changed the page tables meanwhile */
    return false;
}

/* Any instruction that insn_decode() knows; f: NULL if it is not known yet. */
static NOINLINE enum outcome emulate(struct vcpu *v, const struct fetch *f, struct access x)
{
    struct linear l;
    struct linear_place place;
    struct insn slow;
    const struct insn *in = f != NULL ? &f->insn : &slow;

    linear_begin(&l, v);
    if (f == NULL && !fetch_slowly(&l, x.gpa, &slow))
        return RESUME;
    if (insn_is_string(in))
        return string(&l, in);
    if (find_operand(&l, in, x, &place))
        execute(&l, in, &place);
    return RESUME;
}

/*
 * Whether it is what drivers do nearly always: to load or store one register, where the hardware
 * said. An operand that is aligned crosses no page.
 */
static inline bool is_move(struct vcpu *v, const struct fetch *f, struct access x)
{
    uint64_t gva = insn_address(&f->insn.mem, v->arch.gpr);

    if (UNLIKELY(!f->is_flat))
        gva = linear_address(v, f->code, f->insn.mem.segment, gva);
    return (gva ^ x.gpa) % PAGE_SIZE == 0 && (x.gpa & f->misaligned) == 0 && f->kind == x.write;
}

/* These two do what execute() would do, without what only other instructions need. */
static inline enum outcome load(struct vcpu *v, const struct insn *in, uint64_t gpa)
{
    v->arch.gpr[in->reg] = platform_mmio_read(v, gpa, in->size);
    vcpu_skip_bytes(&v->arch, in->length);
    return RESUME;
}

static inline enum outcome store(struct vcpu *v, const struct insn *in, uint64_t gpa)
{
    uint64_t value = in->op == INSN_STORE_IMM ? in->immediate : v->arch.gpr[in->reg];

    platform_mmio_write(v, gpa, in->size, value);
    vcpu_skip_bytes(&v->arch, in->length);
    return RESUME;
}

enum outcome vcpu_handle_mmio(struct vcpu_arch *a, uint64_t gpa, uint64_t rip, bool write)
{
    struct vcpu *v = vcpu_of(a);
    struct access x = {gpa, write};
    struct fetch *kept = &v->fetch[fetch_slot(rip)];
    const struct fetch *f = kept;

    v->exits[EXIT_MMIO]++;
    if (UNLIKELY(!fetch_is_same(a, f)))
        f = fetch_again(v, kept);
    if (UNLIKELY(f == NULL || !is_move(v, f, x)))
        return emulate(v, f, x);
    return x.write ? store(v, &f->insn, x.gpa) : load(v, &f->insn, x.gpa);
}
