#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compile config/NAME.yaml, or say what is wrong with it.

  python3 scripts/config [options] CONFIG.yaml OUTDIR
        writes OUTDIR/config.c, images.S, manifest.json and map.svg
  python3 scripts/config [options] --check CONFIG.yaml
        writes nothing
  python3 scripts/config [options] --list-images CONFIG.yaml
        prints the images' paths, one a line; they need not exist
  python3 scripts/config --document
        prints docs/CONFIG.md, made from the schema and the rules

Paths in a config:  build:FILE is BUILD_DIR/FILE, deps:FILE is DEPS_DIR/FILE, any other path is
relative to the root of the tree. Keys, values and rules: docs/CONFIG.md.

Every problem found is printed, one a line, sorted by line: FILE:LINE: CODE: what is wrong (also
FILE:LINE); what to do. Exit status 0, or 1 if there was any problem (nothing is written then), or
2 for wrong arguments.
"""
import argparse
import os
import sys

import check
import document
import emit
import machine as model
import structure
from rules import Problems
from source import Source, SourceError


def load(path, folders, problems, built=True):
    """The config as a machine, checked; None where there is nothing to look at.
    built: the images exist, and are checked too."""
    try:
        source = Source(path)
    except SourceError as error:
        problems.add(error.code, error.line, why=error.why)
        return None
    bad = structure.check(source, problems)
    if not isinstance(source.value, dict):
        return None
    machine = model.Reader(source, bad, folders, structure.label).machine()
    check.check(machine, problems, built)
    return machine


def parse_arguments(argv):
    """The command line."""
    root = os.path.relpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    parser = argparse.ArgumentParser(prog="scripts/config", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--list-images", action="store_true")
    parser.add_argument("--document", action="store_true")
    parser.add_argument("--root", default=root, help="root of the tree [where this script is]")
    parser.add_argument("--build-dir", default="build", help="what build: stands for [build]")
    parser.add_argument("--deps-dir", default=".deps", help="what deps: stands for [.deps]")
    parser.add_argument("config", metavar="CONFIG.yaml", nargs="?")
    parser.add_argument("outdir", metavar="OUTDIR", nargs="?")
    options = parser.parse_args(argv)
    compiling = not (options.check or options.list_images or options.document)
    if options.document == (options.config is not None) or compiling != (options.outdir is not None):
        parser.error("give CONFIG.yaml, and OUTDIR to compile")
    return options


def main(argv):
    """Exit status."""
    options = parse_arguments(argv)
    if options.document:
        print(document.document(), end="")
        return 0
    problems = Problems(options.config)
    folders = model.Folders(options.root, options.build_dir, options.deps_dir)
    machine = load(options.config, folders, problems, built=not options.list_images)
    if problems:
        print("\n".join(problems.sorted()), file=sys.stderr)
        return 1
    if options.list_images:
        print("\n".join(machine.images()))
    elif options.outdir:
        emit.write_all(machine, options.outdir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
