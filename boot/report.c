/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/report.h"

#include "arch/x86/cpu.h"
#include "guest/load.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"

#define OWNER_TEXT  120
#define PHASES_TEXT 200
#define PHASE_TEXT  40 /* " name ticks" is shorter */

/* A piece of host memory and what it is. */
struct piece {
    uint64_t base, len; /* len 0: none */
    char what[OWNER_TEXT];
};

/* --- cores ------------------------------------------------------------------------------------ */

/* Cores that nobody has, from this one on, in one line; returns the next. */
static unsigned report_idle(unsigned first)
{
    char name[16];
    uint32_t guest, vcpu;
    unsigned next = first + 1;

    while (next < cpu_count && !vm_on_core(next, &guest, &vcpu))
        next++;
    if (next == first + 1)
        fmt_print(name, sizeof(name), "%u", first);
    else
        fmt_print(name, sizeof(name), "%u..%u", first, next - 1);
    log_line("  core %-6s idle", name);
    return next;
}

static void report_cores(void)
{
    unsigned core = 0;

    while (core < cpu_count) {
        uint32_t guest, vcpu;

        if (!vm_on_core(core, &guest, &vcpu))
            core = report_idle(core);
        else
            log_line("  core %-6u %s vCPU %u%s", core++, machine_config.guests[guest].name, vcpu,
                     machine_config.guests[guest].direct ? ", with the local APIC" : "");
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Whether memory that begins at base is the next in the map: behind `from`, before *best. */
static bool is_next(const struct piece *best, uint64_t from, uint64_t base, uint64_t len)
{
    return len != 0 && base >= from && (best->len == 0 || base < best->base);
}

static void look_at_host(struct piece *best, uint64_t from, struct mem_range r, const char *what)
{
    if (!is_next(best, from, r.base, r.len))
        return;
    best->base = r.base;
    best->len = r.len;
    fmt_print(best->what, sizeof(best->what), "hypervisor: %s", what);
}

static void look_at_guest(struct piece *best, uint64_t from, const struct vm *vm)
{
    for (uint32_t i = 0; i < vm->memory_count; i++) {
        const struct ept_range *r = &vm->memory[i];

        if (!is_next(best, from, r->hpa, r->len))
            continue;
        best->base = r->hpa;
        best->len = r->len;
        fmt_print(best->what, sizeof(best->what), "%s %s at %lx", vm->config->name,
                  (r->perms & EPT_W) != 0 ? "RAM" : "ROM", r->gpa);
    }
}

/* "shared ring: linux writes, heartbeat reads" */
static void describe_region(char *buf, size_t size, uint32_t region)
{
    size_t len = fmt_print(buf, size, "shared %s", machine_config.regions[region].name);
    const char *before = ":";

    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        const struct guest_config *c = &machine_config.guests[i];

        for (uint32_t j = 0; j < c->share_count; j++) {
            if (c->shares[j].region != region)
                continue;
            len += fmt_print(buf + len, size - len, "%s %s %s", before, c->name,
                             c->shares[j].write ? "writes" : "reads");
            before = ",";
        }
    }
}

static void look_at_region(struct piece *best, uint64_t from, uint32_t region)
{
    const struct mem_range *r = &load_regions[region];

    if (!is_next(best, from, r->base, r->len))
        return;
    best->base = r->base;
    best->len = r->len;
    describe_region(best->what, sizeof(best->what), region);
}

void report_partitions(struct mem_range image, struct mem_range pool)
{
    uint64_t from = 0;

    log_line("partition map");
    report_cores();
    for (;;) {
        struct piece best = {.len = 0};

        look_at_host(&best, from, image, "image");
        look_at_host(&best, from, pool, "page tables, core areas");
        for (uint32_t i = 0; i < machine_config.guest_count; i++)
            look_at_guest(&best, from, &vms[i]);
        for (uint32_t i = 0; i < machine_config.region_count; i++)
            look_at_region(&best, from, i);
        if (best.len == 0)
            return;

        bool whole = best.len % MIB == 0;

        log_line("  %-11s %09lx-%09lx %6lu %s  %s", from == 0 ? "memory" : "", best.base,
                 best.base + best.len - 1, best.len / (whole ? MIB : KIB), whole ? "MiB" : "KiB",
                 best.what);
        from = best.base + 1;
    }
}

/* --- phases ----------------------------------------------------------------------------------- */

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_ENTRY] = "entry",   [PHASE_BOOT_INFO] = "boot-info", [PHASE_MEMORY] = "memory",
    [PHASE_TABLES] = "tables", [PHASE_CORE] = "core",           [PHASE_ACPI] = "acpi",
    [PHASE_APIC] = "apic",     [PHASE_CLOCK] = "clock",         [PHASE_CORES] = "cores",
    [PHASE_FIT] = "fit",       [PHASE_REGIONS] = "regions",     [PHASE_GUESTS] = "guests",
    [PHASE_MAP] = "map",       [PHASE_CONSOLE] = "console",     [PHASE_ISOLATION] = "isolation",
};

/* As many to a line as fit, whatever their length. */
void report_phases(uint64_t hand_over_tsc, const uint64_t ends[PHASE_COUNT])
{
    char text[PHASES_TEXT];
    size_t len = 0;
    uint64_t start = hand_over_tsc;

    log_line("phases: hand-over at TSC %lu, ticks of each:", hand_over_tsc);
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        len +=
            fmt_print(text + len, sizeof(text) - len, " %s %lu", phase_names[i], ends[i] - start);
        start = ends[i];
        if (len > sizeof(text) - PHASE_TEXT || i + 1 == PHASE_COUNT) {
            log_line("phases:%s", text);
            len = 0;
        }
    }
}
