/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/linear.h"

#include "arch/x86/regs.h"
#include "guest/platform.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"

#define NO_PAGE 1u /* not the address of a page */

void linear_begin(struct linear *l, struct vcpu *v)
{
    l->v = v;
    vcpu_get_state(&v->arch, &l->s);
    v->arch.gpr[RSP] = l->s.rsp;
    l->ctx = (struct gva_context){
        .cr0 = l->s.cr0,
        .cr3 = l->s.cr3,
        .cr4 = l->s.cr4,
        .efer = l->s.efer,
        .rflags = l->s.rflags,
        .cpl = l->s.cpl,
        .phys_bits = (uint8_t)cpuid_phys_bits(&v->cpuid),
    };
    l->code = vcpu_code_size(&l->s);
    l->page[GVA_READ].gva = l->page[GVA_WRITE].gva = NO_PAGE;
}

/* Memory that is not there gives nothing the CPU could use: #GP is the nearest to a bus error. */
static void give_fault(struct linear *l, enum gva_result r, enum insn_segment segment, uint64_t gva,
                       uint32_t pf_error)
{
    if (r == GVA_PAGE_FAULT)
        vcpu_inject_page_fault(&l->v->arch, gva, pf_error);
    else
        vcpu_inject_error(&l->v->arch, segment == INSN_SS ? VECTOR_SS : VECTOR_GP, 0);
}

/* In 64-bit mode CS has no base, whatever its descriptor said. */
uint64_t linear_code_address(const struct linear *l)
{
    return l->code == CODE_64 ? l->s.rip : l->s.cs_base + l->s.rip;
}

bool linear_decode(const struct linear *l, const uint8_t *bytes, size_t len, struct insn *out)
{
    static const uint8_t modes[] = {
        [CODE_16] = INSN_MODE_16, [CODE_32] = INSN_MODE_32, [CODE_64] = INSN_MODE_64};

    return insn_decode(bytes, len, (enum insn_mode)modes[l->code], out);
}

void linear_fetch(struct linear *l, struct linear_code *out)
{
    out->result = gva_read(l->v->vm, &l->ctx, linear_code_address(l), out->bytes,
                           sizeof(out->bytes), GVA_FETCH, &out->fault);
    out->len = out->fault.copied;
}

void linear_fetch_fault(struct linear *l, const struct linear_code *code)
{
    give_fault(l, code->result, INSN_CS, code->fault.gva, code->fault.pf_error);
}

/* --- segments --------------------------------------------------------------------------------- */

/* Real and virtual-8086 mode have no types. SDM 3A "Type Checking". */
static bool type_allows(const struct linear *l, uint32_t access, enum gva_access wanted)
{
    if ((l->s.cr0 & CR0_PE) == 0 || (l->s.rflags & RFLAGS_VM) != 0)
        return true;
    if ((access & SEGMENT_CODE) != 0)
        return wanted == GVA_READ && (access & SEGMENT_WRITABLE) != 0; /* of code: readable */
    return wanted == GVA_READ || (access & SEGMENT_WRITABLE) != 0;
}

/* SDM 3A "Limit Checking". */
static bool limit_allows(const struct vcpu_segment *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if ((s->access & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) != SEGMENT_EXPAND_DOWN)
        return last <= s->limit;
    return offset > s->limit && last <= ((s->access & SEGMENT_BIG) != 0 ? UINT32_MAX : 0xffff);
}

/* Only FS and GS have a base in 64-bit mode, and nothing is checked but that it is canonical. */
static bool segment_find(struct linear *l, enum insn_segment number, uint64_t offset, unsigned size,
                         enum gva_access access, uint64_t *gva)
{
    struct vcpu_segment s;

    *gva = linear_address(l->v, l->code, number, offset);
    if (l->code == CODE_64)
        return true;
    vcpu_get_segment(&l->v->arch, number, &s);
    return (s.access & SEGMENT_UNUSABLE) == 0 && type_allows(l, s.access, access) &&
           limit_allows(&s, offset, size);
}

uint64_t linear_address(struct vcpu *v, unsigned code, enum insn_segment segment, uint64_t offset)
{
    struct vcpu_segment s;

    if (code == CODE_64 && segment < INSN_FS)
        return offset;
    vcpu_get_segment(&v->arch, segment, &s);
    return code == CODE_64 ? s.base + offset : (uint32_t)(s.base + offset);
}

/* --- operands --------------------------------------------------------------------------------- */

static bool translate(struct linear *l, enum insn_segment segment, uint64_t gva,
                      enum gva_access access, uint64_t *gpa)
{
    uint64_t page = align_down(gva, PAGE_SIZE);
    uint32_t pf_error;

    if (l->page[access].gva != page) {
        enum gva_result r = gva_translate(l->v->vm, &l->ctx, gva, access, gpa, &pf_error);

        if (r != GVA_OK) {
            give_fault(l, r, segment, gva, pf_error);
            return false;
        }
        l->page[access].gva = page;
        l->page[access].gpa = align_down(*gpa, PAGE_SIZE);
    }
    *gpa = l->page[access].gpa + (gva - page);
    return true;
}

static bool is_misaligned(const struct linear *l, uint64_t gva, unsigned size)
{
    return l->s.cpl == 3 && (l->s.cr0 & CR0_AM) != 0 && (l->s.rflags & RFLAGS_AC) != 0 &&
           !is_aligned(gva, size);
}

bool linear_find(struct linear *l, enum insn_segment segment, uint64_t offset, unsigned size,
                 enum gva_access access, struct linear_place *out)
{
    uint64_t gva;

    if (!segment_find(l, segment, offset, size, access, &gva)) {
        give_fault(l, GVA_NON_CANONICAL, segment, gva, 0);
        return false;
    }
    uint64_t left = PAGE_SIZE - gva % PAGE_SIZE;
    uint64_t next = gva + left;

    out->len[0] = (uint8_t)(size < left ? size : left);
    out->len[1] = (uint8_t)(size - out->len[0]);
    out->is_device = false;
    if (l->code != CODE_64)
        next = (uint32_t)next;
    if (!translate(l, segment, gva, access, &out->gpa[0]) ||
        (out->len[1] != 0 && !translate(l, segment, next, access, &out->gpa[1])))
        return false;
    if (is_misaligned(l, gva, size)) {
        vcpu_inject_error(&l->v->arch, VECTOR_AC, 0);
        return false;
    }
    return true;
}

/*
 * Alignment is the same all along, and all are inside the limit if the first and the last are. No
 * offset wraps on the way: those between two that did not are between them.
 */
struct linear_run linear_find_run(struct linear *l, enum insn_segment segment, uint64_t offset,
                                  uint64_t max_offset, unsigned size, enum gva_access access,
                                  uint64_t max)
{
    bool down = (l->s.rflags & RFLAGS_DF) != 0;
    struct linear_run run = {.step = down ? -(int64_t)size : (int64_t)size};
    uint64_t gva;

    if (!segment_find(l, segment, offset, size, access, &gva))
        return run;

    unsigned in_page = gva % PAGE_SIZE;
    unsigned room = down ? in_page : (unsigned)PAGE_SIZE - size - in_page;
    unsigned count = room / size + 1;

    if (gva - in_page != l->page[access].gva || in_page > PAGE_SIZE - size)
        return run;
    if (count > max)
        count = (unsigned)max;

    uint64_t last = offset + (count - 1) * (uint64_t)run.step;

    if (last > max_offset || !segment_find(l, segment, last, size, access, &gva))
        return run;
    run.at = gmem_page(l->v->vm, l->page[access].gpa, access == GVA_WRITE);
    if (run.at != NULL) {
        run.at += in_page;
        run.count = count;
    }
    return run;
}

/* The widest access a device is asked for: 8, 4, 2 or 1 of the bytes that are left. */
static unsigned device_size(size_t len)
{
    return len >= 8 ? 8 : 1u << bit_highest(len);
}

static void device_read(struct vcpu *v, uint64_t gpa, uint8_t *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        unsigned size = device_size(len - at);
        uint64_t value = platform_mmio_read(v, gpa + at, size);

        memcpy(buf + at, &value, size);
        at += size;
    }
}

static void device_write(struct vcpu *v, uint64_t gpa, const uint8_t *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        unsigned size = device_size(len - at);
        uint64_t value = 0;

        memcpy(&value, buf + at, size);
        platform_mmio_write(v, gpa + at, size, value);
        at += size;
    }
}

void linear_read(struct vcpu *v, const struct linear_place *place, void *buf)
{
    uint8_t *to = buf;

    for (unsigned i = 0; i < 2 && place->len[i] != 0; i++) {
        if (place->is_device || !gmem_read_operand(v->vm, place->gpa[i], to, place->len[i]))
            device_read(v, place->gpa[i], to, place->len[i]);
        to += place->len[i];
    }
}

void linear_write(struct vcpu *v, const struct linear_place *place, const void *buf)
{
    const uint8_t *from = buf;

    for (unsigned i = 0; i < 2 && place->len[i] != 0; i++) {
        if (place->is_device || !gmem_write(v->vm, place->gpa[i], from, place->len[i]))
            device_write(v, place->gpa[i], from, place->len[i]);
        from += place->len[i];
    }
}
