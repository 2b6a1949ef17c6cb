/* unit: arch/x86/screen.c build/font.c */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on a framebuffer. The pixels are read back here and compared with what the font says, pixel
 * by pixel, in each format; guard bytes around the framebuffer and between its lines stay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/font.h"
#include "arch/x86/screen.h"

#define GUARD  0x5a
#define GUARDS 4096u

static const struct screen_channel at0 = {0, 8}, at8 = {8, 8}, at16 = {16, 8};
static struct screen_mode mode;
static uint8_t *memory;

static size_t memory_len(void)
{
    return (size_t)mode.pitch * mode.height;
}

/* A black screen with guards before, after, and at the end of each line. */
static void start(uint32_t width, uint32_t height, uint32_t spare, uint8_t pixel_len,
                  struct screen_channel red, struct screen_channel green,
                  struct screen_channel blue)
{
    mode = (struct screen_mode){.width = width,
                                .height = height,
                                .pitch = width * pixel_len + spare,
                                .pixel_len = pixel_len,
                                .red = red,
                                .green = green,
                                .blue = blue};
    free(memory);
    memory = malloc(memory_len() + 2 * GUARDS);
    memset(memory, GUARD, memory_len() + 2 * GUARDS);
    for (uint32_t y = 0; y < height; y++)
        memset(memory + GUARDS + (size_t)y * mode.pitch, 0, (size_t)width * pixel_len);
    screen_init(&mode);
    screen_show(memory + GUARDS);
}

static void start_32(uint32_t width, uint32_t height)
{
    start(width, height, 0, 4, at16, at8, at0);
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    uint32_t value = 0;

    memcpy(&value, memory + GUARDS + (size_t)y * mode.pitch + (size_t)x * mode.pixel_len,
           mode.pixel_len);
    return value;
}

static void check_guards(void)
{
    for (size_t i = 0; i < GUARDS; i++) {
        assert_int_equal(memory[i], GUARD);
        assert_int_equal(memory[GUARDS + memory_len() + i], GUARD);
    }
    for (uint32_t y = 0; y < mode.height; y++) {
        for (uint32_t x = mode.width * mode.pixel_len; x < mode.pitch; x++)
            assert_int_equal(memory[GUARDS + (size_t)y * mode.pitch + x], GUARD);
    }
}

/* Whether a cell shows this character in this colour, on black. */
static bool shows(unsigned col, unsigned row, char c, uint32_t colour)
{
    unsigned scale = screen_size().scale;

    for (unsigned y = 0; y < 16 * scale; y++) {
        for (unsigned x = 0; x < 8 * scale; x++) {
            bool lit = font[c - ' '][y / scale] >> (7 - x / scale) & 1;

            if (pixel(col * 8 * scale + x, row * 16 * scale + y) != (lit ? colour : 0))
                return false;
        }
    }
    return true;
}

static uint32_t plain; /* the plain colour in the present mode, as a pixel */

/* The whole screen: these rows, and nothing else. */
static void expect_rows(unsigned count, const char *const *rows)
{
    struct screen_size size = screen_size();

    for (unsigned r = 0; r < size.rows; r++) {
        const char *text = r < count ? rows[r] : "";

        for (unsigned c = 0; c < size.cols; c++) {
            char want = c < strlen(text) ? text[c] : ' ';

            if (!shows(c, r, want, plain))
                fail_msg("row %u column %u does not show '%c'", r, c, want);
        }
    }
    check_guards();
}

#define EXPECT(...)                                                                                \
    do {                                                                                           \
        static const char *const rows_[] = {__VA_ARGS__};                                          \
        expect_rows(sizeof(rows_) / sizeof(rows_[0]), rows_);                                      \
    } while (0)

static void put(const char *text)
{
    for (; *text != '\0'; text++)
        screen_put((uint8_t)*text, SCREEN_PLAIN);
}

static void say(const char *text)
{
    put(text);
    assert_true(screen_draw(SCREEN_FOREVER));
}

/* --- pixels ----------------------------------------------------------------------------------- */

static void check_format(uint32_t spare, uint8_t pixel_len, struct screen_channel red,
                         struct screen_channel green, struct screen_channel blue, uint32_t grey,
                         uint32_t cyan)
{
    start(200, 64, spare, pixel_len, red, green, blue);
    put("Ag#");
    screen_put('[', SCREEN_PLAIN + 1);
    assert_true(screen_draw(SCREEN_FOREVER));
    assert_true(shows(0, 0, 'A', grey));
    assert_true(shows(1, 0, 'g', grey));
    assert_true(shows(2, 0, '#', grey));
    assert_true(shows(3, 0, '[', cyan));
    assert_true(shows(4, 0, ' ', grey));
    check_guards();
}

static void test_pixel_formats(void **state)
{
    const struct screen_channel r5 = {11, 5}, g6 = {5, 6}, b5 = {0, 5}, r555 = {10, 5},
                                g555 = {5, 5};
    const struct screen_channel r10 = {20, 10}, g10 = {10, 10}, b10 = {0, 10};

    (void)state;
    /* C0H of 255 is 17H of 31, 2FH of 63 (rounded), 302H of 1023; D7H is 1AH, 35H, 35FH. */
    check_format(0, 4, at16, at8, at0, 0xc0c0c0, 0x00d7d7);
    check_format(32, 4, at0, at8, at16, 0xc0c0c0, 0xd7d700);
    check_format(0, 3, at16, at8, at0, 0xc0c0c0, 0x00d7d7);
    check_format(5, 3, at0, at8, at16, 0xc0c0c0, 0xd7d700);
    check_format(2, 2, r5, g6, b5, 0x17 << 11 | 0x2f << 5 | 0x17, 0x35 << 5 | 0x1a);
    check_format(0, 2, r555, g555, b5, 0x17 << 10 | 0x17 << 5 | 0x17, 0x1a << 5 | 0x1a);
    check_format(0, 4, r10, g10, b10, 0x302 << 20 | 0x302 << 10 | 0x302, 0x35f << 10 | 0x35f);
}

static void test_scale_follows_the_size(void **state)
{
    static const struct {
        uint32_t width, height;
        struct screen_size size;
    } cases[] = {
        {640,   480,   {80, 30, 1} },
        {800,   600,   {100, 37, 1}},
        {1024,  768,   {128, 48, 1}},
        {1280,  1024,  {160, 64, 1}},
        {1920,  1080,  {240, 67, 1}},
        {1200,  1920,  {150, 96, 1}}, /* taller than rows are kept for */
        {2560,  1440,  {160, 45, 2}},
        {3440,  1440,  {215, 45, 2}},
        {3840,  2160,  {160, 45, 3}},
        {3840,  1080,  {256, 67, 1}}, /* wider than columns are kept for */
        {5120,  2880,  {160, 45, 4}},
        {7680,  4320,  {160, 45, 6}},
        {16384, 16384, {256, 96, 6}},
        {7,     600,   {0, 0, 0}   }, /* no character fits */
        {800,   15,    {0, 0, 0}   },
        {1,     1,     {0, 0, 0}   },
        {8,     16,    {1, 1, 1}   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct screen_mode m = {.width = cases[i].width,
                                .height = cases[i].height,
                                .pixel_len = 4,
                                .pitch = cases[i].width * 4,
                                .red = at16,
                                .green = at8,
                                .blue = at0};

        screen_init(&m);
        struct screen_size size = screen_size();

        assert_int_equal(size.cols, cases[i].size.cols);
        assert_int_equal(size.rows, cases[i].size.rows);
        assert_int_equal(size.scale, cases[i].size.scale);
    }
}

static void test_each_scale_and_format_is_drawn_right(void **state)
{
    static const uint32_t heights[] = {640, 1280, 1920, 2560, 3200, 3840};

    (void)state;
    for (uint8_t len = 2; len <= 4; len++) {
        for (unsigned i = 0; i < 6; i++) {
            uint32_t scale = i + 1, grey = 0xc0c0c0;
            struct screen_channel five = {0, 5}, six = {5, 6}, top = {11, 5};

            if (len == 2)
                grey = 0x17 << 11 | 0x2f << 5 | 0x17;
            start(1280 * scale, heights[i], len, len, len == 2 ? top : at16, len == 2 ? six : at8,
                  len == 2 ? five : at0);
            assert_int_equal(screen_size().scale, scale);
            plain = grey;
            say("x\r\n@W");
            EXPECT("x", "@W");
        }
    }
}

static void test_nothing_is_drawn_nowhere(void **state)
{
    (void)state;
    start_32(64, 32);
    plain = 0xc0c0c0;
    screen_show(NULL);
    say("ab");
    EXPECT("");
    screen_show(memory + GUARDS); /* what was put meanwhile is there */
    say("");
    EXPECT("ab");
}

static void test_what_was_there_before_is_cleared(void **state)
{
    (void)state;
    start(64, 35, 12, 4, at16, at8, at0);
    plain = 0xc0c0c0;
    say("ab");
    for (uint32_t y = 0; y < 35; y++)
        memset(memory + GUARDS + (size_t)y * mode.pitch, 0x77, 64 * 4);
    screen_clear();
    say("");
    EXPECT("ab");
    assert_int_equal(pixel(63, 34), 0);
    check_guards();
    screen_show(NULL);
    screen_clear();
}

static void test_screen_without_room_for_a_character(void **state)
{
    (void)state;
    start_32(7, 100);
    say("abc\r\n\n\n\t\b\033[K");
    for (uint32_t y = 0; y < 100; y++) {
        for (uint32_t x = 0; x < 7; x++)
            assert_int_equal(pixel(x, y), 0);
    }
    check_guards();
}

/* Columns and rows that are cut off stay black. */
static void test_rest_at_right_and_bottom_stays_black(void **state)
{
    (void)state;
    start_32(31, 47);
    plain = 0xc0c0c0;
    say("WWWWWW\r\nWWW");
    EXPECT("WWW", "WWW");
    for (uint32_t y = 0; y < 47; y++) {
        for (uint32_t x = 0; x < 31; x++) {
            if (x >= 24 || y >= 32)
                assert_int_equal(pixel(x, y), 0);
        }
    }
}

static void test_colours_of_names(void **state)
{
    static const uint32_t expected[] = {0xc0c0c0, 0x00d7d7, 0xd7d700, 0x00d700, 0xd75fd7, 0x6f8fff};

    (void)state;
    start_32(64, 16);
    for (unsigned i = 0; i <= SCREEN_NAMES; i++)
        screen_put('o', i);
    assert_true(screen_draw(SCREEN_FOREVER));
    for (unsigned i = 0; i <= SCREEN_NAMES; i++)
        assert_true(shows(i, 0, 'o', expected[i]));
    put("\r");
    screen_put('o', 2); /* the same character in another colour */
    assert_true(screen_draw(SCREEN_FOREVER));
    assert_true(shows(0, 0, 'o', expected[2]));
}

/* --- text ------------------------------------------------------------------------------------- */

static int setup_text(void **state)
{
    (void)state;
    start_32(80, 64); /* 10 by 4 */
    plain = 0xc0c0c0;
    return 0;
}

static void test_lines(void **state)
{
    (void)state;
    say("one\r\ntwo\r\n\r\n");
    EXPECT("one", "two");
}

static void test_long_line_wraps_when_it_has_to(void **state)
{
    (void)state;
    say("0123456789");
    EXPECT("0123456789");
    say("\r\nnext"); /* a full line is not followed by an empty one */
    EXPECT("0123456789", "next");
    say("\r\n0123456789ab");
    EXPECT("0123456789", "next", "0123456789", "ab");
}

static void test_scrolling(void **state)
{
    (void)state;
    say("1\r\n2\r\n3\r\n4");
    EXPECT("1", "2", "3", "4");
    say("\r\n5");
    EXPECT("2", "3", "4", "5");
    say("\r\n6\r\n7\r\n8\r\n9");
    EXPECT("6", "7", "8", "9");
    for (unsigned i = 0; i < 1000; i++)
        put("\r\nxyzzy");
    say("\r\n");
    EXPECT("xyzzy", "xyzzy", "xyzzy");
}

static void test_controls(void **state)
{
    (void)state;
    say("abc\b\bX");
    EXPECT("aXc");
    say("\rZ\b\b\b\bY");
    EXPECT("YXc");
    say("\r\n\tt\r\n\t\tu"); /* beyond the last column: the next row */
    EXPECT("YXc", "        t", "", "u");
}

static void test_escape_sequences(void **state)
{
    (void)state;
    say("abcdef\033[3DX\033[1;31mY\033[0m");
    EXPECT("abcXYf");
    say("\033[K");
    EXPECT("abcXY");
    say("\r\033[2C-\033[J");
    EXPECT("ab-");
    say("\033[99C|\033[99D#\033[6n\033[?25l\033(B");
    EXPECT("#b-      |");
}

static void test_bytes_that_are_no_ascii(void **state)
{
    (void)state;
    say("\xc3\xa4\xe2\x82\xac!\x7f\x80\a");
    EXPECT("?"
           "?!");
}

/* Any bytes: the text stays inside, and so do the pixels. */
static void test_hostile_bytes(void **state)
{
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        static const char likely[] = "\033[0123456789;CDJK\r\n\b\tA";
        unsigned r = (unsigned)rand();

        screen_put(r % 3 ? (uint8_t)likely[r / 3 % (sizeof(likely) - 1)] : (uint8_t)(r >> 8),
                   r / 7 % (SCREEN_NAMES + 1));
        if (r % 64 == 0)
            (void)screen_draw(r / 64 % 100);
    }
    assert_true(screen_draw(SCREEN_FOREVER));
    check_guards();
}

/* --- how much is drawn ------------------------------------------------------------------------ */

static void test_drawing_is_bounded_and_comes_to_an_end(void **state)
{
    unsigned steps = 0;

    (void)state;
    put("WWWWWWWWW\r\nWWWWWWWWW\r\nWWWWWWWWW\r\nWWWWWWWWW");
    while (!screen_draw(25))
        steps++;
    EXPECT("WWWWWWWWW", "WWWWWWWWW", "WWWWWWWWW", "WWWWWWWWW");
    /* 36 cells of which at most 16 lines change; a step is done when a cell reaches 25. */
    assert_in_range(steps, 36 * 10 / (25 + 16), 36 * 16 / 25);
    assert_true(screen_draw(0));
}

static void test_what_did_not_change_is_not_drawn(void **state)
{
    (void)state;
    say("same\r\nsame\r\nsame\r\nsame");
    memset(memory + GUARDS, 0x11, memory_len()); /* nothing writes here but what changed */
    say("\r\nsane");
    for (uint32_t y = 0; y < 64; y++) {
        for (uint32_t x = 0; x < 80; x++) {
            if (y < 48 || x < 16 || x >= 24)
                assert_int_equal(pixel(x, y), 0x11111111);
        }
    }
}

/* Steps that are too small for a flood of lines still show each row, and the end is right. */
static void test_what_scrolled_by_is_skipped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        char line[16];

        snprintf(line, sizeof(line), "\r\nline %u", i);
        put(line);
        (void)screen_draw(12);
    }
    say("");
    EXPECT("line 496", "line 497", "line 498", "line 499");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixel_formats),
        cmocka_unit_test(test_scale_follows_the_size),
        cmocka_unit_test(test_each_scale_and_format_is_drawn_right),
        cmocka_unit_test(test_nothing_is_drawn_nowhere),
        cmocka_unit_test(test_what_was_there_before_is_cleared),
        cmocka_unit_test(test_screen_without_room_for_a_character),
        cmocka_unit_test(test_rest_at_right_and_bottom_stays_black),
        cmocka_unit_test(test_colours_of_names),
        cmocka_unit_test_setup(test_lines, setup_text),
        cmocka_unit_test_setup(test_long_line_wraps_when_it_has_to, setup_text),
        cmocka_unit_test_setup(test_scrolling, setup_text),
        cmocka_unit_test_setup(test_controls, setup_text),
        cmocka_unit_test_setup(test_escape_sequences, setup_text),
        cmocka_unit_test_setup(test_bytes_that_are_no_ascii, setup_text),
        cmocka_unit_test_setup(test_hostile_bytes, setup_text),
        cmocka_unit_test_setup(test_drawing_is_bounded_and_comes_to_an_end, setup_text),
        cmocka_unit_test_setup(test_what_did_not_change_is_not_drawn, setup_text),
        cmocka_unit_test_setup(test_what_scrolled_by_is_skipped, setup_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
