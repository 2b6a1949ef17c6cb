/* unit: tests/fake/small_vm.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * REP INS and REP OUTS in runs (guest/exit_string.c): a guest sees no difference to doing its items one
 * by one. Expected: SDM 2A "REP/REPE/REPZ/REPNE/REPNZ"; the last test does the same repetitions in
 * both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "arch/x86/regs.h"
#include "guest/gmem.h"
#include "guest/platform.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "tests/fake/phys_fake.h"
#include "tests/fake/small_vm.h"

#define REGION      0x20000ull /* where operands are */
#define PAGES       8u
#define ROM_GPA     0xd0000000ull
#define SHARED_GPA  0xe0000000ull
#define NOTHING_GPA 0xfed00000ull
#define LAPIC_GPA_  0xfee00000ull
#define TABLES      0x4000ull /* paging of 32 bits: directory, table */
#define TABLES_LONG 0x10000ull
#define MEMORY_LEN  0x30000u /* all of these; ROM and shared region lie in its last two pages */

static struct vm *const vm = &vms[0];
static struct vcpu *const cpu = &vms[0].vcpu[0];
static uint8_t item_bytes[700];

static void put(uint64_t gpa, uint64_t value, unsigned size)
{
    assert_true(gmem_write(vm, gpa, &value, size));
}

static int setup(void **state)
{
    small_vm_setup(state);
    for (unsigned i = 0; i < sizeof(item_bytes); i++)
        item_bytes[i] = (uint8_t)(i * 7 + 1);
    small_vm_config.fw_cfg = true;
    fw_cfg_init(&vm->firmware.fw_cfg);
    assert_true(fw_cfg_add(&vm->firmware.fw_cfg, 0x8000, item_bytes, sizeof(item_bytes)));
    return 0;
}

/* --- playing a repetition --------------------------------------------------------------------- */

static struct vcpu_exit string(uint16_t port, unsigned size, bool in, unsigned address_size)
{
    struct vcpu_exit x = {.kind = EXIT_PIO_STRING};

    x.u.pio.port = port;
    x.u.pio.size = (uint8_t)size;
    x.u.pio.in = in;
    x.u.pio.rep = true;
    x.u.pio.address_size = (uint8_t)address_size;
    x.u.pio.segment = in ? INSN_ES : INSN_DS;
    return x;
}

/* What becomes of one; `by_item`: the guest counts, and asks for one item at a time. */
static struct {
    struct vcpu_exit x;
    bool by_item;
    bool asked;
    uint64_t left;   /* items that are not done */
    unsigned exits;  /* those that may do something */
    unsigned debugs; /* #DB */
    bool has_fault;
    struct vcpu_fake_event fault;
} play;

static uint64_t count_in_rcx(void)
{
    return cpu->arch.gpr[RCX] & size_mask(play.x.u.pio.address_size);
}

static void look_at_results(void)
{
    struct vcpu_fake_event e;

    while (vcpu_fake_take(&e)) {
        if (e.vector == VECTOR_DB) {
            play.debugs++;
            continue;
        }
        assert_false(play.has_fault);
        play.has_fault = true;
        play.fault = e;
    }
    if (play.asked && play.by_item)
        play.left -= count_in_rcx() == 0;
    else if (play.asked)
        play.left = count_in_rcx();
    play.asked = false;
}

static bool next_exit(struct vcpu_arch *a, struct vcpu_exit *out)
{
    look_at_results();
    if (play.left == 0 || play.has_fault)
        return false;
    a->gpr[RCX] = play.by_item ? 1 : play.left;
    play.asked = true;
    play.exits++;
    *out = play.x;
    return true;
}

/* True: the guest goes on. */
static bool run(struct vcpu_exit x, uint64_t count, bool by_item)
{
    memset(&play, 0, sizeof(play));
    play.x = x;
    play.by_item = by_item;
    play.left = count;
    cpu->arch.gpr[RDX] = x.u.pio.port;
    vcpu_fake.source = next_exit;
    small_vm_run();
    look_at_results();
    vcpu_fake.source = NULL;
    cpu->arch.gpr[RCX] = play.left;
    return vcpu_fake.over;
}

/* --- one thing at a time ---------------------------------------------------------------------- */

static void test_a_page_where_nobody_answers_is_one_exit(void **state)
{
    static const uint16_t ports[] = {0x1000, 0x80};
    uint64_t unclaimed = vm->unclaimed_io;
    uint8_t page[PAGE_SIZE + 1];

    (void)state;
    cpu->arch.gpr[RDI] = REGION;
    assert_true(run(string(0x1000, 1, true, 4), PAGE_SIZE, false));
    assert_int_equal(play.exits, 1);
    assert_int_equal(vm->unclaimed_io, unclaimed + PAGE_SIZE);
    assert_true(gmem_read(vm, REGION, page, sizeof(page)));
    for (unsigned i = 0; i <= PAGE_SIZE; i++)
        assert_int_equal(page[i], i < PAGE_SIZE ? 0xff : 0);
    for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
        cpu->arch.gpr[RSI] = REGION;
        assert_true(run(string(ports[i], 1, false, 4), PAGE_SIZE, false));
        assert_int_equal(play.exits, 1);
        assert_int_equal(cpu->arch.gpr[RSI], REGION + PAGE_SIZE);
    }
    assert_int_equal(vm->unclaimed_io, unclaimed + 2 * PAGE_SIZE);
}

/* What the guest shares with others is read like its own memory. */
static void test_a_page_of_a_shared_region(void **state)
{
    (void)state;
    vm->memory[1] = (struct ept_range){.gpa = SHARED_GPA,
                                       .hpa = vm->memory[0].hpa + REGION,
                                       .len = PAGE_SIZE,
                                       .perms = EPT_R | EPT_W};
    vm->share_count = 1;
    cpu->arch.gpr[RSI] = SHARED_GPA;
    assert_true(run(string(0x80, 1, false, 4), PAGE_SIZE, false));
    assert_int_equal(play.exits, 1);
}

/* How long an interrupt waits: 128 items of a device, or a dozen pages of nothing. */
static void test_an_exit_does_not_last_for_ever(void **state)
{
    (void)state;
    cpu->arch.gpr[RDI] = REGION;
    assert_true(run(string(0x3ff, 1, true, 4), 1280, false));
    assert_int_equal(play.exits, 10);
    cpu->arch.gpr[RSI] = 0;
    assert_true(run(string(0x80, 1, false, 4), 156 * PAGE_SIZE, false));
    assert_int_equal(play.exits, 13);
}

/* The fourth item raises IRQ 4: the fifth waits for what the guest does about it. */
static void test_a_run_ends_where_an_interrupt_may_be_taken(void **state)
{
    struct vcpu_exit x = string(0x3fc, 1, false, 4);

    (void)state;
    small_vm_uart_irq();
    assert_true(gmem_write(vm, REGION, "\x00\x01\x02\x08\x08\x08", 6)); /* MCR.OUT2 */
    cpu->arch.gpr[RDX] = 0x3fc;
    cpu->arch.gpr[RSI] = REGION;
    cpu->arch.gpr[RCX] = 6;
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->arch.gpr[RCX], 2);
    assert_int_equal(cpu->arch.gpr[RSI], REGION + 4);
    assert_true(small_vm_exit(&x));
    assert_int_equal(cpu->arch.gpr[RCX], 0);
}

static void test_a_run_ends_with_its_vm(void **state)
{
    (void)state;
    assert_true(gmem_write(vm, REGION, "\x00\x00\x00\x10\x00\x34\x00\x34", 8)); /* SLP_TYP 5, EN */
    cpu->arch.gpr[RSI] = REGION;
    assert_false(run(string(0x604, 2, false, 4), 100, false));
    assert_int_equal(vm->wish, WISH_POWER_OFF);
    assert_int_equal(play.exits, 1);
    assert_int_equal(play.left, 97);
    assert_int_equal(cpu->arch.gpr[RSI], REGION + 6);
}

/*
 * Each item starts a DMA between two blocks that no window shows yet. The one that is not done in
 * one exit is begun once.
 */
static void test_dma_in_the_middle(void **state)
{
    struct ept_range *more = &vm->memory[1];
    const uint64_t at = 0x40000000;

    (void)state;
    *more = (struct ept_range){
        .gpa = at, .hpa = 0x40000000, .len = 16 * PAGE_2M, .perms = EPT_R | EPT_W};
    vm->memory_count = 2;
    phys_fake_add(more->hpa, more->len);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t descriptor = at + 2 * i * PAGE_2M;
        struct fw_cfg_dma d = {__builtin_bswap32(0x8000u << 16 | 0x08 | 0x02), /* select, read */
                               __builtin_bswap32(i == 5 ? 0x100000 : 700),
                               __builtin_bswap64(descriptor + PAGE_2M)};

        assert_true(gmem_write(vm, descriptor, &d, sizeof(d)));
        put(REGION + 4 * i, __builtin_bswap32((uint32_t)descriptor), 4);
    }
    cpu->arch.gpr[RSI] = REGION;
    assert_true(run(string(0x518, 4, false, 4), 8, false));
    assert_int_equal(play.left, 0);
    assert_int_equal(cpu->arch.gpr[RSI], REGION + 32);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t copy[sizeof(item_bytes)];
        uint32_t control;

        assert_true(gmem_read(vm, at + 2 * i * PAGE_2M, &control, 4));
        assert_int_equal(control, 0);
        assert_true(gmem_read(vm, at + (2 * i + 1) * PAGE_2M, copy, sizeof(copy)));
        assert_memory_equal(copy, item_bytes, sizeof(copy));
    }
}

/* --- in runs and item by item ----------------------------------------------------------------- */

#define RANDOM_RUNS 2000u

/* All that a repetition can change. */
struct world {
    struct vm vm;
    struct vcpu_state s;
    uint32_t lapic_page[1024];
    uint8_t memory[MEMORY_LEN];
};

static uint32_t seed = 1;

static uint32_t rnd(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static void save(struct world *w)
{
    memcpy(&w->vm, vm, sizeof(w->vm));
    memset(w->vm.vcpu[0].exits, 0, sizeof(w->vm.vcpu[0].exits));
    w->vm.logged = 0; /* the lines with which the script ends */
    w->vm.recorded = 0;
    w->s = vcpu_fake.state;
    w->s.rip = 0;
    memcpy(w->lapic_page, cpu->lapic.page, sizeof(w->lapic_page));
    assert_true(gmem_read(vm, 0, w->memory, MEMORY_LEN));
}

static void restore(const struct world *w)
{
    memcpy(vm, &w->vm, sizeof(w->vm));
    vcpu_fake.state = w->s;
    vcpu_fake.cr2 = 0;
    memcpy(cpu->lapic.page, w->lapic_page, sizeof(w->lapic_page));
    assert_true(gmem_write(vm, 0, w->memory, MEMORY_LEN));
    vcpu_fake_rewind();
}

static uint64_t random_page(unsigned page)
{
    static const uint64_t others[] = {ROM_GPA,    SHARED_GPA,      NOTHING_GPA,
                                      LAPIC_GPA_, SMALL_VM_MEMORY, REGION};

    if (rnd() % 8 == 0)
        return others[rnd() % ARRAY_LEN(others)];
    return REGION + (rnd() % 4 == 0 ? rnd() % PAGES : page) * PAGE_SIZE;
}

/* Present, writable and for all, but for a few. */
static uint64_t random_rights(void)
{
    static const uint8_t few[] = {0, 5, 3, 1, 0x67, 0x27};

    return rnd() % 8 == 0 ? few[rnd() % ARRAY_LEN(few)] : 7;
}

/* What lies around the region is itself. */
static void paging_32(void)
{
    put(TABLES, (TABLES + PAGE_SIZE) | 7, 4);
    for (unsigned i = 0; i < 64; i++)
        put(TABLES + PAGE_SIZE + 4 * i, i * PAGE_SIZE | 7, 4);
    for (unsigned i = 0; i < PAGES; i++)
        put(TABLES + PAGE_SIZE + 4 * (REGION / PAGE_SIZE + i), random_page(i) | random_rights(), 4);
    vcpu_fake.state.cr0 |= CR0_PG | CR0_WP;
    vcpu_fake.state.cr3 = TABLES;
}

static void paging_64(void)
{
    for (unsigned i = 0; i < 3; i++)
        put(TABLES_LONG + i * PAGE_SIZE, (TABLES_LONG + (i + 1) * PAGE_SIZE) | 7, 8);
    for (unsigned i = 0; i < 64; i++)
        put(TABLES_LONG + 3 * PAGE_SIZE + 8 * i, i * PAGE_SIZE | 7, 8);
    for (unsigned i = 0; i < PAGES; i++)
        put(TABLES_LONG + 3 * PAGE_SIZE + 8 * (REGION / PAGE_SIZE + i),
            random_page(i) | random_rights(), 8);
    vcpu_fake.state.cr0 |= CR0_PG | CR0_WP;
    vcpu_fake.state.cr3 = TABLES_LONG;
    vcpu_fake.state.cr4 |= CR4_PAE;
    vcpu_fake.state.efer = EFER_LME | EFER_LMA;
    vcpu_fake.state.cs_access = 0xa09b;
}

/* Bases and limits in which operands may not fit. */
static void random_segments(uint64_t base)
{
    static const unsigned used[] = {INSN_ES, INSN_DS};

    for (unsigned i = 0; i < ARRAY_LEN(used); i++) {
        struct vcpu_segment *s = &vcpu_fake.segment[used[i]];

        *s = (struct vcpu_segment){.base = base, .limit = UINT32_MAX, .access = 0xc093};
        if (rnd() % 3 == 0)
            s->limit = rnd() % (PAGES * PAGE_SIZE);
        if (rnd() % 8 == 0)
            s->access = rnd() % 2 == 0 ? 0xc097 : 0x8097; /* expand-down */
    }
}

struct random_case {
    struct vcpu_exit x;
    uint64_t count;
};

/* All but fw_cfg's DMA, which could write anywhere, so also to page tables. */
static struct vcpu_exit random_exit(void)
{
    static const uint16_t ports[] = {0x1000, 0x80,  0x81,  0x3ff, 0x3f8, 0x3fb, 0x40,  0x43,
                                     0x21,   0x20,  0x4d0, 0x60,  0x71,  0x511, 0x511, 0x514,
                                     0xcf8,  0xcfc, 0x604, 0x602, 0x608, 0x3fc, 0x64,  0x510};
    uint16_t port = ports[rnd() % ARRAY_LEN(ports)];

    return string(port, 1u << rnd() % 3, rnd() % 2 == 0, rnd() % 3 == 0 ? 2 : 4);
}

/* A place in the region that begins, ends or is near the border of a page, mostly. */
static uint64_t random_offset(unsigned size)
{
    uint64_t offset = rnd() % (PAGES * PAGE_SIZE);

    if (rnd() % 2 == 0)
        offset = align_down(offset, PAGE_SIZE) + rnd() % (16 * size) - 8 * (uint64_t)size;
    return rnd() % 3 == 0 ? offset : align_down(offset, size);
}

static void random_state(struct random_case *c)
{
    struct vcpu_state *s = &vcpu_fake.state;
    unsigned mode = rnd() % 4;
    uint64_t base = 0;
    uint8_t bytes[PAGES * PAGE_SIZE];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(rnd() % 4 == 0 ? rnd() : 0);
    assert_true(gmem_write(vm, REGION, bytes, sizeof(bytes)));
    c->x = random_exit();
    c->count = 1 + rnd() % (rnd() % 4 == 0 ? 10000 : 400);
    vcpu_fake_flat_segments();
    if (mode == 1)
        base = random_page(1) + (rnd() % 2 == 0 ? rnd() % PAGE_SIZE : 0);
    if (mode == 2)
        paging_32();
    if (mode == 3)
        paging_64();
    if (mode == 3 && c->x.u.pio.address_size == 2)
        c->x.u.pio.address_size = 8;
    if (c->x.u.pio.address_size == 2 && base == 0)
        base = REGION - rnd() % 2 * 0xf000 - rnd() % 2 * 8;
    if (base != 0 || rnd() % 4 == 0)
        random_segments(base);

    uint64_t offset = random_offset(c->x.u.pio.size) + (base == 0 ? REGION : 0);

    if (c->x.u.pio.address_size == 2 && rnd() % 2 == 0)
        offset += 0xf000;
    cpu->arch.gpr[RSI] = cpu->arch.gpr[RDI] = 0xabcdull << 48 | offset;
    if (c->x.u.pio.address_size == 8)
        cpu->arch.gpr[RSI] = cpu->arch.gpr[RDI] = offset;
    s->rflags |= (rnd() % 2 == 0 ? RFLAGS_DF : 0) | (rnd() % 16 == 0 ? RFLAGS_TF : 0) |
                 (rnd() % 4 == 0 ? RFLAGS_AC : 0);
    s->cr0 |= rnd() % 4 == 0 ? CR0_AM : 0;
    s->cpl = rnd() % 4 == 0 ? 3 : 0;
}

static void test_in_runs_and_item_by_item(void **state)
{
    static struct world fresh, before, runs, items;
    uint64_t items_done = 0, exits = 0;
    unsigned faults = 0, stops = 0;

    (void)state;
    vm->memory[1] = (struct ept_range){.gpa = ROM_GPA,
                                       .hpa = vm->memory[0].hpa + MEMORY_LEN - 2 * PAGE_SIZE,
                                       .len = PAGE_SIZE,
                                       .perms = EPT_R | EPT_X};
    vm->memory[2] = (struct ept_range){.gpa = SHARED_GPA,
                                       .hpa = vm->memory[0].hpa + MEMORY_LEN - PAGE_SIZE,
                                       .len = PAGE_SIZE,
                                       .perms = EPT_R | EPT_W};
    vm->memory_count = 2;
    vm->share_count = 1;
    small_vm_out(0x510, 2, 0x8000); /* fw_cfg: what there is to be read */
    save(&fresh);
    for (unsigned i = 0; i < RANDOM_RUNS; i++) {
        struct random_case c;
        struct vcpu_fake_event fault;

        restore(&fresh);
        random_state(&c);
        save(&before);

        bool goes_on = run(c.x, c.count, false);

        save(&runs);
        unsigned debugs = play.debugs;
        bool has_fault = play.has_fault;

        fault = play.fault;
        items_done += c.count - play.left;
        exits += play.exits;
        faults += has_fault;
        stops += !goes_on;
        restore(&before);
        assert_int_equal(run(c.x, c.count, true), goes_on);
        save(&items);
        assert_int_equal(play.debugs, debugs);
        assert_int_equal(play.has_fault, has_fault);
        assert_memory_equal(&play.fault, &fault, sizeof(fault));
        assert_memory_equal(&runs, &items, sizeof(runs));
    }
    assert_in_range(exits, 1, items_done / 10);
    assert_in_range(faults, RANDOM_RUNS / 20, RANDOM_RUNS);
    assert_in_range(stops, 1, RANDOM_RUNS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, setup)
        TEST(test_a_page_where_nobody_answers_is_one_exit),
        TEST(test_a_page_of_a_shared_region),
        TEST(test_an_exit_does_not_last_for_ever),
        TEST(test_a_run_ends_where_an_interrupt_may_be_taken),
        TEST(test_a_run_ends_with_its_vm),
        TEST(test_dma_in_the_middle),
        TEST(test_in_runs_and_item_by_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
