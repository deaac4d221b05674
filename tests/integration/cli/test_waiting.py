#!/usr/bin/env python3
"""What the command tells of records that wait: of a stopped node, and of a run that leaves them."""
import json
import os
import signal
import subprocess

from command_case import DEADLINE_S, STRID, TOTALS, CommandCase, main

ORDERS = ('{"customer": "a", "kind": "order", "amount": 5}\n'
          '{"customer": "b", "kind": "order", "amount": 1}\n'
          '{"customer": "b", "kind": "order", "amount": 2}\n'
          '{"customer": "b", "kind": "order", "amount": 4}\n'
          '{"customer": "z", "kind": "order", "amount": 9}\n')
LONG = TOTALS + "retry: { backoff: [1h] }\n"
SHORT = TOTALS + "retry: { backoff: [1ms] }\n"


class Waiting(CommandCase):
    """A program has left a record that waits for an hour, and two that are parked behind it."""

    def setUp(self):
        super().setUp()
        self.write("orders.jsonl", ORDERS)
        self.write("totals.yaml", LONG)
        done = subprocess.run([os.environ["STRID_WAITING_HOST"], "file:orders.jsonl",
                               "rocksdb:./state"], cwd=self.folder, timeout=DEADLINE_S,
                              capture_output=True, check=False, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def status(self):
        return json.loads(self.strid("status", "totals.yaml", "--json").out)

    def interrupted(self, *words):
        """A run that is asked to drain once it has its state. What it said."""
        with subprocess.Popen([STRID, "run", "totals.yaml", "--log-level", "debug", *words],
                              cwd=self.folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as node:
            for line in node.stderr:
                if "opened ./state" in line:
                    break
            node.send_signal(signal.SIGINT)
            out, err = node.communicate(timeout=DEADLINE_S)
            self.assertEqual(node.returncode, 0, err)
        return out, err

    def test_a_stopped_node_tells_how_many(self):
        status = self.status()
        self.assertEqual((status["node"], status["waiting"], status["parked"]), ("stopped", 1, 2))
        self.assertRegex(self.strid("status", "totals.yaml").out,
                         r"waiting +1 record, 2 parked behind it\n")
        stats = self.strid("state", "stats", "rocksdb:./state").out
        self.assertRegex(stats, r"waiting +1 record\nparked +2 records\nparked bytes +[1-9]")
        stats = self.json_lines(self.strid("state", "stats", "rocksdb:./state", "--json").out)[0]
        self.assertEqual((stats["waiting"], stats["parked"]), (1, 2))
        self.assertGreater(stats["parked_bytes"], 0)

    def test_a_run_that_leaves_them_says_so(self):
        err = self.interrupted()[1]
        self.assertIn("1 record still waits for another attempt, 2 are parked behind it: the next "
                      "run goes on with them", err)
        summary = json.loads(self.interrupted("--json")[0])
        self.assertEqual((summary["records"], summary["done"], summary["waiting"],
                          summary["parked"]), (0, 0, 1, 2))

    def test_the_run_that_handles_them_says_nothing(self):
        self.write("totals.yaml", SHORT)
        err = self.strid("run", "totals.yaml").err
        self.assertIn("3 done, 0 skipped", err)
        self.assertNotIn("wait", err)
        self.assertEqual(self.scan("spent"), {"b": 7}, "the others took effect in the first run")
        self.assertEqual((self.status()["waiting"], self.status()["parked"]), (0, 0))
        self.assertNotIn("parked", self.strid("state", "stats", "rocksdb:./state").out)


if __name__ == "__main__":
    main()
