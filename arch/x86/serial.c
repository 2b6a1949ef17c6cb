/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/serial.h"

#include <stddef.h>

#include "arch/x86/pci.h"
#include "lib/string.h"

#define CLOCK_BAUD         115200u
#define BAUD_MIN           50u
#define PORTS              8u

/* Types of a port, in both tables. */
#define TYPE_16550         0x00u /* SPCR: the full interface; DBG2: 16550 */
#define TYPE_16450         0x01u /* a subset that reads and writes the same registers */
#define TYPE_16550_GAS     0x12u /* the same, with the access sizes of its address */

/* SPCR */
#define SPCR_TYPE          36u
#define SPCR_ADDRESS       40u
#define SPCR_IRQ_TYPE      52u
#define SPCR_IRQ           53u
#define SPCR_BAUD          58u
#define SPCR_LEN           80u /* revision 1: without the precise baud rate */
#define SPCR_PRECISE_BAUD  80u
#define SPCR_IRQ_8259      0x01u /* [0] of IRQ_TYPE: IRQ is an ISA interrupt */

/* DBG2 */
#define DBG2_OFFSET        36u
#define DBG2_COUNT         40u
#define DBG2_DEVICE_LEN    22u /* of a device's fixed part */
#define DBG2_DEVICES_MAX   64u
#define DBG2_SERIAL        0x8000u

/* Generic address structure */
#define GAS_LEN            12u
#define GAS_SPACE_IO       1u

/* PCI */
#define PCI_ID             0x00u
#define PCI_COMMAND        0x04u
#define PCI_CLASS          0x08u
#define PCI_HEADER         0x0cu
#define PCI_BAR0           0x10u
#define PCI_COMMAND_IO     0x00000001u /* [0] of the command register */
#define PCI_STATUS         0xffff0000u /* [31:16] beside it: written ones would clear bits */
#define PCI_MULTI_FUNCTION 0x00800000u /* [23] of the header's dword */
#define PCI_BAR_IO         0x1u
#define PCI_BAR_IO_ADDRESS 0xfffffffcu
#define PCI_CLASS_SERIAL   0x0700u

uint8_t serial_isa_irq(uint16_t port)
{
    switch (port) {
    case 0x3f8:
    case 0x3e8: return 4;
    case 0x2f8:
    case 0x2e8: return 3;
    }
    return SERIAL_IRQ_NONE;
}

uint16_t serial_divisor(uint32_t baud)
{
    return (uint16_t)(baud >= CLOCK_BAUD || baud < BAUD_MIN ? 1 : CLOCK_BAUD / baud);
}

static bool is_port(uint64_t address)
{
    return address >= 0x100 && address <= 0x10000 - PORTS && address % PORTS == 0;
}

static bool is_baud(uint64_t baud)
{
    return baud >= BAUD_MIN && baud <= CLOCK_BAUD && CLOCK_BAUD % baud == 0;
}

/* --- ACPI ------------------------------------------------------------------------------------- */

static enum err take_address(struct span table, size_t at, unsigned type, struct serial_port *out)
{
    uint64_t address = span_u64(table, at + 4);

    if (type != TYPE_16550 && type != TYPE_16450 && type != TYPE_16550_GAS)
        return ERR_UNSUPPORTED;
    if (span_u8(table, at) != GAS_SPACE_IO)
        return ERR_UNSUPPORTED;
    if (!is_port(address))
        return ERR_RANGE;
    out->port = (uint16_t)address;
    out->isa_irq = serial_isa_irq(out->port);
    out->baud = 0;
    return OK;
}

static uint32_t spcr_baud(struct span table)
{
    uint32_t precise = span_u32(table, SPCR_PRECISE_BAUD);

    if (is_baud(precise))
        return precise;
    switch (span_u8(table, SPCR_BAUD)) {
    case 3: return 9600;
    case 4: return 19200;
    case 6: return 57600;
    case 7: return 115200;
    }
    return 0;
}

enum err serial_from_spcr(struct span table, struct serial_port *out)
{
    enum err e;

    if (table.len < SPCR_LEN)
        return ERR_FORMAT;
    e = take_address(table, SPCR_ADDRESS, span_u8(table, SPCR_TYPE), out);
    if (e != OK)
        return e;
    if ((span_u8(table, SPCR_IRQ_TYPE) & SPCR_IRQ_8259) != 0 && span_u8(table, SPCR_IRQ) < 16)
        out->isa_irq = span_u8(table, SPCR_IRQ);
    out->baud = spcr_baud(table);
    return OK;
}

static enum err take_device(struct span device, struct serial_port *out)
{
    size_t address = span_u16(device, 18);

    if (span_u16(device, 12) != DBG2_SERIAL || span_u8(device, 3) == 0)
        return ERR_UNSUPPORTED;
    if (!span_has(device, address, GAS_LEN))
        return ERR_FORMAT;
    return take_address(device, address, span_u16(device, 14), out);
}

/* The first port that fits. */
enum err serial_from_dbg2(struct span table, struct serial_port *out)
{
    size_t at = span_u32(table, DBG2_OFFSET);
    uint32_t count = span_u32(table, DBG2_COUNT);
    enum err e = ERR_UNSUPPORTED;

    for (uint32_t i = 0; i < count && i < DBG2_DEVICES_MAX && e != OK; i++) {
        size_t len = span_u16(table, at + 1);

        if (!span_has(table, at, DBG2_DEVICE_LEN) || len < DBG2_DEVICE_LEN ||
            !span_has(table, at, len))
            return ERR_FORMAT;
        e = take_device((struct span){.bytes = table.bytes + at, .len = len}, out);
        at += len;
    }
    return e;
}

/* --- command line ----------------------------------------------------------------------------- */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* A number of len characters, decimal or with 0x; UINT32_MAX: it is none, or too large. */
static uint32_t number(const char *text, size_t len)
{
    int base = len > 2 && text[0] == '0' && text[1] == 'x' ? 16 : 10;
    uint64_t value = 0;
    size_t at = base == 16 ? 2 : 0;

    if (at == len)
        return UINT32_MAX;
    for (; at < len; at++) {
        int digit = digit_value(text[at]);

        if (digit >= base || value > UINT32_MAX / 16)
            return UINT32_MAX;
        value = value * (unsigned)base + (unsigned)digit;
    }
    return (uint32_t)value;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static void take_word(struct serial_wish *w, const char *text, size_t len)
{
    static const uint16_t com[] = {SERIAL_COM1, 0x2f8, 0x3e8, 0x2e8};
    uint32_t value = number(text, len);

    if (is_word(text, len, "none")) {
        w->where = SERIAL_NONE;
    } else if (is_word(text, len, "pci")) {
        w->where = SERIAL_PCI;
    } else if (len == 4 && memcmp(text, "com", 3) == 0 && text[3] >= '1' && text[3] <= '4') {
        w->where = SERIAL_AT;
        w->port = com[text[3] - '1'];
    } else if (len > 2 && text[1] == 'x' && is_port(value)) {
        w->where = SERIAL_AT;
        w->port = (uint16_t)value;
    } else if (is_baud(value)) {
        w->baud = value;
    } else {
        w->bad = true;
    }
}

/* The value of the first word of the command line that begins with "console="; NULL: none. */
static const char *find_value(const char *cmdline)
{
    static const char key[] = "console=";
    bool begins = true;

    for (; *cmdline != '\0'; cmdline++) {
        if (begins && strncmp(cmdline, key, sizeof(key) - 1) == 0)
            return cmdline + sizeof(key) - 1;
        begins = *cmdline == ' ';
    }
    return NULL;
}

struct serial_wish serial_from_cmdline(const char *cmdline)
{
    struct serial_wish wish = {.where = SERIAL_AUTO};
    const char *at = find_value(cmdline);

    while (at != NULL) {
        size_t len = 0;

        while (at[len] != '\0' && at[len] != ' ' && at[len] != ',')
            len++;
        take_word(&wish, at, len);
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    return wish;
}

/* --- PCI -------------------------------------------------------------------------------------- */

static bool take_function(struct pci_function f, struct serial_port *out)
{
    uint32_t bar = pci_read(f, PCI_BAR0);

    if (pci_read(f, PCI_CLASS) >> 16 != PCI_CLASS_SERIAL || (bar & PCI_BAR_IO) == 0 ||
        !is_port(bar & PCI_BAR_IO_ADDRESS))
        return false;
    pci_write(f, PCI_COMMAND, (pci_read(f, PCI_COMMAND) & ~PCI_STATUS) | PCI_COMMAND_IO);
    out->port = (uint16_t)(bar & PCI_BAR_IO_ADDRESS);
    out->isa_irq = SERIAL_IRQ_NONE;
    out->baud = 0;
    return true;
}

static bool is_absent(struct pci_function f)
{
    return (pci_read(f, PCI_ID) & 0xffff) == 0xffff;
}

static bool take_device_functions(uint8_t bus, uint8_t device, struct serial_port *out)
{
    struct pci_function f = {.bus = bus, .device = device};

    if (is_absent(f))
        return false;
    uint8_t count = (pci_read(f, PCI_HEADER) & PCI_MULTI_FUNCTION) != 0 ? 8 : 1;

    for (f.function = 0; f.function < count; f.function++) {
        if (!is_absent(f) && take_function(f, out))
            return true;
    }
    return false;
}

enum err serial_from_pci(struct serial_port *out)
{
    for (unsigned bus = 0; bus < 256; bus++) {
        for (unsigned device = 0; device < 32; device++) {
            if (take_device_functions((uint8_t)bus, (uint8_t)device, out))
                return OK;
        }
    }
    return ERR_NOTFOUND;
}
