#!/usr/bin/env python3
"""A disk that is full, and has room again later: a run waits, says so, and loses and repeats
nothing. The limit of a file's size stands for the disk's; it can be raised while the command
runs."""
import json
import resource
import subprocess

from command_case import DEADLINE_S, STRID, CommandCase, main

RECORDS, KEYS = 60000, 40000
COUNT = f"""\
name: full
source: {{ url: "generator:?seed=7&records={RECORDS}&keys={KEYS}&format=json&broken=3",
          format: jsonl, key: key }}
state: {{ url: "rocksdb:./state" }}
dlq: {{ url: "memory:letters" }}
memory: 64MiB
handlers:
  - {{ on: "*", count: {{ store: seen }} }}
"""
FORWARD = """\
  - { on: "*", forward: { to: out } }
sink: { out: { url: "file:./out.jsonl" } }
"""
SMALL = 200 << 10


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))


class FullDisk(CommandCase):
    def run_until(self, told):
        """Runs into the limit; once `told` is said there is room. What was said until the end."""
        # pylint: disable=subprocess-popen-preexec-fn
        with subprocess.Popen([STRID, "run", "full.yaml"], cwd=self.folder, text=True,
                              stderr=subprocess.PIPE, preexec_fn=limit_files) as running:
            said = ""
            for line in running.stderr:
                said += line
                if told in line:
                    break
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE,
                             (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            said += running.stderr.read()
            self.assertEqual(running.wait(DEADLINE_S), 0, said)
        self.assertIn(told, said)
        return said

    def ids(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return [json.loads(line)["id"] for line in file]

    def test_of_a_sink(self):
        text = COUNT.replace("rocksdb:./state", "memory:").replace("memory:letters", "file:./dead")
        self.write("full.yaml", text + FORWARD)
        said = self.run_until("out.jsonl cannot be written: File too large")
        self.assertIn("nothing is lost, reading waits", said)
        out, dead = self.ids("out.jsonl"), self.ids("dead")
        self.assertEqual((len(out) + len(dead), len(set(out + dead))), (RECORDS, RECORDS))

    def test_of_what_is_produced(self):
        # From a file: a pause in a pipe would have what came before it written by itself.
        self.write("lines", ("x" * 99 + "\n") * (SMALL // 50))
        # pylint: disable=subprocess-popen-preexec-fn
        with open(self.path("lines"), encoding="utf-8") as lines:
            done = subprocess.run([STRID, "produce", "file:out.jsonl"], cwd=self.folder,
                                  check=False, stdin=lines, text=True, stderr=subprocess.PIPE,
                                  preexec_fn=limit_files)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "strid: out.jsonl cannot be written: File too large\n"))
        with open(self.path("out.jsonl"), encoding="utf-8") as file:
            written = file.read()
        self.assertLess(len(written), SMALL)
        self.assertTrue(written == "" or written.endswith("\n"), "cut off in a line")
        for line in written.splitlines():
            self.assertEqual(json.loads(line)["value"], "x" * 99)

    def test_of_the_state(self):
        self.write("full.yaml", COUNT.replace("&broken=3", ""))
        said = self.run_until("the state store is opened again in")
        self.assertIn("nothing is lost", said)
        self.assertIn("File too large", said)
        self.assertEqual(sum(self.scan("seen").values()), RECORDS)


if __name__ == "__main__":
    main()
