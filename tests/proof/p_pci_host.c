/* proof: devices/pci_host.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever a guest does, no bit of configuration space changes that is not writable. */
#include "devices/pci_host.h"
#include "tests/proof/proof.h"

struct pci_host nondet_pci_host(void);

static struct pci_host any(void)
{
    struct pci_host p = nondet_pci_host();

    ASSUME(pci_host_ok(&p));
    return p;
}

void reset(void)
{
    struct pci_host p = nondet_pci_host();

    pci_host_reset(&p, nondet_bool());
    PROVE(pci_host_ok(&p), "reset establishes the invariant");
}

void guest_read(void)
{
    struct pci_host p = any();
    uint16_t port = nondet_u16();

    ASSUME(port >= 0xcf8 && port <= 0xcff);
    (void)pci_host_read(&p, port, nondet_unsigned());
    PROVE(pci_host_ok(&p), "a read keeps the invariant");
}

void guest_write(void)
{
    struct pci_host p = any();
    bool qemu = p.qemu;
    uint16_t port = nondet_u16();

    ASSUME(port >= 0xcf8 && port <= 0xcff);
    pci_host_write(&p, port, nondet_unsigned(), nondet_u32());
    PROVE(pci_host_ok(&p) && p.qemu == qemu, "a write keeps the invariant");
}
