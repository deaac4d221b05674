"""Brokers that die, hang or rot while Strid reads and writes: the tests that end a broker, on one
of their own."""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import unittest

import kafka_case
from test_sink import OnTheBroker, RECORDS
from test_source import Copying, ENDS, PIPELINE

LEAVING_S = 60  # 5 s for the group, 15 s for librdkafka, and a slow machine


def catches(pid, number):
    """Whether the process has a handler for that signal."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(re.search(r"SigCgt:\s*(\w+)", text)[1], 16) >> (number - 1) & 1 == 1


class Own(unittest.TestCase):
    """The broker of all of them: its start takes longer than most of what is tested."""


def setUpModule():  # pylint: disable=invalid-name
    kafka_case.give_broker(Own, own=True)


def tearDownModule():  # pylint: disable=invalid-name
    Own.doClassCleanups()


class OfTheSource(Copying):
    @classmethod
    def setUpClass(cls):
        cls.broker, cls.brokers = Own.broker, Own.brokers


class BrokerWithDamage(OfTheSource):
    def test_batch_stops_its_partition(self):
        self.tool("create", "rot", 2)
        for first in (0, 10, 20):
            self.tool("produce", "rot", lines=[f'{n % 2}\tk\t{{"n":{n}}}'
                                               for n in range(first, first + 10)])
        self.broker.stop()  # in order: one that was killed looks at its logs and cuts them off
        log = self.broker.folder / "logs" / "rot-0" / "00000000000000000000.log"
        data = log.read_bytes()
        self.assertEqual(data.count(b'{"n":12}'), 1)
        log.write_bytes(data.replace(b'{"n":12}', b'{"n":92}'))
        self.broker.start()
        self.refused(self.copy("rot"), r"rot \[0\] cannot be read from offset 5 on: ")
        self.assertEqual(sorted(self.seen()), sorted([*range(0, 10, 2), *range(1, 30, 2)]))
        self.assertEqual(self.committed("rot", "rot"), {0: 5, 1: 15})
        self.refused("copy.yaml", r"rot \[0\] cannot be read from offset 5 on: ")


class BrokerThatDies(OfTheSource):
    def test_reading_goes_on(self):
        self.tool("create", "dies", 2)
        self.fill("dies", 0, 1000)
        self.write("copy.yaml", PIPELINE.format(topic="dies", group="dies", more=""))
        process = self.start("copy.yaml")
        self.wait_until("the first records", lambda: len(self.seen()) == 1000)
        self.broker.kill()
        self.broker.start()
        self.fill("dies", 1000, 1000)
        self.wait_until("all records", lambda: len(self.seen()) == 2000)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(kafka_case.DEADLINE_S), 0, self.log())
        self.assertEqual(sorted(self.seen()), list(range(2000)))

    def test_leaving_does_not_hang_where_the_broker_does(self):
        self.tool("create", "hangs", 2)
        self.fill("hangs", 0, 100)
        text = PIPELINE.format(topic="hangs", group="hangs", more="")
        self.write("copy.yaml", text.replace("refresh: 200ms", "refresh: 1h"))
        ways = ("stopped", "dead") if "STRID_LONG" in os.environ else ("stopped",)
        for number, what in enumerate(ways, 1):
            process = self.start("copy.yaml")
            self.fill("hangs", 100 * number, 100)
            self.wait_until("records", lambda: len(self.seen()) == 100 * (number + 1))
            if what == "stopped":
                self.broker.process.send_signal(signal.SIGSTOP)
            else:
                self.broker.kill()
            process.send_signal(signal.SIGTERM)
            try:
                self.assertEqual(process.wait(LEAVING_S), 0, f"{what}: {self.log()}")
            finally:
                if what == "stopped":
                    self.broker.process.send_signal(signal.SIGCONT)
                else:
                    self.broker.start()
        self.write("copy.yaml", PIPELINE.format(topic="hangs", group="hangs", more=ENDS))
        self.run_ok("copy.yaml")
        self.assertEqual(sorted(self.seen()), list(range(100 * (len(ways) + 1))))

    def test_many_short_runs(self):
        """Stopped at any time, also while the start waits for the broker: they end, and nothing is
        missing or there twice."""
        cycles, rng = (500 if "STRID_LONG" in os.environ else 8), random.Random(6)
        self.tool("create", "short", 3)
        self.write("copy.yaml", PIPELINE.format(topic="short", group="short", more=""))
        for cycle in range(cycles):
            self.fill("short", 20 * cycle, 20)
            process = self.start("copy.yaml")
            self.wait_until("a beginning", lambda: catches(process.pid, signal.SIGTERM))
            until = rng.random() * 0.3
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(until)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(LEAVING_S), 0, self.log())
        self.write("copy.yaml", PIPELINE.format(topic="short", group="short", more=ENDS))
        self.run_ok("copy.yaml")
        self.assertEqual(sorted(self.seen()), list(range(20 * cycles)))


class OfTheSink(OnTheBroker):
    @classmethod
    def setUpClass(cls):
        cls.broker, cls.brokers = Own.broker, Own.brokers

    def test_broker_that_dies_while_outputs_are_under_way(self):
        keys, rate = 7, 1500
        self.broker.create_topic("later", 1)
        self.write("later", ", kafka.reconnect.backoff.max.ms: 1000")
        path = self.folder / "pipeline.yaml"
        text = path.read_text(encoding="utf-8").replace(
            'url: "file:orders.jsonl", format: jsonl, key: customer',
            f'url: "generator:?records={2 * RECORDS}&keys={keys}&rate={rate}&format=json"')
        path.write_text(text, encoding="utf-8")
        with subprocess.Popen([kafka_case.STRID, "run", "pipeline.yaml", "--log-level", "debug"],
                              cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            while self.end() < RECORDS / 10:
                self.assertIsNone(process.poll())
            self.broker.kill()
            for line in process.stderr:  # until librdkafka says that nobody is there
                if "refused" in line:
                    break
            self.broker.start()
            rest = process.stderr.read()
            self.assertEqual(process.wait(timeout=120), 0, rest)
        seen = {}
        for _, _, key, value in self.read("later", self.end()):
            numbers = seen.setdefault(key, [])
            if json.loads(value)["n"] not in numbers:  # what was not answered for comes again
                numbers.append(json.loads(value)["n"])
        self.assertEqual(len(seen), keys)
        self.assertTrue(all(numbers == sorted(numbers) for numbers in seen.values()))
        self.assertEqual(sorted(sum(seen.values(), [])), list(range(2 * RECORDS)))

    def end(self):
        done = subprocess.run([kafka_case.TOOL, self.brokers, "extents", "later"], text=True,
                              stdout=subprocess.PIPE, timeout=kafka_case.DEADLINE_S, check=True)
        return int(done.stdout.split()[2])


if __name__ == "__main__":
    unittest.main()
