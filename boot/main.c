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
#include "boot/handover.h"
#include "boot/outputs.h"
#include "boot/refusal.h"
#include "boot/report.h"
#include "guest/console.h"
#include "guest/dump.h"
#include "guest/isolation.h"
#include "guest/load.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/string.h"
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
    uint64_t own[2 * CPU_MAX]; /* pool pages of the cores themselves */
    struct host_map map;       /* of these */
    struct isolation isolation;
    uint64_t phase_ends[PHASE_COUNT]; /* TSC */
    char features[200];               /* of the first core, in words */
    atomic_bool go;                   /* guests may start */
    atomic_bool halting;              /* the machine is being stopped: an NMI means stop */
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

/* Notes that a step is over; report_phases tells how long each took. */
static void phase_end(enum boot_phase phase)
{
    boot.phase_ends[phase] = rdtsc();
}

/* --- memory ----------------------------------------------------------------------------------- */

static unsigned physical_address_width(void)
{
    return cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

static void read_boot_info(uint32_t magic, uint64_t tags)
{
    enum err e;

    if (magic == EFI_HANDOVER_MAGIC)
        e = bootinfo_from_efi((const void *)tags, BOOT_TAGS_MAX, &boot.info);
    else if (magic == MULTIBOOT2_BOOTLOADER_MAGIC)
        e = bootinfo_from_multiboot2((const void *)tags, BOOT_TAGS_MAX, &boot.info);
    else
        refusal_now(BIT32(REASON_LOADER), "EAX is %XH at entry: not started by a multiboot2 loader",
                    magic);
    outputs_find_screen(&boot.outputs, &boot.info, physical_address_width());
    if (e != OK)
        refusal_now(BIT32(REASON_LOADER), "boot information: %s (%s)", boot.info.problem,
                    err_text(e));
    log_line("loader: %s, firmware: %s, image at %lx, memory map of %u entries", boot.info.loader,
             boot.info.firmware == BOOT_FIRMWARE_UEFI ? "UEFI" : "BIOS", boot.load_hpa,
             boot.info.memory_count);
    log_line("handed over: RSDP of %u bytes, random seed of %u bytes", boot.info.rsdp_len,
             boot.info.seed_len);
}

/* Memory for our own use. */
static void must(enum err e, const char *what)
{
    if (e != OK)
        refusal_now(BIT32(REASON_MEMORY), "%s: %s", what, err_text(e));
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
    char text[sizeof(boot.features)];

    c->physical_core = topology_this_core();
    c->reasons = virt_check(c);
    if (c->reasons != 0 || virt_enable(c) != OK) {
        log_line("core %u: APIC id %u, %s", c->index, c->apic_id,
                 c->reasons != 0 ? "is up, but cannot run guests" : "VMXON failed");
        return false;
    }
    virt_describe(text, sizeof(text));
    log_line("core %u: APIC id %u, in VMX root operation; %s", c->index, c->apic_id,
             strcmp(text, boot.features) == 0 ? "as core 0" : text);
    if (c->index == 0)
        memcpy(boot.features, text, sizeof(text));
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
        if (!apic_reaches(found->apic_id)) {
            refusal_add(BIT32(REASON_X2APIC),
                        "core with APIC id %u: out of reach, as CPUID.1:ECX.x2APIC[bit 21] is 0",
                        found->apic_id);
            continue;
        }
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
    uint32_t mask = 0;

    for (unsigned i = 0; i < cpu_count; i++) {
        unusable += cpu_list[i]->usable ? 0 : 1;
        mask |= cpu_list[i]->reasons;
    }
    if (unusable > 0)
        refusal_add(mask, "%u of %u cores cannot run guests, see above", unusable, cpu_count);
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
    if (e != OK) {
        check_cores(); /* of the one that there is */
        refusal_now(BIT32(REASON_ACPI), "ACPI tables: %s (%s); they tell which cores there are",
                    boot.acpi.problem != NULL ? boot.acpi.problem : "no RSDP", err_text(e));
    }
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

    /* An I/O APIC's destination has 8 bits. */
    if (irq == SERIAL_IRQ_NONE || gsi < gsi_base || gsi - gsi_base >= pins ||
        apic_id() > APIC_ID_MAX)
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

static void describe_local_apic(const struct vm *vm, char *text, size_t size)
{
    char features[120];

    if (vm->config->direct)
        fmt_print(text, size, "direct, that of core %u; its timer counts at %u Hz",
                  vm->config->cores[0], vm->apic_timer_hz);
    else if (virt_apicv_describe(vm->apicv, features, sizeof(features)) > 0)
        fmt_print(text, size, "%s", features + 2);
    else
        fmt_print(text, size, "software only");
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
        if (c->direct)
            vms[i].apic_timer_hz = apic_timer_hz(boot.tsc_hz);
        describe_local_apic(&vms[i], text, sizeof(text));
        log_line("guest %s: local APIC: %s", c->name, text);
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
    boot.map.own = boot.own;
    for (unsigned i = 0; i < cpu_count; i++) {
        boot.own[boot.map.own_count++] = (uint64_t)cpu_list[i] - POOL_VA + boot.pages.pool_base;
        boot.own[boot.map.own_count++] = cpu_list[i]->vmxon_hpa;
    }
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
    phase_end(PHASE_ACPI);
    outputs_find_uart(&boot.outputs, &boot.info, physical_address_width());
    outputs_report(&boot.outputs);
    c->usable = init_core(c);
    phase_end(PHASE_CORE);
    apic_setup(map_device(boot.acpi.local_apic_hpa));
    pic_mask_all();
    apic_init();
    c->apic_id = apic_id(); /* CPUID's, reported above, may differ where firmware changed it */
    phase_end(PHASE_APIC);
    boot.tsc_hz = tsc_measure();
    if (boot.tsc_hz == 0)
        refusal_now(BIT32(REASON_CLOCK),
                    "the TSC's frequency cannot be found: no 8254, and CPUID 15H "
                    "does not say");
    boot.unix_time = rtc_read();
    boot.tsc_at_unix_time = rdtsc();
    phase_end(PHASE_CLOCK);
    start_cores();
    check_cores();
    phase_end(PHASE_CORES);
    fit_cores();
    fit_threads();
    fit_direct();
    fit_memory(&boot.pages, boot.ram_len);
    refusal_end();
    phase_end(PHASE_FIT);
    create_regions();
    phase_end(PHASE_REGIONS);
    create_guests();
    phase_end(PHASE_GUESTS);
    report_partitions(image, (struct mem_range){boot.pages.pool_base, boot.pages.pool_len});
    phase_end(PHASE_MAP);
    bool console_irq = route_console();

    test_tick();
    phase_end(PHASE_CONSOLE);
    pages_freeze(&boot.pages);
    check_isolation();
    phase_end(PHASE_ISOLATION);
    log_line("%u cores (%s), %u guests, %lu of %lu KiB of the page pool used", cpu_count,
             apic_is_x2apic() ? "x2APIC" : "xAPIC", machine_config.guest_count,
             boot.pages.pool_used / KIB, boot.pages.pool_len / KIB);
    log_line("hand-over to first guest: %lu TSC ticks; Ctrl-] ? for help",
             rdtsc() - boot_entry_tsc);
    report_phases(boot_entry_tsc, boot.phase_ends);
    console_start(console_irq);
    atomic_store_explicit(&boot.go, true, memory_order_release);
    for (unsigned i = 1; i < cpu_count; i++)
        apic_send(cpu_list[i]->apic_id, HOST_VECTOR_KICK);
    run_core();
}

void hv_main(uint32_t magic, uint64_t tags, uint64_t load_hpa)
{
    phase_end(PHASE_ENTRY);
    boot.load_hpa = load_hpa;
    boot.device_va = DEVICE_VA;
    trap_init();
    trap_load_idt();
    read_boot_info(magic, tags);
    phase_end(PHASE_BOOT_INFO);
    find_memory();
    phase_end(PHASE_MEMORY);
    must(hostpt_init(&boot.tables, &boot.pages), "page tables");
    map_image();
    map(POOL_VA, boot.pages.pool_base, boot.pages.pool_len, HOSTPT_W);
    must(outputs_map(&boot.outputs, &boot.tables), "page tables of the screen");
    make_cpu(0, initial_apic_id());
    cpu_count = 1;
    phase_end(PHASE_TABLES);
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
        dump_answer(c->index); /* asked for by an NMI, while the guest ended */
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
