#!/usr/bin/env python3
"""Prints the ten most frequent packages of each action.

usage: strid state scan rocksdb:./state --json | top.py
       ... | top.py --times N FILE   checks that every count is N times that of FILE, a scan as well
"""
import collections
import json
import sys

TOP = 10


def read(lines):
    counts = collections.defaultdict(dict)
    for line in lines:
        row = json.loads(line)
        counts[row["store"]][row.get("key", row.get("key_base64"))] = row["value"]
    return counts


def compare(counts, times, path):
    with open(path, encoding="utf-8") as file:
        once = read(file)
    expected = {action: {key: times * count for key, count in packages.items()}
                for action, packages in once.items()}
    total = sum(sum(packages.values()) for packages in counts.values())
    if counts != expected:
        sys.exit(f"The counts are not {times} times those of the log: {total:,} in all.")
    print(f"{total:,} counted: every package of every action exactly {times} times as often.")


def main():
    counts = read(sys.stdin)
    if len(sys.argv) == 4 and sys.argv[1] == "--times":
        compare(counts, int(sys.argv[2]), sys.argv[3])
        return
    if not counts:
        print("The state store is empty: the log has no line that a handler wanted.")
    for action in sorted(counts, key=lambda name: -sum(counts[name].values())):
        packages = counts[action]
        print(f"{action}: {sum(packages.values()):,} times, {len(packages):,} packages")
        best = sorted(packages.items(), key=lambda item: (-item[1], item[0]))[:TOP]
        for package, count in best:
            print(f"  {count:6,}  {package}")


if __name__ == "__main__":
    main()
