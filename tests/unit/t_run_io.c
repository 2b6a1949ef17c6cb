/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports and device memory: who answers, in which width; string instructions; decoded accesses.
 * Expected values: the chips' data sheets; SDM 2A "INS/INSB/INSW/INSD", "OUTS/OUTSB/OUTSW/OUTSD",
 * "STOS/STOSB/STOSW/STOSD/STOSQ"; PCI 3.0 "Configuration Mechanism".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "guest/platform.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "tests/fake/small_vm.h"

#define LAPIC  0xfee00000ull
#define IOAPIC 0xfec00000ull
#define LDR    (LAPIC + 0xd0) /* [31:24] can be written */
#define TPR    (LAPIC + 0x80)

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];

/* --- ports ------------------------------------------------------------------------------------ */

static void test_8259_and_elcr_ports(void **state)
{
    (void)state;
    small_vm_out(0x21, 1, 0xfa);
    assert_int_equal(small_vm_in(0x21, 1), 0xfa);
    small_vm_out(0xa1, 1, 0x7f);
    assert_int_equal(small_vm_in(0xa1, 1), 0x7f);
    small_vm_out(0x4d0, 2, 0x0cff); /* both chips in one access; IRQ 0, 1, 2, 8, 13 stay edge */
    assert_int_equal(small_vm_in(0x4d0, 1), 0xf8);
    assert_int_equal(small_vm_in(0x4d1, 1), 0x0c);
}

static void test_8254_counts_down_and_port_61_gates_counter_2(void **state)
{
    (void)state;
    small_vm_out(0x43, 1, 0xb0); /* counter 2, mode 0, two bytes */
    small_vm_out(0x42, 1, 0xe8);
    small_vm_out(0x42, 1, 0x03); /* 1000 pulses: 838 us */
    small_vm_out(0x61, 1, 0x01);
    host_fake.tsc += 500000;
    assert_int_equal(small_vm_in(0x61, 1) & 0x20, 0);
    host_fake.tsc += 500000;
    assert_int_equal(small_vm_in(0x61, 1) & 0x21, 0x21);
}

static void test_rtc_answers_at_its_two_ports(void **state)
{
    (void)state;
    small_vm_out(0x70, 1, 0x32);
    assert_int_equal(small_vm_in(0x71, 1), 0x20); /* century, BCD: 2023-11-14 */
    small_vm_out(0x70, 1, 0x08);
    assert_int_equal(small_vm_in(0x71, 1), 0x11);
    small_vm_out(0x70, 2, 0x5540); /* index and data in one access */
    assert_int_equal(small_vm_in(0x71, 1), 0x55);
}

static void test_uart_scratch_register_and_wide_access(void **state)
{
    (void)state;
    small_vm_out(0x3ff, 1, 0x5a);
    assert_int_equal(small_vm_in(0x3ff, 1), 0x5a);
    assert_int_equal(small_vm_in(0x3fe, 2) >> 8, 0x5a); /* MSR and SCR */
    assert_int_equal(small_vm_in(0x3fe, 4) >> 16, 0xffff);
}

static void test_pm_timer_is_32_bits_and_runs(void **state)
{
    uint32_t before = small_vm_in(0x608, 4);

    (void)state;
    host_fake.tsc += SMALL_VM_TSC_HZ;
    assert_int_equal(small_vm_in(0x608, 4) - before, 3579545);
    assert_int_equal(small_vm_in(0x608, 1), (before + 3579545) & 0xff);
}

static void test_pm_registers_by_bytes_and_words(void **state)
{
    (void)state;
    small_vm_out(0x602, 1, 0x20); /* GBL_EN */
    small_vm_out(0x603, 1, 0x01); /* PWRBTN_EN */
    assert_int_equal(small_vm_in(0x602, 2), 0x0120);
    assert_int_equal(small_vm_in(0x604, 2) & 1, 1);        /* SCI_EN: always in ACPI mode */
    assert_int_equal(small_vm_in(0x60a, 4) >> 16, 0xffff); /* half of it is behind the block */
}

static void test_pci_host_bridge_is_the_only_function(void **state)
{
    (void)state;
    small_vm_out(0xcf8, 4, 0x80000000);
    assert_int_equal(small_vm_in(0xcf8, 4), 0x80000000);
    assert_int_equal(small_vm_in(0xcfc, 4), 0x12378086);
    assert_int_equal(small_vm_in(0xcfe, 2), 0x1237);
    assert_int_equal(small_vm_in(0xcfd, 1), 0x80);
    small_vm_out(0xcf8, 4, 0x80000800);
    assert_int_equal(small_vm_in(0xcfc, 4), 0xffffffff);
}

static void test_cf9_is_the_reset_register_for_bytes_only(void **state)
{
    (void)state;
    small_vm_out(0xcf8, 4, 0x80000000);
    small_vm_out(0xcf9, 1, 0x02);
    assert_true(vcpu_fake.over);
    assert_int_equal(small_vm_in(0xcf9, 1) & 0x02, 0x02);
    assert_int_equal(small_vm_in(0xcf8, 4), 0x80000000);
    small_vm_out(0xcf8, 4, 0x80000600); /* has 06H in CF9H's place */
    assert_true(vcpu_fake.over);
    small_vm_out(0xcf9, 1, 0x06);
    assert_false(vcpu_fake.over);
    assert_int_equal(vm->wish, WISH_RESET);
}

static void test_8042_is_absent_but_for_reset(void **state)
{
    (void)state;
    assert_int_equal(small_vm_in(0x64, 1), 0xff);
    assert_int_equal(small_vm_in(0x60, 1), 0xff);
    small_vm_out(0x64, 1, 0xaa);
    assert_true(vcpu_fake.over);
}

static void test_post_port_takes_writes_uncounted(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    small_vm_out(0x80, 1, 0x55);
    assert_int_equal(vm->unclaimed_io, unclaimed);
    assert_int_equal(small_vm_in(0x80, 1), 0xff);
}

/* Bytes that wait for the UART come in when it is polled, kick or no kick. */
static void test_polling_the_line_status_takes_keys_in(void **state)
{
    (void)state;
    assert_int_equal(small_vm_in(0x3fd, 1), 0x60);
    assert_true(ring_put(&vm->console_rx, 'k'));
    assert_int_equal(small_vm_in(0x3fd, 1), 0x60);
    assert_int_equal(small_vm_in(0x3fd, 1), 0x61);
    assert_int_equal(small_vm_in(0x3f8, 1), 'k');
    assert_int_equal(small_vm_in(0x3fd, 1), 0x60);
}

/* A byte by itself, and as a part of a wide access. */
static void test_masks_read_the_same_in_both_ways(void **state)
{
    (void)state;
    small_vm_out(0x21, 1, 0xa5);
    small_vm_out(0xa1, 1, 0x5a);
    assert_int_equal(small_vm_in(0x21, 1), 0xa5);
    assert_int_equal(small_vm_in(0xa1, 1), 0x5a);
    assert_int_equal(small_vm_in(0x20, 2) >> 8, 0xa5);
    assert_int_equal(small_vm_in(0xa0, 2) >> 8, 0x5a);
    small_vm_out(0x20, 1, 0x0c); /* a poll: the next read is its answer, at either port */
    assert_int_equal(small_vm_in(0x21, 1) & 0x80, 0);
    assert_int_equal(small_vm_in(0x21, 1), 0xa5);
}

static void test_unclaimed_ports_read_ones_drop_writes_and_are_counted(void **state)
{
    static const uint16_t ports[] = {0, 0x1f, 0x2f8, 0x60c, 0xcff + 1, 0xd00, 0x1000, 0xffff};
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
        assert_int_equal(small_vm_in(ports[i], 1), 0xff);
        assert_int_equal(small_vm_in(ports[i], 2), 0xffff);
        assert_int_equal(small_vm_in(ports[i], 4), 0xffffffff);
        small_vm_out(ports[i], 4, 0x12345678);
    }
    assert_int_equal(vm->unclaimed_io, unclaimed + 4 * ARRAY_LEN(ports));
    assert_int_equal(small_vm_logged("guest g"), small_vm_logged("triple fault"));
}

/* The config compiler takes them for free then. */
static void test_ports_of_fw_cfg_are_free_without_it(void **state)
{
    (void)state;
    small_vm_config.exit_port = 0x514;
    small_vm_config.watchdog_s = 30;
    small_vm_config.watchdog_port = 0x508;
    platform_reset(vm);
    assert_int_equal(small_vm_in(0x50b, 1), 1);
    assert_int_equal(small_vm_in(0x510, 1), 0xff);
    small_vm_config.watchdog_port = 0x510 - WATCHDOG_COUNT;
    assert_int_equal(small_vm_in(0x510, 1), 30);
    small_vm_out(0x514, 1, 7);
    assert_true(vm->has_exit_status);
    assert_int_equal(vm->exit_status, 7);
}

static void test_in_keeps_the_rest_of_rax_but_for_32_bits(void **state)
{
    static const struct {
        uint8_t size;
        uint64_t rax;
    } cases[] = {
        {1, 0x11223344556677ff},
        {2, 0x112233445566ffff},
        {4, 0xffffffff        }
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct vcpu_exit x = {.kind = EXIT_PIO};

        x.u.pio.port = 0x1000;
        x.u.pio.size = cases[i].size;
        x.u.pio.in = true;
        cpu->arch.gpr[RAX] = 0x1122334455667788;
        assert_true(small_vm_exit(&x));
        assert_int_equal(cpu->arch.gpr[RAX], cases[i].rax);
    }
}

/* --- string instructions ---------------------------------------------------------------------- */

/* 64-bit mode: tables at 10000H.., the first 2 MiB mapped to themselves, and above the devices. */
static void long_mode(void)
{
    static const uint64_t entries[][2] = {
        {0x10000, 0x11007   },
        {0x11000, 0x12007   },
        {0x11018, 0x13007   },
        {0x12000, 0xe7      },
        {0x13fb0, 0xfec000e7},
        {0x13fb8, 0xfee000e7},
    };

    for (unsigned i = 0; i < ARRAY_LEN(entries); i++)
        assert_true(gmem_write(vm, entries[i][0], &entries[i][1], 8));
    vcpu_fake.state.cr0 |= CR0_PE | CR0_PG | CR0_WP;
    vcpu_fake.state.cr3 = 0x10000;
    vcpu_fake.state.cr4 |= CR4_PAE;
    vcpu_fake.state.efer = EFER_LME | EFER_LMA;
    vcpu_fake.state.cs_access = 0xa09b;
}

/* INS to ES:rDI or OUTS from DS:rSI, with 32-bit addresses. */
static struct vcpu_exit string(uint16_t port, uint8_t size, bool in, bool rep, uint64_t offset)
{
    struct vcpu_exit x = {.kind = EXIT_PIO_STRING};

    x.u.pio.port = port;
    x.u.pio.size = size;
    x.u.pio.in = in;
    x.u.pio.rep = rep;
    x.u.pio.address_size = 4;
    x.u.pio.segment = in ? INSN_ES : INSN_DS;
    cpu->arch.gpr[RDX] = 0xabcd0000 | port;
    cpu->arch.gpr[in ? RDI : RSI] = offset;
    return x;
}

static uint32_t memory32(uint64_t gpa)
{
    uint32_t value;

    assert_true(gmem_read(vm, gpa, &value, sizeof(value)));
    return value;
}

static void test_rep_outsb_sends_all_items(void **state)
{
    struct vcpu_exit x = string(0x3f8, 1, false, true, 0x9000);
    unsigned skips = vcpu_fake.skips;
    uint8_t byte;

    (void)state;
    assert_true(gmem_write(vm, 0x9000, "abc", 3));
    cpu->arch.gpr[RCX] = 0xffffffff00000003;
    assert_true(small_vm_exit(&x));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(ring_take(&vm->console_tx, &byte));
        assert_int_equal(byte, 'a' + i);
    }
    assert_int_equal(vcpu_fake.skips, skips + 1);
    assert_int_equal(cpu->arch.gpr[RSI], 0x9003);
    assert_int_equal(cpu->arch.gpr[RCX], 0); /* a 32-bit ECX clears the upper half */
}

static void test_rep_is_carried_out_in_bounded_parts(void **state)
{
    struct vcpu_exit x = string(0x60, 1, true, true, 0x9000); /* reads ones */
    unsigned skips = vcpu_fake.skips;
    unsigned exits = 0;

    (void)state;
    cpu->arch.gpr[RCX] = 1000;
    while (cpu->arch.gpr[RCX] != 0) {
        assert_int_equal(vcpu_fake.skips, skips); /* RIP stays until the last */
        assert_true(small_vm_exit(&x));
        assert_int_equal(cpu->arch.gpr[RDI] - 0x9000, 1000 - cpu->arch.gpr[RCX]);
        exits++;
    }
    assert_in_range(exits, 4, 100);
    assert_int_equal(vcpu_fake.skips, skips + 1);
    assert_int_equal(memory32(0x9000 + 996), 0xffffffff);
    assert_int_equal(memory32(0x9000 + 1000), 0);
}

/* Single-step and an interrupt that came meanwhile are taken between two items. */
static void test_rep_ends_early_for_a_trap_and_an_interrupt(void **state)
{
    struct vcpu_exit x = string(0x1000, 1, true, true, 0x9000);

    (void)state;
    cpu->arch.gpr[RCX] = 10;
    vcpu_fake.state.rflags |= RFLAGS_TF;
    vcpu_fake.sti_blocking = true;
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->arch.gpr[RCX], 9);
    assert_false(vcpu_fake.sti_blocking); /* it lasts until the first item is done */
    vcpu_fake.state.rflags &= ~RFLAGS_TF;
    small_vm_uart_irq();
    assert_true(gmem_write(vm, 0x9000, "\x08\x08\x08\x08", 4));
    x = string(0x3fc, 1, false, true, 0x9000); /* MCR.OUT2: IRQ 4 at once */
    cpu->arch.gpr[RCX] = 4;
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->arch.gpr[RCX], 3);
}

static void test_rep_with_a_count_of_0_does_nothing(void **state)
{
    struct vcpu_exit x = string(0x1000, 1, true, true, 0x9000);
    unsigned skips = vcpu_fake.skips;

    (void)state;
    cpu->arch.gpr[RCX] = 0xff00000000;
    assert_true(small_vm_exit(&x));
    assert_int_equal(vcpu_fake.skips, skips + 1);
    assert_int_equal(cpu->arch.gpr[RDI], 0x9000);
    assert_int_equal(memory32(0x9000), 0);
}

static void test_insd_down_with_16_bit_addresses(void **state)
{
    struct vcpu_exit x = string(0x608, 4, true, false, 0x1234567800000002);

    (void)state;
    host_fake.tsc += SMALL_VM_TSC_HZ;
    vcpu_fake.state.rflags |= RFLAGS_DF;
    vcpu_fake.segment[INSN_ES].base = 0x8ffe;
    x.u.pio.address_size = 2;
    cpu->arch.gpr[RCX] = 7;
    assert_true(small_vm_exit(&x));
    assert_int_equal(memory32(0x9000), 3579545);
    assert_int_equal(cpu->arch.gpr[RDI], 0x123456780000fffe);
    assert_int_equal(cpu->arch.gpr[RCX], 7);
}

static void test_outs_takes_its_segment(void **state)
{
    struct vcpu_exit x = string(0x3ff, 1, false, false, 0x10);

    (void)state;
    vcpu_fake.segment[INSN_GS].base = 0x9000;
    x.u.pio.segment = INSN_GS;
    assert_true(gmem_write(vm, 0x9010, "\x5a", 1));
    assert_true(small_vm_exit(&x));
    assert_int_equal(small_vm_in(0x3ff, 1), 0x5a);
}

/* One INS or OUTS of 2 bytes that must fail with that vector and do nothing. */
static void expect_string_fault(bool in, uint8_t segment, uint64_t offset, uint8_t vector)
{
    struct vcpu_exit x = string(0x1000, 2, in, true, offset);
    struct vcpu_fake_event e;
    uint64_t unclaimed = vm->unclaimed_io;

    x.u.pio.segment = segment;
    cpu->arch.gpr[RCX] = 1;
    assert_true(small_vm_exit(&x));
    assert_true(vcpu_fake_take(&e));
    assert_int_equal(e.vector, vector);
    assert_int_equal(e.has_error, (vcpu_fake.state.cr0 & CR0_PE) != 0);
    assert_int_equal(e.error, 0);
    assert_int_equal(cpu->arch.gpr[RCX], 1);
    assert_int_equal(vm->unclaimed_io, unclaimed);
}

static void expect_string_good(bool in, uint8_t segment, uint64_t offset)
{
    struct vcpu_exit x = string(0x1000, 2, in, true, offset);

    x.u.pio.segment = segment;
    cpu->arch.gpr[RCX] = 1;
    assert_true(small_vm_exit(&x));
    small_vm_expect_none();
    assert_int_equal(cpu->arch.gpr[RCX], 0);
}

/* SDM 3A "Limit Checking", "Type Checking". */
static void test_string_segment_checks(void **state)
{
    struct vcpu_segment *es = &vcpu_fake.segment[INSN_ES];
    struct vcpu_segment *ds = &vcpu_fake.segment[INSN_DS];
    struct vcpu_segment *ss = &vcpu_fake.segment[INSN_SS];

    (void)state;
    es->limit = 0xfff;
    expect_string_good(true, INSN_ES, 0xffe);
    expect_string_fault(true, INSN_ES, 0xfff, VECTOR_GP);
    ss->limit = 0xfff;
    expect_string_fault(false, INSN_SS, 0xfff, VECTOR_SS);
    ds->access = 0xc091; /* read-only data */
    expect_string_good(false, INSN_DS, 0);
    es->access = 0xc091;
    expect_string_fault(true, INSN_ES, 0, VECTOR_GP);
    ds->access = 0xc099; /* execute-only code */
    expect_string_fault(false, INSN_DS, 0, VECTOR_GP);
    ds->access = 0xc09b; /* readable code */
    expect_string_good(false, INSN_DS, 0);
    es->access = 0xc09b;
    expect_string_fault(true, INSN_ES, 0, VECTOR_GP);
    es->access = 0x10000; /* null selector */
    expect_string_fault(true, INSN_ES, 0, VECTOR_GP);
    *es = (struct vcpu_segment){.limit = 0xfff, .access = 0xc097}; /* expand-down, 32-bit */
    expect_string_fault(true, INSN_ES, 0xfff, VECTOR_GP);
    expect_string_good(true, INSN_ES, 0x1000);
    es->access = 0x8097; /* 16-bit */
    expect_string_good(true, INSN_ES, 0xfffe);
    expect_string_fault(true, INSN_ES, 0xffff, VECTOR_GP);
    vcpu_fake.state.cr0 &= ~CR0_PE; /* real mode: no types, limits of 64 KiB, no error code */
    *es = (struct vcpu_segment){.limit = 0xffff, .access = 0x91};
    expect_string_good(true, INSN_ES, 0xfffe);
    expect_string_fault(true, INSN_ES, 0xffff, VECTOR_GP);
    vcpu_fake.state.cr0 |= CR0_PE;
    vcpu_fake.state.rflags |= RFLAGS_VM;
    expect_string_good(true, INSN_ES, 0xfffe);
    es->access = 0xf1;
    expect_string_good(true, INSN_ES, 0xfffe);
}

static void test_string_in_64_bit_mode_checks_canonical_addresses_only(void **state)
{
    struct vcpu_exit x = string(0x1000, 2, true, false, 0x1fe);

    (void)state;
    long_mode();
    vcpu_fake.segment[INSN_ES] = (struct vcpu_segment){.base = 0x1000, .access = 0x10000};
    vcpu_fake.segment[INSN_FS].base = 0x9000;
    x.u.pio.address_size = 8;
    assert_true(small_vm_exit(&x));
    assert_int_equal(memory32(0x1fc), 0xffff0000);
    x = string(0x3ff, 1, false, false, 0x10);
    x.u.pio.segment = INSN_FS;
    x.u.pio.address_size = 8;
    assert_true(gmem_write(vm, 0x9010, "\xa5", 1));
    assert_true(small_vm_exit(&x));
    assert_int_equal(small_vm_in(0x3ff, 1), 0xa5);
    x = string(0x1000, 2, true, false, 1ull << 47);
    x.u.pio.address_size = 8;
    assert_true(small_vm_exit(&x));
    small_vm_expect_gp();
    x = string(0x1000, 2, false, false, 1ull << 47);
    x.u.pio.address_size = 8;
    x.u.pio.segment = INSN_SS;
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_SS);
}

/* SDM 3A "Alignment Check Exception (#AC)": ring 3, CR0.AM and RFLAGS.AC together. */
static void test_string_alignment_check(void **state)
{
    (void)state;
    vcpu_fake.state.cpl = 3;
    vcpu_fake.state.cr0 |= CR0_AM;
    expect_string_good(true, INSN_ES, 0x9001);
    vcpu_fake.state.rflags |= RFLAGS_AC;
    expect_string_good(true, INSN_ES, 0x9002);
    expect_string_fault(true, INSN_ES, 0x9001, VECTOR_AC);
    vcpu_fake.state.cpl = 0;
    expect_string_good(true, INSN_ES, 0x9001);
}

static void test_string_power_off_stops_in_the_middle_of_rep(void **state)
{
    struct vcpu_exit x = string(0x604, 2, false, true, 0x9000);

    (void)state;
    assert_true(gmem_write(vm, 0x9000, "\x00\x34", 2)); /* SLP_TYP 5, SLP_EN */
    cpu->arch.gpr[RCX] = 100;
    assert_false(small_vm_exit(&x));
    assert_int_equal(vm->wish, WISH_POWER_OFF);
}

/* 32-bit paging: table at 4000H, page table at 5000H; linear 0.. = physical 0.., but for `hole`. */
static void paging_with_hole(uint32_t hole, uint32_t hole_entry)
{
    uint32_t entry = 0x5007;

    assert_true(gmem_write(vm, 0x4000, &entry, 4));
    for (uint32_t i = 0; i < 1024; i++) {
        entry = i == hole ? hole_entry : i << 12 | 7;
        assert_true(gmem_write(vm, 0x5000 + 4 * i, &entry, 4));
    }
    vcpu_fake.state.cr0 |= CR0_PG | CR0_WP;
    vcpu_fake.state.cr3 = 0x4000;
}

/* One page of the first 4 MiB. */
static void set_page(uint32_t page, uint32_t entry)
{
    assert_true(gmem_write(vm, 0x5000 + 4 * page, &entry, 4));
}

/* The devices from FEC00000H on, by a page of 4 MiB. */
static void identity_device_page(void)
{
    uint32_t entry = 0xfec00087;

    assert_true(gmem_write(vm, 0x4000 + 4 * 0x3fb, &entry, 4));
    vcpu_fake.state.cr4 |= CR4_PSE;
}

static void expect_page_fault(uint64_t cr2, uint32_t error)
{
    struct vcpu_fake_event e;

    assert_true(vcpu_fake_take(&e));
    assert_int_equal(e.type, EVENT_EXCEPTION);
    assert_int_equal(e.vector, VECTOR_PF);
    assert_int_equal(e.cr2, cr2);
    assert_true(e.has_error);
    assert_int_equal(e.error, error);
}

static void test_outs_page_fault_does_nothing_else(void **state)
{
    struct vcpu_exit x = string(0x3f8, 4, false, true, 0x9ffe); /* crosses into the hole */
    unsigned skips = vcpu_fake.skips;

    (void)state;
    paging_with_hole(0xa, 0);
    cpu->arch.gpr[RCX] = 5;
    assert_true(small_vm_exit(&x));
    expect_page_fault(0xa000, 0);
    assert_int_equal(cpu->arch.gpr[RSI], 0x9ffe);
    assert_int_equal(cpu->arch.gpr[RCX], 5);
    assert_int_equal(vcpu_fake.skips, skips);
    assert_int_equal(ring_used(&vm->console_tx), 0);
}

static void test_ins_page_fault_leaves_the_byte_in_the_uart(void **state)
{
    struct vcpu_exit x = string(0x3f8, 1, true, true, 0xa000);

    (void)state;
    ns16550_rx_put(&vm->uart, 'k', vm_now(vm));
    paging_with_hole(0xa, 0xa005); /* read-only */
    cpu->arch.gpr[RCX] = 1;
    assert_true(small_vm_exit(&x));
    expect_page_fault(0xa000, 3); /* P, W */
    assert_int_equal(cpu->arch.gpr[RDI], 0xa000);
    paging_with_hole(0xa, 0xa007);
    assert_true(small_vm_exit(&x));
    small_vm_expect_none();
    assert_int_equal(memory32(0xa000) & 0xff, 'k');
    assert_int_equal(cpu->arch.gpr[RCX], 0);
}

static void test_ins_across_pages_writes_nothing_if_the_second_faults(void **state)
{
    struct vcpu_exit x = string(0x1000, 4, true, false, 0x9ffe);

    (void)state;
    paging_with_hole(0xa, 0);
    assert_true(small_vm_exit(&x));
    expect_page_fault(0xa000, 2);
    assert_int_equal(memory32(0x9ffc), 0);
}

/* The processor would set them on the way. SDM 3A "Accessed and Dirty Flags". */
static void test_ins_makes_its_page_dirty(void **state)
{
    struct vcpu_exit x = string(0x1000, 1, true, false, 0x9123);

    (void)state;
    paging_with_hole(0xa, 0);
    assert_true(small_vm_exit(&x));
    assert_int_equal(memory32(0x5000 + 4 * 9), 0x9067); /* A and D */
    assert_int_equal(memory32(0x4000), 0x5027);         /* A */
    assert_int_equal(memory32(0x5000 + 4 * 8), 0x8007);
    x = string(0x1000, 1, false, false, 0x8123);
    assert_true(small_vm_exit(&x));
    assert_int_equal(memory32(0x5000 + 4 * 8), 0x8027);
}

static void test_string_between_a_port_and_device_memory(void **state)
{
    struct vcpu_exit x = string(0x60, 4, true, false, LAPIC + 0x80); /* reads ones */

    (void)state;
    assert_true(small_vm_exit(&x));
    assert_int_equal(small_vm_mmio_read(TPR), 0xff);
    small_vm_mmio_write(TPR, 0xa7);
    x = string(0x3ff, 1, false, false, TPR);
    assert_true(small_vm_exit(&x));
    assert_int_equal(small_vm_in(0x3ff, 1), 0xa7);
}

/* A table beside the memory: nothing could be read there. */
static void test_string_with_tables_outside_ram_is_gp(void **state)
{
    struct vcpu_exit x = string(0x1000, 4, true, false, 0x9000);

    (void)state;
    paging_with_hole(0xa, 0);
    vcpu_fake.state.cr3 = SMALL_VM_MEMORY;
    assert_true(small_vm_exit(&x));
    small_vm_expect_gp();
}

/* --- device memory ---------------------------------------------------------------------------- */

static void test_mmio_mov_loads_and_stores(void **state)
{
    (void)state;
    small_vm_mmio_write(LDR, 0x12ffffff);
    assert_int_equal(small_vm_mmio_read(LDR), 0x12000000);
    assert_int_equal(small_vm_mmio_read(LAPIC + 0x30) & 0xff, 0x14);
    small_vm_mmio_write(IOAPIC, 1);
    assert_int_equal(small_vm_mmio_read(IOAPIC), 1);
    assert_int_equal(small_vm_mmio_read(IOAPIC + 0x10) & 0xff00ff, 0x170020); /* 24 pins, 20H */
}

static void test_mmio_store_immediate_and_moffs(void **state)
{
    (void)state;
    assert_true(small_vm_mmio("\xc7\x05\x80\x00\xe0\xfe\x35\x00\x00\x00", 10, TPR, true));
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 10);
    assert_int_equal(small_vm_mmio_read(TPR), 0x35);
    cpu->arch.gpr[RAX] = 0x46;
    assert_true(small_vm_mmio("\xa3\x80\x00\xe0\xfe", 5, TPR, true));
    assert_int_equal(small_vm_mmio_read(TPR), 0x46);
}

static void test_mmio_loads_with_extension(void **state)
{
    (void)state;
    small_vm_mmio_write(TPR, 0x96);
    cpu->arch.gpr[RCX] = 0xaaaaaaaaaaaaaaaa;
    assert_true(small_vm_mmio("\x0f\xb6\x0b", 3, TPR, false)); /* movzx ecx, byte */
    assert_int_equal(cpu->arch.gpr[RCX], 0x96);
    assert_true(small_vm_mmio("\x0f\xbe\x0b", 3, TPR, false)); /* movsx ecx, byte */
    assert_int_equal(cpu->arch.gpr[RCX], 0xffffff96);
    cpu->arch.gpr[RCX] = 0x1111;
    assert_true(small_vm_mmio("\x8a\x2b", 2, TPR, false)); /* mov ch, byte */
    assert_int_equal(cpu->arch.gpr[RCX], 0x9611);
    assert_true(small_vm_mmio("\x66\x8b\x0b", 3, TPR, false)); /* mov cx */
    assert_int_equal(cpu->arch.gpr[RCX], 0x0096);
}

static void test_mmio_load_into_esp(void **state)
{
    (void)state;
    small_vm_mmio_write(TPR, 0x20);
    assert_true(small_vm_mmio("\x8b\x23", 2, TPR, false));
    assert_int_equal(vcpu_fake.state.rsp, 0x20);
}

static void test_mmio_xchg(void **state)
{
    (void)state;
    small_vm_mmio_write(TPR, 0x11);
    cpu->arch.gpr[RDX] = 0x22;
    assert_true(small_vm_mmio("\x87\x13", 2, TPR, true));
    assert_int_equal(cpu->arch.gpr[RDX], 0x11);
    assert_int_equal(small_vm_mmio_read(TPR), 0x22);
}

static void test_mmio_alu_writes_result_and_flags(void **state)
{
    (void)state;
    small_vm_mmio_write(TPR, 0x0f);
    vcpu_fake.state.rflags = RFLAGS_FIXED | RFLAGS_IF | 1;    /* CF is to be cleared */
    assert_true(small_vm_mmio("\x83\x0b\x70", 3, TPR, true)); /* or dword [ebx], 70H */
    assert_int_equal(vcpu_fake.state.rflags & (RFLAGS_IF | 0xc1), RFLAGS_IF);
    assert_int_equal(small_vm_mmio_read(TPR), 0x7f);
    cpu->arch.gpr[RCX] = 0x7f;
    assert_true(small_vm_mmio("\x33\x0b", 2, TPR, false)); /* xor ecx, [ebx] */
    assert_int_equal(cpu->arch.gpr[RCX], 0);
    assert_int_equal(vcpu_fake.state.rflags & 0xc0, 0x40);     /* ZF */
    assert_true(small_vm_mmio("\x83\x3b\x7f", 3, TPR, false)); /* cmp: writes nothing */
    assert_int_equal(vcpu_fake.state.rflags & 0x40, 0x40);
    assert_int_equal(small_vm_mmio_read(TPR), 0x7f);
}

/* --- string instructions on device memory --- */

/* Registers of a string instruction, then the instruction, with an exit for the access to gpa. */
static bool mmio_string(const char *code, size_t len, uint64_t rsi, uint64_t rdi, uint64_t rcx,
                        uint64_t gpa, bool write)
{
    cpu->arch.gpr[RSI] = rsi;
    cpu->arch.gpr[RDI] = rdi;
    cpu->arch.gpr[RCX] = rcx;
    return small_vm_mmio(code, len, gpa, write);
}

static void expect_registers(uint64_t rsi, uint64_t rdi, uint64_t rcx, bool done, unsigned len)
{
    assert_int_equal(cpu->arch.gpr[RSI], rsi);
    assert_int_equal(cpu->arch.gpr[RDI], rdi);
    assert_int_equal(cpu->arch.gpr[RCX], rcx);
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + (done ? len : 0));
}

static void test_mmio_rep_stosd(void **state)
{
    (void)state;
    cpu->arch.gpr[RAX] = 0x21;
    assert_true(mmio_string("\xf3\xab", 2, 1, TPR, 2, TPR, true));
    expect_registers(1, TPR + 8, 0, true, 2);
    assert_int_equal(small_vm_mmio_read(TPR), 0x21);
    vcpu_fake.state.rflags |= RFLAGS_DF;
    cpu->arch.gpr[RAX] = 0x22;
    assert_true(mmio_string("\xab", 1, 1, TPR, 9, TPR, true));
    expect_registers(1, TPR - 4, 9, true, 1);
    assert_int_equal(small_vm_mmio_read(TPR), 0x22);
}

static void test_mmio_rep_stops_where_an_interrupt_may_be_taken(void **state)
{
    (void)state;
    small_vm_mmio_write(0xfee00300, 0x00040051); /* to itself; IF is 0 */
    assert_true(mmio_string("\xf3\xab", 2, 1, TPR, 2, TPR, true));
    expect_registers(1, TPR + 4, 1, false, 2);
    assert_true(mmio_string("\xf3\xab", 2, 1, TPR + 4, 1, TPR + 4, true));
    expect_registers(1, TPR + 8, 0, true, 2);
}

static void test_mmio_rep_is_bounded(void **state)
{
    (void)state;
    assert_true(mmio_string("\xf3\xaa", 2, 0, 0xfed00000, 1000, 0xfed00000, true));
    assert_in_range(cpu->arch.gpr[RCX], 1, 999);
    expect_registers(0, 0xfed00000 + 1000 - cpu->arch.gpr[RCX], cpu->arch.gpr[RCX], false, 2);
}

static void test_mmio_lods(void **state)
{
    (void)state;
    small_vm_mmio_write(LDR, 0xab000000);
    cpu->arch.gpr[RAX] = 0x1111111122222222;
    assert_true(mmio_string("\xac", 1, LDR + 3, 5, 7, LDR + 3, false));
    expect_registers(LDR + 4, 5, 7, true, 1);
    assert_int_equal(cpu->arch.gpr[RAX], 0x11111111222222ab);
    assert_true(mmio_string("\xf2\xad", 2, LDR, 5, 1, LDR, false)); /* F2 repeats, too */
    expect_registers(LDR + 4, 5, 0, true, 2);
    assert_int_equal(cpu->arch.gpr[RAX], 0xab000000);
}

static void test_mmio_movs_in_all_directions(void **state)
{
    uint32_t value = 0x4b;

    (void)state;
    small_vm_mmio_write(LDR, 0xcd000000);
    assert_true(mmio_string("\xa5", 1, LDR, 0x9000, 7, LDR, false)); /* to RAM */
    expect_registers(LDR + 4, 0x9004, 7, true, 1);
    assert_int_equal(memory32(0x9000), 0xcd000000);
    assert_true(gmem_write(vm, 0x9000, &value, 4));
    assert_true(mmio_string("\xa5", 1, 0x9000, TPR, 7, TPR, true)); /* from RAM */
    expect_registers(0x9004, TPR + 4, 7, true, 1);
    assert_int_equal(small_vm_mmio_read(TPR), 0x4b);
    assert_true(mmio_string("\xa5", 1, TPR, IOAPIC, 7, TPR, false)); /* device to device */
    assert_int_equal(small_vm_mmio_read(IOAPIC), 0x4b);
}

static void test_mmio_movs_segments(void **state)
{
    (void)state;
    vcpu_fake.segment[INSN_FS].base = LDR - 0x10;
    vcpu_fake.segment[INSN_ES].base = 0x9000;
    small_vm_mmio_write(LDR, 0xcd000000);
    assert_true(mmio_string("\x64\xa5", 2, 0x10, 0x20, 7, LDR, false));
    assert_int_equal(memory32(0x9020), 0xcd000000);
}

static void test_mmio_rep_movs_stops_at_the_faulting_item(void **state)
{
    (void)state;
    paging_with_hole(0xa, 0);
    identity_device_page();
    small_vm_mmio_write(LDR, 0xcd000000);
    assert_true(mmio_string("\xf3\xa5", 2, LDR, 0x9ff8, 5, LDR, false));
    expect_page_fault(0xa000, 2);
    expect_registers(LDR + 8, 0xa000, 3, false, 2);
    assert_int_equal(memory32(0x9ff8), 0xcd000000);
    assert_int_equal(memory32(0x5000 + 4 * 9), 0x9067); /* accessed and dirty */
}

static void test_mmio_cmps_and_scas(void **state)
{
    uint32_t value = 0xcd000000;

    (void)state;
    small_vm_mmio_write(LDR, value);
    assert_true(gmem_write(vm, 0x9000, &value, 4));
    assert_true(mmio_string("\xa7", 1, LDR, 0x9000, 7, LDR, false));
    assert_int_equal(vcpu_fake.state.rflags & 0x41, 0x40);
    expect_registers(LDR + 4, 0x9004, 7, true, 1);
    assert_true(gmem_write(vm, 0x9000, "\0\0\0\xce", 4));
    assert_true(mmio_string("\xf3\xa7", 2, LDR, 0x9000, 7, LDR, false)); /* less: CF, over */
    assert_int_equal(vcpu_fake.state.rflags & 0x41, 0x01);
    expect_registers(LDR + 4, 0x9004, 6, true, 2);
    cpu->arch.gpr[RAX] = 0xffffff00;
    assert_true(mmio_string("\xf2\xae", 2, 1, LDR + 1, 9, LDR + 1, false)); /* equal: over */
    expect_registers(1, LDR + 2, 8, true, 2);
    assert_true(mmio_string("\xf3\xae", 2, 1, LDR + 1, 3, LDR + 1, false)); /* 0, 0, CD */
    expect_registers(1, LDR + 4, 0, true, 2);
    assert_int_equal(vcpu_fake.state.rflags & 0x40, 0);
}

/* --- one instruction of each kind --- */

static void test_mmio_stays_within_the_forms_of_the_decoder(void **state)
{
    (void)state;
    small_vm_mmio_write(TPR, 0x10);
    cpu->arch.gpr[RCX] = 0xaaaaaaaa00000002;
    assert_true(small_vm_mmio("\x0f\xc1\x0b", 3, TPR, true)); /* xadd [ebx], ecx */
    assert_int_equal(cpu->arch.gpr[RCX], 0x10);
    assert_int_equal(small_vm_mmio_read(TPR), 0x12);
    cpu->arch.gpr[RAX] = 0x12;
    cpu->arch.gpr[RCX] = 0x77;
    assert_true(small_vm_mmio("\xf0\x0f\xb1\x0b", 4, TPR, true)); /* lock cmpxchg [ebx], ecx */
    assert_int_equal(vcpu_fake.state.rflags & 0x40, 0x40);
    assert_int_equal(small_vm_mmio_read(TPR), 0x77);
    assert_true(small_vm_mmio("\x0f\xba\x33\x00", 4, TPR, true)); /* btr dword [ebx], 0 */
    assert_int_equal(vcpu_fake.state.rflags & 1, 1);
    assert_int_equal(small_vm_mmio_read(TPR), 0x76);
    assert_true(small_vm_mmio("\xfe\x03", 2, IOAPIC, true)); /* inc byte [ebx] */
    assert_int_equal(small_vm_mmio_read(IOAPIC), 0x01);
    assert_true(small_vm_mmio("\x0f\x95\x03", 3, IOAPIC, true)); /* setne [ebx] */
    assert_int_equal(small_vm_mmio_read(IOAPIC), 0x01);
    cpu->arch.gpr[RDX] = 0xaaaaaaaaaaaaaaaa;
    vcpu_fake.state.rflags |= 0x40;
    assert_true(small_vm_mmio("\x0f\x45\x13", 3, TPR, false)); /* cmovne edx, [ebx] */
    assert_int_equal(cpu->arch.gpr[RDX], 0xaaaaaaaa);
}

/* The pair of CMPXCHG8B is the LDR and what lies between two registers. */
static void test_mmio_pair(void **state)
{
    uint64_t old = 0;

    (void)state;
    long_mode();
    small_vm_mmio_write(LDR, 0xcd000000);
    cpu->arch.gpr[RAX] = 1;
    cpu->arch.gpr[RDX] = 2;
    assert_true(small_vm_mmio("\x0f\xc7\x0b", 3, LDR, true));
    old = cpu->arch.gpr[RDX] << 32 | cpu->arch.gpr[RAX];
    assert_int_equal(vcpu_fake.state.rflags & 0x40, 0);
    assert_int_equal(old, 0xcd000000);
}

/* ROM: what a read-modify-write reads is there, what it writes goes nowhere. */
static void test_mmio_write_to_rom_reads_it(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    assert_true(gmem_write(vm, 0x9000, "\x41", 1));
    vm->memory[1] = (struct ept_range){.gpa = 0xfff00000,
                                       .hpa = vm->memory[0].hpa + 0x9000,
                                       .len = 0x1000,
                                       .perms = EPT_R | EPT_X};
    vm->memory_count = 2;
    assert_true(small_vm_mmio("\x80\x0b\x06", 3, 0xfff00000, true)); /* or byte [ebx], 6 */
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 3);
    assert_int_equal(vcpu_fake.state.rflags & 0xc5, 0x04); /* 47H: an even number of ones */
    assert_int_equal(memory32(0x9000), 0x41);
    assert_int_equal(vm->unclaimed_io, unclaimed + 1);
    assert_true(small_vm_mmio("\x88\x0b", 2, 0xfff00000, true));
    assert_int_equal(memory32(0x9000), 0x41);
}

/* A shared region that the guest reads only: like ROM. One that it writes: it does so itself. */
static void test_mmio_write_to_a_region_that_is_read_only(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    assert_true(gmem_write(vm, 0x9000, "\x41", 1));
    vm->memory[1] = (struct ept_range){
        .gpa = 0xd0000000, .hpa = vm->memory[0].hpa + 0x9000, .len = 0x1000, .perms = EPT_R};
    vm->share_count = 1;
    assert_true(small_vm_mmio("\x88\x0b", 2, 0xd0000000, true)); /* mov [ebx], cl */
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 2);
    assert_int_equal(memory32(0x9000), 0x41);
    assert_int_equal(vm->unclaimed_io, unclaimed + 1);
    cpu->arch.gpr[RAX] = 0x77;
    assert_true(small_vm_mmio("\x86\x03", 2, 0xd0000000, true)); /* xchg [ebx], al */
    assert_int_equal(cpu->arch.gpr[RAX], 0x41);
    assert_true(small_vm_mmio("\x80\x0b\x06", 3, 0xd0000000, true)); /* or byte [ebx], 6 */
    assert_int_equal(vcpu_fake.state.rflags & 0xc5, 0x04);
    assert_int_equal(memory32(0x9000), 0x41);
    assert_int_equal(vm->unclaimed_io, unclaimed + 3);
}

/* INS into a region is dropped, also where the guest could write; OUTS and MOVS read it. */
static void test_string_io_does_not_write_a_region(void **state)
{
    struct vcpu_exit ins = string(0x70, 1, true, false, 0xd0000000);
    uint64_t unclaimed = vm->unclaimed_io;
    struct vcpu_exit outs;
    uint8_t byte = 0;

    (void)state;
    assert_true(gmem_write(vm, 0x9000, "a", 1));
    vm->memory[1] = (struct ept_range){.gpa = 0xd0000000,
                                       .hpa = vm->memory[0].hpa + 0x9000,
                                       .len = 0x1000,
                                       .perms = EPT_R | EPT_W};
    vm->share_count = 1;
    assert_true(small_vm_exit(&ins));
    assert_int_equal(memory32(0x9000), 'a');
    assert_int_equal(vm->unclaimed_io, unclaimed + 1);
    outs = string(0x3f8, 1, false, false, 0xd0000000);
    assert_true(small_vm_exit(&outs));
    assert_true(ring_take(&vm->console_tx, &byte));
    assert_int_equal(byte, 'a');
}

/* --- where the operand is --- */

/* A 32-bit access whose upper half is in RAM, and one whose lower half is. */
static void test_mmio_across_a_page_is_split(void **state)
{
    uint32_t value = 0x11223344;

    (void)state;
    paging_with_hole(0xa, 0xfee00007); /* linear A000H: the local APIC; B000H: RAM */
    assert_true(gmem_write(vm, 0xb000, &value, 4));
    assert_true(gmem_write(vm, 0x9ffc, &value, 4));
    cpu->arch.gpr[RBX] = 0xaffe;
    assert_true(small_vm_mmio_far("\x8b\x03", 2, LAPIC + 0xffe, false));
    assert_int_equal((uint32_t)cpu->arch.gpr[RAX] >> 16, 0x3344);
    cpu->arch.gpr[RBX] = 0x9ffe;
    assert_true(
        small_vm_mmio_far("\x8b\x03", 2, LAPIC, false)); /* the second half left the guest */
    assert_int_equal(cpu->arch.gpr[RAX] & 0xffff, 0x1122);
    cpu->arch.gpr[RAX] = 0xaabbccdd;
    assert_true(small_vm_mmio_far("\x89\x03", 2, LAPIC, true));
    assert_int_equal(memory32(0x9ffc), 0xccdd3344);
    small_vm_expect_none();
}

static void test_mmio_across_pages_faults_before_anything_is_done(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    paging_with_hole(0xa, 0);
    set_page(9, 0xfed00007);
    cpu->arch.gpr[RBX] = 0x9ffe;
    assert_true(small_vm_mmio_far("\x83\x03\x01", 3, 0xfed00ffe, true)); /* add dword [ebx], 1 */
    expect_page_fault(0xa000, 2);
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE);
    assert_int_equal(vm->unclaimed_io, unclaimed);
}

/* Another core changed the instruction meanwhile: the right to write was never checked. */
static void test_mmio_of_another_instruction_is_checked_anew(void **state)
{
    (void)state;
    paging_with_hole(0xa, 0xfee00005); /* read-only */
    cpu->arch.gpr[RBX] = 0xa080;
    assert_true(small_vm_mmio_far("\x89\x03", 2, TPR, false));
    expect_page_fault(0xa080, 3);
    set_page(0xa, 0xfee00007);
    cpu->arch.gpr[RAX] = 0x31;
    assert_true(small_vm_mmio_far("\x89\x03", 2, TPR, false));
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 2);
    cpu->arch.gpr[RBX] = 0x9000; /* in RAM by now */
    assert_true(small_vm_mmio_far("\x89\x03", 2, TPR + 1, true));
    assert_int_equal(memory32(0x9000), 0x31);
    vcpu_fake.state.cr0 &= ~CR0_PG;
    assert_int_equal(small_vm_mmio_read(TPR), 0x31);
}

/* BTS with a register: the bit is 4 * (number / 32) bytes further on. */
static void test_mmio_bit_string(void **state)
{
    (void)state;
    paging_with_hole(0xa, 0xfee00007);
    cpu->arch.gpr[RBX] = 0xb000;
    cpu->arch.gpr[RCX] = (uint32_t)(-8 * (0x1000 - 0x80) + 5);     /* A080H: TPR bit 5 */
    assert_true(small_vm_mmio_far("\x0f\xab\x0b", 3, TPR, false)); /* not known to be a write */
    small_vm_expect_none();
    vcpu_fake.state.cr0 &= ~CR0_PG;
    assert_int_equal(small_vm_mmio_read(TPR), 0x20);
}

static void test_mmio_in_64_bit_mode_uses_the_base_of_gs_only(void **state)
{
    (void)state;
    long_mode();
    vcpu_fake.segment[INSN_DS].base = 0x1234;
    vcpu_fake.segment[INSN_GS].base = LAPIC;
    small_vm_mmio_write(TPR, 0x55);
    cpu->arch.gpr[RBX] = 0x80;
    assert_true(small_vm_mmio_far("\x65\x8b\x0b", 3, TPR, false));
    assert_int_equal(cpu->arch.gpr[RCX], 0x55);
    cpu->arch.gpr[RBX] = TPR;
    assert_true(small_vm_mmio_far("\x89\x0b", 2, TPR, false)); /* has to be translated */
    small_vm_expect_none();
}

static void test_mmio_with_esp(void **state)
{
    (void)state;
    vcpu_fake.state.rsp = 0x61;
    assert_true(small_vm_mmio("\x87\x23", 2, TPR, true)); /* xchg [ebx], esp */
    assert_int_equal(small_vm_mmio_read(TPR), 0x61);
    assert_int_equal(vcpu_fake.state.rsp, 0);
}

static void test_mmio_narrow_and_unaligned_accesses(void **state)
{
    (void)state;
    small_vm_mmio_write(LDR, 0xab000000);
    assert_true(small_vm_mmio("\x8a\x03", 2, LDR + 3, false)); /* mov al: its byte */
    assert_int_equal(cpu->arch.gpr[RAX] & 0xff, 0xab);
    cpu->arch.gpr[RAX] = 0x55;
    assert_true(small_vm_mmio("\x88\x03", 2, LDR + 3, true)); /* writes have to be 32-bit */
    assert_int_equal(small_vm_mmio_read(LDR), 0xab000000);
    cpu->arch.gpr[RAX] = 2;
    assert_true(small_vm_mmio("\x88\x03", 2, IOAPIC, true)); /* the index may be a byte */
    assert_int_equal(small_vm_mmio_read(IOAPIC), 2);
}

static void test_mmio_outside_devices_is_unclaimed(void **state)
{
    static const uint64_t nowhere[] = {SMALL_VM_MEMORY, 0xfed00000, 0xfec01000, 1ull << 40,
                                       0xfffffffffffffffc};
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(nowhere); i++) {
        assert_int_equal(small_vm_mmio_read(nowhere[i]), 0xffffffff);
        small_vm_mmio_write(nowhere[i], 0);
    }
    assert_int_equal(vm->unclaimed_io, unclaimed + 2 * ARRAY_LEN(nowhere));
}

static void test_mmio_64_bit_mode_uses_its_registers(void **state)
{
    (void)state;
    vcpu_fake.state.efer = EFER_LME | EFER_LMA;
    vcpu_fake.state.cs_access = 0xa09b;
    cpu->arch.gpr[R8] = TPR;
    cpu->arch.gpr[R9] = 0x33;
    assert_true(small_vm_mmio("\x45\x89\x08", 3, TPR, true)); /* mov [r8], r9d */
    cpu->arch.gpr[R10] = ~0ull;
    assert_true(small_vm_mmio("\x45\x8b\x10", 3, TPR, false)); /* mov r10d, [r8] */
    assert_int_equal(cpu->arch.gpr[R10], 0x33);
    assert_int_equal(small_vm_mmio_read(TPR), 0x33);
}

static void test_mmio_fetch_is_undefined_opcode(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_FETCH};

    (void)state;
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
}

static void test_undecodable_is_ud_with_limited_log(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        assert_true(small_vm_mmio("\x0f\xae\x03", 3, LAPIC, true)); /* fxsave */
        small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
        assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE);
    }
    assert_int_equal(small_vm_logged("guest g: access to device memory fee00000 by an instruction "
                                     "that is not emulated, rip 8000: 0f ae 03"),
                     10); /* of 20: each run on the fake processor ends with a line, too */
    assert_int_equal(small_vm_logged("more such lines"), 1);
    host_fake.tsc += SMALL_VM_TSC_HZ;
    assert_true(small_vm_mmio("\x0f\xae\x03", 3, LAPIC, true));
    assert_int_equal(small_vm_logged("is not emulated"), 11);
}

static void test_instruction_at_the_end_of_mapped_code(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_MMIO};

    (void)state;
    paging_with_hole(0xa, 0);
    x.u.mmio.gpa = TPR;
    assert_true(gmem_write(vm, 0x9ffe, "\x89\x03", 2));
    vcpu_fake.state.rip = 0x9ffe;
    cpu->arch.gpr[RAX] = 0x40;
    assert_true(small_vm_exit(&x)); /* it is whole: what follows does not matter */
    small_vm_expect_none();
    assert_int_equal(vcpu_fake.state.rip, 0xa000);
    assert_true(gmem_write(vm, 0x9fff, "\x89", 1));
    vcpu_fake.state.rip = 0x9fff;
    assert_true(small_vm_exit(&x)); /* its second byte is not mapped */
    expect_page_fault(0xa000, 0);
    assert_int_equal(vcpu_fake.state.rip, 0x9fff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, small_vm_setup)
        TEST(test_8259_and_elcr_ports),
        TEST(test_8254_counts_down_and_port_61_gates_counter_2),
        TEST(test_rtc_answers_at_its_two_ports),
        TEST(test_uart_scratch_register_and_wide_access),
        TEST(test_pm_timer_is_32_bits_and_runs),
        TEST(test_pm_registers_by_bytes_and_words),
        TEST(test_pci_host_bridge_is_the_only_function),
        TEST(test_cf9_is_the_reset_register_for_bytes_only),
        TEST(test_8042_is_absent_but_for_reset),
        TEST(test_post_port_takes_writes_uncounted),
        TEST(test_polling_the_line_status_takes_keys_in),
        TEST(test_masks_read_the_same_in_both_ways),
        TEST(test_unclaimed_ports_read_ones_drop_writes_and_are_counted),
        TEST(test_ports_of_fw_cfg_are_free_without_it),
        TEST(test_in_keeps_the_rest_of_rax_but_for_32_bits),
        TEST(test_rep_outsb_sends_all_items),
        TEST(test_rep_is_carried_out_in_bounded_parts),
        TEST(test_rep_ends_early_for_a_trap_and_an_interrupt),
        TEST(test_rep_with_a_count_of_0_does_nothing),
        TEST(test_insd_down_with_16_bit_addresses),
        TEST(test_outs_takes_its_segment),
        TEST(test_string_segment_checks),
        TEST(test_string_in_64_bit_mode_checks_canonical_addresses_only),
        TEST(test_string_alignment_check),
        TEST(test_string_power_off_stops_in_the_middle_of_rep),
        TEST(test_outs_page_fault_does_nothing_else),
        TEST(test_ins_page_fault_leaves_the_byte_in_the_uart),
        TEST(test_ins_across_pages_writes_nothing_if_the_second_faults),
        TEST(test_ins_makes_its_page_dirty),
        TEST(test_string_between_a_port_and_device_memory),
        TEST(test_string_with_tables_outside_ram_is_gp),
        TEST(test_mmio_mov_loads_and_stores),
        TEST(test_mmio_store_immediate_and_moffs),
        TEST(test_mmio_loads_with_extension),
        TEST(test_mmio_load_into_esp),
        TEST(test_mmio_xchg),
        TEST(test_mmio_alu_writes_result_and_flags),
        TEST(test_mmio_rep_stosd),
        TEST(test_mmio_rep_stops_where_an_interrupt_may_be_taken),
        TEST(test_mmio_rep_is_bounded),
        TEST(test_mmio_lods),
        TEST(test_mmio_movs_in_all_directions),
        TEST(test_mmio_movs_segments),
        TEST(test_mmio_rep_movs_stops_at_the_faulting_item),
        TEST(test_mmio_cmps_and_scas),
        TEST(test_mmio_stays_within_the_forms_of_the_decoder),
        TEST(test_mmio_pair),
        TEST(test_mmio_write_to_rom_reads_it),
        TEST(test_mmio_write_to_a_region_that_is_read_only),
        TEST(test_string_io_does_not_write_a_region),
        TEST(test_mmio_across_a_page_is_split),
        TEST(test_mmio_across_pages_faults_before_anything_is_done),
        TEST(test_mmio_of_another_instruction_is_checked_anew),
        TEST(test_mmio_bit_string),
        TEST(test_mmio_in_64_bit_mode_uses_the_base_of_gs_only),
        TEST(test_mmio_with_esp),
        TEST(test_mmio_narrow_and_unaligned_accesses),
        TEST(test_mmio_outside_devices_is_unclaimed),
        TEST(test_mmio_64_bit_mode_uses_its_registers),
        TEST(test_mmio_fetch_is_undefined_opcode),
        TEST(test_undecodable_is_ud_with_limited_log),
        TEST(test_instruction_at_the_end_of_mapped_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
