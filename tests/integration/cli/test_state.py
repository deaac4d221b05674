#!/usr/bin/env python3
"""Options of the state section, and `strid state export`."""
import json
import os
import time

from command_case import TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          '{"customer": "b", "kind": "order", "amount": 7.5}\n'
          '{"customer": "a", "kind": "order", "amount": 6}\n')
DAY_MS = 24 * 3600 * 1000


def with_state(options):
    return TOTALS.replace('"rocksdb:./state" }', f'"rocksdb:./state", {options} }}')


class State(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("orders.jsonl", ORDERS)

    def run_with(self, options):
        self.write("totals.yaml", with_state(options))
        return json.loads(self.strid("run", "totals.yaml", "--json").out)

    def export(self, *words):
        return self.json_lines(self.strid("state", "export", "rocksdb:./state", *words).out)

    def test_each_durability_counts_right(self):
        for number, durability in enumerate(("durable", "strict", "replay", "durable"), 1):
            self.run_with(f"durability: {durability}")
            self.assertEqual(self.scan("orders"), {"a": number + 1, "b": 1})
            self.write("orders.jsonl", '{"customer": "a", "kind": "order", "amount": 1}\n', "a")

    def test_ttl_of_all_stores_and_of_one(self):
        before = int(time.time() * 1000)
        self.run_with("ttl: 30d, stores: { spent: { ttl: 1h } }")
        after = int(time.time() * 1000)
        for row in self.export():
            ttl = {"orders": 30 * DAY_MS, "spent": DAY_MS // 24}[row["store"]]
            self.assertTrue(before + ttl <= row["expires_ms"] <= after + ttl, row)
        stats = json.loads(self.strid("state", "stats", "rocksdb:./state", "--json").out)
        self.assertEqual({x["name"]: x["expiring"] for x in stats["stores"]},
                         {"orders": 2, "spent": 2})
        self.assertIn("2 with a time to live",
                      self.strid("state", "stats", "rocksdb:./state").out)

    def test_store_without_a_ttl_beside_others(self):
        self.run_with("ttl: 30d, stores: { spent: { ttl: 0 } }")
        self.assertEqual({row["store"]: "expires_ms" in row for row in self.export()},
                         {"orders": True, "spent": False})

    def test_a_pipeline_file_stands_for_its_state(self):
        self.run_with("ttl: 30d")
        for words in (("get", "--store", "orders", "--key", "a"), ("scan",), ("export",),
                      ("stats",)):
            by_url = self.strid("state", words[0], "rocksdb:./state", *words[1:], "--json").out
            by_file = self.strid("state", words[0], "totals.yaml", *words[1:], "--json").out
            self.assertEqual(by_file, by_url)
            self.assertIn("}", by_url)
        self.write("none.yaml", TOTALS.replace('state: { url: "rocksdb:./state" }\n', ""))
        self.assertIn("keeps no state on disk",
                      self.strid("state", "stats", "none.yaml", code=1).err)
        self.assertIn("absent.yaml", self.strid("state", "stats", "absent.yaml", code=2).err)

    def test_what_has_expired_is_not_there(self):
        self.run_with("stores: { spent: { ttl: 1ms } }")
        end = time.monotonic() + 10
        while self.scan("spent") and time.monotonic() < end:
            pass  # a new process each time
        self.assertEqual(self.scan("spent"), {})
        self.assertEqual(self.scan("orders"), {"a": 2, "b": 1})
        self.strid("state", "get", "rocksdb:./state", "--store", "spent", "--key", "a", code=1)
        self.assertEqual({row["store"] for row in self.export()}, {"orders"})
        self.write("orders.jsonl", '{"customer": "a", "kind": "order", "amount": 1}\n', "a")
        self.run_with("stores: { spent: { ttl: 1h } }")
        self.assertEqual(self.scan("spent"), {"a": 1}, "the sum began anew")

    def test_export(self):
        self.run_with("durability: durable")
        rows = self.export()
        self.assertEqual(sorted(rows, key=lambda row: (row["store"], row["key"])), [
            {"store": "orders", "key": "a", "kind": "integer", "value": 2},
            {"store": "orders", "key": "b", "kind": "integer", "value": 1},
            {"store": "spent", "key": "a", "kind": "integer", "value": 11},
            {"store": "spent", "key": "b", "kind": "double", "value": 7.5}])
        self.assertEqual(self.export("--json"), rows)
        self.assertEqual({row["store"] for row in self.export("--store", "spent")}, {"spent"})

    def test_export_of_records_without_a_key(self):
        self.write("totals.yaml", TOTALS.replace(" key: customer,", ""))
        self.strid("run", "totals.yaml")
        self.assertEqual(self.export("--store", "orders"),
                         [{"store": "orders", "kind": "integer", "value": 3}])

    def test_export_of_nothing(self):
        self.assertIn("nowhere", self.strid("state", "export", "rocksdb:./nowhere", code=1).err)
        self.run_with("durability: durable")
        done = self.strid("state", "export", "rocksdb:./state", "--store", "none", code=1)
        self.assertIn("orders", done.err)


class Refused(CommandCase):
    def refused(self, options, *expected):
        self.write("totals.yaml", with_state(options))
        self.write("orders.jsonl", ORDERS)
        err = self.strid("check", "totals.yaml", code=2).err
        for part in expected:
            self.assertIn(part, err)
        self.assertEqual(sorted(os.listdir(self.folder)), ["orders.jsonl", "totals.yaml"])

    def test_durability(self):
        self.refused("durability: stirct", "totals.yaml:3:46:", "durable, strict, replay",
                     'did you mean "strict"')
        self.refused("durability: [strict]", "totals.yaml:3:46:")

    def test_ttl(self):
        self.refused("ttl: soon", "totals.yaml:3:39:", "a duration")
        self.refused("ttl: 30", "totals.yaml:3:39:", "a duration")
        self.refused("ttl: -1s", "totals.yaml:3:39:")
        self.refused("ttl: 40000d", "totals.yaml:3:39:", "out of bounds")
        self.refused("ttll: 1h", "totals.yaml:3:34:", "ttl")

    def test_stores(self):
        self.refused("stores: { spend: { ttl: 1h } }", "totals.yaml:3:44:",
                     'no handler has a store "spend"', 'did you mean "spent"')
        self.refused("stores: [spent]", "totals.yaml:3:42:", "a map")
        self.refused("stores: { spent: 1h }", "totals.yaml:3:51:", "a map")
        self.refused("stores: { spent: { tll: 1h } }", "totals.yaml:3:53:", "ttl")


if __name__ == "__main__":
    main()
