/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bad neighbour: whatever it does, the other guests and the console must not notice. It keeps a
 * timer firing at the end of time, makes the hypervisor log, prints without end, and tries every
 * port but those that would end it, every byte of the device pages, and MSRs it does not have.
 */
#include "tests/guest/lib.h"

#define TSC_DEADLINE_FAR 0xfffffffffffffff0ull

/* Ports whose writes end or reset a guest: 8042, fast reset, debug exit, PM1 control, CF9H. */
static bool ends_it(uint16_t port)
{
    return (port >= 0x60 && port <= 0x64) || (port >= 0x8f && port <= 0x92) ||
           (port >= 0xf1 && port <= 0xf4) || (port >= 0x601 && port <= 0x605) ||
           (port >= 0xcf6 && port <= 0xcf9);
}

static void try_ports(void)
{
    for (unsigned i = 0; i < 200; i++) {
        uint16_t port = (uint16_t)(i % 2 ? random_next() : random_next() % 0xd00);

        if (ends_it(port) || (port >= 0x3f5 && port <= 0x3ff)) /* nor the UART it prints with */
            continue;
        outb(port, (uint8_t)random_next());
        outl(port, random_next());
        (void)inl(port);
    }
}

static void try_memory(void)
{
    for (unsigned i = 0; i < 50; i++) {
        uint64_t page = random_next() % 2 ? 0xfec00000 : 0xfee00000;
        uint64_t at = page + random_next() % 0x1000;

        if (at >= 0xfee00300 && at < 0xfee00320) /* no INIT to itself */
            continue;
        __asm__ volatile(FAULTS("movl %%eax, (%0)") : : "r"(at), "a"(random_next()) : "memory");
        __asm__ volatile(FAULTS("fldl (%0)") : : "r"(at) : "memory");
    }
}

static void try_msrs(void)
{
    uint64_t value;

    for (unsigned i = 0; i < 50; i++) {
        uint32_t msr = random_next() % 0x1000;

        (void)rdmsr_try(msr, &value);
        if (msr != MSR_APIC_BASE)
            (void)wrmsr_try(msr, (uint64_t)random_next() << 32 | random_next());
    }
}

/*
 * A deadline that wraps when the hypervisor turns it into its own time, and no other timer: if it
 * is armed wrongly it fires at every entry. Interrupts are on, for the emulator to let them out.
 */
static void keep_timer_firing(unsigned round)
{
    pic_setup(0xff, 0xff);
    pit_stop();
    lapic_write(LAPIC_SVR, 0x1ff);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | 0x40);
    (void)wrmsr_try(MSR_TSC_DEADLINE, TSC_DEADLINE_FAR);
    irq_enable();
    con_printf("round %u: and on\n", round);
    irq_disable();
}

void guest_main(void)
{
    con_setup();
    for (unsigned round = 0;; round++) {
        con_printf("round %u, and a line that is long enough to keep the console busy for a while\n",
                   round);
        try_ports();
        try_memory();
        try_msrs();
        keep_timer_firing(round);
    }
}
