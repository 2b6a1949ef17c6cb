/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware has to tell, and the end of its boot services. UEFI Specification 2.10: "EFI
 * Configuration Table", "Graphics Output Protocol", "Random Number Generator Protocol",
 * "EFI_BOOT_SERVICES.ExitBootServices()".
 */
#include "boot/efi/loader.h"

#include "lib/bits.h"
#include "lib/string.h"

#define BELOW_4G     0xffffffffu
#define MAP_ROOM     (256 * KIB) /* for the memory map, which grows while we boot */
#define EXIT_TRIES   8
#define RSDP_OLD_LEN 20u

static const void *find_table(EFI_GUID guid)
{
    for (UINTN i = 0; i < firmware->NumberOfTableEntries; i++) {
        if (same_guid(&firmware->ConfigurationTable[i].VendorGuid, &guid))
            return firmware->ConfigurationTable[i].VendorTable;
    }
    return NULL;
}

/* ACPI 2.0's before ACPI 1.0's, which lacks the 64-bit pointer. */
static void collect_rsdp(struct efi_handover *h)
{
    const void *rsdp = find_table((EFI_GUID)ACPI_20_TABLE_GUID);

    h->rsdp_len = sizeof(h->rsdp);
    if (rsdp == NULL) {
        rsdp = find_table((EFI_GUID)ACPI_TABLE_GUID);
        h->rsdp_len = RSDP_OLD_LEN;
    }
    if (rsdp != NULL)
        memcpy(h->rsdp, rsdp, h->rsdp_len);
    else
        h->rsdp_len = 0;
}

/* Of several outputs the first that is memory: the one that stands for all of them has none. */
static void collect_framebuffer(struct efi_handover *h)
{
    EFI_BOOT_SERVICES *bs = firmware->BootServices;
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;

    if (bs->LocateHandleBuffer(ByProtocol, &guid, NULL, &count, &handles) != EFI_SUCCESS)
        return;
    for (UINTN i = 0; i < count && h->framebuffer == 0; i++) {
        if (bs->HandleProtocol(handles[i], &guid, (void **)&gop) != EFI_SUCCESS ||
            gop->Mode == NULL || gop->Mode->Info == NULL ||
            gop->Mode->Info->PixelFormat >= PixelBltOnly)
            continue;
        h->framebuffer = gop->Mode->FrameBufferBase;
        h->width = gop->Mode->Info->HorizontalResolution;
        h->height = gop->Mode->Info->VerticalResolution;
        h->pixels_per_line = gop->Mode->Info->PixelsPerScanLine;
        h->pixel_format = gop->Mode->Info->PixelFormat;
        h->red_mask = gop->Mode->Info->PixelInformation.RedMask;
        h->green_mask = gop->Mode->Info->PixelInformation.GreenMask;
        h->blue_mask = gop->Mode->Info->PixelInformation.BlueMask;
        h->reserved_mask = gop->Mode->Info->PixelInformation.ReservedMask;
    }
    bs->FreePool(handles);
}

static void collect_seed(struct efi_handover *h)
{
    EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
    EFI_RNG_PROTOCOL *rng;

    if (firmware->BootServices->LocateProtocol(&guid, NULL, (void **)&rng) == EFI_SUCCESS &&
        rng->GetRNG(rng, NULL, sizeof(h->seed), h->seed) == EFI_SUCCESS)
        h->seed_len = sizeof(h->seed);
}

struct efi_handover *make_handover(void)
{
    EFI_PHYSICAL_ADDRESS at = BELOW_4G;
    struct efi_handover *h;
    EFI_STATUS status = firmware->BootServices->AllocatePages(AllocateMaxAddress, EfiLoaderData,
                                                              MAP_ROOM / EFI_PAGE_SIZE, &at);

    if (status != EFI_SUCCESS) {
        say("REFUSED: no %lu KiB of memory below 4 GiB for the memory map (status %lxH); fit more "
            "memory",
            MAP_ROOM / KIB, (unsigned long)status);
        return NULL;
    }
    h = (struct efi_handover *)at;
    memset(h, 0, sizeof(*h));
    h->magic = EFI_HANDOVER_MAGIC;
    h->system_table = (uint64_t)firmware;
    collect_rsdp(h);
    collect_framebuffer(h);
    collect_seed(h);
    return h;
}

/* The key is that of the map; what runs in between may change the map, so it is tried again. */
EFI_STATUS leave_firmware(EFI_HANDLE image, struct efi_handover *h)
{
    EFI_BOOT_SERVICES *bs = firmware->BootServices;
    EFI_STATUS status = EFI_INVALID_PARAMETER;

    for (unsigned i = 0; status == EFI_INVALID_PARAMETER && i < EXIT_TRIES; i++) {
        UINTN len = MAP_ROOM - sizeof(*h), key, step;
        UINT32 version;

        status = bs->GetMemoryMap(&len, (EFI_MEMORY_DESCRIPTOR *)(h + 1), &key, &step, &version);
        if (status != EFI_SUCCESS)
            return status;
        h->descriptor_len = (uint32_t)step;
        h->total_len = (uint32_t)(sizeof(*h) + len);
        status = bs->ExitBootServices(image, key);
    }
    return status;
}
