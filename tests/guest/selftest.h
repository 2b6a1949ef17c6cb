/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the self test share. */
#ifndef TESTS_GUEST_SELFTEST_H
#define TESTS_GUEST_SELFTEST_H

#include "tests/guest/lib.h"

/* What each check is given: the counts so far and what was measured at the start. */
struct test {
    unsigned passed, failed;
    uint64_t tsc_hz;
    uint64_t lapic_hz; /* local APIC timer, divided by 1 */
    uint32_t features; /* CPUID.1:ECX */
};

/* One check: prints `ok NAME`, or `FAIL NAME` with what was seen. */
void expect(struct test *t, const char *name, uint64_t got, uint64_t want);

/* Whether CPUID.1:ECX has the feature; if not `skip NAME` is printed. */
bool has(const struct test *t, uint32_t feature, const char *name);

/* CPUID, MSRs, refused instructions, single steps: selftest_cpu.c. */
void test_cpu(struct test *t);

#endif
