#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The partition map: a machine's manifest as a picture (SVG).

    python3 scripts/config/map_svg.py MANIFEST.json OUT.svg

From top to bottom: the machine's cores and whose they are; a card for each guest with its memory,
devices, files and policies; a row for each shared region under the cards of those who have it; the
machine's memory to scale. The same manifest gives the same bytes. Text widths are estimated from
above (`text_width`), so that nothing overlaps whatever font the viewer has.
"""
import json
import re
import sys
from xml.sax.saxutils import escape, quoteattr

KIB = 1 << 10
UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (KIB, "KiB"))

# A strong colour with white text on it, and its tint: one pair for each guest there can be.
COLOURS = (
    ("#2b68b0", "#e4eefa"), ("#b1540f", "#fcebdd"), ("#26784a", "#e0f2e7"), ("#7449ad", "#eee6f9"),
    ("#b23546", "#fae4e7"), ("#0f7482", "#dcf1f4"), ("#7d6210", "#f5edd2"), ("#a53a85", "#f8e3f1"),
    ("#4a5a72", "#e5eaf1"),
)
INK, MUTED, RULE, PAGE, CARD, IDLE, ALARM = (
    "#1d2330", "#5d6472", "#d8d4ca", "#f7f5f0", "#ffffff", "#e6e3db", "#a33c00")

# class -> (font size, bold, monospaced)
STYLES = {
    "title": (26, True, False), "name": (16, True, False), "head": (11, True, False),
    "core": (15, True, False), "body": (12, False, False), "strong": (12, True, False),
    "small": (10, False, False), "mono": (10, False, True), "badge": (12, True, False),
}
SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"

MARGIN, GAP, PAD = 32, 20, 14
CARD_WIDTHS = {1: 560, 2: 340, 3: 290}
CARD_WIDTH = 244
LINE = 15  # between two lines of text

TYPES = {"linux": "Linux kernel", "multiboot": "Multiboot kernel", "flat": "bare-metal program",
         "firmware": "firmware, from the reset vector"}
# Device pages that answer by an exit and are therefore not in the manifest's map.
DEVICE_PAGES = (("local APIC", 0xFEE00000), ("HPET", 0xFED00000), ("I/O APIC", 0xFEC00000))
PAGE_LEN = 4096


# ---- text -----------------------------------------------------------------------------------


def text_width(text, style):
    """An upper bound of the text's width in pixels, by the widest fonts in use (DejaVu, Verdana)."""
    size, bold, mono = STYLES[style]
    if mono:
        return (len(text) * size * 61 + 99) // 100
    parts = 0
    for char in text:
        if char in "fijlrt.,:;'|!()[]- /I·":
            parts += 42
        elif char in "mwMW@%…" or char > "~":
            parts += 100
        else:
            parts += 64 if char.islower() or char.isdigit() else 84
    return (parts * size * (112 if bold else 100) + 9999) // 10000


def fit(text, width, style):
    """The text, shortened in the middle until it is no wider than that."""
    if text_width(text, style) <= width:
        return text
    for keep in range(len(text) - 1, 0, -1):
        tail = keep * 2 // 3 if "/" in text else keep // 2
        short = text[:keep - tail] + "…" + text[len(text) - tail:]
        if text_width(short, style) <= width:
            return short
    return "…"


def wrap(text, width, style, most):
    """Lines no wider than that, broken at blanks where there are some; the last may be shortened."""
    lines, rest = [], text
    while rest and len(lines) < most - 1 and text_width(rest, style) > width:
        end = max(i for i in range(1, len(rest) + 1) if i == 1 or text_width(rest[:i], style) <= width)
        blank = rest.rfind(" ", 1, end + 1)
        end = blank if blank > 0 else end
        lines.append(rest[:end])
        rest = rest[end:].lstrip()
    return lines + ([fit(rest, width, style)] if rest else [])


def size_text(count):
    """Bytes for people: 256 MiB, 13.5 MiB, 17 bytes."""
    for unit, name in UNITS:
        if count >= unit:
            whole, tenth = divmod(count * 10 // unit, 10)
            return f"{whole}.{tenth} {name}" if tenth else f"{whole} {name}"
    return f"{count} bytes"


def address(value):
    """As the manuals write it."""
    return f"{value:08X}H"


def span(base, length):
    """First and last address."""
    return f"{address(base)} – {address(base + max(length, 1) - 1)}"


def port_span(port):
    """First and last port, or the only one."""
    base, length = port["base"], port["len"]
    return f"{base:X}H" if length <= 1 else f"{base:X}H–{base + length - 1:X}H"


def policy_text(policy):
    """What becomes of a guest, in words."""
    if policy["action"] != "restart" or not policy.get("limit"):
        return policy["action"]
    within = f" in {policy['within']} s" if policy.get("within") else ""
    return f"restart, at most {policy['limit']} times{within}"


def printable(value):
    """A manifest's value with everything that is not plain text replaced: it may say anything."""
    if isinstance(value, str):
        return re.sub(r"[^ -~]", "\ufffd", value)
    if isinstance(value, list):
        return [printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return value


# ---- drawing --------------------------------------------------------------------------------


class Canvas:
    """Collects elements, one a line. All coordinates are whole numbers."""

    def __init__(self):
        self.lines = []

    def text(self, x, y, text, style, colour=INK, anchor="start"):
        """y is the base line."""
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.lines.append(f'<text class="{style}" x="{x}" y="{y}" fill="{colour}"{where}>'
                          f"{escape(text)}</text>")

    def rect(self, x, y, width, height, fill, radius=0, stroke=None):
        """A rectangle."""
        more = f' rx="{radius}"' if radius else ""
        more += f' stroke="{stroke}"' if stroke else ""
        self.lines.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"{more}/>')

    def path(self, data, stroke="none", fill="none", width=1, dash=False):
        """Anything else."""
        more = f' stroke="{stroke}" stroke-width="{width}"' if stroke != "none" else ""
        more += ' stroke-dasharray="2 3"' if dash else ""
        self.lines.append(f'<path d="{data}" fill="{fill}"{more}/>')

    def begin(self, title, cls="item"):
        """What follows shows this text to a pointer that rests on it; ends with end()."""
        self.lines.append(f"<g class={quoteattr(cls)}><title>{escape(title)}</title>")

    def end(self):
        """Of what begin() began."""
        self.lines.append("</g>")

    def badge(self, x, y, guest):
        """The guest's number, which is also its key after Ctrl-]."""
        self.rect(x, y, 20, 20, guest.colour, radius=10)
        self.text(x + 10, y + 14, str(guest.number), "badge", "#ffffff", "middle")


class Guest:
    """A guest of the manifest with its place in the picture."""

    def __init__(self, data, index, x, width):
        self.data = data
        self.name = data["name"]
        self.number = index + 1
        self.colour, self.tint = COLOURS[index % len(COLOURS)]
        self.x, self.width = x, width
        self.left, self.inner = x + PAD, width - 2 * PAD

    def get(self, key, default=None):
        """A value of the manifest; null is as good as absent."""
        value = self.data.get(key)
        return default if value is None else value


class Map:
    """The manifest, and where things are."""

    def __init__(self, manifest):
        self.data = printable(manifest)
        self.machine = self.data.get("machine") or {}
        self.shared = self.data.get("shared") or []
        guests = self.data["guests"]
        width = CARD_WIDTHS.get(len(guests), CARD_WIDTH)
        self.guests = [Guest(data, i, MARGIN + i * (width + GAP), width)
                       for i, data in enumerate(guests)]
        self.inner = len(guests) * (width + GAP) - GAP
        self.width = self.inner + 2 * MARGIN
        self.by_name = {guest.name: guest for guest in self.guests}
        self.owners = {core: (guest, vcpu) for guest in self.guests
                       for vcpu, core in enumerate(guest.data["cpus"])}
        used = max(self.owners, default=0) + 1
        self.core_count = max(self.machine.get("cores") or 0, used)

    def colour(self, name):
        """A guest's colours by its name."""
        guest = self.by_name.get(name)
        return (guest.colour, guest.tint) if guest else (MUTED, IDLE)


def section(canvas, picture, y, title, remark=""):
    """A section's heading; returns where its content begins."""
    canvas.text(MARGIN, y + 11, title.upper(), "head", MUTED)
    if remark:
        x = MARGIN + text_width(title.upper(), "head") + 12
        canvas.text(x, y + 11, fit(remark, picture.width - MARGIN - x, "small"), "small", MUTED)
    return y + 22


# ---- header and cores -----------------------------------------------------------------------


def draw_tag(canvas, x, y, text, fill, ink):
    """A small filled label; returns its right end."""
    width = text_width(text, "small") + 16
    canvas.rect(x, y, width, 18, fill, radius=9)
    canvas.text(x + 8, y + 13, text, "small", ink)
    return x + width


def draw_header(canvas, picture):
    """Name, where it comes from, and what it is in numbers."""
    data, machine = picture.data, picture.machine
    tag = ("release", "#26784a") if data.get("release") else ("development", MUTED)
    space = picture.inner - text_width(tag[0], "small") - 32
    name = fit(data["name"], space, "title")
    canvas.text(MARGIN, 52, name, "title")
    draw_tag(canvas, MARGIN + text_width(name, "title") + 12, 36, tag[0], tag[1], "#ffffff")
    cores = f"{len(picture.owners)} of {picture.core_count} cores"
    total = sum(guest.data["memory"] for guest in picture.guests)
    memory = f"{size_text(total)} of {size_text(machine['memory'])}" if machine.get("memory") \
        else size_text(total)
    count = len(picture.guests)
    facts = f"{count} guest{'s' * (count > 1)} · {cores} · {memory}"
    canvas.text(MARGIN, 76, fit(facts, picture.inner, "body"), "body")
    source = f"from {data.get('source', '?')}"
    canvas.text(MARGIN, 94, fit(source, picture.inner, "small"), "small", MUTED)
    return 116


TILE, TILE_GAP, TILE_HEIGHT = 50, 6, 42
FEW_CORES, LONG_RUN = 32, 6


def core_groups(picture):
    """Lists of cores that are threads of one, in the order of their first."""
    threads = [sorted(core for core in group if core < picture.core_count)
               for group in picture.machine.get("threads") or []]
    known = {core for group in threads for core in group}
    groups = [group for group in threads if group]
    groups += [[core] for core in range(picture.core_count) if core not in known]
    return sorted(groups)


def core_items(picture):
    """The groups, long runs of idle cores of a large machine put together: (cores, is a run)."""
    items, run = [], []
    for group in core_groups(picture) + [[]]:
        if group and not any(core in picture.owners for core in group):
            run.append(group)
            continue
        if picture.core_count > FEW_CORES and len(run) > LONG_RUN:
            items.append(([core for idle in run for core in idle], True))
        else:
            items += [(idle, False) for idle in run]
        run = []
        if group:
            items.append((group, False))
    return items


def draw_core(canvas, picture, x, y, core):
    """One tile."""
    guest, vcpu = picture.owners.get(core, (None, None))
    canvas.begin(f"core {core}: vCPU {vcpu} of {guest.name}" if guest else f"core {core}: idle", "core-tile")
    canvas.rect(x, y, TILE, TILE_HEIGHT, guest.colour if guest else IDLE, radius=6)
    ink = "#ffffff" if guest else MUTED
    canvas.text(x + TILE // 2, y + 21, str(core), "core", ink, "middle")
    canvas.text(x + TILE // 2, y + 35, f"guest {guest.number}" if guest else "idle", "small", ink, "middle")
    canvas.end()


def draw_idle_run(canvas, x, y, width, cores):
    """Many idle cores as one tile."""
    text = f"{min(cores)} – {max(cores)}"
    canvas.begin(f"{len(cores)} idle cores: {', '.join(map(str, cores))}", "core-tile")
    canvas.rect(x, y, width, TILE_HEIGHT, IDLE, radius=6)
    canvas.text(x + width // 2, y + 21, text, "core", MUTED, "middle")
    canvas.text(x + width // 2, y + 35, f"{len(cores)} idle", "small", MUTED, "middle")
    canvas.end()


def draw_bracket(canvas, picture, x, y, width, cores):
    """Below the threads of one core; it warns where they belong to several guests."""
    owners = {picture.owners[core][0].name for core in cores if core in picture.owners}
    text, colour = ("threads, shared", ALARM) if len(owners) > 1 else ("threads", MUTED)
    canvas.begin(f"hardware threads of one core: {', '.join(map(str, cores))}", "threads")
    canvas.path(f"M{x + 2} {y}v5h{width - 4}v-5", stroke=colour, width=2 if len(owners) > 1 else 1)
    canvas.text(x + width // 2, y + 17, text, "small", colour, "middle")
    canvas.end()


def draw_cores(canvas, picture, y):
    """The row of all cores of the machine, wrapped as the page needs."""
    remark = "as the boot report numbers them" if picture.machine.get("cores") else \
        "those in use; the config does not say how many the machine has"
    y = section(canvas, picture, y, "Cores", remark)
    has_threads = any(len(group) > 1 for group in core_groups(picture))
    pitch = TILE_HEIGHT + (28 if has_threads else 10)
    x = MARGIN
    for cores, is_run in core_items(picture):
        width = 150 if is_run else len(cores) * (TILE + TILE_GAP) - TILE_GAP
        if x + width > picture.width - MARGIN and x > MARGIN:
            x, y = MARGIN, y + pitch
        if is_run:
            draw_idle_run(canvas, x, y, width, cores)
        else:
            for place, core in enumerate(cores):
                draw_core(canvas, picture, x + place * (TILE + TILE_GAP), y, core)
            if len(cores) > 1:
                draw_bracket(canvas, picture, x, y + TILE_HEIGHT + 3, width, cores)
        x += width + TILE_GAP + (8 if has_threads else 0)
    return y + pitch + 14


# ---- a guest's card -------------------------------------------------------------------------


def draw_head(canvas, picture, guest, y):
    """Number, name, what it is, and its cores."""
    canvas.badge(guest.left, y + 12, guest)
    first = picture.data.get("console") == guest.name
    style = "name" if text_width(guest.name, "name") <= guest.inner - 28 else "strong"
    canvas.text(guest.left + 28, y + 27, fit(guest.name, guest.inner - 28, style), style, guest.colour)
    kind = TYPES.get(guest.data["type"], guest.data["type"])
    canvas.text(guest.left, y + 50, fit(kind, guest.inner, "body"), "body", MUTED)
    memory = size_text(guest.data["memory"])
    canvas.text(guest.left, y + 68, fit(memory, guest.inner, "strong"), "strong")
    if first:
        width = text_width("keyboard first", "small") + 16
        draw_tag(canvas, guest.x + guest.width - PAD - width, y + 55, "keyboard first", guest.tint, guest.colour)
    return y + 80


def draw_vcpus(canvas, _picture, guest, y):
    """A tile for each vCPU, with the core it has for ever."""
    pitch = min(30, (guest.inner + 4) // 8)
    for vcpu, core in enumerate(guest.data["cpus"]):
        x = guest.left + vcpu * pitch
        canvas.begin(f"vCPU {vcpu} of {guest.name}: core {core}")
        canvas.rect(x, y, pitch - 4, 22, guest.colour, radius=4)
        style = "badge" if core < 1000 and pitch >= 30 else "small"
        canvas.text(x + (pitch - 4) // 2, y + 15, str(core), style, "#ffffff", "middle")
        canvas.end()
    return y + 30


# A guest's memory map


class Piece:
    """A stretch of guest-physical addresses as it is drawn; `kind`: ram, rom, shared, device, gap."""

    def __init__(self, base, length, kind, label, access=""):
        self.base, self.len, self.kind, self.label, self.access = base, length, kind, label, access

    def height(self):
        """Grows with the logarithm of its length, so that 4 KiB and 64 GiB fit into one picture."""
        if self.kind == "gap":
            return 14
        if self.kind == "device":
            return 18
        return 34 + 4 * max((self.len >> 20).bit_length() - 1, 0)

    def text(self):
        """What stands beside it."""
        if self.kind == "shared":
            role = "writes" if "w" in self.access else "reads"
            return f"{role} {self.label.partition(':')[2]}, {size_text(self.len)}"
        return f"{self.label}, {size_text(self.len)}{', read-only' * (self.kind == 'rom')}"


def piece_kind(what, access):
    """How a range is drawn."""
    if what.startswith("shared:"):
        return "shared"
    return "ram" if "w" in access else "rom"


def pieces(guest):
    """The guest's address space below its last range, from address 0 up, with the gaps in it."""
    found = [Piece(item["base"], item["len"], piece_kind(item["what"], item["access"]), item["what"],
                   item["access"]) for item in guest.get("map", [])]
    names = {name.lower() for name in guest.get("devices", [])} | {"local apic"}
    for name, base in DEVICE_PAGES:
        covered = any(piece.base <= base < piece.base + piece.len for piece in found)
        if name.lower() in names and not covered:
            found.append(Piece(base, PAGE_LEN, "device", name))
    result, end = [], 0
    for piece in sorted(found, key=lambda piece: piece.base):
        if piece.base > end:
            result.append(Piece(end, piece.base - end, "gap", "nothing"))
        result.append(piece)
        end = piece.base + piece.len
    return result


BAR = 34


def piece_fill(picture, guest, piece):
    """(fill, stroke). A shared region has its writer's colours, wherever it is seen: strong where it
    is written, as RAM is."""
    colour, tint = guest.colour, guest.tint
    if piece.kind == "shared":
        name = piece.label.partition(":")[2]
        colour, tint = picture.colour(next((s.get("writer") for s in picture.shared if s["name"] == name), None))
    if piece.kind == "device":
        return "url(#stripes)", colour
    return (colour, CARD) if "w" in piece.access else (tint, colour)


def piece_title(piece):
    """What a pointer that rests on it is told."""
    access = f", access {piece.access}" if piece.access else ""
    return f"{piece.label}: {span(piece.base, piece.len)}, {size_text(piece.len)}{access}"


def draw_gap(canvas, guest, y, height, piece):
    """Addresses at which nothing is: the bar is open there."""
    canvas.begin(piece_title(piece), "gap")
    x, right = guest.left, guest.left + BAR
    canvas.rect(x, y, BAR, height, CARD)
    canvas.path(f"M{x + 1} {y}v{height}M{right - 1} {y}v{height}", stroke=RULE, dash=True)
    canvas.end()


def draw_piece(canvas, picture, guest, y, height, piece):
    """A stretch of the bar, and beside it what it is, how large, and where."""
    canvas.begin(piece_title(piece), "region")
    fill, stroke = piece_fill(picture, guest, piece)
    canvas.rect(guest.left, y, BAR, height, fill, stroke=stroke)
    if piece.kind == "shared":
        canvas.rect(guest.left + 1, y + 1, BAR - 2, height - 2, "url(#weave)")
    x, space = guest.left + BAR + 9, guest.inner - BAR - 9
    middle = y + height // 2
    if piece.kind == "device":
        where = address(piece.base)
        label = fit(piece.label, space - text_width(where, "mono") - 8, "small")
        canvas.text(x, middle + 4, label, "small")
        canvas.text(x + text_width(label, "small") + 8, middle + 4, where, "mono", MUTED)
    else:
        canvas.text(x, middle - 2, fit(piece.text(), space, "small"), "small")
        canvas.text(x, middle + 11, fit(span(piece.base, piece.len), space, "mono"), "mono", MUTED)
    canvas.end()


def draw_memory(canvas, picture, guest, y, height=0):
    """The memory map, high addresses on top. What is missing to `height` the largest gap gets."""
    parts = pieces(guest)
    heights = [piece.height() for piece in parts]
    gaps = [i for i, piece in enumerate(parts) if piece.kind == "gap"]
    if gaps:
        largest = max(gaps, key=lambda i: parts[i].len)
        heights[largest] += max(height - sum(heights), 0)
    for piece, tall in reversed(list(zip(parts, heights))):
        if piece.kind == "gap":
            draw_gap(canvas, guest, y, tall, piece)
        else:
            draw_piece(canvas, picture, guest, y, tall, piece)
        y += tall
    return y + 8


# Devices, files, policies


def device_texts(guest):
    """(name, what follows it, the whole story) of each device."""
    names = list(guest.get("devices", []))
    names += [item["device"] for item in guest.get("ports", []) + guest.get("irqs", [])]
    result = []
    for name in dict.fromkeys(names):
        ports = [port for port in guest.get("ports", []) if port["device"] == name]
        irqs = [item["irq"] for item in guest.get("irqs", []) if item["device"] == name]
        irq = [f"IRQ {', '.join(map(str, irqs))}"] if irqs else []
        short = " ".join([f"{port['base']:X}H" for port in ports] + irq)
        whole = [f"ports {', '.join(map(port_span, ports))}"] if ports else []
        result.append((name, short, ": ".join([name, "; ".join(whole + irq)]) if whole + irq else name))
    return result


def draw_devices(canvas, _picture, guest, y):
    """Chips, as many in a row as fit."""
    x, right = guest.left, guest.left + guest.inner
    for name, short, whole in device_texts(guest):
        name = fit(name, guest.inner - 16, "small")
        short = fit(short, guest.inner - 22 - text_width(name, "small"), "mono") if short else ""
        width = text_width(name, "small") + (text_width(short, "mono") + 6 if short else 0) + 14
        if x + width > right and x > guest.left:
            x, y = guest.left, y + 23
        canvas.begin(whole, "device")
        canvas.rect(x, y, width, 19, guest.tint, radius=5)
        canvas.text(x + 7, y + 13, name, "small")
        if short:
            canvas.text(x + width - 7, y + 13, short, "mono", MUTED, "end")
        canvas.end()
        x += width + 4
    return y + 29 if x > guest.left else y


def draw_files(canvas, _picture, guest, y):
    """Each file with its size and the beginning of its SHA-256; the command line."""
    for file in guest.get("files", []):
        canvas.begin(f"{file['use']}: {file['path']}, {file['bytes']} bytes, SHA-256 {file['sha256']}", "file")
        use = fit(file["use"], guest.inner // 3, "small")
        canvas.text(guest.left, y + 11, use, "small", MUTED)
        x = guest.left + text_width(use, "small") + 8
        canvas.text(x, y + 11, fit(file["path"], guest.left + guest.inner - x, "small"), "small")
        digest = fit(f"{size_text(file['bytes'])} · {file['sha256'][:16]}", guest.inner, "mono")
        canvas.text(guest.left, y + 24, digest, "mono", MUTED)
        canvas.end()
        y += 34
    return y


def draw_cmdline(canvas, _picture, guest, y):
    """The kernel's command line."""
    text = guest.get("cmdline", "")
    if not text:
        return y
    canvas.begin(text, "cmdline")
    for line in wrap(text, guest.inner, "mono", 4):
        canvas.text(guest.left, y + 11, line, "mono")
        y += LINE
    canvas.end()
    return y + 8


def policy_rows(guest):
    """(what, then what, the whole story if that is more) of each policy and allowance."""
    rows = [(label, policy_text(guest.data[key]), "") for label, key in
            (("crash", "on_crash"), ("reset", "on_reset"), ("power-off", "on_poweroff")) if guest.get(key)]
    if guest.get("watchdog"):
        watchdog = guest.get("watchdog")
        rows.append(("watchdog", f"{watchdog['timeout']} s, ports from {watchdog['port']:X}H", ""))
    if guest.get("apic") == "direct":
        rows.append(("local APIC", "direct: the core's own", ""))
    if guest.get("without"):
        rows.append(("without", ", ".join(guest.get("without")), ""))
    if guest.get("host_ports") is not None:
        ports = ", ".join(port_span(port) if isinstance(port, dict) else f"{port:X}H"
                          for port in guest.get("host_ports"))
        rows.append(("host ports", ports or "none", ""))
    if guest.get("host_msrs"):
        msrs = guest.get("host_msrs")
        story = "; ".join(f"{verb}: {', '.join(f'{msr:X}H' for msr in msrs.get(key, [])) or 'none'}"
                          for verb, key in (("reads", "read"), ("writes", "write")))
        rows.append(("host MSRs", f"reads {len(msrs.get('read', []))}, writes {len(msrs.get('write', []))}",
                     f"MSRs without an exit; {story}"))
    return rows


def draw_policies(canvas, _picture, guest, y):
    """What becomes of it, and what it may do besides."""
    for label, text, whole in policy_rows(guest):
        canvas.begin(whole or f"{label}: {text}", "policy")
        canvas.text(guest.left, y + 11, label, "small", MUTED)
        space = guest.inner - 66
        lines = wrap(text, space, "small", 3)
        for number, line in enumerate(lines):
            canvas.text(guest.left + 66, y + 11 + number * 13, line, "small")
        canvas.end()
        y += LINE + 13 * (len(lines) - 1)
    for name, port in (guest.get("debug") or {}).items():
        canvas.begin(f"debug allowance {name}: {port}", "debug")
        text = f"debug: {name} {port:X}H" if isinstance(port, int) else f"debug: {name}"
        draw_tag(canvas, guest.left, y + 3, fit(text, guest.inner - 16, "small"), "#fdeccd", ALARM)
        canvas.end()
        y += 24
    return y + 8


# heading (None: no rule above), function; their tops are level in all cards
CARD_SECTIONS = ((None, draw_head), ("cores", draw_vcpus), ("memory", draw_memory), ("devices", draw_devices),
                 ("files", draw_files), ("command line", draw_cmdline), ("policies", draw_policies))


def draw_cards(canvas, picture, y):
    """All cards, section by section, so that the same things are level."""
    body, top = Canvas(), y
    for title, draw in CARD_SECTIONS:
        heights = [draw(Canvas(), picture, guest, 0) for guest in picture.guests]
        height = max(heights)
        if height == 0:
            continue
        start = y + (22 if title else 0)
        for guest, own in zip(picture.guests, heights):
            if title and own:
                body.path(f"M{guest.left} {y}h{guest.inner}", stroke=RULE)
                body.text(guest.left, y + 15, title.upper(), "head", MUTED)
            more = {"height": height - 8} if draw is draw_memory else {}
            draw(body, picture, guest, start, **more)
        y = start + height
    for guest in picture.guests:
        canvas.begin(f"guest {guest.number}: {guest.name}", "card")
        canvas.rect(guest.x, top, guest.width, 24, guest.colour, radius=10)
        canvas.path(f"M{guest.x} {top + 5}h{guest.width}V{y - 10}a10 10 0 0 1-10 10h-{guest.width - 20}"
                    f"a10 10 0 0 1-10-10z", fill=CARD)
        canvas.end()
    canvas.lines += body.lines
    return y + 24


# ---- shared regions -------------------------------------------------------------------------

STATION = 40  # height of what stands under a card


def region_address(guest, name):
    """Where the guest has it, or None."""
    return next((item["base"] for item in guest.get("map", []) if item["what"] == f"shared:{name}"), None)


def draw_station(canvas, picture, y, share, guest):
    """Under a guest's card: what it does with the region, where, and its doorbell."""
    writes = share.get("writer") == guest.name
    colour, tint = picture.colour(share.get("writer"))
    ink, soft = ("#ffffff", "#ffffff") if writes else (INK, MUTED)
    role = "writes" if writes else "reads"
    base = region_address(guest, share["name"])
    irq = (share.get("doorbells") or {}).get(guest.name)
    bell = f"doorbell IRQ {irq}, declared" if irq else "no doorbell"
    where = f" at {address(base)}" if base is not None else ""
    canvas.begin(f"{guest.name} {role} {share['name']}{where}; {bell}", "station")
    canvas.rect(guest.left, y, guest.inner, STATION, colour if writes else tint, radius=8, stroke=colour)
    room = guest.inner - 20
    if base is not None:
        canvas.text(guest.left + guest.inner - 10, y + 17, address(base), "mono", soft, "end")
        room -= text_width(address(base), "mono") + 8
    canvas.text(guest.left + 10, y + 17, fit(f"{guest.name} {role}", room, "strong"), "strong", ink)
    canvas.text(guest.left + 10, y + 32, fit(bell, guest.inner - 20, "small"), "small", soft)
    canvas.end()


def draw_arrows(canvas, picture, y, share, readers):
    """From the writer to each reader, behind whatever lies between."""
    writer = picture.by_name.get(share.get("writer"))
    if not writer:
        return
    for reader in readers:
        if reader.x > writer.x:
            start, tip, head = writer.left + writer.inner, reader.left - 1, "l-8-5v10z"
        else:
            start, tip, head = writer.left, reader.left + reader.inner + 1, "l8-5v10z"
        canvas.path(f"M{start} {y}H{tip + (-6 if tip > start else 6)}", stroke=writer.colour, width=3)
        canvas.path(f"M{tip} {y}{head}", fill=writer.colour)


def draw_shared(canvas, picture, y):
    """A row for each region."""
    if not picture.shared:
        return y
    y = section(canvas, picture, y, "Shared memory", "one guest writes, others read")
    for share in picture.shared:
        names = [share.get("writer")] + list(share.get("readers") or [])
        members = [picture.by_name[name] for name in dict.fromkeys(names) if name in picture.by_name]
        readers = [guest for guest in members if guest.name != share.get("writer")]
        story = f"{share['name']}, {size_text(share['len'])}: {share.get('writer') or 'nobody'} writes, " \
                f"{', '.join(guest.name for guest in readers) or 'nobody'} reads"
        canvas.begin(story, "channel")
        canvas.rect(MARGIN, y, picture.inner, STATION + 40, CARD, radius=10, stroke=RULE)
        label = f"{share['name']} · {size_text(share['len'])}"
        canvas.text(MARGIN + PAD, y + 19, fit(label, picture.inner - 2 * PAD, "strong"), "strong")
        draw_arrows(canvas, picture, y + 30 + STATION // 2, share, readers)
        for guest in members:
            draw_station(canvas, picture, y + 30, share, guest)
        canvas.end()
        y += STATION + 50
    return y + 14


# ---- the machine's memory -------------------------------------------------------------------


def memory_shares(picture):
    """(bytes, fill, badge, label) of everything that takes host memory, and of what is left."""
    shares = [(guest.data["memory"], guest.colour, str(guest.number), guest.name) for guest in picture.guests]
    shares += [(share["len"], picture.colour(share.get("writer"))[0], "", share["name"])
               for share in picture.shared]
    left = (picture.machine.get("memory") or 0) - sum(share[0] for share in shares)
    if left > 0:
        shares.append((left, IDLE, "", "left over, also for the hypervisor"))
    return shares


def draw_scale(canvas, picture, y, shares):
    """One bar, to scale."""
    total = sum(share[0] for share in shares)
    done = 0
    for length, fill, badge, label in shares:
        x = MARGIN + done * picture.inner // total
        done += length
        width = max(MARGIN + done * picture.inner // total - x, 1)
        canvas.begin(f"{label}: {size_text(length)}", "share")
        canvas.rect(x, y, width, 28, fill, stroke=PAGE)
        if badge and width >= 20:
            canvas.text(x + width // 2, y + 19, badge, "badge", "#ffffff", "middle")
        canvas.end()


def draw_total(canvas, picture, y):
    """The machine's memory to scale, with a legend that has room for every name."""
    known = picture.machine.get("memory")
    remark = f"{size_text(known)}, to scale" if known else "to scale; the config does not say how much the machine has"
    y = section(canvas, picture, y, "Memory of the machine", remark)
    ranges = [span(item["base"], item["len"]) for item in picture.machine.get("ranges") or [] if item["len"]]
    if ranges:
        text = f"guests' memory lies in {', '.join(ranges)} only"
        for line in wrap(text, picture.inner, "small", 3):
            canvas.text(MARGIN, y + 8, line, "small", MUTED)
            y += LINE
    shares = memory_shares(picture)
    draw_scale(canvas, picture, y, shares)
    x, y = MARGIN, y + 38
    for length, fill, badge, label in shares:
        text = f"{badge} {label}, {size_text(length)}".strip()
        width = text_width(text, "small") + 32
        if x + width > picture.width - MARGIN and x > MARGIN:
            x, y = MARGIN, y + 18
        canvas.rect(x, y + 2, 10, 10, fill, radius=2)
        canvas.text(x + 15, y + 11, fit(text, picture.inner - 15, "small"), "small")
        x += width
    return y + 30


# ---- the whole ------------------------------------------------------------------------------


def style_sheet():
    """The classes of STYLES."""
    rules = [f"text{{font-family:{SANS}}}", ".card,.item{cursor:default}"]
    for name, (size, bold, mono) in STYLES.items():
        family = f";font-family:{MONO}" if mono else ""
        rules.append(f".{name}{{font-size:{size}px{';font-weight:700' * bold}{family}}}")
    return "\n".join(rules)


def description(picture):
    """The picture in words."""
    parts = []
    for guest in picture.guests:
        cores = ", ".join(map(str, guest.data["cpus"]))
        parts.append(f"{guest.name}: {guest.data['type']}, cores {cores}, {size_text(guest.data['memory'])}")
    for share in picture.shared:
        parts.append(f"{share['name']}: {share.get('writer') or 'nobody'} writes,"
                     f" {', '.join(share.get('readers') or []) or 'nobody'} reads")
    return ". ".join(parts) + "."


def svg(manifest):
    """The picture of a manifest (a dict as in build/NAME/manifest.json), as text."""
    picture, canvas = Map(manifest), Canvas()
    y = draw_header(canvas, picture)
    for draw in (draw_cores, draw_cards, draw_shared, draw_total):
        y = draw(canvas, picture, y)
    width, height = picture.width, y + 6
    head = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" role="img" aria-labelledby="map-title map-desc">
<title id="map-title">{escape(picture.data["name"])}: partition map</title>
<desc id="map-desc">{escape(description(picture))}</desc>
<style>
{style_sheet()}
</style>
<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect width="6" height="6" fill="{CARD}"/><rect width="3" height="6" fill="{RULE}"/></pattern>\
<pattern id="weave" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">\
<rect width="2" height="6" fill="{CARD}" fill-opacity="0.5"/></pattern></defs>
<rect width="{width}" height="{height}" rx="14" fill="{PAGE}"/>
"""
    return head + "\n".join(canvas.lines) + "\n</svg>\n"


def main(argv):
    """Command line."""
    if len(argv) != 2:
        print("usage: map_svg.py MANIFEST.json OUT.svg", file=sys.stderr)
        return 2
    with open(argv[0], encoding="utf-8") as stream:
        text = svg(json.load(stream))
    with open(argv[1], "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
