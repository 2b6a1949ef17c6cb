/* SPDX-License-Identifier: BSD-2-Clause */
/* Per-core set-up: descriptors, control registers. SDM 3A "Processor Management and
 * Initialization". */
#include "arch/x86/cpu.h"

#include "arch/x86/asm.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/string.h"

struct cpu *cpu_list[CPU_MAX];
unsigned cpu_count;

struct PACKED table_register {
    uint16_t limit;
    uint64_t base;
};

static void make_gdt(struct cpu *c)
{
    uint64_t base = (uint64_t)&c->tss;

    c->gdt[GDT_CODE] = 0x00af9b000000ffff; /* 64-bit, execute/read, accessed */
    c->gdt[GDT_DATA] = 0x00cf93000000ffff; /* read/write, accessed */
    c->gdt[GDT_TSS] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x8bull << 40 |
                      (base >> 24 & 0xff) << 56; /* busy 64-bit TSS, as after LTR */
    c->gdt[GDT_TSS_HIGH] = base >> 32;
}

static void load_gdt(struct cpu *c)
{
    struct table_register gdtr = {sizeof(c->gdt) - 1, (uint64_t)c->gdt};

    c->gdt[GDT_TSS] &= ~(2ull << 40); /* LTR wants it not busy */
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %2, %%ds\n\t"
                     "movl %2, %%es\n\t"
                     "movl %2, %%ss\n\t"
                     "movl %3, %%fs\n\t"
                     "movl %3, %%gs\n\t"
                     "ltr %w4"
                     :
                     : "m"(gdtr), "i"(GDT_CODE * 8), "r"(GDT_DATA * 8), "r"(0), "r"(GDT_TSS * 8)
                     : "rax", "memory");
}

void cpu_load(struct cpu *c)
{
    c->self = c;
    c->tss.io_map_base = sizeof(struct tss);
    make_gdt(c);
    load_gdt(c);
    wrmsr(MSR_GS_BASE, (uint64_t)c);
    trap_load_idt();
}

void cpu_init_control(void)
{
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    uint64_t cr4 = CR4_PAE | CR4_MCE | CR4_DE | CR4_OSFXSR; /* FXRSTOR for guests: all of it */

    if (cpuid(1, 0).ecx & 1u << 26)
        cr4 |= CR4_OSXSAVE; /* XCR0 is the guest's; XSETBV on its behalf needs this */
    if (cpuid(0, 0).eax >= 7) {
        uint32_t features = cpuid(7, 0).ebx;

        cr4 |= features & 1u << 7 ? CR4_SMEP : 0;
        cr4 |= features & 1u << 20 ? CR4_SMAP : 0;
    }
    write_cr4(cr4);
    wrmsr(MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE);
    wrmsr(MSR_PAT, PAT_HOST);
}

static unsigned family_of(uint32_t signature)
{
    unsigned family = signature >> 8 & 0xf;

    return family == 0xf ? family + (signature >> 20 & 0xff) : family;
}

void cpu_describe(char *buf, uint32_t size)
{
    uint32_t signature = cpuid(1, 0).eax;
    uint32_t brand[13] = {0};

    if (cpuid(0x80000000, 0).eax >= 0x80000004) {
        for (uint32_t i = 0; i < 3; i++) {
            struct cpuid_regs r = cpuid(0x80000002 + i, 0);

            memcpy(&brand[4 * i], &r, sizeof(r));
        }
    }
    const char *name = (const char *)brand;

    while (*name == ' ')
        name++;
    fmt_print(buf, size, "%s, family %u model %u stepping %u", name, family_of(signature),
              (signature >> 4 & 0xf) | (signature >> 12 & 0xf0), signature & 0xf);
}

uint64_t cpu_arch_capabilities(void)
{
    bool has = cpuid(0, 0).eax >= 7 && (cpuid(7, 0).edx & BIT32(29)) != 0;
    bool is_nested = (cpuid(1, 0).ecx & BIT32(31)) != 0;

    if (has)
        return rdmsr(MSR_ARCH_CAPABILITIES);
    return is_nested ? ARCH_CAP_IBRS_ALL : 0;
}

void cpu_take_interrupts(void)
{
    if (this_cpu()->apic_lent)
        return;
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

void cpu_idle(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}
