/* SPDX-License-Identifier: BSD-2-Clause */
/* The contents of a guest's fw_cfg device, and its DMA. Sources: see the header. */
#include "guest/firmware.h"

#include "guest/gmem.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/string.h"

#define DMA_STEP           0x10000u /* bytes a guest's one access copies before interrupts are looked at */

#define RSDP_FILE          "etc/acpi/rsdp"
#define TABLES_FILE        "etc/acpi/tables"

#define KEY_IRQ0_OVERRIDE  0x8002u /* IRQ 0 is wired to pin 2 of the I/O APIC */

/* Script commands. */
#define LOADER_ALLOCATE    1
#define LOADER_ADD_POINTER 2
#define LOADER_CHECKSUM    3
#define ZONE_HIGH          1
#define ZONE_FSEG          2 /* where operating systems search the RSDP */

/* ACPI 6.4, chapter 5.2: offsets in tables. */
#define RSDP_LEN           36u
#define RSDP_XSDT          24u
#define RSDP_CHECKSUM      32u /* of all of it */
#define TABLE_LENGTH       4u
#define TABLE_CHECKSUM     9u
#define XSDT_ENTRIES       36u
#define FADT_FACS          36u
#define FADT_DSDT          40u
#define FADT_X_DSDT        140u

/* A bzImage's real-mode part, in sectors after the first. Linux boot.rst, "setup_sects". */
#define SETUP_SECTS        0x1f1u
#define SETUP_SECTS_NONE   4u
#define SECTOR             512u

#define E820_RAM           1u

/* --- the script that installs the ACPI tables --------------------------------------------------*/

static struct loader_command *add_command(struct firmware *f, uint32_t command)
{
    struct loader_command *c = &f->loader[f->loader_count];

    if (f->loader_count < LOADER_COMMANDS_MAX - 1)
        f->loader_count++;
    memset(c, 0, sizeof(*c));
    c->command = command;
    return c;
}

static void set_name(char to[56], const char *name)
{
    memcpy(to, name, strlen(name));
}

static void allocate(struct firmware *f, const char *file, uint32_t align, uint8_t zone)
{
    struct loader_command *c = add_command(f, LOADER_ALLOCATE);

    set_name(c->u.allocate.file, file);
    c->u.allocate.align = align;
    c->u.allocate.zone = zone;
}

/* The field holds an offset in the tables' file: make it an address. */
static void add_pointer(struct firmware *f, const char *file, uint32_t offset, uint8_t size)
{
    struct loader_command *c = add_command(f, LOADER_ADD_POINTER);

    set_name(c->u.pointer.file, file);
    set_name(c->u.pointer.to, TABLES_FILE);
    c->u.pointer.offset = offset;
    c->u.pointer.size = size;
}

static void add_checksum(struct firmware *f, const char *file, uint32_t start, uint32_t len,
                         uint32_t at)
{
    struct loader_command *c = add_command(f, LOADER_CHECKSUM);

    f->acpi[start + at] = 0; /* the RSDP's file is the beginning of the tables' */
    set_name(c->u.checksum.file, file);
    c->u.checksum.offset = start + at;
    c->u.checksum.start = start;
    c->u.checksum.len = len;
}

static uint32_t read32(const struct firmware *f, uint32_t offset)
{
    uint32_t value;

    memcpy(&value, f->acpi + offset, sizeof(value));
    return value;
}

/* Tables made for address 0: what they hold as addresses are offsets. */
static enum err make_tables(struct vm *vm)
{
    struct firmware *f = &vm->firmware;
    enum err e = acpi_tables_build(f->acpi, sizeof(f->acpi), 0, vm->config, dsdt_aml,
                                   (size_t)(dsdt_aml_end - dsdt_aml));
    uint32_t xsdt = read32(f, RSDP_XSDT);

    if (e != OK)
        return e;
    allocate(f, TABLES_FILE, 64, ZONE_HIGH);
    allocate(f, RSDP_FILE, 16, ZONE_FSEG);
    for (uint32_t at = xsdt + XSDT_ENTRIES; at < xsdt + read32(f, xsdt + TABLE_LENGTH); at += 8) {
        uint32_t table = read32(f, at);

        add_pointer(f, TABLES_FILE, at, 8);
        if (memcmp(f->acpi + table, "FACP", 4) != 0)
            continue;
        add_pointer(f, TABLES_FILE, table + FADT_FACS, 4);
        add_pointer(f, TABLES_FILE, table + FADT_DSDT, 4);
        add_pointer(f, TABLES_FILE, table + FADT_X_DSDT, 8);
        add_checksum(f, TABLES_FILE, table, read32(f, table + TABLE_LENGTH), TABLE_CHECKSUM);
    }
    add_checksum(f, TABLES_FILE, xsdt, read32(f, xsdt + TABLE_LENGTH), TABLE_CHECKSUM);
    add_pointer(f, RSDP_FILE, RSDP_XSDT, 8);
    add_checksum(f, RSDP_FILE, 0, RSDP_LEN, RSDP_CHECKSUM);
    return OK;
}

/* --- items ------------------------------------------------------------------------------------ */

/* Firmware gets a kernel as QEMU cuts it: real-mode part and the rest. An EFI image, too. */
static uint32_t setup_size(const struct guest_image *kernel)
{
    uint32_t sects = kernel->len > SETUP_SECTS ? kernel->bytes[SETUP_SECTS] : 0;
    uint32_t size = ((sects != 0 ? sects : SETUP_SECTS_NONE) + 1) * SECTOR;

    return size < kernel->len ? size : 0;
}

static bool add_kernel(struct firmware *f, const struct guest_config *c)
{
    const uint8_t *kernel = c->fw_cfg_kernel.bytes;

    if (c->fw_cfg_kernel.len == 0)
        return true;
    f->setup_size = setup_size(&c->fw_cfg_kernel);
    f->kernel_size = (uint32_t)c->fw_cfg_kernel.len - f->setup_size;
    f->initrd_size = (uint32_t)c->fw_cfg_initrd.len;
    f->cmdline_size = (uint32_t)strlen(c->fw_cfg_cmdline) + 1;
    return fw_cfg_add(&f->fw_cfg, FW_CFG_SETUP_SIZE, &f->setup_size, 4) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_SETUP_DATA, kernel, f->setup_size) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_KERNEL_SIZE, &f->kernel_size, 4) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_KERNEL_DATA, kernel + f->setup_size, f->kernel_size) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_INITRD_SIZE, &f->initrd_size, 4) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_INITRD_DATA, c->fw_cfg_initrd.bytes, f->initrd_size) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_CMDLINE_SIZE, &f->cmdline_size, 4) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_CMDLINE_DATA, c->fw_cfg_cmdline, f->cmdline_size);
}

static bool add_machine(struct firmware *f)
{
    uint32_t e820_len = f->e820[1].len != 0 ? sizeof(f->e820) : sizeof(f->e820[0]);

    return fw_cfg_add(&f->fw_cfg, FW_CFG_RAM_SIZE, &f->ram_size, 8) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_CPUS, &f->cpus, 2) &&
           fw_cfg_add(&f->fw_cfg, FW_CFG_CPUS_MAX, &f->cpus, 2) &&
           fw_cfg_add(&f->fw_cfg, KEY_IRQ0_OVERRIDE, &f->irq0_override, 1) &&
           fw_cfg_add_file(&f->fw_cfg, "etc/boot-cpus", &f->cpus, 2) &&
           fw_cfg_add_file(&f->fw_cfg, "etc/e820", f->e820, e820_len) &&
           fw_cfg_add_file(&f->fw_cfg, RSDP_FILE, f->acpi, RSDP_LEN) &&
           fw_cfg_add_file(&f->fw_cfg, TABLES_FILE, f->acpi, sizeof(f->acpi)) &&
           fw_cfg_add_file(&f->fw_cfg, "etc/table-loader", f->loader,
                           f->loader_count * (uint32_t)sizeof(f->loader[0]));
}

static bool add_files(struct firmware *f, const struct guest_config *c)
{
    for (uint32_t i = 0; i < c->fw_cfg_file_count; i++) {
        const struct fw_cfg_file *file = &c->fw_cfg_files[i];

        if (!fw_cfg_add_file(&f->fw_cfg, file->name, file->data.bytes, (uint32_t)file->data.len))
            return false;
    }
    return true;
}

enum err firmware_init(struct vm *vm, const char **problem)
{
    const struct guest_config *c = vm->config;
    struct firmware *f = &vm->firmware;
    uint64_t low = gmem_low_len(c->memory);

    *problem = "its ACPI tables cannot be made";
    memset(f, 0, sizeof(*f));
    f->ram_size = c->memory;
    f->cpus = c->vcpu_count;
    f->irq0_override = 1;
    f->e820[0] = (struct e820_range){0, low, E820_RAM};
    f->e820[1] = (struct e820_range){GMEM_HIGH_GPA, c->memory - low, E820_RAM};

    enum err e = make_tables(vm);

    if (e != OK)
        return e;
    *problem = "too many files in its fw_cfg";
    fw_cfg_init(&f->fw_cfg);
    return add_machine(f) && add_kernel(f, c) && add_files(f, c) ? OK : ERR_NOMEM;
}

/* --- DMA -------------------------------------------------------------------------------------- */

bool firmware_dma(struct vm *vm, uint64_t gpa)
{
    struct fw_cfg *f = &vm->firmware.fw_cfg;
    struct fw_cfg_dma d;
    const uint8_t *bytes;
    uint64_t to;

    if (!gmem_read(vm, gpa, &d, sizeof(d))) {
        fw_cfg_dma_end(f);
        return true;
    }

    uint32_t n = fw_cfg_dma_step(f, &d, DMA_STEP, &bytes, &to);

    if (n != 0 && !gmem_write(vm, to, bytes, n))
        d.control = FW_CFG_DMA_FAILED;

    bool over = d.control == 0 || d.control == FW_CFG_DMA_FAILED;

    if (!gmem_write(vm, gpa, &d, sizeof(d)))
        over = true; /* in a ROM, or gone */
    if (over)
        fw_cfg_dma_end(f);
    return over;
}
