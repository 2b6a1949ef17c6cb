/* unit: guest/run.c guest/exit.c guest/exit_cpu.c guest/exit_io.c guest/exit_mmio.c guest/intr.c
 * guest/platform.c guest/ipi.c guest/request.c guest/msr.c guest/linear.c guest/gva.c guest/gmem.c guest/load.c guest/vm.c guest/console.c
 * guest/load_linux.c guest/acpi_tables.c guest/firmware.c devices/fw_cfg.c devices/hpet.c devices/acpi_pm.c
 * devices/i8254.c devices/i8259.c
 * devices/ioapic.c devices/lapic.c devices/mc146818.c devices/ns16550.c devices/pci_host.c
 * devices/reset_ports.c arch/x86/insn.c lib/err.c lib/fmt.c lib/log.c mm/pages.c mm/ept.c mm/pt.c
 * tests/fake/cpuid_fake.c tests/fake/host_fake.c tests/fake/phys_fake.c tests/fake/small_vm.c
 * tests/fake/vcpu_fake.c */
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

#include "arch/x86/regs.h"
#include "guest/gmem.h"
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

static struct vcpu_exit string(uint16_t port, uint8_t size, bool in, bool rep, uint64_t gva)
{
    struct vcpu_exit x = {.kind = EXIT_PIO_STRING};

    x.u.pio.port = port;
    x.u.pio.size = size;
    x.u.pio.in = in;
    x.u.pio.rep = rep;
    x.u.pio.address_size = 4;
    x.u.pio.gva = gva;
    return x;
}

static uint32_t memory32(uint64_t gpa)
{
    uint32_t value;

    assert_true(gmem_read(vm, gpa, &value, sizeof(value)));
    return value;
}

static void test_rep_outsb_sends_item_by_item(void **state)
{
    unsigned skips = vcpu_fake.skips;
    uint8_t byte;

    (void)state;
    assert_true(gmem_write(vm, 0x9000, "abc", 3));
    cpu->arch.gpr[RSI] = 0x9000;
    cpu->arch.gpr[RCX] = 0xffffffff00000003;
    for (unsigned i = 0; i < 3; i++) {
        struct vcpu_exit x = string(0x3f8, 1, false, true, cpu->arch.gpr[RSI]);

        assert_int_equal(vcpu_fake.skips, skips); /* RIP stays until the last */
        assert_true(small_vm_exit(&x));
        assert_true(ring_take(&vm->console_tx, &byte));
        assert_int_equal(byte, 'a' + i);
    }
    assert_int_equal(vcpu_fake.skips, skips + 1);
    assert_int_equal(cpu->arch.gpr[RSI], 0x9003);
    assert_int_equal(cpu->arch.gpr[RCX], 0); /* a 32-bit ECX clears the upper half */
}

static void test_insd_down_with_16_bit_addresses(void **state)
{
    struct vcpu_exit x = string(0x608, 4, true, false, 0x9000);

    (void)state;
    host_fake.tsc += SMALL_VM_TSC_HZ;
    vcpu_fake.state.rflags |= RFLAGS_DF;
    x.u.pio.address_size = 2;
    cpu->arch.gpr[RDI] = 0x1234567800000002;
    cpu->arch.gpr[RCX] = 7;
    assert_true(small_vm_exit(&x));
    assert_int_equal(memory32(0x9000), 3579545);
    assert_int_equal(cpu->arch.gpr[RDI], 0x123456780000fffe);
    assert_int_equal(cpu->arch.gpr[RCX], 7);
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
    cpu->arch.gpr[RSI] = 0x9ffe;
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
    cpu->arch.gpr[RDI] = 0xa000;
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

static void test_string_outside_ram_is_gp(void **state)
{
    struct vcpu_exit in = string(0x1000, 4, true, false, SMALL_VM_MEMORY - 2);
    struct vcpu_exit out = string(0x1000, 4, false, false, 0xfee00000);

    (void)state;
    assert_true(small_vm_exit(&in));
    small_vm_expect_gp();
    assert_true(small_vm_exit(&out));
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

static void test_mmio_rep_stosd_exits_for_each_item(void **state)
{
    (void)state;
    cpu->arch.gpr[RAX] = 0x21;
    cpu->arch.gpr[RCX] = 2;
    cpu->arch.gpr[RDI] = TPR;
    assert_true(small_vm_mmio("\xf3\xab", 2, TPR, true));
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE);
    assert_int_equal(cpu->arch.gpr[RCX], 1);
    assert_int_equal(cpu->arch.gpr[RDI], TPR + 4);
    assert_true(small_vm_mmio("\xf3\xab", 2, TPR + 4, true));
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 2);
    assert_int_equal(cpu->arch.gpr[RCX], 0);
    vcpu_fake.state.rflags |= RFLAGS_DF;
    assert_true(small_vm_mmio("\xab", 1, TPR, true));
    assert_int_equal(cpu->arch.gpr[RDI], TPR + 4);
    assert_int_equal(small_vm_mmio_read(TPR), 0x21);
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
    static const uint64_t nowhere[] = {SMALL_VM_MEMORY, 0xfed00000, LAPIC + 0xffe,     IOAPIC - 2,
                                       0xfec01000,      1ull << 40, 0xfffffffffffffffc};
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
    cpu->arch.gpr[R9] = 0x33;
    assert_true(small_vm_mmio("\x45\x89\x08", 3, TPR, true)); /* mov [r8], r9d */
    cpu->arch.gpr[R10] = ~0ull;
    assert_true(small_vm_mmio("\x45\x8b\x10", 3, TPR, false)); /* mov r10d, [r8] */
    assert_int_equal(cpu->arch.gpr[R10], 0x33);
}

static void test_mmio_fetch_is_undefined_opcode(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_MMIO};

    (void)state;
    x.u.mmio.gpa = LAPIC;
    x.u.mmio.fetch = true;
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
                     20);
    assert_int_equal(small_vm_logged("more such lines"), 1);
    host_fake.tsc += SMALL_VM_TSC_HZ;
    assert_true(small_vm_mmio("\x0f\xae\x03", 3, LAPIC, true));
    assert_int_equal(small_vm_logged("is not emulated"), 21);
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
        TEST(test_unclaimed_ports_read_ones_drop_writes_and_are_counted),
        TEST(test_in_keeps_the_rest_of_rax_but_for_32_bits),
        TEST(test_rep_outsb_sends_item_by_item),
        TEST(test_insd_down_with_16_bit_addresses),
        TEST(test_string_power_off_stops_in_the_middle_of_rep),
        TEST(test_outs_page_fault_does_nothing_else),
        TEST(test_ins_page_fault_leaves_the_byte_in_the_uart),
        TEST(test_ins_across_pages_writes_nothing_if_the_second_faults),
        TEST(test_string_outside_ram_is_gp),
        TEST(test_mmio_mov_loads_and_stores),
        TEST(test_mmio_store_immediate_and_moffs),
        TEST(test_mmio_loads_with_extension),
        TEST(test_mmio_load_into_esp),
        TEST(test_mmio_xchg),
        TEST(test_mmio_alu_writes_result_and_flags),
        TEST(test_mmio_rep_stosd_exits_for_each_item),
        TEST(test_mmio_narrow_and_unaligned_accesses),
        TEST(test_mmio_outside_devices_is_unclaimed),
        TEST(test_mmio_64_bit_mode_uses_its_registers),
        TEST(test_mmio_fetch_is_undefined_opcode),
        TEST(test_undecodable_is_ud_with_limited_log),
        TEST(test_instruction_at_the_end_of_mapped_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
