/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/verify.h"

#include "arch/x86/cpu.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/sha256.h"
#include "lib/string.h"

#define STEP    (16 * KIB) /* between two looks at interrupts: below a millisecond */
#define HEX_LEN (2 * SHA256_LEN + 1)

static void hash_file(const struct guest_image *data, uint8_t hash[SHA256_LEN])
{
    struct sha256 s;

    sha256_init(&s);
    for (size_t at = 0; at < data->len; at += STEP) {
        size_t left = data->len - at;

        sha256_update(&s, data->bytes + at, left < STEP ? left : STEP);
        cpu_take_interrupts(); /* of gigabytes: the console does not wait for the whole */
    }
    sha256_final(&s, hash);
}

static void write_hex(char text[HEX_LEN], const uint8_t hash[SHA256_LEN])
{
    for (unsigned i = 0; i < SHA256_LEN; i++)
        fmt_print(text + 2 * i, 3, "%02x", hash[i]);
}

static bool verify_file(const struct vm *vm, const struct guest_file *file)
{
    const char *name = vm->config->name;
    uint8_t hash[SHA256_LEN];
    char found[HEX_LEN], embedded[HEX_LEN];

    hash_file(&file->data, hash);
    bool same = memcmp(hash, file->sha256, SHA256_LEN) == 0;

    if (same && vm->verified)
        return true;
    write_hex(found, hash);
    if (same) {
        log_line("guest %s: SHA-256 %s verified: %s, %lu KiB", name, found, file->path,
                 align_up(file->data.len, KIB) / KIB);
        return true;
    }
    write_hex(embedded, file->sha256);
    log_line("guest %s: BH066: %s is not what was built in, so the guest stays off; write the "
             "boot medium anew, or build again",
             name, file->path);
    log_line("guest %s: SHA-256 %s embedded: %s", name, embedded, file->path);
    log_line("guest %s: SHA-256 %s found: %s", name, found, file->path);
    return false;
}

bool verify_files(struct vm *vm)
{
    const struct guest_config *c = vm->config;
    bool all = true;

    for (uint32_t i = 0; i < c->file_count; i++)
        all = verify_file(vm, &machine_config.files[c->files[i]]) && all;
    vm->verified = true;
    return all;
}
