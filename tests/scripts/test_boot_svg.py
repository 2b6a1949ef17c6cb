#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The picture of the boot: what it reads from a console, that it is well-formed and repeats."""

import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
import boot_svg  # noqa: E402  pylint: disable=wrong-import-position,import-error

CONSOLE = """\
[bulkhead] phases: hand-over at TSC 1000, ticks of each:
[bulkhead] phases: entry 200 boot-info 100 clock 1500000
[bulkhead] phases: isolation 130000
[a] text of a guest
[bulkhead] guest a: start at TSC 1640000, ticks of each: verify 840000000 scrub 33500000 load 2000 reset 12
[bulkhead] guest b: start at TSC 1640100, ticks of each: verify 1 scrub 0 load 0 reset 12
"""
NAMESPACE = "{http://www.w3.org/2000/svg}"


class BootSvg(unittest.TestCase):
    """Of one console, and of two."""

    def test_lines_are_read(self):
        hand_over, phases, starts = boot_svg.parse(CONSOLE)
        self.assertEqual(hand_over, 1000)
        self.assertEqual(phases, [("entry", 200), ("boot-info", 100), ("clock", 1500000), ("isolation", 130000)])
        self.assertEqual(starts["b"], (1640100, [("verify", 1), ("scrub", 0), ("load", 0), ("reset", 12)]))

    def test_verify_is_not_in_the_sum(self):
        self.assertEqual(boot_svg.without_verify(boot_svg.parse(CONSOLE)[2]["a"][1]), 33502012)

    def test_console_without_phases(self):
        with self.assertRaisesRegex(ValueError, "hand-over"):
            boot_svg.parse("[bulkhead] REFUSED: nothing\n")

    def test_counts_for_people(self):
        for count, text in ((0, "0"), (999, "999"), (1000, "1.0 k"), (130000, "130 k"), (3715838, "3.7 M"),
                            (839460467, "839 M")):
            self.assertEqual(boot_svg.count_text(count), text)

    def test_picture(self):
        picture = boot_svg.svg([("one <&> core", CONSOLE), ("two", CONSOLE)])
        self.assertEqual(picture, boot_svg.svg([("one <&> core", CONSOLE), ("two", CONSOLE)]))
        root = ElementTree.fromstring(picture)
        texts = [element.text for element in root.iter(f"{NAMESPACE}text")]
        for text in ("one <&> core", "two", "boot", "a", "b", "35.1 M", "scrub 33.5 M", "clock 1.5 M"):
            self.assertIn(text, texts)
        for rect in root.iter(f"{NAMESPACE}rect"):
            self.assertLessEqual(int(rect.get("x", 0)) + int(rect.get("width")), boot_svg.WIDTH)


if __name__ == "__main__":
    unittest.main()
