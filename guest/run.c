/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/run.h"

#include "guest/vm.h"

void vcpu_loop(struct vcpu *v)
{
    exit_take_requests(v);
    vcpu_run(&v->arch);
}
