/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A correction of Bochs 3.0's multiprocessor loop, preloaded by the wrapper that scripts/setup
 * writes. It needs no source and no offsets, only names that the debugger build exports.
 *
 * Bochs leaves an exception or a VM exit by longjmp. Its one-processor loop then commits the new
 * RIP (prev_rip = RIP); its multiprocessor loop does not. If the next thing that happens to that
 * processor is an event that restores prev_rip (an interrupt that exits from a VMX guest), the
 * guest is resumed at the instruction that had faulted, with the exception's frame already pushed:
 * it dies. With two processors Debian's kernel under any hypervisor dies so at its first page
 * fault. Here every longjmp commits RIP first, as the one-processor loop does.
 *
 * With BULKHEAD_BOCHS_SMP=report in the environment the first commit is announced on stderr: so
 * scripts/bochs/check sees that the names were found and that Bochs jumps through here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
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
