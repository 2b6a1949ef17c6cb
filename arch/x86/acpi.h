/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's ACPI tables: processors, IOAPICs, power-off, PM timer, reset. Read once at boot
 * through phys_window; the tables are not trusted.
 * Source: ACPI Specification 6.5: "Root System Description Pointer (RSDP)", "Extended System
 * Description Table (XSDT)", "Multiple APIC Description Table (MADT)", "Fixed ACPI Description
 * Table (FADT)", "AML Grammar Definition".
 */
#ifndef ARCH_X86_ACPI_H
#define ARCH_X86_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/err.h"

#define ACPI_CPUS_MAX      256u
#define ACPI_IOAPICS_MAX   16u
#define ACPI_OVERRIDES_MAX 16u
#define ACPI_TABLE_MAX     MIB  /* longest table that is believed, bytes */
#define ACPI_TABLES_MAX    256u /* entries of the XSDT or RSDT that are looked at */
#define ACPI_RSDP_LEN      36u
#define ACPI_RSDP_OLD_LEN  20u

struct acpi_cpu {
    uint32_t apic_id; /* x2APIC ID, or xAPIC ID below 255 */
    uint32_t uid;     /* ACPI processor UID */
    bool enabled;     /* ready now; else only online-capable: not started by us */
};

struct acpi_ioapic {
    uint8_t id;
    uint32_t hpa;
    uint32_t gsi_base;
};

/* ISA interrupt source -> global system interrupt, where they differ or need other flags. */
struct acpi_override {
    uint8_t source; /* ISA IRQ, 0..15 */
    uint16_t flags; /* MPS INTI: [1:0] polarity 1 high 3 low, [3:2] trigger 1 edge 3 level */
    uint32_t gsi;
};

/* A generic address of one byte. */
enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

/* have_*: found and sound. Fields of things that were not found are zero. */
struct acpi_info {
    bool have_madt;
    bool have_fadt;
    bool have_pm1a;  /* pm1a_cnt */
    bool have_pm1b;  /* pm1b_cnt */
    bool have_s5;    /* slp_typa, slp_typb */
    bool have_timer; /* pm_timer, pm_timer_bits */
    bool have_reset; /* reset_* */
    bool have_dsdt;  /* dsdt_hpa: checksum is right */
    bool has_pic;    /* MADT PCAT_COMPAT: a pair of 8259s has to be masked */
    bool hw_reduced; /* no PM1 registers at all */
    uint32_t cpu_count;
    uint32_t cpus_dropped; /* beyond ACPI_CPUS_MAX */
    uint32_t ioapic_count;
    uint32_t override_count;
    struct acpi_cpu cpus[ACPI_CPUS_MAX]; /* no APIC ID twice; in the MADT's order */
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    struct acpi_override overrides[ACPI_OVERRIDES_MAX];
    uint64_t local_apic_hpa;
    uint16_t pm1a_cnt; /* I/O ports */
    uint16_t pm1b_cnt;
    uint16_t pm_timer;
    uint8_t pm_timer_bits; /* 24 or 32 */
    uint16_t smi_cmd;      /* I/O port, 0 if there is no legacy mode */
    uint8_t acpi_enable;   /* value for smi_cmd that sets SCI_EN */
    uint8_t slp_typa;      /* 0..7, for PM1x_CNT [12:10] */
    uint8_t slp_typb;
    enum acpi_space reset_space;
    uint8_t reset_value;
    uint64_t reset_addr; /* port, hpa, or PCI [47:32] device [31:16] function [15:0] offset */
    uint64_t dsdt_hpa;
    const char *problem; /* the first thing found wrong, or NULL; a constant string */
};

/*
 * Look for the RSDP as BIOS leaves it: first KiB of the EBDA, then E0000H..FFFFFH, every 16 bytes.
 *   rsdp    out: 36 bytes copied; unchanged on error
 *   len     out: 20 (ACPI 1.0) or 36
 *   return  ERR_NOTFOUND
 * Source: ACPI "Finding the RSDP on IA-PC Systems".
 */
MUST_CHECK enum err acpi_find_rsdp_bios(uint8_t rsdp[ACPI_RSDP_LEN], size_t *len);

/*
 * Read everything we need from the tables.
 *   rsdp       the RSDP or a copy of it, len bytes (at least 20; 36 to use the XSDT)
 *   phys_bits  the CPU's physical address width, 32..52: nothing beyond is read
 *   out        filled as far as things are sound; out->problem also says what made a have_ false
 *   return     OK: the MADT was read and has an enabled CPU (the rest may be missing). ERR_FORMAT,
 *              ERR_CHECKSUM, ERR_RANGE (address beyond the width), ERR_NOTFOUND (no MADT, no CPU),
 *              ERR_NOMEM (too many IOAPICs or overrides): of the RSDP, its root table or the MADT
 */
MUST_CHECK enum err acpi_find(const void *rsdp, size_t len, unsigned phys_bits,
                              struct acpi_info *out);

/*
 * Copy a table of which only a few bytes are wanted.
 *   rsdp, len, phys_bits  as for acpi_find(), which said OK
 *   signature  four characters
 *   buf        room for room bytes; longer tables are cut
 *   return     bytes copied, header included; 0: there is no such table, or it is not sound
 */
size_t acpi_copy_table(const void *rsdp, size_t len, unsigned phys_bits, const char *signature,
                       uint8_t *buf, size_t room);

/*
 * Which interrupt input an ISA IRQ is wired to.
 *   irq     0..15
 *   return  its override, or {source = irq, gsi = irq, flags = 0}
 */
struct acpi_override acpi_isa_irq(const struct acpi_info *info, uint8_t irq);

#endif
