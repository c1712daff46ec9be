"""Rooms that are changed while others send, join and change them too."""

from collections.abc import Callable
from typing import Any

import pytest

from chat.actions.caller import Caller
from chat.actions.members import add_members
from chat.actions.messages import send_message
from chat.actions.room_changes import change_room
from chat.errors import ConflictError
from chat.queries.rooms import Room
from chat.sql import Call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger
from tests.support.sessions import Session, run_at_once, wait_until_waiting

HOST = Caller("service", "host")


def change(room: int, **changes: Any) -> Call[Room]:
    """Return the service's change of a room."""
    return change_room(HOST, room, changes)


def test_changing_alike_at_once_is_changing_once(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Of two equal changes the second finds nothing to change."""
    room = place.room("alice")
    first.begin()
    first.run(change(room, name="salon", archived=True))
    waiting = second.start(change(room, name="salon", archived=True))
    wait_until_waiting(connection)
    first.commit()

    assert waiting.result().version == 2
    assert read_exact_ledger(connection, room).room["version"] == 2


def test_a_change_of_another_field_waits_and_keeps_the_first(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Two changes of different fields are both in force, each with its own version."""
    room = place.room("alice")
    first.begin()
    first.run(change(room, history="since_join"))
    waiting = second.start(change(room, data={"a": 1}))
    wait_until_waiting(connection)
    first.commit()
    waiting.result()

    ledger = read_exact_ledger(connection, room)

    assert (ledger.room["history"], ledger.room["data"]) == ("since_join", {"a": 1})
    assert [event["body"].get("history") for event in ledger.log[1:]] == ["since_join"] * 2


def test_changes_sends_and_joins_at_once_have_dense_versions(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """Each is one version; the last event of a change has the state that the room has."""
    room = place.room("alice")
    sessions = [open_session() for _ in range(6)]

    def act(n: int) -> None:
        for turn in range(8):
            key = f"{n}-{turn}"
            if n < 2:
                sessions[n].run(change(room, name=key, slow_mode_seconds=n * 10 + turn + 1))
            elif n < 4:
                sessions[n].run(send_message(place.message(room, "alice", key)))
            else:
                sessions[n].run(add_members(room, [place.user(key)], HOST))

    run_at_once(act, range(6))

    ledger = read_exact_ledger(connection, room)
    assert ledger.room["version"] == 1 + 6 * 8
    changes = [event["body"] for event in ledger.log if event["type"] == "room_updated"]
    assert changes[-1]["slow_mode_seconds"] == ledger.room["slow_mode_seconds"]
    assert changes[-1]["room"]["name"] == ledger.room["name"]


@pytest.mark.parametrize("is_undone", [False, True])
def test_one_external_id_for_two_rooms_at_once(
    place: Place,
    first: Session,
    second: Session,
    connection: Connection,
    is_undone: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The second waits, and gets the id if the first gives up; otherwise nothing of it is done."""
    one, other = place.room("alice"), place.room("alice")
    key = place.user("key")
    first.begin()
    first.run(change(one, external_id=key))
    waiting = second.start(change(other, external_id=key, name="salon"))
    wait_until_waiting(connection)
    if is_undone:
        first.rollback()
    else:
        first.commit()

    if is_undone:
        assert waiting.result().name == "salon"
    else:
        with pytest.raises(ConflictError):
            waiting.result()
    room = read_exact_ledger(connection, other).room
    assert (room["external_id"], room["name"]) == ((key, "salon") if is_undone else (None, "room"))
