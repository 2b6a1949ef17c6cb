/* SPDX-License-Identifier: BSD-2-Clause */
/* Another core wants something of a vCPU: a bit and an interrupt. */
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/trap.h"
#include "guest/vm.h"

void vcpu_kick(struct vcpu *v)
{
    apic_send(cpu_list[v->core]->apic_id, HOST_VECTOR_KICK);
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
    /* Bits that are set already have their interrupt under way. */
    if (atomic_fetch_or_explicit(&v->requests, bits, memory_order_acq_rel) == 0)
        vcpu_kick(v);
}
