#!/usr/bin/env python3
"""`strid dlq replay`: letters go back to a stopped node once, are marked in the same step, and a
kill between any two steps leaves a letter handed back and marked, or neither."""
import os
import signal
import subprocess

from command_case import TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          'oops\n'
          '{"customer": "b", "kind": "order", "amount": 1, "other": 10}\n'
          '{"customer": "c", "kind": "order", "amount": 2, "other": 20}\n'
          '{"customer": "b", "kind": "order", "amount": 4, "other": 40}\n')
POINTS = ("dlq_replay_begun", "dlq_replay_before_write", "dlq_replay_written",
          "dlq_replay_synced")
WRONG = TOTALS.replace("field: amount", "field: missing")


class DlqReplay(CommandCase):
    def setUp(self):
        super().setUp()
        self.run_once(WRONG)
        self.assertEqual(len(self.letters()), 5)

    def run_once(self, text):
        """A run of a pipeline file, which ends with the file of orders."""
        self.write("totals.yaml", text)
        if not os.path.exists(self.path("orders.jsonl")):
            self.write("orders.jsonl", ORDERS)
        self.strid("run", "totals.yaml")

    def letters(self, *words):
        return self.json_lines(self.strid("dlq", "list", "totals.yaml", "--json", *words).out)

    def replayed(self):
        return [letter["position"] for letter in self.letters() if letter.get("replayed")]

    def replay(self, *words, code=0):
        return self.strid("dlq", "replay", "totals.yaml", *words, code=code)

    def sums(self):
        found = self.json_lines(self.strid("state", "scan", "rocksdb:./state", "--json").out)
        return {item["key"]: item["value"] for item in found if item["store"] == "spent"}

    def files(self):
        contents = []
        for name in ("orders.jsonl", "orders.jsonl.dlq"):
            with open(self.path(name), "rb") as file:
                contents.append(file.read())
        return contents

    def test_letters_are_handled_by_the_next_run_once(self):
        before = self.files()
        self.assertEqual(self.sums(), {})
        self.write("totals.yaml", TOTALS)
        done = self.replay("--reason", "rejected", "--yes")
        self.assertIn("4 dead letters handed back", done.err)
        self.assertEqual(self.files(), before, "neither file is written to")
        self.assertEqual(len(self.replayed()), 4)
        self.assertIn("replayed", self.strid("dlq", "list", "totals.yaml").out)
        self.assertEqual(self.sums(), {}, "they wait for the next run")
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2})
        self.assertIn("0 dead letters handed back",
                      self.replay("--reason", "rejected", "--yes").err)
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2}, "each once")
        self.replay("--reason", "rejected", "--again", "--key", "c", "--yes")
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 4}, "but for --again")

    def test_each_ordering(self):
        for ordering in ("partition", "none"):
            text = TOTALS + f"workers: 1\nordering: {ordering}\n"
            self.write("totals.yaml", text)
            self.replay("--reason", "rejected", "--yes")
            self.run_once(text)
            self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2}, ordering)
            self.tearDown()
            self.setUp()

    def test_behind_what_waits_already(self):
        waiting = WRONG + "retry: { backoff: [1h] }\n"
        for number in range(3):  # each call finds what the one before left waiting
            self.write("totals.yaml", waiting)
            self.replay("--key", "b", "--limit", "1", "--yes", *(["--again"] if number > 1 else []))
        stats = self.json_lines(self.strid("state", "stats", "rocksdb:./state", "--json").out)[0]
        self.assertEqual((stats["waiting"], stats["parked"]), (1, 2))
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"b": 6}, "1, 4 and 1 once more")

    def test_filters_limit_and_dry_run(self):
        self.write("totals.yaml", TOTALS)
        done = self.replay("--key", "b", "--dry-run")
        self.assertEqual(len(done.out.splitlines()), 2)
        self.assertIn("2 dead letters would be handed back", done.err)
        self.assertEqual(self.replayed(), [])
        done = self.replay("--key", "b", "--limit", "1", "--json", "--yes")
        self.assertEqual([item["key"] for item in self.json_lines(done.out)], ["b"])
        self.assertEqual(len(self.replayed()), 1)
        done = self.replay("--key", "b", "--dry-run", "--json")
        self.assertEqual(len(self.json_lines(done.out)), 1, "the other one is left")
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"b": 1}, "the first in order")

    def test_which_and_that_it_is_meant_has_to_be_said(self):
        for words, said in (((), "give a filter"), (("--all",), "add --yes"),
                            (("--all", "--key", "b", "--yes"), "contradict")):
            self.assertIn(said, self.replay(*words, code=2).err)
        self.assertEqual(self.replayed(), [])

    def test_what_fails_again_is_another_letter(self):
        self.replay("--key", "c", "--yes")
        self.run_once(WRONG)
        ids = [letter["id"] for letter in self.letters("--key", "c")]
        self.assertEqual([name.rsplit("/", 1)[1] for name in ids], ["dlq0", "dlq1"])
        self.assertEqual([bool(item.get("replayed")) for item in self.letters("--key", "c")],
                         [True, False])
        self.replay("--key", "c", "--yes")
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"c": 2})
        self.assertTrue(all(item.get("replayed") for item in self.letters("--key", "c")))

    def test_what_is_still_unreadable_is_left_and_told(self):
        done = self.replay("--all", "--yes", code=1)
        self.assertIn("1 are still unreadable", done.err)
        self.assertIn("4 dead letters handed back", done.err)
        self.assertEqual(len(self.replayed()), 4)

    def test_kill_between_any_two_steps(self):
        self.write("totals.yaml", TOTALS)
        for point in POINTS:
            done = subprocess.run(
                [os.environ["STRID_TEST_COMMAND"], "dlq", "replay", "totals.yaml", "--reason",
                 "rejected", "--yes"], cwd=self.folder, check=False, capture_output=True,
                timeout=60, env=dict(os.environ, STRID_CRASH_POINT=point + ":1"))
            self.assertEqual(done.returncode, -signal.SIGKILL, point + done.stderr.decode())
            marked = len(self.replayed())
            self.assertEqual(marked, 4 if point in POINTS[2:] else 0, point)
            done = self.replay("--reason", "rejected", "--yes")
            self.assertIn(f"{4 - marked} dead letters handed back", done.err)
            self.run_once(TOTALS)
            self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2}, point)
            self.tearDown()
            self.setUp()
            self.write("totals.yaml", TOTALS)

    def test_what_cannot_be_handed_back_is_refused(self):
        self.write("generated.yaml", 'name: generated\nsource: { url: "generator:?records=10" }\n'
                   'state: { url: "rocksdb:./other" }\ndlq: { url: "file:./g.dlq" }\n'
                   'handlers: [ { on: "*", count: { store: n } } ]\n')
        done = self.strid("dlq", "replay", "generated.yaml", "--all", "--yes", code=1)
        self.assertIn("cannot be handed back yet", done.err)
        self.write("totals.yaml", TOTALS.replace("name: totals", "name: another"))
        self.assertIn("of pipeline \"totals\"", self.replay("--all", "--yes", code=1).err)
        self.write("totals.yaml", TOTALS)
        os.rename(self.path("state"), self.path("moved"))
        self.assertIn("./state", self.replay("--all", "--yes", code=1).err)


if __name__ == "__main__":
    main()
