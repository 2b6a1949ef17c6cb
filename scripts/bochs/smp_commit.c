/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three corrections of Bochs 3.0, preloaded by the wrapper that scripts/setup writes. They need no
 * source and no offsets, only names that the debugger build exports.
 *
 * The multiprocessor loop. Bochs leaves an exception or a VM exit by longjmp. Its one-processor loop then commits the new
 * RIP (prev_rip = RIP); its multiprocessor loop does not. If the next thing that happens to that
 * processor is an event that restores prev_rip (an interrupt that exits from a VMX guest), the
 * guest is resumed at the instruction that had faulted, with the exception's frame already pushed:
 * it dies. With two processors Debian's kernel under any hypervisor dies so at its first page
 * fault. Here every longjmp commits RIP first, as the one-processor loop does.
 *
 * Sleep. A processor in HLT wakes for interrupt-window exiting and for a virtual interrupt (SDM 3C
 * "Interrupt-Window Exiting and Virtual-Interrupt Delivery", "Virtual-Interrupt Delivery"); Bochs
 * does not. What became pending before a guest's STI and HLT is so lost until the host's next
 * interrupt. The set of events that wake is a constant in handleWaitForEvent(); here it gets both.
 *
 * Virtual interrupts while IF = 0. A host interrupt that comes to a guest with IF = 0 while a virtual
 * interrupt is pending makes HandleExtInterrupt() deliver that one, which IF holds back, instead.
 * Its test of "pending" here becomes one of "pending and not masked".
 *
 * With BULKHEAD_BOCHS_SMP=report in the environment the first commit is announced on stderr: so
 * scripts/bochs/check sees that names and constant were found and that Bochs jumps through here.
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
    bool corrected; /* sleep and delivery */
    bool to_report;
} bochs;

/* Bochs's events, as bits of pending_event. */
#define EVENTS_THAT_WAKE      0xe097u
#define EVENT_IRQ_WINDOW      0x0040u
#define EVENT_VIRTUAL_IRQ     0x0200u
#define WAIT_FOR_EVENT_LEN    512

#define HANDLE_INTERRUPT_LEN  128
#define TEST_LEN              10

/* The constant's place in the code that waits; NULL if it is not there exactly once. */
static uint8_t *find_constant(uint8_t *code)
{
    const uint32_t constant = EVENTS_THAT_WAKE;
    uint8_t *at = code == NULL ? NULL : memmem(code, WAIT_FOR_EVENT_LEN, &constant, 4);

    if (at == NULL || memmem(at + 4, WAIT_FOR_EVENT_LEN - (size_t)(at + 4 - code), &constant, 4))
        return NULL;
    return at;
}

static bool write_code(uint8_t *at, const void *code, size_t len)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)((uintptr_t)at & ~(page - 1));

    if (mprotect(start, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    memcpy(at, code, len);
    return mprotect(start, 2 * page, PROT_READ | PROT_EXEC) == 0;
}

static bool correct_sleep(void)
{
    const uint32_t constant = EVENTS_THAT_WAKE | EVENT_IRQ_WINDOW | EVENT_VIRTUAL_IRQ;
    uint8_t *at = find_constant(dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C18handleWaitForEventEv"));

    return at != NULL && write_code(at, &constant, 4);
}

/* mov %rbx, %rdi; testb $2, pending_event + 1(%rbx): bit 9; NULL if it is not there. */
static uint8_t *find_test(uint8_t *code)
{
    static const uint8_t begin[] = {0x48, 0x89, 0xdf, 0xf6, 0x83};
    uint8_t *at = code == NULL ? NULL : memmem(code, HANDLE_INTERRUPT_LEN, begin, sizeof begin);

    return at != NULL && at[TEST_LEN - 1] == 0x02 ? at : NULL;
}

/* A page that a CALL at `from` reaches, which is within 2 GiB. */
static uint8_t *page_near(const uint8_t *from)
{
    for (intptr_t i = -2000; i < 2000; i++) {
        void *wish = (void *)(((intptr_t)from & ~0xfffl) + (i << 20));
        void *got = mmap(wish, 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        if (got == wish)
            return got;
        if (got != MAP_FAILED)
            munmap(got, 4096);
    }
    return NULL;
}

/* event_mask lies behind pending_event, 4 bytes each. */
static bool correct_delivery(void)
{
    uint8_t *at = find_test(dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C18HandleExtInterruptEv"));
    uint8_t test[] = {
        0x48, 0x89, 0xdf,                   /* mov %rbx, %rdi                    */
        0x8a, 0x83, 0x00, 0x00, 0x00, 0x00, /* mov event_mask + 1(%rbx), %al     */
        0xf6, 0xd0,                         /* not %al                           */
        0x22, 0x83, 0x00, 0x00, 0x00, 0x00, /* and pending_event + 1(%rbx), %al  */
        0xa8, 0x02,                         /* test $2, %al                      */
        0xc3,                               /* ret: the flags are the result     */
    };
    uint8_t call[TEST_LEN] = {0xe8, 0, 0, 0, 0, 0x0f, 0x1f, 0x44, 0x00, 0x00}; /* call, nop */
    uint8_t *page = at == NULL ? NULL : page_near(at);

    if (page == NULL)
        return false;

    uint32_t pending, mask;
    int32_t distance = (int32_t)(page - (at + 5));

    memcpy(&pending, at + 5, 4);
    mask = pending + 4;
    memcpy(test + 5, &mask, 4);
    memcpy(test + 13, &pending, 4);
    memcpy(call + 1, &distance, 4);
    memcpy(page, test, sizeof test);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 && write_code(at, call, sizeof call);
}

static void find_names(void)
{
    bochs.cpus = dlsym(RTLD_DEFAULT, "bx_cpu_array");
    bochs.count = dlsym(RTLD_DEFAULT, "bx_cpu_count");
    bochs.debugged = dlsym(RTLD_DEFAULT, "dbg_cpu");
    *(void **)&bochs.get_rip = dlsym(RTLD_DEFAULT, "_Z14bx_dbg_get_ripv");
    *(void **)&bochs.set_rip = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C11dbg_set_eipEm");
    *(void **)&bochs.jump = dlsym(RTLD_NEXT, "__longjmp_chk");
    bochs.known = bochs.cpus && bochs.count && bochs.debugged && bochs.get_rip && bochs.set_rip;
    bochs.corrected = correct_sleep() && correct_delivery();
    bochs.to_report = getenv("BULKHEAD_BOCHS_SMP") != NULL;
    if (bochs.jump == NULL)
        abort();
}

static void report_once(void)
{
    static const char text[] = "\nbochs-smp: RIP committed, interrupts corrected\n";
    static const char part[] = "\nbochs-smp: RIP committed\n";
    bool all = bochs.corrected;

    if (bochs.to_report)
        bochs.to_report = write(STDERR_FILENO, all ? text : part,
                                all ? sizeof text - 1 : sizeof part - 1) < 0;
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
