#!/usr/bin/env python3
"""`strid dlq replay`: letters go back to a stopped node once, are marked in the same step, and a
kill between any two steps leaves a letter handed back and marked, or neither."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess

from command_case import STRID, TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          'oops\n'
          '{"customer": "b", "kind": "order", "amount": 1, "other": 10}\n'
          '{"customer": "c", "kind": "order", "amount": 2, "other": 20}\n'
          '{"customer": "b", "kind": "order", "amount": 4, "other": 40}\n')
POINTS = ("dlq_replay_begun", "dlq_replay_before_write", "dlq_replay_written",
          "dlq_replay_synced")
# What opening the state, and writing to it, goes through besides.
STATE_POINTS = ("recover_before_ingest", "recover_after_ingest", "recover_before_sync",
                "recover_after_sync", "store_before_apply", "store_after_apply",
                "store_before_sync", "store_after_sync", "store_sst_written", "store_after_ingest")
OTHER_POINTS = ("dlq_purge_written", "dlq_purge_synced", "dlq_purge_renamed",  # test_dlq.py
                "dlq_marks_deleted",
                # kafka/test_dlq.py
                "dlq_topic_marking", "dlq_topic_marked", "dlq_topic_deleted")
WRONG = TOTALS.replace("field: amount", "field: missing")


class ReplayCase(CommandCase):
    """Letters of five orders, four of which could be read."""
    dlq = "orders.jsonl.dlq"

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
        for name in ("orders.jsonl", self.dlq):
            with open(self.path(name), "rb") as file:
                contents.append(file.read())
        return contents

    def killed_at(self, point, *words):
        """Whether `strid dlq` got there. It ends well otherwise."""
        done = subprocess.run(
            [os.environ["STRID_TEST_COMMAND"], "dlq", words[0], "totals.yaml", *words[1:], "--yes"],
            cwd=self.folder, check=False, capture_output=True, timeout=60,
            env=dict(os.environ, STRID_CRASH_POINT=point))
        self.assertIn(done.returncode, (0, -signal.SIGKILL), point + done.stderr.decode())
        return done.returncode != 0

    def waiting(self):
        """Records that wait, and that are parked behind them."""
        stats = self.json_lines(self.strid("state", "stats", "rocksdb:./state", "--json").out)[0]
        return stats["waiting"], stats["parked"]

    def restore(self):
        shutil.rmtree(self.path("state"))
        shutil.copytree(self.path("kept"), self.path("state"))


class DlqReplay(ReplayCase):
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
        for ordering, parked in (("key", 2), ("none", 0)):
            text = TOTALS + f"ordering: {ordering}\n"
            self.write("totals.yaml", text)
            for number in range(3):  # each call finds what the one before left waiting
                self.replay("--key", "b", "--limit", "1", "--yes",
                            *(["--again"] if number > 1 else []))
            self.assertEqual(self.waiting(), (3 - parked, parked))
            self.run_once(text)
            self.assertEqual(self.sums(), {"b": 6}, "1, 4 and 1 once more")
            self.tearDown()
            self.setUp()

    def test_what_the_source_has_no_more_is_left_and_told(self):
        lines = self.files()[1].splitlines(keepends=True)
        self.write(self.dlq, b"".join(
            line.replace(b'"topic": "orders.jsonl"', b'"topic": "older.jsonl"')
            if b'"key": "c"' in line else line for line in lines))
        self.write("totals.yaml", TOTALS)
        done = self.replay("--reason", "rejected", "--yes", code=1)
        self.assertIn("3 dead letters handed back", done.err)
        self.assertIn("1 dead letter was read from what the source does not have any more",
                      done.err)
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5})

    def test_letters_of_another_pipeline_are_not_handed_to_this_one(self):
        """It could handle four of the five, and would count them twice."""
        self.write("other.yaml", TOTALS.replace("name: totals", "name: other")
                   .replace("./state", "./other"))
        self.strid("run", "other.yaml")
        words = ("dlq", "replay", "other.yaml", "--reason", "rejected")
        self.assertIn("0 dead letters would be handed back",
                      self.strid(*words, "--dry-run").err)
        done = self.strid(*words, "--yes")
        self.assertIn("0 dead letters handed back", done.err)
        self.assertIn('5 dead letters of other pipelines in the same queue, such as "totals"',
                      done.err)
        self.write("totals.yaml", TOTALS)
        self.assertIn("4 dead letters handed back",
                      self.replay("--reason", "rejected", "--yes").err)

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

    def test_dry_run_lists_what_goes_and_refuses_what_is_refused(self):
        self.write("totals.yaml", TOTALS)
        state = self.state_files()
        done = self.replay("--all", "--dry-run", code=1)
        self.assertEqual(len(done.out.splitlines()), 4, "and not the one that is no JSON")
        self.assertIn("4 dead letters would be handed back", done.err)
        self.assertIn("1 dead letter is still unreadable", done.err)
        self.assertEqual((self.replayed(), self.state_files()), ([], state))
        with open(self.path("state/LOCK"), "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)  # as a running node does
            self.assertIn("in use", self.replay("--all", "--dry-run", code=1).err)

    def state_files(self):
        return sorted((name, os.stat(self.path("state/" + name)).st_mtime_ns)
                      for name in os.listdir(self.path("state")) if name.endswith((".sst", ".log")))

    def test_what_stays_takes_nothing_of_the_limit(self):
        self.write("totals.yaml", TOTALS)
        for _ in range(4):
            done = self.replay("--all", "--limit", "1", "--json", "--yes", code=None)
            self.assertEqual(len(self.json_lines(done.out)), 1)
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2})

    def test_pieces_of_a_long_line_are_no_records(self):
        text = ('name: raw\nsource: { url: "file:lines.txt?max_line=100", format: raw }\n'
                'state: { url: "rocksdb:./lines" }\n'
                'handlers: [ { on: "*", count: { store: n } } ]\n')
        self.write("raw.yaml", text)
        self.write("lines.txt", "short\n" + 250 * "x" + "\nlast")
        self.strid("run", "raw.yaml")
        self.write("lines.txt", " and more\n", "a")
        self.strid("run", "raw.yaml")
        done = self.strid("dlq", "replay", "raw.yaml", "--all", "--yes", code=1)
        self.assertIn("0 dead letters handed back", done.err)
        self.assertIn("4 dead letters are still unreadable for this pipeline, or pieces of lines",
                      done.err)

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
        self.assertEqual([item.get("headers") for item in self.letters("--key", "c")],
                         [None, ["strid-replays", "1"]])
        self.assertRegex(self.strid("dlq", "show", "totals.yaml", ids[1]).out,
                         r"pipeline +totals\n(.*\n)*header +strid-replays: 1\n")
        self.replay("--key", "c", "--yes")
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"c": 2})
        self.assertTrue(all(item.get("replayed") for item in self.letters("--key", "c")))

    def test_what_is_still_unreadable_is_left_and_told(self):
        done = self.replay("--all", "--yes", code=1)
        self.assertIn("1 dead letter is still unreadable", done.err)
        self.assertIn("4 dead letters handed back", done.err)
        self.assertEqual(len(self.replayed()), 4)

    def test_every_crash_point_is_known_here(self):
        found = set()
        for part in ("engine", "connectors"):
            for path in (pathlib.Path(os.environ["STRID_DOCS"]).parent / part).rglob("*.c"):
                found.update(re.findall(r'CRASH_POINT\("(dlq_\w+)"\)', path.read_text()))
        self.assertEqual(found, set(POINTS + OTHER_POINTS))

    def test_kill_at_every_step_of_the_state(self):
        """What waits is what is marked, wherever it was killed; and then each comes once."""
        self.write("totals.yaml", TOTALS)
        before = self.files()
        self.replay("--key", "c", "--yes")  # so that there are blocks to be read back
        shutil.copytree(self.path("state"), self.path("kept"))
        seen = {}
        for point in POINTS + STATE_POINTS:
            at = 1
            while self.killed_at(f"{point}:{at}", "replay", "--reason", "rejected"):
                marked = len(self.replayed())
                self.assertEqual(sum(self.waiting()), marked, f"{point}:{at}")
                seen.setdefault(point, set()).add(marked)
                self.assertIn(f"{4 - marked} dead letters handed back",
                              self.replay("--reason", "rejected", "--yes").err)
                self.run_once(TOTALS)
                self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2}, f"{point}:{at}")
                self.restore()
                at += 1
            self.restore()
        self.assertEqual(set(seen), set(POINTS + STATE_POINTS), "each was reached")
        self.assertEqual(set().union(*seen.values()), {1, 4}, "all of them or none")
        self.assertEqual(self.files(), before, "neither file is written to")

    def test_kill_between_two_writes(self):
        """Letters of more than 4 MiB go in several writes, each with its marks."""
        line = '{{"customer": "k{}", "kind": "order", "amount": 1, "pad": "{}"}}\n'
        for number in range(8):
            self.write("orders.jsonl", line.format(number, "x" * 700000), "a")
        self.run_once(WRONG)
        self.write("totals.yaml", TOTALS)
        self.assertTrue(self.killed_at("dlq_replay_before_write:2", "replay", "--reason",
                                       "rejected"))
        self.assertEqual((len(self.replayed()), sum(self.waiting())), (10, 10),
                         "4 small ones, 6 large ones")
        self.assertIn("2 dead letters handed back",
                      self.replay("--reason", "rejected", "--yes").err)
        self.run_once(TOTALS)
        self.assertEqual(self.sums(),
                         {"a": 5, "b": 5, "c": 2, **{f"k{number}": 1 for number in range(8)}})

    def test_what_cannot_be_handed_back_is_refused(self):
        self.write("generated.yaml", 'name: generated\nsource: { url: "generator:?records=10" }\n'
                   'state: { url: "rocksdb:./other" }\ndlq: { url: "file:./g.dlq" }\n'
                   'handlers: [ { on: "*", count: { store: n } } ]\n')
        done = self.strid("dlq", "replay", "generated.yaml", "--all", "--yes", code=1)
        self.assertIn("cannot be handed back yet", done.err)
        self.assertEqual(done.err, self.strid("dlq", "replay", "generated.yaml", "--all",
                                              "--dry-run", code=1).err)
        self.write("totals.yaml", TOTALS.replace("rocksdb:./state", "memory:"))
        for word in ("--yes", "--dry-run"):
            self.assertIn("totals keeps no state on disk", self.replay("--all", word, code=1).err)
        self.write("totals.yaml", TOTALS.replace("name: totals", "name: another"))
        self.assertIn("of pipeline \"totals\"", self.replay("--all", "--yes", code=1).err)
        self.write("totals.yaml", TOTALS)
        os.rename(self.path("state"), self.path("moved"))
        self.assertIn("./state", self.replay("--all", "--yes", code=1).err)


class Marks(ReplayCase):
    """What `list` calls replayed is noted in the state; the note goes with the letter."""

    def purge(self, *words):
        return self.strid("dlq", "purge", "totals.yaml", *words, "--yes")

    def marks(self):
        """Positions of the records of which the state says that they were handed back."""
        out = self.strid("state", "scan", "rocksdb:./state", "--store", "engine:116", "--json").out
        return sorted(int(item["key"].split("/")[-2]) for item in self.json_lines(out))

    def places(self, *words):
        return sorted(letter["position"] for letter in self.letters(*words))

    def test_go_with_the_letters_that_are_purged(self):
        self.replay("--reason", "rejected", "--yes")
        everything = self.places("--reason", "rejected")
        self.assertEqual(self.marks(), everything)
        self.purge("--reason", "not_json")
        self.assertEqual(self.marks(), everything, "they are of others")
        of_b = self.places("--key", "b")
        self.purge("--key", "b")
        self.assertEqual(self.marks(), [place for place in everything if place not in of_b])
        self.purge("--all")
        self.assertEqual(self.marks(), [])
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2}, "what waits is another thing")

    def test_filter_for_those_that_were_handed_back(self):
        self.replay("--reason", "rejected", "--key", "b", "--yes")
        of_b = self.places("--key", "b")
        self.assertEqual(self.places("--replayed"), of_b)
        everything = self.places()
        self.purge("--replayed")
        self.assertEqual(self.places(), [place for place in everything if place not in of_b])
        self.assertEqual(self.marks(), [])

    def test_stay_while_there_is_another_letter_of_the_record(self):
        self.replay("--key", "c", "--yes")
        self.run_once(WRONG)  # its next letter
        self.write(self.dlq, self.files()[1].splitlines(keepends=True)[-1], "a")  # which came twice
        place = self.places("--key", "c")[:1]
        self.purge("--key", "c", "--limit", "1")
        self.assertEqual(self.marks(), place)
        self.replay("--key", "c", "--yes")
        self.assertEqual([item.get("replayed") for item in self.letters("--key", "c")], [True])
        self.purge("--key", "c", "--limit", "1")
        self.assertEqual((self.marks(), self.replayed()), (place, place), "the repeat is left")
        self.purge("--key", "c")
        self.assertEqual(self.marks(), [])

    def test_stay_while_the_outbox_may_have_a_repeat(self):
        self.replay("--key", "c", "--yes")
        os.rename(self.path(self.dlq), self.path("away"))
        os.mkdir(self.path(self.dlq))  # so that it cannot be written to
        self.write("totals.yaml", WRONG + "drain_timeout: 1s\n")
        with subprocess.Popen([STRID, "run", "totals.yaml"], cwd=self.folder, text=True,
                              stderr=subprocess.PIPE) as node:
            for line in node.stderr:
                if "the letters wait in the outbox" in line:
                    break
            node.send_signal(signal.SIGINT)
            node.stderr.read()
        os.rmdir(self.path(self.dlq))
        os.rename(self.path("away"), self.path(self.dlq))
        place = self.places("--key", "c")
        self.purge("--all")
        self.assertEqual(self.marks(), place)
        self.run_once(WRONG)
        self.assertEqual(self.places(), place, "it came out of the outbox")
        self.purge("--all")
        self.assertEqual(self.marks(), [])

    def test_stay_where_the_node_runs(self):
        self.replay("--key", "c", "--yes")
        place = self.marks()
        with open(self.path("state/LOCK"), "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            self.assertIn("stays noted", self.purge("--key", "c", "--log-level", "info").err)
        self.assertEqual((self.marks(), self.places("--key", "c")), (place, []))

    def test_kill_of_the_purge_leaves_no_letter_without_its_mark(self):
        self.replay("--reason", "rejected", "--yes")
        for point in ("dlq_purge_renamed:1", "dlq_marks_deleted:1"):
            before = self.marks()
            key = "b" if point.startswith("dlq_purge") else "c"
            gone = self.places("--key", key)
            self.assertTrue(self.killed_at(point, "purge", "--key", key), point)
            self.assertEqual(self.places("--key", key), [])
            self.assertEqual(self.marks(), before if key == "b" else
                             [place for place in before if place not in gone])
        self.assertEqual(self.replayed(), self.places("--reason", "rejected"))
        self.run_once(TOTALS)
        self.assertEqual(self.sums(), {"a": 5, "b": 5, "c": 2})


if __name__ == "__main__":
    main()
