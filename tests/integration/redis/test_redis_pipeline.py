#!/usr/bin/env python3
"""Pipelines over streams of a real redis-server, as `strid run` runs them: with the rights that the
page names and no others, killed and started again."""
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
import unittest

from command_case import DEADLINE_S, STRID, CommandCase, main

CANARY = "canary-0815"
PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "connectors", "redis.md")
PIPELINE = """\
name: clicks
source: { url: "redis:///clicks?group=g&socket=PATH&user=strid&claim_idle=CLAIM&consumer=NODE",
          block: 50ms, password: "CANARY", format: jsonl, key: user, type: kind }
state: { url: "rocksdb:./NODE" }
workers: 2
memory: 128MiB
handlers:
  - { on: "click", filter: { field: n, above: -1 } }
  - { on: "click", count: { store: clicks } }
  - { on: "click", sum: { store: sums, field: n } }
"""


def documented_rights():
    """The commands that the page says a source needs, without those that options ask for."""
    with open(PAGE, encoding="utf-8") as file:
        rights = re.search(r"### Rights\n\n`~STREAM ([^`]*)`", file.read()).group(1)
    return rights.split()


class RedisPipeline(CommandCase):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix="strid-redis-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.socket = os.path.join(directory.name, "socket")
        rights = ["~clicks", *documented_rights(), "+xrange", "(~clicks-dlq +xadd)",
                  "(~clicks ~clicks-dlq +eval)"]
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir",
             directory.name, "--user", "strid", "on", f">{CANARY}", *rights],
            stdout=subprocess.DEVNULL)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.wait(lambda: self.redis("PING", check=False) == "PONG", "the server's answer")
        self.nodes = []
        self.addCleanup(self.kill_nodes)

    def kill_nodes(self):
        for node in self.nodes:
            if node.poll() is None:
                node.kill()
            node.wait()

    def wait(self, found, what):
        end = time.monotonic() + DEADLINE_S
        while not found():
            self.assertLess(time.monotonic(), end, f"no {what} within {DEADLINE_S} s")
            time.sleep(0.02)

    def redis(self, *words, check=True, feed=None):
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True,
                              text=True, check=check, timeout=DEADLINE_S, input=feed)
        return done.stdout.strip()

    def add(self, count, first=0):
        """Entries of ten users, by one client."""
        lines = "".join(f"XADD clicks * user u{n % 10} kind click n {n}\n"
                        for n in range(first, first + count))
        self.redis(feed=lines)

    def pending(self):
        return int(self.redis("XPENDING", "clicks", "g").split("\n")[0])

    def unread(self):
        groups = self.redis("XINFO", "GROUPS", "clicks").split("\n")
        if "last-delivered-id" not in groups:
            return True
        last = groups[groups.index("last-delivered-id") + 1]
        info = self.redis("XINFO", "STREAM", "clicks").split("\n")
        return last != info[info.index("last-generated-id") + 1]

    def start(self, name, claim="60s", command=STRID, **environment):
        text = PIPELINE.replace("PATH", self.socket).replace("CANARY", CANARY)
        self.write(f"{name}.yaml", text.replace("CLAIM", claim).replace("NODE", name))
        with open(self.path(f"{name}.log"), "ab") as log:
            node = subprocess.Popen([command, "run", f"{name}.yaml", "--log-level", "debug"],
                                    cwd=self.folder, stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))
        self.nodes.append(node)
        return node

    def drain(self, node):
        node.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait(timeout=DEADLINE_S), 0)

    def counts(self, name, store="clicks"):
        out = self.strid("state", "scan", f"rocksdb:./{name}", "--store", store, "--json").out
        return {row["key"]: row["value"] for row in self.json_lines(out)}

    def log(self, name):
        with open(self.path(f"{name}.log"), encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn("canary", text)
        return text

    def test_each_entry_counts_once_over_kills(self):  # D15
        total = 0
        for turn in range(4):
            self.add(3000, total)
            total += 3000
            node = self.start("a")
            self.wait(lambda: not self.unread(), "reading to the end")
            if turn < 3:
                node.send_signal(signal.SIGKILL)
                node.wait()
        self.wait(lambda: self.pending() == 0, "acknowledgement of everything")
        self.drain(node)
        self.assertEqual(self.counts("a"), {f"u{n}": total // 10 for n in range(10)})
        self.assertEqual(self.counts("a", "sums"),  # the fields are texts
                         {f"u{n}": sum(range(n, total, 10)) for n in range(10)})
        self.log("a")

    def test_entries_of_a_killed_node_are_taken_over(self):  # D6, D16
        self.add(2000)
        self.redis("XGROUP", "CREATE", "clicks", "g", "0")
        self.redis("XREADGROUP", "GROUP", "g", "gone", "COUNT", "500", "STREAMS", "clicks", ">")
        node = self.start("b", claim="300ms")
        self.wait(lambda: self.pending() == 0 and not self.unread(), "the end")
        self.drain(node)
        self.assertEqual(sum(self.counts("b").values()), 2000)
        self.assertIn("claimed", self.log("b"))

    def test_node_that_stands_still_is_replaced_and_goes_on(self):
        self.add(1000)
        first = self.start("c", claim="500ms")
        self.wait(lambda: not self.unread(), "reading")
        first.send_signal(signal.SIGSTOP)
        self.add(500, 1000)
        second = self.start("d", claim="500ms")
        self.wait(lambda: self.pending() == 0 and not self.unread(), "the second node")
        first.send_signal(signal.SIGCONT)
        self.add(500, 1500)
        self.wait(lambda: self.pending() == 0 and not self.unread(), "both nodes")
        self.drain(first)
        self.drain(second)
        counted = sum(self.counts("c").values()) + sum(self.counts("d").values())
        claimed = [int(n) for n in re.findall(r"\((\d+) so far\): what it applied",
                                              self.log("d") + self.log("c"))]
        self.assertGreaterEqual(counted, 2000)
        self.assertLessEqual(counted, 2000 + sum(claimed))

    def test_what_cannot_be_handled_is_dead_lettered_beside_the_stream(self):
        self.redis("XADD", "clicks", "*", "kind", "click")  # without its key
        self.add(10)
        node = self.start("e")
        self.wait(lambda: self.redis("XLEN", "clicks-dlq") == "1", "the dead letter")
        self.wait(lambda: self.pending() == 0, "acknowledgement")
        self.drain(node)
        letter = self.redis("XRANGE", "clicks-dlq", "-", "+")
        self.assertIn("key_missing", letter)
        self.assertIn('{"kind":"click"}', letter)
        self.assertEqual(sum(self.counts("e").values()), 10)

    def test_letter_of_a_first_run_outlives_the_group(self):
        """Killed before it was durable how far it had read. The group is lost and made again: that
        it does not hold the entry as pending does not say that the entry is settled."""
        self.redis("XADD", "clicks", "*", "kind", "click")
        node = self.start("g", command=os.environ["STRID_TEST_COMMAND"],
                          STRID_CRASH_POINT="storage_after_sync:1")
        self.assertEqual(node.wait(timeout=DEADLINE_S), -signal.SIGKILL, self.log("g"))
        self.assertEqual(self.redis("EXISTS", "clicks-dlq"), "0")
        self.redis("XGROUP", "DESTROY", "clicks", "g")
        self.redis("XGROUP", "CREATE", "clicks", "g", "$")
        node = self.start("g")
        self.wait(lambda: "sending 1 dead letter" in self.log("g"), "the letter")
        self.drain(node)
        self.assertEqual(self.redis("XLEN", "clicks-dlq"), "1", self.log("g"))
        self.assertIn("is made again by another node", self.log("g"))

    def test_right_that_is_missing_is_named(self):
        self.redis("ACL", "SETUSER", "strid", "-xreadgroup")
        self.add(1)
        node = self.start("f")
        self.assertEqual(node.wait(timeout=DEADLINE_S), 2)
        self.assertIn("NOPERM", self.log("f"))

    def test_example_of_the_page(self):
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        example = re.search(r"## Source\n\n```yaml\n(.*?)```", page, re.S).group(1)
        self.write("clicks.yaml", example.replace(
            "localhost/clicks?", f"/clicks?socket={self.socket}&"))
        add = re.search(r"`redis-cli (XADD clicks [^`]*)`", page).group(1).replace("'", "")
        self.redis(*add.split())
        node = subprocess.Popen([STRID, "run", "clicks.yaml"], cwd=self.folder,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.nodes.append(node)
        self.wait(lambda: "entries-read\n1" in self.redis("XINFO", "GROUPS", "clicks"), "reading")
        node.send_signal(signal.SIGINT)
        self.assertEqual(node.wait(timeout=DEADLINE_S), 0)
        self.assertEqual(self.scan("clicks"), {"ada": 1})

    def test_example_of_requests_and_replies(self):
        with open(PAGE, encoding="utf-8") as file:
            section = file.read().split("### Requests and replies", 1)[1]
        example = re.search(r"```yaml\n(.*?)```", section, re.S).group(1)
        self.write("echo.yaml", example.replace("localhost/requests?",
                                                f"/requests?socket={self.socket}&")
                   .replace("localhost/reply:?", f"/reply:?socket={self.socket}&"))
        commands = re.findall(r"^\$ redis-cli (.*)\n((?:[^$`].*\n)*)", section, re.M)
        self.assertEqual(len(commands), 2)
        node = subprocess.Popen([STRID, "run", "echo.yaml"], cwd=self.folder,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.nodes.append(node)
        self.redis(*shlex.split(commands[0][0]))
        self.assertEqual(self.redis(*shlex.split(commands[1][0])), commands[1][1].strip())
        node.send_signal(signal.SIGINT)
        self.assertEqual(node.wait(timeout=DEADLINE_S), 0)


if __name__ == "__main__":
    main()
