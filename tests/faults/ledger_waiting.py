"""The part of the ledger's checker that looks at records which wait for another attempt, or are
parked behind one: what of the input is in the retry store, and whether that agrees with the
rest."""

import base64
import pathlib

ATTEMPTS_MAX = 3  # what a pipeline has by itself


def text_or_bytes(item, name):
    """The bytes of a member, whichever way the dump wrote them."""
    if f"{name}_base64" in item:
        return base64.b64decode(item[f"{name}_base64"])
    return item.get(name, "").encode()


class Waiting:
    """What the retry store of one dump holds."""

    def __init__(self):
        self.items = []
        self.heads = {}
        self.places = set()

    def take(self, item):
        if item["store"] == "head":
            self.heads[text_or_bytes(item, "key")] = item
            return
        self.items.append(item)
        if "topic" in item:
            self.places.add(self.place_of(item))

    @staticmethod
    def place_of(item):
        name = pathlib.Path(text_or_bytes(item, "topic").decode()).name
        return int(name.removeprefix("part-").removesuffix(".jsonl")), item["position"]

    def check(self, reference, chains, find):
        """`chains`: how many entries of a (key, partition) are done."""
        seen, entries = set(), {}
        for item in self.items:
            if item.get("damaged"):
                find(f"retry store: {item} cannot be read")
                continue
            place = self.place_of(item)
            key = text_or_bytes(item, "key")
            entries.setdefault(key, {})[item["seq"]] = place
            if reference.lines_at.get(place) != text_or_bytes(item, "bytes"):
                find(f"retry store: {place}: not the bytes of the input")
            if place in seen:
                find(f"retry store: {place} waits twice")
            seen.add(place)
            self.check_not_done(reference, chains, key, place, find)
        for key in entries.keys() | self.heads.keys():
            self.check_head(reference, key, entries.get(key, {}), find)

    @staticmethod
    def check_not_done(reference, chains, key, place, find):
        """Nothing of its key that stands before it in its partition waits once it is done."""
        links = reference.chains.get((key.decode(), place[0]), [])
        done = chains.get((key.decode(), place[0]), 0)
        if 0 < done <= len(links) and place[1] <= links[done - 1][0]:
            find(f"key {key}: {place} waits, and {links[done - 1][0]} of the same key is done")

    def check_head(self, reference, key, entries, find):
        head = self.heads.get(key)
        if head is None or head.get("damaged"):
            find(f"retry store: key {key}: {len(entries)} records and no head that can be read")
            return
        if sorted(entries) != list(range(head["first"], head["last"] + 1)):
            find(f"retry store: key {key}: entries {sorted(entries)}, the head says {head}")
            return
        fate = reference.fates.get(entries[head["first"]])
        most = {"retry": 1, "never": 1, "exhaust": ATTEMPTS_MAX - 1,
                "lost": ATTEMPTS_MAX - 1}.get(fate, 0)
        if head["attempts"] > most: # 0: those before it were settled, it is about to be handled
            find(f"retry store: key {key}: {head['attempts']} failed attempts of a record with "
                 f"the fate {fate}")
        before = {}
        for seq in sorted(entries):
            partition, position = entries[seq]
            if position <= before.get(partition, -1):
                find(f"retry store: key {key}: {entries[seq]} is parked behind a later record")
            before[partition] = position
