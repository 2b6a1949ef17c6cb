/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which serial port is the console: what ACPI's SPCR or DBG2 says, a PCI card, or the command line.
 * Only 16550-compatible ones behind I/O ports. The tables are not trusted.
 * Source: Microsoft "Serial Port Console Redirection Table" (SPCR), "Debug Port Table 2" (DBG2);
 * PCI Local Bus Specification 3.0, "Configuration Space Decoding", appendix D "Class Codes".
 */
#ifndef ARCH_X86_SERIAL_H
#define ARCH_X86_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/err.h"
#include "lib/span.h"

#define SERIAL_COM1     0x3f8u
#define SERIAL_BAUD     115200u
#define SERIAL_IRQ_NONE 0xffu

struct serial_port {
    uint16_t port;   /* first of eight I/O ports */
    uint8_t isa_irq; /* 0..15, or SERIAL_IRQ_NONE: nobody says which */
    uint32_t baud;   /* 50 .. 115200; 0: as firmware left it */
};

/* What the command line wants: "console=" and one or more of these, with commas. */
enum serial_where { SERIAL_AUTO, SERIAL_NONE, SERIAL_PCI, SERIAL_AT };
struct serial_wish {
    enum serial_where where; /* "none", "pci", "com1" .. "com4" or a port such as "0x2f8" */
    uint16_t port;           /* of SERIAL_AT */
    uint32_t baud;           /* "9600"; 0: not said */
    bool bad;                /* there is a word that is none of these; it is left out */
};

/*
 * Take the port out of a table.
 *   table   the whole table, its checksum right
 *   out     filled on OK
 *   return  ERR_FORMAT too short or out of bounds; ERR_UNSUPPORTED another kind of port, or one in
 *           memory; ERR_RANGE its address is no I/O port
 */
MUST_CHECK enum err serial_from_spcr(struct span table, struct serial_port *out);
MUST_CHECK enum err serial_from_dbg2(struct span table, struct serial_port *out);

/* Read the wish; any text. */
struct serial_wish serial_from_cmdline(const char *cmdline);

/* The interrupt that a PC has for a port: 4 or 3 for COM1 .. COM4, else SERIAL_IRQ_NONE. */
uint8_t serial_isa_irq(uint16_t port);

/* The divisor for 115200 / baud, at least 1. */
uint16_t serial_divisor(uint32_t baud);

/*
 * The first PCI function of class 0700H (serial) whose first base address is an I/O port; its I/O
 * accesses are switched on. Looks at all buses.
 *   return  ERR_NOTFOUND
 */
MUST_CHECK enum err serial_from_pci(struct serial_port *out);

#endif
