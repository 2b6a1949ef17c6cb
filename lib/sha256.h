/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256, in general registers only. Source: FIPS 180-4 (August 2015).
 */
#ifndef LIB_SHA256_H
#define LIB_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN       32u /* bytes of a hash */
#define SHA256_BLOCK_LEN 64u

struct sha256 {
    uint32_t state[8];
    uint64_t len;                    /* bytes so far, below 2^61 */
    uint8_t block[SHA256_BLOCK_LEN]; /* the last len % SHA256_BLOCK_LEN of them */
};

/* Begin a message. */
void sha256_init(struct sha256 *s);

/* The message goes on with len bytes; any number of calls, pieces of any size. */
void sha256_update(struct sha256 *s, const uint8_t *bytes, size_t len);

/* The message is over; s has to be begun anew afterwards. */
void sha256_final(struct sha256 *s, uint8_t hash[SHA256_LEN]);

#endif
