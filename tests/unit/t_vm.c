/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes after a guest's life, by the config; its files' hashes; its watchdog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "guest/platform.h"
#include "guest/port.h"
#include "guest/run.h"
#include "lib/time.h"
#include "tests/fake/small_vm.h"

#define SECOND   SMALL_VM_TSC_HZ
#define WATCHDOG 0x610
#define LIVES    100u /* after so many it uses the debug exit: with status 99 */

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];

static struct vcpu_exit out_exit(struct vcpu_arch *a, uint16_t port, unsigned size, uint32_t value)
{
    struct vcpu_exit x = {.kind = EXIT_PIO};

    x.u.pio.port = port;
    x.u.pio.size = (uint8_t)size;
    x.u.pio.in = false;
    a->gpr[RAX] = value;
    return x;
}

/* How every life ends, but for the LIVESth, and how long it takes. */
static uint64_t life_ticks;
static enum { CRASH, RESET, POWER_OFF } ending;

static bool end_each_life(struct vcpu_arch *a, struct vcpu_exit *x)
{
    host_fake.tsc += life_ticks;
    if (vcpu_fake.resets == LIVES) {
        *x = out_exit(a, 0xf4, 4, 99);
        return true;
    }
    switch (ending) {
    case CRASH: *x = (struct vcpu_exit){.kind = EXIT_TRIPLE_FAULT}; break;
    case RESET: *x = out_exit(a, 0xcf9, 1, 0x06); break;
    case POWER_OFF: *x = out_exit(a, 0x604, 2, 0x3400); break;
    }
    return true;
}

/* From power-on until the guest stays off; each exit is source's. Returns how many lives there
 * were. */
static unsigned run_with(vcpu_fake_source *source, uint64_t unix_time)
{
    vcpu_fake.resets = 0;
    vcpu_fake.source = source;
    vm_run(vm, 0, unix_time);
    vcpu_fake.source = NULL;
    return vcpu_fake.resets;
}

/* Run the guest from power-on; each life takes `ticks`. The number of its lives. */
static unsigned live(uint64_t ticks)
{
    vm->resets = vm->restarts = 0;
    vm->recorded = 0;
    life_ticks = ticks;
    host_fake_clear_text();
    return run_with(end_each_life, 1700000000);
}

static struct guest_policy restart(uint32_t limit, uint32_t window_s)
{
    return (struct guest_policy){GUEST_RESTART, limit, window_s};
}

/* --- policies --------------------------------------------------------------------------------- */

static void test_zero_is_to_halt(void **state)
{
    static const struct {
        enum vm_state state;
        const char *name;
    } ends[] = {
        [CRASH] = {VM_CRASHED,     "crashed"             },
        [RESET] = {VM_RESET_OFF,   "halted after a reset"},
        [POWER_OFF] = {VM_POWERED_OFF, "powered off"         },
    };

    (void)state;
    small_vm_config.on_reset = (struct guest_policy){0};
    for (ending = CRASH; ending <= POWER_OFF; ending++) {
        assert_int_equal(live(0), 1);
        assert_int_equal(vm->state, ends[ending].state);
        assert_string_equal(vm_state_name(vm), ends[ending].name);
        assert_true(vm_all_ended());
        assert_int_equal(small_vm_logged("stays off"), 0);
        assert_int_equal(small_vm_logged("resets 0, restarts 0,"), 1);
    }
}

static void test_without_limit_it_always_goes_on(void **state)
{
    (void)state;
    small_vm_config.on_crash = restart(0, 0);
    ending = CRASH;
    assert_int_equal(live(SECOND), LIVES);
    assert_int_equal(vm->restarts, LIVES - 1);
    assert_int_equal(small_vm_logged("guest g: exit status 99\r\n"), 1);
}

static void test_limit_since_power_on(void **state)
{
    (void)state;
    small_vm_config.on_crash = restart(3, 0);
    ending = CRASH;
    assert_int_equal(live(1000 * SECOND), 4);
    assert_int_equal(vm->state, VM_CRASHED);
    assert_int_equal(vm->restarts, 3);
    assert_int_equal(small_vm_logged("guest g: restart 3, after a crash\r\n"), 1);
    assert_int_equal(
        small_vm_logged("guest g: crashed 4 times: stays off (on_crash: restart 3)\r\n"), 1);
    assert_int_equal(small_vm_logged("guest g: crashed, core 1, resets 0, restarts 3,"), 1);
}

static void test_limit_within_a_window(void **state)
{
    (void)state;
    small_vm_config.on_crash = restart(3, 60);
    ending = CRASH;
    assert_int_equal(live(19 * SECOND), 4);
    assert_int_equal(small_vm_logged("guest g: crashed 4 times within 60 s: stays off "
                                     "(on_crash: restart 3 within 60 s)\r\n"),
                     1);
}

/* 20 s apart the fourth is in the next window, again and again. */
static void test_a_window_is_over_after_its_seconds(void **state)
{
    (void)state;
    small_vm_config.on_crash = restart(3, 60);
    ending = CRASH;
    assert_int_equal(live(20 * SECOND), LIVES);
    assert_int_equal(small_vm_logged("stays off"), 0);
}

static void test_limit_of_resets_and_power_offs(void **state)
{
    (void)state;
    small_vm_config.on_reset = restart(2, 0);
    small_vm_config.on_poweroff = restart(1, 5);
    ending = RESET;
    assert_int_equal(live(0), 3);
    assert_int_equal(vm->resets, 2);
    assert_int_equal(vm->restarts, 0);
    assert_int_equal(vm->state, VM_RESET_OFF);
    assert_int_equal(
        small_vm_logged("guest g: reset itself 3 times: stays off (on_reset: restart 2)"), 1);
    ending = POWER_OFF;
    assert_int_equal(live(0), 2);
    assert_int_equal(vm->restarts, 1);
    assert_int_equal(vm->state, VM_POWERED_OFF);
    assert_int_equal(small_vm_logged("guest g: restart 1, after a power-off\r\n"), 1);
    assert_int_equal(small_vm_logged("guest g: switched itself off 2 times within 5 s: stays off "
                                     "(on_poweroff: restart 1 within 5 s)"),
                     1);
}

static void test_registers_are_shown_once_a_second(void **state)
{
    unsigned prints = vcpu_fake.prints;

    (void)state;
    small_vm_config.on_crash = restart(9, 0);
    ending = CRASH;
    assert_int_equal(live(SECOND / 4), 10);
    assert_int_equal(vcpu_fake.prints - prints, 3);
    assert_int_equal(small_vm_logged("stopped: triple fault"), 10);
    assert_int_equal(small_vm_logged("registers are shown once a second"), 7);
}

/* --- a restart is a power-on ------------------------------------------------------------------ */

static uint8_t cmos[LIVES + 1], seconds[LIVES + 1];

static bool look_at_rtc_and_power_off(struct vcpu_arch *a, struct vcpu_exit *x)
{
    host_fake.tsc += 7 * SECOND;
    mc146818_write(&vm->rtc, 0x70, 0x40, vm_now(vm));
    cmos[vcpu_fake.resets] = mc146818_read(&vm->rtc, 0x71, vm_now(vm));
    mc146818_write(&vm->rtc, 0x71, 0xa7, vm_now(vm));
    mc146818_write(&vm->rtc, 0x70, 0x00, vm_now(vm));
    seconds[vcpu_fake.resets] = mc146818_read(&vm->rtc, 0x71, vm_now(vm));
    assert_true(cpu->arch.tsc_offset + vm->tsc_start == 0);
    *x = out_exit(a, vcpu_fake.resets == 2 ? 0xcf9 : 0x604, 2, vcpu_fake.resets == 2 ? 6 : 0x3400);
    x->u.pio.size = vcpu_fake.resets == 2 ? 1 : 2;
    return true;
}

/* 1700000000 is 2023-11-14 22:13:20. */
static void test_restart_forgets_and_knows_the_time(void **state)
{
    const uint64_t first = host_fake.tsc;

    (void)state;
    small_vm_config.on_poweroff = restart(2, 0);
    small_vm_config.on_reset = restart(0, 0);
    assert_int_equal(run_with(look_at_rtc_and_power_off, 1700000000), 4);
    assert_int_equal(vm->restarts, 2);
    assert_int_equal(vm->resets, 1);
    assert_int_equal(cmos[1], 0);
    assert_int_equal(cmos[2], 0);
    assert_int_equal(cmos[3], 0xa7); /* a reset keeps it */
    assert_int_equal(cmos[4], 0);
    assert_int_equal(seconds[1], 0x27);
    assert_int_equal(seconds[2], 0x34);
    assert_int_equal(seconds[4], 0x48);
    assert_true(vm->tsc_start == first + 21 * SECOND); /* VM time began anew */
}

static bool dirty_and_crash(struct vcpu_arch *a, struct vcpu_exit *x)
{
    uint8_t byte = 0xff;

    (void)a;
    assert_true(gmem_read(vm, 0x9000, &byte, 1));
    assert_int_equal(byte, 0);
    byte = 0x55;
    assert_true(gmem_write(vm, 0x9000, &byte, 1));
    assert_int_equal(vm->irq_levels & 0x10, 0);
    ns16550_write(&vm->uart, 4, 0x0b, vm_now(vm));
    vm->unclaimed_io++;
    *x = (struct vcpu_exit){.kind = EXIT_TRIPLE_FAULT};
    return true;
}

static void test_restart_clears_memory_and_devices(void **state)
{
    (void)state;
    small_vm_config.on_crash = restart(3, 0);
    assert_int_equal(run_with(dirty_and_crash, 0), 4);
}

static void test_exit_status_is_of_one_life(void **state)
{
    (void)state;
    small_vm_config.on_poweroff = restart(0, 0);
    small_vm_config.on_crash = restart(0, 0);
    vm->has_exit_status = true;
    vm->exit_status = 7;
    ending = CRASH;
    small_vm_config.on_crash = restart(2, 0);
    assert_int_equal(live(0), 3);
    assert_int_equal(small_vm_logged("exit status"), 0);
}

/* --- several vCPUs ---------------------------------------------------------------------------- */

static unsigned parks;

/* The other vCPU's core: its part of the life is over when the first one has asked for it. */
static void other_parks(void)
{
    parks++;
    atomic_store(&vm->parked, 1);
}

/* vCPU 1 crashed; the first vCPU learns of it by the interrupt that comes with the wish. */
static bool other_crashes(struct vcpu_arch *a, struct vcpu_exit *x)
{
    (void)a;
    assert_int_equal(vm->parked, 0);
    assert_int_equal(vm->wish, WISH_RUN);
    vm->wish = WISH_CRASH;
    *x = (struct vcpu_exit){.kind = EXIT_HOST_IRQ};
    x->u.vector = 0xf1;
    return true;
}

static int setup_two(void **state)
{
    small_vm_vcpus = 2;
    small_vm_setup(state);
    small_vm_vcpus = 1;
    return 0;
}

static void test_restart_waits_for_the_other_vcpus(void **state)
{
    unsigned life = vm->life;

    (void)state;
    small_vm_config.on_crash = restart(3, 0);
    parks = 0;
    host_fake.interrupts = other_parks;
    vcpu_fake.source = other_crashes;
    vcpu_fake.resets = 0;
    vm_run(vm, 0, 0);
    vcpu_fake.source = NULL;
    host_fake.interrupts = NULL;
    assert_int_equal(vcpu_fake.resets, 4);
    assert_int_equal(vm->life - life, 4);
    assert_true(parks >= 4);
    assert_int_equal(vm->state, VM_CRASHED);
}

/* --- files ------------------------------------------------------------------------------------ */

static const uint16_t both[] = {1, 0};

/* By sha256sum: the image f4 eb fd, and "abc". */
static const uint8_t hashes[2][32] = {
    {0xaf, 0x6f, 0x85, 0xf9, 0x73, 0x9b, 0xc6, 0xc1, 0xd4, 0xe3, 0x65,
     0x31, 0xb0, 0xe1, 0x39, 0x06, 0x51, 0x1f, 0x0b, 0x1f, 0x4c, 0x23,
     0x4f, 0x39, 0x15, 0x24, 0xa6, 0x9c, 0x05, 0x4e, 0x12, 0x22},
    {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
     0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
     0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad},
};

static void use_files(void)
{
    for (unsigned i = 0; i < 2; i++)
        memcpy(small_vm_files[i].sha256, hashes[i], 32);
    small_vm_config.files = both;
    small_vm_config.file_count = 2;
}

static void test_hashes_are_shown_once(void **state)
{
    (void)state;
    use_files();
    vm->verified = false;
    small_vm_config.on_crash = restart(3, 0);
    ending = CRASH;
    assert_int_equal(live(0), 4);
    assert_int_equal(small_vm_logged("verified"), 2);
    assert_int_equal(
        small_vm_logged("[bulkhead] guest g: SHA-256 "
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
                        "verified: build/other, 1 KiB\r\n"),
        1);
}

static void test_a_wrong_file_refuses_the_guest(void **state)
{
    (void)state;
    use_files();
    small_vm_files[1].sha256[31] ^= 1;
    vm->verified = false;
    small_vm_config.on_crash = restart(0, 0);
    ending = CRASH;
    assert_int_equal(live(0), 0);
    assert_int_equal(vm->state, VM_REFUSED);
    assert_string_equal(vm_state_name(vm), "refused");
    assert_true(vm_all_ended());
    assert_int_equal(small_vm_logged("guest g: BH066: build/other is not what was built in"), 1);
    assert_int_equal(
        small_vm_logged("guest g: SHA-256 "
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ac "
                        "embedded: build/other\r\n"),
        1);
    assert_int_equal(
        small_vm_logged("guest g: SHA-256 "
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
                        "found: build/other\r\n"),
        1);
    assert_int_equal(small_vm_logged("build/image, 1 KiB"), 1); /* all are looked at */
}

static bool spoil_and_crash(struct vcpu_arch *a, struct vcpu_exit *x)
{
    (void)a;
    small_vm_files[0].sha256[0] ^= 1; /* as if a byte of the image had changed */
    *x = (struct vcpu_exit){.kind = EXIT_TRIPLE_FAULT};
    return true;
}

static void test_files_are_hashed_before_a_restart_too(void **state)
{
    (void)state;
    use_files();
    small_vm_config.on_crash = restart(0, 0);
    assert_int_equal(run_with(spoil_and_crash, 0), 1);
    assert_int_equal(vm->state, VM_REFUSED);
    assert_int_equal(small_vm_logged("BH066: build/image"), 1);
}

static unsigned looks;

static void look(void)
{
    looks++;
}

static void test_hashing_lets_interrupts_in(void **state)
{
    static uint8_t big[1000000];
    const uint16_t one[] = {1};

    (void)state;
    use_files();
    small_vm_files[1].data = (struct guest_image){big, sizeof(big)};
    small_vm_config.files = one;
    small_vm_config.file_count = 1;
    looks = 0;
    host_fake.interrupts = look;
    ending = CRASH;
    assert_int_equal(live(0), 0); /* it is not "abc" */
    host_fake.interrupts = NULL;
    assert_in_range(looks, 60, 100); /* each 16 KiB */
}

/* --- watchdog --------------------------------------------------------------------------------- */

static int setup_watchdog(void **state)
{
    small_vm_setup(state);
    small_vm_config.watchdog_s = 30;
    small_vm_config.watchdog_port = WATCHDOG;
    platform_reset(vm);
    return 0;
}

static void test_watchdog_is_there_if_the_config_says_so(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    assert_int_equal(small_vm_in(WATCHDOG + 4, 2), 30);
    assert_int_equal(small_vm_in(WATCHDOG + 4, 1), 30);
    small_vm_out(WATCHDOG + 4, 2, 20);
    assert_int_equal(small_vm_in(WATCHDOG + 4, 4), 20u << 16 | 20);
    assert_int_equal(vm->unclaimed_io, unclaimed);
    assert_int_equal(small_vm_in(WATCHDOG - 1, 1), 0xff);
    assert_int_equal(small_vm_in(WATCHDOG + 8, 1), 0xff);
    small_vm_config.watchdog_s = 0;
    assert_int_equal(small_vm_in(WATCHDOG + 4, 2), 0xffff);
    assert_int_equal(vm->unclaimed_io, unclaimed + 3);
}

static void test_watchdog_that_is_kicked_does_nothing(void **state)
{
    (void)state;
    small_vm_out(WATCHDOG, 1, 1);
    for (unsigned i = 0; i < 10; i++) {
        small_vm_wait(29 * SECOND);
        small_vm_out(WATCHDOG + 1, 1, 1);
        assert_int_equal(vm->wish, WISH_RUN);
    }
    small_vm_out(WATCHDOG, 1, 0);
    small_vm_wait(1000 * SECOND);
    assert_true(vcpu_fake.over);
}

static void test_watchdog_arms_the_timer_and_ends_the_guest(void **state)
{
    unsigned prints;

    (void)state;
    small_vm_out(0x43, 1, 0x30); /* the 8254 is quiet */
    small_vm_out(WATCHDOG, 1, 1);
    assert_true(vm->device_deadline <= vm_now(vm) + 30 * SECOND);
    host_fake.tsc += 30 * SECOND - 1;
    assert_true(small_vm_in(WATCHDOG + 6, 2) == 1);
    host_fake.tsc += 1;
    prints = vcpu_fake.prints;
    vm->recorded = 0;
    vcpu_fake_add(&(struct vcpu_exit){.kind = EXIT_NOP});
    small_vm_run();
    assert_false(vcpu_fake.over);
    assert_int_equal(vm->wish, WISH_CRASH);
    assert_int_equal(small_vm_logged("guest g: stopped: its watchdog expired"), 1);
    assert_int_equal(vcpu_fake.prints, prints + 1);
}

/* The timer's interrupt may come while an NMI is served. */
static void test_watchdog_is_seen_behind_an_nmi(void **state)
{
    (void)state;
    small_vm_out(WATCHDOG, 1, 1);
    host_fake.tsc += 30 * SECOND;
    cpu->arch.armed_deadline = TIME_NEVER;
    vcpu_fake_add(&(struct vcpu_exit){.kind = EXIT_NMI});
    small_vm_run();
    assert_false(vcpu_fake.over);
    assert_int_equal(vm->wish, WISH_CRASH);
}

/* Another vCPU kicked too late, before the first one's core looked. */
static void test_a_late_kick_ends_the_guest(void **state)
{
    (void)state;
    small_vm_out(WATCHDOG, 1, 1);
    host_fake.tsc += 31 * SECOND;
    assert_true(port_write(cpu, WATCHDOG + 1, 1, 1));
    vcpu_fake_add(&(struct vcpu_exit){.kind = EXIT_NOP});
    small_vm_run();
    assert_false(vcpu_fake.over);
    assert_int_equal(vm->wish, WISH_CRASH);
    assert_int_equal(small_vm_logged("its watchdog expired"), 1);
}

static uint32_t status[LIVES + 1];

static bool arm_and_hang(struct vcpu_arch *a, struct vcpu_exit *x)
{
    if (watchdog_deadline(&vm->watchdog) == TIME_NEVER) {
        status[vcpu_fake.resets] = watchdog_read(&vm->watchdog, WATCHDOG_STATUS, 1, vm_now(vm));
        *x = out_exit(a, WATCHDOG, 1, 1);
    } else {
        host_fake.tsc += SECOND;
        *x = (struct vcpu_exit){.kind = EXIT_DEADLINE};
    }
    return true;
}

static void test_expiry_is_a_crash_for_the_policy(void **state)
{
    (void)state;
    small_vm_config.on_crash = restart(2, 0);
    assert_int_equal(run_with(arm_and_hang, 0), 3);
    assert_int_equal(vm->state, VM_CRASHED);
    assert_int_equal(small_vm_logged("stopped: its watchdog expired"), 3);
    assert_int_equal(status[1], 0);
    assert_int_equal(status[2], 1);
    assert_int_equal(status[3], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_zero_is_to_halt, small_vm_setup),
        cmocka_unit_test_setup(test_without_limit_it_always_goes_on, small_vm_setup),
        cmocka_unit_test_setup(test_limit_since_power_on, small_vm_setup),
        cmocka_unit_test_setup(test_limit_within_a_window, small_vm_setup),
        cmocka_unit_test_setup(test_a_window_is_over_after_its_seconds, small_vm_setup),
        cmocka_unit_test_setup(test_limit_of_resets_and_power_offs, small_vm_setup),
        cmocka_unit_test_setup(test_registers_are_shown_once_a_second, small_vm_setup),
        cmocka_unit_test_setup(test_restart_forgets_and_knows_the_time, small_vm_setup),
        cmocka_unit_test_setup(test_restart_clears_memory_and_devices, small_vm_setup),
        cmocka_unit_test_setup(test_exit_status_is_of_one_life, small_vm_setup),
        cmocka_unit_test_setup(test_restart_waits_for_the_other_vcpus, setup_two),
        cmocka_unit_test_setup(test_hashes_are_shown_once, small_vm_setup),
        cmocka_unit_test_setup(test_a_wrong_file_refuses_the_guest, small_vm_setup),
        cmocka_unit_test_setup(test_files_are_hashed_before_a_restart_too, small_vm_setup),
        cmocka_unit_test_setup(test_hashing_lets_interrupts_in, small_vm_setup),
        cmocka_unit_test_setup(test_watchdog_is_there_if_the_config_says_so, setup_watchdog),
        cmocka_unit_test_setup(test_watchdog_that_is_kicked_does_nothing, setup_watchdog),
        cmocka_unit_test_setup(test_watchdog_arms_the_timer_and_ends_the_guest, setup_watchdog),
        cmocka_unit_test_setup(test_watchdog_is_seen_behind_an_nmi, setup_watchdog),
        cmocka_unit_test_setup(test_a_late_kick_ends_the_guest, setup_watchdog),
        cmocka_unit_test_setup(test_expiry_is_a_crash_for_the_policy, setup_watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
