#!/usr/bin/env python3
"""Prints the ten most frequent packages of each action.

usage: strid state scan rocksdb:./state --json | top.py
"""
import collections
import json
import sys

TOP = 10


def main():
    counts = collections.defaultdict(dict)
    for line in sys.stdin:
        row = json.loads(line)
        counts[row["store"]][row.get("key", row.get("key_base64"))] = row["value"]
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
