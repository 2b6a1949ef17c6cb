/* SPDX-License-Identifier: BSD-2-Clause */
/* The DSDT of every guest: guest/dsdt.asl as compiled by iasl; found through the include path. */
    .section .rodata
    .globl dsdt_aml
    .globl dsdt_aml_end
    .type dsdt_aml, @object
    .size dsdt_aml, dsdt_aml_end - dsdt_aml
    .balign 8
dsdt_aml:
    .incbin "dsdt.aml"
dsdt_aml_end:

    .section .note.GNU-stack, "", @progbits
