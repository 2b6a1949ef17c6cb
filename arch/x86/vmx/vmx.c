/* SPDX-License-Identifier: BSD-2-Clause */
/* What this CPU's VMX can do, and VMXON. SDM 3D "VMX Capability Reporting Facility" (A). */
#include "arch/x86/vmx/vmx.h"

#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/reasons.h"
#include "arch/x86/regs.h"
#include "arch/x86/virt.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "mm/phys.h"

#define CPUID1_ECX_VMX BIT32(5)

struct control_msr {
    const char *name;
    uint32_t msr;
    uint32_t true_msr;
};

static const struct control_msr control_msrs[] = {
    [VMX_PIN] = {"IA32_VMX_PINBASED_CTLS",   MSR_VMX_PINBASED,   MSR_VMX_TRUE_PINBASED },
    [VMX_PROC] = {"IA32_VMX_PROCBASED_CTLS",  MSR_VMX_PROCBASED,  MSR_VMX_TRUE_PROCBASED},
    [VMX_PROC2] = {"IA32_VMX_PROCBASED_CTLS2", MSR_VMX_PROCBASED2, MSR_VMX_PROCBASED2    },
    [VMX_EXIT_CTL] = {"IA32_VMX_EXIT_CTLS",       MSR_VMX_EXIT,       MSR_VMX_TRUE_EXIT     },
    [VMX_ENTRY_CTL] = {"IA32_VMX_ENTRY_CTLS",      MSR_VMX_ENTRY,      MSR_VMX_TRUE_ENTRY    },
};

/* Controls without which there is no Bulkhead; the preemption timer is not always needed. */
static const struct {
    enum vmx_control_set set;
    uint32_t bit;
    const char *name;
} required_controls[] = {
    {VMX_PIN,       PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting"   },
    {VMX_PIN,       PIN_NMI,                "NMI exiting"                  },
    {VMX_PIN,       PIN_VIRTUAL_NMI,        "virtual NMIs"                 },
    {VMX_PIN,       PIN_PREEMPTION_TIMER,   "activate VMX-preemption timer"},
    {VMX_PROC,      PROC_IRQ_WINDOW,        "interrupt-window exiting"     },
    {VMX_PROC,      PROC_TSC_OFFSET,        "use TSC offsetting"           },
    {VMX_PROC,      PROC_CR8_LOAD,          "CR8-load exiting"             },
    {VMX_PROC,      PROC_CR8_STORE,         "CR8-store exiting"            },
    {VMX_PROC,      PROC_IO_BITMAPS,        "use I/O bitmaps"              },
    {VMX_PROC,      PROC_MSR_BITMAPS,       "use MSR bitmaps"              },
    {VMX_PROC,      PROC_SECONDARY,         "activate secondary controls"  },
    {VMX_PROC2,     PROC2_EPT,              "enable EPT"                   },
    {VMX_PROC2,     PROC2_VPID,             "enable VPID"                  },
    {VMX_PROC2,     PROC2_UNRESTRICTED,     "unrestricted guest"           },
    {VMX_EXIT_CTL,  EXIT_CTL_HOST64,        "host address-space size"      },
    {VMX_EXIT_CTL,  EXIT_CTL_ACK,           "acknowledge interrupt on exit"},
    {VMX_EXIT_CTL,  EXIT_CTL_SAVE_PAT,      "save IA32_PAT"                },
    {VMX_EXIT_CTL,  EXIT_CTL_LOAD_PAT,      "load IA32_PAT"                },
    {VMX_EXIT_CTL,  EXIT_CTL_SAVE_EFER,     "save IA32_EFER"               },
    {VMX_EXIT_CTL,  EXIT_CTL_LOAD_EFER,     "load IA32_EFER"               },
    {VMX_ENTRY_CTL, ENTRY_CTL_IA32E,        "IA-32e mode guest"            },
    {VMX_ENTRY_CTL, ENTRY_CTL_LOAD_PAT,     "load IA32_PAT"                },
    {VMX_ENTRY_CTL, ENTRY_CTL_LOAD_EFER,    "load IA32_EFER"               },
};

static const struct {
    uint64_t bit;
    const char *name;
} required_ept[] = {
    {EPT_CAP_WALK4,       "EPT page-walk length 4"          },
    {EPT_CAP_WB,          "write-back EPT paging structures"},
    {EPT_CAP_2M,          "EPT 2-MByte pages"               },
    {EPT_CAP_INVEPT,      "INVEPT"                          },
    {EPT_CAP_INVEPT_ONE,  "single-context INVEPT"           },
    {EPT_CAP_INVVPID,     "INVVPID"                         },
    {EPT_CAP_INVVPID_ONE, "single-context INVVPID"          },
};

uint32_t vmx_control_msr(enum vmx_control_set set)
{
    bool has_true = (rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE_CTLS) != 0;

    return has_true ? control_msrs[set].true_msr : control_msrs[set].msr;
}

bool vmx_control_allowed(enum vmx_control_set set, uint32_t bit)
{
    return (rdmsr(vmx_control_msr(set)) >> 32 & bit) != 0;
}

uint32_t vmx_control(uint32_t msr, uint32_t want)
{
    uint64_t capability = rdmsr(msr);

    return (want | (uint32_t)capability) & (uint32_t)(capability >> 32);
}

static uint32_t check_firmware_lock(const struct cpu *c)
{
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);

    if ((control & FEATURE_CONTROL_LOCK) == 0 || (control & FEATURE_CONTROL_VMX) != 0)
        return 0;
    log_line("core %u: IA32_FEATURE_CONTROL (3AH) is locked (bit 0) with \"enable VMX outside SMX "
             "operation\" (bit 2) = 0: firmware turned VMX off",
             c->index);
    return BIT32(REASON_LOCKED);
}

/* Its place is taken by the local APIC's TSC-deadline timer where there is one. */
static bool is_needed(enum vmx_control_set set, uint32_t bit)
{
    return set != VMX_PIN || bit != PIN_PREEMPTION_TIMER || !apic_has_tsc_deadline();
}

static uint32_t check_controls(const struct cpu *c)
{
    bool secondary = vmx_control_allowed(VMX_PROC, PROC_SECONDARY);
    uint32_t found = 0;

    for (unsigned i = 0; i < ARRAY_LEN(required_controls); i++) {
        enum vmx_control_set set = required_controls[i].set;
        uint32_t bit = required_controls[i].bit;

        if (!is_needed(set, bit))
            continue;
        if ((set != VMX_PROC2 || secondary) && vmx_control_allowed(set, bit))
            continue;
        log_line("core %u: %s (%XH) bit %u is 0: \"%s\" is missing", c->index,
                 control_msrs[set].name, control_msrs[set].msr, 32 + bit_lowest(bit),
                 required_controls[i].name);
        found = BIT32(REASON_OLD_VMX);
    }
    return found;
}

/* The MSR exists only with EPT or VPID, whose absence is reported by check_controls. */
static bool has_ept_capabilities(void)
{
    return vmx_control_allowed(VMX_PROC, PROC_SECONDARY) &&
           (vmx_control_allowed(VMX_PROC2, PROC2_EPT) ||
            vmx_control_allowed(VMX_PROC2, PROC2_VPID));
}

static uint32_t check_ept(const struct cpu *c)
{
    uint32_t found = 0;

    if (!has_ept_capabilities())
        return 0;

    uint64_t capability = rdmsr(MSR_VMX_EPT_VPID_CAP);

    for (unsigned i = 0; i < ARRAY_LEN(required_ept); i++) {
        if (capability & required_ept[i].bit)
            continue;
        log_line("core %u: IA32_VMX_EPT_VPID_CAP (48CH) bit %u is 0: \"%s\" is missing", c->index,
                 bit_lowest(required_ept[i].bit), required_ept[i].name);
        found = BIT32(REASON_OLD_VMX);
    }
    return found;
}

static uint32_t check_vendor(const struct cpu *c)
{
    struct identity id = reasons_identity();
    const struct vendor *v = reasons_vendor(id.vendor);

    if (id.intel)
        return 0;
    log_line("core %u: CPUID.0 names the vendor \"%s\", not \"GenuineIntel\": the CPU is %s, its "
             "virtualization is %s; Bulkhead needs Intel VT-x",
             c->index, id.vendor, v->name, v->technology);
    return BIT32(REASON_VENDOR);
}

static uint32_t check_vmx(const struct cpu *c)
{
    if ((cpuid(1, 0).ecx & CPUID1_ECX_VMX) != 0)
        return 0;
    log_line("core %u: CPUID.1:ECX.VMX[bit 5] is 0: this CPU has no VMX (Intel VT-x), or its "
             "virtual machine does not offer it",
             c->index);
    return BIT32(REASON_VMX);
}

/* The MSRs of VMX exist, and are the manual's, only if the first two found nothing. */
uint32_t virt_check(const struct cpu *c)
{
    uint32_t found = check_vendor(c) | check_vmx(c);

    return found != 0 ? found : check_firmware_lock(c) | check_controls(c) | check_ept(c);
}

static bool vmxon(uint64_t hpa)
{
    bool failed;

    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(hpa) : "memory");
    return !failed;
}

enum err virt_enable(struct cpu *c)
{
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);

    if ((control & FEATURE_CONTROL_LOCK) == 0)
        wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);

    uint64_t cr0 = (read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0)) & rdmsr(MSR_VMX_CR0_FIXED1);
    uint64_t cr4 = read_cr4() | CR4_VMXE;

    write_cr0(cr0);
    write_cr4((cr4 | rdmsr(MSR_VMX_CR4_FIXED0)) & rdmsr(MSR_VMX_CR4_FIXED1));
    *(uint32_t *)phys_table(c->vmxon_hpa) = (uint32_t)(rdmsr(MSR_VMX_BASIC) & VMX_BASIC_REVISION);
    return vmxon(c->vmxon_hpa) ? OK : ERR_UNSUPPORTED;
}

bool virt_ept_has_2m(void)
{
    return (rdmsr(MSR_VMX_EPT_VPID_CAP) & EPT_CAP_2M) != 0;
}

bool virt_ept_has_1g(void)
{
    return (rdmsr(MSR_VMX_EPT_VPID_CAP) & EPT_CAP_1G) != 0;
}

bool virt_has_rdtscp(void)
{
    return vmx_control_allowed(VMX_PROC2, PROC2_RDTSCP);
}

bool virt_has_invpcid(void)
{
    return vmx_control_allowed(VMX_PROC2, PROC2_INVPCID);
}

bool virt_has_preemption_timer(void)
{
    return vmx_control_allowed(VMX_PIN, PIN_PREEMPTION_TIMER);
}

/* In the order of the bits of enum apicv_feature. */
static const struct {
    enum vmx_control_set set;
    uint32_t bit;
    uint32_t needs; /* APICV_* */
    const char *name;
} apicv[] = {
    {VMX_PROC,  PROC_TPR_SHADOW,       0,                        "TPR shadow"                },
    {VMX_PROC2, PROC2_APIC_ACCESS,     APICV_TPR_SHADOW,         "APIC accesses"             },
    {VMX_PROC2, PROC2_APIC_REGS,       APICV_TPR_SHADOW,         "APIC registers"            },
    {VMX_PROC2, PROC2_VID,             APICV_TPR_SHADOW,         "virtual-interrupt delivery"},
    {VMX_PIN,   PIN_POSTED_INTERRUPTS, APICV_VIRTUAL_INTERRUPTS, "posted interrupts"         },
    {VMX_PROC2, PROC2_X2APIC,          APICV_TPR_SHADOW,         "x2APIC"                    },
};

uint32_t virt_apicv(void)
{
    uint32_t features = 0;

    for (unsigned i = 0; i < ARRAY_LEN(apicv); i++) {
        if (vmx_control_allowed(apicv[i].set, apicv[i].bit))
            features |= BIT32(i);
    }
    return virt_apicv_complete(features);
}

uint32_t virt_apicv_complete(uint32_t features)
{
    for (unsigned i = 0; i < ARRAY_LEN(apicv); i++) {
        if ((features & apicv[i].needs) != apicv[i].needs)
            features &= ~BIT32(i);
    }
    return features;
}

size_t virt_apicv_describe(uint32_t features, char *buf, uint32_t size)
{
    size_t len = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < ARRAY_LEN(apicv); i++) {
        if ((features & BIT32(i)) != 0)
            len += fmt_print(buf + len, size - len, ", %s", apicv[i].name);
    }
    return len;
}

void virt_describe(char *buf, uint32_t size)
{
    static const struct {
        enum vmx_control_set set;
        uint32_t bit;
        const char *name;
    } optional[] = {
        {VMX_PROC2, PROC2_TSC_SCALING, "TSC scaling"},
        {VMX_PROC2, PROC2_INVPCID,     "INVPCID"    },
        {VMX_PROC2, PROC2_XSAVES,      "XSAVES"     },
    };
    size_t len = fmt_print(buf, size, "EPT 2M%s", virt_ept_has_1g() ? "+1G" : "");

    if (vmx_control_allowed(VMX_PIN, PIN_PREEMPTION_TIMER))
        len += fmt_print(buf + len, size - len, ", preemption timer TSC/%u",
                         1u << (rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER_SHIFT));
    if (apic_has_tsc_deadline())
        len += fmt_print(buf + len, size - len, ", TSC-deadline timer");
    len += virt_apicv_describe(virt_apicv(), buf + len, (uint32_t)(size - len));
    for (unsigned i = 0; i < ARRAY_LEN(optional); i++) {
        if (vmx_control_allowed(optional[i].set, optional[i].bit))
            len += fmt_print(buf + len, size - len, ", %s", optional[i].name);
    }
}
