/* SPDX-License-Identifier: BSD-2-Clause */
/* IDT entry stubs: make every vector look alike (struct trap_frame), then call trap_handle. */

    .text
    .code64

trap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call trap_handle
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp          /* vector and error code */
    iretq

/* An interrupt that is dropped, whatever its vector: interrupts push no error code. */
    .balign 16
    .globl trap_drop
trap_drop:
    iretq

/* The CPU pushes an error code for 8, 10-14, 17, 21, 29 and 30; the others get a 0. */
    .macro stub vector
    .balign 16
    .if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    .else
    pushq $0
    .endif
    pushq $\vector
    jmp trap_common
    .endm

    .balign 16
    .globl trap_stubs
trap_stubs:
    .altmacro
    .set v, 0
    .rept 256
    stub %v
    .set v, v + 1
    .endr

    .section .note.GNU-stack, "", @progbits
