/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/fit.h"

#include <stdarg.h>

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/virt.h"
#include "boot/refusal.h"
#include "guest/load.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"

/* Of the memory that a machine is said to have, firmware and graphics may keep so much: 1/4. */
#define FIRMWARE_SHARE 4

/* "config/demo.yaml:11", or without the line if it is 0: not known. */
static void describe_place(char *buf, size_t size, unsigned line)
{
    size_t len = fmt_print(buf, size, "%s", machine_config.source);

    if (line != 0)
        fmt_print(buf + len, size - len, ":%u", line);
}

/* mask: whose line of what to do is shown. */
static void misfit(uint32_t mask, const char *code, unsigned line, const char *fmt, ...)
    PRINTF(4, 5);

static void misfit(uint32_t mask, const char *code, unsigned line, const char *fmt, ...)
{
    char text[200];
    char place[100];
    va_list args;

    va_start(args, fmt);
    fmt_vprint(text, sizeof(text), fmt, args);
    va_end(args);
    describe_place(place, sizeof(place), line);
    refusal_add(mask, "%s: %s: %s", code, place, text);
}

/* --- cores ------------------------------------------------------------------------------------ */

unsigned fit_core_max(void)
{
    unsigned cores = machine_config.cores;

    return cores != 0 && cores < CPU_MAX ? cores : CPU_MAX;
}

/* One core that is not there is enough to say. */
static void check_guest_cores(const struct guest_config *c)
{
    for (uint32_t n = 0; n < c->vcpu_count; n++) {
        if (c->cores[n] < cpu_count)
            continue;
        misfit(BIT32(REASON_CORES), "BH021", c->cpus_line,
               "guest %s wants core %u, but this machine has %u (0..%u); "
               "change \"cpus\"",
               c->name, c->cores[n], cpu_count, cpu_count - 1);
        return;
    }
}

void fit_cores(void)
{
    if (cpu_count < machine_config.cores) {
        misfit(BIT32(REASON_CORES), "BH021", machine_config.cores_line,
               "it is for a machine with %u cores, but this machine has %u (0..%u); "
               "change \"cores\"",
               machine_config.cores, cpu_count, cpu_count - 1);
        return;
    }
    for (uint32_t i = 0; i < machine_config.guest_count; i++)
        check_guest_cores(&machine_config.guests[i]);
}

/* Of a core and those before it: the first that is a thread of the same physical core. */
static unsigned first_thread(unsigned core)
{
    unsigned i = 0;

    while (cpu_list[i]->physical_core != cpu_list[core]->physical_core)
        i++;
    return i;
}

/* "0+1, 2+3" */
static size_t describe_threads(char *buf, size_t size)
{
    size_t len = 0;

    for (unsigned first = 0; first < cpu_count; first++) {
        unsigned threads = 0;

        if (first_thread(first) != first)
            continue;
        for (unsigned i = first + 1; i < cpu_count; i++) {
            if (cpu_list[i]->physical_core != cpu_list[first]->physical_core)
                continue;
            if (threads++ == 0)
                len += fmt_print(buf + len, size - len, "%s%u", len == 0 ? "" : ", ", first);
            len += fmt_print(buf + len, size - len, "+%u", i);
        }
    }
    return len;
}

static void check_threads(unsigned a, unsigned b)
{
    uint32_t index_a, index_b, vcpu;

    if (!vm_on_core(a, &index_a, &vcpu) || !vm_on_core(b, &index_b, &vcpu) || index_a == index_b)
        return;
    const struct guest_config *guest_a = &machine_config.guests[index_a];
    const struct guest_config *guest_b = &machine_config.guests[index_b];

    misfit(0, "BH022", guest_b->cpus_line,
           "guest %s's core %u and guest %s's core %u are hardware threads of one physical "
           "core; also %s:%u; change \"cpus\", or set share_threads",
           guest_b->name, b, guest_a->name, a, machine_config.source, guest_a->cpus_line);
}

void fit_threads(void)
{
    char text[200];

    if (describe_threads(text, sizeof(text)) == 0)
        return;
    log_line("hardware threads of one physical core: %s", text);
    for (unsigned b = 0; b < cpu_count && !machine_config.share_threads; b++) {
        for (unsigned a = 0; a < b; a++) {
            if (cpu_list[a]->physical_core == cpu_list[b]->physical_core)
                check_threads(a, b);
        }
    }
}

/* Without VMX there is more to say, and no register to ask. */
void fit_direct(void)
{
    const char *missing = apic_is_x2apic() ? "VMX-preemption timer" : "x2APIC mode";

    if (!cpu_list[0]->usable || (apic_is_x2apic() && virt_has_preemption_timer()))
        return;
    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        const struct guest_config *c = &machine_config.guests[i];

        if (c->direct)
            misfit(BIT32(REASON_DIRECT), "BH028", c->apic_line,
                   "guest %s wants its core's local APIC, but this CPU has no %s; "
                   "remove \"apic: direct\"",
                   c->name, missing);
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

static bool check_ram(uint64_t ram_len)
{
    uint64_t said = machine_config.memory;

    if (ram_len >= said - said / FIRMWARE_SHARE)
        return true;
    misfit(BIT32(REASON_MEMORY), "BH032", machine_config.memory_line,
           "it is for a machine with %lu MiB of memory, but this machine has %lu MiB; "
           "change \"memory\"",
           said / MIB, ram_len / MIB);
    return false;
}

static bool check_ranges(const struct pages *p, const struct mem_range *ranges, unsigned n)
{
    bool good = true;

    for (unsigned i = 0; i < n; i++) {
        if (pages_free_in(p, ranges[i]) != 0)
            continue;
        misfit(BIT32(REASON_MEMORY), "BH033", machine_config.ranges_line,
               "this machine has no free memory from %lx to %lx; change \"ranges\"", ranges[i].base,
               ranges[i].base + ranges[i].len - 1);
        good = false;
    }
    return good;
}

static bool apply_ranges(struct pages *p)
{
    struct mem_range ranges[CONFIG_RANGES_MAX];
    unsigned n = machine_config.range_count;

    if (n > CONFIG_RANGES_MAX) {
        misfit(0, "BH033", machine_config.ranges_line, "%u ranges; at most %u are possible", n,
               CONFIG_RANGES_MAX);
        return false;
    }
    for (unsigned i = 0; i < n; i++)
        ranges[i] = (struct mem_range){.base = machine_config.ranges[i].base,
                                       .len = machine_config.ranges[i].len};
    if (!check_ranges(p, ranges, n))
        return false;
    if (n == 0)
        return true;
    if (pages_restrict(p, ranges, n) != OK)
        panic("ranges after the freeze");
    log_line("memory: %lu MiB free in the config's ranges", pages_free_bytes(p) / MIB);
    return true;
}

static void check_sum(const struct pages *p)
{
    struct mem_range for_blocks = {.base = PAGES_BLOCK_MIN, .len = UINT64_MAX - PAGES_BLOCK_MIN};
    uint64_t has = pages_free_in(p, for_blocks);
    uint64_t need = 0;
    const struct guest_config *largest = &machine_config.guests[0];

    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        const struct guest_config *c = &machine_config.guests[i];

        need += load_host_bytes(c);
        if (c->memory > largest->memory)
            largest = c;
    }
    for (uint32_t i = 0; i < machine_config.region_count; i++)
        need += machine_config.regions[i].len;
    if (need > has)
        misfit(BIT32(REASON_MEMORY), "BH032", largest->memory_line,
               "the guests need %lu MiB of memory, but only %lu MiB are free for them; "
               "change \"memory\"",
               align_up(need, MIB) / MIB, has / MIB);
}

void fit_memory(struct pages *p, uint64_t ram_len)
{
    if (check_ram(ram_len) && apply_ranges(p)) /* else less than all would be the same problem */
        check_sum(p);
}

void fit_refuse_block(const struct pages *p, unsigned line, const char *key, const char *what,
                      const char *name, const char *problem)
{
    uint64_t align = p->missing >= PAGE_2M ? PAGE_2M : PAGE_SIZE; /* as guest/load.c asks */
    uint64_t unit = p->missing % MIB == 0 ? MIB : KIB;
    char place[100];

    describe_place(place, sizeof(place), line);
    refusal_now(BIT32(REASON_MEMORY),
                "BH033: %s: %s %s: %s: it takes %lu %s, the largest free one has %lu; "
                "change \"%s\"",
                place, what, name, problem, p->missing / unit, unit == MIB ? "MiB" : "KiB",
                pages_largest_block(p, align) / unit, key);
}
