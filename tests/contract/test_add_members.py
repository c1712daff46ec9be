"""POST /api/rooms/{id}/members/"""

import pytest

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.support.actors import Actor


def test_the_service_adds_members(host: Actor, alice: Actor, bob: Actor, charlie: Actor) -> None:
    """The answer names the users added and those who were members; all are members now."""
    room = host.create_room(alice)

    answer = host.post(
        f"/api/rooms/{room}/members/", {"users": [bob.user_id, alice.user_id, charlie.user_id]}
    )

    assert answer.status_code == 200
    assert answer.json() == {"added": [bob.user_id, charlie.user_id], "already": [alice.user_id]}
    assert charlie.get(f"/api/rooms/{room}/").json()["member_count"] == 3


def test_repeating_it_changes_nothing(host: Actor, alice: Actor, bob: Actor) -> None:
    """A call that was answered may be sent again: no version, no event, no second member."""
    room = host.create_room(alice)
    host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})
    before = alice.get(f"/api/rooms/{room}/").json()

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert answer.json() == {"added": [], "already": [bob.user_id]}
    assert alice.get(f"/api/rooms/{room}/").json() == before


def test_a_user_named_twice_counts_once(host: Actor, alice: Actor, bob: Actor) -> None:
    """A call is a set of users, whatever their order and however often each is given."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id] * 3})

    assert answer.json() == {"added": [bob.user_id], "already": []}
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 2


def test_one_call_is_one_change(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, connection: Connection
) -> None:
    """Each user a call adds, and each earlier member, receives an event for each of them."""
    alice.listen()
    bob.listen()
    charlie.listen()
    room = host.create_room(alice)
    host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id, charlie.user_id]})

    queued = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s"
        " ORDER BY id OFFSET 1",
        [f"%:{room}:%:0"],
    ).fetchall()

    everyone = [f"personal:{user.user_id}" for user in (alice, bob, charlie)]
    assert [row["payload"]["channels"] for row in queued] == [everyone, everyone]
    events = [row["payload"]["data"] for row in queued]
    assert [event["type"] for event in events] == ["user_joined", "user_joined"]
    assert [event["body"]["user"] for event in events] == [bob.user_id, charlie.user_id]
    assert [event["body"]["room"]["version"] for event in events] == [2, 3]
    assert events == read_page(bob, f"/api/rooms/{room}/events/", after=1)["results"]


def test_nobody_is_an_empty_change(host: Actor, alice: Actor) -> None:
    """An empty list is a valid list."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/members/", {"users": []})

    assert (answer.status_code, answer.json()) == (200, {"added": [], "already": []})


def test_nobody_is_not_added_to_an_unknown_room(host: Actor) -> None:
    """An unknown room is 404 also for an empty list of users."""
    assert host.post(f"/api/rooms/{10**12}/members/", {"users": []}).status_code == 404


def test_an_unknown_room_is_not_found(host: Actor, alice: Actor) -> None:
    """The service, too, gets 404 for a room that does not exist."""
    answer = host.post(f"/api/rooms/{10**12}/members/", {"users": [alice.user_id]})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "prefix",
    ["a/b", "a b", "100%", "Ольга", "🙂", "a+b@c", "auth0|x", "urn:x:1", ".", "..", "a#b?c", '"\\'],
)
def test_any_name_can_be_a_member(host: Actor, alice: Actor, prefix: str) -> None:
    """An id is a string of the host's: it comes back as it was given."""
    room = host.create_room()
    user_id = prefix + alice.user_id

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [user_id]})

    assert answer.json() == {"added": [user_id], "already": []}


def test_ids_are_never_normalised(host: Actor, alice: Actor) -> None:
    """Two spellings are two users: composed and decomposed, upper and lower, with and without."""
    room = host.create_room(alice)
    spellings = ["\u00e9", "e\u0301", "E\u0301", "e", "e ", " e", "\ufb01", "fi"]

    answer = host.post(f"/api/rooms/{room}/members/", {"users": spellings})

    assert answer.json() == {"added": spellings, "already": []}


@pytest.mark.parametrize("length", [1, 128])
def test_an_id_has_1_to_128_characters(host: Actor, length: int) -> None:
    """Both ends of the range are allowed."""
    room = host.create_room()

    answer = host.post(f"/api/rooms/{room}/members/", {"users": ["x" * length]})

    assert answer.json()["added"] == ["x" * length]


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({}, "/users"),
        ({"users": None}, "/users"),
        ({"users": "alice"}, "/users"),
        ({"users": ["ok", 5]}, "/users/1"),
        ({"users": ["ok", ""]}, "/users/1"),
        ({"users": ["ok", "x" * 129]}, "/users/1"),
        ({"users": ["ok", "a\x00"]}, "/users/1"),
        ({"users": ["ok", "a\x7f"]}, "/users/1"),
        ({"users": [str(n) for n in range(1001)]}, "/users"),
        ({"users": [], "members": []}, "/members"),
        ([], ""),
    ],
)
def test_it_names_the_field_at_fault(host: Actor, alice: Actor, body: object, pointer: str) -> None:
    """A body that is not a list of users is refused with a pointer to the first offending field."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/members/", body)

    assert answer.status_code == 422
    assert answer.json()["pointer"] == pointer


def test_one_impossible_id_refuses_the_whole_call(host: Actor, alice: Actor, bob: Actor) -> None:
    """All users are added, or none: with one id too long for a channel, none is."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id, "ж" * 128]})

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "/users/1"
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 1


def test_members_add_nobody(host: Actor, alice: Actor, bob: Actor) -> None:
    """A member without the right is told which one it takes, and nobody was added."""
    room = host.create_room(alice)

    answer = alice.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert (answer.status_code, answer.json()["code"]) == (403, "right_required")
    assert answer.json()["right"] == "add_members"
    assert bob.get(f"/api/rooms/{room}/").status_code == 404


def test_a_stranger_is_told_what_an_unknown_room_tells(
    host: Actor, alice: Actor, charlie: Actor
) -> None:
    """A stranger to a room is answered byte for byte as if there were no such room."""
    room = host.create_room(alice)

    forbidden = charlie.post(f"/api/rooms/{room}/members/", {"users": []})
    unknown = charlie.post(f"/api/rooms/{10**12}/members/", {"users": []})

    assert forbidden.status_code == unknown.status_code == 404
    assert forbidden.content == unknown.content


def test_a_moderator_adds_members(host: Actor, alice: Actor, bob: Actor) -> None:
    """A moderator adds users as members, and gives nobody a role."""
    room = host.create_room()
    host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id], "role": "moderator"})

    refused = alice.post(
        f"/api/rooms/{room}/members/", {"users": [bob.user_id], "role": "moderator"}
    )
    added = alice.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert (refused.status_code, refused.json()["right"]) == (403, "change_roles")
    assert added.json() == {"added": [bob.user_id], "already": []}
    assert bob.get(f"/api/rooms/{room}/members/{bob.user_id}/").json()["role"] == "member"


def test_users_are_added_with_a_role(host: Actor, alice: Actor, bob: Actor) -> None:
    """The event of a user who joins as more than a member says so; the others leave it out."""
    room = host.create_room(alice)

    host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id], "role": "owner"})

    joined, promoted = read_page(alice, f"/api/rooms/{room}/events/")["results"]
    assert "role" not in joined["body"]
    assert promoted["body"]["role"] == "owner"
    assert bob.get(f"/api/rooms/{room}/members/{bob.user_id}/").json()["role"] == "owner"


def test_who_is_a_member_keeps_the_role(host: Actor, alice: Actor) -> None:
    """Adding a member again with another role changes nothing: PATCH does that."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id], "role": "owner"})

    assert answer.json() == {"added": [], "already": [alice.user_id]}
    assert alice.get(f"/api/rooms/{room}/members/{alice.user_id}/").json()["role"] == "member"


@pytest.mark.parametrize("where", ["room", "everywhere"])
def test_a_banned_user_is_not_added(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, connection: Connection, where: str
) -> None:
    """Nobody adds a banned user, the service neither: the answer names the user, and adds none."""
    room = host.create_room()
    host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id], "role": "owner"})
    connection.execute(
        "INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)"
        " VALUES (%s, %s, '', 'host', now())",
        [room if where == "room" else None, bob.user_id],
    )

    for caller in (alice, host):
        answer = caller.post(
            f"/api/rooms/{room}/members/", {"users": [charlie.user_id, bob.user_id]}
        )

        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert bob.user_id in answer.json()["detail"]
        assert charlie.user_id not in answer.json()["detail"]
    assert host.get(f"/api/rooms/{room}/").json()["member_count"] == 1


def test_a_ban_that_has_ended_is_none(host: Actor, bob: Actor, connection: Connection) -> None:
    """After its time a ban keeps nobody out, nor does a ban from another room."""
    room, other = host.create_room(), host.create_room()
    connection.execute(
        "INSERT INTO chat_ban (room_id, user_id, until, reason, created_by, created_at) VALUES"
        " (%(room)s, %(user)s, now() - interval '1 second', '', 'host', now()),"
        " (%(other)s, %(user)s, NULL, '', 'host', now())",
        {"room": room, "other": other, "user": bob.user_id},
    )

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert answer.json()["added"] == [bob.user_id]


def test_a_direct_room_gets_no_members(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The members of a direct room never change: 409 for the service, 403 for those in it."""
    room = host.create_room(alice)
    connection.execute("UPDATE chat_room SET kind = 'direct' WHERE id = %s", [room])

    of_host = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})
    of_alice = alice.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert (of_host.status_code, of_host.json()["code"]) == (409, "conflict")
    assert (of_alice.status_code, of_alice.json()["code"]) == (403, "right_required")


def test_an_archived_room_gets_no_members(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """A room that can only be read is joined by nobody."""
    room = host.create_room(alice)
    connection.execute("UPDATE chat_room SET archived_at = now() WHERE id = %s", [room])

    answer = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert (answer.status_code, answer.json()["code"]) == (409, "room_archived")


def test_what_an_added_user_joined_at_is_kept(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """A membership begins after the room's last message, for rooms with `since_join`."""
    room = host.create_room(alice)
    alice.send(room, "one")
    alice.send(room, "two")

    host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    (row,) = connection.execute(
        "SELECT joined_seq FROM chat_member WHERE room_id = %s AND user_id = %s",
        [room, bob.user_id],
    )
    assert row["joined_seq"] == 2
