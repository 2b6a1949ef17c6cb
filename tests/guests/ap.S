/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the second processor runs: real mode, copied to a page below 1 MiB and started there by a
 * SIPI. It counts its starts, notes CS, and sleeps; each NMI is counted. The words are in smp.c.
 */
#define STARTS 0x9800
#define LAST_CS 0x9802
#define NMIS 0x9804

    .section .rodata
    .code16
    .globl ap_start, ap_nmi, ap_end
ap_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $0x9f00, %sp
    mov %cs, %ax
    mov %ax, LAST_CS
    lock incw STARTS
    sti /* a processor that sleeps with IF = 0 is not always woken by Bochs for its hypervisor */
1:  hlt
    jmp 1b
ap_nmi:
    lock incw %cs:NMIS - 0x8000
    iret
ap_end:

    .section .note.GNU-stack, "", @progbits
