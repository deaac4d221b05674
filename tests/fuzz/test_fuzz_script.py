#!/usr/bin/env python3
"""fuzz.sh counts processor seconds, goes on where an earlier sitting ended, and tells what was
found. The targets are a script here that works for a moment and says what libFuzzer says.

usage: test_fuzz_script.py FUZZ_SH"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FUZZ = None
TARGET = """\
#!/usr/bin/env python3
import os, sys, time
sys.stderr.write(" ".join(sys.argv[1:]) + "\\n")
if os.environ.get("FOUND"):
    sys.exit(77)
begin = time.process_time()
while time.process_time() - begin < 0.55:
    pass
sys.stderr.write("Done 500 runs in 1 second(s)\\n")
"""


class FuzzScriptTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="strid-fuzz-")
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.build = self.root / "build"
        (self.build / "tests/fuzz").mkdir(parents=True)
        self.program(self.root / "bin/cmake", "#!/bin/sh\n")
        for name in ("url", "json"):
            self.program(self.build / "tests/fuzz" / f"fuzz_{name}", TARGET)

    @staticmethod
    def program(path, text):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def fuzz(self, seconds, *names, code=0, **environment):
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run([FUZZ, str(seconds), str(self.build), *names], text=True,
                              env={**os.environ, "PATH": path, **environment}, check=False,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def sittings(self, keep):
        lines = [line.split() for line in (keep / "sittings").read_text().splitlines()]
        for _, seconds, inputs, commit in lines:
            self.assertGreaterEqual(float(seconds), 0.55)
            self.assertEqual(inputs, "500")
            self.assertTrue(commit)
        return [line[0] for line in lines]

    def test_counts_processor_seconds(self):
        done = self.fuzz(1, "url")
        keep = self.build / "tests/fuzz"
        self.assertEqual(self.sittings(keep), ["url", "url"])
        self.assertIn("url: 1000 inputs in 1 processor seconds", done.stdout)
        log = (self.build / "fuzz_url.log").read_text()
        self.assertIn(f"{keep}/found_url tests/fuzz/corpus/url", log)
        self.assertIn("-max_total_time=2 ", log)
        self.fuzz(1, "url")  # without a folder that is kept it begins anew
        self.assertEqual(self.sittings(keep), ["url", "url"])

    def test_goes_on_where_an_earlier_sitting_ended(self):
        keep = self.root / "keep"
        self.fuzz(1, "url", FUZZ_KEEP=str(keep))
        self.assertEqual(self.sittings(keep), ["url", "url"])
        self.assertTrue((keep / "found_url").is_dir())
        done = self.fuzz(1, "url", "json", FUZZ_KEEP=str(keep))
        self.assertEqual(self.sittings(keep), ["url", "url", "json", "json"])
        self.assertIn("url: 1000 inputs", done.stdout)

    def test_what_was_found_ends_with_1_and_the_others_run(self):
        done = self.fuzz(1, "url", "json", code=1, FOUND="yes")
        for name in ("url", "json"):
            self.assertIn(f"{name}: found something: see {self.build}/fuzz_{name}.log",
                          done.stderr)


if __name__ == "__main__":
    FUZZ = sys.argv.pop(1)
    unittest.main()
