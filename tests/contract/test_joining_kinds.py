"""Who may join and leave which kind of room: POST /api/rooms/{id}/join/ and …/leave/"""

import httpx
import pytest

from tests.conftest import Connection
from tests.support.actors import Actor

UNKNOWN = 10**12


def describe(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return an answer without what differs from request to request."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"x-request-id", "date"}
    }
    return answer.status_code, answer.content, headers


def change(connection: Connection, room: int, column: str, value: object) -> None:
    """Set a column of a room."""
    connection.execute(f"UPDATE chat_room SET {column} = %s WHERE id = %s".encode(), [value, room])


def ban(connection: Connection, user: Actor, room: int | None, until: str | None = None) -> None:
    """Ban a user from a room, or from all."""
    connection.execute(
        "INSERT INTO chat_ban (room_id, user_id, until, reason, created_by, created_at)"
        " VALUES (%s, %s, now() + %s::interval, '', 'host', now())",
        [room, user.user_id, until],
    )


@pytest.mark.parametrize("word", ["join", "leave"])
@pytest.mark.parametrize("kind", ["private", "direct"])
def test_for_a_stranger_there_is_no_such_room(
    host: Actor, alice: Actor, charlie: Actor, connection: Connection, kind: str, word: str
) -> None:
    """The answer is that of a room that does not exist, byte for byte; nothing is changed."""
    room = host.create_room(alice)
    change(connection, room, "kind", kind)

    answer = charlie.post(f"/api/rooms/{room}/{word}/")

    assert answer.status_code == 404
    assert describe(answer) == describe(charlie.post(f"/api/rooms/{UNKNOWN}/{word}/"))
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 1


@pytest.mark.parametrize("kind", ["private", "direct"])
def test_a_member_who_joins_again_is_answered_as_ever(
    host: Actor, alice: Actor, connection: Connection, kind: str
) -> None:
    """Repeating it changes nothing, in any kind of room."""
    room = host.create_room(alice)
    change(connection, room, "kind", kind)

    answer = alice.post(f"/api/rooms/{room}/join/")

    assert (answer.status_code, answer.json()["joined"]) == (200, True)
    assert answer.json()["room"]["version"] == 1


def test_who_left_a_private_room_is_a_stranger(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """A member may leave; to leave again, or to come back, there is no such room."""
    room = host.create_room(alice, bob)
    change(connection, room, "kind", "private")

    left = bob.post(f"/api/rooms/{room}/leave/")

    assert (left.status_code, left.json()["joined"]) == (200, False)
    assert left.json()["room"]["member_count"] == 1
    assert bob.post(f"/api/rooms/{room}/leave/").status_code == 404
    assert bob.post(f"/api/rooms/{room}/join/").status_code == 404


def test_nobody_leaves_a_direct_room(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The members of a direct room never change."""
    room = host.create_room(alice, bob)
    change(connection, room, "kind", "direct")

    answer = bob.post(f"/api/rooms/{room}/leave/")

    assert answer.status_code == 403
    assert (answer.json()["code"], answer.json()["right"]) == ("right_required", "leave")
    assert bob.get(f"/api/rooms/{room}/").json()["member_count"] == 2


def test_an_archived_room_is_left_and_not_joined(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, connection: Connection
) -> None:
    """It takes nobody in and keeps nobody; who is a member may say so again."""
    room = host.create_room(alice, bob)
    change(connection, room, "archived_at", "2026-01-01")

    joined = charlie.post(f"/api/rooms/{room}/join/")

    assert (joined.status_code, joined.json()["code"]) == (409, "room_archived")
    assert alice.post(f"/api/rooms/{room}/join/").status_code == 200
    assert bob.post(f"/api/rooms/{room}/leave/").json()["joined"] is False


def test_who_is_banned_does_not_join(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, connection: Connection
) -> None:
    """Neither from this room nor from all; other rooms and other users are as before."""
    room, other = host.create_room(alice), host.create_room(alice)
    ban(connection, bob, room)
    ban(connection, charlie, None, "1 hour")

    answers = [user.post(f"/api/rooms/{room}/join/") for user in (bob, charlie)]

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "banned")] * 2
    assert bob.post(f"/api/rooms/{other}/join/").status_code == 200
    assert charlie.post(f"/api/rooms/{other}/join/").status_code == 403
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 1


def test_a_ban_ends(host: Actor, bob: Actor, connection: Connection) -> None:
    """From its end on the user joins as anyone does."""
    room = host.create_room()
    ban(connection, bob, room, "-1 second")

    assert bob.post(f"/api/rooms/{room}/join/").status_code == 200


def test_of_a_private_room_the_banned_learn_nothing(
    host: Actor, bob: Actor, connection: Connection
) -> None:
    """A stranger who is banned there is a stranger."""
    room = host.create_room()
    change(connection, room, "kind", "private")
    ban(connection, bob, room)

    answer = bob.post(f"/api/rooms/{room}/join/")

    assert describe(answer) == describe(bob.post(f"/api/rooms/{UNKNOWN}/join/"))


def test_the_service_joins_as_a_user_does(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """It adds itself, as anyone, where it wants to be a member of a private room."""
    room, private = host.create_room(alice), host.create_room(alice)
    change(connection, private, "kind", "private")

    assert host.post(f"/api/rooms/{room}/join/").status_code == 200
    assert host.post(f"/api/rooms/{private}/join/").status_code == 404
    assert host.post(f"/api/rooms/{private}/members/", {"users": ["host"]}).status_code == 200
    assert host.post(f"/api/rooms/{private}/leave/").status_code == 200
