/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI Local Bus Specification 3.0, "Software Generation of Configuration Transactions". */
#include "arch/x86/pci.h"

#include "arch/x86/asm.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ENABLE       0x80000000u /* [31] */

static void point_to(struct pci_function f, uint8_t offset)
{
    outl(PORT_ADDRESS, ENABLE | (uint32_t)f.bus << 16 | (uint32_t)f.device << 11 |
                           (uint32_t)f.function << 8 | offset);
}

uint32_t pci_read(struct pci_function f, uint8_t offset)
{
    point_to(f, offset);
    return inl(PORT_DATA);
}

void pci_write(struct pci_function f, uint8_t offset, uint32_t value)
{
    point_to(f, offset);
    outl(PORT_DATA, value);
}
