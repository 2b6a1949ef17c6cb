/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's 8254, channel 0: one interrupt after a while. Intel 82C54 data sheet, "Mode 0". */
#ifndef ARCH_X86_PIT_H
#define ARCH_X86_PIT_H

#define PIT_ISA_IRQ 0
#define PIT_US_MAX  54000u

/*
 * Interrupt once, us microseconds from now; what was asked before is forgotten.
 *   us  1 .. PIT_US_MAX; 0: not at all
 */
void pit_interrupt_after(unsigned us);

#endif
