/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame of the device test, and the interrupt sources its tests share; see devtest.h. */
#include "tests/guests/devtest.h"

#define KEPT       256u
#define DEVIATIONS 3u
#define NO_INDEX   (~0u)

#define PIT_MODE_0 0x30u /* counter 0, two bytes, mode 0, binary */
#define RTC_A      0x0au
#define RTC_B      0x0bu
#define RTC_C      0x0cu
#define RTC_24H    0x02u
#define RTC_PIE    0x40u

struct deviation {
    const char *machine, *why;
    uint64_t value;
};

struct result {
    const char *name; /* NULL: the group is absent, and where it may be */
    unsigned index;
    uint64_t value, expected;
    struct deviation deviations[DEVIATIONS];
};

static struct {
    const char *chip;
    unsigned count, total;
    uint64_t tsc_hz;
    struct result kept[KEPT];
} state;

static void print_deviation(const struct result *r, const struct deviation *d)
{
    if (r->name == NULL)
        con_printf("  lacks %s: %s\n", d->machine, d->why);
    else if (d->value == ANY)
        con_printf("  differs %s any: %s\n", d->machine, d->why);
    else
        con_printf("  differs %s %lx: %s\n", d->machine, d->value, d->why);
}

static void print_result(const struct result *r)
{
    if (r->name == NULL)
        con_printf("%s %s\n", r->value != 0 ? "present" : "absent", state.chip);
    else if (r->index == NO_INDEX)
        con_printf("check %s.%s: %lx (%lx)\n", state.chip, r->name, r->value, r->expected);
    else
        con_printf("check %s.%s-%u: %lx (%lx)\n", state.chip, r->name, r->index, r->value,
                   r->expected);
    for (unsigned i = 0; i < DEVIATIONS && r->deviations[i].machine != NULL; i++)
        print_deviation(r, &r->deviations[i]);
}

unsigned report(void)
{
    for (unsigned i = 0; i < state.count; i++)
        print_result(&state.kept[i]);
    state.count = 0;
    con_flush();
    return state.total;
}

void group(const char *chip)
{
    (void)report();
    state.chip = chip;
}

static struct result *keep(const char *name)
{
    if (state.count == KEPT)
        (void)report();
    state.kept[state.count] = (struct result){.name = name, .index = NO_INDEX};
    return &state.kept[state.count++];
}

void check_at(const char *name, unsigned index, uint64_t value, uint64_t expected)
{
    struct result *r = keep(name);

    r->index = index;
    r->value = value;
    r->expected = expected;
    state.total++;
}

void check(const char *name, uint64_t value, uint64_t expected)
{
    check_at(name, NO_INDEX, value, expected);
}

void differs(const char *machine, uint64_t value, const char *why)
{
    struct result *r = &state.kept[state.count - 1];
    unsigned i = 0;

    while (i < DEVIATIONS - 1 && r->deviations[i].machine != NULL)
        i++;
    r->deviations[i] = (struct deviation){machine, why, value};
}

bool present(bool there, const char *machine, const char *why)
{
    keep(NULL)->value = there;
    differs(machine, 0, why);
    return there;
}

uint64_t us(uint64_t count)
{
    return state.tsc_hz * count / 1000000;
}

/* --- interrupt sources --- */

static bool pic1_irr_is(unsigned irq, bool high)
{
    uint64_t start = rdtsc();

    do {
        outb(PORT_PIC1_CMD, 0x0a);
        if ((inb(PORT_PIC1_CMD) >> irq & 1) == high)
            return true;
    } while (rdtsc() - start < us(5000));
    return false;
}

/*
 * Let time pass, with short windows in which interrupts are on and the PICs masked: Bochs does not
 * show a hypervisor its own timer's interrupt while the guest keeps IF at 0.
 */
static void pass(uint64_t ticks)
{
    uint8_t mask1 = inb(PORT_PIC1_DATA), mask2 = inb(PORT_PIC2_DATA);
    uint64_t start = rdtsc();

    outb(PORT_PIC1_DATA, 0xff);
    outb(PORT_PIC2_DATA, 0xff);
    while (rdtsc() - start < ticks) {
        irq_enable();
        irq_disable();
    }
    outb(PORT_PIC1_DATA, mask1);
    outb(PORT_PIC2_DATA, mask2);
}

void irq0_raise(void)
{
    uint64_t start = rdtsc();

    outb(PORT_PIT_MODE, PIT_MODE_0);
    outb(PORT_PIT_CH0, 100);
    outb(PORT_PIT_CH0, 0);
    do { /* until the status byte shows OUT high */
        outb(PORT_PIT_MODE, 0xe2);
    } while ((inb(PORT_PIT_CH0) & 0x80) == 0 && rdtsc() - start < us(5000));
}

void irq0_lower(void)
{
    outb(PORT_PIT_MODE, PIT_MODE_0);
}

void irq4_raise(void)
{
    con_flush();
    outb(PORT_UART + UART_IER, 0x02);
    (void)pic1_irr_is(4, true);
}

void irq4_lower(void)
{
    outb(PORT_UART + UART_IER, 0);
    (void)inb(PORT_UART + 2);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    outb(PORT_RTC_INDEX, index);
    outb(PORT_RTC_DATA, value);
}

void irq8_raise(void)
{
    rtc_write(RTC_A, 0x26);
    (void)rtc_read(RTC_C);
    rtc_write(RTC_B, RTC_24H | RTC_PIE);
    pass(us(3000));
}

void irq8_lower(void)
{
    rtc_write(RTC_B, RTC_24H);
    (void)rtc_read(RTC_C);
}

static unsigned counted_vector(void)
{
    for (unsigned vector = VECTOR_NMI + 1; vector < 256; vector++) {
        if (irq_count(vector) != 0)
            return vector;
    }
    return 0;
}

unsigned take(void)
{
    uint64_t start = rdtsc();
    unsigned vector;

    irq_hold_eoi(true);
    irq_count_clear();
    irq_enable();
    do
        vector = counted_vector();
    while (vector == 0 && rdtsc() - start < us(300));
    irq_disable();
    irq_hold_eoi(false);
    return vector;
}

void quiet(void)
{
    irq_disable();
    irq_hold_eoi(false);
    irq0_lower();
    irq4_lower();
    irq8_lower();
    outb(0x4d0, 0);
    outb(0x4d1, 0);
    pic_setup(0xff, 0xff);
    irq_enable();
    irq_disable();
    irq_count_clear();
}

/* --- order --- */

void guest_main(void)
{
    con_setup();
    con_printf("\ndevtest begins\n");
    state.tsc_hz = tsc_hz_pit();
    if (state.tsc_hz == 0)
        state.tsc_hz = BIT(26); /* a guess, for the time-outs */
    pic_setup(0xff, 0xff);
    lapic_enable_virtual_wire();
    group("acpi");
    test_acpi();
    group("i8259");
    test_i8259();
    group("i8254");
    test_i8254();
    group("ioapic");
    test_ioapic();
    group("uart");
    test_uart();
    group("rtc");
    test_rtc();
    group("pm");
    test_pm();
    group("sci");
    test_sci();
    group("ports");
    test_ports();
    group("pci");
    test_pci();
    group("lapic");
    test_lapic();
    group("smp");
    test_smp();
    group("x2apic"); /* last: there is no way back */
    test_x2apic();
    con_printf("devtest ends: %u checks\n", report());
    power_off();
}
