/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A static program for the Linux guest, without libc: prints the TSC at the kernel's entry, as
 * scripts/time_kernel noted it, and now: `ticks: entry N now N`. Then it powers off. With an
 * argument it only prints `ticks: ARGUMENT N`.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

#define SYS_READ   0
#define SYS_WRITE  1
#define SYS_OPEN   2
#define SYS_IOCTL  16
#define SYS_EXIT   60
#define SYS_REBOOT 169

#define TCSBRK     0x5409 /* with 1: wait until all output was sent */

#define NOTE       0x78 /* offset in boot_params, see scripts/time_kernel */

static long system_call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void print(const char *text, size_t len)
{
    (void)system_call(SYS_WRITE, 1, (long)text, (long)len);
}

static void print_number(uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(digits + at, sizeof(digits) - at);
}

/* The stack holds argc, then argv. */
__asm__(".globl _start\n"
        "_start:\n\t"
        "mov %rsp, %rdi\n\t"
        "and $-16, %rsp\n\t"
        "call tsc_main\n");

static void print_text(const char *text)
{
    size_t len = 0;

    while (text[len] != 0)
        len++;
    print(text, len);
}

static NORETURN void note(const char *name, uint64_t now)
{
    print_text("ticks: ");
    print_text(name);
    print_text(" ");
    print_number(now);
    print_text("\n");
    for (;;)
        (void)system_call(SYS_EXIT, 0, 0, 0);
}

NORETURN void tsc_main(const uint64_t *stack);

NORETURN void tsc_main(const uint64_t *stack)
{
    uint64_t now = rdtsc();
    uint64_t params[4096 / 8] = {0};
    long file;

    if (stack[0] > 1)
        note((const char *)stack[2], now);
    file = system_call(SYS_OPEN, (long)"/sys/kernel/boot_params/data", 0, 0);
    (void)system_call(SYS_READ, file, (long)params, sizeof(params));
    print_text("ticks: entry ");
    print_number(params[NOTE / 8]);
    print_text(" now ");
    print_number(now);
    print_text("\n");
    (void)system_call(SYS_IOCTL, 1, TCSBRK, 1);
    (void)system_call(SYS_REBOOT, 0xfee1dead, 0x28121969, 0x4321fedc);
    for (;;)
        ;
}
