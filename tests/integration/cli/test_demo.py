#!/usr/bin/env python3
"""The demo, as somebody sees it who runs it for the first time."""
import collections
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from command_case import STRID, main

ROOT = os.path.dirname(os.environ["STRID_DOCS"])
ACTIONS = ("install", "upgrade", "remove", "purge", "configure", "trigproc")


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="strid-demo-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def demo(self, log, *words):
        environment = dict(os.environ, STRID_COMMAND=STRID, DPKG_LOG=log,
                           STRID_BUILD_PREFIX=os.path.join(self.folder, "build"))
        done = subprocess.run([os.path.join(ROOT, "tools/demo"), *words], capture_output=True,
                              text=True, timeout=240, check=False, env=environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def log(self, packages):
        path = os.path.join(self.folder, "dpkg.log")
        with open(path, "w", encoding="utf-8") as file:
            for number in range(packages):
                for _ in range(number + 1):
                    file.write(f"2026-01-01 00:00:00 install p{number}:amd64 <none> 1\n")
                file.write(f"2026-01-01 00:00:01 status installed p{number}:amd64 1\n"
                           "2026-01-01 00:00:02 startup archives unpack\n")
        return path

    def test_ten_most_frequent_packages_summary_and_what_to_try_next(self):
        done = self.demo(self.log(12))
        top = re.findall(r"^ +(\d+)  (p\d+):amd64$", done.stdout, re.M)
        self.assertEqual(top, [(str(12 - n), f"p{11 - n}") for n in range(10)])
        self.assertIn("install: 78 times, 12 packages", done.stdout)
        self.assertRegex(done.stderr, r"\b90 records in .* records/s")
        self.assertIn("every package of every action exactly 500 times as often", done.stdout)
        self.assertIn("What to try next:", done.stdout)

    def test_help(self):
        for name in ("demo", "test"):
            done = subprocess.run([os.path.join(ROOT, "tools", name), "--help"], check=True,
                                  capture_output=True, text=True)
            self.assertIn(f"tools/{name} ", done.stdout)
            self.assertIn("Environment: ", done.stdout)
            self.assertNotIn("bin/sh", done.stdout)
            done = subprocess.run([os.path.join(ROOT, "tools", name), "--what"], check=False,
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("known: --", done.stderr)

    def test_a_build_folder_that_cannot_be_made_is_named(self):
        blocked = os.path.join(self.log(1), "build")  # below a file
        done = subprocess.run([os.path.join(ROOT, "tools/demo")], capture_output=True, text=True,
                              check=False, env=dict(os.environ, STRID_COMMAND=STRID,
                                                    STRID_BUILD_PREFIX=blocked))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"{blocked} cannot be written; set STRID_BUILD_PREFIX", done.stderr)

    def test_again_handles_what_was_appended(self):
        log = self.log(2)
        self.demo(log)
        with open(log, "a", encoding="utf-8") as file:
            file.write("2026-01-02 00:00:00 install p0:amd64 <none> 1\n")
        done = self.demo(log, "--again")
        self.assertRegex(done.stderr, r"\b1 records? in ")
        self.assertIn("install: 4 times, 2 packages", done.stdout)

    def test_where_there_is_no_log_a_like_file_is_made(self):
        done = self.demo(os.path.join(self.folder, "none.log"))
        self.assertIn("making a like file", done.stdout)
        expected = collections.Counter()
        with open(os.path.join(self.folder, "build/demo/dpkg.log"), encoding="utf-8") as file:
            for line in file:
                if line.split()[2] in ACTIONS:
                    expected[line.split()[2]] += 1
        for action, count in expected.items():
            self.assertRegex(done.stdout, rf"(?m)^{action}: {count:,} times, \d+ packages$")


if __name__ == "__main__":
    main()
