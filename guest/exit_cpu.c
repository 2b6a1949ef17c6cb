/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID, MSRs, control registers, XCR0: what the guest's CPU is. */
#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"

#define PDPTE_RESERVED 0x1e6ull /* [8:5], [2:1]; and those from MAXPHYADDR on */

/* EAX, ECX.. of a register pair for 64-bit values. */
static uint64_t edx_eax(const struct vcpu *v)
{
    return (v->arch.gpr[RDX] << 32) | (uint32_t)v->arch.gpr[RAX];
}

static inline enum outcome answer_cpuid(struct vcpu_arch *a, const struct cpuid_leaf *l)
{
    a->gpr[RAX] = l->eax;
    a->gpr[RBX] = l->ebx;
    a->gpr[RCX] = l->ecx;
    a->gpr[RDX] = l->edx;
    return RESUME_NEXT;
}

static NOINLINE enum outcome search_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    struct vcpu_arch *a = &v->arch;

    if (leaf < 32 && (CPUID_DYNAMIC >> leaf & 1) != 0)
        return answer_cpuid(a, cpuid_complete(&v->cpuid, leaf, subleaf, vcpu_get_cr4(a), a->xcr0));
    return answer_cpuid(a, cpuid_lookup(&v->cpuid, leaf, subleaf));
}

enum outcome vcpu_handle_cpuid(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);
    uint32_t leaf = (uint32_t)a->gpr[RAX];

    v->exits[EXIT_CPUID]++;
    if (leaf < ARRAY_LEN(v->cpuid.plain) && v->cpuid.plain[leaf] != CPUID_NOT_PLAIN)
        return answer_cpuid(a, &v->cpuid.entry[v->cpuid.plain[leaf]]);
    return search_cpuid(v, leaf, (uint32_t)a->gpr[RCX]);
}

enum outcome vcpu_handle_rdmsr(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);
    uint32_t msr = (uint32_t)a->gpr[RCX];
    uint64_t value;

    v->exits[EXIT_RDMSR]++;
    if (!msr_read(v, msr, &value)) {
        msr_refused(v, msr, false);
        return exit_refuse(v);
    }
    a->gpr[RAX] = (uint32_t)value;
    a->gpr[RDX] = value >> 32;
    return RESUME_NEXT;
}

static NOINLINE enum outcome write_msr(struct vcpu *v, uint32_t msr, uint64_t value)
{
    bool ok = msr_is_x2apic(msr) ? platform_write_x2apic(v, msr, value) : msr_write(v, msr, value);

    if (!ok) {
        msr_refused(v, msr, true);
        return exit_refuse(v);
    }
    return RESUME_NEXT;
}

enum outcome vcpu_handle_wrmsr(struct vcpu_arch *a)
{
    struct vcpu *v = vcpu_of(a);
    uint32_t msr = (uint32_t)a->gpr[RCX];

    v->exits[EXIT_WRMSR]++;
    if (msr == MSR_TSC_DEADLINE) { /* nearly all of a running guest's */
        platform_write_tsc_deadline(v, edx_eax(v));
        return RESUME_NEXT;
    }
    if (msr == LAPIC_EOI_MSR && edx_eax(v) == 0 && lapic_x2apic_enabled(&v->lapic)) {
        platform_end_interrupt(v);
        return RESUME_NEXT;
    }
    return write_msr(v, msr, edx_eax(v));
}

bool exit_load_pdptes(struct vcpu *v, uint64_t cr3)
{
    uint64_t reserved = ~(BIT(cpuid_phys_bits(&v->cpuid)) - 1) | PDPTE_RESERVED;
    uint64_t pdpte[4];

    if (!vcpu_uses_pdptes(&v->arch))
        return true;
    if (!gmem_read(v->vm, cr3 & 0xffffffe0, pdpte, sizeof(pdpte)))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        if ((pdpte[i] & 1) != 0 && (pdpte[i] & reserved) != 0)
            return false;
    }
    vcpu_set_pdptes(&v->arch, pdpte);
    return true;
}

/* A write to CR0 or CR4 may load the four PDPTEs from memory. */
static bool load_pdptes(struct vcpu *v)
{
    struct vcpu_state s;

    vcpu_get_state(&v->arch, &s);
    return exit_load_pdptes(v, s.cr3);
}

static enum outcome write_cr8(struct vcpu *v, uint64_t value)
{
    if (value > 15)
        return exit_refuse(v);
    platform_write_cr8(v, value);
    return RESUME_NEXT;
}

/* PDPTEs that cannot be loaded are #GP, and the register keeps its old value. */
static enum outcome write_cr0(struct vcpu *v, uint64_t value)
{
    uint64_t old = vcpu_get_cr0(&v->arch);

    if (!vcpu_write_cr0(&v->arch, value))
        return exit_refuse(v);
    if (load_pdptes(v))
        return RESUME_NEXT;
    (void)vcpu_write_cr0(&v->arch, old);
    return exit_refuse(v);
}

static enum outcome write_cr4(struct vcpu *v, uint64_t value)
{
    uint64_t old = vcpu_get_cr4(&v->arch);

    if (!vcpu_write_cr4(&v->arch, value))
        return exit_refuse(v);
    if (load_pdptes(v))
        return RESUME_NEXT;
    (void)vcpu_write_cr4(&v->arch, old);
    return exit_refuse(v);
}

enum outcome exit_cr(struct vcpu *v, const struct vcpu_exit *x)
{
    if (x->u.cr.number == 8 && x->u.cr.read) {
        vcpu_set_gpr(&v->arch, x->u.cr.gpr, lapic_get_cr8(&v->lapic));
        return RESUME_NEXT;
    }
    if (x->u.cr.number == 8)
        return write_cr8(v, vcpu_get_gpr(&v->arch, x->u.cr.gpr));
    if (x->u.cr.number == 0)
        return write_cr0(v, vcpu_get_gpr(&v->arch, x->u.cr.gpr));
    if (x->u.cr.number == 4)
        return write_cr4(v, vcpu_get_gpr(&v->arch, x->u.cr.gpr));
    return exit_refuse(v);
}

/* SDM 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features": x87 always, AVX needs SSE,
 * AVX-512 all of its parts and AVX. */
static bool xcr0_valid(uint64_t value, uint64_t allowed)
{
    uint64_t avx512 = value & 0xe0;

    if ((value & 1) == 0 || (value & ~allowed) != 0)
        return false;
    if ((value & 4) != 0 && (value & 2) == 0)
        return false;
    return avx512 == 0 || (avx512 == 0xe0 && (value & 6) == 6);
}

enum outcome exit_xsetbv(struct vcpu *v)
{
    uint64_t value = edx_eax(v);

    if ((uint32_t)v->arch.gpr[RCX] != 0 || !xcr0_valid(value, v->cpuid.xcr0_allowed))
        return exit_refuse(v);
    vcpu_set_xcr0(&v->arch, value);
    return RESUME_NEXT;
}
