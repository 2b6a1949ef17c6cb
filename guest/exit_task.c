/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware task switches, which a processor leaves to the hypervisor. SDM 3A "Task Management",
 * whose steps are in order here; SDM 3C "Treatment of Task Switches": gate, privilege, and type,
 * presence and limit of the new TSS's descriptor were checked before the exit. They are looked at
 * again only where another vCPU could have changed them since.
 */
#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "guest/gva.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/compiler.h"

#define TYPE_TSS_BUSY 0x02u /* in the type of a TSS descriptor */
#define TYPE_TSS_32   0x08u
#define TYPE_ACCESSED 0x01u       /* in the type of code and data */
#define ACCESS_S      0x10u       /* [4] code or data, not a system segment */
#define ACCESS_P      0x80u       /* [7] present */
#define ACCESS_G      0x8000u     /* [15] limit in pages */
#define ACCESS_V86    0xf3u       /* present, DPL 3, writable data */
#define FLAGS_LOADED  0x3f7fd5ull /* the bits of EFLAGS there are */
#define DR6_BT        0x8000ull   /* [15] task switch */

/* The registers of a TSS that are saved and loaded; both formats have them one after the other. */
enum { WORD_IP, WORD_FLAGS, WORD_GPR, WORD_SEGMENT = WORD_GPR + 8, WORD_COUNT = WORD_SEGMENT + 6 };

struct task {
    uint32_t word[WORD_COUNT];
    uint64_t cr3;
    uint16_t ldt;
    bool trap; /* #DB when it is entered */
};

struct task_switch {
    struct vcpu *v;
    struct gva_context ctx;
    uint32_t ext; /* bit 0 of error codes: an event from outside the program brought us here */
};

static const struct tss_format {
    uint8_t width;  /* bytes of a register */
    uint8_t first;  /* offset of (E)IP; the rest follows, behind the segments the LDT */
    uint8_t words;  /* the 16-bit one has no FS and GS */
    uint8_t length; /* of what is read */
} tss16 = {2, 0x0e, WORD_COUNT - 2, 44}, tss32 = {4, 0x20, WORD_COUNT, 104};

static const struct tss_format *format_of(const struct vcpu_segment *tss)
{
    return (tss->access & TYPE_TSS_32) != 0 ? &tss32 : &tss16;
}

/* --- memory by linear address, with the rights of the processor itself -------------------------
 */

static void set_context(struct task_switch *t)
{
    struct vcpu_state s;

    vcpu_get_state(&t->v->arch, &s);
    t->ctx = (struct gva_context){
        .cr0 = s.cr0,
        .cr3 = s.cr3,
        .cr4 = s.cr4,
        .efer = s.efer,
        .cpl = 0,
        .phys_bits = (uint8_t)cpuid_phys_bits(&t->v->cpuid),
    };
}

static bool refuse(const struct task_switch *t, uint8_t vector, uint32_t error)
{
    vcpu_inject_error(&t->v->arch, vector, error | t->ext);
    return false;
}

static bool memory_fault(const struct task_switch *t, enum gva_result r, uint64_t gva,
                         uint32_t pf_error)
{
    if (r != GVA_PAGE_FAULT)
        return refuse(t, VECTOR_GP, 0); /* nothing is there: as near to a bus error as it gets */
    vcpu_inject_page_fault(&t->v->arch, gva, pf_error);
    return false;
}

static bool read(const struct task_switch *t, uint64_t gva, void *buf, size_t len)
{
    struct gva_fault fault;
    enum gva_result r = gva_read(t->v->vm, &t->ctx, gva, buf, len, GVA_READ, &fault);

    return r == GVA_OK || memory_fault(t, r, fault.gva, fault.pf_error);
}

/* Byte by byte, all or nothing: buf NULL only finds out whether it can be written. */
static bool write_bytes(const struct task_switch *t, uint64_t gva, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t gpa;
        uint32_t pf_error;
        uint8_t byte;
        enum gva_result r = gva_translate(t->v->vm, &t->ctx, gva + i, GVA_WRITE, &gpa, &pf_error);

        if (r == GVA_OK && !(buf != NULL ? gmem_write(t->v->vm, gpa, buf + i, 1)
                                         : gmem_read(t->v->vm, gpa, &byte, 1)))
            r = GVA_NO_MEMORY;
        if (r != GVA_OK)
            return memory_fault(t, r, gva + i, pf_error);
    }
    return true;
}

static bool write(const struct task_switch *t, uint64_t gva, const void *buf, size_t len)
{
    return write_bytes(t, gva, NULL, len) && write_bytes(t, gva, buf, len);
}

/* --- descriptors -------------------------------------------------------------------------------
 */

static bool descriptor_address(const struct task_switch *t, uint16_t selector, uint64_t *gva)
{
    struct vcpu_segment table;

    vcpu_get_segment(&t->v->arch, selector & 4 ? SEGMENT_LDTR : SEGMENT_GDTR, &table);
    if ((table.access & SEGMENT_UNUSABLE) != 0 || (selector | 7u) > table.limit)
        return false;
    *gva = table.base + (selector & ~7u);
    return true;
}

static void decode_descriptor(uint64_t d, uint16_t selector, struct vcpu_segment *out)
{
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));

    out->selector = selector;
    out->access = (uint32_t)(d >> 40) & 0xf0ff;
    out->limit = (out->access & ACCESS_G) != 0 ? limit << 12 | 0xfff : limit;
    out->base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}

/* vector: what the guest gets when there is no such descriptor. */
static bool read_descriptor(const struct task_switch *t, uint16_t selector, uint8_t vector,
                            struct vcpu_segment *out)
{
    uint64_t gva, d;

    if (!descriptor_address(t, selector, &gva))
        return refuse(t, vector, selector & ~3u);
    if (!read(t, gva, &d, sizeof(d)))
        return false;
    decode_descriptor(d, selector, out);
    return true;
}

/* Change bits of the type: "busy" of a TSS, "accessed" of the others. */
static bool change_type(const struct task_switch *t, uint16_t selector, uint8_t clear, uint8_t set)
{
    uint64_t gva;
    uint8_t type;

    if (!descriptor_address(t, selector, &gva))
        return refuse(t, VECTOR_TS, selector & ~3u);
    if (!read(t, gva + 5, &type, 1))
        return false;
    uint8_t changed = (uint8_t)((type & ~clear) | set);

    return changed == type || write(t, gva + 5, &changed, 1);
}

/* --- the old task ------------------------------------------------------------------------------
 */

static void put_word(uint8_t *at, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_word(const uint8_t *at, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

static bool save_task(const struct task_switch *t, const struct vcpu_exit *x,
                      const struct vcpu_segment *tss)
{
    const struct tss_format *f = format_of(tss);
    struct vcpu_arch *a = &t->v->arch;
    uint8_t image[4 * WORD_COUNT];
    struct vcpu_segment s;
    struct vcpu_state state;

    vcpu_get_state(a, &state);
    if (x->u.task.source == TASK_IRET)
        state.rflags &= ~RFLAGS_NT;
    put_word(image, f->width, (uint32_t)state.rip + x->u.task.length);
    put_word(image + WORD_FLAGS * f->width, f->width, (uint32_t)state.rflags);
    for (unsigned i = 0; i < 8; i++)
        put_word(image + (WORD_GPR + i) * f->width, f->width, (uint32_t)vcpu_get_gpr(a, i));
    for (unsigned i = 0; WORD_SEGMENT + i < f->words; i++) {
        vcpu_get_segment(a, i, &s);
        put_word(image + (WORD_SEGMENT + i) * f->width, f->width, s.selector);
    }
    return write(t, tss->base + f->first, image, (size_t)f->words * f->width);
}

/* --- the new task ------------------------------------------------------------------------------
 */

static bool read_task(const struct task_switch *t, const struct vcpu_segment *tss,
                      struct task *task)
{
    const struct tss_format *f = format_of(tss);
    uint8_t image[104];

    *task = (struct task){.cr3 = t->ctx.cr3};
    if (!read(t, tss->base, image, f->length))
        return false;
    for (unsigned i = 0; i < f->words; i++)
        task->word[i] = get_word(image + f->first + i * f->width, f->width);
    task->ldt = (uint16_t)get_word(image + f->first + f->words * f->width, 2);
    if (f == &tss32) {
        if ((t->ctx.cr0 & CR0_PG) != 0)
            task->cr3 = get_word(image + 0x1c, 4);
        task->trap = (image[0x64] & 1) != 0;
    }
    return true;
}

static void set_null(const struct task_switch *t, unsigned number, uint16_t selector)
{
    struct vcpu_segment s = {.selector = selector, .access = SEGMENT_UNUSABLE};

    vcpu_set_segment(&t->v->arch, number, &s);
}

static bool load_ldt(const struct task_switch *t, uint16_t selector)
{
    struct vcpu_segment s;

    if ((selector & ~3u) == 0)
        return true;
    if ((selector & 4) != 0)
        return refuse(t, VECTOR_TS, selector & ~3u);
    if (!read_descriptor(t, selector, VECTOR_TS, &s))
        return false;
    if ((s.access & 0x9f) != (ACCESS_P | 2))
        return refuse(t, VECTOR_TS, selector & ~3u);
    vcpu_set_segment(&t->v->arch, SEGMENT_LDTR, &s);
    return true;
}

/* SDM 3A "Exception Conditions Checked During a Task Switch": the rights to a segment. */
static bool rights_ok(unsigned number, const struct vcpu_segment *s, unsigned cpl)
{
    unsigned type = s->access & 0xf;
    unsigned dpl = s->access >> 5 & 3;
    unsigned rpl = s->selector & 3;
    bool code = (type & SEGMENT_CODE) != 0;
    bool conforming = code && (type & 4) != 0;

    if ((s->access & ACCESS_S) == 0)
        return false;
    if (number == SEGMENT_CS)
        return code && (conforming ? dpl <= cpl : dpl == cpl);
    if (number == SEGMENT_SS)
        return !code && (type & SEGMENT_WRITABLE) != 0 && dpl == cpl && rpl == cpl;
    if (code && (type & SEGMENT_WRITABLE) == 0) /* execute-only */
        return false;
    return conforming || (dpl >= cpl && dpl >= rpl);
}

static bool load_segment(const struct task_switch *t, unsigned number, uint16_t selector,
                         unsigned cpl)
{
    struct vcpu_segment s;

    if ((selector & ~3u) == 0) {
        if (number == SEGMENT_CS || number == SEGMENT_SS)
            return refuse(t, VECTOR_TS, 0);
        set_null(t, number, selector);
        return true;
    }
    if (!read_descriptor(t, selector, VECTOR_TS, &s))
        return false;
    if (!rights_ok(number, &s, cpl))
        return refuse(t, VECTOR_TS, selector & ~3u);
    if ((s.access & ACCESS_P) == 0)
        return refuse(t, number == SEGMENT_SS ? VECTOR_SS : VECTOR_NP, selector & ~3u);
    if (!change_type(t, selector, 0, TYPE_ACCESSED))
        return false;
    s.access |= TYPE_ACCESSED;
    vcpu_set_segment(&t->v->arch, number, &s);
    return true;
}

static void load_v86_segments(const struct task_switch *t, const uint32_t *selectors)
{
    for (unsigned i = 0; i < 6; i++) {
        uint16_t selector = (uint16_t)selectors[i];
        struct vcpu_segment s = {selector, ACCESS_V86, 0xffff, (uint64_t)selector << 4};

        vcpu_set_segment(&t->v->arch, i, &s);
    }
}

/*
 * Until a segment is loaded its register holds the selector and nothing else can be done with it: a
 * fault on the way finds the task's selectors in place. CS and SS stay usable, at the new CPL,
 * since the processor could not be entered otherwise.
 */
static void hold_selectors(const struct task_switch *t, const uint32_t *selectors)
{
    unsigned cpl = selectors[SEGMENT_CS] & 3;

    for (unsigned i = 0; i < 6; i++) {
        struct vcpu_segment s = {(uint16_t)selectors[i], SEGMENT_UNUSABLE, 0, 0};

        if (i == SEGMENT_CS)
            s.access = SEGMENT_BIG | ACCESS_P | ACCESS_S | cpl << 5 | 0xb;
        if (i == SEGMENT_SS)
            s = (struct vcpu_segment){(uint16_t)((selectors[i] & ~3u) | cpl),
                                      SEGMENT_BIG | ACCESS_P | ACCESS_S | cpl << 5 | 0x3, 0, 0};
        vcpu_set_segment(&t->v->arch, i, &s);
    }
}

static bool load_segments(const struct task_switch *t, const struct task *task)
{
    /* CS decides the privilege level, so it is first. */
    static const uint8_t order[] = {SEGMENT_CS, SEGMENT_SS, SEGMENT_ES,
                                    SEGMENT_DS, SEGMENT_FS, SEGMENT_GS};
    const uint32_t *selectors = &task->word[WORD_SEGMENT];

    set_null(t, SEGMENT_LDTR, task->ldt);
    if ((task->word[WORD_FLAGS] & RFLAGS_VM) != 0)
        load_v86_segments(t, selectors);
    else
        hold_selectors(t, selectors);
    if (!load_ldt(t, task->ldt))
        return false;
    for (unsigned i = 0; i < 6 && (task->word[WORD_FLAGS] & RFLAGS_VM) == 0; i++) {
        if (!load_segment(t, order[i], (uint16_t)selectors[order[i]], selectors[SEGMENT_CS] & 3))
            return false;
    }
    return true;
}

/* The error code of the exception whose task gate this was goes onto the new stack. */
static bool push_error(const struct task_switch *t, unsigned width, uint32_t error)
{
    struct vcpu_segment ss;
    uint64_t rsp = vcpu_get_gpr(&t->v->arch, RSP);

    vcpu_get_segment(&t->v->arch, SEGMENT_SS, &ss);
    uint64_t mask = (ss.access & SEGMENT_BIG) != 0 ? 0xffffffff : 0xffff;
    uint64_t top = (rsp - width) & mask;
    bool down = (ss.access & SEGMENT_EXPAND_DOWN) != 0; /* valid above the limit */

    if (down ? top <= ss.limit || top + width - 1 > mask : top + width - 1 > ss.limit)
        return refuse(t, VECTOR_SS, 0);
    if (!write(t, (uint32_t)(ss.base + top), &error, width))
        return false;
    vcpu_set_gpr(&t->v->arch, RSP, (rsp & ~mask) | top);
    return true;
}

/* --- the switch --------------------------------------------------------------------------------
 */

/* Up to here faults are the old task's, and nothing has changed. */
static bool leave_old_task(const struct task_switch *t, const struct vcpu_exit *x,
                           const struct vcpu_segment *tr, const struct vcpu_segment *tss)
{
    bool nested = x->u.task.source == TASK_CALL || x->u.task.source == TASK_GATE;

    if (nested && !write_bytes(t, tss->base, NULL, 2))
        return false;
    if (!save_task(t, x, tr))
        return false;
    if (nested ? !write(t, tss->base, &tr->selector, 2)
               : !change_type(t, tr->selector, TYPE_TSS_BUSY, 0))
        return false;
    return x->u.task.source == TASK_IRET || change_type(t, x->u.task.selector, 0, TYPE_TSS_BUSY);
}

/* From here on they are the new one's. */
static bool enter_new_task(struct task_switch *t, const struct vcpu_exit *x,
                           const struct vcpu_segment *tss, struct task *task)
{
    struct vcpu_arch *a = &t->v->arch;
    bool nested = x->u.task.source == TASK_CALL || x->u.task.source == TASK_GATE;

    if (!exit_load_pdptes(t->v, task->cr3))
        return refuse(t, VECTOR_GP, 0);
    vcpu_set_segment(a, SEGMENT_TR, tss);
    vcpu_enter_task(a, task->cr3, task->word[WORD_IP]);
    task->word[WORD_FLAGS] &= (uint32_t)FLAGS_LOADED;
    if (nested)
        task->word[WORD_FLAGS] |= RFLAGS_NT;
    vcpu_set_rflags(a, task->word[WORD_FLAGS] | RFLAGS_FIXED);
    for (unsigned i = 0; i < 8; i++)
        vcpu_set_gpr(a, i, task->word[WORD_GPR + i]);
    set_context(t);
    if (!load_segments(t, task))
        return false;
    return !x->u.task.has_error || push_error(t, format_of(tss)->width, x->u.task.error);
}

enum outcome exit_task_switch(struct vcpu *v, const struct vcpu_exit *x)
{
    struct task_switch t = {.v = v, .ext = x->u.task.external};
    struct vcpu_segment tr, tss;
    struct task task;

    set_context(&t);
    vcpu_get_segment(&v->arch, SEGMENT_TR, &tr);
    if (!read_descriptor(&t, x->u.task.selector, VECTOR_TS, &tss))
        return RESUME;
    if ((tss.access & 0x95) != (ACCESS_P | 1) || tss.limit < format_of(&tss)->length - 1u) {
        (void)refuse(&t, VECTOR_TS, x->u.task.selector & ~3u);
        return RESUME;
    }
    tss.access |= TYPE_TSS_BUSY;
    if (!read_task(&t, &tss, &task) || !leave_old_task(&t, x, &tr, &tss))
        return RESUME;
    if (enter_new_task(&t, x, &tss, &task) && task.trap)
        vcpu_inject_debug(&v->arch, DR6_BT);
    return RESUME;
}
