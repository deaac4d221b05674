"""The Kafka source with many partitions and large records: how soon it is there, what it takes."""
import os
import subprocess
import time
import unittest

import kafka_case

PIPELINE = """\
name: many
source: {{ url: "kafka://@B/{topic}", group: {topic}, follow: false{more} }}
state: {{ url: "rocksdb:./state" }}
handlers:
  - count: {{ store: counts }}
memory: {memory}
dlq: {{ url: "file:dead.jsonl" }}
"""
MIB = 1 << 20
# Asked one by one, 100 partitions would take 100 s: each waits for the brokers once at least.
SERIAL_WAIT_MS, SERIAL_BOUND_S = 1000, 45


class Many(kafka_case.OnTheBroker):
    def pipeline(self, topic, more="", memory="128MiB"):
        self.write("many.yaml", PIPELINE.format(topic=topic, more=more, memory=memory))
        return "many.yaml"

    def measure(self, name):
        """Seconds and the most memory, in bytes, of a run that is to succeed."""
        began = time.monotonic()
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([kafka_case.STRID, "run", name], cwd=self.folder,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, self.log())
        return time.monotonic() - began, usage.ru_maxrss * 1024

    def test_many_partitions_begin_together(self):
        partitions = 100
        self.tool("create", "begin-many", partitions)
        def feed():
            self.tool("produce", "begin-many", lines=[f'{n % partitions}\tk{n}\t{{"n":{n}}}'
                                                      for n in range(10 * partitions)])
        feed()
        name = self.pipeline("begin-many", f", kafka.fetch.wait.max.ms: {SERIAL_WAIT_MS}")
        for what in ("the first", "one that resumes", "one that resumes elsewhere"):
            taken, _ = self.measure(name)
            self.assertLess(taken, SERIAL_BOUND_S, what)
            if what == "one that resumes":
                feed()
        self.assertEqual(sum(self.committed("begin-many", "begin-many").values()),
                         20 * partitions)

    def test_many_partitions_of_large_records_stay_within_the_memory(self):
        partitions, count, memory = (500 if "STRID_LONG" in os.environ else 150), 240, 128 * MIB
        self.tool("create", "large-many", partitions, "max.message.bytes=2000000")
        pad = "x" * MIB
        for first in range(0, count, 40):
            self.tool("produce", "large-many", lines=[f"{n * 37 % partitions}\tk{n}\t{pad}"
                                                      for n in range(first, first + 40)])
        _, taken = self.measure(self.pipeline("large-many"))
        self.assertLessEqual(taken, memory * 1.2, f"{taken / MIB:.0f} MiB")
        self.assertEqual(sum(self.committed("large-many", "large-many").values()), count)
        taken, _ = self.measure("many.yaml")
        self.assertLess(taken, SERIAL_BOUND_S, "so many partitions that resume")
        self.tool("delete", "large-many")


if __name__ == "__main__":
    unittest.main()
