/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of a shared region: finds it clear, fills it with a pattern, and counts in it without
 * end. It prints `ok NAME` or `FAIL NAME`, then `writer: counting`.
 */
#include "tests/guest/shared.h"

static bool is_clear(void)
{
    uint32_t any = 0;

    for (uint64_t at = 0; at < REGION_LEN; at += 4)
        any |= mmio_read(WRITER_BASE + at);
    return any == 0;
}

void guest_main(void)
{
    con_setup();
    con_printf("%s region-is-clear\n", is_clear() ? "ok" : "FAIL");
    for (uint64_t at = PATTERN_BEGIN; at < REGION_LEN; at += 4)
        mmio_write(WRITER_BASE + at, pattern(at));
    con_printf("writer: counting\n");
    con_flush();
    irq_enable(); /* Bochs holds back the host's interrupts from a guest with IF = 0 */
    for (uint32_t n = 1;; n++)
        mmio_write(WRITER_BASE + COUNTER, n);
}
