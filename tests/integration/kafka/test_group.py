"""Nodes that share the partitions of topics as members of a consumer group (assign: group)."""
import contextlib
import json
import os
import re
import pathlib
import signal
import subprocess
import sys
import threading
import unittest

import kafka_case

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import kafka_mock  # noqa: E402

PIPELINE = """\
name: share
source:
  url: "kafka://@B/{topic}"
  group: {topic}
  assign: group
  commit_interval: {commit}
  kafka.session.timeout.ms: {session_ms}
  kafka.heartbeat.interval.ms: 500
{more}state: {{ url: "{state}" }}
handlers:
{handlers}
sink: {{ out: "{sink}" }}
dlq: {{ url: "file:dead.jsonl" }}
"""
FORWARD = "  - forward: { to: out }"
COUNT = FORWARD + "\n  - count: { store: counts }"


class Node:
    """A run in a folder of its own."""

    def __init__(self, case, name, topic, **pipeline):
        self.case = case
        self.folder = case.folder / name
        self.folder.mkdir(exist_ok=True)
        wanted = {"more": "", "state": "memory:", "handlers": FORWARD, "commit": "100ms",
                  "sink": "file:out.jsonl", "session_ms": 6000, **pipeline}
        case.write(f"{name}/share.yaml", PIPELINE.format(topic=topic, **wanted))
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([kafka_case.STRID, "run", "share.yaml"],
                                            cwd=self.folder, stderr=log,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.kill)

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")

    def seen(self):
        path = self.folder / "out.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[:text.rfind("\n") + 1]  # a node that was killed may have left half a line
        return [json.loads(line)["value"]["n"] for line in whole.splitlines()]

    def reads(self):
        """How many partitions it reads, by its own account; None: it has not said so yet."""
        said = re.findall(r"reads (\d+) of \d+ partitions|(none) is for this node", self.log())
        return None if not said else 0 if said[-1][1] else int(said[-1][0])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.case.assertEqual(self.process.wait(kafka_case.DEADLINE_S), 0, self.log())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ended(self, code, expected):
        self.case.assertEqual(self.process.wait(kafka_case.DEADLINE_S), code, self.log())
        self.case.assertRegex(self.log(), expected)


class Group(kafka_case.OnTheBroker):
    KEYS = 30

    def make(self, topic, partitions=6):
        self.tool("create", topic, partitions)
        self.fed = 0
        self.topic = topic

    def feed(self, count=600):
        self.fill(self.topic, self.fed, count, self.KEYS)
        self.fed += count

    @contextlib.contextmanager
    def fed_all_the_while(self):
        """So that something is in hand whenever partitions go from one node to another."""
        enough = threading.Event()

        def feed():
            while not enough.is_set():
                self.feed(90)

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()

    def wait_for_all(self, *nodes):
        wanted = set(range(self.fed))
        self.wait_until("all records", lambda: wanted <= {n for node in nodes
                                                          for n in node.seen()})

    def wait_for_shares(self, *pairs):
        self.wait_until("the shares", lambda: all(node.reads() == count for node, count in pairs))

    def check_order(self, node):
        """A node handles no record twice, and those of a key in their order."""
        last = {}
        for n in node.seen():
            self.assertLess(last.get(n % self.KEYS, -1), n, f"key {n % self.KEYS}")
            last[n % self.KEYS] = n

    def test_members_share_and_hand_over_without_a_repeat(self):
        # Nothing is told but what is handed over: without that it would be handled again.
        seen, logs = self.share("shared", commit="1h")
        again = sorted(n for n in set(seen) if seen.count(n) > 1)
        self.assertEqual((again, len(seen)), ([], self.fed), logs)

    def test_cooperative_members_share_and_hand_over(self):
        """librdkafka before 2.10 may lose all partitions to a commit at the wrong time."""
        self.share("cooperative",
                   more="  kafka.partition.assignment.strategy: cooperative-sticky\n")

    def share(self, topic, **pipeline):
        self.make(topic)
        first = Node(self, "first", topic, **pipeline)
        with self.fed_all_the_while():
            self.wait_until("records", first.seen)
            second = Node(self, "second", topic, **pipeline)
            self.wait_for_shares((first, 3), (second, 3))
            self.wait_until("records of the second", second.seen)
            first.end()
            self.wait_for_shares((second, 6))
        self.wait_for_all(first, second)
        second.end()
        self.assertEqual(self.committed(topic, topic), self.ends(topic))
        self.check_order(first)
        self.check_order(second)
        return first.seen() + second.seen(), first.log() + second.log()

    def test_member_that_is_killed_and_one_that_is_lost(self):
        """At least once: what they had in hand is handled by the other, and by them once more."""
        self.make("killed")
        soon = {"session_ms": 3000}
        first, second = (Node(self, name, "killed", **soon) for name in ("first", "second"))
        self.wait_for_shares((first, 3), (second, 3))
        self.feed()
        second.kill()
        self.feed()
        self.wait_for_all(first, second)
        third = Node(self, "third", "killed", **soon)
        self.wait_for_shares((first, 3), (third, 3))
        self.feed()
        third.process.send_signal(signal.SIGSTOP)
        self.feed()
        self.wait_for_shares((first, 6))
        self.wait_for_all(first, second, third)
        told = self.committed("killed", "killed")
        third.process.send_signal(signal.SIGCONT)
        self.wait_until("the loss to be noticed", lambda: third.log().count("reads") > 1)
        now = self.committed("killed", "killed")
        self.assertTrue(all(now[p] >= told[p] for p in told), f"{told} became {now}")
        self.feed()
        self.wait_for_all(first, second, third)
        for node in (first, third):
            node.end()
        for node in (first, second, third):
            self.check_order(node)
        self.assertEqual(self.committed("killed", "killed"), self.ends("killed"))

    def test_what_is_not_done_in_time_goes_to_the_next_node_too(self):
        """The outputs of the first are taken only after its partitions have gone on. Then it tells
        nobody of them, and what comes back to it goes on where it was itself."""
        taker = kafka_mock.Mock(os.environ["STRID_KAFKA_MOCK"])
        self.addCleanup(taker.close)
        taker.ask("topic", "taken", 1)
        self.make("handed")
        first = Node(self, "first", "handed", session_ms=3000, more="  hand_over: 500ms\n", sink=
                     f"kafka://{taker.brokers}/taken?kafka.reconnect.backoff.max.ms=100")
        self.wait_for_shares((first, 6))
        taker.ask("down")
        self.feed(60)
        second = Node(self, "second", "handed", session_ms=3000, commit="1h")
        self.wait_for_shares((second, 3))
        self.wait_until("what the first did not do", second.seen)
        self.assertIn("(hand_over) before all that was read of them was done", first.log())
        second.kill()
        self.wait_for_shares((first, 6))
        third = Node(self, "third", "handed", session_ms=3000)
        self.wait_for_shares((third, 3))
        self.feed(60)
        ends = self.ends("handed")
        self.wait_until("the share of the third", lambda: len(
            self.committed("handed", "handed").items() & ends.items()) == 3)
        taker.ask("up")
        first.end()
        self.assertEqual(self.committed("handed", "handed"), ends, "none is told of others' shares")
        taken = subprocess.run([kafka_case.TOOL, taker.brokers, "read", "taken"], check=True,
                               stdout=subprocess.PIPE, text=True, timeout=kafka_case.DEADLINE_S)
        taken = [json.loads(line.split("\t")[3])["n"] for line in taken.stdout.splitlines()]
        self.assertEqual(len(set(taken)), len(taken), "the first handled nothing twice")
        third.end()
        self.assertEqual({*taken, *third.seen()}, set(range(120)))

    def test_state_does_not_share(self):
        self.make("kept", 2)
        self.feed(100)
        pipeline = {"state": "rocksdb:./state", "handlers": COUNT, "session_ms": 3000}
        alone = Node(self, "alone", "kept", **pipeline)
        self.wait_for_all(alone)
        other = Node(self, "other", "kept", more="  start: group\n", **pipeline)
        other.ended(1, r"group kept has 1 other member \(strid-share.*keeps state.*assign: static")
        self.assertEqual(other.seen(), [])
        self.feed(100)
        self.wait_for_all(alone)
        alone.kill()
        alone = Node(self, "alone", "kept", **pipeline)
        self.wait_until("the wait", lambda: "for the end of a node that died" in alone.log())
        self.feed(100)
        self.wait_for_all(alone)
        stateless = Node(self, "stateless", "kept")
        alone.ended(1, "group kept gives this node 1 of 2 partitions, .* other members; .*state")
        self.wait_for_shares((stateless, 2))
        self.feed(100)
        self.wait_for_all(alone, stateless)
        stateless.end()
        counts = sum(self.counts("alone").values())
        self.assertGreaterEqual(counts, 300, "what the others refused is not missing")
        alone = Node(self, "alone", "kept", **pipeline)
        alone.ended(1, r"group kept has read kept \[\d\] up to \d+, .*another node went on")

    def counts(self, name):
        done = kafka_case.run(["state", "scan", "rocksdb:state", "--store", "counts", "--json"],
                              self.folder / name)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {row["key"]: row["value"] for row in map(json.loads, done.stdout.splitlines())}

    def all_lead(self):
        done = subprocess.run([kafka_case.TOOL, self.brokers, "extents", self.topic], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0 and len(done.stdout.splitlines()) == 12

    def test_begins_where_the_group_is_though_nothing_is_kept(self):
        self.make("begins", 3)
        self.feed(300)
        first = Node(self, "first", "begins", more="  start: latest\n  refresh: 3s\n")
        self.wait_for_shares((first, 3))
        self.wait_until("the place to be told", lambda: sum(self.committed(
            "begins", "begins").values()) == 300)
        self.feed(30)
        self.wait_until("what came later", lambda: len(first.seen()) == 30)
        self.tool("grow", "begins", 12)  # what comes before the node sees that is not too early
        self.wait_until("the new partitions", self.all_lead)
        self.feed(60)
        self.wait_until("what is in them", lambda: len(first.seen()) == 90)
        first.end()
        self.feed(30)
        second = Node(self, "second", "begins")
        self.wait_until("what came since", lambda: len(second.seen()) == 30)
        second.end()
        self.assertEqual(sorted(first.seen()), list(range(300, 390)))
        self.assertEqual(sorted(second.seen()), list(range(390, 420)))

    def test_what_does_not_go_together_is_refused(self):
        for url, expected in (("assign=group", '"assign": group needs a "group"'),
                              ("assign=group&group=g&follow=false", '"follow": false does not go'),
                              ("assign=some&group=g", "static.*group")):
            self.write("wrong.yaml", f'name: w\nsource: "kafka://@B/none?{url}"\nhandlers:\n'
                       "  - count: { store: counts }\n")
            done = kafka_case.run(["run", "wrong.yaml"], self.folder)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, expected)


if __name__ == "__main__":
    unittest.main()
