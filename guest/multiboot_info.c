/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot information. See the header for the specifications. */
#include "guest/multiboot_info.h"

#include "guest/acpi_tables.h"
#include "guest/gmem.h"
#include "guest/load_linux.h"
#include "lib/string.h"

/* Tags of Multiboot2, flags of the first version. */
#define TAG_LEN         8u /* type, size */
#define INFO_END        0u
#define INFO_CMDLINE    1u
#define INFO_LOADER     2u
#define INFO_MODULE     3u
#define INFO_MEMORY     4u
#define INFO_MAP        6u
#define INFO_ACPI_NEW   15u
#define INFO_LOAD_BASE  21u
#define MB1_HAS_MEMORY  0x0001u /* [0] */
#define MB1_HAS_CMDLINE 0x0004u /* [2] */
#define MB1_HAS_MODULES 0x0008u /* [3] */
#define MB1_HAS_MAP     0x0040u /* [6] */
#define MB1_HAS_LOADER  0x0200u /* [9] */

/* Where its next byte goes. Without a vm nothing is written, only counted. */
struct writer {
    struct vm *vm;
    uint64_t gpa;
    bool ok;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
    if (w->vm != NULL && w->ok && len != 0)
        w->ok = gmem_write(w->vm, w->gpa, bytes, len);
    w->gpa += len;
}

static void put_string(struct writer *w, const char *s)
{
    put(w, s, strlen(s) + 1);
}

static uint32_t mem_lower(void)
{
    return LINUX_LOW_RAM_END / KIB;
}

static uint32_t mem_upper(const struct guest_config *cfg)
{
    return (uint32_t)((gmem_low_len(cfg->memory) - LINUX_HIGH_RAM_GPA) / KIB);
}

/* "Boot information format" of the first version. What flags do not name is 0. */
struct info1 {
    uint32_t flags;
    uint32_t mem_lower; /* KiB from 0 */
    uint32_t mem_upper; /* KiB from 1 MiB */
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count;
    uint32_t mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length;
    uint32_t mmap_addr;
    uint32_t drives[2];
    uint32_t config_table;
    uint32_t boot_loader_name;
    uint32_t video[12]; /* and APM */
};
_Static_assert(sizeof(struct info1) == 116, "Multiboot: up to and with color_info");
_Static_assert(offsetof(struct info1, mmap_length) == 44, "Multiboot");
_Static_assert(offsetof(struct info1, boot_loader_name) == 64, "Multiboot");

struct module1 {
    uint32_t start;
    uint32_t end;
    uint32_t string;
    uint32_t reserved;
};
_Static_assert(sizeof(struct module1) == 16, "Multiboot");

/* A map entry: ours (LINUX_E820_*) has the same fields and numbers behind its size. */
struct map1 {
    uint32_t size; /* of the rest */
    struct linux_e820_entry entry;
} PACKED;
_Static_assert(sizeof(struct map1) == 24, "Multiboot");

static void put_modules1(struct writer *w, const struct guest_config *cfg, uint64_t gpa,
                         uint64_t string_gpa)
{
    for (unsigned i = 0; i < cfg->module_count; i++) {
        const struct guest_module *m = &cfg->modules[i];
        struct module1 entry = {
            .start = (uint32_t)gpa,
            .end = (uint32_t)(gpa + m->data.len),
            .string = (uint32_t)string_gpa,
        };

        put(w, &entry, sizeof(entry));
        gpa = multiboot_next_module(gpa, m->data.len);
        string_gpa += strlen(m->string) + 1;
    }
}

/* The structure, the list of modules, the map; then the strings. */
static void put_info1(struct writer *w, const struct guest_config *cfg,
                      const struct multiboot_layout *l)
{
    struct linux_e820_entry e820[LINUX_E820_MAX];
    unsigned count = linux_e820(cfg->memory, e820);
    uint64_t mods = w->gpa + sizeof(struct info1);
    uint64_t map = mods + cfg->module_count * sizeof(struct module1);
    uint64_t name = map + count * sizeof(struct map1);
    uint64_t cmdline = name + sizeof(MULTIBOOT_LOADER_NAME);
    struct info1 info = {
        .flags = MB1_HAS_MEMORY | MB1_HAS_CMDLINE | MB1_HAS_MODULES | MB1_HAS_MAP | MB1_HAS_LOADER,
        .mem_lower = mem_lower(),
        .mem_upper = mem_upper(cfg),
        .cmdline = (uint32_t)cmdline,
        .mods_count = cfg->module_count,
        .mods_addr = (uint32_t)mods,
        .mmap_length = (uint32_t)(name - map),
        .mmap_addr = (uint32_t)map,
        .boot_loader_name = (uint32_t)name,
    };

    put(w, &info, sizeof(info));
    put_modules1(w, cfg, l->modules_gpa, cmdline + strlen(cfg->cmdline) + 1);
    for (unsigned i = 0; i < count; i++) {
        struct map1 entry = {sizeof(e820[i]), e820[i]};

        put(w, &entry, sizeof(entry));
    }
    put_string(w, MULTIBOOT_LOADER_NAME);
    put_string(w, cfg->cmdline);
    for (unsigned i = 0; i < cfg->module_count; i++)
        put_string(w, cfg->modules[i].string);
}

/* A tag: its fixed fields, then the rest. The next one begins at a multiple of 8. */
static void put_tag(struct writer *w, uint32_t type, const void *fields, size_t fields_len,
                    const void *rest, size_t rest_len)
{
    uint32_t head[2] = {type, (uint32_t)(TAG_LEN + fields_len + rest_len)};

    put(w, head, sizeof(head));
    put(w, fields, fields_len);
    put(w, rest, rest_len);
    w->gpa = align_up(w->gpa, 8);
}

static void put_modules2(struct writer *w, const struct guest_config *cfg, uint64_t gpa)
{
    for (unsigned i = 0; i < cfg->module_count; i++) {
        const struct guest_module *m = &cfg->modules[i];
        uint32_t place[2] = {(uint32_t)gpa, (uint32_t)(gpa + m->data.len)};

        put_tag(w, INFO_MODULE, place, sizeof(place), m->string, strlen(m->string) + 1);
        gpa = multiboot_next_module(gpa, m->data.len);
    }
}

static void put_map2(struct writer *w, const struct guest_config *cfg)
{
    struct map2 {
        struct linux_e820_entry entry;
        uint32_t reserved;
    } map[LINUX_E820_MAX] = {0};
    struct linux_e820_entry e820[LINUX_E820_MAX];
    unsigned count = linux_e820(cfg->memory, e820);
    uint32_t format[2] = {sizeof(map[0]), 0}; /* entry_size, entry_version */

    _Static_assert(sizeof(map[0]) == 24, "Multiboot2");
    for (unsigned i = 0; i < count; i++)
        map[i].entry = e820[i];
    put_tag(w, INFO_MAP, format, sizeof(format), map, count * sizeof(map[0]));
}

/* No tag 14: ACPI 1.0's RSDP points to an RSDT, and the guest's tables have none. */
static void put_info2(struct writer *w, const struct guest_config *cfg,
                      const struct multiboot_layout *l, const uint8_t rsdp[ACPI_RSDP_LEN])
{
    uint32_t total[2] = {(uint32_t)l->info_len, 0};
    uint32_t memory[2] = {mem_lower(), mem_upper(cfg)};
    uint32_t base = (uint32_t)l->kernel_gpa;

    put(w, total, sizeof(total));
    put_tag(w, INFO_CMDLINE, NULL, 0, cfg->cmdline, strlen(cfg->cmdline) + 1);
    put_tag(w, INFO_LOADER, NULL, 0, MULTIBOOT_LOADER_NAME, sizeof(MULTIBOOT_LOADER_NAME));
    put_modules2(w, cfg, l->modules_gpa);
    put_tag(w, INFO_MEMORY, memory, sizeof(memory), NULL, 0);
    put_map2(w, cfg);
    put_tag(w, INFO_ACPI_NEW, rsdp, ACPI_RSDP_LEN, NULL, 0);
    if (l->relocatable)
        put_tag(w, INFO_LOAD_BASE, &base, sizeof(base), NULL, 0);
    put_tag(w, INFO_END, NULL, 0, NULL, 0);
}

static void put_info(struct writer *w, const struct guest_config *cfg,
                     const struct multiboot_layout *l, const uint8_t rsdp[ACPI_RSDP_LEN])
{
    if (l->eax == MULTIBOOT2_EAX)
        put_info2(w, cfg, l, rsdp);
    else
        put_info1(w, cfg, l);
}

/* How long it gets is known by writing it to nowhere. */
uint64_t multiboot_info_len(const struct guest_config *cfg, const struct multiboot_layout *l)
{
    static const uint8_t rsdp[ACPI_RSDP_LEN];
    struct writer w = {.ok = true};

    put_info(&w, cfg, l, rsdp);
    return w.gpa;
}

bool multiboot_info_write(struct vm *vm, const struct guest_config *cfg,
                          const struct multiboot_layout *l, uint64_t rsdp_gpa)
{
    struct writer w = {.vm = vm, .gpa = l->info_gpa, .ok = true};
    uint8_t rsdp[ACPI_RSDP_LEN];

    if (!gmem_read(vm, rsdp_gpa, rsdp, sizeof(rsdp)))
        return false;
    put_info(&w, cfg, l, rsdp);
    return w.ok;
}
