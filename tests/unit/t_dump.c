/* unit: guest/dump.c guest/console.c guest/request.c lib/fmt.c lib/log.c tests/fake/host_fake.c
 * tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table dump on the console: two guests, three vCPUs on cores 0 to 2, and three pool pages of
 * which two are tables. What a line means is said in guest/dump.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/cpu.h"
#include "guest/console.h"
#include "guest/dump.h"
#include "guest/isolation.h"
#include "guest/vm.h"
#include "lib/log.h"
#include "mm/phys.h"
#include "tests/fake/host_fake.h"
#include "tests/fake/phys_fake.h"

#define POOL 0x200000ull
#define ASK  "\x1dt"

static const uint16_t cores[] = {0, 1, 2};
static const struct guest_config guests[] = {
    {.name = "linux", .cores = &cores[0], .vcpu_count = 2},
    {.name = "beat",  .cores = &cores[2], .vcpu_count = 1},
};
static const struct host_area areas[] = {
    {0,    0x9f000,  NULL       },
    {POOL, 0x200000, "page-pool"},
};
static const struct host_map host = {
    .areas = areas,
    .area_count = 2,
    .phys_bits = 39,
    .pool_base = POOL,
    .pool_used = 0x3000,
    .root_hpa = POOL,
};
static struct isolation found = {
    .host = &host, .owner = {ISOLATION_TABLE | 1, 2, ISOLATION_TABLE | 2}
};

const struct machine_config machine_config = {
    .name = "test", .guests = guests, .guest_count = 2, .console_guest = 0};
struct vm vms[2];

static unsigned field_count; /* that the hardware has */

const char *vm_state_name(const struct vm *vm)
{
    (void)vm;
    return "running";
}

unsigned vcpu_get_fields(const struct vcpu_arch *a, struct vcpu_field out[VCPU_FIELDS_MAX])
{
    for (unsigned i = 0; i < field_count; i++)
        out[i] = (struct vcpu_field){0x2000 + i, a->vpid + i};
    return field_count;
}

/* Between tests the dump is done: it has no other state that would matter. */
static int setup(void **state)
{
    uint64_t *root;
    uint64_t *bitmap;

    (void)state;
    host_fake_reset();
    cpu_count = 3;
    memset(vms, 0, sizeof(vms));
    for (unsigned g = 0; g < 2; g++) {
        vms[g].config = &guests[g];
        for (unsigned i = 0; i < guests[g].vcpu_count; i++) {
            struct vcpu *v = &vms[g].vcpu[i];

            v->vm = &vms[g];
            v->index = i;
            v->core = guests[g].cores[i];
            v->arch.vpid = 16 * g + i;
            v->arch.memory = (struct vcpu_memory){0x20001e, 0x20101e, 0x202000};
        }
    }
    vms[0].vcpu[1].activity = VCPU_WAIT_SIPI;
    phys_fake_pool(POOL, 0x3000);
    root = phys_table(POOL);
    memset(root, 0, 4096);
    root[256] = 0x201023;
    root[257] = 0x202023;
    for (unsigned i = 0; i < 10; i++)
        root[300 + i] = 0x8000000000400083 + i * 0x200000;
    bitmap = phys_table(POOL + 0x2000);
    memset(bitmap, 0xff, 4096);
    field_count = 5;
    dump_init(&found);
    console_start(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fake_reset();
    return 0;
}

/* The UART sends and interrupts until nothing is left. */
static void settle(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        host_fake_uart_sent();
        if (!host_fake.thre && host_fake.rx_len == 0)
            return;
        console_interrupt();
    }
    fail_msg("the console never comes to rest");
}

static void ask(void)
{
    host_fake_type(ASK);
    settle();
}

static void answer(uint32_t core)
{
    dump_answer(core);
    settle();
}

static void ask_and_answer(void)
{
    ask();
    for (uint32_t core = 0; core < 3; core++)
        answer(core);
}

static void expect(const char *text)
{
    if (strstr(host_fake.text, text) == NULL)
        fail_msg("no \"%s\" in:\n%s", text, host_fake.text);
}

/* Lines are numbered without a gap, and the last one says how many there are. */
static unsigned count_lines(void)
{
    unsigned n = 0;
    unsigned said = 0;

    for (const char *at = host_fake.text; (at = strstr(at, "[bulkhead] dump ")) != NULL; at++) {
        assert_true(at == host_fake.text || at[-1] == '\n');
        assert_int_equal(strtoul(at + 16, NULL, 10), n);
        (void)sscanf(at, "[bulkhead] dump %*u end %u", &said);
        n++;
    }
    assert_int_equal(said, n);
    return n;
}

static void test_all_is_said_once_every_core_has_answered(void **state)
{
    (void)state;
    ask();
    assert_int_equal(host_fake.ipis, 3); /* each core is kicked, and roused from a halt */
    assert_int_equal(host_fake.sent_nmis, 3);
    answer(0);
    answer(2);
    assert_null(strstr(host_fake.text, "dump"));
    answer(1);
    assert_int_equal(count_lines(), 1 + 1 + 2 + 3 + 3 * (1 + 2) + 2 + 1);
    expect("dump 0 begin 1 test\r\n");
    expect("host bits 39 pool 200000 3000 windows ffff808000000000 ");
    expect(" cr3 200000\r\n");
    expect("area 0 9f000 ram\r\n");
    expect("area 200000 200000 page-pool\r\n");
    expect("core 2 apic 12 usable 0\r\n");
    expect("vcpu linux 1 core 1 state wait-for-sipi eptp 20001e xapic 20101e access 202000 fields "
           "5\r\n");
    expect("field beat 0 2000=10 2001=11 2002=12 2003=13\r\n");
    expect("field beat 0 2004=14\r\n");
}

static void test_words_are_shown_in_runs(void **state)
{
    (void)state;
    ask_and_answer();
    expect("page 200000 0 0*256 201023 202023 0*42 8000000000400083+200000*10 0*202\r\n");
    expect("page 202000 0 ffffffffffffffff*512\r\n");
    assert_null(strstr(host_fake.text, "page 201000")); /* not a table */
}

/* No run at all: several lines, each with its offset, none too long. */
static void test_a_page_without_runs(void **state)
{
    uint64_t *words = phys_table(POOL);
    unsigned items = 0;
    unsigned lines = 0;

    (void)state;
    for (uint64_t i = 0; i < 512; i++)
        words[i] = 0xfedcba9876543210 ^ i * i * i;
    ask_and_answer();
    for (const char *at = host_fake.text; (at = strstr(at, "page 200000 ")) != NULL; at++) {
        const char *end = strchr(at, '\r');

        assert_int_equal(strtoul(at + 12, NULL, 16), 8 * items);
        assert_true(end - at < 140);
        for (const char *c = at + 12; c < end; c++)
            items += *c == ' ';
        lines++;
    }
    assert_int_equal(items, 512);
    assert_true(lines > 60);
}

static void test_vcpu_without_a_control_structure(void **state)
{
    (void)state;
    field_count = 0;
    ask_and_answer();
    expect("vcpu beat 0 core 2 state active eptp 20001e xapic 20101e access 202000 fields 0\r\n");
    assert_null(strstr(host_fake.text, "field "));
    (void)count_lines();
}

static void test_fields_that_fill_their_lines(void **state)
{
    (void)state;
    field_count = VCPU_FIELDS_MAX;
    ask_and_answer();
    expect("field linux 0 2024=24 2025=25 2026=26 2027=27\r\n");
    (void)count_lines();
}

/* A guest's lines and the log's come in between; none is lost, and none is torn. */
static void test_others_go_on_meanwhile(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    ask();
    answer(0);
    answer(1);
    dump_answer(2);
    for (unsigned i = 0; i < 20; i++) {
        for (const char *c = "tick\n"; *c != '\0'; c++)
            console_put(&vms[1], (uint8_t)*c);
        log_line("note %u", i);
        for (unsigned n = 0; n < 5; n++) {
            host_fake_uart_sent();
            console_interrupt();
        }
    }
    settle();
    (void)count_lines();
    expect("\r\n[beat] tick\r\n[bulkhead] ");
    expect("\r\n[bulkhead] note 19\r\n");
    assert_true(strstr(host_fake.text, "note 0\r") < strstr(host_fake.text, " end "));
}

static void test_asked_again_before_it_is_done(void **state)
{
    (void)state;
    ask();
    ask();
    expect("[bulkhead] table dump: a core has not answered yet\r\n");
    for (uint32_t core = 0; core < 3; core++)
        answer(core);
    (void)count_lines();
    host_fake_clear_text();
    ask_and_answer();
    (void)count_lines();
}

static void test_a_kick_for_something_else_is_nothing(void **state)
{
    (void)state;
    answer(0);
    assert_string_equal(host_fake.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_all_is_said_once_every_core_has_answered),
        T(test_words_are_shown_in_runs),
        T(test_a_page_without_runs),
        T(test_vcpu_without_a_control_structure),
        T(test_fields_that_fill_their_lines),
        T(test_others_go_on_meanwhile),
        T(test_asked_again_before_it_is_done),
        T(test_a_kick_for_something_else_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
