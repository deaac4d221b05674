#!/usr/bin/env python3
"""`memory:` bounds the process: peak resident memory of `strid run` in the cases that strain it.

--long: a hundred times the memory in input."""
import re
import subprocess
import sys
import tempfile
import unittest

from command_case import STRID

MIB = 1 << 20
MEMORY = 128 * MIB
OVER = 1.2
LONG = "--long" in sys.argv
PIPELINE = """\
name: memory
memory: {memory}
workers: {workers}
source: {{ url: "generator:?seed=3&records={records}&keys={keys}&size={size}", format: raw }}
state: {{ url: "rocksdb:./state" }}
handlers:
  - {{ on: "*", {handler} }}
{rest}"""
COUNT = "count: { store: seen }"
PEAK = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def run(folder, **fields):
    values = {"memory": MEMORY, "workers": 2, "handler": COUNT, "rest": "", **fields}
    with open(f"{folder}/memory.yaml", "w", encoding="utf-8") as file:
        file.write(PIPELINE.format(**values))
    return subprocess.run([sys.executable, "-c", PEAK, STRID, "run", "memory.yaml"], cwd=folder,
                          capture_output=True, text=True, timeout=1200, check=False)


class MemoryTest(unittest.TestCase):
    def check(self, records, memory=MEMORY, **fields):
        with tempfile.TemporaryDirectory() as folder:
            done = run(folder, records=records, memory=memory, **fields)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{records:,} done", done.stderr)
        peak = int(re.search(r"peak (\d+)", done.stdout).group(1)) * 1024
        print(f"{self.id()}: {peak / MIB:.0f} of {memory / MIB:.0f} MiB", file=sys.stderr)
        self.assertLessEqual(peak, OVER * memory)

    def test_much_input(self):
        size = 4096
        total = 100 * MEMORY if LONG else 8 * MEMORY
        self.check(total // size, keys=10000, size=size)

    def test_state_beyond_memory(self):
        self.check(20_000_000 if LONG else 2_500_000, keys=6_000_000, size=100)

    def test_large_records(self):
        self.check(12_800 if LONG else 1_500, keys=1000, size=MIB)

    def test_large_records_that_are_written_on(self):
        self.check(12_800 if LONG else 600, keys=1000, size=MIB, handler="forward: { to: copy }",
                   rest='sink: { copy: "file:copy" }\n')

    def test_little_memory(self):
        self.check(1_000_000, memory=64 * MIB, keys=1_000_000, size=100)

    def test_too_little_memory_is_refused_with_the_least_that_works(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run(folder, records=1, keys=1, size=100, memory=40 * MIB, workers=8)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("too little for 8 workers", done.stderr)
        self.assertIn("at least 82MiB", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[word for word in sys.argv if word != "--long"])
