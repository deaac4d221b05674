#!/usr/bin/env python3
"""`strid consume` and `strid tap` on streams of a real redis-server: nothing there changes."""
import base64
import json
import subprocess

from command_case import DEADLINE_S, STRID, main
from redis_case import RedisCase


class Consume(RedisCase):
    settings = ["--user", "reader", "on", ">canary-4711", "~mine", "+xread", "+type", "+xinfo",
                "+xrevrange", "+client|setname"]

    def setUp(self):
        super().setUp()
        for n in range(1, 6):
            self.add("s", f"{n * 1000}-7", "value", f"v{n}", "_key", f"k{n}", "h", str(n))
        self.fields = "&field=value&key_field=_key"

    def add(self, stream, number, *words):
        self.redis("XADD", stream, number, *words)

    def consume(self, *words, stream="s", more="", verb="consume", **kind):
        done = self.strid(verb, self.url(stream, more), *words, **kind)
        self.assertNotIn("canary", done.out + done.err)
        return done

    def positions(self, *words, **kind):
        done = self.consume("-e", "-f", "%o ", *words, **kind)
        return done.out.split()

    def background(self, verb, *words):
        process = subprocess.Popen([STRID, verb, self.url("s", self.fields), *words], text=True,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for_a_reader(self):
        """Until a client waits in XREAD, behind whatever it read before."""
        self.wait(lambda: "cmd=xread" in self.redis("CLIENT", "LIST"), "a reader")

    def test_all_fields_as_json_by_default(self):
        lines = self.consume("-e").out.splitlines()
        self.assertEqual(json.loads(lines[0]), {"value": "v1", "_key": "k1", "h": "1"})
        self.assertEqual(len(lines), 5)

    def test_tokens(self):
        out = self.consume("-e", "-o", "-1", "-f", "%t|%p|%o|%k|%K|%s|%S|%T|%h|%%\\n",
                           more=self.fields).out
        self.assertEqual(out, "s|0|5000-7|k5|2|v5|2|5000|h=5|%\n")

    def test_json_envelope(self):
        row, = self.json_lines(self.consume("-e", "-J", "-o", "-1", more=self.fields).out)
        self.assertEqual(row, {"topic": "s", "partition": 0, "offset": "5000-7", "ts": 5000,
                               "tstype": "logappend", "headers": ["h", "5"], "key": "k5",
                               "payload": "v5"})

    def test_where_to_begin_and_to_end(self):
        every = [f"{n}000-7" for n in range(1, 6)]
        for words, wanted in (((), every), (("-o", "beginning"), every), (("-o", "end"), []),
                              (("-o", "-2"), every[3:]), (("-o", "-99"), every),
                              (("-o", "-0"), []),
                              (("-o", "3000-7"), every[2:]), (("-o", "3000-8"), every[3:]),
                              (("-o", "3000"), every[2:]), (("-o", "s@2001"), every[2:]),
                              (("-o", "e@3000"), every[:2]),
                              (("-o", "s@2000", "-o", "e@4000"), every[1:3]),
                              (("-c", "2"), every[:2]), (("-o", "-3", "-c2"), every[2:4])):
            self.assertEqual(self.positions(*words), wanted, words)

    def test_a_past_end_needs_no_exit_flag(self):
        done = self.consume("-o", "e@3000", "-f", "%o ")
        self.assertEqual(done.out.split(), ["1000-7", "2000-7"])

    def test_stored_begins_behind_the_group_and_moves_nothing(self):
        self.redis("XGROUP", "CREATE", "s", "g", "3000-7")
        before = self.redis("XINFO", "GROUPS", "s")
        self.assertEqual(self.positions("-o", "stored", more="&group=g"), ["4000-7", "5000-7"])
        self.assertEqual(self.redis("XINFO", "GROUPS", "s"), before)
        self.consume("-e", "-o", "stored", code=2)
        done = self.consume("-e", "-o", "stored", more="&group=other", code=1)
        self.assertIn("has no group other", done.err)

    def test_more_than_a_page(self):
        for first in range(0, 1700, 100):
            script = "for i=1,100 do redis.call('XADD','long','*','n',ARGV[1]+i) end"
            self.redis("EVAL", script, "0", str(first))
        lines = self.consume("-e", stream="long").out.splitlines()
        self.assertEqual([int(json.loads(line)["n"]) for line in lines], list(range(1, 1701)))
        lines = self.consume("-e", "-o", "-1234", stream="long").out.splitlines()
        self.assertEqual(len(lines), 1234)

    def test_any_bytes(self):
        value = bytes(range(256))
        self.strid("produce", self.url("raw"), "--input", "json",
                   given=json.dumps({"value_base64": base64.b64encode(value).decode()}))
        words = [STRID, "consume", self.url("raw", "&field=value"), "-e", "-f", "%s"]
        done = subprocess.run(words, capture_output=True, check=True, timeout=DEADLINE_S)
        self.assertEqual(done.stdout, value)
        row, = self.json_lines(self.consume("-e", "-J", stream="raw", more="&field=value").out)
        self.assertEqual(base64.b64decode(row["payload_base64"]), value)
        row, = self.json_lines(self.consume("-e", "-J", stream="raw").out)
        self.assertEqual((row["error"], row["payload"]), ("not_utf8", None))

    def test_what_consume_prints_produce_takes(self):
        out = self.consume("-e", "-J", more=self.fields).out
        self.strid("produce", self.url("copy"), "--input", "json", given=out)
        self.assertEqual(self.entries("copy"), self.entries("s"))

    def test_several_streams(self):
        self.add("t", "1-1", "value", "other")
        out = self.consume("-e", "-f", "%t ", stream="s,t").out
        self.assertEqual(sorted(out.split()), ["s"] * 5 + ["t"])

    def test_tap_begins_at_the_end_and_an_interrupt_ends_it(self):
        process = self.background("tap", "-f", "%s\\n")
        self.wait_for_a_reader()
        self.add("s", "6000-0", "value", "new")
        self.assertEqual(process.stdout.readline(), "new\n")
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def test_consume_goes_on(self):
        process = self.background("consume", "-f", "%s\\n", "-c", "6")
        self.wait_for_a_reader()
        self.add("s", "6000-0", "value", "new")
        self.assertEqual(process.stdout.read().split(), ["v1", "v2", "v3", "v4", "v5", "new"])
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def test_refused(self):
        done = self.consume("-e", stream="none", code=1)
        self.assertIn("has no stream none", done.err)
        self.redis("SET", "text", "1")
        self.assertIn("is no stream but a string", self.consume(stream="text", code=2).err)
        self.consume("-o", "soon", code=2)
        self.consume("-f", "%q", code=2)
        self.consume("-J", "-f", "%s", code=2)
        self.consume("-c", "0", code=2)
        self.strid("consume", f"redis:///s?socket={self.scratch}/none", "-e", code=3)
        done = self.strid("consume", "file:x", code=1)
        self.assertIn("has no server that could be asked", done.err)

    def test_a_server_that_goes_away(self):
        process = self.background("consume", "-f", "%s\\n")
        self.wait_for_a_reader()
        self.server.kill()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 3)

    def test_a_password_is_seen_nowhere(self):
        self.add("mine", "1-1", "value", "v")
        for stream, secret, code in (("mine", "${SECRET}", 0), ("other", "${SECRET}", 2),
                                     ("mine", "canary-wrong", 2)):
            for start in ("beginning", "end", "-1"):
                self.consume("-e", "-o", start, "--log-level", "debug", stream=stream, code=code,
                             more=f"&user=reader&password={secret}", SECRET="canary-4711")


if __name__ == "__main__":
    main()
