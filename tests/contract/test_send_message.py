"""POST /api/rooms/{id}/messages/"""

import pytest

from tests.conftest import Connection
from tests.support.actors import Actor


def test_a_member_sends_a_message(host: Actor, alice: Actor) -> None:
    """A message is stored as sent, with its place in the room, under its sender's name."""
    room = host.create_room(alice)

    answer = alice.send(room, "hello", client_id="first")

    assert answer.status_code == 201
    message = answer.json()
    assert message == {
        "id": message["id"],
        "room_id": room,
        "seq": 1,
        "user": alice.user_id,
        "content": "hello",
        "created_at": message["created_at"],
        "client_id": "first",
    }
    assert alice.get(f"/api/rooms/{room}/messages/").json()["results"] == [message]


def test_a_repeated_key_is_the_same_message(host: Actor, alice: Actor) -> None:
    """Sending again with the same key and content stores nothing and answers with the first."""
    room = host.create_room(alice)
    first = alice.send(room, "hello", client_id="k")

    second = alice.send(room, "hello", client_id="k")

    assert second.status_code == 200
    assert second.json() == first.json()
    assert alice.get(f"/api/rooms/{room}/").json()["version"] == 2


def test_a_key_with_other_content_is_refused(host: Actor, alice: Actor) -> None:
    """One key never has two contents: the second is refused and nothing changes."""
    room = host.create_room(alice)
    alice.send(room, "hello", client_id="k")

    answer = alice.send(room, "goodbye", client_id="k")

    assert answer.status_code == 409
    assert answer.json()["code"] == "client_id_conflict"
    assert len(alice.get(f"/api/rooms/{room}/messages/").json()["results"]) == 1


def test_a_retry_after_removal_still_hears_of_its_message(
    host: Actor, alice: Actor, bob: Actor
) -> None:
    """A sender who was removed before the answer arrived learns that the message is stored."""
    room = host.create_room(alice, bob)
    first = alice.send(room, "hello", client_id="k")
    host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")

    assert alice.send(room, "hello", client_id="k").json() == first.json()
    assert alice.send(room, "more", client_id="l").status_code == 404


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_retry_of_an_ex_member_reveals_nothing_new(
    host: Actor, alice: Actor, bob: Actor, connection: Connection, *, is_deleted: bool
) -> None:
    """A sender who was removed gets the first answer again, and for other content 404.

    It is so whether or not the message was deleted meanwhile: someone who can no longer read the
    room does not learn of it.
    """
    room = host.create_room(alice, bob)
    first = alice.send(room, "hello", client_id="k")
    host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")
    if is_deleted:
        connection.execute("SELECT chat.delete_message(%s)", [first.json()["id"]])

    repeated = alice.send(room, "hello", client_id="k")
    other = alice.send(room, "goodbye", client_id="k")

    assert (repeated.status_code, repeated.content) == (200, first.content)
    unknown = alice.send(10**12, "goodbye", client_id="k")
    assert (other.status_code, other.content) == (404, unknown.content)


def test_a_key_stays_with_its_content_after_a_deletion(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """A member who uses the key of a deleted message for another text is refused, not ignored."""
    room = host.create_room(alice)
    first = alice.send(room, "hello", client_id="k").json()
    connection.execute("SELECT chat.delete_message(%s)", [first["id"]])

    assert alice.send(room, "goodbye", client_id="k").status_code == 409
    assert alice.send(room, "hello", client_id="k").json()["content"] == ""


def test_a_stranger_is_told_what_an_unknown_room_tells(
    host: Actor, alice: Actor, charlie: Actor
) -> None:
    """A room that is not yours answers byte for byte like a room that does not exist."""
    room = host.create_room(alice)

    forbidden = charlie.send(room, "hello")
    unknown = charlie.send(10**12, "hello")

    assert forbidden.status_code == unknown.status_code == 404
    assert forbidden.content == unknown.content


def test_a_send_without_a_key_shows_none(host: Actor, alice: Actor) -> None:
    """The key that the service makes for itself is never shown."""
    room = host.create_room(alice)

    message = alice.send(room, "hello").json()

    assert "client_id" not in message
    (listed,) = alice.get(f"/api/rooms/{room}/messages/").json()["results"]
    assert "client_id" not in listed


def test_the_event_leaves_with_the_message(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The outbox holds one event for exactly the members, equal to what the log gives."""
    alice.listen()
    bob.listen()
    room = host.create_room(alice, bob)
    alice.send(room, "hello", client_id="k")

    queued = connection.execute(
        "SELECT payload, partition FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s"
        " ORDER BY id DESC LIMIT 1",
        [f"%:{room}:3:0"],
    ).fetchone()

    assert queued is not None
    assert queued["partition"] == room % 6
    assert queued["payload"]["channels"] == [
        f"personal:{alice.user_id}",
        f"personal:{bob.user_id}",
    ]
    (logged,) = bob.get(f"/api/rooms/{room}/events/", after=2).json()["results"]
    assert queued["payload"]["data"] == logged


def test_content_is_kept_character_by_character(host: Actor, alice: Actor) -> None:
    """What was written is what is read: nothing is trimmed, normalised or escaped."""
    room = host.create_room(alice)
    content = ' é é \t\n"\\</script>  🙂‍↔️ Привет '

    assert alice.send(room, content).json()["content"] == content
    assert alice.get(f"/api/rooms/{room}/messages/").json()["results"][0]["content"] == content


def test_content_is_1_to_4000_characters(host: Actor, alice: Actor) -> None:
    """The limits count characters, and both ends are allowed."""
    room = host.create_room(alice)

    assert alice.send(room, "🙂" * 4000).status_code == 201
    assert alice.send(room, "🙂" * 4001).status_code == 422
    assert alice.send(room, "").json()["pointer"] == "/content"


def test_it_names_the_field_at_fault(host: Actor, alice: Actor) -> None:
    """A body that is not a message is refused with a JSON pointer to the first offending field."""
    room = host.create_room(alice)
    path = f"/api/rooms/{room}/messages/"

    bodies: list[object] = [
        {},
        {"content": 1},
        {"content": "a", "client_id": ""},
        {"content": "a", "client_id": "x" * 65},
        {"content": "a", "client_id": "~mine"},
        {"content": "a\x00b"},
        {"content": "a", "seq": 7},
        [],
    ]

    answers = [alice.post(path, body).json() for body in bodies]

    assert [answer["pointer"] for answer in answers] == [
        "/content",
        "/content",
        "/client_id",
        "/client_id",
        "/client_id",
        "/content",
        "/seq",
        "",
    ]
    assert alice.get(path).json()["results"] == []


def test_a_retry_after_deletion_hears_of_the_deletion(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """Sending a deleted message's key again revives no text: the answer is the deleted message."""
    room = host.create_room(alice)
    first = alice.send(room, "secret", client_id="k").json()
    connection.execute("SELECT chat.delete_message(%s)", [first["id"]])

    answer = alice.send(room, "secret", client_id="k")

    assert answer.status_code == 200
    assert answer.json() == {**first, "content": "", "deleted_at": answer.json()["deleted_at"]}
    assert alice.get(f"/api/rooms/{room}/messages/").json()["results"] == [answer.json()]
