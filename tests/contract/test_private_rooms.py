"""Private and direct rooms, for anyone who is not a member"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from chat.actions.caller import SERVICE
from chat.actions.direct_rooms import open_direct_room
from chat.api.application import ROUTES
from chat.api.openapi.document import build_document
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.support.actors import Actor, Cast

UNKNOWN = 2**62
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (address, method.upper(), operation)
    for address, item in build_document(ROUTES)["paths"].items()
    for method, operation in item.items()
    if "{room_id}" in address or "{external_id}" in address
}
STRANGERS = ("stranger", "ex_member", "banned", "banned_everywhere", "blocked")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Scene:
    """A private and a direct room of Alice and Bob, with messages, and those who are in neither."""

    def __init__(self, cast: Cast, connection: Connection) -> None:
        host, self.alice, self.bob = cast.service(), cast.user("alice"), cast.user("bob")
        self.outsiders = {name: cast.user(name) for name in STRANGERS}
        pair = [self.alice.user_id, self.bob.user_id]
        self.external_id = f"secret {self.alice.user_id}"
        created = host.post(
            "/api/rooms/",
            {
                "name": "secret",
                "kind": "private",
                "members": [*pair, self.outsiders["ex_member"].user_id],
                "external_id": self.external_id,
            },
        )
        call = open_direct_room(pair, by=SERVICE)
        self.rooms = {
            "private": created.json()["id"],
            "direct": run_call(connection, call).room.id,
        }
        self.messages = {
            kind: self.alice.send(room, "secret", client_id="k").json()["id"]
            for kind, room in self.rooms.items()
        }
        gone = self.outsiders["ex_member"].user_id
        host.delete(f"/api/rooms/{self.rooms['private']}/members/{gone}/")
        for name, room in ("banned", self.rooms["private"]), ("banned_everywhere", None):
            connection.execute(
                "INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)"
                " VALUES (%s, %s, '', 'host', now())",
                [room, self.outsiders[name].user_id],
            )
        connection.execute(
            "INSERT INTO chat_block (user_id, blocked_id, created_at) VALUES (%s, %s, now())",
            [self.alice.user_id, self.outsiders["blocked"].user_id],
        )

    def read_state(self) -> list[bytes]:
        """Return what a member sees of both rooms."""
        return [
            self.alice.get(f"/api/rooms/{room}/{path}").content
            for room in self.rooms.values()
            for path in ("", "members/", "messages/", "events/")
        ]


@pytest.fixture
def scene(cast: Cast, connection: Connection) -> Scene:
    """Return a scene of this test's own."""
    return Scene(cast, connection)


def ask(actor: Actor, name: str, room_id: int, external_id: str, *, user_id: str) -> httpx.Response:
    """Send the example of an operation for a room."""
    address, method, operation = OPERATIONS[name]
    for parameter, value in {
        "room_id": str(room_id),
        "external_id": quote(external_id, safe=""),
        "user_id": quote(user_id, safe=""),
    }.items():
        address = address.replace("{" + parameter + "}", value)
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            example = quote(str(parameter["example"]), safe="")
            address = address.replace("{" + parameter["name"] + "}", example)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return actor.http.request(method, address, json=body.get("example"))


def describe(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return an answer without what differs from request to request."""
    headers = {n: v for n, v in answer.headers.items() if n not in {"x-request-id", "date"}}
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("kind", ["private", "direct"])
def test_every_route_answers_as_for_a_room_that_never_was(
    scene: Scene, kind: str, who: str
) -> None:
    """Status, headers and body are those of an unknown id, and nothing is changed."""
    outsider, before = scene.outsiders[who], scene.read_state()
    differing = []
    for name in OPERATIONS:
        for user_id in (outsider.user_id, scene.alice.user_id):
            real = ask(outsider, name, scene.rooms[kind], scene.external_id, user_id=user_id)
            unknown = ask(outsider, name, UNKNOWN, "never was", user_id=user_id)
            if describe(real) != describe(unknown):
                differing.append((name, real.status_code, unknown.status_code))

    assert differing == []
    assert scene.read_state() == before


QUERIES: dict[str, Callable[[int], str]] = {
    "messages before": lambda message: f"messages/?before={message}",
    "messages after": lambda message: f"messages/?after={message}",
    "messages around": lambda message: f"messages/?around={message}",
    "events after": lambda _: "events/?after=1",
    "events of later": lambda _: "events/?after=999",
    "members by role": lambda _: "members/?role=owner",
    "a bad limit": lambda _: "messages/?limit=0",
    "a bad cursor": lambda _: "members/?cursor=x",
    "no such address": lambda _: "nothing/",
}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("kind", ["private", "direct"])
def test_every_query_answers_as_for_a_room_that_never_was(
    scene: Scene, kind: str, query: str
) -> None:
    """Good and bad queries, also those that name a message of the room."""
    outsider, path = scene.outsiders["stranger"], QUERIES[query](scene.messages[kind])

    real, unknown = (
        describe(outsider.get(f"/api/rooms/{room}/{path}")) for room in (scene.rooms[kind], UNKNOWN)
    )

    assert real == unknown


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["private", "direct"])
def test_every_method_answers_as_for_a_room_that_never_was(
    scene: Scene, kind: str, method: str
) -> None:
    """With a body, without one, and with one that cannot be read."""
    outsider = scene.outsiders["stranger"]
    addresses = {address for address, _, _ in OPERATIONS.values() if "{room_id}" in address}
    for address in sorted(addresses):
        path = address.replace("{user_id}", "nobody").replace("{message_id}", "1")
        for body in (None, b"{}", b"{"):
            real, unknown = (
                describe(
                    outsider.http.request(
                        method,
                        path.replace("{room_id}", str(room)),
                        content=body,
                        headers={"content-type": "application/json"},
                    )
                )
                for room in (scene.rooms[kind], UNKNOWN)
            )
            assert real == unknown, (address, body)


def test_an_outsider_sees_nothing_of_them_in_lists(scene: Scene) -> None:
    """Neither in the own list nor in a search for their very names."""
    for outsider in scene.outsiders.values():
        assert outsider.get("/api/rooms/").json()["results"] == []
        assert outsider.get("/api/rooms/", archived="true").json()["results"] == []
        for text in (scene.alice.user_id, "secret"):
            found = outsider.get("/api/search/", q=text, limit=200).json()["results"]
            assert {room["id"] for room in found}.isdisjoint(scene.rooms.values())


def test_an_id_says_nothing_of_the_kind(scene: Scene, host: Actor) -> None:
    """Rooms of all kinds have ids of one sequence."""
    later = host.create_room(name="later")

    assert scene.rooms["private"] < scene.rooms["direct"] < later
