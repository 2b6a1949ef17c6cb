/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-linear to guest-physical addresses by the guest's own page tables, as the processor would
 * translate them: to fetch the bytes of an instruction that is to be emulated, and to check where
 * its operand is.
 *
 * Accessed and dirty flags are set as the processor sets them: the former in each entry that led
 * to an address, the latter in the last one if the access is a write; none where it is a fault.
 *
 * Not modelled: protection keys (CR4.PKE, CR4.PKS), shadow stacks, linear-address masking (LAM),
 * implicit supervisor accesses (to descriptor tables), PDPTE registers (PAE: the entries are read
 * from memory each time; a guest sees the difference only between changing them and writing CR3),
 * CPUID.01H:EDX.PSE-36 and CPUID.80000001H:EDX.Page1GB = 0 (both sizes are always known).
 *
 * Source: SDM 3A "Paging", all of the chapter.
 */
#ifndef GUEST_GVA_H
#define GUEST_GVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/gmem.h"
#include "lib/compiler.h"

/* The registers that decide a translation. */
struct gva_context {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;     /* IA32_EFER; LMA and NXE count                                       */
    uint64_t rflags;   /* AC counts                                                          */
    uint8_t cpl;       /* 0..3; 3 makes user-mode accesses                                   */
    uint8_t phys_bits; /* MAXPHYADDR of the guest, 32..52: CPUID.80000008H:EAX [7:0]         */
};

/* A read-modify-write is a GVA_WRITE. */
enum gva_access { GVA_READ, GVA_WRITE, GVA_FETCH };

enum gva_result {
    GVA_OK,
    GVA_PAGE_FAULT,    /* the guest gets #PF, with an error code and CR2                       */
    GVA_NON_CANONICAL, /* the guest gets #GP(0), for a stack access #SS(0)                     */
    GVA_NO_MEMORY,     /* a table, or a byte to be read, is outside the guest's RAM            */
};

/* Page-fault error code. SDM 3A "Page-Fault Exceptions". */
#define PF_PRESENT  0x01u /* [0] P: 0 an entry was not present, 1 a right or a reserved bit      */
#define PF_WRITE    0x02u /* [1] W/R: the access was a write                                     */
#define PF_USER     0x04u /* [2] U/S: the access was made in user mode                           */
#define PF_RESERVED 0x08u /* [3] RSVD: a reserved bit was 1 in an entry */
#define PF_FETCH    0x10u /* [4] I/D: instruction fetch; only with NX (PAE, long mode) or SMEP   */

/*
 * Translate one address and check that the access is allowed.
 *   vm        whose page tables, reached by gmem_read(); the guest may make them anything
 *   ctx       registers of the core that makes the access
 *   gva       linear address (segment base added); outside long mode bits [63:32] are dropped
 *   gpa       out: the guest-physical address, on GVA_OK; nothing says that RAM is there
 *   pf_error  out: on GVA_PAGE_FAULT the error code, PF_*; else 0
 *   return    GVA_NO_MEMORY only for a table
 * Paging off: the address itself. At most five reads of guest memory for one walk, and four walks,
 * as long as somebody changes the entries meanwhile. Context: the core that runs the vcpu; no lock.
 */
MUST_CHECK enum gva_result gva_translate(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                                         enum gva_access access, uint64_t *gpa, uint32_t *pf_error);

#define GVA_LEVELS_MAX 5

/*
 * What a walk went through. A translation depends on its arguments, on vm->memory, which does not
 * change, and on these entries: as long as they are what they were, so is its result, and it has no
 * flag left to set.
 */
struct gva_trail {
    uint64_t root;                  /* address of the first table                              */
    uint64_t gpa[GVA_LEVELS_MAX];   /* of each entry, the first table's first                  */
    uint64_t entry[GVA_LEVELS_MAX]; /* its value, with the flags that the walk set             */
    uint8_t count;                  /* entries; 0 with paging off                              */
    uint8_t entry_size;             /* bytes, 4 or 8                                           */
    bool settled; /* false: somebody changes the entries all the time, flags are missing */
};

/*
 * The same as gva_translate(), and how it came about.
 *   trail  out, on GVA_OK
 */
MUST_CHECK enum gva_result gva_trace(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                                     enum gva_access access, uint64_t *gpa, uint32_t *pf_error,
                                     struct gva_trail *trail);

/* Where the entries of a trail are with ctx->cr3, if all of them but their places are the same. */
void gva_move_trail(const struct gva_context *ctx, struct gva_trail *trail);

/* Why and where gva_read() stopped. */
struct gva_fault {
    size_t copied;     /* bytes copied before; len if there was no fault      */
    uint64_t gva;      /* the first byte not read; CR2 of a page fault         */
    uint32_t pf_error; /* as in gva_translate()                               */
};

/*
 * Copy from guest memory by linear address, across page borders.
 *   buf, len  out: len bytes; on failure the first fault->copied of them
 *   access    GVA_READ or GVA_FETCH
 *   fault     out, always written
 *   return    what gva_translate() said of the first page that failed; GVA_NO_MEMORY if it is
 *             not RAM
 * To fetch an instruction ask for 15 bytes and decode fault->copied of them: that the next page is
 * not there matters only if the decoder needs more.
 * The range is translated page by page and wraps at the end of the address space (2^32 outside
 * long mode). Context: as gva_translate().
 */
MUST_CHECK enum gva_result gva_read(struct vm *vm, const struct gva_context *ctx, uint64_t gva,
                                    void *buf, size_t len, enum gva_access access,
                                    struct gva_fault *fault);

#endif
