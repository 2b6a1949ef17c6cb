/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux loader. Source: Linux Documentation/x86/boot.rst and zero-page.rst; the page table and
 * descriptor formats from SDM 3A "4-Level Paging" and "Segment Descriptors".
 */
#include "guest/load_linux.h"

#include "guest/gmem.h"
#include "lib/string.h"

#define HEADER_MAGIC           0x53726448u /* "HdrS" */
#define HEADER_BOOT_FLAG       0xaa55
#define HEADER_JUMP            0xeb  /* JMP rel8 */
#define HEADER_JUMP_BASE       0x202 /* the jump counts from here */
#define HEADER_END_MIN         0x268 /* end of the header of protocol 2.12 */
#define HEADER_END_MAX         0x290 /* boot_params.edd_mbr_sig_buffer begins here */
#define VERSION_MIN            0x020c
#define SECTOR                 512u
#define SETUP_SECTS_DEFAULT    4u
#define SYSSIZE_UNIT           16u

#define LOADFLAGS_LOADED_HIGH  0x01 /* [0] the code is for 100000H and above */
#define LOADFLAGS_CAN_USE_HEAP 0x80 /* [7] heap_end_ptr is valid */
#define XLF_KERNEL_64          0x01 /* [0] 64-bit entry point at 200H */
#define ENTRY_64_OFFSET        0x200u
#define LOADER_UNDEFINED       0xff
#define VID_MODE_NORMAL        0xffff

/* Offsets in boot_params; zero-page.rst. */
#define PARAMS_SIZE            4096u
#define PARAMS_RSDP            0x070u /* acpi_rsdp_addr, 8 bytes */
#define PARAMS_E820_ENTRIES    0x1e8u /* 1 byte */
#define PARAMS_E820_TABLE      0x2d0u

/* SDM 3A "Segment Descriptors": flat 4 GiB, accessed, present, DPL 0. */
#define DESC_CODE64            0x00af9b000000ffffull
#define DESC_DATA              0x00cf93000000ffffull
#define GDT_LEN                4

/* SDM 3A "4-Level Paging". */
#define PTE_PRESENT            0x001ull /* [0] P */
#define PTE_WRITE              0x002ull /* [1] R/W */
#define PTE_PS                 0x080ull /* [7] PS: a PDE that maps 2 MiB */
#define PTE_COUNT              512u

/* SDM 3A "Control Registers", "IA32_EFER". */
#define CR0_PE                 0x00000001ull /* [0] */
#define CR0_ET                 0x00000010ull /* [4] */
#define CR0_NE                 0x00000020ull /* [5] */
#define CR0_PG                 0x80000000ull /* [31] */
#define CR4_PAE                0x00000020ull /* [5] */
#define EFER_LME               0x00000100ull /* [8] */
#define EFER_LMA               0x00000400ull /* [10] */

/* Entries written at a time, to keep the stack small. */
#define CHUNK                  64u

static enum err check_header(const struct linux_setup_header *h, const char **problem)
{
    if (h->header != HEADER_MAGIC || h->boot_flag != HEADER_BOOT_FLAG || h->jump != HEADER_JUMP) {
        *problem = "the kernel is not a bzImage (no HdrS header)";
        return ERR_FORMAT;
    }
    if (h->version < VERSION_MIN) {
        *problem = "the kernel's boot protocol is older than 2.12";
        return ERR_UNSUPPORTED;
    }
    if (!(h->loadflags & LOADFLAGS_LOADED_HIGH)) {
        *problem = "the kernel is a zImage, not a bzImage";
        return ERR_UNSUPPORTED;
    }
    if (!(h->xloadflags & XLF_KERNEL_64)) {
        *problem = "the kernel has no 64-bit entry point (XLF_KERNEL_64 is clear)";
        return ERR_UNSUPPORTED;
    }
    if (HEADER_JUMP_BASE + h->jump_offset < HEADER_END_MIN ||
        HEADER_JUMP_BASE + h->jump_offset > HEADER_END_MAX) {
        *problem = "the kernel's header has an impossible length";
        return ERR_FORMAT;
    }
    return OK;
}

/*
 * Finds the protected-mode code, which begins after the boot sector and setup_sects more. Its last
 * unit need not be whole (memtest86+).
 */
static enum err place_code(struct linux_layout *l, size_t image_len, const char **problem)
{
    const struct linux_setup_header *h = &l->header;
    uint32_t sects = h->setup_sects ? h->setup_sects : SETUP_SECTS_DEFAULT;
    uint64_t code_len = (uint64_t)h->syssize * SYSSIZE_UNIT, rest;

    l->code_offset = (sects + 1) * SECTOR;
    rest = l->code_offset < image_len ? image_len - l->code_offset : 0;
    if (rest == 0 || code_len >= rest + SYSSIZE_UNIT) {
        *problem = "the kernel image is truncated (shorter than its header says)";
        return ERR_FORMAT;
    }
    if (code_len <= ENTRY_64_OFFSET) {
        *problem = "the kernel image has no code";
        return ERR_FORMAT;
    }
    l->code_len = code_len < rest ? code_len : rest;
    return OK;
}

/*
 * The kernel goes to pref_address: one that is not relocatable needs it, and one that is moves
 * itself up to it when loaded lower.
 */
static enum err place_kernel(struct linux_layout *l, const char **problem)
{
    const struct linux_setup_header *h = &l->header;
    uint64_t align = h->relocatable_kernel ? h->kernel_alignment : PAGE_SIZE;
    uint64_t need = h->init_size > l->code_len ? h->init_size : l->code_len;
    uint64_t low_end = gmem_low_len(l->memory);

    if (align == 0 || !is_aligned(align, PAGE_SIZE) || (align & (align - 1)) != 0) {
        *problem = "the kernel's alignment is no power of two of at least a page";
        return ERR_FORMAT;
    }
    if (h->pref_address < LINUX_HIGH_RAM_GPA || !is_aligned(h->pref_address, align)) {
        *problem = "the kernel's preferred address is below 1 MiB or not aligned";
        return ERR_UNSUPPORTED;
    }
    if (h->pref_address > low_end || need > low_end - h->pref_address) {
        *problem = "the guest's memory is too small for the kernel";
        return ERR_NOMEM;
    }
    l->kernel_gpa = h->pref_address;
    l->kernel_end_gpa = align_up(h->pref_address + need, PAGE_SIZE);
    l->entry_gpa = l->kernel_gpa + ENTRY_64_OFFSET;
    return OK;
}

/* As high as the kernel allows, so that it keeps the memory around itself for unpacking. */
static enum err place_initrd(struct linux_layout *l, size_t len, const char **problem)
{
    uint64_t top = (uint64_t)l->header.initrd_addr_max + 1;

    l->initrd_gpa = 0;
    l->initrd_len = len;
    if (len == 0) {
        return OK;
    }
    top = top < gmem_low_len(l->memory) ? top : gmem_low_len(l->memory);
    if (len > top || align_down(top - len, PAGE_SIZE) < l->kernel_end_gpa) {
        *problem = "the guest's memory is too small for kernel and initrd";
        return ERR_NOMEM;
    }
    l->initrd_gpa = align_down(top - len, PAGE_SIZE);
    return OK;
}

static enum err check_cmdline(struct linux_layout *l, const char *cmdline, const char **problem)
{
    l->cmdline_len = strlen(cmdline);
    if (l->cmdline_len > LINUX_CMDLINE_MAX || l->cmdline_len > l->header.cmdline_size) {
        *problem = "the command line is longer than the kernel accepts";
        return ERR_RANGE;
    }
    return OK;
}

static enum err place_all(struct linux_layout *l, size_t image_len, size_t initrd_len,
                          const char **problem)
{
    enum err e = check_header(&l->header, problem);

    if (e == OK) {
        e = place_code(l, image_len, problem);
    }
    if (e == OK) {
        e = place_kernel(l, problem);
    }
    if (e == OK) {
        e = place_initrd(l, initrd_len, problem);
    }
    return e;
}

enum err linux_check(const struct guest_image *kernel, size_t initrd_len, uint64_t memory,
                     const char *cmdline, struct linux_layout *out, const char **problem)
{
    enum err e;

    *problem = NULL;
    memset(out, 0, sizeof(*out));
    if (memory <= LINUX_HIGH_RAM_GPA || memory > GMEM_MAX || !is_aligned(memory, PAGE_SIZE)) {
        *problem = "the guest's memory is not whole pages between 1 MiB and 64 GiB";
        return ERR_RANGE;
    }
    if (kernel->len < LINUX_HEADER_OFFSET + sizeof(out->header)) {
        *problem = "the kernel is not a bzImage (too short)";
        return ERR_FORMAT;
    }
    out->memory = memory;
    memcpy(&out->header, kernel->bytes + LINUX_HEADER_OFFSET, sizeof(out->header));
    e = place_all(out, kernel->len, initrd_len, problem);
    return e == OK ? check_cmdline(out, cmdline, problem) : e;
}

uint8_t linux_e820(uint64_t memory, struct linux_e820_entry out[LINUX_E820_MAX])
{
    uint64_t low_end = gmem_low_len(memory);

    out[0] = (struct linux_e820_entry){0, LINUX_LOW_RAM_END, LINUX_E820_RAM};
    out[1] = (struct linux_e820_entry){LINUX_LOW_RAM_END, LINUX_HIGH_RAM_GPA - LINUX_LOW_RAM_END,
                                       LINUX_E820_RESERVED};
    out[2] =
        (struct linux_e820_entry){LINUX_HIGH_RAM_GPA, low_end - LINUX_HIGH_RAM_GPA, LINUX_E820_RAM};
    if (memory == low_end)
        return 3;
    out[3] = (struct linux_e820_entry){GMEM_HIGH_GPA, memory - low_end, LINUX_E820_RAM};
    return 4;
}

/* One page of table entries first, first + step, ...; count of them, then not-present ones. */
static bool write_table(struct vm *vm, uint64_t gpa, uint64_t first, uint64_t step, unsigned count)
{
    uint64_t entries[CHUNK];
    bool ok = true;

    for (unsigned base = 0; base < PTE_COUNT; base += CHUNK) {
        for (unsigned i = 0; i < CHUNK; i++) {
            entries[i] = base + i < count ? first + (base + i) * step : 0;
        }
        ok = ok && gmem_write(vm, gpa + base * sizeof(entries[0]), entries, sizeof(entries));
    }
    return ok;
}

static bool write_page_tables(struct vm *vm)
{
    uint64_t link = PTE_PRESENT | PTE_WRITE;
    bool ok = write_table(vm, LINUX_PML4_GPA, LINUX_PDPT_GPA | link, 0, 1) &&
              write_table(vm, LINUX_PDPT_GPA, LINUX_PD_GPA | link, PAGE_SIZE, LINUX_PD_COUNT);

    for (unsigned i = 0; i < LINUX_PD_COUNT; i++) {
        ok = ok && write_table(vm, LINUX_PD_GPA + i * PAGE_SIZE, (i * GIB) | link | PTE_PS, PAGE_2M,
                               PTE_COUNT);
    }
    return ok;
}

static bool write_gdt(struct vm *vm)
{
    static const uint64_t gdt[GDT_LEN] = {0, 0, DESC_CODE64, DESC_DATA};

    return gmem_write(vm, LINUX_GDT_GPA, gdt, sizeof(gdt));
}

/* The header with the fields that a boot loader has to fill in. */
static struct linux_setup_header filled_header(const struct linux_layout *l)
{
    struct linux_setup_header h = l->header;

    h.vid_mode = VID_MODE_NORMAL;
    h.type_of_loader = LOADER_UNDEFINED;
    h.loadflags = h.loadflags & (uint8_t)~LOADFLAGS_CAN_USE_HEAP;
    h.heap_end_ptr = 0;
    h.code32_start = (uint32_t)l->kernel_gpa;
    h.ramdisk_image = (uint32_t)l->initrd_gpa;
    h.ramdisk_size = (uint32_t)l->initrd_len;
    h.cmd_line_ptr = (uint32_t)LINUX_CMDLINE_GPA;
    h.setup_data = 0;
    return h;
}

/* boot_params from the image's own header on, which may be longer than the one we know. */
static bool write_header(struct vm *vm, const struct guest_image *kernel,
                         const struct linux_layout *l)
{
    uint64_t gpa = LINUX_BOOT_PARAMS_GPA + LINUX_HEADER_OFFSET;
    size_t len = HEADER_JUMP_BASE + l->header.jump_offset - (size_t)LINUX_HEADER_OFFSET;
    struct linux_setup_header h = filled_header(l);

    return gmem_write(vm, gpa, kernel->bytes + LINUX_HEADER_OFFSET, len) &&
           gmem_write(vm, gpa, &h, len < sizeof(h) ? len : sizeof(h));
}

static bool write_boot_params(struct vm *vm, const struct guest_image *kernel,
                              const struct linux_layout *l, uint64_t rsdp_gpa)
{
    struct linux_e820_entry e820[LINUX_E820_MAX];
    uint8_t e820_entries = linux_e820(l->memory, e820);

    _Static_assert(PARAMS_SIZE == PTE_COUNT * sizeof(uint64_t), "write_table clears one page");
    return write_table(vm, LINUX_BOOT_PARAMS_GPA, 0, 0, 0) && write_header(vm, kernel, l) &&
           gmem_write(vm, LINUX_BOOT_PARAMS_GPA + PARAMS_RSDP, &rsdp_gpa, sizeof(rsdp_gpa)) &&
           gmem_write(vm, LINUX_BOOT_PARAMS_GPA + PARAMS_E820_ENTRIES, &e820_entries,
                      sizeof(e820_entries)) &&
           gmem_write(vm, LINUX_BOOT_PARAMS_GPA + PARAMS_E820_TABLE, e820,
                      e820_entries * sizeof(e820[0]));
}

static bool write_images(struct vm *vm, const struct guest_config *cfg,
                         const struct linux_layout *l)
{
    return gmem_fill(vm, l->kernel_gpa, cfg->kernel.bytes + l->code_offset, l->code_len) &&
           (l->initrd_len == 0 || gmem_fill(vm, l->initrd_gpa, cfg->initrd.bytes, l->initrd_len)) &&
           gmem_write(vm, LINUX_CMDLINE_GPA, cfg->cmdline, l->cmdline_len + 1);
}

enum err linux_load(struct vm *vm, const struct guest_config *cfg,
                    const struct linux_layout *layout, uint64_t rsdp_gpa, struct linux_entry *out)
{
    if (!write_page_tables(vm) || !write_gdt(vm) || !write_images(vm, cfg, layout) ||
        !write_boot_params(vm, &cfg->kernel, layout, rsdp_gpa)) {
        return ERR_RANGE;
    }
    *out = (struct linux_entry){
        .rip = layout->entry_gpa,
        .rsi = LINUX_BOOT_PARAMS_GPA,
        .cr0 = CR0_PG | CR0_NE | CR0_ET | CR0_PE,
        .cr3 = LINUX_PML4_GPA,
        .cr4 = CR4_PAE,
        .efer = EFER_LMA | EFER_LME,
        .gdt_base = LINUX_GDT_GPA,
        .gdt_limit = GDT_LEN * sizeof(uint64_t) - 1,
    };
    return OK;
}
