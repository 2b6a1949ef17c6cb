/* unit: arch/x86/serial.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the console's UART is: tables that may hold anything, a command line, a PCI bus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/pci.h"
#include "arch/x86/serial.h"

/* --- a PCI bus -------------------------------------------------------------------------------- */

static struct fake_function {
    struct pci_function at;
    uint32_t class, header, bar0, command;
} functions[4];
static unsigned function_count;

static struct fake_function *find(struct pci_function f)
{
    for (unsigned i = 0; i < function_count; i++) {
        if (memcmp(&functions[i].at, &f, sizeof(f)) == 0)
            return &functions[i];
    }
    return NULL;
}

uint32_t pci_read(struct pci_function f, uint8_t offset)
{
    struct fake_function *found = find(f);

    if (found == NULL)
        return UINT32_MAX;
    switch (offset) {
    case 0x00: return 0x12348086;
    case 0x04: return found->command;
    case 0x08: return found->class << 8 | 1;
    case 0x0c: return found->header;
    case 0x10: return found->bar0;
    }
    fail_msg("register %x", offset);
    return 0;
}

void pci_write(struct pci_function f, uint8_t offset, uint32_t value)
{
    assert_int_equal(offset, 4);
    find(f)->command = value;
}

static void test_pci_card(void **state)
{
    struct serial_port port;

    (void)state;
    function_count = 0;
    assert_int_equal(serial_from_pci(&port), ERR_NOTFOUND);
    functions[0] = (struct fake_function){
        {0, 1, 0},
        0x060100, 0x00800000, 0, 7
    };
    functions[1] = (struct fake_function){
        {0, 1, 3},
        0x070002, 0, 0xfebf0000, 7
    }; /* in memory */
    functions[2] = (struct fake_function){
        {3, 31, 0},
        0x070002, 0, 0xd001, 0xffff0002
    };
    function_count = 3;
    assert_int_equal(serial_from_pci(&port), OK);
    assert_int_equal(port.port, 0xd000);
    assert_int_equal(port.isa_irq, SERIAL_IRQ_NONE);
    assert_int_equal(functions[2].command, 3); /* I/O on, the status bits not cleared */
    functions[1].bar0 = 0xc009;                /* a function beside the first one is found, too */
    assert_int_equal(serial_from_pci(&port), OK);
    assert_int_equal(port.port, 0xc008);
    functions[0].header = 0; /* of a device with one function the others are ghosts */
    assert_int_equal(serial_from_pci(&port), OK);
    assert_int_equal(port.port, 0xd000);
    functions[2].bar0 = 0x1; /* firmware gave it no address */
    assert_int_equal(serial_from_pci(&port), ERR_NOTFOUND);
    functions[2].bar0 = 0x10001; /* beyond the ports */
    assert_int_equal(serial_from_pci(&port), ERR_NOTFOUND);
}

/* --- tables ----------------------------------------------------------------------------------- */

static uint8_t bytes[128];

static void set(size_t at, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static struct span table(size_t len)
{
    return (struct span){.bytes = bytes, .len = len};
}

static void make_spcr(void)
{
    memset(bytes, 0, sizeof(bytes));
    set(36, 0, 1); /* full 16550 */
    set(40, 1, 1); /* I/O */
    set(44, 0x2f8, 8);
    set(52, 1, 1);
    set(53, 3, 1);
    set(58, 6, 1); /* 57600 */
}

static void test_spcr(void **state)
{
    struct serial_port port;

    (void)state;
    make_spcr();
    assert_int_equal(serial_from_spcr(table(80), &port), OK);
    assert_int_equal(port.port, 0x2f8);
    assert_int_equal(port.isa_irq, 3);
    assert_int_equal(port.baud, 57600);
    set(80, 19200, 4); /* precise, where the table has it */
    assert_int_equal(serial_from_spcr(table(80), &port), OK);
    assert_int_equal(port.baud, 57600);
    assert_int_equal(serial_from_spcr(table(88), &port), OK);
    assert_int_equal(port.baud, 19200);
    set(80, 1000000, 4); /* more than a 16550 of a PC has */
    set(58, 0, 1);
    assert_int_equal(serial_from_spcr(table(88), &port), OK);
    assert_int_equal(port.baud, 0);
    set(52, 2, 1); /* another interrupt controller: what a PC has for the port */
    set(53, 9, 1);
    assert_int_equal(serial_from_spcr(table(88), &port), OK);
    assert_int_equal(port.isa_irq, 3);
    set(52, 1, 1);
    set(53, 200, 1);
    assert_int_equal(serial_from_spcr(table(88), &port), OK);
    assert_int_equal(port.isa_irq, 3);
}

static void test_spcr_that_cannot_be_used(void **state)
{
    static const uint64_t bad_ports[] = {0,      0x20,    0x60,        0x2f9,
                                         0xfff9, 0x10000, 0x1000002f8, UINT64_MAX};
    struct serial_port port;

    (void)state;
    make_spcr();
    for (size_t len = 0; len < 80; len++)
        assert_int_equal(serial_from_spcr(table(len), &port), ERR_FORMAT);
    set(36, 3, 1); /* ARM's PL011 */
    assert_int_equal(serial_from_spcr(table(80), &port), ERR_UNSUPPORTED);
    make_spcr();
    set(40, 0, 1); /* in memory */
    assert_int_equal(serial_from_spcr(table(80), &port), ERR_UNSUPPORTED);
    for (size_t i = 0; i < sizeof(bad_ports) / sizeof(bad_ports[0]); i++) {
        make_spcr();
        set(44, bad_ports[i], 8);
        assert_int_equal(serial_from_spcr(table(80), &port), ERR_RANGE);
    }
}

/* Two devices: a network port, and a serial one whose address is 22 bytes in. */
static void make_dbg2(void)
{
    memset(bytes, 0, sizeof(bytes));
    set(36, 44, 4);
    set(40, 2, 4);
    set(44 + 1, 22, 2);
    set(44 + 3, 1, 1);
    set(44 + 12, 0x8003, 2);
    set(66 + 1, 34, 2);
    set(66 + 3, 1, 1);
    set(66 + 12, 0x8000, 2);
    set(66 + 18, 22, 2);
    set(88, 1, 1);
    set(92, 0x3e8, 8);
}

static void test_dbg2(void **state)
{
    struct serial_port port;

    (void)state;
    make_dbg2();
    assert_int_equal(serial_from_dbg2(table(100), &port), OK);
    assert_int_equal(port.port, 0x3e8);
    assert_int_equal(port.isa_irq, 4);
    assert_int_equal(port.baud, 0);
    for (size_t len = 0; len < 100; len++)
        assert_int_not_equal(serial_from_dbg2(table(len), &port), OK);
    set(66 + 18, 23, 2); /* its address would end behind it */
    assert_int_equal(serial_from_dbg2(table(100), &port), ERR_FORMAT);
    make_dbg2();
    set(40, UINT32_MAX, 4); /* more devices than there is room for, after one that fits */
    assert_int_equal(serial_from_dbg2(table(100), &port), OK);
    set(44 + 1, 0, 2); /* a device of no length would be looked at for ever */
    assert_int_equal(serial_from_dbg2(table(100), &port), ERR_FORMAT);
    set(36, UINT32_MAX, 4);
    assert_int_equal(serial_from_dbg2(table(100), &port), ERR_FORMAT);
}

static void test_random_tables(void **state)
{
    struct serial_port port;

    (void)state;
    srand(1);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t *copy = malloc(101); /* its own, so that a byte too far is found */
        size_t len = (unsigned)rand() % 101;

        if (i % 2)
            make_dbg2();
        else
            make_spcr();
        for (unsigned k = 0; k < 4; k++)
            bytes[36 + (unsigned)rand() % 64] = (uint8_t)rand();
        copy = realloc(copy, len + 1);
        memcpy(copy + 1, bytes, len);
        struct span s = {.bytes = copy + 1, .len = len};
        enum err e = i % 2 ? serial_from_dbg2(s, &port) : serial_from_spcr(s, &port);

        if (e == OK)
            assert_true(port.port >= 0x100 && port.port <= 0xfff8 && port.baud <= 115200);
        free(copy);
    }
}

/* --- command line ----------------------------------------------------------------------------- */

static void expect_wish(const char *cmdline, enum serial_where where, unsigned port, unsigned baud,
                        bool bad)
{
    struct serial_wish w = serial_from_cmdline(cmdline);

    assert_int_equal(w.where, where);
    assert_int_equal(w.port, port);
    assert_int_equal(w.baud, baud);
    assert_int_equal(w.bad, bad);
}

static void test_command_line(void **state)
{
    (void)state;
    expect_wish("", SERIAL_AUTO, 0, 0, false);
    expect_wish("quiet", SERIAL_AUTO, 0, 0, false);
    expect_wish("console=none", SERIAL_NONE, 0, 0, false);
    expect_wish("console=pci,9600", SERIAL_PCI, 0, 9600, false);
    expect_wish("a console=com2 b", SERIAL_AT, 0x2f8, 0, false);
    expect_wish("console=com4,57600", SERIAL_AT, 0x2e8, 57600, false);
    expect_wish("console=0xE050,115200 x", SERIAL_AT, 0xe050, 115200, false);
    expect_wish("console=9600", SERIAL_AUTO, 0, 9600, false);
    expect_wish("noconsole=none", SERIAL_AUTO, 0, 0, false);
}

static void test_command_line_that_is_wrong(void **state)
{
    static const char *const wrong[] = {
        "console=",
        "console=,",
        "console=com5",
        "console=com0",
        "console=tty",
        "console=0x",
        "console=0x2f9",
        "console=0x10000",
        "console=0xfffff2f8",
        "console=0x1000002f8",
        "console=12345",
        "console=0",
        "console=1000000",
        "console=-1",
        "console=99999999999999999",
        "console=none2",
        "console=0x2f8,fast",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(serial_from_cmdline(wrong[i]).bad);
}

static void test_divisor(void **state)
{
    (void)state;
    assert_int_equal(serial_divisor(115200), 1);
    assert_int_equal(serial_divisor(57600), 2);
    assert_int_equal(serial_divisor(9600), 12);
    assert_int_equal(serial_divisor(50), 2304);
    assert_int_equal(serial_divisor(0), 1);
    assert_int_equal(serial_divisor(UINT32_MAX), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pci_card),
        cmocka_unit_test(test_spcr),
        cmocka_unit_test(test_spcr_that_cannot_be_used),
        cmocka_unit_test(test_dbg2),
        cmocka_unit_test(test_random_tables),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_command_line_that_is_wrong),
        cmocka_unit_test(test_divisor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
