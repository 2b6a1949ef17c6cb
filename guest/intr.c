/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest takes next. SDM 3A "Priority Among Concurrent Events": NMI before external
 * interrupts. An event that an exit handler set (an exception) goes first and alone.
 */
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

/* Interrupts that go past the local APIC's priorities. True: one is waiting still. */
static bool prepare_extint(struct vcpu *v)
{
    if (!platform_extint_waiting(v))
        return false;
    if (vcpu_can_take_irq(&v->arch)) {
        int vector = platform_extint_ack(v);

        if (vector >= 0) /* another core may have masked what was waiting */
            vcpu_inject(&v->arch, EVENT_EXTERNAL, (uint8_t)vector);
    }
    return platform_extint_waiting(v);
}

/* The local APIC's interrupts where the hardware delivers them: tell it what it has to know. */
static void prepare_hardware(struct vcpu *v)
{
    uint64_t levels[4];

    if (lapic_levels_changed(&v->lapic, levels))
        vcpu_set_eoi_exits(&v->arch, levels);
    vcpu_set_irq_status(&v->arch, lapic_highest_irr(&v->lapic), lapic_highest_isr(&v->lapic));
}

/*
 * The same by software. True: one is waiting for the guest to be able to take it. What is taken was
 * the highest request, so that nothing else is waiting and TPR does not matter.
 */
static bool prepare_software(struct vcpu *v)
{
    int vector = lapic_pending(&v->lapic);

    if (vector >= 0 && vcpu_can_take_irq(&v->arch)) {
        lapic_ack(&v->lapic, vector);
        vcpu_inject(&v->arch, EVENT_EXTERNAL, (uint8_t)vector);
        vcpu_set_tpr_threshold(&v->arch, 0);
        return false;
    }
    vcpu_set_tpr_threshold(&v->arch, lapic_tpr_threshold(&v->lapic));
    return vector >= 0;
}

/* Waits if the vCPU is not active. */
bool vcpu_prepare_entry(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);

    if (v->activity != VCPU_ACTIVE && !ipi_wait(v))
        return false;
    if (v->vm->wish != WISH_RUN) /* its own INIT, after an exit that does not look */
        return false;
    v->arch.attention = false;
    prepare_nmi(v);

    bool waiting = prepare_extint(v);

    if (vcpu_delivers_irqs(&v->arch))
        prepare_hardware(v);
    else
        waiting |= prepare_software(v);
    vcpu_want_irq_window(&v->arch, waiting);
    return true;
}
