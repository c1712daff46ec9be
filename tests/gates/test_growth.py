"""What a call reads does not grow with the room: rows and pages, never time, are compared."""

from collections.abc import Callable
from typing import Any

import pytest

from chat.actions.messages import NewMessage, send_message, send_messages
from chat.queries.events import list_events
from chat.queries.keyset import Slice
from chat.queries.members import Reader, list_members
from chat.queries.messages import Window, list_messages
from chat.queries.rooms import get_room, list_rooms
from chat.queries.search import search_rooms
from chat.sql import Call
from tests.conftest import Connection
from tests.gates.conftest import (
    FEW,
    LARGE,
    LONG,
    MANY,
    MEMBER,
    MEMBERS,
    MESSAGES,
    ROOMS,
    SMALL,
    WIDE,
)
from tests.gates.plans import ExplainedSession
from tests.support.memberships import add_members, remove_member

PAGE = 50
# An index of a large table has a level or two more, and a page that is full is split.
PAGES = 30
"""How many pages more the same call may ask for in a room 100 times as large."""

CallInRoom = Callable[[int], Call[Any]]
READS: dict[str, CallInRoom] = {
    "room": lambda room: get_room(MEMBER, room),
    "newest messages": lambda room: list_messages(room, MEMBER, Window(PAGE)),
    "members": lambda room: list_members(room, Reader(MEMBER), Slice(10)),
    "events": lambda room: list_events(
        room, MEMBER, after=MEMBERS[room] + MESSAGES[room] - 55, limit=PAGE + 1
    ),
}


def new_message(room: int, key: str = "new") -> NewMessage:
    """Return a message that a member sends."""
    return NewMessage(room, MEMBER, key, "text")


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_a_read_costs_the_same_in_a_large_room(generic: ExplainedSession, call: CallInRoom) -> None:
    """A page of a room 100 times as large takes as many rows, and hardly more pages."""
    small, large = generic.run(call(SMALL)), generic.run(call(LARGE))

    assert large.statements == small.statements
    assert large.count_rows() <= small.count_rows() + PAGE // 10
    assert large.pages <= small.pages + PAGES


@pytest.mark.parametrize("distance", [100, 5_900])
def test_history_costs_the_same_at_any_depth(
    generic: ExplainedSession, connection_of_sizes: Connection, distance: int
) -> None:
    """The page before a message from long ago takes what the newest page takes."""
    seq = MESSAGES[LARGE] - distance
    row = connection_of_sizes.execute(
        "SELECT id FROM chat_message WHERE room_id = %s AND seq = %s", [LARGE, seq]
    ).fetchone()
    assert row is not None

    newest = generic.run(list_messages(LARGE, MEMBER, Window(PAGE)))
    deep = generic.run(list_messages(LARGE, MEMBER, Window(PAGE, anchor=row["id"])))

    # One more is read: the message itself, to find its place.
    assert deep.count_rows() <= newest.count_rows() + 1
    assert deep.pages <= newest.pages + PAGES


def test_only_the_rooms_of_the_page_are_composed(generic: ExplainedSession) -> None:
    """For a page of a user's 3,000 rooms, as many last messages are read as the page has rooms."""
    few = generic.run(list_rooms(FEW, Slice(PAGE)))
    many = generic.run(list_rooms(MANY, Slice(PAGE)))

    assert few.count_rows("chat_message") == PAGE + 1
    assert many.count_rows("chat_message") == PAGE + 1
    # All rooms of the user are read, none twice but those of the page, and nobody else's.
    assert many.count_rows("chat_room") <= 3000 + PAGE + 1
    assert many.statements == few.statements == 1


@pytest.mark.parametrize(("text", "most"), [("room", 3 * PAGE), ("zzzz", 5_000), ("~", 2 * ROOMS)])
def test_a_search_looks_at_few_rooms(generic: ExplainedSession, text: str, most: int) -> None:
    """A text that all names have is found among the first rooms, a rare one by the index of names.

    Only for one or two letters, which the index does not know, are all rooms looked at: once for
    their names and once to find where to go on.
    """
    used = generic.run(search_rooms(text, MEMBER, Slice(PAGE)))

    assert used.count_rows("chat_message") <= PAGE + 1
    assert used.count_rows("chat_room") <= most


@pytest.mark.parametrize(
    "call",
    [
        lambda room: send_message(new_message(room)),
        lambda room: send_message(NewMessage(room, MEMBER, "first", "text")),
        lambda room: add_members(room, ["newcomer"]),
        lambda room: remove_member(room, MEMBER),
    ],
    ids=["send", "repeat", "join", "leave"],
)
def test_a_change_costs_the_same_however_long_the_history_is(
    generic: ExplainedSession, call: CallInRoom
) -> None:
    """With 100 times as many messages and events in the room, it takes as many rows."""
    short, long = generic.run(call(SMALL)), generic.run(call(LONG))

    assert long.statements == short.statements
    assert long.count_rows() == short.count_rows()
    assert long.pages <= short.pages + PAGES


def test_a_send_reads_each_member_and_each_listener_once(generic: ExplainedSession) -> None:
    """In a room with 100 times as many members, these are read once and nothing else is."""
    small, wide = (generic.run(send_message(new_message(room))) for room in (SMALL, WIDE))

    more = MEMBERS[WIDE] - MEMBERS[SMALL]
    assert wide.count_rows("chat_member") - small.count_rows("chat_member") == more
    assert wide.count_rows("chat_listener") - small.count_rows("chat_listener") == more
    assert wide.count_rows() - small.count_rows() == 2 * more


def test_a_batch_reads_the_members_once(generic: ExplainedSession) -> None:
    """Messages to one room that are sent together share what is read of its members."""
    one = generic.run(send_message(new_message(WIDE)))
    batch = generic.run(send_messages([new_message(WIDE, f"new-{n}") for n in range(20)]))

    more = batch.count_rows("chat_member") - one.count_rows("chat_member")
    assert more <= 20
    assert batch.count_rows("chat_room") <= one.count_rows("chat_room") + 20
