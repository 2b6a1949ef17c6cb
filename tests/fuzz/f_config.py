#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fuzz the config compiler: valid configs are mutated, as data and as text. There may be no
exception, each refusal has to be made of messages, and what is accepted is judged by the manifest:
nothing may be given away twice.

    tests/fuzz/f_config.py [--seconds S | --runs N] [--seed N]

A config that fails is left in build/fuzz/config.yaml. Exit status 0, or 1.
"""
import argparse
import contextlib
import copy
import io
import itertools
import os
import random
import re
import sys
import tempfile
import time

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "scripts"))
from config_cases import CASES, GOOD, bzimage, elf  # noqa: E402  pylint: disable=wrong-import-position
from test_config import COMPILER  # noqa: E402  pylint: disable=wrong-import-position
import emit  # noqa: E402  pylint: disable=wrong-import-position
import rules  # noqa: E402  pylint: disable=wrong-import-position

MESSAGES = re.compile(r"(?:config/m\.yaml:\d+: BH\d{3}: [^\n]+; ?[^\n]+\n?)+")
VALUES = (None, True, False, 0, 1, 2, 3, 8, 9, -1, 0x3F8, 0x600, 0xF4, 1 << 32, 1 << 64, 1.5, 2.0, "", "x",
          "1G", "16M", "16M\n", "18M", "64K", "3G", "5G", "0", [], {}, [0], [0, 1], [4], [5], "linux", "flat",
          "firmware", "multiboot", "halt", "restart", {"restart": 1, "within": "10s"}, "beat", "bios",
          "kernel", 0xD0000000, 0xD0001000, 0xFEE00000, 0xFFFFF000, 0x100000000, 0x1000, "10s",
          "0x0-0xfffffff", "0x100000000-0x1ffffffff", "build:beat.bin", "build:initrd", "deps:vmlinuz",
          "build:kernel.elf", "build:rom.bin", "build:none")


# ---- what may not be accepted ---------------------------------------------------------------


def disjoint(what, ranges):
    """No two of (base, len, name) may have anything in common."""
    for one, other in itertools.combinations(ranges, 2):
        if one[0] < other[0] + other[1] and other[0] < one[0] + one[1]:
            raise AssertionError(f"{what}: {one} overlaps {other}")


def judge(found):
    """The isolation that a manifest promises, from first principles."""
    machine = found["machine"] or {}
    cores = [(core, guest["name"]) for guest in found["guests"] for core in guest["cpus"]]
    disjoint("cores", [(core, 1, name) for core, name in cores])
    for core, _ in cores:
        assert 0 <= core < (machine.get("cores") or 48), f"core {core}"
    for group in machine.get("threads", ()):
        names = {name for core, name in cores if core in group}
        assert machine["share_threads"] or len(names) <= 1, f"threads of {names}"
    if machine.get("memory"):
        total = sum(guest["memory"] for guest in found["guests"])
        total += sum(region["len"] for region in found["shared"])
        assert total <= machine["memory"], "memory"
    for guest in found["guests"]:
        judge_guest(found, guest)
    for region in found["shared"]:
        assert region["readers"] and region["writer"] not in region["readers"], region
        assert len(set(region["readers"])) == len(region["readers"]), region


def judge_guest(found, guest):
    """One guest by itself."""
    places = [(p["base"], p["len"], p["what"]) for p in guest["map"]]
    places += [(0xFEE00000, 4096, "local APIC"), (0xFEC00000, 4096, "I/O APIC")]
    if "HPET" in guest["devices"]:
        places.append((0xFED00000, 4096, "HPET"))
    disjoint(f"{guest['name']}: addresses", places)
    for base, length, what in places:
        assert base % 4096 == 0 and length % 4096 == 0 and length, (guest["name"], what)
    disjoint(f"{guest['name']}: ports",
             [(p["base"], p["len"], p["device"]) for p in guest["ports"]])
    disjoint(f"{guest['name']}: interrupts", [(i["irq"], 1, i["device"]) for i in guest["irqs"]])
    ram = sum(p["len"] for p in guest["map"] if p["what"] == "RAM")
    hole = 0x20000 if guest["type"] == "firmware" else 0
    assert ram == guest["memory"] - hole, (guest["name"], ram)
    writable = [p["what"] for p in guest["map"] if "w" in p["access"] and p["what"] != "RAM"]
    own = [f"shared:{region['name']}" for region in found["shared"]
           if region["writer"] == guest["name"]]
    assert sorted(writable) == sorted(own), (guest["name"], writable)
    assert not (found["release"] and guest["debug"]), guest["name"]
    assert not guest["host_ports"], guest["name"]


# ---- mutations ------------------------------------------------------------------------------


def places(value, place=()):
    """Every place of a value, as a list of (container, key)."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from places(inner, place + (key,))


def mutate_data(rand, config):
    """One change of a config as data."""
    spots = list(places(config))
    if not spots:
        return
    container, key = rand.choice(spots)
    kind = rand.randrange(8)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif kind == 2:
        other, name = rand.choice(spots)
        container[key] = copy.deepcopy(other.get(name) if isinstance(other, dict)
                                       else other[min(name, len(other) - 1)] if other else None)
    elif kind == 3 and isinstance(container, dict):
        container[rand.choice(("cpus", "memory", "at", "load", "shared", "console", "hpet", "x"))] = (
            copy.deepcopy(rand.choice(VALUES)))
    elif kind in (4, 5, 6) and isinstance(container[key], int) and not isinstance(container[key], bool):
        container[key] += rand.choice((-4096, -1, 1, 2, 4096, 1 << 20))
    else:
        container[key] = copy.deepcopy(rand.choice(VALUES))


def mutate_text(rand, text):
    """A few changed characters, or a piece moved."""
    for _ in range(rand.randrange(1, 4)):
        at, length = rand.randrange(len(text)), rand.randrange(12)
        piece = rand.choice((rand.choice("{}[]:-!&*#?|>%@'\"\t\n x0189,"), "",
                             text[rand.randrange(len(text)):][:rand.randrange(60)]))
        text = text[:at] + piece + text[at + length:] or "x"
    return text


def seeds():
    """The good config, and those that each break one rule: a mutation may heal them."""
    found = [GOOD]
    for _, change, files, _ in CASES:
        if files or isinstance(change, str):
            continue
        text = GOOD
        for old, new in change:
            text = text.replace(old, new, 1)
        found.append(text)
    return found


def mutate(rand, texts):
    """A new config."""
    text = texts[0] if rand.randrange(3) else rand.choice(texts)
    if rand.randrange(3) == 0:
        return mutate_text(rand, text)
    config = yaml.safe_load(text)
    for _ in range(rand.choice((1, 1, 1, 2, 3, 4))):
        if isinstance(config, dict):
            mutate_data(rand, config)
    return yaml.safe_dump(config, sort_keys=False)


# ---- running --------------------------------------------------------------------------------


def make_tree():
    """Images for the configs; the process works in that folder."""
    for name, content in ((".deps/vmlinuz", bzimage()), ("build/initrd", b"i" * 5000),
                          ("build/beat.bin", b"b" * 100), ("build/rom.bin", b"r" * 8191 + b"!"),
                          ("build/kernel.elf", elf((0x100000, 256), (0x200000, 0x1000)))):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as stream:
            stream.write(content)
    os.makedirs("config", exist_ok=True)


def attempt(text):
    """Whether a config is accepted. Raises where the compiler is wrong."""
    with open("config/m.yaml", "w", encoding="utf-8") as stream:
        stream.write(text)
    problems = rules.Problems("config/m.yaml")
    folders = COMPILER.model.Folders(".", "build", ".deps")
    with contextlib.redirect_stderr(io.StringIO()):
        machine = COMPILER.load("config/m.yaml", folders, problems)
    if problems:
        said = "\n".join(problems.sorted())
        assert MESSAGES.fullmatch(said), said
        return False
    judge(emit.manifest(machine))
    emit.config_c(machine)
    return True


def main():
    """Exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    rand, texts = random.Random(options.seed), seeds()
    end = time.monotonic() + options.seconds if options.seconds else None
    runs = accepted = 0
    with tempfile.TemporaryDirectory(prefix="bulkhead-fuzz-") as folder:
        os.chdir(folder)
        make_tree()
        assert attempt(GOOD), "the config to begin with is refused"
        while (options.runs is None or runs < options.runs) and (not end or time.monotonic() < end):
            text = mutate(rand, texts)
            try:
                accepted += attempt(text)
            except Exception as error:  # pylint: disable=broad-exception-caught
                kept = os.path.join(ROOT, "build", "fuzz", "config.yaml")
                os.makedirs(os.path.dirname(kept), exist_ok=True)
                with open(kept, "w", encoding="utf-8") as stream:
                    stream.write(text)
                print(f"config: {kept}: {type(error).__name__}: {error}")
                return 1
            runs += 1
        os.chdir("/")
    print(f"config: {runs} configs, {accepted} of them accepted, none wrongly")
    return 0


if __name__ == "__main__":
    sys.exit(main())
