"""Blocks between users: what ends with one, what goes on, and who learns of it."""

import json
from typing import Any

import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast


class Pair:
    """Alice, who blocks, and bob; with or without a direct room."""

    def __init__(self, cast: Cast) -> None:
        self.alice, self.bob = cast.user("alice").listen(), cast.user("bob").listen()
        self.path = f"/api/blocks/{self.bob.user_id}/"
        self.host = cast.service()

    def open_direct(self, *others: Actor) -> int:
        """Open the direct room of the two, and of others, by the service."""
        users = [user.user_id for user in (self.alice, self.bob, *others)]
        answer = self.host.post("/api/rooms/direct/", {"users": users})
        assert answer.status_code in {200, 201}, answer.text
        room: int = answer.json()["id"]
        return room


@pytest.fixture
def pair(cast: Cast) -> Pair:
    """Return two users of this test's own."""
    return Pair(cast)


def read_published(connection: Connection, user: Actor) -> list[dict[str, Any]]:
    """Return what was queued for a user alone, the oldest first."""
    rows = connection.execute(
        "SELECT payload->>'data' AS event FROM chat_outbox"
        " WHERE payload->'channels'->>0 = %s AND json_array_length(payload->'channels') = 1"
        " ORDER BY id",
        [f"personal:{user.user_id}"],
    )
    return [json.loads(row["event"]) for row in rows]


def test_in_a_direct_room_of_two_a_block_ends_sends_of_both(pair: Pair) -> None:
    """Both get the same answer, so it does not say who blocks; reading goes on."""
    room = pair.open_direct()
    assert pair.bob.send(room, "before").status_code == 201

    assert pair.alice.put(pair.path).status_code == 200

    answers = [user.send(room, "after") for user in (pair.alice, pair.bob)]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["code"] == "blocked"
    for user in (pair.alice, pair.bob):
        assert len(user.get(f"/api/rooms/{room}/messages/").json()["results"]) == 1
    assert pair.alice.delete(pair.path).status_code == 204
    assert pair.bob.send(room, "again").status_code == 201


def test_other_rooms_go_on(cast: Cast, pair: Pair) -> None:
    """In public rooms, and in a direct room of three, a block keeps nobody from sending."""
    public = pair.host.create_room(pair.alice, pair.bob)
    group = pair.open_direct(cast.user("charlie"))

    pair.alice.put(pair.path)

    for room in (public, group):
        for user in (pair.alice, pair.bob):
            assert user.send(room, "hello").status_code == 201


def test_no_direct_room_is_opened_between_the_two(pair: Pair) -> None:
    """Whoever would open it; an existing one is still found."""
    pair.alice.put(pair.path)
    users = {"users": [pair.alice.user_id, pair.bob.user_id]}

    answer = pair.host.post("/api/rooms/direct/", users)

    assert answer.status_code in {403, 409}
    pair.alice.delete(pair.path)
    room = pair.open_direct()
    pair.alice.put(pair.path)
    assert pair.open_direct() == room


def test_repeating_changes_nothing_and_only_the_own_devices_are_sent_an_event(
    pair: Pair, connection: Connection
) -> None:
    """One `blocks_updated` for each change, to the blocker; the other one receives nothing."""
    blocked = [pair.alice.put(pair.path).json() for _ in range(2)]
    assert blocked[0] == blocked[1]
    for _ in range(2):
        assert pair.alice.delete(pair.path).status_code == 204

    body = {"user": pair.bob.user_id, "is_blocked": True}
    assert read_published(connection, pair.alice) == [
        {"type": "blocks_updated", "body": body},
        {"type": "blocks_updated", "body": body | {"is_blocked": False}},
    ]
    assert read_published(connection, pair.bob) == []


def test_the_list_is_private_and_comes_in_pages(cast: Cast, pair: Pair) -> None:
    """By user id, in both directions; the blocked one has an empty list."""
    users = sorted(cast.user(f"troll{n}").user_id for n in range(5))
    for user in users:
        pair.alice.put(f"/api/blocks/{user}/")

    page = pair.alice.get("/api/blocks/", limit=2).json()
    seen = [block["user"] for block in page["results"]]
    while page["next"]:
        page = pair.alice.http.get(page["next"]).json()
        seen += [block["user"] for block in page["results"]]
    back = pair.alice.http.get(page["previous"]).json()

    assert seen == users
    assert [block["user"] for block in back["results"]] == users[2:4]
    assert pair.bob.get("/api/blocks/").json()["results"] == []


def test_nobody_blocks_oneself(pair: Pair) -> None:
    """It is 422, and the list stays empty."""
    answer = pair.alice.put(f"/api/blocks/{pair.alice.user_id}/")

    assert (answer.status_code, answer.json()["pointer"]) == (422, "user_id")
    assert pair.alice.get("/api/blocks/").json()["results"] == []


def test_a_user_blocks_at_most_a_thousand(pair: Pair, connection: Connection) -> None:
    """The next one is 409 `limit_reached`; one of those who are blocked is still 200."""
    connection.execute(
        "INSERT INTO chat_block (user_id, blocked_id, created_at)"
        " SELECT %s, 'troll-' || n, now() FROM generate_series(1, 999) AS n",
        [pair.alice.user_id],
    )
    assert pair.alice.put(pair.path).status_code == 200

    refused = pair.alice.put("/api/blocks/one-more/")

    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert pair.alice.put(pair.path).status_code == 200
    pair.alice.delete(pair.path)
    assert pair.alice.put("/api/blocks/one-more/").status_code == 200
