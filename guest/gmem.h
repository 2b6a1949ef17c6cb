/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checked accessor to a guest's memory by guest-physical address. All that the hypervisor
 * reads or writes in a guest goes through here: guest RAM is mapped nowhere else.
 */
#ifndef GUEST_GMEM_H
#define GUEST_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct vm;

/*
 * Copy from guest memory.
 *   vm      whose memory; its own RAM only, never a device page, a hole or another guest's
 *   gpa     guest-physical address of the first byte; any value, from the guest or not
 *   buf     len bytes of the hypervisor's
 *   len     bytes; 0 is allowed; the range may cross pages
 *   return  false if any byte of the range is not guest RAM or the range wraps past 2^64: buf is
 *           unchanged then
 * The guest's other cores may write meanwhile: the copy is not a snapshot. An aligned read of 1, 2,
 * 4 or 8 bytes is one access, so that a page-table entry is never seen half written.
 * Context: any core that runs or loads this VM; takes no lock.
 */
MUST_CHECK bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len);

/*
 * Copy to guest memory. As gmem_read(); false: guest memory is unchanged.
 */
MUST_CHECK bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len);

/* Zero all of a guest's memory: nothing of another guest, or of a former life, is left in it. */
void gmem_scrub(struct vm *vm);

#endif
