"""`strid consume` and `strid tap` on a real broker: no group is joined and none moves."""
import json
import os
import select
import subprocess
import threading
import unittest

from kafka_case import DEADLINE_S, OnTheBroker, STRID

PIPELINE = """\
name: orders
source: { url: "kafka://@B/again?follow=false" }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: seen } }
"""


class Consume(OnTheBroker):
    def strid(self, *words, code=0):
        done = subprocess.run([STRID, *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=DEADLINE_S, env=dict(os.environ, SECRET="canary-4711"))
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn(b"canary", done.stdout + done.stderr)
        return done

    def url(self, topic, more=""):
        return f"kafka://{self.brokers}/{topic}{more}"

    def consume(self, topic, *words, more="", **kind):
        return self.strid("consume", self.url(topic, more), *words, **kind)

    def put(self, topic, values, partition=0, more=""):
        self.strid_in("".join(f"{value}\n" for value in values), "produce", self.url(topic, more))

    def strid_in(self, given, *words):
        subprocess.run([STRID, *words], input=given, text=True, check=True, timeout=DEADLINE_S,
                       stderr=subprocess.PIPE)

    def test_tokens_and_envelope(self):
        self.tool("create", "shown", 1)
        row = {"key": "k", "value": {"n": 1}, "timestamp": 1000, "headers": {"a": "1", "b": None}}
        self.strid_in(json.dumps(row) + '\n{"key":"k","value":null}\n', "produce",
                      self.url("shown"), "--input", "json")
        out = self.consume("shown", "-e", "-f", "%t|%p|%o|%k|%s|%S|%h|%%\\n").stdout.decode()
        self.assertEqual(out.splitlines(), ['shown|0|0|k|{"n": 1}|8|a=1,b=NULL|%',
                                            "shown|0|1|k||-1||%"])
        rows = [json.loads(line) for line in self.consume("shown", "-e", "-J").stdout.splitlines()]
        self.assertEqual(rows[0], {"topic": "shown", "partition": 0, "offset": 0, "ts": 1000,
                                   "tstype": "create", "broker": 1, "key": "k",
                                   "headers": ["a", "1", "b", None], "payload": '{"n": 1}'})
        self.assertEqual((rows[1]["key"], rows[1]["payload"]), ("k", None))

    def test_where_to_begin_and_to_end(self):
        self.tool("create", "timed", 1)
        rows = [{"value": n, "timestamp": n * 1000} for n in range(6)]
        self.strid_in("".join(json.dumps(row) + "\n" for row in rows), "produce",
                      self.url("timed"), "--input", "json")
        self.tool("trim", "timed", 0, 1)
        every = [str(n) for n in range(1, 6)]
        for words, wanted in (((), every), (("-o", "end"), []), (("-o", "-2"), every[3:]),
                              (("-o", "-99"), every), (("-o", "3"), every[2:]),
                              (("-o", "0"), every), (("-o", "99"), []),
                              (("-o", "s@2500"), every[2:]), (("-o", "s@99999"), []),
                              (("-o", "e@3000"), every[:2]), (("-c", "2"), every[:2]),
                              (("-o", "s@2000", "-o", "e@4000"), every[1:3])):
            done = self.consume("timed", "-e", "-f", "%s ", *words)
            self.assertEqual(done.stdout.decode().split(), wanted, words)
        done = self.consume("timed", "-o", "e@3000", "-f", "%s ")  # is over without -e, too
        self.assertEqual(done.stdout.decode().split(), every[:2])

    def test_partitions_and_topics_each_in_order(self):
        self.tool("create", "consume-many-1", 5)
        self.tool("create", "consume-many-2", 1)
        self.strid_in("".join(f"k{n % 50}:{n}\n" for n in range(20_000)), "produce",
                      self.url("consume-many-1"), "-K", ":")
        self.put("consume-many-2", range(10))
        out = self.consume("^consume-many-.*", "-e", "-f", "%t %p %k %s\\n").stdout.decode()
        seen = {}
        for topic, _, key, number in (line.split(" ") for line in out.splitlines()):
            seen.setdefault((topic, key), []).append(int(number))
        self.assertEqual(sum(len(numbers) for numbers in seen.values()), 20_010)
        for numbers in seen.values():
            self.assertEqual(numbers, sorted(numbers))

    def test_stored_begins_where_the_group_is_and_moves_nothing(self):
        self.tool("create", "again", 1)
        self.put("again", range(5))
        self.write("p.yaml", PIPELINE.replace("follow=false", "follow=false&group=g"))
        self.run_ok("p.yaml")
        self.assertEqual(self.committed("g", "again"), {0: 5})
        self.put("again", ["new"])
        for _ in range(2):
            done = self.consume("again", "-e", "-o", "stored", more="?group=g")
            self.assertEqual(done.stdout, b"new\n")
        self.assertEqual(self.committed("g", "again"), {0: 5})
        self.consume("again", "-e", "-o", "stored", code=2)
        done = self.consume("again", "-e", "-o", "stored", more="?group=none")
        self.assertEqual(len(done.stdout.splitlines()), 6)

    def test_aborted_transactions_are_not_shown(self):
        self.tool("create", "exact", 1)
        self.tool("commit", "exact", lines=["0\tk\tgood"])
        self.tool("abort", "exact", lines=["0\tk\tbad"])
        self.assertEqual(self.consume("exact", "-e").stdout, b"good\n")

    def test_tap_begins_at_the_end_and_an_interrupt_ends_it(self):
        self.tool("create", "tapped", 1)
        self.put("tapped", ["old"])
        process = subprocess.Popen([STRID, "tap", self.url("tapped"), "--log-level", "debug"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.set_blocking(process.stdout.fileno(), False)

        def seen():  # where it begins is settled some time after it is started
            self.put("tapped", ["new"])
            return process.stdout.read() or b""
        lines = []
        self.wait_until("a record", lambda: lines.append(seen()) or any(lines))
        self.assertEqual(set(b"".join(lines).split()), {b"new"})
        self.put("tapped", ["later"])  # its end is none
        self.wait_until("the next one", lambda: lines.append(process.stdout.read() or b"") or
                        b"later" in b"".join(lines))
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def test_records_that_come_one_by_one_are_shown_at_once(self):
        self.tool("create", "slow", 1)
        process = subprocess.Popen([STRID, "consume", self.url("slow")], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        producer = subprocess.Popen([STRID, "produce", self.url("slow")], stdin=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.addCleanup(producer.wait)
        self.addCleanup(producer.stdin.close)
        shown = threading.Event()

        def write():  # never a pause in which nothing lies ready for long
            while not shown.wait(0.02):
                producer.stdin.write(b"tick\n")
                producer.stdin.flush()
        writer = threading.Thread(target=write)
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(shown.set)
        ready, _, _ = select.select([process.stdout], [], [], DEADLINE_S / 4)
        shown.set()
        self.assertTrue(ready, "records that came were kept back")

    def test_refused(self):
        done = self.consume("no-such-topic", "-e", code=1)
        self.assertIn(b"no-such-topic", done.stderr)
        self.strid("consume", "kafka://127.0.0.1:1/t", "-e", code=3)
        self.strid("consume", "kafka://127.0.0.1:1", "-e", code=2)
        self.consume("t", "-e", code=2, more="?kafka.sasl.password=${SECRET}&kafka.no.such=1")


if __name__ == "__main__":
    unittest.main()
