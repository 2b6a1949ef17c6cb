/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A boot sector that checks whether the emulator divides signed 64-bit numbers right: Bochs 3.1
 * as some distributions build it does not, and every Linux dies there. It enters long mode, does
 * the divisions in the table, and prints "IDIV OK" or "IDIV BAD" on COM1; then it asks for the end.
 *
 * First it takes one exception, so that the emulator leaves an instruction by longjmp
 * (corrections.c reports that).
 */
    .code16
    .globl _start
_start:
    cli
    xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movw    $0x7c00, %sp

    movw    $undefined, 6 * 4       /* #UD goes on with the next instruction */
    movw    %ax, 6 * 4 + 2
    ud2
undefined:

    /* One 2 MiB identity page: PML4 at 1000H, PDPT at 2000H, PD at 3000H. */
    cld
    movw    $0x1000, %di
    movw    $0x1800, %cx
    rep stosw
    movw    $0x2003, 0x1000
    movw    $0x3003, 0x2000
    movw    $0x0083, 0x3000

    movl    $0x20, %eax             /* CR4.PAE */
    movl    %eax, %cr4
    movl    $0x1000, %eax
    movl    %eax, %cr3
    movl    $0xc0000080, %ecx       /* IA32_EFER.LME */
    rdmsr
    orw     $0x100, %ax
    wrmsr
    movl    $0x80000011, %eax       /* CR0: PG, ET, PE */
    movl    %eax, %cr0
    lgdtl   gdt_pointer
    ljmpl   $8, $long_mode

    .code64
long_mode:
    leaq    cases(%rip), %rsi
next:
    movq    (%rsi), %rax
    movq    8(%rsi), %rcx
    cqto
    idivq   %rcx
    cmpq    16(%rsi), %rax
    jne     bad
    cmpq    24(%rsi), %rdx
    jne     bad
    addq    $32, %rsi
    leaq    cases_end(%rip), %rax
    cmpq    %rax, %rsi
    jb      next
    leaq    ok_text(%rip), %rsi
    jmp     report
bad:
    leaq    bad_text(%rip), %rsi

report:
    movw    $0x3fb, %dx             /* LCR: divisor latch, then 8 bits */
    movb    $0x83, %al
    outb    %al, %dx
    movw    $0x3f8, %dx
    movb    $1, %al
    outb    %al, %dx
    movw    $0x3fb, %dx
    movb    $0x03, %al
    outb    %al, %dx
    call    print
    movw    $0x8900, %dx            /* Bochs's shutdown port */
    leaq    shutdown_text(%rip), %rsi
1:  lodsb
    testb   %al, %al
    jz      halt
    outb    %al, %dx
    jmp     1b
halt:
    hlt
    jmp     halt

print:                              /* the text at RSI, then wait until it is sent */
    movw    $0x3fd, %dx
1:  inb     %dx, %al
    testb   $0x40, %al              /* LSR.TEMT */
    jz      1b
    lodsb
    testb   %al, %al
    jz      2f
    movw    $0x3f8, %dx
    outb    %al, %dx
    jmp     print
2:  ret

ok_text:        .asciz "IDIV OK\n"
bad_text:       .asciz "IDIV BAD\n"
shutdown_text:  .asciz "Shutdown"

    .balign 8
gdt:
    .quad   0
    .quad   0x00209a0000000000      /* 64-bit code */
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .balign 8
cases:                              /* dividend, divisor, quotient, remainder */
    .quad   7, 2, 3, 1
    .quad   -7, 2, -3, -1
    .quad   7, -2, -3, 1
    .quad   1000000000000, 7, 142857142857, 1
    .quad   -9223372036854775807, 1000003, -9223344366821, -675344
cases_end:

    .org    510
    .word   0xaa55
