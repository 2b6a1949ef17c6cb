/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UEFI loader, step by step: say so, look at the CPU, load the hypervisor, collect what the
 * firmware knows, leave boot services, jump to boot/efi64.S. What goes wrong before boot services
 * end is said, and the firmware goes on with whatever it boots next.
 * Source: UEFI Specification 2.10, "EFI Image Entry Point".
 */
#include "boot/efi/loader.h"

#include "lib/bits.h"

#define READING_TIME   (5 * 1000 * 1000) /* us, before the firmware's next screen */
#define CPUID_EXTENDED 0x80000001u
#define CPUID_NX       BIT32(20) /* of EDX */

EFI_SYSTEM_TABLE *firmware;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* That it has 64-bit mode shows; all else the hypervisor needs it looks at itself. */
static bool cpu_fits(void)
{
    uint32_t a = CPUID_EXTENDED, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(d & CPUID_NX))
        say("REFUSED: CPUID.80000001H:EDX.NX[bit 20] is 0: no execute-disable; if the firmware "
            "menu has \"Execute Disable\", enable it");
    return (d & CPUID_NX) != 0;
}

static NORETURN void enter(uint64_t entry, const struct efi_handover *h)
{
    com1_drain();
    __asm__ volatile("cli\n\tjmp *%0" : : "r"(entry), "D"(h) : "memory");
    __builtin_unreachable();
}

/* What it checked, it has checked: this is for the report only. */
static bool secure_boot(void)
{
    EFI_GUID global = EFI_GLOBAL_VARIABLE;
    uint8_t on = 0;
    UINTN len = sizeof(on);

    return firmware->RuntimeServices->GetVariable(L"SecureBoot", &global, NULL, &len, &on) ==
               EFI_SUCCESS &&
           on == 1;
}

static EFI_STATUS give_up(EFI_STATUS status)
{
    say("back to the firmware");
    firmware->BootServices->Stall(READING_TIME);
    return status;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
    struct efi_handover *h;
    uint64_t entry;
    EFI_STATUS status;

    firmware = table;
    com1_init();
    say("UEFI loader, on UEFI %u.%u, Secure Boot %s", table->Hdr.Revision >> 16,
        (table->Hdr.Revision & 0xffff) / 10, secure_boot() ? "on" : "off");
    if (!cpu_fits())
        return give_up(EFI_UNSUPPORTED);
    if (!load_hypervisor(&entry))
        return give_up(EFI_LOAD_ERROR);
    h = make_handover();
    if (h == NULL)
        return give_up(EFI_OUT_OF_RESOURCES);
    status = leave_firmware(image, h);
    if (status == EFI_SUCCESS)
        enter(entry, h);
    /* The console may be gone already. */
    say_late("REFUSED: the firmware does not end its boot services (status %lxH); a newer firmware "
             "may help; back to it",
             (unsigned long)status);
    return status;
}
