/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table dump, Ctrl-] t: what decides which memory, ports and MSRs the guests reach, as it is in
 * the hardware and in memory now, for somebody who trusts neither the hypervisor nor its compiler
 * (scripts/second_opinion). Raw numbers, no interpretation; the format is in dump.c.
 *
 * Nobody waits: each core reads its vCPU's control structure when it takes the kick, and when all
 * have, whoever feeds the UART makes the next line whenever the console has room for one.
 */
#ifndef GUEST_DUMP_H
#define GUEST_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct isolation;

/* Which pages there are to show, and the host's map: once, at boot; they stay in use. */
void dump_init(const struct isolation *found);

/* Somebody asks for a dump. Context: the console's core, no lock held. */
void dump_request(void);

/* A core was kicked: if a dump is wanted, its vCPUs' control structures are read. */
void dump_answer(uint32_t core);

/* Whether dump_next() has a line. Any core. */
bool dump_ready(void);

/*
 * The next line, without an end of line.
 *   size    of line, at least 200
 *   return  its length; 0: there is none now
 * Context: the console's lock is held.
 */
size_t dump_next(char *line, size_t size);

#endif
