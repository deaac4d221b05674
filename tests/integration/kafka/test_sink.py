"""The Kafka sink on a real broker: outputs, dead letters, a broker that dies, refused settings."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.environ["STRID_KAFKA_TOOLS"])
import broker  # noqa: E402

STRID = os.environ["STRID_COMMAND"]
VERSION = os.environ.get("STRID_KAFKA_VERSION", broker.VERSION)
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


def run(words, folder, timeout=120):
    return subprocess.run([STRID, *words], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          check=False)


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
        cls.scratch = tempfile.TemporaryDirectory(prefix="strid-kafka-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.broker = broker.Broker(cls.scratch.name, VERSION)
        cls.addClassCleanup(cls.broker.kill)
        cls.broker.start()
        cls.brokers = cls.broker.bootstrap

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

    def test_broker_that_dies_while_outputs_are_under_way(self):
        self.broker.create_topic("later", 1)
        self.write("later")
        self.put(self.orders(0))
        self.assertEqual(run(["run", "pipeline.yaml"], self.folder).returncode, 0)
        self.put(self.orders(RECORDS))
        self.broker.kill()
        with subprocess.Popen([STRID, "run", "pipeline.yaml", "--log-level", "debug"],
                              cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            for line in process.stderr:  # until librdkafka says that nobody is there
                if "refused" in line:
                    break
            self.broker.start()
            rest = process.stderr.read()
            self.assertEqual(process.wait(timeout=120), 0, rest)
        seen = [json.loads(line[3])["n"] for line in self.read("later", 2 * RECORDS)]
        by_key = {k: [n for n in seen if n % 7 == k] for k in range(7)}
        self.assertEqual(by_key, {k: list(range(k, 2 * RECORDS, 7)) for k in range(7)})

    def test_dead_letters_are_listed_and_shown(self):
        self.broker.create_topic("dead", 1)
        self.broker.create_topic("kept", 1)
        self.write("kept", dlq="dead")
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
        for words in (["check"], ["run", "--log-level", "debug"], ["dlq", "list"]):
            done = run([*words[:2 if words[0] == "dlq" else 1], "pipeline.yaml",
                        *(words[1:] if words[0] == "run" else [])], self.folder)
            self.assertNotIn("canary", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
