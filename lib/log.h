/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own messages: one call, one line. Where the line goes is the sink's business
 * (guest/console.c); lib only formats it.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>

#include "lib/compiler.h"

/*
 * Print one line, prefixed "[bulkhead] ".
 *   fmt      see lib/fmt.h; no newline at the end; at most 240 characters after formatting
 *   context  any core, root mode; safe before paging is set up; must not be called from a sink
 */
void log_line(const char *fmt, ...) PRINTF(1, 2);

/* The same, for the record of a failure: waits until it is out; nothing is queued afterwards. */
void log_urgent(const char *fmt, ...) PRINTF(1, 2);

/*
 * Where finished lines go; implemented once per program by whoever owns the output.
 *   line    NUL-terminated, with "\r\n" at its end
 *   urgent  the machine is about to stop: wait until it is out
 */
void log_sink(const char *line, bool urgent);

/*
 * The hypervisor cannot go on: a broken invariant of its own or a machine that misbehaves.
 * Prints "[bulkhead] PANIC: ..." on every output and halts the machine. Nothing a guest does may
 * lead here.
 */
NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);

/*
 * The machine cannot run this image: prints "[bulkhead] REFUSED: ..." and stops cleanly.
 * Used at boot, for what the CPU, firmware, boot loader or config do not allow.
 */
NORETURN void refuse(const char *fmt, ...) PRINTF(1, 2);

/* Stop all other cores for good, once; implemented by boot (and by tests). */
void machine_stop_others(void);

/* Stop this machine for good; implemented by arch/x86 (and by tests). Never returns. */
NORETURN void machine_halt(void);

#endif
