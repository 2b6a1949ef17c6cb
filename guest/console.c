/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/console.h"

#include <stddef.h>

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/journal.h"
#include "arch/x86/pit.h"
#include "arch/x86/screen.h"
#include "arch/x86/trap.h"
#include "arch/x86/uart.h"
#include "guest/dump.h"
#include "guest/vm.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/ring.h"
#include "lib/string.h"

#define REPORT_LEN    8192 /* longer reports are waited for */
#define LINE_LEN      256  /* a longer line is shown in pieces */
#define KEY_ESCAPE    0x1d /* Ctrl-] */
#define KEY_DUMP      't'
#define NAME_LEN      24
#define SOURCES_MAX   10 /* the hypervisor, and nine guests that a digit can name */
#define HYPERVISOR    0
#define LOCK_PATIENCE 1000000u

/* Each tick draws about 16 characters at most: 8 KiB of pixels, on a 4K screen 72. */
#define TICK_US       1000u
#define TICK_LINES    256u
#define KEYS_US       10000u /* how often a UART without an interrupt is asked for keys */

/* Who writes lines: source 0 is the hypervisor, source n + 1 is guest n. */
struct source {
    struct ring *ring;
    char line[LINE_LEN]; /* the line that is being put together */
    uint32_t len;
    uint32_t shown; /* how much of it is on the screen */
    bool complete;  /* its newline has come */
    bool carriage;  /* the last byte was CR: dropped if LF follows */
};

/* The console is the machine's, like the UART: one object. Guarded by `lock` unless said. */
static struct {
    struct spinlock lock;
    bool running;     /* guests run; set once */
    bool stopping;    /* the last words are said: nothing is queued; set once */
    bool interrupts;  /* the UART's arrive; set once */
    bool ticks;       /* the 8254's arrive; set once */
    bool ticking;     /* one has been asked for */
    bool escape;      /* Ctrl-] was pressed; console core only */
    atomic_bool busy; /* the UART has bytes and will interrupt when it is empty */
    uint32_t sources;
    uint32_t open;          /* whose unfinished line the cursor is on; == sources: nobody's */
    uint32_t turn;          /* who is looked at first next time */
    _Atomic uint32_t focus; /* source that has the keyboard */
    char out[LINE_LEN + NAME_LEN + 8]; /* finished text on its way to the UART */
    uint32_t out_len;
    uint32_t out_at;
    uint32_t name_at; /* the name in `out`, for its colour */
    uint32_t name_end;
    unsigned name_colour;
    uint32_t lost; /* lines the full log queue had no room for, not yet told; under log_lock */
    struct source source[SOURCES_MAX];

    struct spinlock log_lock; /* producers of the hypervisor's lines */
    struct ring log;

    char report[REPORT_LEN]; /* the boot report: what the UART has not taken yet; under log_lock */
    uint32_t report_len;     /* until guests run, then under lock */
    uint32_t report_at;
} console;

static const char *source_name(uint32_t i)
{
    return i == HYPERVISOR ? NULL : machine_config.guests[i - 1].name;
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Move bytes from the queue to the line until it is complete or full. */
static void gather(struct source *s)
{
    uint8_t byte;

    while (!s->complete && s->len + 1 < LINE_LEN && ring_take(s->ring, &byte)) {
        if (s->carriage && byte != '\n')
            s->line[s->len++] = '\r';
        s->carriage = byte == '\r';
        if (byte == '\n')
            s->complete = true;
        else if (byte != '\r')
            s->line[s->len++] = (char)byte;
    }
    if (s->len + 1 >= LINE_LEN)
        s->complete = true;
}

/* The table dump is made line by line, when nothing of the log is waiting. */
static void gather_dump(struct source *s)
{
    if (s->complete || s->len > 0)
        return;
    s->len = (uint32_t)dump_next(s->line, LINE_LEN);
    s->complete = s->len > 0;
}

static void emit(const char *text, uint32_t len)
{
    memcpy(console.out + console.out_len, text, len);
    console.out_len += len;
}

static void emit_name(uint32_t i)
{
    char mark[NAME_LEN];

    if (source_name(i) == NULL) /* the hypervisor's lines carry their own mark */
        return;
    console.name_at = console.out_len;
    emit(mark, (uint32_t)fmt_print(mark, sizeof(mark), "[%s] ", source_name(i)));
    console.name_end = console.out_len;
    console.name_colour = SCREEN_PLAIN + 1 + (i - 1) % SCREEN_NAMES;
}

/* Put what source i has to show into `out`; its line is on the screen afterwards. */
static void show(uint32_t i)
{
    struct source *s = &console.source[i];

    if (console.open != i) {
        if (console.open != console.sources)
            emit("\r\n", 2);
        emit_name(i);
        s->shown = 0; /* a line that was interrupted is repeated whole */
    }
    emit(s->line + s->shown, s->len - s->shown);
    s->shown = s->len;
    console.open = i;
    if (s->complete) {
        emit("\r\n", 2);
        s->len = s->shown = 0;
        s->complete = false;
        console.open = console.sources;
    }
}

/* A finished line always; an unfinished one only of the guest somebody types to. */
static bool has_something(uint32_t i)
{
    struct source *s = &console.source[i];

    gather(s);
    if (i == HYPERVISOR)
        gather_dump(s);
    return s->complete || (i == console.focus && s->len > s->shown);
}

/* Whose text comes next: a line that was begun goes on if it can, then all take turns. */
static uint32_t next_source(void)
{
    if (console.open != console.sources && has_something(console.open))
        return console.open;
    for (uint32_t n = 0; n < console.sources; n++) {
        uint32_t i = (console.turn + n) % console.sources;

        if (has_something(i))
            return i;
    }
    return console.sources;
}

/* Fill `out` with the next piece of text; false: nobody has any. */
static bool next_text(void)
{
    uint32_t i = next_source();

    console.out_at = console.out_len = 0;
    console.name_at = console.name_end = 0;
    if (i == console.sources)
        return false;
    show(i);
    console.turn = (i + 1) % console.sources;
    return true;
}

/* The boot report comes whole, before anything else. */
static bool next_report_byte(uint8_t *byte)
{
    if (console.report_at == console.report_len)
        return false;
    *byte = (uint8_t)console.report[console.report_at++];
    return true;
}

/* To the UART and the screen; false: there is none. */
static bool send_next_byte(void)
{
    unsigned colour = SCREEN_PLAIN;
    uint8_t byte;

    if (!next_report_byte(&byte)) {
        if (console.out_at == console.out_len && !next_text())
            return false;
        if (console.out_at >= console.name_at && console.out_at < console.name_end)
            colour = console.name_colour;
        byte = (uint8_t)console.out[console.out_at++];
    }
    uart_tx(byte);
    screen_put(byte, colour);
    return true;
}

/* --- output ----------------------------------------------------------------------------------- */

/* Guests whose UART waited for room in the queue. */
static void wake_blocked(void)
{
    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        if (atomic_load(&vms[i].console_blocked) && ring_used(&vms[i].console_tx) < RING_SIZE / 2 &&
            atomic_exchange(&vms[i].console_blocked, false))
            vcpu_request(&vms[i].vcpu[0], REQUEST_CONSOLE_TX);
    }
}

/* Ask for the 8254's interrupt, sooner if there is something to draw or to send. The lock is held.
 */
static void want_tick(bool soon)
{
    if (!console.ticks || console.ticking || (!soon && console.interrupts))
        return;
    if (!soon && !uart_present())
        return;
    console.ticking = soon;
    pit_interrupt_after(soon ? TICK_US : KEYS_US);
}

/* One FIFO's worth; true: bytes were written and the UART will interrupt, or a tick. */
static bool fill_uart(void)
{
    unsigned n = 0;

    while (n < UART_FIFO && send_next_byte())
        n++;
    if (n > 0)
        want_tick(!console.interrupts || !screen_draw(0));
    return n > 0;
}

static bool any_waiting(void)
{
    for (uint32_t i = 0; i < console.sources; i++) {
        if (ring_used(console.source[i].ring) > 0)
            return true;
    }
    return console.report_at < console.report_len || dump_ready();
}

/*
 * Start the UART if it is idle and there is something to show. Whoever finds the lock taken may
 * go: its holder looks into the queues again after giving it back.
 */
static void pump(void)
{
    while (!atomic_load(&console.busy) && spin_trylock(&console.lock)) {
        /* Busy first: the interrupt that ends it may come at any moment from here on. */
        atomic_store(&console.busy, true);
        bool ready = uart_tx_ready();
        bool wrote = ready && fill_uart();

        if (!console.ticks)
            (void)screen_draw(wrote ? TICK_LINES : SCREEN_FOREVER);
        if (ready && !wrote)
            atomic_store(&console.busy, false);
        spin_unlock(&console.lock);
        atomic_thread_fence(memory_order_seq_cst);
        if (!console.interrupts && !console.ticks && (wrote || !ready))
            console_flush();
        if (wrote)
            wake_blocked();
        if (ready && !wrote && !any_waiting())
            return;
    }
}

/*
 * Write what is queued now; what guests go on queueing is not waited for. The lock is held, or the
 * other cores stand still.
 */
static void write_queued(void)
{
    uint32_t left = (console.sources * (RING_SIZE + LINE_LEN) + REPORT_LEN) / UART_FIFO;

    do {
        uart_wait_ready();
    } while (left-- > 0 && fill_uart());
    uart_drain();
    (void)screen_draw(SCREEN_FOREVER);
    atomic_store(&console.busy, false);
}

void console_flush(void)
{
    spin_lock(&console.lock);
    write_queued();
    spin_unlock(&console.lock);
}

bool console_has_room(struct vm *vm)
{
    if (ring_used(&vm->console_tx) < RING_SIZE)
        return true;
    atomic_store(&vm->console_blocked, true);
    /*
     * The UART's interrupt may be late: its core may be in root mode, or run a guest with
     * interrupts off on a CPU that then holds the host's back too. So look whether the UART is
     * idle.
     */
    if (uart_tx_ready()) {
        atomic_store(&console.busy, false);
        pump();
    }
    return ring_used(&vm->console_tx) < RING_SIZE;
}

void console_put(struct vm *vm, uint8_t byte)
{
    (void)ring_put(&vm->console_tx, byte);
    /* Either we see "not busy", or the lock's holder sees our byte. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&console.busy, memory_order_relaxed))
        pump();
}

/* To the UART and the screen at once. The lock is held, or nobody else runs. */
static void write_now(const char *text)
{
    uart_write(text);
    for (; *text != '\0'; text++)
        screen_put((uint8_t)*text, SCREEN_PLAIN);
    (void)screen_draw(SCREEN_FOREVER);
}

/* --- before the guests run -------------------------------------------------------------------- */

/* As much of the report as the UART takes now; on the screen it is at once. */
static void feed_early(void)
{
    uint8_t byte;

    for (unsigned n = 0; n < UART_FIFO && next_report_byte(&byte); n++) {
        uart_tx(byte);
        screen_put(byte, SCREEN_PLAIN);
    }
    (void)screen_draw(SCREEN_FOREVER);
}

static void write_report(void)
{
    while (console.report_at < console.report_len) {
        uart_wait_ready();
        feed_early();
    }
}

/*
 * A serial port takes 87 us for a byte, longer than all the rest of the boot: it is waited for only
 * when there is no more room. What is left when guests run goes out before their text.
 */
static void queue_early(const char *line)
{
    size_t len = strlen(line);

    spin_lock(&console.log_lock);
    journal_add(line);
    if (len > REPORT_LEN - console.report_len) {
        write_report();
        console.report_at = console.report_len = 0;
    }
    memcpy(console.report + console.report_len, line, len);
    console.report_len += (uint32_t)len;
    while (console.report_at < console.report_len && uart_tx_ready())
        feed_early();
    spin_unlock(&console.log_lock);
}

/* The other cores stand still: the lock is nobody's business any more. */
static void write_report_now(void)
{
    console.stopping = true;
    machine_stop_others();
    write_report();
}

/* --- the hypervisor's lines ------------------------------------------------------------------- */

/*
 * The machine is about to stop: stop the other cores, show what is queued, and never queue again.
 * The lock is kept; it is not waited for long, because who has it may have been stopped.
 */
static void write_last_words(void)
{
    if (console.stopping)
        return;
    if (!console.running) {
        write_report_now();
        return;
    }
    console.running = false;
    console.stopping = true;
    machine_stop_others();
    for (unsigned i = 0; i < LOCK_PATIENCE && !spin_trylock(&console.lock); i++)
        __builtin_ia32_pause();
    write_queued();
    write_now(console.open == console.sources ? "" : "\r\n");
}

static void queue_line_bytes(const char *line)
{
    for (; *line != '\0'; line++)
        (void)ring_put(&console.log, (uint8_t)*line);
}

static void queue_line(const char *line)
{
    char lost[64];

    if (console.lost > 0 && RING_SIZE - ring_used(&console.log) >= strlen(line) + sizeof(lost)) {
        fmt_print(lost, sizeof(lost), "[bulkhead] (%u lines lost here)\r\n", console.lost);
        console.lost = 0;
        queue_line_bytes(lost);
    }
    queue_line_bytes(line);
}

void log_sink(const char *line, bool urgent)
{
    if (urgent)
        write_last_words();
    if (console.stopping) {
        journal_add(line);
        write_now(line);
        return;
    }
    if (!console.running) {
        queue_early(line);
        return;
    }
    spin_lock(&console.log_lock);
    journal_add(line);
    if (RING_SIZE - ring_used(&console.log) < strlen(line))
        console.lost++; /* a core never waits for the console */
    else
        queue_line(line);
    spin_unlock(&console.log_lock);
    pump();
}

void console_wake(void)
{
    pump();
}

void console_start(bool interrupts)
{
    console.sources = machine_config.guest_count + 1u;
    console.open = console.sources;
    console.focus = machine_config.console_guest + 1u;
    console.interrupts = interrupts;
    console.source[HYPERVISOR].ring = &console.log;
    for (uint32_t i = 1; i < console.sources; i++)
        console.source[i].ring = &vms[i - 1].console_tx;
    uart_interrupts(interrupts, interrupts);
    console.running = true;
    want_tick(false);
}

/* --- keyboard --------------------------------------------------------------------------------- */

static const char *const exit_names[EXIT_KIND_COUNT] = {
    [EXIT_HOST_IRQ] = "host-irq",
    [EXIT_IRQ_WINDOW] = "irq-window",
    [EXIT_DEADLINE] = "deadline",
    [EXIT_CPUID] = "cpuid",
    [EXIT_PIO] = "pio",
    [EXIT_PIO_STRING] = "pio-string",
    [EXIT_MMIO] = "mmio",
    [EXIT_FETCH] = "fetch",
    [EXIT_APIC_WRITE] = "apic-write",
    [EXIT_EOI] = "eoi",
    [EXIT_TPR] = "tpr",
    [EXIT_RDMSR] = "rdmsr",
    [EXIT_WRMSR] = "wrmsr",
    [EXIT_CR] = "cr",
    [EXIT_XSETBV] = "xsetbv",
    [EXIT_VMCALL] = "vmcall",
    [EXIT_VMX_INSN] = "vmx-insn",
    [EXIT_RDPMC] = "rdpmc",
    [EXIT_NOP] = "wbinvd",
    [EXIT_TRIPLE_FAULT] = "triple-fault",
    [EXIT_NMI] = "nmi",
    [EXIT_ROUSED] = "roused",
    [EXIT_EXCEPTION] = "exception",
    [EXIT_MACHINE_CHECK] = "machine-check",
    [EXIT_TASK_SWITCH] = "task-switch",
    [EXIT_ENTRY_FAILED] = "entry-failed",
    [EXIT_UNKNOWN] = "unknown",
};

static void report_exits(const struct vm *vm, const struct vcpu *v)
{
    char text[200];
    size_t len = 0;
    size_t start;

    if (vm->config->vcpu_count > 1)
        len = fmt_print(text, sizeof(text), "vCPU %u: ", v->index);
    len += fmt_print(text + len, sizeof(text) - len, "exits:");
    start = len;
    for (unsigned i = 0; i < EXIT_KIND_COUNT; i++) {
        if (v->exits[i] != 0 && len < sizeof(text))
            len += fmt_print(text + len, sizeof(text) - len, " %s %lu", exit_names[i], v->exits[i]);
    }
    log_line("guest %s: %s%s", vm->config->name, text, len > start ? "" : " none");
}

void console_report(struct vm *vm)
{
    uint64_t refused = 0;

    for (uint32_t i = 0; i < vm->config->vcpu_count; i++)
        refused += vm->vcpu[i].refused_msrs;
    log_line("guest %s: %s, core %u, resets %u, restarts %u, unclaimed I/O %lu, refused MSRs %lu",
             vm->config->name, vm_state_name(vm), vm->vcpu[0].core, vm->resets, vm->restarts,
             vm->unclaimed_io, refused);
    for (uint32_t i = 0; i < vm->config->vcpu_count; i++)
        report_exits(vm, &vm->vcpu[i]);
}

static void help(void)
{
    log_line("Ctrl-] 1..%u: keyboard to that guest; Ctrl-] t: table dump; Ctrl-] ?: this; "
             "Ctrl-] Ctrl-]: the key itself",
             machine_config.guest_count);
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpu_list[i]->nmis != 0)
            log_line("core %u: %lu NMIs from the hardware", i, cpu_list[i]->nmis);
    }
    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        log_line("%u %s%s", i + 1, machine_config.guests[i].name,
                 console.focus == i + 1 ? " (keyboard)" : "");
        console_report(&vms[i]);
    }
}

static void key_to_guest(uint8_t key)
{
    struct vm *vm = &vms[console.focus - 1];

    if (ring_put(&vm->console_rx, key))
        vcpu_request(&vm->vcpu[0], REQUEST_CONSOLE_RX);
}

static void escaped_key(uint8_t key)
{
    unsigned guest = (unsigned)key - '0';

    if (key == KEY_ESCAPE) {
        key_to_guest(key);
    } else if (guest >= 1 && guest <= machine_config.guest_count) {
        console.focus = guest;
        log_line("keyboard: %s", machine_config.guests[guest - 1].name);
    } else if (key == KEY_DUMP) {
        dump_request();
    } else {
        help();
    }
}

static void serve_uart(void)
{
    uint8_t key;

    while (uart_rx(&key)) {
        bool escaped = console.escape;

        console.escape = !escaped && key == KEY_ESCAPE;
        if (escaped)
            escaped_key(key);
        else if (key != KEY_ESCAPE)
            key_to_guest(key);
    }
    if (uart_tx_ready())
        atomic_store(&console.busy, false);
    pump();
}

void console_interrupt(void)
{
    /* The line is edge triggered: every cause has to be gone before it can rise again. */
    for (unsigned i = 0; i < 64 && uart_interrupt_pending(); i++)
        serve_uart();
}

void console_tick(void)
{
    if (!console.running) {
        console.ticks = true;
        return;
    }
    spin_lock(&console.lock); /* nobody holds it for long, but for the machine's last words */
    console.ticking = false;
    want_tick(!screen_draw(TICK_LINES));
    spin_unlock(&console.lock);
    if (!console.interrupts)
        serve_uart();
}
