#!/usr/bin/env python3
"""Are the tests there that docs/coverage.md and docs/guarantees.md name?

usage: test_coverage.py ROOT BUILD CTEST

In the last column of a table a word in backticks is a CTest name, a word with underscores that is
not in backticks a test in it, or the beginning of one with "..." behind it."""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = BUILD = CTEST = None
# Trees of their own; in the main tree only where tools/test configured it.
SANITIZER_TREES = {"asan_suite", "tsan_suite"}
TEST = re.compile(r"\bTest\(\w+,\s*(\w+)|\b(?:SOURCE|SINK|STORE)_TEST\((\w+)|\bdef (test_\w+)")
NAMED = re.compile(r"`((?:test|cli|sim|ledger|stress|spike|docs|abi)_[a-z0-9_]+)`")


def ctest_names():
    out = subprocess.run([CTEST, "--test-dir", BUILD, "-N"], capture_output=True, text=True,
                         check=True).stdout
    return set(re.findall(r"Test +#\d+: (\S+)", out)) | SANITIZER_TREES


def test_functions():
    found = set()
    for folder in ("tests", "tools", "bench"):
        for path in (pathlib.Path(ROOT) / folder).rglob("*"):
            if path.suffix in (".c", ".py"):
                for groups in TEST.findall(path.read_text(encoding="utf-8")):
                    found.update(name for name in groups if name)
    return found


def read(name):
    return (pathlib.Path(ROOT) / "docs" / name).read_text(encoding="utf-8")


def rows(text):
    """The cells of each row of each table, without the tables' heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and not set(line) <= set("|- ") and cells[-1] != "shown by":
            yield cells


class CoverageTest(unittest.TestCase):
    def check_cell(self, cell, names, functions):
        for name in re.findall(r"`([a-z0-9_]+)`", cell):
            self.assertIn(name, names, f"no CTest of that name: {cell}")
        for word in re.findall(r"[\w.]+", re.sub(r"`[^`]*`", " ", cell)):
            part = word.rstrip(".").rpartition(".")[2]
            if "_" not in part:
                continue
            if word.endswith("..."):
                self.assertTrue(any(name.startswith(part.rstrip("_")) for name in functions),
                                f"no test begins with {part}: {cell}")
            else:
                self.assertIn(part, functions, f"no test of that name: {cell}")

    def test_tests_of_the_tables_are_there(self):
        names, functions = ctest_names(), test_functions()
        for document in ("coverage.md", "guarantees.md"):
            with self.subTest(document):
                for cells in rows(read(document)):
                    self.check_cell(cells[-1], names, functions)

    def test_tests_of_the_text_are_there(self):
        names = ctest_names()
        for document in ("coverage.md", "guarantees.md"):
            for name in NAMED.findall(read(document)):
                self.assertIn(name, names, document)

    def test_each_clause_says_what_shows_it(self):
        for cells in rows(read("coverage.md")):
            self.assertEqual(len(cells), 2, cells)
            self.assertTrue(all(cells), cells)


if __name__ == "__main__":
    ROOT, BUILD, CTEST = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1])
