/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN and OUT: which device answers at which port. What its outputs do then is guest/platform.h's.
 *
 * Context of all functions: the vCPU's core, root mode; each takes vm->lock itself where it touches
 * what the vCPUs share.
 */
#ifndef GUEST_PORT_H
#define GUEST_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct vcpu;
struct vm;

/*
 * One access.
 *   size    1, 2 or 4 bytes; a device of 8-bit ports is asked for each port by itself
 *   return  read: value in the low `size` bytes; all ones where nothing is. write: true if it is
 *           done, false if the guest has to execute the instruction again (fw_cfg's DMA)
 * Of guest memory nothing is touched but by that DMA.
 */
uint32_t port_read(struct vcpu *v, uint16_t port, unsigned size);
MUST_CHECK bool port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value);

/*
 * Do n accesses at once where no device answers: what is read is all ones.
 *   return  false: one does, and nothing is done
 */
bool port_idle_run(struct vm *vm, uint16_t port, unsigned size, bool write, unsigned n);

#endif
