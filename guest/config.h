/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as config/NAME.yaml describes it, compiled to constants by scripts/gen_config.py.
 * Everything here is read-only at run time.
 */
#ifndef GUEST_CONFIG_H
#define GUEST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a guest's image is and in which state its first vCPU starts. */
enum guest_type {
    GUEST_LINUX,    /* bzImage, 64-bit boot protocol; initrd and command line */
    GUEST_FLAT,     /* raw image at load_gpa; 32-bit protected mode, paging off, at entry_gpa */
    GUEST_FIRMWARE, /* ROM that ends at 4 GiB; real mode at the reset vector, F000:FFF0 */
};

/* Bytes embedded in the hypervisor's image, page aligned; len 0 where the config names none. */
struct guest_image {
    const uint8_t *bytes;
    size_t len;
};

/* One item of the guest's fw_cfg device. */
struct fw_cfg_file {
    const char *name; /* 1..55 printable characters, unique in the guest */
    struct guest_image data;
};

struct guest_config {
    const char *name; /* 1..15 characters [a-z0-9-], unique */
    enum guest_type type;
    const uint16_t *cores;     /* physical cores by index in the boot report's list */
    uint16_t vcpu_count;       /* length of cores; 1..8 */
    uint64_t memory;           /* bytes, a multiple of 2 MiB, 16 MiB..64 GiB */
    struct guest_image kernel; /* bzImage, raw image, or ROM of 4 KiB..16 MiB in steps of 4 KiB */
    struct guest_image initrd; /* linux only */
    const char *cmdline;       /* linux only; never NULL */
    uint64_t load_gpa;         /* flat only */
    uint64_t entry_gpa;        /* flat only */
    bool fw_cfg;               /* it has that device; the next five fields are its */
    const struct fw_cfg_file *fw_cfg_files;
    uint16_t fw_cfg_file_count;
    struct guest_image fw_cfg_kernel; /* an image for the firmware to start, as its `kernel` item */
    struct guest_image fw_cfg_initrd;
    const char *fw_cfg_cmdline; /* never NULL where fw_cfg is set */
    bool hpet;                  /* it has that device */
    uint32_t without;           /* APICV_* bits (arch/x86/vcpu.h) that it goes without */
    bool debug_exit;            /* port F4H ends the guest with an exit status */
};

struct machine_config {
    const char *name;
    const struct guest_config *guests;
    uint16_t guest_count;
    uint16_t console_guest; /* index of the guest that has the keyboard at first */
};

extern const struct machine_config machine_config;

#endif
