#!/usr/bin/env python3
"""Three nodes of one group over a real redis-server, and a fault in each round: every entry is
handled or was taken away by the round itself, none stays pending, a node applies none twice, nodes
together only what was claimed, and dead letters are exact.

    redis_rounds.py --strid PATH --proxy PATH [--rounds N] [--seed N] [--only FAULT]

`--proxy` is fault_proxy_tool, through which the nodes reach the server.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

DEADLINE_S = 60
ENTRIES, BATCH, BROKEN_ONE_IN = 14000, 1000, 50
NODES = ("a", "b", "c")
TRIMMER = "c"  # takes out of the stream what the group has done, while it lives
# What the proxy does, in milliseconds until it stops, and what it is told.
CUTS = {"hold": (1500, "hold"), "half_open": (0, "half_open"), "reset": (300, "reset_at"),
        "pieces": (300, "pieces 1")}
FAULTS = ("kill_node", "kill_server", "stop_node", "hold", "half_open", "reset", "pieces", "flush",
          "delete", "trim", "destroy_group", "kill_two_nodes", "kill_node_and_server")
NODE_FAULTS = ("kill_node", "kill_two_nodes", "kill_node_and_server")
VICTIMS = {"kill_two_nodes": 2, "hold": 2, "half_open": 2, "reset": 2, "pieces": 2}  # else one
CAUGHT = 50  # entries in hand
PIPELINE = """\
name: rounds
source: { url: "redis://127.0.0.1:PORT/s?group=g&consumer=NODE&claim_idle=1s&block=50ms",
          timeout: 700ms, count: 100, trim: TRIM, format: jsonl, key: n }
state: { url: "rocksdb:NODE.state" }
workers: 2
memory: 128MiB
handlers:
  - { on: "*", count: { store: seen } }
"""
# In one step, so that it is certain whether there was a group to lose.
FLUSH = """
local there = redis.call('EXISTS', 's') == 1 and #redis.call('XINFO', 'GROUPS', 's') > 0
redis.call('FLUSHALL')
return there and 1 or 0
"""


class Fault(Exception):
    """A promise that does not hold."""


def require(holds, what):
    if not holds:
        raise Fault(what)


class Proxy:
    """A running fault_proxy_tool."""

    def __init__(self, tool, target):
        self.process = subprocess.Popen([tool, str(target)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(self.process.stdout.readline())

    def do(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        require(self.process.stdout.readline() == "ok\n", f"the proxy did not take: {line}")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Round:
    def __init__(self, tools, fault, rng, folder):
        (self.strid, proxy), self.fault, self.rng, self.folder = tools, fault, rng, folder
        self.socket, self.port = os.path.join(folder, "socket"), free_port()
        self.proxy = Proxy(proxy, self.port)
        self.server, self.nodes = None, {}
        self.removed = set()  # numbers of entries that the round itself took away
        self.added = 0
        self.restarted = set()
        self.group_was_lost = False

    def path(self, name):
        return os.path.join(self.folder, name)

    def redis(self, *words, feed=None):
        """What redis-cli prints; None where the server is away."""
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True,
                              text=True, check=False, timeout=DEADLINE_S, input=feed)
        away = done.returncode != 0 or "Could not connect" in done.stdout + done.stderr \
            or "Server closed" in done.stderr or done.stdout.startswith("LOADING")
        return None if away else done.stdout.strip()

    def wait(self, found, what):
        end = time.monotonic() + DEADLINE_S
        while not found():
            require(time.monotonic() < end, f"no {what} within {DEADLINE_S} s")
            time.sleep(0.05)

    def start_server(self):
        self.server = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket",
             self.socket, "--save", "", "--dir", self.folder, "--appendonly", "yes",
             "--appendfsync", "always"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait(lambda: self.redis("PING") == "PONG", "answer of the server")

    def start_node(self, name):
        with open(self.path(f"{name}.yaml"), "w", encoding="utf-8") as file:
            file.write(PIPELINE.replace("PORT", str(self.proxy.port)).replace("NODE", name)
                       .replace("TRIM", "300ms" if name == TRIMMER else "0s"))
        with open(self.path(f"{name}.log"), "ab") as log:
            self.nodes[name] = subprocess.Popen(
                [self.strid, "run", f"{name}.yaml"], cwd=self.folder, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)

    def kill(self, process):
        process.kill()
        process.wait()

    def send(self, commands):
        """All on one connection, so that none is taken behind one that was not; whether all were
        answered."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(DEADLINE_S)
                connection.connect(self.socket)
                connection.sendall(commands + b"QUIT\r\n")
                answers = b""
                while data := connection.recv(1 << 16):
                    answers += data
        except OSError:
            return False
        return answers.endswith(b"+OK\r\n") and b"LOADING" not in answers

    def add(self):
        """A batch; what was added before it failed is refused the next time."""
        commands = b"".join(
            b"XADD s %d-0 %s %d\r\n" % (1000 + n, b"broken" if n % BROKEN_ONE_IN ==
                                        BROKEN_ONE_IN - 1 else b"n", n)
            for n in range(self.added, self.added + BATCH))
        self.wait(lambda: self.send(commands), "room for a batch")
        self.added += BATCH

    def add_until(self, end):
        while self.added < end:
            self.add()

    def numbers_there(self):
        ids = re.findall(r"^(\d+)-0$", self.redis("XRANGE", "s", "-", "+"), re.M)
        return {int(ms) - 1000 for ms in ids}

    def remove(self, victim, change):
        """While nobody reads, with one node dead, which leaves entries pending that go."""
        for name in NODES:
            self.nodes[name].send_signal(signal.SIGSTOP)
        self.add()
        self.kill(self.nodes[victim])
        before = self.numbers_there()
        change()
        self.removed |= before - self.numbers_there()
        for name in NODES:
            self.nodes[name].send_signal(signal.SIGCONT)

    def pending(self, name):
        """Of that consumer; no more than CAUGHT are counted."""
        rows = self.redis("XPENDING", "s", "g", "-", "+", str(CAUGHT), name) or ""
        return len(re.findall(r"^\d+-\d+$", rows, re.M))

    def catch(self, names):
        """Stops them while each has entries in hand: else a fault would meet nodes that wait."""
        while self.added < ENTRIES - 3 * BATCH:
            self.add()
            time.sleep(self.rng.random() / 50)
            for name in names:
                self.nodes[name].send_signal(signal.SIGSTOP)
            if all(self.pending(name) >= CAUGHT for name in names):
                return
            for name in names:
                self.nodes[name].send_signal(signal.SIGCONT)
        for name in names:
            self.nodes[name].send_signal(signal.SIGSTOP)

    def strike(self, victims):
        """Entries are added meanwhile, through no proxy."""
        for name in victims if self.fault in NODE_FAULTS else ():
            self.kill(self.nodes[name])
        if self.fault in ("kill_server", "kill_node_and_server"):
            self.kill(self.server)
            self.start_server()
        if self.fault in CUTS:
            self.cut(victims, *CUTS[self.fault])
        if self.fault == "destroy_group":
            self.wait(lambda: self.redis("XGROUP", "DESTROY", "s", "g") == "1", "group")
            self.group_was_lost = True

    def cut(self, victims, milliseconds, line):
        """At once, or when what the victims have in hand is about to be claimed."""
        late = self.rng.random() < 0.5
        time.sleep(0.95 if late else 0)
        self.proxy.do(f"{line} {self.rng.randrange(1, 20000)}" if line == "reset_at" else line)
        if not late:
            self.resume(victims)
        time.sleep(milliseconds / 1000 + (0.4 if late else 0))
        self.proxy.do("flow")

    def resume(self, names):
        for name in names:
            if self.nodes[name].poll() is None:
                self.nodes[name].send_signal(signal.SIGCONT)

    def inject(self):
        victims = self.rng.sample(NODES, VICTIMS.get(self.fault, 1))
        if self.fault == "flush":
            self.removed |= set(range(self.added))
            self.group_was_lost = self.redis("EVAL", FLUSH, "0") == "1"
        elif self.fault == "delete":
            self.remove(victims[0], lambda: self.redis(
                "XDEL", "s", *(f"{1000 + n}-0" for n in range(self.added - BATCH, self.added))))
        elif self.fault == "trim":
            self.remove(victims[0], lambda: self.redis("XTRIM", "s", "MAXLEN", "150"))
        else:
            self.catch(victims)
            adder = threading.Thread(target=self.add_until, args=(self.added + 3 * BATCH,))
            adder.start()
            self.strike(victims)
            if self.fault != "stop_node":
                self.resume(victims)
            adder.join()
        return victims

    def repair(self, victims):
        if self.fault == "stop_node":
            self.nodes[victims[0]].send_signal(signal.SIGCONT)
        for name in victims:
            if self.nodes[name].poll() is not None:  # killed
                self.start_node(name)
                self.restarted.add(name)

    def is_done(self):
        info, groups = self.redis("XINFO", "STREAM", "s"), self.redis("XINFO", "GROUPS", "s")
        if not info or not groups or "last-delivered-id" not in groups:
            return False
        info, groups = info.split("\n"), groups.split("\n")
        return groups[groups.index("pending") + 1] == "0" and \
            groups[groups.index("last-delivered-id") + 1] == \
            info[info.index("last-generated-id") + 1]

    def run(self):
        self.start_server()
        for name in NODES:
            self.start_node(name)
        at = self.rng.randrange(1, 4) * BATCH
        self.add_until(at)
        victims = self.inject()
        since = time.monotonic()
        self.add_until(ENTRIES)
        stays_away = self.fault in NODE_FAULTS and self.rng.random() < 0.5
        if self.fault == "stop_node" or stays_away:  # for longer than claim_idle
            time.sleep(max(0, since + 2.5 - time.monotonic()))
        self.repair(victims)
        self.wait(self.is_done, "end: entries are unread or pending")
        self.end()
        return self.check()

    def heeds_signals(self, name):
        """A node that has just begun is ended by a signal, and what it has to send stays."""
        with open(f"/proc/{self.nodes[name].pid}/status", encoding="utf-8") as file:
            caught = int(re.search(r"^SigCgt:\s*(\w+)", file.read(), re.M).group(1), 16)
        return caught >> (signal.SIGTERM - 1) & 1 == 1

    def end(self):
        for name, node in self.nodes.items():
            self.wait(lambda name=name, node=node: node.poll() is not None
                      or self.heeds_signals(name), f"begin of {name}")
            require(node.poll() is None, f"node {name} ended: {self.log(name)[-600:]}")
            node.send_signal(signal.SIGTERM)
        for name, node in self.nodes.items():
            code = node.wait(timeout=DEADLINE_S)
            require(code == 0, f"node {name} ended with {code}: {self.log(name)[-600:]}")

    def log(self, name):
        with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def counts(self, name):
        scan = subprocess.run([self.strid, "state", "scan", f"rocksdb:{name}.state", "--store",
                               "seen", "--json"], cwd=self.folder, capture_output=True, text=True,
                              check=False, timeout=DEADLINE_S)
        if name in self.restarted and "holds no state of strid" in scan.stderr:
            return {}  # killed, and ended after its restart, before it had made any
        require(scan.returncode == 0, f"state of {name}: {scan.stderr}")
        out = scan.stdout
        return {int(row["key"]): row["value"] for row in map(json.loads, out.splitlines())}

    def check(self):
        wanted = {n for n in range(ENTRIES) if n % BROKEN_ONE_IN != BROKEN_ONE_IN - 1}
        logs = "".join(self.log(name) for name in NODES)
        claimed = sum(int(n) for n in re.findall(r"claimed (\d+) entries", logs))
        total = dict.fromkeys(wanted, 0)
        # Without its group the server gives again what it gave before; that is told.
        told = any(words in logs for words in
                   ("is made again", "ran backwards", "comes as a new one"))
        for name in NODES:
            for n, count in self.counts(name).items():
                require(n in wanted, f"{n} was never added")
                require(count == 1 or told, f"node {name} applied {n} {count} times")
                total[n] += count
        lost = {n for n, count in total.items() if count == 0}
        require(lost <= self.removed, f"not handled: {sorted(lost - self.removed)[:10]}")
        repeats = sum(count - 1 for count in total.values() if count > 1)
        require(told or repeats <= claimed, f"{repeats} repeats, {claimed} claimed")
        require(told == self.group_was_lost, f"a loss told: {told}")
        self.check_letters()
        return f"{len(lost)} lost by the round, {claimed} claimed, {repeats} repeated"

    def check_letters(self):
        letters = self.redis("XRANGE", "s-dlq", "-", "+") or ""
        found = {int(n) for n in re.findall(r'\{"broken":"(\d+)"\}', letters)}
        broken = {n for n in range(ENTRIES) if n % BROKEN_ONE_IN == BROKEN_ONE_IN - 1}
        require(found <= broken, "a dead letter of an entry that was whole")
        require(broken - found <= self.removed,
                f"no dead letter of {sorted(broken - found - self.removed)[:10]}")

    def clean_up(self):
        for process in (*self.nodes.values(), self.server):
            if process is not None and process.poll() is None:
                self.kill(process)
        self.proxy.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strid", required=True)
    parser.add_argument("--proxy", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=FAULTS)
    arguments = parser.parse_args()
    tools = os.path.abspath(arguments.strid), os.path.abspath(arguments.proxy)
    for number in range(arguments.rounds):
        fault = arguments.only or FAULTS[number % len(FAULTS)]
        folder = tempfile.mkdtemp(prefix="strid-rounds-", dir="/tmp")
        at = Round(tools, fault, random.Random(arguments.seed + number), folder)
        try:
            said = at.run()
        except Fault as failure:
            at.clean_up()
            print(f"round {number} (seed {arguments.seed + number}, {fault}): {failure}\n"
                  f"what it left: {folder}", file=sys.stderr)
            return 1
        at.clean_up()
        shutil.rmtree(folder, ignore_errors=True)
        print(f"round {number}: {fault}: {said}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
