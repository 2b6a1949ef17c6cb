/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions and interrupts that reach the hypervisor through its own IDT. */
#ifndef ARCH_X86_TRAP_H
#define ARCH_X86_TRAP_H

#include <stdint.h>

/*
 * Vectors of the host's interrupts. The higher goes first: a guest that keeps its timer firing must
 * not hold up the console.
 */
enum host_vector {
    HOST_VECTOR_TIMER = 0xf0, /* the local APIC's timer */
    HOST_VECTOR_KICK = 0xf1,  /* another core set a request for this one */
    HOST_VECTOR_UART = 0xf2,
    HOST_VECTOR_POSTED = 0xf3, /* posted-interrupt notification: the hardware takes it in a guest */
    HOST_VECTOR_TICK = 0xf4,   /* the 8254: the console has more to do */
    HOST_VECTOR_SPURIOUS = 0xff,
};

/* What arch/x86/trap.S leaves on the stack. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Fill in the IDT; once, before any core loads it. */
void trap_init(void);

/* Load the IDT on this core. */
void trap_load_idt(void);

/*
 * Accept the interrupt of the highest priority that is waiting, of any vector from 16 on, and do
 * nothing about it; there is no EOI.
 */
void trap_drop_interrupt(void);

/* Called by trap.S with the record of an exception or interrupt. */
void trap_handle(const struct trap_frame *f);

/*
 * A host interrupt has been acknowledged: do its work and send EOI. Called with the vector from
 * the IDT (idle core) or from the VM exit (core in a guest); interrupts are off.
 * Implemented by boot/main.c, which knows who waits for what.
 */
void host_interrupt(uint8_t vector);

/* An NMI in root mode or as VM exit; stops the core when the machine is being halted. */
void host_nmi(void);

#endif
