#!/usr/bin/env python3
"""`strid produce` into streams of a real redis-server."""
import json
import subprocess

from command_case import DEADLINE_S, STRID, main
from redis_case import RedisCase


class Produce(RedisCase):
    settings = ["--user", "writer", "on", ">canary-4711", "~mine", "+xadd", "+client|setname"]

    def test_lines(self):
        done = self.strid("produce", self.url("s"), given="a\n\nlast, without a newline")
        self.assertEqual([entry["value"] for entry in self.entries("s")],
                         ["a", "", "last, without a newline"])
        self.assertIn("3 records sent to redis:///s", done.err)
        self.assertEqual(done.out, "")

    def test_key_delimiter_splits_at_the_first(self):
        self.strid("produce", self.url("s"), "-K", "::", given="k::v::w\nnone\n::v\n")
        self.assertEqual(self.entries("s"), [{"_key": "k", "value": "v::w"}, {"value": "none"},
                                             {"_key": "", "value": "v"}])

    def test_tab_as_delimiter_and_other_fields(self):
        url = self.url("s", "&field=payload&key_field=id")
        self.strid("produce", url, "-K\\t", given="k\tv\n")
        self.assertEqual(self.entries("s"), [{"id": "k", "payload": "v"}])

    def test_json_lines_with_key_headers_and_any_value(self):
        rows = [{"key": "k", "value": {"n": 1}, "headers": {"h": 'x"y', "comma,": "]:"}},
                {"payload": "text", "headers": ["a", "b", "c", "d\\"]},
                {"value": 7}, {"key_base64": "azI=", "value_base64": "dg=="}]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        self.strid("produce", self.url("s"), "--input", "json", given=text)
        self.assertEqual(self.entries("s"),
                         [{"_key": "k", "value": '{"n": 1}', "h": 'x"y', "comma,": "]:"},
                          {"value": "text", "a": "b", "c": "d\\"}, {"value": "7"},
                          {"_key": "k2", "value": "v"}])

    def test_lines_that_are_no_records_are_told_and_the_others_sent(self):
        text = '{"value":"a"}\nnot json\n{"key":"k"}\n{"value":1,"headers":5}\n' \
               '{"value":1,"headers":["x"]}\n{"value_base64":"%"}\n{"value":1,"timestamp":"x"}\n' \
               '{"value":1,"headers":[3,"x"]}\n{"value":"b"}\n'
        done = self.strid("produce", self.url("s"), "--input", "json", "--json", code=1,
                          given=text)
        self.assertEqual([entry["value"] for entry in self.entries("s")], ["a", "b"])
        for line in range(2, 9):
            self.assertIn(f"line {line} is no record: ", done.err)
        row, = self.json_lines(done.out)
        self.assertEqual((row["sent"], row["refused"], row["unreadable"]), (2, 0, 7))

    def test_what_the_server_refuses_is_told_with_its_line(self):
        self.redis("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
        done = self.strid("produce", self.url("s"), "--json", code=1, given="a\nb\n")
        self.assertRegex(done.err, "line 1 was refused: .*OOM.*\n.*line 2 was refused: .*OOM")
        row, = self.json_lines(done.out)
        self.assertEqual((row["sent"], row["refused"]), (0, 2))

    def test_a_connection_that_breaks_says_what_is_not_known(self):
        process = subprocess.Popen([STRID, "produce", self.url("s")], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdin.write(b"now\n")
        process.stdin.flush()
        self.redis("XREAD", "BLOCK", str(DEADLINE_S * 1000), "STREAMS", "s", "0")
        self.server.kill()
        self.server.wait()
        said = process.communicate(b"later\n", timeout=DEADLINE_S)[1]
        self.assertEqual(process.returncode, 3)
        self.assertIn(b"of the last 1 records 0 were added and it is not known", said)

    def test_a_pause_of_the_input_sends_what_there_is(self):
        process = subprocess.Popen([STRID, "produce", self.url("s")], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        process.stdin.write(b"now\n")
        process.stdin.flush()
        # blocks at the server until the entry is there
        read = self.redis("XREAD", "BLOCK", str(DEADLINE_S * 1000), "STREAMS", "s", "0")
        self.assertIn("now", read)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def test_an_interrupt_ends_the_input(self):
        process = subprocess.Popen([STRID, "produce", self.url("s")], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdin.close)
        process.stdin.write(b"now\n")
        process.stdin.flush()
        self.redis("XREAD", "BLOCK", str(DEADLINE_S * 1000), "STREAMS", "s", "0")
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)
        self.assertIn(b"1 record sent", process.stderr.read())

    def test_many(self):
        count = 100000
        done = self.strid("produce", self.url("s"), "--json",
                          given="".join(f"{n}\n" for n in range(count)))
        self.assertEqual(self.json_lines(done.out)[0]["sent"], count)
        self.assertEqual(self.redis("XLEN", "s"), str(count))

    def test_dry_run_sends_nothing(self):
        done = self.strid("produce", self.url("s"), "--dry-run", "--input", "json", code=1,
                          given='{"value":1}\nbad\n')
        self.assertIn("1 record would be sent, 0 refused, 1 unreadable", done.err)
        self.assertEqual(self.redis("EXISTS", "s"), "0")

    def test_progress_on_a_terminal(self):
        terminal = self.terminal("produce", self.url("s"))
        terminal.read_until(lambda seen: "0 records sent" in seen, "summary")
        self.assertEqual(terminal.end(), 0)

    def test_unreachable_and_usage(self):
        gone = f"redis:///s?socket={self.scratch}/none"
        self.strid("produce", gone, code=3, given="a\n")
        self.strid("produce", self.url("s", "&colour=red"), code=2)
        self.strid("produce", "redix://x/s", code=2)
        self.strid("produce", code=2)
        self.strid("produce", self.url("s"), "-K", code=2)
        self.strid("produce", self.url("s"), "-K", "", code=2)
        self.strid("produce", self.url("s"), "-K", ":", "--input", "json", code=2)
        self.strid("produce", self.url("s"), "-Q", code=2)
        self.strid("produce", self.url("a,b"), code=2)

    def test_a_password_from_the_environment_or_a_file_is_seen_nowhere(self):
        self.write("password", "canary-4711\n")
        for secret in ("${SECRET}", "${file:password}"):
            for stream, code, more in (("mine", 0, "debug"), ("other", 1, "debug")):
                url = self.url(stream, f"&user=writer&password={secret}")
                done = self.strid("produce", url, "--log-level", more, code=code, given="a\n",
                                  SECRET="canary-4711")
                self.assertNotIn("canary", done.out + done.err)
        self.assertEqual(self.redis("XLEN", "mine"), "2")
        url = self.url("mine", "&user=writer&password=canary-wrong")
        done = self.strid("produce", url, code=2, given="a\n")
        self.assertNotIn("canary", done.out + done.err)


class Files(RedisCase):
    def test_a_file(self):
        self.strid("produce", "file:out.jsonl", "-K:", given="k:v\n")
        with open(self.path("out.jsonl"), encoding="utf-8") as file:
            row = json.loads(file.read())
        self.assertEqual((row["key"], row["value"]), ("k", "v"))


if __name__ == "__main__":
    main()
