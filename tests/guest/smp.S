/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start-up code of further CPUs, copied by smp_prepare() to any page below 1 MiB: from real mode at
 * CS:0 to 64-bit mode on the page tables of the CPU that prepared it.
 * Source: SDM 3A "MP Initialization Protocol", "Initializing IA-32e Mode".
 */
#define CR4_PAE     0x20
#define CR0_LONG    0x80000033 /* PG, NE, ET, MP, PE; caches on */
#define MSR_EFER    0xc0000080
#define EFER_LME    0x100
#define SEL_CODE    0x08
#define SEL_DATA    0x10
#define STACK_SHIFT 14
#define CPUS_MAX    8

    .section .rodata
    .code16
    .balign 16
    .globl smp_code, smp_code_end, smp_code_cr3, smp_code_gdt
smp_code:
    cli
    cld
    mov %cs, %bp                /* the page, << 8 */
    mov %bp, %ds
    lgdtl smp_code_gdt - smp_code
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov smp_code_cr3 - smp_code, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $CR0_LONG, %eax
    mov %eax, %cr0
    ljmpl $SEL_CODE, $smp_start64
    .balign 4
smp_code_cr3:
    .long 0
smp_code_gdt:                   /* limit and base, as SGDT gives them */
    .word 0
    .quad 0
smp_code_end:

    .text
    .code64
smp_start64:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $1, %eax
    cpuid
    shr $24, %ebx               /* initial APIC ID */
    and $(CPUS_MAX - 1), %ebx
    lea 1(%rbx), %esp
    shl $STACK_SHIFT, %esp
    add $smp_stacks, %rsp
    mov %ebx, %edi
    movzwl %bp, %esi
    shr $8, %esi
    xor %ebp, %ebp
    call smp_main

    .section .bss
    .balign 4096
smp_stacks:
    .skip CPUS_MAX << STACK_SHIFT

    .section .note.GNU-stack, "", @progbits
