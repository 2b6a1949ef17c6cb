/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that works without a pause: it looks for primes, puts each into the shared region at
 * CHANNEL_FIRST_GPA (which does nothing where its config has no such region), and prints the last
 * one about once a second. Between two lines it causes no exit.
 */
#include "tests/guest/channel.h"
#include "tests/guest/lib.h"

static bool is_prime(uint64_t odd)
{
    for (uint64_t divisor = 3; divisor * divisor <= odd; divisor += 2) {
        if (odd % divisor == 0)
            return false;
    }
    return true;
}

void guest_main(void)
{
    struct channel *c = channel_at(CHANNEL_FIRST_GPA);
    uint64_t tsc_hz, printed, count = 1; /* 2 is one */

    con_setup();
    tsc_hz = tsc_hz_cpuid() != 0 ? tsc_hz_cpuid() : tsc_hz_pit();
    con_printf("worker: looking for primes\n");
    printed = rdtsc();
    for (uint64_t n = 3;; n += 2) {
        if (!is_prime(n))
            continue;
        channel_write(c, n, ++count);
        if (rdtsc() - printed >= tsc_hz) {
            printed = rdtsc();
            con_printf("prime number %lu is %lu\n", count, n);
        }
    }
}
