#!/usr/bin/env python3
"""`strid dlq`: filters, purge, purges that are killed, and the worked example of docs/dlq.md."""
import base64
import fcntl
import json
import os
import re
import signal
import subprocess

from command_case import STRID, TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          'oops\n'
          '{"kind": "order", "amount": 7}\n'
          '{"customer": "b", "kind": "order", "amount": "many"}\n'
          '{"customer": "c", "kind": "order", "amount": "few"}\n')
POINTS = ("dlq_purge_written", "dlq_purge_synced", "dlq_purge_renamed")


class Dlq(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("totals.yaml", TOTALS + "workers: 1\n")  # so that the order is known
        self.write("orders.jsonl", ORDERS)
        self.strid("run", "totals.yaml")
        self.file = "orders.jsonl.dlq"

    def letters(self, *words):
        return self.json_lines(self.strid("dlq", "list", "totals.yaml", "--json", *words).out)

    def found(self, *words):
        return [letter.get("key") or letter["reason"] for letter in self.letters(*words)]

    def lines(self):
        with open(self.path(self.file), "rb") as file:
            return file.read().splitlines(keepends=True)

    def test_a_queue_that_is_named_is_read_without_the_source(self):
        self.write("totals.yaml", "dlq: file:orders.jsonl.dlq\n", "a")
        os.unlink(self.path("orders.jsonl"))
        self.assertEqual(self.found(), ["not_json", "key_missing", "b", "c"])
        self.strid("dlq", "show", "totals.yaml", "--key", "b")
        self.strid("dlq", "purge", "totals.yaml", "--key", "b", "--yes")
        self.assertEqual(self.found(), ["not_json", "key_missing", "c"])
        self.assertIn("correct the path",
                      self.strid("dlq", "replay", "totals.yaml", "--all", "--yes", code=1).err)

    def test_filters(self):
        everything = ["not_json", "key_missing", "b", "c"]
        self.assertEqual(self.found(), everything)
        self.assertEqual(self.found("--reason", "not_json"), ["not_json"])
        self.assertEqual(self.found("--reason", "rejected"), ["b", "c"])
        self.assertEqual(self.found("--reason", "reject"), [])
        self.assertEqual(self.found("--key", "b"), ["b"])
        self.assertEqual(self.found("--key", ""), [])
        self.assertEqual(self.found("--type", "order"), ["b", "c"])
        self.assertEqual(self.found("--type", "order", "--limit", "1"), ["b"])
        self.assertEqual(self.found("--type", "visit"), [])
        self.assertEqual(self.found("--position", str(ORDERS.index("oops"))), ["not_json"])
        self.assertEqual(self.found("--position", str(ORDERS.index("oops") + 1)), [])
        self.assertEqual(self.found("--position", self.letters("--key", "c")[0]["id"]), ["c"])
        self.assertEqual(self.found("--reason", "rejected", "--key", "c"), ["c"])
        self.assertEqual(self.found("--limit", "3"), everything[:3])

    def date_letters(self):
        """Failures ten minutes apart, the first of them at noon of a leap day."""
        letters = [json.loads(line) for line in self.lines()]
        noon_ms = 1582977600000
        for number, letter in enumerate(letters):
            letter["first_failure"] = noon_ms - 5
            letter["last_failure"] = noon_ms + number * 600000
        self.write(self.file, "".join(json.dumps(letter) + "\n" for letter in letters))
        return noon_ms

    def test_times_are_those_of_the_last_failure(self):
        noon_ms = self.date_letters()
        names = ["not_json", "key_missing", "b", "c"]
        for words, expected in ((("--since", "2020-02-29T12:10"), names[1:]),
                                (("--since", "2020-02-29T12:15"), names[2:]),
                                (("--since", "2020-02-29T12:10:01Z"), names[2:]),
                                (("--until", "2020-02-29T12:10:00"), names[:1]),
                                (("--until", "2020-02-29T12:10:01"), names[:2]),
                                (("--since", "2020-02-29", "--until", "2020-03-01"), names),
                                (("--since", "2020-03-01"), []), (("--since", "1h"), []),
                                (("--since", "2020-02-29T14:10:01+02:00"), names[2:]),
                                (("--until", "2020-02-29T06:40:01-05:30"), names[:2]),
                                (("--since", "2020-02-29 12:30:00 UTC"), names[3:]),
                                (("--until", "1h"), names),
                                (("--since", str(noon_ms + 1), "--until", "2020-02-29T12:30Z"),
                                 names[1:3])):
            self.assertEqual(self.found(*words), expected, words)
        self.assertRegex(self.strid("dlq", "show", "totals.yaml", "--key", "c").out,
                         r"first failure +2020-02-29 11:59:59 UTC\n"
                         r"last failure +2020-02-29 12:30:00 UTC\n")
        self.strid("dlq", "purge", "totals.yaml", "--until", "2020-02-29T12:20", "--yes")
        self.assertEqual(self.found(), names[2:])

    def test_a_range_without_a_moment_in_it_is_refused(self):
        for since, until, shown in (
                ("2020-03-01", "2020-02-29T12:00+02:00",
                 "--since 2020-03-01 (2020-03-01T00:00:00.000Z) and --until "
                 "2020-02-29T12:00+02:00 (2020-02-29T10:00:00.000Z)"),
                ("1001", "1001", "1001 (1970-01-01T00:00:01.001Z)"),
                ("0", "40000d", "--until 40000d (-"), ("2h", "3h", "--until 3h (2")):
            for command in (("list",), ("show",), ("purge", "--yes"), ("replay", "--dry-run")):
                done = self.strid("dlq", *command, "totals.yaml", "--since", since, "--until",
                                  until, code=2)
                self.assertIn("nothing lies between", done.err)
                self.assertIn(shown, done.err)
        self.assertEqual(len(self.found("--since", "3h")), 4)

    def test_filters_by_time(self):
        failed = [letter["last_failure_ms"] for letter in self.letters()]
        self.assertEqual(len(self.found("--since", str(min(failed)))), 4)
        self.assertEqual(self.found("--since", str(max(failed) + 1)), [])
        self.assertEqual(self.found("--until", str(min(failed))), [])
        self.assertEqual(len(self.found("--until", str(max(failed) + 1))), 4)
        self.assertEqual(len(self.found("--since", "1h")), 4)
        self.assertEqual(self.found("--until", "1h"), [])
        self.assertEqual(len(self.found("--since", "2020-02-29")), 4)
        self.assertEqual(self.found("--until", "2020-02-29T23:59:59Z"), [])
        for wrong in ("yesterday", "2026-02-29", "2026-11-31T10:00", "2020-02-29T12:00+2",
                      "2020-02-29T12:00 CET", "2020-02-29T", "-1", ""):
            done = self.strid("dlq", "list", "totals.yaml", "--since", wrong, code=2)
            self.assertIn("--since needs a time in UTC such as", done.err)
            self.assertIn(f"not '{wrong}'", done.err)

    def test_a_letter_that_was_delivered_twice_is_listed_once(self):
        before = self.letters()
        self.write(self.file, b"".join(self.lines()[:3]), "a")
        self.assertEqual(self.letters(), before)
        self.assertEqual(len(self.lines()), len(before) + 3)

    def test_letters_that_a_drain_leaves_are_told_and_sent_by_the_next_run(self):
        self.strid("dlq", "purge", "totals.yaml", "--all", "--yes")
        os.rename(self.path(self.file), self.path("away"))
        os.mkdir(self.path(self.file))  # so that it cannot be written to
        self.write("orders.jsonl", "no json\n", "a")
        self.write("totals.yaml", TOTALS + "drain_timeout: 1s\n")
        with subprocess.Popen([STRID, "run", "totals.yaml"], cwd=self.folder, text=True,
                              stderr=subprocess.PIPE) as node:
            for line in node.stderr:
                if "the letters wait in the outbox" in line:
                    break
            node.send_signal(signal.SIGINT)
            said = node.stderr.read()
            self.assertEqual(node.wait(timeout=60), 1, said)
        self.assertIn("1 dead letter left in", said)
        stats = self.json_lines(self.strid("state", "stats", "rocksdb:./state", "--json").out)[0]
        self.assertEqual(stats["outbox_entries"], 1)
        os.rmdir(self.path(self.file))
        self.assertIn("1 dead letter of an earlier run", self.strid("run", "totals.yaml").err)
        self.assertEqual(self.found(), ["not_json"])

    def test_show_by_filter(self):
        shown = self.strid("dlq", "show", "totals.yaml", "--key", "b").out
        self.assertRegex(shown, r"key +b\n")
        self.assertNotRegex(shown, r"key +c\n")
        done = self.strid("dlq", "show", "totals.yaml", "--key", "nobody", code=1)
        self.assertIn("is like that", done.err)

    def test_bytes_that_are_no_text_are_shown_harmlessly_and_come_back_as_they_were(self):
        odd = {b"\x1b[2J\x07 bell": "\\u001b[2J\\u0007 bell",
               b"nul \0 inside": "nul \\u0000 inside",
               b"\xff\xfe\x00\x80": "base64://4AgA==", b"tab\there \\ \"": "tab\\there \\\\ \\\"",
               b"del \x7f csi \xc2\x9b2J \xc2\xa0": "del \\u007f csi \\u009b2J \xa0",
               b"x" + b"\xc3\xa9" * 100: None}
        begin = len(ORDERS)
        for line, shown in odd.items():
            self.write("orders.jsonl", line + b"\n", "a")
            self.strid("run", "totals.yaml")
            text = self.strid("dlq", "show", "totals.yaml", str(begin)).out
            self.assertTrue(shown is None or re.search(f"value +{re.escape(shown)}\n", text), text)
            for out in (text, self.strid("dlq", "list", "totals.yaml").out):
                self.assertNotRegex(out, "[\0-\x08\x0b-\x1f\x7f-\x9f]")
                self.assertNotIn("\ufffd", out, "cut within a character")
            found = json.loads(self.strid("dlq", "show", "totals.yaml", str(begin), "--json").out)
            value = found.get("value", "").encode() or base64.b64decode(found["value_base64"])
            self.assertEqual(value, line)
            self.assertIn(found["reason"], ("not_json", "not_utf8"))
            begin += len(line) + 1

    def test_purge_takes_only_what_is_meant_and_keeps_the_other_lines_to_the_byte(self):
        self.write(self.file, b"a line of somebody else's\n", "a")
        os.chmod(self.path(self.file), 0o640)
        before = self.lines()
        done = self.strid("dlq", "purge", "totals.yaml", "--reason", "rejected", "--limit", "1",
                          "--yes")
        self.assertIn("1 dead letter deleted", done.err)
        self.assertEqual(self.lines(), before[:2] + before[3:])
        self.assertEqual(os.stat(self.path(self.file)).st_mode & 0o777, 0o640)
        self.strid("dlq", "purge", "totals.yaml", "--all", "--yes")
        self.assertEqual(self.lines(), before[4:])
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["orders.jsonl", self.file, "state", "totals.yaml"])

    def test_purge_asks_to_be_told_which_and_that_it_is_meant(self):
        before = self.lines()
        for words, said in (((), "give a filter"), (("--yes",), "give a filter"),
                            (("--limit", "1", "--yes"), "give a filter"),
                            (("--all",), "add --yes"),
                            (("--all", "--key", "b", "--yes"), "contradict")):
            self.assertIn(said, self.strid("dlq", "purge", "totals.yaml", *words, code=2).err)
        done = self.strid("dlq", "purge", "totals.yaml", "--key", "b", "--dry-run", "--yes")
        self.assertIn("1 dead letter would be deleted", done.err)
        self.assertEqual(len(done.out.splitlines()), 1)
        self.assertIn("many", done.out)
        self.assertEqual(self.lines(), before)

    def test_purge_refuses_while_the_file_is_written(self):
        before = self.lines()
        with open(self.path(self.file), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            done = self.strid("dlq", "purge", "totals.yaml", "--all", "--yes", code=1)
        self.assertIn("is being written by a node", done.err)
        self.assertEqual(self.lines(), before)

    def test_purge_of_a_link_leaves_the_link_and_empties_what_it_leads_to(self):
        os.mkdir(self.path("large"))
        os.rename(self.path(self.file), self.path("large/letters"))
        group = 65534 if os.getuid() == 0 else os.getgid()
        os.chown(self.path("large/letters"), os.getuid(), group)
        os.symlink("large/letters", self.path(self.file))
        self.strid("dlq", "purge", "totals.yaml", "--reason", "rejected", "--yes")
        self.assertEqual(os.readlink(self.path(self.file)), "large/letters")
        self.assertEqual(self.found(), ["not_json", "key_missing"])
        self.assertEqual(os.stat(self.path("large/letters")).st_gid, group)
        self.assertEqual(os.listdir(self.path("large")), ["letters"])

    def test_letters_of_another_pipeline_in_the_same_file_are_its_own(self):
        self.write("other.yaml", TOTALS.replace("name: totals", "name: other")
                   .replace("./state", "./other") + "workers: 1\n")
        self.strid("run", "other.yaml")
        self.assertEqual(len(self.lines()), 8)
        listed = self.strid("dlq", "list", "totals.yaml", "--json")
        self.assertEqual({letter["pipeline"] for letter in self.json_lines(listed.out)}, {"totals"})
        self.assertIn('4 dead letters of other pipelines in the same queue, such as "other"',
                      listed.err)
        unnamed = json.loads(self.lines()[0])
        del unnamed["pipeline"]
        self.write(self.file, json.dumps(dict(unnamed, id="somebody's")) + "\n", "a")
        self.assertIn("somebody's", [letter["id"] for letter in self.letters()])
        done = self.strid("dlq", "purge", "totals.yaml", "--all", "--yes")
        self.assertIn("5 dead letters deleted", done.err)
        self.assertEqual([json.loads(line)["pipeline"] for line in self.lines()], ["other"] * 4)

    def test_purge_of_several_files_takes_none_while_one_is_written(self):
        os.mkdir(self.path("all"))
        for name in ("a", "b"):
            self.write(f"all/{name}", "oops\n")
        self.write("totals.yaml", TOTALS.replace("orders.jsonl", "all").replace("./state", "./new"))
        self.strid("run", "totals.yaml")
        with open(self.path("all/b.dlq"), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            done = self.strid("dlq", "purge", "totals.yaml", "--all", "--yes", code=1)
        self.assertIn("all/b.dlq is being written", done.err)
        self.assertEqual(len(self.letters()), 2)
        self.strid("dlq", "purge", "totals.yaml", "--all", "--yes")
        self.assertEqual(self.letters(), [])

    def test_purge_of_nothing(self):
        os.remove(self.path(self.file))
        self.assertIn("totals.yaml has no dead letters",
                      self.strid("dlq", "show", "totals.yaml", code=1).err)
        self.assertIn("0 dead letters", self.strid("dlq", "purge", "totals.yaml", "--all",
                                                   "--yes").err)

    def test_purge_that_is_killed_leaves_the_old_file_or_the_new_one(self):
        before = self.lines()
        after = before[:2]
        for point in POINTS:
            self.write(self.file, b"".join(before))
            done = subprocess.run(
                [os.environ["STRID_TEST_COMMAND"], "dlq", "purge", "totals.yaml", "--reason",
                 "rejected", "--yes"], cwd=self.folder, check=False, capture_output=True,
                timeout=60, env=dict(os.environ, STRID_CRASH_POINT=point + ":1"))
            self.assertEqual(done.returncode, -signal.SIGKILL, point)
            self.assertEqual(self.lines(), after if point == "dlq_purge_renamed" else before)
            self.assertEqual(len(self.letters()), len(self.lines()), "the copy is not listed")
            self.strid("dlq", "purge", "totals.yaml", "--reason", "rejected", "--yes")
            self.assertEqual(self.lines(), after, "the next purge does it")

    def test_the_worked_example_of_the_documents(self):
        with open(os.path.join(os.environ["STRID_DOCS"], "dlq.md"), encoding="utf-8") as file:
            page = file.read()
        os.mkdir(self.path("example"))
        path = os.path.dirname(os.path.realpath(STRID)) + ":" + os.environ["PATH"]
        steps = 0
        for kind, text in re.findall(r"```(sh|console)\n(.*?)```", page, re.S):
            calls = [("", text)] if kind == "sh" else [
                part.split("\n", 1)[::-1] for part in text.split("$ ")[1:]]
            for expected, command in calls:
                done = subprocess.run(["sh", "-ec", command], cwd=self.path("example"),
                                      env=dict(os.environ, PATH=path), capture_output=True,
                                      check=False, timeout=60, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, expected),
                                 command + done.stderr)
                steps += 1
        self.assertGreater(steps, 4)


if __name__ == "__main__":
    main()
