/* SPDX-License-Identifier: BSD-2-Clause */
/* Switching the machine off. ACPI Specification 6.5, "PM1 Control Registers", "\_S5". */
#ifndef ARCH_X86_POWER_H
#define ARCH_X86_POWER_H

#include "arch/x86/acpi.h"

/* Enter S5; returns if the machine's ACPI tables do not say how, or nothing happened. */
void power_off(const struct acpi_info *acpi);

#endif
