/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The format, version 1. Each line is "[bulkhead] dump N " and a text; N counts from 0, so that a
 * lost line is missed; guests' lines begin with their names. Numbers are hexadecimal, but for N,
 * indices and counts (marked d):
 *
 *   begin 1 NAME                          name of the config
 *   host bits d pool BASE USED windows VA LEN cr3 X
 *                                         physical address width; where table pages come from; the
 *                                         hypervisor's addresses that show guest memory; its CR3
 *   area BASE LEN WHAT                    host-physical memory: "ram" by the boot memory map, or
 *                                         whose it is; may overlap, then "ram" comes last
 *   core d apic d usable d                of each core
 *   vcpu GUEST d core d state WORD eptp X xapic X access X fields d
 *                                         the EPT pointers that the hypervisor chooses from for
 *                                         this vCPU, and the page behind FEE00000H in the second
 *   field GUEST d NUMBER=VALUE ...        VMCS fields by their encodings, as VMREAD gives them
 *   page HPA OFFSET ITEM ...              64-bit words of a page of tables or bitmaps from OFFSET
 *                                         on; ITEM is WORD, WORD*d (d times the same) or
 *                                         WORD+STEP*d (d words, each STEP more than the one before)
 *   end d                                 lines in all, with this one
 */
#include "guest/dump.h"

#include <stdatomic.h>

#include "arch/x86/cpu.h"
#include "arch/x86/layout.h"
#include "guest/console.h"
#include "guest/isolation.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "mm/phys.h"

#define WORDS          (PAGE_SIZE / 8)
#define ITEM_LEN       40 /* the longest item, with a space and a NUL */
#define LINE_FULL      90 /* no further item is begun behind this column */
#define FIELDS_ON_LINE 4u

enum stage { STAGE_BEGIN, STAGE_AREAS, STAGE_CORES, STAGE_VCPUS, STAGE_PAGES, STAGE_END };

/* There is one console, and one dump at a time on it. */
static struct {
    const struct isolation *found; /* set once */
    atomic_bool running;
    /* Guarded by the console's lock while it is running: */
    enum stage stage;
    uint32_t line;
    uint32_t at;  /* in the stage: which area, core, vCPU, page */
    uint32_t sub; /* in that: which field or word */
} dump;

/* --- asking ----------------------------------------------------------------------------------- */

void dump_init(const struct isolation *found)
{
    dump.found = found;
}

static bool all_answered(void)
{
    for (uint32_t g = 0; g < machine_config.guest_count; g++) {
        for (uint32_t i = 0; i < vms[g].config->vcpu_count; i++) {
            if (atomic_load(&vms[g].vcpu[i].fields_wanted))
                return false;
        }
    }
    return true;
}

bool dump_ready(void)
{
    return atomic_load(&dump.running) && all_answered();
}

void dump_request(void)
{
    if (dump.found == NULL || atomic_load(&dump.running)) {
        log_line("table dump: %s", all_answered() ? "not done yet" : "a core has not answered yet");
        return;
    }
    dump.stage = STAGE_BEGIN;
    dump.line = dump.at = dump.sub = 0;
    for (uint32_t g = 0; g < machine_config.guest_count; g++) {
        for (uint32_t i = 0; i < vms[g].config->vcpu_count; i++)
            atomic_store(&vms[g].vcpu[i].fields_wanted, true);
    }
    atomic_store(&dump.running, true);
    for (uint32_t g = 0; g < machine_config.guest_count; g++) {
        for (uint32_t i = 0; i < vms[g].config->vcpu_count; i++)
            vcpu_rouse(&vms[g].vcpu[i]);
    }
}

void dump_answer(uint32_t core)
{
    if (!atomic_load(&dump.running))
        return;
    for (uint32_t g = 0; g < machine_config.guest_count; g++) {
        for (uint32_t i = 0; i < vms[g].config->vcpu_count; i++) {
            struct vcpu *v = &vms[g].vcpu[i];

            if (v->core != core || !atomic_load(&v->fields_wanted))
                continue;
            v->field_count = vcpu_get_fields(&v->arch, v->fields);
            atomic_store(&v->fields_wanted, false);
        }
    }
    console_wake();
}

/* --- lines: each function writes one, or says with 0 that its stage is over ---------------------
 */

static size_t begin_line(char *line, size_t size)
{
    const struct host_map *host = dump.found->host;

    switch (dump.at++) {
    case 0: return fmt_print(line, size, "begin 1 %s", machine_config.name);
    case 1:
        return fmt_print(line, size, "host bits %u pool %lx %lx windows %lx %lx cr3 %lx",
                         host->phys_bits, host->pool_base, host->pool_used, WINDOW_VA,
                         (uint64_t)CPU_MAX * WINDOW_SLOTS * PAGE_2M, host->root_hpa);
    }
    return 0;
}

static size_t area_line(char *line, size_t size)
{
    const struct host_map *host = dump.found->host;
    const struct host_area *area = &host->areas[dump.at];

    if (dump.at++ >= host->area_count)
        return 0;
    return fmt_print(line, size, "area %lx %lx %s", area->base, area->len,
                     area->what == NULL ? "ram" : area->what);
}

static size_t core_line(char *line, size_t size)
{
    const struct cpu *c = cpu_list[dump.at];

    if (dump.at++ >= cpu_count)
        return 0;
    return fmt_print(line, size, "core %u apic %u usable %u", c->index, c->apic_id, c->usable);
}

static const char *activity(const struct vcpu *v)
{
    switch (v->activity) {
    case VCPU_ACTIVE: return "active";
    case VCPU_WAIT_SIPI: return "wait-for-sipi";
    case VCPU_STARTING: return "starting";
    }
    return "?";
}

static size_t fields_line(const struct vcpu *v, char *line, size_t size)
{
    size_t len = fmt_print(line, size, "field %s %u", v->vm->config->name, v->index);

    for (unsigned n = 0; n < FIELDS_ON_LINE && dump.sub <= v->field_count; n++) {
        const struct vcpu_field *f = &v->fields[dump.sub++ - 1];

        len += fmt_print(line + len, size - len, " %x=%lx", f->number, f->value);
    }
    return len;
}

/* The next vCPU that there is, and of which something is left to show; NULL: none. */
static const struct vcpu *next_vcpu(void)
{
    while (dump.at < machine_config.guest_count * VM_VCPU_MAX) {
        const struct vm *vm = &vms[dump.at / VM_VCPU_MAX];
        const struct vcpu *v = &vm->vcpu[dump.at % VM_VCPU_MAX];

        if (dump.at % VM_VCPU_MAX < vm->config->vcpu_count && dump.sub <= v->field_count)
            return v;
        dump.sub = 0;
        dump.at++;
    }
    return NULL;
}

/* A vCPU's line, then its fields'. */
static size_t vcpu_line(char *line, size_t size)
{
    const struct vcpu *v = next_vcpu();

    if (v == NULL)
        return 0;
    if (dump.sub > 0)
        return fields_line(v, line, size);
    dump.sub = 1;
    return fmt_print(line, size,
                     "vcpu %s %u core %u state %s eptp %lx xapic %lx access %lx fields %u",
                     v->vm->config->name, v->index, v->core, activity(v), v->arch.memory.eptp,
                     v->arch.memory.xapic_eptp, v->arch.memory.access_hpa, v->field_count);
}

/* The longest run of words with one difference; two words are a run if they are equal. */
static uint32_t print_item(const volatile uint64_t *words, uint32_t at, char *out, size_t *len)
{
    uint64_t first = words[at];
    uint64_t step = at + 1 < WORDS ? words[at + 1] - first : 0;
    uint32_t n = 1;

    while (at + n < WORDS && words[at + n] == first + n * step)
        n++;
    if (n == 1 || (n == 2 && step != 0)) {
        *len = fmt_print(out, ITEM_LEN, " %lx", first);
        return 1;
    }
    if (step == 0)
        *len = fmt_print(out, ITEM_LEN, " %lx*%u", first, n);
    else
        *len = fmt_print(out, ITEM_LEN, " %lx+%lx*%u", first, step, n);
    return n;
}

static size_t page_line(char *line, size_t size)
{
    const struct isolation *found = dump.found;
    uint64_t hpa;
    size_t len;

    if (dump.sub == WORDS) {
        dump.sub = 0;
        dump.at++;
    }
    while (dump.at < ISOLATION_POOL_PAGES && (found->owner[dump.at] & ISOLATION_TABLE) == 0)
        dump.at++;
    if (dump.at == ISOLATION_POOL_PAGES)
        return 0;
    hpa = found->host->pool_base + dump.at * PAGE_SIZE;
    len = fmt_print(line, size, "page %lx %x", hpa, 8 * dump.sub);
    while (dump.sub < WORDS && len < LINE_FULL && size - len > ITEM_LEN) {
        size_t item;

        dump.sub += print_item(phys_table(hpa), dump.sub, line + len, &item);
        len += item;
    }
    return len;
}

static size_t stage_line(char *line, size_t size)
{
    switch (dump.stage) {
    case STAGE_BEGIN: return begin_line(line, size);
    case STAGE_AREAS: return area_line(line, size);
    case STAGE_CORES: return core_line(line, size);
    case STAGE_VCPUS: return vcpu_line(line, size);
    case STAGE_PAGES: return page_line(line, size);
    case STAGE_END: break;
    }
    return fmt_print(line, size, "end %u", dump.line + 1);
}

size_t dump_next(char *line, size_t size)
{
    size_t mark;
    size_t len;

    if (!dump_ready())
        return 0;
    mark = fmt_print(line, size, "[bulkhead] dump %u ", dump.line);
    len = stage_line(line + mark, size - mark);
    while (len == 0) {
        dump.stage++;
        dump.at = dump.sub = 0;
        len = stage_line(line + mark, size - mark);
    }
    dump.line++;
    if (dump.stage == STAGE_END) /* last: from here on the console's core may begin another one */
        atomic_store(&dump.running, false);
    return mark + len;
}
