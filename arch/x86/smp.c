/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/smp.h"

#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/tsc.h"
#include "lib/string.h"
#include "mm/phys.h"

#define INIT_SETTLE_US    200
#define SECOND_STARTUP_US 1000
#define ANSWER_US         100000

/* The words at the end of the trampoline page. arch/x86/trampoline.S has the same offsets. */
struct trampoline_args {
    uint32_t early_cr3;
    uint32_t reserved;
    uint64_t final_cr3;
    uint64_t stack_top;
    uint64_t cpu;
};
#define TRAMPOLINE_ARGS 0xf00

extern char trampoline_start[], trampoline_end[];

/* The page in use; set once by smp_prepare. */
static uint64_t trampoline_hpa;

static struct trampoline_args *args(void)
{
    return (struct trampoline_args *)((char *)phys_window(trampoline_hpa) + TRAMPOLINE_ARGS);
}

void smp_prepare(uint64_t low_hpa, uint64_t early_cr3, uint64_t final_cr3)
{
    trampoline_hpa = low_hpa;
    memcpy(phys_window(low_hpa), trampoline_start,
           (uint64_t)trampoline_end - (uint64_t)trampoline_start);
    *args() = (struct trampoline_args){
        .early_cr3 = (uint32_t)early_cr3,
        .final_cr3 = final_cr3,
    };
}

static bool wait_online(const struct cpu *c, uint64_t tsc_hz, uint64_t us)
{
    for (uint64_t waited = 0; waited < us; waited += 10) {
        if (atomic_load_explicit(&c->online, memory_order_acquire))
            return true;
        tsc_delay_us(tsc_hz, 10);
    }
    return false;
}

bool smp_start(struct cpu *c, uint64_t tsc_hz)
{
    uint8_t page = (uint8_t)(trampoline_hpa >> 12);

    args()->stack_top = c->stack_top;
    args()->cpu = (uint64_t)c;
    apic_send_init(c->apic_id);
    tsc_delay_us(tsc_hz, INIT_SETTLE_US);
    apic_send_startup(c->apic_id, page);
    if (wait_online(c, tsc_hz, SECOND_STARTUP_US))
        return true;
    apic_send_startup(c->apic_id, page);
    return wait_online(c, tsc_hz, ANSWER_US);
}
