/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables. Source: ACPI specification 6.4, chapter 5.2 "ACPI System Description Tables"; each
 * struct names its section. Not hardware-reduced: the guest has PM1, PM timer, SCI and the PC's
 * interrupt controllers, which is what kernels test most.
 */
#include "guest/acpi_tables.h"

#include "devices/hpet.h"
#include "devices/watchdog.h"
#include "lib/bits.h"
#include "lib/string.h"

#define OEM_ID       "BULKHD"
#define OEM_TABLE_ID "GUEST\0\0"
#define CREATOR_ID   "BKHD"
#define REVISION     1u
#define TABLE_ALIGN  64u /* what the FACS needs */
#define DSDT_LEN_MAX 0x10000u

/* 5.2.5.3 "Root System Description Pointer (RSDP) Structure" */
struct rsdp {
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision; /* 2: all of this structure */
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum; /* of all 36 bytes */
    uint8_t reserved[3];
} PACKED;
_Static_assert(sizeof(struct rsdp) == ACPI_RSDP_LEN, "ACPI 5.2.5.3");
#define RSDP_V1_LEN 20u

/* 5.2.6 "System Description Table Header" */
struct table_header {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} PACKED;
_Static_assert(sizeof(struct table_header) == 36, "ACPI 5.2.6");

/* 5.2.8 "Extended System Description Table (XSDT)" */
struct xsdt {
    struct table_header header;
    uint64_t entries[4]; /* FADT, MADT, and of HPET and WDAT those that there are */
} PACKED;
_Static_assert(sizeof(struct xsdt) == 68, "ACPI 5.2.8");

/* 5.2.3.2 "Generic Address Structure" */
struct gas {
    uint8_t space; /* 1: I/O ports */
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t access_size; /* 1 byte, 2 word, 3 dword */
    uint64_t address;
} PACKED;
_Static_assert(sizeof(struct gas) == 12, "ACPI 5.2.3.2");

/* 5.2.9 "Fixed ACPI Description Table (FADT)", revision 6 */
struct fadt {
    struct table_header header;
    uint32_t firmware_ctrl;
    uint32_t dsdt;
    uint8_t reserved0;
    uint8_t preferred_pm_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable;
    uint8_t acpi_disable;
    uint8_t s4bios_req;
    uint8_t pstate_cnt;
    uint32_t pm1a_evt_blk;
    uint32_t pm1b_evt_blk;
    uint32_t pm1a_cnt_blk;
    uint32_t pm1b_cnt_blk;
    uint32_t pm2_cnt_blk;
    uint32_t pm_tmr_blk;
    uint32_t gpe0_blk;
    uint32_t gpe1_blk;
    uint8_t pm1_evt_len;
    uint8_t pm1_cnt_len;
    uint8_t pm2_cnt_len;
    uint8_t pm_tmr_len;
    uint8_t gpe0_blk_len;
    uint8_t gpe1_blk_len;
    uint8_t gpe1_base;
    uint8_t cst_cnt;
    uint16_t p_lvl2_lat; /* us; above 100 there is no C2 */
    uint16_t p_lvl3_lat; /* us; above 1000 there is no C3 */
    uint16_t flush_size;
    uint16_t flush_stride;
    uint8_t duty_offset;
    uint8_t duty_width;
    uint8_t day_alrm;
    uint8_t mon_alrm;
    uint8_t century;
    uint16_t iapc_boot_arch;
    uint8_t reserved1;
    uint32_t flags;
    struct gas reset_reg;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t minor_version;
    uint64_t x_firmware_ctrl;
    uint64_t x_dsdt;
    struct gas x_pm1a_evt_blk;
    struct gas x_pm1b_evt_blk;
    struct gas x_pm1a_cnt_blk;
    struct gas x_pm1b_cnt_blk;
    struct gas x_pm2_cnt_blk;
    struct gas x_pm_tmr_blk;
    struct gas x_gpe0_blk;
    struct gas x_gpe1_blk;
    struct gas sleep_control_reg;
    struct gas sleep_status_reg;
    char hypervisor_vendor[8];
} PACKED;
_Static_assert(offsetof(struct fadt, pm1a_evt_blk) == 56, "ACPI table 5.9");
_Static_assert(offsetof(struct fadt, pm1_evt_len) == 88, "ACPI table 5.9");
_Static_assert(offsetof(struct fadt, iapc_boot_arch) == 109, "ACPI table 5.9");
_Static_assert(offsetof(struct fadt, flags) == 112, "ACPI table 5.9");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "ACPI table 5.9");
_Static_assert(offsetof(struct fadt, sleep_control_reg) == 244, "ACPI table 5.9");
_Static_assert(sizeof(struct fadt) == 276, "ACPI table 5.9");
#define FADT_REVISION        6
#define GAS_SYSTEM_IO        1
#define PM1_EVT_LEN          4
#define PM1_CNT_LEN          2
#define PM_TMR_LEN           4
#define P_LVL2_LAT_NONE      101
#define P_LVL3_LAT_NONE      1001

/* "Fixed ACPI Description Table Fixed Feature Flags". PWR_BUTTON [4] clear: a fixed button. */
#define FADT_WBINVD          0x00000001u /* [0]  WBINVD works */
#define FADT_PROC_C1         0x00000004u /* [2]  HLT works on all CPUs */
#define FADT_SLP_BUTTON      0x00000020u /* [5]  no fixed sleep button */
#define FADT_FIX_RTC         0x00000040u /* [6]  the RTC's wake status is not in PM1 */
#define FADT_TMR_VAL_EXT     0x00000100u /* [8]  the PM timer has 32 bits */
#define FADT_RESET_REG_SUP   0x00000400u /* [10] RESET_REG works */

/* "IA-PC Boot Architecture Flags". 8042 [1] clear: no keyboard controller. RTC [5] clear: one. */
#define BOOT_LEGACY_DEVICES  0x0001u /* [0] devices of the ISA bus */
#define BOOT_VGA_NOT_PRESENT 0x0004u /* [2] */

/* 5.2.10 "Firmware ACPI Control Structure (FACS)": no checksum */
struct facs {
    char signature[4];
    uint32_t length;
    uint32_t hardware_signature;
    uint32_t waking_vector;
    uint32_t global_lock;
    uint32_t flags;
    uint64_t x_waking_vector;
    uint8_t version;
    uint8_t reserved0[3];
    uint32_t ospm_flags;
    uint8_t reserved1[24];
} PACKED;
_Static_assert(sizeof(struct facs) == 64, "ACPI 5.2.10");
#define FACS_VERSION 2

/* 5.2.12 "Multiple APIC Description Table (MADT)" */
struct madt_lapic { /* type 0 */
    uint8_t type;
    uint8_t length;
    uint8_t acpi_uid;
    uint8_t apic_id;
    uint32_t flags;
} PACKED;
_Static_assert(sizeof(struct madt_lapic) == 8, "ACPI 5.2.12.2");

struct madt_ioapic { /* type 1 */
    uint8_t type;
    uint8_t length;
    uint8_t id;
    uint8_t reserved;
    uint32_t address;
    uint32_t gsi_base;
} PACKED;
_Static_assert(sizeof(struct madt_ioapic) == 12, "ACPI 5.2.12.3");

struct madt_override { /* type 2 */
    uint8_t type;
    uint8_t length;
    uint8_t bus; /* 0: ISA */
    uint8_t source;
    uint32_t gsi;
    uint16_t flags;
} PACKED;
_Static_assert(sizeof(struct madt_override) == 10, "ACPI 5.2.12.5");

struct madt_lapic_nmi { /* type 4 */
    uint8_t type;
    uint8_t length;
    uint8_t acpi_uid;
    uint16_t flags;
    uint8_t lint;
} PACKED;
_Static_assert(sizeof(struct madt_lapic_nmi) == 6, "ACPI 5.2.12.7");

struct madt {
    struct table_header header;
    uint32_t lapic_address;
    uint32_t flags;
    struct madt_ioapic ioapic;
    struct madt_override pit;
    struct madt_override sci;
    struct madt_lapic_nmi nmi;
    struct madt_lapic lapics[]; /* one for each vCPU */
} PACKED;
_Static_assert(sizeof(struct madt) == 82, "sum of the parts");
#define MADT_REVISION      5
#define MADT_PCAT_COMPAT   1u     /* [0] there is a pair of 8259 */
#define MADT_LAPIC_ENABLED 1u     /* [0] */
#define MADT_ALL_CPUS      0xff   /* acpi_uid of an NMI entry */
#define MPS_CONFORMS       0x0000 /* as is usual for the bus */
#define MPS_LEVEL_HIGH     0x000d /* [3:2] 11 level, [1:0] 01 active high */

/* IA-PC HPET Specification 1.0a, 3.2.4 "The ACPI 2.0 HPET Description Table (HPET)" */
struct hpet_table {
    struct table_header header;
    uint32_t block_id; /* low half of the capabilities register */
    struct gas address;
    uint8_t number;
    uint16_t min_tick; /* for periodic interrupts without loss */
    uint8_t protection;
} PACKED;
_Static_assert(sizeof(struct hpet_table) == 56, "HPET 3.2.4");

/* "Hardware Watchdog Timers Design Specification", "Watchdog Action Table" */
struct wdat_entry {
    uint8_t action;
    uint8_t instruction;
    uint16_t reserved;
    struct gas region;
    uint32_t value;
    uint32_t mask;
} PACKED;
_Static_assert(sizeof(struct wdat_entry) == 24, "WDAT");

/* Actions, and the instructions that carry them out. */
#define WDAT_RESET           1
#define WDAT_GET_LEFT        4
#define WDAT_GET_COUNT       5
#define WDAT_SET_COUNT       6
#define WDAT_GET_RUNNING     8
#define WDAT_SET_RUNNING     9
#define WDAT_GET_STOPPED     10
#define WDAT_SET_STOPPED     11
#define WDAT_GET_REBOOT      16
#define WDAT_SET_REBOOT      17
#define WDAT_GET_STATUS      32
#define WDAT_SET_STATUS      33
#define WDAT_READ_VALUE      0 /* is it `value`? */
#define WDAT_READ_COUNTDOWN  1
#define WDAT_WRITE_VALUE     2
#define WDAT_WRITE_COUNTDOWN 3
#define WDAT_ENTRIES         12

struct wdat {
    struct table_header header;
    uint32_t header_len; /* from here to the entries */
    uint16_t pci_segment;
    uint8_t pci_bus, pci_device, pci_function;
    uint8_t reserved0[3];
    uint32_t period_ms; /* of one count */
    uint32_t max_count;
    uint32_t min_count;
    uint8_t flags;
    uint8_t reserved1[3];
    uint32_t entry_count;
    struct wdat_entry entries[WDAT_ENTRIES];
} PACKED;
_Static_assert(offsetof(struct wdat, entries) == 68, "WDAT");
_Static_assert(offsetof(struct wdat, entries) - offsetof(struct wdat, header_len) == 32, "WDAT");
#define WDAT_HEADER_LEN 32u
#define WDAT_NO_PCI     0xff
#define WDAT_ENABLED    0x01u /* [0] */

/* Where each table begins in the area. */
struct places {
    uint32_t xsdt;
    uint32_t fadt;
    uint32_t facs;
    uint32_t madt;
    uint32_t hpet; /* 0: none */
    uint32_t wdat; /* 0: none */
    uint32_t dsdt;
    uint32_t end;
};

static uint8_t checksum(const void *table, size_t len)
{
    const uint8_t *bytes = table;
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return (uint8_t)(0x100 - sum);
}

static uint32_t madt_len(unsigned vcpus)
{
    return (uint32_t)(sizeof(struct madt) + vcpus * sizeof(struct madt_lapic));
}

static uint32_t after(uint32_t offset, size_t len)
{
    return (uint32_t)align_up(offset + len, TABLE_ALIGN);
}

static struct places place_tables(const struct guest_config *guest, size_t dsdt_len)
{
    struct places p;

    p.xsdt = after(0, sizeof(struct rsdp));
    p.fadt = after(p.xsdt, sizeof(struct xsdt));
    p.facs = after(p.fadt, sizeof(struct fadt));
    p.madt = after(p.facs, sizeof(struct facs));
    p.dsdt = after(p.madt, madt_len(guest->vcpu_count));
    p.hpet = guest->hpet ? p.dsdt : 0;
    if (guest->hpet)
        p.dsdt = after(p.hpet, sizeof(struct hpet_table));
    p.wdat = guest->watchdog_s != 0 ? p.dsdt : 0;
    if (guest->watchdog_s != 0)
        p.dsdt = after(p.wdat, sizeof(struct wdat));
    p.end = after(p.dsdt, dsdt_len);
    return p;
}

static struct table_header make_header(const char *signature, uint32_t length, uint8_t revision)
{
    struct table_header h = {
        .length = length,
        .revision = revision,
        .oem_revision = REVISION,
        .creator_revision = REVISION,
    };

    memcpy(h.signature, signature, sizeof(h.signature));
    memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
    memcpy(h.oem_table_id, OEM_TABLE_ID, sizeof(h.oem_table_id));
    memcpy(h.creator_id, CREATOR_ID, sizeof(h.creator_id));
    return h;
}

static struct gas io_register(uint16_t port, uint8_t bits, uint8_t access_size)
{
    return (struct gas){
        .space = GAS_SYSTEM_IO, .bit_width = bits, .access_size = access_size, .address = port};
}

static void build_rsdp(uint8_t *at, uint64_t xsdt_gpa)
{
    struct rsdp r = {.revision = 2, .length = sizeof(r), .xsdt = xsdt_gpa};

    memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
    memcpy(r.oem_id, OEM_ID, sizeof(r.oem_id));
    r.checksum = checksum(&r, RSDP_V1_LEN);
    r.extended_checksum = checksum(&r, sizeof(r));
    memcpy(at, &r, sizeof(r));
}

static void build_xsdt(uint8_t *at, uint64_t gpa, const struct places *p)
{
    const uint32_t tables[] = {p->fadt, p->madt, p->hpet, p->wdat};
    uint32_t len = offsetof(struct xsdt, entries);
    struct xsdt x;

    for (unsigned i = 0; i < ARRAY_LEN(tables); i++) {
        if (tables[i] == 0)
            continue;
        x.entries[(len - offsetof(struct xsdt, entries)) / 8] = gpa + tables[i];
        len += 8;
    }
    x.header = make_header("XSDT", len, 1);
    x.header.checksum = checksum(&x, len);
    memcpy(at, &x, len);
}

static void build_hpet(uint8_t *at)
{
    struct hpet_table h = {
        .header = make_header("HPET", sizeof(h), 1),
        .block_id = HPET_BLOCK_ID,
        .address = {.bit_width = 64, .address = HPET_GPA}, /* space 0: memory */
        .min_tick = HPET_MIN_PERIOD,
    };

    h.header.checksum = checksum(&h, sizeof(h));
    memcpy(at, &h, sizeof(h));
}

static struct wdat_entry wdat_byte(const struct guest_config *guest, uint8_t action,
                                   uint8_t instruction, unsigned offset, uint32_t value)
{
    return (struct wdat_entry){
        .action = action,
        .instruction = instruction,
        .region = io_register((uint16_t)(guest->watchdog_port + offset), 8, 1),
        .value = value,
        .mask = 0xff,
    };
}

static struct wdat_entry wdat_count(const struct guest_config *guest, uint8_t action,
                                    uint8_t instruction, unsigned offset)
{
    return (struct wdat_entry){
        .action = action,
        .instruction = instruction,
        .region = io_register((uint16_t)(guest->watchdog_port + offset), 16, 2),
        .mask = 0xffff,
    };
}

/* It is enabled, and yet stopped until the guest starts it. */
static void build_wdat(uint8_t *at, const struct guest_config *g)
{
    struct wdat w = {
        .header = make_header("WDAT", sizeof(w), 1),
        .header_len = WDAT_HEADER_LEN,
        .pci_segment = WDAT_NO_PCI,
        .pci_bus = WDAT_NO_PCI,
        .pci_device = WDAT_NO_PCI,
        .pci_function = WDAT_NO_PCI,
        .period_ms = 1000,
        .max_count = g->watchdog_s < WATCHDOG_LIMIT_MAX ? g->watchdog_s : WATCHDOG_LIMIT_MAX,
        .min_count = 1,
        .flags = WDAT_ENABLED,
        .entry_count = WDAT_ENTRIES,
        .entries = {
                    wdat_byte(g, WDAT_RESET, WDAT_WRITE_VALUE, WATCHDOG_KICK, 1),
                    wdat_count(g, WDAT_GET_LEFT, WDAT_READ_COUNTDOWN, WATCHDOG_LEFT),
                    wdat_count(g, WDAT_GET_COUNT, WDAT_READ_COUNTDOWN, WATCHDOG_COUNT),
                    wdat_count(g, WDAT_SET_COUNT, WDAT_WRITE_COUNTDOWN, WATCHDOG_COUNT),
                    wdat_byte(g, WDAT_GET_RUNNING, WDAT_READ_VALUE, WATCHDOG_CONTROL, 1),
                    wdat_byte(g, WDAT_SET_RUNNING, WDAT_WRITE_VALUE, WATCHDOG_CONTROL, 1),
                    wdat_byte(g, WDAT_GET_STOPPED, WDAT_READ_VALUE, WATCHDOG_CONTROL, 0),
                    wdat_byte(g, WDAT_SET_STOPPED, WDAT_WRITE_VALUE, WATCHDOG_CONTROL, 0),
                    wdat_byte(g, WDAT_GET_REBOOT, WDAT_READ_VALUE, WATCHDOG_ACTION, 1),
                    wdat_byte(g, WDAT_SET_REBOOT, WDAT_WRITE_VALUE, WATCHDOG_ACTION, 1),
                    wdat_byte(g, WDAT_GET_STATUS, WDAT_READ_VALUE, WATCHDOG_STATUS, 1),
                    wdat_byte(g, WDAT_SET_STATUS, WDAT_WRITE_VALUE, WATCHDOG_STATUS, 1),
                    }
    };

    w.header.checksum = checksum(&w, sizeof(w));
    memcpy(at, &w, sizeof(w));
}

static void fadt_set_registers(struct fadt *f)
{
    f->pm1a_evt_blk = ACPI_PM1A_EVT_PORT;
    f->pm1a_cnt_blk = ACPI_PM1A_CNT_PORT;
    f->pm_tmr_blk = ACPI_PM_TMR_PORT;
    f->pm1_evt_len = PM1_EVT_LEN;
    f->pm1_cnt_len = PM1_CNT_LEN;
    f->pm_tmr_len = PM_TMR_LEN;
    f->x_pm1a_evt_blk = io_register(ACPI_PM1A_EVT_PORT, 8 * PM1_EVT_LEN, 2);
    f->x_pm1a_cnt_blk = io_register(ACPI_PM1A_CNT_PORT, 8 * PM1_CNT_LEN, 2);
    f->x_pm_tmr_blk = io_register(ACPI_PM_TMR_PORT, 8 * PM_TMR_LEN, 3);
    f->reset_reg = io_register(ACPI_RESET_PORT, 8, 1);
    f->reset_value = ACPI_RESET_VALUE;
}

/* SMI_CMD 0 says that the machine is always in ACPI mode. X_FIRMWARE_CTRL stays 0 as the 32-bit
 * field is used; X_DSDT repeats DSDT. */
static void build_fadt(uint8_t *at, uint64_t facs_gpa, uint64_t dsdt_gpa)
{
    struct fadt f = {
        .header = make_header("FACP", sizeof(f), FADT_REVISION),
        .firmware_ctrl = (uint32_t)facs_gpa,
        .dsdt = (uint32_t)dsdt_gpa,
        .x_dsdt = dsdt_gpa,
        .sci_int = ACPI_SCI_GSI,
        .p_lvl2_lat = P_LVL2_LAT_NONE,
        .p_lvl3_lat = P_LVL3_LAT_NONE,
        .century = ACPI_CMOS_CENTURY,
        .iapc_boot_arch = BOOT_LEGACY_DEVICES | BOOT_VGA_NOT_PRESENT,
        .flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_TMR_VAL_EXT |
                 FADT_RESET_REG_SUP,
    };

    fadt_set_registers(&f);
    memcpy(f.hypervisor_vendor, "BULKHEAD", sizeof(f.hypervisor_vendor));
    f.header.checksum = checksum(&f, sizeof(f));
    memcpy(at, &f, sizeof(f));
}

static void build_facs(uint8_t *at)
{
    struct facs f = {.length = sizeof(f), .version = FACS_VERSION};

    memcpy(f.signature, "FACS", sizeof(f.signature));
    memcpy(at, &f, sizeof(f));
}

static void madt_set_wiring(struct madt *m)
{
    m->ioapic = (struct madt_ioapic){
        .type = 1,
        .length = sizeof(m->ioapic),
        .id = ACPI_IOAPIC_ID,
        .address = ACPI_IOAPIC_GPA,
    };
    m->pit = (struct madt_override){.type = 2,
                                    .length = sizeof(m->pit),
                                    .source = 0,
                                    .gsi = ACPI_PIT_GSI,
                                    .flags = MPS_CONFORMS};
    m->sci = (struct madt_override){
        .type = 2,
        .length = sizeof(m->sci),
        .source = ACPI_SCI_GSI,
        .gsi = ACPI_SCI_GSI,
        .flags = MPS_LEVEL_HIGH,
    };
    m->nmi = (struct madt_lapic_nmi){
        .type = 4,
        .length = sizeof(m->nmi),
        .acpi_uid = MADT_ALL_CPUS,
        .flags = MPS_CONFORMS,
        .lint = 1,
    };
}

static void build_madt(uint8_t *at, unsigned vcpus)
{
    uint32_t len = madt_len(vcpus);
    struct madt m = {
        .header = make_header("APIC", len, MADT_REVISION),
        .lapic_address = ACPI_LAPIC_GPA,
        .flags = MADT_PCAT_COMPAT,
    };

    madt_set_wiring(&m);
    memcpy(at, &m, sizeof(m));
    for (unsigned i = 0; i < vcpus; i++) {
        struct madt_lapic lapic = {
            .type = 0,
            .length = sizeof(lapic),
            .acpi_uid = (uint8_t)i,
            .apic_id = (uint8_t)i,
            .flags = MADT_LAPIC_ENABLED,
        };
        memcpy(at + sizeof(m) + i * sizeof(lapic), &lapic, sizeof(lapic));
    }
    at[offsetof(struct table_header, checksum)] = checksum(at, len);
}

static enum err check_dsdt(const uint8_t *dsdt, size_t len)
{
    struct table_header h;

    if (len < sizeof(h) || len > DSDT_LEN_MAX) {
        return ERR_FORMAT;
    }
    memcpy(&h, dsdt, sizeof(h));
    if (memcmp(h.signature, "DSDT", sizeof(h.signature)) != 0 || h.length != len) {
        return ERR_FORMAT;
    }
    return checksum(dsdt, len) == 0 ? OK : ERR_CHECKSUM;
}

enum err acpi_tables_build(uint8_t *area, size_t size, uint64_t gpa,
                           const struct guest_config *guest, const uint8_t *dsdt, size_t dsdt_len)
{
    enum err e = check_dsdt(dsdt, dsdt_len);
    struct places p;

    if (e != OK) {
        return e;
    }
    if (guest->vcpu_count == 0 || guest->vcpu_count > ACPI_VCPUS_MAX || gpa > 4 * GIB ||
        size > 4 * GIB - gpa) {
        return ERR_RANGE;
    }
    if (!is_aligned(gpa, TABLE_ALIGN)) {
        return ERR_ALIGN;
    }
    p = place_tables(guest, dsdt_len);
    if (p.end > size) {
        return ERR_NOMEM;
    }
    memset(area, 0, size);
    build_rsdp(area, gpa + p.xsdt);
    build_xsdt(area + p.xsdt, gpa, &p);
    build_fadt(area + p.fadt, gpa + p.facs, gpa + p.dsdt);
    build_facs(area + p.facs);
    build_madt(area + p.madt, guest->vcpu_count);
    if (guest->hpet)
        build_hpet(area + p.hpet);
    if (guest->watchdog_s != 0)
        build_wdat(area + p.wdat, guest);
    memcpy(area + p.dsdt, dsdt, dsdt_len);
    return OK;
}
