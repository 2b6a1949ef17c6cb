/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/rtc.h"

#include <stdbool.h>

#include "arch/x86/asm.h"
#include "lib/string.h"

enum { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH = 8, YEAR = 9, REG_A = 10, REG_B = 11 };

#define UIP          0x80 /* register A: an update is in progress */
#define HOURS_24     0x02 /* register B */
#define BINARY       0x04
#define HOUR_PM      0x80
#define POLL_LIMIT   1000000u
#define DAYS_TO_1970 719468u /* from 0000-03-01 */

static uint8_t cmos(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static struct rtc_registers read_registers(void)
{
    for (unsigned i = 0; i < POLL_LIMIT && (cmos(REG_A) & UIP) != 0; i++)
        ;
    return (struct rtc_registers){cmos(SECONDS), cmos(MINUTES), cmos(HOURS), cmos(DAY),
                                  cmos(MONTH),   cmos(YEAR),    cmos(REG_B)};
}

/* The number in a byte; 255, which is no time, if it is not a number. */
static unsigned decode(uint8_t value, uint8_t register_b)
{
    if ((register_b & BINARY) != 0)
        return value;
    return value >> 4 > 9 || (value & 15) > 9 ? 255 : (value >> 4) * 10u + (value & 15);
}

/* 12-hour clocks count 12, 1, 2 .. 11 with a PM flag. */
static unsigned decode_hours(const struct rtc_registers *r)
{
    unsigned hours;

    if ((r->register_b & HOURS_24) != 0)
        return decode(r->hours, r->register_b);
    hours = decode(r->hours & 0x7f, r->register_b);
    if (hours < 1 || hours > 12)
        return 255;
    return hours % 12 + ((r->hours & HOUR_PM) != 0 ? 12 : 0);
}

/* Days since 1970-01-01 of a Gregorian date; years counted from March. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    if (month <= 2)
        year--;
    unsigned era = year / 400;
    unsigned year_of_era = year - era * 400;
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097u + day_of_era - DAYS_TO_1970;
}

uint64_t rtc_decode(const struct rtc_registers *r)
{
    unsigned seconds = decode(r->seconds, r->register_b);
    unsigned minutes = decode(r->minutes, r->register_b);
    unsigned hours = decode_hours(r);
    unsigned day = decode(r->day, r->register_b);
    unsigned month = decode(r->month, r->register_b);
    unsigned year = decode(r->year, r->register_b);

    if (seconds > 59 || minutes > 59 || hours > 23 || year > 99)
        return 0;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    return days_since_1970(2000 + year, month, day) * 86400 + hours * 3600u + minutes * 60u +
           seconds;
}

uint64_t rtc_read(void)
{
    struct rtc_registers r = read_registers();
    struct rtc_registers again = read_registers();

    for (unsigned i = 0; i < 5 && memcmp(&r, &again, sizeof(r)) != 0; i++) {
        r = again;
        again = read_registers();
    }
    return rtc_decode(&again);
}
