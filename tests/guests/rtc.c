/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818A and CMOS memory. Source: Motorola MC146818A data sheet, "Registers". */
#include "tests/guests/devtest.h"

#define A     0x0au
#define B     0x0bu
#define C     0x0cu
#define D     0x0du
#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_DM  0x04u
#define B_24  0x02u

static void put(uint8_t index, uint8_t value)
{
    outb(PORT_RTC_INDEX, index);
    outb(PORT_RTC_DATA, value);
}

static void put_time(uint8_t hours, uint8_t minutes, uint8_t seconds)
{
    put(4, hours);
    put(2, minutes);
    put(0, seconds);
}

static uint32_t get_time(void)
{
    return (uint32_t)rtc_read(4) << 16 | (uint32_t)rtc_read(2) << 8 | rtc_read(0);
}

static uint32_t get_date(void)
{
    return (uint32_t)rtc_read(9) << 16 | (uint32_t)rtc_read(8) << 8 | rtc_read(7);
}

/* Some 100 us without an access that a hypervisor has to emulate, or an instruction QEMU is slow
 * at. */
static void idle(void)
{
    for (unsigned i = 0; i < 3000; i++)
        __asm__ volatile("" : : : "memory");
}

/* Until register C shows a flag of `mask`; C's value, 0 after `limit` us. */
static uint8_t wait_flag(uint8_t mask, unsigned limit)
{
    uint64_t start = rdtsc();
    uint8_t flags;

    do {
        if (limit > 100000)
            idle();
        flags = rtc_read(C);
    } while ((flags & mask) == 0 && rdtsc() - start < us(limit));
    return flags;
}

/* Format, time, and the day of 28 February 2024; then one update. */
static void run_from(uint8_t format, uint8_t hours, uint8_t minutes, uint8_t seconds)
{
    bool binary = (format & B_DM) != 0;

    put(B, B_SET | format);
    put_time(hours, minutes, seconds);
    put(6, 4);
    put(7, binary ? 28 : 0x28);
    put(8, 2);
    put(9, binary ? 24 : 0x24);
    put(0x32, binary ? 20 : 0x20);
    put(B, format | B_UIE);
    (void)rtc_read(C);
    (void)wait_flag(B_UIE, 2500000);
    put(B, format);
}

static void check_memory(void)
{
    static const uint8_t bytes[] = {0x0e, 0x10, 0x20, 0x33, 0x40, 0x5f, 0x7f};

    for (unsigned i = 0; i < sizeof(bytes); i++) {
        uint8_t saved = rtc_read(bytes[i]);

        put(bytes[i], 0xa5);
        check_at("memory", bytes[i], rtc_read(bytes[i]), 0xa5);
        put(bytes[i], saved);
    }
}

static void check_registers(void)
{
    check("d-valid", rtc_read(D), 0x80);
    put(D, 0);
    check("d-read-only", rtc_read(D), 0x80);
    put(A, 0x2f);
    check("a-reads-back", rtc_read(A) & 0x7f, 0x2f);
    put(A, 0xa6);
    check("uip-read-only", rtc_read(A) & 0x7f, 0x26);
    put(B, B_SET | B_24);
    check("uip-off-with-set", rtc_read(A) & 0x80, 0);
    put(B, B_SET | B_UIE | B_24);
    check("set-clears-uie", rtc_read(B), B_SET | B_24);
    put(B, B_24);
    check("b-reads-back", rtc_read(B), B_24);
}

static void check_setting(void)
{
    put(B, B_SET | B_24);
    put_time(0x23, 0x59, 0x58);
    check("set-time-reads-back", get_time(), 0x235958);
    (void)rtc_read(C);
    check("no-update-with-set", wait_flag(0x10, 1100000) & 0x10, 0);
    differs(QEMU, 0x10, "\"SET\": updates are inhibited; QEMU flags one");
    check("time-stands-with-set", get_time(), 0x235958);
    put(7, 0x30);
    check("set-day-reads-back", rtc_read(7), 0x30);
    run_from(B_24, 0x11, 0x22, 0x08);
    check("bcd-carry", get_time(), 0x112209);
    check("update-flag-cleared", rtc_read(C) & 0x90, 0);
    check("uip-off-after-update", rtc_read(A) & 0x80, 0);
    check("update-flag-without-uie", wait_flag(0x10, 1100000) & 0x90, 0x10);
    differs(BOCHS, 0, "\"Register C\": flags do not depend on their enables; Bochs's do");
    run_from(B_24, 0x23, 0x59, 0x59);
    check("midnight", get_time(), 0);
    check("leap-day", get_date(), 0x240229);
    check("weekday", rtc_read(6), 5);
}

static void check_formats(void)
{
    run_from(B_24 | B_DM, 12, 59, 59);
    check("binary", get_time(), 0x0d0000);
    run_from(0, 0x11, 0x59, 0x59);
    check("noon-is-12-pm", get_time(), 0x920000);
    run_from(0, 0x92, 0x59, 0x59);
    check("one-pm", get_time(), 0x810000);
    run_from(0, 0x91, 0x59, 0x59);
    check("midnight-is-12-am", get_time(), 0x120000);
    run_from(B_DM, 0x8b, 59, 59);
    check("binary-midnight", get_time(), 0x0c0000);
    put(B, B_SET | B_24);
}

static void check_periodic(void)
{
    uint64_t start, ticks;

    put(B, B_24);
    put(A, 0x26); /* 1024 Hz */
    (void)rtc_read(C);
    check("periodic-flag-without-enable", wait_flag(0x40, 5000) & 0xc0, 0x40);
    differs(BOCHS, 0, "as the update flag");
    differs(QEMU, 0, "\"Register C\": flags do not depend on their enables; QEMU's does");
    put(B, B_24 | B_PIE);
    (void)rtc_read(C);
    check("periodic-irqf", wait_flag(0x40, 5000) & 0xc0, 0xc0);
    check("c-cleared-by-reading", rtc_read(C) & 0xc0, 0);
    (void)wait_flag(0x40, 5000);
    start = rdtsc();
    for (unsigned i = 0; i < 16; i++)
        (void)wait_flag(0x40, 5000);
    ticks = rdtsc() - start; /* 15.6 ms */
    check("periodic-rate-6", within(ticks, us(14000), us(18000)), true);
    put(A, 0x28); /* 256 Hz */
    (void)rtc_read(C);
    (void)wait_flag(0x40, 20000);
    start = rdtsc();
    for (unsigned i = 0; i < 4; i++)
        (void)wait_flag(0x40, 20000);
    check("periodic-rate-8", within(rdtsc() - start, us(14000), us(18000)), true);
    put(A, 0x20);
    (void)rtc_read(C);
    check("rate-0-is-none", wait_flag(0x40, 20000) & 0x40, 0);
    put(A, 0x26);
    put(B, B_24);
}

static void check_alarm(void)
{
    put(B, B_SET | B_24);
    put_time(0x10, 0x20, 0x30);
    put(5, 0x10);
    put(3, 0x20);
    put(1, 0x32);
    put(A, 0x20); /* no periodic flag */
    put(B, B_24 | B_AIE);
    (void)rtc_read(C);
    check("alarm-irqf", wait_flag(0x20, 4000000) & 0xa0, 0xa0);
    check("alarm-time", get_time(), 0x102032);
    put(5, 0xff);
    put(3, 0xc0);
    put(1, 0xff); /* each second */
    check("alarm-dont-care", wait_flag(0x20, 2500000) & 0xa0, 0xa0);
    put(1, 0x70); /* never */
    (void)rtc_read(C);
    check("alarm-no-match", wait_flag(0x20, 1100000) & 0x20, 0);
    put(B, B_24 | B_UIE);
    (void)rtc_read(C);
    check("update-irqf", wait_flag(0x10, 2500000), 0x90);
    put(B, B_24);
    put(A, 0x26);
    (void)rtc_read(C);
}

static void check_irq(void)
{
    quiet();
    outb(PORT_PIC1_DATA, 0xfb);
    outb(PORT_PIC2_DATA, 0xfe);
    put(B, B_24 | B_UIE);
    (void)rtc_read(C);
    irq_count_clear();
    irq_hold_eoi(true);
    check("update-interrupt", irq_wait(VECTOR_PIC2, 1, us(1500000)), true);
    irq_hold_eoi(false);
    put(B, B_24);
    (void)rtc_read(C);
    quiet();
}

void test_rtc(void)
{
    quiet();
    check_memory();
    check_registers();
    check_setting();
    check_formats();
    check_periodic();
    check_alarm();
    check_irq();
}
