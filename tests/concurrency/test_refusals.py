"""What the functions answer to impossible values: rows that do not abort the transaction."""

from collections.abc import Callable

import psycopg
import pytest

from tests.conftest import Connection
from tests.support.actors import Actor

SEND = "SELECT outcome FROM chat.send_messages(%s::bigint[], %s::text[], %s::text[], %s::text[])"


@pytest.mark.parametrize(
    ("key", "content"), [("k", ""), ("k", None), ("", "hi"), (None, "hi"), ("k" * 65, "hi")]
)
def test_a_message_that_cannot_be_is_a_row(
    host: Actor, alice: Actor, connection: Connection, key: str | None, content: str | None
) -> None:
    """A message without content or with an impossible key is `invalid`; the others are sent."""
    room = host.create_room(alice)
    users = [alice.user_id, alice.user_id]

    rows = connection.execute(SEND, [[room, room], users, [key, "fine"], [content, "hello"]])

    assert [row["outcome"] for row in rows] == ["invalid", "sent"]
    (listed,) = alice.get(f"/api/rooms/{room}/messages/").json()["results"]
    assert (listed["content"], listed["seq"]) == ("hello", 1)


@pytest.mark.parametrize("name", ["", "x" * 256, None])
def test_a_name_that_cannot_be_is_a_row(
    host: Actor, alice: Actor, connection: Connection, name: str | None
) -> None:
    """A room is neither created with such a name nor given one."""
    room = host.create_room(alice, name="kept")

    created = connection.execute(
        "SELECT outcome, room FROM chat.create_room(%s, '{}')", [name]
    ).fetchall()
    renamed = connection.execute("SELECT outcome FROM chat.rename_room(%s, %s)", [room, name])

    assert created == [{"outcome": "invalid_name", "room": None}]
    assert [row["outcome"] for row in renamed] == ["invalid_name"]
    assert alice.get(f"/api/rooms/{room}/").json()["name"] == "kept"


def test_a_refused_room_uses_up_no_key(alice: Actor, connection: Connection) -> None:
    """A key that came with an impossible name or user is free for the next call."""
    create = "SELECT outcome FROM chat.create_room(%s, %s::text[], %s, 'key')"

    outcomes = [
        row["outcome"]
        for name, users in (("", []), ("room", [""]), ("room", []), ("room", []), ("", []))
        for row in connection.execute(create, [name, users, alice.user_id])
    ]

    assert outcomes == ["invalid_name", "invalid_user", "created", "duplicate", "invalid_name"]


def test_an_event_of_an_unknown_type_is_never_composed(connection: Connection) -> None:
    """A type that the composer does not know is an error, never an event without a body."""
    compose = (
        "SELECT chat.event_body(jsonb_populate_record(NULL::chat_event, %s), 'room', NULL) AS event"
    )
    (known,) = connection.execute(compose, ['{"type": "room_updated", "room_id": 1}'])

    assert known["event"]["body"]["room"]["id"] == 1
    with pytest.raises(psycopg.errors.CaseNotFound, match="typo"):
        connection.execute(compose, ['{"type": "typo", "room_id": 1}'])


@pytest.mark.parametrize(
    ("creator", "key"), [("host", ""), ("host", "k" * 65), (None, "k"), ("", "k"), ("h" * 129, "k")]
)
def test_a_key_that_cannot_be_is_a_row(
    connection: Connection, creator: str | None, key: str
) -> None:
    """A room is not created with an impossible key, or with one of no user; nothing is aborted."""
    created = connection.execute(
        "SELECT outcome, room FROM chat.create_room('keyed', '{}', %s, %s)", [creator, key]
    ).fetchall()

    assert created == [{"outcome": "invalid_key", "room": None}]


def test_a_name_is_refused_also_in_a_locked_room(
    host: Actor, alice: Actor, connection: Connection, connect: Callable[[], Connection]
) -> None:
    """An impossible name needs no lock, so its refusal does not wait."""
    room = host.create_room(alice)
    with connect().transaction() as transaction:
        transaction.connection.execute("SELECT FROM chat_room WHERE id = %s FOR UPDATE", [room])
        connection.execute("SET lock_timeout = '50ms'")
        renamed = connection.execute("SELECT outcome FROM chat.rename_room(%s, '')", [room])

    assert [row["outcome"] for row in renamed] == ["invalid_name"]
