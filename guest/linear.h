/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated instructions' view of guest memory: by linear address, faults going to the guest. */
#ifndef GUEST_LINEAR_H
#define GUEST_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/vcpu.h"
#include "lib/compiler.h"

struct vcpu;

/*
 * The bytes of the instruction at the guest's RIP.
 *   s       its registers, from vcpu_get_state()
 *   buf     15 bytes
 *   return  how many of them could be read; 0: the guest has been given a fault
 */
size_t linear_fetch(struct vcpu *v, const struct vcpu_state *s, uint8_t buf[15]);

/*
 * Copy a string instruction's item.
 *   len     1, 2 or 4 bytes; may cross a page
 *   return  false: the guest has been given a fault, nothing more is to be done
 */
MUST_CHECK bool linear_read(struct vcpu *v, uint64_t gva, void *buf, size_t len);
MUST_CHECK bool linear_write(struct vcpu *v, uint64_t gva, const void *buf, size_t len);

#endif
