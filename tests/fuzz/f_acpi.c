/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz: arch/x86/acpi.c; ; 1024 */
/*
 * The ACPI tables of any firmware: nothing beyond the address width or behind a window is read, the
 * number of reads is bounded, and what comes out is as the header promises. Input: bytes of
 * choices, then the tables' contents, of which the headers and pointers are put right, if so
 * chosen. They lie around a 2 MiB boundary.
 */
#include "arch/x86/acpi.h"
#include "mm/phys.h"
#include "tests/fuzz/fuzz.h"

#define CHOICES   7u /* bytes: two of choices, the address width, lengths */
#define OLD_RSDP  0x001u
#define RAW_RSDP  0x002u /* as in the input: header, length, pointers and sum */
#define RAW_ROOT  0x004u
#define RAW_MADT  0x008u
#define RAW_FADT  0x010u
#define RAW_DSDT  0x020u
#define POINTERS  0x040u /* the root's and the FADT's are those of the input */
#define BIOS      0x080u /* the RSDP is looked for where BIOS leaves it */
#define LENGTHS   0x100u /* headers keep the length that the input has, up to 8 KiB */
#define ENTRIES   0x400u /* the MADT's are of any length; else as their type has it */
#define HIGH      0x200u /* all of it at the end of the last 2 MiB of the address width */

#define BLOCK     (2u << 20)
#define READS_MAX 1000000u

/* Three blocks of memory, each an allocation of its own; elsewhere all ones. */
static struct {
    uint8_t *low, *first, *second, *nothing;
    uint64_t first_hpa;
    uint64_t limit; /* no address from here on may be read */
    unsigned reads;
} memory;

struct input {
    const uint8_t *bytes;
    size_t len;
};

void *phys_window(uint64_t hpa)
{
    uint64_t block = hpa / BLOCK * BLOCK;
    uint8_t *bytes = memory.nothing;

    CHECK(hpa < memory.limit);
    CHECK(memory.reads++ < READS_MAX);
    if (block == 0)
        bytes = memory.low;
    else if (block == memory.first_hpa)
        bytes = memory.first;
    else if (block == memory.first_hpa + BLOCK)
        bytes = memory.second;
    return bytes + hpa % BLOCK;
}

static void set_up(void)
{
    memory.low = calloc(1, BLOCK);
    memory.first = calloc(1, BLOCK);
    memory.second = calloc(1, BLOCK);
    memory.nothing = malloc(BLOCK);
    memset(memory.nothing, 0xff, BLOCK);
}

static void take(struct input *in, uint8_t *to, size_t len)
{
    size_t n = len < in->len ? len : in->len;

    memset(to, 0, len);
    if (n != 0)
        memcpy(to, in->bytes, n);
    in->bytes += n;
    in->len -= n;
}

static void put(uint8_t *to, uint64_t value, size_t len)
{
    memcpy(to, &value, len);
}

static void fix_sum(uint8_t *bytes, size_t len, size_t at)
{
    uint8_t total = 0;

    bytes[at] = 0;
    for (size_t i = 0; i < len; i++)
        total = (uint8_t)(total + bytes[i]);
    bytes[at] = (uint8_t)-total;
}

/* Copy to where the tables are; the part after the boundary goes into the second block. */
static void store(uint64_t hpa, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t at = hpa + i - memory.first_hpa;

        if (at < BLOCK)
            memory.first[at] = bytes[i];
        else if (at < 2 * BLOCK)
            memory.second[at - BLOCK] = bytes[i];
    }
}

/* A table of that length; its header is right if so chosen. */
static void seal(uint64_t hpa, uint8_t *bytes, size_t len, const char *signature, bool raw,
                 unsigned choices)
{
    if (!raw) {
        memcpy(bytes, signature, 4);
        if ((choices & LENGTHS) == 0)
            put(bytes + 4, len, 4);
        else
            put(bytes + 5, bytes[5] & 0x1f, 3);
        fix_sum(bytes, len, 9);
    }
    store(hpa, bytes, len);
}

/* Entries that follow each other to the end, of the types that are read, and one that is not. */
static void tame_entries(uint8_t *madt, size_t len)
{
    static const uint8_t types[] = {0, 1, 2, 5, 9, 4}, lens[] = {8, 12, 10, 12, 16, 6};

    for (size_t at = 44; at + 2 <= len;) {
        unsigned i = madt[at] % 6;
        size_t n = at + lens[i] + 6 <= len ? lens[i] : len - at;

        madt[at] = n < lens[i] ? 4 : types[i];
        madt[at + 1] = (uint8_t)n;
        at += n;
    }
}

/* The RSDP, and all tables behind each other. Returns its length. */
static size_t make_tables(struct input *in, unsigned choices, const uint8_t *sizes,
                          uint8_t rsdp[36])
{
    bool old = (choices & OLD_RSDP) != 0;
    uint8_t root[36 + 8 * 32], fadt[36 + 255], dsdt[36 + 255], madt[44 + 4 * 255];
    size_t entry = old ? 4 : 8;
    size_t root_len = 36 + entry * (2 + sizes[0] % 31);
    size_t fadt_len = 36 + (255 - sizes[1]), dsdt_len = 36 + sizes[2], madt_len = 44 + 4 * sizes[3];
    size_t total = root_len + fadt_len + dsdt_len + madt_len;
    uint64_t base = memory.first_hpa + ((choices & HIGH) != 0 ? 2 * BLOCK - total : BLOCK - 300);
    uint64_t at[4] = {base, base + root_len, base + root_len + fadt_len, base + total - madt_len};

    take(in, madt, madt_len);
    take(in, dsdt, dsdt_len);
    take(in, fadt, fadt_len);
    take(in, root, root_len);
    take(in, rsdp, 36);
    if ((choices & ENTRIES) == 0)
        tame_entries(madt, madt_len);
    if ((choices & POINTERS) == 0) {
        put(root + 36, at[1], entry);
        put(root + 36 + entry, at[3], entry);
        put(fadt + 40, at[2], 4);
    }
    if ((choices & RAW_RSDP) == 0) {
        memcpy(rsdp, "RSD PTR ", 8);
        rsdp[15] = old ? 0 : 2;
        put(rsdp + 16, at[0], 4);
        put(rsdp + 20, 36, 4);
        put(rsdp + 24, at[0], 8);
        fix_sum(rsdp, 20, 8);
        fix_sum(rsdp, 36, 32);
    }
    seal(at[0], root, root_len, old ? "RSDT" : "XSDT", choices & RAW_ROOT, choices);
    seal(at[1], fadt, fadt_len, "FACP", choices & RAW_FADT, choices);
    seal(at[2], dsdt, dsdt_len, "DSDT", choices & RAW_DSDT, choices);
    seal(at[3], madt, madt_len, "APIC", choices & RAW_MADT, choices);
    return old ? 20 : 36;
}

static void check_madt(const struct acpi_info *a)
{
    bool enabled = false;

    CHECK(a->cpu_count <= ACPI_CPUS_MAX && a->ioapic_count <= ACPI_IOAPICS_MAX);
    CHECK(a->override_count <= ACPI_OVERRIDES_MAX);
    CHECK(a->cpus_dropped == 0 || a->cpu_count == ACPI_CPUS_MAX);
    for (uint32_t i = 0; i < a->cpu_count; i++) {
        enabled = enabled || a->cpus[i].enabled;
        CHECK(a->cpus[i].apic_id != UINT32_MAX);
        for (uint32_t j = 0; j < i; j++)
            CHECK(a->cpus[i].apic_id != a->cpus[j].apic_id);
    }
    for (uint32_t i = 0; i < a->override_count; i++)
        CHECK(a->overrides[i].source < 16);
    CHECK(!a->have_madt || enabled);
    if (!a->have_madt)
        return;
    CHECK(a->local_apic_hpa != 0 && a->local_apic_hpa % 4096 == 0);
    CHECK(a->local_apic_hpa < memory.limit);
    for (uint32_t i = 0; i < a->ioapic_count; i++) {
        CHECK(a->ioapics[i].hpa != 0 && a->ioapics[i].hpa % 256 == 0);
        CHECK(a->ioapics[i].hpa < memory.limit);
    }
}

static void check_fadt(const struct acpi_info *a)
{
    CHECK(a->have_fadt || !(a->have_pm1a || a->have_pm1b || a->have_timer || a->have_reset));
    CHECK(a->have_pm1a == (a->pm1a_cnt != 0) && a->have_pm1b == (a->pm1b_cnt != 0));
    CHECK(a->have_timer == (a->pm_timer != 0));
    CHECK(!a->have_timer || a->pm_timer_bits == 24 || a->pm_timer_bits == 32);
    CHECK(!a->have_s5 || a->have_dsdt);
    CHECK(!a->have_dsdt || (a->have_fadt && a->dsdt_hpa != 0 && a->dsdt_hpa < memory.limit));
    CHECK(a->slp_typa <= 7 && a->slp_typb <= 7);
    CHECK(a->reset_space <= ACPI_SPACE_PCI);
    CHECK(a->reset_space != ACPI_SPACE_IO || a->reset_addr <= UINT16_MAX);
}

static void check(enum err e, const struct acpi_info *a)
{
    CHECK(e == OK ? a->have_madt : a->problem != NULL);
    CHECK(e == OK || !a->have_fadt);
    check_madt(a);
    check_fadt(a);
    for (unsigned irq = 0; irq < 16; irq++)
        CHECK(acpi_isa_irq(a, (uint8_t)irq).source == irq);
}

/* The RSDP at a place of the BIOS's area, or in its EBDA. */
static size_t find_by_bios(uint8_t rsdp[36], size_t len, uint8_t place)
{
    uint8_t *at = memory.low + (place & 1 ? 0x9fc00 : 0xe0000) + (place & 0x3e) * 16;
    uint8_t found[36];

    put(memory.low + 0x40e, place & 1 ? 0x9fc0 : place << 8, 2);
    memcpy(at, rsdp, 36);
    memory.limit = 1 << 20;
    if (acpi_find_rsdp_bios(found, &len) == OK) {
        CHECK(len == 20 || len == 36);
        memcpy(rsdp, found, 36);
    }
    memset(at, 0, 36);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct acpi_info info;
    struct input in = {data + CHOICES, size - CHOICES};
    uint8_t rsdp[36];
    unsigned bits;
    size_t len;

    if (size < CHOICES)
        return 0;
    if (memory.low == NULL)
        set_up();
    unsigned choices = data[0] | (unsigned)data[1] << 8;

    bits = 32 + data[2] % 21;
    memory.reads = 0;
    memory.first_hpa = (choices & HIGH) != 0 ? (1ull << bits) - 2 * BLOCK : 0x3fc00000;
    if ((choices & HIGH) != 0 && (choices & OLD_RSDP) != 0)
        memory.first_hpa = (1ull << 32) - 2 * BLOCK;
    memset(memory.first + BLOCK - 2048, 0, 2048);
    memset(memory.second, 0, 2048);
    memset(memory.second + BLOCK - 4096, 0, 4096);
    len = make_tables(&in, choices, data + 3, rsdp);
    if ((choices & BIOS) != 0)
        len = find_by_bios(rsdp, len, data[2]);
    memory.limit = 1ull << bits;
    check(acpi_find(rsdp, len, bits, &info), &info);
    return 0;
}
