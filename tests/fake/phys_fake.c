/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical memory made of host memory: see the header. Implements mm/phys.h. */
#include "tests/fake/phys_fake.h"

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/phys.h"

#define BLOCK  (2ul << 20)
#define BLOCKS 64

static struct {
    uint64_t base;
    uint8_t *bytes;
} blocks[BLOCKS];
static unsigned block_count;
static uint8_t *recent[PHYS_WINDOWS]; /* most recent first */
static uint64_t moves;
static uint8_t *nothing;
static uint8_t *pool;
static uint64_t pool_base;
static uint64_t pool_len;

static void fail(const char *what, uint64_t hpa)
{
    fprintf(stderr, "phys_fake: %s at %#llx\n", what, (unsigned long long)hpa);
    abort();
}

static void block_free(uint8_t *bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(bytes, BLOCK);
    free(bytes);
}

void phys_fake_reset(void)
{
    for (unsigned i = 0; i < block_count; i++)
        block_free(blocks[i].bytes);
    if (nothing != NULL)
        block_free(nothing);
    free(pool);
    memset(recent, 0, sizeof(recent));
    moves++;
    block_count = 0;
    nothing = NULL;
    pool = NULL;
    pool_len = 0;
}

static uint8_t *block_find(uint64_t base)
{
    for (unsigned i = 0; i < block_count; i++) {
        if (blocks[i].base == base)
            return blocks[i].bytes;
    }
    return NULL;
}

void phys_fake_add(uint64_t base, uint64_t len)
{
    for (uint64_t b = base / BLOCK * BLOCK; b - base / BLOCK * BLOCK < len + base % BLOCK;
         b += BLOCK) {
        if (block_find(b) != NULL)
            continue;
        if (block_count == BLOCKS)
            fail("too many blocks", b);
        blocks[block_count].base = b;
        blocks[block_count].bytes = calloc(1, BLOCK);
        ASAN_POISON_MEMORY_REGION(blocks[block_count].bytes, BLOCK);
        block_count++;
    }
}

void phys_fake_pool(uint64_t base, uint64_t len)
{
    free(pool);
    pool = malloc(len);
    memset(pool, 0xaa, len);
    pool_base = base;
    pool_len = len;
}

void phys_fake_write(uint64_t hpa, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (block_find((hpa + i) / BLOCK * BLOCK) == NULL)
            fail("write to no memory", hpa + i);
        *(uint8_t *)phys_window(hpa + i) = ((const uint8_t *)data)[i];
    }
}

static void make_recent(uint8_t *bytes)
{
    unsigned at = 0;

    while (at < PHYS_WINDOWS - 1 && recent[at] != bytes)
        at++;
    if (recent[at] != bytes) {
        if (recent[at] != NULL)
            ASAN_POISON_MEMORY_REGION(recent[at], BLOCK);
        ASAN_UNPOISON_MEMORY_REGION(bytes, BLOCK);
        moves++;
    }
    memmove(&recent[1], &recent[0], at * sizeof(recent[0]));
    recent[0] = bytes;
}

void *phys_window(uint64_t hpa)
{
    uint8_t *bytes = block_find(hpa / BLOCK * BLOCK);

    if (bytes == NULL) {
        if (nothing == NULL) {
            nothing = malloc(BLOCK);
            memset(nothing, 0xff, BLOCK);
        }
        bytes = nothing;
    }
    make_recent(bytes);
    return bytes + hpa % BLOCK;
}

const uint64_t *phys_window_moves(void)
{
    return &moves;
}

void *phys_table(uint64_t hpa)
{
    if (pool == NULL || hpa < pool_base || hpa - pool_base >= pool_len)
        fail("table outside the pool", hpa);
    return pool + (hpa - pool_base);
}
