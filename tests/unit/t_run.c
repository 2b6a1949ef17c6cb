/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Life of a VM and the way of an interrupt, on the fake processor; and a hostile guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "guest/acpi_tables.h"
#include "guest/console.h"
#include "guest/gmem.h"
#include "guest/platform.h"
#include "guest/port.h"
#include "guest/run.h"
#include "lib/compiler.h"
#include "lib/time.h"
#include "tests/fake/small_vm.h"

#define HOSTILE_EXITS 200000u
#define MS            1000000u /* ticks of the small VM's clock */

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];

static struct vcpu_exit kind(enum exit_kind k)
{
    struct vcpu_exit x = {.kind = k};

    return x;
}

/* Run one exit of a kind that says nothing more; true: the guest went on. */
static bool run_kind(enum exit_kind k)
{
    struct vcpu_exit x = kind(k);

    return small_vm_exit(&x);
}

/* --- life ------------------------------------------------------------------------------------- */

static void test_power_on_starts_flat_image_at_entry(void **state)
{
    uint8_t byte;

    (void)state;
    assert_int_equal(vcpu_fake.resets, 1);
    assert_int_equal(vcpu_fake.start.mode, START_PROTECTED32);
    assert_int_equal(vcpu_fake.start.rip, SMALL_VM_ENTRY);
    assert_true(gmem_read(vm, SMALL_VM_ENTRY, &byte, 1));
    assert_int_equal(byte, 0xf4);
    /* Guest TSC = host TSC + offset = VM time: 0 at power-on. */
    assert_int_equal(cpu->arch.tsc_offset + vm->tsc_start, 0);
}

static void test_acpi_s5_powers_off(void **state)
{
    (void)state;
    small_vm_out(0x604, 2, 5u << 10 | 1u << 13); /* PM1_CNT: SLP_TYP 5, SLP_EN */
    assert_int_equal(vm->wish, WISH_POWER_OFF);
    assert_false(vcpu_fake.over);
}

static void test_vm_run_ends_after_power_off(void **state)
{
    struct vcpu_exit x = kind(EXIT_PIO);

    (void)state;
    x.u.pio.port = 0x604;
    x.u.pio.size = 2;
    x.u.pio.in = false;
    vcpu_fake_rewind();
    cpu->arch.gpr[RAX] = 0;
    vcpu_fake_add(&x);
    /* vm_run resets the registers: RAX is 0, SLP_EN is not set; the script's end stops it. */
    vm_run(vm, 0, 0);
    assert_int_equal(vm->state, VM_CRASHED);
    assert_true(vm_all_ended());
    assert_int_equal(small_vm_logged("guest g: stopped: triple fault"), 1);
    assert_string_equal(vm_state_name(vm), "crashed");
}

static bool out_each_life(struct vcpu_arch *a, struct vcpu_exit *x)
{
    *x = kind(EXIT_PIO);
    x->u.pio.size = 1;
    x->u.pio.in = false;
    x->u.pio.port = vcpu_fake.resets < 3 ? 0xcf9 : 0xf4;
    a->gpr[RAX] = vcpu_fake.resets < 3 ? 0x06 : 42;
    return true;
}

static void test_cf9_resets_into_clean_memory_until_exit_status(void **state)
{
    uint8_t dirt = 0x55;

    (void)state;
    assert_true(gmem_write(vm, 0x9000, &dirt, 1));
    vcpu_fake.resets = 0;
    vcpu_fake.source = out_each_life;
    vm_run(vm, 0, 0);
    assert_int_equal(vcpu_fake.resets, 3);
    assert_int_equal(vm->resets, 2);
    assert_int_equal(vm->state, VM_POWERED_OFF);
    assert_true(vm->has_exit_status);
    assert_int_equal(vm->exit_status, 42);
    assert_true(gmem_read(vm, 0x9000, &dirt, 1));
    assert_int_equal(dirt, 0);
    assert_int_equal(small_vm_logged("guest g: reset\r\n"), 2);
    assert_int_equal(small_vm_logged("guest g: exit status 42\r\n"), 1);
    assert_int_equal(small_vm_logged("guest g: powered off, core "), 1);
}

static void test_rtc_keeps_memory_over_reset(void **state)
{
    (void)state;
    small_vm_out(0x70, 1, 0x40);
    small_vm_out(0x71, 1, 0xa7);
    platform_reset(vm);
    small_vm_out(0x70, 1, 0x40);
    assert_int_equal(small_vm_in(0x71, 1), 0xa7);
}

static void test_debug_exit_needs_permission(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    small_vm_config.exit_port = 0;
    small_vm_out(0xf4, 4, 7);
    assert_true(vcpu_fake.over);
    assert_false(vm->has_exit_status);
    assert_int_equal(vm->unclaimed_io, unclaimed + 1);
    small_vm_config.exit_port = 0xf4;
    small_vm_out(0xf4, 4, 0x12345678);
    assert_false(vcpu_fake.over);
    assert_int_equal(vm->wish, WISH_POWER_OFF);
    assert_int_equal(vm->exit_status, 0x12345678);
}

static void test_reset_by_8042_and_port_92(void **state)
{
    (void)state;
    small_vm_out(0x64, 1, 0xfe);
    assert_int_equal(vm->wish, WISH_RESET);
    platform_reset(vm);
    small_vm_out(0x92, 1, 0x01);
    assert_int_equal(vm->wish, WISH_RESET);
}

static void test_what_cannot_go_on_stops_the_guest_with_record(void **state)
{
    static const enum exit_kind ends[] = {EXIT_TRIPLE_FAULT, EXIT_ENTRY_FAILED, EXIT_UNKNOWN};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
        unsigned prints = vcpu_fake.prints;

        host_fake.tsc += SMALL_VM_TSC_HZ; /* one record a second */
        assert_false(run_kind(ends[i]));
        assert_int_equal(vm->wish, WISH_CRASH);
        assert_int_equal(vcpu_fake.prints, prints + 1);
    }
    assert_int_equal(small_vm_logged("guest g: stopped: triple fault"), 1);
}

static void test_triple_fault_resets_a_pc_with_firmware(void **state)
{
    unsigned prints = vcpu_fake.prints;

    (void)state;
    small_vm_config.type = GUEST_FIRMWARE;
    assert_false(run_kind(EXIT_TRIPLE_FAULT));
    assert_int_equal(vm->wish, WISH_RESET);
    assert_int_equal(vcpu_fake.prints, prints);
    assert_int_equal(small_vm_logged("guest g: triple fault on core 1"), 1);
}

static void test_instructions_a_guest_does_not_have(void **state)
{
    (void)state;
    assert_true(run_kind(EXIT_VMCALL));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
    assert_true(run_kind(EXIT_VMX_INSN));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
    assert_true(run_kind(EXIT_RDPMC));
    small_vm_expect_gp();
    assert_int_equal(vcpu_fake.skips, 0);
    assert_true(run_kind(EXIT_NOP));
    small_vm_expect_none();
    assert_int_equal(vcpu_fake.skips, 1);
}

static void test_exits_are_counted_by_kind(void **state)
{
    uint64_t before = cpu->exits[EXIT_NOP];

    (void)state;
    (void)run_kind(EXIT_NOP);
    (void)run_kind(EXIT_NOP);
    assert_int_equal(cpu->exits[EXIT_NOP], before + 2);
}

/* --- host events ------------------------------------------------------------------------------ */

static void test_host_interrupt_and_nmi_reach_the_host(void **state)
{
    struct vcpu_exit x = kind(EXIT_HOST_IRQ);

    (void)state;
    x.u.vector = HOST_VECTOR_UART;
    assert_true(small_vm_exit(&x));
    assert_int_equal(host_fake.irqs, 1);
    assert_int_equal(host_fake.irq_vector, HOST_VECTOR_UART);
    assert_true(run_kind(EXIT_NMI));
    assert_int_equal(host_fake.nmis, 1);
    small_vm_expect_none();
}

static void test_keyboard_request_fills_uart(void **state)
{
    struct vcpu_exit x = kind(EXIT_HOST_IRQ);

    (void)state;
    x.u.vector = HOST_VECTOR_KICK;
    for (unsigned i = 0; i < 20; i++)
        assert_true(ring_put(&vm->console_rx, (uint8_t)('a' + i)));
    small_vm_out(0x3fa, 1, 0x01); /* FIFO on */
    while (small_vm_in(0x3fd, 1) & 1)
        (void)small_vm_in(0x3f8, 1);
    for (unsigned i = 0; i < 20; i++)
        (void)ring_put(&vm->console_rx, (uint8_t)('a' + i));
    atomic_store(&cpu->requests, REQUEST_CONSOLE_RX);
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->requests, 0);
    for (unsigned i = 0; i < 20; i++) { /* more than the FIFO: the rest follows */
        assert_int_equal(small_vm_in(0x3fd, 1) & 1, 1);
        assert_int_equal(small_vm_in(0x3f8, 1), 'a' + i);
    }
    assert_int_equal(small_vm_in(0x3fd, 1) & 1, 0);
}

static void test_uart_output_goes_to_console_and_waits_when_full(void **state)
{
    struct vcpu_exit x = kind(EXIT_HOST_IRQ);
    uint8_t byte;

    (void)state;
    small_vm_out(0x3f8, 1, 'x');
    assert_true(ring_take(&vm->console_tx, &byte));
    assert_int_equal(byte, 'x');
    while (ring_put(&vm->console_tx, '.'))
        ;
    small_vm_out(0x3f8, 1, 'y');
    assert_true(vm->console_blocked);
    assert_int_equal(small_vm_in(0x3fd, 1) & 0x60, 0); /* neither THRE nor TEMT */
    while (ring_take(&vm->console_tx, &byte))
        ;
    atomic_store(&cpu->requests, REQUEST_CONSOLE_TX);
    x.u.vector = HOST_VECTOR_KICK;
    assert_true(small_vm_exit(&x));
    assert_true(ring_take(&vm->console_tx, &byte));
    assert_int_equal(byte, 'y');
    assert_int_equal(small_vm_in(0x3fd, 1) & 0x60, 0x60);
}

/* --- interrupts ------------------------------------------------------------------------------- */

/* As a PC's BIOS: vectors 20H and 28H, all masked but `unmasked` (slave in the high byte). */
static void program_8259(uint16_t unmasked)
{
    small_vm_out(0x20, 1, 0x11);
    small_vm_out(0x21, 1, 0x20);
    small_vm_out(0x21, 1, 0x04);
    small_vm_out(0x21, 1, 0x01);
    small_vm_out(0xa0, 1, 0x11);
    small_vm_out(0xa1, 1, 0x28);
    small_vm_out(0xa1, 1, 0x02);
    small_vm_out(0xa1, 1, 0x01);
    small_vm_out(0x21, 1, (uint8_t)~unmasked);
    small_vm_out(0xa1, 1, (uint8_t)(~unmasked >> 8));
}

/* Counter 0, mode 2, `count` pulses of 1193182 Hz. */
static void program_8254(uint16_t count)
{
    small_vm_out(0x43, 1, 0x34);
    small_vm_out(0x40, 1, count & 0xff);
    small_vm_out(0x40, 1, count >> 8);
}

static void test_pit_interrupts_through_8259_as_extint(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932); /* 10 ms */
    small_vm_wait(9 * MS);
    small_vm_sti();
    small_vm_expect_none();
    small_vm_wait(2 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    small_vm_expect_none();
    small_vm_wait(10 * MS); /* no EOI yet: in service */
    small_vm_sti();
    small_vm_expect_none();
    small_vm_out(0x20, 1, 0x20);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

static void test_missed_pit_ticks_are_one_interrupt(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(1005 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    small_vm_out(0x20, 1, 0x20);
    small_vm_sti();
    small_vm_expect_none();
    small_vm_wait(10 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

/* A guest that reads the count (latch command) late, before the timer's exit has come. */
static void test_pit_access_after_edge_does_not_double_the_tick(void **state)
{
    struct vcpu_exit latch = kind(EXIT_PIO);

    (void)state;
    latch.u.pio.port = 0x43;
    latch.u.pio.size = 1;
    latch.u.pio.in = false;
    program_8259(0x0001);
    small_vm_out(0x43, 1, 0x36); /* mode 3: high for 5 ms, low for 5 ms */
    small_vm_out(0x40, 1, 11932 & 0xff);
    small_vm_out(0x40, 1, 11932 >> 8);
    host_fake.tsc += 7 * MS;
    cpu->arch.gpr[RAX] = 0;
    assert_true(small_vm_exit(&latch)); /* OUT is low */
    host_fake.tsc += 4 * MS;            /* OUT has risen */
    assert_int_equal(vcpu_handle_out(&cpu->arch, 0x43, 1), RESUME_NEXT);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    vcpu_prepare_entry(&cpu->arch);
    small_vm_run();
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    small_vm_out(0x20, 1, 0x20);
    small_vm_sti();
    small_vm_expect_none();
}

static void test_window_is_asked_for_while_interrupts_are_off(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    small_vm_wait(11 * MS);
    small_vm_expect_none();
    assert_true(vcpu_fake.irq_window);
    uint64_t windows = cpu->exits[EXIT_IRQ_WINDOW];

    small_vm_sti();
    assert_int_equal(cpu->exits[EXIT_IRQ_WINDOW], windows + 1);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    assert_false(vcpu_fake.irq_window);
}

static void test_window_is_given_up_when_the_request_goes(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    small_vm_wait(11 * MS);
    assert_true(vcpu_fake.irq_window);
    small_vm_out(0x21, 1, 0xff); /* masked */
    small_vm_sti();
    small_vm_expect_none();
    assert_false(vcpu_fake.irq_window);
}

static void test_sti_shadow_delays_interrupt(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    vcpu_fake.sti_blocking = true;
    small_vm_wait(11 * MS);
    small_vm_expect_none();
    assert_true(vcpu_fake.irq_window);
    assert_true(run_kind(EXIT_NOP)); /* the next instruction ends the shadow */
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

static void test_exception_goes_before_interrupt(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    struct vcpu_exit x = kind(EXIT_RDPMC);

    host_fake.tsc += 11 * MS;
    platform_advance(cpu);
    assert_int_equal(vcpu_handle_exit(&cpu->arch, &x), RESUME);
    small_vm_run();
    small_vm_expect_gp();
    small_vm_expect(EVENT_EXTERNAL, 0x20); /* IF is still 1: the fake's #GP handler left it */
}

static void test_nmi_goes_before_interrupt_and_blocks_nmi(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    cpu->nmi_pending = true;
    small_vm_wait(11 * MS);
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
    small_vm_expect_none();
    cpu->nmi_pending = true;
    cpu->arch.attention = ATTEND_ALL;
    small_vm_run();
    small_vm_expect_none();
    assert_true(vcpu_fake.nmi_window);
    vcpu_fake.nmi_blocking = false; /* IRET */
    small_vm_sti();
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
    assert_false(vcpu_fake.nmi_window);
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

/* #AC and #DB exit on their way; what they interrupted has been acknowledged and must come again.
 */
static void test_exception_seen_on_its_way_brings_back_what_it_interrupted(void **state)
{
    struct vcpu_exit x = kind(EXIT_EXCEPTION);

    (void)state;
    x.u.exception.vector = VECTOR_AC;
    x.u.exception.lost_nmi = false;
    x.u.exception.lost_irq = true;
    x.u.exception.lost_vector = 0x77;
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_AC);
    small_vm_expect_none();
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x77);
    small_vm_expect_none();

    x.u.exception.vector = VECTOR_DB;
    x.u.exception.lost_irq = false;
    x.u.exception.lost_nmi = true;
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_DB);
    small_vm_run();
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
    small_vm_expect_none();
}

static void enable_lapic(void)
{
    small_vm_mmio_write(0xfee000f0, 0x1ff);
    assert_int_equal(small_vm_mmio_read(0xfee000f0), 0x1ff);
}

static void test_deadline_beyond_the_end_of_time_never_comes(void **state)
{
    (void)state;
    enable_lapic();
    small_vm_out(0x43, 1, 0x30); /* the 8254's mode 0 without a count: no deadline of its own */
    small_vm_mmio_write(0xfee00320, 0x40033); /* LVT timer: TSC-deadline */
    assert_true(small_vm_wrmsr(MSR_TSC_DEADLINE, UINT64_MAX - 1));
    assert_true(vms[0].tsc_start > 1); /* or nothing could wrap */
    assert_true(cpu->arch.armed_deadline > UINT64_MAX / 2);
}

static void test_ipi_to_itself_nmi_reaches_the_processor(void **state)
{
    (void)state;
    enable_lapic();
    small_vm_mmio_write(0xfee00310, 0); /* physical destination 0 */
    small_vm_mmio_write(0xfee00300, 0x00004400);
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
}

static void test_masked_lint0_holds_8259_back(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_mmio_write(0xfee00350, 0x00010700); /* LINT0: ExtINT, masked */
    small_vm_wait(11 * MS);
    small_vm_expect_none();
    small_vm_mmio_write(0xfee00350, 0x00000700);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

static void ioapic_write_reg(unsigned reg, uint32_t value)
{
    small_vm_mmio_write(0xfec00000, reg);
    small_vm_mmio_write(0xfec00010, value);
}

static uint32_t ioapic_read_reg(unsigned reg)
{
    small_vm_mmio_write(0xfec00000, reg);
    return small_vm_mmio_read(0xfec00010);
}

/* The SCI: PM timer's highest bit changes, level, pin 9. */
static void raise_sci(void)
{
    small_vm_out(0x602, 2, 0x0001); /* TMR_EN */
    small_vm_wait((1ull << 31) * 1000000000ull / 3579545 + MS);
    assert_int_equal(small_vm_in(0x600, 2) & 1, 1);
}

static void test_level_interrupt_repeats_until_its_cause_is_gone(void **state)
{
    (void)state;
    enable_lapic();
    ioapic_write_reg(0x10 + 2 * 9 + 1, 0);
    ioapic_write_reg(0x10 + 2 * 9, 0x00008050); /* level, vector 50H */
    raise_sci();
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x50);
    small_vm_expect_none();
    assert_int_equal(ioapic_read_reg(0x10 + 2 * 9) & 0x4000, 0x4000); /* remote IRR */
    small_vm_sti();
    small_vm_expect_none();
    small_vm_mmio_write(0xfee000b0, 0); /* EOI while the line is still high */
    small_vm_expect(EVENT_EXTERNAL, 0x50);
    small_vm_out(0x600, 2, 0x0001); /* the cause goes */
    small_vm_mmio_write(0xfee000b0, 0);
    small_vm_sti();
    small_vm_expect_none();
    assert_int_equal(ioapic_read_reg(0x10 + 2 * 9) & 0x4000, 0);
}

static void test_pit_reaches_ioapic_pin_2(void **state)
{
    (void)state;
    enable_lapic();
    ioapic_write_reg(0x10 + 2 * 2 + 1, 0);
    ioapic_write_reg(0x10 + 2 * 2, 0x31);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(11 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x31);
    small_vm_mmio_write(0xfee000b0, 0);
    small_vm_sti();
    small_vm_wait(10 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x31);
}

static void test_ioapic_pin_in_extint_mode_takes_vector_of_8259(void **state)
{
    (void)state;
    enable_lapic();
    program_8259(0x0001);
    small_vm_mmio_write(0xfee00350, 0x00010000); /* LINT0 masked */
    ioapic_write_reg(0x10 + 2 * 2 + 1, 0);
    ioapic_write_reg(0x10 + 2 * 2, 0x700);
    program_8254(11932);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(11 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    ioapic_write_reg(0x10 + 2 * 2, 0x10700); /* masked: one message was one vector */
    small_vm_out(0x20, 1, 0x20);
    small_vm_sti();
    small_vm_wait(10 * MS);
    small_vm_expect_none();
}

/* --- HPET ------------------------------------------------------------------------------------- */

#define HPET 0xfed00000ull

static void start_hpet(uint32_t config, uint32_t timer0)
{
    small_vm_config.hpet = true;
    small_vm_mmio_write(HPET + 0x108, 143182); /* 10 ms */
    small_vm_mmio_write(HPET + 0x10c, 0);
    small_vm_mmio_write(HPET + 0x100, timer0);
    small_vm_mmio_write(HPET + 0x010, config);
}

static void test_hpet_is_there_if_the_config_says_so(void **state)
{
    uint64_t unclaimed = vm->unclaimed_io;

    (void)state;
    assert_int_equal(small_vm_mmio_read(HPET + 4), 0xffffffff);
    small_vm_mmio_write(HPET + 0x10, 1);
    assert_int_equal(vm->unclaimed_io, unclaimed + 2);
    small_vm_config.hpet = true;
    assert_int_equal(small_vm_mmio_read(HPET + 4), 69841279);
    small_vm_mmio_write(HPET + 0x10, 1);
    small_vm_wait(1000 * MS);
    assert_in_range(small_vm_mmio_read(HPET + 0xf0), 14318180, 14318190);
}

static void test_hpet_edge_interrupt_at_an_ioapic_pin(void **state)
{
    (void)state;
    enable_lapic();
    ioapic_write_reg(0x10 + 2 * 22 + 1, 0);
    ioapic_write_reg(0x10 + 2 * 22, 0x52);
    start_hpet(1, 22u << 9 | 0x4);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(9 * MS);
    small_vm_expect_none();
    small_vm_wait(2 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x52);
    small_vm_mmio_write(0xfee000b0, 0);
    small_vm_sti();
    small_vm_expect_none();
}

static void test_hpet_level_interrupt_stays_until_it_is_cleared(void **state)
{
    (void)state;
    enable_lapic();
    ioapic_write_reg(0x10 + 2 * 20 + 1, 0);
    ioapic_write_reg(0x10 + 2 * 20, 0x8053);
    start_hpet(1, 20u << 9 | 0x6);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(11 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x53);
    small_vm_mmio_write(0xfee000b0, 0);
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x53);
    small_vm_mmio_write(HPET + 0x20, 1);
    small_vm_mmio_write(0xfee000b0, 0);
    small_vm_sti();
    small_vm_expect_none();
}

/* HPET 1.0a, 2.3.5: with legacy replacement IRQ 0 is timer 0's, and the 8254 has none. */
static void test_hpet_legacy_replacement(void **state)
{
    (void)state;
    program_8259(0x0001);
    program_8254(1193); /* 1 ms */
    start_hpet(3, 0x4);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(9 * MS);
    small_vm_expect_none();
    small_vm_wait(2 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    small_vm_out(0x20, 1, 0x20);
    small_vm_wait(5 * MS);
    small_vm_sti();
    small_vm_expect_none();
    small_vm_mmio_write(HPET + 0x010, 1); /* back to the 8254 */
    small_vm_wait(2 * MS);
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

static void test_hpet_legacy_level_and_rtc(void **state)
{
    (void)state;
    program_8259(0x0105);
    small_vm_out(0x70, 1, 0x0b);
    small_vm_out(0x71, 1, 0x42); /* RTC: periodic interrupt */
    start_hpet(3, 0x6);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(11 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x20);
    small_vm_out(0x20, 1, 0x20);
    small_vm_sti();
    small_vm_expect_none();      /* an edge to the 8259, and nothing of the RTC */
    small_vm_out(0x21, 1, 0xfb); /* not the 8254's */
    small_vm_mmio_write(HPET + 0x20, 1);
    small_vm_mmio_write(HPET + 0x010, 0);
    small_vm_wait(2 * MS);
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x28);
}

static void test_hpet_read_lets_what_is_due_out_first(void **state)
{
    (void)state;
    program_8259(0x0001);
    start_hpet(3, 0x6);
    host_fake.tsc += 11 * MS;
    assert_int_equal(small_vm_mmio_read(HPET + 0x20), 1);
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x20);
}

/* 8259A data sheet, "Interrupt Sequence": without a request INTA is answered with level 7. */
static void test_ioapic_pin_in_extint_mode_without_request_is_spurious(void **state)
{
    (void)state;
    enable_lapic();
    program_8259(0x0000);                        /* all masked */
    small_vm_mmio_write(0xfee00350, 0x00010000); /* LINT0 masked */
    ioapic_write_reg(0x10 + 2 * 4 + 1, 0);
    ioapic_write_reg(0x10 + 2 * 4, 0x700);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_out(0x3fc, 1, 0x0b);
    small_vm_out(0x3f9, 1, 0x02); /* THRE interrupt: pin 4 rises */
    small_vm_expect(EVENT_EXTERNAL, 0x27);
    small_vm_sti();
    small_vm_expect_none();
}

static void test_uart_interrupt_is_irq4(void **state)
{
    (void)state;
    program_8259(0x0010);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_out(0x3fc, 1, 0x0b);
    small_vm_out(0x3f9, 1, 0x02); /* THRE interrupt: the transmitter is empty */
    small_vm_expect(EVENT_EXTERNAL, 0x24);
}

static void test_rtc_interrupt_is_irq8(void **state)
{
    (void)state;
    program_8259(0x0104);
    small_vm_out(0x70, 1, 0x0b);
    small_vm_out(0x71, 1, 0x12); /* update-ended interrupt, 24 hours */
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_wait(2000 * MS);
    small_vm_expect(EVENT_EXTERNAL, 0x28);
    small_vm_out(0x70, 1, 0x0c);
    assert_int_equal(small_vm_in(0x71, 1) & 0x90, 0x90);
}

static void test_lapic_timer_interrupts_at_its_deadline(void **state)
{
    (void)state;
    enable_lapic();
    small_vm_mmio_write(0xfee003e0, 0x0b); /* divide by 1 */
    small_vm_mmio_write(0xfee00320, 0x40); /* one-shot, vector 40H */
    small_vm_mmio_write(0xfee00380, 5 * MS);
    vcpu_fake.state.rflags |= RFLAGS_IF;
    assert_int_equal(cpu->arch.armed_deadline, host_fake.tsc + 5 * MS);
    small_vm_wait(5 * MS - 1);
    small_vm_expect_none();
    small_vm_wait(1);
    small_vm_expect(EVENT_EXTERNAL, 0x40);
}

/* The local APIC's error interrupt, by a read of no register and by an IPI to itself with a vector
 * that is none. */
static void test_lapic_error_interrupts_at_once(void **state)
{
    (void)state;
    enable_lapic();
    small_vm_mmio_write(0xfee00370, 0x50); /* LVT error */
    vcpu_fake.state.rflags |= RFLAGS_IF;
    (void)small_vm_mmio_read(0xfee00000);
    small_vm_wait(MS);
    small_vm_expect(EVENT_EXTERNAL, 0x50);
    small_vm_mmio_write(0xfee000b0, 0);
    small_vm_mmio_write(0xfee00280, 0); /* ESR: armed again */
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_mmio_write(0xfee00300, 0x00044005);
    small_vm_wait(MS);
    small_vm_expect(EVENT_EXTERNAL, 0x50);
}

/* The timer's deadline passes while the exit by IN is under way. */
static void test_sci_survives_a_status_read(void **state)
{
    (void)state;
    small_vm_out(0x602, 2, 1); /* TMR_EN */
    host_fake.tsc = vm->tsc_start + acpi_pm_deadline(&vm->pm) + 9;
    assert_int_equal(port_read(cpu, 0x600, 2) & 1, 1);
    platform_advance(cpu);
    assert_true(acpi_pm_sci(&vm->pm));
    assert_int_equal(vm->irq_levels >> ACPI_SCI_GSI & 1, 1);
}

/* --- hostile ---------------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* A number that is often a small, well-known or extreme one. */
static uint64_t some(void)
{
    static const uint64_t liked[] = {
        0,          1,
        2,          0xff,
        0xffff,     0xffffffff,
        ~0ull,      1ull << 63,
        0xfec00000, 0xfec00010,
        0xfee00000, 0xfee000b0,
        0xfee00300, 0xfee00320,
        0xfee00380, 0xfffff000,
        0x400000,   0x3fffff,
        1ull << 47, 0x1000,
        0x8000,     0x6e0,
        0x10,       0x1b,
        0x802,      0x80f,
        0x830,      0x838,
        0x2ff,      0x20f,
        0xd,        0xfee00ffd,
        0xfee00fff, 0xfffffffffffffffc,
    };

    switch (rnd() % 4) {
    case 0: return liked[rnd() % ARRAY_LEN(liked)];
    case 1: return rnd() % 4096;
    case 2: return 1ull << rnd() % 64;
    default: return rnd();
    }
}

static uint16_t some_port(void)
{
    static const uint16_t bases[] = {0x20, 0x40, 0x60, 0x70, 0xa0, 0x3f8, 0x4d0, 0x600, 0xcf8};

    return rnd() % 8 == 0 ? (uint16_t)rnd()
                          : (uint16_t)(bases[rnd() % ARRAY_LEN(bases)] + rnd() % 16 - 2);
}

static uint64_t some_gpa(void)
{
    static const uint64_t pages[] = {0xfec00000, 0xfee00000};

    return rnd() % 4 == 0 ? some() : pages[rnd() % 2] + rnd() % 4096;
}

static void random_registers(struct vcpu_arch *a)
{
    struct vcpu_state *s = &vcpu_fake.state;

    for (unsigned i = 0; i < GPR_COUNT; i++)
        a->gpr[i] = some();
    s->rip = rnd() % 4 ? SMALL_VM_CODE + rnd() % 64 : some();
    s->rsp = some();
    s->rflags = (rnd() & 0x40fd5) | RFLAGS_FIXED | (rnd() % 2 ? RFLAGS_IF : 0);
    s->cr3 = rnd() % 2 ? 0x1000 * (rnd() % 8) : some();
    s->cr0 = CR0_PE | (rnd() % 4 == 0 ? CR0_PG : 0) | (rnd() % 2 ? CR0_WP : 0);
    s->cr4 = rnd() & vcpu_fake.cr4_allowed;
    s->efer = rnd() % 2 ? EFER_NXE : 0;
    if ((s->cr0 & CR0_PG) != 0 && (s->cr4 & CR4_PAE) != 0 && rnd() % 2)
        s->efer |= EFER_LME | EFER_LMA;
    s->cs_base = rnd() % 8 ? 0 : some();
    s->cs_access = (uint32_t)rnd() & 0xf0ff;
    s->cpl = (uint8_t)(rnd() % 4);
    vcpu_fake.sti_blocking = rnd() % 8 == 0;
    vcpu_fake.nmi_blocking = rnd() % 8 == 0;
}

/* Opcodes that decode, some of the time. */
static void random_code(uint64_t gpa)
{
    static const uint8_t opcodes[] = {0x88, 0x89, 0x8a, 0x8b, 0xc6, 0xc7, 0x86, 0x87, 0xaa, 0xab,
                                      0x01, 0x03, 0x80, 0x81, 0x83, 0x84, 0xf6, 0xf7, 0x0f, 0xa1,
                                      0xa4, 0xa5, 0xa6, 0xac, 0xaf, 0xf3, 0xc1, 0xd3, 0xfe, 0xb1};
    uint8_t code[32];

    for (unsigned i = 0; i < sizeof(code); i++)
        code[i] = rnd() % 2 ? (uint8_t)rnd() : opcodes[rnd() % ARRAY_LEN(opcodes)];
    assert_true(gmem_write(vm, gpa, code, rnd() % sizeof(code)));
}

static void random_entries(void)
{
    uint64_t entry[64];

    for (unsigned i = 0; i < ARRAY_LEN(entry); i++)
        entry[i] = (rnd() % 8 << 12 | (rnd() & 0xfff)) ^ (rnd() % 16 ? 0 : rnd());
    assert_true(gmem_write(vm, rnd() % 8 << 12 | (rnd() & 0xff8), entry, sizeof(entry)));
}

static void random_exit(struct vcpu_exit *x)
{
    static const uint8_t sizes[] = {1, 2, 4};
    static const uint8_t numbers[] = {0, 3, 4, 8};

    x->kind = (enum exit_kind)(rnd() % EXIT_KIND_COUNT);
    if (rnd() % 2)
        x->kind = rnd() % 2 ? EXIT_PIO : rnd() % 16 ? EXIT_MMIO : EXIT_FETCH;
    if (x->kind == EXIT_MACHINE_CHECK) /* no guest can cause one, and it ends the machine */
        x->kind = EXIT_EXCEPTION;
    if (x->kind == EXIT_PIO || x->kind == EXIT_PIO_STRING) {
        x->u.pio.port = some_port();
        x->u.pio.size = sizes[rnd() % 3];
        x->u.pio.in = rnd() % 2;
        x->u.pio.rep = rnd() % 2;
        x->u.pio.address_size = (uint8_t)(2u << rnd() % 3);
        x->u.pio.segment = rnd() % 6;
        cpu->arch.gpr[RDX] = x->u.pio.port;
        cpu->arch.gpr[RSI] = rnd() % 2 ? rnd() % SMALL_VM_MEMORY : some();
        cpu->arch.gpr[RDI] = rnd() % 2 ? rnd() % SMALL_VM_MEMORY : some();
    } else if (x->kind == EXIT_MMIO) {
        x->u.mmio.gpa = some_gpa();
        x->u.mmio.write = rnd() % 2;
    } else if (x->kind == EXIT_TASK_SWITCH) {
        x->u.task.selector = (uint16_t)rnd();
        x->u.task.source = rnd() % 4;
        x->u.task.length = rnd() % 16;
        x->u.task.external = rnd() % 2;
        x->u.task.has_error = rnd() % 2;
        x->u.task.error = (uint32_t)rnd();
        vcpu_fake.segment[SEGMENT_GDTR].base = rnd() % 4 ? rnd() % SMALL_VM_MEMORY : some();
        vcpu_fake.segment[SEGMENT_GDTR].limit = 0xffff;
        vcpu_fake.segment[SEGMENT_TR].base = rnd() % SMALL_VM_MEMORY;
    } else if (x->kind == EXIT_EXCEPTION) {
        x->u.exception.vector = rnd() % 2 ? VECTOR_DB : VECTOR_AC;
        x->u.exception.lost_nmi = rnd() % 4 == 0;
        x->u.exception.lost_irq = rnd() % 4 == 0;
        x->u.exception.lost_vector = (uint8_t)(16 + rnd() % 240);
    } else if (x->kind == EXIT_CR) {
        x->u.cr.number = numbers[rnd() % 4];
        x->u.cr.gpr = (uint8_t)(rnd() % GPR_COUNT);
        x->u.cr.read = rnd() % 4 == 0;
    } else if (x->kind == EXIT_HOST_IRQ) {
        x->u.vector = (uint8_t)rnd();
        atomic_store(&cpu->requests, (unsigned)rnd());
    }
}

/* Nothing that waits is forgotten: each has a window, or an event goes before it. */
static void check_waiting(const struct vcpu *v)
{
    const struct lapic *l = &v->lapic;

    assert_int_equal(vm->wish, WISH_RUN);
    assert_true(!v->nmi_pending || vcpu_fake.nmi_window);
    assert_true(!platform_extint_waiting(v) || vcpu_fake.irq_window);
    if (vcpu_delivers_irqs(&v->arch)) {
        assert_int_equal(vcpu_fake.rvi, lapic_highest_irr(l));
        assert_int_equal(vcpu_fake.svi, lapic_highest_isr(l));
    } else {
        assert_true(lapic_pending(l) < 0 || vcpu_fake.irq_window);
        assert_int_equal(v->arch.tpr_threshold, lapic_tpr_threshold(l));
    }
}

static uint64_t first_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The timer is armed for the first deadline there is. */
static void check_deadlines(const struct vcpu *v)
{
    uint64_t devices = first_of(i8254_deadline(&vm->i8254), mc146818_deadline(&vm->rtc));
    uint64_t next;

    devices = first_of(devices, ns16550_deadline(&vm->uart));
    devices = first_of(devices, acpi_pm_deadline(&vm->pm));
    devices = first_of(devices, hpet_deadline(&vm->hpet));
    devices = first_of(devices, watchdog_deadline(&vm->watchdog));
    assert_true(vm->device_deadline == devices);
    next = first_of(devices, lapic_deadline(&v->lapic));
    assert_true(v->arch.armed_deadline ==
                (next > TIME_NEVER - vm->tsc_start ? TIME_NEVER : next + vm->tsc_start));
}

static bool line(unsigned irq)
{
    return (vm->irq_levels >> irq & 1) != 0;
}

/* Lines are as the chips have them, unless a deadline that is due will still change them. */
static void check_lines(void)
{
    bool due = vm->device_deadline <= host_fake.tsc - vm->tsc_start;

    assert_int_equal(line(4), ns16550_irq(&vm->uart));
    assert_true(due || line(ACPI_SCI_GSI) == acpi_pm_sci(&vm->pm));
    assert_true(due || hpet_legacy(&vm->hpet) || line(8) == mc146818_irq(&vm->rtc));
    assert_int_equal(vm->intr, i8259_intr(&vm->i8259));
}

/* What every entry that has nothing to look at relies on. */
static void check_entry(struct vcpu_arch *a)
{
    if (a->attention != 0)
        return;
    check_waiting(vcpu_of(a));
    check_deadlines(vcpu_of(a));
    check_lines();
}

static unsigned hostile_left;

static bool hostile_exit(struct vcpu_arch *a, struct vcpu_exit *x)
{
    uint8_t byte;

    assert_true(small_vm_ok());
    if (hostile_left-- == 0)
        return false;
    host_fake.tsc += rnd() % 8 ? rnd() % 100000 : rnd() % 10000000000;
    random_registers(a);
    random_code(SMALL_VM_CODE);
    if (rnd() % 16 == 0)
        random_entries();
    (void)ring_put(&vm->console_rx, (uint8_t)rnd());
    while (rnd() % 64 == 0 && ring_take(&vm->console_tx, &byte))
        ;
    random_exit(x);
    return true;
}

static void be_hostile(uint32_t apicv)
{
    unsigned lives = 0;
    uint64_t all = 0;

    cpu->arch.apicv = apicv;
    seed = 0x9e3779b97f4a7c15;
    vcpu_fake.check = check_entry;
    hostile_left = HOSTILE_EXITS;
    vcpu_fake_rewind();
    vcpu_fake.source = hostile_exit;
    do {
        vcpu_fake.events = 0;
        vm->wish = WISH_RUN;
        vcpu_loop(cpu);
        if (++lives % 64 == 0) {
            platform_reset(vm);
            cpu->tsc_skew = 0;
            vcpu_set_windows(&cpu->arch, 0); /* as the VMCS is after a reset */
            vcpu_set_tpr_threshold(&cpu->arch, 0);
            platform_advance(cpu);
            vm->logged = 0;
            vcpu_fake_rewind();
            vcpu_fake.source = hostile_exit;
            host_fake_clear_text();
        }
    } while (hostile_left < HOSTILE_EXITS);
    for (unsigned i = 0; i < EXIT_KIND_COUNT; i++)
        all += cpu->exits[i];
    assert_true(all > HOSTILE_EXITS);
    assert_true(lives > 100);
    assert_true(cpu->exits[EXIT_DEADLINE] > 1000);
    assert_true(cpu->exits[EXIT_IRQ_WINDOW] > 100);
}

static void test_hostile_guest_harms_only_itself(void **state)
{
    (void)state;
    be_hostile(0);
}

static void test_hostile_guest_where_the_hardware_delivers(void **state)
{
    (void)state;
    be_hostile(APICV_TPR_SHADOW | APICV_VIRTUAL_INTERRUPTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, small_vm_setup)
        TEST(test_power_on_starts_flat_image_at_entry),
        TEST(test_acpi_s5_powers_off),
        TEST(test_vm_run_ends_after_power_off),
        TEST(test_cf9_resets_into_clean_memory_until_exit_status),
        TEST(test_rtc_keeps_memory_over_reset),
        TEST(test_debug_exit_needs_permission),
        TEST(test_reset_by_8042_and_port_92),
        TEST(test_what_cannot_go_on_stops_the_guest_with_record),
        TEST(test_triple_fault_resets_a_pc_with_firmware),
        TEST(test_instructions_a_guest_does_not_have),
        TEST(test_exits_are_counted_by_kind),
        TEST(test_host_interrupt_and_nmi_reach_the_host),
        TEST(test_keyboard_request_fills_uart),
        TEST(test_uart_output_goes_to_console_and_waits_when_full),
        TEST(test_pit_interrupts_through_8259_as_extint),
        TEST(test_missed_pit_ticks_are_one_interrupt),
        TEST(test_pit_access_after_edge_does_not_double_the_tick),
        TEST(test_window_is_asked_for_while_interrupts_are_off),
        TEST(test_window_is_given_up_when_the_request_goes),
        TEST(test_sti_shadow_delays_interrupt),
        TEST(test_exception_goes_before_interrupt),
        TEST(test_nmi_goes_before_interrupt_and_blocks_nmi),
        TEST(test_exception_seen_on_its_way_brings_back_what_it_interrupted),
        TEST(test_deadline_beyond_the_end_of_time_never_comes),
        TEST(test_ipi_to_itself_nmi_reaches_the_processor),
        TEST(test_masked_lint0_holds_8259_back),
        TEST(test_level_interrupt_repeats_until_its_cause_is_gone),
        TEST(test_pit_reaches_ioapic_pin_2),
        TEST(test_ioapic_pin_in_extint_mode_takes_vector_of_8259),
        TEST(test_ioapic_pin_in_extint_mode_without_request_is_spurious),
        TEST(test_hpet_is_there_if_the_config_says_so),
        TEST(test_hpet_edge_interrupt_at_an_ioapic_pin),
        TEST(test_hpet_level_interrupt_stays_until_it_is_cleared),
        TEST(test_hpet_legacy_replacement),
        TEST(test_hpet_legacy_level_and_rtc),
        TEST(test_hpet_read_lets_what_is_due_out_first),
        TEST(test_uart_interrupt_is_irq4),
        TEST(test_rtc_interrupt_is_irq8),
        TEST(test_lapic_timer_interrupts_at_its_deadline),
        TEST(test_lapic_error_interrupts_at_once),
        TEST(test_sci_survives_a_status_read),
        TEST(test_hostile_guest_harms_only_itself),
        TEST(test_hostile_guest_where_the_hardware_delivers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
