/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ROM of 256 KiB that ends at 4 GiB and holds a bare-metal guest program: from the reset vector
 * into 32-bit protected mode, then the program is copied to 100000H and entered as start.S expects.
 * The first half of the ROM is 5AH throughout; the second half is what a PC shows below 1 MiB too.
 * Source: SDM 3A "First Instruction Executed", "Switching to Protected Mode".
 */
#define ROM_LEN   0x40000
#define LOAD_GPA  0x100000
#define CR0_PE    1
#define SEL_CODE  0x08
#define SEL_DATA  0x10

    .text
    .fill ROM_LEN / 2, 1, 0x5a
program:
    .incbin PAYLOAD
program_end:

    .org ROM_LEN - 0x100
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* accessed already: nobody can set that bit here */
    .quad 0x00cf93000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .code16
real:
    cli
    cld
    lgdtl %cs:(gdt_pointer - 0xffff0000)
    mov %cr0, %eax
    or $CR0_PE, %al
    mov %eax, %cr0
    ljmpl $SEL_CODE, $protected

    .code32
protected:
    mov $SEL_DATA, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $program, %esi
    mov $LOAD_GPA, %edi
    mov $(program_end - program), %ecx
    rep movsb
    mov $LOAD_GPA, %eax
    jmp *%eax

    .code16
    .org ROM_LEN - 0x10
    jmp real
    .org ROM_LEN

    .section .note.GNU-stack, "", @progbits
