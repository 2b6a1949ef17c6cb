/* SPDX-License-Identifier: BSD-2-Clause */
/* See the header. Numbers are written here anew, from the manual: nothing is taken from the code
 * that is looked at. */
#include "guest/isolation.h"

#include <stdarg.h>
#include <stddef.h>

#include "arch/x86/cpu.h"
#include "arch/x86/layout.h"
#include "guest/config.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys.h"

#define LEVELS        4u
#define ENTRIES       512u
#define ENTRY_ADDRESS 0x000ffffffffff000ul /* [51:12] */
#define ENTRY_LARGE   0x80ul               /* [7] levels 2 and 3: a page, not a table */

/* SDM 3C "Format of Extended-Page-Table Pointer" and the entries' formats */
#define EPT_READ      1u
#define EPT_WRITE     2u
#define EPT_EXECUTE   4u
#define EPT_ALL       7u
#define EPT_TYPE      0x38ul /* [5:3] memory type */
#define EPT_TYPE_WB   0x30ul /* 6 */
#define EPT_TABLES    0x1eul /* EPT pointer: [2:0] = 6 write-back, [5:3] = 3 four levels, no A/D */

/* SDM 3A "Format of a Page-Table Entry that Maps a 4-KByte Page" */
#define HOST_PRESENT  0x1ul
#define HOST_WRITE    0x2ul
#define HOST_LINK     0x23ul               /* present, writable, accessed: the leaf alone decides */
#define HOST_BITS     0x80000000000000fbul /* all that a leaf may have: not U/S, not global */
#define HOST_NX       0x8000000000000000ul /* [63] */

/* The guest-physical map, as docs/TOUR.md has it. */
#define HOLE_GPA      0xc0000000ul /* RAM ends here and goes on at 4 GiB */
#define TOP_GPA       0x100000000ul
#define VGA_GPA       0xa0000ul /* nothing is here for firmware, up to the next */
#define SHADOW_GPA    0xc0000ul
#define APIC_GPA      0xfee00000ul

/* reach.region of what is not shared */
#define REGION_NONE   (-1)
#define REGION_APIC   (-2) /* the page behind APIC_GPA */

static bool fault(struct isolation *s, const char *fmt, ...) PRINTF(2, 3);

static bool fault(struct isolation *s, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fmt_vprint(s->problem, sizeof(s->problem), fmt, args);
    va_end(args);
    return false;
}

static const char *guest_name(unsigned guest)
{
    return machine_config.guests[guest].name;
}

static const char *access_text(uint64_t access)
{
    static const char *const text[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};

    return text[access & EPT_ALL];
}

/* --- pages of the pool ------------------------------------------------------------------------ */

static const char *owner_name(unsigned owner)
{
    return owner == ISOLATION_HYPERVISOR ? "the hypervisor" : guest_name(owner - 2);
}

/* Each page has one owner and one use. */
static bool claim(struct isolation *s, unsigned owner, uint64_t hpa, const char *use)
{
    uint64_t at = hpa - s->host->pool_base;

    if (!is_aligned(hpa, PAGE_SIZE) || hpa < s->host->pool_base || at >= s->host->pool_used ||
        at / PAGE_SIZE >= ISOLATION_POOL_PAGES)
        return fault(s, "%s: its %s is at host %lx, expected a page of the page pool",
                     owner_name(owner & ISOLATION_OWNER), use, hpa);
    if (s->owner[at / PAGE_SIZE] != 0)
        return fault(s, "%s: its %s at host %lx is also in use by %s, expected a page to itself",
                     owner_name(owner & ISOLATION_OWNER), use, hpa,
                     owner_name(s->owner[at / PAGE_SIZE] & ISOLATION_OWNER));
    s->owner[at / PAGE_SIZE] = (uint8_t)owner;
    s->tables += (owner & ISOLATION_TABLE) != 0;
    return true;
}

/* --- a walk over four levels ------------------------------------------------------------------ */

struct entry {
    uint64_t value;
    uint64_t addr; /* the first one that it translates */
    uint64_t size; /* bytes it translates */
    unsigned level;
};

struct walk {
    unsigned level;
    const volatile uint64_t *table[LEVELS + 1];
    uint64_t addr[LEVELS + 1];
    unsigned index[LEVELS + 1];
};

static void walk_enter(struct walk *w, unsigned level, uint64_t table_hpa, uint64_t addr)
{
    w->level = level;
    w->table[level] = phys_table(table_hpa);
    w->addr[level] = addr;
    w->index[level] = 0;
}

/* The next entry that is not 0: in ascending order, a table's own before what is in the table. */
static bool walk_next(struct walk *w, struct entry *e)
{
    while (w->level <= LEVELS) {
        unsigned level = w->level;
        unsigned index = w->index[level];
        const volatile uint64_t *table = w->table[level];

        while (index < ENTRIES && table[index] == 0)
            index++;
        if (index == ENTRIES) {
            w->level++;
            continue;
        }
        w->index[level] = index + 1;
        e->value = table[index];
        e->size = PAGE_SIZE << 9 * (level - 1);
        e->addr = w->addr[level] + index * e->size;
        e->level = level;
        return true;
    }
    return false;
}

static bool is_page(const struct entry *e)
{
    return e->level == 1 || (e->level < LEVELS && (e->value & ENTRY_LARGE) != 0);
}

/* Address bits that are reserved: below the page's size, beyond the processor's width. */
static bool address_ok(const struct isolation *s, const struct entry *e, uint64_t hpa)
{
    return is_aligned(hpa, is_page(e) ? e->size : PAGE_SIZE) && hpa >> s->host->phys_bits == 0;
}

/* --- what a guest reaches --------------------------------------------------------------------- */

/* Guest-physical memory that the config gives a guest. */
struct piece {
    uint64_t gpa, len;
    uint32_t access;
    int16_t region;
};

#define FIXED_PIECES 5

/* All but its shares; some may be empty. */
static void fixed_pieces(const struct guest_config *c, bool apic, struct piece out[FIXED_PIECES])
{
    uint64_t low = c->memory < HOLE_GPA ? c->memory : HOLE_GPA;
    uint64_t rom = c->type == GUEST_FIRMWARE ? c->kernel.len : 0;
    uint64_t first = c->type == GUEST_FIRMWARE ? VGA_GPA : low;
    uint64_t shadow = c->type == GUEST_FIRMWARE ? low - SHADOW_GPA : 0;

    out[0] = (struct piece){0, first, EPT_ALL, REGION_NONE};
    out[1] = (struct piece){SHADOW_GPA, shadow, EPT_ALL, REGION_NONE};
    out[2] = (struct piece){TOP_GPA, c->memory - low, EPT_ALL, REGION_NONE};
    out[3] = (struct piece){TOP_GPA - rom, rom, EPT_READ | EPT_EXECUTE, REGION_NONE};
    out[4] = (struct piece){APIC_GPA, apic ? PAGE_SIZE : 0, EPT_READ | EPT_WRITE, REGION_APIC};
}

static struct piece share_piece(const struct guest_share *share)
{
    return (struct piece){share->gpa, machine_config.regions[share->region].len,
                          share->write ? EPT_READ | EPT_WRITE : EPT_READ, (int16_t)share->region};
}

/* The piece that a guest-physical address is in; false: nothing is there. */
static bool piece_at(const struct guest_config *c, bool apic, uint64_t gpa, struct piece *out)
{
    struct piece fixed[FIXED_PIECES];

    fixed_pieces(c, apic, fixed);
    for (unsigned i = 0; i < FIXED_PIECES; i++) {
        *out = fixed[i];
        if (gpa >= out->gpa && gpa - out->gpa < out->len)
            return true;
    }
    for (unsigned i = 0; i < c->share_count; i++) {
        *out = share_piece(&c->shares[i]);
        if (gpa >= out->gpa && gpa - out->gpa < out->len)
            return true;
    }
    return false;
}

static uint64_t expected_len(const struct guest_config *c, bool apic)
{
    struct piece fixed[FIXED_PIECES];
    uint64_t sum = 0;

    fixed_pieces(c, apic, fixed);
    for (unsigned i = 0; i < FIXED_PIECES; i++)
        sum += fixed[i].len;
    for (unsigned i = 0; i < c->share_count; i++)
        sum += share_piece(&c->shares[i]).len;
    return sum;
}

/* One set of EPTs on its way through the check. */
struct ept_walk {
    unsigned guest;
    const struct guest_config *config;
    const struct vcpu_memory *memory;
    bool apic; /* these have the page behind APIC_GPA */
};

static bool holds(const struct reach *r, uint64_t gpa, uint64_t hpa, uint64_t len)
{
    return gpa >= r->gpa && gpa - r->gpa < r->len && len <= r->len - (gpa - r->gpa) &&
           hpa - r->hpa == gpa - r->gpa;
}

static bool is_known(const struct isolation *s, unsigned guest, uint32_t access, uint64_t gpa,
                     uint64_t hpa, uint64_t len)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct reach *r = &s->reach[i];

        if (r->guest == guest && r->access == access && holds(r, gpa, hpa, len))
            return true;
    }
    return false;
}

/* A guest's ranges are the last ones while its tables are looked at. */
static bool add_reach(struct isolation *s, unsigned guest, const struct piece *p, uint64_t gpa,
                      uint64_t hpa, uint64_t len)
{
    for (unsigned i = s->count; i > 0 && s->reach[i - 1].guest == guest; i--) {
        struct reach *r = &s->reach[i - 1];

        if (r->access != p->access || r->region != p->region)
            continue;
        if (holds(r, gpa, hpa, len))
            return true;
        if (gpa == r->gpa + r->len && hpa == r->hpa + r->len) {
            r->len += len;
            return true;
        }
    }
    if (s->count == ISOLATION_RANGES)
        return fault(s, "guest %s: guest-physical %lx reaches host %lx: more than %u ranges in all",
                     guest_name(guest), gpa, hpa, ISOLATION_RANGES);
    s->reach[s->count++] = (struct reach){gpa, hpa, len, p->access, (uint16_t)guest, p->region};
    return true;
}

/* A present page: where, with which rights, how; what it reaches is looked at when all is known. */
static bool check_page(struct isolation *s, const struct ept_walk *t, const struct entry *e)
{
    uint64_t hpa = e->value & ENTRY_ADDRESS;
    uint64_t bits = e->value & ~ENTRY_ADDRESS;
    const char *name = t->config->name;
    struct piece p;

    if (!piece_at(t->config, t->apic, e->addr, &p) || e->size > p.len - (e->addr - p.gpa))
        return fault(s,
                     "guest %s: guest-physical %lx (%lx bytes) reaches host %lx, expected "
                     "nothing or less there by its config",
                     name, e->addr, e->size, hpa);
    if (!address_ok(s, e, hpa))
        return fault(s,
                     "guest %s: guest-physical %lx: EPT entry %lx has reserved address bits, "
                     "expected a page of %lx bytes below 2^%u",
                     name, e->addr, e->value, e->size, s->host->phys_bits);
    if ((bits & EPT_ALL) != p.access)
        return fault(s, "guest %s: guest-physical %lx reaches host %lx with rights %s, expected %s",
                     name, e->addr, hpa, access_text(bits), access_text(p.access));
    if ((bits & EPT_TYPE) != EPT_TYPE_WB)
        return fault(s,
                     "guest %s: guest-physical %lx reaches host %lx with memory type %lu, "
                     "expected 6, write-back",
                     name, e->addr, hpa, field_get(bits, EPT_TYPE));
    if ((bits & ~(EPT_ALL | EPT_TYPE)) != (e->level > 1 ? ENTRY_LARGE : 0))
        return fault(s,
                     "guest %s: guest-physical %lx: EPT entry %lx has reserved or unused bits, "
                     "expected none",
                     name, e->addr, e->value);
    if (p.region == REGION_APIC && hpa != t->memory->access_hpa)
        return fault(s,
                     "guest %s: guest-physical %lx reaches host %lx, expected its APIC-access "
                     "page %lx",
                     name, e->addr, hpa, t->memory->access_hpa);
    return add_reach(s, t->guest, &p, e->addr, hpa, e->size);
}

/* A table below: readable, writable and executable, so that the page alone decides. */
static bool enter_table(struct isolation *s, const struct ept_walk *t, const struct entry *e,
                        struct walk *w)
{
    uint64_t hpa = e->value & ENTRY_ADDRESS;

    if ((e->value & ~ENTRY_ADDRESS) != EPT_ALL || !address_ok(s, e, hpa))
        return fault(s,
                     "guest %s: guest-physical %lx: EPT entry %lx of level %u has reserved or "
                     "unused bits, expected a table with rights rwx",
                     t->config->name, e->addr, e->value, e->level);
    if (!claim(s, (t->guest + 2) | ISOLATION_TABLE, hpa, "EPT table"))
        return false;
    walk_enter(w, e->level - 1, hpa, e->addr);
    return true;
}

static bool check_ept(struct isolation *s, const struct ept_walk *t, uint64_t eptp)
{
    struct walk w;
    struct entry e;
    uint64_t sum = 0;
    uint64_t expected = expected_len(t->config, t->apic);

    if ((eptp & ~ENTRY_ADDRESS) != EPT_TABLES)
        return fault(s,
                     "guest %s: EPT pointer %lx, expected write-back, four levels, no accessed "
                     "and dirty flags",
                     t->config->name, eptp);
    if (!claim(s, (t->guest + 2) | ISOLATION_TABLE, eptp & ENTRY_ADDRESS, "EPT root"))
        return false;
    walk_enter(&w, LEVELS, eptp & ENTRY_ADDRESS, 0);
    while (walk_next(&w, &e)) {
        if (is_page(&e) ? !check_page(s, t, &e) : !enter_table(s, t, &e, &w))
            return false;
        if (is_page(&e))
            sum += e.size;
    }
    if (sum != expected)
        return fault(s, "guest %s: EPT %lx maps %lx bytes, expected %lx by its config",
                     t->config->name, eptp & ENTRY_ADDRESS, sum, expected);
    return true;
}

/* --- ports and MSRs --------------------------------------------------------------------------- */

/*
 * MSRs that may not exit: the processor switches them at entry and exit, or the hypervisor uses
 * none of them and sets each at a guest's start. SDM 4 "Architectural MSRs".
 */
static const struct {
    uint32_t msr;
    bool write; /* else RDMSR only */
} open_msrs[] = {
    {0x10,       false}, /* IA32_TIME_STAMP_COUNTER: read with the TSC offset */
    {0x174,      true }, /* IA32_SYSENTER_CS */
    {0x175,      true }, /* IA32_SYSENTER_ESP */
    {0x176,      true }, /* IA32_SYSENTER_EIP */
    {0x277,      true }, /* IA32_PAT */
    {0xc0000080, true }, /* IA32_EFER */
    {0xc0000081, true }, /* IA32_STAR */
    {0xc0000082, true }, /* IA32_LSTAR */
    {0xc0000083, true }, /* IA32_CSTAR */
    {0xc0000084, true }, /* IA32_FMASK */
    {0xc0000100, true }, /* IA32_FS_BASE */
    {0xc0000101, true }, /* IA32_GS_BASE */
    {0xc0000102, true }, /* IA32_KERNEL_GS_BASE */
    {0xc0000103, true }, /* IA32_TSC_AUX */
};

/*
 * Of a guest with its core's own local APIC, besides: SDM 3A "x2APIC Register Address Space". Not
 * ID, version, LDR, ICR, and no local interrupt but the timer's.
 */
static const struct {
    uint32_t first, last;
    bool read, write;
} direct_msrs[] = {
    {0x6e0, 0x6e0, true,  true }, /* IA32_TSC_DEADLINE: its TSC is the host's */
    {0x808, 0x808, true,  true }, /* TPR */
    {0x80a, 0x80a, true,  false}, /* PPR */
    {0x80b, 0x80b, false, true }, /* EOI */
    {0x80f, 0x80f, true,  true }, /* SVR */
    {0x810, 0x827, true,  false}, /* ISR, TMR, IRR */
    {0x828, 0x828, true,  true }, /* ESR */
    {0x832, 0x832, true,  true }, /* LVT timer */
    {0x838, 0x838, true,  true }, /* initial count */
    {0x839, 0x839, true,  false}, /* current count */
    {0x83e, 0x83e, true,  true }, /* divide configuration */
    {0x83f, 0x83f, false, true }, /* self IPI */
};

static bool may_be_open_direct(uint32_t msr, bool write)
{
    for (unsigned i = 0; i < ARRAY_LEN(direct_msrs); i++) {
        if (msr >= direct_msrs[i].first && msr <= direct_msrs[i].last)
            return write ? direct_msrs[i].write : direct_msrs[i].read;
    }
    return false;
}

static bool may_be_open(uint32_t msr, bool write)
{
    for (unsigned i = 0; i < ARRAY_LEN(open_msrs); i++) {
        if (open_msrs[i].msr == msr)
            return open_msrs[i].write || !write;
    }
    return false;
}

/* Bit n: access n does not exit if 0. Quarters: reads of 0.., of C0000000H.., writes likewise. */
static bool check_msrs(struct isolation *s, const struct vcpu *v)
{
    const uint64_t *words = phys_table(v->arch.msr_bitmap_hpa);

    for (unsigned i = 0; i < ENTRIES; i++) {
        for (uint64_t open = ~words[i]; open != 0; open &= open - 1) {
            unsigned bit = 64 * i + bit_lowest(open);
            uint32_t msr = bit % 0x2000 + (bit / 0x2000 % 2 != 0 ? 0xc0000000 : 0);
            bool write = bit >= 0x4000;

            if (!may_be_open(msr, write) &&
                !(v->vm->config->direct && may_be_open_direct(msr, write)))
                return fault(s, "guest %s, vCPU %u: %s of MSR %x does not exit, expected an exit",
                             v->vm->config->name, v->index, write ? "WRMSR" : "RDMSR", msr);
        }
    }
    return true;
}

/* One page is both bitmaps: a bit for a port below 8000H and for the one 8000H above it. */
static bool check_ports(struct isolation *s, const struct vcpu *v)
{
    const uint64_t *words = phys_table(v->arch.io_bitmap_hpa);

    for (unsigned i = 0; i < ENTRIES; i++) {
        unsigned port = 64 * i + (words[i] != UINT64_MAX ? bit_lowest(~words[i]) : 0);

        if (words[i] != UINT64_MAX)
            return fault(s, "guest %s, vCPU %u: ports %x and %x do not exit, expected exits",
                         v->vm->config->name, v->index, port, port + 0x8000);
    }
    return true;
}

static bool check_vcpu(struct isolation *s, unsigned guest, const struct vcpu *v)
{
    const struct vcpu_arch *a = &v->arch;
    const struct vcpu_memory *first = &vms[guest].vcpu[0].arch.memory;
    unsigned owner = guest + 2;

    if (a->memory.eptp != first->eptp || a->memory.xapic_eptp != first->xapic_eptp ||
        a->memory.access_hpa != first->access_hpa)
        return fault(s, "guest %s: vCPU %u has EPT pointer %lx, expected vCPU 0's %lx",
                     guest_name(guest), v->index, a->memory.eptp, first->eptp);
    return claim(s, owner, a->vmcs_hpa, "VMCS") &&
           claim(s, owner | ISOLATION_TABLE, a->io_bitmap_hpa, "I/O bitmap") &&
           claim(s, owner | ISOLATION_TABLE, a->msr_bitmap_hpa, "MSR bitmap") &&
           claim(s, owner, a->apic_hpa, "virtual-APIC page") &&
           claim(s, owner, a->posted_hpa, "posted-interrupt descriptor") && check_ports(s, v) &&
           check_msrs(s, v);
}

static bool check_guest(struct isolation *s, unsigned guest)
{
    const struct vm *vm = &vms[guest];
    const struct vcpu_memory *memory = &vm->vcpu[0].arch.memory;
    struct ept_walk t = {guest, vm->config, memory, false};

    if (!check_ept(s, &t, memory->eptp))
        return false;
    t.apic = true;
    if (memory->xapic_eptp != 0 && !(claim(s, guest + 2, memory->access_hpa, "APIC-access page") &&
                                     check_ept(s, &t, memory->xapic_eptp)))
        return false;
    for (unsigned i = 0; i < vm->config->vcpu_count; i++) {
        if (!check_vcpu(s, guest, &vm->vcpu[i]))
            return false;
    }
    return true;
}

/* --- who reaches what ------------------------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b ? b - a < a_len : a - b < b_len;
}

/* Where the shared region of a reach begins in host memory. */
static uint64_t region_hpa(const struct reach *r)
{
    struct piece p = {0};

    (void)piece_at(&machine_config.guests[r->guest], false, r->gpa, &p);
    return r->hpa - (r->gpa - p.gpa);
}

static bool check_pair(struct isolation *s, const struct reach *a, const struct reach *b)
{
    if (a->region >= 0 && a->region == b->region && a->guest != b->guest) {
        const char *region = machine_config.regions[a->region].name;

        if (region_hpa(a) != region_hpa(b))
            return fault(s,
                         "region %s: guest %s has it at host %lx, guest %s at %lx, expected one "
                         "place",
                         region, guest_name(a->guest), region_hpa(a), guest_name(b->guest),
                         region_hpa(b));
        if ((a->access & b->access & EPT_WRITE) != 0)
            return fault(s, "region %s, host %lx: guests %s and %s write it, expected one writer",
                         region, region_hpa(a), guest_name(a->guest), guest_name(b->guest));
        return true;
    }
    if (!overlap(a->hpa, a->len, b->hpa, b->len))
        return true;
    return fault(s,
                 "guest %s: guest-physical %lx reaches host %lx, and so does guest %s at "
                 "guest-physical %lx, expected no byte twice but in a region that both share",
                 guest_name(a->guest), a->gpa + (b->hpa > a->hpa ? b->hpa - a->hpa : 0),
                 b->hpa > a->hpa ? b->hpa : a->hpa, guest_name(b->guest),
                 b->gpa + (a->hpa > b->hpa ? a->hpa - b->hpa : 0));
}

/* End of the RAM that begins at or before hpa and holds it; hpa itself if it is not RAM. */
static uint64_t ram_end(const struct host_map *host, uint64_t hpa)
{
    uint64_t end = hpa;

    for (unsigned i = 0; i < host->area_count; i++) {
        const struct host_area *area = &host->areas[i];

        if (area->what == NULL && hpa >= area->base && hpa - area->base < area->len &&
            area->base + area->len > end)
            end = area->base + area->len;
    }
    return end;
}

/* RAM, and nobody else's. The APIC-access page is the VM's own page of the pool: claim() saw it. */
static bool check_host_memory(struct isolation *s, const struct reach *r)
{
    uint64_t at = r->hpa;

    if (r->region == REGION_APIC)
        return true;
    for (unsigned i = 0; i < s->host->area_count; i++) {
        const struct host_area *area = &s->host->areas[i];

        if (area->what != NULL && overlap(r->hpa, r->len, area->base, area->len)) {
            at = area->base > r->hpa ? area->base : r->hpa;
            return fault(
                s, "guest %s: guest-physical %lx reaches host %lx (%s), expected RAM of its own",
                guest_name(r->guest), r->gpa + (at - r->hpa), at, area->what);
        }
    }
    while (at - r->hpa < r->len) {
        uint64_t end = ram_end(s->host, at);

        if (end == at)
            return fault(s,
                         "guest %s: guest-physical %lx reaches host %lx, expected RAM, which "
                         "the boot memory map does not have there",
                         guest_name(r->guest), r->gpa + (at - r->hpa), at);
        at = end;
    }
    return true;
}

static bool check_reaches(struct isolation *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (!check_host_memory(s, &s->reach[i]))
            return false;
        for (unsigned n = 0; n < i; n++) {
            if (!check_pair(s, &s->reach[n], &s->reach[i]))
                return false;
        }
    }
    return true;
}

/* Both sets of a guest's tables lead to the same places: each byte was counted once. */
static bool check_sum(struct isolation *s, unsigned guest)
{
    uint64_t expected = expected_len(&machine_config.guests[guest], false);
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->count; i++) {
        if (s->reach[i].guest == guest && s->reach[i].region != REGION_APIC)
            sum += s->reach[i].len;
    }
    if (sum != expected)
        return fault(s,
                     "guest %s: its EPTs with and without the APIC-access page reach %lx bytes "
                     "together, expected the same %lx",
                     guest_name(guest), sum, expected);
    return true;
}

/* What the hypervisor reads and writes for a guest (guest/gmem.c) is what that reaches itself. */
static bool check_accessor(struct isolation *s, unsigned guest)
{
    for (unsigned n = 0; n < vm_mapped_count(&vms[guest]); n++) {
        const struct ept_range *m = &vms[guest].memory[n];

        if (!is_known(s, guest, m->perms, m->gpa, m->hpa, m->len))
            return fault(s,
                         "guest %s: the hypervisor takes host %lx for its guest-physical %lx, "
                         "expected what its EPT maps",
                         guest_name(guest), m->hpa, m->gpa);
    }
    return true;
}

/* --- the hypervisor's own tables -------------------------------------------------------------- */

static bool in_windows(uint64_t va)
{
    return va >= WINDOW_VA && va - WINDOW_VA < (uint64_t)CPU_MAX * WINDOW_SLOTS * PAGE_2M;
}

static bool check_host_page(struct isolation *s, const struct entry *e)
{
    uint64_t va = e->addr | (e->addr >> 47 != 0 ? 0xffff000000000000ul : 0);
    uint64_t hpa = e->value & ENTRY_ADDRESS;
    uint64_t bits = e->value & ~ENTRY_ADDRESS;

    if ((bits & HOST_WRITE) != 0 && (bits & HOST_NX) == 0)
        return fault(s,
                     "the hypervisor's page at %lx, host %lx, is writable and executable, "
                     "expected not both",
                     va, hpa);
    if ((bits & ~HOST_BITS) != 0 || (bits & HOST_PRESENT) == 0 || !address_ok(s, e, hpa))
        return fault(s,
                     "the hypervisor's page at %lx: entry %lx has reserved or unused bits, "
                     "expected none",
                     va, e->value);
    for (unsigned i = 0; i < s->count && !in_windows(va); i++) {
        const struct reach *r = &s->reach[i];

        if (r->region != REGION_APIC && overlap(hpa, e->size, r->hpa, r->len))
            return fault(s,
                         "the hypervisor's page at %lx, host %lx, is guest %s's memory at "
                         "guest-physical %lx, expected only windows to be",
                         va, hpa, guest_name(r->guest), r->gpa);
    }
    /* Stacks: a page of the pool that is mapped by itself is nobody's table. */
    if (e->level == 1 && hpa - s->host->pool_base < s->host->pool_used)
        return claim(s, ISOLATION_HYPERVISOR, hpa, "stack");
    return true;
}

static bool check_host_tables(struct isolation *s)
{
    const unsigned owner = ISOLATION_HYPERVISOR | ISOLATION_TABLE;
    struct walk w;
    struct entry e;

    if (!claim(s, owner, s->host->root_hpa, "page-table root"))
        return false;
    walk_enter(&w, LEVELS, s->host->root_hpa, 0);
    while (walk_next(&w, &e)) {
        uint64_t hpa = e.value & ENTRY_ADDRESS;

        if (is_page(&e)) {
            if (!check_host_page(s, &e))
                return false;
            continue;
        }
        if ((e.value & ~ENTRY_ADDRESS) != HOST_LINK)
            return fault(s,
                         "the hypervisor's page tables at %lx: entry %lx of level %u has "
                         "reserved or unused bits, expected a table",
                         e.addr, e.value, e.level);
        if (!claim(s, owner, hpa, "page table"))
            return false;
        walk_enter(&w, e.level - 1, hpa, e.addr);
    }
    return true;
}

/* They are reached through the pool's own mapping: no walk sees them as pages. */
static bool check_own_pages(struct isolation *s)
{
    for (unsigned i = 0; i < s->host->own_count; i++) {
        if (!claim(s, ISOLATION_HYPERVISOR, s->host->own[i], "core's area or VMXON region"))
            return false;
    }
    return true;
}

bool isolation_check(const struct host_map *host, struct isolation *out)
{
    memset(out, 0, sizeof(*out));
    out->host = host;
    for (unsigned i = 0; i < machine_config.guest_count; i++) {
        if (!check_guest(out, i))
            return false;
    }
    if (!check_reaches(out))
        return false;
    for (unsigned i = 0; i < machine_config.guest_count; i++) {
        if (!check_sum(out, i) || !check_accessor(out, i))
            return false;
    }
    return check_host_tables(out) && check_own_pages(out);
}
