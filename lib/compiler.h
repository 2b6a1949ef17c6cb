/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for the few compiler features the code relies on; gcc and clang. */
#ifndef LIB_COMPILER_H
#define LIB_COMPILER_H

#define MUST_CHECK       __attribute__((warn_unused_result))
#define PACKED           __attribute__((packed))
#define ALIGNED(n)       __attribute__((aligned(n)))
#define NORETURN         __attribute__((noreturn))
#define PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define NOINLINE         __attribute__((noinline)) /* keeps its registers out of the caller */
#define LIKELY(x)        __builtin_expect(!!(x), 1)
#define UNLIKELY(x)      __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)     (sizeof(a) / sizeof((a)[0]))

#endif
