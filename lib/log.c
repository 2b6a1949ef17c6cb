/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/log.h"

#include <stdarg.h>

#include "lib/fmt.h"

static void emit(const char *mark, bool urgent, const char *fmt, va_list args) PRINTF(3, 0);

static void emit(const char *mark, bool urgent, const char *fmt, va_list args)
{
    char line[256];
    size_t len = fmt_print(line, sizeof(line) - 2, "[bulkhead] %s", mark);

    len += fmt_vprint(line + len, sizeof(line) - 2 - len, fmt, args);
    line[len++] = '\r';
    line[len++] = '\n';
    line[len] = '\0';
    log_sink(line, urgent);
}

void log_line(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit("", false, fmt, args);
    va_end(args);
}

void log_urgent(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit("", true, fmt, args);
    va_end(args);
}

void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit("PANIC: ", true, fmt, args);
    va_end(args);
    machine_halt();
}

void refuse(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit("REFUSED: ", true, fmt, args);
    va_end(args);
    machine_halt();
}
