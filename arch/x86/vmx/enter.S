/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uint64_t vmx_enter(struct vcpu_arch *a): run the guest, return on its next VM exit.
 * The hypervisor uses general registers only: nothing else needs to be switched here.
 *
 * Source: SDM 3C "VM Entries", "VM Exits".
 */
#define GPR(n)          ((n) * 8)   /* struct vcpu_arch, arch/x86/vcpu.h; asserted in vcpu.c */
#define VCPU_HOST_RSP   128
#define VCPU_LAUNCHED   136
#define VMCS_HOST_RSP   0x6c14

    .text
    .code64
    .balign 64
    .globl vmx_enter, vmx_exit_point
vmx_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi

    cmpq %rsp, VCPU_HOST_RSP(%rdi)      /* the same stack depth nearly always */
    jne set_host_rsp
enter:
    cmpq $0, VCPU_LAUNCHED(%rdi)        /* MOV leaves the flags for the branch below */
    movq GPR(0)(%rdi), %rax
    movq GPR(1)(%rdi), %rcx
    movq GPR(2)(%rdi), %rdx
    movq GPR(3)(%rdi), %rbx
    movq GPR(5)(%rdi), %rbp
    movq GPR(6)(%rdi), %rsi
    movq GPR(8)(%rdi), %r8
    movq GPR(9)(%rdi), %r9
    movq GPR(10)(%rdi), %r10
    movq GPR(11)(%rdi), %r11
    movq GPR(12)(%rdi), %r12
    movq GPR(13)(%rdi), %r13
    movq GPR(14)(%rdi), %r14
    movq GPR(15)(%rdi), %r15
    movq GPR(7)(%rdi), %rdi
    je launch
    vmresume
    jmp failed
launch:
    vmlaunch
failed:
    movl $1, %eax
    jc 1f                               /* CF: VMfailInvalid, else ZF: VMfailValid */
    movl $2, %eax
1:  popq %rdi
    jmp leave

    .balign 64
vmx_exit_point:
    pushq %rdi
    movq 8(%rsp), %rdi
    movq %rax, GPR(0)(%rdi)
    movq %rcx, GPR(1)(%rdi)
    movq %rdx, GPR(2)(%rdi)
    movq %rbx, GPR(3)(%rdi)
    movq %rbp, GPR(5)(%rdi)
    movq %rsi, GPR(6)(%rdi)
    movq %r8, GPR(8)(%rdi)
    movq %r9, GPR(9)(%rdi)
    movq %r10, GPR(10)(%rdi)
    movq %r11, GPR(11)(%rdi)
    movq %r12, GPR(12)(%rdi)
    movq %r13, GPR(13)(%rdi)
    movq %r14, GPR(14)(%rdi)
    movq %r15, GPR(15)(%rdi)
    popq GPR(7)(%rdi)
    addq $8, %rsp
    movq $1, VCPU_LAUNCHED(%rdi)
    xorl %eax, %eax
leave:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

set_host_rsp:
    movq %rsp, VCPU_HOST_RSP(%rdi)
    movl $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
    jmp enter

    .section .note.GNU-stack, "", @progbits
