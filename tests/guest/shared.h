/* SPDX-License-Identifier: BSD-2-Clause */
/* What shared_writer.c and shared_reader.c have agreed on: tests/config/shared.yaml. */
#ifndef TESTS_GUEST_SHARED_H
#define TESTS_GUEST_SHARED_H

#include "tests/guest/lib.h"

#define REGION_LEN    0x10000ul
#define WRITER_BASE   0xd0000000ul
#define READER_BASE   0x200000000ul /* above 4 GiB, where start.S maps nothing */
#define COUNTER       0x0ul         /* offset of the count; all else is the pattern */
#define PATTERN_BEGIN 0x8ul

static inline uint32_t pattern(uint64_t offset)
{
    return (uint32_t)offset * 2654435761u ^ 0x0badcafeu;
}

#endif
