/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start-up code of an application processor: copied to a page below 640 KiB, entered in real mode
 * with CS = page << 8, IP = 0. Goes straight to 64-bit mode on the early tables, then to the final
 * tables and ap_main(cpu).
 *
 * Source: SDM 3A "Initializing IA-32e Mode"; AMD64 APM 2 "Long-Mode Initialization Example" for
 * going from real mode directly.
 */
#define ARGS           0xf00 /* struct trampoline_args, arch/x86/smp.c */
#define ARG_EARLY_CR3  (ARGS + 0)
#define ARG_FINAL_CR3  (ARGS + 8)
#define ARG_STACK_TOP  (ARGS + 16)
#define ARG_CPU        (ARGS + 24)
#define MSR_EFER       0xc0000080
#define OFFSET(sym)    (sym - trampoline_start)

    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_end
trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %ebx
    shll $4, %ebx                       /* linear address of this page */

    leal OFFSET(gdt)(%ebx), %eax
    movl %eax, OFFSET(gdtr) + 2
    leal OFFSET(long_mode)(%ebx), %eax
    movl %eax, OFFSET(far_target)

    movl $0x20, %eax                    /* CR4.PAE */
    movl %eax, %cr4
    movl ARG_EARLY_CR3, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $0x900, %eax                    /* LME, NXE */
    wrmsr
    lgdtl OFFSET(gdtr)
    movl $0x80000001, %eax              /* CR0.PG, PE: long mode at once */
    movl %eax, %cr0
    ljmpl *OFFSET(far_target)

    .code64
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %ebx, %ebx
    movq ARG_STACK_TOP(%rbx), %rsp      /* mapped by the final tables only: not used before */
    movq ARG_CPU(%rbx), %rdi
    movq ARG_FINAL_CR3(%rbx), %rcx
    movabs $ap_switch, %rax
    jmp *%rax

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* 08H: 64-bit code */
    .quad 0x00cf93000000ffff            /* 10H: data */
gdtr:
    .short 3 * 8 - 1
    .long 0
    .balign 4
far_target:
    .long 0
    .short 0x08
trampoline_end:

    .text
/* In the image, which both tables map: leave the early tables. */
ap_switch:
    movq %rcx, %cr3
    xorl %ebp, %ebp
    pushq $0
    jmp ap_main

    .section .note.GNU-stack, "", @progbits
