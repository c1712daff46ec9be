"""POST /api/rooms/"""

import pytest

from tests.conftest import Connection
from tests.support.actors import PLAIN, Actor, Cast, describe_my, make_token

PATH = "/api/rooms/"


def test_the_service_creates_a_room(host: Actor, alice: Actor, bob: Actor) -> None:
    """A room is there for its first members at once, each of them one event of its log."""
    answer = host.post(PATH, {"name": "general", "members": [alice.user_id, bob.user_id]})

    assert answer.status_code == 201
    room = answer.json()
    assert room == {
        "id": room["id"],
        "name": "general",
        "version": 2,
        "member_count": 2,
        "bumped_at": room["created_at"],
        "bump_id": room["bump_id"],
        "last_message": None,
        "created_at": room["created_at"],
        "my": None,
        **PLAIN,
    }
    for member in (alice, bob):
        (seen,) = member.get(PATH).json()["results"]
        assert seen == room | {"my": describe_my()}


def test_the_first_members_hear_of_each_other(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """Creation is one change: every first member receives an event for every first member."""
    alice.listen()
    bob.listen()
    room = host.create_room(alice, bob)

    queued = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s ORDER BY id",
        [f"%:{room}:%:0"],
    ).fetchall()

    channels = [f"personal:{alice.user_id}", f"personal:{bob.user_id}"]
    assert [row["payload"]["channels"] for row in queued] == [channels, channels]
    assert [row["payload"]["data"]["type"] for row in queued] == ["user_joined", "user_joined"]
    assert [row["payload"]["data"]["body"]["user"] for row in queued] == [
        alice.user_id,
        bob.user_id,
    ]
    assert [row["payload"]["data"]["body"]["room"]["version"] for row in queued] == [1, 2]


@pytest.mark.parametrize("body", [{"name": "empty"}, {"name": "empty", "members": []}])
def test_a_room_may_begin_empty(host: Actor, body: dict[str, object]) -> None:
    """Members are optional; a room without any has had no event."""
    room = host.post(PATH, body).json()

    assert (room["version"], room["member_count"]) == (0, 0)


def test_a_member_named_twice_counts_once(host: Actor, alice: Actor) -> None:
    """A call is a set of users: a repetition makes no second member and no second event."""
    room = host.post(PATH, {"name": "general", "members": [alice.user_id] * 3}).json()

    assert (room["version"], room["member_count"]) == (1, 1)


def test_names_are_not_unique(host: Actor, alice: Actor) -> None:
    """Two rooms of one name are two rooms."""
    assert host.create_room(alice, name="general") != host.create_room(alice, name="general")


@pytest.mark.parametrize("name", ["x", "🙂" * 255, " ", "\n", "\u00e9", "e\u0301", "</script>"])
def test_a_name_is_kept_character_by_character(host: Actor, name: str) -> None:
    """1 to 255 characters, whichever they are: nothing is trimmed or normalised."""
    answer = host.post(PATH, {"name": name})

    assert answer.status_code == 201
    assert answer.json()["name"] == name


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({}, "/name"),
        ({"members": []}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"name": 5}, "/name"),
        ({"name": "a" * 256}, "/name"),
        ({"name": "🙂" * 256}, "/name"),
        ({"name": "a\x00"}, "/name"),
        ({"name": "a", "members": None}, "/members"),
        ({"name": "a", "members": "alice"}, "/members"),
        ({"name": "a", "members": {"alice": 1}}, "/members"),
        ({"name": "a", "members": ["ok", 5]}, "/members/1"),
        ({"name": "a", "members": ["ok", None]}, "/members/1"),
        ({"name": "a", "members": ["ok", ""]}, "/members/1"),
        ({"name": "a", "members": ["ok", "a\x00b"]}, "/members/1"),
        ({"name": "a", "members": ["ok", "a\nb"]}, "/members/1"),
        ({"name": "a", "members": ["ok", "a\x85b"]}, "/members/1"),
        ({"name": "a", "members": ["ok", "x" * 129]}, "/members/1"),
        ({"name": "a", "members": [str(n) for n in range(1001)]}, "/members"),
        ({"name": "a", "owner": "alice"}, "/owner"),
        ({"name": "a", "a/b~c": 1}, "/a~1b~0c"),
        ([], ""),
        ("general", ""),
    ],
)
def test_it_names_the_field_at_fault(host: Actor, body: object, pointer: str) -> None:
    """A body that is not a room is refused with a JSON pointer to the first offending field."""
    answer = host.post(PATH, body)

    assert answer.status_code == 422
    assert answer.json()["pointer"] == pointer


def test_an_id_too_long_for_a_channel_creates_nothing(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """One impossible member refuses the whole call, and no half of a room stays."""
    name = f"never-{alice.user_id}"

    answer = host.post(PATH, {"name": name, "members": [alice.user_id, "ж" * 128]})

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "/members/1"
    assert alice.get(PATH).json()["results"] == []
    assert connection.execute("SELECT FROM chat_room WHERE name = %s", [name]).fetchall() == []


def test_a_thousand_members_come_at_once(host: Actor, alice: Actor) -> None:
    """The limit of one call is 1,000 users, and the limit itself is allowed."""
    others = [f"{alice.user_id}-{n}" for n in range(999)]

    room = host.post(PATH, {"name": "many", "members": [alice.user_id, *others]}).json()

    assert (room["version"], room["member_count"]) == (1000, 1000)


def test_users_create_no_rooms(alice: Actor) -> None:
    """The endpoint is for the service: a user's token is refused before the body is read."""
    answer = alice.post(PATH, {"nonsense": True})

    assert answer.status_code == 403
    assert answer.json()["code"] == "service_rights_required"
    assert alice.get(PATH).json()["results"] == []


def test_nobody_creates_no_rooms(anonymous: Actor) -> None:
    """Without a token the answer is about the token."""
    assert anonymous.post(PATH, {"name": "general"}).status_code == 401


@pytest.fixture
def key(alice: Actor) -> str:
    """Return a key of this test alone: all tests share the host."""
    return f"{alice.user_id} room"


def test_a_key_creates_one_room(
    host: Actor, alice: Actor, key: str, connection: Connection
) -> None:
    """The first call is 201; the same call again is 200 with the same room, and changes nothing."""
    wanted = {"name": "general", "members": [alice.user_id], "client_id": key}

    first, second = host.post(PATH, wanted), host.post(PATH, wanted)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert [room["id"] for room in alice.get(PATH).json()["results"]] == [first.json()["id"]]
    room = first.json()["id"]
    assert connection.execute(
        "SELECT count(*) AS count FROM chat_event WHERE room_id = %s", [room]
    ).fetchone() == {"count": 1}


def test_a_repeated_key_is_answered_with_the_room_as_it_is_now(
    host: Actor, alice: Actor, bob: Actor, key: str, connection: Connection
) -> None:
    """A new name and members who left do not matter; the first call's name and members count."""
    wanted = {"name": "general", "members": [alice.user_id, bob.user_id], "client_id": key}
    room = host.post(PATH, wanted).json()["id"]
    connection.execute("SELECT chat.rename_room(%s, 'renamed')", [room])
    alice.post(f"{PATH}{room}/leave/")

    answer = host.post(PATH, wanted)

    assert answer.status_code == 200
    assert answer.json() == bob.get(f"{PATH}{room}/").json() | {"my": None}
    assert (answer.json()["name"], answer.json()["member_count"]) == ("renamed", 1)


def test_a_repeated_key_shows_the_last_message_to_members_only(
    cast: Cast, host: Actor, alice: Actor, key: str
) -> None:
    """A service that may not read the room's messages does not read the last one here."""
    wanted = {"name": "general", "members": [alice.user_id], "client_id": key}
    room = host.post(PATH, wanted).json()["id"]
    alice.send(room, "between us")
    member = cast.with_token(make_token(alice.user_id, role="service"), alice.user_id)
    own = {**wanted, "client_id": f"{key} 2"}
    alice.send(member.post(PATH, own).json()["id"], "hello")

    assert host.post(PATH, wanted).json()["last_message"] is None
    assert member.post(PATH, own).json()["last_message"]["content"] == "hello"


def test_a_key_with_another_room_is_a_conflict(
    host: Actor, alice: Actor, bob: Actor, key: str
) -> None:
    """Another name or other members under a known key are refused, and create nothing."""
    wanted = {"name": "general", "members": [alice.user_id, bob.user_id], "client_id": key}
    room = host.post(PATH, wanted).json()

    changes: list[dict[str, object]] = [
        {"name": "other"},
        {"members": [alice.user_id]},
        {"members": [alice.user_id, bob.user_id, "zoe"]},
        {"members": []},
    ]
    for change in changes:
        answer = host.post(PATH, wanted | change)

        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "client_id_conflict"
    assert alice.get(PATH).json()["results"] == [room | {"my": describe_my()}]


def test_members_are_a_set_under_a_key(host: Actor, alice: Actor, bob: Actor, key: str) -> None:
    """The order of the members and a repetition do not make another room."""
    wanted = {"name": "general", "client_id": key}
    first = host.post(PATH, wanted | {"members": [alice.user_id, bob.user_id]})

    again = host.post(PATH, wanted | {"members": [bob.user_id, alice.user_id, bob.user_id]})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_the_longest_key_is_kept_whole(host: Actor, key: str) -> None:
    """64 characters, whichever they are; keys that differ in the last one are different keys."""
    keys = [key.ljust(63, "🙂") + last for last in "ab"]

    answers = [host.post(PATH, {"name": "general", "client_id": key}) for key in keys]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


@pytest.mark.parametrize("wrong", ["", "x" * 65, "~x", "~", "a\x00b", 5, ["k"]])
def test_a_key_that_cannot_be_is_refused(host: Actor, alice: Actor, wrong: object) -> None:
    """Keys follow the rules of a message's: 1 to 64 characters, no NUL, not begun with `~`."""
    answer = host.post(PATH, {"name": "a", "members": [alice.user_id], "client_id": wrong})

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "/client_id"
    assert alice.get(PATH).json()["results"] == []


def test_a_key_is_of_one_caller(cast: Cast, host: Actor, key: str) -> None:
    """The same key of another `sub` is another room."""
    other = cast.with_token(make_token(f"other {key}", role="service"))
    wanted = {"name": "general", "client_id": key}

    answers = [host.post(PATH, wanted), other.post(PATH, wanted | {"name": "other"})]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


@pytest.mark.parametrize("body", [{}, {"client_id": None}])
def test_without_a_key_each_call_creates_a_room(host: Actor, body: dict[str, object]) -> None:
    """A call without a key is never taken for an earlier one."""
    answers = [host.post(PATH, {"name": "general"} | body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


def test_a_refused_call_uses_up_no_key(host: Actor, alice: Actor, key: str) -> None:
    """After a call that created nothing the key is free for another name and other members."""
    refused = host.post(PATH, {"name": "a", "members": ["ж" * 128], "client_id": key})

    answer = host.post(PATH, {"name": "b", "members": [alice.user_id], "client_id": key})

    assert (refused.status_code, answer.status_code) == (422, 201)
