"""A cluster of librdkafka's own that answers with errors: tests/support/kafka_mock.c."""
import subprocess

# Numbers of Kafka's protocol.
PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH = 0, 1, 2, 3, 8, 9
FIND_COORDINATOR, INIT_PRODUCER_ID = 10, 22
CUT = -195  # the connection, in the place of an answer
# Those that come and go, by what is asked.
LEADER = {"unknown topic or partition": 3, "leader not available": 5, "not leader": 6,
          "timed out": 7, "broker not available": 8, "replica not available": 9,
          "network exception": 13, "storage error": 56, "fenced leader epoch": 74,
          "unknown leader epoch": 75}
READING = {**LEADER, "offset not available": 78, "unknown server error": -1, "cut": CUT}
WRITING = {"unknown topic or partition": 3, "leader not available": 5, "not leader": 6,
           "timed out": 7, "network exception": 13, "too few replicas": 19,
           "too few replicas after append": 20, "storage error": 56, "cut": CUT}
COORDINATOR = {"loading": 14, "not available": 15, "not coordinator": 16, "cut": CUT}


class Mock:
    """One broker, in a process of its own. One thread at a time."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.brokers = self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise AssertionError(f"kafka_mock ended at {words}")
        return answer

    def push(self, api, *codes, count=1):
        self.ask("errors", api, count, *codes)

    def push_late(self, api, ms, code=0, count=1):
        self.ask("late", api, count, code, ms)

    def left(self, api):
        return int(self.ask("left", api))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()
