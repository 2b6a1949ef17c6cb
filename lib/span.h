/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading little-endian numbers from bytes that are not trusted. */
#ifndef LIB_SPAN_H
#define LIB_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes; each read is checked against its length. */
struct span {
    const uint8_t *bytes;
    size_t len;
};

/* Whether bytes at .. at + len - 1 are inside; any numbers. */
static inline bool span_has(struct span s, size_t at, size_t len)
{
    return at <= s.len && len <= s.len - at;
}

/* Number of len (1..8) bytes at any alignment; 0 if it is not wholly inside. */
static inline uint64_t span_number(struct span s, size_t at, size_t len)
{
    uint64_t value = 0;

    if (!span_has(s, at, len))
        return 0;
    for (size_t i = len; i > 0; i--)
        value = value << 8 | s.bytes[at + i - 1];
    return value;
}

static inline uint8_t span_u8(struct span s, size_t at)
{
    return (uint8_t)span_number(s, at, 1);
}

static inline uint16_t span_u16(struct span s, size_t at)
{
    return (uint16_t)span_number(s, at, 2);
}

static inline uint32_t span_u32(struct span s, size_t at)
{
    return (uint32_t)span_number(s, at, 4);
}

static inline uint64_t span_u64(struct span s, size_t at)
{
    return span_number(s, at, 8);
}

#endif
