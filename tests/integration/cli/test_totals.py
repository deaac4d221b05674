#!/usr/bin/env python3
"""The pipeline of the README, end to end: counting and summing orders of a file."""
import json
import os
import subprocess

from command_case import STRID, TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          '{"customer": "b", "kind": "order", "amount": 7}\n'
          '{"customer": "a", "kind": "order", "amount": 6}\n'
          '{"customer": "a", "kind": "visit"}\n')


class Totals(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("totals.yaml", TOTALS)
        self.write("orders.jsonl", ORDERS)

    def summary(self, *words):
        return json.loads(self.strid("run", "totals.yaml", "--json", *words).out)

    def test_run_exits_0_when_the_file_is_read(self):
        done = self.strid("run", "totals.yaml")
        self.assertEqual(done.out, "")
        self.assertRegex(done.err, r"4 records in .* records/s\): 3 done, 0 skipped, 1 unrouted, "
                                   r"0 retried, 0 dead-lettered")
        self.assertEqual(self.scan("orders"), {"a": 2, "b": 1})
        self.assertEqual(self.scan("spent"), {"a": 11, "b": 7})

    def test_second_run_handles_what_was_appended(self):
        self.assertEqual(self.summary()["records"], 4)
        self.assertEqual(self.summary()["records"], 0)
        self.write("orders.jsonl", '{"customer": "b", "kind": "order", "amount": 1}\n', "a")
        self.assertEqual(self.summary()["records"], 1)
        self.assertEqual(self.scan("orders"), {"a": 2, "b": 2})
        self.assertEqual(self.scan("spent"), {"a": 11, "b": 8})

    def test_summary_as_json(self):
        found = self.summary("--workers", "1")
        expected = {"records": 4, "done": 3, "skipped": 0, "unrouted": 1, "retried": 0,
                    "dead_lettered": 0, "status": "STRID_OK"}
        self.assertEqual({name: found[name] for name in expected}, expected)
        self.assertIn("records_per_s", found)

    def test_no_summary_of_a_run_that_never_began(self):
        self.write("other.yaml", TOTALS.replace("orders.jsonl", "missing.jsonl"))
        done = self.strid("run", "other.yaml", code=1)
        self.assertIn("missing.jsonl", done.err)
        self.assertEqual(len(done.err.splitlines()), 1, done.err)
        done = self.strid("run", "other.yaml", "--json", code=1)
        self.assertEqual(json.loads(done.out)["status"], "STRID_ENOTFOUND")

    def test_state_scan_prints_exactly_key_and_value(self):
        self.strid("run", "totals.yaml")
        out = self.strid("state", "scan", "rocksdb:./state", "--store", "orders", "--json").out
        self.assertEqual(sorted(out.splitlines()),
                         ['{"key":"a","value":2}', '{"key":"b","value":1}'])

    def test_state_scan_of_all_stores_names_them(self):
        self.strid("run", "totals.yaml")
        rows = self.json_lines(self.strid("state", "scan", "rocksdb:./state", "--json").out)
        self.assertEqual(sorted((row["store"], row["key"], row["value"]) for row in rows),
                         [("orders", "a", 2), ("orders", "b", 1), ("spent", "a", 11),
                          ("spent", "b", 7)])

    def test_one_record_is_one(self):
        self.write("orders.jsonl", '{"customer": "a", "kind": "visit"}\n')
        self.assertIn(" 1 record in ", self.strid("run", "totals.yaml").err)

    def test_state_get(self):
        self.strid("run", "totals.yaml")
        get = ("state", "get", "rocksdb:./state", "--store", "orders", "--json", "--key")
        self.assertEqual(self.strid(*get, "a").out, '{"key":"a","value":2}\n')
        absent = self.strid(*get, "nobody", code=1)
        self.assertEqual(absent.out, "")
        self.assertIn('store "orders" has no key "nobody"', absent.err)
        self.assertIn(f'no key "{"n" * 64}..."', self.strid(*get, "n" * 300, code=1).err)
        self.strid("state", "get", "rocksdb:./state", "--store", "none", "--key", "a", code=1)
        self.strid("state", "scan", "rocksdb:./state", "--store", "none", code=1)

    def test_state_stats(self):
        self.strid("run", "totals.yaml")
        stats = json.loads(self.strid("state", "stats", "rocksdb:./state", "--json").out)
        self.assertEqual({store["name"]: store["keys"] for store in stats["stores"]},
                         {"orders": 2, "spent": 2})
        self.assertEqual(stats["keys"], 4)
        self.assertEqual([(part["identity"], part["low"]) for part in stats["partitions"]],
                         [(os.path.realpath(self.path("orders.jsonl")), len(ORDERS))])
        text = self.strid("state", "stats", "rocksdb:./state").out
        self.assertIn("goes on at", text)

    def test_state_stats_tell_how_well_the_caches_did(self):
        self.write("orders.jsonl", '{"customer": "a", "kind": "visit"}\n')
        self.strid("run", "totals.yaml")
        self.assertRegex(self.strid("state", "stats", "rocksdb:./state").out,
                         r"cache hits +unknown")
        self.write("orders.jsonl", ORDERS * 2000, "a")
        done = self.summary()["done"]
        stats = json.loads(self.strid("state", "stats", "rocksdb:./state", "--json").out)
        # Counted for whole chunks, of the stores that their handlers are known to use.
        self.assertGreater(stats["cache_hits"] + stats["cache_misses"], done // 2)
        self.assertLessEqual(stats["cache_misses"], 4)
        self.assertRegex(self.strid("state", "stats", "rocksdb:./state").out,
                         r"cache hits +(99\.\d\d|100\.00) % of [\d,]+")

    def test_state_of_nothing(self):
        done = self.strid("state", "scan", "rocksdb:./nowhere", code=1)
        self.assertIn("nowhere", done.err)
        self.assertFalse(os.path.exists(self.path("nowhere")))

    def test_record_that_no_handler_wants_is_a_dead_letter_if_so_configured(self):
        self.write("totals.yaml", TOTALS + "unrouted: dlq\n")
        found = self.summary()
        self.assertEqual((found["done"], found["unrouted"], found["dead_lettered"]), (3, 0, 1))
        letter = json.loads(self.strid("dlq", "list", "totals.yaml", "--json").out)
        self.assertEqual((letter["reason"], letter["value"], letter["position"]),
                         ("unrouted", ORDERS.splitlines()[3], ORDERS.rindex("{")))
        self.assertEqual(self.summary()["records"], 0)

    def test_line_that_is_no_json_is_a_dead_letter(self):
        self.write("orders.jsonl", b"this is no json\n\xff\xfe broken\n", "a")
        done = self.strid("run", "totals.yaml")
        self.assertIn("2 dead-lettered", done.err)
        self.assertIn("see the dead letters: strid dlq list totals.yaml", done.err)
        letters = self.json_lines(self.strid("dlq", "list", "totals.yaml", "--json").out)
        self.assertEqual([(x["source"], x["position"], x.get("value"), x.get("value_base64"))
                          for x in letters],
                         [("file:orders.jsonl", len(ORDERS), "this is no json", None),
                          ("file:orders.jsonl", len(ORDERS) + 16, None, "//4gYnJva2Vu")])
        self.assertEqual(letters[0]["reason"], "not_json")
        self.assertEqual(self.scan("orders"), {"a": 2, "b": 1})
        self.assertEqual(self.summary()["dead_lettered"], 0)

    def test_dead_letters_for_people(self):
        self.write("orders.jsonl", "oops\n", "a")
        self.strid("run", "totals.yaml")
        self.assertIn("not_json\toops", self.strid("dlq", "list", "totals.yaml").out)
        shown = self.strid("dlq", "show", "totals.yaml", str(len(ORDERS))).out
        self.assertRegex(shown, r"value +oops")
        self.strid("dlq", "show", "totals.yaml", "1", code=1)

    def test_dead_letter_as_json(self):
        self.write("orders.jsonl", "oops\n", "a")
        self.strid("run", "totals.yaml")
        letter = json.loads(self.strid("dlq", "list", "totals.yaml", "--json").out)
        for name in (letter["id"], str(len(ORDERS))):
            shown = json.loads(self.strid("dlq", "show", "totals.yaml", name, "--json").out)
            self.assertEqual((shown["id"], shown["value"], shown["reason"], shown["position"]),
                             (letter["id"], "oops", "not_json", len(ORDERS)))

    def test_without_json_rows_are_for_people(self):
        self.strid("run", "totals.yaml")
        get = self.strid("state", "get", "rocksdb:./state", "--store", "orders", "--key", "a").out
        self.assertEqual(get, "a\t2\n")
        scan = self.strid("state", "scan", "rocksdb:./state", "--store", "orders").out
        self.assertEqual(sorted(scan.splitlines()), ["a\t2", "b\t1"])

    def test_dead_letters_before_the_first_run(self):
        self.assertEqual(self.strid("dlq", "list", "totals.yaml", "--json").out, "")

    def test_record_without_its_key_is_a_dead_letter(self):
        self.write("orders.jsonl", '{"kind": "order", "amount": 1}\n', "a")
        self.assertEqual(self.summary()["dead_lettered"], 1)
        letters = self.json_lines(self.strid("dlq", "list", "totals.yaml", "--json").out)
        self.assertEqual([x["reason"] for x in letters], ["key_missing"])

    def test_sum_of_no_number_is_rejected_whole(self):
        self.write("orders.jsonl", '{"customer": "a", "kind": "order", "amount": "x"}\n', "a")
        self.assertEqual(self.summary()["dead_lettered"], 1)
        self.assertEqual(self.scan("orders"), {"a": 2, "b": 1})

    def test_state_of_another_pipeline_is_refused(self):
        self.strid("run", "totals.yaml")
        self.write("other.yaml", TOTALS.replace("name: totals", "name: others"))
        done = self.strid("run", "other.yaml", code=1)
        self.assertIn('holds the state of pipeline "totals", not of "others"', done.err)
        self.assertEqual(self.scan("orders"), {"a": 2, "b": 1})

    def test_directory_of_somebody_else_is_not_made_a_state(self):
        os.mkdir(self.path("state"))
        self.write("state/000001.log", "mine")
        done = self.strid("run", "totals.yaml", code=1)
        self.assertIn("holds no state of strid, but other files (000001.log)", done.err)
        self.assertEqual(os.listdir(self.path("state")), ["000001.log"])

    def test_dead_letter_queue_that_can_never_be_made(self):
        self.write("totals.yaml", TOTALS + 'dlq: { url: "file:nowhere/letters.jsonl" }\n')
        err = self.strid("run", "totals.yaml", code=1).err
        self.assertIn("nowhere/letters.jsonl cannot be made in its directory", err)
        self.assertNotIn("state", os.listdir(self.folder))

    def test_files_of_a_directory_come_and_go(self):
        os.mkdir(self.path("in"))
        text = TOTALS.replace("file:orders.jsonl", "file:in?match=*.jsonl")
        self.write("totals.yaml", text)
        for name in ("one.jsonl", "two.jsonl", "three.jsonl"):  # only one is there at a time
            self.write(f"in/{name}", ORDERS)
            self.strid("run", "totals.yaml")
            os.unlink(self.path(f"in/{name}"))
        self.write("in/four.jsonl", ORDERS)
        self.strid("reset", "totals.yaml", "--to", "latest", "--yes")
        self.strid("run", "totals.yaml")
        self.assertEqual(self.scan("orders")["a"], 6)
        self.write("in/one.jsonl", ORDERS)  # it was read
        self.strid("run", "totals.yaml")
        self.assertEqual(self.scan("orders")["a"], 6)
        self.write("totals.yaml", TOTALS)
        self.assertIn("holds the state of another source",
                      self.strid("run", "totals.yaml", code=1).err)
        os.mkdir(self.path("other"))
        self.write("other/four.jsonl", ORDERS)
        self.write("totals.yaml", text.replace("file:in", "file:other"))
        self.assertIn("holds the state of another source",
                      self.strid("run", "totals.yaml", code=1).err)

    def test_more_files_than_may_be_open_at_first(self):
        os.mkdir(self.path("in"))
        for i in range(100):
            self.write(f"in/{i}", ORDERS)
        self.write("totals.yaml", TOTALS.replace("file:orders.jsonl", "file:in"))

        def limited(limit):
            words = ["sh", "-c", f'ulimit -{limit} 64; exec "$0" run totals.yaml', STRID]
            return subprocess.run(words, cwd=self.folder, capture_output=True, text=True,
                                  check=False)
        done = limited("n")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"in/\d+ cannot be opened \(all files of a source are held "
                         r"open: raise the limit, .*\): Too many open files")
        self.assertEqual(limited("Sn").returncode, 0)
        self.assertEqual(self.scan("orders"), {"a": 200, "b": 100})

    def test_missing_input_file(self):
        os.unlink(self.path("orders.jsonl"))
        self.assertIn("orders.jsonl", self.strid("run", "totals.yaml", code=1).err)


class Refused(CommandCase):
    """Nothing is started and no state directory is made."""

    def refused(self, text, *expected):
        self.write("totals.yaml", text)
        self.write("orders.jsonl", ORDERS)
        for command in ("run", "check"):
            err = self.strid(command, "totals.yaml", code=2).err
            for part in expected:
                self.assertIn(part, err)
        self.assertEqual(sorted(os.listdir(self.folder)), ["orders.jsonl", "totals.yaml"])

    def test_unknown_key(self):
        self.refused(TOTALS.replace("state:", "stat:"), "totals.yaml:3:1:", "state")
        self.refused(TOTALS.replace("count:", "cuont:"), "totals.yaml:5:", "count")

    def test_wrong_type(self):
        self.refused(TOTALS + "workers: [1]\n", "totals.yaml:7:10:")
        self.refused(TOTALS + "retry: { max_attempts: many }\n", "totals.yaml:7:")

    def test_unknown_scheme(self):
        self.refused(TOTALS.replace("file:orders", "fiel:orders"), "totals.yaml:2:", "file")

    def test_target_that_could_never_be_opened(self):
        for section in ("dlq: ", "dlq:\n  url: ", "sink:\n  out: "):
            self.refused(TOTALS + section + '"file:"\n', "totals.yaml:",
                         "the sink's URL names no file: file:PATH")
        self.refused(TOTALS.replace("file:orders.jsonl", "file:"), "totals.yaml:2:",
                     "the source's URL names no file or directory: file:PATH")
        self.refused(TOTALS.replace("file:orders.jsonl", "generator:?dist=zipf:11"),
                     "totals.yaml:2:", "zipf")

    def test_no_handlers(self):
        start = TOTALS[:TOTALS.index("handlers:")]
        for handlers in ("", "handlers: []\n"):
            self.refused(start + handlers, "totals.yaml has no handler", "handlers: [")

    def test_the_place_is_that_of_what_is_at_fault(self):
        self.refused(TOTALS + "workers: 2\nordering: partition\n", "totals.yaml:8:11:")
        self.refused(TOTALS + 'sink:\n  one: "file:out"\n  two: "file:orders.jsonl"\n',
                     "totals.yaml:9:8:")
        self.refused(TOTALS + 'dlq: "file:orders.jsonl"\n', "totals.yaml:7:6:")

    def test_sink_that_feeds_its_own_source(self):
        for place in ("orders.jsonl", "./orders.jsonl", "../" + os.path.basename(self.folder)
                      + "/orders.jsonl"):
            self.refused(TOTALS + f'sink: {{ back: {{ url: "file:{place}" }} }}\n',
                         'sink "back" writes to', "which the source reads")
        self.refused(TOTALS + 'dlq: { url: "file:orders.jsonl" }\n', 'sink "dlq" writes to')

    def test_sink_that_is_the_dead_letter_queue(self):
        self.refused(TOTALS + 'sink: { all: { url: "file:./out.jsonl" } }\n'
                     'dlq: { url: "file:out.jsonl" }\n',
                     'sink "all" and the dead-letter queue both write to')

    def test_two_sinks_of_one_file(self):
        self.refused(TOTALS + 'sink: { one: { url: "file:out" }, two: "file:./out" }\n',
                     'sink "one" and sink "two" both write to file:out')

    def test_sink_that_is_the_default_dead_letter_queue(self):
        self.write("orders.jsonl", ORDERS)
        self.write("totals.yaml", TOTALS + 'sink: { all: { url: "file:orders.jsonl.dlq" } }\n')
        self.assertIn('sink "all" and the dead-letter queue both write to',
                      self.strid("run", "totals.yaml", code=2).err)

    def test_sink_among_the_files_that_the_source_reads(self):
        os.mkdir(self.path("in"))
        os.mkdir(self.path("in/below"))
        os.symlink("in", self.path("link"))
        os.symlink("../elsewhere", self.path("in/led-away"))
        self.write("in/orders.jsonl", ORDERS)
        self.write("elsewhere", ORDERS)
        text = TOTALS.replace("file:orders.jsonl", "file:in")
        for place in ("in/out", "./in/out.jsonl", "link/out.jsonl", "in/orders.jsonl", "elsewhere"):
            for section in ('sink: {{ out: "file:{}" }}\n', 'dlq: "file:{}"\n'):
                self.write("totals.yaml", text + section.format(place))
                said = self.strid("run", "totals.yaml", code=2).err
                self.assertIn(f"writes to file:{place}, which the source file:in reads", said)
        for place in ("in/out.dlq", "in/.out", "in/below/out.jsonl", "out.jsonl"):
            self.write("totals.yaml", text + f'sink: {{ out: "file:{place}" }}\n')
            self.strid("run", "totals.yaml")
        self.write("totals.yaml", text.replace("file:in", "file:in?match=*.jsonl")
                   + 'sink: { out: "file:in/out.txt" }\n')
        self.strid("run", "totals.yaml")

    def test_no_yaml(self):
        self.refused("name: [\n", "totals.yaml:")

    def test_check_of_a_good_file(self):
        self.write("totals.yaml", TOTALS)
        self.write("orders.jsonl", ORDERS)
        self.assertEqual(self.strid("check", "totals.yaml").out, "totals.yaml is fine\n")
        self.assertEqual(json.loads(self.strid("check", "totals.yaml", "--json").out),
                         {"file": "totals.yaml", "valid": True})
        self.assertEqual(sorted(os.listdir(self.folder)), ["orders.jsonl", "totals.yaml"])


if __name__ == "__main__":
    main()
