"""PATCH /api/rooms/{id}/members/{user_id}/"""

from typing import Any

import pytest

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.support.actors import Actor

FOR_EVER = "9999-12-31T00:00:00.000000Z"


def make_room(host: Actor, **roles: Actor | list[Actor]) -> int:
    """Create a room with members of these roles: `owner`, `moderator`, `member`."""
    room = host.create_room()
    for role, actors in roles.items():
        users = [actor.user_id for actor in (actors if isinstance(actors, list) else [actors])]
        answer = host.post(f"/api/rooms/{room}/members/", {"users": users, "role": role})
        assert answer.status_code == 200, answer.text
    return room


def change(caller: Actor, room: int, user: Actor, **fields: Any) -> Any:
    """Change a member."""
    return caller.patch(f"/api/rooms/{room}/members/{user.user_id}/", fields)


def read_version(host: Actor, room: int) -> int:
    """Return how many events the room has had."""
    return int(host.get(f"/api/rooms/{room}/").json()["version"])


def test_an_owner_makes_a_moderator(host: Actor, alice: Actor, bob: Actor) -> None:
    """The answer, the list and the event show the new role, in one version."""
    room = make_room(host, owner=alice, member=bob)

    answer = change(alice, room, bob, role="moderator")

    assert answer.status_code == 200
    assert answer.json() == bob.get(f"/api/rooms/{room}/members/{bob.user_id}/").json()
    assert answer.json()["role"] == "moderator"
    (event,) = read_page(bob, f"/api/rooms/{room}/events/", after=2)["results"]
    assert event["type"] == "member_updated"
    assert event["body"] == {
        "user": bob.user_id,
        "role": "moderator",
        "muted_until": None,
        "room": event["body"]["room"],
    }
    assert event["body"]["room"]["version"] == 3


def test_everyone_in_the_room_is_sent_the_event(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """What is published is what the log has, and goes to all members."""
    alice.listen()
    bob.listen()
    room = make_room(host, owner=alice, member=bob)

    change(alice, room, bob, muted_until=FOR_EVER)

    (row,) = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s",
        [f"%:{room}:3:0"],
    )
    assert sorted(row["payload"]["channels"]) == sorted(
        f"personal:{user.user_id}" for user in (alice, bob)
    )
    assert [row["payload"]["data"]] == read_page(alice, f"/api/rooms/{room}/events/", after=2)[
        "results"
    ]


def test_a_moderator_mutes_and_unmutes(host: Actor, alice: Actor, bob: Actor) -> None:
    """Until its time the mute is shown to all members; null lifts it."""
    room = make_room(host, moderator=alice, member=bob)
    path = f"/api/rooms/{room}/members/{bob.user_id}/"

    muted = change(alice, room, bob, muted_until="9999-12-31T00:00:00Z").json()
    shown = bob.get(path).json()
    lifted = change(alice, room, bob, muted_until=None).json()

    assert muted["muted_until"] == shown["muted_until"] == FOR_EVER
    assert "muted_until" not in lifted
    assert "muted_until" not in bob.get(path).json()
    events = read_page(bob, f"/api/rooms/{room}/events/", after=2)["results"]
    assert [event["body"]["muted_until"] for event in events] == [FOR_EVER, None]


def test_both_are_one_change(host: Actor, alice: Actor) -> None:
    """A role and a mute that are given together are one version, or none where one may not be."""
    room = make_room(host, member=alice)

    both = change(host, room, alice, role="moderator", muted_until="2999-01-01T00:00:00+02:00")
    refused = change(host, room, alice, role="owner", muted_until="2001-01-01T00:00:00Z")

    assert both.json()["role"] == "moderator"
    assert both.json()["muted_until"] == "2998-12-31T22:00:00.000000Z"
    assert refused.status_code == 422
    assert read_version(host, room) == 2
    assert host.get(f"/api/rooms/{room}/members/{alice.user_id}/").json()["role"] == "moderator"


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "moderator"},
        {"muted_until": FOR_EVER},
        {"role": "moderator", "muted_until": FOR_EVER},
    ],
)
def test_repeating_it_changes_nothing(
    host: Actor, alice: Actor, connection: Connection, fields: dict[str, str]
) -> None:
    """A change that was answered may be sent again: no version, no event, no audit entry."""
    room = make_room(host, member=alice)
    first = change(host, room, alice, **fields).json()
    before = connection.execute(
        "SELECT count(*) FROM chat_audit WHERE room_id = %s", [room]
    ).fetchone()

    again = change(host, room, alice, **fields).json()

    assert again == first
    assert read_version(host, room) == 2
    after = connection.execute(
        "SELECT count(*) FROM chat_audit WHERE room_id = %s", [room]
    ).fetchone()
    assert after == before


def test_lifting_a_mute_that_has_ended_changes_nothing(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """A mute whose time has passed is none: it is not shown, and there is nothing to lift."""
    room = make_room(host, member=alice)
    connection.execute(
        "UPDATE chat_member SET muted_until = now() - interval '1 second' WHERE room_id = %s",
        [room],
    )

    assert "muted_until" not in host.get(f"/api/rooms/{room}/members/{alice.user_id}/").json()
    assert change(host, room, alice, muted_until=None).status_code == 200
    assert read_version(host, room) == 1


@pytest.mark.parametrize("owner", ["service", "owner"])
def test_a_room_keeps_an_owner(host: Actor, alice: Actor, bob: Actor, owner: str) -> None:
    """The only owner stays one, whoever asks; with a second one the role can be given up."""
    room = make_room(host, owner=alice, member=bob)
    caller = host if owner == "service" else alice

    refused = change(caller, room, alice, role="member")
    change(caller, room, bob, role="owner")
    accepted = change(caller, room, alice, role="member")

    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert accepted.json()["role"] == "member"
    assert change(bob, room, bob, role="moderator").status_code == 409


def test_roles_are_acted_on_by_higher_ones(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    """Moderators act on members, owners on everyone; the error names the right."""
    room = make_room(host, owner=alice, moderator=[bob, charlie])

    for user in (alice, charlie, bob):
        answer = change(bob, room, user, muted_until=FOR_EVER)
        assert (answer.status_code, answer.json()["code"]) == (403, "right_required")
        assert answer.json()["right"] == "mute_members"
    promotion = change(bob, room, charlie, role="owner")
    assert (promotion.status_code, promotion.json()["right"]) == (403, "change_roles")
    assert change(alice, room, bob, muted_until=FOR_EVER).status_code == 200
    assert read_version(host, room) == 4


def test_a_member_changes_nobody(host: Actor, alice: Actor, bob: Actor) -> None:
    """A plain member has neither right, not even over the own membership."""
    room = make_room(host, member=[alice, bob])

    for user in (alice, bob):
        for fields in ({"role": "owner"}, {"muted_until": None}):
            answer = change(alice, room, user, **fields)
            assert (answer.status_code, answer.json()["code"]) == (403, "right_required")


def test_a_stranger_is_told_what_an_unknown_room_tells(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    """Nothing of a room, or of who is in it, can be found out by changing members."""
    room = make_room(host, owner=alice)

    unknown = change(charlie, 10**12, alice, role="member")
    for user in (alice, bob, charlie):
        hidden = change(charlie, room, user, role="member")
        assert (hidden.status_code, hidden.content) == (404, unknown.content)


def test_a_user_who_is_no_member_is_not_found(host: Actor, alice: Actor, bob: Actor) -> None:
    """There is nothing to change of a user who is not in the room."""
    room = make_room(host, owner=alice)

    for caller in (alice, host):
        answer = change(caller, room, bob, role="moderator")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_direct_room_has_no_roles(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """All are equal in a direct room; only the service and staff can mute somebody there."""
    room = make_room(host, member=[alice, bob])
    connection.execute("UPDATE chat_room SET kind = 'direct' WHERE id = %s", [room])

    assert change(alice, room, bob, muted_until=FOR_EVER).status_code == 403
    assert change(host, room, bob, role="owner").json()["code"] == "conflict"
    assert change(host, room, bob, muted_until=FOR_EVER).status_code == 200


def test_an_archived_room_is_not_changed(host: Actor, alice: Actor, connection: Connection) -> None:
    """A room that can only be read keeps its roles and mutes."""
    room = make_room(host, member=alice)
    connection.execute("UPDATE chat_room SET archived_at = now() WHERE id = %s", [room])

    answer = change(host, room, alice, role="owner")

    assert (answer.status_code, answer.json()["code"]) == (409, "room_archived")


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({}, ""),
        ([], ""),
        ({"role": "admin"}, "/role"),
        ({"role": None}, "/role"),
        ({"muted_until": "tomorrow"}, "/muted_until"),
        ({"muted_until": "2999-01-01T00:00:00"}, "/muted_until"),
        ({"muted_until": 4102444800}, "/muted_until"),
        ({"muted_until": "2001-01-01T00:00:00Z"}, "/muted_until"),
        ({"muted_until": "9999-12-31T23:59:59-05:00"}, "/muted_until"),
        ({"muted_until": "0001-01-01T00:00:00+05:00"}, "/muted_until"),
        ({"role": "member", "name": "x"}, "/name"),
    ],
)
def test_it_names_the_field_at_fault(host: Actor, alice: Actor, body: object, pointer: str) -> None:
    """A body that cannot be a change is refused with a pointer, and nothing was changed."""
    room = make_room(host, member=alice)

    answer = host.patch(f"/api/rooms/{room}/members/{alice.user_id}/", body)

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)
    assert read_version(host, room) == 1


def test_who_changed_what_is_kept(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """Each role and mute that was changed has an entry: who, of whom, from what to what."""
    room = make_room(host, owner=alice, member=bob)

    change(alice, room, bob, role="moderator", muted_until="2999-01-01T00:00:00Z")
    change(host, room, bob, muted_until=None)

    entries = connection.execute(
        "SELECT actor, actor_kind, address, action, user_id, details FROM chat_audit"
        " WHERE room_id = %s AND user_id = %s ORDER BY id",
        [room, bob.user_id],
    ).fetchall()
    assert [(entry["actor"], entry["action"], entry["details"]) for entry in entries] == [
        (alice.user_id, "role_changed", {"from": "member", "to": "moderator"}),
        (alice.user_id, "member_muted", {"until": "2999-01-01T00:00:00.000000Z"}),
        (host.user_id, "member_unmuted", None),
    ]
    assert [entry["actor_kind"] for entry in entries] == ["user", "user", "service"]
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
