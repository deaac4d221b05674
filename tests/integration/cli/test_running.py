#!/usr/bin/env python3
"""A running command: progress on a terminal, signals, kill -9, a second process."""
import json
import os
import re
import signal
import subprocess

from command_case import ENDLESS, STRID, TOTALS, CommandCase, main


class Running(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("endless.yaml", ENDLESS)

    def started(self, *words, **environment):
        """An endless run on a terminal whose progress line shows records."""
        terminal = self.terminal("run", "endless.yaml", *words, **environment)
        terminal.read_until(lambda text: re.search(r"[1-9][\d,]* records  ", text), "progress")
        return terminal

    def drained(self, number):
        terminal = self.started()
        terminal.signal(number)
        self.assertEqual(terminal.end(), 0, terminal.seen)
        records = re.search(r"([\d,]+) records in ", terminal.seen).group(1).replace(",", "")
        self.assertEqual(sum(self.scan("seen").values()), int(records))

    def test_interrupt_drains_and_exits_0(self):
        self.drained(signal.SIGINT)

    def test_termination_drains_and_exits_0(self):
        self.drained(signal.SIGTERM)

    def test_second_signal_stops_at_once_and_exits_1(self):
        terminal = self.started()
        terminal.signal(signal.SIGSTOP)  # so that both arrive together
        terminal.signal(signal.SIGINT)
        terminal.signal(signal.SIGTERM)
        terminal.signal(signal.SIGCONT)
        self.assertEqual(terminal.end(), 1, terminal.seen)
        self.assertIn("stopped at once", terminal.seen)
        self.drain_and_add_up(runs=10)

    def test_drain_past_its_time_is_said_and_exits_1(self):
        self.write("stuck.yaml", TOTALS + "drain_timeout: 200ms\n")
        self.write("orders.jsonl", "no JSON\n")
        os.mkdir(self.path("orders.jsonl.dlq"))  # where the source's dead letters would go
        terminal = self.terminal("run", "stuck.yaml")
        terminal.read_until(lambda text: "orders.jsonl.dlq" in text, "warning")
        terminal.signal(signal.SIGINT)
        self.assertEqual(terminal.end(), 1, terminal.seen)
        self.assertIn("drain_timeout", terminal.seen)
        self.assertNotIn("at once", terminal.seen)

    def drain_and_add_up(self, runs=1):
        """One more run, drained: then every record up to the low position is counted once. Where
        a run was cut off, one of its workers may have counted far ahead of the other: further
        runs come to where it was. What is lost or counted twice stays so."""
        counted, low = 0, -1
        while runs > 0 and counted != low:
            terminal = self.started()
            terminal.signal(signal.SIGINT)
            self.assertEqual(terminal.end(), 0, terminal.seen)
            stats = json.loads(self.strid("state", "stats", "rocksdb:./state", "--json").out)
            low = sum(part["low"] for part in stats["partitions"])
            self.assertGreater(low, 0)
            counted = sum(self.scan("seen").values())
            runs -= 1
        self.assertEqual(counted, low)

    def test_goes_on_where_a_drained_run_ended(self):
        self.drain_and_add_up()
        self.drain_and_add_up()

    def test_kill_9_loses_and_repeats_nothing(self):
        for _ in range(3):
            terminal = self.started()
            terminal.stop_hard()
        self.drain_and_add_up(runs=10)

    def test_second_process_is_refused(self):
        terminal = self.started()
        pid = str(terminal.process.pid)
        for words in (("run", "endless.yaml"), ("state", "scan", "rocksdb:./state")):
            err = self.strid(*words, code=1).err
            self.assertIn("state", err)
            self.assertIn(pid, err)
        terminal.signal(signal.SIGINT)
        self.assertEqual(terminal.end(), 0, terminal.seen)

    def test_summary_as_json_after_a_drain(self):
        terminal = self.terminal("run", "endless.yaml", "--json")
        terminal.read_until(lambda text: re.search(r"[1-9][\d,]* records  ", text), "progress")
        terminal.signal(signal.SIGTERM)
        line = terminal.process.stdout.readline()
        self.assertEqual(terminal.end(), 0, terminal.seen)
        self.assertGreater(json.loads(line)["records"], 0)

    def test_no_color(self):
        terminal = self.started("--workers", "1", NO_COLOR="1")
        terminal.signal(signal.SIGINT)
        terminal.end()
        self.assertNotRegex(terminal.seen, "\033\\[[0-9;]*m")


class Progress(CommandCase):
    def setUp(self):
        super().setUp()
        self.write("totals.yaml", TOTALS)
        line = '{"customer": "c%d", "kind": "order", "amount": 5, "filling": "%s"}\n'
        with open(self.path("orders.jsonl"), "w", encoding="utf-8") as file:
            for number in range(400000):
                file.write(line % (number % 1000, "x" * 60))

    def test_bar_with_share_rate_and_eta(self):
        terminal = self.terminal("run", "totals.yaml")
        self.assertEqual(terminal.end(), 0, terminal.seen)
        self.assertRegex(terminal.seen, r"\[[#.]+\] +\d+%  [\d,]+ records  \S+/s  ETA \S+")
        self.assertIn("400,000 records in", terminal.seen)
        self.assertLess(terminal.seen.rindex("ETA"), terminal.seen.rindex("\r\033[K"),
                        "the line is taken away at the end")

    def test_no_bar_without_a_terminal_or_with_a_dumb_one(self):
        terminal = self.terminal("run", "totals.yaml", "--log-format", "logfmt")
        self.assertEqual(terminal.end(), 0, terminal.seen)
        self.assertNotIn("ETA", terminal.seen)
        os.rename(self.path("state"), self.path("state.old"))
        err = self.strid("run", "totals.yaml").err
        self.assertNotIn("ETA", err)
        self.assertNotIn("\033", err)

    def test_standard_error_that_is_gone_does_not_end_a_run(self):
        reading, writing = os.pipe()
        os.close(reading)
        process = subprocess.Popen([STRID, "run", "totals.yaml"], cwd=self.folder, stderr=writing,
                                   stdout=subprocess.DEVNULL)
        os.close(writing)
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(sum(self.scan("orders").values()), 400000)


if __name__ == "__main__":
    main()
