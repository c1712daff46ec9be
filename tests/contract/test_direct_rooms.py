"""POST /api/rooms/direct/"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Connection
from tests.support.actors import PLAIN, Actor, Cast, describe_my
from tests.support.processes import serve_api

PATH = "/api/rooms/direct/"


@pytest.fixture(scope="module")
def addresses(database_url: str) -> Iterator[list[str]]:
    """Return the addresses of two processes in which users may open direct rooms."""
    with (
        serve_api(database_url, CHAT_USERS_MAY_CREATE="private") as one,
        serve_api(
            database_url, CHAT_USERS_MAY_CREATE="private", CHAT_DIRECT_ROOMS_PER_USER="2/600"
        ) as other,
    ):
        yield [one, other]


@pytest.fixture
def people(addresses: list[str]) -> Iterator[Cast]:
    """Return a cast that may open direct rooms."""
    with Cast(addresses[0]) as cast:
        yield cast


@pytest.fixture
def limited(addresses: list[str]) -> Iterator[Cast]:
    """Return a cast of which each may open two."""
    with Cast(addresses[1]) as cast:
        yield cast


def open_room(actor: Actor, *others: Actor, status: int = 201) -> dict[str, Any]:
    """Open a direct room, and return it."""
    answer = actor.post(PATH, {"users": [other.user_id for other in others]})
    assert answer.status_code == status, answer.text
    room: dict[str, Any] = answer.json()
    return room


def block(connection: Connection, user: Actor, other: Actor) -> None:
    """Make a user block another one."""
    connection.execute(
        "INSERT INTO chat_block (user_id, blocked_id, created_at) VALUES (%s, %s, now())",
        [user.user_id, other.user_id],
    )


def ban(connection: Connection, user: Actor) -> None:
    """Ban a user from all rooms."""
    connection.execute(
        "INSERT INTO chat_ban (user_id, reason, created_by, created_at)"
        " VALUES (%s, '', 'host', now())",
        [user.user_id],
    )


def test_two_people_have_one_direct_room(people: Cast) -> None:
    """Each of them opens the same one, named or not, in any order; only the first creates it."""
    alice, bob = people.user("alice"), people.user("bob")

    room = open_room(alice, bob)

    assert room == room | PLAIN | {
        "kind": "direct",
        "member_count": 2,
        "version": 2,
        "name": f"{alice.user_id}, {bob.user_id}",
        "my": describe_my(),
    }
    assert open_room(bob, alice, status=200) == room
    assert open_room(alice, bob, alice, bob, status=200) == room
    shown = bob.get(f"/api/rooms/{room['id']}/").json()
    assert shown["my"].pop("rights") == ["send_messages"]
    assert shown == room
    events = bob.get(f"/api/rooms/{room['id']}/events/").json()["results"]
    assert [event["body"]["user"] for event in events] == [alice.user_id, bob.user_id]


def test_other_people_have_another_room(people: Cast) -> None:
    """A room is of exactly these people: one more or one less is another room."""
    alice, bob, carol = (people.user(name) for name in ("alice", "bob", "carol"))

    rooms = [
        open_room(alice, bob)["id"],
        open_room(alice, carol)["id"],
        open_room(alice, bob, carol)["id"],
        open_room(carol, bob)["id"],
    ]

    assert len(set(rooms)) == 4
    assert {room["id"] for room in alice.get("/api/rooms/").json()["results"]} == set(rooms[:3])


def test_the_service_opens_one_for_any_people(people: Cast, host: Actor) -> None:
    """The service is not among them; where users may create nothing, it alone opens rooms."""
    alice, bob = people.user("alice"), people.user("bob")

    room = open_room(host, alice, bob)

    assert (room["member_count"], room["my"]) == (2, None)
    assert open_room(alice, bob, status=200) == room | {"my": describe_my()}


def test_users_open_none_where_the_host_does_not_allow_it(alice: Actor, bob: Actor) -> None:
    """By default the endpoint is for the service."""
    answer = alice.post(PATH, {"users": [bob.user_id]})

    assert (answer.status_code, answer.json()["code"]) == (403, "service_rights_required")
    assert bob.get("/api/rooms/").json()["results"] == []


def test_a_direct_room_has_2_to_8_people(people: Cast) -> None:
    """The caller counts; fewer and more are refused with the field's pointer."""
    alice = people.user("alice")
    others = [people.user(f"other{n}") for n in range(8)]

    assert open_room(alice, *others[:7])["member_count"] == 8
    for users in ([], [alice], others, [*others, alice]):
        answer = alice.post(PATH, {"users": [user.user_id for user in users]})
        assert (answer.status_code, answer.json()["pointer"]) == (422, "/users"), users


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({}, "/users"),
        ({"users": "bob"}, "/users"),
        ({"users": ["bob", ""]}, "/users/1"),
        ({"users": ["ж" * 128]}, "/users/0"),
        ({"users": ["bob"], "name": "x"}, "/name"),
    ],
)
def test_it_names_the_field_at_fault(people: Cast, body: object, pointer: str) -> None:
    """A body that names no people is refused, and nothing is created."""
    alice = people.user("alice")

    answer = alice.post(PATH, body)

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)
    assert alice.get("/api/rooms/").json()["results"] == []


def test_long_ids_are_cut_in_the_name(people: Cast) -> None:
    """A name has at most 255 characters; two rooms whose names are cut alike are two rooms."""
    mark = secrets.token_hex(4)
    users = [f"{n}{mark}".ljust(120, "x") for n in range(4)]
    host = people.service()

    rooms = [host.post(PATH, {"users": [*users[:3], last]}).json() for last in ("y", "z")]

    assert [len(room["name"]) for room in rooms] == [255, 255]
    assert rooms[0]["name"] == rooms[1]["name"]
    assert rooms[0]["id"] != rooms[1]["id"]


def test_ids_are_compared_byte_by_byte(people: Cast) -> None:
    """People whose ids look alike, or are joined alike, have rooms of their own."""
    mark, host = secrets.token_hex(4), people.service()
    pairs = [
        (f"{mark}\u00e9", mark),
        (f"{mark}e\u0301", mark),
        (f"{mark}a", f"b, {mark}c"),
        (f"{mark}a, b", f"{mark}c"),
        (f'{mark}"', f"{mark}\\"),
    ]

    rooms = {host.post(PATH, {"users": list(pair)}).json()["id"] for pair in pairs}

    assert len(rooms) == len(pairs)


@pytest.mark.parametrize("blocker", ["alice", "bob"])
def test_there_is_no_room_for_people_of_whom_one_blocks_another(
    people: Cast, connection: Connection, blocker: str
) -> None:
    """Both are answered alike, and as for a user who is banned; the service is told who blocks."""
    alice, bob, eve = (people.user(name) for name in ("alice", "bob", "eve"))
    pair = {"alice": (alice, bob), "bob": (bob, alice)}[blocker]
    block(connection, *pair)
    ban(connection, eve)

    answers = [
        alice.post(PATH, {"users": [bob.user_id]}),
        bob.post(PATH, {"users": [alice.user_id]}),
        alice.post(PATH, {"users": [eve.user_id]}),
    ]
    service = people.service().post(PATH, {"users": [alice.user_id, bob.user_id]})

    assert {answer.status_code for answer in answers} == {409}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["code"] == "conflict"
    assert (service.status_code, service.json()["code"]) == (409, "conflict")
    assert pair[0].user_id in service.json()["detail"]
    assert alice.get("/api/rooms/").json()["results"] == []


def test_a_room_that_exists_is_found_whatever_came_between(
    people: Cast, connection: Connection
) -> None:
    """It is in the lists of both anyway; a block or a ban takes no history from anyone."""
    alice, bob = people.user("alice"), people.user("bob")
    room = open_room(alice, bob)
    block(connection, bob, alice)

    assert open_room(alice, bob, status=200) == room
    assert open_room(bob, alice, status=200) == room


def test_who_is_banned_opens_none(people: Cast, connection: Connection) -> None:
    """The banned user is told so, the service too."""
    alice, bob = people.user("alice"), people.user("bob")
    ban(connection, alice)

    for caller in (alice, people.service()):
        answer = caller.post(PATH, {"users": [alice.user_id, bob.user_id]})
        assert (answer.status_code, answer.json()["code"]) == (403, "banned")


def test_a_user_opens_as_many_as_are_allowed(limited: Cast) -> None:
    """Beyond it is 429; finding a room, and being named in one, are not counted."""
    alice = limited.user("alice")
    others = [limited.user(f"other{n}") for n in range(4)]
    for other in others[:2]:
        open_room(alice, other)
        open_room(alice, other, status=200)

    answer = alice.post(PATH, {"users": [others[2].user_id]})

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    assert others[2].get("/api/rooms/").json()["results"] == []
    open_room(others[2], alice)
    open_room(alice, others[2], status=200)
    open_room(limited.service(), alice, others[3])


def test_another_endpoint_creates_no_direct_room(host: Actor, alice: Actor) -> None:
    """`POST /api/rooms/` names its kinds."""
    answer = host.post("/api/rooms/", {"name": "x", "kind": "direct", "members": [alice.user_id]})

    assert (answer.status_code, answer.json()["pointer"]) == (422, "/kind")
