/* SPDX-License-Identifier: BSD-2-Clause */
/* Handlers that are entered without lib.c's help; see bench.h. */

#define FRAME_RFLAGS 16
#define RFLAGS_IF    0x200

    .text
    .balign 16
    .globl bench_isr
bench_isr:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, bench_isr_tsc
    andl $~RFLAGS_IF, FRAME_RFLAGS(%rsp)
    iretq

    .balign 16
    .globl bench_skip_3
bench_skip_3:
    addq $3, (%rsp)
    iretq

    .section .bss
    .balign 64
    .globl bench_isr_tsc
bench_isr_tsc:
    .skip 64

    .section .note.GNU-stack, "", @progbits
