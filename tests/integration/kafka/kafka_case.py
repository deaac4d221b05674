"""A real broker for a class of tests, and the command run against it. Tests that do not end the
broker share one where ctest has started it (STRID_KAFKA_SHARED names the file that tells of it), so
topics have names of their own."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.environ["STRID_KAFKA_TOOLS"])
import broker  # noqa: E402
import shared_broker  # noqa: E402

STRID = os.environ["STRID_COMMAND"]
VERSION = os.environ.get("STRID_KAFKA_VERSION", broker.VERSION)
DEADLINE_S = 120
TOOL = os.environ["STRID_KAFKA_TOOL"]


def run(words, folder, timeout=DEADLINE_S):
    return subprocess.run([STRID, *words], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          check=False)


class Shared(broker.Broker):
    """The broker of the fixture, as far as tests may go: it is not theirs to end."""

    def __init__(self, about, folder):
        super().__init__(folder, about["version"])
        self.port = int(about["bootstrap"].split(":")[1])
        self.ports = about["ports"]
        self.security = broker.security.Security(about["security"], shared_broker.PASSWORDS)

    def start(self):
        raise AssertionError("this test needs a broker of its own: OWN_BROKER = True")

    kill = stop = start


def give_broker(case, own=False, version=VERSION):
    """To a class of tests: `broker` and `brokers`."""
    scratch = tempfile.TemporaryDirectory(prefix="strid-kafka-")
    case.addClassCleanup(scratch.cleanup)
    about = pathlib.Path(os.environ.get("STRID_KAFKA_SHARED", ""))
    if about.is_file() and not own:
        case.broker = Shared(json.loads(about.read_text(encoding="ascii")), scratch.name)
    else:
        case.broker = broker.Broker(scratch.name, version, passwords=shared_broker.PASSWORDS)
        case.addClassCleanup(case.broker.kill)
        case.broker.start()
    case.brokers = case.broker.bootstrap


class OnTheBroker(unittest.TestCase):
    """A broker for the class; a scratch folder for each test."""
    OWN_BROKER = False
    VERSION = VERSION

    @classmethod
    def setUpClass(cls):
        give_broker(cls, cls.OWN_BROKER, cls.VERSION)

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="strid-kafka-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def write(self, name, text):
        (self.folder / name).write_text(text.replace("@B", self.brokers), encoding="utf-8")

    def run_ok(self, name, *words):
        done = run(["run", name, *words], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def fill(self, topic, first, count, keys=7):
        """Records {"n": N} with the key N % keys, which chooses the partition."""
        self.tool("produce", topic,
                  lines=[f'-1\tk{n % keys}\t{{"n":{n}}}' for n in range(first, first + count)])

    def tool(self, *words, lines=()):
        """What kafka_tool prints. `lines` are what it is to produce."""
        done = subprocess.run([TOOL, self.brokers, *map(str, words)], text=True, check=False,
                              input="".join(f"{line}\n" for line in lines), timeout=DEADLINE_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def extents(self, topic):
        """(low, high) of each partition."""
        rows = [line.split() for line in self.tool("extents", topic).splitlines()]
        return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}

    def ends(self, topic):
        return {number: high for number, (_, high) in self.extents(topic).items()}

    def committed(self, group, topic):
        rows = [line.split() for line in self.tool("committed", group, topic).splitlines()]
        return {int(row[0]): int(row[1]) for row in rows}

    def seen(self, name="out.jsonl"):
        """The numbers that a pipeline with a file sink has put out, in order for each key."""
        path = self.folder / name
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8")
        whole = text[:text.rfind("\n") + 1]  # a run that goes on may be in the middle of a line
        return [json.loads(line)["value"]["n"] for line in whole.splitlines()]

    def wait_until(self, what, condition):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what} within {DEADLINE_S} s; {self.log()}")
            time.sleep(0.05)

    def start(self, *words):
        """A run that goes on; what it says lies in the file `log`."""
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([STRID, "run", *words], cwd=self.folder, stderr=log,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def log(self):
        path = self.folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""
