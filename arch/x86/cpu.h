/* SPDX-License-Identifier: BSD-2-Clause */
/* The per-core area: one owner of writable state for each physical core. */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/layout.h"
#include "lib/compiler.h"

#define CPU_MAX 48 /* cores we start (the page pool holds their areas); more are left alone */

struct vcpu_arch;

/* Task-state segment, 64-bit. SDM 3A "Task Management in 64-bit Mode". */
struct PACKED tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
};
_Static_assert(sizeof(struct tss) == 104, "SDM: 104 bytes");

enum { GDT_NULL, GDT_CODE, GDT_DATA, GDT_TSS, GDT_TSS_HIGH, GDT_ENTRIES };

struct cpu {
    struct cpu *self; /* at offset 0: this_cpu() reads it through GS */
    uint32_t index;   /* in the boot report's order */
    uint32_t apic_id;
    uint32_t physical_core; /* the same of all its hardware threads */
    uint64_t stack_top;
    atomic_bool online;
    bool usable;      /* entered VMX root operation */
    uint32_t reasons; /* why it is not: BIT32(REASON_...), arch/x86/reasons.h */

    uint64_t nmis;            /* from the hardware, not followed up */
    atomic_bool nmi_expected; /* another core sent one */

    /* This core's local APIC is its guest's: no interrupt that comes is ours, none may be taken. */
    bool apic_lent;
    atomic_bool roused; /* an NMI came in root mode: vcpu_note_nmi() */

    uint64_t vmxon_hpa;
    const struct vcpu_arch *loaded; /* whose VMCS is current on this core */

    uint64_t *window_pd;                 /* the page-directory entries of its windows */
    uint64_t window_block[WINDOW_SLOTS]; /* host-physical block in each; UINT64_MAX: none */
    uint64_t window_moves; /* blocks put into windows; the next goes to slot moves % WINDOW_SLOTS */

    uint64_t gdt[GDT_ENTRIES];
    struct tss tss;
};

/* The cores that were started, by index; written at boot by the bootstrap processor only. */
extern struct cpu *cpu_list[CPU_MAX];
extern unsigned cpu_count;

/* The core we run on. Valid once cpu_load() ran on it. */
static inline struct cpu *this_cpu(void)
{
    struct cpu *c;

    __asm__("movq %%gs:0, %0" : "=r"(c));
    return c;
}

/*
 * Load GDT, TSS, IDT and the GS base of a core; from then on this_cpu() works and exceptions are
 * reported. Runs once on each core.
 */
void cpu_load(struct cpu *c);

/* Control registers, PAT and EFER of the hypervisor; each core, on its final page tables. */
void cpu_init_control(void);

/* "family 6 model 85 stepping 4" and the brand string, for the boot report. buf: 96 bytes. */
void cpu_describe(char *buf, uint32_t size);

/*
 * IA32_ARCH_CAPABILITIES of this core. Where there is no such MSR, 0; but if another hypervisor below
 * us may only hide it, IBRS_ALL, of which no freedom from a flaw follows. SDM 4.
 */
uint64_t cpu_arch_capabilities(void);

/* Take interrupts that are waiting, in the middle of long work; no lock is held. Nothing happens
 * while the local APIC is a guest's. */
void cpu_take_interrupts(void);

/* Let the core sleep until its next interrupt, which is taken inside. */
void cpu_idle(void);

#endif
