"""What the tests of the command share: a temporary folder, running `strid`, a terminal for it."""
import errno
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

STRID = os.environ.get("STRID_COMMAND", "strid")
DEADLINE_S = 60

TOTALS = """\
name: totals
source: { url: "file:orders.jsonl", format: jsonl, key: customer, type: kind }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "order", count: { store: orders } }
  - { on: "order", sum: { store: spent, field: amount } }
"""

ENDLESS = """\
name: endless
source: { url: "generator:?seed=7&keys=100&rate=20000&format=json", format: jsonl, key: key }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: seen } }
"""


class Terminal:
    """A command whose standard error is a terminal."""

    def __init__(self, words, folder, **environment):
        self.master, slave = pty.openpty()
        env = dict(os.environ, TERM="xterm", **environment)
        self.process = subprocess.Popen([STRID, *words], cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=slave, env=env)
        os.close(slave)
        self.seen = ""

    def read_until(self, found, what):
        """Reads until found(text) is true; fails after the deadline or at the end."""
        end = time.monotonic() + DEADLINE_S
        while not found(self.seen):
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"no {what} within {DEADLINE_S} s in: {self.seen[-2000:]}")
            data = self.read()
            if data == "":
                raise AssertionError(f"ended without {what}: {self.seen[-2000:]}")

    def read(self):
        try:
            data = os.read(self.master, 4096).decode("utf-8", "replace")
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = ""
        self.seen += data
        return data

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """The exit code, once the command has ended by itself."""
        watchdog_end = time.monotonic() + DEADLINE_S
        while time.monotonic() < watchdog_end:
            if select.select([self.master], [], [], 1)[0]:
                if self.read() == "":
                    break
            elif self.process.poll() is not None:
                break
        code = self.process.wait(timeout=DEADLINE_S)
        self.process.stdout.close()
        os.close(self.master)
        return code

    def stop_hard(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if not self.process.stdout.closed:
            self.process.stdout.close()
            os.close(self.master)


class CommandCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="strid-cli-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, text, mode="w"):
        data = text if isinstance(text, bytes) else text.encode()
        with open(os.path.join(self.folder, name), mode[0] + "b") as file:
            file.write(data)

    def path(self, name):
        return os.path.join(self.folder, name)

    def strid(self, *words, code=0, given=b"", **environment):
        """Runs the command on `given` to its end and expects its exit code, if not None."""
        done = subprocess.run([STRID, *words], cwd=self.folder, capture_output=True, check=False,
                              input=given if isinstance(given, bytes) else given.encode(),
                              timeout=DEADLINE_S, env=dict(os.environ, **environment))
        done.out = done.stdout.decode("utf-8", "replace")
        done.err = done.stderr.decode("utf-8", "replace")
        if code is not None:
            self.assertEqual(done.returncode, code,
                             f"strid {' '.join(words)}\n{done.out}\n{done.err}")
        return done

    def terminal(self, *words, **environment):
        terminal = Terminal(words, self.folder, **environment)
        self.addCleanup(terminal.stop_hard)
        return terminal

    def json_lines(self, text):
        return [json.loads(line) for line in text.splitlines()]

    def scan(self, store):
        """The store as a dictionary, by `state scan --json`."""
        out = self.strid("state", "scan", "rocksdb:./state", "--store", store, "--json").out
        rows = self.json_lines(out)
        self.assertEqual(len({row["key"] for row in rows}), len(rows), "a key came twice")
        return {row["key"]: row["value"] for row in rows}


def main():
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
