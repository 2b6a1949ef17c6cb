/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest finds in its fw_cfg device: the config's files and images, and what firmware made
 * for QEMU asks for besides (CPUs, memory map, ACPI tables with the script that installs them).
 * Source: QEMU Documentation, "QEMU Firmware Configuration (fw_cfg) Device"; the script's commands
 * as in QEMU's hw/acpi/bios-linker-loader.c.
 */
#ifndef GUEST_FIRMWARE_H
#define GUEST_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/fw_cfg.h"
#include "guest/acpi_tables.h"
#include "lib/compiler.h"
#include "lib/err.h"

struct vm;

/* One command of the script "etc/table-loader", integers little-endian. */
struct loader_command {
    uint32_t command;
    union {
        struct {
            char file[56];
            uint32_t align;
            uint8_t zone;
        } PACKED allocate;
        struct {
            char file[56]; /* where the pointer is */
            char to[56];   /* what it points into */
            uint32_t offset;
            uint8_t size;
        } PACKED pointer;
        struct {
            char file[56];
            uint32_t offset; /* of the checksum */
            uint32_t start;
            uint32_t len;
        } PACKED checksum;
        uint8_t pad[124];
    } u;
};
_Static_assert(sizeof(struct loader_command) == 128, "BiosLinkerLoaderEntry");
#define LOADER_COMMANDS_MAX 16

struct e820_range { /* as "etc/e820" has it */
    uint64_t gpa;
    uint64_t len;
    uint32_t type; /* 1: RAM */
} PACKED;
_Static_assert(sizeof(struct e820_range) == 20, "etc/e820");

struct firmware {
    struct fw_cfg fw_cfg;
    uint64_t ram_size;
    uint32_t kernel_size, setup_size, initrd_size, cmdline_size;
    uint16_t cpus;
    uint8_t irq0_override;
    struct e820_range e820[2]; /* below and above the hole under 4 GiB */
    uint8_t acpi[ACPI_AREA_SIZE];
    struct loader_command loader[LOADER_COMMANDS_MAX];
    uint32_t loader_count;
};

/*
 * Fill the VM's fw_cfg from its config; once.
 *   problem  out: what was wrong, in words
 *   return   ERR_NOMEM: too many files; or what acpi_tables_build() says
 */
MUST_CHECK enum err firmware_init(struct vm *vm, const char **problem);

/*
 * Go on with the DMA access whose descriptor is at `gpa` in guest memory.
 *   return  true if it is over; false if the guest has to come again: a step is bounded, so that
 *           no guest keeps its core from interrupts
 * Context: vm->lock held.
 */
MUST_CHECK bool firmware_dma(struct vm *vm, uint64_t gpa);

#endif
