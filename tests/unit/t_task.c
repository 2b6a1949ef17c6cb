/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware task switches. Expected values: SDM 3A "Task Management". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "lib/compiler.h"
#include "tests/fake/small_vm.h"

#define GDT     0x10000ull
#define TSS_A   0x11000u /* selector 28H, running */
#define TSS_B   0x12000u /* 30H */
#define TSS_16  0x13000u /* 38H */
#define SEL_LDT 0x40
#define SEL_ABSENT 0x48 /* data, not present */
#define SEL_RO  0x50
#define SEL_USER_CODE 0x58
#define SEL_USER_DATA 0x60
#define SEL_CONFORMING 0x68

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];

static void put(uint64_t gpa, const void *bytes, size_t len)
{
    assert_true(gmem_write(vm, gpa, bytes, len));
}

static void put32(uint64_t gpa, uint32_t value)
{
    put(gpa, &value, 4);
}

static uint32_t get32(uint64_t gpa)
{
    uint32_t value;

    assert_true(gmem_read(vm, gpa, &value, 4));
    return value;
}

static uint8_t type_of(uint16_t selector)
{
    return get32(GDT + selector + 4) >> 8 & 0x1f;
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t access)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)(base & 0xff000000) << 32;
}

/* Task B as CALL finds it, flat and at ring 0. */
static void make_tasks(void)
{
    const uint64_t gdt[] = {
        0,
        0,
        descriptor(0, 0xfffff, 0xc092), /* 10H data, not accessed */
        descriptor(0, 0xfffff, 0xc09a), /* 18H code */
        descriptor(0x5000, 0xfff, 0x4096), /* 20H expand-down */
        descriptor(TSS_A, 103, 0x8b),
        descriptor(TSS_B, 103, 0x89),
        descriptor(TSS_16, 43, 0x81),
        descriptor(0x14000, 0x17, 0x82),
        descriptor(0, 0xfffff, 0xc012),
        descriptor(0, 0xfffff, 0xc090),
        descriptor(0, 0xfffff, 0xc0fa),
        descriptor(0, 0xfffff, 0xc0f2),
        descriptor(0, 0xfffff, 0xc09c),
    };
    static const uint32_t b[26] = {[8] = 0x8000,   [9] = 0x202,    [10] = 0xa0, [11] = 0xa1,
                                   [12] = 0xa2,    [13] = 0xa3,    [14] = 0x9000, [15] = 0xa5,
                                   [16] = 0xa6,    [17] = 0xa7,    [18] = 0x10, [19] = 0x18,
                                   [20] = 0x10,    [21] = 0x10,    [22] = 0,    [23] = 0x10};

    put(GDT, gdt, sizeof(gdt));
    put(TSS_B, b, sizeof(b));
    vcpu_fake.segment[SEGMENT_GDTR] = (struct vcpu_segment){.base = GDT, .limit = sizeof(gdt) - 1};
    vcpu_fake.segment[SEGMENT_TR] = (struct vcpu_segment){0x28, 0x8b, 103, TSS_A};
    vcpu_fake.segment[SEGMENT_LDTR] = (struct vcpu_segment){.access = 0x10000};
    vcpu_fake.segment[SEGMENT_DS].selector = 0x60;
    vcpu_fake.state.rip = 0x1234;
    vcpu_fake.state.rflags = 0x4046; /* NT */
    vcpu_fake.state.cr0 = CR0_PE | CR0_ET | CR0_NE;
    cpu->arch.gpr[RDI] = 0x77;
}

static bool run(int source, uint16_t selector)
{
    struct vcpu_exit x = {.kind = EXIT_TASK_SWITCH};

    x.u.task.selector = selector;
    x.u.task.source = source;
    x.u.task.length = 7;
    return small_vm_exit(&x);
}

static void expect_error(uint8_t vector, uint32_t error)
{
    struct vcpu_fake_event e;

    assert_true(vcpu_fake_take(&e));
    assert_int_equal(e.vector, vector);
    assert_true(e.has_error);
    assert_int_equal(e.error, error);
    small_vm_expect_none();
}

static void test_call_nests(void **state)
{
    (void)state;
    make_tasks();
    assert_true(run(TASK_CALL, 0x30));
    small_vm_expect_none();
    assert_int_equal(get32(TSS_A + 0x20), 0x123b); /* behind the CALL */
    assert_int_equal(get32(TSS_A + 0x24), 0x4046);
    assert_int_equal(get32(TSS_A + 0x44), 0x77);
    assert_int_equal(get32(TSS_A + 0x54), 0x60);
    assert_int_equal(get32(TSS_B), 0x28); /* link */
    assert_int_equal(type_of(0x28), 0xb);
    assert_int_equal(type_of(0x30), 0xb);
    assert_int_equal(type_of(0x10), 0x13); /* accessed */
    assert_int_equal(vcpu_fake.state.rip, 0x8000);
    assert_int_equal(vcpu_fake.state.rflags, 0x4202);
    assert_int_equal(vcpu_fake.state.cr0 & CR0_TS, CR0_TS);
    assert_int_equal(vcpu_fake.state.rsp, 0x9000);
    assert_int_equal(cpu->arch.gpr[RBP], 0xa5);
    assert_int_equal(vcpu_fake.segment[SEGMENT_TR].base, TSS_B);
    assert_int_equal(vcpu_fake.segment[SEGMENT_TR].access, 0x8b);
    assert_int_equal(vcpu_fake.segment[SEGMENT_CS].access, 0xc09b);
    assert_int_equal(vcpu_fake.segment[SEGMENT_CS].limit, 0xffffffff);
    assert_int_equal(vcpu_fake.segment[SEGMENT_FS].access, 0x10000); /* null: unusable */
}

static void test_jmp_and_iret_free_the_old_task(void **state)
{
    (void)state;
    make_tasks();
    assert_true(run(TASK_JMP, 0x30));
    assert_int_equal(type_of(0x28), 9);
    assert_int_equal(type_of(0x30), 0xb);
    assert_int_equal(vcpu_fake.state.rflags, 0x202);
    assert_int_equal(get32(TSS_B), 0);
    make_tasks();
    put32(GDT + 0x34, 0x8b01);
    assert_true(run(TASK_IRET, 0x30));
    assert_int_equal(type_of(0x28), 9);
    assert_int_equal(type_of(0x30), 0xb);
    assert_int_equal(get32(TSS_A + 0x24), 0x46); /* NT cleared */
}

static void test_16_bit_task(void **state)
{
    static const uint16_t c[22] = {[7] = 0x8000, [8] = 0x202, [9] = 0xa0, [13] = 0x9000,
                                   [17] = 0x10,  [18] = 0x18, [19] = 0x10, [20] = 0x10};

    (void)state;
    make_tasks();
    put(TSS_16, c, sizeof(c));
    assert_true(run(TASK_JMP, 0x38));
    small_vm_expect_none();
    assert_int_equal(cpu->arch.gpr[RAX], 0xa0);
    assert_int_equal(vcpu_fake.segment[SEGMENT_TR].access, 0x83);
    assert_int_equal(vcpu_fake.segment[SEGMENT_GS].access, 0x10000);
    cpu->arch.gpr[RAX] = 0xabcd1234;
    assert_true(run(TASK_JMP, 0x28));
    assert_int_equal(get32(TSS_16 + 0x12) & 0xffff, 0x1234);
    assert_int_equal(get32(TSS_16 + 0x0e) & 0xffff, 0x8007);
}

static void test_error_code_goes_onto_the_new_stack(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_TASK_SWITCH};

    (void)state;
    make_tasks();
    x.u.task.selector = 0x30;
    x.u.task.source = TASK_GATE;
    x.u.task.external = true;
    x.u.task.has_error = true;
    x.u.task.error = 0x1235;
    assert_true(small_vm_exit(&x));
    assert_int_equal(vcpu_fake.state.rsp, 0x8ffc);
    assert_int_equal(get32(0x8ffc), 0x1235);
    assert_int_equal(get32(TSS_A + 0x20), 0x1234); /* a fault: the instruction again */
    assert_int_equal(get32(TSS_B), 0x28);
}

static void test_stack_too_small_for_the_error_code(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_TASK_SWITCH};

    (void)state;
    make_tasks();
    put32(TSS_B + 0x50, 0x20); /* expand-down: valid from 1000H on */
    put32(TSS_B + 0x38, 0x1000);
    x.u.task.selector = 0x30;
    x.u.task.source = TASK_GATE;
    x.u.task.external = true;
    x.u.task.has_error = true;
    assert_true(small_vm_exit(&x));
    expect_error(VECTOR_SS, 1); /* EXT */
}

static void test_debug_trap_of_the_new_task(void **state)
{
    (void)state;
    make_tasks();
    put32(TSS_B + 0x64, 1);
    assert_true(run(TASK_JMP, 0x30));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_DB);
    assert_int_equal(vcpu_fake.dr6, 0x8000);
}

/* SDM 3A "Exception Conditions Checked During a Task Switch". */
static void test_bad_segments_of_the_new_task(void **state)
{
    static const struct {
        unsigned offset;
        uint16_t selector;
        uint8_t vector;
        uint32_t error;
    } cases[] = {
        {0x4c, 0,             VECTOR_TS, 0             }, /* CS null, data, other ring, outside */
        {0x4c, 0x10,          VECTOR_TS, 0x10          },
        {0x4c, SEL_USER_CODE, VECTOR_TS, SEL_USER_CODE },
        {0x4c, 0x200,         VECTOR_TS, 0x200         },
        {0x50, 3,             VECTOR_TS, 0             }, /* SS null, read-only, other ring, absent */
        {0x50, SEL_RO,        VECTOR_TS, SEL_RO        },
        {0x50, SEL_USER_DATA, VECTOR_TS, SEL_USER_DATA },
        {0x50, 0x11,          VECTOR_TS, 0x10          },
        {0x50, SEL_ABSENT,    VECTOR_SS, SEL_ABSENT    },
        {0x54, SEL_ABSENT,    VECTOR_NP, SEL_ABSENT    }, /* DS absent, a TSS, RPL above DPL */
        {0x54, 0x30,          VECTOR_TS, 0x30          },
        {0x54, 0x13,          VECTOR_TS, 0x10          },
        {0x58, 0x14,          VECTOR_TS, 0x14          }, /* in an LDT that is not there */
        {0x60, 0x10,          VECTOR_TS, 0x10          }, /* LDT */
        {0x60, 0x44,          VECTOR_TS, 0x44          },
        {0x60, 0x200,         VECTOR_TS, 0x200         },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        make_tasks();
        put32(TSS_B + cases[i].offset, cases[i].selector);
        assert_true(run(TASK_CALL, 0x30));
        assert_int_equal(vcpu_fake.segment[SEGMENT_TR].selector, 0x30); /* in the new task */
        assert_int_equal(vcpu_fake.state.rip, 0x8000);
        expect_error(cases[i].vector, cases[i].error);
    }
}

static void test_segments_that_are_allowed(void **state)
{
    (void)state;
    make_tasks();
    put32(TSS_B + 0x48, SEL_USER_DATA | 3);
    put32(TSS_B + 0x54, SEL_CONFORMING | 3);
    put32(TSS_B + 0x58, 0x0c); /* in the LDT */
    put32(TSS_B + 0x60, SEL_LDT);
    const uint64_t d = descriptor(0x7000, 0xff, 0x92);

    put(0x14008, &d, 8);
    assert_true(run(TASK_CALL, 0x30));
    expect_error(VECTOR_TS, SEL_CONFORMING); /* it is execute-only */
    put32(GDT + SEL_CONFORMING + 4, 0xcf9e00);
    put32(GDT + 0x34, 0x8901);
    assert_true(run(TASK_CALL, 0x30));
    small_vm_expect_none();
    assert_int_equal(vcpu_fake.segment[SEGMENT_FS].base, 0x7000);
    assert_int_equal(vcpu_fake.segment[SEGMENT_LDTR].base, 0x14000);
}

static void test_virtual_8086_task(void **state)
{
    (void)state;
    make_tasks();
    put32(TSS_B + 0x24, 0x20202);
    put32(TSS_B + 0x4c, 0x1234);
    assert_true(run(TASK_JMP, 0x30));
    small_vm_expect_none();
    assert_int_equal(vcpu_fake.segment[SEGMENT_CS].base, 0x12340);
    assert_int_equal(vcpu_fake.segment[SEGMENT_CS].access, 0xf3);
    assert_int_equal(vcpu_fake.state.cpl, 3);
}

/* Before the old task is left a fault changes nothing. */
static void test_fault_in_the_old_task(void **state)
{
    (void)state;
    make_tasks();
    vcpu_fake.segment[SEGMENT_TR].base = 0xfffff000; /* no memory there */
    assert_true(run(TASK_CALL, 0x30));
    expect_error(VECTOR_GP, 0);
    assert_int_equal(vcpu_fake.state.rip, 0x1234);
    assert_int_equal(type_of(0x30), 9);
    make_tasks();
    put32(GDT + 0x30, 0x20000066); /* another core shortened it */
    assert_true(run(TASK_CALL, 0x30));
    expect_error(VECTOR_TS, 0x30);
    make_tasks();
    assert_true(run(TASK_CALL, 0x300));
    expect_error(VECTOR_TS, 0x300);
    assert_int_equal(vcpu_fake.state.rip, 0x1234);
}

/* Paging: the tables are those at the TSS's CR3 once it is entered. */
static void test_cr3_is_loaded(void **state)
{
    (void)state;
    make_tasks();
    put32(0x20000, 0x83); /* 4 MiB page at 0 */
    put32(0x21000, 0x83);
    vcpu_fake.state.cr4 = CR4_PSE;
    vcpu_fake.state.cr3 = 0x20000;
    vcpu_fake.state.cr0 |= CR0_PG;
    put32(TSS_B + 0x1c, 0x21000);
    assert_true(run(TASK_JMP, 0x30));
    small_vm_expect_none();
    assert_int_equal(vcpu_fake.state.cr3, 0x21000);
    make_tasks();
    vcpu_fake.state.cr3 = 0x20000;
    vcpu_fake.state.cr0 |= CR0_PG;
    put32(TSS_B + 0x1c, 0x22000); /* nothing mapped: the GDT cannot be read */
    assert_true(run(TASK_JMP, 0x30));
    expect_error(VECTOR_PF, 0);
    assert_int_equal(vcpu_fake.state.rip, 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, small_vm_setup)
        TEST(test_call_nests),
        TEST(test_jmp_and_iret_free_the_old_task),
        TEST(test_16_bit_task),
        TEST(test_error_code_goes_onto_the_new_stack),
        TEST(test_stack_too_small_for_the_error_code),
        TEST(test_debug_trap_of_the_new_task),
        TEST(test_bad_segments_of_the_new_task),
        TEST(test_segments_that_are_allowed),
        TEST(test_virtual_8086_task),
        TEST(test_fault_in_the_old_task),
        TEST(test_cr3_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
