/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's PCI configuration space, by ports CF8H and CFCH. Boot only, one core. */
#ifndef ARCH_X86_PCI_H
#define ARCH_X86_PCI_H

#include <stdint.h>

struct pci_function {
    uint8_t bus;
    uint8_t device;   /* 0..31 */
    uint8_t function; /* 0..7 */
};

/* Read or write a dword; offset is a multiple of 4. Reads give ones where nothing is. */
uint32_t pci_read(struct pci_function f, uint8_t offset);
void pci_write(struct pci_function f, uint8_t offset, uint32_t value);

#endif
