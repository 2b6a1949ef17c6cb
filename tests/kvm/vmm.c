/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The peer to measure with: Bulkhead's guests under Linux's KVM. The guest's machine is the one
 * that Bulkhead gives it, so that what differs is the hypervisor: loader, ACPI tables and the chips
 * answered here are the tree's own, while local APICs, I/O APIC, 8259 pair and 8254 are KVM's.
 *
 *     vmm MIB IMAGE                    a flat image at 100000H, entered there in 32-bit mode
 *     vmm MIB KERNEL INITRD CMDLINE    a bzImage, entered in 64-bit mode
 *
 * The guest gets as many vCPUs as there are processors, and its serial port's output is ours. Ends
 * with 0 when the guest powers off, and tells how often each vCPU exited, as KVM counts it.
 * Set up as QEMU does: huge pages advised, all CPUID that KVM supports.
 * Source: Linux Documentation/virt/kvm/api.rst; SDM 3A "Segment Descriptors", "Control Registers".
 */
#define _GNU_SOURCE /* pthread_attr_setaffinity_np */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "devices/acpi_pm.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/pci_host.h"
#include "guest/acpi_tables.h"
#include "guest/gmem.h"
#include "guest/load_linux.h"
#include "lib/bits.h"

#define COM1             0x3f8u
#define COM1_IRQ         4u
#define FLAT_GPA         0x100000u
#define SMALL_PAGES_GPA  0x600000u /* where tests/guest/bench_memory.c touches pages of 4 KiB */
#define PIC_PINS         16u
#define IOAPIC_PINS      24u
#define VCPUS_MAX        8u
#define CPUID_MAX        256u
#define MIB_MAX          3072u
#define LINE_MAX_LEN     256u
#define RTC_START        1700000000u /* as the emulated machine's own */

/* Out of the way of RAM and devices: KVM's pages for real mode. */
#define KVM_TSS_GPA      0xfffbd000ul
#define KVM_MAP_GPA      0xfffbc000ull

#define CPUID1_X2APIC    BIT32(21) /* ECX */
#define CPUID1_DEADLINE  BIT32(24)
#define CPUID1_GUEST     BIT32(31) /* a hypervisor has leaves of its own */
#define MSR_MISC_ENABLE  0x1a0u
#define MISC_FAST_STRING 1u /* [0] */
#define CR0_PE_ET_NE     0x31u
#define RFLAGS_FIXED     2u

struct vcpu {
    struct vm *vm;
    int fd;
    int statistics; /* KVM's counters; to be read while the vCPU runs, too */
    struct kvm_run *run;
};

/* What load_linux.c and the chips are about here; the rest of it is KVM's. */
struct vm {
    int kvm, fd;
    uint8_t *memory;
    uint64_t memory_len;
    unsigned vcpus;
    struct vcpu vcpu[VCPUS_MAX];
    uint64_t tsc_hz, tsc_start;
    pthread_barrier_t begin;
    pthread_mutex_t lock; /* of all below */
    struct ns16550 uart;
    struct mc146818 rtc;
    struct acpi_pm pm;
    struct pci_host pci;
    bool uart_irq; /* as KVM was told */
    char line[LINE_MAX_LEN];
    size_t line_len;
};

__attribute__((noreturn)) static void die(const char *what)
{
    fflush(stdout);
    perror(what);
    exit(1);
}

__attribute__((noreturn)) static void refuse(const char *sentence)
{
    printf("vmm: %s\n", sentence);
    exit(1);
}

/* An ioctl that has to succeed. */
static int request(int fd, unsigned long number, const void *argument, const char *name)
{
    int result = ioctl(fd, number, argument);

    if (result < 0)
        die(name);
    return result;
}
#define REQUEST(fd, number, argument) request(fd, number, (const void *)(argument), #number)

static uint64_t now(const struct vm *vm)
{
    return __builtin_ia32_rdtsc() - vm->tsc_start;
}

/* --- memory --- */

bool gmem_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    if (gpa > vm->memory_len || len > vm->memory_len - gpa)
        return false;
    memcpy(vm->memory + gpa, buf, len);
    return true;
}

bool gmem_fill(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
    return gmem_write(vm, gpa, buf, len);
}

/* Untouched until the guest touches it, as QEMU's. Aligned, so that huge pages fit. */
static void make_memory(struct vm *vm)
{
    struct kvm_userspace_memory_region slot = {.memory_size = vm->memory_len};
    uint8_t *memory = mmap(NULL, vm->memory_len + PAGE_2M, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        die("memory");
    vm->memory = (uint8_t *)align_up((uintptr_t)memory, PAGE_2M);
    (void)madvise(vm->memory, vm->memory_len, MADV_HUGEPAGE);
    slot.userspace_addr = (uintptr_t)vm->memory;
    REQUEST(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot);
}

static struct guest_image file(const char *path)
{
    struct stat status;
    void *bytes = MAP_FAILED;
    int fd = open(path, O_RDONLY);

    if (fd >= 0 && fstat(fd, &status) == 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        die(path);
    return (struct guest_image){bytes, (size_t)status.st_size};
}

/* --- the chips --- */

/* A line at a time, and not on before it was sent: nothing of it goes on while the guest measures.
 */
static void show(struct vm *vm, uint8_t byte)
{
    vm->line[vm->line_len++] = (char)byte;
    if (byte != '\n' && vm->line_len < sizeof(vm->line))
        return;
    fwrite(vm->line, 1, vm->line_len, stdout);
    fflush(stdout);
    (void)tcdrain(STDOUT_FILENO);
    vm->line_len = 0;
}

/* What the UART sends is taken at once; KVM is told when the wire to the 8259 and I/O APIC changed.
 */
static void serve_uart(struct vm *vm)
{
    struct kvm_irq_level wire = {.irq = COM1_IRQ};
    uint8_t byte;

    while (ns16550_tx_take(&vm->uart, &byte))
        show(vm, byte);
    if (ns16550_irq(&vm->uart) == vm->uart_irq)
        return;
    vm->uart_irq = !vm->uart_irq;
    wire.level = vm->uart_irq;
    REQUEST(vm->fd, KVM_IRQ_LINE, &wire);
}

static bool in_block(unsigned port, unsigned base, unsigned len)
{
    return port - base < len;
}

static uint32_t port_read(struct vm *vm, unsigned port, unsigned size)
{
    uint8_t byte;

    if (in_block(port, ACPI_PM1A_EVT_PORT, ACPI_PM_BLOCK_LEN))
        return acpi_pm_read(&vm->pm, port - ACPI_PM1A_EVT_PORT, size, now(vm));
    if (in_block(port, PCI_HOST_ADDRESS, 8))
        return pci_host_read(&vm->pci, (uint16_t)port, size);
    if (in_block(port, MC146818_PORT_INDEX, 2) && size == 1)
        return mc146818_read(&vm->rtc, (uint16_t)port, now(vm));
    if (!in_block(port, COM1, 8) || size != 1)
        return UINT32_MAX;
    byte = ns16550_read(&vm->uart, port - COM1, now(vm));
    serve_uart(vm);
    return byte;
}

/* Returns whether the guest goes on. No interrupt of RTC or PM1 is offered: nobody here uses one.
 */
static bool port_write(struct vm *vm, unsigned port, unsigned size, uint32_t value)
{
    if (in_block(port, ACPI_PM1A_EVT_PORT, ACPI_PM_BLOCK_LEN))
        return acpi_pm_write(&vm->pm, port - ACPI_PM1A_EVT_PORT, size, value, now(vm)) !=
               ACPI_PM_POWER_OFF;
    if (in_block(port, PCI_HOST_ADDRESS, 8)) {
        pci_host_write(&vm->pci, (uint16_t)port, size, value);
    } else if (in_block(port, MC146818_PORT_INDEX, 2) && size == 1) {
        mc146818_write(&vm->rtc, (uint16_t)port, (uint8_t)value, now(vm));
    } else if (in_block(port, COM1, 8) && size == 1) {
        ns16550_write(&vm->uart, port - COM1, (uint8_t)value, now(vm));
        serve_uart(vm);
    }
    return true;
}

static void reset_chips(struct vm *vm)
{
    vm->tsc_hz = (uint64_t)REQUEST(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0) * 1000;
    vm->tsc_start = __builtin_ia32_rdtsc();
    ns16550_reset(&vm->uart, vm->tsc_hz);
    mc146818_reset(&vm->rtc, vm->tsc_hz, 0, RTC_START);
    acpi_pm_reset(&vm->pm, vm->tsc_hz, 0);
    pci_host_reset(&vm->pci, false);
}

/* --- exits --- */

/* One line: every counter of the vCPU that is one number and not 0. */
static void print_statistics(const struct vm *vm, unsigned index)
{
    struct kvm_stats_header header;
    int fd = vm->vcpu[index].statistics;

    if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
        die("statistics");
    printf("vmm: vCPU %u:", index);
    for (uint32_t i = 0; i < header.num_desc; i++) {
        char buffer[sizeof(struct kvm_stats_desc) + 256] = {0};
        const struct kvm_stats_desc *desc = (const void *)buffer;
        size_t len = sizeof(*desc) + header.name_size;
        uint64_t value;

        if (len >= sizeof(buffer) ||
            pread(fd, buffer, len, header.desc_offset + (off_t)(i * len)) != (ssize_t)len)
            die("statistics");
        if (desc->size != 1 ||
            pread(fd, &value, sizeof(value), header.data_offset + (off_t)desc->offset) !=
                sizeof(value) ||
            value == 0)
            continue;
        for (char *c = strchr(buffer + sizeof(*desc), '_'); c != NULL; c = strchr(c, '_'))
            *c = '-';
        printf(" %s %llu", buffer + sizeof(*desc), (unsigned long long)value);
    }
    printf("\n");
}

/* The guest powered itself off: no thread of ours goes on. */
static void finish(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpus; i++)
        print_statistics(vm, i);
    fflush(stdout);
    (void)tcdrain(STDOUT_FILENO);
    exit(0);
}

static void exit_io(struct vm *vm, struct kvm_run *run)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    bool on = true;

    pthread_mutex_lock(&vm->lock);
    for (uint32_t i = 0; i < run->io.count && on; i++, data += run->io.size) {
        uint32_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_IN) {
            value = port_read(vm, run->io.port, run->io.size);
            memcpy(data, &value, run->io.size);
        } else {
            memcpy(&value, data, run->io.size);
            on = port_write(vm, run->io.port, run->io.size, value);
        }
    }
    if (!on)
        finish(vm);
    pthread_mutex_unlock(&vm->lock);
}

static void *run_vcpu(void *argument)
{
    struct vcpu *v = argument;
    struct kvm_run *run = v->run;

    (void)pthread_barrier_wait(&v->vm->begin);
    for (;;) {
        if (ioctl(v->fd, KVM_RUN, 0) < 0) {
            if (errno != EAGAIN) /* its SIPI came: from now on it runs */
                die("KVM_RUN");
        } else if (run->exit_reason == KVM_EXIT_IO) {
            exit_io(v->vm, run);
        } else if (run->exit_reason == KVM_EXIT_MMIO) { /* nothing is there */
            if (!run->mmio.is_write)
                memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
        } else {
            printf("vmm: vCPU %ld: KVM ends with reason %u\n", (long)(v - v->vm->vcpu),
                   run->exit_reason);
            exit(1);
        }
    }
}

/* --- start --- */

/* As KVM sets them up, but with the 8254 on pin 2 of the I/O APIC, as on a PC and in our MADT. */
static void route_irqs(const struct vm *vm)
{
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entries[PIC_PINS + IOAPIC_PINS];
    } table = {0};

    for (uint32_t gsi = 0; gsi < IOAPIC_PINS; gsi++) {
        struct kvm_irq_routing_entry *e = &table.entries[table.head.nr];

        if (gsi < PIC_PINS) {
            *e++ = (struct kvm_irq_routing_entry){
                .gsi = gsi,
                .type = KVM_IRQ_ROUTING_IRQCHIP,
                .u.irqchip = {gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8}
            };
            table.head.nr++;
        }
        if (gsi == ACPI_PIT_GSI)
            continue;
        *e = (struct kvm_irq_routing_entry){
            .gsi = gsi,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {KVM_IRQCHIP_IOAPIC, gsi == 0 ? ACPI_PIT_GSI : gsi}
        };
        table.head.nr++;
    }
    REQUEST(vm->fd, KVM_SET_GSI_ROUTING, &table);
}

static void make_vm(struct vm *vm)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY}; /* port 61H is KVM's too */
    uint64_t map = KVM_MAP_GPA;

    vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (vm->kvm < 0)
        die("/dev/kvm");
    vm->fd = REQUEST(vm->kvm, KVM_CREATE_VM, 0);
    REQUEST(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &map);
    REQUEST(vm->fd, KVM_SET_TSS_ADDR, KVM_TSS_GPA);
    REQUEST(vm->fd, KVM_CREATE_IRQCHIP, 0);
    REQUEST(vm->fd, KVM_CREATE_PIT2, &pit);
    route_irqs(vm);
    make_memory(vm);
}

/* All that KVM supports, its own leaves too; and the bits that it leaves to us. */
static void set_cpuid(const struct vm *vm, unsigned index)
{
    static _Alignas(struct kvm_cpuid2)
        uint8_t buffer[sizeof(struct kvm_cpuid2) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2)];
    struct kvm_cpuid2 *table = (struct kvm_cpuid2 *)buffer;

    table->nent = CPUID_MAX;
    REQUEST(vm->kvm, KVM_GET_SUPPORTED_CPUID, table);
    for (uint32_t i = 0; i < table->nent; i++) {
        struct kvm_cpuid_entry2 *e = &table->entries[i];

        if (e->function == 1) {
            e->ecx |= CPUID1_X2APIC | CPUID1_DEADLINE | CPUID1_GUEST;
            e->ebx = (e->ebx & 0xffff) | vm->vcpus << 16 | index << 24;
        } else if (e->function == 0xb) {
            e->edx = index;
        }
    }
    REQUEST(vm->vcpu[index].fd, KVM_SET_CPUID2, table);
}

static void make_vcpu(struct vm *vm, unsigned index)
{
    struct vcpu *v = &vm->vcpu[index];
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } msr = {
        {.nmsrs = 1               },
        { .index = MSR_MISC_ENABLE, .data = MISC_FAST_STRING}
    };
    int run_len = REQUEST(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    v->vm = vm;
    v->fd = REQUEST(vm->fd, KVM_CREATE_VCPU, (uintptr_t)index);
    v->run = mmap(NULL, (size_t)run_len, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED)
        die("struct kvm_run");
    v->statistics = REQUEST(v->fd, KVM_GET_STATS_FD, 0);
    set_cpuid(vm, index);
    if (REQUEST(v->fd, KVM_SET_MSRS, &msr) != 1)
        die("IA32_MISC_ENABLE");
}

static void make_tables(struct vm *vm)
{
    static const uint16_t cores[VCPUS_MAX];
    struct guest_config guest = {.cores = cores, .vcpu_count = (uint16_t)vm->vcpus};

    if (acpi_tables_build(vm->memory + ACPI_AREA_GPA, ACPI_AREA_SIZE, ACPI_AREA_GPA, &guest,
                          dsdt_aml, (size_t)(dsdt_aml_end - dsdt_aml)) != OK)
        refuse("no ACPI tables for so many vCPUs");
}

/* A flat segment: type 11 is code, 3 is data. L is for code in 64-bit mode, else it is D or B. */
static struct kvm_segment segment(uint16_t selector, uint8_t type, bool is_64bit)
{
    return (struct kvm_segment){.limit = UINT32_MAX,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .s = 1,
                                .g = 1,
                                .l = is_64bit,
                                .db = !is_64bit};
}

static void enter(struct vcpu *v, struct kvm_sregs *s, struct kvm_segment code,
                  struct kvm_segment data, uint64_t rip, uint64_t rsi)
{
    struct kvm_regs regs = {.rip = rip, .rsi = rsi, .rflags = RFLAGS_FIXED};

    s->cs = code;
    s->ds = s->es = s->ss = s->fs = s->gs = data;
    REQUEST(v->fd, KVM_SET_SREGS, s);
    REQUEST(v->fd, KVM_SET_REGS, &regs);
}

static void start_flat(struct vm *vm, const char *path)
{
    struct guest_image image = file(path);
    struct kvm_sregs s;

    if (!gmem_write(vm, FLAT_GPA, image.bytes, image.len))
        refuse("the image does not fit");
    (void)madvise(vm->memory + SMALL_PAGES_GPA, PAGE_2M, MADV_NOHUGEPAGE);
    REQUEST(vm->vcpu[0].fd, KVM_GET_SREGS, &s);
    s.cr0 = CR0_PE_ET_NE;
    enter(&vm->vcpu[0], &s, segment(0x08, 11, false), segment(0x10, 3, false), FLAT_GPA, 0);
}

static void start_linux(struct vm *vm, const char *kernel, const char *initrd, const char *cmdline)
{
    struct guest_config guest = {
        .kernel = file(kernel), .initrd = file(initrd), .cmdline = cmdline};
    struct linux_layout layout;
    struct linux_entry entry;
    struct kvm_sregs s;
    const char *problem;

    if (linux_check(&guest.kernel, guest.initrd.len, vm->memory_len, cmdline, &layout, &problem) ||
        linux_load(vm, &guest, &layout, ACPI_AREA_GPA, &entry))
        refuse(problem != NULL ? problem : "the guest's memory is too small");
    REQUEST(vm->vcpu[0].fd, KVM_GET_SREGS, &s);
    s.cr0 = entry.cr0;
    s.cr3 = entry.cr3;
    s.cr4 = entry.cr4;
    s.efer = entry.efer;
    s.gdt = (struct kvm_dtable){.base = entry.gdt_base, .limit = entry.gdt_limit};
    enter(&vm->vcpu[0], &s, segment(LINUX_BOOT_CS, 11, true), segment(LINUX_BOOT_DS, 3, false),
          entry.rip, entry.rsi);
}

/*
 * Each vCPU has a processor of its own, as under Bulkhead, and the first one begins when the
 * others' threads are there: the emulator holds interrupts back while a guest has IF = 0
 * (docs/TESTING.md, trap 2), and with them whoever else wants that processor.
 */
static void run(struct vm *vm)
{
    pthread_attr_t attributes;
    pthread_t thread;
    cpu_set_t set;

    (void)pthread_barrier_init(&vm->begin, NULL, vm->vcpus);
    for (unsigned i = vm->vcpus; i-- > 0;) {
        CPU_ZERO(&set);
        CPU_SET(i, &set);
        if (pthread_attr_init(&attributes) != 0 ||
            pthread_attr_setaffinity_np(&attributes, sizeof(set), &set) != 0 ||
            pthread_create(&thread, &attributes, run_vcpu, &vm->vcpu[i]) != 0)
            refuse("no thread for a vCPU");
    }
    (void)pthread_join(thread, NULL);
}

/* Bytes of so many MiB; the guest's memory ends below the devices'. */
static uint64_t memory_size(const char *mib)
{
    char *end;
    unsigned long size = strtoul(mib, &end, 10);

    if (*mib < '0' || *mib > '9' || *end != '\0' || size == 0 || size > MIB_MAX)
        refuse("MIB has to be a number from 1 to 3072");
    return size * MIB;
}

int main(int argc, char **argv)
{
    static struct vm vm = {.lock = PTHREAD_MUTEX_INITIALIZER};

    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: vmm MIB IMAGE | vmm MIB KERNEL INITRD CMDLINE\n");
        return 2;
    }
    vm.memory_len = memory_size(argv[1]);
    vm.vcpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    vm.vcpus = vm.vcpus < VCPUS_MAX ? vm.vcpus : VCPUS_MAX;
    make_vm(&vm);
    for (unsigned i = 0; i < vm.vcpus; i++)
        make_vcpu(&vm, i);
    make_tables(&vm);
    reset_chips(&vm);
    if (argc == 3)
        start_flat(&vm, argv[2]);
    else
        start_linux(&vm, argv[2], argv[3], argv[4]);
    run(&vm);
    return 1;
}
