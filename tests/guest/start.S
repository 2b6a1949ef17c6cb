/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry of the bare-metal guests, and their interrupt stubs.
 *
 * Entered at 100000H in 32-bit protected mode with flat segments, paging off and IF = 0. Nothing
 * else is assumed: stack, GDT, page tables and control registers are made here. The first 4 GiB
 * are mapped to themselves by 2 MiB pages; what lies above is absent.
 * Source: SDM 3A "Initializing IA-32e Mode", "4-Level Paging", "64-Bit Mode Stack Frame".
 */

#define PTE_PRESENT   0x01
#define PTE_WRITE     0x02
#define PTE_PWT       0x08
#define PTE_PCD       0x10
#define PTE_LARGE     0x80
#define PTE_TABLE     (PTE_PRESENT | PTE_WRITE)
#define PTE_PAGE      (PTE_TABLE | PTE_LARGE)
#define CR4_PAE       0x20
#define CR0_LONG      0x80000033 /* PG, NE, ET, MP, PE; caches on */
#define MSR_EFER      0xc0000080
#define EFER_LME      0x100
#define SEL_CODE      0x08
#define SEL_DATA      0x10
#define PD_ENTRIES    2048       /* 4 GiB of 2 MiB pages */
#define PD_IOAPIC     0x7f6      /* FEC00000H / 2 MiB */
#define PD_LAPIC      0x7f7      /* FEE00000H / 2 MiB */
#define ERROR_VECTORS 0x60227d00 /* exceptions that push an error code: 8 10-14 17 21 29 30 */
#define STACK_BYTES   16384

    .section .text.start, "ax"
    .code32
    .globl guest_start
guest_start:
    cli
    cld
    mov $bss_start, %edi
    mov $bss_end, %ecx
    sub %edi, %ecx
    shr $2, %ecx
    xor %eax, %eax
    rep stosl
    mov $stack_top, %esp

    movl $(pdpt + PTE_TABLE), pml4
    mov $(pd + PTE_TABLE), %eax
    mov $pdpt, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    dec %ecx
    jnz 1b
    mov $PTE_PAGE, %eax
    mov $pd, %edi
    mov $PD_ENTRIES, %ecx
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    dec %ecx
    jnz 2b
    orl $(PTE_PCD | PTE_PWT), pd + 8 * PD_IOAPIC
    orl $(PTE_PCD | PTE_PWT), pd + 8 * PD_LAPIC

    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $CR0_LONG, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $SEL_CODE, $start64

    .code64
start64:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_top, %rsp
    xor %ebp, %ebp
    call trap_setup
    call guest_main
3:  cli
    hlt
    jmp 3b

    .text
/* 256 stubs, 16 bytes apart; each leaves error code (or 0) and vector on the stack. */
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector < 32
    .if ((ERROR_VECTORS >> vector) & 1) == 0
    push $0
    .endif
    .else
    push $0
    .endif
    push $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

/* The order of the pushes is struct trap_frame in lib.c. */
trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    call trap_dispatch
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 08H: 64-bit code */
    .quad 0x00cf93000000ffff /* 10H: data */
    .quad 0x00cf9b000000ffff /* 18H: 32-bit code, for compatibility mode */
    .quad 0x008f9b000000ffff /* 20H: 16-bit code */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .section .bss
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
pd:
    .skip 4 * 4096
    .skip STACK_BYTES
stack_top:

    .section .note.GNU-stack, "", @progbits
