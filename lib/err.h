/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot-time errors: what firmware, a boot loader or a config can cause. */
#ifndef LIB_ERR_H
#define LIB_ERR_H

enum err {
    OK = 0,
    ERR_NOMEM,       /* no memory of that size and alignment */
    ERR_RANGE,       /* a value outside what is allowed */
    ERR_ALIGN,       /* not aligned as required */
    ERR_OVERLAP,     /* meets something already there */
    ERR_FORMAT,      /* input that is not what it claims to be */
    ERR_CHECKSUM,    /* input that was damaged */
    ERR_NOTFOUND,    /* a required thing is absent */
    ERR_UNSUPPORTED, /* valid, but not something we can do */
};

/*
 * The error in words, for a log line ("not found").
 *   return  a constant string, never NULL, also for values outside the enum
 */
const char *err_text(enum err e);

#endif
