/* unit: guest/isolation.c guest/load.c guest/gmem.c guest/load_linux.c
 * guest/load_multiboot.c guest/multiboot_info.c guest/acpi_tables.c
 * devices/mc146818.c lib/fmt.c mm/ept.c mm/hostpt.c mm/pt.c mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second opinion on isolation: two guests, "flat" and "rom", with the tables that the product
 * makes for them. What is made passes; each fault seeded into a table is found with its sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/layout.h"
#include "arch/x86/virt.h"
#include "guest/isolation.h"
#include "guest/load.h"
#include "guest/vm.h"
#include "mm/hostpt.h"
#include "mm/phys.h"
#include "tests/fake/phys_fake.h"

#define FLAT     0
#define ROM      1
#define ROM_LEN  (64 * KIB)
#define RING_LEN (8 * KIB)
#define RING_GPA 0xd0000000ull
#define APIC_GPA 0xfee00000ull
#define IMAGE    0x200000ull /* where the hypervisor is loaded */
#define LOCAL    0xfee00000ull
#define STACK    (STACK_VA + STACK_STRIDE - PAGE_SIZE)

static uint8_t image[ROM_LEN];
static const uint16_t cores[] = {0, 1, 2};
static const struct guest_share shares[] = {
    {.region = 0, .write = true,  .gpa = RING_GPA},
    {.region = 0, .write = false, .gpa = RING_GPA},
};
static const struct region_config regions[] = {
    {.name = "ring", .len = RING_LEN}
};
static struct guest_config guests[2];

const struct machine_config machine_config = {
    .name = "test",
    .guests = guests,
    .guest_count = 2,
    .regions = regions,
    .region_count = 1,
};
struct vm vms[2];

static struct pages pages;
static struct hostpt tables;
static struct host_area areas[8];
static struct host_map host;
static uint64_t own[2];
static struct isolation found;
static uint64_t ring_hpa;

__asm__(".data\n"
        ".globl dsdt_aml\n"
        "dsdt_aml: .zero 36\n"
        ".globl dsdt_aml_end\n"
        "dsdt_aml_end: .byte 0\n"
        ".text\n");

bool virt_ept_has_2m(void)
{
    return true;
}

bool virt_ept_has_1g(void)
{
    return true;
}

void cpu_take_interrupts(void)
{
}

/* --- what boot does --------------------------------------------------------------------------- */

static uint64_t page(void)
{
    uint64_t hpa = 0;

    assert_int_equal(pages_alloc(&pages, &hpa), OK);
    return hpa;
}

static uint8_t *bytes(uint64_t hpa)
{
    return phys_table(hpa);
}

/* SDM 3C "MSR-Bitmap Address": reads from 0, from C0000000H on at 400H; writes 800H further. */
static void open_msr(uint64_t bitmap, uint32_t msr, bool write)
{
    uint32_t at = (msr >= 0xc0000000 ? 0x400 : 0) + (write ? 0x800 : 0) + (msr & 0x1fff) / 8;

    bytes(bitmap)[at] &= (uint8_t) ~(1u << msr % 8);
}

static void make_vcpu(struct vm *vm, uint32_t index, const struct vcpu_memory *memory)
{
    struct vcpu *v = &vm->vcpu[index];

    v->vm = vm;
    v->index = index;
    v->arch.memory = *memory;
    v->arch.vmcs_hpa = page();
    v->arch.msr_bitmap_hpa = page();
    v->arch.io_bitmap_hpa = page();
    v->arch.apic_hpa = page();
    v->arch.posted_hpa = page();
    memset(bytes(v->arch.msr_bitmap_hpa), 0xff, PAGE_SIZE);
    memset(bytes(v->arch.io_bitmap_hpa), 0xff, PAGE_SIZE);
    open_msr(v->arch.msr_bitmap_hpa, 0x10, false);
    for (uint32_t msr = 0xc0000080; msr <= 0xc0000084; msr++) {
        open_msr(v->arch.msr_bitmap_hpa, msr, false);
        open_msr(v->arch.msr_bitmap_hpa, msr, true);
    }
}

static void make_guest(unsigned guest)
{
    struct vm *vm = &vms[guest];
    struct ept_range *apic;
    const char *problem = NULL;
    struct vcpu_memory memory;

    vm->config = &guests[guest];
    vm->index = guest;
    assert_int_equal(load_create(vm, &pages, &problem), OK);
    memory = (struct vcpu_memory){.eptp = ept_pointer(&vm->ept), .access_hpa = page()};
    apic = &vm->memory[vm_mapped_count(vm)];
    *apic = (struct ept_range){APIC_GPA, memory.access_hpa, PAGE_SIZE, EPT_R | EPT_W};
    assert_int_equal(load_make_ept(&vm->xapic_ept, &pages, vm->memory, vm_mapped_count(vm) + 1),
                     OK);
    memory.xapic_eptp = ept_pointer(&vm->xapic_ept);
    for (uint32_t i = 0; i < vm->config->vcpu_count; i++)
        make_vcpu(vm, i, &memory);
}

static void map(uint64_t va, uint64_t hpa, uint64_t len, unsigned flags)
{
    assert_int_equal(hostpt_map(&tables, va, hpa, len, flags), OK);
}

static void add_area(uint64_t base, uint64_t len, const char *what)
{
    areas[host.area_count++] = (struct host_area){base, len, what};
}

static int setup(void **state)
{
    const char *problem = NULL;
    uint64_t table;
    unsigned index;

    (void)state;
    memset(vms, 0, sizeof(vms));
    guests[FLAT] = (struct guest_config){
        .name = "flat",
        .type = GUEST_FLAT,
        .cores = cores,
        .vcpu_count = 1,
        .memory = 16 * MIB,
        .kernel = {image, 4096},
        .cmdline = "",
        .load_gpa = MIB,
        .shares = &shares[0],
        .share_count = 1,
    };
    guests[ROM] = guests[FLAT];
    guests[ROM].name = "rom";
    guests[ROM].type = GUEST_FIRMWARE;
    guests[ROM].vcpu_count = 2;
    guests[ROM].kernel.len = ROM_LEN;
    guests[ROM].shares = &shares[1];
    assert_int_equal(pages_init(&pages, 39), OK);
    assert_int_equal(pages_add(&pages, 4 * MIB, 60 * MIB), OK);
    assert_int_equal(pages_pool(&pages, 2 * MIB), OK);
    phys_fake_pool(pages.pool_base, 2 * MIB);
    assert_int_equal(hostpt_init(&tables, &pages), OK);
    map(IMAGE_VA, IMAGE, MIB, HOSTPT_X);
    map(IMAGE_VA + MIB, IMAGE + MIB, MIB, HOSTPT_W);
    map(POOL_VA, pages.pool_base, 2 * MIB, HOSTPT_W);
    map(STACK, page(), PAGE_SIZE, HOSTPT_W);
    map(DEVICE_VA, LOCAL, PAGE_SIZE, HOSTPT_W | HOSTPT_UC);
    assert_int_equal(hostpt_slot_2m(&tables, WINDOW_VA, &table, &index), OK);
    assert_int_equal(load_create_region(0, &pages, &problem), OK);
    ring_hpa = load_regions[0].base;
    make_guest(FLAT);
    make_guest(ROM);
    own[0] = page();
    own[1] = page();
    ((uint64_t *)phys_table(table))[index] = hostpt_entry_2m(vms[FLAT].memory[0].hpa, HOSTPT_W);
    host = (struct host_map){
        .areas = areas,
        .phys_bits = 39,
        .pool_base = pages.pool_base,
        .pool_used = pages.pool_used,
        .root_hpa = tables.root_hpa,
        .own = own,
        .own_count = ARRAY_LEN(own),
    };
    add_area(0, 9 * MIB, NULL);
    add_area(9 * MIB, 55 * MIB, NULL);
    add_area(0xf0000, 0x10000, "reserved");
    add_area(IMAGE, 2 * MIB, "image");
    add_area(pages.pool_base, 2 * MIB, "page-pool");
    add_area(0x9f000, PAGE_SIZE, "start-up-page");
    add_area(LOCAL, PAGE_SIZE, "local-apic");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fake_reset();
    return 0;
}

/* --- what a fault is seeded with -------------------------------------------------------------- */

/* The entry of a level on the way to an address, as SDM 3A "4-Level Paging" says. */
static uint64_t *entry(uint64_t root, uint64_t addr, unsigned level)
{
    uint64_t *table = phys_table(root & 0xffffffffff000);
    unsigned l = 4;

    for (; l > level; l--) {
        uint64_t e = table[addr >> (12 + 9 * (l - 1)) & 511];

        assert_int_not_equal(e, 0);
        assert_true(l == 4 || (e & 0x80) == 0);
        table = phys_table(e & 0xffffffffff000);
    }
    return &table[addr >> (12 + 9 * (l - 1)) & 511];
}

static uint64_t *ept(unsigned guest, uint64_t gpa, unsigned level)
{
    return entry(vms[guest].ept.root_hpa, gpa, level);
}

static uint64_t *host_entry(uint64_t va, unsigned level)
{
    return entry(tables.root_hpa, va, level);
}

static void point(uint64_t *e, uint64_t hpa)
{
    *e = (*e & ~0xffffffffff000ull) | hpa;
}

static void expect_ok(void)
{
    bool ok = isolation_check(&host, &found);

    if (!ok)
        fail_msg("%s", found.problem);
}

/* A fault is found, and its sentence has each of these. */
static void expect_fault(const char *const words[])
{
    assert_false(isolation_check(&host, &found));
    for (; *words != NULL; words++) {
        if (strstr(found.problem, *words) == NULL)
            fail_msg("no \"%s\" in: %s", *words, found.problem);
    }
}

#define FINDS(...) expect_fault((const char *const[]){__VA_ARGS__, NULL})

static const char *hex(uint64_t n)
{
    static char text[4][20];
    static unsigned at;

    at = (at + 1) % 4;
    snprintf(text[at], sizeof(text[at]), "%lx", n);
    return text[at];
}

/* --- what is right ---------------------------------------------------------------------------- */

static void test_what_the_product_makes_passes(void **state)
{
    (void)state;
    expect_ok();
    /* flat: RAM, APIC page, ring; rom: RAM below and above the hole, ROM, APIC page, ring */
    assert_int_equal(found.count, 8);
}

static void test_owners_of_pool_pages_are_known(void **state)
{
    uint64_t root = vms[ROM].ept.root_hpa;
    uint64_t bitmap = vms[FLAT].vcpu[0].arch.msr_bitmap_hpa;

    (void)state;
    expect_ok();
    assert_int_equal(found.owner[(root - pages.pool_base) / PAGE_SIZE], ISOLATION_TABLE | 3);
    assert_int_equal(found.owner[(bitmap - pages.pool_base) / PAGE_SIZE], ISOLATION_TABLE | 2);
    assert_int_equal(found.owner[0], ISOLATION_TABLE | ISOLATION_HYPERVISOR);
    assert_int_equal(found.owner[(vms[FLAT].vcpu[0].arch.vmcs_hpa - pages.pool_base) / PAGE_SIZE],
                     2); /* not a table */
}

/* The list is the manual's: each may be open both ways, the TSC for reads only. */
static void test_open_msrs_are_those_that_are_switched(void **state)
{
    static const uint32_t msrs[] = {0x174,      0x175,      0x176,      0x277,
                                    0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++) {
        open_msr(vms[ROM].vcpu[1].arch.msr_bitmap_hpa, msrs[i], false);
        open_msr(vms[ROM].vcpu[1].arch.msr_bitmap_hpa, msrs[i], true);
    }
    expect_ok();
}

static void test_ram_in_two_pieces_of_the_memory_map_is_ram(void **state)
{
    (void)state;
    areas[0].len = vms[FLAT].memory[0].hpa + 0x1000 - areas[0].base;
    areas[1].base = vms[FLAT].memory[0].hpa + 0x1000;
    expect_ok();
}

/* --- memory of others ------------------------------------------------------------------------- */

static void test_page_of_two_guests(void **state)
{
    uint64_t hpa = vms[FLAT].memory[0].hpa + 4 * MIB;

    (void)state;
    point(ept(ROM, 6 * MIB, 2), hpa);
    FINDS("guest flat", "guest-physical 400000", "guest rom", "600000", hex(hpa), "expected");
}

static void test_page_twice_in_one_guest(void **state)
{
    (void)state;
    point(ept(FLAT, 6 * MIB, 2), vms[FLAT].memory[0].hpa);
    FINDS("guest flat: guest-physical 0", "so does guest flat at guest-physical 600000");
}

static void test_page_of_the_hypervisors_image(void **state)
{
    (void)state;
    point(ept(FLAT, 6 * MIB, 2), IMAGE);
    FINDS("guest flat", "guest-physical 600000", "host 200000", "(image)");
}

static void test_table_page_reached_by_a_guest(void **state)
{
    (void)state;
    point(ept(ROM, 0x5000, 1), vms[FLAT].ept.root_hpa);
    FINDS("guest rom", "guest-physical 5000", hex(vms[FLAT].ept.root_hpa), "(page-pool)");
}

static void test_local_apic_of_the_host(void **state)
{
    (void)state;
    point(ept(ROM, 0x5000, 1), LOCAL);
    FINDS("guest rom", "guest-physical 5000", "host fee00000", "(local-apic)");
}

static void test_page_that_is_not_ram(void **state)
{
    (void)state;
    point(ept(ROM, 0x5000, 1), 64 * MIB);
    FINDS("guest rom", "guest-physical 5000", "host 4000000", "expected RAM", "memory map");
}

static void test_page_beyond_a_reserved_one(void **state)
{
    (void)state;
    add_area(vms[FLAT].memory[0].hpa + 0x3800, 0x10, "reserved");
    FINDS("guest flat", "guest-physical 3800", "(reserved)");
}

static void test_apic_page_of_the_other_guest(void **state)
{
    uint64_t other = vms[FLAT].vcpu[0].arch.memory.access_hpa;

    (void)state;
    point(entry(vms[ROM].xapic_ept.root_hpa, APIC_GPA, 1), other);
    FINDS("guest rom", "guest-physical fee00000", hex(other), "its APIC-access page");
    vms[ROM].vcpu[0].arch.memory.access_hpa = other;
    vms[ROM].vcpu[1].arch.memory.access_hpa = other;
    FINDS("rom: its APIC-access page", hex(other), "also in use by flat");
}

static void test_apic_page_is_a_stack(void **state)
{
    uint64_t stack = *host_entry(STACK, 1) & 0xffffffffff000;

    (void)state;
    point(entry(vms[FLAT].xapic_ept.root_hpa, APIC_GPA, 1), stack);
    vms[FLAT].vcpu[0].arch.memory.access_hpa = stack;
    FINDS("the hypervisor: its stack", hex(stack), "also in use by flat");
}

static void test_apic_page_in_the_tables_without(void **state)
{
    uint64_t eptp = vms[FLAT].vcpu[0].arch.memory.xapic_eptp;

    (void)state;
    vms[FLAT].vcpu[0].arch.memory.eptp = eptp;
    FINDS("guest flat", "guest-physical fee00000", "expected nothing");
}

static void test_accessor_reaches_more_than_the_guest(void **state)
{
    (void)state;
    vms[FLAT].memory[0].hpa += PAGE_SIZE;
    FINDS("guest flat", hex(vms[FLAT].memory[0].hpa), "guest-physical 0", "expected what its EPT");
}

static void test_accessor_reads_another_place_for_a_region(void **state)
{
    struct ept_range *share = &vms[ROM].memory[vms[ROM].memory_count];

    (void)state;
    share->hpa = vms[FLAT].memory[0].hpa;
    FINDS("guest rom", hex(share->hpa), "guest-physical d0000000", "expected what its EPT");
}

static void test_tables_with_the_apic_page_lead_elsewhere(void **state)
{
    (void)state;
    point(entry(vms[FLAT].xapic_ept.root_hpa, 6 * MIB, 2), 20 * MIB);
    FINDS("guest flat", "with and without the APIC-access page", "1202000", "1002000");
}

/* --- shared regions --------------------------------------------------------------------------- */

static void test_reader_that_may_write(void **state)
{
    (void)state;
    *ept(ROM, RING_GPA, 1) |= EPT_W;
    FINDS("guest rom", "guest-physical d0000000", hex(ring_hpa), "rights rw-", "expected r--");
}

static void test_shared_region_that_can_be_executed(void **state)
{
    (void)state;
    *ept(FLAT, RING_GPA + PAGE_SIZE, 1) |= EPT_X;
    FINDS("guest flat", "guest-physical d0001000", "rights rwx", "expected rw-");
}

static void test_two_writers(void **state)
{
    static const struct guest_share writer = {.region = 0, .write = true, .gpa = RING_GPA};

    (void)state;
    guests[ROM].shares = &writer;
    for (unsigned i = 0; i < 2; i++) {
        *ept(ROM, RING_GPA + i * PAGE_SIZE, 1) |= EPT_W;
        *entry(vms[ROM].xapic_ept.root_hpa, RING_GPA + i * PAGE_SIZE, 1) |= EPT_W;
    }
    FINDS("region ring", hex(ring_hpa), "flat and rom write it");
}

static void test_region_in_two_places(void **state)
{
    uint64_t hpa = 0;

    (void)state;
    assert_int_equal(pages_take_block(&pages, RING_LEN, PAGE_SIZE, &hpa), OK);
    for (unsigned i = 0; i < 2; i++) {
        point(ept(ROM, RING_GPA + i * PAGE_SIZE, 1), hpa + i * PAGE_SIZE);
        point(entry(vms[ROM].xapic_ept.root_hpa, RING_GPA + i * PAGE_SIZE, 1), hpa + i * PAGE_SIZE);
    }
    FINDS("region ring", hex(ring_hpa), "guest rom at", hex(hpa), "expected one place");
}

static void test_region_that_only_one_names(void **state)
{
    (void)state;
    guests[ROM].share_count = 0;
    FINDS("guest rom", "guest-physical d0000000", hex(ring_hpa), "expected nothing");
}

/* --- entries ---------------------------------------------------------------------------------- */

static void test_writable_rom(void **state)
{
    uint64_t hpa = vms[ROM].memory[2].hpa;

    (void)state;
    *ept(ROM, 0xffff0000, 1) |= EPT_W;
    FINDS("guest rom", "guest-physical ffff0000", hex(hpa), "rights rwx", "expected r-x");
}

static void test_executable_apic_page(void **state)
{
    (void)state;
    *entry(vms[ROM].xapic_ept.root_hpa, APIC_GPA, 1) |= EPT_X;
    FINDS("guest rom", "guest-physical fee00000", "rights rwx", "expected rw-");
}

static void test_write_without_read(void **state)
{
    (void)state;
    *ept(FLAT, 2 * MIB, 2) &= ~(uint64_t)EPT_R;
    FINDS("guest flat", "guest-physical 200000", "rights -wx", "expected rwx");
}

static void test_wrong_memory_type(void **state)
{
    (void)state;
    *ept(FLAT, 2 * MIB, 2) &= ~0x38ull;
    FINDS("guest flat", "guest-physical 200000", "memory type 0", "expected 6");
}

static void test_reserved_bits(void **state)
{
    static const unsigned level[] = {2, 2, 2, 2, 3, 4, 4};
    static const uint64_t bits[] = {
        0x1000,  /* [20:12] below a 2 MiB page */
        BIT(39), /* beyond the address width */
        0x40,    /* ignore PAT */
        BIT(63), /* suppress #VE */
        0x8,     /* [6:3] of a link */
        0x80,    /* [7] in level 4 */
        0x100,   /* accessed, though the flags are off */
    };

    for (unsigned i = 0; i < ARRAY_LEN(bits); i++) {
        uint64_t *e = ept(FLAT, 2 * MIB, level[i]);

        *e ^= bits[i];
        FINDS("guest flat", "EPT entry", hex(*e), "reserved", "expected");
        (void)teardown(state);
        (void)setup(state);
    }
}

static void test_wrong_pointer(void **state)
{
    (void)state;
    vms[FLAT].vcpu[0].arch.memory.eptp |= 0x40; /* accessed and dirty flags */
    FINDS("guest flat", "EPT pointer", "expected");
}

static void test_bitmap_on_a_cores_own_page(void **state)
{
    (void)state;
    own[1] = vms[FLAT].vcpu[0].arch.msr_bitmap_hpa;
    FINDS("the hypervisor: its core's area", hex(own[1]), "also in use by flat");
}

static void test_vcpu_with_other_tables(void **state)
{
    (void)state;
    vms[ROM].vcpu[1].arch.memory.eptp = vms[FLAT].vcpu[0].arch.memory.eptp;
    FINDS("guest rom", "vCPU 1", hex(vms[FLAT].vcpu[0].arch.memory.eptp), "expected vCPU 0's");
}

static void test_table_of_two_guests(void **state)
{
    uint64_t table = *ept(FLAT, 0, 3) & 0xffffffffff000;

    (void)state;
    point(ept(ROM, 0, 3), table);
    FINDS("EPT table", hex(table), "in use by flat", "expected a page to itself");
}

static void test_table_outside_the_pool(void **state)
{
    (void)state;
    point(ept(ROM, 0, 3), vms[ROM].memory[1].hpa);
    FINDS("rom: its EPT table", hex(vms[ROM].memory[1].hpa), "expected a page of the page pool");
}

static void test_too_little_and_too_much(void **state)
{
    (void)state;
    *ept(FLAT, 14 * MIB, 2) = 0;
    FINDS("guest flat", hex(vms[FLAT].ept.root_hpa), "e02000 bytes", "expected 1002000");
    *ept(FLAT, 14 * MIB, 2) = vms[FLAT].memory[0].hpa + 14 * MIB + 0xb7;
    expect_ok();
    *ept(FLAT, 16 * MIB, 2) = 40 * MIB + 0xb7;
    FINDS("guest flat", "guest-physical 1000000", "host 2800000", "expected nothing");
}

/* --- ports and MSRs --------------------------------------------------------------------------- */

static void test_open_port(void **state)
{
    (void)state;
    bytes(vms[FLAT].vcpu[0].arch.io_bitmap_hpa)[0x3f8 / 8] &= (uint8_t)~1;
    FINDS("guest flat, vCPU 0", "ports 3f8 and 83f8 do not exit");
}

static void test_open_msrs(void **state)
{
    static const struct {
        uint32_t msr;
        bool write;
        const char *text;
    } cases[] = {
        {0x1b,       true,  "WRMSR of MSR 1b "      }, /* IA32_APIC_BASE */
        {0x10,       true,  "WRMSR of MSR 10 "      }, /* the TSC is for reading only */
        {0x830,      true,  "WRMSR of MSR 830 "     }, /* the host's x2APIC ICR */
        {0xda0,      false, "RDMSR of MSR da0 "     }, /* IA32_XSS */
        {0xc0000085, false, "RDMSR of MSR c0000085 "},
        {0,          false, "RDMSR of MSR 0 "       },
        {0x1fff,     true,  "WRMSR of MSR 1fff "    },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        open_msr(vms[ROM].vcpu[1].arch.msr_bitmap_hpa, cases[i].msr, cases[i].write);
        FINDS("guest rom, vCPU 1", cases[i].text, "expected an exit");
        (void)teardown(state);
        (void)setup(state);
    }
}

/* The registers of the core's local APIC that `apic: direct` names, and only in a guest that has it. */
static void test_open_msrs_of_a_direct_guest(void **state)
{
    static const struct {
        uint32_t msr;
        bool write, good;
    } cases[] = {
        {0x6e0, true,  true }, /* IA32_TSC_DEADLINE */
        {0x808, false, true }, /* TPR */
        {0x80b, true,  true }, /* EOI */
        {0x810, false, true }, /* ISR */
        {0x827, false, true }, /* IRR */
        {0x832, true,  true }, /* LVT timer */
        {0x838, true,  true }, /* initial count */
        {0x839, false, true }, /* current count */
        {0x83f, true,  true }, /* self IPI */
        {0x802, false, false}, /* ID */
        {0x80a, true,  false}, /* PPR */
        {0x82f, true,  false}, /* LVT CMCI */
        {0x830, true,  false}, /* ICR */
        {0x831, true,  false},
        {0x833, true,  false}, /* LVT thermal */
        {0x836, true,  false}, /* LVT LINT1 */
        {0x837, true,  false}, /* LVT error */
        {0x1b,  true,  false}, /* IA32_APIC_BASE */
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        guests[FLAT].direct = true;
        open_msr(vms[FLAT].vcpu[0].arch.msr_bitmap_hpa, cases[i].msr, cases[i].write);
        if (cases[i].good)
            expect_ok();
        guests[FLAT].direct = cases[i].good ? false : true;
        FINDS("guest flat, vCPU 0", "expected an exit");
        (void)teardown(state);
        (void)setup(state);
    }
}

static void test_bitmap_of_another_vcpu(void **state)
{
    (void)state;
    vms[ROM].vcpu[1].arch.io_bitmap_hpa = vms[FLAT].vcpu[0].arch.io_bitmap_hpa;
    FINDS("rom: its I/O bitmap", "in use by flat");
}

/* --- the hypervisor --------------------------------------------------------------------------- */

static void test_writable_and_executable_page(void **state)
{
    (void)state;
    *host_entry(IMAGE_VA + MIB + 0x3000, 1) &= ~BIT(63);
    FINDS("the hypervisor's page at ffffffff80103000", "host 303000", "writable and executable");
}

static void test_guest_memory_mapped_outside_the_windows(void **state)
{
    (void)state;
    map(DEVICE_VA + PAGE_SIZE, vms[FLAT].memory[0].hpa + 0x7000, PAGE_SIZE, 0);
    host.pool_used = pages.pool_used;
    FINDS("the hypervisor's page at ffff818000001000", hex(vms[FLAT].memory[0].hpa + 0x7000),
          "guest flat's memory", "expected only windows");
}

static void test_executable_window(void **state)
{
    (void)state;
    *host_entry(WINDOW_VA, 2) &= ~BIT(63);
    FINDS("the hypervisor's page at ffff808000000000", "writable and executable");
}

static void test_user_page_of_the_hypervisor(void **state)
{
    (void)state;
    *host_entry(IMAGE_VA, 1) |= 4;
    FINDS("the hypervisor's page at ffffffff80000000", "unused bits");
}

static void test_hypervisors_table_is_a_guests(void **state)
{
    (void)state;
    point(host_entry(DEVICE_VA, 2), *ept(ROM, 0, 2) & 0xffffffffff000);
    FINDS("the hypervisor: its page table", "in use by rom");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_what_the_product_makes_passes),
        T(test_owners_of_pool_pages_are_known),
        T(test_open_msrs_are_those_that_are_switched),
        T(test_ram_in_two_pieces_of_the_memory_map_is_ram),
        T(test_page_of_two_guests),
        T(test_page_twice_in_one_guest),
        T(test_page_of_the_hypervisors_image),
        T(test_table_page_reached_by_a_guest),
        T(test_local_apic_of_the_host),
        T(test_page_that_is_not_ram),
        T(test_page_beyond_a_reserved_one),
        T(test_apic_page_of_the_other_guest),
        T(test_apic_page_is_a_stack),
        T(test_apic_page_in_the_tables_without),
        T(test_accessor_reaches_more_than_the_guest),
        T(test_accessor_reads_another_place_for_a_region),
        T(test_tables_with_the_apic_page_lead_elsewhere),
        T(test_reader_that_may_write),
        T(test_shared_region_that_can_be_executed),
        T(test_two_writers),
        T(test_region_in_two_places),
        T(test_region_that_only_one_names),
        T(test_writable_rom),
        T(test_executable_apic_page),
        T(test_write_without_read),
        T(test_wrong_memory_type),
        T(test_reserved_bits),
        T(test_wrong_pointer),
        T(test_vcpu_with_other_tables),
        T(test_table_of_two_guests),
        T(test_table_outside_the_pool),
        T(test_too_little_and_too_much),
        T(test_open_port),
        T(test_open_msrs),
        T(test_open_msrs_of_a_direct_guest),
        T(test_bitmap_of_another_vcpu),
        T(test_writable_and_executable_page),
        T(test_guest_memory_mapped_outside_the_windows),
        T(test_executable_window),
        T(test_user_page_of_the_hypervisor),
        T(test_hypervisors_table_is_a_guests),
        T(test_bitmap_on_a_cores_own_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
