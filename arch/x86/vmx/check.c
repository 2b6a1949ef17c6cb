/* SPDX-License-Identifier: BSD-2-Clause */
/* The words the rules of check_*.c are written in. SDM 3C "VM Entries". */
#include "arch/x86/vmx/check.h"

#include "arch/x86/regs.h"
#include "arch/x86/vmx/check_rules.h"
#include "lib/bits.h"
#include "lib/compiler.h"

static const struct {
    uint32_t encoding;
    const char *name;
} fields[] = {
    [VF_PIN] = {VMCS_PIN_CONTROLS,           "pin-based controls"                  },
    [VF_PROC] = {VMCS_PROC_CONTROLS,          "primary processor-based controls"    },
    [VF_PROC2] = {VMCS_PROC_CONTROLS2,         "secondary processor-based controls"  },
    [VF_CR3_TARGET_COUNT] = {VMCS_CR3_TARGET_COUNT,       "CR3-target count"                    },
    [VF_IO_BITMAP_A] = {VMCS_IO_BITMAP_A,            "I/O-bitmap A address"                },
    [VF_IO_BITMAP_B] = {VMCS_IO_BITMAP_B,            "I/O-bitmap B address"                },
    [VF_MSR_BITMAP] = {VMCS_MSR_BITMAP,             "MSR-bitmap address"                  },
    [VF_VIRTUAL_APIC] = {VMCS_VIRTUAL_APIC,           "virtual-APIC address"                },
    [VF_APIC_ACCESS] = {VMCS_APIC_ACCESS,            "APIC-access address"                 },
    [VF_TPR_THRESHOLD] = {VMCS_TPR_THRESHOLD,          "TPR threshold"                       },
    [VF_POSTED_VECTOR] = {VMCS_POSTED_VECTOR,          "posted-interrupt notification vector"},
    [VF_POSTED_DESCRIPTOR] = {VMCS_POSTED_DESCRIPTOR,      "posted-interrupt descriptor address" },
    [VF_VPID] = {VMCS_VPID,                   "VPID"                                },
    [VF_EPTP] = {VMCS_EPT_POINTER,            "EPT pointer"                         },
    [VF_EXIT] = {VMCS_EXIT_CONTROLS,          "VM-exit controls"                    },
    [VF_EXIT_STORE_COUNT] = {VMCS_EXIT_MSR_STORE_COUNT,   "VM-exit MSR-store count"             },
    [VF_EXIT_STORE] = {VMCS_EXIT_MSR_STORE,         "VM-exit MSR-store address"           },
    [VF_EXIT_LOAD_COUNT] = {VMCS_EXIT_MSR_LOAD_COUNT,    "VM-exit MSR-load count"              },
    [VF_EXIT_LOAD] = {VMCS_EXIT_MSR_LOAD,          "VM-exit MSR-load address"            },
    [VF_ENTRY] = {VMCS_ENTRY_CONTROLS,         "VM-entry controls"                   },
    [VF_ENTRY_LOAD_COUNT] = {VMCS_ENTRY_MSR_LOAD_COUNT,   "VM-entry MSR-load count"             },
    [VF_ENTRY_LOAD] = {VMCS_ENTRY_MSR_LOAD,         "VM-entry MSR-load address"           },
    [VF_ENTRY_INFO] = {VMCS_ENTRY_INTR_INFO,        "VM-entry interruption information"   },
    [VF_ENTRY_ERROR] = {VMCS_ENTRY_ERROR_CODE,       "VM-entry exception error code"       },
    [VF_ENTRY_LENGTH] = {VMCS_ENTRY_INSN_LENGTH,      "VM-entry instruction length"         },

    [VF_HOST_CR0] = {VMCS_HOST_CR0,               "host CR0"                            },
    [VF_HOST_CR3] = {VMCS_HOST_CR3,               "host CR3"                            },
    [VF_HOST_CR4] = {VMCS_HOST_CR4,               "host CR4"                            },
    [VF_HOST_SYSENTER_ESP] = {VMCS_HOST_SYSENTER_ESP,      "host IA32_SYSENTER_ESP"              },
    [VF_HOST_SYSENTER_EIP] = {VMCS_HOST_SYSENTER_EIP,      "host IA32_SYSENTER_EIP"              },
    [VF_HOST_PAT] = {VMCS_HOST_PAT,               "host IA32_PAT"                       },
    [VF_HOST_EFER] = {VMCS_HOST_EFER,              "host IA32_EFER"                      },
    [VF_HOST_ES] = {VMCS_HOST_ES_SELECTOR,       "host ES selector"                    },
    [VF_HOST_CS] = {VMCS_HOST_CS_SELECTOR,       "host CS selector"                    },
    [VF_HOST_SS] = {VMCS_HOST_SS_SELECTOR,       "host SS selector"                    },
    [VF_HOST_DS] = {VMCS_HOST_DS_SELECTOR,       "host DS selector"                    },
    [VF_HOST_FS] = {VMCS_HOST_FS_SELECTOR,       "host FS selector"                    },
    [VF_HOST_GS] = {VMCS_HOST_GS_SELECTOR,       "host GS selector"                    },
    [VF_HOST_TR] = {VMCS_HOST_TR_SELECTOR,       "host TR selector"                    },
    [VF_HOST_FS_BASE] = {VMCS_HOST_FS_BASE,           "host FS base"                        },
    [VF_HOST_GS_BASE] = {VMCS_HOST_GS_BASE,           "host GS base"                        },
    [VF_HOST_TR_BASE] = {VMCS_HOST_TR_BASE,           "host TR base"                        },
    [VF_HOST_GDTR_BASE] = {VMCS_HOST_GDTR_BASE,         "host GDTR base"                      },
    [VF_HOST_IDTR_BASE] = {VMCS_HOST_IDTR_BASE,         "host IDTR base"                      },
    [VF_HOST_RIP] = {VMCS_HOST_RIP,               "host RIP"                            },

    [VF_CR0] = {VMCS_GUEST_CR0,              "guest CR0"                           },
    [VF_CR3] = {VMCS_GUEST_CR3,              "guest CR3"                           },
    [VF_CR4] = {VMCS_GUEST_CR4,              "guest CR4"                           },
    [VF_DR7] = {VMCS_GUEST_DR7,              "guest DR7"                           },
    [VF_DEBUGCTL] = {VMCS_GUEST_DEBUGCTL,         "guest IA32_DEBUGCTL"                 },
    [VF_SYSENTER_ESP] = {VMCS_GUEST_SYSENTER_ESP,     "guest IA32_SYSENTER_ESP"             },
    [VF_SYSENTER_EIP] = {VMCS_GUEST_SYSENTER_EIP,     "guest IA32_SYSENTER_EIP"             },
    [VF_PAT] = {VMCS_GUEST_PAT,              "guest IA32_PAT"                      },
    [VF_EFER] = {VMCS_GUEST_EFER,             "guest IA32_EFER"                     },
    [VF_ES_SELECTOR] = {VMCS_GUEST_ES_SELECTOR,      "guest ES selector"                   },
    [VF_CS_SELECTOR] = {VMCS_GUEST_CS_SELECTOR,      "guest CS selector"                   },
    [VF_SS_SELECTOR] = {VMCS_GUEST_SS_SELECTOR,      "guest SS selector"                   },
    [VF_DS_SELECTOR] = {VMCS_GUEST_DS_SELECTOR,      "guest DS selector"                   },
    [VF_FS_SELECTOR] = {VMCS_GUEST_FS_SELECTOR,      "guest FS selector"                   },
    [VF_GS_SELECTOR] = {VMCS_GUEST_GS_SELECTOR,      "guest GS selector"                   },
    [VF_LDTR_SELECTOR] = {VMCS_GUEST_LDTR_SELECTOR,    "guest LDTR selector"                 },
    [VF_TR_SELECTOR] = {VMCS_GUEST_TR_SELECTOR,      "guest TR selector"                   },
    [VF_ES_BASE] = {VMCS_GUEST_ES_BASE,          "guest ES base"                       },
    [VF_CS_BASE] = {VMCS_GUEST_CS_BASE,          "guest CS base"                       },
    [VF_SS_BASE] = {VMCS_GUEST_SS_BASE,          "guest SS base"                       },
    [VF_DS_BASE] = {VMCS_GUEST_DS_BASE,          "guest DS base"                       },
    [VF_FS_BASE] = {VMCS_GUEST_FS_BASE,          "guest FS base"                       },
    [VF_GS_BASE] = {VMCS_GUEST_GS_BASE,          "guest GS base"                       },
    [VF_LDTR_BASE] = {VMCS_GUEST_LDTR_BASE,        "guest LDTR base"                     },
    [VF_TR_BASE] = {VMCS_GUEST_TR_BASE,          "guest TR base"                       },
    [VF_ES_LIMIT] = {VMCS_GUEST_ES_LIMIT,         "guest ES limit"                      },
    [VF_CS_LIMIT] = {VMCS_GUEST_CS_LIMIT,         "guest CS limit"                      },
    [VF_SS_LIMIT] = {VMCS_GUEST_SS_LIMIT,         "guest SS limit"                      },
    [VF_DS_LIMIT] = {VMCS_GUEST_DS_LIMIT,         "guest DS limit"                      },
    [VF_FS_LIMIT] = {VMCS_GUEST_FS_LIMIT,         "guest FS limit"                      },
    [VF_GS_LIMIT] = {VMCS_GUEST_GS_LIMIT,         "guest GS limit"                      },
    [VF_LDTR_LIMIT] = {VMCS_GUEST_LDTR_LIMIT,       "guest LDTR limit"                    },
    [VF_TR_LIMIT] = {VMCS_GUEST_TR_LIMIT,         "guest TR limit"                      },
    [VF_ES_ACCESS] = {VMCS_GUEST_ES_ACCESS,        "guest ES access rights"              },
    [VF_CS_ACCESS] = {VMCS_GUEST_CS_ACCESS,        "guest CS access rights"              },
    [VF_SS_ACCESS] = {VMCS_GUEST_SS_ACCESS,        "guest SS access rights"              },
    [VF_DS_ACCESS] = {VMCS_GUEST_DS_ACCESS,        "guest DS access rights"              },
    [VF_FS_ACCESS] = {VMCS_GUEST_FS_ACCESS,        "guest FS access rights"              },
    [VF_GS_ACCESS] = {VMCS_GUEST_GS_ACCESS,        "guest GS access rights"              },
    [VF_LDTR_ACCESS] = {VMCS_GUEST_LDTR_ACCESS,      "guest LDTR access rights"            },
    [VF_TR_ACCESS] = {VMCS_GUEST_TR_ACCESS,        "guest TR access rights"              },
    [VF_GDTR_BASE] = {VMCS_GUEST_GDTR_BASE,        "guest GDTR base"                     },
    [VF_IDTR_BASE] = {VMCS_GUEST_IDTR_BASE,        "guest IDTR base"                     },
    [VF_GDTR_LIMIT] = {VMCS_GUEST_GDTR_LIMIT,       "guest GDTR limit"                    },
    [VF_IDTR_LIMIT] = {VMCS_GUEST_IDTR_LIMIT,       "guest IDTR limit"                    },
    [VF_RIP] = {VMCS_GUEST_RIP,              "guest RIP"                           },
    [VF_RFLAGS] = {VMCS_GUEST_RFLAGS,           "guest RFLAGS"                        },
    [VF_ACTIVITY] = {VMCS_GUEST_ACTIVITY,         "guest activity state"                },
    [VF_INTERRUPTIBILITY] = {VMCS_GUEST_INTERRUPTIBILITY, "guest interruptibility state"        },
    [VF_PENDING_DEBUG] = {VMCS_GUEST_PENDING_DEBUG,    "guest pending debug exceptions"      },
    [VF_LINK_POINTER] = {VMCS_LINK_POINTER,           "VMCS link pointer"                   },
    [VF_PDPTE0] = {VMCS_GUEST_PDPTE0,           "guest PDPTE0"                        },
    [VF_PDPTE1] = {VMCS_GUEST_PDPTE0 + 2,       "guest PDPTE1"                        },
    [VF_PDPTE2] = {VMCS_GUEST_PDPTE0 + 4,       "guest PDPTE2"                        },
    [VF_PDPTE3] = {VMCS_GUEST_PDPTE0 + 6,       "guest PDPTE3"                        },
};
_Static_assert(ARRAY_LEN(fields) == VF_COUNT, "each field has an encoding");

uint32_t vmx_check_encoding(enum vmx_check_field field)
{
    return fields[field].encoding;
}

const char *vmx_check_name(enum vmx_check_field field)
{
    return fields[field].name;
}

/* --- the rules' words ------------------------------------------------------------------------- */

static void add_finding(struct vmx_checker *k, enum vmx_check_field field, uint64_t bits,
                        const char *rule)
{
    if (k->count < k->max)
        k->out[k->count] = (struct vmx_finding){field, rule, k->section, get(k, field), bits};
    k->count++;
}

void expect(struct vmx_checker *k, enum vmx_check_field field, bool holds, const char *rule)
{
    if (!holds)
        add_finding(k, field, 0, rule);
}

void expect_clear(struct vmx_checker *k, enum vmx_check_field field, uint64_t bits,
                  const char *rule)
{
    uint64_t wrong = get(k, field) & bits;

    if (wrong != 0)
        add_finding(k, field, wrong, rule);
}

void expect_set(struct vmx_checker *k, enum vmx_check_field field, uint64_t bits, const char *rule)
{
    uint64_t wrong = ~get(k, field) & bits;

    if (wrong != 0)
        add_finding(k, field, wrong, rule);
}

void expect_canonical(struct vmx_checker *k, enum vmx_check_field field)
{
    uint64_t sign = bits_from(k->cap->linear_bits - 1u);
    uint64_t top = get(k, field) & sign;

    expect(k, field, top == 0 || top == sign, "must be a canonical address");
}

void expect_physical(struct vmx_checker *k, enum vmx_check_field field, uint64_t low_bits,
                     const char *low_rule)
{
    expect_clear(k, field, low_bits, low_rule);
    expect_clear(k, field, bits_from(k->cap->physical_bits),
                 "must not set bits beyond the physical-address width");
}

void expect_page(struct vmx_checker *k, enum vmx_check_field field)
{
    expect_physical(k, field, PAGE_SIZE - 1, "bits 11:0 must be 0");
}

void expect_fixed(struct vmx_checker *k, enum vmx_check_field field, uint64_t ones, uint64_t zeros)
{
    expect_set(k, field, ones, "bits that VMX operation fixes to 1 (IA32_VMX_CRx_FIXED0) are 0");
    expect_clear(k, field, zeros, "bits that VMX operation fixes to 0 (IA32_VMX_CRx_FIXED1) are 1");
}

void expect_cr3(struct vmx_checker *k, enum vmx_check_field field)
{
    uint64_t lam = BIT(62) | BIT(61);
    uint64_t reserved = bits_from(k->cap->physical_bits);

    expect_clear(k, field, k->cap->lam ? reserved & ~lam : reserved,
                 "must not set bits beyond the physical-address width");
}

void expect_pat(struct vmx_checker *k, enum vmx_check_field field)
{
    bool known = true;

    for (unsigned i = 0; i < 8; i++) {
        uint64_t type = get(k, field) >> 8 * i & 0xff;

        known = known && type <= 7 && type != 2 && type != 3;
    }
    expect(k, field, known, "each byte must be a memory type: 0, 1, 4, 5, 6 or 7");
}

void expect_efer_defined(struct vmx_checker *k, enum vmx_check_field field)
{
    expect_clear(k, field, ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE), "reserved bits must be 0");
}

unsigned vmx_check(const struct vmcs_image *vmcs, const struct vmx_capabilities *cap,
                   struct vmx_finding *out, unsigned max)
{
    struct vmx_checker k = {.vmcs = vmcs, .cap = cap, .out = out, .max = max};

    k.proc2 = has(&k, VF_PROC, PROC_SECONDARY) ? get(&k, VF_PROC2) : 0;
    k.unrestricted = (k.proc2 & PROC2_UNRESTRICTED) != 0;
    k.ia32e = has(&k, VF_ENTRY, ENTRY_CTL_IA32E);
    k.v8086 = has(&k, VF_RFLAGS, RFLAGS_VM);
    vmx_check_controls(&k);
    vmx_check_host(&k);
    vmx_check_guest(&k);
    return k.count;
}
