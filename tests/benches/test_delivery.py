"""The checker of the benchmarks finds what was lost, doubled, out of order, or sent to others."""

import msgspec
import pytest

from benches.delivery import Message, check_delivery, check_late_arrivals
from benches.receiver import Arrival

ROOM, OTHER = 7, 8
DEVICES = {ROOM: [0, 1], OTHER: [2]}
MESSAGES = [Message(id=10 + seq, room_id=ROOM, seq=seq) for seq in (1, 2, 3)]


def arrive(message: Message, device: int, at: int = 5) -> Arrival:
    """Return the arrival of a message as a realtime server sends it."""
    data = {"type": "message_added", "body": msgspec.to_builtins(message)}
    push = {"push": {"channel": "personal:x", "pub": {"data": data, "offset": 1}}}
    return Arrival(at, device, msgspec.json.encode(push))


def arrive_everywhere() -> list[Arrival]:
    """Return what the devices receive when all is well."""
    return [arrive(message, device) for message in MESSAGES for device in DEVICES[ROOM]]


def test_messages_that_arrive_once_everywhere_are_exact() -> None:
    """Nothing is found where every member's device received every message once."""
    found = check_delivery(MESSAGES, arrive_everywhere(), DEVICES)

    assert found.is_exact
    assert found.expected == 6


def test_several_publications_in_one_frame_are_all_read() -> None:
    """Centrifugo puts several replies into one WebSocket message, one on each line."""
    first, *rest = [arrive(message, 0) for message in MESSAGES]
    together = Arrival(5, 0, b"\n".join([first.payload, *(found.payload for found in rest)]))
    others = [arrive(message, 1) for message in MESSAGES]

    assert check_delivery(MESSAGES, [together, *others], DEVICES).is_exact


@pytest.mark.parametrize("place", range(6))
def test_a_lost_delivery_is_found(place: int) -> None:
    """A message that one device never received is lost, whichever it is."""
    arrivals = arrive_everywhere()
    del arrivals[place]

    found = check_delivery(MESSAGES, arrivals, DEVICES)

    assert (found.lost, found.doubled) == (1, 0)
    assert not found.is_exact


@pytest.mark.parametrize("place", range(6))
def test_a_doubled_delivery_is_found(place: int) -> None:
    """A message that one device received twice is doubled, whichever it is."""
    arrivals = arrive_everywhere()
    arrivals.insert(place, arrivals[place])

    found = check_delivery(MESSAGES, arrivals, DEVICES)

    assert (found.lost, found.doubled) == (0, 1)
    assert not found.is_exact


def test_a_delivery_out_of_order_is_found() -> None:
    """A message that a device received after a newer one of its room is out of order."""
    arrivals = arrive_everywhere()
    arrivals[0], arrivals[2] = arrivals[2], arrivals[0]

    found = check_delivery(MESSAGES, arrivals, DEVICES)

    assert (found.lost, found.doubled, found.misordered) == (0, 0, 1)


def test_a_delivery_to_a_stranger_is_found() -> None:
    """A device of a user who is not in the room must not receive its messages."""
    found = check_delivery(MESSAGES, [*arrive_everywhere(), arrive(MESSAGES[0], 2)], DEVICES)

    assert (found.lost, found.doubled, found.strayed) == (0, 0, 1)


def test_the_time_of_a_message_is_that_of_its_last_arrival() -> None:
    """A message has arrived when the last device has it."""
    late = arrive(MESSAGES[0], 1, at=9)
    arrivals = [arrive(MESSAGES[0], 0, at=4), late]

    assert check_delivery(MESSAGES[:1], arrivals, DEVICES).last_arrivals == {MESSAGES[0].id: 9}


def test_doubles_do_not_hide_what_arrives_later() -> None:
    """Where doubles filled the number that was awaited, the rest is still waited for."""
    all_arrivals = arrive_everywhere()
    early, late = [*all_arrivals[:3], *all_arrivals[:3]], all_arrivals[3:]

    found = check_late_arrivals(MESSAGES, early, DEVICES, lambda _: [late.pop()] if late else [])

    assert (found.lost, found.doubled) == (0, 3)
