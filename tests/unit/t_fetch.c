/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction that is kept from exit to exit (guest/fetch.h): whatever it depends on changes,
 * the guest must not see that it was kept. The last test does the same exits with and without.
 * Expected: SDM 3A "Paging", SDM 3A "Self-Modifying Code".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/regs.h"
#include "guest/fetch.h"
#include "guest/gmem.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "mm/phys.h"
#include "tests/fake/phys_fake.h"
#include "tests/fake/small_vm.h"

#define TPR         0xfee00080ull
#define IOAPIC      0xfec00000ull
#define CODE        SMALL_VM_CODE
#define OTHER_CODE  0x9000ull /* another page, for the same linear address */
#define VALUE       0x55u     /* of TPR */

#define P           0x01ull
#define US          0x04ull
#define A           0x20ull
#define TABLE       0x07ull /* P, RW, US */
#define PAGE        0x87ull /* and PS */
#define XD          BIT(63)

#define RANDOM_RUNS 30000u

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];

/* The tables that lead to the code, and another one of each level; the first one's first. */
static const uint64_t tables[4] = {0x10000, 0x11000, 0x12000, 0x13000};
static const uint64_t others[4] = {0x14000, 0x15000, 0x16000, 0x17000};

static void put(uint64_t gpa, uint64_t value)
{
    assert_true(gmem_write(vm, gpa, &value, sizeof(value)));
}

static uint64_t get(uint64_t gpa)
{
    uint64_t value;

    assert_true(gmem_read(vm, gpa, &value, sizeof(value)));
    return value;
}

/* Where the entry of each level for CODE is. */
static uint64_t entry_at(const uint64_t table[4], unsigned level)
{
    return table[level] + (level == 3 ? 8 * (CODE / PAGE_SIZE) : 0);
}

/* 64-bit mode. CODE is CODE by the first set of tables, OTHER_CODE by what differs in the other. */
static void four_levels(void)
{
    for (unsigned level = 0; level < 3; level++) {
        put(entry_at(tables, level), tables[level + 1] | TABLE);
        put(entry_at(others, level), others[level + 1] | TABLE);
    }
    put(entry_at(tables, 3), CODE | TABLE);
    put(entry_at(others, 3), OTHER_CODE | TABLE);
    put(tables[1] + 8 * 3, 0x18000 | TABLE); /* 3 to 4 GiB */
    put(others[1] + 8 * 3, 0x18000 | TABLE);
    put(0x18000 + 8 * 0x1f6, 0xfec00000 | PAGE);
    put(0x18000 + 8 * 0x1f7, 0xfee00000 | PAGE);
    vcpu_fake.state.cr0 |= CR0_PE | CR0_PG | CR0_WP;
    vcpu_fake.state.cr3 = tables[0];
    vcpu_fake.state.cr4 |= CR4_PAE;
    vcpu_fake.state.efer = EFER_LME | EFER_LMA;
    vcpu_fake.state.cs_access = 0xa09b;
}

static void code_at(uint64_t gpa, const char *code, size_t len)
{
    assert_true(gmem_write(vm, gpa, code, len));
}

static struct fetch *kept(void)
{
    return &cpu->fetch[fetch_slot(vcpu_fake.state.rip)];
}

/* An exit by what is at CODE. True: it was kept, and used. */
static bool access(uint64_t gpa, bool write)
{
    struct vcpu_exit x = {
        .kind = EXIT_MMIO, .u.mmio = {.gpa = gpa, .write = write}
    };

    vcpu_fake.state.rip = CODE;
    struct fetch *f = kept();

    f->insn.truncated = true; /* nobody looks at it by now, and decoding anew clears it */
    assert_true(small_vm_exit(&x));
    return f->mask[0] != 0 && f->insn.truncated;
}

static bool load(void)
{
    cpu->arch.gpr[RBX] = TPR;
    cpu->arch.gpr[RCX] = cpu->arch.gpr[RDX] = 0;
    return access(TPR, false);
}

static void expect_fetch_fault(uint32_t error)
{
    struct vcpu_fake_event e;

    assert_true(vcpu_fake_take(&e));
    assert_int_equal(e.vector, VECTOR_PF);
    assert_int_equal(e.cr2, CODE);
    assert_int_equal(e.error, error);
    assert_int_equal(cpu->arch.gpr[RCX], 0);
    assert_int_equal(vcpu_fake.state.rip, CODE);
}

/* The instruction at CODE loads into ECX, that at OTHER_CODE into EDX. */
static int setup(void **state)
{
    small_vm_setup(state);
    cpu->lapic.page[0x80 / 4] = VALUE;
    code_at(CODE, "\x8b\x0b", 2);
    code_at(OTHER_CODE, "\x8b\x13", 2);
    return 0;
}

/* Learn it, and see that it is kept. */
static void keep(void)
{
    (void)load();
    assert_true(load());
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    assert_int_equal(vcpu_fake.state.rip, CODE + 2);
}

static void test_without_paging(void **state)
{
    (void)state;
    assert_false(load());
    keep();
}

static void test_with_four_levels(void **state)
{
    (void)state;
    four_levels();
    assert_false(load());
    keep();
}

static void test_with_pae_tables(void **state)
{
    (void)state;
    put(0x10000, 0x11001);
    put(0x11000, PAGE);
    vcpu_fake.state.cr0 |= CR0_PE | CR0_PG;
    vcpu_fake.state.cr3 = 0x10000;
    vcpu_fake.state.cr4 |= CR4_PAE;
    keep();
    put(0x10020, 0x12001); /* CR3 has 32-byte steps there */
    put(0x12000, PAGE);
    vcpu_fake.state.cr3 = 0x10020;
    assert_false(load());
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    put(0x12000, 0);
    (void)load();
    assert_int_equal(cpu->arch.gpr[RCX], 0);
    small_vm_expect(EVENT_EXCEPTION, VECTOR_PF);
}

static void test_with_32_bit_tables_it_works_and_is_not_kept(void **state)
{
    (void)state;
    put(0x10000, PAGE); /* and a second entry of 0 */
    vcpu_fake.state.cr0 |= CR0_PE | CR0_PG;
    vcpu_fake.state.cr3 = 0x10000;
    vcpu_fake.state.cr4 |= CR4_PSE;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(load());
        assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    }
}

static void test_code_that_changes(void **state)
{
    (void)state;
    four_levels();
    keep();
    code_at(CODE, "\x8b\x13", 2); /* another register */
    assert_false(load());
    assert_int_equal(cpu->arch.gpr[RDX], VALUE);
    code_at(CODE, "\x89\x0b", 2); /* a store */
    cpu->arch.gpr[RCX] = 0x66;
    assert_false(access(TPR, true));
    assert_int_equal(cpu->lapic.page[0x80 / 4], 0x66);
    code_at(CODE, "\x90\x90", 2); /* no access at all */
    assert_false(access(TPR, true));
    small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
}

/* Every byte of a long one counts, and none behind it. */
static void test_each_byte_counts(void **state)
{
    static const char store[11] = "\xc7\x84\x23\x00\x00\x00\x00\x33\x00\x00\x00";

    (void)state;
    four_levels();
    cpu->arch.gpr[RBX] = IOAPIC;
    for (unsigned i = 0; i < 16; i++) {
        uint64_t at = CODE + i;

        code_at(CODE, store, sizeof(store)); /* mov dword [rbx + disp32], 33H */
        (void)access(IOAPIC, true);
        assert_true(access(IOAPIC, true));
        assert_int_equal(vm->ioapic.select, 0x33);
        assert_true(gmem_write(vm, at, i == 7 ? "\x44" : "\x01", 1));
        assert_int_equal(access(IOAPIC, true), i >= sizeof(store));
        if (i == 7)
            assert_int_equal(vm->ioapic.select, 0x44);
        vcpu_fake_rewind();
    }
}

/* At each level the table is another one, or the page. */
static void test_tables_that_change(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 4; level++) {
        four_levels();
        fetch_forget(cpu);
        keep();
        put(entry_at(tables, level), get(entry_at(others, level)));
        assert_false(load());
        assert_int_equal(cpu->arch.gpr[RCX], 0);
        assert_int_equal(cpu->arch.gpr[RDX], VALUE);
        put(entry_at(tables, level), 0);
        (void)load();
        expect_fetch_fault(0);
    }
}

static void test_rights_that_change(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 4; level++) {
        four_levels();
        vcpu_fake.state.efer |= EFER_NXE;
        keep();
        put(entry_at(tables, level), get(entry_at(tables, level)) | XD);
        (void)load();
        expect_fetch_fault(0x11);
        put(entry_at(tables, level), get(entry_at(tables, level)) & ~XD);
        keep();
        vcpu_fake.state.cpl = 3;
        assert_false(load());
        keep();
        put(entry_at(tables, level), get(entry_at(tables, level)) & ~US);
        (void)load();
        expect_fetch_fault(0x15);
        vcpu_fake.state.cpl = 0;
        assert_false(load());
        assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    }
}

static void test_accessed_flags_are_set_again(void **state)
{
    (void)state;
    four_levels();
    keep();
    for (unsigned level = 0; level < 4; level++) {
        assert_int_equal(get(entry_at(tables, level)) & A, A);
        put(entry_at(tables, level), get(entry_at(tables, level)) & ~A);
        assert_false(load());
        assert_int_equal(get(entry_at(tables, level)) & A, A);
        keep();
    }
}

static void test_cr3_that_changes(void **state)
{
    (void)state;
    four_levels();
    keep();
    put(others[0], get(tables[0])); /* another process, the same kernel */
    vcpu_fake.state.cr3 = others[0] | 0x18;
    assert_true(load());
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    put(others[0], others[1] | TABLE);
    assert_false(load());
    assert_int_equal(cpu->arch.gpr[RDX], VALUE);
    vcpu_fake.state.cr3 = SMALL_VM_MEMORY; /* no memory */
    (void)load();
    assert_int_equal(cpu->arch.gpr[RCX] | cpu->arch.gpr[RDX], 0);
    small_vm_expect_gp();
}

static void test_registers_that_change(void **state)
{
    (void)state;
    four_levels();
    put(entry_at(tables, 3), get(entry_at(tables, 3)) | XD);
    vcpu_fake.state.efer |= EFER_NXE;
    (void)load();
    expect_fetch_fault(0x11);
    put(entry_at(tables, 3), get(entry_at(tables, 3)) & ~XD);
    keep();
    vcpu_fake.state.cr4 |= CR4_SMEP; /* a user page */
    (void)load();
    expect_fetch_fault(0x11);
    vcpu_fake.state.cr4 &= ~CR4_SMEP;
    keep();
    put(entry_at(tables, 3), OTHER_CODE | TABLE);
    vcpu_fake.state.cr0 &= ~CR0_PG; /* the address is physical again */
    assert_false(load());
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
}

/* The same bytes are another instruction in another mode. */
static void test_mode_that_changes(void **state)
{
    (void)state;
    four_levels();
    code_at(CODE, "\x41\x8b\x08", 3); /* mov ecx, [r8]; INC ECX in compatibility mode */
    cpu->arch.gpr[R8] = TPR;
    assert_false(load());
    assert_true(load());
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    vcpu_fake.state.cs_access = 0xc09b;
    (void)load();
    small_vm_expect(EVENT_EXCEPTION, VECTOR_UD);
    code_at(CODE, "\x8b\x0b", 2);
    keep();
    vcpu_fake.state.cs_access = 0x809b; /* 16 bits: [bp + di] into CX */
    cpu->arch.gpr[RBP] = TPR & 0xffff;
    cpu->arch.gpr[RDI] = 0;
    vcpu_fake.segment[INSN_SS].base = 0xfee00000;
    (void)load();
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
}

static void test_base_of_cs(void **state)
{
    (void)state;
    keep();
    vcpu_fake.state.cs_base = OTHER_CODE - CODE;
    assert_false(load());
    assert_int_equal(cpu->arch.gpr[RDX], VALUE);
    four_levels(); /* there it has none, whatever was loaded */
    (void)load();
    assert_int_equal(cpu->arch.gpr[RCX], VALUE);
}

/* What was seen through a window that shows something else by now is looked for again. */
static void test_windows_that_move(void **state)
{
    (void)state;
    four_levels();
    keep();
    for (unsigned n = 0; n < 2 * PHYS_WINDOWS; n++) {
        for (unsigned i = 0; i <= n; i++)
            (void)phys_window((100 + i) * PAGE_2M);
        assert_true(load());
        assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    }
}

/* More blocks than windows: it works, and is looked for each time. */
static void test_tables_in_more_blocks_than_windows(void **state)
{
    (void)state;
    four_levels();
    keep();
    vm->memory[1] = (struct ept_range){GIB, 0x40000000, 8 * PAGE_2M, EPT_R | EPT_W};
    vm->memory_count = 2;
    phys_fake_add(0x40000000, 8 * PAGE_2M);
    for (unsigned level = 0; level < 4; level++) {
        uint64_t next = level < 3 ? GIB + (level + 1) * PAGE_2M : CODE;

        put(GIB + level * PAGE_2M + entry_at(tables, level) % PAGE_SIZE, next | TABLE);
    }
    put(GIB + PAGE_2M + 8 * 3, 0x18000 | TABLE);
    vcpu_fake.state.cr3 = GIB;
    for (unsigned i = 0; i < 4; i++) {
        (void)load();
        assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    }
}

static void test_end_of_a_page_is_not_kept(void **state)
{
    struct vcpu_exit x = {.kind = EXIT_MMIO, .u.mmio = {.gpa = TPR}};

    (void)state;
    for (uint64_t at = CODE + PAGE_SIZE - 20; at <= CODE + PAGE_SIZE - 2; at++) {
        cpu->arch.gpr[RBX] = TPR;
        for (unsigned i = 0; i < 2; i++) {
            code_at(at, "\x8b\x0b", 2);
            cpu->arch.gpr[RCX] = 0;
            vcpu_fake.state.rip = at;
            assert_true(small_vm_exit(&x));
            assert_int_equal(cpu->arch.gpr[RCX], VALUE);
        }
        vcpu_fake.state.rip = at;
        assert_int_equal(kept()->mask[0] != 0, at <= CODE + PAGE_SIZE - 16);
        fetch_forget(cpu);
    }
}

static void test_nothing_is_kept_over_a_start(void **state)
{
    (void)state;
    keep();
    vm_run(vm, 0, 0);
    for (unsigned i = 0; i < FETCH_PLACES; i++)
        assert_int_equal(cpu->fetch[i].mask[0], 0);
}

/* In tables that are in ROM. What is read counts, but there is something left to do each time. */
static void test_flags_that_cannot_be_set(void **state)
{
    (void)state;
    four_levels();
    vm->memory[0].perms = EPT_R | EPT_X;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(load());
        assert_int_equal(cpu->arch.gpr[RCX], VALUE);
    }
}

/* --- with and without ------------------------------------------------------------------------- */

#define PAGES_LEN 0x19000u /* code, tables, and what 16-bit code reaches */

/* All that an exit can change. */
struct world {
    uint64_t gpr[GPR_COUNT];
    struct vcpu_state s;
    struct vcpu_fake_event event[4];
    unsigned events;
    uint64_t unclaimed;
    struct ioapic ioapic;
    uint32_t lapic_page[1024];
    uint8_t memory[PAGES_LEN];
};

static void save(struct world *w)
{
    memset(w, 0, sizeof(*w));
    memcpy(w->gpr, cpu->arch.gpr, sizeof(w->gpr));
    w->gpr[RSP] = 0; /* where it is a copy */
    w->s = vcpu_fake.state;
    w->events = vcpu_fake.events;
    memcpy(w->event, vcpu_fake.event, sizeof(w->event));
    w->unclaimed = vm->unclaimed_io;
    w->ioapic = vm->ioapic;
    memcpy(w->lapic_page, cpu->lapic.page, sizeof(w->lapic_page));
    assert_true(gmem_read(vm, 0, w->memory, PAGES_LEN));
}

static void restore(const struct world *w)
{
    memcpy(cpu->arch.gpr, w->gpr, sizeof(w->gpr));
    vcpu_fake.state = w->s;
    vm->unclaimed_io = w->unclaimed;
    vm->ioapic = w->ioapic;
    memcpy(cpu->lapic.page, w->lapic_page, sizeof(w->lapic_page));
    assert_true(gmem_write(vm, 0, w->memory, PAGES_LEN));
    vcpu_fake_rewind();
}

static uint32_t seed = 1;

static uint32_t rnd(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

/* One thing of those that decide what the guest is at. */
static void change_something(void)
{
    static const char codes[][13] = {
        "\x02\x8b\x0b",                     /* mov ecx, [rbx]          */
        "\x02\x89\x0b",                     /* mov [rbx], ecx          */
        "\x03\x48\x8b\x0b",                 /* mov rcx, [rbx]          */
        "\x03\x66\x8b\x0b",                 /* mov cx, [rbx]           */
        "\x02\x8a\x2b",                     /* mov ch, [rbx]           */
        "\x03\x0f\xb6\x0b",                 /* movzx ecx, byte [rbx]   */
        "\x03\x0f\xbf\x0b",                 /* movsx ecx, word [rbx]   */
        "\x02\x88\x2b",                     /* mov [rbx], ch           */
        "\x02\x8b\x23",                     /* mov esp, [rbx]          */
        "\x03\x45\x89\x08",                 /* mov [r8], r9d           */
        "\x03\x8b\x0c\x33",                 /* mov ecx, [rbx + rsi]    */
        "\x03\x64\x8b\x0b",                 /* mov ecx, fs:[rbx]       */
        "\x06\xc7\x03\x12\x00\x00\x00",     /* mov dword [rbx], 12H    */
        "\x07\x48\xc7\x03\xff\xff\xff\xff", /* mov qword [rbx], -1     */
        "\x02\x09\x0b",                     /* or [rbx], ecx           */
        "\x02\x87\x0b",                     /* xchg [rbx], ecx         */
        "\x02\xa4\x90",                     /* movsb                   */
        "\x02\x0f\x0b",                     /* ud2                     */
        "\x0b\xc7\x84\x23\x00\x00\x00\x00\x34\x00\x00\x00",
    };
    static const uint8_t bits[] = {0, 1, 2, 5, 6, 7, 63}; /* P, RW, US, A, D, PS, XD */
    struct vcpu_state *s = &vcpu_fake.state;
    unsigned level = rnd() % 4;
    uint64_t at = entry_at(rnd() % 4 == 0 ? others : tables, level);
    const char *code = codes[rnd() % ARRAY_LEN(codes)];

    switch (rnd() % 16) {
    case 0:
    case 1:
    case 2: code_at(rnd() % 4 ? CODE : OTHER_CODE, code + 1, (size_t)code[0]); break;
    case 3: put(CODE, get(CODE) ^ BIT(rnd() % 64)); break;
    case 4: put(at, get(at) ^ 1ull << bits[rnd() % ARRAY_LEN(bits)]); break;
    case 5: put(at, get(entry_at(others, level))); break;
    case 6:
    case 7: four_levels(); break; /* all is well again */
    case 8: s->cr3 = rnd() % 4 ? tables[0] : others[0]; break;
    case 9: s->cr4 ^= rnd() % 2 ? CR4_SMEP : CR4_SMAP; break;
    case 10: s->efer ^= EFER_NXE; break;
    case 11: s->cpl = rnd() % 4 == 0 ? 3 : 0; break;
    case 12: s->cs_access = (const uint32_t[]){0xa09b, 0xc09b, 0x809b}[rnd() % 3]; break;
    case 13: s->cs_base = rnd() % 2 ? 0 : OTHER_CODE - CODE; break;
    case 14: s->cr0 ^= rnd() % 4 == 0 ? CR0_PG : CR0_WP; break;
    case 15: (void)phys_window((100 + rnd() % 8) * PAGE_2M); break;
    }
}

static void random_operands(void)
{
    static const uint64_t places[] = {TPR, TPR + 2, IOAPIC, IOAPIC + 0x10, 0xfec01004, 0xfee00ffe};
    uint64_t *gpr = cpu->arch.gpr;

    gpr[RBX] = gpr[R8] = places[rnd() % ARRAY_LEN(places)] + (rnd() % 16 == 0 ? rnd() % 64 : 0);
    gpr[RCX] = (uint64_t)rnd() << 40 | rnd();
    gpr[RSI] = rnd() % 8 == 0 ? 4 : 0;
    gpr[RDI] = TPR;
    gpr[RBP] = TPR & 0xffff;
    gpr[R9] = rnd();
    vcpu_fake.segment[INSN_FS].base = rnd() % 2 * 4;
}

static void test_with_and_without(void **state)
{
    static struct world before, warm, cold, slow;
    static struct fetch fetch[FETCH_PLACES];
    unsigned hits = 0;

    (void)state;
    four_levels();
    for (unsigned run = 0; run < RANDOM_RUNS; run++) {
        for (unsigned n = rnd() % 3; n > 0; n--)
            change_something();
        random_operands();
        vcpu_fake.state.rip = CODE;
        vcpu_fake.state.rflags = 2;

        uint64_t gpa = cpu->arch.gpr[RBX] + (rnd() % 16 == 0 ? 4 : 0);
        bool write = kept()->kind == FETCH_STORE || rnd() % 4 == 0;

        vcpu_fake_rewind();
        save(&before);
        hits += access(gpa, write);
        save(&warm);
        memcpy(fetch, cpu->fetch, sizeof(fetch));
        restore(&before);
        fetch_forget(cpu);
        (void)access(gpa, write);
        save(&cold);
        assert_memory_equal(&warm, &cold, sizeof(warm));
        restore(&before);
        kept()->kind = FETCH_OTHER; /* loads and stores by what does all instructions */
        (void)access(gpa, write);
        save(&slow);
        assert_memory_equal(&warm, &slow, sizeof(warm));
        memcpy(cpu->fetch, fetch, sizeof(fetch));
    }
    assert_in_range(hits, RANDOM_RUNS / 4, RANDOM_RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, setup)
        TEST(test_without_paging),
        TEST(test_with_four_levels),
        TEST(test_with_pae_tables),
        TEST(test_with_32_bit_tables_it_works_and_is_not_kept),
        TEST(test_code_that_changes),
        TEST(test_each_byte_counts),
        TEST(test_tables_that_change),
        TEST(test_rights_that_change),
        TEST(test_accessed_flags_are_set_again),
        TEST(test_cr3_that_changes),
        TEST(test_registers_that_change),
        TEST(test_mode_that_changes),
        TEST(test_base_of_cs),
        TEST(test_windows_that_move),
        TEST(test_tables_in_more_blocks_than_windows),
        TEST(test_end_of_a_page_is_not_kept),
        TEST(test_nothing_is_kept_over_a_start),
        TEST(test_flags_that_cannot_be_set),
        TEST(test_with_and_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
