/* SPDX-License-Identifier: BSD-2-Clause */
/* See the header. Manual: SDM 3C "Checks on the Guest State Area", "Event Injection". */
#include "tests/fake/vcpu_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/regs.h"
#include "arch/x86/virt.h"
#include "lib/time.h"
#include "mm/phys.h"
#include "tests/fake/host_fake.h"

#define EVENT_VALID 0x80000000u
#define EVENT_ERROR 0x00000800u
#define IRQ_ENDLESS 10000u /* automatic exits in a row: a deadline that never moves on */
#define ACCESS_16   0x0093u
#define ACCESS_32   0xc09bu
#define ACCESS_64   0xa09bu

struct vcpu_fake vcpu_fake;

static void fail(const char *what)
{
    fprintf(stderr, "vcpu_fake: %s\n", what);
    abort();
}

void vcpu_fake_reset(void)
{
    memset(&vcpu_fake, 0, sizeof(vcpu_fake));
    vcpu_fake.cr4_allowed = 0xffffff & ~(CR4_VMXE | CR4_SMXE | CR4_LA57 | CR4_PKE);
    vcpu_fake.phys_bits = 39;
    vcpu_fake.insn_len = 2;
    vcpu_fake.state = (struct vcpu_state){
        .rflags = RFLAGS_FIXED,
        .cr0 = CR0_PE | CR0_ET | CR0_NE,
        .cs_access = ACCESS_32,
    };
    vcpu_fake_flat_segments();
}

void vcpu_fake_flat_segments(void)
{
    for (unsigned i = 0; i < 6; i++)
        vcpu_fake.segment[i] =
            (struct vcpu_segment){.limit = UINT32_MAX, .access = i == 1 ? 0xc09b : 0xc093};
}

void vcpu_fake_add(const struct vcpu_exit *x)
{
    if (vcpu_fake.script_len == VCPU_FAKE_SCRIPT)
        fail("the script is too long");
    vcpu_fake.script[vcpu_fake.script_len++] = *x;
}

void vcpu_fake_rewind(void)
{
    vcpu_fake.script_len = vcpu_fake.script_at = vcpu_fake.events = 0;
    vcpu_fake.over = false;
    vcpu_fake.source = NULL;
}

bool vcpu_fake_take(struct vcpu_fake_event *out)
{
    if (vcpu_fake.events == 0)
        return false;
    *out = vcpu_fake.event[0];
    memmove(vcpu_fake.event, vcpu_fake.event + 1, --vcpu_fake.events * sizeof(*out));
    return true;
}

/* --- set-up ----------------------------------------------------------------------------------- */

enum err vcpu_create(struct vcpu_arch *a, struct pages *pool, const struct vcpu_memory *memory,
                     uint16_t vpid, uint32_t apicv)
{
    a->memory = *memory;
    a->vpid = vpid;
    enum err e = pages_alloc(pool, &a->vmcs_hpa);

    if (e == OK)
        e = pages_alloc(pool, &a->apic_hpa);
    if (e == OK)
        e = pages_alloc(pool, &a->posted_hpa);
    if (e != OK)
        return e;
    a->apicv = apicv;
    a->apic_page = phys_table(a->apic_hpa);
    a->posted = phys_table(a->posted_hpa);
    return OK;
}

static void set_start(const struct vcpu_start *start)
{
    struct vcpu_state *s = &vcpu_fake.state;

    *s = (struct vcpu_state){
        .rip = start->rip, .rsp = start->rsp, .rflags = RFLAGS_FIXED, .cr0 = CR0_ET | CR0_NE};
    switch (start->mode) {
    case START_REAL:
    case START_SIPI: s->cs_access = ACCESS_16; break;
    case START_PROTECTED32:
        s->cs_access = ACCESS_32;
        s->cr0 |= CR0_PE;
        break;
    case START_LONG:
        s->cs_access = ACCESS_64;
        s->cr0 |= CR0_PE | CR0_PG;
        s->cr3 = start->cr3;
        s->cr4 = CR4_PAE;
        s->efer = EFER_LME | EFER_LMA;
        break;
    }
}

void vcpu_init(struct vcpu_arch *a, const struct vcpu_start *start)
{
    memset(a->gpr, 0, sizeof(a->gpr));
    a->windows = 0;
    a->tpr_threshold = 0;
    a->gpr[RAX] = start->rax;
    a->gpr[RBX] = start->rbx;
    a->gpr[RSI] = start->rsi;
    vcpu_fake.entry_info = 0;
    a->armed_deadline = TIME_NEVER;
    set_start(start);
    vcpu_fake.start = *start;
    vcpu_fake.sti_blocking = vcpu_fake.nmi_blocking = false;
    vcpu_fake.irq_window = vcpu_fake.nmi_window = false;
    vcpu_fake.resets++;
}

void vcpu_reset(struct vcpu_arch *a, const struct vcpu_start *start, uint64_t tsc_offset)
{
    a->tsc_offset = tsc_offset;
    a->xcr0 = 1;
    vcpu_init(a, start);
}

void vcpu_stop(struct vcpu_arch *a)
{
    (void)a;
    vcpu_fake.stops++;
}

/* --- running ---------------------------------------------------------------------------------- */

static void deliver(void)
{
    struct vcpu_fake_event e = {
        .type = (enum vcpu_event_type)(vcpu_fake.entry_info >> 8 & 7),
        .vector = (uint8_t)vcpu_fake.entry_info,
        .has_error = (vcpu_fake.entry_info & EVENT_ERROR) != 0,
        .error = vcpu_fake.entry_error,
        .cr2 = vcpu_fake.cr2,
    };

    vcpu_fake.entry_info = 0;
    if (e.type == EVENT_EXTERNAL) {
        vcpu_fake.state.rflags &= ~RFLAGS_IF; /* through an interrupt gate */
        vcpu_fake.delivered[e.vector]++;
    }
    if (e.type == EVENT_NMI) {
        vcpu_fake.nmi_blocking = true;
        vcpu_fake.state.rflags &= ~RFLAGS_IF;
    }
    if (vcpu_fake.events < VCPU_FAKE_EVENTS)
        vcpu_fake.event[vcpu_fake.events++] = e;
}

/* What exits by itself, before the guest's next instruction. */
static bool automatic_exit(struct vcpu_arch *a, struct vcpu_exit *out)
{
    if (a->armed_deadline <= host_fake.tsc) {
        a->armed_deadline = TIME_NEVER;
        out->kind = EXIT_DEADLINE;
        return true;
    }
    if ((vcpu_fake.nmi_window && vcpu_can_take_nmi(a)) ||
        (vcpu_fake.irq_window && vcpu_can_take_irq(a))) {
        out->kind = EXIT_IRQ_WINDOW;
        return true;
    }
    return false;
}

static void scripted_exit(struct vcpu_arch *a, struct vcpu_exit *out)
{
    if (vcpu_fake.source != NULL && vcpu_fake.source(a, out))
        return;
    if (vcpu_fake.script_at < vcpu_fake.script_len) {
        *out = vcpu_fake.script[vcpu_fake.script_at++];
        return;
    }
    vcpu_fake.over = true;
    out->kind = EXIT_TRIPLE_FAULT;
}

static void end_instruction(struct vcpu_arch *a)
{
    vcpu_fake.sti_blocking = false;
    vcpu_fake.state.rflags &= ~RFLAGS_RF;
    if ((vcpu_fake.state.rflags & RFLAGS_TF) != 0)
        vcpu_inject_debug(a, 0x4000);
}

static void skip(struct vcpu_arch *a)
{
    vcpu_fake.state.rip += vcpu_fake.insn_len;
    vcpu_fake.skips++;
    end_instruction(a);
}

static void run_once(struct vcpu_arch *a, struct vcpu_exit *out)
{
    memset(out, 0x5a, sizeof(*out)); /* what an exit does not say, nobody reads */
    vcpu_fake.entries++;
    if (vcpu_fake.check != NULL)
        vcpu_fake.check(a);
    host_fake.tsc += vcpu_fake.tick;
    if (vcpu_fake.entry_info != 0)
        deliver();
    if (automatic_exit(a, out)) {
        if (++vcpu_fake.automatic > IRQ_ENDLESS)
            fail("a deadline or a window that exits for ever");
        return;
    }
    vcpu_fake.automatic = 0;
    scripted_exit(a, out);
}

static enum outcome handle(struct vcpu_arch *a, const struct vcpu_exit *x)
{
    if (x->kind == EXIT_CPUID)
        return vcpu_handle_cpuid(a);
    if (x->kind == EXIT_RDMSR)
        return vcpu_handle_rdmsr(a);
    if (x->kind == EXIT_WRMSR)
        return vcpu_handle_wrmsr(a);
    if (x->kind == EXIT_PIO && x->u.pio.in)
        return vcpu_handle_in(a, x->u.pio.port, x->u.pio.size);
    if (x->kind == EXIT_PIO)
        return vcpu_handle_out(a, x->u.pio.port, x->u.pio.size);
    if (x->kind == EXIT_MMIO)
        return vcpu_handle_mmio(a, x->u.mmio.gpa, vcpu_fake.state.rip, x->u.mmio.write);
    if (x->kind == EXIT_VMCALL)
        return vcpu_handle_undefined(a);
    if (x->kind == EXIT_DEADLINE)
        return vcpu_handle_deadline(a);
    return vcpu_handle_exit(a, x);
}

uint32_t vcpu_exit_reason(const struct vcpu_arch *a)
{
    (void)a;
    return VCPU_FAKE_REASON;
}

bool vcpu_has_event(const struct vcpu_arch *a)
{
    (void)a;
    return vcpu_fake.entry_info != 0;
}

void vcpu_run(struct vcpu_arch *a)
{
    for (;;) {
        struct vcpu_exit x;

        if (a->attention && !vcpu_prepare_entry(a))
            return;
        run_once(a, &x);
        switch (handle(a, &x)) {
        case RESUME: break;
        case RESUME_NEXT: skip(a); break;
        case STOP_VM: return;
        }
    }
}

void vcpu_skip_bytes(struct vcpu_arch *a, unsigned len)
{
    if (len > 15)
        fail("no instruction has that length");
    vcpu_fake.state.rip += len;
    vcpu_fake.skip_bytes += len != 0;
    end_instruction(a);
}

/* --- events ----------------------------------------------------------------------------------- */

bool vcpu_can_take_irq(struct vcpu_arch *a)
{
    (void)a;
    return vcpu_fake.entry_info == 0 && (vcpu_fake.state.rflags & RFLAGS_IF) != 0 &&
           !vcpu_fake.sti_blocking;
}

bool vcpu_can_take_nmi(struct vcpu_arch *a)
{
    (void)a;
    return vcpu_fake.entry_info == 0 && !vcpu_fake.nmi_blocking && !vcpu_fake.sti_blocking;
}

void vcpu_inject(struct vcpu_arch *a, enum vcpu_event_type type, uint8_t vector)
{
    if (vcpu_fake.entry_info != 0)
        fail("an event is injected over another one");
    if (type == EVENT_EXTERNAL && !vcpu_can_take_irq(a))
        fail("an interrupt is injected that cannot be taken");
    if (type == EVENT_NMI && (!vcpu_can_take_nmi(a) || vector != VECTOR_NMI))
        fail("an NMI is injected that cannot be taken");
    if (type == EVENT_EXCEPTION && vector >= 32)
        fail("there is no such exception");
    vcpu_fake.entry_info = EVENT_VALID | (uint32_t)type << 8 | vector;
}

void vcpu_inject_irq(struct vcpu_arch *a, uint8_t vector)
{
    vcpu_inject(a, EVENT_EXTERNAL, vector);
}

void vcpu_inject_error(struct vcpu_arch *a, uint8_t vector, uint32_t error_code)
{
    vcpu_inject(a, EVENT_EXCEPTION, vector);
    if ((vcpu_fake.state.cr0 & CR0_PE) != 0)
        vcpu_fake.entry_info |= EVENT_ERROR;
    vcpu_fake.entry_error = error_code;
}

void vcpu_inject_debug(struct vcpu_arch *a, uint64_t causes)
{
    vcpu_fake.dr6 = causes;
    vcpu_inject(a, EVENT_EXCEPTION, VECTOR_DB);
}

void vcpu_reflect(struct vcpu_arch *a, uint8_t vector)
{
    if (vector == VECTOR_AC)
        vcpu_inject_error(a, vector, 0);
    else
        vcpu_inject(a, EVENT_EXCEPTION, vector);
}

void vcpu_inject_page_fault(struct vcpu_arch *a, uint64_t gva, uint32_t error_code)
{
    vcpu_fake.cr2 = gva;
    vcpu_inject_error(a, VECTOR_PF, error_code);
}

void vcpu_set_windows(struct vcpu_arch *a, unsigned windows)
{
    a->windows = (uint8_t)windows;
    vcpu_fake.irq_window = (windows & (VCPU_WINDOW_LAPIC | VCPU_WINDOW_EXTINT)) != 0;
    vcpu_fake.nmi_window = (windows & VCPU_WINDOW_NMI) != 0;
}

void vcpu_move_deadline(struct vcpu_arch *a, uint64_t host_tsc)
{
    vcpu_fake.deadlines++;
    a->armed_deadline = host_tsc;
}

/* --- registers -------------------------------------------------------------------------------- */

void vcpu_get_state(struct vcpu_arch *a, struct vcpu_state *out)
{
    (void)a;
    *out = vcpu_fake.state;
}

bool vcpu_same_code(struct vcpu_arch *a, const struct vcpu_state *s)
{
    const struct vcpu_state *now = &vcpu_fake.state;

    (void)a;
    return ((now->cr0 ^ s->cr0) & CR0_PG) == 0 && now->rip == s->rip && now->cr3 == s->cr3 &&
           now->cr4 == s->cr4 && now->efer == s->efer && now->cs_base == s->cs_base &&
           now->cs_access == s->cs_access && now->cpl == s->cpl;
}

uint64_t vcpu_get_cr3(struct vcpu_arch *a)
{
    (void)a;
    return vcpu_fake.state.cr3;
}

unsigned vcpu_code_size(const struct vcpu_state *s)
{
    if ((s->efer & EFER_LMA) != 0 && (s->cs_access & 0x2000) != 0)
        return CODE_64;
    return (s->cs_access & 0x4000) != 0 ? CODE_32 : CODE_16;
}

uint64_t vcpu_get_gpr(struct vcpu_arch *a, unsigned number)
{
    if (number >= GPR_COUNT)
        fail("there is no such register");
    return number == RSP ? vcpu_fake.state.rsp : a->gpr[number];
}

void vcpu_set_gpr(struct vcpu_arch *a, unsigned number, uint64_t value)
{
    if (number >= GPR_COUNT)
        fail("there is no such register");
    *(number == RSP ? &vcpu_fake.state.rsp : &a->gpr[number]) = value;
}

void vcpu_set_rflags(struct vcpu_arch *a, uint64_t value)
{
    (void)a;
    if ((value & RFLAGS_FIXED) == 0)
        fail("RFLAGS [1] has to be 1");
    vcpu_fake.state.rflags = value;
}

void vcpu_get_segment(struct vcpu_arch *a, unsigned number, struct vcpu_segment *out)
{
    (void)a;
    if (number > SEGMENT_GDTR)
        fail("there is no such segment register");
    *out = vcpu_fake.segment[number];
}

void vcpu_set_segment(struct vcpu_arch *a, unsigned number, const struct vcpu_segment *s)
{
    (void)a;
    if (number > SEGMENT_TR)
        fail("there is no such segment register");
    vcpu_fake.segment[number] = *s;
    if (number == SEGMENT_SS)
        vcpu_fake.state.cpl = s->access >> 5 & 3;
}

void vcpu_enter_task(struct vcpu_arch *a, uint64_t cr3, uint64_t rip)
{
    (void)a;
    vcpu_fake.state.cr3 = cr3;
    vcpu_fake.state.rip = rip;
    vcpu_fake.state.cr0 |= CR0_TS;
    vcpu_fake.sti_blocking = false;
}

uint64_t vcpu_get_cr0(struct vcpu_arch *a)
{
    (void)a;
    return vcpu_fake.state.cr0;
}

uint64_t vcpu_get_cr4(struct vcpu_arch *a)
{
    (void)a;
    return vcpu_fake.state.cr4;
}

bool vcpu_write_cr0(struct vcpu_arch *a, uint64_t value)
{
    struct vcpu_state *s = &vcpu_fake.state;

    (void)a;
    if (value >> 32 != 0 || (value & (CR0_PG | CR0_PE)) == CR0_PG)
        return false;
    if ((value & CR0_PG) != 0 && (s->efer & EFER_LME) != 0 && (s->cr4 & CR4_PAE) == 0)
        return false;
    s->efer &= ~EFER_LMA;
    if ((value & CR0_PG) != 0 && (s->efer & EFER_LME) != 0)
        s->efer |= EFER_LMA;
    s->cr0 = value | CR0_ET;
    return true;
}

bool vcpu_write_cr4(struct vcpu_arch *a, uint64_t value)
{
    (void)a;
    if ((value & ~vcpu_fake.cr4_allowed) != 0)
        return false;
    if ((vcpu_fake.state.efer & EFER_LMA) != 0 && (value & CR4_PAE) == 0)
        return false;
    vcpu_fake.state.cr4 = value;
    return true;
}

bool vcpu_uses_pdptes(struct vcpu_arch *a)
{
    const struct vcpu_state *s = &vcpu_fake.state;

    (void)a;
    return (s->cr0 & CR0_PG) != 0 && (s->cr4 & CR4_PAE) != 0 && (s->efer & EFER_LMA) == 0;
}

void vcpu_set_pdptes(struct vcpu_arch *a, const uint64_t pdpte[4])
{
    uint64_t reserved = ~0ull << vcpu_fake.phys_bits | 0x1e6;

    (void)a;
    for (unsigned i = 0; i < 4; i++) {
        if ((pdpte[i] & 1) != 0 && (pdpte[i] & reserved) != 0)
            fail("a PDPTE with reserved bits: the entry would fail");
        vcpu_fake.pdpte[i] = pdpte[i];
    }
}

void vcpu_set_xcr0(struct vcpu_arch *a, uint64_t value)
{
    a->xcr0 = value;
}

void vcpu_set_tsc_offset(struct vcpu_arch *a, uint64_t offset)
{
    a->tsc_offset = offset;
}

unsigned vcpu_get_fields(const struct vcpu_arch *a, struct vcpu_field out[VCPU_FIELDS_MAX])
{
    out[0] = (struct vcpu_field){0x201a, a->memory.eptp};
    return 1;
}

void vcpu_print(struct vcpu_arch *a)
{
    (void)a;
    vcpu_fake.prints++;
}

void vcpu_set_apic_mode(struct vcpu_arch *a, enum vcpu_apic_mode mode)
{
    (void)a;
    vcpu_fake.apic_mode = mode;
}

void vcpu_set_irq_status(struct vcpu_arch *a, uint8_t rvi, uint8_t svi)
{
    if (!vcpu_delivers_irqs(a))
        fail("there is no guest interrupt status");
    vcpu_fake.rvi = rvi;
    vcpu_fake.svi = svi;
}

void vcpu_set_eoi_exits(struct vcpu_arch *a, const uint64_t vectors[4])
{
    if (!vcpu_delivers_irqs(a))
        fail("there is no EOI-exit bitmap");
    memcpy(vcpu_fake.eoi_exits, vectors, sizeof(vcpu_fake.eoi_exits));
}

void vcpu_set_tpr_threshold(struct vcpu_arch *a, uint8_t threshold)
{
    a->tpr_threshold = threshold;
    vcpu_fake.tpr_threshold = threshold;
}

/* --- arch/x86/virt.h -------------------------------------------------------------------------- */

bool virt_ept_has_2m(void)
{
    return true;
}

bool virt_ept_has_1g(void)
{
    return false;
}

uint32_t virt_apicv(void)
{
    return vcpu_fake.apicv;
}

uint32_t virt_apicv_complete(uint32_t features)
{
    return features;
}

bool virt_has_rdtscp(void)
{
    return !vcpu_fake.no_rdtscp;
}

bool virt_has_invpcid(void)
{
    return !vcpu_fake.no_invpcid;
}
