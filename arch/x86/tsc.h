/* SPDX-License-Identifier: BSD-2-Clause */
/* The time-stamp counter: the machine's clock. SDM 3B "Time-Stamp Counter". */
#ifndef ARCH_X86_TSC_H
#define ARCH_X86_TSC_H

#include <stdint.h>

/*
 * Find the TSC's frequency: measured against the 8254, cross-checked with CPUID 15H. Where both
 * agree within 0.1% CPUID's exact figure is taken; where they differ the measurement is believed,
 * and the log says so. Once, on the bootstrap processor; takes 3 x 10 ms.
 *   return  Hz; 0 when there is no working 8254 and CPUID does not say
 */
uint64_t tsc_measure(void);

/* Wait at least this long; hz from tsc_measure(). */
void tsc_delay_us(uint64_t hz, uint64_t us);

#endif
