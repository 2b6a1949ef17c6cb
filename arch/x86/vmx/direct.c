/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that owns its core's local APIC: no interrupt exits, so NMIs are the hypervisor's only way
 * to the core, and the VMX-preemption timer is its only clock there. SDM 3C "VMX-Preemption Timer".
 */
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/vmx/vmx.h"
#include "lib/time.h"

/* A timer of 0 exits before the guest's next instruction, whatever its state. */
static void exit_at_once(const struct vcpu_arch *a)
{
    vmwrite(VMCS_PREEMPTION_TIMER, 0);
    vmwrite(VMCS_PIN_CONTROLS, a->pinbased | PIN_PREEMPTION_TIMER);
}

/*
 * The timer is on while there is a deadline only: it is 32 bits wide and would exit now and then.
 * An NMI before the test below is seen there; a later one finds nothing behind it that undoes what
 * its handler does to the VMCS.
 */
void vmx_direct_entry(const struct vcpu_arch *a)
{
    bool armed = a->armed_deadline != TIME_NEVER;

    vmwrite(VMCS_PIN_CONTROLS, a->pinbased | (armed ? PIN_PREEMPTION_TIMER : 0));
    __asm__ volatile("" : : : "memory");
    if (atomic_load(&this_cpu()->roused))
        exit_at_once(a);
}

/* Whoever sent the NMI has set its request before: forget the NMI first, then look for that. */
enum exit_kind vmx_direct_timer(void)
{
    struct cpu *c = this_cpu();

    return c->apic_lent && atomic_exchange(&c->roused, false) ? EXIT_ROUSED : EXIT_DEADLINE;
}

/* The VMCS of a lent core is the current one from before apic_lend() until after the life's end. */
void vcpu_note_nmi(void)
{
    struct cpu *c = this_cpu();

    atomic_store(&c->roused, true);
    if (c->apic_lent)
        exit_at_once(c->loaded);
}

void vcpu_stop(struct vcpu_arch *a)
{
    if (vcpu_is_direct(a))
        apic_take_back();
}
