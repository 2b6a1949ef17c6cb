/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/platform.h"

#include "guest/acpi_tables.h"
#include "guest/console.h"
#include "guest/gmem.h"
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
};

#define COM1          0x3f8
#define PM_BASE       ACPI_PM1A_EVT_PORT
#define DEBUG_EXIT    0xf4
#define POST_PORT     0x80

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
    [DEBUG_EXIT] = PORT_DEBUG_EXIT,
    [POST_PORT] = PORT_POST,
    PORTS_8(PM_BASE, PORT_PM),
    PORTS_4(PM_BASE + 8, PORT_PM),
    PORTS_8(PCI_HOST_ADDRESS, PORT_PCI), /* CF9H byte accesses: the reset register */
};

static enum port_device port_device(uint16_t port)
{
    return port < sizeof(port_map) ? (enum port_device)port_map[port] : PORT_NONE;
}

/* --- interrupts ------------------------------------------------------------------------------- */

static void notice(struct vcpu *v, enum lapic_event event)
{
    switch (event) {
    case LAPIC_EVENT_NONE: return;
    case LAPIC_EVENT_INTERRUPT: break;
    case LAPIC_EVENT_NMI: v->nmi_pending = true; break;
    case LAPIC_EVENT_EXTINT: v->extint_pending = true; break;
    case LAPIC_EVENT_SMI: return; /* there is no system-management mode: nobody would notice */
    case LAPIC_EVENT_INIT:
    case LAPIC_EVENT_STARTUP: return; /* to the only vCPU, from itself: for SMP guests */
    }
    v->attention = true;
}

/* A message reaches all whom it may concern; lowest priority only one of them. */
static void deliver(struct vm *vm, const struct apic_msg *m, uint32_t source)
{
    struct vcpu *lowest = NULL;

    for (uint32_t i = 0; i < vm->config->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpu[i];

        if (!lapic_match(&v->lapic, m, source))
            continue;
        if (m->delivery != APIC_LOWEST)
            notice(v, lapic_accept(&v->lapic, m));
        else if (lowest == NULL || lapic_priority(&v->lapic) < lapic_priority(&lowest->lapic))
            lowest = v;
    }
    if (lowest != NULL)
        notice(lowest, lapic_accept(&lowest->lapic, m));
}

static void ioapic_flush(struct vm *vm)
{
    struct apic_msg m;

    while (ioapic_take(&vm->ioapic, &m))
        deliver(vm, &m, UINT32_MAX);
}

/* INTR of the 8259 pair goes to LINT0 of the first vCPU. */
static void i8259_changed(struct vm *vm)
{
    struct vcpu *bsp = &vm->vcpu[0];

    notice(bsp, lapic_set_lint(&bsp->lapic, 0, i8259_intr(&vm->i8259)));
    if (i8259_intr(&vm->i8259))
        bsp->attention = true;
}

/* ISA interrupt n goes to 8259 input n and I/O APIC pin n; timer 0 to pin 2 (MADT override). */
static void set_irq(struct vm *vm, unsigned irq, bool level)
{
    uint32_t bit = BIT32(irq);

    if (((vm->irq_levels & bit) != 0) == level)
        return;
    vm->irq_levels ^= bit;
    i8259_set_irq(&vm->i8259, irq, level);
    ioapic_set_pin(&vm->ioapic, irq == 0 ? ACPI_PIT_GSI : irq, level);
    ioapic_flush(vm);
    i8259_changed(vm);
}

static void lapic_effect(struct vcpu *v, const struct lapic_effect *effect)
{
    switch (effect->kind) {
    case LAPIC_EFFECT_NONE: break;
    case LAPIC_EFFECT_IPI: deliver(v->vm, &effect->msg, v->lapic.id); break;
    case LAPIC_EFFECT_EOI:
        ioapic_eoi(&v->vm->ioapic, effect->vector);
        ioapic_flush(v->vm);
        break;
    }
    v->attention = true; /* priorities may have changed */
}

/* The 8259 pair has a vector, and a way to the vCPU: LINT0, or a pin of the I/O APIC. */
static bool i8259_waiting(const struct vcpu *v)
{
    return v->index == 0 && i8259_intr(&v->vm->i8259) &&
           (v->extint_pending || lapic_extint_enabled(&v->lapic));
}

bool platform_irq_waiting(const struct vcpu *v)
{
    return v->lost_irq != 0 || i8259_waiting(v) || lapic_pending(&v->lapic) >= 0;
}

int platform_irq_ack(struct vcpu *v)
{
    struct vm *vm = v->vm;
    int vector;

    spin_lock(&vm->lock);
    if (v->lost_irq != 0) {
        vector = v->lost_irq;
        v->lost_irq = 0;
    } else if (i8259_waiting(v)) {
        v->extint_pending = false;
        vector = i8259_ack(&vm->i8259);
        i8259_changed(vm);
    } else {
        vector = lapic_pending(&v->lapic);
        if (vector >= 0)
            lapic_ack(&v->lapic, vector);
    }
    spin_unlock(&vm->lock);
    return vector;
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Arm the vCPU's timer for whatever is due first; the first vCPU also serves the VM's devices. */
static void arm(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint64_t next = lapic_deadline(&v->lapic);

    if (v->index == 0) {
        next = earlier(next, i8254_deadline(&vm->i8254));
        next = earlier(next, mc146818_deadline(&vm->rtc));
        next = earlier(next, ns16550_deadline(&vm->uart));
        next = earlier(next, acpi_pm_deadline(&vm->pm));
    }
    /* A moment beyond the end of the host's TSC never comes. */
    vcpu_set_deadline(&v->arch,
                      next >= TIME_NEVER - vm->tsc_start ? TIME_NEVER : next + vm->tsc_start);
}

/* IRQ 0 rises only here, so that no edge is seen twice; however many were missed, it rises once. */
static void i8254_edges(struct vm *vm, uint64_t now)
{
    if (i8254_deadline(&vm->i8254) <= now && i8254_advance(&vm->i8254, now) > 0) {
        set_irq(vm, 0, false);
        set_irq(vm, 0, true);
    }
}

static void advance_devices(struct vm *vm, uint64_t now)
{
    i8254_edges(vm, now);
    mc146818_advance(&vm->rtc, now);
    set_irq(vm, 8, mc146818_irq(&vm->rtc));
    ns16550_advance(&vm->uart, now);
    set_irq(vm, 4, ns16550_irq(&vm->uart));
    acpi_pm_advance(&vm->pm, now);
    set_irq(vm, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
}

void platform_advance(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);

    spin_lock(&vm->lock);
    if (lapic_deadline(&v->lapic) <= now) {
        lapic_advance(&v->lapic, now);
        v->attention = true;
    }
    if (v->index == 0)
        advance_devices(vm, now);
    arm(v);
    spin_unlock(&vm->lock);
}

/* --- console ---------------------------------------------------------------------------------- */

/* Move bytes between the UART and the console's queues as far as there is room. */
static void uart_exchange(struct vm *vm, uint64_t now)
{
    uint8_t byte;

    while (console_has_room(vm) && ns16550_tx_take(&vm->uart, &byte))
        console_put(vm, byte);
    while (ns16550_rx_space(&vm->uart) > 0 && ring_take(&vm->console_rx, &byte))
        ns16550_rx_put(&vm->uart, byte, now);
    set_irq(vm, 4, ns16550_irq(&vm->uart));
}

void platform_requests(struct vcpu *v, uint32_t requests)
{
    struct vm *vm = v->vm;

    if ((requests & (REQUEST_CONSOLE_RX | REQUEST_CONSOLE_TX)) == 0)
        return;
    spin_lock(&vm->lock);
    uart_exchange(vm, vm_now(vm));
    arm(v);
    spin_unlock(&vm->lock);
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
    i8254_edges(vm, now);
    if (!i8254_out(&vm->i8254, 0, now))
        set_irq(vm, 0, false);
    arm(v);
}

static uint8_t uart_port_read(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);
    uint8_t value = ns16550_read(&vm->uart, port - COM1, now);

    uart_exchange(vm, now);
    arm(v);
    return value;
}

static void uart_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);

    ns16550_write(&vm->uart, port - COM1, value, now);
    uart_exchange(vm, now);
    arm(v);
}

static uint8_t rtc_port_read(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    uint8_t value = mc146818_read(&vm->rtc, port, vm_now(vm));

    set_irq(vm, 8, mc146818_irq(&vm->rtc));
    arm(v);
    return value;
}

static void rtc_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;

    mc146818_write(&vm->rtc, port, value, vm_now(vm));
    set_irq(vm, 8, mc146818_irq(&vm->rtc));
    arm(v);
}

static void pm_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    if (acpi_pm_write(&vm->pm, port - PM_BASE, size, value, vm_now(vm)) == ACPI_PM_POWER_OFF)
        vm->wish = WISH_POWER_OFF;
    set_irq(vm, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
    arm(v);
}

static void reset_port_write(struct vm *vm, uint16_t port, uint8_t value)
{
    if (reset_ports_write(&vm->reset_ports, port, value) == RESET_VM)
        vm->wish = WISH_RESET;
}

static void debug_exit(struct vm *vm, uint32_t value)
{
    if (!vm->config->debug_exit) {
        vm->unclaimed_io++;
        return;
    }
    vm->has_exit_status = true;
    vm->exit_status = value;
    vm->wish = WISH_POWER_OFF;
}

static uint8_t read_byte(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;

    switch (port_device(port)) {
    case PORT_I8259: {
        uint8_t value = i8259_read(&vm->i8259, port);

        i8259_changed(vm); /* a poll acknowledges */
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
    case PORT_NONE:
    case PORT_DEBUG_EXIT:
    case PORT_POST: break;
    }
    return (uint8_t)unclaimed_read(vm, 1);
}

static void write_byte(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;

    switch (port_device(port)) {
    case PORT_I8259:
        i8259_write(&vm->i8259, port, value);
        i8259_changed(vm);
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

    switch (port_device(port)) {
    case PORT_PM:
        if (port - PM_BASE + size <= ACPI_PM_BLOCK_LEN)
            return acpi_pm_read(&vm->pm, port - PM_BASE, size, vm_now(vm));
        break;
    case PORT_PCI: return pci_host_read(&vm->pci, port, size);
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

static void write_wide(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    switch (port_device(port)) {
    case PORT_PM:
        if (port - PM_BASE + size <= ACPI_PM_BLOCK_LEN) {
            pm_port_write(v, port, size, value);
            return;
        }
        break;
    case PORT_PCI: pci_host_write(&vm->pci, port, size, value); return;
    case PORT_DEBUG_EXIT: debug_exit(vm, value); return;
    case PORT_NONE: vm->unclaimed_io++; return;
    case PORT_I8259:
    case PORT_I8254:
    case PORT_RESET:
    case PORT_RTC:
    case PORT_UART:
    case PORT_POST: break;
    }
    for (unsigned i = 0; i < size; i++)
        write_byte(v, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
}

uint32_t platform_port_read(struct vcpu *v, uint16_t port, unsigned size)
{
    spin_lock(&v->vm->lock);
    uint32_t value = size == 1 ? read_byte(v, port) : read_wide(v, port, size);

    spin_unlock(&v->vm->lock);
    return value;
}

void platform_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    spin_lock(&v->vm->lock);
    if (size == 1)
        write_byte(v, port, (uint8_t)value);
    else
        write_wide(v, port, size, value & all_ones(size));
    spin_unlock(&v->vm->lock);
}

/* --- devices in memory ------------------------------------------------------------------------ */

static bool in_page(uint64_t gpa, uint64_t page, unsigned size)
{
    return gpa >= page && gpa - page <= PAGE_SIZE - size;
}

/*
 * Both chips have 32-bit registers. Smaller reads get their part; of smaller writes the I/O APIC
 * takes the low bits (its index is 8 bits), the local APIC, whose manual forbids them, none.
 */
static uint32_t register_read(struct vcpu *v, uint64_t gpa)
{
    if (in_page(gpa, LAPIC_GPA, 4))
        return lapic_read(&v->lapic, (unsigned)(gpa - LAPIC_GPA), vm_now(v->vm));
    return ioapic_read(&v->vm->ioapic, (unsigned)(gpa - IOAPIC_GPA));
}

static bool is_register_page(const struct vcpu *v, uint64_t gpa, unsigned size)
{
    return (in_page(gpa, LAPIC_GPA, size) && lapic_mmio_enabled(&v->lapic)) ||
           in_page(gpa, IOAPIC_GPA, size);
}

uint64_t platform_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size)
{
    unsigned shift = 8 * (unsigned)(gpa & 3);
    uint64_t value = 0;

    spin_lock(&v->vm->lock);
    if (is_register_page(v, gpa, size)) {
        value = register_read(v, align_down(gpa, 4)) >> shift & size_mask(size);
    } else if (!gmem_read(v->vm, gpa, &value, size)) { /* ROM, read by what also writes to it */
        v->vm->unclaimed_io++;
        value = size_mask(size);
    }
    spin_unlock(&v->vm->lock);
    return value;
}

static void lapic_mmio_write(struct vcpu *v, unsigned offset, uint32_t value)
{
    struct lapic_effect effect;

    lapic_write(&v->lapic, offset, value, vm_now(v->vm), &effect);
    lapic_effect(v, &effect);
    arm(v);
}

void platform_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    spin_lock(&v->vm->lock);
    if (!is_register_page(v, gpa, size)) {
        v->vm->unclaimed_io++;
    } else if (in_page(gpa, IOAPIC_GPA, size)) {
        ioapic_write(&v->vm->ioapic, (unsigned)(gpa - IOAPIC_GPA), (uint32_t)value);
        ioapic_flush(v->vm);
    } else if (size == 4 && is_aligned(gpa, 4)) {
        lapic_mmio_write(v, (unsigned)(gpa - LAPIC_GPA), (uint32_t)value);
    }
    spin_unlock(&v->vm->lock);
}

/* --- local APIC through registers --------------------------------------------------------------*/

void platform_write_tsc_deadline(struct vcpu *v, uint64_t vm_time)
{
    spin_lock(&v->vm->lock);
    lapic_write_tsc_deadline(&v->lapic, vm_time, vm_now(v->vm));
    v->attention = true; /* a moment in the past interrupts at once */
    arm(v);
    spin_unlock(&v->vm->lock);
}

bool platform_write_x2apic(struct vcpu *v, uint32_t msr, uint64_t value)
{
    struct lapic_effect effect;

    spin_lock(&v->vm->lock);
    bool ok = lapic_wrmsr(&v->lapic, msr, value, vm_now(v->vm), &effect);

    if (ok) {
        lapic_effect(v, &effect);
        arm(v);
    }
    spin_unlock(&v->vm->lock);
    return ok;
}

bool platform_write_apic_base(struct vcpu *v, uint64_t value)
{
    spin_lock(&v->vm->lock);
    bool ok = lapic_write_base(&v->lapic, value);

    v->attention = true;
    arm(v);
    spin_unlock(&v->vm->lock);
    return ok;
}

void platform_write_cr8(struct vcpu *v, uint64_t value)
{
    spin_lock(&v->vm->lock);
    lapic_set_cr8(&v->lapic, value);
    v->attention = true;
    spin_unlock(&v->vm->lock);
}

/* --- power-on --------------------------------------------------------------------------------- */

void platform_power_on(struct vm *vm, uint64_t unix_time)
{
    mc146818_reset(&vm->rtc, vm->tsc_hz, vm_now(vm), unix_time);
    platform_reset(vm);
}

static void reset_lapic(struct vcpu *v)
{
    lapic_reset(&v->lapic, v->index, v->index == 0, v->vm->tsc_hz);
    if (v->index == 0)
        lapic_set_virtual_wire(&v->lapic);
    v->attention = true;
    v->nmi_pending = false;
    v->lost_irq = 0;
    v->extint_pending = false;
}

void platform_reset(struct vm *vm)
{
    uint64_t now = vm_now(vm);

    spin_lock(&vm->lock);
    vm->irq_levels = 0;
    i8259_reset(&vm->i8259);
    i8254_reset(&vm->i8254, vm->tsc_hz, now);
    ioapic_reset(&vm->ioapic, 0);
    mc146818_reset_line(&vm->rtc, now);
    ns16550_reset(&vm->uart, vm->tsc_hz);
    acpi_pm_reset(&vm->pm, vm->tsc_hz, now);
    pci_host_reset(&vm->pci);
    reset_ports_reset(&vm->reset_ports);
    for (uint32_t i = 0; i < vm->config->vcpu_count; i++)
        reset_lapic(&vm->vcpu[i]);
    set_irq(vm, 0, i8254_out(&vm->i8254, 0, now));
    spin_unlock(&vm->lock);
}
