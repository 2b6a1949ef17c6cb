# SPDX-License-Identifier: BSD-2-Clause
"""A config file as YAML: its values, and the line on which each of them stands.

A place is a tuple of keys and indices from the root, as in ("guests", 0, "cpus", 1).
"""
import re

import yaml

MAX_NODES = 20000  # aliases can multiply a file of a few lines; no config has so many values
MAX_DEPTH = 40
# YAML 1.1 takes 0620 for octal, 1:30 for 90 and 1_0 for 10: here they are no numbers.
ODD_NUMBER = re.compile(r"[-+]?(0[0-9]+|[0-9_.]*[:_][0-9_:.]*)")
PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null"))


class SourceError(Exception):
    """The file cannot be read, or is not YAML; line counts from 1."""

    def __init__(self, code, line, why):
        super().__init__(why)
        self.code, self.line, self.why = code, line, why


class Source:
    """The parsed file. `value` is made of dict, list, str, int, float, bool and None."""

    def __init__(self, path):
        self.path = path
        self.lines = {}  # place -> line, of the key where there is one
        self.written = {}  # place of a scalar -> its text
        self.repeated = []  # (place, line of the repetition)
        self._nodes = 0
        root = _compose(path)
        if root is None:
            raise SourceError("BH002", 1, "it is empty")
        self.lines[()] = root.start_mark.line + 1
        self.value = self._convert(root, (), 0)

    def line(self, place):
        """Of a place, or of the nearest one around it that exists."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def show(self, place, value):
        """A value as it was written."""
        if place in self.written:
            return f"'{self.written[place]}'"
        if isinstance(value, list):
            return f"a list of {len(value)}" if value else "an empty list"
        return "a mapping" if isinstance(value, dict) else f"'{value}'"

    def _convert(self, node, place, depth):
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise SourceError("BH002", node.start_mark.line + 1, "it is too large or too deep")
        if isinstance(node, yaml.MappingNode):
            return self._convert_mapping(node, place, depth)
        if isinstance(node, yaml.SequenceNode):
            result = []
            for index, item in enumerate(node.value):
                self.lines[place + (index,)] = item.start_mark.line + 1
                result.append(self._convert(item, place + (index,), depth + 1))
            return result
        self.written[place] = node.value
        return _scalar(node)

    def _convert_mapping(self, node, place, depth):
        result = {}
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            line = key_node.start_mark.line + 1
            if key in result:
                self.repeated.append((place + (key,), line))
                continue
            self.lines[place + (key,)] = line
            result[key] = self._convert(value, place + (key,), depth + 1)
        return result


def _compose(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return yaml.compose(stream, Loader=yaml.SafeLoader)
    except OSError as error:
        raise SourceError("BH001", 1, error.strerror) from error
    except UnicodeDecodeError as error:
        raise SourceError("BH002", 1, "it is not UTF-8 text") from error
    except RecursionError as error:
        raise SourceError("BH002", 1, "it is too large or too deep") from error
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SourceError("BH002", mark.line + 1 if mark else 1, why) from error


def _scalar(node):
    """Numbers, truth values and nothing as such; dates and whatever else YAML knows as text."""
    if node.tag not in PLAIN_TAGS or ODD_NUMBER.fullmatch(node.value):
        return node.value
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (ValueError, OverflowError, KeyError, IndexError, yaml.YAMLError):
        return node.value
    finally:
        loader.dispose()
