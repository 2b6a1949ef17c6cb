/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM 3A "Extended XAPIC (x2APIC)", "Signaling Interrupt Servicing Completion". */
#include "guest/direct.h"

#include "arch/x86/apic.h"
#include "arch/x86/regs.h"
#include "guest/platform.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"

#define X2APIC_VERSION  (MSR_X2APIC_FIRST + 0x03)

#define VERSION_LVT     0x00ff0000u /* [23:16] entries of the local vector table - 1 */
#define VERSION_SIX_LVT ((uint32_t)(LAPIC_LVT_COUNT - 1) << 16)

void direct_reset(struct vcpu *v)
{
    memset(v->direct_levels, 0, sizeof(v->direct_levels));
    (void)lapic_write_base(&v->lapic, lapic_read_base(&v->lapic) | LAPIC_BASE_EXTD);
}

/*
 * The guest's EOI of a level-triggered interrupt is not seen. The I/O APIC is told of it at the
 * next exit; a line that is still asserted interrupts once more then.
 */
static void end_levels(struct vcpu *v)
{
    for (unsigned i = 0; i < ARRAY_LEN(v->direct_levels); i++) {
        uint64_t bits = v->direct_levels[i];

        v->direct_levels[i] = 0;
        for (; bits != 0; bits &= bits - 1)
            platform_after_eoi(v, (uint8_t)(64 * i + bit_lowest(bits)));
    }
}

/* Each vector once, from the highest down: a level on LINT0 comes again with its EOI. */
void direct_hand_on(struct vcpu *v)
{
    int before = 256;
    int vector;

    end_levels(v);
    while ((vector = lapic_pending(&v->lapic)) >= 0 && vector < before) {
        struct lapic_effect effect;

        before = vector;
        lapic_ack(&v->lapic, vector);
        (void)lapic_eoi(&v->lapic, &effect);
        if (effect.kind == LAPIC_EFFECT_EOI)
            v->direct_levels[vector / 64] |= BIT(vector % 64);
        apic_send_self((uint8_t)vector);
    }
    v->arch.attention |= vector >= 0 ? ATTEND_LAPIC : 0;
    for (unsigned i = 0; i < ARRAY_LEN(v->direct_levels); i++)
        v->arch.attention |= v->direct_levels[i] != 0 ? ATTEND_LAPIC : 0;
}

/* The core's own may have an entry more, which the guest does not get. */
bool direct_read_msr(uint32_t msr, uint64_t *value)
{
    uint32_t version = apic_version();

    if (msr != X2APIC_VERSION)
        return false;
    if ((version & VERSION_LVT) > VERSION_SIX_LVT)
        version = (version & ~VERSION_LVT) | VERSION_SIX_LVT;
    *value = version;
    return true;
}

bool direct_write_msr(const struct vcpu *v, uint32_t msr, uint64_t value, bool *ok)
{
    switch (msr) {
    case MSR_APIC_BASE: *ok = value == lapic_read_base(&v->lapic); return true;
    case MSR_TSC: *ok = false; return true;
    case MSR_TSC_ADJUST: *ok = value == 0; return true;
    default: return false;
    }
}
