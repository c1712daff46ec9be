"""Bans from a room and from all rooms: who may, what a banned user gets, and what is done after."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast

SOON = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)


class Scene:
    """A public room with an owner, two moderators and two members."""

    def __init__(self, cast: Cast) -> None:
        self.host = cast.service()
        names = ("owner", "moderator", "other", "alice", "bob")
        self.owner, self.moderator, self.other, self.alice, self.bob = map(cast.user, names)
        self.room = self.host.create_room(
            self.owner, self.moderator, self.other, self.alice, self.bob
        )
        for user, role in [
            (self.owner, "owner"),
            (self.moderator, "moderator"),
            (self.other, "moderator"),
        ]:
            path = f"/api/rooms/{self.room}/members/{user.user_id}/"
            assert self.host.http.patch(path, json={"role": role}).status_code == 200

    def path(self, user: Actor | None = None) -> str:
        """Return the address of the bans, or of one."""
        return f"/api/rooms/{self.room}/bans/" + (f"{user.user_id}/" if user else "")

    def members(self) -> set[str]:
        """Return who is in the room."""
        results = self.host.get(f"/api/rooms/{self.room}/members/").json()["results"]
        return {member["user"] for member in results}

    def types(self) -> list[str]:
        """Return the types of the events of the room."""
        events = self.owner.get(f"/api/rooms/{self.room}/events/", limit=200).json()["results"]
        return [event["type"] for event in events]


@pytest.fixture
def scene(cast: Cast) -> Scene:
    """Return a scene of this test's own."""
    return Scene(cast)


def code_of(answer: httpx.Response) -> tuple[int, Any]:
    """Return the status and the code of an error."""
    return answer.status_code, answer.json().get("code") if answer.content else None


def test_a_moderator_bans_a_member_who_is_removed_and_cannot_come_back(scene: Scene) -> None:
    """The members receive `user_left`; joining is 403 `banned`; reading is as for a stranger."""
    body = {"until": SOON.isoformat(), "reason": "spam"}

    banned = scene.moderator.put(scene.path(scene.alice), body)

    assert banned.status_code == 200, banned.text
    assert banned.json() | {"created_at": ""} == {
        "user": scene.alice.user_id,
        "until": SOON.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reason": "spam",
        "created_by": scene.moderator.user_id,
        "created_at": "",
        "rooms_left": 1,
        "messages_deleted": 0,
        "is_complete": True,
    }
    assert scene.alice.user_id not in scene.members()
    assert scene.types()[-1] == "user_left"
    assert code_of(scene.alice.post(f"/api/rooms/{scene.room}/join/")) == (403, "banned")
    assert code_of(scene.alice.get(f"/api/rooms/{scene.room}/")) == (404, "not_found")
    assert code_of(scene.alice.send(scene.room, "hello")) == (404, "not_found")


def test_repeating_a_ban_changes_nothing_and_another_reason_is_stored(
    scene: Scene, connection: Connection
) -> None:
    """One event and one audit entry for one ban; one more entry for a change of it."""
    first = scene.moderator.put(scene.path(scene.alice), {"reason": "spam"}).json()
    events = scene.types()

    again = scene.other.put(scene.path(scene.alice), {"reason": "spam"}).json()
    assert again == first | {"rooms_left": 0}
    changed = scene.other.put(scene.path(scene.alice), {"reason": "worse"}).json()
    assert changed == first | {"rooms_left": 0, "reason": "worse"}

    assert scene.types() == events
    entries = connection.execute(
        "SELECT actor, action, details->>'reason' AS reason FROM chat_audit"
        " WHERE room_id = %s AND user_id = %s AND action LIKE 'user_%%' ORDER BY id",
        [scene.room, scene.alice.user_id],
    ).fetchall()
    assert entries == [
        {"actor": scene.moderator.user_id, "action": "user_banned", "reason": "spam"},
        {"actor": scene.other.user_id, "action": "user_banned", "reason": "worse"},
    ]


def test_a_lifted_ban_lets_the_user_join_again(scene: Scene, connection: Connection) -> None:
    """204 each time; the user is no member by it; the audit has one entry."""
    scene.moderator.put(scene.path(scene.alice))

    for _ in range(2):
        assert scene.moderator.delete(scene.path(scene.alice)).status_code == 204

    assert scene.alice.user_id not in scene.members()
    assert scene.alice.post(f"/api/rooms/{scene.room}/join/").status_code == 200
    lifted = connection.execute(
        "SELECT FROM chat_audit WHERE room_id = %s AND action = 'user_unbanned'", [scene.room]
    ).fetchall()
    assert len(lifted) == 1


def test_a_ban_ends_by_itself(scene: Scene, connection: Connection) -> None:
    """After its time the user may join, the list is without it, and a new ban is new."""
    scene.moderator.put(scene.path(scene.alice), {"until": SOON.isoformat()})
    connection.execute(
        "UPDATE chat_ban SET until = now() - interval '1 second' WHERE user_id = %s",
        [scene.alice.user_id],
    )

    assert scene.moderator.get(scene.path()).json()["results"] == []
    assert scene.alice.post(f"/api/rooms/{scene.room}/join/").status_code == 200
    again = scene.other.put(scene.path(scene.alice)).json()
    assert (again["created_by"], again["rooms_left"]) == (scene.other.user_id, 1)


@pytest.mark.parametrize(
    "caller, target, expected",
    [
        ("alice", "bob", (403, "right_required")),
        ("moderator", "other", (403, "right_required")),
        ("moderator", "owner", (403, "right_required")),
        ("moderator", "moderator", (409, "conflict")),
        ("owner", "owner", (409, "conflict")),
        ("owner", "moderator", (200, None)),
        ("moderator", "stranger", (200, None)),
        ("host", "owner", (200, None)),
        ("stranger", "alice", (404, "not_found")),
    ],
)
def test_who_may_ban_whom(
    cast: Cast, scene: Scene, caller: str, target: str, expected: tuple[int, str | None]
) -> None:
    """Moderators ban members and strangers; owners ban all but themselves; members ban nobody."""
    people = vars(scene) | {"stranger": cast.user("stranger")}
    before = scene.members()

    answer = people[caller].put(scene.path(people[target]))

    assert code_of(answer) == expected
    if expected[0] != 200:
        assert scene.members() == before


def test_a_ban_of_the_only_owner_passes_the_ownership_on(scene: Scene) -> None:
    """The moderator of longest standing becomes an owner by the same change."""
    assert scene.host.put(scene.path(scene.owner)).status_code == 200

    my = scene.moderator.get(f"/api/rooms/{scene.room}/").json()["my"]
    assert my["role"] == "owner"


def test_bans_are_listed_for_those_who_may_ban(cast: Cast, scene: Scene) -> None:
    """By user id, in both directions; members 403, strangers 404, the service sees all."""
    users = sorted(cast.user(f"banned{n}").user_id for n in range(5))
    for user in users:
        scene.moderator.put(scene.path() + f"{user}/")

    page = scene.moderator.get(scene.path(), limit=2).json()
    seen = [ban["user"] for ban in page["results"]]
    while page["next"]:
        page = scene.moderator.http.get(page["next"]).json()
        seen += [ban["user"] for ban in page["results"]]
    back = scene.moderator.http.get(page["previous"]).json()

    assert seen == users
    assert [ban["user"] for ban in back["results"]] == users[2:4]
    assert len(scene.host.get(scene.path()).json()["results"]) == 5
    assert code_of(scene.alice.get(scene.path())) == (403, "right_required")
    assert code_of(cast.user("stranger").get(scene.path())) == (404, "not_found")
    assert code_of(scene.host.get("/api/rooms/999999999999/bans/")) == (404, "not_found")


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"until": "2001-01-01T00:00:00Z"}, "/until"),
        ({"until": "tomorrow"}, "/until"),
        ({"until": "2999-01-01T00:00:00"}, "/until"),
        ({"reason": "x" * 501}, "/reason"),
        ({"for": 3}, "/for"),
    ],
)
def test_a_wrong_ban_is_422_and_nothing_happens(
    scene: Scene, body: dict[str, Any], pointer: str
) -> None:
    """The pointer names the field, for one room and for all."""
    for actor, path in [
        (scene.moderator, scene.path(scene.alice)),
        (scene.host, f"/api/bans/{scene.alice.user_id}/"),
    ]:
        answer = actor.put(path, body)

        assert code_of(answer) == (422, "invalid_input")
        assert answer.json()["pointer"] == pointer
    assert scene.alice.user_id in scene.members()


def test_a_ban_can_delete_the_messages_of_the_last_day(
    scene: Scene, connection: Connection
) -> None:
    """More than one call takes; none older, none elsewhere, none of others."""
    elsewhere = scene.host.create_room(scene.alice, scene.bob)
    ids = [scene.alice.send(scene.room, f"text {n}").json()["id"] for n in range(120)]
    scene.alice.send(elsewhere, "stays")
    scene.bob.send(scene.room, "stays too")
    connection.execute(
        "UPDATE chat_message SET created_at = created_at - interval '25 hours' WHERE id <= %s",
        [ids[2]],
    )

    banned = scene.moderator.put(scene.path(scene.alice), {"delete_messages": True}).json()

    assert (banned["messages_deleted"], banned["is_complete"]) == (117, True)
    left = scene.owner.get(f"/api/rooms/{scene.room}/messages/", limit=200).json()["results"]
    texts = [message["content"] for message in left]
    assert sorted(filter(None, texts)) == ["stays too", "text 0", "text 1", "text 2"]
    kept = scene.bob.get(f"/api/rooms/{elsewhere}/messages/").json()["results"]
    assert [message["content"] for message in kept] == ["stays"]
    again = scene.moderator.put(scene.path(scene.alice), {"delete_messages": True}).json()
    assert again["messages_deleted"] == 0


def test_a_ban_from_all_rooms_removes_the_user_everywhere(scene: Scene) -> None:
    """The memberships end, joining, creating and being added are refused, and DELETE ends it."""
    alice, host = scene.alice, scene.host
    second = host.create_room(alice, scene.bob)
    path = f"/api/bans/{alice.user_id}/"
    assert code_of(host.get(path)) == (404, "not_found")

    banned = host.put(path, {"reason": "fraud"}).json()

    assert (banned["rooms_left"], banned["is_complete"]) == (2, True)
    assert host.get(path).json()["reason"] == "fraud"
    assert alice.get("/api/rooms/").json()["results"] == []
    assert code_of(alice.post(f"/api/rooms/{scene.room}/join/")) == (403, "banned")
    added = host.post(f"/api/rooms/{second}/members/", {"users": [alice.user_id]})
    assert code_of(added) == (409, "conflict")
    assert host.put(path, {"reason": "fraud"}).json()["rooms_left"] == 0
    for _ in range(2):
        assert host.delete(path).status_code == 204
    assert alice.post(f"/api/rooms/{scene.room}/join/").status_code == 200


def test_a_member_who_is_banned_from_all_rooms_sends_nothing_even_before_the_removal(
    scene: Scene, connection: Connection
) -> None:
    """The ban alone refuses sends: 403 `banned`; when it has run out, nothing is refused."""
    alice = scene.alice
    connection.execute(
        "SELECT chat.ban_from_all_rooms(%s, NULL, '', false, %s)",
        [alice.user_id, '{"kind": "service", "id": "host"}'],
    )
    assert alice.user_id in scene.members()

    assert code_of(alice.send(scene.room, "hello")) == (403, "banned")

    connection.execute(
        "UPDATE chat_ban SET until = now() - interval '1 second' WHERE user_id = %s",
        [alice.user_id],
    )
    assert alice.send(scene.room, "hello").status_code == 201


def test_direct_rooms_have_no_bans_and_keep_a_banned_member(
    scene: Scene, connection: Connection
) -> None:
    """A ban from it is 409; after one from all rooms it stays, and its member cannot send."""
    alice, bob = scene.alice, scene.bob
    direct = scene.host.create_room(alice, bob)
    connection.execute("UPDATE chat_room SET kind = 'direct' WHERE id = %s", [direct])

    answer = scene.host.put(f"/api/rooms/{direct}/bans/{alice.user_id}/")
    assert code_of(answer) == (409, "conflict")
    assert scene.host.put(f"/api/bans/{alice.user_id}/").json()["rooms_left"] == 1

    assert alice.get(f"/api/rooms/{direct}/").status_code == 200
    assert code_of(alice.send(direct, "hello")) == (403, "banned")
    assert bob.send(direct, "are you there?").status_code == 201
    scene.host.delete(f"/api/bans/{alice.user_id}/")
    assert alice.send(direct, "again").status_code == 201


def test_bans_from_all_rooms_are_for_the_service(scene: Scene) -> None:
    """An owner of one room decides about that room."""
    path = f"/api/bans/{scene.alice.user_id}/"

    for answer in (scene.owner.put(path), scene.owner.get(path), scene.owner.delete(path)):
        assert code_of(answer) == (403, "service_rights_required")
