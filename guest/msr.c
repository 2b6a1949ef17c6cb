/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/msr.h"

#include <stddef.h>

#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"
#include "guest/direct.h"
#include "guest/platform.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/string.h"

#define MTRRCAP_VALUE     (0x500u | MSR_MTRR_VARIABLE) /* WC, fixed ranges, VCNT */
#define MTRR_DEF_ENABLED  0xc06u                       /* E, FE, write-back */
#define MTRR_DEF_WRITABLE 0xcffu
#define MTRR_WB           0x0606060606060606ull
#define MTRR_VARIABLE_END (MSR_MTRR_PHYSBASE0 + 2 * MSR_MTRR_VARIABLE)

/* IA32_MISC_ENABLE: fast strings [0], no BTS [11], no PEBS [12]. */
#define MISC_ENABLE_VALUE 0x1801u

/* No microcode work-around of the guest's applies: report a revision above all. */
#define BIOS_SIGN_VALUE   0xffffffff00000000ull

/*
 * IA32_ARCH_CAPABILITIES: which flaws of speculation this CPU does not have (RDCL SSB MDS
 * IF_PSCHANGE_MC TAA SBDR_SSDP FBSDP PSDP BHI GDS RFDS ITS _NO), what VERW clears (FB RFDS _CLEAR),
 * how returns are predicted (RSBA RRSBA). Not what would need an MSR of its own.
 */
#define ARCH_CAP_PASSED   0x400000001c1ae175ull
#define ARCH_CAP_BHI_NO   BIT(20)
#define ARCH_CAP_ITS_NO   BIT(62)

static const uint32_t fixed_mtrrs[] = {
    0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};
_Static_assert(ARRAY_LEN(fixed_mtrrs) == ARRAY_LEN(((struct msr_store *)0)->mtrr_fixed),
               "one store for each");

void msr_reset(struct msr_store *s, bool power_on)
{
    memset(s, 0, sizeof(*s));
    if (power_on)
        return;
    s->mtrr_def_type = MTRR_DEF_ENABLED;
    for (size_t i = 0; i < ARRAY_LEN(s->mtrr_fixed); i++)
        s->mtrr_fixed[i] = MTRR_WB;
}

/* The store of an MTRR; NULL if there is no such one. */
static uint64_t *find_mtrr(struct msr_store *s, uint32_t msr)
{
    if (msr == MSR_MTRR_DEF_TYPE)
        return &s->mtrr_def_type;
    if (msr >= MSR_MTRR_PHYSBASE0 && msr < MTRR_VARIABLE_END)
        return &s->mtrr_variable[msr - MSR_MTRR_PHYSBASE0];
    for (size_t i = 0; i < ARRAY_LEN(fixed_mtrrs); i++) {
        if (fixed_mtrrs[i] == msr)
            return &s->mtrr_fixed[i];
    }
    return NULL;
}

/*
 * A guest stays on this CPU for ever, so it may know that. Linux takes every virtual machine that
 * does not say otherwise for one with ITS and BHI, which only CPUs with enhanced IBRS have; its
 * remedy costs it 2 % of all instructions. Source: Linux, admin-guide/hw-vuln,
 * "Indirect Target Selection (ITS)", "Spectre Side Channels".
 */
static uint64_t arch_capabilities(void)
{
    uint64_t host = cpu_arch_capabilities();
    uint64_t value = host & ARCH_CAP_PASSED;

    return (host & ARCH_CAP_IBRS_ALL) != 0 ? value : value | ARCH_CAP_BHI_NO | ARCH_CAP_ITS_NO;
}

/* MSRs with one value for ever; writes of them are #GP unless msr_write drops them. */
static bool read_constant(uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_FEATURE_CONTROL: *value = FEATURE_CONTROL_LOCK; return true;
    case MSR_ARCH_CAPABILITIES: *value = arch_capabilities(); return true;
    case MSR_MTRRCAP: *value = MTRRCAP_VALUE; return true;
    case MSR_MISC_ENABLE: *value = MISC_ENABLE_VALUE; return true;
    case MSR_BIOS_SIGN_ID: *value = BIOS_SIGN_VALUE; return true;
    case MSR_PLATFORM_ID:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_DEBUGCTL: *value = 0; return true;
    default: return false;
    }
}

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    if (v->vm->config->direct && direct_read_msr(msr, value))
        return true;
    if (msr_is_x2apic(msr))
        return lapic_rdmsr(&v->lapic, msr, value, vm_now(v->vm));
    if (msr == MSR_TSC_DEADLINE) {
        bool armed = lapic_read_tsc_deadline(&v->lapic, vm_now(v->vm)) != 0;

        *value = armed ? v->tsc_deadline : 0;
        return true;
    }
    if (msr == MSR_APIC_BASE) {
        *value = lapic_read_base(&v->lapic);
        return true;
    }
    if (msr == MSR_TSC_ADJUST) {
        *value = v->tsc_skew;
        return true;
    }
    uint64_t *mtrr = find_mtrr(&v->msrs, msr);

    if (mtrr != NULL) {
        *value = *mtrr;
        return true;
    }
    return read_constant(msr, value);
}

/*
 * A write of the TSC or of IA32_TSC_ADJUST, which is the sum of what writes added since reset: the
 * skew. SDM 3B "IA32_TSC_ADJUST Register Support". An armed deadline is a value of the TSC: when
 * the TSC jumps, so does the moment.
 */
static void write_skew(struct vcpu *v, uint64_t skew)
{
    bool armed = lapic_read_tsc_deadline(&v->lapic, vm_now(v->vm)) != 0;

    v->tsc_skew = skew;
    vcpu_set_tsc_offset(&v->arch, v->tsc_skew - v->vm->tsc_start);
    if (armed)
        platform_write_tsc_deadline(v, v->tsc_deadline);
}

/* 0, 1, 4, 5, 6: the memory types there are. SDM 3A "Memory Type Range Registers (MTRRs)". */
static bool is_memory_type(uint64_t type)
{
    return type < 8 && (0x73u >> type & 1) != 0;
}

/* IA32_MTRR_PHYSBASEn (even) has a type and reserves [11:8], IA32_MTRR_PHYSMASKn [10:0]. */
static bool is_variable_mtrr(const struct vcpu *v, uint32_t msr, uint64_t value)
{
    if ((value & ~(BIT(cpuid_phys_bits(&v->cpuid)) - 1)) != 0)
        return false;
    return (msr & 1) != 0 ? (value & 0x7ff) == 0
                          : (value & 0xf00) == 0 && is_memory_type(value & 0xff);
}

static bool write_mtrr(const struct vcpu *v, uint64_t *mtrr, uint32_t msr, uint64_t value)
{
    if (msr < MTRR_VARIABLE_END && !is_variable_mtrr(v, msr, value))
        return false;
    if (msr == MSR_MTRR_DEF_TYPE && (value & ~(uint64_t)MTRR_DEF_WRITABLE) != 0)
        return false;
    if (msr == MSR_MTRR_DEF_TYPE && !is_memory_type(value & 0xff))
        return false;
    if (msr >= MSR_MTRR_FIX64K_00000 && msr != MSR_MTRR_DEF_TYPE) {
        for (unsigned i = 0; i < 64; i += 8) {
            if (!is_memory_type(value >> i & 0xff))
                return false;
        }
    }
    *mtrr = value;
    return true;
}

bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    bool ok;

    if (v->vm->config->direct && direct_write_msr(v, msr, value, &ok))
        return ok;
    uint64_t *mtrr = find_mtrr(&v->msrs, msr);

    if (mtrr != NULL)
        return write_mtrr(v, mtrr, msr, value);
    switch (msr) {
    case MSR_TSC: write_skew(v, value - vm_now(v->vm)); return true;
    case MSR_TSC_ADJUST: write_skew(v, value); return true;
    case MSR_APIC_BASE: return platform_write_apic_base(v, value);
    case MSR_BIOS_SIGN_ID: /* the first half of reading the microcode revision */
    case MSR_MISC_ENABLE: return true;
    case MSR_MCG_STATUS:
    case MSR_DEBUGCTL: return value == 0;
    default: return false;
    }
}

void msr_refused(struct vcpu *v, uint32_t msr, bool write)
{
    struct msr_store *s = &v->msrs;

    v->refused_msrs++;
    for (uint32_t i = 0; i < s->refused_count; i++) {
        if (s->refused[i] == msr)
            return;
    }
    if (s->refused_count == MSR_REFUSED_MAX)
        return;
    s->refused[s->refused_count++] = msr;
    vm_log(v->vm, "vCPU %u: %s of MSR %x refused (#GP)", v->index, write ? "write" : "read", msr);
}
