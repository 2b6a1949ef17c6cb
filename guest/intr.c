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

/*
 * What goes past the local APIC's priorities: an NMI, then what the 8259 has. Returns the
 * VCPU_WINDOW_* to ask for.
 */
static unsigned prepare_others(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;

    if (v->nmi_pending && vcpu_can_take_nmi(a)) {
        v->nmi_pending = false;
        vcpu_inject(a, EVENT_NMI, VECTOR_NMI);
    }
    if (platform_extint_waiting(v) && vcpu_can_take_irq(a))
        vcpu_inject_irq(a, platform_extint_ack(v));
    return (v->nmi_pending ? VCPU_WINDOW_NMI : 0) |
           (platform_extint_waiting(v) ? VCPU_WINDOW_EXTINT : 0);
}

static NOINLINE void set_eoi_exits(struct vcpu *v)
{
    uint64_t levels[4];

    lapic_get_levels(&v->lapic, levels);
    vcpu_set_eoi_exits(&v->arch, levels);
}

/* The local APIC's interrupts where the hardware delivers them: tell it what it has to know. */
static NOINLINE void prepare_hardware(struct vcpu *v)
{
    if (UNLIKELY(lapic_levels_changed(&v->lapic)))
        set_eoi_exits(v);
    vcpu_set_irq_status(&v->arch, lapic_highest_irr(&v->lapic), lapic_highest_isr(&v->lapic));
}

/*
 * The same by software. VCPU_WINDOW_LAPIC: one is waiting until the guest can take it. What is
 * taken was the highest request, so that nothing else is waiting and TPR does not matter.
 */
static NOINLINE unsigned prepare_software(struct vcpu *v)
{
    bool ready = vcpu_can_take_irq(&v->arch);
    int vector = ready ? lapic_take(&v->lapic) : -1;

    if (vector >= 0) {
        vcpu_inject_irq(&v->arch, (uint8_t)vector);
        vcpu_want_tpr_threshold(&v->arch, 0);
        return 0;
    }
    vcpu_want_tpr_threshold(&v->arch, lapic_tpr_threshold(&v->lapic));
    return !ready && lapic_pending(&v->lapic) >= 0 ? VCPU_WINDOW_LAPIC : 0;
}

static inline unsigned prepare_lapic(struct vcpu *v)
{
    if (vcpu_delivers_irqs(&v->arch))
        prepare_hardware(v);
    else if (!vcpu_is_direct(&v->arch))
        return prepare_software(v);
    else
        direct_hand_on(v);
    return 0;
}

/* Everything is looked at; waits if the vCPU is not active. */
static NOINLINE bool prepare_all(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;

    if (v->activity != VCPU_ACTIVE && !ipi_wait(v))
        return false;
    if (v->vm->wish != WISH_RUN) /* its own INIT, after an exit that does not look */
        return false;

    bool lapic = (a->attention & ATTEND_LAPIC) != 0;

    a->attention = 0;

    unsigned windows = prepare_others(v);

    windows |= lapic ? prepare_lapic(v) : a->windows & VCPU_WINDOW_LAPIC;
    vcpu_want_windows(a, windows);
    return true;
}

bool vcpu_prepare_entry(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);

    if ((a->attention & ATTEND_OTHERS) != 0)
        return prepare_all(v);
    a->attention = 0;
    vcpu_want_windows(a, (a->windows & ~(unsigned)VCPU_WINDOW_LAPIC) | prepare_lapic(v));
    return true;
}
