/* unit: guest/load.c guest/gmem.c guest/load_linux.c guest/load_multiboot.c
 * guest/multiboot_info.c guest/acpi_tables.c devices/mc146818.c mm/ept.c mm/pt.c mm/pages.c
 * tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's memory: which host blocks it gets, what its addresses reach, what a start puts there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/cpu.h"
#include "arch/x86/virt.h"
#include "guest/acpi_tables.h"
#include "guest/gmem.h"
#include "guest/load.h"
#include "guest/vm.h"
#include "mm/phys.h"
#include "tests/fake/phys_fake.h"

#define POOL    (2 * MIB)
#define ROM_LEN (256 * KIB)

static struct vm vm;
static struct guest_config config;
static struct guest_share shares[CONFIG_SHARES_MAX + 1];
static struct region_config regions[CONFIG_REGIONS_MAX + 1];
const struct machine_config machine_config = {
    .guests = &config,
    .guest_count = 1,
    .regions = regions,
    .region_count = CONFIG_REGIONS_MAX + 1,
};
static struct pages pages;
static uint8_t rom[ROM_LEN];
static bool page_1g;

/* The rest of the hypervisor, as far as it is asked. */

__asm__(".data\n"
        ".globl dsdt_aml\n"
        "dsdt_aml: .ascii \"DSDT\"\n"
        ".long 36\n"
        ".byte 2, 0xab\n"
        ".zero 26\n"
        ".globl dsdt_aml_end\n"
        "dsdt_aml_end: .byte 0\n"
        ".text\n");

bool virt_ept_has_2m(void)
{
    return true;
}

bool virt_ept_has_1g(void)
{
    return page_1g;
}

void cpu_take_interrupts(void)
{
}

static int setup(void **state)
{
    (void)state;
    page_1g = true;
    memset(&vm, 0, sizeof(vm));
    for (size_t i = 0; i < sizeof(rom); i++)
        rom[i] = (uint8_t)(i * 7 + i / 256);
    memset(regions, 0, sizeof(regions));
    memset(load_regions, 0, sizeof(load_regions));
    config = (struct guest_config){
        .name = "g",
        .type = GUEST_FLAT,
        .vcpu_count = 1,
        .memory = 16 * MIB,
        .kernel = {rom, 4096},
        .cmdline = "",
        .load_gpa = MIB,
        .entry_gpa = MIB,
    };
    vm.config = &config;
    assert_int_equal(pages_init(&pages, 39), OK);
    assert_int_equal(pages_add(&pages, 2 * MIB, POOL), OK); /* for the pool */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fake_reset();
    return 0;
}

static void host(uint64_t base, uint64_t len)
{
    assert_int_equal(pages_add(&pages, base, len), OK);
}

static enum err create(void)
{
    const char *problem = NULL;

    if (pages.stage != PAGES_READY) {
        assert_int_equal(pages_pool(&pages, POOL), OK);
        phys_fake_pool(pages.pool_base, POOL);
    }
    enum err e = load_create(&vm, &pages, &problem);

    assert_non_null(problem);
    assert_true(vm.memory_count <= VM_RANGES_MAX);
    if (e == OK)
        assert_true(ept_ok(&vm.ept, vm.memory, vm_mapped_count(&vm)));
    return e;
}

static void expect_range(unsigned i, uint64_t gpa, uint64_t hpa, uint64_t len, unsigned perms)
{
    assert_true(i < vm_mapped_count(&vm));
    assert_int_equal(vm.memory[i].gpa, gpa);
    assert_int_equal(vm.memory[i].hpa, hpa);
    assert_int_equal(vm.memory[i].len, len);
    assert_int_equal(vm.memory[i].perms, perms);
}

static uint64_t page_size(uint64_t gpa)
{
    struct ept_view view;

    assert_int_equal(ept_walk(&vm.ept, gpa, &view), OK);
    return view.size;
}

static bool is_mapped(uint64_t gpa)
{
    struct ept_view view;

    return ept_walk(&vm.ept, gpa, &view) == OK;
}

/* --- host blocks ------------------------------------------------------------------------------ */

static void test_smallest_guest(void **state)
{
    (void)state;
    host(16 * MIB, 64 * MIB);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory_count, 1);
    expect_range(0, 0, 64 * MIB, 16 * MIB, EPT_RWX);
    assert_int_equal(page_size(0), PAGE_2M);
    assert_false(is_mapped(16 * MIB));
}

static void test_three_gib_are_one_block_below_the_hole(void **state)
{
    (void)state;
    config.memory = 3 * GIB;
    host(4 * GIB, 3 * GIB);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory_count, 1);
    expect_range(0, 0, 4 * GIB, 3 * GIB, EPT_RWX);
    assert_int_equal(page_size(3 * GIB - 1), PAGE_1G);
    assert_false(is_mapped(3 * GIB));
    assert_false(is_mapped(4 * GIB));
}

static void test_more_goes_on_above_4_gib(void **state)
{
    (void)state;
    config.memory = 5 * GIB + 2 * MIB;
    host(4 * GIB, 8 * GIB);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory_count, 2);
    expect_range(0, 0, 9 * GIB, 3 * GIB, EPT_RWX);
    expect_range(1, 4 * GIB, 6 * GIB, 2 * GIB + 2 * MIB, EPT_RWX);
    assert_int_equal(page_size(0), PAGE_1G);
    assert_int_equal(page_size(4 * GIB), PAGE_1G);
    assert_int_equal(page_size(6 * GIB - 1), PAGE_1G);
    assert_int_equal(page_size(6 * GIB), PAGE_2M);
    assert_false(is_mapped(3 * GIB));
    assert_false(is_mapped(4 * GIB - 1));
    assert_false(is_mapped(6 * GIB + 2 * MIB));
}

static void test_first_step_above_the_hole(void **state)
{
    (void)state;
    config.memory = 3 * GIB + 2 * MIB;
    host(4 * GIB, 4 * GIB);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory_count, 2);
    assert_int_equal(vm.memory[1].gpa, 4 * GIB);
    assert_int_equal(vm.memory[1].len, 2 * MIB);
}

static void test_a_host_with_a_hole_of_its_own_gives_two_blocks(void **state)
{
    (void)state;
    config.memory = 5 * GIB;
    host(16 * MIB, 3 * GIB - 32 * MIB); /* low RAM ends below 3 GiB */
    host(4 * GIB, 3 * GIB);
    assert_int_equal(create(), OK);
    expect_range(0, 0, 4 * GIB, 3 * GIB, EPT_RWX);
    expect_range(1, 4 * GIB, 3 * GIB - 16 * MIB - 2 * GIB, 2 * GIB, EPT_RWX);
    assert_int_equal(page_size(4 * GIB), PAGE_2M); /* no 1 GiB-aligned place was left */
}

static void test_without_1_gib_pages(void **state)
{
    (void)state;
    page_1g = false;
    config.memory = 5 * GIB;
    host(4 * GIB + 2 * MIB, 5 * GIB);
    assert_int_equal(create(), OK);
    assert_int_equal(page_size(0), PAGE_2M);
    assert_int_equal(page_size(4 * GIB), PAGE_2M);
}

static void test_too_little_host_memory(void **state)
{
    (void)state;
    config.memory = 5 * GIB;
    host(4 * GIB, 3 * GIB);
    assert_int_equal(create(), ERR_NOMEM);
    setup(state);
    config.memory = 3 * GIB;
    host(4 * GIB, 3 * GIB - 2 * MIB);
    assert_int_equal(create(), ERR_NOMEM);
    setup(state);
    config.type = GUEST_FIRMWARE;
    config.kernel = (struct guest_image){rom, ROM_LEN};
    host(16 * MIB, 16 * MIB);
    assert_int_equal(create(), ERR_NOMEM);
}

static void test_memory_beyond_the_address_width(void **state)
{
    (void)state;
    assert_int_equal(pages_init(&pages, 33), OK);
    host(2 * MIB, POOL);
    config.memory = 7 * GIB + 2 * MIB; /* its last byte would be at 8 GiB + 2 MiB - 1 */
    host(4 * MIB, 4 * GIB - 4 * MIB);
    host(4 * GIB, 4 * GIB);
    assert_int_not_equal(create(), OK);
}

static void test_images_that_do_not_fit(void **state)
{
    (void)state;
    host(4 * GIB, 8 * GIB);
    config.load_gpa = 16 * MIB - 4096;
    assert_int_equal(create(), OK);
    config.load_gpa++;
    assert_int_equal(create(), ERR_RANGE);
    config.load_gpa = UINT64_MAX;
    assert_int_equal(create(), ERR_RANGE);
    config.memory = 5 * GIB;
    config.load_gpa = 3 * GIB - 4095; /* into the hole */
    assert_int_equal(create(), ERR_RANGE);
    config.type = GUEST_FIRMWARE;
    for (uint64_t len = 0; len <= 32 * MIB; len += len == 16 * MIB ? 4096 : 16 * MIB - 4095) {
        config.kernel.len = len;
        assert_int_equal(create(), len == 16 * MIB ? OK : ERR_RANGE);
        vm.memory_count = 0;
        if (len > 16 * MIB)
            break;
    }
    config.kernel.len = 4095;
    assert_int_equal(create(), ERR_RANGE);
}

/* --- access ----------------------------------------------------------------------------------- */

/* A guest of 5 GiB in two blocks; the host memory at the edges exists. */
static void make_big(void)
{
    config.memory = 5 * GIB;
    host(4 * GIB, 8 * GIB);
    assert_int_equal(create(), OK);
    for (unsigned i = 0; i < 2; i++) {
        phys_fake_add(vm.memory[i].hpa, PAGE_2M);
        phys_fake_add(vm.memory[i].hpa + vm.memory[i].len - 2 * PAGE_2M, 2 * PAGE_2M);
    }
}

static void check_access(uint64_t gpa, size_t len, bool good)
{
    static uint8_t out[2 * PAGE_2M];
    static uint8_t in[2 * PAGE_2M];

    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(rand() | 1);
    memset(in, 0, sizeof(in));
    assert_int_equal(gmem_write(&vm, gpa, out, len), good);
    assert_int_equal(gmem_read(&vm, gpa, in, len), good);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(in[i], good ? out[i] : 0);

    const void *view = gmem_view(&vm, gpa, len);

    assert_int_equal(view != NULL, good && gpa % PAGE_2M + len <= PAGE_2M);
    if (view != NULL)
        assert_memory_equal(view, out, len);
}

static void test_access_ends_with_each_range(void **state)
{
    static const uint64_t edges[] = {3 * GIB, 6 * GIB};

    (void)state;
    make_big();
    for (unsigned i = 0; i < 2; i++) {
        for (size_t len = 1; len <= 9; len++) {
            for (uint64_t gpa = edges[i] - 12; gpa < edges[i] + 12; gpa++)
                check_access(gpa, len, gpa + len <= edges[i]);
        }
        check_access(edges[i] - PAGE_2M - 4, PAGE_2M + 4, true); /* over a window's end */
        check_access(edges[i] - PAGE_2M - 4, PAGE_2M + 5, false);
    }
    for (size_t len = 1; len <= 9; len++) {
        for (uint64_t gpa = 4 * GIB - 12; gpa < 4 * GIB + 12; gpa++)
            check_access(gpa, len, gpa >= 4 * GIB);
        check_access(UINT64_MAX, len, false);
        check_access(UINT64_MAX - 8, len, false);
        check_access(0 - (uint64_t)len, len, false);
    }
    check_access(3 * GIB - PAGE_2M, PAGE_2M, true);
    assert_false(gmem_read(&vm, 0, NULL, SIZE_MAX));
    assert_false(gmem_read(&vm, 4 * GIB, NULL, SIZE_MAX));
}

static void test_the_two_ranges_are_different_memory(void **state)
{
    uint64_t low = 0x1111111111111111;
    uint64_t high = 0x2222222222222222;
    uint64_t value = 0;

    (void)state;
    make_big();
    assert_true(gmem_write(&vm, 0, &low, 8));
    assert_true(gmem_write(&vm, 4 * GIB, &high, 8));
    assert_true(gmem_read(&vm, 0, &value, 8));
    assert_int_equal(value, low);
    assert_true(gmem_read(&vm, 4 * GIB, &value, 8));
    assert_int_equal(value, high);
}

/* --- shared regions --------------------------------------------------------------------------- */

#define RING_GPA 0xd0000000ull

/* As each life begins. */
static enum err scrub_and_load(struct vcpu_start *start)
{
    gmem_scrub_begin(&vm);
    gmem_scrub(&vm);
    assert_true(gmem_scrubbed(&vm));
    return load_start(&vm, start);
}

/* A host with 64 MiB, in which every byte is 5AH. */
static void make_host(void)
{
    static uint8_t dirt[PAGE_2M];

    memset(dirt, 0x5a, sizeof(dirt));
    host(16 * MIB, 64 * MIB);
    assert_int_equal(pages_pool(&pages, POOL), OK);
    phys_fake_pool(pages.pool_base, POOL);
    phys_fake_add(16 * MIB, 64 * MIB);
    for (uint64_t at = 16 * MIB; at < 80 * MIB; at += PAGE_2M)
        phys_fake_write(at, dirt, sizeof(dirt));
}

static enum err create_region(uint32_t index, uint64_t len)
{
    const char *problem = NULL;

    regions[index] = (struct region_config){.name = "ring", .len = len};
    enum err e = load_create_region(index, &pages, &problem);

    assert_non_null(problem);
    return e;
}

static void share(unsigned region, uint64_t gpa, bool write)
{
    shares[config.share_count++] =
        (struct guest_share){.region = (uint16_t)region, .gpa = gpa, .write = write};
    config.shares = shares;
}

/* --- clearing --------------------------------------------------------------------------------- */

static uint8_t ram_byte(unsigned range, uint64_t offset)
{
    return *(uint8_t *)phys_window(vm.memory[range].hpa + offset);
}

static void test_each_byte_of_ram_is_cleared_and_no_other(void **state)
{
    struct vcpu_start start;

    (void)state;
    make_host();
    config.memory = 17 * MIB; /* the last piece is not whole */
    assert_int_equal(create(), OK);
    assert_int_equal(scrub_and_load(&start), OK);
    for (uint64_t at = 0; at < 17 * MIB; at += 4 * KIB) {
        if (at < MIB || at >= 2 * MIB) /* the image */
            assert_int_equal(ram_byte(0, at + 4095), 0);
    }
    assert_int_equal(ram_byte(0, 17 * MIB), 0x5a);
}

/* Another core has taken a piece and is slow; it comes again when all is done. */
static void test_clearing_is_over_when_every_core_is_done(void **state)
{
    (void)state;
    make_host();
    config.memory = 16 * MIB;
    assert_int_equal(create(), OK);
    gmem_scrub(&vm); /* before it has begun */
    assert_int_equal(ram_byte(0, 0), 0x5a);
    gmem_scrub_begin(&vm);
    assert_int_equal(atomic_fetch_sub(&vm.scrub_left, 1), 8);
    gmem_scrub(&vm);
    assert_false(gmem_scrubbed(&vm));
    assert_int_equal(ram_byte(0, 14 * MIB - 1), 0);
    assert_int_equal(ram_byte(0, 14 * MIB), 0x5a);
    atomic_fetch_sub(&vm.scrub_unfinished, 1);
    assert_true(gmem_scrubbed(&vm));
    gmem_scrub(&vm);
    assert_true(gmem_scrubbed(&vm));
    assert_int_equal(ram_byte(0, 14 * MIB), 0x5a);
}

static void test_share_is_mapped_with_its_rights_only(void **state)
{
    struct ept_view view;

    (void)state;
    make_host();
    assert_int_equal(create_region(0, 64 * KIB), OK);
    assert_int_equal(create_region(1, 2 * MIB), OK);
    share(0, RING_GPA, true);
    share(1, RING_GPA + 2 * MIB, false);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory_count, 1);
    assert_int_equal(vm.share_count, 2);
    assert_int_equal(ept_walk(&vm.ept, RING_GPA + 0x1234, &view), OK);
    assert_int_equal(view.hpa, load_regions[0].base + 0x1234);
    assert_int_equal(view.perms, EPT_R | EPT_W);
    assert_int_equal(view.memory, EPT_WB);
    assert_int_equal(ept_walk(&vm.ept, RING_GPA + 2 * MIB, &view), OK);
    assert_int_equal(view.hpa, load_regions[1].base);
    assert_int_equal(view.perms, EPT_R);
    assert_int_equal(view.size, PAGE_2M);
    assert_false(is_mapped(RING_GPA - 1));
    assert_false(is_mapped(RING_GPA + 64 * KIB));
    assert_false(is_mapped(RING_GPA + 4 * MIB));
    assert_int_equal(load_regions[0].len, 64 * KIB);
    assert_int_equal(load_regions[1].len, 2 * MIB);
}

static void test_share_is_cleared_once_and_kept_over_a_start(void **state)
{
    struct vcpu_start start;
    uint64_t value = 0x1122334455667788;

    (void)state;
    make_host();
    assert_int_equal(create_region(0, 64 * KIB), OK);
    for (uint64_t at = 0; at < 64 * KIB; at++)
        assert_int_equal(*(uint8_t *)phys_window(load_regions[0].base + at), 0);
    assert_int_equal(*(uint8_t *)phys_window(load_regions[0].base - 1), 0x5a);
    share(0, RING_GPA, true);
    assert_int_equal(create(), OK);
    phys_fake_write(load_regions[0].base + 8, &value, 8);
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(scrub_and_load(&start), OK);
        assert_memory_equal(phys_window(load_regions[0].base + 8), &value, 8);
    }
}

/* Operands of instructions are read there; nothing else is, and nothing is written. */
static void test_share_is_not_the_guests_memory(void **state)
{
    uint64_t value = 0x1122334455667788;
    uint64_t got = 0;

    (void)state;
    make_host();
    assert_int_equal(create_region(0, 64 * KIB), OK);
    share(0, RING_GPA, true);
    assert_int_equal(create(), OK);
    phys_fake_write(load_regions[0].base, &value, 8);
    assert_false(gmem_read(&vm, RING_GPA, &got, 8));
    assert_false(gmem_write(&vm, RING_GPA, &got, 8));
    assert_false(gmem_fill(&vm, RING_GPA, &got, 8));
    assert_false(gmem_exchange(&vm, RING_GPA, 8, value, 0));
    assert_memory_equal(phys_window(load_regions[0].base), &value, 8);
    assert_true(gmem_read_operand(&vm, RING_GPA, &got, 8));
    assert_int_equal(got, value);
    assert_true(gmem_read_operand(&vm, RING_GPA + 64 * KIB - 8, &got, 8));
    assert_false(gmem_read_operand(&vm, RING_GPA + 64 * KIB - 7, &got, 8));
    assert_false(gmem_read_operand(&vm, RING_GPA - 1, &got, 8));
    assert_true(gmem_read_operand(&vm, 0, &got, 8));
}

static void test_shares_of_two_guests_are_the_same_memory(void **state)
{
    uint64_t base;

    (void)state;
    make_host();
    assert_int_equal(create_region(0, 64 * KIB), OK);
    share(0, RING_GPA, true);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory[1].perms, EPT_R | EPT_W);
    base = vm.memory[1].hpa;
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    config.share_count = 0;
    share(0, 4 * GIB, false);
    assert_int_equal(create(), OK);
    expect_range(1, 4 * GIB, base, 64 * KIB, EPT_R);
}

static void expect_share(uint64_t gpa, enum err e)
{
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    config.share_count = 0;
    share(0, gpa, false);
    assert_int_equal(create(), e);
}

static void test_places_for_a_share(void **state)
{
    (void)state;
    config.memory = 2 * MIB;
    config.load_gpa = MIB;
    make_host();
    assert_int_equal(create_region(0, 64 * KIB), OK);
    expect_share(2 * MIB - 4096, ERR_OVERLAP); /* its RAM */
    expect_share(0, ERR_OVERLAP);
    expect_share(2 * MIB, OK);
    expect_share(RING_GPA + 1, ERR_ALIGN);
    expect_share(0xfec00000 - 64 * KIB, OK);
    expect_share(0xfec00000 - 64 * KIB + 4096, ERR_OVERLAP);
    expect_share(0xfee00000, ERR_OVERLAP);
    expect_share(4 * GIB - 4096, ERR_OVERLAP);
    expect_share(4 * GIB, OK);
    expect_share(BIT(39) - 64 * KIB, OK);
    expect_share(BIT(39), ERR_RANGE);
    expect_share(0 - 64 * KIB, ERR_RANGE);
}

static void test_regions_that_cannot_be(void **state)
{
    (void)state;
    make_host();
    assert_int_equal(create_region(0, 0), ERR_RANGE);
    assert_int_equal(create_region(0, 4097), ERR_RANGE);
    assert_int_equal(create_region(0, GIB + 4096), ERR_RANGE);
    assert_int_equal(create_region(0, GIB), ERR_NOMEM);
    assert_int_equal(pages.missing, GIB);
    assert_int_equal(create_region(CONFIG_REGIONS_MAX, 4096), ERR_RANGE);
    assert_int_equal(create_region(CONFIG_REGIONS_MAX - 1, 4096), OK);
    share(CONFIG_REGIONS_MAX - 1, RING_GPA, true);
    share(CONFIG_REGIONS_MAX - 1, RING_GPA + MIB, true);
    assert_int_equal(create_region(CONFIG_REGIONS_MAX - 1, 4096), ERR_RANGE); /* two writers */
}

static void test_shares_that_cannot_be(void **state)
{
    (void)state;
    make_host();
    share(CONFIG_REGIONS_MAX, RING_GPA, false);
    assert_int_equal(create(), ERR_NOTFOUND);
    shares[0].region = UINT16_MAX;
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    assert_int_equal(create(), ERR_NOTFOUND);
    config.share_count = CONFIG_SHARES_MAX + 1;
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    assert_int_equal(create(), ERR_RANGE);
}

static void test_host_bytes(void **state)
{
    (void)state;
    assert_int_equal(load_host_bytes(&config), 16 * MIB);
    config.type = GUEST_FIRMWARE;
    config.kernel = (struct guest_image){rom, ROM_LEN};
    assert_int_equal(load_host_bytes(&config), 16 * MIB + ROM_LEN);
}

/* --- multiboot -------------------------------------------------------------------------------- */

/* A Multiboot kernel that is nothing but its header; guest/load_multiboot.c has its own tests. */
static void test_multiboot_starts_with_its_two_registers(void **state)
{
    static const uint32_t header[] = {
        0x1badb002, 0x10000, 0u - 0x1badb002 - 0x10000, 0x200000, 0x200000, 0, 0x201000, 0x200004};
    uint32_t seen[ARRAY_LEN(header)];
    struct vcpu_start start;
    char rsdp[8];

    (void)state;
    config.type = GUEST_MULTIBOOT;
    host(16 * MIB, 64 * MIB);
    assert_int_equal(create(), ERR_FORMAT);
    config.kernel = (struct guest_image){(const uint8_t *)header, sizeof(header)};
    assert_int_equal(create(), OK);
    phys_fake_add(16 * MIB, 64 * MIB);
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(scrub_and_load(&start), OK);
        assert_int_equal(start.mode, START_PROTECTED32);
        assert_int_equal(start.rip, 0x200004);
        assert_int_equal(start.rax, 0x2badb002);
        assert_int_equal(start.rbx, 0x9e000);
        assert_true(gmem_read(&vm, 0x200000, seen, sizeof(seen)));
        assert_memory_equal(seen, header, sizeof(seen));
        assert_true(gmem_read(&vm, ACPI_AREA_GPA, rsdp, sizeof(rsdp)));
        assert_memory_equal(rsdp, "RSD PTR ", sizeof(rsdp));
        assert_true(gmem_write(&vm, 0x200000, rom, sizeof(seen)));
    }
}

/* --- firmware --------------------------------------------------------------------------------- */

static void make_firmware(uint64_t rom_len)
{
    config.type = GUEST_FIRMWARE;
    config.kernel = (struct guest_image){rom, rom_len};
    host(16 * MIB, 64 * MIB);
    assert_int_equal(create(), OK);
    phys_fake_add(16 * MIB, 64 * MIB);
}

static void test_firmware_map(void **state)
{
    struct ept_view view;

    (void)state;
    make_firmware(ROM_LEN);
    assert_int_equal(vm.memory_count, 3);
    expect_range(0, 0, 64 * MIB, 0xa0000, EPT_RWX);
    expect_range(1, 0xc0000, 64 * MIB + 0xc0000, 16 * MIB - 0xc0000, EPT_RWX);
    expect_range(2, 0xfffc0000, 64 * MIB - ROM_LEN, ROM_LEN, EPT_R | EPT_X);
    assert_true(is_mapped(0x9ffff));
    assert_false(is_mapped(0xa0000));
    assert_false(is_mapped(0xbffff));
    assert_true(is_mapped(0xc0000));
    assert_int_equal(page_size(PAGE_2M), PAGE_2M);
    assert_false(is_mapped(0xfffbffff));
    assert_false(is_mapped(4 * GIB));
    assert_int_equal(ept_walk(&vm.ept, 0xfffffff0, &view), OK);
    assert_int_equal(view.perms, EPT_R | EPT_X);
}

static void test_firmware_with_memory_on_both_sides(void **state)
{
    (void)state;
    config.type = GUEST_FIRMWARE;
    config.kernel = (struct guest_image){rom, ROM_LEN};
    config.memory = 4 * GIB;
    host(4 * GIB, 8 * GIB);
    assert_int_equal(create(), OK);
    assert_int_equal(vm.memory_count, 4);
    expect_range(2, 4 * GIB, 8 * GIB, GIB, EPT_RWX);
    assert_int_equal(vm.memory[3].gpa, 0xfffc0000);
}

static void test_firmware_starts_at_the_reset_vector(void **state)
{
    struct vcpu_start start;
    uint8_t seen[ROM_LEN];
    uint8_t zeros[0x10000] = {0};

    (void)state;
    make_firmware(ROM_LEN);
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(scrub_and_load(&start), OK);
        assert_int_equal(start.mode, START_REAL);
        assert_int_equal(start.rip, 0xfff0);
        assert_true(gmem_read(&vm, 0xfffc0000, seen, ROM_LEN));
        assert_memory_equal(seen, rom, ROM_LEN);
        assert_true(gmem_read(&vm, 0xe0000, seen, 0x20000)); /* the last 128 KiB */
        assert_memory_equal(seen, rom + ROM_LEN - 0x20000, 0x20000);
        assert_true(gmem_read(&vm, 0xd0000, seen, 0x10000));
        assert_memory_equal(seen, zeros, 0x10000);
        /* What this life leaves is gone in the next. */
        assert_true(gmem_write(&vm, 0xd0000, rom + 1, 0x20000));
        assert_true(gmem_fill(&vm, 0xfffc0000, rom + 1, ROM_LEN - 1));
    }
}

static void test_rom_can_be_read_but_not_written(void **state)
{
    struct vcpu_start start;
    uint8_t byte = 0xaa;
    uint64_t word;

    (void)state;
    make_firmware(ROM_LEN);
    assert_int_equal(scrub_and_load(&start), OK);
    assert_false(gmem_write(&vm, 0xfffc0000, &byte, 1));
    assert_false(gmem_write(&vm, 0xffffffff, &byte, 1));
    assert_false(gmem_fill(&vm, 0xfffbffff, &byte, 1));
    assert_true(gmem_read(&vm, 0xfffc0000, &byte, 1));
    assert_int_equal(byte, rom[0]);
    assert_true(gmem_read(&vm, 0xfffffff8, &word, 8));
    assert_memory_equal(&word, rom + ROM_LEN - 8, 8);
    assert_false(gmem_read(&vm, 0xfffffff9, &word, 8));
    assert_false(gmem_read(&vm, 0xa0000, &byte, 1));
    assert_false(gmem_read(&vm, 0x9ffff, &word, 2));
    assert_false(gmem_write(&vm, 0xbffff, &word, 2));
}

static void test_small_rom_is_wholly_below_1_mib(void **state)
{
    struct vcpu_start start;
    uint8_t seen[0x10000];

    (void)state;
    make_firmware(0x10000);
    assert_int_equal(scrub_and_load(&start), OK);
    assert_true(gmem_read(&vm, 0xf0000, seen, 0x10000));
    assert_memory_equal(seen, rom, 0x10000);
    assert_true(gmem_read(&vm, 0xffff0000, seen, 0x10000));
    assert_memory_equal(seen, rom, 0x10000);
    assert_true(gmem_read(&vm, 0xe0000, seen, 1));
    assert_int_equal(seen[0], 0);
}

/* --- CMOS ------------------------------------------------------------------------------------- */

static unsigned cmos(unsigned index, unsigned bytes)
{
    unsigned value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (unsigned)vm.rtc.cmos[index + i] << (8 * i);
    return value;
}

static void test_cmos_tells_memory_and_processors(void **state)
{
    static const struct {
        uint64_t memory;
        unsigned ext_kib, ext_64kib, high_64kib;
    } cases[] = {
        {4 * MIB,           3 * 1024,  0,         0         },
        {16 * MIB,          15 * 1024, 0,         0         },
        {64 * MIB,          63 * 1024, 48 * 16,   0         },
        {66 * MIB,          65535,     50 * 16,   0         },
        {3 * GIB,           65535,     3056 * 16, 0         },
        {3 * GIB + 2 * MIB, 65535,     3056 * 16, 32        },
        {64 * GIB,          65535,     3056 * 16, 61 * 16384},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mc146818_reset(&vm.rtc, 1000000000, 0, 1700000000);
        config.memory = cases[i].memory;
        config.vcpu_count = (uint16_t)(i + 1);
        load_cmos(&vm);
        assert_int_equal(cmos(0x15, 2), 640);
        assert_int_equal(cmos(0x17, 2), cases[i].ext_kib);
        assert_int_equal(cmos(0x30, 2), cases[i].ext_kib);
        assert_int_equal(cmos(0x34, 2), cases[i].ext_64kib);
        assert_int_equal(cmos(0x5b, 3), cases[i].high_64kib);
        assert_int_equal(cmos(0x5f, 1), i);
        assert_true(mc146818_ok(&vm.rtc));
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_smallest_guest),
        T(test_three_gib_are_one_block_below_the_hole),
        T(test_more_goes_on_above_4_gib),
        T(test_first_step_above_the_hole),
        T(test_a_host_with_a_hole_of_its_own_gives_two_blocks),
        T(test_without_1_gib_pages),
        T(test_too_little_host_memory),
        T(test_memory_beyond_the_address_width),
        T(test_images_that_do_not_fit),
        T(test_access_ends_with_each_range),
        T(test_the_two_ranges_are_different_memory),
        T(test_each_byte_of_ram_is_cleared_and_no_other),
        T(test_clearing_is_over_when_every_core_is_done),
        T(test_share_is_mapped_with_its_rights_only),
        T(test_share_is_cleared_once_and_kept_over_a_start),
        T(test_share_is_not_the_guests_memory),
        T(test_shares_of_two_guests_are_the_same_memory),
        T(test_places_for_a_share),
        T(test_regions_that_cannot_be),
        T(test_shares_that_cannot_be),
        T(test_host_bytes),
        T(test_multiboot_starts_with_its_two_registers),
        T(test_firmware_map),
        T(test_firmware_with_memory_on_both_sides),
        T(test_firmware_starts_at_the_reset_vector),
        T(test_rom_can_be_read_but_not_written),
        T(test_small_rom_is_wholly_below_1_mib),
        T(test_cmos_tells_memory_and_processors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
