/* SPDX-License-Identifier: BSD-2-Clause */
/* Escape sequences: ECMA-48 "Control Sequence Introducer", "CUB", "CUF", "ED", "EL". */
#include "arch/x86/screen.h"

#include "arch/x86/font.h"
#include "lib/bits.h"
#include "lib/compiler.h"
#include "lib/string.h"

/* The scale is the largest that leaves this many characters: 3 on a 4K screen. */
#define COLS_WANTED 160u
#define ROWS_WANTED 40u
#define SCALE_MAX   6u

#define TAB         8u
#define PIXEL_MAX   4u /* bytes */
#define LINE_WORDS  (FONT_WIDTH * SCALE_MAX * PIXEL_MAX / 8)
#define FALLBACK    ('?' - FONT_FIRST)

enum escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CSI };

/* A character: which of the font's [7:0], in which colour [15:8]. A space is 0. */
typedef uint16_t cell;

/* Stores of 8 bytes at any address, in this order and number. */
typedef volatile uint64_t ALIGNED(1) __attribute__((may_alias)) pixel_word;

static struct {
    struct screen_mode mode;
    uint8_t *pixels;
    struct screen_size size;        /* all 0 before screen_init */
    uint64_t mask[256][LINE_WORDS]; /* a glyph's line as pixels: ones where it is lit */
    uint64_t colour[SCREEN_NAMES + 1][LINE_WORDS]; /* a line of that colour */
    unsigned words;                                /* of such a line */
    unsigned top;                                  /* of `text`: the row that is shown first */
    unsigned row, col; /* of the next character, as shown; col may be cols */
    unsigned draw_row; /* where screen_draw goes on */
    enum escape escape;
    unsigned parameter; /* of the escape sequence */
    bool dirty[SCREEN_ROWS_MAX];
    cell text[SCREEN_ROWS_MAX][SCREEN_COLS_MAX];  /* a ring of rows */
    cell drawn[SCREEN_ROWS_MAX][SCREEN_COLS_MAX]; /* what the pixels show */
} screen;

/* Plain, and the names' cyan, yellow, green, magenta and blue, as scripts/run has them. */
static const uint8_t palette[SCREEN_NAMES + 1][3] = {
    {0xc0, 0xc0, 0xc0},
    {0x00, 0xd7, 0xd7},
    {0xd7, 0xd7, 0x00},
    {0x00, 0xd7, 0x00},
    {0xd7, 0x5f, 0xd7},
    {0x6f, 0x8f, 0xff},
};

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* --- geometry --------------------------------------------------------------------------------- */

static uint32_t channel_value(struct screen_channel c, unsigned of_255)
{
    return ((of_255 * ((1u << c.bits) - 1) + 127) / 255) << c.shift;
}

static struct screen_size size_of(const struct screen_mode *m)
{
    unsigned scale = min(m->width / (COLS_WANTED * FONT_WIDTH),
                         min(m->height / (ROWS_WANTED * FONT_HEIGHT), SCALE_MAX));

    scale += scale == 0;
    return (struct screen_size){
        .scale = scale,
        .cols = min(m->width / (FONT_WIDTH * scale), SCREEN_COLS_MAX),
        .rows = min(m->height / (FONT_HEIGHT * scale), SCREEN_ROWS_MAX),
    };
}

/* A line of eight pixels of the font, as it lies in memory: lit ones have this value. */
static void make_line(uint8_t bits, uint32_t value, uint64_t line[LINE_WORDS])
{
    unsigned width = 8u * screen.mode.pixel_len;
    unsigned filled = 0, n = 0;
    uint64_t word = 0;

    for (unsigned mask = 0x80; mask != 0; mask >>= 1) {
        uint64_t pixel = (bits & mask) != 0 ? value : 0;

        for (unsigned i = 0; i < screen.size.scale; i++) {
            word |= pixel << filled;
            filled += width;
            if (filled < 64)
                continue;
            line[n++] = word;
            filled -= 64;
            word = filled == 0 ? 0 : pixel >> (width - filled);
        }
    }
}

/* So that drawing a line is an AND for each word. */
static void make_lines(const struct screen_mode *m)
{
    screen.words = screen.size.scale * m->pixel_len;
    for (unsigned bits = 0; bits < 256; bits++)
        make_line((uint8_t)bits, (uint32_t)(BIT(8 * m->pixel_len) - 1), screen.mask[bits]);
    for (unsigned i = 0; i <= SCREEN_NAMES; i++)
        make_line(0xff,
                  channel_value(m->red, palette[i][0]) | channel_value(m->green, palette[i][1]) |
                      channel_value(m->blue, palette[i][2]),
                  screen.colour[i]);
}

void screen_init(const struct screen_mode *mode)
{
    memset(&screen, 0, sizeof(screen));
    screen.mode = *mode;
    screen.size = size_of(mode);
    if (screen.size.cols == 0 || screen.size.rows == 0)
        screen.size = (struct screen_size){0};
    make_lines(mode);
}

void screen_show(void *pixels)
{
    screen.pixels = pixels;
}

void screen_clear(void)
{
    if (screen.pixels == NULL)
        return;
    for (uint32_t y = 0; y < screen.mode.height; y++)
        memset(screen.pixels + (size_t)y * screen.mode.pitch, 0,
               (size_t)screen.mode.width * screen.mode.pixel_len);
    memset(screen.drawn, 0, sizeof(screen.drawn));
    memset(screen.dirty, true, sizeof(screen.dirty));
}

struct screen_size screen_size(void)
{
    return screen.size;
}

/* --- text ------------------------------------------------------------------------------------- */

static unsigned text_row(unsigned row)
{
    return (screen.top + row) % screen.size.rows;
}

static void clear_cells(unsigned row, unsigned from)
{
    memset(&screen.text[text_row(row)][from], 0, (screen.size.cols - from) * sizeof(cell));
    screen.dirty[row] = true;
}

static void new_line(void)
{
    if (screen.row + 1 < screen.size.rows) {
        screen.row++;
        return;
    }
    screen.top = text_row(1);
    clear_cells(screen.row, 0);
    for (unsigned i = 0; i < screen.size.rows; i++)
        screen.dirty[i] = true;
}

static void put_glyph(uint8_t glyph, unsigned colour)
{
    if (screen.col == screen.size.cols) {
        screen.col = 0;
        new_line();
    }
    screen.text[text_row(screen.row)][screen.col++] = glyph == 0 ? 0 : (cell)(glyph | colour << 8);
    screen.dirty[screen.row] = true;
}

static void put_control(uint8_t byte)
{
    switch (byte) {
    case '\n': new_line(); return;
    case '\r': screen.col = 0; return;
    case '\b': screen.col -= screen.col > 0; return;
    case '\t': screen.col = min((screen.col / TAB + 1) * TAB, screen.size.cols); return;
    case 0x1b: screen.escape = ESCAPE_BEGUN; return;
    }
}

static void end_sequence(uint8_t final)
{
    unsigned n = screen.parameter + (screen.parameter == 0);

    switch (final) {
    case 'C': screen.col = min(screen.col + n, screen.size.cols - 1); return;
    case 'D': screen.col -= min(n, screen.col); return;
    case 'J':
    case 'K':
        if (screen.parameter == 0)
            clear_cells(screen.row, screen.col);
        return;
    }
}

/* ESC [ parameters final, or ESC intermediates final. */
static void put_escape(uint8_t byte)
{
    if (screen.escape == ESCAPE_BEGUN) {
        screen.parameter = 0;
        if (byte < 0x20 || byte > 0x2f)
            screen.escape = byte == '[' ? ESCAPE_CSI : ESCAPE_NONE;
    } else if (byte >= '0' && byte <= '9') {
        screen.parameter = min(screen.parameter * 10 + byte - '0', SCREEN_COLS_MAX);
    } else if (byte >= 0x40 || byte < 0x20) {
        screen.escape = ESCAPE_NONE;
        end_sequence(byte);
    }
}

void screen_put(uint8_t byte, unsigned colour)
{
    if (screen.size.rows == 0)
        return;
    if (screen.escape != ESCAPE_NONE)
        put_escape(byte);
    else if (byte < 0x20)
        put_control(byte);
    else if (byte >= FONT_FIRST && byte <= FONT_LAST)
        put_glyph((uint8_t)(byte - FONT_FIRST), colour);
    else if (byte >= 0xc0) /* the others of a UTF-8 character are 80H .. BFH */
        put_glyph(FALLBACK, colour);
}

/* --- pixels ----------------------------------------------------------------------------------- */

/* `scale` lines of pixels, one below the other. */
static void store_lines(uint8_t *to, const uint64_t *mask, const uint64_t *colour)
{
    const unsigned words = screen.words; /* the compiler must think that a store may change it */
    const size_t pitch = screen.mode.pitch;

    for (unsigned i = screen.size.scale; i > 0; i--, to += pitch) {
        for (unsigned k = 0; k < words; k++)
            ((pixel_word *)to)[k] = mask[k] & colour[k];
    }
}

/* Only the lines in which the new character differs from the one that is there. Returns how many.
 */
static uint32_t draw_cell(unsigned row, unsigned col, cell old, cell new)
{
    const uint8_t *was = font[old & 0xff];
    const uint8_t *is = font[new & 0xff];
    const uint64_t *colour = screen.colour[new >> 8];
    bool recolour = old >> 8 != new >> 8;
    size_t height = screen.size.scale * (size_t)screen.mode.pitch;
    uint8_t *to = screen.pixels + row * FONT_HEIGHT * height + (size_t)col * screen.words * 8;
    uint32_t lines = 0;

    for (unsigned y = 0; y < FONT_HEIGHT; y++, to += height) {
        if (is[y] == was[y] && (!recolour || is[y] == 0))
            continue;
        store_lines(to, screen.mask[is[y]], colour);
        lines++;
    }
    return lines;
}

/* Returns whether the row was finished. */
static bool draw_row(unsigned row, uint32_t *lines)
{
    const cell *text = screen.text[text_row(row)];
    cell *drawn = screen.drawn[row];

    for (unsigned col = 0; col < screen.size.cols; col++) {
        if (text[col] == drawn[col])
            continue;
        if (*lines == 0)
            return false;
        uint32_t done = draw_cell(row, col, drawn[col], text[col]);

        drawn[col] = text[col];
        *lines -= *lines == SCREEN_FOREVER ? 0 : min(done, *lines);
    }
    return true;
}

bool screen_draw(uint32_t lines)
{
    if (screen.pixels == NULL)
        return true;
    for (unsigned i = 0; i < screen.size.rows; i++) {
        unsigned row = screen.draw_row;

        if (screen.dirty[row] && !draw_row(row, &lines))
            return false;
        screen.dirty[row] = false;
        screen.draw_row = (row + 1) % screen.size.rows;
    }
    return true;
}
