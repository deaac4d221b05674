#!/usr/bin/env python3
"""Shows that skips.py bites: a skipped test has to be listed, with a reason."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPORT = """<?xml version="1.0"?><testsuite>
<testcase name="runs" status="run"/>
<testcase name="waits" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
<testcase name="off" status="disabled"/>
</testsuite>"""


class Skips(unittest.TestCase):
    def check(self, listed):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("report", REPORT), ("skips", listed)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([sys.executable, os.path.join(HERE, "skips.py"),
                                   os.path.join(folder, "report"), os.path.join(folder, "skips")],
                                  capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_unlisted_skips_fail(self):
        code, said = self.check("# nothing\n")
        self.assertEqual(code, 1)
        self.assertIn("'waits'", said)
        self.assertIn("'off'", said)
        self.assertNotIn("'runs'", said)

    def test_listed_skips_pass_in_silence(self):
        self.assertEqual(self.check("waits  needs a moon  # really\noff  broken by law\n"), (0, ""))

    def test_a_reason_is_needed(self):
        code, said = self.check("waits\noff  broken by law\n")
        self.assertEqual(code, 1)
        self.assertIn("no reason", said)


if __name__ == "__main__":
    unittest.main()
