/* unit: guest/dump.c guest/request.c lib/fmt.c lib/log.c tests/fake/host_fake.c
 * tests/fake/phys_fake.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared console with three guests, "linux" having the keyboard. guest/console.c is included,
 * not linked, so that each test starts with an empty one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guest/console.c"
#include "tests/fake/host_fake.h"

#define LINUX     0
#define RTOS      1
#define LONG_NAME 2
#define ESCAPE    "\x1d"

static const uint16_t cores[] = {0, 1, 2};
static const struct guest_config guests[] = {
    {.name = "linux",           .cores = &cores[0], .vcpu_count = 1},
    {.name = "rtos",            .cores = &cores[1], .vcpu_count = 1},
    {.name = "fifteen-letters", .cores = &cores[2], .vcpu_count = 1},
};

const struct machine_config machine_config = {
    .name = "test", .guests = guests, .guest_count = 3, .console_guest = LINUX};
struct vm vms[3];

const char *vm_state_name(const struct vm *vm)
{
    (void)vm;
    return "running";
}

unsigned vcpu_get_fields(const struct vcpu_arch *a, struct vcpu_field out[VCPU_FIELDS_MAX])
{
    (void)a;
    (void)out;
    return 0;
}

static void start(bool interrupts)
{
    host_fake_reset();
    memset(&console, 0, sizeof(console));
    memset(vms, 0, sizeof(vms));
    for (unsigned i = 0; i < 3; i++) {
        vms[i].config = &guests[i];
        vms[i].vcpu[0].core = cores[i];
        vms[i].vcpu[0].vm = &vms[i];
    }
    console_start(interrupts);
}

static int setup(void **state)
{
    (void)state;
    start(true);
    return 0;
}

/* The UART sends its FIFO and interrupts, again and again until nothing is left. */
static void settle(void)
{
    for (unsigned i = 0; i < 10000; i++) {
        host_fake_uart_sent();
        if (!host_fake.thre && host_fake.rx_len == 0)
            return;
        console_interrupt();
    }
    fail_msg("the console never comes to rest");
}

/* The 8254 interrupts as often as it is asked to. Returns how often. */
static unsigned tick(void)
{
    unsigned n = 0;

    while (host_fake.pit_us == TICK_US) {
        if (n++ == 10000)
            fail_msg("the console never comes to rest");
        host_fake.pit_us = 0;
        host_fake_uart_sent();
        console_tick();
    }
    return n;
}

/* A machine with a screen, of which a tick draws so many bytes; the 8254's interrupts arrive. */
static void start_screen(bool interrupts, bool no_uart, unsigned draw_bytes)
{
    host_fake_reset();
    memset(&console, 0, sizeof(console));
    console_tick();
    host_fake.no_uart = no_uart;
    host_fake.draw_bytes = draw_bytes;
    console_start(interrupts);
}

static void expect_shown(const char *text)
{
    host_fake.shown[host_fake.shown_len] = '\0';
    assert_string_equal(host_fake.shown, text);
    assert_int_equal(host_fake.undrawn, 0);
}

/* A guest's UART writes text, as the platform does it. Returns bytes taken. */
static size_t put(unsigned guest, const char *text)
{
    size_t n = 0;

    for (; text[n] != '\0' && console_has_room(&vms[guest]); n++)
        console_put(&vms[guest], (uint8_t)text[n]);
    return n;
}

static void say(unsigned guest, const char *text)
{
    assert_int_equal(put(guest, text), strlen(text));
    settle();
}

static void type(const char *keys)
{
    host_fake_type(keys);
    settle();
}

/* What guest's keyboard queue holds, taken out. */
static const char *received(unsigned guest)
{
    static char text[64];
    uint8_t byte;
    size_t n = 0;

    while (n + 1 < sizeof(text) && ring_take(&vms[guest].console_rx, &byte))
        text[n++] = (char)byte;
    text[n] = '\0';
    return text;
}

#define expect_text(expected)                                                                      \
    do {                                                                                           \
        assert_string_equal(host_fake.text, expected);                                             \
        host_fake_clear_text();                                                                    \
    } while (0)

/* --- lines ------------------------------------------------------------------------------------ */

static void test_lines_carry_the_guests_name(void **state)
{
    (void)state;
    say(RTOS, "tick 1\n");
    say(LONG_NAME, "hello\r\n");
    say(RTOS, "tick 2\n");
    expect_text("[rtos] tick 1\r\n[fifteen-letters] hello\r\n[rtos] tick 2\r\n");
}

static void test_hypervisors_lines_have_their_own_mark(void **state)
{
    (void)state;
    log_line("started %u", 7);
    settle();
    expect_text("[bulkhead] started 7\r\n");
}

static void test_line_longer_than_the_fifo_comes_out_whole(void **state)
{
    (void)state;
    say(RTOS, "a line of more than three times sixteen characters, said once\n");
    expect_text("[rtos] a line of more than three times sixteen characters, said once\r\n");
}

static void test_unfinished_line_of_others_waits(void **state)
{
    (void)state;
    say(RTOS, "half a li");
    expect_text("");
    say(LINUX, "whole\n");
    expect_text("[linux] whole\r\n");
    say(RTOS, "ne\n");
    expect_text("[rtos] half a line\r\n");
}

static void test_unfinished_line_of_the_focused_guest_is_shown_at_once(void **state)
{
    (void)state;
    say(LINUX, "login: ");
    expect_text("[linux] login: ");
    say(LINUX, "r");
    say(LINUX, "oot\n");
    expect_text("root\r\n");
    say(LINUX, "next\n");
    expect_text("[linux] next\r\n");
}

static void test_interrupted_line_is_repeated_whole(void **state)
{
    (void)state;
    say(LINUX, "login: ");
    say(RTOS, "tick\n");
    expect_text("[linux] login: \r\n[rtos] tick\r\n");
    say(LINUX, "r");
    expect_text("[linux] login: r");
    log_line("note");
    settle();
    say(LINUX, "\n");
    expect_text("\r\n[bulkhead] note\r\n[linux] login: r\r\n");
}

/* What the focused guest has queued to the end of its line is shown before others get a turn. */
static void test_line_that_can_be_finished_is_not_interrupted(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    (void)put(LINUX, "word ");
    (void)put(RTOS, "tick\n");
    (void)put(LINUX, "word\n");
    settle();
    expect_text("[linux] word word\r\n[rtos] tick\r\n");
}

static void test_two_guests_lines_never_mix(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(put(LINUX, i % 5 == 4 ? "l\n" : "l"), i % 5 == 4 ? 2 : 1);
        assert_int_equal(put(RTOS, i % 7 == 6 ? "r\n" : "r"), i % 7 == 6 ? 2 : 1);
        if (i % 3 == 0) {
            host_fake_uart_sent();
            console_interrupt();
        }
    }
    settle();
    assert_null(strstr(host_fake.text, "lr"));
    assert_null(strstr(host_fake.text, "rl"));
    assert_non_null(strstr(host_fake.text, "[rtos] rrrrrrr\r\n"));
    assert_non_null(strstr(host_fake.text, "lllll\r\n"));
}

static void test_guests_take_turns(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    for (unsigned i = 0; i < 3; i++) {
        (void)put(LINUX, "l\n");
        (void)put(RTOS, "r\n");
    }
    settle();
    expect_text("[linux] l\r\n[rtos] r\r\n[linux] l\r\n[rtos] r\r\n[linux] l\r\n[rtos] r\r\n");
}

static void test_cr_lf_and_lf_end_a_line_lone_cr_stays(void **state)
{
    (void)state;
    say(RTOS, "a\r\nb\nc\r\r\nd\n");
    expect_text("[rtos] a\r\n[rtos] b\r\n[rtos] c\r\r\n[rtos] d\r\n");
    say(LINUX, "10%\r20%\r30%\n");
    expect_text("[linux] 10%\r20%\r30%\r\n");
    say(RTOS, "\n\r\n");
    expect_text("[rtos] \r\n[rtos] \r\n");
}

static void test_long_line_comes_in_pieces(void **state)
{
    char line[1001];
    unsigned letters = 0;

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    say(RTOS, line);
    say(RTOS, "\n");
    for (const char *at = host_fake.text; *at != '\0'; at++)
        letters += *at == 'x';
    assert_int_equal(letters, 1000);
    assert_memory_equal(host_fake.text, "[rtos] xxx", 10);
    assert_non_null(strstr(host_fake.text, "x\r\n[rtos] x"));
}

/* The worst line: as long as can be, its end a CR that is not followed by LF. */
static void test_long_line_with_carriage_returns_stays_in_bounds(void **state)
{
    char text[600];

    (void)state;
    for (unsigned start_at = 250; start_at < 258; start_at++) {
        start(true);
        memset(text, 'x', sizeof(text));
        for (unsigned i = start_at; i < sizeof(text) - 1; i++)
            text[i] = i % 2 ? 'y' : '\r';
        text[sizeof(text) - 1] = '\0';
        say(LINUX, "open");
        say(LONG_NAME, text);
        say(LONG_NAME, "\n");
        assert_non_null(strstr(host_fake.text, "\r\n[fifteen-letters] xxx"));
    }
}

static void test_any_byte_passes(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 256; i++) {
        if (i != '\n' && i != '\r')
            console_put(&vms[RTOS], (uint8_t)i);
    }
    say(RTOS, "\n");
    assert_int_equal(host_fake.text_len, strlen("[rtos] ") + 253 + 2);
}

/* --- back-pressure ---------------------------------------------------------------------------- */

static void fill_ring(unsigned guest)
{
    while (console_has_room(&vms[guest]))
        console_put(&vms[guest], '.');
}

static void test_full_queue_blocks_and_wakes_when_half_empty(void **state)
{
    struct vm *vm = &vms[RTOS];

    (void)state;
    host_fake.uart_slow = true;
    say(LINUX, "x\n");
    console_put(&vms[LINUX], '\n'); /* the UART is busy from here on */
    fill_ring(RTOS);
    assert_int_equal(ring_used(&vm->console_tx), RING_SIZE);
    assert_true(vm->console_blocked);
    host_fake.ipis = 0;
    while (ring_used(&vm->console_tx) >= RING_SIZE / 2) {
        assert_int_equal(host_fake.ipis, 0);
        host_fake_uart_sent();
        console_interrupt();
    }
    settle();
    assert_false(vm->console_blocked);
    assert_int_equal(vm->vcpu[0].requests, REQUEST_CONSOLE_TX);
    assert_int_equal(host_fake.ipis, 1);
    assert_int_equal(host_fake.ipi_id, 11); /* its own core, not the console's */
    assert_int_equal(host_fake.ipi_vector, HOST_VECTOR_KICK);
}

static void test_full_queue_helps_itself_when_the_interrupt_is_late(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    say(LINUX, "x\n");
    console_put(&vms[LINUX], '\n');
    fill_ring(RTOS);
    host_fake_uart_sent(); /* but nobody calls console_interrupt */
    assert_true(console_has_room(&vms[RTOS]));
}

/* A core never waits for the UART: what the queue has no room for is counted, and that is told. */
static void test_long_log_loses_lines_and_says_so(void **state)
{
    unsigned lines = 0;
    unsigned lost = 0;
    const char *told;

    (void)state;
    host_fake.uart_slow = true;
    for (unsigned i = 0; i < 200; i++)
        log_line("line %03u of a log that is longer than the queue for it", i);
    settle();
    log_line("the end");
    settle();
    for (const char *at = host_fake.text; (at = strstr(at, "[bulkhead] line ")) != NULL; at++)
        lines++;
    told = strstr(host_fake.text, "[bulkhead] (");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "[bulkhead] (%u lines lost here)", &lost), 1);
    assert_true(lines > 0 && lost > 0);
    assert_int_equal(lines + lost, 200);
    assert_non_null(strstr(told, "the end"));
}

static void test_flush_waits_until_all_is_out(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    (void)put(RTOS, "a line that does not fit into the FIFO at once\n");
    log_line("another one");
    console_flush();
    assert_non_null(strstr(host_fake.text, "FIFO at once\r\n"));
    assert_non_null(strstr(host_fake.text, "another one\r\n"));
    assert_int_equal(host_fake.fifo, 0);
    assert_true(host_fake.drains > 0);
}

static void test_lock_taken_elsewhere_is_not_waited_for(void **state)
{
    (void)state;
    console.lock.held = true; /* another core writes */
    assert_int_equal(put(RTOS, "tick\n"), 5);
    expect_text("");
    console.lock.held = false;
    say(LONG_NAME, "x\n");
    expect_text("[rtos] tick\r\n[fifteen-letters] x\r\n");
}

static void test_without_interrupts_everything_is_written_at_once(void **state)
{
    (void)state;
    start(false);
    host_fake.uart_slow = true;
    (void)put(RTOS, "a line that does not fit into the FIFO at once\n");
    expect_text("[rtos] a line that does not fit into the FIFO at once\r\n");
    log_line("more");
    expect_text("[bulkhead] more\r\n");
}

/* The boot report's last bytes are still in the FIFO when the first guest speaks. */
static void test_without_interrupts_a_busy_uart_is_waited_for(void **state)
{
    (void)state;
    start(false);
    host_fake.uart_slow = true;
    host_fake.fifo = 16;
    (void)put(RTOS, "tick\n");
    expect_text("[rtos] tick\r\n");
}

static void test_without_interrupts_a_blocked_guest_is_woken(void **state)
{
    (void)state;
    start(false);
    console.lock.held = true;
    fill_ring(RTOS);
    assert_true(vms[RTOS].console_blocked);
    console.lock.held = false;
    (void)put(LINUX, "x\n");
    assert_false(vms[RTOS].console_blocked);
    assert_int_equal(vms[RTOS].vcpu[0].requests, REQUEST_CONSOLE_TX);
}

/* --- keyboard --------------------------------------------------------------------------------- */

static void test_keys_go_to_the_focused_guest_with_a_kick(void **state)
{
    (void)state;
    type("ls\r");
    assert_string_equal(received(LINUX), "ls\r");
    assert_string_equal(received(RTOS), "");
    assert_int_equal(vms[LINUX].vcpu[0].requests, REQUEST_CONSOLE_RX);
    assert_int_equal(host_fake.ipi_id, 10);
    expect_text(""); /* echo is the guest's business */
}

static void test_escape_and_digit_moves_the_keyboard(void **state)
{
    (void)state;
    type(ESCAPE "2");
    expect_text("[bulkhead] keyboard: rtos\r\n");
    type("x");
    assert_string_equal(received(RTOS), "x");
    assert_string_equal(received(LINUX), "");
    say(RTOS, "> ");
    expect_text("[rtos] > ");
    type(ESCAPE "1y");
    assert_string_equal(received(LINUX), "y");
}

static void test_new_focus_shows_its_unfinished_line(void **state)
{
    (void)state;
    say(RTOS, "> ");
    expect_text("");
    type(ESCAPE "2");
    expect_text("[bulkhead] keyboard: rtos\r\n[rtos] > ");
}

static void test_escape_twice_is_the_key_itself(void **state)
{
    (void)state;
    type(ESCAPE ESCAPE "a");
    assert_string_equal(received(LINUX), ESCAPE "a");
}

static void test_escape_may_come_in_two_interrupts(void **state)
{
    (void)state;
    type(ESCAPE);
    assert_string_equal(received(LINUX), "");
    type("2");
    type("z");
    assert_string_equal(received(RTOS), "z");
}

static void test_other_escaped_keys_give_help(void **state)
{
    static const char *const keys[] = {ESCAPE "?", ESCAPE "0", ESCAPE "4", ESCAPE "q"};

    (void)state;
    vms[RTOS].vcpu[0].exits[EXIT_CPUID] = 12;
    vms[RTOS].unclaimed_io = 3;
    for (unsigned i = 0; i < 4; i++) {
        type(keys[i]);
        assert_string_equal(received(LINUX), "");
        assert_non_null(strstr(host_fake.text, "Ctrl-] 1..3"));
        assert_non_null(strstr(host_fake.text, "1 linux (keyboard)\r\n"));
        assert_non_null(strstr(host_fake.text, "2 rtos\r\n"));
        assert_non_null(strstr(host_fake.text, "guest rtos: running, core 1, resets 0, restarts 0, "
                                               "unclaimed I/O 3"));
        assert_non_null(strstr(host_fake.text, "guest rtos: exits: cpuid 12\r\n"));
        assert_non_null(strstr(host_fake.text, "guest linux: exits: none\r\n"));
        host_fake_clear_text();
    }
}

static void test_report_of_every_exit_kind_fits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EXIT_KIND_COUNT; i++) {
        assert_non_null(exit_names[i]);
        vms[RTOS].vcpu[0].exits[i] = UINT64_MAX;
    }
    console_report(&vms[RTOS]);
    settle();
    assert_non_null(strstr(host_fake.text, "exits: host-irq 18446744073709551615 irq-window"));
    assert_string_equal(host_fake.text + host_fake.text_len - 2, "\r\n");
}

static void test_typing_more_than_fits_is_lost_not_waited_for(void **state)
{
    (void)state;
    while (ring_put(&vms[LINUX].console_rx, '.'))
        ;
    type("abc");
    assert_int_equal(ring_used(&vms[LINUX].console_rx), RING_SIZE);
}

/* --- urgent ----------------------------------------------------------------------------------- */

static void test_urgent_line_comes_after_what_is_queued(void **state)
{
    (void)state;
    host_fake.uart_slow = true;
    (void)put(RTOS, "a line that does not fit into the FIFO at once\n");
    (void)put(LINUX, "half");
    log_sink("[bulkhead] PANIC: x\r\n", true);
    assert_non_null(strstr(host_fake.text, "at once\r\n"));
    assert_non_null(strstr(host_fake.text, "[linux] half\r\n[bulkhead] PANIC: x\r\n"));
    assert_int_equal(host_fake.fifo, 0);
}

static void test_after_an_urgent_line_only_the_hypervisor_writes(void **state)
{
    (void)state;
    log_sink("[bulkhead] PANIC: x\r\n", true);
    log_sink("second\r\n", true);
    log_line("third");
    (void)put(RTOS, "tick\n");
    console_interrupt();
    expect_text("[bulkhead] PANIC: x\r\nsecond\r\n[bulkhead] third\r\n");
}

static void test_urgent_line_does_not_wait_for_the_lock_for_ever(void **state)
{
    (void)state;
    console.lock.held = true;
    log_sink("[bulkhead] PANIC: x\r\n", true);
    expect_text("[bulkhead] PANIC: x\r\n");
}

/* --- before the guests run -------------------------------------------------------------------- */

static void test_before_start_a_slow_uart_is_not_waited_for(void **state)
{
    (void)state;
    console.running = false;
    host_fake.uart_slow = true;
    log_line("a line longer than the FIFO");
    log_line("another");
    expect_text("[bulkhead] a lin");
    console.running = true;
    uart_wait_ready();
    log_line("guests run");
    settle();
    expect_text("e longer than the FIFO\r\n[bulkhead] another\r\n"
                "[bulkhead] guests run\r\n");
}

static void test_boot_report_comes_whole_before_guests_lines(void **state)
{
    (void)state;
    console.running = false;
    host_fake.uart_slow = true;
    log_line("one");
    log_line("two");
    log_line("three");
    console_start(true);
    (void)put(RTOS, "tick\n");
    log_line("four");
    settle();
    expect_text("[bulkhead] one\r\n[bulkhead] two\r\n[bulkhead] three\r\n"
                "[bulkhead] four\r\n[rtos] tick\r\n");
    assert_int_equal(console.lost, 0);
}

static void test_before_start_a_full_queue_is_waited_for(void **state)
{
    (void)state;
    console.running = false;
    host_fake.uart_slow = true;
    for (unsigned i = 0; i < 1000; i++)
        log_line("%04u", i); /* 17 bytes */
    log_urgent("last");
    for (unsigned i = 0; i < 1000; i++) {
        char line[32];

        snprintf(line, sizeof(line), "[bulkhead] %04u\r\n", i);
        assert_memory_equal(host_fake.text + 17 * i, line, 17);
    }
    assert_non_null(strstr(host_fake.text, "0999\r\n[bulkhead] last\r\n"));
}

static void test_before_start_the_last_words_come_after_the_queue(void **state)
{
    (void)state;
    console.running = false;
    host_fake.uart_slow = true;
    log_line("a line longer than the FIFO");
    console.log_lock.held = true; /* by a core that was stopped */
    log_sink("[bulkhead] REFUSED: x\r\n", true);
    log_line("nor is later text queued");
    expect_text("[bulkhead] a line longer than the FIFO\r\n[bulkhead] REFUSED: x\r\n"
                "[bulkhead] nor is later text queued\r\n");
}

/* --- screen and 8254 -------------------------------------------------------------------------- */

static void test_screen_shows_what_the_uart_sends(void **state)
{
    (void)state;
    start_screen(true, false, 4);
    (void)put(RTOS, "tick 1\n");
    log_line("note");
    settle();
    assert_true(host_fake.undrawn > 0); /* the UART's interrupts draw nothing */
    assert_int_equal(tick(), (strlen("[rtos] tick 1\r\n[bulkhead] note\r\n") + 3) / 4);
    expect_shown("[rtos] tick 1\r\n[bulkhead] note\r\n");
    expect_text("[rtos] tick 1\r\n[bulkhead] note\r\n");
    assert_int_equal(host_fake.pit_us, 0);
}

static void test_names_have_colours(void **state)
{
    (void)state;
    start_screen(true, false, 1000);
    say(RTOS, "a\n");
    say(LINUX, "b\n");
    log_line("c");
    settle();
    tick();
    expect_shown("[rtos] a\r\n[linux] b\r\n[bulkhead] c\r\n");
    for (unsigned i = 0; i < host_fake.shown_len; i++)
        assert_int_equal(host_fake.colours[i], i < 7               ? SCREEN_PLAIN + 1 + RTOS
                                               : i >= 10 && i < 18 ? SCREEN_PLAIN + 1 + LINUX
                                                                   : SCREEN_PLAIN);
}

static void test_nothing_to_draw_needs_no_ticks(void **state)
{
    (void)state;
    start_screen(true, false, 0);
    say(RTOS, "tick\n");
    assert_int_equal(host_fake.pit_us, 0);
}

static void test_machine_without_uart_shows_all_on_the_screen(void **state)
{
    char line[80];

    (void)state;
    start_screen(false, true, 1000);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "a line of some length that fills the queue, number %u\n", i);
        for (size_t at = 0; line[at] != '\0';) {
            at += put(RTOS, line + at); /* the queue may be full: time goes on */
            tick();
        }
    }
    assert_non_null(strstr(host_fake.shown, "[rtos] a line of some length that fills the queue, "
                                            "number 99\r\n"));
    expect_text("");
    assert_int_equal(host_fake.pit_us, 0); /* nobody can type */
}

static void test_uart_without_interrupt_is_looked_at(void **state)
{
    (void)state;
    start_screen(false, false, 0);
    assert_int_equal(host_fake.pit_us, KEYS_US);
    (void)put(RTOS, "a line of more than one FIFO, said once\n");
    assert_int_equal(host_fake.pit_us, TICK_US);
    tick();
    expect_text("[rtos] a line of more than one FIFO, said once\r\n");
    assert_int_equal(host_fake.pit_us, KEYS_US);
    host_fake_type("x");
    host_fake.pit_us = 0;
    console_tick();
    assert_string_equal(received(LINUX), "x");
    assert_int_equal(host_fake.pit_us, KEYS_US);
}

/* Without the 8254 nobody draws later: the part beside the UART, the rest when it is idle. */
static void test_without_ticks_it_is_drawn_at_once(void **state)
{
    (void)state;
    start_screen(true, false, 1);
    console.ticks = false;
    say(RTOS, "tick\n");
    expect_shown("[rtos] tick\r\n");
    assert_int_equal(host_fake.pit_us, 0);
}

static void test_last_words_are_drawn_and_kept(void **state)
{
    (void)state;
    start_screen(true, false, 1);
    (void)put(LINUX, "login: ");
    log_urgent("the end");
    expect_shown("[linux] login: \r\n[bulkhead] the end\r\n");
    assert_string_equal(host_fake.kept, "[bulkhead] the end\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, setup)
        TEST(test_lines_carry_the_guests_name),
        TEST(test_hypervisors_lines_have_their_own_mark),
        TEST(test_line_longer_than_the_fifo_comes_out_whole),
        TEST(test_unfinished_line_of_others_waits),
        TEST(test_unfinished_line_of_the_focused_guest_is_shown_at_once),
        TEST(test_interrupted_line_is_repeated_whole),
        TEST(test_line_that_can_be_finished_is_not_interrupted),
        TEST(test_two_guests_lines_never_mix),
        TEST(test_guests_take_turns),
        TEST(test_cr_lf_and_lf_end_a_line_lone_cr_stays),
        TEST(test_long_line_comes_in_pieces),
        TEST(test_long_line_with_carriage_returns_stays_in_bounds),
        TEST(test_any_byte_passes),
        TEST(test_full_queue_blocks_and_wakes_when_half_empty),
        TEST(test_full_queue_helps_itself_when_the_interrupt_is_late),
        TEST(test_long_log_loses_lines_and_says_so),
        TEST(test_flush_waits_until_all_is_out),
        TEST(test_lock_taken_elsewhere_is_not_waited_for),
        TEST(test_without_interrupts_everything_is_written_at_once),
        TEST(test_without_interrupts_a_busy_uart_is_waited_for),
        TEST(test_without_interrupts_a_blocked_guest_is_woken),
        TEST(test_keys_go_to_the_focused_guest_with_a_kick),
        TEST(test_escape_and_digit_moves_the_keyboard),
        TEST(test_new_focus_shows_its_unfinished_line),
        TEST(test_escape_twice_is_the_key_itself),
        TEST(test_escape_may_come_in_two_interrupts),
        TEST(test_other_escaped_keys_give_help),
        TEST(test_report_of_every_exit_kind_fits),
        TEST(test_typing_more_than_fits_is_lost_not_waited_for),
        TEST(test_urgent_line_comes_after_what_is_queued),
        TEST(test_after_an_urgent_line_only_the_hypervisor_writes),
        TEST(test_urgent_line_does_not_wait_for_the_lock_for_ever),
        TEST(test_before_start_a_slow_uart_is_not_waited_for),
        TEST(test_boot_report_comes_whole_before_guests_lines),
        TEST(test_before_start_a_full_queue_is_waited_for),
        TEST(test_before_start_the_last_words_come_after_the_queue),
        cmocka_unit_test_setup(test_screen_shows_what_the_uart_sends, setup),
        cmocka_unit_test_setup(test_names_have_colours, setup),
        cmocka_unit_test_setup(test_nothing_to_draw_needs_no_ticks, setup),
        cmocka_unit_test_setup(test_machine_without_uart_shows_all_on_the_screen, setup),
        cmocka_unit_test_setup(test_uart_without_interrupt_is_looked_at, setup),
        cmocka_unit_test_setup(test_without_ticks_it_is_drawn_at_once, setup),
        cmocka_unit_test_setup(test_last_words_are_drawn_and_kept, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
