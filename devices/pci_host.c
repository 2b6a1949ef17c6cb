/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration mechanism #1 and the functions behind it. Sources: see the header. */
#include "devices/pci_host.h"

#include <stddef.h>

/* CONFIG_ADDRESS */
#define ADDRESS_ENABLE   0x80000000u /* [31] */
#define ADDRESS_FUNCTION 0x00ffff00u /* [23:16] bus, [15:11] device, [10:8] function */
#define ADDRESS_REGISTER 0x000000fcu /* [7:2] doubleword */
#define ADDRESS_STORED   (ADDRESS_ENABLE | ADDRESS_FUNCTION | ADDRESS_REGISTER)

#define HOST             0x0000u /* [15:11] device, [10:8] function of bus 0 */
#define ISA              0x0800u
#define PM               0x0b00u

/* What is not in this list reads 0 and cannot be written. Error status bits are never set. */
static const struct row {
    uint16_t at;       /* function, and offset of the doubleword */
    bool qemu;         /* there only where pci_host.qemu is set */
    uint32_t value;    /* after reset */
    uint32_t writable; /* mask */
} table[PCI_HOST_REGISTERS] = {
    {HOST | 0x00, false, 0x12378086,           0         }, /* device, vendor */
  /* Status: medium DEVSEL#, fast back-to-back. Command: memory and bus master are fixed. */
    {HOST | 0x04, false, 0x02800006,           0x00000140},
    {HOST | 0x08, false, 0x06000002,           0         }, /* class: host bridge; revision */
    {HOST | 0x0c, false, 0x00000000,           0x0000f800}, /* header type 0; latency timer */
    {HOST | 0x2c, true,  0x11001af4,           0         }, /* subsystem: QEMU's virtual machine */
    {HOST | 0x58, false, 0x00000000,           0x33333000}, /* PAM0..2: stored, all is RAM anyway */
    {HOST | 0x5c, false, 0x00000000,           0x33333333}, /* PAM3..6 */
    {HOST | 0x70, false, 0x00020000,           0         }, /* SMRAM: closed */
    {ISA | 0x00,  true,  0x70008086,           0         },
    {ISA | 0x04,  true,  0x02000007,           0x00000008},
    {ISA | 0x08,  true,  0x06010000,           0         }, /* class: ISA bridge */
    {ISA | 0x0c,  true,  0x00800000,           0         }, /* header type: several functions */
    {ISA | 0x60,  true,  0x80808080,           0x8f8f8f8f}, /* PIRQRC: routes of interrupts nobody raises */
    {PM | 0x00,   true,  0x71138086,           0         },
    {PM | 0x04,   true,  0x02800001,           0x00000004}, /* command: I/O space is fixed */
    {PM | 0x08,   true,  0x06800003,           0         }, /* class: other bridge */
    {PM | 0x3c,   true,  0x00000109,           0x000000ff}, /* interrupt pin, line */
    {PM | 0x40,   true,  PCI_HOST_PM_BASE | 1, 0         }, /* PMBA */
    {PM | 0x58,   true,  0x02000000,           0         }, /* DEVACTB: SMIs are set up, do not try */
    {PM | 0x80,   true,  0x00000001,           0         }, /* PMREGMISC: PMBA is enabled */
};

static bool function_selected(const struct pci_host *p)
{
    uint32_t function = p->address & ADDRESS_FUNCTION;

    return (p->address & ADDRESS_ENABLE) != 0 &&
           (function == HOST || (p->qemu && (function == ISA || function == PM)));
}

/* The selected register's row of the table; NULL if it has none. */
static const struct row *selected_row(const struct pci_host *p)
{
    for (size_t i = 0; i < PCI_HOST_REGISTERS; i++) {
        if (table[i].at == (p->address & (ADDRESS_FUNCTION | ADDRESS_REGISTER)))
            return p->qemu || !table[i].qemu ? &table[i] : NULL;
    }
    return NULL;
}

static bool is_data_port(unsigned port)
{
    return port >= PCI_HOST_DATA && port <= PCI_HOST_DATA + 3;
}

void pci_host_reset(struct pci_host *p, bool qemu)
{
    *p = (struct pci_host){.qemu = qemu};
    for (size_t i = 0; i < PCI_HOST_REGISTERS; i++)
        p->registers[i] = table[i].value;
}

/* The doubleword at the data port. */
static uint32_t selected_value(const struct pci_host *p)
{
    const struct row *row = selected_row(p);

    if (!function_selected(p))
        return 0xffffffffu;
    return row != NULL ? p->registers[row - table] : 0;
}

uint32_t pci_host_read(const struct pci_host *p, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    if (port == PCI_HOST_ADDRESS && size == 4)
        return p->address;
    for (unsigned i = 0; i < size && i < 4; i++) {
        unsigned shift = 8 * ((port + i) % 4);
        uint32_t byte = is_data_port(port + i) ? selected_value(p) >> shift & 0xff : 0xffu;

        value |= byte << (8 * i);
    }
    return value;
}

void pci_host_write(struct pci_host *p, uint16_t port, unsigned size, uint32_t value)
{
    const struct row *row = selected_row(p);

    if (port == PCI_HOST_ADDRESS && size == 4) {
        p->address = value & ADDRESS_STORED;
        return;
    }
    for (unsigned i = 0; i < size && i < 4; i++) {
        unsigned shift = 8 * ((port + i) % 4);
        uint32_t *reg;
        uint32_t mask;

        if (!is_data_port(port + i) || row == NULL || !function_selected(p))
            continue;
        reg = &p->registers[row - table];
        mask = row->writable & 0xffu << shift;
        *reg = (*reg & ~mask) | ((value >> (8 * i) & 0xff) << shift & mask);
    }
}

bool pci_host_ok(const struct pci_host *p)
{
    for (size_t i = 0; i < PCI_HOST_REGISTERS; i++) {
        if (((p->registers[i] ^ table[i].value) & ~table[i].writable) != 0)
            return false;
    }
    return (p->address & ~ADDRESS_STORED) == 0;
}
