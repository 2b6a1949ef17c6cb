/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest's CPU is: CPUID, MSRs, control registers, XCR0. Expected values: SDM 2A "CPUID",
 * SDM 4, SDM 3A "Control Registers".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "lib/compiler.h"
#include "tests/fake/cpuid_fake.h"
#include "tests/fake/small_vm.h"

#define BIT_OF(n) (1u << (n))

enum { EAX, EBX, ECX, EDX };

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];

static void rebuild(void)
{
    struct cpuid_identity id = {.vcpu_count = 1, .tsc_hz = SMALL_VM_TSC_HZ};

    cpuid_build(&cpu->cpuid, &id);
}

/* --- CPUID ------------------------------------------------------------------------------------ */

static void test_cpuid_leaf_1_hides_vmx_and_shows_hypervisor(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[EAX], 0x50654);
    assert_int_equal(r[ECX] & BIT_OF(31), BIT_OF(31));
    assert_int_equal(r[ECX] & (BIT_OF(5) | BIT_OF(6)), 0);              /* VMX, SMX */
    assert_int_equal(r[ECX] & (BIT_OF(3) | BIT_OF(15) | BIT_OF(2)), 0); /* MONITOR PDCM DTES64 */
    assert_int_equal(r[ECX] & BIT_OF(21), BIT_OF(21));                  /* x2APIC */
    assert_int_equal(r[ECX] & BIT_OF(24), BIT_OF(24));                  /* TSC-deadline */
    assert_int_equal(r[EBX] >> 24, 0); /* APIC ID, not the host's */
    assert_int_equal(r[EBX] >> 16 & 0xff, 1);
    assert_int_equal(r[EDX] & BIT_OF(28), 0); /* HTT: one logical processor */
    assert_int_equal(r[EDX] & (BIT_OF(21) | BIT_OF(22) | BIT_OF(29)), 0); /* DS ACPI TM */
    assert_int_equal(vcpu_fake.skips, 1);
}

static void test_cpuid_x2apic_and_deadline_whatever_the_host_has(void **state)
{
    uint32_t r[4];

    (void)state;
    cpuid_fake_set(1, 0, 0x306c3, 0, 0, 0x078bfbff);
    rebuild();
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[ECX], BIT_OF(21) | BIT_OF(24) | BIT_OF(31));
}

static void test_cpuid_osxsave_follows_cr4(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[ECX] & BIT_OF(27), 0);
    vcpu_fake.state.cr4 |= CR4_OSXSAVE;
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[ECX] & BIT_OF(27), BIT_OF(27));
}

static void test_cpuid_leaf_d_sizes_follow_xcr0(void **state)
{
    static const struct {
        uint64_t xcr0;
        uint32_t size;
    } cases[] = {
        {1,    576        },
        {3,    576        },
        {7,    576 + 256  },
        {0xe7, 1664 + 1024}
    };
    uint32_t r[4];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        cpu->arch.xcr0 = cases[i].xcr0;
        small_vm_cpuid(0xd, 0, r);
        assert_int_equal(r[EAX], 0xe7); /* neither MPX nor PKRU */
        assert_int_equal(r[EBX], cases[i].size);
        assert_int_equal(r[ECX], 2688); /* with all that can be switched on */
        assert_int_equal(r[EDX], 0);
    }
    small_vm_cpuid(0xd, 1, r);
    assert_int_equal(r[EAX], 7); /* XSAVEOPT, XSAVEC, XGETBV 1; no XSAVES */
    assert_int_equal(r[ECX] | r[EDX], 0);
    small_vm_cpuid(0xd, 2, r);
    assert_int_equal(r[EAX], 256);
    assert_int_equal(r[EBX], 576);
    small_vm_cpuid(0xd, 3, r);
    assert_int_equal(r[EAX] | r[EBX], 0);
    small_vm_cpuid(0xd, 9, r);
    assert_int_equal(r[EAX] | r[EBX], 0);
}

/* Compacted: in order, without gaps, but for what ECX [1] aligns. */
static void test_cpuid_leaf_d_compacted_size(void **state)
{
    uint32_t r[4];

    (void)state;
    cpu->arch.xcr0 = 0xe7;
    small_vm_cpuid(0xd, 1, r);
    assert_int_equal(r[EBX], 576 + 256 + 64 + 512 + 1024);
    cpu->arch.xcr0 = 3;
    small_vm_cpuid(0xd, 1, r);
    assert_int_equal(r[EBX], 576);
    cpuid_fake_set(0xd, 5, 60, 1088, 0, 0);
    cpuid_fake_set(0xd, 6, 512, 1152, 2 | 4, 0);
    rebuild();
    cpu->arch.xcr0 = 0xe7;
    small_vm_cpuid(0xd, 1, r);
    assert_int_equal(r[EBX], 576 + 256 + 64 + 512 + 1024);
    small_vm_cpuid(0xd, 6, r);
    assert_int_equal(r[ECX], 2);
    cpuid_fake_set(0xd, 1, 1, 0, 0, 0); /* without XSAVEC the size says nothing */
    rebuild();
    small_vm_cpuid(0xd, 1, r);
    assert_int_equal(r[EBX], 0);
}

static void test_cpuid_without_avx512_hides_its_features(void **state)
{
    uint32_t r[4];

    (void)state;
    cpuid_fake_set(0xd, 0, 0x67, 0, 0, 0); /* part of AVX-512's state only */
    rebuild();
    assert_int_equal(cpu->cpuid.xcr0_allowed, 7);
    small_vm_cpuid(7, 0, r);
    assert_int_equal(r[EBX] & BIT_OF(16), 0);
    assert_int_equal(r[EBX] & BIT_OF(5), BIT_OF(5)); /* AVX2 */
    small_vm_cpuid(0xd, 0, r);
    assert_int_equal(r[ECX], 832);
}

static void test_cpuid_without_xsave(void **state)
{
    uint32_t r[4];

    (void)state;
    cpuid_fake_set(1, 0, 0x106e5, 0, 0, 0x078bfbff);
    cpuid_fake_set(0xd, 0, 0, 0, 0, 0);
    rebuild();
    assert_int_equal(cpu->cpuid.xcr0_allowed, 0);
    small_vm_cpuid(0xd, 0, r);
    assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
}

static void test_cpuid_leaf_7_has_no_unknown_feature(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(7, 0, r);
    assert_int_equal(r[EAX], 1);
    assert_int_equal(r[EBX] & (BIT_OF(2) | BIT_OF(4) | BIT_OF(11) | BIT_OF(12) | BIT_OF(14) |
                               BIT_OF(15) | BIT_OF(25)),
                     0); /* SGX HLE RTM PQM MPX PQE PT */
    assert_int_equal(r[ECX] & (BIT_OF(3) | BIT_OF(4) | BIT_OF(5) | BIT_OF(7) | BIT_OF(16)),
                     0);                             /* PKU OSPKE WAITPKG CET LA57 */
    assert_int_equal(r[EBX] & BIT_OF(1), BIT_OF(1)); /* TSC_ADJUST */
    assert_int_equal(r[ECX] & BIT_OF(2), BIT_OF(2)); /* UMIP */
    /* FSRM VP2INTERSECT MD_CLEAR SERIALIZE FP16 ARCH_CAPABILITIES; IA32_SPEC_CTRL is no MSR here */
    assert_int_equal(r[EDX], 0x20804510);
    small_vm_cpuid(7, 1, r);
    assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
    cpuid_fake_set(7, 1, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff);
    rebuild();
    small_vm_cpuid(7, 1, r);
    assert_int_equal(r[EAX], 0x801cb7);
    assert_int_equal(r[EBX] | r[ECX], 0);
    assert_int_equal(r[EDX], 0x4430);
    small_vm_cpuid(7, 2, r);
    assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
    cpuid_fake_set(7, 0, 0, 0, 0, 0);
    rebuild();
    small_vm_cpuid(7, 0, r);
    assert_int_equal(r[EAX], 0);
    assert_int_equal(r[EBX], BIT_OF(1)); /* emulated */
    small_vm_cpuid(7, 1, r);
    assert_int_equal(r[EAX] | r[EDX], 0);
}

static void test_cpuid_hides_what_the_hardware_cannot_virtualize(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(7, 0, r);
    assert_int_equal(r[EBX] & BIT_OF(10), BIT_OF(10)); /* INVPCID */
    assert_int_equal(r[ECX] & BIT_OF(22), BIT_OF(22)); /* RDPID */
    vcpu_fake.no_rdtscp = vcpu_fake.no_invpcid = true;
    rebuild();
    small_vm_cpuid(7, 0, r);
    assert_int_equal(r[EBX] & BIT_OF(10), 0);
    assert_int_equal(r[ECX] & BIT_OF(22), 0);
    small_vm_cpuid(0x80000001, 0, r);
    assert_int_equal(r[EDX] & BIT_OF(27), 0);
}

static void test_cpuid_topology_is_one_core(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(0xb, 0, r);
    assert_int_equal(r[EAX], 0);
    assert_int_equal(r[EBX], 1);
    assert_int_equal(r[ECX], 0x100);
    assert_int_equal(r[EDX], 0);
    small_vm_cpuid(0xb, 1, r);
    assert_int_equal(r[EBX], 1);
    assert_int_equal(r[ECX], 0x201);
    small_vm_cpuid(0xb, 2, r);
    assert_int_equal(r[EBX], 0);
    assert_int_equal(r[ECX] & 0xff00, 0); /* level type invalid: the end */
    small_vm_cpuid(0xb, 77, r);
    assert_int_equal(r[EAX] | r[EBX], 0);
    assert_int_equal(r[ECX], 77);
    small_vm_cpuid(0xb, 0x12345, r);
    assert_int_equal(r[ECX], 0x45);
}

static void rebuild_as(uint32_t apic_id, uint32_t count, uint64_t tsc_hz)
{
    struct cpuid_identity id = {.apic_id = apic_id, .vcpu_count = count, .tsc_hz = tsc_hz};

    cpuid_build(&cpu->cpuid, &id);
}

/* Every leaf that numbers processors says the same. */
static void test_cpuid_topology_of_many(void **state)
{
    static const struct {
        uint32_t count, bits;
    } cases[] = {
        {2, 1},
        {3, 2},
        {4, 2},
        {5, 3},
        {8, 3},
    };
    uint32_t r[4], f[4];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t count = cases[i].count;
        uint32_t id = count - 1;

        rebuild_as(id, count, SMALL_VM_TSC_HZ);
        small_vm_cpuid(1, 0, r);
        assert_int_equal(r[EBX] >> 24, id);
        assert_int_equal(r[EBX] >> 16 & 0xff, count);
        assert_int_equal(r[EDX] & BIT_OF(28), BIT_OF(28));
        small_vm_cpuid(4, 0, r);
        assert_int_equal(r[EAX] >> 26, BIT_OF(cases[i].bits) - 1); /* cores */
        assert_int_equal(r[EAX] >> 14 & 0xfff, 0);                 /* nobody shares level 1 */
        for (uint32_t level = 0; level < 4; level++) {
            small_vm_cpuid(0xb, level, r);
            small_vm_cpuid(0x1f, level, f);
            assert_memory_equal(r, f, sizeof(r));
            assert_int_equal(r[EDX], id);
            assert_int_equal(r[ECX] & 0xff, level);
            assert_int_equal(r[ECX] >> 8, level < 2 ? level + 1 : 0);
            assert_int_equal(r[EAX], level == 1 ? cases[i].bits : 0);
            assert_int_equal(r[EBX], level == 0 ? 1 : level == 1 ? count : 0);
        }
    }
}

static void test_cpuid_level_3_cache_is_shared(void **state)
{
    uint32_t r[4];

    (void)state;
    cpuid_fake_set(4, 3, 0xfc1fc163, 0x02c0003f, 0xffff, 4);
    rebuild_as(1, 3, SMALL_VM_TSC_HZ);
    small_vm_cpuid(4, 3, r);
    assert_int_equal(r[EAX], 0x0c00c163); /* 4 IDs of cores, all of them share it */
    assert_int_equal(r[EDX], 4);
    small_vm_cpuid(4, 2, r);
    assert_int_equal(r[EAX], 0x0c000143);
}

static void test_cpuid_leaf_1f_only_where_the_cpu_has_it(void **state)
{
    uint32_t highest[4], r[4];

    (void)state;
    cpuid_fake_set(0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
    rebuild();
    small_vm_cpuid(0, 0, r);
    assert_int_equal(r[EAX], 0x16);
    small_vm_cpuid(0x16, 0, highest);
    small_vm_cpuid(0x17, 0, r);
    assert_memory_equal(r, highest, sizeof(r));
}

/* SDM 2A "CPUID", 15H: TSC = ECX * EBX / EAX, of which ECX has 32 bits. */
static void test_cpuid_15h_above_4_ghz(void **state)
{
    static const uint64_t hz[] = {4294967295, 4294967296, 5700000000, 12000000001};
    uint32_t r[4];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(hz); i++) {
        rebuild_as(0, 1, hz[i]);
        small_vm_cpuid(0x15, 0, r);
        assert_in_range(hz[i] - (uint64_t)r[ECX] * r[EBX] / r[EAX], 0, 2);
    }
}

static void test_cpuid_caches_belong_to_one_core(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(4, 2, r);
    assert_int_equal(r[EAX], 0x143); /* level 2, unified; shared by nobody */
    assert_int_equal(r[ECX], 0x3ff);
    small_vm_cpuid(4, 3, r);
    assert_int_equal(r[EAX] & 0x1f, 0);
    small_vm_cpuid(4, 4000000000u, r);
    assert_int_equal(r[EAX] & 0x1f, 0);
}

static void test_cpuid_15h_gives_the_tsc_frequency(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(0x15, 0, r);
    assert_true(r[EAX] != 0);
    assert_int_equal((uint64_t)r[ECX] * r[EBX] / r[EAX], SMALL_VM_TSC_HZ);
    small_vm_cpuid(0x16, 0, r);
    assert_int_equal(r[EAX], 1000); /* MHz */
}

static void test_cpuid_unknown_leaf_gives_the_highest_basic_one(void **state)
{
    static const uint32_t unknown[] = {0x20,       0x1000,     0x40000001,
                                       0x7fffffff, 0x80000009, 0xffffffff};
    uint32_t highest[4], r[4];

    (void)state;
    small_vm_cpuid(0, 0, r);
    assert_int_equal(r[EAX], 0x1f);
    assert_memory_equal(&r[EBX], "Genu", 4);
    small_vm_cpuid(0x1f, 1, highest);
    for (unsigned i = 0; i < ARRAY_LEN(unknown); i++) {
        small_vm_cpuid(unknown[i], 1, r);
        assert_memory_equal(r, highest, sizeof(r));
    }
}

static void test_cpuid_hypervisor_leaf_has_our_name(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(0x40000000, 0, r);
    assert_int_equal(r[EAX], 0x40000000);
    assert_memory_equal(&r[EBX], "BulkheadHV\0", 12);
}

static void test_cpuid_extended_leaves(void **state)
{
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(0x80000000, 0, r);
    assert_int_equal(r[EAX], 0x80000008);
    small_vm_cpuid(0x80000001, 0, r);
    assert_int_equal(r[EDX], 0x2c100800);    /* SYSCALL NX 1G RDTSCP LM */
    assert_int_equal(r[ECX] & BIT_OF(2), 0); /* SVM */
    small_vm_cpuid(0x80000007, 0, r);
    assert_int_equal(r[EDX], 0x100);
    small_vm_cpuid(0x80000008, 0, r);
    assert_int_equal(r[EAX], 0x3027);
    assert_int_equal(r[EBX], 0);
    cpuid_fake_set(0x80000008, 0, 0x3934, 0x200, 0, 0); /* with LA57, which is not offered */
    rebuild();
    small_vm_cpuid(0x80000008, 0, r);
    assert_int_equal(r[EAX], 0x3034);
}

static void test_cpuid_only_low_halves_count(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_CPUID};

    (void)state;
    cpu->arch.gpr[RAX] = 0xffffffff00000000;
    cpu->arch.gpr[RCX] = 0xffffffff00000000;
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->arch.gpr[RAX], 0x1f);
    assert_int_equal(cpu->arch.gpr[RBX] >> 32, 0);
}

/* Without performance monitoring every sign of it is absent. */
static void test_no_performance_monitoring(void **state)
{
    static const uint32_t msrs[] = {0xc1,  0x186, 0x309, 0x345, 0x38d,
                                    0x38e, 0x38f, 0x390, 0x3f1, 0x600};
    struct vcpu_exit x = {.kind = EXIT_RDPMC};
    uint64_t value;
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(0xa, 0, r);
    assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
    small_vm_cpuid(1, 0, r);
    assert_int_equal(r[ECX] & BIT_OF(15), 0); /* PDCM */
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++)
        assert_false(small_vm_rdmsr(msrs[i], &value));
    assert_true(small_vm_exit(&x));
    small_vm_expect_gp();
}

/* MONITOR and MWAIT: not in CPUID, and #UD. */
static void test_no_monitor(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_VMX_INSN};
    uint32_t r[4];

    (void)state;
    small_vm_cpuid(5, 0, r);
    assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
    small_vm_cpuid(6, 0, r);
    assert_int_equal(r[EAX], BIT_OF(2)); /* ARAT */
    assert_int_equal(r[EBX] | r[ECX] | r[EDX], 0);
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
}

/* --- single step ------------------------------------------------------------------------------ */

/* RFLAGS.TF: #DB behind an instruction that was emulated, before an interrupt that waits. */
static void test_single_step_over_an_emulated_instruction(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_CPUID};
    uint64_t rip = vcpu_fake.state.rip;

    (void)state;
    vcpu_fake.state.rflags |= RFLAGS_TF | RFLAGS_RF;
    assert_true(small_vm_exit(&x));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_DB);
    small_vm_expect_none();
    assert_int_equal(vcpu_fake.state.rip, rip + 2);
    assert_int_equal(vcpu_fake.state.rflags & RFLAGS_RF, 0);
    small_vm_out(0x80, 1, 0);
    small_vm_expect(EVENT_EXCEPTION, VECTOR_DB);
    assert_false(small_vm_rdmsr(0x12345678, &rip)); /* a fault: no trap behind it */
    small_vm_expect_none();
}

/* The write asks for an NMI; the trap behind it comes first. */
static void test_single_step_goes_before_an_nmi(void **state)
{
    (void)state;
    vcpu_fake.state.rflags |= RFLAGS_TF;
    small_vm_mmio_write(0xfee00300, 0x44400); /* to itself */
    small_vm_expect(EVENT_EXCEPTION, VECTOR_DB);
    vcpu_fake.state.rflags &= ~RFLAGS_TF;
    small_vm_run();
    small_vm_expect(EVENT_NMI, VECTOR_NMI);
}

/* --- MSRs ------------------------------------------------------------------------------------- */

static void test_unknown_msr_is_gp_and_counted(void **state)
{
    static const uint32_t unknown[] = {
        0x140, 0x48,      0x9b,  0xc1,  0x186,      0x38f,      0x480,
        0x48b, 0x570,     0x60f, 0x6e1, 0x7ff,      0x900,      0x210,
        0x251, 0x26f + 1, 0x2a0, 0,     0xffffffff, 0xc0010015, 0x40000000,
    };
    uint64_t refused = cpu->refused_msrs;
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_false(small_vm_rdmsr(unknown[i], &value));
        assert_false(small_vm_wrmsr(unknown[i], 0));
    }
    assert_int_equal(cpu->refused_msrs, refused + 2 * ARRAY_LEN(unknown));
    assert_int_equal(vcpu_fake.skips, 0);
}

/* One line for each number, and not more than sixteen. */
static void test_refused_msrs_are_named_once(void **state)
{
    uint64_t value;

    (void)state;
    assert_false(small_vm_rdmsr(0x140, &value));
    assert_false(small_vm_rdmsr(0x140, &value));
    assert_false(small_vm_wrmsr(0x140, 0));
    assert_int_equal(small_vm_logged("vCPU 0: read of MSR 140 refused (#GP)"), 1);
    assert_false(small_vm_wrmsr(0x48, 0));
    assert_int_equal(small_vm_logged("vCPU 0: write of MSR 48 refused (#GP)"), 1);
    for (uint32_t msr = 0x20000000; msr < 0x20000100; msr++) {
        host_fake.tsc += SMALL_VM_TSC_HZ; /* it is not the limit of lines in a second */
        assert_false(small_vm_rdmsr(msr, &value));
    }
    assert_int_equal(cpu->msrs.refused_count, MSR_REFUSED_MAX);
    assert_int_equal(cpu->refused_msrs, 4 + 0x100);
    host_fake_clear_text();
    assert_false(small_vm_rdmsr(0x30000000, &value));
    assert_int_equal(small_vm_logged("MSR"), 0);
}

static void test_feature_control_is_locked_without_vmx(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(small_vm_rdmsr(0x3a, &value));
    assert_int_equal(value, 1);
    assert_false(small_vm_wrmsr(0x3a, 5));
}

static void test_constant_msrs(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(small_vm_rdmsr(0xfe, &value));
    assert_int_equal(value & 0xff, 8);      /* variable ranges */
    assert_int_equal(value & 0x500, 0x500); /* fixed ranges, WC */
    assert_false(small_vm_wrmsr(0xfe, value));
    assert_true(small_vm_rdmsr(0x8b, &value));
    assert_true(value >> 32 != 0);
    assert_true(small_vm_wrmsr(0x8b, 0));
    assert_true(small_vm_rdmsr(0x1a0, &value));
    assert_true(small_vm_wrmsr(0x1a0, value));
    assert_true(small_vm_rdmsr(0x179, &value));
    assert_int_equal(value & 0xff, 0); /* no machine-check banks */
    assert_true(small_vm_wrmsr(0x1d9, 0));
    assert_false(small_vm_wrmsr(0x1d9, 1));
    assert_false(small_vm_wrmsr(0x17a, 4));
}

/* The flaws a CPU says it has not; and without enhanced IBRS [1] it has neither BHI nor ITS. */
static void test_arch_capabilities_say_what_the_cpu_has_not(void **state)
{
    const uint64_t bhi_its = 1ull << 20 | 1ull << 62;
    uint64_t value;

    (void)state;
    assert_true(small_vm_rdmsr(0x10a, &value));
    assert_true(value == bhi_its);
    host_fake.arch_capabilities = 0x21; /* RDCL_NO MDS_NO */
    assert_true(small_vm_rdmsr(0x10a, &value));
    assert_true(value == (bhi_its | 0x21));
    host_fake.arch_capabilities =
        0x2b; /* and IBRS_ALL, SKIP_L1DFL: the guest's business is neither */
    assert_true(small_vm_rdmsr(0x10a, &value));
    assert_int_equal(value, 0x21);
    host_fake.arch_capabilities = 2 | bhi_its;
    assert_true(small_vm_rdmsr(0x10a, &value));
    assert_true(value == bhi_its);
    host_fake.arch_capabilities = 0;
    assert_false(small_vm_wrmsr(0x10a, value));
}

static void test_mtrr_default_type_is_checked(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(small_vm_rdmsr(0x2ff, &value));
    assert_int_equal(value, 0xc06);
    assert_true(small_vm_wrmsr(0x2ff, 0x800));
    assert_true(small_vm_rdmsr(0x2ff, &value));
    assert_int_equal(value, 0x800);
    assert_false(small_vm_wrmsr(0x2ff, 0x802)); /* types 2, 3 and from 7 on do not exist */
    assert_false(small_vm_wrmsr(0x2ff, 0x807));
    assert_false(small_vm_wrmsr(0x2ff, 0x1c06));
    assert_false(small_vm_wrmsr(0x2ff, 1ull << 63 | 0xc06));
    assert_true(small_vm_rdmsr(0x2ff, &value));
    assert_int_equal(value, 0x800);
}

static void test_fixed_mtrrs_are_checked_byte_by_byte(void **state)
{
    static const uint32_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x26f};
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(fixed); i++) {
        assert_true(small_vm_wrmsr(fixed[i], 0x0605040100060606));
        assert_false(small_vm_wrmsr(fixed[i], 0x0206060606060606));
        assert_false(small_vm_wrmsr(fixed[i], 0x0606060606060607));
        assert_true(small_vm_rdmsr(fixed[i], &value));
        assert_int_equal(value, 0x0605040100060606);
    }
}

/* SDM 3A "IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn Variable-Range Register Pair". */
static void test_variable_mtrrs_are_checked(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(small_vm_wrmsr(0x200, 0x7fc0000000 | 6)); /* MAXPHYADDR is 39 */
    assert_true(small_vm_wrmsr(0x20f, 0x7fc0000800));
    assert_true(small_vm_rdmsr(0x200, &value));
    assert_int_equal(value, 0x7fc0000006);
    assert_true(small_vm_rdmsr(0x20f, &value));
    assert_int_equal(value, 0x7fc0000800);
    assert_false(small_vm_wrmsr(0x200, 2));     /* no such type */
    assert_false(small_vm_wrmsr(0x200, 0x106)); /* reserved [11:8] */
    assert_false(small_vm_wrmsr(0x200, 1ull << 39 | 6));
    assert_false(small_vm_wrmsr(0x201, 0x7fc0000001)); /* reserved [10:0] */
    assert_false(small_vm_wrmsr(0x201, 1ull << 39 | 0x800));
    assert_false(small_vm_rdmsr(0x210, &value));
}

static void test_tsc_write_moves_offset_not_the_devices(void **state)
{
    uint64_t now = vm_now(vm);

    (void)state;
    assert_true(small_vm_wrmsr(0x10, 5000000));
    assert_int_equal(host_fake.tsc + cpu->arch.tsc_offset, 5000000);
    assert_int_equal(vm_now(vm), now);
}

/* SDM 3B "IA32_TSC_ADJUST Register Support". */
static void test_tsc_adjust_and_tsc_move_together(void **state)
{
    uint64_t tsc = host_fake.tsc + cpu->arch.tsc_offset;
    uint64_t value;

    (void)state;
    assert_true(small_vm_rdmsr(0x3b, &value));
    assert_int_equal(value, 0);
    assert_true(small_vm_wrmsr(0x3b, 0 - 77ull));
    assert_int_equal(host_fake.tsc + cpu->arch.tsc_offset, tsc - 77);
    assert_true(small_vm_wrmsr(0x10, tsc + 1000));
    assert_true(small_vm_rdmsr(0x3b, &value));
    assert_int_equal(value, 1000);
    assert_true(small_vm_wrmsr(0x3b, 0));
    assert_int_equal(host_fake.tsc + cpu->arch.tsc_offset, tsc);
}

static void test_mtrrs_at_power_on_are_off(void **state)
{
    uint64_t value;

    (void)state;
    msr_reset(&cpu->msrs, true);
    assert_true(small_vm_rdmsr(0x2ff, &value));
    assert_int_equal(value, 0);
    assert_true(small_vm_rdmsr(0x250, &value));
    assert_int_equal(value, 0);
}

static void deadline_mode(void)
{
    small_vm_mmio_write(0xfee000f0, 0x1ff);
    small_vm_mmio_write(0xfee00320, 0x00040041);
}

static void test_tsc_deadline_round_trip_and_interrupt(void **state)
{
    uint64_t tsc = host_fake.tsc + cpu->arch.tsc_offset;
    uint64_t value;

    (void)state;
    deadline_mode();
    assert_true(small_vm_rdmsr(0x6e0, &value));
    assert_int_equal(value, 0);
    assert_true(small_vm_wrmsr(0x6e0, tsc + 1000));
    assert_true(small_vm_rdmsr(0x6e0, &value));
    assert_int_equal(value, tsc + 1000);
    assert_int_equal(cpu->arch.armed_deadline, host_fake.tsc + 1000);
    small_vm_wait(1000);
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x41);
    assert_true(small_vm_rdmsr(0x6e0, &value));
    assert_int_equal(value, 0);
}

static void test_tsc_deadline_counts_in_the_tsc_the_guest_wrote(void **state)
{
    uint64_t value;

    (void)state;
    deadline_mode();
    assert_true(small_vm_wrmsr(0x10, 0x100000000000));
    assert_true(small_vm_wrmsr(0x6e0, 0x100000000000 + 777));
    assert_int_equal(cpu->arch.armed_deadline, host_fake.tsc + 777);
    assert_true(small_vm_rdmsr(0x6e0, &value));
    assert_int_equal(value, 0x100000000000 + 777);
    assert_true(small_vm_wrmsr(0x6e0, 0));
    assert_int_equal(small_vm_rdmsr(0x6e0, &value), true);
    assert_int_equal(value, 0);
    assert_true(cpu->arch.armed_deadline > host_fake.tsc + 777);
}

static void test_tsc_write_moves_an_armed_deadline(void **state)
{
    uint64_t value;

    (void)state;
    deadline_mode();
    assert_true(small_vm_wrmsr(0x10, 5000));
    assert_true(small_vm_wrmsr(0x6e0, 9000));
    assert_true(small_vm_wrmsr(0x10, 8000));
    assert_int_equal(cpu->arch.armed_deadline, host_fake.tsc + 1000);
    assert_true(small_vm_rdmsr(0x6e0, &value));
    assert_int_equal(value, 9000);
}

/* SDM 3A "TSC-Deadline Mode": a deadline not later than the TSC interrupts at once. */
static void test_tsc_deadline_in_the_past_interrupts_at_once(void **state)
{
    static const uint64_t past[] = {0x100000000000 - 1, 0x0fff00000000, 1};

    (void)state;
    host_fake.tsc += 100;
    deadline_mode();
    assert_true(small_vm_wrmsr(0x10, 0x100000000000));
    for (unsigned i = 0; i < ARRAY_LEN(past); i++) {
        assert_true(small_vm_wrmsr(0x6e0, past[i]));
        small_vm_sti();
        small_vm_expect(EVENT_EXTERNAL, 0x41);
        small_vm_mmio_write(0xfee000b0, 0);
    }
}

static void test_tsc_deadline_far_away_does_not_wrap(void **state)
{
    (void)state;
    deadline_mode();
    host_fake.tsc += 1000000000000;
    assert_true(small_vm_wrmsr(0x10, 5)); /* far below VM time */
    assert_true(small_vm_wrmsr(0x6e0, UINT64_MAX));
    small_vm_sti();
    small_vm_expect_none();
}

static void test_x2apic_msrs_need_x2apic_mode(void **state)
{
    uint64_t value;

    (void)state;
    assert_false(small_vm_rdmsr(0x802, &value));
    assert_false(small_vm_wrmsr(0x80b, 0));
    assert_true(small_vm_rdmsr(0x1b, &value));
    assert_int_equal(value, 0xfee00900);
    assert_true(small_vm_wrmsr(0x1b, 0xfee00d00));
    assert_true(small_vm_rdmsr(0x802, &value));
    assert_int_equal(value, 0);
    assert_true(small_vm_wrmsr(0x80f, 0x1ff));
    assert_true(small_vm_rdmsr(0x80f, &value));
    assert_int_equal(value, 0x1ff);
    assert_false(small_vm_wrmsr(0x802, 1));         /* read-only */
    assert_false(small_vm_wrmsr(0x1b, 0xfee00900)); /* no way back to xAPIC */
    assert_int_equal(small_vm_mmio_read(0xfee00020), 0xffffffff);
}

static void test_x2apic_self_ipi_interrupts(void **state)
{
    (void)state;
    assert_true(small_vm_wrmsr(0x1b, 0xfee00d00));
    assert_true(small_vm_wrmsr(0x80f, 0x1ff));
    assert_true(small_vm_wrmsr(0x83f, 0x77));
    small_vm_sti();
    small_vm_expect(EVENT_EXTERNAL, 0x77);
}

/* --- control registers ------------------------------------------------------------------------ */

static bool mov_to_cr(uint8_t number, uint64_t value)
{
    struct vcpu_exit x = {.kind = EXIT_CR};
    unsigned skips = vcpu_fake.skips;

    x.u.cr.number = number;
    x.u.cr.gpr = RDX;
    cpu->arch.gpr[RDX] = value;
    assert_true(small_vm_exit(&x));
    if (vcpu_fake.skips != skips)
        return true;
    small_vm_expect_gp();
    return false;
}

static void test_cr8_is_tpr(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_CR};

    (void)state;
    assert_true(mov_to_cr(8, 9));
    assert_int_equal(small_vm_mmio_read(0xfee00080), 0x90);
    assert_false(mov_to_cr(8, 16));
    x.u.cr.number = 8;
    x.u.cr.gpr = R11;
    x.u.cr.read = true;
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->arch.gpr[R11], 9);
}

static void test_cr8_holds_interrupts_back(void **state)
{
    (void)state;
    small_vm_mmio_write(0xfee000f0, 0x1ff);
    assert_true(mov_to_cr(8, 5));
    small_vm_mmio_write(0xfee00310, 0);
    small_vm_mmio_write(0xfee00300, 0x4055);
    small_vm_sti();
    small_vm_expect_none();
    assert_true(mov_to_cr(8, 4));
    small_vm_expect(EVENT_EXTERNAL, 0x55);
}

static void test_cr0_and_cr4_refused_values(void **state)
{
    uint64_t cr0 = vcpu_fake.state.cr0;

    (void)state;
    assert_false(mov_to_cr(0, CR0_PG));
    assert_int_equal(vcpu_fake.state.cr0, cr0);
    assert_false(mov_to_cr(4, CR4_VMXE));
    assert_true(mov_to_cr(4, CR4_PGE));
    assert_int_equal(vcpu_fake.state.cr4, CR4_PGE);
}

static void put_pdptes(uint64_t third)
{
    const uint64_t pdpte[4] = {0x5001, 0x1e6, third, 0};

    assert_true(gmem_write(vm, 0x3020, pdpte, sizeof(pdpte)));
    vcpu_fake.state.cr3 = 0x3020;
}

static void test_pae_paging_loads_pdptes(void **state)
{
    (void)state;
    put_pdptes(0x6019); /* P, PWT, PCD, an ignored bit */
    assert_true(mov_to_cr(4, CR4_PAE));
    assert_int_equal(vcpu_fake.pdpte[0], 0);
    assert_true(mov_to_cr(0, CR0_PE | CR0_PG));
    assert_int_equal(vcpu_fake.pdpte[0], 0x5001);
    assert_int_equal(vcpu_fake.pdpte[1], 0x1e6); /* not present: the rest is free */
    assert_int_equal(vcpu_fake.pdpte[2], 0x6019);
}

/* SDM 3A "PDPTE Registers": reserved bits are [2:1], [8:5] and [63:MAXPHYADDR]; #GP, no change. */
static void test_bad_pdptes_are_gp_and_leave_cr0_alone(void **state)
{
    static const uint64_t bad[] = {0x6003,         0x6021,         0x6101,
                                   1ull << 39 | 1, 1ull << 51 | 1, 1ull << 63 | 1};
    uint64_t cr0 = vcpu_fake.state.cr0;

    (void)state;
    assert_true(mov_to_cr(4, CR4_PAE));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        put_pdptes(bad[i]);
        assert_false(mov_to_cr(0, CR0_PE | CR0_PG));
        assert_int_equal(vcpu_fake.state.cr0, cr0);
        assert_int_equal(vcpu_fake.pdpte[0], 0);
    }
    vcpu_fake.state.cr3 = 0xfffff000; /* no memory there */
    assert_false(mov_to_cr(0, CR0_PE | CR0_PG));
    assert_int_equal(vcpu_fake.state.cr0, cr0);
}

static void test_bad_pdptes_leave_cr4_alone(void **state)
{
    (void)state;
    vcpu_fake.state.cr0 |= CR0_PG;
    put_pdptes(0x6003);
    assert_false(mov_to_cr(4, CR4_PAE));
    assert_int_equal(vcpu_fake.state.cr4, 0);
}

static bool xsetbv(uint32_t index, uint64_t value)
{
    struct vcpu_exit x = {.kind = EXIT_XSETBV};
    unsigned skips = vcpu_fake.skips;

    cpu->arch.gpr[RCX] = index;
    cpu->arch.gpr[RAX] = (uint32_t)value;
    cpu->arch.gpr[RDX] = value >> 32;
    assert_true(small_vm_exit(&x));
    if (vcpu_fake.skips != skips)
        return true;
    small_vm_expect_gp();
    return false;
}

static void test_xsetbv_rules(void **state)
{
    static const uint64_t good[] = {1, 3, 7, 0xe7};
    static const uint64_t bad[] = {
        0,    2,    6,    5,    4,     0x27,           0x67,          0xa7,
        0xe3, 0xe1, 0x0b, 0x1b, 0x207, 1ull << 63 | 7, 1ull << 32 | 1};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(xsetbv(0, good[i]));
        assert_int_equal(cpu->arch.xcr0, good[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(xsetbv(0, bad[i]));
        assert_int_equal(cpu->arch.xcr0, 0xe7);
    }
    assert_false(xsetbv(1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, small_vm_setup)
        TEST(test_cpuid_leaf_1_hides_vmx_and_shows_hypervisor),
        TEST(test_cpuid_x2apic_and_deadline_whatever_the_host_has),
        TEST(test_cpuid_osxsave_follows_cr4),
        TEST(test_cpuid_leaf_d_sizes_follow_xcr0),
        TEST(test_cpuid_leaf_d_compacted_size),
        TEST(test_cpuid_without_avx512_hides_its_features),
        TEST(test_cpuid_without_xsave),
        TEST(test_cpuid_leaf_7_has_no_unknown_feature),
        TEST(test_cpuid_hides_what_the_hardware_cannot_virtualize),
        TEST(test_cpuid_topology_is_one_core),
        TEST(test_cpuid_topology_of_many),
        TEST(test_cpuid_level_3_cache_is_shared),
        TEST(test_cpuid_leaf_1f_only_where_the_cpu_has_it),
        TEST(test_cpuid_15h_above_4_ghz),
        TEST(test_cpuid_caches_belong_to_one_core),
        TEST(test_cpuid_15h_gives_the_tsc_frequency),
        TEST(test_cpuid_unknown_leaf_gives_the_highest_basic_one),
        TEST(test_cpuid_hypervisor_leaf_has_our_name),
        TEST(test_cpuid_extended_leaves),
        TEST(test_cpuid_only_low_halves_count),
        TEST(test_no_performance_monitoring),
        TEST(test_no_monitor),
        TEST(test_single_step_over_an_emulated_instruction),
        TEST(test_single_step_goes_before_an_nmi),
        TEST(test_unknown_msr_is_gp_and_counted),
        TEST(test_refused_msrs_are_named_once),
        TEST(test_feature_control_is_locked_without_vmx),
        TEST(test_constant_msrs),
        TEST(test_arch_capabilities_say_what_the_cpu_has_not),
        TEST(test_mtrr_default_type_is_checked),
        TEST(test_fixed_mtrrs_are_checked_byte_by_byte),
        TEST(test_variable_mtrrs_are_checked),
        TEST(test_tsc_write_moves_offset_not_the_devices),
        TEST(test_tsc_deadline_round_trip_and_interrupt),
        TEST(test_tsc_deadline_counts_in_the_tsc_the_guest_wrote),
        TEST(test_tsc_write_moves_an_armed_deadline),
        TEST(test_tsc_adjust_and_tsc_move_together),
        TEST(test_mtrrs_at_power_on_are_off),
        TEST(test_tsc_deadline_in_the_past_interrupts_at_once),
        TEST(test_tsc_deadline_far_away_does_not_wrap),
        TEST(test_x2apic_msrs_need_x2apic_mode),
        TEST(test_x2apic_self_ipi_interrupts),
        TEST(test_cr8_is_tpr),
        TEST(test_cr8_holds_interrupts_back),
        TEST(test_cr0_and_cr4_refused_values),
        TEST(test_pae_paging_loads_pdptes),
        TEST(test_bad_pdptes_are_gp_and_leave_cr0_alone),
        TEST(test_bad_pdptes_leave_cr4_alone),
        TEST(test_xsetbv_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
