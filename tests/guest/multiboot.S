/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a Multiboot kernel is entered: keeps what the loader left in the registers for
 * tests/guest/multiboot.c, then goes on as any guest. Its header is in multiboot1.S or multiboot2.S.
 */
    .section .text.start, "ax"
    .code32
    .globl multiboot_entry
multiboot_entry:
    mov %eax, multiboot_eax
    mov %ebx, multiboot_ebx
    mov %cr0, %eax
    mov %eax, multiboot_cr0
    mov $stack_end, %esp
    pushf
    pop multiboot_eflags
    jmp guest_start

    .data /* not .bss, which is cleared after this */
    .balign 4
    .globl multiboot_eax, multiboot_ebx, multiboot_cr0, multiboot_eflags
multiboot_eax:    .long 1
multiboot_ebx:    .long 1
multiboot_cr0:    .long 1
multiboot_eflags: .long 1
    .long 0
stack_end:

    .section .note.GNU-stack, "", @progbits
