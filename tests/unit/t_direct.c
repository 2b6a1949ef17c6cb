/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with its core's own local APIC: what its virtual one accepts goes there, as self IPIs, and
 * what it must not have is refused. Expected values: SDM 3A "Extended XAPIC (x2APIC)".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "guest/direct.h"
#include "lib/compiler.h"
#include "tests/fake/cpuid_fake.h"
#include "tests/fake/small_vm.h"

#define X2_ID      0x802u
#define X2_VERSION 0x803u
#define X2_LDR     0x80du
#define X2_ICR     0x830u
#define X2_LINT0   0x835u
#define COM1       0x3f8u
#define IOAPIC     0xfec00000u

#define KICK       0xf1u

static struct vcpu *const cpu = &vms[0].vcpu[0];

static int setup(void **state)
{
    small_vm_direct = true;
    int result = small_vm_setup(state);

    small_vm_direct = false;
    host_fake.self_ipis = 0;
    return result;
}

/* An exit that does nothing. */
static void nop(void)
{
    struct vcpu_exit x = {.kind = EXIT_NOP};

    (void)small_vm_exit(&x);
}

static void expect_self(uint8_t vector)
{
    assert_int_equal(host_fake.self_ipis, 1);
    assert_int_equal(host_fake.self_ipi[0], vector);
    host_fake.self_ipis = 0;
    small_vm_expect_none(); /* nothing is injected past the core's own */
}

static void redirect(uint8_t index, uint32_t value)
{
    small_vm_mmio_write(IOAPIC, index);
    small_vm_mmio_write(IOAPIC + 0x10, value);
}

/* The UART's transmitter is empty: IRQ 4 is asserted from here on. */
static void uart_asserts(bool on)
{
    small_vm_out(COM1 + 4, 1, 0x08); /* MCR: OUT2 */
    small_vm_out(COM1 + 1, 1, on ? 0x02 : 0);
}

static void test_it_is_in_x2apic_mode_for_ever(void **state)
{
    uint64_t base, value;

    (void)state;
    assert_true(small_vm_rdmsr(MSR_APIC_BASE, &base));
    assert_int_equal(base, 0xfee00d00);
    assert_true(small_vm_wrmsr(MSR_APIC_BASE, base));
    assert_false(small_vm_wrmsr(MSR_APIC_BASE, 0xfee00900)); /* xAPIC */
    assert_false(small_vm_wrmsr(MSR_APIC_BASE, 0xfee00100)); /* disabled */
    assert_true(small_vm_rdmsr(X2_ID, &value));
    assert_int_equal(value, 0);
    assert_true(small_vm_rdmsr(X2_LDR, &value));
    assert_int_equal(value, 1);
}

static void test_version_is_the_cores_without_cmci(void **state)
{
    uint64_t value;

    (void)state;
    host_fake.apic_version = 0x01060015; /* seven LVT entries */
    assert_true(small_vm_rdmsr(X2_VERSION, &value));
    assert_int_equal(value, 0x01050015);
    host_fake.apic_version = 0x00030014;
    assert_true(small_vm_rdmsr(X2_VERSION, &value));
    assert_int_equal(value, 0x00030014);
    assert_false(small_vm_rdmsr(0x82f, &value)); /* LVT CMCI */
}

static void test_its_tsc_is_the_hosts(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(cpu->arch.tsc_offset, 0);
    assert_false(small_vm_wrmsr(MSR_TSC, 0));
    assert_false(small_vm_wrmsr(MSR_TSC_ADJUST, 1));
    assert_true(small_vm_wrmsr(MSR_TSC_ADJUST, 0));
    assert_true(small_vm_rdmsr(MSR_TSC_ADJUST, &value));
    assert_int_equal(value, 0);
    assert_int_equal(cpu->arch.tsc_offset, 0);
}

static void test_cpuid_tells_of_the_cores_timer(void **state)
{
    struct cpuid_identity id = {0, 1, 3000000000, 24000000};
    uint32_t r[4];

    (void)state;
    cpuid_fake_set(1, 0, 0x306c3, 0, 0, 0x078bfbff); /* no TSC-deadline timer */
    cpuid_build(&cpu->cpuid, &id);
    small_vm_cpuid(0x15, 0, r);
    assert_int_equal((uint64_t)r[2] * r[1] / r[0], 3000000000);
    assert_int_equal(r[2], 24000000);
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[2] >> 24 & 1, 0);
    assert_int_equal(r[2] >> 21 & 1, 1); /* x2APIC */
    cpuid_fake_set(1, 0, 0x306c3, 0, 1u << 24, 0x078bfbff);
    cpuid_build(&cpu->cpuid, &id);
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[2] >> 24 & 1, 1);
}

static void test_ipis_are_self_ipis_or_nothing(void **state)
{
    (void)state;
    assert_true(small_vm_wrmsr(X2_ICR, 0x51)); /* to ID 0 */
    expect_self(0x51);
    assert_true(small_vm_wrmsr(X2_ICR, 0x40052)); /* self */
    expect_self(0x52);
    assert_true(small_vm_wrmsr(X2_ICR, 1ull << 32 | 0x53)); /* to ID 1: nobody */
    assert_true(small_vm_wrmsr(X2_ICR, 0xc0054));           /* all others */
    assert_true(small_vm_wrmsr(X2_ICR, 0x0f));              /* an illegal vector */
    nop();
    assert_int_equal(host_fake.self_ipis, 0);
    assert_int_equal(host_fake.ipis + host_fake.sent_nmis, 0);
    assert_true(small_vm_wrmsr(X2_ICR, 0x400)); /* NMI */
    nop();
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
    assert_int_equal(host_fake.self_ipis, 0);
}

static void test_edges_of_the_ioapic_come_once(void **state)
{
    (void)state;
    redirect(0x10 + 2 * 4, 0x44);
    uart_asserts(true);
    nop();
    expect_self(0x44);
    nop();
    assert_int_equal(host_fake.self_ipis, 0);
}

static void test_levels_come_at_each_exit_while_asserted(void **state)
{
    (void)state;
    redirect(0x10 + 2 * 4, 0x8044);
    uart_asserts(true);
    for (unsigned i = 0; i < 3; i++) {
        host_fake.self_ipis = 0;
        nop();
        assert_in_range(host_fake.self_ipis, 1, 2); /* the exit, and the end of the script */
        assert_int_equal(host_fake.self_ipi[0], 0x44);
    }
    uart_asserts(false);
    nop(); /* what was on its way */
    host_fake.self_ipis = 0;
    nop();
    assert_int_equal(host_fake.self_ipis, 0);
    uart_asserts(true);
    assert_int_not_equal(host_fake.self_ipis, 0);
}

/* The EOI that follows at once would accept it again: a guest could hold the core for ever so. */
static void test_a_level_on_lint0_is_not_endless(void **state)
{
    static const uint8_t init[] = {0x11, 0x20, 0x04, 0x01, 0x00};

    (void)state;
    assert_true(small_vm_wrmsr(X2_LINT0, 0x8055)); /* fixed, level */
    small_vm_out(0x20, 1, init[0]);
    for (unsigned i = 1; i < sizeof(init); i++)
        small_vm_out(0x21, 1, init[i]);
    host_fake.self_ipis = 0;
    uart_asserts(true);
    host_fake.self_ipis = 0;
    nop();
    assert_in_range(host_fake.self_ipis, 1, 4);
    for (unsigned i = 0; i < host_fake.self_ipis; i++)
        assert_int_equal(host_fake.self_ipi[i], 0x55);
}

static void test_the_8259_is_injected(void **state)
{
    static const uint8_t init[] = {0x11, 0x20, 0x04, 0x01, 0x00};

    (void)state;
    small_vm_out(0x20, 1, init[0]);
    for (unsigned i = 1; i < sizeof(init); i++)
        small_vm_out(0x21, 1, init[i]);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    uart_asserts(true);
    small_vm_expect(EVENT_EXTERNAL, 0x24);
    assert_int_equal(host_fake.self_ipis, 0);
}

static void test_requests_come_by_nmi_until_it_has_ended(void **state)
{
    (void)state;
    vms[0].state = VM_RUNNING;
    vcpu_request(cpu, REQUEST_CONSOLE_RX);
    assert_int_equal(host_fake.sent_nmis, 1);
    assert_int_equal(host_fake.ipis, 0);
    vcpu_rouse(cpu);
    assert_int_equal(host_fake.sent_nmis, 2);
    assert_int_equal(host_fake.ipis, 0);
    vms[0].state = VM_CRASHED;
    vcpu_rouse(cpu);
    assert_int_equal(host_fake.sent_nmis, 2);
    assert_int_equal(host_fake.ipis, 1);
    assert_int_equal(host_fake.ipi_vector, KICK);
}

/* An NMI that came in root mode was counted there; what it came for is done after the next entry. */
static void test_roused_takes_requests(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_ROUSED};
    unsigned nmis = host_fake.nmis;

    (void)state;
    atomic_fetch_or(&cpu->requests, REQUEST_NMI);
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
    assert_int_equal(host_fake.nmis, nmis);
    assert_int_equal(cpu->requests, 0);
}

static void test_each_life_gives_the_local_apic_back(void **state)
{
    (void)state;
    assert_int_equal(vcpu_fake.stops, vcpu_fake.resets);
    assert_int_equal(vcpu_fake.stops, 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        T(test_it_is_in_x2apic_mode_for_ever),
        T(test_version_is_the_cores_without_cmci),
        T(test_its_tsc_is_the_hosts),
        T(test_cpuid_tells_of_the_cores_timer),
        T(test_ipis_are_self_ipis_or_nothing),
        T(test_edges_of_the_ioapic_come_once),
        T(test_levels_come_at_each_exit_while_asserted),
        T(test_a_level_on_lint0_is_not_endless),
        T(test_the_8259_is_injected),
        T(test_requests_come_by_nmi_until_it_has_ended),
        T(test_roused_takes_requests),
        T(test_each_life_gives_the_local_apic_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
