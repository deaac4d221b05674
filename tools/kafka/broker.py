#!/usr/bin/env python3
"""A real Kafka broker for tests: one KRaft node on loopback, from Maven's jars.

    broker.py [--kafka VERSION] fetch       brings the jars, prints their folder
    broker.py [--kafka VERSION] run DIR     runs a broker whose data lie in DIR until it is stopped

As a module: Broker(folder).start(), .kill(), .stop(), .tool(). A broker keeps its ports as long as
its folder lives, so that clients find it again after kill() and start(). It dies with the thread
that started it. Broker(folder, passwords={...}) takes TLS and logins, too: see security.py; `ports`
has its ports by listener. The jars lie in $XDG_CACHE_HOME/strid/kafka/VERSION (else ~/.cache).
"""
import argparse
import base64
import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import security

VERSION = "4.1.1"
HERE = pathlib.Path(__file__).resolve().parent
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
# Below the ports that the kernel hands to outgoing connections: none can take the port of a broker
# that is being restarted.
PORTS = range(20000, 30000)
START_S = 120
STOP_S = 60
FETCH_S = 900
TOOL_S = 120


class BrokerError(Exception):
    """What went wrong, where, and what to do."""


def jars(version=VERSION):
    """The folder with the jars of a version, brought once; safe for several callers at a time."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "strid" / "kafka" / version
    if folder.is_dir():
        return folder
    for command, package in (("mvn", "maven"), ("java", "openjdk-17-jre-headless")):
        if shutil.which(command) is None:
            raise BrokerError(f"{command} is missing, it brings or runs Kafka {version}: "
                              f"apt-get install {package}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{version}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            fetch(version, folder)
    return folder


def fetch(version, folder):
    """Copies the jars beside the folder and renames: a folder that is there is complete."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        words = ["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), f"-Dkafka={version}", PLUGIN,
                 "-DincludeScope=runtime", f"-DoutputDirectory={scratch}/jars"]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=FETCH_S, check=False)
        if done.returncode != 0:
            raise BrokerError(f"Maven could not bring Kafka {version} (exit {done.returncode}). Is "
                              f"the network there? Its last words:\n{done.stdout[-2000:]}")
        os.rename(f"{scratch}/jars", folder)


def die_with_parent():
    """In the child, before exec: a test that is killed leaves no broker behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def free_ports(count):
    """Ports that nothing listens on, from a place that differs between processes."""
    found = []
    for step in range(len(PORTS)):
        port = PORTS[(os.getpid() * 7 + step) % len(PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise BrokerError(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")


def cluster_id():
    """As Kafka writes one: 16 random bytes in base64, for URLs and without what fills up."""
    return base64.urlsafe_b64encode(os.urandom(16)).decode("ascii").rstrip("=")


class Broker:
    """One broker and its folder. One thread at a time. `advertised`: a port that clients are sent
    to instead of the broker's own, where something stands between."""

    def __init__(self, folder, version=VERSION, heap="512m", advertised=None, passwords=None):
        self.advertised = advertised
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.version = version
        self.heap = heap
        self.classpath = f"{jars(version)}/*"
        self.security = passwords and security.Security(self.folder / "security", passwords)
        self.ports = {}  # of the listeners of `security`
        self.process = None
        self.lock = None
        self.port = None

    @property
    def bootstrap(self):
        """What clients connect to; known after the first start()."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.folder / "broker.log"

    def start(self):
        """Starts the broker and waits until it answers clients."""
        if self.process is not None:
            raise BrokerError(f"the broker in {self.folder} runs already, pid {self.process.pid}")
        self._own()
        try:
            config = self._configure()
            words = [*self._java(f"-Xmx{self.heap}"), "kafka.Kafka", config]
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, preexec_fn=die_with_parent)
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise
        return self

    def kill(self):
        """kill -9, as a crash does it; the data stay."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self._disown()

    def stop(self):
        """An orderly stop; past the deadline a kill, which is said."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print(f"broker: no orderly stop within {STOP_S} s, killed", file=sys.stderr)
        self.kill()

    def tool(self, name, *words):
        """Runs a class of Kafka's tools, such as org.apache.kafka.tools.TopicCommand."""
        done = subprocess.run([*self._java("-Xmx128m"), name, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=TOOL_S, check=False)
        if done.returncode != 0:
            raise BrokerError(f"{name} {' '.join(words)}: exit {done.returncode}: "
                              f"{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    def create_topic(self, topic, partitions, **settings):
        words = ["--bootstrap-server", self.bootstrap, "--create", "--topic", topic,
                 "--partitions", str(partitions), "--replication-factor", "1"]
        for name, value in settings.items():
            words += ["--config", f"{name.replace('_', '.')}={value}"]
        self.tool("org.apache.kafka.tools.TopicCommand", *words)

    def end_offsets(self, topic):
        """The log end of each partition of a topic."""
        lines = self.tool("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server",
                          self.bootstrap, "--topic", topic).split()
        return {int(line.split(":")[1]): int(line.split(":")[2]) for line in lines}

    def _java(self, *options):
        """One quick compiler, and one thread that collects: tests wait for the start."""
        return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *options,
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self.classpath]

    def _own(self):
        self.lock = open(self.folder / "lock", "w", encoding="ascii")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._disown()
            raise BrokerError(f"another broker uses {self.folder}: stop it, or take another "
                              "folder") from error

    def _disown(self):
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def _configure(self):
        """Writes the configuration and formats the log folder at the first start."""
        ports = self.folder / "ports.json"
        fresh = not ports.exists()
        count = 2 + (len(security.LISTENERS) if self.security else 0)
        numbers = free_ports(count) if fresh else json.loads(ports.read_text(encoding="ascii"))
        self.port = numbers[0]
        self.ports = dict(zip(security.LISTENERS, numbers[2:]))
        text = (HERE / "server.properties.in").read_text(encoding="ascii")
        for name, value in (("@PORT@", numbers[0]), ("@CONTROLLER_PORT@", numbers[1]),
                            ("@ADVERTISED@", self.advertised or numbers[0]),
                            ("@LOGS@", self.folder / "logs")):
            text = text.replace(name, str(value))
        if self.security:
            text = self._secure(text, fresh)
        config = self.folder / "server.properties"
        config.write_text(text, encoding="utf-8")
        if fresh:
            self.tool("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id()}", "-c",
                      str(config), "--ignore-formatted",
                      *(self.security.format_words() if self.security else []))
            # Written last: a format that was cut off is done again.
            ports.write_text(json.dumps(numbers), encoding="ascii")
        return str(config)

    def _secure(self, text, fresh):
        """The configuration with a listener for each protocol behind the others."""
        if fresh:
            self.security.make()
        lines = []
        for line in text.splitlines():
            if line.startswith(("listeners=", "advertised.listeners=")):
                line += "".join(f",{name}://127.0.0.1:{port}" for name, port in self.ports.items())
            elif line.startswith("listener.security.protocol.map="):
                line += "".join(f",{name}:{name}" for name in self.ports)
            lines.append(line)
        return "\n".join([*lines, *self.security.lines(), ""])

    def _wait_until_it_answers(self):
        end = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None:
                raise BrokerError(f"the broker ended with {self.process.returncode}; its last "
                                  f"words:\n{self._last_words()}")
            if time.monotonic() > end:
                raise BrokerError(f"the broker does not answer after {START_S} s; its last "
                                  f"words:\n{self._last_words()}")
            time.sleep(0.05)

    def _answers(self):
        """An ApiVersions request, version 0: only a broker that serves clients answers it."""
        request = struct.pack(">hhih", 18, 0, 1, -1)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                client.sendall(struct.pack(">i", len(request)) + request)
                reply = client.recv(4096)
        except OSError:
            return False
        return len(reply) >= 10 and struct.unpack(">ih", reply[4:10]) == (1, 0)

    def _last_words(self):
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


def run(version, folder):
    """Until SIGINT or SIGTERM, or until the broker ends by itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    broker = Broker(folder, version).start()
    try:
        print(f"Kafka {version} at {broker.bootstrap}, pid {broker.process.pid}", flush=True)
        code = broker.process.wait()
        raise BrokerError(f"the broker ended with {code}: see {broker.log}")
    except KeyboardInterrupt:
        return
    finally:
        broker.stop()


def main():
    parser = argparse.ArgumentParser(description="A real Kafka broker for tests.")
    parser.add_argument("--kafka", default=VERSION, metavar="VERSION")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="bring the jars, print their folder")
    commands.add_parser("run", help="run a broker until it is stopped").add_argument("folder")
    options = parser.parse_args()
    try:
        if options.command == "fetch":
            print(jars(options.kafka))
        else:
            run(options.kafka, options.folder)
    except BrokerError as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
