/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's 82C54 interval timer and port 61H (NMI status and control), which holds the gate and
 * shows the output of counter 2. Gates 0 and 1 are tied high; OUT0 is IRQ0; OUT1 goes nowhere.
 * There are no SERR# and IOCHK# to make an NMI: their disables are stored, and their status bits
 * read 0.
 *
 * Every answer is computed from the clock pulses that have passed since a counter was loaded, in
 * constant time however many those are. A count written is loaded by the next pulse of the
 * 1193182 Hz clock, as in the chip, so a first period is one pulse longer than the count.
 *
 * Ticks that come too often or too late: OUT0 is edges, not a level. The platform calls
 * i8254_advance when i8254_deadline has come and makes one pulse of IRQ0 (low, then high) if the
 * result is not 0, whatever its size: ticks a guest's core was too late for are lost, as an edge is
 * on the chip whose interrupt is still pending, and the phase of those to come is kept. Periods
 * below I8254_MIN_PERIOD clock pulses (50 us) are reported together, on the first edge that is at
 * least so many pulses after the last one counted; the counter itself still runs at its rate.
 *
 * Chosen where the data sheet leaves it open: a count of 1 in modes 2 and 3, which it forbids, acts
 * as 2; BCD digits above 9 count as their value, modulo 10000; a control word stops the counter at
 * its value until the new count is loaded; any write of a count in mode 0 stops it likewise.
 *
 * Sources: Intel 82C54 data sheet (231244), "Operational Description", "Mode Definitions"; Intel
 * I/O Controller Hub 9 data sheet (316972), "NMI_SC - NMI Status and Control Register".
 */
#ifndef DEVICES_I8254_H
#define DEVICES_I8254_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/ratio.h"

#define I8254_HZ         1193182u
#define I8254_MIN_PERIOD 60u /* clock pulses between two deadlines in a periodic mode */

#define I8254_COUNTER_0  0x40u
#define I8254_COUNTER_1  0x41u
#define I8254_COUNTER_2  0x42u
#define I8254_CONTROL    0x43u
#define I8254_NMI_STATUS 0x61u

#define I8254_CHANNELS   3u

/* One counter. Times are clock pulses since i8254_reset; CR and CE as in the data sheet. */
struct i8254_channel {
    uint64_t start;   /* counting: CE was `count` at this pulse */
    uint64_t elapsed; /* not counting: pulses counted from `count` before it stopped */
    uint64_t load_at; /* pulse that will move CR to CE, TIME_NEVER if none will by itself */
    uint64_t rises;   /* rising edges of OUT since the load that were reported */
    uint32_t count;   /* CE as loaded or as stopped, 1..65536 */
    uint32_t reload;  /* CR, 1..65536 */
    uint32_t plain;  /* pulses after which the count repeats, for i8254_read_plain; 0: not for it */
    uint8_t mode;    /* 0..5: `control` has two names for 2 and 3 */
    uint8_t step;    /* and counted down by a pulse: 1 << step */
    uint16_t latch;  /* output latch, if latched */
    uint8_t control; /* last control word [5:0]: RW, M, BCD; RW is not 0 */
    uint8_t status;  /* status latch, if status_latched */
    uint8_t low;     /* first byte written of a two-byte count */
    bool write_high; /* next write is the second byte */
    uint8_t read_at; /* the bit from which on the next read shows: 8 for the second byte, else 0 */
    bool latched;    /* counter latch command or read-back: count not yet read */
    bool status_latched;
    bool armed;      /* a count was written since the control word */
    bool null_count; /* CR is not yet in CE */
    bool loaded;     /* CE was loaded since OUT was last set to its initial state */
    bool counting;
    bool gate;
};

struct i8254 {
    struct ratio clock; /* guest TSC ticks to clock pulses */
    uint64_t epoch;     /* guest TSC at pulse 0 */
    uint64_t now;       /* latest guest time seen: time does not run backwards */
    uint64_t pulse;     /* latest pulse that the counters were looked at in detail */
    uint64_t deadline;  /* i8254_deadline() */
    uint64_t edges;     /* rising edges of OUT0 not yet returned by i8254_advance */
    struct i8254_channel channel[I8254_CHANNELS];
    uint8_t nmi_control; /* port 61H [3:0]: NMI disables, speaker data enable, gate 2 */
};

/*
 * State as firmware leaves it: counter 0 in mode 3 with count 0 (65536), running from `now` on;
 * counter 1 in mode 2 with count 18 (refresh); counter 2 in mode 3 without a count, gate low.
 *   tsc_hz  guest time's frequency, above I8254_HZ, up to 2^40 Hz
 *   now     guest time; later calls do not get a smaller one (one that is counts as the latest)
 */
void i8254_reset(struct i8254 *p, uint64_t tsc_hz, uint64_t now);

/*
 * Guest read of one byte.
 *   port    40H..43H, 61H
 *   return  the register; FFH for 43H, which cannot be read, and for any other port
 */
uint8_t i8254_read(struct i8254 *p, uint16_t port, uint64_t now);

/*
 * The same for counters 0..2 where there is nothing but a number to be told: one that runs with a
 * count of two bytes in binary, with no latch and no new count waiting.
 *   channel  0..2
 *   return   the byte; -1: it is not that simple
 */
static inline int i8254_read_plain(struct i8254 *p, unsigned channel, uint64_t now)
{
    struct i8254_channel *c = &p->channel[channel];
    uint64_t pulses;
    uint32_t count;

    if (UNLIKELY(c->plain == 0))
        return -1;
    if (LIKELY(now > p->now))
        p->now = now;
    else
        now = p->now;
    pulses = ratio_ticks(p->clock, now - p->epoch) - c->start;
    count = (c->count - ((uint32_t)(pulses % c->plain) << c->step)) >> c->read_at;
    c->read_at ^= 8;
    return (uint8_t)count;
}

/*
 * Guest write of one byte; may change i8254_deadline.
 *   port  as for i8254_read; writes to other ports are dropped
 */
void i8254_write(struct i8254 *p, uint16_t port, uint8_t value, uint64_t now);

/*
 * Rising edges of OUT0 (IRQ0) since those last returned.
 *   return  0 before i8254_deadline; at or after it at least 1, and the new deadline is later than
 *           now. See above for what to do with more than 1.
 */
uint64_t i8254_advance(struct i8254 *p, uint64_t now);

/* Guest time of the next rising edge of OUT0, TIME_NEVER if none will come. A plain load. */
static inline uint64_t i8254_deadline(const struct i8254 *p)
{
    return p->deadline;
}

/*
 * Level of an output.
 *   channel  0..2; any other is low
 */
bool i8254_out(const struct i8254 *p, unsigned channel, uint64_t now);

/* The invariant: true after i8254_reset and after any sequence of the calls above. */
bool i8254_ok(const struct i8254 *p);

#endif
