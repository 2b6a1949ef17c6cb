/* unit: lib/log.c lib/fmt.c boot/refusal.c tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a core lacks, and what is said about it, on CPUs of the test's choice. Registers: SDM 2A
 * "CPUID", SDM 3D "VMX Capability Reporting Facility".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/asm.h"
#include "boot/refusal.h"
#include "lib/log.h"

#define HYPERVISOR 0x80000000u
#define VMX        0x20u

static struct {
    const char *vendor;
    const char *hypervisor;   /* of leaf 40000000H; NULL: none */
    const char *hypervisor_2; /* of leaf 40000100H, or NULL */
    bool vmx, tsc_deadline, secondary;
    uint64_t feature_control;
    uint32_t allowed[5]; /* pin, proc, proc2, exit, entry */
    uint64_t ept;
    unsigned msr_reads;
} cpu;

static char text[8192]; /* what was logged */
static jmp_buf halted;

static struct cpuid_regs registers(uint32_t eax, const char *a, const char *b, const char *c)
{
    struct cpuid_regs r = {.eax = eax};

    memcpy(&r.ebx, a, 4);
    memcpy(&r.ecx, b, 4);
    memcpy(&r.edx, c, 4);
    return r;
}

static struct cpuid_regs fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
    const char *h = leaf == 0x40000000 ? cpu.hypervisor : cpu.hypervisor_2;

    (void)subleaf;
    if (leaf == 0)
        return registers(0xd, cpu.vendor, cpu.vendor + 8, cpu.vendor + 4);
    if (leaf == 1)
        return (struct cpuid_regs){.ecx = (cpu.vmx ? VMX : 0) |
                                          (cpu.hypervisor != NULL ? HYPERVISOR : 0)};
    if (leaf >> 16 == 0x4000 && h != NULL)
        return registers(0x40000001, h, h + 4, h + 8);
    return (struct cpuid_regs){0};
}

static uint64_t fake_rdmsr(uint32_t msr)
{
    cpu.msr_reads++;
    assert_true(cpu.vmx); /* none of them exists otherwise */
    switch (msr) {
    case 0x3a: return cpu.feature_control;
    case 0x480: return 0; /* no TRUE_ MSRs */
    case 0x481: return (uint64_t)cpu.allowed[0] << 32;
    case 0x482: return (uint64_t)cpu.allowed[1] << 32;
    case 0x483: return (uint64_t)cpu.allowed[3] << 32;
    case 0x484: return (uint64_t)cpu.allowed[4] << 32;
    case 0x485: return 5;
    case 0x48b: assert_true(cpu.allowed[1] >> 31); return (uint64_t)cpu.allowed[2] << 32;
    case 0x48c: assert_true(cpu.allowed[2] & 0x22); return cpu.ept;
    }
    fail_msg("RDMSR of %x", msr);
    return 0;
}

bool apic_has_tsc_deadline(void)
{
    return cpu.tsc_deadline;
}

void log_sink(const char *line, bool urgent)
{
    (void)urgent;
    assert_true(strlen(line) < 253); /* not cut off */
    assert_true(strlen(text) + strlen(line) < sizeof(text));
    strcat(text, line);
}

void machine_halt(void)
{
    longjmp(halted, 1);
}

#define cpuid fake_cpuid
#define rdmsr fake_rdmsr
#include "arch/x86/reasons.c"
#include "arch/x86/vmx/vmx.c"

/* A CPU that has everything. */
static int setup(void **state)
{
    (void)state;
    memset(&cpu, 0xff, sizeof(cpu));
    cpu.vendor = "GenuineIntel";
    cpu.hypervisor = cpu.hypervisor_2 = NULL;
    cpu.vmx = cpu.tsc_deadline = true;
    cpu.feature_control = 5;
    cpu.msr_reads = 0;
    text[0] = 0;
    return 0;
}

static uint32_t check(void)
{
    static const struct cpu c = {.index = 3};

    text[0] = 0;
    return virt_check(&c);
}

static void expect(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void expect_not(const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" is in:\n%s", part, text);
}

static void actions(uint32_t mask)
{
    text[0] = 0;
    reasons_log_actions(mask);
}

static void test_a_cpu_that_has_everything(void **state)
{
    (void)state;
    assert_int_equal(check(), 0);
    assert_string_equal(text, "");
    cpu.feature_control = 0; /* not locked: we may */
    assert_int_equal(check(), 0);
}

static void test_other_makes_are_named_and_their_msrs_left_alone(void **state)
{
    static const char *const makes[][3] = {
        {"AuthenticAMD",    "AMD",             "AMD-V (SVM)"          },
        {"HygonGenuine",    "Hygon",           "AMD-V (SVM)"          },
        {"CentaurHauls",    "VIA or Centaur",  "VIA VT"               },
        {"  Shanghai  ",    "Zhaoxin",         "its own, untried here"},
        {"GenuineTMx86",    "of another make", "not known here"       },
        {"Genuine\x01"
         "e\xff"
         "t\x1b?", "of another make", "not known here"       },
    };

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        char line[120];

        setup(NULL);
        cpu.vendor = makes[i][0];
        assert_int_equal(check(), BIT32(REASON_VENDOR)); /* although CPUID offers VMX */
        snprintf(line, sizeof(line), "the CPU is %s, its virtualization is %s", makes[i][1],
                 makes[i][2]);
        expect(line);
        assert_int_equal(cpu.msr_reads, 0);
    }
    expect("\"Genuine?e?t?\"");
}

static void test_without_vmx_no_msr_is_read(void **state)
{
    (void)state;
    cpu.vmx = false;
    assert_int_equal(check(), BIT32(REASON_VMX));
    expect("core 3: CPUID.1:ECX.VMX[bit 5] is 0");
    assert_int_equal(cpu.msr_reads, 0);
    cpu.vendor = "AuthenticAMD";
    assert_int_equal(check(), BIT32(REASON_VMX) | BIT32(REASON_VENDOR));
}

static void test_lock_and_missing_controls_are_both_told(void **state)
{
    (void)state;
    cpu.feature_control = 1;
    cpu.allowed[2] &= ~0x82u; /* EPT, unrestricted guest */
    assert_int_equal(check(), BIT32(REASON_LOCKED) | BIT32(REASON_OLD_VMX));
    expect("IA32_FEATURE_CONTROL (3AH) is locked (bit 0)");
    expect("IA32_VMX_PROCBASED_CTLS2 (48BH) bit 33 is 0: \"enable EPT\" is missing");
    expect("IA32_VMX_PROCBASED_CTLS2 (48BH) bit 39 is 0: \"unrestricted guest\" is missing");
}

static void test_each_required_control_alone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(required_controls); i++) {
        char line[100];

        setup(NULL);
        cpu.tsc_deadline = false;
        cpu.allowed[required_controls[i].set] &= ~required_controls[i].bit;
        assert_int_equal(check(), BIT32(REASON_OLD_VMX));
        snprintf(line, sizeof(line), "\"%s\" is missing", required_controls[i].name);
        expect(line);
    }
    for (unsigned i = 0; i < ARRAY_LEN(required_ept); i++) {
        setup(NULL);
        cpu.ept &= ~required_ept[i].bit;
        assert_int_equal(check(), BIT32(REASON_OLD_VMX));
        expect(required_ept[i].name);
    }
}

static void test_preemption_timer_is_needed_without_tsc_deadline_only(void **state)
{
    char line[200];

    (void)state;
    cpu.allowed[0] &= ~0x40u;
    assert_int_equal(check(), 0);
    virt_describe(line, sizeof(line));
    assert_null(strstr(line, "preemption timer"));
    cpu.tsc_deadline = false;
    assert_int_equal(check(), BIT32(REASON_OLD_VMX));
    expect("IA32_VMX_PINBASED_CTLS (481H) bit 38 is 0: \"activate VMX-preemption timer\"");
    cpu.allowed[0] |= 0x40;
    virt_describe(line, sizeof(line));
    assert_non_null(strstr(line, "preemption timer TSC/32"));
}

static void test_every_reason_says_what_to_do(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        assert_non_null(reasons[i].capability);
        assert_non_null(reasons[i].action);
        actions(BIT32(i));
        expect("[bulkhead] to do: ");
        expect(reasons[i].action);
        if (reasons[i].menu != NULL)
            expect(reasons[i].menu);
    }
    actions(0);
    assert_string_equal(text, "");
}

static void test_vt_x_is_not_looked_for_in_the_menu_of_another_make(void **state)
{
    (void)state;
    actions(BIT32(REASON_VENDOR) | BIT32(REASON_VMX) | BIT32(REASON_CORES));
    expect("use a machine with an Intel CPU");
    expect("Hyper-Threading");
    expect_not("Vanderpool");
}

static void test_each_hypervisor_is_named_with_its_setting(void **state)
{
    static const char *const them[][3] = {
        {"KVMKVMKVM\0\0\0",        "KVM",                    "kvm_intel with nested=1"        },
        {"Linux KVM Hv",           "KVM, looking",           "nested=1"                       },
        {"TCGTCGTCGTCG",           "QEMU without KVM (TCG)", "-accel kvm -cpu host"           },
        {"VMwareVMware",           "VMware",                 "Virtualize Intel VT-x/EPT"      },
        {"Microsoft Hv",           "Hyper-V",                "-ExposeVirtualizationExtensions"},
        {"VBoxVBoxVBox",           "VirtualBox",             "--nested-hw-virt on"            },
        {"XenVMMXenVMM",           "Xen",                    "nestedhvm=1"                    },
        {" lrpepyh  vr",           "Parallels",              "Enable nested virtualization"   },
        {"bhyve bhyve ",           "bhyve",                  "no nested VMX"                  },
        {"BulkheadHV\0",           "Bulkhead",               "gives no guest VMX"             },
        {"NeverSeenYet",           "not known here",         "look for its setting"           },
        {"\0\0\0\0\0\0\0\0\0\0\0", "not known here",         "look for its setting"           },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(them); i++) {
        char line[60];

        cpu.hypervisor = them[i][0];
        actions(BIT32(REASON_VMX));
        snprintf(line, sizeof(line), "\"%.12s\": %s", them[i][0], them[i][1]);
        expect(line);
        expect(them[i][2]);
        expect_not("Vanderpool"); /* the menu of a virtual machine has no such entry */
    }
    actions(BIT32(REASON_CORES)); /* it has nothing to do with that */
    expect_not("hypervisor");
}

static void test_a_hypervisor_behind_hyper_v_s_face(void **state)
{
    (void)state;
    cpu.hypervisor = "Microsoft Hv";
    cpu.hypervisor_2 = "KVMKVMKVM\0\0\0";
    actions(BIT32(REASON_VMX));
    expect("\"KVMKVMKVM\": KVM");
    cpu.hypervisor_2 = "whatever it ";
    actions(BIT32(REASON_VMX));
    expect("\"Microsoft Hv\": Hyper-V");
}

static void test_problems_are_all_told_and_the_last_is_the_refusal(void **state)
{
    (void)state;
    refusal_end(); /* nothing was found */
    assert_string_equal(text, "");
    if (setjmp(halted) == 0) {
        refusal_add(BIT32(REASON_CORES), "one %u", 1);
        refusal_add(BIT32(REASON_MEMORY), "two");
        assert_string_equal(text, "[bulkhead] one 1\r\n");
        refusal_now(0, "three");
    }
    assert_memory_equal(text, "[bulkhead] one 1\r\n[bulkhead] two\r\n[bulkhead] to do: ", 52);
    expect(reasons[REASON_CORES].action);
    expect(reasons[REASON_MEMORY].action);
    assert_string_equal(text + strlen(text) - 27, "[bulkhead] REFUSED: three\r\n");
    if (setjmp(halted) == 0) {
        refusal_end();
        fail();
    }
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_cpu_that_has_everything),
        T(test_other_makes_are_named_and_their_msrs_left_alone),
        T(test_without_vmx_no_msr_is_read),
        T(test_lock_and_missing_controls_are_both_told),
        T(test_each_required_control_alone),
        T(test_preemption_timer_is_needed_without_tsc_deadline_only),
        T(test_every_reason_says_what_to_do),
        T(test_vt_x_is_not_looked_for_in_the_menu_of_another_make),
        T(test_each_hypervisor_is_named_with_its_setting),
        T(test_a_hypervisor_behind_hyper_v_s_face),
        T(test_problems_are_all_told_and_the_last_is_the_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
