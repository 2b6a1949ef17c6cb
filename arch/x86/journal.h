/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own lines in memory that loaders and, mostly, firmware leave alone: after a warm
 * reset the next boot can say how this one ended. Each line is a record with a checksum of its own,
 * and written back from the caches at once: a reset empties them without.
 *
 * One journal, as there is one machine. Context: boot, or with the console's log lock held, or the
 * last core that runs.
 */
#ifndef ARCH_X86_JOURNAL_H
#define ARCH_X86_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_TEXT    248u
#define JOURNAL_RECORDS 256u
#define JOURNAL_LEN     (JOURNAL_RECORDS * 256u) /* bytes of memory */

/* What another boot left: its last line's number, counted from 1, and how many before are whole. */
struct journal_past {
    uint32_t last; /* 0: nothing was left */
    uint32_t count;
};

/*
 * Look at what is in the memory; nothing is written yet.
 *   memory  JOURNAL_LEN bytes, page-aligned: anything may be in there
 */
struct journal_past journal_open(void *memory);

/*
 * A line of the past: printable ASCII, whatever is in memory.
 *   number  last - count + 1 .. last
 *   out     JOURNAL_TEXT bytes
 */
void journal_past_line(uint32_t number, char out[JOURNAL_TEXT]);

/* Forget the past: lines are written from now on. */
void journal_start(void);

/* Where the memory is mapped from now on; NULL: nowhere, lines are not kept meanwhile. */
void journal_move(void *memory);

/*
 * A line of this boot.
 *   number  counted from 1
 *   out     as for journal_past_line
 *   return  whether it is kept
 */
bool journal_line(uint32_t number, char out[JOURNAL_TEXT]);

/* Keep a line, up to its first control character; before journal_start() nothing happens. */
void journal_add(const char *line);

#endif
