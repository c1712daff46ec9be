"""What a process says to PostgreSQL: every statement, and every wait for an answer.

A tap stands between the process and the server, forwards every byte and reads the messages of the
client (https://www.postgresql.org/docs/current/protocol-message-formats.html).
"""

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from chat.sql import load_statements
from tests.rig.proxy import find_postgres_socket

_LENGTH = struct.Struct("!i")


class Tap:
    """The statements that were run, in order, and the number of round trips they took.

    It counts what sessions do that have the name of the application. What other sessions run, for
    which no answer waits, is kept apart.
    """

    def __init__(self, application: str) -> None:
        self.application = application
        self.statements: list[str] = []
        """Each by its name in `chat/sql/statements`, or as its text where it is none of these."""
        self.round_trips = 0
        """How often the client ended what it sent with a wait for the server (Sync, or Query)."""
        self.statements_of_others: list[str] = []

    def clear(self) -> None:
        """Forget what was counted."""
        self.statements.clear()
        self.statements_of_others.clear()
        self.round_trips = 0


class _Reader:
    """The messages of one client, put together from the bytes that pass."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._bytes = bytearray()
        self._has_started = False
        self._is_counted = False
        self._prepared: dict[bytes, str] = {}
        self._bound: dict[bytes, str] = {}

    def read(self, data: bytes) -> None:
        """Take the next bytes, and note what they complete."""
        self._bytes += data
        while (message := self._take()) is not None:
            self._note(*message)

    def _take(self) -> tuple[bytes, bytes] | None:
        head = 1 if self._has_started else 0
        if len(self._bytes) < head + _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes, head)
        if len(self._bytes) < head + length:
            return None
        kind, body = bytes(self._bytes[:head]), bytes(self._bytes[head + 4 : head + length])
        del self._bytes[: head + length]
        self._has_started = True  # the first message, without a kind, opens the session
        return kind, body

    def _note(self, kind: bytes, body: bytes) -> None:
        match kind:
            case b"":
                parameters = body.split(b"\0")
                self._is_counted = self._tap.application.encode() in parameters
            case b"P":
                name, text, _ = body.split(b"\0", 2)
                self._prepared[name] = name_statement(text.decode())
            case b"B":
                portal, name, _ = body.split(b"\0", 2)
                self._bound[portal] = self._prepared[name]
            case b"E":
                self._count(self._bound[body.split(b"\0", 1)[0]])
            case b"Q":
                self._count(name_statement(body.rstrip(b"\0").decode()))
                self._tap.round_trips += self._is_counted
            case b"S":
                self._tap.round_trips += self._is_counted

    def _count(self, statement: str) -> None:
        tap = self._tap
        (tap.statements if self._is_counted else tap.statements_of_others).append(statement)


@cache
def _name_by_text() -> dict[str, str]:
    return {_number(text): name for name, text in load_statements().items()}


def _number(text: str) -> str:
    """Return a statement as psycopg sends it: its parameters numbered as they appear."""
    numbers: dict[str, int] = {}
    return re.sub(
        r"%\((\w+)\)s",
        lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}",
        text,
    ).replace("%%", "%")


def name_statement(text: str) -> str:
    """Return the name of a named statement, or the text of any other."""
    return _name_by_text().get(text, text)


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts clients of one PostgreSQL socket; each gets a thread and a connection of its own."""

    def __init__(self, target: Path, tap: Tap) -> None:
        super().__init__(("127.0.0.1", 0), _Link)
        self.target, self.tap = target, tap


class _Link(socketserver.BaseRequestHandler):
    """One client's connection."""

    server: _Listener
    request: socket.socket

    def handle(self) -> None:
        """Forward both ways until both sides have closed."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with socket.socket(socket.AF_UNIX) as postgres:
            postgres.connect(str(self.server.target))
            back = threading.Thread(target=_pump, args=(postgres, self.request, lambda _: None))
            back.start()
            _pump(self.request, postgres, _Reader(self.server.tap).read)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, read: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            read(data)
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def tap_postgres(database_url: str, application: str) -> Iterator[tuple[Tap, str]]:
    """Give a tap for sessions of this name, and the URL of the same database through it.

    Those who connected through it have to end before the block does.
    """
    tap = Tap(application)
    with _Listener(find_postgres_socket(database_url), tap) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
        thread.start()
        parts = urlsplit(database_url)
        where = f"{parts.username}@127.0.0.1:{listener.server_address[1]}"
        try:
            yield tap, parts._replace(netloc=where, query="sslmode=disable").geturl()
        finally:
            listener.shutdown()
            thread.join()
