/* SPDX-License-Identifier: BSD-2-Clause */
/* A feature is offered if the CPU has it and this whitelist names it; everything else is 0. */
#include "guest/cpuid.h"

#include <stddef.h>

#include "arch/x86/asm.h"
#include "arch/x86/regs.h"
#include "arch/x86/virt.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/string.h"

/* Leaf 1 ECX. Offered whatever the CPU says: X2APIC, TSC_DEADLINE, HYPERVISOR (all emulated). */
#define LEAF1_ECX                                                                                  \
    (BIT32(0) /* SSE3 */ | BIT32(1) /* PCLMULQDQ */ | BIT32(9) /* SSSE3 */ | BIT32(12) /* FMA */ | \
     BIT32(13) /* CX16 */ | BIT32(17) /* PCID */ | BIT32(19) /* SSE4.1 */ |                        \
     BIT32(20) /* SSE4.2 */ | BIT32(22) /* MOVBE */ | BIT32(23) /* POPCNT */ |                     \
     BIT32(25) /* AES */ | BIT32(26) /* XSAVE */ | BIT32(28) /* AVX */ | BIT32(29) /* F16C */ |    \
     BIT32(30) /* RDRAND */)
#define LEAF1_ECX_DEADLINE   BIT32(24) /* TSC_DEADLINE; not emulated for the core's own APIC */
#define LEAF1_ECX_X2APIC     BIT32(21)
#define LEAF1_ECX_HYPERVISOR BIT32(31)
#define LEAF1_ECX_ALWAYS     (LEAF1_ECX_X2APIC | LEAF1_ECX_DEADLINE | LEAF1_ECX_HYPERVISOR)
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2;
 * not: PSN, DS, ACPI, SS, HTT, TM, PBE. */
#define LEAF1_EDX            0x078bfbffu
/*
 * Leaf 7. FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512F/DQ RDSEED ADX SMAP IFMA CLFLUSHOPT CLWB
 * AVX512CD SHA AVX512BW/VL; and what the x87 unit no longer keeps [6] [13]. TSC_ADJUST is emulated.
 */
#define LEAF7_EBX            0xf1bf27e9u
#define LEAF7_EBX_ALWAYS     BIT32(1) /* TSC_ADJUST */
/* AVX512_VBMI UMIP VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID CLDEMOTE MOVDIRI
 * MOVDIR64B */
#define LEAF7_ECX            0x1a405f46u
/* FSRM AVX512_VP2INTERSECT MD_CLEAR SERIALIZE AVX512_FP16. ARCH_CAPABILITIES: guest/msr.c. */
#define LEAF7_EDX            0x00804510u
#define LEAF7_EDX_ALWAYS     BIT32(29) /* ARCH_CAPABILITIES */
#define LEAF7_AVX512_EBX     0xd0230000u
#define LEAF7_AVX512_ECX     0x00005842u
#define LEAF7_AVX512_EDX     0x00800100u
#define LEAF7_EBX_INVPCID    BIT32(10)
#define LEAF7_ECX_RDPID      BIT32(22)
/* Leaf 7, subleaf 1: SHA512 SM3 SM4 AVX_VNNI AVX512_BF16 CMPCCXADD FZRM FSRS FSRC AVX_IFMA;
 * AVX_VNNI_INT8 AVX_NE_CONVERT AVX_VNNI_INT16 PREFETCHI. */
#define LEAF71_EAX           0x00801cb7u
#define LEAF71_AVX512_EAX    BIT32(5)
#define LEAF71_EDX           0x00004430u
#define LEAFD1_EAX           (BIT32(0) /* XSAVEOPT */ | LEAFD1_XSAVEC | BIT32(2) /* XGETBV 1 */)
#define LEAFD1_XSAVEC        BIT32(1)
#define LEAFD_ALIGN64        BIT32(1) /* ECX: aligned to 64 bytes in the compacted form */
#define EXT1_EDX_RDTSCP      BIT32(27)
#define EXT1_ECX             (BIT32(0) /* LAHF */ | BIT32(5) /* LZCNT */ | BIT32(8) /* PREFETCHW */)
#define EXT1_EDX                                                                                   \
    (BIT32(11) /* SYSCALL */ | BIT32(20) /* NX */ | BIT32(26) /* 1 GiB pages */ |                  \
     BIT32(27) /* RDTSCP */ | BIT32(29) /* LM */)

#define LINEAR_BITS       48 /* no LA57, whatever the CPU has */

#define XCR0_X87_SSE      0x03ull
#define XCR0_AVX          0x04ull
#define XCR0_AVX512       0xe0ull /* [7:5] opmask, ZMM_Hi256, Hi16_ZMM: all or none */

#define XSAVE_LEGACY_SIZE 576 /* legacy area and header */

static struct cpuid_leaf host(uint32_t leaf, uint32_t subleaf)
{
    uint32_t max = cpuid(leaf & 0xf0000000u, 0).eax;

    if (leaf > max)
        return (struct cpuid_leaf){0};

    struct cpuid_regs r = cpuid(leaf, subleaf);

    return (struct cpuid_leaf){r.eax, r.ebx, r.ecx, r.edx};
}

/* Append the next subleaf of a basic leaf; leaves are built in ascending order. */
static void add(struct cpuid_table *t, uint32_t leaf, struct cpuid_leaf value)
{
    if (t->count[leaf]++ == 0)
        t->first[leaf] = t->used;
    t->entry[t->used++] = value;
}

static uint64_t allowed_xcr0(void)
{
    struct cpuid_leaf l = host(0xd, 0);
    uint64_t has = l.eax;

    if ((host(1, 0).ecx & BIT32(26)) == 0 || (has & XCR0_X87_SSE) != XCR0_X87_SSE)
        return 0;
    uint64_t allowed = XCR0_X87_SSE | (has & XCR0_AVX);

    if ((allowed & XCR0_AVX) != 0 && (has & XCR0_AVX512) == XCR0_AVX512)
        allowed |= XCR0_AVX512;
    return allowed;
}

static struct cpuid_leaf leaf1(const struct cpuid_identity *id)
{
    struct cpuid_leaf l = host(1, 0);
    uint32_t always = LEAF1_ECX_ALWAYS;

    l.ebx = (l.ebx & 0x0000ff00) | id->vcpu_count << 16 | id->apic_id << 24;
    if (id->apic_timer_hz != 0 && (l.ecx & LEAF1_ECX_DEADLINE) == 0)
        always &= ~LEAF1_ECX_DEADLINE;
    l.ecx = (l.ecx & LEAF1_ECX) | always;
    l.edx = (l.edx & LEAF1_EDX) | (id->vcpu_count > 1 ? BIT32(28) : 0);
    return l;
}

/* Bits of an APIC ID that number the cores of the package: all vCPUs, without hyper-threads. */
static uint32_t core_bits(const struct cpuid_identity *id)
{
    return id->vcpu_count > 1 ? bit_highest(id->vcpu_count - 1) + 1 : 0;
}

/* Caches: the host's sizes. Levels 1 and 2 are a core's own, from 3 on all cores share them. */
static void add_leaf4(struct cpuid_table *t, const struct cpuid_identity *id)
{
    uint32_t others = BIT32(core_bits(id)) - 1;

    for (uint32_t i = 0; i < 8; i++) {
        struct cpuid_leaf l = host(4, i);

        if ((l.eax & 0x1f) == 0)
            break;
        bool shared = (l.eax >> 5 & 7) >= 3;

        l.eax = (l.eax & 0x3ff) | (shared ? others << 14 : 0) | others << 26;
        add(t, 4, l);
    }
    add(t, 4, (struct cpuid_leaf){0});
}

static void add_leaf7(struct cpuid_table *t)
{
    struct cpuid_leaf l = host(7, 0);
    struct cpuid_leaf l1 = l.eax >= 1 ? host(7, 1) : (struct cpuid_leaf){0};
    bool avx512 = (t->xcr0_allowed & XCR0_AVX512) != 0;

    add(t, 7,
        (struct cpuid_leaf){
            .eax = l.eax >= 1,
            .ebx = (l.ebx & LEAF7_EBX & (avx512 ? ~0u : ~LEAF7_AVX512_EBX) &
                    (virt_has_invpcid() ? ~0u : ~LEAF7_EBX_INVPCID)) |
                   LEAF7_EBX_ALWAYS,
            .ecx = l.ecx & LEAF7_ECX & (avx512 ? ~0u : ~LEAF7_AVX512_ECX) &
                   (virt_has_rdtscp() ? ~0u : ~LEAF7_ECX_RDPID),
            .edx = (l.edx & LEAF7_EDX & (avx512 ? ~0u : ~LEAF7_AVX512_EDX)) | LEAF7_EDX_ALWAYS,
        });
    add(t, 7,
        (struct cpuid_leaf){
            .eax = l1.eax & LEAF71_EAX & (avx512 ? ~0u : ~LEAF71_AVX512_EAX),
            .edx = l1.edx & LEAF71_EDX,
        });
}

/* Extended topology: one thread to a core, all vCPUs one package. */
static void add_topology(struct cpuid_table *t, uint32_t leaf, const struct cpuid_identity *id)
{
    add(t, leaf, (struct cpuid_leaf){0, 1, 0x100, id->apic_id});
    add(t, leaf, (struct cpuid_leaf){core_bits(id), id->vcpu_count, 0x201, id->apic_id});
    add(t, leaf, (struct cpuid_leaf){0, 0, 0, id->apic_id});
}

/*
 * Bytes of the XSAVE area for the features in xcr0 (CPUID.0DH.0:EBX; compacted: 0DH.1:EBX).
 *   xcr0  a subset of xcr0_allowed
 */
static uint32_t xsave_size(const struct cpuid_table *t, uint64_t xcr0, bool compacted)
{
    uint32_t size = XSAVE_LEGACY_SIZE;

    for (uint32_t i = 2; i < t->count[0xd]; i++) {
        const struct cpuid_leaf *l = &t->entry[t->first[0xd] + i];

        if ((xcr0 & BIT(i)) == 0)
            continue;
        if (compacted)
            size = ((l->ecx & LEAFD_ALIGN64) != 0 ? (size + 63) & ~63u : size) + l->eax;
        else if (l->ebx + l->eax > size)
            size = l->ebx + l->eax;
    }
    return size;
}

/* What depends on XCR0 is filled in by cpuid_complete. Without XSAVES. */
static void add_leaf_d(struct cpuid_table *t)
{
    uint64_t xcr0 = t->xcr0_allowed;

    if (xcr0 == 0) {
        add(t, 0xd, (struct cpuid_leaf){0});
        return;
    }
    add(t, 0xd, (struct cpuid_leaf){.eax = (uint32_t)xcr0});
    add(t, 0xd, (struct cpuid_leaf){.eax = host(0xd, 1).eax & LEAFD1_EAX});
    for (uint32_t i = 2; i <= bit_highest(xcr0); i++) {
        struct cpuid_leaf l = xcr0 & BIT(i) ? host(0xd, i) : (struct cpuid_leaf){0};

        l.ecx &= LEAFD_ALIGN64;
        add(t, 0xd, l);
    }
    t->entry[t->first[0xd]].ecx = xsave_size(t, xcr0, false);
}

/*
 * Denominator, numerator, crystal in Hz, which is also what the local APIC's timer counts: each has
 * to fit into 32 bits.
 */
static struct cpuid_leaf leaf15(const struct cpuid_identity *id)
{
    uint64_t tsc_hz = id->tsc_hz;
    uint32_t ratio = (uint32_t)(tsc_hz >> 32) + 1;

    if (id->apic_timer_hz != 0)
        return (struct cpuid_leaf){id->apic_timer_hz / ratio, (uint32_t)(tsc_hz / ratio),
                                   id->apic_timer_hz, 0};

    return (struct cpuid_leaf){1, ratio, (uint32_t)(tsc_hz / ratio), 0};
}

static void build_basic(struct cpuid_table *t, const struct cpuid_identity *id)
{
    struct cpuid_leaf vendor = host(0, 0);
    uint32_t mhz = (uint32_t)(id->tsc_hz / 1000000);

    /* Leaf 1FH where the CPU has it: a guest that finds none takes 0BH. */
    vendor.eax = vendor.eax < CPUID_BASIC_MAX ? CPUID_BASIC_MAX_OLD : CPUID_BASIC_MAX;
    for (uint32_t leaf = 0; leaf <= vendor.eax; leaf++) {
        switch (leaf) {
        case 0x0: add(t, leaf, vendor); break;
        case 0x1: add(t, leaf, leaf1(id)); break;
        case 0x2: add(t, leaf, host(2, 0)); break;
        case 0x4: add_leaf4(t, id); break;
        case 0x6: add(t, leaf, (struct cpuid_leaf){.eax = BIT32(2) /* ARAT */}); break;
        case 0x7: add_leaf7(t); break;
        case 0xb:
        case 0x1f: add_topology(t, leaf, id); break;
        case 0xd: add_leaf_d(t); break;
        case 0x15: add(t, leaf, leaf15(id)); break;
        case 0x16: add(t, leaf, (struct cpuid_leaf){mhz, mhz, 100, 0}); break;
        default: add(t, leaf, (struct cpuid_leaf){0}); break;
        }
    }
}

static void build_extended(struct cpuid_table *t)
{
    struct cpuid_leaf *e = t->extended;

    for (uint32_t i = 0; i <= 8; i++)
        e[i] = host(0x80000000u + i, 0);
    e[0] = (struct cpuid_leaf){CPUID_EXTENDED_MAX, 0, 0, 0};
    e[1] = (struct cpuid_leaf){0, 0, e[1].ecx & EXT1_ECX, e[1].edx & EXT1_EDX};
    if (!virt_has_rdtscp())
        e[1].edx &= ~EXT1_EDX_RDTSCP;
    e[5] = (struct cpuid_leaf){0};
    e[7] = (struct cpuid_leaf){0, 0, 0, e[7].edx & BIT32(8) /* invariant TSC */};
    e[8] = (struct cpuid_leaf){(e[8].eax & 0xff) | LINEAR_BITS << 8, 0, 0, 0};
}

static void find_plain(struct cpuid_table *t)
{
    for (uint32_t leaf = 0; leaf < ARRAY_LEN(t->plain); leaf++) {
        bool plain = t->count[leaf] == 1 && (CPUID_DYNAMIC >> leaf & 1) == 0;

        t->plain[leaf] = plain ? t->first[leaf] : CPUID_NOT_PLAIN;
    }
}

void cpuid_build(struct cpuid_table *t, const struct cpuid_identity *id)
{
    memset(t, 0, sizeof(*t));
    t->xcr0_allowed = allowed_xcr0();
    build_basic(t, id);
    find_plain(t);
    build_extended(t);
    t->hypervisor.eax = CPUID_HYPERVISOR;
    memcpy(&t->hypervisor.ebx, "BulkheadHV\0", 12); /* EBX, ECX, EDX */
}

const struct cpuid_leaf *cpuid_lookup(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
    static const struct cpuid_leaf nothing;
    uint32_t max = t->entry[0].eax;

    if (leaf > max) {
        if (leaf - 0x80000000u < ARRAY_LEN(t->extended))
            return &t->extended[leaf - 0x80000000u];
        if (leaf == CPUID_HYPERVISOR)
            return &t->hypervisor;
        leaf = max;
    }
    if (t->count[leaf] == 1)
        subleaf = 0;
    if (subleaf < t->count[leaf])
        return &t->entry[t->first[leaf] + subleaf];
    /* Topology levels beyond the last still say who asks; the others are zero. */
    return leaf == 0xb || leaf == 0x1f ? &t->entry[t->first[leaf] + 2] : &nothing;
}

const struct cpuid_leaf *cpuid_complete(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
                                        uint64_t cr4, uint64_t xcr0)
{
    struct cpuid_leaf *l = &t->completed;

    *l = *cpuid_lookup(t, leaf, subleaf);
    if (leaf == 1) {
        l->ecx |= (cr4 & CR4_OSXSAVE) != 0 ? BIT32(27) : 0;
    } else if (leaf == 0xd) {
        if (subleaf == 0 && t->xcr0_allowed != 0)
            l->ebx = xsave_size(t, xcr0, false);
        if (subleaf == 1 && (l->eax & LEAFD1_XSAVEC) != 0)
            l->ebx = xsave_size(t, xcr0, true);
    } else {
        l->ecx = (l->ecx & ~0xffu) | (subleaf & 0xff);
    }
    return l;
}
