/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration device: numbered items of read-only bytes, some of them files with
 * a name, read byte by byte through port 511H or copied into memory by DMA.
 * The chip holds pointers to the items' bytes, which belong to the caller and do not change.
 * Source: QEMU Documentation, "QEMU Firmware Configuration (fw_cfg) Device".
 */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

#define FW_CFG_SELECTOR     0x510u /* 16-bit writes: which item; its offset becomes 0 */
#define FW_CFG_DATA         0x511u /* byte reads: the item's next byte; 0 after its end */
#define FW_CFG_DMA_HIGH     0x514u /* 32 bits, big-endian: address of a descriptor, high half */
#define FW_CFG_DMA_LOW      0x518u /* low half; writing it starts the access */
#define FW_CFG_PORTS_END    0x51cu

#define FW_CFG_ITEMS_MAX    48
#define FW_CFG_NAME_MAX     55 /* characters, without the NUL */

/* Keys of items that are no files. */
#define FW_CFG_SIGNATURE    0x00u
#define FW_CFG_ID           0x01u
#define FW_CFG_RAM_SIZE     0x03u
#define FW_CFG_CPUS         0x05u
#define FW_CFG_KERNEL_SIZE  0x08u
#define FW_CFG_INITRD_SIZE  0x0bu
#define FW_CFG_BOOT_MENU    0x0eu
#define FW_CFG_CPUS_MAX     0x0fu
#define FW_CFG_KERNEL_DATA  0x11u
#define FW_CFG_INITRD_DATA  0x12u
#define FW_CFG_CMDLINE_SIZE 0x14u
#define FW_CFG_CMDLINE_DATA 0x15u
#define FW_CFG_SETUP_SIZE   0x17u
#define FW_CFG_SETUP_DATA   0x18u
#define FW_CFG_FILE_DIR     0x19u
#define FW_CFG_FILE_FIRST   0x20u

/* One file of the directory, integers big-endian. */
struct fw_cfg_entry {
    uint32_t size;
    uint16_t key;
    uint16_t reserved;
    char name[FW_CFG_NAME_MAX + 1];
};
_Static_assert(sizeof(struct fw_cfg_entry) == 64, "fw_cfg: FWCfgFile");

/* Item FW_CFG_FILE_DIR. */
struct fw_cfg_dir {
    uint32_t count; /* big-endian */
    struct fw_cfg_entry files[FW_CFG_ITEMS_MAX];
};

/* What DMA is told in guest memory, big-endian. */
struct fw_cfg_dma {
    uint32_t control;
    uint32_t length;
    uint64_t gpa;
};
_Static_assert(sizeof(struct fw_cfg_dma) == 16, "fw_cfg: FWCfgDmaAccess");

struct fw_cfg_item {
    const uint8_t *bytes;
    uint32_t len;
    uint16_t key;
};

struct fw_cfg {
    struct fw_cfg_item items[FW_CFG_ITEMS_MAX];
    uint32_t count;
    struct fw_cfg_dir dir;
    uint32_t file_count;
    uint16_t key;      /* selected */
    uint32_t offset;   /* of its next byte */
    uint32_t dma_high; /* written to FW_CFG_DMA_HIGH; belongs to the next descriptor */
};

/* No items but the signature, the ID and an empty directory. *f cannot be moved from now on. */
void fw_cfg_init(struct fw_cfg *f);

/*
 * Add an item; once for each key.
 *   bytes   len bytes, which must stay; may be NULL if len is 0
 *   return  false if there is no room
 */
MUST_CHECK bool fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *bytes, uint32_t len);

/* Add a file. As fw_cfg_add; also false if the name is longer than FW_CFG_NAME_MAX. */
MUST_CHECK bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *bytes,
                                uint32_t len);

/* Reset: what the guest selected is forgotten, the items stay. */
void fw_cfg_reset(struct fw_cfg *f);

/*
 * The guest reads a port.
 *   size    1, 2 or 4 bytes; only byte reads of FW_CFG_DATA give data, any size works on the DMA
 *           ports, which read "QEMU CFG"; the rest reads 0
 */
uint32_t fw_cfg_read(struct fw_cfg *f, uint16_t port, unsigned size);

/*
 * The guest writes a port: 16 bits to the selector, 32 bits to the DMA ports; all else is ignored.
 *   descriptor  set to the guest-physical address of a struct fw_cfg_dma if true is returned
 *   return      true: a DMA access has to be done, see fw_cfg_dma_step
 */
MUST_CHECK bool fw_cfg_write(struct fw_cfg *f, uint16_t port, unsigned size, uint32_t value,
                             uint64_t *descriptor);

/*
 * Do one step of a DMA access: at most `max` bytes. The descriptor says afterwards what is left,
 * and has to be written back; its control field is 0 when all is done, and has only the error
 * bit set (FW_CFG_DMA_FAILED) when the access is not possible.
 *   d       in and out, as in guest memory
 *   bytes   set to what has to be written into guest memory at *gpa if the result is not 0
 *   return  number of bytes to be written, at most max
 */
uint32_t fw_cfg_dma_step(struct fw_cfg *f, struct fw_cfg_dma *d, uint32_t max,
                         const uint8_t **bytes, uint64_t *gpa);

#define FW_CFG_DMA_FAILED 0x01000000u /* bit 0, as it lies in memory */

/* The access whose descriptor this was is over: the next one begins with a high half of 0. */
void fw_cfg_dma_end(struct fw_cfg *f);

/* The chip's invariant; true after every call above. */
bool fw_cfg_ok(const struct fw_cfg *f);

#endif
