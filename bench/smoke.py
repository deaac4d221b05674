#!/usr/bin/env python3
"""Runs every workload of strid-bench for a moment and checks what it prints. Never how fast it is.

usage: smoke.py STRID_BENCH"""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

BENCH = None
PAIRS = str(pathlib.Path(__file__).resolve().parent / "pairs.py")
CURVES = str(pathlib.Path(__file__).resolve().parent / "curves.py")
SHORT = ["--seconds", "0.2", "--runs", "1", "--keys", "2000", "--memory", str(512 << 20)]
FIRST = {"commit": str, "cpu": str, "kernel": str, "compiler": str, "flags": str}
LINE = {"name": str, "unit": str, "value": (int, float), "baseline": (int, float),
        "baseline_name": str, "ratio": (int, float), "cpu_s_per_million": (int, float),
        "runs": int, "min": (int, float), "max": (int, float)}


def bench(*args, code=0):
    environment = {k: v for k, v in os.environ.items() if k != "STRID_BENCH_PYTHON"}
    done = subprocess.run([BENCH, *args], capture_output=True, text=True, timeout=240, check=False,
                          env=environment)
    if done.returncode != code:
        raise AssertionError(f"{args}: exit {done.returncode}: {done.stderr}")
    return done


def names():
    return [line.split()[0] for line in bench("--list").stdout.splitlines()]


class SmokeTest(unittest.TestCase):
    def check_members(self, item, members):
        for name, kind in members.items():
            self.assertIsInstance(item.get(name), kind, f"{name} in {item}")

    def check_line(self, item):
        self.check_members(item, LINE)
        self.assertGreater(item["value"], 0)
        self.assertGreater(item["baseline"], 0)
        if item["unit"] == "cpu ns/record":  # small inputs are repeated
            self.assertLessEqual(item["min"], item["max"])
        elif item["unit"] == "us":
            self.assertEqual(item["baseline_name"], "raw_hiredis_block")
            self.assertEqual(item["runs"], 1)
        else:
            self.assertEqual(item["unit"], "records/s")
            self.assertTrue(item["baseline_name"].startswith(
                ("raw_", "redis_read_ack", "kafka_noop", "kafka_sweep_", "engine_count")))
            self.assertEqual(item["runs"], 1)
            self.assertEqual(item["min"], item["max"])
        # Relative: a ratio is printed with some digits, whether it is 0.002 or 500.
        expected = item["value"] / item["baseline"]
        self.assertAlmostEqual(item["ratio"] / expected, 1, delta=0.01)

    def test_list_names_the_workloads(self):
        for name in ("engine_noop", "engine_count_100k", "engine_count_1m", "engine_count_10m",
                     "engine_count_10m_zipf", "engine_bytes_1k", "engine_cost",
                     "engine_count_retry1pc", "engine_count_spill", "file_count",
                     "kafka_count", "kafka_noop", "kafka_produce", "kafka_sweep_0",
                     "kafka_sweep_100us", "kafka_sweep_1ms", "kafka_sweep_10ms", "redis_count",
                     "redis_latency", "redis_produce",
                     "redis_read_ack"):
            self.assertIn(name, names())

    def test_every_workload_measures_itself_beside_its_raw_loop(self):
        for name in names():
            if name == "redis_latency":
                continue  # has a test of its own
            if name.startswith("kafka_") and "STRID_BENCH_KAFKA" not in os.environ:
                continue
            with self.subTest(name):
                first, *lines = map(json.loads, bench("--json", *SHORT, name).stdout.splitlines())
                self.check_members(first, FIRST)
                self.assertGreater(len(lines), 0)
                for item in lines:
                    self.assertEqual(item["engine_memory_bytes"], 512 << 20)
                    self.check_line(item)
                    self.assertTrue(item["name"].startswith(name))

    def test_latency_has_three_quantiles_in_order(self):
        lines = list(map(json.loads, bench("--json", *SHORT, "redis_latency").stdout.splitlines()))
        self.assertEqual([item["name"] for item in lines[1:]],
                         [f"redis_latency_{part}" for part in ("p50", "p99", "p99_9")])
        self.check_members(lines[0], FIRST)
        for item in lines[1:]:
            self.check_line(item)
        for kind in ("value", "baseline"):
            values = [item[kind] for item in lines[1:]]
            self.assertEqual(values, sorted(values))

    def test_python_that_does_not_run_is_told(self):
        done = subprocess.run([BENCH, *SHORT, "redis_read_ack"], text=True, capture_output=True,
                              env={**os.environ, "STRID_BENCH_PYTHON": "/nowhere/python"},
                              timeout=240, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("redis-py: failed; run bench/python/install.sh", done.stderr)
        self.assertNotIn("ratio", done.stdout)

    def test_kafka_is_left_out_without_a_broker(self):
        environment = {k: v for k, v in os.environ.items() if k != "STRID_BENCH_KAFKA"}
        done = subprocess.run([BENCH, "--json", "kafka_noop"], env=environment, text=True,
                              capture_output=True, timeout=60, check=True)
        self.assertIn("left out: no broker", done.stderr)

    def test_name_selects_all_that_begin_with_it(self):
        lines = bench("--json", "--list", "engine_count").stdout.splitlines()
        self.assertEqual(len(lines), sum(name.startswith("engine_count") for name in names()))

    def test_curves_print_a_table(self):
        done = subprocess.run([CURVES, BENCH, "--seconds", "0.1", "--runs", "1", "values"],
                              capture_output=True, text=True, timeout=240, check=True)
        rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
        self.assertGreaterEqual(len(rows), 5)
        for row in rows[1:]:
            self.assertGreater(float(row[2]), 0)

    def test_pairs_tell_the_ratios_and_their_spread(self):
        done = subprocess.run([PAIRS, "--pairs", "2", "--seconds", "0.1", BENCH, BENCH,
                               "engine_noop"], capture_output=True, text=True, timeout=240,
                              check=True)
        *pairs, rates, costs = done.stdout.splitlines()
        self.assertEqual(len(pairs), 2)
        for line, name in ((rates, "records/s"), (costs, "cpu s/million")):
            self.assertRegex(line, f"^{name}: new / old [0-9.]+, [0-9.]+ to [0-9.]+ over 2 pairs$")
        done = subprocess.run([PAIRS, "--pairs", "1", BENCH, BENCH, "nothing"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no workload", done.stderr)

    def test_table_for_people(self):
        text = bench(*SHORT, "engine_noop").stdout
        self.assertIn("raw_ring", text)
        self.assertIn("ratio", text)

    def test_hold_prints_each_second_and_what_was_bounded(self):
        text = bench("--json", "--hold", "--seconds", "2", "--keys", "2000", "engine_count_100k")
        lines = [json.loads(line) for line in text.stdout.splitlines()[1:]]
        seconds = [line for line in lines if "second" in line]
        bounds = {line["what"]: line for line in lines if "what" in line}
        self.assertGreaterEqual(len(seconds), 1)
        for item in seconds:
            self.assertGreater(item["rss_bytes"], 0)
            for name in ("redo_bytes", "level0_files", "sorted_files"):
                self.assertIn(name, item)
        self.assertEqual(set(bounds), {"redo_bytes", "level0_files", "rss_bytes"})
        for item in bounds.values():
            self.assertLessEqual(item["highest"], item["bound"])
            self.assertTrue(item["kept"])
        self.assertEqual(bounds["rss_bytes"]["highest"], max(i["rss_bytes"] for i in seconds))

    def test_hold_fails_where_a_bound_is_not_kept(self):
        done = bench("--json", "--hold", "--seconds", "2", "--keys", "2000", "--memory", "4000000",
                     "engine_noop", code=1)
        self.assertIn("bounded", done.stderr)
        self.assertIn('"kept":false', done.stdout)

    def test_what_a_killed_one_left_is_removed_by_the_next(self):
        with tempfile.TemporaryDirectory(prefix="strid-smoke-") as base:
            command = [BENCH, "--directory", base, "--keys", "2000", "engine_count_100k"]
            with subprocess.Popen([*command[:-1], "--hold", "--seconds", "100", command[-1]],
                                  stdout=subprocess.DEVNULL) as running:
                end = time.monotonic() + 60
                while not any(os.listdir(f"{base}/{name}") for name in os.listdir(base)):
                    self.assertLess(time.monotonic(), end)
                    with self.assertRaises(subprocess.TimeoutExpired):
                        running.wait(0.02)
                held = os.listdir(base)
                short = [*command[:-1], "--seconds", "0.1", "--runs", "1", command[-1]]
                beside = subprocess.run(short, capture_output=True, text=True, timeout=240,
                                        check=True)
                self.assertEqual((os.listdir(base), beside.stderr), (held, ""))
                running.kill()
            self.assertEqual(os.listdir(base), held)
            left = os.open(f"{base}/{held[0]}", os.O_RDONLY)
            fcntl.flock(left, fcntl.LOCK_EX)  # once its processes have ended
            os.close(left)
            done = subprocess.run(short, capture_output=True, text=True, timeout=240, check=True)
            self.assertIn(f"removes {base}/{held[0]}, which a killed one has left", done.stderr)
            self.assertEqual(os.listdir(base), [])

    def test_wrong_usage_is_refused(self):
        for args in (["nothing"], ["--what"], ["--seconds"], ["--seconds", "x"], ["--runs", "-1"],
                     ["--workers", "1000"], ["--runs", "0"]):
            with self.subTest(args):
                self.assertIn("usage:", bench(*args, code=2).stderr)


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
