/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header by which GRUB and QEMU (-kernel) load the flat image to where the guest is loaded, and
 * enter it as a guest is entered. Source: Multiboot Specification 0.6.96, "OS image format".
 */

#define MAGIC 0x1badb002
#define FLAGS 0x00010000 /* [16] the addresses below are valid: the image need not be ELF */

    .section .text.start, "ax"
    .balign 4
header:
    .long MAGIC
    .long FLAGS
    .long -(MAGIC + FLAGS)
    .long header
    .long 0x100000    /* load_addr */
    .long 0           /* load_end_addr: the whole file */
    .long bss_end     /* bss_end_addr */
    .long guest_start /* entry_addr */

    .section .note.GNU-stack, "", @progbits
