/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SDM 3A "Issuing Interprocessor Interrupts", "MP Initialization Protocol"; SDM 3C
 * "Posted-Interrupt Processing".
 */
#include "guest/ipi.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/trap.h"
#include "guest/platform.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/time.h"

#define FIRST_VECTOR 16

/* --- to a vCPU of another core ---------------------------------------------------------------- */

static void post(struct vcpu *v, uint8_t vector)
{
    struct posted *p = v->arch.posted;

    atomic_fetch_or_explicit(&p->pir[vector / 64], BIT(vector % 64), memory_order_acq_rel);
    if ((atomic_fetch_or_explicit(&p->control, POSTED_ON, memory_order_acq_rel) & POSTED_ON) != 0)
        return;
    apic_send(cpu_list[v->core]->apic_id,
              vcpu_takes_posted(&v->arch) ? HOST_VECTOR_POSTED : HOST_VECTOR_KICK);
}

/* Only the core itself can see to it that the EOI of a level comes back here. */
static void send_fixed(struct vcpu *to, const struct apic_msg *m)
{
    if (m->vector < FIRST_VECTOR) {
        vcpu_request(to, REQUEST_BAD_VECTOR);
    } else if (m->level) {
        atomic_fetch_or(&to->level[m->vector / 32], BIT32(m->vector % 32));
        vcpu_request(to, REQUEST_LEVEL);
    } else {
        post(to, m->vector);
    }
}

/* It may be halted with IF = 0. Once is enough until it has seen the bit. */
static void request_roused(struct vcpu *to, uint32_t bit)
{
    if ((atomic_fetch_or(&to->requests, bit) & bit) == 0)
        vcpu_rouse(to);
}

static void send(struct vcpu *to, const struct apic_msg *m)
{
    switch ((enum apic_delivery)m->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST: send_fixed(to, m); break;
    case APIC_NMI: request_roused(to, REQUEST_NMI); break;
    case APIC_EXTINT: vcpu_request(to, REQUEST_EXTINT); break;
    case APIC_INIT: /* a SIPI sent before an INIT is not to be seen behind it */
        atomic_fetch_and(&to->requests, ~REQUEST_SIPI);
        request_roused(to, REQUEST_INIT);
        break;
    case APIC_STARTUP:
        atomic_store(&to->sipi_page, m->vector);
        vcpu_request(to, REQUEST_SIPI);
        break;
    case APIC_SMI: break;
    }
}

/* What is refused for its vector may be an interrupt of its own: the error's. */
static void accept_own(struct vcpu *self, const struct apic_msg *m)
{
    ipi_notice(self, lapic_accept(&self->lapic, m), m->vector);
    self->arch.attention |= ATTEND_LAPIC;
}

static void accept(struct vcpu *self, struct vcpu *to, const struct apic_msg *m)
{
    if (to == self)
        accept_own(self, m);
    else
        send(to, m);
}

void ipi_deliver(struct vcpu *self, const struct apic_msg *m, uint32_t source)
{
    struct vm *vm = self->vm;
    struct vcpu *lowest = NULL;

    for (uint32_t i = 0; i < vm->config->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpu[i];

        if (!lapic_match(&v->lapic, m, source))
            continue;
        if (m->delivery != APIC_LOWEST)
            accept(self, v, m);
        else if (lowest == NULL || lapic_priority(&v->lapic) < lapic_priority(&lowest->lapic))
            lowest = v;
    }
    if (lowest != NULL)
        accept(self, lowest, m);
}

/* --- to this core's vCPU ---------------------------------------------------------------------- */

/* An application processor waits for its SIPI; an INIT of the bootstrap processor is a reset. */
static void init(struct vcpu *self)
{
    if (self->index == 0) {
        self->vm->wish = WISH_RESET;
        return;
    }
    lapic_init(&self->lapic);
    self->nmi_pending = false;
    self->lost_irq = 0;
    self->extint_pending = false;
    vcpu_set_deadline(&self->arch, TIME_NEVER);
    self->activity = VCPU_WAIT_SIPI;
}

void ipi_notice(struct vcpu *self, enum lapic_event event, uint8_t vector)
{
    switch (event) {
    case LAPIC_EVENT_NONE: return;
    case LAPIC_EVENT_INTERRUPT: break;
    case LAPIC_EVENT_NMI: self->nmi_pending = true; break;
    case LAPIC_EVENT_EXTINT: self->extint_pending = true; break;
    case LAPIC_EVENT_SMI: return; /* there is no system-management mode: nobody would notice */
    case LAPIC_EVENT_INIT: init(self); break;
    case LAPIC_EVENT_STARTUP:
        if (self->activity != VCPU_WAIT_SIPI)
            return;
        self->activity = VCPU_STARTING;
        atomic_store(&self->sipi_page, vector);
        break;
    }
    self->arch.attention = ATTEND_ALL;
}

/*
 * Where the hardware takes posted interrupts, software must not: the notification is still to
 * come, and would find nothing.
 */
static void take_posted(struct vcpu *self)
{
    struct posted *p = self->arch.posted;
    uint64_t vectors[ARRAY_LEN(p->pir)];

    if (vcpu_takes_posted(&self->arch) ||
        (atomic_load_explicit(&p->control, memory_order_relaxed) & POSTED_ON) == 0)
        return;
    atomic_fetch_and_explicit(&p->control, ~POSTED_ON, memory_order_acq_rel);
    for (unsigned i = 0; i < ARRAY_LEN(vectors); i++)
        vectors[i] = atomic_exchange_explicit(&p->pir[i], 0, memory_order_acq_rel);
    lapic_accept_posted(&self->lapic, vectors);
    self->arch.attention = ATTEND_ALL;
}

static void take_levels(struct vcpu *self)
{
    for (unsigned i = 0; i < ARRAY_LEN(self->level); i++) {
        uint32_t bits = atomic_exchange(&self->level[i], 0);

        for (; bits != 0; bits &= bits - 1) {
            struct apic_msg m = {.vector = (uint8_t)(32 * i + bit_lowest(bits)), .level = true};

            ipi_notice(self, lapic_accept(&self->lapic, &m), m.vector);
        }
    }
}

static void take_messages(struct vcpu *self, uint32_t requests)
{
    static const struct apic_msg bad_vector = {.vector = 0};

    if ((requests & REQUEST_LEVEL) != 0)
        take_levels(self);
    if ((requests & REQUEST_BAD_VECTOR) != 0)
        accept_own(self, &bad_vector);
    if ((requests & REQUEST_EXTINT) != 0)
        ipi_notice(self, LAPIC_EVENT_EXTINT, 0);
    if ((requests & REQUEST_NMI) != 0)
        ipi_notice(self, LAPIC_EVENT_NMI, 0);
    if ((requests & REQUEST_INIT) != 0)
        ipi_notice(self, LAPIC_EVENT_INIT, 0);
    if ((requests & REQUEST_SIPI) != 0)
        ipi_notice(self, LAPIC_EVENT_STARTUP, (uint8_t)atomic_load(&self->sipi_page));
}

uint32_t ipi_take(struct vcpu *self)
{
    uint32_t requests = atomic_exchange_explicit(&self->requests, 0, memory_order_acq_rel);

    take_posted(self);
    if ((requests & REQUEST_MESSAGES) != 0)
        take_messages(self, requests);
    return requests;
}

void ipi_notify_again(struct vcpu *self)
{
    if (vcpu_takes_posted(&self->arch) &&
        (atomic_load(&self->arch.posted->control) & POSTED_ON) != 0)
        apic_send(cpu_list[self->core]->apic_id, HOST_VECTOR_POSTED);
}

void ipi_forget_posted(struct vcpu *v)
{
    /* In this order no vector that is posted meanwhile stays behind without its notification. */
    atomic_store(&v->arch.posted->control, 0);
    for (unsigned i = 0; i < ARRAY_LEN(v->arch.posted->pir); i++)
        atomic_store(&v->arch.posted->pir[i], 0);
}

bool ipi_wait(struct vcpu *self)
{
    for (;;) {
        cpu_take_interrupts(); /* the NMIs of INITs without end do not hold up the console */
        (void)ipi_take(self);  /* device requests are for the first vCPU, which never waits */
        if (self->vm->wish != WISH_RUN)
            return false;
        if (self->activity != VCPU_WAIT_SIPI)
            break;
        cpu_idle();
    }

    struct vcpu_start start = {.mode = START_SIPI, .sipi_page = (uint8_t)self->sipi_page};

    vcpu_init(&self->arch, &start);
    platform_set_apic_mode(self);
    self->arch.gpr[RDX] = cpuid_lookup(&self->cpuid, 1, 0)->eax;
    ipi_forget_posted(self); /* what came meanwhile found the local APIC disabled */
    self->activity = VCPU_ACTIVE;
    return true;
}
