/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration mechanism #1 and a 440FX host bridge. Sources: see the header. */
#include "devices/pci_host.h"

/* CONFIG_ADDRESS */
#define ADDRESS_ENABLE   0x80000000u /* [31] */
#define ADDRESS_FUNCTION 0x00ffff00u /* [23:16] bus, [15:11] device, [10:8] function */
#define ADDRESS_REGISTER 0x000000fcu /* [7:2] doubleword */
#define ADDRESS_STORED   (ADDRESS_ENABLE | ADDRESS_FUNCTION | ADDRESS_REGISTER)

/* PCI command register of the 82441FX: memory access and bus mastering cannot be switched off. */
#define COMMAND_FIXED    0x0006u /* [2:1] */
#define COMMAND_WRITABLE 0x0140u /* [8] SERR# enable, [6] parity error enable */

#define LATENCY_WRITABLE 0xf8u /* [7:3] */

/* Offsets in configuration space */
#define REG_COMMAND      0x04u
#define REG_LATENCY      0x0du
#define HEADER_BYTES     16u

/* Vendor to header type. The command register and the latency timer are taken from the state. */
static const uint8_t header[HEADER_BYTES] = {
    0x86, 0x80, 0x37, 0x12, /* vendor 8086H, device 1237H */
    0x00, 0x00, 0x80, 0x02, /* status: medium DEVSEL# timing, fast back-to-back; no error, ever */
    0x02, 0x00, 0x00, 0x06, /* revision 2, class 060000H host bridge */
    0x00, 0x00, 0x00, 0x00, /* header type 0, one function */
};

static bool bridge_selected(const struct pci_host *p)
{
    return (p->address & (ADDRESS_ENABLE | ADDRESS_FUNCTION)) == ADDRESS_ENABLE;
}

static uint8_t bridge_read(const struct pci_host *p, unsigned reg)
{
    if (reg == REG_COMMAND)
        return (uint8_t)p->command;
    if (reg == REG_COMMAND + 1)
        return (uint8_t)(p->command >> 8);
    if (reg == REG_LATENCY)
        return p->latency;
    return reg < HEADER_BYTES ? header[reg] : 0;
}

static void bridge_write(struct pci_host *p, unsigned reg, uint8_t value)
{
    unsigned command = p->command;

    if (reg == REG_COMMAND)
        command = (command & 0xff00u) | value;
    if (reg == REG_COMMAND + 1)
        command = (command & 0x00ffu) | (unsigned)value << 8;
    if (reg == REG_LATENCY)
        p->latency = value & LATENCY_WRITABLE;
    p->command = (uint16_t)((command & COMMAND_WRITABLE) | COMMAND_FIXED);
}

/* The register that a byte of the data port shows: ports CFCH..CFFH only. */
static unsigned data_register(const struct pci_host *p, unsigned port)
{
    return (p->address & ADDRESS_REGISTER) + (port - PCI_HOST_DATA);
}

static bool is_data_port(unsigned port)
{
    return port >= PCI_HOST_DATA && port <= PCI_HOST_DATA + 3;
}

void pci_host_reset(struct pci_host *p)
{
    *p = (struct pci_host){.command = COMMAND_FIXED};
}

uint32_t pci_host_read(const struct pci_host *p, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    if (port == PCI_HOST_ADDRESS && size == 4)
        return p->address;
    for (unsigned i = 0; i < size && i < 4; i++) {
        bool there = is_data_port(port + i) && bridge_selected(p);
        uint32_t byte = there ? bridge_read(p, data_register(p, port + i)) : 0xffu;

        value |= byte << (8 * i);
    }
    return value;
}

void pci_host_write(struct pci_host *p, uint16_t port, unsigned size, uint32_t value)
{
    if (port == PCI_HOST_ADDRESS && size == 4) {
        p->address = value & ADDRESS_STORED;
        return;
    }
    for (unsigned i = 0; i < size && i < 4; i++) {
        if (is_data_port(port + i) && bridge_selected(p))
            bridge_write(p, data_register(p, port + i), (uint8_t)(value >> (8 * i)));
    }
}

bool pci_host_ok(const struct pci_host *p)
{
    return (p->address & ~ADDRESS_STORED) == 0 && (p->latency & ~LATENCY_WRITABLE) == 0 &&
           (p->command & ~COMMAND_WRITABLE) == COMMAND_FIXED;
}
