/* SPDX-License-Identifier: BSD-2-Clause */
/* clang-format off */
/* unit: arch/x86/vmx/check.c arch/x86/vmx/check_controls.c arch/x86/vmx/check_host.c arch/x86/vmx/check_guest.c arch/x86/vmx/check_segments.c */
/* clang-format on */
/* SDM 3C "VM Entries": valid VMCSs pass every check; each broken rule gives its own finding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "arch/x86/vmx/check.h"
#include "arch/x86/vmx/vmx_regs.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A server CPU with posted interrupts; bits that are not of interest as common CPUs have them. */
static const struct vmx_capabilities server = {
    .basic = 0x00da040000000004,
    .pin = 0x000000ff00000016,
    .proc = 0xfff9fffe04006172,
    .proc2 = 0x02dff7ff00000000,
    .exit = 0x01ffffff00036dfb,
    .entry = 0x0003ffff000011fb,
    .misc = 0x300481e5,
    .cr0_fixed0 = 0x80000021,
    .cr0_fixed1 = 0xffffffff,
    .cr4_fixed0 = 0x2000,
    .cr4_fixed1 = 0x3727ff,
    .ept_vpid = 0x00000f0106734141,
    .physical_bits = 46,
    .linear_bits = 48,
};

enum image {
    REAL, /* the three start modes of vmcs.c */
    PROTECTED32,
    LONG,
    RESTRICTED, /* long, without "unrestricted guest" */
    V8086,      /* protected mode with paging and RFLAGS.VM */
    PAE,        /* protected mode with PAE paging */
    APICV,      /* long, with posted interrupts */
    IMAGES,
};

static uint64_t controls(uint64_t capability, uint64_t want)
{
    return (want | (uint32_t)capability) & capability >> 32;
}

static void set_controls(uint64_t *v, bool ia32e)
{
    v[VF_PIN] = controls(server.pin, 0x69); /* external interrupts, NMI, virtual, timer */
    v[VF_PROC] = controls(server.proc, 0xb2180808) | 0x20000000;
    v[VF_PROC2] = controls(server.proc2, 0x10ea); /* EPT RDTSCP VPID WBINVD unrestricted INVPCID */
    v[VF_IO_BITMAP_A] = v[VF_IO_BITMAP_B] = 0x1003000;
    v[VF_MSR_BITMAP] = 0x1002000;
    v[VF_EPTP] = 0x100501e; /* write-back, walk length 4 */
    v[VF_VPID] = 1;
    v[VF_EXIT] = controls(server.exit, 0x3c8204);
    v[VF_ENTRY] = controls(server.entry, 0xc004 | (ia32e ? 0x200 : 0));
}

static void set_host(uint64_t *v)
{
    v[VF_HOST_CR0] = 0x80050033;
    v[VF_HOST_CR3] = 0x1001000;
    v[VF_HOST_CR4] = 0x342068;
    v[VF_HOST_PAT] = 0x0007040600070406;
    v[VF_HOST_EFER] = 0xd01;
    v[VF_HOST_CS] = 0x08;
    v[VF_HOST_SS] = v[VF_HOST_DS] = v[VF_HOST_ES] = 0x10;
    v[VF_HOST_TR] = 0x18;
    v[VF_HOST_GS_BASE] = 0xffff800000010000;
    v[VF_HOST_TR_BASE] = 0xffff800000010300;
    v[VF_HOST_GDTR_BASE] = 0xffff800000010200;
    v[VF_HOST_IDTR_BASE] = 0xffffffff80012000;
    v[VF_HOST_RIP] = 0xffffffff80001234;
}

static void set_data_segments(uint64_t *v, uint64_t selector, uint64_t limit, uint64_t access)
{
    static const unsigned data[] = {0, 2, 3, 4, 5}; /* ES SS DS FS GS */

    for (unsigned i = 0; i < COUNT(data); i++) {
        v[VF_ES_SELECTOR + data[i]] = selector;
        v[VF_ES_LIMIT + data[i]] = limit;
        v[VF_ES_ACCESS + data[i]] = access;
    }
}

static void set_guest(uint64_t *v, enum image kind)
{
    v[VF_CR4] = 0x2000;
    v[VF_DR7] = 0x400;
    v[VF_PAT] = 0x0007040600070406;
    v[VF_LDTR_LIMIT] = v[VF_TR_LIMIT] = 0xffff;
    v[VF_LDTR_ACCESS] = 0x82;
    v[VF_TR_ACCESS] = 0x8b;
    v[VF_GDTR_LIMIT] = 0xffff;
    v[VF_RFLAGS] = 2;
    v[VF_LINK_POINTER] = UINT64_MAX;
    if (kind == REAL) {
        v[VF_CR0] = 0x30;
        v[VF_CS_SELECTOR] = 0xf000;
        v[VF_CS_BASE] = 0xffff0000;
        v[VF_CS_LIMIT] = v[VF_IDTR_LIMIT] = 0xffff;
        v[VF_CS_ACCESS] = 0x9b;
        v[VF_RIP] = 0xfff0;
        set_data_segments(v, 0, 0xffff, 0x93);
        return;
    }
    v[VF_CR0] = 0x31;
    v[VF_CS_SELECTOR] = 0x10;
    v[VF_CS_LIMIT] = 0xffffffff;
    v[VF_CS_ACCESS] = 0xc09b;
    v[VF_RIP] = 0x1000000;
    set_data_segments(v, 0x18, 0xffffffff, 0xc093);
}

static void set_long(uint64_t *v)
{
    v[VF_CR0] = 0x80000031;
    v[VF_CR3] = 0x2000;
    v[VF_CR4] = 0x2020;
    v[VF_EFER] = 0x500;
    v[VF_CS_ACCESS] = 0xa09b;
}

static void set_v8086(uint64_t *v)
{
    v[VF_CR0] = 0x80000031;
    v[VF_RFLAGS] = 0x20002;
    v[VF_CS_SELECTOR] = 0xf000;
    v[VF_CS_BASE] = 0xf0000;
    v[VF_CS_LIMIT] = 0xffff;
    v[VF_CS_ACCESS] = 0xf3;
    v[VF_RIP] = 0xfff0;
    set_data_segments(v, 0x1000, 0xffff, 0xf3);
    for (unsigned i = 0; i < 6; i++)
        v[VF_ES_BASE + i] = v[VF_ES_SELECTOR + i] * 16;
}

static void set_pae(uint64_t *v)
{
    v[VF_CR0] = 0x80000031;
    v[VF_CR4] = 0x2020;
    v[VF_PDPTE0] = 0x3001;
    v[VF_PDPTE1] = 0x4e19;             /* PCD, PWT and ignored bits */
    v[VF_PDPTE2] = 0xfffffffffffffffe; /* not present: nothing counts */
}

static void set_apicv(uint64_t *v)
{
    v[VF_PIN] |= 0x80;
    v[VF_PROC] |= 0x200000;
    v[VF_PROC2] |= 0x301;
    v[VF_VIRTUAL_APIC] = 0x1006000;
    v[VF_APIC_ACCESS] = 0x1007000;
    v[VF_POSTED_VECTOR] = 0xf2;
    v[VF_POSTED_DESCRIPTOR] = 0x1008040;
}

static struct vmcs_image make(enum image kind)
{
    bool ia32e = kind == LONG || kind == RESTRICTED || kind == APICV;
    struct vmcs_image vmcs = {0};

    set_controls(vmcs.value, ia32e);
    set_host(vmcs.value);
    set_guest(vmcs.value, kind);
    if (ia32e)
        set_long(vmcs.value);
    if (kind == RESTRICTED)
        vmcs.value[VF_PROC2] &= ~0x80ull;
    if (kind == V8086)
        set_v8086(vmcs.value);
    if (kind == PAE)
        set_pae(vmcs.value);
    if (kind == APICV)
        set_apicv(vmcs.value);
    return vmcs;
}

/* --- running one case ------------------------------------------------------------------------- */

struct set {
    enum vmx_check_field field;
    char how; /* '=' the value, '|' these bits 1, '&' only these bits stay */
    uint64_t value;
};

struct mutation {
    enum image base;
    struct set sets[5];         /* how = 0 ends them */
    enum vmx_check_field field; /* the one finding expected */
    const char *rule;           /* part of its text; NULL: no finding at all */
};

static struct vmcs_image apply(const struct mutation *m)
{
    struct vmcs_image vmcs = make(m->base);

    for (unsigned i = 0; i < COUNT(m->sets) && m->sets[i].how != 0; i++) {
        uint64_t *v = &vmcs.value[m->sets[i].field];

        switch (m->sets[i].how) {
        case '=': *v = m->sets[i].value; break;
        case '|': *v |= m->sets[i].value; break;
        case '&': *v &= m->sets[i].value; break;
        default: fail();
        }
    }
    return vmcs;
}

static void print_all(const struct vmx_finding *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        print_error("  %s: %s (%lx, %lx)\n", vmx_check_name(f[i].field), f[i].rule, f[i].value,
                    f[i].bits);
}

static void run_with(const struct mutation *m, unsigned n, const struct vmx_capabilities *cap)
{
    for (unsigned i = 0; i < n; i++) {
        struct vmx_finding f[16];
        struct vmcs_image vmcs = apply(&m[i]);
        unsigned found = vmx_check(&vmcs, cap, f, COUNT(f));
        unsigned want = m[i].rule != NULL;

        if (found != want ||
            (want && (f[0].field != m[i].field || !strstr(f[0].rule, m[i].rule)))) {
            print_error("case %u, expected %s: %s; found:\n", i, vmx_check_name(m[i].field),
                        want ? m[i].rule : "nothing");
            print_all(f, found < COUNT(f) ? found : COUNT(f));
            fail();
        }
        if (want) {
            assert_int_equal(f[0].value, vmcs.value[m[i].field]);
            assert_non_null(f[0].section);
        }
    }
}

#define RUN(table) run_with(table, COUNT(table), &server)

/* --- what must pass --------------------------------------------------------------------------- */

static void test_vmcs_of_each_start_mode_passes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IMAGES; i++) {
        struct mutation m = {.base = (enum image)i};

        run_with(&m, 1, &server);
    }
}

static void test_rare_but_valid_states_pass(void **state)
{
    /* clang-format off */
    static const struct mutation valid[] = {
        /* 64-bit user code: null data segments, DPL 3. */
        {LONG, {{VF_CS_SELECTOR, '=', 0x33}, {VF_CS_ACCESS, '=', 0xa0fb},
         {VF_SS_SELECTOR, '=', 0x2b}, {VF_SS_ACCESS, '=', 0xc0f3}, {VF_DS_ACCESS, '=', 0x10000}},
         0, NULL},
        {RESTRICTED, {{VF_CS_SELECTOR, '=', 0x33}, {VF_CS_ACCESS, '=', 0xa0fb},
         {VF_SS_SELECTOR, '=', 0x2b}, {VF_SS_ACCESS, '=', 0xc0f3}}, 0, NULL},
        /* Compatibility mode: D/B may be 1 without L. */
        {LONG, {{VF_CS_ACCESS, '=', 0xc09b}}, 0, NULL},
        /* Conforming code below SS's privilege. */
        {LONG, {{VF_CS_ACCESS, '=', 0xa09f}, {VF_SS_ACCESS, '=', 0xc0f3}}, 0, NULL},
        {LONG, {{VF_CS_ACCESS, '=', 0xa09f}}, 0, NULL},
        /* In virtual-8086 mode a selector has no RPL. */
        {V8086, {{VF_PROC2, '&', ~0x80ull}, {VF_SS_SELECTOR, '=', 0x1001},
         {VF_SS_BASE, '=', 0x10010}}, 0, NULL},
        /* Big real mode; CS as data. */
        {REAL, {{VF_CS_ACCESS, '=', 0x93}, {VF_DS_LIMIT, '=', UINT32_MAX},
         {VF_DS_ACCESS, '=', 0x8093}}, 0, NULL},
        /* Conforming, readable code in DS may have any DPL. */
        {RESTRICTED, {{VF_DS_ACCESS, '=', 0xc09f}, {VF_DS_SELECTOR, '=', 0x1b}}, 0, NULL},
        {LONG, {{VF_DS_SELECTOR, '=', 0x1b}}, 0, NULL},
        /* Unusable segments hide what is wrong with them. */
        {LONG, {{VF_LDTR_ACCESS, '=', 0x10000}, {VF_LDTR_SELECTOR, '=', 4},
         {VF_LDTR_BASE, '=', 1ull << 50}}, 0, NULL},
        {LONG, {{VF_SS_ACCESS, '=', 0x10000}, {VF_SS_BASE, '=', 1ull << 50},
         {VF_ES_ACCESS, '=', 0x1ff00}, {VF_ES_BASE, '=', 1ull << 50}}, 0, NULL},
        /* CR0.CD and NW are not checked. */
        {LONG, {{VF_CR0, '|', 0x60000000}, {VF_HOST_CR0, '|', 0x60000000}}, 0, NULL},
        /* RIP just below the hole, and in the upper half. */
        {LONG, {{VF_RIP, '=', 0x0000ffffffffffff}}, 0, NULL},
        {LONG, {{VF_RIP, '=', 0xffff000000000000}}, 0, NULL},
        {LONG, {{VF_GDTR_BASE, '=', 0xffff800000000000}, {VF_FS_BASE, '=', 0x7fffffffffff}},
         0, NULL},
        {LONG, {{VF_CR3, '=', 0x3ffffffff000}, {VF_RFLAGS, '=', 0x3d7fd7 & ~0x20000}}, 0, NULL},
        /* Without their control, bad values do not count. */
        {LONG, {{VF_EXIT, '&', ~0x80000ull}, {VF_HOST_PAT, '=', 2}}, 0, NULL},
        {LONG, {{VF_EXIT, '&', ~0x200000ull}, {VF_HOST_EFER, '=', 2}}, 0, NULL},
        {LONG, {{VF_ENTRY, '&', ~0x4000ull}, {VF_PAT, '=', 2}}, 0, NULL},
        {LONG, {{VF_ENTRY, '&', ~0x8000ull}, {VF_EFER, '=', 2}}, 0, NULL},
        {LONG, {{VF_ENTRY, '&', ~4ull}, {VF_DR7, '=', 1ull << 40}, {VF_DEBUGCTL, '=', 8}}, 0, NULL},
        {LONG, {{VF_PROC, '&', ~0x12000000ull}, {VF_IO_BITMAP_A, '=', 1}, {VF_IO_BITMAP_B, '=', 1},
         {VF_MSR_BITMAP, '=', 1}}, 0, NULL},
        {LONG, {{VF_PROC2, '&', ~0xa2ull}, {VF_EPTP, '=', 0}, {VF_VPID, '=', 0}}, 0, NULL},
        {RESTRICTED, {{VF_PROC, '&', ~0x80000000ull}, {VF_PROC2, '=', UINT32_MAX},
         {VF_EPTP, '=', 0}, {VF_VPID, '=', 0}}, 0, NULL},
        {LONG, {{VF_EXIT_LOAD, '=', 1}, {VF_EXIT_STORE, '=', 1}, {VF_ENTRY_LOAD, '=', 1}}, 0, NULL},
        {LONG, {{VF_PDPTE0, '=', UINT64_MAX}}, 0, NULL},
        {PAE, {{VF_PROC2, '&', ~0x82ull}, {VF_PDPTE0, '=', UINT64_MAX}}, 0, NULL},
        {PROTECTED32, {{VF_CR4, '=', 0x2020}, {VF_PDPTE0, '=', UINT64_MAX}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x7fffffff}, {VF_ENTRY_ERROR, '=', UINT32_MAX},
         {VF_ENTRY_LENGTH, '=', 99}}, 0, NULL},
        {APICV, {{VF_TPR_THRESHOLD, '=', 0x10}}, 0, NULL},
        {PROTECTED32, {{VF_TR_ACCESS, '=', 0x83}}, 0, NULL},
        /* The last byte of an MSR area may be the last of physical memory. */
        {LONG, {{VF_ENTRY_LOAD_COUNT, '=', 2}, {VF_ENTRY_LOAD, '=', 0x3fffffffffe0}}, 0, NULL},
        {LONG, {{VF_CR3_TARGET_COUNT, '=', 4}, {VF_EXIT, '|', 0x400000}}, 0, NULL},
        {LONG, {{VF_EPTP, '=', 0x100505e}}, 0, NULL}, /* accessed and dirty flags */
    };
    /* clang-format on */

    (void)state;
    RUN(valid);
}

static void test_valid_events_and_activity_states_pass(void **state)
{
    /* clang-format off */
    static const struct mutation valid[] = {
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000020}, {VF_RFLAGS, '=', 0x202}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000202}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000b0d}, {VF_ENTRY_ERROR, '=', 0xffff}}, 0, NULL},
        {REAL, {{VF_ENTRY_INFO, '=', 0x8000030d}, {VF_ENTRY_ERROR, '=', UINT32_MAX}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000306}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000031f}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000480}, {VF_ENTRY_LENGTH, '=', 2}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000501}, {VF_ENTRY_LENGTH, '=', 1}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000603}, {VF_ENTRY_LENGTH, '=', 15}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000700}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 2}}, 0, NULL},
        {REAL, {{VF_ACTIVITY, '=', 3}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000020}, {VF_RFLAGS, '=', 0x202}},
         0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000202}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000301}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000312}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000700}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 2}, {VF_ENTRY_INFO, '=', 0x80000202}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 2}, {VF_ENTRY_INFO, '=', 0x80000312}}, 0, NULL},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 1}, {VF_RFLAGS, '=', 0x202}}, 0, NULL},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 0xa}}, 0, NULL},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 8}, {VF_ENTRY_INFO, '=', 0x80000306}}, 0, NULL},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 2}, {VF_ENTRY_INFO, '=', 0x80000306}}, 0, NULL},
        {LONG, {{VF_PIN, '&', ~0x20ull}, {VF_INTERRUPTIBILITY, '=', 8},
         {VF_ENTRY_INFO, '=', 0x80000202}}, 0, NULL},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x500f}}, 0, NULL},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x4000}, {VF_INTERRUPTIBILITY, '=', 2},
         {VF_RFLAGS, '=', 0x102}}, 0, NULL},
        {LONG, {{VF_DEBUGCTL, '=', 2}, {VF_INTERRUPTIBILITY, '=', 2}, {VF_RFLAGS, '=', 0x102}},
         0, NULL},
        {LONG, {{VF_RFLAGS, '=', 0x102}}, 0, NULL},
        {LONG, {{VF_PROC, '|', 0x400004}}, 0, NULL},
    };
    /* clang-format on */

    (void)state;
    RUN(valid);
}

/* --- one broken rule each --------------------------------------------------------------------- */

static void test_execution_controls(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_PIN, '&', ~2ull}}, VF_PIN, "this CPU wants 1"},
        {LONG, {{VF_PIN, '|', 0x100}}, VF_PIN, "this CPU wants 0"},
        {LONG, {{VF_PROC, '&', ~0x40ull}}, VF_PROC, "this CPU wants 1"},
        {LONG, {{VF_PROC, '|', 1}}, VF_PROC, "this CPU wants 0"},
        {LONG, {{VF_PROC2, '|', 0x80000000}}, VF_PROC2, "this CPU wants 0"},
        {LONG, {{VF_CR3_TARGET_COUNT, '=', 5}}, VF_CR3_TARGET_COUNT, "IA32_VMX_MISC[24:16]"},
        {LONG, {{VF_IO_BITMAP_A, '|', 0x800}}, VF_IO_BITMAP_A, "bits 11:0"},
        {LONG, {{VF_IO_BITMAP_A, '|', 1ull << 46}}, VF_IO_BITMAP_A, "physical-address width"},
        {LONG, {{VF_IO_BITMAP_B, '|', 1}}, VF_IO_BITMAP_B, "bits 11:0"},
        {LONG, {{VF_IO_BITMAP_B, '|', 1ull << 63}}, VF_IO_BITMAP_B, "physical-address width"},
        {LONG, {{VF_MSR_BITMAP, '|', 0x10}}, VF_MSR_BITMAP, "bits 11:0"},
        {LONG, {{VF_MSR_BITMAP, '|', 1ull << 52}}, VF_MSR_BITMAP, "physical-address width"},
        {LONG, {{VF_PIN, '&', ~0x28ull}, {VF_PIN, '|', 0x20}}, VF_PIN, "needs \"NMI exiting\""},
        {LONG, {{VF_PIN, '&', ~0x20ull}, {VF_PROC, '|', 0x400000}}, VF_PROC,
         "\"NMI-window exiting\" needs"},
        {LONG, {{VF_VPID, '=', 0}}, VF_VPID, "must not be 0"},
        {LONG, {{VF_PROC2, '&', ~2ull}}, VF_PROC2, "needs \"enable EPT\""},
        {LONG, {{VF_EPTP, '=', 0x100501c}}, VF_EPTP, "memory type"},
        {LONG, {{VF_EPTP, '=', 0x100501f}}, VF_EPTP, "memory type"},
        {LONG, {{VF_EPTP, '=', 0x1005016}}, VF_EPTP, "walk length"},
        {LONG, {{VF_EPTP, '=', 0x1005026}}, VF_EPTP, "walk length"},
        {LONG, {{VF_EPTP, '|', 0x800}}, VF_EPTP, "bits 11:8"},
        {LONG, {{VF_EPTP, '|', 0x100}}, VF_EPTP, "bits 11:8"},
        {LONG, {{VF_EPTP, '|', 1ull << 46}}, VF_EPTP, "physical-address width"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_apic_virtualization_controls(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {APICV, {{VF_VIRTUAL_APIC, '|', 8}}, VF_VIRTUAL_APIC, "bits 11:0"},
        {APICV, {{VF_VIRTUAL_APIC, '|', 1ull << 46}}, VF_VIRTUAL_APIC, "physical-address width"},
        {LONG, {{VF_PROC, '|', 0x200000}, {VF_TPR_THRESHOLD, '=', 0x10}}, VF_TPR_THRESHOLD, "31:4"},
        {LONG, {{VF_PROC2, '|', 0x10}}, VF_PROC2, "need \"use TPR shadow\""},
        {LONG, {{VF_PROC2, '|', 0x100}}, VF_PROC2, "need \"use TPR shadow\""},
        {LONG, {{VF_PROC2, '|', 0x200}}, VF_PROC2, "need \"use TPR shadow\""},
        {APICV, {{VF_APIC_ACCESS, '|', 1}}, VF_APIC_ACCESS, "bits 11:0"},
        {APICV, {{VF_APIC_ACCESS, '|', 1ull << 50}}, VF_APIC_ACCESS, "physical-address width"},
        {APICV, {{VF_PROC2, '|', 0x10}}, VF_PROC2, "not both"},
        {APICV, {{VF_PIN, '&', ~1ull}}, VF_PIN, "needs \"external-interrupt exiting\""},
        {APICV, {{VF_PROC2, '&', ~0x200ull}}, VF_PIN, "needs \"virtual-interrupt delivery\""},
        {APICV, {{VF_EXIT, '&', ~0x8000ull}}, VF_EXIT, "needs \"acknowledge interrupt on exit\""},
        {APICV, {{VF_POSTED_VECTOR, '=', 0x100}}, VF_POSTED_VECTOR, "bits 15:8"},
        {APICV, {{VF_POSTED_DESCRIPTOR, '|', 0x20}}, VF_POSTED_DESCRIPTOR, "bits 5:0"},
        {APICV, {{VF_POSTED_DESCRIPTOR, '|', 1ull << 46}}, VF_POSTED_DESCRIPTOR,
         "physical-address width"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_exit_and_entry_controls(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_EXIT, '&', ~1ull}}, VF_EXIT, "this CPU wants 1"},
        {LONG, {{VF_EXIT, '|', 0x80000000}}, VF_EXIT, "this CPU wants 0"},
        {LONG, {{VF_PIN, '&', ~0x40ull}, {VF_EXIT, '|', 0x400000}}, VF_EXIT,
         "needs \"activate VMX-preemption timer\""},
        {LONG, {{VF_EXIT_STORE_COUNT, '=', 1}, {VF_EXIT_STORE, '=', 8}}, VF_EXIT_STORE, "bits 3:0"},
        {LONG, {{VF_EXIT_STORE_COUNT, '=', 1}, {VF_EXIT_STORE, '=', 1ull << 46}}, VF_EXIT_STORE,
         "must not set bits beyond"},
        {LONG, {{VF_EXIT_STORE_COUNT, '=', 3}, {VF_EXIT_STORE, '=', 0x3fffffffffe0}}, VF_EXIT_STORE,
         "last byte"},
        {LONG, {{VF_EXIT_LOAD_COUNT, '=', 1}, {VF_EXIT_LOAD, '=', 1}}, VF_EXIT_LOAD, "bits 3:0"},
        {LONG, {{VF_EXIT_LOAD_COUNT, '=', 2}, {VF_EXIT_LOAD, '=', 0x3ffffffffff0}}, VF_EXIT_LOAD,
         "last byte"},
        {LONG, {{VF_ENTRY_LOAD_COUNT, '=', 1}, {VF_ENTRY_LOAD, '=', 4}}, VF_ENTRY_LOAD, "bits 3:0"},
        {LONG, {{VF_ENTRY_LOAD_COUNT, '=', 1}, {VF_ENTRY_LOAD, '=', -16ull}}, VF_ENTRY_LOAD,
         "must not set bits beyond"},
        {LONG, {{VF_ENTRY, '&', ~8ull}}, VF_ENTRY, "this CPU wants 1"},
        {LONG, {{VF_ENTRY, '|', 0x40000}}, VF_ENTRY, "this CPU wants 0"},
        {LONG, {{VF_ENTRY, '|', 0x400}}, VF_ENTRY, "only in SMM"},
        {LONG, {{VF_ENTRY, '|', 0x800}}, VF_ENTRY, "only in SMM"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_entry_interruption_information(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000120}}, VF_ENTRY_INFO, "bits 10:8"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000203}}, VF_ENTRY_INFO, "NMI has vector 2"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000320}}, VF_ENTRY_INFO, "at most 31"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000701}}, VF_ENTRY_INFO, "has vector 0"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80001306}}, VF_ENTRY_INFO, "30:12"},
        {LONG, {{VF_ENTRY_INFO, '=', 0xc0000306}}, VF_ENTRY_INFO, "30:12"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000a02}}, VF_ENTRY_INFO, "not a hardware exception"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000c0d}, {VF_ENTRY_LENGTH, '=', 2}}, VF_ENTRY_INFO,
         "not a hardware exception"},
        {REAL, {{VF_ENTRY_INFO, '=', 0x80000b0d}}, VF_ENTRY_INFO, "CR0.PE is 0"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000b06}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000b09}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000b10}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000308}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000030a}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000030b}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000030c}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000030d}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000030e}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000311}}, VF_ENTRY_INFO, "as the exception's vector"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000b0d}, {VF_ENTRY_ERROR, '=', 0x10000}}, VF_ENTRY_ERROR,
         "bits 31:16"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000480}}, VF_ENTRY_LENGTH, "must not be 0"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000480}, {VF_ENTRY_LENGTH, '=', 16}}, VF_ENTRY_LENGTH,
         "at most 15"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000501}}, VF_ENTRY_LENGTH, "must not be 0"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000603}, {VF_ENTRY_LENGTH, '=', 16}}, VF_ENTRY_LENGTH,
         "at most 15"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000020}}, VF_RFLAGS, "inject an external interrupt"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_host_state(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_HOST_CR0, '&', ~0x20ull}}, VF_HOST_CR0, "fixes to 1"},
        {LONG, {{VF_HOST_CR0, '&', ~0x80000000ull}}, VF_HOST_CR0, "fixes to 1"},
        {LONG, {{VF_HOST_CR0, '|', 1ull << 32}}, VF_HOST_CR0, "fixes to 0"},
        {LONG, {{VF_HOST_CR4, '&', ~0x2000ull}}, VF_HOST_CR4, "fixes to 1"},
        {LONG, {{VF_HOST_CR4, '|', 1ull << 24}}, VF_HOST_CR4, "fixes to 0"},
        {LONG, {{VF_HOST_CR3, '|', 1ull << 46}}, VF_HOST_CR3, "physical-address width"},
        {LONG, {{VF_HOST_CR3, '|', 1ull << 62}}, VF_HOST_CR3, "physical-address width"},
        {LONG, {{VF_HOST_SYSENTER_ESP, '=', 1ull << 47}}, VF_HOST_SYSENTER_ESP, "canonical"},
        {LONG, {{VF_HOST_SYSENTER_EIP, '=', 1ull << 63}}, VF_HOST_SYSENTER_EIP, "canonical"},
        {LONG, {{VF_HOST_PAT, '=', 0x0207040600070406}}, VF_HOST_PAT, "memory type"},
        {LONG, {{VF_HOST_PAT, '=', 0x0007040600070403}}, VF_HOST_PAT, "memory type"},
        {LONG, {{VF_HOST_PAT, '=', 0x0007040800070406}}, VF_HOST_PAT, "memory type"},
        {LONG, {{VF_HOST_EFER, '|', 2}}, VF_HOST_EFER, "reserved"},
        {LONG, {{VF_HOST_EFER, '&', ~0x400ull}}, VF_HOST_EFER, "LMA must equal"},
        {LONG, {{VF_HOST_EFER, '&', ~0x100ull}}, VF_HOST_EFER, "LME must equal"},
        {LONG, {{VF_HOST_ES, '=', 0x11}}, VF_HOST_ES, "RPL and TI"},
        {LONG, {{VF_HOST_CS, '=', 0xc}}, VF_HOST_CS, "RPL and TI"},
        {LONG, {{VF_HOST_SS, '=', 0x12}}, VF_HOST_SS, "RPL and TI"},
        {LONG, {{VF_HOST_DS, '=', 3}}, VF_HOST_DS, "RPL and TI"},
        {LONG, {{VF_HOST_FS, '=', 4}}, VF_HOST_FS, "RPL and TI"},
        {LONG, {{VF_HOST_GS, '=', 1}}, VF_HOST_GS, "RPL and TI"},
        {LONG, {{VF_HOST_TR, '=', 0x1c}}, VF_HOST_TR, "RPL and TI"},
        {LONG, {{VF_HOST_CS, '=', 0}}, VF_HOST_CS, "must not be 0"},
        {LONG, {{VF_HOST_TR, '=', 0}}, VF_HOST_TR, "must not be 0"},
        {LONG, {{VF_HOST_FS_BASE, '=', 1ull << 47}}, VF_HOST_FS_BASE, "canonical"},
        {LONG, {{VF_HOST_GS_BASE, '=', 1ull << 48}}, VF_HOST_GS_BASE, "canonical"},
        {LONG, {{VF_HOST_TR_BASE, '=', 1ull << 63}}, VF_HOST_TR_BASE, "canonical"},
        {LONG, {{VF_HOST_GDTR_BASE, '=', 0xffff000000000000}}, VF_HOST_GDTR_BASE, "canonical"},
        {LONG, {{VF_HOST_IDTR_BASE, '=', 0xfffe800000000000}}, VF_HOST_IDTR_BASE, "canonical"},
        {LONG, {{VF_HOST_RIP, '=', 0x800000000000}}, VF_HOST_RIP, "canonical"},
        {LONG, {{VF_HOST_CR4, '&', ~0x20ull}}, VF_HOST_CR4, "PAE must be 1"},
        {LONG, {{VF_EXIT, '&', ~0x200ull}, {VF_HOST_EFER, '=', 1}}, VF_EXIT, "is in IA-32e mode"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_guest_control_registers_and_msrs(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_CR0, '&', ~0x20ull}}, VF_CR0, "fixes to 1"},
        {REAL, {{VF_CR0, '|', 1ull << 32}}, VF_CR0, "fixes to 0"},
        {REAL, {{VF_CR0, '|', 0x80000000}}, VF_CR0, "PG needs PE"},
        {LONG, {{VF_CR4, '&', ~0x2000ull}}, VF_CR4, "fixes to 1"},
        {LONG, {{VF_CR4, '|', 0x1000}}, VF_CR4, "fixes to 0"},
        {LONG, {{VF_CR0, '&', ~0x80000000ull}}, VF_CR0, "PG must be 1"},
        {LONG, {{VF_CR4, '&', ~0x20ull}}, VF_CR4, "PAE must be 1"},
        {PROTECTED32, {{VF_CR4, '|', 0x20000}}, VF_CR4, "PCIDE"},
        {REAL, {{VF_CR3, '=', 1ull << 46}}, VF_CR3, "physical-address width"},
        {LONG, {{VF_CR3, '|', 1ull << 63}}, VF_CR3, "physical-address width"},
        {LONG, {{VF_DEBUGCTL, '=', 8}}, VF_DEBUGCTL, "reserved"},
        {LONG, {{VF_DEBUGCTL, '=', 4}}, VF_DEBUGCTL, "reserved"},
        {LONG, {{VF_DEBUGCTL, '=', 0x10000}}, VF_DEBUGCTL, "reserved"},
        {LONG, {{VF_DR7, '=', 0x100000400}}, VF_DR7, "63:32"},
        {LONG, {{VF_SYSENTER_ESP, '=', 1ull << 47}}, VF_SYSENTER_ESP, "canonical"},
        {REAL, {{VF_SYSENTER_EIP, '=', 1ull << 60}}, VF_SYSENTER_EIP, "canonical"},
        {LONG, {{VF_PAT, '=', 0x0007040600070402}}, VF_PAT, "memory type"},
        {LONG, {{VF_EFER, '|', 0x200}}, VF_EFER, "reserved"},
        {LONG, {{VF_EFER, '|', 0x1000}}, VF_EFER, "reserved"},
        {LONG, {{VF_EFER, '=', 0}}, VF_EFER, "LMA must equal \"IA-32e"},
        {PROTECTED32, {{VF_EFER, '=', 0x500}}, VF_EFER, "LMA must equal \"IA-32e"},
        {LONG, {{VF_EFER, '=', 0x400}}, VF_EFER, "LMA must equal LME"},
        {PAE, {{VF_EFER, '=', 0x100}}, VF_EFER, "LMA must equal LME"},
    };
    static const struct mutation restricted_pe_pg[] = {
        {RESTRICTED, {{VF_CR0, '&', ~0x80000000ull}, {VF_ENTRY, '&', ~0x200ull}, {VF_EFER, '=', 0}},
         VF_CR0, "fixes to 1"},
        {PROTECTED32, {{VF_PROC2, '&', ~0x80ull}}, VF_CR0, "fixes to 1"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
    RUN(restricted_pe_pg);
}

static void test_segment_selectors_and_bases(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_TR_SELECTOR, '=', 4}}, VF_TR_SELECTOR, "TI"},
        {LONG, {{VF_LDTR_SELECTOR, '=', 0x2c}}, VF_LDTR_SELECTOR, "TI"},
        {RESTRICTED, {{VF_CS_SELECTOR, '=', 0x13}}, VF_SS_SELECTOR, "RPL of CS"},
        {LONG, {{VF_TR_BASE, '=', 1ull << 47}}, VF_TR_BASE, "canonical"},
        {LONG, {{VF_FS_BASE, '=', 1ull << 47}}, VF_FS_BASE, "canonical"},
        {LONG, {{VF_FS_ACCESS, '=', 0x10000}, {VF_FS_BASE, '=', 1ull << 47}}, VF_FS_BASE,
         "canonical"},
        {REAL, {{VF_GS_BASE, '=', 1ull << 63}}, VF_GS_BASE, "canonical"},
        {LONG, {{VF_LDTR_BASE, '=', 1ull << 47}}, VF_LDTR_BASE, "canonical"},
        {LONG, {{VF_CS_BASE, '=', 1ull << 32}}, VF_CS_BASE, "63:32"},
        {LONG, {{VF_SS_BASE, '=', 1ull << 63}}, VF_SS_BASE, "63:32"},
        {LONG, {{VF_DS_BASE, '=', 1ull << 40}}, VF_DS_BASE, "63:32"},
        {LONG, {{VF_ES_BASE, '=', 1ull << 33}}, VF_ES_BASE, "63:32"},
        {V8086, {{VF_CS_BASE, '=', 0xffff0000}}, VF_CS_BASE, "selector * 16"},
        {V8086, {{VF_GS_BASE, '=', 0}}, VF_GS_BASE, "selector * 16"},
        {V8086, {{VF_ES_LIMIT, '=', 0xffffffff}}, VF_ES_LIMIT, "must be FFFFH"},
        {V8086, {{VF_CS_ACCESS, '=', 0x9b}}, VF_CS_ACCESS, "must be F3H"},
        {V8086, {{VF_DS_ACCESS, '=', 0x10000}}, VF_DS_ACCESS, "must be F3H"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_code_and_data_segment_access_rights(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_CS_ACCESS, '=', 0xa09a}}, VF_CS_ACCESS, "the type must be 9, 11"},
        {LONG, {{VF_CS_ACCESS, '=', 0xa097}}, VF_CS_ACCESS, "the type must be 9, 11"},
        {RESTRICTED, {{VF_CS_ACCESS, '=', 0xa093}}, VF_CS_ACCESS, "the type must be 9, 11"},
        {LONG, {{VF_CS_ACCESS, '=', 0xa0f3}}, VF_CS_ACCESS, "DPL must be 0 with type 3"},
        {LONG, {{VF_CS_ACCESS, '=', 0xa0fb}}, VF_CS_ACCESS, "non-conforming"},
        {LONG, {{VF_CS_ACCESS, '=', 0xa0f9}}, VF_CS_ACCESS, "non-conforming"},
        {LONG, {{VF_SS_ACCESS, '=', 0xc0f3}}, VF_CS_ACCESS, "non-conforming"},
        {LONG, {{VF_CS_ACCESS, '=', 0xa0bf}}, VF_CS_ACCESS, "for conforming"},
        {LONG, {{VF_CS_ACCESS, '=', 0xe09b}}, VF_CS_ACCESS, "D/B"},
        {LONG, {{VF_SS_ACCESS, '=', 0xc091}}, VF_SS_ACCESS, "must be 3 or 7"},
        {LONG, {{VF_SS_ACCESS, '=', 0xc09b}}, VF_SS_ACCESS, "must be 3 or 7"},
        {RESTRICTED, {{VF_CS_SELECTOR, '=', 0x11}, {VF_SS_SELECTOR, '=', 0x19}}, VF_SS_ACCESS,
         "the selector's RPL"},
        {PROTECTED32, {{VF_CS_ACCESS, '=', 0xc093}, {VF_SS_ACCESS, '=', 0xc0f3}}, VF_SS_ACCESS,
         "the type of CS is 3"},
        {REAL, {{VF_CS_ACCESS, '=', 0xfb}, {VF_SS_ACCESS, '=', 0xf3}}, VF_SS_ACCESS,
         "while CR0.PE is 0"},
        {LONG, {{VF_DS_ACCESS, '=', 0xc092}}, VF_DS_ACCESS, "accessed"},
        {LONG, {{VF_ES_ACCESS, '=', 0xc099}}, VF_ES_ACCESS, "readable"},
        {RESTRICTED, {{VF_FS_SELECTOR, '=', 0x1b}}, VF_FS_ACCESS, "DPL must not be less"},
        {RESTRICTED, {{VF_GS_SELECTOR, '=', 0x1b}, {VF_GS_ACCESS, '=', 0xc0db}}, VF_GS_ACCESS,
         "DPL must not be less"},
        {LONG, {{VF_CS_ACCESS, '&', ~0x10ull}}, VF_CS_ACCESS, "S, bit 4, must be 1"},
        {LONG, {{VF_GS_ACCESS, '&', ~0x10ull}}, VF_GS_ACCESS, "S, bit 4, must be 1"},
        {LONG, {{VF_CS_ACCESS, '&', ~0x80ull}}, VF_CS_ACCESS, "P, bit 7"},
        {LONG, {{VF_ES_ACCESS, '&', ~0x80ull}}, VF_ES_ACCESS, "P, bit 7"},
        {LONG, {{VF_CS_ACCESS, '|', 0x100}}, VF_CS_ACCESS, "11:8"},
        {LONG, {{VF_SS_ACCESS, '|', 0x800}}, VF_SS_ACCESS, "11:8"},
        {LONG, {{VF_DS_LIMIT, '=', 0xffffeffe}}, VF_DS_ACCESS, "G, bit 15, must be 0"},
        {REAL, {{VF_CS_LIMIT, '=', 0x100000}}, VF_CS_ACCESS, "G, bit 15, must be 1"},
        {LONG, {{VF_CS_ACCESS, '|', 0x20000}}, VF_CS_ACCESS, "31:17"},
        {LONG, {{VF_FS_ACCESS, '|', 0x80000000}}, VF_FS_ACCESS, "31:17"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_tr_and_ldtr(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_TR_ACCESS, '=', 0x83}}, VF_TR_ACCESS, "the type must be 11"},
        {REAL, {{VF_TR_ACCESS, '=', 0x89}}, VF_TR_ACCESS, "the type must be 11"},
        {LONG, {{VF_TR_ACCESS, '=', 0x9b}}, VF_TR_ACCESS, "S, bit 4, must be 0"},
        {LONG, {{VF_TR_ACCESS, '=', 0x0b}}, VF_TR_ACCESS, "P, bit 7"},
        {LONG, {{VF_TR_ACCESS, '=', 0x48b}}, VF_TR_ACCESS, "11:8"},
        {LONG, {{VF_TR_ACCESS, '=', 0x808b}, {VF_TR_LIMIT, '=', 0x67}}, VF_TR_ACCESS,
         "G, bit 15, must be 0"},
        {LONG, {{VF_TR_LIMIT, '=', 0x80000000}}, VF_TR_ACCESS, "G, bit 15, must be 1"},
        {LONG, {{VF_TR_ACCESS, '=', 0x1008b}}, VF_TR_ACCESS, "unusable"},
        {LONG, {{VF_TR_ACCESS, '=', 0x4008b}}, VF_TR_ACCESS, "31:17"},
        {V8086, {{VF_TR_ACCESS, '=', 0x1008b}}, VF_TR_ACCESS, "unusable"},
        {LONG, {{VF_LDTR_ACCESS, '=', 0x83}}, VF_LDTR_ACCESS, "the type must be 2"},
        {LONG, {{VF_LDTR_ACCESS, '=', 0x92}}, VF_LDTR_ACCESS, "S, bit 4, must be 0"},
        {LONG, {{VF_LDTR_ACCESS, '=', 0x02}}, VF_LDTR_ACCESS, "P, bit 7"},
        {LONG, {{VF_LDTR_ACCESS, '=', 0x282}}, VF_LDTR_ACCESS, "11:8"},
        {LONG, {{VF_LDTR_LIMIT, '=', 0x1fffff}}, VF_LDTR_ACCESS, "G, bit 15, must be 1"},
        {LONG, {{VF_LDTR_ACCESS, '=', 0x20082}}, VF_LDTR_ACCESS, "31:17"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_descriptor_tables_rip_rflags(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_GDTR_BASE, '=', 1ull << 47}}, VF_GDTR_BASE, "canonical"},
        {REAL, {{VF_IDTR_BASE, '=', 1ull << 50}}, VF_IDTR_BASE, "canonical"},
        {LONG, {{VF_GDTR_LIMIT, '=', 0x10000}}, VF_GDTR_LIMIT, "31:16"},
        {LONG, {{VF_IDTR_LIMIT, '=', 0x80000fff}}, VF_IDTR_LIMIT, "31:16"},
        {LONG, {{VF_RIP, '=', 1ull << 48}}, VF_RIP, "must be equal"},
        {LONG, {{VF_RIP, '=', 0x7fff000000000000}}, VF_RIP, "must be equal"},
        {LONG, {{VF_CS_ACCESS, '=', 0xc09b}, {VF_RIP, '=', 1ull << 32}}, VF_RIP, "63:32"},
        {PROTECTED32, {{VF_RIP, '=', 1ull << 40}}, VF_RIP, "63:32"},
        /* L means nothing outside IA-32e mode. */
        {PROTECTED32, {{VF_RIP, '=', 1ull << 40}, {VF_CS_ACCESS, '|', 0x2000}}, VF_RIP, "63:32"},
        {LONG, {{VF_RFLAGS, '=', 0}}, VF_RFLAGS, "bit 1 must be 1"},
        {LONG, {{VF_RFLAGS, '|', 8}}, VF_RFLAGS, "reserved bits 63:22"},
        {LONG, {{VF_RFLAGS, '|', 0x20}}, VF_RFLAGS, "reserved bits 63:22"},
        {LONG, {{VF_RFLAGS, '|', 0x8000}}, VF_RFLAGS, "reserved bits 63:22"},
        {LONG, {{VF_RFLAGS, '|', 0x400000}}, VF_RFLAGS, "reserved bits 63:22"},
        {LONG, {{VF_RFLAGS, '|', 1ull << 63}}, VF_RFLAGS, "reserved bits 63:22"},
        {V8086, {{VF_ENTRY, '|', 0x200}, {VF_CR4, '|', 0x20}, {VF_EFER, '=', 0x500}}, VF_RFLAGS,
         "VM must be 0 with"},
        {V8086, {{VF_CR0, '=', 0x30}}, VF_RFLAGS, "VM must be 0 while CR0.PE"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_activity_and_interruptibility(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_ACTIVITY, '=', 4}}, VF_ACTIVITY, "0..3"},
        {LONG, {{VF_ACTIVITY, '=', 64}}, VF_ACTIVITY, "0..3"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_CS_ACCESS, '=', 0xa0fb}, {VF_SS_ACCESS, '=', 0xc0f3}},
         VF_ACTIVITY, "SS.DPL 0"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_INTERRUPTIBILITY, '=', 1}, {VF_RFLAGS, '=', 0x202}},
         VF_ACTIVITY, "must be active"},
        {LONG, {{VF_ACTIVITY, '=', 2}, {VF_INTERRUPTIBILITY, '=', 2}}, VF_ACTIVITY,
         "must be active"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000306}}, VF_ACTIVITY,
         "not allowed in this state"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000300}}, VF_ACTIVITY,
         "not allowed in this state"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_ENTRY_INFO, '=', 0x80000480}, {VF_ENTRY_LENGTH, '=', 2}},
         VF_ACTIVITY, "not allowed in this state"},
        {LONG, {{VF_ACTIVITY, '=', 2}, {VF_ENTRY_INFO, '=', 0x80000301}}, VF_ACTIVITY,
         "not allowed in this state"},
        {LONG, {{VF_ACTIVITY, '=', 2}, {VF_ENTRY_INFO, '=', 0x80000020}, {VF_RFLAGS, '=', 0x202}},
         VF_ACTIVITY, "not allowed in this state"},
        {LONG, {{VF_ACTIVITY, '=', 3}, {VF_ENTRY_INFO, '=', 0x80000202}}, VF_ACTIVITY,
         "not allowed in this state"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 0x20}}, VF_INTERRUPTIBILITY, "reserved"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 0x10}}, VF_INTERRUPTIBILITY, "reserved"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 3}, {VF_RFLAGS, '=', 0x202}}, VF_INTERRUPTIBILITY,
         "not both blocking by STI"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 1}}, VF_INTERRUPTIBILITY, "needs RFLAGS.IF"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 1}, {VF_RFLAGS, '=', 0x202},
         {VF_ENTRY_INFO, '=', 0x80000020}}, VF_INTERRUPTIBILITY, "external interrupt"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 2}, {VF_RFLAGS, '=', 0x202},
         {VF_ENTRY_INFO, '=', 0x80000020}}, VF_INTERRUPTIBILITY, "external interrupt"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 2}, {VF_ENTRY_INFO, '=', 0x80000202}},
         VF_INTERRUPTIBILITY, "MOV SS while an NMI"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 1}, {VF_RFLAGS, '=', 0x202},
         {VF_ENTRY_INFO, '=', 0x80000202}}, VF_INTERRUPTIBILITY, "of some CPUs"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 4}}, VF_INTERRUPTIBILITY, "only in SMM"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 8}, {VF_ENTRY_INFO, '=', 0x80000202}},
         VF_INTERRUPTIBILITY, "virtual NMI"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

static void test_pending_debug_link_pointer_pdptes(void **state)
{
    /* clang-format off */
    static const struct mutation bad[] = {
        {LONG, {{VF_PENDING_DEBUG, '=', 0x10}}, VF_PENDING_DEBUG, "reserved"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x800}}, VF_PENDING_DEBUG, "reserved"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x2000}}, VF_PENDING_DEBUG, "reserved"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x8000}}, VF_PENDING_DEBUG, "reserved"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x20000}}, VF_PENDING_DEBUG, "reserved"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 2}, {VF_RFLAGS, '=', 0x102}}, VF_PENDING_DEBUG, "BS"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 1}, {VF_RFLAGS, '=', 0x302}}, VF_PENDING_DEBUG, "BS"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_RFLAGS, '=', 0x102}}, VF_PENDING_DEBUG, "BS"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_PENDING_DEBUG, '=', 0x4000}}, VF_PENDING_DEBUG, "BS"},
        {LONG, {{VF_ACTIVITY, '=', 1}, {VF_PENDING_DEBUG, '=', 0x4000}, {VF_RFLAGS, '=', 0x102},
         {VF_DEBUGCTL, '=', 2}}, VF_PENDING_DEBUG, "BS"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x11000}}, VF_PENDING_DEBUG, "this CPU has no RTM"},
        {LONG, {{VF_LINK_POINTER, '=', 0xffffffff}}, VF_LINK_POINTER, "no shadow VMCS"},
        {LONG, {{VF_LINK_POINTER, '=', 0}}, VF_LINK_POINTER, "no shadow VMCS"},
        {PAE, {{VF_PDPTE0, '|', 2}}, VF_PDPTE0, "present entry"},
        {PAE, {{VF_PDPTE1, '|', 4}}, VF_PDPTE1, "present entry"},
        {PAE, {{VF_PDPTE0, '|', 0x20}}, VF_PDPTE0, "present entry"},
        {PAE, {{VF_PDPTE0, '|', 0x100}}, VF_PDPTE0, "present entry"},
        {PAE, {{VF_PDPTE2, '=', 0x81}}, VF_PDPTE2, "present entry"},
        {PAE, {{VF_PDPTE3, '=', 1ull << 46 | 1}}, VF_PDPTE3, "present entry"},
        {PAE, {{VF_PDPTE0, '|', 1ull << 63}}, VF_PDPTE0, "present entry"},
    };
    /* clang-format on */

    (void)state;
    RUN(bad);
}

/* --- what depends on the CPU ------------------------------------------------------------------ */

static void test_newer_cpu_allows_more(void **state)
{
    struct vmx_capabilities newer = server;
    /* clang-format off */
    static const struct mutation cases[] = {
        {LONG, {{VF_ENTRY_INFO, '=', 0x8000030d}}, 0, NULL},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000b15}}, 0, NULL},
        {REAL, {{VF_ENTRY_INFO, '=', 0x80000b0d}}, VF_ENTRY_INFO, "CR0.PE is 0"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000480}}, 0, NULL},
        {LONG, {{VF_CR3, '|', 3ull << 61}, {VF_HOST_CR3, '|', 3ull << 61}}, 0, NULL},
        {LONG, {{VF_CR3, '|', 1ull << 63}}, VF_CR3, "physical-address width"},
        {LONG, {{VF_FS_BASE, '=', 1ull << 47}, {VF_RIP, '=', 1ull << 56}}, 0, NULL},
        {LONG, {{VF_FS_BASE, '=', 1ull << 56}}, VF_FS_BASE, "canonical"},
        {LONG, {{VF_RIP, '=', 1ull << 57}}, VF_RIP, "must be equal"},
        {LONG, {{VF_EPTP, '=', 0x1005026}}, 0, NULL},
        {LONG, {{VF_EPTP, '=', 0x10050de}}, 0, NULL},
        {LONG, {{VF_DEBUGCTL, '=', 4}, {VF_PENDING_DEBUG, '=', 0x800}}, 0, NULL},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x11000}}, 0, NULL},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x10000}}, VF_PENDING_DEBUG, "only bit 12"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x11001}}, VF_PENDING_DEBUG, "only bit 12"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x15000}}, VF_PENDING_DEBUG, "only bit 12"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x11800}}, VF_PENDING_DEBUG, "only bit 12"},
        {LONG, {{VF_PENDING_DEBUG, '=', 0x11000}, {VF_INTERRUPTIBILITY, '=', 2}}, VF_PENDING_DEBUG,
         "while MOV SS blocks"},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 0x10}}, 0, NULL},
        {LONG, {{VF_INTERRUPTIBILITY, '=', 0x12}}, VF_INTERRUPTIBILITY, "enclave"},
        {LONG, {{VF_CR4, '|', 1 << 23}, {VF_CR0, '|', 0x10000}}, 0, NULL},
        {LONG, {{VF_CR4, '|', 1 << 23}}, VF_CR4, "CET needs"},
        {LONG, {{VF_HOST_CR4, '|', 1 << 23}}, 0, NULL},
        {LONG, {{VF_HOST_CR4, '|', 1 << 23}, {VF_HOST_CR0, '&', ~0x10000ull}}, VF_HOST_CR4,
         "CET needs"},
    };
    /* clang-format on */

    (void)state;
    newer.basic |= 1ull << 56;
    newer.misc |= 1ull << 30;
    newer.ept_vpid |= 1ull << 7 | 1ull << 23;
    newer.cr4_fixed1 |= 1ull << 23;
    newer.linear_bits = 57;
    newer.rtm = newer.sgx = newer.bus_lock = newer.lam = true;
    run_with(cases, COUNT(cases), &newer);
}

static void test_older_cpu_allows_less(void **state)
{
    struct vmx_capabilities older = server;
    /* clang-format off */
    static const struct mutation cases[] = {
        {LONG, {{0}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 1}}, VF_ACTIVITY, "supported by"},
        {LONG, {{VF_ACTIVITY, '=', 2}}, 0, NULL},
        {LONG, {{VF_ACTIVITY, '=', 3}}, VF_ACTIVITY, "supported by"},
        {LONG, {{VF_ENTRY_INFO, '=', 0x80000700}}, VF_ENTRY_INFO, "bits 10:8"},
        {LONG, {{VF_EPTP, '=', 0x100505e}}, VF_EPTP, "accessed and dirty"},
        {LONG, {{VF_EPTP, '=', 0x100509e}}, VF_EPTP, "shadow-stack"},
        {LONG, {{VF_EPTP, '=', 0x1005018}}, VF_EPTP, "memory type"},
        {LONG, {{VF_CR3_TARGET_COUNT, '=', 1}}, VF_CR3_TARGET_COUNT, "IA32_VMX_MISC"},
        {LONG, {{VF_CR3, '=', 1ull << 36}}, VF_CR3, "physical-address width"},
    };
    /* clang-format on */

    (void)state;
    older.proc &= ~(0x08000000ull << 32);
    older.ept_vpid = 1 << 6 | 1 << 14;
    older.misc = 1 << 7;
    older.physical_bits = 36;
    run_with(cases, COUNT(cases), &older);
}

static void test_uncacheable_ept_passes_where_supported(void **state)
{
    static const struct mutation m = {LONG, {{VF_EPTP, '=', 0x1005018}}, 0, NULL};

    (void)state;
    run_with(&m, 1, &server);
}

static void test_required_secondary_control_that_is_0_is_found(void **state)
{
    struct vmx_capabilities odd = server;
    struct mutation m = {LONG, {{0}}, VF_PROC2, "this CPU wants 1"};

    (void)state;
    odd.proc2 |= 4;
    run_with(&m, 1, &odd);
}

/* --- the list itself -------------------------------------------------------------------------- */

static void test_finding_names_section_value_and_wrong_bits(void **state)
{
    struct vmcs_image vmcs = make(LONG);
    struct vmx_finding f[2];

    (void)state;
    vmcs.value[VF_RFLAGS] = 0x40;
    assert_int_equal(vmx_check(&vmcs, &server, f, 2), 1);
    assert_string_equal(vmx_check_name(f[0].field), "guest RFLAGS");
    assert_string_equal(f[0].rule, "bit 1 must be 1");
    assert_string_equal(f[0].section, "Checks on Guest RIP, RFLAGS, and SSP");
    assert_int_equal(f[0].value, 0x40);
    assert_int_equal(f[0].bits, 2);

    vmcs = make(LONG);
    vmcs.value[VF_HOST_TR] = 0x1f;
    assert_int_equal(vmx_check(&vmcs, &server, f, 2), 1);
    assert_string_equal(f[0].section, "Checks on Host Segment and Descriptor-Table Registers");
    assert_int_equal(f[0].bits, 7);
}

static void test_findings_beyond_max_are_counted_but_not_stored(void **state)
{
    struct vmcs_image vmcs = make(LONG);
    struct vmx_finding f[3] = {{.value = 1}, {.value = 2}, {.value = 3}};

    (void)state;
    vmcs.value[VF_VPID] = 0;
    vmcs.value[VF_HOST_CS] = 0;
    vmcs.value[VF_RFLAGS] = 0;
    assert_int_equal(vmx_check(&vmcs, &server, f, 2), 3);
    assert_int_equal(f[0].field, VF_VPID);
    assert_int_equal(f[1].field, VF_HOST_CS);
    assert_int_equal(f[2].value, 3);
    assert_int_equal(vmx_check(&vmcs, &server, NULL, 0), 3);
}

static void test_each_field_has_its_own_name_and_encoding(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VF_COUNT; i++) {
        const char *name = vmx_check_name((enum vmx_check_field)i);

        assert_non_null(name);
        for (unsigned j = 0; j < i; j++) {
            assert_int_not_equal(vmx_check_encoding((enum vmx_check_field)i),
                                 vmx_check_encoding((enum vmx_check_field)j));
            assert_string_not_equal(name, vmx_check_name((enum vmx_check_field)j));
        }
    }
    /* SDM 3D, appendix B. */
    assert_int_equal(vmx_check_encoding(VF_PIN), 0x4000);
    assert_int_equal(vmx_check_encoding(VF_ENTRY_LOAD), 0x200a);
    assert_int_equal(vmx_check_encoding(VF_TPR_THRESHOLD), 0x401c);
    assert_int_equal(vmx_check_encoding(VF_POSTED_DESCRIPTOR), 0x2016);
    assert_int_equal(vmx_check_encoding(VF_TR_ACCESS), 0x4822);
    assert_int_equal(vmx_check_encoding(VF_PDPTE3), 0x2810);
    assert_int_equal(vmx_check_encoding(VF_HOST_RIP), 0x6c16);
}

/* Whatever a VMCS holds, the check ends and has a rule and a section for each finding. */
static void test_random_images_give_whole_findings(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15ull;

    (void)state;
    for (unsigned n = 0; n < 20000; n++) {
        struct vmcs_image vmcs = make((enum image)(n % IMAGES));
        struct vmx_finding f[256];
        unsigned found;

        for (unsigned i = 0; i < 1 + n % VF_COUNT; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            vmcs.value[seed % VF_COUNT] = n & 1 ? seed : 1ull << (seed >> 58);
        }
        found = vmx_check(&vmcs, &server, f, COUNT(f));
        assert_true(found <= COUNT(f));
        for (unsigned i = 0; i < found; i++) {
            assert_true(f[i].field < VF_COUNT);
            assert_int_equal(f[i].value, vmcs.value[f[i].field]);
            assert_non_null(f[i].rule);
            assert_non_null(f[i].section);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vmcs_of_each_start_mode_passes),
        cmocka_unit_test(test_rare_but_valid_states_pass),
        cmocka_unit_test(test_valid_events_and_activity_states_pass),
        cmocka_unit_test(test_execution_controls),
        cmocka_unit_test(test_apic_virtualization_controls),
        cmocka_unit_test(test_exit_and_entry_controls),
        cmocka_unit_test(test_entry_interruption_information),
        cmocka_unit_test(test_host_state),
        cmocka_unit_test(test_guest_control_registers_and_msrs),
        cmocka_unit_test(test_segment_selectors_and_bases),
        cmocka_unit_test(test_code_and_data_segment_access_rights),
        cmocka_unit_test(test_tr_and_ldtr),
        cmocka_unit_test(test_descriptor_tables_rip_rflags),
        cmocka_unit_test(test_activity_and_interruptibility),
        cmocka_unit_test(test_pending_debug_link_pointer_pdptes),
        cmocka_unit_test(test_newer_cpu_allows_more),
        cmocka_unit_test(test_older_cpu_allows_less),
        cmocka_unit_test(test_uncacheable_ept_passes_where_supported),
        cmocka_unit_test(test_required_secondary_control_that_is_0_is_found),
        cmocka_unit_test(test_finding_names_section_value_and_wrong_bits),
        cmocka_unit_test(test_findings_beyond_max_are_counted_but_not_stored),
        cmocka_unit_test(test_each_field_has_its_own_name_and_encoding),
        cmocka_unit_test(test_random_images_give_whole_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
