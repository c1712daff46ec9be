"""The scenario of the sends against a running Tinode, through its WebSocket API.

Passwords are slow to check in Tinode, so 18 of each room's 20 members are the same in all rooms.
They are subscribed and not connected; the other two are connected, and the first of them sends.
"""

import base64
import json
import secrets
import select
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from benches.cpu import read_cpu_seconds
from benches.figures import Row, with_cost
from benches.http import Address
from benches.receiver import WebSocket
from benches.traffic import SENDERS, TEXT, Cost

API_KEY = "AQEAAAABAAD_rAp4DJh05a1HAwFT3A6K"
"""The published key of Tinode's default configuration."""
CONFIRMATION = "123456"
"""What its default configuration accepts in place of a code sent by e-mail."""
ROOMS, SHARED, CONNECTED = 100, 18, 2


class _Session:
    """One logged-in user; each request waits for its answer until traffic begins."""

    def __init__(self, address: Address) -> None:
        self.socket = WebSocket(address)
        self._number = 0
        self.call({"hi": {"ver": "0.22", "ua": "besedka-bench"}})
        name = secrets.token_hex(8)
        secret = base64.b64encode(f"{name}:{secrets.token_hex(8)}".encode()).decode()
        email = {"meth": "email", "val": f"{name}@example.com"}
        login = {"scheme": "basic", "secret": secret}
        made = self.call(
            {
                "acc": {
                    "user": "new",
                    "login": True,
                    "desc": {"public": {}},
                    "cred": [email],
                    **login,
                }
            }
        )
        if made["code"] == 300:  # the address has to be confirmed
            self.call({"login": {"cred": [email | {"resp": CONFIRMATION}], **login}})

    def call(self, request: dict[str, dict[str, object]]) -> dict[str, Any]:
        """Send a request; return the `ctrl` that answers it. Errors: `RuntimeError`."""
        self._number += 1
        number = str(self._number)
        ((kind, content),) = request.items()
        self.socket.send(json.dumps({kind: {"id": number, **content}}).encode())
        while True:
            for message in self.read():
                ctrl = message.get("ctrl", {})
                if ctrl.get("id") == number:
                    if ctrl["code"] >= 400:
                        raise RuntimeError(f"Tinode refused {kind}: {ctrl}")
                    return ctrl

    def read(self) -> Iterator[dict[str, dict[str, Any]]]:
        """Read once; give the messages. Errors: `ConnectionError` if Tinode closed it."""
        for opcode, payload in self.socket.read():
            if opcode == 8:
                raise ConnectionError(f"Tinode closed a connection: {payload!r}")
            if opcode == 9:
                self.socket.send(payload, 10)
            else:
                yield json.loads(payload)


@dataclass(slots=True)
class _Topic:
    """A group of 20, with the sessions of its two connected members; the first one sends."""

    name: str
    sessions: list[_Session]


def measure_tinode(url: str, pids: Sequence[int], seconds: float) -> list[Row]:
    """Return the rows of sends into 100 groups and into one.

    `pids` are the processes of Tinode and of its database; what they use is its cost.
    """
    address = Address.parse(url)
    channel = f"{address.path}/v0/channels?apikey={API_KEY}"
    topics = _create_topics(replace(address, path=channel))
    return [
        _measure("Tinode: 100 groups of 20: acknowledged", topics, pids, seconds),
        _measure("Tinode: hot group of 20: acknowledged", topics[:1], pids, seconds),
    ]


def _create_topics(address: Address) -> list[_Topic]:
    shared = [_Session(address) for _ in range(SHARED)]
    topics = []
    for _ in range(ROOMS):
        owner, *others = (_Session(address) for _ in range(CONNECTED))
        name = owner.call({"sub": {"topic": "new"}})["topic"]
        for session in [*others, *shared]:
            session.call({"sub": {"topic": name}})
        topics.append(_Topic(name, [owner, *others]))
        _answer_pings([*shared, *(session for topic in topics for session in topic.sessions)])
    for session in shared:
        session.socket.plain.close()  # not connected any more, and still members
    return topics


def _answer_pings(sessions: Sequence[_Session]) -> None:
    """Read what has arrived: Tinode closes a connection that answers no ping for a minute."""
    of_number = {session.socket.plain.fileno(): session for session in sessions}
    poll = select.poll()
    for number in of_number:
        poll.register(number, select.POLLIN)
    for number, _ in poll.poll(0):
        list(of_number[number].read())


class _Loop:
    """Publishes for as long as asked, with so many publications unanswered at a time."""

    def __init__(self, topics: Sequence[_Topic]) -> None:
        self._topics = {topic.name: topic for topic in topics}
        self._sessions = {
            session.socket.plain.fileno(): session for topic in topics for session in topic.sessions
        }
        self._poll = select.epoll()
        for number in self._sessions:
            self._poll.register(number, select.EPOLLIN)
        self._random = Random(ROOMS)
        self._count = 0
        self._pending: dict[str, tuple[str, int]] = {}
        self.latencies: list[float] = []
        self.acknowledged: set[tuple[str, int]] = set()
        """The topic and the number of each message."""
        self.arrived: Counter[tuple[str, int, int]] = Counter()
        """The same with the session, and how often it arrived there."""

    def run(self, seconds: float) -> float:
        """Publish, wait until everything has arrived or 10 s have passed; return the seconds."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            while len(self._pending) < SENDERS:
                self._publish()
            self._receive()
        while self._pending:
            self._receive()
        taken = time.monotonic() - begun
        while self.count_lost() and time.monotonic() - begun < taken + 10:
            self._receive()
        return taken

    def count_lost(self) -> int:
        """Return how many deliveries of acknowledged messages are missing."""
        return sum(
            not self.arrived[name, seq, session.socket.plain.fileno()]
            for name, seq in self.acknowledged
            for session in self._topics[name].sessions
        )

    def count_doubled(self) -> int:
        """Return how many deliveries came again."""
        return sum(times - 1 for times in self.arrived.values())

    def _publish(self) -> None:
        name = self._random.choice(list(self._topics))
        self._count += 1
        number = f"p{self._count}"
        self._pending[number] = name, time.monotonic_ns()
        request = {"pub": {"id": number, "topic": name, "content": TEXT}}
        self._topics[name].sessions[0].socket.send(json.dumps(request).encode())

    def _receive(self) -> None:
        for number, _ in self._poll.poll(1.0):
            for message in self._sessions[number].read():
                self._note(number, message)

    def _note(self, number: int, message: dict[str, dict[str, Any]]) -> None:
        if data := message.get("data"):
            self.arrived[data["topic"], data["seq"], number] += 1
        ctrl = message.get("ctrl", {})
        if ctrl.get("id", "") in self._pending:
            name, started = self._pending.pop(ctrl["id"])
            if ctrl["code"] != 202:
                raise RuntimeError(f"Tinode refused a message: {ctrl}")
            self.acknowledged.add((name, ctrl["params"]["seq"]))
            self.latencies.append((time.monotonic_ns() - started) / 1e6)


def _measure(path: str, topics: Sequence[_Topic], pids: Sequence[int], seconds: float) -> Row:
    _Loop(topics).run(1.0)
    loop = _Loop(topics)
    used, own = read_cpu_seconds(*pids), time.process_time()
    taken = loop.run(seconds)
    count = len(loop.latencies)
    row = Row(
        path=path,
        figure=count / taken,
        unit="/s",
        lost=loop.count_lost(),
        doubled=loop.count_doubled(),
    )
    spent = (read_cpu_seconds(*pids) - used) * 1000 / count
    generator = (time.process_time() - own) * 1000 / count
    # One figure for the server and its database: which process does what is its own affair.
    return with_cost(row, Cost(api=spent, generator=generator))
