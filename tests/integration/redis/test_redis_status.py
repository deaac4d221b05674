#!/usr/bin/env python3
"""`strid status` of a node that reads a stream, before, while and after it runs; one password in
all that it takes, searched for in all that is written."""
import json
import os
import socket
import subprocess
import threading

from command_case import DEADLINE_S, STRID, main
from redis_case import RedisCase

CANARY = "canary-4711"
PIPELINE = """\
name: orders
source: { url: "redis:///s?socket=PATH&group=g&user=node&password=SECRET", key_field: k }
state: { url: "rocksdb:./state" }
dlq: { url: "redis:///s-dlq?socket=PATH&user=node&password=SECRET" }
handlers:
  - { on: "*", count: { store: seen } }
"""


class Status(RedisCase):
    settings = ["--user", "node", "on", f">{CANARY}", "~*", "+@all"]

    def setUp(self):
        super().setUp()
        self.write("secret", CANARY + "\n")
        self.write("p.yaml", PIPELINE.replace("PATH", self.socket)
                   .replace("SECRET", "${file:secret}"))
        for n in range(1, 4):
            self.redis("XADD", "s", f"{n}-0", "k", "a", "n", str(n))

    def said(self, *words, **kind):
        """As strid(), with all that can be said, and none of it holds the password."""
        done = self.strid(*words, "--log-level", "debug", **kind)
        self.assertNotIn("canary", done.out + done.err)
        return done

    def status(self):
        row, = self.json_lines(self.said("status", "p.yaml", "--json").out)
        return row

    def start(self):
        log = open(self.path("log"), "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([STRID, "run", "p.yaml", "--log-level", "debug"],
                                   cwd=self.folder, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def pending(self):
        lines = self.redis("XINFO", "GROUPS", "s").splitlines()
        return lines[lines.index("pending") + 1], lines[lines.index("last-delivered-id") + 1]

    def test_before_while_and_after_it_runs(self):
        self.redis("XGROUP", "CREATE", "s", "g", "0")
        row = self.status()
        self.assertEqual((row["pipeline"], row["node"]), ("orders", "new"))
        self.assertEqual(row["groups"], [{"group": "g", "topic": "s", "partition": 0, "lag": 3}])
        process = self.start()
        self.wait(lambda: self.pending() == ("0", "3-0"), "entry that is handled")
        self.assertEqual(self.status()["node"], "running")
        with open(f"/proc/{process.pid}/cmdline", "rb") as words:
            self.assertNotIn(b"canary", words.read())
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)
        row = self.status()
        self.assertEqual((row["node"], row["waiting"], row["dead_letters_to_send"]),
                         ("stopped", 0, 0))
        self.assertEqual(len(row["partitions"]), 1)
        self.assertEqual(row["groups"][0]["lag"], 0)
        text = self.said("status", "p.yaml").out
        self.assertIn("node           stopped\n", text)
        self.assertIn("lag            g s [0] 0\n", text)

    def test_no_file_that_a_node_writes_holds_the_password(self):
        process = self.start()
        self.wait(lambda: self.redis("EXISTS", "s") == "1" and
                  "consumers" in self.redis("XINFO", "GROUPS", "s") and
                  self.pending() == ("0", "3-0"), "entry that is handled")
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                if path == self.path("secret"):
                    continue
                with open(path, "rb") as file:
                    self.assertNotIn(b"canary", file.read(), path)

    def test_every_verb_and_its_failure(self):
        good = f"redis:///s?socket={self.socket}&group=g&user=node&password=${{file:secret}}"
        sink = f"redis:///s?socket={self.socket}&user=node&password=${{file:secret}}"
        gone = good.replace(self.socket, self.scratch + "/none")
        self.redis("XGROUP", "CREATE", "s", "g", "0")
        for words in (("check", "p.yaml"), ("dlq", "list", "p.yaml"), ("lag", "p.yaml"),
                      ("consume", good, "-e"), ("groups", good), ("topics", good), ("lag", good),
                      ("produce", sink)):
            self.said(*words)
        self.said("dlq", "show", "p.yaml", "1", code=1)
        self.said("dlq", "replay", "p.yaml", "--all", "--yes")
        for verb in ("consume", "tap", "groups", "topics", "lag"):
            self.said(verb, gone, code=3)
            self.said(verb, good.replace("${file:secret}", CANARY + "-wrong"), code=2)
            self.said(verb, good + "&no_such_option=1", code=2)
        self.said("produce", sink.replace(self.socket, self.scratch + "/none"), code=3)
        self.said("produce", sink.replace("${file:secret}", CANARY + "-wrong"), code=2)
        self.write("wrong.yaml", PIPELINE.replace("PATH", self.socket)
                   .replace("SECRET", CANARY + "-wrong"))
        for words in (("run",), ("dlq", "list"), ("status",), ("lag",)):
            self.said(*words, "wrong.yaml", code=2)


class Polled(RedisCase):
    """A look at a node, however long it takes, keeps none from starting."""

    def setUp(self):
        super().setUp()
        self.way = self.path("way")  # to the server, or to one that never answers
        self.write("p.yaml", PIPELINE.replace("PATH", self.way).replace("&password=SECRET", "")
                   .replace("&user=node", ""))
        self.lead_to(self.socket)
        self.handled = 0

    def lead_to(self, target):
        os.symlink(target, self.way + ".new")
        os.replace(self.way + ".new", self.way)

    def run_once(self):
        """A node that starts, handles an entry, and is stopped."""
        self.handled += 1
        self.redis("XADD", "s", f"{self.handled}-0", "k", "a")
        with open(self.path("log"), "w+b") as log:
            process = subprocess.Popen([STRID, "run", "p.yaml"], cwd=self.folder, stderr=log)
            try:
                self.wait(lambda: process.poll() is not None or "last-delivered-id" in
                          self.redis("XINFO", "GROUPS", "s") and
                          f"{self.handled}-0" in self.redis("XINFO", "GROUPS", "s"), "entry")
                process.terminate()
                code = process.wait(timeout=DEADLINE_S)
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            self.assertEqual(code, 0, log.read())

    def test_while_the_broker_keeps_it_waiting(self):
        self.run_once()
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(self.scratch + "/silent")
            silent.listen()
            silent.settimeout(DEADLINE_S)
            self.lead_to(self.scratch + "/silent")
            looking = subprocess.Popen([STRID, "status", "p.yaml"], cwd=self.folder,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.addCleanup(looking.wait)
            self.addCleanup(looking.kill)
            asked, _ = silent.accept()
            self.lead_to(self.socket)
            self.run_once()
            self.assertIsNone(looking.poll(), "it still looked")
            asked.close()
        out, _ = looking.communicate(timeout=DEADLINE_S)
        self.assertEqual(looking.returncode, 3)
        self.assertIn(b"node           stopped", out)

    def test_all_the_time(self):
        self.run_once()
        ended = threading.Event()
        seen, failed = set(), []

        def look():
            while not ended.is_set():
                done = subprocess.run([STRID, "status", "p.yaml", "--json"], cwd=self.folder,
                                      check=False, capture_output=True, timeout=DEADLINE_S)
                if done.returncode != 0:
                    failed.append(done.stderr)
                    return
                seen.add(json.loads(done.stdout)["node"])

        lookers = [threading.Thread(target=look) for _ in range(2)]
        for looker in lookers:
            looker.start()
        try:
            for _ in range(4):
                self.run_once()
        finally:
            ended.set()
            for looker in lookers:
                looker.join()
        self.assertEqual((failed, seen), ([], {"running", "stopped"}))


class Files(RedisCase):
    def test_a_source_without_groups(self):
        self.write("p.yaml", 'name: p\nsource: { url: "file:in", format: jsonl }\n'
                             'handlers:\n  - { on: "*", count: { store: seen } }\n'
                             'state: { url: "rocksdb:./state" }\n')
        self.write("in", '{"n": 1}\n')
        row, = self.json_lines(self.strid("status", "p.yaml", "--json").out)
        self.assertEqual((row["node"], row["groups"]), ("new", []))
        self.strid("run", "p.yaml")
        row, = self.json_lines(self.strid("status", "p.yaml", "--json").out)
        self.assertEqual((row["node"], row["partitions"][0]["low"]), ("stopped", 9))
        self.strid("status", "none.yaml", code=2)


class Aliases(RedisCase):
    """The words of pspfctl."""

    def test_each_stands_for_a_command(self):
        for alias, name in (("dlq-inspect", "dlq list"), ("dlq-purge", "dlq purge"),
                            ("replay", "dlq replay"), ("inspect", "consume")):
            self.assertEqual(self.strid(alias, "--help").out,
                             self.strid(*name.split(), "--help").out)
        self.redis("XADD", "s", "1-0", "n", "1")
        self.assertEqual(self.strid("inspect", self.url("s"), "-e").out, '{"n":"1"}\n')


if __name__ == "__main__":
    main()
