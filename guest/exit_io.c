/* SPDX-License-Identifier: BSD-2-Clause */
/* IN, OUT, INS, OUTS. */
#include "arch/x86/regs.h"
#include "guest/linear.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"

/* A device may have ended the run: power-off, reset, debug exit. */
static enum outcome after_write(const struct vcpu *v)
{
    return v->vm->wish == WISH_RUN ? RESUME_NEXT : STOP_VM;
}

enum outcome exit_pio(struct vcpu *v, const struct vcpu_exit *x)
{
    uint64_t *rax = &v->arch.gpr[RAX];
    unsigned size = x->u.pio.size;

    if (!x->u.pio.in) {
        if (!platform_port_write(v, x->u.pio.port, size, (uint32_t)*rax))
            return RESUME;
        return after_write(v);
    }
    uint32_t value = platform_port_read(v, x->u.pio.port, size);

    /* A 32-bit result clears the upper half of RAX, smaller ones keep the rest. */
    *rax = size == 4 ? value : (*rax & ~size_mask(size)) | value;
    return RESUME_NEXT;
}

/* rCX, rSI or rDI: only the low address_size bytes count, and 32-bit writes clear the rest. */
static uint64_t get_counter(const struct vcpu *v, unsigned gpr, unsigned address_size)
{
    return v->arch.gpr[gpr] & size_mask(address_size);
}

static void add_counter(struct vcpu *v, unsigned gpr, unsigned address_size, uint64_t delta)
{
    uint64_t *reg = &v->arch.gpr[gpr];
    uint64_t value = (*reg + delta) & size_mask(address_size);

    *reg = address_size == 2 ? (*reg & ~size_mask(2)) | value : value;
}

/* One item; a repeated instruction exits again for the next. */
enum outcome exit_pio_string(struct vcpu *v, const struct vcpu_exit *x)
{
    unsigned size = x->u.pio.size;
    unsigned address_size = x->u.pio.address_size;
    bool down = (vcpu_get_rflags(&v->arch) & RFLAGS_DF) != 0;
    uint32_t item = 0;
    uint64_t gpa[4];

    if (x->u.pio.rep && get_counter(v, RCX, address_size) == 0)
        return RESUME_NEXT;

    if (x->u.pio.in) {
        if (!linear_find(v, x->u.pio.gva, size, gpa))
            return RESUME;
        item = platform_port_read(v, x->u.pio.port, size);
        linear_write(v, gpa, &item, size);
    } else {
        if (!linear_read(v, x->u.pio.gva, &item, size))
            return RESUME;
        if (!platform_port_write(v, x->u.pio.port, size, item))
            return RESUME;
    }
    add_counter(v, x->u.pio.in ? RDI : RSI, address_size, down ? 0 - (uint64_t)size : size);
    if (x->u.pio.rep) {
        add_counter(v, RCX, address_size, 0 - 1ull);
        if (get_counter(v, RCX, address_size) != 0) {
            vcpu_skip_bytes(&v->arch, 0);
            return after_write(v) == STOP_VM ? STOP_VM : RESUME;
        }
    }
    return after_write(v);
}
