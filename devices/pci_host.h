/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration mechanism #1 (ports CF8H..CFFH) with the host bridge of an Intel 440FX behind
 * it, 00:00.0. Firmware made for QEMU's machine of that name is given more to recognise it by: its
 * subsystem ID, an ISA bridge (00:01.0) and a power management function (00:01.3), which says where
 * the ACPI registers are. Every other function reads all ones and drops writes.
 * Source: PCI Local Bus Specification 3.0, "Software Generation of Configuration Transactions" and
 * "Configuration Space Organization"; Intel 440FX PCIset data sheet (82441FX), "PCI Configuration
 * Space Registers"; 82371SB (PIIX3) and 82371AB (PIIX4) data sheets, "PCI Configuration Registers".
 */
#ifndef DEVICES_PCI_HOST_H
#define DEVICES_PCI_HOST_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_HOST_ADDRESS   0xcf8u /* CONFIG_ADDRESS: doubleword accesses only */
#define PCI_HOST_RESET     0xcf9u /* byte accesses: the chip set's reset control register */
#define PCI_HOST_DATA      0xcfcu /* CONFIG_DATA, to CFFH */

#define PCI_HOST_REGISTERS 20 /* doublewords that are not 0, or can be written */

/* PIIX4: the only address of the ACPI registers, not movable. */
#define PCI_HOST_PM_BASE   0x600u

struct pci_host {
    uint32_t address; /* CONFIG_ADDRESS */
    bool qemu;        /* pci_host_reset() */
    uint32_t registers[PCI_HOST_REGISTERS];
};

/*
 * Power-on state.
 *   qemu  be what firmware for QEMU's i440FX machine looks for
 */
void pci_host_reset(struct pci_host *p, bool qemu);

/*
 * The guest reads a port.
 *   port    CF8H..CFFH
 *   size    1, 2 or 4 bytes; bytes beyond CFFH read all ones
 *   return  the value, in the low bytes
 */
uint32_t pci_host_read(const struct pci_host *p, uint16_t port, unsigned size);

/* The guest writes a port; arguments as for pci_host_read. */
void pci_host_write(struct pci_host *p, uint16_t port, unsigned size, uint32_t value);

/*
 * Whether an access to CF8H..CFFH is not for PCI but for the reset control register (see
 * devices/reset_ports.h). CONFIG_ADDRESS takes doublewords only, so that a byte can live inside it.
 * Source: 82371SB (PIIX3) data sheet, "RC: Reset Control Register".
 */
static inline bool pci_host_is_reset_port(uint16_t port, unsigned size)
{
    return port == PCI_HOST_RESET && size == 1;
}

/* The chip's invariant; true after every call above. */
bool pci_host_ok(const struct pci_host *p);

#endif
