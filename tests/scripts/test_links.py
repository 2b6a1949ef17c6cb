#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a document links to in this tree is there."""

import re
import subprocess
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def documents():
    """All that are under version control, or are to be."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=TREE,
                           check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    return [TREE / name for name in names]


def broken_links(document, text):
    """Relative links whose file is missing."""
    targets = (target.partition("#")[0] for target in LINK.findall(CODE.sub("", text)) if "://" not in target)
    return [target for target in targets if target and not (document.parent / target).exists()]


class Links(unittest.TestCase):
    """Of all documents."""

    def test_every_relative_link_leads_to_a_file(self):
        found = documents()
        self.assertIn(TREE / "README.md", found)
        broken = [f"{path.relative_to(TREE)}: {target}" for path in found
                  for target in broken_links(path, path.read_text(encoding="utf-8"))]
        self.assertEqual(broken, [])

    def test_what_counts_as_broken(self):
        text = "[a](README.md#there) [b](no.md) ![c](https://x/y.png) [d](#here) `[e](none)`\n```\n[f](none)\n```\n"
        self.assertEqual(broken_links(TREE / "any.md", text), ["no.md"])


if __name__ == "__main__":
    unittest.main()
