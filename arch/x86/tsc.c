/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel 82C54 data sheet, "Mode 0: Interrupt on Terminal Count"; SDM 2A "CPUID" leaf 15H. */
#include "arch/x86/tsc.h"

#include <stdbool.h>

#include "arch/x86/asm.h"
#include "lib/log.h"

#define PIT_HZ         1193182ull
#define MEASURE_TICKS  11932        /* 10 ms */
#define PATIENCE_TICKS (1ull << 30) /* more than 10 ms at any frequency; below a second at most */

#define PORT_CHANNEL2  0x42
#define PORT_COMMAND   0x43
#define PORT_CONTROL   0x61
#define GATE2          0x01
#define SPEAKER        0x02
#define OUT2           0x20

/* TSC ticks in MEASURE_TICKS of the 8254; 0: its output never rose. */
static uint64_t measure_once(void)
{
    outb(PORT_CONTROL, (uint8_t)((inb(PORT_CONTROL) & ~(SPEAKER | GATE2)) | GATE2));
    outb(PORT_COMMAND, 0xb0); /* channel 2, low then high byte, mode 0 */
    outb(PORT_CHANNEL2, MEASURE_TICKS & 0xff);
    outb(PORT_CHANNEL2, MEASURE_TICKS >> 8);

    uint64_t start = rdtsc();

    if (inb(PORT_CONTROL) & OUT2)
        return 0; /* mode 0's output is low until the count ends: there is no 8254 */
    while (rdtsc() - start < PATIENCE_TICKS) {
        if (inb(PORT_CONTROL) & OUT2)
            return rdtsc() - start;
    }
    return 0;
}

/* The least disturbed of three runs, in Hz. */
static uint64_t measured_hz(void)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t ticks = measure_once();

        if (ticks == 0)
            return 0;
        best = ticks < best ? ticks : best;
    }
    /* The count is loaded with the next tick and OUT rises one tick after zero. */
    return best * PIT_HZ / (MEASURE_TICKS + 1);
}

static uint64_t cpuid_hz(void)
{
    if (cpuid(0, 0).eax < 0x15)
        return 0;

    struct cpuid_regs r = cpuid(0x15, 0);

    if (r.eax == 0 || r.ebx == 0 || r.ecx == 0)
        return 0;
    return (uint64_t)r.ecx * r.ebx / r.eax;
}

uint64_t tsc_measure(void)
{
    uint64_t measured = measured_hz();
    uint64_t told = cpuid_hz();
    uint64_t difference = measured > told ? measured - told : told - measured;

    if (measured == 0) {
        log_line("TSC: the 8254 does not count; CPUID 15H says %lu Hz", told);
        return told;
    }
    if (told == 0) {
        log_line("TSC: %lu Hz measured (CPUID 15H does not say)", measured);
        return measured;
    }
    if (difference <= measured / 1000) {
        log_line("TSC: %lu Hz by CPUID 15H, %lu Hz measured", told, measured);
        return told;
    }
    log_line("TSC: %lu Hz measured; CPUID 15H claims %lu Hz and is not believed", measured, told);
    return measured;
}

void tsc_delay_us(uint64_t hz, uint64_t us)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < hz / 1000 * us / 1000 + 1)
        __builtin_ia32_pause();
}
