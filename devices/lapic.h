/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC of one virtual processor, in xAPIC and x2APIC mode.
 * Source: SDM 3A "Advanced Programmable Interrupt Controller (APIC)"; the sections named below are
 * of that chapter.
 *
 * What it is: version 14H, six LVT entries (no CMCI), EOI-broadcast suppression, TSC-deadline mode,
 * APIC ID read-only, lowest-priority IPIs supported. The timer's input clock is the guest's TSC.
 *
 * Context of every function but lapic_match and lapic_priority: the vCPU's own core, or any while
 * the vCPU does not run. `now` is guest TSC ticks since power-on and does not go backwards; a step
 * back makes no harm but wrong counts. After an access the platform looks again at lapic_pending(),
 * lapic_deadline() and lapic_extint_enabled(): all three are plain loads.
 */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/apic_msg.h"
#include "lib/compiler.h"
#include "lib/time.h"

#define LAPIC_GPA       0xfee00000ull /* the register page; it cannot be moved */
#define LAPIC_SIZE      0x1000u

/* IA32_APIC_BASE (1BH). "Local APIC Status and Location". */
#define LAPIC_BASE_BSP  0x100ull /* [8]  bootstrap processor */
#define LAPIC_BASE_EXTD 0x400ull /* [10] x2APIC mode         */
#define LAPIC_BASE_EN   0x800ull /* [11] APIC global enable  */

/* Entries of the local vector table, in the order of their registers from 320H. */
enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERF,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVT_COUNT,
};

/* LVT entry. "Local Vector Table". */
#define LAPIC_LVT_DELIVERY   0x00000700u /* [10:8]  delivery mode         */
#define LAPIC_LVT_LEVEL      0x00008000u /* [15]    level-triggered       */
#define LAPIC_LVT_MASK       0x00010000u /* [16]    masked                */
#define LAPIC_LVT_EXTINT     0x00000700u /* [10:8]  delivery mode: ExtINT */
#define LAPIC_LVT_TIMER_MODE 0x00060000u /* [18:17] timer mode          */
#define LAPIC_LVT_TIMER_TSC  0x00040000u

/*
 * All fields are the chip's own; others read them through the functions below.
 *
 * The register page has the layout of the SDM's virtual-APIC page, so that the hardware can answer
 * for the chip. TPR, ISR, TMR, IRR and the ICR's high half live there, since the hardware changes
 * them; of the other registers it holds copies, for the guest to read. What the chip lets other
 * cores look at (lapic_match) is atomic.
 */
struct lapic {
    uint32_t *page;        /* LAPIC_SIZE bytes, the caller's; register n at word 4n */
    uint64_t deadline;     /* when lapic_advance is needed; TIME_NEVER while the timer is masked */
    _Atomic uint64_t base; /* IA32_APIC_BASE */
    uint64_t expiry;       /* when the timer is due, masked or not; TIME_NEVER when not armed */
    uint64_t since;        /* when the current count was `left` */
    uint64_t tsc_deadline; /* IA32_TSC_DEADLINE; 0 outside TSC-deadline mode */
    uint64_t spacing;      /* least ticks between two periodic interrupts, > 0 */
    uint32_t initial;      /* initial-count register */
    uint32_t left;         /* current count at `since`; 0 when the count does not run */
    uint32_t divide;       /* divide configuration register */
    uint32_t id;           /* x2APIC ID; its low 8 bits are the xAPIC ID */
    _Atomic uint32_t svr;
    _Atomic uint32_t ldr; /* xAPIC mode only */
    _Atomic uint32_t dfr; /* xAPIC mode only */
    uint32_t icr_low;
    uint32_t lvt[LAPIC_LVT_COUNT];
    uint8_t esr;    /* error status as software reads it */
    uint8_t errors; /* errors since the last write to ESR */
    bool lint[2];   /* LINT0 and LINT1 asserted */
    bool new_level; /* a bit was set in TMR: lapic_levels_changed */
};

/* What a register write asks of the outside. A fixed IPI to itself asks nothing: it is in IRR. */
enum lapic_effect_kind {
    LAPIC_EFFECT_NONE,
    LAPIC_EFFECT_IPI, /* route `msg`: every APIC for which lapic_match holds gets lapic_accept */
    LAPIC_EFFECT_EOI, /* broadcast the EOI of `vector` to the I/O APICs */
};

struct lapic_effect {
    enum lapic_effect_kind kind;
    uint8_t vector;      /* LAPIC_EFFECT_EOI only */
    struct apic_msg msg; /* LAPIC_EFFECT_IPI only */
};

/* What the arrival of a message or an edge on LINT0/LINT1 means for the processor. */
enum lapic_event {
    LAPIC_EVENT_NONE,      /* nothing to do: refused, or an error was logged */
    LAPIC_EVENT_INTERRUPT, /* a vector was put into IRR: look at lapic_pending */
    LAPIC_EVENT_NMI,
    LAPIC_EVENT_SMI,
    LAPIC_EVENT_INIT,    /* the platform resets the vCPU and calls lapic_init */
    LAPIC_EVENT_STARTUP, /* SIPI; the start page is the message's vector */
    LAPIC_EVENT_EXTINT,  /* the vector is to be had from the 8259 */
};

/*
 * Power-up state: enabled in xAPIC mode, software-disabled, every LVT entry masked.
 *   page     the register page, LAPIC_SIZE bytes, of this APIC alone from now on
 *   id       x2APIC ID, unique in the VM, not FFH or FFFFFFFFH (they mean "all")
 *   bsp      this is the bootstrap processor
 *   tsc_hz   guest TSC frequency, > 0. Periodic timer interrupts come at most LAPIC_TIMER_MAX_HZ
 *            times a second whatever the guest programs: those between are coalesced, the
 *            current-count register is not affected
 * Source: "Local APIC State After Power-Up or Reset".
 */
void lapic_reset(struct lapic *l, uint32_t *page, uint32_t id, bool bsp, uint64_t tsc_hz);

#define LAPIC_TIMER_MAX_HZ 50000u

/*
 * INIT: as after reset, except that APIC ID and IA32_APIC_BASE (mode and BSP flag) are kept.
 * Source: "Local APIC State After an INIT Reset"; "x2APIC State Transitions".
 */
void lapic_init(struct lapic *l);

/*
 * Put the APIC into the state in which PC firmware leaves the bootstrap processor: enabled by
 * software with spurious vector FFH, LINT0 unmasked as ExtINT, LINT1 unmasked as NMI.
 * Call right after lapic_reset. Source: MultiProcessor Specification 1.4 "Virtual Wire Mode".
 */
void lapic_set_virtual_wire(struct lapic *l);

/* IA32_APIC_BASE as RDMSR gives it. */
uint64_t lapic_read_base(const struct lapic *l);

/*
 * WRMSR to IA32_APIC_BASE. A written BSP flag is ignored. Disabling (EN = 0) resets the registers.
 *   return  false = #GP, nothing changed: a reserved bit, a base other than FEE00000H (it cannot
 *           be moved), EXTD without EN, x2APIC to xAPIC, disabled to x2APIC
 *
 * Source: "Local APIC Status and Location", "x2APIC State Transitions".
 */
bool lapic_write_base(struct lapic *l, uint64_t value);

/* Whether the register page at LAPIC_GPA exists: enabled and in xAPIC mode. */
static inline bool lapic_mmio_enabled(const struct lapic *l)
{
    return (l->base & (LAPIC_BASE_EN | LAPIC_BASE_EXTD)) == LAPIC_BASE_EN;
}

/* Whether the MSRs 800H..8FFH exist. */
static inline bool lapic_x2apic_enabled(const struct lapic *l)
{
    return (l->base & LAPIC_BASE_EXTD) != 0;
}

/*
 * 32-bit access to the register page. The platform passes only aligned 32-bit accesses; what it
 * does with others is its choice ("Local APIC Register Map" leaves them undefined).
 *   offset  from LAPIC_GPA. Registers are at multiples of 16; other offsets read 0 and ignore
 *           writes. A reserved register does too, and logs "illegal register address" in ESR
 *   effect  always written
 *   return  FFFFFFFFH if the page does not exist (lapic_mmio_enabled)
 */
uint32_t lapic_read(struct lapic *l, unsigned offset, uint64_t now);

/*
 * Registers that a read leaves alone and that are in the page as they read, for the hardware: all
 * of xAPIC mode's but PPR, EOI and the current count. Bit n: offset 16n.
 */
#define LAPIC_IN_PAGE 0x41ff01fffffff30cull

static inline bool lapic_is_in_page(unsigned offset)
{
    return offset % 16 == 0 && offset / 16 < 64 && (LAPIC_IN_PAGE >> offset / 16 & 1) != 0;
}

/* lapic_read() of one of those, where lapic_mmio_enabled(). */
static inline uint32_t lapic_read_page(const struct lapic *l, unsigned offset)
{
    return l->page[offset / 4];
}

/* lapic_read() of the current count, where lapic_mmio_enabled(): what a guest polls. */
#define LAPIC_COUNT_OFFSET 0x390u
uint32_t lapic_count(const struct lapic *l, uint64_t now);

void lapic_write(struct lapic *l, unsigned offset, uint32_t value, uint64_t now,
                 struct lapic_effect *effect);

/*
 * A write to the EOI register by MMIO, offset B0H, or by MSR: the most frequent one, by itself.
 *   return  the vector that was in service; 0: none was, and nothing was changed
 */
#define LAPIC_EOI_OFFSET 0xb0u
#define LAPIC_EOI_MSR    0x80bu
uint8_t lapic_eoi(struct lapic *l, struct lapic_effect *effect);

/* A write to the low half of the ICR by MMIO, offset 300H, by itself, too. */
#define LAPIC_ICR_OFFSET 0x300u
void lapic_write_icr(struct lapic *l, uint32_t value, struct lapic_effect *effect);

/*
 * RDMSR and WRMSR of 800H..8FFH.
 *   value, effect  rdmsr writes *value only on success; effect is always written
 *   return         false = #GP, nothing changed: not in x2APIC mode, no such register, read-only or
 *                  write-only register, a reserved bit set (the read-only bits [12] of ICR and LVT
 *                  and [14] of LVT are ignored, as Intel's processors do)
 * Source: "Extended XAPIC (x2APIC)", "x2APIC Register Address Space".
 */
bool lapic_rdmsr(const struct lapic *l, uint32_t msr, uint64_t *value, uint64_t now);
bool lapic_wrmsr(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now,
                 struct lapic_effect *effect);

/* After a change of expiry or of the timer's LVT entry; the chip's own. */
static inline void lapic_update_deadline(struct lapic *l)
{
    l->deadline = (l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_MASK) != 0 ? TIME_NEVER : l->expiry;
}

/*
 * IA32_TSC_DEADLINE (6E0H). Outside TSC-deadline mode it reads 0 and ignores writes. 0 disarms; a
 * deadline in the past is due at once: lapic_deadline() has it. An earlier deadline that
 * lapic_advance() has not served is given up, as if this write had come just before it.
 * Source: "TSC-Deadline Mode".
 */
uint64_t lapic_read_tsc_deadline(const struct lapic *l, uint64_t now);
static inline void lapic_write_tsc_deadline(struct lapic *l, uint64_t value)
{
    if (UNLIKELY((l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_TIMER_MODE) != LAPIC_LVT_TIMER_TSC))
        return;
    l->tsc_deadline = value;
    l->expiry = value == 0 ? TIME_NEVER : value;
    lapic_update_deadline(l);
}

/* When lapic_advance must be called next; TIME_NEVER if not at all. */
static inline uint64_t lapic_deadline(const struct lapic *l)
{
    return l->deadline;
}

/*
 * Let the timer run up to now: an interrupt that is due goes into IRR if the LVT entry is unmasked.
 * Missed periods give one interrupt. Afterwards lapic_deadline() > now (or TIME_NEVER), in periodic
 * mode by at least 1 / LAPIC_TIMER_MAX_HZ if it fired. Costs one comparison when nothing is due.
 */
void lapic_advance(struct lapic *l, uint64_t now);

/*
 * Whether this APIC is addressed by a message. A globally disabled APIC never is; one disabled by
 * software is not by fixed, lowest priority and ExtINT messages. For lowest priority the platform
 * delivers to one of those that match, best the one with the lowest lapic_priority. Any core may
 * call it: it sees each register as it is before or after a change.
 *   source_id  x2APIC ID of the sender, for the shorthands; any value for an I/O APIC's message
 * Source: "Determining IPI Destination", "Logical Destination Mode in x2APIC Mode".
 */
bool lapic_match(const struct lapic *l, const struct apic_msg *m, uint32_t source_id);

/*
 * Take a message for which lapic_match holds. Fixed and lowest priority go into IRR and TMR (an
 * illegal vector 0..15 into ESR); the rest is returned for the platform to act on. Reserved
 * delivery modes and INIT level de-assert do nothing.
 * Source: "Interrupt Acceptance for Fixed Interrupts", "Local APIC State After It Has Been
 * Software Disabled".
 */
enum lapic_event lapic_accept(struct lapic *l, const struct apic_msg *m);

/*
 * Level of a local interrupt pin: LINT0 (the 8259's INTR) or LINT1 (NMI).
 *   pin    0 or 1
 *   level  logical: true = asserted, whatever the LVT's polarity bit
 *   return the event of a rising edge, or of a level newly accepted. ExtINT gives none: it is a
 *          level that the platform sees through lapic_extint_enabled
 * Source: "Local Vector Table".
 */
enum lapic_event lapic_set_lint(struct lapic *l, unsigned pin, bool level);

/*
 * Whether the 8259's INTR, asserted, interrupts this processor now: through LINT0 as ExtINT, or
 * directly if the APIC of the bootstrap processor is globally disabled. Neither TPR nor PPR matter.
 * Source: "Local Vector Table", "Enabling or Disabling the Local APIC".
 */
static inline bool lapic_extint_enabled(const struct lapic *l)
{
    if ((l->base & LAPIC_BASE_EN) == 0)
        return (l->base & LAPIC_BASE_BSP) != 0;
    return (l->lvt[LAPIC_LVT_LINT0] & (LAPIC_LVT_MASK | LAPIC_LVT_DELIVERY)) == LAPIC_LVT_EXTINT;
}

/* lapic_set_lint() of LINT0 while lapic_extint_enabled(): nothing follows from it but that level.
 */
static inline void lapic_set_extint(struct lapic *l, bool level)
{
    l->lint[0] = level;
}

/*
 * The vector to dispense to the processor: the highest in IRR, if its priority class is above that
 * of PPR; -1 if none. Source: "Task and Processor Priorities".
 */
int lapic_pending(const struct lapic *l);

/* Whether any vector is in IRR, whatever its priority. */
bool lapic_has_requests(const struct lapic *l);

/*
 * The processor takes a vector, IRR to ISR: what lapic_pending() says, -1 if there is none; or one
 * of IRR that the caller chose.
 * Source: "Interrupt Acceptance for Fixed Interrupts".
 */
int lapic_take(struct lapic *l);
void lapic_ack(struct lapic *l, int vector);

/* Processor priority (PPR), for lowest-priority arbitration. Any core: a hint then. */
uint8_t lapic_priority(const struct lapic *l);

/* The highest vectors in IRR and ISR, 0 if none: RVI and SVI of virtual-interrupt delivery. */
uint8_t lapic_highest_irr(const struct lapic *l);
uint8_t lapic_highest_isr(const struct lapic *l);

/*
 * What TPR [7:4] has to go below for the highest vector in IRR to be taken; 0 if it is not TPR that
 * holds it up.
 */
uint8_t lapic_tpr_threshold(const struct lapic *l);

/*
 * Whether a bit of TMR was set since the last lapic_get_levels(), which says what TMR is now: bit n
 * of word m is vector 64m + n. A bit that an edge cleared may still be set there; its EOI then does
 * nothing (lapic_after_eoi).
 */
static inline bool lapic_levels_changed(const struct lapic *l)
{
    return l->new_level;
}

void lapic_get_levels(struct lapic *l, uint64_t levels[4]);

/*
 * Edge-triggered fixed interrupts that came in together, from the IRR of a posted-interrupt
 * descriptor: bit n of word m is vector 64m + n.
 */
void lapic_accept_posted(struct lapic *l, const uint64_t vectors[4]);

/*
 * The hardware ended the interrupt `vector` (took it out of ISR by itself): the rest of an EOI.
 * Source: SDM 3C "EOI Virtualization".
 */
void lapic_after_eoi(struct lapic *l, uint8_t vector, struct lapic_effect *effect);

/*
 * The hardware stored a write in the register page and left the rest to us: as lapic_write with
 * the value found there. Source: SDM 3C "APIC-Write VM Exits".
 */
void lapic_after_write(struct lapic *l, unsigned offset, uint64_t now, struct lapic_effect *effect);

/*
 * CR8 [3:0] is TPR [7:4]; a write clears TPR [3:0]. Works with the APIC disabled, too.
 *   cr8  0..15; higher bits are ignored
 * Source: "Interaction of Task Priorities between CR8 and APIC".
 */
uint64_t lapic_get_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, uint64_t cr8);

/* The chip's invariant: true after every operation above, whatever a guest does. */
bool lapic_ok(const struct lapic *l);

#endif
