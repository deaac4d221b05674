"""TLS, PLAIN and SCRAM against a real broker, and passwords that nothing shows: no verb, no log
line, no error, no list of processes."""
import ctypes
import json
import os
import pathlib
import subprocess
import threading
import time
import unittest

from kafka_case import DEADLINE_S, OnTheBroker, STRID
from shared_broker import PASSWORDS

USER = "strid"
SENDS_NONCE_ONCE = ctypes.CDLL("librdkafka.so.1").rd_kafka_version() >= 0x020601ff
VERBS = """\
name: secured
source:
  url: "kafka://@P/secured?group=secured"
  follow: false
  format: jsonl
@S
state: { url: "rocksdb:./state" }
sink:
  out:
    url: "kafka://@P/secured-out"
@S
handlers:
  - on: "*"
    forward: { to: out }
"""


class Secured(OnTheBroker):
    def setUp(self):
        super().setUp()
        self.secrets = {name: self.folder / f"{name}.secret" for name in PASSWORDS}
        for name, path in self.secrets.items():
            path.write_text(PASSWORDS[name] + "\n", encoding="ascii")
        self.files = pathlib.Path(self.broker.security.folder)

    def properties(self, protocol, mechanism=None, **other):
        """As a user gives them: no password stands in it."""
        found = {"security.protocol": protocol.lower(), "ssl.ca.location": self.files / "ca.pem"}
        if protocol == "SASL_PLAINTEXT":
            del found["ssl.ca.location"]
        if protocol == "SSL":
            found |= {"ssl.certificate.location": self.files / "client.pem",
                      "ssl.key.location": self.files / "client.key",
                      "ssl.key.password": f"${{file:{self.secrets['key']}}}"}
        if mechanism is not None:
            found |= {"sasl.mechanism": mechanism, "sasl.username": USER,
                      "sasl.password": f"${{file:{self.secrets[mechanism]}}}"}
        return found | {name.replace("_", "."): value for name, value in other.items()}

    def url(self, topic, protocol, mechanism=None, more="", **other):
        options = "&".join(f"kafka.{name}={value}" for name, value in
                           self.properties(protocol, mechanism, **other).items())
        return f"kafka://127.0.0.1:{self.broker.ports[protocol]}/{topic}?{options}{more}"

    def start_strid(self, *words, given=None):
        return subprocess.Popen([STRID, *words], cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.PIPE,
                                env=dict(os.environ, SECRET=PASSWORDS["PLAIN"]))

    def finish(self, process, given="", code=0):
        command = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
        out, err = process.communicate(given, timeout=DEADLINE_S)
        self.assertEqual(process.returncode, code, err)
        self.assertNotIn(b"canary", command)
        self.assertNotIn("canary", out + err)
        return out, err

    def strid(self, *words, given="", code=0):
        return self.finish(self.start_strid(*words), given, code)

    def go_in(self, topic, ways):
        self.tool("create", topic, 1)
        for number, way in enumerate(ways):
            self.strid("produce", self.url(topic, *way), "--log-level", "debug",
                       given=f"{number}\n")
            out, _ = self.strid("consume", self.url(topic, *way, debug="all"), "-e", "--log-level",
                                "debug")
            self.assertEqual(out.split(), [str(n) for n in range(number + 1)], way)

    def refused_soon(self, urls):
        """URL: exit code and words. All at a time, as each waits; how long they took."""
        begun = time.monotonic()
        started = [self.start_strid("consume", url, "-e") for url in urls]
        for process, (code, words) in zip(started, urls.values()):
            _, err = self.finish(process, code=code)
            for word in words:
                self.assertIn(word, err)
        return time.monotonic() - begun

    def wrong_password(self):
        path = self.folder / "wrong"
        path.write_text("canary-wrong", encoding="ascii")
        return f"${{file:{path}}}"


class Scram(Secured):
    """Kafka 4 refuses what librdkafka before 2.6.1 sends; Kafka 3.9 does not."""
    OWN_BROKER = True
    VERSION = "3.9.1"

    def test_scram(self):
        self.go_in("ways", [("SASL_SSL", "SCRAM-SHA-256"), ("SASL_SSL", "SCRAM-SHA-512"),
                            ("SASL_PLAINTEXT", "SCRAM-SHA-256")])

    def test_wrong_password(self):
        words = ["were reached, but", "SASL authentication error", "check kafka.sasl"]
        urls = {self.url("t", "SASL_SSL", name, sasl_password=self.wrong_password()): (2, words)
                for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")}
        self.assertLess(self.refused_soon(urls), 14)


class Secrets(Secured):
    def test_certificate_and_plain(self):
        self.go_in("ways", [("SSL", None), ("SASL_SSL", "PLAIN"), ("SASL_PLAINTEXT", "PLAIN")])

    def write_verbs(self, **other):
        lines = [f'  kafka.{name}: "{value}"' for name, value in
                 self.properties("SASL_SSL", "PLAIN", **other).items()]
        source = "\n".join(lines)
        text = VERBS.replace("@P", f"127.0.0.1:{self.broker.ports['SASL_SSL']}")
        first, second = text.split("@S\nstate")
        second = second.replace("@S", source.replace("  kafka", "    kafka"))
        text = f"{first}{source}\nstate{second}"
        (self.folder / "p.yaml").write_text(text, encoding="utf-8")

    def tap(self, topic):
        """Where it begins is settled some time after it is started: records come until it ends."""
        url = self.url(topic, "SASL_SSL", "PLAIN", debug="all")
        process = self.start_strid("tap", url, "-c", "1", "--log-level", "debug")
        shown = threading.Event()

        def put():
            while not shown.wait(0.2):
                self.tool("produce", topic, lines=["0\tk\tnew"])
        thread = threading.Thread(target=put)
        thread.start()
        try:
            return self.finish(process)
        finally:
            shown.set()
            thread.join()

    def test_no_verb_shows_a_secret(self):
        for topic in ("secured", "secured-out", "secured-tap"):
            self.tool("create", topic, 1)
        self.tool("produce", "secured", lines=['0\tk\t{"n":1}', "0\tk\tno json"])
        self.write_verbs(sasl_password="${SECRET}", debug="all")
        self.strid("check", "p.yaml")
        _, err = self.strid("run", "p.yaml", "--log-level", "debug")
        self.assertIn("1 dead-lettered", err)
        self.assertIn("SASL", err, "librdkafka's own lines are there")
        self.assertNotIn("sasl.username = ", err, "the dump of its configuration is not")
        self.write_verbs(debug="all")  # the password from a file
        self.strid("check", "p.yaml")
        letter = json.loads(self.strid("dlq", "list", "p.yaml", "--json")[0])
        self.assertEqual(letter["value"], "no json")
        self.strid("dlq", "show", "p.yaml", "1", "--log-level", "debug")
        self.strid("dlq", "replay", "p.yaml", "--all", "--yes", "--log-level", "debug")
        url = self.url("secured", "SASL_SSL", "PLAIN", "&group=secured", debug="all")
        for words in (("topics", url), ("groups", url), ("lag", "p.yaml"), ("lag", url),
                      ("consume", url, "-e"), ("consume", url, "-e", "-J")):
            self.strid(*words, "--log-level", "debug")
        url = self.url("secured", "SASL_SSL", "PLAIN", debug="all")
        self.strid("produce", url, "--log-level", "debug", given="x\n")
        self.assertEqual(self.ends("secured"), {0: 5}, "2, 1 handed back, its commit, 1")
        for words in (("reset", url + "&group=secured", "--to", "earliest", "--yes"),
                      ("reset", "p.yaml", "--to", "earliest", "--yes"),
                      ("dlq", "purge", "p.yaml", "--all", "--yes")):
            _, err = self.strid(*words, "--log-level", "debug")
            self.assertIn("SASL", err, words)
        out, err = self.tap("secured-tap")
        self.assertEqual(out, "new\n")
        self.assertIn("SASL", err)

    def test_wrong_password_and_wrong_authority_are_told_soon(self):
        authority = self.files / "other-ca.pem"
        login = ["were reached, but", "SASL authentication error", "check kafka.sasl.mechanism"]
        trust = ["were reached, but", "SSL handshake failed", "certificate verify failed",
                 "kafka.ssl.ca.location"]
        password = self.wrong_password()
        urls = {self.url("t", "SASL_SSL", "PLAIN", sasl_password=password): (2, login),
                self.url("t", "SASL_SSL", "PLAIN", ssl_ca_location=authority): (2, trust)}
        if not SENDS_NONCE_ONCE and self.broker.version.startswith("4"):
            urls[self.url("t", "SASL_SSL", "SCRAM-SHA-512")] = (2, ["cannot log in by SCRAM"])
        taken = self.refused_soon(urls)
        self.assertLess(taken, 14, "a login that is refused is not tried for 15 s")

    def test_wrong_protocol_names_it(self):
        """Nothing says that these will not be let in later, so they wait."""
        plain = self.url("t", "SSL", security_protocol="plaintext")
        without = self.url("t", "SASL_PLAINTEXT", security_protocol="plaintext")
        self.refused_soon({plain: (3, ["no answer from the brokers", "security.protocol"]),
                           without: (3, ["no answer from the brokers", "security.protocol"])})


if __name__ == "__main__":
    unittest.main()
