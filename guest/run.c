/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/run.h"

#include "guest/vm.h"

void vcpu_loop(struct vcpu *v)
{
    struct vcpu_exit x;

    exit_take_requests(v);
    for (;;) {
        if (v->attention && !intr_prepare(v))
            return;
        vcpu_run(&v->arch, &x);
        v->exits[x.kind]++;
        switch (exit_dispatch(v, &x)) {
        case RESUME: break;
        case RESUME_NEXT: vcpu_skip(&v->arch); break;
        case STOP_VM: return;
        }
    }
}
