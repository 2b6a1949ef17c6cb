/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's ACPI tables: RSDP, XSDT, FADT, FACS, MADT, HPET and WDAT if it has these devices, DSDT.
 * Source: ACPI specification 6.4 (January 2021), "ACPI Software Programming Model"; ACPI 1.0 to 6.x
 * operating systems can use them.
 */
#ifndef GUEST_ACPI_TABLES_H
#define GUEST_ACPI_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/config.h"
#include "lib/compiler.h"
#include "lib/err.h"

/* The BIOS area where operating systems search for the RSDP; reserved in the memory map. */
#define ACPI_AREA_GPA      0xe0000ull
#define ACPI_AREA_SIZE     0x2000u
#define ACPI_RSDP_LEN      36u /* the RSDP, first in the area */

/* Registers the FADT points to, by port; devices/acpi_pm.h decodes the same. */
#define ACPI_PM1A_EVT_PORT 0x600
#define ACPI_PM1A_CNT_PORT 0x604
#define ACPI_PM_TMR_PORT   0x608
#define ACPI_RESET_PORT    0xcf9
#define ACPI_RESET_VALUE   0x06 /* [2] reset CPU, [1] hard */
#define ACPI_SCI_GSI       9    /* level, active high */

#define ACPI_LAPIC_GPA     0xfee00000u
#define ACPI_IOAPIC_GPA    0xfec00000u
#define ACPI_IOAPIC_ID     0 /* the 82093AA's after reset */
#define ACPI_PIT_GSI       2 /* the PC's IRQ 0 is wired to IOAPIC pin 2 */
#define ACPI_CMOS_CENTURY  0x32
#define ACPI_VCPUS_MAX     64u /* xAPIC ids 0.. */

/*
 * Builds the tables as they have to lie at guest-physical address `gpa`; the RSDP comes first.
 * vCPU i has APIC id i. Pure.
 *   area   filled; bytes that belong to no table become 0
 *   size   bytes; ACPI_AREA_SIZE is enough
 *   gpa    multiple of 64; gpa + size <= 4 GiB. ACPI_AREA_GPA for the operating system to find it
 *   guest  vcpu_count (1..ACPI_VCPUS_MAX), hpet, watchdog_s and watchdog_port count
 *   dsdt   a DSDT of dsdt_len bytes, for example the one at dsdt_aml; copied
 *   return OK; ERR_NOMEM if size is too small; ERR_RANGE or ERR_ALIGN for gpa or vCPUs; ERR_FORMAT
 *          if dsdt is not one whole DSDT; ERR_CHECKSUM if it is damaged
 * Source: ACPI 6.4, chapter 5.2.
 */
MUST_CHECK enum err acpi_tables_build(uint8_t *area, size_t size, uint64_t gpa,
                                      const struct guest_config *guest, const uint8_t *dsdt,
                                      size_t dsdt_len);

/* guest/dsdt.asl compiled by iasl; it ends where dsdt_aml_end is. guest/dsdt.S. */
extern const uint8_t dsdt_aml[];
extern const uint8_t dsdt_aml_end[];

#endif
