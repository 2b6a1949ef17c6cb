/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware has to tell. UEFI Specification 2.10: "EFI Configuration Table", "Graphics
 * Output Protocol", "Random Number Generator Protocol".
 */
#include "boot/efi/loader.h"

#include "lib/string.h"

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

void collect(struct efi_handover *h)
{
    h->system_table = (uint64_t)firmware;
    collect_rsdp(h);
    collect_framebuffer(h);
    collect_seed(h);
}
