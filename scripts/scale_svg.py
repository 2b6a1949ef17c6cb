# SPDX-License-Identifier: BSD-2-Clause
"""The page pool against the number of cores as a picture (SVG): formulas as lines, measurements as dots. The same
figures give the same bytes.
"""
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent / "config"))
from map_svg import (ALARM, COLOURS, INK, MARGIN, MUTED, PAGE, RULE, Canvas, style_sheet,  # noqa: E402
                     text_width)  # pylint: disable=wrong-import-position

WIDTH, HEIGHT = 1000, 420
LEFT, RIGHT, TOP, BOTTOM = MARGIN + 50, WIDTH - MARGIN - 170, 96, HEIGHT - 56
CORES_LAST, PAGES_FIRST, PAGES_LAST = 256, 16, 16384


def x_of(cores):
    """Pixels, on a logarithmic scale."""
    return round(LEFT + math.log2(cores) / math.log2(CORES_LAST) * (RIGHT - LEFT))


def y_of(pages):
    """The same for pages."""
    return round(BOTTOM - math.log2(pages / PAGES_FIRST) / math.log2(PAGES_LAST / PAGES_FIRST) * (BOTTOM - TOP))


def draw_axes(canvas):
    """Lines with their numbers."""
    pages = PAGES_FIRST
    while pages <= PAGES_LAST:
        canvas.path(f"M{LEFT} {y_of(pages)}H{RIGHT}", stroke=RULE)
        canvas.text(LEFT - 8, y_of(pages) + 4, str(pages), "small", MUTED, "end")
        pages *= 4
    cores = 1
    while cores <= CORES_LAST:
        canvas.path(f"M{x_of(cores)} {TOP}V{BOTTOM}", stroke=RULE)
        canvas.text(x_of(cores), BOTTOM + 16, str(cores), "small", MUTED, "middle")
        cores *= 2
    canvas.text((LEFT + RIGHT) // 2, BOTTOM + 34, "cores", "body", MUTED, "middle")


def draw_limits(canvas, limits):
    """[(title, pages or None, cores or None)]: what the code has room for."""
    for title, pages, cores in limits:
        if pages:
            canvas.path(f"M{LEFT} {y_of(pages)}H{RIGHT}", stroke=ALARM)
            canvas.text(RIGHT + 8, y_of(pages) + 4, title, "small", ALARM)
        else:
            canvas.path(f"M{x_of(cores)} {TOP}V{BOTTOM}", stroke=ALARM)
            canvas.text(x_of(cores), TOP - 6, title, "small", ALARM, "middle")


def draw_series(canvas, title, colour, line, dots):
    """A formula's values at all numbers of cores, and what was measured at some."""
    canvas.path("M" + "L".join(f"{x_of(cores)} {y_of(pages)}" for cores, pages in line), stroke=colour, width=2)
    for cores, pages in dots:
        canvas.begin(f"{title}, {cores} cores, measured: {pages} pages")
        canvas.rect(x_of(cores) - 4, y_of(pages) - 4, 8, 8, colour, radius=4)
        canvas.end()
    canvas.text(RIGHT + 8, y_of(line[-1][1]) + 4, f"{line[-1][1]} pages", "strong", colour)


def svg(series, limits):
    """The picture, as text, of [(title, [(cores, pages)], [(cores, pages)])]: formula, measurements."""
    canvas = Canvas()
    canvas.text(MARGIN, 40, "Pages of the pool by number of cores", "title")
    x = MARGIN
    for (title, _, _), (colour, _) in zip(series, COLOURS):
        canvas.rect(x, 55, 11, 11, colour, radius=2)
        canvas.text(x + 16, 64, title, "body", INK)
        x += text_width(title, "body") + 36
    draw_axes(canvas)
    draw_limits(canvas, limits)
    for (title, line, dots), (colour, _) in zip(series, COLOURS):
        draw_series(canvas, title, colour, line, dots)
    words = "; ".join(f"{title}: " + ", ".join(f"{cores} cores {pages} pages" for cores, pages in dots)
                      for title, _, dots in series)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" \
role="img" aria-labelledby="scale-title scale-desc">
<title id="scale-title">Pages of the pool by number of cores</title>
<desc id="scale-desc">Measured: {escape(words)}.</desc>
<style>
{style_sheet()}
</style>
<rect width="{WIDTH}" height="{HEIGHT}" rx="14" fill="{PAGE}"/>
""" + "\n".join(canvas.lines) + "\n</svg>\n"
