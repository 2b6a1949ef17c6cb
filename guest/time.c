/* SPDX-License-Identifier: BSD-2-Clause */
/* VM time is the host's TSC; a file of its own so that tests replace the clock by link. */
#include "arch/x86/asm.h"
#include "guest/vm.h"

void vm_clock_start(struct vm *vm)
{
    vm->tsc_start = rdtsc();
}

uint64_t vm_now(const struct vm *vm)
{
    return rdtsc() - vm->tsc_start;
}
