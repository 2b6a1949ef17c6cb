/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/platform.h"

#include "guest/acpi_tables.h"
#include "guest/console.h"
#include "guest/gmem.h"
#include "guest/ipi.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/time.h"

#define ISA_IRQS 16u

/* --- interrupts ------------------------------------------------------------------------------- */

static NOINLINE void send_messages(struct vcpu *self)
{
    struct apic_msg m;

    while (ioapic_take(&self->vm->ioapic, &m))
        ipi_deliver(self, &m, UINT32_MAX);
}

static inline void ioapic_flush(struct vcpu *self, struct vm *vm)
{
    if (ioapic_has_message(&vm->ioapic))
        send_messages(self);
}

static NOINLINE void take_other_lint0(struct vcpu *bsp, bool level)
{
    ipi_notice(bsp, lapic_set_lint(&bsp->lapic, 0, level), 0);
}

/* Mostly LINT0 is the virtual wire. */
static inline void take_lint0(struct vcpu *bsp, bool level)
{
    bsp->arch.attention |= level ? ATTEND_OTHERS : 0;
    if (LIKELY(lapic_extint_enabled(&bsp->lapic)))
        lapic_set_extint(&bsp->lapic, level);
    else
        take_other_lint0(bsp, level);
}

/* INTR of the 8259 pair goes to LINT0 of the first vCPU; the request publishes it to that. */
static inline void i8259_changed(struct vcpu *self, struct vm *vm)
{
    bool level = i8259_intr(&vm->i8259);

    if (atomic_load_explicit(&vm->intr, memory_order_relaxed) == level)
        return;
    atomic_store_explicit(&vm->intr, level, memory_order_relaxed);
    if (LIKELY(self->index == 0))
        take_lint0(self, level);
    else
        vcpu_request(&vm->vcpu[0], REQUEST_LINT0);
}

void platform_i8259_changed(struct vcpu *self)
{
    i8259_changed(self, self->vm);
}

/*
 * ISA interrupt n goes to 8259 input n and I/O APIC pin n; timer 0 to pin 2 (MADT override). From
 * 16 on there are only pins.
 */
static inline void change_irq(struct vcpu *self, struct vm *vm, unsigned irq, bool level)
{
    vm->irq_levels ^= BIT32(irq);
    ioapic_set_pin(&vm->ioapic, irq == 0 ? ACPI_PIT_GSI : irq, level);
    ioapic_flush(self, vm);
    if (irq >= ISA_IRQS)
        return;
    i8259_set_irq(&vm->i8259, irq, level);
    i8259_changed(self, vm);
}

static inline bool irq_is(const struct vm *vm, unsigned irq, bool level)
{
    return ((vm->irq_levels >> irq & 1) != 0) == level;
}

void platform_set_irq(struct vcpu *self, unsigned irq, bool level)
{
    if (!irq_is(self->vm, irq, level))
        change_irq(self, self->vm, irq, level);
}

/* What the HPET's legacy replacement disconnects. */
void platform_i8254_irq(struct vcpu *self, bool level)
{
    if (!hpet_legacy(&self->vm->hpet))
        platform_set_irq(self, 0, level);
}

void platform_rtc_irq(struct vcpu *self)
{
    if (!hpet_legacy(&self->vm->hpet))
        platform_set_irq(self, 8, mc146818_irq(&self->vm->rtc));
}

/*
 * The guest changed its local APIC's IRR, ISR or TPR. Where software delivers, only what is waiting
 * can need something: it may be deliverable now, or no longer, or the TPR threshold moves.
 */
static inline void requests_changed(struct vcpu *v)
{
    if (vcpu_delivers_irqs(&v->arch) || lapic_has_requests(&v->lapic))
        v->arch.attention |= ATTEND_LAPIC;
}

/* Anything of it. */
static void lapic_changed(struct vcpu *v)
{
    requests_changed(v);
    if (platform_extint_waiting(v))
        v->arch.attention |= ATTEND_OTHERS;
}

/* Of this core's own local APIC; without the lock. */
static void lapic_effect(struct vcpu *v, const struct lapic_effect *effect)
{
    switch (effect->kind) {
    case LAPIC_EFFECT_NONE: break;
    case LAPIC_EFFECT_IPI: ipi_deliver(v, &effect->msg, v->lapic.id); break;
    case LAPIC_EFFECT_EOI:
        spin_lock(&v->vm->lock);
        ioapic_eoi(&v->vm->ioapic, effect->vector);
        ioapic_flush(v, v->vm);
        spin_unlock(&v->vm->lock);
        break;
    }
    lapic_changed(v);
}

static NOINLINE uint8_t take_lost(struct vcpu *v)
{
    uint8_t vector = v->lost_irq;

    v->lost_irq = 0;
    return vector;
}

uint8_t platform_extint_ack(struct vcpu *v)
{
    struct vm *vm = v->vm;

    if (UNLIKELY(v->lost_irq != 0))
        return take_lost(v);
    v->extint_pending = false;
    spin_lock(&vm->lock);
    uint8_t vector = i8259_ack(&vm->i8259);

    i8259_changed(v, vm);
    spin_unlock(&vm->lock);
    return vector;
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Arm the vCPU's timer for VM time `next`. */
static inline void arm_at(struct vcpu *v, uint64_t next)
{
    uint64_t host;

    if (__builtin_add_overflow(next, v->vm->tsc_start, &host))
        host = TIME_NEVER; /* beyond the end of the host's TSC */
    vcpu_set_deadline(&v->arch, host);
}

static inline uint64_t device_deadline(const struct vcpu *v)
{
    return atomic_load_explicit(&v->vm->device_deadline, memory_order_relaxed);
}

/* Arm it for whatever is due first; the first vCPU also serves the VM's devices. */
static inline void arm(struct vcpu *v)
{
    uint64_t next = lapic_deadline(&v->lapic);

    arm_at(v, v->index == 0 ? earlier(next, device_deadline(v)) : next);
}

/* The lock is held. Of all devices but the 8254, which is due far more often than they. */
static uint64_t other_deadline(const struct vm *vm)
{
    uint64_t next = mc146818_deadline(&vm->rtc);

    next = earlier(next, ns16550_deadline(&vm->uart));
    next = earlier(next, acpi_pm_deadline(&vm->pm));
    next = earlier(next, hpet_deadline(&vm->hpet));
    return earlier(next, watchdog_deadline(&vm->watchdog));
}

void platform_arm_devices(struct vcpu *self)
{
    struct vm *vm = self->vm;
    uint64_t before = atomic_load_explicit(&vm->device_deadline, memory_order_relaxed);
    uint64_t next;

    vm->other_deadline = other_deadline(vm);
    next = earlier(i8254_deadline(&vm->i8254), vm->other_deadline);
    if (next == before)
        return;
    atomic_store_explicit(&vm->device_deadline, next, memory_order_relaxed);
    if (self->index == 0)
        arm(self);
    else if (next < before)
        vcpu_request(&vm->vcpu[0], REQUEST_DEADLINE);
}

/* IRQ 0 rises only here, so that no edge is seen twice; however many were missed, it rises once. */
static inline void i8254_edges(struct vcpu *self, struct vm *vm, uint64_t now)
{
    if (i8254_deadline(&vm->i8254) > now || i8254_advance(&vm->i8254, now) == 0 ||
        hpet_legacy(&vm->hpet))
        return;
    if (!irq_is(vm, 0, false))
        platform_set_irq(self, 0, false);
    change_irq(self, vm, 0, true);
}

void platform_i8254_edges(struct vcpu *self, uint64_t now)
{
    i8254_edges(self, self->vm, now);
}

/*
 * An interrupt in edge mode lowers its line and raises it again, where the 8259 needs it to stay;
 * pins of the I/O APIC that only the HPET has go back at once.
 */
static void hpet_outputs(struct vcpu *self, uint64_t now)
{
    struct hpet *h = &self->vm->hpet;

    hpet_advance(h, now);

    uint32_t edges = hpet_take_edges(h);
    uint32_t levels = 0;

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        unsigned irq = hpet_irq(h, n);

        if ((edges & BIT32(n)) != 0) {
            platform_set_irq(self, irq, false);
            platform_set_irq(self, irq, true);
        } else if (irq < ISA_IRQS && hpet_is_level(h, n)) {
            platform_set_irq(self, irq, hpet_line(h, n));
        }
        levels |= (uint32_t)hpet_line(h, n) << irq;
    }
    for (unsigned irq = ISA_IRQS; irq < IOAPIC_PINS; irq++)
        platform_set_irq(self, irq, (levels & BIT32(irq)) != 0);
}

/* The lock is held. */
static NOINLINE void advance_others(struct vcpu *self, uint64_t now)
{
    struct vm *vm = self->vm;

    if (mc146818_deadline(&vm->rtc) <= now) {
        mc146818_advance(&vm->rtc, now);
        platform_rtc_irq(self);
    }
    if (hpet_deadline(&vm->hpet) <= now)
        hpet_outputs(self, now);
    if (ns16550_deadline(&vm->uart) <= now) {
        ns16550_advance(&vm->uart, now);
        platform_set_irq(self, 4, ns16550_irq(&vm->uart));
    }
    if (acpi_pm_deadline(&vm->pm) <= now) {
        acpi_pm_advance(&vm->pm, now);
        platform_set_irq(self, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
    }
    watchdog_advance(&vm->watchdog, now);
    vm->other_deadline = other_deadline(vm);
}

/* By the first vCPU. Only what is due is touched; the timer is armed again. */
static NOINLINE void advance_devices(struct vcpu *self, uint64_t now)
{
    struct vm *vm = self->vm;
    uint64_t next;

    spin_lock(&vm->lock);
    i8254_edges(self, vm, now);
    if (UNLIKELY(vm->other_deadline <= now))
        advance_others(self, now);
    next = earlier(i8254_deadline(&vm->i8254), vm->other_deadline);
    atomic_store_explicit(&vm->device_deadline, next, memory_order_relaxed);
    spin_unlock(&vm->lock);
    arm_at(self, earlier(next, lapic_deadline(&self->lapic)));
}

void platform_advance(struct vcpu *v)
{
    uint64_t now = vm_now(v->vm);

    if (lapic_deadline(&v->lapic) <= now) {
        lapic_advance(&v->lapic, now);
        v->arch.attention |= ATTEND_LAPIC;
    }
    if (v->index != 0)
        arm_at(v, lapic_deadline(&v->lapic));
    else if (UNLIKELY(device_deadline(v) <= now))
        advance_devices(v, now);
    else
        arm_at(v, earlier(lapic_deadline(&v->lapic), device_deadline(v)));
}

/* --- console ---------------------------------------------------------------------------------- */

/* Move bytes between the UART and the console's queues as far as there is room. */
void platform_uart_exchange(struct vcpu *self, uint64_t now)
{
    struct vm *vm = self->vm;
    uint8_t byte;

    while (console_has_room(vm) && ns16550_tx_take(&vm->uart, &byte))
        console_put(vm, byte);
    while (ns16550_rx_space(&vm->uart) > 0 && ring_take(&vm->console_rx, &byte))
        ns16550_rx_put(&vm->uart, byte, now);
    platform_set_irq(self, 4, ns16550_irq(&vm->uart));
    platform_arm_devices(self);
}

void platform_requests(struct vcpu *v, uint32_t requests)
{
    if ((requests & REQUEST_LINT0) != 0)
        take_lint0(v, atomic_load(&v->vm->intr));
    if ((requests & (REQUEST_CONSOLE_RX | REQUEST_CONSOLE_TX)) != 0) {
        spin_lock(&v->vm->lock);
        platform_uart_exchange(v, vm_now(v->vm));
        spin_unlock(&v->vm->lock);
    }
    arm(v);
}

/* --- devices in memory ------------------------------------------------------------------------ */

/* The page of an access, 0 if it leaves it: nobody answers then, since no device is in page 0. */
static uint64_t page_of(uint64_t gpa, unsigned size)
{
    return gpa % PAGE_SIZE + size <= PAGE_SIZE ? gpa / PAGE_SIZE : 0;
}

static bool is_lapic(const struct vcpu *v, uint64_t page)
{
    return page == LAPIC_GPA / PAGE_SIZE && lapic_mmio_enabled(&v->lapic);
}

static bool is_ioapic(uint64_t page)
{
    return page == IOAPIC_GPA / PAGE_SIZE;
}

static bool is_hpet(const struct vm *vm, uint64_t page)
{
    return page == HPET_GPA / PAGE_SIZE && vm->config->hpet;
}

static NOINLINE uint64_t hpet_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size)
{
    struct hpet *h = &v->vm->hpet;

    spin_lock(&v->vm->lock);

    uint64_t now = vm_now(v->vm);

    if (hpet_deadline(h) <= now) { /* what is due goes out first */
        hpet_outputs(v, now);
        platform_arm_devices(v);
    }
    uint64_t value = hpet_read(h, (unsigned)(gpa - HPET_GPA), size, now);

    spin_unlock(&v->vm->lock);
    return value & size_mask(size);
}

/* Switching legacy replacement gives IRQ 0 and 8 to the other source, as that stands now. */
static void hpet_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);
    bool legacy = hpet_legacy(&vm->hpet);

    hpet_write(&vm->hpet, (unsigned)(gpa - HPET_GPA), size, value, now);
    if (hpet_legacy(&vm->hpet) != legacy) {
        platform_set_irq(v, 0, legacy && i8254_out(&vm->i8254, 0, now));
        platform_set_irq(v, 8, legacy && mc146818_irq(&vm->rtc));
    }
    hpet_outputs(v, now);
    platform_arm_devices(v);
}

/*
 * Both APICs have 32-bit registers. Smaller reads get their part; of smaller writes the I/O APIC
 * takes the low bits (its index is 8 bits), the local APIC, whose manual forbids them, none.
 */
static uint64_t register_part(uint32_t value, uint64_t gpa, unsigned size)
{
    if (size == 4 && is_aligned(gpa, 4))
        return value;
    return value >> 8 * (gpa & 3) & size_mask(size);
}

static NOINLINE uint64_t ioapic_mmio_read(struct vm *vm, uint64_t gpa, unsigned size)
{
    spin_lock(&vm->lock);
    uint32_t value = ioapic_read(&vm->ioapic, (unsigned)(gpa % PAGE_SIZE & ~3u));

    spin_unlock(&vm->lock);
    return register_part(value, gpa, size);
}

static NOINLINE uint64_t lapic_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size)
{
    uint32_t value = lapic_read(&v->lapic, (unsigned)(gpa % PAGE_SIZE & ~3u), vm_now(v->vm));

    requests_changed(v); /* reading where no register is, is an error that may interrupt */
    return register_part(value, gpa, size);
}

static NOINLINE uint64_t lapic_count_read(const struct vcpu *v)
{
    return lapic_count(&v->lapic, vm_now(v->vm));
}

static uint64_t unclaimed_mmio_read(struct vm *vm, unsigned size)
{
    spin_lock(&vm->lock);
    vm->unclaimed_io++;
    spin_unlock(&vm->lock);
    return size_mask(size);
}

uint64_t platform_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size)
{
    uint64_t page = page_of(gpa, size);
    unsigned offset = (unsigned)(gpa % PAGE_SIZE);

    if (is_lapic(v, page)) {
        if (size == 4 && lapic_is_in_page(offset))
            return lapic_read_page(&v->lapic, offset);
        if (size == 4 && offset == LAPIC_COUNT_OFFSET)
            return lapic_count_read(v);
        return lapic_mmio_read(v, gpa, size);
    }
    if (is_ioapic(page))
        return ioapic_mmio_read(v->vm, gpa, size);
    if (is_hpet(v->vm, page))
        return hpet_mmio_read(v, gpa, size);
    return unclaimed_mmio_read(v->vm, size);
}

static NOINLINE void shared_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    struct vm *vm = v->vm;
    uint64_t page = page_of(gpa, size);

    spin_lock(&vm->lock);
    if (is_ioapic(page)) {
        ioapic_write(&vm->ioapic, (unsigned)(gpa - IOAPIC_GPA), (uint32_t)value);
        ioapic_flush(v, vm);
    } else if (is_hpet(vm, page)) {
        hpet_mmio_write(v, gpa, size, value);
    } else {
        vm->unclaimed_io++;
    }
    spin_unlock(&vm->lock);
}

/*
 * An EOI moves no deadline, and where software delivers it matters only to what waits in the local
 * APIC: of what goes past it nothing has changed.
 */
void platform_end_interrupt(struct vcpu *v)
{
    struct lapic_effect effect;

    if (lapic_eoi(&v->lapic, &effect) == 0)
        return;
    if (effect.kind != LAPIC_EFFECT_NONE)
        lapic_effect(v, &effect);
    else
        requests_changed(v);
}

static NOINLINE void lapic_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    struct lapic_effect effect;
    uint64_t deadline = lapic_deadline(&v->lapic);

    if (gpa == LAPIC_GPA + LAPIC_ICR_OFFSET && size == 4) {
        lapic_write_icr(&v->lapic, (uint32_t)value, &effect);
        if (effect.kind == LAPIC_EFFECT_IPI)
            ipi_deliver(v, &effect.msg, v->lapic.id);
        requests_changed(v);
        return;
    }
    if (size != 4 || !is_aligned(gpa, 4))
        return;
    lapic_write(&v->lapic, (unsigned)(gpa - LAPIC_GPA), (uint32_t)value, vm_now(v->vm), &effect);
    lapic_effect(v, &effect);
    if (lapic_deadline(&v->lapic) != deadline)
        arm(v);
}

void platform_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    if (gpa == LAPIC_GPA + LAPIC_EOI_OFFSET && size == 4 && lapic_mmio_enabled(&v->lapic))
        platform_end_interrupt(v);
    else if (!is_lapic(v, page_of(gpa, size)))
        shared_write(v, gpa, size, value & size_mask(size));
    else
        lapic_mmio_write(v, gpa, size, value);
}

/* --- local APIC through registers --------------------------------------------------------------*/

void platform_after_apic_write(struct vcpu *v, unsigned offset)
{
    struct lapic_effect effect;
    uint64_t deadline = lapic_deadline(&v->lapic);

    lapic_after_write(&v->lapic, offset, vm_now(v->vm), &effect);
    lapic_effect(v, &effect);
    if (lapic_deadline(&v->lapic) != deadline)
        arm(v);
}

void platform_after_eoi(struct vcpu *v, uint8_t vector)
{
    struct lapic_effect effect;

    lapic_after_eoi(&v->lapic, vector, &effect);
    lapic_effect(v, &effect);
}

void platform_set_apic_mode(struct vcpu *v)
{
    enum vcpu_apic_mode mode = VCPU_APIC_OFF;

    if (lapic_mmio_enabled(&v->lapic))
        mode = VCPU_APIC_XAPIC;
    else if ((lapic_read_base(&v->lapic) & LAPIC_BASE_EXTD) != 0)
        mode = VCPU_APIC_X2APIC;
    vcpu_set_apic_mode(&v->arch, mode);
}

static inline void write_deadline(struct vcpu *v, uint64_t moment)
{
    lapic_write_tsc_deadline(&v->lapic, moment);
    arm(v); /* a moment in the past is due as soon as the guest goes on */
}

/* The VM time at which the guest's TSC will be `tsc`; now, if it is that or more already. */
static uint64_t time_of_tsc(const struct vcpu *v, uint64_t tsc)
{
    uint64_t now = vm_now(v->vm);
    uint64_t guest_now = now + v->tsc_skew;

    if (tsc <= guest_now)
        return now;
    return tsc - guest_now < TIME_NEVER - now ? now + (tsc - guest_now) : TIME_NEVER - 1;
}

static NOINLINE void write_skewed_deadline(struct vcpu *v, uint64_t guest_tsc)
{
    write_deadline(v, guest_tsc == 0 ? 0 : time_of_tsc(v, guest_tsc));
}

void platform_write_tsc_deadline(struct vcpu *v, uint64_t guest_tsc)
{
    v->tsc_deadline = guest_tsc;
    if (UNLIKELY(v->tsc_skew != 0))
        write_skewed_deadline(v, guest_tsc);
    else
        write_deadline(v, guest_tsc);
}

bool platform_write_x2apic(struct vcpu *v, uint32_t msr, uint64_t value)
{
    struct lapic_effect effect;
    uint64_t deadline = lapic_deadline(&v->lapic);

    if (!lapic_wrmsr(&v->lapic, msr, value, vm_now(v->vm), &effect))
        return false;
    lapic_effect(v, &effect);
    if (lapic_deadline(&v->lapic) != deadline)
        arm(v);
    return true;
}

bool platform_write_apic_base(struct vcpu *v, uint64_t value)
{
    bool ok = lapic_write_base(&v->lapic, value);

    platform_set_apic_mode(v);
    v->arch.attention = ATTEND_ALL;
    arm(v);
    return ok;
}

void platform_write_cr8(struct vcpu *v, uint64_t value)
{
    lapic_set_cr8(&v->lapic, value);
    lapic_changed(v);
}

/* --- power-on --------------------------------------------------------------------------------- */

void platform_power_on(struct vm *vm, uint64_t unix_time)
{
    mc146818_reset(&vm->rtc, vm->tsc_hz, vm_now(vm), unix_time);
}

static void reset_lapic(struct vcpu *v)
{
    lapic_reset(&v->lapic, v->arch.apic_page, v->index, v->index == 0, v->vm->tsc_hz);
    if (v->index == 0)
        lapic_set_virtual_wire(&v->lapic);
    v->activity = v->index == 0 ? VCPU_ACTIVE : VCPU_WAIT_SIPI;
    v->arch.attention = ATTEND_ALL;
    v->nmi_pending = false;
    v->lost_irq = 0;
    v->extint_pending = false;
    for (unsigned i = 0; i < ARRAY_LEN(v->level); i++)
        atomic_store(&v->level[i], 0);
    ipi_forget_posted(v);
    atomic_fetch_and(&v->requests, REQUEST_CONSOLE_RX | REQUEST_CONSOLE_TX);
}

void platform_reset(struct vm *vm)
{
    uint64_t now = vm_now(vm);

    spin_lock(&vm->lock);
    vm->irq_levels = 0;
    atomic_store(&vm->device_deadline, 0); /* look at all of them */
    vm->other_deadline = 0;
    i8259_reset(&vm->i8259);
    atomic_store(&vm->intr, false);
    i8254_reset(&vm->i8254, vm->tsc_hz, now);
    ioapic_reset(&vm->ioapic, 0);
    mc146818_reset_line(&vm->rtc, now);
    ns16550_reset(&vm->uart, vm->tsc_hz);
    acpi_pm_reset(&vm->pm, vm->tsc_hz, now);
    hpet_reset(&vm->hpet, vm->tsc_hz);
    pci_host_reset(&vm->pci, vm->config->type == GUEST_FIRMWARE);
    fw_cfg_reset(&vm->firmware.fw_cfg);
    reset_ports_reset(&vm->reset_ports);
    watchdog_reset(&vm->watchdog, vm->tsc_hz, vm->config->watchdog_s);
    for (uint32_t i = 0; i < vm->config->vcpu_count; i++)
        reset_lapic(&vm->vcpu[i]);
    platform_set_irq(&vm->vcpu[0], 0, i8254_out(&vm->i8254, 0, now));
    spin_unlock(&vm->lock);
}
