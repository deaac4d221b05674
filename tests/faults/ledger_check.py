#!/usr/bin/env python3
"""The verdict on a ledger run: replays the input with one thread and its own parser and compares
every key's chain, the dead letters and the outputs.

  ledger_check.py --input DIR --run DIR --dump FILE [--partial] [--torn N]

DIR of --run holds out.jsonl and dead.dlq, --dump is what `ledger dump` printed. --partial: the run
was killed, so every chain has to be a prefix of the right one that covers what the low positions
say; without it everything has to be there. --torn: how many broken lines the two files may hold,
one for each kill. Exit 0: right; 1: wrong, with the first findings on stderr."""

import argparse
import base64
import json
import pathlib
import struct
import sys

import ledger_waiting

MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                      0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
BROKEN_REASONS = ("not_json", "not_utf8", "not_object", "too_deep", "key_missing")
REASONS = {"broken": BROKEN_REASONS, "reject": ("rejected: ledger: wanted", "ledger: wanted"),
           "exhaust": ("attempts_exhausted: ledger: wanted",),
           "lost": ("attempts_exhausted: timeout",)}
ATTEMPTS = {"broken": 0, "reject": 1, "exhaust": ledger_waiting.ATTEMPTS_MAX,
            "lost": ledger_waiting.ATTEMPTS_MAX}
LATE = "late-" # before a fate: the same, said by another thread
FINDINGS_MAX = 20
LARGE_EVERY, WINDOW = 64, 8


def wanted_recent(count, seen):
    """The newest value, or none: its time to live is short."""
    return seen in ([], [count])


def wanted_large(count, seen):
    written = count // LARGE_EVERY * LARGE_EVERY
    return seen == ([written] if written else [])


def wanted_window(count, seen):
    return sorted(seen) == list(range(max(1, count - WINDOW + 1), count + 1))


# What a further store has to hold for a key of which so many records were done.
EXTRAS = {"recent": wanted_recent, "large": wanted_large, "window": wanted_window}


def rotl(value, bits):
    return ((value << bits) | (value >> (64 - bits))) & MASK


def mix(acc, word):
    return rotl((acc + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data, seed):
    """XXH64 as its specification writes it down; independent of the library the engine uses."""
    at, size = 0, len(data)
    if size >= 32:
        accs = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while at + 32 <= size:
            words = struct.unpack_from("<4Q", data, at)
            accs = [mix(acc, word) for acc, word in zip(accs, words)]
            at += 32
        value = (rotl(accs[0], 1) + rotl(accs[1], 7) + rotl(accs[2], 12) + rotl(accs[3], 18)) & MASK
        for acc in accs:
            value = ((value ^ mix(0, acc)) * P1 + P4) & MASK
    else:
        value = (seed + P5) & MASK
    value = (value + size) & MASK
    while at + 8 <= size:
        word = struct.unpack_from("<Q", data, at)[0]
        value = (rotl(value ^ mix(0, word), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= size:
        word = struct.unpack_from("<I", data, at)[0]
        value = (rotl(value ^ (word * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        value = rotl(value ^ (byte * P5 & MASK), 11) * P1 & MASK
    value = (value ^ (value >> 33)) * P2 & MASK
    value = (value ^ (value >> 29)) * P3 & MASK
    return value ^ (value >> 32)


def readable(line):
    """The entry of a line, or None where no reader may accept it."""
    try:
        entry = json.loads(line.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return entry if isinstance(entry, dict) and "key" in entry else None


class Reference:
    """What has to come of the input. A link of a chain is (position, sum, last, hash)."""

    def __init__(self, directory, output_every):
        self.chains = {}   # (key, partition) -> links, in order
        self.dead = {}     # (partition, position) -> (bytes, "reject", "exhaust" or "broken")
        self.outputs = {}  # (partition, position) -> (key, value)
        self.fates = {}    # (partition, position) -> what its handler says
        self.lines_at = {} # (partition, position) -> bytes
        self.sizes = []
        self.lines = 0
        for partition, path in enumerate(sorted(pathlib.Path(directory).glob("*.jsonl"))):
            self.replay(partition, path.read_bytes(), output_every)

    def replay(self, partition, data, output_every):
        self.sizes.append(len(data))
        position = 0
        for line in data.split(b"\n"):
            if line:
                self.lines += 1
                self.enter(partition, position, line, output_every)
            position += len(line) + 1

    def enter(self, partition, position, line, output_every):
        entry = readable(line)
        fate = "broken" if entry is None else entry["fate"].removeprefix(LATE)
        self.fates[partition, position] = fate
        self.lines_at[partition, position] = line
        if fate in REASONS:
            self.dead[partition, position] = (line, fate)
            return
        if fate == "skip":
            return
        links = self.chains.setdefault((entry["key"], partition), [])
        _, total, _, value = links[-1] if links else (0, 0, 0, 0)
        value = xxh64(struct.pack("<IQQ", partition, 0, position) + line, value)
        links.append((position, total + entry["amount"], entry["seq"], value))
        if output_every and entry["seq"] % output_every == 0:
            self.outputs[partition, position] = (entry["key"], {
                "partition": partition, "position": position, "count": len(links),
                "hash": f"{value:016x}"})


    def lost_places(self):
        """Those whose outcome never comes."""
        return [place for place, (_, fate) in self.dead.items() if fate == "lost"]


class Verdict:
    """Compares one state of a run directory with the reference."""

    def __init__(self, reference, dump, partial, torn):
        self.reference = reference
        self.partial = partial
        self.torn = torn
        self.findings = []
        self.lows = {}
        self.chains = {}
        self.counts = {}
        self.extras = {}        # store -> key -> values
        self.blocks = self.materialised = 0
        self.waiting = ledger_waiting.Waiting()
        self.letters = {}  # (partition, position) -> (bytes, item): in the outbox
        for text in dump.splitlines():
            self.take(json.loads(text))

    def take(self, item):
        if "blocks" in item:
            self.blocks, self.materialised = item["blocks"], item["materialised"]
        elif "partition" in item:
            name = pathlib.Path(item["partition"]).name
            self.lows[int(name.removeprefix("part-").removesuffix(".jsonl"))] = item["low"]
        elif "waits" in item:
            letter = item["waits"]
            place = (letter["partition"], letter["position"])
            if not letter["whole"] or place in self.letters:
                self.find(f"outbox: {item} is damaged or there twice")
            self.letters[place] = (bytes.fromhex(letter["hex"]), letter)
        elif item["store"] in ("waiting", "head"):
            self.waiting.take(item)
        elif item["store"] == "chains":
            self.chains[item["key"]] = bytes.fromhex(item.get("hex", ""))
        elif item["store"] == "counts":
            self.counts[item["key"]] = item.get("value", -1)
        else:
            values = self.extras.setdefault(item["store"], {})
            values.setdefault(item["key"], []).append(item["value"])

    def find(self, text):
        self.findings.append(text)

    def low(self, partition):
        """Everything before this position has to be there."""
        size = self.reference.sizes[partition]
        return self.lows.get(partition, 0) if self.partial else size

    def check_chain(self, key, partition, count, total, last, value):
        links = self.reference.chains.get((key, partition), [])
        where = f"key {key}, partition {partition}"
        if count > len(links):
            self.find(f"{where}: {count} entries, the input has {len(links)}")
        elif count and (total, last, value) != links[count - 1][1:]:
            self.find(f"{where}: after {count} entries sum {total}, last {last}, hash "
                      f"{value:016x}; right is {links[count - 1][1:]}")
        low = self.low(partition)
        for position, *_ in links[count:]:
            if position < low and (partition, position) not in self.waiting.places:
                self.find(f"{where}: the entry at {position} is lost, low position {low}")
                break

    def check_waiting(self):
        done = {(key, partition): struct.unpack_from("<Q", data, partition * 32)[0]
                for key, data in self.chains.items() for partition in range(len(data) // 32)}
        self.waiting.check(self.reference, done, self.find)
        if self.waiting.items and not self.partial:
            self.find(f"{len(self.waiting.items)} records still wait at the end")

    def check_state(self):
        keys = {key for key, _ in self.reference.chains} | set(self.chains) | set(self.counts)
        for key in keys:
            data = self.chains.get(key, b"")
            if len(data) % 32:
                self.find(f"key {key}: {len(data)} bytes of chains")
                continue
            done = 0
            for partition in range(max(len(self.reference.sizes), len(data) // 32)):
                chain = (0, 0, 0, 0)
                if partition * 32 < len(data):
                    chain = struct.unpack_from("<QqQQ", data, partition * 32)
                self.check_chain(key, partition, *chain)
                done += chain[0]
            if done != self.counts.get(key, 0):
                self.find(f"key {key}: {done} entries in one store, "
                          f"{self.counts.get(key, 0)} in the other")

    def check_extra(self, store):
        entries = self.extras.get(store, {})
        for key in set(entries) | set(self.counts):
            count = self.counts.get(key, 0)
            if not EXTRAS[store](count, entries.get(key, [])):
                self.find(f"key {key}: {store} holds {entries.get(key)} after {count} entries")

    def check_lows(self):
        for partition, size in enumerate(self.reference.sizes):
            low = self.lows.get(partition, 0)
            if low > size or (not self.partial and low < size):
                self.find(f"partition {partition}: low position {low} of {size}")

    def lines_of(self, path):
        """The objects of a file; lines torn by a kill are counted, not read."""
        if not path.exists():
            return
        torn = 0
        for line in path.read_bytes().split(b"\n"):
            try:
                if line:
                    yield json.loads(line)
            except (UnicodeDecodeError, json.JSONDecodeError):
                torn += 1
        if torn > self.torn:
            self.find(f"{path.name}: {torn} broken lines after {self.torn} kills")

    def check_ids(self, seen, place, item):
        """A repeat is the same thing with the same id; another thing has another id."""
        if place in seen and seen[place] != item:
            self.find(f"{place}: delivered as {seen[place]} and as {item}")
        seen[place] = item

    def check_present(self, what, wanted, seen):
        for place in wanted:
            if place not in seen and place[1] < self.low(place[0]) and \
                    place not in self.waiting.places:
                self.find(f"{what}: the one of {place} is lost")
        if len({item[0] for item in seen.values()}) != len(seen):
            self.find(f"{what}: one id for different positions")

    def check_outputs(self, path):
        seen = {}
        for item in self.lines_of(path):
            value = item.get("value")
            place = (value["partition"], value["position"]) if isinstance(value, dict) else None
            if self.reference.outputs.get(place) != (item.get("key"), value):
                self.find(f"{path.name}: {item} is no output of the input")
                continue
            self.check_ids(seen, place, (item["id"], item["key"], json.dumps(value)))
        self.check_present("outputs", self.reference.outputs, seen)

    def check_letter(self, where, place, value, item):
        """Whether it is a dead letter of the input, with the right reason and attempts."""
        line, fate = self.reference.dead.get(place, (None, None))
        if value != line:
            self.find(f"{where}: {place} with {value} is no dead letter of the input")
            return False
        if item["reason"] not in REASONS[fate] or item["attempts"] != ATTEMPTS[fate]:
            self.find(f"{where}: {place}: {item['reason']} after {item['attempts']} attempts of "
                      f"a record with the fate {fate}")
        return True

    def check_dead(self, path):
        """What progress has passed is outside, or waits in the outbox until the end."""
        seen = {}
        for item in self.lines_of(path):
            place = (item.get("partition"), item.get("position"))
            value = item.get("value", "").encode()
            if "value_base64" in item:
                value = base64.b64decode(item["value_base64"])
            if self.check_letter(path.name, place, value, item):
                self.check_ids(seen, place, (item["id"], item["reason"], value))
        for place, (value, letter) in self.letters.items():
            if not self.partial:
                self.find(f"outbox: {place} waits at the end")
            if self.check_letter("outbox", place, value, letter):
                seen.setdefault(place, (place, letter["reason"], value))
        self.check_present("dead letters", self.reference.dead, seen)

    def run(self, directory, extra=None):
        directory = pathlib.Path(directory)
        self.check_lows()
        self.check_state()
        if extra:
            self.check_extra(extra)
        self.check_waiting()
        self.check_outputs(directory / "out.jsonl")
        self.check_dead(directory / "dead.dlq")
        return self.findings


def print_findings(findings):
    for text in findings[:FINDINGS_MAX]:
        print(f"ledger_check: {text}", file=sys.stderr)
    if len(findings) > FINDINGS_MAX:
        print(f"ledger_check: and {len(findings) - FINDINGS_MAX} more", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--dump", required=True)
    parser.add_argument("--output-every", type=int, default=0)
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("--torn", type=int, default=0)
    args = parser.parse_args()
    reference = Reference(args.input, args.output_every)
    dump = pathlib.Path(args.dump).read_text(encoding="utf-8")
    findings = Verdict(reference, dump, args.partial, args.torn).run(args.run)
    print_findings(findings)
    print(f"ledger_check: {reference.lines} lines, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
