"""`strid dlq replay` and `purge` over a real broker: a record is in its topic again iff its letter
is marked; a letter that was purged is seen by nobody, and no other one goes."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from kafka_case import DEADLINE_S, OnTheBroker, STRID, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import kafka_between as between  # noqa: E402

STRID_TEST = os.environ["STRID_TEST_COMMAND"]
LONG = "STRID_LONG" in os.environ

PIPELINE = """\
name: clicks
source: {{ url: "kafka://@B/{topic}?group={topic}", format: jsonl, follow: false{more} }}
state: {{ url: "rocksdb:./state" }}
handlers:
  - {{ on: "*", count: {{ store: clicks }} }}
"""


class Letters(OnTheBroker):
    def pipeline(self, topic, more="", dlq=""):
        self.write("p.yaml", PIPELINE.format(topic=topic, more=more) + dlq)

    def dead(self, topic, values, partitions=1):
        """Letters of records that are no JSON, and the run that made them."""
        self.tool("create", topic, partitions)
        self.tool("produce", topic, lines=[f"{n % partitions}\tk{n}\t{value}\tcolour=red"
                                           for n, value in enumerate(values)])
        self.pipeline(topic)
        self.assertIn(f"{len(values):,} dead-lettered", self.run_ok("p.yaml").stderr)

    def letters(self):
        done = run(["dlq", "list", "p.yaml", "--json"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("passed over", done.stderr, "marks are no strangers")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def dlq(self, verb, *words, code=0):
        done = run(["dlq", verb, "p.yaml", *words], self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def replay(self, *words, code=0):
        return self.dlq("replay", *words, code=code)

    def rows(self, topic):
        """Partition, key, value, headers, time: what is committed."""
        out = run(["consume", f"kafka://{self.brokers}/{topic}", "-e", "-J"], self.folder).stdout
        rows = [json.loads(line) for line in out.splitlines()]
        return sorted((row["partition"], row["key"], row["payload"], tuple(row["headers"]),
                       row["ts"]) for row in rows)

    def put_letters(self, topic, partition, *ids):
        headers = "\t".join(f"strid.dlq.{name}={value}" for name, value in (
            ("id", "@/dlq0"), ("source", "s"), ("topic", topic), ("partition", 0),
            ("position", "0-0"), ("reason", "not_json"), ("type", ""), ("first-failure-ms", 1),
            ("last-failure-ms", 1), ("attempts", 1), ("pipeline", "clicks"), ("node", "n")))
        self.tool("produce", f"{topic}-dlq", lines=[
            f"{partition}\t{name}\tx\t{headers}".replace("@", name) for name in ids])


class Replay(Letters):
    def test_record_goes_back_as_it_was_and_once(self):
        self.dead("back", ["no json", "nor this"], 2)
        before = self.rows("back")
        self.assertIn("2 dead letters would be", self.replay("--all", "--dry-run"))
        self.assertEqual(self.rows("back"), before)
        self.assertIn("1 dead letter handed back", self.replay("--key", "k1", "--yes"))
        self.assertEqual(sorted((x["key"], x.get("replayed", False)) for x in self.letters()),
                         [("k0", False), ("k1", True)])
        self.assertIn("1 dead letter handed back", self.replay("--all", "--yes"))
        self.assertIn("0 dead letters handed back", self.replay("--all", "--yes"))
        back = [(p, key, value, (*headers, "strid-replays", "1"), ts)
                for p, key, value, headers, ts in before]
        self.assertEqual(sorted((x["partition"], x["key"], x["value"], x["timestamp_ms"])
                                for x in self.letters()),
                         [(p, key, value, ts) for p, key, value, _, ts in before])
        self.assertEqual(self.rows("back"), sorted(before + back))
        self.assertIn("2 dead letters handed back", self.replay("--all", "--again", "--yes"))
        self.assertEqual(len(self.rows("back")), 6)

    def test_record_that_fails_again_is_another_letter(self):
        self.dead("again-dead", ["still no json"])
        self.replay("--all", "--yes")
        self.assertIn("1 dead-lettered", self.run_ok("p.yaml").stderr)
        self.assertEqual([x.get("replayed", False) for x in self.letters()], [True, False])
        self.assertIn("1 dead letter handed back", self.replay("--all", "--yes"))
        self.assertIn(("strid-replays", "2"), [row[3][-2:] for row in self.rows("again-dead")])

    def test_letters_of_other_programs_go_back_without_their_headers(self):
        self.tool("create", "made", 3)
        self.tool("create", "made-dlq", 1)
        self.tool("produce", "made-dlq", lines=[
            f"0\tk{n}\t{{}}\tcolour=red\t{family}.topic=made\t{family}.partition={n + 1}\t"
            f"{family}.offset=7" for n, family in enumerate(("__connect.errors",
                                                             "__streams.errors"))])
        self.pipeline("made")
        self.assertIn("2 dead letters handed back", self.replay("--all", "--yes"))
        self.assertEqual([row[:4] for row in self.rows("made")],
                         [(n + 1, f"k{n}", "{}", ("colour", "red", "strid-replays", "1"))
                          for n in range(2)])
        self.assertIn("0 dead letters handed back", self.replay("--all", "--yes"))

    def test_what_has_no_place_stays(self):
        self.tool("create", "placed", 1)
        self.tool("create", "placed-dlq", 1)
        self.tool("produce", "placed-dlq", lines=[
            f"0\tk\t{{}}\t__connect.errors.topic={topic}\t__connect.errors.partition={partition}"
            for topic, partition in (("placed", 1), ("elsewhere", 0), ("placed-dlq", 0))])
        for topics in ("placed", "placed,placed-dlq"):  # no letter goes back into its own queue
            self.pipeline(topics)
            self.assertIn("3 dead letters were read from what the source does not have",
                          self.replay("--all", "--yes", code=1))
            self.assertEqual(self.rows("placed"), [])
            self.assertEqual(sum(self.ends("placed-dlq").values()), 3)
        self.pipeline("placed", dlq='dlq: { url: "file:dead.jsonl" }\n')
        self.assertIn("cannot be handed back to its source", self.replay("--all", "--yes", code=1))

    def test_letters_of_several_topics_go_back_and_are_purged_at_once(self):
        topics = ("each-a", "each-b", "each-c")
        for topic in topics:
            self.tool("create", topic, 1)
            self.tool("create", f"{topic}-dlq", 1)
        for topic in topics[::2]:  # nothing comes from the other one
            self.tool("produce", topic, lines=[f"0\tk{n}\tno json\tcolour=red"
                                               for n in range(3)])
        self.pipeline(",".join(topics))
        self.assertIn("6 dead-lettered", self.run_ok("p.yaml").stderr)
        self.assertIn("2 dead letters deleted", self.dlq("purge", "--key", "k1", "--yes"))
        self.assertIn("4 dead letters handed back", self.replay("--all", "--yes"))
        self.assertIn("0 dead letters handed back", self.replay("--all", "--yes"))
        self.assertEqual([[row[1] for row in self.rows(topic)] for topic in topics],
                         [["k0", "k0", "k1", "k2", "k2"], [], ["k0", "k0", "k1", "k2", "k2"]])

    def test_two_at_once_and_one_that_is_killed_hand_each_back_once(self):
        count = 3000
        self.dead("raced", [f"no json {n}" for n in range(count)], 2)
        words = [STRID, "dlq", "replay", "p.yaml", "--all", "--yes"]
        with open(self.folder / "said", "wb") as said:
            quiet = {"cwd": self.folder, "stdout": said, "stderr": said}
            killed = subprocess.Popen(words, **quiet)
            self.wait_until("something to be handed back",
                            lambda: sum(self.ends("raced").values()) > count + 100)
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            both = [subprocess.Popen(words, **quiet) for _ in range(2)]
            for process in both:
                process.wait(timeout=DEADLINE_S)
        # One of them may have been put out by the other, which says so.
        self.replay("--all", "--yes")
        values = [row[2] for row in self.rows("raced")]
        self.assertEqual(len(values), 2 * count)
        self.assertEqual(len(set(values)), count)
        self.assertTrue(all(x.get("replayed", False) for x in self.letters()))


class Purge(Letters):
    """A dead-letter topic of one partition, whose offsets are those of the letters."""

    def dead(self, topic, values, partitions=1):
        self.tool("create", f"{topic}-dlq", 1)
        super().dead(topic, values, partitions)

    def purge(self, *words, code=0):
        return self.dlq("purge", *words, "--yes", code=code)

    def keys(self, *words):
        done = run(["dlq", "list", "p.yaml", "--json", *words], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line)["key"] for line in done.stdout.splitlines()]

    def extent(self, topic):
        return self.extents(f"{topic}-dlq")[0]

    def test_all_are_deleted_and_later_ones_are_not(self):
        self.dead("purge-all", ["no json", "nor this"])
        self.assertIn("2 dead letters would be deleted", self.dlq("purge", "--all", "--dry-run"))
        self.assertIn("add --yes", self.dlq("purge", "--all", code=2))
        self.assertIn("which dead letters?", self.purge(code=2))
        self.assertEqual(self.extent("purge-all"), (0, 2))
        self.replay("--key", "k0", "--yes")
        said = self.purge("--all")
        self.assertIn("2 dead letters deleted", said)
        self.assertNotIn("stand", said)
        low, high = self.extent("purge-all")
        self.assertEqual(low, high, "the mark of the replay went, too")
        self.run_ok("p.yaml")  # the record that was handed back fails again
        self.assertEqual(self.keys(), ["k0"])
        self.assertIn("0 dead letters deleted", self.purge("--key", "k1"))
        self.assertEqual(self.extent("purge-all")[0], low)

    def test_what_goes_behind_one_that_stays_is_marked(self):
        self.dead("purge-some", [f"no json {n}" for n in range(4)])
        said = self.purge("--key", "k2")
        self.assertIn("1 dead letter deleted", said)
        self.assertRegex(said, r"1 message of purged letters \([0-9]{3} bytes\) stands in the ")
        self.assertEqual(self.extent("purge-some")[0], 0)
        self.assertEqual(self.keys(), ["k0", "k1", "k3"])
        self.assertIn("no dead letter", self.dlq("show", "--key", "k2", code=1))
        self.assertIn("0 dead letters deleted", self.purge("--key", "k2"))
        self.assertIn("0 dead letters handed back", self.replay("--key", "k2", "--again", "--yes"))
        self.assertIn("1 dead letter deleted", self.purge("--limit", "1", "--reason", "not_json"))
        self.assertEqual((self.extent("purge-some")[0], self.keys()), (1, ["k1", "k3"]))
        self.assertIn("1 dead letter deleted", self.purge("--key", "k1"))
        self.assertEqual((self.extent("purge-some")[0], self.keys()), (3, ["k3"]),
                         "the one that was marked before goes with what is before it")
        self.assertIn("1 dead letter handed back", self.replay("--all", "--again", "--yes"))
        self.assertEqual([row[1] for row in self.rows("purge-some")],
                         ["k0", "k1", "k2", "k3", "k3"])

    def test_those_that_were_handed_back_stay_unless_they_are_meant(self):
        self.dead("purge-back", [f"no json {n}" for n in range(3)])
        self.replay("--limit", "2", "--reason", "not_json", "--yes")
        self.assertIn("1 dead letter deleted", self.purge("--key", "k1"))
        self.assertEqual(self.keys("--replayed"), ["k0"])
        self.assertIn("1 dead letter deleted", self.purge("--replayed"))
        self.assertEqual((self.extent("purge-back")[0], self.keys()), (2, ["k2"]))
        self.assertIn("1 dead letter handed back", self.replay("--all", "--yes"))
        self.assertEqual(len(self.rows("purge-back")), 6)

    def test_repeat_goes_with_its_letter_and_a_mark_stays_with_a_repeat(self):
        self.tool("create", "repeated", 1)
        self.tool("create", "repeated-dlq", 2)
        self.pipeline("repeated")
        self.put_letters("repeated", 0, "back", "gone", "last")
        self.replay("--key", "back", "--yes")
        self.purge("--key", "gone")
        self.put_letters("repeated", 1, "stays", "gone", "back")
        self.assertIn("1 dead letter deleted", self.purge("--key", "last"))
        self.assertIn("1 dead letter deleted", self.purge("--replayed"))
        low, high = self.extents("repeated-dlq")[0]
        self.assertEqual(low, high, "with the marks")
        self.assertEqual(self.keys(), ["stays"], "repeats in the other partition are marked")
        self.put_letters("repeated", 1, "stays")
        self.assertIn("1 dead letter handed back", self.replay("--all", "--yes"))
        self.assertEqual(sorted(row[1] for row in self.rows("repeated")), ["back", "stays"])
        self.assertIn("1 dead letter deleted", self.purge("--all"))
        self.assertEqual(self.keys(), [])

    def test_mark_of_a_repeat_that_stays_is_kept(self):
        self.tool("create", "kept-back", 1)
        self.tool("create", "kept-back-dlq", 1)
        self.pipeline("kept-back")
        self.put_letters("kept-back", 0, "back", "other")
        self.replay("--key", "back", "--yes")
        self.put_letters("kept-back", 0, "stays", "back")
        self.purge("--key", "other")
        self.assertEqual(self.keys("--replayed"), ["back"])
        self.assertIn("1 dead letter handed back", self.replay("--all", "--yes"))
        self.assertEqual([row[1] for row in self.rows("kept-back")], ["back", "stays"])

    def test_what_is_no_dead_letter_is_not_deleted(self):
        self.tool("create", "mixed", 1)
        self.tool("create", "mixed-dlq", 1)
        self.pipeline("mixed")
        letter = "__connect.errors.topic=mixed\t__connect.errors.partition=0"
        self.tool("produce", "mixed-dlq", lines=[f"0\ta\tx\t{letter}", "0\tb\tno letter",
                                                 f"0\tc\tx\t{letter}"])
        self.assertIn("2 dead letters deleted", self.purge("--all"))
        self.assertEqual(self.extent("mixed")[0], 1)
        self.assertEqual(self.keys(), [])
        self.assertIn("b\tno letter", self.tool("read", "mixed-dlq"))

    def test_topic_that_is_compacted_says_what_to_do(self):
        self.tool("create", "packed-dlq", 1, "cleanup.policy=compact")
        super().dead("packed", ["no json", "nor this"])
        said = self.purge("--all", code=1)
        self.assertRegex(said, r"packed-dlq \[0\] on .*before offset 2 cannot be deleted: "
                               r"Broker: Policy violation; .*compact,delete")
        self.assertEqual(self.keys(), ["k0", "k1"])
        self.assertIn("1 dead letter deleted", self.purge("--key", "k1"))
        self.assertEqual(self.keys(), ["k0"], "what is marked needs no deleting")

    def test_purge_that_is_killed_leaves_each_as_it_was_or_purged(self):
        """What is listed then, and how many records there are when the rest was handed back."""
        left = {"dlq_topic_marking": (["k0", "k1", "k2"], 5), "dlq_topic_marked": (["k0", "k1"], 4),
                "dlq_topic_deleted": (["k1"], 4)}
        for point, (keys, records) in left.items():
            with self.subTest(point):
                topic = point.replace("_", "-")
                self.setUp()
                self.dead(topic, [f"no json {n}" for n in range(3)])
                self.replay("--key", "k1", "--yes")
                chosen = "2"
                if point == "dlq_topic_deleted":
                    self.purge("--position", "2")
                    chosen = "0"
                killed = subprocess.run(
                    [STRID_TEST, "dlq", "purge", "p.yaml", "--position", chosen, "--yes"],
                    cwd=self.folder, check=False, timeout=DEADLINE_S, capture_output=True,
                    env=dict(os.environ, STRID_CRASH_POINT=f"{point}:1"))
                self.assertEqual(killed.returncode, -signal.SIGKILL, killed.stderr)
                self.assertEqual(self.keys(), keys)
                self.purge("--position", keys[0][1:])
                self.replay("--all", "--yes")
                self.assertEqual(len(self.rows(topic)), records)
                self.assertTrue(all(x.get("replayed", False) for x in self.letters()))


class Errors(Letters):
    """What brokers answer to transactions. Errors are made between the command and the broker."""

    def setUp(self):
        super().setUp()
        self.between = between.Between(int(self.brokers.split(":")[1]))
        self.addCleanup(self.between.close)
        self.brokers = self.between.address

    # By request: what passes, and what ends the command.
    PASSES = {between.FIND_COORDINATOR: (15, between.CUT),
              between.INIT_PRODUCER_ID: (14, 15, 16, 51, between.CUT, between.LOST),
              between.ADD_PARTITIONS_TO_TXN: (14, 15, 16, 51, 3, between.CUT, between.LOST),
              between.PRODUCE: (6, 7, 19, between.CUT, between.LOST),
              between.END_TXN: (14, 15, 16, 51, between.CUT, between.LOST)}
    # Refused, fenced by another one, and what librdkafka calls fatal; with --long all of each.
    ENDS = {between.INIT_PRODUCER_ID: (53, 31, 35), between.ADD_PARTITIONS_TO_TXN: (90, 53, 29, 48),
            between.PRODUCE: (29, 10, 47), between.END_TXN: (47, 48, 53, 90, 49)}

    def test_what_passes_is_waited_out_and_each_goes_back_once(self):
        self.dead("waited", [f"no json {n}" for n in range(3)])
        for api, codes in self.PASSES.items():
            self.between.push(api, *codes)
        self.assertIn("3 dead letters handed back", self.replay("--all", "--yes"))
        self.assertEqual(self.between.left(), {})
        self.assertIn("0 dead letters handed back", self.replay("--all", "--yes"))
        self.assertEqual(len(self.rows("waited")), 6)

    def test_what_does_not_ends_the_command_with_neither_record_nor_mark(self):
        self.dead("refused", ["no json", "nor this"])
        before = self.rows("refused")
        for api, codes in self.ENDS.items():
            for code in codes if LONG else codes[:2 if api == between.END_TXN else 1]:
                with self.subTest(api=api, code=code):
                    self.between.push(api, code)
                    self.assertRegex(self.replay("--all", "--yes", code=1), "run it again")
                    self.assertEqual(self.between.left(), {})
                    self.assertEqual(self.rows("refused"), before)
                    self.assertEqual([x.get("replayed") for x in self.letters()], [None, None])
        self.assertIn("2 dead letters handed back", self.replay("--all", "--yes"))
        self.assertEqual(len(self.rows("refused")), 4)

    def test_what_fails_while_letters_are_still_written_is_told(self):
        self.dead("midway", [f"no json {n}" for n in range(40)])
        self.pipeline("midway", dlq='dlq: { url: "kafka://@B/midway-dlq", '
                                    'kafka.queue.buffering.max.messages: 10 }\n')
        for api, code in ((between.ADD_PARTITIONS_TO_TXN, 53), (between.PRODUCE, 29)):
            with self.subTest(api=api):
                self.between.push(api, code)
                self.assertRegex(self.replay("--all", "--yes", code=1),
                                 "handed back: a transaction failed: .*uthorization.* run it again")
                self.between.left()
        self.assertIn("40 dead letters handed back", self.replay("--all", "--yes"))
        self.assertEqual(len(self.rows("midway")), 80)

    def other(self, said, *words):
        """For the proxy: another command, straight to the broker, while a request is held."""
        straight = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        text = (self.folder / "p.yaml").read_text(encoding="utf-8")
        (straight / "p.yaml").write_text(text.replace(self.brokers, self.broker.bootstrap),
                                         encoding="utf-8")
        return lambda: said.append(run(["dlq", words[0], "p.yaml", *words[1:], "--yes"], straight))

    def test_others_that_change_another_queue_put_nobody_out(self):
        """Whichever request of the first one they come before."""
        requests = (between.INIT_PRODUCER_ID, between.ADD_PARTITIONS_TO_TXN, between.PRODUCE,
                    between.END_TXN)
        said = []
        self.tool("create", "theirs-dlq", 1)
        self.dead("theirs", [f"no json {n}" for n in range(1 + len(requests))])
        others = [[self.other(said, "replay", "--key", "k0", "--again"),
                   self.other(said, "purge", "--position", str(1 + n))]
                  for n in range(len(requests))]
        shutil.rmtree(self.folder / "state")  # of the other one's source
        self.dead("ours", ["no json", "nor this"])
        for n, api in enumerate(requests):
            with self.subTest(api=api):
                self.between.push(api, lambda: [go() for go in others.pop()])
                self.assertIn("2 dead letters handed back", self.replay("--all", "--again",
                                                                        "--yes"))
                self.assertEqual(self.between.left(), {})
                self.assertEqual([(done.returncode, done.stderr) for done in said
                                  if done.returncode != 0], [])
                self.assertEqual(len(self.rows("ours")), 2 * (n + 2))
        self.assertEqual(len(said), 2 * len(requests))
        self.assertEqual(len(self.rows("theirs")), 1 + 2 * len(requests))

    def test_another_that_changes_this_queue_puts_it_out_which_is_told(self):
        said = []
        self.dead("claimed", ["no json", "nor this"])
        for api in (between.ADD_PARTITIONS_TO_TXN, between.PRODUCE, between.END_TXN):
            with self.subTest(api=api):
                self.between.push(api, self.other(said, "replay", "--all", "--again"))
                self.assertRegex(self.replay("--all", "--again", "--yes", code=1),
                                 "of the queue claimed-dlq began .* run it again")
                self.assertEqual(self.between.left(), {})
                self.assertIn("2 dead letters handed back", said[-1].stderr)
                self.assertEqual(len(self.rows("claimed")), 2 * (len(said) + 1), "of the other")

    @unittest.skipUnless(LONG, "takes 40 s")
    def test_purge_that_reads_for_longer_than_a_transaction_may_last_is_not_put_out(self):
        """A letter that is marked, then ten that stay, each of which comes 3 s later."""
        self.tool("create", "slow", 1)
        self.tool("create", "slow-dlq", 1)
        for n in range(12):
            self.put_letters("slow", 0, f"l{n}")
        self.pipeline("slow", dlq='dlq: { url: "kafka://@B/slow-dlq", '
                                  'kafka.socket.timeout.ms: 8000, '
                                  'kafka.fetch.message.max.bytes: 1, kafka.queued.min.messages: 1, '
                                  'kafka.transaction.timeout.ms: 10000 }\n')
        slow = [lambda: threading.Event().wait(3)] * 10
        self.between.push(between.INIT_PRODUCER_ID,
                          lambda: self.between.push(between.FETCH, *slow))
        self.assertIn("1 dead letter deleted", self.dlq("purge", "--key", "l1", "--yes"))
        self.assertEqual(self.between.left(), {}, "it took 30 s")
        self.assertEqual(len(self.letters()), 11)

    def test_purge_that_is_refused_purges_nothing(self):
        self.dead("barred", ["no json", "nor this", "no more"])
        for api, words in ((between.END_TXN, "cannot be purged: .*transactional id"),
                           (between.DELETE_RECORDS, "cannot be deleted: .*the right to delete")):
            code = {between.END_TXN: 53, between.DELETE_RECORDS: 29}[api]
            self.between.push(api, code)
            chosen = "2" if api == between.END_TXN else "0"
            said = self.dlq("purge", "--position", chosen, "--yes", code=1)
            self.assertRegex(said, words)
            self.assertNotIn("stand", said, "nothing is left behind what was not done")
            self.assertEqual(self.between.left(), {})
            self.assertEqual(len(self.letters()), 3)
        self.between.push(between.DELETE_RECORDS, 6, between.CUT)  # another leader, nobody
        self.assertIn("3 dead letters deleted", self.dlq("purge", "--all", "--yes"))
        self.assertEqual((self.between.left(), self.letters()), ({}, []))


if __name__ == "__main__":
    unittest.main()
