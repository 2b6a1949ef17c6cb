/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Multiboot kernel of either version that prints what it was given. Then it spoils all of it,
 * resets itself, prints it again, and powers off.
 * Source: Multiboot Specification 0.6.96 and Multiboot2 Specification 2.0, "Boot information
 * format".
 */
#include "tests/guest/lib.h"

#define MULTIBOOT1   0x2badb002u
#define MULTIBOOT2   0x36d76289u

#define FLAG_MEMORY  0x0001u
#define FLAG_CMDLINE 0x0004u
#define FLAG_MODULES 0x0008u
#define FLAG_MAP     0x0040u
#define FLAG_LOADER  0x0200u

#define RSDP_GPA     0xe0000u
#define RSDP_LEN     36u
#define CMOS_LIFE    0x60 /* ours: how often the machine was reset */
#define PORT_RESET   0xcf9u
#define RESET_HARD   0x06u
#define RUBBISH      0xeeu

extern const uint32_t multiboot_eax, multiboot_ebx, multiboot_cr0, multiboot_eflags;

static unsigned modules;

/* What lies at a guest-physical address; all below 4 GiB is mapped to itself. */
static const void *at(uint64_t gpa)
{
    return (const void *)gpa;
}

static uint32_t word(uint64_t gpa)
{
    return *(const uint32_t *)at(gpa);
}

static uint64_t quad(uint64_t gpa)
{
    return word(gpa) | (uint64_t)word(gpa + 4) << 32;
}

/* FNV-1a */
static uint32_t hash(uint64_t gpa, uint64_t end)
{
    uint32_t h = 0x811c9dc5;

    for (; gpa < end; gpa++)
        h = (h ^ *(const uint8_t *)at(gpa)) * 0x01000193;
    return h;
}

static void spoil(uint64_t gpa, uint64_t end)
{
    for (; gpa < end; gpa++)
        *(volatile uint8_t *)gpa = RUBBISH;
}

static void print_module(uint32_t start, uint32_t end, const char *string)
{
    con_printf("module %u: %u bytes, page offset %u, hash %08x, string '%s'\n", modules++,
               end - start, start % 4096, hash(start, end), string);
}

static void print_map_entry(uint64_t gpa)
{
    con_printf("map: %lx + %lx, type %u\n", quad(gpa), quad(gpa + 8), word(gpa + 16));
}

static void print_memory(uint32_t lower, uint32_t upper)
{
    con_printf("memory: %u KiB, %u KiB\n", lower, upper);
}

static void print_info1(uint64_t info)
{
    uint32_t flags = word(info);
    uint64_t module = word(info + 24);
    uint64_t map = word(info + 48);

    con_printf("flags %x\n", flags);
    if ((flags & FLAG_CMDLINE) != 0)
        con_printf("command line '%s'\n", (const char *)at(word(info + 16)));
    if ((flags & FLAG_LOADER) != 0)
        con_printf("loader '%s'\n", (const char *)at(word(info + 64)));
    for (uint32_t i = 0; (flags & FLAG_MODULES) != 0 && i < word(info + 20); i++, module += 16)
        print_module(word(module), word(module + 4), at(word(module + 8)));
    if ((flags & FLAG_MEMORY) != 0)
        print_memory(word(info + 4), word(info + 8));
    if ((flags & FLAG_MAP) == 0)
        return;
    for (uint64_t end = map + word(info + 44); map < end; map += word(map) + 4)
        print_map_entry(map + 4);
}

static void print_tag(uint64_t tag)
{
    switch (word(tag)) {
    case 1: con_printf("command line '%s'\n", (const char *)at(tag + 8)); break;
    case 2: con_printf("loader '%s'\n", (const char *)at(tag + 8)); break;
    case 3: print_module(word(tag + 8), word(tag + 12), at(tag + 16)); break;
    case 4: print_memory(word(tag + 8), word(tag + 12)); break;
    case 6:
        for (uint64_t i = tag + 16; i < tag + word(tag + 4); i += word(tag + 8))
            print_map_entry(i);
        break;
    case 15:
        con_printf("RSDP: %u bytes, %s\n", word(tag + 4) - 8,
                   hash(tag + 8, tag + 8 + RSDP_LEN) == hash(RSDP_GPA, RSDP_GPA + RSDP_LEN)
                       ? "as in memory"
                       : "another one than in memory");
        break;
    default: con_printf("tag %u\n", word(tag));
    }
}

static void print_info2(uint64_t info)
{
    uint64_t tag = info + 8;

    for (; word(tag) != 0; tag = (tag + word(tag + 4) + 7) & ~7ull)
        print_tag(tag);
    con_printf("ends after %s\n", tag + 8 == info + word(info) ? "its size" : "another size");
}

static void spoil_module(uint32_t start, uint32_t end)
{
    spoil(start, end + (4096 - end % 4096) % 4096);
}

/* Modules, then the information itself, to the end of the RAM below 1 MiB. */
static void spoil_all(void)
{
    uint64_t info = multiboot_ebx;

    if (multiboot_eax == MULTIBOOT1) {
        for (uint32_t i = 0; i < word(info + 20); i++)
            spoil_module(word(word(info + 24) + 16 * i), word(word(info + 24) + 16 * i + 4));
    } else {
        for (uint64_t tag = info + 8; word(tag) != 0; tag = (tag + word(tag + 4) + 7) & ~7ull) {
            if (word(tag) == 3)
                spoil_module(word(tag + 8), word(tag + 12));
        }
    }
    spoil(info, 0x9f000);
    spoil(RSDP_GPA, RSDP_GPA + RSDP_LEN);
}

void guest_main(void)
{
    uint8_t life = (uint8_t)(rtc_read(CMOS_LIFE) + 1);

    con_setup();
    con_printf("life %u: eax %x, PE %u, PG %u, IF %u\n", life, multiboot_eax, multiboot_cr0 & 1,
               multiboot_cr0 >> 31, multiboot_eflags >> 9 & 1);
    if (multiboot_eax == MULTIBOOT1)
        print_info1(multiboot_ebx);
    else if (multiboot_eax == MULTIBOOT2)
        print_info2(multiboot_ebx);
    con_printf("multiboot ends\n");
    con_flush();
    if (life == 2)
        power_off();
    spoil_all();
    outb(PORT_RTC_INDEX, CMOS_LIFE);
    outb(PORT_RTC_DATA, life);
    outb(PORT_RESET, RESET_HARD);
    for (;;)
        irq_halt();
}
