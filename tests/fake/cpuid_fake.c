/* SPDX-License-Identifier: BSD-2-Clause */
/* guest/cpuid.c with the CPUID instruction replaced. Values: SDM 2A "CPUID". */
#include "tests/fake/cpuid_fake.h"

#include <string.h>

#include "arch/x86/asm.h"

#define LEAVES 64

static struct {
    uint32_t leaf, subleaf;
    struct cpuid_regs regs;
} leaves[LEAVES];
static unsigned used;

void cpuid_fake_set(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
                    uint32_t edx)
{
    unsigned i = 0;

    while (i < used && (leaves[i].leaf != leaf || leaves[i].subleaf != subleaf))
        i++;
    if (i == used)
        used++;
    leaves[i].leaf = leaf;
    leaves[i].subleaf = subleaf;
    leaves[i].regs = (struct cpuid_regs){eax, ebx, ecx, edx};
}

void cpuid_fake_reset(void)
{
    used = 0;
    cpuid_fake_set(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
    cpuid_fake_set(1, 0, 0x50654, 0x12200800, 0xffffffff & ~(1u << 31), 0xffffffff);
    cpuid_fake_set(2, 0, 0x76036301, 0x00f0b5ff, 0, 0x00c30000);
    cpuid_fake_set(4, 0, 0x7c004121, 0x01c0003f, 0x3f, 0);
    cpuid_fake_set(4, 1, 0x7c004122, 0x01c0003f, 0x3f, 0);
    cpuid_fake_set(4, 2, 0x7c004143, 0x03c0003f, 0x3ff, 0);
    cpuid_fake_set(6, 0, 0xfff, 2, 9, 0);
    cpuid_fake_set(7, 0, 2, 0xffffffff, 0xffffffff, 0xffffffff);
    cpuid_fake_set(0xa, 0, 0x07300804, 0, 0, 0x603);
    cpuid_fake_set(0xb, 0, 1, 2, 0x100, 0x12);
    cpuid_fake_set(0xb, 1, 5, 32, 0x201, 0x12);
    cpuid_fake_set(0xd, 0, 0x2ff, 2696, 2696, 0);
    cpuid_fake_set(0xd, 1, 0xf, 2696, 0x100, 0);
    cpuid_fake_set(0xd, 2, 256, 576, 0, 0); /* AVX */
    cpuid_fake_set(0xd, 3, 64, 960, 0, 0);  /* MPX */
    cpuid_fake_set(0xd, 4, 64, 1024, 0, 0);
    cpuid_fake_set(0xd, 5, 64, 1088, 0, 0);  /* opmask */
    cpuid_fake_set(0xd, 6, 512, 1152, 0, 0); /* ZMM_Hi256 */
    cpuid_fake_set(0xd, 7, 1024, 1664, 0, 0);
    cpuid_fake_set(0xd, 9, 8, 2688, 0, 0); /* PKRU */
    cpuid_fake_set(0x15, 0, 2, 168, 25000000, 0);
    cpuid_fake_set(0x16, 0, 2100, 3700, 100, 0);
    cpuid_fake_set(0x80000000, 0, 0x80000008, 0, 0, 0);
    cpuid_fake_set(0x80000001, 0, 0, 0, 0xffffffff, 0xffffffff);
    cpuid_fake_set(0x80000002, 0, 0x6b614620, 0x50432065, 0x00000055, 0);
    cpuid_fake_set(0x80000006, 0, 0, 0, 0x01006040, 0);
    cpuid_fake_set(0x80000007, 0, 0, 0, 0, 0x100);
    cpuid_fake_set(0x80000008, 0, 0x3027, 0x200, 0, 0); /* 39 physical, 48 linear */
}

static struct cpuid_regs fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < used; i++) {
        if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
            return leaves[i].regs;
    }
    return (struct cpuid_regs){0, 0, 0, 0};
}

#define cpuid fake_cpuid
#include "guest/cpuid.c"
