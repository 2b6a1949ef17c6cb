/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/load.h"

#include "arch/x86/virt.h"
#include "guest/acpi_tables.h"
#include "guest/gmem.h"
#include "guest/load_linux.h"
#include "guest/load_multiboot.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/phys.h"

#define ROM_MAX        (16 * MIB)
#define ROM_END_GPA    (4 * GIB)
#define RESET_IP       0xfff0 /* SDM 3A "First Instruction Executed" */

/* Nothing is shared between these: the I/O APIC, the HPET, local APICs and the ROM are there. */
#define DEVICES_GPA    0xfec00000ull
#define DEVICES_END    (4 * GIB)

/* What firmware expects below 1 MiB: no memory where a VGA adapter's would be, ROM at the end. */
#define VGA_GPA        0xa0000ull
#define VGA_END_GPA    0xc0000ull
#define ROM_ALIAS_END  MIB
#define ROM_ALIAS_MAX  (128 * KIB)

/* CMOS bytes, the lowest of each number. The first four are IBM's, the others QEMU's. */
#define CMOS_BASE_KIB  0x15 /* 2 bytes: below 1 MiB */
#define CMOS_EXT_KIB   0x17 /* 2 bytes: above 1 MiB, 65535 if more */
#define CMOS_EXT2_KIB  0x30 /* the same again */
#define CMOS_EXT_64KIB 0x34 /* 2 bytes: above 16 MiB, below the hole */
#define CMOS_HIGH      0x5b /* 3 bytes: above 4 GiB, in units of 64 KiB */
#define CMOS_CPUS      0x5f /* 1 byte: processors besides the first */

/* Written at boot, before other cores need it. */
struct mem_range load_regions[CONFIG_REGIONS_MAX];

/* --- at boot ---------------------------------------------------------------------------------- */

static enum err check_images(const struct guest_config *c, const char **problem)
{
    uint64_t low = gmem_low_len(c->memory);
    struct multiboot_layout multiboot;
    struct linux_layout layout;

    switch (c->type) {
    case GUEST_LINUX:
        return linux_check(&c->kernel, c->initrd.len, c->memory, c->cmdline, &layout, problem);
    case GUEST_MULTIBOOT: return multiboot_check(c, &multiboot, problem);
    case GUEST_FLAT:
        *problem = "the image does not fit into its memory at the load address";
        return c->load_gpa <= low && c->kernel.len <= low - c->load_gpa ? OK : ERR_RANGE;
    case GUEST_FIRMWARE:
        *problem = "the ROM image is not whole pages, up to 16 MiB";
        return c->kernel.len != 0 && c->kernel.len <= ROM_MAX &&
                       is_aligned(c->kernel.len, PAGE_SIZE)
                   ? OK
                   : ERR_RANGE;
    }
    *problem = "its type is unknown";
    return ERR_UNSUPPORTED;
}

/* Aligned for the largest EPT pages that the size and the processor allow. */
static enum err take_block(struct pages *pool, uint64_t size, uint64_t *hpa)
{
    uint64_t align = size >= PAGE_2M ? PAGE_2M : PAGE_SIZE;

    if (size >= PAGE_1G && virt_ept_has_1g() && pages_take_block(pool, size, PAGE_1G, hpa) == OK)
        return OK;
    return pages_take_block(pool, size, align, hpa);
}

static void add_range(struct vm *vm, struct ept_range range)
{
    vm->memory[vm->memory_count++] = range;
}

static enum err create_low(struct vm *vm, struct pages *pool)
{
    struct ept_range low = {.len = gmem_low_len(vm->config->memory), .perms = EPT_RWX};
    enum err e = take_block(pool, low.len, &low.hpa);

    if (e != OK)
        return e;
    if (vm->config->type == GUEST_FIRMWARE) {
        add_range(vm, (struct ept_range){.hpa = low.hpa, .len = VGA_GPA, .perms = EPT_RWX});
        low.gpa += VGA_END_GPA;
        low.hpa += VGA_END_GPA;
        low.len -= VGA_END_GPA;
    }
    add_range(vm, low);
    return OK;
}

/* A block of len bytes at gpa; none if len is 0. */
static enum err create_block(struct vm *vm, struct pages *pool, uint64_t gpa, uint64_t len,
                             unsigned perms)
{
    struct ept_range block = {.gpa = gpa, .len = len, .perms = perms};
    enum err e = len == 0 ? OK : take_block(pool, len, &block.hpa);

    if (e == OK && len != 0)
        add_range(vm, block);
    return e;
}

uint64_t load_host_bytes(const struct guest_config *c)
{
    return c->memory + (c->type == GUEST_FIRMWARE ? c->kernel.len : 0);
}

static unsigned count_writers(uint32_t region)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        const struct guest_config *c = &machine_config.guests[i];

        for (uint32_t j = 0; j < c->share_count; j++)
            n += c->shares[j].region == region && c->shares[j].write;
    }
    return n;
}

enum err load_create_region(uint32_t index, struct pages *pool, const char **problem)
{
    const struct region_config *c = &machine_config.regions[index];
    struct mem_range *r = &load_regions[index];

    *problem =
        "more than 16 shared regions, one with several writers, or one not of 4 KiB to 1 GiB";
    if (index >= CONFIG_REGIONS_MAX || count_writers(index) > 1 || c->len == 0 ||
        c->len > CONFIG_REGION_LEN_MAX || !is_aligned(c->len, PAGE_SIZE))
        return ERR_RANGE;
    *problem = "no contiguous block of host memory is large enough for it";
    enum err e = take_block(pool, c->len, &r->base);

    if (e != OK)
        return e;
    r->len = c->len;
    for (uint64_t at = 0; at < r->len; at += PAGE_SIZE)
        memset(phys_window(r->base + at), 0, PAGE_SIZE);
    return OK;
}

static bool meets_devices(uint64_t gpa, uint64_t len)
{
    return gpa < DEVICES_END && gpa + len > DEVICES_GPA;
}

/* Never executable: what one guest writes, no other one runs. */
static enum err add_shares(struct vm *vm)
{
    const struct guest_config *c = vm->config;

    if (c->share_count > CONFIG_SHARES_MAX)
        return ERR_RANGE;
    for (uint32_t i = 0; i < c->share_count; i++) {
        const struct guest_share *s = &c->shares[i];

        if (s->region >= machine_config.region_count || s->region >= CONFIG_REGIONS_MAX)
            return ERR_NOTFOUND;
        const struct mem_range *r = &load_regions[s->region];

        if (meets_devices(s->gpa, r->len))
            return ERR_OVERLAP;
        vm->memory[vm_mapped_count(vm)] = (struct ept_range){
            .gpa = s->gpa,
            .hpa = r->base,
            .len = r->len,
            .perms = s->write ? EPT_R | EPT_W : EPT_R,
        };
        vm->share_count++;
    }
    return OK;
}

enum err load_make_ept(struct ept *ept, struct pages *pool, const struct ept_range *ranges,
                       size_t count)
{
    enum err e = ept_init(ept, pool, virt_ept_has_2m(), virt_ept_has_1g());

    for (size_t i = 0; e == OK && i < count; i++)
        e = ept_map(ept, ranges[i].gpa, ranges[i].hpa, ranges[i].len, ranges[i].perms, EPT_WB);
    return e;
}

enum err load_create(struct vm *vm, struct pages *pool, const char **problem)
{
    const struct guest_config *c = vm->config;
    enum err e = check_images(c, problem);

    if (e == OK) {
        *problem = "no contiguous block of host memory is large enough for it";
        e = create_low(vm, pool);
    }
    if (e == OK) {
        *problem = "no host memory for its part above 4 GiB";
        e = create_block(vm, pool, GMEM_HIGH_GPA, c->memory - gmem_low_len(c->memory), EPT_RWX);
    }
    if (e == OK && c->type == GUEST_FIRMWARE) {
        *problem = "no host memory for its ROM";
        e = create_block(vm, pool, ROM_END_GPA - c->kernel.len, c->kernel.len, EPT_R | EPT_X);
    }
    if (e == OK) {
        *problem = "its shared regions cannot be where the config says";
        e = add_shares(vm);
    }
    if (e == OK) {
        *problem = "its memory and shared regions cannot be mapped";
        e = load_make_ept(&vm->ept, pool, vm->memory, vm_mapped_count(vm));
    }
    return e;
}

/* --- at each start ---------------------------------------------------------------------------- */

static enum err load_acpi(struct vm *vm)
{
    uint8_t area[ACPI_AREA_SIZE];
    enum err e = acpi_tables_build(area, sizeof(area), ACPI_AREA_GPA, vm->config, dsdt_aml,
                                   (size_t)(dsdt_aml_end - dsdt_aml));

    if (e != OK)
        return e;
    return gmem_write(vm, ACPI_AREA_GPA, area, sizeof(area)) ? OK : ERR_RANGE;
}

static enum err load_linux(struct vm *vm, struct vcpu_start *start)
{
    const struct guest_config *c = vm->config;
    struct linux_layout layout;
    struct linux_entry entry;
    const char *problem;
    enum err e = linux_check(&c->kernel, c->initrd.len, c->memory, c->cmdline, &layout, &problem);

    if (e == OK)
        e = load_acpi(vm);
    if (e == OK)
        e = linux_load(vm, c, &layout, ACPI_AREA_GPA, &entry);
    if (e != OK)
        return e;
    *start = (struct vcpu_start){
        .mode = START_LONG,
        .rip = entry.rip,
        .rsi = entry.rsi,
        .cr3 = entry.cr3,
        .gdt_base = entry.gdt_base,
        .gdt_limit = entry.gdt_limit,
    };
    return OK;
}

static enum err load_multiboot(struct vm *vm, struct vcpu_start *start)
{
    const struct guest_config *c = vm->config;
    struct multiboot_layout layout;
    const char *problem;
    enum err e = multiboot_check(c, &layout, &problem);

    if (e == OK)
        e = load_acpi(vm);
    if (e == OK)
        e = multiboot_load(vm, c, &layout, ACPI_AREA_GPA);
    if (e != OK)
        return e;
    *start = (struct vcpu_start){
        .mode = START_PROTECTED32,
        .rip = layout.entry_gpa,
        .rax = layout.eax,
        .rbx = layout.info_gpa,
    };
    return OK;
}

static enum err load_flat(struct vm *vm, struct vcpu_start *start)
{
    const struct guest_config *c = vm->config;
    enum err e = load_acpi(vm);

    *start = (struct vcpu_start){.mode = START_PROTECTED32, .rip = c->entry_gpa};
    if (e != OK)
        return e;
    return gmem_fill(vm, c->load_gpa, c->kernel.bytes, c->kernel.len) ? OK : ERR_RANGE;
}

/* Its own tables, made from what fw_cfg and CMOS memory tell, replace ours. */
static enum err load_firmware(struct vm *vm, struct vcpu_start *start)
{
    const struct guest_image *rom = &vm->config->kernel;
    size_t alias = rom->len < ROM_ALIAS_MAX ? rom->len : ROM_ALIAS_MAX;

    *start = (struct vcpu_start){.mode = START_REAL, .rip = RESET_IP};
    return gmem_fill(vm, ROM_END_GPA - rom->len, rom->bytes, rom->len) &&
                   gmem_write(vm, ROM_ALIAS_END - alias, rom->bytes + rom->len - alias, alias)
               ? OK
               : ERR_RANGE;
}

enum err load_start(struct vm *vm, struct vcpu_start *start)
{
    switch (vm->config->type) {
    case GUEST_LINUX: return load_linux(vm, start);
    case GUEST_FLAT: return load_flat(vm, start);
    case GUEST_FIRMWARE: return load_firmware(vm, start);
    case GUEST_MULTIBOOT: return load_multiboot(vm, start);
    }
    return ERR_UNSUPPORTED;
}

static void put_cmos(struct vm *vm, unsigned index, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        mc146818_set_cmos(&vm->rtc, index + i, (uint8_t)(value >> (8 * i)));
}

void load_cmos(struct vm *vm)
{
    uint64_t memory = vm->config->memory;
    uint64_t low = gmem_low_len(memory);
    uint64_t ext_kib = (low - MIB) / KIB;

    if (ext_kib > UINT16_MAX)
        ext_kib = UINT16_MAX;
    put_cmos(vm, CMOS_BASE_KIB, 2, VGA_GPA / KIB);
    put_cmos(vm, CMOS_EXT_KIB, 2, ext_kib);
    put_cmos(vm, CMOS_EXT2_KIB, 2, ext_kib);
    put_cmos(vm, CMOS_EXT_64KIB, 2, low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0);
    put_cmos(vm, CMOS_HIGH, 3, (memory - low) / (64 * KIB));
    put_cmos(vm, CMOS_CPUS, 1, vm->config->vcpu_count - 1u);
}
