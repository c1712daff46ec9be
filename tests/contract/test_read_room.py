"""GET /api/rooms/{id}/, and what a room id in a path may be"""

import pytest

from tests.contract.wire import send_bytes
from tests.support.actors import PLAIN, Actor, describe_my


def test_a_member_reads_a_room(host: Actor, alice: Actor, bob: Actor) -> None:
    """A member sees the room with its version, its members' number and its last message."""
    room = host.create_room(alice, bob, name="general")
    message = bob.send(room, "hello").json()

    answer = alice.get(f"/api/rooms/{room}/")

    assert answer.status_code == 200
    shown = answer.json()
    assert shown == {
        "id": room,
        "name": "general",
        "version": 3,
        "member_count": 2,
        "bumped_at": message["created_at"],
        "bump_id": message["id"],
        "last_message": message,
        "created_at": shown["created_at"],
        "my": describe_my(rights=["send_messages", "leave"]),
        **PLAIN,
    }


def test_a_stranger_is_told_what_an_unknown_room_tells(
    host: Actor, alice: Actor, charlie: Actor
) -> None:
    """A room that is not yours answers byte for byte like a room that does not exist."""
    room = host.create_room(alice)

    forbidden = charlie.get(f"/api/rooms/{room}/")
    unknown = charlie.get(f"/api/rooms/{10**12}/")

    assert forbidden.status_code == unknown.status_code == 404
    assert forbidden.content == unknown.content


def test_the_service_reads_any_room(host: Actor, alice: Actor) -> None:
    """The host's service sees what a member sees, except that `my` is null."""
    room = host.create_room(alice)
    alice.send(room, "hello")
    seen = alice.get(f"/api/rooms/{room}/").json()

    answer = host.get(f"/api/rooms/{room}/")

    assert answer.status_code == 200
    assert answer.json() == seen | {"my": None}


def test_who_left_is_a_stranger(host: Actor, alice: Actor) -> None:
    """Membership is asked at each request."""
    room = host.create_room(alice)
    alice.post(f"/api/rooms/{room}/leave/")

    assert alice.get(f"/api/rooms/{room}/").status_code == 404


@pytest.mark.parametrize(
    "room_id",
    [
        *("0", "-1", "+1", "1_0", "01", "1.0", "1e0", "0x1", "1%20", "%201", "1%00", "1%0A"),
        *("%31", "%EF%BC%91", "%D9%A1", "%FF", "%", "%zz", "None", "null", "1;1", "1%2F", ".."),
        *("%2E%2E", str(2**63), str(2**64), str(10**40), "1" * 5000),
    ],
)
def test_what_is_no_id_is_an_unknown_room(host: Actor, alice: Actor, room_id: str) -> None:
    """An id is written in one way; in any other it names a room that does not exist, everywhere."""
    segment = room_id.encode()
    unknown = host.get(f"/api/rooms/{2**63 - 1}/").json()
    body = b'{"content":"a"}'
    json = b"Content-Type: application/json\r\nContent-Length: 15\r\n"

    answers = [
        send_bytes(alice, "GET", b"/api/rooms/" + segment + b"/"),
        send_bytes(alice, "GET", b"/api/rooms/" + segment + b"/messages/"),
        send_bytes(alice, "GET", b"/api/rooms/" + segment + b"/members/"),
        send_bytes(alice, "GET", b"/api/rooms/" + segment + b"/events/"),
        send_bytes(alice, "POST", b"/api/rooms/" + segment + b"/join/"),
        send_bytes(alice, "POST", b"/api/rooms/" + segment + b"/leave/"),
        send_bytes(host, "DELETE", b"/api/rooms/" + segment + b"/members/alice/"),
        send_bytes(
            alice, "POST", b"/api/rooms/" + segment + b"/messages/", headers=json, body=body
        ),
    ]

    assert [answer.status for answer in answers] == [404] * 8
    assert [answer.json() for answer in answers] == [unknown] * 8
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
