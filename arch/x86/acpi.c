/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's ACPI tables. ACPI Specification 6.5, sections named in the header. */
#include "arch/x86/acpi.h"

#include "lib/string.h"
#include "mm/phys.h"

#define CHUNK            256u /* bytes on the stack at a time */

/* System description table header */
#define SDT_LENGTH       4u
#define SDT_HEADER_LEN   36u

/* RSDP */
#define RSDP_REVISION    15u
#define RSDP_RSDT        16u
#define RSDP_LENGTH      20u
#define RSDP_XSDT        24u

/* Where BIOS keeps it */
#define BDA_EBDA_SEGMENT 0x40eull
#define EBDA_MIN         0x80000ull
#define EBDA_MAX         0x9fc00ull
#define BIOS_AREA        0xe0000ull
#define BIOS_AREA_LEN    0x20000ull

/* MADT */
#define MADT_LOCAL_APIC  36u
#define MADT_FLAGS       40u
#define MADT_ENTRIES     44u
#define MADT_PCAT_COMPAT 0x1u /* [0] flags */
#define IOAPIC_ALIGN     256u /* 82093AA "Memory Mapped Registers": FEC0_xy00H */
#define MADT_CPU_ENABLED 0x1u /* [0] flags of a processor */
#define MADT_CPU_CAPABLE 0x2u /* [1] can be enabled later */

/* FADT */
#define FADT_DSDT        40u
#define FADT_SMI_CMD     48u
#define FADT_ACPI_ENABLE 52u
#define FADT_PM1A_CNT    64u
#define FADT_PM1B_CNT    68u
#define FADT_PM_TMR      76u
#define FADT_PM_TMR_LEN  91u
#define FADT_FLAGS       112u
#define FADT_RESET_REG   116u
#define FADT_RESET_VALUE 128u
#define FADT_X_DSDT      140u
#define FADT_X_PM1A_CNT  172u
#define FADT_X_PM1B_CNT  184u
#define FADT_X_PM_TMR    208u
#define FADT_TMR_VAL_EXT 0x00000100u /* [8]  the PM timer has 32 bits */
#define FADT_RESET_SUP   0x00000400u /* [10] RESET_REG is there */
#define FADT_HW_REDUCED  0x00100000u /* [20] no PM1 registers */

/* AML */
#define AML_ZERO         0x00u
#define AML_ONE          0x01u
#define AML_NAME         0x08u
#define AML_BYTE         0x0au
#define AML_WORD         0x0bu
#define AML_PACKAGE      0x12u
#define AML_ROOT         0x5cu /* '\' */
#define S5_LONGEST       18u   /* bytes from NameOp to the second element, at most */

/* A table whose header was checked: all of it lies below the address width. */
struct table {
    uint64_t hpa;
    uint32_t len;
};

/* Generic address structure */
struct gas {
    uint8_t space;
    uint64_t addr;
};

/* Where the parser is in the bytes of an AML term. */
struct aml {
    const uint8_t *bytes;
    size_t len;
    size_t at;
    bool bad;
};

static void note(struct acpi_info *out, const char *problem)
{
    if (out->problem == NULL)
        out->problem = problem;
}

static enum err refuse(struct acpi_info *out, enum err e, const char *problem)
{
    note(out, problem);
    return e;
}

/* Copy physical memory; each window ends at a 2 MiB boundary. */
static void acpi_read(uint64_t hpa, void *buf, size_t len)
{
    uint8_t *to = buf;

    while (len > 0) {
        size_t left = (size_t)(PAGE_2M - (hpa & (PAGE_2M - 1)));
        size_t n = len < left ? len : left;

        memcpy(to, phys_window(hpa), n);
        to += n;
        hpa += n;
        len -= n;
    }
}

static uint64_t number(const uint8_t *bytes, size_t len)
{
    uint64_t value = 0;

    for (size_t i = len; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    unsigned total = 0;

    for (size_t i = 0; i < len; i++)
        total += bytes[i];
    return (uint8_t)(total & 0xff);
}

static bool table_has(const struct table *t, uint64_t at, uint64_t len)
{
    return at <= t->len && len <= t->len - at;
}

/* Little-endian field of a table; 0 if the table is too short to have it (older revisions). */
static uint64_t table_number(const struct table *t, uint64_t at, size_t len)
{
    uint8_t bytes[8] = {0};

    if (!table_has(t, at, len))
        return 0;
    acpi_read(t->hpa + at, bytes, len);
    return number(bytes, len);
}

static uint8_t table_u8(const struct table *t, uint64_t at)
{
    return (uint8_t)table_number(t, at, 1);
}

static uint16_t table_u16(const struct table *t, uint64_t at)
{
    return (uint16_t)table_number(t, at, 2);
}

static uint32_t table_u32(const struct table *t, uint64_t at)
{
    return (uint32_t)table_number(t, at, 4);
}

static uint64_t table_u64(const struct table *t, uint64_t at)
{
    return table_number(t, at, 8);
}

static uint8_t table_sum(const struct table *t)
{
    uint8_t chunk[CHUNK];
    unsigned total = 0;

    for (uint32_t at = 0; at < t->len; at += CHUNK) {
        uint32_t n = t->len - at < CHUNK ? t->len - at : CHUNK;

        acpi_read(t->hpa + at, chunk, n);
        total += sum(chunk, n);
    }
    return (uint8_t)(total & 0xff);
}

static bool is_reachable(uint64_t hpa, uint64_t len, unsigned phys_bits)
{
    uint64_t limit = BIT(phys_bits);

    return hpa != 0 && hpa < limit && len <= limit - hpa;
}

static bool has_signature(uint64_t hpa, unsigned phys_bits, const char *signature)
{
    char bytes[4];

    if (!is_reachable(hpa, SDT_HEADER_LEN, phys_bits))
        return false;
    acpi_read(hpa, bytes, sizeof(bytes));
    return memcmp(bytes, signature, sizeof(bytes)) == 0;
}

/* Check a table's header and checksum. t is filled only when all is well. */
static enum err table_open(uint64_t hpa, unsigned phys_bits, const char *signature, struct table *t)
{
    struct table found = {.hpa = hpa, .len = SDT_HEADER_LEN};

    if (!is_reachable(hpa, SDT_HEADER_LEN, phys_bits))
        return ERR_RANGE;
    if (!has_signature(hpa, phys_bits, signature))
        return ERR_FORMAT;
    found.len = table_u32(&found, SDT_LENGTH);
    if (found.len < SDT_HEADER_LEN || found.len > ACPI_TABLE_MAX)
        return ERR_FORMAT;
    if (!is_reachable(hpa, found.len, phys_bits))
        return ERR_RANGE;
    if (table_sum(&found) != 0)
        return ERR_CHECKSUM;
    *t = found;
    return OK;
}

static bool is_rsdp(const uint8_t *bytes)
{
    return memcmp(bytes, "RSD PTR ", 8) == 0 && sum(bytes, ACPI_RSDP_OLD_LEN) == 0;
}

static enum err rsdp_search(uint64_t hpa, uint64_t len, uint8_t *rsdp)
{
    uint8_t bytes[ACPI_RSDP_LEN];

    for (uint64_t at = 0; at < len; at += 16) {
        acpi_read(hpa + at, bytes, sizeof(bytes));
        if (is_rsdp(bytes)) {
            memcpy(rsdp, bytes, sizeof(bytes));
            return OK;
        }
    }
    return ERR_NOTFOUND;
}

enum err acpi_find_rsdp_bios(uint8_t rsdp[ACPI_RSDP_LEN], size_t *len)
{
    uint8_t segment[2];
    uint64_t ebda;
    enum err e = ERR_NOTFOUND;

    acpi_read(BDA_EBDA_SEGMENT, segment, sizeof(segment));
    ebda = number(segment, sizeof(segment)) << 4;
    if (ebda >= EBDA_MIN && ebda <= EBDA_MAX)
        e = rsdp_search(ebda, KIB, rsdp);
    if (e != OK)
        e = rsdp_search(BIOS_AREA, BIOS_AREA_LEN, rsdp);
    if (e == OK)
        *len = rsdp[RSDP_REVISION] < 2 ? ACPI_RSDP_OLD_LEN : ACPI_RSDP_LEN;
    return e;
}

/* The root table and the size of its entries: XSDT (8) where the RSDP has one, else RSDT (4). */
static enum err root_open(const uint8_t *rsdp, size_t len, unsigned phys_bits,
                          struct acpi_info *out, struct table *root, uint32_t *entry_len)
{
    uint64_t xsdt = 0;
    enum err e;

    if (len < ACPI_RSDP_OLD_LEN || memcmp(rsdp, "RSD PTR ", 8) != 0)
        return refuse(out, ERR_FORMAT, "ACPI: no RSDP");
    if (sum(rsdp, ACPI_RSDP_OLD_LEN) != 0)
        return refuse(out, ERR_CHECKSUM, "ACPI: RSDP checksum is wrong");
    if (rsdp[RSDP_REVISION] >= 2 && len >= ACPI_RSDP_LEN) {
        if (number(rsdp + RSDP_LENGTH, 4) != ACPI_RSDP_LEN)
            return refuse(out, ERR_FORMAT, "ACPI: RSDP length is not 36");
        if (sum(rsdp, ACPI_RSDP_LEN) != 0)
            return refuse(out, ERR_CHECKSUM, "ACPI: RSDP extended checksum is wrong");
        xsdt = number(rsdp + RSDP_XSDT, 8);
    }
    *entry_len = xsdt != 0 ? 8 : 4;
    if (xsdt != 0)
        e = table_open(xsdt, phys_bits, "XSDT", root);
    else
        e = table_open(number(rsdp + RSDP_RSDT, 4), phys_bits, "RSDT", root);
    return e == OK ? OK : refuse(out, e, "ACPI: XSDT or RSDT is not sound");
}

/* The first table of that signature in the root table. ERR_NOTFOUND if none. */
static enum err root_find(const struct table *root, uint32_t entry_len, unsigned phys_bits,
                          const char *signature, struct table *t)
{
    uint32_t n = (root->len - SDT_HEADER_LEN) / entry_len;

    for (uint32_t i = 0; i < n && i < ACPI_TABLES_MAX; i++) {
        uint64_t hpa = table_number(root, SDT_HEADER_LEN + (uint64_t)i * entry_len, entry_len);

        if (has_signature(hpa, phys_bits, signature))
            return table_open(hpa, phys_bits, signature, t);
    }
    return ERR_NOTFOUND;
}

static bool has_cpu(const struct acpi_info *out, uint32_t apic_id)
{
    for (uint32_t i = 0; i < out->cpu_count; i++) {
        if (out->cpus[i].apic_id == apic_id)
            return true;
    }
    return false;
}

static void add_cpu(struct acpi_info *out, uint32_t apic_id, uint32_t uid, uint32_t flags)
{
    if ((flags & (MADT_CPU_ENABLED | MADT_CPU_CAPABLE)) == 0 || has_cpu(out, apic_id))
        return;
    if (out->cpu_count == ACPI_CPUS_MAX) {
        out->cpus_dropped++;
        return;
    }
    out->cpus[out->cpu_count++] = (struct acpi_cpu){
        .apic_id = apic_id, .uid = uid, .enabled = (flags & MADT_CPU_ENABLED) != 0};
}

/* Type 0. ID 255 is no processor. */
static void take_local_apic(struct acpi_info *out, const struct table *m, uint32_t at)
{
    uint8_t id = table_u8(m, at + 3);

    if (id != 0xff)
        add_cpu(out, id, table_u8(m, at + 2), table_u32(m, at + 4));
}

/* Type 9. */
static void take_local_x2apic(struct acpi_info *out, const struct table *m, uint32_t at)
{
    uint32_t id = table_u32(m, at + 4);

    if (id != UINT32_MAX)
        add_cpu(out, id, table_u32(m, at + 12), table_u32(m, at + 8));
}

static enum err take_ioapic(struct acpi_info *out, const struct table *m, uint32_t at)
{
    if (out->ioapic_count == ACPI_IOAPICS_MAX)
        return refuse(out, ERR_NOMEM, "ACPI: MADT has more than 16 IOAPICs");
    out->ioapics[out->ioapic_count++] = (struct acpi_ioapic){
        .id = table_u8(m, at + 2), .hpa = table_u32(m, at + 4), .gsi_base = table_u32(m, at + 8)};
    return OK;
}

static enum err take_override(struct acpi_info *out, const struct table *m, uint32_t at)
{
    if (table_u8(m, at + 2) != 0 || table_u8(m, at + 3) > 15)
        return refuse(out, ERR_FORMAT, "ACPI: MADT overrides an interrupt that is not ISA's");
    if (out->override_count == ACPI_OVERRIDES_MAX)
        return refuse(out, ERR_NOMEM, "ACPI: MADT has more than 16 interrupt overrides");
    out->overrides[out->override_count++] = (struct acpi_override){
        .source = table_u8(m, at + 3),
        .gsi = table_u32(m, at + 4),
        .flags = table_u16(m, at + 8),
    };
    return OK;
}

/* Length that an entry of a type must have at least; 2 for those we do not read. */
static uint8_t madt_entry_min(uint8_t type)
{
    switch (type) {
    case 0: return 8;
    case 1: return 12;
    case 2: return 10;
    case 5: return 12;
    case 9: return 16;
    }
    return 2;
}

static enum err take_entry(struct acpi_info *out, const struct table *m, uint32_t at, uint8_t type)
{
    switch (type) {
    case 0: take_local_apic(out, m, at); return OK;
    case 1: return take_ioapic(out, m, at);
    case 2: return take_override(out, m, at);
    case 5: out->local_apic_hpa = table_u64(m, at + 4); return OK;
    case 9: take_local_x2apic(out, m, at); return OK;
    }
    return OK;
}

static enum err read_madt_entries(struct acpi_info *out, const struct table *m)
{
    uint32_t at = MADT_ENTRIES;

    while (at < m->len) {
        uint8_t type = table_u8(m, at);
        uint8_t len = table_u8(m, at + 1);
        enum err e;

        if (len < madt_entry_min(type) || !table_has(m, at, len))
            return refuse(out, ERR_FORMAT, "ACPI: MADT entry with a wrong length");
        e = take_entry(out, m, at, type);
        if (e != OK)
            return e;
        at += len;
    }
    return OK;
}

static bool has_enabled_cpu(const struct acpi_info *out)
{
    for (uint32_t i = 0; i < out->cpu_count; i++) {
        if (out->cpus[i].enabled)
            return true;
    }
    return false;
}

/* They are going to be mapped and written to. */
static bool has_sound_apics(const struct acpi_info *out, unsigned phys_bits)
{
    for (uint32_t i = 0; i < out->ioapic_count; i++) {
        if (out->ioapics[i].hpa == 0 || !is_aligned(out->ioapics[i].hpa, IOAPIC_ALIGN))
            return false;
    }
    return is_aligned(out->local_apic_hpa, PAGE_SIZE) &&
           is_reachable(out->local_apic_hpa, PAGE_SIZE, phys_bits);
}

static enum err read_madt(struct acpi_info *out, const struct table *m, unsigned phys_bits)
{
    enum err e;

    if (m->len < MADT_ENTRIES)
        return refuse(out, ERR_FORMAT, "ACPI: MADT is too short");
    out->local_apic_hpa = table_u32(m, MADT_LOCAL_APIC);
    out->has_pic = (table_u32(m, MADT_FLAGS) & MADT_PCAT_COMPAT) != 0;
    e = read_madt_entries(out, m);
    if (e != OK)
        return e;
    if (!has_enabled_cpu(out))
        return refuse(out, ERR_NOTFOUND, "ACPI: MADT lists no enabled processor");
    if (!has_sound_apics(out, phys_bits))
        return refuse(out, ERR_RANGE, "ACPI: MADT has an APIC where none can be");
    out->have_madt = true;
    return OK;
}

static struct gas table_gas(const struct table *t, uint64_t at)
{
    return (struct gas){.space = table_u8(t, at), .addr = table_u64(t, at + 4)};
}

/* The I/O port of a register: its X_ field if that is an I/O port, else the old field. 0: none. */
static uint16_t fadt_port(const struct table *f, uint64_t x_field, uint64_t old_field)
{
    struct gas x = table_gas(f, x_field);
    uint32_t old = table_u32(f, old_field);

    if (x.space == ACPI_SPACE_IO && x.addr != 0 && x.addr <= UINT16_MAX)
        return (uint16_t)x.addr;
    return old <= UINT16_MAX ? (uint16_t)old : 0;
}

static void read_reset(struct acpi_info *out, const struct table *f, uint32_t flags,
                       unsigned phys_bits)
{
    struct gas reg = table_gas(f, FADT_RESET_REG);

    if ((flags & FADT_RESET_SUP) == 0 || !table_has(f, FADT_RESET_VALUE, 1) || reg.addr == 0)
        return;
    if (reg.space > ACPI_SPACE_PCI || (reg.space == ACPI_SPACE_IO && reg.addr > UINT16_MAX) ||
        (reg.space == ACPI_SPACE_MEMORY && !is_reachable(reg.addr, 1, phys_bits))) {
        note(out, "ACPI: FADT reset register is in no known address space");
        return;
    }
    out->have_reset = true;
    out->reset_space = (enum acpi_space)reg.space;
    out->reset_addr = reg.addr;
    out->reset_value = table_u8(f, FADT_RESET_VALUE);
}

/* PM_TMR_LEN is 4 where there is a timer, 0 where not. */
static void read_timer(struct acpi_info *out, const struct table *f, uint32_t flags)
{
    uint16_t port = fadt_port(f, FADT_X_PM_TMR, FADT_PM_TMR);

    if (port == 0 || table_u8(f, FADT_PM_TMR_LEN) != 4)
        return;
    out->have_timer = true;
    out->pm_timer = port;
    out->pm_timer_bits = (flags & FADT_TMR_VAL_EXT) != 0 ? 32 : 24;
}

static void read_pm1(struct acpi_info *out, const struct table *f)
{
    uint32_t smi_cmd = table_u32(f, FADT_SMI_CMD);

    out->pm1a_cnt = fadt_port(f, FADT_X_PM1A_CNT, FADT_PM1A_CNT);
    out->pm1b_cnt = fadt_port(f, FADT_X_PM1B_CNT, FADT_PM1B_CNT);
    out->have_pm1a = out->pm1a_cnt != 0;
    out->have_pm1b = out->pm1b_cnt != 0;
    if (smi_cmd <= UINT16_MAX)
        out->smi_cmd = (uint16_t)smi_cmd;
    out->acpi_enable = table_u8(f, FADT_ACPI_ENABLE);
}

static uint8_t aml_byte(struct aml *a)
{
    if (a->at >= a->len) {
        a->bad = true;
        return 0;
    }
    return a->bytes[a->at++];
}

/* PkgLength: bits [7:6] of the first byte say how many follow. Its value is not needed. */
static void aml_skip_package_length(struct aml *a)
{
    unsigned more = aml_byte(a) >> 6;

    for (unsigned i = 0; i < more; i++)
        (void)aml_byte(a);
}

/* An integer element that is a sleep type, 0..7. */
static uint8_t aml_sleep_type(struct aml *a)
{
    uint8_t op = aml_byte(a);
    unsigned value = op;

    if (op == AML_BYTE)
        value = aml_byte(a);
    else if (op == AML_WORD) {
        value = aml_byte(a);
        value |= (unsigned)aml_byte(a) << 8;
    } else if (op != AML_ZERO && op != AML_ONE)
        a->bad = true;
    if (value > 7)
        a->bad = true;
    return (uint8_t)(value & 7);
}

static bool aml_is_s5_name(struct aml *a)
{
    if (aml_byte(a) != AML_NAME)
        return false;
    if (a->at < a->len && a->bytes[a->at] == AML_ROOT)
        a->at++;
    if (a->len - a->at < 4 || memcmp(a->bytes + a->at, "_S5_", 4) != 0)
        return false;
    a->at += 4;
    return true;
}

/* Is Name (\_S5, Package (n) {a, b, ...}) at this place? n may be 1: then b is 0. */
static bool take_s5(struct acpi_info *out, struct aml a)
{
    uint8_t n;
    uint8_t typa;
    uint8_t typb = 0;

    if (!aml_is_s5_name(&a) || aml_byte(&a) != AML_PACKAGE)
        return false;
    aml_skip_package_length(&a);
    n = aml_byte(&a);
    typa = aml_sleep_type(&a);
    if (n > 1)
        typb = aml_sleep_type(&a);
    if (a.bad || n == 0)
        return false;
    out->have_s5 = true;
    out->slp_typa = typa;
    out->slp_typb = typb;
    return true;
}

/*
 * Scan for \_S5 without interpreting AML: the bytes of its definition are unambiguous enough, and
 * chunks overlap so that it is whole in one of them.
 */
static void read_s5(struct acpi_info *out, const struct table *dsdt)
{
    uint8_t chunk[CHUNK];

    for (uint32_t at = SDT_HEADER_LEN; at < dsdt->len; at += CHUNK - S5_LONGEST) {
        uint32_t n = dsdt->len - at < CHUNK ? dsdt->len - at : CHUNK;

        acpi_read(dsdt->hpa + at, chunk, n);
        for (uint32_t i = 0; i < n; i++) {
            if (take_s5(out, (struct aml){.bytes = chunk + i, .len = n - i}))
                return;
        }
    }
    note(out, "ACPI: DSDT has no \\_S5 package that can be read");
}

static void read_dsdt(struct acpi_info *out, const struct table *f, unsigned phys_bits)
{
    uint64_t hpa = table_u64(f, FADT_X_DSDT);
    struct table dsdt;

    if (hpa == 0)
        hpa = table_u32(f, FADT_DSDT);
    if (table_open(hpa, phys_bits, "DSDT", &dsdt) != OK) {
        note(out, "ACPI: DSDT is not sound");
        return;
    }
    out->have_dsdt = true;
    out->dsdt_hpa = hpa;
    read_s5(out, &dsdt);
}

static void read_fadt(struct acpi_info *out, const struct table *f, unsigned phys_bits)
{
    uint32_t flags = table_u32(f, FADT_FLAGS);

    if (f->len < FADT_RESET_REG) {
        note(out, "ACPI: FADT is too short");
        return;
    }
    out->have_fadt = true;
    out->hw_reduced = (flags & FADT_HW_REDUCED) != 0;
    if (!out->hw_reduced) {
        read_pm1(out, f);
        read_timer(out, f, flags);
    }
    read_reset(out, f, flags, phys_bits);
    read_dsdt(out, f, phys_bits);
}

enum err acpi_find(const void *rsdp, size_t len, unsigned phys_bits, struct acpi_info *out)
{
    struct table root;
    struct table t;
    uint32_t entry_len = 0;
    enum err e;

    memset(out, 0, sizeof(*out));
    e = root_open(rsdp, len, phys_bits, out, &root, &entry_len);
    if (e != OK)
        return e;
    e = root_find(&root, entry_len, phys_bits, "APIC", &t);
    if (e != OK)
        return refuse(out, e, "ACPI: MADT is missing or not sound");
    e = read_madt(out, &t, phys_bits);
    if (e != OK)
        return e;
    if (root_find(&root, entry_len, phys_bits, "FACP", &t) == OK)
        read_fadt(out, &t, phys_bits);
    else
        note(out, "ACPI: FADT is missing or not sound");
    return OK;
}

size_t acpi_copy_table(const void *rsdp, size_t len, unsigned phys_bits, const char *signature,
                       uint8_t *buf, size_t room)
{
    struct acpi_info unused = {0};
    struct table root, t;
    uint32_t entry_len = 0;

    if (root_open(rsdp, len, phys_bits, &unused, &root, &entry_len) != OK ||
        root_find(&root, entry_len, phys_bits, signature, &t) != OK)
        return 0;
    if (room > t.len)
        room = t.len;
    acpi_read(t.hpa, buf, room);
    return room;
}

struct acpi_override acpi_isa_irq(const struct acpi_info *info, uint8_t irq)
{
    for (uint32_t i = 0; i < info->override_count; i++) {
        if (info->overrides[i].source == irq)
            return info->overrides[i];
    }
    return (struct acpi_override){.source = irq, .gsi = irq};
}
