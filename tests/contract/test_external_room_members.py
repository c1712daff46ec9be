"""PUT /api/rooms/by-external-id/{external_id}/: owners, bans, the audit, and many members"""

import pytest

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.contract.wanted import owner, path, put, roles, want
from tests.support.actors import Actor


@pytest.fixture
def key(alice: Actor) -> str:
    """Return an external id that no other test has."""
    return f"team of {alice.user_id}/7"


def test_a_room_keeps_an_owner(
    host: Actor, alice: Actor, bob: Actor, key: str, connection: Connection
) -> None:
    """Where each has a role and none is an owner, the room is left as it is."""
    room = put(host, key, want(owner(alice), bob), 201)["room"]["id"]

    for body in (
        want(f"{alice.user_id}:member", f"{bob.user_id}:moderator"),
        want(f"{bob.user_id}:moderator"),
    ):
        answer = host.put(path(key), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    assert roles(connection, room) == {alice.user_id: "owner", bob.user_id: "member"}


def test_who_has_no_role_becomes_the_owner_where_the_owner_goes(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, key: str, connection: Connection
) -> None:
    """The longest-standing of those without a role, moderators first; repeating it is no change."""
    body = want(owner(alice), bob, f"{charlie.user_id}:moderator")
    room = put(host, key, body, 201)["room"]["id"]

    change = put(host, key, want(bob, charlie))
    repeated = put(host, key, want(bob, charlie))

    assert change["role_changes"] == [{"user": charlie.user_id, "from": "moderator", "to": "owner"}]
    assert roles(connection, room) == {bob.user_id: "member", charlie.user_id: "owner"}
    assert (repeated["room"], repeated["role_changes"]) == (change["room"], [])


def test_a_room_without_owners_needs_none(host: Actor, alice: Actor, bob: Actor, key: str) -> None:
    """A host that gives no roles gets a room of members, whoever comes and goes."""
    put(host, key, want(alice), 201)

    assert put(host, key, want(bob))["role_changes"] == []


def test_a_banned_user_is_not_added(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, key: str, connection: Connection
) -> None:
    """The answer names who is banned; nothing was changed, and no room was created."""
    connection.execute(
        "INSERT INTO chat_ban (user_id, reason, created_by, created_at)"
        " VALUES (%s, '', 'host', now())",
        [bob.user_id],
    )
    body = want(alice, bob, charlie)

    for _ in range(2):
        answer = host.put(path(key), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert repr(bob.user_id) in answer.json()["detail"]
    assert host.get(path(key)).status_code == 404

    room = put(host, key, want(alice), 201)["room"]["id"]
    assert host.put(path(key), body).status_code == 409
    assert roles(connection, room) == {alice.user_id: "member"}


def test_what_was_done_is_kept(
    host: Actor, alice: Actor, bob: Actor, key: str, connection: Connection
) -> None:
    """The audit has who created and changed the room, and how many members were changed."""
    room = put(host, key, want(owner(alice)), 201)["room"]["id"]
    put(host, key, want(owner(alice), bob, name="other"))

    entries = connection.execute(
        "SELECT actor, actor_kind, address, action, user_id, details FROM chat_audit"
        " WHERE room_id = %s ORDER BY id",
        [room],
    ).fetchall()

    assert {(row["actor"], row["actor_kind"], row["address"]) for row in entries} == {
        ("host", "service", "127.0.0.1")
    }
    assert [(row["action"], row["user_id"], row["details"]) for row in entries] == [
        ("room_created", None, {"kind": "public"}),
        ("role_changed", alice.user_id, {"from": None, "to": "owner"}),
        ("members_changed", None, {"added": 1, "removed": 0, "role_changes": 0}),
        ("room_changed", None, {"from": {"name": "general"}, "to": {"name": "other"}}),
        ("members_changed", None, {"added": 1, "removed": 0, "role_changes": 0}),
    ]


@pytest.mark.slow
def test_ten_thousand_members_are_one_call(
    host: Actor, alice: Actor, key: str, connection: Connection
) -> None:
    """All are added, and then half of them removed; the answers name every one."""
    alice.listen()
    users = [f"user-{n:05}-of-{alice.user_id}" for n in range(9_999)]

    # The plans that the service keeps are those of a room of one member.
    put(host, key, want(owner(alice)), 201)
    created = put(host, key, want(alice, *users))
    repeated = put(host, key, want(owner(alice), *users))
    halved = put(host, key, want(owner(alice), *users[::2]))

    assert created["added"] == users
    assert (created["counts"]["added"], created["room"]["member_count"]) == (9_999, 10_000)
    assert repeated["room"] == created["room"]
    assert halved["removed"] == users[1::2]
    assert halved["room"]["member_count"] == 5_001
    room = created["room"]["id"]
    assert roles(connection, room).keys() == {alice.user_id, *users[::2]}
    assert len(read_page(alice, f"/api/rooms/{room}/members/", limit=200)["results"]) == 200
