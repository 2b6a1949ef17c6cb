/* SPDX-License-Identifier: BSD-2-Clause */
/* See the header. */
#include "guest/port.h"

#include "arch/x86/regs.h"
#include "guest/acpi_tables.h"
#include "guest/platform.h"
#include "guest/run.h"
#include "guest/vm.h"
#include "lib/bits.h"

/* --- ports ------------------------------------------------------------------------------------ */

/* In the order in which they are looked for: what guests do most comes first. */
enum port_device {
    PORT_NONE,
    PORT_POST, /* 80H: power-on self-test codes, and everybody's I/O delay */
    PORT_I8259,
    PORT_UART,
    PORT_PM,
    PORT_I8254,
    PORT_PCI,
    PORT_RTC,
    PORT_RESET,
    PORT_FW_CFG,
    PORT_WATCHDOG,
    PORT_DEBUG_EXIT,
};

#define COM1          0x3f8
#define PM_BASE       ACPI_PM1A_EVT_PORT
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
static inline enum port_device port_device(const struct vm *vm, uint16_t port)
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

/* Shared by all whom the call does not matter to. */
static NOINLINE enum port_device port_find_device(const struct vm *vm, uint16_t port)
{
    return port_device(vm, port);
}

/* --- devices behind ports; the lock is held --------------------------------------------------- */

static uint32_t all_ones(unsigned size)
{
    return (uint32_t)size_mask(size);
}

/* One instruction, and so needs no lock. */
static inline void count_unclaimed(struct vm *vm)
{
    atomic_fetch_add_explicit(&vm->unclaimed_io, 1, memory_order_relaxed);
}

static uint32_t unclaimed_read(struct vm *vm, unsigned size)
{
    count_unclaimed(vm);
    return all_ones(size);
}

static uint8_t i8254_port_read(struct vcpu *v, uint16_t port)
{
    /* A read does not move the counter's edges. */
    return i8254_read(&v->vm->i8254, port, vm_now(v->vm));
}

static void i8259_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    i8259_write(&v->vm->i8259, port, value);
    platform_i8259_changed(v);
}

static void i8254_port_write(struct vcpu *v, uint16_t port, uint8_t value, uint64_t now)
{
    struct vm *vm = v->vm;

    i8254_write(&vm->i8254, port, value, now);
    platform_i8254_edges(v, now);
    if (!i8254_out(&vm->i8254, 0, now))
        platform_i8254_irq(v, false);
    platform_arm_devices(v);
}

static uint8_t uart_port_read(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);
    uint8_t value = ns16550_read(&vm->uart, port - COM1, now);

    platform_uart_exchange(v, now);
    return value;
}

static void uart_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;
    uint64_t now = vm_now(vm);

    ns16550_write(&vm->uart, port - COM1, value, now);
    platform_uart_exchange(v, now);
}

static uint8_t rtc_port_read(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    uint8_t value = mc146818_read(&vm->rtc, port, vm_now(vm));

    platform_rtc_irq(v);
    platform_arm_devices(v);
    return value;
}

static void rtc_port_write(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct vm *vm = v->vm;

    mc146818_write(&vm->rtc, port, value, vm_now(vm));
    platform_rtc_irq(v);
    platform_arm_devices(v);
}

/* A read brings the timer's status up to date, which the interrupt follows. */
static uint32_t pm_port_read(struct vcpu *v, uint16_t port, unsigned size)
{
    struct vm *vm = v->vm;
    uint32_t value = acpi_pm_read(&vm->pm, port - PM_BASE, size, vm_now(vm));

    platform_set_irq(v, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
    platform_arm_devices(v);
    return value;
}

static void pm_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    if (acpi_pm_write(&vm->pm, port - PM_BASE, size, value, vm_now(vm)) == ACPI_PM_POWER_OFF)
        vm->wish = WISH_POWER_OFF;
    platform_set_irq(v, ACPI_SCI_GSI, acpi_pm_sci(&vm->pm));
    platform_arm_devices(v);
}

static void watchdog_port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = v->vm;

    watchdog_write(&vm->watchdog, port - vm->config->watchdog_port, size, value, vm_now(vm));
    platform_arm_devices(v);
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

        platform_i8259_changed(v); /* a poll acknowledges */
        return value;
    }
    case PORT_I8254: return i8254_port_read(v, port);
    case PORT_RESET: return reset_ports_read(&vm->reset_ports, port);
    case PORT_RTC: return rtc_port_read(v, port);
    case PORT_UART: return uart_port_read(v, port);
    case PORT_PM: return (uint8_t)pm_port_read(v, port, 1);
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
    case PORT_I8259: i8259_port_write(v, port, value); return;
    case PORT_I8254: i8254_port_write(v, port, value, vm_now(vm)); return;
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
    count_unclaimed(vm);
}

/* 16- and 32-bit accesses: devices with wide registers take them whole. */
static uint32_t read_wide(struct vcpu *v, uint16_t port, unsigned size)
{
    struct vm *vm = v->vm;
    uint32_t value = 0;

    switch (port_find_device(vm, port)) {
    case PORT_PM:
        if (port - PM_BASE + size <= ACPI_PM_BLOCK_LEN)
            return pm_port_read(v, port, size);
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

    switch (port_find_device(vm, port)) {
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
    case PORT_NONE: count_unclaimed(vm); return true;
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

/* What only wide accesses need is not set up for bytes: nearly all are bytes. */
static NOINLINE uint32_t port_read_wide(struct vcpu *v, uint16_t port, unsigned size)
{
    spin_lock(&v->vm->lock);
    uint32_t value = read_wide(v, port, size);

    spin_unlock(&v->vm->lock);
    return value;
}

static NOINLINE bool port_write_wide(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    spin_lock(&v->vm->lock);
    bool done = write_wide(v, port, size, value & all_ones(size));

    spin_unlock(&v->vm->lock);
    return done;
}

uint32_t port_read(struct vcpu *v, uint16_t port, unsigned size)
{
    if (size != 1)
        return port_read_wide(v, port, size);
    spin_lock(&v->vm->lock);
    uint32_t value = read_byte(v, port);

    spin_unlock(&v->vm->lock);
    return value;
}

bool port_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
    if (size != 1)
        return port_write_wide(v, port, size, value);
    spin_lock(&v->vm->lock);
    write_byte(v, port, (uint8_t)value);
    spin_unlock(&v->vm->lock);
    return true;
}

bool port_idle_run(struct vm *vm, uint16_t port, unsigned size, bool write, unsigned n)
{
    if (write && size == 1 && port == POST_PORT)
        return true;
    if (port_find_device(vm, port) != PORT_NONE)
        return false;
    atomic_fetch_add_explicit(&vm->unclaimed_io, n, memory_order_relaxed);
    return true;
}

/* --- the exit --------------------------------------------------------------------------------- */

/*
 * vcpu_handle_in() itself calls nothing: what guests ask for all the time is answered in it, with
 * no register saved. The rest is behind one of these.
 */
static NOINLINE enum outcome read_exit(struct vcpu *v, uint16_t port, unsigned size)
{
    uint64_t *rax = &v->arch.gpr[RAX];
    uint32_t value = port_read(v, port, size);

    /* A 32-bit result clears the upper half of RAX, smaller ones keep the rest. */
    *rax = size == 4 ? value : (*rax & ~size_mask(size)) | value;
    return RESUME_NEXT;
}

/* Without the lock: nothing changes the timer but time. */
static NOINLINE enum outcome pm_timer_exit(struct vcpu *v)
{
    const struct vm *vm = v->vm;

    v->arch.gpr[RAX] = acpi_pm_timer(&vm->pm, vm_now(vm));
    return RESUME_NEXT;
}

/* A device may have ended the run: power-off, reset, debug exit. */
static NOINLINE enum outcome write_exit(struct vcpu *v, uint16_t port, unsigned size)
{
    if (!port_write(v, port, size, (uint32_t)v->arch.gpr[RAX]))
        return RESUME;
    return v->vm->wish == WISH_RUN ? RESUME_NEXT : STOP_VM;
}

/* The timer and the interrupt controller end no run: what interrupts are made of goes straight. */
static NOINLINE enum outcome i8254_exit(struct vcpu *v, uint16_t port)
{
    uint64_t now = vm_now(v->vm);

    spin_lock(&v->vm->lock);
    i8254_port_write(v, port, (uint8_t)v->arch.gpr[RAX], now);
    spin_unlock(&v->vm->lock);
    return RESUME_NEXT;
}

static NOINLINE enum outcome i8259_exit(struct vcpu *v, uint16_t port)
{
    spin_lock(&v->vm->lock);
    i8259_port_write(v, port, (uint8_t)v->arch.gpr[RAX]);
    spin_unlock(&v->vm->lock);
    return RESUME_NEXT;
}

/* A byte that is there to be told, and nothing follows from reading it; -1: it is not so simple. */
static inline int peek_i8259(struct vm *vm, uint16_t port)
{
    spin_lock(&vm->lock);
    int value = i8259_peek_mask(&vm->i8259, port);

    spin_unlock(&vm->lock);
    return value;
}

/* No edge moves by it, nor a deadline. */
static inline int peek_counter(struct vm *vm, unsigned channel)
{
    uint64_t now = vm_now(vm);

    spin_lock(&vm->lock);
    int value = i8254_read_plain(&vm->i8254, channel, now);

    spin_unlock(&vm->lock);
    return value;
}

static inline int peek_uart(struct vm *vm)
{
    int value = -1;

    spin_lock(&vm->lock);
    if (ring_used(&vm->console_rx) == 0) /* else bytes move when it is read */
        value = ns16550_peek_lsr(&vm->uart);
    spin_unlock(&vm->lock);
    return value;
}

static inline enum outcome tell_byte(struct vcpu *v, uint16_t port, int value)
{
    if (UNLIKELY(value < 0))
        return read_exit(v, port, 1);
    *(uint8_t *)&v->arch.gpr[RAX] = (uint8_t)value; /* AL */
    return RESUME_NEXT;
}

static NOINLINE enum outcome other_byte_exit(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;
    enum port_device d = port_device(vm, port);
    int value = -1;

    if (d == PORT_NONE)
        value = (int)unclaimed_read(vm, 1);
    else if (d == PORT_I8254 && port <= I8254_COUNTER_2)
        value = peek_counter(vm, port - I8254_COUNTER_0);
    else if (port == I8259_SLAVE_DATA)
        value = peek_i8259(vm, port);
    return tell_byte(v, port, value);
}

/* Those of the bytes that are read most are asked for before the map of ports is. */
static inline enum outcome read_byte_exit(struct vcpu *v, uint16_t port)
{
    struct vm *vm = v->vm;

    if (port == I8254_COUNTER_0)
        return tell_byte(v, port, peek_counter(vm, 0));
    if (port == COM1 + NS16550_LSR)
        return tell_byte(v, port, peek_uart(vm));
    if (port == I8259_MASTER_DATA)
        return tell_byte(v, port, peek_i8259(vm, I8259_MASTER_DATA));
    return other_byte_exit(v, port);
}

enum outcome vcpu_handle_in(struct vcpu_arch *a, uint16_t port, unsigned size)
{
    struct vcpu *v = vcpu_of(a);

    v->exits[EXIT_PIO]++;
    if (size == 1)
        return read_byte_exit(v, port);
    if (port == PM_BASE + ACPI_PM_TMR && size == 4)
        return pm_timer_exit(v);
    return read_exit(v, port, size);
}

enum outcome vcpu_handle_out(struct vcpu_arch *a, uint16_t port, unsigned size)
{
    struct vcpu *v = vcpu_of(a);

    v->exits[EXIT_PIO]++;
    if (size != 1)
        return write_exit(v, port, size);
    if (port == POST_PORT)
        return RESUME_NEXT;
    if (port == I8259_MASTER_COMMAND || port == I8259_SLAVE_COMMAND)
        return i8259_exit(v, port);
    if (port >= I8254_COUNTER_0 && port <= I8254_CONTROL)
        return i8254_exit(v, port);
    return write_exit(v, port, size);
}
