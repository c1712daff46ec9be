"""DELETE /api/rooms/{id}/members/{user_id}/"""

from urllib.parse import quote

import pytest

from tests.conftest import Connection
from tests.contract.pages import read_page
from tests.contract.wire import send_bytes
from tests.support.actors import Actor


def members(room: int, reader: Actor) -> list[str]:
    """Return who is in the room."""
    page = read_page(reader, f"/api/rooms/{room}/members/")
    return [member["user"] for member in page["results"]]


def test_the_service_removes_a_member(host: Actor, alice: Actor, bob: Actor) -> None:
    """Who is removed is a stranger from then on, and the answer is empty."""
    room = host.create_room(alice, bob)

    answer = host.delete(f"/api/rooms/{room}/members/{bob.user_id}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert bob.get(f"/api/rooms/{room}/").status_code == 404
    assert members(room, alice) == [alice.user_id]


def test_repeating_it_changes_nothing(host: Actor, alice: Actor, bob: Actor) -> None:
    """204 also when the user was no member: no version and no event."""
    room = host.create_room(alice, bob)
    host.delete(f"/api/rooms/{room}/members/{bob.user_id}/")
    before = alice.get(f"/api/rooms/{room}/").json()

    answer = host.delete(f"/api/rooms/{room}/members/{bob.user_id}/")

    assert answer.status_code == 204
    assert alice.get(f"/api/rooms/{room}/").json() == before


def test_the_removed_hears_of_it(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The event goes to everyone who was a member until then, the removed one included."""
    alice.listen()
    bob.listen()
    room = host.create_room(alice, bob)
    host.delete(f"/api/rooms/{room}/members/{bob.user_id}/")

    queued = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s",
        [f"%:{room}:3:0"],
    ).fetchone()

    assert queued is not None
    assert queued["payload"]["channels"] == [
        f"personal:{alice.user_id}",
        f"personal:{bob.user_id}",
    ]
    event = queued["payload"]["data"]
    assert event["type"] == "user_left"
    assert event["body"]["user"] == bob.user_id
    assert (event["body"]["room"]["version"], event["body"]["room"]["member_count"]) == (3, 1)


def test_the_last_member_can_go(host: Actor, alice: Actor) -> None:
    """A room without members remains, and users can be added again."""
    room = host.create_room(alice)
    host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")

    host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id]})

    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 3


@pytest.mark.parametrize(
    "user_id",
    [
        *("a/b", "/", "//", "a b", " ", "100%", "%41", "%2F", "Ольга", "🙂", "\u00e9", "e\u0301"),
        *(".", "..", "...", "a+b@c", "auth0|x", "urn:x:1", "a;b", "a?b", "a#b", "a&b=c", "\\"),
        *("members", "x" * 128, "ж" * 38),
    ],
)
def test_the_id_is_percent_decoded_once(host: Actor, alice: Actor, user_id: str) -> None:
    """Every id can be written into a path, and removes exactly its user."""
    room = host.create_room(alice, user_id)
    path = f"/api/rooms/{room}/members/{quote(user_id, safe='')}/"

    answer = send_bytes(host, "DELETE", path.encode())

    assert answer.status == 204
    assert members(room, alice) == [alice.user_id]


@pytest.mark.parametrize("segment, user_id", [(b"..", ".."), (b".", "."), (b"a+b", "a+b")])
def test_dots_and_pluses_are_no_syntax(
    host: Actor, alice: Actor, segment: bytes, user_id: str
) -> None:
    """A raw segment is an id, whatever it means elsewhere: `..` is no way up, `+` no space."""
    room = host.create_room(alice, user_id)

    answer = send_bytes(host, "DELETE", f"/api/rooms/{room}/members/".encode() + segment + b"/")

    assert answer.status == 204
    assert members(room, alice) == [alice.user_id]


def test_similar_ids_stay(host: Actor, alice: Actor) -> None:
    """Nothing is normalised on the way: neighbours in spelling keep their membership."""
    others = ["E\u0301", "\u00e9", "e\u0301 ", "e%CC%81"]
    room = host.create_room("e\u0301", *others, alice)

    host.delete(f"/api/rooms/{room}/members/{quote(chr(0x65) + chr(0x301))}/")

    assert sorted(members(room, alice)) == sorted([*others, alice.user_id])


@pytest.mark.parametrize(
    "segment",
    [
        *(b"%", b"a%", b"%2", b"%zz", b"%%41", b"%u0041", b"%ff", b"%C3", b"%C3%28", b"%C0%AF"),
        *(b"%ED%A0%80", b"%F4%90%80%80", b"%00", b"a%00", b"%0A", b"%7F", b"%C2%85"),
        *(b"x" * 129, b"%D0%B6" * 39),
    ],
)
def test_what_is_no_id_is_refused(host: Actor, alice: Actor, segment: bytes) -> None:
    """Broken escapes, bytes that are not UTF-8 and impossible ids are refused."""
    room = host.create_room(alice, "\ufffd", "A")

    answer = send_bytes(host, "DELETE", f"/api/rooms/{room}/members/".encode() + segment + b"/")

    assert answer.status == 422
    assert answer.json()["pointer"] == "user_id"
    assert len(members(room, alice)) == 3


@pytest.mark.parametrize("segment", [b"a b", b"\xc3\xa9", b"a\x00b"])
def test_bytes_outside_a_path_never_become_an_id(host: Actor, alice: Actor, segment: bytes) -> None:
    """What HTTP does not allow in a path is refused before anything is looked up."""
    room = host.create_room(alice, "\u00e9", "\u00c3\u00a9", "a b")

    answer = send_bytes(host, "DELETE", f"/api/rooms/{room}/members/".encode() + segment + b"/")

    assert answer.status in {400, 422}
    assert len(members(room, alice)) == 4


def test_a_raw_slash_is_another_address(host: Actor, alice: Actor) -> None:
    """A slash in an id is written `%2F`: two raw segments are not an id."""
    room = host.create_room(alice, "a/b", "a", "b")

    answer = send_bytes(host, "DELETE", f"/api/rooms/{room}/members/a/b/".encode())

    assert answer.status == 404
    assert len(members(room, alice)) == 4


def test_an_unknown_room_is_not_found(host: Actor, alice: Actor) -> None:
    """204 is for rooms that exist."""
    answer = host.delete(f"/api/rooms/{10**12}/members/{alice.user_id}/")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_members_remove_nobody(host: Actor, alice: Actor, bob: Actor) -> None:
    """The endpoint is the service's; a member who wants to go uses `leave`."""
    room = host.create_room(alice, bob)

    answers = [
        alice.delete(f"/api/rooms/{room}/members/{bob.user_id}/"),
        alice.delete(f"/api/rooms/{room}/members/{alice.user_id}/"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert len(members(room, alice)) == 2
