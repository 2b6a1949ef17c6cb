/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of an ELF kernel. Source: Multiboot Specification 0.6.96, "OS image format". */

#define MAGIC 0x1badb002
#define FLAGS 0x00000003 /* [0] modules at pages, [1] sizes of memory */

    .section .text.start, "ax"
    .balign 4
    .long MAGIC
    .long FLAGS
    .long -(MAGIC + FLAGS)

    .section .note.GNU-stack, "", @progbits
