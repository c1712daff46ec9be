"""POST /api/rooms/{id}/leave/"""

from tests.conftest import Connection
from tests.support.actors import Actor


def test_a_member_leaves(host: Actor, alice: Actor, bob: Actor) -> None:
    """Who leaves learns the version it left at and is a stranger from then on."""
    room = host.create_room(alice, bob, name="general")
    bumped_at = bob.get(f"/api/rooms/{room}/").json()["bumped_at"]

    answer = bob.post(f"/api/rooms/{room}/leave/")

    assert answer.status_code == 200
    assert answer.json() == {
        "room": {
            "id": room,
            "name": "general",
            "version": 3,
            "bumped_at": bumped_at,
            "member_count": 1,
        },
        "user": bob.user_id,
        "joined": False,
    }
    assert bob.get(f"/api/rooms/{room}/").status_code == 404
    assert bob.send(room, "hello").status_code == 404
    assert bob.get("/api/rooms/").json()["results"] == []


def test_repeating_it_changes_nothing(host: Actor, alice: Actor, bob: Actor) -> None:
    """Leaving again bumps no version and gives the same answer."""
    room = host.create_room(alice, bob)
    first = bob.post(f"/api/rooms/{room}/leave/")

    second = bob.post(f"/api/rooms/{room}/leave/")

    assert second.status_code == 200
    assert second.json() == first.json()
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 3


def test_the_leaver_hears_of_it(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The event goes to everyone who was a member until then, with the time of joining."""
    alice.listen()
    bob.listen()
    room = host.create_room(alice, bob)
    joined_at = alice.get(f"/api/rooms/{room}/members/").json()["results"][1]["joined_at"]
    left = bob.post(f"/api/rooms/{room}/leave/").json()

    queued = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s",
        [f"%:{room}:3:0"],
    ).fetchone()

    assert queued is not None
    assert sorted(queued["payload"]["channels"]) == [
        f"personal:{alice.user_id}",
        f"personal:{bob.user_id}",
    ]
    assert queued["payload"]["data"] == {
        "type": "user_left",
        "body": {"user": bob.user_id, "joined_at": joined_at, "room": left["room"]},
    }


def test_messages_of_who_left_stay(host: Actor, alice: Actor, bob: Actor) -> None:
    """Leaving takes nothing out of the room's past."""
    room = host.create_room(alice, bob)
    message = bob.send(room, "hello").json()

    bob.post(f"/api/rooms/{room}/leave/")

    assert alice.get(f"/api/rooms/{room}/messages/").json()["results"] == [message]


def test_an_unknown_room_cannot_be_left(alice: Actor) -> None:
    """A room that does not exist was never left."""
    answer = alice.post(f"/api/rooms/{10**12}/leave/")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
