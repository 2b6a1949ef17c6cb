#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The boot as a picture (SVG): a timeline of each machine's phases, from consoles' text.

    scripts/boot_svg.py OUT.svg TITLE LOG [TITLE LOG]...

LOG is a console with the hypervisor's lines `phases:` and `guest NAME: start at TSC` (boot/report.c,
guest/vm.c), such as scripts/run --log writes. For each machine a row with the boot, enlarged, and one for
each guest from the hand-over to its first instruction. The guests' rows of all machines have one scale, but
for the SHA-256 of a guest's files, which is cut short. The same logs give the same bytes.
"""
import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent / "config"))
from map_svg import (COLOURS, IDLE, INK, MARGIN, MUTED, PAGE, RULE, Canvas, fit,  # noqa: E402
                     style_sheet, text_width)  # pylint: disable=wrong-import-position

WIDTH = 1000
NAME_WIDTH = 140  # of the rows' names
BAR = 30  # height of a bar
VERIFY_WIDTH = 54  # of a bar that is cut short
TICKS_HELD = 1_000_000  # at least so much fits into the picture

# Colours by phase: what takes long differs from its neighbours; others alternate.
STRONG = {"entry": 8, "boot-info": 5, "memory": 5, "tables": 0, "core": 3, "acpi": 6, "apic": 6, "clock": 1,
          "cores": 3, "fit": 8, "regions": 8, "guests": 2, "map": 8, "console": 8, "isolation": 4,
          "scrub": 0, "load": 2, "reset": 3}
FILLS = {"boot": MUTED, "verify": "#aab4c3"}


def parse(console):
    """(hand-over's TSC, [(phase, ticks)], {guest: (start's TSC, [(phase, ticks)])})."""
    hand_over = re.search(r"^\[bulkhead\] phases: hand-over at TSC (\d+)", console, re.M)
    if not hand_over:
        raise ValueError("no line 'phases: hand-over at TSC' in the console")
    words = " ".join(re.findall(r"^\[bulkhead\] phases:((?: [a-z-]+ \d+)+)$", console, re.M))
    starts = re.findall(r"^\[bulkhead\] guest (\S+): start at TSC (\d+), ticks of each:((?: [a-z]+ \d+)+)$",
                        console, re.M)
    return (int(hand_over[1]), pairs(words),
            {name: (int(tsc), pairs(text)) for name, tsc, text in starts})


def pairs(text):
    """"acpi 12 apic 3" -> [("acpi", 12), ("apic", 3)]."""
    words = text.split()
    return list(zip(words[::2], map(int, words[1::2])))


def count_text(count):
    """For people: 840 M, 8.4 M, 131 k, 452."""
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if count >= 100 * unit:
            return f"{(count + unit // 2) // unit} {name}"
        if count >= unit:
            tenths = (count * 10 + unit // 2) // unit
            return f"{tenths // 10}.{tenths % 10} {name}"
    return str(count)


def without_verify(steps):
    """Ticks that are drawn to scale."""
    return sum(ticks for name, ticks in steps if name != "verify")


ROOM = WIDTH - 2 * MARGIN - NAME_WIDTH - VERIFY_WIDTH - 70  # for what is drawn to scale


def length(steps):
    """Ticks of all of them."""
    return sum(ticks for _, ticks in steps)


def longest(machines):
    """Ticks of the longest guest's row."""
    return max([TICKS_HELD] + [length(phases) + without_verify(steps)
                               for _, _, phases, starts in machines for _, steps in starts.values()])


def draw_bar(canvas, x, y, steps, scale):
    """A row's bars, `scale` ticks to the width of ROOM; returns x behind them, and what the legend has to say."""
    shown = []
    for name, ticks in steps:
        colour = FILLS.get(name) or COLOURS[STRONG.get(name, 8)][0]
        cut = name == "verify"
        width = VERIFY_WIDTH if cut else ticks * ROOM // scale
        if width >= 1:
            canvas.begin(f"{name}: {ticks}")
            canvas.rect(x, y, width, BAR, colour, stroke=PAGE)
            if cut:
                canvas.path(f"M{x + 24} {y - 4}l-6 {BAR + 8}M{x + 32} {y - 4}l-6 {BAR + 8}", stroke=PAGE, width=3)
            elif width >= text_width(name, "small") + 8:
                canvas.text(x + width // 2, y + 19, name, "small", "#ffffff", "middle")
            canvas.end()
        x += width
        shown.append((ticks, name, colour))
    return x, shown


def draw_legend(canvas, x, y, shown, limit):
    """The phases and their counts, in order, in as many lines as they need; small ones are summed up."""
    total = sum(ticks for ticks, name, _ in shown if name != "verify")
    large = [item for item in shown if item[0] * 200 >= total or item[1] == "verify"]
    rest = sum(item[0] for item in shown if item not in large)
    if rest:
        large.append((rest, "others", IDLE))
    left = x
    for ticks, name, colour in large:
        text = f"{name} {count_text(ticks)}"
        width = text_width(text, "small") + 26
        if x + width > limit:
            x, y = left, y + 15
        canvas.rect(x, y - 8, 9, 9, colour, radius=2)
        canvas.text(x + 13, y, text, "small")
        x += width
    return y


def draw_row(canvas, y, row, scale):
    """One row; returns where the next begins."""
    name, remark, steps = row
    left = MARGIN + NAME_WIDTH
    canvas.text(MARGIN, y + 14, fit(name, NAME_WIDTH - 12, "strong"), "strong")
    canvas.text(MARGIN, y + 28, fit(remark, NAME_WIDTH - 12, "small"), "small", MUTED)
    end, shown = draw_bar(canvas, left, y, steps, scale)
    canvas.text(end + 6, y + 19, count_text(without_verify(steps)), "strong", INK)
    return draw_legend(canvas, left, y + BAR + 16, shown, WIDTH - MARGIN) + 22


def draw_machine(canvas, y, machine, scale):
    """A machine's title and rows."""
    title, _, phases, starts = machine
    boot = max(length(phases), 1)
    canvas.text(MARGIN, y + 12, fit(title, WIDTH - 2 * MARGIN, "name"), "name")
    y = draw_row(canvas, y + 26, ("boot", f"enlarged {scale / boot:.1f} times", phases), boot)
    for name, (_, steps) in sorted(starts.items()):
        y = draw_row(canvas, y, (name, "to its first instruction", [("boot", boot)] + steps), scale)
    return y + 10


def svg(machines):
    """The picture of [(title, console)], as text."""
    machines, canvas = [(title, *parse(console)) for title, console in machines], Canvas()
    canvas.text(MARGIN, 42, "From the loader's hand-over to the guests' first instructions", "title")
    canvas.text(MARGIN, 62, "TSC ticks; all guests' rows to one scale, but the SHA-256 of a guest's files (verify) is cut"
                " short, and not in the sums at the ends of the bars", "body", MUTED)
    y = 90
    for machine in machines:
        y = draw_machine(canvas, y, machine, longest(machines))
    words = ". ".join(f"{title}: boot {length(phases)} ticks" + "".join(
        f", {name} {without_verify(steps)} more" for name, (_, steps) in sorted(starts.items()))
        for title, _, phases, starts in machines)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" \
role="img" aria-labelledby="boot-title boot-desc">
<title id="boot-title">From the hand-over to the guests</title>
<desc id="boot-desc">{escape(words)}.</desc>
<style>
{style_sheet()}
</style>
<rect width="{WIDTH}" height="{y}" rx="14" fill="{PAGE}"/>
""" + "\n".join(canvas.lines) + "\n</svg>\n"


def main(argv):
    """Command line."""
    if len(argv) < 3 or len(argv) % 2 == 0:
        print("usage: boot_svg.py OUT.svg TITLE LOG [TITLE LOG]...", file=sys.stderr)
        return 2
    machines = [(title, Path(log).read_text(encoding="utf-8", errors="replace"))
                for title, log in zip(argv[1::2], argv[2::2])]
    Path(argv[0]).write_text(svg(machines), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
