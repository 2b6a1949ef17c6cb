/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's ELF file, with config and guest images, inside the loader. */
    .section .rodata.payload, "a"
    .balign 16
    .globl payload_start
payload_start:
    .incbin PAYLOAD
    .globl payload_end
payload_end:

    .section .note.GNU-stack, "", @progbits
