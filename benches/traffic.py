"""One run of sends into an installation, from the first request to the last arrival."""

import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from benches.cpu import read_cpu_seconds
from benches.delivery import Delivery, Message, check_late_arrivals, decode_message
from benches.http import write_request
from benches.installation import Installation
from benches.receiver import Arrival, Receiver
from benches.seed import Rooms
from benches.sender import Answers, Sender, Template, write_send

TEXT = "forty bytes of text, as people write it."
SENDERS = 32
SENDING_MEMBERS = 4
"""How many of a room's members send; the first ones, of whom some are connected."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds for each message or request, of each part."""

    api: float = 0
    postgres: float = 0
    realtime: float = 0
    generator: float = 0

    @property
    def total(self) -> float:
        """Everything but the generator."""
        return self.api + self.postgres + self.realtime


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of sends did."""

    answers: Answers
    messages: list[Message]
    delivery: Delivery
    cost: Cost
    clock_offset: int
    """What is added to a time of the monotonic clock to get the time of day; both in ns."""

    @property
    def rate(self) -> float:
        """Acknowledged sends a second."""
        return len(self.answers.ended) / self.answers.seconds

    @property
    def until_everywhere(self) -> list[float]:
        """For each message, ms from the request to the arrival at the last of the devices."""
        last = self.delivery.last_arrivals
        return [
            (last[message.id] - at) / 1e6
            for message, at in zip(self.messages, self.answers.started, strict=True)
            if message.id in last
        ]


class Devices:
    """The connected devices of some rooms' listeners, until the block ends."""

    def __init__(self, installation: Installation, rooms: Rooms, *, is_heard: bool = True) -> None:
        """Unless `is_heard`, there are none."""
        self.installation = installation
        self.rooms = rooms
        listeners = {room: rooms.listeners(room) if is_heard else [] for room in rooms.ids}
        users = [user for found in listeners.values() for user in found]
        numbers = {user: number for number, user in enumerate(users)}
        self.of_room = {
            room: [numbers[user] for user in found] for room, found in listeners.items()
        }
        self._stack = ExitStack()
        self._receiver: Receiver | None = None
        if users:
            devices = installation.make_devices(users)
            receiver = Receiver(installation.realtime_address, devices)
            self._receiver = self._stack.enter_context(receiver)

    @property
    def pids(self) -> list[int]:
        """The process that receives for them, if there are any."""
        return [self._receiver.pid] if self._receiver else []

    def take(self, room_ids: Iterable[int]) -> list[Arrival]:
        """Return what has arrived; wait at most 10 s for one publication for each of these ids."""
        if self._receiver is None:
            return []
        return self._receiver.take(sum(len(self.of_room[room]) for room in room_ids))

    def take_late(self, missing: int) -> list[Arrival]:
        """Return what has arrived since; wait at most 2 s for so many publications."""
        return self._receiver.take(missing, 2.0) if self._receiver else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Traffic:
    """Senders into the rooms of some devices, until the block ends."""

    def __init__(
        self, devices: Devices, *, senders: int = SENDERS, only: int | None = None
    ) -> None:
        """With `only`, just the first of the rooms are sent into."""
        self.installation = installation = devices.installation
        self._devices = devices
        rooms = devices.rooms
        templates = [
            write_send(installation.address, room, installation.sign(rooms.user(room, n)), TEXT)
            for room in rooms.ids[:only]
            for n in range(1, min(SENDING_MEMBERS, rooms.members) + 1)
        ]
        # No two senders of a run use the same key.
        prefix = secrets.token_hex(4)
        self._sender = Sender(installation.address, templates, senders=senders, prefix=prefix)

    def run(self, seconds: float, *, per_second: float = 0, most: int = 1 << 60) -> Run:
        """Send for so many seconds; return when everything has arrived or 10 s have passed."""
        processes = [self._sender.pid, *self._devices.pids]
        own = read_cpu_seconds(*processes)
        before = self.installation.read_cpu()
        answers = self._sender.run(seconds, per_second=per_second, most=most)
        messages = _read_messages(answers)
        arrivals = self._devices.take(message.room_id for message in messages)
        after = self.installation.read_cpu()
        count = len(messages) / 1000
        parts = {name: (after[name] - before[name]) / count for name in after}
        cost = Cost(**parts, generator=(read_cpu_seconds(*processes) - own) / count)
        delivery = check_late_arrivals(
            messages, arrivals, self._devices.of_room, self._devices.take_late
        )
        return Run(answers, messages, delivery, cost, time.time_ns() - time.monotonic_ns())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()


def _read_messages(answers: Answers) -> list[Message]:
    """Return the acknowledged messages. Errors: `RuntimeError` if a send was refused."""
    if answers.broken:
        raise RuntimeError(f"the API closed {answers.broken} connections without an answer")
    refused = [status for status in answers.statuses if status != 201]
    if refused or not answers.bodies:
        first = answers.bodies[answers.statuses.index(refused[0])] if refused else b"no answer"
        raise RuntimeError(f"{len(refused)} sends were refused, the first with {first!r}")
    return [decode_message(body) for body in answers.bodies]


@dataclass(frozen=True, slots=True)
class Requests:
    """What a run of requests other than sends did."""

    answers: Answers
    cost: Cost

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.answers.ended) / self.answers.seconds


class Reader:
    """Connections that repeat some requests, until the block ends."""

    def __init__(
        self, installation: Installation, requests: Sequence[Template], *, senders: int = 1
    ) -> None:
        self._installation = installation
        prefix = secrets.token_hex(4)
        self._sender = Sender(installation.address, requests, senders=senders, prefix=prefix)

    def run(self, seconds: float, *, most: int = 1 << 60) -> Requests:
        """Repeat them for so many seconds or so often. Errors: `RuntimeError` for a refusal."""
        own = read_cpu_seconds(self._sender.pid)
        before = self._installation.read_cpu()
        answers = self._sender.run(seconds, most=most)
        after = self._installation.read_cpu()
        if set(answers.statuses) - {200, 201}:
            raise RuntimeError(f"requests were refused: {set(answers.statuses)}")
        count = len(answers.ended) / 1000
        parts = {name: (after[name] - before[name]) / count for name in after}
        generator = (read_cpu_seconds(self._sender.pid) - own) / count
        return Requests(answers, Cost(**parts, generator=generator))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()


def write_get(installation: Installation, path: str, user_id: str) -> Template:
    """Return a GET of a user."""
    token = installation.sign(user_id)
    return Template(write_request("GET", path, host=installation.address.name, token=token))
