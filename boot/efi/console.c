/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the loader, on the firmware's console and on COM1. */
#include "boot/efi/loader.h"

#include <stdarg.h>

#include "lib/fmt.h"

#define COM1       0x3f8
#define COM1_LCR   (COM1 + 3)
#define COM1_LSR   (COM1 + 5)
#define LSR_THRE   0x20
#define LSR_TEMT   0x40
#define POLL_LIMIT 0x100000 /* as boot/multiboot2.S: then there is no UART */
#define LINE_MAX   (12 + 200 + 3)

static uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static bool com1_wait(uint8_t lsr_bit)
{
    for (unsigned i = 0; i < POLL_LIMIT; i++) {
        if (inb(COM1_LSR) & lsr_bit)
            return true;
    }
    return false;
}

void com1_drain(void)
{
    (void)com1_wait(LSR_TEMT);
}

void com1_init(void)
{
    static const struct {
        uint8_t reg, value;
    } steps[] = {
        {1, 0x00},
        {3, 0x80},
        {0, 0x01},
        {1, 0x00},
        {3, 0x03},
        {2, 0x07},
        {4, 0x03}
    };

    com1_drain(); /* what the firmware still has there would be lost */
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++)
        outb((uint16_t)(COM1 + steps[i].reg), steps[i].value);
}

static void com1_write(const char *text)
{
    for (; *text != 0 && com1_wait(LSR_THRE); text++)
        outb(COM1, (uint8_t)*text);
}

static void make_line(char *line, const char *fmt, va_list args)
{
    size_t len = fmt_print(line, LINE_MAX, "[bulkhead] ");

    len += fmt_vprint(line + len, LINE_MAX - 2 - len, fmt, args);
    fmt_print(line + len, 3, "\r\n");
}

void say(const char *fmt, ...)
{
    char line[LINE_MAX];
    CHAR16 wide[LINE_MAX];
    va_list args;

    va_start(args, fmt);
    make_line(line, fmt, args);
    va_end(args);
    com1_write(line);
    for (unsigned i = 0; i < LINE_MAX; i++)
        wide[i] = (CHAR16)(uint8_t)line[i];
    if (firmware->ConOut != NULL)
        firmware->ConOut->OutputString(firmware->ConOut, wide);
}

void say_late(const char *fmt, ...)
{
    char line[LINE_MAX];
    va_list args;

    va_start(args, fmt);
    make_line(line, fmt, args);
    va_end(args);
    com1_write(line);
}
