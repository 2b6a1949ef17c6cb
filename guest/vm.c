/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a VM: created at boot, powered on, reset, ended. */
#include "guest/vm.h"

#include <stdarg.h>

#include "arch/x86/cpu.h"
#include "arch/x86/virt.h"
#include "guest/console.h"
#include "guest/direct.h"
#include "guest/gmem.h"
#include "guest/load.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/verify.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/string.h"

#define LOG_LIMIT 20 /* lines a guest can cause in a second */

/* Unlike VM time it goes on from one power-on to the next. */
static uint64_t host_tsc(const struct vm *vm)
{
    return vm->tsc_start + vm_now(vm);
}

void vm_log(struct vm *vm, const char *fmt, ...)
{
    char text[200];
    va_list args;

    uint64_t now = host_tsc(vm);
    uint64_t began = vm->log_second;

    if (now >= began + vm->tsc_hz && atomic_compare_exchange_strong(&vm->log_second, &began, now))
        vm->logged = 0;

    uint32_t before = atomic_fetch_add(&vm->logged, 1);

    if (before >= LOG_LIMIT)
        return;
    va_start(args, fmt);
    fmt_vprint(text, sizeof(text), fmt, args);
    va_end(args);
    log_line("guest %s: %s%s", vm->config->name, text,
             before + 1 == LOG_LIMIT ? " (more such lines in this second are not shown)" : "");
}

bool vm_may_record(struct vm *vm)
{
    uint64_t now = host_tsc(vm);
    uint64_t last = vm->recorded;

    return (last == 0 || now >= last + vm->tsc_hz) &&
           atomic_compare_exchange_strong(&vm->recorded, &last, now);
}

const char *vm_state_name(const struct vm *vm)
{
    enum vm_state state = vm->state;

    switch (state) {
    case VM_LOADING: return "loading";
    case VM_RUNNING: return "running";
    case VM_POWERED_OFF: return "powered off";
    case VM_RESET_OFF: return "halted after a reset";
    case VM_CRASHED: return "crashed";
    case VM_REFUSED: return "refused";
    }
    return "?";
}

bool vm_all_ended(void)
{
    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        if (!vm_ended(&vms[i]))
            return false;
    }
    return true;
}

bool vm_on_core(uint32_t core, uint32_t *guest, uint32_t *vcpu)
{
    for (*guest = 0; *guest < machine_config.guest_count; ++*guest) {
        const struct guest_config *c = &machine_config.guests[*guest];

        for (*vcpu = 0; *vcpu < c->vcpu_count; ++*vcpu) {
            if (c->cores[*vcpu] == core)
                return true;
        }
    }
    return false;
}

/* --- creation --------------------------------------------------------------------------------- */

/*
 * "Virtualize APIC accesses" needs a page of host memory behind the registers. No access reaches it
 * while the vCPU's local APIC is in xAPIC mode; in other modes the vCPU runs on the tables without
 * it, and nothing is there.
 */
static enum err create_apic_page(struct vm *vm, struct pages *pool)
{
    if (vm->config->direct) {
        vm->apicv = APICV_DIRECT;
        return OK;
    }
    vm->apicv = virt_apicv_complete(virt_apicv() & ~vm->config->without);
    if ((vm->apicv & APICV_ACCESS) == 0)
        return OK;

    struct ept_range *page = &vm->memory[vm_mapped_count(vm)];

    *page = (struct ept_range){.gpa = LAPIC_GPA, .len = PAGE_SIZE, .perms = EPT_R | EPT_W};
    enum err e = pages_alloc(pool, &page->hpa);

    return e == OK ? load_make_ept(&vm->xapic_ept, pool, vm->memory, vm_mapped_count(vm) + 1) : e;
}

static enum err create_vcpu(struct vm *vm, uint32_t index, struct pages *pool)
{
    struct vcpu *v = &vm->vcpu[index];
    struct vcpu_memory memory = {.eptp = ept_pointer(&vm->ept)};

    if ((vm->apicv & APICV_ACCESS) != 0) {
        memory.xapic_eptp = ept_pointer(&vm->xapic_ept);
        memory.access_hpa = vm->memory[vm_mapped_count(vm)].hpa;
    }
    v->vm = vm;
    v->index = index;
    v->core = vm->config->cores[index];
    return vcpu_create(&v->arch, pool, &memory, (uint16_t)(1 + vm->index * VM_VCPU_MAX + index),
                       vm->apicv);
}

enum err vm_create(struct vm *vm, uint32_t index, struct pages *pool, uint64_t tsc_hz,
                   const char **problem)
{
    vm->config = &machine_config.guests[index];
    vm->index = index;
    vm->tsc_hz = tsc_hz;
    vm->state = VM_LOADING;

    enum err e = load_create(vm, pool, problem);

    if (e == OK)
        e = create_apic_page(vm, pool);
    if (e == OK && vm->config->fw_cfg)
        e = firmware_init(vm, problem);
    for (uint32_t i = 0; e == OK && i < vm->config->vcpu_count; i++) {
        *problem = "no memory for its VMCS";
        e = create_vcpu(vm, i, pool);
    }
    return e;
}

/* --- start ------------------------------------------------------------------------------------ */

static void start_vcpu(struct vcpu *v, const struct vcpu_start *start)
{
    const struct vm *vm = v->vm;
    struct cpuid_identity id = {v->index, vm->config->vcpu_count, vm->tsc_hz, vm->apic_timer_hz};

    cpuid_build(&v->cpuid, &id);
    msr_reset(&v->msrs, vm->config->type == GUEST_FIRMWARE);
    v->tsc_skew = 0;
    fetch_forget(v);
    if (vm->config->direct)
        direct_reset(v);
    /* The deadlines of the core's own timer are values of the host's TSC. */
    vcpu_reset(&v->arch, start, vm->config->direct ? 0 : 0 - vm->tsc_start);
    platform_set_apic_mode(v);
    if (start->mode == START_REAL) /* SDM 3A "Processor State After Reset" */
        v->arch.gpr[RDX] = cpuid_lookup(&v->cpuid, 1, 0)->eax;
    platform_advance(v);
}

static void rouse_others(struct vm *vm)
{
    for (uint32_t i = 1; i < vm->config->vcpu_count; i++)
        vcpu_rouse(&vm->vcpu[i]);
}

/* A life is over: no vCPU runs any more when this returns. This core may serve the console. */
static void stop_others(struct vm *vm)
{
    rouse_others(vm);
    while (atomic_load(&vm->parked) < vm->config->vcpu_count - 1u)
        cpu_take_interrupts();
}

/* Each of the other cores takes part in each life once, from start to stop_others(). */
static void run_other(struct vcpu *v)
{
    static const struct vcpu_start at_reset = {.mode = START_REAL};
    struct vm *vm = v->vm;

    for (uint32_t life = 0;; life++) {
        gmem_scrub(vm);
        while (atomic_load(&vm->life) == life && !vm_ended(vm)) {
            cpu_idle();
            gmem_scrub(vm);
        }
        if (vm_ended(vm))
            return;
        start_vcpu(v, &at_reset);
        vcpu_loop(v);
        vcpu_rouse(&vm->vcpu[0]); /* the wish may be this vCPU's */
        atomic_fetch_add(&vm->parked, 1);
    }
}

static void end(struct vm *vm, enum vm_state state)
{
    vm->state = state;
    rouse_others(vm);
    if (vm->has_exit_status)
        log_line("guest %s: exit status %u", vm->config->name, vm->exit_status);
    console_report(vm);
}

/* The memory is the VM's, and so is the work: its other cores have nothing else to do yet. */
static void scrub(struct vm *vm)
{
    gmem_scrub_begin(vm);
    rouse_others(vm);
    gmem_scrub(vm);
    while (!gmem_scrubbed(vm))
        cpu_take_interrupts();
}

static void step_end(struct vm *vm, enum vm_step step)
{
    vm->step_ends[step] = vm_now(vm);
}

/* Of the first start only, which follows a power-on at once; scripts/boot_svg reads it. */
static void report_start(const struct vm *vm, uint64_t begin)
{
    const uint64_t *ends = vm->step_ends;

    if (atomic_load(&vm->life) != 0)
        return;
    log_line("guest %s: start at TSC %lu, ticks of each: verify %lu scrub %lu load %lu reset %lu",
             vm->config->name, vm->tsc_start + begin, ends[VM_STEP_VERIFY] - begin,
             ends[VM_STEP_SCRUB] - ends[VM_STEP_VERIFY], ends[VM_STEP_LOAD] - ends[VM_STEP_SCRUB],
             ends[VM_STEP_RESET] - ends[VM_STEP_LOAD]);
}

/* From nothing, or from whatever the last life left, to the first instruction. */
static bool start(struct vm *vm)
{
    struct vcpu_start entry;
    uint64_t begin = vm_now(vm);

    vm->state = VM_LOADING;
    if (!verify_files(vm)) {
        end(vm, VM_REFUSED);
        return false;
    }
    step_end(vm, VM_STEP_VERIFY);
    scrub(vm);
    step_end(vm, VM_STEP_SCRUB);

    enum err e = load_start(vm, &entry);

    if (e != OK) { /* checked at boot: only a hypervisor bug gets here, and only this VM stops */
        log_line("guest %s: cannot be loaded: %s", vm->config->name, err_text(e));
        end(vm, VM_CRASHED);
        return false;
    }
    step_end(vm, VM_STEP_LOAD);
    vm->wish = WISH_RUN;
    platform_reset(vm);
    vm->state = VM_RUNNING;
    start_vcpu(&vm->vcpu[0], &entry);
    step_end(vm, VM_STEP_RESET);
    report_start(vm, begin);
    atomic_store(&vm->parked, 0);
    atomic_fetch_add(&vm->life, 1);
    rouse_others(vm);
    return true;
}

/* --- what comes after a life ------------------------------------------------------------------ */

/* By the wish that ended it. */
static const struct {
    enum vm_state state; /* if the guest stays off */
    const char *did;
    const char *noun;
    const char *key; /* in the config */
} endings[WISH_COUNT] = {
    [WISH_POWER_OFF] = {VM_POWERED_OFF, "switched itself off", "power-off", "on_poweroff"},
    [WISH_RESET] = {VM_RESET_OFF,   "reset itself",        "reset",     "on_reset"   },
    [WISH_CRASH] = {VM_CRASHED,     "crashed",             "crash",     "on_crash"   },
};

static const struct guest_policy *policy_for(const struct guest_config *c, enum vm_wish wish)
{
    switch (wish) {
    case WISH_POWER_OFF: return &c->on_poweroff;
    case WISH_RESET: return &c->on_reset;
    case WISH_RUN:
    case WISH_CRASH:
    case WISH_COUNT: break;
    }
    return &c->on_crash;
}

/* " within 60 s", or nothing. */
static void describe_window(const struct guest_policy *p, char *text, size_t size)
{
    text[0] = '\0';
    if (p->window_s != 0)
        fmt_print(text, size, " within %u s", p->window_s);
}

/*
 * Whether the config lets the guest go on. A window begins with the first ending in it and is over
 * window_s seconds later; then the next ending begins another one.
 */
static bool may_go_on(struct vm *vm, enum vm_wish wish)
{
    const struct guest_policy *p = policy_for(vm->config, wish);
    struct vm_endings *e = &vm->endings[wish];
    uint64_t now = host_tsc(vm);
    char window[24];

    if (p->action == GUEST_HALT || p->limit == 0)
        return p->action == GUEST_RESTART;
    if (e->count == 0 || (p->window_s != 0 && (now - e->since) / vm->tsc_hz >= p->window_s))
        *e = (struct vm_endings){.since = now};
    e->count++;
    if (e->count <= p->limit)
        return true;
    describe_window(p, window, sizeof(window));
    log_line("guest %s: %s %u times%s: stays off (%s: restart %u%s)", vm->config->name,
             endings[wish].did, e->count, window, endings[wish].key, p->limit, window);
    return false;
}

/* With the reset in start() nothing of what was before is left, but for what counts lives. */
static void power_on(struct vm *vm, uint64_t unix_time)
{
    vm_clock_start(vm);
    vm->has_exit_status = false;
    platform_power_on(vm, unix_time);
    load_cmos(vm);
}

/* A life is over, no vCPU runs. False: it was the last one. */
static bool next_life(struct vm *vm, uint64_t unix_time)
{
    enum vm_wish wish = vm->wish;

    if (wish == WISH_RUN) /* a vCPU stopped for no reason: only a hypervisor bug gets here */
        wish = WISH_CRASH;
    if (!may_go_on(vm, wish)) {
        end(vm, endings[wish].state);
        return false;
    }
    if (wish == WISH_RESET) {
        vm->has_exit_status = false; /* another vCPU's, which came too late */
        vm->resets++;
        vm_log(vm, "reset");
    } else {
        if (vm->has_exit_status)
            vm_log(vm, "exit status %u", vm->exit_status);
        vm->restarts++;
        vm_log(vm, "restart %u, after a %s", vm->restarts, endings[wish].noun);
        power_on(vm, unix_time);
    }
    return true;
}

static void run_first(struct vm *vm, uint64_t unix_time)
{
    power_on(vm, unix_time);

    uint64_t first = vm->tsc_start;

    do {
        if (!start(vm))
            return;
        vcpu_loop(&vm->vcpu[0]);
        vcpu_stop(&vm->vcpu[0].arch);
        stop_others(vm);
    } while (next_life(vm, unix_time + (host_tsc(vm) - first) / vm->tsc_hz));
}

void vm_run(struct vm *vm, uint32_t index, uint64_t unix_time)
{
    if (index == 0)
        run_first(vm, unix_time);
    else
        run_other(&vm->vcpu[index]);
}
