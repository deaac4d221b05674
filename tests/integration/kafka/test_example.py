"""The worked example of docs/connectors/kafka.md does what that page says."""
import os
import pathlib
import re
import subprocess
import unittest

import kafka_case

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "connectors" / "kafka.md"
BROKER = "127.0.0.1:9092"


class Example(kafka_case.OnTheBroker):
    def test_does_what_the_page_says(self):
        part = PAGE.read_text(encoding="utf-8").split("## Worked example\n")[1].split("\n## ")[0]
        part = part.replace(BROKER, self.brokers)
        pipeline, commands = (re.search(rf"```{kind}\n(.*?)```", part, re.DOTALL)[1]
                              for kind in ("yaml", "sh"))
        name = re.search(r"write\s+`(\S+\.yaml)`", part)[1]
        topic, partitions = re.search(r"--topic (\S+) --partitions (\d+)", part).groups()
        self.tool("create", topic, partitions)
        (self.folder / name).write_text(pipeline, encoding="utf-8")
        path = f"{pathlib.Path(kafka_case.STRID).parent}:{os.environ['PATH']}"
        done = subprocess.run(["sh", "-eux", "-c", commands], cwd=self.folder, text=True,
                              env={**os.environ, "PATH": path}, capture_output=True,
                              timeout=kafka_case.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^anna.*\b2$|^2$")
        self.assertRegex(done.stdout, r"(?m)^anna.*\b7\.5$|^7\.5$")
        self.assertRegex(done.stdout, r"shop-orders\b.*\b0\b")
        self.assertRegex(done.stdout, r"not_json")
        self.assertIn("1 dead-lettered", done.stderr)
        self.assertIn("4 records", done.stderr)
        again = kafka_case.run(["run", name], self.folder)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn(": 0 records", again.stderr)
        self.assertEqual(sum(self.ends(f"{topic}-dlq").values()), 1)


if __name__ == "__main__":
    unittest.main()
