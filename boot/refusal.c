/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/refusal.h"

#include <stdarg.h>

#include "lib/fmt.h"
#include "lib/log.h"

/* The problem that was found last: it is the refusal, if no other one follows. */
static struct {
    uint32_t mask; /* of all */
    char text[220];
} found;

static void add(uint32_t mask, const char *fmt, va_list args) PRINTF(2, 0);

static void add(uint32_t mask, const char *fmt, va_list args)
{
    if (found.text[0] != '\0')
        log_line("%s", found.text);
    fmt_vprint(found.text, sizeof(found.text), fmt, args);
    found.mask |= mask;
}

static NORETURN void end(void)
{
    reasons_log_actions(found.mask);
    refuse("%s", found.text);
}

void refusal_add(uint32_t mask, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(mask, fmt, args);
    va_end(args);
}

void refusal_end(void)
{
    if (found.text[0] != '\0')
        end();
}

void refusal_now(uint32_t mask, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(mask, fmt, args);
    va_end(args);
    end();
}
