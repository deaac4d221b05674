"""A proxy on loopback in front of a real broker that answers some requests itself, with errors, or
loses the broker's answer. Knows the versions of requests that librdkafka 2.0 sends."""
import collections
import contextlib
import socket
import struct
import threading

PRODUCE, FETCH, FIND_COORDINATOR, DELETE_RECORDS, INIT_PRODUCER_ID = 0, 1, 10, 21, 22
ADD_PARTITIONS_TO_TXN, END_TXN = 24, 26
# In the place of a code of Kafka's: the connection is cut before the broker has the request, or
# when it has done what was asked. A function is called, then the request goes on.
CUT, LOST = "cut", "lost"
HIGHEST = {PRODUCE: 7, FIND_COORDINATOR: 2, DELETE_RECORDS: 1, INIT_PRODUCER_ID: 4,
           ADD_PARTITIONS_TO_TXN: 0, END_TXN: 1}


class Request:
    """Its head, then a cursor over the rest."""

    def __init__(self, frame):
        self.frame, self.at = frame, 0
        self.api, self.version, self.number = self.take("hhi")
        self.text()  # the client's name

    def take(self, form):
        found = struct.unpack_from(f">{form}", self.frame, self.at)
        self.at += struct.calcsize(f">{form}")
        return found

    def text(self):
        begun = self.at
        length, = self.take("h")
        self.at += max(length, 0)
        return self.frame[begun:self.at]

    def by_partition(self, answer):
        """The answer's list of topics: `answer` takes a partition from the request."""
        count, = self.take("i")
        said = struct.pack(">i", count)
        for _ in range(count):
            said += self.text()
            partitions, = self.take("i")
            said += struct.pack(">i", partitions) + b"".join(answer() for _ in range(partitions))
        return said


def produced(request, code):
    partition, length = request.take("ii")
    request.at += length
    return struct.pack(">ihqqq", partition, code, -1, -1, -1)


def refuse(request, code):
    """An answer of that kind which says `code`."""
    if request.version > HIGHEST[request.api]:
        raise AssertionError(f"request {request.api} of version {request.version} is not known")
    if request.api == FIND_COORDINATOR:
        return struct.pack(">ihhihi", 0, code, -1, -1, 0, -1)
    if request.api == END_TXN:
        return struct.pack(">ih", 0, code)
    if request.api == INIT_PRODUCER_ID:  # from version 2 on with tags
        tags = b"\0" if request.version >= 2 else b""
        return tags + struct.pack(">ihqh", 0, code, -1, -1) + tags
    if request.api == PRODUCE:
        request.text()
        request.take("hi")
        return request.by_partition(lambda: produced(request, code)) + struct.pack(">i", 0)
    if request.api == ADD_PARTITIONS_TO_TXN:
        request.text()
        request.take("qh")
        return struct.pack(">i", 0) + request.by_partition(
            lambda: struct.pack(">ih", request.take("i")[0], code))
    return struct.pack(">i", 0) + request.by_partition(
        lambda: struct.pack(">iqh", request.take("iq")[0], -1, code))


def frames(connection):
    with connection, connection.makefile("rb") as file:
        while len(size := file.read(4)) == 4:
            yield file.read(struct.unpack(">i", size)[0])


def send(connection, frame):
    connection.sendall(struct.pack(">i", len(frame)) + frame)


class Between:
    """Clients that are sent to `address` stay with it: the broker's own is replaced in answers."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        own = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{own}"
        self.places = [b"127.0.0.1" + struct.pack(">i", number) for number in (port, own)]
        self.errors = collections.defaultdict(collections.deque)  # by api
        threading.Thread(target=self._accept, daemon=True).start()

    def push(self, api, *codes):
        self.errors[api].extend(codes)

    def left(self):
        """What was not answered yet, which is taken back."""
        found = {api: list(codes) for api, codes in self.errors.items() if codes}
        self.errors.clear()
        return found

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                lost = set()  # requests whose answer is
                for move, source in ((self._ask, client), (self._answer, server)):
                    threading.Thread(target=self._run, daemon=True,
                                     args=(move, source, (client, server), lost)).start()

    @staticmethod
    def _run(move, source, pair, lost):
        with contextlib.suppress(OSError):
            for frame in frames(source):
                if not move(frame, pair, lost):
                    break
        for connection in pair:
            with contextlib.suppress(OSError):  # the other one wakes, and closes its own
                connection.shutdown(socket.SHUT_RDWR)

    def _ask(self, frame, pair, lost):
        request = Request(frame)
        codes = self.errors.get(request.api)
        code = codes.popleft() if codes else None
        if callable(code):
            code()
            code = None
        if code == CUT:
            return False
        if code == LOST:
            lost.add(request.number)
        if code in (None, LOST):
            send(pair[1], frame)
        else:
            send(pair[0], struct.pack(">i", request.number) + refuse(request, code))
        return True

    def _answer(self, frame, pair, lost):
        if struct.unpack_from(">i", frame)[0] in lost:
            return False
        send(pair[0], frame.replace(*self.places))
        return True
