"""`strid topics`, `strid groups` and `strid lag` on a real broker."""
import json
import os
import signal
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
        self.prepare("billed")
        rows = self.rows("groups", "billed")
        self.assertEqual([(row["group"], row["topic"], row["partition"], row["current"],
                           row["end"], row["lag"], row["state"]) for row in rows],
                         [("billing", "billed", p, 6, 10, 4, "Empty") for p in (0, 1)])
        lines = self.strid("groups", self.url("billed")).stdout.splitlines()
        self.assertEqual(lines[0].split(),
                         ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET",
                          "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"])
        self.assertEqual(lines[1].split(), ["billing", "billed", "0", "6", "10", "4"] + 3 * ["-"])
        lines = self.strid("lag", "p.yaml").stdout.splitlines()
        self.assertEqual(lines[2].split(), ["billing", "billed", "1", "6", "10", "4"])
        self.assertEqual(self.rows("lag", "billed", "?group=none"), [])
        self.tool("tell", "ahead", "billed", 1, 12)
        row, = self.rows("lag", "billed", "?group=ahead")
        self.assertEqual((row["current"], row["end"], row.get("lag")), (12, 10, None), "unknown")

    def state(self):
        out = self.strid("state", "scan", "rocksdb:./state", "--store", "seen", "--json").stdout
        return {row["key"]: row["value"] for row in map(json.loads, out.splitlines())}

    def reset(self, *words, code=0):
        done = self.strid("reset", *words, "--json", code=code)
        return done, [(row["partition"], row.get("current"), row.get("node"), row["new"])
                      for row in map(json.loads, done.stdout.splitlines())]

    def test_reset_of_a_group(self):
        self.prepare("moved")
        url = self.url("moved", "?group=billing")
        for words, new in ((("--to", "earliest"), 0), (("--to", "latest"), 10), (("--to", "3"), 3),
                           (("--by", "-2"), 4), (("--by", "3"), 9), (("--by", "-100"), 0),
                           (("--by", "100"), 10), (("--to-time", "0"), 0),
                           (("--to-time", "2099-01-01"), 10)):
            _, rows = self.reset(url, *words, "--dry-run")
            self.assertEqual(rows, [(p, 6, None, new) for p in (0, 1)], words)
        self.assertEqual(self.committed("billing", "moved"), {0: 6, 1: 6}, "nothing was moved")
        # a reset is no member of the group that it moves
        _, rows = self.reset(url + "&assign=group", "--to", "2", "--partition", "1", "--yes")
        self.assertEqual(rows, [(1, 6, None, 2)])
        self.assertEqual(self.committed("billing", "moved"), {0: 6, 1: 2})
        done = self.strid("reset", url, "--to", "earliest", "--yes")
        self.assertEqual([line.split() for line in done.stdout.splitlines()],
                         [["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NODE-OFFSET",
                           "NEW-OFFSET"], ["billing", "moved", "0", "6", "-", "0"],
                          ["billing", "moved", "1", "2", "-", "0"]])
        self.assertIn("moved: the group, 2 partitions", done.stderr)
        self.assertEqual(self.committed("billing", "moved"), {0: 0, 1: 0})
        for words, said, code in ((("--to", "11"), "holds offsets 0 to before 10", 2),
                                  (("--to", "5-5"), "(a number)", 2),
                                  (("--to", "latest", "--partition", "2"), "no partition 2", 1),
                                  (("--to", "latest", "--topic", "x"), 'does not read "x"', 1)):
            done, _ = self.reset(url, *words, "--yes", code=code)
            self.assertIn(said, done.stderr)
        done, _ = self.reset(self.url("moved", "?group=none"), "--to", "latest", "--yes", code=1)
        self.assertIn("group none has committed nothing", done.stderr)
        done, _ = self.reset(self.url("moved"), "--to", "latest", "--yes", code=1)
        self.assertIn("names no group", done.stderr)
        self.assertEqual(self.committed("billing", "moved"), {0: 0, 1: 0})

    def test_reset_of_a_node(self):
        self.prepare("reset-again")
        self.assertEqual(self.state(), {"k": 12})
        _, rows = self.reset("p.yaml", "--to", "earliest", "--partition", "0", "--yes")
        self.assertEqual(rows, [(0, 6, 6, 0)])
        self.assertEqual(self.committed("billing", "reset-again"), {0: 0, 1: 6})
        self.run_ok("p.yaml")
        self.assertEqual(self.state(), {"k": 12 + 10 + 4})
        self.reset(self.url("reset-again", "?group=billing"), "--to", "2", "--yes")
        _, rows = self.reset("p.yaml", "--by", "-3", "--yes")
        self.assertEqual(rows, [(p, 2, 10, 7) for p in (0, 1)], "from where the node is")
        self.run_ok("p.yaml")
        self.assertEqual(self.state(), {"k": 26 + 6})
        self.assertEqual(self.committed("billing", "reset-again"), {0: 10, 1: 10})
        self.reset("p.yaml", "--to", "0", "--yes")
        self.reset("p.yaml", "--to", "latest", "--yes")
        self.run_ok("p.yaml")
        self.assertEqual(self.state(), {"k": 32}, "what lies between is not read")

    def test_reset_that_is_killed_is_completed_by_another(self):
        self.prepare("reset-killed")
        for point in ("reset_begun", "reset_group_moved", "reset_written", "reset_synced"):
            self.run_ok("p.yaml")
            seen = self.state()["k"]
            done = subprocess.run([os.environ["STRID_TEST_COMMAND"], "reset", "p.yaml", "--to",
                                   "earliest", "--yes"], cwd=self.folder, check=False,
                                  capture_output=True, timeout=DEADLINE_S,
                                  env=dict(os.environ, STRID_CRASH_POINT=point + ":1"))
            self.assertEqual(done.returncode, -signal.SIGKILL, point + done.stderr.decode())
            if point == "reset_group_moved":  # the node goes on where it was, and says so again
                self.assertEqual(self.committed("billing", "reset-killed"), {0: 0, 1: 0})
                self.run_ok("p.yaml")
                self.assertEqual(self.state()["k"], seen)
            self.reset("p.yaml", "--to", "earliest", "--yes")
            self.run_ok("p.yaml")
            self.assertEqual(self.state()["k"], seen + 20, point)

    def test_reset_of_what_others_forgot(self):
        """A topic that was made anew, and a group that has committed nothing."""
        self.prepare("reset-anew")
        self.tool("delete", "reset-anew")
        self.tool("create", "reset-anew", 2)
        self.tool("produce", "reset-anew", lines=["0\tother\t{}"])
        self.write("p.yaml", PIPELINE.replace("TOPIC", "reset-anew").replace("billing", "second"))
        done, rows = self.reset("p.yaml", "--to", "earliest", "--yes")
        self.assertEqual(rows, [(p, None, 6, 0) for p in (0, 1)], done.stderr)
        self.assertEqual(self.committed("second", "reset-anew"), {0: 0, 1: 0})
        self.run_ok("p.yaml")
        self.assertEqual(self.state(), {"k": 12, "other": 1})

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
        done, _ = self.reset(self.url("live", "?group=team"), "--to", "latest", "--yes", code=1)
        self.assertIn("is in use: it is Stable with 1 member, one of them desk", done.stderr)

    def test_topics(self):
        self.prepare("counted")
        self.tool("trim", "counted", 0, 3)
        row, = self.rows("topics", "counted")
        self.assertEqual(row, {"topic": "counted", "partitions": 2, "records": 17,
                               "without_leader": 0})
        names = [json.loads(line)["topic"] for line in
                 self.strid("topics", f"kafka://{self.brokers}", "--json").stdout.splitlines()]
        self.assertIn("counted", names)
        self.assertEqual(names, sorted(names))
        self.assertEqual([name for name in names if name.startswith("__")], [])
        lines = self.strid("topics", self.url("counted")).stdout.splitlines()
        self.assertEqual(lines[1].split(), ["counted", "2", "17", "-", "0"])

    def test_refused(self):
        self.assertIn("no-such", self.strid("groups", self.url("no-such"), code=1).stderr)
        self.strid("topics", "kafka://127.0.0.1:1", code=3)
        self.strid("lag", self.url("t", "?kafka.sasl.password=${SECRET}&kafka.no.such=1"), code=2)


if __name__ == "__main__":
    unittest.main()
