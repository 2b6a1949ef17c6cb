/* SPDX-License-Identifier: BSD-2-Clause */
/* Text formatting: the part of printf that the hypervisor uses. */
#ifndef LIB_FMT_H
#define LIB_FMT_H

#include <stdarg.h>
#include <stddef.h>

#include "lib/compiler.h"

/*
 * Format into buf, always NUL-terminated, cut off at size.
 *   buf, size  where to write; size > 0
 *   fmt        C's format: %d %i %u %x %X %c %s %p %%, flags 0 and -, a width (also *), a precision
 *              for %s, and the sizes l, ll, z
 *   return     characters in buf without the NUL (at most size - 1)
 */
size_t fmt_print(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);
size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list args) PRINTF(3, 0);

#endif
