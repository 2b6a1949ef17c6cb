/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/linear.h"

#include "guest/vm.h"

static struct gva_context context_of(const struct vcpu *v, const struct vcpu_state *s)
{
    return (struct gva_context){
        .cr0 = s->cr0,
        .cr3 = s->cr3,
        .cr4 = s->cr4,
        .efer = s->efer,
        .rflags = s->rflags,
        .cpl = s->cpl,
        .phys_bits = (uint8_t)cpuid_phys_bits(&v->cpuid),
    };
}

/* Memory that is not there gives nothing the CPU could use: #GP is the nearest to a bus error. */
static void give_fault(struct vcpu *v, enum gva_result r, uint64_t gva, uint32_t pf_error)
{
    if (r == GVA_PAGE_FAULT)
        vcpu_inject_page_fault(&v->arch, gva, pf_error);
    else
        vcpu_inject_error(&v->arch, VECTOR_GP, 0);
}

void linear_fetch(struct vcpu *v, const struct vcpu_state *s, struct linear_code *out)
{
    struct gva_context ctx = context_of(v, s);

    *out = (struct linear_code){0};
    out->result = gva_read(v->vm, &ctx, s->cs_base + s->rip, out->bytes, sizeof(out->bytes),
                           GVA_FETCH, &out->fault);
    out->len = out->fault.copied;
}

void linear_fetch_fault(struct vcpu *v, const struct linear_code *code)
{
    give_fault(v, code->result, code->fault.gva, code->fault.pf_error);
}

bool linear_read(struct vcpu *v, uint64_t gva, void *buf, size_t len)
{
    struct vcpu_state s;
    struct gva_fault fault;

    vcpu_get_state(&v->arch, &s);
    struct gva_context ctx = context_of(v, &s);
    enum gva_result r = gva_read(v->vm, &ctx, gva, buf, len, GVA_READ, &fault);

    if (r == GVA_OK)
        return true;
    give_fault(v, r, fault.gva, fault.pf_error);
    return false;
}

/* The address of one byte that can be written. */
static enum gva_result find_byte(struct vcpu *v, const struct gva_context *ctx, uint64_t gva,
                                 uint64_t *gpa, uint32_t *pf_error)
{
    enum gva_result r = gva_translate(v->vm, ctx, gva, GVA_WRITE, gpa, pf_error);
    uint8_t byte;

    return r == GVA_OK && !gmem_read(v->vm, *gpa, &byte, 1) ? GVA_NO_MEMORY : r;
}

bool linear_find(struct vcpu *v, uint64_t gva, size_t len, uint64_t gpa[4])
{
    struct vcpu_state s;

    vcpu_get_state(&v->arch, &s);
    struct gva_context ctx = context_of(v, &s);

    for (size_t i = 0; i < len; i++) {
        uint32_t pf_error;
        enum gva_result r = find_byte(v, &ctx, gva + i, &gpa[i], &pf_error);

        if (r != GVA_OK) {
            give_fault(v, r, gva + i, pf_error);
            return false;
        }
    }
    return true;
}

void linear_write(struct vcpu *v, const uint64_t gpa[4], const void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool is_ram = gmem_write(v->vm, gpa[i], (const uint8_t *)buf + i, 1);

        (void)is_ram; /* linear_find saw that it is */
    }
}
