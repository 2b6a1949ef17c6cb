#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The formulas of scripts/scale_model.py where the answer is known from the manual's table formats, the fit, and the
picture."""

import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
import scale_model as model  # noqa: E402  pylint: disable=wrong-import-position,import-error
import scale_svg  # noqa: E402  pylint: disable=wrong-import-position,import-error
import scale_text  # noqa: E402  pylint: disable=wrong-import-position,import-error
from scale_model import GIB, KIB, MIB, Guest  # noqa: E402  pylint: disable=wrong-import-position,import-error


class Tables(unittest.TestCase):
    """A table has 512 entries: a leaf of 1 GiB needs two tables, one of 2 MiB three, one of 4 KiB four."""

    def test_the_largest_pages_that_fit(self):
        self.assertEqual(list(model.leaves(0, 0, GIB + 2 * MIB + 4 * KIB, 3)), [(0, 3), (GIB, 2), (GIB + 2 * MIB, 1)])
        self.assertEqual({level for _, level in model.leaves(0, 4 * KIB, 4 * MIB, 3)}, {1})
        self.assertEqual({level for _, level in model.leaves(0, 2 * MIB, GIB, 3)}, {2})

    def test_tables(self):
        self.assertEqual(model.tables([(0, 3)]), 2)
        self.assertEqual(model.tables([(0, 2)]), 3)
        self.assertEqual(model.tables([(0, 1)]), 4)
        self.assertEqual(model.tables([(i * 4 * KIB, 1) for i in range(513)]), 5)
        self.assertEqual(model.tables([(0, 1), (1 << 47, 1)]), 7)

    def test_epts(self):
        self.assertEqual(model.ept_pages(Guest(64 * GIB)), (2, 4))
        self.assertEqual(model.ept_pages(Guest(16 * MIB)), (3, 5))
        self.assertEqual(model.ept_pages(Guest(16 * MIB, direct=True)), (3, 0))

    def test_stacks_of_32_cores_share_a_table(self):
        image = (MIB, MIB, MIB)

        def count(cores):
            return model.tables(model.host_pages(cores, image))
        self.assertEqual(count(32), count(1))
        self.assertEqual(count(33), count(1) + 1)
        self.assertEqual(count(65), count(1) + 3)

    def test_what_the_pool_has_room_for(self):
        image = (200 * KIB, 100 * KIB, 400 * KIB)
        count = model.most_guests(model.CPU_MAX, Guest(256 * MIB), image)
        for guests, fits in ((count, True), (count + 1, False)):
            pages = sum(model.pool(model.CPU_MAX, [Guest(256 * MIB)] * guests, image).values())
            self.assertEqual(pages <= model.POOL_PAGES, fits)


class Text(unittest.TestCase):

    def test_a_fit_finds_what_was_put_in(self):
        rows = [((1, x, x * x), 7 - 3 * x + 2 * x * x) for x in range(5)]
        for found, expected in zip(scale_text.fit(rows), (7, -3, 2)):
            self.assertAlmostEqual(found, expected)

    def test_picture(self):
        picture = scale_svg.svg([("a < b", [(1, 40), (256, 4000)], [(2, 50)])], scale_text.LIMITS)
        root = ElementTree.fromstring(picture)
        titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
        self.assertIn("a < b, 2 cores, measured: 50 pages", titles)


if __name__ == "__main__":
    unittest.main()
