/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void vmx_loop(struct vcpu_arch *a): run the guest; after each VM exit vmx_exited() says whether
 * to go on. On an exit the hypervisor comes back to the same place of the same stack, so nothing of
 * its own has to be saved each time: only the guest's general registers, which are all it uses.
 *
 * Source: SDM 3C "VM Entries", "VM Exits".
 */
#define GPR(n)          ((n) * 8)   /* struct vcpu_arch, arch/x86/vcpu.h; asserted in vcpu.c */
#define VCPU_LAUNCHED   128
#define VMCS_HOST_RSP   0x6c14

    .text
    .code64
    .balign 64
    .globl vmx_loop, vmx_exit_point
vmx_loop:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi                          /* stays on top while the guest runs: HOST_RSP */
    call vmx_before_entry
    testq %rax, %rax
    je leave
    movl $VMCS_HOST_RSP, %ecx           /* the last run may have had another stack depth */
    vmwrite %rsp, %rcx
enter:
    cmpb $0, VCPU_LAUNCHED(%rax)        /* MOV leaves the flags for the branch below */
    movq GPR(1)(%rax), %rcx
    movq GPR(2)(%rax), %rdx
    movq GPR(3)(%rax), %rbx
    movq GPR(5)(%rax), %rbp
    movq GPR(6)(%rax), %rsi
    movq GPR(7)(%rax), %rdi
    movq GPR(8)(%rax), %r8
    movq GPR(9)(%rax), %r9
    movq GPR(10)(%rax), %r10
    movq GPR(11)(%rax), %r11
    movq GPR(12)(%rax), %r12
    movq GPR(13)(%rax), %r13
    movq GPR(14)(%rax), %r14
    movq GPR(15)(%rax), %r15
    je launch
    movq GPR(0)(%rax), %rax
    vmresume
    jmp failed

launch:                                 /* a new VMCS, which does not know the stack */
    movb $1, VCPU_LAUNCHED(%rax)
    movl $VMCS_HOST_RSP, %ecx
    vmwrite %rsp, %rcx
    movq GPR(1)(%rax), %rcx
    movq GPR(0)(%rax), %rax
    vmlaunch
failed:
    setc %sil                           /* CF: VMfailInvalid, else ZF: VMfailValid */
    movzbl %sil, %esi
    movq (%rsp), %rdi
    call vmx_entry_refused              /* does not return */

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
    call vmx_exited
    testq %rax, %rax
    jne enter
leave:
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

    .section .note.GNU-stack, "", @progbits
