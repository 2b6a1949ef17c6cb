/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/err.h"

const char *err_text(enum err e)
{
    switch (e) {
    case OK: return "ok";
    case ERR_NOMEM: return "no memory of that size";
    case ERR_RANGE: return "out of range";
    case ERR_ALIGN: return "not aligned";
    case ERR_OVERLAP: return "overlaps something already there";
    case ERR_FORMAT: return "not in the expected format";
    case ERR_CHECKSUM: return "wrong checksum";
    case ERR_NOTFOUND: return "not found";
    case ERR_UNSUPPORTED: return "not supported";
    }
    return "unknown error";
}
