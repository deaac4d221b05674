"""A proxy on loopback in front of a broker, which cuts what goes through it."""
import contextlib
import socket
import struct
import threading

PIECE = 1 << 16


def reset(connection):
    """The other end sees a reset, also in the middle of a message."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
    connection.close()


class Proxy:
    """Connections to `port` go on to `target`. A thread for each direction of each."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = None
        self.lock = threading.Lock()  # guards `open`
        self.open = set()  # pairs
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                reset(client)
                continue
            pair = (client, server)
            with self.lock:
                self.open.add(pair)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self._move, args=(pair, source, sink), daemon=True).start()

    def _move(self, pair, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                sink.sendall(data)
        self._end(pair)

    def _end(self, pair):
        with self.lock:
            if pair not in self.open:
                return
            self.open.remove(pair)
        for connection in pair:
            reset(connection)

    def cut(self):
        """All that are open, at once."""
        with self.lock:
            pairs = list(self.open)
        for pair in pairs:
            self._end(pair)

    def close(self):
        reset(self.listener)
        self.cut()
