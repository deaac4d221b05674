#!/usr/bin/env python3
"""`strid state` on stores with subkeys, and on the stores that the engine keeps for itself."""
import json
import os
import subprocess

from command_case import CommandCase, main

URL = "rocksdb:./state"


class Subkeys(CommandCase):
    def setUp(self):
        super().setUp()
        subprocess.run([os.environ["STRID_SUBKEYS_HOST"], "state"], cwd=self.folder, check=True,
                       timeout=60)

    def get(self, *words, code=0):
        return self.strid("state", "get", URL, *words, "--json", code=code)

    def test_get_of_a_subkey(self):
        row = json.loads(self.get("--store", "items", "--key", "a", "--subkey", "pear").out)
        self.assertEqual((row["key"], row["subkey"], row["value"]), ("a", "pear", 2))
        row = json.loads(self.get("--store", "items", "--key", "b", "--subkey", "plum").out)
        self.assertEqual(row["value"], 1)

    def test_get_of_what_is_not_there(self):
        for words in (("--key", "a", "--subkey", "plum"), ("--key", "b", "--subkey", "pear"),
                      ("--key", "a"), ("--key", "c", "--subkey", "pear")):
            self.assertEqual(self.get("--store", "items", *words, code=1).out, "", words)

    def test_get_of_a_subkey_in_a_store_without(self):
        done = self.get("--store", "sums", "--key", "a", "--subkey", "pear", code=1)
        self.assertIn("sums", done.err)
        self.assertIn("not ordered", done.err)

    def test_scan_and_export_name_the_subkeys(self):
        wanted = [("a", "apple", 1), ("a", "pear", 2), ("b", "plum", 1)]
        for command in ("scan", "export"):
            out = self.strid("state", command, URL, "--store", "items", "--json").out
            rows = self.json_lines(out)
            self.assertEqual(sorted((row["key"], row["subkey"], row["value"]) for row in rows),
                             wanted, command)
        rows = self.json_lines(self.strid("state", "scan", URL, "--store", "sums", "--json").out)
        self.assertEqual({row["key"]: row["value"] for row in rows}, {"a": 3, "b": 1})
        self.assertFalse(any("subkey" in row for row in rows))

    def test_stores_of_the_engine_only_when_asked_for(self):
        everything = self.json_lines(self.strid("state", "export", URL).out)
        self.assertEqual({row["store"] for row in everything}, {"items", "sums"})
        for number in (112, 127):
            self.assertEqual(self.strid("state", "scan", URL, "--store", f"engine:{number}").out,
                             "")
            self.get("--store", f"engine:{number}", "--key", "a", code=1)
        for name in ("engine:111", "engine:128", "engine:", "engine:x"):
            done = self.strid("state", "scan", URL, "--store", name, code=1)
            self.assertIn(name, done.err)


if __name__ == "__main__":
    main()
