/* SPDX-License-Identifier: BSD-2-Clause */
/* unit: devices/lapic.c */
/* Local APIC against SDM 3A "Advanced Programmable Interrupt Controller (APIC)". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/lapic.h"

#define TSC_HZ         1000000000ull /* the floor between periodic interrupts is then about 20000 ticks */

#define BASE_BSP_XAPIC 0xfee00900ull
#define EN             0x800ull
#define EXTD           0x400ull

/* MMIO offsets */
#define ID             0x020u
#define VERSION        0x030u
#define TPR            0x080u
#define APR            0x090u
#define PPR            0x0a0u
#define EOI            0x0b0u
#define RRD            0x0c0u
#define LDR            0x0d0u
#define DFR            0x0e0u
#define SVR            0x0f0u
#define ISR            0x100u
#define TMR            0x180u
#define IRR            0x200u
#define ESR            0x280u
#define ICR            0x300u
#define ICR_HI         0x310u
#define LVT            0x320u
#define LINT0          0x350u
#define LINT1          0x360u
#define LVT_ERR        0x370u
#define INITIAL        0x380u
#define CURRENT        0x390u
#define DIVIDE         0x3e0u

#define MASKED         0x10000u
#define PERIODIC       0x20000u
#define TSC_MODE       0x40000u
#define RIRR           0x4000u
#define LEVEL          0x8000u
#define DIV_1          0xbu

/* Register pages in turn: no test has more APICs than there are pages. */
static uint32_t *new_page(void)
{
    static uint32_t pages[16][LAPIC_SIZE / 4];
    static unsigned next;

    return pages[next++ % 16];
}

static uint64_t clock_now; /* the `now` of rd and wr */
static struct lapic_effect effect;

static uint32_t rd(struct lapic *l, unsigned offset)
{
    uint32_t value = lapic_read(l, offset, clock_now);

    assert_true(lapic_ok(l));
    return value;
}

static void wr(struct lapic *l, unsigned offset, uint32_t value)
{
    lapic_write(l, offset, value, clock_now, &effect);
    assert_true(lapic_ok(l));
}

static bool rdmsr(struct lapic *l, unsigned offset, uint64_t *value)
{
    return lapic_rdmsr(l, 0x800 + offset / 16, value, clock_now);
}

static bool wrmsr(struct lapic *l, unsigned offset, uint64_t value)
{
    bool done = lapic_wrmsr(l, 0x800 + offset / 16, value, clock_now, &effect);

    assert_true(lapic_ok(l));
    return done;
}

static void advance(struct lapic *l, uint64_t now)
{
    clock_now = now;
    lapic_advance(l, now);
    assert_true(lapic_ok(l));
    assert_true(lapic_deadline(l) > now);
}

static bool irr_has(struct lapic *l, unsigned v)
{
    return (rd(l, IRR + v / 32 * 16) >> v % 32 & 1) != 0;
}

static bool isr_has(struct lapic *l, unsigned v)
{
    return (rd(l, ISR + v / 32 * 16) >> v % 32 & 1) != 0;
}

static bool tmr_has(struct lapic *l, unsigned v)
{
    return (rd(l, TMR + v / 32 * 16) >> v % 32 & 1) != 0;
}

static enum lapic_event send(struct lapic *l, unsigned delivery, unsigned vector, bool level)
{
    struct apic_msg m = {
        .dest = 0xff,
        .vector = (uint8_t)vector,
        .delivery = (uint8_t)delivery,
        .level = level,
        .assert_level = true,
    };
    enum lapic_event e = lapic_accept(l, &m);

    assert_true(lapic_ok(l));
    return e;
}

static void fixed(struct lapic *l, unsigned vector)
{
    assert_int_equal(send(l, APIC_FIXED, vector, false), LAPIC_EVENT_INTERRUPT);
}

static void ack_pending(struct lapic *l)
{
    int vector = lapic_pending(l);

    if (vector >= 0)
        lapic_ack(l, vector);
}

static void ack(struct lapic *l, int vector)
{
    assert_int_equal(lapic_pending(l), vector);
    lapic_ack(l, vector);
    assert_true(lapic_ok(l));
}

static struct lapic powered(uint32_t id)
{
    struct lapic l;

    clock_now = 1000;
    lapic_reset(&l, new_page(), id, true, TSC_HZ);
    assert_true(lapic_ok(&l));
    return l;
}

static struct lapic enabled(uint32_t id)
{
    struct lapic l = powered(id);

    wr(&l, SVR, 0x1ff);
    return l;
}

static struct lapic x2apic(uint32_t id)
{
    struct lapic l = enabled(id);

    assert_true(lapic_write_base(&l, BASE_BSP_XAPIC | EXTD));
    assert_true(lapic_ok(&l));
    return l;
}

/* ---- reset ---- */

static void check_reset_registers(struct lapic *l)
{
    static const unsigned zero[] = {TPR, APR, PPR, RRD, LDR, ESR, ICR, ICR_HI, INITIAL, CURRENT};

    for (unsigned i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
        assert_int_equal(rd(l, zero[i]), 0);
    for (unsigned reg = ISR; reg < ESR; reg += 16)
        assert_int_equal(rd(l, reg), 0);
    for (unsigned reg = LVT; reg <= LVT_ERR; reg += 16)
        assert_int_equal(rd(l, reg), 0x10000);
    assert_int_equal(rd(l, DFR), 0xffffffff);
    assert_int_equal(rd(l, SVR), 0xff);
    assert_int_equal(rd(l, DIVIDE), 0);
    assert_int_equal(rd(l, VERSION), 0x01050014);
    assert_true(lapic_deadline(l) == TIME_NEVER);
    assert_int_equal(lapic_pending(l), -1);
}

static void test_reset_state(void **state)
{
    struct lapic l = powered(0x123);

    (void)state;
    check_reset_registers(&l);
    assert_int_equal(rd(&l, ID), 0x23000000);
    assert_int_equal(lapic_read_base(&l), 0xfee00900);
    lapic_reset(&l, new_page(), 1, false, TSC_HZ);
    assert_int_equal(lapic_read_base(&l), 0xfee00800);
}

static void test_init_keeps_id_and_mode(void **state)
{
    struct lapic l = enabled(5);

    (void)state;
    wr(&l, TPR, 0x55);
    wr(&l, LDR, 0xff000000);
    wr(&l, DFR, 0);
    wr(&l, INITIAL, 1000);
    wr(&l, ICR_HI, 0x01000000);
    fixed(&l, 0x80);
    ack(&l, 0x80);
    fixed(&l, 0x90);
    lapic_init(&l);
    assert_true(lapic_ok(&l));
    check_reset_registers(&l);
    assert_int_equal(rd(&l, ID), 0x05000000);
    l = x2apic(5);
    lapic_init(&l);
    assert_true(lapic_ok(&l));
    assert_int_equal(lapic_read_base(&l), 0xfee00d00);
}

static void test_virtual_wire_lets_the_8259_through(void **state)
{
    struct lapic l = powered(0);

    (void)state;
    assert_false(lapic_extint_enabled(&l));
    lapic_set_virtual_wire(&l);
    assert_true(lapic_ok(&l));
    assert_true(lapic_extint_enabled(&l));
    assert_int_equal(rd(&l, SVR), 0x1ff);
    assert_int_equal(rd(&l, LINT0), 0x700);
    assert_int_equal(rd(&l, LINT1), 0x400);
    wr(&l, TPR, 0xff);
    assert_true(lapic_extint_enabled(&l));
    wr(&l, LINT0, 0x10700);
    assert_false(lapic_extint_enabled(&l));
    wr(&l, LINT0, 0x00030);
    assert_false(lapic_extint_enabled(&l));
    wr(&l, LINT0, 0x00700);
    assert_true(lapic_extint_enabled(&l));
    wr(&l, SVR, 0xff);
    assert_false(lapic_extint_enabled(&l));
}

static void test_disabled_apic_connects_the_8259_of_the_bsp(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    assert_true(lapic_write_base(&l, 0xfee00100));
    assert_true(lapic_extint_enabled(&l));
    assert_int_equal(lapic_set_lint(&l, 1, true), LAPIC_EVENT_NMI);
    assert_int_equal(lapic_set_lint(&l, 1, true), LAPIC_EVENT_NONE);
    lapic_reset(&l, new_page(), 1, false, TSC_HZ);
    assert_true(lapic_write_base(&l, 0xfee00000));
    assert_false(lapic_extint_enabled(&l));
}

/* ---- IA32_APIC_BASE ---- */

static void go(struct lapic *l, unsigned mode)
{
    lapic_reset(l, new_page(), 3, true, TSC_HZ);
    if (mode == 0)
        assert_true(lapic_write_base(l, 0xfee00100));
    if (mode == 3)
        assert_true(lapic_write_base(l, 0xfee00d00));
}

/* "x2APIC State Transitions": mode = EN:EXTD */
static void test_base_transitions(void **state)
{
    static const bool legal[4][4] = {
  /* to disabled, invalid, xAPIC, x2APIC */
        [0] = {true, false, true,  false},
        [2] = {true, false, true,  true },
        [3] = {true, false, false, true },
    };
    struct lapic l;

    (void)state;
    for (unsigned from = 0; from < 4; from++) {
        for (unsigned to = 0; to < 4 && from != 1; to++) {
            go(&l, from);
            assert_int_equal(lapic_write_base(&l, 0xfee00100 | to << 10), legal[from][to]);
            assert_true(lapic_ok(&l));
            assert_int_equal(lapic_read_base(&l), 0xfee00100 | (legal[from][to] ? to : from) << 10);
        }
    }
}

static void test_base_reserved_bits_and_relocation_fault(void **state)
{
    struct lapic l = powered(0);

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        bool allowed = bit == 8 || bit == 10 || bit == 11 || (0xfee00000ull >> bit & 1) != 0;

        if (!allowed)
            assert_false(lapic_write_base(&l, BASE_BSP_XAPIC | 1ull << bit));
    }
    assert_false(lapic_write_base(&l, 0xfed00900));
    assert_int_equal(lapic_read_base(&l), BASE_BSP_XAPIC);
}

static void test_base_bsp_flag_is_read_only(void **state)
{
    struct lapic l = powered(0);

    (void)state;
    assert_true(lapic_write_base(&l, 0xfee00800));
    assert_int_equal(lapic_read_base(&l), BASE_BSP_XAPIC);
    lapic_reset(&l, new_page(), 1, false, TSC_HZ);
    assert_true(lapic_write_base(&l, 0xfee00900));
    assert_int_equal(lapic_read_base(&l), 0xfee00800);
}

static void test_disabling_resets_and_hides_the_registers(void **state)
{
    struct lapic l = enabled(7);

    (void)state;
    wr(&l, TPR, 0x20);
    fixed(&l, 0x80);
    assert_true(lapic_write_base(&l, 0xfee00100));
    assert_true(lapic_ok(&l));
    assert_false(lapic_mmio_enabled(&l));
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal(rd(&l, TPR), 0xffffffff);
    wr(&l, SVR, 0x1ff);
    assert_int_equal(send(&l, APIC_FIXED, 0x80, false), LAPIC_EVENT_NONE);
    assert_int_equal(send(&l, APIC_NMI, 0, false), LAPIC_EVENT_NONE);
    lapic_set_cr8(&l, 15);
    assert_int_equal(lapic_get_cr8(&l), 15);
    lapic_set_cr8(&l, 0);
    assert_true(lapic_write_base(&l, BASE_BSP_XAPIC));
    check_reset_registers(&l);
    assert_int_equal(rd(&l, ID), 0x07000000);
}

/* ---- priorities ---- */

static void test_highest_vector_first_and_eoi_shows_the_next(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    fixed(&l, 0x31);
    fixed(&l, 0xef);
    fixed(&l, 0x75);
    ack(&l, 0xef);
    assert_int_equal(rd(&l, PPR), 0xe0);
    assert_int_equal(lapic_pending(&l), -1);
    wr(&l, EOI, 0);
    ack(&l, 0x75);
    wr(&l, EOI, 0);
    ack(&l, 0x31);
    wr(&l, EOI, 0);
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal(rd(&l, PPR), 0);
}

static void test_higher_class_nests_and_same_class_waits(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    fixed(&l, 0x41);
    ack(&l, 0x41);
    fixed(&l, 0x4f); /* same class */
    assert_int_equal(lapic_pending(&l), -1);
    fixed(&l, 0x50);
    ack(&l, 0x50);
    assert_true(isr_has(&l, 0x41) && isr_has(&l, 0x50));
    assert_int_equal(rd(&l, PPR), 0x50);
    wr(&l, EOI, 0); /* ends 50H */
    assert_true(isr_has(&l, 0x41));
    assert_false(isr_has(&l, 0x50));
    assert_int_equal(lapic_pending(&l), -1);
    wr(&l, EOI, 0);
    assert_int_equal(lapic_pending(&l), 0x4f);
}

static void test_vector_can_be_requested_again_while_in_service(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    fixed(&l, 0x41);
    fixed(&l, 0x41);
    ack(&l, 0x41);
    assert_false(irr_has(&l, 0x41));
    fixed(&l, 0x41);
    assert_true(irr_has(&l, 0x41) && isr_has(&l, 0x41));
    wr(&l, EOI, 0);
    ack(&l, 0x41);
}

static void test_tpr_masks_its_class_and_below(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    fixed(&l, 0x5f);
    wr(&l, TPR, 0x50);
    assert_int_equal(lapic_pending(&l), -1);
    wr(&l, TPR, 0x4f);
    assert_int_equal(lapic_pending(&l), 0x5f);
    wr(&l, TPR, 0xffffff12);
    assert_int_equal(rd(&l, TPR), 0x12);
    assert_int_equal(rd(&l, PPR), 0x12);
}

static void test_ppr_is_the_higher_of_tpr_and_isrv(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    fixed(&l, 0x63);
    ack(&l, 0x63);
    wr(&l, TPR, 0x35);
    assert_int_equal(rd(&l, PPR), 0x60);
    wr(&l, TPR, 0x64); /* equal classes: TPR as it is, the choice APIC virtualization makes */
    assert_int_equal(rd(&l, PPR), 0x64);
    wr(&l, TPR, 0x75);
    assert_int_equal(rd(&l, PPR), 0x75);
    assert_int_equal(lapic_priority(&l), 0x75);
    wr(&l, PPR, 0);
    assert_int_equal(rd(&l, PPR), 0x75);
}

static void test_cr8_is_the_high_half_of_tpr(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, TPR, 0xa7);
    assert_int_equal(lapic_get_cr8(&l), 0xa);
    lapic_set_cr8(&l, 0x5);
    assert_true(lapic_ok(&l));
    assert_int_equal(rd(&l, TPR), 0x50);
    fixed(&l, 0x5f);
    assert_int_equal(lapic_pending(&l), -1);
    lapic_set_cr8(&l, 0x4);
    assert_int_equal(lapic_pending(&l), 0x5f);
}

static void test_every_legal_vector_goes_through(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    for (int v = 16; v < 256; v++) {
        fixed(&l, (unsigned)v);
        assert_true(irr_has(&l, (unsigned)v));
        ack(&l, v);
        assert_false(irr_has(&l, (unsigned)v));
        assert_true(isr_has(&l, (unsigned)v));
        wr(&l, EOI, 0x1234); /* any value in xAPIC mode */
        assert_false(isr_has(&l, (unsigned)v));
    }
}

/* ---- EOI ---- */

static void test_eoi_of_level_interrupt_is_broadcast(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    assert_int_equal(send(&l, APIC_FIXED, 0x51, true), LAPIC_EVENT_INTERRUPT);
    assert_true(tmr_has(&l, 0x51));
    ack(&l, 0x51);
    wr(&l, EOI, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_EOI);
    assert_int_equal(effect.vector, 0x51);
    wr(&l, EOI, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    fixed(&l, 0x51); /* edge: TMR is cleared on acceptance */
    assert_false(tmr_has(&l, 0x51));
    ack(&l, 0x51);
    wr(&l, EOI, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
}

static void test_eoi_broadcast_can_be_suppressed(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, SVR, 0x11ff);
    assert_int_equal(rd(&l, SVR), 0x11ff);
    send(&l, APIC_FIXED, 0x51, true);
    ack(&l, 0x51);
    wr(&l, EOI, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    assert_false(isr_has(&l, 0x51));
}

/* ---- software disable ---- */

static void test_software_disable_masks_the_lvt_for_good(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    for (unsigned reg = LVT; reg <= LVT_ERR; reg += 16)
        wr(&l, reg, 0x40);
    wr(&l, SVR, 0xff);
    for (unsigned reg = LVT; reg <= LVT_ERR; reg += 16) {
        assert_int_equal(rd(&l, reg), 0x10040);
        wr(&l, reg, 0x41); /* "Attempts to reset these bits will be ignored." */
        assert_int_equal(rd(&l, reg), 0x10041);
    }
    wr(&l, SVR, 0x1ff);
    assert_int_equal(rd(&l, LVT), 0x10041);
}

static void test_software_disabled_takes_only_nmi_smi_init_sipi(void **state)
{
    struct lapic l = powered(0);

    (void)state;
    assert_int_equal(send(&l, APIC_FIXED, 0x40, false), LAPIC_EVENT_NONE);
    assert_int_equal(send(&l, APIC_LOWEST, 0x40, false), LAPIC_EVENT_NONE);
    assert_int_equal(send(&l, APIC_EXTINT, 0x40, false), LAPIC_EVENT_NONE);
    assert_int_equal(send(&l, APIC_NMI, 0, false), LAPIC_EVENT_NMI);
    assert_int_equal(send(&l, APIC_SMI, 0, false), LAPIC_EVENT_SMI);
    assert_int_equal(send(&l, APIC_INIT, 0, false), LAPIC_EVENT_INIT);
    assert_int_equal(send(&l, APIC_STARTUP, 0x9a, false), LAPIC_EVENT_STARTUP);
    assert_int_equal(rd(&l, IRR + 0x20), 0);
}

static void test_software_disable_holds_irr_and_isr(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    fixed(&l, 0x80);
    ack(&l, 0x80);
    fixed(&l, 0x90);
    wr(&l, SVR, 0xff);
    assert_true(isr_has(&l, 0x80) && irr_has(&l, 0x90));
    assert_int_equal(lapic_pending(&l), 0x90);
}

static void test_software_disabled_can_send_ipis(void **state)
{
    struct lapic l = powered(0);

    (void)state;
    wr(&l, ICR_HI, 0x03000000);
    wr(&l, ICR, 0x4500);
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    assert_int_equal(effect.msg.delivery, APIC_INIT);
    assert_int_equal(effect.msg.dest, 3);
}

/* ---- acceptance ---- */

static void test_accept_modes_when_enabled(void **state)
{
    struct lapic l = enabled(0);
    struct apic_msg deassert = {.dest = 0xff, .delivery = APIC_INIT, .level = true};

    (void)state;
    assert_int_equal(send(&l, APIC_LOWEST, 0x41, false), LAPIC_EVENT_INTERRUPT);
    assert_true(irr_has(&l, 0x41));
    assert_int_equal(send(&l, APIC_EXTINT, 0, false), LAPIC_EVENT_EXTINT);
    assert_int_equal(send(&l, APIC_NMI, 0x42, false), LAPIC_EVENT_NMI);
    assert_false(irr_has(&l, 0x42));
    assert_int_equal(send(&l, 3, 0x42, false), LAPIC_EVENT_NONE);
    assert_int_equal(send(&l, 0xff, 0x42, false), LAPIC_EVENT_NONE);
    assert_int_equal(lapic_accept(&l, &deassert), LAPIC_EVENT_NONE);
}

/* ---- ESR ---- */

static void test_esr_write_then_read(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    assert_int_equal(send(&l, APIC_FIXED, 15, false), LAPIC_EVENT_NONE);
    assert_int_equal(rd(&l, IRR), 0);
    assert_int_equal(rd(&l, ESR), 0);
    wr(&l, ESR, 0);
    assert_int_equal(rd(&l, ESR), 0x40);
    assert_int_equal(rd(&l, ESR), 0x40);
    wr(&l, ESR, 0xff); /* back-to-back writes clear */
    assert_int_equal(rd(&l, ESR), 0);
}

static void test_esr_send_illegal_vector(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, ICR, 0x4000 | 5);
    wr(&l, ESR, 0);
    assert_int_equal(rd(&l, ESR), 0x20);
    wr(&l, ICR, 0x4400); /* NMI: the vector does not matter */
    wr(&l, ICR, 0x4600); /* SIPI to page 0 */
    wr(&l, ESR, 0);
    assert_int_equal(rd(&l, ESR), 0);
}

static void test_esr_illegal_register_address(void **state)
{
    static const unsigned legal[] = {ID,  VERSION, TPR, APR, PPR,    EOI,     RRD,     LDR,
                                     DFR, SVR,     ESR, ICR, ICR_HI, INITIAL, CURRENT, DIVIDE};
    struct lapic l = enabled(0);

    (void)state;
    for (unsigned offset = 0; offset < 0x1000; offset += 16) {
        bool is_legal = (offset >= ISR && offset < ESR) || (offset >= LVT && offset <= LVT_ERR);

        for (unsigned i = 0; i < sizeof(legal) / sizeof(legal[0]); i++)
            is_legal = is_legal || legal[i] == offset;
        rd(&l, offset);
        wr(&l, ESR, 0);
        assert_int_equal(rd(&l, ESR), is_legal ? 0 : 0x80);
        if (!is_legal) {
            wr(&l, offset, 0xffffffff);
            assert_int_equal(rd(&l, offset), 0);
            wr(&l, ESR, 0);
            assert_int_equal(rd(&l, ESR), 0x80);
        }
        wr(&l, ESR, 0);
    }
}

static void test_unaligned_offsets_read_0_without_an_error(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    assert_int_equal(rd(&l, SVR + 4), 0);
    wr(&l, SVR + 4, 0);
    assert_int_equal(rd(&l, 0x1000), 0);
    wr(&l, ESR, 0);
    assert_int_equal(rd(&l, ESR), 0);
    assert_int_equal(rd(&l, SVR), 0x1ff);
}

static void test_error_interrupt_once_until_esr_write(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT_ERR, 0xfe);
    rd(&l, 0x000);
    ack(&l, 0xfe);
    wr(&l, EOI, 0);
    rd(&l, 0x000);
    assert_int_equal(lapic_pending(&l), -1);
    wr(&l, ESR, 0);
    rd(&l, 0x000);
    assert_int_equal(lapic_pending(&l), 0xfe);
}

static void test_error_entry_with_illegal_vector_only_logs(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT_ERR, 0x05);
    rd(&l, 0x000);
    assert_int_equal(rd(&l, IRR), 0);
    wr(&l, ESR, 0);
    assert_int_equal(rd(&l, ESR), 0xc0);
}

/* ---- ICR ---- */

static void test_icr_low_sends_with_destination_and_shorthand(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, ICR_HI, 0x0a123456);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    assert_int_equal(rd(&l, ICR_HI), 0x0a000000);
    wr(&l, ICR, 0xfff3ffff & ~0x5700u); /* fixed, logical, all reserved bits and busy set */
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    assert_int_equal(rd(&l, ICR), 0x000088ff);
    assert_int_equal(effect.msg.dest, 0x0a);
    assert_int_equal(effect.msg.vector, 0xff);
    assert_int_equal(effect.msg.delivery, APIC_FIXED);
    assert_int_equal(effect.msg.shorthand, APIC_DEST_FIELD);
    assert_true(effect.msg.logical);
    assert_false(effect.msg.wide);
    assert_false(effect.msg.level);
    wr(&l, ICR, 0x000c4400);
    assert_int_equal(effect.msg.delivery, APIC_NMI);
    assert_int_equal(effect.msg.shorthand, APIC_DEST_OTHERS);
    wr(&l, ICR, 0x00084041);
    assert_int_equal(effect.msg.shorthand, APIC_DEST_ALL);
}

static void test_icr_reserved_modes_and_init_deassert_send_nothing(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, ICR, 0x4300);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    wr(&l, ICR, 0x4700);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    wr(&l, ICR, 0x8500); /* what Linux sends after INIT */
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    wr(&l, ICR, 0xc500);
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
}

static void test_self_ipi_needs_no_message(void **state)
{
    struct lapic l = enabled(9);

    (void)state;
    wr(&l, ICR, 0x00044055);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    assert_int_equal(lapic_pending(&l), 0x55);
    assert_int_equal(rd(&l, ICR), 0x00044055);
    wr(&l, ICR, 0x00044005); /* an invalid vector goes the long way, with its errors */
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    wr(&l, ICR, 0x00044455); /* NMI */
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    assert_true(lapic_match(&l, &effect.msg, 9));
    assert_int_equal(lapic_accept(&l, &effect.msg), LAPIC_EVENT_NMI);
}

static void test_self_ipi_of_a_disabled_apic_is_lost(void **state)
{
    struct lapic l = enabled(9);

    (void)state;
    wr(&l, SVR, 0xff);
    wr(&l, ICR, 0x00044055);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    wr(&l, SVR, 0x1ff);
    assert_int_equal(lapic_pending(&l), -1);
}

/* ---- destinations ---- */

static bool matches(struct lapic *l, uint32_t dest, bool logical, bool wide)
{
    struct apic_msg m = {.dest = dest, .vector = 0x40, .logical = logical, .wide = wide};

    return lapic_match(l, &m, 99);
}

static void test_match_physical(void **state)
{
    struct lapic l = enabled(5);

    (void)state;
    assert_true(matches(&l, 5, false, false));
    assert_false(matches(&l, 4, false, false));
    assert_true(matches(&l, 0xff, false, false));
    assert_true(matches(&l, 5, false, true));
    assert_false(matches(&l, 0xff, false, true));
    assert_true(matches(&l, 0xffffffff, false, true));
}

static void test_match_logical_flat(void **state)
{
    struct lapic l = enabled(5);

    (void)state;
    assert_false(matches(&l, 0x7f, true, false)); /* LDR 0 */
    wr(&l, LDR, 0x04ffffff);
    assert_int_equal(rd(&l, LDR), 0x04000000);
    assert_true(matches(&l, 0x04, true, false));
    assert_true(matches(&l, 0x0e, true, false));
    assert_false(matches(&l, 0xfb, true, false));
    assert_true(matches(&l, 0xff, true, false));
    assert_false(matches(&l, 0x104, true, true));
}

static void test_match_logical_cluster(void **state)
{
    struct lapic l = enabled(5);

    (void)state;
    wr(&l, DFR, 0);
    assert_int_equal(rd(&l, DFR), 0x0fffffff);
    wr(&l, LDR, 0x24000000); /* cluster 2, member bit 2 */
    assert_true(matches(&l, 0x24, true, false));
    assert_true(matches(&l, 0x2f, true, false));
    assert_false(matches(&l, 0x2b, true, false));
    assert_false(matches(&l, 0x34, true, false));
    assert_true(matches(&l, 0xff, true, false));
    wr(&l, DFR, 0x50000000); /* no model */
    assert_false(matches(&l, 0x24, true, false));
}

static void test_match_x2apic(void **state)
{
    struct lapic l = x2apic(0x12345);
    struct lapic low = x2apic(3);
    uint64_t ldr;

    (void)state;
    assert_true(rdmsr(&l, LDR, &ldr));
    assert_int_equal(ldr, 0x12340020);
    assert_true(matches(&l, 0x12345, false, true));
    assert_false(matches(&l, 0x45, false, false));
    assert_true(matches(&l, 0x12340020, true, true));
    assert_true(matches(&l, 0x1234ffff, true, true));
    assert_false(matches(&l, 0x1234ffdf, true, true));
    assert_false(matches(&l, 0x12350020, true, true));
    assert_true(matches(&l, 0xffffffff, false, true));
    assert_true(matches(&l, 0xffffffff, true, true));
    assert_true(matches(&low, 0xff, false, false)); /* an I/O APIC's broadcast */
    assert_false(matches(&low, 0xff, false, true));
    assert_true(matches(&low, 3, false, false));
    assert_true(matches(&low, 0x08, true, false));
    assert_false(matches(&low, 0x04, true, false));
}

static void test_match_shorthands(void **state)
{
    struct lapic l = enabled(5);
    struct apic_msg m = {.dest = 77, .vector = 0x40};

    (void)state;
    m.shorthand = APIC_DEST_SELF;
    assert_true(lapic_match(&l, &m, 5));
    assert_false(lapic_match(&l, &m, 6));
    m.shorthand = APIC_DEST_ALL;
    assert_true(lapic_match(&l, &m, 5));
    assert_true(lapic_match(&l, &m, 6));
    m.shorthand = APIC_DEST_OTHERS;
    assert_false(lapic_match(&l, &m, 5));
    assert_true(lapic_match(&l, &m, 6));
    m.shorthand = 200;
    assert_false(lapic_match(&l, &m, 5));
}

static void test_match_depends_on_enables(void **state)
{
    struct lapic l = powered(5);
    struct apic_msg m = {.dest = 5, .vector = 0x40};

    (void)state;
    assert_false(lapic_match(&l, &m, 0));
    m.delivery = APIC_INIT;
    assert_true(lapic_match(&l, &m, 0));
    assert_true(lapic_write_base(&l, 0xfee00100));
    assert_false(lapic_match(&l, &m, 0));
}

/* ---- LVT and pins ---- */

static void test_lvt_keeps_defined_bits_only(void **state)
{
    static const uint32_t bits[] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
    struct lapic l = enabled(0);

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        wr(&l, LVT + 16 * i, 0xffffffff);
        assert_int_equal(rd(&l, LVT + 16 * i), bits[i]);
    }
}

static void test_lint0_fixed_edge(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LINT0, 0x38);
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_INTERRUPT);
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_NONE);
    ack(&l, 0x38);
    wr(&l, EOI, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    assert_int_equal(lapic_pending(&l), -1);
    wr(&l, LINT0, 0x38 | MASKED);
    lapic_set_lint(&l, 0, false);
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_NONE);
    wr(&l, LINT0, 0x38); /* the edge came while masked */
    assert_int_equal(lapic_pending(&l), -1);
}

static void test_lint0_fixed_level_has_remote_irr(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LINT0, 0x38 | LEVEL | MASKED);
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_NONE);
    wr(&l, LINT0, 0x38 | LEVEL);
    assert_int_equal(rd(&l, LINT0), 0x38 | LEVEL | RIRR);
    assert_true(tmr_has(&l, 0x38));
    ack(&l, 0x38);
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_NONE);
    assert_false(irr_has(&l, 0x38));
    wr(&l, EOI, 0); /* still asserted: at once again */
    ack(&l, 0x38);
    lapic_set_lint(&l, 0, false);
    wr(&l, EOI, 0);
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal(rd(&l, LINT0), 0x38 | LEVEL);
}

static void test_lint0_remote_irr_ends_with_its_own_vector_only(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LINT0, 0x38 | LEVEL);
    lapic_set_lint(&l, 0, true);
    ack(&l, 0x38);
    send(&l, APIC_FIXED, 0x51, true);
    ack(&l, 0x51);
    wr(&l, EOI, 0);
    assert_false(irr_has(&l, 0x38));
    assert_int_equal(rd(&l, LINT0), 0x38 | LEVEL | RIRR);
}

static void test_init_keeps_the_wires(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    lapic_set_lint(&l, 0, true);
    lapic_init(&l);
    wr(&l, SVR, 0x1ff);
    wr(&l, LINT0, 0x38 | LEVEL);
    assert_int_equal(lapic_pending(&l), 0x38);
}

static void test_lint1_is_always_edge(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LINT1, 0x400 | LEVEL);
    assert_int_equal(lapic_set_lint(&l, 1, true), LAPIC_EVENT_NMI);
    assert_int_equal(lapic_set_lint(&l, 1, true), LAPIC_EVENT_NONE);
    wr(&l, LINT1, 0x39 | LEVEL);
    lapic_set_lint(&l, 1, false);
    assert_int_equal(lapic_set_lint(&l, 1, true), LAPIC_EVENT_INTERRUPT);
    assert_int_equal(rd(&l, LINT1), 0x39 | LEVEL);
    assert_false(tmr_has(&l, 0x39));
    assert_int_equal(lapic_set_lint(&l, 2, true), LAPIC_EVENT_NONE);
}

static void test_lint_extint_and_masked_give_no_event(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    assert_int_equal(lapic_set_lint(&l, 1, true), LAPIC_EVENT_NONE);
    wr(&l, LINT0, 0x700);
    assert_int_equal(lapic_set_lint(&l, 0, true), LAPIC_EVENT_NONE);
    assert_int_equal(lapic_pending(&l), -1);
}

/* ---- timer ---- */

static void test_divide_values(void **state)
{
    static const struct {
        uint32_t value;
        unsigned divisor;
    } table[] = {
        {0x0, 2  },
        {0x1, 4  },
        {0x2, 8  },
        {0x3, 16 },
        {0x8, 32 },
        {0x9, 64 },
        {0xa, 128},
        {0xb, 1  }
    };

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct lapic l = enabled(0);
        uint64_t start = clock_now;

        wr(&l, DIVIDE, table[i].value | 0xfffffff4);
        assert_int_equal(rd(&l, DIVIDE), table[i].value);
        wr(&l, LVT, 0x40);
        wr(&l, INITIAL, 100);
        assert_true(lapic_deadline(&l) == start + 100 * table[i].divisor);
        clock_now = start + table[i].divisor - 1;
        assert_int_equal(rd(&l, CURRENT), 100);
        clock_now++;
        assert_int_equal(rd(&l, CURRENT), 99);
    }
}

static void test_one_shot_fires_once_at_zero(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 500);
    assert_int_equal(rd(&l, CURRENT), 500);
    advance(&l, 1499);
    assert_int_equal(rd(&l, CURRENT), 1);
    assert_int_equal(lapic_pending(&l), -1);
    clock_now = 1500;
    assert_int_equal(rd(&l, CURRENT), 0);
    advance(&l, 1500);
    ack(&l, 0x40);
    assert_int_equal(rd(&l, CURRENT), 0);
    assert_int_equal(rd(&l, INITIAL), 500);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    advance(&l, 99999);
    assert_false(irr_has(&l, 0x40));
}

static void test_initial_count_restarts_and_zero_stops(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 500);
    clock_now = 1400;
    wr(&l, INITIAL, 300);
    assert_true(lapic_deadline(&l) == 1700);
    wr(&l, INITIAL, 0);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    assert_int_equal(rd(&l, CURRENT), 0);
    wr(&l, CURRENT, 55);
    assert_int_equal(rd(&l, CURRENT), 0);
}

static void test_largest_count_and_divisor(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, 0xa);
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 0xffffffff);
    assert_true(lapic_deadline(&l) == 1000 + 0xffffffffull * 128);
    clock_now = 1000 + 0xffffffffull * 128 - 1;
    assert_int_equal(rd(&l, CURRENT), 1);
    advance(&l, clock_now + 1);
    assert_int_equal(lapic_pending(&l), 0x40);
}

static void test_time_near_its_end_never_fires(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x40 | PERIODIC);
    clock_now = UINT64_MAX - 5;
    wr(&l, INITIAL, 100);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    lapic_advance(&l, UINT64_MAX);
    assert_true(lapic_ok(&l));
    clock_now = UINT64_MAX;
    rd(&l, CURRENT);
    wr(&l, DIVIDE, 3);
    wr(&l, LVT, 0x40);
}

static void test_periodic_reloads_without_drift(void **state)
{
    struct lapic l = enabled(0);
    uint64_t start = clock_now;

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | PERIODIC);
    wr(&l, INITIAL, 100000);
    for (unsigned i = 1; i <= 5; i++) {
        assert_true(lapic_deadline(&l) == start + i * 100000);
        advance(&l, start + i * 100000 + i * 7); /* late */
        assert_int_equal(rd(&l, CURRENT), 100000 - i * 7);
        ack(&l, 0x40);
        wr(&l, EOI, 0);
    }
    clock_now = start + 600000;
    assert_int_equal(rd(&l, CURRENT), 100000); /* also before advance */
}

static void test_periodic_coalesces_missed_periods(void **state)
{
    struct lapic l = enabled(0);
    uint64_t start = clock_now;

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | PERIODIC);
    wr(&l, INITIAL, 100000);
    advance(&l, start + 1050000);
    assert_true(lapic_deadline(&l) == start + 1100000);
    ack(&l, 0x40);
    wr(&l, EOI, 0);
    assert_int_equal(lapic_pending(&l), -1);
}

static void test_tiny_period_is_spaced_but_counts_right(void **state)
{
    struct lapic l = enabled(0);
    uint64_t last = clock_now;

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | PERIODIC);
    wr(&l, INITIAL, 7);
    assert_true(lapic_deadline(&l) == 1007);
    advance(&l, 1007);
    for (unsigned i = 0; i < 100; i++) {
        last = clock_now;
        advance(&l, lapic_deadline(&l));
        assert_true(clock_now - last >= TSC_HZ / 50000);
        assert_true(clock_now - last <= TSC_HZ / 50000 + 1 + 7);
        assert_int_equal((clock_now - 1000) % 7, 0);
        assert_int_equal(rd(&l, CURRENT), 7);
    }
    clock_now++;
    assert_int_equal(rd(&l, CURRENT), 6);
}

static void test_spacing_does_not_skip_a_boundary_just_far_enough(void **state)
{
    struct lapic l = enabled(0);
    uint32_t period = 20001 / 3; /* three periods are TSC_HZ / 50000 + 1, the least distance */

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | PERIODIC);
    wr(&l, INITIAL, period);
    advance(&l, 1000 + period);
    assert_true(lapic_deadline(&l) == 1000 + 4ull * period);
}

static void test_one_shot_finishes_the_period_that_runs(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | PERIODIC);
    wr(&l, INITIAL, 300);
    advance(&l, 1300); /* the next interrupt is put off by the spacing */
    clock_now = 1000 + 5 * 300 + 100;
    wr(&l, LVT, 0x40);
    assert_int_equal(rd(&l, CURRENT), 200);
    assert_true(lapic_deadline(&l) == 1000 + 6 * 300);
}

static void test_masked_timer_counts_without_deadline_or_interrupt(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | MASKED);
    wr(&l, INITIAL, 500);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    clock_now = 1100;
    assert_int_equal(rd(&l, CURRENT), 400);
    wr(&l, LVT, 0x40);
    assert_true(lapic_deadline(&l) == 1500);
    wr(&l, LVT, 0x40 | MASKED);
    clock_now = 1600; /* expired while masked */
    wr(&l, LVT, 0x40);
    assert_int_equal(lapic_pending(&l), -1);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
}

static void test_masking_does_not_lose_an_interrupt_already_due(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 500);
    clock_now = 1500;
    wr(&l, SVR, 0xff);
    assert_int_equal(lapic_pending(&l), 0x40);
}

/* One-shot and periodic share the running count. */
static void test_mode_change_between_counting_modes_goes_on(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 100000);
    clock_now = 71000;
    wr(&l, LVT, 0x40 | PERIODIC);
    assert_int_equal(rd(&l, CURRENT), 30000);
    assert_int_equal(rd(&l, INITIAL), 100000);
    advance(&l, 101000);
    assert_int_equal(rd(&l, CURRENT), 100000);
    clock_now = 141000;
    wr(&l, LVT, 0x40);
    assert_int_equal(rd(&l, CURRENT), 60000);
    assert_true(lapic_deadline(&l) == 201000);
    advance(&l, 201000);
    wr(&l, LVT, 0x40 | PERIODIC);
    assert_int_equal(rd(&l, CURRENT), 0);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
}

static void test_divide_change_keeps_the_remaining_count(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 1000);
    clock_now = 1400;
    wr(&l, DIVIDE, 0x0); /* 600 left, at half the speed */
    assert_int_equal(rd(&l, CURRENT), 600);
    assert_true(lapic_deadline(&l) == 1400 + 1200);
}

static void test_timer_with_illegal_vector_logs_an_error(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x0f);
    wr(&l, INITIAL, 1);
    advance(&l, 5000);
    assert_int_equal(rd(&l, IRR), 0);
    wr(&l, ESR, 0);
    assert_int_equal(rd(&l, ESR), 0x40);
}

static void test_tsc_deadline_fires_and_disarms(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x40 | TSC_MODE);
    lapic_write_tsc_deadline(&l, 5000);
    assert_true(lapic_ok(&l));
    assert_int_equal(lapic_read_tsc_deadline(&l, 4999), 5000);
    assert_int_equal(lapic_read_tsc_deadline(&l, 5000), 0);
    assert_true(lapic_deadline(&l) == 5000);
    advance(&l, 4999);
    assert_int_equal(lapic_pending(&l), -1);
    advance(&l, 5000);
    ack(&l, 0x40);
    assert_int_equal(lapic_read_tsc_deadline(&l, 5000), 0);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
}

static void test_tsc_deadline_in_the_past_is_due_at_once(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x40 | TSC_MODE);
    lapic_write_tsc_deadline(&l, 1000);
    assert_true(lapic_ok(&l));
    assert_true(lapic_deadline(&l) == 1000);
    advance(&l, 1000);
    ack(&l, 0x40);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
}

static void test_tsc_deadline_zero_disarms_and_max_never_comes(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x40 | TSC_MODE);
    lapic_write_tsc_deadline(&l, 5000);
    lapic_write_tsc_deadline(&l, 0);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    assert_int_equal(lapic_pending(&l), -1);
    lapic_write_tsc_deadline(&l, UINT64_MAX);
    assert_true(lapic_read_tsc_deadline(&l, 1000) == UINT64_MAX);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
}

static void test_tsc_deadline_outside_its_mode_reads_0(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    lapic_write_tsc_deadline(&l, 5000);
    assert_true(lapic_ok(&l));
    assert_int_equal(lapic_read_tsc_deadline(&l, 1000), 0);
    wr(&l, LVT, 0x40 | TSC_MODE);
    assert_int_equal(lapic_read_tsc_deadline(&l, 1000), 0);
    wr(&l, INITIAL, 77); /* "writes to the initial-count register are ignored" */
    assert_int_equal(rd(&l, INITIAL), 0);
    assert_int_equal(rd(&l, CURRENT), 0);
}

static void test_mode_change_to_and_from_tsc_deadline_disarms(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x40);
    wr(&l, INITIAL, 1000);
    wr(&l, LVT, 0x40 | TSC_MODE);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    lapic_write_tsc_deadline(&l, 5000);
    wr(&l, LVT, 0x41 | TSC_MODE); /* no change of mode */
    assert_true(lapic_deadline(&l) == 5000);
    wr(&l, LVT, 0x41 | TSC_MODE | PERIODIC); /* reserved mode */
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    wr(&l, INITIAL, 1000);
    assert_int_equal(rd(&l, CURRENT), 0);
    wr(&l, LVT, 0x41 | TSC_MODE);
    assert_int_equal(lapic_read_tsc_deadline(&l, 1000), 0);
    lapic_write_tsc_deadline(&l, 5000);
    wr(&l, LVT, 0x41);
    wr(&l, LVT, 0x41 | TSC_MODE);
    assert_int_equal(lapic_read_tsc_deadline(&l, 1000), 0);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
}

static void test_tsc_deadline_masked_expires_silently(void **state)
{
    struct lapic l = enabled(0);

    (void)state;
    wr(&l, LVT, 0x40 | TSC_MODE | MASKED);
    lapic_write_tsc_deadline(&l, 5000);
    assert_true(lapic_deadline(&l) == TIME_NEVER);
    clock_now = 6000;
    wr(&l, LVT, 0x40 | TSC_MODE);
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal(lapic_read_tsc_deadline(&l, 4000), 0);
}

/* ---- x2APIC ---- */

static void test_x2apic_msrs_fault_outside_x2apic_mode(void **state)
{
    struct lapic l = enabled(0);
    uint64_t v = 0x55;

    (void)state;
    assert_false(rdmsr(&l, ID, &v));
    assert_false(wrmsr(&l, TPR, 0));
    assert_int_equal(v, 0x55);
    l = x2apic(0);
    assert_false(lapic_mmio_enabled(&l));
    assert_int_equal(rd(&l, VERSION), 0xffffffff);
    assert_false(lapic_rdmsr(&l, 0x7ff, &v, 0));
    assert_false(lapic_rdmsr(&l, 0x1802, &v, 0));
}

/* "x2APIC Register Address Space": which registers can be read and written */
static void test_x2apic_register_availability(void **state)
{
    static const char access[] = "..rr...." /* 00: ID version          */
                                 "w.rE.r.w" /* 08: TPR PPR EOI LDR SVR */
                                 "rrrrrrrr" /* 10: ISR                 */
                                 "rrrrrrrr"
                                 "rrrrrrrr"
                                 "w......."  /* 28: ESR                 */
                                 "w.wwwwww"  /* 30: ICR LVT             */
                                 "wr....wE"; /* 38: initial current divide SELF IPI */
    struct lapic l = x2apic(0);
    uint64_t v;

    (void)state;
    for (unsigned reg = 0; reg < 0x100; reg++) {
        char a = reg < sizeof(access) - 1 ? access[reg] : '.';

        assert_int_equal(rdmsr(&l, reg * 16, &v), a == 'r' || a == 'w');
        assert_int_equal(wrmsr(&l, reg * 16, 0), a == 'w' || a == 'E');
    }
}

static void test_x2apic_reserved_bits_fault(void **state)
{
    static const struct {
        unsigned offset;
        uint64_t ok;
    } table[] = {
        {TPR,        0xff                 },
        {EOI,        0                    },
        {SVR,        0x13ff               },
        {ESR,        0                    },
        {LVT,        0x710ff              },
        {LVT + 0x10, 0x117ff              },
        {LVT + 0x20, 0x117ff              },
        {LINT0,      0x1f7ff              },
        {LINT1,      0x1f7ff              },
        {LVT_ERR,    0x110ff              },
        {INITIAL,    0xffffffff           },
        {DIVIDE,     0xb                  },
        {0x3f0,      0xff                 },
        {ICR,        0xffffffff000cdfffull},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            struct lapic l = x2apic(0);
            bool done = wrmsr(&l, table[i].offset, 1ull << bit);

            assert_int_equal(done, (table[i].ok >> bit & 1) != 0);
        }
    }
}

static void test_x2apic_id_and_version(void **state)
{
    struct lapic l = x2apic(0x1234);
    uint64_t v;

    (void)state;
    assert_true(rdmsr(&l, ID, &v));
    assert_int_equal(v, 0x1234);
    assert_true(rdmsr(&l, VERSION, &v));
    assert_int_equal(v, 0x01050014);
}

static void test_x2apic_icr_is_64_bits(void **state)
{
    struct lapic l = x2apic(0);
    uint64_t v;

    (void)state;
    assert_true(wrmsr(&l, ICR, 0x1234567800004855ull));
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    assert_int_equal(effect.msg.dest, 0x12345678);
    assert_true(effect.msg.wide);
    assert_true(effect.msg.logical);
    assert_true(rdmsr(&l, ICR, &v));
    assert_true(v == 0x1234567800004855ull);
}

static void test_x2apic_self_ipi(void **state)
{
    struct lapic l = x2apic(7);
    uint64_t v;

    (void)state;
    assert_true(wrmsr(&l, 0x3f0, 0x66));
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    assert_int_equal(lapic_pending(&l), 0x66);
    assert_true(rdmsr(&l, ICR, &v));
    assert_int_equal(v, 0);
    assert_true(wrmsr(&l, 0x3f0, 0x05));
    assert_int_equal(effect.msg.shorthand, APIC_DEST_SELF);
    assert_int_equal(effect.msg.delivery, APIC_FIXED);
    assert_true(lapic_match(&l, &effect.msg, 7));
    assert_int_equal(lapic_accept(&l, &effect.msg), LAPIC_EVENT_NONE);
    assert_true(wrmsr(&l, ESR, 0));
    assert_true(rdmsr(&l, ESR, &v));
    assert_int_equal(v, 0x60);
}

static void test_x2apic_keeps_xapic_state_and_interrupts_work(void **state)
{
    struct lapic l = enabled(0);
    uint64_t v;

    (void)state;
    wr(&l, ICR_HI, 0x05000000);
    wr(&l, TPR, 0x20);
    fixed(&l, 0x30);
    assert_true(lapic_write_base(&l, BASE_BSP_XAPIC | EXTD));
    assert_true(lapic_ok(&l));
    assert_true(rdmsr(&l, ICR, &v));
    assert_int_equal(v, 0);
    assert_true(rdmsr(&l, TPR, &v));
    assert_int_equal(v, 0x20);
    assert_true(rdmsr(&l, IRR + 0x10, &v));
    assert_int_equal(v, 1u << 16);
    ack(&l, 0x30);
    assert_true(wrmsr(&l, EOI, 0));
    assert_true(rdmsr(&l, PPR, &v));
    assert_int_equal(v, 0x20);
}

/* ---- anything at all ---- */

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_message(struct lapic *l, uint64_t r)
{
    struct apic_msg m = {
        .dest = (uint32_t)(r >> 24 & 0x1ff),
        .vector = (uint8_t)(r >> 8),
        .delivery = (uint8_t)((r & 0x10000) != 0 ? r >> 18 & 15 : 0),
        .shorthand = (uint8_t)(r >> 33 & 7),
        .wide = (r >> 36 & 1) != 0,
        .logical = (r >> 37 & 1) != 0,
        .level = (r >> 38 & 1) != 0,
        .assert_level = (r >> 39 & 1) != 0,
    };

    (void)lapic_match(l, &m, (uint32_t)(r >> 40 & 3));
    (void)lapic_accept(l, &m);
}

static void random_base(struct lapic *l, uint64_t r)
{
    if ((r >> 8 & 15) == 0)
        (void)lapic_write_base(l, 0xfee00000 | (r >> 16 & 0xd00));
    else if ((r >> 8 & 63) == 1)
        lapic_init(l);
    else if ((r >> 8 & 7) == 2)
        lapic_set_cr8(l, r >> 32);
}

/* A register of any kind, more often one that exists. */
static unsigned random_reg(uint64_t r)
{
    static const uint8_t often[] = {0x08, 0x0b, 0x0b, 0x0f, 0x32, 0x35,
                                    0x36, 0x37, 0x38, 0x3e, 0x30, 0x3f};

    return (r & 0x300) != 0 ? often[(r >> 10) % sizeof(often)] : (unsigned)(r >> 10 & 0xff);
}

static void random_step(struct lapic *l, uint64_t r, uint64_t now)
{
    unsigned reg = random_reg(r);
    uint32_t value = (uint32_t)(r >> 32) & ((r & 0x80) != 0 ? 0x7ffff : ~0u);
    uint64_t v;

    if (reg == 0x0f && (r >> 60) != 0)
        value |= 0x100; /* mostly enabled */
    if (reg == 0x3f || reg == 0x0b)
        value &= (r >> 60) != 0 && reg == 0x0b ? 0 : 0xff;
    switch (r & 15) {
    case 0:
    case 1:
    case 2:
    case 3: lapic_write(l, reg * 16 + ((r >> 56 & 15) == 0), value, now, &effect); break;
    case 4:
    case 5:
    case 6:
    case 7: (void)lapic_wrmsr(l, 0x800 + reg, value, now, &effect); break;
    case 8: (void)lapic_read(l, (unsigned)(r >> 8 & 0x1fff), now); break;
    case 9: (void)lapic_rdmsr(l, 0x7f0 + (uint32_t)(r >> 8 & 0x1ff), &v, now); break;
    case 10: lapic_write_tsc_deadline(l, now + (r >> 32 & 0xffff) - 100); break;
    case 11: (void)lapic_set_lint(l, (unsigned)(r >> 8 & 3), (r >> 16 & 1) != 0); break;
    case 12: random_base(l, r); break;
    case 13: ack_pending(l); break;
    default: random_message(l, r); break;
    }
}

static void check_pending(const struct lapic *l)
{
    int expected = -1;

    for (int v = 255; v >= 16 && expected < 0; v--) {
        if ((l->page[(IRR + v / 32 * 16) / 4] >> v % 32 & 1) != 0)
            expected = v >> 4 > lapic_priority(l) >> 4 ? v : -2;
    }
    assert_int_equal(lapic_pending(l), expected < 0 ? -1 : expected);
}

static void test_any_sequence_keeps_the_invariant(void **state)
{
    struct lapic l = powered(2);
    uint64_t seed = 0x2545f4914f6cdd1dull;
    uint64_t now = 1000;
    unsigned acks = 0;

    (void)state;
    for (int i = 0; i < 400000; i++) {
        uint64_t r = random_next(&seed);

        now += r >> 50;
        random_step(&l, r, now);
        assert_true(lapic_ok(&l));
        check_pending(&l);
        if (lapic_deadline(&l) <= now || i % 8 == 0) {
            lapic_advance(&l, now);
            assert_true(lapic_ok(&l));
            assert_true(lapic_deadline(&l) > now);
        }
        if (i % 5 == 0 && lapic_pending(&l) >= 0) {
            ack_pending(&l);
            acks++;
        }
        assert_true(lapic_ok(&l));
        if (i % 5000 == 4999)
            lapic_reset(&l, new_page(), (uint32_t)(r >> 40 & 3), (r >> 50 & 1) != 0, TSC_HZ);
    }
    assert_true(acks > 1000);
}

/* Two readings of the count must agree with a count kept tick by tick. */
static void test_count_agrees_with_a_tick_by_tick_model(void **state)
{
    struct lapic l = enabled(0);
    uint32_t count = 0;
    uint64_t seed = 88172645463325252ull;

    (void)state;
    wr(&l, DIVIDE, DIV_1);
    wr(&l, LVT, 0x40 | PERIODIC);
    for (int i = 0; i < 100000; i++) {
        uint64_t r = random_next(&seed);

        if (r % 256 == 0) {
            count = 1 + (uint32_t)(r >> 32) % 300;
            wr(&l, INITIAL, count);
        }
        if (r % 16 == 1)
            lapic_advance(&l, clock_now);
        assert_int_equal(rd(&l, CURRENT), count);
        clock_now++;
        if (count != 0)
            count = count == 1 ? rd(&l, INITIAL) : count - 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_state),
        cmocka_unit_test(test_init_keeps_id_and_mode),
        cmocka_unit_test(test_virtual_wire_lets_the_8259_through),
        cmocka_unit_test(test_disabled_apic_connects_the_8259_of_the_bsp),
        cmocka_unit_test(test_base_transitions),
        cmocka_unit_test(test_base_reserved_bits_and_relocation_fault),
        cmocka_unit_test(test_base_bsp_flag_is_read_only),
        cmocka_unit_test(test_disabling_resets_and_hides_the_registers),
        cmocka_unit_test(test_highest_vector_first_and_eoi_shows_the_next),
        cmocka_unit_test(test_higher_class_nests_and_same_class_waits),
        cmocka_unit_test(test_vector_can_be_requested_again_while_in_service),
        cmocka_unit_test(test_tpr_masks_its_class_and_below),
        cmocka_unit_test(test_ppr_is_the_higher_of_tpr_and_isrv),
        cmocka_unit_test(test_cr8_is_the_high_half_of_tpr),
        cmocka_unit_test(test_every_legal_vector_goes_through),
        cmocka_unit_test(test_eoi_of_level_interrupt_is_broadcast),
        cmocka_unit_test(test_eoi_broadcast_can_be_suppressed),
        cmocka_unit_test(test_software_disable_masks_the_lvt_for_good),
        cmocka_unit_test(test_software_disabled_takes_only_nmi_smi_init_sipi),
        cmocka_unit_test(test_software_disable_holds_irr_and_isr),
        cmocka_unit_test(test_software_disabled_can_send_ipis),
        cmocka_unit_test(test_accept_modes_when_enabled),
        cmocka_unit_test(test_esr_write_then_read),
        cmocka_unit_test(test_esr_send_illegal_vector),
        cmocka_unit_test(test_esr_illegal_register_address),
        cmocka_unit_test(test_unaligned_offsets_read_0_without_an_error),
        cmocka_unit_test(test_error_interrupt_once_until_esr_write),
        cmocka_unit_test(test_error_entry_with_illegal_vector_only_logs),
        cmocka_unit_test(test_icr_low_sends_with_destination_and_shorthand),
        cmocka_unit_test(test_icr_reserved_modes_and_init_deassert_send_nothing),
        cmocka_unit_test(test_self_ipi_needs_no_message),
        cmocka_unit_test(test_self_ipi_of_a_disabled_apic_is_lost),
        cmocka_unit_test(test_match_physical),
        cmocka_unit_test(test_match_logical_flat),
        cmocka_unit_test(test_match_logical_cluster),
        cmocka_unit_test(test_match_x2apic),
        cmocka_unit_test(test_match_shorthands),
        cmocka_unit_test(test_match_depends_on_enables),
        cmocka_unit_test(test_lvt_keeps_defined_bits_only),
        cmocka_unit_test(test_lint0_fixed_edge),
        cmocka_unit_test(test_lint0_fixed_level_has_remote_irr),
        cmocka_unit_test(test_lint0_remote_irr_ends_with_its_own_vector_only),
        cmocka_unit_test(test_init_keeps_the_wires),
        cmocka_unit_test(test_lint1_is_always_edge),
        cmocka_unit_test(test_lint_extint_and_masked_give_no_event),
        cmocka_unit_test(test_divide_values),
        cmocka_unit_test(test_one_shot_fires_once_at_zero),
        cmocka_unit_test(test_initial_count_restarts_and_zero_stops),
        cmocka_unit_test(test_largest_count_and_divisor),
        cmocka_unit_test(test_time_near_its_end_never_fires),
        cmocka_unit_test(test_periodic_reloads_without_drift),
        cmocka_unit_test(test_periodic_coalesces_missed_periods),
        cmocka_unit_test(test_tiny_period_is_spaced_but_counts_right),
        cmocka_unit_test(test_spacing_does_not_skip_a_boundary_just_far_enough),
        cmocka_unit_test(test_one_shot_finishes_the_period_that_runs),
        cmocka_unit_test(test_masked_timer_counts_without_deadline_or_interrupt),
        cmocka_unit_test(test_masking_does_not_lose_an_interrupt_already_due),
        cmocka_unit_test(test_mode_change_between_counting_modes_goes_on),
        cmocka_unit_test(test_divide_change_keeps_the_remaining_count),
        cmocka_unit_test(test_timer_with_illegal_vector_logs_an_error),
        cmocka_unit_test(test_tsc_deadline_fires_and_disarms),
        cmocka_unit_test(test_tsc_deadline_in_the_past_is_due_at_once),
        cmocka_unit_test(test_tsc_deadline_zero_disarms_and_max_never_comes),
        cmocka_unit_test(test_tsc_deadline_outside_its_mode_reads_0),
        cmocka_unit_test(test_mode_change_to_and_from_tsc_deadline_disarms),
        cmocka_unit_test(test_tsc_deadline_masked_expires_silently),
        cmocka_unit_test(test_x2apic_msrs_fault_outside_x2apic_mode),
        cmocka_unit_test(test_x2apic_register_availability),
        cmocka_unit_test(test_x2apic_reserved_bits_fault),
        cmocka_unit_test(test_x2apic_id_and_version),
        cmocka_unit_test(test_x2apic_icr_is_64_bits),
        cmocka_unit_test(test_x2apic_self_ipi),
        cmocka_unit_test(test_x2apic_keeps_xapic_state_and_interrupts_work),
        cmocka_unit_test(test_any_sequence_keeps_the_invariant),
        cmocka_unit_test(test_count_agrees_with_a_tick_by_tick_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
