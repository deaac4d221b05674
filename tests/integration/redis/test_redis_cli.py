#!/usr/bin/env python3
"""`strid` with sinks and dead letters in a real redis-server, and a password that nobody sees."""
import os
import subprocess
import tempfile
import time
import unittest

from command_case import DEADLINE_S, CommandCase, main

CANARY = "canary-4711"
PIPELINE = f"""\
name: totals
source: {{ url: "file:orders.jsonl", format: jsonl, key: customer }}
state: {{ url: "rocksdb:./state" }}
sink: {{ copy: "redis://strid:{CANARY}@ignored/copy?socket=PATH" }}
dlq: {{ url: "redis:///orders-dlq?socket=PATH&user=strid&password={CANARY}" }}
handlers:
  - {{ on: "*", forward: {{ to: copy }} }}
"""


class Redis(CommandCase):
    def setUp(self):
        super().setUp()
        # a Unix socket's path is short
        directory = tempfile.TemporaryDirectory(prefix="strid-redis-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.socket = os.path.join(directory.name, "socket")
        rights = ["~copy", "~orders-dlq", "+xadd", "+xrange", "+xdel", "+client|setname"]
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir",
             directory.name, "--user", "strid", "on", f">{CANARY}", *rights],
            stdout=subprocess.DEVNULL)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        end = time.monotonic() + DEADLINE_S
        while self.redis("PING", check=False) != "PONG":
            self.assertLess(time.monotonic(), end, "the server does not answer")
        self.write("orders.jsonl", '{"customer": "a"}\nno json\n{"customer": "b"}\n')
        self.write("totals.yaml", PIPELINE.replace("PATH", self.socket))

    def redis(self, *words, check=True):
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True,
                              text=True, check=check, timeout=DEADLINE_S)
        return done.stdout.strip()

    def said(self, *words, **more):
        """As strid(), and nothing of it holds the password."""
        done = self.strid(*words, **more)
        self.assertNotIn("canary", done.out + done.err)
        return done

    def test_outputs_and_dead_letters_go_to_streams(self):
        self.said("check", "totals.yaml")
        done = self.said("run", "totals.yaml", "--log-level", "debug")
        self.assertIn("1 dead-lettered", done.err)
        self.assertEqual(self.redis("XLEN", "copy"), "2")
        letter, = self.json_lines(self.said("dlq", "list", "totals.yaml", "--json").out)
        self.assertEqual((letter["reason"], letter["value"], letter["position"]),
                         ("not_json", "no json", 18))
        self.assertIn("no json", self.said("dlq", "show", "totals.yaml", "18").out)

    def test_position_of_two_numbers_stays_one(self):
        self.redis("XADD", "orders-dlq", "*", "_error", "boom", "_original_stream", "orders",
                   "_original_msg_id", "0-5", "event", "paid")
        letter, = self.json_lines(self.said("dlq", "list", "totals.yaml", "--json").out)
        self.assertEqual((letter["position"], letter["value"]), ("0-5", '{"event": "paid"}'))
        self.assertIn("orders\t0-5\tboom", self.said("dlq", "list", "totals.yaml").out)
        self.said("dlq", "show", "totals.yaml", "0-5")
        self.said("dlq", "show", "totals.yaml", "5", code=1)

    def test_purge_takes_out_those_that_are_chosen(self):
        for number in range(450):  # three pages
            self.redis("XADD", "orders-dlq", f"1-{number + 1}", "_error",
                       "odd" if number % 2 else "even", "_original_stream", "orders",
                       "_original_msg_id", f"0-{number + 1}", "n", str(number))
        self.redis("XADD", "orders-dlq", "2-1", "no", "letter")
        self.said("dlq", "purge", "totals.yaml", "--reason", "odd", code=2)
        self.said("dlq", "purge", "totals.yaml", "--reason", "odd", "--dry-run")
        self.assertEqual(self.redis("XLEN", "orders-dlq"), "451")
        self.said("dlq", "purge", "totals.yaml", "--reason", "odd", "--yes")
        self.assertEqual(self.redis("XLEN", "orders-dlq"), "226")
        letters = self.json_lines(self.said("dlq", "list", "totals.yaml", "--json").out)
        self.assertEqual({letter["reason"] for letter in letters}, {"even"})
        self.assertEqual(len(letters), 225)
        self.said("dlq", "purge", "totals.yaml", "--all", "--yes")
        self.assertEqual(self.redis("XRANGE", "orders-dlq", "-", "+"), "2-1\nno\nletter")

    def test_purge_without_the_right_names_it(self):
        self.redis("XADD", "orders-dlq", "1-1", "_error", "odd", "_original_stream", "orders",
                   "_original_msg_id", "0-1")
        self.redis("ACL", "SETUSER", "strid", "-xdel")
        self.assertIn("NOPERM", self.said("dlq", "purge", "totals.yaml", "--all", "--yes",
                                          code=2).err)
        self.assertEqual(self.redis("XLEN", "orders-dlq"), "1")

    def test_refused_login_is_told(self):
        self.redis("ACL", "SETUSER", "strid", "resetpass", ">other")
        done = self.said("run", "totals.yaml", code=2)
        self.assertIn("WRONGPASS", done.err)


if __name__ == "__main__":
    main()
