/* unit: boot/efi/image.c boot/efi/handover.c boot/bootinfo.c mm/pages.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader against a firmware of our own. UEFI Specification 2.10, "Boot Services". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "boot/efi/loader.h"

#include "boot/bootinfo.h"

#define MIB_2      (2u << 20)
#define ARENA_LEN  (16u << 20)
#define DESCRIPTOR 48 /* as EDK II's: longer than the structure */
#define ELF_LEN    0x2000
#define IMAGE_VA   0xffffffff80000000ull

/* What payload.S would hold. */
__asm__(".data\n.balign 16\n.globl payload_start, payload_end\n"
        "payload_start: .skip 0x2000\npayload_end:\n.text\n");
extern uint8_t payload_start[], payload_end[];

EFI_SYSTEM_TABLE *firmware;

static EFI_SYSTEM_TABLE table;
static EFI_BOOT_SERVICES services;
static EFI_CONFIGURATION_TABLE tables[3];
static uint8_t *arena; /* memory of the machine, below 4 GiB */
static char said[1024];
static struct {
    unsigned exit_failures; /* how often the map changes before boot services end */
    EFI_STATUS exit_error;  /* with which they never do, if not 0 */
    unsigned exits, maps;
    UINTN free_pages; /* of the arena's second piece */
    bool handle_pages;
} machine;

static void note(const char *fmt, va_list args)
{
    size_t len = strlen(said);

    vsnprintf(said + len, sizeof(said) - len, fmt, args);
}

void say(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    note(fmt, args);
    va_end(args);
}

static void describe(void *map, unsigned i, UINT32 type, uint64_t base, UINTN pages)
{
    EFI_MEMORY_DESCRIPTOR d = {.Type = type, .PhysicalStart = base, .NumberOfPages = pages};

    memcpy((uint8_t *)map + i * DESCRIPTOR, &d, sizeof(d));
}

/* The arena: a piece that is not aligned and too small, one in use, one that is free. */
static EFI_STATUS EFIAPI get_map(UINTN *len, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *step,
                                 UINT32 *version)
{
    UINTN room = *len;
    uint64_t base = (uint64_t)arena;

    *len = 5 * DESCRIPTOR;
    *step = DESCRIPTOR;
    *version = 1;
    if (room < *len)
        return EFI_BUFFER_TOO_SMALL;
    *key = ++machine.maps;
    describe(map, 0, EfiConventionalMemory, 0, 0x100);
    describe(map, 1, EfiConventionalMemory, base + 0x1000, MIB_2 / 4096);
    describe(map, 2, EfiBootServicesData, base + MIB_2 + 0x1000, MIB_2 / 4096);
    describe(map, 3, EfiConventionalMemory, base + 2 * MIB_2 + 0x1000, machine.free_pages);
    describe(map, 4, EfiConventionalMemory, 1ull << 32, 1 << 20); /* above 4 GiB: no use */
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE type, EFI_MEMORY_TYPE memory, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *at)
{
    if (type == AllocateAddress) {
        assert_int_equal(memory, EfiLoaderCode);
        return EFI_SUCCESS;
    }
    assert_int_equal(*at, 0xffffffff);
    assert_true(type == AllocateMaxAddress && pages * 4096 <= MIB_2);
    *at = (uint64_t)arena + ARENA_LEN - MIB_2;
    return machine.handle_pages ? EFI_SUCCESS : EFI_OUT_OF_RESOURCES;
}

static EFI_STATUS EFIAPI allocate_pool(EFI_MEMORY_TYPE type, UINTN len, void **at)
{
    (void)type;
    *at = malloc(len);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pool(void *at)
{
    free(at);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI exit_services(EFI_HANDLE image, UINTN key)
{
    assert_ptr_equal(image, &table);
    assert_int_equal(key, machine.maps); /* that of the newest map */
    machine.exits++;
    if (machine.exit_error != 0)
        return machine.exit_error;
    return machine.exits > machine.exit_failures ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

/* --- outputs and random numbers ------------------------------------------------------------------
 */

static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION blt_only = {.PixelFormat = PixelBltOnly};
static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION linear = {
    .HorizontalResolution = 1024,
    .VerticalResolution = 768,
    .PixelFormat = PixelBlueGreenRedReserved8BitPerColor,
    .PixelsPerScanLine = 1088,
};
static EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE modes[] = {
    {.Info = &blt_only, .FrameBufferBase = 0x1000    },
    {.Info = &linear,   .FrameBufferBase = 0xc0000000},
};
static EFI_GRAPHICS_OUTPUT_PROTOCOL outputs[] = {
    {.Mode = NULL}, {.Mode = modes}, {.Mode = modes + 1}};
static unsigned output_count;
static bool have_rng, rng_fails;

static EFI_STATUS EFIAPI locate_handles(EFI_LOCATE_SEARCH_TYPE type, EFI_GUID *guid, void *key,
                                        UINTN *count, EFI_HANDLE **handles)
{
    (void)guid;
    (void)key;
    assert_int_equal(type, ByProtocol);
    if (output_count == 0)
        return EFI_NOT_FOUND;
    *count = output_count;
    *handles = malloc(output_count * sizeof(**handles));
    for (unsigned i = 0; i < output_count; i++)
        (*handles)[i] = &outputs[i];
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **interface)
{
    (void)guid;
    *interface = handle;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_random(EFI_RNG_PROTOCOL *this, EFI_RNG_ALGORITHM *algorithm, UINTN len,
                                    UINT8 *out)
{
    (void)this;
    assert_null(algorithm);
    memset(out, 0x5a, len);
    return rng_fails ? EFI_NOT_READY : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_protocol(EFI_GUID *guid, void *key, void **interface)
{
    static EFI_RNG_PROTOCOL rng = {.GetRNG = get_random};

    (void)guid;
    (void)key;
    *interface = &rng;
    return have_rng ? EFI_SUCCESS : EFI_NOT_FOUND;
}

/* --- the ELF file --------------------------------------------------------------------------------
 */

static void put(size_t at, uint64_t value, unsigned bytes)
{
    memcpy(payload_start + at, &value, bytes);
}

static void segment(unsigned i, uint64_t offset, uint64_t at, uint64_t file_len,
                    uint64_t memory_len)
{
    size_t p = 64 + 56 * (size_t)i;

    put(p, 1, 4);
    put(p + 8, offset, 8);
    put(p + 16, IMAGE_VA + at, 8);
    put(p + 24, MIB_2 + at, 8);
    put(p + 32, file_len, 8);
    put(p + 40, memory_len, 8);
}

static int set_up(void **state)
{
    (void)state;
    if (arena == NULL) {
        uint8_t *low = mmap(NULL, ARENA_LEN + MIB_2, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

        assert_ptr_not_equal(low, MAP_FAILED);
        arena = (uint8_t *)(((uint64_t)low + MIB_2 - 1) & ~(uint64_t)(MIB_2 - 1));
    }
    memset(arena, 0xcc, ARENA_LEN);
    memset(&machine, 0, sizeof(machine));
    machine.free_pages = 8 * MIB_2 / 4096 / 2;
    machine.handle_pages = true;
    output_count = 0;
    have_rng = rng_fails = false;
    said[0] = 0;
    services = (EFI_BOOT_SERVICES){
        .GetMemoryMap = get_map,
        .AllocatePages = allocate_pages,
        .AllocatePool = allocate_pool,
        .FreePool = free_pool,
        .ExitBootServices = exit_services,
        .LocateHandleBuffer = locate_handles,
        .HandleProtocol = handle_protocol,
        .LocateProtocol = locate_protocol,
    };
    table = (EFI_SYSTEM_TABLE){.BootServices = &services, .ConfigurationTable = tables};
    firmware = &table;

    memset(payload_start, 0, ELF_LEN);
    memcpy(payload_start,
           "\x7f"
           "ELF\x02\x01\x01",
           7);
    put(24, IMAGE_VA + 0x123, 8); /* entry */
    put(32, 64, 8);
    put(54, 56, 2);
    put(56, 3, 2);
    segment(0, 0x1000, 0, 0x800, 0x800);
    segment(1, 0x1800, 0x1000, 0x800, 0x300000); /* the rest is to be zero */
    memset(payload_start + 0x1000, 't', 0x800);
    memset(payload_start + 0x1800, 'd', 0x800);
    return 0;
}

/* --- tests ---------------------------------------------------------------------------------------
 */

static void test_hypervisor_is_loaded_at_the_lowest_aligned_place(void **state)
{
    uint8_t *place = arena + 3 * MIB_2;
    uint64_t entry;

    (void)state;
    assert_true(load_hypervisor(&entry));
    assert_int_equal(entry, (uint64_t)place + 0x123);
    assert_int_equal(place[0x7ff], 't');
    assert_int_equal(place[0x1000], 'd');
    assert_int_equal(place[0x17ff], 'd');
    for (size_t i = 0x1800; i < 0x301000; i++)
        assert_int_equal(place[i], 0);
    assert_int_equal(place[0x301000], 0xcc);
    assert_string_equal(said, "");
}

static void test_without_room_it_says_what_there_is(void **state)
{
    uint64_t entry;

    (void)state;
    machine.free_pages = 0x200 + 0x300 - 1; /* 3 MiB from the aligned address on: one page short */
    assert_false(load_hypervisor(&entry));
    assert_non_null(strstr(said, "needs 3076 KiB"));
    assert_non_null(strstr(said, "the largest is 3072 KiB"));
    machine.free_pages++;
    assert_true(load_hypervisor(&entry));
}

static void expect_damaged(void)
{
    uint64_t entry;

    said[0] = 0;
    assert_false(load_hypervisor(&entry));
    assert_non_null(strstr(said, "damaged"));
    set_up(NULL);
}

static void test_damaged_file_is_not_loaded(void **state)
{
    (void)state;
    put(0, 0, 1);
    expect_damaged();
    put(32, ELF_LEN - 8, 8); /* program headers beyond the end */
    expect_damaged();
    put(32, UINT64_MAX - 8, 8);
    expect_damaged();
    put(24, IMAGE_VA + 0x800, 8); /* entry between the segments */
    expect_damaged();
    put(56, 0, 2); /* no segments */
    expect_damaged();
    segment(0, ELF_LEN, 0, 1, 1);
    expect_damaged();
    segment(0, UINT64_MAX, 0, 8, 8);
    expect_damaged();
    segment(0, 0x1000, 0, 0x800, 0x7ff); /* more in the file than in memory */
    expect_damaged();
    segment(1, 0x1000, 0xffffffff, 1, UINT64_MAX);
    expect_damaged();
}

static void parse(struct efi_handover *h, struct boot_info *info)
{
    assert_int_equal(leave_firmware(&table, h), EFI_SUCCESS);
    assert_int_equal(bootinfo_from_efi(h, 1 << 20, info), OK);
}

static void test_hand_over_is_what_the_parser_reads(void **state)
{
    static struct boot_info info;
    struct efi_handover *h;

    (void)state;
    tables[0] = (EFI_CONFIGURATION_TABLE){(EFI_GUID)ACPI_TABLE_GUID, "RSD PTR old........."};
    tables[1] = (EFI_CONFIGURATION_TABLE){(EFI_GUID)ACPI_20_TABLE_GUID,
                                          "RSD PTR new........................."};
    table.NumberOfTableEntries = 2;
    output_count = 3;
    have_rng = true;
    h = make_handover();
    assert_non_null(h);
    parse(h, &info);
    assert_int_equal(info.rsdp_len, 36);
    assert_memory_equal(info.rsdp, "RSD PTR new", 11);
    assert_int_equal(info.seed_len, 32);
    assert_int_equal(info.seed[31], 0x5a);
    assert_true(
        info.framebuffer.present); /* the third: the first has no mode, the second no memory */
    assert_int_equal(info.framebuffer.hpa, 0xc0000000);
    assert_int_equal(info.framebuffer.width, 1024);
    assert_int_equal(info.framebuffer.pitch, 4 * 1088);
    assert_int_equal(info.framebuffer.red_shift, 16);
    assert_int_equal(info.efi_system_table, &table);
    assert_int_equal(info.memory_count, 3); /* 1, 2 and 3 lie side by side */
}

static void test_what_firmware_does_not_have_is_not_handed_over(void **state)
{
    static struct boot_info info;

    (void)state;
    have_rng = rng_fails = true;
    output_count = 2;
    parse(make_handover(), &info);
    assert_int_equal(info.rsdp_len, 0);
    assert_int_equal(info.seed_len, 0);
    assert_false(info.framebuffer.present);
    tables[0] = (EFI_CONFIGURATION_TABLE){(EFI_GUID)ACPI_TABLE_GUID, "RSD PTR old........."};
    table.NumberOfTableEntries = 1;
    parse(make_handover(), &info);
    assert_int_equal(info.rsdp_len, 20);
}

static void test_a_map_that_changed_is_taken_again(void **state)
{
    static struct boot_info info;
    struct efi_handover *h = make_handover();

    (void)state;
    machine.exit_failures = 3;
    parse(h, &info);
    assert_int_equal(machine.exits, 4);
    assert_int_equal(machine.maps, 4);
}

static void test_boot_services_that_do_not_end_are_given_up(void **state)
{
    (void)state;
    machine.exit_failures = 1000;
    assert_int_equal(leave_firmware(&table, make_handover()), EFI_INVALID_PARAMETER);
    assert_int_equal(machine.exits, 8);
    machine.exit_error = EFI_DEVICE_ERROR;
    assert_int_equal(leave_firmware(&table, make_handover()), EFI_DEVICE_ERROR);
    assert_int_equal(machine.exits, 9);
}

static void test_no_memory_for_the_hand_over_is_said(void **state)
{
    (void)state;
    machine.handle_pages = false;
    assert_null(make_handover());
    assert_non_null(strstr(said, "REFUSED: no 256 KiB of memory below 4 GiB"));
}

#define T(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_hypervisor_is_loaded_at_the_lowest_aligned_place),
        T(test_without_room_it_says_what_there_is),
        T(test_damaged_file_is_not_loaded),
        T(test_hand_over_is_what_the_parser_reads),
        T(test_what_firmware_does_not_have_is_not_handed_over),
        T(test_a_map_that_changed_is_taken_again),
        T(test_boot_services_that_do_not_end_are_given_up),
        T(test_no_memory_for_the_hand_over_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
