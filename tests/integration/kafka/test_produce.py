"""`strid produce` into topics of a real broker: keys choose partitions as Java's producers do."""
import json
import os
import subprocess
import unittest

from kafka_case import DEADLINE_S, OnTheBroker, STRID


def murmur2(data):
    """As org.apache.kafka.common.utils.Utils has it."""
    mask, multiplier, length = 0xffffffff, 0x5bd1e995, len(data)
    value = (0x9747b28c ^ length) & mask
    for at in range(0, length - length % 4, 4):
        part = int.from_bytes(data[at:at + 4], "little") * multiplier & mask
        part = (part ^ part >> 24) * multiplier & mask
        value = (value * multiplier & mask) ^ part
    rest = data[length - length % 4:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15


class Produce(OnTheBroker):
    def produce(self, topic, *words, given="", code=0, more=""):
        url = f"kafka://{self.brokers}/{topic}{more}"
        done = subprocess.run([STRID, "produce", url, *words], cwd=self.folder, input=given,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=DEADLINE_S, check=False,
                              env=dict(os.environ, SECRET="canary-4711"))
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("canary", done.stdout + done.stderr)
        return done

    def test_keys_choose_partitions_by_murmur2(self):
        self.tool("create", "keyed", 5)
        keys = [f"customer-{n}" for n in range(200)]
        wanted = dict.fromkeys(range(5), 0)
        for key in keys:
            wanted[(murmur2(key.encode()) & 0x7fffffff) % 5] += 1
        self.produce("keyed", "-K", ":", given="".join(f"{key}:v\n" for key in keys))
        self.assertEqual(self.ends("keyed"), wanted)

    def test_bench_measures_beside_librdkafka_and_itself(self):
        """Each run checks that all arrived, or was handled; never how fast it is."""
        names = ["kafka_produce", "kafka_sweep_0", "kafka_sweep_1ms"]
        done = subprocess.run([os.environ["STRID_BENCH"], "--json", "--seconds", "0.02", "--runs",
                               "1", *names], cwd=self.folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False,
                              env=dict(os.environ, STRID_BENCH_KAFKA=self.brokers))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()[1:]]
        self.assertEqual([line["name"] for line in lines], names)
        self.assertEqual([line["baseline_name"] for line in lines],
                         ["raw_librdkafka", "kafka_sweep_deferred", "kafka_sweep_64_workers"])
        self.assertTrue(all(line["value"] > 0 and line["baseline"] > 0 for line in lines), lines)

    def test_json_lines_with_headers_tombstones_and_timestamps(self):
        self.tool("create", "rich", 1)
        rows = [{"key": "k", "value": {"n": 1}, "timestamp": 1000,
                 "headers": {"trace": "t1", "none": None}},
                {"key": "k", "value": None, "timestamp_ms": 2000}]
        self.produce("rich", "--input", "json",
                     given="".join(json.dumps(row) + "\n" for row in rows))
        text = self.broker.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.brokers,
            "--topic", "rich", "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000",
            "--property", "print.key=true", "--property", "print.headers=true",
            "--property", "print.timestamp=true", "--property", "null.literal=NULL")
        lines = [line.split("\t") for line in text.splitlines() if "Time:" in line]
        self.assertEqual(lines[0], ["CreateTime:1000", "trace:t1,none:NULL", "k", '{"n": 1}'])
        self.assertEqual(lines[1], ["CreateTime:2000", "NO_HEADERS", "k", "NULL"])

    def test_refused_records_are_told_with_their_lines_and_the_others_sent(self):
        self.tool("create", "narrow", 1)
        done = self.produce("narrow", "--json", code=1,
                            given="a\n" + "x" * 2_000_000 + "\nb\n")
        self.assertRegex(done.stderr, "line 2 was refused: .*too large")
        row = json.loads(done.stdout)
        self.assertEqual((row["sent"], row["refused"]), (2, 1))
        self.assertEqual(self.ends("narrow"), {0: 2})

    def test_refused_by_the_broker(self):
        self.tool("create", "small", 1, "max.message.bytes=1000")
        done = self.produce("small", "--json", code=1, more="?kafka.linger.ms=0",
                            given="x" * 2000 + "\n")
        self.assertIn("line 1 was refused", done.stderr)
        self.assertEqual(json.loads(done.stdout)["refused"], 1)
        self.assertEqual(self.ends("small"), {0: 0})

    def test_each_compression_is_written_and_read(self):
        """Only what was compressed fits into the topic."""
        self.tool("create", "packed-values", 1, "max.message.bytes=1000")
        codecs = ("gzip", "snappy", "lz4", "zstd")
        for number, codec in enumerate(codecs):
            self.produce("packed-values", more=f"?kafka.compression.type={codec}",
                         given=f"{number}" * 2000 + "\n")
        done = subprocess.run([STRID, "consume", f"kafka://{self.brokers}/packed-values", "-e"],
                              text=True, capture_output=True, check=True, timeout=DEADLINE_S)
        self.assertEqual(done.stdout.split(), [f"{n}" * 2000 for n in range(len(codecs))])

    def test_many(self):
        self.tool("create", "many", 3)
        done = self.produce("many", "--json", more="?kafka.compression.type=lz4",
                            given="".join(f"{n}\n" for n in range(200_000)))
        self.assertEqual(json.loads(done.stdout)["sent"], 200_000)
        self.assertEqual(sum(self.ends("many").values()), 200_000)

    def test_bad_urls(self):
        done = self.produce("no such name", code=1, given="a\n")
        self.assertIn("topic", done.stderr)
        self.produce("t", code=2, more="?kafka.acks=1")
        self.produce("t", code=2, more="?kafka.sasl.password=${SECRET}&kafka.no.such=1")


class Unreachable(unittest.TestCase):
    def test_exit_3(self):
        words = [STRID, "produce", "kafka://127.0.0.1:1/t"]
        done = subprocess.run(words, input="a\n", text=True, capture_output=True, check=False,
                              timeout=DEADLINE_S)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("no answer from the brokers 127.0.0.1:1", done.stderr)


if __name__ == "__main__":
    unittest.main()
