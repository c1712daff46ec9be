"""The checker: each acknowledged message arrives exactly once at each connected member."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from benches.receiver import Arrival


class Message(msgspec.Struct, frozen=True):
    """What the checker reads of a message."""

    id: int = 0
    room_id: int = 0
    seq: int = 0
    created_at: str = ""


class _Data(msgspec.Struct):
    type: str
    body: Message


class _Publication(msgspec.Struct):
    data: _Data


class _Push(msgspec.Struct):
    pub: _Publication | None = None


class _Reply(msgspec.Struct):
    push: _Push | None = None


_decode_reply = msgspec.json.Decoder(_Reply).decode
decode_message = msgspec.json.Decoder(Message).decode


@dataclass(slots=True)
class Delivery:
    """How often the promise was broken, and when each message had arrived everywhere."""

    expected: int = 0
    lost: int = 0
    doubled: int = 0
    strayed: int = 0
    """Arrivals at a device whose user is not in the room, or of a message never acknowledged."""
    misordered: int = 0
    """Arrivals of a message after a newer one of its room, at one device."""
    last_arrivals: dict[int, int] = field(default_factory=dict)
    """For each message the time of its last arrival, in ns."""

    @property
    def is_exact(self) -> bool:
        """Whether each message arrived once, in order, and nowhere else."""
        return not (self.lost or self.doubled or self.strayed or self.misordered)


def check_delivery(
    acknowledged: Iterable[Message],
    arrivals: Iterable[Arrival],
    devices_of_room: Mapping[int, Iterable[int]],
) -> Delivery:
    """Compare the acknowledged messages with what the devices received.

    `devices_of_room` has, for each room, the numbers of the devices of its members.
    """
    found = Delivery()
    counts: Counter[tuple[int, int]] = Counter()
    newest: dict[tuple[int, int], int] = {}
    for arrival, message in _read_messages(arrivals):
        counts[message.id, arrival.device] += 1
        at = found.last_arrivals.get(message.id, 0)
        found.last_arrivals[message.id] = max(at, arrival.at)
        place = message.room_id, arrival.device
        found.misordered += message.seq < newest.get(place, 0)
        newest[place] = max(message.seq, newest.get(place, 0))
    for message in acknowledged:
        for device in devices_of_room[message.room_id]:
            times = counts.pop((message.id, device), 0)
            found.expected += 1
            found.lost += times == 0
            found.doubled += max(times - 1, 0)
    found.strayed = counts.total()
    return found


def check_late_arrivals(
    messages: Sequence[Message],
    arrivals: list[Arrival],
    devices_of_room: Mapping[int, Iterable[int]],
    take: Callable[[int], list[Arrival]],
) -> Delivery:
    """Do as `check_delivery`, and take more as long as something is missing and something arrives.

    Waiting for a number of arrivals ends too early where some came twice. `take` gets how
    many are missing.
    """
    found = check_delivery(messages, arrivals, devices_of_room)
    while found.lost and (more := take(found.lost)):
        arrivals = arrivals + more
        found = check_delivery(messages, arrivals, devices_of_room)
    return found


def _read_messages(arrivals: Iterable[Arrival]) -> Iterator[tuple[Arrival, Message]]:
    for arrival in arrivals:
        for line in arrival.payload.split(b"\n"):
            reply = _decode_reply(line)
            if reply.push and reply.push.pub and reply.push.pub.data.type == "message_added":
                yield arrival, reply.push.pub.data.body
