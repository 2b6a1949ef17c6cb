/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the proofs share; read by CBMC only. A harness is a function without arguments: it takes any
 * state that meets the invariant, makes one call with any arguments, and proves what is true then.
 * By induction it is true after any number of calls. Arithmetic overflow, bad shifts and accesses
 * out of bounds are errors by themselves.
 */
#ifndef TESTS_PROOF_PROOF_H
#define TESTS_PROOF_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#define ASSUME(condition) __CPROVER_assume(condition)

/* With REACH, each claim is that it is never reached: all of them have to fail (scripts/proof). */
#ifdef REACH
#define PROVE(condition, text) __CPROVER_assert(((void)(condition), false), text)
#else
#define PROVE(condition, text) __CPROVER_assert(condition, text)
#endif

/* Any value: CBMC knows functions without a body by this prefix. */
uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
unsigned nondet_unsigned(void);
bool nondet_bool(void);

#endif
