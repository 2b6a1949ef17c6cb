/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/power.h"

#include "arch/x86/asm.h"

#define PM1_CNT_SCI_EN    0x0001u
#define PM1_CNT_SLP_TYP   10
#define PM1_CNT_SLP_EN    0x2000u
#define ACPI_ENABLE_POLLS 1000000u

static void enable_acpi_mode(const struct acpi_info *acpi)
{
    if (acpi->smi_cmd == 0 || acpi->acpi_enable == 0 || (inw(acpi->pm1a_cnt) & PM1_CNT_SCI_EN) != 0)
        return;
    outb(acpi->smi_cmd, acpi->acpi_enable);
    for (unsigned i = 0; i < ACPI_ENABLE_POLLS; i++) {
        if (inw(acpi->pm1a_cnt) & PM1_CNT_SCI_EN)
            return;
    }
}

static void sleep(uint16_t port, uint8_t type)
{
    outw(port, (uint16_t)(PM1_CNT_SLP_EN | PM1_CNT_SCI_EN | (uint32_t)type << PM1_CNT_SLP_TYP));
}

void power_off(const struct acpi_info *acpi)
{
    if (!acpi->have_pm1a || !acpi->have_s5)
        return;
    enable_acpi_mode(acpi);
    sleep(acpi->pm1a_cnt, acpi->slp_typa);
    if (acpi->have_pm1b)
        sleep(acpi->pm1b_cnt, acpi->slp_typb);
}
