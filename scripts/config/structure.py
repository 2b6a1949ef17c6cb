# SPDX-License-Identifier: BSD-2-Clause
"""The structure of a config, by config/schema.json: which keys there are and what they may hold.

The jsonschema library finds what is wrong; here it becomes a rule's sentence. Texts come from the
schema's own annotations: x-says (what to write), x-default, x-types (of guests that have the key).
"""
import difflib
import json
import os
import re

from jsonschema import Draft7Validator, ValidationError, validators

SCHEMA = os.path.join(os.path.dirname(__file__), "..", "..", "config", "schema.json")
FW_CFG = ("kernel", "initrd", "cmdline")
HINTS = {  # for keys that are missing
    "guests": "guests: and a list of them",
    "name": "name: with 1 to 15 of a-z, 0-9 and '-'",
    "type": "type: linux, multiboot, flat or firmware",
    "memory": "for example memory: 256M",
    "kernel": "kernel: with the path of its image",
    "size": "for example size: 64K",
    "guest": "guest: with the name of one",
    "at": "for example at: 0xd0000000",
    "file": "file: with a path",
    "restart": "for example restart: 3",
    "timeout": "for example timeout: 30s",
}


def _pattern(_validator, pattern, instance, _schema):
    """All of ours are anchored; to Python, but not to JSON Schema, `$` is also before a last newline."""
    if isinstance(instance, str) and not re.fullmatch(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# Numbers with a point are none that a config has, though 2.0 is an integer to JSON Schema.
Validator = validators.extend(
    Draft7Validator, {"pattern": _pattern}, type_checker=Draft7Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)))


def schema():
    """config/schema.json."""
    with open(SCHEMA, encoding="utf-8") as stream:
        return json.load(stream)


def check(source, problems):
    """Report what the schema finds. Returns the places whose values cannot be used."""
    bad = set()
    for place, line in source.repeated:
        problems.add("BH004", line, source.line(place), what=label(source, place[:-1]),
                     key=place[-1])
    rules = schema()
    for error in Validator(rules).iter_errors(source.value):
        for leaf in _telling(error):
            bad |= _report(source, leaf, problems)
    guests = source.value.get("guests") if isinstance(source.value, dict) else None
    for index, guest in enumerate(guests if isinstance(guests, list) else []):
        if isinstance(guest, dict):
            bad |= _foreign_keys(source, ("guests", index), guest, rules, problems)
    return bad


def _foreign_keys(source, place, guest, rules, problems):
    """Keys that exist, but for another type of guest. Returns their places."""
    known = rules["definitions"]["guest"]["properties"]
    kind = guest.get("type")
    bad = set()
    for key in guest if kind in known["type"]["enum"] else ():
        if kind in known.get(key, {}).get("x-types", [kind]):
            continue
        hint = " or move it to devices: fw_cfg:" if key in FW_CFG and kind == "firmware" else ""
        problems.add("BH005", source.line(place + (key,)), what=label(source, place), key=key,
                     type=kind, hint=hint)
        bad.add(place + (key,))
    return bad


def label(source, place):
    """What a place belongs to, for people: "guest 'linux'", "guest 'linux': fw_cfg"."""
    words = []
    value = source.value
    for depth, step in enumerate(place):
        if isinstance(step, int):
            name = _name(value[step])
            if depth == 1:
                kind = {"guests": "guest", "shared": "shared region"}.get(place[0], place[0])
                words = [f"{kind} '{name}'" if name else f"{kind} number {step + 1}"]
            elif name:
                words.append(name)
        else:
            words.append(step)
        value = value[step]
    return ": ".join(words) or "config"


def _name(value):
    """The name that a part gives itself, wherever that can be known."""
    name = value.get("name", value.get("guest")) if isinstance(value, dict) else None
    return name if isinstance(name, str) else None


def _telling(error):
    """The errors that say most: of an anyOf, those of the one form that was meant."""
    if error.validator != "anyOf":
        return [error]
    branches = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    meant = [inner for inner in branches.values() if not any(_is_refusal(e, error) for e in inner)]
    if len(meant) == 1:
        return [leaf for inner in meant[0] for leaf in _telling(inner)]
    return [error]


def _is_refusal(inner, outer):
    """Whether an alternative fails as a whole, not in one of its parts."""
    structural = ("additionalProperties", "required", "oneOf")
    return inner.absolute_path == outer.absolute_path and inner.validator not in structural


def _report(source, error, problems):
    """One error of the schema as a rule's sentence. Returns the places that cannot be used."""
    place = tuple(error.absolute_path)
    what = label(source, place)
    if error.validator == "additionalProperties":
        return _report_unknown(source, error, place, problems)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        for key in missing:
            problems.add("BH006", source.line(place), what=what, key=f"'{key}'", hint=HINTS[key])
        return set()
    if error.schema is False:
        return set()  # a key of another type: _foreign_keys says so
    if error.validator == "oneOf" and not isinstance(error.instance, dict):
        return set()  # its type is refused too
    if error.validator == "oneOf":
        keys = [part["required"][0] for part in error.validator_value]
        given = [key for key in keys if key in error.instance]
        problems.add("BH008" if given else "BH006", source.line(place), what=what,
                     key=" or ".join(f"'{key}'" for key in keys), hint="one of them")
    else:
        problems.add("BH007", source.line(place), what=what, says=error.schema["x-says"],
                     value=source.show(place, error.instance))
    return {place}


def _report_unknown(source, error, place, problems):
    known = list(error.schema["properties"])
    bad = set()
    for key in error.instance:
        if key in known:
            continue
        problems.add("BH003", source.line(place + (key,)), what=label(source, place), key=key,
                     hint=_nearest(key, error.schema["properties"]))
        bad.add(place + (key,))
    return bad


def _nearest(key, known):
    """What to write instead of an unknown key."""
    inside = [name for name, part in known.items() if key in part.get("properties", {})]
    if inside:
        return f"write it under {inside[0]}:"
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else "known keys: " + ", ".join(known)
