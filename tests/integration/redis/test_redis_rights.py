#!/usr/bin/env python3
"""Each command as a Redis user with just the rights that docs/connectors/redis.md names for it, and
with one of them missing."""
import os
import re

from command_case import main
from redis_case import RedisCase

PIPELINE = """\
name: orders
source: { url: "redis:///s?socket=PATH&group=g&user=strid&password=secret", format: jsonl }
state: { url: "rocksdb:./state" }
handlers:
  - { on: "*", count: { store: seen } }
"""
# Who does not have these is told less, or needs them only where something is pending.
SPARED = ("+xack",)


def documented():
    """{words of a command: its rights}"""
    with open(os.path.join(os.environ["STRID_DOCS"], "connectors/redis.md"),
              encoding="utf-8") as file:
        section = file.read().partition("### Rights of each command")[2].partition("\n#")[0]
    found = {}
    for line in re.findall(r"^- (.*)$", section, re.M):
        for part in line.split(";"):
            names, _, rights = part.partition(": ")
            own = " ".join(re.findall(r"`(\+[^`]*)`", rights)).split()
            for other in re.findall(r"those of `([^`]*)`", rights):
                own = found[other] + own
            for name in re.findall(r"`([^`]*)`", names):
                found[name] = own
    return found


class Rights(RedisCase):
    def setUp(self):
        super().setUp()
        self.write("p.yaml", PIPELINE.replace("PATH", self.socket))
        self.prepare()

    def prepare(self):
        self.redis("FLUSHALL")
        for n in (1, 2, 3):
            self.redis("XADD", "s", f"{n}-0", "n", str(n))
        self.redis("XGROUP", "CREATE", "s", "g", "2-0")
        self.redis("XADD", "s-dlq", "*", "id", "i", "source", "redis:", "topic", "s", "position",
                   "1-0", "reason", "rejected", "value", '{"n":"1"}')

    def allow(self, rights):
        self.redis("ACL", "SETUSER", "strid", "reset", "on", ">secret", "~s", "~s-dlq",
                   "+client|setname", *rights)

    def words(self, name):
        """The command, for its stream or its pipeline file."""
        verb, *flags = name.split()
        url = self.url("s", "&user=strid&password=secret&group=g")
        if verb == "dlq":
            return ["dlq", flags[0], "p.yaml", *{"list": [], "show": []}.get(
                flags[0], ["--all", "--yes"])]
        if verb == "status":
            return ["status", "p.yaml"]
        if verb == "produce":
            return ["produce", self.url("s", "&user=strid&password=secret")]
        if verb == "reset":
            return ["reset", url, *(flags or ["--to", "earliest"]), "--yes"]
        if verb == "tap":
            return ["tap", url, "-e"]
        return [verb, url, *flags, *(["-e"] if verb == "consume" else [])]

    def test_each_command_with_its_rights_and_with_one_less(self):
        commands = documented()
        for verb in ("produce", "consume", "tap", "topics", "groups", "lag", "status", "reset",
                     "dlq list", "dlq show", "dlq purge", "dlq replay"):
            self.assertIn(verb, commands)
        for name, rights in commands.items():
            with self.subTest(name):
                self.prepare()
                self.allow(rights)
                self.strid(*self.words(name), given=b"{}\n")
                for missing in rights:
                    if missing in SPARED:
                        continue
                    self.prepare()
                    self.allow([right for right in rights if right != missing])
                    # within a script, and for single lines, the refusal is not the connection's
                    code = 1 if name in ("produce", "dlq replay") and missing != "+eval" and \
                        missing != "+xrange" else 2
                    done = self.strid(*self.words(name), given=b"{}\n", code=code)
                    self.assertRegex(done.err, "ACL|can't run this command", missing)
                    self.assertNotIn("secret", done.err)


if __name__ == "__main__":
    main()
