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
    """It takes the right to remove; a member who wants to go uses `leave`."""
    room = host.create_room(alice, bob)

    answers = [
        alice.delete(f"/api/rooms/{room}/members/{bob.user_id}/"),
        alice.delete(f"/api/rooms/{room}/members/{alice.user_id}/"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert len(members(room, alice)) == 2


def add(host: Actor, room: int, role: str, *users: Actor) -> None:
    """Add users with a role, in one call."""
    body = {"users": [user.user_id for user in users], "role": role}
    assert host.post(f"/api/rooms/{room}/members/", body).status_code == 200


def test_roles_remove_lower_ones(host: Actor, alice: Actor, bob: Actor, charlie: Actor) -> None:
    """A moderator removes members and no other moderator; an owner removes everyone."""
    room = host.create_room(charlie)
    add(host, room, "owner", alice)
    add(host, room, "moderator", bob)
    path = f"/api/rooms/{room}/members"

    refused = bob.delete(f"{path}/{alice.user_id}/")
    of_member = bob.delete(f"{path}/{charlie.user_id}/")
    of_moderator = alice.delete(f"{path}/{bob.user_id}/")

    assert (refused.status_code, refused.json()["code"]) == (403, "right_required")
    assert refused.json()["right"] == "remove_members"
    assert (of_member.status_code, of_moderator.status_code) == (204, 204)
    assert members(room, alice) == [alice.user_id]


def test_a_moderator_removes_who_is_not_there(host: Actor, alice: Actor, bob: Actor) -> None:
    """Repeating a removal is no error for those who may remove."""
    room = host.create_room(alice)
    add(host, room, "moderator", bob)

    for _ in range(2):
        assert bob.delete(f"/api/rooms/{room}/members/{alice.user_id}/").status_code == 204


def test_a_stranger_is_told_what_an_unknown_room_tells(
    host: Actor, alice: Actor, charlie: Actor
) -> None:
    """Nothing of a room, or of who is in it, can be found out by removing members."""
    room = host.create_room(alice)

    unknown = charlie.delete(f"/api/rooms/{10**12}/members/{alice.user_id}/")
    for user in (alice, charlie):
        hidden = charlie.delete(f"/api/rooms/{room}/members/{user.user_id}/")
        assert (hidden.status_code, hidden.content) == (404, unknown.content)


@pytest.mark.parametrize("way", ["removed", "left"])
def test_the_only_owner_passes_the_room_on(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, way: str
) -> None:
    """The moderator who joined first becomes an owner, by an event that follows the other one."""
    room = host.create_room(host)
    add(host, room, "owner", alice)
    add(host, room, "moderator", charlie, bob)

    if way == "removed":
        host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")
    else:
        alice.post(f"/api/rooms/{room}/leave/")

    left, passed = bob.get(f"/api/rooms/{room}/events/?after=4").json()["results"]
    assert (left["type"], left["body"]["user"]) == ("user_left", alice.user_id)
    assert (passed["type"], passed["body"]["user"]) == ("member_updated", charlie.user_id)
    assert (passed["body"]["role"], passed["body"]["room"]["version"]) == ("owner", 6)
    assert bob.get(f"/api/rooms/{room}/members/{charlie.user_id}/").json()["role"] == "owner"


def test_the_oldest_member_is_the_next_owner(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    """Without moderators it is the member who joined first; a room that becomes empty has none."""
    room = host.create_room(charlie)
    add(host, room, "member", bob)
    add(host, room, "owner", alice)

    host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")
    assert bob.get(f"/api/rooms/{room}/members/{charlie.user_id}/").json()["role"] == "owner"
    host.delete(f"/api/rooms/{room}/members/{charlie.user_id}/")
    assert bob.get(f"/api/rooms/{room}/members/{bob.user_id}/").json()["role"] == "owner"
    host.delete(f"/api/rooms/{room}/members/{bob.user_id}/")
    assert host.get(f"/api/rooms/{room}/").json()["member_count"] == 0


def test_a_room_without_owners_gets_none(host: Actor, alice: Actor, bob: Actor) -> None:
    """Where nobody owned the room, a removal makes nobody an owner; nor where another one stays."""
    room = host.create_room(alice, bob)
    host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")
    shared = host.create_room(bob)
    add(host, shared, "owner", alice)
    host.post(f"/api/rooms/{shared}/members/", {"users": ["other-owner"], "role": "owner"})
    host.delete(f"/api/rooms/{shared}/members/{alice.user_id}/")

    for number in (room, shared):
        assert bob.get(f"/api/rooms/{number}/members/{bob.user_id}/").json()["role"] == "member"


def test_nobody_leaves_a_direct_room(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The service, too, removes nobody from a direct room."""
    room = host.create_room(alice, bob)
    connection.execute("UPDATE chat_room SET kind = 'direct' WHERE id = %s", [room])

    of_host = host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")
    of_alice = alice.delete(f"/api/rooms/{room}/members/{bob.user_id}/")

    assert (of_host.status_code, of_host.json()["code"]) == (409, "conflict")
    assert (of_alice.status_code, of_alice.json()["code"]) == (403, "right_required")
    assert len(members(room, alice)) == 2
