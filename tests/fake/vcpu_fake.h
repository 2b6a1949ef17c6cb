/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A processor that runs a script of exits: the second implementation of arch/x86/vcpu.h and
 * virt.h, for unit tests. There is one, whichever vcpu_arch is given.
 *
 * It behaves as the hardware does where policy depends on it: an interrupt or NMI that was asked
 * for by a window exits as soon as it can be taken, a deadline exits when the fake clock has
 * reached it, delivery of an interrupt clears IF and that of an NMI blocks further ones. It ends
 * the program where a real processor would refuse the entry: an event injected over another one, an
 * interrupt while IF is 0, a reserved bit in a PDPTE.
 */
#ifndef TESTS_FAKE_VCPU_FAKE_H
#define TESTS_FAKE_VCPU_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/vcpu.h"

#define VCPU_FAKE_SCRIPT 64
#define VCPU_FAKE_EVENTS 64
#define VCPU_FAKE_REASON 77 /* of every exit */

/* An event as it was delivered by an entry. */
struct vcpu_fake_event {
    enum vcpu_event_type type;
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2; /* #PF only */
};

/* Where exits come from instead of the script; called at each entry. False: over. */
typedef bool vcpu_fake_source(struct vcpu_arch *a, struct vcpu_exit *out);

struct vcpu_fake {
    struct vcpu_state state; /* the guest's registers, but for the general ones */
    struct vcpu_segment segment[SEGMENT_GDTR + 1]; /* the first six flat at first */
    uint64_t dr6;                                  /* causes given to vcpu_inject_debug */
    uint32_t entry_info;                           /* event for the next entry, 0: none */
    uint32_t entry_error;
    bool sti_blocking; /* the instruction before was STI or MOV SS */
    bool nmi_blocking; /* an NMI handler runs */
    uint64_t cr2;
    uint64_t pdpte[4];
    uint64_t cr4_allowed;       /* bits that vcpu_write_cr4 accepts */
    unsigned phys_bits;         /* MAXPHYADDR, for reserved bits of PDPTEs */
    uint32_t apicv;             /* APICV_* that the hardware has */
    bool no_rdtscp, no_invpcid; /* controls the hardware does not have */
    unsigned insn_len;          /* what RESUME_NEXT adds to RIP; at first 2 */

    struct vcpu_exit script[VCPU_FAKE_SCRIPT];
    unsigned script_len, script_at;
    vcpu_fake_source *source;
    void (*check)(struct vcpu_arch *a); /* called before each entry, if there is one */
    bool over;     /* the script was over: the guest ended with a triple fault */
    uint64_t tick; /* added to the fake clock at each entry */

    struct vcpu_fake_event event[VCPU_FAKE_EVENTS]; /* delivered and not yet taken, oldest first */
    unsigned events;
    uint64_t delivered[256]; /* by vector, interrupts only */

    bool irq_window, nmi_window; /* wanted */
    enum vcpu_apic_mode apic_mode;
    uint8_t rvi, svi, tpr_threshold;
    uint64_t eoi_exits[4];
    unsigned entries;
    unsigned skips;      /* answers of RESUME_NEXT */
    unsigned skip_bytes; /* calls of vcpu_skip_bytes */
    unsigned stops;
    unsigned resets;
    struct vcpu_start start; /* of the last reset */
    unsigned deadlines;      /* times the deadline changed */
    unsigned prints;         /* calls of vcpu_print */
    unsigned automatic;      /* exits in a row that were not of the script */
};

extern struct vcpu_fake vcpu_fake;

/* A processor in 32-bit protected mode without paging, interrupts off, and no script. */
void vcpu_fake_reset(void);

/* All segments from 0 to 4 GiB, 32-bit. */
void vcpu_fake_flat_segments(void);

/* Append to the script. After its last exit the guest ends with a triple fault. */
void vcpu_fake_add(const struct vcpu_exit *x);

/* Forget script and delivered events; registers stay. */
void vcpu_fake_rewind(void);

/* Take the oldest delivered event; false: none. */
bool vcpu_fake_take(struct vcpu_fake_event *out);

#endif
