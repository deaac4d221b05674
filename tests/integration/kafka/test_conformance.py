"""The conformance suites of sources and sinks, over topics of a real broker."""
import os
import subprocess
import unittest

from kafka_case import OnTheBroker

RECORDS = 60
SUITES = os.environ["STRID_KAFKA_SUITES"].split(":")
DEADLINE_S = 300


class Conformance(OnTheBroker):
    def suite(self, path, group):
        """One test at a time, for they share the topics. Only what runs over the broker."""
        done = subprocess.run([path, "-j1", "--filter", f"{group}/*", "--verbose"], text=True,
                              check=False, timeout=DEADLINE_S, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, STRID_CONFORMANCE_KAFKA=self.brokers))
        self.assertEqual(done.returncode, 0, done.stdout[-5000:])
        return done.stdout

    def test_source(self):
        """Partition 0 holds what connector_case.c expects there."""
        self.tool("create", "conformance", 2)
        self.tool("produce", "conformance", lines=[
            *(f"0\tNULL\t{'.' * (n % 20)}record {n}" for n in range(RECORDS)), "1\tk\tother"])
        self.assertIn("delivers_all_in_order_and_ends", self.suite(SUITES[0], "sources"))

    def test_sink(self):
        self.tool("create", "conformance-out", 1)
        self.assertIn("closes_with_unflushed_outputs", self.suite(SUITES[1], "sinks"))


if __name__ == "__main__":
    unittest.main()
