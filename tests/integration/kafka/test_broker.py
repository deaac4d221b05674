"""The broker under the tests of Kafka: it starts, survives kill -9, and says what is wrong."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.environ["STRID_KAFKA_TOOLS"])
import broker  # noqa: E402

SCRIPT = pathlib.Path(os.environ["STRID_KAFKA_TOOLS"]) / "broker.py"
# tools/test runs the version that CI pins; another one by hand: STRID_KAFKA_VERSION=3.9.1.
VERSION = os.environ.get("STRID_KAFKA_VERSION", broker.VERSION)
RECORDS = 100
DEADLINE_S = 30


class RealBroker(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="strid-kafka-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name) / "broker"
        self.broker = broker.Broker(self.folder, VERSION)
        self.addCleanup(self.broker.kill)

    def produce(self, topic):
        words = ["--topic", topic, "--num-records", str(RECORDS), "--record-size", "100",
                 "--throughput", "-1", "--producer-props",
                 f"bootstrap.servers={self.broker.bootstrap}", "acks=all"]
        self.broker.tool("org.apache.kafka.tools.ProducerPerformance", *words)

    def test_keeps_address_and_records_across_kill(self):
        self.broker.start()
        self.broker.create_topic("orders", 3, retention_ms=-1)
        self.produce("orders")
        before = self.broker.end_offsets("orders")
        self.assertEqual(set(before), {0, 1, 2})
        self.assertEqual(sum(before.values()), RECORDS)

        address, first = self.broker.bootstrap, self.broker.process.pid
        self.broker.kill()
        self.broker.start()
        self.assertEqual(self.broker.bootstrap, address)
        self.assertNotEqual(self.broker.process.pid, first)
        self.assertEqual(self.broker.end_offsets("orders"), before)

        with self.assertRaisesRegex(broker.BrokerError, "runs already"):
            self.broker.start()
        with self.assertRaisesRegex(broker.BrokerError, "another broker uses .*another folder"):
            broker.Broker(self.folder, VERSION).start()
        with self.assertRaisesRegex(broker.BrokerError, "already exists"):
            self.broker.create_topic("orders", 3)
        # A refused start has not taken the lock or the broker away.
        self.assertEqual(self.broker.end_offsets("orders"), before)

    def test_a_broker_that_cannot_start_says_why(self):
        self.broker.heap = "1x"
        with self.assertRaisesRegex(broker.BrokerError, r"ended with 1;.*\nInvalid maximum heap"):
            self.broker.start()
        self.assertIsNone(self.broker.process)

    def test_dies_with_the_process_that_started_it(self):
        with subprocess.Popen([sys.executable, SCRIPT, "--kafka", VERSION, "run", self.folder],
                              stdout=subprocess.PIPE, text=True) as script:
            self.addCleanup(script.kill)
            line = script.stdout.readline()
            self.assertRegex(line, rf"^Kafka {VERSION} at 127\.0\.0\.1:\d+, pid \d+$")
            script.send_signal(signal.SIGKILL)
        self.assert_gone(int(line.split()[-1]))

    def assert_gone(self, pid):
        end = time.monotonic() + DEADLINE_S
        while pathlib.Path(f"/proc/{pid}/cmdline").exists():
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
            self.assertLess(time.monotonic(), end, f"process {pid} is still there")


class WithoutJars(unittest.TestCase):
    def fetch(self, version, path):
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run([sys.executable, SCRIPT, "--kafka", version, "fetch"], text=True,
                                  env={"PATH": path, "XDG_CACHE_HOME": cache}, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            left = [name for name in os.listdir(f"{cache}/strid/kafka") if name == version] \
                if os.path.isdir(f"{cache}/strid/kafka") else []
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(left, [])
        return done.stderr

    def test_missing_maven_names_its_package(self):
        self.assertIn("apt-get install maven", self.fetch(VERSION, "/nowhere"))

    def test_failed_maven_is_reported_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as commands:
            for name, text in (("mvn", "echo no such artifact; exit 3"), ("java", "exit 0")):
                path = pathlib.Path(commands) / name
                path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
                path.chmod(0o755)
            error = self.fetch(VERSION, f"{commands}:/usr/bin:/bin")
        self.assertIn("exit 3", error)
        self.assertIn("no such artifact", error)


if __name__ == "__main__":
    unittest.main()
