/* SPDX-License-Identifier: BSD-2-Clause */
/* Another core wants something of a vCPU: a bit and an interrupt. */
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/trap.h"
#include "guest/vm.h"

static void send_nmi(struct cpu *c)
{
    atomic_store(&c->nmi_expected, true);
    apic_send_nmi(c->apic_id);
}

/*
 * A guest with its core's own local APIC would get the vector; when it has ended for good, the core
 * idles, and only the vector wakes it without fail.
 */
static void kick(struct vcpu *v)
{
    struct cpu *c = cpu_list[v->core];

    if (v->vm->config->direct && !vm_ended(v->vm))
        send_nmi(c);
    else
        apic_send(c->apic_id, HOST_VECTOR_KICK);
}

/*
 * The interrupt alone is enough on a processor. Bochs holds it back while the guest is halted with
 * IF = 0, as Linux parks an offline CPU; there the NMI wakes it.
 */
void vcpu_rouse(struct vcpu *v)
{
    kick(v);
    if (!v->vm->config->direct)
        send_nmi(cpu_list[v->core]);
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
    /* Bits that are set already have their interrupt under way. */
    if (atomic_fetch_or_explicit(&v->requests, bits, memory_order_acq_rel) == 0)
        kick(v);
}
