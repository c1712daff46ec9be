"""The load test of an installation, through its public API alone: `manage.py loadtest`."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from benches.delivery import Delivery, Message, check_late_arrivals, decode_message
from benches.figures import median, quantile
from benches.http import Address, Connection
from benches.receiver import Receiver, make_device
from benches.sender import Sender, write_send

TEXT = "forty bytes of text, as people write it."
ARRIVES_WITHIN = 10.0
"""Seconds after the last answer; what has not arrived by then is lost."""
LATE_WITHIN = 2.0
"""The same again where what arrived was not what was awaited."""

Sign = Callable[[str, bool], str]
"""Makes a token of the host: for a user, or with True for the service."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to do: rooms of so many connected members, senders that never pause, for a time."""

    api: Address
    realtime: Address
    rooms: int
    members: int
    senders: int
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What was sent, and whether it arrived."""

    run: str
    """Part of the names of this run's rooms and users."""
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refusals: Counter[int] = field(default_factory=Counter)
    """How many sends were answered with each status other than 201."""
    broken: int = 0
    arrivals: list[float] = field(default_factory=list)
    """For each message, ms from the request to its arrival at the last device."""
    delivery: Delivery = field(default_factory=Delivery)

    @property
    def sent(self) -> int:
        """How many sends were acknowledged."""
        return len(self.latencies)


def run_load(load: Load, sign: Sign, report: Callable[[str, float], None]) -> Outcome:
    """Create the rooms, connect the devices, send, and check what arrived.

    `report` gets what is being done and how much of it is done, from 0 to 1. Errors: `OSError`
    where a server cannot be reached, `RuntimeError` where it refuses the preparation.
    """
    outcome = Outcome(run=secrets.token_hex(4))
    members = _create_rooms(load, outcome.run, sign, report)
    users = [user for found in members.values() for user in found]
    with ExitStack() as stack:
        with Connection(load.api) as connection:
            devices = []
            for number, user in enumerate(users):
                devices.append(make_device(connection, user, sign(user, False)))
                report("tokens", (number + 1) / len(users))
        report("connecting devices", 0)
        receiver = stack.enter_context(Receiver(load.realtime, devices))
        templates = [
            write_send(load.api, room, sign(user, False), TEXT)
            for room, found in members.items()
            for user in found[:4]
        ]
        sender = stack.enter_context(
            Sender(load.api, templates, senders=load.senders, prefix=outcome.run)
        )
        numbers = {user: number for number, user in enumerate(users)}
        places = {room: [numbers[user] for user in found] for room, found in members.items()}
        _send_and_check(load, outcome, sender, receiver, places, report)
    return outcome


def _create_rooms(
    load: Load, run: str, sign: Sign, report: Callable[[str, float], None]
) -> dict[int, list[str]]:
    """Return the users of each new room."""
    found = {}
    token = sign("loadtest", True)
    with Connection(load.api) as connection:
        for number in range(1, load.rooms + 1):
            users = [f"loadtest-{run}-{number}-{n}" for n in range(1, load.members + 1)]
            content = {"name": f"loadtest {run} {number}", "members": users}
            status, room = connection.request("POST", "/api/rooms/", token, content)
            if status != 201:
                raise RuntimeError(f"the API created no room: {status} {room}")
            found[int(room["id"])] = users
            report("creating rooms", number / load.rooms)
    return found


def _send_and_check(
    load: Load,
    outcome: Outcome,
    sender: Sender,
    receiver: Receiver,
    devices_of_room: Mapping[int, list[int]],
    report: Callable[[str, float], None],
) -> None:
    receiver.take(0, 0.5)  # the events of joining
    started: dict[int, int] = {}
    messages: list[Message] = []
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < load.seconds:
        answers = sender.run(min(1.0, load.seconds - passed))
        outcome.seconds += answers.seconds
        outcome.broken += answers.broken
        for at, ended, status, body in answers.read():
            if status != 201:
                outcome.refusals[status] += 1
                continue
            outcome.latencies.append((ended - at) / 1e6)
            messages.append(decode_message(body))
            started[messages[-1].id] = at
        report(f"{outcome.sent:,} sent", min(1.0, (time.monotonic() - begun) / load.seconds))
    awaited = sum(len(devices_of_room[message.room_id]) for message in messages)
    arrivals = receiver.take(awaited, ARRIVES_WITHIN)
    outcome.delivery = check_late_arrivals(
        messages, arrivals, devices_of_room, lambda missing: receiver.take(missing, LATE_WITHIN)
    )
    last = outcome.delivery.last_arrivals
    outcome.arrivals = [
        (last[number] - at) / 1e6 for number, at in started.items() if number in last
    ]


def describe(outcome: Outcome) -> Iterator[str]:
    """Give the lines of the verdict; times are those of this machine's clock."""
    if outcome.sent:
        rate = outcome.sent / outcome.seconds
        yield f"sent      {outcome.sent:,} acknowledged, {rate:,.0f} a second"
        yield f"answered  {_spread(outcome.latencies)}"
        yield f"arrived   {_spread(outcome.arrivals)} at the last device of the room"
    for status, count in sorted(outcome.refusals.items()):
        yield f"refused   {count:,} with status {status}"
    if outcome.broken:
        yield f"broken    {outcome.broken:,} connections, each with a send that was not answered"
    found = outcome.delivery
    yield (
        f"checked   {found.expected:,} deliveries: {found.lost:,} lost, {found.doubled:,} doubled, "
        f"{found.misordered:,} out of order, {found.strayed:,} where they do not belong"
    )


def _spread(milliseconds: list[float]) -> str:
    if not milliseconds:
        return "nothing"
    return f"p50 {median(milliseconds):.1f} ms, p99 {quantile(milliseconds, 0.99):.1f} ms"
