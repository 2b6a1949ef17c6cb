/* proof: devices/fw_cfg.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever a guest selects and asks for, fw_cfg gives bytes of its items and no others. */
#include "devices/fw_cfg.h"
#include "tests/proof/proof.h"

void *malloc(unsigned long);

struct fw_cfg_dma nondet_fw_cfg_dma(void);

/* Signature, ID, directory, and one more item of any key and length; anything selected. */
static void any(struct fw_cfg *f)
{
    uint32_t len = nondet_u32();
    void *bytes = malloc(len);

    ASSUME(bytes != 0);
    fw_cfg_init(f);
    PROVE(fw_cfg_add(f, nondet_u16(), bytes, len), "there is room for an item");
    f->key = nondet_u16();
    f->offset = nondet_u32();
    f->dma_high = nondet_u32();
    ASSUME(fw_cfg_ok(f));
}

void guest_read(void)
{
    struct fw_cfg f;

    any(&f);
    (void)fw_cfg_read(&f, nondet_u16(), nondet_unsigned());
    PROVE(fw_cfg_ok(&f), "a read keeps the invariant");
}

void guest_write(void)
{
    struct fw_cfg f;
    uint64_t descriptor = 0;
    bool starts;

    any(&f);
    starts = fw_cfg_write(&f, nondet_u16(), nondet_unsigned(), nondet_u32(), &descriptor);
    PROVE(fw_cfg_ok(&f), "a write keeps the invariant");
    PROVE(starts || descriptor == 0, "without an access there is no descriptor");
}

void dma(void)
{
    struct fw_cfg f;
    struct fw_cfg_dma d = nondet_fw_cfg_dma();
    uint32_t max = nondet_u32();
    const uint8_t *bytes = 0;
    uint64_t gpa;
    uint32_t n;

    any(&f);
    n = fw_cfg_dma_step(&f, &d, max, &bytes, &gpa);
    PROVE(fw_cfg_ok(&f), "a step keeps the invariant");
    PROVE(n <= max, "a step is not longer than allowed");
    PROVE(n == 0 || __CPROVER_r_ok(bytes, n), "every byte given is an item's, or a zero");
    PROVE(n == 0 || !__CPROVER_same_object(bytes, &f) ||
              (bytes >= (const uint8_t *)&f.dir && bytes + n <= (const uint8_t *)(&f.dir + 1)),
          "of the device itself only the directory can be read");
}
