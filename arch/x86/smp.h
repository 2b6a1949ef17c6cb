/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the application processors. SDM 3A "Multiple-Processor (MP) Initialization". */
#ifndef ARCH_X86_SMP_H
#define ARCH_X86_SMP_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/cpu.h"

/*
 * Put the start-up code where real mode reaches it.
 *   low_hpa     a free page below 640 KiB
 *   early_cr3   tables below 4 GiB that map that page and the image at their addresses
 *   final_cr3   the hypervisor's tables
 */
void smp_prepare(uint64_t low_hpa, uint64_t early_cr3, uint64_t final_cr3);

/*
 * Start one core and wait until it is online, at most 100 ms.
 *   c       its area: apic_id, stack_top set
 *   tsc_hz  for the waits
 *   return  false: it did not answer
 */
bool smp_start(struct cpu *c, uint64_t tsc_hz);

/* Where a started core arrives, on its own stack and the final tables. Implemented by boot. */
NORETURN void ap_main(struct cpu *c);

#endif
