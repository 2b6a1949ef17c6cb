/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest: struct vm and its struct vcpu. Two of the three owners of writable state (the third is
 * struct cpu). Devices are here by value; nothing is allocated after boot.
 */
#ifndef GUEST_VM_H
#define GUEST_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/vcpu.h"
#include "devices/acpi_pm.h"
#include "devices/hpet.h"
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/pci_host.h"
#include "devices/reset_ports.h"
#include "devices/watchdog.h"
#include "guest/config.h"
#include "guest/cpuid.h"
#include "guest/fetch.h"
#include "guest/firmware.h"
#include "guest/msr.h"
#include "guest/time.h"
#include "lib/ring.h"
#include "lib/spinlock.h"
#include "mm/ept.h"

#define VM_VCPU_MAX   8 /* scripts/config/pc.py: MAX_VCPUS */

/* RAM below A0000H, to 3 GiB, above 4 GiB; ROM. */
#define VM_RANGES_MAX 4

struct vm;

/* What another core may ask of a vCPU, with a kick: bits of vcpu.requests. */
#define REQUEST_CONSOLE_RX 0x1u  /* bytes are in vm->console_rx */
#define REQUEST_CONSOLE_TX 0x2u  /* there is room in vm->console_tx again */
#define REQUEST_DEADLINE   0x4u  /* vm->device_deadline is earlier than it was */
#define REQUEST_LINT0      0x8u  /* vm->intr changed */
#define REQUEST_LEVEL      0x10u /* vectors are in vcpu.level */
#define REQUEST_BAD_VECTOR 0x20u
#define REQUEST_EXTINT     0x40u
#define REQUEST_NMI        0x80u
#define REQUEST_INIT       0x100u
#define REQUEST_SIPI       0x200u /* its page is in vcpu.sipi_page */
#define REQUEST_MESSAGES   0x3f0u /* those for the local APIC */

enum vcpu_activity {
    VCPU_ACTIVE,    /* it runs, or halts by itself */
    VCPU_WAIT_SIPI, /* after INIT; its core idles in root mode */
    VCPU_STARTING,  /* its SIPI came */
};

/* What vcpu_prepare_entry() is to look at: bits of arch.attention. */
#define ATTEND_LAPIC  1u /* the local APIC's interrupts and priorities */
#define ATTEND_OTHERS 2u /* what goes past these; and whether the vCPU runs at all */
#define ATTEND_ALL    3u

struct vcpu {
    struct vcpu_arch arch;
    struct vm *vm;
    struct lapic lapic;
    uint32_t index; /* also its APIC ID */
    uint32_t core;  /* index of the physical core it owns */

    enum vcpu_activity activity;
    bool nmi_pending;
    uint8_t lost_irq;    /* vector taken from its controller whose delivery failed; 0: none */
    bool extint_pending; /* an I/O APIC pin in ExtINT mode asked for the 8259's vector */

    /* What other cores write, beside the posted-interrupt descriptor: guest/ipi.c. */
    atomic_uint requests; /* REQUEST_* */
    atomic_uint level[8]; /* level-triggered vectors on their way to the local APIC */
    atomic_uint sipi_page;

    uint64_t tsc_skew;     /* guest TSC - VM time: what the guest's own writes of its TSC added */
    uint64_t tsc_deadline; /* IA32_TSC_DEADLINE as the guest wrote it; the local APIC has VM time */
    uint64_t direct_levels[4]; /* level-triggered vectors of an I/O APIC that went: guest/direct.c */
    struct msr_store msrs;
    struct cpuid_table cpuid;

    struct fetch fetch[FETCH_PLACES]; /* by a few bits of RIP */

    /* For the table dump: its core reads them at the next kick (guest/dump.c). */
    atomic_bool fields_wanted;
    uint32_t field_count;
    struct vcpu_field fields[VCPU_FIELDS_MAX];

    uint64_t exits[EXIT_KIND_COUNT];
    uint64_t refused_msrs;
};

enum vm_state {
    VM_LOADING,
    VM_RUNNING,
    VM_POWERED_OFF, /* the guest switched itself off */
    VM_RESET_OFF,   /* it reset itself, and is not to start again */
    VM_CRASHED,     /* it did something that cannot go on; the record was printed */
    VM_REFUSED,     /* one of its files is not what was built in: it never starts */
};

/* What a running guest wants to become; set by devices and exits, acted on by vm_run. */
enum vm_wish { WISH_RUN, WISH_POWER_OFF, WISH_RESET, WISH_CRASH, WISH_COUNT };

/* What a start consists of, in order. */
enum vm_step { VM_STEP_VERIFY, VM_STEP_SCRUB, VM_STEP_LOAD, VM_STEP_RESET, VM_STEP_COUNT };

/* How often lives have ended in one way, where the config limits the restarts. */
struct vm_endings {
    uint32_t count;
    uint64_t since; /* host TSC at the first of them */
};

struct vm {
    const struct guest_config *config;
    uint32_t index;
    _Atomic enum vm_state state;
    _Atomic enum vm_wish wish;
    atomic_uint life;             /* counts starts: the other vCPUs join when it changes */
    atomic_uint parked;           /* vCPUs, but for the first, whose part in this life is over */
    atomic_uint scrub_left;       /* pieces of its RAM to be zeroed that no core has taken yet */
    atomic_uint scrub_unfinished; /* these and those that are being zeroed */
    uint64_t step_ends[VM_STEP_COUNT]; /* VM time; of the last start */
    bool has_exit_status;
    uint32_t exit_status; /* what the guest wrote to the debug exit port */
    bool verified;        /* its files were, once, and it was said */
    uint32_t resets;
    uint32_t restarts; /* after a crash or a power-off */
    struct vm_endings endings[WISH_COUNT];

    /* RAM ascending, ROM; then its shared regions; then the APIC page. Set at creation. */
    struct ept_range memory[VM_RANGES_MAX + CONFIG_SHARES_MAX + 1];
    uint32_t memory_count; /* RAM and ROM: nobody else's */
    uint32_t share_count;
    struct ept ept;       /* maps memory and shared regions */
    struct ept xapic_ept; /* these and the page at LAPIC_GPA; with APICV_ACCESS only */
    uint32_t apicv;       /* APICV_* that its vCPUs use */
    uint64_t tsc_start;   /* host TSC at its last power-on: VM time is the host's TSC minus this */
    uint64_t tsc_hz;
    uint32_t apic_timer_hz; /* of a guest with its core's own local APIC; else 0 */

    _Atomic uint64_t log_second; /* host TSC at which the current second of the log limit began */
    atomic_uint logged;          /* lines this guest has caused in it */
    _Atomic uint64_t recorded;   /* host TSC at the last crash whose registers were logged */

    _Atomic uint64_t device_deadline; /* VM time at which the first vCPU has to serve a device */
    atomic_bool intr;                 /* INTR of the 8259 pair */

    struct spinlock lock; /* everything from here to the rings */
    struct i8259 i8259;
    struct i8254 i8254;
    struct ioapic ioapic;
    struct mc146818 rtc;
    struct ns16550 uart;
    struct acpi_pm pm;
    struct hpet hpet;
    struct pci_host pci;
    struct reset_ports reset_ports;
    struct watchdog watchdog;
    struct firmware firmware; /* its items do not change after creation */
    uint64_t other_deadline;  /* the earliest of these devices, but for the 8254 */
    uint32_t irq_levels;      /* bit n: ISA IRQ n is asserted */

    _Atomic uint64_t unclaimed_io; /* accesses to ports and memory where nothing is */

    struct ring console_tx;      /* from the guest's UART to the console */
    struct ring console_rx;      /* from the keyboard */
    atomic_bool console_blocked; /* the UART holds bytes that console_tx had no room for */

    struct vcpu vcpu[VM_VCPU_MAX];
};

/* One per guest of the config, in its order; defined in the generated config.c. */
extern struct vm vms[];

/* The vCPU of what arch/x86/vcpu.h hands to the policy. */
static inline struct vcpu *vcpu_of(struct vcpu_arch *a)
{
    return (struct vcpu *)(void *)((char *)a - offsetof(struct vcpu, arch));
}

struct pages;

/*
 * Give a guest its memory, tables and vCPUs. Boot processor, once, before pages_freeze().
 *   problem  out: what was wrong, in words
 */
MUST_CHECK enum err vm_create(struct vm *vm, uint32_t index, struct pages *pool, uint64_t tsc_hz,
                              const char **problem);

/*
 * Who has a physical core, by the config.
 *   guest, vcpu  out: indices, of the guest into vms; only if there is one
 *   return       false: nobody
 */
bool vm_on_core(uint32_t core, uint32_t *guest, uint32_t *vcpu);

/*
 * Run a vCPU until its guest has ended for good; this core must be its core. The first vCPU's core
 * starts, resets, restarts and ends the guest, as the config says; the others follow.
 *   unix_time  seconds since 1970 now, for its RTC
 */
void vm_run(struct vm *vm, uint32_t index, uint64_t unix_time);

/* Whether it never runs again. */
static inline bool vm_ended(const struct vm *vm)
{
    return vm->state != VM_LOADING && vm->state != VM_RUNNING;
}

/* How many entries of vm->memory its guest reaches: RAM, ROM and shared regions. */
static inline uint32_t vm_mapped_count(const struct vm *vm)
{
    return vm->memory_count + vm->share_count;
}

/* Let a vCPU look at vm->wish and its requests, in whatever state its guest left it. Any core. */
void vcpu_rouse(struct vcpu *v);

/* Ask a vCPU for REQUEST_* bits. Any core. */
void vcpu_request(struct vcpu *v, uint32_t bits);

/* Whether every guest has ended. */
bool vm_all_ended(void);

/* Log a line that a guest caused: "guest NAME: ...". At most 20 for each of its seconds. */
void vm_log(struct vm *vm, const char *fmt, ...) PRINTF(2, 3);

/* Whether a crash's registers are to be logged: once a second, however often the guest restarts. */
bool vm_may_record(struct vm *vm);

/* "running", "powered off", ... */
const char *vm_state_name(const struct vm *vm);

/* VM time: TSC ticks since power-on, the clock of all its devices. */
static inline uint64_t vm_now(const struct vm *vm)
{
    return time_host() - vm->tsc_start;
}

/* Power-on: VM time is 0 now. */
static inline void vm_clock_start(struct vm *vm)
{
    vm->tsc_start = time_host();
}

#endif
