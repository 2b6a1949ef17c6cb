/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory map, for guests of type `flat` and, inside tests/guest/rom.S, `firmware`: RAM is
 * where CMOS memory says, each address is memory of its own, and around it there is nothing. A
 * firmware guest resets itself once and looks at what is left of its first life.
 *
 * Each check prints `ok NAME` or `FAIL NAME: what was seen`; the last line is
 * `memory N MiB: N passed, N failed`, then the machine is powered off.
 */
#include "tests/guest/lib.h"

#define HIGH_BASE    (4 * GIB)
#define STEP         PAGE_2M
#define ONES         0xffffffffu

#define CMOS_BASE    0x15 /* KiB below 1 MiB */
#define CMOS_EXT     0x30 /* KiB above 1 MiB */
#define CMOS_EXT_64K 0x34 /* 64 KiB units above 16 MiB */
#define CMOS_HIGH    0x5b /* 64 KiB units above 4 GiB */
#define CMOS_LIFE    0x60 /* ours: how often the machine was reset */

#define ROM_LEN      0x40000u
#define ROM_BASE     (HIGH_BASE - ROM_LEN)
#define ALIAS_BASE   0xe0000u
#define ALIAS_LEN    0x20000u
#define VGA_BASE     0xa0000u
#define VGA_END      0xc0000u
#define SHADOW       0xd0000u  /* RAM between the VGA adapter's and the ROM's copy */
#define FREE_RAM     0x800000u /* nothing of ours is there */
#define MARK         0x0badcafeu

#define PORT_RESET   0xcf9u
#define RESET_HARD   0x06u

#define PTE_TABLE    0x03ull /* P, R/W */
#define PTE_PAGE     0x83ull /* and PS */
#define PTE_ADDRESS  0x000ffffffffff000ull
#define HIGH_GIBS    4u /* above 4 GiB that can be looked at */

static unsigned passed, failed;
static uint64_t high_pd[HIGH_GIBS][512] ALIGNED(4096);

static void expect(const char *name, uint64_t got, uint64_t want)
{
    if (got == want) {
        passed++;
        con_printf("ok %s\n", name);
        return;
    }
    failed++;
    con_printf("FAIL %s: got %lx, want %lx\n", name, got, want);
}

static uint32_t cmos(unsigned index, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)rtc_read((uint8_t)(index + i)) << (8 * i);
    return value;
}

static void cmos_write(uint8_t index, uint8_t value)
{
    outb(PORT_RTC_INDEX, index);
    outb(PORT_RTC_DATA, value);
}

/* start.S maps 4 GiB to themselves: some more of them. */
static void map_high(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    uint64_t *pml4 = (uint64_t *)(cr3 & PTE_ADDRESS);
    uint64_t *pdpt = (uint64_t *)(pml4[0] & PTE_ADDRESS);

    for (unsigned g = 0; g < HIGH_GIBS; g++) {
        for (unsigned i = 0; i < 512; i++)
            high_pd[g][i] = (HIGH_BASE + g * GIB + i * PAGE_2M) | PTE_PAGE;
        pdpt[4 + g] = (uint64_t)high_pd[g] | PTE_TABLE;
    }
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

/* --- RAM -------------------------------------------------------------------------------------- */

/* One word in each 2 MiB from FREE_RAM on gets its own address; then all are looked at. */
static void fill(uint64_t base, uint64_t end)
{
    for (uint64_t at = base; at < end; at += STEP)
        *(volatile uint64_t *)at = at ^ MARK;
}

static uint64_t count_wrong(uint64_t base, uint64_t end)
{
    uint64_t wrong = 0;

    for (uint64_t at = base; at < end; at += STEP)
        wrong += *(volatile uint64_t *)at != (at ^ MARK);
    return wrong;
}

static void expect_last_word(const char *name, uint64_t end)
{
    mmio_write(end - 4, MARK);
    expect(name, mmio_read(end - 4), MARK);
}

static void expect_nothing(const char *name, uint64_t at)
{
    uint32_t first = mmio_read(at);

    mmio_write(at, MARK);
    expect(name, first & mmio_read(at), ONES);
}

static uint64_t test_ram(void)
{
    uint64_t low_end = 16 * MIB + cmos(CMOS_EXT_64K, 2) * 64ull * KIB;
    uint64_t high_end = HIGH_BASE + cmos(CMOS_HIGH, 3) * 64ull * KIB;
    uint64_t ext = (low_end - MIB) / KIB;

    con_printf("RAM to %lx, from %lx to %lx\n", low_end, HIGH_BASE, high_end);
    expect("cmos-base-memory", cmos(CMOS_BASE, 2), 640);
    expect("cmos-extended-memory", cmos(CMOS_EXT, 2), ext < 65535 ? ext : 65535);
    fill(FREE_RAM, low_end);
    fill(HIGH_BASE, high_end);
    expect("low-ram-is-distinct", count_wrong(FREE_RAM, low_end), 0);
    expect("high-ram-is-distinct", count_wrong(HIGH_BASE, high_end), 0);
    expect_last_word("low-ram-end", low_end);
    if (high_end != HIGH_BASE)
        expect_last_word("high-ram-end", high_end);
    expect_nothing("hole-begin", low_end);
    expect_nothing("hole", 0xe0000000);
    expect_nothing("above-ram", high_end);
    return low_end + high_end - HIGH_BASE;
}

/* --- ROM -------------------------------------------------------------------------------------- */

static uint64_t differing_bytes(uint64_t a, uint64_t b, uint64_t len)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < len; i++)
        n += *(const volatile uint8_t *)(a + i) != *(const volatile uint8_t *)(b + i);
    return n;
}

static void test_rom_writes(void)
{
    uint32_t was = mmio_read(ROM_BASE);
    uint32_t value = MARK;

    expect("rom-first-half", was, 0x5a5a5a5a);
    mmio_write(ROM_BASE, MARK);
    expect("rom-write-is-dropped", mmio_read(ROM_BASE), was);
    __asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(ROM_BASE) : "memory");
    expect("rom-xchg-reads", value, was);
    expect("rom-xchg-does-not-write", mmio_read(ROM_BASE), was);
    __asm__ volatile("addl %1, (%2)\n\tsetz %b0\n\tmovzbl %b0, %0"
                     : "=q"(value)
                     : "r"(0 - was), "r"(ROM_BASE)
                     : "memory", "cc");
    expect("rom-add-has-the-right-flags", value, 1);
    expect("rom-add-does-not-write", mmio_read(ROM_BASE), was);
    mmio_write(HIGH_BASE - 4, MARK);
    expect("rom-last-word", mmio_read(HIGH_BASE - 4) != MARK, true);
    expect_nothing("below-rom", ROM_BASE - 4);
}

static void test_below_1_mib(void)
{
    expect("rom-alias", differing_bytes(ALIAS_BASE, HIGH_BASE - ALIAS_LEN, ALIAS_LEN), 0);
    expect_nothing("vga-begin", VGA_BASE);
    expect_nothing("vga-end", VGA_END - 4);
    expect("shadow-ram-is-clear", mmio_read(SHADOW), 0);
    expect("ram-is-clear", mmio_read(FREE_RAM + 8), 0);
    mmio_write(VGA_BASE - 4, MARK);
    expect("base-memory-end", mmio_read(VGA_BASE - 4), MARK);
    mmio_write(VGA_END, MARK);
    expect("shadow-ram-begin", mmio_read(VGA_END), MARK);
    mmio_write(ALIAS_BASE, MARK);
    expect("alias-is-ram", mmio_read(ALIAS_BASE), MARK);
    expect("rom-is-not-the-alias", mmio_read(HIGH_BASE - ALIAS_LEN) != MARK, true);
    mmio_write(SHADOW, MARK);
    mmio_write(FREE_RAM + 8, MARK);
}

static void test_rom(void)
{
    uint8_t life = rtc_read(CMOS_LIFE);

    test_below_1_mib();
    test_rom_writes();
    if (life == 0) {
        con_printf("life 1: %u passed, %u failed\n", passed, failed);
        con_flush();
        cmos_write(CMOS_LIFE, 1);
        outb(PORT_RESET, RESET_HARD);
        expect("reset", true, false);
    }
}

void guest_main(void)
{
    con_setup();
    map_high();
    if (mmio_read(HIGH_BASE - 4) != ONES)
        test_rom();

    uint64_t ram = test_ram();

    con_printf("memory %lu MiB: %u passed, %u failed\n", ram / MIB, passed, failed);
    power_off();
}
