"""POST /api/rooms/{id}/join/"""

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.support.actors import Actor


def test_anyone_joins_a_room(host: Actor, alice: Actor, bob: Actor) -> None:
    """Who joins is a member at once and learns the room's version."""
    room = host.create_room(alice, name="general")

    answer = bob.post(f"/api/rooms/{room}/join/")

    assert answer.status_code == 200
    shown = bob.get(f"/api/rooms/{room}/").json()
    assert answer.json() == {
        "room": {
            "id": room,
            "name": "general",
            "version": 2,
            "bumped_at": shown["bumped_at"],
            "member_count": 2,
        },
        "user": bob.user_id,
        "joined": True,
    }


def test_repeating_it_changes_nothing(host: Actor, alice: Actor) -> None:
    """Joining again bumps no version and gives the same answer."""
    room = host.create_room(alice)
    before = alice.get(f"/api/rooms/{room}/").json()

    first, second = alice.post(f"/api/rooms/{room}/join/"), alice.post(f"/api/rooms/{room}/join/")

    assert first.status_code == 200
    assert first.json() == second.json()
    assert alice.get(f"/api/rooms/{room}/").json() == before


def test_the_joiner_hears_of_it(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The event goes to everyone who is a member then, the joiner included."""
    alice.listen()
    bob.listen()
    room = host.create_room(alice)
    bob.post(f"/api/rooms/{room}/join/")

    queued = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s",
        [f"%:{room}:2:0"],
    ).fetchone()

    assert queued is not None
    assert queued["payload"]["channels"] == [
        f"personal:{alice.user_id}",
        f"personal:{bob.user_id}",
    ]
    member = read_page(bob, f"/api/rooms/{room}/members/")["results"][1]
    assert queued["payload"]["data"] == {
        "type": "user_joined",
        "body": {
            "user": bob.user_id,
            "joined_at": member["joined_at"],
            "room": bob.post(f"/api/rooms/{room}/join/").json()["room"],
        },
    }


def test_an_unknown_room_cannot_be_joined(alice: Actor) -> None:
    """Joining creates nothing."""
    answer = alice.post(f"/api/rooms/{10**12}/join/")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_body_is_not_looked_at(host: Actor, alice: Actor, bob: Actor) -> None:
    """The user of the token joins, whatever else is sent."""
    room = host.create_room(alice)

    answer = bob.post(f"/api/rooms/{room}/join/", {"user": "charlie"})

    assert answer.json()["user"] == bob.user_id


def test_who_left_can_come_back(host: Actor, alice: Actor, bob: Actor) -> None:
    """Coming back is a new membership with an event of its own."""
    room = host.create_room(alice, bob)
    bob.post(f"/api/rooms/{room}/leave/")

    answer = bob.post(f"/api/rooms/{room}/join/").json()

    assert (answer["joined"], answer["room"]["version"]) == (True, 4)
