#!/usr/bin/env python3
"""`strid dlq replay` over streams of a real redis-server: a letter is in its stream or among the
letters, never in both and never in neither."""
import os
import subprocess
import tempfile
import time
import unittest

from command_case import DEADLINE_S, STRID, CommandCase, main

PIPELINE = """\
name: clicks
source: { url: "redis:///clicks?group=g&socket=PATH&user=strid&password=secret", format: jsonl,
          key: user MORE }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: clicks } }
"""
RIGHTS = ("~clicks", "~clicks-dlq", "+xrange", "+eval", "+xadd", "+xdel", "+client|setname")


class RedisDlq(CommandCase):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix="strid-redis-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.socket = os.path.join(directory.name, "socket")
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir",
             directory.name, "--user", "strid", "on", ">secret", *RIGHTS],
            stdout=subprocess.DEVNULL)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        end = time.monotonic() + DEADLINE_S
        while self.redis("PING", check=False) != "PONG":
            self.assertLess(time.monotonic(), end, "the server does not answer")
        self.pipeline()

    def pipeline(self, more="", dlq=""):
        self.write("clicks.yaml",
                   PIPELINE.replace("PATH", self.socket).replace("MORE", more) + dlq)

    def redis(self, *words, check=True, feed=None):
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True,
                              text=True, check=check, timeout=DEADLINE_S, input=feed)
        return done.stdout.strip()

    def entries(self, stream):
        """The fields of each, as redis-cli prints them, without the ids."""
        lua = ("local out = {} for i, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do "
               "out[i] = cjson.encode(e[2]) end return out")
        return self.redis("EVAL", lua, "1", stream).splitlines()

    def letter(self, *fields, position="5-1", topic="clicks", letter_id="i"):
        self.redis("XADD", "clicks-dlq", "*", "id", letter_id, "source", "redis:", "topic", topic,
                   "position", position, "reason", "key_missing", *fields)

    def replay(self, code=0, **filters):
        words = [word for name, value in filters.items() for word in (f"--{name}", value)]
        return self.strid("dlq", "replay", "clicks.yaml", *(words or ["--all"]), "--yes",
                          code=code).err

    def test_fields_come_back_as_they_were(self):  # D7, D13
        node = subprocess.Popen([STRID, "run", "clicks.yaml"], cwd=self.folder,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.redis("ACL", "SETUSER", "strid", "+@all")
            wanted = ('["kind","a\\"b\\\\c","\\u00e9_\\u0001","\\n\\t/",' '"n",""]')
            self.redis("EVAL", f"redis.call('XADD', 'clicks', '*', unpack(cjson.decode([==["
                               f"{wanted}]==])))", "0")
            before = self.entries("clicks")
            end = time.monotonic() + DEADLINE_S
            while self.redis("XLEN", "clicks-dlq") != "1":
                self.assertLess(time.monotonic(), end, "no dead letter")
            node.terminate()
            self.assertEqual(node.wait(timeout=DEADLINE_S), 0)
        finally:
            if node.poll() is None:
                node.kill()
                node.wait()
        self.assertIn("1 dead letter handed back", self.replay())
        self.assertEqual(self.entries("clicks"), before * 2)
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "0")

    def test_letters_of_other_systems_go_back_with_all_their_fields(self):
        self.redis("XADD", "clicks-dlq", "*", "_error", "boom", "_original_stream", "clicks",
                   "_original_msg_id", "0-5", "_moved_timestamp", "1700000000.5", "_kept", "1",
                   "event", "paid")
        self.redis("XADD", "clicks-dlq", "*", "original_stream", "clicks", "original_id", "0-6",
                   "failure_reason", "x", "attempts", "3", "dlq_timestamp", "1700000000",
                   "data", '{"a": 1}')
        self.assertIn("2 dead letters handed back", self.replay())
        self.assertEqual(self.entries("clicks"),
                         ['["_kept","1","event","paid"]', '["data","{\\"a\\": 1}"]'])
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "0")

    def test_value_and_key_go_back_to_their_fields(self):
        self.pipeline(", field: body, key_field: who")
        self.letter("key", "ada", "value", "no json", "header:trace", "t")
        shown = self.strid("dlq", "show", "clicks.yaml", "--json").out
        self.strid("produce", f"redis:///copies?socket={self.socket}", "--input", "json",
                   given=shown)
        self.assertEqual(self.entries("copies"), ['["_key","ada","value","no json","trace","t"]'])
        self.assertIn("1 dead letter handed back", self.replay())
        self.assertEqual(self.entries("clicks"), ['["trace","t","who","ada","body","no json"]'])

    def test_what_cannot_go_back_stays(self):
        self.letter("value", "no object", letter_id="i1")
        self.letter("value", '{"a":"1"', letter_id="i2")
        self.letter("value", '{"a":"1"}', letter_id="i3", topic="elsewhere")
        self.letter("value", '{"a":"1"}', letter_id="i4", topic="clicks-dlq")
        self.letter("value", '{"a":"1","b":2}', letter_id="i5")  # no fields become that
        said = self.replay(code=1)
        self.assertIn("0 dead letters handed back", said)
        self.assertIn("3 dead letters are still unreadable", said)
        self.assertIn("2 dead letters were read from what the source does not have", said)
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "5")
        self.assertEqual(self.redis("XLEN", "clicks"), "0")

    def test_only_those_that_are_chosen_and_repeats_once(self):
        self.letter("value", '{"n":"1"}', letter_id="i1", position="5-1")
        self.letter("value", '{"n":"2"}', letter_id="i2", position="5-2")
        self.letter("value", '{"n":"1"}', letter_id="i1", position="5-1")
        self.strid("dlq", "replay", "clicks.yaml", "--all", "--dry-run")
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "3")
        self.replay(position="5-1")
        self.assertEqual(self.entries("clicks"), ['["n","1"]'])
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "1")

    def test_letters_of_another_pipeline_stay(self):
        self.letter("value", '{"n":"1"}', letter_id="i1")
        self.letter("value", '{"n":"2"}', "pipeline", "another", letter_id="i2")
        self.assertIn("1 dead letter handed back", self.replay())
        self.assertEqual(self.entries("clicks"), ['["n","1"]'])
        self.strid("dlq", "purge", "clicks.yaml", "--all", "--yes")
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "1")

    def test_right_that_is_missing_changes_nothing(self):  # D18
        for right in ("xdel", "xadd", "eval"):
            self.letter("value", '{"n":"1"}')
            self.redis("ACL", "SETUSER", "strid", f"-{right}")
            said = self.replay(code=1 if right != "eval" else 2)
            self.assertRegex(said, "(?i)permission|can't run")
            self.assertEqual(self.redis("XLEN", "clicks"), "0", right)
            self.assertEqual(self.redis("XLEN", "clicks-dlq"), "1", right)
            self.redis("ACL", "SETUSER", "strid", f"+{right}")
            self.redis("DEL", "clicks-dlq")

    def test_another_database_is_refused(self):
        self.pipeline(dlq=f"dlq: {{ url: 'redis:///clicks-dlq?socket={self.socket}&database=1' }}")
        self.assertIn("named in the same way", self.replay(code=1))

    def test_two_at_once_and_one_that_is_killed_hand_each_back_once(self):  # D13, D18
        feed = "".join(f"XADD clicks-dlq * id i{n} source r topic clicks position 5-{n} reason x "
                       f"value {{\\\"n\\\":\\\"{n}\\\"}}\n" for n in range(2000))
        self.redis(feed=feed.replace('value {', 'value "{').replace("}\n", '}"\n'))
        words = [STRID, "dlq", "replay", "clicks.yaml", "--all", "--yes"]
        quiet = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        killed = subprocess.Popen(words, **quiet)
        end = time.monotonic() + DEADLINE_S
        while self.redis("EXISTS", "clicks") == "0":
            self.assertLess(time.monotonic(), end, "nothing is handed back")
        killed.kill()
        killed.wait()
        both = "return redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2])"
        self.assertEqual(self.redis("EVAL", both, "2", "clicks", "clicks-dlq"), "2000")
        for process in [subprocess.Popen(words, **quiet) for _ in range(2)]:
            self.assertEqual(process.wait(timeout=DEADLINE_S), 0)
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "0")
        self.assertEqual(sorted(self.entries("clicks")),
                         sorted(f'["n","{n}"]' for n in range(2000)))


if __name__ == "__main__":
    main()
