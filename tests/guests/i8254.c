/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254 and port 61H. Source: Intel 82C54 data sheet (231244); port 61H: Intel 82371AB (PIIX4)
 * data sheet (290562), "NMISC". Counts are classed by the time that has passed.
 */
#include "tests/guests/devtest.h"

#define STATUS_OUT  0x80u
#define STATUS_NULL 0x40u
#define RW_LOW      0x10u
#define RW_HIGH     0x20u
#define RW_BOTH     0x30u
#define BCD         0x01u

#define QEMU_START                                                                                 \
    "\"Control Word Format\": OUT goes to its initial state and no count is there until "          \
    "one is written; QEMU counts from the last one, and has no null count"
#define QEMU_GATE                                                                                  \
    "\"Gate\": low stops the counter and, in modes 2 and 3, raises OUT; QEMU ignores it"
#define QEMU_TRIG                                                                                  \
    "\"Mode Definitions\": modes 1 and 5 count from the gate's rise on; QEMU's from "              \
    "the control word on"
#define QEMU_BCD    "\"Control Word Format\": four decades; QEMU's counters are binary"
#define QEMU_STROBE "\"Mode 4\": OUT is low for one pulse only; QEMU's has it low until the end"
#define MODE_0_LOW  "\"Mode 0\": the first byte of a new count sets OUT low; this does at the second"
#define PERIOD_ENDS "\"Mode 2\": a new count is loaded at the end of the period; this does at once"
#define NMISC       "\"NMISC\": bits 2 and 3 read back; this has no NMI sources to disable"

static void control(unsigned channel, unsigned rw, unsigned mode)
{
    outb(PORT_PIT_MODE, (uint8_t)(channel << 6 | rw | mode << 1));
}

static void put(unsigned channel, uint8_t byte)
{
    outb(PORT_PIT_CH0 + channel, byte);
}

static uint8_t get(unsigned channel)
{
    return inb(PORT_PIT_CH0 + channel);
}

static void put_count(unsigned channel, uint16_t count)
{
    put(channel, (uint8_t)count);
    put(channel, (uint8_t)(count >> 8));
}

static uint16_t get_both(unsigned channel)
{
    unsigned low = get(channel);

    return (uint16_t)(low | (unsigned)get(channel) << 8);
}

static uint8_t status(unsigned channel)
{
    outb(PORT_PIT_MODE, (uint8_t)(0xe0 | 2u << channel));
    return get(channel);
}

static void latch(unsigned channel)
{
    outb(PORT_PIT_MODE, (uint8_t)(channel << 6));
}

static uint16_t count(unsigned channel)
{
    latch(channel);
    return get_both(channel);
}

static void gate(bool high)
{
    outb(PORT_SYSTEM_B, high);
}

static void wait(unsigned microseconds)
{
    tsc_delay(us(microseconds));
}

/* Control word, count, and so many microseconds. */
static void start(unsigned channel, unsigned mode, uint16_t reload, unsigned microseconds)
{
    control(channel, RW_BOTH, mode);
    put_count(channel, reload);
    wait(microseconds);
}

/* The first status after a control word and after a count: "Read-Back Command". */
static void check_status(unsigned channel)
{
    static const uint8_t qemu_before[] = {0xb0, 0xb2, 0x34, 0xb6, 0x38, 0x3a};
    static const uint8_t qemu_after[] = {0x30, 0xb2, 0x34, 0xb6, 0x38, 0x3a};

    for (unsigned mode = 0; mode < 6; mode++) {
        unsigned word = RW_BOTH | mode << 1;
        unsigned initial = mode == 0 ? 0 : STATUS_OUT;
        bool triggered = mode == 1 || mode == 5;

        control(channel, RW_BOTH, mode);
        check_at(channel == 0 ? "status-0-after-control-word" : "status-2-after-control-word", mode,
                 status(channel), word | initial | STATUS_NULL);
        differs(QEMU, qemu_before[mode], QEMU_START);
        put_count(channel, 60000);
        wait(100);
        check_at(channel == 0 ? "status-0-counting" : "status-2-counting", mode, status(channel),
                 word | initial | (triggered ? STATUS_NULL : 0));
        if (mode != 0 && mode != 3)
            differs(QEMU, qemu_after[mode], mode == 2 || mode == 4 ? QEMU_STROBE : QEMU_TRIG);
    }
}

/* 1 ms is 1193 pulses; the accesses themselves take time, on some machines a lot. */
static void check_counts(unsigned channel)
{
    uint16_t first, second;

    start(channel, 0, 60000, 1000);
    first = count(channel);
    check_at("mode-0-counts-down", channel, within(first, 58000, 60000 - 1190), true);
    wait(1000);
    second = count(channel);
    check_at("mode-0-goes-on", channel, within(first - second, 1190, 3000), true);
    start(channel, 2, 60000, 1000);
    check_at("mode-2-counts-down", channel, within(count(channel), 58000, 60000 - 1190), true);
    start(channel, 3, 60000, 1000);
    check_at("mode-3-counts-twice", channel, within(count(channel), 56000, 60000 - 2380), true);
    check_at("mode-3-counts-even", channel, count(channel) & 1, 0);
    start(channel, 4, 60000, 1000);
    check_at("mode-4-counts-down", channel, within(count(channel), 58000, 60000 - 1190), true);
    start(channel, 0, 0, 1000);
    check_at("count-0-is-65536", channel, within(count(channel), 63000, 65536 - 1190), true);
}

static void check_latch(unsigned channel)
{
    uint16_t first;

    start(channel, 0, 60000, 100);
    latch(channel);
    wait(2000);
    latch(channel); /* without effect: the first was not read */
    first = get_both(channel);
    check_at("second-latch-is-ignored", channel, within(first, 60000 - 1500, 60000 - 100), true);
    check_at("count-runs-behind-a-latch", channel, within(count(channel), 55000, 60000 - 2400),
             true);
    outb(PORT_PIT_MODE, (uint8_t)(0xc0 | 2u << channel)); /* status and count */
    check_at("read-back-status-first", channel, get(channel), RW_BOTH);
    check_at("read-back-count-then", channel, within(get_both(channel), 52000, 60000 - 2400), true);
    outb(PORT_PIT_MODE, (uint8_t)(0xd0 | 2u << channel)); /* count only */
    wait(2000);
    check_at("read-back-count-is-latched", channel, within(get_both(channel), 52000, 60000 - 2400),
             true);
    latch(channel);
    control(channel, RW_LOW, 2);
    put(channel, 100);
    wait(10);
    check_at("control-word-unlatches", channel, within(get(channel), 1, 100), true);
    differs(QEMU, ANY,
            "\"Counter Latch Command\": a latched count is dropped when the counter is programmed; "
            "QEMU keeps it");
    (void)get_both(channel);
    check_at("rw-low-status", channel, status(channel) & 0x3f, RW_LOW | 2 << 1);
}

static void check_widths(unsigned channel)
{
    control(channel, RW_LOW, 0);
    put(channel, 250);
    wait(50);
    latch(channel);
    check_at("low-byte-counts", channel, within(get(channel), 20, 250 - 55), true);
    wait(300);
    check_at("low-byte-ends", channel, status(channel), RW_LOW | STATUS_OUT);
    control(channel, RW_HIGH, 0);
    put(channel, 0x40);
    wait(1000);
    latch(channel);
    check_at("high-byte-counts", channel, within(get(channel), 0x36, 0x3b), true);
    control(channel, RW_BOTH, 0);
    put(channel, 0x10);
    wait(200);
    check_at("half-a-count-does-not-start", channel, status(channel), RW_BOTH | STATUS_NULL);
    differs(QEMU, RW_BOTH, QEMU_START);
    put(channel, 0x40);
    wait(200);
    check_at("a-whole-count-starts", channel, status(channel), RW_BOTH);
}

static void check_bcd(unsigned channel)
{
    uint16_t bcd;
    bool digits = true;

    control(channel, RW_BOTH | BCD, 0);
    put_count(channel, 0x9999);
    wait(1000);
    bcd = count(channel);
    for (unsigned shift = 0; shift < 16; shift += 4)
        digits = digits && (bcd >> shift & 15) < 10;
    check_at("bcd-digits", channel, digits, true);
    differs(QEMU, false, QEMU_BCD);
    check_at("bcd-count", channel, within(bcd, 0x7000, 0x8809), true);
    differs(QEMU, false, QEMU_BCD);
    check_at("bcd-status", channel, status(channel), RW_BOTH | BCD);
    control(channel, RW_BOTH | BCD, 0);
    put_count(channel, 0x0100); /* a hundred: 84 us */
    wait(150);
    check_at("bcd-ends", channel, status(channel), RW_BOTH | BCD | STATUS_OUT);
    differs(QEMU, RW_BOTH | BCD, QEMU_BCD);
    check_at("bcd-wraps-to-9999", channel, within(count(channel), 0x9000, 0x9999), true);
    differs(QEMU, false, QEMU_BCD);
}

static void check_ends(unsigned channel)
{
    start(channel, 0, 600, 300);
    check_at("mode-0-out-before", channel, status(channel) & STATUS_OUT, 0);
    wait(400);
    check_at("mode-0-out-after", channel, status(channel) & STATUS_OUT, STATUS_OUT);
    check_at("mode-0-wraps", channel, within(count(channel), 60000, 65500), true);
    put(channel, 0x00);
    check_at("mode-0-new-count-lowers-out", channel, status(channel) & STATUS_OUT, 0);
    differs(BOCHS, STATUS_OUT, MODE_0_LOW);
    differs(QEMU, STATUS_OUT, MODE_0_LOW);
    put(channel, 0x40);
    start(channel, 3, 2400, 500); /* half a period is 1 ms */
    check_at("mode-3-first-half", channel, status(channel) & STATUS_OUT, STATUS_OUT);
    wait(1000);
    check_at("mode-3-second-half", channel, status(channel) & STATUS_OUT, 0);
    wait(1000);
    check_at("mode-3-first-half-again", channel, status(channel) & STATUS_OUT, STATUS_OUT);
    start(channel, 4, 600, 800);
    check_at("mode-4-out-after", channel, status(channel) & STATUS_OUT, STATUS_OUT);
    differs(QEMU, 0, QEMU_STROBE);
    check_at("mode-4-wraps", channel, within(count(channel), 60000, 65500), true);
    start(channel, 2, 40000, 100);
    put_count(channel, 10000);
    wait(500);
    check_at("mode-2-new-count-waits", channel, within(count(channel), 35000, 40000), true);
    differs(BOCHS, false, PERIOD_ENDS);
    differs(QEMU, false, PERIOD_ENDS);
    check_at("mode-2-new-count-is-null", channel, status(channel) & STATUS_NULL, STATUS_NULL);
    differs(QEMU, 0, PERIOD_ENDS);
}

/* Gate 2 is bit 0 of port 61H. "Gate" in "Mode Definitions". */
static void check_gate(void)
{
    uint16_t first;

    gate(false);
    start(2, 0, 60000, 500);
    check("mode-0-gate-low-loads", status(2), RW_BOTH);
    check("mode-0-gate-low-holds", count(2) == 60000, true);
    differs(QEMU, false, QEMU_GATE);
    gate(true);
    wait(500);
    gate(false);
    first = count(2);
    check("mode-0-gate-high-counts", within(first, 58000, 60000 - 590), true);
    wait(500);
    check("mode-0-gate-stops", count(2) == first, true);
    differs(QEMU, false, QEMU_GATE);
    gate(true);
    wait(500);
    check("mode-0-gate-goes-on", within(count(2), first - 2000u, first - 590u), true);

    start(2, 2, 60000, 500);
    gate(false);
    check("mode-2-gate-low-raises-out", status(2) & STATUS_OUT, STATUS_OUT);
    differs(QEMU, 0, QEMU_GATE);
    first = count(2);
    wait(500);
    check("mode-2-gate-stops", count(2) == first, true);
    differs(QEMU, false, QEMU_GATE);
    gate(true);
    wait(100);
    check("mode-2-gate-starts-anew", within(count(2), 59000, 60000 - 100), true);

    start(2, 3, 1200, 750);
    check("mode-3-low-half", status(2) & STATUS_OUT, 0);
    gate(false);
    check("mode-3-gate-low-raises-out", status(2) & STATUS_OUT, STATUS_OUT);
    differs(QEMU, 0, QEMU_GATE);
    wait(750);
    check("mode-3-gate-low-holds-out", status(2) & STATUS_OUT, STATUS_OUT);
}

static void check_triggers(void)
{
    gate(false);
    start(2, 1, 1200, 100);
    check("mode-1-waits", status(2), RW_BOTH | 1 << 1 | STATUS_OUT | STATUS_NULL);
    differs(QEMU, 0xb2, QEMU_TRIG);
    gate(true);
    wait(200);
    check("mode-1-pulse", status(2), RW_BOTH | 1 << 1);
    differs(QEMU, 0xb2, QEMU_TRIG);
    gate(false);
    wait(200);
    check("mode-1-ignores-gate-low", status(2), RW_BOTH | 1 << 1);
    differs(QEMU, 0xb2, QEMU_TRIG);
    gate(true); /* retriggers: 1 ms from here */
    wait(800);
    check("mode-1-retriggers", status(2) & STATUS_OUT, 0);
    differs(QEMU, STATUS_OUT, QEMU_TRIG);
    wait(400);
    check("mode-1-ends", status(2) & STATUS_OUT, STATUS_OUT);
    differs(QEMU, 0, QEMU_TRIG);

    gate(false);
    start(2, 5, 1200, 100);
    check("mode-5-waits", status(2), RW_BOTH | 5 << 1 | STATUS_OUT | STATUS_NULL);
    differs(QEMU, 0x3a, QEMU_TRIG);
    gate(true);
    wait(200);
    check("mode-5-counts", status(2), RW_BOTH | 5 << 1 | STATUS_OUT);
    differs(QEMU, 0x3a, QEMU_TRIG);
    check("mode-5-count", within(count(2), 300, 1200 - 230), true);
    wait(1200);
    check("mode-5-wraps", within(count(2), 60000, 65500), true);
}

static void check_port_61(void)
{
    uint8_t first;
    uint64_t begin = rdtsc();
    bool toggles = false;

    for (unsigned value = 0; value < 4; value++) {
        outb(PORT_SYSTEM_B, (uint8_t)value);
        check_at("61h-reads-back", value, inb(PORT_SYSTEM_B) & 0x03, value);
    }
    outb(PORT_SYSTEM_B, 0x0c);
    check("61h-nmi-disables", inb(PORT_SYSTEM_B) & 0x0f, 0x0c);
    differs(BOCHS, 0, NMISC);
    differs(QEMU, 0, NMISC);
    outb(PORT_SYSTEM_B, 0x01);
    check("61h-no-nmi", inb(PORT_SYSTEM_B) & 0xc0, 0);
    control(2, RW_BOTH, 0);
    check("61h-out-2-low", inb(PORT_SYSTEM_B) & 0x20, 0);
    put_count(2, 100);
    wait(200);
    check("61h-out-2-high", inb(PORT_SYSTEM_B) & 0x20, 0x20);
    first = inb(PORT_SYSTEM_B) & 0x10;
    while (!toggles && rdtsc() - begin < us(20000))
        toggles = (inb(PORT_SYSTEM_B) & 0x10) != first;
    check("61h-refresh-toggles", toggles, true);
}

/* So many interrupts in 20 ms, with IF = 1 and the handler's EOI. */
static unsigned interrupts(void)
{
    uint64_t begin = rdtsc();

    irq_count_clear();
    outb(PORT_PIC1_DATA, 0xfe);
    while (rdtsc() - begin < us(20000)) {
        irq_enable();
        irq_disable();
    }
    outb(PORT_PIC1_DATA, 0xff);
    return irq_count(VECTOR_PIC1);
}

static void check_interrupts(void)
{
    for (unsigned mode = 0; mode < 6; mode++) {
        static const uint8_t least[] = {1, 0, 19, 19, 1, 0};
        static const uint8_t most[] = {1, 0, 21, 21, 1, 0};
        unsigned seen;

        quiet();
        start(0, mode, 1193, 0);
        if (mode != 0) /* OUT is high at first, which is an edge */
            irq_count_clear();
        outb(PORT_PIC1_CMD, 0x11); /* forgets edges */
        outb(PORT_PIC1_DATA, VECTOR_PIC1);
        outb(PORT_PIC1_DATA, 0x04);
        outb(PORT_PIC1_DATA, 0x01);
        outb(PORT_PIC1_DATA, 0xff);
        seen = interrupts();
        check_at("interrupts-in-20-ms", mode, within(seen, least[mode], most[mode]), true);
        if (mode == 1 || mode == 5)
            differs(QEMU, false, QEMU_TRIG);
    }
}

void test_i8254(void)
{
    quiet();
    gate(true);
    for (unsigned channel = 0; channel <= 2; channel += 2) {
        check_status(channel);
        check_counts(channel);
        check_latch(channel);
        check_widths(channel);
        check_bcd(channel);
        check_ends(channel);
    }
    check_gate();
    check_triggers();
    check_port_61();
    check_interrupts();
    quiet();
    gate(true);
}
