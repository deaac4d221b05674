#!/usr/bin/env python3
"""`strid reset` of a node that reads files: its place alone is moved, in one step, and from there
on everything is handled again."""
import fcntl
import os
import signal
import subprocess

from command_case import TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          '{"customer": "b", "kind": "order", "amount": 1}\n'
          '{"customer": "b", "kind": "order", "amount": 4}\n')
SECOND = ORDERS.index("\n") + 1  # where the second line begins
POINTS = ("reset_begun", "reset_group_moved", "reset_written", "reset_synced")


class Reset(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("totals.yaml", TOTALS)
        self.write("orders.jsonl", ORDERS)

    def run_once(self, name="totals.yaml"):
        self.strid("run", name)

    def reset(self, *words, code=0, name="totals.yaml"):
        return self.strid("reset", name, *words, code=code)

    def sums(self):
        return self.scan("spent")

    def low(self, number=0):
        row, = self.json_lines(self.strid("status", "totals.yaml", "--json").out)
        return row["partitions"][number]["low"]

    def test_from_its_beginning_everything_is_handled_again(self):
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 5})
        done = self.reset("--to", "earliest", "--yes")
        self.assertIn("moved: the node, 1 partition", done.err)
        lines = [line.split() for line in done.out.splitlines()]
        self.assertEqual(lines[0], ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NODE-OFFSET",
                                    "NEW-OFFSET"])
        self.assertEqual(lines[1], ["-", "orders.jsonl", "0", "-", str(len(ORDERS)), "0"])
        self.assertEqual(self.sums(), {"a": 5, "b": 5}, "state keeps what it holds")
        self.run_once()
        self.assertEqual(self.sums(), {"a": 10, "b": 10})
        self.run_once()
        self.assertEqual(self.sums(), {"a": 10, "b": 10}, "once")

    def test_a_dry_run_changes_nothing(self):
        self.run_once()
        for word, place in (("earliest", 0), ("latest", len(ORDERS)), (str(SECOND), SECOND)):
            done = self.reset("--to", word, "--dry-run", "--json")
            self.assertEqual(self.json_lines(done.out),
                             [{"topic": "orders.jsonl", "partition": 0, "node": len(ORDERS),
                               "new": place}])
            self.assertIn("would be moved", done.err)
        self.assertEqual(self.low(), len(ORDERS))
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 5})

    def test_to_a_line_and_to_the_end(self):
        self.run_once()
        self.reset("--to", str(SECOND), "--yes")
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 10})
        self.write("orders.jsonl", '{"customer": "c", "kind": "order", "amount": 7}\n', "a")
        self.reset("--to", "latest", "--yes")
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 10}, "what was passed over was asked for")
        self.write("orders.jsonl", '{"customer": "d", "kind": "order", "amount": 2}\n', "a")
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 10, "d": 2})

    def test_another_worker_count_and_a_node_that_was_killed(self):
        """Progress of blocks that were never materialised goes as well."""
        self.write("totals.yaml", TOTALS + "workers: 3\n")
        done = subprocess.run([os.environ["STRID_TEST_COMMAND"], "run", "totals.yaml"],
                              cwd=self.folder, check=False, capture_output=True, timeout=60,
                              env=dict(os.environ, STRID_CRASH_POINT="committer_low_sent:1"))
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr.decode())
        before = self.sums()
        self.write("totals.yaml", TOTALS + "workers: 1\n")
        self.reset("--to", "earliest", "--yes")
        self.run_once()
        self.assertEqual(self.sums(), {key: before.get(key, 0) + value
                                       for key, value in (("a", 5), ("b", 5))})

    def test_what_waits_stays_and_is_handled_too(self):
        self.write("totals.yaml", TOTALS.replace("field: amount", "field: missing"))
        self.run_once()
        self.write("totals.yaml", TOTALS)
        self.strid("dlq", "replay", "totals.yaml", "--all", "--yes")
        self.reset("--to", "latest", "--yes")
        row, = self.json_lines(self.strid("status", "totals.yaml", "--json").out)
        self.assertEqual(row["waiting"] + row["parked"], 3)
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 5})
        self.reset("--to", "earliest", "--yes")
        self.run_once()
        self.assertEqual(self.sums(), {"a": 10, "b": 10})

    def test_another_file_in_its_place_is_taken(self):
        self.run_once()
        self.write("orders.jsonl", '{"customer": "z", "kind": "order", "amount": 3}\n')
        self.assertIn("is not the file that was read before",
                      self.strid("run", "totals.yaml", code=1).err)
        self.reset("--to", "earliest", "--yes")
        self.run_once()
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "z": 3})

    def test_one_of_several(self):
        os.mkdir(self.path("in"))
        self.write("in/1.jsonl", ORDERS)
        self.write("in/2.jsonl", ORDERS)
        self.write("totals.yaml", TOTALS.replace("file:orders.jsonl", "file:in"))
        self.run_once()
        done = self.reset("--to", "earliest", "--topic", "in/2.jsonl", "--yes", "--json")
        self.assertEqual([(row["topic"], row["new"]) for row in self.json_lines(done.out)],
                         [("in/2.jsonl", 0)])
        self.run_once()
        self.assertEqual(self.sums(), {"a": 15, "b": 15})
        self.reset("--to", "earliest", "--partition", "0", "--yes")
        self.assertEqual(self.low(0), 0)
        self.run_once()
        self.assertEqual(self.sums(), {"a": 20, "b": 20})

    def test_killed_between_any_two_steps(self):
        for point in POINTS:
            self.run_once()
            for repeat in (False, True):  # first it goes on as it was left, then it is completed
                before = self.sums()
                done = subprocess.run(
                    [os.environ["STRID_TEST_COMMAND"], "reset", "totals.yaml", "--to", "earliest",
                     "--yes"], cwd=self.folder, check=False, capture_output=True, timeout=60,
                    env=dict(os.environ, STRID_CRASH_POINT=point + ":1"))
                self.assertEqual(done.returncode, -signal.SIGKILL, point + done.stderr.decode())
                moved = repeat or point in POINTS[2:]
                if repeat:
                    self.reset("--to", "earliest", "--yes")
                self.run_once()
                self.assertEqual(self.sums(), {key: value + (5 if moved else 0)
                                               for key, value in before.items()}, point)
            self.tearDown()
            self.setUp()

    def test_refused(self):
        self.assertIn("nothing can be moved", self.reset("--to", "earliest", "--yes", code=1).err)
        self.run_once()
        for words, said, code in (
                (("--yes",), "where to?", 2),
                (("--to", "latest", "--by", "1", "--yes"), "contradict", 2),
                (("--to", "earliest"), "add --yes", 2),
                (("--to", "nowhere", "--yes"), "earliest, latest or a position", 2),
                (("--by", "0", "--yes"), "how many records", 2),
                (("--to-time", "soon", "--yes"), "--to-time needs a time", 2),
                (("--to", "earliest", "--partition", "x", "--yes"), "number of a partition", 2),
                (("--to", str(SECOND + 1), "--yes"), "no line of orders.jsonl begins", 2),
                (("--to", str(len(ORDERS) + 1), "--yes"), f"has {len(ORDERS)} bytes", 2),
                (("--by", "-1", "--yes"), "are not counted", 1),
                (("--to-time", "2h", "--yes"), "lines have no time", 1),
                (("--to", "earliest", "--topic", "other", "--yes"), 'does not read "other"', 1),
                (("--to", "earliest", "--partition", "1", "--yes"), "has no partition 1", 1)):
            done = self.reset(*words, code=code)
            self.assertIn(said, done.err, words)
            self.assertEqual(done.out, "")
        self.assertIn("name the pipeline file",
                      self.reset("--to", "earliest", "--yes", code=1,
                                 name="file://" + self.path("orders.jsonl")).err)
        self.assertEqual(self.low(), len(ORDERS), "nothing was moved")

    def test_state_of_others_is_left_alone(self):
        self.run_once()
        self.write("totals.yaml", TOTALS.replace("name: totals", "name: another"))
        self.assertIn('of pipeline "totals"', self.reset("--to", "earliest", "--yes", code=1).err)
        self.write("other.jsonl", ORDERS)
        self.write("totals.yaml", TOTALS.replace("orders.jsonl", "other.jsonl"))
        self.assertIn("of another source", self.reset("--to", "earliest", "--yes", code=1).err)
        self.write("generated.yaml", 'name: generated\nsource: { url: "generator:?records=10" }\n'
                   'handlers: [ { on: "*", count: { store: n } } ]\n')
        self.assertIn("has no places to go to",
                      self.reset("--to", "earliest", "--yes", code=1, name="generated.yaml").err)

    def test_a_running_node_is_named(self):
        self.run_once()
        with open(self.path("state/LOCK"), "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            for flag in ("--yes", "--dry-run"):
                self.assertIn(str(os.getpid()), self.reset("--to", "earliest", flag, code=1).err)
        self.assertEqual(self.low(), len(ORDERS))


if __name__ == "__main__":
    main()
