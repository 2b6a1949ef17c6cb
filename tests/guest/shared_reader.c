/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reader of a shared region: sees what the writer writes, and can neither write nor execute it.
 * It resets itself once: the region stays as it is.
 *
 * Each check prints `ok NAME` or `FAIL NAME: what was seen`; each life ends with
 * `life N: N passed, N failed`, and the second with power-off.
 */
#include "tests/guest/shared.h"

#define CMOS_LIFE   0x60 /* ours: how often the machine was reset */
#define CMOS_COUNT  0x61 /* ours: the count when it was, 4 bytes */
#define PORT_RESET  0xcf9u
#define RESET_HARD  0x06u
#define MARK        0x5eed5eedu
#define TARGET      (READER_BASE + 0x800)
#define WAIT_TICKS  5000000000ull

#define PTE_TABLE   0x03ull /* P, R/W */
#define PTE_PAGE    0x83ull /* and PS */
#define PTE_ADDRESS 0x000ffffffffff000ull

static unsigned passed, failed;
static uint64_t high_pd[512] ALIGNED(4096);

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

static void cmos_write(unsigned index, uint8_t value)
{
    outb(PORT_RTC_INDEX, (uint8_t)index);
    outb(PORT_RTC_DATA, value);
}

/* One GiB of linear addresses that are the region's own. */
static void map_region(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    uint64_t *pml4 = (uint64_t *)(cr3 & PTE_ADDRESS);
    uint64_t *pdpt = (uint64_t *)(pml4[0] & PTE_ADDRESS);

    for (unsigned i = 0; i < 512; i++)
        high_pd[i] = (READER_BASE + i * PAGE_2M) | PTE_PAGE;
    pdpt[READER_BASE / GIB] = (uint64_t)high_pd | PTE_TABLE;
}

static uint32_t count(void)
{
    return mmio_read(READER_BASE + COUNTER);
}

/* Until the count is not `old`, or for a bounded time. */
static bool wait_for_count(uint32_t old)
{
    uint64_t end = rdtsc() + WAIT_TICKS;

    while (count() == old && rdtsc() < end)
        continue;
    return count() != old;
}

static uint64_t wrong_words(void)
{
    uint64_t wrong = 0;

    for (uint64_t at = PATTERN_BEGIN; at < REGION_LEN; at += 4)
        wrong += mmio_read(READER_BASE + at) != pattern(at);
    return wrong;
}

static void test_writes(void)
{
    uint32_t was = mmio_read(TARGET);
    uint32_t value = MARK;
    uint64_t to = TARGET;
    uint64_t n = 8;

    mmio_write(TARGET, MARK);
    expect("write-is-dropped", mmio_read(TARGET), was);
    __asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(TARGET) : "memory");
    expect("xchg-reads", value, was);
    value = 1;
    __asm__ volatile("lock xaddl %0, (%1)" : "+r"(value) : "r"(TARGET) : "memory");
    expect("xadd-reads", value, was);
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(MARK) : "memory");
    to = TARGET;
    __asm__ volatile("insb" : "+D"(to) : "d"(PORT_POST) : "memory");
    mmio_write(READER_BASE + REGION_LEN - 4, MARK);
    expect("nothing-was-written", wrong_words(), 0);
}

/* Both ends, where the processor finds only half of an operand: 8 bytes read, 4 are there. */
static void test_ends(void)
{
    uint64_t at = READER_BASE + REGION_LEN - 4;
    uint64_t value;

    expect("behind-the-end", mmio_read(READER_BASE + REGION_LEN), 0xffffffff);
    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(at) : "memory");
    expect("across-the-end", value, 0xffffffff00000000 | pattern(REGION_LEN - 4));
}

static void test_fetch(void)
{
    trap_clear();
    __asm__ volatile("jmp *%0\n"
                     "772:\n"
                     ".pushsection .fixup, \"a\"\n.quad %P1, 772b\n.popsection\n"
                     :
                     : "r"(TARGET), "i"(TARGET)
                     : "memory");
    expect("execution-is-refused", trap_last().vector, VECTOR_UD);
}

static uint32_t saved_count(void)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)rtc_read((uint8_t)(CMOS_COUNT + i)) << (8 * i);
    return value;
}

static void reset(void)
{
    uint32_t n = count();

    for (unsigned i = 0; i < 4; i++)
        cmos_write(CMOS_COUNT + i, (uint8_t)(n >> (8 * i)));
    cmos_write(CMOS_LIFE, 1);
    outb(PORT_RESET, RESET_HARD);
}

void guest_main(void)
{
    unsigned life = rtc_read(CMOS_LIFE) + 1u;

    con_setup();
    map_region();
    if (life == 1)
        expect("writer-counts", wait_for_count(0), true);
    else /* the writer goes on from there: a region that was cleared would count from 0 */
        expect("count-is-not-lost", count() - saved_count() < 1u << 31, true);
    expect("pattern-is-there", wrong_words(), 0);
    expect("count-goes-on", wait_for_count(count()), true);
    test_writes();
    test_ends();
    test_fetch();
    con_printf("life %u: %u passed, %u failed\n", life, passed, failed);
    con_flush();
    if (life == 1)
        reset();
    power_off();
}
