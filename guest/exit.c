/* SPDX-License-Identifier: BSD-2-Clause */
/* One VM exit: who handles it. Nothing else belongs here. */
#include "arch/x86/cpu.h"
#include "arch/x86/trap.h"
#include "guest/dump.h"
#include "guest/ipi.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/log.h"

enum outcome exit_refuse(struct vcpu *v)
{
    vcpu_inject_error(&v->arch, VECTOR_GP, 0);
    return RESUME;
}

enum outcome exit_undefined(struct vcpu *v)
{
    vcpu_inject(&v->arch, EVENT_EXCEPTION, VECTOR_UD);
    return RESUME;
}

/* The guest cannot go on; `why` is logged, with its registers unless it crashes all the time. */
static enum outcome exit_crash(struct vcpu *v, const char *why)
{
    uint32_t reason = vcpu_exit_reason(&v->arch);

    if (vm_may_record(v->vm)) {
        log_line("guest %s: stopped: %s (exit reason %u)", v->vm->config->name, why, reason);
        vcpu_print(&v->arch);
    } else {
        vm_log(v->vm, "stopped: %s (exit reason %u); registers are shown once a second", why,
               reason);
    }
    v->vm->wish = WISH_CRASH;
    return STOP_VM;
}

/* A PC resets then, and firmware may count on it; for other guests it is a bug to be shown. */
static enum outcome exit_triple_fault(struct vcpu *v)
{
    if (v->vm->config->type != GUEST_FIRMWARE)
        return exit_crash(v, "triple fault");
    vm_log(v->vm, "triple fault on core %u", v->core);
    v->vm->wish = WISH_RESET;
    return STOP_VM;
}

static enum outcome exit_exception(struct vcpu *v, const struct vcpu_exit *x)
{
    v->nmi_pending |= x->u.exception.lost_nmi;
    if (x->u.exception.lost_irq)
        v->lost_irq = x->u.exception.lost_vector;
    v->arch.attention = ATTEND_ALL;
    vcpu_reflect(&v->arch, x->u.exception.vector);
    return RESUME;
}

/* The first vCPU's core serves the watchdog, which may have expired by any vCPU's late kick. */
static inline enum outcome exit_deadline(struct vcpu *v)
{
    platform_advance(v);
    if (UNLIKELY(watchdog_expired(&v->vm->watchdog)) && v->index == 0)
        return exit_crash(v, "its watchdog expired");
    return RESUME;
}

void exit_take_requests(struct vcpu *v)
{
    uint32_t requests = ipi_take(v);

    if ((requests & ~REQUEST_MESSAGES) != 0)
        platform_requests(v, requests);
}

/* Requests from other cores come with an interrupt: there is no need to look for them elsewhere. */
static enum outcome after_interrupt(struct vcpu *v)
{
    exit_take_requests(v);
    return v->vm->wish == WISH_RUN ? RESUME : STOP_VM;
}

static enum outcome exit_host_irq(struct vcpu *v, uint8_t vector)
{
    host_interrupt(vector);
    return after_interrupt(v);
}

/* Somebody wants something of this core: the table dump, a request, the end. A deadline may be due.
 */
static enum outcome exit_roused(struct vcpu *v)
{
    dump_answer(v->core);
    return exit_deadline(v) == RESUME ? after_interrupt(v) : STOP_VM;
}

/*
 * NMIs go before interrupts at each entry: without a gap a guest's storm of them would hold up the
 * console. The timer's interrupt may come in it.
 */
static enum outcome exit_nmi(struct vcpu *v)
{
    host_nmi();
    cpu_take_interrupts();
    ipi_notify_again(v);
    return exit_roused(v);
}

enum outcome vcpu_handle_undefined(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);

    v->exits[EXIT_VMCALL]++;
    return exit_undefined(v);
}

enum outcome vcpu_handle_deadline(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);

    v->exits[EXIT_DEADLINE]++;
    return exit_deadline(v);
}

enum outcome vcpu_handle_exit(struct vcpu_arch *a, const struct vcpu_exit *x)
{
    struct vcpu *v = vcpu_of(a);
    enum exit_kind kind = x->kind;

    v->exits[kind]++;
    switch (kind) {
    case EXIT_DEADLINE: return exit_deadline(v); /* by the preemption timer */
    case EXIT_APIC_WRITE: platform_after_apic_write(v, x->u.apic_offset); return RESUME;
    case EXIT_EOI: platform_after_eoi(v, x->u.vector); return RESUME;
    case EXIT_TPR:
    case EXIT_IRQ_WINDOW: v->arch.attention = ATTEND_ALL; return RESUME;
    case EXIT_HOST_IRQ: return exit_host_irq(v, x->u.vector);
    case EXIT_PIO_STRING: return exit_pio_string(v, x);
    case EXIT_CR: return exit_cr(v, x);
    case EXIT_XSETBV: return exit_xsetbv(v);
    case EXIT_NOP: return RESUME_NEXT;
    case EXIT_RDPMC: return exit_refuse(v);
    case EXIT_FETCH: /* nothing is there: the bus reads as ones, and FFH FFH is #UD */
    case EXIT_VMX_INSN: return exit_undefined(v);
    case EXIT_NMI: return exit_nmi(v);
    case EXIT_ROUSED: return exit_roused(v);
    case EXIT_EXCEPTION: return exit_exception(v, x);
    case EXIT_MACHINE_CHECK: panic("machine check while guest %s ran", v->vm->config->name);
    case EXIT_TRIPLE_FAULT: return exit_triple_fault(v);
    case EXIT_TASK_SWITCH: return exit_task_switch(v, x);
    case EXIT_ENTRY_FAILED: return exit_crash(v, "its state cannot be entered");
    case EXIT_CPUID: /* those have their own functions */
    case EXIT_PIO:
    case EXIT_MMIO:
    case EXIT_RDMSR:
    case EXIT_WRMSR:
    case EXIT_VMCALL:
    case EXIT_UNKNOWN:
    case EXIT_KIND_COUNT: break;
    }
    return exit_crash(v, "an exit nobody handles");
}
