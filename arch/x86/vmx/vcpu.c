/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run-time half of arch/x86/vcpu.h: enter, decode the exit, events, registers.
 * SDM 3C "VM Entries", "VM Exits", "Event Injection".
 */
#include "arch/x86/vcpu.h"

#include <stddef.h>

#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "arch/x86/vmx/vmx.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/time.h"
#include "mm/pages.h"
#include "mm/phys.h"

/* enter.S has these numbers. */
_Static_assert(offsetof(struct vcpu_arch, gpr) == 0, "GPR in enter.S");
_Static_assert(offsetof(struct vcpu_arch, launched) == 128, "VCPU_LAUNCHED in enter.S");

/* MSRs the hardware switches, or that belong to the guest because the hypervisor has no use for
 * them: no exit. SDM 3C "MSR-Bitmap Address". */
static const uint32_t passthrough_msrs[] = {
    MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT,
    MSR_EFER,        MSR_STAR,         MSR_LSTAR,        MSR_CSTAR,
    MSR_FMASK,       MSR_FS_BASE,      MSR_GS_BASE,      MSR_KERNEL_GS_BASE,
};

#define APIC_ACCESS_GPA  0xfee00000ull /* where vcpu_memory.access_hpa is mapped */

#define MSR_BITMAP_READ  0x000
#define MSR_BITMAP_WRITE 0x800
#define MSR_BITMAP_HIGH  0x400 /* offset of C0000000H..C0001FFFH */

static void msr_set(uint8_t *bitmap, uint32_t access, uint32_t msr, bool exits)
{
    uint32_t bit = msr & 0x1fff;
    uint8_t *byte = &bitmap[access + (msr >= 0xc0000000 ? MSR_BITMAP_HIGH : 0) + bit / 8];
    uint8_t mask = (uint8_t)(1u << bit % 8);

    *byte = (uint8_t)(exits ? *byte | mask : *byte & ~mask);
}

static void msr_allow(uint8_t *bitmap, uint32_t access, uint32_t msr)
{
    msr_set(bitmap, access, msr, false);
}

/*
 * The registers of the core's local APIC that can do no harm but to the guest itself. Not ID,
 * version and LDR, which are those of its virtual machine; not the ICR; not the local interrupts
 * but the timer's, whose delivery mode is fixed. Bit n: MSR 800H + n. SDM 3A "x2APIC Register
 * Address Space".
 */
#define DIRECT_READ  0x430401ffffff8500ull /* TPR PPR SVR ISR TMR IRR ESR, timer's */
#define DIRECT_WRITE 0xc104010000008900ull /* TPR EOI SVR ESR, timer's, self IPI */

static void open_direct(uint8_t *bitmap)
{
    for (uint32_t n = 0; n < 64; n++) {
        msr_set(bitmap, MSR_BITMAP_READ, MSR_X2APIC_FIRST + n, (DIRECT_READ >> n & 1) == 0);
        msr_set(bitmap, MSR_BITMAP_WRITE, MSR_X2APIC_FIRST + n, (DIRECT_WRITE >> n & 1) == 0);
    }
    msr_allow(bitmap, MSR_BITMAP_READ, MSR_TSC_DEADLINE);
    msr_allow(bitmap, MSR_BITMAP_WRITE, MSR_TSC_DEADLINE);
}

static void make_msr_bitmap(uint8_t *bitmap)
{
    memset(bitmap, 0xff, PAGE_SIZE);
    for (size_t i = 0; i < ARRAY_LEN(passthrough_msrs); i++) {
        msr_allow(bitmap, MSR_BITMAP_READ, passthrough_msrs[i]);
        msr_allow(bitmap, MSR_BITMAP_WRITE, passthrough_msrs[i]);
    }
    msr_allow(bitmap, MSR_BITMAP_READ, MSR_TSC); /* with the offset; writes are policy */
    if (vmx_control_allowed(VMX_PROC2, PROC2_RDTSCP)) {
        msr_allow(bitmap, MSR_BITMAP_READ, MSR_TSC_AUX);
        msr_allow(bitmap, MSR_BITMAP_WRITE, MSR_TSC_AUX);
    }
}

enum err vcpu_create(struct vcpu_arch *a, struct pages *pool, const struct vcpu_memory *memory,
                     uint16_t vpid, uint32_t apicv)
{
    uint64_t *const out[] = {&a->vmcs_hpa, &a->msr_bitmap_hpa, &a->io_bitmap_hpa, &a->apic_hpa,
                             &a->posted_hpa};

    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        enum err e = pages_alloc(pool, out[i]);

        if (e != OK)
            return e;
    }
    make_msr_bitmap(phys_table(a->msr_bitmap_hpa));
    if ((apicv & APICV_DIRECT) != 0)
        open_direct(phys_table(a->msr_bitmap_hpa));
    memset(phys_table(a->io_bitmap_hpa), 0xff, PAGE_SIZE);
    a->apic_page = phys_table(a->apic_hpa);
    a->posted = phys_table(a->posted_hpa);
    a->memory = *memory;
    a->vpid = vpid;
    a->apicv = apicv;
    return OK;
}

/* --- start ------------------------------------------------------------------------------------ */

static void clear_vmcs(uint64_t hpa)
{
    bool failed;

    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(hpa) : "memory");
    if (failed)
        panic("VMCLEAR of %lx failed", hpa);
}

static void load_vmcs(struct vcpu_arch *a)
{
    bool failed;

    if (this_cpu()->loaded == a) /* active since the last life: the CPU may still write it back */
        clear_vmcs(a->vmcs_hpa);
    memset(phys_table(a->vmcs_hpa), 0, PAGE_SIZE);
    *(uint32_t *)phys_table(a->vmcs_hpa) = (uint32_t)(rdmsr(MSR_VMX_BASIC) & VMX_BASIC_REVISION);
    clear_vmcs(a->vmcs_hpa);
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(a->vmcs_hpa) : "memory");
    if (failed)
        panic("VMPTRLD of %lx failed", a->vmcs_hpa);
    this_cpu()->loaded = a;
    a->launched = false;
}

struct PACKED invalidate_descriptor {
    uint64_t tag; /* EPT pointer, or VPID in [15:0] */
    uint64_t address;
};

/* Nothing of a former life of this VM may be left in the TLB. */
static void flush_translations(const struct vcpu_arch *a)
{
    const uint64_t eptps[] = {a->memory.eptp, a->memory.xapic_eptp};
    struct invalidate_descriptor vpid = {a->vpid, 0};
    uint64_t single_context = 1;

    for (size_t i = 0; i < ARRAY_LEN(eptps) && eptps[i] != 0; i++) {
        struct invalidate_descriptor ept = {eptps[i], 0};

        __asm__ volatile("invept %0, %1" : : "m"(ept), "r"(single_context) : "cc", "memory");
    }
    __asm__ volatile("invvpid %0, %1" : : "m"(vpid), "r"(single_context) : "cc", "memory");
}

/* Legacy area of an XSAVE image whose header says "everything in its initial state". */
struct ALIGNED(64) xsave_image {
    uint16_t fcw;
    uint8_t to_mxcsr[22];
    uint32_t mxcsr;
    uint8_t rest[548];
};
_Static_assert(sizeof(struct xsave_image) == 576, "SDM 1: 512 bytes legacy area + 64 header");

static void reset_extended_state(struct vcpu_arch *a)
{
    static const struct xsave_image initial = {.fcw = 0x37f, .mxcsr = 0x1f80};

    if (read_cr4() & CR4_OSXSAVE) {
        struct cpuid_regs r = cpuid(0xd, 0);

        xsetbv0((uint64_t)r.edx << 32 | r.eax);
        __asm__ volatile("xrstor64 %0" : : "m"(initial), "a"(~0u), "d"(~0u));
        xsetbv0(1);
    } else {
        __asm__ volatile("fxrstor64 %0" : : "m"(initial));
    }
    a->xcr0 = 1;
}

/* Registers VMX does not switch and the hypervisor does not use: they are always the guest's. */
static void reset_unswitched(struct vcpu_arch *a)
{
    static const uint32_t msrs[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE};

    for (size_t i = 0; i < ARRAY_LEN(msrs); i++)
        wrmsr(msrs[i], 0);
    if (vmx_control_allowed(VMX_PROC2, PROC2_RDTSCP))
        wrmsr(MSR_TSC_AUX, 0);
    reset_extended_state(a);
}

static void reset_debug_registers(void)
{
    uint64_t zero = 0;
    uint64_t dr6 = 0xffff0ff0;

    __asm__ volatile("mov %0, %%dr0\n\tmov %0, %%dr1\n\tmov %0, %%dr2\n\tmov %0, %%dr3\n\t"
                     "mov %1, %%dr6"
                     :
                     : "r"(zero), "r"(dr6));
}

void vcpu_init(struct vcpu_arch *a, const struct vcpu_start *start)
{
    memset(a->gpr, 0, sizeof(a->gpr));
    a->windows = 0;
    a->gpr[RAX] = start->rax;
    a->gpr[RBX] = start->rbx;
    a->gpr[RSI] = start->rsi;
    load_vmcs(a);
    vmcs_setup(a, start);
    flush_translations(a);
    write_cr2(0);
    reset_debug_registers();
    a->armed_deadline = 0;
    vcpu_set_deadline(a, TIME_NEVER);
}

void vcpu_reset(struct vcpu_arch *a, const struct vcpu_start *start, uint64_t tsc_offset)
{
    a->tsc_offset = tsc_offset;
    vcpu_init(a, start);
    reset_unswitched(a);
    if (vcpu_is_direct(a))
        apic_lend();
}

/* --- run -------------------------------------------------------------------------------------- */

/* VMfail: a control or host field is wrong, and those are ours. From enter.S. */
NORETURN void vmx_entry_refused(const struct vcpu_arch *a, bool invalid)
{
    uint64_t error = vmread(VMCS_INSTRUCTION_ERROR);

    log_urgent("VM entry refused, VMCS %lx", a->vmcs_hpa);
    unsigned found = vmx_explain_entry_failure();

    panic("VM entry: %s, VM-instruction error %lu; %u broken checks found, listed above",
          invalid ? "VMfailInvalid" : "VMfailValid", error, found);
}

/* The guest state was refused: the guest made it so, and only the guest ends. */
static void decode_entry_failure(struct vcpu_exit *x, uint32_t reason)
{
    reason &= 0xffff;
    if (reason != REASON_ENTRY_GUEST)
        panic("VM entry failed with exit reason %u, which is not the guest's doing", reason);
    log_line("VM entry: guest state refused, exit reason %u, qualification %lu", reason,
             vmread(VMCS_EXIT_QUALIFICATION));
    log_line("%u broken checks found, listed above", vmx_explain_entry_failure());
    x->kind = EXIT_ENTRY_FAILED;
}

/* Without a TSC-deadline timer the preemption timer is set anew at each entry: it counts down. */
static void set_preemption_timer(const struct vcpu_arch *a)
{
    uint64_t now = rdtsc();
    uint64_t left = a->armed_deadline > now ? a->armed_deadline - now : 0;

    left = (left >> a->timer_shift) + 1; /* 0 would go before the host's interrupts, even NMIs */
    vmwrite(VMCS_PREEMPTION_TIMER, left < UINT32_MAX ? left : UINT32_MAX);
    if (vcpu_is_direct(a))
        vmx_direct_entry(a);
}

static NOINLINE enum outcome handle_other_irq(struct vcpu_arch *a, uint8_t vector)
{
    a->exit.kind = EXIT_HOST_IRQ;
    a->exit.u.vector = vector;
    return vcpu_handle_exit(a, &a->exit);
}

static inline enum outcome handle_host_irq(struct vcpu_arch *a)
{
    uint8_t vector = (uint8_t)vmread(VMCS_EXIT_INTR_INFO);

    if (UNLIKELY(vector != HOST_VECTOR_TIMER))
        return handle_other_irq(a, vector);
    apic_eoi();
    a->armed_deadline = TIME_NEVER; /* the timer disarmed itself */
    return vcpu_handle_deadline(a);
}

static NOINLINE enum outcome handle_other(struct vcpu_arch *a, uint32_t reason);

static NOINLINE enum outcome handle_io_string(struct vcpu_arch *a, uint64_t q)
{
    uint64_t info = vmread(VMCS_EXIT_INSN_INFO);
    bool in = (q & QUAL_IO_IN) != 0;

    a->exit = (struct vcpu_exit){
        .kind = EXIT_PIO_STRING,
        .u.pio = {.port = (uint16_t)(q >> 16),
                  .size = (uint8_t)((q & QUAL_IO_SIZE) + 1),
                  .in = in,
                  .rep = (q & QUAL_IO_REP) != 0,
                  .address_size = (uint8_t)(2u << field_get(info, INSN_INFO_ASIZE)),
                  .segment = in ? 0 : (uint8_t)field_get(info, INSN_INFO_SEGMENT)},
    };
    return vcpu_handle_exit(a, &a->exit);
}

static inline enum outcome handle_io(struct vcpu_arch *a)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    uint16_t port = (uint16_t)(q >> 16);
    unsigned size = (unsigned)(q & QUAL_IO_SIZE) + 1;

    if (UNLIKELY((q & QUAL_IO_STRING) != 0))
        return handle_io_string(a, q);
    return (q & QUAL_IO_IN) != 0 ? vcpu_handle_in(a, port, size) : vcpu_handle_out(a, port, size);
}

static void decode_cr(struct vcpu_exit *x)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    uint64_t type = field_get(q, QUAL_CR_TYPE);

    x->kind = type <= 1 ? EXIT_CR : EXIT_UNKNOWN; /* CLTS, LMSW: no bit they change is ours */
    x->u.cr.number = (uint8_t)(q & QUAL_CR_NUMBER);
    x->u.cr.gpr = (uint8_t)field_get(q, QUAL_CR_GPR);
    x->u.cr.read = type == 1;
}

/*
 * All RAM is mapped, so a violation is an access to a device or to nothing. If it happened while
 * an event was being delivered, the guest's IDT or stack lies there; if it is not the access itself
 * but the walk to it, its page tables do. No instruction can be emulated then: the guest is beyond
 * help.
 */
static inline bool is_in_delivery(void)
{
    return (vmread(VMCS_IDT_VECTORING_INFO) & INTR_INFO_VALID) != 0;
}

static void decode_ept_violation(struct vcpu_exit *x)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    bool is_fetch = (q & (QUAL_EPT_FINAL | QUAL_EPT_FETCH)) == (QUAL_EPT_FINAL | QUAL_EPT_FETCH);

    x->kind = is_fetch && !is_in_delivery() ? EXIT_FETCH : EXIT_UNKNOWN;
}

static inline enum outcome handle_data_access(struct vcpu_arch *a, uint64_t q)
{
    return vcpu_handle_mmio(a, vmread(VMCS_GUEST_PHYSICAL), vmread(VMCS_GUEST_RIP),
                            (q & QUAL_EPT_WRITE) != 0);
}

static NOINLINE enum outcome handle_rare_violation(struct vcpu_arch *a, uint64_t q)
{
    if ((q & QUAL_EPT_NMI_IRET) != 0)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKING_NMI);
    if (is_in_delivery() || (q & (QUAL_EPT_FINAL | QUAL_EPT_FETCH)) != QUAL_EPT_FINAL)
        return handle_other(a, REASON_EPT_VIOLATION);
    return handle_data_access(a, q);
}

static inline enum outcome handle_ept_violation(struct vcpu_arch *a)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);

    if (UNLIKELY((q & (QUAL_EPT_FINAL | QUAL_EPT_FETCH | QUAL_EPT_NMI_IRET)) != QUAL_EPT_FINAL ||
                 is_in_delivery()))
        return handle_rare_violation(a, q);
    return handle_data_access(a, q);
}

#define APIC_ACCESS_WRITE 1
#define APIC_ACCESS_FETCH 2

/* An access that the hardware did not answer from the virtual-APIC page; event delivery as above.
 */
static void decode_apic_access(struct vcpu_exit *x)
{
    uint64_t type = field_get(vmread(VMCS_EXIT_QUALIFICATION), QUAL_APIC_TYPE);

    x->kind = type == APIC_ACCESS_FETCH ? EXIT_FETCH : EXIT_UNKNOWN;
}

static inline enum outcome handle_apic_access(struct vcpu_arch *a)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    uint64_t type = field_get(q, QUAL_APIC_TYPE);

    if (UNLIKELY(type > APIC_ACCESS_WRITE))
        return handle_other(a, REASON_APIC_ACCESS);
    return vcpu_handle_mmio(a, APIC_ACCESS_GPA + (q & QUAL_APIC_OFFSET), vmread(VMCS_GUEST_RIP),
                            type == APIC_ACCESS_WRITE);
}

/* What was being delivered when the exception came is lost unless it is delivered again. */
static void decode_exception(struct vcpu_exit *x)
{
    uint64_t info = vmread(VMCS_EXIT_INTR_INFO);
    uint64_t before = vmread(VMCS_IDT_VECTORING_INFO);
    bool interrupted = (before & INTR_INFO_VALID) != 0;

    if (field_get(info, INTR_INFO_TYPE) == INTR_TYPE_NMI) {
        x->kind = EXIT_NMI;
        return;
    }
    x->kind = (info & INTR_INFO_VECTOR) == VECTOR_MC ? EXIT_MACHINE_CHECK : EXIT_EXCEPTION;
    x->u.exception.vector = (uint8_t)info;
    x->u.exception.lost_nmi = interrupted && field_get(before, INTR_INFO_TYPE) == INTR_TYPE_NMI;
    x->u.exception.lost_irq = interrupted && field_get(before, INTR_INFO_TYPE) == EVENT_EXTERNAL;
    x->u.exception.lost_vector = (uint8_t)before;
    if (x->u.exception.lost_nmi) /* its delivery had begun to block further ones */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)BLOCKING_NMI);
}

static bool in_64bit_code(void)
{
    return (vmread(VMCS_GUEST_EFER) & EFER_LMA) != 0 &&
           (vmread(VMCS_GUEST_CS_ACCESS) & ACCESS_L) != 0;
}

static inline void advance(uint64_t len)
{
    uint64_t to = vmread(VMCS_GUEST_RIP) + len;

    if (UNLIKELY((uint32_t)to < len) && !in_64bit_code())
        to = (uint32_t)to; /* EIP wraps */
    vmwrite(VMCS_GUEST_RIP, to);
}

/* DR6 as #DB leaves it. causes: DEBUG_CAUSES. */
static void add_debug_causes(uint64_t causes)
{
    uint64_t dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" : : "r"((dr6 & ~0xfull) | (causes & DEBUG_CAUSES)));
}

/*
 * SDM 3C "Information for VM Exits Due to Vectored Events": DR6 and DR7 are as before the #DB.
 * INT1 stands at itself, and is to be left behind. "Checks on Guest Non-Register State": behind STI
 * or MOV SS a single step has to be pending, though the injected #DB then replaces it.
 */
static void deliver_debug_state(void)
{
    uint64_t shadow = vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS);

    add_debug_causes(vmread(VMCS_EXIT_QUALIFICATION));
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
    if (field_get(vmread(VMCS_EXIT_INTR_INFO), INTR_INFO_TYPE) == INTR_TYPE_PRIVILEGED)
        advance(vmread(VMCS_EXIT_INSN_LENGTH));
    if (shadow != 0 && (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0)
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | DEBUG_BS);
}

void vcpu_reflect(struct vcpu_arch *a, uint8_t vector)
{
    if (vector == VECTOR_DB)
        deliver_debug_state();
    if (vector == VECTOR_AC)
        vcpu_inject_error(a, vector, 0);
    else
        vcpu_inject(a, EVENT_EXCEPTION, vector);
}

/*
 * The event of a task gate in the IDT is delivered by the switch. An NMI blocks further ones, and
 * IRET unblocks them, as if the processor had done it.
 */
static void decode_task_switch(struct vcpu_exit *x)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    uint64_t event = vmread(VMCS_IDT_VECTORING_INFO);
    uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)BLOCKING_NMI;
    uint64_t type = field_get(event, INTR_INFO_TYPE);
    bool gate = field_get(q, QUAL_TASK_SOURCE) == TASK_GATE;
    bool by_instruction = !gate || (type >= INTR_TYPE_SOFTWARE && type < INTR_TYPE_OTHER);

    x->kind = EXIT_TASK_SWITCH;
    x->u.task.selector = (uint16_t)q;
    x->u.task.source = (uint8_t)field_get(q, QUAL_TASK_SOURCE);
    x->u.task.external = !by_instruction;
    x->u.task.length = by_instruction ? (uint8_t)vmread(VMCS_EXIT_INSN_LENGTH) : 0;
    x->u.task.has_error = gate && (event & INTR_INFO_ERROR) != 0;
    x->u.task.error = (uint32_t)vmread(VMCS_IDT_VECTORING_ERROR);
    if (gate && type == INTR_TYPE_NMI)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking | BLOCKING_NMI);
    if (x->u.task.source == TASK_IRET)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking);
}

static void decode_rare(struct vcpu_exit *x, uint32_t reason)
{
    if ((reason & REASON_ENTRY_FAILED) != 0) {
        decode_entry_failure(x, reason);
        return;
    }
    switch (reason) {
    case REASON_NMI_WINDOW: x->kind = EXIT_IRQ_WINDOW; break;
    case REASON_EXCEPTION_NMI: decode_exception(x); break;
    case REASON_TRIPLE_FAULT: x->kind = EXIT_TRIPLE_FAULT; break;
    case REASON_TASK_SWITCH: decode_task_switch(x); break;
    case REASON_PREEMPTION: x->kind = vmx_direct_timer(); break;
    case REASON_XSETBV: x->kind = EXIT_XSETBV; break;
    case REASON_TPR: x->kind = EXIT_TPR; break;
    case REASON_EOI:
        x->kind = EXIT_EOI;
        x->u.vector = (uint8_t)vmread(VMCS_EXIT_QUALIFICATION);
        break;
    case REASON_CR: decode_cr(x); break;
    case REASON_WBINVD:
    case REASON_INVD: x->kind = EXIT_NOP; break;
    case REASON_RDPMC: x->kind = EXIT_RDPMC; break;
    case REASON_GETSEC:
    case REASON_MWAIT:
    case REASON_MONITOR:
    case REASON_INVEPT:
    case REASON_INVVPID: x->kind = EXIT_VMX_INSN; break;
    default:
        x->kind = reason >= REASON_VMCLEAR && reason <= REASON_VMXON ? EXIT_VMX_INSN : EXIT_UNKNOWN;
        break;
    }
}

static void decode_exit(struct vcpu_exit *x, uint32_t reason)
{
    switch (reason) {
    case REASON_EPT_VIOLATION: decode_ept_violation(x); break;
    case REASON_IRQ_WINDOW: x->kind = EXIT_IRQ_WINDOW; break;
    case REASON_APIC_WRITE:
        x->kind = EXIT_APIC_WRITE;
        x->u.apic_offset = (uint16_t)(vmread(VMCS_EXIT_QUALIFICATION) & QUAL_APIC_OFFSET);
        break;
    case REASON_APIC_ACCESS: decode_apic_access(x); break;
    default: decode_rare(x, reason); break;
    }
}

/*
 * What an instruction's end brings besides: RF and the shadow of STI or MOV SS are over, and traps
 * of the debugger come: the single step, and data breakpoints that a MOV SS before held back.
 * SDM 3C "Delivery of Pending Debug Exceptions after VM Entry" would lose them where an interrupt
 * is injected; as an event set for the entry they go first.
 */
static void end_instruction(struct vcpu_arch *a)
{
    uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    uint64_t rflags = vmread(VMCS_GUEST_RFLAGS);
    uint64_t pending = vmread(VMCS_GUEST_PENDING_DEBUG);
    uint64_t causes = pending & DEBUG_ENABLED ? pending & DEBUG_CAUSES : 0;

    vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(uint64_t)(BLOCKING_STI | BLOCKING_MOV_SS));
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    if (rflags & RFLAGS_TF)
        causes |= DEBUG_BS;
    if (causes != 0)
        vcpu_inject_debug(a, causes);
}

static inline void skip(struct vcpu_arch *a, uint64_t len)
{
    uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    uint64_t rflags = vmread(VMCS_GUEST_RFLAGS);

    advance(len);
    if (UNLIKELY((rflags & (RFLAGS_TF | RFLAGS_RF)) != 0 ||
                 (blocking & (BLOCKING_STI | BLOCKING_MOV_SS)) != 0))
        end_instruction(a); /* reads them again: cheaper than keeping them for it */
}

/* Here RF is always set: the exit came before the instruction, as a fault does. */
void vcpu_skip_bytes(struct vcpu_arch *a, unsigned len)
{
    uint64_t rflags = vmread(VMCS_GUEST_RFLAGS);

    advance(len);
    vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
    if (UNLIKELY((rflags & RFLAGS_TF) != 0))
        end_instruction(a);
    else if (UNLIKELY((vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS)) !=
                      0))
        end_instruction(a);
}

/*
 * The two ends of enter.S's loop.
 *   return  a; NULL: leave vcpu_run
 */
struct vcpu_arch *vmx_before_entry(struct vcpu_arch *a)
{
    if (a->attention && !vcpu_prepare_entry(a))
        return NULL;
    if (a->has_timer)
        set_preemption_timer(a);
    return a;
}

static NOINLINE enum outcome handle_other(struct vcpu_arch *a, uint32_t reason)
{
    decode_exit(&a->exit, reason);
    return vcpu_handle_exit(a, &a->exit);
}

/* What guests do often is asked for first, by two halves, and decoded into registers. */
static inline enum outcome handle(struct vcpu_arch *a, uint32_t reason)
{
    if (reason > REASON_IO) {
        if (reason == REASON_WRMSR)
            return vcpu_handle_wrmsr(a);
        if (reason == REASON_RDMSR)
            return vcpu_handle_rdmsr(a);
        if (reason == REASON_EPT_VIOLATION)
            return handle_ept_violation(a);
        if (reason == REASON_APIC_ACCESS)
            return handle_apic_access(a);
    } else {
        if (reason == REASON_IO)
            return handle_io(a);
        if (reason == REASON_CPUID)
            return vcpu_handle_cpuid(a);
        if (reason == REASON_EXTERNAL_IRQ)
            return handle_host_irq(a);
        if (reason == REASON_VMCALL)
            return vcpu_handle_undefined(a);
    }
    return handle_other(a, reason);
}

struct vcpu_arch *vmx_exited(struct vcpu_arch *a)
{
    enum outcome outcome = handle(a, (uint32_t)vmread(VMCS_EXIT_REASON));

    if (outcome == RESUME_NEXT)
        skip(a, vmread(VMCS_EXIT_INSN_LENGTH));
    else if (outcome == STOP_VM)
        return NULL;
    return a->before_entry == 0 ? a : vmx_before_entry(a);
}

void vcpu_run(struct vcpu_arch *a)
{
    vmx_loop(a);
}

/* --- events ----------------------------------------------------------------------------------- */

void vcpu_inject_debug(struct vcpu_arch *a, uint64_t causes)
{
    add_debug_causes(causes);
    vcpu_inject(a, EVENT_EXCEPTION, VECTOR_DB);
}

void vcpu_inject_page_fault(struct vcpu_arch *a, uint64_t gva, uint32_t error_code)
{
    write_cr2(gva);
    vcpu_inject_error(a, VECTOR_PF, error_code);
}

/* The processor clears the field's valid bit at each exit. SDM 3C "VM-Exit Controls for MSRs". */
bool vcpu_has_event(const struct vcpu_arch *a)
{
    (void)a;
    return (vmread(VMCS_ENTRY_INTR_INFO) & INTR_INFO_VALID) != 0;
}

bool vcpu_can_take_irq(struct vcpu_arch *a)
{
    if (vcpu_has_event(a) || (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) == 0)
        return false;
    return (vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS)) == 0;
}

bool vcpu_can_take_nmi(struct vcpu_arch *a)
{
    return !vcpu_has_event(a) && (vmread(VMCS_GUEST_INTERRUPTIBILITY) &
                                  (BLOCKING_STI | BLOCKING_MOV_SS | BLOCKING_NMI)) == 0;
}

void vcpu_inject(struct vcpu_arch *a, enum vcpu_event_type type, uint8_t vector)
{
    (void)a;
    vmwrite(VMCS_ENTRY_INTR_INFO, INTR_INFO_VALID | (uint32_t)type << INTR_TYPE_SHIFT | vector);
}

void vcpu_inject_irq(struct vcpu_arch *a, uint8_t vector)
{
    (void)a;
    vmwrite(VMCS_ENTRY_INTR_INFO, INTR_INFO_VALID | EVENT_EXTERNAL << INTR_TYPE_SHIFT | vector);
}

void vcpu_inject_error(struct vcpu_arch *a, uint8_t vector, uint32_t error_code)
{
    bool protected_mode = (vmread(VMCS_GUEST_CR0) & CR0_PE) != 0;

    vcpu_inject(a, EVENT_EXCEPTION, vector);
    if (!protected_mode) /* real mode pushes no error code, and the entry checks insist */
        return;
    vmwrite(VMCS_ENTRY_INTR_INFO, vmread(VMCS_ENTRY_INTR_INFO) | INTR_INFO_ERROR);
    vmwrite(VMCS_ENTRY_ERROR_CODE, error_code);
}

/*
 * Some processors open the NMI window behind an STI, where an NMI cannot be injected yet: the guest
 * would not get on. The interrupt window opens one instruction later, IF being 1.
 * SDM 3C "NMI-Window Exiting and Virtual-NMI Blocking".
 */
static bool is_behind_sti(void)
{
    return (vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKING_STI) != 0;
}

void vcpu_set_windows(struct vcpu_arch *a, unsigned windows)
{
    a->windows = (uint8_t)windows;
    a->procbased &= ~(PROC_IRQ_WINDOW | PROC_NMI_WINDOW);
    if ((windows & (VCPU_WINDOW_LAPIC | VCPU_WINDOW_EXTINT)) != 0)
        a->procbased |= PROC_IRQ_WINDOW;
    if ((windows & VCPU_WINDOW_NMI) != 0)
        a->procbased |= is_behind_sti() ? PROC_IRQ_WINDOW : PROC_NMI_WINDOW;
    vmwrite(VMCS_PROC_CONTROLS, a->procbased);
}

/* --- the local APIC's help -------------------------------------------------------------------- */

/* x2APIC registers that the virtual-APIC page can answer for; PPR only where the hardware keeps it.
 * Not the ICR, whose two halves lie apart there, nor the current count. */
#define X2APIC_READABLE 0x41fc01ffffffa10cull /* bit n: MSR 800H + n */
#define X2APIC_TPR      0x08u
#define X2APIC_PPR      0x0au
#define X2APIC_EOI      0x0bu
#define X2APIC_SELF_IPI 0x3fu

static void open_x2apic(struct vcpu_arch *a, bool on)
{
    uint8_t *bitmap = phys_table(a->msr_bitmap_hpa);
    bool registers = on && (a->apicv & APICV_REGISTERS) != 0;
    bool vid = on && vcpu_delivers_irqs(a);

    for (uint32_t n = 0; n < 64; n++)
        msr_set(bitmap, MSR_BITMAP_READ, MSR_X2APIC_FIRST + n,
                !(registers && (X2APIC_READABLE >> n & 1) != 0));
    msr_set(bitmap, MSR_BITMAP_READ, MSR_X2APIC_FIRST + X2APIC_TPR, !on);
    msr_set(bitmap, MSR_BITMAP_READ, MSR_X2APIC_FIRST + X2APIC_PPR, !(registers && vid));
    msr_set(bitmap, MSR_BITMAP_WRITE, MSR_X2APIC_FIRST + X2APIC_TPR, !on);
    msr_set(bitmap, MSR_BITMAP_WRITE, MSR_X2APIC_FIRST + X2APIC_EOI, !vid);
    msr_set(bitmap, MSR_BITMAP_WRITE, MSR_X2APIC_FIRST + X2APIC_SELF_IPI, !vid);
}

void vcpu_set_apic_mode(struct vcpu_arch *a, enum vcpu_apic_mode mode)
{
    bool xapic = mode == VCPU_APIC_XAPIC && (a->apicv & APICV_ACCESS) != 0;
    bool x2apic = mode == VCPU_APIC_X2APIC && (a->apicv & APICV_X2APIC) != 0;
    uint32_t controls = a->procbased2 & ~(PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS);

    if (xapic)
        controls |= PROC2_APIC_ACCESS;
    if (x2apic)
        controls |= PROC2_X2APIC;
    if ((xapic || x2apic) && (a->apicv & APICV_REGISTERS) != 0)
        controls |= PROC2_APIC_REGS;
    if (!vcpu_is_direct(a))
        open_x2apic(a, x2apic);
    vmwrite(VMCS_EPT_POINTER, xapic ? a->memory.xapic_eptp : a->memory.eptp);
    a->procbased2 = controls;
    vmwrite(VMCS_PROC_CONTROLS2, controls);
}

void vcpu_set_irq_status(struct vcpu_arch *a, uint8_t rvi, uint8_t svi)
{
    (void)a;
    vmwrite(VMCS_GUEST_IRQ_STATUS, (uint64_t)svi << 8 | rvi);
}

void vcpu_set_eoi_exits(struct vcpu_arch *a, const uint64_t vectors[4])
{
    (void)a;
    for (unsigned i = 0; i < 4; i++)
        vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, vectors[i]);
}

void vcpu_set_tpr_threshold(struct vcpu_arch *a, uint8_t threshold)
{
    a->tpr_threshold = threshold;
    if ((a->apicv & APICV_TPR_SHADOW) != 0)
        vmwrite(VMCS_TPR_THRESHOLD, threshold);
}

void vcpu_move_deadline(struct vcpu_arch *a, uint64_t host_tsc)
{
    a->armed_deadline = host_tsc;
    if (!a->has_timer)
        wrmsr(MSR_TSC_DEADLINE, host_tsc == TIME_NEVER ? 0 : host_tsc);
}

/* --- registers -------------------------------------------------------------------------------- */

void vcpu_get_state(struct vcpu_arch *a, struct vcpu_state *out)
{
    (void)a;
    *out = (struct vcpu_state){
        .rip = vmread(VMCS_GUEST_RIP),
        .rsp = vmread(VMCS_GUEST_RSP),
        .rflags = vmread(VMCS_GUEST_RFLAGS),
        .cr0 = vmread(VMCS_GUEST_CR0),
        .cr3 = vmread(VMCS_GUEST_CR3),
        .cr4 = vmread(VMCS_GUEST_CR4),
        .efer = vmread(VMCS_GUEST_EFER),
        .cs_base = vmread(VMCS_GUEST_CS_BASE),
        .cs_access = (uint32_t)vmread(VMCS_GUEST_CS_ACCESS),
        .cpl = (uint8_t)(vmread(VMCS_GUEST_SS_ACCESS) >> 5 & 3),
    };
}

/* One after the other: the first that differs decides. */
bool vcpu_same_code(struct vcpu_arch *a, const struct vcpu_state *s)
{
    (void)a;
    if (UNLIKELY(vmread(VMCS_GUEST_RIP) != s->rip))
        return false;
    if (UNLIKELY(vmread(VMCS_GUEST_CR3) != s->cr3))
        return false;
    if (UNLIKELY((uint32_t)vmread(VMCS_GUEST_CS_ACCESS) != s->cs_access))
        return false;
    if (UNLIKELY((vmread(VMCS_GUEST_SS_ACCESS) >> 5 & 3) != s->cpl))
        return false;
    if (UNLIKELY(((vmread(VMCS_GUEST_CR0) ^ s->cr0) & CR0_PG) != 0))
        return false;
    if (UNLIKELY(vmread(VMCS_GUEST_CR4) != s->cr4))
        return false;
    if (UNLIKELY(vmread(VMCS_GUEST_EFER) != s->efer))
        return false;
    return vmread(VMCS_GUEST_CS_BASE) == s->cs_base;
}

uint64_t vcpu_get_cr3(struct vcpu_arch *a)
{
    (void)a;
    return vmread(VMCS_GUEST_CR3);
}

unsigned vcpu_code_size(const struct vcpu_state *s)
{
    if ((s->efer & EFER_LMA) != 0 && (s->cs_access & BIT32(13)) != 0)
        return CODE_64;
    return s->cs_access & BIT32(14) ? CODE_32 : CODE_16;
}

uint64_t vcpu_get_gpr(struct vcpu_arch *a, unsigned number)
{
    return number == RSP ? vmread(VMCS_GUEST_RSP) : a->gpr[number];
}

void vcpu_set_gpr(struct vcpu_arch *a, unsigned number, uint64_t value)
{
    if (number == RSP)
        vmwrite(VMCS_GUEST_RSP, value);
    else
        a->gpr[number] = value;
}

void vcpu_set_rflags(struct vcpu_arch *a, uint64_t value)
{
    (void)a;
    vmwrite(VMCS_GUEST_RFLAGS, value);
}

/* The four fields of a segment register are equally far apart in each width; GDTR has two. */
void vcpu_get_segment(struct vcpu_arch *a, unsigned number, struct vcpu_segment *out)
{
    (void)a;
    *out = (struct vcpu_segment){
        .limit = (uint32_t)vmread(VMCS_GUEST_ES_LIMIT + 2 * number),
        .base = vmread(VMCS_GUEST_ES_BASE + 2 * number),
    };
    if (number == SEGMENT_GDTR)
        return;
    out->selector = (uint16_t)vmread(VMCS_GUEST_ES_SELECTOR + 2 * number);
    out->access = (uint32_t)vmread(VMCS_GUEST_ES_ACCESS + 2 * number);
}

void vcpu_set_segment(struct vcpu_arch *a, unsigned number, const struct vcpu_segment *s)
{
    (void)a;
    vmwrite_checked(VMCS_GUEST_ES_SELECTOR + 2 * number, s->selector);
    vmwrite_checked(VMCS_GUEST_ES_BASE + 2 * number, s->base);
    vmwrite_checked(VMCS_GUEST_ES_LIMIT + 2 * number, s->limit);
    vmwrite_checked(VMCS_GUEST_ES_ACCESS + 2 * number, s->access);
}

void vcpu_enter_task(struct vcpu_arch *a, uint64_t cr3, uint64_t rip)
{
    uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

    vmwrite(VMCS_GUEST_CR3, cr3);
    vmwrite(VMCS_GUEST_RIP, rip);
    vmwrite(VMCS_GUEST_CR0, vmread(VMCS_GUEST_CR0) | CR0_TS);
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_LOCAL);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(uint64_t)(BLOCKING_STI | BLOCKING_MOV_SS));
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    flush_translations(a);
}

uint64_t vcpu_get_cr0(struct vcpu_arch *a)
{
    uint64_t mask = vmread(VMCS_CR0_MASK);

    (void)a;
    return (vmread(VMCS_GUEST_CR0) & ~mask) | (vmread(VMCS_CR0_SHADOW) & mask);
}

uint64_t vcpu_get_cr4(struct vcpu_arch *a)
{
    uint64_t mask = vmread(VMCS_CR4_MASK);

    (void)a;
    return (vmread(VMCS_GUEST_CR4) & ~mask) | (vmread(VMCS_CR4_SHADOW) & mask);
}

static void set_long_mode(bool active)
{
    uint64_t efer = vmread(VMCS_GUEST_EFER) & ~EFER_LMA;
    uint64_t controls = vmread(VMCS_ENTRY_CONTROLS) & ~(uint64_t)ENTRY_CTL_IA32E;

    vmwrite(VMCS_GUEST_EFER, efer | (active ? EFER_LMA : 0));
    vmwrite(VMCS_ENTRY_CONTROLS, controls | (active ? ENTRY_CTL_IA32E : 0));
}

bool vcpu_write_cr0(struct vcpu_arch *a, uint64_t value)
{
    bool code64 = in_64bit_code();

    if (!code64)
        value = (uint32_t)value; /* a 32-bit MOV */
    uint64_t changed = value ^ vmread(VMCS_GUEST_CR0);

    (void)a;
    if (value >> 32 != 0 || (value & (CR0_PG | CR0_PE)) == CR0_PG ||
        (value & (CR0_NW | CR0_CD)) == CR0_NW)
        return false;
    if ((changed & CR0_PG) != 0 && (vmread(VMCS_GUEST_EFER) & EFER_LME) != 0) {
        bool active = (value & CR0_PG) != 0;

        uint64_t cr4 = vmread(VMCS_GUEST_CR4);

        bool cs_l = (vmread(VMCS_GUEST_CS_ACCESS) & ACCESS_L) != 0;
        bool tss16 = (vmread(VMCS_GUEST_TR_ACCESS) & ACCESS_TYPE) == TYPE_TSS16_BUSY;

        if (active ? (cr4 & CR4_PAE) == 0 || cs_l || tss16 : code64 || (cr4 & CR4_PCIDE) != 0)
            return false;
        set_long_mode(active);
    }
    vmwrite(VMCS_CR0_SHADOW, value | CR0_ET);
    vmwrite(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
    return true;
}

bool vcpu_write_cr4(struct vcpu_arch *a, uint64_t value)
{
    bool long_mode = (vmread(VMCS_GUEST_EFER) & EFER_LMA) != 0;

    (void)a;
    if (!in_64bit_code())
        value = (uint32_t)value;
    if ((value & ~vmcs_cr4_allowed()) != 0)
        return false;
    if (long_mode ? (value & CR4_PAE) == 0 : (value & CR4_PCIDE) != 0)
        return false;
    vmwrite(VMCS_CR4_SHADOW, value);
    vmwrite(VMCS_GUEST_CR4, value | CR4_VMXE | CR4_MCE);
    return true;
}

bool vcpu_uses_pdptes(struct vcpu_arch *a)
{
    (void)a;
    return (vmread(VMCS_GUEST_CR0) & CR0_PG) != 0 && (vmread(VMCS_GUEST_CR4) & CR4_PAE) != 0 &&
           (vmread(VMCS_GUEST_EFER) & EFER_LMA) == 0;
}

void vcpu_set_pdptes(struct vcpu_arch *a, const uint64_t pdpte[4])
{
    (void)a;
    for (unsigned i = 0; i < 4; i++)
        vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
}

void vcpu_set_xcr0(struct vcpu_arch *a, uint64_t value)
{
    a->xcr0 = value;
    xsetbv0(value);
}

void vcpu_set_tsc_offset(struct vcpu_arch *a, uint64_t offset)
{
    a->tsc_offset = offset;
    vmwrite(VMCS_TSC_OFFSET, offset);
}

uint32_t vcpu_exit_reason(const struct vcpu_arch *a)
{
    (void)a;
    return (uint32_t)vmread(VMCS_EXIT_REASON) & 0xffff;
}

void vcpu_print(struct vcpu_arch *a)
{
    const uint64_t *g = a->gpr;

    log_line("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", g[RAX], g[RBX], g[RCX], g[RDX]);
    log_line("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx", g[RSI], g[RDI], g[RBP],
             vmread(VMCS_GUEST_RSP));
    log_line("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx", g[R8], g[R9], g[R10], g[R11]);
    log_line("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx", g[R12], g[R13], g[R14], g[R15]);
    log_line("  rip %04lx:%016lx rflags %08lx efer %lx", vmread(VMCS_GUEST_CS_SELECTOR),
             vmread(VMCS_GUEST_RIP), vmread(VMCS_GUEST_RFLAGS), vmread(VMCS_GUEST_EFER));
    log_line("  cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx", vmread(VMCS_GUEST_CR0), read_cr2(),
             vmread(VMCS_GUEST_CR3), vmread(VMCS_GUEST_CR4));
    log_line("  gdt %016lx/%04lx idt %016lx/%04lx activity %lu interruptibility %lx",
             vmread(VMCS_GUEST_GDTR_BASE), vmread(VMCS_GUEST_GDTR_LIMIT),
             vmread(VMCS_GUEST_IDTR_BASE), vmread(VMCS_GUEST_IDTR_LIMIT),
             vmread(VMCS_GUEST_ACTIVITY), vmread(VMCS_GUEST_INTERRUPTIBILITY));
}
