"""DELETE /api/rooms/{id}/ and GET /api/room-deletions/{room_id}/"""

import time
from typing import Any

import pytest

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.contract.test_errors import assert_problem
from tests.support.actors import Actor

PATIENCE = 20.0


def wait_until_finished(host: Actor, room: int) -> dict[str, Any]:
    """Return the receipt once the room's last row is deleted."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        receipt: dict[str, Any] = host.get(f"/api/room-deletions/{room}/").json()
        if receipt["finished_at"] is not None:
            return receipt
        time.sleep(0.02)
    raise TimeoutError(f"Room {room} was not deleted in time.")


def test_a_deleted_room_is_gone_for_everyone(host: Actor, alice: Actor, bob: Actor) -> None:
    """As soon as it is answered, no list, search or address has the room."""
    room = host.create_room(alice, bob, name=f"general of {alice.user_id}")
    alice.send(room, "hello", "key")

    answer = host.delete(f"/api/rooms/{room}/")

    assert answer.status_code == 202
    for caller in (alice, bob, host):
        for rest in ("", "messages/", "members/", "events/"):
            gone = caller.get(f"/api/rooms/{room}/{rest}")
            assert gone.content == caller.get(f"/api/rooms/{10**12}/{rest}").content, rest
            assert_problem(gone, 404, "not_found")
        assert room not in [one["id"] for one in read_page(caller, "/api/rooms/")["results"]]
        assert read_page(caller, "/api/search/", q=alice.user_id)["results"] == []
        assert_problem(caller.post(f"/api/rooms/{room}/join/"), 404, "not_found")
    assert_problem(alice.send(room, "hello", "key"), 404, "not_found")
    added = host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})
    assert_problem(added, 404, "not_found")
    assert_problem(host.patch(f"/api/rooms/{room}/", {"archived": False}), 404, "not_found")


def test_all_of_it_is_deleted_in_the_background(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The receipt counts what there was; no row of the room is left, and the audit is kept."""
    room = host.create_room(alice, bob)
    for n in range(5):
        alice.send(room, f"text {n}")

    first = host.delete(f"/api/rooms/{room}/").json()

    assert first == {
        "room_id": room,
        "external_id": None,
        "requested_at": first["requested_at"],
        "finished_at": None,
        "members": 2,
        "messages": 0,
        "events": 0,
    }
    receipt = wait_until_finished(host, room)
    assert receipt == first | {
        "finished_at": receipt["finished_at"],
        "messages": 5,
        "events": 8,
    }
    for table in ("chat_event", "chat_message", "chat_member", "chat_room_key"):
        rows = connection.execute(f"SELECT FROM {table} WHERE room_id = %s", [room])
        assert rows.fetchall() == []
    (audited,) = connection.execute(
        "SELECT actor, details FROM chat_audit WHERE room_id = %s AND action = 'room_deleted'",
        [room],
    )
    assert audited["actor"] == "host"
    assert audited["details"]["name"] == "general"


def test_repeating_it_answers_the_same_receipt(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """While the rows are deleted, and for ever after; there is one event and one entry."""
    room = host.create_room(alice.listen())
    first = host.delete(f"/api/rooms/{room}/").json()
    receipt = wait_until_finished(host, room)

    again = host.delete(f"/api/rooms/{room}/")

    assert (again.status_code, again.json()) == (202, receipt)
    assert again.json()["requested_at"] == first["requested_at"]
    queued = connection.execute(
        "SELECT payload->'data' AS event FROM chat_outbox"
        " WHERE split_part(payload->>'idempotency_key', ':', 2) = %s ORDER BY id",
        [str(room)],
    ).fetchall()
    assert [row["event"]["type"] for row in queued] == ["user_joined", "room_deleted"]
    assert queued[-1]["event"]["body"]["room"]["version"] == 2


def test_a_room_that_never_was_is_not_found(host: Actor) -> None:
    """404, for the deletion and for its receipt."""
    assert_problem(host.delete(f"/api/rooms/{10**12}/"), 404, "not_found")
    assert_problem(host.get(f"/api/room-deletions/{10**12}/"), 404, "not_found")


def test_a_room_that_is_not_deleted_has_no_receipt(host: Actor, alice: Actor) -> None:
    """404 until somebody deletes it."""
    room = host.create_room(alice)

    assert_problem(host.get(f"/api/room-deletions/{room}/"), 404, "not_found")


def test_its_external_id_and_key_can_be_used_again(host: Actor, alice: Actor) -> None:
    """At once: what the host makes of them is another room."""
    body = {"name": "general", "members": [alice.user_id], "client_id": f"of-{alice.user_id}"}
    room = host.post("/api/rooms/", body).json()["id"]
    key = f"team-{room}"
    host.patch(f"/api/rooms/{room}/", {"external_id": key})
    assert host.delete(f"/api/rooms/{room}/").json()["external_id"] == key

    created = host.post("/api/rooms/", body)

    assert created.status_code == 201
    other = created.json()["id"]
    assert other != room
    assert host.patch(f"/api/rooms/{other}/", {"external_id": key}).status_code == 200


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_only_the_service_deletes(
    host: Actor, alice: Actor, bob: Actor, name: str, connection: Connection
) -> None:
    """403 for owners and strangers, and the room stays."""
    room = host.create_room(alice)
    connection.execute("UPDATE chat_member SET role = 'owner' WHERE room_id = %s", [room])
    caller = {"alice": alice, "bob": bob}[name]

    assert_problem(caller.delete(f"/api/rooms/{room}/"), 403, "service_rights_required")
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 1
