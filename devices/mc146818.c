/* SPDX-License-Identifier: BSD-2-Clause */
/* MC146818A real-time clock and CMOS memory. Source: MC146818A data sheet. */
#include "devices/mc146818.h"

#include "lib/time.h"

#define CRYSTAL_HZ        32768u
#define SECOND_SHIFT      15 /* a second is 2^15 ticks */

/* "Update cycle": UIP rises 244 us before it, and it takes 1984 us with this crystal. */
#define UIP_TICKS         (8u + 65u)

/* The divider chain is renumbered after so many ticks (18 hours): ratio_when has a limit. */
#define RENUMBER_TICKS    (1ull << 31)
#define RATIO_LIMIT       (1ull << 40)

/* Bytes of the memory map */
#define REG_SECONDS       0x00u
#define REG_SECOND_ALARM  0x01u
#define REG_MINUTES       0x02u
#define REG_MINUTE_ALARM  0x03u
#define REG_HOURS         0x04u
#define REG_HOUR_ALARM    0x05u
#define REG_WEEKDAY       0x06u /* 1 = Sunday */
#define REG_DAY           0x07u
#define REG_MONTH         0x08u
#define REG_YEAR          0x09u
#define REG_A             0x0au
#define REG_B             0x0bu
#define REG_C             0x0cu
#define REG_D             0x0du
#define REG_MEMORY        0x0eu /* and above */

/* Register A */
#define A_UIP             0x80u /* [7] update in progress; not stored */
#define A_DIVIDER         0x70u /* [6:4] 2 = 32768 Hz */
#define A_DIVIDER_RESET   0x60u /* 6 and 7 hold the divider chain in reset */
#define A_RATE            0x0fu /* [3:0] of the periodic interrupt */
#define A_POWER_ON        0x26u

/* Register B; its interrupt enables sit where register C has their flags */
#define B_SET             0x80u /* [7] no updates */
#define B_UIE             0x10u /* [4] update-ended interrupt */
#define B_SQWE            0x08u /* [3] square wave pin: not connected in a PC */
#define B_BINARY          0x04u /* [2] DM */
#define B_24_HOURS        0x02u /* [1] */
#define B_INTERRUPTS      0x70u /* [6] PIE, [5] AIE, [4] UIE */

/* Register C */
#define C_IRQF            0x80u /* [7] */
#define C_PF              0x40u /* [6] periodic */
#define C_AF              0x20u /* [5] alarm */
#define C_UF              0x10u /* [4] update ended */
#define C_FLAGS           0x70u

#define D_VRT             0x80u /* [7] the battery is good */

#define HOUR_PM           0x80u /* in 12-hour mode */
#define ALARM_DONT_CARE   0xc0u /* both bits set */
#define SECONDS_OF_A_DAY  86400u

/* What an alarm byte asks for, beside a number. */
#define ALARM_ANY         0x100u
#define ALARM_NEVER       0x101u
#define NO_MATCH          0x102u

/* Days from 0000-03-01 less 400 years to 1970-01-01; 400 years more keep all numbers positive. */
#define DAYS_OF_400_YEARS 146097u
#define DAYS_TO_1970      (719468u + DAYS_OF_400_YEARS)

struct date {
    uint64_t year; /* 0.. */
    unsigned month;
    unsigned day;
};

struct alarm {
    unsigned hour, minute, second; /* a number in range or ALARM_ANY */
};

/* --- formats --- */

static bool binary_mode(const struct mc146818 *rtc)
{
    return (rtc->cmos[REG_B] & B_BINARY) != 0;
}

static uint8_t encode(const struct mc146818 *rtc, unsigned value)
{
    return (uint8_t)(binary_mode(rtc) ? value : value / 10 << 4 | value % 10);
}

/* Takes any byte: 0..255. */
static unsigned decode(const struct mc146818 *rtc, uint8_t byte)
{
    return binary_mode(rtc) ? byte : (byte >> 4) * 10u + (byte & 0x0fu);
}

static uint8_t encode_hour(const struct mc146818 *rtc, unsigned hour)
{
    unsigned on_dial = hour % 12 == 0 ? 12 : hour % 12;

    if ((rtc->cmos[REG_B] & B_24_HOURS) != 0)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, on_dial) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct mc146818 *rtc, uint8_t byte)
{
    if ((rtc->cmos[REG_B] & B_24_HOURS) != 0)
        return decode(rtc, byte);
    return decode(rtc, byte & 0x7fu) % 12 + ((byte & HOUR_PM) != 0 ? 12 : 0);
}

/* --- calendar: days are counted from DAYS_TO_1970's origin, years begin in March --- */

static uint64_t days_from_date(struct date d)
{
    uint64_t year = d.year + 400 - (d.month <= 2 ? 1 : 0);
    uint64_t year_of_era = year % 400;
    unsigned month = (d.month + 9) % 12; /* March is 0 */
    uint64_t day_of_year = (153 * month + 2) / 5 + d.day;

    return year / 400 * DAYS_OF_400_YEARS + year_of_era * 365 + year_of_era / 4 -
           year_of_era / 100 + day_of_year - 1;
}

static struct date date_from_days(uint64_t days)
{
    uint64_t day_of_era = days % DAYS_OF_400_YEARS;
    uint64_t leap_days = day_of_era / 1460 - day_of_era / 36524 + day_of_era / 146096;
    uint64_t year_of_era = (day_of_era - leap_days) / 365;
    uint64_t first_day = year_of_era * 365 + year_of_era / 4 - year_of_era / 100;
    unsigned day_of_year = (unsigned)(day_of_era - first_day);
    unsigned month = (5 * day_of_year + 2) / 153;
    struct date d = {
        .year = days / DAYS_OF_400_YEARS * 400 + year_of_era - 400 + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
    };

    return d;
}

/* Months that do not exist count as January or December. */
static struct date read_date(const struct mc146818 *rtc)
{
    unsigned month = decode(rtc, rtc->cmos[REG_MONTH]);
    struct date d = {
        .year =
            decode(rtc, rtc->cmos[MC146818_CENTURY]) * 100ull + decode(rtc, rtc->cmos[REG_YEAR]),
        .month = month == 0   ? 1
                 : month > 12 ? 12
                              : month,
        .day = decode(rtc, rtc->cmos[REG_DAY]),
    };

    return d;
}

static void write_date(struct mc146818 *rtc, struct date d)
{
    rtc->cmos[MC146818_CENTURY] = encode(rtc, (unsigned)(d.year / 100 % 100));
    rtc->cmos[REG_YEAR] = encode(rtc, (unsigned)(d.year % 100));
    rtc->cmos[REG_MONTH] = encode(rtc, d.month);
    rtc->cmos[REG_DAY] = encode(rtc, d.day);
}

static uint64_t read_time_of_day(const struct mc146818 *rtc)
{
    return decode_hour(rtc, rtc->cmos[REG_HOURS]) * 3600ull +
           decode(rtc, rtc->cmos[REG_MINUTES]) * 60ull + decode(rtc, rtc->cmos[REG_SECONDS]);
}

static void write_time_of_day(struct mc146818 *rtc, unsigned seconds)
{
    rtc->cmos[REG_HOURS] = encode_hour(rtc, seconds / 3600);
    rtc->cmos[REG_MINUTES] = encode(rtc, seconds / 60 % 60);
    rtc->cmos[REG_SECONDS] = encode(rtc, seconds % 60);
}

static void add_days(struct mc146818 *rtc, uint64_t days)
{
    uint64_t weekday = decode(rtc, rtc->cmos[REG_WEEKDAY]) + 6ull + days;

    rtc->cmos[REG_WEEKDAY] = encode(rtc, (unsigned)(weekday % 7) + 1);
    write_date(rtc, date_from_days(days_from_date(read_date(rtc)) + days));
}

/* The date is touched at midnight only: a guest may be half way through writing it. */
static void add_seconds(struct mc146818 *rtc, uint64_t seconds)
{
    uint64_t total = read_time_of_day(rtc) + seconds;

    write_time_of_day(rtc, (unsigned)(total % SECONDS_OF_A_DAY));
    if (total >= SECONDS_OF_A_DAY)
        add_days(rtc, total / SECONDS_OF_A_DAY);
}

/* --- alarm --- */

/* The chip compares bytes: one that the clock never shows never matches. */
static unsigned read_alarm_byte(const struct mc146818 *rtc, unsigned reg, unsigned limit)
{
    uint8_t byte = rtc->cmos[reg];
    bool hours = reg == REG_HOUR_ALARM;
    unsigned value = hours ? decode_hour(rtc, byte) : decode(rtc, byte);

    if ((byte & ALARM_DONT_CARE) == ALARM_DONT_CARE)
        return ALARM_ANY;
    if (value >= limit || (hours ? encode_hour(rtc, value) : encode(rtc, value)) != byte)
        return ALARM_NEVER;
    return value;
}

/* The smallest number that matches, from `from` to below `limit`; or NO_MATCH. */
static unsigned first_match(unsigned wanted, unsigned from, unsigned limit)
{
    if (wanted == ALARM_ANY)
        return from < limit ? from : NO_MATCH;
    return wanted >= from ? wanted : NO_MATCH;
}

/* The first time of day that matches, `from` or later, and if there is none, the first at all. */
static unsigned first_alarm(struct alarm a, unsigned from)
{
    unsigned hour = from / 3600;
    unsigned minute = from / 60 % 60;
    unsigned second = first_match(a.second, from % 60, 60);
    bool this_hour = first_match(a.hour, hour, 24) == hour;

    if (this_hour && first_match(a.minute, minute, 60) == minute && second != NO_MATCH)
        return hour * 3600 + minute * 60 + second;
    second = first_match(a.second, 0, 60);
    minute = first_match(a.minute, minute + 1, 60);
    if (this_hour && minute != NO_MATCH)
        return hour * 3600 + minute * 60 + second;
    minute = first_match(a.minute, 0, 60);
    hour = first_match(a.hour, hour + 1, 24);
    if (hour == NO_MATCH)
        hour = first_match(a.hour, 0, 24);
    return hour * 3600 + minute * 60 + second;
}

/* Updates until the alarm matches: 1..86400, or 0 for never. */
static unsigned seconds_to_alarm(const struct mc146818 *rtc)
{
    unsigned from = (unsigned)((read_time_of_day(rtc) + 1) % SECONDS_OF_A_DAY);
    struct alarm a = {
        .hour = read_alarm_byte(rtc, REG_HOUR_ALARM, 24),
        .minute = read_alarm_byte(rtc, REG_MINUTE_ALARM, 60),
        .second = read_alarm_byte(rtc, REG_SECOND_ALARM, 60),
    };
    unsigned match;

    if (a.hour == ALARM_NEVER || a.minute == ALARM_NEVER || a.second == ALARM_NEVER)
        return 0;
    match = first_alarm(a, from);
    return (match + SECONDS_OF_A_DAY - from) % SECONDS_OF_A_DAY + 1;
}

/* --- divider chain --- */

static bool divider_held(const struct mc146818 *rtc)
{
    return (rtc->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool updates_run(const struct mc146818 *rtc)
{
    return !divider_held(rtc) && (rtc->cmos[REG_B] & B_SET) == 0;
}

/*
 * Count of the divider chain; never runs backwards, even if `now` does between two cores. Only the
 * 32768 Hz time base is wired: its settings for other crystals run the same.
 */
static uint64_t divider_count(const struct mc146818 *rtc, uint64_t now)
{
    uint64_t elapsed = now > rtc->start ? now - rtc->start : 0;
    uint64_t count = rtc->phase + ratio_ticks(rtc->clock, elapsed);

    return divider_held(rtc) || count < rtc->seen ? rtc->seen : count;
}

static void set_divider(struct mc146818 *rtc, uint64_t now, uint64_t count)
{
    rtc->start = now;
    rtc->phase = count;
    rtc->seen = count;
}

/*
 * Count on from the beginning of the present tick, so that no fraction of it is lost, to the
 * TSC tick; but from `now` if nobody looked for a year, where that beginning would take long to
 * find.
 */
static void renumber_divider(struct mc146818 *rtc, uint64_t now)
{
    uint64_t ticks = rtc->seen - rtc->phase;
    uint64_t tick_start = now;

    if (ticks < RATIO_LIMIT)
        tick_start = rtc->start + ratio_when(rtc->clock, ticks);
    set_divider(rtc, tick_start, rtc->seen % CRYSTAL_HZ);
}

/* The periodic flag rises each 2^n ticks; 0 for never. "Periodic Interrupt Selection". */
static unsigned periodic_shift(const struct mc146818 *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & A_RATE;

    if (rate == 0)
        return 0;
    return rate <= 2 ? rate + 6 : rate - 1;
}

static void update_clock(struct mc146818 *rtc, uint64_t seconds)
{
    unsigned to_alarm = seconds_to_alarm(rtc);

    rtc->cmos[REG_C] |= C_UF;
    if (to_alarm != 0 && to_alarm <= seconds)
        rtc->cmos[REG_C] |= C_AF;
    add_seconds(rtc, seconds);
}

/* Registers and flags become what they are at `now`. */
static void catch_up(struct mc146818 *rtc, uint64_t now)
{
    uint64_t count = divider_count(rtc, now);
    uint64_t seconds = (count >> SECOND_SHIFT) - (rtc->seen >> SECOND_SHIFT);
    unsigned shift = periodic_shift(rtc);

    if (shift != 0 && count >> shift != rtc->seen >> shift)
        rtc->cmos[REG_C] |= C_PF;
    if (seconds != 0 && updates_run(rtc))
        update_clock(rtc, seconds);
    rtc->seen = count;
    if (count >= RENUMBER_TICKS)
        renumber_divider(rtc, now);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Divider count of the next enabled interrupt, given that none is pending; or TIME_NEVER. */
static uint64_t next_interrupt(const struct mc146818 *rtc)
{
    uint8_t enabled = rtc->cmos[REG_B];
    unsigned shift = periodic_shift(rtc);
    unsigned to_alarm = (enabled & C_AF) != 0 ? seconds_to_alarm(rtc) : 0;
    uint64_t second = rtc->seen >> SECOND_SHIFT;
    uint64_t next = TIME_NEVER;

    if ((enabled & C_PF) != 0 && shift != 0)
        next = ((rtc->seen >> shift) + 1) << shift;
    if ((enabled & C_UF) != 0) /* SET clears it: updates run */
        next = earlier(next, (second + 1) << SECOND_SHIFT);
    if (to_alarm != 0 && updates_run(rtc))
        next = earlier(next, (second + to_alarm) << SECOND_SHIFT);
    return next;
}

static uint64_t next_deadline(const struct mc146818 *rtc)
{
    uint64_t next;

    if ((rtc->cmos[REG_C] & C_IRQF) != 0 || divider_held(rtc))
        return TIME_NEVER;
    next = next_interrupt(rtc);
    return next == TIME_NEVER ? TIME_NEVER : rtc->start + ratio_when(rtc->clock, next - rtc->phase);
}

/* Outputs follow the registers: last step of everything that changes a register. */
static void settle(struct mc146818 *rtc)
{
    uint8_t flags = rtc->cmos[REG_C] & C_FLAGS;

    if ((flags & rtc->cmos[REG_B]) != 0)
        flags |= C_IRQF;
    rtc->cmos[REG_C] = flags;
    rtc->deadline = next_deadline(rtc);
}

/* --- registers --- */

static uint8_t read_a(const struct mc146818 *rtc)
{
    uint64_t left = CRYSTAL_HZ - rtc->seen % CRYSTAL_HZ;
    bool in_progress = updates_run(rtc) && left <= UIP_TICKS;

    return (uint8_t)(rtc->cmos[REG_A] | (in_progress ? A_UIP : 0));
}

static uint8_t read_c(struct mc146818 *rtc)
{
    uint8_t flags = rtc->cmos[REG_C];

    rtc->cmos[REG_C] = 0;
    settle(rtc);
    return flags;
}

/* "The first update cycle begins one-half second" after the divider chain is let go. */
static void write_a(struct mc146818 *rtc, uint8_t value, uint64_t now)
{
    bool was_held = divider_held(rtc);

    rtc->cmos[REG_A] = value & (A_DIVIDER | A_RATE);
    if (was_held && !divider_held(rtc))
        set_divider(rtc, now, CRYSTAL_HZ / 2);
}

static void write_b(struct mc146818 *rtc, uint8_t value)
{
    if ((value & B_SET) != 0) /* SET going high clears UIE */
        value &= (uint8_t)~B_UIE;
    rtc->cmos[REG_B] = value;
}

static uint8_t read_register(struct mc146818 *rtc)
{
    switch (rtc->index) {
    case REG_A: return read_a(rtc);
    case REG_C: return read_c(rtc);
    default: return rtc->cmos[rtc->index];
    }
}

static void write_register(struct mc146818 *rtc, uint8_t value, uint64_t now)
{
    switch (rtc->index) {
    case REG_A: write_a(rtc, value, now); break;
    case REG_B: write_b(rtc, value); break;
    case REG_C:
    case REG_D: break; /* read only */
    default: rtc->cmos[rtc->index] = value; break;
    }
}

/* --- interface --- */

void mc146818_reset(struct mc146818 *rtc, uint64_t tsc_hz, uint64_t now, uint64_t unix_time_seconds)
{
    uint64_t days = unix_time_seconds / SECONDS_OF_A_DAY;

    *rtc = (struct mc146818){
        .clock = ratio_make(tsc_hz, CRYSTAL_HZ),
        .start = now,
        .cmos = {[REG_A] = A_POWER_ON, [REG_B] = B_24_HOURS, [REG_D] = D_VRT},
    };
    write_time_of_day(rtc, (unsigned)(unix_time_seconds % SECONDS_OF_A_DAY));
    write_date(rtc, date_from_days(days + DAYS_TO_1970));
    rtc->cmos[REG_WEEKDAY] = encode(rtc, (unsigned)((days + 4) % 7) + 1); /* 1970: Thursday */
    settle(rtc);
}

void mc146818_reset_line(struct mc146818 *rtc, uint64_t now)
{
    catch_up(rtc, now);
    rtc->cmos[REG_B] &= (uint8_t) ~(B_INTERRUPTS | B_SQWE);
    rtc->cmos[REG_C] = 0;
    settle(rtc);
}

uint8_t mc146818_read(struct mc146818 *rtc, uint16_t port, uint64_t now)
{
    if (port != MC146818_PORT_DATA)
        return 0xff;
    mc146818_advance(rtc, now);
    return read_register(rtc);
}

void mc146818_write(struct mc146818 *rtc, uint16_t port, uint8_t value, uint64_t now)
{
    if (port == MC146818_PORT_INDEX)
        rtc->index = value % MC146818_CMOS_LEN;
    if (port != MC146818_PORT_DATA)
        return;
    catch_up(rtc, now);
    write_register(rtc, value, now);
    settle(rtc);
}

void mc146818_set_cmos(struct mc146818 *rtc, unsigned index, uint8_t value)
{
    if (index >= REG_MEMORY && index < MC146818_CMOS_LEN && index != MC146818_CENTURY)
        rtc->cmos[index] = value;
}

bool mc146818_irq(const struct mc146818 *rtc)
{
    return (rtc->cmos[REG_C] & C_IRQF) != 0;
}

void mc146818_advance(struct mc146818 *rtc, uint64_t now)
{
    catch_up(rtc, now);
    settle(rtc);
}

bool mc146818_ok(const struct mc146818 *rtc)
{
    bool pending = (rtc->cmos[REG_C] & rtc->cmos[REG_B] & C_FLAGS) != 0;

    return rtc->index < MC146818_CMOS_LEN && rtc->phase < CRYSTAL_HZ && rtc->phase <= rtc->seen &&
           rtc->seen < RENUMBER_TICKS && (rtc->cmos[REG_A] & A_UIP) == 0 &&
           (rtc->cmos[REG_B] & (B_SET | B_UIE)) != (B_SET | B_UIE) && rtc->cmos[REG_D] == D_VRT &&
           (rtc->cmos[REG_C] & ~(C_IRQF | C_FLAGS)) == 0 && pending == mc146818_irq(rtc) &&
           rtc->deadline == next_deadline(rtc);
}
