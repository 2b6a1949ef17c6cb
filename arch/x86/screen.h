/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on a linear framebuffer. Text is put into cells in memory, which costs next to nothing;
 * drawing brings the pixels up to them, as much at a time as the caller can afford: what scrolled
 * by in between is never drawn. Pixels are only written, never read.
 *
 * One screen, as there is one machine. Context: boot, or with the console's lock held.
 */
#ifndef ARCH_X86_SCREEN_H
#define ARCH_X86_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_COLS_MAX   256u /* cells; a larger screen shows black beyond */
#define SCREEN_ROWS_MAX   96u
#define SCREEN_WIDTH_MAX  16384u /* pixels */
#define SCREEN_HEIGHT_MAX 16384u

/* Colours of text: plain, then names'. */
#define SCREEN_PLAIN      0u
#define SCREEN_NAMES      5u

#define SCREEN_FOREVER    UINT32_MAX

/* Where a primary colour is in a pixel. */
struct screen_channel {
    uint8_t shift; /* lowest bit */
    uint8_t bits;  /* 1 .. 10 */
};

/* A framebuffer that was checked: all pixels lie in pitch * height bytes. */
struct screen_mode {
    uint32_t width, height; /* pixels, 1 .. the MAX above */
    uint32_t pitch;         /* bytes from one line to the next, at least width * pixel_len */
    uint8_t pixel_len;      /* bytes: 2, 3 or 4 */
    struct screen_channel red, green, blue; /* inside of the pixel */
};

/* Start with an empty text. Nothing is drawn before screen_show(). */
void screen_init(const struct screen_mode *mode);

/*
 * Where the pixels are from now on. The screen is black there, or was drawn by us.
 *   pixels  pitch * height bytes that stay mapped; NULL: nowhere, nothing is drawn
 */
void screen_show(void *pixels);

/* Black all over: what firmware or a loader left there goes. The text is drawn anew. */
void screen_clear(void);

/* Cells across and down, and how large: a pixel of the font is scale by scale pixels. 0: none. */
struct screen_size {
    unsigned cols, rows, scale;
};
struct screen_size screen_size(void);

/*
 * A byte of a terminal's output. Newline, carriage return, backspace, tab, and of the escape
 * sequences those that move inside of a line or clear it; others are swallowed. A byte that is no
 * printable ASCII character shows as '?', of UTF-8 one for each character.
 *   colour  SCREEN_PLAIN, or SCREEN_PLAIN + 1 .. SCREEN_PLAIN + SCREEN_NAMES
 */
void screen_put(uint8_t byte, unsigned colour);

/*
 * Draw what has changed, as much as about so many lines of characters (of 16 that one has); it goes
 * on there the next time. A line is 4 stores of 8 bytes at scale 1, 36 on a 4K screen.
 *   return  whether everything is drawn
 */
bool screen_draw(uint32_t lines);

#endif
