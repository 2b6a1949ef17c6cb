/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a vCPU, and what an exit handler can answer. */
#ifndef GUEST_RUN_H
#define GUEST_RUN_H

#include "arch/x86/vcpu.h"

struct vcpu;

/* Run a vCPU until its VM stops. Context: its own core. */
void vcpu_loop(struct vcpu *v);

/* Do what other cores asked of this vCPU; interrupts that came before it ran are in here, too. */
void exit_take_requests(struct vcpu *v);

/* Handlers: exit_cpu.c, exit_string.c, exit_task.c; those of vcpu.h are in port.c and exit_mmio.c,
 * too. */
enum outcome exit_cr(struct vcpu *v, const struct vcpu_exit *x);
enum outcome exit_xsetbv(struct vcpu *v);
enum outcome exit_pio_string(struct vcpu *v, const struct vcpu_exit *x);
enum outcome exit_task_switch(struct vcpu *v, const struct vcpu_exit *x);

/*
 * Load the PDPTEs of PAE paging, where the guest uses it, from memory at cr3. SDM 3A "PDPTE
 * Registers".
 *   return  false: reserved bits, or no memory there; nothing was changed, the guest is to get
 * #GP(0)
 */
bool exit_load_pdptes(struct vcpu *v, uint64_t cr3);

/*
 * Carry out a string instruction, or a part of it: op (one of the strings), rep, size, mem.segment
 * and mem.address_size of `in` count. RESUME_NEXT: it is done.
 */
struct insn;
struct linear;
enum outcome exit_string(struct linear *l, const struct insn *in);

/* The guest did what its CPU refuses: #GP(0), #UD. */
enum outcome exit_refuse(struct vcpu *v);
enum outcome exit_undefined(struct vcpu *v);

#endif
