/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of a flat binary. Source: Multiboot2 Specification 2.0, "OS image format". */

#define MAGIC 0xe85250d6
#define ARCH  0 /* i386 */

    .section .text.start, "ax"
    .balign 8
header:
    .long MAGIC
    .long ARCH
    .long header_end - header
    .long -(MAGIC + ARCH + (header_end - header))

    .short 1, 0            /* information request: what is printed */
    .long 8 + 6 * 4
    .long 1, 2, 3, 4, 6, 15

    .balign 8
    .short 2, 0            /* addresses */
    .long 24
    .long header
    .long 0x100000         /* load_addr */
    .long 0                /* load_end_addr: the whole file */
    .long bss_end          /* bss_end_addr */

    .balign 8
    .short 3, 0            /* entry */
    .long 12
    .long multiboot_entry

    .balign 8
    .short 0, 0
    .long 8
header_end:

    .section .note.GNU-stack, "", @progbits
