"""`strid topics`, `strid groups` and `strid lag` on a real broker."""
import json
import os
import subprocess
import unittest

from kafka_case import DEADLINE_S, OnTheBroker, STRID, VERSION, broker

PIPELINE = """\
name: orders
source: { url: "kafka://@B/TOPIC?group=billing&follow=false" }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: seen } }
"""


class Groups(OnTheBroker):
    def strid(self, *words, code=0):
        done = subprocess.run([STRID, *words], cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=DEADLINE_S, env=dict(os.environ, SECRET="canary-4711"))
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("canary", done.stdout + done.stderr)
        return done

    def url(self, topic, more=""):
        return f"kafka://{self.brokers}/{topic}{more}"

    def rows(self, verb, topic, more=""):
        out = self.strid(verb, self.url(topic, more), "--json").stdout
        return [json.loads(line) for line in out.splitlines()]

    def prepare(self, topic):
        """10 records in each of two partitions, 6 of each read by the group billing."""
        self.tool("create", topic, 2)
        self.tool("produce", topic, lines=[f"{p}\tk\t{{}}" for p in (0, 1) for _ in range(6)])
        self.write("p.yaml", PIPELINE.replace("TOPIC", topic))
        self.run_ok("p.yaml")
        self.tool("produce", topic, lines=[f"{p}\tk\t{{}}" for p in (0, 1) for _ in range(4)])

    def test_offsets_and_lag(self):
        self.prepare("orders")
        rows = self.rows("groups", "orders")
        self.assertEqual([(row["group"], row["topic"], row["partition"], row["current"],
                           row["end"], row["lag"], row["state"]) for row in rows],
                         [("billing", "orders", p, 6, 10, 4, "Empty") for p in (0, 1)])
        lines = self.strid("groups", self.url("orders")).stdout.splitlines()
        self.assertEqual(lines[0].split(),
                         ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET",
                          "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"])
        self.assertEqual(lines[1].split(), ["billing", "orders", "0", "6", "10", "4"] + 3 * ["-"])
        lines = self.strid("lag", "p.yaml").stdout.splitlines()
        self.assertEqual(lines[2].split(), ["billing", "orders", "1", "6", "10", "4"])
        self.assertEqual(self.rows("lag", "orders", "?group=none"), [])

    def test_members(self):
        self.tool("create", "live", 2)
        process = subprocess.Popen(
            ["java", "-cp", f"{broker.jars(VERSION)}/*", "-Xmx64m",
             "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.brokers,
             "--topic", "live", "--group", "team", "--consumer-property", "client.id=desk"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("both partitions have a member", lambda: sum(
            row.get("client") == "desk" for row in self.rows("groups", "live")) == 2)
        for row in self.rows("groups", "live", "?group=team"):
            self.assertEqual((row["group"], row["state"]), ("team", "Stable"))
            self.assertIn("desk", row["consumer"])
            self.assertIn("127.0.0.1", row["host"])

    def test_topics(self):
        self.prepare("counted")
        self.tool("trim", "counted", 0, 3)
        row, = self.rows("topics", "counted")
        self.assertEqual(row, {"topic": "counted", "partitions": 2, "records": 17,
                               "without_leader": 0})
        names = [json.loads(line)["topic"] for line in
                 self.strid("topics", f"kafka://{self.brokers}", "--json").stdout.splitlines()]
        self.assertIn("counted", names)
        self.assertEqual([name for name in names if name.startswith("__")], [])
        lines = self.strid("topics", self.url("counted")).stdout.splitlines()
        self.assertEqual(lines[1].split(), ["counted", "2", "17", "-", "0"])

    def test_refused(self):
        self.assertIn("no-such", self.strid("groups", self.url("no-such"), code=1).stderr)
        self.strid("topics", "kafka://127.0.0.1:1", code=3)
        self.strid("lag", self.url("t", "?kafka.sasl.password=${SECRET}&kafka.no.such=1"), code=2)


if __name__ == "__main__":
    unittest.main()
