/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest of 4 MiB on the fake processor, made by vm_create and started by vm_run, for the tests
 * of guest/. It defines machine_config, vms and a DSDT; all of guest/ but time.c and cpuid.c is the
 * product's.
 */
#ifndef TESTS_FAKE_SMALL_VM_H
#define TESTS_FAKE_SMALL_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/config.h"
#include "guest/vm.h"
#include "tests/fake/host_fake.h"
#include "tests/fake/vcpu_fake.h"

#define SMALL_VM_MEMORY 0x400000ull
#define SMALL_VM_TSC_HZ 1000000000ull /* one tick is a nanosecond */
#define SMALL_VM_ENTRY  0x100000ull
#define SMALL_VM_CODE   0x8000ull /* small_vm_code puts instructions there */

extern struct guest_config small_vm_config;
extern struct guest_file small_vm_files[2]; /* its image, and another one; the guest uses none */
extern unsigned small_vm_vcpus;             /* 1, or what a test sets before small_vm_setup: 1..3 */
extern bool small_vm_direct;                /* set before small_vm_setup: with its core's local APIC */

/* cmocka set-up: everything forgotten, the VM powered on and run to the end of an empty script. */
int small_vm_setup(void **state);

/* Run the exits added by vcpu_fake_add, from a clean script's end to the next. */
void small_vm_run(void);

/* Run one exit; true: the guest went on afterwards, false: it stopped (vms[0].wish). */
bool small_vm_exit(const struct vcpu_exit *x);

/* IN and OUT as exits; IN gives all of RAX, which was `rax` before. */
void small_vm_out(uint16_t port, unsigned size, uint32_t value);
uint32_t small_vm_in(uint16_t port, unsigned size);

/* The 8259 set up, IRQ 0 masked, and the UART's IER.ETBEI: MCR.OUT2 raises IRQ 4 at once. */
void small_vm_uart_irq(void);

/* CPUID, RDMSR and WRMSR; false: the guest got #GP(0). */
void small_vm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
bool small_vm_rdmsr(uint32_t msr, uint64_t *value);
bool small_vm_wrmsr(uint32_t msr, uint64_t value);

/* An instruction at RIP that accesses gpa, which is put in RBX; true: the guest went on. */
bool small_vm_mmio(const char *code, size_t len, uint64_t gpa, bool write);

/* The same with RBX as it is. */
bool small_vm_mmio_far(const char *code, size_t len, uint64_t gpa, bool write);

/* 32-bit MOV to and from a device register. */
void small_vm_mmio_write(uint64_t gpa, uint32_t value);
uint32_t small_vm_mmio_read(uint64_t gpa);

/* Let VM time go on, with the exits that come from it. */
void small_vm_wait(uint64_t ticks);

/* The guest can take interrupts; run until none is left (each handler ends without EOI). */
void small_vm_sti(void);

/* Take the oldest delivered event and check what it is. */
void small_vm_expect(enum vcpu_event_type type, uint8_t vector);
void small_vm_expect_gp(void);
void small_vm_expect_none(void);

/* Every chip of the VM is in a state it can be in. */
bool small_vm_ok(void);

/* How often text occurs in what the console showed. */
unsigned small_vm_logged(const char *text);

#endif
