"""A connection that speaks just enough RESP to fill a server, to try a contender and to sit idle.

It does no load: that is redis-benchmark's. Replies of both protocols are read whole.
"""

import socket

from .processes import LOOPBACK


class Refused(Exception):
    """An error reply."""


class Conversation:
    """One client. Closed when its context is left."""

    def __init__(self, port, seconds_max=10.0):
        self._socket = socket.create_connection((LOOPBACK, port), seconds_max)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it; once is enough."""
        self._socket.close()

    def ask(self, *words):
        """Sends one command and gives its reply; an error reply is raised."""
        self.send([words])
        return self.reply()

    def send(self, commands):
        """Sends many at once, whose replies are to be read one by one."""
        self._socket.sendall(b"".join(encode(words) for words in commands))

    def reply(self):
        """The next reply: bytes, a number, a list or nothing."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind in b"+,#(":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise Refused(rest.decode(errors="replace"))
        if kind == b"_" or rest == b"-1":
            return None
        if kind in b"$=":
            return self._exactly(int(rest) + 2)[:-2]
        if kind in b"*~>":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return [self.reply() for _ in range(2 * int(rest))]
        raise ConnectionError(f"no reply: {line[:40]!r}")

    def _line(self):
        while b"\r\n" not in self._input:
            self._more()
        line, _, self._input = self._input.partition(b"\r\n")
        return line

    def _exactly(self, length):
        while len(self._input) < length:
            self._more()
        found, self._input = self._input[:length], self._input[length:]
        return found

    def _more(self):
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self._input += part


def encode(words):
    """A command as clients send it."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    head = b"*%d\r\n" % len(parts)
    return head + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
