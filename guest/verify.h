/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a guest's files still are what they were when they were embedded. */
#ifndef GUEST_VERIFY_H
#define GUEST_VERIFY_H

#include <stdbool.h>

#include "lib/compiler.h"

struct vm;

/*
 * Hash all files that the guest uses; the first time each hash is logged. On the first vCPU's core,
 * which serves the console meanwhile.
 *   return  false: a hash is not the one that the config compiler embedded, and both were logged
 */
MUST_CHECK bool verify_files(struct vm *vm);

#endif
