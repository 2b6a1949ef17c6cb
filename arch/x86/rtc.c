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
#define DAYS_TO_1970 719468 /* from 0000-03-01 */

struct reading {
    uint8_t seconds, minutes, hours, day, month, year, mode;
};

static uint8_t cmos(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static struct reading read_registers(void)
{
    for (unsigned i = 0; i < POLL_LIMIT && (cmos(REG_A) & UIP) != 0; i++)
        ;
    return (struct reading){cmos(SECONDS), cmos(MINUTES), cmos(HOURS), cmos(DAY),
                            cmos(MONTH),   cmos(YEAR),    cmos(REG_B)};
}

static unsigned decode(uint8_t value, uint8_t mode)
{
    return mode & BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static unsigned decode_hours(const struct reading *r)
{
    unsigned hours = decode(r->hours & 0x7f, r->mode);

    if (r->mode & HOURS_24)
        return hours;
    return hours % 12 + (r->hours & HOUR_PM ? 12 : 0);
}

/* Days since 1970-01-01 of a Gregorian date; years counted from March. */
static int64_t days_since_1970(int64_t year, unsigned month, unsigned day)
{
    if (month <= 2)
        year--;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - DAYS_TO_1970;
}

uint64_t rtc_read(void)
{
    struct reading r = read_registers();
    struct reading again = read_registers();

    for (unsigned i = 0; i < 5 && memcmp(&r, &again, sizeof(r)) != 0; i++) {
        r = again;
        again = read_registers();
    }
    unsigned month = decode(r.month, r.mode);
    unsigned day = decode(r.day, r.mode);

    if (month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    int64_t days = days_since_1970(2000 + (int64_t)decode(r.year, r.mode), month, day);

    return (uint64_t)days * 86400 + decode_hours(&r) * 3600u + decode(r.minutes, r.mode) * 60u +
           decode(r.seconds, r.mode);
}
