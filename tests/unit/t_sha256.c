/* unit: lib/sha256.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 against NIST's examples (csrc.nist.gov, "Examples with Intermediate Values"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sha256.h"

static void expect(struct sha256 *s, const char *hex)
{
    uint8_t hash[SHA256_LEN];
    char text[2 * SHA256_LEN + 1];

    sha256_final(s, hash);
    for (unsigned i = 0; i < SHA256_LEN; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, hex);
}

static void expect_of(const char *message, const char *hex)
{
    struct sha256 s;

    sha256_init(&s);
    sha256_update(&s, (const uint8_t *)message, strlen(message));
    expect(&s, hex);
}

static void test_nist_examples(void **state)
{
    (void)state;
    expect_of("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_of("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
              "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
              "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

/* Pieces of all sizes, so that a block begins at every place of a piece. */
static void test_a_million_a_in_pieces(void **state)
{
    static uint8_t text[200];
    size_t left = 1000000;
    struct sha256 s;

    (void)state;
    memset(text, 'a', sizeof(text));
    sha256_init(&s);
    for (size_t n = 0; left > 0; n = (n + 1) % sizeof(text)) {
        size_t len = n < left ? n : left;

        sha256_update(&s, text, len);
        left -= len;
    }
    expect(&s, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/*
 * The hash of the hashes of messages of 0..200 bytes. By Python 3:
 * h = lambda b: hashlib.sha256(b).digest()
 * h(b"".join(h(bytes((7 * i + n) & 255 for i in range(n))) for n in range(201))).hex()
 */
static void test_every_length(void **state)
{
    uint8_t message[200];
    uint8_t hash[SHA256_LEN];
    struct sha256 all, one;

    (void)state;
    sha256_init(&all);
    for (unsigned n = 0; n <= sizeof(message); n++) {
        for (unsigned i = 0; i < n; i++)
            message[i] = (uint8_t)(7 * i + n);
        sha256_init(&one);
        sha256_update(&one, message, n);
        sha256_final(&one, hash);
        sha256_update(&all, hash, sizeof(hash));
    }
    expect(&all, "e673d33f6940a6d3856d0d305fd88363ae0ba3b96e2411d8ddd5e0dd443f4525");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nist_examples),
        cmocka_unit_test(test_a_million_a_in_pieces),
        cmocka_unit_test(test_every_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
