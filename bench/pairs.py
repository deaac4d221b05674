#!/usr/bin/env python3
"""Two builds of strid-bench, run in turn: is one of them slower? For a quiet machine.

usage: pairs.py [--pairs N] [--seconds N] OLD NEW NAME

OLD and NEW are two strid-bench programs, NAME one workload. Each pair is a run of each; which one
goes first changes from pair to pair. Printed are, for records a second and for processor time, the
median of the pairs' ratios NEW / OLD and their spread. What lies within it is no difference.
"""

import argparse
import json
import statistics
import subprocess
import sys


def run(program, args):
    """The engine's records a second and processor seconds a million, of one run."""
    done = subprocess.run([program, "--json", "--seconds", str(args.seconds), "--runs", "1",
                           args.name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"pairs: {program}: exit {done.returncode}: {done.stderr.strip()}")
    for line in map(json.loads, done.stdout.splitlines()[1:]):
        if line["name"] == args.name:
            return line["value"], line["cpu_s_per_million"]
    raise SystemExit(f"pairs: {program} has no workload {args.name}; see --list")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("name")
    args = parser.parse_args()
    rates, costs = [], []
    for number in range(args.pairs):
        order = (args.old, args.new) if number % 2 == 0 else (args.new, args.old)
        figures = {program: run(program, args) for program in order}
        rates.append(figures[args.new][0] / figures[args.old][0])
        costs.append(figures[args.new][1] / figures[args.old][1])
        print(f"pair {number + 1}: {rates[-1]:.3f} of the records/s, {costs[-1]:.3f} of the "
              "processor time", flush=True)
    for name, ratios in (("records/s", rates), ("cpu s/million", costs)):
        print(f"{name}: new / old {statistics.median(ratios):.3f}, {min(ratios):.3f} to "
              f"{max(ratios):.3f} over {len(ratios)} pairs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
