/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/outputs.h"

#include "arch/x86/journal.h"
#include "arch/x86/layout.h"
#include "arch/x86/serial.h"
#include "arch/x86/uart.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/string.h"

#define FRAMEBUFFER_MAX (256 * MIB)
#define EARLY_END       (4 * GIB)     /* of the identity mapping */
#define REGISTERS       0xfec00000ull /* I/O and local APICs, and what else chipsets have there */
#define REGISTERS_END   (4 * GIB)
#define LAST_LINES      16u  /* of the boot before this one */
#define TABLE_ROOM      512u /* of SPCR or DBG2 */
#define MARK            "[bulkhead] "

/*
 * Places for the journal, the first that is free. Fixed, so that the next boot looks there; loaders
 * put the image at 2 MiB and their own heap and modules elsewhere, firmware works from the top of
 * memory downwards.
 */
static const uint64_t journal_places[] = {2 * MIB - JOURNAL_LEN, 24 * MIB, 48 * MIB};

static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b ? b - a < a_len : a - b < b_len;
}

/* --- screen ----------------------------------------------------------------------------------- */

static bool take_channel(struct screen_channel *c, uint8_t shift, uint8_t bits, unsigned width)
{
    *c = (struct screen_channel){.shift = shift, .bits = bits};
    return bits >= 1 && bits <= 10 && shift + bits <= width;
}

static bool take_channels(struct screen_mode *m, const struct boot_framebuffer *f)
{
    unsigned width = 8u * m->pixel_len;

    return take_channel(&m->red, f->red_shift, f->red_bits, width) &&
           take_channel(&m->green, f->green_shift, f->green_bits, width) &&
           take_channel(&m->blue, f->blue_shift, f->blue_bits, width);
}

static bool is_memory(const struct boot_info *info, uint64_t hpa, uint64_t len)
{
    for (unsigned i = 0; i < info->memory_count; i++) {
        const struct boot_memory *m = &info->memory[i];

        if (m->type != BOOT_MEMORY_RESERVED && overlaps(hpa, len, m->base, m->len))
            return true;
    }
    return false;
}

const char *outputs_check_framebuffer(const struct boot_info *info, unsigned phys_bits,
                                      struct screen_mode *mode)
{
    const struct boot_framebuffer *f = &info->framebuffer;
    uint64_t len = (uint64_t)f->pitch * f->height;

    *mode = (struct screen_mode){.width = f->width,
                                 .height = f->height,
                                 .pitch = f->pitch,
                                 .pixel_len = (uint8_t)((f->bpp + 7) / 8)};
    if (f->width == 0 || f->width > SCREEN_WIDTH_MAX || f->height == 0 ||
        f->height > SCREEN_HEIGHT_MAX)
        return "its width or height is not believed";
    if (f->bpp < 15 || f->bpp > 32)
        return "only 15 to 32 bits per pixel are known";
    if (!take_channels(mode, f))
        return "its colours do not fit into a pixel";
    if (f->pitch < f->width * mode->pixel_len || len > FRAMEBUFFER_MAX)
        return "its bytes per line are not believed";
    if (f->hpa < MIB || f->hpa >= BIT(phys_bits) || len > BIT(phys_bits) - f->hpa)
        return "its address is not believed";
    if (overlaps(f->hpa, len, REGISTERS, REGISTERS_END - REGISTERS))
        return "it lies where the APICs are";
    if (is_memory(info, f->hpa, len))
        return "it lies in memory that the memory map gives to others";
    return NULL;
}

void outputs_find_screen(struct outputs *o, const struct boot_info *info, unsigned phys_bits)
{
    const struct boot_framebuffer *f = &info->framebuffer;
    struct screen_mode mode;

    if (!f->present) {
        log_line("screen: the loader gives no framebuffer; nothing is shown there");
        return;
    }
    const char *problem = outputs_check_framebuffer(info, phys_bits, &mode);

    if (problem != NULL) {
        log_line("screen: framebuffer %ux%u, %u bits, %u bytes per line at %lx: %s; left alone",
                 f->width, f->height, f->bpp, f->pitch, f->hpa, problem);
        return;
    }
    o->framebuffer = (struct mem_range){.base = f->hpa, .len = (uint64_t)mode.pitch * mode.height};
    screen_init(&mode);
    if (f->hpa + o->framebuffer.len <= EARLY_END)
        screen_show((void *)f->hpa);
    log_line("screen: framebuffer %ux%u, %u bits at %lx", f->width, f->height, f->bpp, f->hpa);
}

/* --- journal ---------------------------------------------------------------------------------- */

static void tell_past(const struct outputs *o, struct journal_past past)
{
    uint32_t count = past.count < LAST_LINES ? past.count : LAST_LINES;
    char text[JOURNAL_TEXT];

    if (count == 0)
        return;
    log_line("the boot before this one, its last %u lines (found at %lx):", count, o->journal.base);
    for (uint32_t n = past.last - count + 1; n <= past.last; n++) {
        journal_past_line(n, text);
        log_line("before: %s", strncmp(text, MARK, strlen(MARK)) == 0 ? text + strlen(MARK) : text);
    }
    log_line("end of the boot before this one");
}

void outputs_find_journal(struct outputs *o, struct pages *p)
{
    for (unsigned i = 0; i < ARRAY_LEN(journal_places) && o->journal.len == 0; i++) {
        struct mem_range place = {.base = journal_places[i], .len = JOURNAL_LEN};

        if (pages_free_in(p, place) == JOURNAL_LEN && pages_reserve(p, place.base, place.len) == OK)
            o->journal = place;
    }
    if (o->journal.len == 0) {
        log_line("journal: no free memory at a fixed place; the next boot will not know this one");
        return;
    }
    tell_past(o, journal_open((void *)o->journal.base));
    journal_start();
}

/* --- final page tables ------------------------------------------------------------------------ */

/* Where the framebuffer is mapped: at the same place in a large page, so that large ones fit. */
static uint64_t screen_va(const struct outputs *o)
{
    return SCREEN_VA + (o->framebuffer.base & (PAGE_2M - 1));
}

enum err outputs_map(const struct outputs *o, struct hostpt *pt)
{
    uint64_t base = align_down(o->framebuffer.base, PAGE_SIZE);
    uint64_t end = align_up(o->framebuffer.base + o->framebuffer.len, PAGE_SIZE);
    enum err e = OK;

    screen_show(NULL);
    journal_move(NULL);
    if (o->framebuffer.len != 0)
        e = hostpt_map(pt, align_down(screen_va(o), PAGE_SIZE), base, end - base,
                       HOSTPT_W | HOSTPT_WC);
    if (e == OK && o->journal.len != 0)
        e = hostpt_map(pt, JOURNAL_VA, o->journal.base, o->journal.len, HOSTPT_W);
    return e;
}

void outputs_use_final(const struct outputs *o)
{
    if (o->framebuffer.len != 0) {
        screen_show((void *)screen_va(o));
        screen_clear();
    }
    if (o->journal.len != 0)
        journal_move((void *)JOURNAL_VA);
}

/* --- UART ------------------------------------------------------------------------------------- */

static bool take_uart(struct outputs *o, const struct serial_port *found, const char *from)
{
    if (!uart_answers(found->port)) {
        log_line("console: %s names a UART at port %XH, but none answers there", from, found->port);
        return false;
    }
    o->uart_port = found->port;
    o->uart_isa_irq = found->isa_irq;
    o->uart_baud = found->baud;
    o->uart_from = from;
    return true;
}

static bool take_table(struct outputs *o, const struct boot_info *info, unsigned phys_bits,
                       const char *signature)
{
    bool is_spcr = strcmp(signature, "SPCR") == 0;
    struct serial_port found = {0};
    uint8_t bytes[TABLE_ROOM];
    struct span table = {.bytes = bytes};

    table.len =
        acpi_copy_table(info->rsdp, info->rsdp_len, phys_bits, signature, bytes, sizeof(bytes));
    if (table.len == 0)
        return false;
    enum err e = is_spcr ? serial_from_spcr(table, &found) : serial_from_dbg2(table, &found);

    if (e != OK) {
        log_line("console: ACPI's %s has no 16550 behind I/O ports (%s)", signature, err_text(e));
        return false;
    }
    return take_uart(o, &found, signature);
}

static bool take_pci(struct outputs *o)
{
    struct serial_port found = {0};

    if (serial_from_pci(&found) != OK)
        return false;
    found.baud = SERIAL_BAUD;
    return take_uart(o, &found, "a PCI card");
}

static bool take_com1(struct outputs *o)
{
    struct serial_port com1 = {SERIAL_COM1, serial_isa_irq(SERIAL_COM1), SERIAL_BAUD};

    return uart_answers(SERIAL_COM1) && take_uart(o, &com1, "COM1");
}

static bool take_wish(struct outputs *o, const struct serial_wish *wish)
{
    struct serial_port wanted = {wish->port, serial_isa_irq(wish->port), SERIAL_BAUD};

    if (wish->where == SERIAL_PCI)
        return take_pci(o);
    return wish->where == SERIAL_AT && take_uart(o, &wanted, "the command line");
}

static bool choose_uart(struct outputs *o, const struct boot_info *info, unsigned phys_bits,
                        const struct serial_wish *wish)
{
    if (wish->where == SERIAL_NONE)
        return false;
    return take_wish(o, wish) || take_table(o, info, phys_bits, "SPCR") ||
           take_table(o, info, phys_bits, "DBG2") || take_com1(o) || take_pci(o);
}

/* What was said before it was known: the journal has it. */
static void tell_new_uart(void)
{
    char text[JOURNAL_TEXT];

    for (uint32_t n = 1; journal_line(n, text); n++) {
        uart_write(text);
        uart_write("\r\n");
    }
}

void outputs_find_uart(struct outputs *o, const struct boot_info *info, unsigned phys_bits)
{
    struct serial_wish wish = serial_from_cmdline(info->cmdline);

    o->uart_isa_irq = SERIAL_IRQ_NONE;

    if (wish.bad)
        log_line("console: a word after \"console=\" on the command line is not known; there are "
                 "none, pci, com1 to com4, a port such as 0x2f8, a baud rate up to 115200");
    if (choose_uart(o, info, phys_bits, &wish) && wish.baud != 0)
        o->uart_baud = wish.baud;
    uart_drain();
    uart_use(o->uart_port, o->uart_baud == 0 ? 0 : serial_divisor(o->uart_baud));
    if (o->uart_port != 0 && o->uart_port != SERIAL_COM1)
        tell_new_uart();
}

void outputs_report(const struct outputs *o)
{
    struct screen_size size = screen_size();
    char baud[32];

    fmt_print(baud, sizeof(baud), "%u", o->uart_baud);
    if (o->uart_port != 0)
        log_line("console: UART at port %XH (%s), %s baud", o->uart_port, o->uart_from,
                 o->uart_baud == 0 ? "firmware's" : baud);
    else
        log_line("console: no UART");
    if (size.cols != 0)
        log_line("console: screen of %u by %u characters, each %u by %u pixels", size.cols,
                 size.rows, 8 * size.scale, 16 * size.scale);
    if (o->journal.len != 0)
        log_line("console: the journal for the boot after this one is at %lx", o->journal.base);
}
