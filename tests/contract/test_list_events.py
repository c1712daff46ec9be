"""GET /api/rooms/{id}/events/"""

import pytest

from tests.conftest import Connection
from tests.contract.pages import flatten, follow, read_page
from tests.support.actors import Actor


def live_through(host: Actor, alice: Actor, bob: Actor) -> int:
    """Create a room whose log holds an event of each kind, seven in all."""
    room = host.create_room(alice, name="general")
    alice.send(room, "one", client_id="k")
    bob.post(f"/api/rooms/{room}/join/")
    bob.send(room, "two")
    alice.send(room, "three")
    bob.post(f"/api/rooms/{room}/leave/")
    host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})
    return room


def test_the_log_is_what_was_published(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """The log gives each event exactly as the outbox held it, oldest first, without a gap."""
    alice.listen()
    room = live_through(host, alice, bob)

    page = read_page(alice, f"/api/rooms/{room}/events/")

    published = connection.execute(
        "SELECT payload->'data' AS event FROM chat_outbox"
        " WHERE payload->>'idempotency_key' LIKE %s ORDER BY id",
        [f"%:{room}:%:0"],
    ).fetchall()
    assert page["results"] == [row["event"] for row in published]
    assert [event["body"]["room"]["version"] for event in page["results"]] == list(range(1, 8))
    assert [event["type"] for event in page["results"]] == [
        *("user_joined", "message_added", "user_joined", "message_added", "message_added"),
        *("user_left", "user_joined"),
    ]
    assert (page["next"], page["previous"]) == (None, None)


def test_a_message_event_is_the_message_with_its_room(host: Actor, alice: Actor) -> None:
    """`message_added` carries the message as every list has it, and the room as it was then."""
    room = host.create_room(alice, name="general")
    message = alice.send(room, "hello", client_id="k").json()
    alice.send(room, "later")

    event = read_page(alice, f"/api/rooms/{room}/events/", after=1, limit=1)["results"][0]

    assert event == {
        "type": "message_added",
        "body": message
        | {
            "room": {
                "id": room,
                "name": "general",
                "version": 2,
                "bumped_at": message["created_at"],
                "member_count": 1,
            }
        },
    }


@pytest.mark.parametrize("after", [0, 1, 3, 6, 7])
def test_after_excludes_its_version(host: Actor, alice: Actor, bob: Actor, after: int) -> None:
    """A client that holds version v is given v + 1 and all that followed, to the head."""
    room = live_through(host, alice, bob)

    page = read_page(alice, f"/api/rooms/{room}/events/", after=after)

    versions = [event["body"]["room"]["version"] for event in page["results"]]
    assert versions == list(range(after + 1, 8))


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 200])
def test_walking_on_meets_every_event_once(
    host: Actor, alice: Actor, bob: Actor, limit: int
) -> None:
    """Along `next`, each event is on exactly one page, and the last page has no `next`."""
    room = live_through(host, alice, bob)

    pages = follow(alice, "next", read_page(alice, f"/api/rooms/{room}/events/", limit=limit))

    versions = [event["body"]["room"]["version"] for event in flatten(pages)]
    assert versions == list(range(1, 8))
    assert max(len(page) for page in pages) <= limit


@pytest.mark.parametrize("after", [8, 2**63 - 1])
def test_a_version_above_the_head_is_gone(
    host: Actor, alice: Actor, bob: Actor, after: int
) -> None:
    """A version that the room never reached means a reset: the answer says so, and what to do."""
    room = live_through(host, alice, bob)

    answer = alice.get(f"/api/rooms/{room}/events/", after=after)

    assert answer.status_code == 410
    problem = answer.json()
    assert (problem["code"], problem["floor"], problem["head"]) == ("events_gone", 0, 7)
    assert "Fetch the room" in problem["detail"]


def test_a_version_below_the_floor_is_gone(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """Once the oldest events are deleted, only who already holds them can go on from the log."""
    room = live_through(host, alice, bob)
    connection.execute("DELETE FROM chat_event WHERE room_id = %s AND version <= 3", [room])

    below = alice.get(f"/api/rooms/{room}/events/", after=2)
    default = alice.get(f"/api/rooms/{room}/events/")
    at = read_page(alice, f"/api/rooms/{room}/events/", after=3)

    assert (below.status_code, default.status_code) == (410, 410)
    assert (below.json()["floor"], below.json()["head"]) == (3, 7)
    assert [event["body"]["room"]["version"] for event in at["results"]] == [4, 5, 6, 7]


def test_an_empty_log_still_knows_its_head(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """With every event deleted, a client that is up to date gets an empty page; others get 410."""
    room = live_through(host, alice, bob)
    connection.execute("DELETE FROM chat_event WHERE room_id = %s", [room])

    behind = alice.get(f"/api/rooms/{room}/events/", after=6)

    assert read_page(alice, f"/api/rooms/{room}/events/", after=7)["results"] == []
    assert behind.status_code == 410
    assert (behind.json()["floor"], behind.json()["head"]) == (7, 7)


def test_a_room_without_events_has_an_empty_log(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """A room that never had an event begins at version 0."""
    room = host.create_room()
    connection.execute(
        "INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)"
        " VALUES (%s, %s, '', 1, now())",
        [room, alice.user_id],
    )

    assert read_page(alice, f"/api/rooms/{room}/events/")["results"] == []
    assert alice.get(f"/api/rooms/{room}/events/", after=1).status_code == 410


def test_a_new_member_reads_the_whole_log(host: Actor, alice: Actor, bob: Actor) -> None:
    """A member catches up from any version, also from before it joined."""
    room = host.create_room(alice)
    alice.send(room, "before")
    bob.post(f"/api/rooms/{room}/join/")

    events = read_page(bob, f"/api/rooms/{room}/events/")["results"]

    assert events == read_page(alice, f"/api/rooms/{room}/events/")["results"]
    assert len(events) == 3


def test_who_left_reads_no_more(host: Actor, alice: Actor, bob: Actor) -> None:
    """The log closes with the membership; an unknown version does not reveal the room either."""
    room = host.create_room(alice, bob)
    bob.post(f"/api/rooms/{room}/leave/")

    answers = [
        bob.get(f"/api/rooms/{room}/events/"),
        bob.get(f"/api/rooms/{room}/events/", after=10**9),
        bob.get(f"/api/rooms/{10**12}/events/"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=x", "after=", "after=1.0", "after=%00", f"after={2**63}"),
        *("after=1&after=1", f"after={10**40}"),
    ],
)
def test_what_is_no_version_is_refused(host: Actor, alice: Actor, query: str) -> None:
    """A version is one plain number, or the answer names the parameter."""
    room = host.create_room(alice)

    answer = alice.get(f"/api/rooms/{room}/events/?{query}")

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "after"


def test_a_deleted_text_is_gone_from_the_log(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """Bodies are composed when they are read, so the log does not repeat a deleted text."""
    room = host.create_room(alice)
    alice.send(room, "secret")
    connection.execute("UPDATE chat_message SET content = '' WHERE room_id = %s", [room])

    events = read_page(alice, f"/api/rooms/{room}/events/", after=1)["results"]

    assert events[0]["body"]["content"] == ""
