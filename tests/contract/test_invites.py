"""POST, GET …/invites/, DELETE …/invites/{id}/, GET /api/invites/{token}/, POST …/accept/"""

import re
from typing import Any

import httpx
import pytest

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.support.actors import Actor

WEEK = 7 * 86_400


def invite_into(by: Actor, room: int, **body: Any) -> dict[str, Any]:
    """Create an invite and return it."""
    answer = by.post(f"/api/rooms/{room}/invites/", body)
    assert answer.status_code == 201, answer.text
    invite: dict[str, Any] = answer.json()
    return invite


def accept(user: Actor, invite: dict[str, Any]) -> httpx.Response:
    """Accept an invite."""
    return user.post(f"/api/invites/{invite['token']}/accept/")


def show(user: Actor, invite: dict[str, Any]) -> httpx.Response:
    """Look where an invite leads."""
    return user.get(f"/api/invites/{invite['token']}/")


def set_role(connection: Connection, room: int, user: Actor, role: str) -> None:
    """Give a member another role."""
    connection.execute(
        "UPDATE chat_member SET role = %s WHERE room_id = %s AND user_id = %s",
        [role, room, user.user_id],
    )


def set_kind(connection: Connection, room: int, kind: str) -> None:
    """Make a room private, for example."""
    connection.execute("UPDATE chat_room SET kind = %s WHERE id = %s", [kind, room])


def end(connection: Connection, invite: dict[str, Any]) -> None:
    """Let an invite have expired."""
    connection.execute(
        "UPDATE chat_invite SET expires_at = now() - interval '1 s' WHERE id = %s", [invite["id"]]
    )


def seconds_between(connection: Connection, start: str, until: str) -> float:
    """Return how many seconds are between two times."""
    row = connection.execute(
        "SELECT extract(epoch FROM %s::timestamptz - %s::timestamptz)::float8 AS seconds",
        [until, start],
    ).fetchone()
    assert row is not None
    seconds: float = row["seconds"]
    return seconds


def test_an_invite_is_created(host: Actor, alice: Actor, connection: Connection) -> None:
    """Without a body it lasts a week, for any number of users."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/invites/")

    invite = answer.json()
    assert answer.status_code == 201
    assert list(invite) == [
        *("id", "room_id", "expires_at", "max_uses", "uses", "created_by", "created_at"),
        *("revoked_at", "token"),
    ]
    assert (invite["room_id"], invite["created_by"]) == (room, "host")
    assert (invite["max_uses"], invite["uses"], invite["revoked_at"]) == (None, 0, None)
    assert seconds_between(connection, invite["created_at"], invite["expires_at"]) == WEEK
    assert len(invite["token"]) <= 64
    assert re.fullmatch(r"[A-Za-z0-9._-]+", invite["token"])


def test_a_stranger_joins_a_private_room_by_it(
    host: Actor, alice: Actor, charlie: Actor, connection: Connection
) -> None:
    """Who has the token sees the room's name, and joins; repeating it is not counted."""
    room = host.create_room(alice, name="secret plans")
    set_kind(connection, room, "private")
    invite = invite_into(host, room, max_uses=2, expires_in=3600)

    shown, joined, again = show(charlie, invite), accept(charlie, invite), accept(charlie, invite)

    assert shown.json() == {
        "room": {"id": room, "name": "secret plans", "member_count": 1},
        "expires_at": invite["expires_at"],
    }
    assert joined.status_code == again.status_code == 200
    assert joined.json() == again.json()
    assert (joined.json()["joined"], joined.json()["user"]) == (True, charlie.user_id)
    assert joined.json()["room"]["member_count"] == 2
    assert charlie.get(f"/api/rooms/{room}/").status_code == 200
    (listed,) = read_page(host, f"/api/rooms/{room}/invites/")["results"]
    assert listed == invite | {"uses": 1}


def test_a_public_room_has_invites_too(host: Actor, alice: Actor, bob: Actor) -> None:
    """By them users join as they could without."""
    room = host.create_room(alice)

    assert accept(bob, invite_into(host, room)).json()["room"]["id"] == room


@pytest.mark.parametrize("role", ["moderator", "owner"])
def test_moderators_and_owners_create_list_and_revoke(
    host: Actor, alice: Actor, bob: Actor, connection: Connection, role: str
) -> None:
    """What they do with invites is kept, with who did it."""
    room = host.create_room(alice, bob)
    set_role(connection, room, alice, role)
    invite = invite_into(alice, room)
    path = f"/api/rooms/{room}/invites/"

    assert alice.get(path).json()["results"] == [invite]
    assert alice.delete(f"{path}{invite['id']}/").status_code == 204
    kept = connection.execute(
        "SELECT action, actor, actor_kind, user_id, details->>'invite_id' AS invite_id"
        " FROM chat_audit WHERE room_id = %s AND action LIKE 'invite%%' ORDER BY id",
        [room],
    ).fetchall()
    common: dict[str, str | None] = {"actor": alice.user_id, "actor_kind": "user", "user_id": None}
    assert kept == [
        {**common, "action": action, "invite_id": str(invite["id"])}
        for action in ("invite_created", "invite_revoked")
    ]


def test_a_plain_member_has_no_right_to_invite(host: Actor, alice: Actor) -> None:
    """Neither to create invites, nor to see them, nor to revoke them."""
    room = host.create_room(alice)
    invite = invite_into(host, room)
    path = f"/api/rooms/{room}/invites/"

    answers = [alice.post(path), alice.get(path), alice.delete(f"{path}{invite['id']}/")]

    for answer in answers:
        assert answer.status_code == 403
        assert (answer.json()["code"], answer.json()["right"]) == (
            "right_required",
            "create_invites",
        )
    assert host.get(path).json()["results"] == [invite]


def test_a_revoked_invite_lets_nobody_in(host: Actor, alice: Actor, bob: Actor) -> None:
    """Revoking it again changes nothing; who joined by it stays."""
    room = host.create_room(alice)
    invite = invite_into(host, room)
    accept(alice, invite)
    path = f"/api/rooms/{room}/invites/{invite['id']}/"

    assert host.delete(path).status_code == 204
    (revoked,) = host.get(f"/api/rooms/{room}/invites/").json()["results"]
    assert host.delete(path).status_code == 204

    assert revoked["revoked_at"] is not None
    assert host.get(f"/api/rooms/{room}/invites/").json()["results"] == [revoked]
    for answer in (accept(bob, invite), show(bob, invite)):
        assert (answer.status_code, answer.json()["code"]) == (410, "invite_gone")
    assert accept(alice, invite).status_code == 200


def test_an_invite_of_another_room_is_not_found_there(host: Actor, alice: Actor) -> None:
    """An id is revoked in its own room only, and one that never was is 404."""
    room, other = host.create_room(alice), host.create_room(alice)
    invite = invite_into(host, room)

    for wrong in (
        f"{other}/invites/{invite['id']}",
        f"{room}/invites/999999999",
        f"{room}/invites/x",
    ):
        assert host.delete(f"/api/rooms/{wrong}/").status_code == 404
    assert accept(alice, invite).status_code == 200


def test_an_invite_expires(host: Actor, bob: Actor, connection: Connection) -> None:
    """From then on it lets nobody in, and who got in by it may repeat the request."""
    room = host.create_room()
    invite = invite_into(host, room, expires_in=60)
    alice_joined = accept(host, invite)
    end(connection, invite)

    answer = accept(bob, invite)

    assert (answer.status_code, answer.json()["code"]) == (410, "invite_gone")
    assert accept(host, invite).json() == alice_joined.json()


def test_an_invite_is_used_up(host: Actor, alice: Actor, bob: Actor) -> None:
    """After so many users the next one is refused; the last one is still a member."""
    room = host.create_room()
    invite = invite_into(host, room, max_uses=1)

    assert accept(alice, invite).status_code == 200
    assert accept(bob, invite).status_code == 410
    assert accept(alice, invite).status_code == 200
    assert bob.get(f"/api/rooms/{room}/").status_code == 404


def test_who_is_banned_is_not_let_in(host: Actor, bob: Actor, connection: Connection) -> None:
    """And the invite is not used up by it."""
    room = host.create_room()
    invite = invite_into(host, room, max_uses=1)
    connection.execute(
        "INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)"
        " VALUES (%s, %s, '', 'host', now())",
        [room, bob.user_id],
    )

    answer = accept(bob, invite)

    assert (answer.status_code, answer.json()["code"]) == (403, "banned")
    assert host.get(f"/api/rooms/{room}/invites/").json()["results"] == [invite]


def test_an_archived_room_takes_nobody_in(host: Actor, bob: Actor, connection: Connection) -> None:
    """Neither are invites into it created; those that are there can be revoked."""
    room = host.create_room()
    invite = invite_into(host, room)
    connection.execute("UPDATE chat_room SET archived_at = now() WHERE id = %s", [room])

    for answer in (accept(bob, invite), host.post(f"/api/rooms/{room}/invites/")):
        assert (answer.status_code, answer.json()["code"]) == (409, "room_archived")
    assert host.delete(f"/api/rooms/{room}/invites/{invite['id']}/").status_code == 204


def test_there_are_no_invites_into_a_direct_room(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """For its members it takes a right that nobody has there; for the service it is a conflict."""
    room = host.create_room(alice)
    set_kind(connection, room, "direct")

    by_member, by_service = (user.post(f"/api/rooms/{room}/invites/") for user in (alice, host))

    assert (by_member.status_code, by_member.json()["right"]) == (403, "create_invites")
    assert (by_service.status_code, by_service.json()["code"]) == (409, "conflict")


def test_every_wrong_token_has_the_same_answer(
    host: Actor, bob: Actor, connection: Connection
) -> None:
    """A tampered one, one of nothing, and one whose invite is no more are not told apart."""
    room = host.create_room()
    invite, other = invite_into(host, room), invite_into(host, room)
    token: str = invite["token"]
    named, signature = token.split(".")
    deleted = invite_into(host, room)
    connection.execute("DELETE FROM chat_invite WHERE id = %s", [deleted["id"]])
    wrong = [
        f"{other['token'].split('.')[0]}.{signature}",
        f"{named}.{other['token'].split('.')[1]}",
        f"{named}.{signature[:-1]}",
        f"{named}.{signature[::-1]}",
        f"{named}A.{signature}",
        f"{token}=",
        f"{named}.",
        named,
        "x",
        "%00",
        "%ff",
        "é",
        deleted["token"],
    ]

    answers = [bob.get(f"/api/invites/{text}/") for text in wrong]
    answers += [bob.post(f"/api/invites/{text}/accept/") for text in wrong]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert bob.get(f"/api/rooms/{room}/").status_code == 404


def test_an_id_that_is_given_again_after_a_restore_is_another_invite(
    host: Actor, bob: Actor, connection: Connection
) -> None:
    """A token of before leads nowhere, and not into the room of the invite with its id."""
    room = host.create_room()
    invite = invite_into(host, room)
    connection.execute(
        "UPDATE chat_invite SET created_at = created_at + interval '1 us' WHERE id = %s",
        [invite["id"]],
    )

    assert accept(bob, invite).status_code == 404
    (listed,) = host.get(f"/api/rooms/{room}/invites/").json()["results"]
    assert accept(bob, listed).status_code == 200


def test_a_list_is_read_page_by_page(host: Actor, alice: Actor) -> None:
    """The newest first, in both directions."""
    room = host.create_room(alice)
    invites = [invite_into(host, room, max_uses=n) for n in range(1, 6)][::-1]
    path = f"/api/rooms/{room}/invites/?limit=2"

    pages = [host.get(path).json()]
    while pages[-1]["next"]:
        pages.append(host.get(pages[-1]["next"]).json())
    back = host.get(pages[-1]["previous"]).json()

    assert [len(page["results"]) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page["results"]] == invites
    assert back["results"] == pages[1]["results"]


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"expires_in": 0}, "/expires_in"),
        ({"expires_in": 365 * 86_400 + 1}, "/expires_in"),
        ({"expires_in": "1h"}, "/expires_in"),
        ({"max_uses": 0}, "/max_uses"),
        ({"max_uses": 1_000_001}, "/max_uses"),
        ({"uses": 1}, "/uses"),
    ],
)
def test_a_wrong_value_is_named(
    host: Actor, alice: Actor, body: dict[str, Any], pointer: str
) -> None:
    """Nothing is created."""
    room = host.create_room(alice)

    answer = host.post(f"/api/rooms/{room}/invites/", body)

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)
    assert host.get(f"/api/rooms/{room}/invites/").json()["results"] == []
