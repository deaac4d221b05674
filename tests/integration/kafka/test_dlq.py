"""`strid dlq replay` over a real broker: a record is back in its topic iff its letter is marked."""
import json
import signal
import subprocess
import unittest

from kafka_case import DEADLINE_S, OnTheBroker, STRID, run

PIPELINE = """\
name: clicks
source: {{ url: "kafka://@B/{topic}?group={topic}", format: jsonl, follow: false{more} }}
state: {{ url: "rocksdb:./state" }}
handlers:
  - {{ on: "*", count: {{ store: clicks }} }}
"""


class Replay(OnTheBroker):
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
        return [json.loads(line) for line in done.stdout.splitlines()]

    def replay(self, *words, code=0):
        done = run(["dlq", "replay", "p.yaml", *words], self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def rows(self, topic):
        """Partition, key, value: what is committed."""
        out = run(["consume", f"kafka://{self.brokers}/{topic}", "-e", "-J"], self.folder).stdout
        rows = [json.loads(line) for line in out.splitlines()]
        return sorted((row["partition"], row["key"], row["payload"], tuple(row["headers"]))
                      for row in rows)

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
        back = [(p, key, value, (*headers, "strid-replays", "1"))
                for p, key, value, headers in before]
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
        self.assertEqual(self.rows("made"),
                         [(n + 1, f"k{n}", "{}", ("colour", "red", "strid-replays", "1"))
                          for n in range(2)])
        self.assertIn("0 dead letters handed back", self.replay("--all", "--yes"))

    def test_what_has_no_place_stays(self):
        self.tool("create", "placed", 1)
        self.tool("create", "placed-dlq", 1)
        self.tool("produce", "placed-dlq", lines=[
            f"0\tk\t{{}}\t__connect.errors.topic={topic}\t__connect.errors.partition={partition}"
            for topic, partition in (("placed", 1), ("elsewhere", 0), ("placed-dlq", 0))])
        self.pipeline("placed")
        self.assertIn("3 dead letters were read from what the source does not have",
                      self.replay("--all", "--yes", code=1))
        self.assertEqual(self.rows("placed"), [])
        self.pipeline("placed", dlq='dlq: { url: "file:dead.jsonl" }\n')
        self.assertIn("cannot be handed back to its source", self.replay("--all", "--yes", code=1))

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
        values = [value for _, _, value, _ in self.rows("raced")]
        self.assertEqual(len(values), 2 * count)
        self.assertEqual(len(set(values)), count)
        self.assertTrue(all(x.get("replayed", False) for x in self.letters()))


if __name__ == "__main__":
    unittest.main()
