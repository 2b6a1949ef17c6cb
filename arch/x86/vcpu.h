/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole border between policy (guest/) and virtualization hardware.
 *
 * A vcpu_arch is one virtual processor as the hardware sees it: its registers, its control
 * structure, what is to be injected. Two implementations are chosen at link time: arch/x86/vmx/
 * and tests/fake/. Every function runs on the one core the vCPU belongs to, in root mode, unless
 * its comment says otherwise.
 */
#ifndef ARCH_X86_VCPU_H
#define ARCH_X86_VCPU_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/err.h"

/* General registers in the order of their encoding. RSP lives in the control structure. */
enum {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    GPR_COUNT,
};

/* Why a guest stopped running for a moment. */
enum exit_kind {
    EXIT_HOST_IRQ,   /* the core's own interrupt; `vector` */
    EXIT_IRQ_WINDOW, /* the guest can take an interrupt or NMI now */
    EXIT_DEADLINE,   /* the deadline given to vcpu_set_deadline has come */
    EXIT_CPUID,
    EXIT_PIO,        /* IN/OUT, not string; `pio` */
    EXIT_PIO_STRING, /* INS/OUTS; `pio` */
    EXIT_MMIO,       /* access to guest-physical memory that is not mapped; `mmio` */
    EXIT_FETCH,      /* the same, but of an instruction */
    EXIT_APIC_WRITE, /* the hardware stored a write in the virtual-APIC page; `apic_offset` */
    EXIT_EOI,        /* the hardware ended an interrupt that was level-triggered; `vector` */
    EXIT_TPR,        /* TPR went below the threshold */
    EXIT_RDMSR,
    EXIT_WRMSR,
    EXIT_CR, /* MOV to a control register whose bits we own; `cr` */
    EXIT_XSETBV,
    EXIT_VMCALL,
    EXIT_VMX_INSN, /* any instruction the guest does not have: #UD */
    EXIT_RDPMC,
    EXIT_NOP, /* an instruction that needs nothing done: WBINVD, INVD */
    EXIT_TRIPLE_FAULT,
    EXIT_NMI,       /* the host's NMI */
    EXIT_ROUSED,    /* APICV_DIRECT: an NMI came while the hypervisor ran */
    EXIT_EXCEPTION, /* one that is only looked at on its way to the guest; `exception` */
    EXIT_MACHINE_CHECK,
    EXIT_TASK_SWITCH,
    EXIT_ENTRY_FAILED, /* the guest brought itself into a state that cannot be entered; was logged
                        */
    EXIT_UNKNOWN,
    EXIT_KIND_COUNT,
};

/* What the processor can do for a local APIC: SDM 3C "APIC Virtualization and Virtual Interrupts".
 */
enum apicv_feature {
    APICV_TPR_SHADOW = 0x01,         /* "use TPR shadow" */
    APICV_ACCESS = 0x02,             /* "virtualize APIC accesses" */
    APICV_REGISTERS = 0x04,          /* "APIC-register virtualization" */
    APICV_VIRTUAL_INTERRUPTS = 0x08, /* "virtual-interrupt delivery" */
    APICV_POSTED = 0x10,             /* "process posted interrupts" */
    APICV_X2APIC = 0x20,             /* "virtualize x2APIC mode" */
    APICV_DIRECT = 0x40,             /* none of these: it has the core's own, in x2APIC mode */
};

enum vcpu_apic_mode { VCPU_APIC_OFF, VCPU_APIC_XAPIC, VCPU_APIC_X2APIC };

/* What caused a task switch. */
enum { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE /* in the IDT */ };

struct vcpu_exit {
    enum exit_kind kind;
    union {
        uint8_t vector;
        uint16_t apic_offset;
        struct {
            uint16_t port;
            uint8_t size; /* 1, 2 or 4 bytes */
            bool in;
            /* string forms only: */
            bool rep;
            uint8_t address_size; /* 2, 4 or 8 bytes: how much of RCX, RSI and RDI counts */
            uint8_t segment;      /* of OUTS, numbered as in vcpu_get_segment() */
        } pio;
        struct {
            uint64_t gpa;
            bool write;
        } mmio;
        struct {
            uint8_t vector;
            bool lost_nmi; /* what was being delivered when it came, and has to come again */
            bool lost_irq;
            uint8_t lost_vector;
        } exception;
        struct {
            uint8_t number; /* 0, 3, 4 or 8 */
            uint8_t gpr;
            bool read; /* MOV from CR (CR8 only) */
        } cr;
        struct {
            uint16_t selector; /* of the new TSS, whose descriptor the hardware has checked */
            uint8_t source;    /* TASK_* */
            uint8_t length;    /* what the old task's RIP is to be advanced by */
            bool external;     /* an interrupt or a fault, not an instruction: EXT in error codes */
            bool has_error;    /* the gate's exception has an error code */
            uint32_t error;
        } task;
    } u;
};

/* What is to happen after an exit was handled. Only vcpu_run acts on it. */
enum outcome {
    RESUME,      /* go on where the guest is (an event may have been set) */
    RESUME_NEXT, /* go on behind the instruction that caused the exit: as vcpu_skip_bytes() */
    STOP_VM,     /* vm->wish says what comes next */
};

/* What vcpu_inject() delivers at the next entry. SDM 3C "Event Injection". */
enum vcpu_event_type {
    EVENT_EXTERNAL = 0,
    EVENT_NMI = 2,
    EVENT_EXCEPTION = 3,
};

/* Exceptions the policy raises itself. SDM 3A "Exception and Interrupt Reference". */
enum {
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_UD = 6,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_AC = 17,
    VECTOR_MC = 18,
};

/* Registers a loader sets for the first instruction of a vCPU; everything else is as after reset.
 */
struct vcpu_start {
    enum {
        START_REAL,        /* at the reset vector, F000H:FFF0H */
        START_SIPI,        /* at sipi_page << 12, real mode */
        START_PROTECTED32, /* flat, paging off */
        START_LONG,        /* flat, paging on at cr3 */
    } mode;
    uint8_t sipi_page;
    uint64_t rip, rsp, rsi, rbx, rax;
    uint64_t cr3; /* START_LONG */
    uint64_t gdt_base;
    uint16_t gdt_limit;
};

/* Control registers and flags as the guest sees them, for address translation and reports. */
struct vcpu_state {
    uint64_t rip, rsp, rflags, cr0, cr3, cr4, efer;
    uint64_t cs_base;
    uint32_t cs_access; /* access rights as in the VMCS: type [3:0], DPL [6:5], L [13], D [14] */
    uint8_t cpl;
};

/* Segment registers in the order of their encoding in instructions and TSSs, and four more. */
enum {
    SEGMENT_ES,
    SEGMENT_CS,
    SEGMENT_SS,
    SEGMENT_DS,
    SEGMENT_FS,
    SEGMENT_GS,
    SEGMENT_LDTR,
    SEGMENT_TR,
    SEGMENT_GDTR, /* base and limit only, read only */
};

struct vcpu_segment {
    uint16_t selector;
    uint32_t access; /* as in the VMCS: type [3:0], S, DPL, P, AVL [12], L, D/B, G, unusable */
    uint32_t limit;  /* in bytes */
    uint64_t base;
};

/* Bits of it. */
#define SEGMENT_WRITABLE    0x00002u /* [1]  data: writable; code: readable       */
#define SEGMENT_EXPAND_DOWN 0x00004u /* [2]  data: offsets begin above the limit  */
#define SEGMENT_CODE        0x00008u /* [3]  code, not data                       */
#define SEGMENT_BIG         0x04000u /* [14] expand-down: up to 4 GiB, not 64 KiB */
#define SEGMENT_UNUSABLE    0x10000u /* [16] e.g. a null selector was loaded      */

enum { CODE_16, CODE_32, CODE_64 }; /* size of the current code segment */

/*
 * Posted-interrupt descriptor: SDM 3C "Posted-Interrupt Processing". Any core writes it; a page to
 * itself, since some processors accept no other alignment.
 */
struct posted {
    _Atomic uint64_t pir[4];  /* bit n of word m: vector 64m + n is requested */
    _Atomic uint64_t control; /* POSTED_ON; the vector and core to notify */
};

#define POSTED_ON 1ull /* [0] outstanding notification */

/* EPT pointers of a VM. */
struct vcpu_memory {
    uint64_t eptp;
    uint64_t xapic_eptp; /* with APICV_ACCESS: for xAPIC mode, the same and a page at FEE00000H */
    uint64_t access_hpa; /* that page */
};

/* A field of the control structure by the hardware's number for it: for the table dump. */
struct vcpu_field {
    uint32_t number;
    uint64_t value;
};

#define VCPU_FIELDS_MAX 40

struct vcpu_arch {
    uint64_t gpr[GPR_COUNT]; /* the entry code saves and loads these; first, at known offsets */
    bool launched;           /* VMRESUME, not VMLAUNCH */
    union {
        uint32_t before_entry; /* not 0: one of these, so that an entry asks one question */
        struct {
            uint8_t attention; /* not 0: vcpu_prepare_entry() has something to look at */
            bool has_timer;    /* the preemption timer is used; it counts TSC >> timer_shift */
        };
    };
    struct vcpu_exit exit; /* the last one */

    uint64_t vmcs_hpa;
    uint64_t msr_bitmap_hpa;
    uint64_t io_bitmap_hpa; /* all ones: every port exits */
    uint32_t apicv;         /* APICV_* that it uses */
    uint64_t apic_hpa;      /* virtual-APIC page */
    uint32_t *apic_page;    /* the same, mapped */
    uint64_t posted_hpa;
    struct posted *posted;
    struct vcpu_memory memory;
    uint64_t tsc_offset;     /* added to the host's TSC while the guest runs */
    uint64_t armed_deadline; /* host TSC value the timer is set to; TIME_NEVER: not set */
    uint64_t xcr0;           /* the guest's */

    uint32_t pinbased;  /* pin-based controls, without the preemption timer */
    uint32_t procbased; /* processor-based controls as they are in the VMCS */
    uint32_t procbased2;
    uint32_t vpid;
    uint8_t tpr_threshold; /* as in the VMCS */
    uint8_t windows;       /* VCPU_WINDOW_* asked for */
    uint8_t timer_shift;
};

/* --- set-up --------------------------------------------------------------------------------- */

/*
 * Make a vCPU's control structure. Boot only, on any core.
 *   a       zeroed
 *   memory  of its VM; copied
 *   vpid    1..65535, unique in the machine
 *   apicv   what it is to use, a subset of virt_apicv() that apicv_complete() left as it is; or
 *           APICV_DIRECT alone, where virt_has_preemption_timer() and apic_is_x2apic()
 *   return  ERR_NOMEM
 */
struct pages;
MUST_CHECK enum err vcpu_create(struct vcpu_arch *a, struct pages *pool,
                                const struct vcpu_memory *memory, uint16_t vpid, uint32_t apicv);

/*
 * Make the control structure current on this core and bring the vCPU to its reset state, then to
 * `start`; also every register that the hardware does not switch (SYSCALL MSRs, x87/AVX state,
 * XCR0, debug registers).
 *   tsc_offset  guest TSC = host TSC + offset
 */
void vcpu_reset(struct vcpu_arch *a, const struct vcpu_start *start, uint64_t tsc_offset);

/*
 * As after INIT: like vcpu_reset, but SYSCALL MSRs, x87/AVX state, XCR0 and the TSC stay. The
 * vCPU ran on this core before.
 */
void vcpu_init(struct vcpu_arch *a, const struct vcpu_start *start);

/*
 * The vCPU does not run any more before the next vcpu_reset. With APICV_DIRECT the core's local
 * APIC, which vcpu_reset gave to the guest, is the hypervisor's again; what was pending there is
 * dropped.
 */
void vcpu_stop(struct vcpu_arch *a);

/* --- running -------------------------------------------------------------------------------- */

/* Run the guest until one of the next two says that its VM stops. */
void vcpu_run(struct vcpu_arch *a);

/*
 * What the policy (guest/) gives to vcpu_run: found by the linker, so that the loop of entries and
 * exits needs neither a pointer nor registers saved for a return.
 *
 * vcpu_handle_cpuid() and so on: an exit by that instruction; the answer is what happens next.
 *   port, size  of IN and OUT, not of their string forms; 1, 2 or 4 bytes
 * vcpu_handle_mmio(): EXIT_MMIO.
 *   gpa, write  of the first byte that is not mapped; it was, or was also, to be written
 *   rip         the guest's
 * vcpu_handle_undefined(): EXIT_VMCALL.
 * vcpu_handle_deadline(): EXIT_DEADLINE.
 * vcpu_handle_exit(): every other exit.
 * vcpu_prepare_entry(): before an entry, if a->attention is set; false: the VM stops.
 */
enum outcome vcpu_handle_cpuid(struct vcpu_arch *a);
enum outcome vcpu_handle_rdmsr(struct vcpu_arch *a);
enum outcome vcpu_handle_wrmsr(struct vcpu_arch *a);
enum outcome vcpu_handle_in(struct vcpu_arch *a, uint16_t port, unsigned size);
enum outcome vcpu_handle_out(struct vcpu_arch *a, uint16_t port, unsigned size);
enum outcome vcpu_handle_mmio(struct vcpu_arch *a, uint64_t gpa, uint64_t rip, bool write);
enum outcome vcpu_handle_undefined(struct vcpu_arch *a);
enum outcome vcpu_handle_deadline(struct vcpu_arch *a);
enum outcome vcpu_handle_exit(struct vcpu_arch *a, const struct vcpu_exit *x);
bool vcpu_prepare_entry(struct vcpu_arch *a);

/*
 * Go on behind an instruction whose length the hardware does not give (EXIT_MMIO): STI/MOV SS
 * blocking and RF end, and with RFLAGS.TF the guest gets its #DB. No event is set yet.
 *   len  1..15; 0: one iteration of a repeated instruction is done, which is to go on
 */
void vcpu_skip_bytes(struct vcpu_arch *a, unsigned len);

/* --- events --------------------------------------------------------------------------------- */

/* Whether the guest could take an external interrupt (or an NMI) at the next entry. */
bool vcpu_can_take_irq(struct vcpu_arch *a);
bool vcpu_can_take_nmi(struct vcpu_arch *a);

/* Whether an event is already set for the next entry. */
bool vcpu_has_event(const struct vcpu_arch *a);

/* An external interrupt: the most frequent. */
void vcpu_inject_irq(struct vcpu_arch *a, uint8_t vector);

/* Deliver an event at the next entry. No event is set yet; an exception replaces none. */
void vcpu_inject(struct vcpu_arch *a, enum vcpu_event_type type, uint8_t vector);
void vcpu_inject_error(struct vcpu_arch *a, uint8_t vector, uint32_t error_code);

/* Deliver #PF at the next entry: CR2 and the error code as SDM 3A "Page-Fault Exceptions" says. */
void vcpu_inject_page_fault(struct vcpu_arch *a, uint64_t gva, uint32_t error_code);

/* Deliver #DB at the next entry. causes: bits of DR6, [15:13] and [3:0]. */
void vcpu_inject_debug(struct vcpu_arch *a, uint64_t causes);

/* Give the guest the exception of the last EXIT_EXCEPTION, as if it had not been looked at. */
void vcpu_reflect(struct vcpu_arch *a, uint8_t vector);

/* Whether the guest has this core's own local APIC. Any core. */
static inline bool vcpu_is_direct(const struct vcpu_arch *a)
{
    return (a->apicv & APICV_DIRECT) != 0;
}

/*
 * An NMI has come in root mode. If this core's local APIC is a guest's, nothing else reaches the
 * core: the next entry exits at once, with EXIT_ROUSED. Called from the NMI's handler.
 */
void vcpu_note_nmi(void);

/* Whether the hardware takes posted interrupts while the guest runs. Any core. */
static inline bool vcpu_takes_posted(const struct vcpu_arch *a)
{
    return (a->apicv & APICV_POSTED) != 0;
}

/* Whether the hardware delivers what is in the virtual-APIC page's IRR by itself. */
static inline bool vcpu_delivers_irqs(const struct vcpu_arch *a)
{
    return (a->apicv & APICV_VIRTUAL_INTERRUPTS) != 0;
}

/* The mode of the local APIC changed: which of its accesses the hardware may answer. */
void vcpu_set_apic_mode(struct vcpu_arch *a, enum vcpu_apic_mode mode);

/*
 * With vcpu_delivers_irqs: IRR and ISR of the virtual-APIC page were changed by software.
 *   rvi, svi  highest vectors in IRR and ISR, 0 for none
 */
void vcpu_set_irq_status(struct vcpu_arch *a, uint8_t rvi, uint8_t svi);

/* With vcpu_delivers_irqs: which vectors' EOIs exit (EXIT_EOI); bit n of word m is 64m + n. */
void vcpu_set_eoi_exits(struct vcpu_arch *a, const uint64_t vectors[4]);

/* Ask for EXIT_TPR as soon as TPR [7:4] is below this; 0: never. Nothing without a TPR shadow. */
void vcpu_set_tpr_threshold(struct vcpu_arch *a, uint8_t threshold);
static inline void vcpu_want_tpr_threshold(struct vcpu_arch *a, uint8_t threshold)
{
    if (threshold != a->tpr_threshold)
        vcpu_set_tpr_threshold(a, threshold);
}

/*
 * Ask for EXIT_IRQ_WINDOW as soon as the guest can take an interrupt (of the local APIC, of what
 * goes past it: both are the same window), an NMI; 0: no longer.
 */
enum { VCPU_WINDOW_LAPIC = 1, VCPU_WINDOW_EXTINT = 2, VCPU_WINDOW_NMI = 4 };
void vcpu_set_windows(struct vcpu_arch *a, unsigned windows);
static inline void vcpu_want_windows(struct vcpu_arch *a, unsigned windows)
{
    if (windows != a->windows)
        vcpu_set_windows(a, windows);
}

/*
 * Ask for EXIT_DEADLINE.
 *   host_tsc  absolute time of this core's TSC, TIME_NEVER for none; nothing is done if unchanged
 */
void vcpu_move_deadline(struct vcpu_arch *a, uint64_t host_tsc);
static inline void vcpu_set_deadline(struct vcpu_arch *a, uint64_t host_tsc)
{
    if (host_tsc != a->armed_deadline)
        vcpu_move_deadline(a, host_tsc);
}

/* --- registers ------------------------------------------------------------------------------ */

/* Control registers, segments and flags; costs a dozen VMREADs: not for hot exits. */
void vcpu_get_state(struct vcpu_arch *a, struct vcpu_state *out);

/*
 * Whether what decides how an instruction is fetched and decoded is as it was in *s: CR0.PG, CR3,
 * CR4, IA32_EFER, CS's base and access rights, the CPL; and RIP.
 */
bool vcpu_same_code(struct vcpu_arch *a, const struct vcpu_state *s);

uint64_t vcpu_get_cr3(struct vcpu_arch *a);

/* CODE_16, CODE_32 or CODE_64. */
unsigned vcpu_code_size(const struct vcpu_state *s);

uint64_t vcpu_get_gpr(struct vcpu_arch *a, unsigned number);
void vcpu_set_gpr(struct vcpu_arch *a, unsigned number, uint64_t value);
void vcpu_set_rflags(struct vcpu_arch *a, uint64_t value);
uint64_t vcpu_get_cr0(struct vcpu_arch *a);
uint64_t vcpu_get_cr4(struct vcpu_arch *a);

/*
 * Segment registers. What is set has to be what the processor could have loaded: the CPL is that of
 * SS's access rights.
 *   number  SEGMENT_*
 */
void vcpu_get_segment(struct vcpu_arch *a, unsigned number, struct vcpu_segment *out);
void vcpu_set_segment(struct vcpu_arch *a, unsigned number, const struct vcpu_segment *s);

/*
 * What a task switch does beside loading registers from the TSS: CR3 with its TLB flush, RIP,
 * CR0.TS is set, local breakpoints are off, STI and MOV SS block no longer.
 */
void vcpu_enter_task(struct vcpu_arch *a, uint64_t cr3, uint64_t rip);

/* MOV to CR0/CR4 with a value the guest may have; false: the architecture says #GP. */
bool vcpu_write_cr0(struct vcpu_arch *a, uint64_t value);
bool vcpu_write_cr4(struct vcpu_arch *a, uint64_t value);

/*
 * PAE paging outside IA-32e mode takes its four PDPTEs from the control structure: after a write to
 * CR0 or CR4 that vcpu_write_cr0/4 did, they have to be read from guest memory at CR3.
 */
bool vcpu_uses_pdptes(struct vcpu_arch *a);
void vcpu_set_pdptes(struct vcpu_arch *a, const uint64_t pdpte[4]);

/* XSETBV of a value already checked against the guest's policy. */
void vcpu_set_xcr0(struct vcpu_arch *a, uint64_t value);

/* Change the TSC offset (guest wrote its TSC). */
void vcpu_set_tsc_offset(struct vcpu_arch *a, uint64_t offset);

/*
 * What decides which memory, ports and MSRs the guest reaches, as the hardware has it now. Fields
 * that the processor does not have are left out. Changes nothing: also from an interrupt.
 *   return  how many; 0: this core has not loaded the vCPU's control structure
 */
unsigned vcpu_get_fields(const struct vcpu_arch *a, struct vcpu_field out[VCPU_FIELDS_MAX]);

/* Why the last exit was, as the hardware numbers it: for logs. */
uint32_t vcpu_exit_reason(const struct vcpu_arch *a);

/* Print the record of a guest that is being stopped: registers and why. */
void vcpu_print(struct vcpu_arch *a);

#endif
