#!/usr/bin/env python3
"""Kills the ledger program again and again and has what it left checked.

  ledger.py --ledger PATH [--mode random] [--kills 25] [--seed S] [--workers 1,3]
  ledger.py --ledger PATH --variant NAME
  ledger.py --ledger PATH --mode crash_points --source DIR [--each 1]
  ledger.py --ledger PATH --mode power_loss --shim PATH --restore PATH [--kills 5]

random: SIGKILL at random moments, the worker count changed between runs. A kill counts only if
durable progress lay strictly inside the input and had grown since the last one; the number is
printed and has to be reached. Runs become longer while kills do not count. crash_points: every
point named in the sources is reached and kills the process there. power_loss: what was not synced
is dropped after each kill. After each kill the state has to be a right prefix; at the end of each
round everything has to be there. The variants of random strain one thing each; that it was
strained is checked as well."""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile

import ledger_check

OUTPUT_EVERY = 7
RECORDS = 150000
PATIENCE_MAX = 16
FEW = 10000  # records whose state may fit the caches
RUN_SECONDS_MAX = 120
CRASH_ROUNDS_MAX = 6


# materialise: a redo bound of some blocks, so that sorted files are made all the time. evict: some
# ten times as much state as the caches hold. The others: what tests/faults/ledger_extra.h says.
VARIANTS = {
    "plain": {},
    "materialise": {"memory": 2 << 20},
    "evict": {"memory": 4 << 20, "keys": 60000, "records": 100000},
    "ttl": {"memory": 6 << 20, "keys": 20000, "records": 100000, "extra": "recent"},
    "large": {"memory": 24 << 20, "keys": 60, "records": 60000, "extra": "large"},
    "subkeys": {"memory": 6 << 20, "keys": 4000, "records": 100000, "extra": "window"},
}


class Failure(Exception):
    pass


class Round:
    """One input and what becomes of it over many runs."""

    def __init__(self, args, rng, folder):
        self.args = args
        self.rng = rng
        self.variant = VARIANTS[args.variant]
        self.extra = self.variant.get("extra")
        self.kills = 0
        self.blocks = 0
        self.materialised = False  # whether the last run did, beyond what it began with
        self.patience = 1.0        # a slow machine needs longer runs for kills that count
        self.input = folder / "input"
        self.run = folder / "run"
        self.input.mkdir(parents=True)
        self.run.mkdir()
        self.seed = rng.randrange(1 << 32)
        self.pace_us = rng.choice((20, 50, 100))
        self.padding = rng.choice((0, 80, 300))
        # With little memory state is materialised and evicted all the time; in replay nothing is
        # durable before that.
        self.memory = rng.choice((0, 6 << 20))
        if args.durability == "replay":
            self.memory = 6 << 20
        self.memory = args.memory or self.variant.get("memory", self.memory)
        records = args.records or self.variant.get("records", RECORDS)
        subprocess.run([args.ledger, "generate", "--dir", self.input, "--seed", str(self.seed),
                        "--records", str(records), "--files", str(rng.choice((1, 2, 3))),
                        "--keys", str(self.variant.get("keys", 1000)),
                        "--padding", str(self.padding), "--harsh", str(int(args.harsh))],
                       check=True)
        self.reference = ledger_check.Reference(self.input, OUTPUT_EVERY)
        self.total = sum(self.reference.sizes)

    def start(self, workers, pace_us, env=None):
        command = [*self.args.wrapper, self.args.ledger, "run", "--input", self.input,
                   "--state", f"rocksdb:{self.run}/state", "--out", self.run / "out.jsonl",
                   "--dlq", self.run / "dead.dlq", "--workers", str(workers),
                   "--memory", str(self.memory), "--pace-us", str(pace_us),
                   "--output-every", str(OUTPUT_EVERY),
                   "--durability", self.args.durability,
                   "--timeout-ms", str(self.args.timeout_ms), *self.extra_words()]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env={**os.environ, **(env or {})})

    def extra_words(self):
        return ["--extra", self.extra] if self.extra else []

    def progress(self):
        """The low positions, summed, as a stopped node's state tells them."""
        dump = subprocess.run([self.args.ledger, "dump", "--state", f"rocksdb:{self.run}/state",
                               *self.extra_words()], capture_output=True, text=True, check=False)
        if dump.returncode != 0:
            raise Failure(f"the state cannot be read: {dump.stderr.strip()}")
        self.dump = dump.stdout
        verdict = ledger_check.Verdict(self.reference, self.dump, True, 0)
        self.materialised = verdict.materialised > self.blocks
        self.blocks = verdict.blocks
        return sum(verdict.lows.values())

    def check(self, partial):
        verdict = ledger_check.Verdict(self.reference, self.dump, partial, self.kills)
        findings = verdict.run(self.run, self.extra)
        if findings:
            ledger_check.print_findings(findings)
            raise Failure(f"{len(findings)} findings after {self.kills} kills of this round, "
                          f"input seed {self.seed}")

    def finish(self, workers):
        """Runs to the end without a kill; then nothing may be missing."""
        process = self.start(workers, 0)
        out, err = process.communicate(timeout=RUN_SECONDS_MAX)
        if process.returncode != 0:
            raise Failure(f"the last run failed ({process.returncode}): {err.decode().strip()}")
        if self.progress() != self.total:
            raise Failure(f"the last run ended at {self.progress()} of {self.total}: {out!r}")
        self.check(partial=False)
        figures = json.loads(out)
        if self.args.variant == "evict" and figures["records"] > FEW and figures["misses"] == 0:
            raise Failure("nothing was evicted: the state is too small")
        if self.args.harsh and self.reference.lost_places() and figures["timed_out"] == 0:
            raise Failure("nothing timed out, though some outcomes never come")


def stop_at(process, seconds, number):
    """Lets the process run for a while, then sends the signal. True if it was still running."""
    try:
        _, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        _, err = process.communicate(timeout=RUN_SECONDS_MAX)
        if number == signal.SIGTERM and process.returncode != 0:
            raise Failure(f"a drain ended with {process.returncode}: {err.decode().strip()}")
        return True
    if process.returncode != 0:
        raise Failure(f"a run failed ({process.returncode}): {err.decode().strip()}")
    return False


def counts(killed, before, now, total):
    """A kill counts only if durable progress lay strictly inside the input and had grown."""
    return killed and before < now < total


def strained(current):
    """In a variant, only if materialising was under way, too."""
    return current.args.variant == "plain" or current.materialised


def random_round(args, rng, folder, wanted):
    """Kills until `wanted` kills count or the input is near its end; returns how many counted."""
    current = Round(args, rng, folder)
    counted = before = 0
    for number in range(wanted * 4):
        workers = args.workers[number % len(args.workers)]
        drain = rng.random() < 0.1
        process = current.start(workers, current.pace_us)
        running = stop_at(process, rng.uniform(args.shortest, args.longest) * current.patience,
                          signal.SIGTERM if drain else signal.SIGKILL)
        current.kills += not drain
        now = current.progress()
        if now < before:
            raise Failure(f"progress went back from {before} to {now}")
        current.check(partial=True)
        good = counts(running, before, now, current.total) and strained(current)
        current.patience *= 0.8 if good else 1.5
        current.patience = min(max(current.patience, 1.0), PATIENCE_MAX)
        counted += good and not drain
        before = now
        if counted == wanted or now > current.total * 0.95 or not running:
            break
    current.finish(rng.choice(args.workers))
    print(f"round of input seed {current.seed}: {current.kills} kills, {counted} counted",
          flush=True)
    return counted


def mode_random(args, rng, folder):
    counted = rounds = 0
    while counted < args.kills:
        # A slow machine may need many kills for one that counts, but not any number of them.
        if rounds > args.kills:
            raise Failure(f"only {counted} kills counted in {rounds} rounds")
        with tempfile.TemporaryDirectory(dir=folder) as place:
            counted += random_round(args, rng, pathlib.Path(place), min(25, args.kills - counted))
        rounds += 1
    print(f"{counted} counting kills, {rounds} rounds, no finding")


# What only `strid dlq` and `strid reset` reach: cli_dlq_replay, cli_reset and redis_reset kill them
# there; and what counts as a crash of the record in hand, test_crash_poison kills there.
OF_OTHERS = ("dlq_", "deferred_", "reset_", "suspect_")


def crash_points(source):
    names = set()
    for part in ("engine", "state", "connectors"):
        for path in sorted((pathlib.Path(source) / part).rglob("*.c")):
            names.update(re.findall(r'CRASH_POINT\("([a-z0-9_]+)"\)', path.read_text()))
    if len(names) < 12:
        raise Failure(f"{len(names)} crash points in the sources, at least 12 are wanted")
    return sorted(name for name in names if not name.startswith(OF_OTHERS))


def check_listed(source, names):
    listed = (pathlib.Path(source) / "docs/internals/state.md").read_text()
    missing = [name for name in names if f"`{name}`" not in listed]
    if missing:
        raise Failure(f"docs/internals/state.md does not list {', '.join(missing)}")


def crash_at(args, rng, current, point):
    """Runs until the point kills the process, or to the end. Whether it was killed."""
    process = current.start(rng.choice(args.workers), 20, {"STRID_CRASH_POINT": point})
    _, err = process.communicate(timeout=RUN_SECONDS_MAX)
    if process.returncode not in (0, -signal.SIGKILL):
        raise Failure(f"{point}: ended with {process.returncode}: {err.decode().strip()}")
    fired = process.returncode != 0
    current.kills += fired
    current.progress()
    current.check(partial=True)
    return fired


def crash_round(args, rng, folder, name):
    """How often a point fired in one round. Points of recovery need a killed run before them."""
    fired = 0
    for killed_before in (False, True):
        place = folder / f"{name}-{killed_before}"
        place.mkdir()
        current = Round(args, rng, place)
        if killed_before:
            process = current.start(rng.choice(args.workers), current.pace_us)
            stop_at(process, rng.uniform(args.shortest, args.longest), signal.SIGKILL)
            current.kills += 1
        for at in [1] + [rng.randrange(2, 9) for _ in range(args.each)]:
            fired += crash_at(args, rng, current, f"{name}:{at}")
        current.finish(rng.choice(args.workers))
        if fired:
            break
    return fired


def mode_crash_points(args, rng, folder):
    names = crash_points(args.source)
    silent = []
    for attempt in range(CRASH_ROUNDS_MAX):
        (folder / str(attempt)).mkdir()
    for name in names:
        # Whether a round comes by a point depends on where its kills fall: it gets some rounds.
        fired = 0
        for attempt in range(CRASH_ROUNDS_MAX):
            fired = crash_round(args, rng, folder / str(attempt), name)
            if fired:
                break
        print(f"{name}: fired {fired} times", flush=True)
        if fired == 0:
            silent.append(name)
    if silent:
        raise Failure(f"never reached: {', '.join(silent)}")
    check_listed(args.source, names)
    print(f"{len(names)} crash points, all fired, no finding")


def mode_power_loss(args, rng, folder):
    for number in range(args.kills):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            current = Round(args, rng, pathlib.Path(place))
            env = {"LD_PRELOAD": args.shim, "STRID_POWERLOSS_DIR": str(current.run)}
            low = 0
            for _ in range(3):
                process = current.start(rng.choice(args.workers), current.pace_us, env)
                stop_at(process, rng.uniform(args.shortest, args.longest), signal.SIGKILL)
                current.kills += 1
                # Seed 0: nothing unsynced survives; any other: some of it, torn.
                seed = rng.choice((0, rng.randrange(1, 1 << 31)))
                subprocess.run([args.restore, str(current.run), str(seed)], check=True)
                low = current.progress()
                current.check(partial=True)
            current.finish(rng.choice(args.workers))
            print(f"round {number + 1}: three power losses, the last at {low} of "
                  f"{current.total}", flush=True)
    print(f"{args.kills} rounds of power loss, no finding")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", required=True, help="the ledger program of a test build")
    parser.add_argument("--mode", default="random",
                        choices=("random", "crash_points", "power_loss"))
    parser.add_argument("--kills", type=int, default=25, help="counting kills, or rounds")
    parser.add_argument("--variant", default="plain", choices=VARIANTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", default="1,3")
    parser.add_argument("--durability", default="durable",
                        choices=("durable", "strict", "replay"))
    parser.add_argument("--records", type=int, default=0, help="lines of input; 0: by mode")
    parser.add_argument("--memory", type=int, default=0, help="bytes; 0: by mode")
    parser.add_argument("--shortest", type=float, default=0.15, help="seconds before a kill")
    parser.add_argument("--longest", type=float, default=0.7)
    parser.add_argument("--each", type=int, default=1, help="further crashes at each point")
    parser.add_argument("--harsh", action="store_true",
                        help="one record in eight fails at first, one in 32 for good, the "
                             "outcome of one in eight comes later, of some never")
    parser.add_argument("--timeout-ms", type=int, default=0,
                        help="of a handler; by default 2 s with --harsh, else none")
    parser.add_argument("--source", help="root of the sources, where crash points are looked up")
    parser.add_argument("--shim", help="library that drops what was not synced")
    parser.add_argument("--restore", help="program that restores what was synced")
    parser.add_argument("--wrapper", default="", help="command put before the ledger program")
    args = parser.parse_args()
    args.workers = [int(part) for part in args.workers.split(",")]
    args.wrapper = args.wrapper.split()
    # Long enough that no stall of a busy machine comes near it: attempts are checked exactly.
    args.timeout_ms = args.timeout_ms or (2000 if args.harsh else 0)
    args.memory = args.memory or {"crash_points": 6 << 20}.get(args.mode, 0)
    args.records = args.records or {"crash_points": 40000}.get(args.mode, 0)
    return args


def main():
    args = parse()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}", flush=True)
    modes = {"random": mode_random, "crash_points": mode_crash_points,
             "power_loss": mode_power_loss}
    try:
        with tempfile.TemporaryDirectory(prefix="strid-ledger-") as folder:
            modes[args.mode](args, rng, pathlib.Path(folder))
    except Failure as failure:
        print(f"ledger: {failure} (seed {args.seed})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
