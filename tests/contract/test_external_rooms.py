"""GET and PUT /api/rooms/by-external-id/{external_id}/"""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from chat.conf import DESIRED_STATE_MAX_BYTES
from tests.conftest import Connection
from tests.contract.wanted import owner, path, put, roles, want
from tests.contract.wire import send_bytes
from tests.support.actors import PLAIN, Actor, describe_my


@pytest.fixture
def key(alice: Actor) -> str:
    """Return an external id that no other test has."""
    return f"team of {alice.user_id}/7"


def read_log(reader: Actor, room: int) -> list[dict[str, Any]]:
    """Return the events of a room."""
    page = reader.get(f"/api/rooms/{room}/events/", limit=200)
    assert page.status_code == 200, page.text
    return list(page.json()["results"])


def test_a_room_is_created_as_it_is_wanted(host: Actor, alice: Actor, bob: Actor, key: str) -> None:
    """The first call creates the room, with its kind, data, history, members and roles."""
    body = want(
        owner(alice), bob, kind="private", data={"team": [1, {"é": None}]}, history="since_join"
    )
    change = put(host, key, body, 201)

    room = change["room"]
    assert room == PLAIN | {
        "id": room["id"],
        "name": "general",
        "kind": "private",
        "external_id": key,
        "data": {"team": [1, {"é": None}]},
        "history": "since_join",
        "version": 2,
        "member_count": 2,
        "bumped_at": room["created_at"],
        "bump_id": room["bump_id"],
        "last_message": None,
        "created_at": room["created_at"],
        "my": None,
    }
    assert change == {
        "room": room,
        "created": True,
        "changed": {},
        "counts": {"added": 2, "removed": 0, "role_changes": 0},
        "added": sorted([alice.user_id, bob.user_id]),
        "removed": [],
        "role_changes": [],
    }
    assert alice.get(path(key)).json()["my"]["role"] == "owner"
    assert bob.get(path(key)).json()["my"]["role"] == "member"


def test_repeating_it_changes_nothing(
    host: Actor, alice: Actor, bob: Actor, key: str, connection: Connection
) -> None:
    """The same state again has an empty answer: no version, no event, no entry of the audit."""
    body = want(owner(alice), bob, kind="private", data={"a": 1, "b": [2]})
    room = put(host, key, body, 201)["room"]
    audit = "SELECT count(*) AS entries FROM chat_audit WHERE room_id = %s"
    before = connection.execute(audit, [room["id"]]).fetchone()

    repeated = put(host, key, body | {"data": {"b": [2], "a": 1}})

    assert repeated == {
        "room": room,
        "created": False,
        "changed": {},
        "counts": {"added": 0, "removed": 0, "role_changes": 0},
        "added": [],
        "removed": [],
        "role_changes": [],
    }
    assert connection.execute(audit, [room["id"]]).fetchone() == before


def test_only_what_differs_is_changed(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, key: str
) -> None:
    """The answer says what was changed, from what to what; there is one event for each change."""
    bob_moderates = f"{bob.user_id}:moderator"
    first = put(host, key, want(owner(alice), bob, data={"a": 1}), 201)["room"]

    change = put(
        host, key, want(bob_moderates, owner(charlie), name="team 7", kind="private", data={"a": 2})
    )

    assert change["changed"] == {
        "name": {"from": "general", "to": "team 7"},
        "kind": {"from": "public", "to": "private"},
        "data": {"from": {"a": 1}, "to": {"a": 2}},
    }
    assert (change["added"], change["removed"]) == ([charlie.user_id], [alice.user_id])
    assert change["role_changes"] == [{"user": bob.user_id, "from": "member", "to": "moderator"}]
    assert change["counts"] == {"added": 1, "removed": 1, "role_changes": 1}
    assert (change["room"]["id"], change["room"]["name"]) == (first["id"], "team 7")
    events = read_log(bob, first["id"])[first["version"] :]
    assert [(event["type"], event["body"].get("user")) for event in events] == [
        ("room_updated", None),
        ("user_joined", charlie.user_id),
        ("member_updated", bob.user_id),
        ("user_left", alice.user_id),
    ]
    assert change["room"]["version"] == first["version"] + 4


def test_what_is_left_out_stays(host: Actor, alice: Actor, bob: Actor, key: str) -> None:
    """Without members, kind, data or history these are as they were, and so is a role."""
    room = put(
        host, key, want(owner(alice), bob, kind="private", data={"a": 1}, history="since_join"), 201
    )["room"]

    same_roles = put(host, key, want(alice, bob))
    only_a_name = put(host, key, {"name": "renamed"})
    only_nulls = put(host, key, {"name": "renamed", "kind": None, "data": None, "members": None})

    assert same_roles["room"] == room
    assert only_a_name["changed"] == {"name": {"from": "general", "to": "renamed"}}
    assert only_a_name["room"] == room | {"name": "renamed", "version": room["version"] + 1}
    assert only_nulls["room"] == only_a_name["room"]


def test_an_empty_object_and_an_empty_list_are_states(host: Actor, alice: Actor, key: str) -> None:
    """`{}` empties the data, and `[]` removes everyone, the owner too."""
    put(host, key, want(owner(alice), data={"a": 1}), 201)

    change = put(host, key, {"name": "general", "data": {}, "members": []})

    assert (change["room"]["data"], change["room"]["member_count"]) == ({}, 0)
    assert (change["changed"], change["removed"]) == (
        {"data": {"from": {"a": 1}, "to": {}}},
        [alice.user_id],
    )


def test_a_dry_run_answers_the_same_and_changes_nothing(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, key: str
) -> None:
    """What it says is what the call then does, for a new room and for one that is there."""
    first, second = want(owner(alice), bob), want(bob, owner(charlie), name="other")

    for body, is_new in ((first, True), (second, False)):
        before = host.get(path(key))
        dry = host.http.put(path(key), params={"dry_run": "true"}, json=body)
        assert dry.status_code == 200, dry.text
        assert host.http.put(path(key), params={"dry_run": "1"}, json=body).json() == dry.json()
        assert host.get(path(key)).status_code == before.status_code == (404 if is_new else 200)
        if is_new:
            assert dry.json()["room"] is None
        else:
            assert dry.json()["room"] == before.json() == host.get(path(key)).json()
        change = put(host, key, body, 201 if is_new else 200)
        assert {name: value for name, value in dry.json().items() if name != "room"} == {
            name: value for name, value in change.items() if name != "room"
        }


@pytest.mark.parametrize("flag", ["yes", "", "True"])
def test_a_dry_run_is_true_or_false(host: Actor, key: str, flag: str) -> None:
    """Anything else is refused: a caller who mistyped it must not change the room."""
    answer = host.http.put(path(key), params={"dry_run": flag}, json=want())

    assert (answer.status_code, answer.json()["pointer"]) == (422, "dry_run")
    assert host.get(path(key)).status_code == 404


def test_members_and_the_service_read_the_room(
    host: Actor, alice: Actor, bob: Actor, key: str
) -> None:
    """A member is answered as by the room's id; a stranger as for a room that does not exist."""
    room = host.put_room(key, alice)
    alice.send(room, "hello")

    mine = alice.get(path(key))

    assert mine.json() == alice.get(f"/api/rooms/{room}/").json()
    assert mine.json()["my"].keys() > describe_my().keys()
    assert host.get(path(key)).json() == host.get(f"/api/rooms/{room}/").json()
    strangers, nobodys = bob.get(path(key)), bob.get(path(key + "x"))
    assert strangers.status_code == nobodys.status_code == 404
    hidden = {"request_id"}
    assert {name: value for name, value in strangers.json().items() if name not in hidden} == {
        name: value for name, value in nobodys.json().items() if name not in hidden
    }


@pytest.mark.parametrize(
    "key", ["/", "//", "a/b", " ", "%41", "%2F", "..", ".", "é", "e\u0301", "🙂" * 255, "members"]
)
def test_a_key_is_kept_byte_by_byte(host: Actor, alice: Actor, key: str) -> None:
    """Each text is a key of its own: nothing is trimmed, normalised or decoded twice."""
    room = host.put_room(key, alice)

    answer = send_bytes(alice, "GET", f"/api/rooms/by-external-id/{quote(key, safe='')}/".encode())

    assert answer.status == 200
    assert (answer.json()["id"], answer.json()["external_id"]) == (room, key)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    "segment",
    [b"%", b"a%2", b"%zz", b"%ff", b"%C3", b"%ED%A0%80", b"%00", b"a%0A", b"%7F", b"x" * 256],
)
def test_what_is_no_key_is_refused(host: Actor, method: str, segment: bytes) -> None:
    """Broken escapes, bytes that are not UTF-8, control characters and long keys are named."""
    answer = send_bytes(host, method, b"/api/rooms/by-external-id/" + segment + b"/")

    assert answer.status == 422
    assert answer.json()["pointer"] == "external_id"


@pytest.mark.parametrize(
    "change, pointer",
    [
        ({"name": ""}, "/name"),
        ({"name": "a\0"}, "/name"),
        ({"kind": "direct"}, "/kind"),
        ({"history": "none"}, "/history"),
        ({"data": []}, "/data"),
        ({"data": {"a": "x" * 4096}}, "/data"),
        ({"data": {"a": "\0"}}, "/data"),
        ({"members": ["alice"]}, "/members/0"),
        ({"members": [{"user": "alice", "role": "admin"}]}, "/members/0/role"),
        ({"members": [{"user": "a"}, {"user": ""}]}, "/members/1/user"),
        ({"members": [{"user": "a"}, {"user": "ж" * 100}]}, "/members/1/user"),
        ({"members": [{"user": "a"}, {"user": "a", "role": "owner"}]}, "/members/1"),
        ({"members": [{"user": f"u{n}"} for n in range(10_001)]}, "/members"),
        ({"unknown": 1}, "/unknown"),
    ],
)
def test_a_state_that_cannot_be_is_refused(
    host: Actor, key: str, change: dict[str, Any], pointer: str
) -> None:
    """The first field at fault is named, and no room is created."""
    answer = host.put(path(key), want() | change)

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)
    assert host.get(path(key)).status_code == 404


def test_a_user_who_is_there_twice_counts_once(host: Actor, alice: Actor, key: str) -> None:
    """The same user with the same role is one member."""
    change = put(host, key, want(alice, alice), 201)

    assert (change["added"], change["room"]["version"]) == ([alice.user_id], 1)


def test_a_data_object_is_compared_by_its_values(host: Actor, alice: Actor, key: str) -> None:
    """Another order of the same names is no change; an escaped backslash is text."""
    room = put(host, key, want(alice, data={"a": 1.0, "b": "\\u0000"}), 201)["room"]

    again = put(host, key, want(alice, data={"b": "\\u0000", "a": 1.0}))

    assert again["room"]["version"] == room["version"]


def test_an_archived_room_is_not_changed(
    host: Actor, alice: Actor, bob: Actor, key: str, connection: Connection
) -> None:
    """409 for any difference; the state that it has is answered as ever, and so is a dry run."""
    body = want(alice)
    room = put(host, key, body, 201)["room"]["id"]
    connection.execute("UPDATE chat_room SET archived_at = now() WHERE id = %s", [room])
    before = host.get(path(key)).json()

    for other in (want(alice, bob), want(), want(alice, name="other")):
        answer = host.put(path(key), other)
        assert (answer.status_code, answer.json()["code"]) == (409, "room_archived")

    assert put(host, key, body)["room"] == before


def test_a_direct_room_is_not_changed(
    host: Actor, alice: Actor, bob: Actor, key: str, connection: Connection
) -> None:
    """Who is in a direct room never changes, and it has no state to be brought to."""
    room = put(host, key, want(alice, bob), 201)["room"]["id"]
    connection.execute("UPDATE chat_room SET kind = 'direct' WHERE id = %s", [room])

    answer = host.put(path(key), want(alice))

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert roles(connection, room).keys() == {alice.user_id, bob.user_id}


def test_users_have_no_say(host: Actor, alice: Actor, key: str) -> None:
    """The endpoint is the service's, whether the room exists or not."""
    host.put_room(key, alice)

    for answer in (alice.put(path(key), want()), alice.put(path(key + "x"), want())):
        assert (answer.status_code, answer.json()["code"]) == (403, "service_rights_required")


def test_a_body_may_be_as_large_as_ten_thousand_members(
    host: Actor, alice: Actor, key: str
) -> None:
    """2,097,152 bytes are read and no more, here only; a state of that size is answered."""
    host.put_room(key, alice)
    body = json.dumps(want(alice)).encode()

    def send(size: int, address: str, method: str = "PUT") -> httpx.Response:
        padded = body + b" " * (size - len(body))
        headers = {"content-type": "application/json"}
        return host.http.request(method, address, content=padded, headers=headers)

    largest = send(DESIRED_STATE_MAX_BYTES, path(key))
    larger = send(DESIRED_STATE_MAX_BYTES + 1, path(key))
    elsewhere = send(65_537, "/api/rooms/", "POST")

    assert largest.status_code == 200
    assert (larger.status_code, larger.json()["code"]) == (413, "body_too_large")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (413, "body_too_large")
