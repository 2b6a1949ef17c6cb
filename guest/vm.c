/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a VM: created at boot, powered on, reset, ended. */
#include "guest/vm.h"

#include <stdarg.h>

#include "arch/x86/cpu.h"
#include "arch/x86/virt.h"
#include "guest/console.h"
#include "guest/load.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/string.h"

#define LOG_LIMIT 20 /* lines a guest can cause in a second */

void vm_log(struct vm *vm, const char *fmt, ...)
{
    char text[200];
    va_list args;

    uint64_t now = vm_now(vm);
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

const char *vm_state_name(const struct vm *vm)
{
    enum vm_state state = vm->state;

    switch (state) {
    case VM_LOADING: return "loading";
    case VM_RUNNING: return "running";
    case VM_POWERED_OFF: return "powered off";
    case VM_CRASHED: return "crashed";
    }
    return "?";
}

static bool vm_ended(const struct vm *vm)
{
    return vm->state == VM_POWERED_OFF || vm->state == VM_CRASHED;
}

bool vm_all_ended(void)
{
    for (uint32_t i = 0; i < machine_config.guest_count; i++) {
        if (!vm_ended(&vms[i]))
            return false;
    }
    return true;
}

/* --- creation --------------------------------------------------------------------------------- */

/*
 * "Virtualize APIC accesses" needs a page of host memory behind the registers. No access reaches it
 * while the vCPU's local APIC is in xAPIC mode; in other modes the vCPU runs on the tables without
 * it, and nothing is there.
 */
static enum err create_apic_page(struct vm *vm, struct pages *pool)
{
    vm->apicv = virt_apicv_complete(virt_apicv() & ~vm->config->without);
    if ((vm->apicv & APICV_ACCESS) == 0)
        return OK;

    struct ept_range *page = &vm->memory[vm->memory_count];

    *page = (struct ept_range){.gpa = LAPIC_GPA, .len = PAGE_SIZE, .perms = EPT_R | EPT_W};
    enum err e = pages_alloc(pool, &page->hpa);

    return e == OK ? load_make_ept(&vm->xapic_ept, pool, vm->memory, vm->memory_count + 1) : e;
}

static enum err create_vcpu(struct vm *vm, uint32_t index, struct pages *pool)
{
    struct vcpu *v = &vm->vcpu[index];
    struct vcpu_memory memory = {.eptp = ept_pointer(&vm->ept)};

    if ((vm->apicv & APICV_ACCESS) != 0) {
        memory.xapic_eptp = ept_pointer(&vm->xapic_ept);
        memory.access_hpa = vm->memory[vm->memory_count].hpa;
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
    struct cpuid_identity id = {v->index, vm->config->vcpu_count, vm->tsc_hz};

    cpuid_build(&v->cpuid, &id);
    msr_reset(&v->msrs, vm->config->type == GUEST_FIRMWARE);
    v->tsc_skew = 0;
    vcpu_reset(&v->arch, start, 0 - vm->tsc_start);
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
        while (atomic_load(&vm->life) == life && !vm_ended(vm))
            cpu_idle();
        if (vm_ended(vm))
            return;
        start_vcpu(v, &at_reset);
        vcpu_loop(v);
        vcpu_rouse(&vm->vcpu[0]); /* the wish may be this vCPU's */
        atomic_fetch_add(&vm->parked, 1);
    }
}

/* From nothing, or from whatever the last life left, to the first instruction. */
static bool start(struct vm *vm)
{
    struct vcpu_start entry;
    enum err e = load_start(vm, &entry);

    if (e != OK) { /* checked at boot: only a hypervisor bug gets here, and only this VM stops */
        log_line("guest %s: cannot be loaded: %s", vm->config->name, err_text(e));
        return false;
    }
    vm->wish = WISH_RUN;
    platform_reset(vm);
    vm->state = VM_RUNNING;
    start_vcpu(&vm->vcpu[0], &entry);
    atomic_store(&vm->parked, 0);
    atomic_fetch_add(&vm->life, 1);
    rouse_others(vm);
    return true;
}

static void end(struct vm *vm, enum vm_state state)
{
    vm->state = state;
    rouse_others(vm);
    if (vm->has_exit_status)
        log_line("guest %s: exit status %u", vm->config->name, vm->exit_status);
    console_report(vm);
}

static void run_first(struct vm *vm, uint64_t unix_time)
{
    vm_clock_start(vm);
    platform_power_on(vm, unix_time);
    load_cmos(vm);
    for (;;) {
        if (!start(vm)) {
            end(vm, VM_CRASHED);
            return;
        }
        vcpu_loop(&vm->vcpu[0]);
        stop_others(vm);

        enum vm_wish wish = vm->wish;

        switch (wish) {
        case WISH_RESET:
            vm->resets++;
            vm_log(vm, "reset");
            break;
        case WISH_POWER_OFF: end(vm, VM_POWERED_OFF); return;
        case WISH_RUN:
        case WISH_CRASH: end(vm, VM_CRASHED); return;
        }
    }
}

void vm_run(struct vm *vm, uint32_t index, uint64_t unix_time)
{
    if (index == 0)
        run_first(vm, unix_time);
    else
        run_other(&vm->vcpu[index]);
}
