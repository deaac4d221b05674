#!/usr/bin/env python3
"""Runs strid-bench over keys, sizes of values, workers and memory, and prints a table in Markdown.

usage: curves.py STRID_BENCH [--seconds N] [--runs N] [CURVE...]

Curves: keys, values, workers, memory; all of them unless some are named. Exit 1 where a run
failed."""

import argparse
import json
import subprocess
import sys

MIB = 1 << 20
CURVES = {
    "keys": ("engine_count_1m", "--keys",
             (1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000)),
    "values": ("engine_noop", "--value-bytes", (16, 100, 400, 1_000, 4_000)),
    "workers": ("engine_count_1m", "--workers", (1, 2, 3, 4)),
    "memory": ("engine_count_1m", "--memory",
               (128 * MIB, 256 * MIB, 512 * MIB, 1024 * MIB, 4096 * MIB)),
}


def measure(args, workload, option, value):
    """The first line of the workload: the engine beside its baseline."""
    done = subprocess.run([args.bench, "--json", "--seconds", str(args.seconds), "--runs",
                           str(args.runs), option, str(value), workload],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"curves: {workload} {option} {value}: exit {done.returncode}")
    return json.loads(done.stdout.splitlines()[1])


def print_curve(args, name):
    workload, option, values = CURVES[name]
    print(f"\n`{workload}`, `--seconds {args.seconds} --runs {args.runs}`:\n")
    print(f"| `{option}` | million records/s | min to max | cpu s/million | baseline | ratio |")
    print("|---|---|---|---|---|---|")
    for value in values:
        line = measure(args, workload, option, value)
        print(f"| {value:,} | {line['value'] / 1e6:.2f} | {line['min'] / 1e6:.2f} to "
              f"{line['max'] / 1e6:.2f} | {line['cpu_s_per_million']:.3f} | "
              f"`{line['baseline_name']}` {line['baseline'] / 1e6:.3f} | {line['ratio']:.2f} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("curves", nargs="*", default=list(CURVES), metavar="CURVE")
    args = parser.parse_intermixed_args()
    for name in args.curves:
        if name not in CURVES:
            parser.error(f"no curve {name}; there are: {', '.join(CURVES)}")
    for name in args.curves:
        print_curve(args, name)


if __name__ == "__main__":
    main()
