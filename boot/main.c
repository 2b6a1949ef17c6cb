/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hv_main: the list of initialisation steps, in order. Read this first.
 *
 * Everything that can be wrong with the machine or the config is found here and refused with a
 * sentence, before the first guest runs.
 */
#include "boot/main.h"

#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/phys.h"
#include "arch/x86/pit.h"
#include "arch/x86/power.h"
#include "arch/x86/rtc.h"
#include "arch/x86/serial.h"
#include "arch/x86/smp.h"
#include "arch/x86/topology.h"
#include "arch/x86/trap.h"
#include "arch/x86/tsc.h"
#include "arch/x86/uart.h"
#include "arch/x86/virt.h"
#include "boot/bootinfo.h"
#include "boot/fit.h"
#include "boot/outputs.h"
#include "boot/report.h"
#include "guest/console.h"
#include "guest/dump.h"
#include "guest/isolation.h"
#include "guest/load.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "mm/hostpt.h"
#include "mm/pages.h"
#include "mm/phys.h"

#define POOL_SIZE     PAGE_2M
#define BOOT_TAGS_MAX (1 * MIB)
#define TICK_TEST_US  1000
#define IST_PAGES     3
#define AREAS_MAX     (BOOT_MEMORY_MAX + ACPI_IOAPICS_MAX + 6)

/* Written by the bootstrap processor before the others start; read-only afterwards. */
static struct {
    struct boot_info info;
    struct acpi_info acpi;
    struct pages pages;
    struct hostpt tables;
    struct outputs outputs;
    uint64_t load_hpa;
    uint64_t ram_len; /* bytes that firmware left */
    uint64_t tsc_hz;
    uint64_t unix_time; /* when tsc_at_unix_time was read */
    uint64_t tsc_at_unix_time;
    uint64_t device_va;    /* the next free page for device registers */
    uint64_t start_up_hpa; /* where the other cores start */
    struct host_area areas[AREAS_MAX];
    struct host_map map; /* of these */
    struct isolation isolation;
    atomic_bool go;      /* guests may start */
    atomic_bool halting; /* the machine is being stopped: an NMI means stop */
} boot;

extern uint64_t boot_entry_tsc; /* multiboot2.S: TSC at the hand-over */
extern char early_pml4[];

static uint64_t image_hpa(const char *p)
{
    return (uint64_t)p - IMAGE_VA + boot.load_hpa;
}

/* Whole pages. */
static uint64_t image_len(void)
{
    return align_up((uint64_t)image_end - (uint64_t)image_start, PAGE_SIZE);
}

/* --- memory ----------------------------------------------------------------------------------- */

static unsigned physical_address_width(void)
{
    return cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

static void read_boot_info(uint32_t magic, uint64_t tags)
{
    if (magic != MULTIBOOT2_BOOTLOADER_MAGIC)
        refuse("EAX is %XH at entry: not started by a multiboot2 loader", magic);

    enum err e = bootinfo_from_multiboot2((const void *)tags, BOOT_TAGS_MAX, &boot.info);

    outputs_find_screen(&boot.outputs, &boot.info, physical_address_width());
    if (e != OK)
        refuse("boot information: %s (%s); try another boot loader version", boot.info.problem,
               err_text(e));
    log_line("loader: %s, firmware: %s, image at %lx, memory map of %u entries", boot.info.loader,
             boot.info.firmware == BOOT_FIRMWARE_UEFI ? "UEFI" : "BIOS", boot.load_hpa,
             boot.info.memory_count);
}

static void must(enum err e, const char *what)
{
    if (e != OK)
        refuse("%s: %s", what, err_text(e));
}

static void find_memory(void)
{
    must(pages_init(&boot.pages, physical_address_width()), "physical address width");
    must(bootinfo_to_pages(&boot.info, &boot.pages), "memory map");
    boot.ram_len = pages_free_bytes(&boot.pages);
    must(pages_reserve(&boot.pages, boot.load_hpa, image_len()), "memory of the image");
    outputs_find_journal(&boot.outputs, &boot.pages);
    must(pages_pool(&boot.pages, POOL_SIZE), "2 MiB of memory below 4 GiB for page tables");
    phys_use_identity(boot.pages.pool_base);
    log_line("memory: %lu MiB free for guests, image %lu KiB, page tables and core areas %lu KiB",
             pages_free_bytes(&boot.pages) / MIB, image_len() / KIB, POOL_SIZE / KIB);
}

static void map(uint64_t va, uint64_t hpa, uint64_t len, unsigned flags)
{
    must(hostpt_map(&boot.tables, va, hpa, align_up(len, PAGE_SIZE), flags), "page tables");
}

static void map_image(void)
{
    map((uint64_t)image_start, image_hpa(image_start),
        (uint64_t)rodata_start - (uint64_t)image_start, HOSTPT_X);
    map((uint64_t)rodata_start, image_hpa(rodata_start),
        (uint64_t)data_start - (uint64_t)rodata_start, 0);
    map((uint64_t)data_start, image_hpa(data_start), (uint64_t)image_end - (uint64_t)data_start,
        HOSTPT_W);
}

static volatile uint32_t *map_device(uint64_t hpa)
{
    uint64_t va = boot.device_va;

    boot.device_va += PAGE_SIZE;
    map(va, align_down(hpa, PAGE_SIZE), PAGE_SIZE, HOSTPT_W | HOSTPT_UC);
    return (volatile uint32_t *)(va + (hpa & (PAGE_SIZE - 1)));
}

/* --- cores ------------------------------------------------------------------------------------ */

static uint64_t pool_page(void)
{
    uint64_t hpa;

    must(pages_alloc(&boot.pages, &hpa), "page pool");
    return hpa;
}

/* Stack pages of a core, each with a hole below: exceptions' own stacks, then the main one. */
static void map_stacks(struct cpu *c)
{
    uint64_t base = STACK_VA + c->index * (uint64_t)STACK_STRIDE;

    for (unsigned i = 0; i < IST_PAGES; i++) {
        uint64_t va = base + (2 * i + 1) * PAGE_SIZE;

        map(va, pool_page(), PAGE_SIZE, HOSTPT_W);
        c->tss.ist[i] = va + PAGE_SIZE;
    }
    c->stack_top = base + STACK_STRIDE;
    for (uint64_t va = c->stack_top - STACK_SIZE; va < c->stack_top; va += PAGE_SIZE)
        map(va, pool_page(), PAGE_SIZE, HOSTPT_W);
}

static uint32_t initial_apic_id(void)
{
    return cpuid(0, 0).eax >= 0xb ? cpuid(0xb, 0).edx : cpuid(1, 0).ebx >> 24;
}

/* A new core's area: in the pool, reached at its final address only. */
static struct cpu *make_cpu(uint32_t index, uint32_t id)
{
    uint64_t hpa = pool_page();

    _Static_assert(sizeof(struct cpu) <= PAGE_SIZE, "one page each");
    struct cpu *c = phys_table(hpa);

    c->index = index;
    c->apic_id = id;
    c->vmxon_hpa = pool_page();
    map_stacks(c);
    must(phys_make_windows(&boot.tables, c), "windows of a core");
    c = (struct cpu *)(POOL_VA + (hpa - boot.pages.pool_base));
    cpu_list[index] = c;
    return c;
}

/* What every core does on the final tables; false: it cannot run guests, and it was said why. */
static bool init_core(struct cpu *c)
{
    char text[200];

    c->physical_core = topology_this_core();
    if (virt_check(c) != 0)
        return false;
    if (virt_enable(c) != OK) {
        log_line("core %u: VMXON failed", c->index);
        return false;
    }
    virt_describe(text, sizeof(text));
    log_line("core %u: APIC id %u, in VMX root operation; %s", c->index, c->apic_id, text);
    return true;
}

static void load_core(struct cpu *c)
{
    cpu_load(c);
    cpu_init_control();
}

void ap_main(struct cpu *c)
{
    load_core(c);
    c->usable = init_core(c);
    apic_init();
    atomic_store_explicit(&c->online, true, memory_order_release);
    run_core();
}

/* One that does not answer is sent back to wait, and its area serves the next. */
static void start_core(uint32_t id)
{
    struct cpu *c = cpu_list[cpu_count];

    if (c == NULL)
        c = make_cpu(cpu_count, id);
    c->apic_id = id;
    if (smp_start(c, boot.tsc_hz)) {
        cpu_count++;
        return;
    }
    apic_send_init(id);
    log_line("core with APIC id %u: listed in the MADT but does not answer; left out", id);
}

static void start_cores(void)
{
    must(pages_take_low(&boot.pages, &boot.start_up_hpa),
         "a page below 640 KiB to start the other cores");
    smp_prepare(boot.start_up_hpa, image_hpa(early_pml4), boot.tables.root_hpa);
    for (uint32_t i = 0; i < boot.acpi.cpu_count; i++) {
        const struct acpi_cpu *found = &boot.acpi.cpus[i];

        if (!found->enabled || found->apic_id == apic_id())
            continue;
        if (cpu_count == fit_core_max()) {
            log_line("core with APIC id %u: left alone, %u cores are all that is used",
                     found->apic_id, fit_core_max());
            continue;
        }
        start_core(found->apic_id);
    }
}

static void check_cores(void)
{
    unsigned unusable = 0;

    for (unsigned i = 0; i < cpu_count; i++)
        unusable += cpu_list[i]->usable ? 0 : 1;
    if (unusable > 0)
        refuse("%u of %u cores cannot run guests, see above", unusable, cpu_count);
}

/* --- machine ---------------------------------------------------------------------------------- */

static void read_acpi(void)
{
    size_t len = boot.info.rsdp_len;
    enum err e = OK;

    if (len == 0)
        e = acpi_find_rsdp_bios(boot.info.rsdp, &len);
    boot.info.rsdp_len = (unsigned)len;
    if (e == OK)
        e = acpi_find(boot.info.rsdp, len, physical_address_width(), &boot.acpi);
    if (e != OK)
        refuse("ACPI tables: %s (%s); they tell which cores there are",
               boot.acpi.problem != NULL ? boot.acpi.problem : "no RSDP", err_text(e));
    if (boot.acpi.problem != NULL)
        log_line("ACPI tables: %s", boot.acpi.problem);
    log_line("ACPI: %u processors, %u I/O APICs, power-off %s", boot.acpi.cpu_count,
             boot.acpi.ioapic_count, boot.acpi.have_s5 && boot.acpi.have_pm1a ? "yes" : "no");
}

/* An ISA interrupt to the bootstrap processor; false: it is not an input of this I/O APIC. */
static bool route_isa(uint8_t irq, uint8_t vector, uint32_t gsi_base, volatile uint32_t *mmio,
                      uint32_t pins)
{
    uint32_t gsi = acpi_isa_irq(&boot.acpi, irq).gsi;

    if (irq == SERIAL_IRQ_NONE || gsi < gsi_base || gsi - gsi_base >= pins)
        return false;
    ioapic_route(mmio, gsi - gsi_base, vector, apic_id());
    return true;
}

/* The console's interrupts, and no others; false: there is no I/O APIC input for the UART. */
static bool route_console(void)
{
    bool routed = false;

    pit_interrupt_after(0);
    for (uint32_t i = 0; i < boot.acpi.ioapic_count; i++) {
        const struct acpi_ioapic *io = &boot.acpi.ioapics[i];
        volatile uint32_t *mmio = map_device(io->hpa);
        uint32_t pins = ioapic_mask_all(mmio);

        routed |= route_isa(boot.outputs.uart_isa_irq, HOST_VECTOR_UART, io->gsi_base, mmio, pins);
        (void)route_isa(PIT_ISA_IRQ, HOST_VECTOR_TICK, io->gsi_base, mmio, pins);
    }
    return routed;
}

/* Whether the 8254's interrupts arrive, the console learns from the first one. */
static void test_tick(void)
{
    uint64_t start = rdtsc();

    pit_interrupt_after(TICK_TEST_US);
    while (rdtsc() - start < boot.tsc_hz / 1000000 * TICK_TEST_US * 2)
        cpu_take_interrupts();
}

static bool found_no_block(enum err e)
{
    return e == ERR_NOMEM && boot.pages.missing != 0;
}

static void create_regions(void)
{
    for (uint32_t i = 0; i < machine_config.region_count; i++) {
        const struct region_config *c = &machine_config.regions[i];
        const char *problem = NULL;
        enum err e = load_create_region(i, &boot.pages, &problem);

        if (found_no_block(e))
            fit_refuse_block(&boot.pages, c->line, "size", "shared", c->name, problem);
        if (e != OK)
            refuse("shared %s: %s (%s)", c->name, problem, err_text(e));
    }
}

static void create_guests(void)
{
    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        const struct guest_config *c = &machine_config.guests[i];
        const char *problem = NULL;
        char text[120];
        enum err e = vm_create(&vms[i], i, &boot.pages, boot.tsc_hz, &problem);

        if (found_no_block(e))
            fit_refuse_block(&boot.pages, c->memory_line, "memory", "guest", c->name, problem);
        if (e != OK)
            refuse("guest %s: %s (%s)", c->name, problem, err_text(e));
        size_t len = virt_apicv_describe(vms[i].apicv, text, sizeof(text));

        log_line("guest %s: local APIC: %s", c->name, len > 0 ? text + 2 : "software only");
    }
}

/* One that wraps is not RAM, whatever the firmware says; else it reaches to the end. */
static void add_area(uint64_t base, uint64_t len, const char *what)
{
    if (len > UINT64_MAX - base)
        len = what == NULL ? 0 : UINT64_MAX - base;
    boot.areas[boot.map.area_count++] = (struct host_area){base, len, what};
}

static void add_areas(void)
{
    for (unsigned i = 0; i < boot.info.memory_count; i++) {
        const struct boot_memory *m = &boot.info.memory[i];

        add_area(m->base, m->len, m->type == BOOT_MEMORY_USABLE ? NULL : "reserved");
    }
    add_area(boot.load_hpa, (uint64_t)image_end - (uint64_t)image_start, "image");
    add_area(boot.pages.pool_base, boot.pages.pool_len, "page-pool");
    add_area(boot.start_up_hpa, PAGE_SIZE, "start-up-page");
    add_area(boot.acpi.local_apic_hpa, PAGE_SIZE, "local-apic");
    for (uint32_t i = 0; i < boot.acpi.ioapic_count; i++)
        add_area(boot.acpi.ioapics[i].hpa, PAGE_SIZE, "io-apic");
    add_area(boot.outputs.framebuffer.base, boot.outputs.framebuffer.len, "framebuffer");
    add_area(boot.outputs.journal.base, boot.outputs.journal.len, "journal");
}

/* Looks at tables and bitmaps as they are, not as they were meant; no table changes afterwards. */
static void check_isolation(void)
{
    uint64_t start = rdtsc();

    _Static_assert(POOL_SIZE <= ISOLATION_POOL_PAGES * PAGE_SIZE, "each page has an owner");
    add_areas();
    boot.map.areas = boot.areas;
    boot.map.phys_bits = boot.pages.phys_bits;
    boot.map.pool_base = boot.pages.pool_base;
    boot.map.pool_used = boot.pages.pool_used;
    boot.map.root_hpa = boot.tables.root_hpa;
    if (!isolation_check(&boot.map, &boot.isolation))
        panic("isolation: %s", boot.isolation.problem);
    log_line("isolation: %u pages of tables and bitmaps give %u guests %u ranges of host memory, "
             "as configured; checked in %lu TSC ticks",
             boot.isolation.tables, machine_config.guest_count, boot.isolation.count,
             rdtsc() - start);
    dump_init(&boot.isolation);
}

static uint64_t unix_time_now(void)
{
    uint64_t now = rdtsc(); /* another core's TSC may be a little behind */

    return boot.unix_time +
           (now > boot.tsc_at_unix_time ? now - boot.tsc_at_unix_time : 0) / boot.tsc_hz;
}

/* --- steps, in order -------------------------------------------------------------------------- */

/* On the final tables and the bootstrap processor's own stack. */
static NORETURN void main_on_own_stack(void)
{
    char text[96];
    struct cpu *c = cpu_list[0];
    struct mem_range image = {boot.load_hpa, image_len()};

    load_core(c);
    phys_use_final();
    outputs_use_final(&boot.outputs);
    cpu_describe(text, sizeof(text));
    log_line("CPU: %s", text);
    read_acpi();
    outputs_find_uart(&boot.outputs, &boot.info, physical_address_width());
    outputs_report(&boot.outputs);
    c->usable = init_core(c);
    check_cores();
    apic_setup(map_device(boot.acpi.local_apic_hpa));
    pic_mask_all();
    apic_init();
    c->apic_id = apic_id(); /* CPUID's, reported above, may differ where firmware changed it */
    boot.tsc_hz = tsc_measure();
    if (boot.tsc_hz == 0)
        refuse("the TSC's frequency cannot be found: no 8254, and CPUID 15H does not say");
    boot.unix_time = rtc_read();
    boot.tsc_at_unix_time = rdtsc();
    start_cores();
    check_cores();
    fit_cores();
    fit_threads();
    fit_memory(&boot.pages, boot.ram_len);
    create_regions();
    create_guests();
    report_partitions(image, (struct mem_range){boot.pages.pool_base, boot.pages.pool_len});
    bool console_irq = route_console();

    test_tick();
    pages_freeze(&boot.pages);
    check_isolation();
    log_line("%u cores (%s), %u guests, %lu of %lu KiB of the page pool used", cpu_count,
             apic_is_x2apic() ? "x2APIC" : "xAPIC", machine_config.guest_count,
             boot.pages.pool_used / KIB, boot.pages.pool_len / KIB);
    log_line("hand-over to first guest: %lu TSC ticks; Ctrl-] ? for help",
             rdtsc() - boot_entry_tsc);
    console_start(console_irq);
    atomic_store_explicit(&boot.go, true, memory_order_release);
    for (unsigned i = 1; i < cpu_count; i++)
        apic_send(cpu_list[i]->apic_id, HOST_VECTOR_KICK);
    run_core();
}

void hv_main(uint32_t magic, uint64_t tags, uint64_t load_hpa)
{
    boot.load_hpa = load_hpa;
    boot.device_va = DEVICE_VA;
    trap_init();
    trap_load_idt();
    read_boot_info(magic, tags);
    find_memory();
    must(hostpt_init(&boot.tables, &boot.pages), "page tables");
    map_image();
    map(POOL_VA, boot.pages.pool_base, boot.pages.pool_len, HOSTPT_W);
    must(outputs_map(&boot.outputs, &boot.tables), "page tables of the screen");
    make_cpu(0, initial_apic_id());
    cpu_count = 1;
    __asm__ volatile("movq %0, %%cr3\n\t"
                     "movq %1, %%rsp\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "pushq $0\n\t"
                     "jmp *%2"
                     :
                     : "r"(boot.tables.root_hpa), "r"(STACK_VA + STACK_STRIDE),
                       "r"(main_on_own_stack)
                     : "memory");
    __builtin_unreachable();
}

/* --- every core, for the rest of its life ----------------------------------------------------- */

static void switch_off(void)
{
    log_line("all guests have ended: switching the machine off");
    console_flush();
    power_off(&boot.acpi);
    log_line("the machine did not switch off; you can do it by hand");
    console_flush();
}

void run_core(void)
{
    const struct cpu *c = this_cpu();
    uint32_t guest, vcpu;

    while (!atomic_load_explicit(&boot.go, memory_order_acquire))
        cpu_idle();
    if (vm_on_core(c->index, &guest, &vcpu)) {
        vm_run(&vms[guest], vcpu, unix_time_now());
        if (vcpu == 0 && vm_all_ended())
            switch_off();
    }
    for (;;)
        cpu_idle();
}

void host_interrupt(uint8_t vector)
{
    if (vector == HOST_VECTOR_SPURIOUS)
        return; /* no EOI: SDM 3A "Spurious Interrupt" */
    if (vector == HOST_VECTOR_UART)
        console_interrupt();
    if (vector == HOST_VECTOR_TICK)
        console_tick();
    if (vector == HOST_VECTOR_KICK)
        dump_answer(this_cpu()->index);
    apic_eoi();
}

void host_nmi(void)
{
    if (!atomic_load(&boot.halting)) {
        /* It may have come while this core holds the log's lock: it is only counted. */
        if (!atomic_exchange(&this_cpu()->nmi_expected, false))
            this_cpu()->nmis++;
        return;
    }
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

void machine_stop_others(void)
{
    if (!atomic_exchange(&boot.halting, true) && cpu_count > 1)
        apic_send_nmi_others();
}

void machine_halt(void)
{
    machine_stop_others();
    uart_drain();
    for (;;)
        __asm__ volatile("cli\n\thlt");
}
