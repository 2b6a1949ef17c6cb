/* SPDX-License-Identifier: BSD-2-Clause */
/* What firmware's tables say. Source: ACPI specification 6.4, chapter 5. */
#include "tests/guests/devtest.h"

struct acpi_facts acpi;

static uint32_t read32(uint64_t at)
{
    return *(const volatile uint32_t *)at;
}

static uint8_t read8(uint64_t at)
{
    return *(const volatile uint8_t *)at;
}

static bool sum_is_zero(uint64_t at, uint32_t len)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < len && i < 65536; i++)
        sum = (uint8_t)(sum + read8(at + i));
    return sum == 0;
}

static bool is_rsdp(uint64_t at)
{
    return read32(at) == 0x20445352 && read32(at + 4) == 0x20525450 && sum_is_zero(at, 20);
}

static uint64_t find_rsdp(void)
{
    uint64_t ebda = (mmio_read(0x40c) >> 16) * 16ull; /* its segment is the word at 40EH */

    for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
        if (is_rsdp(at))
            return at;
    }
    for (uint64_t at = ebda; ebda >= 0x80000 && at < ebda + 1024 && at < 0xa0000; at += 16) {
        if (is_rsdp(at))
            return at;
    }
    return 0;
}

/* The table with that signature; 0 if there is none. */
static uint64_t find_table(uint64_t rsdp, uint32_t signature)
{
    bool wide = read8(rsdp + 15) >= 2 && read32(rsdp + 24) != 0;
    uint64_t root = wide ? read32(rsdp + 24) : read32(rsdp + 16);
    unsigned size = wide ? 8 : 4;

    for (uint64_t at = root + 36; at < root + read32(root + 4); at += size) {
        if (read32(read32(at)) == signature)
            return read32(at);
    }
    return 0;
}

static void read_fadt(uint64_t fadt)
{
    acpi.sci = read8(fadt + 46);
    acpi.smi_cmd = read32(fadt + 48);
    acpi.acpi_enable = read8(fadt + 52);
    acpi.pm1_evt = read32(fadt + 56);
    acpi.pm1_cnt = read32(fadt + 64);
    acpi.pm_timer = read32(fadt + 76);
    acpi.pm1_evt_len = read8(fadt + 88);
    acpi.timer_32 = (read32(fadt + 112) & BIT32(8)) != 0;
}

static void read_madt(uint64_t madt)
{
    uint64_t end = madt + read32(madt + 4);

    acpi.lapic = read32(madt + 36);
    for (uint64_t at = madt + 44; at < end && read8(at + 1) != 0; at += read8(at + 1)) {
        if (read8(at) == 0 && (read32(at + 4) & 1) != 0 && acpi.cpus < 8)
            acpi.apic_id[acpi.cpus++] = read8(at + 3);
        if (read8(at) == 1 && acpi.ioapic == 0) {
            acpi.ioapic_id = read8(at + 2);
            acpi.ioapic = read32(at + 4);
        }
    }
}

void test_acpi(void)
{
    uint64_t rsdp = find_rsdp();
    uint64_t fadt = rsdp != 0 ? find_table(rsdp, 0x50434146) : 0;
    uint64_t madt = rsdp != 0 ? find_table(rsdp, 0x43495041) : 0;

    check("rsdp", rsdp != 0, true);
    check("fadt", fadt != 0 && sum_is_zero(fadt, read32(fadt + 4)), true);
    check("madt", madt != 0 && sum_is_zero(madt, read32(madt + 4)), true);
    if (fadt != 0)
        read_fadt(fadt);
    if (madt != 0)
        read_madt(madt);
    check("sci", acpi.sci, 9);
    check("lapic", acpi.lapic, LAPIC_BASE);
    check("ioapic", acpi.ioapic, IOAPIC_BASE);
    check("pm1-evt-len", acpi.pm1_evt_len, 4);
    check("pm-timer-is-behind-pm1", acpi.pm_timer - acpi.pm1_evt, 8);
    check("cpus", acpi.cpus != 0, true);
    check("this-cpu-is-listed-first", acpi.apic_id[0], mmio_read(LAPIC_BASE + LAPIC_ID) >> 24);
}
