/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/fmt.h"

#include <stdbool.h>
#include <stdint.h>

struct out {
    char *buf;
    size_t size;
    size_t len;
};

struct spec {
    bool left;
    bool zero;
    bool is_long;
    int width;
    int precision; /* -1: none given */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len++] = c;
}

static void put_padded(struct out *o, const struct spec *s, const char *text, int len)
{
    for (int i = len; !s->left && i < s->width; i++)
        put(o, ' ');
    for (int i = 0; i < len; i++)
        put(o, text[i]);
    for (int i = len; s->left && i < s->width; i++)
        put(o, ' ');
}

static void put_char(struct out *o, const struct spec *s, char c)
{
    put_padded(o, s, &c, 1);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
    int len = 0;

    if (text == NULL)
        text = "(null)";
    while ((s->precision < 0 || len < s->precision) && text[len] != '\0')
        len++;
    put_padded(o, s, text, len);
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, unsigned base,
                       bool negative, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[66];
    int at = (int)sizeof(text);
    int room = s->zero && !s->left ? s->width - (negative ? 1 : 0) : 0;

    do {
        text[--at] = digits[value % base];
        value /= base;
        room--;
    } while (value != 0);
    while (room-- > 0 && at > 1)
        text[--at] = '0';
    if (negative)
        text[--at] = '-';
    put_padded(o, s, text + at, (int)sizeof(text) - at);
}

static const char *parse_number(const char *p, int *value, va_list *args)
{
    if (*p == '*') {
        *value = va_arg(*args, int);
        return p + 1;
    }
    *value = 0;
    while (*p >= '0' && *p <= '9')
        *value = *value * 10 + (*p++ - '0');
    return p;
}

static const char *parse_spec(const char *p, struct spec *s, va_list *args)
{
    *s = (struct spec){.precision = -1};
    for (; *p == '-' || *p == '0'; p++) {
        s->left |= *p == '-';
        s->zero |= *p == '0';
    }
    p = parse_number(p, &s->width, args);
    if (*p == '.')
        p = parse_number(p + 1, &s->precision, args);
    for (; *p == 'l' || *p == 'z'; p++)
        s->is_long = true;
    return p;
}

static uint64_t take_unsigned(const struct spec *s, va_list *args)
{
    return s->is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned int);
}

static void put_signed(struct out *o, const struct spec *s, va_list *args)
{
    int64_t value = s->is_long ? va_arg(*args, long) : va_arg(*args, int);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    put_number(o, s, magnitude, 10, value < 0, false);
}

static void put_conversion(struct out *o, const struct spec *s, char kind, va_list *args)
{
    switch (kind) {
    case 'd':
    case 'i': put_signed(o, s, args); break;
    case 'u': put_number(o, s, take_unsigned(s, args), 10, false, false); break;
    case 'x': put_number(o, s, take_unsigned(s, args), 16, false, false); break;
    case 'X': put_number(o, s, take_unsigned(s, args), 16, false, true); break;
    case 'p': put_number(o, s, (uintptr_t)va_arg(*args, void *), 16, false, false); break;
    case 'c': put_char(o, s, (char)va_arg(*args, int)); break;
    case 's': put_string(o, s, va_arg(*args, const char *)); break;
    default: put(o, kind); break;
    }
}

size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list args)
{
    struct out o = {.buf = buf, .size = size};
    va_list copy;

    va_copy(copy, args);
    for (const char *p = fmt; *p != '\0'; p++) {
        struct spec s;

        if (*p != '%') {
            put(&o, *p);
            continue;
        }
        p = parse_spec(p + 1, &s, &copy);
        if (*p == '\0')
            break;
        put_conversion(&o, &s, *p, &copy);
    }
    va_end(copy);
    buf[o.len] = '\0';
    return o.len;
}

size_t fmt_print(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    size_t len = fmt_vprint(buf, size, fmt, args);
    va_end(args);
    return len;
}
