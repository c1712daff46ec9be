"""POST /api/rooms/ by users, where the host allows it"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast, describe_my, make_token
from tests.support.processes import serve_api

PATH = "/api/rooms/"


@pytest.fixture(scope="module")
def addresses(database_url: str) -> Iterator[dict[str, str]]:
    """Return the addresses of two processes with different settings."""
    with (
        serve_api(
            database_url, CHAT_USERS_MAY_CREATE="any", CHAT_DEFAULT_ROOM_KIND="private"
        ) as for_any,
        serve_api(
            database_url,
            CHAT_USERS_MAY_CREATE="private",
            CHAT_ROOMS_CREATED_PER_USER="3/600",
            CHAT_ROOMS_PER_USER="2",
            CHAT_MEMBERS_PER_ROOM="4",
        ) as for_private,
    ):
        yield {"any": for_any, "private": for_private}


@pytest.fixture
def people(addresses: dict[str, str]) -> Iterator[Cast]:
    """Return a cast that may create any room."""
    with Cast(addresses["any"]) as cast:
        yield cast


@pytest.fixture
def limited(addresses: dict[str, str]) -> Iterator[Cast]:
    """Return a cast that may create 3 private rooms of 4 members, and be in 2 rooms."""
    with Cast(addresses["private"]) as cast:
        yield cast


def create(actor: Actor, *members: Actor, **wanted: Any) -> dict[str, Any]:
    """Create a room, and return it."""
    body = {"name": "room", "members": [member.user_id for member in members]} | wanted
    answer = actor.post(PATH, body)
    assert answer.status_code == 201, answer.text
    room: dict[str, Any] = answer.json()
    return room


@pytest.mark.parametrize("kind", ["public", "private"])
def test_a_user_who_creates_a_room_owns_it(people: Cast, kind: str) -> None:
    """The creator is the first member, is its owner, and may change it."""
    alice = people.user("alice")

    room = create(alice, kind=kind)

    assert (room["kind"], room["member_count"], room["version"]) == (kind, 1, 1)
    assert room["my"] == describe_my("owner")
    shown = alice.get(f"{PATH}{room['id']}/").json()
    assert {"change_room", "change_roles"} <= set(shown["my"].pop("rights"))
    assert shown == room


def test_a_user_names_the_first_members_of_a_private_room(people: Cast) -> None:
    """They are members; the creator enters first, named or not, and once."""
    alice, bob = people.user("alice"), people.user("bob")

    room = create(alice, bob, alice, kind="private")

    assert room["member_count"] == 2
    assert bob.get(f"{PATH}{room['id']}/").json()["my"]["role"] == "member"
    events = alice.get(f"{PATH}{room['id']}/events/").json()["results"]
    assert [event["body"]["user"] for event in events] == [alice.user_id, bob.user_id]


def test_a_user_names_no_members_of_a_public_room(people: Cast) -> None:
    """The field is named; the own id is harmless there."""
    alice, bob = people.user("alice"), people.user("bob")

    answer = alice.post(
        PATH, {"name": "room", "kind": "public", "members": [alice.user_id, bob.user_id]}
    )

    assert (answer.status_code, answer.json()["pointer"]) == (422, "/members")
    assert bob.get(PATH).json()["results"] == []
    assert create(alice, alice, kind="public")["member_count"] == 1


def test_the_host_sets_what_a_room_is_by_default(people: Cast, limited: Cast, host: Actor) -> None:
    """With `CHAT_DEFAULT_ROOM_KIND`, or where users may create only private ones, it is private."""
    assert create(people.service())["kind"] == "private"
    assert create(people.user("alice"))["kind"] == "private"
    assert create(limited.user("alice"))["kind"] == "private"
    assert create(limited.service())["kind"] == "public"
    assert create(host)["kind"] == "public"


def test_a_user_creates_no_kind_that_the_host_does_not_allow(limited: Cast) -> None:
    """A public room, and an external id, are the service's: 403 says which."""
    alice = limited.user("alice")

    for wanted, word in ({"kind": "public"}, "private"), ({"external_id": "mine"}, "external_id"):
        answer = alice.post(PATH, {"name": "room"} | wanted)

        assert (answer.status_code, answer.json()["code"]) == (403, "service_rights_required")
        assert word in answer.json()["detail"]
    assert alice.get(PATH).json()["results"] == []


def test_a_key_of_a_user_stands_for_the_users_room(people: Cast, connection: Connection) -> None:
    """Repeated it is 200; a key is of one user; one who was removed sees the room no more."""
    alice, bob = people.user("alice"), people.user("bob")
    wanted = {"name": "room", "kind": "private", "members": [bob.user_id], "client_id": "k"}
    room = alice.post(PATH, wanted).json()

    again, other = alice.post(PATH, wanted), bob.post(PATH, wanted)

    assert (again.status_code, again.json()) == (200, room)
    assert other.status_code == 201
    assert alice.post(PATH, wanted | {"name": "x"}).json()["code"] == "client_id_conflict"
    connection.execute(
        "DELETE FROM chat_member WHERE room_id = %s AND user_id = %s", [room["id"], alice.user_id]
    )
    gone = alice.post(PATH, wanted)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert gone.content == alice.get(f"{PATH}{10**12}/").content


def test_a_user_with_the_id_of_the_service_is_not_the_service(people: Cast) -> None:
    """A key of the service's token is not one of the user with the same `sub`."""
    host = people.service()
    namesake = people.with_token(make_token(host.user_id), host.user_id)
    key = secrets.token_hex(8)
    wanted = {"name": "room", "kind": "private", "client_id": key}
    create(host, **wanted)

    answer = namesake.post(PATH, wanted | {"members": [host.user_id]})

    assert (answer.status_code, answer.json()["code"]) == (409, "client_id_conflict")


def test_a_user_creates_as_many_as_are_allowed(limited: Cast) -> None:
    """Beyond it is 429, with a time and nothing created; a repeated key is not counted."""
    alice = limited.user("alice")
    wanted = {"name": "room", "client_id": "k"}
    for n in range(3):
        room = create(alice, **wanted | {"client_id": f"k{n}"})
        assert alice.post(PATH, wanted | {"client_id": f"k{n}"}).status_code == 200
        assert alice.post(f"{PATH}{room['id']}/leave/").status_code == 200

    answer = alice.post(PATH, wanted)

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    assert alice.get(PATH).json()["results"] == []


def test_a_user_is_in_as_many_rooms_as_are_allowed(limited: Cast) -> None:
    """Creating one more is 409, as joining is."""
    alice = limited.user("alice")
    rooms = {create(alice)["id"] for _ in range(2)}

    answer = alice.post(PATH, {"name": "room"})

    assert (answer.status_code, answer.json()["code"]) == (409, "limit_reached")
    assert {room["id"] for room in alice.get(PATH).json()["results"]} == rooms


def test_a_room_begins_with_as_many_members_as_are_allowed(limited: Cast) -> None:
    """The creator counts; one more is 409, and nothing is created."""
    alice = limited.user("alice")
    others = [limited.user(name) for name in ("bob", "carol", "dave", "eve")]

    answer = alice.post(PATH, {"name": "room", "members": [other.user_id for other in others]})

    assert (answer.status_code, answer.json()["code"]) == (409, "limit_reached")
    assert others[0].get(PATH).json()["results"] == []
    assert create(alice, *others[:3])["member_count"] == 4


def ban(connection: Connection, user: Actor) -> None:
    """Ban a user from all rooms."""
    connection.execute(
        "INSERT INTO chat_ban (user_id, reason, created_by, created_at)"
        " VALUES (%s, '', 'host', now())",
        [user.user_id],
    )


def test_who_is_banned_creates_no_room_and_is_in_none(people: Cast, connection: Connection) -> None:
    """The banned user and the service are told so; another user is not told who it is."""
    alice, bob, host = people.user("alice"), people.user("bob"), people.service()
    ban(connection, alice)

    own = alice.post(PATH, {"name": "room"})
    service = host.post(PATH, {"name": "room", "members": [alice.user_id]})
    other = bob.post(PATH, {"name": "room", "members": [alice.user_id]})

    assert (own.status_code, own.json()["code"]) == (403, "banned")
    assert (service.status_code, service.json()["code"]) == (403, "banned")
    assert alice.user_id in service.json()["detail"]
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert alice.user_id not in other.text
    assert bob.get(PATH).json()["results"] == []


def test_who_blocks_the_creator_is_not_brought_into_the_room(
    people: Cast, connection: Connection
) -> None:
    """The answer is that for a banned user; who blocks may create a room with the other one."""
    alice, bob, eve = people.user("alice"), people.user("bob"), people.user("eve")
    ban(connection, eve)
    connection.execute(
        "INSERT INTO chat_block (user_id, blocked_id, created_at) VALUES (%s, %s, now())",
        [bob.user_id, alice.user_id],
    )

    blocked = alice.post(PATH, {"name": "room", "members": [bob.user_id]})
    banned = alice.post(PATH, {"name": "room", "members": [eve.user_id]})

    assert (blocked.status_code, blocked.json()["code"]) == (409, "conflict")
    assert blocked.content == banned.content
    assert create(bob, alice)["member_count"] == 2
