# SPDX-License-Identifier: BSD-2-Clause
"""docs/CONFIG.md, made from config/schema.json and the rules, so that it cannot drift from them."""
import os
import re

import structure
from rules import RULES

DEMO = os.path.join(os.path.dirname(__file__), "..", "..", "config", "demo.yaml")

HEAD = """\
<!-- Made by `make docs/CONFIG.md` from config/schema.json and scripts/config/rules.py; edit those. -->
# Configs

A file `config/NAME.yaml` describes one machine: its guests, and what each of them has. `make CONFIG=NAME` checks it,
compiles it to constant tables, embeds the guests' images with their hashes, and draws the partition map. There is
nothing else that says who gets what: what is not in the file, no guest has.

This is `config/demo.yaml`:

```yaml
{demo}```

Editors that know JSON Schema complete and check a config while it is written: the first line of each sample names
`config/schema.json` for them.

| written to `build/NAME/` | |
|---|---|
| `bulkhead.iso`, `bulkhead.elf` | the image |
| `map.svg` | the partition map: cores, memory, devices and channels by guest. The boot report prints it as text |
| `manifest.json` | the same for programs, with the hash of each image; `scripts/second_opinion` compares a booted machine with it |

Same files, same bytes: what is written depends on nothing else.

## How values are written

| | |
|---|---|
| size | `256M`, `1G`, `64K`, `16MiB`, or a number of bytes |
| address, port | a number: `0x3f8` or `1016` |
| time | `30s`, `5min`, or a number of seconds |
| image | `build:FILE`: made by the build. `deps:FILE`: fetched by set-up. Else a path from the root of the tree |

## Keys
"""

RULES_HEAD = """
## Messages

Everything that is wrong is reported in one go, sorted by line, and nothing is built then:

    config/demo.yaml:19: BH020: guest 'heartbeat': core 0 is used twice (also config/demo.yaml:11); choose another core, or fewer

File and line, a code that does not change its meaning, what is wrong, the other place where there is one, a way out.
What only the machine itself can tell is checked when it boots, and refused with the same codes.

| code | message | way out |
|---|---|---|
"""

GROUPS = {  # first code of a group -> its title
    "BH001": "The file", "BH010": "Names", "BH020": "Cores", "BH030": "Memory",
    "BH040": "Guest-physical addresses", "BH050": "Devices", "BH060": "Images", "BH080": "Policies",
    "BH090": "Shared memory", "BH100": "Releases",
}


def document():
    """The whole text."""
    schema = structure.schema()
    with open(DEMO, encoding="utf-8") as stream:
        text = HEAD.replace("{demo}", stream.read())
    parts = schema["definitions"]
    devices = parts["guest"]["properties"]["devices"]["properties"]
    for title, part in (
            ("Top level", schema),
            ("`machine:`", schema["properties"]["machine"]),
            ("Each of `guests:`", parts["guest"]),
            ("`devices:` of a guest", parts["guest"]["properties"]["devices"]),
            ("`devices: fw_cfg:`", devices["fw_cfg"]),
            ("`devices: watchdog:`", devices["watchdog"]),
            ("`debug:` of a guest", parts["guest"]["properties"]["debug"]),
            ("`on_crash:`, `on_reset:`, `on_poweroff:` as a mapping", parts["policy"]["anyOf"][1]),
            ("Each of `shared:`", parts["region"]),
            ("`writer:`, and each of `readers:`", parts["share"])):
        text += f"\n### {title}\n\n" + _keys(_resolve(part, schema))
    return text + RULES_HEAD + _rules()


def _resolve(part, schema):
    """The definition that a part refers to, if it does."""
    name = part.get("$ref", "").rpartition("/")[2]
    return schema["definitions"][name] if name else part


def _keys(part):
    """A table of one mapping's keys."""
    rows = "| key | | default |\n|---|---|---|\n"
    for key, value in part["properties"].items():
        text = value["description"]
        if "x-types" in value:
            text += f" Only {' and '.join(f'`{kind}`' for kind in value['x-types'])}."
        rows += f"| `{key}` | {text} | {_default(key, value, part)} |\n"
    return rows


def _default(key, value, part):
    """What holds if the key is not given."""
    if key in part.get("required", ()):
        return "has to be given"
    if "x-default" in value:
        text = value["x-default"]
        return f"`{text}`" if text.startswith("0x") else text
    if "default" in value:
        default = value["default"]
        return f"`{str(default).lower()}`" if default != [] else "none of it"
    return ""


def _rules():
    """The table of all rules, in groups."""
    text = ""
    for code, rule in RULES.items():
        if code in GROUPS:
            text += f"| | **{GROUPS[code]}** | |\n"
        why = f"<br>{rule.why}" if rule.why else ""
        text += f"| {code} | {_words(rule.says)}{why} | {_words(rule.fix)} |\n"
    return text


def _words(text):
    """A message with its gaps as words in italics."""
    return re.sub(r"{(\w+)}", lambda gap: f"*{gap[1]}*", text.replace("|", "\\|"))
