"""Every error that brokers give: what passes is waited out, what does not stops with clear words;
in both cases nothing is lost. On a cluster of librdkafka's own, which answers as it is told to."""
import json
import os
import pathlib
import signal
import sys
import threading
import time
import unittest

import kafka_case

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import kafka_mock as mock  # noqa: E402

READING = """\
name: copy
source:
  url: "kafka://@B/{topic}?group={topic}"
  refresh: 200ms
  commit_interval: 20ms
  kafka.fetch.wait.max.ms: 10
  kafka.fetch.error.backoff.ms: 10
  kafka.retry.backoff.ms: 10
  kafka.reconnect.backoff.ms: 10{more}
state: {{ url: "rocksdb:./state" }}
sink: {{ out: "file:out.jsonl" }}
handlers:
  - forward: {{ to: out }}
dlq: {{ url: "file:dead.jsonl" }}
"""
WRITING = """\
name: put
source: {{ url: "file:in.jsonl", format: jsonl, key: k }}
state: {{ url: "rocksdb:./state" }}
sink:
  out:
    url: "kafka://@B/{topic}"
    kafka.retry.backoff.ms: 10
    kafka.reconnect.backoff.ms: 10
handlers:
  - forward: {{ to: out }}
"""
# What no repeating mends.
READING_STOPS = {"offset out of range": 1, "damaged": 2, "too large": 10, "invalid topic": 17,
                 "topic authorization": 29, "cluster authorization": 31,
                 "unsupported version": 35, "invalid request": 42,
                 "unsupported format": 43, "unsupported compression": 76}
# Refused outputs are offered again, without end: somebody has to give the right, or room.
WRITING_REFUSED = {"damaged": 2, "too large": 10, "invalid topic": 17, "batch too large": 18,
                   "topic authorization": 29, "cluster authorization": 31, "policy": 44,
                   "out of sequence": 45, "unknown producer": 59, "invalid record": 87}
COMMIT_REFUSED = {"metadata too large": 12, "illegal generation": 22, "unknown member": 25,
                  "rebalancing": 27, "invalid size": 28, "topic authorization": 29,
                  "group authorization": 30, "unknown server error": -1}


class OnTheMock(kafka_case.OnTheBroker):
    @classmethod
    def setUpClass(cls):
        cls.mock = mock.Mock(os.environ["STRID_KAFKA_MOCK"])
        cls.addClassCleanup(cls.mock.close)
        cls.brokers = cls.mock.brokers

    def given(self, api):
        """All errors were met: without that a test would show nothing."""
        self.wait_until(f"errors of {api} to be given", lambda: self.mock.left(api) == 0)

    def stop(self, process, code=0):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(kafka_case.DEADLINE_S), code, self.log())


class Reading(OnTheMock):
    def begin(self, topic, more="", partitions=1):
        self.mock.ask("topic", topic, partitions)
        self.write("copy.yaml", READING.format(topic=topic, more=more))

    def copied(self, count):
        self.wait_until(f"{count} records", lambda: len(self.seen()) >= count)
        self.check(count)

    def check(self, count):
        """Each once, and each key's in order; fill() gives n the key n % 7."""
        seen = self.seen()
        self.assertEqual(sorted(seen), list(range(count)))
        for key in range(7):
            numbers = [n for n in seen if n % 7 == key]
            self.assertEqual(numbers, sorted(numbers))

    def test_what_passes_is_waited_out(self):
        self.begin("passes")
        self.fill("passes", 0, 10)
        process = self.start("copy.yaml")
        count = 10
        for name, code in mock.READING.items():
            with self.subTest(name):
                self.copied(count)
                self.mock.push(mock.FETCH, code, count=2)
                self.fill("passes", count, 10)
                count += 10
                self.given(mock.FETCH)
        self.copied(count)
        self.stop(process)
        self.assertEqual(self.committed("passes", "passes"), {0: count})

    def test_what_does_not_stops_the_partition_and_the_next_run_goes_on(self):
        for name, code in READING_STOPS.items():
            with self.subTest(name):
                topic = f"stops-{code}"
                self.setUp()
                self.begin(topic)
                process = self.start("copy.yaml")
                self.fill(topic, 0, 7)
                self.copied(7)
                self.mock.push(mock.FETCH, code)
                self.given(mock.FETCH)
                self.fill(topic, 7, 3)
                self.wait_until("the reason", lambda t=topic: f"{t} [0]" in self.log())
                self.assertRegex(self.log(), rf"{topic} \[0\].*(restore it|no longer there)")
                self.stop(process, 1)
                self.write("copy.yaml", READING.format(topic=topic, more="\n  follow: false"))
                self.run_ok("copy.yaml")
                self.check(10)

    def test_start_waits_for_what_passes(self):
        self.begin("starts", "\n  follow: false\n  start: group")
        self.fill("starts", 0, 10)
        offsets = [code for code in mock.READING.values() if code > 0]
        for codes in (offsets[:6], offsets[6:]):
            self.mock.push(mock.LIST_OFFSETS, *codes)
        self.mock.push(mock.FETCH, *mock.READING.values())
        self.mock.ask("topic_error", "starts", 5)
        heal = threading.Timer(1, self.mock.ask, ("topic_error", "starts", 0))
        heal.start()
        self.addCleanup(heal.join)
        self.mock.push(mock.FIND_COORDINATOR, 15, mock.CUT)
        self.mock.push(mock.OFFSET_FETCH, 14, 16, 88, mock.CUT)
        self.run_ok("copy.yaml")
        for api in (mock.LIST_OFFSETS, mock.FETCH, mock.OFFSET_FETCH, mock.FIND_COORDINATOR):
            self.assertEqual(self.mock.left(api), 0, api)
        self.check(10)

    def test_group_is_told_in_the_end(self):
        self.begin("told")
        process = self.start("copy.yaml")
        count = 0
        for name, code in {**mock.COORDINATOR, **COMMIT_REFUSED, "unknown topic": 3,
                           "timed out": 7}.items():
            with self.subTest(name):
                self.mock.push(mock.OFFSET_COMMIT, code)
                if code in mock.COORDINATOR.values():
                    self.mock.push(mock.FIND_COORDINATOR, 15)
                self.fill("told", count, 3)
                count += 3
                self.given(mock.OFFSET_COMMIT)
                self.wait_until("the group to be told",
                                lambda c=count: self.committed("told", "told") == {0: c})
        self.stop(process)
        for words in ("Group authorization failed; give this user the right",
                      "another program is a member of this group"):
            self.assertIn(words, self.log())

    def test_group_is_not_told_of_what_is_not_delivered(self):
        """The sink, elsewhere, refuses what was read: that it was read counts for nothing."""
        elsewhere = mock.Mock(os.environ["STRID_KAFKA_MOCK"])
        self.addCleanup(elsewhere.close)
        elsewhere.ask("topic", "stuck-out", 1)
        elsewhere.push(mock.PRODUCE, 29, count=4)
        self.begin("stuck")
        path = self.folder / "copy.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(
            "file:out.jsonl", f"kafka://{elsewhere.brokers}/stuck-out"), encoding="utf-8")
        process = self.start("copy.yaml")
        self.fill("stuck", 0, 10)

        def is_taken():  # 20 ms after it is durable the group would be told
            told = self.committed("stuck", "stuck")
            taken = elsewhere.left(mock.PRODUCE) == 0
            self.assertTrue(taken or sum(told.values()) == 0, told)
            return taken
        self.wait_until("the sink to take it", is_taken)
        self.assertGreater(self.log().count("could not be written"), 1)
        self.wait_until("the group to be told",
                        lambda: self.committed("stuck", "stuck") == {0: 10})
        self.stop(process)

    def test_one_commit_is_under_way_at_a_time(self):
        late_ms, fed = 2000, []
        self.begin("single")
        self.mock.push_late(mock.OFFSET_COMMIT, late_ms, count=2)
        process = self.start("copy.yaml")
        began = time.monotonic()

        def are_begun():
            self.fill("single", len(fed), 1)
            fed.append(1)
            return self.mock.left(mock.OFFSET_COMMIT) == 0
        self.wait_until("the second commit", are_begun)
        self.assertGreaterEqual(time.monotonic() - began, late_ms / 1000)
        self.copied(len(fed))
        self.stop(process)
        self.assertEqual(self.committed("single", "single"), {0: len(fed)})

    def test_what_comes_after_the_beginning_is_left_for_the_next_run(self):
        """With follow: false, though it is fetched together with what was there, and so is the end
        of the log behind both."""
        self.begin("bounded", "\n  follow: false")
        self.fill("bounded", 0, 10)
        self.mock.push_late(mock.FETCH, 1000, code=mock.LEADER["leader not available"])
        process = self.start("copy.yaml")
        self.given(mock.FETCH)  # its end is settled, its answer comes later
        self.fill("bounded", 10, 10)
        self.assertEqual(process.wait(kafka_case.DEADLINE_S), 0, self.log())
        self.check(10)
        self.assertEqual(self.committed("bounded", "bounded"), {0: 10})
        self.run_ok("copy.yaml")
        self.check(20)

    def test_what_was_deleted_is_skipped_while_it_runs(self):
        self.begin("skips", "\n  on_gap: skip")
        process = self.start("copy.yaml")
        self.fill("skips", 0, 7)
        self.copied(7)
        self.mock.push(mock.FETCH, READING_STOPS["offset out of range"])
        self.given(mock.FETCH)
        self.fill("skips", 7, 3)
        self.copied(10)
        self.stop(process)
        self.assertRegex(self.log(), r"skips \[0\]: offset 7 is no longer there, .*on_gap: skip")

    def test_topics_join_a_run_whose_state_is_in_memory(self):
        """Nothing is read again, nothing is missing, and the group is told."""
        self.mock.ask("topic", "joins-1", 1)
        self.fill("joins-1", 0, 5)
        text = READING.replace("?group={topic}", "?group=joins").replace("rocksdb:./state",
                                                                         "memory:")
        self.write("copy.yaml", text.format(topic="^joins-", more=""))
        process = self.start("copy.yaml")
        self.copied(5)
        self.mock.ask("topic", "joins-2", 1)
        self.fill("joins-2", 5, 5)
        self.copied(10)
        self.fill("joins-1", 10, 5)
        self.copied(15)
        self.stop(process)
        self.assertEqual(self.committed("joins", "joins-1"), {0: 10})
        self.assertEqual(self.committed("joins", "joins-2"), {0: 5})

    def begin_pattern(self, topic):
        """Its dead letters go where they go by themselves, to a topic that matches, too."""
        self.mock.ask("topic", topic, 1)
        text = READING.replace("?group={topic}", "")
        text = text.replace('dlq: {{ url: "file:dead.jsonl" }}\n', "")
        self.write("copy.yaml", text.format(topic=f"^{topic}.*", more="\n  format: jsonl"))

    def test_dead_letters_are_not_read_by_the_pattern_of_their_topic(self):
        self.begin_pattern("rings")
        self.tool("produce", "rings", lines=["0\tk\tno json"])
        process = self.start("copy.yaml")
        self.wait_until("the letter", lambda: "no json" in self.tool("read", "rings-dlq"))
        self.mock.ask("topic", "rings-more", 1)  # seen behind the topic of the letter
        self.fill("rings-more", 0, 5)
        self.copied(5)
        self.stop(process)
        self.assertIn("6 records in", self.log())
        done = kafka_case.run(["topics", f"kafka://{self.brokers}/^rings.*", "--json"], self.folder)
        self.assertEqual([json.loads(row)["topic"] for row in done.stdout.splitlines()],
                         ["rings", "rings-dlq", "rings-more"])

    def test_queue_of_dead_letters_that_the_pattern_matches_is_refused(self):
        """Each would be a letter of a letter, without end."""
        self.mock.ask("topic", "turns", 1)
        text = READING.replace("?group={topic}", "")
        for topics, queue, words in (("^turns", "turns.bad", ["check", "run"]),
                                     ("turns", "turns", ["check", "run"]),
                                     ("^turns", "{{topic}}.bad", ["check", "run"]),
                                     ("^.*turns", "bad.{{topic}}", ["run"])):
            queued = text.replace("file:dead.jsonl", f"kafka://@B/{queue}")
            self.write("copy.yaml", queued.format(topic=topics, more=""))
            for word in words:
                done = kafka_case.run([word, "copy.yaml"], self.folder)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr, "would be read by the source .* without end")

    def test_dead_letter_may_be_as_large_as_any_record(self):
        self.begin_pattern("large")
        self.tool("produce", "large", lines=["0\tk\t" + "x" * 2_000_000])
        process = self.start("copy.yaml")
        self.wait_until("the letter", lambda: len(self.tool("read", "large-dlq")) > 2_000_000)
        self.stop(process)

    def test_broker_that_is_away_for_a_while(self):
        self.begin("away")
        self.fill("away", 0, 10)
        process = self.start("copy.yaml")
        self.copied(10)
        self.mock.ask("down")
        self.wait_until("the broker to be missed", lambda: "refused" in self.log() or
                        "Disconnected" in self.log())
        self.mock.ask("up")
        self.fill("away", 10, 10)
        self.copied(20)
        self.stop(process)


class Writing(OnTheMock):
    def put(self, topic, count=100):
        """The run that puts `count` records out, in the end; what it said."""
        self.mock.ask("topic", topic, 2)
        self.write("put.yaml", WRITING.format(topic=topic))
        with open(self.folder / "in.jsonl", "w", encoding="utf-8") as file:
            file.writelines(f'{{"n":{n},"k":"k{n % 5}"}}\n' for n in range(count))
        done = self.run_ok("put.yaml")
        rows = [line.split("\t") for line in self.tool("read", topic).splitlines()]
        seen = {}
        for _, _, key, value in rows:
            numbers = seen.setdefault(key, [])
            number = json.loads(value)["n"]
            if number not in numbers:  # one that was written may come again
                numbers.append(number)
        self.assertEqual(seen, {f"k{k}": list(range(k, count, 5)) for k in range(5)})
        return done.stderr

    def test_what_passes_is_waited_out(self):
        codes = list(mock.WRITING.values())
        for first in range(0, len(codes), 3):
            some = codes[first:first + 3]
            with self.subTest(some):
                self.setUp()
                self.mock.push(mock.PRODUCE, *some, count=2)
                self.put(f"written-{first}")
                self.assertEqual(self.mock.left(mock.PRODUCE), 0)

    def test_what_is_refused_is_told_and_offered_again(self):
        for name, code in WRITING_REFUSED.items():
            with self.subTest(name):
                self.setUp()
                self.mock.push(mock.PRODUCE, code)
                said = self.put(f"refused-{code}")
                self.assertEqual(self.mock.left(mock.PRODUCE), 0)
                if code not in (45, 59):  # librdkafka mends these by a new producer id
                    self.assertRegex(said, rf"refused-{code} on .* could not be written, all since")

    def test_producer_waits_for_its_id(self):
        self.mock.push(mock.INIT_PRODUCER_ID, 14, 15, 16, 7, mock.CUT)
        self.put("named")
        self.assertEqual(self.mock.left(mock.INIT_PRODUCER_ID), 0)

    def test_producer_that_is_refused_an_id_is_told_and_made_anew(self):
        self.setUp()
        self.mock.push(mock.INIT_PRODUCER_ID, 31)
        self.assertRegex(self.put("unnamed"), "Cluster authorization failed")
        self.assertEqual(self.mock.left(mock.INIT_PRODUCER_ID), 0)


if __name__ == "__main__":
    unittest.main()
