/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/journal.h"

#include <stddef.h>

#include "arch/x86/asm.h"
#include "lib/string.h"

#define CACHE_LINE 64u
#define SUM_START  0x42554c4bu /* a record that is all zero is no record */
#define SUM_PRIME  16777619u

/* Line n is in record n % JOURNAL_RECORDS. The next boot reads it, of another version perhaps. */
struct record {
    uint32_t sum; /* of number and text: FNV-1a, from SUM_START */
    uint32_t number;
    char text[JOURNAL_TEXT]; /* ends in 0 */
};
_Static_assert(sizeof(struct record) * JOURNAL_RECORDS == JOURNAL_LEN, "whole records");

static struct {
    struct record *records;
    uint32_t last; /* number of the last line written */
    bool started;
} journal;

static uint32_t sum_of(const struct record *r)
{
    const uint8_t *bytes = (const uint8_t *)&r->number;
    uint32_t sum = SUM_START;

    for (size_t i = 0; i < sizeof(*r) - offsetof(struct record, number); i++)
        sum = (sum ^ bytes[i]) * SUM_PRIME;
    return sum;
}

static bool has_line(uint32_t number)
{
    const struct record *r = &journal.records[number % JOURNAL_RECORDS];

    return r->number == number && r->text[JOURNAL_TEXT - 1] == '\0' && r->sum == sum_of(r);
}

struct journal_past journal_open(void *memory)
{
    struct journal_past past = {0};

    journal.records = memory;
    journal.started = false;
    for (uint32_t i = 0; i < JOURNAL_RECORDS; i++) {
        uint32_t number = journal.records[i].number;

        if (number > past.last && number % JOURNAL_RECORDS == i && has_line(number))
            past.last = number;
    }
    while (past.count < JOURNAL_RECORDS && past.last > past.count &&
           has_line(past.last - past.count))
        past.count++;
    return past;
}

void journal_past_line(uint32_t number, char out[JOURNAL_TEXT])
{
    memcpy(out, journal.records[number % JOURNAL_RECORDS].text, JOURNAL_TEXT);
    out[JOURNAL_TEXT - 1] = '\0';
    for (char *c = out; *c != '\0'; c++)
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
}

static void write_back(const void *from, size_t len)
{
    for (const char *p = from; p < (const char *)from + len; p += CACHE_LINE)
        clflush(p);
}

void journal_start(void)
{
    memset(journal.records, 0, JOURNAL_LEN);
    write_back(journal.records, JOURNAL_LEN);
    journal.last = 0;
    journal.started = true;
}

void journal_move(void *memory)
{
    journal.records = memory;
}

bool journal_line(uint32_t number, char out[JOURNAL_TEXT])
{
    if (journal.records == NULL || number > journal.last || !has_line(number))
        return false;
    journal_past_line(number, out);
    return true;
}

void journal_add(const char *line)
{
    if (journal.records == NULL || !journal.started)
        return;
    struct record *r = &journal.records[++journal.last % JOURNAL_RECORDS];

    memset(r, 0, sizeof(*r));
    r->number = journal.last;
    for (uint32_t i = 0; i < JOURNAL_TEXT - 1 && line[i] >= ' '; i++)
        r->text[i] = line[i];
    r->sum = sum_of(r);
    write_back(r, sizeof(*r));
}
