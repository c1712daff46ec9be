"""GET /api/audit/"""

from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from tests.conftest import Connection
from tests.contract.pages import flatten, follow, last_page, read_page
from tests.support.actors import Actor


def write(connection: Connection, actor: Actor, action: str, room: int, user: str) -> None:
    """Keep that somebody did something, as each change does."""
    connection.execute(
        "SELECT chat.write_audit(%s::json, %s, %s, %s, %s::json)",
        [
            f'{{"kind": "user", "id": "{actor.user_id}", "address": "192.0.2.1"}}',
            action,
            room,
            user,
            '{"role": "owner"}',
        ],
    )


def list_entries(host: Actor, **terms: object) -> list[dict[str, Any]]:
    """Return all entries of a filter."""
    address = f"/api/audit/?{urlencode(terms)}"
    return flatten(follow(host, "next", read_page(host, f"{address}&limit=2")))


def test_an_entry_says_who_did_what(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """With the time, the address and what was changed."""
    room = host.create_room(alice, bob)
    write(connection, alice, "role_changed", room, bob.user_id)

    (entry,) = list_entries(host, room=room, action="role_changed")

    assert entry.pop("id") > 0
    assert entry.pop("created_at").endswith("Z")
    assert entry == {
        "actor": alice.user_id,
        "actor_kind": "user",
        "address": "192.0.2.1",
        "action": "role_changed",
        "room_id": room,
        "user": bob.user_id,
        "details": {"role": "owner"},
    }


def test_the_audit_is_narrowed(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """By each filter and by all of them together; the newest entry comes first."""
    rooms = [host.create_room(), host.create_room()]
    done = [
        (actor, action, room, user)
        for actor in (alice, bob)
        for action in ("aa", "bb")
        for room in rooms
        for user in (f"x-{alice.user_id}", f"y-{alice.user_id}")
    ]
    for one in done:
        write(connection, *one)

    def find(**terms: Any) -> list[tuple[str, str, int, str]]:
        return [
            (entry["actor"], entry["action"], entry["room_id"], entry["user"])
            for entry in list_entries(host, **terms)
        ]

    everything: list[tuple[str, str, int, str | None]] = [
        (actor.user_id, action, room, user) for actor, action, room, user in reversed(done)
    ]
    everything += [(host.user_id, "room_created", room, None) for room in reversed(rooms)]
    names = ("actor", "action", "room", "user")
    # With the action alone it would be everyone's.
    for given in product((None, alice.user_id), (None, "aa"), (None, rooms[0]), (None, done[0][3])):
        terms = {name: one for name, one in zip(names, given, strict=True) if one is not None}
        if terms.keys() - {"action"}:
            assert find(**terms) == [
                one
                for one in everything
                if all(wanted in {None, found} for wanted, found in zip(given, one, strict=True))
            ]


def test_pages_go_backwards_too(host: Actor, alice: Actor, connection: Connection) -> None:
    """The links lead through the same entries in both directions."""
    room = host.create_room()
    for n in range(5):
        write(connection, alice, f"action {n}", room, alice.user_id)

    first = read_page(host, "/api/audit/", limit=2, room=room)
    forwards = flatten(follow(host, "next", first))
    backwards = follow(host, "previous", last_page(host, first))

    assert [entry for page in reversed(backwards) for entry in page] == forwards
    assert [entry["action"] for entry in forwards] == [
        *(f"action {n}" for n in (4, 3, 2, 1, 0)),
        "room_created",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chat_audit SET actor = 'nobody'",
        "DELETE FROM chat_audit",
        "DELETE FROM chat_audit WHERE false",
        "TRUNCATE chat_audit",
    ],
)
def test_nobody_changes_the_audit(clone_database: Callable[[], str], statement: str) -> None:
    """The database itself refuses it, also to the role that owns the table."""
    with psycopg.connect(clone_database(), autocommit=True) as connection:
        connection.execute(
            'SELECT chat.write_audit(\'{"kind": "staff", "id": "anna"}\', \'test\', 1, \'u\')'
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"):
            connection.execute(statement.encode())
        assert connection.execute("SELECT actor FROM chat_audit").fetchall() == [("anna",)]
