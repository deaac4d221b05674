"""The Kafka sink on a real broker: outputs, dead letters, refused settings."""
import concurrent.futures
import json
import pathlib
import shutil
import tempfile
import unittest

import kafka_case
from kafka_case import run

RECORDS = 3000
PIPELINE = """\
name: orders
source: {{ url: "file:orders.jsonl", format: jsonl, key: customer }}
state: {{ url: "rocksdb:./state" }}
sink:
  out: {{ url: "kafka://{brokers}/{topic}", kafka.compression.type: lz4{more} }}
handlers:
  - forward: {{ to: out }}
dlq: {{ url: "kafka://{brokers}/{{topic}}-dlq?kafka.linger.ms=0" }}
"""


class Case(unittest.TestCase):
    brokers = "127.0.0.1:1"

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="strid-kafka-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.write(topic="orders")

    def write(self, topic, more="", dlq="{topic}-dlq"):
        text = PIPELINE.format(brokers=self.brokers, topic=topic, more=more)
        text = text.replace("{topic}-dlq", dlq)
        (self.folder / "pipeline.yaml").write_text(text, encoding="utf-8")

    def put(self, lines):
        with open(self.folder / "orders.jsonl", "a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def orders(self, first):
        numbers = range(first, first + RECORDS)
        return [json.dumps({"n": n, "customer": f"c{n % 7}"}) for n in numbers]


class OnTheBroker(Case):
    @classmethod
    def setUpClass(cls):
        kafka_case.give_broker(cls)

    def read(self, topic, count):
        """What Kafka's own consumer reads: (partition, headers, key, value)."""
        text = self.broker.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.brokers,
            "--topic", topic, "--from-beginning", "--max-messages", str(count), "--timeout-ms",
            "60000", "--property", "print.key=true", "--property", "print.headers=true",
            "--property", "print.partition=true")
        lines = [line.split("\t") for line in text.splitlines() if line.startswith("Partition:")]
        self.assertEqual(len(lines), count)
        return lines


class Sink(OnTheBroker):
    def test_outputs_arrive_once_and_in_order_per_key(self):
        self.broker.create_topic("orders", 3)
        lines = self.orders(0)
        self.put(lines)
        done = run(["run", "pipeline.yaml"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sum(self.broker.end_offsets("orders").values()), RECORDS)
        seen = {}
        partitions = {}
        for partition, headers, key, value in self.read("orders", RECORDS):
            self.assertRegex(headers, r"strid\.id:orders/")
            seen.setdefault(key, []).append(json.loads(value)["n"])
            partitions.setdefault(key, set()).add(partition)
        self.assertEqual(seen, {f"c{k}": list(range(k, RECORDS, 7)) for k in range(7)})
        self.assertTrue(all(len(where) == 1 for where in partitions.values()), partitions)

    def test_dead_letters_are_listed_and_shown(self):
        self.broker.create_topic("dead", 1)
        self.broker.create_topic("kept-out", 1)
        self.write("kept-out", dlq="dead")
        self.put(['{"n":1,"customer":"a"}', "no json", '{"n":2,"customer":"b"}'])
        self.assertEqual(run(["dlq", "list", "pipeline.yaml"], self.folder).stdout, "")
        done = run(["run", "pipeline.yaml"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        letter = json.loads(run(["dlq", "list", "pipeline.yaml", "--json"], self.folder).stdout)
        self.assertEqual((letter["reason"], letter["value"], letter["position"]),
                         ("not_json", "no json", 23))
        self.assertTrue(letter["topic"].endswith("orders.jsonl"), letter)
        self.assertEqual((letter["pipeline"], letter["partition"]), ("orders", 0))

    def test_missing_topic_is_told_at_the_start(self):
        self.write("nowhere")
        self.put(self.orders(0))
        done = run(["run", "pipeline.yaml"], self.folder)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "topic nowhere on .* cannot be written: .*nknown topic")


class Refused(Case):
    def check(self, more, expected):
        self.write("orders", more)
        done = run(["check", "pipeline.yaml"], self.folder)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, expected)

    def test_in_the_words_of_librdkafka_with_their_place(self):
        self.check(", kafka.nosuch: 1", r'pipeline\.yaml:5:\d+: "kafka.nosuch": librdkafka \S+ '
                   r'says: No such configuration property: "nosuch"')
        self.check(", kafka.linger.ms: x", r"pipeline\.yaml:5:\d+: .*librdkafka \S+ says: Invalid")

    def test_denied_with_the_reason(self):
        self.check(", kafka.plugin.library.paths: /x.so", "it loads code into the process")
        self.check(", kafka.sasl.kerberos.kinit.cmd: date", "it runs a shell command")
        self.check(", kafka.acks: 1", "once all replicas in sync have it")

    def test_password_is_never_shown(self):
        self.write("orders", ", kafka.sasl.mechanism: PLAIN, kafka.security.protocol: "
                   "sasl_plaintext, kafka.sasl.username: u, kafka.sasl.password: canary1")
        path = self.folder / "pipeline.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("linger.ms=0", "sasl.password=canary2"), encoding="utf-8")
        self.put(['{"n":1,"customer":"a"}'])
        commands = (["check"], ["run", "--log-level", "debug"], ["dlq", "list"])
        with concurrent.futures.ThreadPoolExecutor() as pool:  # they wait side by side
            for done in pool.map(self.run_apart, commands):
                self.assertNotIn("canary", done.stdout + done.stderr)

    def run_apart(self, words):
        """In a folder of its own."""
        folder = self.folder / words[0]
        folder.mkdir()
        for name in ("pipeline.yaml", "orders.jsonl"):
            shutil.copy(self.folder / name, folder)
        return run([*words, "pipeline.yaml"], folder)


if __name__ == "__main__":
    unittest.main()
