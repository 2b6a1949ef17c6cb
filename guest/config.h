/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as config/NAME.yaml describes it, compiled to constants by scripts/config.
 * Everything here is read-only at run time.
 */
#ifndef GUEST_CONFIG_H
#define GUEST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the hypervisor has room for; the config compiler keeps to it. */
#define CONFIG_SHARES_MAX     8 /* shared regions of one guest */
#define CONFIG_REGIONS_MAX    16
#define CONFIG_REGION_LEN_MAX (1ull << 30)
#define CONFIG_RANGES_MAX     16

/* What a guest's image is and in which state its first vCPU starts. */
enum guest_type {
    GUEST_LINUX,     /* bzImage, 64-bit boot protocol; initrd and command line */
    GUEST_MULTIBOOT, /* Multiboot or Multiboot2 kernel; modules and command line */
    GUEST_FLAT,      /* raw image at load_gpa; 32-bit protected mode, paging off, at entry_gpa */
    GUEST_FIRMWARE,  /* ROM that ends at 4 GiB; real mode at the reset vector, F000:FFF0 */
};

/* Bytes embedded in the hypervisor's image, page aligned; len 0 where the config names none. */
struct guest_image {
    const uint8_t *bytes;
    size_t len;
};

/* An embedded file, and what it was when it was embedded. Checked before each start of its guests.
 */
struct guest_file {
    struct guest_image data;
    const char *path; /* as the build names it, for messages */
    uint8_t sha256[32];
};

/* One item of the guest's fw_cfg device. */
struct fw_cfg_file {
    const char *name; /* 1..55 printable characters, unique in the guest */
    struct guest_image data;
};

/* A file beside a multiboot kernel. */
struct guest_module {
    const char *string; /* its command line; never NULL */
    struct guest_image data;
};

/* What becomes of a guest that has crashed, reset itself or switched itself off. */
enum guest_action {
    GUEST_HALT,    /* it stays off */
    GUEST_RESTART, /* it starts anew */
};

struct guest_policy {
    enum guest_action action;
    uint32_t limit; /* GUEST_RESTART: so many in window_s seconds, then it stays off; 0: no limit */
    uint32_t window_s; /* 0: since power-on */
};

/* A guest's view of one of the machine's shared regions. */
struct guest_share {
    uint16_t region; /* index into machine_config.regions */
    bool write;      /* at most one guest of a region has it; the others read */
    uint8_t irq;     /* its doorbell's ISA interrupt, 0: none; the device does not exist yet */
    uint64_t gpa;    /* 4 KiB-aligned, outside all else; not FEC00000H..FFFFFFFFH */
};

struct guest_config {
    const char *name; /* 1..15 characters [a-z0-9-], unique */
    enum guest_type type;
    const uint16_t *cores;     /* physical cores by index in the boot report's list */
    uint16_t vcpu_count;       /* length of cores; 1..8 */
    uint64_t memory;           /* bytes, a multiple of 2 MiB, 16 MiB..64 GiB */
    struct guest_image kernel; /* bzImage, raw image, or ROM of 4 KiB..16 MiB in steps of 4 KiB */
    struct guest_image initrd; /* linux only */
    const char *cmdline;       /* linux and multiboot; never NULL */
    const struct guest_module *modules; /* multiboot only */
    uint16_t module_count;
    uint64_t load_gpa;  /* flat only */
    uint64_t entry_gpa; /* flat only */
    bool fw_cfg;        /* it has that device; the next five fields are its */
    const struct fw_cfg_file *fw_cfg_files;
    uint16_t fw_cfg_file_count;
    struct guest_image fw_cfg_kernel; /* an image for the firmware to start, as its `kernel` item */
    struct guest_image fw_cfg_initrd;
    const char *fw_cfg_cmdline; /* never NULL where fw_cfg is set */
    bool hpet;                  /* it has that device */
    uint32_t without;           /* APICV_* bits (arch/x86/vcpu.h) that it goes without */
    bool direct;                /* it has its core's own local APIC; one vCPU, not on core 0 */
    uint16_t exit_port;         /* a write there ends the guest with an exit status; 0: none */
    struct guest_policy on_crash;
    struct guest_policy on_reset;
    struct guest_policy on_poweroff;
    uint32_t watchdog_s;    /* longest time-out of its watchdog, seconds; 0: it has none */
    uint16_t watchdog_port; /* first of its 8 ports */
    const uint16_t *files;  /* indices into machine_config.files: all that it uses */
    uint16_t file_count;
    const struct guest_share *shares;
    uint16_t share_count;
    uint16_t cpus_line; /* where the config says so, for messages */
    uint16_t apic_line;
    uint16_t memory_line;
};

/* Memory that one guest writes and others read. */
struct region_config {
    const char *name;
    uint64_t len;  /* bytes, 4 KiB-aligned */
    uint16_t line; /* where the config says so, for messages; 0: not said */
};

/* Host-physical addresses. */
struct host_range {
    uint64_t base, len; /* bytes, 4 KiB-aligned */
};

struct machine_config {
    const char *name;
    const char *source; /* the config file, for messages */
    const struct guest_config *guests;
    uint16_t guest_count;
    uint16_t console_guest; /* index of the guest that has the keyboard at first */
    uint16_t cores;         /* cores of the machine it was written for; 0: not said */
    uint16_t cores_line;
    uint64_t memory; /* its memory, bytes; 0: not said */
    uint16_t memory_line;
    bool share_threads;              /* different guests may use hardware threads of one core */
    const struct host_range *ranges; /* guests' memory lies in these only; none: anywhere */
    uint16_t range_count;
    uint16_t ranges_line;
    const struct guest_file *files;
    uint16_t file_count;
    const struct region_config *regions;
    uint16_t region_count;
};

extern const struct machine_config machine_config;

#endif
