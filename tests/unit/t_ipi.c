/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the vCPUs of a guest: who gets them, in which way, and what they do there.
 * Expected values: SDM 3A "Issuing Interprocessor Interrupts", "MP Initialization Protocol"; SDM 3C
 * "Posted-Interrupt Processing".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/trap.h"
#include "guest/ipi.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "lib/time.h"
#include "tests/fake/small_vm.h"

#define LAPIC      0xfee00000ull
#define ENABLE     0x1ffu /* SVR */
#define ALL_OTHERS 3u

static struct vm *const vm = &vms[0];
static struct vcpu *const bsp = &vms[0].vcpu[0];
static struct vcpu *const ap = &vms[0].vcpu[1];
static struct vcpu *const third = &vms[0].vcpu[2];

static void write_lapic(struct vcpu *v, unsigned offset, uint32_t value)
{
    struct lapic_effect effect;

    lapic_write(&v->lapic, offset, value, vm_now(vm), &effect);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
}

/* Three vCPUs, all running, with local APICs enabled and nothing under way. */
static int setup(void **state)
{
    small_vm_vcpus = 3;
    small_vm_setup(state);
    small_vm_vcpus = 1;
    for (unsigned i = 0; i < 3; i++) {
        vm->vcpu[i].activity = VCPU_ACTIVE;
        vm->vcpu[i].arch.attention = 0;
        write_lapic(&vm->vcpu[i], 0xf0, ENABLE);
    }
    host_fake.ipis = host_fake.sent_nmis = 0;
    return 0;
}

static struct apic_msg message(enum apic_delivery delivery, uint32_t dest, uint8_t vector)
{
    return (struct apic_msg){
        .delivery = (uint8_t)delivery, .dest = dest, .vector = vector, .assert_level = true};
}

static void send(enum apic_delivery delivery, uint32_t dest, uint8_t vector)
{
    struct apic_msg m = message(delivery, dest, vector);

    ipi_deliver(bsp, &m, bsp->lapic.id);
}

static void test_fixed_to_itself_needs_no_interrupt(void **state)
{
    (void)state;
    send(APIC_FIXED, 0, 0x41);
    assert_int_equal(host_fake.ipis, 0);
    assert_int_equal(lapic_highest_irr(&bsp->lapic), 0x41);
    assert_true(bsp->arch.attention);
}

static void test_fixed_to_another_is_posted_with_one_kick(void **state)
{
    (void)state;
    send(APIC_FIXED, 1, 0x41);
    send(APIC_FIXED, 1, 0xff);
    assert_int_equal(host_fake.ipis, 1);
    assert_int_equal(host_fake.ipi_id, 12); /* host_fake: core 2 */
    assert_int_equal(host_fake.ipi_vector, HOST_VECTOR_KICK);
    assert_int_equal(ap->arch.posted->pir[1], 1ull << 1);
    assert_int_equal(ap->arch.posted->pir[3], 1ull << 63);
    assert_int_equal(lapic_highest_irr(&ap->lapic), 0); /* its own core puts them there */
    assert_int_equal(ipi_take(ap), 0);
    assert_int_equal(lapic_highest_irr(&ap->lapic), 0xff);
    assert_int_equal(ap->arch.posted->pir[1] | ap->arch.posted->pir[3], 0);
    assert_int_equal(ap->arch.posted->control, 0);
    assert_true(ap->arch.attention);
    send(APIC_FIXED, 1, 0x41); /* now there is something to tell again */
    assert_int_equal(host_fake.ipis, 2);
}

static void test_hardware_is_notified_and_left_alone(void **state)
{
    (void)state;
    ap->arch.apicv = APICV_POSTED;
    send(APIC_FIXED, 1, 0x41);
    assert_int_equal(host_fake.ipi_vector, HOST_VECTOR_POSTED);
    (void)ipi_take(ap);
    assert_int_equal(ap->arch.posted->pir[1], 1ull << 1);
    assert_int_equal(ap->arch.posted->control, POSTED_ON);
    assert_int_equal(lapic_highest_irr(&ap->lapic), 0);
}

static void test_level_goes_by_request_into_tmr(void **state)
{
    struct apic_msg m = message(APIC_FIXED, 1, 0x51);
    struct lapic_effect effect;
    uint64_t levels[4];

    (void)state;
    m.level = true;
    ipi_deliver(bsp, &m, UINT32_MAX);
    assert_int_equal(ap->arch.posted->pir[1], 0);
    assert_int_equal(ap->requests, REQUEST_LEVEL);
    assert_int_equal(ipi_take(ap), REQUEST_LEVEL);
    assert_int_equal(lapic_pending(&ap->lapic), 0x51);
    assert_true(lapic_levels_changed(&ap->lapic));
    lapic_get_levels(&ap->lapic, levels);
    assert_int_equal(levels[1], 1ull << 0x11);
    assert_false(lapic_levels_changed(&ap->lapic));
    lapic_ack(&ap->lapic, 0x51);
    lapic_write(&ap->lapic, 0xb0, 0, 0, &effect);
    assert_int_equal(effect.kind, LAPIC_EFFECT_EOI);
    assert_int_equal(effect.vector, 0x51);
}

static void test_bad_vector_is_the_receivers_error(void **state)
{
    (void)state;
    send(APIC_FIXED, 1, 15);
    (void)ipi_take(ap);
    write_lapic(ap, 0x280, 0);
    assert_int_equal(lapic_read(&ap->lapic, 0x280, 0), 0x40); /* receive illegal vector */
    assert_int_equal(lapic_highest_irr(&ap->lapic), 0);
}

static void test_all_but_self_reaches_each_other_once(void **state)
{
    struct apic_msg m = message(APIC_FIXED, 0, 0x61);

    (void)state;
    m.shorthand = ALL_OTHERS;
    ipi_deliver(ap, &m, ap->lapic.id);
    assert_int_equal(host_fake.ipis, 2);
    (void)ipi_take(bsp);
    (void)ipi_take(third);
    assert_int_equal(lapic_highest_irr(&bsp->lapic), 0x61);
    assert_int_equal(lapic_highest_irr(&ap->lapic), 0);
    assert_int_equal(lapic_highest_irr(&third->lapic), 0x61);
}

static void test_lowest_priority_reaches_the_one_with_the_lowest(void **state)
{
    (void)state;
    write_lapic(bsp, 0x80, 0x50);
    write_lapic(ap, 0x80, 0x30);
    write_lapic(third, 0x80, 0x40);
    send(APIC_LOWEST, 0xff, 0x71);
    assert_int_equal(host_fake.ipis, 1);
    assert_int_equal(ap->arch.posted->pir[1], 1ull << 0x31);
    assert_int_equal(third->arch.posted->pir[1], 0);
    assert_int_equal(lapic_highest_irr(&bsp->lapic), 0);
}

static void test_nmi_and_extint_wait_at_the_receiver(void **state)
{
    (void)state;
    send(APIC_NMI, 1, 0);
    assert_int_equal(host_fake.sent_nmis, 1); /* it may be halted with IF = 0 */
    send(APIC_EXTINT, 1, 0);
    assert_false(ap->nmi_pending);
    assert_int_equal(host_fake.ipis, 1); /* the first bit's interrupt serves the second too */
    (void)ipi_take(ap);
    assert_true(ap->nmi_pending);
    assert_true(ap->extint_pending);
    assert_int_equal(ap->requests, 0);
}

static void test_init_makes_it_wait_and_forget(void **state)
{
    (void)state;
    send(APIC_NMI, 1, 0);
    (void)ipi_take(ap);
    send(APIC_INIT, 1, 0);
    assert_int_equal(host_fake.sent_nmis, 2); /* it may be halted with IF = 0 */
    (void)ipi_take(ap);
    assert_int_equal(ap->activity, VCPU_WAIT_SIPI);
    assert_false(ap->nmi_pending);
    assert_int_equal(lapic_read(&ap->lapic, 0xf0, 0), 0xff);
    assert_int_equal(ap->arch.armed_deadline, TIME_NEVER);
}

static void sipi_comes(void)
{
    send(APIC_STARTUP, 1, 0x9a);
}

static void test_sipi_starts_what_waits(void **state)
{
    (void)state;
    send(APIC_INIT, 1, 0);
    (void)ipi_take(ap);
    vm->wish = WISH_RUN;
    host_fake.interrupts = sipi_comes;
    assert_true(ipi_wait(ap));
    host_fake.interrupts = NULL;
    assert_int_equal(ap->activity, VCPU_ACTIVE);
    assert_int_equal(vcpu_fake.start.mode, START_SIPI);
    assert_int_equal(vcpu_fake.start.sipi_page, 0x9a);
    assert_int_equal(vcpu_fake.apic_mode, VCPU_APIC_XAPIC);
    send(APIC_STARTUP, 1, 0x77); /* the second of INIT-SIPI-SIPI */
    (void)ipi_take(ap);
    assert_int_equal(ap->activity, VCPU_ACTIVE);
}

static void test_init_and_sipi_together_start_it(void **state)
{
    (void)state;
    send(APIC_INIT, 1, 0);
    send(APIC_STARTUP, 1, 0x9a);
    (void)ipi_take(ap);
    assert_int_equal(ap->activity, VCPU_STARTING);
    assert_int_equal(ap->sipi_page, 0x9a);
}

static void test_sipi_before_init_is_not_seen_behind_it(void **state)
{
    (void)state;
    send(APIC_STARTUP, 1, 0x9a);
    send(APIC_INIT, 1, 0);
    (void)ipi_take(ap);
    assert_int_equal(ap->activity, VCPU_WAIT_SIPI);
}

static void test_waiting_ends_when_the_vm_stops(void **state)
{
    (void)state;
    send(APIC_INIT, 1, 0);
    (void)ipi_take(ap);
    vm->wish = WISH_POWER_OFF;
    assert_false(ipi_wait(ap));
    assert_int_equal(ap->activity, VCPU_WAIT_SIPI);
}

static void test_init_of_the_first_resets_the_machine(void **state)
{
    (void)state;
    vm->wish = WISH_RUN;
    send(APIC_INIT, 0, 0);
    assert_int_equal(vm->wish, WISH_RESET);
}

/* Not every exit that lets the guest send looks at the wish. */
static void test_init_to_itself_stops_the_first(void **state)
{
    (void)state;
    vm->wish = WISH_RUN;
    assert_true(vcpu_prepare_entry(&bsp->arch));
    send(APIC_INIT, 0, 0);
    assert_true(bsp->arch.attention);
    assert_false(vcpu_prepare_entry(&bsp->arch));
}

/* NMIs go before interrupts: those of other guests' console are not to wait for ever. */
static void test_a_storm_of_inits_is_one_nmi_until_it_is_seen(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        send(APIC_INIT, 1, 0);
    assert_int_equal(host_fake.sent_nmis, 1);
    (void)ipi_take(ap);
    send(APIC_INIT, 1, 0);
    assert_int_equal(host_fake.sent_nmis, 2);
}

/* The same of NMIs; and a core that takes one lets in what waits behind it. */
static void test_a_storm_of_nmis_is_one_until_it_is_seen(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        send(APIC_NMI, 1, 0);
    assert_int_equal(host_fake.sent_nmis, 1);
}

static unsigned windows;

static void window(void)
{
    windows++;
    bsp->arch.armed_deadline = 0; /* its timer has fired in root mode */
}

static void test_an_nmi_lets_interrupts_in(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_NMI};

    (void)state;
    windows = 0;
    bsp->arch.apicv = APICV_POSTED;
    bsp->arch.posted->control = POSTED_ON;
    host_fake.interrupts = window;
    assert_int_equal(vcpu_handle_exit(&bsp->arch, &x), RESUME);
    host_fake.interrupts = NULL;
    assert_int_equal(windows, 1);
    assert_true(bsp->arch.armed_deadline > host_fake.tsc);
    assert_int_equal(host_fake.ipi_vector, HOST_VECTOR_POSTED); /* it may have been let in, too */
    assert_int_equal(host_fake.ipi_id, 11);                     /* host_fake: core 1 */
}

static void window_and_init(void)
{
    if (windows++ == 0)
        send(APIC_INIT, 1, 0); /* its kick is gone now: it has to be noticed all the same */
    else
        send(APIC_STARTUP, 1, 0x33);
}

static void test_a_start_lets_interrupts_in(void **state)
{
    (void)state;
    windows = 0;
    send(APIC_INIT, 1, 0);
    send(APIC_STARTUP, 1, 0x9a);
    (void)ipi_take(ap);
    vm->wish = WISH_RUN;
    host_fake.interrupts = window_and_init;
    assert_true(ipi_wait(ap));
    host_fake.interrupts = NULL;
    assert_int_equal(windows, 3); /* with the one in which it idled */
    assert_int_equal(vcpu_fake.start.sipi_page, 0x33);
}

/* Cores' clocks differ a little, and a second that began later than now has not passed. */
static void test_lines_are_limited_whichever_core_logs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        if (i % 10 == 0)
            vm->log_second = host_fake.tsc + 1;
        vm_log(vm, "line");
    }
    assert_in_range(small_vm_logged("guest g: line"), 1, 20);
}

static void test_console_requests_are_given_back(void **state)
{
    (void)state;
    vcpu_request(bsp, REQUEST_CONSOLE_RX);
    assert_int_equal(ipi_take(bsp), REQUEST_CONSOLE_RX);
}

/* Virtual-interrupt delivery: IRR and ISR go to the hardware, only ExtINT is injected. */
static void test_hardware_gets_rvi_and_eoi_exits(void **state)
{
    struct apic_msg m = message(APIC_FIXED, 0, 0x51);

    (void)state;
    bsp->arch.apicv = APICV_TPR_SHADOW | APICV_VIRTUAL_INTERRUPTS;
    m.level = true;
    ipi_deliver(bsp, &m, UINT32_MAX);
    vcpu_fake.state.rflags |= 1u << 9;
    assert_true(vcpu_prepare_entry(&bsp->arch));
    assert_int_equal(vcpu_fake.rvi, 0x51);
    assert_int_equal(vcpu_fake.svi, 0);
    assert_int_equal(vcpu_fake.eoi_exits[1], 1ull << 0x11);
    assert_false(vcpu_has_event(&bsp->arch));
    assert_false(vcpu_fake.irq_window);
}

static void test_tpr_that_holds_up_an_interrupt_is_watched(void **state)
{
    (void)state;
    send(APIC_FIXED, 0, 0x41);
    write_lapic(bsp, 0x80, 0x50);
    assert_true(vcpu_prepare_entry(&bsp->arch));
    assert_int_equal(vcpu_fake.tpr_threshold, 4);
    write_lapic(bsp, 0x80, 0x30);
    assert_true(vcpu_prepare_entry(&bsp->arch));
    assert_int_equal(vcpu_fake.tpr_threshold, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fixed_to_itself_needs_no_interrupt, setup),
        cmocka_unit_test_setup(test_fixed_to_another_is_posted_with_one_kick, setup),
        cmocka_unit_test_setup(test_hardware_is_notified_and_left_alone, setup),
        cmocka_unit_test_setup(test_level_goes_by_request_into_tmr, setup),
        cmocka_unit_test_setup(test_bad_vector_is_the_receivers_error, setup),
        cmocka_unit_test_setup(test_all_but_self_reaches_each_other_once, setup),
        cmocka_unit_test_setup(test_lowest_priority_reaches_the_one_with_the_lowest, setup),
        cmocka_unit_test_setup(test_nmi_and_extint_wait_at_the_receiver, setup),
        cmocka_unit_test_setup(test_init_makes_it_wait_and_forget, setup),
        cmocka_unit_test_setup(test_sipi_starts_what_waits, setup),
        cmocka_unit_test_setup(test_init_and_sipi_together_start_it, setup),
        cmocka_unit_test_setup(test_sipi_before_init_is_not_seen_behind_it, setup),
        cmocka_unit_test_setup(test_waiting_ends_when_the_vm_stops, setup),
        cmocka_unit_test_setup(test_init_of_the_first_resets_the_machine, setup),
        cmocka_unit_test_setup(test_init_to_itself_stops_the_first, setup),
        cmocka_unit_test_setup(test_a_storm_of_inits_is_one_nmi_until_it_is_seen, setup),
        cmocka_unit_test_setup(test_a_storm_of_nmis_is_one_until_it_is_seen, setup),
        cmocka_unit_test_setup(test_an_nmi_lets_interrupts_in, setup),
        cmocka_unit_test_setup(test_a_start_lets_interrupts_in, setup),
        cmocka_unit_test_setup(test_lines_are_limited_whichever_core_logs, setup),
        cmocka_unit_test_setup(test_console_requests_are_given_back, setup),
        cmocka_unit_test_setup(test_hardware_gets_rvi_and_eoi_exits, setup),
        cmocka_unit_test_setup(test_tpr_that_holds_up_an_interrupt_is_watched, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
