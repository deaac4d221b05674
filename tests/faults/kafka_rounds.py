#!/usr/bin/env python3
"""A node that reads a topic of 12 partitions from a real broker while the topic is filled, and
faults in each round: each key's chain of hashes is that of the topic, in its order, and the dead
letters are exact. Errors are those of a cluster of librdkafka's own, as a real one gives few.

    kafka_rounds.py --strid PATH --node PATH --tool PATH --mock PATH --tools DIR [--rounds N]
                    [--seed N] [--only FAULT]
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import kafka_cut

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import kafka_mock  # noqa: E402

DEADLINE_S = 120
PARTITIONS, KEYS, RECORDS_MIN, BATCH, BAD_ONE_IN = 12, 40, 2000, 50, 500
FAULTS = ("kill_node", "cut", "kill_broker", "errors", "cut_and_kill_node",
          "errors_and_kill_node", "kill_node_and_broker", "cut", "errors", "kill_node")
# What a node is asked to wait out, with the request that is answered so.
WRITING = {name: code for name, code in kafka_mock.WRITING.items() if code != kafka_mock.CUT}
ERRORS = [(api, code) for api, codes in (
    (kafka_mock.FETCH, kafka_mock.READING), (kafka_mock.LIST_OFFSETS, kafka_mock.LEADER),
    (kafka_mock.OFFSET_COMMIT, kafka_mock.COORDINATOR), (kafka_mock.PRODUCE, WRITING),
    (kafka_mock.FIND_COORDINATOR, {"not available": 15, "cut": kafka_mock.CUT}),
    (kafka_mock.INIT_PRODUCER_ID, {"loading": 14, "not available": 15})) for code in codes.values()]
PRIME, MASK = 1099511628211, (1 << 64) - 1


class Fault(Exception):
    """A promise that does not hold."""


def require(holds, what):
    if not holds:
        raise Fault(what)


def chain_of(values):
    chain = 0
    for value in values:
        chain = (chain + 1) & MASK
        for byte in value.encode():
            chain = (chain ^ byte) * PRIME & MASK
    return chain - (1 << 64) if chain >> 63 else chain


class Place:
    """What all rounds share: a broker whose clients come through a proxy."""
    MORE = ""  # of the URL

    def __init__(self, arguments, folder):
        self.arguments = arguments
        sys.path.insert(0, arguments.tools)
        import broker  # pylint: disable=import-outside-toplevel
        self.proxy = kafka_cut.Proxy()
        self.broker = broker.Broker(folder, advertised=self.proxy.port)
        self.broker.start()
        self.proxy.target = self.broker.port
        self.brokers = f"127.0.0.1:{self.proxy.port}"

    def restart(self):
        self.broker.kill()
        self.broker.start()

    def ask(self, *words):
        """What kafka_tool prints; None where it failed."""
        return ask_tool(self.arguments, self.brokers, words)

    def close(self):
        self.broker.kill()
        self.proxy.close()


class MockPlace:
    """The same with a cluster that makes errors; topics are made by hand and stay. It compares no
    sequence numbers, so it would take dead letters twice that were under way behind an error."""
    MORE = "&kafka.max.in.flight=1"

    def __init__(self, arguments):
        self.arguments = arguments
        self.mock = kafka_mock.Mock(arguments.mock)
        self.brokers = self.mock.brokers

    def ask(self, *words):
        if words[0] == "create":
            self.mock.ask("topic", *words[1:])
        if words[0] in ("create", "delete"):
            return ""
        return ask_tool(self.arguments, self.brokers, words)

    def err(self, rng):
        """Some errors, of any kind, one behind the other."""
        for _ in range(rng.randrange(1, 6)):
            api, code = rng.choice(ERRORS)
            self.mock.push(api, code, count=rng.randrange(1, 4))

    def close(self):
        self.mock.close()


def ask_tool(arguments, brokers, words):
    done = subprocess.run([arguments.tool, brokers, *map(str, words)], text=True,
                          capture_output=True, check=False, timeout=DEADLINE_S)
    return done.stdout if done.returncode == 0 else None


class Round:
    def __init__(self, place, number, fault, rng, folder):
        self.place, self.fault, self.rng, self.folder = place, fault, rng, folder
        self.topic = f"ledger-{number}"
        self.node, self.filler, self.fed = None, None, 0
        self.kills = 0
        self.enough = threading.Event()

    def wait(self, found, what):
        end = time.monotonic() + DEADLINE_S
        while not found():
            require(time.monotonic() < end, f"no {what} within {DEADLINE_S} s: {self.log()}")
            require(self.node is None or self.node.poll() is None, f"the node ended: {self.log()}")
            time.sleep(0.05)

    def log(self):
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace")[-1500:] if path.exists() else ""

    def start_node(self, more="&commit_interval=50ms"):
        """Waiting at the end of a partition is short: each start waits so for each of them."""
        url = f"kafka://{self.place.brokers}/{self.topic}?group={self.topic}" \
              f"&kafka.fetch.wait.max.ms=10{self.place.MORE}{more}"
        with open(self.folder / "log", "ab") as log:
            self.node = subprocess.Popen([self.place.arguments.node, url, "rocksdb:state"],
                                         cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log)

    def kill_node(self):
        self.node.kill()
        self.node.wait()
        self.kills += 1
        self.start_node()

    @staticmethod
    def record(n):
        return f"k{n * 7 % KEYS}", "bad" if n % BAD_ONE_IN == BAD_ONE_IN - 1 else f"value {n}"

    def fill(self):
        """All through one idempotent producer, so that none is there twice, and all the while that
        faults happen."""
        while self.fed < RECORDS_MIN or not self.enough.is_set():
            for key, value in map(self.record, range(self.fed, self.fed + BATCH)):
                self.filler.stdin.write(f"-1\t{key}\t{value}\n")
            self.filler.stdin.flush()
            self.fed += BATCH
            time.sleep(0.02)
        self.filler.stdin.close()

    def wait_for_progress(self):
        """A node that has read nothing since it began has nothing to lose."""
        before = sum(map(int, (self.committed() or {}).values()))
        self.wait(lambda: sum(map(int, (self.committed() or {}).values())) > before, "progress")
        time.sleep(self.rng.random() / 5)

    def inject(self):
        for _ in range(self.rng.randrange(1, 3)):
            self.wait_for_progress()
            if "errors" in self.fault:
                self.place.err(self.rng)
                self.wait_for_progress()
            if "cut" in self.fault:
                self.place.proxy.cut()
            if "node" in self.fault:
                self.kill_node()
        if "broker" in self.fault:
            self.wait_for_progress()
            self.place.restart()

    def committed(self):
        said = self.place.ask("committed", self.topic, self.topic)
        return None if said is None else dict(row.split() for row in said.splitlines())

    def ends(self):
        said = self.place.ask("extents", self.topic)
        return None if said is None else {p: high for p, _, high in map(str.split,
                                                                        said.splitlines())}

    def is_read(self, ends):
        told = self.committed()
        return told is not None and all(told.get(p, "0") == end for p, end in ends.items())

    def run(self):
        self.wait(lambda: self.place.ask("create", self.topic, PARTITIONS) is not None, "topic")
        self.wait(self.ends, "topic that the broker knows of")
        self.start_node()
        with open(self.folder / "filler", "ab") as said:
            self.filler = subprocess.Popen(
                [self.place.arguments.tool, self.place.brokers, "produce", self.topic], text=True,
                stdin=subprocess.PIPE, stdout=said, stderr=said)
        thread = threading.Thread(target=self.fill)
        thread.start()
        try:
            self.inject()
        finally:
            self.enough.set()
        thread.join()
        require(self.filler.wait(DEADLINE_S) == 0, "the topic could not be filled: " +
                (self.folder / "filler").read_text(encoding="utf-8")[-500:])
        ends = {}
        self.wait(lambda: ends.update(self.ends() or {}) or ends, "answer of the broker")
        self.wait(lambda: self.is_read(ends), "end of the topic")
        self.node.send_signal(signal.SIGTERM)
        require(self.node.wait(DEADLINE_S) == 0, f"the node ended badly: {self.log()}")
        self.start_node("&follow=false")  # ends once no record waits for another attempt
        require(self.node.wait(DEADLINE_S) == 0, f"the last run failed: {self.log()}")
        return self.check()

    def records(self, topic):
        said = []
        self.node = None  # it has ended
        self.wait(lambda: said.append(self.place.ask("read", topic)) or said[-1] is not None,
                  f"answer about {topic}")
        return [line.split("\t") for line in said[-1].splitlines()]

    def check(self):
        wanted, bad = {}, []
        rows = self.records(self.topic)
        sent = collections.Counter(map(self.record, range(self.fed)))
        there = collections.Counter((key, value) for _, _, key, value in rows)
        require(there == sent, f"of {self.fed} records that were sent {(sent - there).total()} "
                f"are missing, and {(there - sent).total()} are there besides")
        for _, _, key, value in rows:
            if value == "bad":
                bad.append(key)
            else:
                wanted.setdefault(key, []).append(value)
        scan = subprocess.run([self.place.arguments.strid, "state", "scan", "rocksdb:state",
                               "--store", "chains", "--json"], cwd=self.folder, text=True,
                              capture_output=True, check=False, timeout=DEADLINE_S)
        require(scan.returncode == 0, f"state: {scan.stderr}")
        found = {row["key"]: row["value"] for row in map(json.loads, scan.stdout.splitlines())}
        require(set(found) == set(wanted), f"keys {sorted(set(found) ^ set(wanted))}")
        wrong = [key for key, values in wanted.items() if found[key] != chain_of(values)]
        require(not wrong, f"the chains of {wrong} are not those of the topic")
        dead = sorted(key for _, _, key, _ in self.records(f"{self.topic}-dlq"))
        # A letter that was sent just before a kill may be sent again.
        require(set(dead) == set(bad) and len(bad) <= len(dead) <= len(bad) * (1 + self.kills),
                f"dead letters of {dead}, wanted of {sorted(bad)}")
        return f"{len(wanted)} chains, {len(dead)} dead letters, {self.kills} kills of the node, " \
            f"{self.fed} records"

    def clean_up(self):
        for process in (self.node, self.filler):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def fault_of(arguments, number):
    return arguments.only or FAULTS[number % len(FAULTS)]


def play(place, arguments, number):
    fault = fault_of(arguments, number)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="strid-rounds-", dir="/tmp"))
    at = Round(place, number, fault, random.Random(arguments.seed + number), folder)
    began = time.monotonic()
    try:
        said = at.run()
    except Fault as failure:
        print(f"round {number} (seed {arguments.seed + number}, {fault}): {failure}\n"
              f"what it left: {folder}", file=sys.stderr)
        return False
    finally:
        at.clean_up()
    shutil.rmtree(folder, ignore_errors=True)
    place.ask("delete", at.topic)
    print(f"round {number}: {fault}: {said}; {time.monotonic() - began:.1f} s", flush=True)
    return True


def play_all(place, arguments):
    """The rounds of one place, one after another; those of the other go on beside them."""
    return all(play(place, arguments, number) for number in range(arguments.rounds)
               if ("errors" in fault_of(arguments, number)) == isinstance(place, MockPlace))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--strid", "--node", "--tool", "--mock", "--tools"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(set(FAULTS)))
    arguments = parser.parse_args()
    for name in ("strid", "node", "tool", "mock", "tools"):  # the node runs in a folder of its own
        setattr(arguments, name, str(getattr(arguments, name).resolve()))
    with tempfile.TemporaryDirectory(prefix="strid-kafka-") as folder:
        places = [Place(arguments, folder), MockPlace(arguments)]
        try:
            with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
                right = all(pool.map(lambda place: play_all(place, arguments), places))
        finally:
            for place in places:
                place.close()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
