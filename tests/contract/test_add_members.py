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
    """The endpoint is the service's, also for those who are members."""
    room = host.create_room(alice)

    answer = alice.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})

    assert (answer.status_code, answer.json()["code"]) == (403, "service_rights_required")
    assert bob.get(f"/api/rooms/{room}/").status_code == 404


def test_rights_come_before_rooms(alice: Actor) -> None:
    """Without service rights an unknown room is not a 404, which would show which rooms exist."""
    assert alice.post(f"/api/rooms/{10**12}/members/", {"users": []}).status_code == 403
