/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two corrections of Bochs 3.0, preloaded by the wrapper that scripts/setup writes. They need no
 * source and no offsets, only names that the debugger build exports.
 *
 * 1. The multiprocessor loop. Bochs leaves an exception or a VM exit by longjmp. Its one-processor loop then commits the new
 * RIP (prev_rip = RIP); its multiprocessor loop does not. If the next thing that happens to that
 * processor is an event that restores prev_rip (an interrupt that exits from a VMX guest), the
 * guest is resumed at the instruction that had faulted, with the exception's frame already pushed:
 * it dies. With two processors Debian's kernel under any hypervisor dies so at its first page
 * fault. Here every longjmp commits RIP first, as the one-processor loop does.
 *
 * 2. Virtual-interrupt delivery. When a host interrupt arrives while a virtual interrupt is pending,
 * Bochs delivers the virtual one first, even if the guest's IF is 0: a guest's interrupt handler
 * then runs inside its critical sections. HandleExtInterrupt() ends in a jump to the delivery; that
 * jump is led through a check of IF. The host interrupt then waits until the guest sets IF.
 *
 * With BULKHEAD_BOCHS_SMP=report in the environment each correction is announced on stderr once:
 * so scripts/bochs/check sees that the names were found and that Bochs jumps through here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct cpu; /* Bochs's class BX_CPU_C */

static struct {
    bool known;
    struct cpu ***cpus;
    uint8_t *count;
    unsigned *debugged;                      /* whose RIP get_rip() reads */
    uint64_t (*get_rip)(void);
    bool (*set_rip)(struct cpu *, uint64_t); /* sets RIP and prev_rip */
    void (*jump)(struct __jmp_buf_tag *, int) __attribute__((noreturn));
    bool to_report;
} bochs;

static void find_names(void)
{
    bochs.cpus = dlsym(RTLD_DEFAULT, "bx_cpu_array");
    bochs.count = dlsym(RTLD_DEFAULT, "bx_cpu_count");
    bochs.debugged = dlsym(RTLD_DEFAULT, "dbg_cpu");
    *(void **)&bochs.get_rip = dlsym(RTLD_DEFAULT, "_Z14bx_dbg_get_ripv");
    *(void **)&bochs.set_rip = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C11dbg_set_eipEm");
    *(void **)&bochs.jump = dlsym(RTLD_NEXT, "__longjmp_chk");
    bochs.known = bochs.cpus && bochs.count && bochs.debugged && bochs.get_rip && bochs.set_rip;
    bochs.to_report = getenv("BULKHEAD_BOCHS_SMP") != NULL;
    if (bochs.jump == NULL)
        abort();
}

static void report_once(void)
{
    static const char text[] = "\nbochs-smp: RIP committed\n";

    if (bochs.to_report)
        bochs.to_report = write(STDERR_FILENO, text, sizeof text - 1) < 0;
}

static void commit_rip(void)
{
    unsigned before = *bochs.debugged;

    for (unsigned i = 0; i < *bochs.count; i++) {
        *bochs.debugged = i;
        bochs.set_rip((*bochs.cpus)[i], bochs.get_rip());
    }
    *bochs.debugged = before;
    report_once();
}

void __longjmp_chk(struct __jmp_buf_tag env[1], int value)
{
    if (bochs.jump == NULL)
        find_names();
    if (bochs.known && *bochs.count > 1)
        commit_rip();
    bochs.jump(env, value);
}

/* --- virtual interrupts ----------------------------------------------------------------------- */

#define IF         0x200u
#define JMP_REL32  0xe9u
#define SEARCH     0x180 /* bytes of HandleExtInterrupt() */

static uint32_t (*force_flags)(struct cpu *); /* RFLAGS, brought up to date */
static void (*deliver)(struct cpu *);

static void deliver_if_enabled(struct cpu *cpu)
{
    if ((force_flags(cpu) & IF) != 0)
        deliver(cpu);
}

/* Lead the jump at `jump` to deliver_if_enabled. */
static bool redirect(uint8_t *jump)
{
    intptr_t distance = (intptr_t)deliver_if_enabled - (intptr_t)(jump + 5);
    int32_t rel32 = (int32_t)distance;
    uintptr_t page = (uintptr_t)jump & ~4095ul;

    if (rel32 != distance || mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    memcpy(jump + 1, &rel32, sizeof(rel32));
    return mprotect((void *)page, 8192, PROT_READ | PROT_EXEC) == 0;
}

__attribute__((constructor)) static void correct_virtual_interrupts(void)
{
    static const char text[] = "\nbochs-smp: virtual interrupts wait for IF\n";
    uint8_t *code = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C18HandleExtInterruptEv");
    int32_t rel32;

    *(void **)&force_flags = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C11force_flagsEv");
    *(void **)&deliver = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C29VMX_Deliver_Virtual_InterruptEv");
    if (code == NULL || force_flags == NULL || deliver == NULL)
        return;
    for (uint8_t *at = code; at < code + SEARCH; at++) {
        memcpy(&rel32, at + 1, sizeof(rel32));
        if (*at != JMP_REL32 || at + 5 + rel32 != (uint8_t *)deliver)
            continue;
        if (redirect(at) && getenv("BULKHEAD_BOCHS_SMP") != NULL)
            (void)!write(STDERR_FILENO, text, sizeof text - 1);
        return;
    }
}
