#!/usr/bin/env python3
"""A pipeline file that was changed between two runs on the same state: what a user is told."""
import os
import signal
import subprocess

from command_case import DEADLINE_S, TOTALS, CommandCase, main

ORDER = '{"customer": "a", "client": "b", "kind": "order", "amount": 5}\n'
OTHER_KEY = TOTALS.replace("key: customer", "key: client")
IS_NOW = 'rocksdb:./state: a record\'s key is field "client" now and was field "customer"'


class Change(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("orders.jsonl", ORDER)

    def told(self, text):
        """What a run with that pipeline file says, but for its summary."""
        self.write("totals.yaml", text)
        err = self.strid("run", "totals.yaml").err
        return [line for line in err.splitlines() if " state: " in line]

    def test_another_key_is_told_once(self):
        self.assertEqual(self.told(TOTALS), [])
        self.assertEqual(self.told(TOTALS), [])
        self.write("orders.jsonl", ORDER, "a")
        lines = self.told(OTHER_KEY)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(IS_NOW, lines[0])
        self.assertEqual(self.scan("orders"), {"a": 1, "b": 1})
        self.assertEqual(self.told(OTHER_KEY), [])

    def test_another_key_behind_a_kill_is_refused_until_the_run_was_made_good(self):
        """Each worker says how far it is: by another key a record would be another worker's."""
        count = 40
        workers = "workers: 4\n"
        self.write("orders.jsonl", "".join(ORDER.replace('"a"', f'"c{n}"').replace('"b"', f'"d{n}"')
                                           for n in range(count)))
        self.write("totals.yaml", TOTALS + workers)
        done = subprocess.run([os.environ["STRID_TEST_COMMAND"], "run", "totals.yaml"],
                              cwd=self.folder, check=False, capture_output=True, timeout=DEADLINE_S,
                              env=dict(os.environ, STRID_CRASH_POINT="storage_after_sync:1"))
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.write("totals.yaml", OTHER_KEY + workers)
        err = self.strid("run", "totals.yaml", code=1).err
        self.assertIn('can only be told by the key that it had, field "customer"', err)
        self.assertEqual(self.told(TOTALS + workers), [])
        self.assertEqual(self.scan("orders"), {f"c{n}": 1 for n in range(count)})
        self.write("orders.jsonl", ORDER, "a")
        self.assertEqual(len(self.told(OTHER_KEY + workers)), 1)
        self.assertEqual(self.scan("orders")["b"], 1)

    def test_other_handlers_are_told_once(self):
        self.told(TOTALS)
        fewer = TOTALS.replace('  - { on: "order", sum: { store: spent, field: amount } }\n',
                               '  - { on: "visit", count: { store: visits } }\n')
        lines = self.told(fewer)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn('(new: "visit: count visits"; gone: "order: sum spent")', lines[0])
        self.assertEqual(self.told(fewer), [])

    def test_nothing_is_told_where_nothing_was_read(self):
        self.write("orders.jsonl", "")
        self.told(TOTALS)
        self.assertEqual(self.told(OTHER_KEY), [])


class NoServer(CommandCase):
    def test_what_cannot_be_asked_names_the_command_that_can_tell(self):
        self.write("totals.yaml", TOTALS)
        self.write("orders.jsonl", ORDER)
        for words in (("lag", "totals.yaml"), ("lag", "file:orders.jsonl"),
                      ("groups", "totals.yaml"), ("groups", "file:orders.jsonl"),
                      ("topics", "file:orders.jsonl"), ("consume", "file:orders.jsonl", "-e")):
            err = self.strid(*words, code=1).err
            self.assertIn('a source of kind "file:" has no server that could be asked', err)
            self.assertIn("strid status FILE", err)


class Produce(CommandCase):
    def test_what_is_sent_to_a_file_has_no_id(self):
        self.strid("produce", "file:out.jsonl", "-K", ":", given='a:{"n": 1}\nno key\n')
        with open(self.path("out.jsonl"), encoding="utf-8") as file:
            self.assertEqual(file.read(), '{"key": "a", "value": {"n":1}}\n{"value": "no key"}\n')


if __name__ == "__main__":
    main()
