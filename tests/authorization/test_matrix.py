"""Who may do what: every operation of the description, for everyone there is."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from chat.api.application import ROUTES
from chat.api.openapi.document import build_document
from tests.support.actors import Actor, Cast, make_token

Schema = dict[str, Any]

ACTORS = ("anonymous", "other_secret", "stranger", "ex_member", "member", "service")
# A room of the member's; `service` is the host's service, which is a member of nothing.
TABLE = """
operation                 anonymous other_secret stranger ex_member member service
list_rooms                401       401          200      200       200    200
create_room               401       401          403      403       403    201
open_direct_room          401       401          403      403       403    201
change_room               401       401          404      404       403    200
read_room                 401       401          404      404       200    200
delete_room               401       401          403      403       403    202
read_room_deletion        401       401          403      403       403    404
read_room_by_external_id  401       401          404      404       200    200
put_room_by_external_id   401       401          403      403       403    200
list_messages             401       401          404      404       200    200
send_message              401       401          404      404       201    404
list_members              401       401          404      404       200    200
read_member               401       401          404      404       200    200
add_members               401       401          404      404       403    200
change_member             401       401          404      404       403    200
remove_member             401       401          404      404       403    204
revoke_tokens             401       401          403      403       403    200
join_room                 401       401          200      200       200    200
leave_room                401       401          200      200       200    200
report_message            401       401          404      404       201    404
report_user               401       401          201      201       201    201
list_reports              401       401          403      403       403    200
read_report               401       401          403      403       403    200
decide_report             401       401          403      403       403    201
list_audit                401       401          403      403       403    200
read_word                 401       401          403      403       403    200
put_word                  401       401          403      403       403    200
delete_word               401       401          403      403       403    204
create_invite             401       401          404      404       403    201
list_invites              401       401          404      404       403    200
revoke_invite             401       401          404      404       403    204
read_invite               401       401          200      200       200    200
accept_invite             401       401          200      200       200    200
list_bans                 401       401          404      404       403    200
ban_from_room             401       401          404      404       403    200
lift_ban_from_room        401       401          404      404       403    204
read_ban                  401       401          403      403       403    404
ban_from_all_rooms        401       401          403      403       403    200
lift_ban_from_all_rooms   401       401          403      403       403    204
list_blocks               401       401          200      200       200    200
block_user                401       401          200      200       200    200
unblock_user              401       401          204      204       204    204
list_events               401       401          404      404       200    200
search_rooms              401       401          200      200       200    200
read_connection_token     401       401          200      200       200    200
read_subscription_token   401       401          200      200       200    200
check_live                200       200          200      200       200    200
check_ready               200       200          200      200       200    200
read_schema               200       200          200      200       200    200
read_docs                 200       200          200      200       200    200
"""


def read_table() -> dict[str, dict[str, int]]:
    """Return the expected status for each operation and actor."""
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    assert tuple(head[1:]) == ACTORS
    return {row[0]: dict(zip(ACTORS, map(int, row[1:]), strict=True)) for row in rows}


EXPECTED = read_table()
OPERATIONS: dict[str, tuple[str, str, Schema]] = {
    operation["operationId"]: (address, method.upper(), operation)
    for address, item in build_document(ROUTES)["paths"].items()
    for method, operation in item.items()
}
# Only operations that name a room can reveal one to a stranger.
PRIVATE = [name for name, row in EXPECTED.items() if row["stranger"] == 404]
FOR_SERVICE = [name for name, row in EXPECTED.items() if row["stranger"] == 403]


class Scene:
    """A room with a member and an ex-member, and everyone who might call."""

    def __init__(self, cast: Cast) -> None:
        host, member, ex_member = cast.service(), cast.user("member"), cast.user("ex-member")
        self.external_id = f"of-{member.user_id}"
        self.room = host.put_room(self.external_id, member, ex_member)
        self.other_room = host.create_room(ex_member)
        host.delete(f"/api/rooms/{self.room}/members/{ex_member.user_id}/")
        forged = make_token(member.user_id, secret="x" * 50, role="service")
        self.invite = host.post(f"/api/rooms/{self.room}/invites/").json()
        self.member = member
        # A word that nobody says; each scene has its own.
        self.word = f"w{self.room}w"
        host.put(f"/api/words/{self.word}/", {"action": "mask"})
        self.message = member.send(self.room, "hello").json()["id"]
        report = {"reason": "It is rude."}
        self.report = member.post(f"/api/users/{ex_member.user_id}/report/", report).json()["id"]
        self.actors = {
            "anonymous": cast.anonymous(),
            "other_secret": cast.with_token(forged, member.user_id),
            "stranger": cast.user("stranger"),
            "ex_member": ex_member,
            "member": member,
            "service": host,
        }

    def call(self, name: str, actor: Actor, room: int | str) -> httpx.Response:
        """Send a good request for this operation, made from its description."""
        address, method, operation = OPERATIONS[name]
        key = self.external_id if room == self.room else str(room)
        address = address.replace("{external_id}", key)
        user = self.member.user_id if "{room_id}" in address else "nobody"
        address = address.replace("{room_id}", str(room)).replace("{user_id}", user)
        address = address.replace("{word}", self.word)
        address = address.replace("{message_id}", str(self.message))
        address = address.replace("{report_id}", str(self.report))
        address = address.replace("{invite_id}", str(self.invite["id"]))
        address = address.replace("{token}", self.invite["token"])
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        query = {
            parameter["name"]: f"personal:{actor.user_id}"
            for parameter in operation["parameters"]
            if parameter["name"] == "channel"
        }
        return actor.http.request(method, address, params=query, json=body.get("example"))


@pytest.fixture
def scene(cast: Cast) -> Scene:
    """Return a scene of this test's own."""
    return Scene(cast)


def test_every_operation_has_a_row() -> None:
    """Whoever adds an endpoint writes here who may call it, or this fails."""
    assert sorted(EXPECTED) == sorted(OPERATIONS)


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_table_holds(scene: Scene, name: str, actor: str) -> None:
    """Each operation answers each caller with the status of the table."""
    answer = scene.call(name, scene.actors[actor], scene.room)

    assert answer.status_code == EXPECTED[name][actor], answer.text


@pytest.mark.parametrize(
    "name, actor",
    [
        (name, actor)
        for name in PRIVATE
        for actor in ("stranger", "ex_member", "service")
        if EXPECTED[name][actor] == 404
    ],
)
def test_a_room_of_others_is_like_no_room(scene: Scene, name: str, actor: str) -> None:
    """A forbidden room and an unknown one have the same answer, except for the request's id."""
    caller = scene.actors[actor]

    forbidden = scene.call(name, caller, scene.room)

    for unknown in (10**12, 2**63 - 1, 2**63, 0, "x", "01", "-1", "%31", "1%00"):
        if unknown == "1%00" and "external_id" in name:
            continue  # it cannot be one, which is 422 for everyone
        assert same(forbidden, scene.call(name, caller, unknown)), unknown


def same(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers are equal byte by byte, but for their ids and their time."""
    return describe(one) == describe(other)


def describe(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return an answer without what differs from request to request."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"x-request-id", "date"}
    }
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize("name", FOR_SERVICE)
def test_rights_are_asked_before_the_room_is(scene: Scene, name: str) -> None:
    """Who has no rights learns nothing of rooms, not even whether they exist."""
    for actor in ("anonymous", "other_secret", "stranger", "member"):
        caller = scene.actors[actor]

        assert same(scene.call(name, caller, scene.room), scene.call(name, caller, 10**12))


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name]["anonymous"] == 401])
def test_a_token_is_asked_before_the_room_is(scene: Scene, name: str) -> None:
    """Without a valid token, the answer is the same for every room, existing or not."""
    for actor in ("anonymous", "other_secret"):
        caller = scene.actors[actor]

        assert same(scene.call(name, caller, scene.room), scene.call(name, caller, 10**12))


@pytest.mark.parametrize("name", [*PRIVATE, *FOR_SERVICE])
def test_a_refusal_changes_nothing(scene: Scene, name: str) -> None:
    """A request that was refused leaves the room as it was."""
    before = scene.member.get(f"/api/rooms/{scene.room}/").content

    for actor in ACTORS:
        if EXPECTED[name][actor] >= 400:
            scene.call(name, scene.actors[actor], scene.room)

    assert scene.member.get(f"/api/rooms/{scene.room}/").content == before


LISTS: dict[str, Callable[[Any], list[Any]]] = {
    "/api/rooms/": lambda body: body["results"],
    "/api/search/?q=": lambda body: [room for room in body["results"] if room["is_member"]],
}


@pytest.mark.parametrize("address", LISTS)
def test_lists_hold_what_is_the_callers(scene: Scene, address: str) -> None:
    """A list that all may read shows a member's room to the member alone."""
    seen = {
        actor: {room["id"] for room in LISTS[address](scene.actors[actor].get(address).json())}
        for actor in ("stranger", "ex_member", "member")
    }

    assert scene.room in seen["member"]
    assert seen["stranger"] == set()
    assert seen["ex_member"] == {scene.other_room}


def test_search_shows_strangers_no_messages(scene: Scene) -> None:
    """A stranger may find a room by its name, and reads nothing that was said in it."""
    scene.member.send(scene.room, "between us")

    (found,) = (
        room
        for room in scene.actors["stranger"].get("/api/search/", limit=200).json()["results"]
        if room["id"] == scene.room
    )

    assert found["last_message"] is None
