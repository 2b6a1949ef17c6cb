/* SPDX-License-Identifier: BSD-2-Clause */
/* QEMU's firmware configuration device. Source: see the header. */
#include "devices/fw_cfg.h"

#include "lib/bits.h"
#include "lib/string.h"

/* Control field of a DMA descriptor: [31:16] key */
#define DMA_ERROR         0x01u
#define DMA_READ          0x02u
#define DMA_SKIP          0x04u
#define DMA_SELECT        0x08u
#define DMA_WRITE         0x10u
#define DMA_KEY_SHIFT     16

#define ID_TRADITIONAL    0x1u /* [0] selector and data ports */
#define ID_DMA            0x2u /* [1] */

#define KEY_WRITE_CHANNEL 0x4000u /* [14] of a key: meant for writing, which nothing here is */

static const uint8_t signature[4] = {'Q', 'E', 'M', 'U'};
static const uint8_t id[4] = {ID_TRADITIONAL | ID_DMA};
static const uint8_t dma_signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

/* What is read after the end of an item; the size is a limit to a step only. */
static const uint8_t zeros[64];

static const struct fw_cfg_item *find(const struct fw_cfg *f, uint16_t key)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->items[i].key == key)
            return &f->items[i];
    }
    return NULL;
}

bool fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *bytes, uint32_t len)
{
    if (f->count == FW_CFG_ITEMS_MAX)
        return false;
    f->items[f->count++] = (struct fw_cfg_item){.bytes = bytes, .len = len, .key = key};
    return true;
}

bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *bytes, uint32_t len)
{
    uint16_t key = (uint16_t)(FW_CFG_FILE_FIRST + f->file_count);
    struct fw_cfg_entry *file = &f->dir.files[f->file_count];

    if (strlen(name) > FW_CFG_NAME_MAX || !fw_cfg_add(f, key, bytes, len))
        return false;
    file->size = __builtin_bswap32(len);
    file->key = __builtin_bswap16(key);
    memcpy(file->name, name, strlen(name));
    f->dir.count = __builtin_bswap32(++f->file_count);
    return true;
}

void fw_cfg_init(struct fw_cfg *f)
{
    memset(f, 0, sizeof(*f));
    f->items[0] = (struct fw_cfg_item){signature, sizeof(signature), FW_CFG_SIGNATURE};
    f->items[1] = (struct fw_cfg_item){id, sizeof(id), FW_CFG_ID};
    f->items[2] = (struct fw_cfg_item){(const uint8_t *)&f->dir, sizeof(f->dir), FW_CFG_FILE_DIR};
    f->count = 3;
}

static void select(struct fw_cfg *f, uint16_t key)
{
    f->key = (uint16_t)(key & ~KEY_WRITE_CHANNEL);
    f->offset = 0;
}

void fw_cfg_reset(struct fw_cfg *f)
{
    select(f, FW_CFG_SIGNATURE);
    f->dma_high = 0;
}

/* The item's next bytes, at most *len of them and counted there; zeros where nothing is left. */
static const uint8_t *take(struct fw_cfg *f, uint32_t *len)
{
    const struct fw_cfg_item *item = find(f, f->key);

    if (item == NULL || f->offset >= item->len) {
        *len = *len < sizeof(zeros) ? *len : (uint32_t)sizeof(zeros);
        return zeros;
    }

    const uint8_t *bytes = item->bytes + f->offset;

    if (*len > item->len - f->offset)
        *len = item->len - f->offset;
    f->offset += *len;
    return bytes;
}

uint32_t fw_cfg_read(struct fw_cfg *f, uint16_t port, unsigned size)
{
    uint32_t value = 0;
    uint32_t one = 1;

    if (port == FW_CFG_DATA && size == 1)
        return *take(f, &one);
    for (unsigned i = 0; i < size && i < 4; i++) {
        unsigned at = port + i - FW_CFG_DMA_HIGH;

        if (at < sizeof(dma_signature))
            value |= (uint32_t)dma_signature[at] << 8 * i;
    }
    return value;
}

bool fw_cfg_write(struct fw_cfg *f, uint16_t port, unsigned size, uint32_t value,
                  uint64_t *descriptor)
{
    if (port == FW_CFG_SELECTOR && size == 2)
        select(f, (uint16_t)value);
    if (port == FW_CFG_DMA_HIGH && size == 4)
        f->dma_high = __builtin_bswap32(value);
    if (port != FW_CFG_DMA_LOW || size != 4)
        return false;
    *descriptor = (uint64_t)f->dma_high << 32 | __builtin_bswap32(value);
    return true;
}

static void put(struct fw_cfg_dma *d, uint32_t control, uint32_t length, uint64_t gpa)
{
    d->control = __builtin_bswap32(control);
    d->length = __builtin_bswap32(length);
    d->gpa = __builtin_bswap64(gpa);
}

uint32_t fw_cfg_dma_step(struct fw_cfg *f, struct fw_cfg_dma *d, uint32_t max,
                         const uint8_t **bytes, uint64_t *gpa)
{
    uint32_t control = __builtin_bswap32(d->control);
    uint32_t length = __builtin_bswap32(d->length);
    uint32_t n = length < max ? length : max;

    *gpa = __builtin_bswap64(d->gpa);
    if ((control & DMA_SELECT) != 0)
        select(f, (uint16_t)(control >> DMA_KEY_SHIFT));
    if ((control & DMA_READ) != 0) {
        *bytes = take(f, &n);
        length -= n;
        put(d, length == 0 ? 0 : DMA_READ, length, *gpa + n);
        return n;
    }
    if ((control & DMA_WRITE) == 0 && (control & DMA_SKIP) != 0)
        (void)take(f, &length);
    put(d, (control & DMA_WRITE) != 0 ? DMA_ERROR : 0, 0, *gpa);
    return 0;
}

void fw_cfg_dma_end(struct fw_cfg *f)
{
    f->dma_high = 0;
}

bool fw_cfg_ok(const struct fw_cfg *f)
{
    return f->count <= FW_CFG_ITEMS_MAX && f->file_count <= f->count &&
           __builtin_bswap32(f->dir.count) == f->file_count && (f->key & KEY_WRITE_CHANNEL) == 0;
}
