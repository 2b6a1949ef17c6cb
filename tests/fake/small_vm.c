/* unit: guest/run.c guest/exit.c guest/exit_cpu.c guest/exit_string.c guest/exit_mmio.c
 * guest/exit_task.c guest/intr.c guest/direct.c guest/platform.c guest/port.c guest/ipi.c
 * guest/request.c guest/msr.c guest/linear.c guest/fetch.c guest/gva.c guest/gmem.c guest/load.c
 * guest/load_linux.c guest/load_multiboot.c guest/multiboot_info.c guest/acpi_tables.c
 * guest/verify.c guest/vm.c guest/console.c guest/dump.c guest/firmware.c devices/fw_cfg.c
 * devices/hpet.c devices/acpi_pm.c devices/i8254.c devices/i8259.c devices/ioapic.c devices/lapic.c
 * devices/mc146818.c devices/ns16550.c devices/pci_host.c devices/reset_ports.c devices/watchdog.c
 * arch/x86/insn.c lib/err.c lib/fmt.c lib/log.c lib/sha256.c mm/pages.c mm/ept.c mm/pt.c
 * tests/fake/cpuid_fake.c tests/fake/host_fake.c tests/fake/phys_fake.c tests/fake/vcpu_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* See the header. */
#include "tests/fake/small_vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "guest/acpi_tables.h"
#include "guest/gmem.h"
#include "guest/run.h"
#include "tests/fake/cpuid_fake.h"
#include "tests/fake/phys_fake.h"

#define POOL     0x200000ull
#define UNIXTIME 1700000000ull

/* A DSDT of nothing but its header. */
__asm__(".data\n"
        ".globl dsdt_aml\n"
        "dsdt_aml: .ascii \"DSDT\"\n"
        ".long 36\n"
        ".byte 2, 0xab\n"
        ".zero 26\n"
        ".globl dsdt_aml_end\n"
        "dsdt_aml_end: .byte 0\n"
        ".text\n");

static const uint8_t image[] = {0xf4, 0xeb, 0xfd}; /* hlt; jmp back */
static const uint8_t other[] = {'a', 'b', 'c'};
static const uint16_t cores[] = {1, 2, 3};

struct guest_config small_vm_config;
struct guest_file small_vm_files[2];
unsigned small_vm_vcpus = 1;
bool small_vm_direct;
const struct machine_config machine_config = {
    .name = "small",
    .guests = &small_vm_config,
    .guest_count = 1,
    .files = small_vm_files,
    .file_count = 2,
};
struct vm vms[1];

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];
static struct pages pages;

static void make_memory(void)
{
    phys_fake_reset();
    phys_fake_pool(POOL, 0x200000);
    assert_int_equal(pages_init(&pages, 39), OK);
    assert_int_equal(pages_add(&pages, POOL, 0x2000000), OK);
    assert_int_equal(pages_pool(&pages, 0x200000), OK);
    phys_fake_pool(pages.pool_base, pages.pool_len);
}

/* Only vCPU 0 is ever run; the others are taken to follow. */
static void others_stop(void)
{
    vms[0].parked = small_vm_vcpus - 1;
}

int small_vm_setup(void **state)
{
    const char *problem = NULL;

    (void)state;
    host_fake_reset();
    vcpu_fake_reset();
    cpuid_fake_reset();
    make_memory();
    memset(vms, 0, sizeof(vms));
    small_vm_config = (struct guest_config){
        .name = "g",
        .type = GUEST_FLAT,
        .cores = cores,
        .vcpu_count = (uint16_t)small_vm_vcpus,
        .memory = SMALL_VM_MEMORY,
        .kernel = {image, sizeof(image)},
        .cmdline = "",
        .load_gpa = SMALL_VM_ENTRY,
        .entry_gpa = SMALL_VM_ENTRY,
        .direct = small_vm_direct,
        .exit_port = 0xf4,
        .on_reset = {.action = GUEST_RESTART    },
    };
    small_vm_files[0] = (struct guest_file){
        .data = {image, sizeof(image)},
          .path = "build/image"
    };
    small_vm_files[1] = (struct guest_file){
        .data = {other, sizeof(other)},
          .path = "build/other"
    };
    assert_int_equal(vm_create(vm, 0, &pages, SMALL_VM_TSC_HZ, &problem), OK);
    phys_fake_add(vm->memory[0].hpa, SMALL_VM_MEMORY);
    host_fake.interrupts = others_stop;
    vm_run(vm, 0, UNIXTIME);
    host_fake.interrupts = NULL;
    assert_int_equal(vm->wish, WISH_CRASH);
    assert_true(small_vm_ok());
    vcpu_fake_rewind();
    vm->wish = WISH_RUN;
    host_fake_clear_text();
    return 0;
}

void small_vm_run(void)
{
    vm->wish = WISH_RUN;
    vcpu_fake.over = false;
    vcpu_loop(cpu);
    vcpu_fake.script_len = vcpu_fake.script_at = 0;
    if (vcpu_fake.over)
        vm->wish = WISH_RUN;
    assert_true(small_vm_ok());
}

bool small_vm_exit(const struct vcpu_exit *x)
{
    vcpu_fake_add(x);
    small_vm_run();
    return vcpu_fake.over;
}

static struct vcpu_exit kind(enum exit_kind k)
{
    struct vcpu_exit x = {.kind = k};

    return x;
}

static struct vcpu_exit pio(uint16_t port, unsigned size, bool in)
{
    struct vcpu_exit x = {.kind = EXIT_PIO};

    x.u.pio.port = port;
    x.u.pio.size = (uint8_t)size;
    x.u.pio.in = in;
    return x;
}

void small_vm_out(uint16_t port, unsigned size, uint32_t value)
{
    struct vcpu_exit x = pio(port, size, false);

    cpu->arch.gpr[RAX] = value;
    (void)small_vm_exit(&x);
}

void small_vm_uart_irq(void)
{
    small_vm_out(0x20, 1, 0x11); /* ICW1..4 */
    small_vm_out(0x21, 1, 0x20);
    small_vm_out(0x21, 1, 0x04);
    small_vm_out(0x21, 1, 0x01);
    small_vm_out(0x21, 1, 0x01); /* OCW1 */
    small_vm_out(0x3f9, 1, 0x02);
}

uint32_t small_vm_in(uint16_t port, unsigned size)
{
    struct vcpu_exit x = pio(port, size, true);

    cpu->arch.gpr[RAX] = 0;
    assert_true(small_vm_exit(&x));
    return (uint32_t)cpu->arch.gpr[RAX];
}

void small_vm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct vcpu_exit x = kind(EXIT_CPUID);

    cpu->arch.gpr[RAX] = leaf;
    cpu->arch.gpr[RCX] = subleaf;
    assert_true(small_vm_exit(&x));
    out[0] = (uint32_t)cpu->arch.gpr[RAX];
    out[1] = (uint32_t)cpu->arch.gpr[RBX];
    out[2] = (uint32_t)cpu->arch.gpr[RCX];
    out[3] = (uint32_t)cpu->arch.gpr[RDX];
}

/* Whether the exit just run went on behind its instruction; if not it has to be #GP(0). */
static bool succeeded(unsigned skips)
{
    if (vcpu_fake.skips != skips)
        return true;
    small_vm_expect_gp();
    return false;
}

bool small_vm_rdmsr(uint32_t msr, uint64_t *value)
{
    struct vcpu_exit x = kind(EXIT_RDMSR);
    unsigned skips = vcpu_fake.skips;

    cpu->arch.gpr[RCX] = msr;
    assert_true(small_vm_exit(&x));
    *value = cpu->arch.gpr[RDX] << 32 | (uint32_t)cpu->arch.gpr[RAX];
    return succeeded(skips);
}

bool small_vm_wrmsr(uint32_t msr, uint64_t value)
{
    struct vcpu_exit x = kind(EXIT_WRMSR);
    unsigned skips = vcpu_fake.skips;

    cpu->arch.gpr[RCX] = msr;
    cpu->arch.gpr[RAX] = 0xdead000000000000 | (uint32_t)value; /* upper halves do not count */
    cpu->arch.gpr[RDX] = 0xbeef000000000000 | value >> 32;
    assert_true(small_vm_exit(&x));
    return succeeded(skips);
}

bool small_vm_mmio(const char *code, size_t len, uint64_t gpa, bool write)
{
    cpu->arch.gpr[RBX] = gpa;
    return small_vm_mmio_far(code, len, gpa, write);
}

bool small_vm_mmio_far(const char *code, size_t len, uint64_t gpa, bool write)
{
    struct vcpu_exit x = kind(EXIT_MMIO);

    x.u.mmio.gpa = gpa;
    x.u.mmio.write = write;
    assert_true(gmem_write(vm, SMALL_VM_CODE, code, len));
    vcpu_fake.state.rip = SMALL_VM_CODE;
    return small_vm_exit(&x);
}

void small_vm_mmio_write(uint64_t gpa, uint32_t value)
{
    cpu->arch.gpr[RAX] = value;
    assert_true(small_vm_mmio("\x89\x03", 2, gpa, true)); /* mov [ebx], eax */
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 2);
}

uint32_t small_vm_mmio_read(uint64_t gpa)
{
    assert_true(small_vm_mmio("\x8b\x03", 2, gpa, false)); /* mov eax, [ebx] */
    assert_int_equal(vcpu_fake.state.rip, SMALL_VM_CODE + 2);
    return (uint32_t)cpu->arch.gpr[RAX];
}

void small_vm_wait(uint64_t ticks)
{
    host_fake.tsc += ticks;
    small_vm_run();
}

void small_vm_sti(void)
{
    vcpu_fake.state.rflags |= RFLAGS_IF;
    small_vm_run();
}

void small_vm_expect(enum vcpu_event_type type, uint8_t vector)
{
    struct vcpu_fake_event e;

    assert_true(vcpu_fake_take(&e));
    assert_int_equal(e.type, type);
    assert_int_equal(e.vector, vector);
}

void small_vm_expect_gp(void)
{
    struct vcpu_fake_event e;

    assert_true(vcpu_fake_take(&e));
    assert_int_equal(e.type, EVENT_EXCEPTION);
    assert_int_equal(e.vector, VECTOR_GP);
    assert_int_equal(e.has_error, (vcpu_fake.state.cr0 & CR0_PE) != 0);
    assert_int_equal(e.error, 0);
}

void small_vm_expect_none(void)
{
    assert_int_equal(vcpu_fake.events, 0);
}

bool small_vm_ok(void)
{
    return i8259_ok(&vm->i8259) && i8254_ok(&vm->i8254) && ioapic_ok(&vm->ioapic) &&
           mc146818_ok(&vm->rtc) && ns16550_ok(&vm->uart) && acpi_pm_ok(&vm->pm) &&
           hpet_ok(&vm->hpet) && pci_host_ok(&vm->pci) && reset_ports_ok(&vm->reset_ports) &&
           watchdog_ok(&vm->watchdog) && lapic_ok(&cpu->lapic) && !vm->lock.held;
}

unsigned small_vm_logged(const char *text)
{
    unsigned n = 0;

    for (const char *at = host_fake.text; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}
