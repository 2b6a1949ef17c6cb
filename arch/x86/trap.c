/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM 3A "Interrupt and Exception Handling". */
#include "arch/x86/trap.h"

#include <stdbool.h>

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/vcpu.h"
#include "lib/log.h"

#define STUB_SIZE       16
#define FIRST_INTERRUPT 16u /* the lowest vector that a local APIC accepts */

struct PACKED idt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type; /* P, DPL 0, interrupt gate */
    uint16_t offset_mid;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "SDM: 16 bytes in IA-32e mode");

extern char trap_stubs[], trap_drop[];

static struct idt_gate idt[256];
static struct idt_gate drop_idt[256]; /* what trap_drop_interrupt() uses */

/* A double fault, an NMI and a machine check may find a broken stack: they get their own. */
static uint8_t ist_of(unsigned vector)
{
    switch (vector) {
    case 8: return 1;
    case 2: return 2;
    case 18: return 3;
    default: return 0;
    }
}

static struct idt_gate make_gate(uint64_t stub, unsigned vector)
{
    return (struct idt_gate){
        .offset_low = (uint16_t)stub,
        .selector = GDT_CODE * 8,
        .ist = ist_of(vector),
        .type = 0x8e,
        .offset_mid = (uint16_t)(stub >> 16),
        .offset_high = (uint32_t)(stub >> 32),
    };
}

void trap_init(void)
{
    for (unsigned i = 0; i < 256; i++) {
        idt[i] = make_gate((uint64_t)trap_stubs + i * STUB_SIZE, i);
        drop_idt[i] = i < FIRST_INTERRUPT ? idt[i] : make_gate((uint64_t)trap_drop, i);
    }
}

static void load(const struct idt_gate *table)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } idtr = {sizeof(idt) - 1, (uint64_t)table};

    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void trap_load_idt(void)
{
    load(idt);
}

/*
 * A guest's interrupts can have the vectors of exceptions, whose stubs expect what those push. A
 * machine check in these few instructions would be taken for one of them.
 */
void trap_drop_interrupt(void)
{
    load(drop_idt);
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
    load(idt);
}

static const char *exception_name(uint64_t vector)
{
    static const char *const names[] = {
        "#DE divide error",
        "#DB debug",
        "NMI",
        "#BP breakpoint",
        "#OF overflow",
        "#BR bound range",
        "#UD invalid opcode",
        "#NM no math",
        "#DF double fault",
        "coprocessor segment",
        "#TS invalid TSS",
        "#NP segment not present",
        "#SS stack fault",
        "#GP general protection",
        "#PF page fault",
        "vector 15",
        "#MF x87 error",
        "#AC alignment check",
        "#MC machine check",
        "#XM SIMD error",
        "#VE virtualization",
        "#CP control protection",
    };

    return vector < ARRAY_LEN(names) ? names[vector] : "exception";
}

static void print_record(const struct trap_frame *f)
{
    log_urgent("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    log_urgent("rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
    log_urgent("r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
    log_urgent("r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
    log_urgent("rip %016lx rflags %08lx cs %04lx ss %04lx", f->rip, f->rflags, f->cs, f->ss);
    log_urgent("cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx", read_cr0(), read_cr2(), read_cr3(),
               read_cr4());
}

static NORETURN void exception_panic(const struct trap_frame *f)
{
    print_record(f);
    panic("%s (vector %lu, error code %lx) in the hypervisor at rip %016lx, image offset %lx",
          exception_name(f->vector), f->vector, f->error_code, f->rip,
          f->rip - (uint64_t)image_start);
}

static void take_nmi(void)
{
    host_nmi();
    vcpu_note_nmi();
}

void trap_handle(const struct trap_frame *f)
{
    if (f->vector >= 32)
        host_interrupt((uint8_t)f->vector);
    else if (f->vector == 2)
        take_nmi();
    else
        exception_panic(f);
}
