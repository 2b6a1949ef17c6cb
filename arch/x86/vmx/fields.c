/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields of a VMCS that decide what its guest reaches, for the table dump. */
#include "arch/x86/cpu.h"
#include "arch/x86/vmx/vmx.h"

/*
 * SDM 3D "Field Encoding in VMCS". Also those of features that are not used here: that their
 * control is off, or their list is empty, is for the reader to see.
 */
static const uint16_t fields[] = {
    VMCS_VPID,
    VMCS_POSTED_VECTOR,
    VMCS_IO_BITMAP_A,
    VMCS_IO_BITMAP_B,
    VMCS_MSR_BITMAP,
    VMCS_EXIT_MSR_STORE,
    VMCS_EXIT_MSR_LOAD,
    VMCS_ENTRY_MSR_LOAD,
    0x200e, /* PML address */
    VMCS_TSC_OFFSET,
    VMCS_VIRTUAL_APIC,
    VMCS_APIC_ACCESS,
    VMCS_POSTED_DESCRIPTOR,
    0x2018, /* VM-function controls */
    VMCS_EPT_POINTER,
    0x2024, /* EPTP-list address */
    0x2026, /* VMREAD-bitmap address */
    0x2028, /* VMWRITE-bitmap address */
    0x202a, /* virtualization-exception information address */
    0x2034, /* tertiary processor-based controls */
    VMCS_LINK_POINTER,
    VMCS_HOST_EFER,
    VMCS_PIN_CONTROLS,
    VMCS_PROC_CONTROLS,
    VMCS_EXCEPTION_BITMAP,
    VMCS_EXIT_CONTROLS,
    VMCS_EXIT_MSR_STORE_COUNT,
    VMCS_EXIT_MSR_LOAD_COUNT,
    VMCS_ENTRY_CONTROLS,
    VMCS_ENTRY_MSR_LOAD_COUNT,
    VMCS_PROC_CONTROLS2,
    VMCS_GUEST_ACTIVITY,
    VMCS_CR0_MASK,
    VMCS_CR4_MASK,
    VMCS_HOST_CR0,
    VMCS_HOST_CR3,
    VMCS_HOST_CR4,
};
_Static_assert(sizeof(fields) / sizeof(fields[0]) <= VCPU_FIELDS_MAX, "they fit");

unsigned vcpu_get_fields(const struct vcpu_arch *a, struct vcpu_field out[VCPU_FIELDS_MAX])
{
    unsigned count = 0;

    if (this_cpu()->loaded != a)
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        bool failed;
        uint64_t value;

        /* VMfail: this processor does not have the field. */
        __asm__ volatile("vmread %2, %1"
                         : "=@ccbe"(failed), "=r"(value)
                         : "r"((uint64_t)fields[i]));
        if (!failed)
            out[count++] = (struct vcpu_field){fields[i], value};
    }
    return count;
}
