/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/topology.h"

#include "lib/bits.h"

#define LEAF1_EDX_HTT         BIT32(28)
#define LEAF1_EBX_IDS         0x00ff0000u /* [23:16] APIC IDs set aside for the package */
#define LEAF1_EBX_APIC_ID     0xff000000u /* [31:24] */
#define LEAF4_EAX_CORES       0xfc000000u /* [31:26] cores in the package, at most, less 1 */
#define EXTENDED_EAX_SHIFT    0x0000001fu /* [4:0] bits of the ID for this level and those below */
#define EXTENDED_EBX_COUNT    0x0000ffffu /* [15:0] threads of a core; 0: no such level */
#define EXTENDED_ECX_TYPE     0x0000ff00u /* [15:8] */
#define EXTENDED_TYPE_THREADS 1u

/* log2 of n, rounded up; n is not 0. */
static unsigned log2_up(uint64_t n)
{
    return n == 1 ? 0 : bit_highest(n - 1) + 1;
}

static uint32_t first_thread(uint32_t id, uint64_t thread_bits)
{
    return (uint32_t)align_down(id, BIT(thread_bits));
}

/* Without the extended leaf: what a package's IDs leave to each of its cores. */
static uint32_t core_of_old(const struct topology_leaves *l)
{
    uint32_t id = (uint32_t)field_get(l->leaf1.ebx, LEAF1_EBX_APIC_ID);
    uint64_t ids = field_get(l->leaf1.ebx, LEAF1_EBX_IDS);
    unsigned core_bits = log2_up(field_get(l->leaf4.eax, LEAF4_EAX_CORES) + 1);

    if ((l->leaf1.edx & LEAF1_EDX_HTT) == 0 || ids == 0 || log2_up(ids) < core_bits)
        return id;
    return first_thread(id, log2_up(ids) - core_bits);
}

/*
 * A core with a single thread leaves the bits for more of them unused. The emulator does not: there
 * the next core has the next ID.
 */
uint32_t topology_core_of(const struct topology_leaves *l)
{
    const struct cpuid_regs *x = &l->extended;
    uint64_t threads = field_get(x->ebx, EXTENDED_EBX_COUNT);

    if (threads == 0)
        return core_of_old(l);
    if (threads == 1 || field_get(x->ecx, EXTENDED_ECX_TYPE) != EXTENDED_TYPE_THREADS)
        return x->edx;
    return first_thread(x->edx, field_get(x->eax, EXTENDED_EAX_SHIFT));
}

static struct cpuid_regs leaf(uint32_t number)
{
    return cpuid(0, 0).eax >= number ? cpuid(number, 0) : (struct cpuid_regs){0};
}

uint32_t topology_this_core(void)
{
    struct topology_leaves l = {.leaf1 = leaf(1), .leaf4 = leaf(4), .extended = leaf(0x1f)};

    if ((l.extended.ebx & EXTENDED_EBX_COUNT) == 0)
        l.extended = leaf(0xb);
    return topology_core_of(&l);
}
