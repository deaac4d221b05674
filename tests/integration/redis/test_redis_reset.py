#!/usr/bin/env python3
"""`strid reset` of groups of a real redis-server, and of the nodes that read with them."""
import os
import signal
import subprocess
import time

from command_case import DEADLINE_S, STRID, main
from redis_case import RedisCase

ENTRIES = 10
PIPELINE = """\
name: orders
source: { url: "redis:///STREAMS?socket=PATH&group=gMORE&key_field=k" }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: seen } }
"""
POINTS = ("reset_begun", "reset_stream_moved", "reset_group_moved", "reset_written",
          "reset_synced")


class ResetCase(RedisCase):
    def fill(self, stream="s"):
        self.add(1, ENTRIES, stream)

    def add(self, first, last, stream="s"):
        for n in range(first, last + 1):
            self.redis("XADD", stream, f"{n}000-0", "k", "a", "n", str(n))

    def delivered(self, stream="s"):
        """(last delivered, how many are pending)."""
        lines = self.redis("XINFO", "GROUPS", stream).splitlines()
        return (lines[lines.index("last-delivered-id") + 1],
                int(lines[lines.index("pending") + 1]))


class Group(ResetCase):
    """A group alone, by the URL."""

    def setUp(self):
        super().setUp()
        self.fill()
        self.redis("XGROUP", "CREATE", "s", "g", "4000-0")

    def reset(self, *words, code=0, stream="s", more="&group=g"):
        return self.strid("reset", self.url(stream, more), *words, code=code)

    def test_each_way_to_say_where_to(self):
        for words, new, last in (
                (("--to", "earliest"), "0-1", "0-0"),
                (("--to", "latest"), "10000-1", "10000-0"),
                (("--to", "4000-0"), "4000-0", f"3999-{2**64 - 1}"),
                (("--to", "10000-1"), "10000-1", "10000-0"),
                (("--to-time", "6500"), "6500-0", f"6499-{2**64 - 1}"),
                (("--to-time", "2h"), "10000-1", "10000-0"),
                (("--by", "2"), "6000-1", "6000-0"),
                (("--by", "100000"), "10000-1", "10000-0"),
                (("--by", "-1"), "4000-0", f"3999-{2**64 - 1}"),
                (("--by", "-3"), "2000-0", f"1999-{2**64 - 1}"),
                (("--by", "-100000"), "1000-0", f"999-{2**64 - 1}")):
            self.redis("XGROUP", "SETID", "s", "g", "4000-0")
            row = {"group": "g", "topic": "s", "partition": 0, "current": "4000-1", "new": new}
            done = self.reset(*words, "--dry-run", "--json")
            self.assertEqual(self.json_lines(done.out), [row], words)
            self.assertEqual(self.delivered()[0], "4000-0", "a dry run changes nothing")
            done = self.reset(*words, "--yes", "--json")
            self.assertEqual(self.json_lines(done.out), [row], words)
            self.assertIn("moved: the group, 1 partition", done.err)
            self.assertEqual(self.delivered()[0], last, words)

    def test_many_entries_are_passed_in_pages(self):
        lua = "for n = 1, 1200 do redis.call('XADD', KEYS[1], n .. '-0', 'n', n) end"
        self.redis("EVAL", lua, "1", "many")
        self.redis("XGROUP", "CREATE", "many", "g", "0")
        self.reset("--by", "1100", "--yes", stream="many")
        self.assertEqual(self.delivered("many")[0], "1100-0")
        self.reset("--by", "-1050", "--yes", stream="many")
        self.assertEqual(self.delivered("many")[0], f"50-{2**64 - 1}")

    def test_table(self):
        lines = self.reset("--to", "latest", "--dry-run").out.splitlines()
        self.assertEqual([line.split() for line in lines],
                         [["GROUP", "STREAM", "CURRENT-ID", "NODE-ID", "NEW-ID"],
                          ["g", "s", "4000-1", "-", "10000-1"]])

    def test_one_of_several_streams(self):
        self.fill("t")
        self.redis("XGROUP", "CREATE", "t", "g", "4000-0")
        self.reset("--to", "earliest", "--topic", "t", "--yes", stream="s,t")
        self.assertEqual((self.delivered("s")[0], self.delivered("t")[0]), ("4000-0", "0-0"))
        self.reset("--to", "latest", "--partition", "0", "--yes", stream="s,t")
        self.assertEqual((self.delivered("s")[0], self.delivered("t")[0]), ("10000-0", "0-0"))
        self.assertIn("no partition 2", self.reset("--to", "latest", "--partition", "2", "--yes",
                                                   stream="s,t", code=1).err)

    def test_refused(self):
        for words, more, said, code in (
                (("--to", "20000-0"), "&group=g", "stream s ends with 10000-0", 2),
                (("--to", "4000-x"), "&group=g", "MILLISECONDS-SEQUENCE", 2),
                (("--to", "latest"), "&group=none", "has no group none", 1),
                (("--to", "latest"), "", 'names no "group"', 2)):
            self.assertIn(said, self.reset(*words, "--yes", more=more, code=code).err)
        self.assertIn("has no stream none",
                      self.reset("--to", "latest", "--yes", stream="none", code=1).err)
        self.strid("reset", f"redis:///s?socket={self.scratch}/none&group=g", "--to", "latest",
                   "--yes", code=3)
        self.assertEqual(self.delivered()[0], "4000-0")

    def test_active_consumers_are_refused_and_idle_ones_give_up_what_comes_again(self):
        self.redis("XREADGROUP", "GROUP", "g", "anna", "COUNT", "3", "STREAMS", "s", ">")
        for flag, more in (("--yes", "&group=g"), ("--dry-run", "&group=g"),
                           ("--yes", "&group=g&consumer=anna")):  # only a state says it is down
            self.redis("XREADGROUP", "GROUP", "g", "anna", "STREAMS", "s", "0")
            self.assertIn("consumer anna was heard of",
                          self.reset("--to", "earliest", flag, more=more, code=1).err)
        self.assertEqual(self.delivered(), ("7000-0", 3))
        end = time.monotonic() + DEADLINE_S
        done = None
        while done is None or done.returncode != 0:  # until it is idle for long enough
            self.assertLess(time.monotonic(), end, done)
            done = subprocess.run([STRID, "reset", self.url("s", "&group=g"), "--to", "6000-0",
                                   "--yes"], check=False, capture_output=True, timeout=DEADLINE_S)
            self.redis("BLPOP", "nothing", "0.2")
        self.assertEqual(self.delivered(), (f"5999-{2**64 - 1}", 1), "that before it is still hers")


class Node(ResetCase):
    """A group, and the state of the node that reads with it."""

    def setUp(self):
        super().setUp()
        self.fill()
        self.pipeline("s")

    def pipeline(self, streams, more=""):
        self.write("p.yaml", PIPELINE.replace("STREAMS", streams).replace("PATH", self.socket)
                   .replace("MORE", more))

    def reset(self, *words, code=0):
        return self.strid("reset", "p.yaml", *words, code=code)

    def killed(self, point, *words):
        done = subprocess.run([os.environ["STRID_TEST_COMMAND"], *words], cwd=self.folder,
                              check=False, capture_output=True, timeout=DEADLINE_S,
                              env=dict(os.environ, STRID_CRASH_POINT=point + ":1"))
        self.assertEqual(done.returncode, -signal.SIGKILL, point + done.stderr.decode())

    def run_all(self, streams=("s",)):
        """Until everything was delivered and acknowledged; what was said."""
        with open(self.path("log"), "w+b") as log:
            process = subprocess.Popen([STRID, "run", "p.yaml"], cwd=self.folder, stderr=log)
            try:
                self.wait(lambda: all(
                    "last-delivered-id" in self.redis("XINFO", "GROUPS", stream, check=False) and
                    self.delivered(stream) == (f"{ENTRIES}000-0", 0) for stream in streams),
                    "end")
                self.end(process)
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            return log.read().decode()

    def seen(self):
        return self.scan("seen").get("a", 0)

    def test_everything_is_handled_again_and_nothing_is_told_as_lost(self):
        self.run_all()
        row, = self.json_lines(self.reset("--to", "earliest", "--dry-run", "--json").out)
        self.assertEqual(row, {"group": "g", "topic": "s", "partition": 0, "current": "10000-1",
                               "node": "10000-1", "new": "0-1"})
        self.assertIn("moved: the group and the node, 1 partition",
                      self.reset("--to", "earliest", "--yes").err)
        self.assertNotIn("lost", self.run_all())
        self.assertEqual(self.seen(), 2 * ENTRIES)
        self.reset("--by", "-3", "--yes")
        self.run_all()
        self.assertEqual(self.seen(), 2 * ENTRIES + 3)

    def test_what_a_killed_node_had_applied_is_handled_again_once(self):
        """Its entries are pending, and known as applied: both would get in the way."""
        self.killed("storage_after_sync", "run", "p.yaml")
        before = self.seen()
        self.assertGreater(before, 0)
        self.assertGreater(self.delivered()[1], 0)
        self.reset("--to", "earliest", "--yes")
        self.run_all()
        self.assertEqual(self.seen(), before + ENTRIES)

    def test_what_lies_before_the_place_is_still_acknowledged(self):
        self.pipeline("s", "&consumer=node")
        self.killed("storage_after_sync", "run", "p.yaml")
        before = self.seen()
        pending = self.delivered()[1]
        self.assertEqual((before, pending), (ENTRIES, ENTRIES))
        self.reset("--to", "6000-0", "--yes")
        self.assertEqual(self.delivered()[1], 5)
        self.run_all()
        self.assertEqual(self.seen(), before + 5)

    def test_killed_between_any_two_steps(self):
        self.fill("t")
        self.pipeline("s,t")
        self.run_all(("s", "t"))
        expected = 2 * ENTRIES
        for point in POINTS:
            self.killed(point, "reset", "p.yaml", "--to", "earliest", "--yes")
            self.reset("--to", "earliest", "--yes")
            self.run_all(("s", "t"))
            expected += 2 * ENTRIES
            self.assertEqual(self.seen(), expected, point)

    def test_a_node_that_goes_on_after_a_kill_leaves_nothing_out(self):
        self.run_all()
        for point in POINTS:
            before = self.seen()
            self.redis("XGROUP", "SETID", "s", "g", "8000-0")  # two that it has not seen
            self.killed(point, "reset", "p.yaml", "--to", "5000-0", "--yes")
            self.run_all()
            self.assertEqual(self.seen(), before + (2 if point == POINTS[0] else 6), point)

    def test_members_and_running_nodes(self):
        self.run_all()
        self.redis("XADD", "s", "10001-0", "k", "a")
        self.redis("XREADGROUP", "GROUP", "g", "anna", "STREAMS", "s", ">")
        self.assertIn("consumer anna", self.reset("--to", "earliest", "--yes", code=1).err)
        self.redis("XGROUP", "DELCONSUMER", "s", "g", "anna")
        self.reset("--to", "latest", "--dry-run")
        process = subprocess.Popen([STRID, "run", "p.yaml"], cwd=self.folder,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.redis("XADD", "s", "10002-0", "k", "a")
        self.wait(lambda: self.delivered()[0] == "10002-0", "running node")
        self.assertIn(str(process.pid), self.reset("--to", "earliest", "--yes", code=1).err)


class Nodes(ResetCase):
    """Two nodes with a directory each, in one group."""

    def setUp(self):
        super().setUp()
        for node in "ab":
            self.write(node + ".yaml", PIPELINE.replace("STREAMS", "s")
                       .replace("PATH", self.socket).replace("MORE", "&consumer=" + node)
                       .replace("./state", "./" + node))
        # a has handled the first half, b the rest, and was killed when it had applied the last 5
        self.add(1, ENTRIES)
        self.run_nodes("a")
        self.add(ENTRIES + 1, 2 * ENTRIES - 5)
        self.run_nodes("b")
        self.add(2 * ENTRIES - 4, 2 * ENTRIES)
        done = subprocess.run([os.environ["STRID_TEST_COMMAND"], "run", "b.yaml"], check=False,
                              cwd=self.folder, capture_output=True, timeout=DEADLINE_S,
                              env=dict(os.environ, STRID_CRASH_POINT="storage_after_sync:1"))
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.assertEqual((self.seen("a"), self.seen("b")), (ENTRIES, ENTRIES), done.stderr)
        self.assertEqual(self.delivered(), (f"{2 * ENTRIES}000-0", 5), done.stderr)

    def seen(self, node):
        out = self.strid("state", "scan", "rocksdb:./" + node, "--json").out
        return sum(row["value"] for row in self.json_lines(out) if row["store"] == "seen")

    def run_nodes(self, nodes):
        """Both at once, until all was delivered and acknowledged; what they said."""
        logs = [open(self.path(node + ".log"), "w+b") for node in nodes]
        running = [subprocess.Popen([STRID, "run", node + ".yaml"], cwd=self.folder, stderr=log)
                   for node, log in zip(nodes, logs)]
        try:
            self.wait(lambda: "last-delivered-id" in
                      self.redis("XINFO", "GROUPS", "s", check=False) and self.delivered() ==
                      (self.redis("XINFO", "STREAM", "s").splitlines()[7], 0), "end")
            for process in running:
                self.end(process)
        finally:
            for process in running:
                process.kill()
                process.wait()
        said = ""
        for log in logs:
            log.seek(0)
            said += log.read().decode()
            log.close()
        return said

    def reset(self, node):
        """The other one has to be down for as long as an active consumer may be silent."""
        end = time.monotonic() + DEADLINE_S
        done = None
        while done is None or done.returncode != 0:
            self.assertLess(time.monotonic(), end, done)
            done = subprocess.run([STRID, "reset", node + ".yaml", "--to", "earliest", "--yes"],
                                  cwd=self.folder, check=False, capture_output=True,
                                  timeout=DEADLINE_S)
            self.redis("BLPOP", "nothing", "0.2")
        self.assertIn(b"moved: the group and the node, 1 partition", done.stderr)

    def test_with_the_file_of_each_everything_is_handled_again_once(self):
        self.reset("a")
        self.reset("b")
        self.assertNotIn("lost", self.run_nodes("ab"))
        self.assertEqual(self.seen("a") + self.seen("b"), 4 * ENTRIES)

    def test_a_node_that_was_left_out_says_so(self):
        """It takes it for a loss, and leaves out what it had applied without an acknowledgement."""
        self.reset("a")
        self.assertIn("comes as a new one", self.run_nodes("b"))
        self.assertEqual((self.seen("a"), self.seen("b")), (ENTRIES, ENTRIES + 2 * ENTRIES - 5))


if __name__ == "__main__":
    main()
