/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/platform.h"

#include "guest/acpi_tables.h"
#include "guest/console.h"
#include "guest/gmem.h"
#include "guest/ipi.h"
#include "guest/vm.h"
#include "lib/bits.h"
#include "lib/time.h"

/* --- ports ------------------------------------------------------------------------------------ */

enum port_device {
    PORT_NONE,
    PORT_I8259,
    PORT_I8254,
    PORT_RESET,
    PORT_RTC,
    PORT_UART,
    PORT_DEBUG_EXIT,
    PORT_POST, /* 80H: power-on self-test codes, and everybody's I/O delay */
    PORT_PM,
    PORT_PCI,
    PORT_FW_CFG,
    PORT_WATCHDOG,
};

#define COM1          0x3f8
#define PM_BASE       ACPI_PM1A_EVT_PORT
#define POST_PORT     0x80

#define ISA_IRQS      16u

#define PORTS_2(p, d) [p] = d, [(p) + 1] = d
#define PORTS_4(p, d) PORTS_2(p, d), PORTS_2((p) + 2, d)
#define PORTS_8(p, d) PORTS_4(p, d), PORTS_4((p) + 4, d)

/* Who answers at a port. */
static const uint8_t port_map[0xd00] = {
    PORTS_2(0x20, PORT_I8259),
    PORTS_2(0xa0, PORT_I8259),
    PORTS_2(0x4d0, PORT_I8259),
    PORTS_4(0x40, PORT_I8254),
    [0x61] = PORT_I8254,
    [0x60] = PORT_RESET,
    [0x64] = PORT_RESET,
    [0x92] = PORT_RESET,
    PORTS_2(0x70, PORT_RTC),
    PORTS_8(COM1, PORT_UART),
    PORTS_2(FW_CFG_SELECTOR, PORT_FW_CFG),
    PORTS_8(FW_CFG_DMA_HIGH, PORT_FW_CFG),
    [POST_PORT] = PORT_POST,
    PORTS_8(PM_BASE, PORT_PM),
    PORTS_4(PM_BASE + 8, PORT_PM),
    PORTS_8(PCI_HOST_ADDRESS, PORT_PCI), /* CF9H byte accesses: the reset register */
};

/*
 * The config's own devices have no fixed place, and lie where no other device of the guest is: at
 * the ports of fw_cfg, too, if it has none.
 */
static enum port_device port_device(const struct vm *vm, uint16_t port)
{
    enum port_device d = port < sizeof(port_map) ? (enum port_device)port_map[port] : PORT_NONE;

    if (d != PORT_NONE && (d != PORT_FW_CFG || vm->config->fw_cfg))
        return d;
    if (port == vm->config->exit_port && port != 0)
        return PORT_DEBUG_EXIT;
    if (vm->config->watchdog_s != 0 &&
        (unsigned)(port - vm->config->watchdog_port) < WATCHDOG_PORTS)
        return PORT_WATCHDOG;
    return PORT_NONE;
}

/* --- interrupts ------------------------------------------------------------------------------- */

static void ioapic_flush(struct vcpu *self)
{
    struct apic_msg m;

    while (ioapic_take(&self->vm->ioapic, &m))
        ipi_deliver(self, &m, UINT32_MAX);
}

static void take_lint0(struct vcpu *bsp)
{
    bool level = atomic_load(&bsp->vm->intr);

    ipi_notice(bsp, lapic_set_lint(&bsp->lapic, 0, level), 0);
    bsp->arch.attention |= level;
}

/* INTR of the 8259 pair goes to LINT0 of the first vCPU. */
static void i8259_changed(struct vcpu *self)
{
    struct vm *vm = self->vm;

    bool level = i8259_intr(&vm->i8259);
    bool changed = atomic_exchange(&vm->intr, level) != level;

    if (self->index == 0)
        take_lint0(self);
    else if (changed)
        vcpu_request(&vm->vcpu[0], REQUEST_LINT0);
}

/*
 * ISA interrupt n goes to 8259 input n and I/O APIC pin n; timer 0 to pin 2 (MADT override). From
 * 16 on there are only pins.
 */
static void set_irq(struct vcpu *self, unsigned irq, bool level)
{
    struct vm *vm = self->vm;
    uint32_t bit = BIT32(irq);

    if (((vm->irq_levels & bit) != 0) == level)
        return;
    vm->irq_levels ^= bit;
    ioapic_set_pin(&vm->ioapic, irq == 0 ? ACPI_PIT_GSI : irq, level);
    ioapic_flush(self);
    if (irq >= ISA_IRQS)
        return;
    i8259_set_irq(&vm->i8259, irq, level);
    i8259_changed(self);
}

/* What the HPET's legacy replacement disconnects. */
static void i8254_irq(struct vcpu *self, bool level)
{
    if (!hpet_legacy(&self->vm->hpet))
        set_irq(self, 0, level);
}

static void rtc_irq(struct vcpu *self)
{
    if (!hpet_legacy(&self->vm->hpet))
        set_irq(self, 8, mc146818_irq(&self->vm->rtc));
}

/*
 * The vCPU is to acknowledge at the 8259 pair: LINT0 says so, or an I/O APIC pin said so, whatever
 * the pair has by then: without a request it answers with its spurious vector.
 */
static bool i8259_waiting(const struct vcpu *v)
{
    return v->extint_pending || (atomic_load_explicit(&v->vm->intr, memory_order_relaxed) &&
                                 v->index == 0 && lapic_extint_enabled(&v->lapic));
}

bool platform_extint_waiting(const struct vcpu *v)
{
    return v->lost_irq != 0 || i8259_waiting(v);
}

/*
 * The guest changed its local APIC. Where software delivers, only what is waiting can need
 * something: it may be deliverable now, or no longer, or the TPR threshold moves.
 */
static void lapic_changed(struct vcpu *v)
{
    if (vcpu_delivers_irqs(&v->arch) || lapic_has_requests(&v->lapic) || platform_extint_waiting(v))
        v->arch.attention = true;
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
        ioapic_flush(v);
        spin_unlock(&v->vm->lock);
        break;
    }
    lapic_changed(v);
}

static int i8259_take(struct vcpu *v)
{
    struct vm *vm = v->vm;

    v->extint_pending = false;
    spin_lock(&vm->lock);
    int vector = i8259_ack(&vm->i8259);

    i8259_changed(v);
    spin_unlock(&vm->lock);
    return vector;
}

int platform_extint_ack(struct vcpu *v)
{
    int vector = v->lost_irq;

    if (vector != 0) {
        v->lost_irq = 0;
        return vector;
    }
    return i8259_waiting(v) ? i8259_take(v) : -1;
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Arm the vCPU's timer for whatever is due first; the first vCPU also serves the VM's devices. */
static inline void arm(struct vcpu *v)
{
    uint64_t next = lapic_deadline(&v->lapic);
    uint64_t host;

    if (v->index == 0)
        next = earlier(next, atomic_load_explicit(&v->vm->device_deadline, memory_order_relaxed));
    if (__builtin_add_overflow(next, v->vm->tsc_start, &host))
        host = TIME_NEVER; /* beyond the end of the host's TSC */
    vcpu_set_deadline(&v->arch, host);
}

/* The same after a device changed; the lock is held. */
static void arm_devices(struct vcpu *self)
{
    struct vm *vm = self->vm;
    uint64_t before = atomic_load_explicit(&vm->device_deadline, memory_order_relaxed);
    uint64_t next = i8254_deadline(&vm->i8254);

    next = earlier(next, mc146818_deadline(&vm->rtc));
    next = earlier(next, ns16550_deadline(&vm->uart));
    next = earlier(next, acpi_pm_deadline(&vm->pm));
    next = earlier(next, hpet_deadline(&vm->hpet));
    next = earlier(next, watchdog_deadline(&vm->watchdog));
    if (next == before)
        return;
    atomic_store_explicit(&vm->device_deadline, next, memory_order_relaxed);
    if (self->index == 0)
        arm(self);
    else if (next < before)
        vcpu_request(&vm->vcpu[0], REQUEST_DEADLINE);
}

/* IRQ 0 rises only here, so that no edge is seen twice; however many were missed, it rises once. */
static void i8254_edges(struct vcpu *self, uint64_t now)
{
    struct vm *vm = self->vm;

    if (i8254_deadline(&vm->i8254) <= now && i8254_advance(&vm->i8254, now) > 0) {
        i8254_irq(self, false);
        i8254_irq(self, true);
    }
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
            set_irq(self, irq, false);
            set_irq(self, irq, true);
        } else if (irq < ISA_IRQS && hpet_is_level(h, n)) {
            set_irq(self, irq, hpet_line(h, n));
        }
        levels |= (uint32_t)hpet_line(h, n) << irq;
    }
    for (unsigned irq = ISA_IRQS; irq < IOAPIC_PINS; irq++)
        set_irq(self, irq, (levels & BIT32(irq)) != 0);
}

static void advance_devices(struct vcpu *self, uint64_t now)
{
    struct vm *vm = self->vm;

    spin_lock(&vm->lock);
    i8254_edges(self, now);
    mc146818_advance(&vm->rtc, now);
    rtc_irq(self);
    if (hpet_deadline(&vm->hpet) <= now)
        hpet_outputs(self, now);
    ns16550_advance(&vm->uart, now);
    set_irq(self, 4, ns16550_irq(&vm->uart));
    watchdog_advance(&vm->watchdog, now);
    acpi_pm_advance(&vm->pm, now);
    set_irq(self, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
    arm_devices(self);
    spin_unlock(&vm->lock);
}

void platform_advance(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);

    if (lapic_deadline(&v->lapic) <= now) {
        lapic_advance(&v->lapic, now);
        v->arch.attention = true;
    }
    if (v->index == 0 && atomic_load_explicit(&vm->device_deadline, memory_order_relaxed) <= now)
        advance_devices(v, now);
    arm(v);
}

/* --- console ---------------------------------------------------------------------------------- */

/* Move bytes between the UART and the console's queues as far as there is room. */
static void uart_exchange(struct vcpu *self, uint64_t now)
{
    struct vm *vm = self->vm;
    uint8_t byte;

    while (console_has_room(vm) && ns16550_tx_take(&vm->uart, &byte))
        console_put(vm, byte);
    while (ns16550_rx_space(&vm->uart) > 0 && ring_take(&vm->console_rx, &byte))
        ns16550_rx_put(&vm->uart, byte, now);
    set_irq(self, 4, ns16550_irq(&vm->uart));
    arm_devices(self);
}

void platform_requests(struct vcpu *v, uint32_t requests)
{
    if ((requests & REQUEST_LINT0) != 0)
        take_lint0(v);
    if ((requests & (REQUEST_CONSOLE_RX | REQUEST_CONSOLE_TX)) != 0) {
        spin_lock(&v->vm->lock);
        uart_exchange(v, vm_now(v->vm));
        spin_unlock(&v->vm->lock);
    }
    arm(v);
}

/* --- devices behind ports --------------------------------------------------------------------- */

static uint32_t all_ones(unsigned size)
{
    return (uint32_t)size_mask(size);
}

static uint32_t unclaimed_read(struct vm *vm, unsigned size)
{
    vm->unclaimed_io++;
    return all_ones(size);
}

static uint8_t i8254_port_read(struct vcpu *v, uint16_t port)
{
    /* A read does not move the counter's edges. */
    return i8254_read(&v->vm->i8254, port, vm_now(v->vm));
}

static void i8254_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);

    i8254_write(&vm->i8254, port, value, now);
    i8254_edges(v, now);
    if (!i8254_out(&vm->i8254, 0, now))
        i8254_irq(v, false);
    arm_devices(v);
}

static uint8_t uart_port_read(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);
    uint8_t value = ns16550_read(&vm->uart, port - COM1, now);

    uart_exchange(v, now);
    return value;
}

static void uart_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);

    ns16550_write(&vm->uart, port - COM1, value, now);
    uart_exchange(v, now);
}

static uint8_t rtc_port_read(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    uint8_t value = mc146818_read(&vm->rtc, port, vm_now(vm));

    rtc_irq(v);
    arm_devices(v);
    return value;
}

static void rtc_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;

    mc146818_write(&vm->rtc, port, value, vm_now(vm));
    rtc_irq(v);
    arm_devices(v);
}

static void pm_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    if (acpi_pm_write(&vm->pm, port - PM_BASE, size, value, vm_now(vm)) == ACPI_PM_POWER_OFF)
        vm->wish = WISH_POWER_OFF;
    set_irq(v, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
    arm_devices(v);
}

static void watchdog_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    watchdog_write(&vm->watchdog, port - vm->config->watchdog_port, size, value, vm_now(vm));
    arm_devices(v);
}

static uint32_t watchdog_port_read(const struct vm *vm, uint16_t port, unsigned size)
{
    return watchdog_read(&vm->watchdog, port - vm->config->watchdog_port, size, vm_now(vm));
}

static void reset_port_write(struct vm *vm, uint16_t port, uint8_t value)
{
    if (reset_ports_write(&vm->reset_ports, port, value) == RESET_VM)
        vm->wish = WISH_RESET;
}

static void debug_exit(struct vm *vm, uint32_t value)
{
    vm->has_exit_status = true;
    vm->exit_status = value;
    vm->wish = WISH_POWER_OFF;
}

static uint8_t read_byte(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;

    switch (port_device(vm, port)) {
    case PORT_I8259: {
        uint8_t value = i8259_read(&vm->i8259, port);

        i8259_changed(v); /* a poll acknowledges */
        return value;
    }
    case PORT_I8254: return i8254_port_read(v, port);
    case PORT_RESET: return reset_ports_read(&vm->reset_ports, port);
    case PORT_RTC: return rtc_port_read(v, port);
    case PORT_UART: return uart_port_read(v, port);
    case PORT_PM: return (uint8_t)acpi_pm_read(&vm->pm, port - PM_BASE, 1, vm_now(vm));
    case PORT_PCI:
        if (pci_host_is_reset_port(port, 1))
            return reset_ports_read(&vm->reset_ports, port);
        return (uint8_t)pci_host_read(&vm->pci, port, 1);
    case PORT_FW_CFG: return (uint8_t)fw_cfg_read(&vm->firmware.fw_cfg, port, 1);
    case PORT_WATCHDOG: return (uint8_t)watchdog_port_read(vm, port, 1);
    case PORT_NONE:
    case PORT_DEBUG_EXIT:
    case PORT_POST: break;
    }
    return (uint8_t)unclaimed_read(vm, 1);
}

static void write_byte(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;

    switch (port_device(vm, port)) {
    case PORT_I8259:
        i8259_write(&vm->i8259, port, value);
        i8259_changed(v);
        return;
    case PORT_I8254: i8254_port_write(v, port, value); return;
    case PORT_RESET: reset_port_write(vm, port, value); return;
    case PORT_RTC: rtc_port_write(v, port, value); return;
    case PORT_UART: uart_port_write(v, port, value); return;
    case PORT_PM: pm_port_write(v, port, 1, value); return;
    case PORT_PCI:
        if (pci_host_is_reset_port(port, 1))
            reset_port_write(vm, port, value);
        else
            pci_host_write(&vm->pci, port, 1, value);
        return;
    case PORT_DEBUG_EXIT: debug_exit(vm, value); return;
    case PORT_WATCHDOG: watchdog_port_write(v, port, 1, value); return;
    case PORT_FW_CFG: /* nothing there is written by bytes */
    case PORT_POST: return;
    case PORT_NONE: break;
    }
    vm->unclaimed_io++;
}

/* 16- and 32-bit accesses: devices with wide registers take them whole. */
static uint32_t read_wide(struct vcpu *v, uint16_t port, unsigned size)
{
    struct vm *vm = v->vm;
    uint32_t value = 0;

    switch (port_device(vm, port)) {
    case PORT_PM:
        if (port - PM_BASE + size <= ACPI_PM_BLOCK_LEN)
            return acpi_pm_read(&vm->pm, port - PM_BASE, size, vm_now(vm));
        break;
    case PORT_PCI: return pci_host_read(&vm->pci, port, size);
    case PORT_FW_CFG: return fw_cfg_read(&vm->firmware.fw_cfg, port, size);
    case PORT_WATCHDOG: return watchdog_port_read(vm, port, size);
    case PORT_NONE: return unclaimed_read(vm, size);
    case PORT_I8259:
    case PORT_I8254:
    case PORT_RESET:
    case PORT_RTC:
    case PORT_UART:
    case PORT_DEBUG_EXIT:
    case PORT_POST: break;
    }
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)read_byte(v, (uint16_t)(port + i)) << 8 * i;
    return value;
}

/* false: not done yet, a DMA access goes on at the same instruction. */
static bool fw_cfg_port_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    uint64_t descriptor;

    return !fw_cfg_write(&vm->firmware.fw_cfg, port, size, value, &descriptor) ||
           firmware_dma(vm, descriptor);
}

static bool write_wide(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    switch (port_device(vm, port)) {
    case PORT_PM:
        if (port - PM_BASE + size <= ACPI_PM_BLOCK_LEN) {
            pm_port_write(v, port, size, value);
            return true;
        }
        break;
    case PORT_PCI: pci_host_write(&vm->pci, port, size, value); return true;
    case PORT_FW_CFG: return fw_cfg_port_write(vm, port, size, value);
    case PORT_DEBUG_EXIT: debug_exit(vm, value); return true;
    case PORT_WATCHDOG: watchdog_port_write(v, port, size, value); return true;
    case PORT_NONE: vm->unclaimed_io++; return true;
    case PORT_I8259:
    case PORT_I8254:
    case PORT_RESET:
    case PORT_RTC:
    case PORT_UART:
    case PORT_POST: break;
    }
    for (unsigned i = 0; i < size; i++)
        write_byte(v, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
    return true;
}

uint32_t platform_port_read(struct vcpu *v, uint16_t port, unsigned size)
{
    spin_lock(&v->vm->lock);
    uint32_t value = size == 1 ? read_byte(v, port) : read_wide(v, port, size);

    spin_unlock(&v->vm->lock);
    return value;
}

bool platform_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    bool done = true;

    spin_lock(&v->vm->lock);
    if (size == 1)
        write_byte(v, port, (uint8_t)value);
    else
        done = write_wide(v, port, size, value & all_ones(size));
    spin_unlock(&v->vm->lock);
    return done;
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
        arm_devices(v);
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
        set_irq(v, 0, legacy && i8254_out(&vm->i8254, 0, now));
        set_irq(v, 8, legacy && mc146818_irq(&vm->rtc));
    }
    hpet_outputs(v, now);
    arm_devices(v);
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

    return register_part(value, gpa, size);
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

    if (is_lapic(v, page))
        return size == 4 && lapic_is_in_page(offset) ? lapic_read_page(&v->lapic, offset)
                                                     : lapic_mmio_read(v, gpa, size);
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
        ioapic_flush(v);
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
static NOINLINE void end_interrupt(struct vcpu *v)
{
    struct lapic_effect effect;

    if (lapic_eoi(&v->lapic, &effect) == 0)
        return;
    if (effect.kind != LAPIC_EFFECT_NONE)
        lapic_effect(v, &effect);
    else if (vcpu_delivers_irqs(&v->arch) || lapic_has_requests(&v->lapic))
        v->arch.attention = true;
}

static NOINLINE void lapic_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    struct lapic_effect effect;
    uint64_t deadline = lapic_deadline(&v->lapic);

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
        end_interrupt(v);
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

    if (msr == LAPIC_EOI_MSR && value == 0 && lapic_x2apic_enabled(&v->lapic))
        (void)lapic_eoi(&v->lapic, &effect);
    else if (!lapic_wrmsr(&v->lapic, msr, value, vm_now(v->vm), &effect))
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
    v->arch.attention = true;
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
    v->arch.attention = true;
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
    i8259_reset(&vm->i8259);
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
    set_irq(&vm->vcpu[0], 0, i8254_out(&vm->i8254, 0, now));
    spin_unlock(&vm->lock);
}
