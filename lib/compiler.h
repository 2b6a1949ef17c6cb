/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for the few compiler features the code relies on; gcc and clang. */
#ifndef LIB_COMPILER_H
#define LIB_COMPILER_H

#define MUST_CHECK       __attribute__((warn_unused_result))
#define PACKED           __attribute__((packed))
#define ALIGNED(n)       __attribute__((aligned(n)))
#define NORETURN         __attribute__((noreturn))
#define PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define ARRAY_LEN(a)     (sizeof(a) / sizeof((a)[0]))

/* A function of its own: its caller saves no registers for it where it is not called. */
#define NOINLINE    __attribute__((noinline))

#endif
