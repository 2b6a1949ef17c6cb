/* unit: boot/outputs.c arch/x86/screen.c arch/x86/journal.c arch/x86/serial.c build/font.c
 * lib/fmt.c lib/err.c mm/hostpt.c mm/pages.c mm/pt.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader says of the framebuffer is checked; which UART is chosen, and what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/pci.h"
#include "arch/x86/serial.h"
#include "arch/x86/uart.h"
#include "boot/outputs.h"
#include "lib/log.h"

static struct boot_info info;
static char said[4096];
static uint16_t answering; /* the port where a UART is */
static uint16_t used;
static uint16_t divisor;
static const char *table_name; /* which of ACPI's there is */
static uint8_t table_bytes[80];
static bool have_card;

void log_line(const char *fmt, ...)
{
    va_list args;
    size_t len = strlen(said);

    va_start(args, fmt);
    vsnprintf(said + len, sizeof(said) - len, fmt, args);
    va_end(args);
    strcat(said, "\n");
}

bool uart_answers(uint16_t port)
{
    return port == answering;
}

void uart_use(uint16_t port, uint16_t d)
{
    used = port;
    divisor = d;
}

void uart_write(const char *text)
{
    (void)text;
}

void uart_drain(void)
{
}

size_t acpi_copy_table(const void *rsdp, size_t len, unsigned phys_bits, const char *signature,
                       uint8_t *buf, size_t room)
{
    (void)rsdp;
    (void)len;
    (void)phys_bits;
    if (table_name == NULL || strcmp(signature, table_name) != 0 || room < sizeof(table_bytes))
        return 0;
    memcpy(buf, table_bytes, sizeof(table_bytes));
    return sizeof(table_bytes);
}

uint32_t pci_read(struct pci_function f, uint8_t offset)
{
    if (!have_card || f.bus != 0 || f.device != 4 || f.function != 0)
        return UINT32_MAX;
    return offset == 8 ? 0x07000200 : offset == 0x10 ? 0xc001 : 0;
}

void pci_write(struct pci_function f, uint8_t offset, uint32_t value)
{
    (void)f;
    (void)offset;
    (void)value;
}

static int setup(void **state)
{
    (void)state;
    info = (struct boot_info){
        .memory = {{0, 0x9f000, BOOT_MEMORY_USABLE},
                   {0x100000, 0x3ff00000, BOOT_MEMORY_USABLE},
                   {0x40000000, 0x10000, BOOT_MEMORY_ACPI_RECLAIM},
                   {0xe0000000, 0x20000000, BOOT_MEMORY_RESERVED},
                   {0x100000000, 0x40000000, BOOT_MEMORY_USABLE},
                   {0xfffffffffffff000, UINT64_MAX, BOOT_MEMORY_BAD}},
        .memory_count = 6,
        .framebuffer = { true, 32, 16, 8, 8, 8,            0, 8, 1024 * 4, 1024, 768, 0xe0000000}
    };
    said[0] = '\0';
    answering = SERIAL_COM1;
    used = 1;
    table_name = NULL;
    have_card = false;
    memset(table_bytes, 0, sizeof(table_bytes));
    table_bytes[40] = 1;
    table_bytes[44] = 0xf8;
    table_bytes[45] = 0x02;
    table_bytes[58] = 3;
    return 0;
}

/* --- framebuffer ------------------------------------------------------------------------------ */

static const char *check(void)
{
    struct screen_mode mode;

    return outputs_check_framebuffer(&info, 36, &mode);
}

#define EXPECT_PROBLEM(text)                                                                       \
    do {                                                                                           \
        assert_non_null(check());                                                                  \
        assert_non_null(strstr(check(), text));                                                    \
        setup(NULL);                                                                               \
    } while (0)

static void test_good_framebuffer(void **state)
{
    struct screen_mode mode;

    (void)state;
    assert_null(outputs_check_framebuffer(&info, 36, &mode));
    assert_int_equal(mode.pixel_len, 4);
    assert_int_equal(mode.red.shift, 16);
    info.framebuffer.hpa = 0x800000000; /* above all memory, below the width */
    assert_null(check());
    info.framebuffer.hpa = 0xb0000000; /* where the memory map says nothing */
    assert_null(check());
}

static void test_hostile_framebuffer(void **state)
{
    struct boot_framebuffer *f = &info.framebuffer;

    (void)state;
    f->width = 0;
    EXPECT_PROBLEM("width or height");
    f->width = UINT32_MAX;
    EXPECT_PROBLEM("width or height");
    f->height = 0;
    EXPECT_PROBLEM("width or height");
    f->height = 16385;
    EXPECT_PROBLEM("width or height");
    f->bpp = 8;
    EXPECT_PROBLEM("bits per pixel");
    f->bpp = 255;
    EXPECT_PROBLEM("bits per pixel");
    f->red_shift = 25;
    EXPECT_PROBLEM("colours");
    f->green_bits = 0;
    EXPECT_PROBLEM("colours");
    f->blue_bits = 255;
    EXPECT_PROBLEM("colours");
    f->pitch = 4095;
    EXPECT_PROBLEM("bytes per line");
    f->pitch = UINT32_MAX; /* times the height: more than 32 bits */
    EXPECT_PROBLEM("bytes per line");
    f->hpa = 0;
    EXPECT_PROBLEM("address");
    f->hpa = 0xa0000;
    EXPECT_PROBLEM("address");
    f->hpa = UINT64_MAX - 100;
    EXPECT_PROBLEM("address");
    f->hpa = (1ull << 36) - 4096;
    EXPECT_PROBLEM("address");
    f->hpa = 1ull << 36;
    EXPECT_PROBLEM("address");
}

static void test_framebuffer_in_what_is_others(void **state)
{
    static const uint64_t memory[] = {0x100000,   0x200000,   0x3fffffff,  0x3fd00000,
                                      0x40000000, 0x4000ffff, 0x100000000, 0xffe00000 + 0x100000};

    (void)state;
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
        info.framebuffer.hpa = memory[i];
        if (memory[i] < 0xfec00000 || memory[i] >= 0x100000000)
            assert_non_null(strstr(check(), "memory map"));
    }
    info.framebuffer.hpa = 0xfee00000;
    EXPECT_PROBLEM("APICs");
    info.framebuffer.hpa = 0xfebf0000; /* its end reaches in */
    EXPECT_PROBLEM("APICs");
}

static void test_hostile_framebuffer_is_left_alone_and_named(void **state)
{
    struct outputs o = {0};

    (void)state;
    info.framebuffer.hpa = 0x200000;
    outputs_find_screen(&o, &info, 36);
    assert_int_equal(o.framebuffer.len, 0);
    assert_string_equal(said,
                        "screen: framebuffer 1024x768, 32 bits, 4096 bytes per line at 200000: "
                        "it lies in memory that the memory map gives to others; left alone\n");
}

/* --- UART ------------------------------------------------------------------------------------- */

static struct outputs find_uart(const char *cmdline)
{
    struct outputs o = {0};

    snprintf(info.cmdline, sizeof(info.cmdline), "%s", cmdline);
    outputs_find_uart(&o, &info, 36);
    assert_int_equal(used, o.uart_port);
    outputs_report(&o);
    return o;
}

static void test_com1_is_the_default(void **state)
{
    (void)state;
    struct outputs o = find_uart("");

    assert_int_equal(o.uart_port, 0x3f8);
    assert_int_equal(o.uart_isa_irq, 4);
    assert_int_equal(divisor, 1);
    assert_non_null(strstr(said, "console: UART at port 3F8H (COM1), 115200 baud\n"));
}

static void test_tables_come_first(void **state)
{
    (void)state;
    answering = 0x2f8;
    table_name = "SPCR";
    assert_int_equal(find_uart("").uart_port, 0x2f8);
    assert_int_equal(divisor, 12);
    assert_non_null(strstr(said, "console: UART at port 2F8H (SPCR), 9600 baud\n"));
    assert_int_equal(find_uart("console=115200").uart_baud, 115200);
}

static void test_table_that_names_nothing_is_passed_over(void **state)
{
    (void)state;
    table_name = "SPCR"; /* 2F8H, but only COM1 answers */
    assert_int_equal(find_uart("").uart_port, 0x3f8);
    assert_non_null(strstr(said, "SPCR names a UART at port 2F8H, but none answers there\n"));
    table_bytes[40] = 0;
    assert_int_equal(find_uart("").uart_port, 0x3f8);
    assert_non_null(strstr(said, "ACPI's SPCR has no 16550 behind I/O ports"));
    table_name = "DBG2";
    assert_int_equal(find_uart("").uart_port, 0x3f8);
}

static void test_card_where_there_is_no_com1(void **state)
{
    (void)state;
    answering = 0xc000;
    have_card = true;
    struct outputs o = find_uart("");

    assert_int_equal(o.uart_port, 0xc000);
    assert_int_equal(o.uart_isa_irq, SERIAL_IRQ_NONE);
    answering = SERIAL_COM1;
    assert_int_equal(find_uart("").uart_port, 0x3f8);
}

static void test_no_uart_at_all(void **state)
{
    (void)state;
    answering = 0;
    struct outputs o = find_uart("");

    assert_int_equal(o.uart_port, 0);
    assert_int_equal(o.uart_isa_irq, SERIAL_IRQ_NONE);
    assert_non_null(strstr(said, "console: no UART\n"));
}

static void test_command_line_comes_first(void **state)
{
    (void)state;
    assert_int_equal(find_uart("console=none").uart_port, 0);
    answering = 0x2f8;
    assert_int_equal(find_uart("console=com2,9600").uart_port, 0x2f8);
    assert_int_equal(divisor, 12);
    answering = SERIAL_COM1; /* what it names does not answer */
    assert_int_equal(find_uart("console=com2").uart_port, 0x3f8);
    find_uart("console=tty9");
    assert_non_null(strstr(said, "is not known; there are none, pci, com1 to com4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good_framebuffer, setup),
        cmocka_unit_test_setup(test_hostile_framebuffer, setup),
        cmocka_unit_test_setup(test_framebuffer_in_what_is_others, setup),
        cmocka_unit_test_setup(test_hostile_framebuffer_is_left_alone_and_named, setup),
        cmocka_unit_test_setup(test_com1_is_the_default, setup),
        cmocka_unit_test_setup(test_tables_come_first, setup),
        cmocka_unit_test_setup(test_table_that_names_nothing_is_passed_over, setup),
        cmocka_unit_test_setup(test_card_where_there_is_no_com1, setup),
        cmocka_unit_test_setup(test_no_uart_at_all, setup),
        cmocka_unit_test_setup(test_command_line_comes_first, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
