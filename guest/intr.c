/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest takes next. SDM 3A "Priority Among Concurrent Events": NMI before external
 * interrupts. An event that an exit handler set (an exception) goes first and alone.
 */
#include "guest/direct.h"
#include "guest/ipi.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"

static void prepare_nmi(struct vcpu *v)
{
    if (v->nmi_pending && vcpu_can_take_nmi(&v->arch)) {
        v->nmi_pending = false;
        vcpu_inject(&v->arch, EVENT_NMI, VECTOR_NMI);
    }
    vcpu_want_nmi_window(&v->arch, v->nmi_pending);
}

static void inject_irq(struct vcpu *v)
{
    int vector = platform_irq_ack(v);

    if (vector >= 0) /* another core may have masked what was waiting */
        vcpu_inject(&v->arch, EVENT_EXTERNAL, (uint8_t)vector);
}

/* The hardware delivers the local APIC's interrupts; only what goes past it is left. */
static void prepare_extint(struct vcpu *v)
{
    uint64_t levels[4];

    if (platform_extint_waiting(v) && vcpu_can_take_irq(&v->arch))
        inject_irq(v);
    vcpu_want_irq_window(&v->arch, platform_extint_waiting(v));
    if (lapic_levels_changed(&v->lapic, levels))
        vcpu_set_eoi_exits(&v->arch, levels);
    vcpu_set_irq_status(&v->arch, lapic_highest_irr(&v->lapic), lapic_highest_isr(&v->lapic));
}

static void prepare_irq(struct vcpu *v)
{
    if (platform_irq_waiting(v) && vcpu_can_take_irq(&v->arch))
        inject_irq(v);
    vcpu_want_irq_window(&v->arch, platform_irq_waiting(v));
    vcpu_set_tpr_threshold(&v->arch, lapic_tpr_threshold(&v->lapic));
}

/* The core's own local APIC delivers; only what goes past it is left. */
static void prepare_direct(struct vcpu *v)
{
    direct_hand_on(v);
    if (platform_extint_waiting(v) && vcpu_can_take_irq(&v->arch))
        inject_irq(v);
    vcpu_want_irq_window(&v->arch, platform_extint_waiting(v));
}

bool intr_prepare(struct vcpu *v)
{
    if (v->activity != VCPU_ACTIVE && !ipi_wait(v))
        return false;
    if (v->vm->wish != WISH_RUN) /* its own INIT, after an exit that does not look */
        return false;
    v->attention = false;
    prepare_nmi(v);
    if (vcpu_is_direct(&v->arch))
        prepare_direct(v);
    else if (vcpu_delivers_irqs(&v->arch))
        prepare_extint(v);
    else
        prepare_irq(v);
    return true;
}
