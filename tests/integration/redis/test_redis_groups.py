#!/usr/bin/env python3
"""`strid topics`, `strid groups` and `strid lag` on a real redis-server."""
import random
import re
import subprocess

from command_case import DEADLINE_S, main
from redis_case import RedisCase

PIPELINE = """\
name: orders
source: { url: "redis:///s?socket=PATH&group=g" }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: seen } }
"""


class Groups(RedisCase):
    settings = ["--user", "looker", "on", ">canary-4711", "~s", "~s-dlq", "+xinfo", "+xlen",
                "+scan", "+client|setname"]

    def setUp(self):
        super().setUp()
        for n in range(1, 11):
            self.redis("XADD", "s", f"{n}-0", "n", str(n))
        self.redis("XGROUP", "CREATE", "s", "g", "0")
        self.redis("XREADGROUP", "GROUP", "g", "anna", "COUNT", "3", "STREAMS", "s", ">")
        self.redis("XREADGROUP", "GROUP", "g", "bert", "COUNT", "1", "STREAMS", "s", ">")
        self.redis("XACK", "s", "g", "1-0")
        self.redis("XADD", "s-dlq", "*", "_error", "boom")

    def rows(self, verb, stream="s", more="", **kind):
        done = self.strid(verb, self.url(stream, more), "--json", **kind)
        self.assertNotIn("canary", done.out + done.err)
        return self.json_lines(done.out)

    def lag(self, stream="s", more="&group=g"):
        row, = self.rows("lag", stream, more)
        return row.get("lag", "unknown")

    def test_group_and_its_consumers(self):
        group, anna, bert = self.rows("groups")
        self.assertEqual(group, {"group": "g", "topic": "s", "partition": 0, "current": "4-0",
                                 "end": "10-0", "lag": 6, "pending": 3, "length": 10,
                                 "dead_letters": 1})
        self.assertEqual((anna["consumer"], anna["pending"]), ("anna", 2))
        self.assertEqual((bert["consumer"], bert["pending"]), ("bert", 1))
        self.assertLess(anna["idle_ms"], DEADLINE_S * 1000)

    def test_table(self):
        lines = self.strid("groups", self.url("s")).out.splitlines()
        self.assertEqual(lines[0].split(), ["GROUP", "STREAM", "LENGTH", "LAST-DELIVERED", "LAST",
                                            "LAG", "PENDING", "DEAD-LETTERS", "CONSUMER", "IDLE"])
        self.assertEqual(lines[1].split(),
                         ["g", "s", "10", "4-0", "10-0", "6", "3", "1", "-", "-"])
        self.assertRegex(lines[2], r"^g +s +- +- +- +- +2 +- +anna +[0-9.]+s$")
        lines = self.strid("lag", self.url("s")).out.splitlines()
        self.assertEqual([line.split() for line in lines[1:]],
                         [["g", "s", "10", "4-0", "10-0", "6", "3", "1"]])

    def test_lag_follows_from_the_stream_or_is_unknown(self):
        self.assertEqual(self.lag(), 6)
        self.redis("XDEL", "s", "2-0")  # the server has a figure still; nobody can check it
        self.assertEqual(self.lag(), "unknown")
        self.redis("XDEL", "s", "7-0")  # and now it has none
        self.assertEqual(self.lag(), "unknown")
        self.assertIn("unknown", self.strid("lag", self.url("s")).out)
        self.redis("XGROUP", "SETID", "s", "g", "10-0")
        self.assertEqual(self.lag(), 0)
        self.redis("XGROUP", "SETID", "s", "g", "0")
        self.assertEqual(self.lag(), 8)
        self.redis("XTRIM", "s", "MINID", "9-0")
        self.redis("XGROUP", "SETID", "s", "g", "2-0")
        self.assertEqual(self.lag(), 2)
        self.redis("XTRIM", "s", "MAXLEN", "0")
        self.assertEqual(self.lag(), 0)

    def test_lag_is_never_wrong(self):
        """Entries added, read, deleted, trimmed, positions set, in any order: beside the count."""
        seed, added, known = 20261122, 10, 0
        dice = random.Random(seed)
        for step in range(30):
            lines = []
            for _ in range(dice.randint(1, 4)):
                some = f"{dice.randint(1, added)}-0"
                what = dice.choices(("add", "read", "XDEL s " + some, "XTRIM s MINID " + some,
                                     "XTRIM s MAXLEN 3", "XGROUP SETID s g " + some, "DEL s"),
                                    (9, 9, 2, 1, 1, 1, 1))[0]
                if what == "add":
                    for _ in range(dice.randint(1, 5)):
                        added += 1
                        lines.append(f"XADD s {added}-0 n {added}")
                elif what == "read":
                    count = dice.randint(1, 6)
                    lines.append(f"XREADGROUP GROUP g c COUNT {count} NOACK STREAMS s >")
                else:
                    lines.append(what)
                if what == "DEL s":
                    lines.append("XGROUP CREATE s g 0 MKSTREAM")
            subprocess.run(["redis-cli", "-s", self.socket], input="\n".join(lines) + "\n",
                           text=True, check=True, stdout=subprocess.DEVNULL, timeout=DEADLINE_S)
            row, = self.rows("lag", more="&group=g")
            left = len(self.redis("XRANGE", "s", "(" + row["current"], "+").splitlines()) // 3
            self.assertIn(row.get("lag", "unknown"), (left, "unknown"), f"step {step}: {lines}")
            known += "lag" in row and left > 0
        self.assertGreater(known, 5)

    def test_a_position_that_was_set_without_its_count_is_unknown(self):
        self.redis("XGROUP", "SETID", "s", "g", "5-0")
        self.assertEqual(self.lag(), "unknown")

    def test_groups_and_streams_are_chosen_by_the_url(self):
        self.redis("XGROUP", "CREATE", "s", "other", "$")
        self.redis("XGROUP", "CREATE", "t1", "g", "$", "MKSTREAM")
        self.redis("SET", "text", "1")
        self.assertEqual([row["group"] for row in self.rows("lag")], ["g", "other"])
        self.assertEqual([row["group"] for row in self.rows("lag", more="&group=other")],
                         ["other"])
        self.assertEqual([row["topic"] for row in self.rows("lag", "t*,s", "&group=g")],
                         ["s", "t1"])
        self.assertEqual(len(self.rows("lag", "")), 3)
        self.assertEqual([(row["topic"], row["records"], row["groups"])
                          for row in self.rows("topics", "")],
                         [("s", 10, 2), ("s-dlq", 1, 0), ("t1", 0, 1)])
        lines = self.strid("topics", self.url("s")).out.splitlines()
        self.assertEqual(re.split(" +", lines[1]), ["s", "1", "10", "2", "-"])

    def test_a_pipeline_file(self):
        self.write("p.yaml", PIPELINE.replace("PATH", self.socket))
        self.redis("XGROUP", "CREATE", "s", "other", "$")
        row, = self.json_lines(self.strid("lag", "p.yaml", "--json").out)
        self.assertEqual((row["group"], row["lag"]), ("g", 6))
        rows = self.json_lines(self.strid("groups", "p.yaml", "--json").out)
        self.assertEqual([(row["group"], row.get("consumer")) for row in rows],
                         [("g", None), ("g", "anna"), ("g", "bert")])
        self.write("files.yaml", PIPELINE.replace("redis:///s?socket=PATH&group=g", "file:x"))
        for verb in ("lag", "groups"):
            self.strid(verb, "files.yaml", code=1)
            self.strid(verb, "none.yaml", code=2)

    def test_nothing_and_refused(self):
        self.assertIn("no groups", self.strid("groups", self.url("s-dlq")).err)
        self.assertIn("no topics", self.strid("topics", self.url("x*")).err)
        for verb in ("groups", "lag", "topics"):
            self.assertIn(" has no stream none\n", self.strid(verb, self.url("none"), code=1).err)
        self.strid("groups", f"redis:///s?socket={self.scratch}/none", code=3)

    def test_a_password_is_seen_nowhere(self):
        for verb in ("topics", "groups", "lag"):
            for stream, secret, code in (("s", "${SECRET}", 0), ("other", "${SECRET}", 2),
                                         ("s", "canary-wrong", 2)):
                self.rows(verb, stream, f"&user=looker&password={secret}", code=code,
                          SECRET="canary-4711")


if __name__ == "__main__":
    main()
