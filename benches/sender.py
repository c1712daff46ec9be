"""The process that sends: closed-loop or paced requests over connections that are kept open."""

import multiprocessing
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from random import Random
from typing import Self

from benches.http import Address, read_answer, read_arrived

KEY_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Template:
    """A request. If it is a send, the idempotency key goes between head and tail."""

    head: bytes
    tail: bytes = b""
    takes_key: bool = False


@dataclass(slots=True)
class Answers:
    """What was asked and answered, one entry in each list for each request; times in ns."""

    started: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    broken: int = 0
    """Connections that the server closed, each with a request in progress."""

    def read(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Give start, end, status and body of each request that was answered."""
        return zip(self.started, self.ended, self.statuses, self.bodies, strict=True)

    @property
    def seconds(self) -> float:
        """The time from the first request to the last answer."""
        return (max(self.ended) - min(self.started)) / 1e9 if self.ended else 0.0

    @property
    def latencies(self) -> list[float]:
        """How long each answer took, in milliseconds."""
        return [(b - a) / 1e6 for a, b in zip(self.started, self.ended, strict=True)]


class _Loop:
    """Keeps each connection busy until the time is over, in the process that sends."""

    def __init__(
        self, address: Address, templates: Sequence[Template], senders: int, prefix: str
    ) -> None:
        self._address = address
        self._templates = templates
        self._random = Random(prefix)
        self._prefix = prefix.encode()
        self._count = 0
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._since: dict[int, int] = {}
        self._partial: dict[int, bytes] = {}
        for _ in range(senders):
            self._connect()

    def run(self, seconds: float, *, most: int, per_second: float) -> Answers:
        """Send for so many seconds or so many requests; wait for the answers to all of them."""
        for number, _ in self._poll.poll(0):
            self._replace(number)  # closed while it was idle
        answers = Answers()
        start = time.monotonic_ns()
        deadline = start + int(seconds * 1e9)
        free = list(self._sockets)
        begun = 0
        while True:
            now = time.monotonic_ns()
            allowed = most if now < deadline else begun
            if per_second:
                allowed = min(allowed, int((now - start) / 1e9 * per_second) + 1)
            while free and begun < allowed:
                self._send(free.pop())
                begun += 1
            if not self._since and (now >= deadline or begun >= most):
                return answers
            wait = 0.0005 if per_second and begun < most and now < deadline else 5.0
            for number, _ in self._poll.poll(wait):
                if (now_free := self._receive(number, answers)) is not None:
                    free.append(now_free)

    def _connect(self) -> int:
        made = self._address.connect()
        self._sockets[made.fileno()] = made
        self._poll.register(made.fileno(), select.EPOLLIN)
        return made.fileno()

    def _send(self, number: int) -> None:
        template = self._random.choice(self._templates)
        data = template.head
        if template.takes_key:
            self._count += 1
            data += self._prefix + b"%0*d" % (KEY_LENGTH - len(self._prefix), self._count)
        self._since[number] = time.monotonic_ns()
        self._sockets[number].sendall(data + template.tail)

    def _receive(self, number: int, answers: Answers) -> int | None:
        """Read what has arrived; return the connection that is free now, if one is."""
        try:
            more = read_arrived(self._sockets[number])
        except ConnectionError:
            more = b""
        if not more:
            answers.broken += self._since.pop(number, None) is not None
            return self._replace(number)
        data = self._partial.pop(number, b"") + more
        if (answer := read_answer(data)) is None:
            self._partial[number] = data
            return None
        answers.started.append(self._since.pop(number))
        answers.ended.append(time.monotonic_ns())
        answers.statuses.append(answer[0])
        answers.bodies.append(answer[1])
        return number

    def _replace(self, number: int) -> int:
        """Open a connection in place of one that the server closed; return its number."""
        self._poll.unregister(number)
        self._partial.pop(number, None)
        self._sockets.pop(number).close()
        return self._connect()


def _serve(
    pipe: Pipe, address: Address, templates: Sequence[Template], senders: int, prefix: str
) -> None:
    loop = _Loop(address, templates, senders, prefix)
    pipe.send(None)
    while True:
        try:
            seconds, most, per_second = pipe.recv()
            pipe.send(loop.run(seconds, most=most, per_second=per_second))
        except OSError as error:
            pipe.send(error)
        except (EOFError, KeyboardInterrupt):
            return


class Sender:
    """A process with `senders` connections to an API."""

    def __init__(
        self, address: Address, templates: Sequence[Template], *, senders: int, prefix: str
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, address, templates, senders, prefix), daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe.recv()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid or 0

    def run(self, seconds: float, *, most: int = 1 << 60, per_second: float = 0) -> Answers:
        """Send for so many seconds, or so many requests; return when all are answered.

        Without `per_second` each connection sends again as soon as it has an answer.
        """
        self._pipe.send((seconds, most, per_second))
        answers = self._pipe.recv()
        if isinstance(answers, OSError):
            raise answers
        found: Answers = answers
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()


def write_send(address: Address, room_id: int, token: str, text: str) -> Template:
    """Return the request that sends this text to a room, with a place for the key."""
    body = f'{{"content":"{text}","client_id":"'
    length = len(body.encode()) + KEY_LENGTH + 2
    head = (
        f"POST {address.path}/api/rooms/{room_id}/messages/ HTTP/1.1\r\nHost: {address.name}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n{body}"
    )
    return Template(head.encode(), b'"}', takes_key=True)
