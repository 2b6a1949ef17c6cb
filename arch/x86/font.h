/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen's font: a table that scripts/mkfont makes of Terminus, 8 by 16. */
#ifndef ARCH_X86_FONT_H
#define ARCH_X86_FONT_H

#include <stdint.h>

#define FONT_WIDTH  8u
#define FONT_HEIGHT 16u
#define FONT_FIRST  0x20 /* ASCII, without control characters */
#define FONT_LAST   0x7e

/* Each glyph's lines from the top; bit 7 is the leftmost pixel. Glyph 0, the space, is empty. */
extern const uint8_t font[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT];

#endif
