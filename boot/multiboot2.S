/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entry from a multiboot2 loader (GRUB, by BIOS or by UEFI): 32-bit protected mode, paging
 * off, EAX = magic, EBX = address of the boot information, no stack, loaded at any 2 MiB-aligned
 * address. Ends in hv_main(magic, boot information, load address) in 64-bit mode on the early
 * tables: the first 4 GiB identity mapped, and the image at IMAGE_VA.
 *
 * Source: Multiboot2 Specification 2.0; SDM 3A "Initializing IA-32e Mode".
 */
#include "arch/x86/layout.h"

#define MB2_MAGIC      0xe85250d6
#define MB2_ARCH_I386  0
#define COM1           0x3f8
#define CR0_PE         (1 << 0)
#define CR0_PG         (1 << 31)
#define CR4_PAE        (1 << 5)
#define MSR_EFER       0xc0000080
#define EFER_LME       (1 << 8)
#define EFER_NXE       (1 << 11)
#define PTE_TABLE      0x3  /* present, writable */
#define PTE_LARGE      0x83 /* present, writable, 2 MiB */
#define EARLY_IMAGE_PD_ENTRIES 512

    .section .multiboot2, "a"
    .balign 8
mb2_header:
    .long MB2_MAGIC
    .long MB2_ARCH_I386
    .long mb2_header_end - mb2_header
    .long -(MB2_MAGIC + MB2_ARCH_I386 + (mb2_header_end - mb2_header))

    .balign 8
    .short 1, 0             /* information request: the tags boot/bootinfo.c reads */
    .long 2f - 1f + 8
1:  .long 1, 2, 6, 8        /* command line, loader name, memory map, framebuffer */
2:
    .balign 8
    .short 10, 0            /* relocatable */
    .long 24
    .long 0x200000          /* lowest address */
    .long 0xffffffff        /* highest */
    .long 0x200000          /* alignment */
    .long 1                 /* as low as possible */

    .balign 8
    .short 5, 1             /* framebuffer, optional: this size at best */
    .long 20
    .long 1024, 768, 32

    .balign 8
    .short 6, 0             /* modules and tags page aligned */
    .long 8

    .balign 8
    .short 0, 0
    .long 8
mb2_header_end:

/* Everything below runs at an unknown address: EBP holds the image's, ADDR() reaches a symbol. */
#define ADDR(sym) (sym - IMAGE_VA)(%ebp)
#define ADDR_AT(sym, index, scale) (sym - IMAGE_VA)(%ebp, index, scale)

    .section .text.boot, "ax"
    .code32
    .globl multiboot2_entry
multiboot2_entry:
    cli
    cld
    leal 8(%ebx), %esp      /* the information's reserved word serves as a stack of one slot */
    call 1f
1:  popl %ebp
    subl $(1b - IMAGE_VA), %ebp
    leal ADDR(msg_hello), %esi

/* boot/efi64.S joins here: EAX = magic, EBX = boot information, EBP = load address, ESI = text. */
    .globl boot_common
boot_common:
    movl %eax, %edi         /* magic */
    leal ADDR(early_stack_end), %esp
    rdtsc                   /* boot time is counted from here */
    movl %eax, ADDR(boot_entry_tsc)
    movl %edx, ADDR(boot_entry_tsc + 4)

    call uart_init
    call uart_puts

    call check_long_mode
    call build_tables

    leal ADDR(early_gdt), %eax
    movl %eax, ADDR(early_gdtr + 2)
    leal ADDR(1f), %eax
    movl %eax, ADDR(far_target)
    lgdt ADDR(early_gdtr)

    movl $CR4_PAE, %eax
    movl %eax, %cr4
    leal ADDR(early_pml4), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl $(CR0_PG | CR0_PE), %eax
    movl %eax, %cr0
    ljmpl *ADDR(far_target)

    .code64
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %edi, %edi         /* clear the upper halves: hv_main's arguments */
    movl %ebx, %esi
    movl %ebp, %edx
    movabs $early_stack_end, %rsp
    xorl %ebp, %ebp
    movabs $hv_main, %rax
    pushq $0                /* no return address; keeps the stack aligned as after a CALL */
    jmp *%rax

    .code32
/* Stop with a line on COM1 if the CPU has no 64-bit mode or no NX. */
check_long_mode:
    pushl %ebx
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    testl $(1 << 29), %edx
    jz no_long_mode
    testl $(1 << 20), %edx
    jz no_nx
    popl %ebx
    ret
no_long_mode:
    leal ADDR(msg_no_long_mode), %esi
    jmp die
no_nx:
    leal ADDR(msg_no_nx), %esi
die:
    call uart_puts
1:  hlt
    jmp 1b

/* Early tables: [0, 4 GiB) identity, IMAGE_VA..+1 GiB -> the image. All 2 MiB pages. */
build_tables:
    leal ADDR(early_pdpt_low), %eax
    orl $PTE_TABLE, %eax
    movl %eax, ADDR(early_pml4)
    leal ADDR(early_pdpt_image), %eax
    orl $PTE_TABLE, %eax
    movl %eax, ADDR(early_pml4 + 511 * 8)

    leal ADDR(early_pd_low), %eax
    orl $PTE_TABLE, %eax
    xorl %ecx, %ecx
1:  movl %eax, ADDR_AT(early_pdpt_low, %ecx, 8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $4, %ecx
    jb 1b

    movl $PTE_LARGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, ADDR_AT(early_pd_low, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $(4 * 512), %ecx
    jb 1b

    leal ADDR(early_pd_image), %eax
    orl $PTE_TABLE, %eax
    movl %eax, ADDR(early_pdpt_image + 510 * 8)
    leal PTE_LARGE(%ebp), %eax
    xorl %ecx, %ecx
1:  movl %eax, ADDR_AT(early_pd_image, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $EARLY_IMAGE_PD_ENTRIES, %ecx
    jb 1b
    ret

#define OUTB(port, value) movw $(port), %dx; movb $(value), %al; outb %al, %dx

/* COM1: 115200 baud, 8 data bits, no parity, FIFOs on. */
uart_init:
    OUTB(COM1 + 1, 0x00)
    OUTB(COM1 + 3, 0x80)
    OUTB(COM1 + 0, 0x01)
    OUTB(COM1 + 1, 0x00)
    OUTB(COM1 + 3, 0x03)
    OUTB(COM1 + 2, 0x07)
    OUTB(COM1 + 4, 0x03)
    ret

/* ESI: NUL-terminated text. Gives up on a port that never becomes ready (no UART there). */
uart_puts:
    lodsb
    testb %al, %al
    jz 3f
    movb %al, %ah
    movl $0x100000, %ecx
1:  movw $(COM1 + 5), %dx
    inb %dx, %al
    testb $0x20, %al
    jnz 2f
    decl %ecx
    jnz 1b
    ret
2:  movb %ah, %al
    movw $COM1, %dx
    outb %al, %dx
    jmp uart_puts
3:  ret

    .section .rodata.boot, "a"
msg_hello:
    .asciz "[bulkhead] loaded by multiboot2, 32-bit entry\r\n"
msg_no_long_mode:
    .asciz "[bulkhead] REFUSED: CPUID.80000001H:EDX.LM[bit 29] is 0: this CPU has no 64-bit mode; use an Intel CPU with VT-x\r\n"
msg_no_nx:
    .asciz "[bulkhead] REFUSED: CPUID.80000001H:EDX.NX[bit 20] is 0: no execute-disable; if the firmware menu has \"Execute Disable\", enable it\r\n"

    .section .data.boot, "aw"
    .balign 8
    .globl boot_entry_tsc
boot_entry_tsc:
    .quad 0
    .globl early_gdt
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 08H: 64-bit code */
    .quad 0x00cf93000000ffff /* 10H: data */
    .quad 0x00cf9b000000ffff /* 18H: 32-bit code, for boot/efi64.S */
early_gdtr:
    .short 4 * 8 - 1
    .long 0
    .balign 4
far_target:
    .long 0
    .short 0x08

    .section .bss.boot, "aw", @nobits
    .balign 4096
    .globl early_pml4
early_pml4:       .skip 4096
early_pdpt_low:   .skip 4096
early_pdpt_image: .skip 4096
early_pd_low:     .skip 4 * 4096
early_pd_image:   .skip 4096
early_stack:      .skip EARLY_STACK_SIZE
    .globl early_stack_end
early_stack_end:

    .section .note.GNU-stack, "", @progbits
