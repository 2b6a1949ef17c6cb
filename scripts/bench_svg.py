# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks as a picture (SVG): for each operation a bar of KVM's cost and of Bulkhead's, on a
logarithmic scale. The same figures give the same bytes.
"""
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent / "config"))
from map_svg import (INK, MARGIN, MUTED, PAGE, RULE, Canvas, style_sheet,  # noqa: E402
                     text_width)  # pylint: disable=wrong-import-position
from bench_table import (ALL_ROWS, figure, geometric_mean, ratio, ratios,  # noqa: E402
                         times)  # pylint: disable=wrong-import-position

WIDTH = 1000
NAMES = 314  # width of the operations' names
RATIOS = 66  # and of the last column
BAR, BAR_GAP, ROW_GAP = 11, 2, 11
PEER, OURS, OURS_APICV = "#9aa4b2", "#2b68b0", "#26784a"
LEGEND_LINE = 18
LEFT, RIGHT = MARGIN + NAMES, WIDTH - MARGIN - RATIOS - 60  # 60: a number behind the longest bar


def bars_of(name, kvm, ours):
    """[(who, colour, value)] of a row, what is not known left out."""
    bars = [("KVM", PEER, figure(kvm.get(name))),
            ("Bulkhead", OURS, figure(ours["no-apicv"].get(name))),
            ("Bulkhead with APICv", OURS_APICV, figure(ours["apicv"].get(name)))]
    return [bar for bar in bars if bar[2] is not None]


def decades(largest):
    """How many powers of ten the scale has, from 1."""
    return max(1, math.ceil(math.log10(max(largest, 2))))


def bar_width(value, scale):
    """Pixels; what is 1 or less is a line of 2."""
    return max(2, round(math.log10(max(value, 1)) * (RIGHT - LEFT) / scale))


def draw_scale(canvas, top, bottom, scale):
    """Lines at the powers of ten, with their numbers above."""
    for power in range(scale + 1):
        x = LEFT + power * (RIGHT - LEFT) // scale
        canvas.path(f"M{x} {top}V{bottom}", stroke=RULE)
        label = f"{10 ** power:,}".replace(",", " ") if power < 6 else f"{10 ** (power - 6)} M"
        canvas.text(x, top - 5, label, "small", MUTED, "middle")


def draw_row(canvas, y, title, bars, times_text, scale):
    """An operation; returns where the next begins."""
    height = len(bars) * (BAR + BAR_GAP) - BAR_GAP
    middle = y + height // 2 + 4
    canvas.text(LEFT - 10, middle, title, "body", INK, "end")
    for who, colour, value in bars:
        width = bar_width(value, scale)
        canvas.begin(f"{title}, {who}: {value}")
        canvas.rect(LEFT, y, width, BAR, colour, radius=2)
        canvas.end()
        canvas.text(LEFT + width + 5, y + BAR - 2, str(value), "small", INK)
        y += BAR + BAR_GAP
    canvas.text(WIDTH - MARGIN, middle, times_text, "strong", INK, "end")
    return y - BAR_GAP + ROW_GAP


def draw_legend(canvas, y):
    """Whose bars these are."""
    x = LEFT
    for who, colour in (("KVM, without APICv", PEER), ("Bulkhead, without APICv", OURS),
                        ("Bulkhead, with APICv", OURS_APICV)):
        canvas.rect(x, y - 9, 11, 11, colour, radius=2)
        canvas.text(x + 16, y, who, "body")
        x += text_width(who, "body") + 40
    canvas.text(WIDTH - MARGIN, y, "KVM / Bulkhead", "small", MUTED, "end")
    canvas.text(LEFT, y + LEGEND_LINE, "KVM with APICv, of which there is only a reference from elsewhere, is not shown",
                "small", MUTED)


def picture_rows(kvm, ours):
    """[(group, title, bars, times)] of what was measured."""
    rows = []
    for name, row in ALL_ROWS.items():
        bars = bars_of(name, kvm, ours)
        value = ratio(figure(kvm.get(name)), figure(ours["no-apicv"].get(name)))
        if bars:
            rows.append((row.group, row.title, bars, times(value) if value is not None else ""))
    return rows


def svg(kvm, ours):
    """The picture, as text: columns as in bench_table.Results."""
    rows, canvas = picture_rows(kvm, ours), Canvas()
    scale = decades(max(value for _, _, bars, _ in rows for _, _, value in bars))
    height = 112 + LEGEND_LINE + sum(len(bars) * (BAR + BAR_GAP) - BAR_GAP + ROW_GAP for _, _, bars, _ in rows) \
        + 24 * len({group for group, *_ in rows})
    mean = geometric_mean(ratios(kvm, ours["no-apicv"]).values())
    summary = "" if math.isnan(mean) else f"; geometric mean of KVM / Bulkhead without APICv: {mean:.1f}"
    canvas.text(MARGIN, 42, "What an exit costs", "title")
    canvas.text(MARGIN, 62, "instructions, on a logarithmic scale; between CPUs: ticks" + summary, "body", MUTED)
    draw_legend(canvas, 86)
    draw_scale(canvas, 116 + LEGEND_LINE, height - 12, scale)
    y, last = 122 + LEGEND_LINE, None
    for group, title, bars, times_text in rows:
        if group != last:
            canvas.text(MARGIN, y + 11, group.upper(), "head", MUTED)
            y, last = y + 22, group
        y = draw_row(canvas, y, title, bars, times_text, scale)
    words = "; ".join(f"{title}: " + ", ".join(f"{who} {value}" for who, _, value in bars)
                      for _, title, bars, _ in rows)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" \
role="img" aria-labelledby="bench-title bench-desc">
<title id="bench-title">What an exit costs under KVM and under Bulkhead</title>
<desc id="bench-desc">{escape(words)}.</desc>
<style>
{style_sheet()}
</style>
<rect width="{WIDTH}" height="{height}" rx="14" fill="{PAGE}"/>
""" + "\n".join(canvas.lines) + "\n</svg>\n"
