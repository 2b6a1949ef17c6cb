/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest/cpuid.c on a CPU of the test's choice: link tests/fake/cpuid_fake.c in its place.
 */
#ifndef TESTS_FAKE_CPUID_FAKE_H
#define TESTS_FAKE_CPUID_FAKE_H

#include <stdint.h>

/* A server CPU with AVX-512, virtualization, and much else that guests are not to see. */
void cpuid_fake_reset(void);

/* What the host's CPUID says; leaves never set are 0. */
void cpuid_fake_set(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
                    uint32_t edx);

#endif
