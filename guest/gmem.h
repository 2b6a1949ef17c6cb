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

#include "lib/bits.h"
#include "lib/compiler.h"

struct vm;

/* Where a guest's RAM lies: from 0 up to the hole that devices are in, the rest above the hole. */
#define GMEM_HOLE_GPA (3 * GIB)
#define GMEM_HIGH_GPA (4 * GIB)
#define GMEM_MAX      (64 * GIB)

/* How many bytes of `memory` are below the hole; the others begin at GMEM_HIGH_GPA. */
static inline uint64_t gmem_low_len(uint64_t memory)
{
    return memory < GMEM_HOLE_GPA ? memory : GMEM_HOLE_GPA;
}

/*
 * Copy from guest memory.
 *   vm      whose memory; its own RAM or ROM only, never a device page, a hole, a shared region or
 *           another guest's
 *   gpa     guest-physical address of the first byte; any value, from the guest or not
 *   buf     len bytes of the hypervisor's
 *   len     bytes; 0 is allowed; the range may cross pages
 *   return  false if the range is not inside one of vm->memory: buf is unchanged then. RAM that
 * ends where other memory begins (ROM at 4 GiB, RAM above) counts as ending there The guest's other
 * cores may write meanwhile: the copy is not a snapshot. An aligned read of 1, 2, 4 or 8 bytes is
 * one access, so that a page-table entry is never seen half written. Context: any core that runs or
 * loads this VM; takes no lock.
 */
MUST_CHECK bool gmem_read(struct vm *vm, uint64_t gpa, void *buf, size_t len);

/*
 * The same from a shared region of the guest, too: for operands of instructions, which it could
 * read itself. Nothing else of the hypervisor looks into such a region, and nothing writes it.
 */
MUST_CHECK bool gmem_read_operand(struct vm *vm, uint64_t gpa, void *buf, size_t len);

/*
 * Where memory that gmem_read() would read can be looked at again, without the search.
 *   return  len bytes, to be read only, as long as *phys_window_moves() stays what it is on
 *           return; NULL: gmem_read() would say false, or they cross a border of 2 MiB
 */
const void *gmem_view(const struct vm *vm, uint64_t gpa, size_t len);

/*
 * Where a page of operands can be reached without the search.
 *   gpa     of its first byte
 *   write   false: gmem_read_operand() would read it; true: gmem_write() would write it
 *   return  the page, as long as phys_window() says; NULL: they would say false
 */
void *gmem_page(const struct vm *vm, uint64_t gpa, bool write);

/*
 * Copy to guest memory. As gmem_read(), but to RAM only; false: guest memory is unchanged.
 */
MUST_CHECK bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len);

/*
 * The same to RAM and ROM, of gigabytes: interrupts are taken in between. For loaders, while the
 * guest does not run; no lock is held.
 */
MUST_CHECK bool gmem_fill(struct vm *vm, uint64_t gpa, const void *buf, size_t len);

/*
 * Change a page-table entry, if it still is `old`, in one locked access.
 *   gpa     aligned to size
 *   size    bytes, 4 or 8
 *   return  false: it is something else by now, or not RAM
 */
MUST_CHECK bool gmem_exchange(struct vm *vm, uint64_t gpa, unsigned size, uint64_t old,
                              uint64_t value);

/*
 * Zero all of a guest's RAM, so that nothing of another guest, of a former life or of a former boot
 * is left in it, with all its cores: the first one's begins, each takes pieces until none is left,
 * and when gmem_scrubbed(), all are done. A core that has nothing to do, or comes late, does no
 * harm. Context: the VM's own cores, while none of its vCPUs runs.
 */
void gmem_scrub_begin(struct vm *vm);
void gmem_scrub(struct vm *vm);
bool gmem_scrubbed(const struct vm *vm);

#endif
