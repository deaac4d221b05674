"""A redis-server of its own for each test, on a Unix socket, and the command run against it."""
import os
import signal
import subprocess
import tempfile
import time

from command_case import DEADLINE_S, CommandCase


class RedisCase(CommandCase):
    settings = []

    def setUp(self):
        super().setUp()
        # a Unix socket's path is short
        directory = tempfile.TemporaryDirectory(prefix="strid-redis-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.scratch = directory.name
        self.socket = os.path.join(directory.name, "socket")
        self.start_server()

    def strid(self, *words, **kind):
        """No password of a test, which all begin like this, is in what the command says."""
        done = super().strid(*words, **kind)
        self.assertNotIn("canary", done.out + done.err, words)
        return done

    def start_server(self):
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir",
             self.scratch, *self.settings], stdout=subprocess.DEVNULL)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.wait(lambda: self.redis("PING", check=False) == "PONG", "an answer of the server")

    def wait(self, condition, what):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"no {what} within {DEADLINE_S} s")

    def end(self, process):
        """By SIGTERM, and well; one that has just begun would be killed by it."""
        def takes_it():
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                caught, = (line for line in status if line.startswith("SigCgt:"))
            return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1 == 1
        self.wait(takes_it, "handler of SIGTERM")
        process.terminate()
        self.assertEqual(process.wait(timeout=DEADLINE_S), 0)

    def redis(self, *words, check=True):
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True,
                              text=True, check=check, timeout=DEADLINE_S)
        return done.stdout.strip()

    def url(self, stream, more=""):
        return f"redis:///{stream}?socket={self.socket}{more}"

    def entries(self, stream):
        """[{field: value}, ...], oldest first; fields and values of one line each."""
        words = self.redis("--json", "XRANGE", stream, "-", "+")
        import json
        return [dict(zip(fields[::2], fields[1::2])) for _, fields in json.loads(words)]
