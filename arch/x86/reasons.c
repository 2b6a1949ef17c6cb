/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/reasons.h"

#include "arch/x86/asm.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/log.h"
#include "lib/string.h"

#define CPUID1_ECX_HYPERVISOR BIT32(31)
#define HYPERVISOR_LEAF       0x40000000u
#define HYPERVISOR_OTHER_LEAF 0x40000100u /* its own, where it shows Hyper-V's face first */

#define VT_X_IN_MENUS                                                                              \
    "\"Intel Virtualization Technology\", \"VT-x\", \"VMX\" or \"Vanderpool Technology\""

const struct reason reasons[REASON_COUNT] = {
    [REASON_VENDOR] = {.capability = "CPUID.0:EBX,EDX,ECX is not \"GenuineIntel\"",
                       .action = "use a machine with an Intel CPU that has VT-x; no firmware menu "
                                 "helps here: \"SVM Mode\" is AMD's technology, not VT-x"                                },
    [REASON_VMX] = {.capability = "CPUID.1:ECX.VMX[bit 5] is 0",
                       .menu = VT_X_IN_MENUS,
                       .action = "enable VT-x; where the menu has no such entry, the CPU has no VT-x"},
    [REASON_LOCKED] = {.capability = "IA32_FEATURE_CONTROL (3AH) bit 0 (lock) is 1, bit 2 (enable "
                                     "VMX outside SMX operation) is 0",                                                                                                .menu = VT_X_IN_MENUS,
                       .action = "enable VT-x, save, then switch the power off: a reset keeps the "
                                 "lock"},
    [REASON_OLD_VMX] = {.capability = "a bit of IA32_VMX_PINBASED_CTLS (481H), _PROCBASED_CTLS "
                                      "(482H), _EXIT_CTLS (483H), _ENTRY_CTLS (484H), "
                                      "_PROCBASED_CTLS2 (48BH) or _EPT_VPID_CAP (48CH) is 0",                                                                                 .action = "use an Intel Core or Xeon of 2010 (Westmere) or later, which "
                                  "has all of VMX that is named above; no firmware menu adds it"                                                                                },
    [REASON_X2APIC] = {.capability = "an APIC ID of the MADT is above 254, and "
                                     "CPUID.1:ECX.x2APIC[bit 21] is 0", .menu = "\"X2APIC\", \"x2APIC Mode\" or \"Extended APIC\"",
                       .action = "enable x2APIC, or fewer cores"},
    [REASON_DIRECT] = {.capability = "CPUID.1:ECX.x2APIC[bit 21] is 0, or IA32_VMX_PINBASED_CTLS "
                                     "(481H) bit 38 (activate VMX-preemption timer)",
                       .menu = "\"X2APIC\", \"x2APIC Mode\" or \"Extended APIC\"",
                       .action = "enable x2APIC, or give the guest a virtual local APIC"},
    [REASON_CORES] = {.capability = "the MADT lists too few processors that are enabled and answer",
                       .menu = "\"Hyper-Threading\", \"Active Processor Cores\" or \"Core "
                              "Multi-Processing\"",                                                          .action = "change the config, or enable more cores"},
    [REASON_MEMORY] = {.capability = "the memory map leaves too little, or too small pieces",
                       .menu = "\"DVMT Pre-Allocated\", \"UMA Frame Buffer Size\" (less for "
                               "graphics) or \"Memory Remap Feature\"",                                                                        .action = "change the config, add memory, or let firmware keep less of it"},
    [REASON_ACPI] = {.capability = "RSDP, XSDT or RSDT, or MADT is missing or not sound",
                       .menu = "\"ACPI\" (not off), \"Load Optimized Defaults\"",
                       .action = "load the firmware's defaults, else update the firmware; if another "
                               "loader made the tables, boot without it"},
    [REASON_CLOCK] = {.capability = "no 8254 counts, and CPUID.15H:EBX,ECX do not give the "
                                    "frequency",                      .menu = "\"8254 Clock Gating\" (must be off)",
                       .action = "let firmware leave the 8254 running"},
    [REASON_LOADER] = {.capability = "Multiboot2 2.0: EAX, or a tag of the boot information",
                       .action = "boot the image as `make` built it; in a menu of your own use "
                                 "`multiboot2` (not `multiboot` or `linux`), GRUB 2.02 or later"                                                 },
};

const struct vendor reasons_vendors[REASONS_VENDORS] = {
    {"AuthenticAMD", "AMD",             "AMD-V (SVM)"          },
    {"HygonGenuine", "Hygon",           "AMD-V (SVM)"          },
    {"CentaurHauls", "VIA or Centaur",  "VIA VT, untried here" },
    {"VIA VIA VIA ", "VIA",             "VIA VT, untried here" },
    {"  Shanghai  ", "Zhaoxin",         "its own, untried here"},
    {"",             "of another make", "not known here"       },
};

const struct hypervisor reasons_hypervisors[REASONS_HYPERVISORS] = {
    {"KVMKVMKVM",    "KVM",
     "load kvm_intel with nested=1 (/sys/module/kvm_intel/parameters/nested says Y), and give "
     "QEMU -cpu host"                                                                                },
    {"Linux KVM Hv", "KVM, looking like Hyper-V",
     "load kvm_intel with nested=1 and give QEMU -cpu host"                                          },
    {"TCGTCGTCGTCG", "QEMU without KVM (TCG)",    "TCG never has VMX: give QEMU -accel kvm -cpu host"},
    {"VMwareVMware", "VMware",
     "switch the virtual machine off, and in its processor settings tick \"Virtualize Intel "
     "VT-x/EPT or AMD-V/RVI\" (vhv.enable = \"TRUE\")"                                               },
    {"Microsoft Hv", "Hyper-V",
     "switch the virtual machine off, then Set-VMProcessor -VMName NAME "
     "-ExposeVirtualizationExtensions $true"                                                         },
    {"VBoxVBoxVBox", "VirtualBox",
     "switch the virtual machine off, then VBoxManage modifyvm NAME --nested-hw-virt on (\"Enable "
     "Nested VT-x/AMD-V\")"                                                                          },
    {"XenVMMXenVMM", "Xen",                       "set nestedhvm=1 and hap=1 in the domain's config" },
    {" lrpepyh  vr", "Parallels",                 "tick \"Enable nested virtualization\""            },
    {"bhyve bhyve ", "bhyve",                     "bhyve has no nested VMX: use the bare machine"    },
    {"BulkheadHV",   "Bulkhead",                  "Bulkhead gives no guest VMX: use the bare machine"},
    {"",             "not known here",            "look for its setting for nested VT-x"             },
};

/* Text of three registers. */
static void take_signature(char text[13], uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t words[3] = {a, b, c};

    memcpy(text, words, 12);
    text[12] = '\0';
    for (unsigned i = 0; i < 12 && text[i] != '\0'; i++) {
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    }
}

const struct vendor *reasons_vendor(const char *signature)
{
    unsigned i = 0;

    while (i < REASONS_VENDORS - 1 && strcmp(reasons_vendors[i].signature, signature) != 0)
        i++;
    return &reasons_vendors[i];
}

const struct hypervisor *reasons_hypervisor(const char *signature)
{
    unsigned i = 0;

    while (i < REASONS_HYPERVISORS - 1 && strcmp(reasons_hypervisors[i].signature, signature) != 0)
        i++;
    return &reasons_hypervisors[i];
}

struct identity reasons_identity(void)
{
    struct identity id = {.under_hypervisor = (cpuid(1, 0).ecx & CPUID1_ECX_HYPERVISOR) != 0};
    struct cpuid_regs r = cpuid(0, 0);

    take_signature(id.vendor, r.ebx, r.edx, r.ecx);
    id.intel = strcmp(id.vendor, "GenuineIntel") == 0;
    if (!id.under_hypervisor)
        return id;
    r = cpuid(HYPERVISOR_OTHER_LEAF, 0);
    take_signature(id.hypervisor, r.ebx, r.ecx, r.edx);
    if (reasons_hypervisor(id.hypervisor)->signature[0] != '\0')
        return id;
    r = cpuid(HYPERVISOR_LEAF, 0);
    take_signature(id.hypervisor, r.ebx, r.ecx, r.edx);
    return id;
}

static void log_hypervisor(const struct identity *id)
{
    const struct hypervisor *h = reasons_hypervisor(id->hypervisor);

    log_line("CPUID.1:ECX[bit 31] is 1: already under a hypervisor, by CPUID.40000000H \"%s\": %s",
             id->hypervisor, h->name);
    log_line("to do, if its machine has an Intel CPU: %s", h->action);
}

void reasons_log_actions(uint32_t mask)
{
    /* What another vendor's CPU has not got, and what a hypervisor may be withholding. */
    uint32_t vmx = BIT32(REASON_VMX) | BIT32(REASON_LOCKED) | BIT32(REASON_OLD_VMX);
    struct identity id = reasons_identity();
    bool withheld = id.under_hypervisor && (mask & vmx) != 0;

    if ((mask & BIT32(REASON_VENDOR)) != 0)
        mask &= ~vmx;
    if (withheld)
        mask &= ~BIT32(REASON_VMX);
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        const struct reason *r = &reasons[i];

        if ((mask & BIT32(i)) == 0)
            continue;
        log_line("to do: %s%s%s", r->action, r->menu != NULL ? "; in the firmware menu: " : "",
                 r->menu != NULL ? r->menu : "");
    }
    if (withheld)
        log_hypervisor(&id);
}
