/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entry from our UEFI loader (boot/efi): 64-bit mode on the firmware's tables, which map all
 * memory at its own address; boot services have ended; RDI = address of a struct efi_handover below
 * 4 GiB; loaded at any 2 MiB-aligned address below 4 GiB.
 *
 * It goes back to 32-bit protected mode without paging and joins the multiboot2 entry there. So all
 * that follows is the same, tables are written with nothing mapped read-only, and a firmware that
 * runs with five levels is left in the one way there is.
 * Source: SDM 3A "Switching Out of IA-32e Mode Operation", "5-Level Paging".
 */
#include "arch/x86/layout.h"
#include "boot/handover.h"

#define CR0_PE      (1 << 0)
#define CR4_PAE     (1 << 5)
#define CR4_LA57    (1 << 12)
#define CODE32      0x18 /* in early_gdt */
#define DATA        0x10
#define GDT_LIMIT   (4 * 8 - 1)

    .section .text.boot, "ax"
    .code64
    .globl efi64_entry
efi64_entry:
    cli
    cld
    leaq image_start(%rip), %rbp
    movl %edi, %ebx
    leaq early_stack_end(%rip), %rsp
    leaq early_gdt(%rip), %rcx
    pushq %rcx
    pushq $0
    movw $GDT_LIMIT, 6(%rsp)
    lgdt 6(%rsp)
    leaq 1f(%rip), %rcx
    pushq $CODE32
    pushq %rcx
    lretq

    .code32
1:  movl $DATA, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    movl %ecx, %ss
    movl %cr4, %ecx
    andl $(CR4_PAE | CR4_LA57), %ecx /* PCIDE and CET would not let paging and WP go */
    movl %ecx, %cr4
    movl $CR0_PE, %ecx
    movl %ecx, %cr0
    movl $EFI_HANDOVER_MAGIC, %eax
    leal (msg_efi - IMAGE_VA)(%ebp), %esi
    jmp boot_common

    .section .rodata.boot, "a"
msg_efi:
    .asciz "[bulkhead] loaded by UEFI, 64-bit entry\r\n"

    .section .note.GNU-stack, "", @progbits
