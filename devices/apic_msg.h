/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What travels between I/O APIC and local APICs: one interrupt message.
 * Source: SDM 3A "Interrupt Command Register (ICR)"; 82093AA data sheet, "Redirection Table".
 */
#ifndef DEVICES_APIC_MSG_H
#define DEVICES_APIC_MSG_H

#include <stdbool.h>
#include <stdint.h>

/* Delivery mode, encoded as in ICR [10:8] and the redirection entry [10:8]. */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7,
};

#define APIC_DELIVERY_RESERVED 3u /* the encoding that is left over */

/* Who receives it, beside `dest`: ICR [19:18]; an I/O APIC always uses APIC_DEST_FIELD. */
enum apic_shorthand {
    APIC_DEST_FIELD = 0,
    APIC_DEST_SELF = 1,
    APIC_DEST_ALL = 2,
    APIC_DEST_OTHERS = 3,
};

struct apic_msg {
    uint32_t dest;     /* APIC ID or logical mask, 8 or 32 bits as `wide` says */
    uint8_t vector;    /* vector, or the start page of a SIPI */
    uint8_t delivery;  /* enum apic_delivery, or the reserved one, which is never sent */
    uint8_t shorthand; /* enum apic_shorthand */
    bool wide;         /* dest has 32 bits (sent by an x2APIC), not 8 (xAPIC, I/O APIC, MSI) */
    bool logical;      /* destination mode: logical, not physical */
    bool level;        /* trigger mode: level, not edge */
    bool assert_level; /* ICR [14]; false only matters for INIT de-assert, which is ignored */
};

#endif
