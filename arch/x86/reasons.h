/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a machine cannot run Bulkhead, as tables: what the manual calls it, what the firmware's menu
 * usually calls it, what to do. Also the processors that are not Intel's, and the hypervisors we
 * may find ourselves under. Who finds a problem logs it; what to do follows once, before the end.
 *
 * Source: SDM 2A "CPUID" (leaves 0, 1), SDM 3C "Discovering Support for VMX"; leaf 40000000H as the
 * hypervisors' own documents have it.
 */
#ifndef ARCH_X86_REASONS_H
#define ARCH_X86_REASONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bit numbers of the masks below. */
enum {
    REASON_VENDOR,
    REASON_VMX,
    REASON_LOCKED,
    REASON_OLD_VMX,
    REASON_X2APIC,
    REASON_DIRECT,
    REASON_CORES,
    REASON_MEMORY,
    REASON_ACPI,
    REASON_CLOCK,
    REASON_LOADER,
    REASON_COUNT
};

struct reason {
    const char *capability; /* register and bit, by the manual's name */
    const char *menu;       /* what the firmware's menu calls it, or NULL: no menu has it */
    const char *action;     /* what to do */
};

/* A processor that is not Intel's, by CPUID.0: EBX, EDX, ECX. */
struct vendor {
    char signature[13];
    const char *name;
    const char *technology; /* what it has in place of VT-x */
};

/* By CPUID.40000000H: EBX, ECX, EDX. */
struct hypervisor {
    char signature[13];
    const char *name;
    const char *action; /* how it lets its guests have VMX */
};

extern const struct reason reasons[REASON_COUNT];

#define REASONS_VENDORS     6
#define REASONS_HYPERVISORS 11
extern const struct vendor reasons_vendors[REASONS_VENDORS];
extern const struct hypervisor reasons_hypervisors[REASONS_HYPERVISORS];

/* Who made this processor, and who runs it. Texts end in NUL; what is not printable became '?'. */
struct identity {
    char vendor[13];
    char hypervisor[13]; /* only if under_hypervisor */
    bool under_hypervisor;
    bool intel;
};

/* Of the core we run on. */
struct identity reasons_identity(void);

/* The entry of a signature; the last one, which stands for all others, if there is none. */
const struct vendor *reasons_vendor(const char *signature);
const struct hypervisor *reasons_hypervisor(const char *signature);

/*
 * Log what to do, a line for each reason; what the hypervisor is, and its setting for nested VMX,
 * if there is one and it may be why. mask  BIT32(REASON_...) of those that were found
 */
void reasons_log_actions(uint32_t mask);

#endif
