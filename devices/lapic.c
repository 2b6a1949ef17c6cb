/* SPDX-License-Identifier: BSD-2-Clause */
/* Local APIC. Source: SDM 3A "Advanced Programmable Interrupt Controller (APIC)". */
#include "devices/lapic.h"

#include "lib/bits.h"
#include "lib/string.h"

/*
 * Registers. The number is the MMIO offset / 16 and the x2APIC MSR - 800H.
 * "Local APIC Register Address Map", "x2APIC Register Address Space".
 */
#define REG_ID       0x02u
#define REG_VERSION  0x03u
#define REG_TPR      0x08u
#define REG_APR      0x09u /* not supported since the Pentium 4: reads 0, no error */
#define REG_PPR      0x0au
#define REG_EOI      0x0bu
#define REG_RRD      0x0cu /* as APR */
#define REG_LDR      0x0du
#define REG_DFR      0x0eu
#define REG_SVR      0x0fu
#define REG_ISR      0x10u /* 8 registers */
#define REG_TMR      0x18u
#define REG_IRR      0x20u
#define REG_ESR      0x28u
#define REG_ICR      0x30u
#define REG_ICR_HIGH 0x31u
#define REG_LVT      0x32u /* LAPIC_LVT_COUNT registers */
#define REG_INITIAL  0x38u
#define REG_CURRENT  0x39u
#define REG_DIVIDE   0x3eu
#define REG_SELF_IPI 0x3fu

/* Which registers there are, bit n = register n. All are below 40H. */
#define SET_VECTORS  0x000000ffffff0000ull /* ISR, TMR, IRR                          */
#define SET_COMMON   0x000000000000050cull /* ID, version, TPR, PPR                  */
#define SET_XAPIC_LO 0x000000000000fa00ull /* APR, EOI, RRD, LDR, DFR, SVR           */
#define SET_XAPIC_HI 0x43ff010000000000ull /* ESR, ICR, LVT, initial, current, divide */
#define SET_XAPIC    (SET_VECTORS | SET_COMMON | SET_XAPIC_LO | SET_XAPIC_HI)
#define SET_ABSENT   0x0002000000005200ull /* not in x2APIC: APR, RRD, DFR, ICR high  */
#define SET_EOI      0x0000000000000800ull
#define SET_X2_READ  (SET_XAPIC & ~SET_ABSENT & ~SET_EOI)
#define SET_X2_WRITE                                                                               \
    0xc1fd010000008900ull /* TPR, EOI, SVR, ESR, ICR, LVT, initial, divide, self                   \
                           */

/* Version: [7:0] version, [23:16] LVT entries - 1, [24] EOI-broadcast suppression */
#define VERSION            (0x14u | (LAPIC_LVT_COUNT - 1u) << 16 | 1u << 24)

/* Spurious-interrupt vector register */
#define SVR_RESET          0x000000ffu
#define SVR_ENABLE         0x00000100u /* [8]   APIC software enable        */
#define SVR_EOI_SUPPRESS   0x00001000u /* [12]  EOI-broadcast suppression   */
#define SVR_BITS           0x000013ffu /* [9]   focus checking: stored only */

/* LVT entries and the low half of the ICR */
#define FIELD_VECTOR       0x000000ffu /* [7:0]   vector                          */
#define FIELD_DELIVERY     0x00000700u /* [10:8]  delivery mode                   */
#define ICR_LOGICAL        0x00000800u /* [11]    destination mode                */
#define FIELD_STATUS       0x00001000u /* [12]    delivery status, RO: always idle */
#define LVT_REMOTE_IRR     0x00004000u /* [14]    remote IRR, RO                  */
#define ICR_ASSERT         0x00004000u /* [14]    level: assert                   */
#define ICR_LEVEL          0x00008000u /* [15]    trigger mode                    */
#define ICR_SHORTHAND      0x000c0000u /* [19:18] destination shorthand           */
#define LVT_TIMER_PERIODIC 0x00020000u
#define ICR_BITS           0x000cdfffu

#define DFR_BITS           0xf0000000u /* [31:28] model; the others read 1 */
#define DFR_FLAT           0xfu
#define DFR_CLUSTER        0x0u
#define XAPIC_DEST         0xff000000u /* [31:24] of ID, LDR and ICR high */
#define DIVIDE_BITS        0x0000000bu

/* Error status register */
#define ESR_SEND_VECTOR    0x20u /* [5] send illegal vector      */
#define ESR_RECEIVE_VECTOR 0x40u /* [6] receive illegal vector   */
#define ESR_REGISTER       0x80u /* [7] illegal register address */
#define ESR_BITS           0xe0u

#define FIRST_VECTOR       16u

static bool set_has(uint64_t set, unsigned reg)
{
    return reg < 64 && (set >> reg & 1) != 0;
}

static bool is_software_enabled(const struct lapic *l)
{
    return (l->svr & SVR_ENABLE) != 0;
}

static bool lvt_is_masked(const struct lapic *l, enum lapic_lvt which)
{
    return (l->lvt[which] & LAPIC_LVT_MASK) != 0;
}

static uint8_t lvt_vector(const struct lapic *l, enum lapic_lvt which)
{
    return (uint8_t)(l->lvt[which] & FIELD_VECTOR);
}

static enum apic_delivery lvt_delivery(const struct lapic *l, enum lapic_lvt which)
{
    return (enum apic_delivery)field_get(l->lvt[which], FIELD_DELIVERY);
}

/* ---- IRR, ISR, TMR and priorities ---- */

static uint32_t *reg_word(const struct lapic *l, unsigned reg)
{
    return &l->page[4 * reg];
}

/* A bit in one of the three maps of 256 vectors; `map` is its first register. */
static bool vector_get(const struct lapic *l, unsigned map, unsigned vector)
{
    return (*reg_word(l, map + vector / 32) >> vector % 32 & 1) != 0;
}

static void vector_put(struct lapic *l, unsigned map, unsigned vector, bool value)
{
    uint32_t *word = reg_word(l, map + vector / 32);

    if (value)
        *word |= BIT32(vector % 32);
    else
        *word &= ~BIT32(vector % 32);
}

/* The eight words of a map, every fourth of the page, are halved three times. */
static inline uint32_t *highest_word(const struct lapic *l, unsigned map)
{
    uint32_t *word = reg_word(l, map);

    if ((word[16] | word[20] | word[24] | word[28]) != 0)
        word += 16;
    if ((word[8] | word[12]) != 0)
        word += 8;
    return word[4] != 0 ? word + 4 : word;
}

/* The highest vector in a map, `word` being its highest_word(), which is not 0. */
static inline unsigned highest_in(const struct lapic *l, unsigned map, const uint32_t *word)
{
    return 8 * (unsigned)(word - reg_word(l, map)) + bit_highest(*word);
}

/* The highest vector in a map, 0 if it is empty (vectors 0..15 never get in). */
static inline uint8_t vector_highest(const struct lapic *l, unsigned map)
{
    const uint32_t *word = highest_word(l, map);

    return *word != 0 ? (uint8_t)highest_in(l, map, word) : 0;
}

/* Whether any vector is in a map. */
static inline bool vector_any(const struct lapic *l, unsigned map)
{
    const uint32_t *word = reg_word(l, map);

    return (word[0] | word[4] | word[8] | word[12] | word[16] | word[20] | word[24] | word[28]) !=
           0;
}

bool lapic_has_requests(const struct lapic *l)
{
    return vector_any(l, REG_IRR);
}

uint8_t lapic_highest_irr(const struct lapic *l)
{
    return vector_highest(l, REG_IRR);
}

uint8_t lapic_highest_isr(const struct lapic *l)
{
    return vector_highest(l, REG_ISR);
}

static uint8_t tpr(const struct lapic *l)
{
    return (uint8_t)*reg_word(l, REG_TPR);
}

/* "Task and Processor Priorities". Equal classes: PPR = TPR, as APIC virtualization has it. */
uint8_t lapic_priority(const struct lapic *l)
{
    uint8_t own = tpr(l);
    uint8_t isrv = lapic_highest_isr(l);

    return own >> 4 >= isrv >> 4 ? own : isrv & 0xf0;
}

static NOINLINE unsigned service_class(const struct lapic *l)
{
    return (unsigned)vector_highest(l, REG_ISR) >> 4;
}

/* Whether nothing in service or in TPR has that vector's class or a higher one. */
static inline bool is_above_priority(const struct lapic *l, unsigned vector)
{
    if (vector >> 4 <= (unsigned)tpr(l) >> 4)
        return false;
    return LIKELY(!vector_any(l, REG_ISR)) || vector >> 4 > service_class(l);
}

int lapic_pending(const struct lapic *l)
{
    uint8_t vector = lapic_highest_irr(l);

    return vector != 0 && is_above_priority(l, vector) ? vector : -1;
}

int lapic_take(struct lapic *l)
{
    uint32_t *word = highest_word(l, REG_IRR);

    if (*word == 0)
        return -1;

    unsigned vector = highest_in(l, REG_IRR, word);

    if (!is_above_priority(l, vector))
        return -1;
    *word &= ~BIT32(vector % 32);
    *(word - 4 * (REG_IRR - REG_ISR)) |= BIT32(vector % 32);
    return (int)vector;
}

static inline void irr_set(struct lapic *l, uint8_t vector, bool level)
{
    uint32_t *word = l->page + vector / 32u * 4;
    uint32_t bit = BIT32(vector % 32);

    word[4 * REG_IRR] |= bit;
    if (UNLIKELY(level)) {
        l->new_level |= (word[4 * REG_TMR] & bit) == 0;
        word[4 * REG_TMR] |= bit;
    } else {
        word[4 * REG_TMR] &= ~bit;
    }
}

uint8_t lapic_tpr_threshold(const struct lapic *l)
{
    unsigned class = lapic_highest_irr(l) >> 4;

    if (class <= lapic_highest_isr(l) >> 4 || class > tpr(l) >> 4)
        return 0;
    return (uint8_t) class;
}

void lapic_get_levels(struct lapic *l, uint64_t levels[4])
{
    l->new_level = false;
    for (unsigned i = 0; i < 4; i++)
        levels[i] = *reg_word(l, REG_TMR + 2 * i) | (uint64_t)*reg_word(l, REG_TMR + 2 * i + 1)
                                                        << 32;
}

void lapic_accept_posted(struct lapic *l, const uint64_t vectors[4])
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t word = (uint32_t)(vectors[i / 2] >> 32 * (i % 2));

        *reg_word(l, REG_IRR + i) |= word;
        *reg_word(l, REG_TMR + i) &= ~word;
    }
}

/*
 * "Error Handling": the first error after a write to ESR may interrupt, later ones are only logged.
 * An illegal vector in the error entry itself must not lead back here.
 */
static NOINLINE void error_record(struct lapic *l, uint8_t error)
{
    bool armed = l->errors == 0;
    uint8_t vector = lvt_vector(l, LAPIC_LVT_ERROR);

    l->errors |= error;
    if (!armed || lvt_is_masked(l, LAPIC_LVT_ERROR))
        return;
    if (vector < FIRST_VECTOR)
        l->errors |= ESR_RECEIVE_VECTOR;
    else
        irr_set(l, vector, false);
}

static inline bool vector_accept(struct lapic *l, uint8_t vector, bool level)
{
    if (vector < FIRST_VECTOR) {
        error_record(l, ESR_RECEIVE_VECTOR);
        return false;
    }
    irr_set(l, vector, level);
    return true;
}

void lapic_ack(struct lapic *l, int vector)
{
    vector_put(l, REG_IRR, (unsigned)vector, false);
    vector_put(l, REG_ISR, (unsigned)vector, true);
}

uint64_t lapic_get_cr8(const struct lapic *l)
{
    return tpr(l) >> 4;
}

void lapic_set_cr8(struct lapic *l, uint64_t cr8)
{
    *reg_word(l, REG_TPR) = (uint32_t)(cr8 & 0xf) << 4;
}

/* ---- Timer ---- */

static uint64_t time_add(uint64_t t, uint64_t ticks)
{
    return ticks > TIME_NEVER - t ? TIME_NEVER : t + ticks;
}

static uint32_t timer_mode(const struct lapic *l)
{
    return l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_TIMER_MODE;
}

/* One-shot and periodic count; TSC-deadline mode and the reserved mode do not. */
static bool timer_mode_counts(uint32_t mode)
{
    return (mode & LAPIC_LVT_TIMER_TSC) == 0;
}

/* "Divide Configuration Register": [3] and [1:0] are 2, 4, 8 ... 128, 1. Result: log2. */
static unsigned timer_shift(const struct lapic *l)
{
    uint32_t value = (l->divide & 8) >> 1 | (l->divide & 3);

    return (value + 1) & 7;
}

static uint64_t timer_period(const struct lapic *l)
{
    return (uint64_t)l->initial << timer_shift(l);
}

/* When the count next reaches 0, seen from `since`. */
static uint64_t timer_zero(const struct lapic *l)
{
    return l->left == 0 ? TIME_NEVER : time_add(l->since, (uint64_t)l->left << timer_shift(l));
}

uint32_t lapic_count(const struct lapic *l, uint64_t now)
{
    uint64_t elapsed = now > l->since ? (now - l->since) >> timer_shift(l) : 0;

    if (elapsed < l->left)
        return l->left - (uint32_t)elapsed;
    if (l->left == 0 || timer_mode(l) != LVT_TIMER_PERIODIC)
        return 0;
    return l->initial - (uint32_t)((elapsed - l->left) % l->initial);
}

/* Move `since` to the last reload, so that timer_zero is later than now. */
static void timer_catch_up(struct lapic *l, uint64_t now)
{
    uint64_t zero = timer_zero(l);

    if (l->left == 0 || now < zero)
        return;
    if (timer_mode(l) == LVT_TIMER_PERIODIC) {
        l->since = zero + (now - zero) / timer_period(l) * timer_period(l);
        l->left = l->initial;
    } else {
        l->left = 0;
    }
}

static void timer_rearm(struct lapic *l)
{
    if (timer_mode(l) == LAPIC_LVT_TIMER_TSC)
        l->expiry = l->tsc_deadline == 0 ? TIME_NEVER : l->tsc_deadline;
    else
        l->expiry = timer_zero(l);
    lapic_update_deadline(l);
}

/* The first time the count reaches 0 that is not too soon after the interrupt given at now. */
static uint64_t timer_next(const struct lapic *l, uint64_t now)
{
    uint64_t zero = timer_zero(l);
    uint64_t earliest = time_add(now, l->spacing);
    uint64_t skipped;

    if (zero >= earliest)
        return zero;
    skipped = (earliest - zero - 1) / timer_period(l) + 1;
    return time_add(zero, skipped * timer_period(l));
}

void lapic_advance(struct lapic *l, uint64_t now)
{
    if (now < l->expiry)
        return;
    if (!lvt_is_masked(l, LAPIC_LVT_TIMER))
        vector_accept(l, lvt_vector(l, LAPIC_LVT_TIMER), false);
    if (timer_mode(l) == LAPIC_LVT_TIMER_TSC) {
        l->tsc_deadline = 0;
        l->expiry = l->deadline = TIME_NEVER;
        return;
    }
    timer_catch_up(l, now);
    l->expiry = l->left == 0 ? TIME_NEVER : timer_next(l, now);
    lapic_update_deadline(l);
}

static void timer_write_initial(struct lapic *l, uint32_t value, uint64_t now)
{
    if (!timer_mode_counts(timer_mode(l)))
        return;
    lapic_advance(l, now);
    l->initial = value;
    l->left = value;
    l->since = now;
    timer_rearm(l);
}

static void timer_write_divide(struct lapic *l, uint32_t value, uint64_t now)
{
    if (value == l->divide)
        return;
    lapic_advance(l, now);
    l->left = lapic_count(l, now);
    l->since = now;
    l->divide = value;
    timer_rearm(l);
}

/*
 * "TSC-Deadline Mode" says that a change of the mode disarms the timer. Processors do so to and
 * from TSC-deadline mode; between one-shot and periodic the count goes on.
 */
static void timer_write_lvt(struct lapic *l, uint32_t value, uint64_t now)
{
    uint32_t mode = value & LAPIC_LVT_TIMER_MODE;
    bool changed = mode != timer_mode(l);

    lapic_advance(l, now);
    timer_catch_up(l, now);
    if (changed && (!timer_mode_counts(mode) || !timer_mode_counts(timer_mode(l)))) {
        l->initial = 0;
        l->left = 0;
        l->tsc_deadline = 0;
    }
    l->lvt[LAPIC_LVT_TIMER] = value;
    if (changed)
        timer_rearm(l);
    else
        lapic_update_deadline(l);
}

uint64_t lapic_read_tsc_deadline(const struct lapic *l, uint64_t now)
{
    return now >= l->tsc_deadline ? 0 : l->tsc_deadline;
}

/* ---- Local vector table ---- */

/* Remote IRR of LINT0 is the one bit that changes without a write; the page follows. */
static void lint0_set_remote_irr(struct lapic *l, bool set)
{
    uint32_t *entry = &l->lvt[LAPIC_LVT_LINT0];

    *entry = set ? *entry | LVT_REMOTE_IRR : *entry & ~LVT_REMOTE_IRR;
    *reg_word(l, REG_LVT + LAPIC_LVT_LINT0) = *entry;
}

/* LINT1 knows no level trigger, and only fixed interrupts are levels. */
static bool lint0_is_level(const struct lapic *l)
{
    return (l->lvt[LAPIC_LVT_LINT0] & LAPIC_LVT_LEVEL) != 0 &&
           lvt_delivery(l, LAPIC_LVT_LINT0) == APIC_FIXED;
}

static enum lapic_event lint0_service(struct lapic *l)
{
    uint32_t entry = l->lvt[LAPIC_LVT_LINT0];

    if (!l->lint[0] || !lint0_is_level(l) || (entry & (LAPIC_LVT_MASK | LVT_REMOTE_IRR)) != 0)
        return LAPIC_EVENT_NONE;
    if (!vector_accept(l, lvt_vector(l, LAPIC_LVT_LINT0), true))
        return LAPIC_EVENT_NONE;
    lint0_set_remote_irr(l, true);
    return LAPIC_EVENT_INTERRUPT;
}

static enum lapic_event lint_edge(struct lapic *l, enum lapic_lvt which)
{
    switch (lvt_delivery(l, which)) {
    case APIC_FIXED:
        return vector_accept(l, lvt_vector(l, which), false) ? LAPIC_EVENT_INTERRUPT
                                                             : LAPIC_EVENT_NONE;
    case APIC_SMI: return LAPIC_EVENT_SMI;
    case APIC_NMI: return LAPIC_EVENT_NMI;
    case APIC_INIT: return LAPIC_EVENT_INIT;
    case APIC_EXTINT: /* a level: lapic_extint_enabled */
    case APIC_LOWEST: /* reserved in an LVT entry */
    case APIC_STARTUP: break;
    }
    return LAPIC_EVENT_NONE;
}

enum lapic_event lapic_set_lint(struct lapic *l, unsigned pin, bool level)
{
    enum lapic_lvt which = pin == 0 ? LAPIC_LVT_LINT0 : LAPIC_LVT_LINT1;
    bool rising;

    if (pin > 1)
        return LAPIC_EVENT_NONE;
    rising = level && !l->lint[pin];
    l->lint[pin] = level;
    if ((l->base & LAPIC_BASE_EN) == 0) /* the pins are the processor's INTR and NMI */
        return rising && pin == 1 ? LAPIC_EVENT_NMI : LAPIC_EVENT_NONE;
    if (which == LAPIC_LVT_LINT0 && lint0_is_level(l))
        return lint0_service(l);
    if (!rising || lvt_is_masked(l, which))
        return LAPIC_EVENT_NONE;
    return lint_edge(l, which);
}

static uint32_t lvt_bits(enum lapic_lvt which)
{
    uint32_t bits = FIELD_VECTOR | FIELD_STATUS | LAPIC_LVT_MASK;

    switch (which) {
    case LAPIC_LVT_TIMER: return bits | LAPIC_LVT_TIMER_MODE;
    case LAPIC_LVT_THERMAL:
    case LAPIC_LVT_PERF: return bits | FIELD_DELIVERY;
    case LAPIC_LVT_LINT0:
    case LAPIC_LVT_LINT1: return bits | FIELD_DELIVERY | 0x0000e000u; /* polarity, RIRR, trigger */
    case LAPIC_LVT_ERROR:
    case LAPIC_LVT_COUNT: break;
    }
    return bits;
}

static void lvt_write(struct lapic *l, enum lapic_lvt which, uint32_t value, uint64_t now)
{
    value &= ~(FIELD_STATUS | LVT_REMOTE_IRR);
    if (!is_software_enabled(l))
        value |= LAPIC_LVT_MASK;
    if (which == LAPIC_LVT_TIMER) {
        timer_write_lvt(l, value, now);
        return;
    }
    value |= l->lvt[which] & LVT_REMOTE_IRR;
    l->lvt[which] = value;
    if (which == LAPIC_LVT_LINT0) {
        if (!lint0_is_level(l))
            l->lvt[which] &= ~LVT_REMOTE_IRR;
        lint0_service(l);
    }
}

/* "Local APIC State After It Has Been Software Disabled": every LVT entry is masked and stays so.
 */
static void svr_write(struct lapic *l, uint32_t value, uint64_t now)
{
    lapic_advance(l, now);
    l->svr = value;
    if (is_software_enabled(l))
        return;
    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++)
        l->lvt[i] |= LAPIC_LVT_MASK;
    lapic_update_deadline(l);
}

/* ---- EOI and interprocessor interrupts ---- */

/* "Signaling Interrupt Servicing Completion" */
void lapic_after_eoi(struct lapic *l, uint8_t vector, struct lapic_effect *effect)
{
    effect->kind = LAPIC_EFFECT_NONE;
    if (!vector_get(l, REG_TMR, vector))
        return;
    if ((l->svr & SVR_EOI_SUPPRESS) == 0) {
        effect->kind = LAPIC_EFFECT_EOI;
        effect->vector = vector;
    }
    if (lvt_vector(l, LAPIC_LVT_LINT0) == vector) {
        lint0_set_remote_irr(l, false);
        lint0_service(l);
    }
}

uint8_t lapic_eoi(struct lapic *l, struct lapic_effect *effect)
{
    uint8_t vector = lapic_highest_isr(l);

    effect->kind = LAPIC_EFFECT_NONE;
    if (vector == 0)
        return 0;
    vector_put(l, REG_ISR, vector, false);
    lapic_after_eoi(l, vector, effect);
    return vector;
}

/* Reserved modes (ExtINT is one in an IPI) and INIT level de-assert send nothing. */
static bool icr_sends(uint32_t icr)
{
    uint64_t delivery = field_get(icr, FIELD_DELIVERY);

    if (delivery == APIC_DELIVERY_RESERVED || delivery == APIC_EXTINT)
        return false;
    return delivery != APIC_INIT || (icr & ICR_LEVEL) == 0 || (icr & ICR_ASSERT) != 0;
}

/* Fixed and valid, and to nobody else: no message is needed. */
static bool is_to_itself(uint32_t icr)
{
    return (icr & (ICR_SHORTHAND | FIELD_DELIVERY)) == (uint32_t)APIC_DEST_SELF << 18 &&
           (icr & FIELD_VECTOR) >= FIRST_VECTOR;
}

static void send_to_itself(struct lapic *l, uint32_t icr)
{
    if (is_software_enabled(l))
        irr_set(l, (uint8_t)(icr & FIELD_VECTOR), false);
}

static NOINLINE void ipi_send(struct lapic *l, uint32_t icr, uint32_t dest,
                              struct lapic_effect *effect)
{
    if (!icr_sends(icr))
        return;
    if (field_get(icr, FIELD_DELIVERY) <= APIC_LOWEST && (icr & FIELD_VECTOR) < FIRST_VECTOR)
        error_record(l, ESR_SEND_VECTOR);
    effect->kind = LAPIC_EFFECT_IPI;
    effect->msg = (struct apic_msg){
        .dest = dest,
        .vector = (uint8_t)(icr & FIELD_VECTOR),
        .delivery = (uint8_t)field_get(icr, FIELD_DELIVERY),
        .shorthand = (uint8_t)field_get(icr, ICR_SHORTHAND),
        .wide = lapic_x2apic_enabled(l),
        .logical = (icr & ICR_LOGICAL) != 0,
        .level = false, /* the trigger mode matters to INIT de-assert only */
        .assert_level = true,
    };
}

void lapic_write_icr(struct lapic *l, uint32_t value, struct lapic_effect *effect)
{
    uint32_t dest = *reg_word(l, REG_ICR_HIGH);
    uint32_t icr = value & (ICR_BITS & ~FIELD_STATUS);

    effect->kind = LAPIC_EFFECT_NONE;
    l->icr_low = icr;
    *reg_word(l, REG_ICR) = icr;
    if (is_to_itself(icr))
        send_to_itself(l, icr);
    else
        ipi_send(l, icr, lapic_x2apic_enabled(l) ? dest : dest >> 24, effect);
}

/* "SELF IPI Register": a fixed, edge-triggered interrupt to this APIC; the ICR is not involved. */
static void self_ipi_write(struct lapic *l, uint32_t vector, struct lapic_effect *effect)
{
    uint32_t icr = vector | (uint32_t)APIC_DEST_SELF << 18;

    if (is_to_itself(icr))
        send_to_itself(l, icr);
    else
        ipi_send(l, icr, 0, effect); /* an invalid vector: recorded here and there */
}

/* ---- Message arrival ---- */

static uint32_t x2apic_ldr(const struct lapic *l)
{
    return (l->id >> 4) << 16 | BIT32(l->id & 0xf);
}

static bool match_physical(const struct lapic *l, uint32_t dest)
{
    return dest == (lapic_x2apic_enabled(l) ? l->id : (l->id & 0xff));
}

/* An 8-bit destination meets an x2APIC as one with 32 bits: its cluster 0. */
static bool match_logical(const struct lapic *l, uint32_t dest)
{
    uint32_t ldr = l->ldr >> 24;
    uint32_t model = l->dfr >> 28;

    if (lapic_x2apic_enabled(l))
        return dest >> 16 == x2apic_ldr(l) >> 16 && (dest & x2apic_ldr(l) & 0xffff) != 0;
    if (dest > 0xff)
        return false;
    if (model == DFR_FLAT)
        return (dest & ldr) != 0;
    return model == DFR_CLUSTER && dest >> 4 == ldr >> 4 && (dest & ldr & 0xf) != 0;
}

static bool match_dest(const struct lapic *l, const struct apic_msg *m)
{
    if (m->dest == (m->wide ? 0xffffffffu : 0xffu))
        return true;
    return m->logical ? match_logical(l, m->dest) : match_physical(l, m->dest);
}

/* Whether the APIC takes messages of this kind in its present state. */
static bool accepts(const struct lapic *l, const struct apic_msg *m)
{
    if ((l->base & LAPIC_BASE_EN) == 0)
        return false;
    if (is_software_enabled(l))
        return true;
    return m->delivery != APIC_FIXED && m->delivery != APIC_LOWEST && m->delivery != APIC_EXTINT;
}

bool lapic_match(const struct lapic *l, const struct apic_msg *m, uint32_t source_id)
{
    if (!accepts(l, m))
        return false;
    switch ((enum apic_shorthand)m->shorthand) {
    case APIC_DEST_FIELD: return match_dest(l, m);
    case APIC_DEST_SELF: return l->id == source_id;
    case APIC_DEST_ALL: return true;
    case APIC_DEST_OTHERS: return l->id != source_id;
    }
    return false;
}

enum lapic_event lapic_accept(struct lapic *l, const struct apic_msg *m)
{
    if (!accepts(l, m))
        return LAPIC_EVENT_NONE;
    switch ((enum apic_delivery)m->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST:
        return vector_accept(l, m->vector, m->level) ? LAPIC_EVENT_INTERRUPT : LAPIC_EVENT_NONE;
    case APIC_SMI: return LAPIC_EVENT_SMI;
    case APIC_NMI: return LAPIC_EVENT_NMI;
    case APIC_INIT: return m->level && !m->assert_level ? LAPIC_EVENT_NONE : LAPIC_EVENT_INIT;
    case APIC_STARTUP: return LAPIC_EVENT_STARTUP;
    case APIC_EXTINT: return LAPIC_EVENT_EXTINT;
    }
    return LAPIC_EVENT_NONE;
}

/* ---- Registers ---- */

/* The bits of a register that a write may set; the others are reserved. */
static uint32_t reg_bits(const struct lapic *l, unsigned reg)
{
    if (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVT_COUNT)
        return lvt_bits((enum lapic_lvt)(reg - REG_LVT));
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI: return 0xff;
    case REG_LDR: return XAPIC_DEST;
    case REG_DFR: return DFR_BITS;
    case REG_SVR: return SVR_BITS;
    case REG_ICR: return ICR_BITS;
    case REG_ICR_HIGH: return lapic_x2apic_enabled(l) ? UINT32_MAX : XAPIC_DEST;
    case REG_INITIAL: return UINT32_MAX;
    case REG_DIVIDE: return DIVIDE_BITS;
    default: return 0;
    }
}

static uint32_t reg_read(const struct lapic *l, unsigned reg, uint64_t now)
{
    if (reg >= REG_ISR && reg < REG_IRR + 8)
        return *reg_word(l, reg);
    if (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVT_COUNT)
        return l->lvt[reg - REG_LVT];
    switch (reg) {
    case REG_ID: return lapic_x2apic_enabled(l) ? l->id : l->id << 24;
    case REG_VERSION: return VERSION;
    case REG_TPR: return tpr(l);
    case REG_ICR_HIGH: return *reg_word(l, reg);
    case REG_PPR: return lapic_priority(l);
    case REG_LDR: return lapic_x2apic_enabled(l) ? x2apic_ldr(l) : l->ldr;
    case REG_DFR: return l->dfr;
    case REG_SVR: return l->svr;
    case REG_ESR: return l->esr;
    case REG_ICR: return l->icr_low;
    case REG_INITIAL: return l->initial;
    case REG_CURRENT: return lapic_count(l, now);
    case REG_DIVIDE: return l->divide;
    default: return 0; /* APR, RRD, and EOI, which is write-only */
    }
}

/* Copy registers first..last, as they read now, into the page. */
static void publish(struct lapic *l, unsigned first, unsigned last)
{
    for (unsigned reg = first; reg <= last; reg++)
        *reg_word(l, reg) = reg_read(l, reg, 0);
}

static void publish_all(struct lapic *l)
{
    publish(l, REG_ID, REG_VERSION);
    publish(l, REG_LDR, REG_SVR);
    publish(l, REG_ESR, REG_ESR);
    publish(l, REG_ICR, REG_INITIAL);
    publish(l, REG_DIVIDE, REG_DIVIDE);
}

/* value: only bits of reg_bits. Read-only registers ignore it. */
static void reg_set(struct lapic *l, unsigned reg, uint32_t value, uint64_t now,
                    struct lapic_effect *effect)
{
    if (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVT_COUNT) {
        lvt_write(l, (enum lapic_lvt)(reg - REG_LVT), value, now);
        return;
    }
    switch (reg) {
    case REG_TPR:
    case REG_ICR_HIGH: *reg_word(l, reg) = value; break;
    case REG_EOI: (void)lapic_eoi(l, effect); break;
    case REG_LDR: l->ldr = value; break;
    case REG_DFR: l->dfr = value | ~DFR_BITS; break;
    case REG_SVR: svr_write(l, value, now); break;
    case REG_ESR:
        l->esr = l->errors;
        l->errors = 0;
        break;
    case REG_INITIAL: timer_write_initial(l, value, now); break;
    case REG_DIVIDE: timer_write_divide(l, value, now); break;
    default: break;
    }
}

static void reg_write(struct lapic *l, unsigned reg, uint32_t value, uint64_t now,
                      struct lapic_effect *effect)
{
    if (reg == REG_ICR) { /* IPIs are frequent, and by themselves in the page */
        lapic_write_icr(l, value, effect);
        return;
    }
    if (reg == REG_SELF_IPI) {
        *reg_word(l, REG_SELF_IPI) = 0; /* the hardware may have stored the write */
        self_ipi_write(l, value, effect);
        return;
    }
    reg_set(l, reg, value, now, effect);
    if (reg == REG_SVR || (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVT_COUNT))
        publish_all(l); /* SVR masks LVT entries; a timer's mode clears its initial count */
    else
        publish(l, reg, reg);
}

uint32_t lapic_read(struct lapic *l, unsigned offset, uint64_t now)
{
    if (!lapic_mmio_enabled(l))
        return UINT32_MAX;
    if (offset >= LAPIC_SIZE || offset % 16 != 0)
        return 0;
    if (!set_has(SET_XAPIC, offset / 16)) {
        error_record(l, ESR_REGISTER);
        return 0;
    }
    return reg_read(l, offset / 16, now);
}

void lapic_write(struct lapic *l, unsigned offset, uint32_t value, uint64_t now,
                 struct lapic_effect *effect)
{
    effect->kind = LAPIC_EFFECT_NONE;
    if (!lapic_mmio_enabled(l) || offset >= LAPIC_SIZE || offset % 16 != 0)
        return;
    if (!set_has(SET_XAPIC, offset / 16)) {
        error_record(l, ESR_REGISTER);
        return;
    }
    reg_write(l, offset / 16, value & reg_bits(l, offset / 16), now, effect);
}

bool lapic_rdmsr(const struct lapic *l, uint32_t msr, uint64_t *value, uint64_t now)
{
    unsigned reg = msr - 0x800; /* an MSR below wraps to a number that is no register */

    if (!lapic_x2apic_enabled(l) || !set_has(SET_X2_READ, reg))
        return false;
    *value = reg_read(l, reg, now);
    if (reg == REG_ICR)
        *value |= (uint64_t)*reg_word(l, REG_ICR_HIGH) << 32;
    return true;
}

bool lapic_wrmsr(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now,
                 struct lapic_effect *effect)
{
    unsigned reg = msr - 0x800;

    effect->kind = LAPIC_EFFECT_NONE;
    if (!lapic_x2apic_enabled(l) || !set_has(SET_X2_WRITE, reg))
        return false;
    if (((uint32_t)value & ~reg_bits(l, reg)) != 0 || (reg != REG_ICR && value >> 32 != 0))
        return false;
    if (reg == REG_ICR)
        *reg_word(l, REG_ICR_HIGH) = (uint32_t)(value >> 32);
    reg_write(l, reg, (uint32_t)value, now, effect);
    return true;
}

void lapic_after_write(struct lapic *l, unsigned offset, uint64_t now, struct lapic_effect *effect)
{
    uint32_t value = l->page[offset % LAPIC_SIZE / 4];

    if (lapic_x2apic_enabled(l))
        (void)lapic_wrmsr(l, 0x800 + offset / 16, value, now, effect);
    else
        lapic_write(l, offset, value, now, effect);
}

/* ---- State changes ---- */

void lapic_init(struct lapic *l)
{
    l->deadline = TIME_NEVER;
    l->expiry = TIME_NEVER;
    l->since = 0;
    l->tsc_deadline = 0;
    l->initial = 0;
    l->left = 0;
    l->divide = 0;
    l->svr = SVR_RESET;
    l->ldr = 0;
    l->dfr = UINT32_MAX;
    l->icr_low = 0;
    l->esr = 0;
    l->errors = 0;
    l->new_level = false;
    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++)
        l->lvt[i] = LAPIC_LVT_MASK;
    memset(l->page, 0, LAPIC_SIZE);
    publish_all(l);
}

void lapic_reset(struct lapic *l, uint32_t *page, uint32_t id, bool bsp, uint64_t tsc_hz)
{
    l->page = page;
    l->base = LAPIC_GPA | LAPIC_BASE_EN | (bsp ? LAPIC_BASE_BSP : 0);
    l->spacing = tsc_hz / LAPIC_TIMER_MAX_HZ + 1;
    l->id = id;
    l->lint[0] = false;
    l->lint[1] = false;
    lapic_init(l);
}

void lapic_set_virtual_wire(struct lapic *l)
{
    l->svr = SVR_RESET | SVR_ENABLE;
    l->lvt[LAPIC_LVT_LINT0] = (uint32_t)APIC_EXTINT << 8;
    l->lvt[LAPIC_LVT_LINT1] = (uint32_t)APIC_NMI << 8;
    publish_all(l);
}

uint64_t lapic_read_base(const struct lapic *l)
{
    return l->base;
}

bool lapic_write_base(struct lapic *l, uint64_t value)
{
    uint64_t from = l->base & (LAPIC_BASE_EN | LAPIC_BASE_EXTD);
    uint64_t to = value & (LAPIC_BASE_EN | LAPIC_BASE_EXTD);

    if ((value & ~(LAPIC_BASE_EN | LAPIC_BASE_EXTD | LAPIC_BASE_BSP)) != LAPIC_GPA)
        return false;
    if (to == LAPIC_BASE_EXTD)
        return false;
    if (from == (LAPIC_BASE_EN | LAPIC_BASE_EXTD) && to == LAPIC_BASE_EN)
        return false;
    if (from == 0 && to == (LAPIC_BASE_EN | LAPIC_BASE_EXTD))
        return false;
    l->base = LAPIC_GPA | (l->base & LAPIC_BASE_BSP) | to;
    if (to == 0 && from != 0)
        lapic_init(l);
    if (to != from && lapic_x2apic_enabled(l))
        *reg_word(l, REG_ICR_HIGH) = 0; /* xAPIC's bits mean something else there */
    publish_all(l);
    return true;
}

/* ---- Invariant ---- */

static bool vectors_ok(const struct lapic *l)
{
    uint32_t below_16 = *reg_word(l, REG_IRR) | *reg_word(l, REG_ISR) | *reg_word(l, REG_TMR);

    if ((below_16 & 0xffff) != 0 || *reg_word(l, REG_TPR) > 0xff)
        return false;
    for (unsigned class = 0; class < 16; class ++) { /* one interrupt in service per class */
        uint32_t in_class = *reg_word(l, REG_ISR + class / 2) >> 16 * (class % 2) & 0xffff;

        if ((in_class & (in_class - 1)) != 0)
            return false;
    }
    return true;
}

static bool timer_ok(const struct lapic *l)
{
    bool masked = lvt_is_masked(l, LAPIC_LVT_TIMER);

    if ((l->divide & ~DIVIDE_BITS) != 0 || l->spacing == 0 || l->left > l->initial)
        return false;
    if (l->deadline != (masked ? TIME_NEVER : l->expiry))
        return false;
    if (timer_mode_counts(timer_mode(l)))
        return l->tsc_deadline == 0 && l->expiry >= timer_zero(l);
    if (l->initial != 0 || l->left != 0)
        return false;
    if (timer_mode(l) != LAPIC_LVT_TIMER_TSC)
        return l->tsc_deadline == 0 && l->expiry == TIME_NEVER;
    return l->expiry == (l->tsc_deadline == 0 ? TIME_NEVER : l->tsc_deadline);
}

static bool lvt_ok(const struct lapic *l, enum lapic_lvt which)
{
    uint32_t entry = l->lvt[which];

    if ((entry & (~lvt_bits(which) | FIELD_STATUS)) != 0)
        return false;
    if ((entry & LVT_REMOTE_IRR) != 0 && (which != LAPIC_LVT_LINT0 || !lint0_is_level(l)))
        return false;
    return is_software_enabled(l) || lvt_is_masked(l, which);
}

static bool registers_ok(const struct lapic *l)
{
    if ((l->svr & ~SVR_BITS) != 0 || (l->dfr | DFR_BITS) != UINT32_MAX)
        return false;
    if ((l->ldr & ~XAPIC_DEST) != 0 || (l->icr_low & (~ICR_BITS | FIELD_STATUS)) != 0)
        return false;
    if (!lapic_x2apic_enabled(l) && (*reg_word(l, REG_ICR_HIGH) & ~XAPIC_DEST) != 0)
        return false;
    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++) {
        if (!lvt_ok(l, (enum lapic_lvt)i))
            return false;
    }
    return ((l->esr | l->errors) & ~ESR_BITS) == 0;
}

static bool base_ok(const struct lapic *l)
{
    uint64_t mode = l->base & (LAPIC_BASE_EN | LAPIC_BASE_EXTD);

    if ((l->base & ~(LAPIC_BASE_EN | LAPIC_BASE_EXTD | LAPIC_BASE_BSP)) != LAPIC_GPA)
        return false;
    if (mode == 0 &&
        (lapic_highest_irr(l) != 0 || lapic_highest_isr(l) != 0 || is_software_enabled(l)))
        return false;
    return mode != LAPIC_BASE_EXTD;
}

bool lapic_ok(const struct lapic *l)
{
    return base_ok(l) && registers_ok(l) && vectors_ok(l) && timer_ok(l);
}
