"""Rooms that are deleted while others write, and deletions that end in the middle."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from chat.actions.caller import Caller
from chat.actions.members import add_members
from chat.actions.messages import send_message, send_messages
from chat.actions.room_deletions import (
    STEP_ROWS_MOST,
    choose_limit,
    continue_room_deletion,
    delete_room,
)
from chat.actions.rooms import create_room
from chat.errors import ChatError
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.doctor.conftest import examine
from tests.support.ledger import read_outbox
from tests.support.outcomes import name_outcome
from tests.support.sessions import Session, wait_until_waiting

HOST = Caller("service", "host")
# What refers to a room, and is deleted before it.
REFERRING = {
    *("chat_member", "chat_room_key", "chat_invite"),  # at once
    *("chat_event", "chat_message", "chat_report", "chat_ban"),  # in steps
}


def count_rows(connection: Connection, room: int) -> dict[str, int]:
    """Return how many rows of each table are of the room."""
    counts = {}
    for table in REFERRING:
        query = f"SELECT count(*) AS rows FROM {table} WHERE room_id = {room}"
        (row,) = connection.execute(query.encode())
        counts[table] = row["rows"]
    return counts


def test_a_send_that_waits_for_the_deletion_is_not_found(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The message is stored before the room is gone, or not at all; so is its repetition."""
    room = place.room("alice")
    early = place.message(room, "alice", "early")
    first.run(send_message(early))
    first.begin()
    first.run(delete_room(HOST, room))
    sending = second.start(send_messages([place.message(room, "alice", "late"), early]))
    wait_until_waiting(connection)
    first.commit()

    assert [name_outcome(sent) for sent in sending.result()] == ["not_found"] * 2


def test_a_deletion_that_waits_for_a_send_sends_its_event_last(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Members receive the message, then that the room is gone, in the order of versions."""
    room = place.room("alice")
    first.begin()
    first.run(send_message(place.message(room, "alice", "k")))
    deleting = second.start(delete_room(HOST, room))
    wait_until_waiting(connection)
    first.commit()
    deleting.result()

    queued = [(row.event["type"], row.version) for row in read_outbox(connection, room_id=room)]
    assert queued == [("user_joined", 1), ("message_added", 2), ("room_deleted", 3)]


def test_a_join_that_waits_for_the_deletion_is_not_found(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Nobody becomes a member of a room that is gone."""
    room = place.room("alice")
    first.begin()
    first.run(delete_room(HOST, room))
    joining = second.start(add_members(room, [place.user("bob")], by=HOST))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(ChatError) as refused:
        joining.result()
    assert refused.value.code == "not_found"
    assert count_rows(connection, room)["chat_member"] == 0


def test_deleting_twice_at_once_has_one_receipt(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The second waits, changes nothing, and answers with what the first did."""
    room = place.room("alice")
    first.begin()
    receipt = first.run(delete_room(HOST, room))
    waiting = second.start(delete_room(HOST, room))
    wait_until_waiting(connection)
    first.commit()

    assert waiting.result() == receipt


def test_all_that_refers_to_a_room_is_deleted_with_it(connection: Connection) -> None:
    """Whoever adds a table that refers to rooms says here how its rows go, or this fails."""
    rows = connection.execute(
        "SELECT conrelid::regclass::text AS table FROM pg_constraint"
        " WHERE contype = 'f' AND confrelid = 'chat_room'::regclass"
    )

    assert {row["table"] for row in rows} == REFERRING


def write_room(connection: psycopg.Connection[Any], key: str) -> int:
    """Make a room with rows in each table."""
    users = [f"{name}-{key}" for name in ("alice", "bob")]
    room = run_call(connection, create_room("room", users, client_id=key)).room.id
    for n in range(7):
        connection.execute(
            "SELECT FROM chat.send_messages(ARRAY[%s::bigint], ARRAY[%s], ARRAY[%s], ARRAY['hi'])",
            [room, users[0], f"k{n}"],
        )
    connection.execute(
        "INSERT INTO chat_invite (room_id, created_by, created_at, expires_at)"
        " VALUES (%s, 'host', now(), now())",
        [room],
    )
    for user in users:
        connection.execute(
            "INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)"
            " VALUES (%s, %s, '', 'host', now())",
            [room, user],
        )
        connection.execute(
            "WITH report AS (INSERT INTO chat_report"
            " (room_id, user_id, reported_by, reason, created_at)"
            " VALUES (%s, %s, 'x', '', now()) RETURNING id)"
            " INSERT INTO chat_decision (report_id, decision, note, decided_by, decided_at)"
            " SELECT id, 'keep', '', 'host', now() FROM report",
            [room, user],
        )
    return room


def test_a_deletion_goes_on_wherever_it_ended(clone_database: Callable[[], str]) -> None:
    """Each step is all or nothing; in every state between the doctor finds nothing wrong.

    Before each step the same step is run and lost with its session, as in a crash.
    """
    url = clone_database()
    with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        room, other = write_room(connection, "gone"), write_room(connection, "kept")
        before = count_rows(connection, other)
        assert all(before.values())
        run_call(connection, delete_room(HOST, room))
        outcome, steps = "", 0
        while outcome != "finished":
            left = count_rows(connection, room)
            with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as crashing:
                run_call(crashing, continue_room_deletion(2))
                crashing.rollback()
            assert count_rows(connection, room) == left
            assert examine(url).codes == set(), f"after {steps} steps"
            outcome = run_call(connection, continue_room_deletion(2)).outcome
            steps += 1

        # 10 events, 7 messages, 2 reports and 2 bans, at most two at once; the last step is empty.
        assert steps >= 11
        assert set(count_rows(connection, room).values()) == {0}
        assert count_rows(connection, other) == before
        assert examine(url).codes == set()
        receipt = run_call(connection, delete_room(HOST, room))
        assert (receipt.members, receipt.messages, receipt.events) == (2, 7, 10)
        assert receipt.finished_at is not None
        assert run_call(connection, continue_room_deletion(2)).outcome == "nothing"


def test_one_session_is_at_work(clone_database: Callable[[], str]) -> None:
    """Others leave it to the one that holds the lock, and go on when its session ended."""
    url = clone_database()
    with (
        psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection,
        psycopg.connect(url, row_factory=psycopg.rows.dict_row) as working,
    ):
        run_call(connection, delete_room(HOST, write_room(connection, "gone")))
        run_call(working, continue_room_deletion(2))

        assert run_call(connection, continue_room_deletion(2)).outcome == "busy"
        working.rollback()
        assert run_call(connection, continue_room_deletion(1000)).outcome == "finished"


def test_steps_become_smaller_where_they_are_slow() -> None:
    """A step that took too long is followed by a smaller one, and a fast one by a larger one."""
    assert choose_limit(1000, 0.5) == 100
    assert choose_limit(1000, 0.01) == 2000
    assert choose_limit(STEP_ROWS_MOST, 0.001) == STEP_ROWS_MOST
