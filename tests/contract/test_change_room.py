"""PATCH /api/rooms/{id}/"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Connection
from tests.contract.test_errors import assert_problem
from tests.support.actors import Actor

MakeRoom = Callable[..., int]


def set_role(connection: Connection, room: int, actor: Actor, role: str) -> None:
    """Give a member a role."""
    connection.execute(
        "UPDATE chat_member SET role = %s WHERE room_id = %s AND user_id = %s",
        [role, room, actor.user_id],
    )


def set_kind(connection: Connection, room: int, kind: str) -> None:
    """Make a room one of this kind."""
    connection.execute("UPDATE chat_room SET kind = %s WHERE id = %s", [kind, room])


def address(room: int) -> str:
    """Return the address of a room."""
    return f"/api/rooms/{room}/"


def read_version(reader: Actor, room: int) -> int:
    """Return the room's version."""
    version: int = reader.get(address(room)).json()["version"]
    return version


def last_event(reader: Actor, room: int) -> dict[str, Any]:
    """Return the last event of a room's log."""
    events = reader.get(f"/api/rooms/{room}/events/", limit=200).json()["results"]
    event: dict[str, Any] = events[-1]
    return event


def read_audit(connection: Connection, room: int) -> list[tuple[str, str, Any]]:
    """Return what was kept of a room's changes: who, what, and the details."""
    rows = connection.execute(
        "SELECT actor, action, details FROM chat_audit WHERE room_id = %s"
        " AND action LIKE 'room_%%' AND action <> 'room_created' ORDER BY id",
        [room],
    )
    return [(row["actor"], row["action"], row["details"]) for row in rows]


STATE: dict[str, Any] = {
    "kind": "public",
    "external_id": None,
    "data": {},
    "archived_at": None,
    "history": "all",
    "slow_mode_seconds": 0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "salon"},
        {"data": {"topic": "art", "n": [1, 2.5, None, "é"]}},
        {"history": "since_join"},
        {"slow_mode_seconds": 86_400},
        {"kind": "private"},
        {"external_id": "team-of-{room}"},
        {"name": "salon", "data": {}, "history": "since_join", "slow_mode_seconds": 1},
    ],
    ids="+".join,
)
def test_a_change_is_one_version_and_one_event(
    host: Actor, alice: Actor, change: dict[str, Any]
) -> None:
    """Members receive the room's whole state, whatever was changed; the rest stays as it was."""
    room = host.create_room(alice)
    change = {
        name: value.format(room=room) if isinstance(value, str) else value
        for name, value in change.items()
    }

    answer = host.patch(address(room), change)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], answer.json()["version"]) == (room, 2)
    event = last_event(alice, room)
    assert event["type"] == "room_updated"
    body = event["body"]
    assert (body["room"]["name"], body["room"]["version"]) == (change.pop("name", "general"), 2)
    assert {name: body[name] for name in STATE} == STATE | change
    assert set(body) == {"room", *STATE}


def test_the_event_is_published_as_it_is_in_the_log(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """What a listener receives has the same state as what is fetched later."""
    room = host.create_room(alice.listen())
    host.patch(address(room), {"data": {"topic": "art"}})

    (queued,) = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s",
        [f"%:{room}:2:0"],
    )

    assert queued["payload"]["channels"] == [f"personal:{alice.user_id}"]
    assert queued["payload"]["data"] == last_event(alice, room)


def test_repeating_a_change_changes_nothing(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """The same body again answers 200: no version, no event, no entry in the audit."""
    room = host.create_room(alice)
    change = {"name": "salon", "data": {"a": 1}, "history": "since_join", "archived": True}
    first = host.patch(address(room), change)

    again = host.patch(address(room), change)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert read_version(alice, room) == 2
    assert [action for _, action, _ in read_audit(connection, room)] == [
        "room_changed",
        "room_archived",
    ]


def test_data_is_replaced_and_not_merged(host: Actor, alice: Actor) -> None:
    """`data` is the host's value, kept as a whole; null and {} are the same: none."""
    room = host.create_room(alice)
    host.patch(address(room), {"data": {"a": {"b": 1}, "c": 2}})

    host.patch(address(room), {"data": {"a": {"d": 3}}})
    assert last_event(alice, room)["body"]["data"] == {"a": {"d": 3}}
    host.patch(address(room), {"data": None})
    assert last_event(alice, room)["body"]["data"] == {}
    host.patch(address(room), {"data": {}})
    assert read_version(alice, room) == 4


def test_what_was_changed_is_kept_with_who_did_it(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """The audit has each changed field before and after, and nothing that stayed the same."""
    room = host.create_room(alice)
    set_role(connection, room, alice, "owner")
    alice.patch(address(room), {"name": "salon", "history": "all", "slow_mode_seconds": 5})
    alice.patch(address(room), {"archived": True})
    host.patch(address(room), {"archived": False})

    assert read_audit(connection, room) == [
        (
            alice.user_id,
            "room_changed",
            {
                "from": {"name": "general", "slow_mode_seconds": 0},
                "to": {"name": "salon", "slow_mode_seconds": 5},
            },
        ),
        (alice.user_id, "room_archived", None),
        ("host", "room_restored", None),
    ]


@pytest.mark.parametrize("role", ["member", "moderator"])
@pytest.mark.parametrize(
    "change, right",
    [
        ({"name": "salon"}, "change_room"),
        ({"data": {"a": 1}}, "change_room"),
        ({"history": "since_join"}, "change_room"),
        ({"slow_mode_seconds": 1}, "change_room"),
        ({"archived": True}, "archive_room"),
        ({"archived": True, "name": "salon"}, "change_room"),
        ({"kind": "private"}, "change_room"),
        ({"name": "general"}, "change_room"),
    ],
)
def test_a_member_without_the_right_is_refused(
    host: Actor,
    alice: Actor,
    connection: Connection,
    role: str,
    change: dict[str, Any],
    right: str,
) -> None:
    """403 names the right, also where nothing would change; nothing is done."""
    room = host.create_room(alice)
    set_role(connection, room, alice, role)

    answer = alice.patch(address(room), change)

    assert_problem(answer, 403, "right_required")
    assert right in answer.json()["detail"]
    assert read_version(alice, room) == 1


@pytest.mark.parametrize("change", [{"kind": "private"}, {"external_id": "mine"}])
def test_owners_do_not_change_what_is_the_services(
    host: Actor, alice: Actor, connection: Connection, change: dict[str, Any]
) -> None:
    """`kind` and `external_id` are the host's, also where the rest of the call is allowed."""
    room = host.create_room(alice)
    set_role(connection, room, alice, "owner")

    answer = alice.patch(address(room), change | {"name": "salon"})

    assert_problem(answer, 403, "service_rights_required")
    assert read_version(alice, room) == 1


@pytest.mark.parametrize("kind", ["public", "private", "direct"])
def test_to_a_stranger_a_room_of_any_kind_is_none(
    host: Actor, alice: Actor, bob: Actor, connection: Connection, kind: str
) -> None:
    """The answer is that for a room that does not exist, byte for byte."""
    room = host.create_room(alice)
    set_kind(connection, room, kind)
    for change in ({"name": "salon"}, {"archived": True}, {"kind": "public"}):
        one, other = (bob.patch(address(n), change) for n in (room, 10**12))

        assert_problem(one, 404, "not_found")
        assert one.content == other.content


@pytest.mark.parametrize("change", [{"name": "salon"}, {"kind": "private"}, {"kind": "public"}])
def test_a_direct_room_has_no_name_and_stays_direct(
    host: Actor, alice: Actor, connection: Connection, change: dict[str, Any]
) -> None:
    """409 for the service too; its `data` is the service's to change, and no member's."""
    room = host.create_room(alice)
    set_kind(connection, room, "direct")

    assert_problem(host.patch(address(room), change), 409, "conflict")
    assert_problem(alice.patch(address(room), {"data": {"a": 1}}), 403, "right_required")
    assert host.patch(address(room), {"data": {"a": 1}}).status_code == 200


def test_an_external_id_is_of_one_room(host: Actor, alice: Actor) -> None:
    """Another room's is a conflict that changes nothing, also not the other fields."""
    taken, free = host.create_room(alice), host.create_room(alice)
    key = f"team-{taken}"
    assert host.patch(address(taken), {"external_id": key}).status_code == 200

    answer = host.patch(address(free), {"external_id": key, "name": "salon"})

    assert_problem(answer, 409, "conflict")
    assert read_version(alice, free) == 1
    host.patch(address(taken), {"external_id": None})
    assert host.patch(address(free), {"external_id": key}).status_code == 200


def test_an_archived_room_takes_only_a_restoration(host: Actor, alice: Actor) -> None:
    """Everything else is 409, for the service too; a call that restores may change more."""
    room = host.create_room(alice)
    host.patch(address(room), {"archived": True})
    since = last_event(alice, room)["body"]["archived_at"]
    assert since is not None

    assert_problem(host.patch(address(room), {"name": "salon"}), 409, "room_archived")
    refused = host.patch(address(room), {"name": "salon", "archived": True})
    assert_problem(refused, 409, "room_archived")
    assert read_version(alice, room) == 2

    restored = host.patch(address(room), {"archived": False, "name": "salon"})
    assert (restored.status_code, restored.json()["name"]) == (200, "salon")
    assert last_event(alice, room)["body"]["archived_at"] is None
    assert read_version(alice, room) == 3


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({}, ""),
        ({"name": ""}, "/name"),
        ({"name": "x" * 256}, "/name"),
        ({"name": None}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"data": []}, "/data"),
        ({"data": "x"}, "/data"),
        ({"data": {"a": "x" * 4090}}, "/data"),
        ({"data": {"a": ["\0"]}}, "/data"),
        ({"data": {"\0": 1}}, "/data"),
        ({"history": "none"}, "/history"),
        ({"history": None}, "/history"),
        ({"slow_mode_seconds": -1}, "/slow_mode_seconds"),
        ({"slow_mode_seconds": 86_401}, "/slow_mode_seconds"),
        ({"slow_mode_seconds": 1.5}, "/slow_mode_seconds"),
        ({"archived": "yes"}, "/archived"),
        ({"archived": None}, "/archived"),
        ({"external_id": ""}, "/external_id"),
        ({"external_id": "x" * 256}, "/external_id"),
        ({"kind": "direct"}, "/kind"),
        ({"kind": None}, "/kind"),
        ({"version": 7}, "/version"),
    ],
)
def test_a_bad_value_is_named(
    host: Actor, alice: Actor, body: dict[str, Any], pointer: str
) -> None:
    """422 points to the field, and nothing is changed."""
    room = host.create_room(alice)

    answer = host.patch(address(room), body)

    assert_problem(answer, 422, "invalid_input")
    assert answer.json()["pointer"] == pointer
    assert read_version(alice, room) == 1


def test_data_of_exactly_the_limit_is_kept(host: Actor, alice: Actor) -> None:
    """4,096 bytes of JSON, and what looks like a NUL in it but is none."""
    room = host.create_room(alice)
    data = {"a": "\\u0000" + "x" * 4081}

    assert host.patch(address(room), {"data": data}).status_code == 200
    assert last_event(alice, room)["body"]["data"] == data


def test_a_room_that_becomes_public_is_found_and_one_that_becomes_private_is_not(
    host: Actor, alice: Actor, bob: Actor
) -> None:
    """Members keep what they have; a stranger can join a public room and knows no private one."""
    room = host.create_room(alice)
    host.patch(address(room), {"kind": "private"})
    assert alice.get(address(room)).status_code == 200

    host.patch(address(room), {"kind": "public"})
    assert bob.post(f"/api/rooms/{room}/join/").status_code == 200
