/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated instructions' view of guest memory: by linear address, faults going to the guest. */
#ifndef GUEST_LINEAR_H
#define GUEST_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/vcpu.h"
#include "guest/gva.h"
#include "lib/compiler.h"

struct vcpu;

/* The bytes of the instruction at the guest's RIP, and why there are not more of them. */
struct linear_code {
    uint8_t bytes[15];
    size_t len;             /* bytes that could be read, 0..15 */
    enum gva_result result; /* GVA_OK with all 15; else what the next byte's fetch meets */
    struct gva_fault fault;
};

/* s: the guest's registers, from vcpu_get_state(). */
void linear_fetch(struct vcpu *v, const struct vcpu_state *s, struct linear_code *out);

/* Give the guest the fault that ended the fetch: the instruction needs the bytes that are missing.
 */
void linear_fetch_fault(struct vcpu *v, const struct linear_code *code);

/*
 * Copy a string instruction's item.
 *   len     1, 2 or 4 bytes; may cross a page
 *   return  false: the guest has been given a fault, nothing more is to be done
 */
MUST_CHECK bool linear_read(struct vcpu *v, uint64_t gva, void *buf, size_t len);

/*
 * Find where an item will be written, byte by byte. To be done before the port is read: a fault
 * afterwards would lose what came from it.
 *   gpa     out: the bytes' addresses, all in RAM
 *   return  false: as linear_read()
 */
MUST_CHECK bool linear_find(struct vcpu *v, uint64_t gva, size_t len, uint64_t gpa[4]);

/* Write the item there. */
void linear_write(struct vcpu *v, const uint64_t gpa[4], const void *buf, size_t len);

#endif
