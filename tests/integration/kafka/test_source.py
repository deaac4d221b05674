"""The Kafka source on a real broker: where it begins, what it delivers, what it notices."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import kafka_case

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import kafka_mock  # noqa: E402

PIPELINE = """\
name: copy
source: {{ url: "kafka://@B/{topic}", group: {group}, refresh: 200ms{more} }}
state: {{ url: "rocksdb:./state" }}
sink: {{ out: "file:out.jsonl" }}
handlers:
  - forward: {{ to: out }}
dlq: {{ url: "file:dead.jsonl" }}
"""
ENDS = ", follow: false"


class Copying(kafka_case.OnTheBroker):
    def copy(self, topic, more=ENDS, group=None):
        self.write("copy.yaml", PIPELINE.format(topic=topic, more=more, group=group or topic))
        return "copy.yaml"

    def refused(self, name, expected, code=1):
        done = kafka_case.run(["run", name], self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertRegex(done.stderr, expected)
        return done


class Source(Copying):
    def asked(self, *words):
        """Whether the broker does it, or answers; it may be at work on what was said before."""
        done = subprocess.run([kafka_case.TOOL, self.brokers, *words], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def create_again(self, topic):
        """A broker deletes a topic some time after it said so."""
        self.wait_until("the topic to be gone", lambda: self.asked("create", topic, "1"))
        self.wait_until("the topic to be there", lambda: self.asked("extents", topic))

    def test_each_record_once_over_runs_and_the_group_is_told(self):
        self.tool("create", "once", 3)
        self.fill("once", 0, 3000)
        self.run_ok(self.copy("once", ENDS + ", commit_interval: 1h"))
        self.assertEqual(sorted(self.seen()), list(range(3000)))
        by_key = {k: [n for n in self.seen() if n % 7 == k] for k in range(7)}
        self.assertTrue(all(numbers == sorted(numbers) for numbers in by_key.values()))
        self.assertEqual(self.committed("once", "once"), self.ends("once"))
        self.fill("once", 3000, 10)
        self.assertNotIn("was not told", self.run_ok("copy.yaml").stderr)
        self.assertEqual(sorted(self.seen()), list(range(3010)))
        self.assertEqual(self.committed("once", "once"), self.ends("once"), "told in the end")

    def test_order_of_many_partitions_that_were_just_made(self):
        """Brokers refuse some of the first batches: whoever filled the topic repeated them."""
        count, partitions = 30000, 60
        self.tool("create", "wide", partitions)
        self.tool("produce", "wide", lines=[f'{n % partitions}\tk{n % partitions}\t{{"n":{n}}}'
                                            for n in range(count)])
        self.run_ok(self.copy("wide", ENDS + ", kafka.fetch.wait.max.ms: 10"))
        last, seen = {}, self.seen()
        for n in seen:
            self.assertLess(last.get(n % partitions, -1), n)
            last[n % partitions] = n
        self.assertEqual(len(seen), count)

    def test_state_that_is_gone_while_the_group_was_further_is_refused(self):
        self.tool("create", "lost", 1)
        self.fill("lost", 0, 10)
        self.run_ok(self.copy("lost"))
        (self.folder / "state").rename(self.folder / "away")
        self.refused("copy.yaml", r"group lost has read lost \[0\] up to 10: .*start: group")
        self.fill("lost", 10, 5)
        self.run_ok(self.copy("lost", ENDS + ", start: group"))
        self.assertEqual(sorted(self.seen()), list(range(15)))
        (self.folder / "state").rename(self.folder / "away2")
        self.run_ok(self.copy("lost", ENDS + ", start: earliest"))
        self.assertEqual(sorted(self.seen()), sorted(2 * list(range(15))))
        (self.folder / "state").rename(self.folder / "away3")
        self.fill("lost", 15, 5)
        self.tool("trim", "lost", 0, 18)
        self.refused(self.copy("lost", ENDS + ", start: group"), r"lost \[0\] does not hold what "
                     "its group is to read next: offset 15 is next, the log holds 18 to before 20")

    def test_begins_at_the_end_or_at_a_time(self):
        self.tool("create", "begin", 1)
        self.fill("begin", 0, 10)
        self.run_ok(self.copy("begin", ENDS + ", start: latest"))
        self.fill("begin", 10, 5)
        self.run_ok("copy.yaml")
        self.assertEqual(sorted(self.seen()), list(range(10, 15)), "the end of then, not of now")
        (self.folder / "state").rename(self.folder / "away")
        self.run_ok(self.copy("begin", ENDS + ', start: "timestamp:0"', "other"))
        self.assertEqual(sorted(self.seen()[5:]), list(range(15)))
        self.refused(self.copy("begin", ', start: "timestamp:x"'), "milliseconds since 1970", 2)
        self.refused(self.copy("begin", ", start: then"), '"then": expected earliest', 2)

    def test_begins_at_the_first_record_of_a_time(self):
        self.tool("create", "times", 1)
        first_ms = int(time.time() * 1000) - 100_000
        lines = [json.dumps({"key": "k", "value": {"n": n}, "timestamp": first_ms + 1000 * n})
                 for n in range(6)]
        subprocess.run([kafka_case.STRID, "produce", f"kafka://{self.brokers}/times", "--input",
                        "json"], input="\n".join(lines) + "\n", text=True, check=True,
                       stderr=subprocess.DEVNULL, timeout=kafka_case.DEADLINE_S)
        for since_ms, wanted in ((first_ms + 2500, [3, 4, 5]), (first_ms + 3_600_000, [])):
            name = self.copy("times", f'{ENDS}, start: "timestamp:{since_ms}"', f"g{since_ms}")
            self.write(name, (self.folder / name).read_text(encoding="utf-8").replace(
                "./state", f"./state-{since_ms}").replace("out.jsonl", f"out-{since_ms}.jsonl"))
            self.run_ok(name)
            self.assertEqual(self.seen(f"out-{since_ms}.jsonl"), wanted)

    def test_new_partitions_begin_at_their_beginning_wherever_others_began(self):
        self.tool("create", "late", 1)
        self.fill("late", 0, 20)
        self.run_ok(self.copy("late", ENDS + ", start: latest"))
        self.tool("grow", "late", 4)
        self.wait_until("the new partitions", lambda: self.asked("extents", "late") and
                        len(self.extents("late")) == 4)
        self.fill("late", 20, 50)
        self.run_ok("copy.yaml")
        self.assertEqual(sorted(self.seen()), list(range(20, 70)))

    def test_state_of_another_cluster_is_refused(self):
        self.tool("create", "moved-away", 1)
        self.fill("moved-away", 0, 5)
        self.run_ok(self.copy("moved-away"))
        other = kafka_mock.Mock(os.environ["STRID_KAFKA_MOCK"])
        self.addCleanup(other.close)
        other.ask("topic", "moved-away", 1)
        path = self.folder / "copy.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(self.brokers, other.brokers),
                        encoding="utf-8")
        self.refused("copy.yaml", "holds the state of another source")

    def test_deleted_records_stop_that_partition_alone(self):
        self.tool("create", "trim", 2)
        self.fill("trim", 0, 100)
        self.run_ok(self.copy("trim"))
        self.fill("trim", 100, 100)
        ends = self.ends("trim")
        self.tool("trim", "trim", 0, ends[0] - 3)
        self.refused("copy.yaml", r"trim \[0\] has lost records .* the log holds "
                     rf"{ends[0] - 3} to before {ends[0]}; restore")
        self.assertEqual(self.committed("trim", "trim")[1], ends[1], "the other partition went on")
        before = len(self.seen())
        done = self.run_ok(self.copy("trim", ENDS + ", on_gap: skip"))
        self.assertRegex(done.stderr, r"trim \[0\]: offsets \d+ to before \d+ were deleted")
        self.assertEqual(len(self.seen()), before + 3)

    def test_topic_that_was_made_anew_is_noticed(self):
        self.tool("create", "anew", 1)
        self.fill("anew", 0, 50)
        self.run_ok(self.copy("anew"))
        self.run_ok("copy.yaml")  # its fingerprint is the last record that was read
        self.tool("delete", "anew")
        self.create_again("anew")
        self.refused("copy.yaml", r"anew \[0\] was truncated, or deleted and made anew: offset 50 "
                     r"is next, the log holds 0 to before 0;")
        self.fill("anew", 1000, 80)
        self.refused("copy.yaml", r"anew \[0\] is not the topic that was read")
        self.assertEqual(sorted(self.seen()), list(range(50)))

    def test_new_partitions_and_topics_join_a_run(self):
        self.tool("create", "grow-a", 1)
        self.fill("grow-a", 0, 100)
        process = self.start(self.copy("^grow-", "", "grow"))
        self.wait_until("the first records", lambda: len(self.seen()) == 100)
        self.tool("grow", "grow-a", 3)
        self.fill("grow-a", 100, 100)
        self.wait_until("the new partitions", lambda: len(self.seen()) == 200)
        self.tool("create", "grow-b", 2)
        self.fill("grow-b", 200, 100)
        self.wait_until("the new topic", lambda: len(self.seen()) == 300)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(kafka_case.DEADLINE_S), 0, self.log())
        self.assertEqual(sorted(self.seen()), list(range(300)))
        self.assertIn("has changed: opened again", self.log())

    def test_keys_headers_tombstones_and_times(self):
        self.tool("create", "forms", 1)
        self.tool("produce", "forms", lines=["0\tk1\tv1\th1=a\th2=NULL\th3=", "0\tNULL\tv2",
                                             "0\tk3\tNULL", "0\tk4\t"])
        name = self.copy("forms")
        text = (self.folder / name).read_text(encoding="utf-8")
        self.write(name, text.replace("  - forward", '  - on: "none"\n    forward') +
                   "unrouted: dlq\n")
        self.run_ok(name)
        dead = kafka_case.run(["dlq", "list", name, "--json"], self.folder).stdout.splitlines()
        dead = sorted((json.loads(line) for line in dead), key=lambda d: d["position"])
        self.assertEqual([(d.get("key"), d.get("value")) for d in dead],
                         [("k1", "v1"), (None, "v2"), ("k3", None), ("k4", "")])
        self.assertEqual([d["position"] for d in dead], [0, 1, 2, 3])
        self.assertTrue(all(d["topic"] == "forms" and d["timestamp_ms"] > 1e12 for d in dead), dead)
        lines = (self.folder / "dead.jsonl").read_text(encoding="utf-8").splitlines()
        headers = {row["position"]: row.get("headers", []) for row in map(json.loads, lines)}
        self.assertEqual(headers, {0: [["h1", "a"], ["h2", None], ["h3", ""]], 1: [], 2: [], 3: []})

    def test_headers_are_found_whatever_lies_around_them(self):
        """With and without, behind values, empty ones and tombstones, one record after another."""
        count, expected, lines = 2000, [], []
        self.tool("create", "mixed-headers", 1)
        for n in range(count):
            value = ("NULL", "", "v", "v" * (n % 300))[n % 4]
            headers = [[f"h{i}", f"{n}"] for i in range(20 if n % 500 == 1 else n * n % 3)]
            lines.append("\t".join(["0", f"k{n}", value, *map("=".join, headers)]))
            expected.append((f"k{n}", headers))
        self.tool("produce", "mixed-headers", lines=lines)
        name = self.copy("mixed-headers", ENDS + ", kafka.fetch.message.max.bytes: 4096")
        text = (self.folder / name).read_text(encoding="utf-8")
        self.write(name, text.replace("  - forward", '  - on: "none"\n    forward') +
                   "unrouted: dlq\n")
        self.run_ok(name)
        lines = (self.folder / "dead.jsonl").read_text(encoding="utf-8").splitlines()
        dead = sorted(map(json.loads, lines), key=lambda d: int(d["key"][1:]))
        self.assertEqual([(d["key"], d.get("headers", [])) for d in dead], expected)

    def test_markers_of_transactions_are_passed(self):
        self.tool("create", "tx", 2)
        for number, command in enumerate(("commit", "abort", "commit", "abort")):
            self.tool(command, "tx", lines=[f'{n % 2}\tk\t{{"n":{n}}}'
                                            for n in range(10 * number, 10 * number + 10)])
        self.run_ok(self.copy("tx"))
        self.assertEqual(sorted(self.seen()), [*range(10), *range(20, 30)])
        self.assertEqual(self.committed("tx", "tx"), self.ends("tx"))
        self.assertRegex(self.run_ok("copy.yaml").stderr, ": 0 records")

    def test_several_topics_and_what_is_missing(self):
        for number, topic in enumerate(("list-a", "list-b")):
            self.tool("create", topic, 2)
            self.fill(topic, 100 * number, 100)
        self.run_ok(self.copy("list-b,list-a", group="list"))
        self.assertEqual(sorted(self.seen()), list(range(200)))
        self.refused(self.copy("nowhere"), "topic nowhere on .* cannot be read: .*; create it")
        self.refused(self.copy("^(", group="g"), "no regular expression", 2)

    def test_topic_that_is_deleted_stops_and_many_others_go_on(self):
        topics = [f"many-{number}" for number in range(12)]
        for topic in topics:
            self.tool("create", topic, 2)
        self.fill(topics[0], 0, 100)
        process = self.start(self.copy("^many-", "", "many-topics"))
        self.wait_until("the first records", lambda: len(self.seen()) == 100)
        self.tool("delete", topics[0])
        self.wait_until("the message", lambda: re.search(
            r"many-0 \[\d\] was deleted while it was read, up to offset \d+", self.log()))
        for number, topic in enumerate(topics[1:], 1):
            self.fill(topic, 100 * number, 100)
        self.wait_until("all others", lambda: len(self.seen()) == 1200)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(kafka_case.DEADLINE_S), 1, self.log())
        self.assertEqual(sorted(self.seen()), list(range(1200)))

    def test_poison_is_dead_after_so_many_attempts_and_others_flow(self):
        self.tool("create", "poison", 2)
        self.tool("produce", "poison", lines=[
            *(f"{n % 2}\tk{n % 5}\tgood" for n in range(200)), "0\tk0\tbad", "1\tkx\tbad",
            *(f"{n % 2}\tk{n % 5}\tgood" for n in range(200))])
        words = [os.environ["STRID_KAFKA_POISON"],
                 f"kafka://{self.brokers}/poison?group=poison&follow=false", "rocksdb:state"]
        done = subprocess.run(words, cwd=self.folder, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=kafka_case.DEADLINE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        for key in range(5):
            shown = kafka_case.run(["state", "get", "rocksdb:state", "--store", "counts", "--key",
                                    f"k{key}"], self.folder)
            self.assertEqual(shown.stdout.split()[-1], "80", shown.stdout + shown.stderr)
        self.write("dlq.yaml", 'name: poison\nsource: { url: "kafka://@B/poison" }\nhandlers: [ { '
                   'count: { store: counts } } ]\n')
        dead = kafka_case.run(["dlq", "list", "dlq.yaml", "--json"], self.folder).stdout
        dead = sorted(map(json.loads, dead.splitlines()), key=lambda d: d["partition"])
        self.assertEqual([(d["partition"], d["position"], d["key"], d["value"], d["attempts"])
                          for d in dead], [(0, 100, "k0", "bad", 4), (1, 100, "kx", "bad", 4)])

    def test_dead_letters_go_to_a_topic_beside(self):
        self.tool("create", "words", 1)
        self.tool("produce", "words", lines=["0\tk\tno json\tcolour=red"])
        name = self.copy("words", ENDS + ", format: jsonl")
        text = (self.folder / name).read_text(encoding="utf-8")
        self.write(name, text.replace('dlq: { url: "file:dead.jsonl" }\n', ""))
        self.assertRegex(self.run_ok(name).stderr, "1 dead-lettered")
        dead = json.loads(kafka_case.run(["dlq", "list", name, "--json"], self.folder).stdout)
        self.assertEqual((dead["reason"], dead["value"], dead["topic"], dead["position"]),
                         ("not_json", "no json", "words", 0))


class WithoutBroker(unittest.TestCase):
    COMMANDS = (["run", "--log-level", "debug"], ["check"], ["dlq", "list"])

    def run_in(self, folder, *words):
        path = pathlib.Path(folder) / "copy.yaml"
        text = PIPELINE.format(topic="t", group="g", more=", kafka.security.protocol: "
                               "sasl_plaintext, kafka.sasl.mechanism: PLAIN, kafka.sasl.username: "
                               "u, kafka.sasl.password: canary1, kafka.ssl.key.password: canary2")
        path.write_text(text.replace("@B", "127.0.0.1:1").replace("dlq: {", "# {"),
                        encoding="utf-8")
        return kafka_case.run([*words, "copy.yaml"], folder)

    def test_is_told_with_exit_3_and_without_secrets(self):
        with contextlib.ExitStack() as scratch:
            folders = [scratch.enter_context(tempfile.TemporaryDirectory()) for _ in self.COMMANDS]
            with concurrent.futures.ThreadPoolExecutor() as pool:  # they wait side by side
                done = list(pool.map(lambda at, words: self.run_in(at, *words), folders,
                                     self.COMMANDS))
        self.assertEqual(done[0].returncode, 3, done[0].stderr)
        self.assertRegex(done[0].stderr, "no answer from the brokers 127.0.0.1:1 within 15 s")
        for each in done:
            self.assertNotIn("canary", each.stdout + each.stderr)


if __name__ == "__main__":
    unittest.main()
